/** The agent's tools: first as anyone would write them for the AI SDK, then governed. */
import { governed } from '@haldir/ai-sdk'
import { currentCall, usd } from '@haldir/core'
import { tool } from 'ai'
import * as z from 'zod'
import type { Orders } from './orders.ts'

export function orderTools(orders: Orders, paymentsUrl: string) {
  const list_orders = tool({
    description: 'Lists the open orders',
    inputSchema: z.object({}),
    execute: async () => orders.list('open'),
  })

  const read_order = tool({
    description: 'Shows one order with its note',
    inputSchema: z.object({ order: z.int() }),
    execute: async ({ order }) => orders.read(order) ?? 'There is no such order',
  })

  const charge = tool({
    description: "Charges the card of an order's customer",
    inputSchema: z.object({ order: z.int(), amount: z.string().describe('Dollars as a decimal, such as 29.99') }),
    execute: async ({ order, amount }) => {
      const response = await fetch(`${paymentsUrl}/charges`, {
        method: 'POST',
        headers: { authorization: `Bearer ${currentCall().secret('payments_key').reveal()}` },
        body: JSON.stringify({ order, amount }),
        signal: currentCall().signal,
      })
      if (!response.ok) throw new Error(`The payment service answered ${response.status}`)
      return (await response.json()) as { id: string; total: string }
    },
  })

  const debug_request = tool({
    description: 'Shows the last request to the payment service, for debugging',
    inputSchema: z.object({}),
    execute: async () => (await fetch(`${paymentsUrl}/last-request`)).json() as Promise<Record<string, string>>,
  })

  const delete_order = tool({
    description: 'Deletes an order for good',
    inputSchema: z.object({ order: z.int() }),
    execute: async ({ order }) => ({ deleted: orders.delete(order) }),
  })

  return governed(
    { list_orders, read_order, charge, debug_request, delete_order },
    {
      list_orders: { scope: 'orders:read' },
      read_order: { scope: 'orders:read' },
      charge: {
        scope: 'spend',
        cost: ({ amount }) => usd(amount),
        actual: ({ total }) => usd(total),
        secrets: ['payments_key'],
      },
      // It looks harmless, so any live session may call it. See what comes of that.
      debug_request: { scope: [] },
      delete_order: { scope: 'orders:delete' },
    },
  )
}
