/** What the agent can do, and what each of it requires and costs. */
import { governed } from '@haldir/ai-sdk'
import { usd } from '@haldir/core'
import { tool } from 'ai'
import { z } from 'zod'
import { haldir } from './haldir.ts'

const read_order = tool({
  description: 'Reads an order',
  inputSchema: z.object({ order: z.string() }),
  execute: async ({ order }) => ({ order, total: 42, state: 'delivered' }),
})

const refund = tool({
  description: 'Refunds part of an order',
  inputSchema: z.object({ order: z.string(), amount: z.number() }),
  execute: async ({ order, amount }) => ({ order, refunded: amount }),
})

export const tools = governed(
  { read_order, refund },
  {
    read_order: { scope: 'orders:read' },
    refund: { scope: 'spend', cost: ({ amount }) => usd(amount) },
  },
  { haldir },
)
