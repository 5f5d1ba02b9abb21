/** Leaves become closures, each made for its operator and the kind of its operand. */
import { compileGlobs, compileRegex } from './patterns.ts'
import type { Subject } from './policy.ts'
import { MISFIT, type Reader } from './read-path.ts'
import { ABSENT, ERROR, FALSE, type Operator, TRUE, type Truth } from './tree.ts'
import { type Kind, kindOf, plainValue, same } from './values.ts'

/** What a condition comes to for a call. Only what reads a hostile subject may throw; the rule then errs. */
export type Test = (subject: Subject, item: unknown) => Truth

/** What a value that is there comes to. */
type Check = (value: unknown) => Truth
/** The same, of a value and an operand that are both there. */
type Compare = (value: unknown, operand: unknown) => Truth

export function compareWithValue(op: Operator, read: Reader, operand: unknown): Test {
  if (op === 'exists') {
    const [there, absent] = operand === true ? ([TRUE, FALSE] as const) : ([FALSE, TRUE] as const)
    return (subject, item) => {
      const value = read(subject, item)
      return value === undefined || value === MISFIT ? absent : there
    }
  }
  if (typeof operand === 'number') {
    const number = numberTest(op, read, operand)
    if (number) return number
  }
  const check = checkOf(op, operand)
  return (subject, item) => {
    const value = read(subject, item)
    return value === undefined ? ABSENT : check(value)
  }
}

export function compareWithPath(op: Operator, read: Reader, readOperand: Reader): Test {
  const compare = COMPARE[op]
  return (subject, item) => {
    const value = read(subject, item)
    if (value === undefined) return ABSENT
    const operand = readOperand(subject, item)
    // With nothing to compare with, no comparison holds, nor does its opposite.
    return operand === undefined ? ERROR : compare(value, operand)
  }
}

/** The commonest leaves by far, a path against a number, in one closure each. Bigints compare with numbers exactly. */
function numberTest(op: Operator, read: Reader, bound: number): Test | undefined {
  switch (op) {
    case 'gt':
      return (subject, item) => {
        const value = read(subject, item)
        return isNumber(value) ? (value > bound ? TRUE : FALSE) : unfit(value)
      }
    case 'gte':
      return (subject, item) => {
        const value = read(subject, item)
        return isNumber(value) ? (value >= bound ? TRUE : FALSE) : unfit(value)
      }
    case 'lt':
      return (subject, item) => {
        const value = read(subject, item)
        return isNumber(value) ? (value < bound ? TRUE : FALSE) : unfit(value)
      }
    case 'lte':
      return (subject, item) => {
        const value = read(subject, item)
        return isNumber(value) ? (value <= bound ? TRUE : FALSE) : unfit(value)
      }
    default:
      return undefined
  }
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' ? Number.isFinite(value) : typeof value === 'bigint'
}

function unfit(value: unknown): Truth {
  return value === undefined ? ABSENT : ERROR
}

function checkOf(op: Operator, operand: unknown): Check {
  switch (op) {
    case 'eq':
    case 'ne':
      return typeof operand === 'string' ? textIs(operand, op === 'eq') : (value) => COMPARE[op](value, operand)
    case 'in':
    case 'notIn': {
      const among = membership(operand as readonly unknown[])
      return op === 'in' ? among : (value) => opposite(among(value))
    }
    case 'subsetOf': {
      const among = membership(operand as readonly unknown[])
      return (value) => subset(value, among)
    }
    case 'glob':
      return onText(compileGlobs([operand].flat() as string[]))
    case 'matches':
      return onText(compileRegex(operand as string))
    default: {
      const compare = COMPARE[op]
      return (value) => compare(value, operand)
    }
  }
}

function onText(matches: (text: string) => boolean): Check {
  return (value) => (typeof value !== 'string' ? ERROR : matches(value) ? TRUE : FALSE)
}

function textIs(text: string, wanted: boolean): Check {
  return (value) => {
    if (typeof value === 'string') return (value === text) === wanted ? TRUE : FALSE
    if (value === null) return wanted ? FALSE : TRUE
    return ERROR
  }
}

/** `in` a list that is known at load: one look-up, however long it is. */
function membership(list: readonly unknown[]): Check {
  const members = new Set(list)
  const kinds = new Set(list.map(kindOf))
  return (value) => {
    // A bigint is in the list when its number is, and few lists are of numbers.
    if (typeof value === 'bigint') return among(value, list)
    const kind = kindOf(value)
    if (kind === undefined) return ERROR
    return members.has(value) ? TRUE : unlike(kind, kinds) ? ERROR : FALSE
  }
}

function among(value: unknown, list: readonly unknown[]): Truth {
  const kind = kindOf(value)
  if (kind === undefined) return ERROR
  if (list.some((member) => same(member, value))) return TRUE
  return unlike(kind, new Set(list.map((member) => kindOf(plainValue(member))))) ? ERROR : FALSE
}

/** Whether nothing in a list could have been meant for a value of this kind. Null is unequal to all and unlike none. */
function unlike(kind: Kind, kinds: ReadonlySet<Kind | undefined>): boolean {
  return kind !== 'null' && !kinds.has(kind) && [...kinds].some((other) => other !== 'null')
}

function equal(value: unknown, operand: unknown): Truth {
  const kind = kindOf(value)
  const other = kindOf(operand)
  if (kind === undefined || other === undefined) return ERROR
  if (kind === other) return same(value, operand) ? TRUE : FALSE
  // Invariant: a value of another type than the rule is written for is no mismatch; `'5'` does not slip past `5`.
  return kind === 'null' || other === 'null' ? FALSE : ERROR
}

function ordered(holds: (value: never, operand: never) => boolean): Compare {
  return (value, operand) => {
    const kind = kindOf(value)
    if (kind !== kindOf(operand) || (kind !== 'number' && kind !== 'string')) return ERROR
    return holds(value as never, operand as never) ? TRUE : FALSE
  }
}

function onTexts(holds: (value: string, operand: string) => boolean): Compare {
  return (value, operand) => {
    if (typeof value !== 'string' || typeof operand !== 'string') return ERROR
    return holds(value, operand) ? TRUE : FALSE
  }
}

function contains(value: unknown, operand: unknown): Truth {
  if (Array.isArray(value)) return among(operand, value)
  return typeof value === 'string' && typeof operand === 'string' ? (value.includes(operand) ? TRUE : FALSE) : ERROR
}

/** The least of what its items come to. */
function subset(value: unknown, isIn: Check): Truth {
  if (!Array.isArray(value)) return ERROR
  let least: Truth = TRUE
  for (const item of value) {
    const truth = isIn(plainValue(item))
    if (truth < least) least = truth
  }
  return least
}

/** Truth turned round; of what is absent or in error nothing can be said, nor its opposite. */
export function opposite(truth: Truth): Truth {
  return truth === TRUE ? FALSE : truth === FALSE ? TRUE : ERROR
}

const unknown: Compare = () => ERROR

const COMPARE: Readonly<Record<Operator, Compare>> = {
  eq: equal,
  ne: (value, operand) => opposite(equal(value, operand)),
  gt: ordered((value, operand) => value > operand),
  gte: ordered((value, operand) => value >= operand),
  lt: ordered((value, operand) => value < operand),
  lte: ordered((value, operand) => value <= operand),
  in: (value, operand) => (Array.isArray(operand) ? among(value, operand) : ERROR),
  notIn: (value, operand) => (Array.isArray(operand) ? opposite(among(value, operand)) : ERROR),
  startsWith: onTexts((value, operand) => value.startsWith(operand)),
  endsWith: onTexts((value, operand) => value.endsWith(operand)),
  contains,
  subsetOf: (value, operand) => (Array.isArray(operand) ? subset(value, (item) => among(item, operand)) : ERROR),
  // These three take no path; the parser lets none through.
  matches: unknown,
  glob: unknown,
  exists: unknown,
}
