import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { insert, join, type Match } from './matches.ts'
import { Needles } from './needles.ts'
import { ROOT } from './tree.ts'

/** The longest needle that ends at each place, found the slow way. */
function endings(text: string, needles: readonly string[]): [needle: number, end: number][] {
  const found: [number, number][] = []
  for (let end = 1; end <= text.length; end++) {
    let longest = -1
    for (const [number, needle] of needles.entries()) {
      if (!text.slice(0, end).endsWith(needle)) continue
      if (longest === -1 || needle.length > (needles[longest] as string).length) longest = number
    }
    if (longest !== -1) found.push([longest, end])
  }
  return found
}

/** Every place of every needle, overlapping ones as one: the first's mark, the longest's where several begin. */
function spans(text: string, needles: readonly string[]): Match[] {
  const all: Match[] = []
  for (const mark of needles) {
    for (let start = 0; start + mark.length <= text.length; start++) {
      if (text.startsWith(mark, start)) all.push({ start, end: start + mark.length, mark })
    }
  }
  const inOrder: Match[] = []
  for (const match of all.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = inOrder.at(-1)
    if (!last || match.start >= last.end) inOrder.push(match)
    else if (match.end > last.end) inOrder[inOrder.length - 1] = { ...last, end: match.end }
  }
  return inOrder
}

function needlesOf(texts: readonly string[]): Needles {
  const needles = new Needles()
  for (const text of texts) needles.add(text)
  return needles
}

function found(needles: Needles, text: string): [number, number][] {
  const all: [number, number][] = []
  needles.find(text, (needle, end) => all.push([needle, end]))
  return all
}

function cutAt(text: string, cuts: readonly number[]): string[] {
  const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length]
  return at.slice(1).map((end, index) => text.slice(at[index], end))
}

// Small alphabets make needles that hold, begin and overlap one another and themselves.
const ALPHABETS = ['ab', 'abc', 'a密\u{1f511}', 'ab\u0000\uffff', 'abcdefghij']
const scene = fc.constantFrom(...ALPHABETS).chain((alphabet) => {
  const word = (least: number, most: number) =>
    fc.array(fc.constantFrom(...alphabet), { minLength: least, maxLength: most }).map((units) => units.join(''))
  return fc.constantFrom(1, 3, 6, 9).chain((least) =>
    fc.record({
      needles: fc.uniqueArray(word(least, least + 12), { minLength: 1, maxLength: 12 }),
      // Parts of the text: a needle by its number, or anything.
      parts: fc.array(fc.oneof(fc.nat({ max: 11 }), word(0, 8), fc.constantFrom('x', 'xyz', 'x'.repeat(40))), {
        maxLength: 14,
      }),
      cuts: fc.array(fc.nat({ max: 300 }), { maxLength: 12 }),
    }),
  )
})
const textOf = (parts: readonly (string | number)[], needles: readonly string[]) =>
  parts.map((part) => (typeof part === 'number' ? (needles[part % needles.length] as string) : part)).join('')

describe('whatever the needles, the text and where it is cut', () => {
  test('the longest needle that ends at each place is found, and that is enough to know what goes and by which mark', () => {
    fc.assert(
      fc.property(scene, ({ needles: texts, parts, cuts }) => {
        const text = textOf(parts, texts)
        const needles = needlesOf(texts)
        const expected = endings(text, texts)
        expect(found(needles, text)).toEqual(expected)

        const matches: Match[] = []
        for (const [number, end] of expected) {
          const mark = texts[number] as string
          join(matches, { start: end - mark.length, end, mark })
        }
        expect(matches).toEqual(spans(text, texts))

        let node = ROOT
        let read = 0
        const inPieces: [number, number][] = []
        for (const piece of cutAt(text, cuts)) {
          node = needles.read(piece, node, (needle, end) => inPieces.push([needle, read + end]))
          read += piece.length
        }
        expect(inPieces).toEqual(expected)
      }),
      { numRuns: 3_000 },
    )
  })

  test('the end of a text that begins a needle is known, and the one that tells too much of it', () => {
    fc.assert(
      fc.property(scene, fc.integer({ min: 1, max: 9 }), ({ needles: texts, parts, cuts }, shortest) => {
        const needles = needlesOf(texts)
        let node = ROOT
        let text = ''
        for (const piece of cutAt(textOf(parts, texts), cuts)) {
          node = needles.read(piece, node, () => {})
          text += piece
          let begun = 0
          let telling = 0
          for (let length = 1; length <= text.length; length++) {
            const going = texts.filter((needle) => needle.length > length && needle.startsWith(text.slice(-length)))
            if (going.length > 0) begun = length
            if (length >= shortest && going.some((needle) => length >= needle.length / 2)) telling = length
          }
          expect(needles.begun(node)).toBe(begun)
          expect(needles.telling(node, shortest)).toBe(telling)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('needles that are added between two texts are found from then on, and the others still', () => {
    fc.assert(
      fc.property(scene, ({ needles: texts, parts }) => {
        const needles = new Needles()
        const text = textOf(parts, texts)
        for (const [number, one] of texts.entries()) {
          expect(needles.add(one)).toBe(true)
          expect(needles.add(one)).toBe(false)
          expect(found(needles, text)).toEqual(endings(text, texts.slice(0, number + 1)))
        }
        expect(needles.texts).toEqual(texts)
      }),
      { numRuns: 1_000 },
    )
  })

  test('a match may be added to others wherever it stands', () => {
    const place = fc.tuple(fc.nat({ max: 30 }), fc.integer({ min: 1, max: 8 }))
    fc.assert(
      fc.property(fc.array(place, { maxLength: 6 }), place, (places, [start, length]) => {
        const text = 'x'.repeat(40)
        const others: Match[] = []
        const inOrder = places.map(([at, size]) => ({ start: at, end: at + size, mark: `${at}+${size}` }))
        for (const one of inOrder.sort((a, b) => a.end - b.end || b.start - a.start)) join(others, one)
        const before = structuredClone(others)
        const all = insert(others, { start, end: start + length, mark: 'new' })
        expect(others).toEqual(before)
        const covered = (matches: readonly Match[]) =>
          [...text].map((_, at) => matches.some((match) => match.start <= at && at < match.end))
        expect(covered(all)).toEqual(covered([...others, { start, end: start + length, mark: 'new' }]))
        for (const [at, match] of all.entries()) {
          expect(match.start).toBeGreaterThanOrEqual(all[at - 1]?.end ?? 0)
          const first = others.find((other) => other.start === match.start)
          const longer = first && (match.start !== start || first.end >= start + length)
          expect(match.mark).toBe(longer ? first.mark : match.start === start ? 'new' : first?.mark)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('where a plain search takes a time that multiplies', () => {
  test('needles that share a long beginning, of which none is there', () => {
    const shared = 'ab'.repeat(2_000)
    const texts = Array.from({ length: 300 }, (_, number) => `${shared}${number}!`)
    const needles = needlesOf(texts)
    const text = `${shared}${shared.slice(1)}x`.repeat(25)
    expect(found(needles, text)).toEqual([])
    expect(found(needles, `${text}${shared}123!`)).toEqual([[123, text.length + shared.length + 4]])
  })

  test('a needle of one letter and an end, in a text of that letter', () => {
    const one = `${'a'.repeat(5_000)}b`
    const needles = needlesOf([one, `${'a'.repeat(4_000)}c`])
    const text = 'a'.repeat(400_000)
    expect(found(needles, text)).toEqual([])
    expect(found(needles, `${text}b${text}c`)).toEqual([
      [0, 400_001],
      [1, 800_002],
    ])
    let node = ROOT
    for (const letter of text.slice(0, 60_000)) node = needles.read(letter, node, () => {})
    expect(needles.begun(node)).toBe(5_000)
    // The last half of 5,001 and of 4,001 letters would do.
    expect(needles.telling(node, 8)).toBe(5_000)
  })

  test('needles that are ends of one another: a link is found for each without recursion', () => {
    const whole = Array.from({ length: 1_500 }, (_, at) => String.fromCharCode(0x4e00 + at)).join('')
    const texts = Array.from({ length: 150 }, (_, at) => whole.slice(at * 10))
    const needles = needlesOf(texts)
    expect(found(needles, `${whole}x${whole.slice(10)}`)).toEqual([
      [0, 1_500],
      [1, 2_991],
    ])
    const deep = needlesOf([`${'z'.repeat(200_000)}!`])
    expect(found(deep, `${'z'.repeat(200_001)}!`)).toEqual([[0, 200_002]])
  })

  test('needles added one by one, each followed by a search for all of them', () => {
    const needles = new Needles()
    for (let number = 0; number < 2_000; number++) {
      const text = `needle-${number * 7919}-${'xyz'.repeat(10)}`
      needles.add(text)
      expect(found(needles, `<${text}>`)).toEqual([[number, text.length + 1]])
    }
  })
})
