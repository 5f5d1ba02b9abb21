/** The static types of `governed` from `@haldir/ai-sdk` for tools of Mastra. Compiled, never run. */
import { governed, permitted } from '@haldir/ai-sdk'
import { type Session, usd } from '@haldir/core'
import { Agent } from '@mastra/core/agent'
import { createTool } from '@mastra/core/tools'
import { createStep } from '@mastra/core/workflows'
import { z } from 'zod'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles only where the two types are the same. */
declare function same<A, B>(proof: Equal<A, B>): void

declare const session: Session

const charge = createTool({
  id: 'charge',
  description: 'charges a card',
  inputSchema: z.object({ amount: z.number(), card: z.string() }),
  outputSchema: z.object({ total: z.number() }),
  execute: async ({ amount }) => ({ total: amount }),
})
const bare = createTool({ id: 'bare', description: 'has no schemas', execute: async () => 1 })

const one = governed(charge, {
  name: 'charge',
  scope: ({ card }) => `card:${card}`,
  cost: (args) => {
    same<typeof args, { amount: number; card: string }>(true)
    return usd(args.amount)
  },
  // A tool that suspends answers nothing yet; what fails the output schema is answered as an error.
  actual: (result) => (result && 'total' in result ? usd(result.total) : usd(0)),
})
same<typeof one, typeof charge>(true)
governed(bare, { name: 'bare', scope: 'read' })

const tools = governed(
  { charge, bare },
  { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) }, bare: { scope: 'read' } },
)
same<(typeof tools)['charge'], typeof charge>(true)
new Agent({ id: 'a', name: 'a', instructions: '', model: 'openai/gpt-5', tools })
new Agent({ id: 'a', name: 'a', instructions: '', model: 'openai/gpt-5', tools: permitted(tools, session) })
createStep(one)

// @ts-expect-error the arguments have no `price`
governed(charge, { name: 'charge', scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error `bare` has no rule
governed({ charge, bare }, { charge: { scope: 'read' } })
// @ts-expect-error there is no tool `other`
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
