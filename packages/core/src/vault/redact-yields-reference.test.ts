/** Redacting yields against the same done the slow way: everything that is kept in mind is read anew at each yield. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cut, type Match } from './matches.ts'
import { Redactor, SHORTEST } from './redact.ts'
import { YieldRedactor } from './redact-yields.ts'

class Reference {
  readonly #redactor: Redactor
  #out = ''
  #waiting: string[] = []

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  push(item: unknown): unknown[] {
    if (typeof item !== 'string') return [...this.#release(), this.#redactor.value(item).value]
    const pieces = [...this.#waiting, item]
    const before = this.#out + this.#waiting.join('')
    const text = before + item
    const matches = this.#spans(text)
    let { start } = this.#tail(text)
    let kept = pieces.length
    let border = text.length
    const keep = () => {
      while (kept > 0 && border > start) border -= (pieces[--kept] as string).length
    }
    keep()
    for (const match of matches.toReversed()) {
      if (match.start >= border || match.end <= border) continue
      start = Math.min(start, match.start)
      keep()
    }
    let found = matches.filter(({ end }) => end <= border)
    if (border >= before.length && item.startsWith(before)) found = merged([...found, ...this.#telling(before)])
    const items = this.#cut(pieces.slice(0, kept), found)
    this.#out = this.#out.slice(kept > 0 ? this.#out.length : start)
    this.#waiting = pieces.slice(kept)
    return items
  }

  end(): string[] {
    const pieces = this.#release()
    this.#out = ''
    return pieces
  }

  #release(): string[] {
    const text = this.#out + this.#waiting.join('')
    const pieces = this.#cut(this.#waiting, merged([...this.#spans(text), ...this.#telling(text)]))
    this.#out = text.slice(this.#tail(text).start)
    this.#waiting = []
    return pieces
  }

  #cut(pieces: readonly string[], matches: readonly Match[]): string[] {
    let end = this.#out.length
    return pieces.map((piece, index) => {
      const start = end
      end += piece.length
      const own = matches.filter((match) => match.end > start && match.start < end)
      return cut(
        piece,
        own.map((match) => ({
          start: Math.max(0, match.start - start),
          end: Math.min(piece.length, match.end - start),
          mark: match.start >= start || index === 0 ? match.mark : '',
        })),
      )
    })
  }

  /** Of what ends in text that is out nothing can be mended. */
  #spans(text: string): Match[] {
    const all: Match[] = []
    for (const needle of this.#redactor.needles) {
      const mark = this.#redactor.text(needle)
      for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at + 1)) {
        if (at + needle.length > this.#out.length) all.push({ start: at, end: at + needle.length, mark })
      }
    }
    return merged(all)
  }

  #telling(text: string): Match[] {
    const start = this.#tail(text).telling
    return start < text.length ? [{ start, end: text.length, mark: '[redacted]' }] : []
  }

  #tail(text: string): { start: number; telling: number } {
    let start = text.length
    let telling = text.length
    for (const needle of this.#redactor.needles) {
      let at = Math.max(0, text.length - needle.length + 1)
      while (at < text.length && !needle.startsWith(text.slice(at))) at++
      if (at === text.length) continue
      start = Math.min(start, at)
      if (text.length - at >= Math.max(SHORTEST, needle.length / 2)) telling = Math.min(telling, at)
    }
    return { start, telling }
  }
}

function merged(matches: Match[]): Match[] {
  const inOrder: Match[] = []
  for (const match of matches.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = inOrder.at(-1)
    if (!last || match.start >= last.end) inOrder.push(match)
    else if (match.end > last.end) inOrder[inOrder.length - 1] = { ...last, end: match.end }
  }
  return inOrder
}

/** Something that is no text. */
const STEP = { step: 1 }
const SECRETS = [
  'abababab-x',
  'bab-xyzzy-ba',
  'aabbaabb',
  'aabbaabbaabb-y',
  'bbbbbbbbbbbbb',
  '-xaabbaabb-x',
  'b-x-ab-x-a',
]

const item = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('a', 'b', 'ab', 'aabb', '-x', 'bab-', 'xyzzy', 'bbbb', '', '-', 'x') },
  { weight: 3, arbitrary: fc.constantFrom(...SECRETS) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(...SECRETS), fc.nat(), fc.nat())
      .map(([s, a, b]) => s.slice(a % 9, (a % 9) + (b % 9))),
  },
  { weight: 2, arbitrary: fc.constant(STEP) },
  // The whole text so far, and a little more.
  { weight: 2, arbitrary: fc.constantFrom('a', 'b-', '').map((more) => (before: string) => before + more) },
  // A secret that is revealed meanwhile.
  { weight: 1, arbitrary: fc.nat({ max: SECRETS.length - 1 }) },
)

test('any yields come out as they do the slow way, one by one', () => {
  fc.assert(
    fc.property(
      fc.subarray([...SECRETS.keys()], { minLength: 1 }),
      fc.array(item, { maxLength: 30 }),
      (first, items) => {
        const redactor = new Redactor()
        for (const number of first) redactor.add(`s${number}`, SECRETS[number] as string)
        const yields = new YieldRedactor(redactor)
        const reference = new Reference(redactor)
        let sinceStep = ''
        for (const one of items) {
          if (typeof one === 'number') {
            redactor.add(`s${one}`, SECRETS[one] as string)
            continue
          }
          const given = typeof one === 'function' ? one(sinceStep) : one
          if (typeof given === 'string') sinceStep = typeof one === 'function' ? given : sinceStep + given
          else sinceStep = ''
          expect(yields.push(given).items).toEqual(reference.push(given))
        }
        expect(yields.end()).toEqual(reference.end())
        expect(yields.push('aabb').items).toEqual(reference.push('aabb'))
      },
    ),
    { numRuns: 5_000 },
  )
})

test('a secret that has begun in text that is out is found although another one in it was found first', () => {
  const secret = 'key-1-abcdefgh-0123456789-zyxwvutsrq'
  const redactor = new Redactor()
  redactor.add('long', secret)
  redactor.add('short', 'abcdefgh')
  const yields = new YieldRedactor(redactor)
  expect(yields.push(secret.slice(0, 10)).items).toEqual([])
  expect(yields.push(STEP).items).toEqual([secret.slice(0, 10), STEP])
  expect(yields.push(secret.slice(10, 20)).items).toEqual([])
  expect(yields.push(secret.slice(20)).items).toEqual(['[redacted:long]', ''])
})

test('a long secret that comes letter by letter is found, and each letter is read once', () => {
  const redactor = new Redactor()
  const secret = `${'ab'.repeat(15_000)}!`
  redactor.add('long', secret)
  const yields = new YieldRedactor(redactor)
  // The first letters are none of it, but nobody knows until the next one.
  const letters = [...`${secret.slice(0, -1)}${secret}`]
  const out = [...letters.flatMap((letter) => yields.push(letter).items), ...yields.end()]
  expect(out).toHaveLength(letters.length)
  expect(out.join('')).toBe(`${secret.slice(0, -1)}[redacted:long]`)
})
