/** What a connection has planned while tables were small must not read all of them when they have grown. */
import type { Sink, Store } from '@haldir/core'
import { type PostgresClient, postgresSink, postgresStore } from '@haldir/postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { absent, anyPostgres, type SharedPostgres } from '../servers/postgres.ts'

const lack = absent()
if (lack !== undefined) console.info(`skipped: ${lack}`)

/** Rows of each kind that were made after the plans: alive, pending, due later, of the same tenant and agent. */
const MANY = 5_000
/** Rows that a verb reads, whatever there is besides: those it is about, and the like. */
const FEW = 60
const HOUR = 3_600_000

const meter = (key: string) => ({ key, window: 'total' }) as const
const rate = { key: 'rate', window: 'total', rate: { limit: 1_000n, periodMs: HOUR, burst: 1_000_000n } } as const
const row = (id: string, chain: string[] = []) => ({
  ...{ id, tokenHash: id, tenant: 't', agent: 'a', scopes: [], attributes: {}, chain, ttlMs: HOUR },
})
const secret = (name: string) => ({
  ...{ tenant: 't', name, version: 1, keyId: 'k', scope: 'x', tools: [], hosts: [], wrapped: 'w', sealed: 's' },
})
const approval = (id: string, session: string, more: object = {}) => ({
  ...{ id, tenant: 't', session, agent: 'a', tool: 'x', binding: `b ${id}`, data: {}, ttlMs: HOUR, ...more },
})

/** Every verb, on rows of its own; `did` is told of each, and whether it failed. */
async function everyVerb(
  { store, sink }: { store: Store; sink: Sink },
  n: number | string,
  did: (verb: string, failed: boolean) => void,
): Promise<void> {
  const s = `s${n}`
  const say = async (verb: string, work: unknown) => {
    const [end] = await Promise.allSettled([work])
    did(verb, end?.status !== 'fulfilled')
  }
  const caps = [
    { limit: 3, count: 'sessions', per: 'agent' },
    { limit: 3, count: 'sessions', per: 'tenant' },
    { limit: 3, count: 'agents', per: 'tenant' },
  ] as const
  await say('session.create', store.session.create(row(s), [{ ...meter(s), limit: 100n }]))
  await say('session.create of a child', store.session.create(row(`${s} child`, [s]), []))
  await say('session.create, capped', store.session.create(row(`${s} capped`), [], caps))
  await say('session.get by id', store.session.get({ id: s }))
  await say('session.get by token', store.session.get({ tokenHash: s }))
  await say('session.extend', store.session.extend(`${s} child`, 2 * HOUR))
  await say('session.suspendTree', store.session.suspendTree(`${s} child`, 'rule'))
  await say('session.resumeTree', store.session.resumeTree(`${s} child`))
  const own = [{ meter: meter(s), micros: 1n }]
  const call = { session: s, leaseMs: HOUR }
  await say('admit, plain', store.admit({ ...call, call: `${s} a`, charges: own }))
  await say('admit, plain, again', store.admit({ ...call, call: `${s} a`, charges: own }))
  const many = [1, 2, 3].map((k) => store.admit({ ...call, call: `${s} ${k}`, charges: own }))
  await say('admit, several', Promise.all(many))
  const wide = [
    ...own,
    { meter: { ...meter('day'), window: 'day', limit: 10n ** 9n }, micros: 1n },
    { meter: rate, micros: 1n },
  ]
  await say('admit, wide', store.admit({ ...call, call: `${s} w`, charges: wide as typeof own, once: `${s} once` }))
  await say('admit, refused', store.admit({ ...call, call: `${s} r`, charges: [{ meter: meter(s), micros: 1_000n }] }))
  await say('reserve', store.reserve({ ...call, call: `${s} v`, charges: own }))
  await say('settle', store.settle({ call: `${s} a` }))
  await say('settle, spent', store.settle({ call: `${s} w`, spent: [{ meter: meter(s), micros: 2n }] }))
  await say('settle, unknown', store.settle({ call: `${s} u`, spent: own }))
  await say('cancel', store.cancel(`${s} v`))
  await say('renew', store.renew([`${s} 1`, `${s} 2`], HOUR))
  await say('hold.get', store.hold.get(`${s} 1`))
  await say('meters.read', store.meters.read([meter(s), rate]))
  await say('expire', store.expire(20))
  const limits = { session: 5, agent: 20 }
  const asked = store.approval.request(
    approval(`${s} p`, s, { ref: `${s} ref`, grant: { binding: `${s} g` } }),
    limits,
    ['web'],
  )
  await say('approval.request', asked)
  await say('approval.get', store.approval.get(`${s} p`))
  await say('approval.find by ref', store.approval.find({ session: s, tool: 'x', ref: `${s} ref` }))
  await say('approval.find by binding', store.approval.find({ session: s, binding: `b ${s} p` }))
  await say('approval.find by grant', store.approval.find({ session: s, grant: `${s} g` }))
  await say('approval.list', store.approval.list({ session: s, limit: 10 }))
  await say('approval.due', store.approval.due(['web'], 5, HOUR))
  await say('approval.shown', store.approval.shown(`${s} p`, 'web', 1, { note: 1 }))
  await say('approval.later', store.approval.later(`${s} p`, 'web', HOUR))
  await say('approval.note', store.approval.note(`${s} p`, 'web'))
  await say('approval.change', store.approval.change(`${s} p`, 1, { state: 'approved' }))
  const consent = { id: `${s} p`, binding: `b ${s} p` }
  await say('admit, consented', store.admit({ ...call, call: `${s} c`, charges: own, consent }))
  await say('approval.use', store.approval.use(`${s} p`, `${s} c`))
  await say('approval.expire', store.approval.expire(20))
  await say('secret.put', store.secret.put(secret(s)))
  await say('secret.get', store.secret.get('t', s))
  await say('secret.rewrap', store.secret.rewrap({ ...secret(s), keyId: 'k2' }, secret(s)))
  await say('secret.used', store.secret.used('t', s))
  await say('secret.delete', store.secret.delete('t', s))
  const line = `${JSON.stringify({ writer: s, seq: 0, at: '2030-01-01T00:00:00.000Z', type: 'intent' })}\n`
  await say('sink.write', sink.write(line))
  await say('sink.write, again', sink.write(line))
  await say('session.revokeTree', store.session.revokeTree(s))
}

/** Half of them are over sooner than what the verbs make, and half later: so that no order comes upon theirs first. */
const AT = `(${Date.now()} + CASE WHEN n % 2 = 0 THEN ${HOUR / 4} ELSE ${2 * HOUR} END)`
const GROWN = `
  INSERT INTO haldir.sessions SELECT 'm' || n, 'm' || n, 't', 'a', '[]', '{}', '{}', '{}', 0, ${AT}, NULL, NULL, NULL
    FROM generate_series(1, ${MANY}) n;
  INSERT INTO haldir.sessions SELECT 'x' || n, 'x' || n, 't', 'a', '[]', '{}', '{}', '{}', 0, ${AT}, NULL, 'z', 'r'
    FROM generate_series(1, ${MANY}) n;
  INSERT INTO haldir.lineage SELECT 'm' || n, 'x' || n FROM generate_series(1, ${MANY}) n;
  INSERT INTO haldir.meters SELECT '|m' || n, 9, 0, 0, 0, ${AT} FROM generate_series(1, ${MANY}) n;
  INSERT INTO haldir.holds SELECT state || n, 'm' || n, state, ${AT}, '{}', '{}', 'o' || n
    FROM generate_series(1, ${MANY}) n, unnest(ARRAY['running', 'reserved', 'settled', 'orphaned']) state;
  INSERT INTO haldir.approvals (id, version, state, tenant, session, agent, tool, ref, binding, grant_binding, grant_until,
      created_at, expires_at, forget_at, data)
    SELECT state || n, 1, state, 't', 'm' || n, 'b', 'x', 'r' || n, 'b' || n, 'g' || n, ${AT}, 0, ${AT}, ${AT}, '{}'
    FROM generate_series(1, ${MANY}) n, unnest(ARRAY['pending', 'approved', 'denied']) state;
  INSERT INTO haldir.deliveries SELECT n, 'web', ${AT} FROM haldir.approvals ON CONFLICT DO NOTHING;
  INSERT INTO haldir.secrets SELECT 't', 'n' || n, 1, 'k', 'w', 's', '{}', 0 FROM generate_series(1, ${MANY}) n;
  INSERT INTO haldir.entries SELECT 'w', n, now(), 'intent', 't', 'a', 's', 'x', '{}' FROM generate_series(1, ${MANY}) n`

describe.skipIf(lack !== undefined)('a connection that has planned everything', () => {
  let server: SharedPostgres
  let client: pg.Client

  beforeAll(async () => {
    server = await anyPostgres()
    client = new pg.Client({ connectionString: server.url })
    await client.connect()
  })
  afterAll(async () => {
    await client?.end()
    await server?.stop()
  })

  /** One connection that plans while nothing that a statement did is kept, or what it did is; and counts what is read. */
  class Planned implements PostgresClient {
    readonly #own = new pg.Client({ connectionString: server.url })
    #read = 0
    end = 'COMMIT'

    async open(): Promise<this> {
      await this.#own.connect()
      return this
    }

    async query(text: string, values?: unknown[]) {
      if (text.startsWith('DO ')) return this.#own.query(text)
      await this.#own.query('BEGIN')
      try {
        const before = await this.#soFar()
        const answer = await this.#own.query(text, values)
        this.#read += (await this.#soFar()) - before
        return answer
      } finally {
        await this.#own.query(this.end)
      }
    }

    async #soFar(): Promise<number> {
      const { rows } = await this.#own.query(`SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int AS read
        FROM pg_stat_xact_user_tables WHERE schemaname = 'haldir'`)
      return rows[0].read
    }

    /** How many rows of tables were read since it was last asked. */
    read(): number {
      const read = this.#read
      this.#read = 0
      return read
    }

    close(): Promise<void> {
      return this.#own.end()
    }
  }

  it('on small tables reads what a verb is about, and no more when they have grown', { timeout: 120_000 }, async () => {
    const [empty, small] = await Promise.all([new Planned().open(), new Planned().open()])
    const both = (client: PostgresClient) => ({ store: postgresStore(client), sink: postgresSink(client) })
    const stores = { empty: both(empty), small: both(small) }
    empty.end = 'ROLLBACK'
    await stores.small.store.expire(1)
    // Analysed anew, everything would be planned anew as well: in life that is some time later, and here never.
    const { rows: tables } = await client.query("SELECT tablename FROM pg_tables WHERE schemaname = 'haldir'")
    for (const { tablename } of tables) {
      await client.query(`ALTER TABLE haldir.${tablename} SET (autovacuum_enabled = false)`)
    }
    // From the sixth time on a plan is kept. The first of them before there was ever a row: then there is no page, either.
    const nobody = { session: 'nobody', charges: [{ meter: meter('none'), micros: 1n }], leaseMs: HOUR }
    for (let n = 0; n < 12; n++) await stores.empty.store.admit({ ...nobody, call: `nobody ${n}` })
    for (let n = 0; n < 12; n++) await everyVerb(stores.empty, n, () => {})
    for (let n = 0; n < 12; n++) await everyVerb(stores.small, n, () => {})
    empty.end = 'COMMIT'
    await client.query(GROWN)
    for (const [which, planned] of Object.entries({ empty, small })) {
      const most: Record<string, number> = {}
      const failures: string[] = []
      planned.read()
      for (let n = 12; n < 15; n++) {
        await everyVerb(stores[which as 'empty'], `${which} ${n}`, (verb, failed) => {
          most[verb] = Math.max(most[verb] ?? 0, planned.read())
          if (failed) failures.push(verb)
        })
      }
      expect({ which, failures }).toEqual({ which, failures: [] })
      expect(Object.keys(most).length).toBeGreaterThan(38)
      expect({ which, toomuch: Object.entries(most).filter(([, rows]) => rows > FEW) }).toEqual({ which, toomuch: [] })
      await planned.close()
    }
  })

  it('reads no table as a whole, which before version 18 looks so dear that it would be compiled at every call', async ({
    skip,
  }) => {
    const own = new pg.Client({ connectionString: server.url })
    await own.connect()
    try {
      const told = await own.query("LOAD 'auto_explain'").catch(() => undefined)
      skip(!told, '`auto_explain` may be loaded by superusers alone')
      await own.query(`SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
        SET client_min_messages = log`)
      const plans: string[] = []
      own.on('notice', ({ message = '' }) => plans.push(message))
      const client = { query: (text: string, values?: unknown[]) => own.query(text, values) }
      const stores = {
        store: postgresStore(client, { schema: 'dear' }),
        sink: postgresSink(client, { schema: 'dear' }),
      }
      // Both look first whether the schema is there.
      await stores.store.expire(1)
      for await (const _ of stores.sink.read?.() ?? []) break
      // As if nobody had asked for long: then a call moves it.
      await client.query('UPDATE dear.clock SET value = 0')
      plans.length = 0
      const failed: string[] = []
      for (let n = 0; n < 7; n++) await everyVerb(stores, n, (verb, failure) => failure && failed.push(verb))
      expect(failed).toEqual([])
      expect(plans.length).toBeGreaterThan(1_000)
      expect(plans.filter((plan) => /Seq Scan on|^JIT/m.test(plan))).toEqual([])
      expect(plans.some((plan) => plan.includes('UPDATE "dear".clock'))).toBe(true)
    } finally {
      await own.end()
    }
  })
})
