/** The operators: what each is compared with, and which of the known fields it makes sense for. */
import { globProblem } from './glob.ts'
import { type Field, type FieldKind, fieldAt, parsePath } from './paths.ts'
import { regexProblem } from './patterns.ts'
import type { Scalar } from './policy.ts'
import { below, hint, problem } from './problem.ts'
import type { Operand, Operator, Path } from './tree.ts'

type ScalarKind = 'string' | 'number' | 'boolean' | 'null'

export interface OperandRule {
  /** The kinds of a single operand; empty when only lists will do. */
  readonly one: readonly ScalarKind[]
  /** Takes a list as well: of at least this many members. */
  readonly list?: 0 | 1
  /** Takes another path, as `{ path: … }`. */
  readonly path: boolean
  /** The known fields it can be used on; every one unless given. */
  readonly on?: readonly FieldKind[]
  readonly says: string
}

const ANY: readonly ScalarKind[] = ['string', 'number', 'boolean', 'null']
const ORDERED: Omit<OperandRule, 'says'> = { one: ['number', 'string'], path: true, on: ['number', 'string'] }
const EQUAL: Omit<OperandRule, 'says'> = { one: ANY, list: 0, path: true, on: ['string', 'number', 'boolean', 'list'] }
const LIST: Omit<OperandRule, 'says'> = { one: [], list: 0, path: true, on: ['string', 'number', 'boolean'] }
const TEXT: Omit<OperandRule, 'says'> = { one: ['string'], path: true, on: ['string'] }

export const OPERATORS: Readonly<Record<Operator, OperandRule>> = {
  eq: { ...EQUAL, says: 'Is this value; a list is compared as a whole (for one of several, say `in`).' },
  ne: { ...EQUAL, says: 'Is there and is not this value.' },
  gt: { ...ORDERED, says: 'Is greater than this number, or comes after this text.' },
  gte: { ...ORDERED, says: 'Is at least this.' },
  lt: { ...ORDERED, says: 'Is less than this number, or comes before this text.' },
  lte: { ...ORDERED, says: 'Is at most this.' },
  in: { ...LIST, says: 'Is one of these.' },
  notIn: { ...LIST, says: 'Is there and is none of these.' },
  startsWith: { ...TEXT, says: 'Is a text that begins with this.' },
  endsWith: { ...TEXT, says: 'Is a text that ends with this.' },
  contains: {
    one: ANY,
    path: true,
    on: ['string', 'list'],
    says: 'Is a text with this in it, or a list with this item.',
  },
  matches: {
    one: ['string'],
    path: false,
    on: ['string'],
    says: 'A regular expression (RE2) is found in the text: anywhere, unless anchored with `^` and `$`.',
  },
  glob: {
    one: ['string'],
    list: 1,
    path: false,
    on: ['string'],
    says: 'The whole text matches; `*` is any run of characters, `\\*` a star, `\\\\` a backslash.',
  },
  subsetOf: { one: [], list: 0, path: true, on: ['list'], says: 'Is a list of which every item is one of these.' },
  exists: { one: ['boolean'], path: false, says: 'Is there at all, be it null; `false`: is not there.' },
}

/** What may be asked of a size, which is a number. */
export const SIZE_OPERATORS: readonly Operator[] = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'notIn']
/** What joins or opens tests instead of comparing. */
export const COMBINATORS: readonly string[] = ['all', 'any', 'not', 'every', 'some', 'size']
/** How other languages write what is meant. */
export const ALIASES: Readonly<Record<string, string>> = {
  '=': 'eq',
  '==': 'eq',
  '===': 'eq',
  equals: 'eq',
  is: 'eq',
  '!=': 'ne',
  '!==': 'ne',
  neq: 'ne',
  '>': 'gt',
  '>=': 'gte',
  '=>': 'gte',
  min: 'gte',
  '<': 'lt',
  '<=': 'lte',
  '=<': 'lte',
  max: 'lte',
  oneOf: 'in',
  nin: 'notIn',
  not_in: 'notIn',
  starts_with: 'startsWith',
  ends_with: 'endsWith',
  includes: 'contains',
  has: 'contains',
  regex: 'matches',
  pattern: 'matches',
  match: 'matches',
  like: 'glob',
  length: 'size',
  count: 'size',
  '&&': 'all',
  and: 'all',
  allOf: 'all',
  '||': 'any',
  or: 'any',
  anyOf: 'any',
  '!': 'not',
}

/** Reads what an operator is compared with. Throws `ConfigError` when it can't be compared. */
export function parseOperand(op: Operator, given: unknown, at: string, allowItem: boolean): Operand {
  const rule = OPERATORS[op]
  if (rule.path && isMap(given)) return { path: parsePathOperand(given, at, allowItem) }
  if (Array.isArray(given) && rule.list !== undefined) {
    if (given.length < rule.list) throw problem(at, 'is an empty list')
    // A list's members are scalars of any kind, but for operators that take a text alone.
    const kinds = rule.one.length > 0 ? rule.one : ANY
    for (const [index, member] of given.entries()) checkScalar(op, kinds, member, below(at, index), false)
    return { value: given as readonly Scalar[] }
  }
  checkScalar(op, rule.one, given, at, true)
  return { value: given as Scalar }
}

function checkScalar(op: Operator, kinds: readonly ScalarKind[], given: unknown, at: string, whole: boolean): void {
  const kind = given === null ? 'null' : typeof given
  if (!(kinds as readonly string[]).includes(kind)) {
    throw problem(at, `is not what \`${op}\` takes: ${takes(op, whole)}`)
  }
  const wrong =
    op === 'glob' ? globProblem(given as string) : op === 'matches' ? regexProblem(given as string) : undefined
  if (wrong !== undefined) throw problem(at, wrong)
}

const WORDS: Readonly<Record<ScalarKind, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: '`true` or `false`',
  null: '`null`',
}

function takes(op: Operator, whole: boolean): string {
  const { one, list, path } = OPERATORS[op]
  const words = (one.length > 0 || whole ? one : ANY).map((kind) => WORDS[kind])
  if (whole && list !== undefined) words.push(one.length > 0 ? 'a list of them' : 'a list')
  if (whole && path) words.push('`{ path: … }`')
  return words.length === 1 ? (words[0] as string) : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

function parsePathOperand(given: Readonly<Record<string, unknown>>, at: string, allowItem: boolean): Path {
  const keys = Object.keys(given)
  if (keys.length === 0) throw problem(at, 'is empty; another path is written `{ path: … }`')
  for (const key of keys) if (key !== 'path') throw problem(below(at, key), `is not known here; ${hint(key, ['path'])}`)
  if (typeof given.path !== 'string') throw problem(below(at, 'path'), 'is a path, as text')
  return parsePath(given.path, below(at, 'path'), allowItem)
}

/** Refuses tests of a known field that no call can pass: an operator, an operand or a spelling that never fits. */
export function checkKnown(path: Path, op: Operator, operand: Operand, at: string): void {
  const field = fieldAt(path)
  if (field === undefined) return
  checkOn(path, op, OPERATORS[op].on, at)
  if (op === 'exists') return
  if ('path' in operand) {
    checkPair(path, field, op, operand.path, at)
    return
  }
  const kind = field.kind === 'list' ? 'string' : field.kind
  const exact = op === 'eq' || op === 'ne' || op === 'in' || op === 'notIn'
  if (exact && op !== 'in' && op !== 'notIn' && (field.kind === 'list') !== Array.isArray(operand.value)) {
    throw problem(at, `is compared with \`${path.text}\`, which is ${KINDS[field.kind]}`)
  }
  const ordered = op === 'gt' || op === 'gte' || op === 'lt' || op === 'lte'
  for (const [index, value] of [operand.value].flat().entries()) {
    const place = Array.isArray(operand.value) ? below(at, index) : at
    if (typeof value !== kind) throw problem(place, `is compared with \`${path.text}\`, which is ${KINDS[field.kind]}`)
    if (exact || ordered) checkSpelling(path, field, value as string | number, ordered, place)
  }
}

/** Refuses an operator that makes no sense for a known field. `on`: the kinds of fields that it does make sense for. */
export function checkOn(path: Path, op: string, on: readonly FieldKind[] | undefined, at: string): void {
  const field = fieldAt(path)
  if (field === undefined || on === undefined || on.includes(field.kind)) return
  throw problem(at, `asks \`${op}\` of \`${path.text}\`, which is ${KINDS[field.kind]}`)
}

const KINDS: Readonly<Record<FieldKind, string>> = {
  string: 'a text',
  number: 'a number',
  boolean: '`true` or `false`',
  list: 'a list of texts',
  map: 'a map, of which a path names one member',
}

function checkSpelling(path: Path, field: Field, value: string | number, ordered: boolean, at: string): void {
  if (path.text === 'time.weekday' && ordered)
    throw problem(at, 'puts days in the order of their letters; list them with `in`')
  if (field.shape && !field.shape.test(String(value))) throw problem(at, `is not like \`${path.text}\`: ${field.like}`)
  if (!field.range) return
  const [least, most] = field.range
  // A bound may lie one beyond: `lt: 24` is every hour.
  const slack = ordered ? 1 : 0
  if (!Number.isInteger(value) || (value as number) < least - slack || (value as number) > most + slack) {
    throw problem(at, `is no \`${path.text}\`, which is a whole number from ${least} to ${most}`)
  }
}

/** Two known fields that never hold the same kind of thing can't be compared. */
function checkPair(path: Path, field: Field, op: Operator, other: Path, at: string): void {
  const known = fieldAt(other)
  if (known === undefined) return
  const list = op === 'in' || op === 'notIn' || op === 'subsetOf'
  const text = op === 'contains' && field.kind === 'list'
  const fits = list
    ? known.kind === 'list' && field.kind !== 'number' && field.kind !== 'boolean'
    : known.kind === (text ? 'string' : field.kind)
  if (!fits) throw problem(at, `compares \`${path.text}\` with \`${other.text}\`, which is ${KINDS[known.kind]}`)
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
