/** Rows of sessions, as a store answers them: what is nonsense is no session. */
import { ask, type MaybePromise } from './clock.ts'
import { Unavailable } from './errors.ts'
import type { House } from './pass.ts'
import type { CapReached, SessionRow } from './stores/store.ts'

/**
 * A row of the store, checked. In shadow mode sessions are made under a tenant apart, so that no real quota counts
 * them; and none of them is a leave to act where calls are not only watched. `keepAlive`: somebody waits for it.
 */
export async function readSession(
  { apart, deadlineMs, clock }: House,
  work: () => MaybePromise<SessionRow | undefined>,
  what: string,
  keepAlive = true,
): Promise<SessionRow | undefined> {
  const row = await ask(work, deadlineMs, clock, what, keepAlive)
  if (row === undefined || row === null) return undefined
  if (!isSessionRow(row)) throw new Unavailable(`\`${what}\` answered nonsense`)
  const tenant = row.tenant.startsWith(apart) ? row.tenant.slice(apart.length) : row.tenant
  return tenant.includes('|') ? undefined : { ...row, tenant }
}

export function isSessionRow(row: SessionRow | undefined): row is SessionRow {
  const { id, agent, tenant, scopes, chain, createdAt, expiresAt } = row ?? {}
  const named = [id, agent, tenant].every((text) => typeof text === 'string')
  return named && Array.isArray(scopes) && Array.isArray(chain) && [createdAt, expiresAt].every(Number.isFinite)
}

export function isCapReached(row: SessionRow | CapReached): row is CapReached {
  return (row as CapReached | null)?.refused === 'quota-exceeded'
}
