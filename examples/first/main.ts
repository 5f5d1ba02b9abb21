import { createHaldir, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'

const haldir = createHaldir({ sinks: [fileSink('audit')] })
const charge = governed(async ({ amount }: { amount: number }) => `charged ${amount}`, {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }) => usd(amount),
})
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })

await session.run(async () => {
  for (const amount of [29.99, 34.5]) console.log(await charge({ amount }).catch((denied) => denied.message))
})
console.log(`left ${(await session.budget())[0]?.left}, trail ok: ${(await haldir.trail.verify()).ok}`)
await haldir.close()
