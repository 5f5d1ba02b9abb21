/** Rows of sessions, as a store answers them: what is nonsense is no session. */
import type { CapReached, SessionRow } from './stores/store.ts'

export function isSessionRow(row: SessionRow | undefined): row is SessionRow {
  const { id, agent, tenant, scopes, chain, createdAt, expiresAt } = row ?? {}
  const named = [id, agent, tenant].every((text) => typeof text === 'string')
  return named && Array.isArray(scopes) && Array.isArray(chain) && [createdAt, expiresAt].every(Number.isFinite)
}

export function isCapReached(row: SessionRow | CapReached): row is CapReached {
  return (row as CapReached | null)?.refused === 'quota-exceeded'
}
