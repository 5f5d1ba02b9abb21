/** Chat Completions: `runTools` calls the tools, and each call is governed. */
// #region readme
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/openai'
import { zodFunction } from 'openai/helpers/zod'
import { z } from 'zod'
import { client } from './client.ts' // yours, such as new OpenAI(); here one whose model says what it was told to

const charge = zodFunction({
  name: 'charge',
  description: 'Charge a card',
  parameters: z.object({ amount: z.number() }),
  function: async ({ amount }) => ({ charged: amount }),
})

const haldir = createHaldir({ sinks: [memorySink()] })
const tools = governed([charge], { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })

const messages = [{ role: 'user' as const, content: 'Settle both orders' }]
const runner = session.run(() => client.chat.completions.runTools({ model: 'gpt-5', messages, tools }))
console.log(await runner.finalContent())
// #endregion readme

for (const message of runner.messages) {
  if (message.role === 'tool') console.log('the model read:', message.content)
}
const [budget] = await session.budget()
console.log('left', `${budget?.left}`, '· trail ok', (await haldir.trail.verify()).ok)

await haldir.close()
