// #region readme
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/openai/agents'
import { Agent, Runner, tool } from '@openai/agents'
import { z } from 'zod'
import { model } from './model.ts' // yours, such as 'gpt-5'; here one that says what it was told to

const charge = tool({
  name: 'charge',
  description: 'Charge a card',
  parameters: z.object({ amount: z.number() }),
  execute: async ({ amount }) => ({ charged: amount }),
})

const haldir = createHaldir({ sinks: [memorySink()] })
const tools = governed({ charge }, { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })

const agent = new Agent({ name: 'orders', model, tools: Object.values(tools) })
const runner = new Runner({ tracingDisabled: true }) // traces would go to OpenAI
const { finalOutput } = await session.run(() => runner.run(agent, 'Settle both orders'))
console.log(finalOutput)
// #endregion readme

await haldir.close()
