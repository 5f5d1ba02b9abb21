/** Paths of `record`: `customer.email`, `items.*.sku`, `items[0]`, `["odd key"]`, from the arguments on. */
import { ConfigError } from './errors.ts'

/** Stands for every item of an array. Told apart by a shape: tools may come from another copy of this package. */
export interface EachItem {
  readonly each: true
}

export type RecordKey = string | number | EachItem
export type RecordPath = readonly RecordKey[]

const LONGEST = 1_000
const STEP = /(?:^|(?!^)\.)(?:(\*)|([A-Za-z0-9_$-]{1,128}))|\[(0|[1-9]\d{0,4})\]|\[("(?:[^"\\]|\\.)*")\]/y

/** Throws `ConfigError`, with `at` as where it stands in the options. */
export function parseRecordPath(text: unknown, at: string): RecordPath {
  if (typeof text !== 'string' || text === '' || text.length > LONGEST) throw invalid(at, SHAPE)
  const keys: RecordKey[] = []
  for (let index = 0; index < text.length; ) {
    STEP.lastIndex = index
    const found = STEP.exec(text)
    if (!found) throw invalid(at, SHAPE)
    index += found[0].length
    const [, each, name, item, quoted] = found
    if (each !== undefined) keys.push({ each: true })
    else if (item !== undefined) keys.push(Number(item))
    else if (quoted !== undefined) keys.push(unquoted(quoted, at))
    // As in a policy: a guess that is wrong would be a path that never leads anywhere.
    else if (/^\d+$/.test(name as string)) throw invalid(at, 'has a number for a name; write `[0]` or `["0"]`')
    else keys.push(name as string)
  }
  if (keys.includes('__proto__')) throw invalid(at, 'names `__proto__`, which no call can carry')
  return keys
}

const SHAPE = 'is a path of the arguments, such as `order.id` or `items.*.sku`'

function unquoted(quoted: string, at: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    throw invalid(at, SHAPE)
  }
}

/** Whether one leads to where the other stands, or to something around it. */
export function leadsTo(outer: RecordPath, inner: RecordPath): boolean {
  const [a, b] = [outer.map(stepOf), inner.map(stepOf)]
  return a.length <= b.length && a.every((step, index) => step === b[index] || isItems(step, b[index]))
}

function stepOf(key: RecordKey): string {
  return typeof key === 'object' ? '*' : typeof key === 'number' ? `#${key}` : `.${key}`
}

function isItems(a: string, b: string | undefined): boolean {
  return (a === '*' && b?.startsWith('#') === true) || (b === '*' && a.startsWith('#'))
}

/** What is done with a value, and with all that stands below it. */
export type Mark = 'show' | 'hide' | 'fingerprint' | 'seal'

/** The paths of a tool as one tree, for one walk over the arguments. Plain data. */
export interface Marks {
  readonly here: Set<Mark>
  readonly names: Map<string, Marks>
  readonly items: Map<number, Marks>
  each: Marks | undefined
  /** Something below must not be shown: what stands here instead of an object or a list must not, either. */
  guarded: boolean
}

export function newMarks(): Marks {
  return { here: new Set(), names: new Map(), items: new Map(), each: undefined, guarded: false }
}

export function addMark(root: Marks, path: RecordPath, mark: Mark): void {
  let at = root
  for (const key of path) {
    if (mark !== 'show') at.guarded = true
    at = below(at, key)
  }
  at.here.add(mark)
}

function below(at: Marks, key: RecordKey): Marks {
  if (typeof key === 'object') {
    at.each ??= newMarks()
    return at.each
  }
  const known = typeof key === 'string' ? at.names.get(key) : at.items.get(key)
  if (known) return known
  const made = newMarks()
  if (typeof key === 'string') at.names.set(key, made)
  else at.items.set(key, made)
  return made
}

export function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
