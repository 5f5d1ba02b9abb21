import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Bucket, leaked, tooFast } from './rate.ts'
import type { Rate } from './store.ts'

const anyRate = fc.record<Rate>({
  limit: fc.bigInt({ min: 1n, max: 5_000_000n }),
  periodMs: fc.integer({ min: 1, max: 90_000_000 }),
  burst: fc.bigInt({ min: 1n, max: 5_000_000n }),
})
const anyBucket = fc.record<Bucket>({
  level: fc.bigInt({ min: 0n, max: 9_000_000n }),
  at: fc.integer({ min: 0, max: 1_000_000 }),
})
const anyTime = fc.integer({ min: 0, max: 3_000_000 })

describe('a bucket', () => {
  it('never fills by itself, never stands below nothing, and never goes back in time', () => {
    fc.assert(
      fc.property(anyBucket, anyRate, anyTime, (bucket, rate, now) => {
        const { level, at } = leaked(bucket, rate, now)
        expect(level >= 0n && level <= bucket.level).toBe(true)
        expect(at).toBe(Math.max(bucket.at, now))
        if (now <= bucket.at) expect(level).toBe(bucket.level)
      }),
    )
  })

  it('leaks no more when it is looked at in between', () => {
    fc.assert(
      fc.property(anyBucket, anyRate, anyTime, anyTime, (bucket, rate, one, other) => {
        const late = Math.max(one, other)
        const twice = leaked(leaked(bucket, rate, Math.min(one, other)), rate, late)
        expect(twice.level >= leaked(bucket, rate, late).level).toBe(true)
      }),
    )
  })

  it('says the first millisecond in which an amount fits, also when another process saw it later than now', () => {
    const micros = fc.bigInt({ min: 0n, max: 6_000_000n })
    fc.assert(
      fc.property(anyBucket, anyRate, anyTime, micros, (bucket, rate, now, amount) => {
        const fits = (at: number) => leaked(bucket, rate, at).level + amount <= rate.burst
        fc.pre(!fits(now))
        const charges = [{ meter: { key: 'r', window: 'total', rate } as const, micros: amount }]
        const refusal = tooFast(bucket, rate, 'r', charges, now)
        const { retryMs = 0 } = refusal
        if (amount > rate.burst) expect(refusal).toEqual({ ok: false, refused: 'rate-exceeded', meter: 'r' })
        else expect([fits(now + retryMs - 1), fits(now + retryMs)]).toEqual([false, true])
      }),
    )
  })
})
