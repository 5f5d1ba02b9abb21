/**
 * A quick look: most schemas of tools say little, and most arguments fit them. What it lets through, the validator
 * would let through; whatever else there is, the validator is asked about.
 */
import { format } from '@cfworker/json-schema'

/** Whether a value fits for sure. */
export type Fits = (value: unknown) => boolean

type Node = Readonly<Record<string, unknown>>

/** `undefined`: the schema has something that takes a closer look. */
export function quickFits(schema: unknown): Fits | undefined {
  if (schema === true) return () => true
  if (schema === false) return () => false
  if (typeof schema !== 'object' || schema === null) return undefined
  const checks: Fits[] = []
  for (const [key, wanted] of Object.entries(schema)) {
    const check = Object.hasOwn(KEYWORDS, key) ? KEYWORDS[key]?.(wanted, schema as Node) : undefined
    if (!check) return undefined
    if (check !== ANY) checks.push(check)
  }
  return (value) => {
    if (kindOf(value) === undefined) return false
    for (const check of checks) if (!check(value)) return false
    return true
  }
}

const ANY: Fits = () => true

const KEYWORDS: Readonly<Record<string, (wanted: unknown, schema: Node) => Fits | undefined>> = {
  $schema: () => ANY,
  // Where nothing refers to them.
  $defs: () => ANY,
  definitions: () => ANY,
  type(wanted) {
    const types = new Set([wanted].flat())
    const integers = types.has('integer') && !types.has('number')
    return (value) => {
      const kind = kindOf(value)
      return types.has(kind) || (integers && kind === 'number' && Number.isInteger(value))
    }
  },
  enum: (wanted) => (Array.isArray(wanted) && wanted.every(isScalar) ? oneOf(wanted) : undefined),
  const: (wanted) => (isScalar(wanted) ? oneOf([wanted]) : undefined),
  minimum: (wanted) => numbers(wanted, (value, bound) => value >= bound),
  maximum: (wanted) => numbers(wanted, (value, bound) => value <= bound),
  exclusiveMinimum: (wanted) => numbers(wanted, (value, bound) => value > bound),
  exclusiveMaximum: (wanted) => numbers(wanted, (value, bound) => value < bound),
  minLength: (wanted) => sized(charactersOf, wanted, AT_LEAST),
  maxLength: (wanted) => sized(charactersOf, wanted, AT_MOST),
  minItems: (wanted) => sized(lengthOf, wanted, AT_LEAST),
  maxItems: (wanted) => sized(lengthOf, wanted, AT_MOST),
  format(wanted) {
    const matches = typeof wanted === 'string' && Object.hasOwn(format, wanted) ? format[wanted] : undefined
    return matches && ((value) => typeof value !== 'string' || matches(value))
  },
  required(wanted) {
    if (!Array.isArray(wanted) || !wanted.every((name) => typeof name === 'string')) return undefined
    return objects((value) => wanted.every((name) => Object.hasOwn(value, name)))
  },
  properties(wanted, { additionalProperties = true }) {
    if (typeof wanted !== 'object' || wanted === null) return undefined
    const known = new Map(Object.entries(wanted).map(([name, one]) => [name, quickFits(one)] as const))
    const others = quickFits(additionalProperties)
    if (!others || [...known.values()].includes(undefined)) return undefined
    return objects((value) => {
      for (const name of Object.keys(value)) if (!(known.get(name) ?? others)(value[name])) return false
      return true
    })
  },
  additionalProperties(wanted, { properties }) {
    if (properties !== undefined) return ANY
    const others = quickFits(wanted)
    return others && objects((value) => Object.values(value).every(others))
  },
  items(wanted) {
    const each = Array.isArray(wanted) ? undefined : quickFits(wanted)
    return each && ((value) => !Array.isArray(value) || value.every((item) => each(item)))
  },
  anyOf: (wanted) => several(wanted, (fits, value) => fits.some((one) => one(value))),
  allOf: (wanted) => several(wanted, (fits, value) => fits.every((one) => one(value))),
}

/** As JSON has it; nothing, for what it has no word for. */
function kindOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'boolean':
    case 'number':
    case 'string':
      return typeof value
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'array' : 'object'
  }
  return undefined
}

function isScalar(value: unknown): boolean {
  return typeof value !== 'object' || value === null
}

function oneOf(values: readonly unknown[]): Fits {
  return (value) => values.includes(value)
}

const AT_LEAST = (size: number, bound: number) => size >= bound
const AT_MOST = (size: number, bound: number) => size <= bound

function charactersOf(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined
  let count = 0
  for (const _ of value) count++
  return count
}

function lengthOf(value: unknown): number | undefined {
  return Array.isArray(value) ? value.length : undefined
}

function sized(
  sizeOf: (value: unknown) => number | undefined,
  wanted: unknown,
  holds: (size: number, bound: number) => boolean,
): Fits | undefined {
  if (typeof wanted !== 'number') return undefined
  return (value) => {
    const size = sizeOf(value)
    return size === undefined || holds(size, wanted)
  }
}

function numbers(wanted: unknown, holds: (value: number, bound: number) => boolean): Fits | undefined {
  return typeof wanted === 'number' ? (value) => typeof value !== 'number' || holds(value, wanted) : undefined
}

function objects(holds: (value: Readonly<Record<string, unknown>>) => boolean): Fits {
  return (value) => kindOf(value) !== 'object' || holds(value as Readonly<Record<string, unknown>>)
}

function several(wanted: unknown, holds: (fits: readonly Fits[], value: unknown) => boolean): Fits | undefined {
  if (!Array.isArray(wanted)) return undefined
  const fits = wanted.map(quickFits)
  return fits.includes(undefined) ? undefined : (value) => holds(fits as Fits[], value)
}
