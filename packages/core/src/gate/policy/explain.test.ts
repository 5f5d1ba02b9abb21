import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compilePolicy } from './compile.ts'
import { type ExplainedPart, explainPolicy, formatExplanation } from './explain.ts'
import type { Policy, Rule, Subject } from './policy.ts'

interface Call {
  readonly args?: unknown
  readonly session?: object
  readonly tool?: object
}

function subjectOf({ args = {}, session = {}, tool = {} }: Call = {}): Subject {
  return {
    args,
    now: Date.UTC(2026, 10, 23, 12),
    session: { id: 's', agent: 'bot', tenant: 'acme', scopes: [], attributes: {}, depth: 0, ...session },
    tool: {
      name: 'refund',
      framework: 'core',
      readOnly: false,
      destructive: true,
      idempotent: false,
      openWorld: true,
      labels: {},
      ...tool,
    },
  }
}

function explain(rules: readonly Partial<Rule>[], call?: Call, policy: Partial<Policy> = {}) {
  const document = {
    default: 'deny',
    ...policy,
    rules: rules.map((rule, i) => ({ id: `r${i}`, then: 'allow', ...rule })),
  }
  return explainPolicy(compilePolicy(document), subjectOf(call))
}

function lines({ says, truth, parts }: ExplainedPart, depth = 0): string[] {
  return [`${' '.repeat(depth)}${truth}: ${says}`, ...parts.flatMap((part) => lines(part, depth + 1))]
}

const whenOf = (rule: Partial<Rule>, call?: Call) => lines(explain([rule], call).rules[0]?.when as ExplainedPart)

describe('every rule', () => {
  it('is there, and says what it is not for', () => {
    const rules = [{ tools: 'x' }, { agents: 'a*' }, { tenants: 'b', tools: ['y', 'z*'] }, { tools: 'ref*' }]
    expect(explain(rules).rules).toEqual([
      { id: 'r0', then: 'allow', applies: false, notFor: ['tool'], matches: false },
      { id: 'r1', then: 'allow', applies: false, notFor: ['agent'], matches: false },
      { id: 'r2', then: 'allow', applies: false, notFor: ['tool', 'tenant'], matches: false },
      { id: 'r3', then: 'allow', applies: true, notFor: [], matches: true },
    ])
  })

  it('matches on an error when it denies or asks, not when it allows', () => {
    const when = { 'args.amount': { gt: 5 } }
    const rules = [{ when }, { when, then: 'ask' as const }, { when, then: 'deny' as const }]
    const { rules: found, ...verdict } = explain(rules, { args: { amount: 'much' } })
    expect(found.map(({ matches }) => matches)).toEqual([false, true, true])
    expect(verdict).toEqual({ verdict: 'deny', rule: 'r2', reason: 'rule `r2` denies this call' })
  })
})

describe('every part', () => {
  it('has its place, its words and its truth', () => {
    const rule = { when: { 'args.amount': { gt: 5, lte: 100 }, 'args.note': 'x' }, unless: { 'args.dry': true } }
    const [found] = explain([rule], { args: { amount: 500, dry: 'yes' } }).rules
    expect(found?.when).toEqual({
      at: 'rules.0.when',
      says: 'all of',
      truth: 'false',
      parts: [
        {
          at: 'rules.0.when.args.amount',
          says: 'all of',
          truth: 'false',
          parts: [
            { at: 'rules.0.when.args.amount.gt', says: 'args.amount gt 5', truth: 'true', parts: [] },
            { at: 'rules.0.when.args.amount.lte', says: 'args.amount lte 100', truth: 'false', parts: [] },
          ],
        },
        { at: 'rules.0.when.args.note', says: 'args.note eq "x"', truth: 'absent', parts: [] },
      ],
    })
    expect(found?.unless).toEqual({
      at: 'rules.0.unless.args.dry',
      says: 'args.dry eq true',
      truth: 'error',
      parts: [],
    })
  })

  it.each<[string, Partial<Rule>, Call, string[]]>([
    [
      'another path',
      { when: { 'args.to': { ne: { path: 'session.attributes.me' } } } },
      { args: { to: 'a' }, session: { attributes: { me: 'b' } } },
      ['true: args.to ne session.attributes.me'],
    ],
    ['a size', { when: { 'args.to': { size: { lt: 2 } } } }, { args: { to: [1, 2] } }, ['false: size of args.to lt 2']],
    [
      'presence',
      { when: { any: [{ 'args.a': { exists: false } }, { 'args.b': { exists: true } }] } },
      {},
      ['true: any of', ' true: args.a is absent', ' false: args.b exists'],
    ],
    ['a negation', { when: { not: { 'args.a': 1 } } }, {}, ['error: not', ' absent: args.a eq 1']],
    [
      'the item that fails `every`',
      { when: { 'args.to': { every: { endsWith: '@a' } } } },
      { args: { to: ['x@a', 'x@b'] } },
      ['false: every item of args.to', ' false: item endsWith "@a"'],
    ],
    [
      'the item that passes `some`',
      { when: { 'args.to': { some: { 'item.k': { some: { eq: 1 } } } } } },
      { args: { to: [{}, { k: [2, 1] }] } },
      ['true: some item of args.to', ' true: some item of item.k', '  true: item eq 1'],
    ],
    [
      'a list without items',
      { when: { 'args.to': { every: { eq: 1 } } } },
      { args: { to: [] } },
      ['true: every item of args.to'],
    ],
    [
      'what is no list',
      { when: { 'args.to': { every: { eq: 1 } } } },
      { args: { to: 'x' } },
      ['error: every item of args.to'],
    ],
    ['what is not there', { when: { 'args.to': { some: { eq: 1 } } } }, {}, ['absent: some item of args.to']],
  ])('shows %s', (_, rule, call, expected) => {
    expect(whenOf(rule, call)).toEqual(expected)
  })

  it('says which item it was', () => {
    const [rule] = explain([{ when: { 'args.to': { every: { eq: 1 } } } }], { args: { to: [1, 'x', 2] } }).rules
    expect(rule?.when).toMatchObject({ truth: 'false', item: 2 })
  })

  it('shows a function as one, whatever comes of it', () => {
    const fail = () => {
      throw new Error('secret')
    }
    expect(
      explain([{ when: fail }, { when: () => true }], {}, { version: 1 }).rules.map(({ when }) => when?.truth),
    ).toEqual(['error', 'true'])
  })
})

it('shows no value of the call', () => {
  const call = {
    args: { amount: 'HIDDEN', to: ['HIDDEN', { k: 'HIDDEN' }] },
    session: { attributes: { me: 'HIDDEN' } },
  }
  const when = {
    any: [{ 'args.amount': { gt: 5 } }, { 'args.to': { some: { eq: { path: 'session.attributes.me' } } } }],
  }
  const explanation = explain([{ when, unless: { 'args.to': { size: 9 } } }], call)
  expect(JSON.stringify(explanation) + formatExplanation(explanation)).not.toContain('HIDDEN')
})

it('reads in a terminal', () => {
  const rules: Partial<Rule>[] = [
    { id: 'small', tools: 'refund', when: { 'args.amount': { gt: 0, lte: 100 } }, then: 'allow' },
    { id: 'mail', tools: 'mail', then: 'deny' },
    {
      id: 'items',
      when: { 'args.to': { every: { startsWith: 'a' } } },
      unless: { 'args.dry': true },
      then: 'ask',
      because: 'odd\u001b[2J\u202eitems',
    },
  ]
  expect(formatExplanation(explain(rules, { args: { amount: 500, to: ['a', 7], dry: false } }))).toBe(`\
ask, by the rule items: odd [2J items
  small (allow) does not match
    when
      false   all of
        true    args.amount gt 0
        false   args.amount lte 100
  items (ask) matches
    when
      error   every item of args.to, as item 1 shows
        error   item startsWith "a"
    unless
      false   args.dry eq true
  mail (deny) is not for this tool`)
  expect(formatExplanation(explain([]))).toBe('deny, by the default: no rule matches, and the default is `deny`')
})

it('agrees with judging, and its rules with its verdict', () => {
  const value = fc.constantFrom<any>(0, 5, '5', null, [], [5], ['a', 5], { x: 5 })
  const args = fc.record({ a: value, b: value }, { requiredKeys: [] })
  const leaf = fc
    .tuple(
      fc.constantFrom('args.a', 'args.b', 'args.b.x'),
      fc.constantFrom<object>(
        { gt: 1 },
        { eq: '5' },
        { exists: true },
        { some: { eq: 5 } },
        { every: { gt: 1 } },
        { not: { eq: 5 } },
        { size: 1 },
      ),
    )
    .map((pair) => Object.fromEntries([pair]))
  const condition = fc.oneof(
    leaf,
    fc.record({ not: leaf }),
    fc.record({ any: fc.tuple(leaf, leaf) }),
    fc.record({ all: fc.tuple(leaf, leaf) }),
  )
  const rule = fc.record(
    {
      then: fc.constantFrom<Rule['then']>('allow', 'ask', 'deny'),
      when: condition,
      unless: condition,
      tools: fc.constantFrom('refund', 'other', '*'),
    },
    { requiredKeys: ['then'] },
  )
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 4 }), args, (rules, args) => {
      const compiled = compilePolicy({ default: 'deny', rules: rules.map((one, i) => ({ id: `r${i}`, ...one })) })
      const subject = subjectOf({ args })
      const { rules: explained, ...verdict } = explainPolicy(compiled, subject)
      const { asking, ...judged } = compiled.forTool('refund').judge(subject)
      expect(verdict).toEqual(judged)
      const matching = explained.filter(({ matches }) => matches)
      const strictest = (['deny', 'ask', 'allow'] as const).find((then) => matching.some((one) => one.then === then))
      expect(verdict.verdict).toBe(strictest ?? 'deny')
      if (verdict.verdict === 'ask')
        expect(asking.map(({ id }) => id)).toEqual(matching.filter(({ then }) => then === 'ask').map(({ id }) => id))
      for (const { when, unless, then, matches, applies } of explained) {
        if (!applies) continue
        // What the parts say is what the rule comes to: `unless` is turned round, and the lesser of the two counts.
        const order = ['false', 'absent', 'error', 'true']
        const turned = { true: 'false', false: 'true', absent: 'error', error: 'error' }[unless?.truth ?? 'false']
        const least = Math.min(order.indexOf(when?.truth ?? 'true'), order.indexOf(turned))
        expect(matches).toBe(least >= (then === 'allow' ? 3 : 2))
      }
    }),
    { numRuns: 1_000 },
  )
})
