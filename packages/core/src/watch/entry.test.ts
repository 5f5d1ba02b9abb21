import { describe, expect, it } from 'vitest'
import { ENTRY_TYPES, entrySchema } from './entry.ts'

const hex = 'a0'.repeat(32)
const amount = { unit: 'USD', amount: '0.000001' }
const whole = {
  v: 1,
  id: 'w:0',
  writer: 'w',
  seq: 0,
  at: '2026-01-01T00:00:00.000Z',
  type: 'intent',
  haldir: 'h',
  tenant: 't',
  agent: 'a',
  session: 's',
  chain: ['s0'],
  call: 'c',
  ref: 'r',
  tool: 'pay',
  toolHash: hex,
  digest: hex,
  digestKey: 'k',
  verdict: 'allow',
  rule: 'r',
  policyHash: hex,
  code: 'c',
  held: [amount],
  spent: [{ unit: 'calls', amount: '12' }],
  enforced: true,
  durationMs: 0,
  data: { ended: 'ok' },
  prev: hex,
  hash: hex,
}
const optional = [
  'call',
  'ref',
  'tool',
  'toolHash',
  'digest',
  'digestKey',
  'verdict',
  'rule',
  'policyHash',
  'code',
  'durationMs',
]
const accepts = (entry: object) => entrySchema.safeParse(entry).success

describe('entrySchema', () => {
  it('takes a whole entry as it is, with keys it does not know', () => {
    expect(entrySchema.parse({ ...whole, later: 1 })).toEqual({ ...whole, later: 1 })
    expect(accepts({ ...whole, tenant: null, agent: null, session: null })).toBe(true)
  })

  it.each(ENTRY_TYPES)('takes `%s`', (type) => {
    expect(accepts({ ...whole, type })).toBe(true)
  })

  it.each(Object.keys(whole))('knows whether `%s` may be left out, and that it is never `undefined`', (key) => {
    const { [key as 'v']: _, ...rest } = whole
    expect(accepts(rest)).toBe(optional.includes(key))
    expect(accepts({ ...whole, [key]: undefined })).toBe(false)
  })

  it.each<[string, ...unknown[]]>([
    ['v', 2, '1'],
    ['id', 1],
    ['writer', null],
    ['seq', -1, 0.5, '0'],
    ['at', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.0000Z', '2026-01-01', 0],
    ['type', 'intend', ''],
    ['haldir', null],
    ['tenant', 1],
    ['agent', 1],
    ['session', 1],
    ['chain', 's', [1]],
    ['call', null],
    ['ref', 1],
    ['tool', 1],
    ['toolHash', `${hex}0`, `g${hex.slice(1)}`],
    ['digest', hex.toUpperCase(), `0${hex}`],
    ['digestKey', 1],
    ['verdict', 'perhaps', ''],
    ['rule', 1],
    ['policyHash', ''],
    ['code', 1],
    ['held', amount, [{ unit: 'USD' }], [{ amount: '1' }], [{ unit: 1, amount: '1' }], [{ unit: 'USD', amount: 1 }]],
    [
      'spent',
      ...['', '.5', '1.', '-1', '1.0000001', '1e3', 'x1', '1x', '1.5x'].map((of) => [{ unit: 'USD', amount: of }]),
    ],
    ['enforced', 'true'],
    ['durationMs', -1, '1', Number.NaN],
    ['data', null, 'x', []],
    ['prev', hex.slice(1)],
    ['hash', null],
  ])('refuses a `%s` that is none', (key, ...values) => {
    for (const value of values) expect(accepts({ ...whole, [key]: value }), JSON.stringify(value)).toBe(false)
  })

  it.each(['0', '7', '120', '0.5', '1.123456'])('takes the amount %s', (decimal) => {
    expect(accepts({ ...whole, held: [{ unit: 'USD', amount: decimal }] })).toBe(true)
  })

  it.each(['allow', 'deny', 'ask'])('takes the verdict `%s`', (verdict) => {
    expect(accepts({ ...whole, verdict })).toBe(true)
  })
})
