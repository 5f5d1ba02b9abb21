/** A researcher of LangChain's and a buyer of the AI SDK's in one process: one session, so one budget, and one end. */
import { governed } from '@haldir/ai-sdk'
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed as governedLangchain } from '@haldir/langchain'
import { generateText, stepCountIs, tool } from 'ai'
import { createAgent, tool as langchainTool } from 'langchain'
import { z } from 'zod'
import { buyer, researcher } from './models.ts' // yours; here two that say what they were told to

const haldir = createHaldir({ sinks: [memorySink()] })

const lookUp = langchainTool(async ({ topic }) => `three reports on ${topic}`, {
  name: 'look_up',
  description: 'Search the paid archive',
  schema: z.object({ topic: z.string() }),
})
const order = tool({
  description: 'Order a report',
  inputSchema: z.object({ price: z.number() }),
  execute: async ({ price }) => `ordered for ${price}`,
})

// #region readme
const archive = governedLangchain([lookUp], { look_up: { scope: 'spend', cost: usd(2) } })
const shop = governed({ order }, { order: { scope: 'spend', cost: ({ price }) => usd(price) } })

const session = await haldir.createSession({ agent: 'analyst', scopes: ['spend:10'], ttl: '1h' })
await session.run(async () => {
  const agent = createAgent({ model: researcher, tools: archive })
  await agent.invoke({ messages: [{ role: 'user', content: 'What is there on solar panels?' }] })
  await generateText({ model: buyer, tools: shop, prompt: 'Order two reports', stopWhen: stepCountIs(2) })
})
for await (const { type, tool, code, held, spent } of haldir.trail.query({ session: session.id })) {
  if (tool) console.log(type, tool, code ?? [...held, ...spent].map(({ amount }) => amount).join())
}
// #endregion readme

const [budget] = await session.budget()
console.log(`left ${budget?.left}`)
await haldir.close()
