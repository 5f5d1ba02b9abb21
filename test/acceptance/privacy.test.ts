/** What the trail holds of arguments, through `createHaldir`: shown, found by value, opened, erased. */
import { createHaldir, currentCall, envKey, governed, type Session, type ToolOptions, usd } from '@haldir/core'
import { memorySink } from '@haldir/core/sinks/memory'
import { fakeClock } from '@haldir/testing'
import { describe, expect, it } from 'vitest'
import { entriesOf, proves } from '../promises.ts'
import { denial, fleet, misuse, STORES, told } from './scene.ts'

const keyOf = (byte: number) => envKey('KEY', { env: { KEY: Buffer.alloc(32, byte).toString('base64') } })
const KEY = keyOf(7)
const vault = { keys: [KEY] }

const refund = {
  amount: 29.5,
  order: { id: 'A1', lines: [{ sku: 'S-1', note: 'leave at door' }, { sku: 'S-2' }] },
  customer: { id: 'C-77001', email: 'ada@example.com', name: 'Ada Lovelace' },
}
const record: ToolOptions['record'] = {
  show: ['amount', 'order.id', 'order.lines.*.sku'],
  fingerprint: ['customer.email'],
  seal: ['customer.name', 'order.lines.*.note'],
  subject: 'customer.id',
}

function tool(session: Session, options: Partial<ToolOptions> = {}) {
  return governed(async (_: object) => 'done', { name: 'refund', scope: [], record, ...options }, { session })
}

describe.each(STORES)('with a %s store', (kind) => {
  it('records what is named as it is named, and nothing else', async () => {
    proves('args-recorded')
    const { haldir, lines, entries } = fleet(kind).house({ vault })
    const session = await haldir.createSession({ agent: 'bot', tenant: 'acme', scopes: [] })
    await tool(session)(refund)
    const [intent] = entries('intent')
    const email = await haldir.trail.fingerprint('acme', 'ada@example.com')
    expect(intent?.data).toEqual({
      args: {
        shown: { amount: 29.5, 'order.id': 'A1', 'order.lines[0].sku': 'S-1', 'order.lines[1].sku': 'S-2' },
        fingerprints: { 'customer.email': email },
        sealed: { 'customer.name': expect.any(String), 'order.lines[0].note': expect.any(String) },
        subject: await haldir.trail.fingerprint('acme', 'C-77001'),
        fingerprintKey: 'acme.1',
        sealKey: expect.stringMatching(/^[0-9a-f]{16}$/),
      },
    })
    for (const hidden of ['ada@', 'Ada', 'Lovelace', 'C-77001', 'leave at'])
      expect(lines.join('')).not.toContain(hidden)
    expect(await haldir.trail.reveal(intent as never)).toEqual({
      erased: false,
      values: { 'customer.name': 'Ada Lovelace', 'order.lines[0].note': 'leave at door' },
    })
  })
})
