import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { snapshot } from './call.ts'
import { compileRecord, type RecordOptions } from './record-options.ts'
import type { Marks } from './record-paths.ts'
import { BOUNDS, pick, scalarText } from './recorded-args.ts'
import { Redactor } from './vault/redact.ts'

const WHOLE = { plain: true, hashed: true }

function picked(args: unknown, options: RecordOptions, redactor = new Redactor()) {
  const { marks } = compileRecord(options, undefined) as { marks: Marks }
  const fixed = snapshot(args) as { args: unknown }
  const { shown, hashed, sealed, omitted } = pick(fixed.args, marks, redactor, WHOLE)
  const told = (map: ReadonlyMap<string, unknown>): Record<string, unknown> => Object.fromEntries(map)
  return { shown: told(shown), hashed: told(hashed), sealed: told(sealed), omitted }
}

const nothing = { shown: {}, hashed: {}, sealed: {}, omitted: 0 }

describe('what is shown', () => {
  it('is each scalar at or below a path that is named, by its own path', () => {
    const args = { a: { b: [1, { c: true }], d: null }, e: 'not named', 'odd key': 'x' }
    expect(picked(args, { show: ['a', '["odd key"]'] })).toEqual({
      ...nothing,
      shown: { 'a.b[0]': 1, 'a.b[1].c': true, 'a.d': null, '["odd key"]': 'x' },
    })
  })

  it('is nothing where a path leads nowhere, or to something else than it is written for', () => {
    const args = { a: 'text', b: { 0: 'x', length: 9 }, c: [] as unknown[] }
    expect(picked(args, { show: ['a.length', 'b[0]', 'c.length', 'c[0]', 'nowhere', 'constructor.name'] })).toEqual(
      nothing,
    )
    expect(picked(undefined, { show: 'all' })).toEqual(nothing)
  })

  it('is dates, URLs and big integers as texts', () => {
    const args = { at: new Date(0), to: new URL('https://example.com/x'), n: 2n ** 70n }
    expect(picked(args, { show: 'all' })).toEqual({
      ...nothing,
      shown: { at: '1970-01-01T00:00:00.000Z', to: 'https://example.com/x', n: String(2n ** 70n) },
    })
  })

  it('is everything but what is named elsewhere', () => {
    const args = { a: 1, b: { c: 2, d: 3 }, e: 'me@example.com', f: ['x'] }
    expect(picked(args, { show: 'all', redact: ['b.c'], fingerprint: ['e'], seal: ['f'] })).toEqual({
      shown: { a: 1, 'b.d': 3 },
      hashed: { e: 'me@example.com' },
      sealed: { f: '["x"]' },
      omitted: 0,
    })
  })

  it.each<[string, unknown]>([
    ['a list where an object was meant', { b: [{ c: 'hidden' }] }],
    ['lists in a list', { b: [[{ c: 'hidden' }]] }],
    ['the JSON text of it', { b: '{"c":"hidden"}' }],
    ['a list of JSON texts', { b: ['{"c":"hidden"}'] }],
  ])('is not what hides in %s', (_, args) => {
    expect(picked(args, { show: 'all', redact: ['b.c'] })).toEqual(nothing)
    expect(picked(args, { show: ['b'], redact: ['b.c'] })).toEqual(nothing)
  })

  it.each<[string, unknown]>([
    ['an object where a list was meant', { b: { 0: { c: 'hidden' }, x: 'hidden' } }],
    ['a text', { b: 'hidden' }],
    ['texts in the list', { b: ['hidden'] }],
  ])('is not what hides in %s', (_, args) => {
    expect(picked(args, { show: 'all', redact: ['b.*.c'] })).toEqual(nothing)
  })

  it('is cut, and no more than there is room for', () => {
    const long = 'x'.repeat(300)
    const { shown } = picked({ long }, { show: ['long'] })
    expect(shown).toEqual({ long: `${'x'.repeat(BOUNDS.text - 1)}…` })
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, long]))
    const all = picked(many, { show: 'all' })
    const size = Buffer.byteLength(JSON.stringify(all.shown))
    expect(size).toBeLessThan(BOUNDS.shown + 40 * 6)
    expect(Object.keys(all.shown as object).length + all.omitted).toBe(40)
    expect(all.omitted).toBeGreaterThan(20)
  })

  it('has no path that is longer than a name', () => {
    const key = 'k'.repeat(BOUNDS.path + 1)
    expect(picked({ [key]: 1, a: 2 }, { show: 'all' })).toEqual({ ...nothing, shown: { a: 2 }, omitted: 1 })
  })

  it('holds no secret of the session: redacted before it is cut, in keys as well', () => {
    const secret = 'sk_live_0123456789abcdef'
    const redactor = new Redactor()
    redactor.add('key', secret)
    const args = { a: `${'x'.repeat(BOUNDS.text - 10)}${secret}`, b: { [secret]: 1 }, c: { d: `see ${secret}` } }
    const { shown, sealed } = picked(args, { show: ['a', 'b'], seal: ['c'] }, redactor)
    expect(JSON.stringify([shown, sealed])).not.toContain('sk_live')
    expect(JSON.stringify([shown, sealed])).not.toContain('0123')
    expect(sealed).toEqual({ c: '{"d":"see [redacted:key]"}' })
  })
})

describe('what is fingerprinted', () => {
  it('is every scalar, by its text', () => {
    const args = { n: 4_111, s: 'x', b: false, d: new Date(0), u: new URL('https://a.example/'), i: 5n, z: null }
    expect(picked({ a: args }, { fingerprint: ['a'] }).hashed).toEqual({
      'a.n': '4111',
      'a.s': 'x',
      'a.b': 'false',
      'a.d': '1970-01-01T00:00:00.000Z',
      'a.u': 'https://a.example/',
      'a.i': '5',
    })
    expect(scalarText(-0.5)).toBe('-0.5')
    for (const none of [null, undefined, {}, [], new Date(Number.NaN), Symbol('x')]) {
      expect(scalarText(none)).toBeUndefined()
    }
  })

  it('is no more than there is room for', () => {
    const { hashed, omitted } = picked({ a: Array.from({ length: 70 }, (_, n) => n) }, { fingerprint: ['a'] })
    expect([Object.keys(hashed as object).length, omitted]).toEqual([BOUNDS.fingerprints, 6])
  })
})

describe('what is sealed', () => {
  it('is the whole of what stands there, each by itself', () => {
    const args = { a: { y: 2, x: [1, new Date(0)] }, b: [{ c: 'x' }, { c: null }, {}] }
    expect(picked(args, { seal: ['a', 'b.*.c'] })).toEqual({
      ...nothing,
      sealed: {
        a: '{"x":[1,{"$haldir":"date","v":"1970-01-01T00:00:00.000Z"}],"y":2}',
        'b[0].c': '"x"',
        'b[1].c': 'null',
      },
    })
  })

  it('is no more than there is room for, whole or not at all', () => {
    const { sealed, omitted } = picked({ a: 'x'.repeat(9_000), b: 'y' }, { seal: ['a', 'b'] })
    expect([sealed, omitted]).toEqual([{ b: '"y"' }, 1])
  })
})

describe('whatever the arguments are', () => {
  const key = fc.constantFrom('a', 'b', 'c')
  const path = fc.array(fc.oneof(key, fc.constant('*')), { minLength: 1, maxLength: 3 }).map((keys) => keys.join('.'))
  /** Every text in it is one of its own, so that it tells where it came from. */
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant('leaf'),
      fc.dictionary(key, tie('value'), { maxKeys: 3 }),
      fc.array(tie('value'), { maxLength: 3 }),
    ),
  })).value

  function numbered(value: unknown, count = { of: 0 }): unknown {
    if (value === 'leaf') return `text number ${count.of++};`
    if (Array.isArray(value)) return value.map((item) => numbered(item, count))
    return Object.fromEntries(Object.entries(value as object).map(([name, item]) => [name, numbered(item, count)]))
  }

  /** Every text that stands at or below a path, found in the simplest way; a name also means each item of a list. */
  function under(value: unknown, keys: readonly string[]): string[] {
    const [first, ...rest] = keys
    if (first === undefined)
      return typeof value === 'string' ? [value] : Object.values(value as object).flatMap((one) => under(one, []))
    if (typeof value !== 'object' || value === null) return []
    if (Array.isArray(value)) return value.flatMap((item) => (first === '*' ? under(item, rest) : under(item, keys)))
    return Object.hasOwn(value, first) ? under((value as Record<string, unknown>)[first], rest) : []
  }

  it('nothing that is named to be hidden is shown, and all of it is hashed or sealed', () => {
    fc.assert(
      fc.property(fc.dictionary(key, tree), fc.uniqueArray(path, { minLength: 1, maxLength: 3 }), (raw, paths) => {
        const args = numbered(raw)
        for (const list of ['redact', 'fingerprint', 'seal'] as const) {
          let options: RecordOptions = { show: 'all', [list]: paths }
          try {
            compileRecord(options, undefined)
          } catch {
            options = { show: 'all', [list]: paths.slice(0, 1) }
          }
          const { shown, hashed, sealed } = picked(args, options)
          const hidden = (options[list] as string[]).flatMap((one) => under(args, one.split('.')))
          for (const text of hidden) {
            expect(JSON.stringify(shown)).not.toContain(text)
            if (list === 'fingerprint') expect(Object.values(hashed as object)).toContain(text)
            if (list === 'seal') expect(JSON.stringify(sealed)).toContain(text)
          }
        }
      }),
      { numRuns: 500 },
    )
  })
})
