/** Admits that are asked for in the same turn: one script, and the answers that each would have had alone, in order. */
import type { Store } from '@haldir/core'
import { memoryStore } from '@haldir/core/stores/memory'
import { fakeClock } from '@haldir/testing'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { skipped } from '../../../test/crash/process.ts'
import { anyRedis, NO_REDIS } from '../../../test/servers/redis.ts'
import type { RedisClient } from './client.ts'
import { SCRIPTS, type ScriptName } from './lua/scripts.ts'
import { redisStore } from './store.ts'

type Request = Parameters<Store['admit']>[0]

const server = await anyRedis()
const client = (server && new Redis(server.url)) as Redis
afterAll(async () => {
  client?.disconnect()
  await server?.stop()
})

const NAMES = new Map(Object.entries(SCRIPTS).map(([name, { text }]) => [text, name as ScriptName]))

/** A store, and the scripts that it sends. */
function opened(options: { readonly clock?: ReturnType<typeof fakeClock>; readonly gone?: () => boolean } = {}) {
  const { clock, gone } = options
  const sent: (ScriptName | undefined)[] = []
  const windows: (string | undefined)[] = []
  const noted: RedisClient = {
    eval(script, keys, args) {
      sent.push(NAMES.get(script))
      if (NAMES.get(script) === 'admitMany') windows.push(args[1])
      if (gone?.()) return Promise.reject(new Error('the connection is closed'))
      return client.eval(script, keys.length, ...keys, ...args)
    },
    info: () => client.info('memory'),
  }
  const store = redisStore(noted, { prefix: server?.prefix() ?? '', ...(clock && { clock }) })
  return { store, windows, admits: () => sent.splice(0).filter((name) => name?.startsWith('admit')) }
}

const meter = (session: string, tenant = 't') =>
  ({ key: `${tenant}|session:${session}|USD|total|budget`, window: 'total' }) as const
const standing = { key: 't|tenant:t|calls|month|quota', window: 'month', limit: 7n } as const

async function session(store: Store, id: string, limit: bigint, tenant = 't', ttlMs = 60_000) {
  const about = { tokenHash: `hash of ${id}`, agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs }
  await store.session.create({ id, tenant, ...about }, [{ ...meter(id, tenant), limit }])
}

const request = (call: string, micros = 1n, id = 's', rest: Partial<Request> = {}): Request => ({
  call,
  session: id,
  leaseMs: 1_000,
  charges: [{ meter: meter(id), micros }],
  ...rest,
})

const calls = (count: number) => Array.from({ length: count }, (_, n) => `c${n}`)
const YES = expect.objectContaining({ ok: true })

describe.skipIf(!server)('admits of the same turn', () => {
  it('are one script, and a hold each', async () => {
    const { store, admits } = opened()
    await session(store, 's', 100n)
    admits()
    const all = await Promise.all(calls(64).map((call) => store.admit(request(call))))
    expect(admits()).toEqual(['admitMany'])
    expect(all).toEqual(calls(64).map(() => YES))
    expect(await store.meters.read([meter('s')])).toEqual([{ limit: 100n, used: 0n, held: 64n }])
    for (const call of calls(64)) expect(await store.settle({ call })).toEqual({ state: 'settled', overrun: false })
    expect(await store.meters.read([meter('s')])).toEqual([{ limit: 100n, used: 64n, held: 0n }])
  })

  it('are no more than 64 a script, and one script for each tenant; one that is alone is a plain admit', async () => {
    const { store, admits } = opened()
    await session(store, 's', 1_000n)
    await session(store, 'o', 1_000n, 'other')
    admits()
    await Promise.all(calls(130).map((call) => store.admit(request(call))))
    expect(admits()).toEqual(['admitMany', 'admitMany', 'admitMany'])
    const elsewhere = { charges: [{ meter: meter('o', 'other'), micros: 1n }], session: 'o' }
    await Promise.all([
      store.admit(request('a')),
      store.admit({ ...request('b'), ...elsewhere }),
      store.admit(request('c')),
    ])
    expect(admits().sort()).toEqual(['admit', 'admitMany'])
  })

  it('are served in the order in which they were asked for, until nothing is left', async () => {
    const { store } = opened()
    await session(store, 's', 10n)
    const all = await Promise.all(calls(64).map((call) => store.admit(request(call))))
    expect(all.map(({ ok }) => ok)).toEqual(calls(64).map((_, n) => n < 10))
    expect(all[10]).toEqual({ ok: false, refused: 'budget-exceeded', meter: meter('s').key })
    expect(await store.meters.read([meter('s')])).toEqual([{ limit: 10n, used: 0n, held: 10n }])
  })

  const STRANGE: readonly (readonly [what: string, Request, told: unknown])[] = [
    ['a session that was revoked', request('x', 1n, 'over'), 'session-revoked'],
    ['a session that ended', request('x', 1n, 'short'), 'session-expired'],
    ['a session that stands still', request('x', 1n, 'still'), 'session-suspended'],
    ['a session that nobody knows', request('x', 1n, 'nobody'), 'no-session'],
    ['a call that is here already', request('before'), true],
    ['a call that has ended', request('ended'), 'unavailable'],
    [
      'a meter that is not there',
      request('x', 1n, 's', { charges: [{ meter: meter('none'), micros: 1n }] }),
      'unavailable',
    ],
    ['an amount beyond all meters', request('x', 2n ** 63n - 1n, 'full'), 'unavailable'],
    ['an amount that is none', request('x', -1n), 'invalid-amount'],
    ['the same call as another', request('a'), true],
    ['more than there is', request('x', 999n), 'budget-exceeded'],
  ]

  it.each(STRANGE)('each get their own answer beside %s', async (_, strange, told) => {
    const clock = fakeClock(Date.UTC(2026, 4, 5))
    const { store } = opened({ clock })
    await session(store, 's', 100n)
    await session(store, 'full', 9n * 10n ** 18n)
    for (const id of ['over', 'still', 'short']) await session(store, id, 100n, 't', id === 'short' ? 1 : 60_000)
    await clock.advance(1)
    for (const call of ['before', 'ended']) await store.admit(request(call))
    await store.cancel('ended')
    await store.admit(request('huge', 9n * 10n ** 18n, 'full'))
    await store.session.revokeTree('over')
    await store.session.suspendTree('still', 'a rule')
    const asked = [request('a'), strange, request('z')]
    const all = await Promise.allSettled(asked.map((one) => store.admit(one)))
    const answers = all.map((one) => (one.status === 'rejected' ? one.reason.code : one.value.ok || one.value.refused))
    expect(answers).toEqual([true, told, true])
    expect(await store.meters.read([meter('s')])).toMatchObject([{ held: 3n }])
  })

  it('leave holds that are over in time, and are counted then', async () => {
    const clock = fakeClock(Date.UTC(2026, 4, 5))
    const { store } = opened({ clock })
    await session(store, 's', 100n)
    await Promise.all([store.admit(request('a')), store.admit(request('b', 1n, 's', { leaseMs: 2_000 }))])
    await clock.advance(1_000)
    expect(await store.expire(9)).toEqual({ released: [], orphaned: ['a'] })
    await clock.advance(1_000)
    expect(await store.expire(9)).toEqual({ released: [], orphaned: ['b'] })
    expect(await store.meters.read([meter('s')])).toMatchObject([{ used: 2n, held: 0n }])
  })

  it('are not what only reserves, nor what wants nothing', async () => {
    const { store, admits } = opened()
    await session(store, 's', 100n)
    admits()
    await Promise.all(calls(2).map((call) => store.reserve(request(call))))
    await Promise.all(['x', 'y'].map((call) => store.admit(request(call, 1n, 's', { charges: [] }))))
    expect(admits()).toEqual(['admit', 'admit', 'admit', 'admit'])
    for (const call of calls(2)) expect(await store.hold.get(call)).toEqual({ session: 's', state: 'reserved' })
    for (const call of ['x', 'y']) expect(await store.hold.get(call)).toBeUndefined()
  })

  it.each([
    ['the last minute of an hour', '10:59', '10:58', '11:00'],
    ['the first minute of an hour', '11:00', '11:00', '11:02'],
  ])('say the time for which the names of all windows hold: in %s', async (_, now, from, until) => {
    const at = (time: string) => Date.parse(`2026-05-05T${time}:00Z`)
    const { store, windows } = opened({ clock: fakeClock(at(now) + 30_000) })
    await session(store, 's', 100n)
    const hourly = { key: 't|tenant:t|calls|hour|quota', window: 'hour', limit: 99n } as const
    const on = (one: typeof hourly | typeof standing) => ({ charges: [{ meter: one, micros: 1n }] })
    const ask = (call: string, one: typeof hourly | typeof standing) => store.admit(request(call, 1n, 's', on(one)))
    await Promise.all([ask('a', hourly), ask('b', standing)])
    await Promise.all([ask('c', standing), ask('d', hourly)])
    await Promise.all([ask('e', meter('s') as never), ask('f', meter('s') as never)])
    expect(windows).toEqual([`${at(from)} ${at(until)}`, `${at(from)} ${at(until)}`, ''])
  })

  it('that were admitted together once are the same holds when they are asked for again', async () => {
    const { store, admits } = opened()
    await session(store, 's', 3n)
    const ask = () => Promise.all(calls(3).map((call) => store.admit(request(call))))
    expect(await ask()).toEqual([YES, YES, YES])
    admits()
    expect(await ask()).toEqual([YES, YES, YES])
    expect(admits()).toEqual(['admitMany', 'admit', 'admit', 'admit'])
    expect(await store.meters.read([meter('s')])).toMatchObject([{ held: 3n }])
  })

  it('all reject when the connection does, and nobody asks again', async () => {
    let gone = false
    const { store, admits } = opened({ gone: () => gone })
    await session(store, 's', 9n)
    gone = true
    admits()
    const all = await Promise.allSettled(calls(3).map((call) => store.admit(request(call))))
    expect(all.map((one) => one.status === 'rejected' && one.reason.code)).toEqual(calls(3).map(() => 'unavailable'))
    expect(admits()).toEqual(['admitMany'])
  })

  it('charge windows, and what is over when one ends', async () => {
    const clock = fakeClock(Date.UTC(2026, 4, 31, 23, 59, 59))
    const { store, admits } = opened({ clock })
    await session(store, 's', 100n)
    const both = (call: string) =>
      request(call, 1n, 's', { charges: [meter('s'), standing].map((one) => ({ meter: one, micros: 1n })) })
    const ask = (prefix: string) => Promise.all(calls(5).map((call) => store.admit(both(prefix + call))))
    admits()
    expect(await ask('may ')).toEqual(calls(5).map(() => YES))
    expect(admits()).toEqual(['admitMany'])
    expect((await ask('late ')).map((one) => one.ok || ('meter' in one && one.meter))).toEqual([
      true,
      true,
      standing.key,
      standing.key,
      standing.key,
    ])
    await clock.advance(1_000)
    expect(await ask('june ')).toEqual(calls(5).map(() => YES))
    expect(await store.meters.read([standing, meter('s')])).toMatchObject([{ held: 5n }, { held: 12n }])
  })

  it('are admitted as one after the other would be, whatever they want', async () => {
    const ids = ['s0', 's1']
    const one = fc.record({
      call: fc.integer({ min: 0, max: 11 }).map((n) => `c${n}`),
      session: fc.constantFrom(...ids),
      on: fc.array(fc.constantFrom(...ids, 'quota'), { minLength: 1, maxLength: 3 }),
      micros: fc.bigInt({ min: 0n, max: 4n }),
      once: fc.option(fc.constantFrom('x', 'y'), { nil: undefined }),
    })
    const turns = fc.array(fc.array(one, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 4 })
    const property = fc.asyncProperty(turns, async (all) => {
      const clock = fakeClock(Date.UTC(2026, 4, 5))
      const { store } = opened({ clock })
      const reference = memoryStore({ clock })
      for (const each of [store, reference]) for (const id of ids) await session(each, id, 9n)
      for (const turn of all) {
        const asked = turn.map(({ call, session, on, micros, once }) => ({
          call,
          session,
          leaseMs: 1_000,
          charges: on.map((name) => ({ meter: name === 'quota' ? standing : meter(name), micros })),
          // Calls that want more are sent at once, before those that wait for their turn: those go last here, too.
          ...(once !== undefined && { once }),
        }))
        const order = [...asked.filter((each) => each.once), ...asked.filter((each) => !each.once)]
        const answers = await Promise.all(order.map((each) => store.admit(each)))
        const expected: unknown[] = []
        for (const each of order) expected.push(await reference.admit(each))
        expect(answers).toEqual(expected)
      }
      const meters = [...ids.map((id) => meter(id)), standing]
      expect(await store.meters.read(meters)).toEqual(await reference.meters.read(meters))
    })
    await fc.assert(property, { numRuns: 300 })
  })
})

it('needs a server', (context) => {
  if (!server) skipped(context, NO_REDIS)
})
