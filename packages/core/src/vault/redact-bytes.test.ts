import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Redactor } from './redact.ts'
import { ByteRedactor } from './redact-bytes.ts'

function redactorOf(secrets: Readonly<Record<string, string>>): Redactor {
  const redactor = new Redactor()
  for (const [name, secret] of Object.entries(secrets)) redactor.add(name, secret)
  return redactor
}

function redacted(chunks: readonly Uint8Array[], secrets: Readonly<Record<string, string>>): Buffer {
  const bytes = new ByteRedactor(redactorOf(secrets))
  const out = chunks.map((chunk) => bytes.push(chunk))
  return Buffer.concat([...out, bytes.end()])
}

/** One letter for each byte. */
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

const SECRETS = {
  key: 'sk_live_51HaldirCanary',
  words: 'pässwörd-密码-🔑',
  letter: 'aaaaaaaaaaaa',
  lines: 'one\ntwo "three"\\n',
}

describe('a secret in bytes', () => {
  test.each(Object.keys(SECRETS) as (keyof typeof SECRETS)[])('is found wherever the chunks are cut: %s', (name) => {
    const secret = SECRETS[name]
    const around = Buffer.from([0xff, 0x00, 0xc3, 0x80, 0x0a])
    const all = Buffer.concat([around, Buffer.from(secret), around])
    const expected = latin1(Buffer.concat([around, Buffer.from(`[redacted:${name}]`), around]))
    for (let first = 0; first <= all.length; first++) {
      for (let second = first; second <= all.length; second++) {
        const chunks = [all.subarray(0, first), all.subarray(first, second), all.subarray(second)]
        expect(latin1(redacted(chunks, SECRETS))).toBe(expected)
      }
    }
  })

  test('is found byte by byte, in every encoding', () => {
    for (const secret of Object.values(SECRETS)) {
      for (const form of [
        secret,
        JSON.stringify(secret).slice(1, -1),
        encodeURIComponent(secret),
        Buffer.from(secret).toString('hex').toUpperCase(),
        Buffer.from(`ab${secret}`).toString('base64url'),
      ]) {
        const all = Buffer.from(`<${form}>`)
        const out = redacted(
          Array.from(all, (_, at) => all.subarray(at, at + 1)),
          SECRETS,
        )
        expect(out.toString()).toMatch(/^<.{0,4}\[redacted:\w+\].{0,4}>$/)
      }
    }
  })

  test('is marked by its name in UTF-8', () => {
    const name = 'schlüssel-钥'
    expect(redacted([Buffer.from('x sk_live_51Haldir y')], { [name]: 'sk_live_51Haldir' }).toString()).toBe(
      `x [redacted:${name}] y`,
    )
  })

  test('is found when it is revealed while its first bytes are held back, not when they are out', () => {
    const redactor = redactorOf({ first: 'abcdefgh-12345678' })
    const bytes = new ByteRedactor(redactor)
    expect(latin1(bytes.push(Buffer.from('> abcdefgh-1')))).toBe('> ')
    redactor.add('second', 'efgh-1ü-rest')
    expect(latin1(bytes.push(Buffer.from('ü-re')))).toBe('abcd')
    expect(latin1(bytes.push(Buffer.from('st <')))).toBe('[redacted:second] <')
    redactor.add('third', 'late-secret')
    expect(latin1(bytes.push(Buffer.from('late-secret')))).toBe('[redacted:third]')
    expect(bytes.end()).toHaveLength(0)
  })

  test('is not let out for the most part when the bytes end in it', () => {
    expect(latin1(redacted([Buffer.from('x sk_live_51Ha')], SECRETS))).toBe('x [redacted]')
    expect(latin1(redacted([Buffer.from('x sk_liv')], SECRETS))).toBe('x sk_liv')
    const bytes = new ByteRedactor(redactorOf(SECRETS))
    bytes.push(Buffer.from('sk_li'))
    expect(latin1(bytes.end())).toBe('sk_li')
    // What comes after an end is another text.
    expect(latin1(bytes.push(Buffer.from('ve_51HaldirCanary')))).toBe('ve_51HaldirCanary')
  })
})

describe('any chunks', () => {
  test('come out as the whole text redacted at once', () => {
    const secrets = { a: 'abababab-x', b: 'bab-xyzzy-ba', c: 'aabbaabb', d: 'aabbaabb-and-more-of-it' }
    const part = fc.constantFrom(...Object.values(secrets), 'a', 'b', 'ab', 'abab', '-x', 'bab-', 'xyzzy', 'aabb', 'é')
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 10 }),
        fc.array(fc.nat({ max: 200 }), { maxLength: 10 }),
        (parts, cuts) => {
          const all = Buffer.from(`${parts.join('')} end.`)
          const at = [0, ...cuts.map((cut) => cut % (all.length + 1)).sort((x, y) => x - y), all.length]
          const chunks = at.slice(1).map((end, index) => all.subarray(at[index], end))
          expect(redacted(chunks, secrets).toString()).toBe(redactorOf(secrets).text(all.toString()))
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test('without a secret come out to the byte, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (chunks) => {
        expect(latin1(redacted(chunks, SECRETS))).toBe(latin1(Buffer.concat(chunks)))
      }),
      { numRuns: 500 },
    )
  })

  test('go through without a copy when nothing in them waits', () => {
    const bytes = new ByteRedactor(redactorOf(SECRETS))
    const chunk = new Uint8Array(Buffer.from('nothing of it')).subarray(3)
    expect(bytes.push(chunk)).toBe(chunk)
    // What waits is a copy: its buffer may be used again.
    const reused = Buffer.from('then sk_live_51')
    expect(latin1(bytes.push(reused))).toBe('then ')
    reused.fill(0)
    expect(latin1(bytes.push(Buffer.from('x')))).toBe('sk_live_51x')
    expect(bytes.push(chunk)).toBe(chunk)
  })
})
