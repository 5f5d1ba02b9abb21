/** The schema: made once, whoever comes first; refused when it is newer or behind; usable with few rights. */
import { migrate, migrationSql, postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Program } from '../crash/process.ts'
import { lacking, type PostgresServer, startPostgres } from '../servers/postgres.ts'

const lack = lacking()
if (lack !== undefined) console.info(`skipped: ${lack}`)

it('a name of a schema that could be anything else is refused', () => {
  for (const schema of ['', 'a b', 'a"b', 'A', '1a', 'pg_x', 'a'.repeat(49), "a'; DROP"]) {
    expect(() => migrationSql({ schema })).toThrow(expect.objectContaining({ code: 'invalid-option', path: 'schema' }))
  }
  expect(() => migrationSql({ shema: 'x' } as object)).toThrow('did you mean `schema`')
})

describe.skipIf(lack !== undefined)('in PostgreSQL', () => {
  let server: PostgresServer
  let pool: pg.Pool

  beforeAll(async () => {
    server = await startPostgres()
    pool = new pg.Pool({ connectionString: server.url })
  })
  afterAll(async () => {
    await pool?.end()
    await server?.stop()
  })

  it('eight processes that open an empty database at once all succeed, and it is made once', async () => {
    const programs = Array.from({ length: 8 }, (_, n) => new Program('opening-postgres', { url: server.url, n }))
    await Promise.all(programs.map((program) => program.said('ready')))
    for (const program of programs) program.tell('go')
    expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual(Array(8).fill(0))
    expect(programs.flatMap(({ lines }) => lines.slice(1))).toEqual(Array(8).fill('opened'))
    const { rows } = await pool.query('SELECT number FROM eight.migrations')
    expect(rows).toEqual([{ number: 1 }])
    const { rows: sessions } = await pool.query('SELECT count(*)::int AS count FROM eight.sessions')
    expect(sessions).toEqual([{ count: 8 }])
  })

  it('a database that is newer than the package is refused, by the store, by `migrate` and by hand', async () => {
    await migrate(pool, { schema: 'newer' })
    await pool.query('INSERT INTO newer.migrations (number) VALUES (99)')
    const refusal = { code: 'unavailable', message: expect.stringContaining('`newer` is newer than this version') }
    await expect(migrate(pool, { schema: 'newer' })).rejects.toMatchObject(refusal)
    for (const own of [true, false]) {
      const store = postgresStore(pool, { schema: 'newer', migrate: own })
      await expect(Promise.resolve(store.hold.get('c'))).rejects.toMatchObject(refusal)
      await pool.query('DELETE FROM newer.migrations WHERE number = 99')
      // It is asked anew each time.
      expect(await store.hold.get('c')).toBeUndefined()
      await pool.query('INSERT INTO newer.migrations (number) VALUES (99)')
    }
    await expect(pool.query(migrationSql({ schema: 'newer' }))).rejects.toThrow('newer than the package')
  })

  it('without leave to migrate, a database that nobody has migrated is refused', async () => {
    const store = postgresStore(pool, { schema: 'nobody', migrate: false })
    const refusal = { code: 'unavailable', message: expect.stringContaining('apply `migrationSql()`') }
    await expect(Promise.resolve(store.hold.get('c'))).rejects.toMatchObject(refusal)
    await pool.query(migrationSql({ schema: 'nobody' }))
    await pool.query(migrationSql({ schema: 'nobody' }))
    expect(await store.hold.get('c')).toBeUndefined()
  })

  it('a role that may only use what is there runs a store, whether it would migrate or not', async () => {
    await migrate(pool, { schema: 'used' })
    await pool.query(`CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA used TO app;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA used TO app; REVOKE ALL ON used.entries FROM app`)
    const own = new pg.Pool({ connectionString: server.url.replace('haldir@', 'app@') })
    for (const leave of [true, false]) {
      const store = postgresStore(own, { schema: 'used', migrate: leave })
      const id = `s ${leave}`
      const row = { id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
      await store.session.create({ ...row, ttlMs: 60_000 }, [])
      expect(await store.admit({ call: id, session: id, charges: [], leaseMs: 1 })).toMatchObject({ ok: true })
      await store.expire(10)
    }
    await own.end()
  })

  it('what is wrong with the set-up is said in words, without a value', async () => {
    await pool.query('CREATE ROLE poor LOGIN')
    const at = new URL(server.url)
    const asked = async (change: (url: URL) => void) => {
      const url = new URL(at)
      change(url)
      const own = new pg.Pool({ connectionString: String(url) })
      try {
        return await postgresStore(own, { schema: 'set_up' }).hold.get('c')
      } catch (error) {
        return (error as Error).message
      } finally {
        await own.end()
      }
    }
    const head = 'the schema `set_up` could not be prepared:'
    expect(await asked((url) => (url.pathname = '/nowhere'))).toBe(`${head} the database does not exist`)
    expect(await asked((url) => (url.username = 'poor'))).toContain(`${head} the user lacks a right`)
    expect(await asked((url) => (url.username = 'nobody_known'))).toBe(`${head} the server does not let this user in`)
    expect(await asked((url) => (url.port = '1'))).toBe(`${head} nobody answers at that address (\`ECONNREFUSED\`)`)
  })

  it('nothing that others have made in a schema on the search path is run in place of what the database has', async () => {
    await pool.query(`CREATE FUNCTION public.stolen(numeric, bigint) RETURNS numeric LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'stolen'; END $$;
      CREATE OPERATOR public.+ (LEFTARG = numeric, RIGHTARG = bigint, FUNCTION = public.stolen);
      CREATE OPERATOR public.- (LEFTARG = numeric, RIGHTARG = bigint, FUNCTION = public.stolen);
      CREATE FUNCTION public.hashtext(varchar) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stolen'; END $$`)
    const own = new pg.Pool({ connectionString: server.url, options: '-c search_path=public,pg_catalog' })
    try {
      const store = postgresStore(own, { schema: 'guarded' })
      const row = { id: 's', tokenHash: 's', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
      await store.session.create({ ...row, ttlMs: 60_000 }, [])
      const meter = { key: 'm', window: 'day', limit: 9n } as const
      const admit = { session: 's', charges: [{ meter, micros: 1n }], leaseMs: 60_000 }
      expect(await store.admit({ ...admit, call: 'c' })).toMatchObject({ ok: true })
      expect(await store.settle({ call: 'c' })).toEqual({ state: 'settled', overrun: false })
      const { rows } = await pool.query(`SELECT proname FROM pg_proc WHERE pronamespace = 'guarded'::regnamespace
        AND (proargnames[1] = 'body' OR proname = 'admit_one') AND proname <> 'now_at'
        AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))`)
      expect(rows).toEqual([])
    } finally {
      await own.end()
      await pool.query('DROP FUNCTION public.stolen CASCADE; DROP FUNCTION public.hashtext(varchar)')
    }
  })

  it('transactions that are not read committed are refused: they would not see a revoke', async () => {
    const own = new pg.Pool({
      connectionString: server.url,
      options: '-c default_transaction_isolation=serializable',
    })
    const row = { id: 's', tokenHash: 's', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
    const budget = { key: 'm', window: 'total', limit: 9n } as const
    await postgresStore(pool, { schema: 'serial' }).session.create({ ...row, ttlMs: 60_000 }, [budget])
    const store = postgresStore(own, { schema: 'serial' })
    await expect(Promise.resolve(store.expire(1))).rejects.toMatchObject({ code: 'unavailable' })
    const charges = [{ meter: { key: 'm', window: 'total' }, micros: 1n }] as const
    const admission = store.admit({ call: 'c', session: 's', charges, leaseMs: 1 })
    await expect(Promise.resolve(admission)).rejects.toMatchObject({ code: 'unavailable' })
    await own.end()
  })

  it('a server whose clock is set back gives nothing more time, as long as a process lives and after it has died', async () => {
    const store = postgresStore(pool, { schema: 'steady' })
    const row = { tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
    const make = async (by: typeof store, id: string) => {
      const made = await by.session.create({ ...row, id, tokenHash: id, ttlMs: 60_000 }, [])
      return 'refused' in made ? Number.NaN : made.createdAt
    }
    const before = await make(store, 's0')
    expect(Math.abs(before - Date.now())).toBeLessThan(60_000)
    // From where the store stands now, the server's clock is an hour late: as if it had been set back.
    await pool.query('UPDATE steady.clock SET value = value + 3600000')
    const after = await make(store, 's1')
    expect(after).toBeGreaterThanOrEqual(before + 3_600_000 - 200)
    await new Promise((wake) => setTimeout(wake, 700))
    const later = await make(store, 's2')
    expect(later - after).toBeGreaterThanOrEqual(600)
    const next = await make(postgresStore(pool, { schema: 'steady' }), 's3')
    expect(next).toBeGreaterThanOrEqual(later - 200)
  })

  it('the time is written down now and then, not by every call', async () => {
    const store = postgresStore(pool, { schema: 'marked' })
    await store.expire(1)
    const written = async () => (await pool.query('SELECT xmin::text, value FROM marked.clock')).rows[0]
    const marks = new Set<string>()
    const began = performance.now()
    let calls = 0
    while (performance.now() - began < 1_000) {
      await store.expire(1)
      calls++
      marks.add((await written()).xmin)
    }
    expect(marks.size).toBeGreaterThan(1)
    expect(marks.size).toBeLessThanOrEqual(7)
    expect(calls).toBeGreaterThan(marks.size)
  })

  it('what is over for long is forgotten: holds, windows, rates and sessions with all that was made with them', async () => {
    const { fakeClock } = await import('@haldir/testing')
    const clock = fakeClock()
    const day = 86_400_000
    const store = postgresStore(pool, { schema: 'forgetful', clock })
    const row = { tenant: 't', agent: 'a', scopes: [], attributes: {} }
    const own = (key: string, window: 'total' | 'day' = 'total') => ({ key, window, limit: 50n }) as const
    const make = (id: string, chain: string[], ttlMs: number) =>
      store.session.create({ ...row, id, tokenHash: id, chain, ttlMs }, [own(`${id}|m`), own(`${id}|d`, 'day')])
    await make('long', [], 300 * day)
    await make('short', ['long'], day)
    const rate = { key: 'rate', window: 'total', rate: { limit: 10n, periodMs: day, burst: 50n } } as const
    const charges = [
      { meter: { key: 'long|m', window: 'total' }, micros: 1n },
      { meter: { key: 'long|d', window: 'day' }, micros: 1n },
      { meter: { key: 'daily', window: 'day', limit: 9n }, micros: 1n },
      { meter: rate, micros: 5n },
    ] as const
    await store.admit({ call: 'c', session: 'long', charges, leaseMs: day })
    await store.settle({ call: 'c' })
    const count = async (table: string) =>
      (await pool.query(`SELECT count(*)::int AS count FROM forgetful.${table}`)).rows[0].count as number
    const counts = async () => Promise.all(['holds', 'meters', 'sessions', 'lineage'].map(count))
    await store.expire(10)
    expect(await counts()).toEqual([1, 7, 2, 1])
    await clock.advance(2 * day)
    await store.expire(10)
    // The rate has run dry, and the hold has ended long ago.
    expect(await counts()).toEqual([0, 6, 2, 1])
    await clock.advance(70 * day)
    await store.expire(10)
    expect(await counts()).toEqual([0, 2, 1, 0])
    expect(await store.meters.read([{ key: 'long|m', window: 'total' }])).toEqual([{ limit: 50n, used: 1n, held: 0n }])
    expect(await store.session.get({ id: 'short' })).toBeUndefined()
  })
})
