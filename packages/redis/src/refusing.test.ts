/** A server that takes no writes for a time: Redis takes back nothing of a script that fails, so none may fail half done. */
import type { Store } from '@haldir/core'
import { fakeClock } from '@haldir/testing'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, it } from 'vitest'
import { skipped } from '../../../test/crash/process.ts'
import { startRedis } from '../../../test/servers/redis.ts'
import { redisStore } from './store.ts'

const server = await startRedis()
const client = (server && new Redis(server.url)) as Redis
afterAll(async () => {
  client?.disconnect()
  await server?.stop()
})

const usd = { key: 't|session:s|USD|total|budget', window: 'total' } as const
const daily = { key: 't|tenant:t|calls|day|quota', window: 'day', limit: 99n } as const
const rate = {
  key: 't|tenant:t|calls|total|rate',
  window: 'total',
  rate: { limit: 9n, periodMs: 1_000, burst: 99n },
} as const
const charges = [usd, daily, rate].map((meter) => ({ meter, micros: 3n }))
const call = (id: string, once?: string) => ({
  call: id,
  session: 's',
  charges,
  leaseMs: 60_000,
  ...(once === undefined ? {} : { once }),
})

async function scene(prefix: string, clock?: ReturnType<typeof fakeClock>): Promise<Store> {
  const store = redisStore(client, clock ? { prefix, clock } : { prefix })
  const about = { tenant: 't', agent: 'a', scopes: [], attributes: {}, ttlMs: 3_600_000 }
  await store.session.create({ id: 's', tokenHash: `${prefix}s`, chain: [], ...about }, [{ ...usd, limit: 99n }])
  await store.session.create({ id: 'below', tokenHash: `${prefix}b`, chain: ['s'], ...about }, [])
  for (const id of ['a', 'b']) await store.admit(call(id, id))
  await store.reserve(call('reserved'))
  await request(store, 'p')
  return store
}

const limits = { session: 9, agent: 9 }
function request(store: Store, id: string) {
  const about = { session: 's', tenant: 't', agent: 'a', tool: 'x', binding: 'b', ttlMs: 60_000, data: {} }
  return store.approval.request({ id, ...about } as never, limits, ['channel'])
}

const VERBS: Readonly<Record<string, (store: Store) => unknown>> = {
  'an admit': (store) => store.admit(call('c', 'c')),
  'an admit of what was reserved': (store) => store.admit(call('reserved')),
  'a reserve': (store) => store.reserve(call('c')),
  'a settle': (store) => store.settle({ call: 'a', spent: charges }),
  'a settle of all': (store) => store.settle({ call: 'a' }),
  'a settle of a call that nobody knows': (store) => store.settle({ call: 'nobody', spent: charges }),
  'a cancel': (store) => store.cancel('b'),
  'a cancel of a call that nobody knows': (store) => store.cancel('nobody'),
  'a renew': (store) => store.renew(['a', 'b'], 120_000),
  'a revoke': (store) => store.session.revokeTree('s'),
  'a suspension': (store) => store.session.suspendTree('s', 'rule'),
  'an extension': (store) => store.session.extend('s', 7_200_000),
  'a request': (store) => request(store, 'q'),
  'a decision': (store) => store.approval.change('p', 1, { state: 'approved' }),
}

/** Whole, whatever way the server keeps it. */
async function everything(prefix: string): Promise<unknown> {
  const all: Record<string, unknown> = {}
  for (const key of await client.keys(`${prefix}{*`)) {
    const type = await client.type(key)
    if (type === 'string') all[key] = await client.get(key)
    else if (type === 'hash') all[key] = await client.hgetall(key)
    else if (type === 'set') all[key] = (await client.smembers(key)).sort()
    else all[key] = await client.call('ZRANGE', key, '0', '-1', 'WITHSCORES')
  }
  return all
}

it('needs a server of our own', (context) => {
  if (!server) skipped(context, 'there is neither `redis-server` nor `valkey-server`')
})

describe.skipIf(!server).each([
  { why: 'its memory is full', setting: 'maxmemory', on: '1', off: '0' },
  { why: 'it has too few replicas', setting: 'min-replicas-to-write', on: '1', off: '0' },
])('a server that takes no writes since $why', ({ setting, on, off }) => {
  // Where time stands still, the first that a script would write is its own, and not the time.
  it.each([{ time: 'goes on' }, { time: 'stands still' }])(
    'has done none of what it refused, when time $time',
    async ({ time }) => {
      for (const [name, verb] of Object.entries(VERBS)) {
        const prefix = server?.prefix() ?? ''
        const store = await scene(prefix, time === 'goes on' ? undefined : fakeClock())
        const before = await everything(prefix)
        await client.config('SET', setting, on)
        try {
          await expect((async () => verb(store))(), name).rejects.toMatchObject({ code: 'unavailable' })
        } finally {
          await client.config('SET', setting, off)
        }
        expect(await everything(prefix), name).toEqual(before)
        await verb(store)
        expect(await everything(prefix), name).not.toEqual(before)
        await store.close?.()
      }
    },
  )
})
