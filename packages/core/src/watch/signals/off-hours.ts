/**
 * Use of tools at hours when an agent uses none: those that are written down, or those it has been seen in. What is
 * learned is how many hours it was active in each of the 168 hours of a week, smoothed over the hours beside them and,
 * weakly, over the other days of the same kind; a call is off hours where that is a small part of what is usual.
 */
import {
  DAY_MS,
  type Detector,
  type Finding,
  HOUR_MS,
  isAttempt,
  MINUTE_MS,
  type Observation,
  type Watch,
} from './signal.ts'

export interface HoursSettings {
  /** The hours that are written down: whether a minute of the week is one of them. Absent: they are learned. */
  readonly allowed: ((minute: number) => boolean) | undefined
  /** Minutes since Monday 00:00, where the agent's clocks are. */
  readonly minutes: (at: number) => number
  /** How long is learned before anything is said. */
  readonly learnMs: number
  /** How many active hours at least, besides that. */
  readonly active: number
  /** What part of the usual activity an hour must have had. */
  readonly share: number
  readonly coolDownMs: number
}

const HOURS = 168
const WEEK_MS = 7 * DAY_MS
/** What is left of last week's counts: habits change. */
const FADE = 0.9
/** The weight of the hours beside an hour, and of the same hour on other days of its kind. */
const BESIDE = 0.5
const LIKE = 0.25
/** What every hour is given, so that few observations prove little. */
const PRIOR = 0.15

export function offHours(settings: HoursSettings): Detector {
  const { coolDownMs, allowed } = settings
  const begin = () => (allowed ? new WrittenHours(settings, allowed) : new LearnedHours(settings))
  return { signal: 'off-hours', scope: 'agent', coolDownMs, begin }
}

class WrittenHours implements Watch {
  readonly #minutes: (at: number) => number
  readonly #allowed: (minute: number) => boolean

  constructor({ minutes }: HoursSettings, allowed: (minute: number) => boolean) {
    this.#minutes = minutes
    this.#allowed = allowed
  }

  observe(seen: Observation): Finding | undefined {
    if (!isAttempt(seen) || this.#allowed(this.#minutes(seen.at))) return undefined
    return { kind: 'written', value: 0, threshold: 1, windowMs: MINUTE_MS, severity: 'medium', key: 'hours' }
  }

  learn(): void {}
}

class LearnedHours implements Watch {
  readonly #settings: HoursSettings
  readonly #counts = new Array<number>(HOURS).fill(0)
  #total = 0
  #hour = -1
  #week = -1
  #first = Number.POSITIVE_INFINITY

  constructor(settings: HoursSettings) {
    this.#settings = settings
  }

  observe(seen: Observation): Finding | undefined {
    if (!isAttempt(seen)) return undefined
    const hour = Math.floor(seen.at / HOUR_MS)
    if (hour === this.#hour) return undefined
    const finding = this.#judge(seen.at)
    this.learn(seen)
    return finding
  }

  /** Of every hour of the clock in which there was a call, one counts. */
  learn(seen: Observation): void {
    const { at } = seen
    const hour = Math.floor(at / HOUR_MS)
    if (!isAttempt(seen) || hour === this.#hour) return
    this.#hour = hour
    if (at < this.#first) this.#first = at
    const week = Math.floor(at / WEEK_MS)
    // Weeks that come late, or a clock that was set back, fade nothing.
    if (week > this.#week && this.#week >= 0) this.#fade(week - this.#week)
    if (week > this.#week) this.#week = week
    const slot = this.#slot(at)
    this.#counts[slot] = (this.#counts[slot] as number) + 1
    this.#total++
  }

  #judge(at: number): Finding | undefined {
    const { learnMs, active, share } = this.#settings
    if (at - this.#first < learnMs || this.#total < active) return undefined
    const slot = this.#slot(at)
    // What an hour of a working day would have, if the agent were active all week alike.
    const usual = (this.#total / HOURS) * (1 + 2 * BESIDE) * (1 + 4 * LIKE)
    const value = (this.#around(slot) + PRIOR) / (usual + PRIOR)
    if (value >= share) return undefined
    return { kind: 'learned', value, threshold: share, windowMs: HOUR_MS, severity: 'medium', key: 'hours' }
  }

  #around(slot: number): number {
    const day = Math.floor(slot / 24)
    let sum = 0
    for (let other = day < 5 ? 0 : 5; other < (day < 5 ? 5 : 7); other++) {
      const weight = other === day ? 1 : LIKE
      const at = other * 24 + (slot % 24)
      sum += weight * (this.#at(at) + BESIDE * (this.#at(at - 1) + this.#at(at + 1)))
    }
    return sum
  }

  #at(slot: number): number {
    return this.#counts[(slot + HOURS) % HOURS] as number
  }

  #slot(at: number): number {
    return Math.floor(this.#settings.minutes(at) / 60) % HOURS
  }

  #fade(weeks: number): void {
    const left = FADE ** weeks
    for (let slot = 0; slot < HOURS; slot++) this.#counts[slot] = (this.#counts[slot] as number) * left
    this.#total *= left
  }
}
