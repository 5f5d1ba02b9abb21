/** The arithmetic of rates: exact whole numbers, the same in every store. */
import type { Admission, Charge, Rate } from './store.ts'

/** What a rate has counted, and when that was so. */
export interface Bucket {
  readonly level: bigint
  readonly at: number
}

export type Refusal = Extract<Admission, { readonly ok: false }>

export const EMPTY: Bucket = { level: 0n, at: 0 }

/** A bucket as it stands now: what has leaked out since is gone, rounded down. */
export function leaked({ level, at }: Bucket, { limit, periodMs }: Rate, now: number): Bucket {
  // Invariant: a clock going backwards never refills anything. What another process saw later stays.
  if (now <= at) return { level, at }
  const left = level - (limit * BigInt(now - at)) / BigInt(periodMs)
  return { level: left > 0n ? left : 0n, at: now }
}

/** What a request charges on one meter, with its first charges or with all of them. */
export function chargedOn(key: string, charges: readonly Charge[], first: number = charges.length): bigint {
  let sum = 0n
  for (const [index, { meter, micros }] of charges.entries()) if (index < first && meter.key === key) sum += micros
  return sum
}

/** The refusal of a request that a bucket has no room for; it says when there will be room, if there ever is. */
export function tooFast(bucket: Bucket, rate: Rate, key: string, charges: readonly Charge[], now: number): Refusal {
  const refusal = { ok: false, refused: 'rate-exceeded', meter: key } as const
  const micros = chargedOn(key, charges)
  const { limit, periodMs, burst } = rate
  if (micros > burst || limit <= 0n) return refusal
  // The least whole time in which the excess leaks out, counted from the moment the level is of.
  const excess = bucket.level + micros - burst
  const ms = (excess * BigInt(periodMs) + limit - 1n) / limit
  return { ...refusal, retryMs: bucket.at - now + Number(ms) }
}
