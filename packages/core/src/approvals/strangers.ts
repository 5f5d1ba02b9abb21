/**
 * How much strangers can make us write: what comes in and counts for nothing is recorded, but whoever sends it by the
 * thousand must not fill the trail. What was left out is counted, and told by the next that is recorded.
 */
import type { Clock } from '../clock.ts'

const AT_ONCE = 100
const EVERY_MS = 1_000

export class Strangers {
  readonly #clock: Clock
  #left = AT_ONCE
  #since: number
  #unrecorded = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.monotonic()
  }

  /** Whether the next one is recorded, and how many before it were not. */
  next(): { readonly unrecorded: number } | undefined {
    const now = this.#clock.monotonic()
    const more = Math.floor((now - this.#since) / EVERY_MS)
    this.#left = Math.min(AT_ONCE, this.#left + more)
    this.#since += more * EVERY_MS
    if (this.#left < 1) {
      this.#unrecorded++
      return undefined
    }
    this.#left--
    const unrecorded = this.#unrecorded
    this.#unrecorded = 0
    return { unrecorded }
  }
}
