/** Budgets, quotas and rates of the SQLite store. Everything here runs inside a transaction of a verb. */
import { type Bucket, chargedOn, EMPTY, leaked, type Refusal, tooFast } from './rate.ts'
import type { Statements } from './sqlite-open.ts'
import { type HeldRow, type MeterRow, type Part, partsOf } from './sqlite-rows.ts'
import type { Charge, MeterKey, MeterState, NewMeter, Rate } from './store.ts'
import { meterOf, rowOf } from './window.ts'

/** What changes on one row when a hold ends. */
interface Move {
  /** The meter, when something was spent on it. */
  meter: MeterKey | undefined
  held: bigint
  used: bigint
}

export class SqliteMeters {
  readonly #sql: Statements

  constructor(sql: Statements) {
    this.#sql = sql
  }

  /** Makes a meter of a session. The rows of its windows are copied from this one, each on first use. */
  make({ key, limit }: NewMeter): void {
    this.#sql.insertMeter.run(`|${key}`, limit)
  }

  read(meter: MeterKey, at: number): MeterState | undefined {
    const { key, rate, limit } = meter
    if (rate) return { limit: rate.burst, used: leaked(this.#bucket(key), rate, at).level, held: 0n }
    const row = this.#sql.readMeter.get(rowOf(meter, at)) as MeterRow | undefined
    if (row) return { limit: limit ?? row.cap, used: row.used, held: row.held }
    const cap = limit ?? (this.#sql.readMeter.get(`|${key}`) as MeterRow | undefined)?.cap
    return cap === undefined ? undefined : { limit: cap, used: 0n, held: 0n }
  }

  /** Takes all charges and answers what the hold keeps of them, or answers why not; then the caller undoes it all. */
  take(charges: readonly Charge[], at: number): Part[] | Refusal {
    const parts: Part[] = []
    const filled = new Map<string, Bucket>()
    for (const [index, { meter, micros }] of charges.entries()) {
      const { key, rate, limit } = meter
      if (rate) {
        const bucket = this.#bucket(key)
        const now = leaked(bucket, rate, at)
        const level = now.level + chargedOn(key, charges, index + 1)
        if (level > rate.burst) return tooFast(bucket, rate, key, charges, at)
        filled.set(key, { level, at: now.at })
        continue
      }
      const row = rowOf(meter, at)
      const fits = limit === undefined ? this.#hold(row, meter, micros) : this.#holdStanding(row, limit, micros)
      if (!fits) {
        const missing = limit === undefined && this.#sql.readMeter.get(row) === undefined
        return { ok: false, refused: missing ? 'unavailable' : 'budget-exceeded', meter: key }
      }
      parts.push([row, String(micros)])
    }
    for (const [key, bucket] of filled) this.#sql.writeRate.run(key, bucket.level, bucket.at)
    return parts
  }

  /** Holds on one row of a session, if there is room. The first use of a window makes its row from the meter's. */
  #hold(row: string, { key, window }: MeterKey, micros: bigint): boolean {
    const { holdWithin, openWindow, readMeter } = this.#sql
    // Invariant: held + used never exceeds the limit: the check and the change are one statement.
    if (holdWithin.run(micros, row, micros).changes === 1) return true
    if (window === 'total' || readMeter.get(row) !== undefined) return false
    return openWindow.run(row, `|${key}`).changes === 1 && holdWithin.run(micros, row, micros).changes === 1
  }

  #holdStanding(row: string, limit: bigint, micros: bigint): boolean {
    // Invariant: as for a meter of a session. The statement checks a row that is there; a new one must fit by itself.
    return micros <= limit && this.#sql.holdStanding.run(row, limit, micros).changes === 1
  }

  #bucket(key: string): Bucket {
    const row = this.#sql.readRate.get(key) as { level: bigint; at: bigint } | undefined
    return row ? { level: row.level, at: Number(row.at) } : EMPTY
  }

  /** Gives back what a hold has on its rows. */
  giveBack(hold: HeldRow): void {
    for (const [row, micros] of partsOf(hold)) this.#sql.moveMeter.get(-BigInt(micros), 0n, row)
  }

  /** Counts what a hold has on its rows as spent. */
  keep(hold: HeldRow): void {
    for (const [row, micros] of partsOf(hold)) this.#sql.moveMeter.get(-BigInt(micros), BigInt(micros), row)
  }

  /** Replaces what a hold counts for by what was spent. Answers whether a meter is now over its limit. */
  count(hold: HeldRow | undefined, spent: readonly Charge[] | undefined, at: number): boolean {
    const moves = new Map<string, Move>()
    const move = (row: string): Move => {
      const change = moves.get(row) ?? { meter: undefined, held: 0n, used: 0n }
      moves.set(row, change)
      return change
    }
    const parts = partsOf(hold)
    for (const [row, text] of parts) {
      const micros = BigInt(text)
      const change = move(row)
      if (hold?.state === 'orphaned') change.used -= micros
      else change.held -= micros
      if (!spent) change.used += micros
    }
    let over = false
    for (const { meter, micros } of spent ?? []) {
      if (meter.rate) {
        // What was admitted has been counted by its rates.
        if (!hold && this.#fill(meter.key, meter.rate, micros, at)) over = true
        continue
      }
      const change = move(parts.find(([row]) => meterOf(row) === meter.key)?.[0] ?? rowOf(meter, at))
      change.used += micros
      change.meter = meter
    }
    for (const [row, change] of moves) over = this.#move(row, change) || over
    return over
  }

  #move(row: string, { meter, held, used }: Move): boolean {
    const { moveMeter, moveStanding, openWindow } = this.#sql
    if (meter?.limit !== undefined) return moveStanding.get(row, meter.limit, held, used)?.over === 1
    const moved = moveMeter.get(held, used, row)
    if (moved) return moved.over === 1
    // What a missing meter can't count is beyond it.
    if (!meter || openWindow.run(row, `|${meter.key}`).changes === 0) return used > 0n
    return moveMeter.get(held, used, row)?.over === 1
  }

  #fill(key: string, rate: Rate, micros: bigint, at: number): boolean {
    const { level, at: since } = leaked(this.#bucket(key), rate, at)
    this.#sql.writeRate.run(key, level + micros, since)
    return level + micros > rate.burst
  }
}
