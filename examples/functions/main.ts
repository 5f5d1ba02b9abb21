// #region readme
import { createHaldir, currentCall, Denied, envKey, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'

const haldir = createHaldir({ sinks: [memorySink()], vault: { keys: [envKey('HALDIR_KEY')] } })
await haldir.vault.put('api_key', 'key of the card service', { scope: 'spend', tools: ['charge'] })

async function charge({ amount }: { amount: number }) {
  const key = currentCall().secret('api_key').reveal()
  return { charged: amount, debug: `Authorization: Bearer ${key}` }
}
const pay = governed(charge, { name: 'charge', scope: 'spend', cost: (args) => usd(args.amount), secrets: ['api_key'] })

const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'] })
await session.run(async () => {
  console.log(await pay({ amount: 29.99 }))
  await pay({ amount: 29.99 }).catch((error) => {
    if (!Denied.isInstance(error)) throw error
    console.log(error.code, error.rule)
    console.log(error.message)
  })
})
await session.revoke('done')
await session.run(() => pay({ amount: 1 })).catch((error) => console.log(error.message))
// #endregion readme

await haldir.close()
