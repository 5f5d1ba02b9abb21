import { checked, refusalOf } from './before.ts'
import { ask } from './clock.ts'
import { ConfigError, Denied } from './errors.ts'
import { chargesOn } from './gate/meters.ts'
import type { Session } from './gate/sessions.ts'
import { type Amount, amount as amountOf, asAmount } from './money.ts'
import type { Belongings, House } from './pass.ts'
import { showAs } from './show.ts'
import type { Admission, AdmitRefusal, AdmitRequest, HoldState } from './stores/store.ts'
import { callFragment, type Draft, toolFragment } from './watch/chain.ts'

/** What was authorized, as the hold's memo keeps it. */
export interface Terms {
  readonly amount: Amount
  readonly expiresAt: Date
}

export type AuthorizationStatus = 'authorized' | 'captured' | 'voided'

export const PAYMENTS = 'payments.authorize'
const TOOL = toolFragment({ name: PAYMENTS })
/** What a store says of a session that is over, or stands still; one that was over long ago may be forgotten. */
const OVER = new Set<AdmitRefusal>(['session-revoked', 'session-expired', 'session-suspended', 'no-session'])

/** The members of an entry that name an authorization. */
export function paymentFragment(id: string): string {
  return callFragment({ id }, TOOL, undefined)
}

/** An amount that is set aside. `capture` spends it, or part of it; `void`, or its expiry, gives it back. */
export class Authorization {
  /** Names it in the trail, and for `payments.find`. */
  readonly id: string
  readonly amount: Amount
  /** When what is not captured is given back. */
  readonly expiresAt: Date
  readonly #house: House
  readonly #session: Session
  #status: AuthorizationStatus
  #captured: Amount | undefined

  /** @internal */
  constructor(house: House, session: Session, id: string, { amount, expiresAt }: Terms, status: AuthorizationStatus) {
    this.#house = house
    this.#session = session
    this.id = id
    this.amount = amount
    this.expiresAt = expiresAt
    this.#status = status
  }

  /** As far as this process knows; the store has the last word, at `capture` and `void`. */
  get status(): AuthorizationStatus {
    return this.#status
  }

  /** What was captured by this handle. */
  get captured(): Amount | undefined {
    return this.#captured
  }

  /**
   * Spends what was set aside, or part of it; the rest is given back. May be tried again when it rejects `unavailable`
   * for a store that did not answer. Rejects with `Denied` when the session is over, when it has expired, was voided or
   * captured before, with `ConfigError` for more than was authorized.
   */
  async capture(part: Amount = this.amount): Promise<void> {
    const { holds, ids, shadow, standing } = this.#house
    const given = asAmount(part)
    const { unit, micros } = this.amount
    if (!given || given.unit !== unit || given.micros > micros || given.micros === 0n) {
      throw new ConfigError('invalid-amount', 'amount', '`amount` is more than zero and no more than was authorized')
    }
    if (this.#status !== 'authorized') throw this.#ended()
    const attempt = ids()
    const refused = await this.#begin(attempt)
    if (refused) void holds.cancel(attempt)
    // In shadow mode nothing stops a payment, nor does a store that is down.
    if (refused && !shadow) throw refused
    if (!refused) {
      // All of it: whatever it was held on, also by a process that knows of other meters.
      const all = given.micros === micros
      const spent = all ? undefined : chargesOn(standing.forCall(this.#session.leaves, PAYMENTS), [given], true)
      const settlement = await holds.settle(this.id, spent)
      const lost = settlement !== undefined && settlement.state !== 'settled'
      // Not waited for: a store that hangs would take a second deadline.
      void (lost ? holds.cancel(attempt) : holds.settle(attempt, undefined))
      if (lost) this.#status = statusOf(settlement.state)
      if (lost && !shadow) throw this.#ended()
    }
    this.#status = 'captured'
    this.#captured = given
    this.#house.reports?.spent(PAYMENTS, [given])
    await this.#record({ spent: [given], data: { ended: 'ok' } })
  }

  /**
   * Gives back what was set aside. Once more is the same; rejects with `Denied` when it was captured, or is being
   * captured, or when the store does not answer.
   */
  async void(): Promise<void> {
    const { holds, ids, shadow } = this.#house
    if (this.#status === 'voided') return
    if (this.#status === 'captured') throw this.#ended()
    const attempt = ids()
    const refused = await this.#claim(attempt)
    if (refused) void holds.cancel(attempt)
    if (refused && this.#isVoided()) return
    if (refused && !shadow) throw refused
    const settlement = await holds.cancel(this.id)
    // The key stays used: what the store has not given back yet must not be captured meanwhile.
    if (!refused) void holds.settle(attempt, undefined)
    if (settlement?.state === 'settled' || settlement?.state === 'orphaned') {
      this.#status = 'captured'
      throw this.#ended()
    }
    this.#status = 'voided'
    await this.#record({ data: { ended: 'not-run', reason: 'the authorization was voided' } })
  }

  toJSON(): { id: string; amount: Amount; status: AuthorizationStatus; expiresAt: Date } {
    const { id, amount, status, expiresAt } = this
    return { id, amount, status, expiresAt }
  }

  /** Lets the hold run, for this attempt alone. Answers why it can't be captured. */
  async #begin(attempt: string): Promise<Denied | undefined> {
    if (!this.#house.open) return new Denied('unavailable', 'this haldir is closed', this.id)
    return this.#answered(async () => {
      const only = await this.#only(attempt)
      const taken = only.ok || only.refused === 'duplicate-call' ? await this.#taken(only.ok) : this.#refused(only)
      if (taken) return taken
      // The store lets it run only if the session still lives and the hold has not expired: what was authorized before
      // a revoke is not spent after it.
      const admission = await this.#admit({ ...this.#request(), call: this.id })
      return admission.ok ? undefined : this.#refused(admission)
    })
  }

  /** Makes sure that nobody captures, for this attempt to void. Answers why it can't. */
  #claim(attempt: string): Promise<Denied | undefined> {
    return this.#answered(async () => {
      const only = await this.#only(attempt)
      // Of a session that is over nobody begins to capture any more; whether someone has begun, the hold tells.
      const over = !only.ok && OVER.has(only.refused)
      if (!only.ok && only.refused !== 'duplicate-call' && !over) return this.#refused(only)
      return this.#taken(only.ok, over)
    })
  }

  /**
   * Invariant: a payment is captured once, and what was captured is not voided. One attempt at a time has this key, in
   * all processes on the store, and the one that succeeds keeps it; meanwhile nobody else ends the hold.
   */
  #only(attempt: string): Promise<Admission> {
    const { apart } = this.#house
    const once = `${apart}${this.#session.tenant}|${PAYMENTS}|capture ${this.id}`
    return this.#admit({ ...this.#request(), call: attempt, once })
  }

  /** Why the hold is somebody else's to end, or has ended. One that ended long ago is forgotten. */
  async #taken(own: boolean, over = false): Promise<Denied | undefined> {
    const row = await this.#ask(() => this.#house.store.hold.get(this.id), 'store.hold.get')
    this.#status = statusOf(row?.state)
    if (this.#status !== 'authorized') return this.#ended()
    if (own || (over && row?.state === 'reserved')) return undefined
    return new Denied('duplicate-call', 'this payment is being captured or voided already', this.id)
  }

  #request(): Pick<AdmitRequest, 'session' | 'charges' | 'leaseMs'> {
    return { session: this.#session.id, charges: [], leaseMs: this.#house.holds.leaseMs }
  }

  async #answered(work: () => Promise<Denied | undefined>): Promise<Denied | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#house.faults.note('store.admit', error)
      return new Denied('unavailable', 'the store did not answer for this payment', this.id)
    }
  }

  /** Asked anew after the store has answered. */
  #isVoided(): boolean {
    return this.#status === 'voided'
  }

  #refused(admission: Extract<Admission, { ok: false }>): Denied {
    const { refused } = admission
    if (refused === 'session-revoked' || refused === 'session-expired') this.#session.end(refused)
    if (refused === 'unavailable') {
      this.#status = 'voided'
      return this.#ended()
    }
    const { code, reason } = refusalOf(admission, [])
    return new Denied(code, reason, this.id)
  }

  #ended(): Denied {
    const captured = this.#status === 'captured'
    return captured
      ? new Denied('duplicate-call', 'this payment was captured already', this.id)
      : new Denied('unavailable', 'this authorization has expired or was voided', this.id)
  }

  async #record(rest: Pick<Draft, 'spent' | 'data'>): Promise<void> {
    const { fragment } = this.#house.belongings.get(this.#session) as Belongings
    const call = paymentFragment(this.id)
    const about = { session: this.#session, tool: { name: PAYMENTS } }
    await this.#house.trail.conclude({ type: 'outcome', session: fragment, call, ...rest, about })
  }

  async #admit(request: AdmitRequest): Promise<Admission> {
    return checked(await this.#ask(() => this.#house.store.admit(request), 'store.admit'))
  }

  #ask<T>(work: () => T | PromiseLike<T>, what: string): Promise<T> {
    return ask(work, this.#house.deadlineMs, this.#house.clock, what)
  }
}

showAs(Authorization, ({ id, amount, status }) => `Authorization ${id} (${amount}, ${status})`)

/** What a hold's state means for its payment. One that is not known was given back long ago. */
export function statusOf(state: HoldState | 'unknown' | undefined): AuthorizationStatus {
  // Of an orphan a capture was begun, and nobody knows how it ended: it counts as spent.
  if (state === 'settled' || state === 'orphaned') return 'captured'
  return state === 'reserved' || state === 'running' ? 'authorized' : 'voided'
}

/** Reads a memo; `undefined` when the hold is no payment's. */
export function termsIn(memo: string | undefined): Terms | undefined {
  try {
    const { amount, unit, expiresAt } = JSON.parse(memo ?? '')
    const terms = { amount: amountOf(unit, String(amount)), expiresAt: new Date(expiresAt) }
    return Number.isNaN(terms.expiresAt.getTime()) ? undefined : terms
  } catch {
    return undefined
  }
}
