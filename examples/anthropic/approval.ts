/** A loop that stops where a person has to decide, and goes on with what came of it. */
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { governed } from '@haldir/anthropic'
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { z } from 'zod'
import { client } from './client.ts' // yours is `new Anthropic()`; here one whose model says what it was told to

const haldir = createHaldir({
  sinks: [memorySink()],
  policy: {
    default: 'allow',
    allowByDefault: true,
    rules: [{ id: 'large', tools: 'charge', when: { 'args.amount': { gt: 30 } }, then: 'ask' }],
  },
  approvals: { mode: 'suspend' },
})
const charge = betaZodTool({
  name: 'charge',
  description: 'Charge a card',
  inputSchema: z.object({ amount: z.number() }),
  run: async ({ amount }) => `charged ${amount}`,
})
const tools = governed([charge], { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:100'], ttl: '1d' })

// #region readme
const base = { model: 'claude-sonnet-5-5', max_tokens: 1024, tools }
const runner = client.beta.messages.toolRunner({ ...base, messages: [{ role: 'user', content: 'Settle both orders' }] })
let saved = ''
await session.run(async () => {
  for await (const { content } of runner) {
    const answers = await runner.generateToolResponse() // runs the calls of this turn, once
    const waiting = await haldir.approvals.list({ session: session.id, state: 'pending' })
    if (waiting.length === 0) continue
    saved = JSON.stringify({ messages: [...runner.params.messages, { role: 'assistant', content }], answers })
    break
  }
})

// What Slack, a signed link or your own page does when somebody presses a button.
const [asked] = await haldir.approvals.list({ state: 'pending' })
await haldir.approvals.decide(asked?.id ?? '', { approve: true, by: 'ann' })

// In whichever process, such as in `haldir.approvals.onDecided`, when nothing is pending any more:
const { messages, answers } = JSON.parse(saved)
for (const { id, ref } of await haldir.approvals.list({ session: session.id })) {
  const block = answers.content.find(({ tool_use_id }: { tool_use_id: string }) => tool_use_id === ref)
  if (block) Object.assign(block, await haldir.approvals.resume(id).then(ran, denied))
}
for (const { is_error, content } of answers.content) console.log(is_error ?? false, content)
const rest = client.beta.messages.toolRunner({ ...base, messages: [...messages, answers] })
await session.run(() => rest.runUntilDone())

function ran(value: unknown) {
  return { content: String(value), is_error: false }
}
function denied({ message }: Error) {
  return { content: message, is_error: true }
}
// #endregion readme

await haldir.close()
