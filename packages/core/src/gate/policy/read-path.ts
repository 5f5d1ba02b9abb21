/** Paths become readers, which know at load what they will read. */
import type { Subject } from './policy.ts'
import type { Path } from './tree.ts'
import { isPlain, plainValue } from './values.ts'
import type { Calendar } from './zone.ts'

/** Reads one path of a call, or of the item that `every` or `some` look at. `undefined`: there is nothing. */
export type Reader = (subject: Subject, item: unknown) => unknown

export function readerOf(path: Path, calendar: Calendar): Reader {
  const { root, keys } = path
  const [first, second] = keys
  switch (root) {
    case 'args':
      if (first === undefined) return (subject) => plainValue(subject.args)
      if (second === undefined) return (subject) => plainValue(member(subject.args, first))
      if (keys.length === 2) return (subject) => plainValue(member(member(subject.args, first), second))
      return (subject) => descend(subject.args, keys)
    case 'item':
      if (first === undefined) return (_, item) => plainValue(item)
      return (_, item) => descend(item, keys)
    case 'session':
      return fieldReader((subject) => subject.session, keys)
    case 'tool':
      return fieldReader((subject) => subject.tool, keys)
    case 'time':
      return timeReader(String(first), calendar)
  }
}

/**
 * Stands for what can't be read, because something on the way to it is of another type than the path is written for: a
 * map that was sent as its JSON text, a list where one item was meant. It is of no kind, so every comparison errs on it.
 */
export const MISFIT: unique symbol = Symbol('misfit')

/**
 * One step down: own properties of plain objects and items of arrays, and nothing else. A name is never looked up in
 * an array, so `length` and what a prototype may have been given are not there.
 */
function member(value: unknown, key: string | number): unknown {
  // Below what is not there, or is null, there is nothing.
  if (value === undefined || value === null) return undefined
  // Invariant: a value of another type than the rule is written for is no absence, either: it does not slip past.
  if (typeof value !== 'object') return MISFIT
  if (typeof key === 'number' ? !Array.isArray(value) : Array.isArray(value) || !isPlain(value)) return MISFIT
  return Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : undefined
}

function descend(value: unknown, keys: readonly (string | number)[]): unknown {
  let found = value
  for (const key of keys) found = member(found, key)
  return plainValue(found)
}

/** A field of the session's or the tool's facts. Which there are was checked at load; they may stand on a class. */
function fieldReader(facts: (subject: Subject) => object, [name, ...rest]: Path['keys']): Reader {
  const field = (subject: Subject): unknown => (facts(subject) as Record<string, unknown>)[name as string]
  return rest.length === 0 ? field : (subject) => descend(field(subject), rest)
}

function timeReader(name: string, calendar: Calendar): Reader {
  return (subject) => {
    const facts = calendar(subject.now)
    // What has no time can't be judged by it: the rule errs, on the safe side.
    if (facts === undefined) throw new RangeError('the call has no time')
    return facts[name as keyof typeof facts]
  }
}
