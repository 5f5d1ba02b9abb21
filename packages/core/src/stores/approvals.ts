/**
 * Approvals as a store keeps them. The rules of asking are core's: a store keeps rows, lets nobody change one that
 * somebody else has changed meanwhile, and lets each be used once. All times are the store's own.
 */
import type { MaybePromise } from '../clock.ts'

/** `pending` becomes one of the others, once. */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'withdrawn'

export interface ApprovalRow {
  readonly id: string
  /** Counts its changes, from 1. */
  readonly version: number
  readonly state: ApprovalState
  readonly tenant: string
  readonly session: string
  readonly agent: string
  readonly tool: string
  /** What the adapter calls the call by; one tool call of a framework keeps it through a pause. */
  readonly ref?: string
  /** Everything the yes is for, as one hash: an admit must present the same. */
  readonly binding: string
  /** A time-boxed grant that an approver may give: what it is for as one hash, and, once given, until when. */
  readonly grant?: { readonly binding: string; readonly until?: number }
  readonly createdAt: number
  /** From then on nobody can decide it, nor use it. Never later than the end of its session. */
  readonly expiresAt: number
  readonly decidedAt?: number
  /** The call that has used it. */
  readonly usedBy?: string
  readonly usedAt?: number
  /** What core alone reads: JSON data. */
  readonly data: Readonly<Record<string, unknown>>
}

export type NewApproval = Pick<
  ApprovalRow,
  'id' | 'tenant' | 'session' | 'agent' | 'tool' | 'ref' | 'binding' | 'data'
> & {
  readonly grant?: { readonly binding: string }
  readonly ttlMs: number
}

/** How many approvals may be pending at once, of one session and of one agent of a tenant. */
export interface PendingLimits {
  readonly session: number
  readonly agent: number
}

export type Requested =
  | { readonly ok: true; readonly row: ApprovalRow }
  | { readonly ok: false; readonly refused: 'no-session' | 'session-expired' | 'session-revoked' }
  | { readonly ok: false; readonly refused: 'session-suspended'; readonly rule?: string }
  | { readonly ok: false; readonly refused: 'too-many'; readonly per: 'session' | 'agent' }

/** What a decision, a vote or an end changes. What is not named stays. */
export interface ApprovalChange {
  readonly state?: Exclude<ApprovalState, 'pending'>
  readonly binding?: string
  /** Gives the grant, if one was asked for, for so long from now. */
  readonly grantMs?: number
  readonly data?: Readonly<Record<string, unknown>>
}

/** Which approval a call means: by what its framework calls it, by what the yes would be for, or by a grant. */
export type ApprovalQuery =
  | { readonly session: string; readonly tool: string; readonly ref: string }
  | { readonly session: string; readonly binding: string }
  | { readonly session: string; readonly grant: string }

export interface ApprovalFilter {
  readonly tenant?: string
  readonly session?: string
  readonly agent?: string
  readonly state?: ApprovalState
  /** At most so many, the newest first. */
  readonly limit: number
}

/** Something that a channel has to be told: how an approval stands now. */
export interface Delivery {
  readonly row: ApprovalRow
  readonly channel: string
  /** How often it was handed out since the approval last changed, this time included. */
  readonly attempt: number
  /** What the channel answered last: where its card is. */
  readonly note?: unknown
}

export interface ApprovalVerbs {
  /**
   * Makes a pending approval that ends after `ttlMs`, or with its session, whichever is first; each of the channels is
   * due to be told. Refuses when the session is over, and when as many as `limits` allow are pending already. The same
   * id again is the same approval; throws when another session or tool has it.
   */
  request(approval: NewApproval, limits: PendingLimits, channels: readonly string[]): MaybePromise<Requested>
  get(id: string): MaybePromise<ApprovalRow | undefined>
  /**
   * The newest that fits: by `ref` whatever has become of it; by `binding` one without `ref` that is not used and not
   * over (pending and approved ones before `expiresAt`, denied ones); by `grant` an approved one whose grant holds now.
   */
  find(query: ApprovalQuery): MaybePromise<ApprovalRow | undefined>
  list(filter: ApprovalFilter): MaybePromise<readonly ApprovalRow[]>
  /**
   * Changes a pending approval that still has this version: compare-and-set, so of two who decide at once one is told
   * that he came too late. After `expiresAt` only `expired` and `withdrawn` can be said, and before it not `expired`.
   * Every channel is due again. Answers the row as it is then, `undefined` when nothing was changed.
   */
  change(id: string, version: number, change: ApprovalChange): MaybePromise<ApprovalRow | undefined>
  /** Marks an approval that was decided as used by a call, without admitting anything; `false`: it was used already. */
  use(id: string, call: string): MaybePromise<boolean>
  /**
   * Ends up to `limit` pending approvals whose time is over, the longest over first; answers them. Also forgets those
   * that ended, and could be used by nobody any more, more than 30 days ago, some at a time.
   */
  expire(limit: number): MaybePromise<readonly ApprovalRow[]>
  /** Hands out up to `limit` deliveries of these channels that are due, the longest due first; to nobody else for `leaseMs`. */
  due(channels: readonly string[], limit: number, leaseMs: number): MaybePromise<readonly Delivery[]>
  /**
   * A channel shows an approval as of `version`. With a `note` that is kept from now on. If the approval has changed
   * since, it is due again at once.
   */
  shown(id: string, channel: string, version: number, note?: unknown): MaybePromise<void>
  /** A delivery did not succeed: due again after `delayMs`, unless it was shown or has changed since it was handed out. */
  later(id: string, channel: string, delayMs: number): MaybePromise<void>
  /** What a channel has noted. */
  note(id: string, channel: string): MaybePromise<unknown>
}

/** What an admit presents of an approval. */
export interface Consent {
  readonly id: string
  /** Must be the approval's own `binding`; with `grant`, that of its grant, which is not used up but must hold now. */
  readonly binding: string
  readonly grant?: true
}

/** How long an approval that has ended is remembered. */
export const REMEMBER_MS: number = 30 * 86_400_000

export type ConsentRefusal = 'approval-pending' | 'approval-denied' | 'approval-expired' | 'approval-used'

/**
 * Why an approval does not let a call of a session pass, if so. `undefined`: it does. A call that has used it already is
 * the same call again.
 */
export function consentRefusal(
  row: Omit<ApprovalRow, 'data'> | undefined,
  { binding, grant }: Consent,
  { call, session }: { readonly call: string; readonly session: string },
  at: number,
): ConsentRefusal | undefined {
  // Invariant: an approval is for one session and exactly one binding: digest, tool definition and asking rules.
  if (!row || row.session !== session) return 'approval-denied'
  if (grant ? row.grant?.binding !== binding : row.binding !== binding) return 'approval-denied'
  if (row.state === 'denied' || row.state === 'withdrawn') return 'approval-denied'
  if (row.state === 'expired') return 'approval-expired'
  if (row.state === 'pending') return at >= row.expiresAt ? 'approval-expired' : 'approval-pending'
  if (grant) return row.grant?.until !== undefined && at < row.grant.until ? undefined : 'approval-expired'
  if (row.usedBy !== undefined) return row.usedBy === call ? undefined : 'approval-used'
  return at >= row.expiresAt ? 'approval-expired' : undefined
}
