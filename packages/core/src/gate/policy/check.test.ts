import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { checkPolicy, type KnownTool, type ProblemCode } from './check.ts'
import { isAnchored } from './check-patterns.ts'
import { compileTree } from './compile.ts'
import { parseCondition } from './parse.ts'
import type { Condition, Policy, Rule, Subject } from './policy.ts'
import { impossible } from './satisfiable.ts'
import { ERROR, TRUE } from './tree.ts'

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
    },
    required: ['amount', 'status', 'to'],
    additionalProperties: false,
  },
}
const mail: KnownTool = { name: 'mail', schema: { type: 'object', properties: { subject: { type: 'string' } } } }
const plain: KnownTool = { name: 'plain' }
const TOOLS = [refund, mail, plain]

function policyOf(...rules: readonly (Partial<Rule> & object)[]): Policy {
  return { default: 'deny', rules: rules.map((rule, index) => ({ id: `r${index}`, then: 'allow', ...rule })) }
}

function check(rules: readonly Partial<Rule>[], tools: readonly KnownTool[] | 'none given' = TOOLS) {
  return checkPolicy(policyOf(...rules), tools === 'none given' ? {} : { tools })
}

/** Problems of one rule for `refund`, in short. */
function problems(when: Condition, rule: Partial<Rule> = {}): string[] {
  return check([{ tools: 'refund', when, ...rule }]).problems.map(({ level, code, at }) => `${level} ${code} ${at}`)
}

describe('a document', () => {
  it('that is no policy is one problem, with its place', () => {
    const { ok, problems } = checkPolicy({ default: 'deny', rules: [{ id: 'a', then: 'allow', wehn: {} }] })
    expect(ok).toBe(false)
    expect(problems).toMatchObject([{ level: 'error', code: 'invalid-policy', at: 'rules.0.wehn' }])
  })

  it.each([null, 'deny', [], { rules: [] }, new Proxy({}, {})])(
    '%o is a problem, and nothing is thrown',
    (document) => {
      expect(checkPolicy(document).ok).toBe(false)
    },
  )

  it('that is sound has no problems', () => {
    expect(check([{ tools: 'refund', when: { 'args.amount': { gt: 0, lte: 100 } } }])).toEqual({
      ok: true,
      problems: [],
    })
  })

  it('is not to blame for options that are wrong', () => {
    expect(() => checkPolicy(policyOf(), { tool: [] } as object)).toThrow(ConfigError)
    expect(() => checkPolicy(policyOf(), { tools: [{}] } as object)).toThrow(ConfigError)
  })
})

describe('unknown-path', () => {
  const typo = { 'args.amuont': { gt: 5 } }

  it('is an error for a tool that is named, with the nearest argument', () => {
    const [problem] = check([{ tools: ['refund', 'mail*'], when: typo }]).problems
    expect(problem).toMatchObject({
      level: 'error',
      code: 'unknown-path',
      rule: 'r0',
      at: 'rules.0.when.args.amuont.gt',
    })
    expect(problem?.message).toContain('did you mean `amount`?')
  })

  it.each<[string, Partial<Rule>, readonly KnownTool[]]>([
    ['a wildcard', { tools: 're*' }, TOOLS],
    ['no name at all', {}, [refund, mail]],
  ])('is a warning for tools reached by %s, if none of them has it', (_, rule, tools) => {
    expect(check([{ ...rule, when: typo }], tools).problems).toMatchObject([{ level: 'warning', code: 'unknown-path' }])
  })

  it('is none if one of many tools has the argument, or might', () => {
    expect(check([{ tools: '*', when: { 'args.amount': 5 } }]).problems).toEqual([])
    expect(check([{ when: typo }]).problems).toEqual([])
    expect(check([{ tools: 'plain', when: typo }]).problems).toEqual([])
    expect(check([{ tools: 'refund', when: typo }], 'none given').problems).toEqual([])
  })

  it('is told once for a list and what would stand in it', () => {
    expect(problems({ 'args.too': { some: { 'item.email': 'a' } } })).toEqual([
      'error unknown-path rules.0.when.args.too.some',
    ])
  })
})

describe('unknown-tool', () => {
  it('is an error for a name that is nearly right, else a warning', () => {
    expect(check([{ tools: ['refnud', 'plain'], when: { 'args.amount': 1 } }]).problems).toMatchObject([
      { level: 'error', code: 'unknown-tool', at: 'rules.0.tools.0' },
    ])
    expect(check([{ tools: 'export_*', when: { 'args.amount': 1 } }]).problems).toMatchObject([
      { level: 'warning', code: 'unknown-tool', at: 'rules.0.tools' },
    ])
  })

  it('is not asked where no tools are given', () => {
    expect(check([{ tools: 'refnud' }], 'none given').problems).toEqual([])
  })
})

describe('never-matches', () => {
  it.each<[string, Condition, string?]>([
    ['bounds', { 'args.amount': { gt: 5, lt: 3 } }],
    ['bounds that touch', { 'args.amount': { gt: 5, lte: 5 } }],
    [
      'bounds and a negated one',
      { all: [{ 'args.amount': { gt: 5 } }, { not: { 'args.amount': { gt: 4 } } }] },
      'rules.0.when.all',
    ],
    ['bounds of texts', { 'args.note': { gt: 'b', lt: 'a' } }],
    ['bounds of time', { 'time.hour': { gte: 18, lt: 8 } }, 'rules.0.when.time.hour'],
    ['two values', { all: [{ 'args.note': 'a' }, { 'args.note': 'b' }] }, 'rules.0.when.all'],
    ['a value and its opposite', { 'args.note': { eq: 'a', ne: 'a' } }],
    ['a value that a list lacks', { 'args.note': { eq: 'a', in: ['b', 'c'] } }],
    ['a value outside of bounds', { 'args.amount': { eq: 5, gt: 5 } }],
    ['a value without its beginning', { 'args.note': { eq: 'ab', startsWith: 'b' } }],
    ['a value a pattern does not fit', { 'args.note': { eq: 'ab', glob: 'b*' } }],
    ['two beginnings', { 'args.note': { startsWith: 'a', all: [{ startsWith: 'b' }] } }],
    ['an end and its opposite', { 'args.note': { endsWith: '.xyz', not: { endsWith: 'z' } } }],
    ['an empty list', { 'args.note': { in: [] } }, 'rules.0.when.args.note.in'],
    ['a size below nothing', { 'args.note': { size: { lt: 0 } } }, 'rules.0.when.args.note.size.lt'],
    ['two sizes', { 'args.note': { size: { eq: 3, gt: 4 } } }, 'rules.0.when.args.note.size'],
    ['kinds that nothing is', { 'args.note': { startsWith: 'a', subsetOf: ['a'] } }],
    ['a required argument left out', { 'args.amount': { exists: false } }, 'rules.0.when.args.amount.exists'],
    ['the same in other words', { not: { 'args.amount': { exists: true } } }, 'rules.0.when.not'],
    [
      'a test of what is not there',
      { all: [{ 'args.to': { exists: false } }, { 'args.to[0]': { exists: true } }] },
      'rules.0.when.all',
    ],
    ['a test of a kind the schema rules out', { 'args.note': { gt: 5 } }, 'rules.0.when.args.note.gt'],
    ['a text for a number', { 'args.amount': '5' }, 'rules.0.when.args.amount'],
    ['a value the schema does not list', { 'args.status': 'piad' }, 'rules.0.when.args.status'],
    ['every way of an `any`', { any: [{ 'args.status': 'x' }, { 'args.note': 5 }] }, 'rules.0.when.any'],
    [
      'an item that is and is not',
      { 'args.to': { every: { 'item.email': { endsWith: 'a' } }, some: { 'item.email': { endsWith: 'b' } } } },
      'rules.0.when.args.to',
    ],
    [
      'an item no list holds',
      { 'args.to': { some: { 'item.email': { exists: false } } } },
      'rules.0.when.args.to.some',
    ],
  ])('is an error for %s', (_, when, at) => {
    const paths = Object.keys(when)
    expect(problems(when)).toEqual([`error never-matches ${at ?? `rules.0.when.${paths[0]}`}`])
  })

  it.each<[string, Condition]>([
    ['bounds that leave one value', { 'args.amount': { gte: 5, lte: 5 } }],
    ['one bound as another path', { 'args.amount': { gt: 5, lt: { path: 'session.attributes.limit' } } }],
    ['two beginnings of one text', { 'args.note': { startsWith: 'a', all: [{ startsWith: 'ab' }] } }],
    ['one living way of an `any`', { any: [{ 'args.amount': 5 }, { 'args.amount': 6 }] }],
    ['null where it may be', { 'args.flag': null }],
    ['ne and null', { 'args.flag': { ne: true } }],
    [
      'two items',
      { 'args.to': { some: { 'item.email': 'a' } }, all: [{ 'args.to': { some: { 'item.email': 'b' } } }] },
    ],
    ['an absence that may be', { 'args.note': { exists: false } }],
    ['a size and a value', { 'args.note': { size: 3, startsWith: 'a' } }],
  ])('is none for %s', (_, when) => {
    expect(problems(when)).toEqual([])
  })

  it('names the value that was meant', () => {
    expect(check([{ tools: 'refund', when: { 'args.status': 'piad' } }]).problems[0]?.message).toContain('`paid`')
  })

  it('is a warning for a part, when the rule may match without it', () => {
    expect(problems({ any: [{ 'args.amount': { gt: 5, lt: 3 } }, { 'args.amount': 4 }] })).toEqual([
      'warning never-matches rules.0.when.any.0.args.amount',
    ])
    expect(problems({ 'args.status': { in: ['open', 'payd'] } })).toEqual([
      'warning never-matches rules.0.when.args.status.in.1',
    ])
    expect(problems({ 'args.status': { ne: 'oepn' } })).toEqual(['warning never-matches rules.0.when.args.status.ne'])
  })

  it('is an error for an exception that leaves nothing, a warning for one that excepts nothing', () => {
    const when = { 'args.amount': { gt: 5 } }
    expect(problems(when, { unless: { 'args.amount': { gt: 3 } } })).toEqual([
      'error never-matches rules.0.unless.args.amount.gt',
    ])
    expect(problems(when, { unless: { 'args.amount': { gt: 3, lt: 2 } } })).toEqual([
      'warning never-matches rules.0.unless.args.amount',
    ])
  })

  it('is asked of each tool that is named, and of the others together', () => {
    const other = { name: 'other', schema: { type: 'object', properties: { status: { type: 'string' } } } }
    const when = { 'args.status': 'gone' }
    expect(check([{ tools: ['refund', 'other'], when }], [refund, other]).problems).toMatchObject([
      { code: 'never-matches' },
    ])
    expect(check([{ tools: '*', when }], [refund, other]).problems).toEqual([])
    expect(check([{ tools: '*', when }], [refund]).problems).toMatchObject([{ code: 'never-matches' }])
    expect(check([{ tools: '*', when }], [refund, { ...refund, name: 'again' }]).problems).toMatchObject([
      { code: 'never-matches' },
    ])
  })
})

test('always-error is said of rules that deny or ask by what can not be evaluated', () => {
  for (const then of ['deny', 'ask'] as const) {
    expect(problems({ 'args.amount': { startsWith: 'x' } }, { then })).toEqual([
      'error always-error rules.0.when.args.amount.startsWith',
    ])
    expect(problems({ any: [{ 'args.amount': 5 }, { 'args.amount': true }] }, { then })).toEqual([
      'error always-error rules.0.when.any.1.args.amount',
    ])
  }
})

describe('deny-on-optional', () => {
  const EVADED = ['warning deny-on-optional']
  const asked = (when: Condition, then: Rule['then'] = 'deny') =>
    problems(when, { then }).map((text) => text.split(' ').slice(0, 2).join(' '))

  it.each<[string, Condition]>([
    ['a test', { 'args.note': { contains: 'x' } }],
    ['a test for a difference', { 'args.note': { ne: 'fine' } }],
    ['a part of `all`', { 'args.amount': { gt: 5 }, 'args.note': 'x' }],
    ['both ways of an `any`', { any: [{ 'args.note': 'x' }, { 'args.note': 'y' }] }],
    ['a test of items', { 'args.to': { some: { 'item.cc': 'x' } } }],
  ])('warns of %s', (_, when) => {
    expect(asked(when)).toEqual(EVADED)
    expect(asked(when, 'ask')).toEqual(EVADED)
    expect(asked(when, 'allow')).toEqual([])
  })

  it.each<[string, Condition]>([
    ['a required argument', { 'args.amount': { gt: 5 } }],
    ['one that says `exists`', { any: [{ 'args.note': { exists: false } }, { 'args.note': 'x' }] }],
    ['one that is content with what is there', { 'args.note': { exists: true, eq: 'x' } }],
    ['a negation, which errs when there is nothing', { not: { 'args.note': 'fine' } }],
    ['one way of several', { any: [{ 'args.note': 'x' }, { 'args.amount': { gt: 5 } }] }],
  ])('does not warn of %s', (_, when) => {
    expect(asked(when)).toEqual([])
  })
})

describe('rules beside one another', () => {
  const codes = (...rules: Partial<Rule>[]): (ProblemCode | string)[] =>
    check(rules).problems.map(({ code, rule }) => `${code} ${rule}`)
  const some = { 'args.amount': 1 }

  it.each<[string, Partial<Rule>, Partial<Rule>]>([
    ['the same tool', { tools: 'refund', then: 'deny' }, { tools: 'refund', when: some }],
    ['a wildcard', { tools: 're*', then: 'deny' }, { tools: ['refund', 'refund*'], when: some }],
    ['every tool', { then: 'deny' }, { tools: '*', when: some }],
    ['fewer agents', { agents: 'a*', then: 'deny' }, { tools: 'refund', agents: 'ab', when: some }],
    ['a question', { tools: 'refund', then: 'ask' }, { tools: 'refund', when: some }],
    ['a question that is denied', { tools: 'refund', then: 'deny' }, { tools: 'refund', when: some, then: 'ask' }],
  ])('shadowed: %s', (_, stricter, rule) => {
    expect(codes(stricter, rule)).toContain('shadowed r1')
    expect(codes(rule, stricter)).toContain('shadowed r0')
  })

  it.each<[string, Partial<Rule>, Partial<Rule>]>([
    ['a denial with a condition', { tools: 'refund', then: 'deny', when: some }, { tools: 'refund' }],
    ['a narrower denial', { tools: 'refund', then: 'deny' }, { tools: ['refund', 'mail'] }],
    ['a wildcard that is narrower', { tools: 'refund*', then: 'deny' }, { tools: 're*' }],
    ['other agents', { agents: 'a', then: 'deny' }, { tools: 'refund', agents: 'b' }],
    ['one agent of all', { agents: 'a', then: 'deny' }, { tools: 'refund' }],
    ['a question and a denial', { tools: 'refund', then: 'ask' }, { tools: 'refund', then: 'deny', when: some }],
  ])('not shadowed: %s', (_, stricter, rule) => {
    expect(codes(stricter, rule).filter((text) => text.startsWith('shadowed'))).toEqual([])
  })

  it('duplicate: the same meaning under two ids', () => {
    const ask = { then: 'ask', when: { 'args.amount': { gt: 1, lt: 9 } } } as const
    expect(
      codes(
        { ...ask, tools: ['refund', 'mail'] },
        { ...ask, tools: ['mail', 'refund'], when: { 'args.amount': { lt: 9, gt: 1 } } },
      ),
    ).toContain('duplicate r1')
    expect(codes({ ...ask, tools: 'plain' }, { ...ask, tools: 'plain', quorum: 2 })).toEqual([])
    expect(codes({ ...ask, tools: 'plain' }, { ...ask, tools: 'plain', then: 'allow' })).toEqual([])
  })

  it('duplicate: functions are told apart', () => {
    const [one, other] = [() => true, () => true]
    const rules = (a: Condition, b: Condition) =>
      checkPolicy({ version: 1, ...policyOf({ tools: 'x', when: a }, { tools: 'x', when: b }) }).problems
    expect(rules(one, other)).toEqual([])
    expect(rules(one, one)).toMatchObject([{ code: 'duplicate', rule: 'r1' }])
  })

  it('wide-allow: everything, to everyone', () => {
    expect(codes({})).toEqual(['wide-allow r0'])
    expect(codes({ tools: ['plain', '**'] })).toEqual(['wide-allow r0'])
    expect(codes({ tools: 're*' })).toEqual([])
    expect(codes({ when: { 'tool.readOnly': true } })).toEqual([])
    expect(codes({ then: 'ask' })).toEqual([])
  })
})

describe('unanchored-pattern', () => {
  it.each([
    ['allow', { 'args.note': { matches: 'ok' } }, undefined, true],
    ['allow', { not: { 'args.note': { matches: 'bad' } } }, undefined, false],
    ['allow', { 'args.to': { every: { 'item.email': { matches: '@ok$' } } } }, undefined, true],
    ['allow', { 'args.amount': 1 }, { 'args.note': { matches: 'bad' } }, false],
    ['deny', { not: { 'args.status': { matches: 'ok' } } }, undefined, true],
    ['deny', { 'args.status': { matches: 'bad' } }, undefined, false],
    ['deny', { 'args.amount': 1 }, { 'args.status': { matches: 'ok' } }, true],
  ] as [Rule['then'], Condition, Condition | undefined, boolean][])(
    'of a rule to %s, %o, unless %o: %s',
    (then, when, unless, warned) => {
      const found = problems(when, { then, ...(unless ? { unless } : {}) }).filter((text) =>
        text.includes('unanchored'),
      )
      expect(found).toHaveLength(warned ? 1 : 0)
    },
  )

  it.each([
    ['^a$', true],
    ['^(a|b)$', true],
    ['^a$|^b$', true],
    ['^[|$]$', true],
    ['^[]|]$', true],
    ['\\Aa\\z', true],
    ['(?i)^a$', true],
    ['^a\\\\$', true],
    ['^a|b$', false],
    ['a', false],
    ['^a', false],
    ['a$', false],
    ['^a\\$', false],
    ['(?m)^a$', false],
    ['^az', false],
  ])('%s is anchored: %s', (pattern, anchored) => {
    expect(isAnchored(pattern)).toBe(anchored)
  })
})

describe('in doubt, a rule is left alone', () => {
  const value = fc.constantFrom<any>(
    0,
    1,
    2,
    3,
    'a',
    'ab',
    'b',
    '',
    true,
    null,
    [],
    ['a'],
    [{ x: 1 }],
    [{ x: 'a' }, {}],
    { b: 1 },
    { b: 'ab' },
  )
  const args = fc.record({ a: value, b: value, c: value }, { requiredKeys: [] })
  const number = fc.constantFrom(0, 1, 2, 3)
  const text = fc.constantFrom('a', 'ab', 'b', '')
  const scalar = fc.oneof(number, text, fc.constantFrom(true, null))
  const operator = fc.oneof(
    fc.tuple(fc.constantFrom('gt', 'gte', 'lt', 'lte'), fc.oneof(number, text)),
    fc.tuple(fc.constantFrom('eq', 'ne', 'contains'), scalar),
    fc.tuple(fc.constantFrom('in', 'notIn', 'subsetOf'), fc.array(scalar, { maxLength: 3 })),
    fc.tuple(fc.constantFrom('startsWith', 'endsWith', 'glob', 'matches'), fc.constantFrom('a', 'ab', 'b')),
    fc.tuple(fc.constant('exists'), fc.boolean()),
    fc.tuple(fc.constant('eq'), fc.constant({ path: 'args.b' })),
    fc.tuple(
      fc.constant('size'),
      fc
        .record({ eq: number, gt: number, lte: number }, { requiredKeys: [] })
        .filter((one) => Object.keys(one).length > 0),
    ),
  )
  const { test: tested, condition } = fc.letrec<{ test: object; condition: Condition }>((tie) => ({
    test: fc.oneof(
      { maxDepth: 3 },
      fc.array(operator, { minLength: 1, maxLength: 3 }).map((pairs) => Object.fromEntries(pairs)),
      fc.record({ not: tie('test') }),
      fc.record({ any: fc.array(tie('test'), { minLength: 1, maxLength: 2 }) }),
      fc.record({ every: fc.oneof(tie('test'), fc.record({ 'item.x': tie('test') })) }),
      fc.record({ some: fc.oneof(tie('test'), fc.record({ 'item.x': tie('test') })) }),
    ),
    condition: fc.oneof(
      { maxDepth: 3 },
      fc.dictionary(fc.constantFrom('args.a', 'args.b', 'args.b.b', 'args.c', 'args.a[0]'), tie('test'), {
        minKeys: 1,
        maxKeys: 2,
      }),
      fc.record({ not: tie('condition') }),
      fc.record({ all: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('condition'), { minLength: 1, maxLength: 2 }) }),
    ),
  }))
  void tested
  const subjectOf = (args: unknown) => ({ args, session: {}, tool: {}, now: 0 }) as unknown as Subject
  const treeOf = (when: Condition) => parseCondition(when, 'when')

  it('what is said to be impossible is true of no call', () => {
    let tried = 0
    let said = 0
    fc.assert(
      fc.property(condition, fc.array(args, { minLength: 20, maxLength: 20 }), (when, calls) => {
        tried++
        const tree = treeOf(when)
        if (!impossible([{ tree, truth: true }], undefined)) return
        said++
        const truth = compileTree(tree)
        for (const call of calls) expect(truth(subjectOf(call))).not.toBe(TRUE)
      }),
      { numRuns: 3_000 },
    )
    expect(said).toBeGreaterThan(tried / 30)
  })

  it('what is said to be evaded does not match without the argument', () => {
    const schema = { type: 'object', properties: { a: {}, b: {}, c: {} } }
    fc.assert(
      fc.property(condition, fc.array(args, { minLength: 5, maxLength: 5 }), (when, calls) => {
        const policy = policyOf({ tools: 't', when, then: 'deny' })
        const found = checkPolicy(policy, { tools: [{ name: 't', schema }] }).problems
        const truth = compileTree(treeOf(when))
        for (const { code, message } of found) {
          const path = /leaving `args\.([abc])` out/.exec(message)?.[1]
          if (code !== 'deny-on-optional' || path === undefined) continue
          for (const call of calls) expect(truth(subjectOf({ ...call, [path]: undefined }))).toBeLessThan(ERROR)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
