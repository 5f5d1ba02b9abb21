import * as haldir from '@haldir/openai'
import { zodFunction } from 'openai/helpers/zod'
import { charge, type Order, type Tool } from '../orders.ts'
import { DESCRIPTION, type FrameworkBench, governedOf, inputSchema, RULE } from './framework.ts'

export function openAI(): FrameworkBench {
  const make = () =>
    zodFunction({
      name: 'charge',
      description: DESCRIPTION,
      parameters: inputSchema,
      function: (order) => charge(order as Order),
    })
  type Runnable = ReturnType<typeof make>
  type Callback = (order: unknown, runner: unknown) => Promise<unknown>
  /** As the runner does: it parses what the model wrote, and calls back with that and itself. */
  const called =
    (one: Runnable): Tool<unknown> =>
    async (order) =>
      (one.$callback as Callback)(one.$parseRaw(JSON.stringify(order)), undefined)
  const governed = governedOf<Runnable>(haldir)
  return {
    name: 'OpenAI SDK',
    way: 'callback',
    bare: called(make()),
    governed: governed && called(governed(make(), RULE)),
  }
}
