/** What both processes share: one store, one policy, the same tools under the same names. */
import { governed } from '@haldir/ai-sdk'
import { createHaldir, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { sqliteStore } from '@haldir/core/stores/sqlite'
import { tool } from 'ai'
import { z } from 'zod'

export const haldir = createHaldir({
  store: sqliteStore('haldir.db'),
  sinks: [fileSink('audit')],
  approvals: { mode: 'suspend' }, // and `approvers: [slackApprover(…)]`, where people are asked
  policy: {
    default: 'allow',
    allowByDefault: true,
    rules: [
      {
        id: 'large',
        tools: 'pay',
        when: { 'args.amount': { gt: 100 } },
        then: 'ask',
        because: 'payments above $100 need a yes',
      },
    ],
  },
})

const pay = tool({
  description: 'Pay a supplier',
  inputSchema: z.object({ to: z.string(), amount: z.number() }),
  execute: async ({ to, amount }) => {
    console.log(`  (${amount} to ${to} has left the account)`)
    return `paid ${amount} to ${to}`
  },
})

export const tools = governed({ pay }, { pay: { scope: 'spend', cost: ({ amount }) => usd(amount) } }, { haldir })
