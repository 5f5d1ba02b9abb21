import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../errors.ts'
import { copyDocument } from './document.ts'
import { checkDocument } from './schema.ts'

const rule = (more: object) => ({ default: 'deny', rules: [{ id: 'a', then: 'deny', ...more }] })

function nested(depth: number): unknown {
  let condition: unknown = { 'args.x': 1 }
  for (let level = 0; level < depth; level++) condition = { not: condition }
  return condition
}

function refusal(document: unknown): ConfigError {
  try {
    checkDocument(document)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

describe('a hostile document', () => {
  let ran = 0
  const trap = () => {
    ran++
    return 'deny'
  }
  const cycle: { not?: unknown } = {}
  cycle.not = cycle
  const ring: unknown[] = []
  ring.push(ring)
  const revoked = Proxy.revocable([], {})
  revoked.revoke()
  const holes = [{ 'args.x': 1 }]
  holes.length = 2
  let doubled: unknown = { 'args.x': 1 }
  for (let level = 0; level < 13; level++) doubled = { any: [doubled, doubled, doubled, doubled] }

  test.each<[what: string, path: string, document: unknown]>([
    ['a Proxy', '', new Proxy({ default: 'deny', rules: [] }, { get: trap, ownKeys: () => [trap()] })],
    ['a Proxy inside', 'rules.0.when', rule({ when: new Proxy({ 'args.x': 1 }, { get: trap }) })],
    ['a revoked Proxy', 'rules', { default: 'deny', rules: revoked.proxy }],
    ['a Proxy for a list', 'rules', { default: 'deny', rules: new Proxy([], { get: trap }) }],
    ['a Proxy for a function', 'rules.0.when', { ...rule({ when: new Proxy(trap, { apply: trap }) }), version: 1 }],
    [
      'a getter',
      'rules.0.then',
      { default: 'deny', rules: [Object.defineProperty({ id: 'a' }, 'then', { get: trap, enumerable: true })] },
    ],
    [
      'a getter in a list',
      'rules.0',
      { default: 'deny', rules: Object.defineProperty([1], 0, { get: trap, enumerable: true }) },
    ],
    [
      'a hidden property',
      'rules.0.when',
      {
        default: 'deny',
        rules: [Object.defineProperty({ id: 'a', then: 'deny' }, 'when', { value: { 'args.x': 1 } })],
      },
    ],
    ['an inherited rule', 'rules.0', { default: 'deny', rules: [Object.create({ id: 'a', then: 'deny' })] }],
    [
      'a class',
      '',
      new (class {
        default = 'deny'
        rules = []
      })(),
    ],
    ['a Map', 'rules.0.when', rule({ when: new Map([['args.x', 1]]) })],
    ['a date', 'rules.0.when.args.x', rule({ when: { 'args.x': new Date(0) } })],
    ['a regular expression', 'rules.0.when.args.x.matches', rule({ when: { 'args.x': { matches: /a/ } } })],
    ['a text object', 'rules.0.because', rule({ because: new String('x') })],
    ['a subclass of lists', 'rules.0.tools', rule({ tools: class extends Array<string> {}.of('a') })],
    ['a list with holes', 'rules.0.when.all', rule({ when: { all: holes } })],
    ['a list with properties', 'rules.0.tools', rule({ tools: Object.assign(['a'], { extra: 1 }) })],
    ['a rule without the condition it names', 'rules.0.when', rule({ when: undefined })],
    ['a rule without the agents it names', 'rules.0.agents', rule({ agents: undefined })],
    ['`undefined` in a list', 'rules.0.when.all.0', rule({ when: { all: [undefined] } })],
    ['a symbol key', 'rules.0', rule({ [Symbol('x')]: 1 })],
    ['a symbol', 'rules.0.when.args.x', rule({ when: { 'args.x': Symbol('x') } })],
    ['a `__proto__` key', '__proto__', JSON.parse('{"default":"deny","rules":[],"__proto__":{"allowByDefault":true}}')],
    [
      'a `__proto__` condition',
      'rules.0.when.__proto__',
      JSON.parse('{"default":"deny","rules":[{"id":"a","then":"deny","when":{"__proto__":{}}}]}'),
    ],
    ['text that is not well-formed', 'rules.0.because', rule({ because: '\ud800' })],
    ['a foreign array', 'rules', { default: 'deny', rules: { length: 0, map: trap, entries: trap } }],
    [
      'endless text',
      'rules.0.when.args.x.in',
      rule({ when: { 'args.x': { in: Array(20).fill('x'.repeat(1_000_000)) } } }),
    ],
  ])('is refused for %s at %s', (_, path, document) => {
    ran = 0
    expect(refusal(document).path.startsWith(path)).toBe(true)
    expect(ran).toBe(0)
  })

  test.each([
    ['a cycle', rule({ when: cycle })],
    ['a cycle of lists', rule({ when: { all: ring } })],
    ['10,000 levels', rule({ when: nested(10_000) })],
  ])('is refused for %s as too deep', (_, document) => {
    expect(refusal(document).message).toContain('32 levels')
  })

  test('that is small to write and endless to copy is refused', () => {
    expect(refusal(rule({ when: doubled })).message).toContain('1,000,000 values')
  })

  test('of 28 nested conditions is fine, of 29 is not', () => {
    // The document, its rules, the rule and the innermost condition are the other four levels.
    expect(() => checkDocument(rule({ when: nested(28) }))).not.toThrow()
    expect(refusal(rule({ when: nested(29) })).message).toContain('32 levels')
  })

  test('with a function that carries properties is judged by the function alone', () => {
    const condition = Object.assign(() => false, { 'args.x': 1 })
    expect(checkDocument({ ...rule({ when: condition }), version: 1 }).rules[0]?.when).toBe(condition)
  })

  test('is a policy or is refused, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withNullPrototype: true,
          withObjectString: true,
        }),
        (odd) => {
          for (const document of [
            odd,
            { default: 'deny', rules: odd },
            { default: 'deny', rules: [odd] },
            rule({ when: odd }),
            rule({ when: { 'args.x': odd } }),
          ]) {
            try {
              expect(Object.isFrozen(checkDocument(document))).toBe(true)
            } catch (error) {
              expect(error).toBeInstanceOf(ConfigError)
            }
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

describe('the copy', () => {
  test('is frozen all the way down and shares nothing', () => {
    const document = rule({ tools: ['a'], when: { all: [{ 'args.x': { in: [1] } }] } })
    const copy = copyDocument(document) as typeof document
    expect(copy).toEqual(document)
    const walk = (value: unknown, other: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      expect(Object.isFrozen(value)).toBe(true)
      expect(value).not.toBe(other)
      for (const key of Object.keys(value)) walk((value as never)[key], (other as never)[key])
    }
    walk(copy, document)
  })

  test('leaves out what is undefined and keeps functions', () => {
    const test = () => true
    expect(copyDocument({ a: undefined, b: test })).toEqual({ b: test })
    expect(Object.keys(copyDocument({ a: undefined }) as object)).toEqual([])
  })

  test('takes objects without a prototype for plain data', () => {
    const bare = Object.assign(Object.create(null), { default: 'deny', rules: [] })
    expect(checkDocument(bare)).toEqual({ default: 'deny', rules: [] })
  })
})

describe('what is told of a document that is no plain data', () => {
  const holes = [1]
  holes.length = 2
  test.each<[unknown, string]>([
    [new Proxy({}, {}), 'the policy is a Proxy'],
    [{ a: new Proxy(() => {}, {}) }, '`a` is a Proxy'],
    [{ a: { [Symbol('s')]: 1 } }, '`a` has a symbol for a key'],
    [{ a: new Date() }, '`a` is an object that is not plain data'],
    [JSON.parse('{ "a": { "__proto__": 1 } }'), '`a.__proto__` is a reserved key'],
    [{ a: holes }, '`a` is a list with holes or properties'],
    [{ a: Object.assign([1], { b: 2 }) }, '`a` is a list with holes or properties'],
    [{ a: [undefined] }, '`a.0` is undefined'],
    [{ a: [{ b: undefined }] }, '`a.0.b` is undefined; leave it out if nothing is meant'],
    [
      {
        get a() {
          return 1
        },
      },
      '`a` is an accessor',
    ],
    [Object.defineProperty({}, 'a', { value: 1 }), '`a` is a hidden property'],
    [{ a: '\ud800' }, '`a` has text that is not well-formed'],
    [{ a: 1n }, '`a` is a bigint'],
    [{ a: Number.NaN }, '`a` is not a finite number'],
    [{ a: 'x'.repeat(16_000_000) }, '`a` is where the policy grows beyond 16 million characters'],
  ])('(%#)', (document, message) => {
    let error: unknown
    try {
      copyDocument(document)
    } catch (caught) {
      error = caught
    }
    expect(ConfigError.isInstance(error)).toBe(true)
    expect((error as ConfigError).message).toBe(message)
  })
})
