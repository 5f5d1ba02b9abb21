/** A run that waits for an approval, and goes on in another process: there is the saved text, and the session's token. */
import { createHaldir, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed } from '@haldir/openai/agents'
import { Agent, RunContext, Runner, RunState, tool } from '@openai/agents'
import { assistantMessage, functionCall, ScriptedModel } from '@openai/agents/testing'
import { z } from 'zod'

const haldir = createHaldir({ sinks: [memorySink()] })
const { token } = await haldir.createSession({ agent: 'order-bot', scopes: ['spend:50'], ttl: '1h' })

const charge = tool({
  name: 'charge',
  description: 'Charge a card',
  parameters: z.object({ amount: z.number() }),
  needsApproval: true,
  execute: async ({ amount }) => `charged ${amount}`,
})
const tools = governed([charge], { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
const calls = [functionCall('charge', { amount: 29.99 }, { callId: 'call-0' })]
const model = new ScriptedModel([calls, [assistantMessage('done')]])
const agent = new Agent({ name: 'orders', model, tools })
const runner = new Runner({ tracingDisabled: true })

const { interruptions, state: waiting } = await runner.run(agent, 'Settle the order')
const saved = waiting.toString()
console.log('waits for', interruptions.map(({ name }) => name).join())

// #region readme
const context = new RunContext({ haldirSession: await haldir.attach(token) })
const state = await RunState.fromStringWithContext(agent, saved, context, { contextStrategy: 'replace' })
state.approve(state.getInterruptions()[0]!)
await runner.run(agent, state)
// #endregion readme

for await (const { type, spent } of haldir.trail.query({ tool: 'charge' })) console.log(type, JSON.stringify(spent))
await haldir.close()
