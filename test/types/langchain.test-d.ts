/** The static types of `@haldir/langchain`. Compiled, never run: what must not compile says so. */
import { createHaldir, type Session, usd } from '@haldir/core'
import { governed, haldirMiddleware, permitted } from '@haldir/langchain'
import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { RunnableLambda } from '@langchain/core/runnables'
import { DynamicTool, StructuredTool, Tool, tool } from '@langchain/core/tools'
import { ToolNode } from '@langchain/langgraph/prebuilt'
import { createAgent } from 'langchain'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const model: BaseChatModel
declare const session: Session
const haldir = createHaldir()

const charge = tool(async ({ amount, card }) => ({ total: amount, card }), {
  name: 'charge',
  description: 'charges a card',
  schema: z.object({ amount: z.number(), card: z.string().default('main') }),
})
const search = tool(({ q }) => [q], { name: 'search', schema: z.object({ q: z.string() }) })
const json = tool(async (args) => `${args}`, {
  name: 'json',
  schema: { type: 'object', properties: { id: { type: 'number' } } } as const,
})
const say = tool(async (text) => text.length, { name: 'say', schema: z.string() })
const old = new DynamicTool({ name: 'old', description: '', func: async (text) => text })
const artifact = tool(async ({ id }) => [`order ${id}`, { id }] as [string, { id: number }], {
  name: 'artifact',
  schema: z.object({ id: z.number() }),
  responseFormat: 'content_and_artifact',
})
const counts = tool(
  async function* ({ to }: { to: number }) {
    yield 'counting'
    return { counted: to }
  },
  { name: 'counts', schema: z.object({ to: z.number() }) },
)
class Refund extends StructuredTool {
  readonly name = 'refund'
  readonly description = 'refunds'
  readonly schema = z.object({ amount: z.number() })
  protected async _call({ amount }: { amount: number }): Promise<{ refunded: number }> {
    return { refunded: amount }
  }
}
class Shout extends Tool {
  name = 'shout'
  description = 'shouts'
  protected async _call(text: string): Promise<string> {
    return text.toUpperCase()
  }
}
const refund = new Refund()
const shout = new Shout()
const runs = RunnableLambda.from(async ({ q }: { q: string }) => q.length).asTool({
  name: 'runs',
  schema: z.object({ q: z.string() }) as never,
})

// One tool: the same type comes back, and the rule's functions see what its schema makes of the arguments.
const one = governed(charge, {
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
governed(charge, { name: 'payments.charge', scope: 'spend', cost: ({ amount }) => usd(amount) }, { haldir, session })
governed(search, { scope: ({ q }) => [`search:${q}`], actual: (found) => usd(found.length) })
governed(json, { scope: 'read', once: (args) => JSON.stringify(args) })
governed(say, {
  scope: 'spend',
  cost: (text) => {
    same<typeof text, string>(true)
    return usd(text.length)
  },
  actual: (length) => usd(length),
})
governed(old, { scope: 'read', once: (text) => text })
governed(artifact, { scope: 'read', actual: ([text, { id }]) => usd(text.length + id) })
// Of a generator, what it returns at its end.
governed(counts, {
  scope: 'read',
  cost: ({ to }) => usd(to),
  actual: (result) => {
    same<typeof result, { counted: number }>(true)
    return usd(result.counted)
  },
})

// Tools of classes.
const refunds = governed(refund, {
  scope: 'spend',
  cost: (args) => {
    same<typeof args, { amount: number }>(true)
    return usd(args.amount)
  },
})
same<typeof refunds, Refund>(true)
governed(shout, { scope: 'read', once: (text) => text ?? '' })
const ran = governed(runs, {
  scope: 'read',
  actual: (length) => {
    same<typeof length, number>(true)
    return usd(length)
  },
})
same<typeof ran, typeof runs>(true)

// A list: by the names that its tools have.
const list = governed([charge, search, refund], {
  charge: { scope: 'spend', cost: ({ amount }) => usd(amount), actual: ({ total }) => usd(total), secrets: ['key'] },
  search: { scope: ({ q }) => q, onFailure: 'release' },
  refund: { scope: 'spend', cost: ({ amount }) => usd(amount) },
})
same<typeof list, [typeof charge, typeof search, Refund]>(true)
const fixed = [charge, search] as const
same<ReturnType<typeof ofFixed>, typeof fixed>(true)
function ofFixed() {
  return governed(fixed, { charge: { scope: 'read' }, search: { scope: 'read' } })
}
// Names that nobody knows beforehand: any rules.
declare const found: StructuredTool[]
const rules = Object.fromEntries(found.map(({ name }) => [name, { scope: `shop:${name}` }]))
same<ReturnType<typeof ofFound>, StructuredTool[]>(true)
function ofFound() {
  return governed(found, rules)
}
governed([charge, old], { charge: { scope: 'read' }, old: { scope: 'read' } })

// A set.
const set = governed(
  { charge, say },
  { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) }, say: { scope: 'read', once: (text) => text } },
  { haldir },
)
same<typeof set, { charge: typeof charge; say: typeof say }>(true)

// Agents take what comes back.
const shown = permitted(list, session)
same<(typeof shown)[number], typeof charge | typeof search | Refund>(true)
same<ReturnType<typeof ofSet>, typeof set>(true)
function ofSet() {
  return permitted(set, session)
}
export const node = new ToolNode([...list, ...shown])
export const agent = createAgent({ model, tools: list, middleware: [haldirMiddleware()] })
export const other = createAgent({
  model,
  tools: shown,
  middleware: [haldirMiddleware({ tools: [one], session, haldir })],
})
export async function run(): Promise<string> {
  const { messages } = await agent.invoke(
    { messages: [{ role: 'user', content: '' }] },
    { configurable: { haldirSession: session } },
  )
  return messages.at(-1)?.text ?? ''
}

// A tool of the provider passes the types; it is refused when it is wrapped.
governed({ type: 'web_search', name: 'web' }, { scope: 'read', ungovernable: 'allow' })

// @ts-expect-error a misspelt option
governed(charge, { scope: 'read', costs: usd(1) })
// @ts-expect-error a scope is not optional
governed(charge, { name: 'charge' })
// @ts-expect-error the arguments have no `price`
governed(charge, { scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error the result has no `sum`
governed(charge, { scope: 'spend', cost: usd(1), actual: ({ sum }) => usd(sum) })
// @ts-expect-error a cost is an amount, not a number
governed(charge, { scope: 'spend', cost: ({ amount }) => amount })
// @ts-expect-error a cost is synchronous
governed(charge, { scope: 'spend', cost: async ({ amount }) => usd(amount) })
// @ts-expect-error the arguments of a class have no `price`
governed(refund, { scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error `search` has no rule
governed([charge, search], { charge: { scope: 'read' } })
// @ts-expect-error there is no tool `other`
governed([charge], { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error the arguments have no `price`, in a list either
governed([charge], { charge: { scope: 'spend', cost: ({ price }) => usd(price) } })
// @ts-expect-error there is no tool `other` in the set
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error a session is a handle, not text
governed(charge, { scope: 'read' }, { session: 'some id' })
// @ts-expect-error a misspelt place
governed(charge, { scope: 'read' }, { haldirs: haldir })
// @ts-expect-error a function is no tool
governed(async () => 1, { name: 'fn', scope: 'read' })
// @ts-expect-error whose tools?
permitted(list)
// @ts-expect-error a misspelt option
haldirMiddleware({ tool: [] })
