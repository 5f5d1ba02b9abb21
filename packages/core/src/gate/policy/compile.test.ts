import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { compilePolicy } from './compile.ts'
import type { Decision, Policy, Rule, Subject } from './policy.ts'
import { ABSENT, ERROR, FALSE, TRUE } from './tree.ts'

const call = (
  args: unknown = {},
  more: { agent?: string; tenant?: string; tool?: string; now?: number } = {},
): Subject => ({
  args,
  session: { id: 's', agent: more.agent ?? 'bot', tenant: more.tenant ?? 'acme', scopes: [], attributes: {}, depth: 0 },
  tool: {
    name: more.tool ?? 'charge',
    framework: 'core',
    readOnly: false,
    destructive: true,
    idempotent: false,
    openWorld: true,
    labels: {},
  },
  now: more.now ?? 0,
})

function judge(rules: readonly Rule[], subject: Subject, more: Partial<Policy> = {}): Decision {
  return compilePolicy({ default: 'deny', rules, ...more })
    .forTool(subject.tool.name)
    .judge(subject)
}

describe('judging', () => {
  const deny: Rule = {
    id: 'never',
    tools: 'charge',
    when: { 'args.amount': { gt: 100 } },
    then: 'deny',
    because: 'Too much.',
  }
  const ask: Rule = { id: 'ask-first', tools: 'charge', when: { 'args.amount': { gt: 50 } }, then: 'ask' }
  const also: Rule = { id: 'ask-too', when: { 'args.to': 'eve' }, then: 'ask', because: 'Nobody knows her.' }
  const allow: Rule = { id: 'pay', tools: ['charge', 'refund'], when: { 'args.amount': { gt: 0 } }, then: 'allow' }
  const rules = [allow, also, ask, deny]

  test('a rule that denies wins over one that asks, and that over one that allows', () => {
    expect(judge(rules, call({ amount: 101, to: 'eve' }))).toEqual({
      verdict: 'deny',
      rule: 'never',
      reason: 'Too much.',
      asking: [],
    })
    expect(judge(rules, call({ amount: 51 }))).toEqual({
      verdict: 'ask',
      rule: 'ask-first',
      reason: 'rule `ask-first` asks for approval of this call',
      asking: [ask],
    })
    expect(judge(rules, call({ amount: 1 }))).toEqual({
      verdict: 'allow',
      rule: 'pay',
      reason: 'rule `pay` allows this call',
      asking: [],
    })
  })

  test('every rule that asks is named, in the order of the document', () => {
    expect(judge(rules, call({ amount: 51, to: 'eve' }))).toEqual({
      verdict: 'ask',
      rule: 'ask-too',
      reason: 'Nobody knows her.',
      asking: [also, ask],
    })
  })

  test('what no rule matches is the default', () => {
    expect(judge(rules, call({ amount: 0 }))).toEqual({
      verdict: 'deny',
      rule: 'default',
      reason: 'no rule matches, and the default is `deny`',
      asking: [],
    })
    expect(judge([], call(), { default: 'ask' })).toMatchObject({ verdict: 'ask', rule: 'default', asking: [] })
    expect(judge([], call(), { default: 'allow', allowByDefault: true })).toMatchObject({ verdict: 'allow' })
  })

  test('an error denies and asks, and never allows', () => {
    for (const amount of ['500', null, Number.NaN, [500], {}]) {
      expect(judge([deny, allow], call({ amount })).verdict).toBe('deny')
      expect(judge([ask, allow], call({ amount })).verdict).toBe('ask')
      expect(judge([allow], call({ amount })).rule).toBe('default')
    }
  })

  test('what is absent matches nothing', () => {
    expect(judge([deny, ask, allow], call({})).rule).toBe('default')
  })

  test('`unless` takes calls out of a rule only when it is sure to hold', () => {
    const keep: Rule = { id: 'keep', unless: { 'args.to': 'bob' }, then: 'deny' }
    const open = { default: 'allow', allowByDefault: true } as const
    expect(judge([keep], call({ to: 'bob' }), open).verdict).toBe('allow')
    expect(judge([keep], call({ to: 'eve' }), open).verdict).toBe('deny')
    expect(judge([keep], call({ to: 5 }), open).verdict).toBe('deny')
    expect(judge([keep], call({}), open).verdict).toBe('deny')
    const give: Rule = { id: 'give', unless: { 'args.to': 'eve' }, then: 'allow' }
    expect(judge([give], call({ to: 'bob' })).verdict).toBe('allow')
    expect(judge([give], call({ to: 'eve' })).verdict).toBe('deny')
    expect(judge([give], call({ to: 5 })).verdict).toBe('deny')
    expect(judge([give], call({})).verdict).toBe('deny')
  })

  test('a rule is for the agents and tenants it names', () => {
    const rule = (more: Partial<Rule>): Rule[] => [{ id: 'a', then: 'allow', ...more }]
    const verdict = (more: Partial<Rule>, of: Parameters<typeof call>[1]) => judge(rule(more), call({}, of)).verdict
    expect(verdict({ agents: 'bot' }, {})).toBe('allow')
    expect(verdict({ agents: 'bot' }, { agent: 'bot2' })).toBe('deny')
    expect(verdict({ agents: 'bot*' }, { agent: 'bot2' })).toBe('allow')
    expect(verdict({ agents: ['x', 'bot'] }, {})).toBe('allow')
    expect(verdict({ agents: ['x', 'y'] }, {})).toBe('deny')
    expect(verdict({ tenants: 'acme' }, {})).toBe('allow')
    expect(verdict({ tenants: 'acme' }, { tenant: 'ACME' })).toBe('deny')
    expect(verdict({ agents: 'bot', tenants: ['x', 'ac*'] }, {})).toBe('allow')
    expect(verdict({ agents: 'bot', tenants: 'x' }, {})).toBe('deny')
    expect(verdict({ agents: 'x', tenants: 'acme' }, {})).toBe('deny')
    expect(verdict({ agents: '*', tenants: '*' }, {})).toBe('allow')
  })

  test('nothing a call holds makes it throw', () => {
    const broken = { ...call(), session: undefined, args: undefined } as unknown as Subject
    const rules: Rule[] = [
      { id: 'a', agents: 'bot', then: 'allow' },
      { id: 'b', agents: 'b*', tenants: 'acme', then: 'allow' },
      { id: 'c', when: { 'session.depth': 0 }, then: 'allow' },
    ]
    expect(judge(rules, broken).rule).toBe('default')
    expect(judge([...rules, { id: 'd', agents: 'nobody', then: 'deny' }], broken).rule).toBe('d')
    const policy = compilePolicy({ default: 'deny', rules })
    for (const rule of policy.rules) expect(() => [rule.applies(broken), rule.truth(broken)]).not.toThrow()
  })

  test('a decision can not be changed, and costs no memory', () => {
    const policy = compilePolicy({ default: 'deny', rules })
    const first = policy.forTool('charge').judge(call({ amount: 51 }))
    expect(policy.forTool('charge').judge(call({ amount: 60 }))).toBe(first)
    expect(Object.isFrozen(first) && Object.isFrozen(first.asking) && Object.isFrozen(first.asking[0])).toBe(true)
    const both = policy.forTool('charge').judge(call({ amount: 51, to: 'eve' }))
    expect(Object.isFrozen(both) && Object.isFrozen(both.asking)).toBe(true)
  })
})

describe('the index by tool', () => {
  const rules: Rule[] = [
    { id: 'all', then: 'allow' },
    { id: 'exact', tools: 'gmail_send', then: 'allow' },
    { id: 'glob', tools: 'gmail_*', then: 'allow' },
    { id: 'both', tools: ['gmail_send', 'gmail_s*'], then: 'allow' },
    { id: 'star', tools: '*', then: 'allow' },
    { id: 'odd', tools: ['constructor', '__proto__'], then: 'allow' },
  ]
  const policy = compilePolicy({ default: 'deny', rules })
  const idsOf = (name: string) => policy.forTool(name).rules.map(({ rule }) => rule.id)

  test('gives each tool the rules that name it, once, in the order of the document', () => {
    expect(idsOf('gmail_send')).toEqual(['all', 'exact', 'glob', 'both', 'star'])
    expect(idsOf('gmail_delete')).toEqual(['all', 'glob', 'star'])
    expect(idsOf('Gmail_send')).toEqual(['all', 'star'])
    expect(idsOf('')).toEqual(['all', 'star'])
    expect(['constructor', '__proto__'].map(idsOf)).toEqual(Array(2).fill(['all', 'star', 'odd']))
  })

  test('remembers a tool, and can not be filled by made-up names', () => {
    const first = policy.forTool('gmail_send')
    expect(policy.forTool('gmail_send')).toBe(first)
    for (let index = 0; index < 5_000; index++) policy.forTool(`made-up-${index}`)
    // Forgotten among so many, and worked out again.
    expect(policy.forTool('gmail_send')).not.toBe(first)
    expect(idsOf('gmail_send')).toEqual(['all', 'exact', 'glob', 'both', 'star'])
  })

  test('a thousand rules cost a call no more than its own four', () => {
    const many = Array.from(
      { length: 1_000 },
      (_, index): Rule => ({ id: `r${index}`, tools: `tool${index % 250}`, then: 'allow' }),
    )
    const compiled = compilePolicy({ default: 'deny', rules: many })
    expect(compiled.forTool('tool7').rules.map(({ index }) => index)).toEqual([7, 257, 507, 757])
  })
})

describe('a compiled rule', () => {
  test('says what it comes to', () => {
    const [rule, bare] = compilePolicy({
      default: 'deny',
      rules: [
        { id: 'a', agents: 'bot', when: { 'args.x': 1 }, unless: { 'args.y': 1 }, then: 'allow' },
        { id: 'b', then: 'deny' },
      ],
    }).rules
    const truths = [{ x: 1, y: 2 }, { x: 1, y: 1 }, { x: 1 }, { y: 2 }, { x: '1', y: 2 }].map((args) =>
      rule?.truth(call(args)),
    )
    expect(truths).toEqual([TRUE, FALSE, ERROR, ABSENT, ERROR])
    expect([rule?.applies(call()), rule?.applies(call({}, { agent: 'x' }))]).toEqual([true, false])
    expect([bare?.applies(call()), bare?.truth(call())]).toEqual([true, TRUE])
    expect(rule).toMatchObject({
      index: 0,
      when: { kind: 'leaf', at: 'rules.0.when.args.x' },
      unless: { kind: 'leaf' },
    })
    expect(bare).not.toHaveProperty('when')
  })
})

describe('the time', () => {
  const office: Rule = {
    id: 'office',
    when: { 'time.weekday': { notIn: ['sat', 'sun'] }, 'time.clock': { gte: '09:00', lt: '17:00' } },
    then: 'allow',
  }

  test.each([
    [undefined, '2026-11-23T09:00:00Z', 'allow'],
    [undefined, '2026-11-23T16:59:59Z', 'allow'],
    [undefined, '2026-11-23T17:00:00Z', 'deny'],
    [undefined, '2026-11-22T12:00:00Z', 'deny'],
    ['Europe/Berlin', '2026-11-23T08:00:00Z', 'allow'],
    ['Europe/Berlin', '2026-11-23T16:00:00Z', 'deny'],
    // In summer Berlin is two hours ahead.
    ['Europe/Berlin', '2026-06-22T07:00:00Z', 'allow'],
    ['Asia/Tokyo', '2026-11-22T23:59:00Z', 'deny'],
    ['Asia/Tokyo', '2026-11-23T00:00:00Z', 'allow'],
  ] as const)('in %s at %s: %s', (zone, iso, verdict) => {
    const policy = { ...(zone && { zone }) }
    expect(judge([office], call({}, { now: Date.parse(iso) }), policy).verdict).toBe(verdict)
  })
})

describe('the hash', () => {
  const policy = { default: 'deny', name: 'p', rules: [{ then: 'deny', id: 'a' }] } as const

  test('is of the canonical document, whatever the order of its keys', () => {
    const text = '{"default":"deny","name":"p","rules":[{"id":"a","then":"deny"}]}'
    const hash = createHash('sha256').update(text).digest('hex')
    expect(compilePolicy(policy).hash).toBe(hash)
    expect(compilePolicy({ rules: [{ id: 'a', then: 'deny' }], name: 'p', default: 'deny' }).hash).toBe(hash)
  })

  test('changes with everything in the document', () => {
    const rule = policy.rules[0]
    const others = [
      { ...policy, name: 'q' },
      { ...policy, rules: [] },
      { ...policy, rules: [{ ...rule, because: 'x' }] },
      { ...policy, rules: [{ ...rule, when: { 'args.x': 1 } }] },
      { ...policy, rules: [{ ...rule, when: { 'args.x': '1' } }] },
    ]
    expect(new Set([policy, ...others].map((one) => compilePolicy(one).hash)).size).toBe(6)
  })

  test('can not see into a function, so the version stands for it', () => {
    const text = '{"default":"deny","rules":[{"id":"a","then":"deny","when":{"$function":true}}],"version":2}'
    const withFunction = { default: 'deny', version: 2, rules: [{ id: 'a', when: () => true, then: 'deny' }] }
    expect(compilePolicy(withFunction).hash).toBe(createHash('sha256').update(text).digest('hex'))
  })
})

test('a policy judges by what it was when it was compiled', () => {
  const document = {
    default: 'deny',
    rules: [{ id: 'a', tools: ['charge'], when: { 'args.x': { in: [1] } }, then: 'allow' }],
  }
  const policy = compilePolicy(document)
  document.rules[0]?.tools.push('other')
  ;(document.rules[0] as { when: unknown }).when = {}
  expect(policy.forTool('charge').judge(call({ x: 1 })).verdict).toBe('allow')
  expect(policy.forTool('other').judge(call({ x: 1 })).verdict).toBe('deny')
  expect(() => {
    ;(policy.policy.rules as Rule[]).push({ id: 'b', then: 'allow' })
  }).toThrow(TypeError)
})

test('a document that is not a policy is refused', () => {
  for (const document of [undefined, null, 'deny', [], new Map()])
    expect(() => compilePolicy(document)).toThrow(ConfigError)
})
