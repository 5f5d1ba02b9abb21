/** What a session made from other sessions takes over from them. */
import type { SessionRow } from './store.ts'

/** How long a session lives, and whether it was ended before that. */
export interface Life {
  readonly expiresAt: number
  readonly revokedAt?: number
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
