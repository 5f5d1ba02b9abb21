import * as haldir from '@haldir/langchain'
import { tool } from '@langchain/core/tools'
import { charge, type Order, type Tool } from '../orders.ts'
import { callIds, DESCRIPTION, type FrameworkBench, governedOf, inputSchema, RULE } from './framework.ts'

export function langChain(): FrameworkBench {
  const bare = tool((order: Order) => charge(order), { name: 'charge', description: DESCRIPTION, schema: inputSchema })
  /** With a call, as an agent invokes it: what comes is a message. */
  const called = (one: typeof bare): Tool<unknown> => {
    const id = callIds()
    return (order) => one.invoke({ type: 'tool_call', id: id(), name: 'charge', args: order as never })
  }
  const governed = governedOf<typeof bare>(haldir)
  return {
    name: 'LangChain',
    way: 'tool.invoke',
    bare: called(bare),
    governed: governed && called(governed(bare, RULE)),
  }
}
