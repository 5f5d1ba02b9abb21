/** Values as conditions see them: their kinds, and when two are the same. */

export type Kind = 'null' | 'string' | 'number' | 'boolean' | 'list' | 'map'

/** The JSON type of a value; a bigint is a number. `undefined`: it is no data, or a number that is not finite. */
export function kindOf(value: unknown): Kind | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return typeof value as Kind
    case 'number':
      return Number.isFinite(value) ? 'number' : undefined
    case 'bigint':
      return 'number'
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return 'list'
      return isPlain(value) ? 'map' : undefined
    default:
      return undefined
  }
}

export function isPlain(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A date is its ISO text and a URL its address; all else is itself. */
export function plainValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Date.prototype) return Date.prototype.toISOString.call(value)
  if (prototype === URL.prototype) return (value as URL).href
  return value
}

/** Deep equality of two values of one kind. */
export function same(one: unknown, other: unknown): boolean {
  const a = plainValue(one)
  const b = plainValue(other)
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return sameNumber(a, b)
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index]))
    )
  }
  if (!isPlain(a) || !isPlain(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
}

/** A bigint and a number are the same when they are the same number exactly, however large. */
function sameNumber(a: unknown, b: unknown): boolean {
  if (typeof a === 'bigint') return typeof b === 'number' && !(a < b) && !(a > b) && !Number.isNaN(b)
  return typeof b === 'bigint' && sameNumber(b, a)
}
