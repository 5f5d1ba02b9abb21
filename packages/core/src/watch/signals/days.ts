/**
 * The last weeks of something that is counted, a number for each day. Days are filed by their number, so what comes late
 * or out of order still finds its place, and a clock that leaps changes nothing but which days are looked at.
 */
export class Days {
  readonly #day: number[]
  readonly #value: number[]

  /** Keeps as many days as this. */
  constructor(length: number) {
    this.#day = new Array<number>(length).fill(-1)
    this.#value = new Array<number>(length).fill(0)
  }

  /** The value of a day; 0 when nothing is known of it. */
  get(day: number): number {
    const at = this.#slot(day)
    return this.#day[at] === day ? (this.#value[at] as number) : 0
  }

  add(day: number, amount: number): number {
    const value = this.get(day) + amount
    this.#set(day, value)
    return value
  }

  /** Raises a day's value to this, if it is lower. */
  raise(day: number, amount: number): void {
    if (amount > this.get(day)) this.#set(day, amount)
  }

  /** The values of the known days from `from` up to, and without, `until`, in no order. */
  between(from: number, until: number): number[] {
    const values: number[] = []
    for (let at = 0; at < this.#day.length; at++) {
      const day = this.#day[at] as number
      if (day >= from && day < until) values.push(this.#value[at] as number)
    }
    return values
  }

  #set(day: number, value: number): void {
    const at = this.#slot(day)
    this.#day[at] = day
    this.#value[at] = value
  }

  #slot(day: number): number {
    const length = this.#day.length
    return ((day % length) + length) % length
  }
}

/** The value below which this share of them lies, between neighbours in proportion; 0 for none. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const low = sorted[Math.floor(at)] as number
  const high = sorted[Math.ceil(at)] as number
  return low + (high - low) * (at - Math.floor(at))
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Median absolute deviation, scaled to a standard deviation where values are normal (Hampel, 1974). */
export function spread(values: readonly number[]): number {
  const middle = median(values)
  return 1.4826 * median(values.map((value) => Math.abs(value - middle)))
}
