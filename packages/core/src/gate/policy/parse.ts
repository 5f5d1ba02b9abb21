/** Conditions as people write them become trees. Every error names the place in the document. */

import { nearest } from '../../options.ts'
import { ALIASES, COMBINATORS, checkKnown, checkOn, OPERATORS, parseOperand, SIZE_OPERATORS } from './operands.ts'
import { type FieldKind, fieldAt, parsePath } from './paths.ts'
import type { Subject } from './policy.ts'
import { below, hint, problem } from './problem.ts'
import type { Operand, Operator, Path, Root, Tree } from './tree.ts'

const OUTER: readonly Root[] = ['args', 'session', 'tool', 'time']
const ITEM: Path = { text: 'item', root: 'item', keys: [] }
const SIZED: readonly FieldKind[] = ['string', 'list', 'map']
const LISTS: readonly FieldKind[] = ['list']

/** What the members of a map are about. */
interface Scope {
  /** Paths may begin with `item`. */
  readonly item: boolean
  /** Members may be operators, which test this. */
  readonly path?: Path
  /** The operators test its size. */
  readonly sized?: true
  /** Members may be paths. */
  readonly paths: boolean
}

/**
 * Reads a condition: a rule's `when` or `unless`. `roots` are those its paths may begin with. Only given private plain
 * data: what it recurses into is a document that was copied, and whose depth was bounded, before.
 */
export function parseCondition(condition: unknown, at: string, roots: readonly Root[] = OUTER): Tree {
  return parsePart(condition, at, { item: roots.includes('item'), paths: true })
}

/** Reads what one path is tested for. */
export function parseTest(test: unknown, at: string, path: Path, allowItem = false): Tree {
  return parsePart(test, at, { item: allowItem, path, paths: false })
}

function parsePart(part: unknown, at: string, scope: Scope): Tree {
  if (typeof part === 'function') {
    if (scope.path) throw problem(at, 'is a function, which can stand only for a whole condition of a call')
    return { kind: 'function', at, test: part as (call: Subject) => unknown }
  }
  if (typeof part !== 'object' || part === null) {
    if (scope.path) return leaf('eq', part, at, scope.path, scope)
    throw problem(at, 'is a map of paths to tests, such as `args.amount: { lte: 100 }`')
  }
  if (Array.isArray(part)) {
    throw problem(
      at,
      scope.path
        ? 'is a list; say `in` for one of several'
        : 'is a map of paths to tests; a list stands under `all` or `any`',
    )
  }
  const keys = Object.keys(part)
  // Nothing to hold would hold of every call.
  if (keys.length === 0) throw problem(at, 'is empty')
  const trees = keys.map((key) => parseMember(key, (part as Readonly<Record<string, unknown>>)[key], at, scope))
  return trees.length === 1 ? (trees[0] as Tree) : { kind: 'all', at, trees }
}

function parseMember(key: string, value: unknown, around: string, scope: Scope): Tree {
  const at = below(around, key)
  if (key === 'all' || key === 'any') {
    if (!Array.isArray(value) || value.length === 0) throw problem(at, 'is a list of at least one')
    return { kind: key, at, trees: value.map((part, index) => parsePart(part, below(at, index), scope)) }
  }
  if (key === 'not') return { kind: 'not', at, tree: parsePart(value, at, scope) }
  if (scope.path) {
    const own = parseOperator(key, value, at, scope.path, scope)
    if (own) return own
  }
  const known = scope.path ? operators(scope) : []
  // Inside `every` and `some` a misspelt operator looks like a path that begins with no root.
  const misspelt = !/[.[]/.test(key) && (Object.hasOwn(ALIASES, key) || nearest(key, [...known, 'item']) !== undefined)
  if (!scope.paths || (scope.path && key !== 'args' && key !== 'item' && misspelt)) {
    throw problem(at, `is not an operator${scope.sized ? ' for a size' : ''}; ${hint(key, known, ALIASES)}`)
  }
  const joins = Object.hasOwn(ALIASES, key) ? ALIASES[key] : undefined
  if (joins === 'all' || joins === 'any' || joins === 'not')
    throw problem(at, `is not a path; ${hint(key, [], ALIASES)}`)
  const path = parsePath(key, at, scope.item)
  return parsePart(value, at, { item: scope.item, path, paths: false })
}

/** `undefined`: it is no operator, or none that a size has. */
function parseOperator(key: string, value: unknown, at: string, path: Path, scope: Scope): Tree | undefined {
  if (scope.sized)
    return isOperator(key) && SIZE_OPERATORS.includes(key) ? leaf(key, value, at, path, scope) : undefined
  if (isOperator(key)) return leaf(key, value, at, path, scope)
  if (key === 'size') {
    checkOn(path, key, SIZED, at)
    return parsePart(value, at, { item: scope.item, path, sized: true, paths: false })
  }
  if (key === 'every' || key === 'some') {
    checkOn(path, key, LISTS, at)
    // Operators in it test the item itself; its paths may begin with `item`, which is the innermost one.
    return { kind: 'each', at, path, mode: key, tree: parsePart(value, at, { item: true, path: ITEM, paths: true }) }
  }
  return undefined
}

function leaf(op: Operator, given: unknown, at: string, path: Path, scope: Scope): Tree {
  const sized = scope.sized === true
  const operand = parseOperand(op, given, at, scope.item)
  if (sized) checkSize(op, operand, at)
  else checkKnown(path, op, operand, at)
  return { kind: 'leaf', at, path, sized, op, operand }
}

/** Refuses what no size can be compared with. */
function checkSize(op: Operator, operand: Operand, at: string): void {
  const several = op === 'in' || op === 'notIn'
  if ('path' in operand) {
    const kind = fieldAt(operand.path)?.kind
    if (kind !== undefined && (several || kind !== 'number')) throw problem(at, 'is not compared with numbers')
    return
  }
  const { value } = operand
  const whole = (one: unknown) => Number.isInteger(one) && (one as number) >= 0
  const fits = Array.isArray(value) ? several && value.every(whole) : whole(value)
  if (!fits) throw problem(at, 'is compared with a size, which is a whole number')
}

function isOperator(key: string): key is Operator {
  return Object.hasOwn(OPERATORS, key)
}

function operators(scope: Scope): readonly string[] {
  return scope.sized ? [...SIZE_OPERATORS, 'all', 'any', 'not'] : [...Object.keys(OPERATORS), ...COMBINATORS]
}
