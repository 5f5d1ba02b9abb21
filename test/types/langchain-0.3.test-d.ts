/** The static types of `@haldir/langchain` with tools of the oldest LangChain that it takes. Compiled, never run. */
import { usd } from '@haldir/core'
import { governed } from '@haldir/langchain'
import type { tools } from 'langchain-core-03'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function same<A, B>(proof: Equal<A, B>): void

// What `tool()` makes there; schemas of today's zod are no schemas to its types.
declare const charge: tools.DynamicStructuredTool<object, { amount: number }, { amount: number }, { total: number }>
declare const say: tools.DynamicTool<string>

const one = governed(charge, {
  scope: 'spend',
  cost: (args) => {
    same<typeof args, { amount: number }>(true)
    return usd(args.amount)
  },
  actual: () => usd(1),
})
same<typeof one, typeof charge>(true)
governed(say, { scope: 'spend', cost: (text) => usd(text.length) })

// The names of its tools are not known to the compiler: any rules.
const list = governed([charge, say], {
  charge: { scope: 'spend', cost: ({ amount }) => usd(amount) },
  say: { scope: 'read' },
})
same<typeof list, [typeof charge, typeof say]>(true)
const set = governed({ charge }, { charge: { scope: 'spend', cost: ({ amount }) => usd(amount) } })
same<typeof set, { charge: typeof charge }>(true)

// @ts-expect-error the arguments have no `price`
governed(charge, { scope: 'spend', cost: ({ price }) => usd(price) })
// @ts-expect-error there is no tool `other` in the set
governed({ charge }, { charge: { scope: 'read' }, other: { scope: 'read' } })
