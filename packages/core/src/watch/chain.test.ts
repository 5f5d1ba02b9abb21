import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { usd } from '../money.ts'
import { Chain, callFragment, GENESIS, sessionFragment, toolFragment } from './chain.ts'
import { entrySchema } from './entry.ts'

const session = sessionFragment({ tenant: 'a"b', agent: 'böt', id: 's-1', chain: ['s-0'] })
const at = Date.UTC(2026, 10, 23, 4, 53, 38, 7)

describe('Chain', () => {
  it('writes lines that the schema accepts, with keys in the fixed order', () => {
    const chain = new Chain('w', 'haldir')
    const call = callFragment(
      { id: 'c', ref: 'r"\n', digest: 'd'.repeat(64) },
      toolFragment({ name: 'pay', hash: 'e'.repeat(64) }),
      'k',
    )
    const line = chain.append(
      {
        type: 'outcome',
        session,
        call,
        verdict: 'allow',
        rule: 'r',
        code: 'unavailable',
        held: [usd(1)],
        spent: [usd('0.000001'), usd(20)],
        durationMs: 1.5,
        data: { ended: 'ok' },
      },
      at,
    )
    expect(line.endsWith('\n')).toBe(true)
    const entry = entrySchema.parse(JSON.parse(line))
    expect(Object.keys(entry).join(' ')).toBe(
      'v id writer seq at type haldir tenant agent session chain call ref tool toolHash digest digestKey verdict rule code held spent enforced durationMs data prev hash',
    )
    expect(entry).toMatchObject({
      id: 'w:0',
      at: '2026-11-23T04:53:38.007Z',
      tenant: 'a"b',
      agent: 'böt',
      chain: ['s-0'],
      ref: 'r"\n',
      held: [{ unit: 'USD', amount: '1' }],
      spent: [
        { unit: 'USD', amount: '0.000001' },
        { unit: 'USD', amount: '20' },
      ],
      prev: GENESIS,
    })
  })

  it('hashes each line as it stands without its hash, and chains the next to it', () => {
    const chain = new Chain('w', 'haldir')
    const lines = [0, 1, 2].map(() => chain.append({ type: 'signal', session }, at).trimEnd())
    let prev = GENESIS
    for (const line of lines) {
      const { hash, ...rest } = JSON.parse(line)
      expect(rest.prev).toBe(prev)
      expect(hash).toBe(createHash('sha256').update(JSON.stringify(rest)).digest('hex'))
      prev = hash
    }
    expect([chain.head, chain.entries, chain.genesis]).toEqual([prev, 3, JSON.parse(lines[0] as string).hash])
  })
})
