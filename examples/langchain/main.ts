/** An agent of LangChain with a budget: one refund fits, the other does not, and a tool that it makes up is on record. */
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed, haldirMiddleware } from '@haldir/langchain'
import { createAgent, tool } from 'langchain'
import { z } from 'zod'
import { model } from './model.ts' // yours, such as 'openai:gpt-5'; here one that says what it was told to

const haldir = createHaldir({ sinks: [memorySink()] })

// #region readme
const refund = tool(async ({ order, amount }) => `refunded ${amount} for ${order}`, {
  name: 'refund',
  description: 'Refund an order',
  schema: z.object({ order: z.string(), amount: z.number() }),
})
const tools = governed([refund], { refund: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const agent = createAgent({ model, tools, middleware: [haldirMiddleware()] })

const session = await haldir.createSession({ agent: 'support-bot', scopes: ['spend:50'], ttl: '1h' })
const { messages } = await session.run(() =>
  agent.invoke({ messages: [{ role: 'user', content: 'Refund orders A1 and A2' }] }),
)
// #endregion readme

for (const { type, text } of messages) if (type === 'tool') console.log(text)
console.log(`${messages.at(-1)?.text}\n`)
for await (const { type, tool, code, held } of haldir.trail.query({ session: session.id })) {
  if (type === 'intent' || type === 'refusal') console.log(type, tool, code ?? `${held[0]?.amount} ${held[0]?.unit}`)
}
await haldir.close()
