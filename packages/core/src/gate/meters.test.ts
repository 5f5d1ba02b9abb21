import { describe, expect, it } from 'vitest'
import { amount, usd } from '../money.ts'
import { amountsOf, asParents, budgetLines, chargesOn, keysOf, type Meter, sessionMeters, sum } from './meters.ts'
import { parseGrant } from './scopes.ts'

const eur = (value: number) => amount('EUR', value)
const metersOf = (...scopes: string[]) => sessionMeters('acme', 's1', parseGrant(scopes).budgets)
const texts = (amounts: readonly unknown[] | undefined) => amounts?.map(String)

describe('the meters of a session', () => {
  it('are one for each budget, and say what they limit', () => {
    expect(metersOf('spend:50', 'spend:5:EUR/day')).toEqual([
      {
        at: { key: 'acme|session:s1|USD|total|budget', window: 'total' },
        rule: 'budget:USD',
        unit: 'USD',
        limit: 50_000_000n,
        code: 'budget-exceeded',
        reason: "the call costs more than is left of the session's budget",
      },
      {
        at: { key: 'acme|session:s1|EUR|day|budget', window: 'day' },
        rule: 'budget:EUR/day',
        unit: 'EUR',
        limit: 5_000_000n,
        code: 'budget-exceeded',
        reason: "the call costs more than is left of the session's budget",
      },
    ])
    const [apart] = sessionMeters('acme', 's1', parseGrant(['spend:1']).budgets, 'shadow|')
    expect(apart?.at.key).toBe('shadow|acme|session:s1|USD|total|budget')
  })

  it("are named as the parent's by its children, once", () => {
    const [parents] = asParents(metersOf('spend:50'))
    expect(parents).toMatchObject({
      at: { key: 'acme|session:s1|USD|total|budget' },
      rule: 'parent:budget:USD',
      reason: 'the call costs more than is left of the budget of a session that this one was delegated from',
    })
    expect(asParents([parents as Meter])).toEqual([parents])
  })
})

describe('what is left', () => {
  const read = (states: unknown) => budgetLines(metersOf('spend:50', 'spend:5:EUR/day'), states as [])
  const state = (limit: bigint, used: bigint, held: bigint) => ({ limit, used, held })

  it('is the limit without what was used and what is held; never less than nothing', () => {
    const lines = read([state(50_000_000n, 20_000_000n, 5_000_000n), state(5_000_000n, 6_000_000n, 0n)])
    expect(
      lines.map(({ limit, used, held, left, ...rest }) => [rest, ...[limit, used, held, left].map(String)]),
    ).toEqual([
      [{ unit: 'USD', window: 'total', rule: 'budget:USD' }, '50 USD', '20 USD', '5 USD', '25 USD'],
      [{ unit: 'EUR', window: 'day', rule: 'budget:EUR/day' }, '5 EUR', '6 EUR', '0 EUR', '0 EUR'],
    ])
  })

  it('is asked for as the store has it', () => {
    expect(budgetLines([], [])).toEqual([])
    expect(keysOf(metersOf('spend:50'))).toEqual([{ key: 'acme|session:s1|USD|total|budget', window: 'total' }])
  })

  const whole = state(1n, 0n, 0n)
  it.each<[unknown, string]>([
    [undefined, '`store.meters.read` answered nonsense'],
    [{ 0: whole, 1: whole }, '`store.meters.read` answered nonsense'],
    [[whole], 'the meter `acme|session:s1|EUR|day|budget` is missing from the store'],
    [[whole, null], 'the meter `acme|session:s1|EUR|day|budget` is missing from the store'],
    [[whole, { ...whole, limit: 1 }], '`store.meters.read` answered nonsense'],
    [[whole, { ...whole, used: '1' }], '`store.meters.read` answered nonsense'],
    [[{ ...whole, held: undefined }, whole], '`store.meters.read` answered nonsense'],
  ])('is not guessed from nonsense (%#)', (states, message) => {
    expect(() => read(states)).toThrow(expect.objectContaining({ code: 'unavailable', message }))
  })
})

describe('amounts', () => {
  it('are one or several, one for each unit', () => {
    expect(texts(amountsOf(usd(1)))).toEqual(['1 USD'])
    expect(texts(amountsOf([usd(1)]))).toEqual(['1 USD'])
    expect(texts(amountsOf([usd(1), eur(2), usd(3)]))).toEqual(['4 USD', '2 EUR'])
    expect(texts(sum([]))).toEqual([])
    for (const none of [undefined, null, 5, '5 USD', [], [usd(1), 5], {}]) expect(amountsOf(none)).toBe(undefined)
  })

  it('charge every meter of their unit, the larger where a unit comes twice, and none for nothing', () => {
    const meters = [
      ...metersOf('spend:50', 'spend:5:USD/day', 'spend:5:EUR'),
      { ...metersOf('spend:1')[0], unit: 'calls' },
    ]
    const charged = (...args: [Parameters<typeof chargesOn>[1], boolean?]) =>
      chargesOn(meters as Meter[], ...args).map(({ meter, micros }) => [
        meters.findIndex(({ at }) => at === meter),
        micros,
      ])
    expect(charged([usd(2)])).toEqual([
      [0, 2_000_000n],
      [1, 2_000_000n],
    ])
    expect(charged([usd(2), usd(1), eur(0)])).toEqual([
      [0, 2_000_000n],
      [1, 2_000_000n],
    ])
    expect(charged([])).toEqual([])
    expect(charged([], true)).toEqual([[3, 1_000_000n]])
    expect(charged([amount('calls', 5)], true)).toEqual([[3, 5_000_000n]])
    expect(charged([amount('calls', 0)], true)).toEqual([[3, 1_000_000n]])
    expect(charged([amount('calls', 5)])).toEqual([[3, 5_000_000n]])
  })
})
