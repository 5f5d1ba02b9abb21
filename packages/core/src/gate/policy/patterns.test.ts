import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileGlobs, compileNames, compileRegex, exactNames, regexProblem } from './patterns.ts'

describe('names', () => {
  test('match as one glob or another does', () => {
    const matches = compileGlobs(['read', 'search', 'gmail_*', '*_list'])
    expect(['read', 'search', 'gmail_send', 'file_list'].map(matches)).toEqual([true, true, true, true])
    expect(['reader', 'gmail', 'list', ''].map(matches)).toEqual([false, false, false, false])
  })

  test('are no question when every name matches', () => {
    for (const names of [undefined, '*', '**', ['a', '*']]) expect(compileNames(names)).toBeUndefined()
    expect(compileNames(['a', 'b*'])?.('bc')).toBe(true)
    expect(compileNames('\\*')?.('a')).toBe(false)
  })

  test('are exact when all of them are written out', () => {
    expect(exactNames(['a', 'b', 'a', 'c\\*'])).toEqual(['a', 'b', 'c*'])
    expect(exactNames(['a', 'b*'])).toBeUndefined()
    expect(exactNames(undefined)).toBeUndefined()
  })
})

describe('regular expressions', () => {
  test.each([
    ['b', 'abc', true],
    ['^b', 'abc', false],
    ['^a.c$', 'abc', true],
    ['(?i)ABC', 'abc', true],
    ['^\\d{4}-\\d{2}$', '2026-11', true],
    ['^\\d+$', '12a', false],
    ['\\bdrop\\b', 'please drop it', true],
    ['^$', '', true],
    ['^.$', '😀', true],
  ])('%s found in %s: %s', (source, text, expected) => {
    expect(regexProblem(source)).toBeUndefined()
    expect(compileRegex(source)(text)).toBe(expected)
  })

  test.each(['(', 'a{2', '(?=a)', '(?<!a)b', '(a)\\1', '*', 'a'.repeat(1_001), '(a{100}){100}', 'a{900}'.repeat(50)])(
    '%j is refused',
    (source) => {
      // `a{2` is a text to RE2: braces that count nothing stand for themselves.
      expect(regexProblem(source) === undefined).toBe(source === 'a{2')
    },
  )

  test('agree with the language’s own where both know the syntax', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '^', '$', 'é', '\n', 'x{1,3}', '😀')
    const source = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        atom,
        fc.tuple(tie('node'), tie('node')).map((parts) => parts.join('')),
        fc.tuple(tie('node'), tie('node')).map((parts) => `(${parts.join('|')})`),
        fc.tuple(tie('node'), fc.constantFrom('*', '+', '?')).map(([part, times]) => `(?:${part})${times}`),
      ),
    })).node
    const text = fc.array(fc.constantFrom('a', 'b', 'x', '1', 'é', '\n', '😀'), { maxLength: 8 })
    fc.assert(
      fc.property(source, text, (regex, units) => {
        fc.pre(regexProblem(regex) === undefined)
        expect(compileRegex(regex)(units.join(''))).toBe(new RegExp(regex, 'u').test(units.join('')))
      }),
      { numRuns: 1_000 },
    )
  })

  test.each([
    ['(a+)+$', `${'a'.repeat(10_000)}!`],
    ['^(x*)*y$', `${'x'.repeat(10_000)}yy`],
    ['(a|a)*b$', `${'a'.repeat(10_000)}b `],
    ['(a|b)*a(a|b){14}$', `${'ab'.repeat(5_000)}c`],
  ])('%s takes no longer than the text is long', (source, text) => {
    const matches = compileRegex(source)
    matches(text)
    const began = process.cpuUsage()
    expect(matches(text)).toBe(false)
    expect(process.cpuUsage(began).user).toBeLessThan(100_000)
  })

  test('a text that can not be searched in good time is an error, not a mismatch', () => {
    const matches = compileRegex('a{900}b')
    expect(matches('a'.repeat(10_000))).toBe(false)
    expect(() => matches('a'.repeat(1_000_000))).toThrow(RangeError)
  })
})
