import { createHaldir, envKey, governed } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { verifyFiles } from '@haldir/core/verify'
import { still } from './still.ts' // time, ids and random bytes that are the same every time, for this page alone

const haldir = createHaldir({ sinks: [fileSink('audit')], vault: { keys: [envKey('HALDIR_KEY')] }, ...still })

interface Refund {
  amount: number
  reason: string
  card: string
  customer: { id: string; email: string }
  items: { sku: string; note?: string }[]
}

const refund = governed(async ({ amount }: Refund) => ({ refunded: amount }), {
  name: 'refund',
  scope: 'refunds',
  record: {
    show: ['amount', 'items.*.sku'], // an auditor reads it
    fingerprint: ['customer.email', 'card'], // is found by who knows the value already
    seal: ['reason', 'items.*.note'], // can be opened, until it is erased
    subject: 'customer.id', // whose data it is
  },
})

const session = await haldir.createSession({ agent: 'desk', tenant: 'acme', scopes: ['refunds'] })
await session.run(() =>
  refund({
    amount: 29.99,
    reason: 'arrived broken, Ada is on holiday until May',
    card: '4111111111111111',
    customer: { id: 'C-77001', email: 'ada@example.com' },
    items: [{ sku: 'S-1', note: 'gift for Charles' }, { sku: 'S-2' }],
  }),
)

// Somebody asks: what was done about this address? Only who can ask Haldir can look for it.
const fingerprint = await haldir.trail.fingerprint('acme', 'ada@example.com')
const [entry] = await Array.fromAsync(haldir.trail.query({ fingerprint }))
if (!entry) throw new Error('nothing was found')
console.log(entry.at, entry.agent, entry.tool, entry.data.args)

// What was sealed, for who may know.
console.log(await haldir.trail.reveal(entry))

// The customer wants to be forgotten. No entry is touched: the key is destroyed, and with it what it has sealed.
console.log(await haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' }))
console.log(await haldir.trail.reveal(entry))
console.log(await haldir.trail.erase({ tenant: 'acme', subject: 'C-77001' }))
await haldir.close()

const { ok, writers } = await verifyFiles('audit')
console.log({ ok }, writers[0]?.entries)
