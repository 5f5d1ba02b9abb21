/** The static types of `governed` and `permitted` with AI SDK 6, and with 5. Compiled, never run. */
import { approvalResponses, governed, permitted } from '@haldir/ai-sdk'
import { type Session, usd } from '@haldir/core'
import * as sdk5 from 'ai5'
import {
  dynamicTool,
  generateText,
  type InferToolInput,
  type InferToolOutput,
  type LanguageModel,
  type ModelMessage,
  streamText,
  type Tool,
  ToolLoopAgent,
  type ToolSet,
  tool,
} from 'ai6'
import { createMCPClient } from 'ai6-mcp'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const model: LanguageModel
declare const model5: sdk5.LanguageModel
declare const session: Session

const charge = tool({
  inputSchema: z.object({ amount: z.number(), card: z.string() }),
  needsApproval: ({ amount }) => amount > 10,
  execute: async ({ amount, card }) => ({ total: amount, card }),
  toModelOutput: ({ output }) => ({ type: 'text', value: `${output.total}` }),
})
const count = tool({
  inputSchema: z.object({ to: z.number() }),
  async *execute({ to }) {
    for (let n = 0; n < to; n++) yield { n }
  },
})
const dynamic = dynamicTool({ inputSchema: z.object({}), execute: async () => 'anything' })

const one = governed(charge, {
  name: 'charge',
  scope: 'spend',
  cost: (args) => {
    same<typeof args, { amount: number; card: string }>(true)
    return usd(args.amount)
  },
  actual: (result) => {
    same<typeof result, { total: number; card: string }>(true)
    return usd(result.total)
  },
  once: ({ card }) => card,
})
same<typeof one, typeof charge>(true)
same<InferToolInput<typeof one>, { amount: number; card: string }>(true)
same<InferToolOutput<typeof one>, { total: number; card: string }>(true)

const tools = governed(
  { charge, count, dynamic },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount), secrets: ['key'] },
    count: { scope: ({ to }) => `count:${to.toFixed()}`, actual: ({ n }) => usd(n) },
    dynamic: {
      scope: (args) => {
        same<typeof args, unknown>(true)
        return 'read'
      },
    },
  },
)
const asSet: ToolSet = tools
const asTool: Tool = one
const shown = permitted(tools, session)
same<typeof shown, typeof tools>(true)

async function loops(): Promise<void> {
  const experimental_context = { haldirSession: session }
  const { toolResults } = await generateText({ model, tools: shown, experimental_context, prompt: '' })
  for (const result of toolResults) {
    if (result.dynamic) continue
    if (result.toolName === 'charge') same<typeof result.output, { total: number; card: string }>(true)
    // @ts-expect-error there is no such tool
    if (result.toolName === 'nobody') return
  }
  for await (const part of streamText({ model, tools, prompt: '' }).fullStream) {
    if (part.type === 'tool-result' && !part.dynamic && part.toolName === 'count')
      same<typeof part.input, { to: number }>(true)
  }
  const { staticToolCalls } = await new ToolLoopAgent({ model, tools }).generate({ prompt: '' })
  for (const call of staticToolCalls) {
    if (call.toolName === 'charge') same<typeof call.input, { amount: number; card: string }>(true)
  }
  const found = await (await createMCPClient({ transport: { type: 'http', url: '' } })).tools()
  const fromServer = governed(found, Object.fromEntries(Object.keys(found).map((name) => [name, { scope: name }])))
  same<typeof fromServer, typeof found>(true)
}

// @ts-expect-error the arguments have no `price`
governed(charge, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error `count` has no rule
governed({ charge, count }, { charge: { scope: 'read' } })
// @ts-expect-error there is no tool `other`
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error a misspelt option
governed({ charge }, { charge: { scope: 'read', costs: usd(1) } })

const charge5 = sdk5.tool({
  inputSchema: z.object({ amount: z.number() }),
  execute: async ({ amount }) => ({ total: amount }),
  toModelOutput: ({ total }) => ({ type: 'text', value: `${total}` }),
})
const tools5 = governed({ charge: charge5 }, { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
same<(typeof tools5)['charge'], typeof charge5>(true)
async function loops5(): Promise<void> {
  const { toolResults } = await sdk5.generateText({ model: model5, tools: permitted(tools5, session), prompt: '' })
  for (const result of toolResults) if (!result.dynamic) same<typeof result.output, { total: number }>(true)
}
// @ts-expect-error the arguments have no `price`
governed(charge5, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })

/** Stored messages go on with the answers; a step as a whole, so they may be missing. */
async function resumed(messages: ModelMessage[]): Promise<void> {
  const answers = await approvalResponses(messages, {
    session,
    tools,
    others: ({ toolName, input }) => ({ approved: toolName === 'charge' && input !== undefined }),
  })
  if (!answers) return
  const message: ModelMessage = answers
  await generateText({ model, tools, messages: [...messages, message] })
  streamText({ model, tools, messages: [...messages, answers] })
  await new ToolLoopAgent({ model, tools }).generate({ messages: [...messages, answers] })
}
// @ts-expect-error a session is a handle, not text
approvalResponses([], { session: 'some id' })
// @ts-expect-error a misspelt option
approvalResponses([], { other: () => undefined })
// @ts-expect-error an answer says whether it was approved
approvalResponses([], { others: () => ({ reason: 'no' }) })

export { asSet, asTool, loops, loops5, resumed }
