/**
 * What is wrong with arguments by a tool's own schema, as one sentence a model can act on: for frameworks that hand
 * over what the model wrote as it is. A sentence names arguments and what the schema wants of them, never what they are.
 */
import { Validator } from '@cfworker/json-schema'
import { pathOf } from '../call.ts'

/** Says what is wrong; nothing, of arguments that fit. Pure; does not throw. */
export type Misfit = (args: unknown) => string | undefined

/**
 * By JSON Schema (2020-12, or the draft that `$schema` names). A schema that can't be used fits nothing: a tool whose
 * arguments nobody can check is not called. Nothing to check by is `undefined`.
 */
export function misfitOf(schema: unknown): Misfit | undefined {
  if (typeof schema !== 'object' || schema === null || Object.keys(schema).length === 0) return undefined
  const { $schema } = schema as { $schema?: unknown }
  let validator: Validator
  try {
    // The validator writes into what it gets.
    validator = new Validator(structuredClone(schema), draftOf($schema), false)
  } catch {
    return () => UNUSABLE
  }
  return (args) => {
    try {
      const { valid, errors } = validator.validate(args)
      return valid
        ? undefined
        : sentenceOf(errors.filter(({ keyword }) => !OUTER.has(keyword)).map((error) => said(schema, error)))
    } catch {
      return UNUSABLE
    }
  }
}

/** By the issues of a Standard Schema, such as zod's (https://standardschema.dev). */
export function misfitFrom(issues: unknown): string {
  const list = Array.isArray(issues) ? issues : []
  return sentenceOf(
    list.map((issue: { message?: unknown; path?: unknown } | null) => {
      const keys = Array.isArray(issue?.path) ? issue.path.map(keyOf) : []
      // Zod lists keys that are not known: what the caller called them is not repeated.
      const { code } = (issue ?? {}) as { code?: unknown }
      if (code === 'unrecognized_keys') return [keys, 'has an argument that the tool does not know'] as const
      // Zod 3 says at the end of this one what it was given instead.
      const given = code === 'invalid_enum_value' ? /, received '.*$/s : ''
      return [keys, String(issue?.message ?? '').replace(given, '')] as const
    }),
  )
}

/** In place of arguments that could not be read at all, beside a `misfit` that says so: nothing can run with them. */
export const UNREADABLE: unique symbol = Symbol('unreadable')

const UNUSABLE = 'the arguments can not be checked against the schema of the tool'
/** Keywords that only say that something within them does not fit. */
const OUTER = new Set([
  'properties',
  'items',
  'prefixItems',
  'patternProperties',
  'additionalProperties',
  'allOf',
  '$ref',
])
const MOST = 3

type Said = readonly [keys: readonly (string | number)[], message: string]

function sentenceOf(said: readonly Said[]): string {
  const parts = said.slice(0, MOST).map(([keys, message]) => {
    const text = message
      .replace(/[\p{C}\p{Z}]+/gu, ' ')
      .trim()
      .replace(/\.$/, '')
      .slice(0, 160)
    return keys.length > 0 ? `\`${pathOf(keys)}\` ${text}` : text
  })
  return `the arguments do not fit the tool${parts.length > 0 ? `: ${parts.join('; ')}` : ''}`
}

function said(schema: object, { instanceLocation, keyword, keywordLocation, error }: Failure): Said {
  const keys = pointer(instanceLocation).map((key) => (/^\d+$/.test(key) ? Number(key) : key))
  const wanted = valueAt(schema, pointer(keywordLocation))
  switch (keyword) {
    case 'required':
      // The schema's own word, in quotes.
      return [[...keys, /"(.*)"/s.exec(error)?.[1] ?? ''], 'is missing']
    case 'type':
      return [keys, wanted === undefined ? 'has another type' : `is not of type ${[wanted].flat().join(' or ')}`]
    case 'enum':
    case 'const':
      return [
        keys,
        wanted === undefined ? 'is none of the possible values' : `is not one of ${JSON.stringify([wanted].flat())}`,
      ]
    case 'false':
    case 'unevaluatedProperties':
      return [keys.length > 0 ? keys : [], 'is not known to the tool']
    case 'anyOf':
    case 'oneOf':
      return [keys, 'fits none of the alternatives']
    default:
      return [keys, `does not fit \`${keyword}\`${isScalar(wanted) ? ` ${wanted}` : ''}`]
  }
}

interface Failure {
  readonly instanceLocation: string
  readonly keyword: string
  readonly keywordLocation: string
  readonly error: string
}

/** The keys of a JSON Pointer in a fragment (RFC 6901). */
function pointer(fragment: string): string[] {
  const parts = fragment.split('/').slice(1)
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function valueAt(schema: unknown, keys: readonly string[]): unknown {
  let at = schema
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  return at
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** An issue's path holds keys, or objects that have them. */
function keyOf(part: unknown): string | number {
  const key = typeof part === 'object' && part !== null ? (part as { key?: unknown }).key : part
  return typeof key === 'number' ? key : String(key)
}

function draftOf($schema: unknown): '4' | '7' | '2019-09' | '2020-12' {
  if (typeof $schema !== 'string') return '2020-12'
  if ($schema.includes('draft-04')) return '4'
  if (/draft-0[67]/.test($schema)) return '7'
  return $schema.includes('2019-09') ? '2019-09' : '2020-12'
}
