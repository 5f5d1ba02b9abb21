/**
 * Spending that is not like the weeks before: one amount, an hour or a day far above the highest there usually is, or a
 * week that has crept up. Amounts have heavy tails, so highs are compared with highs, not with means and deviations; and
 * what creeps is compared with what was weeks ago, where it has not been yet.
 */
import { Days, median, quantile, spread } from './days.ts'
import { Lru } from './lru.ts'
import { DAY_MS, type Detector, type Finding, HOUR_MS, type Observation, type Severity, type Watch } from './signal.ts'

export interface SpendSettings {
  /** How many times the usual high is a spike. */
  readonly factor: number
  /** How many times what it was weeks ago the last week may be. */
  readonly drift: number
  /** How many days with spending are learned from before anything is said. */
  readonly days: number
  /** In currencies: what is spent below this is no spike, in units such as dollars. */
  readonly atLeast: number
  readonly coolDownMs: number
}

/** How many days are remembered; of each kind of unit. */
const KEEP = 56
/** How many units an agent is watched in. */
const UNITS = 8
/** The days whose highs are what is usual. */
const USUAL = 28
const WEEK = 7
/** Days before the last week that a drift is measured from, at least. */
const LONG_AGO = 7
/** A drift must be so many times what chance makes of medians of as many days. */
const SURE = 4
const CURRENCY = /^[A-Z]{3}$/

export function spendSpike(settings: SpendSettings): Detector {
  const { coolDownMs } = settings
  return { signal: 'spend-spike', scope: 'agent', coolDownMs, begin: () => new SpendWatch(settings) }
}

class SpendWatch implements Watch {
  readonly #settings: SpendSettings
  readonly #units = new Lru(UNITS, () => new Unit())

  constructor(settings: SpendSettings) {
    this.#settings = settings
  }

  observe(seen: Observation): Finding | undefined {
    if (!seen.spent) return undefined
    let worst: Finding | undefined
    for (const { unit, amount } of seen.spent) {
      if (!(amount > 0)) continue
      const found = this.#units.of(unit).spend(seen.at, amount, unit, this.#settings)
      if (found && (!worst || found.value / found.threshold > worst.value / worst.threshold)) worst = found
    }
    return worst
  }

  learn(seen: Observation): void {
    for (const { unit, amount } of seen.spent ?? []) if (amount > 0) this.#units.of(unit).take(seen.at, amount)
  }
}

/** What is usual: the highs, and whether the last week has crept up. Worked out once a day. */
interface Usual {
  readonly day: number
  readonly enough: boolean
  readonly one: number
  readonly hour: number
  readonly total: number
  readonly drift: Omit<Finding, 'key' | 'unit'> | undefined
}

class Unit {
  readonly #ones = new Days(KEEP)
  readonly #hours = new Days(KEEP)
  readonly #totals = new Days(KEEP)
  #hour = -1
  #inHour = 0
  #usual: Usual | undefined
  /** The last day that a spike was found on. */
  #told = -1

  /** Takes an amount in; answers the day, and what the hour and the day have come to. */
  take(at: number, amount: number): { readonly day: number; readonly hour: number; readonly total: number } {
    const day = Math.floor(at / DAY_MS)
    const hour = Math.floor(at / HOUR_MS)
    this.#inHour = hour === this.#hour ? this.#inHour + amount : amount
    this.#hour = hour
    this.#ones.raise(day, amount)
    this.#hours.raise(day, this.#inHour)
    return { day, hour: this.#inHour, total: this.#totals.add(day, amount) }
  }

  spend(at: number, amount: number, unit: string, settings: SpendSettings): Finding | undefined {
    const { day, hour, total } = this.take(at, amount)
    if (this.#usual?.day !== day) this.#usual = this.#lookBack(day, settings)
    const usual = this.#usual
    if (!usual.enough) return undefined
    const floor = CURRENCY.test(unit) ? settings.atLeast : 0
    const over = (kind: string, value: number, high: number, windowMs: number): Finding | undefined => {
      const threshold = Math.max(settings.factor * high, floor)
      if (!(high > 0) || value <= threshold) return undefined
      return { kind, value, threshold, windowMs, severity: severityOf(value, threshold), unit, key: `${unit} spike` }
    }
    const spike = over('one', amount, usual.one, HOUR_MS) ?? over('hour', hour, usual.hour, HOUR_MS)
    // A day that is high for the sake of a spike has been told of.
    const high = this.#told === day ? undefined : over('day', total, usual.total, DAY_MS)
    if (spike || high) this.#told = day
    if (spike || high || !usual.drift || total < floor) return spike ?? high
    return { ...usual.drift, unit, key: `${unit} drift`, quietMs: WEEK * DAY_MS }
  }

  #lookBack(day: number, { days, drift }: SpendSettings): Usual {
    const totals = this.#totals.between(day - USUAL, day)
    // One day among ten may have been wild, and makes nothing usual.
    const high = (kept: Days) => quantile(kept.between(day - USUAL, day), 0.9)
    return {
      day,
      enough: totals.length >= days,
      one: high(this.#ones),
      hour: high(this.#hours),
      total: quantile(totals, 0.9),
      drift: this.#drift(day, drift),
    }
  }

  /** The last week against everything that is remembered from before it: a slow ramp has not been there yet. */
  #drift(day: number, most: number): Usual['drift'] {
    const recent = this.#totals.between(day - WEEK, day).map(Math.log)
    // The oldest days there are, four weeks of them and no less than one: newer ones may be part of the ramp.
    let before: readonly number[] = []
    for (let from = day - KEEP; from < day - WEEK; from += WEEK) {
      before = this.#totals.between(from, Math.min(from + USUAL, day - WEEK)).map(Math.log)
      if (before.length >= LONG_AGO) break
    }
    if (recent.length < 3 || before.length < LONG_AGO) return undefined
    // What chance makes of two medians: 1.25 σ ⁄ √n each (Kendall and Stuart, volume 1).
    const noise = 1.25 * Math.max(spread(before), spread(recent)) * Math.sqrt(1 / recent.length + 1 / before.length)
    const value = Math.exp(median(recent) - median(before))
    const threshold = Math.max(most, Math.exp(SURE * noise))
    if (value <= threshold) return undefined
    return { kind: 'drift', value, threshold, windowMs: WEEK * DAY_MS, severity: severityOf(value, threshold) }
  }
}

function severityOf(value: number, threshold: number): Severity {
  return value > 3 * threshold ? 'high' : 'medium'
}
