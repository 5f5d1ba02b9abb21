import { describe, expect, it } from 'vitest'
import { canonical } from '../../call.ts'
import { argsText, type Bound, bindingOf, fromCanonical, grantText, plain } from './binding.ts'

const bound: Bound = {
  session: 's',
  chain: ['a', 'b'],
  tool: 'pay',
  toolHash: 'h',
  digestKey: 'k',
  digest: 'd',
  rules: 'r',
}

describe('bindingOf', () => {
  it('is SHA-256 over all of it, in hex, and begins with its version', () => {
    const text = '["haldir.approval.v1","s",["a","b"],"pay","h","k","d","r"]'
    const { createHash } = process.getBuiltinModule('node:crypto')
    expect(bindingOf(bound)).toBe(createHash('sha256').update(text).digest('hex'))
  })

  it.each<Partial<Bound>>([
    { session: 't' },
    { chain: ['a'] },
    { chain: ['a,b'] },
    { tool: 'pays' },
    { toolHash: 'i' },
    { toolHash: undefined },
    { digestKey: 'l' },
    { digest: 'e' },
    { rules: 's' },
  ])('is another one with %j', (other) => {
    expect(bindingOf({ ...bound, ...other })).not.toBe(bindingOf(bound))
  })
})

describe('grantText', () => {
  const args = { to: { domain: 'a.example', list: ['x'] }, amount: 5, none: null }

  it.each([
    [['amount'], { ...args, to: 7 }, true],
    [['amount'], { ...args, amount: 6 }, false],
    [['to.domain'], { to: { domain: 'a.example', more: 1 } }, true],
    [['to.domain'], { to: { domain: 'b.example' } }, false],
    [['to.domain'], { to: {} }, false],
    [['to.domain'], { to: null }, false],
    [['to.domain'], { to: 'a.example' }, false],
    [['to.domain'], {}, false],
    [['none'], { none: null }, true],
    [['none'], {}, false],
    [['to'], { to: { list: ['x'], domain: 'a.example' } }, true],
    [['constructor'], {}, true],
    [['to.length'], { to: { domain: 'a.example', list: ['x'] } }, true],
  ])('holds %j to what it was: %j fits: %s', (paths, other, same) => {
    expect(grantText(other, paths) === grantText(args, paths)).toBe(same)
  })

  it('tells what is absent from every value, at every depth', () => {
    const texts = [undefined, null, 'x', {}, { a: undefined }, { a: null }, { a: { b: null } }].map((args) =>
      grantText(args, ['a.b']),
    )
    expect(new Set(texts).size).toBe(2)
    expect(grantText({}, ['a.b'])).toBe('grant [["a.b"]]')
    expect(grantText(undefined, ['a'])).toBe('grant [["a"]]')
    expect(grantText({ toString: 1 }, ['toString'])).toBe('grant [["toString",1]]')
    expect(grantText({}, ['toString'])).toBe('grant [["toString"]]')
  })
})

describe('what people see of arguments', () => {
  it('is plain JSON data', () => {
    const args = {
      at: new Date(0),
      to: new URL('https://x.example/a'),
      n: 5n,
      list: [new Date(1)],
      no: null,
      yes: true,
    }
    expect(plain(args)).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      to: 'https://x.example/a',
      n: '5',
      list: ['1970-01-01T00:00:00.001Z'],
      no: null,
      yes: true,
    })
  })

  it('is indented, whole, and shows what would not show', () => {
    expect(argsText(undefined)).toBe('(no arguments)')
    expect(argsText(null)).toBe('null')
    expect(argsText({ to: 'a\u202eb', text: 'two\nlines' })).toBe(
      '{\n  "to": "a\\u{202e}b",\n  "text": "two\\nlines"\n}',
    )
    const long = 'x'.repeat(10_000)
    expect(argsText({ long })).toContain(long)
  })
})

describe('fromCanonical', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'text'],
    [
      'everything',
      { at: new Date(5), to: new URL('https://x.example/'), n: -(2n ** 80n), list: [[], {}, 'x', 1.5, true, null] },
    ],
  ])('reads what was written: %s', (_, value) => {
    const text = value === undefined ? '' : canonical(value)
    expect(fromCanonical(text)).toEqual(value)
  })

  it('throws for anything else', () => {
    for (const text of [' ', '{', 'undefined']) expect(() => fromCanonical(text)).toThrow()
  })
})
