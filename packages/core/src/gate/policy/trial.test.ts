import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../errors.ts'
import type { Policy } from './policy.ts'
import { type PolicyTest, testPolicy } from './trial.ts'

const policy: Policy = {
  default: 'deny',
  zone: 'Europe/Berlin',
  rules: [
    { id: 'small', tools: 'refund', when: { 'args.amount': { lte: 100 } }, then: 'allow' },
    {
      id: 'large',
      tools: 'refund',
      when: { 'args.amount': { gt: 100 } },
      then: 'ask',
      because: 'large refunds need a yes',
    },
    { id: 'look', when: { 'tool.readOnly': true, 'tool.destructive': false }, then: 'allow' },
    { id: 'label', when: { 'tool.labels.area': 'lab' }, then: 'allow' },
    {
      id: 'hours',
      tools: 'open',
      when: { 'time.clock': { gte: '09:00', lt: '17:00' }, 'time.weekday': 'mon' },
      then: 'allow',
    },
    {
      id: 'who',
      tools: 'who',
      agents: 'a',
      tenants: 't',
      when: { 'session.scopes': { contains: 's' }, 'session.attributes.x.y': 1, 'session.depth': 2 },
      then: 'allow',
    },
    {
      id: 'bare',
      tools: 'bare',
      when: { args: { size: 0 }, 'session.agent': 'agent', 'session.tenant': 'default', 'tool.destructive': true },
      then: 'allow',
    },
  ],
}

const run = (...tests: PolicyTest[]) => testPolicy(policy, tests)

function refusal(tests: unknown, options?: object): ConfigError {
  try {
    testPolicy(policy, tests as PolicyTest[], options)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

describe('a call', () => {
  it.each<[string, PolicyTest]>([
    ['that needs no more than a name', { tool: 'bare', expect: 'allow' }],
    ['with arguments', { tool: 'refund', args: { amount: 100 }, expect: { verdict: 'allow', rule: 'small' } }],
    [
      'that is asked for',
      {
        tool: 'refund',
        args: { amount: 101 },
        expect: { verdict: 'ask', rule: 'large', because: 'large refunds need a yes' },
      },
    ],
    ['that no rule matches', { tool: 'refund', expect: { verdict: 'deny', rule: 'default' } }],
    [
      'of a tool that only reads, and so destroys nothing',
      { tool: { name: 'x', readOnly: true }, expect: { verdict: 'allow', rule: 'look' } },
    ],
    [
      'of a tool with labels',
      { tool: { name: 'x', labels: { area: 'lab' } }, expect: { verdict: 'allow', rule: 'label' } },
    ],
    [
      'of a session',
      { tool: 'who', agent: 'a', tenant: 't', scopes: ['s'], attributes: { x: { y: 1 } }, depth: 2, expect: 'allow' },
    ],
    ['at noon of a Monday, unless told', { tool: 'open', expect: 'allow' }],
    ['at a time, in the policy’s zone', { tool: 'open', at: '2026-11-23T15:59:00Z', expect: 'allow' }],
    ['a minute later', { tool: 'open', at: '2026-11-23T16:00:00Z', expect: 'deny' }],
    ['at a time with an offset', { tool: 'open', at: '2026-11-23t18:59:59.999+03:00', expect: 'allow' }],
    ['whose arguments hold a date', { tool: 'refund', args: { amount: 5, on: new Date(0) }, expect: 'allow' }],
  ])('%s', (_, test) => {
    expect(run(test)).toMatchObject({ ok: true, results: [{ ok: true }] })
  })

  it('is judged at the time of the table, unless it names its own', () => {
    const tests: PolicyTest[] = [
      { tool: 'open', expect: 'deny' },
      { tool: 'open', at: '2026-11-23T09:00:00Z', expect: 'allow' },
    ]
    expect(testPolicy(policy, tests, { at: '2026-11-24T09:00:00Z' }).ok).toBe(true)
  })
})

describe('a report', () => {
  const tests: PolicyTest[] = [
    { tool: 'refund', args: { amount: 5 }, expect: 'allow' },
    { name: 'too large', tool: 'refund', args: { amount: 500 }, expect: 'deny' },
    {
      name: 'by another rule\u001b[2J',
      tool: 'refund',
      args: { amount: 5 },
      expect: { verdict: 'allow', rule: 'look' },
    },
    {
      name: 'for another reason',
      tool: 'refund',
      args: { amount: 500 },
      expect: { verdict: 'ask', because: 'why not' },
    },
  ]

  it('says of each what was expected and what came', () => {
    const { ok, results } = run(...tests)
    expect(ok).toBe(false)
    expect(results.map(({ ok }) => ok)).toEqual([true, false, false, false])
    expect(results[0]).toEqual({
      name: '1, refund',
      ok: true,
      expected: { verdict: 'allow' },
      got: { verdict: 'allow', rule: 'small', reason: 'rule `small` allows this call' },
    })
  })

  it('reads in a terminal', () => {
    expect(String(run(...tests))).toBe(`\
not ok  too large: expected deny, got ask by large (large refunds need a yes)
not ok  by another rule [2J: expected allow by look, got allow by small (rule \`small\` allows this call)
not ok  for another reason: expected ask (why not), got ask by large (large refunds need a yes)
4 tests, 3 not as expected`)
    expect(String(run(...tests.slice(0, 1)))).toBe('1 test, all as expected')
  })
})

describe('what is wrong', () => {
  const fine = { tool: 'x', expect: 'deny' }

  it.each<[string, unknown, string, string?]>([
    ['no list', {}, 'tests'],
    ['no tests, which would prove nothing', [], 'tests'],
    ['no test', [fine, null], 'tests.1'],
    ['a misspelt field', [{ ...fine, agrs: {} }], 'tests.0.agrs', '`args`'],
    ['a misspelt fact', [{ ...fine, tool: { name: 'x', readonly: true } }], 'tests.0.tool.readonly', '`readOnly`'],
    [
      'a misspelt expectation',
      [{ ...fine, expect: { verdict: 'deny', rules: 'x' } }],
      'tests.0.expect.rules',
      '`rule`',
    ],
    ['a misspelt verdict', [{ ...fine, expect: 'dney' }], 'tests.0.expect', '`deny`'],
    ['no verdict', [{ tool: 'x' }], 'tests.0.expect'],
    ['no verdict inside', [{ tool: 'x', expect: {} }], 'tests.0.expect.verdict'],
    ['no tool', [{ expect: 'deny' }], 'tests.0.tool'],
    ['a tool without a name', [{ ...fine, tool: { readOnly: true } }], 'tests.0.tool.name'],
    ['a fact of the wrong kind', [{ ...fine, tool: { name: 'x', readOnly: 'yes' } }], 'tests.0.tool.readOnly'],
    ['labels that are no map', [{ ...fine, tool: { name: 'x', labels: ['a'] } }], 'tests.0.tool.labels'],
    ['an agent that is no text', [{ ...fine, agent: 5 }], 'tests.0.agent'],
    ['scopes that are no list', [{ ...fine, scopes: 'read' }], 'tests.0.scopes'],
    ['attributes that are no map', [{ ...fine, attributes: [] }], 'tests.0.attributes'],
    ['a depth below 0', [{ ...fine, depth: -1 }], 'tests.0.depth'],
    ['a time that is none', [{ ...fine, at: 'noon' }], 'tests.0.at'],
    ['a time without an offset', [{ ...fine, at: '2026-11-23T12:00:00' }], 'tests.0.at'],
    ['a day that does not exist', [{ ...fine, at: '2026-02-30T12:00:00Z' }], 'tests.0.at'],
    ['an hour that does not exist', [{ ...fine, at: '2026-02-03T24:00:00Z' }], 'tests.0.at'],
    ['an offset that does not exist', [{ ...fine, at: '2026-02-03T12:00:00+25:00' }], 'tests.0.at'],
    ['a number for a time', [{ ...fine, at: 0 }], 'tests.0.at'],
    ['arguments that no call could have', [{ ...fine, args: { f: () => 1 } }], 'tests.0.args'],
  ])('%s', (_, tests, path, hint = '') => {
    const error = refusal(tests)
    expect(error).toMatchObject({ code: 'invalid-option', path })
    expect(error.message).toContain(hint)
  })

  it('the time of the table, or an option', () => {
    expect(refusal([fine], { at: 'noon' }).path).toBe('at')
    expect(refusal([fine], { att: 'noon' }).path).toBe('att')
  })

  it('the policy', () => {
    expect(() => testPolicy({ ...policy, default: 'no' } as never, [fine] as never)).toThrow(ConfigError)
  })
})

describe('what is told of a test that can not be meant', () => {
  const told = (test: object | unknown[], options: object = {}) => {
    try {
      testPolicy(
        policy,
        (Array.isArray(test) ? test : [{ tool: 'refund', expect: 'deny', ...test }]) as PolicyTest[],
        options,
      )
    } catch (error) {
      if (ConfigError.isInstance(error)) return `${error.path}: ${error.message}`
      throw error
    }
    throw new Error('nothing was refused')
  }

  it.each<[object, string]>([
    [[], 'tests: `tests` is a list of at least one test'],
    [{ arg: {} }, 'tests.0.arg: `arg` is not among the fields of a policy test; did you mean `args`?'],
    [{ name: '' }, 'tests.0.name: `tests.0.name` is a text'],
    [{ agent: 7 }, 'tests.0.agent: `tests.0.agent` is a text'],
    [{ tenant: '' }, 'tests.0.tenant: `tests.0.tenant` is a text'],
    [{ scopes: 'a' }, 'tests.0.scopes: `tests.0.scopes` is a list of scopes'],
    [{ scopes: ['a', 7] }, 'tests.0.scopes: `tests.0.scopes` is a list of scopes'],
    [{ attributes: [] }, 'tests.0.attributes: `tests.0.attributes` is a map'],
    [{ attributes: null }, 'tests.0.attributes: `tests.0.attributes` is a map'],
    [{ attributes: { a: () => {} } }, 'tests.0.attributes: `tests.0.attributes` is plain data'],
    [{ depth: -1 }, 'tests.0.depth: `tests.0.depth` is a whole number, at least 0'],
    [{ depth: 0.5 }, 'tests.0.depth: `tests.0.depth` is a whole number, at least 0'],
    [{ tool: '' }, 'tests.0.tool: `tests.0.tool` is the name of a tool, or a map with its `name`'],
    [{ tool: { framework: 'x' } }, 'tests.0.tool.name: `tests.0.tool.name` is the name of a tool'],
    [{ tool: { name: 't', framework: 7 } }, 'tests.0.tool.framework: `tests.0.tool.framework` is a text'],
    [{ tool: { name: 't', readOnly: 1 } }, 'tests.0.tool.readOnly: `tests.0.tool.readOnly` is `true` or `false`'],
    [{ tool: { name: 't', labels: [] } }, 'tests.0.tool.labels: `tests.0.tool.labels` is a map'],
    [
      { tool: { name: 't', readonly: true } },
      'tests.0.tool.readonly: `readonly` is not among the fields of `tool`; did you mean `readOnly`?',
    ],
    [{ expect: 'alow' }, 'tests.0.expect: `tests.0.expect` is `allow`, `ask` or `deny`; did you mean `allow`?'],
    [{ expect: 7 }, 'tests.0.expect: `tests.0.expect` is `allow`, `ask` or `deny`'],
    [{ expect: { rule: 'r' } }, 'tests.0.expect.verdict: `tests.0.expect.verdict` is `allow`, `ask` or `deny`'],
    [{ expect: { verdict: 'deny', rule: 7 } }, 'tests.0.expect.rule: `tests.0.expect.rule` is a text'],
    [{ expect: { verdict: 'deny', because: '' } }, 'tests.0.expect.because: `tests.0.expect.because` is a text'],
    [
      { expect: { verdict: 'deny', why: 'x' } },
      'tests.0.expect.why: `why` is not among the fields of `expect`; known are `verdict`, `rule`, `because`',
    ],
    ...[
      '2026-11-23',
      '2026-02-30T07:43:00Z',
      '2026-11-23T25:43:00Z',
      'x2026-11-23T07:43:00Z',
      '2026-11-23T07:43:00Zx',
      7,
    ].map((at): [object, string] => [
      { at },
      'tests.0.at: `tests.0.at` is a time such as `2026-11-23T07:43:00Z` or `2026-11-23T07:43:00+01:00`',
    ]),
  ])('%j', (test, message) => {
    expect(told(test)).toBe(message)
  })

  it('and of options, and of arguments that no call can have', () => {
    expect(told({}, { att: 1 })).toBe('att: `att` is not among the options of `testPolicy`; did you mean `at`?')
    expect(told({}, { at: 'noon' })).toContain('at: `at` is a time such as')
    expect(told({ args: { a: () => {} } })).toMatch(/^tests\.0\.args: `tests\.0\.args`: ./)
  })
})
