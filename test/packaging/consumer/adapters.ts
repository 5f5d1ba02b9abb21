/** Tools of each framework, only ever type-checked: what a rule sees of a tool's types, with every compiler. */

import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { governed as anthropic } from '@haldir/anthropic'
import { usd } from '@haldir/core'
import { governed as langchain, permitted } from '@haldir/langchain'
import { governed as openai, runToolCalls } from '@haldir/openai'
import { governed as agents } from '@haldir/openai/agents'
import { tool as agentsTool } from '@openai/agents'
import { z } from 'zod'

const parameters = z.object({ amount: z.number() })
const description = 'Charge a card'

const charge = betaZodTool({ name: 'charge', description, inputSchema: parameters, run: ({ amount }) => `${amount}` })
export const ofAnthropic: { charge: typeof charge } = anthropic(
  { charge },
  { charge: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: (result) => usd(String(result)) } },
)
// @ts-expect-error the tool has no such argument
anthropic({ charge }, { charge: { scope: 'spend', cost: ({ amuont }) => usd(amuont) } })
// @ts-expect-error every key needs a rule
anthropic({ charge }, {})

const pay = {
  type: 'function' as const,
  function: {
    name: 'pay',
    parameters: {},
    parse: (text: string): { amount: number } => JSON.parse(text),
    function: async ({ amount }: { amount: number }) => amount,
  },
}
export const ofOpenai: { pay: typeof pay } = openai(
  { pay },
  { pay: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: (amount) => usd(amount) } },
)
// @ts-expect-error the tool has no such argument
openai({ pay }, { pay: { scope: 'spend', cost: ({ amuont }) => usd(amuont) } })
// @ts-expect-error there is no such tool
openai({ pay }, { pay: { scope: 'read' }, pya: { scope: 'read' } })
export const answered: Promise<{ call_id: string }[]> = runToolCalls({ output: [] }, ofOpenai)

const refund = agentsTool({ name: 'refund', description, parameters, execute: async ({ amount }) => `${amount}` })
export const ofAgents: { refund: typeof refund } = agents(
  { refund },
  { refund: { scope: 'spend', cost: ({ amount }) => usd(amount) } },
)
// @ts-expect-error the tool has no such argument
agents({ refund }, { refund: { scope: 'spend', cost: ({ amuont }) => usd(amuont) } })

const search = {
  name: 'search' as const,
  schema: parameters,
  func: async (args: { amount: number }) => `${args.amount}`,
  invoke: async (_: unknown) => '',
}
export const ofLangchain: { search: typeof search } = langchain(
  { search },
  { search: { scope: 'read', cost: ({ amount }) => usd(amount) } },
)
// @ts-expect-error the tool has no such argument
langchain({ search }, { search: { scope: 'read', cost: ({ amuont }) => usd(amuont) } })
export const shown: typeof permitted = permitted
