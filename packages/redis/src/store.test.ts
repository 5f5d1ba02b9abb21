/** What the contract does not see: several tenants, keys and how long they live, edges of windows, slots. */
import { createHash } from 'node:crypto'
import type { Store } from '@haldir/core'
import { fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { skipped } from '../../../test/crash/process.ts'
import { anyRedis, NO_REDIS } from '../../../test/servers/redis.ts'
import type { RedisClient } from './client.ts'
import { clockKey } from './keys.ts'
import { redisStore } from './store.ts'

const server = await anyRedis()
const client = (server && new Redis(server.url)) as Redis
afterAll(async () => {
  client?.disconnect()
  await server?.stop()
})

const HOUR = 3_600_000
const DAY = 24 * HOUR
const prefix = () => server?.prefix() ?? ''

interface Made {
  readonly id: string
  readonly tenant: string
  readonly ttlMs?: number
  readonly meters?: Parameters<Store['session']['create']>[1]
}

const hashOf = (id: string) => createHash('sha256').update(id).digest('hex')

async function session(store: Store, { id, tenant, ttlMs = HOUR, meters = [] }: Made) {
  const about = { tokenHash: hashOf(id), agent: 'a', scopes: [], attributes: {}, chain: [] }
  return store.session.create({ id, tenant, ttlMs, ...about }, meters)
}

const budget = (tenant: string, id: string) =>
  ({ key: `${tenant}|session:${id}|USD|total|budget`, window: 'total' }) as const
const admit = (store: Store, call: string, id: string, tenant: string, leaseMs = 60_000, memo?: string) =>
  store.admit({
    call,
    session: id,
    leaseMs,
    charges: [{ meter: budget(tenant, id), micros: 1n }],
    ...(memo === undefined ? {} : { memo }),
  })

/** Every key under a prefix, without it, and how long it lives. */
async function keysOf(own: string): Promise<Map<string, number>> {
  const keys = await client.keys(`${own.replace(/[[\]*?\\]/g, '\\$&')}*`)
  const ttls = await Promise.all(keys.map((key) => client.pttl(key)))
  return new Map(keys.map((key, index) => [key.slice(own.length), ttls[index] as number]))
}

it('needs a server', (context) => {
  if (!server) skipped(context, NO_REDIS)
})

describe.skipIf(!server)('tenants', () => {
  it('are told apart whatever they are called, and each keeps to its own hash tag', async () => {
    const own = prefix()
    const names = ['a', 'a}', '{a', 'a}{b', '}', '%', '', 'a%7D', 'ä b', '{a}']
    const store = redisStore(client, { prefix: own })
    for (const [index, tenant] of names.entries()) {
      const meters = [{ ...budget(tenant, `s${index}`), limit: BigInt(index + 1) }]
      await session(store, { id: `s${index}`, tenant, meters })
      expect(await admit(store, `c${index}`, `s${index}`, tenant)).toMatchObject({ ok: true })
    }
    const other = redisStore(client, { prefix: own })
    for (const [index, tenant] of names.entries()) {
      const read = await other.meters.read([budget(tenant, `s${index}`)])
      expect(read).toEqual([{ limit: BigInt(index + 1), used: 0n, held: 1n }])
      expect(await other.session.get({ id: `s${index}` })).toMatchObject({ tenant })
    }
    const tags = [...(await keysOf(own)).keys()].flatMap((key) => /^\{([^}]*)\}:clock$/.exec(key)?.[1] ?? [])
    expect(new Set(tags).size).toBe(names.length)
    expect(tags).not.toContain('')
  })

  it('have their meters read as theirs by everybody, when the name of one begins with that of another', async () => {
    const own = prefix()
    const store = redisStore(client, { prefix: own })
    const quota = (tenant: string) =>
      ({ key: `${tenant}|tenant:x|calls|total|quota`, window: 'total', limit: 9n }) as const
    for (const [id, tenant] of ['', 'a', 'a|b', 'a|b|c'].entries()) {
      await session(store, { id: `${id}`, tenant, meters: [{ ...budget(tenant, `${id}`), limit: 9n }] })
      const charges = [budget(tenant, `${id}`), quota(tenant)].map((meter) => ({ meter, micros: BigInt(id + 1) }))
      await store.admit({ call: `c${id}`, session: `${id}`, leaseMs: 60_000, charges })
    }
    for (const [id, tenant] of ['', 'a', 'a|b', 'a|b|c'].entries()) {
      const other = redisStore(client, { prefix: own })
      const state = { limit: 9n, used: 0n, held: BigInt(id + 1) }
      expect(await other.meters.read([budget(tenant, `${id}`), quota(tenant)])).toEqual([state, state])
    }
    // One that was made since this store saw which tenants there are, and was attached here.
    const other = redisStore(client, { prefix: own })
    await other.meters.read([quota('a')])
    await session(store, { id: 'later', tenant: 'a|later', meters: [{ ...budget('a|later', 'later'), limit: 9n }] })
    expect(await other.session.get({ tokenHash: hashOf('later') })).toMatchObject({ id: 'later' })
    expect(await other.meters.read([budget('a|later', 'later')])).toEqual([{ limit: 9n, used: 0n, held: 0n }])
  })

  it('need not be known to a process that ends, renews, reads or sweeps what others have taken', async () => {
    const own = prefix()
    const store = redisStore(client, { prefix: own })
    const tenants = ['t1', 't2', 't3']
    for (const tenant of tenants) {
      await session(store, { id: `of ${tenant}`, tenant, meters: [{ ...budget(tenant, `of ${tenant}`), limit: 9n }] })
      for (const call of ['a', 'b', 'c', 'd', 'e'])
        await admit(store, `${tenant} ${call}`, `of ${tenant}`, tenant, 1, 'm')
    }
    const other = redisStore(client, { prefix: own })
    expect(await other.settle({ call: 't2 a' })).toEqual({ state: 'settled', overrun: false })
    expect(await other.cancel('t3 b')).toEqual({ state: 'released', overrun: false })
    expect(await other.hold.get('t1 c')).toEqual({ session: 'of t1', state: 'running', memo: 'm' })
    await redisStore(client, { prefix: own }).renew(
      tenants.map((tenant) => `${tenant} d`),
      HOUR,
    )
    await new Promise((wake) => setTimeout(wake, 5))
    const swept = await redisStore(client, { prefix: own }).expire(4)
    expect(swept.orphaned).toHaveLength(4)
    const rest = await redisStore(client, { prefix: own }).expire(99)
    expect([...swept.orphaned, ...rest.orphaned].sort()).toEqual(
      ['t1 a', 't1 b', 't1 c', 't1 e', 't2 b', 't2 c', 't2 e', 't3 a', 't3 c', 't3 e'].sort(),
    )
    const keys = tenants.map((tenant) => budget(tenant, `of ${tenant}`))
    expect(await other.meters.read(keys)).toEqual([
      { limit: 9n, used: 4n, held: 1n },
      { limit: 9n, used: 4n, held: 1n },
      { limit: 9n, used: 3n, held: 1n },
    ])
  })

  it('get a tombstone each of a call that nobody knows: its admit is refused wherever it arrives', async () => {
    const own = prefix()
    const store = redisStore(client, { prefix: own })
    for (const tenant of ['t1', 't2'])
      await session(store, { id: tenant, tenant, meters: [{ ...budget(tenant, tenant), limit: 9n }] })
    expect(await redisStore(client, { prefix: own }).cancel('c')).toEqual({ state: 'unknown', overrun: false })
    for (const tenant of ['t1', 't2']) {
      expect(await admit(store, 'c', tenant, tenant)).toEqual({ ok: false, refused: 'unavailable' })
    }
  })

  it('have their approvals handed out and ended no more at once than asked for, the longest due first', async () => {
    const clock = fakeClock()
    const store = redisStore(client, { prefix: prefix(), clock })
    for (const tenant of ['t1', 't2', 't3']) await session(store, { id: tenant, tenant, ttlMs: DAY })
    const about = { agent: 'a', tool: 'x', binding: 'b', ttlMs: HOUR, data: {} }
    for (let n = 0; n < 9; n++) {
      const tenant = `t${(n % 3) + 1}`
      await store.approval.request({ ...about, id: `p${n}`, session: tenant, tenant }, { session: 9, agent: 9 }, [
        'web',
      ])
      await clock.advance(1)
    }
    const ids = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id).join(' ')
    expect(ids(await store.approval.list({ limit: 4 }))).toBe('p8 p7 p6 p5')
    expect(ids((await store.approval.due(['web'], 4, HOUR)).map(({ row }) => row))).toBe('p0 p1 p2 p3')
    expect(ids((await store.approval.due(['web'], 99, HOUR)).map(({ row }) => row))).toBe('p4 p5 p6 p7 p8')
    await clock.advance(HOUR)
    expect(ids(await store.approval.expire(5))).toBe('p0 p1 p2 p3 p4')
    expect(ids(await store.approval.expire(5))).toBe('p5 p6 p7 p8')
  })
})

describe.skipIf(!server)('keys', () => {
  it('of what is over go by themselves; of what lives and counts, none does before', async () => {
    const own = prefix()
    const store = redisStore(client, { prefix: own })
    const standing = { key: 't|tenant:t|calls|total|quota', window: 'total', limit: 99n } as const
    const monthly = { key: 't|tenant:t|calls|month|quota', window: 'month', limit: 99n } as const
    const rate = {
      key: 't|tenant:t|calls|total|rate',
      window: 'total',
      rate: { limit: 9n, periodMs: HOUR, burst: 9n },
    } as const
    await session(store, { id: 's', tenant: 't', ttlMs: 30 * DAY, meters: [{ ...budget('t', 's'), limit: 9n }] })
    const perSession = { key: 't|session:s|calls|total|quota', window: 'total', limit: 99n } as const
    const charges = [standing, perSession, monthly, rate].map((meter) => ({ meter, micros: 1n }))
    for (const call of ['runs', 'ended', 'orphan'])
      await store.admit({ call, session: 's', leaseMs: call === 'orphan' ? 1 : HOUR, charges, once: call })
    // One that waited for a person first.
    await store.reserve({ call: 'waited', session: 's', leaseMs: HOUR, charges, once: 'waited' })
    await store.admit({ call: 'waited', session: 's', leaseMs: HOUR, charges, once: 'waited' })
    for (const call of ['ended', 'waited']) await store.settle({ call })
    await new Promise((wake) => setTimeout(wake, 5))
    await store.expire(9)
    const keys = await keysOf(own)
    const lives = (key: string) => keys.get(key) as number
    const near = (key: string, ms: number) => expect(Math.abs(lives(key) - ms), key).toBeLessThan(60_000)
    for (const key of ['{t}:h:runs', '{t}:o:runs', '{t}:leases', '{t}:m:|t|tenant:t|calls|total|quota'])
      expect(lives(key), key).toBe(-1)
    near('{t}:s:s', 37 * DAY)
    near('{t}:m:|t|session:s|USD|total|budget', 37 * DAY)
    near('{t}:m:|t|session:s|calls|total|quota', 37 * DAY)
    near('session:s', 37 * DAY)
    near(`token:${hashOf('s')}`, 37 * DAY)
    for (const call of ['ended', 'waited']) {
      near(`{t}:h:${call}`, DAY + HOUR)
      near(`{t}:o:${call}`, DAY + HOUR)
    }
    near('{t}:h:orphan', 30 * DAY)
    const [month] = [...keys.keys()].filter((key) => key.includes('|t|tenant:t|calls|month|quota'))
    expect(lives(month as string)).toBeGreaterThan(31 * DAY)
    expect(lives('{t}:r:t|tenant:t|calls|total|rate')).toBeGreaterThan(DAY)
    await store.session.extend('s', 60 * DAY)
    const later = await keysOf(own)
    for (const key of [
      '{t}:s:s',
      '{t}:m:|t|session:s|USD|total|budget',
      '{t}:m:|t|session:s|calls|total|quota',
      'session:s',
      `token:${hashOf('s')}`,
    ]) {
      expect(Math.abs((later.get(key) as number) - 67 * DAY), key).toBeLessThan(60_000)
    }
  })

  it('of what is counted per session go with it, though only watched: then the tenant has a bar in its name', async () => {
    const own = prefix()
    const store = redisStore(client, { prefix: own })
    await session(store, { id: 's', tenant: 'shadow|t' })
    const meter = { key: 'shadow|t|session:s|calls|total|quota', window: 'total', limit: 9n } as const
    await store.admit({ call: 'c', session: 's', leaseMs: HOUR, charges: [{ meter, micros: 1n }] })
    const lives = (await keysOf(own)).get(`{shadow%7Ct}:m:|${meter.key}`) as number
    expect(Math.abs(lives - HOUR - 7 * DAY)).toBeLessThan(60_000)
  })

  it('that went although their session lives are missed: the call is refused, and nothing begins at zero', async () => {
    const own = prefix()
    const store = redisStore(client, { prefix: own })
    await session(store, { id: 's', tenant: 't', meters: [{ ...budget('t', 's'), limit: 9n }] })
    await admit(store, 'c', 's', 't')
    await client.del(`${own}{t}:m:|${budget('t', 's').key}`)
    const missing = { ok: false, refused: 'unavailable', meter: budget('t', 's').key }
    expect(await admit(store, 'd', 's', 't')).toEqual(missing)
    expect(await store.meters.read([budget('t', 's')])).toEqual([undefined])
    await client.del(`${own}{t}:s:s`)
    expect(await admit(store, 'e', 's', 't')).toEqual({ ok: false, refused: 'no-session' })
  })

  it('hold whatever text names a session, a call, a meter, a `once` key or an approval', async () => {
    const text = fc.string({
      unit: fc.constantFrom(...'ab|:{}%*?[]\\"\' \n\0=-1é€😀\ud800'.split(/(?:)/u)),
      minLength: 1,
      maxLength: 12,
    })
    const property = fc.asyncProperty(text, text, text, text, async (name, call, once, memo) => {
      const store = redisStore(client, { prefix: prefix() })
      const meter = { key: `${name}|m`, window: 'day', zone: 'Asia/Kathmandu' } as const
      const about = { tenant: name, agent: name, scopes: [name], attributes: { [name]: memo }, chain: [], ttlMs: HOUR }
      await store.session.create({ id: name, tokenHash: name, ...about }, [{ ...meter, limit: 9n }])
      const request = { session: name, charges: [{ meter, micros: 4n }], leaseMs: HOUR, once, memo }
      expect(await store.admit({ ...request, call })).toMatchObject({ ok: true })
      expect(await store.admit({ ...request, call: `${call}'` })).toEqual({ ok: false, refused: 'duplicate-call' })
      const [form, kept] = [name, memo].map((one) => one.toWellFormed())
      expect(await store.hold.get(call)).toEqual({ session: form, state: 'running', memo: kept })
      expect(await store.meters.read([meter])).toEqual([{ limit: 9n, used: 0n, held: 4n }])
      const asked = {
        id: call,
        tenant: name,
        session: name,
        agent: name,
        tool: once,
        ref: memo,
        binding: once,
        ttlMs: HOUR,
      }
      await store.approval.request({ ...asked, data: { memo } }, { session: 1, agent: 1 }, [name])
      expect(await store.approval.due([name], 1, 1)).toMatchObject([{ row: { id: call.toWellFormed(), ref: kept } }])
      expect(await store.approval.find({ session: name, tool: once, ref: memo })).toMatchObject({ agent: form })
      expect(await store.settle({ call })).toEqual({ state: 'settled', overrun: false })
      expect(await store.session.revokeTree(name)).toEqual([form])
      await store.close?.()
    })
    await fc.assert(property, { numRuns: 60 })
  })

  it('that say whose a session is may be gone: it is revoked all the same, and acts no more', async () => {
    const own = prefix()
    const store = redisStore(client, { prefix: own })
    await session(store, { id: 's', tenant: 't', meters: [{ ...budget('t', 's'), limit: 9n }] })
    await session(store, { id: 'o', tenant: 'other' })
    await client.del(`${own}session:s`)
    expect(await redisStore(client, { prefix: own }).session.revokeTree('s')).toEqual(['s'])
    expect(await admit(store, 'c', 's', 't')).toEqual({ ok: false, refused: 'session-revoked' })
  })

  it('of one script all lie in one slot, and the tag alone says which', async () => {
    const own = 'haldir:'
    for (const tenant of ['acme', 'a}b', '']) {
      const tag = /\{([^}]+)\}/.exec(clockKey(own, tenant))?.[1] as string
      expect(clockKey(own, tenant).indexOf('{')).toBe(own.length)
      expect(tag).not.toMatch(/[{}]/)
    }
  })
})

describe.skipIf(!server)('the edge of a window', () => {
  it('takes a second round trip only when the window is another than was thought', async () => {
    // A server whose clock is what we say: the store is not told of it but by answers.
    let now = Date.UTC(2026, 10, 30, 23, 59, 59, 900)
    let asked = 0
    const own: RedisClient = {
      async eval(script, keys, args) {
        const isVerb = script.includes("'leases'")
        if (isVerb) asked++
        const answer = await client.eval(
          script,
          keys.length,
          ...keys,
          ...(args[0] === '' ? [String(now), ...args.slice(1)] : args),
        )
        return keys[0]?.endsWith('tenants') && typeof answer === 'string' ? String(now) : answer
      },
      info: async () => 'maxmemory_policy:noeviction',
    }
    const store = redisStore(own, { prefix: prefix() })
    await session(store, { id: 's', tenant: 't', ttlMs: 9 * DAY })
    const monthly = { key: 't|calls', window: 'month', limit: 2n } as const
    const take = async (call: string) => {
      const before = asked
      const { ok } = await store.admit({ call, session: 's', leaseMs: 1, charges: [{ meter: monthly, micros: 1n }] })
      return [ok, asked - before]
    }
    expect(await take('a')).toEqual([true, 1])
    expect(await take('b')).toEqual([true, 1])
    expect(await take('c')).toEqual([false, 1])
    now += 200
    expect(await take('c')).toEqual([true, 2])
    expect(await take('d')).toEqual([true, 1])
    expect(await take('e')).toEqual([false, 1])
    now += 25 * DAY
    expect(await take('f')).toEqual([false, 2])
    // Set back: the store's time stays, and so does its window.
    now -= 30 * DAY
    expect(await take('g')).toEqual([false, 1])
  })
})
