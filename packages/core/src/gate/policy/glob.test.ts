import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileGlob, exactText, globProblem } from './glob.ts'

/** The definition, read out: exponential, and plainly right. */
function naive(pattern: string, text: string): boolean {
  const [first] = pattern
  if (first === undefined) return text === ''
  if (first === '*') return naive(pattern.slice(1), text) || (text !== '' && naive(pattern, text.slice(1)))
  const literal = first === '\\' ? pattern.charAt(1) : first
  return text.charAt(0) === literal && text !== '' && naive(pattern.slice(first === '\\' ? 2 : 1), text.slice(1))
}

const pattern = fc.array(fc.constantFrom('a', 'b', '.', '/', '*', '\\*', '\\\\'), { minLength: 1, maxLength: 9 })
const text = fc.array(fc.constantFrom('a', 'b', '.', '/', '*', '\\'), { maxLength: 10 })

test('a glob matches exactly what its definition matches', () => {
  fc.assert(
    fc.property(pattern, text, (parts, units) => {
      const [glob, whole] = [parts.join(''), units.join('')]
      expect(globProblem(glob)).toBeUndefined()
      expect(compileGlob(glob)(whole)).toBe(naive(glob, whole))
    }),
    { numRuns: 5_000 },
  )
})

test('a glob matches texts that are made from it', () => {
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 9, maxLength: 9 }), (parts, runs) => {
      const whole = parts.map((part, index) => (part === '*' ? (runs[index] ?? []).join('') : part.at(-1))).join('')
      expect(compileGlob(parts.join(''))(whole)).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

describe('a glob', () => {
  test.each([
    ['*', '', true],
    ['*', 'a/b.c', true],
    ['**', 'a', true],
    ['gmail_*', 'gmail_send', true],
    ['gmail_*', 'gmail_', true],
    ['gmail_*', 'gmail', false],
    ['gmail_*', 'x_gmail_send', false],
    ['*_delete', 'file_delete', true],
    ['*_delete', 'file_deleted', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['https://*.example.com/*', 'https://api.example.com/v1/x.y', true],
    ['https://*.example.com/*', 'https://example.com/', false],
    ['file.txt', 'fileXtxt', false],
    ['[ab]?', '[ab]?', true],
    ['[ab]?', 'ax', false],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['C:\\\\tmp\\\\*', 'C:\\tmp\\x', true],
    ['é*', 'école', true],
  ])('%s against %s: %s', (glob, whole, expected) => {
    expect(compileGlob(glob)(whole)).toBe(expected)
  })

  test('has a text of its own only without a star', () => {
    expect(exactText('a\\*b\\\\')).toBe('a*b\\')
    expect(exactText('a*')).toBeUndefined()
  })

  test.each(['', 'C:\\Windows\\*', 'a\\', '\\\\\\', 'x'.repeat(1_001)])('%j is refused', (glob) => {
    expect(globProblem(glob)).toBeTypeOf('string')
  })

  test('is matched in good time whatever the text', () => {
    const hard = compileGlob(`${'a*'.repeat(200)}b`)
    // The processor's time: the clock on the wall goes on for others, too.
    const began = process.cpuUsage()
    expect(hard('a'.repeat(100_000))).toBe(false)
    expect(process.cpuUsage(began).user).toBeLessThan(1_000_000)
  })

  test('that would take too long on a text errs instead of not matching', () => {
    const hard = compileGlob(`*${'a'.repeat(900)}b*`)
    expect(hard('a'.repeat(10_000))).toBe(false)
    expect(() => hard('a'.repeat(1_000_000))).toThrow(RangeError)
    expect(compileGlob('*@example.com')(`${'a'.repeat(1_000_000)}@example.com`)).toBe(true)
  })
})
