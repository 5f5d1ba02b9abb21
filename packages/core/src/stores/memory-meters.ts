/** Budgets, quotas and rates of the memory store. */
import { type Bucket, chargedOn, EMPTY, leaked, type Refusal, tooFast } from './rate.ts'
import type { Charge, MeterKey, MeterState, NewMeter, Rate } from './store.ts'
import { windowOf } from './window.ts'

/** What a meter counts in one window. A hold keeps its own row, so a window that has passed is let go of here. */
interface Row {
  limit: bigint
  used: bigint
  held: bigint
}

interface Meter {
  readonly of: MeterKey
  /** Made by a request, not with a session. */
  readonly standing: boolean
  /** The window it counts in now, and the row of that window. */
  name: string
  row: Row
}

/** An amount that a call has on a row. */
export interface Part {
  readonly key: string
  readonly row: Row
  readonly micros: bigint
}

export class MemoryMeters {
  readonly #meters = new Map<string, Meter>()
  readonly #rates = new Map<string, { bucket: Bucket; rate: Rate }>()
  #crowded = 1_000

  has(key: string): boolean {
    return this.#meters.has(key)
  }

  make(meter: NewMeter, at: number): void {
    this.#meters.set(meter.key, { of: meter, standing: false, name: windowOf(meter, at), row: fresh(meter.limit) })
  }

  remove(keys: readonly string[]): void {
    for (const key of keys) this.#meters.delete(key)
  }

  read(meter: MeterKey, at: number): MeterState | undefined {
    const { rate, limit } = meter
    if (rate) return { limit: rate.burst, used: this.#bucket(meter.key, rate, at).level, held: 0n }
    const row = this.#row(meter, at) ?? (limit === undefined ? undefined : fresh(limit))
    return row && { limit: limit ?? row.limit, used: row.used, held: row.held }
  }

  /** Takes all charges and answers what to give back later, or takes nothing and answers why. */
  take(charges: readonly Charge[], at: number): readonly Part[] | Refusal {
    // Invariant: held + used never exceeds the limit, and a call takes from all its meters or from none: everything is
    // looked at before anything is changed.
    const parts: Part[] = []
    let seen = 0
    let standing = false
    for (const { meter, micros } of charges) {
      const { key, rate } = meter
      const wanted = ++seen === 1 ? micros : chargedOn(key, charges, seen)
      if (rate) {
        const bucket = this.#rates.get(key)?.bucket ?? EMPTY
        if (leaked(bucket, rate, at).level + wanted > rate.burst) return tooFast(bucket, rate, key, charges, at)
        standing = true
        continue
      }
      const row = this.#row(meter, at)
      const limit = meter.limit ?? row?.limit
      if (limit === undefined) return { ok: false, refused: 'unavailable', meter: key }
      if ((row ? row.used + row.held : 0n) + wanted > limit) {
        return { ok: false, refused: 'budget-exceeded', meter: key }
      }
      if (row && meter.limit === undefined) parts.push({ key, row, micros })
      else standing = true
    }
    for (const { row, micros } of parts) row.held += micros
    return standing ? [...parts, ...this.#takeStanding(charges, at)] : parts
  }

  /** Takes what `take` has found to fit, of rates and of meters that carry their limit. */
  #takeStanding(charges: readonly Charge[], at: number): Part[] {
    const parts: Part[] = []
    for (const { meter, micros } of charges) {
      const { key, rate, limit } = meter
      if (rate) this.#fill(key, rate, micros, at)
      if (rate || limit === undefined) continue
      const row = this.#open(meter, at) as Row
      row.limit = limit
      row.held += micros
      parts.push({ key, row, micros })
    }
    return parts
  }

  /** Counts what was spent beside the rows it was held on. Answers the row; `undefined` when the meter is missing. */
  spend(meter: MeterKey, micros: bigint, row: Row | undefined, at: number): Row | undefined {
    const target = row ?? this.#open(meter, at)
    if (!target) return undefined
    target.used += micros
    if (meter.limit !== undefined) target.limit = meter.limit
    return target
  }

  /** Fills a rate, beyond its burst if need be. Answers whether it is over now. */
  fill({ key }: MeterKey, rate: Rate, micros: bigint, at: number): boolean {
    return this.#fill(key, rate, micros, at) > rate.burst
  }

  /** The row a meter counts in now. The first look in a new window begins its row. */
  #row(meter: MeterKey, at: number): Row | undefined {
    const found = this.#meters.get(meter.key)
    if (!found || meter.window === 'total') return found?.row
    const name = windowOf(meter, at)
    if (found.name !== name) {
      found.name = name
      found.row = fresh(found.row.limit)
    }
    return found.row
  }

  /** As `#row`; a standing meter is made on first use. */
  #open(meter: MeterKey, at: number): Row | undefined {
    const row = this.#row(meter, at)
    const { key, limit } = meter
    if (row || limit === undefined) return row
    this.#tidy(at)
    const made: Meter = { of: meter, standing: true, name: windowOf(meter, at), row: fresh(limit) }
    this.#meters.set(key, made)
    return made.row
  }

  #bucket(key: string, rate: Rate, at: number): Bucket {
    return leaked(this.#rates.get(key)?.bucket ?? EMPTY, rate, at)
  }

  #fill(key: string, rate: Rate, micros: bigint, at: number): bigint {
    const bucket = this.#bucket(key, rate, at)
    const level = bucket.level + micros
    if (!this.#rates.has(key)) this.#tidy(at)
    this.#rates.set(key, { bucket: { level, at: bucket.at }, rate })
    return level
  }

  /** Forgets standing meters whose window has passed, and rates that stand at nothing, so that memory stays flat. */
  #tidy(at: number): void {
    if (this.#meters.size + this.#rates.size < this.#crowded) return
    for (const [key, { of, standing, name }] of this.#meters) {
      if (standing && windowOf(of, at) !== name) this.#meters.delete(key)
    }
    for (const [key, { bucket, rate }] of this.#rates) {
      if (leaked(bucket, rate, at).level === 0n) this.#rates.delete(key)
    }
    this.#crowded = Math.max(1_000, (this.#meters.size + this.#rates.size) * 2)
  }
}

function fresh(limit: bigint): Row {
  return { limit, used: 0n, held: 0n }
}
