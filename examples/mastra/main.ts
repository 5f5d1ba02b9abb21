import { governed } from '@haldir/ai-sdk'
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { Agent } from '@mastra/core/agent'
import { RequestContext } from '@mastra/core/request-context'
import { createTool } from '@mastra/core/tools'
import { z } from 'zod'
import { model } from './model.ts' // yours, such as 'openai/gpt-5'; here one that says what it was told to

process.env.MASTRA_TELEMETRY_DISABLED = '1'

const charge = createTool({
  id: 'charge',
  description: 'Charge a card',
  inputSchema: z.object({ amount: z.number() }),
  execute: async ({ amount }) => ({ charged: amount }),
})

const haldir = createHaldir({ sinks: [memorySink()] })
const tools = governed({ charge }, { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const agent = new Agent({ id: 'order-bot', name: 'Order bot', instructions: 'Settle orders', model, tools })

const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })
const requestContext = new RequestContext()
requestContext.set('haldirSession', session) // or run it all in `session.run`
const { text } = await agent.generate('Settle both orders', { requestContext, abortSignal: session.signal })

for await (const { type, code, held, spent } of haldir.trail.query({ session: session.id, tool: 'charge' })) {
  console.log(type, code ?? JSON.stringify([...held, ...spent]))
}
console.log(text)
const [budget] = await session.budget()
console.log('left', `${budget?.left}`, '· trail ok', (await haldir.trail.verify()).ok)

await haldir.close()
