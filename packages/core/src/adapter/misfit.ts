/**
 * What is wrong with arguments by a tool's own schema, as one sentence a model can act on: for frameworks that hand
 * over what the model wrote as it is. A sentence names arguments and what the schema wants of them, never what they are.
 */
import type { OutputUnit } from '@cfworker/json-schema'
import { pathOf } from '../call.ts'
import { type Checked, type Checker, jsonChecker, PATTERN } from './json-checker.ts'

/** Says what is wrong; nothing, of arguments that fit. Pure; does not throw. */
export type Misfit = (args: unknown) => string | undefined

/**
 * By JSON Schema (2020-12, or the draft that `$schema` names). A schema that can't be used fits nothing: a tool whose
 * arguments nobody can check is not called. Nothing to check by is `undefined`. Patterns are matched in linear time;
 * what can't be, look-around and back-references, is left to the tool.
 */
export function misfitOf(schema: unknown): Misfit | undefined {
  if (typeof schema !== 'object' || schema === null || Object.keys(schema).length === 0) return undefined
  let checker: Checker
  try {
    checker = jsonChecker(schema)
  } catch {
    return () => UNUSABLE
  }
  return (args) => {
    try {
      // A model that sends no arguments sends none that are wrong.
      const given = args === undefined ? {} : args
      const checked = checker.check(given)
      return checked.errors.length === 0 ? undefined : sentenceOf(saidOf(checked, given, checker.names))
    } catch {
      return UNUSABLE
    }
  }
}

/**
 * By the issues of a Standard Schema, such as zod's (https://standardschema.dev). With the JSON Schema of the tool,
 * names of arguments that do not stand in it are not repeated either.
 */
export function misfitFrom(issues: unknown, schema?: unknown): string {
  const known = schema === undefined ? undefined : namesIn(schema)
  const list: unknown[] = Array.isArray(issues) ? issues : []
  return sentenceOf(
    list.map((issue) => {
      const { path } = (issue ?? {}) as Issue
      const keys = Array.isArray(path) ? path.map(keyOf) : []
      return [keys.map((key) => nameOf(key, known)), worded((issue ?? {}) as Issue)]
    }),
  )
}

/** In place of arguments that could not be read at all, beside a `misfit` that says so: nothing can run with them. */
export const UNREADABLE: unique symbol = Symbol('unreadable')

const UNUSABLE = 'the arguments can not be checked against the schema of the tool'
const UNKNOWN = 'has an argument that the tool does not know'
/** Keywords that only say that something within them does not fit. */
const OUTER = new Set([
  'properties',
  'items',
  'prefixItems',
  'additionalItems',
  'unevaluatedItems',
  'patternProperties',
  'additionalProperties',
  'unevaluatedProperties',
  'propertyNames',
  'dependentSchemas',
  'allOf',
  'if',
  '$ref',
  '$recursiveRef',
])
const MOST = 3

type Said = readonly [keys: readonly (string | number)[], message: string]

function sentenceOf(said: Iterable<Said>): string {
  const parts = new Set<string>()
  for (const [keys, message] of said) {
    if (parts.size === MOST) break
    const text = message
      .replace(/[\p{C}\p{Z}]+/gu, ' ')
      .trim()
      .replace(/\.$/, '')
      .slice(0, 160)
      .toWellFormed()
    parts.add(keys.length > 0 ? `\`${pathOf(keys)}\` ${text}` : text)
  }
  return `the arguments do not fit the tool${parts.size > 0 ? `: ${[...parts].join('; ')}` : ''}`
}

function* saidOf({ errors, schema }: Checked, args: unknown, known: ReadonlySet<string>): Generator<Said> {
  for (const error of errors) {
    if (OUTER.has(error.keyword)) continue
    const keys = keysAt(args, pointer(error.instanceLocation))
    // The parts of a name that is not the schema's are the caller's, and what the caller made up is not repeated.
    const named = keys.map((key) => nameOf(key, known))
    if (error.keyword === 'false') {
      const last = named.at(-1)
      if (last === undefined) yield [[], 'takes no arguments at all']
      else if (last === HIDDEN) yield [named.slice(0, -1), UNKNOWN]
      else yield [named, 'is not known to the tool']
    } else yield [required(named, error), worder(error, wantedBy(error, schema))]
  }
}

/** A name in place of one that is not said; `pathOf` shows it as it shows names that it does not repeat. */
const HIDDEN = '?'

function nameOf(key: string | number, known: ReadonlySet<string> | undefined): string | number {
  return typeof key === 'number' || !known || known.has(key) ? key : HIDDEN
}

/** What is missing is named by the schema's own word, in quotes. */
function required(keys: readonly (string | number)[], { keyword, error }: OutputUnit): readonly (string | number)[] {
  return keyword === 'required' ? [...keys, /"(.*)"/s.exec(error)?.[1] ?? HIDDEN] : keys
}

function worder({ keyword }: OutputUnit, wanted: unknown): string {
  switch (keyword) {
    case 'required':
      return 'is missing'
    case 'type':
      return wanted === undefined ? 'has another type' : `is not of type ${[wanted].flat().join(' or ')}`
    case 'enum':
    case 'const': {
      const values = keyword === 'const' ? [wanted] : wanted
      return wanted === undefined ? 'is none of the possible values' : `is not one of ${JSON.stringify(values)}`
    }
    case 'anyOf':
    case 'oneOf':
      return 'fits none of the alternatives'
    case 'format':
      if (typeof wanted === 'string' && wanted.startsWith(PATTERN)) {
        return `does not fit \`pattern\` ${wanted.slice(PATTERN.length)}`
      }
  }
  return `does not fit \`${keyword}\`${isScalar(wanted) ? ` ${wanted}` : ''}`
}

/** What the schema says where an error points. */
function wantedBy({ keywordLocation }: OutputUnit, schema: object): unknown {
  return valueAt(schema, pointer(keywordLocation), schema)
}

/** The keys of a JSON Pointer in a fragment (RFC 6901). */
function pointer(fragment: string): string[] {
  const parts = fragment.split('/').slice(1)
  return parts.map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The same, with the places in lists as numbers: a name may be made of digits, too. */
function keysAt(args: unknown, keys: readonly string[]): (string | number)[] {
  let at = args
  return keys.map((key) => {
    const place = Array.isArray(at) ? Number(key) : key
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined
    return place
  })
}

function valueAt(schema: unknown, keys: readonly string[], root: object): unknown {
  let at = schema
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
    // An error's place leads through references.
    if (key === '$ref' && typeof at === 'string') at = at.startsWith('#') ? valueAt(root, pointer(at), root) : undefined
  }
  return at
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

interface Issue {
  readonly code?: unknown
  readonly message?: unknown
  readonly path?: unknown
  readonly expected?: unknown
  readonly options?: unknown
}

/** An issue's path holds keys, or objects that have them. */
function keyOf(part: unknown): string | number {
  const key = typeof part === 'object' && part !== null ? (part as { key?: unknown }).key : part
  return typeof key === 'number' ? key : String(key)
}

/** Zod's codes for issues whose messages say what was wanted, and never what came. */
const ZOD = new Set<unknown>([
  'invalid_type',
  'too_small',
  'too_big',
  'invalid_format',
  'invalid_string',
  'not_multiple_of',
  'invalid_union',
  'invalid_union_discriminator',
  'invalid_key',
  'invalid_element',
  'invalid_value',
  'invalid_literal',
  'invalid_date',
  'not_finite',
  'custom',
])

/** Messages of other libraries, and of some issues of zod 3, repeat what came. */
function worded({ code, message, expected, options }: Issue): string {
  // Zod lists the keys that are not known.
  if (code === 'unrecognized_keys') return UNKNOWN
  if (ZOD.has(code)) return String(message ?? '')
  if (code === 'invalid_enum_value') return `is not one of ${JSON.stringify(options)}`
  return typeof expected === 'string' ? `is not ${expected}` : 'does not fit'
}

/** Every name of an argument in a JSON Schema. */
function namesIn(schema: unknown): ReadonlySet<string> | undefined {
  try {
    return jsonChecker(schema as object).names
  } catch {
    return undefined
  }
}
