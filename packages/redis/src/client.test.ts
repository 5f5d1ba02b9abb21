/** What the store asks of a client: how much, in which order, and what becomes of what goes wrong. */
import { ConfigError, HaldirError } from '@haldir/core/store'
import { Redis } from 'ioredis'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { skipped } from '../../../test/crash/process.ts'
import { type RedisServer, redisProgram, startRedis } from '../../../test/servers/redis.ts'
import type { RedisClient } from './client.ts'
import { redisStore } from './store.ts'

const program = redisProgram()
const server = (await startRedis()) as RedisServer
const opened: Redis[] = []
const connect = (url = server.url) => {
  const client = new Redis(url, { retryStrategy: () => 20 })
  client.on('error', () => {})
  opened.push(client)
  return client
}
afterEach(() => {
  for (const client of opened.splice(0)) client.disconnect()
})
afterAll(() => server?.stop())

const usd = { key: 't|session:s|USD|total|budget', window: 'total' } as const
const row = { id: 's', tokenHash: 'h', tenant: 't', agent: 'a', scopes: [], attributes: {}, chain: [], ttlMs: 60_000 }
const request = (call: string) => ({
  call,
  session: 's',
  leaseMs: 1_000,
  charges: [{ meter: usd, micros: 1n }],
})

/** Any client, as a user wraps one; it notes what it was asked. */
function wrapped(client: Redis, asked: { script: string; keys: readonly string[] }[] = []): RedisClient {
  return {
    eval(script, keys, args) {
      asked.push({ script, keys })
      return client.eval(script, keys.length, ...keys, ...args)
    },
    info: () => client.info('memory'),
  }
}

async function rejection(work: unknown): Promise<HaldirError> {
  const error = await Promise.resolve(work).then(
    () => undefined,
    (error) => error,
  )
  expect(HaldirError.isInstance(error)).toBe(true)
  return error
}

/** Commands that a server has seen while something was done, but for those of the one who looks. */
async function seen(client: Redis, work: () => Promise<unknown>): Promise<string[]> {
  const monitor = await connect().monitor()
  opened.push(monitor)
  const commands: string[] = []
  // What a script does is shown as `lua`.
  monitor.on('monitor', (_time: string, [name = '']: string[], source: string) => {
    if (source !== 'lua') commands.push(name.toLowerCase())
  })
  await work()
  await client.echo('over')
  while (!commands.includes('echo')) await new Promise((turn) => setImmediate(turn))
  return commands.filter((name) => name !== 'echo')
}

it('needs a server', (context) => {
  if (!program) skipped(context, 'there is neither `redis-server` nor `valkey-server`')
})

describe('a client', () => {
  it.each([
    ['nothing', undefined],
    ['text', 'redis://127.0.0.1'],
    ['a client of node-redis, which is to be wrapped', { eval() {}, evalSha() {}, duplicate() {} }],
  ])('is refused when it is %s', (_, client) => {
    expect(() => redisStore(client as never)).toThrow(ConfigError)
  })

  it.each([
    ['prefx', { prefx: 'x' }],
    ['prefix', { prefix: 'a{b}' }],
    ['evictionOk', { evictionOk: 1 }],
  ])('comes with options that are checked: %s', (path, options) => {
    expect(() => redisStore({ eval: async () => null }, options as never)).toThrow(expect.objectContaining({ path }))
  })

  it.skipIf(!program)('with `keyPrefix` is refused: scripts make keys that it would not see', () => {
    const client = new Redis(server.url, { keyPrefix: 'x', lazyConnect: true })
    expect(() => redisStore(client)).toThrow(ConfigError)
  })
})

describe.skipIf(!program)('a connection', () => {
  it('takes one round trip to admit, to settle, to cancel and to renew', async () => {
    const client = connect()
    const store = redisStore(client, { prefix: server.prefix() })
    await store.session.create(row, [{ ...usd, limit: 50n }])
    for (const call of ['warm', 'x']) await store.admit(request(call))
    await store.settle({ call: 'warm' })
    await store.cancel('x')
    await store.renew(['x'], 1)
    const commands = await seen(client, async () => {
      await store.admit(request('c'))
      await store.renew(['c'], 1)
      await store.settle({ call: 'c' })
      await store.cancel('c')
      expect(await store.admit(request('d'))).toMatchObject({ ok: true })
    })
    expect(commands).toEqual(Array(5).fill('evalsha'))
  })

  it('sends a settle before the admit that was asked for after it, without waiting', async () => {
    const client = connect()
    await client.script('FLUSH')
    const store = redisStore(client, { prefix: server.prefix() })
    await store.session.create(row, [{ ...usd, limit: 1n }])
    await store.admit(request('c'))
    // The script of the settle is new to the server, that of the admit is not.
    const settled = store.settle({ call: 'c', spent: [] })
    const admitted = store.admit(request('d'))
    expect([await settled, await admitted]).toMatchObject([{ state: 'settled' }, { ok: true }])
  })

  it('sends what waited to hear whether the server may be used in the order in which it was asked for', async () => {
    const store = redisStore(connect(), { prefix: server.prefix() })
    const writer = { id: 'w', genesis: 'g', head: 'h', closed: false }
    const puts = Array.from({ length: 20 }, (_, entries) => store.writer.put({ ...writer, entries }))
    const listed = store.writer.list()
    await Promise.all(puts)
    expect(await listed).toEqual([{ ...writer, entries: 19 }])
  })

  it('goes on when the server has lost its scripts', async () => {
    const client = connect()
    const store = redisStore(client, { prefix: server.prefix() })
    await store.session.create(row, [{ ...usd, limit: 50n }])
    await store.admit(request('c'))
    await client.script('FLUSH')
    expect(await store.admit(request('d'))).toMatchObject({ ok: true })
    const commands = await seen(client, async () => void (await store.admit(request('e'))))
    expect(commands).toEqual(['evalsha'])
  })

  it('of any other client does the same by `eval` alone', async () => {
    const asked: { script: string; keys: readonly string[] }[] = []
    const store = redisStore(wrapped(connect(), asked), { prefix: 'own:' })
    await store.session.create(row, [{ ...usd, limit: 50n }])
    expect(await store.admit(request('c'))).toMatchObject({ ok: true })
    expect(await store.meters.read([usd])).toEqual([{ limit: 50n, used: 0n, held: 1n }])
    expect(asked.every(({ keys }) => keys.length === 1 && keys[0]?.startsWith('own:'))).toBe(true)
    expect(store).not.toHaveProperty('watch')
  })

  it('may answer numbers as text', async () => {
    const client = new Redis(server.url, { stringNumbers: true })
    opened.push(client)
    const store = redisStore(client, { prefix: server.prefix() })
    await store.session.create(row, [{ ...usd, limit: 1n }])
    expect(await store.admit(request('c'))).toMatchObject({ ok: true, at: expect.any(Number) })
    expect(await store.admit(request('d'))).toMatchObject({ refused: 'budget-exceeded', meter: usd.key })
    expect(await store.settle({ call: 'c' })).toEqual({ state: 'settled', overrun: false })
  })

  it('fails without a word of what was asked', async () => {
    const failing: RedisClient = {
      eval: async () => {
        throw Object.assign(new Error('ERR wrong: order-7 of ann'), { command: { args: ['order-7'] } })
      },
      info: async () => 'maxmemory_policy:noeviction',
    }
    const error = await rejection(redisStore(failing).admit({ ...request('order-7'), memo: 'ann' }))
    expect(error.code).toBe('unavailable')
    expect(JSON.stringify([error.message, error.stack, error.cause, { ...error }])).not.toMatch(/order-7|ann/)
  })

  it.each([[[]], ['OK'], [['ok']], [['no', '1', 'because']], [['ok', 'soon']], [{}], [null]])(
    'that answers %j is not believed',
    async (answer) => {
      const odd: RedisClient = {
        eval: async (script) => (script.includes('admit') || script.includes('leases') ? answer : '5'),
        info: async () => 'maxmemory_policy:noeviction',
      }
      expect((await rejection(redisStore(odd).admit(request('c')))).code).toBe('unavailable')
    },
  )

  it('refuses amounts that could not be counted exactly, before anything is sent or written', async () => {
    const store = redisStore(connect(), { prefix: server.prefix() })
    const most = 2n ** 63n - 1n
    await store.session.create({ ...row, ttlMs: 60_000 }, [{ ...usd, limit: most }])
    const charge = (call: string, micros: bigint) =>
      store.admit({ ...request(call), charges: [{ meter: usd, micros }] })
    await rejection(charge('c', -1n))
    await rejection(charge('c', most + 1n))
    expect(await charge('d', most)).toMatchObject({ ok: true })
    expect(await charge('e', 1n)).toMatchObject({ refused: 'budget-exceeded' })
    await store.settle({ call: 'd' })
    await rejection(store.settle({ call: 'f', spent: [{ meter: usd, micros: most }] }))
    expect(await store.meters.read([usd])).toEqual([{ limit: most, used: most, held: 0n }])
  })
})

describe.skipIf(!program)('a server', () => {
  it('that may evict is refused by every verb, until it may not any more', async () => {
    const admin = connect()
    const store = redisStore(connect(), { prefix: server.prefix() })
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    try {
      const verbs = [
        store.admit(request('c')),
        store.session.get({ id: 's' }),
        store.secret.list(),
        store.writer.list(),
      ]
      for (const verb of verbs) {
        const error = await rejection(verb)
        expect(error.code).toBe('unavailable')
        expect(error.message).toContain('evictionOk')
      }
      const bold = redisStore(connect(), { prefix: server.prefix(), evictionOk: true })
      expect(await bold.writer.list()).toEqual([])
    } finally {
      await admin.config('SET', 'maxmemory-policy', 'noeviction')
    }
    expect(await store.writer.list()).toEqual([])
  })

  it('is asked again when the connection is a new one', async () => {
    const admin = connect()
    const client = connect()
    const store = redisStore(client, { prefix: server.prefix() })
    expect(await store.writer.list()).toEqual([])
    await admin.config('SET', 'maxmemory-policy', 'volatile-ttl')
    try {
      expect(await store.writer.list()).toEqual([])
      const again = new Promise((ready) => client.once('ready', ready))
      await admin.client('KILL', 'ID', String(await client.client('ID')))
      await again
      expect((await rejection(store.writer.list())).code).toBe('unavailable')
    } finally {
      await admin.config('SET', 'maxmemory-policy', 'noeviction')
    }
  })

  it('that does not say whether it evicts is refused, unless that is said to be all right', async () => {
    const client = connect()
    const { eval: run } = wrapped(client)
    for (const info of [undefined, async () => 'used_memory:1']) {
      const own = info ? { eval: run, info } : { eval: run }
      expect((await rejection(redisStore(own).writer.list())).message).toContain("can't be told")
      expect(await redisStore(own, { prefix: server.prefix(), evictionOk: true }).writer.list()).toEqual([])
    }
  })

  it('that lets nothing be told of what changes is refused before anything has changed', async () => {
    const admin = connect()
    await admin.call('ACL', 'SETUSER', 'mute', 'reset', 'on', '>word', '~*', '+@all', 'resetchannels')
    const mute = new Redis({ port: Number(new URL(server.url).port), username: 'mute', password: 'word' })
    const prefix = server.prefix()
    const one = redisStore(admin, { prefix })
    await one.session.create({ ...row, ttlMs: 60_000 }, [])
    expect((await rejection(redisStore(mute, { prefix }).session.revokeTree(row.id))).code).toBe('unavailable')
    expect(await one.session.get({ id: row.id })).not.toHaveProperty('revokedAt')
    mute.disconnect()
    await admin.call('ACL', 'DELUSER', 'mute')
  })

  it('that can only be read is refused', async () => {
    const replica = (await startRedis({ replicaof: `127.0.0.1 ${server.port}` })) as RedisServer
    try {
      const store = redisStore(connect(replica.url), { prefix: server.prefix() })
      expect((await rejection(store.meters.read([usd]))).code).toBe('unavailable')
      expect((await rejection(store.session.create(row, []))).message).toContain('READONLY')
    } finally {
      await replica.stop()
    }
  })
})

describe.skipIf(!program)('what is wrong with the set-up', () => {
  it('is named: a server that is not there, and a right that is missing', async () => {
    const away = new Redis({ port: 1, maxRetriesPerRequest: 0, retryStrategy: () => 20 })
    opened.push(away)
    away.on('error', () => {})
    expect((await rejection(redisStore(away).admit(request('c')))).message).toContain('`MaxRetriesPerRequestError`')
    const admin = connect()
    await admin.call('ACL', 'SETUSER', 'poor', 'reset', 'on', '>word', '~*', '&*', '+eval', '+evalsha', '+info')
    const poor = new Redis(server.port, '127.0.0.1', { username: 'poor', password: 'word' })
    opened.push(poor)
    poor.on('error', () => {})
    expect((await rejection(redisStore(poor).admit(request('c')))).message).toMatch(/lacks a right .* `ACL LOG`/)
    await admin.call('ACL', 'DELUSER', 'poor')
  })
})
