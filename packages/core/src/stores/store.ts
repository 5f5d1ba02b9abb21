/**
 * Where shared state lives. Every verb is atomic: another process on the same store sees all of it or nothing. A verb
 * may answer at once or with a promise; a thrown error means that nothing is known to have happened. Every `now` is
 * the store's own and never goes back. Amounts are micro-units. Experimental until more than one engine has proved it.
 */
import type { MaybePromise } from '../clock.ts'
import type { ApprovalVerbs, Consent } from './approvals.ts'
import type { SecretVerbs } from './secrets.ts'
import type { Window } from './window.ts'

export type { SealedSecret, SecretVerbs, StoredSecret } from './secrets.ts'

export interface Store {
  readonly session: SessionVerbs
  readonly meters: { read(keys: readonly MeterKey[]): MaybePromise<readonly (MeterState | undefined)[]> }
  readonly hold: { get(call: string): MaybePromise<HoldRow | undefined> }
  readonly secret: SecretVerbs
  readonly writer: WriterVerbs
  readonly approval: ApprovalVerbs

  /**
   * Takes everything a call needs, or nothing: the session and all its ancestors are live, the approval it presents is
   * good and not used, its `once` key is free, and every charge fits its meter. The hold is made `running`, with a
   * lease; the approval is used by it. The same call again is the same hold; one that has ended is refused. A call that
   * charges nothing and has no `once` key leaves no hold.
   */
  admit(request: AdmitRequest): MaybePromise<Admission>
  /**
   * As `admit`, but the hold is `reserved`: not running yet, and given back when its lease is over. There is always a
   * hold. An admit of the same call, of the same session, lets it run, whatever it charges: nothing more is taken.
   */
  reserve(request: AdmitRequest): MaybePromise<Admission>
  /**
   * Ends a running or orphaned hold with what was really spent. One that has ended, or is only reserved, stays as it
   * is. A call that held nothing, and is not known, but has spent is counted as well, once; rates too, even beyond
   * their limit. Of a call that was admitted, rates have counted already and are left alone.
   */
  settle(request: SettleRequest): MaybePromise<Settlement>
  /**
   * Gives a hold back in full: the tool did not run, or declared that failing costs nothing. An unknown call leaves a
   * tombstone, so that an admit which arrives late is refused. A hold that has ended or is orphaned stays as it is.
   * The `once` key is free again; what a rate has counted is not given back.
   */
  cancel(call: string): MaybePromise<Settlement>
  /** Extends the leases of holds that are still running; others are left alone. */
  renew(calls: readonly string[], leaseMs: number): MaybePromise<void>
  /**
   * Ends up to `limit` holds whose lease is over: `reserved` ones are released, `running` ones become `orphaned`,
   * counted at the held amount. Also forgets ended holds that are older than a day.
   */
  expire(limit: number): MaybePromise<Expired>
  /**
   * Tells of sessions that were revoked, suspended, resumed or extended and of approvals that changed, by any process,
   * soon after; answers how to stop. Hints may be lost, doubled or late: they save waiting, and authority stays with
   * the other verbs. Never throws.
   */
  watch?(listener: (hint: Hint) => void): () => void
  close?(): MaybePromise<void>
}

/** What may have changed in the store, as a hint: who is told looks for himself. */
export type Hint =
  | { readonly about: 'sessions'; readonly ids: readonly string[] }
  | { readonly about: 'approvals'; readonly ids: readonly string[] }
  /** Anything may have: the connection was lost meanwhile. */
  | { readonly about: 'everything' }

export interface SessionRow {
  readonly id: string
  /** SHA-256 of the bearer token, hex: the token itself is never stored. */
  readonly tokenHash: string
  readonly tenant: string
  readonly agent: string
  readonly scopes: readonly string[]
  readonly attributes: Readonly<Record<string, unknown>>
  /** Ids of the sessions this one was delegated from, the oldest first. */
  readonly chain: readonly string[]
  readonly createdAt: number
  readonly expiresAt: number
  readonly revokedAt?: number
  /** It admits nothing until that is lifted. */
  readonly suspended?: Suspension
}

/** Why a session stands still: the session that was suspended, which is this one or an ancestor, and the rule. */
export interface Suspension {
  readonly by: string
  readonly rule: string
}

export interface SessionVerbs {
  /**
   * Makes a session and its meters. `ttlMs` runs from the store's now. One that is made from others ends no later than
   * they do, and is revoked or suspended from the start when one of them is. Throws when its id, its token or the key of a meter is
   * taken, or when it comes from a session that is not known; then nothing was made. Answers the cap that leaves no
   * room for it, if there is one: nothing was made then, either.
   */
  create(row: NewSession, meters: readonly NewMeter[], caps?: readonly Cap[]): MaybePromise<SessionRow | CapReached>
  get(by: { readonly id: string } | { readonly tokenHash: string }): MaybePromise<SessionRow | undefined>
  /**
   * Moves the end of a live session to `ttlMs` from now, if that is later than it was and no later than the ends of its
   * ancestors. One that is over stays as it is. Answers the row as it stands then; `undefined` when it is not known.
   */
  extend(id: string, ttlMs: number): MaybePromise<SessionRow | undefined>
  /** Revokes a session and everything delegated from it; answers the ids this call ended. */
  revokeTree(id: string): MaybePromise<readonly string[]>
  /**
   * Suspends a session and everything delegated from it, now or later: none of them admits or reserves anything. What
   * is suspended already stays so, for its own reason. Answers the ids that stand still since this call.
   */
  suspendTree(id: string, rule: string): MaybePromise<readonly string[]>
  /**
   * Lifts what `suspendTree` did to this session. What was suspended by itself below it stays so; what has an ancestor
   * that is suspended stays so for that. Answers the ids that may act again.
   */
  resumeTree(id: string): MaybePromise<readonly string[]>
}

export type NewSession = Omit<SessionRow, 'createdAt' | 'expiresAt' | 'revokedAt' | 'suspended'> & {
  readonly ttlMs: number
}

/**
 * What names a meter, and how it counts. A meter of a session is a row made with the session, its limit in the row. A
 * standing meter carries its limit (or its rate) with every request; its row is made on first use.
 */
export interface MeterKey {
  /** `tenant|level:id|unit|window|name`. */
  readonly key: string
  readonly window: Window
  /** The IANA zone whose calendar cuts the window; UTC unless given. */
  readonly zone?: string
  /** Of a standing budget or quota. A changed limit holds from the next request on. */
  readonly limit?: bigint
  /** Of a standing rate; its window is `total`. */
  readonly rate?: Rate
}

/**
 * A rate, as a leaky bucket: what is admitted fills it, `limit` leaks out evenly in every `periodMs`, and an amount
 * that would raise it above `burst` is refused. This is the generic cell rate algorithm (ITU-T I.371, annex A, the
 * continuous-state form), so no boundary lets twice the rate through. The leak is rounded down to whole micro-units.
 */
export interface Rate {
  readonly limit: bigint
  readonly periodMs: number
  readonly burst: bigint
}

export interface NewMeter extends MeterKey {
  readonly limit: bigint
}

/** Of a rate: `limit` is its burst, `used` what is in the bucket now. */
export interface MeterState {
  readonly limit: bigint
  readonly used: bigint
  readonly held: bigint
}

export interface Charge {
  readonly meter: MeterKey
  readonly micros: bigint
}

export interface AdmitRequest {
  /** Our id of the call: also the hold's. */
  readonly call: string
  readonly session: string
  readonly charges: readonly Charge[]
  readonly leaseMs: number
  /**
   * A key that only one call at a time may have, and none for 24 hours after one that had it settled (or was orphaned,
   * as far as anyone knows it ran). Cancelling frees it.
   */
  readonly once?: string
  /** Kept with the hold and answered by `hold.get`. */
  readonly memo?: string
  /** The approval that the call needs; used up in the same step. Of an admit alone. */
  readonly consent?: Consent
}

/** A hold as it stands. */
export interface HoldRow {
  readonly session: string
  readonly state: HoldState
  readonly memo?: string
}

/** How many sessions of a tenant may live at once: all of them, or of different agents; or the sessions of one agent. */
export interface Cap {
  readonly count: 'sessions' | 'agents'
  readonly per: 'tenant' | 'agent'
  readonly limit: number
}

export interface CapReached {
  readonly refused: 'quota-exceeded'
  readonly cap: Cap
}

/**
 * Why a store refuses. `budget-exceeded`: a limit, of whatever is counted; `unavailable`: a meter of a live session is
 * missing, or the call has ended already.
 */
export type AdmitRefusal =
  | 'no-session'
  | 'session-expired'
  | 'session-revoked'
  | 'session-suspended'
  | 'duplicate-call'
  | 'budget-exceeded'
  | 'rate-exceeded'
  | 'approval-pending'
  | 'approval-denied'
  | 'approval-expired'
  | 'approval-used'
  | 'unavailable'

export type Admission =
  | { readonly ok: true; readonly at: number }
  | {
      readonly ok: false
      readonly refused: AdmitRefusal
      /** Key of the meter that refused. */
      readonly meter?: string
      /** Of a rate: after how many milliseconds the same would be admitted, if nothing else is meanwhile. */
      readonly retryMs?: number
      /** Of a session that is suspended: the rule it is suspended by. */
      readonly rule?: string
    }

export interface SettleRequest {
  readonly call: string
  /** The true cost on each meter; a held meter that is not named was not spent on. Absent: all that was held. */
  readonly spent?: readonly Charge[]
}

export type HoldState = 'reserved' | 'running' | 'settled' | 'released' | 'orphaned'

export interface Settlement {
  /** What the hold is now; `unknown` when there is none. */
  readonly state: HoldState | 'unknown'
  /**
   * Whether more was spent than a meter's limit allows: it is counted, and blocks later admits. Also when a meter of a
   * session is missing: then nobody can count it.
   */
  readonly overrun: boolean
}

export interface Expired {
  readonly released: readonly string[]
  readonly orphaned: readonly string[]
}

/** A writer of the trail, registered so that its chain can't vanish unseen. */
export interface WriterRow {
  readonly id: string
  /** Hash of its first entry. */
  readonly genesis: string
  /** How many entries were written, and the hash of the last, when this was registered. */
  readonly entries: number
  readonly head: string
  readonly closed: boolean
}

export interface WriterVerbs {
  put(row: WriterRow): MaybePromise<void>
  list(): MaybePromise<readonly WriterRow[]>
}
