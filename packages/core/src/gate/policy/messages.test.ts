/** What is told of conditions that do not load, in full; and the decisions of policies that do. */
import { describe, expect, it, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { compilePolicy } from './compile.ts'
import { explainPolicy, formatExplanation } from './explain.ts'
import { itemSchemas, Opener, propertySchemas, TooWide, typesOf, valuesOf } from './json-schema.ts'
import type { Rule, Subject } from './policy.ts'

const policyOf = (...rules: object[]) => compilePolicy({ default: 'deny', rules: rules as Rule[] })

function told(rule: object): string {
  try {
    policyOf({ id: 'r', tools: 't', then: 'deny', ...rule })
  } catch (error) {
    if (ConfigError.isInstance(error)) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a condition that can not be meant', () => {
  // `@` stands for `rules.0.when.`
  it.each<[object, string]>([
    [{ 'args.a': { gt: true } }, '`@args.a.gt` is not what `gt` takes: a number, a text or `{ path: … }`'],
    [{ 'args.a': { in: 'a' } }, '`@args.a.in` is not what `in` takes: a list or `{ path: … }`'],
    [
      { 'args.a': { in: [{}] } },
      '`@args.a.in.0` is not what `in` takes: a text, a number, `true` or `false` or `null`',
    ],
    [{ 'args.a': { matches: 7 } }, '`@args.a.matches` is not what `matches` takes: a text'],
    [{ 'args.a': { matches: { path: 'args.b' } } }, '`@args.a.matches` is not what `matches` takes: a text'],
    [{ 'args.a': { glob: ['a', 7] } }, '`@args.a.glob.1` is not what `glob` takes: a text'],
    [
      { 'args.a': { startsWith: null } },
      '`@args.a.startsWith` is not what `startsWith` takes: a text or `{ path: … }`',
    ],
    [{ 'args.a': { contains: {} } }, '`@args.a.contains` is empty; another path is written `{ path: … }`'],
    [{ 'args.a': { contains: { path: 7 } } }, '`@args.a.contains.path` is a path, as text'],
    [
      { 'args.a': { contains: { path: 'args.b', also: 1 } } },
      '`@args.a.contains.also` is not known here; known are `path`',
    ],
    [{ 'args.a': { subsetOf: 'a' } }, '`@args.a.subsetOf` is not what `subsetOf` takes: a list or `{ path: … }`'],
    [{ 'args.a': { exists: 'yes' } }, '`@args.a.exists` is not what `exists` takes: `true` or `false`'],
    [{ 'args.a': { size: { gt: -1 } } }, '`@args.a.size.gt` is compared with a size, which is a whole number'],
    [{ 'args.a': { size: { gt: 1.5 } } }, '`@args.a.size.gt` is compared with a size, which is a whole number'],
    [{ 'args.a': { size: { in: [1, -1] } } }, '`@args.a.size.in` is compared with a size, which is a whole number'],
    [{ 'args.a': { size: { gt: { path: 'session.agent' } } } }, '`@args.a.size.gt` is not compared with numbers'],
    [{ 'args.a': { size: { in: { path: 'session.scopes' } } } }, '`@args.a.size.in` is not compared with numbers'],
    [
      { 'args.a': { size: { startsWith: 'a' } } },
      '`@args.a.size.startsWith` is not an operator for a size; known are `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `notIn`, `all`, `any`, `not`',
    ],
    [{ 'session.agent': { gt: 5 } }, '`@session.agent.gt` is compared with `session.agent`, which is a text'],
    [{ 'session.agent': ['a'] }, '`@session.agent` is a list; say `in` for one of several'],
    [{ 'session.depth': 'a' }, '`@session.depth` is compared with `session.depth`, which is a number'],
    [
      { 'session.depth': { startsWith: 'a' } },
      '`@session.depth.startsWith` asks `startsWith` of `session.depth`, which is a number',
    ],
    [
      { 'session.scopes': { eq: 'a' } },
      '`@session.scopes.eq` is compared with `session.scopes`, which is a list of texts',
    ],
    [
      { 'session.scopes': { contains: 7 } },
      '`@session.scopes.contains` is compared with `session.scopes`, which is a list of texts',
    ],
    [
      { 'session.scopes': { contains: { path: 'session.depth' } } },
      '`@session.scopes.contains` compares `session.scopes` with `session.depth`, which is a number',
    ],
    [
      { 'session.scopes': { subsetOf: { path: 'session.agent' } } },
      '`@session.scopes.subsetOf` compares `session.scopes` with `session.agent`, which is a text',
    ],
    [
      { 'session.agent': { in: { path: 'session.agent' } } },
      '`@session.agent.in` compares `session.agent` with `session.agent`, which is a text',
    ],
    [
      { 'session.depth': { in: { path: 'session.scopes' } } },
      '`@session.depth.in` compares `session.depth` with `session.scopes`, which is a list of texts',
    ],
    [
      { 'session.depth': { notIn: { path: 'session.scopes' } } },
      '`@session.depth.notIn` compares `session.depth` with `session.scopes`, which is a list of texts',
    ],
    [
      { 'session.agent': { eq: { path: 'session.depth' } } },
      '`@session.agent.eq` compares `session.agent` with `session.depth`, which is a number',
    ],
    [
      { 'session.agent': { contains: { path: 'session.depth' } } },
      '`@session.agent.contains` compares `session.agent` with `session.depth`, which is a number',
    ],
    [
      { 'session.attributes': { eq: 'a' } },
      '`@session.attributes.eq` asks `eq` of `session.attributes`, which is a map, of which a path names one member',
    ],
    [{ 'time.hour': { gte: 25 } }, '`@time.hour.gte` is no `time.hour`, which is a whole number from 0 to 23'],
    [{ 'time.hour': 24 }, '`@time.hour` is no `time.hour`, which is a whole number from 0 to 23'],
    [{ 'time.hour': { gt: -2 } }, '`@time.hour.gt` is no `time.hour`, which is a whole number from 0 to 23'],
    [{ 'time.hour': 1.5 }, '`@time.hour` is no `time.hour`, which is a whole number from 0 to 23'],
    [
      { 'time.hour': { notIn: [1, 24] } },
      '`@time.hour.notIn.1` is no `time.hour`, which is a whole number from 0 to 23',
    ],
    [
      { 'time.weekday': { gt: 'mon' } },
      '`@time.weekday.gt` puts days in the order of their letters; list them with `in`',
    ],
    [
      { 'time.weekday': { gte: 'mon' } },
      '`@time.weekday.gte` puts days in the order of their letters; list them with `in`',
    ],
    [
      { 'time.weekday': { lt: 'mon' } },
      '`@time.weekday.lt` puts days in the order of their letters; list them with `in`',
    ],
    [
      { 'time.weekday': { lte: 'mon' } },
      '`@time.weekday.lte` puts days in the order of their letters; list them with `in`',
    ],
    [{ 'time.weekday': 'monday' }, '`@time.weekday` is not like `time.weekday`: mon, tue, wed, thu, fri, sat, sun'],
    [
      { 'time.weekday': { ne: 'monday' } },
      '`@time.weekday.ne` is not like `time.weekday`: mon, tue, wed, thu, fri, sat, sun',
    ],
    [
      { 'time.weekday': { in: ['mon', 'Mon'] } },
      '`@time.weekday.in.1` is not like `time.weekday`: mon, tue, wed, thu, fri, sat, sun',
    ],
    [{ 'time.date': '1.5.2026' }, '`@time.date` is not like `time.date`: 2026-11-23'],
    [{ 'time.date': { lt: '1.5.2026' } }, '`@time.date.lt` is not like `time.date`: 2026-11-23'],
    [{ 'tool.readOnly': 'yes' }, '`@tool.readOnly` is compared with `tool.readOnly`, which is `true` or `false`'],
    [
      { 'tool.readOnly': { gt: true } },
      '`@tool.readOnly.gt` is not what `gt` takes: a number, a text or `{ path: … }`',
    ],
    [{ 'session.agnet': 'a' }, '`@session.agnet` is not a path; did you mean `session.agent`?'],
    [
      { 'sesion.agent': 'a' },
      '`@sesion.agent` is not a path, which begins with `args`, `session`, `tool`, `time`; did you mean `session.agent`?',
    ],
    [
      { time: 1 },
      '`@time` names no field; known are `time.hour`, `time.minute`, `time.weekday`, `time.day`, `time.month`, `time.year`, `time.date`, `time.clock`',
    ],
    [
      { session: 1 },
      '`@session` names no field; known are `session.id`, `session.agent`, `session.tenant`, `session.scopes`, `session.attributes`, `session.depth`',
    ],
    [{ 'session.agent.x': 1 }, '`@session.agent.x` is not a path; nothing stands below `session.agent`'],
    [{ 'session.scopes.x': 1 }, '`@session.scopes.x` is not a path; nothing stands below `session.scopes`'],
    [{ 'session.scopes[0].x': 1 }, '`@session.scopes[0].x` is not a path; nothing stands below `session.scopes`'],
    [{ 'item.a': 1 }, '`@item.a` names `item`, which stands for an item inside `every` and `some`'],
    [{ 'args.a': { gte_: 1 } }, '`@args.a.gte_` is not an operator; did you mean `gte`?'],
    [{ 'args.a': { '>': 1 } }, '`@args.a.>` is not an operator; did you mean `gt`?'],
    [{ 'args.a': { size: { '>': 1 } } }, '`@args.a.size.>` is not an operator for a size; did you mean `gt`?'],
    [{ 'args.a': { some: { eqq: 1 } } }, '`@args.a.some.eqq` is not an operator; did you mean `eq`?'],
    [{ and: [{ 'args.a': 1 }] }, '`@and` is not a path; did you mean `all`?'],
    [
      { 'args.a': { size: { every: 1 } } },
      '`@args.a.size.every` is not an operator for a size; known are `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `notIn`, `all`, `any`, `not`',
    ],
    [{ 'session.agent': { every: 'a' } }, '`@session.agent.every` asks `every` of `session.agent`, which is a text'],
    [{ 'session.depth': { size: 1 } }, '`@session.depth.size` asks `size` of `session.depth`, which is a number'],
    [{ all: [] }, '`@all` is a list of at least one'],
    [{ any: {} }, '`@any` is a list of at least one'],
    [{}, '`@` is empty'],
  ])('%j', (when, message) => {
    expect(told({ when }).replace(/rules\.0\.when\.?/, '@')).toBe(message)
  })

  it.each(['tools', 'agents', 'tenants'])('names what names in `%s` are of', (field) => {
    const mail = field === 'tools' ? '' : ', `@`'
    expect(told({ [field]: ['a', 'a b'] })).toBe(
      `\`rules.0.${field}.1\` has a character that no name has; names are of letters, digits, \`_\`, \`.\`, \`:\`${mail}, \`/\` and \`-\`, and \`*\` stands for any run of them; several names are a list`,
    )
    expect(told({ [field]: '' })).toBe(
      `\`rules.0.${field}\` is not a name or a list of names, in which \`*\` stands for any run of characters`,
    )
  })
})

const subject = {
  args: { a: 1 },
  session: { id: 's', agent: 'bot', tenant: 'acme', scopes: [], attributes: {}, depth: 0 },
  tool: { name: 't' },
  now: 0,
} as unknown as Subject

describe('a decision', () => {
  const judge = (...rules: object[]) =>
    policyOf(...rules.map((rule, index) => ({ id: `r${index}`, tools: 't', ...rule })))
      .forTool('t')
      .judge(subject)
  const a = (value: unknown) => ({ when: { 'args.a': value } })

  test('has every rule that asks in it, in their order, after those that deny', () => {
    const { verdict, rule, reason, asking } = judge(
      { then: 'allow' },
      { then: 'ask', ...a(1) },
      { then: 'ask', ...a(2) },
      { then: 'ask', ...a('x'), because: 'three' },
      { then: 'ask' },
      { then: 'deny', ...a(2) },
    )
    expect({ verdict, rule, reason }).toEqual({
      verdict: 'ask',
      rule: 'r1',
      reason: 'rule `r1` asks for approval of this call',
    })
    expect(asking.map(({ id }) => id)).toEqual(['r1', 'r3', 'r4'])
    expect(Object.isFrozen(asking)).toBe(true)
    expect(judge({ then: 'ask' }).asking.map(({ id }) => id)).toEqual(['r0'])
  })

  test('is the first that denies, else what asks, else the first that allows, else the default', () => {
    const told = (...rules: object[]) => {
      const { rule, reason, asking } = judge(...rules)
      return [rule, reason, asking.length]
    }
    expect(told({ then: 'allow' }, { then: 'deny', ...a('x') }, { then: 'deny' })).toEqual([
      'r1',
      'rule `r1` denies this call',
      0,
    ])
    expect(told({ then: 'allow', ...a('x') }, { then: 'allow' })).toEqual(['r1', 'rule `r1` allows this call', 0])
    expect(told({ then: 'allow', because: 'it may' }, { then: 'ask', ...a(2) })).toEqual(['r0', 'it may', 0])
    expect(told({ then: 'allow', ...a(2) })).toEqual(['default', 'no rule matches, and the default is `deny`', 0])
  })

  test('is explained in lines, with what rules are not for', () => {
    const compiled = policyOf(
      { id: 'one', tools: 't', then: 'allow', when: { 'args.a': 1 }, unless: { 'args.a': 2 } },
      { id: 'two', tools: 'x', agents: 'y', then: 'deny' },
      { id: 'three', tools: 't', then: 'ask', when: { 'args.list': { every: 1 } } },
      { id: 'four', tools: 't', then: 'deny', unless: { 'args.a': 1 } },
    )
    expect(formatExplanation(explainPolicy(compiled, subject)).split('\n')).toEqual([
      'allow, by the rule one: rule `one` allows this call',
      '  one (allow) matches',
      '    when',
      '      true    args.a eq 1',
      '    unless',
      '      false   args.a eq 2',
      '  three (ask) does not match',
      '    when',
      '      absent  every item of args.list',
      '  four (deny) does not match',
      '    unless',
      '      true    args.a eq 1',
      '  two (deny) is not for this tool and agent',
    ])
    const throwing = {
      ...subject,
      get args() {
        throw new Error('no')
      },
    }
    const { rules } = explainPolicy(compiled, throwing as unknown as Subject)
    expect(rules[2]?.when).toEqual({
      at: 'rules.2.when.args.list.every',
      says: 'every item of args.list',
      truth: 'error',
      parts: [],
    })
  })
})

describe('a JSON Schema', () => {
  const open = (schema: unknown, root: object = {}) => new Opener(root as never).open(schema)

  test.each<[unknown, unknown[]]>([
    [true, [[]]],
    [false, []],
    ['odd', [[]]],
    [{ anyOf: [{ type: 'string' }, false] }, [[{ anyOf: expect.anything() }, { type: 'string' }]]],
    [{ type: 'string', anyOf: [{ type: 'number' }, { type: 'string' }] }, [[expect.anything(), { type: 'string' }]]],
    [{ if: {}, then: { title: 'a' } }, [[expect.anything(), { title: 'a' }], [expect.anything()]]],
    [{ dependentSchemas: { x: { title: 'a' } } }, [[expect.anything(), { title: 'a' }], [expect.anything()]]],
    [{ allOf: [{ title: 'a' }, { title: 'b' }] }, [[expect.anything(), { title: 'a' }, { title: 'b' }]]],
  ])('%j is opened into what may hold', (schema, cases) => {
    expect(open(schema)).toEqual(cases)
  })

  test.each<[string, unknown]>([
    ['#/defs/a', { title: 'a' }],
    ['#/defs/x~1y', { title: 'slash' }],
    ['#/defs/x~0y', { title: 'tilde' }],
    ['#/defs/x%20y', { title: 'blank' }],
    ['#/defs/%', { title: 'percent' }],
  ])('finds %s', ($ref, found) => {
    const defs = {
      a: { title: 'a' },
      'x/y': { title: 'slash' },
      'x~y': { title: 'tilde' },
      'x y': { title: 'blank' },
      '%': { title: 'percent' },
      text: 'abc',
    }
    expect(open({ $ref }, { defs })).toEqual([[{ $ref }, found]])
    for (const nowhere of [
      '#/defs/none',
      '#/defs/text/length',
      '#/defs/a/title/x',
      'other#/defs/a',
      '#/defs/toString',
    ]) {
      expect(open({ $ref: nowhere }, { defs })).toEqual([[{ $ref: nowhere }]])
    }
  })

  test('refers to the whole, and is not followed round for ever', () => {
    const root = { title: 'root', anyOf: [{ $ref: '#' }] }
    expect(open(root, root)).toEqual([[root, root.anyOf[0]]])
  })

  test('with too many alternatives is not opened', () => {
    const two = { anyOf: [{}, {}] }
    expect(open({ allOf: Array(8).fill(two) }).length).toBe(256)
    expect(() => open({ allOf: Array(9).fill(two) })).toThrow(TooWide)
  })

  test.each<[object[], string[] | undefined]>([
    [[{}], undefined],
    [[{ type: 'string' }], ['string']],
    [[{ type: ['string', 7, 'null'] }], ['string', 'null']],
    [[{ type: 'string', nullable: true }], ['string', 'null']],
    [[{ type: 'string', nullable: false }], ['string']],
    [[{ nullable: true }], undefined],
    [[{ type: 'integer' }], ['integer']],
    [[{ type: ['integer', 'number'] }], ['number']],
    [[{ type: 'integer' }, { type: 'number' }], ['integer']],
    [[{ type: 'number' }, { type: 'number' }], ['number']],
    [[{ type: ['string', 'null'] }, { type: ['null', 'object'] }], ['null']],
    [[{ type: 'string' }, { type: 'number' }], []],
    [[{ type: 'string' }, {}, { type: ['string', 'number'] }], ['string']],
  ])('%j is of the types %j', (pieces, types) => {
    expect(typesOf(pieces as never)).toEqual(types)
  })

  test.each<[object[], unknown[] | undefined]>([
    [[{}], undefined],
    [[{ enum: [1, 2] }], [1, 2]],
    [[{ const: undefined }], [undefined]],
    [[{ const: 1, enum: [2] }], [1]],
    [[{ enum: [1, 2], nullable: true }], [1, 2, null]],
    [[{ enum: [1, 2], nullable: 1 }], [1, 2]],
    [[{ enum: 'ab' }], undefined],
    [
      [{ enum: [1, { a: 1 }, 3] }, { enum: [3, { a: 1 }] }],
      [{ a: 1 }, 3],
    ],
    [[{ enum: [1] }, { enum: [2] }], []],
  ])('%j lists %j', (pieces, values) => {
    expect(valuesOf(pieces as never)).toEqual(values)
  })

  test.each<[object, number | undefined, unknown[] | undefined]>([
    [{}, undefined, undefined],
    [{}, 0, undefined],
    [{ items: { a: 1 } }, undefined, [{ a: 1 }]],
    [{ items: { a: 1 } }, 5, [{ a: 1 }]],
    [{ prefixItems: [{ a: 1 }] }, undefined, [{ a: 1 }, true]],
    [{ prefixItems: [{ a: 1 }] }, 0, [{ a: 1 }]],
    [{ prefixItems: [{ a: 1 }] }, 1, [true]],
    [{ prefixItems: [{ a: 1 }], items: false }, 1, [false]],
    [{ items: [{ a: 1 }], additionalItems: { b: 1 } }, undefined, [{ a: 1 }, { b: 1 }]],
    [{ items: [{ a: 1 }], additionalItems: { b: 1 } }, 1, [{ b: 1 }]],
    [{ items: [{ a: 1 }] }, 1, [true]],
  ])('%j has at %j the items %j', (piece, index, items) => {
    expect(itemSchemas(piece as never, index)).toEqual(items)
  })

  test('declares properties by name and by pattern; a pattern that can not be read may be meant', () => {
    const piece = { properties: { a: 1 }, patternProperties: { '^a': 2, b: 3, '(': 4 } }
    expect(propertySchemas(piece, 'a')).toEqual([1, 2, 4])
    expect(propertySchemas(piece, 'cb')).toEqual([3, 4])
    expect(propertySchemas({ properties: { a: 1 } }, 'toString')).toEqual([])
    expect(propertySchemas({ properties: null, patternProperties: [] }, 'a')).toEqual([])
  })
})
