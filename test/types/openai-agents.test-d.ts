/** The static types of `governed` from `@haldir/openai/agents`. Compiled, never run: what must not compile says so. */
import { createHaldir, type Session, usd } from '@haldir/core'
import { decideInterruptions, type GovernableTool, governed, permitted, type ToolRule } from '@haldir/openai/agents'
import {
  Agent,
  type FunctionTool,
  type MCPServer,
  mcpToFunctionTool,
  run,
  type Tool,
  tool,
  webSearchTool,
} from '@openai/agents'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const session: Session
declare const server: MCPServer
const haldir = createHaldir()

const charge = tool({
  name: 'charge',
  description: 'charges a card',
  parameters: z.object({ amount: z.number(), card: z.string() }),
  execute: async ({ amount, card }) => ({ total: amount, card }),
})
const typed = tool({
  name: 'typed',
  description: 'says what it answers',
  parameters: z.object({ q: z.string() }),
  outputSchema: z.object({ found: z.number() }),
  execute: async ({ q }) => ({ found: q.length }),
})
const json = tool({
  name: 'json',
  description: 'JSON Schema',
  strict: false,
  parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
  execute: async () => 'anything',
})
const inContext = tool<typeof parameters, { region: string }>({
  name: 'region',
  description: 'knows its region',
  parameters: z.object({}),
  execute: async (_, runContext) => runContext?.context.region ?? '',
})
declare const parameters: z.ZodObject<Record<never, never>>

// One tool: the same type comes back, and the rule's functions see the tool's own types.
const one = governed(charge, {
  name: 'charge',
  scope: 'spend',
  cost: (args) => {
    same<typeof args, { amount: number; card: string }>(true)
    return usd(args.amount)
  },
  actual: (result, args) => {
    // `tool()` types every result as text, whatever `execute` answers.
    same<typeof result, any>(true)
    same<typeof args, { amount: number; card: string }>(true)
    return [usd(result.total)]
  },
})
same<typeof one, typeof charge>(true)
governed(typed, {
  name: 'typed',
  scope: ({ q }) => [`search:${q}`],
  once: ({ q }) => q,
  actual: (result) => {
    same<typeof result, { found: number }>(true)
    return usd(result.found)
  },
})
governed(json, {
  name: 'json',
  scope: (args) => {
    same<typeof args, unknown>(true)
    return 'read'
  },
})
const nested = new Agent({ name: 'nested' }).asTool({})
const asked = governed(nested, { name: 'nested', scope: 'read', cost: usd(1) })
same<typeof asked, typeof nested>(true)

// A set: each under its key.
const tools = governed(
  { charge, typed, json, inContext },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount), secrets: ['key'] },
    typed: { scope: ({ q }) => q, actual: ({ found }) => usd(found), onFailure: 'release' },
    json: { scope: [] },
    inContext: { scope: 'read', annotations: { readOnly: true } },
  },
  { haldir, session },
)
same<(typeof tools)['charge'], typeof charge>(true)
same<keyof typeof tools, 'charge' | 'typed' | 'json' | 'inContext'>(true)
const shown = permitted(tools, session)
same<typeof shown, typeof tools>(true)

// A list, as an agent has it: names are not known to the compiler.
const list = governed([charge, typed], { charge: { scope: 'read' }, typed: { scope: 'read', actual: () => usd(1) } })
const some: (typeof charge | typeof typed)[] = permitted(list, session)
declare const found: Tool[]
const rules: Record<string, ToolRule> = {}
const all: Tool[] = governed(found, rules)
const fromServer = governed(mcpToFunctionTool({} as never, server, true), { name: 'find', scope: 'read' })
const hosted: Tool = governed(webSearchTool(), { name: 'web_search', scope: 'read', ungovernable: 'allow' })
const byHand: GovernableTool = fromServer satisfies FunctionTool<any, any, any>

// Agents take them, and demand the context that a tool of theirs does.
async function runs(): Promise<void> {
  const agent = new Agent({ name: 'agent', tools: [one, ...some, ...all, hosted, fromServer, asked] })
  await run(agent, '', { context: { haldirSession: session } })
  const local = new Agent<{ region: string }>({ name: 'local', tools: [tools.inContext] })
  await run(local, '', { context: { region: 'eu' } })
}

// @ts-expect-error a session is a handle, not its token
permitted(tools, session.token)
// @ts-expect-error a misspelt option
governed(charge, { name: 'charge', scope: 'read', costs: usd(1) })
// @ts-expect-error a scope is not optional
governed(charge, { name: 'charge' })
// @ts-expect-error the arguments have no `price`
governed(charge, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error the result has no `sum`
governed(typed, { name: 'typed', scope: 'spend', cost: usd(1), actual: ({ sum }) => usd(sum) })
// @ts-expect-error a cost is an amount, not a number
governed(charge, { name: 'charge', scope: 'spend', cost: ({ amount }) => amount })
// @ts-expect-error `typed` has no rule
governed({ charge, typed }, { charge: { scope: 'read' } })
// @ts-expect-error there is no tool `other`
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error the arguments of `charge` have no `price`, in a set either
governed({ charge }, { charge: { scope: 'spend', cost: ({ price }) => usd(price) } })
// @ts-expect-error a misspelt option, in a list
governed([charge], { charge: { scope: 'read', secret: ['key'] } })
// @ts-expect-error a session is a handle, not text
governed(charge, { name: 'charge', scope: 'read' }, { session: 'some id' })
// @ts-expect-error a misspelt place
governed(charge, { name: 'charge', scope: 'read' }, { haldirs: haldir })
// @ts-expect-error a function is no tool
governed(async () => 1, { name: 'fn', scope: 'read' })
// @ts-expect-error an agent is a tool only with `asTool`
governed(new Agent({ name: 'agent' }), { name: 'agent', scope: 'read' })

export { byHand, runs }

export async function resumed(): Promise<void> {
  const agent = new Agent({ name: 'agent', tools: [charge] })
  const { state } = await run(agent, 'go on')
  const decided: boolean = await decideInterruptions(state, { session })
  if (decided) await run(agent, state)
  // @ts-expect-error it is the state of a run
  await decideInterruptions(agent)
  // @ts-expect-error a session is a handle
  await decideInterruptions(state, { session: 'id' })
}
