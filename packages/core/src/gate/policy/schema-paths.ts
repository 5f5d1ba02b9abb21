/** Whether a path exists in a tool's JSON Schema, and what may stand there. */
import { nearest } from '../../options.ts'
import {
  hasKeys,
  isPiece,
  itemSchemas,
  listOf,
  Opener,
  type Piece,
  type Pieces,
  propertySchemas,
  TooWide,
  typesOf,
  valuesOf,
} from './json-schema.ts'
import { ANY_ITEM, type Key, keysText } from './reads.ts'

export type Located =
  | {
      readonly kind: 'known'
      /** A valid value may come without it. */
      readonly optional: boolean
      /** The JSON types it may have, when the schema says so for every case. */
      readonly types?: readonly string[]
      /** All that it may be, when the schema lists it. */
      readonly enum?: readonly unknown[]
    }
  /** `at` goes as far as the first name that is not there; `near` is the declared name that is most like it. */
  | { readonly kind: 'unknown'; readonly at: string; readonly near?: string }
  /** The schema does not say what may stand there, or is too wide to tell. */
  | { readonly kind: 'open' }

/** Looks a path up, from the root of the schema. */
export function locate(schema: unknown, keys: readonly Key[]): Located {
  if (!isPiece(schema)) return OPEN
  try {
    return search(schema, keys)
  } catch (error) {
    if (error instanceof TooWide || error instanceof RangeError) return OPEN
    throw error
  }
}

const OPEN: Located = { kind: 'open' }

/** One alternative of what may stand at a path; `said` when the schema declared it, rather than let anything pass. */
interface Case {
  readonly pieces: Pieces
  readonly said: boolean
}

interface Step {
  readonly cases: readonly Case[]
  /** A valid value has it. */
  readonly required: boolean
  readonly declared: readonly string[]
}

const ANYTHING: readonly Case[] = [{ pieces: [], said: false }]
const NOWHERE: Step = { cases: [], required: false, declared: [] }

function search(schema: Piece, keys: readonly Key[]): Located {
  const opener = new Opener(schema)
  let cases: readonly Case[] = opener.open(schema).map((pieces) => ({ pieces, said: true }))
  let optional = false
  for (const [index, key] of keys.entries()) {
    const steps = cases.map(({ pieces }) => step(opener, pieces, key))
    const next = steps.flatMap((one) => one.cases)
    if (next.length === 0) {
      const declared = new Set(steps.flatMap((one) => one.declared))
      const near = typeof key === 'string' ? nearest(key, [...declared]) : undefined
      return { kind: 'unknown', at: keysText(keys.slice(0, index + 1)), ...(near === undefined ? {} : { near }) }
    }
    // Known when one case has it, required when all have.
    optional ||= steps.some((one) => !one.required)
    cases = next
  }
  if (!cases.some(({ said }) => said)) return OPEN
  const types = union(cases.map(({ pieces }) => typesOf(pieces)))
  const values = union(cases.map(({ pieces }) => valuesOf(pieces)))
  return { kind: 'known', optional, ...(types ? { types } : {}), ...(values ? { enum: values } : {}) }
}

/** One key further; no cases when there is no place for it. */
function step(opener: Opener, pieces: Pieces, key: Key): Step {
  const types = typesOf(pieces)
  const may = (type: string) => types === undefined || types.includes(type)
  if (typeof key === 'string') return may('object') ? property(opener, pieces, key) : NOWHERE
  // An index is of an array: a name that is a number is not looked up by it.
  return may('array') ? item(opener, pieces, key) : NOWHERE
}

function property(opener: Opener, pieces: Pieces, key: string): Step {
  const required = pieces.some((piece) => listOf(piece.required).includes(key))
  const declared = pieces.flatMap(({ properties }) => (isPiece(properties) ? Object.keys(properties) : []))
  const found: unknown[] = []
  const rest: unknown[] = []
  let closed = false
  for (const piece of pieces) {
    const here = propertySchemas(piece, key)
    found.push(...here)
    if (here.length > 0) continue
    const others = piece.additionalProperties ?? piece.unevaluatedProperties
    if (others === true || isPiece(others)) rest.push(others)
    // What is declared is taken to be all there is: a misspelt path is the hazard.
    else if (others === false || hasKeys(piece.properties) || hasKeys(piece.patternProperties)) closed = true
  }
  const said = found.length > 0
  if (!said && rest.length === 0) return { cases: closed ? [] : ANYTHING, required, declared }
  const cases = opener.all((said ? found : rest).map((schema) => [schema]))
  return { cases: cases.map((pieces) => ({ pieces, said })), required, declared }
}

function item(opener: Opener, pieces: Pieces, key: number | typeof ANY_ITEM): Step {
  const required = key === ANY_ITEM || pieces.some(({ minItems }) => typeof minItems === 'number' && minItems > key)
  const index = key === ANY_ITEM ? undefined : key
  const said = pieces.map((piece) => itemSchemas(piece, index)).filter((schemas) => schemas !== undefined)
  if (said.length === 0) return { cases: ANYTHING, required, declared: [] }
  return { cases: opener.all(said).map((pieces) => ({ pieces, said: true })), required, declared: [] }
}

/** What one of them allows; `undefined` allows anything. */
function union<T>(sets: readonly (readonly T[] | undefined)[]): readonly T[] | undefined {
  return sets.some((set) => set === undefined) ? undefined : [...new Set(sets.flatMap((set) => set ?? []))]
}
