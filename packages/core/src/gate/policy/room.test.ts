import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compilePolicy } from './compile.ts'
import type { Condition, Policy, PolicyVerdict, Rule, Subject } from './policy.ts'
import { type Caller, leavesRoom } from './room.ts'

const tool = {
  name: 'pay',
  framework: 'core',
  readOnly: false,
  destructive: true,
  idempotent: false,
  openWorld: true,
  labels: { team: 'a' },
}
const session = { id: 's', agent: 'bot', tenant: 'acme', scopes: ['read'], attributes: { level: 2 }, depth: 0 }
const caller: Caller = { session, tool, now: Date.parse('2026-01-05T12:00:00Z') }

function room(fallback: PolicyVerdict, ...rules: Partial<Rule>[]): boolean {
  const named = rules.map((rule, index) => ({ id: `rule-${index}`, ...rule }) as Rule)
  return leavesRoom(compilePolicy({ version: 1, ...defaults(fallback), rules: named }), caller)
}

function defaults(fallback: PolicyVerdict): Pick<Policy, 'default' | 'allowByDefault'> {
  return fallback === 'allow' ? { default: 'allow', allowByDefault: true } : { default: fallback }
}

describe('room that is left for some call', () => {
  it('is what the default leaves, where no rule is about the tool', () => {
    expect([room('deny'), room('ask'), room('allow')]).toEqual([false, true, true])
    expect(room('deny', { tools: 'other', then: 'allow' })).toBe(false)
    expect(room('deny', { agents: 'other', then: 'allow' })).toBe(false)
    expect(room('deny', { tenants: 'acme', then: 'allow' })).toBe(true)
  })

  it('is none when a rule denies whatever the arguments are', () => {
    expect(room('allow', { then: 'deny' })).toBe(false)
    expect(room('allow', { then: 'deny' }, { then: 'allow' })).toBe(false)
    expect(room('allow', { tools: 'pa*', agents: ['bot'], then: 'deny' })).toBe(false)
    expect(room('allow', { when: { 'session.attributes.level': { lt: 3 } }, then: 'deny' })).toBe(false)
    expect(room('allow', { when: { 'session.attributes.level': { lt: 2 } }, then: 'deny' })).toBe(true)
    expect(room('allow', { unless: { 'tool.readOnly': true }, then: 'deny' })).toBe(false)
    expect(room('allow', { when: { 'time.hour': { gte: 12 } }, then: 'deny' })).toBe(false)
    expect(room('allow', { when: { 'time.hour': { gt: 12 } }, then: 'deny' })).toBe(true)
  })

  it('is none when an error denies: the attribute is of another type than the rule is written for', () => {
    expect(room('allow', { when: { 'session.attributes.level': 'high' }, then: 'deny' })).toBe(false)
    expect(room('deny', { when: { 'session.attributes.level': 'high' }, then: 'allow' })).toBe(false)
    expect(room('deny', { when: { 'session.attributes.level': 'high' }, then: 'ask' })).toBe(true)
    // Absent is no error.
    expect(room('allow', { when: { 'session.attributes.rank': 'high' }, then: 'deny' })).toBe(true)
  })

  it('may be anything where the arguments have a say', () => {
    expect(room('allow', { when: { 'args.amount': { gt: 5 } }, then: 'deny' })).toBe(true)
    expect(room('deny', { when: { 'args.amount': { lte: 5 } }, then: 'allow' })).toBe(true)
    expect(room('deny', { when: { 'args.to': { every: { startsWith: 'a' } } }, then: 'ask' })).toBe(true)
    expect(room('deny', { when: { 'session.agent': { eq: { path: 'args.agent' } } }, then: 'allow' })).toBe(true)
    expect(room('deny', { when: { 'session.scopes': { some: { eq: { path: 'args.as' } } } }, then: 'allow' })).toBe(
      true,
    )
    expect(room('allow', { when: () => true, then: 'deny' })).toBe(true)
    expect(room('deny', { when: () => false, then: 'allow' })).toBe(true)
  })

  it('is none where the rest of a condition settles it, whatever the arguments are', () => {
    const other = { 'session.agent': 'other' }
    expect(room('deny', { when: { ...other, 'args.amount': { lte: 5 } }, then: 'allow' })).toBe(false)
    expect(room('deny', { when: { any: [other, { 'args.amount': 5 }] }, then: 'allow' })).toBe(true)
    expect(room('allow', { when: { any: [{ not: other }, { 'args.amount': 5 }] }, then: 'deny' })).toBe(false)
    expect(room('allow', { when: { all: [{ not: other }, { 'args.amount': 5 }] }, then: 'deny' })).toBe(true)
    expect(room('deny', { when: { 'args.amount': 5 }, unless: { 'session.agent': 'bot' }, then: 'allow' })).toBe(false)
    expect(room('deny', { when: { all: [other, () => true] }, then: 'allow' })).toBe(false)
  })
})

describe('whatever the policy', () => {
  const scalar = fc.constantFrom<unknown>(1, 2, 3, 'a', 'b', true, null)
  const path = fc.constantFrom(
    'args.a',
    'args.b.c',
    'args.list[0]',
    'session.attributes.level',
    'session.attributes.team',
    'session.attributes.list',
    'session.agent',
    'tool.labels.team',
  )
  const listPath = fc.constantFrom('args.list', 'session.attributes.list', 'session.scopes')
  const test = fc.oneof(
    fc.record({ eq: scalar }),
    fc.record({ ne: scalar }),
    fc.record({ gt: fc.constantFrom(1, 2, 'a') }),
    fc.record({ in: fc.array(scalar, { minLength: 1, maxLength: 3 }) }),
    fc.record({ exists: fc.boolean() }),
    fc.record({ eq: fc.record({ path }) }),
  )
  const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.tuple(path, test).map(([at, tested]) => ({ [at]: tested }) as Condition),
      fc
        .tuple(listPath, fc.constantFrom('every', 'some'), test)
        .map(([at, mode, tested]) => ({ [at]: { [mode]: tested } }) as Condition),
      fc.constantFrom<Condition>(
        ({ args }) => (args as { a?: unknown })?.a === 1,
        ({ session: { agent } }) => agent === 'a',
      ),
      fc.array(tie('condition'), { minLength: 1, maxLength: 3 }).map((all) => ({ all }) as Condition),
      fc.array(tie('condition'), { minLength: 1, maxLength: 3 }).map((any) => ({ any }) as Condition),
      tie('condition').map((not) => ({ not }) as Condition),
    ),
  }))
  const rule = fc.record(
    {
      then: fc.constantFrom<PolicyVerdict>('allow', 'ask', 'deny'),
      agents: fc.constantFrom('a', 'b', '*'),
      when: condition,
      unless: condition,
    },
    { requiredKeys: ['then'] },
  )
  const policy = fc
    .tuple(fc.constantFrom<PolicyVerdict>('allow', 'ask', 'deny'), fc.array(rule, { maxLength: 4 }))
    .map(([fallback, rules]): unknown => ({
      version: 1,
      ...defaults(fallback),
      rules: rules.map((one, index) => ({ id: `rule-${index}`, ...one })),
    }))
  const attributes = fc.record(
    { level: scalar, team: scalar, list: fc.oneof(fc.array(scalar, { maxLength: 2 }), scalar) },
    { requiredKeys: [] },
  )
  const args = fc.record(
    {
      a: scalar,
      b: fc.oneof(scalar, fc.record({ c: scalar })),
      list: fc.oneof(fc.array(scalar, { maxLength: 3 }), scalar),
    },
    { requiredKeys: [] },
  )
  const callers = fc
    .tuple(fc.constantFrom('a', 'b'), attributes)
    .map(([agent, given]): Caller => ({ ...caller, session: { ...session, agent, attributes: given } }))

  /** Documents that the loader refuses (a test that can't be made of a path) are no policies. */
  function compiled(document: unknown) {
    try {
      return compilePolicy(document)
    } catch {
      return fc.pre(false) as never
    }
  }

  it('hides no tool of which some call would be allowed or asked about', () => {
    let hidden = 0
    let met = 0
    fc.assert(
      fc.property(policy, callers, fc.array(args, { minLength: 8, maxLength: 8 }), (document, who, calls) => {
        const loaded = compiled(document)
        met++
        if (leavesRoom(loaded, who)) return
        hidden++
        for (const one of calls) {
          const subject: Subject = { ...who, args: one }
          expect(loaded.forTool('pay').judge(subject).verdict).toBe('deny')
        }
      }),
      { numRuns: 1_500 },
    )
    expect(hidden).toBeGreaterThan(met / 15)
  })

  it('shows no tool whose calls are all denied, where no condition reads the arguments', () => {
    let shown = 0
    fc.assert(
      fc.property(policy, callers, (document, who) => {
        fc.pre(!JSON.stringify(document, (_, one) => (typeof one === 'function' ? 'args' : one)).includes('args'))
        const { verdict } = compiled(document)
          .forTool('pay')
          .judge({ ...who, args: {} })
        expect(leavesRoom(compiled(document), who)).toBe(verdict !== 'deny')
        shown++
      }),
      { numRuns: 600 },
    )
    expect(shown).toBeGreaterThanOrEqual(100)
  })
})
