/** Random commands on Redis and on a naive reference, side by side: every answer and every sum is the same. */
import type { Store } from '@haldir/core'
import { redisStore } from '@haldir/redis'
import type { FakeClock } from '@haldir/testing'
import { Redis } from 'ioredis'
import { afterAll, describe, it } from 'vitest'
import { skipped } from '../crash/process.ts'
import { proves } from '../promises.ts'
import { anyRedis, NO_REDIS } from '../servers/redis.ts'
import { approvalRuns } from './approval-runs.ts'
import { follows, type Opened } from './store-following.ts'
import { storeRuns } from './store-runs.ts'

proves('invariant-3', 'invariant-4', 'invariant-5', 'invariant-8', 'invariant-9', 'invariant-10')

const server = await anyRedis()
const client = server && new Redis(server.url)
afterAll(async () => {
  client?.disconnect()
  await server?.stop()
})

/** Each run under a prefix of its own, which another process may open at any time. */
function open(clock: FakeClock): Opened {
  if (!server || !client) throw new Error(NO_REDIS)
  const prefix = server.prefix()
  const stores: Store[] = []
  const reopen = () => {
    // The process before has died.
    void stores.at(-1)?.close?.()
    const store = redisStore(client, { prefix, clock })
    stores.push(store)
    return store
  }
  return { store: reopen(), reopen, close: () => void stores.at(-1)?.close?.() }
}

describe('Redis, against a naive reference', () => {
  it('every answer and every sum is the same, whenever the process dies', { timeout: 480_000 }, async (context) => {
    if (!server) return skipped(context, NO_REDIS)
    await follows(storeRuns, open, 90)
  })

  it('every approval is the same, whenever the process dies', { timeout: 480_000 }, async (context) => {
    if (!server) return skipped(context, NO_REDIS)
    await follows(approvalRuns, open, 90)
  })
})
