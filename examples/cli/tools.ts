/** What the agent can do, and what each of it requires and costs. */
import { setTimeout as pause } from 'node:timers/promises'
import { governed } from '@haldir/ai-sdk'
import { usd } from '@haldir/core'
import { tool } from 'ai'
import { z } from 'zod'

const list_invoices = tool({
  description: 'Lists the open invoices',
  inputSchema: z.object({}),
  execute: async () => ({ A1: 29.99, A2: 34.5, A3: 9.5 }),
})

const pay = tool({
  description: 'Pays an invoice',
  inputSchema: z.object({ invoice: z.string(), amount: z.number() }),
  // The bank takes its time. The signal fires when the session is revoked.
  execute: async ({ invoice, amount }, { abortSignal }) => {
    await pause(300, undefined, abortSignal && { signal: abortSignal })
    return { invoice, paid: amount }
  },
})

export const tools = governed(
  { list_invoices, pay },
  { list_invoices: { scope: 'invoices:read' }, pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } },
)
