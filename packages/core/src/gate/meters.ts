/** Meters: what a session may still spend, and the holds its running calls have on it. Steps 4 and 8 of the path. */
import { ask, background, type Clock, isPromise, type MaybePromise, within } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import { Amount, asAmount } from '../money.ts'
import type { Charge, NewMeter, Settlement, Store } from '../stores/store.ts'
import type { Window } from '../stores/window.ts'
import type { Budget } from './scopes.ts'

/** A meter of a session: one limit of its scopes. */
export interface SessionMeter extends NewMeter {
  readonly unit: string
  /** What it limits, as a rule is named in refusals: `budget:USD`, `budget:USD/day`. */
  readonly rule: string
}

/** One limit, and how much of it is gone. */
export interface BudgetLine {
  readonly unit: string
  /** `total`, or the calendar window (UTC) that the limit is for. */
  readonly window: Window
  readonly limit: Amount
  /** Spent by calls that have ended, or that nobody can tell the end of. */
  readonly used: Amount
  /** Set aside for calls that are running. */
  readonly held: Amount
  /** What a further call may cost; zero when more was spent than allowed. */
  readonly left: Amount
}

/** The meters that a session's budgets create. */
export function sessionMeters(tenant: string, session: string, budgets: readonly Budget[]): SessionMeter[] {
  return budgets.map(({ unit, limit, window }) => ({
    key: `${tenant}|session:${session}|${unit}|${window}|budget`,
    rule: `budget:${unit}${window === 'total' ? '' : `/${window}`}`,
    unit,
    limit,
    window,
  }))
}

/** Reads meters as people ask for them. A missing meter is not zero: throws `Unavailable`. */
export async function budgetLines(store: Store, meters: readonly SessionMeter[]): Promise<readonly BudgetLine[]> {
  const states = await store.meters.read(meters)
  if (!Array.isArray(states)) throw new Unavailable('`store.meters.read` answered nonsense')
  return meters.map(({ unit, window, key }, index): BudgetLine => {
    const state = states[index]
    if (!state) throw new Unavailable(`the meter \`${key}\` is missing from the store`)
    const { limit, used, held } = state
    if (![limit, used, held].every((n) => typeof n === 'bigint')) {
      throw new Unavailable('`store.meters.read` answered nonsense')
    }
    const left = limit - used - held
    const [l, u, h, r] = [limit, used, held, left > 0n ? left : 0n].map((micros) => new Amount(unit, micros))
    return { unit, window, limit: l as Amount, used: u as Amount, held: h as Amount, left: r as Amount }
  })
}

/** Reads what `cost`, `actual` or `spent` gave: one amount or several, one for each unit. `undefined`: it is neither. */
export function amountsOf(given: unknown): readonly Amount[] | undefined {
  const list: unknown[] = Array.isArray(given) ? given : [given]
  const amounts: Amount[] = []
  if (list.length === 0) return undefined
  for (const one of list) {
    const own = asAmount(one)
    if (!own) return undefined
    amounts.push(own)
  }
  return amounts.length === 1 ? amounts : sum(amounts)
}

/** One amount for each unit. */
export function sum(amounts: readonly Amount[]): readonly Amount[] {
  const totals = new Map<string, bigint>()
  for (const { unit, micros } of amounts) totals.set(unit, (totals.get(unit) ?? 0n) + micros)
  return [...totals].map(([unit, micros]) => new Amount(unit, micros))
}

/** What amounts mean for a session's meters: every meter of a unit is charged. Nothing is charged for nothing. */
export function chargesOn(meters: readonly SessionMeter[], amounts: readonly Amount[]): Charge[] {
  const charges: Charge[] = []
  for (const { unit, micros } of amounts) {
    if (micros === 0n) continue
    for (const meter of meters) if (meter.unit === unit) charges.push({ meter, micros })
  }
  return charges
}

/** The first unit that costs something and that no meter of the session counts. */
export function unmetered(meters: readonly SessionMeter[], amounts: readonly Amount[]): string | undefined {
  return amounts.find(({ unit, micros }) => micros > 0n && !meters.some((meter) => meter.unit === unit))?.unit
}

const STATES = new Set<unknown>(['settled', 'released', 'orphaned', 'unknown'] satisfies Settlement['state'][])
const RETRY_MS = 500
const RETRY_LONGEST_MS = 30_000

/**
 * The holds of this process's running calls. Renews their leases while they run, and does not rest until the store
 * has taken every settle and cancel: until then the amounts stay held, so nothing can be overspent meanwhile.
 */
export class Holds {
  readonly #store: Store
  readonly #clock: Clock
  readonly #deadlineMs: number
  readonly #leaseMs: number
  readonly #failed: (error: unknown) => void
  /** Running calls and when each began, oldest first. */
  readonly #running = new Map<string, number>()
  readonly #owed = new Map<string, () => MaybePromise<Settlement>>()
  #renewing: (() => void) | undefined
  #retrying: (() => void) | undefined
  #closed = false

  constructor(store: Store, clock: Clock, deadlineMs: number, leaseMs: number, failed: (error: unknown) => void) {
    this.#failed = failed
    this.#store = store
    this.#clock = clock
    this.#deadlineMs = deadlineMs
    this.#leaseMs = leaseMs
  }

  get leaseMs(): number {
    return this.#leaseMs
  }

  /** How many settles and cancels the store has not taken yet. */
  get owed(): number {
    return this.#owed.size
  }

  begin(call: string): void {
    this.#running.set(call, this.#clock.monotonic())
    if (!this.#renewing) this.#renewLater()
  }

  /** Ends a hold with what was spent. `undefined`: the store did not take it; it is tried again until it does. */
  settle(call: string, spent: readonly Charge[] | undefined): MaybePromise<Settlement | undefined> {
    this.#running.delete(call)
    return this.#deliver(call, () => this.#store.settle(spent ? { call, spent } : { call }))
  }

  /** Gives a hold back, or makes sure that an admit nobody heard the answer of holds nothing. */
  cancel(call: string): MaybePromise<Settlement | undefined> {
    this.#running.delete(call)
    return this.#deliver(call, () => this.#store.cancel(call))
  }

  /** Stops renewing and retrying: what is owed now stays held until its lease is over, and then counts as spent. */
  close(): void {
    this.#renewing?.()
    this.#retrying?.()
    this.#closed = true
  }

  /** Tries everything owed once more. */
  async flush(): Promise<void> {
    await Promise.all([...this.#owed].map(([call, work]) => this.#deliver(call, work)))
  }

  #deliver(call: string, work: () => MaybePromise<Settlement>): MaybePromise<Settlement | undefined> {
    try {
      const answer = work()
      if (!isPromise(answer)) return this.#delivered(call, work, answer)
      return within(answer, this.#deadlineMs, this.#clock, 'store.settle').then(
        (settlement) => this.#delivered(call, work, settlement),
        (error) => this.#owe(call, work, error),
      )
    } catch (error) {
      return this.#owe(call, work, error)
    }
  }

  /** A store that answers nonsense has not taken it. */
  #delivered(call: string, work: () => MaybePromise<Settlement>, answer: Settlement): Settlement | undefined {
    if (!STATES.has(answer?.state)) return this.#owe(call, work, new Unavailable('`store.settle` answered nonsense'))
    this.#owed.delete(call)
    return answer
  }

  #owe(call: string, work: () => MaybePromise<Settlement>, error: unknown): undefined {
    this.#failed(error)
    this.#owed.set(call, work)
    if (!this.#retrying) this.#retryLater(RETRY_MS)
  }

  #retryLater(delay: number): void {
    this.#retrying = background(this.#clock, delay, async () => {
      await this.flush()
      this.#retrying = undefined
      if (this.#owed.size > 0 && !this.#closed) this.#retryLater(Math.min(delay * 2, RETRY_LONGEST_MS))
    })
  }

  /** Renews leases three times before they are over, for as long as a call runs. */
  #renewLater(): void {
    const every = Math.max(1, Math.floor(this.#leaseMs / 3))
    this.#renewing = background(this.#clock, every, async () => {
      const old = this.#clock.monotonic() - every / 2
      const calls = [...this.#running].filter(([, began]) => began <= old).map(([call]) => call)
      try {
        const renew = () => this.#store.renew(calls, this.#leaseMs)
        if (calls.length > 0) await ask(renew, this.#deadlineMs, this.#clock, 'store.renew')
      } catch {
        // A lease that is not renewed counts as spent when it is over: the safe side.
      }
      this.#renewing = undefined
      if (this.#running.size > 0 && !this.#closed) this.#renewLater()
    })
  }
}
