/** Calls that each touch one meter, from several processes at the same moment, where the meter is full or a rate. */
import { type PostgresStore, postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { absent, anyPostgres, type SharedPostgres } from '../servers/postgres.ts'

proves('invariant-3', 'invariant-4')

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)

describe.skipIf(lack !== undefined)('four stores on one PostgreSQL', () => {
  let server: SharedPostgres
  const pools: pg.Pool[] = []
  let stores: PostgresStore[] = []
  /** What the database answered with besides rows. */
  const states: Record<string, number> = {}

  beforeAll(async () => {
    server = await anyPostgres()
    for (let n = 0; n < 4; n++) {
      const pool = new pg.Pool({ connectionString: server.url, max: 4 })
      pool.on('connect', (client) => {
        const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
        const counted = async (...args: unknown[]) => {
          try {
            return await query(...args)
          } catch (error) {
            const code = String((error as { code?: unknown }).code)
            states[code] = (states[code] ?? 0) + 1
            throw error
          }
        }
        Object.assign(client, { query: counted })
      })
      pools.push(pool)
    }
    stores = pools.map((pool) => postgresStore(pool))
    const row = { id: 's', tokenHash: 's', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
    const meters = ['a', 'b', 'c'].map((key) => ({ key, window: 'total', limit: 40n }) as const)
    await stores[0]?.session.create({ ...row, ttlMs: 3_600_000 }, meters)
  })
  afterAll(async () => {
    for (const pool of pools) await pool.end()
    await server?.stop()
  })

  const first = () => stores[0] as PostgresStore

  it('a rate lets no more through than its burst, of calls that touch nothing else', async () => {
    const admitted: number[] = []
    for (let round = 0; round < 100; round++) {
      const rate = { limit: 1n, periodMs: 86_400_000, burst: 5n }
      const meter = { key: `rate ${round}`, window: 'total', rate } as const
      const charges = [{ meter, micros: 3n }]
      // The row is there already: who makes it has it locked.
      await first().settle({ call: `rate ${round}`, spent: [{ meter, micros: 1n }] })
      const all = stores.map((store, n) =>
        store.admit({ call: `rate ${round} ${n}`, session: 's', charges, leaseMs: 60_000 }),
      )
      admitted.push((await Promise.all(all)).filter(({ ok }) => ok).length)
    }
    expect(admitted).toEqual(Array(100).fill(1))
  })

  it('a full budget from which something is given back at that moment is never charged beyond its limit', async () => {
    const schema = 'looking'
    const [one, other, third] = pools.map((pool) => postgresStore(pool, { schema })) as [
      PostgresStore,
      PostgresStore,
      PostgresStore,
    ]
    const meter = { key: 'full', window: 'total' } as const
    const row = { id: 's', tokenHash: 's', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
    await one.session.create({ ...row, ttlMs: 3_600_000 }, [{ ...meter, limit: 1n }])
    for (const store of [other, third]) await store.meters.read([])
    // Looking why a call does not fit takes a while, so that much can happen meanwhile.
    await pools[0]?.query(`ALTER FUNCTION ${schema}.too_much RENAME TO too_much_now;
      CREATE FUNCTION ${schema}.too_much(c jsonb, s text[], t bigint) RETURNS jsonb LANGUAGE plpgsql AS
        $$ DECLARE why jsonb; BEGIN
          PERFORM pg_sleep(0.1); why := ${schema}.too_much_now(c, s, t); PERFORM pg_sleep(0.1); RETURN why; END $$`)
    for (const standing of [{}, { limit: 1n }]) {
      const charges = [{ meter: { ...meter, ...standing }, micros: 1n }]
      const admit = async (store: PostgresStore, call: string) =>
        store.admit({ call: `${call} ${Object.keys(standing)}`, session: 's', charges, leaseMs: 60_000 })
      expect(await admit(one, 'full')).toMatchObject({ ok: true })
      const both = [admit(one, 'x'), admit(other, 'y')]
      await new Promise((wake) => setTimeout(wake, 40))
      await third.cancel(`full ${Object.keys(standing)}`)
      const admitted = (await Promise.all(both)).filter(({ ok }) => ok).length
      expect(admitted).toBeLessThanOrEqual(1)
      expect(await one.meters.read([meter])).toEqual([{ limit: 1n, used: 0n, held: BigInt(admitted) }])
      for (const call of ['x', 'y']) await one.cancel(`${call} ${Object.keys(standing)}`)
    }
  })

  it('the same calls again, while they are settled or given back, make nobody wait in a circle, and count once', async () => {
    for (const code of Object.keys(states)) delete states[code]
    const keys = ['a', 'b', 'c']
    await Promise.all(
      stores.flatMap((store, which) =>
        Array.from({ length: 16 }, async (_, n) => {
          for (let turn = 0; turn < 20; turn++) {
            const call = `again ${(n + turn * 5) % 24} ${turn}`
            const meter = { key: keys[(n + turn * 5) % 3] as string, window: 'total' } as const
            const charges = [{ meter, micros: 1n }]
            if ((n + which) % 4 === 0) await store.settle({ call, spent: [] })
            else if ((n + which) % 4 === 1) await store.cancel(call)
            else if ((n + which) % 8 === 2) await store.expire(5)
            else await store.admit({ call, session: 's', charges, leaseMs: n === 3 ? 1 : 60_000 })
          }
        }),
      ),
    )
    expect(states['40P01'] ?? 0).toBe(0)
    const { rows } = await (pools[0] as pg.Pool).query(`SELECT m.slot, m.held::int - coalesce(sum(h.amount) FILTER
      (WHERE h.state IN ('running', 'reserved')), 0)::int AS held, m.used::int -
      coalesce(sum(h.amount) FILTER (WHERE h.state = 'orphaned'), 0)::int AS used FROM haldir.meters m
      LEFT JOIN (SELECT state, unnest(slots) AS slot, unnest(amounts) AS amount FROM haldir.holds) h USING (slot)
      WHERE slot IN ('|a', '|b', '|c') GROUP BY m.slot ORDER BY 1`)
    expect(rows).toEqual(keys.map((key) => ({ slot: `|${key}`, held: 0, used: 0 })))
  })

  const ends = {
    settle: (store: PostgresStore, call: string) => store.settle({ call }),
    cancel: (store: PostgresStore, call: string) => store.cancel(call),
    expire: (store: PostgresStore) => store.expire(50),
  }
  const counted = { settle: { used: 4n, held: 6n }, cancel: { used: 0n, held: 6n }, expire: { used: 4n, held: 6n } }

  it.each(Object.keys(ends) as (keyof typeof ends)[])(
    'admitted again when its meter has filled, and ended by `%s`, a call waits in no circle',
    async (end) => {
      for (const code of Object.keys(states)) delete states[code]
      const [one, other] = stores as [PostgresStore, PostgresStore]
      const id = `filling ${end}`
      const meter = { key: id, window: 'total' } as const
      const row = { id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
      await one.session.create({ ...row, ttlMs: 3_600_000 }, [{ ...meter, limit: 10n }])
      const leaseMs = end === 'expire' ? 1 : 60_000
      const request = { call: id, session: id, charges: [{ meter, micros: 4n }], leaseMs }
      expect(await one.admit(request)).toMatchObject({ ok: true })
      const third = await (pools[2] as pg.Pool).connect()
      const waiting = async (count: number) => {
        const text = `SELECT count(*)::int AS count FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`
        while ((await third.query(text)).rows[0].count < count) await new Promise((wake) => setTimeout(wake, 5))
      }
      await third.query('BEGIN')
      await third.query('UPDATE haldir.meters SET held = 10 WHERE slot = $1', [`|${id}`])
      const again = one.admit(request)
      await waiting(1)
      const ended = ends[end](other, id)
      await waiting(2)
      await third.query('COMMIT')
      third.release()
      await Promise.all([again, ended])
      expect(states['40P01'] ?? 0).toBe(0)
      expect(await one.meters.read([meter])).toEqual([{ limit: 10n, ...counted[end] }])
    },
  )

  it.each([
    ['alone', 1],
    ['with others', 2],
    ['on several meters', -1],
  ])('a session whose end comes while a call waits for its meter admits nothing: %s', async (how, calls) => {
    const store = first()
    const id = `ending ${how}`
    const meter = { key: id, window: 'total' } as const
    const row = { id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
    await store.session.create({ ...row, ttlMs: 600 }, [{ ...meter, limit: 10n }])
    const wide = { meter: { ...meter, key: `${id} day`, window: 'day', limit: 9n }, micros: 1n } as const
    const charges = [{ meter, micros: 1n }, ...(calls < 0 ? [wide] : [])]
    const third = await (pools[2] as pg.Pool).connect()
    await third.query('BEGIN')
    await third.query('UPDATE haldir.meters SET held = 0 WHERE slot = $1', [`|${id}`])
    const all = Array.from({ length: Math.abs(calls) }, (_, n) =>
      store.admit({ call: `${id} ${n}`, session: id, charges, leaseMs: 60_000 }),
    )
    await third.query('SELECT pg_sleep(0.8)')
    await third.query('COMMIT')
    third.release()
    for (const one of await Promise.all(all)) expect(one).toEqual({ ok: false, refused: 'session-expired' })
    expect(await store.meters.read([meter])).toEqual([{ limit: 10n, used: 0n, held: 0n }])
  })
})
