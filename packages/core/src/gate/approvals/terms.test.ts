import { describe, expect, it } from 'vitest'
import type { Rule } from '../policy/policy.ts'
import { type Asking, askingHash, askingOf, countsFor, grantOf, tally, termsOf, timeoutOf, type Vote } from './terms.ts'

const rule = (id: string, more: Partial<Rule> = {}): Rule => ({ id, then: 'ask', ...more })

describe('askingHash', () => {
  const rules = [rule('a', { approvers: ['x'] }), rule('b'), rule('c', { when: { 'args.n': 1 } })]

  it('is the same in whichever order they stand', () => {
    const [a, b, c] = rules as [Rule, Rule, Rule]
    const hash = askingHash(rules)
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    for (const order of [
      [a, c, b],
      [b, a, c],
      [b, c, a],
      [c, a, b],
      [c, b, a],
    ])
      expect(askingHash(order)).toBe(hash)
    expect(rules.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })

  it.each<readonly Asking[]>([
    rules.slice(1),
    [...rules, rule('d')],
    [rule('a', { approvers: ['y'] }), ...rules.slice(1)],
    [rule('a', { approvers: ['x'], quorum: 1 }), ...rules.slice(1)],
    [rule('a', { approvers: ['x'], because: 'why' }), ...rules.slice(1)],
    [...rules.slice(0, 2), rule('c', { when: { 'args.n': 2 } })],
  ])('is another one of other rules', (...others) => {
    expect(askingHash(others)).not.toBe(askingHash(rules))
  })

  it('carries the version of the policy where a condition is a function, and only there', () => {
    const seen = rule('seen', { when: { all: [{ 'args.n': 1 }, () => true] } })
    expect(askingOf([rule('plain', { when: { 'args.n': null } }), seen], 3)).toEqual([
      rule('plain', { when: { 'args.n': null } }),
      { ...seen, version: 3 },
    ])
    expect(askingOf([seen], undefined)).toEqual([seen])
    expect(askingOf([rule('plain')], 3)).toEqual([rule('plain')])
    expect(askingOf([rule('unless', { unless: () => true })], 'v')[0]).toMatchObject({ version: 'v' })
  })
})

describe('what asking rules say together', () => {
  it('is the shortest time, or else what is usual', () => {
    expect(timeoutOf([{ id: 'a' }, { id: 'b', timeout: '10m' }, { id: 'c', timeout: '30s' }], 7)).toBe(30_000)
    expect(timeoutOf([{ id: 'a' }], 7)).toBe(7)
    expect(timeoutOf([], 7)).toBe(7)
  })

  it('is a grant only if all of them allow it: the shortest, with all that they name', () => {
    const grant = (time: string, ...args: string[]) => ({ id: time, grant: { for: time, args } })
    expect(grantOf([grant('15m', 'to', 'b'), grant('1m', 'a', 'to')])).toEqual({
      forMs: 60_000,
      args: ['a', 'b', 'to'],
    })
    expect(grantOf([grant('15m', 'to'), { id: 'x' }])).toBeUndefined()
    expect(grantOf([])).toBeUndefined()
  })

  it('is a term for each, of one person unless it says more', () => {
    expect(termsOf([{ id: 'a' }, { id: 'b', approvers: ['x', 'y'], quorum: 2 }])).toEqual([
      { rule: 'a', quorum: 1 },
      { rule: 'b', quorum: 2, approvers: ['x', 'y'] },
    ])
  })
})

const vote = (by: string, more: Partial<Vote> = {}): Vote => ({
  by,
  at: 0,
  approve: true,
  rules: ['a'],
  digest: 'd',
  ...more,
})

describe('countsFor', () => {
  const question = { terms: [{ rule: 'a', quorum: 2 }], requester: ['bot'], votes: [] as Vote[], digest: 'd' }

  it('takes what somebody says once, of these arguments', () => {
    const said = (votes: Vote[], approve = true) => countsFor({ ...question, votes }, { by: 'ann', approve })
    expect(said([])).toEqual(['a'])
    expect(said([vote('ann')])).toBe('voted')
    expect(said([vote('slack:Ann')])).toBe('voted')
    expect(said([vote('bob')])).toEqual(['a'])
    // Of other arguments, or the other way round, it is another word.
    expect(said([vote('ann', { digest: 'e' })])).toEqual(['a'])
    expect(said([vote('ann')], false)).toEqual(['a'])
    expect(said([vote('ann', { approve: false })])).toEqual(['a'])
    expect(said([vote('bob', { digest: 'e' }), vote('bob')])).toEqual(['a'])
  })

  it('counts for the rules that name them, and for those that name nobody', () => {
    const terms = [
      { rule: 'a', quorum: 1, approvers: ['ann'] },
      { rule: 'b', quorum: 1, approvers: ['slack:S1'] },
      { rule: 'c', quorum: 1 },
    ]
    const of = (by: string, groups: string[] = []) => countsFor({ ...question, terms }, { by, groups, approve: true })
    expect(of('ann')).toEqual(['a', 'c'])
    expect(of('webhook:ann')).toEqual(['a', 'c'])
    expect(of('bob', ['slack:S1'])).toEqual(['b', 'c'])
    expect(of('bob', ['S1'])).toEqual(['c'])
    expect(of('bot')).toBe('self-approval')
    expect(countsFor({ ...question, terms: terms.slice(0, 2) }, { by: 'eve', approve: false })).toBe('not-approver')
  })
})

describe('tally', () => {
  const terms = [
    { rule: 'a', quorum: 2 },
    { rule: 'b', quorum: 1 },
  ]
  const of = (...votes: Vote[]) => tally({ terms, votes, digest: 'd' })

  it('is a yes when every rule has its own number of people', () => {
    const both = { rules: ['a', 'b'] }
    expect(of()).toBeUndefined()
    expect(of(vote('x', both))).toBeUndefined()
    expect(of(vote('x', both), vote('y'))).toBe('approved')
    expect(of(vote('x', both), vote('slack:X', both))).toBeUndefined()
    expect(of(vote('x'), vote('y'), vote('z'))).toBeUndefined()
    expect(of(vote('x', both), vote('y', { ...both, digest: 'e' }))).toBeUndefined()
  })

  it('is a no as soon as one says so, of these arguments', () => {
    expect(of(vote('x'), vote('y', { approve: false }))).toBe('denied')
    expect(of(vote('x', { approve: false, digest: 'e' }))).toBeUndefined()
  })
})
