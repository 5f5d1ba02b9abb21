// #region readme
import { createHaldir, Denied, governed } from '@haldir/core'
import { detectSignals, type Notifier } from '@haldir/core/signals'
import { memorySink } from '@haldir/core/sinks/memory'
import { still } from './still.ts' // time and ids that are the same every time, for this page alone

// Whoever is to be told; `slackNotifier` and `webhookNotifier` are made.
const pager: Notifier = { name: 'pager', notify: ({ severity, text }) => console.log(`[${severity}] ${text}`) }

const haldir = createHaldir({
  sinks: [memorySink()],
  signals: {
    notify: [pager],
    react: { loop: ['notify', 'suspend'], 'repeated-denials': ['notify', 'ask'] },
    detectors: { 'off-hours': { hours: { 'mon-fri': '07:00-19:00' }, zone: 'Europe/Berlin' } },
  },
  ...still,
})
const session = await haldir.createSession({ agent: 'order-bot', tenant: 'acme', scopes: ['orders:read'] })
const status = governed(
  async (_: { order: string }) => 'not yet',
  { name: 'status', scope: 'orders:read' },
  { session },
)

// An agent that goes round in circles: the eighth time is one too many.
for (let turn = 1; turn <= 10; turn++) {
  try {
    await status({ order: 'A1' })
  } catch (error) {
    if (Denied.isInstance(error)) console.log(`call ${turn}: ${error.message} [${error.rule}]`)
  }
}

// Somebody has looked at it.
const raised = haldir.signals.list().at(-1)
console.log(raised?.signal, 'released:', await haldir.signals.release(session.id))
console.log(await status({ order: 'A2' }))

// It is all on record.
for await (const { type, rule, tool, data } of haldir.trail.query({ type: 'signal' }))
  console.log(type, rule, tool, data)

// The same over a trail that is read: what would other thresholds have raised?
const strict = { detectors: { loop: { repeats: 3 } } }
for await (const { signal, value, at } of detectSignals(haldir.trail.query(), strict)) {
  console.log(new Date(at).toISOString(), signal, value)
}
await haldir.close()
// #endregion readme
