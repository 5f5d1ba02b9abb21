/** What becomes of an approval in a store: the same in every store, so each keeps rows and asks here. */
import {
  type ApprovalChange,
  type ApprovalQuery,
  type ApprovalRow,
  type ApprovalState,
  type NewApproval,
  REMEMBER_MS,
} from './approvals.ts'

/** A row without what core alone reads: stores keep that as text, so that nobody holds a part of what they keep. */
export type BareApproval = Omit<ApprovalRow, 'data'>

/** A new approval, made now in a session that ends then. */
export function born({ ttlMs, data: _, grant, ...rest }: NewApproval, sessionEnd: number, at: number): BareApproval {
  // Invariant: an approval ends no later than its session, so the session's end need not be looked up again.
  const expiresAt = Math.min(at + ttlMs, sessionEnd)
  const asked = grant === undefined ? {} : { grant: { binding: grant.binding } }
  return { ...rest, ...asked, version: 1, state: 'pending', createdAt: at, expiresAt }
}

/** The row of an approval that is asked for again. Throws when it is another one's: nothing may be decided for both. */
export function same(row: ApprovalRow, { session, tool }: NewApproval): ApprovalRow {
  if (row.session !== session || row.tool !== tool) throw new Error('an approval with this id exists already')
  return row
}

/** The row after a change; `undefined`: it can't be changed like that, now. */
export function changed(
  row: BareApproval,
  version: number,
  { state, binding, grantMs }: Omit<ApprovalChange, 'data'>,
  at: number,
): BareApproval | undefined {
  // Invariant: what was decided stays, and of two who decide at once the second comes too late.
  if (row.state !== 'pending' || row.version !== version || !maySay(state, at >= row.expiresAt)) return undefined
  return {
    ...row,
    version: version + 1,
    ...(state === undefined ? {} : { state, decidedAt: at }),
    ...(binding === undefined ? {} : { binding }),
    ...(grantMs === undefined || !row.grant ? {} : { grant: { ...row.grant, until: at + grantMs } }),
  }
}

/** A vote or a decision only while there is time; `expired` only when there is none; `withdrawn` always. */
function maySay(state: ApprovalState | undefined, over: boolean): boolean {
  return state === 'withdrawn' || (state === 'expired') === over
}

/** From when on an approval may be forgotten, as it stands; one that is pending has to be ended first. */
export function forgetAt({ state, expiresAt, decidedAt = expiresAt, grant }: BareApproval): number | undefined {
  if (state === 'pending') return undefined
  // Somebody may still present one that was approved.
  return (state === 'approved' ? Math.max(expiresAt, decidedAt, grant?.until ?? 0) : decidedAt) + REMEMBER_MS
}

/** Whether an approval is one that a query means, at this moment. */
export function fits(row: BareApproval, query: ApprovalQuery, at: number): boolean {
  if (row.session !== query.session) return false
  if ('ref' in query) return row.tool === query.tool && row.ref === query.ref
  const { state, grant, expiresAt } = row
  if ('grant' in query) {
    return state === 'approved' && grant?.binding === query.grant && grant.until !== undefined && at < grant.until
  }
  if (row.binding !== query.binding || row.ref !== undefined || row.usedBy !== undefined) return false
  return state === 'denied' || ((state === 'pending' || state === 'approved') && at < expiresAt)
}
