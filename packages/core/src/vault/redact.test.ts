import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Redactor } from './redact.ts'

/** Shapes that credentials have, and shapes that encoders treat specially. */
const SECRETS: Readonly<Record<string, string>> = {
  key: 'sk_live_51HaldirCanary',
  eight: 'hunter2!',
  quotes: 'a"b\\c\'d"e`f',
  lines: 'first line\nsecond\tline\r\nthird',
  unicode: 'pässwörd-密码-🔑',
  ideographs: '密码密',
  percent: '100%25 of %zz & more',
  slashes: 'ab/cd+ef/gh+ij==',
  url: 'https://u:p@h/x?a=1&b=2#c',
  marks: "!'()*~-_.;,/?:@&=+$#",
  markup: '<a href="x">&amp;</a>',
  pattern: '.*[a-z]+(x|y)?$^{2}',
  pem: `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/+\n'.repeat(48)}-----END PRIVATE KEY-----\n`,
  separators: 'line\u2028and\u2029paragraph',
}

const json = (text: string) => JSON.stringify(text).slice(1, -1)
const lower = (text: string) => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
const bytes = (text: string) => [...Buffer.from(text, 'utf8')].map((byte) => byte.toString(16).padStart(2, '0'))
const escaped = (text: string, chars: RegExp, upper: boolean) =>
  text.replace(chars, (unit) => {
    const code = unit.charCodeAt(0).toString(16).padStart(4, '0')
    return `\\u${upper ? code.toUpperCase() : code}`
  })

/** Every encoding of invariant 7, made with what the platform has rather than with the code under test. */
const ENCODINGS: Readonly<Record<string, (secret: string) => string>> = {
  verbatim: (text) => text,
  JSON: json,
  'JSON in JSON': (text) => json(json(text)),
  'JSON in ASCII': (text) => escaped(json(text), /[^\0-\x7f]/g, false),
  'JSON in ASCII, upper case': (text) => escaped(json(text), /[^\0-\x7f]/g, true),
  'JSON with escaped slashes': (text) => json(text).replaceAll('/', '\\/'),
  'JSON in ASCII with escaped slashes': (text) => escaped(json(text), /[^\0-\x7f]/g, false).replaceAll('/', '\\/'),
  'JSON without markup': (text) => escaped(json(text), /[<>&\u2028\u2029]/g, false),
  hex: (text) => bytes(text).join(''),
  'hex, upper case': (text) => bytes(text).join('').toUpperCase(),
  percent: encodeURIComponent,
  'percent, lower case': (text) => lower(encodeURIComponent(text)),
  'percent, RFC 3986': (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${bytes(c)}`.toUpperCase()),
  'percent, whole addresses': encodeURI,
  'percent, whole addresses, lower case': (text) => lower(encodeURI(text)),
  'percent, forms': (text) => new URLSearchParams({ '': text }).toString().slice(1),
  'percent, forms, lower case': (text) => lower(new URLSearchParams({ '': text }).toString().slice(1)),
  'percent, every byte': (text) => `%${bytes(text).join('%')}`,
  'percent, every byte, upper case': (text) => `%${bytes(text).join('%').toUpperCase()}`,
}

function redactorOf(...names: string[]): Redactor {
  const redactor = new Redactor()
  for (const name of names) redactor.add(name, SECRETS[name] as string)
  return redactor
}

/** Everything a value shows, through cycles, symbols and hidden members. */
function shown(value: unknown): string {
  return inspect(value, { depth: null, showHidden: true, maxStringLength: null, maxArrayLength: null })
}

describe.each(Object.keys(SECRETS))('the secret `%s`', (name) => {
  const secret = SECRETS[name] as string
  const redactor = redactorOf(name)
  const mark = `[redacted:${name}]`

  test.each(Object.keys(ENCODINGS))('is found as %s, wherever it stands', (encoding) => {
    const form = (ENCODINGS[encoding] as (text: string) => string)(secret)
    for (const [before, after] of [
      ['', ''],
      ['x', ''],
      ['', 'y'],
      ['key: ', ' (live)'],
      ['\ud800', '\udc00'],
    ]) {
      expect(redactor.text(`${before}${form}${after}`)).toBe(`${before}${mark}${after}`)
    }
    expect(redactor.text(`${form},${form}`)).toBe(`${mark},${mark}`)
    expect(redactor.text(form.slice(1))).toBe(form.slice(1))
  })

  test('is found as base64 and base64url at every alignment of the bytes around it', () => {
    for (let before = 0; before < 7; before++) {
      for (let after = 0; after < 4; after++) {
        const around = Buffer.concat([Buffer.alloc(before, 'a'), Buffer.from(secret), Buffer.alloc(after, 'z')])
        for (const encoding of ['base64', 'base64url'] as const) {
          const left = redactor.text(around.toString(encoding))
          expect(left).toContain(mark)
          // At each end one character may stand for bits of a neighbour as well.
          const most = Math.ceil((before * 8) / 6) + Math.ceil((after * 8) / 6) + 4
          expect(left.replace(mark, '').length).toBeLessThanOrEqual(most)
        }
      }
    }
  })

  test('is found in a URL, also when the URL encodes only some of it', () => {
    // The parser of URLs drops tabs and line breaks, so there such a secret is another text.
    if (/[\t\r\n]/.test(secret)) return
    const urls = [`https://h/?key=${encodeURIComponent(secret)}`, `https://h/#${encodeURIComponent(secret)}`]
    if (!secret.includes('#')) urls.push(`https://h/?key=${secret}&x=1`, `foo://h/?key=${secret}`)
    urls.push(`https://h/#${secret}`)
    for (const text of urls) {
      const { value, opaque } = redactor.value({ url: new URL(text) })
      expect(typeof value.url).toBe('string')
      expect(String(value.url)).toContain(mark)
      expect(opaque).toBe(false)
    }
    const named = new URL('https://h/')
    named.password = secret
    expect(redactor.value(named).value).toBe(`https://:${mark}@h/`)
  })

  test('is removed from values, keys, arrays and errors at any depth, and from nothing else', () => {
    const untouched = { note: 'nothing here', list: [1, 2] }
    const value = {
      plain: secret,
      [secret]: 'as a key',
      list: [1, { deep: [`${secret}!`] }],
      error: new Error(`it was ${secret}`),
      untouched,
    }
    const before = shown(value)
    const { value: redacted, opaque } = redactor.value(value)
    expect(opaque).toBe(false)
    expect(redacted.plain).toBe(mark)
    expect(redacted.list).toEqual([1, { deep: [`${mark}!`] }])
    expect(Object.keys(redacted)).toEqual(['plain', mark, 'list', 'error', 'untouched'])
    expect(redacted.error.message).toBe(`it was ${mark}`)
    expect(redacted.untouched).toBe(untouched)
    for (const encode of Object.values(ENCODINGS)) {
      for (const needle of [secret, encode(secret)]) {
        expect(JSON.stringify(redacted) + shown(redacted) + redacted.error.stack).not.toContain(needle)
      }
    }
    // The value that the tool made is still what it was.
    expect(shown(value)).toBe(before)
  })
})

describe('secrets together', () => {
  test('a secret that is an encoding of another is looked for in its own encodings too', () => {
    const redactor = new Redactor()
    const inner = 'twelve bytes'
    const outer = Buffer.from(inner).toString('base64')
    redactor.add('inner', inner)
    redactor.add('outer', outer)
    expect(redactor.text(Buffer.from(outer).toString('hex'))).toBe('[redacted:outer]')
  })

  test('where one secret contains another, or they overlap, all of both goes', () => {
    const redactor = new Redactor()
    redactor.add('short', 'abcdefgh')
    redactor.add('long', 'Bearer abcdefgh-tail')
    redactor.add('late', 'efgh12345')
    expect(redactor.text('Bearer abcdefgh-tail')).toBe('[redacted:long]')
    expect(redactor.text('x abcdefgh y')).toBe('x [redacted:short] y')
    expect(redactor.text('abcdefgh12345.')).toBe('[redacted:short].')
  })

  test('a line break at the end that the tool takes off does not hide a secret', () => {
    const redactor = new Redactor()
    redactor.add('file', 'from-a-file\n')
    expect(redactor.text('key=from-a-file;')).toBe('key=[redacted:file];')
    expect(redactor.text('from-a-file\n.')).toBe('[redacted:file].')
  })

  test('a secret of fewer than 8 bytes is not looked for; one of 8 bytes in two characters is', () => {
    const redactor = new Redactor()
    redactor.add('pin', '1234567')
    expect(redactor.empty).toBe(true)
    const value = { pin: '1234567' }
    expect(redactor.value(value)).toEqual({ value, opaque: false })
    redactor.add('keys', '🔑🔑')
    expect(redactor.text('🔑🔑')).toBe('[redacted:keys]')
    expect(redactor.value(['🔑🔑']).value).toEqual(['[redacted:keys]'])
  })

  test('a secret of many kilobytes is found like any other', () => {
    const redactor = new Redactor()
    const secret = 'Ab9/+'.repeat(20_000)
    redactor.add('large', secret)
    redactor.add('large', secret)
    expect(redactor.text(`x${secret}y`)).toBe('x[redacted:large]y')
    expect(redactor.text(Buffer.from(secret).toString('hex'))).toBe('[redacted:large]')
  })

  test('a secret of digits is found as a number', () => {
    const redactor = new Redactor()
    redactor.add('account', '4000056655665556')
    expect(redactor.value({ a: 4000056655665556, b: 4000056655665556n, c: 42 }).value).toEqual({
      a: '[redacted:account]',
      b: '[redacted:account]',
      c: 42,
    })
  })
})

describe('when nothing is found', () => {
  const redactor = redactorOf('key', 'pem')

  test('the same reference is returned, however large, deep, shared or cyclic', () => {
    let deep: unknown = 'end'
    for (let level = 0; level < 50_000; level++) deep = level % 2 ? [deep] : { deep }
    const cycle: Record<string, unknown> = { a: 1 }
    cycle.self = cycle
    const error = new AggregateError([new Error('a'), new TypeError('b')], 'c', { cause: { why: ['d'] } })
    error.errors.push(error)
    const frozen = Object.freeze({ list: Object.freeze([Object.freeze({})]) })
    for (const value of [
      deep,
      cycle,
      error,
      frozen,
      { rate: Number.NaN, zero: -0 },
      'text',
      1,
      1n,
      null,
      undefined,
      true,
      Symbol('s'),
      [],
      {},
      Object.assign(new Array(3), { 2: 1 }),
      new Date(0),
      new URL('http://a/?b=c'),
      Object.create(null),
      new DOMException('gone', 'AbortError'),
    ]) {
      const result = redactor.value(value)
      expect(Object.is(result.value, value)).toBe(true)
      expect(result.opaque).toBe(false)
    }
  })

  test('text with none of the secrets in it is unchanged, and so is any value', () => {
    const all = redactorOf(...Object.keys(SECRETS))
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        fc.pre(![...all.needles].some((needle) => text.includes(needle)))
        expect(all.text(text)).toBe(text)
      }),
      { numRuns: 500 },
    )
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withSparseArray: true }),
        (value) => {
          expect(Object.is(all.value(value).value, value)).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('random text around a secret is kept to the letter', () => {
    const only = redactorOf('key')
    const around = fc.string({ unit: 'binary', maxLength: 40 })
    fc.assert(
      fc.property(around, around, fc.constantFrom(...Object.keys(ENCODINGS)), (before, after, encoding) => {
        const form = ENCODINGS[encoding]?.(SECRETS.key as string)
        expect(only.text(`${before}${form}${after}`)).toBe(`${before}[redacted:key]${after}`)
      }),
      { numRuns: 500 },
    )
  })
})

describe('cycles and shared objects', () => {
  const secret = SECRETS.key as string

  test('a cycle leads into the copy, never back to the original', () => {
    type Ring = { secret: string; next: { back?: Ring; list: Ring[] } }
    const ring: Ring = { secret, next: { list: [] } }
    ring.next.back = ring
    ring.next.list.push(ring)
    const { value, opaque } = redactorOf('key').value(ring)
    expect(opaque).toBe(false)
    expect(value.next.back).toBe(value)
    expect(value.next.list[0]).toBe(value)
    expect(shown(value)).not.toContain(secret)
    expect(ring.secret).toBe(secret)
  })

  test('an object met before its own secret was is copied too', () => {
    const holder: Record<string, unknown> = {}
    const first = { holder }
    holder.again = first
    holder.late = { secret }
    const { value } = redactorOf('key').value([first, holder])
    expect(shown(value)).not.toContain(secret)
    expect((value[0] as typeof first).holder).toBe(value[1])
  })

  test('an error that is its own cause', () => {
    const error = new Error(`it was ${secret}`)
    error.cause = { error, list: [error] }
    const { value } = redactorOf('key').value(error)
    expect(value).toBeInstanceOf(Error)
    expect((value.cause as { error: Error }).error).toBe(value)
    expect(shown(value)).not.toContain(secret)
  })

  test('a secret 50,000 levels down is found', () => {
    let deep: unknown = { secret }
    for (let level = 0; level < 50_000; level++) deep = { deep }
    const { value, opaque } = redactorOf('key').value(deep)
    expect(opaque).toBe(false)
    let at = value as { deep?: object; secret?: string }
    while (at.deep) at = at.deep
    expect(at.secret).toBe('[redacted:key]')
  })

  test('an object that stands twice is one object in the copy', () => {
    const shared = { secret }
    const { value } = redactorOf('key').value({ a: shared, b: [shared] })
    expect(value.a).toBe(value.b[0])
  })

  test('members keep their order, holes, symbols and hiddenness', () => {
    const tag = Symbol('tag')
    const list: unknown[] = Object.assign(new Array(3), { 0: secret, 2: 1 })
    const value = Object.defineProperty({ z: 1, list, [tag]: secret, a: secret }, 'hidden', { value: secret })
    const { value: redacted } = redactorOf('key').value(value)
    expect(Reflect.ownKeys(redacted)).toEqual(['z', 'list', 'a', 'hidden', tag])
    expect(redacted.list).toHaveLength(3)
    expect(1 in redacted.list).toBe(false)
    expect(Object.keys(redacted)).not.toContain('hidden')
    expect(shown(redacted)).not.toContain(secret)
    expect(Object.getPrototypeOf(redactorOf('key').value(Object.assign(Object.create(null), { secret })).value)).toBe(
      null,
    )
  })

  test('keys that become the same mark all stay, also of a frozen object', () => {
    const hex = Buffer.from(secret).toString('hex')
    const { value } = redactorOf('key').value(Object.freeze({ [secret]: 1, [hex]: 2, '[redacted:key]': 3 }))
    expect(Object.values(value)).toEqual([1, 2, 3])
    expect(shown(value)).not.toContain(secret)
    expect(shown(value)).not.toContain(hex)
  })
})

describe('errors', () => {
  const secret = SECRETS.key as string
  const redactor = redactorOf('key')

  test('message, stack, cause, collected errors and own properties are redacted; class and kind stay', () => {
    class PaymentError extends Error {
      override name = 'PaymentError'
      readonly status = 402
      readonly request = { headers: { authorization: `Bearer ${secret}` } }
    }
    const cause = new TypeError(`inner ${secret}`)
    const error = new AggregateError([new PaymentError('refused'), secret], `outer ${secret}`, { cause })
    const { value, opaque } = redactor.value(error)
    expect(opaque).toBe(false)
    expect(value).toBeInstanceOf(AggregateError)
    expect(value.name).toBe('AggregateError')
    expect(value.message).toBe('outer [redacted:key]')
    expect(value.cause).toBeInstanceOf(TypeError)
    expect(value.errors[0]).toBeInstanceOf(PaymentError)
    expect(value.errors[0]).toMatchObject({ name: 'PaymentError', status: 402, message: 'refused' })
    expect(value.errors[0].request).toEqual({ headers: { authorization: 'Bearer [redacted:key]' } })
    expect(value.errors[1]).toBe('[redacted:key]')
    expect(value.stack).toContain('redact.test.ts')
    expect(shown(value) + value.stack + (value.cause as Error).stack).not.toContain(secret)
    expect(error.message).toBe(`outer ${secret}`)
  })

  test('a secret in the stack alone is enough', () => {
    const error = new Error('quiet')
    error.stack = `Error: quiet\n    at ${secret} (file.js:1:1)`
    expect(redactor.value(error).value.stack).toBe('Error: quiet\n    at [redacted:key] (file.js:1:1)')
  })

  test('what can not be looked into leaves with the secret, and does not spoil an error without one', () => {
    const socket = new (class Socket {
      secret = secret
    })()
    const clean = Object.assign(new Error('closed'), { socket, retry: () => secret })
    expect(redactor.value(clean)).toEqual({ value: clean, opaque: false })
    const leaking = Object.assign(new Error(secret), { socket, retry: () => secret, deep: { socket }, code: 'E' })
    const { value, opaque } = redactor.value(leaking)
    expect(opaque).toBe(false)
    expect(value).toMatchObject({ message: '[redacted:key]', code: 'E' })
    expect(Object.keys(value)).toEqual(['code'])
    expect(shown(value)).not.toContain(secret)
  })

  test('an error with a function in it is kept as the cause of one with a secret', () => {
    const cause = Object.assign(new Error('inner'), { retry: () => 1 })
    const { value } = redactor.value(new Error(secret, { cause }))
    expect(value.cause).toBe(cause)
  })

  test('the reason of an abort is an error like any other', () => {
    const controller = new AbortController()
    controller.abort()
    expect(redactor.value(controller.signal.reason)).toEqual({ value: controller.signal.reason, opaque: false })
    const { value, opaque } = redactor.value(new DOMException(`gone ${secret}`, 'AbortError'))
    expect(opaque).toBe(false)
    expect(value).toBeInstanceOf(DOMException)
    expect(value).toMatchObject({ name: 'AbortError', message: 'gone [redacted:key]', code: expect.any(Number) })
    expect(value.stack).not.toContain(secret)
  })
})

describe('what can not be looked into', () => {
  const secret = SECRETS.key as string
  const redactor = redactorOf('key')

  test.each<[string, unknown]>([
    ['a function', () => secret],
    ['an instance of a class', new (class Client {})()],
    ['a Buffer', Buffer.from(secret)],
    ['a Map', new Map([[1, secret]])],
    ['a Set', new Set([secret])],
    ['a stream', new ReadableStream()],
    ['a promise', Promise.resolve(1)],
    ['a boxed string', Object(secret)],
    ['a regular expression', /x/],
    ['a Proxy', new Proxy({}, {})],
    ['a subclass of Date', new (class extends Date {})(0)],
    ['a date with a property', Object.assign(new Date(0), { secret })],
    ['a subclass of URL', new (class extends URL {})('http://a')],
    ['a forged URL', Object.create(URL.prototype)],
    ['a URL with a property', Object.assign(new URL('http://a'), { secret })],
    ['a subclass of Array', class extends Array {}.from([1])],
    [
      'an accessor',
      {
        get a() {
          return secret
        },
      },
    ],
    ['an accessor in an array', Object.defineProperty([1], 0, { get: () => secret })],
    ['a symbol that says it', Symbol(`is ${secret}`)],
    ['a symbol that says it, as a key', { [Symbol(secret)]: 1 }],
  ])('%s', (_, value) => {
    expect(redactor.value(value)).toMatchObject({ opaque: true })
    const { value: redacted, opaque } = redactor.value({ beside: secret, list: [{ value }] })
    expect(opaque).toBe(true)
    // What stands beside it is still redacted: some calls let such results pass.
    expect(redacted.beside).toBe('[redacted:key]')
  })

  test('something that throws while it is looked at does not keep what stands beside it from being redacted', () => {
    const error = new Error('x')
    Object.setPrototypeOf(error, {
      get name() {
        throw new Error('no')
      },
    })
    const { value, opaque } = redactor.value({ beside: secret, error })
    expect(value.beside).toBe('[redacted:key]')
    expect(opaque).toBe(true)
  })

  test('own accessors and Proxy traps never run, with a secret beside them or without', () => {
    const ran: string[] = []
    const get = (name: string) => ({ get: () => ran.push(name), enumerable: true, configurable: true })
    const traps = Object.fromEntries(
      Object.getOwnPropertyNames(Reflect).map((name) => [name, () => void ran.push(name)]),
    ) as ProxyHandler<object>
    // Whoever reads a stack first may have it put together from the message: a matter of the process, not of ours.
    const error = () => {
      const made = new Error('x')
      expect(made.stack).toBeDefined()
      return made
    }
    const values = [
      Object.defineProperty({}, 'a', get('a')),
      Object.defineProperty([1], 0, get('0')),
      Object.defineProperty(error(), 'message', get('message')),
      Object.defineProperty(error(), 'stack', get('stack')),
      Object.defineProperty(error(), 'cause', get('cause')),
      Object.defineProperty(new URL('http://a'), 'href', get('href')),
      Object.defineProperty(new Date(0), 'getTime', get('getTime')),
      Object.assign(Object.create({ toJSON: () => ran.push('toJSON') }), { a: 1 }),
      { toJSON: () => ran.push('toJSON'), toString: () => ran.push('toString') },
      new Proxy({}, traps),
      new Proxy([], traps),
      new Proxy(new Error('x'), traps),
      Object.create(new Proxy({}, traps)),
    ]
    for (const value of values) {
      redactor.value(value)
      redactor.value([value, secret])
    }
    expect(ran).toEqual([])
  })
})

test('a list stays as long as it is, though its length is a secret; the name of a platform’s error is redacted', () => {
  const redactor = new Redactor()
  redactor.add('pin', '12345678')
  const list = new Array(12_345_678)
  list[0] = 'my pin is 12345678'
  expect(redactor.value(list).value).toHaveLength(12_345_678)
  const { value } = redactor.value(new DOMException('failed', 'Error12345678'))
  expect(value.name).toBe('Error[redacted:pin]')
})
