/** Two replicas on one Redis: `REDIS_URL=redis://127.0.0.1:6379 node main.ts`. */

import { createHaldir, Denied, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { redisStore } from '@haldir/redis'
import { Redis } from 'ioredis'

const redis = new Redis(process.env.REDIS_URL ?? '', { maxRetriesPerRequest: 2 })
const haldir = createHaldir({ store: redisStore(redis), sinks: [fileSink('audit')] }) // in every replica
const charge = governed(async ({ amount }: { amount: number }) => `charged ${amount}`, {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})
// #endregion readme

const elsewhere = new Redis(process.env.REDIS_URL ?? '', { maxRetriesPerRequest: 2 })
const other = createHaldir({ store: redisStore(elsewhere), sinks: [fileSink('audit')] })
const chargeThere = governed(async ({ amount }: { amount: number }) => `charged ${amount} there`, {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})

const session = await haldir.createSession({ agent: 'order-bot', tenant: 'acme', scopes: ['spend:50'], ttl: '1h' })
const same = await other.attach(session.token)
console.log(await session.run(() => charge({ amount: 30 })))
await tell(same.run(() => chargeThere({ amount: 30 }))) // more than is left, whoever spent it
await tell(same.run(() => chargeThere({ amount: 20 })))
await session.revoke('done')
await tell(same.run(() => chargeThere({ amount: 0 })))

for (const each of [haldir, other]) await each.close()
for (const client of [redis, elsewhere]) client.disconnect()

async function tell(call: Promise<string>): Promise<void> {
  await call.then(console.log, (error) => console.log(Denied.isInstance(error) ? error.code : error))
}
