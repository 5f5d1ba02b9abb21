/** What a session made from other sessions takes over from them. */
import type { SessionRow } from './store.ts'

/** How long a session lives, and whether it was ended before that. */
export interface Life {
  readonly expiresAt: number
  readonly revokedAt?: number
}

/** Why a session admits nothing. */
export type SessionRefusal = 'no-session' | 'session-expired' | 'session-revoked'

/** Why a session with this life admits nothing, if so. */
export function refusedBy(life: Life | undefined, at: number): SessionRefusal | undefined {
  if (!life) return 'no-session'
  // Invariant: a revoked session admits nothing. Revoking marks the whole tree at once, and a child ends no later than
  // its parent, so a session's own row speaks for its ancestors.
  if (life.revokedAt !== undefined) return 'session-revoked'
  return at >= life.expiresAt ? 'session-expired' : undefined
}

/** Whether a session may act at this moment. A child ends no later than its parent, so its own life speaks for both. */
export function isLive({ expiresAt, revokedAt }: Life, at: number): boolean {
  return revokedAt === undefined && at < expiresAt
}

/**
 * A new row as its ancestors allow it: it ends no later than any of them, and one that is made after an ancestor was
 * revoked is revoked from the start. Throws when an ancestor is not known: then nobody can tell whether it lives.
 */
export function bornInto(row: SessionRow, ancestors: readonly (Life | undefined)[]): SessionRow {
  let { expiresAt, revokedAt } = row
  for (const ancestor of ancestors) {
    if (!ancestor) throw new Error('an ancestor of this session is not known')
    expiresAt = Math.min(expiresAt, ancestor.expiresAt)
    revokedAt ??= ancestor.revokedAt
  }
  return { ...row, expiresAt, ...(revokedAt === undefined ? {} : { revokedAt }) }
}

/** A live row with a later end, as far as its ancestors allow one; otherwise the row as it is. */
export function extended(
  row: SessionRow,
  ttlMs: number,
  ancestors: readonly (Life | undefined)[],
  at: number,
): SessionRow {
  if (!isLive(row, at)) return row
  // Invariant: a session ends no later than those it was made from. One that is not known allows nothing.
  const end = ancestors.reduce((least, ancestor) => Math.min(least, ancestor?.expiresAt ?? 0), at + ttlMs)
  return end > row.expiresAt ? { ...row, expiresAt: end } : row
}
