import { describe, expect, test } from 'vitest'
import { isPlain, kindOf, plainValue, same } from './values.ts'

class Own {
  a = 1
}

test.each<[unknown, string | undefined]>([
  [null, 'null'],
  ['', 'string'],
  [0, 'number'],
  [Number.NaN, undefined],
  [Number.NEGATIVE_INFINITY, undefined],
  [1n, 'number'],
  [false, 'boolean'],
  [[], 'list'],
  [{}, 'map'],
  [Object.create(null), 'map'],
  [new Own(), undefined],
  [new Date(0), undefined],
  [undefined, undefined],
  [() => {}, undefined],
  [Symbol('s'), undefined],
])('the kind of a value (%#)', (value, kind) => {
  expect(kindOf(value)).toBe(kind)
})

test('a date is its text, a URL its address; what only looks like one is itself', () => {
  expect(plainValue(new Date(0))).toBe('1970-01-01T00:00:00.000Z')
  expect(plainValue(new URL('https://a.b/c'))).toBe('https://a.b/c')
  const own = new Own()
  expect(plainValue(own)).toBe(own)
  expect([plainValue(null), plainValue('a'), plainValue(1)]).toEqual([null, 'a', 1])
  expect([isPlain({}), isPlain(Object.create(null)), isPlain(own), isPlain([])]).toEqual([true, true, false, false])
})

describe('two values are the same', () => {
  const big = 2n ** 60n
  test.each<[unknown, unknown, boolean]>([
    ['a', 'a', true],
    ['a', 'b', false],
    [1, 1, true],
    [1, '1', false],
    [0, -0, true],
    [Number.NaN, Number.NaN, false],
    [null, null, true],
    [null, undefined, false],
    [null, {}, false],
    [{}, null, false],
    ['a', {}, false],
    [{}, 'a', false],
    [1n, 1, true],
    [1n, 2, false],
    [2n, 1, false],
    [1n, 1n, true],
    [1n, '1', false],
    [1n, true, false],
    [1n, Number.NaN, false],
    [big, 2 ** 60, true],
    [big + 1n, 2 ** 60, false],
    [[1, 2], [1, 2], true],
    [[1, 2], [2, 1], false],
    [[1], [1, 2], false],
    [[1, 2], [1], false],
    [[1n], [1], true],
    [[], {}, false],
    [{}, [], false],
    [{ 0: 1, length: 1 }, [1], false],
    [[1], { 0: 1, length: 1 }, false],
    [{ a: 1 }, { a: 1 }, true],
    [{ a: 1 }, { a: 2 }, false],
    [{ a: 1 }, { b: 1 }, false],
    [{ a: 1 }, { a: 1, b: 1 }, false],
    [{ a: undefined }, { b: undefined }, false],
    [{ toString: 1 }, {}, false],
    [{ a: [{ b: 1 }] }, { a: [{ b: 1n }] }, true],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }, true],
    [new Own(), new Own(), false],
    [new Own(), { a: 1 }, false],
    [{ a: 1 }, new Own(), false],
    [new Date(0), '1970-01-01T00:00:00.000Z', true],
    [new Date(0), new Date(0), true],
    [new URL('https://a.b/'), 'https://a.b/', true],
  ])('(%#)', (one, other, expected) => {
    expect(same(one, other)).toBe(expected)
    expect(same(other, one)).toBe(expected)
  })
})
