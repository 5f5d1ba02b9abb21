/** What the functions in the database compute is what core computes: windows, rates, and the ends of 64 bits. */
import type { Store } from '@haldir/core'
import { postgresStore } from '@haldir/postgres'
import { fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bucket, chargedOn, leaked, tooFast } from '../../packages/core/src/stores/rate.ts'
import { WINDOWS, windowOf } from '../../packages/core/src/stores/window.ts'
import { proves } from '../promises.ts'
import { absent, anyPostgres, type SharedPostgres } from '../servers/postgres.ts'

proves('invariant-3', 'invariant-10')

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
  'Asia/Tokyo',
  'Pacific/Kiritimati',
  'Pacific/Apia',
  'America/Los_Angeles',
]
const MOST = 9_223_372_036_854_775_807n

describe.skipIf(lack !== undefined)('in PostgreSQL', () => {
  let server: SharedPostgres
  let pool: pg.Pool
  let store: Store
  const clock = fakeClock()
  let made = 0

  beforeAll(async () => {
    server = await anyPostgres()
    pool = new pg.Pool({ connectionString: server.url })
    store = postgresStore(pool, { clock })
    const row = { id: 's', tokenHash: 's', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
    await store.session.create({ ...row, ttlMs: 9e12 }, [])
  })
  afterAll(async () => {
    await pool?.end()
    await server?.stop()
  })

  const admit = (charges: Parameters<Store['admit']>[0]['charges']) =>
    store.admit({ call: `c${made++}`, session: 's', charges, leaseMs: 60_000 })

  it('windows have the names that core gives them, at any moment in any zone', async () => {
    const cases: { window: string; zone: string; at: number }[] = []
    const moment = fc.integer({ min: Date.UTC(1973, 0, 1), max: Date.UTC(2026, 6, 1) })
    // Also right around midnight there, and around the hours at which clocks are changed.
    const near = fc.tuple(moment, fc.integer({ min: -1, max: 1 })).map(([at, by]) => at - (at % 1_800_000) + by)
    const one = fc.record({
      window: fc.constantFrom(...WINDOWS.filter((window) => window !== 'total')),
      zone: fc.constantFrom(...ZONES),
      at: fc.oneof(moment, near),
    })
    cases.push(...fc.sample(one, 4_000))
    for (const zone of ZONES) {
      for (const change of ['2025-03-30T01:00Z', '2025-10-26T01:00Z', '2025-11-02T06:00Z', '2025-04-05T15:00Z']) {
        for (let minutes = -180; minutes <= 180; minutes += 30) {
          for (const by of [-1, 0]) {
            cases.push({ window: 'hour', zone, at: Date.parse(change) + minutes * 60_000 + by })
          }
        }
      }
    }
    const { rows } = await pool.query(
      `SELECT haldir.window_name(c ->> 'window', nullif(c ->> 'zone', 'UTC'), (c ->> 'at')::bigint) AS name
        FROM jsonb_array_elements($1::text::jsonb) WITH ORDINALITY x (c, n) ORDER BY n`,
      [JSON.stringify(cases)],
    )
    const names = cases.map(({ window, zone, at }) => windowOf({ window: window as 'day', zone }, at))
    expect(rows.map(({ name }) => name)).toEqual(names)
  })

  it('rates count to the micro-unit and wait to the millisecond as core does', { timeout: 120_000 }, async () => {
    const amount = fc.oneof(fc.bigInt({ min: 0n, max: 50n }), fc.bigInt({ min: 0n, max: 9_000_000_000n }))
    const rates = fc.record({
      limit: fc.oneof(fc.bigInt({ min: 0n, max: 100n }), fc.bigInt({ min: 1n, max: 10n ** 12n })),
      periodMs: fc.integer({ min: 1, max: 86_400_000 }),
      burst: fc.oneof(fc.bigInt({ min: 1n, max: 100n }), fc.bigInt({ min: 1n, max: 10n ** 12n })),
    })
    const step = fc.record({ wait: fc.integer({ min: 0, max: 100_000 }), amounts: fc.array(amount, { maxLength: 3 }) })
    const property = fc.asyncProperty(rates, fc.array(step, { minLength: 1, maxLength: 8 }), async (rate, steps) => {
      const meter = { key: `rate ${made++}`, window: 'total', rate } as const
      let bucket: Bucket = { level: 0n, at: 0 }
      for (const { wait, amounts } of steps) {
        await clock.advance(wait)
        const now = clock.now()
        const charges = amounts.map((micros) => ({ meter, micros }))
        const free = leaked(bucket, rate, now)
        const wanted = amounts.map((_, index) => chargedOn(meter.key, charges, index + 1))
        const over = wanted.some((each) => free.level + each > rate.burst)
        const answer = await admit(charges)
        if (over) {
          const { retryMs = 0, ...rest } = tooFast(bucket, rate, meter.key, charges, now)
          // Waits of 285,000 years are beyond the whole numbers that a number holds, and rounded one way or the other.
          const wait = Number.isSafeInteger(retryMs) ? retryMs : expect.closeTo(retryMs, -2)
          expect(answer).toEqual({ ...rest, ...(retryMs > 0 && { retryMs: wait }) })
        } else expect(answer).toEqual({ ok: true, at: now })
        if (!over && charges.length > 0) bucket = { level: free.level + chargedOn(meter.key, charges), at: free.at }
        const [state] = await store.meters.read([meter])
        expect(state?.used).toBe(leaked(bucket, rate, now).level)
      }
    })
    await fc.assert(property, { numRuns: 150 })
  })

  it('amounts are exact up to the last of 64 bits; what is beyond refuses or fails, and nothing is changed', async () => {
    const key = `wide ${made++}`
    const standing = { key, window: 'total', limit: MOST } as const
    expect(await admit([{ meter: standing, micros: MOST - 1n }])).toMatchObject({ ok: true })
    expect(await admit([{ meter: standing, micros: 2n }])).toMatchObject({ refused: 'budget-exceeded' })
    expect(await admit([{ meter: { ...standing, limit: 2n * MOST }, micros: MOST }])).toMatchObject({
      refused: 'budget-exceeded',
    })
    expect(await admit([{ meter: standing, micros: MOST * 10n }])).toMatchObject({ refused: 'budget-exceeded' })
    expect(await admit([{ meter: standing, micros: 1n }])).toMatchObject({ ok: true })
    await expect(
      Promise.resolve(store.settle({ call: 'beyond', spent: [{ meter: standing, micros: 1n }] })),
    ).resolves.toMatchObject({ overrun: true })
    const beyond = store.settle({ call: 'far beyond', spent: [{ meter: standing, micros: MOST }] })
    await expect(Promise.resolve(beyond)).rejects.toMatchObject({ message: expect.stringContaining('PostgreSQL') })
    expect(await store.hold.get('far beyond')).toBeUndefined()
    expect(await store.meters.read([standing])).toEqual([{ limit: MOST, used: 1n, held: MOST }])
  })

  it('one that fails in a batch does not hurt the others, and they stay in their order', async () => {
    const meter = { key: `shared ${made++}`, window: 'total', limit: 3n } as const
    const charge = [{ meter, micros: 1n }]
    // No text of a database holds a NUL: this one can only fail.
    const poisoned = store.admit({ call: 'nul \u0000', session: 's', charges: charge, leaseMs: 60_000 })
    const all = await Promise.allSettled([admit(charge), poisoned, admit(charge), admit(charge), admit(charge)])
    const said = all.map((one) => (one.status === 'rejected' ? 'failed' : one.value.ok))
    expect(said).toEqual([true, 'failed', true, true, false])
    expect(await store.meters.read([meter])).toEqual([{ limit: 3n, used: 0n, held: 3n }])
  })

  it('what is settled is known before what the same process admits later, also when nobody waits for it', async () => {
    const meter = { key: `tight ${made++}`, window: 'total', limit: 1n } as const
    for (let turn = 0; turn < 20; turn++) {
      const call = `tight ${turn}`
      const charges = [{ meter, micros: 1n }]
      expect(await store.admit({ call, session: 's', charges, leaseMs: 60_000 })).toMatchObject({ ok: true })
      void store.settle({ call, spent: [] })
    }
  })
})
