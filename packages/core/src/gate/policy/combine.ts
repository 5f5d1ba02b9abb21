/** What joins tests: Kleene's `all`, `any` and `not` over the four truths, and what looks into lists. */
import { disregard } from '../../clock.ts'
import { opposite, type Test } from './operators.ts'
import type { Subject } from './policy.ts'
import type { Reader } from './read-path.ts'
import { ABSENT, ERROR, FALSE, TRUE, type Truth } from './tree.ts'
import { isPlain } from './values.ts'

/** The least of its parts. */
export function all(tests: readonly Test[]): Test {
  const [first, second] = tests
  if (first === undefined) return () => TRUE
  if (second === undefined) return first
  if (tests.length === 2) {
    return (subject, item) => {
      const one = first(subject, item)
      if (one === FALSE) return FALSE
      const other = second(subject, item)
      if (other < one) return other
      return one
    }
  }
  return (subject, item) => {
    let least: Truth = TRUE
    for (const test of tests) {
      const truth = test(subject, item)
      if (truth === FALSE) return FALSE
      if (truth < least) least = truth
    }
    return least
  }
}

/** The greatest of its parts. */
export function any(tests: readonly Test[]): Test {
  const [only] = tests
  if (only !== undefined && tests.length === 1) return only
  return (subject, item) => {
    let greatest: Truth = FALSE
    for (const test of tests) {
      const truth = test(subject, item)
      if (truth === TRUE) return TRUE
      if (truth > greatest) greatest = truth
    }
    return greatest
  }
}

/** Turns true and false round; of what is absent or in error nothing can be said, nor its opposite. */
export function not(test: Test): Test {
  return (subject, item) => opposite(test(subject, item))
}

/** A test of the items of a list; inside it, `item` is the innermost one. */
export function each(mode: 'every' | 'some', read: Reader, test: Test): Test {
  const [start, end] = mode === 'every' ? ([TRUE, FALSE] as const) : ([FALSE, TRUE] as const)
  return (subject, item) => {
    const list = read(subject, item)
    if (list === undefined) return ABSENT
    if (!Array.isArray(list)) return ERROR
    let worst: Truth = start
    for (const one of list) {
      const truth = test(subject, one)
      if (truth === end) return end
      if (mode === 'every' ? truth < worst : truth > worst) worst = truth
    }
    return worst
  }
}

/** A function of the application's. Anything but a plain yes or no, also a promise of one, is an error. */
export function called(test: (call: Subject) => unknown): Test {
  return (subject) => {
    try {
      const answer = test(subject)
      if (answer === true) return TRUE
      if (answer === false) return FALSE
      disregard(answer)
    } catch {
      // A condition that fails says nothing; its rule errs, on the safe side.
    }
    return ERROR
  }
}

/** Reads the size of what a path holds. What has none is answered as NaN, which every comparison takes for an error. */
export function sized(read: Reader): Reader {
  return (subject, item) => {
    const value = read(subject, item)
    if (value === undefined) return undefined
    if (typeof value === 'string') return codePoints(value)
    if (typeof value !== 'object' || value === null) return Number.NaN
    if (Array.isArray(value)) return value.length
    return isPlain(value) ? Object.keys(value).length : Number.NaN
  }
}

function codePoints(text: string): number {
  let count = text.length
  for (let index = 0; index < text.length - 1; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0xd800 || unit > 0xdbff) continue
    const next = text.charCodeAt(index + 1)
    if (next < 0xdc00 || next > 0xdfff) continue
    count--
    index++
  }
  return count
}
