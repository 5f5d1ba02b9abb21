/** Statements stay prepared on their connections, and nothing is lost or done twice where they can't. */
import { postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { startPooler } from '../servers/pooler.ts'
import { lacking, type PostgresServer, startPostgres } from '../servers/postgres.ts'

proves('invariant-3')

const lack = lacking()
if (lack !== undefined) console.info(`skipped: ${lack}`)
const row = (id: string) => ({ id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] })
const meter = { key: 'm', window: 'total' } as const
const request = (call: string) => ({ call, session: 's', charges: [{ meter, micros: 1n }], leaseMs: 60_000 })

describe.skipIf(lack !== undefined)('prepared statements', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(async () => {
    await server?.stop()
  })

  /** A store with one session that has `limit`, on a pool of its own. */
  async function opened(schema: string, limit: bigint, { url = server.url, max = 1, prepare = true } = {}) {
    const pool = new pg.Pool({ connectionString: url, max })
    const store = postgresStore(pool, { schema, prepare })
    await store.session.create({ ...row('s'), ttlMs: 60_000 }, [{ ...meter, limit }])
    const kept = async () => (await pool.query('SELECT name, statement FROM pg_prepared_statements ORDER BY name')).rows
    return { pool, store, kept }
  }

  it('are one for each verb, however often it is asked, and of a name that says which text it is', async () => {
    const { pool, store, kept } = await opened('kept', 100n)
    const names = async () => (await kept()).map(({ name }) => name)
    for (let n = 0; n < 5; n++) expect(await store.admit(request(`c${n}`))).toMatchObject({ ok: true })
    const before = await names()
    expect(before).toHaveLength(2)
    expect(before.every((name) => /^haldir_[0-9a-f]{32}$/.test(name))).toBe(true)
    // Another schema on the same connection is another text.
    const other = postgresStore(pool, { schema: 'kept_too' })
    await other.session.create({ ...row('s'), ttlMs: 60_000 }, [{ ...meter, limit: 1n }])
    expect(await other.admit(request('c0'))).toMatchObject({ ok: true })
    expect(await names()).toHaveLength(4)
    expect(await other.admit(request('c1'))).toMatchObject({ ok: false, refused: 'budget-exceeded' })
    expect(await store.meters.read([meter])).toEqual([{ limit: 100n, used: 0n, held: 5n }])
    await pool.end()
  })

  it('are not made when they are not wanted', async () => {
    const { pool, store, kept } = await opened('unwanted', 100n, { prepare: false })
    for (let n = 0; n < 5; n++) expect(await store.admit(request(`c${n}`))).toMatchObject({ ok: true })
    expect(await kept()).toEqual([])
    await pool.end()
  })

  it('may be taken away by others on the connection', async () => {
    const { pool, store } = await opened('taken', 100n)
    for (let n = 0; n < 9; n++) {
      if (n % 3 === 2) await pool.query('DEALLOCATE ALL')
      expect(await store.admit(request(`c${n}`))).toMatchObject({ ok: true })
    }
    expect(await store.meters.read([meter])).toEqual([{ limit: 100n, used: 0n, held: 9n }])
    await pool.end()
  })

  it('are done without by a store whose pooler gives each transaction to another connection', async () => {
    const pooler = await startPooler(server.url)
    try {
      const { pool, store } = await opened('pooled', 60n, { url: pooler.url, max: 4 })
      const ends = await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          await store.session.get({ id: 's' })
          const { ok } = await store.admit(request(`c${n}`))
          await store.expire(1)
          return ok
        }),
      )
      expect(ends).toEqual(Array(40).fill(true))
      // This pooler can't carry them, or this test would show nothing.
      expect(pooler.errors.length).toBeGreaterThan(0)
      expect(pooler.errors.filter((state) => !['26000', '42P05'].includes(state))).toEqual([])
      const before = pooler.errors.length
      const more = await Promise.all(Array.from({ length: 40 }, async (_, n) => store.admit(request(`d${n}`))))
      expect(more.filter(({ ok }) => ok)).toHaveLength(20)
      expect(pooler.errors).toHaveLength(before)
      expect(await store.meters.read([meter])).toEqual([{ limit: 60n, used: 0n, held: 60n }])
      // Another process meets what the first has left on the connections.
      const second = postgresStore(pool, { schema: 'pooled' })
      for (let n = 0; n < 4; n++) {
        expect(await second.admit(request(`e${n}`))).toMatchObject({ ok: false, refused: 'budget-exceeded' })
        expect(await second.session.get({ id: 's' })).toMatchObject({ id: 's' })
      }
      await pool.end()
    } finally {
      await pooler.stop()
    }
  })
})
