import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { usd } from '../money.ts'
import { Chain, callFragment, type Draft, GENESIS, NOBODY, sessionFragment, toolFragment } from './chain.ts'
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

describe('what an entry says', () => {
  const told = (draft: object, chain = new Chain('w', 'h"x')) =>
    JSON.parse(chain.append({ type: 'intent', session, ...draft } as Draft, at))

  it('has no member that nothing is known of', () => {
    const { hash, ...entry } = told({})
    expect(entry).toEqual({
      v: 1,
      id: 'w:0',
      writer: 'w',
      seq: 0,
      at: '2026-11-23T04:53:38.007Z',
      type: 'intent',
      haldir: 'h"x',
      tenant: 'a"b',
      agent: 'böt',
      session: 's-1',
      chain: ['s-0'],
      held: [],
      spent: [],
      enforced: true,
      data: {},
      prev: GENESIS,
    })
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
  })

  it.each([
    { verdict: 'deny' },
    { rule: 'no "refunds"' },
    { policyHash: 'f'.repeat(64) },
    { code: 'scope-missing' },
    { durationMs: 0 },
    { data: { a: ['"'] } },
  ])('says %o', (draft) => {
    expect(told(draft)).toMatchObject(draft)
  })

  it("says whose doing it is, and that it is nobody's", () => {
    expect(told({ session: NOBODY })).toMatchObject({ tenant: null, agent: null, session: null, chain: [] })
    const apart = sessionFragment({ tenant: 't', agent: null, id: null, chain: ['a', 'b'] })
    expect(told({ session: apart })).toMatchObject({ tenant: 't', agent: null, session: null, chain: ['a', 'b'] })
  })

  it('says of a call what is known of it', () => {
    const { toolHash, ref, digest, digestKey, ...known } = told({
      call: callFragment({ id: 'c' }, toolFragment({ name: 'p"y' }), 'k'),
    })
    expect(known).toMatchObject({ call: 'c', tool: 'p"y' })
    expect([toolHash, ref, digest, digestKey]).toEqual([undefined, undefined, undefined, undefined])
    const hash = 'e'.repeat(64)
    const whole = callFragment({ id: 'c', ref: 'r', digest: hash }, toolFragment({ name: 'pay', hash }), 'k"')
    expect(told({ call: whole })).toMatchObject({ ref: 'r', toolHash: hash, digest: hash, digestKey: 'k"' })
  })

  it('tells the time of each entry, and whether it was enforced', () => {
    const chain = new Chain('w', 'h', false)
    const times = [0, 0, 1, 0].map((ms) => JSON.parse(chain.append({ type: 'signal', session }, ms)))
    expect(times.map(({ at }) => at)).toEqual([0, 0, 1, 0].map((ms) => new Date(ms).toISOString()))
    expect(times.map(({ enforced }) => enforced)).toEqual([false, false, false, false])
    expect([chain.entries, chain.genesis]).toEqual([4, times[0].hash])
    expect([new Chain('w', 'h').head, new Chain('w', 'h').genesis]).toEqual([GENESIS, GENESIS])
  })
})
