/** A Redis that dies, comes back empty or with what it had, or does not answer. */
import { createHaldir, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { proves } from '../promises.ts'
import { type RedisServer, redisProgram, startRedis } from '../servers/redis.ts'
import { pause, skipped } from './process.ts'

proves('invariant-3', 'invariant-6')

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function started(config: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const server = (await startRedis(config)) as RedisServer
  stops.push(() => server.stop())
  return server
}

/** A client that gives up soon: a command that waits for its server for ever would be no refusal. */
function connect(server: RedisServer): Redis {
  const client = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: 2 })
  client.on('error', () => {})
  stops.push(() => client.disconnect())
  return client
}

const usdOf = { key: 't|session:s|USD|total|budget', window: 'total' } as const
const row = { id: 's', tokenHash: 'h', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs: 600_000 }
const request = (call: string) => ({ call, session: 's', leaseMs: 60_000, charges: [{ meter: usdOf, micros: 1n }] })
const limit = { ...usdOf, limit: 50n }

it('needs a server of our own', (context) => {
  if (!redisProgram()) skipped(context, 'there is neither `redis-server` nor `valkey-server`')
})

describe.skipIf(!redisProgram())('Redis', () => {
  it('that is gone refuses every verb, and serves again when it is back', async () => {
    const server = await started()
    const store = redisStore(connect(server))
    await store.session.create(row, [limit])
    expect(await store.admit(request('a'))).toMatchObject({ ok: true })
    await server.kill()
    for (const verb of [store.admit(request('b')), store.settle({ call: 'a' }), store.session.get({ id: 's' })]) {
      await expect(Promise.resolve(verb)).rejects.toMatchObject({ code: 'unavailable' })
    }
    await server.restart()
    // It has forgotten everything: nobody may act, and nothing has begun at zero.
    expect(await store.admit(request('b'))).toEqual({ ok: false, refused: 'no-session' })
    expect(await store.meters.read([usdOf])).toEqual([undefined])
    expect(await store.settle({ call: 'a' })).toEqual({ state: 'unknown', overrun: false })
    await store.session.create(row, [limit])
    expect(await store.admit(request('c'))).toMatchObject({ ok: true })
  })

  it('that writes every command down has lost nothing that it acknowledged when it was killed', async () => {
    const server = await started({ appendonly: 'yes', appendfsync: 'always' })
    const [one, other] = [redisStore(connect(server)), redisStore(connect(server))] as const
    await one.session.create(row, [limit])
    let acknowledged = 0
    let stopped = false
    const spend = async (store: typeof one, name: string) => {
      for (let n = 0; !stopped; n++) {
        try {
          if ((await store.admit(request(`${name}${n}`))).ok) acknowledged++
          else return
        } catch {
          return
        }
      }
    }
    const spending = [spend(one, 'a'), spend(other, 'b')]
    while (acknowledged < 20) await pause(1)
    await server.kill()
    stopped = true
    await Promise.all(spending)
    await server.restart()
    const [state] = await redisStore(connect(server)).meters.read([usdOf])
    // What was on its way when it died may have been written, and is held then; nothing that was answered is missing.
    expect(Number(state?.held)).toBeGreaterThanOrEqual(acknowledged)
    expect(Number(state?.held)).toBeLessThanOrEqual(acknowledged + 2)
    expect(state).toMatchObject({ limit: 50n, used: 0n })
    let more = 0
    while ((await one.admit(request(`more${more}`))).ok) more++
    expect(Number(state?.held) + more).toBe(50)
  })

  it('that does not answer refuses a governed call in time, and the call takes nothing when it answers again', async () => {
    const server = await started()
    const client = connect(server)
    const haldir = createHaldir({ store: redisStore(client), sinks: [memorySink()] })
    stops.push(() => haldir.close())
    const session = await haldir.createSession({ agent: 'a', scopes: ['spend:5'], ttl: '1h' })
    let ran = 0
    const pay = governed(async () => ++ran, { name: 'pay', scope: 'spend', cost: () => usd(1) })
    await session.run(() => pay())
    await client.client('PAUSE', 60_000, 'WRITE')
    await expect(session.run(() => pay())).rejects.toMatchObject({ code: 'unavailable' })
    expect(ran).toBe(1)
    await connect(server).client('UNPAUSE')
    await session.run(() => pay())
    expect(ran).toBe(2)
    for (let turn = 0; turn < 200; turn++) {
      const [line] = await session.budget()
      if (line?.held.micros === 0n) break
      await pause(20)
    }
    const [line] = await session.budget()
    expect(line).toMatchObject({ used: usd(2), held: usd(0) })
  })
})
