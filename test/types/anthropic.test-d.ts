/** The static types of `governed` from `@haldir/anthropic`. Compiled, never run: what must not compile says so. */
import Anthropic from '@anthropic-ai/sdk'
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { type MCPClientLike, mcpTools } from '@anthropic-ai/sdk/helpers/beta/mcp'
import { betaMemoryTool, type MemoryToolHandlers } from '@anthropic-ai/sdk/helpers/beta/memory'
import { BetaAbstractComputerToolset20260801 } from '@anthropic-ai/sdk/helpers/beta/toolsets'
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import type { BetaRunnableTool } from '@anthropic-ai/sdk/lib/tools/BetaRunnableTool'
import type { BetaToolResultContentBlockParam } from '@anthropic-ai/sdk/resources/beta'
import { governed, type MemberCall, permitted } from '@haldir/anthropic'
import { createHaldir, type Session, usd } from '@haldir/core'
import OldAnthropic from 'anthropic0'
import { betaZodTool as oldZodTool } from 'anthropic0/helpers/beta/zod'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const session: Session
declare const handlers: MemoryToolHandlers
declare const mcp: MCPClientLike
const haldir = createHaldir()
const client = new Anthropic()

type Answer = string | BetaToolResultContentBlockParam[]

const charge = betaZodTool({
  name: 'charge',
  description: 'charges a card',
  inputSchema: z.object({ amount: z.number(), card: z.string() }),
  run: async ({ amount }) => `charged ${amount}`,
})
const search = betaTool({
  name: 'search',
  description: 'searches',
  inputSchema: { type: 'object', properties: { q: { type: 'string' } }, required: ['q'], additionalProperties: false },
  run: ({ q }) => q,
})
const plain = {
  name: 'plain' as const,
  description: 'by hand',
  input_schema: { type: 'object' as const },
  parse: (content: unknown) => content as { id: number },
  run: async ({ id }: { id: number }) => `${id}`,
}
const memory = betaMemoryTool(handlers)
class Desk extends BetaAbstractComputerToolset20260801 {}
const desk = new Desk()
const webSearch = { type: 'web_search_20250305' as const, name: 'web_search' as const }

// One tool: the same type comes back, and the rule's functions see the tool's own types.
const one = governed(charge, {
  name: 'charge',
  scope: 'spend',
  cost: (args) => {
    same<typeof args, { amount: number; card: string }>(true)
    return usd(args.amount)
  },
  actual: (result, args) => {
    same<typeof result, Answer>(true)
    same<typeof args, { amount: number; card: string }>(true)
    return usd(args.amount)
  },
})
same<typeof one, typeof charge>(true)
const asTool: BetaRunnableTool<{ amount: number; card: string }> = one

governed(search, { name: 'search', scope: ({ q }) => `search:${q}`, once: ({ q }) => q })
governed(plain, {
  name: 'plain',
  scope: ({ id }) => `order:${id}`,
  actual: (result) => {
    same<typeof result, string>(true)
    return usd(1)
  },
})
governed(memory, { name: 'memory', scope: ({ command }) => `memory:${command}` })
governed(desk, {
  name: 'computer',
  scope: (call) => {
    same<typeof call, MemberCall>(true)
    return `computer:${call.name}`
  },
})
governed(webSearch, { name: 'web_search', scope: [], ungovernable: 'allow' })

// A list: names that are only known to be text, as those of most tools.
const listed = governed([charge, search], { charge: { scope: 'spend', cost: usd(1) }, search: { scope: 'read' } })
same<typeof listed, [typeof charge, typeof search]>(true)
const found = mcpTools([], mcp)
const rules = Object.fromEntries(found.map((tool) => [tool.name, { scope: `shop:${tool.name}` }]))
const fromServer = governed(found, rules, { haldir })
same<typeof fromServer, typeof found>(true)
// Names that are known: each tool has its rule, and its types.
const other = { ...plain, name: 'other' as const, run: async ({ q }: { q: string }) => q }
const named = governed([plain, other], {
  plain: { scope: ({ id }) => `order:${id}` },
  other: { scope: ({ q }) => `search:${q}` },
})
same<typeof named, [typeof plain, typeof other]>(true)

// A set: each under its key.
const tools = governed(
  { charge, search, desk },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount), secrets: ['key'] },
    search: { scope: ({ q }) => q },
    desk: { scope: ({ name }) => name },
  },
  { haldir, session },
)
same<(typeof tools)['charge'], typeof charge>(true)
same<keyof typeof tools, 'charge' | 'search' | 'desk'>(true)

// The oldest version that is supported says less of its tools, and what it says is kept.
const old = oldZodTool({
  name: 'old',
  description: 'old',
  inputSchema: z.object({ amount: z.number() }),
  run: ({ amount }) => `${amount}`,
})
const olds = governed([old], { old: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
same<typeof olds, [typeof old]>(true)
const oneOld = governed(old, { name: 'old', scope: 'spend', cost: ({ amount }) => usd(amount) })
same<typeof oneOld, typeof old>(true)
new OldAnthropic().beta.messages.toolRunner({ model: 'claude', max_tokens: 9, messages: [], tools: olds })

// What comes back goes where the bare tools go.
async function loops(): Promise<void> {
  const params = { model: 'claude', max_tokens: 9, messages: [] }
  await client.beta.messages.toolRunner({ ...params, tools: listed })
  await client.beta.messages.toolRunner({ ...params, tools: Object.values(tools) })
  await client.beta.messages.toolRunner({ ...params, tools: [one, ...fromServer, webSearch] })
  await client.beta.messages.toolRunner({ ...params, tools: permitted(listed, session) })
  await client.beta.messages.toolRunner({ ...params, tools: Object.values(permitted(tools, session)) })
}
const shown = permitted([charge, charge], session)
same<typeof shown, (typeof charge)[]>(true)

// @ts-expect-error a misspelt option
governed(charge, { name: 'charge', scope: 'read', costs: usd(1) })
// @ts-expect-error a scope is not optional
governed(charge, { name: 'charge' })
// @ts-expect-error one tool needs a name
governed(charge, { scope: 'read' })
// @ts-expect-error the arguments have no `price`
governed(charge, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error a cost is an amount, not a number
governed(charge, { name: 'charge', scope: 'spend', cost: ({ amount }) => amount })
// @ts-expect-error a result is text or blocks
governed(charge, { name: 'charge', scope: 'read', actual: ({ total }) => usd(total) })
// @ts-expect-error the query has no `path`
governed(search, { name: 'search', scope: ({ path }) => path.length })
// @ts-expect-error `search` has no rule
governed({ charge, search }, { charge: { scope: 'read' } })
// @ts-expect-error there is no tool `other`
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
// @ts-expect-error `other` has no rule
governed([plain, other], { plain: { scope: 'read' } })
// @ts-expect-error there is no tool `more`
governed([plain, other], { plain: { scope: 'read' }, other: { scope: 'read' }, more: { scope: 'read' } })
// @ts-expect-error the arguments of `other` have no `id`
governed([plain, other], { plain: { scope: 'read' }, other: { scope: ({ id }) => id } })
// @ts-expect-error a misspelt option, in a list
governed([charge], { charge: { scope: 'read', secret: ['key'] } })
// @ts-expect-error a misspelt place
governed(charge, { name: 'charge', scope: 'read' }, { haldirs: haldir })
// @ts-expect-error a session is a handle, not its token
permitted(listed, session.token)
// @ts-expect-error a function is no tool
governed(async () => 1, { name: 'fn', scope: 'read' })
// @ts-expect-error nor is a tool of the AI SDK
governed({ inputSchema: z.object({}), execute: async () => 1 }, { name: 'ai', scope: 'read' })

export { asTool, loops }
