/** Whatever the client is set up to do, and whatever texts say: an answer is never taken for a yes that it is not. */
import { type PostgresClient, postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { absent, anyPostgres, type SharedPostgres } from '../servers/postgres.ts'

proves('invariant-6')

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)
const UNAVAILABLE = { code: 'unavailable' }
const row = (id: string) => ({ id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] })
const own = (key: string) => ({ key, window: 'total' }) as const
const request = (call: string, session: string, key: string, micros = 1n) => ({
  ...{ call, session, charges: [{ meter: own(key), micros }], leaseMs: 60_000 },
})

describe.skipIf(lack !== undefined)('a store on PostgreSQL', () => {
  let server: SharedPostgres
  let pool: pg.Pool

  beforeAll(async () => {
    server = await anyPostgres()
    pool = new pg.Pool({ connectionString: server.url })
  })
  afterAll(async () => {
    await pool?.end()
    await server?.stop()
  })

  it.each([
    ['leaves every type as text', (text: string) => text],
    ['makes something of its own of JSON', (text: string) => ({ text })],
  ])('is not misled by a client that %s', async (_, parse) => {
    const types = { getTypeParser: () => parse } as unknown as pg.CustomTypesConfig
    const odd = new pg.Pool({ connectionString: server.url, types })
    const schema = parse('x') === 'x' ? 'texts' : 'objects'
    const plain = postgresStore(pool, { schema })
    await plain.session.create({ ...row('s'), ttlMs: 60_000 }, [{ ...own('m'), limit: 1n }])
    const store = postgresStore(odd, { schema })
    const made = await Promise.allSettled([store.admit(request('a', 's', 'm')), store.admit(request('b', 's', 'm'))])
    const said = made.map((one) => one.status === 'fulfilled' && one.value.ok)
    if (schema === 'texts') expect(said.filter(Boolean)).toHaveLength(1)
    else expect(said.filter(Boolean)).toEqual([])
    expect(await Promise.allSettled([store.admit(request('c', 'nobody', 'm'))])).not.toMatchObject([
      { value: { ok: true } },
    ])
    await odd.end()
  })

  it('refuses what answers nothing, or something else', async () => {
    for (const rows of [
      [],
      [{}],
      [{ answer: null }],
      [{ answer: 'null' }],
      [{ answer: '{}' }],
      [{ answer: '{"at":1}' }],
    ]) {
      const mute: PostgresClient = {
        query: async (text) => (text.startsWith('DO ') ? { rows: [] } : { rows }),
      }
      const store = postgresStore(mute)
      for (const calls of [1, 2]) {
        const all = Array.from({ length: calls }, (_, n) => store.admit(request(`c${n}`, 's', 'm')))
        for (const one of await Promise.allSettled(all)) {
          expect([rows, one.status === 'fulfilled' && one.value.ok]).toEqual([rows, false])
        }
      }
    }
  })

  it('refuses texts that a database does not hold, and takes no two of them for one another', async () => {
    const store = postgresStore(pool, { schema: 'hostile' })
    await store.session.create({ ...row('\ufffd'), ttlMs: 60_000 }, [{ ...own('\ufffd'), limit: 5n }])
    for (const text of ['\ud800', '\udfff', '\ud800\u0000', '\u0000']) {
      for (const one of [
        request('c', text, '\ufffd'),
        request('c', '\ufffd', text),
        request(text, '\ufffd', '\ufffd'),
      ]) {
        await expect((async () => store.admit(one))()).rejects.toMatchObject(UNAVAILABLE)
      }
      const created = store.session.create({ ...row(text), ttlMs: 60_000 }, [])
      await expect(Promise.resolve(created)).rejects.toMatchObject(UNAVAILABLE)
      await expect((async () => store.session.revokeTree(text))()).rejects.toMatchObject(UNAVAILABLE)
      await expect((async () => store.cancel(text))()).rejects.toMatchObject(UNAVAILABLE)
      // Values that are free text come back as they are.
      const id = `free ${text.length} ${text.codePointAt(0)}`
      const attributes = { [`k${text}`]: text, quote: `'"\\${text}` }
      await store.session.create({ ...row(id), attributes, ttlMs: 60_000 }, [])
      expect((await store.session.get({ id }))?.attributes).toEqual(attributes)
      const about = { id, tenant: 't', session: id, agent: 'a', tool: 'x', binding: 'b', data: { text }, ttlMs: 60_000 }
      await store.approval.request(about, { session: 9, agent: 9 }, ['web'])
      expect((await store.approval.get(id))?.data).toEqual({ text })
      await store.approval.shown(id, 'web', 1, { note: text })
      expect(await store.approval.note(id, 'web')).toEqual({ note: text })
      expect(await store.admit({ ...request(id, id, 'none'), charges: [], once: id, memo: text })).toMatchObject({
        ok: true,
      })
      expect((await store.hold.get(id))?.memo).toBe(text)
    }
    expect(await store.meters.read([own('\ufffd')])).toEqual([{ limit: 5n, used: 0n, held: 0n }])
    const quoted = `'; DROP SCHEMA hostile CASCADE; -- $1 $$ \\' "`
    await store.session.create({ ...row(quoted), tenant: quoted, ttlMs: 60_000 }, [{ ...own(quoted), limit: 5n }])
    expect(await store.admit(request(quoted, quoted, quoted))).toMatchObject({ ok: true })
    expect(await store.session.revokeTree(quoted)).toEqual([quoted])
  })

  it('refuses ids that are too long for an index, and goes on', async () => {
    const store = postgresStore(pool, { schema: 'wide' })
    await store.session.create({ ...row('s'), ttlMs: 60_000 }, [{ ...own('m'), limit: 5n }])
    const long = Array.from({ length: 9_000 }, (_, n) => String.fromCodePoint(0x4e00 + ((n * 7_919) % 20_000))).join('')
    const all = [request('a', 's', 'm'), request(long, 's', 'm'), request('b', 's', 'm'), request('c', long, 'm')]
    const said = await Promise.allSettled(all.map(async (one) => store.admit(one)))
    expect(said.map((one) => (one.status === 'fulfilled' ? one.value.ok : 'failed'))).toEqual([
      true,
      'failed',
      true,
      false,
    ])
    expect(await store.meters.read([own('m')])).toEqual([{ limit: 5n, used: 0n, held: 2n }])
  })

  it('answers nothing that could be undone by who left a transaction open on a connection of the pool', async () => {
    const shared = new pg.Pool({ connectionString: server.url, max: 1 })
    const store = postgresStore(shared, { schema: 'left' })
    await store.session.create({ ...row('s'), ttlMs: 60_000 }, [{ ...own('m'), limit: 9n }])
    for (const statement of ['SELECT 1', 'SELECT 1 / 0']) {
      const left = await shared.connect()
      await left.query('BEGIN')
      await left.query(statement).catch(() => {})
      left.release()
      expect(await store.admit(request(statement, 's', 'm'))).toMatchObject({ ok: true })
    }
    // As whoever opened it may do at any time.
    await shared.query('ROLLBACK')
    expect(await store.meters.read([own('m')])).toEqual([{ limit: 9n, used: 0n, held: 2n }])
    await shared.end()
  })

  it('with one connection alone carries out whatever comes at once, and fails closed when the pool ends under it', async () => {
    const single = new pg.Pool({ connectionString: server.url, max: 1 })
    const store = postgresStore(single, { schema: 'single' })
    await store.session.create({ ...row('s'), ttlMs: 60_000 }, [{ ...own('m'), limit: 100n }])
    const work = Array.from({ length: 40 }, async (_, n) => {
      if (n % 4 === 1) await store.session.get({ id: 's' })
      if (n % 4 === 2) await store.expire(1)
      return (await store.admit(request(`c${n}`, 's', 'm'))).ok
    })
    expect(await Promise.all(work)).toEqual(Array(40).fill(true))
    const late = Array.from({ length: 40 }, async (_, n) => store.admit(request(`d${n}`, 's', 'm')))
    void single.end()
    for (const one of await Promise.allSettled(late)) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject(UNAVAILABLE)
    }
    await expect((async () => store.admit(request('e', 's', 'm')))()).rejects.toMatchObject(UNAVAILABLE)
    await expect((async () => store.session.get({ id: 's' }))()).rejects.toMatchObject(UNAVAILABLE)
  })
})
