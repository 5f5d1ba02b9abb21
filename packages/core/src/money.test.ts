import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { ConfigError } from './errors.ts'
import { amountsOf, sum } from './gate/meters.ts'
import { Amount, amount, asAmount, formatMicros, MAX_MICROS, money, parseDecimal, usd } from './money.ts'

function refusal(work: () => unknown): ConfigError {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return error as ConfigError
  }
  throw new Error('nothing was refused')
}

/** As people write micro-units, by string handling alone: not by the code under test. */
function written(micros: bigint): string {
  const digits = micros.toString().padStart(7, '0')
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`
}

const micros = fc.bigInt({ min: 0n, max: MAX_MICROS })

describe('reading amounts', () => {
  test.each([
    ['0', 0n],
    ['0.000001', 1n],
    ['1', 1_000_000n],
    ['1.0', 1_000_000n],
    ['1.100000', 1_100_000n],
    ['29.99', 29_990_000n],
    ['9007199254.740991', MAX_MICROS],
  ])('the string %s is exact', (text, expected) => {
    expect(usd(text).micros).toBe(expected)
  })

  test.each([
    ['1.1 * 3', 1.1 * 3, 3_300_000n],
    ['0.1 + 0.2', 0.1 + 0.2, 300_000n],
    ['-0', -0, 0n],
    ['1e3', 1e3, 1_000_000_000n],
    ['1e-6', 1e-6, 1n],
    ['19.99 * 100', 19.99 * 100, 1_999_000_000n],
    ['1e-10, which is dust', 1e-10, 0n],
    ['the largest whole number', 9_007_199_254, 9_007_199_254_000_000n],
  ])('the number %s is taken as the decimal that was meant', (_, value, expected) => {
    expect(usd(value).micros).toBe(expected)
  })

  test.each([
    '',
    ' ',
    '1.',
    '.5',
    '01',
    '00',
    '-1',
    '-0',
    '+1',
    ' 1',
    '1 ',
    '1\n',
    '1e3',
    '1E3',
    '0x10',
    '1_000',
    '1,5',
    '1,000',
    '1.2.3',
    '1.0000000',
    '0.1234567',
    'NaN',
    'Infinity',
    '١',
    '１',
    '1n',
    '$1',
    'null',
  ])('the string %j is refused', (text) => {
    const { code, path } = refusal(() => usd(text))
    expect({ code, path }).toEqual({ code: 'invalid-amount', path: 'amount' })
    expect(() => parseDecimal(text)).toThrow(ConfigError)
  })

  test.each([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -1,
    -1e-6,
    -1e-12,
    -Number.MIN_VALUE,
    Number.MAX_VALUE,
    1e300,
    9_007_199_255,
  ])('the number %d is refused', (value) => {
    expect(refusal(() => usd(value)).code).toBe('invalid-amount')
  })

  test.each<[unknown]>([
    [undefined],
    [null],
    [1n],
    [true],
    [{}],
    [[]],
    [[1]],
    [Object('1')],
    [Object(1)],
    [new Date(1)],
    [{ valueOf: () => 1 }],
  ])('what is neither a number nor a string is refused: %o', (value) => {
    expect(refusal(() => usd(value as never)).code).toBe('invalid-amount')
  })

  test('a seventh decimal is refused with the remedy, however it is given', () => {
    for (const value of [0.1234567, 1e-7, 1e-8, 1_000_000.0000005, 2 ** -20]) {
      expect(refusal(() => usd(value)).message).toContain('round it, or pass a decimal string')
    }
    expect(refusal(() => usd('0.1234567')).message).toContain('at most six decimals')
  })

  test('a number so large that its neighbours are further apart than a millionth is refused unless it is whole', () => {
    expect(refusal(() => usd(Number('8999999999.740991'))).message).toContain('pass a decimal string')
    expect(() => usd(Number('9007199254.740991'))).toThrow(ConfigError)
    expect(refusal(() => usd(8589934592.5)).message).toContain('pass a decimal string')
    expect(usd(8589934593).micros).toBe(8_589_934_593_000_000n)
    expect(usd(8589934591.999999).micros).toBe(8_589_934_591_999_999n)
  })

  test('the largest amount is 2^53 - 1 micro-units, and one more is refused', () => {
    expect(usd(written(MAX_MICROS)).micros).toBe(2n ** 53n - 1n)
    expect(refusal(() => usd(written(MAX_MICROS + 1n))).message).toBe('an amount is at most 9007199254.740991')
    expect(refusal(() => usd('9'.repeat(11))).message).toBe('an amount is at most 9007199254.740991')
  })

  test('a million digits are refused without being read as a number', () => {
    const read = vi.spyOn(globalThis, 'BigInt')
    expect(refusal(() => usd('9'.repeat(1_000_000))).message).toBe('an amount is at most 9007199254.740991')
    expect(refusal(() => usd(`1.${'0'.repeat(1_000_000)}`)).code).toBe('invalid-amount')
    expect(read).not.toHaveBeenCalled()
    read.mockRestore()
  })

  test('no message holds the value', () => {
    for (const value of ['-77771', '77771.1234567', '7777199254740993', 77771.1234567, -77771, 77771e30]) {
      const { message, path } = refusal(() => usd(value))
      expect(message + path).not.toContain('7777')
    }
    expect(refusal(() => money('sk_live_1' as never, 1)).message).not.toContain('sk_live')
    expect(refusal(() => amount('sk live 1', 1)).message).not.toContain('sk live')
  })
})

describe('units', () => {
  test.each(['', 'usd', 'EURO', 'EU', 'E R', 'ÉUR', 'EUR\n', undefined, null, 978])('%j is no currency', (currency) => {
    expect(refusal(() => money(currency as never, 1))).toMatchObject({ code: 'invalid-amount', path: 'currency' })
  })

  test.each(['', 'a b', 'a|b', 'a:b', 'tokens\n', 'x'.repeat(33), undefined, null, 1, ['USD']])(
    '%j is no unit',
    (unit) => {
      expect(refusal(() => amount(unit as never, 1))).toMatchObject({ code: 'invalid-amount', path: 'unit' })
    },
  )

  test('any other unit is taken as it is written', () => {
    expect(amount('tokens.in', 900)).toMatchObject({ unit: 'tokens.in', micros: 900_000_000n })
    expect(money('EUR', '2.50')).toMatchObject({ unit: 'EUR', micros: 2_500_000n })
    expect(usd(2).unit).toBe('USD')
  })
})

describe('properties', () => {
  test('formatting what was parsed and parsing what was formatted is the identity', () => {
    fc.assert(
      fc.property(micros, (value) => {
        expect(parseDecimal(formatMicros(value))).toBe(value)
        expect(parseDecimal(written(value))).toBe(value)
        expect(formatMicros(parseDecimal(formatMicros(value)))).toBe(formatMicros(value))
        expect(formatMicros(value)).not.toMatch(/\.$|\.\d*0$/)
      }),
    )
  })

  test('a number means what the same decimal as a string means', () => {
    const below = fc.bigInt({ min: 0n, max: 2n ** 33n * 1_000_000n - 1n })
    const small = fc.bigInt({ min: 0n, max: 1_000_000_000_000n })
    fc.assert(
      fc.property(fc.oneof(below, small), (value) => {
        expect(usd(Number(written(value))).micros).toBe(value)
      }),
      { numRuns: 500 },
    )
  })

  test('a number above that means the same, or is refused: never another amount', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 33n * 1_000_000n, max: MAX_MICROS }), (value) => {
        let read: bigint | undefined
        try {
          read = usd(Number(written(value))).micros
        } catch (error) {
          expect((error as ConfigError).message).toMatch(/pass a decimal string|is at most/)
        }
        expect([undefined, value]).toContain(read)
      }),
    )
  })

  test('any number at all gives an amount within a thousand-millionth of it, or a refusal', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        try {
          const read = usd(value)
          expect(Math.abs(Number(written(read.micros)) - value)).toBeLessThanOrEqual(1e-9)
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('any text at all gives an amount or a refusal, and what is read is what is written', () => {
    const like = fc.stringMatching(/^[0-9.+\-e ,]{0,12}$/)
    fc.assert(
      fc.property(fc.oneof(fc.string(), like), (text) => {
        try {
          const read = parseDecimal(text)
          expect(text).toMatch(/^\d+(\.\d+)?$/)
          expect(written(read).replace(/\.?0+$/, '')).toBe(
            (text.includes('.') ? text : `${text}.`).replace(/\.?0*$/, ''),
          )
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('sums are exact, and currencies never mix', () => {
    const some = fc.array(fc.record({ unit: fc.constantFrom('USD', 'EUR', 'tokens'), value: micros }), {
      maxLength: 20,
    })
    fc.assert(
      fc.property(some, (parts) => {
        const totals = sum(parts.map(({ unit, value }) => amount(unit, written(value))))
        expect(new Set(totals.map(({ unit }) => unit)).size).toBe(totals.length)
        for (const unit of new Set(parts.map((part) => part.unit))) {
          const expected = parts.filter((part) => part.unit === unit).reduce((total, { value }) => total + value, 0n)
          expect(totals.find((total) => total.unit === unit)?.micros).toBe(expected)
        }
      }),
    )
  })
})

describe('an amount', () => {
  test('can not be changed', () => {
    const price = usd('29.99')
    expect(Object.isFrozen(price)).toBe(true)
    expect(() => Object.assign(price, { micros: 0n })).toThrow(TypeError)
  })

  test('shows itself as people write it', () => {
    const price = money('EUR', '29.990')
    expect(String(price)).toBe('29.99 EUR')
    expect(JSON.stringify(price)).toBe('{"unit":"EUR","amount":"29.99"}')
    expect(inspect({ price })).toContain('29.99 EUR')
    expect(formatMicros(-1_500_000n)).toBe('-1.5')
  })

  test('is recognised when another copy of the package made it', async () => {
    vi.resetModules()
    const copy = await import('./money.ts')
    expect(copy.Amount).not.toBe(Amount)
    const foreign = copy.usd(2)
    expect(foreign).not.toBeInstanceOf(Amount)
    expect(asAmount(foreign)).toEqual(usd(2))
    expect(copy.asAmount(usd(2))?.micros).toBe(2_000_000n)
    expect(amountsOf([foreign, usd(1)])).toMatchObject([{ unit: 'USD', micros: 3_000_000n }])
  })

  test.each([
    { unit: undefined, micros: 1n },
    { unit: 'a|b', micros: 1n },
    { unit: 'USD', micros: -1n },
    { unit: 'USD', micros: 1 },
    { unit: 'USD' },
  ])('is not what only claims to be one: %o', (claims) => {
    expect(asAmount({ [Symbol.for('haldir.amount')]: true, ...claims })).toBeUndefined()
    expect(asAmount(new Amount('USD', -1n))).toBeUndefined()
  })

  test.each([undefined, null, 1, 1n, '1 USD', {}, { unit: 'USD', micros: 1n }, [], () => usd(1)])(
    'is not %o',
    (value) => {
      expect(asAmount(value)).toBeUndefined()
    },
  )
})
