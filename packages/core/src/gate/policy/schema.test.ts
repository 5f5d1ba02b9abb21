import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ConfigError } from '../../errors.ts'
import { COMBINATORS, OPERATORS } from './operands.ts'
import { FIELDS } from './paths.ts'
import { checkDocument, policyJsonSchema, policySchema } from './schema.ts'

function refusal(document: unknown): ConfigError {
  try {
    checkDocument(document)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).code).toBe('invalid-policy')
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

const ruled = (rule: object, more: object = {}) => ({
  default: 'deny',
  rules: [{ id: 'a', then: 'deny', ...rule }],
  ...more,
})
const when = (condition: unknown) => ruled({ when: condition })

describe('a document', () => {
  test.each([
    ['a policy of no rules', { default: 'deny', rules: [] }],
    ['one that allows by default and says so', { default: 'allow', allowByDefault: true, rules: [] }],
    ['all its fields', { $schema: 'x', name: 'n', version: 1, zone: 'Europe/Berlin', default: 'ask', rules: [] }],
    [
      'a rule that asks',
      {
        default: 'deny',
        rules: [
          {
            id: 'a',
            then: 'ask',
            approvers: ['U1', 'U2'],
            quorum: 2,
            timeout: '5m',
            onTimeout: 'deny',
            selfApproval: false,
          },
        ],
      },
    ],
    ['fields of its own that are undefined, as if they were not there', ruled({}, { name: undefined })],
    [
      'functions, when it has a version',
      ruled({ when: () => true, unless: { any: [() => false] } }, { version: 'v1' }),
    ],
    [
      'operators of every kind',
      when({
        'args.x': { all: [{ size: { lte: 3 } }, { every: { 'item.a': 1, not: { exists: false } } }], some: 'a' },
      }),
    ],
    ['bounds one beyond what there is', when({ 'time.hour': { lt: 24, gt: -1 } })],
    [
      'other paths',
      when({ 'args.x': { in: { path: 'session.attributes.mine' } }, 'time.hour': { gte: { path: 'args.from' } } }),
    ],
  ])('may have %s', (_, document) => {
    expect(() => checkDocument(document)).not.toThrow()
    expect(policySchema.safeParse(checkDocument(document)).success).toBe(true)
  })

  test.each<[path: string, because: string, document: unknown]>([
    ['', 'map of fields', null],
    ['', 'map of fields', 'deny'],
    ['', 'map of fields', []],
    ['default', 'is missing', { rules: [] }],
    ['rules', 'is missing', { default: 'deny' }],
    ['defualt', 'did you mean `default`?', { defualt: 'deny', rules: [] }],
    ['timezone', 'did you mean `zone`?', { default: 'deny', rules: [], timezone: 'UTC' }],
    ['default', 'did you mean `deny`?', { default: 'Deny', rules: [] }],
    ['default', '`allow`, `ask` or `deny`', { default: true, rules: [] }],
    ['default', '`allowByDefault: true`', { default: 'allow', rules: [] }],
    ['allowByDefault', 'is not `true`', { default: 'allow', allowByDefault: false, rules: [] }],
    ['allowByDefault', 'other than `allow`', { default: 'ask', allowByDefault: true, rules: [] }],
    ['zone', 'did you mean `Europe/Berlin`?', { default: 'deny', zone: 'Europe/Belin', rules: [] }],
    ['zone', 'is not an IANA zone', { default: 'deny', zone: '+01:00', rules: [] }],
    ['version', 'a text or a number', { default: 'deny', version: true, rules: [] }],
    ['rules', 'is not a list of rules', { default: 'deny', rules: {} }],
    ['rules.0', 'map of fields', { default: 'deny', rules: ['x'] }],
    [
      'rules',
      '10,000',
      { default: 'deny', rules: Array.from({ length: 10_001 }, (_, i) => ({ id: `r${i}`, then: 'deny' })) },
    ],
    ['rules.0.id', 'is missing', { default: 'deny', rules: [{ then: 'deny' }] }],
    ['rules.0.id', '1 to 64', ruled({ id: 'has space' })],
    ['rules.0.id', '1 to 64', ruled({ id: 'a\n' })],
    ['rules.0.id', '1 to 64', ruled({ id: '' })],
    ['rules.0.id', '1 to 64', ruled({ id: 'x'.repeat(65) })],
    ['rules.0.id', '1 to 64', ruled({ id: 5 })],
    ['rules.0.id', 'reserved', ruled({ id: 'default' })],
    [
      'rules.1.id',
      '`rules.0`',
      {
        default: 'deny',
        rules: [
          { id: 'a', then: 'deny' },
          { id: 'a', then: 'deny' },
        ],
      },
    ],
    ['rules.0.then', 'is missing', { default: 'deny', rules: [{ id: 'a' }] }],
    ['rules.0.then', 'did you mean `deny`?', ruled({ then: 'block' })],
    ['rules.0.thn', 'did you mean `then`?', { default: 'deny', rules: [{ id: 'a', thn: 'deny' }] }],
    ['rules.0.effect', 'did you mean `then`?', ruled({ effect: 'deny' })],
    ['rules.0.tool', 'did you mean `tools`?', ruled({ tool: 'x' })],
    ['rules.0.tools', 'at least one', ruled({ tools: [] })],
    ['rules.0.agents', 'a name', ruled({ agents: '' })],
    ['rules.0.tenants', 'a name', ruled({ tenants: 5 })],
    ['rules.0.tools.1', 'a name', ruled({ tools: ['a', 5] })],
    ['rules.0.tools.1', 'lone backslash', ruled({ tools: ['a', 'C:\\W*'] })],
    ['rules.0.agents', 'lone backslash', ruled({ agents: 'a\\' })],
    ['rules.0.tools', 'several names are a list', ruled({ tools: 'pay, refund' })],
    ['rules.0.tools', 'no name has', ruled({ tools: 'pay|refund' })],
    ['rules.0.tools', 'no name has', ruled({ tools: '!pay' })],
    ['rules.0.tools', 'no name has', ruled({ tools: '{pay,refund}' })],
    ['rules.0.tools', 'no name has', ruled({ tools: 'pay?' })],
    ['rules.0.tools', 'no name has', ruled({ tools: 'p\u0430y' })],
    ['rules.0.tools.1', 'no name has', ruled({ tools: ['pay', ' refund'] })],
    ['rules.0.tools', 'no name has', ruled({ tools: 'a\\*' })],
    ['rules.0.tools', 'no name has', ruled({ tools: 'bot@acme' })],
    ['rules.0.agents', 'no name has', ruled({ agents: 'a b' })],
    ['rules.0.tenants', 'no name has', ruled({ tenants: 'a,b' })],
    ['rules.0.because', 'a reason', ruled({ because: '' })],
    ['rules.0.approvers', '`ask`', ruled({ approvers: ['U1'] })],
    ['rules.0.selfApproval', '`ask`', ruled({ then: 'allow', selfApproval: false })],
    ['rules.0.approvers', 'at least one', ruled({ then: 'ask', approvers: [] })],
    ['rules.0.quorum', 'whole number', ruled({ then: 'ask', quorum: 0 })],
    ['rules.0.quorum', 'more than there are', ruled({ then: 'ask', approvers: ['U1', 'U1'], quorum: 2 })],
    ['rules.0.quorum', 'whole number', ruled({ then: 'ask', quorum: 1.5 })],
    ['rules.0.quorum', 'more than there are', ruled({ then: 'ask', quorum: 2, approvers: ['U1'] })],
    ['rules.0.timeout', 'a duration', ruled({ then: 'ask', timeout: '5 minutes' })],
    ['rules.0.timeout', 'a duration', ruled({ then: 'ask', timeout: 300 })],
    ['rules.0.onTimeout', 'is not `deny`', ruled({ then: 'ask', onTimeout: 'allow' })],
    ['rules.0.selfApproval', 'is not `false`', ruled({ then: 'ask', selfApproval: true })],
    ['rules.0.when', 'needs a `version`', when(() => true)],
    [
      'rules.0.unless.any.1.not',
      'needs a `version`',
      ruled({ unless: { any: [{ 'args.x': 1 }, { not: () => true }] } }),
    ],
  ])('is refused at %s: %s', (path, because, document) => {
    const error = refusal(document)
    expect(error.path).toBe(path)
    expect(error.message).toContain(because)
    expect(error.message.startsWith(path === '' ? 'the policy ' : `\`${path}\` `)).toBe(true)
    expect(policySchema.safeParse(document).success).toBe(false)
  })

  test.each<[path: string, because: string, condition: unknown]>([
    ['', 'is a map of paths', 'args.amount > 100'],
    ['', 'is a map of paths', true],
    ['', 'is a map of paths', null],
    ['', 'a list stands under', [{ 'args.x': 1 }]],
    ['', 'is empty', {}],
    ['.args.x', 'is empty', { 'args.x': {} }],
    ['.args.x', 'say `in`', { 'args.x': [1, 2] }],
    ['.args.x', 'a whole condition', { 'args.x': () => true }],
    ['.args.x.gtt', 'did you mean `gt`?', { 'args.x': { gtt: 5 } }],
    ['.args.x.>=', 'did you mean `gte`?', { 'args.x': { '>=': 5 } }],
    ['.args.x.startswith', 'did you mean `startsWith`?', { 'args.x': { startswith: 'a' } }],
    ['.args.x.regex', 'did you mean `matches`?', { 'args.x': { regex: 'a' } }],
    ['.args.x.oneOf', 'did you mean `in`?', { 'args.x': { oneOf: ['a'] } }],
    ['.args.x.constructor', 'is not an operator', { 'args.x': { constructor: 'a' } }],
    ['.args.x.args.y', 'is not an operator', { 'args.x': { 'args.y': 1 } }],
    ['.arg.x', 'did you mean `args.x`?', { 'arg.x': 1 }],
    ['.session.agnet', 'did you mean `session.agent`?', { 'session.agnet': 'x' }],
    ['.item.x', 'inside `every` and `some`', { 'item.x': 1 }],
    ['.args.x.eq.path', 'inside `every` and `some`', { 'args.x': { eq: { path: 'item.y' } } }],
    ['.all', 'at least one', { all: [] }],
    ['.any', 'at least one', { any: { 'args.x': 1 } }],
    ['.all.1', 'is empty', { all: [{ 'args.x': 1 }, {}] }],
    ['.not', 'is empty', { not: {} }],
    ['.not', 'a list stands under', { not: [{ 'args.x': 1 }] }],
    ['.ALL', 'is not a path', { ALL: [{ 'args.x': 1 }] }],
    ['.args.x.all', 'at least one', { 'args.x': { all: [] } }],
    ['.args.x.any.0.gtt', 'did you mean `gt`?', { 'args.x': { any: [{ gtt: 1 }] } }],
    ['.args.x.not.gtt', 'did you mean `gt`?', { 'args.x': { not: { gtt: 1 } } }],
    ['.args.x.every.gtt', 'did you mean `gt`?', { 'args.x': { every: { gtt: 1 } } }],
    ['.args.x.some.length', 'did you mean `size`?', { 'args.x': { some: { length: 1 } } }],
    ['.args.x.every.itm.a', 'did you mean `item.a`?', { 'args.x': { every: { 'itm.a': 1 } } }],
    ['.args.x.every', 'is empty', { 'args.x': { every: {} } }],
    ['.args.x.every', 'a whole condition', { 'args.x': { every: () => true } }],
    ['.args.x.every.all.0', 'a whole condition', { 'args.x': { every: { all: [() => true] } } }],
    ['.args.x.gt', 'a number, a text', { 'args.x': { gt: true } }],
    ['.args.x.gt', 'a number, a text', { 'args.x': { gt: null } }],
    ['.args.x.gt', 'a number, a text', { 'args.x': { gt: [1] } }],
    ['.args.x.lte', 'not a finite number', { 'args.x': { lte: Number.NaN } }],
    ['.args.x', 'not a finite number', { 'args.x': Number.POSITIVE_INFINITY }],
    ['.args.x', 'is a bigint', { 'args.x': 5n }],
    ['.args.x.in', 'a list', { 'args.x': { in: 'abc' } }],
    ['.args.x.in.1', '`in` takes', { 'args.x': { in: [1, {}] } }],
    ['.args.x.in.0', '`in` takes', { 'args.x': { in: [{ path: 'args.y' }] } }],
    ['.args.x.subsetOf', 'a list', { 'args.x': { subsetOf: 'a' } }],
    ['.args.x.startsWith', 'a text', { 'args.x': { startsWith: 5 } }],
    ['.args.x.contains', 'a text', { 'args.x': { contains: ['a'] } }],
    ['.args.x.exists', '`true` or `false`', { 'args.x': { exists: 'yes' } }],
    ['.args.x.matches', 'RE2', { 'args.x': { matches: '(' } }],
    ['.args.x.matches', 'RE2', { 'args.x': { matches: '(?!a)' } }],
    ['.args.x.matches', 'a text', { 'args.x': { matches: /a/.source.length } }],
    ['.args.x.matches', '1,000', { 'args.x': { matches: 'a'.repeat(1_001) } }],
    ['.args.x.matches', 'too much', { 'args.x': { matches: 'a{1000}'.repeat(9) } }],
    ['.args.x.glob', 'is an empty list', { 'args.x': { glob: [] } }],
    ['.args.x.glob.1', 'lone backslash', { 'args.x': { glob: ['a', '\\d'] } }],
    ['.args.x.glob.0', 'a text', { 'args.x': { glob: [5] } }],
    ['.args.x.eq.pth', 'did you mean `path`?', { 'args.x': { eq: { pth: 'args.y' } } }],
    ['.args.x.eq.also', 'not known here', { 'args.x': { eq: { path: 'args.y', also: 1 } } }],
    ['.args.x.eq', 'is empty', { 'args.x': { eq: {} } }],
    ['.args.x.eq.path', 'is a path, as text', { 'args.x': { eq: { path: 5 } } }],
    ['.args.x.eq.path', 'did you mean `session.tenant`?', { 'args.x': { eq: { path: 'session.tenat' } } }],
    ['.args.x.size', 'whole number', { 'args.x': { size: 'a' } }],
    ['.args.x.size', 'whole number', { 'args.x': { size: -1 } }],
    ['.args.x.size.gt', 'whole number', { 'args.x': { size: { gt: 1.5 } } }],
    ['.args.x.size.eq', 'whole number', { 'args.x': { size: { eq: [1] } } }],
    ['.args.x.size.contains', 'is not an operator for a size', { 'args.x': { size: { contains: 1 } } }],
    ['.args.x.size.size', 'is not an operator for a size', { 'args.x': { size: { size: 1 } } }],
    ['.args.x.size.gtt', 'did you mean `gt`?', { 'args.x': { size: { gtt: 1 } } }],
    ['.args.x.size.lt', 'not compared with numbers', { 'args.x': { size: { lt: { path: 'session.agent' } } } }],
    ['.session.depth', 'which is a number', { 'session.depth': '1' }],
    ['.session.depth.gt', 'which is a number', { 'session.depth': { gt: '1' } }],
    ['.session.agent.in.1', 'which is a text', { 'session.agent': { in: ['a', 5] } }],
    ['.session.tenant', 'which is a text', { 'session.tenant': null }],
    ['.session.scopes', 'which is a list', { 'session.scopes': 'read' }],
    ['.session.scopes.in', 'which is a list', { 'session.scopes': { in: ['read'] } }],
    ['.session.scopes.contains', 'which is a list', { 'session.scopes': { contains: 5 } }],
    ['.session.attributes', 'which is a map', { 'session.attributes': 'x' }],
    ['.session.id.every', 'which is a text', { 'session.id': { every: 'x' } }],
    ['.session.depth.size', 'which is a number', { 'session.depth': { size: 1 } }],
    ['.session.agent.eq', 'which is a number', { 'session.agent': { eq: { path: 'session.depth' } } }],
    ['.session.agent.in', 'which is a text', { 'session.agent': { in: { path: 'session.tenant' } } }],
    ['.tool.readOnly', '`true` or `false`', { 'tool.readOnly': 'true' }],
    ['.tool.readOnly.gt', '`true` or `false`', { 'tool.readOnly': { gt: 0 } }],
    ['.args.x.lte', 'is undefined', { 'args.x': { gt: 0, lte: undefined } }],
    ['.args.y', 'is undefined', { 'args.x': 1, 'args.y': undefined }],
    ['.any.0.args.y', 'is undefined', { any: [{ 'args.x': 1, 'args.y': undefined }] }],
    ['.and', 'did you mean `all`?', { and: [{ 'args.x': 1 }] }],
    ['.||', 'did you mean `any`?', { '||': [{ 'args.x': 1 }] }],
    ['.any.0.!', 'did you mean `not`?', { any: [{ '!': { 'args.x': 1 } }] }],
    ['.time.weekday', 'mon, tue', { 'time.weekday': 'monday' }],
    ['.time.weekday.in.1', 'mon, tue', { 'time.weekday': { in: ['sat', 'Sun'] } }],
    ['.time.weekday.gte', 'order of their letters', { 'time.weekday': { gte: 'mon' } }],
    ['.time.hour', 'from 0 to 23', { 'time.hour': 24 }],
    ['.time.hour.in.1', 'from 0 to 23', { 'time.hour': { in: [9, 9.5] } }],
    ['.time.hour.lt', 'from 0 to 23', { 'time.hour': { lt: 25 } }],
    ['.time.month', 'from 1 to 12', { 'time.month': 0 }],
    ['.time.clock.gte', '07:43', { 'time.clock': { gte: '9:00' } }],
    ['.time.clock', '07:43', { 'time.clock': '24:00' }],
    ['.time.date.lt', '2026-11-23', { 'time.date': { lt: '2026-1-1' } }],
  ])('is refused for a condition at %s: %s', (path, because, condition) => {
    const error = refusal(when(condition))
    expect(error.path).toBe(`rules.0.when${path}`)
    expect(error.message).toContain(because)
  })

  test('is refused for the first thing that is wrong', () => {
    const rules = [
      { id: 'a', then: 'deny' },
      { id: 'b', then: 'dny' },
      { id: 'c', thn: 'deny' },
    ]
    expect(refusal({ default: 'deny', rules }).path).toBe('rules.1.then')
  })

  test('never has what it holds repeated in a message', () => {
    const secret = 'hunter2-hunter2'
    const documents = [
      { default: secret, rules: [] },
      ruled({ id: `${secret} ` }),
      ruled({ then: secret }),
      ruled({ tools: `${secret}\\d` }),
      ruled({ then: 'ask', timeout: secret }),
      when(secret),
      when({ 'args.x': { matches: `(${secret}` } }),
      when({ 'time.weekday': secret }),
      when({ 'args.x': { eq: { path: `${secret} ` } } }),
      { default: 'deny', zone: secret, rules: [] },
    ]
    for (const document of documents) expect(refusal(document).message).not.toContain(secret)
  })

  test('does not let an odd key shape a message', () => {
    const error = refusal({ default: 'deny', rules: [], 'x`\n\u202E': 1 })
    expect(error.path).toBe('?')
    expect(refusal({ default: 'deny', rules: [], ['x'.repeat(1_000)]: 1 }).message.length).toBeLessThan(300)
  })
})

describe('conditions in words of other languages', () => {
  const TEN = [
    '(amount > 100)',
    'amount > 1e2',
    'amount > 100 && to == "bob"',
    'not amount',
    'amount >',
    'amount => 100',
    'amount > "100"',
    'amount > 1 or to == "bob"',
    'amount == 1,000',
    '!amount',
  ]

  test.each(TEN)('%s is refused as a condition, as a path and as an operator', (text) => {
    expect(refusal(when(text)).path).toBe('rules.0.when')
    for (const key of [text, `args.${text}`]) expect(() => checkDocument(when({ [key]: true }))).toThrow(ConfigError)
    expect(() => checkDocument(when({ 'args.amount': { [text]: 100 } }))).toThrow(ConfigError)
    expect(() => checkDocument(when({ 'args.amount': { gt: { path: text } } }))).toThrow(ConfigError)
    expect(() => checkDocument(when({ all: [text] }))).toThrow(ConfigError)
    expect(() => checkDocument(when({ not: text }))).toThrow(ConfigError)
  })
})

describe('the JSON Schema', () => {
  const file = new URL('../../../policy.schema.json', import.meta.url)
  const schema = policyJsonSchema() as {
    $defs: Record<string, { properties: Record<string, { description?: string }> }>
  }

  test('is the one that is published', () => {
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(schema)
  })

  test('tells an editor of every field, operator and path', () => {
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      additionalProperties: false,
    })
    const known = Object.entries(FIELDS).flatMap(([root, fields]) =>
      Object.keys(fields).map((name) => `${root}.${name}`),
    )
    expect(Object.keys(schema.$defs.condition?.properties ?? {}).sort()).toEqual([...known, 'all', 'any', 'not'].sort())
    const operators = schema.$defs.operators?.properties ?? {}
    expect(Object.keys(operators).sort()).toEqual([...Object.keys(OPERATORS), ...COMBINATORS].sort())
    for (const [name, { description }] of Object.entries(operators)) expect(description, name).toBeTypeOf('string')
  })

  const parsed = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])
  const accepts = (document: unknown) => parsed.safeParse(document).success

  test.each([
    [{ 'args.x': { gt: 5, lte: { path: 'args.y' } } }],
    [{ 'args["odd key"][0]': 'x', 'session.attributes.a': null, 'tool.labels["b"]': true, 'session.scopes[0]': 'x' }],
    [{ all: [{ 'args.x': 1 }, { any: [{ 'args.x': 2 }] }], not: { 'time.hour': { in: [1] } } }],
    [{ 'args.x': { every: { 'item.a': { size: { gte: 1, not: 3 } }, 'args.b': 1 } } }],
    [{ 'args.x': { some: { glob: ['a', 'b*'], matches: '^a' } } }],
    [{ 'time.weekday': 'mon', 'time.hour': { gte: 9 }, 'time.clock': '07:43', 'tool.readOnly': false }],
    [{ 'args["a.b\\"]"].0a.x-y$[12]': 1, 'session.agent': 'a', 'session.depth': 0, 'session.scopes': { size: 1 } }],
    [{ args: { exists: true, size: 0, subsetOf: ['a', 1], contains: 5, eq: ['a'] } }],
  ])('accepts what the check accepts: %j', (condition) => {
    expect(() => checkDocument(when(condition))).not.toThrow()
    expect(accepts(when(condition))).toBe(true)
  })

  test('marks names that nobody has', () => {
    expect(accepts(ruled({ tools: ['pay_*', 'a.b:c/d-e'], agents: 'bot@acme', tenants: '*' }))).toBe(true)
    for (const tools of ['pay, refund', ['pay', '!refund'], 'p\u0430y', ''])
      expect(accepts(ruled({ tools }))).toBe(false)
  })

  test.each([
    [{}],
    ['args.x > 5'],
    [{ 'arg.x': 1 }],
    [{ 'session.agnet': 1 }],
    [{ 'args.x': { gtt: 1 } }],
    [{ 'args.x': {} }],
    [{ 'args.x': [1] }],
    [{ 'args.x': { gt: true } }],
    [{ 'args.x': { in: 'a' } }],
    [{ 'args.x': { glob: [] } }],
    [{ 'args.x': { size: { contains: 1 } } }],
    [{ 'args.x': { eq: { path: 'args.y', z: 1 } } }],
    [{ all: [] }],
    [{ 'item.x': 1 }],
    [{ 'args..x': 1 }],
    [{ 'args.items[*].x': 1 }],
    [{ 'args.items.0': 1 }],
    [{ 'time.weekday': 'Monday' }],
    [{ 'time.hour': 24 }],
    [{ 'time.clock': '9:00' }],
    [{ 'tool.readOnly': 'yes' }],
    [{ 'session.scopes': 'x' }],
    [{ 'session.attributes': 'x' }],
    [{ 'session.agent': null }],
    [{ 'args.x': { some: { 'time.weekday': 'Mon' } } }],
  ])('marks what the check refuses: %j', (condition) => {
    expect(() => checkDocument(when(condition))).toThrow(ConfigError)
    expect(accepts(when(condition))).toBe(false)
  })
})
