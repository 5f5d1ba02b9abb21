import { describe, expect, it, test } from 'vitest'
import { ANY_ITEM, type Key } from './reads.ts'
import { locate } from './schema-paths.ts'

const string = { type: 'string' }
const number = { type: 'number' }
const object = (properties: object, required: readonly string[] = [], more: object = {}) => ({
  type: 'object',
  properties,
  required,
  ...more,
})

const KNOWN: readonly [string, unknown, readonly Key[], object][] = [
  ['the arguments as a whole', object({ a: string }), [], { optional: false, types: ['object'] }],
  ['a required property', object({ a: string }, ['a']), ['a'], { optional: false, types: ['string'] }],
  ['an optional property', object({ a: string }), ['a'], { optional: true, types: ['string'] }],
  [
    'one required below an optional one',
    object({ a: object({ b: string }, ['b']) }),
    ['a', 'b'],
    { optional: true, types: ['string'] },
  ],
  [
    'a property named like one of every object',
    object({ constructor: string }, ['constructor']),
    ['constructor'],
    { optional: false, types: ['string'] },
  ],
  [
    'a list of types',
    object({ a: { type: ['string', 'null'] } }, ['a']),
    ['a'],
    { optional: false, types: ['string', 'null'] },
  ],
  [
    '`nullable`',
    object({ a: { type: 'string', nullable: true } }, ['a']),
    ['a'],
    { optional: false, types: ['string', 'null'] },
  ],
  ['an enum', object({ a: { enum: ['x', 2] } }, ['a']), ['a'], { optional: false, enum: ['x', 2] }],
  ['a const', object({ a: { const: null } }, ['a']), ['a'], { optional: false, enum: [null] }],
  [
    'a property by pattern',
    { type: 'object', patternProperties: { '^x-': string } },
    ['x-a'],
    { optional: true, types: ['string'] },
  ],
  [
    'an item at an index',
    object({ a: { type: 'array', items: string } }, ['a']),
    ['a', 3],
    { optional: true, types: ['string'] },
  ],
  [
    'an item that is always there',
    object({ a: { type: 'array', items: string, minItems: 1 } }, ['a']),
    ['a', 0],
    { optional: false, types: ['string'] },
  ],
  [
    'an item that may be missing',
    { type: 'array', items: string, minItems: 1 },
    [1],
    { optional: true, types: ['string'] },
  ],
  [
    'what stands beside a reference to itself',
    { allOf: [{ $ref: '#' }], ...object({ a: string }) },
    ['a'],
    { optional: true, types: ['string'] },
  ],
  [
    'any item',
    object({ a: { type: 'array', items: object({ b: number }, ['b']) } }, ['a']),
    ['a', ANY_ITEM, 'b'],
    { optional: false, types: ['number'] },
  ],
  [
    'an item of a tuple',
    object({ a: { type: 'array', prefixItems: [string, number] } }, ['a']),
    ['a', 1],
    { optional: true, types: ['number'] },
  ],
  [
    'any item of a tuple',
    object({ a: { type: 'array', prefixItems: [string, number], items: false } }, ['a']),
    ['a', ANY_ITEM],
    { optional: false, types: ['string', 'number'] },
  ],
  [
    'a tuple as it was written before 2020',
    { items: [string], additionalItems: number },
    [4],
    { optional: true, types: ['number'] },
  ],
  [
    'a property of one branch',
    { anyOf: [object({ a: string }, ['a']), object({ b: string }, ['b'])] },
    ['a'],
    { optional: true, types: ['string'] },
  ],
  [
    'a property of all branches',
    { oneOf: [object({ a: string }, ['a']), object({ a: number }, ['a'])] },
    ['a'],
    { optional: false, types: ['string', 'number'] },
  ],
  [
    'a discriminated union',
    { oneOf: [object({ k: { const: 'x' } }, ['k']), object({ k: { const: 'y' } }, ['k'])] },
    ['k'],
    { optional: false, enum: ['x', 'y'] },
  ],
  [
    'a value that may be null',
    object({ a: { anyOf: [object({ b: string }, ['b']), { type: 'null' }] } }, ['a']),
    ['a', 'b'],
    { optional: true, types: ['string'] },
  ],
  [
    'parts that hold together',
    { allOf: [object({ a: string }), { required: ['a'] }] },
    ['a'],
    { optional: false, types: ['string'] },
  ],
  [
    'parts that narrow a type',
    { allOf: [object({ a: { type: ['string', 'number'] } }), object({ a: { type: 'integer' } }, ['a'])] },
    ['a'],
    { optional: false, types: ['integer'] },
  ],
  [
    'what an outer schema requires of its branches',
    { ...object({ a: string }), anyOf: [{ required: ['a'] }, { required: ['b'] }] },
    ['a'],
    { optional: true, types: ['string'] },
  ],
  [
    'a condition’s branch',
    { ...object({ a: string }), if: {}, then: object({ b: number }) },
    ['b'],
    { optional: true, types: ['number'] },
  ],
  [
    'a reference',
    object({ a: { $ref: '#/$defs/a~1b%20c' } }, ['a'], { $defs: { 'a/b c': string } }),
    ['a'],
    { optional: false, types: ['string'] },
  ],
  [
    'a reference with words beside it',
    object({ a: { $ref: '#/$defs/a', enum: ['x'] } }, ['a'], { $defs: { a: string } }),
    ['a'],
    { optional: false, types: ['string'], enum: ['x'] },
  ],
  [
    'a schema that refers to itself',
    object({ child: { $ref: '#' }, id: string }, ['id']),
    ['child', 'child', 'id'],
    { optional: true, types: ['string'] },
  ],
]

test.each(KNOWN)('knows %s', (_, schema, keys, found) => {
  expect(locate(schema, keys)).toEqual({ kind: 'known', ...found })
})

const UNKNOWN: readonly [string, unknown, readonly Key[], object][] = [
  ['a misspelt name', object({ amount: number }), ['amuont'], { at: 'amuont', near: 'amount' }],
  ['a name like no other', object({ amount: number }), ['reason'], { at: 'reason' }],
  [
    'a misspelt name further down',
    object({ to: { type: 'array', items: object({ email: string }) } }),
    ['to', ANY_ITEM, 'emial', 'x'],
    { at: 'to[].emial', near: 'email' },
  ],
  ['a name where nothing may be added', object({}, [], { additionalProperties: false }), ['a'], { at: 'a' }],
  ['a name that only prototypes have', object({ a: string }), ['toString'], { at: 'toString' }],
  ['something below a text', object({ a: string }), ['a', 'b'], { at: 'a.b' }],
  ['an item of an object', object({ a: object({ b: string }) }), ['a', 0], { at: 'a[0]' }],
  ['a name in an array', object({ a: { type: 'array' } }), ['a', 'length'], { at: 'a.length' }],
  [
    'an item beyond a tuple',
    object({ a: { type: 'array', prefixItems: [string], items: false } }),
    ['a', 1],
    { at: 'a[1]' },
  ],
  ['a property that must not be', object({ a: false }), ['a'], { at: 'a' }],
  [
    'a name that no branch has',
    { anyOf: [object({ ab: string }), object({ cd: string })] },
    ['ef'],
    { at: 'ef', near: 'ab' },
  ],
  [
    'a name below a record',
    object({ by: { type: 'object', additionalProperties: object({ amount: number }) } }),
    ['by', 'x', 'amuont'],
    { at: 'by.x.amuont', near: 'amount' },
  ],
  [
    'a name by a pattern it does not have',
    { type: 'object', patternProperties: { '^x-': string } },
    ['y-a'],
    { at: 'y-a' },
  ],
  ['an odd key', object({ ab: string }), ['a b'], { at: '["a b"]', near: 'ab' }],
]

test.each(UNKNOWN)('does not know %s', (_, schema, keys, found) => {
  expect(locate(schema, keys)).toMatchObject({ kind: 'unknown', ...found })
})

const OPEN: readonly [string, unknown, readonly Key[]][] = [
  ['no schema', undefined, ['a']],
  ['a schema that is no object', true, ['a']],
  ['an empty schema', {}, ['a', 0, 'b']],
  ['an object that declares nothing', { type: 'object' }, ['a']],
  ['an object that declares no properties', object({}), ['a']],
  ['properties beside which others may stand', object({ a: string }, [], { additionalProperties: true }), ['b']],
  [
    'properties beside which others of a kind may stand',
    object({ a: string }, [], { additionalProperties: string }),
    ['b'],
  ],
  ['an array that says nothing of its items', object({ a: { type: 'array' } }), ['a', ANY_ITEM, 'b']],
  ['a branch that lets anything pass', { anyOf: [object({ a: string }), {}] }, ['b']],
  ['a reference to another document', { $ref: 'https://schemas.example/x.json' }, ['a']],
  ['a reference to nothing', { $ref: '#/$defs/none' }, ['a']],
  ['a reference to itself', { $ref: '#' }, ['a']],
  [
    'references in a circle',
    { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
    ['x'],
  ],
  ['a reference into what every object has', { $ref: '#/constructor' }, ['a']],
]

test.each(OPEN)('leaves open %s', (_, schema, keys) => {
  expect(locate(schema, keys)).toEqual({ kind: 'open' })
})

describe('a schema of a stranger', () => {
  it('is open where its branches multiply beyond measure', () => {
    const wide = {
      allOf: Array.from({ length: 40 }, () => ({ anyOf: [object({ a: string }), object({ a: number })] })),
    }
    expect(locate(wide, ['a'])).toEqual({ kind: 'open' })
  })

  it('is open where each level refers to itself many times over', () => {
    const many = { anyOf: Array.from({ length: 16 }, () => ({ $ref: '#/$defs/x' })) }
    const schema = { ...many, $defs: { x: object({ x: many }) } }
    expect(locate(schema, ['x', 'x', 'x', 'x', 'x', 'x', 'x'])).toEqual({ kind: 'open' })
  })

  it('is open where it is too deep to follow', () => {
    let schema: object = object({ a: string })
    for (let depth = 0; depth < 100_000; depth++) schema = { allOf: [schema] }
    expect(locate(schema, ['b'])).toEqual({ kind: 'open' })
  })

  it('has its patterns run in linear time, and one that can not be read lets anything pass', () => {
    const slow = { type: 'object', patternProperties: { '^(a+)+$': string } }
    const began = process.hrtime.bigint()
    expect(locate(slow, [`${'a'.repeat(40)}!`])).toMatchObject({ kind: 'unknown' })
    expect(Number(process.hrtime.bigint() - began)).toBeLessThan(1e9)
    expect(locate({ type: 'object', patternProperties: { '(?=x)': string } }, ['y'])).toMatchObject({ kind: 'known' })
  })
})
