/** The store's time as this process knows it: only for the names of windows, which a script can't tell. */
import { systemClock } from '@haldir/core'
import { type Clock, type MeterKey, steadyTime, type Window, windowOf } from '@haldir/core/store'

const MINUTE_MS = 60_000

/** A window's name, and from when to when it holds for certain. */
export interface Placed {
  readonly name: string
  readonly from: number
  readonly until: number
}

export class Moments {
  readonly #clock: Clock
  /** Time that is sent; absent: the server's own. */
  readonly #own: (() => number) | undefined
  readonly #began: number
  #floor = 0
  #last = 0
  #ticked = 0
  readonly #placed = new Map<string, Placed & { readonly minute: number }>()

  constructor(clock: Clock | undefined) {
    this.#clock = clock ?? systemClock
    this.#own = clock && steadyTime(clock)
    this.#began = this.#clock.monotonic()
  }

  /** Whether time comes from a clock of ours, and not from the server. */
  get isOwn(): boolean {
    return this.#own !== undefined
  }

  /** Says what the store's time was when this began: a clock of ours goes on from there. */
  goOn(floor: number): void {
    this.#floor = floor
  }

  /** What is sent as the time; empty: the server's is taken. */
  sent(): string {
    return this.#own ? String(this.#now(this.#own)) : ''
  }

  #now(own: () => number): number {
    return Math.floor(Math.max(own(), this.#floor + this.#clock.monotonic() - this.#began))
  }

  /** The server has said what time it is. */
  learn(now: number): void {
    this.#last = now
    this.#ticked = this.#clock.monotonic()
  }

  /** What the store's time is about now. Nothing is judged by it. */
  estimate(): number {
    if (this.#own) return this.#now(this.#own)
    return Math.floor(this.#last + this.#clock.monotonic() - this.#ticked)
  }

  /** The window of a meter at about that time. */
  place(meter: MeterKey, now: number): Placed {
    const key = `${meter.window} ${meter.zone ?? ''}`
    const minute = Math.floor(now / MINUTE_MS)
    const known = this.#placed.get(key)
    if (known?.minute === minute) return known
    // A name holds for the whole minute; so a minute before and after which has the same belongs to it.
    const at = (minutes: number) => windowOf(meter, minutes * MINUTE_MS)
    const name = at(minute)
    const from = (at(minute - 1) === name ? minute - 1 : minute) * MINUTE_MS
    const until = (at(minute + 1) === name ? minute + 2 : minute + 1) * MINUTE_MS
    const placed = { name, from, until, minute }
    this.#placed.set(key, placed)
    return placed
  }
}

const DAY_MS = 86_400_000
const LENGTH: Readonly<Record<Window, number>> = {
  total: 0,
  hour: DAY_MS,
  day: 2 * DAY_MS,
  week: 8 * DAY_MS,
  month: 32 * DAY_MS,
}

/** How long the row of a window is kept from its last use: to the end of the window and a week longer. Empty: for ever. */
export function lasting(window: Window): string {
  return window === 'total' ? '' : String(LENGTH[window] + 7 * DAY_MS)
}
