/** Holds of the memory store: those that live, and what is remembered of those that ended. */
import type { Part } from './memory-meters.ts'
import type { AdmitRequest, HoldState } from './store.ts'

export interface Hold {
  readonly session: string
  state: HoldState
  /** When its lease is over. */
  lease: number
  readonly once: string | undefined
  readonly memo: string | undefined
  readonly parts: readonly Part[]
}

/** What is remembered of a hold that has ended. */
type Ended = Pick<Hold, 'session' | 'state' | 'memo'>

const DAY_MS = 86_400_000
/** How many ended holds are remembered at least, so that a repeated verb finds its hold; memory stays flat. */
const REMEMBERED = 10_000

export class MemoryHolds {
  /** Reserved, running and orphaned holds, by call. */
  readonly #live = new Map<string, Hold>()
  readonly #ended = new Recent<Ended>((size) => size >= REMEMBERED)
  /** Which call has a `once` key, while its hold is reserved or running. */
  readonly #takenBy = new Map<string, string>()
  /** When a `once` key was used up: its call settled or was orphaned. */
  readonly #used = new Recent<number>((_, began, at) => at - began >= DAY_MS)

  get(call: string): Hold | undefined {
    return this.#live.get(call)
  }

  /** What a call that has ended came to, as long as that is remembered. */
  ended(call: string): Ended | undefined {
    return this.#ended.get(call)
  }

  /** The holds that time may end. */
  entries(): Iterable<[string, Hold]> {
    return this.#live
  }

  add(
    { call, session, leaseMs, once, memo }: AdmitRequest,
    state: HoldState,
    parts: readonly Part[],
    at: number,
  ): void {
    this.#live.set(call, { session, state, lease: at + leaseMs, once, memo, parts })
    if (once !== undefined) this.#takenBy.set(once, call)
  }

  /** Whether a `once` key belongs to a call that runs, may still run, or ran within a day. */
  taken(once: string, at: number): boolean {
    const hold = this.#live.get(this.#takenBy.get(once) ?? '')
    if (hold?.state === 'running' || (hold?.state === 'reserved' && hold.lease > at)) return true
    const used = this.#used.get(once)
    return used !== undefined && at - used < DAY_MS
  }

  /** Ends a hold for good. A call without one leaves a trace all the same, so that it can't begin later. */
  end(call: string, state: 'settled' | 'released', at: number): void {
    const hold = this.#live.get(call)
    if (hold) {
      this.#freeOnce(call, hold, state === 'settled' ? at : undefined)
      this.#live.delete(call)
    }
    this.#ended.set(call, { session: hold?.session ?? '', state, memo: hold?.memo }, at)
  }

  /** Nobody knows what became of it: its amounts stay counted, its `once` key used. */
  orphan(call: string, hold: Hold, at: number): void {
    this.#freeOnce(call, hold, at)
    hold.state = 'orphaned'
  }

  #freeOnce(call: string, { once }: Hold, usedAt: number | undefined): void {
    if (once === undefined) return
    if (this.#takenBy.get(once) === call) this.#takenBy.delete(once)
    if (usedAt !== undefined) this.#used.set(once, usedAt, usedAt)
  }
}

/**
 * Remembers the newest entries; which are new enough to keep is told when one is added. Two maps by turns: taking the
 * oldest out of one map, one at a time, costs more with every entry that was taken out before.
 */
class Recent<V> {
  readonly #full: (size: number, began: number, at: number) => boolean
  #newer = new Map<string, V>()
  #older = new Map<string, V>()
  #began = 0

  /** `full`: the newer map, begun then, takes no more: what is in the older one may be forgotten. */
  constructor(full: (size: number, began: number, at: number) => boolean) {
    this.#full = full
  }

  get(key: string): V | undefined {
    return this.#newer.get(key) ?? this.#older.get(key)
  }

  set(key: string, value: V, at: number): void {
    if (this.#full(this.#newer.size, this.#began, at)) {
      this.#older = this.#newer
      this.#newer = new Map()
      this.#began = at
    }
    this.#newer.set(key, value)
  }
}
