/** A private copy of a document that anyone may have written: nothing of it runs, and nothing of it can change later. */
import { types } from 'node:util'
import { below, problem } from './problem.ts'

const DEEPEST = 32
/** What is undefined at the top of a document is not there. A rule or a condition would go on without a part of it. */
const RULES = 2
const MOST_VALUES = 1_000_000
const MOST_TEXT = 16_000_000

/**
 * A deep-frozen copy of plain data, in which functions may stand. Top fields of `undefined` are dropped. Throws `ConfigError`
 * for anything else: accessors, Proxies, classes, cycles (as too deep), `__proto__`.
 */
export function copyDocument(document: unknown): unknown {
  let values = 0
  let text = 0

  const count = (string: string, at: string): void => {
    text += string.length
    if (text > MOST_TEXT) throw problem(at, 'is where the policy grows beyond 16 million characters')
    if (!string.isWellFormed()) throw problem(at, 'has text that is not well-formed')
  }

  const copy = (value: unknown, at: string, depth: number): unknown => {
    // Data that refers to one thing many times over can be small to write and endless to copy.
    if (++values > MOST_VALUES) throw problem(at, 'is where the policy grows beyond 1,000,000 values')
    if (typeof value === 'string') count(value, at)
    if (typeof value === 'number' && !Number.isFinite(value)) throw problem(at, 'is not a finite number')
    if (typeof value === 'bigint' || typeof value === 'symbol') throw problem(at, `is a ${typeof value}`)
    if (typeof value === 'function' && types.isProxy(value)) throw problem(at, 'is a Proxy')
    if (typeof value !== 'object' || value === null) return value
    if (types.isProxy(value)) throw problem(at, 'is a Proxy')
    if (depth >= DEEPEST) throw problem(at, `is more than ${DEEPEST} levels deep, or refers to itself`)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (Object.getOwnPropertySymbols(value).length > 0) throw problem(at, 'has a symbol for a key')
    if (Array.isArray(value) && prototype === Array.prototype) return copyList(value, at, depth)
    if (prototype !== Object.prototype && prototype !== null) throw problem(at, 'is an object that is not plain data')
    const plain: Record<string, unknown> = {}
    for (const key of Object.getOwnPropertyNames(value)) {
      const place = below(at, key)
      count(key, place)
      if (key === '__proto__') throw problem(place, 'is a reserved key')
      const item = copy(member(value, key, place), place, depth + 1)
      if (item !== undefined) plain[key] = item
      else if (depth >= RULES) throw problem(place, 'is undefined; leave it out if nothing is meant')
    }
    return Object.freeze(plain)
  }

  const copyList = (list: readonly unknown[], at: string, depth: number): readonly unknown[] => {
    // Every item and `length`: less is a hole, more is a property that no copy would keep.
    if (Object.getOwnPropertyNames(list).length !== list.length + 1)
      throw problem(at, 'is a list with holes or properties')
    const copies: unknown[] = []
    for (let index = 0; index < list.length; index++) {
      const place = below(at, index)
      const item = copy(member(list, index, place), place, depth + 1)
      if (item === undefined) throw problem(place, 'is undefined')
      copies.push(item)
    }
    return Object.freeze(copies)
  }

  return copy(document, '', 0)
}

function member(value: object, key: string | number, at: string): unknown {
  const property = Object.getOwnPropertyDescriptor(value, key)
  if (!property) throw problem(at, 'is a hole in a list')
  if (!('value' in property)) throw problem(at, 'is an accessor')
  if (!property.enumerable) throw problem(at, 'is a hidden property')
  return property.value
}
