import { describe, expect, test } from 'vitest'
import { Redactor } from './redact.ts'
import { isClean } from './redact-clean.ts'

const SECRET = 'sk_live_51HaldirCanary'
const redactor = new Redactor()
redactor.add('key', SECRET)

describe('the quick look', () => {
  test('is enough for plain data, dates and addresses, also when they are shared or lead back', () => {
    const shared = { at: new Date(0), url: new URL('https://example.com/a'), list: [1, 2n, null, undefined, true, 'x'] }
    const ring: Record<string, unknown> = { shared, again: [shared, shared], [`${'long'.repeat(10)}`]: Number.NaN }
    ring.ring = ring
    expect(isClean(ring, redactor)).toBe(true)
  })

  test.each<[string, unknown]>([
    ['a text', SECRET],
    ['a member', { a: [SECRET] }],
    ['a key', { [`${SECRET}!`]: 1 }],
    ['a key that another object has too', [{ [`x${'y'.repeat(40)}`]: 1 }, { [`x${'y'.repeat(40)}`]: 1, [SECRET]: 1 }]],
    ['an address', new URL(`https://example.com/${SECRET}`)],
    ['an error', new Error('nothing')],
    ['a function', { run: () => 1 }],
    ['a symbol', Symbol('x')],
    ['a symbol as a key', { [Symbol('x')]: 1 }],
    ['an accessor', Object.defineProperty({}, 'a', { get: () => 1 })],
    ['a Proxy', new Proxy({}, {})],
    ['a Map', new Map()],
    ['an instance of a class', new (class Client {})()],
  ])('leaves to the walk: %s', (_, value) => {
    expect(isClean(value, redactor)).toBe(false)
    expect(isClean({ deep: [value] }, redactor)).toBe(false)
  })
})

test('thousands of keys that become the same mark all stay, each under a name of its own', () => {
  const hex = Buffer.from(SECRET).toString('hex')
  const stars = Array.from({ length: 3_000 }, (_, count) => '*'.repeat(count))
  const value = Object.fromEntries([SECRET, hex].flatMap((form) => stars.map((more, at) => [`${form}${more}`, at])))
  const { value: redacted } = redactor.value(value)
  expect(Object.values(redacted)).toEqual(Object.values(value))
  expect(Object.keys(redacted).every((key) => /^\[redacted:key\]\**$/.test(key))).toBe(true)
})
