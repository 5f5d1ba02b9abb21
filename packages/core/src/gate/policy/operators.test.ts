import { describe, expect, test } from 'vitest'
import { compileTree } from './compile.ts'
import { parseCondition } from './parse.ts'
import type { Subject } from './policy.ts'
import { ABSENT, ERROR, FALSE, TRUE, type Truth } from './tree.ts'

const subject = (args: unknown, more: Partial<Subject> = {}): Subject => ({
  args,
  session: {
    id: 's1',
    agent: 'bot',
    tenant: 'acme',
    scopes: ['read', 'spend:5'],
    attributes: { team: 'ops' },
    depth: 1,
  },
  tool: {
    name: 'charge',
    framework: 'core',
    readOnly: false,
    destructive: true,
    idempotent: false,
    openWorld: true,
    labels: { area: 'money' },
  },
  now: Date.UTC(2026, 10, 23, 7, 43),
  ...more,
})

function truthOf(condition: unknown, of: Subject): Truth {
  return compileTree(parseCondition(condition, 'when'))(of)
}

const NONE = Symbol('absent')
const WORDS = { F: FALSE, A: ABSENT, E: ERROR, T: TRUE } as const
/** A test, then pairs of what it is asked of and what that comes to. `NONE`: of nothing. */
type Row = readonly [test: unknown, ...pairs: readonly (readonly [value: unknown, word: keyof typeof WORDS])[]]

const date = new Date('2026-11-23T07:43:00.000Z')
const big = 2n ** 64n

const TABLE: Readonly<Record<string, readonly Row[]>> = {
  'a scalar': [
    [
      5,
      [5, 'T'],
      [5n, 'T'],
      [6, 'F'],
      ['5', 'E'],
      [true, 'E'],
      [[5], 'E'],
      [{}, 'E'],
      [null, 'F'],
      [NONE, 'A'],
      [Number.NaN, 'E'],
    ],
    ['a', ['a', 'T'], ['A', 'F'], [1, 'E'], [null, 'F'], [NONE, 'A'], [['a'], 'E']],
    [true, [true, 'T'], [false, 'F'], ['true', 'E'], [1, 'E'], [null, 'F'], [NONE, 'A']],
    [null, [null, 'T'], [0, 'F'], ['', 'F'], [false, 'F'], [[], 'F'], [NONE, 'A']],
    [0, [0, 'T'], [-0, 'T'], [false, 'E'], ['', 'E']],
  ],
  eq: [
    [{ eq: 5 }, [5, 'T'], [4, 'F'], ['5', 'E'], [NONE, 'A']],
    [
      { eq: ['a', 1] },
      [['a', 1], 'T'],
      [['a'], 'F'],
      [[1, 'a'], 'F'],
      [['a', 1n], 'T'],
      ['a', 'E'],
      [null, 'F'],
      [NONE, 'A'],
    ],
    [{ eq: [] }, [[], 'T'], [['a'], 'F'], [{}, 'E']],
    [{ eq: '2026-11-23T07:43:00.000Z' }, [date, 'T']],
    [{ eq: 'https://example.com/' }, [new URL('https://example.com'), 'T'], [new URL('https://example.org'), 'F']],
    [{ eq: 2 ** 53 }, [2n ** 53n, 'T'], [2n ** 53n + 1n, 'F']],
  ],
  ne: [
    [{ ne: 5 }, [5, 'F'], [4, 'T'], ['5', 'E'], [null, 'T'], [NONE, 'A'], [Number.NaN, 'E']],
    [{ ne: 'a' }, ['a', 'F'], ['b', 'T'], [1, 'E'], [null, 'T'], [NONE, 'A']],
    [{ ne: null }, [null, 'F'], [5, 'T'], ['', 'T'], [NONE, 'A']],
    [{ ne: ['a'] }, [['a'], 'F'], [['b'], 'T'], ['a', 'E']],
  ],
  gt: [
    [
      { gt: 5 },
      [6, 'T'],
      [5, 'F'],
      [4, 'F'],
      [6n, 'T'],
      [big, 'T'],
      ['6', 'E'],
      [null, 'E'],
      [true, 'E'],
      [[6], 'E'],
      [NONE, 'A'],
    ],
    [{ gt: 5 }, [Number.NaN, 'E'], [Number.POSITIVE_INFINITY, 'E']],
    [{ gt: 'b' }, ['c', 'T'], ['b', 'F'], ['a', 'F'], ['B', 'F'], [1, 'E'], [NONE, 'A']],
    [{ gt: '2026-01-01' }, [date, 'T']],
  ],
  gte: [
    [{ gte: 5 }, [6, 'T'], [5, 'T'], [5n, 'T'], [4.9, 'F'], ['5', 'E'], [Number.NaN, 'E'], [NONE, 'A']],
    [{ gte: 'b' }, ['b', 'T'], ['a', 'F'], ['\u{1F600}', 'T']],
  ],
  lt: [
    [{ lt: 5 }, [4, 'T'], [5, 'F'], [-big, 'T'], ['4', 'E'], [null, 'E'], [Number.NEGATIVE_INFINITY, 'E'], [NONE, 'A']],
    // By UTF-16 units: what is outside of the basic plane comes before its last part.
    [{ lt: '\uFFFD' }, ['\u{1F600}', 'T'], ['\uFFFE', 'F']],
  ],
  lte: [
    [{ lte: 5 }, [5, 'T'], [5.1, 'F'], [5n, 'T'], ['', 'E'], [Number.NaN, 'E'], [NONE, 'A']],
    [{ lte: 0.1 }, [0.1, 'T'], [0n, 'T'], [1n, 'F']],
  ],
  in: [
    [
      { in: [1, 2] },
      [1, 'T'],
      [2n, 'T'],
      [3, 'F'],
      ['1', 'E'],
      [null, 'F'],
      [[1], 'E'],
      [{}, 'E'],
      [NONE, 'A'],
      [Number.NaN, 'E'],
    ],
    [{ in: ['a', 1, null] }, ['a', 'T'], ['b', 'F'], [2, 'F'], [null, 'T'], [true, 'E']],
    [{ in: [null] }, [null, 'T'], ['a', 'F']],
    [{ in: [] }, ['a', 'F'], [null, 'F'], [NONE, 'A']],
    [{ in: ['2026-11-23T07:43:00.000Z'] }, [date, 'T']],
  ],
  notIn: [
    [{ notIn: [1, 2] }, [1, 'F'], [2n, 'F'], [3, 'T'], ['1', 'E'], [null, 'T'], [NONE, 'A']],
    [{ notIn: ['a', null] }, ['a', 'F'], [null, 'F'], ['b', 'T'], [5, 'E']],
    [{ notIn: [] }, ['a', 'T']],
  ],
  startsWith: [
    [
      { startsWith: 'ab' },
      ['abc', 'T'],
      ['ab', 'T'],
      ['a', 'F'],
      ['xab', 'F'],
      [['ab'], 'E'],
      [1, 'E'],
      [null, 'E'],
      [NONE, 'A'],
    ],
  ],
  endsWith: [[{ endsWith: 'bc' }, ['abc', 'T'], ['bc', 'T'], ['bcd', 'F'], [1, 'E'], [null, 'E'], [NONE, 'A']]],
  contains: [
    [
      { contains: 'b' },
      ['abc', 'T'],
      ['ac', 'F'],
      [['b', 'c'], 'T'],
      [['bc'], 'F'],
      [[], 'F'],
      [[1], 'E'],
      [1, 'E'],
      [null, 'E'],
      [{ b: 1 }, 'E'],
      [NONE, 'A'],
    ],
    [{ contains: 5 }, [[4, 5], 'T'], [[5n], 'T'], [[4], 'F'], [['5'], 'E'], [['5', 4], 'F'], ['5', 'E'], [NONE, 'A']],
    [{ contains: null }, [[null], 'T'], [[1], 'F'], [[], 'F'], ['null', 'E']],
    [{ contains: '2026-11-23T07:43:00.000Z' }, [[date], 'T']],
  ],
  matches: [
    [{ matches: '^a+b?$' }, ['aab', 'T'], ['b', 'F'], ['', 'F'], [1, 'E'], [null, 'E'], [['a'], 'E'], [NONE, 'A']],
  ],
  glob: [
    [{ glob: '*.example.com' }, ['a.example.com', 'T'], ['example.com', 'F'], [1, 'E'], [null, 'E'], [NONE, 'A']],
    [{ glob: ['/open/*', '/own/me'] }, ['/open/a/b', 'T'], ['/own/me', 'T'], ['/own/you', 'F'], [['/open/a'], 'E']],
    [{ glob: 'https://example.com/*' }, [new URL('https://example.com/x'), 'T']],
  ],
  subsetOf: [
    [
      { subsetOf: ['a', 'b'] },
      [['a'], 'T'],
      [['b', 'a', 'a'], 'T'],
      [[], 'T'],
      [['a', 'c'], 'F'],
      [[1], 'E'],
      [['c', 1], 'F'],
      ['a', 'E'],
      [null, 'E'],
      [{}, 'E'],
      [NONE, 'A'],
    ],
    [{ subsetOf: [1, null] }, [[1n, null], 'T'], [[2], 'F'], [['1'], 'E']],
    [{ subsetOf: [] }, [[], 'T'], [['a'], 'F']],
    [{ subsetOf: ['2026-11-23T07:43:00.000Z'] }, [[date], 'T']],
  ],
  exists: [
    [{ exists: true }, [0, 'T'], [null, 'T'], ['', 'T'], [{}, 'T'], [NONE, 'F']],
    [{ exists: false }, [0, 'F'], [null, 'F'], [NONE, 'T']],
  ],
  size: [
    [
      { size: 2 },
      ['ab', 'T'],
      ['😀😀', 'T'],
      ['😀', 'F'],
      ['\ud83d\ud83d', 'T'],
      ['', 'F'],
      [[1, 2], 'T'],
      [{ a: 1, b: 2 }, 'T'],
      [2, 'E'],
      [null, 'E'],
      [true, 'E'],
      [NONE, 'A'],
    ],
    [{ size: { gt: 1, lte: 3 } }, ['a', 'F'], ['ab', 'T'], ['abcd', 'F'], [[], 'F'], [5, 'E'], [NONE, 'A']],
    [{ size: { in: [0, 2] } }, [[], 'T'], [[1], 'F'], [7n, 'E']],
    [{ size: { ne: 1 } }, [[], 'T'], [[1], 'F'], [null, 'E']],
    [{ size: { not: { gt: 1 } } }, [[1], 'T'], [[1, 2], 'F'], [1, 'E'], [NONE, 'E']],
    [{ size: { any: [{ eq: 0 }, { eq: 2 }] } }, ['', 'T'], ['a', 'F'], ['ab', 'T']],
    [{ size: 24 }, [date, 'T']],
  ],
  every: [
    [
      { every: { gt: 1 } },
      [[2, 3], 'T'],
      [[2, 1], 'F'],
      [[], 'T'],
      [[2, '3'], 'E'],
      [['3', 1], 'F'],
      [5, 'E'],
      [{}, 'E'],
      [null, 'E'],
      ['ab', 'E'],
      [NONE, 'A'],
    ],
    [{ every: 5 }, [[5, 5], 'T'], [[5, 6], 'F'], [['5'], 'E']],
    [
      { every: { 'item.price': { lte: 5 } } },
      [[{ price: 5 }], 'T'],
      [[{ price: 6 }], 'F'],
      [[{}], 'A'],
      [[{ price: '5' }], 'E'],
      [[{ price: 5 }, null], 'A'],
      [[5], 'E'],
      [['{"price":5}'], 'E'],
      [[[{ price: 5 }]], 'E'],
      [[], 'T'],
    ],
    [{ every: { startsWith: '2026' } }, [[date], 'T']],
    [{ every: { every: { gt: 0 } } }, [[[1], [2, 3]], 'T'], [[[1], [0]], 'F'], [[[1], 2], 'E'], [[], 'T']],
  ],
  some: [
    [
      { some: { gt: 1 } },
      [[1, 2], 'T'],
      [[1], 'F'],
      [[], 'F'],
      [[1, '3'], 'E'],
      [['3', 2], 'T'],
      [5, 'E'],
      [null, 'E'],
      [NONE, 'A'],
    ],
    [
      { some: { 'item.to': 'bob', 'item.amount': { gt: 5 } } },
      [[{ to: 'bob', amount: 6 }], 'T'],
      [
        [
          { to: 'bob', amount: 5 },
          { to: 'eve', amount: 6 },
        ],
        'F',
      ],
      [[{ to: 'bob' }], 'A'],
    ],
    [{ some: { not: { in: ['a', 'b'] } } }, [['a', 'c'], 'T'], [['a'], 'F'], [[1], 'E']],
    [{ some: { any: [{ 'item.a': 1 }, { 'item.b': 1 }] } }, [[{ b: 1 }], 'T'], [[{ a: 2, b: 2 }], 'F'], [[{}], 'A']],
    [{ some: { 'item[0]': 'x' } }, [[['x']], 'T'], [[[]], 'A'], [['x'], 'E'], [[{ 0: 'x' }], 'E']],
    [{ some: { exists: false } }, [[1], 'F'], [[], 'F']],
  ],
  all: [
    [{ all: [{ gt: 1 }, { lt: 3 }] }, [2, 'T'], [3, 'F'], ['2', 'E'], [NONE, 'A']],
    [{ gt: 1, lt: 3, ne: 2.5 }, [2, 'T'], [2.5, 'F']],
  ],
  any: [
    [{ any: [1, { gt: 5 }, { startsWith: 'a' }] }, [1, 'T'], [6, 'T'], [2, 'E'], ['a', 'T'], ['b', 'E'], [NONE, 'A']],
  ],
  not: [
    [{ not: { gt: 5 } }, [5, 'T'], [6, 'F'], ['6', 'E'], [NONE, 'E']],
    [{ not: 5 }, [4, 'T'], [5, 'F'], [null, 'T']],
    [{ not: { exists: true } }, [1, 'F'], [NONE, 'T']],
    [{ not: { not: { gt: 5 } } }, [6, 'T'], [5, 'F'], [NONE, 'E']],
  ],
}

describe.each(Object.entries(TABLE))('%s', (_, rows) => {
  const cases = rows.flatMap(([given, ...pairs]) => pairs.map(([value, word]) => ({ given, value, word })))
  const show = (value: unknown) =>
    value === NONE ? 'nothing' : JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one))

  test.each(cases.map((one) => ({ ...one, title: `${show(one.given)} of ${show(one.value)} is ${one.word}` })))(
    '$title',
    ({ given, value, word }) => {
      const args = value === NONE ? {} : { x: value }
      expect(truthOf({ 'args.x': given }, subject(args))).toBe(WORDS[word])
      // The readers of shorter and longer paths come to the same.
      expect(truthOf({ 'args.o.x': given }, subject({ o: args }))).toBe(WORDS[word])
      expect(truthOf({ 'args.p[0].x': given }, subject({ p: [args] }))).toBe(WORDS[word])
      if (value !== NONE) expect(truthOf({ args: given }, subject(value))).toBe(WORDS[word])
    },
  )
})
