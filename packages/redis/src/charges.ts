/** Meters and charges as arguments of a script. */
import { type Charge, ConfigError, type MeterKey } from '@haldir/core/store'
import { lasting, type Moments } from './moments.ts'

/** Amounts up to this are exact; a script refuses what would go beyond 19 digits. */
const MOST = 2n ** 63n - 1n
/** 126 years: up to here the arithmetic of rates is exact. */
const LONGEST_MS = 4e12

/**
 * From when to when the names of all windows hold (nothing: always), and each charge, as one argument each: arguments
 * cost more than to read them. Of a charge: its kind, the amount, three numbers or none (the limit and how long a row is
 * kept; of a rate limit, period and burst), and the row.
 */
export function argsOf(charges: readonly Charge[], moments: Moments, now: number): string[] {
  let from = 0
  let until = Number.MAX_SAFE_INTEGER
  const args: string[] = ['']
  for (const { meter, micros } of charges) {
    const { key, window, limit, rate } = meter
    if (rate) {
      const { limit, periodMs, burst } = rate
      if (!Number.isSafeInteger(periodMs) || periodMs <= 0 || periodMs > LONGEST_MS) throw outOfBounds('periodMs')
      args.push(`rate ${amount(micros)} ${amount(limit)} ${periodMs} ${amount(burst)} ${key}`)
      continue
    }
    let name = ''
    if (window !== 'total') {
      const placed = moments.place(meter, now)
      name = placed.name
      from = Math.max(from, placed.from)
      until = Math.min(until, placed.until)
    }
    const row = `${name}|${key}`
    const kind = limit === undefined ? 'own' : 'standing'
    args.push(`${kind} ${amount(micros)} ${limit === undefined ? '' : amount(limit)} ${lasting(window)}  ${row}`)
  }
  if (from > 0) args[0] = `${from} ${until}`
  return args
}

/** The same for meters that are only read. */
export function readArgs(meters: readonly MeterKey[], moments: Moments, now: number): string[] {
  return argsOf(
    meters.map((meter) => ({ meter, micros: 0n })),
    moments,
    now,
  )
}

/** An amount as digits alone. Throws for what can't be counted exactly. */
export function amount(micros: bigint): string {
  if (typeof micros !== 'bigint' || micros < 0n || micros > MOST) throw outOfBounds('micros')
  return micros.toString()
}

function outOfBounds(path: string): ConfigError {
  return new ConfigError('invalid-amount', path, 'an amount or a period is out of what this store counts exactly')
}
