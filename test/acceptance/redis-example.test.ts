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

const FLAGS = ['--conditions=@haldir/source', '--disable-warning=ExperimentalWarning']
const server = await startRedis()
afterAll(() => server?.stop())

it('two replicas share one budget and one revoke', async (context) => {
  if (!server || !redisProgram()) return skipped(context, 'there is neither `redis-server` nor `valkey-server`')
  const file = join(import.meta.dirname, '../../examples/redis/main.ts')
  const env = { ...process.env, REDIS_URL: server.url }
  const folder = scratch()
  const run = promisify(execFile)(process.execPath, [...FLAGS, file], { env, cwd: folder.path() })
  const { stdout } = await run.finally(() => folder.remove())
  expect(stdout.split('\n')).toEqual(['charged 30', 'budget-exceeded', 'charged 20 there', 'session-revoked', ''])
})

it.each([
  ['redis', {}, 1, 'Set REDIS_URL'],
  ['replicas', { REDIS_URL: 'redis://127.0.0.1:1' }, 2, 'no Redis: install `redis-server`, or set `REDIS_URL`'],
])('without a server, the example `%s` says what it needs', async (name, more, code, text) => {
  const { REDIS_URL, ...env } = process.env
  const file = join(import.meta.dirname, '../../examples', name, 'main.ts')
  const run = promisify(execFile)(process.execPath, [...FLAGS, file], { env: { ...env, ...more } })
  await expect(run).rejects.toMatchObject({ code, stderr: expect.stringContaining(text) })
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
    const hints: unknown[] = []
    let heard = () => {}
    store.watch?.((hint) => {
      hints.push(hint)
      heard()
    })
    const told = async (count: number) => {
      while (hints.length < count) {
        await new Promise<void>((wake) => {
          heard = wake
        })
      }
    }
    await told(1)
    expect(await store.session.revokeTree('s')).toEqual(['s'])
    await told(2)
    expect(hints).toEqual([{ about: 'everything' }, { about: 'sessions', ids: ['s'] }])
  } finally {
    await store.close?.()
    for (const client of clients) client.disconnect()
  }
})
