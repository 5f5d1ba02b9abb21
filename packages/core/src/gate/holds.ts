/** Holds: what running calls have set aside on meters. Steps 4 and 8 of the path. */
import { ask, background, type Clock, isPromise, type MaybePromise, within } from '../clock.ts'
import { Unavailable } from '../errors.ts'
import type { Journal, Owed } from '../journal/journal.ts'
import type { Charge, Settlement, Store } from '../stores/store.ts'

const STATES = new Set<unknown>(['settled', 'released', 'orphaned', 'unknown'] satisfies Settlement['state'][])
const RETRY_MS = 500
const RETRY_LONGEST_MS = 5_000
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
  /** The store has answered again while it was asked: what was under way may be lost. */
  #again = false
  #flushing = false
  /** When the last turn ended. */
  #tried = Number.NEGATIVE_INFINITY
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
      const answer = again && owed.end === 'cancel' ? this.#giveBack(owed.call) : this.#tell(owed)
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

  /**
   * Cancels late: a hold that time has ended meanwhile counts as spent. A call's id is known to the process alone that it
   * came to, so nobody else can have spent anything on it, and nobody else can tell the store.
   */
  async #giveBack(call: string): Promise<Settlement> {
    const { store } = this.#parts
    const ended = await store.cancel(call)
    return ended?.state === 'orphaned' ? store.settle({ call, spent: [] }) : ended
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

  /** The store answers again: it is told what is owed within half a second, so that few calls are refused for what is over. */
  retry(): void {
    this.#again = this.#flushing
    if (this.#owed.size === 0 || this.#flushing) return
    this.#retrying?.()
    // What it never takes is not offered after every call that it does take.
    this.#retryLater(Math.max(0, RETRY_MS - (this.#parts.clock.monotonic() - this.#tried)))
  }

  #retryLater(delay: number): void {
    if (this.#closed) return
    this.#retrying = background(this.#parts.clock, delay, async () => {
      this.#flushing = true
      this.#again = false
      await this.flush()
      this.#flushing = false
      this.#tried = this.#parts.clock.monotonic()
      this.#retrying = undefined
      const next = this.#again ? RETRY_MS : Math.min(Math.max(delay * 2, RETRY_MS), RETRY_LONGEST_MS)
      if (this.#owed.size > 0) this.#retryLater(next)
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
