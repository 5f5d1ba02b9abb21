/** The static types of `governed` from `@haldir/ai-sdk`. Compiled, never run: what must not compile says so. */
import { createMCPClient } from '@ai-sdk/mcp'
import { approvalResponses, governed, permitted, type ToolApproval, toolApproval } from '@haldir/ai-sdk'
import { createHaldir, type Session, usd } from '@haldir/core'
import {
  dynamicTool,
  generateText,
  type InferToolInput,
  type InferToolOutput,
  type InferUITools,
  jsonSchema,
  type LanguageModel,
  type ModelMessage,
  streamText,
  type Tool,
  type ToolApprovalConfiguration,
  ToolLoopAgent,
  type ToolSet,
  type TypedToolResult,
  tool,
} from 'ai'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const model: LanguageModel
declare const session: Session
const haldir = createHaldir()

const charge = tool({
  description: 'charges a card',
  inputSchema: z.object({ amount: z.number(), card: z.string() }),
  execute: async ({ amount, card }) => ({ total: amount, card }),
})
const search = tool({ inputSchema: z.object({ q: z.string() }), execute: ({ q }) => [q] })
const count = tool({
  inputSchema: z.object({ to: z.number() }),
  async *execute({ to }) {
    for (let n = 0; n < to; n++) yield { n }
  },
})
const json = tool({ inputSchema: jsonSchema<{ id: number }>({}), execute: async ({ id }) => `${id}` })
const dynamic = dynamicTool({ inputSchema: z.object({}), execute: async () => 'anything' })
const inContext = tool({
  inputSchema: z.object({}),
  contextSchema: z.object({ haldirSession: z.custom<Session>(), region: z.string() }),
  execute: async (_, { context }) => context.region,
})
const inBrowser = tool({ inputSchema: z.object({}), outputSchema: z.string() })

// One tool: the same type comes back, and the rule's functions see the tool's own types.
const one = governed(charge, {
  name: 'charge',
  scope: 'spend',
  cost: (args) => {
    same<typeof args, { amount: number; card: string }>(true)
    return usd(args.amount)
  },
  actual: (result, args) => {
    same<typeof result, { total: number; card: string }>(true)
    same<typeof args, { amount: number; card: string }>(true)
    return [usd(result.total)]
  },
})
same<typeof one, typeof charge>(true)
same<InferToolInput<typeof one>, { amount: number; card: string }>(true)
same<InferToolOutput<typeof one>, { total: number; card: string }>(true)

governed(search, { name: 'search', scope: ({ q }) => [`search:${q}`], actual: (found) => usd(found.length) })
governed(json, { name: 'json', scope: 'read', cost: ({ id }) => usd(id), actual: (text) => usd(text.length) })

// A generator's rule sees one item: the last.
const counted = governed(count, {
  name: 'count',
  scope: 'spend',
  cost: ({ to }) => usd(to),
  actual: (last) => {
    same<typeof last, { n: number }>(true)
    return usd(last.n)
  },
})
same<typeof counted, typeof count>(true)
same<InferToolOutput<typeof counted>, { n: number }>(true)

// Of a dynamic tool nothing is known.
const unknowns = governed(dynamic, {
  name: 'dynamic',
  scope: (args) => {
    same<typeof args, unknown>(true)
    return 'read'
  },
  actual: (result) => {
    same<typeof result, unknown>(true)
    return usd(0)
  },
})
same<typeof unknowns, typeof dynamic>(true)

// A set: each under its key.
const tools = governed(
  { charge, search, count, dynamic, inContext },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: ({ total }) => usd(total), secrets: ['key'] },
    search: { scope: ({ q }) => q, onFailure: 'release' },
    count: { scope: 'read', actual: ({ n }) => usd(n), streaming: true },
    dynamic: { scope: 'read' },
    inContext: { scope: [] },
  },
  { haldir, session },
)
same<(typeof tools)['charge'], typeof charge>(true)
same<(typeof tools)['count'], typeof count>(true)
same<keyof typeof tools, 'charge' | 'search' | 'count' | 'dynamic' | 'inContext'>(true)

// The set is a `ToolSet`, with its context demanded and its results typed.
const asSet: ToolSet = tools
const asTool: Tool = one
const toolsContext = { inContext: { haldirSession: session, region: 'eu' } }
async function loops(): Promise<void> {
  const { toolResults, steps } = await generateText({ model, tools, toolsContext, prompt: '' })
  for (const result of [...toolResults, ...steps.flatMap((step) => step.toolResults)]) {
    if (result.dynamic) continue
    if (result.toolName === 'charge') same<typeof result.output, { total: number; card: string }>(true)
    if (result.toolName === 'search') same<typeof result.input, { q: string }>(true)
    // @ts-expect-error there is no such tool
    if (result.toolName === 'nobody') return
  }
  // @ts-expect-error `inContext` needs its context
  await generateText({ model, tools, prompt: '' })
  for await (const part of streamText({ model, tools, toolsContext, prompt: '' }).fullStream) {
    if (part.type === 'tool-result')
      same<typeof part extends TypedToolResult<typeof tools> ? 'typed' : 'lost', 'typed'>(true)
  }
}

// `permitted` has the type of the set: names may be missing when it runs, but what results are is known.
const shown = permitted(tools, session)
same<typeof shown, typeof tools>(true)
// The native gate fits every set, in each place that takes it.
const gate: ToolApproval = toolApproval()
const configured: ToolApprovalConfiguration<typeof tools, unknown> = gate
async function gated(): Promise<void> {
  const { toolResults } = await generateText({ model, tools: shown, toolsContext, toolApproval: gate, prompt: '' })
  for (const result of toolResults) {
    if (!result.dynamic && result.toolName === 'charge')
      same<typeof result.input, { amount: number; card: string }>(true)
  }
  streamText({ model, tools: permitted(tools, session), toolsContext, toolApproval: toolApproval(), prompt: '' })
  streamText({ model, tools: { charge: one }, toolApproval: { charge: 'user-approval' }, prompt: '' })
  // An agent knows its tools, and so does the browser that shows them.
  const agent = new ToolLoopAgent({
    model,
    tools: governed({ charge }, { charge: { scope: 'read' } }),
    toolApproval: gate,
  })
  const { steps } = await agent.generate({ prompt: '' })
  for (const result of steps.flatMap((step) => step.staticToolResults)) {
    same<typeof result.output, { total: number; card: string }>(true)
  }
  same<InferUITools<typeof tools>['charge'], InferUITools<{ charge: typeof charge }>['charge']>(true)
  same<InferUITools<typeof tools>['charge']['output'], { total: number; card: string }>(true)
  // Tools of a server: names that nobody knows beforehand, or with schemas of one's own.
  const client = await createMCPClient({ transport: { type: 'http', url: '' } })
  const found = await client.tools()
  const rules = Object.fromEntries(Object.keys(found).map((name) => [name, { scope: `shop:${name}` }]))
  const fromServer = governed(found, rules)
  same<typeof fromServer, typeof found>(true)
  await generateText({ model, tools: permitted(fromServer, session), prompt: '' })
  const known = await client.tools({ schemas: { look: { inputSchema: z.object({ id: z.number() }) } } })
  const typed = governed(known, {
    look: { scope: ({ id }) => `order:${id.toFixed()}`, annotations: { readOnly: true } },
  })
  same<typeof typed, typeof known>(true)
  // @ts-expect-error the server's tool `remove` is not among those with a schema
  governed(known, { look: { scope: 'read' }, remove: { scope: 'read' } })
}

// @ts-expect-error a session is a handle, not its token
permitted(tools, session.token)
// @ts-expect-error whose tools?
permitted(tools)
// @ts-expect-error a set, not a function
permitted(async () => tools, session)
// @ts-expect-error it has no options: the tools say what governs them
toolApproval({ tools })

governed(charge, { name: 'charge', scope: 'read', once: ({ card }) => card, secrets: ['key'] })
// @ts-expect-error the arguments have no `order`
governed(charge, { name: 'charge', scope: 'read', once: ({ order }) => order })
// @ts-expect-error a key is text
governed(charge, { name: 'charge', scope: 'read', once: ({ amount }) => amount })
// @ts-expect-error secrets are named
governed(charge, { name: 'charge', scope: 'read', secrets: 'key' })
// @ts-expect-error the query has no `path`
governed(search, { name: 'search', scope: ({ path }) => path })
// @ts-expect-error a misspelt annotation
governed(charge, { name: 'charge', scope: 'read', annotations: { readonly: true } })
// @ts-expect-error a misspelt option, in a set
governed({ charge }, { charge: { scope: 'read', secret: ['key'] } })
// @ts-expect-error a misspelt place
governed(charge, { name: 'charge', scope: 'read' }, { haldirs: haldir })

// @ts-expect-error a misspelt option
governed(charge, { name: 'charge', scope: 'read', costs: usd(1) })
// @ts-expect-error a scope is not optional
governed(charge, { name: 'charge' })
// @ts-expect-error one tool needs a name
governed(charge, { scope: 'read' })
// @ts-expect-error the arguments have no `price`
governed(charge, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error the result has no `sum`
governed(charge, { name: 'charge', scope: 'spend', cost: usd(1), actual: ({ sum }) => usd(sum) })
// @ts-expect-error a cost is an amount, not a number
governed(charge, { name: 'charge', scope: 'spend', cost: ({ amount }) => amount })
// @ts-expect-error a cost is synchronous
governed(charge, { name: 'charge', scope: 'spend', cost: async ({ amount }) => usd(amount) })
// @ts-expect-error `search` has no rule
governed({ charge, search }, { charge: { scope: 'read' } })
// @ts-expect-error there is no tool `other`
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error the arguments of `charge` have no `price`, in a set either
governed({ charge }, { charge: { scope: 'spend', cost: ({ price }) => usd(price) } })
// @ts-expect-error a session is a handle, not text
governed(charge, { name: 'charge', scope: 'read' }, { session: 'some id' })
// @ts-expect-error a function is no tool
governed(async () => 1, { name: 'fn', scope: 'read' })
// A tool without `execute` passes the types; it is refused when it is wrapped.
governed(inBrowser, { name: 'inBrowser', scope: 'read' })

/** Stored messages go on with the answers; a step as a whole, so they may be missing. */
async function resumed(messages: ModelMessage[]): Promise<void> {
  const answers = await approvalResponses(messages, {
    session,
    tools,
    others: ({ toolName, input }) => ({ approved: toolName === 'charge' && input !== undefined }),
  })
  if (!answers) return
  const message: ModelMessage = answers
  const { search } = tools
  await generateText({ model, tools: { search }, messages: [...messages, message] })
  streamText({ model, tools: { search }, messages: [...messages, answers] })
  await new ToolLoopAgent({ model, tools: { search } }).generate({ messages: [...messages, answers] })
}
// @ts-expect-error a session is a handle, not text
approvalResponses([], { session: 'some id' })
// @ts-expect-error a misspelt option
approvalResponses([], { other: () => undefined })
// @ts-expect-error an answer says whether it was approved
approvalResponses([], { others: () => ({ reason: 'no' }) })

export { asSet, asTool, configured, gated, loops, resumed }
