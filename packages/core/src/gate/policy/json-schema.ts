/**
 * A JSON Schema as data to ask: it says what it means in pieces (`allOf`, `anyOf`, `$ref`), so it is opened into
 * alternatives, each a list of plain pieces that all hold at once. A tool's schema may come from a stranger: opening is
 * bounded, patterns run in linear time, and only own keys are read.
 */
import { isDeepStrictEqual } from 'node:util'
import { RE2JS } from 're2js'

export type Piece = Readonly<Record<string, unknown>>

/** Pieces that all hold at once. */
export type Pieces = readonly Piece[]

/** The schema has more alternatives, or is deeper, than is worth following. */
export class TooWide extends Error {}

const MOST_CASES = 256
const MOST_STEPS = 20_000

/** Opens the schemas of one document. */
export class Opener {
  readonly #root: Piece
  #steps = 0

  constructor(root: Piece) {
    this.#root = root
  }

  /** A schema as alternatives; none when nothing satisfies it. `above` are the schemas that led here. */
  open(schema: unknown, above: ReadonlySet<unknown> = new Set()): readonly Pieces[] {
    if (++this.#steps > MOST_STEPS) throw new TooWide()
    if (schema === false) return []
    if (!isPiece(schema) || above.has(schema)) return [[]]
    const inside = new Set(above).add(schema)
    const open = (inner: unknown) => this.open(inner, inside)
    let cases: readonly Pieces[] = [[schema]]
    if (typeof schema.$ref === 'string') cases = both(cases, open(this.#resolve(schema.$ref)))
    for (const part of listOf(schema.allOf)) cases = both(cases, open(part))
    for (const word of ['anyOf', 'oneOf'] as const) {
      const parts = listOf(schema[word])
      if (parts.length > 0) cases = both(cases, parts.flatMap(open))
    }
    if (schema.if !== undefined) cases = both(cases, [schema.then, schema.else].flatMap(open))
    for (const part of isPiece(schema.dependentSchemas) ? Object.values(schema.dependentSchemas) : []) {
      cases = both(cases, [...open(part), []])
    }
    return cases.filter((pieces) => typesOf(pieces)?.length !== 0)
  }

  /** What holds when, of each group, one schema does. */
  all(groups: readonly (readonly unknown[])[]): readonly Pieces[] {
    let cases: readonly Pieces[] = [[]]
    for (const schemas of groups) {
      cases = both(
        cases,
        schemas.flatMap((schema) => this.open(schema)),
      )
    }
    return cases
  }

  /** A reference within the document. One that leads out of it, or nowhere, lets anything pass. */
  #resolve(reference: string): unknown {
    if (reference !== '#' && !reference.startsWith('#/')) return undefined
    let at: unknown = this.#root
    for (const raw of reference.split('/').slice(1)) {
      const name = decoded(raw).replaceAll('~1', '/').replaceAll('~0', '~')
      at = typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? (at as Piece)[name] : undefined
    }
    return at
  }
}

function both(a: readonly Pieces[], b: readonly Pieces[]): readonly Pieces[] {
  if (a.length * b.length > MOST_CASES) throw new TooWide()
  return a.flatMap((left) => b.map((right) => [...left, ...right]))
}

/** The JSON types that pieces allow together; `undefined` allows any. */
export function typesOf(pieces: Pieces): readonly string[] | undefined {
  let types: readonly string[] | undefined
  for (const { type, nullable } of pieces) {
    if (type === undefined) continue
    const own = listOf(Array.isArray(type) ? type : [type]).filter((one): one is string => typeof one === 'string')
    if (nullable === true) own.push('null')
    const before = types
    types = before === undefined ? own : NAMES.filter((name) => allows(before, name) && allows(own, name))
  }
  // What is a number is named once, as the narrower of the two.
  return types?.includes('number') ? types.filter((name) => name !== 'integer') : types
}

const NAMES = ['null', 'boolean', 'string', 'number', 'integer', 'array', 'object'] as const

function allows(types: readonly string[], name: string): boolean {
  return types.includes(name) || (name === 'integer' && types.includes('number'))
}

/** All the values that pieces allow together, when one of them lists its own. */
export function valuesOf(pieces: Pieces): readonly unknown[] | undefined {
  let values: readonly unknown[] | undefined
  for (const piece of pieces) {
    const own = Object.hasOwn(piece, 'const') ? [piece.const] : piece.enum
    if (!Array.isArray(own)) continue
    const all: readonly unknown[] = piece.nullable === true ? [...own, null] : own
    values = values === undefined ? all : values.filter((value) => all.some((one) => isDeepStrictEqual(one, value)))
  }
  return values
}

/** The schemas a piece declares for a property of this name. */
export function propertySchemas({ properties, patternProperties }: Piece, name: string): readonly unknown[] {
  const found: unknown[] = []
  if (isPiece(properties) && Object.hasOwn(properties, name)) found.push(properties[name])
  if (!isPiece(patternProperties)) return found
  for (const [pattern, schema] of Object.entries(patternProperties)) if (occurs(pattern, name)) found.push(schema)
  return found
}

/** What may stand at an index, or at any of them; `undefined` when the piece says nothing of items. */
export function itemSchemas(piece: Piece, index?: number): readonly unknown[] | undefined {
  // Before 2020-12 the list stood in `items`, and the rest in `additionalItems`.
  const listed = Array.isArray(piece.items)
  const first = listOf(listed ? piece.items : piece.prefixItems)
  const rest = listed ? piece.additionalItems : piece.items
  if (first.length === 0 && rest === undefined) return undefined
  if (index === undefined) return [...first, rest ?? true]
  return index < first.length ? [first[index]] : [rest ?? true]
}

/** Whether a pattern occurs in a name. One that can't be read may. */
function occurs(pattern: string, name: string): boolean {
  try {
    return RE2JS.compile(pattern).matcher(name).find()
  } catch {
    return true
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function isPiece(value: unknown): value is Piece {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function hasKeys(value: unknown): boolean {
  return isPiece(value) && Object.keys(value).length > 0
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
