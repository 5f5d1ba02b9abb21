import { refusalOf } from './before.ts'
import { ask } from './clock.ts'
import { ConfigError, Denied, HaldirError } from './errors.ts'
import { chargesOn } from './gate/meters.ts'
import type { Session } from './gate/sessions.ts'
import { type Amount, amount as amountOf, asAmount } from './money.ts'
import type { Belongings, House } from './pass.ts'
import { showAs } from './show.ts'
import type { Admission } from './stores/store.ts'
import { callFragment, type Draft, toolFragment } from './watch/chain.ts'

/** What was authorized, as the hold's memo keeps it. */
export interface Terms {
  readonly amount: Amount
  readonly expiresAt: Date
}

export type AuthorizationStatus = 'authorized' | 'captured' | 'voided'

export const PAYMENTS = 'payments.authorize'
const TOOL = toolFragment({ name: PAYMENTS })

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
    const { store, holds, standing, shadow } = this.#house
    const given = asAmount(part)
    const { unit, micros } = this.amount
    if (!given || given.unit !== unit || given.micros > micros || given.micros === 0n) {
      throw new ConfigError('invalid-amount', 'amount', '`amount` is more than zero and no more than was authorized')
    }
    if (this.#status !== 'authorized') throw this.#ended()
    const meters = standing.forCall(this.#session.leaves, PAYMENTS)
    // The store lets the hold run only if the session still lives and the hold has not expired: what was authorized
    // before a revoke is not spent after it.
    const request = { call: this.id, session: this.#session.id, charges: [], leaseMs: holds.leaseMs }
    const admission = await this.#ask(() => store.admit(request), 'store.admit').catch((error) => {
      // In shadow mode a store that is down stops no payment.
      if (shadow) return undefined
      throw error
    })
    if (admission?.ok === false) await this.#refused(admission)
    else if (admission) {
      const settlement = await holds.settle(this.id, chargesOn(meters, [given], true))
      if (settlement && settlement.state !== 'settled' && !shadow) throw this.#ended()
    }
    this.#status = 'captured'
    this.#captured = given
    await this.#record({ spent: [given], data: { ended: 'ok' } })
  }

  /** Gives back what was set aside. Once more is the same; rejects with `Denied` when it was captured. */
  async void(): Promise<void> {
    if (this.#status === 'voided') return
    if (this.#status === 'captured') throw this.#ended()
    const settlement = await this.#house.holds.cancel(this.id)
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

  async #refused(admission: Extract<Admission, { ok: false }>): Promise<void> {
    const { store, shadow } = this.#house
    if (shadow) return
    if (admission.refused === 'unavailable') {
      const row = await this.#ask(() => store.hold.get(this.id), 'store.hold.get')
      this.#status = row?.state === 'settled' ? 'captured' : 'voided'
      throw this.#ended()
    }
    const { code, reason } = refusalOf(admission, [])
    throw new Denied(code, reason, this.id)
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
    await this.#house.trail.conclude({ type: 'outcome', session: fragment, call, ...rest })
  }

  async #ask<T>(work: () => T | PromiseLike<T>, what: string): Promise<T> {
    const { deadlineMs, clock, faults } = this.#house
    try {
      return await ask(work, deadlineMs, clock, what)
    } catch (error) {
      faults.note(what, error)
      throw HaldirError.isInstance(error) ? error : new Denied('unavailable', 'the store did not answer', this.id)
    }
  }
}

showAs(Authorization, ({ id, amount, status }) => `Authorization ${id} (${amount}, ${status})`)

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
