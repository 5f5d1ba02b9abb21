/** What a session made from other sessions takes over from them. */
import type { SessionRow, Suspension } from './store.ts'

/** How long a session lives, and whether it was ended before that. */
export interface Life {
  readonly expiresAt: number
  readonly revokedAt?: number
  readonly suspended?: Suspension
}

/** Why a session admits nothing. */
export type SessionRefusal = 'no-session' | 'session-expired' | 'session-revoked' | 'session-suspended'

/** Why a session with this life admits nothing, if so. */
export function refusedBy(life: Life | undefined, at: number): SessionRefusal | undefined {
  if (!life) return 'no-session'
  // Invariant: a revoked session admits nothing. Revoking marks the whole tree at once, and a child ends no later than
  // its parent, so a session's own row speaks for its ancestors.
  if (life.revokedAt !== undefined) return 'session-revoked'
  if (at >= life.expiresAt) return 'session-expired'
  // Invariant: a suspended session admits nothing; suspending marks the whole tree at once, too.
  return life.suspended ? 'session-suspended' : undefined
}

/** The refusal of a session that is suspended: it says by what. */
export function stillBy({ suspended }: Pick<Life, 'suspended'>): {
  readonly ok: false
  readonly refused: 'session-suspended'
  readonly rule?: string
} {
  return { ok: false, refused: 'session-suspended', ...(suspended && { rule: suspended.rule }) }
}

/**
 * What `suspendTree` makes of a row, or nothing. Invariant: a session stands still for the nearest of itself and its
 * ancestors that was suspended, so lifting one suspension never lifts another.
 */
export function suspendedWith(row: SessionRow, root: SessionRow, rule: string): SessionRow | undefined {
  if (row.id !== root.id && !row.chain.includes(root.id)) return undefined
  if (row.suspended && !root.chain.includes(row.suspended.by)) return undefined
  return { ...row, suspended: { by: root.id, rule } }
}

/** Whether a session may act at this moment. A child ends no later than its parent, so its own life speaks for both. */
export function isLive({ expiresAt, revokedAt }: Life, at: number): boolean {
  return revokedAt === undefined && at < expiresAt
}

/**
 * A new row as its ancestors allow it: it ends no later than any of them, and one that is made after an ancestor was
 * revoked is revoked from the start, as one made after it was suspended is suspended. Throws when an ancestor is not
 * known: then nobody can tell whether it lives.
 */
export function bornInto(row: SessionRow, ancestors: readonly (Life | undefined)[]): SessionRow {
  let { expiresAt, revokedAt, suspended } = row
  for (const ancestor of ancestors) {
    if (!ancestor) throw new Error('an ancestor of this session is not known')
    expiresAt = Math.min(expiresAt, ancestor.expiresAt)
    revokedAt ??= ancestor.revokedAt
    suspended = ancestor.suspended ?? suspended
  }
  return { ...row, expiresAt, ...(revokedAt === undefined ? {} : { revokedAt }), ...(suspended && { suspended }) }
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
