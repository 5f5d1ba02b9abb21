/**
 * `node frameworks.mjs`: one session governs a tool of every framework, as they are installed here, on one budget.
 * What it prints is `frameworks.txt`.
 */

import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { governed as aiSdk } from '@haldir/ai-sdk'
import { governed as anthropic } from '@haldir/anthropic'
import { createHaldir, governed, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { governed as langchain } from '@haldir/langchain'
import { governed as openai } from '@haldir/openai'
import { governed as agents } from '@haldir/openai/agents'
import { tool as langchainTool } from '@langchain/core/tools'
import { tool as agentsTool, RunContext } from '@openai/agents'
import { jsonSchema, tool } from 'ai'

const haldir = createHaldir({ sinks: [memorySink()] })
const session = await haldir.createSession({ agent: 'buyer', scopes: ['spend:35'] })
const where = { session }
const buy = (shop) => ({ name: `buy_${shop}`, scope: 'spend', cost: ({ amount }) => usd(amount) })
// As every version of every framework here reads it.
const schema = {
  type: 'object',
  properties: { amount: { type: 'number' } },
  required: ['amount'],
  additionalProperties: false,
}
const description = 'Buys something'
const run =
  (shop) =>
  async ({ amount }) =>
    `${shop} got ${amount}`

const plain = governed(run('plain'), buy('plain'), where)
const ofAi = aiSdk(tool({ description, inputSchema: jsonSchema(schema), execute: run('ai') }), buy('ai'), where)
const ofLangchain = langchain(
  langchainTool(run('langchain'), { name: 'buy_langchain', description, schema }),
  buy('langchain'),
  where,
)
const ofOpenai = openai(
  {
    type: 'function',
    function: { name: 'buy_openai', description, parameters: schema, parse: JSON.parse, function: run('openai') },
  },
  buy('openai'),
  where,
)
const ofAgents = agents(
  agentsTool({ name: 'buy_agents', description, parameters: schema, execute: run('agents') }),
  buy('agents'),
  where,
)
const ofAnthropic = anthropic(
  betaTool({ name: 'buy_anthropic', description, inputSchema: schema, run: run('anthropic') }),
  buy('anthropic'),
  where,
)

/** Each tool as its framework calls it. */
const ways = {
  plain: (args) => plain(args),
  ai: (args) => ofAi.execute(args, { toolCallId: 'one', messages: [] }),
  langchain: async (args) => {
    const call = { type: 'tool_call', id: 'one', name: 'buy_langchain', args }
    return (await ofLangchain.invoke(call)).content
  },
  openai: (args) => ofOpenai.function.function(ofOpenai.function.parse(JSON.stringify(args))),
  agents: (args) => ofAgents.invoke(new RunContext(), JSON.stringify(args), { toolCall: { callId: 'one' } }),
  anthropic: (args) => ofAnthropic.run(ofAnthropic.parse(args)),
}

for (const amount of [5, 6]) {
  for (const [name, call] of Object.entries(ways)) {
    const said = await call({ amount }).catch((error) => error.content ?? error.message)
    console.log(name.padEnd(9), /^Denied \(\S+\)/.exec(said)?.[0] ?? said)
  }
}
const [budget] = await session.budget()
console.log('left', `${budget.left}`, 'trail', (await haldir.trail.verify()).ok)
await haldir.close()
