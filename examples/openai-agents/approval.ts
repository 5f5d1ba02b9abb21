/** A run that waits for a person whom the policy wants to ask, is written down, and goes on in another process. */
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { decideInterruptions, governed } from '@haldir/openai/agents'
import { Agent, Runner, RunState, tool } from '@openai/agents'
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing'
import { z } from 'zod'

const haldir = createHaldir({
  sinks: [memorySink()],
  policy: {
    default: 'allow',
    allowByDefault: true,
    rules: [{ id: 'large', tools: 'charge', when: { 'args.amount': { gt: 20 } }, then: 'ask' }],
  },
  approvals: { mode: 'suspend' },
})
const session = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1d' })
const { token } = session
const charge = tool({
  name: 'charge',
  description: 'Charge a card',
  parameters: z.object({ amount: z.number() }),
  execute: async ({ amount }) => `charged ${amount}`,
})
const tools = governed([charge], { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const calls = [functionCall('charge', { amount: 29.99 }, { callId: 'call-0' })]
const model = new ScriptedModel([calls, [assistantMessage('The order is settled.')]])
const agent = new Agent({ name: 'orders', model, tools })
const runner = new Runner({ tracingDisabled: true })

// #region readme
const { interruptions, state: waiting } = await session.run(() => runner.run(agent, 'Settle the order'))
const saved = waiting.toString()
console.log('waits for', interruptions.map(({ name }) => name).join())

// What Slack, a signed link or your own page does when somebody presses a button.
const [asked] = await haldir.approvals.list({ state: 'pending' })
await haldir.approvals.decide(asked?.id ?? '', { approve: true, by: 'ann' })

// In whichever process, such as in `haldir.approvals.onDecided`:
const there = await haldir.attach(token)
const state = await RunState.fromString(agent, saved)
if (await decideInterruptions(state, { session: there })) {
  const { finalOutput } = await there.run(() => runner.run(agent, state))
  console.log(finalOutput)
}
// #endregion readme

await haldir.close()
