/** What the bench knows of a framework: how it calls one tool, bare and governed, and how it runs a loop. */
import { usd } from '@haldir/core'
import * as z from 'zod'
import type { Order, Tool } from '../orders.ts'

export interface FrameworkBench {
  readonly name: string
  /** What is timed, as the framework's users write it: `tool.invoke`. */
  readonly way: string
  readonly bare: Tool<unknown>
  /** Absent where the package for it does not export `governed`. */
  readonly governed?: Tool<unknown> | undefined
  /**
   * A whole run of the loop with a model that follows a script: one step that calls the tool, one that ends. `around`:
   * the same with a bare tool that runs like this.
   */
  readonly loop?: {
    readonly bare: Tool<unknown>
    readonly governed: Tool<unknown>
    around(run: Tool): Tool<unknown>
  }
}

/** How the tool is governed, whatever its framework. */
export const RULE = {
  name: 'charge',
  scope: 'spend',
  cost: ({ amount }: Order) => usd(amount),
} as const

export const DESCRIPTION = 'Charges an order'

export const inputSchema = z.object({
  orderId: z.string(),
  amount: z.number(),
  currency: z.string(),
  express: z.boolean(),
  customer: z.object({ id: z.string(), name: z.string(), email: z.string() }),
  items: z.array(z.object({ sku: z.string(), quantity: z.number(), price: z.number() })),
  note: z.string(),
})

/** `governed` of a package, if it exports it: the bare side of a row can be there before the other. */
export function governedOf<T>(module: object): ((tool: T, rule: typeof RULE) => T) | undefined {
  const { governed } = module as { governed?: (tool: T, rule: typeof RULE) => T }
  return governed
}

/** Ids of calls, as models count them. */
export function callIds(): () => string {
  let calls = 0
  return () => `call_${++calls}`
}
