/** What may be said of a secret when it is put: checked by name, before anything is sealed. */
import { ConfigError } from '../errors.ts'
import { parseHost } from '../hosts.ts'
import { checkKeys } from '../options.ts'

export interface PutOptions {
  /** What a session must hold to use the secret. */
  readonly scope: string
  /** The tools that may use it; every tool that names it, when absent. */
  readonly tools?: readonly string[]
  /**
   * The hosts that `session.fetch` may send it to: `api.example.com`, with a port other than 443 if it has one, or
   * `*.example.com` for every name below it. None, when absent.
   */
  readonly hosts?: readonly string[]
  readonly tenant?: string
}

/** Whose secret: the default tenant's unless given. */
export interface TenantOption {
  readonly tenant?: string
}

const NAME = /^[A-Za-z0-9_.-]{1,128}$/
const TOOL = /^[A-Za-z0-9_.:/-]{1,128}$/
const TENANT = /^[A-Za-z0-9_.:@/-]{1,128}$/

/** Options in values of our own: the caller's may change while key and store are waited for. */
export function checkedPut(
  options: PutOptions,
  checkScope: (scope: string, path: string) => void,
): Required<PutOptions> {
  checkKeys(options, ['scope', 'tools', 'hosts', 'tenant'], 'options of a secret')
  const { scope, tools, hosts, tenant } = options
  checkScope(scope, 'scope')
  return {
    scope,
    tools: listed(tools, 'tools', 'tool name', (tool) => (TOOL.test(tool) ? tool : undefined)),
    hosts: listed(hosts, 'hosts', 'host, such as `api.example.com`', parseHost),
    tenant: checkedTenant(tenant),
  }
}

export function checkedName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name
  throw invalid('name', 'is 1 to 128 letters, digits, `_`, `.` or `-`')
}

/** Half a surrogate pair would be stored as another character. */
export function checkedValue(value: unknown): string {
  if (typeof value === 'string' && value !== '' && value.isWellFormed()) return value
  throw invalid('value', 'is well-formed text that is not empty')
}

export function checkedTenant(tenant: unknown = 'default'): string {
  if (typeof tenant === 'string' && TENANT.test(tenant)) return tenant
  throw invalid('tenant', 'is 1 to 128 letters, digits, `_`, `.`, `:`, `@`, `/` or `-`')
}

/** An empty list would read as none and mean every one. */
function listed(
  given: unknown,
  path: string,
  what: string,
  parse: (text: string) => string | undefined,
): readonly string[] {
  if (given === undefined) return []
  const parsed = Array.isArray(given) ? given.map((one) => (typeof one === 'string' ? parse(one) : undefined)) : []
  if (parsed.length === 0 || parsed.includes(undefined)) throw invalid(path, `is a list of at least one ${what}`)
  return parsed as string[]
}

export function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
