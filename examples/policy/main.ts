import { fileURLToPath } from 'node:url'

const file = fileURLToPath(new URL('haldir.policy.yaml', import.meta.url))

// #region readme
import { createHaldir, Denied, governed } from '@haldir/core'
import { checkPolicy, readPolicy, watchPolicy } from '@haldir/core/policy'
import { memorySink } from '@haldir/core/sinks/memory'
import { z } from 'zod'

const policy = await readPolicy(file) // unknown keys, operators, paths, zones: an error that names the place
const haldir = createHaldir({ policy, sinks: [memorySink()] })

const order = z.object({ customer: z.string(), order: z.number() })
const refundArgs = order.extend({ amount: z.number(), currency: z.string(), reason: z.string() })
const tools = governed(
  {
    read_order: async (args: z.infer<typeof order>) => `order ${args.order} of ${args.customer}`,
    refund: async (args: z.infer<typeof refundArgs>) => `refunded ${args.amount} ${args.currency}`,
  },
  {
    read_order: { scope: 'orders:read', annotations: { readOnly: true }, schema: order },
    refund: { scope: 'orders:refund', annotations: { labels: { money: true } }, schema: refundArgs },
  },
  { haldir },
)

const session = await haldir.createSession({
  agent: 'support',
  scopes: ['orders'],
  attributes: { customer: 'c-7', email: 'ada@mail.example' },
})
const refund = { customer: 'c-7', order: 1001, currency: 'EUR', reason: 'broken' }
await session.run(async () => {
  await tell(tools.read_order({ customer: 'c-7', order: 1001 }))
  await tell(tools.read_order({ customer: 'c-8', order: 1002 }))
  await tell(tools.refund({ ...refund, amount: 29.99 }))
  await tell(tools.refund({ ...refund, amount: 250 }))
  await tell(tools.refund({ ...refund, amount: 5_000 }))
})

// For people: what would be decided, and why. Nothing is taken and nothing is recorded.
const { verdict, rule } = haldir.explain({ tool: 'refund', args: { ...refund, amount: 250 }, session })
console.log(verdict, rule)

// What is sound and yet can't be meant, such as a rule that no call can match.
console.log(checkPolicy(policy).problems)

// The policy in force follows the file: a sound change swaps in at once and is recorded, any other is not taken.
const watch = watchPolicy(file, async (changed) => void (await haldir.loadPolicy(changed)), { current: policy })
// #endregion readme

watch.stop()
await haldir.close()

async function tell(call: Promise<string>): Promise<void> {
  await call.then(console.log, (error) => console.log(Denied.isInstance(error) ? error.message : error))
}
