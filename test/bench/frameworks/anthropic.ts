import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import * as haldir from '@haldir/anthropic'
import { charge, type Order, type Tool } from '../orders.ts'
import { callIds, DESCRIPTION, type FrameworkBench, governedOf, inputSchema, RULE } from './framework.ts'

export function anthropic(): FrameworkBench {
  const bare = betaZodTool({
    name: 'charge',
    description: DESCRIPTION,
    inputSchema,
    run: async (order) => JSON.stringify(await charge(order as Order)),
  })
  /** As the runner does: it parses the input, and runs the tool with that and the call. */
  const called = (one: typeof bare): Tool<unknown> => {
    const id = callIds()
    return async (order) => {
      const toolUse = { type: 'tool_use', id: id(), name: 'charge', input: order } as const
      return one.run(one.parse(order), { toolUse, toolUseBlock: toolUse } as never)
    }
  }
  const governed = governedOf<typeof bare>(haldir)
  return {
    name: 'Anthropic SDK',
    way: 'run',
    bare: called(bare),
    governed: governed && called(governed(bare, RULE)),
  }
}
