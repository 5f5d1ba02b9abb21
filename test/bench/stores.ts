/**
 * `npm run bench -- stores`: what the stores on Redis and PostgreSQL cost, beside the least that the same engine, on the
 * same connection, could do. Starts its own servers; PostgreSQL waits for the disk at each commit, as yours does.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Store } from '@haldir/core'
import { postgresStore } from '@haldir/postgres'
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'
import pg from 'pg'
import { lacking, startPostgres } from '../servers/postgres.ts'
import { NO_REDIS, startRedis } from '../servers/redis.ts'
import { above, compare, type Figures, percentile, ratio } from './measure.ts'
import { type Claim, columnNames, note, number, progressOf, row } from './table.ts'

type Judge = (found: string, bar: string, met: boolean) => Claim

const SESSION = 'bench'
type Charges = Parameters<Store['admit']>[0]['charges']

const quota = { key: 't|tenant:t|calls|month|quota', window: 'month', limit: 10n ** 15n } as const
const meter = { key: `t|session:${SESSION}|USD|total|budget`, window: 'total' } as const
const FLIGHT = 64
const CONNECTIONS = 16
const NOTES = `
An admit holds an amount on one meter of a session, as a governed call does. Serial: one after the other on
one connection. In flight: that many lanes, each of which waits for its answer. Naive: read the session, read
the budget, add to it: three commands, each awaited, and a race; beside it on loopback, where a round trip
costs next to nothing once many are under way, and through a wire. A bare script: what an admit reads and
writes, and nothing else: time that only the server could save. Hot: all lanes on one budget. Bytes: what
the engine says it holds more (Redis: used_memory; PostgreSQL: tables and indexes), over the rows made.`

export async function stores(quick: boolean, judge: Judge): Promise<void> {
  columnNames()
  await redis(quick, judge)
  await postgres(quick, judge)
  note(NOTES)
}

/** A session with one meter that never runs out, and what a call asks for: of that one, of a quota as well, and its end. */
async function admits(store: Store) {
  const row = { id: SESSION, tokenHash: 'bench', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [] }
  await store.session.create({ ...row, ttlMs: 86_400_000 }, [{ ...meter, limit: 10n ** 15n }])
  let made = 0
  const charges = [{ meter, micros: 1n }]
  const take = async (charged: Charges) => {
    const call = `call-${++made}`
    const { ok } = await store.admit({ call, session: SESSION, charges: charged, leaseMs: 900_000 })
    if (!ok) throw new Error('an admit was refused')
    return call
  }
  return {
    one: () => take(charges),
    two: () => take([...charges, { meter: quota, micros: 1_000_000n }]),
    whole: async () => store.settle({ call: await take(charges) }),
  }
}

async function redis(quick: boolean, judge: Judge): Promise<void> {
  const server = await startRedis()
  if (!server) return note(`left out: ${NO_REDIS}`)
  const client = new Redis(server.url)
  try {
    const calls = await admits(redisStore(client))
    const naive = await naively(client)
    const plan = { rounds: quick ? 20 : 80, size: 250, warmUp: 2_000 }
    const { at, end } = progressOf('admits on Redis')
    const [ping, three, least, one, two, whole] = (await compare(
      [
        { name: 'Redis: PING', call: () => client.ping() },
        { name: 'Redis: naive, three commands', call: naive },
        { name: 'Redis: a bare script', call: await barely(client) },
        { name: 'Redis: admit', call: calls.one },
        { name: 'Redis: admit, two meters', call: calls.two },
        { name: 'Redis: admit and settle', call: calls.whole },
      ],
      plan,
      at,
    )) as [Figures, Figures, Figures, Figures, Figures, Figures]
    end()
    show(ping)
    show(three)
    show(least, [{ found: `PING + ${number(above(least, ping))} µs` }])
    const more = above(one, ping)
    show(one, [
      judge(`PING + ${number(more)} µs`, '≤ + 30', more <= 30),
      { found: `${(1 / ratio(one, three)).toFixed(2)} × naive` },
    ])
    show(two)
    show(whole)
    await inFlight('Redis', [naive, calls.one], quick)

    // Where a round trip is what a call waits for, as between machines.
    const wire = fork(fileURLToPath(new URL('far.ts', import.meta.url)), [String(server.port)])
    const [port] = (await once(wire, 'message')) as [number]
    const far = new Redis(port, '127.0.0.1')
    try {
      const away = await admits(redisStore(far, { prefix: 'away:' }))
      await inFlight('Redis, 1 ms away each way', [await naively(far), away.one], quick, judge)
    } finally {
      far.disconnect()
      wire.disconnect()
    }
    await sizes('Redis', redisStore(client, { prefix: 'sizes:' }), quick, async () => {
      const [, used] = /used_memory:(\d+)/.exec(await client.info('memory')) ?? []
      return Number(used)
    })
  } finally {
    client.disconnect()
    await server.stop()
  }
}

/** What one would write at first: read the session, read the budget, add to it. Three round trips, and a race. */
async function naively(client: Redis): Promise<() => Promise<void>> {
  await client.set('naive:session', 'live')
  await client.set('naive:budget', '0')
  return async () => {
    const session = await client.get('naive:session')
    const used = Number(await client.get('naive:budget'))
    if (session !== 'live' || used > 1e15) throw new Error('refused')
    await client.incrby('naive:budget', 1)
  }
}

/** The seven commands of an admit as a script that thinks nothing: what no admit of one round trip can cost less than. */
async function barely(client: Redis): Promise<() => Promise<unknown>> {
  const text = `local tag, call = KEYS[1], ARGV[1]
    redis.call('MGET', tag, tag .. ':none')
    local time = redis.call('TIME')
    redis.call('HGET', tag .. ':session', 'open')
    local row = redis.call('GET', tag .. ':meter')
    redis.call('SET', tag .. ':hold:' .. call, row, 'NX')
    redis.call('SET', tag .. ':meter', row, 'KEEPTTL')
    redis.call('ZADD', tag .. ':leases', time[1], call)
    return 1`
  await client.set('{bare}:meter', '1000000000000000 0 100000')
  await client.hset('{bare}:session', 'open', '1000000000000')
  const sha = (await client.script('LOAD', text)) as string
  let made = 0
  return () => client.evalsha(sha, 1, '{bare}', `call-${++made}`)
}

/** With many lanes. `judge`: there is a bar. */
async function inFlight(
  where: string,
  calls: readonly [naive: () => Promise<unknown>, admit: () => Promise<unknown>],
  quick: boolean,
  judge?: Judge,
): Promise<void> {
  const [slow, fast] = await throughput(`admits in flight: ${where}`, calls, FLIGHT, quick ? 8 : 40)
  row(`${where}: naive, ${FLIGHT} in flight`, ['', '', number(slow)])
  const found = `${(fast / slow).toFixed(2)} × naive`
  row(
    `${where}: admit, ${FLIGHT} in flight`,
    ['', '', number(fast)],
    [judge ? judge(found, '≥ 2', fast >= slow * 2) : { found }],
  )
}

async function postgres(quick: boolean, judge: Judge): Promise<void> {
  const missing = lacking()
  if (missing) return note(`left out: ${missing}`)
  const server = await startPostgres({ durable: true })
  const pool = new pg.Pool({ connectionString: server.url, max: CONNECTIONS })
  const one = new pg.Client({ connectionString: server.url })
  await one.connect()
  try {
    const { one: admit } = await admits(postgresStore(pool))
    await one.query('CREATE TABLE bare (id text PRIMARY KEY, used bigint NOT NULL, cap bigint NOT NULL)')
    await one.query("INSERT INTO bare VALUES ('hot', 0, 1000000000000)")
    const text = "UPDATE bare SET used = used + 1 WHERE id = 'hot' AND used + 1 <= cap RETURNING used"
    const { at, end } = progressOf('admits on PostgreSQL')
    const [bare, whole] = await compare(
      [
        { name: 'PostgreSQL: bare UPDATE … RETURNING', call: () => one.query(text) },
        { name: 'PostgreSQL: admit, serial', call: admit },
      ],
      { rounds: quick ? 8 : 40, size: 50, warmUp: 500 },
      at,
    )
    end()
    show(bare as Figures)
    const found = ratio(whole as Figures, bare as Figures)
    show(whole as Figures, [judge(`${found.toFixed(2)} × bare`, '≤ 1.3', found <= 1.3)])

    const row16 = () => pool.query(text)
    const [rows, hot] = await throughput('a hot budget on PostgreSQL', [row16, admit], CONNECTIONS, quick ? 8 : 40)
    row(`PostgreSQL: one row, ${CONNECTIONS} connections`, ['', '', number(rows)])
    const times = hot / rows
    row(
      `PostgreSQL: hot budget, ${CONNECTIONS} in flight`,
      ['', '', number(hot)],
      [judge(`${times.toFixed(2)} × one row`, '≥ 3', times >= 3)],
    )
    const sized = postgresStore(pool, { schema: 'sizes' })
    await sizes('PostgreSQL', sized, quick, async () => {
      const size = `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes FROM pg_class c
        JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'sizes' AND relkind = 'r'`
      const { rows } = await one.query<{ bytes: string }>(size)
      return Number(rows[0]?.bytes)
    })
  } finally {
    await one.end()
    await pool.end()
    await server.stop()
  }
}

/** Calls a second of each, by turns, with so many lanes. */
async function throughput(
  what: string,
  [floor, subject]: readonly [() => Promise<unknown>, () => Promise<unknown>],
  lanes: number,
  rounds: number,
): Promise<[number, number]> {
  const each = 40
  const { at, end } = progressOf(what)
  const flight = async (call: () => Promise<unknown>) => {
    const began = performance.now()
    const lane = async () => {
      for (let n = 0; n < each; n++) await call()
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    return (lanes * each * 1_000) / (performance.now() - began)
  }
  const taken: [number[], number[]] = [[], []]
  for (let round = -2; round < rounds; round++) {
    for (const [which, call] of [floor, subject].entries()) {
      const perSecond = await flight(call)
      if (round >= 0) taken[which as 0 | 1].push(perSecond)
    }
    at(Math.max(0, round + 1) / rounds)
  }
  end()
  return [percentile(taken[0], 0.5), percentile(taken[1], 0.5)]
}

/** What a session costs, and what a meter of one costs, when there are a million of them. */
async function sizes(name: string, store: Store, quick: boolean, bytes: () => Promise<number>): Promise<void> {
  const half = quick ? 10_000 : 500_000
  const { at, end } = progressOf(`${number(half * 3)} sessions on ${name}`)
  const make = async (from: number, meters: boolean) => {
    const before = await bytes()
    let next = from
    const lane = async () => {
      for (let n = next++; n < from + half; n = next++) {
        const id = `session-${String(n).padStart(28, '0')}`
        const row = { id, tokenHash: id.padEnd(64, '0'), tenant: 'acme', agent: 'order-bot', attributes: {}, chain: [] }
        const key = `acme|session:${id}|USD|total|budget`
        const made = [{ key, window: 'total', limit: 50_000_000n }] as const
        await store.session.create({ ...row, scopes: ['read', 'spend:50'], ttlMs: 3_600_000 }, meters ? made : [])
        if (n % 1_000 === 0) at(n / (half * 3))
      }
    }
    await Promise.all(Array.from({ length: 32 }, lane))
    return ((await bytes()) - before) / half
  }
  // The first rows of all bring tables and the like with them.
  await make(half * 2, true)
  const session = await make(0, false)
  const both = await make(half, true)
  end()
  row(`${name}: a session, of ${number(half * 3)}`, [], [{ found: `${number(session)} bytes` }])
  row(`${name}: a meter of a session`, [], [{ found: `${number(Math.max(0, both - session))} bytes` }])
}

function show(figures: Figures, claims: readonly Claim[] = []): void {
  row(figures.name, [figures.p50, figures.p99, figures.perSecond].map(number), claims)
}
