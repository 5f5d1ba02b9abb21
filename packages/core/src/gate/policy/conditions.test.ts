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

const date = new Date('2026-11-23T07:43:00.000Z')
const big = 2n ** 64n

describe('another path as the operand', () => {
  test.each([
    ['eq', 5, 5, TRUE],
    ['eq', 5, 5n, TRUE],
    ['eq', 5, '5', ERROR],
    ['eq', { a: [1, { b: 2n }] }, { a: [1, { b: 2 }] }, TRUE],
    ['eq', { a: 1 }, { a: 1, b: 2 }, FALSE],
    ['eq', { a: 1, c: 2 }, { a: 1, b: 2 }, FALSE],
    ['eq', [1, 2], [2, 1], FALSE],
    ['eq', [], {}, ERROR],
    ['eq', null, {}, FALSE],
    ['eq', [date], [new Date(date)], TRUE],
    ['ne', [1], [1], FALSE],
    ['ne', 'a', null, TRUE],
    ['gt', 2, 1, TRUE],
    ['gt', big, 2 ** 64, FALSE],
    ['gt', 'b', 'a', TRUE],
    ['gt', 2, '1', ERROR],
    ['gt', null, null, ERROR],
    ['gt', Number.NaN, Number.NaN, ERROR],
    ['gte', 1, 1, TRUE],
    ['lt', 1, Number.NaN, ERROR],
    ['lte', [], [], ERROR],
    ['in', 'a', ['a', 'b'], TRUE],
    ['in', { id: 1 }, [{ id: 1 }], TRUE],
    ['in', { id: 1 }, [{ id: 2 }], FALSE],
    ['in', 'a', [1], ERROR],
    ['in', 'a', [], FALSE],
    ['in', 'a', 'abc', ERROR],
    ['in', 'a', null, ERROR],
    ['notIn', 'a', [1], ERROR],
    ['notIn', 'a', ['b'], TRUE],
    ['notIn', 'a', 'b', ERROR],
    ['startsWith', 'abc', 'ab', TRUE],
    ['startsWith', 'abc', 1, ERROR],
    ['endsWith', 'abc', 'bc', TRUE],
    ['contains', [[1]], [1], TRUE],
    ['contains', 'abc', 'b', TRUE],
    ['subsetOf', ['a'], ['a', 'b'], TRUE],
    ['subsetOf', ['a', 'c'], ['a', 'b'], FALSE],
    ['subsetOf', ['a'], 'a', ERROR],
    ['subsetOf', 'a', ['a'], ERROR],
  ] as const)('%s of %o and %o', (op, x, y, expected) => {
    expect(truthOf({ 'args.x': { [op]: { path: 'args.y' } } }, subject({ x, y }))).toBe(expected)
  })

  test('makes an error when it is absent, and nothing when the value is', () => {
    for (const op of ['eq', 'ne', 'gt', 'in', 'notIn', 'contains', 'subsetOf', 'startsWith']) {
      const condition = { 'args.x': { [op]: { path: 'args.y' } } }
      expect(truthOf(condition, subject({ x: ['a'] }))).toBe(ERROR)
      expect(truthOf(condition, subject({ y: ['a'] }))).toBe(ABSENT)
      expect(truthOf(condition, subject({}))).toBe(ABSENT)
    }
  })

  test('reaches the session, the tool and the time', () => {
    const of = subject({ team: 'ops', tool: 'charge', hour: 7, to: 'bot' })
    expect(truthOf({ 'args.team': { eq: { path: 'session.attributes.team' } } }, of)).toBe(TRUE)
    expect(truthOf({ 'args.tool': { eq: { path: 'tool.name' } } }, of)).toBe(TRUE)
    expect(truthOf({ 'args.hour': { eq: { path: 'time.hour' } } }, of)).toBe(TRUE)
    expect(truthOf({ 'session.agent': { eq: { path: 'args.to' } } }, of)).toBe(TRUE)
    expect(truthOf({ 'args.hour': { lt: { path: 'session.depth' } } }, of)).toBe(FALSE)
  })

  test('inside a list is of the item or of the call', () => {
    const condition = {
      'args.rows': { every: { 'item.owner': { eq: { path: 'args.me' } }, 'item.a': { lt: { path: 'item.b' } } } },
    }
    const row = { owner: 'x', a: 1, b: 2 }
    expect(truthOf(condition, subject({ me: 'x', rows: [row, row] }))).toBe(TRUE)
    expect(truthOf(condition, subject({ me: 'y', rows: [row] }))).toBe(FALSE)
    expect(truthOf(condition, subject({ me: 'x', rows: [{ ...row, b: 1 }] }))).toBe(FALSE)
  })

  test('of a size', () => {
    const condition = { 'args.x': { size: { lte: { path: 'args.most' } } } }
    expect(truthOf(condition, subject({ x: 'abc', most: 3 }))).toBe(TRUE)
    expect(truthOf(condition, subject({ x: 'abc', most: '3' }))).toBe(ERROR)
  })
})

describe('a nested list', () => {
  test('means the innermost item, and the outer roots are still there', () => {
    const condition = {
      'args.orders': {
        some: { 'item.lines': { every: { 'item.price': { lte: { path: 'args.most' } } } }, 'item.id': 2 },
      },
    }
    const orders = [
      { id: 1, lines: [{ price: 9 }] },
      { id: 2, lines: [{ price: 1 }, { price: 2 }] },
    ]
    expect(truthOf(condition, subject({ orders, most: 2 }))).toBe(TRUE)
    expect(truthOf(condition, subject({ orders, most: 1 }))).toBe(FALSE)
  })
})

describe('reading a path', () => {
  test('finds own properties of plain data and nothing else', () => {
    const of = subject({
      list: ['a'],
      keyed: { 0: 'a' },
      text: 'abc',
      date,
      url: new URL('https://a.b'),
      nothing: null,
      bare: Object.assign(Object.create(null), { x: 1 }),
    })
    const absent = [
      'list.length',
      'list["0"]',
      'text.length',
      'text[0]',
      'date.x',
      'url.href',
      'nothing.x',
      'constructor',
      'toString',
      'hasOwnProperty',
      'list[1]',
      'keyed[0]',
      'bare.y',
    ]
    for (const path of absent) expect(truthOf({ [`args.${path}`]: { exists: true } }, of), path).toBe(FALSE)
    for (const path of ['list[0]', 'bare.x', 'date', 'nothing'])
      expect(truthOf({ [`args.${path}`]: { exists: true } }, of), path).toBe(TRUE)
  })

  test('is not deceived by what a prototype was given', () => {
    const prototype = Object.prototype as { haldirPolluted?: number }
    prototype.haldirPolluted = 5
    try {
      expect(truthOf({ 'args.haldirPolluted': { exists: true } }, subject({}))).toBe(FALSE)
      expect(truthOf({ 'args.o.haldirPolluted': { exists: true } }, subject({ o: {} }))).toBe(FALSE)
      const equal = { 'args.a': { eq: { path: 'args.b' } } }
      expect(truthOf(equal, subject({ a: { haldirPolluted: 5 }, b: { other: 5 } }))).toBe(FALSE)
      expect(truthOf({ 'session.attributes.haldirPolluted': { exists: true } }, subject({}))).toBe(FALSE)
    } finally {
      delete prototype.haldirPolluted
    }
  })

  test('a tool without arguments has none', () => {
    for (const args of [undefined, null, {}]) expect(truthOf({ 'args.x': 1 }, subject(args))).toBe(ABSENT)
    expect(truthOf({ args: { exists: true } }, subject(undefined))).toBe(FALSE)
    expect(truthOf({ args: { size: 0 } }, subject({}))).toBe(TRUE)
  })

  test('through a value of another type than it is written for is an error, and nothing is there', () => {
    const texts = { order: '{"amount":500}', list: 'x', map: { 0: 'x' } }
    for (const [args, path] of [
      [texts, 'args.order.amount'],
      [texts, 'args.list[0]'],
      [texts, 'args.map[0]'],
      [texts, 'args.order.amount.cents'],
      [{ order: [{ amount: 500 }] }, 'args.order.amount'],
      [{ order: 500 }, 'args.order.amount'],
      [{ order: date }, 'args.order.amount'],
      ['{"amount":500}', 'args.amount'],
      [[{ amount: 500 }], 'args.amount'],
    ] as const) {
      const call = subject(args)
      const tests = [
        5,
        { ne: 5 },
        { gt: 5 },
        { in: [] },
        { notIn: [null] },
        { size: 1 },
        { contains: 'x' },
        { every: 5 },
      ]
      for (const test of tests) expect(truthOf({ [path]: test }, call), path).toBe(ERROR)
      expect(truthOf({ 'session.agent': { ne: { path } } }, call), path).toBe(ERROR)
      expect(truthOf({ [path]: { exists: true } }, call), path).toBe(FALSE)
      expect(truthOf({ [path]: { exists: false } }, call), path).toBe(TRUE)
    }
    for (const order of [undefined, null, {}]) {
      expect(truthOf({ 'args.order.amount': { gt: 5 } }, subject({ order }))).toBe(ABSENT)
    }
  })

  test('knows the fields of session, tool and time', () => {
    const facts = {
      'session.id': 's1',
      'session.agent': 'bot',
      'session.tenant': 'acme',
      'session.scopes': { contains: 'read' },
      'session.scopes[1]': 'spend:5',
      'session.attributes.team': 'ops',
      'session.attributes': { size: 1 },
      'session.depth': 1,
      'tool.name': 'charge',
      'tool.framework': 'core',
      'tool.readOnly': false,
      'tool.destructive': true,
      'tool.idempotent': false,
      'tool.openWorld': true,
      'tool.labels.area': 'money',
      'time.hour': 7,
      'time.minute': 43,
      'time.weekday': 'mon',
      'time.day': 23,
      'time.month': 11,
      'time.year': 2026,
      'time.date': '2026-11-23',
      'time.clock': { gte: '07:00', lt: '08:00' },
    }
    for (const [path, given] of Object.entries(facts)) expect(truthOf({ [path]: given }, subject({})), path).toBe(TRUE)
    expect(truthOf(facts, subject({}))).toBe(TRUE)
  })

  test('what can not be read is an error and never an exception', () => {
    const broken = {
      get x(): never {
        throw new Error('no')
      },
    }
    expect(truthOf({ 'args.x': 1 }, subject(broken))).toBe(ERROR)
    const hostile = new Proxy(
      {},
      {
        getPrototypeOf: () => {
          throw new Error('no')
        },
      },
    )
    expect(truthOf({ 'args.x': 1 }, subject(hostile))).toBe(ERROR)
    expect(truthOf({ 'session.attributes.x': 1 }, { ...subject({}), session: undefined as never })).toBe(ERROR)
    expect(truthOf({ 'time.hour': 1 }, subject({}, { now: Number.NaN }))).toBe(ERROR)
    expect(truthOf({ not: { 'time.hour': 1 } }, subject({}, { now: Number.NaN }))).toBe(ERROR)
    expect(truthOf({ 'args.x': 'a' }, subject({ x: new Date(Number.NaN) }))).toBe(ERROR)
    for (const odd of [() => 1, Symbol('odd'), new Map(), /a/]) {
      for (const given of [1, { ne: 1 }, { gt: 1 }, { in: [1] }, { contains: 1 }, { size: 1 }, { subsetOf: [1] }]) {
        expect(truthOf({ 'args.x': given }, subject({ x: odd }))).toBe(ERROR)
      }
    }
  })
})

describe('a function', () => {
  test.each<[test: () => unknown, expected: Truth]>([
    [() => true, TRUE],
    [() => false, FALSE],
    [() => 1, ERROR],
    [() => undefined, ERROR],
    [() => 'false', ERROR],
    [async () => true, ERROR],
    [() => Promise.reject(new Error('no')), ERROR],
    [
      () => {
        throw new Error('no')
      },
      ERROR,
    ],
    [
      () => ({
        get then() {
          throw new Error('no')
        },
      }),
      ERROR,
    ],
  ])('%s comes to %s', (test, expected) => {
    expect(truthOf(test, subject({}))).toBe(expected)
    expect(truthOf({ not: test }, subject({}))).toBe(expected === TRUE ? FALSE : expected === FALSE ? TRUE : ERROR)
  })

  test('sees the call', () => {
    const of = subject({ x: 1 })
    expect(truthOf((call: Subject) => call === of, of)).toBe(TRUE)
    expect(truthOf({ all: [(call: Subject) => call.session.agent === 'bot', { 'args.x': 1 }] }, of)).toBe(TRUE)
  })
})

test('a condition of several entries holds when all of them do', () => {
  const of = subject({ a: 1, b: 2 })
  expect(truthOf({ 'args.a': 1, 'args.b': 2 }, of)).toBe(TRUE)
  expect(truthOf({ 'args.a': 1, 'args.b': 3 }, of)).toBe(FALSE)
  expect(truthOf({ 'args.a': 1, any: [{ 'args.b': 3 }, { 'args.b': 2 }], not: { 'args.a': 2 } }, of)).toBe(TRUE)
  expect(truthOf({ 'args.a': 1, not: { 'args.c': 2 } }, of)).toBe(ERROR)
})
