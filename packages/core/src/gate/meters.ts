/** Meters: what a session may still spend, and the holds its running calls have on it. Steps 4 and 8 of the path. */
import { ask, background, type Clock, isPromise, type MaybePromise, within } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import type { Journal, Owed } from '../journal/journal.ts'
import { Amount, asAmount } from '../money.ts'
import type { Charge, MeterKey, MeterState, Settlement, Store } from '../stores/store.ts'
import type { Window } from '../stores/window.ts'
import type { Budget } from './scopes.ts'

/** One limit as a call meets it: of its session, of one that was delegated from, or a standing one. */
export interface Meter {
  /** As the store is asked for it. */
  readonly at: MeterKey
  readonly unit: string
  readonly limit: bigint
  /** What it limits, as refusals name it: `budget:USD`, `quota:calls/month@tenant`. */
  readonly rule: string
  readonly code: 'budget-exceeded' | 'quota-exceeded' | 'rate-exceeded'
  /** Why a call that does not fit is refused. */
  readonly reason: string
}

/** One limit, and how much of it is gone. */
export interface BudgetLine {
  readonly unit: string
  /** `total`, or the calendar window that the limit is for. */
  readonly window: Window
  /** As refusals name it: `budget:USD` is the session's own; `parent:budget:USD` of one it was delegated from. */
  readonly rule: string
  readonly limit: Amount
  /** Spent by calls that have ended, or that nobody can tell the end of. */
  readonly used: Amount
  /** Set aside for calls that are running. */
  readonly held: Amount
  /** What a further call may cost; zero when more was spent than allowed. */
  readonly left: Amount
}

/** The meters that a session's budgets create. `apart` begins the keys of a haldir that counts apart (shadow mode). */
export function sessionMeters(tenant: string, session: string, budgets: readonly Budget[], apart = ''): Meter[] {
  return budgets.map(({ unit, limit, window }) => ({
    at: { key: `${apart}${tenant}|session:${session}|${unit}|${window}|budget`, window },
    rule: `budget:${unit}${window === 'total' ? '' : `/${window}`}`,
    unit,
    limit,
    code: 'budget-exceeded',
    reason: "the call costs more than is left of the session's budget",
  }))
}

/** The same meters, as a session meets them that was delegated from their own. */
export function asParents(meters: readonly Meter[]): Meter[] {
  const reason = 'the call costs more than is left of the budget of a session that this one was delegated from'
  return meters.map((meter) => {
    const rule = meter.rule.startsWith('parent:') ? meter.rule : `parent:${meter.rule}`
    return { ...meter, rule, reason }
  })
}

/** How the store is asked for meters. */
export function keysOf(meters: readonly Meter[]): readonly MeterKey[] {
  return meters.map(({ at }) => at)
}

/** Meters that were read, as people ask for them. One of a session that is missing is not zero: throws `Unavailable`. */
export function budgetLines(
  meters: readonly Meter[],
  states: readonly (MeterState | undefined)[],
): readonly BudgetLine[] {
  if (!Array.isArray(states)) throw new Unavailable('`store.meters.read` answered nonsense')
  return meters.map(({ unit, rule, at: { key, window } }, index): BudgetLine => {
    const state = states[index]
    if (!state) throw new Unavailable(`the meter \`${key}\` is missing from the store`)
    const { limit, used, held } = state
    if (![limit, used, held].every((n) => typeof n === 'bigint')) {
      throw new Unavailable('`store.meters.read` answered nonsense')
    }
    const left = limit - used - held
    const [l, u, h, r] = [limit, used, held, left > 0n ? left : 0n].map((micros) => new Amount(unit, micros))
    return { unit, window, rule, limit: l as Amount, used: u as Amount, held: h as Amount, left: r as Amount }
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

/** What one call counts for on meters of the unit `calls`. */
export const CALLS = 'calls'
const ONE = 1_000_000n

/**
 * What amounts mean for meters: every meter of a unit is charged. Nothing is charged for nothing. With `calls`, the
 * meters that count calls are charged for one, or for as many as the amounts say.
 */
export function chargesOn(meters: readonly Meter[], amounts: readonly Amount[], calls = false): Charge[] {
  const charges: Charge[] = []
  for (const { at, unit } of meters) {
    let micros = calls && unit === CALLS ? ONE : 0n
    for (const one of amounts) if (one.unit === unit && one.micros > micros) micros = one.micros
    if (micros > 0n) charges.push({ meter: at, micros })
  }
  return charges
}

const STATES = new Set<unknown>(['settled', 'released', 'orphaned', 'unknown'] satisfies Settlement['state'][])
const RETRY_MS = 500
const RETRY_LONGEST_MS = 30_000
/** How many of what is owed are told to the store at once. */
const AT_ONCE = 64

export interface HoldsParts {
  readonly store: Store
  readonly clock: Clock
  readonly deadlineMs: number
  readonly leaseMs: number
  /** Keeps what the store has not taken beyond the life of this process. */
  readonly journal?: Journal | undefined
  /** Told what failed, and of what. */
  readonly failed: (part: string, error: unknown) => void
}

/**
 * The holds of this process's running calls. Renews their leases while they run, and does not rest until the store
 * has taken every settle and cancel: until then the amounts stay held, so nothing can be overspent meanwhile.
 */
export class Holds {
  readonly #parts: HoldsParts
  /** Running calls and when each began, oldest first. */
  readonly #running = new Map<string, number>()
  readonly #owed = new Map<string, Owed>()
  #renewing: (() => void) | undefined
  #retrying: (() => void) | undefined
  #closed = false

  constructor(parts: HoldsParts) {
    this.#parts = parts
  }

  /** Takes over what processes that are gone could not tell the store. */
  adopt(): void {
    try {
      for (const owed of this.#parts.journal?.adopt() ?? []) this.#owed.set(owed.call, owed)
    } catch (error) {
      this.#parts.failed('journal', error)
    }
    if (this.#owed.size > 0) this.#retryLater(0)
  }

  get leaseMs(): number {
    return this.#parts.leaseMs
  }

  /** How many settles and cancels the store has not taken yet. */
  get owed(): number {
    return this.#owed.size
  }

  begin(call: string): void {
    this.#running.set(call, this.#parts.clock.monotonic())
    if (!this.#renewing) this.#renewLater()
  }

  /** Ends a hold with what was spent. `undefined`: the store did not take it; it is tried again until it does. */
  settle(call: string, spent: readonly Charge[] | undefined): MaybePromise<Settlement | undefined> {
    this.#running.delete(call)
    return this.#deliver(spent ? { call, end: 'settle', spent } : { call, end: 'settle' })
  }

  /** Gives a hold back, or makes sure that an admit nobody heard the answer of holds nothing. */
  cancel(call: string): MaybePromise<Settlement | undefined> {
    this.#running.delete(call)
    return this.#deliver({ call, end: 'cancel' })
  }

  /**
   * Stops renewing and retrying: what is owed now is left to the journal. Without one it stays held until its lease is
   * over, and then counts as spent.
   */
  close(): void {
    this.#renewing?.()
    this.#retrying?.()
    this.#closed = true
    this.#journaled((journal) => journal.close())
  }

  /** Tries everything owed once more, some at a time; what is left when none of those was taken waits for the next turn. */
  async flush(): Promise<void> {
    const owed = [...this.#owed.values()]
    for (let from = 0; from < owed.length; from += AT_ONCE) {
      const some = owed.slice(from, from + AT_ONCE).filter((one) => !this.#isStale(one, true))
      const answers = await Promise.all(some.map((one) => this.#deliver(one, true)))
      // A store that is away is not asked for each of the many that came meanwhile.
      if (some.length > 0 && answers.every((answer) => answer === undefined)) return
    }
  }

  /** `again`: it is owed, and may have been taken, or followed by another word on the same call, by the time it is answered. */
  #deliver(owed: Owed, again = false): MaybePromise<Settlement | undefined> {
    const { clock, deadlineMs } = this.#parts
    try {
      const answer = this.#tell(owed)
      if (!isPromise(answer)) return this.#delivered(owed, again, answer)
      return within(answer, deadlineMs, clock, `store.${owed.end}`).then(
        (settlement) => this.#delivered(owed, again, settlement),
        (error) => this.#owe(owed, again, error),
      )
    } catch (error) {
      return this.#owe(owed, again, error)
    }
  }

  #tell({ call, end, spent }: Owed): MaybePromise<Settlement> {
    const { store } = this.#parts
    if (end === 'cancel') return store.cancel(call)
    return store.settle(spent ? { call, spent } : { call })
  }

  /** A store that answers nonsense has not taken it. */
  #delivered(owed: Owed, again: boolean, answer: Settlement): Settlement | undefined {
    if (!STATES.has(answer?.state))
      return this.#owe(owed, again, new Unavailable(`\`store.${owed.end}\` answered nonsense`))
    if (this.#isStale(owed, again)) return answer
    if (this.#owed.delete(owed.call)) this.#journaled((journal) => journal.paid(owed.call))
    return answer
  }

  #owe(owed: Owed, again: boolean, error: unknown): undefined {
    this.#parts.failed(`store.${owed.end}`, error)
    if (this.#isStale(owed, again)) return
    if (this.#owed.get(owed.call) !== owed) this.#journaled((journal) => journal.keep(owed))
    // Behind the others: what is never taken keeps nobody from being tried.
    this.#owed.delete(owed.call)
    this.#owed.set(owed.call, owed)
    if (!this.#retrying) this.#retryLater(RETRY_MS)
  }

  /** Invariant: an attempt that was overtaken takes back neither what the store has taken nor what was said since. */
  #isStale(owed: Owed, again: boolean): boolean {
    return again && this.#owed.get(owed.call) !== owed
  }

  #journaled(work: (journal: Journal) => void): void {
    const { journal, failed } = this.#parts
    try {
      if (journal) work(journal)
    } catch (error) {
      // It is still tried for as long as this process lives.
      failed('journal', error)
    }
  }

  #retryLater(delay: number): void {
    if (this.#closed) return
    this.#retrying = background(this.#parts.clock, delay, async () => {
      await this.flush()
      this.#retrying = undefined
      if (this.#owed.size > 0) this.#retryLater(Math.min(Math.max(delay * 2, RETRY_MS), RETRY_LONGEST_MS))
    })
  }

  /** Renews leases three times before they are over, for as long as a call runs. */
  #renewLater(): void {
    const { store, clock, deadlineMs, leaseMs } = this.#parts
    const every = Math.max(1, Math.floor(leaseMs / 3))
    this.#renewing = background(clock, every, async () => {
      const old = clock.monotonic() - every / 2
      const calls = [...this.#running].filter(([, began]) => began <= old).map(([call]) => call)
      try {
        const renew = () => store.renew(calls, leaseMs)
        if (calls.length > 0) await ask(renew, deadlineMs, clock, 'store.renew')
      } catch {
        // A lease that is not renewed counts as spent when it is over: the safe side.
      }
      this.#renewing = undefined
      if (this.#running.size > 0 && !this.#closed) this.#renewLater()
    })
  }
}
