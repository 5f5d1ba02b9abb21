// #region readme
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createHaldir, governed, usd } from '@haldir/core'
import { fileSink } from '@haldir/core/sinks/file'
import { verifyFiles } from '@haldir/core/verify'
import { still } from './still.ts' // time and ids that are the same every time, for this page alone

const haldir = createHaldir({ sinks: [fileSink('audit')], ...still })
const tools = governed(
  {
    charge: async ({ amount }: { amount: number }) => ({ charged: amount }),
    ship: async (_: { order: string }) => Promise.reject(new TypeError('no such warehouse')),
    wipe: async (_: { table: string }) => 'gone',
  },
  {
    charge: { scope: 'spend', cost: ({ amount }) => usd(amount) },
    ship: { scope: 'orders:ship' },
    wipe: { scope: 'admin' },
  },
)
const session = await haldir.createSession({ agent: 'order-bot', tenant: 'acme', scopes: ['spend:50', 'orders'] })
await session.run(() =>
  Promise.allSettled([
    tools.charge({ amount: 29.99 }),
    tools.ship({ order: 'A1' }),
    tools.wipe({ table: 'orders' }),
    tools.charge({ amount: 34.5 }),
  ]),
)
await session.revoke('shift is over')

// One entry, without its hashes.
for await (const entry of haldir.trail.query({ type: 'outcome', tool: 'charge' })) {
  const { toolHash, digest, prev, hash, ...told } = entry
  console.log(told)
}

// Who spent what: exact decimals.
for (const { agent, spent, unit } of await haldir.trail.spend({ by: 'agent', tenant: 'acme', since: '2026-01-01' })) {
  console.log(agent, 'spent', spent, unit)
}

// What was refused, and by which rule.
for await (const { at, agent, tool, code, rule } of haldir.trail.query({ type: 'refusal' })) {
  console.log(at, agent, tool, code, rule)
}
await haldir.close()

// Later, without the application: the files alone.
const { ok, writers, orphans } = await verifyFiles('audit')
console.log({ ok, orphans }, writers[0]?.entries, writers[0]?.closed)

// Somebody makes the charge smaller than it was.
const file = `audit/${readdirSync('audit').find((name) => name.endsWith('.jsonl'))}`
writeFileSync(file, readFileSync(file, 'utf8').replaceAll('29.99', '2.99'))
for (const { kind, message } of (await verifyFiles('audit')).problems) console.log(`${kind}: ${message}`)
// #endregion readme
