import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDuration } from './duration.ts'
import { ConfigError } from './errors.ts'

test.each<[string | number, number]>([
  ['1ms', 1],
  ['250ms', 250],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
  ['366d', 31_622_400_000],
  ['007s', 7_000],
  [1, 1],
  [1_500, 1_500],
  [31_622_400_000, 31_622_400_000],
])('%j is %d milliseconds', (value, ms) => {
  expect(parseDuration(value, 'ttl')).toBe(ms)
})

test.each<[unknown]>([
  ['0s'],
  ['0ms'],
  ['367d'],
  ['31622400001ms'],
  ['9999999999999ms'],
  ['-1s'],
  ['+1s'],
  ['1.5h'],
  ['1e3s'],
  [' 1s'],
  ['1s '],
  ['1 s'],
  ['1s\n'],
  ['1S'],
  ['1w'],
  ['1y'],
  ['1min'],
  ['1h30m'],
  ['s'],
  ['1'],
  [''],
  ['constructor'],
  ['1constructor'],
  ['١s'],
  [0],
  [-1],
  [1.5],
  [Number.NaN],
  [Number.POSITIVE_INFINITY],
  [31_622_400_001],
  [1n],
  [null],
  [undefined],
  [true],
  [{}],
  [['1s']],
  [Object('1s')],
  [new Date(1)],
])('%o is refused, naming the field', (value) => {
  expect(() => parseDuration(value as string, 'ttl')).toThrow(ConfigError)
  expect(() => parseDuration(value as string, 'ttl')).toThrow(
    expect.objectContaining({
      code: 'invalid-option',
      path: 'ttl',
      message: expect.stringMatching(/^`ttl` is a duration/),
    }),
  )
})

test('any text is a duration within bounds or a refusal that does not repeat it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{0,14}(ms|s|m|h|d|x)?$/)), (text) => {
      try {
        const ms = parseDuration(text, 'ttl')
        expect(Number.isInteger(ms) && ms >= 1 && ms <= 366 * 86_400_000).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError)
        if (text.length > 12) expect((error as ConfigError).message).not.toContain(text)
      }
    }),
  )
})
