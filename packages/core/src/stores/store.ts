/**
 * Where shared state lives. Every verb is atomic: another process on the same store sees all of it or nothing. A verb
 * may answer at once or with a promise; a thrown error means that nothing is known to have happened. Every `now` is
 * the store's own and never goes back. Amounts are micro-units. Experimental until more than one engine has proved it.
 */
import type { MaybePromise } from '../clock.ts'
import type { Window } from './window.ts'

export interface Store {
  readonly session: SessionVerbs
  readonly meters: { read(keys: readonly MeterKey[]): MaybePromise<readonly (MeterState | undefined)[]> }
  readonly secret: SecretVerbs
  readonly writer: WriterVerbs

  /**
   * Takes everything a call needs, or nothing: the session and all its ancestors are live, and every charge fits its
   * meter. The hold is made `running`, with a lease. The same call again is the same hold; a cancelled one is refused.
   */
  admit(request: AdmitRequest): MaybePromise<Admission>
  /** As `admit`, but the hold is `reserved`: not running yet, and given back when its lease is over. */
  reserve(request: AdmitRequest): MaybePromise<Admission>
  /**
   * Ends a hold with what was really spent. A hold that has ended stays as it is. A call that held nothing, and is not
   * known, but has spent is counted as well, once.
   */
  settle(request: SettleRequest): MaybePromise<Settlement>
  /**
   * Gives a hold back in full: the tool did not run, or declared that failing costs nothing. An unknown call leaves a
   * tombstone, so that an admit which arrives late is refused. A hold that has ended or is orphaned stays as it is.
   */
  cancel(call: string): MaybePromise<Settlement>
  /** Extends the leases of holds that are still running; others are left alone. */
  renew(calls: readonly string[], leaseMs: number): MaybePromise<void>
  /**
   * Ends up to `limit` holds whose lease is over: `reserved` ones are released, `running` ones become `orphaned`,
   * counted at the held amount. Also forgets ended holds that are older than a day.
   */
  expire(limit: number): MaybePromise<Expired>
  close?(): MaybePromise<void>
}

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
}

export interface SessionVerbs {
  /**
   * Makes a session and its meters. `ttlMs` runs from the store's now. One that is made from others ends no later than
   * they do, and is revoked from the start when one of them is. Throws when its id, its token or the key of a meter is
   * taken, or when it comes from a session that is not known; then nothing was made.
   */
  create(row: NewSession, meters: readonly NewMeter[]): MaybePromise<SessionRow>
  get(by: { readonly id: string } | { readonly tokenHash: string }): MaybePromise<SessionRow | undefined>
  /** Revokes a session and everything delegated from it; answers the ids this call ended. */
  revokeTree(id: string): MaybePromise<readonly string[]>
}

export type NewSession = Omit<SessionRow, 'createdAt' | 'expiresAt' | 'revokedAt'> & { readonly ttlMs: number }

/** What names a meter: `tenant|level:id|unit|window|name`, and the window its rows are cut by. */
export interface MeterKey {
  readonly key: string
  readonly window: Window
}

export interface NewMeter extends MeterKey {
  readonly limit: bigint
}

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
}

/** Why a store refuses. `unavailable`: a meter of a live session is missing. */
export type AdmitRefusal = 'no-session' | 'session-expired' | 'session-revoked' | 'budget-exceeded' | 'unavailable'

export type Admission =
  | { readonly ok: true; readonly at: number }
  | { readonly ok: false; readonly refused: AdmitRefusal; readonly meter?: string }

export interface SettleRequest {
  readonly call: string
  /** The true cost on each meter; a held meter that is not named was not spent on. Absent: all that was held. */
  readonly spent?: readonly Charge[]
}

export type HoldState = 'reserved' | 'running' | 'settled' | 'released' | 'orphaned'

export interface Settlement {
  /** What the hold is now; `unknown` when there is none. */
  readonly state: HoldState | 'unknown'
  /** Whether more was spent than a meter's limit allows: it is counted, and blocks later admits. */
  readonly overrun: boolean
}

export interface Expired {
  readonly released: readonly string[]
  readonly orphaned: readonly string[]
}

/** One version of a sealed secret. Nothing in it can be read without the wrapping key. */
export interface SealedSecret {
  readonly tenant: string
  readonly name: string
  readonly version: number
  readonly keyId: string
  readonly scope: string
  readonly tools: readonly string[]
  /** The data key, wrapped by the key provider; base64. */
  readonly wrapped: string
  /** Nonce, ciphertext and tag; base64. */
  readonly sealed: string
}

export interface SecretVerbs {
  /** Adds a version; `false` when that version exists already. */
  put(secret: SealedSecret): MaybePromise<boolean>
  /** The newest version. */
  get(tenant: string, name: string): MaybePromise<SealedSecret | undefined>
  list(tenant: string): MaybePromise<readonly SealedSecret[]>
  /** Deletes every version; answers whether there was one. */
  delete(tenant: string, name: string): MaybePromise<boolean>
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
