/** More calls in a minute than an agent makes at its busiest. */
import { Days, quantile } from './days.ts'
import { DAY_MS, type Detector, type Finding, isAttempt, MINUTE_MS, type Observation, type Watch } from './signal.ts'

export interface BurstSettings {
  /** How many times the usual peak of a day is a burst. */
  readonly factor: number
  /** How many calls in a minute are no burst, whatever is usual. */
  readonly atLeast: number
  /** How many are one while nothing is known of the agent. */
  readonly unknown: number
  /** How many days are learned before it is known. */
  readonly days: number
  readonly coolDownMs: number
}

const KEEP = 28

export function burst(settings: BurstSettings): Detector {
  const { coolDownMs } = settings
  return { signal: 'burst', scope: 'agent', coolDownMs, begin: () => new BurstWatch(settings) }
}

class BurstWatch implements Watch {
  readonly #settings: BurstSettings
  readonly #peaks = new Days(KEEP)
  #minute = -1
  #count = 0
  #before = 0
  #day = -1
  #threshold = 0

  constructor(settings: BurstSettings) {
    this.#settings = settings
  }

  observe(seen: Observation): Finding | undefined {
    if (!isAttempt(seen)) return undefined
    const { at } = seen
    const day = Math.floor(at / DAY_MS)
    if (day !== this.#day) this.#threshold = this.#lookBack(day)
    this.#day = day
    const value = this.#take(at)
    const threshold = this.#threshold
    if (value <= threshold) return undefined
    const severity = value > 3 * threshold ? 'high' : 'medium'
    return { value: Math.round(value), threshold, windowMs: MINUTE_MS, severity, key: 'burst' }
  }

  learn(seen: Observation): void {
    if (isAttempt(seen)) this.#take(seen.at)
  }

  /** Counts a call; answers how many there were in the minute up to it: of the one before, the part that is left. */
  #take(at: number): number {
    const minute = Math.floor(at / MINUTE_MS)
    if (minute !== this.#minute) {
      this.#before = minute === this.#minute + 1 ? this.#count : 0
      this.#count = 0
      this.#minute = minute
    }
    this.#count++
    this.#peaks.raise(Math.floor(at / DAY_MS), this.#count)
    return this.#count + this.#before * (1 - (at / MINUTE_MS - minute))
  }

  #lookBack(day: number): number {
    const { factor, atLeast, unknown, days } = this.#settings
    const peaks = this.#peaks.between(day - KEEP, day)
    return peaks.length < days ? unknown : Math.max(atLeast, factor * quantile(peaks, 0.9))
  }
}
