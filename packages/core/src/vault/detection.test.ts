import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../clock.ts'
import { type Detector, type FoundCredential, search } from './detection.ts'

/** Finds these words, each as a kind of its own name. */
const words = (...all: string[]): Detector => ({
  name: 'words',
  find: (text) =>
    all.flatMap((word) => [...text.matchAll(new RegExp(word, 'g'))].map(({ index }) => at(index, word.length, word))),
})
const at = (start: number, length: number, kind: string): FoundCredential => ({ start, end: start + length, kind })
const searched = (value: unknown, credentials: Detector) =>
  search(value, { credentials, limit: 1e6, results: 'redact' }, 1_000, systemClock)

describe('what is found', () => {
  it('is taken out where it stands, and nothing else is', async () => {
    const inner = { b: 'two one', c: [1, 'three'] }
    const value = { a: 'one', inner, rest: { d: 'four' } }
    const { detected, redacted } = await searched(value, words('one', 'three'))
    const shown = redacted(value) as typeof value
    expect(shown).toEqual({
      a: '[redacted:one]',
      inner: { b: 'two [redacted:one]', c: [1, '[redacted:three]'] },
      rest: { d: 'four' },
    })
    expect(shown.rest).toBe(value.rest)
    expect(value.inner).toBe(inner)
    expect(detected).toEqual([
      { kind: 'one', at: 'a' },
      { kind: 'one', at: 'inner.b' },
      { kind: 'three', at: 'inner.c[1]' },
    ])
  })

  it('leaves nothing over when credentials overlap, hold one another or follow each other', async () => {
    const overlapping: [string, FoundCredential[]][] = [
      ['[redacted:a]z', [at(1, 10, 'a'), at(3, 2, 'b')]],
      ['[redacted:a]z', [at(1, 6, 'a'), at(5, 6, 'b')]],
      ['[redacted:a]z', [at(1, 8, 'a'), at(2, 2, 'b'), at(6, 5, 'c')]],
      ['[redacted:a][redacted:b]z', [at(1, 5, 'a'), at(6, 5, 'b')]],
      ['[redacted:b]z', [at(1, 4, 'a'), at(1, 10, 'b')]],
    ]
    for (const [shown, spans] of overlapping) {
      for (const found of [spans, spans.toReversed()]) {
        const { redacted } = await searched('abcdefghijz', { name: 'fixed', find: () => found })
        expect(redacted('abcdefghijz')).toBe(shown)
      }
    }
  })

  it('may lie across several texts, and is taken out of each', async () => {
    const value = { key: 'abc', list: ['def', '', 'ghi'] }
    // '\nkey: abc\nlist\ndef\n\nghi'
    const { detected, redacted } = await searched(value, { name: 'fixed', find: () => [at(7, 15, 'x')] })
    expect(redacted(value)).toEqual({
      key: 'a[redacted:x]',
      '[redacted:x]': ['[redacted:x]', '', '[redacted:x]i'],
    })
    expect(detected).toEqual([{ kind: 'x', at: 'key' }])
  })

  it('is taken out of a text wherever that text stands, also a hundred thousand times', async () => {
    const value = Array.from({ length: 100_000 }, () => 'a token')
    const { detected, redacted } = await searched(value, words('token'))
    expect(new Set(redacted(value) as string[])).toEqual(new Set(['a [redacted:token]']))
    expect(detected).toHaveLength(100_000)
  })

  it('is gone from any value, and everything else is there', async () => {
    const leaf = fc.oneof(fc.constantFrom('one', 'a one b', 'two', 'oneone'), fc.string(), fc.integer(), fc.boolean())
    const key = fc.oneof(fc.constantFrom('one', 'k'), fc.string())
    const { value: any } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
      ),
    }))
    const written = (value: unknown) => JSON.stringify(value)
    await fc.assert(
      fc.asyncProperty(any, async (value) => {
        const { detected, redacted } = await searched(value, words('one'))
        const shown = redacted(value)
        expect(written(shown)?.replaceAll('[redacted:one]', '')).not.toContain('one')
        expect(detected.length > 0).toBe(Boolean(written(value)?.includes('one')))
        if (detected.length === 0) expect(shown).toBe(value)
        else expect(written(shown).replaceAll('[redacted:one]', 'one')).toBe(written(value))
      }),
      { numRuns: 300 },
    )
  })
})

it('a value without texts is not shown to the detector', async () => {
  const detector: Detector = { name: 'never', find: () => expect.fail('it was asked') }
  for (const value of [undefined, 7, null, [], {}, [1, [2]], new Date(), Buffer.from('x')]) {
    const { detected, redacted } = await searched(value, detector)
    expect(detected).toEqual([])
    expect(redacted(value)).toBe(value)
  }
})
