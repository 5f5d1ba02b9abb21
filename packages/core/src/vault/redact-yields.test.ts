import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Redactor } from './redact.ts'
import { YieldRedactor } from './redact-yields.ts'

function yieldsOf(items: readonly unknown[], secrets: Readonly<Record<string, string>>): unknown[] {
  const redactor = new Redactor()
  for (const [name, secret] of Object.entries(secrets)) redactor.add(name, secret)
  const yields = new YieldRedactor(redactor)
  const out = items.flatMap((item) => yields.push(item).items)
  return [...out, ...yields.end()]
}

/** The text a reader has who joins what was yielded. */
function joined(items: readonly unknown[]): string {
  return items.filter((item) => typeof item === 'string').join('')
}

/** Every way to cut a text at two places, the empty pieces too. */
function* cutInThree(text: string): Generator<string[]> {
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      yield [text.slice(0, first), text.slice(first, second), text.slice(second)]
    }
  }
}

describe('a secret split over yields', () => {
  test.each([
    ['a key', 'sk_live_51Haldir'],
    ['one whose beginning repeats', 'xxab12cd34ef'],
    ['one that is one letter', 'aaaaaaaaaa'],
    ['one that is a rhythm', 'abcabcabcabc'],
    ['one that ends as it begins', 'abcdefgh-abcd'],
    ['one with surrogate pairs', '🔑pass🔑word🔑'],
    ['one with line breaks', 'one\ntwo "three"\n'],
  ])('is found wherever it is split: %s', (_, secret) => {
    for (const [before, after] of [
      ['', ''],
      ['Here: ', ' there'],
      [secret.slice(0, 3), secret.slice(3)],
      ['', secret.slice(0, 2)],
    ]) {
      const text = `${before}${secret}${after}`
      for (const pieces of cutInThree(text)) {
        const out = yieldsOf(pieces, { key: secret })
        expect(out).toHaveLength(3)
        expect(joined(out)).not.toContain(secret)
        expect(joined(out)).toContain('[redacted:key]')
        if (!secret.startsWith('a') && before !== secret.slice(0, 3)) {
          expect(joined(out)).toBe(`${before}[redacted:key]${after}`)
        }
      }
    }
  })

  test('is found letter by letter, in every encoding', () => {
    const secret = 'Zq"9/\\+ü k\u0001ey'
    const forms = [
      secret,
      JSON.stringify(secret),
      encodeURIComponent(secret),
      Buffer.from(secret).toString('hex').toUpperCase(),
      Buffer.from(`x${secret}`).toString('base64'),
      Buffer.from(`xy${secret}z`).toString('base64url'),
    ]
    for (const form of forms) {
      const out = yieldsOf([...`<${form}>`], { key: secret })
      expect(out).toHaveLength([...`<${form}>`].length)
      expect(joined(out)).toMatch(/^<.{0,4}\[redacted:key\].{0,4}>$/)
    }
  })

  test('is found when one secret begins another, holds it, or overlaps it', () => {
    const secrets = { short: 'abcdefgh', long: 'abcdefghijklmnop', bearer: 'Bearer abcdefgh', late: 'efgh12345678' }
    for (const text of ['abcdefghijklmnop', 'Bearer abcdefgh', 'abcdefgh12345678', 'abcdefghijkl', 'Bearer abcdef12']) {
      const whole = new Redactor()
      for (const [name, secret] of Object.entries(secrets)) whole.add(name, secret)
      for (const pieces of cutInThree(`>${text}<`)) {
        const out = yieldsOf(pieces, secrets)
        expect(joined(out)).toBe(whole.text(`>${text}<`))
        expect(out).toHaveLength(3)
      }
    }
  })

  test('is found when something that is no text comes between', () => {
    const secret = 'sk_live_51Haldir'
    const progress = { done: 1 }
    for (const [a, b, c] of cutInThree(secret)) {
      const out = yieldsOf([`>${a}`, progress, b, progress, progress, `${c}<`], { key: secret })
      expect(out).toHaveLength(6)
      expect([out[1], out[3], out[4]]).toEqual([progress, progress, progress])
      expect(out[1]).toBe(progress)
      const text = joined(out)
      expect(text).not.toContain(secret)
      expect(text).toContain('[redacted:key]')
      expect(text.startsWith('>')).toBe(true)
      expect(text.endsWith('<')).toBe(true)
      // Of the secret no more went out than its first half, before anybody could know.
      expect(text.replace(/\[redacted(:key)?\]/g, '').length).toBeLessThan(2 + secret.length / 2)
    }
  })
})

describe('a tool that yields the whole text so far', () => {
  test.each(['sk_live_51Haldir', 'xxab12cd34ef', 'aaaaaaaaaa', 'abcabcabcabc'])(
    'shows no more than half of %s',
    (secret) => {
      const text = `The key is ${secret}, keep it`
      const items = [...text].map((_, index) => text.slice(0, index + 1))
      const out = yieldsOf(items, { key: secret }) as string[]
      expect(out).toHaveLength(items.length)
      expect(out.at(-1)).toBe('The key is [redacted:key], keep it')
      for (const item of out) {
        const longest = [...secret].findLastIndex((_, index) => item.includes(secret.slice(0, index + 1))) + 1
        expect(longest).toBeLessThan(Math.max(8, secret.length / 2) + (secret.startsWith('a') ? 1 : 0))
      }
    },
  )

  test('is told from one that yields what is new, also after a redaction', () => {
    const secret = 'sk_live_51Haldir'
    const out = yieldsOf([`${secret} sk_live_51`, `${secret} sk_live_51H`, `${secret} sk_live_51Ha`], { key: secret })
    expect(out).toEqual(['[redacted:key] [redacted]', '[redacted:key] [redacted]', '[redacted:key] [redacted]'])
  })

  test('comes out as it was when there is no secret in it', () => {
    const text = 'The sk_key is sk_l and sk_live_ here'
    const items = [...text].map((_, index) => text.slice(0, index + 1))
    expect(yieldsOf(items, { key: 'sk_live_51Haldir-and-more-of-it' })).toEqual(items)
  })
})

describe('what holds no secret', () => {
  const secret = 'sk_live_51Haldir'

  test('an end that might begin a secret waits for the next yield, and comes out unchanged when it was none', () => {
    const redactor = new Redactor()
    redactor.add('key', secret)
    const yields = new YieldRedactor(redactor)
    expect(yields.push('hello').items).toEqual(['hello'])
    expect(yields.push('the s').items).toEqual([])
    expect(yields.push('k_').items).toEqual([])
    expect(yields.push('').items).toEqual([])
    expect(yields.push('y').items).toEqual(['the s', 'k_', '', 'y'])
    expect(yields.push('sk_l').items).toEqual([])
    expect(yields.end()).toEqual(['sk_l'])
    expect(yields.end()).toEqual([])
  })

  test('items that are no text go out at once, after the text that waited', () => {
    const redactor = new Redactor()
    redactor.add('key', secret)
    const yields = new YieldRedactor(redactor)
    const item = { step: 1 }
    yields.push('sk_')
    expect(yields.push(item).items).toEqual(['sk_', item])
    expect(yields.push(item).items[0]).toBe(item)
    expect(yields.push('nothing of it')).toEqual({ items: ['nothing of it'], opaque: false })
    expect(yields.push(Buffer.from('x')).opaque).toBe(true)
    expect(yields.push({ deep: [secret] }).items).toEqual([{ deep: ['[redacted:key]'] }])
  })

  test('any yields come out unchanged, in order and in number', () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.stringMatching(/^[sk_live5]{0,5}$/),
      fc.constantFrom('sk_', 'sk_live', 's', '', secret.slice(0, 7)),
      fc.record({ n: fc.integer() }),
      fc.constantFrom(null, undefined, 1),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (items) => {
        const text = joined(items)
        fc.pre(!text.includes(secret) && !text.includes('sk_live_'))
        expect(yieldsOf(items, { key: secret })).toEqual(items)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('any yields with secrets in them', () => {
  test('say together what redacting the joined text says, in the same number of yields', () => {
    const secrets = { a: 'abababab-x', b: 'bab-xyzzy-ba', c: 'aabbaabb' }
    const word = fc.constantFrom(...Object.values(secrets), 'a', 'b', 'ab', 'abab', '-x', 'bab-', 'xyzzy', 'aabb', ' ')
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 10 }),
        fc.array(fc.nat({ max: 120 }), { maxLength: 8 }),
        (words, cuts) => {
          const text = `${words.join('')} end.`
          const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((x, y) => x - y), text.length]
          const items = at.slice(1).map((end, index) => text.slice(at[index], end))
          // What looks like the whole text so far is read as such, and may lose more.
          const runs = (index: number) => items.slice(0, index).map((_, from) => items.slice(from, index).join(''))
          fc.pre(!items.some((item, index) => runs(index).some((run) => run !== '' && item.startsWith(run))))
          const whole = new Redactor()
          for (const [name, secret] of Object.entries(secrets)) whole.add(name, secret)
          const out = yieldsOf(items, secrets)
          expect(out).toHaveLength(items.length)
          expect(joined(out)).toBe(whole.text(text))
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('the end', () => {
  test('lets out a beginning, but not most of a secret', () => {
    const secret = 'sk_live_51HaldirCanary'
    expect(yieldsOf([`x ${secret.slice(0, 7)}`], { key: secret })).toEqual([`x ${secret.slice(0, 7)}`])
    expect(yieldsOf([`x ${secret.slice(0, 11)}`], { key: secret })).toEqual(['x [redacted]'])
    expect(yieldsOf(['x ', 'sk_live_5', '1Haldir'], { key: secret })).toEqual(['x ', '[redacted]', ''])
  })

  test('most of a short secret is not hidden by less of a long one that ends alike', () => {
    const secrets = { long: `_12345678${'z'.repeat(400)}`, short: '12345678-a' }
    expect(yieldsOf(['key: _12345678'], secrets)).toEqual(['key: _[redacted]'])
  })
})
