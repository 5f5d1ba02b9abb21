/**
 * Money and every other counted thing: exact integers of millionths (micro-units). Nothing is ever summed as a float.
 * A single amount or limit is at most 2^53 - 1 micro-units, so that every store can hold it exactly.
 */
import { ConfigError } from './errors.ts'
import { showAs } from './show.ts'

const BRAND = Symbol.for('haldir.amount')
const UNIT = /^[A-Za-z0-9_.-]{1,32}$/
const DECIMAL = /^(0|[1-9]\d*)(?:\.(\d{1,6}))?$/
const SCALE = 1_000_000
const DUST = 1e-9
/** From here on neighbouring numbers lie more than a millionth apart, so a fraction does not say which one was meant. */
const COARSE = 2 ** 33
export const MAX_MICROS: bigint = BigInt(Number.MAX_SAFE_INTEGER)

/** An exact, non-negative quantity of one unit: a currency such as `USD`, or something counted such as `tokens`. */
export class Amount {
  readonly unit: string
  /** Millionths of the unit. */
  readonly micros: bigint
  /** Written once: an amount stands in several entries. */
  #decimal: string | undefined

  constructor(unit: string, micros: bigint) {
    this.unit = unit
    this.micros = micros
    Object.freeze(this)
  }

  /** The number alone, as a plain decimal: `29.99`. */
  get decimal(): string {
    this.#decimal ??= formatMicros(this.micros)
    return this.#decimal
  }

  /** As people write it: `29.99 USD`. */
  toString(): string {
    return `${this.decimal} ${this.unit}`
  }

  toJSON(): { unit: string; amount: string } {
    return { unit: this.unit, amount: this.decimal }
  }
}

// On the prototype: amounts made by another copy of this package are recognised too.
Object.defineProperty(Amount.prototype, BRAND, { value: true })
showAs(Amount, String)

/** US dollars. Accepts a number or a decimal string with at most six decimals; throws `ConfigError` otherwise. */
export function usd(value: number | string): Amount {
  return amount('USD', value)
}

/** An amount of a currency named by its ISO 4217 code. */
export function money(currency: string, value: number | string): Amount {
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) {
    throw invalid('currency', 'a currency is three capital letters, such as `EUR`')
  }
  return amount(currency, value)
}

/** An amount of any unit: `amount('tokens', 900)`. */
export function amount(unit: string, value: number | string): Amount {
  if (typeof unit !== 'string' || !UNIT.test(unit)) {
    throw invalid('unit', 'a unit is 1 to 32 letters, digits, `_`, `.` or `-`')
  }
  return new Amount(unit, typeof value === 'string' ? parseDecimal(value) : fromNumber(value))
}

/** An amount as it was given; one made by another copy of this package is made anew. `undefined`: it is none. */
export function asAmount(value: unknown): Amount | undefined {
  if (value instanceof Amount) return value.micros >= 0n ? value : undefined
  if (typeof value !== 'object' || value === null || !(value as { [BRAND]?: boolean })[BRAND]) return undefined
  const { unit, micros } = value as Amount
  const sound = typeof unit === 'string' && UNIT.test(unit) && typeof micros === 'bigint' && micros >= 0n
  return sound ? new Amount(unit, micros) : undefined
}

/** Reads a plain decimal such as `29.99` as micro-units: no sign, no exponent, no blanks, at most six decimals. */
export function parseDecimal(text: string): bigint {
  const [, whole, fraction = ''] = DECIMAL.exec(text) ?? []
  if (whole === undefined)
    throw invalid('amount', 'an amount is a plain decimal such as `29.99`, not negative, with at most six decimals')
  // The largest amount has ten digits; a million of them would take a tenth of a second to read.
  if (whole.length > 10) throw tooLarge()
  return bounded(BigInt(whole) * BigInt(SCALE) + BigInt(fraction.padEnd(6, '0')))
}

/** Micro-units as the shortest plain decimal. */
export function formatMicros(micros: bigint): string {
  const sign = micros < 0n ? '-' : ''
  const digits = (micros < 0n ? -micros : micros).toString().padStart(7, '0')
  const fraction = digits.slice(-6).replace(/0+$/, '')
  return sign + digits.slice(0, -6) + (fraction && `.${fraction}`)
}

function fromNumber(value: number): bigint {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw invalid('amount', 'an amount is a finite number or a decimal string')
  }
  if (value < 0) throw invalid('amount', 'an amount is not negative')
  let micros = Math.round(value * SCALE)
  // The product is rounded too: of a large value, up to half a millionth, and that half was then rounded up.
  if (micros / SCALE - value > DUST) micros -= 1
  if (micros > Number.MAX_SAFE_INTEGER) throw tooLarge()
  // Binary arithmetic leaves dust (1.1 * 3); anything further away than dust is a real seventh decimal.
  if (Math.abs(micros / SCALE - value) > DUST || (value >= COARSE && !Number.isInteger(value))) {
    throw invalid('amount', 'a number with more than six decimals is not exact; round it, or pass a decimal string')
  }
  return BigInt(micros)
}

function bounded(micros: bigint): bigint {
  if (micros > MAX_MICROS) throw tooLarge()
  return micros
}

function tooLarge(): ConfigError {
  return invalid('amount', 'an amount is at most 9007199254.740991')
}

function invalid(path: string, message: string): ConfigError {
  return new ConfigError('invalid-amount', path, message)
}
