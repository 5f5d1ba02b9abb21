import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonical, Hostile, LIMITS, type Snapshot, snapshot } from './call.ts'

function taken(args: unknown): Snapshot {
  const result = snapshot(args)
  if (result instanceof Hostile) throw new Error(`refused: ${result.reason}`)
  return result
}

function refused(args: unknown): Hostile {
  const result = snapshot(args)
  expect(result).toBeInstanceOf(Hostile)
  return result as Hostile
}

/** Wraps a value in so many objects that it stands on the given level. */
function nested(levels: number, innermost: unknown): unknown {
  let value = innermost
  for (let level = 0; level < levels; level++) value = { a: value }
  return value
}

/** RFC 8785 written from its text for JSON values, sharing nothing with the code under test. */
function jcs(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const units = (text: string) => Array.from({ length: text.length }, (_, index) => text.charCodeAt(index))
  const members = Object.entries(value).map(([key, item]) => ({
    order: units(key),
    text: `${JSON.stringify(key)}:${jcs(item)}`,
  }))
  members.sort((a, b) => {
    for (let at = 0; ; at++) {
      const [x = -1, y = -1] = [a.order[at], b.order[at]]
      if (x !== y || x === -1) return x - y
    }
  })
  return `{${members.map(({ text }) => text).join(',')}}`
}

describe('what is accepted', () => {
  test.each([
    [undefined, ''],
    [null, 'null'],
    [true, 'true'],
    [-0, '0'],
    ['', '""'],
    [{}, '{}'],
    [[], '[]'],
    [{ amount: 1.5, to: 'a' }, '{"amount":1.5,"to":"a"}'],
    [{ b: 1, a: { d: [1, 'x', null], c: false } }, '{"a":{"c":false,"d":[1,"x",null]},"b":1}'],
    [{ a: undefined, b: { c: undefined } }, '{"b":{}}'],
    [{ n: -0, m: [-0] }, '{"m":[0],"n":0}'],
    [{ big: 10n, small: -3n }, '{"big":{"$haldir":"bigint","v":"10"},"small":{"$haldir":"bigint","v":"-3"}}'],
    [{ at: new Date(0) }, '{"at":{"$haldir":"date","v":"1970-01-01T00:00:00.000Z"}}'],
    [{ at: new Date(8.64e15) }, '{"at":{"$haldir":"date","v":"+275760-09-13T00:00:00.000Z"}}'],
    [{ url: new URL('https://a.example/x?y="z"') }, '{"url":{"$haldir":"url","v":"https://a.example/x?y=%22z%22"}}'],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    [{ constructor: 1, toString: 2, hasOwnProperty: 3 }, '{"constructor":1,"hasOwnProperty":3,"toString":2}'],
    [{ '': { '': 1 } }, '{"":{"":1}}'],
    [
      { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 },
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    ],
    [{ 10: 'a', 9: 'b', 1: 'c' }, '{"1":"c","10":"a","9":"b"}'],
    [
      [1e21, 1e-7, 1e20, 0.000001, 5e-324, 1.7976931348623157e308, 333333333.3333333, 4.5, 2e-3],
      '[1e+21,1e-7,100000000000000000000,0.000001,5e-324,1.7976931348623157e+308,333333333.3333333,4.5,0.002]',
    ],
    ['\u20ac$\u000f\nA\'B"\\\\"/\u2028', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u2028"'],
  ])('%o', (args, text) => {
    expect(taken(args).text).toBe(text)
  })

  test('the text of JSON is that of RFC 8785', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const result = snapshot(value)
        if (result instanceof Hostile) {
          // JSON allows two things that arguments may not hold.
          expect(result.what).toMatch(/^(text that is not well-formed|a reserved key|its own `toJSON`)$/)
        } else {
          expect(result.text).toBe(jcs(value))
          expect(JSON.parse(result.text)).toEqual(JSON.parse(JSON.stringify(value)))
        }
      }),
      { numRuns: 500 },
    )
  })

  test('the same object twice is no cycle', () => {
    const shared = { x: [1] }
    const revived = taken({ a: shared, b: [shared, shared] }).revive() as { a: typeof shared; b: (typeof shared)[] }
    expect(revived).toEqual({ a: { x: [1] }, b: [{ x: [1] }, { x: [1] }] })
    revived.a.x.push(2)
    expect(revived.b[0]).toEqual({ x: [1] })
  })

  test('64 levels, 10,000 values, 1 MB and 4,096 bits are allowed; one more of any is not', () => {
    expect(taken(nested(64, 1)).text).toHaveLength(64 * 6 + 1)
    expect(refused(nested(65, 1)).what).toBe('more than 64 levels, or a cycle,')

    const values = new Array(LIMITS.nodes - 1).fill(0)
    expect(taken(values).args).toEqual(values)
    expect(refused([...values, 0]).what).toBe('more than 10,000 values')
    expect(refused(Object.fromEntries(values.concat(0).map((_, index) => [`k${index}`, 0]))).what).toBe(
      'more than 10,000 values',
    )

    expect(taken('x'.repeat(LIMITS.bytes - 2)).text).toHaveLength(LIMITS.bytes)
    expect(refused('x'.repeat(LIMITS.bytes - 1)).what).toBe('more than 1 MB')
    expect(refused('é'.repeat(LIMITS.bytes / 2)).what).toBe('more than 1 MB')
    expect(refused('\u0001'.repeat(LIMITS.bytes / 4)).what).toBe('more than 1 MB')

    const largest = 2n ** 4096n - 1n
    expect(taken([largest, -largest]).revive()).toEqual([largest, -largest])
    expect(refused([largest + 1n]).reason).toBe('the arguments hold an integer of more than 4,096 bits at `[0]`')
    expect(refused([-largest - 1n]).path).toBe('[0]')
  })
})

describe('what is refused', () => {
  class Money {
    amount = 1
  }
  class LateDate extends Date {}
  const withProperty = Object.assign([1, 2], { note: 'x' })
  const withSymbol = Object.assign([1, 2], { [Symbol('s')]: 1 })
  const holed = [1, 2, 3]
  delete holed[1]
  const heldAccessor = [1]
  Object.defineProperty(heldAccessor, 0, { get: () => 1, enumerable: true })
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  const ring: unknown[] = []
  ring.push({ ring })

  test.each<[string, unknown, string]>([
    ['a function', () => 1, 'a function'],
    ['a class', Money, 'a function'],
    ['a symbol', Symbol('s'), 'a symbol'],
    ['NaN', Number.NaN, 'a number that is not finite'],
    ['an infinite number', Number.NEGATIVE_INFINITY, 'a number that is not finite'],
    ['half a surrogate pair', 'a\ud800b', 'text that is not well-formed'],
    ['the other half', '\udc00', 'text that is not well-formed'],
    ['a Map', new Map([[1, 2]]), 'an object that is not plain data'],
    ['a Set', new Set([1]), 'an object that is not plain data'],
    ['a typed array', new Uint8Array(3), 'an object that is not plain data'],
    ['a Buffer', Buffer.from('x'), 'an object that is not plain data'],
    ['an ArrayBuffer', new ArrayBuffer(8), 'an object that is not plain data'],
    ['an instance of a class', new Money(), 'an object that is not plain data'],
    ['an error', new Error('x'), 'an object that is not plain data'],
    ['a regular expression', /x/, 'an object that is not plain data'],
    ['a promise', Promise.resolve(1), 'an object that is not plain data'],
    ['a boxed string', Object('x'), 'an object that is not plain data'],
    ['a boxed bigint', Object(1n), 'an object that is not plain data'],
    ['an array of a class of its own', class extends Array {}.from([1]), 'an object that is not plain data'],
    ['an object over another', Object.create({ amount: 1 }), 'an object that is not plain data'],
    ['an array in disguise', Object.setPrototypeOf([1], null), 'a hidden property'],
    ['a pretended array', Object.create(Array.prototype), 'an object that is not plain data'],
    ['a subclass of Date', new LateDate(0), 'an object that is not plain data'],
    ['a forged date', Object.create(Date.prototype), 'an object that is not plain data'],
    ['an invalid date', new Date(Number.NaN), 'an invalid date'],
    ['a date with a property', Object.assign(new Date(0), { toISOString: () => 'x' }), 'a date with properties'],
    ['a subclass of URL', new (class extends URL {})('http://a'), 'an object that is not plain data'],
    ['a forged URL', Object.create(URL.prototype), 'something that could not be read'],
    [
      'a URL with an `href` of its own',
      Object.defineProperty(new URL('http://a'), 'href', { value: 'http://b' }),
      'a URL with properties',
    ],
    ['a URL with a symbol', Object.assign(new URL('http://a'), { [Symbol('s')]: 1 }), 'a URL with properties'],
    ['an array with a hole', holed, 'an array with holes'],
    ['an empty array with length', new Array(3), 'an array with holes'],
    ['an array with a property', withProperty, 'an array with properties'],
    ['an array with a symbol', withSymbol, 'a symbol key'],
    ['a hole and a property that make up for each other', Object.assign(new Array(1), { x: 1 }), 'a hole'],
    ['`undefined` in an array', [1, undefined], '`undefined` in an array'],
    ['an accessor in an array', heldAccessor, 'an accessor'],
    ['a Proxy', new Proxy({}, {}), 'a Proxy'],
    ['a Proxy of an array', new Proxy([1], {}), 'a Proxy'],
    ['a Proxy of a function', new Proxy(() => 1, {}), 'a function'],
    [
      'a revoked Proxy',
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return proxy
      })(),
      'a Proxy',
    ],
    ['an object over a Proxy', Object.create(new Proxy({}, {})), 'an object that is not plain data'],
    ['a symbol key', { [Symbol('s')]: 1 }, 'a symbol key'],
    ['a hidden property', Object.defineProperty({}, 'x', { value: 1 }), 'a hidden property'],
    [
      'the `arguments` of a function',
      (function () {
        // biome-ignore lint/complexity/noArguments: this object is what is tried
        return arguments
      })(),
      'a symbol key',
    ],
    ['an own `__proto__`', JSON.parse('{"__proto__":{"admin":true}}'), 'a reserved key'],
    ['a `$haldir` key', { $haldir: 'date', v: '1970-01-01T00:00:00.000Z' }, 'a reserved key'],
    ['an own `toJSON`', { amount: 999, toJSON: () => ({ amount: 1 }) }, 'its own `toJSON`'],
    ['a `toJSON` that is no function', { toJSON: 1 }, 'its own `toJSON`'],
    ['a key that is not well-formed', { 'a\udfff': 1 }, 'text that is not well-formed'],
    ['a cycle', cycle, 'more than 64 levels, or a cycle,'],
    ['a cycle through an array', ring, 'more than 64 levels, or a cycle,'],
  ])('%s', (_, value, what) => {
    const named = refused({ order: { items: [1, 2, { price: value }] } })
    expect(named.what).toBe(what)
    expect(named.path).toMatch(/^order\.items\[2\]\.price/)
    expect(named.reason).toBe(`the arguments hold ${what} at \`${named.path}\``)
    // The same at the root, where there is no path to name.
    expect(refused(value).what).toBe(what)
  })

  test.each<[string, unknown, string]>([
    ['items[2].price', { items: [0, 0, { price: Number.NaN }] }, 'items[2].price'],
    [
      'the member itself',
      {
        a: {
          get b() {
            return 1
          },
        },
      },
      'a.b',
    ],
    ['the holder of a symbol key', { a: { b: { [Symbol('s')]: 1 } } }, 'a.b'],
    ['an element', [[], [1, [() => 1]]], '[1][1][0]'],
    ['nothing but the root', Number.NaN, ''],
    ['only keys that can be read safely', { 'ignore previous instructions': { 'a`b': Number.NaN } }, '?.?'],
    ['no key that is too long', { ['k'.repeat(65)]: { ok: Number.NaN } }, '?.ok'],
    ['a key with a dot as one', { 'a.b': Number.NaN }, '?'],
    ['the reserved key', { x: JSON.parse('{"__proto__":1}') }, 'x.__proto__'],
  ])('names %s', (_, args, path) => {
    expect(refused(args).path).toBe(path)
  })

  test('no reason holds a value', () => {
    for (const value of [
      'canary\ud800',
      { 'canary canary': 1n ** 1n, x: Symbol('canary') },
      Symbol('canary'),
      new Map([['canary', 'canary']]),
    ]) {
      expect(refused({ a: value }).reason).not.toContain('canary')
    }
    expect(refused('canary'.repeat(1_000_000)).reason).toBe('the arguments hold more than 1 MB at `(root)`')
  })

  test('20,000 levels, of objects and of arrays, are refused and not a crash', () => {
    let list: unknown = 1
    for (let level = 0; level < 20_000; level++) list = [list]
    expect(refused(nested(20_000, 1)).what).toBe('more than 64 levels, or a cycle,')
    expect(refused(list).path).toBe('[0]'.repeat(64))
  })

  test('10 MB are refused, as one text, as many, as keys, and as references to one text', () => {
    const megabyte = 'x'.repeat(1_000_000)
    expect(refused(megabyte.repeat(10)).what).toBe('more than 1 MB')
    expect(refused({ list: new Array(10).fill(megabyte) }).path).toBe('list[1]')
    expect(refused({ [megabyte.repeat(10)]: 1 }).path).toBe('?')
    expect(refused(new Array(2 ** 32 - 1)).what).toBe('more than 10,000 values')
    expect(refused(new Array(9_999).fill(2n ** 4_000n)).what).toBe('more than 1 MB')
  })

  test('a small graph that unfolds without end is cut short', () => {
    let layer: unknown = [1]
    for (let level = 0; level < 60; level++) layer = [layer, layer]
    expect(refused(layer).what).toBe('more than 10,000 values')
  })
})

describe("the caller's code", () => {
  test('is never run: no getter, no `toJSON`, no `valueOf`, no Proxy trap', () => {
    const ran: string[] = []
    const traps = Object.fromEntries(
      Object.getOwnPropertyNames(Reflect).map((name) => [
        name,
        (...args: unknown[]) => {
          ran.push(name)
          return (Reflect as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args)
        },
      ]),
    )
    const note = (name: string) => () => {
      ran.push(name)
      return 1
    }
    const spy = { get: note('get'), set: note('set'), enumerable: true, configurable: true }
    const hostile: object[] = [
      Object.defineProperty({}, 'amount', spy),
      Object.defineProperty({}, 'toJSON', spy),
      Object.defineProperty([1], 0, spy),
      { toJSON: note('toJSON') },
      { valueOf: note('valueOf'), toString: note('toString'), [Symbol.toPrimitive]: note('toPrimitive') },
      Object.defineProperty(new Date(0), 'getTime', { value: note('getTime') }),
      Object.defineProperty(new Date(0), 'toISOString', { value: note('toISOString') }),
      Object.defineProperty(new URL('http://a'), 'href', spy),
      Object.defineProperty(Object.create(URL.prototype), 'href', spy),
      new Proxy({}, traps),
      new Proxy([], traps),
      new Proxy(() => 1, traps),
      new Proxy(new Date(0), traps),
      Object.create(new Proxy({}, traps)),
      Object.setPrototypeOf([], new Proxy([], traps)),
      Object.setPrototypeOf(new Date(0), new Proxy(Date.prototype, traps)),
      Object.defineProperty({}, Symbol.toStringTag, spy),
      Object.defineProperty([], Symbol.iterator, spy),
    ]
    for (const value of hostile) {
      refused(value)
      refused({ deep: [value] })
    }
    expect(ran).toEqual([])
  })

  test('a value that changes between two reads is never judged', () => {
    let reads = 0
    const shifty = {
      get amount() {
        return ++reads
      },
    }
    expect(refused(shifty).path).toBe('amount')
    expect(reads).toBe(0)
  })
})

describe('copies', () => {
  type Args = { list: number[]; deep: { at: Date; url: URL; big: bigint } }
  const args = (): Args => ({ list: [1, 2], deep: { at: new Date(1_000), url: new URL('http://a/b'), big: 3n } })

  test('what is judged is frozen to the bottom', () => {
    const judged = taken(args()).args as Args
    expect(Object.isFrozen(judged) && Object.isFrozen(judged.list) && Object.isFrozen(judged.deep)).toBe(true)
    expect(() => judged.list.push(3)).toThrow(TypeError)
    expect(() => Object.assign(judged.deep, { big: 4n })).toThrow(TypeError)
  })

  test('the tool gets the same values and kinds, unfrozen', () => {
    const revived = taken(args()).revive() as Args
    expect(revived).toEqual(args())
    expect(revived.deep.at).toBeInstanceOf(Date)
    expect(revived.deep.url).toBeInstanceOf(URL)
    expect(revived.deep.big).toBe(3n)
    revived.list.push(3)
    revived.deep.big = 4n
    revived.deep.at.setTime(0)
    expect(revived.list).toEqual([1, 2, 3])
  })

  test('no change to the original, to what is judged or to an earlier copy reaches a later copy', () => {
    const original = args()
    const shot = taken(original)
    const spoil = (copy: Args) => {
      copy.deep.at.setTime(0)
      copy.deep.url.pathname = '/evil'
    }
    original.list.push(99)
    spoil(original)
    spoil(shot.args as Args)
    const first = shot.revive() as Args
    expect(first).toEqual(args())
    spoil(first)
    first.list.length = 0
    Object.assign(first.deep, { big: 0n })
    expect(shot.revive()).toEqual(args())
    expect(taken(args()).text).toBe(shot.text)
  })

  test('negative zero is zero for everybody: judge, hash and tool', () => {
    const shot = taken({ n: -0 })
    expect(Object.is((shot.args as { n: number }).n, 0)).toBe(true)
    expect(Object.is((shot.revive() as { n: number }).n, 0)).toBe(true)
    expect(shot.text).toBe('{"n":0}')
  })

  test('an object without a prototype comes back as a plain one', () => {
    const revived = taken(Object.assign(Object.create(null), { a: 1 })).revive() as object
    expect(Object.getPrototypeOf(revived)).toBe(Object.prototype)
  })
})

describe('any value at all', () => {
  const anything = fc.anything({
    maxDepth: 4,
    withBigInt: true,
    withMap: true,
    withSet: true,
    withDate: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
    withObjectString: true,
    withBoxedValues: true,
    withUnicodeString: true,
  })

  /** Reads a canonical text back, by the rules that it is written by. */
  const read = (text: string): unknown =>
    text === ''
      ? undefined
      : JSON.parse(text, (_, value) => {
          if (value?.$haldir === 'date') return new Date(value.v)
          if (value?.$haldir === 'url') return new URL(value.v)
          return value?.$haldir === 'bigint' ? BigInt(value.v) : value
        })

  /** Whether anything in it is frozen. */
  const frozen = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && (Object.isFrozen(value) || Object.values(value).some(frozen))

  test('is refused, or the tool gets exactly what the hashed text says', () => {
    let accepted = 0
    fc.assert(
      fc.property(anything, (value) => {
        const shot = snapshot(value)
        if (shot instanceof Hostile) return
        accepted++
        expect(shot.revive()).toStrictEqual(read(shot.text))
        expect(shot.args).toStrictEqual(read(shot.text))
        expect(frozen(shot.revive())).toBe(false)
        expect(taken(shot.revive()).text).toBe(shot.text)
        expect(canonical(shot.args ?? null)).toBe(shot.text || 'null')
      }),
      { numRuns: 2_000 },
    )
    expect(accepted).toBeGreaterThan(200)
  })

  const plain = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      fc.string(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.bigInt(),
      fc.boolean(),
      fc.constant(null),
      fc.date({ noInvalidDate: true }),
      fc.webUrl().map((url) => new URL(url)),
      fc.array(tie('value')),
      fc.dictionary(fc.string(), tie('value')),
    ),
  })).value

  test('keeps its digest in any order of its keys', () => {
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffled)
      if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof URL) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, item]) => [key, shuffled(item)]),
      )
    }
    fc.assert(
      fc.property(plain, (value) => {
        const shot = snapshot(value)
        if (shot instanceof Hostile) return
        expect(taken(shuffled(value)).text).toBe(shot.text)
      }),
    )
  })

  test('has the digest of no other value', () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        const [one, other] = [snapshot(a), snapshot(b)]
        if (one instanceof Hostile || other instanceof Hostile) return
        const zeroed = (value: unknown) => taken(value).revive()
        let same = true
        try {
          expect(zeroed(a)).toStrictEqual(zeroed(b))
        } catch {
          same = false
        }
        expect(one.text === other.text).toBe(same)
      }),
    )
  })

  test.each([
    [10, 10n],
    [10, '10'],
    [10n, '10'],
    [null, 'null'],
    [undefined, null],
    [undefined, {}],
    [undefined, ''],
    [[], {}],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new URL('http://a/'), 'http://a/'],
    [new URL('http://a/'), new URL('http://a/#')],
    [
      [1, [2]],
      [[1], 2],
    ],
    [
      { a: 1, b: 2 },
      { a: 2, b: 1 },
    ],
    [{ 'a":1,"b': 1 }, { a: 1, b: 1 }],
    ['\u00e9', 'e\u0301'],
    [0, false],
  ])('%o and %o differ', (a, b) => {
    expect(taken(a).text).not.toBe(taken(b).text)
  })
})
