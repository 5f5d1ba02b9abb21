/** A graph that pauses until a person has decided, and goes on from its checkpoint, in this process or another. */
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/langchain'
import { isInterrupted, MemorySaver } from '@langchain/langgraph'
import { createAgent, tool } from 'langchain'
import { z } from 'zod'
import { model } from './model.ts' // yours, such as 'openai:gpt-5'; here one that says what it was told to

// #region readme
const haldir = createHaldir({
  sinks: [memorySink()],
  policy: {
    default: 'allow',
    allowByDefault: true,
    rules: [
      {
        id: 'large',
        tools: 'refund',
        when: { 'args.amount': { gt: 100 } },
        then: 'ask',
        because: 'refunds above $100 need a yes',
      },
    ],
  },
  approvals: { mode: 'suspend' },
})
const refund = tool(async ({ order, amount }) => `refunded ${amount} for ${order}`, {
  name: 'refund',
  description: 'Refund an order',
  schema: z.object({ order: z.string(), amount: z.number() }),
})
const tools = governed([refund], { refund: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const agent = createAgent({ model, tools, checkpointer: new MemorySaver() }) // yours keeps them on disk
const session = await haldir.createSession({ agent: 'support-bot', scopes: ['spend:500'], ttl: '2d' })

const run = (input: object | null, thread_id: string) =>
  session.run(() => agent.invoke(input as never, { configurable: { thread_id } }))

const paused = await run({ messages: [{ role: 'user', content: 'Refund orders A1 and A2' }] }, 'ticket-17')
console.log('paused:', isInterrupted(paused))

// Told of every decision, in whichever process: `ref` is the id of the call, and the thread to wake.
haldir.approvals.onDecided(async ({ state, ref = '' }) => {
  console.log('decided:', state)
  const { messages } = await run(null, ref.slice(ref.indexOf('@') + 1)) // on from the checkpoint, with nothing new
  for (const { type, text } of messages.slice(2)) console.log(`${type}: ${text}`)
})

// What Slack, a signed link or your own page does when somebody presses a button.
const [asked] = await haldir.approvals.list({ state: 'pending' })
console.log('asked:', asked?.reason, asked?.args)
await haldir.approvals.decide(asked?.id ?? '', { approve: true, by: 'ann' })
await haldir.sweep() // delivers what is due; in an application it happens by itself
// #endregion readme

await haldir.close()
