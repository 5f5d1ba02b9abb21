/** The example of the Redis store, run as its readers run it, on a server of its own. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { afterAll, expect, it } from 'vitest'
import { type NodeRedis, storeOver } from '../../examples/redis/node-redis.ts'
import { scratch, skipped } from '../crash/process.ts'
import { proves } from '../promises.ts'
import { redisProgram, startRedis } from '../servers/redis.ts'

proves('per-session-budget', 'invariant-3', 'invariant-5')

const server = await startRedis()
afterAll(() => server?.stop())

it('two replicas share one budget and one revoke', async (context) => {
  if (!server || !redisProgram()) return skipped(context, 'there is neither `redis-server` nor `valkey-server`')
  const flags = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning']
  const file = join(import.meta.dirname, '../../examples/redis/main.ts')
  const env = { ...process.env, REDIS_URL: server.url }
  const folder = scratch()
  const run = promisify(execFile)(process.execPath, [...flags, file], { env, cwd: folder.path() })
  const { stdout } = await run.finally(() => folder.remove())
  expect(stdout.split('\n')).toEqual(['charged 30', 'budget-exceeded', 'charged 20 there', 'session-revoked', ''])
})

it('another client is wrapped as the README shows', async (context) => {
  if (!server) return skipped(context, 'there is neither `redis-server` nor `valkey-server`')
  const first = new Redis(server.url)
  const clients: Redis[] = []
  // The shape of node-redis, over a client that is here.
  const shaped = (client: Redis): NodeRedis => {
    clients.push(client)
    return {
      eval: (script, { keys, arguments: args }) => client.eval(script, keys.length, ...keys, ...args),
      info: (section) => client.info(section),
      duplicate: () => shaped(client.duplicate()),
      connect: async () => {},
      subscribe: (channel, listener) => {
        client.on('message', (_, message) => listener(message))
        return client.subscribe(channel)
      },
      destroy: () => client.disconnect(),
    }
  }
  const store = storeOver(shaped(first))
  try {
    const row = {
      id: 's',
      tokenHash: 'h',
      tenant: 't',
      agent: 'a',
      scopes: [],
      attributes: {},
      chain: [],
      ttlMs: 60_000,
    }
    await store.session.create(row, [])
    const hinted = new Promise((told) => store.watch?.(told))
    while ((await first.pubsub('NUMSUB', 'haldir:hints'))[1] !== 1) await new Promise(setImmediate)
    expect(await store.session.revokeTree('s')).toEqual(['s'])
    expect(await hinted).toEqual({ about: 'sessions', ids: ['s'] })
  } finally {
    await store.close?.()
    for (const client of clients) client.disconnect()
  }
})
