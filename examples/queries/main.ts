import { readFileSync } from 'node:fs'
import { createHaldir, governed, usd } from '@haldir/core'
import { createSigningKey, envSigner } from '@haldir/core/checkpoints'
import { fileSink } from '@haldir/core/sinks/file'
import { openTrailIndex } from '@haldir/core/trail-index'
import { checkExport } from '@haldir/core/verify'
import { clock, ids, nextDay } from './days.ts' // time and ids that are the same every time, for this page alone

const haldir = createHaldir({ sinks: [fileSink('audit')], clock, ids })
const tools = governed(
  {
    charge: async ({ amount }: { amount: number }) => ({ charged: amount }),
    search: async (_: { text: string }) => [] as string[],
  },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount) },
    search: { scope: 'read', cost: usd('0.01') },
  },
  { haldir },
)
for (const amounts of [[29.99, 5], [12.5]]) {
  for (const agent of ['order-bot', 'refund-bot']) {
    const session = await haldir.createSession({ agent, tenant: 'acme', scopes: ['read', 'spend:30'] })
    await session.run(async () => {
      await tools.search({ text: 'open orders' })
      if (agent === 'order-bot') for (const amount of amounts) await tools.charge({ amount }).catch(() => {})
    })
  }
  await nextDay()
}

// Who spent what, each day.
for (const { day, agent, tool, spent, unit } of await haldir.trail.spend({ by: ['day', 'agent', 'tool'] })) {
  console.log(day, agent, tool, spent, unit)
}

// What was refused to whom; a list is any of them.
for await (const { at, agent, code } of haldir.trail.query({ type: 'refusal', agent: ['order-bot', 'refund-bot'] })) {
  console.log(at, agent, code)
}

// A few at a time, and later what has come meanwhile: nothing is missed, and nothing met twice.
let page = await haldir.trail.page({ tenant: 'acme', limit: 15 })
console.log(page.entries.length, page.more)
page = await haldir.trail.page({ tenant: 'acme', limit: 15, after: page.next })
console.log(page.entries.length, page.more)
await haldir.createSession({ agent: 'late-bot', tenant: 'acme', scopes: ['read'] })
page = await haldir.trail.page({ tenant: 'acme', limit: 15, after: page.next })
console.log(page.entries.map(({ agent, type }) => `${agent} ${type}`))

// An export for the auditor, who has the public key from you by another way.
const { signingKey, publicKey } = createSigningKey('acme.example/haldir')
const signer = envSigner('AUDIT_KEY', { env: { AUDIT_KEY: signingKey } })
const filter = { type: 'outcome', since: '2026-01-01', until: '2026-01-02' } as const
const { entries } = await haldir.trail.export({ to: 'january-1.csv', format: 'csv', filter, signer })
console.log(entries, 'exported;', readFileSync('january-1.csv.manifest', 'utf8').split('\n')[2])
const { ok, signed } = await checkExport('january-1.csv', publicKey)
console.log({ ok, signed })
await haldir.close()

// The same questions, asked of an index: for those who ask often.
const index = openTrailIndex({ directory: 'audit', database: 'audit.db' })
const { added } = await index.refresh()
console.log(added > 0, await index.spend({ by: 'agent' }))
index.close()
