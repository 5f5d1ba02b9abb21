import { describe, expect, it } from 'vitest'
import { placeOf, Texts } from './texts.ts'

const NONE = new Map<string, unknown>()
const written = (value: unknown, limit = 10_000) => new Texts(value, limit)
const places = (value: unknown) => written(value).pieces.map((piece) => `${placeOf(piece, NONE)} = ${piece.text}`)

describe('the texts of a value', () => {
  it('stand one below the other, members beside their keys, in order', () => {
    const value = { a: 'one', b: ['two', { c: 'three' }, 'four'], d: 5, e: new URL('https://x.example/y'), f: null }
    expect(written(value).joined).toBe('\na: one\nb\ntwo\nc: three\nfour\nd\ne: https://x.example/y\nf')
    expect(written('text').joined).toBe('\ntext')
    expect(written(['a', ['b']]).joined).toBe('\na\nb')
  })

  it('are where the pieces say they are', () => {
    const { joined, pieces } = written({ list: ['a', '', 'b'], 'odd key': 'c', '': 'd', [Symbol('s')]: 'e' })
    for (const { text, start } of pieces) expect(joined.slice(start, start + text.length)).toBe(text)
    expect(pieces.map(({ text }) => text)).toEqual(['list', 'a', '', 'b', 'odd key', 'c', 'd', 'e'])
  })

  it('have places in words that can be repeated', () => {
    expect(places({ items: [{ id: 'x' }], 'odd key': 'c' })).toEqual([
      'items = items',
      'items[0].id = id',
      'items[0].id = x',
      '? = odd key',
      '? = c',
    ])
    expect(places('text')).toEqual(['(root) = text'])
    const match = /b(?<name>c)/.exec('abcd')
    expect(places(match)).toContain('groups.name = c')
    expect(places([['a']])).toEqual(['[0][0] = a'])
    const [piece] = written({ secret: 'x' }).pieces
    expect(placeOf(piece as never, new Map([['secret', 1]]))).toBe('?')
  })

  it('of errors are what everybody prints, and what they carry', () => {
    const error = new TypeError('no', { cause: { key: 'x' } })
    expect(places(error)).toEqual(expect.arrayContaining(['message = no', 'name = TypeError', 'cause.key = x']))
    expect(places(error).some((place) => place.startsWith('stack = TypeError: no'))).toBe(true)
    expect(places(new DOMException('gone', 'AbortError'))).toEqual(
      expect.arrayContaining(['message = gone', 'name = AbortError']),
    )
  })

  it('of what is met twice, or leads back, stand there once', () => {
    const shared = { text: 'once' }
    const cyclic: Record<string, unknown> = { a: shared, b: shared }
    cyclic.c = cyclic
    expect(written(cyclic).joined).toBe('\na\ntext: once\nb\nc')
  })

  it('are looked for without running a line of the value', () => {
    const never = () => expect.fail('it was run')
    const traps = { get: never, has: never, ownKeys: never, getPrototypeOf: never, getOwnPropertyDescriptor: never }
    const value = {
      accessor: Object.defineProperty({}, 'x', { get: never, enumerable: true }),
      proxy: new Proxy({ x: 'hidden' }, traps),
      list: new Proxy(['hidden'], traps),
      json: { toJSON: never },
      closed: [new (class Own {})(), new Map([['k', 'v']]), Buffer.from('b'), never],
      error: Object.defineProperty(new Error('shown'), 'cause', { get: never }),
    }
    expect(written(value).joined).toContain('message: shown')
    expect(written(value).joined).not.toContain('hidden')
    expect(written(Object.defineProperty({}, 'its name', { get: never })).joined).toBe('\nits name')
  })

  it('end at the limit, and say so', () => {
    expect(written(['aaaa', 'bbbb', 'cccc'], 8)).toMatchObject({ joined: '\naaaa\nbb', cut: true })
    expect(written(['aaaa', 'bbbb'], 5)).toMatchObject({ joined: '\naaaa', cut: true })
    expect(written(['aaaa', 'bbbb'], 10)).toMatchObject({ joined: '\naaaa\nbbbb', cut: false })
    expect(written({ key: 'value' }, 1).cut).toBe(true)
  })

  it('are found at any depth, and named by no more than anybody reads', () => {
    let deep: unknown = 'bottom'
    for (let level = 0; level < 50_000; level++) deep = level % 2 ? { a: deep } : [deep]
    const { pieces, joined } = written(deep, 1e6)
    expect(joined.endsWith('\nbottom')).toBe(true)
    expect(placeOf(pieces.at(-1) as never, NONE)).toHaveLength(256)
  })
})
