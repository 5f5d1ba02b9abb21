/** Replicas on one Redis: `REDIS_URL=redis://127.0.0.1:6379 node main.ts`. */
import { rejects } from 'node:assert/strict'
import type { Session } from '@haldir/core'
// #region readme
import { createHaldir, Denied, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'

const { REDIS_URL } = process.env
if (!REDIS_URL) throw new Error('Set REDIS_URL, such as redis://127.0.0.1:6379') // unset, ioredis takes localhost
const redis = new Redis(REDIS_URL, { maxRetriesPerRequest: 2, retryStrategy: () => 200 })
redis.on('error', ({ message }) => console.error('Redis:', message))
const haldir = createHaldir({ store: redisStore(redis), sinks: [fileSink('audit')] }) // in every replica
const charge = governed(async ({ amount }: { amount: number }) => `charged ${amount}`, {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})

const session = await haldir.createSession({ agent: 'order-bot', tenant: 'acme', scopes: ['spend:50'], ttl: '1h' })
console.log(await session.run(() => charge({ amount: 30 })))

const same = await haldir.attach(session.token) // so does another process that was given the token
await same
  .run(() => charge({ amount: 30 }))
  .catch((error) => console.log(Denied.isInstance(error) ? error.code : error))

await haldir.close()
redis.disconnect()
// #endregion readme

// Two other replicas: the session lives on, and what was spent of it counts there, too.
const clients = [1, 2].map(() => new Redis(REDIS_URL, { maxRetriesPerRequest: 2, retryStrategy: () => 200 }))
for (const client of clients) client.on('error', ({ message }) => console.error('Redis:', message))
const others = clients.map((client) => createHaldir({ store: redisStore(client), sinks: [fileSink('audit')] }))
const [here, there] = (await Promise.all(others.map((each) => each.attach(session.token)))) as [Session, Session]
const chargeThere = governed(async ({ amount }: { amount: number }) => `charged ${amount} there`, {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})
await rejects(there.run(() => chargeThere({ amount: 30 }))) // more than is left, whoever spent it
console.log(await there.run(() => chargeThere({ amount: 20 })))
await here.revoke('done')
await there.run(() => chargeThere({ amount: 0 })).catch(({ code }) => console.log(code))

for (const each of others) await each.close()
for (const client of clients) client.disconnect()
