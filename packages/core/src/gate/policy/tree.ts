/** Conditions as trees: what the linter and `explain` walk, and what `compile.ts` turns into closures. */
import type { Scalar, Subject } from './policy.ts'

export type Root = 'args' | 'session' | 'tool' | 'time' | 'item'

export interface Path {
  /** As it was written: `args.items[0].price`, `args["odd key"]`. */
  readonly text: string
  readonly root: Root
  readonly keys: readonly (string | number)[]
}

export type Operator =
  | 'eq'
  | 'ne'
  | 'gt'
  | 'gte'
  | 'lt'
  | 'lte'
  | 'in'
  | 'notIn'
  | 'startsWith'
  | 'endsWith'
  | 'contains'
  | 'matches'
  | 'glob'
  | 'subsetOf'
  | 'exists'

export type Operand = { readonly value: Scalar | readonly Scalar[] } | { readonly path: Path }

/** `at` is where it stands in the document: `rules.3.when.args.amount.gt`. */
export type Tree =
  | { readonly kind: 'all' | 'any'; readonly at: string; readonly trees: readonly Tree[] }
  | { readonly kind: 'not'; readonly at: string; readonly tree: Tree }
  | {
      readonly kind: 'leaf'
      readonly at: string
      readonly path: Path
      /** The test is of the value's size, not of the value. */
      readonly sized: boolean
      readonly op: Operator
      readonly operand: Operand
    }
  | {
      readonly kind: 'each'
      readonly at: string
      readonly path: Path
      readonly mode: 'every' | 'some'
      readonly tree: Tree
    }
  | { readonly kind: 'function'; readonly at: string; readonly test: (call: Subject) => unknown }

/**
 * What a condition comes to: false, absent, error or true, in this order, so that `all` is the least of its parts and
 * `any` the greatest. Absent is a false that `not` does not turn round: it makes an error of it, as of an error.
 * A rule that allows matches when its condition is true; one that denies or asks also when it is an error.
 */
export const FALSE = 0
export const ABSENT = 1
export const ERROR = 2
export const TRUE = 3
export type Truth = typeof FALSE | typeof ABSENT | typeof ERROR | typeof TRUE
