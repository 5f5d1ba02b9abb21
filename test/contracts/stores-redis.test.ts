import type { Store } from '@haldir/core'
import { redisStore } from '@haldir/redis'
import { storeContract } from '@haldir/testing'
import { Redis } from 'ioredis'
import { afterAll, describe, it } from 'vitest'
import { skipped } from '../crash/process.ts'
import { proves } from '../promises.ts'
import { anyRedis, NO_REDIS } from '../servers/redis.ts'

proves('invariant-3', 'invariant-4', 'invariant-5', 'invariant-10', 'per-session-budget', 'session-ttl')

const server = await anyRedis()
const clients: Redis[] = []
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server?.stop()
})

if (server) {
  const connect = () => {
    const client = new Redis(server.url)
    clients.push(client)
    return client
  }
  const first = connect()
  const second = connect()
  storeContract({
    name: 'redis',
    open({ clock }) {
      const prefix = server.prefix()
      const stores: Store[] = []
      const from = (client: Redis, options: { clock: typeof clock }) => {
        const store = redisStore(client, { prefix, ...options })
        stores.push(store)
        return store
      }
      return {
        store: from(first, { clock }),
        reopen: (options) => from(second, options),
        close: () => stores.forEach((store) => void store.close?.()),
      }
    },
  })
} else {
  describe('the store contract: redis', () => {
    it('needs a server', (context) => skipped(context, NO_REDIS))
  })
}
