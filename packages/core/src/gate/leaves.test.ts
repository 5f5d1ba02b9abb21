import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../errors.ts'
import { type Amount, amount } from '../money.ts'
import type { SessionRow } from '../stores/store.ts'
import { allCover, checkWithin, type Leave, leaveOf, uncovered } from './leaves.ts'
import { covers, type Grant, parseGrant } from './scopes.ts'

/** Whether a session with the one grant may delegate the other. */
function within(parent: readonly string[], child: readonly string[]): boolean | string {
  try {
    checkWithin(parseGrant(parent), parseGrant(child))
    return true
  } catch (error) {
    if (!ConfigError.isInstance(error)) throw error
    expect(error.code).toBe('invalid-scope')
    return error.path
  }
}

describe('a child', () => {
  it.each([
    [['read'], ['read']],
    [['read'], []],
    [['gmail'], ['gmail:read']],
    [['gmail'], ['gmail:*']],
    [['gmail'], ['gmail:*:inbox']],
    [['gmail:*'], ['gmail:read']],
    [['gmail:*'], ['gmail:*']],
    [['gmail:*'], ['gmail:*:inbox']],
    [['*'], ['gmail', 'read', '*', '*:read']],
    [['*:read'], ['gmail:read', '*:read', 'gmail:read:inbox']],
    [['gmail:*:inbox'], ['gmail:read:inbox', 'gmail:*:inbox:unread']],
    [['spend:50'], ['spend:50']],
    [['spend:50'], ['spend:0']],
    [['spend:50'], ['spend:50:USD/day']],
    [['spend:50'], ['spend:20', 'spend:30:USD/hour']],
    [['spend:50:USD/day'], ['spend:50:USD/day']],
    [['spend:50:USD/day'], ['spend:500']],
    [
      ['spend:50:USD/day', 'spend:500'],
      ['spend:500', 'spend:50:USD/day'],
    ],
    [['spend:*'], ['spend:*']],
    [['spend:*'], ['spend:1000000', 'spend:5:EUR/month']],
    [
      ['spend:*', 'spend:50'],
      ['spend:*', 'spend:50'],
    ],
    [['spend:*', 'spend:50'], ['spend:1000:EUR']],
    [['spend:50', 'spend:5:EUR'], ['spend:5:EUR']],
  ])('of %j may be granted %j', (parent, child) => {
    expect(within(parent, child)).toBe(true)
  })

  it.each([
    [['read'], ['write'], 'scopes.0'],
    [['read'], ['reader'], 'scopes.0'],
    [['read'], ['*'], 'scopes.0'],
    [[], ['read'], 'scopes.0'],
    [['gmail:read'], ['gmail'], 'scopes.0'],
    [['gmail:read'], ['gmail:*'], 'scopes.0'],
    [['gmail:read'], ['*:read'], 'scopes.0'],
    [['gmail:*'], ['gmail'], 'scopes.0'],
    [['*:read'], ['*'], 'scopes.0'],
    [['*:read'], ['gmail:*'], 'scopes.0'],
    [['gmail:*:inbox'], ['gmail:read'], 'scopes.0'],
    [['gmail:read', 'gmail:send'], ['gmail:read', 'gmail:*'], 'scopes.1'],
    [['*'], ['spend:1'], 'scopes.0'],
    [['*'], ['read', 'spend:*'], 'scopes.1'],
    [['spend:50'], ['spend:50.000001'], 'scopes.0'],
    [['spend:50'], ['spend:*'], 'scopes.0'],
    [['spend:50'], ['spend:1:EUR'], 'scopes.0'],
    [['spend:50'], ['spend:51:USD/hour'], 'scopes.0'],
    [['spend:50:USD/day'], ['spend:51:USD/day'], 'scopes.0'],
    [['spend:50:USD/day'], ['spend:51:USD/hour'], 'scopes.0'],
    [['spend:50:USD/month'], ['spend:51:USD/day'], 'scopes.0'],
    [['spend:50:USD/week'], ['spend:51:USD/day'], 'scopes.0'],
    [['spend:50:USD/day', 'spend:500'], ['spend:501'], 'scopes.0'],
    [['spend:*', 'spend:50'], ['spend:51'], 'scopes.0'],
    [['spend:0'], ['spend:1'], 'scopes.0'],
    [['spend:50', 'spend:5:EUR'], ['spend:50', 'spend:6:EUR'], 'scopes.1'],
  ])('of %j may not be granted %j', (parent, child, path) => {
    expect(within(parent, child)).toBe(path)
  })
})

const segment = fc.constantFrom('a', 'b', '*')
const plain = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(':'))
const limit = fc.integer({ min: 0, max: 5 })
const budget = fc
  .tuple(limit, fc.constantFrom('', ':USD', ':EUR', ':USD/day', ':USD/hour', ':USD/month', ':EUR/week'))
  .map(([size, tail]) => `spend:${size}${tail}`)
const scope = fc.oneof({ weight: 3, arbitrary: plain }, budget, fc.constant('spend:*'))
/** Lists that are sound: no two budgets for the same currency and window. */
const scopes = fc.array(scope, { maxLength: 4 }).filter((list) => {
  try {
    parseGrant(list)
    return true
  } catch {
    return false
  }
})
const required = fc.oneof(
  fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 }),
  fc.constant<string[]>(['spend']),
)

/** Delegates each grant in turn from the last that was accepted, as a session does, and answers those that were. */
function chainOf(grants: readonly (readonly string[])[]): readonly Grant[] {
  const chain: Grant[] = []
  for (const each of grants) {
    const grant = parseGrant(each)
    if (chain.every(({ scopes }) => within(scopes, each) === true)) chain.push(grant)
  }
  return chain
}

describe('whatever is delegated', () => {
  it('covers nothing that what it comes from does not cover', () => {
    let tried = 0
    let delegated = 0
    fc.assert(
      fc.property(
        fc.array(scopes, { minLength: 2, maxLength: 6 }),
        fc.array(required, { minLength: 20 }),
        (all, asked) => {
          const chain = chainOf(all)
          tried++
          delegated += chain.length - 1
          for (const scope of asked) {
            for (const [depth, child] of chain.entries()) {
              if (covers(child, scope))
                for (const parent of chain.slice(0, depth)) expect(covers(parent, scope)).toBe(true)
            }
          }
        },
      ),
      { numRuns: 2_000 },
    )
    expect(delegated).toBeGreaterThan(tried / 2)
  })

  it('has no limit above one that it comes from, where the one window lies within the other', () => {
    const inside: Record<string, readonly string[]> = {
      total: ['total'],
      month: ['month', 'total'],
      week: ['week', 'total'],
      day: ['day', 'week', 'month', 'total'],
      hour: ['hour', 'day', 'week', 'month', 'total'],
    }
    let tried = 0
    let compared = 0
    fc.assert(
      fc.property(fc.array(fc.array(budget, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 6 }), (all) => {
        tried++
        const sound = all.filter((list) => new Set(list.map((one) => one.replace(/\d+/, ''))).size === list.length)
        const chain = chainOf(
          sound.filter(
            (list) => !(list.some((one) => /^spend:\d$/.test(one)) && list.some((one) => /:USD$/.test(one))),
          ),
        )
        for (const [depth, child] of chain.entries()) {
          for (const parent of chain.slice(0, depth)) {
            for (const one of child.budgets) {
              expect(parent.budgets.map(({ unit }) => unit)).toContain(one.unit)
              for (const other of parent.budgets) {
                if (other.unit !== one.unit || !inside[one.window]?.includes(other.window)) continue
                // A limit that the parent has for the very same window speaks for itself.
                if (
                  other.window !== one.window &&
                  parent.budgets.some(({ unit, window }) => unit === one.unit && window === one.window)
                )
                  continue
                compared++
                expect(one.limit).toBeLessThanOrEqual(other.limit)
              }
            }
          }
        }
      }),
      { numRuns: 2_000 },
    )
    expect(compared).toBeGreaterThan(tried / 10)
  })

  it('is always allowed when it is the same, and what its parent holds never depends on the order', () => {
    fc.assert(
      fc.property(scopes, (list) => {
        expect(within(list, list)).toBe(true)
        expect(within(list, [...list].reverse())).toBe(true)
        expect(within([...list].reverse(), list)).toBe(true)
      }),
    )
  })
})

function leave(id: string, list: readonly string[]): Leave {
  const row: SessionRow = {
    id,
    tokenHash: '',
    tenant: 't',
    agent: 'a',
    scopes: list,
    attributes: {},
    chain: [],
    createdAt: 0,
    expiresAt: 1,
  }
  return leaveOf(row, '')
}

describe('a chain of identities', () => {
  const chain = (...grants: string[][]) => grants.map((list, index) => leave(`s${index}`, list))

  it('covers what every one of them covers, and nothing else', () => {
    expect(allCover(chain(['a', 'b'], ['a']), ['a'])).toBe(true)
    expect(allCover(chain(['a'], ['b']), ['a'])).toBe(false)
    expect(allCover(chain(['b'], ['a']), ['a'])).toBe(false)
    expect(allCover(chain(['spend:1'], ['*']), ['spend'])).toBe(false)
  })

  const spent = (...list: [string, number][]): Amount[] => list.map(([unit, value]) => amount(unit, value))
  const never = () => false

  it('needs a limit in the unit, or `spend:*`, for each of them', () => {
    expect(uncovered(chain(['spend:1']), spent(['USD', 1]), never)).toBeUndefined()
    expect(uncovered(chain(['spend:*']), spent(['USD', 1], ['EUR', 1]), never)).toBeUndefined()
    expect(uncovered(chain(['spend:1']), spent(['USD', 1], ['EUR', 1]), never)).toBe('EUR')
    expect(uncovered(chain(['spend:1']), spent(['EUR', 0]), never)).toBeUndefined()
    // What a parent may spend is not what its child was given.
    expect(uncovered(chain(['spend:1:EUR'], ['spend:1:EUR', 'spend:1']), spent(['USD', 1]), never)).toBe('USD')
    expect(uncovered(chain(['spend:1'], ['spend:1:EUR']), spent(['USD', 1]), never)).toBe('USD')
    expect(uncovered(chain(['spend:1'], ['spend:*']), spent(['USD', 1]), never)).toBeUndefined()
    expect(uncovered([], spent(['USD', 1]), never)).toBeUndefined()
  })

  it('asks for a standing meter only for those that have none of their own', () => {
    const asked: string[] = []
    const standing = ({ facts }: Leave, unit: string) => {
      asked.push(`${facts.id} ${unit}`)
      return facts.id === 's0'
    }
    expect(uncovered(chain(['spend:1:EUR'], ['spend:1']), spent(['USD', 1]), standing)).toBeUndefined()
    expect(asked).toEqual(['s0 USD'])
    expect(uncovered(chain(['spend:1:EUR'], ['spend:1:EUR']), spent(['USD', 1]), standing)).toBe('USD')
  })
})

it('names the scope that is too much, and shows policies nothing they could change', () => {
  expect(() => checkWithin(parseGrant(['read']), parseGrant(['read', 'write']))).toThrow(
    '`scopes.1` grants more than the session it is delegated from holds',
  )
  const rest = { tokenHash: '', createdAt: 0, expiresAt: 1, chain: ['s0', 's1'], agent: 'a', tenant: 't', id: 's2' }
  const { facts } = leaveOf({ ...rest, scopes: ['read'], attributes: { team: { name: 'blue' }, none: null } }, '')
  expect(facts).toEqual({
    id: 's2',
    agent: 'a',
    tenant: 't',
    scopes: ['read'],
    attributes: { team: { name: 'blue' }, none: null },
    depth: 2,
  })
  expect([facts, facts.scopes, facts.attributes, facts.attributes.team].every(Object.isFrozen)).toBe(true)
})

it('a unit is counted when any of its meters is of it', () => {
  const row = { tokenHash: '', createdAt: 0, expiresAt: 1, chain: [], agent: 'a', tenant: 't', attributes: {} }
  const leaves = [leaveOf({ ...row, id: 's', scopes: ['spend:5', 'spend:5:EUR'] }, '')]
  const none = () => false
  expect(uncovered(leaves, [amount('USD', 1), amount('EUR', 1)], none)).toBe(undefined)
  expect(uncovered(leaves, [amount('USD', 1), amount('CHF', 1)], none)).toBe('CHF')
  expect(uncovered(leaves, [amount('CHF', 0)], none)).toBe(undefined)
})
