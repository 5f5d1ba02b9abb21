/** Several processes on one database at the same moment: what only one may have, one has; nobody waits in a circle. */
import { type PostgresStore, postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { absent, anyPostgres, type SharedPostgres } from '../servers/postgres.ts'

proves('invariant-3', 'invariant-8')

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)

describe.skipIf(lack !== undefined)('four stores on one PostgreSQL', () => {
  let server: SharedPostgres
  const pools: pg.Pool[] = []
  let stores: PostgresStore[] = []
  let made = 0
  /** How often the database had to end such a circle; it is tried again, but late. */
  let deadlocks = 0

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
            if ((error as { code?: unknown }).code === '40P01') deadlocks++
            throw error
          }
        }
        Object.assign(client, { query: counted })
      })
      pools.push(pool)
    }
    stores = pools.map((pool) => postgresStore(pool))
  })
  afterAll(async () => {
    for (const pool of pools) await pool.end()
    await server?.stop()
  })

  const row = (id: string) => ({ id, tokenHash: id, tenant: id, agent: 'a', scopes: [], attributes: {}, chain: [] })
  const first = () => stores[0] as PostgresStore
  const total = (key: string) => ({ key, window: 'total' }) as const

  /** Each store does this at once, in each of many rounds; answers how often it was done in a round. */
  async function rounds(times: number, act: (store: PostgresStore, call: string, round: number) => Promise<boolean>) {
    const done: number[] = []
    for (let round = 0; round < times; round++) {
      const all = stores.map((store, n) => act(store, `call ${made++} ${n}`, round))
      done.push((await Promise.all(all)).filter(Boolean).length)
    }
    return done
  }

  it('admit one call for one `once` key', async () => {
    await first().session.create({ ...row('once'), ttlMs: 3_600_000 }, [])
    const done = await rounds(100, async (store, call, round) => {
      const request = { call, session: 'once', charges: [], leaseMs: 60_000, once: `key ${round}` }
      return (await store.admit(request)).ok
    })
    expect(done).toEqual(Array(100).fill(1))
  })

  it('use one approval once, and decide it once', async () => {
    await first().session.create({ ...row('asked'), ttlMs: 3_600_000 }, [])
    const about = { tenant: 'asked', session: 'asked', agent: 'a', tool: 'x', binding: 'b', data: {}, ttlMs: 60_000 }
    for (let round = 0; round < 60; round++) {
      await first().approval.request({ ...about, id: `p${round}` }, { session: 999, agent: 999 }, [])
    }
    const decided = await rounds(60, async (store, _, round) => {
      return (await store.approval.change(`p${round}`, 1, { state: 'approved' })) !== undefined
    })
    expect(decided).toEqual(Array(60).fill(1))
    const used = await rounds(60, async (store, call, round) => {
      const consent = { id: `p${round}`, binding: 'b' }
      return (await store.admit({ call, session: 'asked', charges: [], leaseMs: 60_000, consent })).ok
    })
    expect(used).toEqual(Array(60).fill(1))
  })

  it('ask for no more approvals than the limit, and make no more sessions than the cap', async () => {
    await first().session.create({ ...row('limited'), ttlMs: 3_600_000 }, [])
    const about = {
      tenant: 'limited',
      session: 'limited',
      agent: 'a',
      tool: 'x',
      binding: 'b',
      data: {},
      ttlMs: 60_000,
    }
    const asked = await rounds(10, async (store, id) => {
      return (await store.approval.request({ ...about, id }, { session: 7, agent: 9 }, [])).ok
    })
    expect(asked.reduce((sum, n) => sum + n)).toBe(7)
    const cap = { count: 'sessions', per: 'tenant', limit: 9 } as const
    const capped = await rounds(10, async (store, id) => {
      const created = await store.session.create({ ...row(id), tenant: 'capped', ttlMs: 60_000 }, [], [cap])
      return !('refused' in created)
    })
    expect(capped.reduce((sum, n) => sum + n)).toBe(9)
  })

  it('share one budget to the last unit, by as many calls at once as there are, the same call twice among them', async () => {
    const meter = total('hot')
    await first().session.create({ ...row('hot'), ttlMs: 3_600_000 }, [{ ...meter, limit: 500n }])
    const charges = [{ meter, micros: 1n }]
    const all = stores.flatMap((store, which) =>
      Array.from({ length: 200 }, async (_, n) => {
        // Every tenth is a call that another process asks for as well.
        const call = n % 10 === 0 ? `hot ${n}` : `hot ${which} ${n}`
        return [call, (await store.admit({ call, session: 'hot', charges, leaseMs: 60_000 })).ok] as const
      }),
    )
    const admitted = new Set((await Promise.all(all)).flatMap(([call, ok]) => (ok ? [call] : [])))
    expect(admitted.size).toBe(500)
    expect(await first().meters.read([meter])).toEqual([{ limit: 500n, used: 0n, held: 500n }])
  })

  it.each([1, 3, 5])('share many small budgets, each of %i calls at once from each of them', async (width) => {
    for (let round = 0; round < 60; round++) {
      const id = `small ${width} ${round}`
      const limit = BigInt(width * 3)
      await first().session.create({ ...row(id), ttlMs: 3_600_000 }, [{ ...total(id), limit }])
      const charges = [{ meter: total(id), micros: 1n }]
      const all = stores.flatMap((store, which) =>
        Array.from({ length: width }, async (_, n) => {
          return (await store.admit({ call: `${id} ${which} ${n}`, session: id, charges, leaseMs: 60_000 })).ok
        }),
      )
      expect((await Promise.all(all)).filter(Boolean)).toHaveLength(width * 3)
    }
  })

  it.each([1, 3])('admit nothing after a revoke has returned, of %i calls at once from each', async (width) => {
    for (let round = 0; round < 60; round++) {
      const id = `revoked ${width} ${round}`
      await first().session.create({ ...row(id), ttlMs: 3_600_000 }, [{ ...total(id), limit: 1_000_000n }])
      const charges = [{ meter: total(id), micros: 1n }]
      let over = false
      const storm = stores.flatMap((store, which) =>
        Array.from({ length: width }, async (_, n) => {
          for (let turn = 0; !over; turn++) {
            const call = `${id} ${which} ${n} ${turn}`
            if (!(await store.admit({ call, session: id, charges, leaseMs: 60_000 })).ok) return
          }
        }),
      )
      await new Promise((wake) => setTimeout(wake, 10 + (round % 7)))
      await first().session.revokeTree(id)
      const held = async () => (await first().meters.read([total(id)]))[0]?.held
      const then = await held()
      over = true
      await Promise.all(storm)
      expect(await held()).toBe(then)
    }
  })

  it('share budgets to the last unit, whichever order calls name them in, and no two wait for each other', async () => {
    const keys = Array.from({ length: 6 }, (_, n) => `m${n}`)
    const limit = 60n
    await first().session.create(
      { ...row('budgets'), ttlMs: 3_600_000 },
      keys.map((key) => ({ ...total(key), limit })),
    )
    let admitted = 0
    const standing = { key: 'quota', window: 'hour', limit: 10_000n } as const
    const work = stores.flatMap((store, which) =>
      Array.from({ length: 10 }, async (_, n) => {
        for (let turn = 0; turn < 12; turn++) {
          const call = `${which} ${n} ${turn}`
          // Each begins elsewhere, and every other one goes round the other way.
          const order = keys.map((__, at) => keys[(at + n + turn) % keys.length] as string)
          if (turn % 2 === 1) order.reverse()
          const charges = [...order.slice(0, 3).map((key) => ({ meter: total(key), micros: 1n }))]
          const all = [...charges, { meter: { ...standing, key: `quota ${n % 3}` }, micros: 1n }]
          const { ok } = await store.admit({ call, session: 'budgets', charges: all, leaseMs: 60_000 })
          if (!ok) continue
          admitted++
          if (turn % 3 === 0) void store.settle({ call, spent: charges })
          if (turn % 3 === 1) {
            admitted--
            void store.cancel(call)
          }
        }
      }),
    )
    await Promise.all(work)
    // What nobody waited for is under way before this.
    await Promise.all(stores.map((store) => store.cancel(`last ${made++}`)))
    const states = await first().meters.read(keys.map(total))
    const sum = states.reduce((all, state) => all + (state?.used ?? 0n) + (state?.held ?? 0n), 0n)
    for (const state of states) expect((state?.used ?? 0n) + (state?.held ?? 0n)).toBeLessThanOrEqual(limit)
    expect(sum).toBe(BigInt(admitted) * 3n)
    expect(deadlocks).toBe(0)
  })
})
