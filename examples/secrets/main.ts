import { startApi } from './api.ts'

const api = await startApi()

// #region readme
import { createHaldir, currentCall, Denied, envKey, governed } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'

const haldir = createHaldir({
  sinks: [memorySink()],
  vault: { keys: [envKey('HALDIR_KEY')] },
  egress: { privateHosts: [api.host] }, // here the service is on this machine, and that is meant
})
await haldir.vault.put('card_key', 'sk_live_4f9a7c21', { scope: 'payments', tools: ['charge'] })
await haldir.vault.put('orders_key', 'key of the orders api', { scope: 'orders', hosts: [api.host] })

// A tool of your own asks for the secrets that its options name.
const charge = governed(
  async ({ amount }: { amount: number }) => {
    const key = currentCall().secret('card_key').reveal()
    return { charged: amount, debug: `Authorization: Bearer ${key}` }
  },
  { name: 'charge', scope: 'payments', secrets: ['card_key'] },
)

// A tool of somebody else's takes its key as an argument. Path and secret are named here, and not by the model.
async function httpRequest(args: { path: string; headers?: { authorization?: string } }) {
  return { asked: args.path, with: args.headers }
}
const request = governed(httpRequest, {
  name: 'request',
  scope: 'orders',
  secretArgs: { 'headers.authorization': 'orders_key' },
})

const session = await haldir.createSession({ agent: 'desk', scopes: ['payments', 'orders'] })
await session.run(async () => {
  await tell(charge({ amount: 5 }))
  await tell(request({ path: '/orders/7' })) // left out, or
  await tell(request({ path: '/orders/7', headers: { authorization: '{{secret}}' } })) // the placeholder
  await tell(request({ path: '/orders/7', headers: { authorization: 'Bearer my-own' } }))
  await tell(request({ path: '{{secret}}' }))
})

// A request of yours, as a governed call. The service repeats the key it was sent.
const secretHeaders = { authorization: 'Bearer {{orders_key}}' }
const answer = await session.fetch(`${api.url}/orders/7`, { secretHeaders })
console.log(answer.status, await answer.json())
await tell(session.fetch('https://elsewhere.example/', { secretHeaders }))
await tell(session.fetch('http://169.254.169.254/latest/meta-data/'))

await haldir.vault.rotate('card_key', 'sk_live_2b60d8e3')
await haldir.vault.delete('orders_key')
for (const { name, scope, tools, version } of await haldir.vault.list()) console.log(name, scope, tools, version)
await session.run(() => tell(request({ path: '/orders/7' })))

for await (const { type, tool, data } of haldir.trail.query()) {
  if (type.startsWith('secret-')) console.log(type, tool ?? '-', data.secret, data.version)
}

async function tell(call: Promise<unknown>): Promise<void> {
  await call.then(console.log, (error) => console.log(Denied.isInstance(error) ? error.message : error))
}
// #endregion readme

await haldir.close()
api.stop()
