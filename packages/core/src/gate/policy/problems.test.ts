/** What a check says: each problem in full, as whoever writes a policy reads it. */
import { describe, expect, it, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import type { GovernedTool } from '../../governor.ts'
import { checkPolicy, type KnownTool } from './check.ts'
import { isAnchored } from './check-patterns.ts'
import { compilePolicy, compileTree } from './compile.ts'
import { LoadedPolicy } from './loaded.ts'
import { parseCondition } from './parse.ts'
import type { Condition, Rule, Subject } from './policy.ts'
import { says } from './says.ts'
import { ERROR } from './tree.ts'

const refund: KnownTool = {
  name: 'refund',
  schema: {
    type: 'object',
    properties: {
      amount: { type: 'number' },
      status: { type: 'string', enum: ['open', 'paid'] },
      note: { type: 'string' },
      flag: { type: ['boolean', 'null'] },
      to: {
        type: 'array',
        items: {
          type: 'object',
          properties: { email: { type: 'string' }, cc: { type: 'string' } },
          required: ['email'],
        },
      },
      lines: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
    },
    required: ['amount', 'status', 'to'],
    additionalProperties: false,
  },
}
const mail: KnownTool = { name: 'mail', schema: { type: 'object', properties: { subject: { type: 'string' } } } }

const deny = (when: Condition, more: object = {}) => ({ tools: 'refund', then: 'deny', when, ...more })
const allow = (when: Condition, more: object = {}) => ({ tools: 'refund', then: 'allow', when, ...more })

function told(rules: readonly object[], tools: readonly KnownTool[] = [refund, mail]) {
  const policy = { default: 'deny', rules: rules.map((rule, index) => ({ id: `r${index}`, ...rule })) }
  const { ok, problems } = checkPolicy(policy, { tools })
  expect(ok).toBe(problems.every(({ level }) => level === 'warning'))
  return problems.map(({ level, code, at, message }) => `${level} ${code} ${at}: ${message}`)
}

it.each<[object[], string[]]>([
  [
    [allow({ 'args.amount': { gt: 5, lt: 3 } })],
    [
      'error never-matches rules.0.when.args.amount: the rule `r0` never matches: `args.amount gt 5` and `args.amount lt 3` exclude each other',
    ],
  ],
  [
    [deny({ 'args.amount': { gt: 5, lt: 3 } })],
    [
      'error never-matches rules.0.when.args.amount: the rule `r0` never matches: `args.amount gt 5` and `args.amount lt 3` exclude each other',
    ],
  ],
  [
    [deny({ 'args.note': { gt: 5 } })],
    [
      'warning deny-on-optional rules.0.when.args.note.gt: a call of `refund` evades the rule `r0` by leaving `args.note` out, which is optional; say `exists` of it, too',
      'error always-error rules.0.when.args.note.gt: the rule `r0` is never evaluated for the tool `refund`: `args.note gt 5` can not be asked of string',
    ],
  ],
  [
    [allow({ 'args.note': { gt: 5 } })],
    [
      'error never-matches rules.0.when.args.note.gt: the rule `r0` never matches for the tool `refund`: `args.note gt 5` can not be asked of string',
    ],
  ],
  [
    [allow({ any: [{ 'args.amount': 1 }, { 'args.note': { gt: 5 } }] })],
    [
      'warning never-matches rules.0.when.any.1.args.note.gt: `rules.0.when.any.1.args.note.gt` never holds for the tool `refund`: `args.note gt 5` can not be asked of string',
    ],
  ],
  [
    [deny({ any: [{ 'args.amount': 1 }, { 'args.note': { gt: 5 } }] })],
    [
      'error always-error rules.0.when.any.1.args.note.gt: `rules.0.when.any.1.args.note.gt` is never evaluated for the tool `refund`: `args.note gt 5` can not be asked of string',
    ],
  ],
  [
    [deny({ any: [{ 'args.amount': 1 }, { 'args.status': 'opne' }] })],
    [
      'warning never-matches rules.0.when.any.1.args.status: `rules.0.when.any.1.args.status` never holds for the tool `refund`: `args.status` is never what the rule asks for: the schema lists other values; did you mean `open`?',
    ],
  ],
  [
    [allow({ 'args.status': { notIn: ['piad', 'xyzzy'] } })],
    [
      'warning never-matches rules.0.when.args.status.notIn.0: `rules.0.when.args.status.notIn.0` never holds for the tool `refund`: the schema lists other values; did you mean `paid`?',
      'warning never-matches rules.0.when.args.status.notIn.1: `rules.0.when.args.status.notIn.1` never holds for the tool `refund`: the schema lists other values',
    ],
  ],
  [
    [allow({ 'args.status': { ne: 'xyzzy' } })],
    [
      'warning never-matches rules.0.when.args.status.ne: `rules.0.when.args.status.ne` never holds for the tool `refund`: the schema lists other values',
    ],
  ],
  [
    [allow({ 'args.status': { ne: 7 } })],
    [
      'error never-matches rules.0.when.args.status.ne: the rule `r0` never matches for the tool `refund`: `args.status ne 7` can not be asked of string',
    ],
  ],
  [
    [allow({ 'args.status': 'opne' })],
    [
      'error never-matches rules.0.when.args.status: the rule `r0` never matches for the tool `refund`: `args.status` is never what the rule asks for: the schema lists other values; did you mean `open`?',
    ],
  ],
  [
    [allow({ 'args.status': 'xyzzy' })],
    [
      'error never-matches rules.0.when.args.status: the rule `r0` never matches for the tool `refund`: `args.status` is never what the rule asks for: the schema lists other values',
    ],
  ],
  [
    [allow({ all: [{ 'args.amount': 1 }, { any: [{ 'args.amount': 1 }, { 'args.amount': { gt: 5, lt: 3 } }] }] })],
    [
      'warning never-matches rules.0.when.all.1.any.1.args.amount: `rules.0.when.all.1.any.1.args.amount` never holds: `args.amount gt 5` and `args.amount lt 3` exclude each other',
    ],
  ],
  [
    [allow({ not: { any: [{ 'args.amount': 1 }, { 'args.amount': { gt: 5, lt: 3 } }] } })],
    [
      'warning never-matches rules.0.when.not.any.1.args.amount: `rules.0.when.not.any.1.args.amount` never holds: `args.amount gt 5` and `args.amount lt 3` exclude each other',
    ],
  ],
  [
    [
      allow({
        any: [
          { 'args.amount': 1 },
          {
            all: [{ 'args.amount': 2 }, { any: [{ 'args.note': 'a' }, { 'args.note': { startsWith: 'a', eq: 'b' } }] }],
          },
        ],
      }),
    ],
    [
      'warning never-matches rules.0.when.any.1.all.1.any.1.args.note: `rules.0.when.any.1.all.1.any.1.args.note` never holds: no value of `args.note` passes `args.note startsWith "a"` and `args.note eq "b"`',
    ],
  ],
  [
    [allow({ 'args.to': { some: { 'item.email': { eq: 'a', ne: 'a' } } } })],
    [
      'error never-matches rules.0.when.args.to.some: the rule `r0` never matches: no value of `item.email` passes `item.email eq "a"` and `item.email ne "a"`',
    ],
  ],
  [
    [deny({ 'args.to': { some: { any: [{ 'item.email': 'a' }, { 'item.email': { gt: 5 } }] } } })],
    [
      'error always-error rules.0.when.args.to.some.any.1.item.email.gt: `rules.0.when.args.to.some.any.1.item.email.gt` is never evaluated for the tool `refund`: `item.email gt 5` can not be asked of string',
    ],
  ],
  [
    [allow({ 'args.amount': 1 }, { unless: { 'args.amount': 1 } })],
    [
      'error never-matches rules.0.unless.args.amount: the rule `r0` never matches: no value of `args.amount` passes `args.amount eq 1` and `args.amount eq 1`',
    ],
  ],
  [
    [allow({ 'args.amount': { gt: 5 } }, { unless: { 'args.amount': { gt: 3 } } })],
    [
      'error never-matches rules.0.unless.args.amount.gt: the rule `r0` never matches: `args.amount gt 5` and `not args.amount gt 3` exclude each other',
    ],
  ],
  [
    [allow({ 'args.amount': { gt: 5 } }, { unless: { 'args.amount': { gt: 3, lt: 2 } } })],
    [
      'warning never-matches rules.0.unless.args.amount: `rules.0.unless.args.amount` never holds: `args.amount gt 3` and `args.amount lt 2` exclude each other',
    ],
  ],
  [
    [
      allow(
        { 'args.amount': { gt: 5 } },
        { unless: { any: [{ 'args.status': 'open' }, { 'args.amount': { gt: 3, lt: 2 } }] } },
      ),
    ],
    [
      'warning never-matches rules.0.unless.any.1.args.amount: `rules.0.unless.any.1.args.amount` never holds: `args.amount gt 3` and `args.amount lt 2` exclude each other',
    ],
  ],
  [
    [allow({ 'args.amuont': 1 })],
    [
      'error unknown-path rules.0.when.args.amuont: the rule `r0` reads `args.amuont`, but the tool `refund` has no argument `amuont`; did you mean `amount`?',
    ],
  ],
  [
    [allow({ 'args.zzz': 1 })],
    [
      'error unknown-path rules.0.when.args.zzz: the rule `r0` reads `args.zzz`, but the tool `refund` has no argument `zzz`',
    ],
  ],
  [
    [allow({ 'args.zzz': 1 }, { tools: 're*' })],
    [
      'warning unknown-path rules.0.when.args.zzz: the rule `r0` reads `args.zzz`, but no tool it is for has an argument `zzz`',
    ],
  ],
  [
    [allow({ 'args.amuont': 1 }, { tools: 're*' })],
    [
      'warning unknown-path rules.0.when.args.amuont: the rule `r0` reads `args.amuont`, but no tool it is for has an argument `amuont`; did you mean `amount`?',
    ],
  ],
  [
    [allow({ 'args.amount': 1 }, { tools: ['refnud', 'export_*'] })],
    [
      'error unknown-tool rules.0.tools.0: the rule `r0` is for `refnud`, which no known tool is called; did you mean `refund`?',
      'warning unknown-tool rules.0.tools.1: the rule `r0` is for `export_*`, which no known tool is called',
    ],
  ],
  [
    [allow({ 'args.amount': 1 }, { tools: 'nothing_like_it' })],
    ['warning unknown-tool rules.0.tools: the rule `r0` is for `nothing_like_it`, which no known tool is called'],
  ],
  [
    [deny({ 'args.note': 'a' })],
    [
      'warning deny-on-optional rules.0.when.args.note: a call of `refund` evades the rule `r0` by leaving `args.note` out, which is optional; say `exists` of it, too',
    ],
  ],
  [
    [deny({ 'args.note': 'a' }, { tools: 're*' })],
    [
      'warning deny-on-optional rules.0.when.args.note: a call of `refund` evades the rule `r0` by leaving `args.note` out, which is optional; say `exists` of it, too',
    ],
  ],
  [[deny({ 'args.note': { startsWith: 'a', exists: true } })], []],
  [[deny({ any: [{ 'args.note': 'a' }, { 'args.note': { exists: false } }] })], []],
  [[deny({ not: { 'args.note': 'a' } })], []],
  [[deny({ 'args.amount': 1 })], []],
  [
    [deny({ all: [{ 'args.note': 'a' }, { 'args.flag': true }] })],
    [
      'warning deny-on-optional rules.0.when.all.0.args.note: a call of `refund` evades the rule `r0` by leaving `args.note` out, which is optional; say `exists` of it, too',
      'warning deny-on-optional rules.0.when.all.1.args.flag: a call of `refund` evades the rule `r0` by leaving `args.flag` out, which is optional; say `exists` of it, too',
    ],
  ],
  [[deny({ any: [{ 'args.note': 'a' }, { 'args.flag': true }] })], []],
  [[deny({ 'args.note': { exists: true } })], []],
  [[deny({ 'args.note': { exists: false } })], []],
  [
    [allow({ 'args.note': { matches: 'a' } })],
    [
      'warning unanchored-pattern rules.0.when.args.note.matches: the pattern of `rules.0.when.args.note.matches` is found anywhere in a text; begin it with `^` and end it with `$` to fit the whole',
    ],
  ],
  [
    [deny({ 'args.amount': 1 }, { unless: { 'args.note': { matches: 'a' } } })],
    [
      'warning unanchored-pattern rules.0.unless.args.note.matches: the pattern of `rules.0.unless.args.note.matches` is found anywhere in a text; begin it with `^` and end it with `$` to fit the whole',
    ],
  ],
  [
    [
      allow({
        any: [
          { 'args.note': { matches: '^a$' } },
          { 'args.note': { matches: 'a' } },
          { not: { 'args.note': { matches: 'b' } } },
        ],
      }),
    ],
    [
      'warning unanchored-pattern rules.0.when.any.1.args.note.matches: the pattern of `rules.0.when.any.1.args.note.matches` is found anywhere in a text; begin it with `^` and end it with `$` to fit the whole',
    ],
  ],
  [
    [allow({ 'args.lines': { some: { matches: 'b' } } })],
    [
      'warning unanchored-pattern rules.0.when.args.lines.some.matches: the pattern of `rules.0.when.args.lines.some.matches` is found anywhere in a text; begin it with `^` and end it with `$` to fit the whole',
    ],
  ],
  [
    [{ tools: 'refund', then: 'deny' }, allow({ 'args.amount': 1 })],
    ['warning shadowed rules.1: the rule `r1` has no say: `r0` denies every call that it is for'],
  ],
  [
    [{ tools: 'refund', then: 'ask' }, allow({ 'args.amount': 1 })],
    ['warning shadowed rules.1: the rule `r1` has no say: `r0` asks for every call that it is for'],
  ],
  [
    [allow({ 'args.amount': 1 }), allow({ 'args.amount': 1 })],
    ['warning duplicate rules.1: the rule `r1` says what `r0` says'],
  ],
  [
    [
      allow({ 'args.amount': 1 }, { tools: ['refund', 'mail'] }),
      allow({ 'args.amount': 1 }, { tools: ['mail', 'refund', 'mail'] }),
    ],
    [
      'error unknown-path rules.0.when.args.amount: the rule `r0` reads `args.amount`, but the tool `mail` has no argument `amount`',
      'error unknown-path rules.1.when.args.amount: the rule `r1` reads `args.amount`, but the tool `mail` has no argument `amount`',
      'warning duplicate rules.1: the rule `r1` says what `r0` says',
    ],
  ],
  [
    [
      allow({ 'args.amount': 1 }, { agents: 'a' }),
      allow({ 'args.amount': 1 }, { agents: 'b' }),
      allow({ 'args.amount': 1 }, { tenants: 'b' }),
    ],
    [],
  ],
  [
    [{ then: 'allow' }],
    [
      'warning wide-allow rules.0: the rule `r0` allows every tool, also those that are added later; name the tools in `tools`, or say `when`',
    ],
  ],
  [
    [{ then: 'allow', tools: '*' }],
    [
      'warning wide-allow rules.0: the rule `r0` allows every tool, also those that are added later; name the tools in `tools`, or say `when`',
    ],
  ],
  [
    [allow({ 'args.note': { glob: 'a?[bc]' } })],
    [
      'warning literal-text rules.0.when.args.note.glob: the text of `rules.0.when.args.note.glob` has more than `*` in it, and in a glob only `*` is special',
    ],
  ],
  [
    [allow({ 'args.note': 'args.amount' })],
    [
      'warning literal-text rules.0.when.args.note: the text of `rules.0.when.args.note` reads like a path; another path is written `{ path: … }`',
    ],
  ],
  [
    [allow({ 'args.note': '{{x}}' })],
    [
      'warning literal-text rules.0.when.args.note: the text of `rules.0.when.args.note` reads like a template, in which nothing is filled in',
    ],
  ],
  [
    [allow({ 'args.note': '> 5' })],
    [
      'warning literal-text rules.0.when.args.note: the text of `rules.0.when.args.note` reads like a comparison; operators are keys, such as `gt`',
    ],
  ],
  [[allow({ 'args.note': '12.50' })], []],
  [
    [allow({ 'args.amount': { exists: false } })],
    [
      'error never-matches rules.0.when.args.amount.exists: the rule `r0` never matches for the tool `refund`: `args.amount` is never absent: it is required',
    ],
  ],
  [
    [allow({ all: [{ 'args.note': { exists: false } }, { 'args.note': 'a' }] })],
    ['error never-matches rules.0.when.all: the rule `r0` never matches: `args.note` can not be absent and be tested'],
  ],
  [
    [allow({ all: [{ 'args.to': { exists: false } }, { 'args.to[0].email': 'a' }] })],
    ['error never-matches rules.0.when.all: the rule `r0` never matches: `args.to` can not be absent and be tested'],
  ],
  [
    [allow({ all: [{ 'args.flag': true }, { 'args.flag': { startsWith: 'a' } }] })],
    [
      'error never-matches rules.0.when.all: the rule `r0` never matches: no value of `args.flag` is of a kind that all its tests are for',
    ],
  ],
  [
    [allow({ 'args.flag': { matches: '^a$' } })],
    [
      'error never-matches rules.0.when.args.flag.matches: the rule `r0` never matches for the tool `refund`: `args.flag matches "^a$"` can not be asked of boolean or null',
    ],
  ],
  [
    [allow({ all: [{ 'args.note': { startsWith: 'a' } }, { 'args.note': { startsWith: 'b' } }] })],
    [
      'error never-matches rules.0.when.all: the rule `r0` never matches: no text of `args.note` passes every `startsWith` of the rule',
    ],
  ],
  [
    [allow({ all: [{ 'args.note': { endsWith: 'a' } }, { not: { 'args.note': { endsWith: 'a' } } }] })],
    [
      'error never-matches rules.0.when.all: the rule `r0` never matches: no text of `args.note` passes every `endsWith` of the rule',
    ],
  ],
  [
    [allow({ 'args.note': { size: { gt: 5, lt: 3 } } })],
    [
      'error never-matches rules.0.when.args.note.size: the rule `r0` never matches: `size of args.note gt 5` and `size of args.note lt 3` exclude each other',
    ],
  ],
  [
    [allow({ 'args.note': { size: { lt: 0 } } })],
    [
      'error never-matches rules.0.when.args.note.size.lt: the rule `r0` never matches: the size of args.note is never below 0',
    ],
  ],
  [
    [allow({ 'args.note': { size: { eq: 3, ne: 3 } } })],
    [
      'error never-matches rules.0.when.args.note.size: the rule `r0` never matches: no size of `args.note` passes all its tests',
    ],
  ],
  [
    [allow({ 'args.note': { eq: 'a', startsWith: 'b' } })],
    [
      'error never-matches rules.0.when.args.note: the rule `r0` never matches: no value of `args.note` passes `args.note eq "a"` and `args.note startsWith "b"`',
    ],
  ],
])('%j', (rules, problems) => {
  expect(told(rules)).toEqual(problems)
})

describe('a test that can not be asked of a value of its kind', () => {
  const samples: Record<string, unknown[]> = {
    string: ['', 'a', 'xyz'],
    number: [0, 1, 2.5],
    boolean: [true, false],
    null: [null],
    array: [[], ['a'], [1, null]],
    object: [{}, { a: 1 }],
  }
  const tests: Record<string, unknown>[] = [
    ...['a', 1, true, null].flatMap((value) => [{ eq: value }, { ne: value }, { in: [value] }, { notIn: [value] }]),
    ...[{ in: ['a', 1] }, { notIn: [null, 'a'] }, { contains: 'a' }, { contains: 1 }, { subsetOf: ['a'] }],
    ...['gt', 'gte', 'lt', 'lte'].flatMap((op) => [{ [op]: 1 }, { [op]: 'a' }]),
    ...['startsWith', 'endsWith', 'matches', 'glob'].map((op) => ({ [op]: 'a' })),
    ...[{ size: { gt: 0 } }, { size: { ne: 1 } }, { exists: true }, { exists: false }, { some: 'a' }, { every: 'a' }],
    ...['eq', 'ne', 'gt', 'contains', 'startsWith'].map((op) => ({ [op]: { path: 'session.agent' } })),
  ]
  const asked = Object.keys(samples).flatMap((type) => tests.map((one) => [one, type] as const))

  test.each(asked)('%j of %s: the check knows what the engine says', (one, type) => {
    const when = { 'args.x': one } as Condition
    const schema = { type: 'object', properties: { x: { type } }, required: ['x'] }
    const { problems } = checkPolicy(
      { default: 'deny', rules: [{ id: 'r', tools: 't', then: 'deny', when }] },
      { tools: [{ name: 't', schema }] },
    )
    const said = problems.some(({ code }) => code === 'always-error')
    const truth = compileTree(parseCondition(when, 'when'))
    const session = { id: 's', agent: 'a', tenant: 't', scopes: [], attributes: {}, depth: 0 }
    const errs = (samples[type] as unknown[]).map(
      (x) => truth({ args: { x }, session } as unknown as Subject) === ERROR,
    )
    // In doubt nothing is said; what is said is so.
    if (said) expect(errs).not.toContain(false)
    else if (!JSON.stringify(one).includes('path')) expect(errs).toContain(false)
  })
})

describe('the tools that a policy is checked for', () => {
  it.each([[{}], [[null]], [['refund']], [[{ name: 7 }]], [[refund, {}]]])(
    'are a list of tools, and %j is none',
    (tools) => {
      let error: unknown
      try {
        checkPolicy({ default: 'deny' }, { tools: tools as never })
      } catch (caught) {
        error = caught
      }
      expect(ConfigError.isInstance(error)).toBe(true)
      expect(error).toMatchObject({
        code: 'invalid-option',
        path: 'tools',
        message: '`tools` is a list of `{ name, schema }`',
      })
    },
  )

  it('are named in the options, and nothing else is', () => {
    expect(() => checkPolicy({ default: 'deny' }, { tool: [] } as never)).toThrow(
      '`tool` is not among the options of `checkPolicy`; did you mean `tools`?',
    )
  })
})

describe('a pattern', () => {
  test.each<[string, boolean]>([
    ['^a$', true],
    ['\\Aa\\z', true],
    ['^a|b$', false],
    ['a^|^a$', false],
    ['^a$|^b$', true],
    ['^(a|b)$', true],
    ['^((a)|(b|c))$', true],
    ['^(a)|(b)$', false],
    ['^[|]$', true],
    ['^[^]|]$', true],
    ['^[]|]$', true],
    ['^[a]|b$', false],
    ['^[a\\]|]$', true],
    ['^a\\|b$', true],
    ['^a\\$', false],
    ['^a\\\\$', true],
    ['^az', false],
    ['^a\\\\z', false],
    ['^a$b', false],
    ['(?i)^a$', true],
    ['(?m)^a$', false],
    ['(?im)^a$', false],
    ['(?s)a$', false],
    ['x(?m)^a$', false],
    ['^(?im)$', true],
    ['^\\(a|b$', false],
    ['', false],
  ])('%s fits the whole text: %s', (pattern, whole) => {
    expect(isAnchored(pattern)).toBe(whole)
  })
})

describe('a condition in words', () => {
  const words = (when: Condition) => says(parseCondition(when, 'when'))

  it.each<[Condition, string]>([
    [{ 'args.a': { gt: 5 } }, 'args.a gt 5'],
    [{ 'args.a': { eq: { path: 'session.agent' } } }, 'args.a eq session.agent'],
    [{ 'args.a': { size: { gt: 5 } } }, 'size of args.a gt 5'],
    [{ 'args.a': { exists: true } }, 'args.a exists'],
    [{ 'args.a': { exists: false } }, 'args.a is absent'],
    [{ 'args.a': { some: 'b' } }, 'some item of args.a'],
    [{ 'args.a': { every: 'b' } }, 'every item of args.a'],
    [{ all: [{ 'args.a': 1 }, { 'args.b': 1 }] }, 'all of'],
    [{ any: [{ 'args.a': 1 }, { 'args.b': 1 }] }, 'any of'],
    [{ not: { 'args.a': 1 } }, 'not'],
    [{ 'args.a': 'x'.repeat(78) }, `args.a eq "${'x'.repeat(78)}"`],
    [{ 'args.a': 'x'.repeat(79) }, `args.a eq "${'x'.repeat(76)}...`],
    [{ 'args.a': 'b\u202ec' }, 'args.a eq "b c"'],
  ])('%j', (when, text) => {
    expect(words(when)).toBe(text)
  })
})

describe('a policy in force', () => {
  const rules = [{ id: 'r', tools: 'refund', then: 'allow', when: { 'args.amuont': 1 } }] as unknown as Rule[]
  const compiled = compilePolicy({ default: 'deny', rules })
  const loaded = new LoadedPolicy(compiled)

  it('knows the paths that a tool does not have, worked out once for each tool', () => {
    expect([loaded.compiled, loaded.hash]).toEqual([compiled, compiled.hash])
    const tool = refund as unknown as GovernedTool
    const found = loaded.misfits(tool)
    expect(found).toEqual([
      {
        rule: 'r',
        path: 'args.amuont',
        at: 'rules.0.when.args.amuont',
        message:
          'the rule `r` reads `args.amuont`, but the tool `refund` has no argument `amuont`; did you mean `amount`?',
      },
    ])
    expect(loaded.misfits(tool)).toBe(found)
    expect(loaded.misfits(mail as unknown as GovernedTool)).toEqual([])
    expect(loaded.misfits({ name: 'refund' } as unknown as GovernedTool)).toEqual([])
  })
})

describe('what may well be so is no problem', () => {
  const either: KnownTool = {
    name: 'either',
    schema: {
      type: 'object',
      properties: { x: { type: ['string', 'number'] }, odd: { type: ['string', 'elsewhere'] }, n: { enum: [1, '2'] } },
      required: ['x', 'odd', 'n'],
    },
  }
  it.each<object>([
    allow({ all: [{ 'args.note': { exists: false } }, { 'args.flag': true }] }),
    allow({ all: [{ 'args.to[0].cc': { exists: false } }, { 'args.to[0].email': 'a' }] }),
    allow({ all: [{ 'args.to[0].cc': { exists: false } }, { 'args.to[1].cc': 'a' }] }),
    allow({ all: [{ 'args.note': { exists: false } }, { 'args.note': { exists: false } }] }),
    allow({ all: [{ 'args.note': { exists: true } }, { 'args.note': 'a' }] }),
    allow({ 'args.note': { exists: false } }, { unless: { 'session.agent': { exists: false } } }),
    allow({ 'args.x': { gt: 5 } }, { tools: 'either' }),
    allow({ 'args.x': { startsWith: 'a' } }, { tools: 'either' }),
    allow({ 'args.odd': { gt: 5 } }, { tools: 'either' }),
    allow({ 'args.n': { in: [1, 7] } }, { tools: 'either', id: 'n' }),
    allow({ 'args.note': { size: { in: [1, 2], gt: 1 } } }),
    allow({ 'args.note': { size: { lte: 0 } } }),
    allow({ 'args.amount': { gte: 3, lte: 3 } }),
    allow({ 'args.note': { startsWith: 'ab', endsWith: 'a' } }),
    allow({ all: [{ 'args.note': { startsWith: 'ab' } }, { 'args.note': { startsWith: 'a' } }] }),
  ])('%j', (rule) => {
    expect(told([rule], [refund, either]).filter((one) => one.startsWith('error'))).toEqual([])
  })

  it('but a value that is only almost one that is listed is', () => {
    expect(told([allow({ 'args.n': '1' }, { tools: 'either' })], [either])).toEqual([
      'error never-matches rules.0.when.args.n: the rule `r0` never matches for the tool `either`: `args.n` is never what the rule asks for: the schema lists other values; did you mean `2`?',
    ])
    expect(told([allow({ 'args.n': 7 }, { tools: 'either' })], [either])).toEqual([
      'error never-matches rules.0.when.args.n: the rule `r0` never matches for the tool `either`: `args.n` is never what the rule asks for: the schema lists other values',
    ])
  })
})
