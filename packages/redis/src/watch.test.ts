/** Hints from one process to another, through a server. */
import type { Store } from '@haldir/core'
import type { Hint } from '@haldir/core/store'
import { Redis } from 'ioredis'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { skipped } from '../../../test/crash/process.ts'
import { anyRedis, NO_REDIS } from '../../../test/servers/redis.ts'
import { redisStore } from './store.ts'

const server = await anyRedis()
const clients: Redis[] = []
const connect = () => {
  const client = new Redis(server?.url ?? '', { retryStrategy: () => 5 })
  clients.push(client)
  return client
}
const stores: Store[] = []
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close?.()
  for (const client of clients.splice(0)) client.disconnect()
})
afterAll(() => server?.stop())

/** Two processes; the second watches. */
async function pair() {
  const prefix = server?.prefix() ?? ''
  const client = connect()
  const [one, other] = [redisStore(client, { prefix }), redisStore(connect(), { prefix })] as const
  stores.push(one, other)
  const told: Hint[] = []
  let heard = () => {}
  const stop = other.watch?.((hint) => {
    told.push(hint)
    heard()
  })
  /** Waits for so many hints, and answers them. */
  const hints = async (count: number) => {
    while (told.length < count) {
      await new Promise<void>((wake) => {
        heard = wake
      })
    }
    return told
  }
  // From when on it listens, before which anything may have changed.
  expect(await hints(1)).toEqual([{ about: 'everything' }])
  told.length = 0
  return { prefix, client, one, other, stop: stop as () => void, hints, told }
}

const about = { tenant: 't', agent: 'a', scopes: [], attributes: {}, ttlMs: 60_000 }

it('needs a server', (context) => {
  if (!server) skipped(context, NO_REDIS)
})

describe.skipIf(!server)('who watches', () => {
  it('is told of sessions that end, stand still, act again or live longer, by any process', async () => {
    const { one, hints } = await pair()
    await one.session.create({ ...about, id: 's', tokenHash: 'h', chain: [] }, [])
    await one.session.create({ ...about, id: 'below', tokenHash: 'i', chain: ['s'] }, [])
    await one.session.suspendTree('s', 'r')
    await one.session.resumeTree('s')
    await one.session.extend('s', 120_000)
    await one.session.revokeTree('s')
    await one.session.revokeTree('s')
    const both = { about: 'sessions', ids: ['s', 'below'] }
    expect(await hints(4)).toEqual([both, both, { about: 'sessions', ids: ['s'] }, both])
  })

  it('is told of approvals that change', async () => {
    const { one, hints } = await pair()
    await one.session.create({ ...about, id: 's', tokenHash: 'h', chain: [] }, [])
    const asked = { id: 'p', tenant: 't', session: 's', agent: 'a', tool: 'x', binding: 'b', data: {}, ttlMs: 1_000 }
    await one.approval.request(asked, { session: 9, agent: 9 }, [])
    await one.approval.change('p', 1, { state: 'approved' })
    await one.approval.change('p', 1, { state: 'denied' })
    await one.admit({ call: 'c', session: 's', charges: [], leaseMs: 1, consent: { id: 'p', binding: 'b' } })
    expect(await hints(3)).toEqual(Array(3).fill({ about: 'approvals', ids: ['p'] }))
  })

  it('is told nothing more once it has stopped, and one that fails does not stop the others', async () => {
    const { one, other, stop, hints, told } = await pair()
    const second: Hint[] = []
    const stopFailing = other.watch?.(() => {
      throw new Error('a listener fails')
    })
    other.watch?.((async () => {
      throw new Error('a listener rejects')
    }) as () => void)
    other.watch?.((hint) => second.push(hint))
    await one.session.create({ ...about, id: 's', tokenHash: 'h', chain: [] }, [])
    await one.session.suspendTree('s', 'r')
    await hints(1)
    stop()
    stop()
    stopFailing?.()
    await one.session.resumeTree('s')
    while (second.length < 2) await new Promise((turn) => setImmediate(turn))
    expect(told).toHaveLength(1)
  })

  it('is told that anything may have changed when its connection was lost', async () => {
    const { client, hints } = await pair()
    const listening = String(await client.client('LIST', 'TYPE', 'PUBSUB')).match(/id=(\d+)/)?.[1]
    await client.client('KILL', 'ID', listening as string)
    expect(await hints(1)).toEqual([{ about: 'everything' }])
  })

  it('makes of what it can not read that anything may have changed', async () => {
    const { client, prefix, hints } = await pair()
    for (const text of ['', '{', '[]', '{"about":"sessions","ids":[1]}', '{"about":"else","ids":[]}']) {
      await client.publish(`${prefix}hints`, text)
    }
    expect(await hints(5)).toEqual(Array(5).fill({ about: 'everything' }))
  })

  it('keeps no connection when nobody watches, nor after the store was closed', async () => {
    const { client, prefix, other, stop } = await pair()
    const listening = async (count: number) => {
      while ((await client.pubsub('NUMSUB', `${prefix}hints`))[1] !== count)
        await new Promise((turn) => setImmediate(turn))
    }
    stop()
    await listening(0)
    other.watch?.(() => {})
    await listening(1)
    await other.close?.()
    await listening(0)
  })
})
