/** PostgreSQL gone, back again, slow, or cut off in the middle: refused in time, nothing twice, healed by itself. */
import type { Store } from '@haldir/core'
import { postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { lacking, type PostgresServer, startPostgres } from '../servers/postgres.ts'
import { type Wire, wireTo } from '../servers/proxy.ts'
import { pause } from './process.ts'

proves('invariant-3', 'invariant-5', 'invariant-6')

const lack = lacking()
if (lack !== undefined) console.info(`skipped: ${lack}`)
const UNAVAILABLE = { code: 'unavailable' }

describe.skipIf(lack !== undefined)('a store on PostgreSQL', () => {
  let server: PostgresServer
  let wire: Wire
  let pool: pg.Pool
  let store: Store
  let sessions = 0
  let session = ''
  let usd: { key: string; window: 'total' }

  beforeAll(async () => {
    server = await startPostgres({ durable: true })
    wire = await wireTo(server.port)
    const connectionString = server.url.replace(`${server.port}`, `${wire.port}`)
    pool = new pg.Pool({ connectionString, connectionTimeoutMillis: 1_000 })
    store = postgresStore(pool, { timeoutMs: 1_000 })
  })
  beforeEach(async () => {
    session = `s${sessions++}`
    usd = { key: `${session}|usd`, window: 'total' }
    const row = { id: session, tokenHash: session, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
    await store.session.create({ ...row, ttlMs: 3_600_000 }, [{ ...usd, limit: 50n }])
  })
  afterAll(async () => {
    await store?.close?.()
    await pool?.end()
    await wire?.close()
    await server?.stop()
  })

  const admit = async (call: string, micros = 1n) =>
    store.admit({ call: `${session} ${call}`, session, charges: [{ meter: usd, micros }], leaseMs: 60_000 })
  const meter = async () => (await store.meters.read([usd]))[0]
  const heals = async () => {
    for (let tries = 0; ; tries++) {
      try {
        return await meter()
      } catch (error) {
        if (tries > 100) throw error
        await pause(50)
      }
    }
  }

  it('that is killed and started again refuses meanwhile, has lost nothing it answered, and goes on', async () => {
    await admit('before', 20n)
    await server.kill()
    for (let tries = 0; tries < 3; tries++) await expect(admit('meanwhile', 20n)).rejects.toMatchObject(UNAVAILABLE)
    await expect(Promise.resolve(store.settle({ call: `${session} before` }))).rejects.toMatchObject(UNAVAILABLE)
    await server.start()
    expect(await heals()).toEqual({ limit: 50n, used: 0n, held: 20n })
    expect(await admit('meanwhile', 20n)).toMatchObject({ ok: true })
    expect(await store.settle({ call: `${session} before` })).toEqual({ state: 'settled', overrun: false })
    expect(await meter()).toEqual({ limit: 50n, used: 20n, held: 20n })
  })

  it('whose answers are lost has carried it out once, however often it is asked again', async () => {
    await admit('warm')
    for (const call of ['a', 'b', 'c']) {
      wire.robs = true
      await expect(admit(call, 5n)).rejects.toMatchObject(UNAVAILABLE)
      wire.robs = wire.deaf = wire.refuses = false
      expect(await admit(call, 5n)).toMatchObject({ ok: true })
    }
    expect(await meter()).toEqual({ limit: 50n, used: 0n, held: 16n })
    wire.robs = true
    const spent = [{ meter: usd, micros: 3n }]
    await expect(Promise.resolve(store.settle({ call: `${session} a`, spent }))).rejects.toMatchObject(UNAVAILABLE)
    wire.robs = wire.deaf = wire.refuses = false
    expect(await store.settle({ call: `${session} a`, spent })).toEqual({ state: 'settled', overrun: false })
    expect(await meter()).toEqual({ limit: 50n, used: 3n, held: 11n })
  })

  it('of a whole batch whose answer is lost nothing is charged twice, and a cancel frees what was taken', async () => {
    await admit('warm')
    wire.robs = true
    const batch = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => admit(`n${n}`)))
    expect(batch.filter(({ status }) => status === 'fulfilled')).toEqual([])
    wire.robs = wire.deaf = wire.refuses = false
    for (let n = 0; n < 20; n += 2) await store.cancel(`${session} n${n}`)
    for (let n = 0; n < 20; n++) {
      expect(await admit(`n${n}`)).toMatchObject(n % 2 === 0 ? { ok: false, refused: 'unavailable' } : { ok: true })
    }
    expect(await meter()).toEqual({ limit: 50n, used: 0n, held: 11n })
  })

  it('that says nothing is given up in time, and its connection does not stay in the pool', async () => {
    await admit('warm')
    wire.deaf = true
    const began = performance.now()
    for (let tries = 0; tries < 2; tries++) await expect(admit('stalled')).rejects.toMatchObject(UNAVAILABLE)
    // Those that came while it was waited for are refused with it, however many they are.
    const many = await Promise.allSettled(Array.from({ length: 999 }, (_, n) => admit(`stalled ${n}`)))
    expect(many.every(({ status }) => status === 'rejected')).toBe(true)
    expect(performance.now() - began).toBeLessThan(10_000)
    wire.robs = wire.deaf = wire.refuses = false
    for (let tries = 0; pool.totalCount > 1 && tries < 100; tries++) await pause(50)
    expect(pool.totalCount).toBeLessThanOrEqual(1)
    await heals()
    // What was asked for may have been done, or not: it is the same calls, and each counts once.
    for (let n = 0; n < 5; n++) expect(await admit(`stalled ${n}`)).toMatchObject({ ok: n < 5 })
    for (let n = 0; n < 999; n++) await store.cancel(`${session} stalled ${n}`)
    expect(await admit('stalled')).toMatchObject({ ok: true })
    expect(await meter()).toEqual({ limit: 50n, used: 0n, held: 2n })
  })

  it('where somebody keeps a meter locked is not filled with statements that nobody waits for any more', async () => {
    await admit('warm')
    const other = new pg.Pool({ connectionString: server.url })
    const locking = await other.connect()
    await locking.query('BEGIN')
    await locking.query('SELECT FROM haldir.meters WHERE slot = $1 FOR UPDATE', [`|${usd.key}`])
    for (const calls of [1, 2, 3]) {
      const all = await Promise.allSettled(Array.from({ length: calls }, (_, n) => admit(`behind ${calls} ${n}`)))
      expect(all.filter(({ status }) => status === 'fulfilled')).toEqual([])
    }
    const waiting = async () => {
      const { rows } = await other.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)
      return rows.length
    }
    expect(await waiting()).toBeGreaterThan(1)
    for (let tries = 0; (await waiting()) > 0 && tries < 75; tries++) await pause(200)
    expect(await waiting()).toBe(0)
    await locking.query('ROLLBACK')
    locking.release()
    await other.end()
    expect(await meter()).toEqual({ limit: 50n, used: 0n, held: 1n })
  }, 30_000)

  it('that can not be reached refuses every verb, and needs nobody to heal', async () => {
    wire.refuses = true
    wire.cut()
    const verbs = [
      () => admit('c'),
      () => store.cancel('c'),
      () => store.session.revokeTree(session),
      () => store.session.get({ id: session }),
      () => store.meters.read([usd]),
      () => store.expire(1),
      () => store.approval.list({ limit: 1 }),
      () => store.secret.list(),
      () => store.writer.list(),
    ]
    for (const verb of verbs) await expect((async () => verb())()).rejects.toMatchObject(UNAVAILABLE)
    wire.robs = wire.deaf = wire.refuses = false
    expect(await heals()).toEqual({ limit: 50n, used: 0n, held: 0n })
    expect(await admit('c')).toMatchObject({ ok: true })
  })

  it('admits nothing after a revoke has returned, however many are on their way', async () => {
    const other = new pg.Pool({ connectionString: server.url })
    const another = postgresStore(other)
    let over = false
    const own = { key: `${session}|wide`, window: 'total' } as const
    const standing = { key: `${session}|standing`, window: 'total', limit: 1_000_000n } as const
    const row = { id: `${session} wide`, tokenHash: `${session} wide`, tenant: 't', agent: 'a' }
    const rest = { scopes: [], attributes: {}, chain: [session], ttlMs: 3_600_000 }
    await store.session.create({ ...row, ...rest }, [{ ...own, limit: 1_000_000n }])
    const storm = [store, another].flatMap((each, which) =>
      Array.from({ length: 8 }, async (_, n) => {
        for (let turn = 0; !over; turn++) {
          const call = `${session} ${which} ${n} ${turn}`
          const charges = [{ meter: n % 4 === 0 ? standing : own, micros: 1n }]
          const admission = await each.admit({ call, session: row.id, charges, leaseMs: 60_000 })
          if (!admission.ok) return admission.refused
        }
        return 'never'
      }),
    )
    await pause(150)
    await another.session.revokeTree(session)
    const held = async () =>
      (await store.meters.read([own, standing])).reduce((sum, state) => sum + Number(state?.held), 0)
    const at = await held()
    const refused = await Promise.race([Promise.all(storm), pause(5_000).then(() => ['never'])])
    over = true
    expect(new Set(refused)).toEqual(new Set(['session-revoked']))
    expect((await held()) - at).toBe(0)
    expect(at).toBeGreaterThan(0)
    await other.end()
  })
})
