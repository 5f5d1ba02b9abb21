// #region readme
import { governed } from '@haldir/ai-sdk'
import { createHaldir, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { generateText, stepCountIs, tool } from 'ai'
import { z } from 'zod'
import { model } from './model.ts' // yours, such as openai('gpt-5'); here one that says what it was told to

const charge = tool({
  description: 'Charge a card',
  inputSchema: z.object({ amount: z.number() }),
  execute: async ({ amount }) => ({ charged: amount }),
})

const haldir = createHaldir({ sinks: [fileSink('audit')] })
const tools = governed({ charge }, { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })

await session.run(() => generateText({ model, tools, prompt: 'Settle both orders', stopWhen: stepCountIs(5) }))

for await (const { type, code, held, spent } of haldir.trail.query({ session: session.id, tool: 'charge' })) {
  console.log(type, code ?? JSON.stringify([...held, ...spent]))
}
const [budget] = await session.budget()
console.log('left', `${budget?.left}`, '· trail ok', (await haldir.trail.verify()).ok)
// #endregion readme

await haldir.close()
const { rmSync } = await import('node:fs')
rmSync('audit', { recursive: true })
