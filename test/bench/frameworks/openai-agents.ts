import * as haldir from '@haldir/openai/agents'
import { RunContext, tool } from '@openai/agents'
import { charge, type Order, type Tool } from '../orders.ts'
import { callIds, DESCRIPTION, type FrameworkBench, governedOf, inputSchema, RULE } from './framework.ts'

export function openAIAgents(): FrameworkBench {
  const bare = tool({
    name: 'charge',
    description: DESCRIPTION,
    parameters: inputSchema,
    execute: (order) => charge(order as Order),
  })
  const called = (one: typeof bare): Tool<unknown> => {
    const id = callIds()
    const context = new RunContext()
    return async (order) => {
      const text = JSON.stringify(order)
      const toolCall = { type: 'function_call', callId: id(), name: 'charge', arguments: text } as const
      return one.invoke(context, text, { toolCall })
    }
  }
  const governed = governedOf<typeof bare>(haldir)
  return {
    name: 'OpenAI Agents SDK',
    way: 'tool.invoke',
    bare: called(bare),
    governed: governed && called(governed(bare, RULE)),
  }
}
