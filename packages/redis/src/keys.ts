/** The names of keys. All that belongs to a tenant has one hash tag, so it lies in one slot of a cluster. */
import { check } from '@haldir/core/store'

export const PREFIX = 'haldir:'

/** Throws when a prefix would take the place of a tenant's hash tag. */
export function checkPrefix(prefix: unknown): void {
  check('prefix', typeof prefix === 'string' && !/[{}]/.test(prefix), 'is text without braces')
}

/** The key of a tenant's clock: scripts make all other keys of the tenant from it. */
export function clockKey(prefix: string, tenant: string): string {
  return `${prefix}{${tagOf(tenant)}}:clock`
}

/**
 * A tenant as a hash tag. Invariant: no two tenants have one tag, and no tenant can write a brace into a key: braces
 * are escaped, as everything is that a URI would escape. An empty tag would be none, so it has a name of its own.
 */
function tagOf(tenant: string): string {
  return tenant === '' ? '%' : encodeURIComponent(tenant.toWellFormed())
}

export type Index = 'session' | 'token' | 'approval'

/** Where the tenant of a session or an approval is looked up: a key, and a slot, of its own. */
export function indexKey(prefix: string, index: Index, id: string): string {
  return `${prefix}${index}:${encodeURIComponent(id.toWellFormed())}`
}

export function tenantsKey(prefix: string): string {
  return `${prefix}tenants`
}

export function writersKey(prefix: string): string {
  return `${prefix}writers`
}

/** The channel of hints. */
export function hintsChannel(prefix: string): string {
  return `${prefix}hints`
}
