// #region readme
import { createHaldir, Denied, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'

const haldir = createHaldir({
  sinks: [memorySink()],
  meters: [
    { unit: 'calls', per: 'tenant', limit: 1_000, window: 'month', zone: 'Europe/Berlin' }, // a quota
    { unit: 'USD', per: 'agent', limit: 200, window: 'day' }, // a budget beside those of sessions
    { unit: 'calls', per: 'session', limit: 2, every: '1m', tools: 'mail*' }, // a rate: two at once, one each 30 s
    { unit: 'agents', per: 'tenant', limit: 25 }, // how many different agents may be at work
  ],
})

const tools = governed(
  {
    refund: async ({ order, amount }: { order: string; amount: number }) => `refunded ${amount} for ${order}`,
    mail: async ({ to }: { to: string }) => `sent to ${to}`,
  },
  {
    refund: { scope: 'spend', cost: ({ amount }) => usd(amount), once: ({ order }) => order }, // at most once an order
    mail: { scope: 'mail:send' },
  },
)

const desk = await haldir.createSession({ agent: 'desk', tenant: 'acme', scopes: ['mail', 'spend:50'], ttl: '1h' })
const helper = await desk.delegate({ agent: 'refunds', scopes: ['spend:30', 'mail:send'], ttl: '5m' })

await helper.run(async () => {
  await tell(tools.refund({ order: 'A1', amount: 20 }))
  await tell(tools.refund({ order: 'A1', amount: 20 })) // the same order again
  await tell(tools.refund({ order: 'A2', amount: 20 })) // more than the helper has left
  for (const to of ['ann', 'bob', 'cid']) await tell(tools.mail({ to }))
})
await desk.charge(usd(0.42), 'tokens of the planning model') // a cost that is no tool call

const payment = await haldir.payments.authorize(desk, { amount: usd(25), description: 'parcel', idempotencyKey: 'p-1' })
await payment.capture(usd(19.5)) // the rest goes back

for (const { rule, used, left } of await desk.budget()) console.log(rule, `used ${used}`, `left ${left}`)
await desk.revoke('shift is over') // and with it everything delegated from it
await helper.run(() => tell(tools.mail({ to: 'dan' })))

async function tell(call: Promise<string>): Promise<void> {
  await call.then(console.log, (error) => console.log(Denied.isInstance(error) ? error.message : error))
}
// #endregion readme

await haldir.close()
