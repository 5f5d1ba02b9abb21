import { format } from '@cfworker/json-schema'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { misfitFrom, misfitOf } from './misfit.ts'

const UNUSABLE = 'the arguments can not be checked against the schema of the tool'
const says = (schema: unknown, args: unknown) => misfitOf(schema)?.(args)

/** What follows the sentence's beginning. */
function tail(sentence: string | undefined): string | undefined {
  return sentence?.replace('the arguments do not fit the tool: ', '')
}

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more })
const list = { type: 'array', items: { type: 'number' } }

describe('what fits', () => {
  const draft7 = 'http://json-schema.org/draft-07/schema#'
  const draft4 = 'http://json-schema.org/draft-04/schema#'
  /** A tree with two kinds of nodes that look alike. */
  const tree = {
    $ref: '#/$defs/node',
    $defs: {
      leaf: object({ value: { type: 'number' } }, { required: ['value'], additionalProperties: false }),
      node: { anyOf: [{ $ref: '#/$defs/leaf' }, object({ left: { $ref: '#/$defs/node' } }, { required: ['left'] })] },
    },
  }

  it.each<[what: string, schema: object, fit: unknown[], misfit: unknown[]]>([
    [
      'types',
      object({ n: { type: 'number' } }),
      [{}, { n: 1.5 }, { other: 1 }],
      [{ n: '1' }, { n: null }, [], 'x', null],
    ],
    ['integers', object({ n: { type: 'integer' } }), [{ n: 2 }, { n: 2.0 }], [{ n: 2.5 }, { n: '2' }]],
    ['several types', object({ n: { type: ['string', 'null'] } }), [{ n: 'x' }, { n: null }], [{ n: 1 }]],
    [
      'unions with null',
      object({ n: { anyOf: [{ type: 'string' }, { type: 'null' }], default: null } }),
      [{ n: 'x' }, { n: null }, {}],
      [{ n: 1 }, { n: {} }],
    ],
    ['`nullable`', object({ n: { type: 'string', nullable: true } }), [{ n: 'x' }, { n: null }], [{ n: 1 }]],
    ['a property of that name', object({ nullable: { type: 'boolean' } }), [{ nullable: true }], [{ nullable: 1 }]],
    ['what is required', object({ a: {} }, { required: ['a'] }), [{ a: null }], [{}, { b: 1 }]],
    [
      'what is required and named as every object has it',
      object({}, { required: ['toString', 'constructor'] }),
      [{ toString: 1, constructor: 1 }],
      [{}],
    ],
    [
      'properties named as every object has them',
      object({ constructor: { type: 'number' } }, { additionalProperties: false }),
      [{}, { constructor: 1 }],
      [{ toString: 1 }, { constructor: 'x' }],
    ],
    ['nothing else', object({ a: {} }, { additionalProperties: false }), [{}, { a: 1 }], [{ b: 1 }]],
    ['others by a schema', object({ a: {} }, { additionalProperties: { type: 'number' } }), [{ b: 1 }], [{ b: 'x' }]],
    [
      'names by patterns',
      object(
        { 'x-own': { type: 'string' }, a: {} },
        { patternProperties: { '^x-': { minLength: 2 } }, additionalProperties: false },
      ),
      [{ a: 1, 'x-b': 'bb' }, { 'x-own': 'cc' }, { 'x-n': 5 }],
      [{ b: 1 }, { 'x-b': 'b' }, { 'x-own': 'c' }, { 'x-own': 55 }],
    ],
    [
      'names themselves',
      { propertyNames: { pattern: '^[a-z]+$', maxLength: 3 } },
      [{ abc: 1 }],
      [{ A: 1 }, { abcd: 1 }],
    ],
    [
      'values',
      object({ e: { enum: ['a', 1, null, { x: [1] }] } }),
      [{ e: { x: [1] } }, { e: null }],
      [{ e: 'b' }, { e: {} }],
    ],
    ['one value', object({ c: { const: { a: 1, b: 2 } } }), [{ c: { b: 2, a: 1 } }], [{ c: { a: 1 } }]],
    ['bounds', object({ n: { minimum: 1, exclusiveMaximum: 5 } }), [{ n: 1 }, { n: 4.9 }], [{ n: 0 }, { n: 5 }]],
    [
      'bounds as draft 4 has them, with or without its name',
      object({ n: { minimum: 1, exclusiveMinimum: true, maximum: 5, exclusiveMaximum: false } }),
      [{ n: 1.1 }, { n: 5 }],
      [{ n: 1 }, { n: 5.1 }],
    ],
    [
      'draft 4',
      { $schema: draft4, id: 'https://example.com/tool', ...object({ n: { minimum: 1, exclusiveMinimum: true } }) },
      [{ n: 2 }],
      [{ n: 1 }],
    ],
    ['multiples', object({ n: { multipleOf: 0.1 } }), [{ n: 0.3 }, { n: 1e300 }], [{ n: 0.25 }]],
    [
      'lengths, in characters',
      object({ t: { minLength: 2, maxLength: 2 } }),
      [{ t: '🧾🧾' }],
      [{ t: '🧾' }, { t: 'abc' }],
    ],
    ['patterns', object({ t: { pattern: '^\\d{3}\\-\\p{L}+$' } }), [{ t: '123-é' }], [{ t: '12-é' }, { t: '123-' }]],
    ['patterns anywhere in the text', object({ t: { pattern: 'b+' } }), [{ t: 'abc' }, { t: 5 }], [{ t: 'ac' }]],
    [
      'patterns beside a format and conditions of their own',
      object({ t: { pattern: '^a', format: 'email', allOf: [{ maxLength: 20 }] } }),
      [{ t: 'ab@example.com' }],
      [{ t: 'b@example.com' }, { t: 'ab' }, { t: 'ab@a-very-long-host.example.com' }],
    ],
    ['formats', object({ t: { format: 'date-time' } }), [{ t: '2026-01-01T00:00:00Z' }], [{ t: 'tomorrow' }]],
    ['formats it does not know', object({ t: { format: 'constructor' } }), [{ t: 'x' }, { t: '' }], []],
    [
      'lists',
      object({ l: { ...list, minItems: 1, maxItems: 2 } }),
      [{ l: [1] }],
      [{ l: [] }, { l: [1, 2, 3] }, { l: ['1'] }],
    ],
    [
      'items that differ',
      object({ l: { uniqueItems: true } }),
      [{ l: [1, '1', { a: 1 }] }],
      [{ l: [{ a: 1 }, { a: 1 }] }],
    ],
    [
      'tuples',
      object({ l: { prefixItems: [{ type: 'string' }], items: false } }),
      [{ l: [] }, { l: ['a'] }],
      [{ l: [1] }, { l: ['a', 1] }],
    ],
    [
      'tuples as draft 7 has them',
      object({ l: { items: [{ type: 'string' }], additionalItems: { type: 'number' } } }),
      [{ l: ['a', 1] }],
      [{ l: [1] }, { l: ['a', 'b'] }],
    ],
    ['what a list contains', object({ l: { contains: { const: 1 } } }), [{ l: [2, 1] }], [{ l: [2] }, { l: [] }]],
    ['exactly one', object({ n: { oneOf: [{ minimum: 1 }, { minimum: 5 }] } }), [{ n: 2 }], [{ n: 0 }, { n: 6 }]],
    ['not', object({ n: { not: { type: 'string' } } }), [{ n: 1 }], [{ n: 'x' }]],
    [
      'conditions',
      { if: object({ k: { const: 'a' } }, { required: ['k'] }), then: { required: ['x'] }, else: { required: ['y'] } },
      [{ k: 'a', x: 1 }, { y: 1 }],
      [{ k: 'a' }, { k: 'b' }],
    ],
    ['what depends', { dependentRequired: { a: ['b'] } }, [{}, { a: 1, b: 1 }], [{ a: 1 }]],
    [
      'what depends, as draft 7 has it',
      { dependencies: { a: ['b'], c: { required: ['d'] } } },
      [{ b: 1 }],
      [{ a: 1 }, { c: 1 }],
    ],
    [
      'references',
      tree,
      [{ value: 1 }, { left: { left: { value: 1 } } }],
      [{ value: 'x' }, { left: { right: 1 } }, {}],
    ],
    [
      'references to anywhere',
      {
        ...object({ a: { $ref: '#/components/schemas/Money' } }),
        components: { schemas: { Money: { type: 'number', pattern: 'x', nullable: true } } },
      },
      [{ a: 1 }, { a: null }],
      [{ a: 'x' }],
    ],
    [
      'references of draft 7, which stand alone',
      {
        $schema: draft7,
        ...object({ a: { $ref: '#/definitions/n', maximum: 1 } }),
        definitions: { n: { type: 'number' } },
      },
      [{ a: 5 }],
      [{ a: 'x' }],
    ],
    [
      'references by name',
      { ...object({ a: { $ref: '#n' } }), $defs: { n: { $anchor: 'n', type: 'number' } } },
      [{ a: 1 }],
      [{ a: 'x' }],
    ],
    [
      'what no part of it knows',
      { allOf: [object({ a: {} })], properties: { b: {} }, unevaluatedProperties: false },
      [{ a: 1, b: 1 }],
      [{ c: 1 }],
    ],
    [
      'examples that look like schemas',
      object({
        a: { type: 'object', example: { id: 'http://[', $ref: 7 }, 'x-hint': { id: 1, pattern: '(' } },
        b: { type: 'object', example: { id: 1 }, examples: [{ id: 1 }] },
      }),
      [{ a: {}, b: {} }],
      [{ a: 1 }],
    ],
    [
      'what zod makes of its own',
      z.toJSONSchema(z.object({ e: z.email(), d: z.iso.datetime(), u: z.uuid().optional() })) as object,
      [{ e: 'a@example.com', d: '2026-01-01T00:00:00Z' }],
      [
        { e: 'a', d: '2026-01-01T00:00:00Z' },
        { e: 'a@example.com', d: 'x' },
      ],
    ],
  ])('is told by %s', (_, schema, fit, misfit) => {
    for (const args of fit) expect(says(schema, args), JSON.stringify(args)).toBeUndefined()
    for (const args of misfit) {
      expect(says(schema, args), JSON.stringify(args)).toMatch(/^the arguments do not fit the tool: ./)
    }
  })

  it('is everything, when there is nothing to check by', () => {
    for (const nothing of [undefined, null, true, {}, 'x']) expect(misfitOf(nothing)).toBeUndefined()
  })

  it('is nothing, by a schema that can not be used', () => {
    const cyclic: Record<string, unknown> = {}
    cyclic.not = cyclic
    const unusable = [
      cyclic,
      { $ref: '#/nowhere' },
      { $ref: 'https://example.com/elsewhere.json' },
      { $ref: '#' },
      { allOf: 5 },
      { $id: 'http://[', type: 'object' },
      { patternProperties: { '(?=x)': {} } },
      {
        get type() {
          throw new Error('no')
        },
      },
    ]
    for (const schema of unusable) expect(says(schema, { a: 1 })).toBe(UNUSABLE)
  })

  it('is checked by the schema as it was, which stays as it is', () => {
    const shared = { type: 'number', pattern: 'x' }
    const schema = object({ a: shared, b: shared })
    const before = structuredClone(schema)
    const misfit = misfitOf(schema)
    const frozen = misfitOf(Object.freeze(object({ a: Object.freeze({ type: 'number' }) })))
    expect(schema).toEqual(before)
    expect(Reflect.ownKeys(shared)).toEqual(['type', 'pattern'])
    shared.type = 'string'
    expect(misfit?.({ a: 1 })).toBeUndefined()
    expect(frozen?.({ a: 1 })).toBeUndefined()
  })

  it('is no argument at all, where none is required', () => {
    expect(says({ type: 'object', properties: {} }, undefined)).toBeUndefined()
    expect(tail(says({ type: 'object', required: ['a'] }, undefined))).toBe('`a` is missing')
  })
})

describe('the sentence', () => {
  it.each<[schema: object, args: unknown, sentence: string]>([
    [object({ n: { type: 'number' } }), { n: 'secret' }, '`n` is not of type number'],
    [object({ n: { type: ['string', 'null'] } }), { n: 5 }, '`n` is not of type string or null'],
    [
      object({ a: object({ b: { type: 'array', items: object({ c: { minimum: 3 } }) } }) }),
      { a: { b: [{}, { c: 1 }] } },
      '`a.b[1].c` does not fit `minimum` 3',
    ],
    [object({}, { required: ['a', 'b'] }), {}, '`a` is missing; `b` is missing'],
    [object({ e: { enum: ['x', 'y'] } }), { e: 'z' }, '`e` is not one of ["x","y"]'],
    [object({ e: { const: [1] } }), { e: 'z' }, '`e` is not one of [[1]]'],
    [object({ p: { pattern: '^a+$' } }), { p: 'b' }, '`p` does not fit `pattern` ^a+$'],
    [object({ p: { format: 'email' } }), { p: 'b' }, '`p` does not fit `format` email'],
    [
      {
        $ref: '#/$defs/a',
        $defs: { a: object({ größe: { $ref: '#/$defs/n' }, n: { $ref: '#/$defs/n' } }), n: { type: 'number' } },
      },
      { größe: 'x', n: 'x' },
      '`?` is not of type number; `n` is not of type number',
    ],
    [
      object({ n: { anyOf: [{ type: 'string' }, { type: 'null' }] } }),
      { n: 5 },
      '`n` fits none of the alternatives; `n` is not of type string; `n` is not of type null',
    ],
    [
      object({}, { additionalProperties: false }),
      { sk_live_1: 1, b: 2, c: 3 },
      'has an argument that the tool does not know',
    ],
    [
      object({ a: object({ b: {} }, { additionalProperties: false }) }, { additionalProperties: false }),
      { b: 1, a: { sk_live_1: 1 } },
      '`a` has an argument that the tool does not know; `b` is not known to the tool',
    ],
    [{ additionalProperties: { type: 'number' } }, { sk_live_1: 'x' }, '`?` is not of type number'],
    [{ additionalProperties: { type: 'number' } }, { 4111111111111111: 'x' }, '`?` is not of type number'],
    [{ propertyNames: { maxLength: 3 } }, { sk_live_1: 'x' }, '`?` does not fit `maxLength` 3'],
    [
      object({ a: object({}) }, { unevaluatedProperties: false }),
      { b: 1 },
      'has an argument that the tool does not know',
    ],
    [{ not: {} }, {}, 'does not fit `not`'],
    [
      object({ l: { ...list, maxItems: 1 } }),
      { l: ['a', 'b', 'c'] },
      '`l` does not fit `maxItems` 1; `l[0]` is not of type number; `l[1]` is not of type number',
    ],
  ])('%j, of %j', (schema, args, sentence) => {
    expect(tail(says(schema, args))).toBe(sentence)
  })

  it('is one line, however the schema is written', () => {
    const schema = object({ e: { enum: ['a\n\u2028b', 'x'.repeat(159), '🧾'.repeat(90)] } })
    const sentence = says(schema, { e: 1 }) as string
    expect(sentence).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
    expect(sentence.length).toBeLessThan(260)
    expect(sentence.isWellFormed()).toBe(true)
  })
})

/** Schemas of all kinds, some of them nonsense. */
const anySchema = fc.letrec<{ schema: unknown; word: unknown }>((tie) => ({
  word: fc.oneof(
    fc.constantFrom('object', 'string', 'number', 'null', 'email', '^a+$', '(', '#', '#/properties/a', 'a', 'b'),
    fc.integer({ min: -2, max: 5 }),
    fc.boolean(),
    fc.anything({ maxDepth: 1 }),
  ),
  schema: fc.oneof(
    { depthSize: 'small' },
    fc.boolean(),
    fc.dictionary(
      fc.constantFrom(
        ...['type', 'required', 'enum', 'const', 'minimum', 'pattern', 'format', '$ref', '$id', 'id', 'nullable'],
        ...['minItems', 'uniqueItems', 'maxLength', '$schema', 'dependentRequired', '$anchor', 'x-odd', 'multipleOf'],
      ),
      fc.oneof(tie('word'), fc.array(tie('word'), { maxLength: 3 })),
      { maxKeys: 3 },
    ),
    fc.dictionary(
      fc.constantFrom('items', 'not', 'additionalProperties', 'contains', 'propertyNames', 'if', 'then', 'else'),
      tie('schema'),
      { maxKeys: 2 },
    ),
    fc.dictionary(
      fc.constantFrom('allOf', 'anyOf', 'oneOf', 'prefixItems', 'items'),
      fc.array(tie('schema'), { maxLength: 3 }),
      { maxKeys: 2 },
    ),
    fc.dictionary(
      fc.constantFrom('properties', 'patternProperties', '$defs', 'dependentSchemas', 'dependencies'),
      fc.dictionary(fc.constantFrom('a', 'b', '^a', 'constructor', '(', '__proto__'), tie('schema'), { maxKeys: 3 }),
      { maxKeys: 2 },
    ),
  ),
})).schema

const CANARY = 'canary-4e1f'
/** Arguments whose every text, number and made-up name can be told. */
const canaries = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(CANARY, 715_517_715, true, null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'constructor', `key_${CANARY}`, '715517715'), tie('value'), {
      maxKeys: 4,
    }),
  ),
})).value

describe('whatever the schema and the arguments', () => {
  it('it answers a sentence or nothing, the same each time, and never throws', () => {
    fc.assert(
      fc.property(anySchema, fc.oneof(canaries, fc.anything()), (schema, args) => {
        const misfit = misfitOf(schema)
        const said = misfit?.(args)
        expect(said === undefined || (typeof said === 'string' && /^the arguments /.test(said))).toBe(true)
        expect(misfit?.(args)).toBe(said)
        expect(misfitOf(schema)?.(args)).toBe(said)
      }),
      { numRuns: 3_000 },
    )
  })

  it('it repeats no value of the arguments, and no name that is not the schema’s', () => {
    fc.assert(
      fc.property(anySchema, canaries, (schema, args) => {
        const said = says(schema, args) ?? ''
        expect(said).not.toContain(CANARY)
        expect(said).not.toContain('715517715')
      }),
      { numRuns: 3_000 },
    )
  })

  it('the issues of zod repeat neither, nor what was wrong in other libraries’ words', () => {
    const schema = z.object({
      a: z.number(),
      b: z.enum(['x', 'y']),
      c: z.record(z.string(), z.number()),
      d: z.union([z.string().email(), z.null()]),
    })
    const args = { a: CANARY, b: CANARY, c: { [`key_${CANARY}`]: CANARY }, d: CANARY, [CANARY]: 1 }
    const { error } = schema.strict().safeParse(args)
    const json = z.toJSONSchema(schema)
    expect(misfitFrom(error?.issues, json)).not.toContain(CANARY)
    expect(misfitFrom(error?.issues, json)).toContain('`a` Invalid input: expected number, received string')
    const others = [
      { code: 'invalid_enum_value', options: ['x'], received: CANARY, message: `Expected 'x', received '${CANARY}'` },
      { kind: 'schema', type: 'number', expected: 'number', message: `Expected number but received "${CANARY}"` },
      { code: 'domain', expected: 'a number', message: `must be a number (was "${CANARY}")`, path: ['n'] },
      { message: `Expected number, actual "${CANARY}"`, path: [{ key: 'm' }] },
      null,
      { code: 'unrecognized_keys', keys: [CANARY], message: `Unrecognized key: "${CANARY}"` },
    ]
    const said = others.map((issue) => tail(misfitFrom([issue])))
    expect(said).toEqual([
      'is not one of ["x"]',
      'is not number',
      '`n` is not a number',
      '`m` does not fit',
      'does not fit',
      'has an argument that the tool does not know',
    ])
    for (const nothing of [undefined, null, [], 'x', {}]) {
      expect(misfitFrom(nothing)).toBe('the arguments do not fit the tool')
    }
  })
})

it('leaves nothing of a schema where all schemas are checked', () => {
  const before = Object.keys(format)
  const misfit = misfitOf(object({ code: { type: 'string', pattern: '^[A-Z]{3}$' } }))
  expect(misfit?.({ code: 'ABC' })).toBeUndefined()
  expect(misfit?.({ code: 'abc' })).toContain('`code` does not fit `pattern` ^[A-Z]{3}$')
  // Between two checks, too; and what nobody can check is thrown past it.
  expect(misfit?.({ code: 1n })).toBe(UNUSABLE)
  expect(Object.keys(format)).toEqual(before)
  expect(misfit?.({ code: 'abc' })).toContain('`code` does not fit')
})

describe('however large or sly', () => {
  /** Fails by never ending. Thousands of times what it should take is not a matter of the machine. */
  const quickly = (schema: object, args: unknown) => {
    const began = performance.now()
    const said = says(schema, args)
    expect(performance.now() - began).toBeLessThan(5_000)
    return said
  }
  const evil = `${'a'.repeat(50_000)}!`

  it.each(['^(a+)+$', '^(a|a)*$', '(a*)*b', '^(a|aa)+$', '(?:a?){50}b', '\\w*\\w*\\w*\\w*=', '(.*)*x'])(
    'a pattern ends: %s',
    (pattern) => {
      expect(tail(quickly(object({ t: { pattern } }), { t: evil }))).toContain('`t` does not fit `pattern`')
      quickly({ patternProperties: { [pattern]: { type: 'string' } } }, { [evil]: 1 })
      quickly({ propertyNames: { pattern } }, { [evil]: 1 })
    },
  )

  it('what can not be matched in linear time is left to the tool', () => {
    expect(quickly(object({ t: { pattern: '^(?=(a+)+$)' } }), { t: evil })).toBeUndefined()
    expect(quickly(object({ t: { pattern: '^(a+)\\1+$' } }), { t: evil })).toBeUndefined()
    expect(quickly(object({ t: { pattern: '(' } }), { t: evil })).toBeUndefined()
    // The rest of such a schema counts.
    expect(tail(quickly(object({ t: { pattern: '(?=a)', maxLength: 9 } }), { t: evil }))).toContain('`maxLength` 9')
  })

  it('a format ends', () => {
    const formats = ['date', 'time', 'date-time', 'duration', 'uri', 'uri-reference', 'uri-template', 'url', 'email']
    const more = ['hostname', 'ipv4', 'ipv6', 'regex', 'uuid', 'json-pointer', 'relative-json-pointer']
    const texts = ['a', '1', '/', 'a.', 'a-', '%41', ':', '{a}', '"', '\\', '~0', 'a@', '::', 'http://a', 'P1Y']
    for (const format of [...formats, ...more]) {
      for (const text of texts) {
        quickly(object({ t: { format } }), { t: `${text.repeat(20_000)}\u0000` })
        quickly(object({ t: { format } }), { t: `http://${text.repeat(20_000)}!` })
      }
    }
  })

  it('a schema that multiplies is given up on', () => {
    const double = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [
        `d${n}`,
        n === 39 ? { type: 'object' } : { allOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] },
      ]),
    )
    expect(quickly({ $ref: '#/$defs/d0', $defs: double }, {})).toBe(UNUSABLE)
    // Four alternatives that look alike, in arguments that are forty levels deep.
    const op = (name: string) =>
      object({ op: { const: name }, left: { $ref: '#/$defs/e' }, right: { $ref: '#/$defs/e' } })
    const schema = { $ref: '#/$defs/e', $defs: { e: { oneOf: ['add', 'sub', 'mul', 'div'].map(op) } } }
    let args: object = { op: 'add' }
    for (let level = 0; level < 40; level++) args = { op: 'add', left: args }
    expect(quickly(schema, args)).toBe(UNUSABLE)
    expect(
      quickly(schema, { op: 'add', left: { op: 'sub' }, right: { op: 'div', left: { op: 'mul' } } }),
    ).toBeUndefined()
  })

  it('thousands of values that do not fit, and thousands that do', () => {
    const many = Array.from({ length: 9_000 }, (_, n) => n)
    expect(tail(quickly(object({ l: { items: { type: 'string' } } }), { l: many }))).toContain('`l[2]` is not of type')
    expect(quickly(object({ l: list }), { l: many })).toBeUndefined()
    const alternatives = Array.from({ length: 20 }, (_, n) => ({ type: 'string', minLength: n }))
    expect(
      quickly(object({ l: { items: { anyOf: [...alternatives, { type: 'number' }] } } }), { l: many }),
    ).toBeUndefined()
    const names = Object.fromEntries(many.map((n) => [`n${n}`, n]))
    expect(
      quickly({ patternProperties: { '^n': { type: 'number' } }, additionalProperties: false }, names),
    ).toBeUndefined()
  })

  it('items that have to differ, thousands of them', () => {
    const unique = object({ l: { uniqueItems: true }, other: {} })
    const items = Array.from({ length: 4_500 }, (_, n) => ({ n }))
    expect(quickly(unique, { l: items })).toBeUndefined()
    expect(quickly(unique, { l: [...items, { n: 4_499 }] })).toBe(UNUSABLE)
    expect(tail(quickly(unique, { l: [...items.slice(0, 500), { n: 499 }] }))).toBe(
      '`l` does not fit `uniqueItems` true',
    )
  })
})
