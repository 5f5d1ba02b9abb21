/**
 * Step 1 of the path: arguments become a private plain copy, and a digest that stands for them everywhere. Nothing
 * here runs a line of the caller's code: no getter, no `toJSON`, no Proxy trap.
 */
import { types } from 'node:util'

/** How large arguments may be. Beyond it a call is refused as `invalid-arguments`. */
export const LIMITS = { depth: 64, nodes: 10_000, bytes: 1_048_576 } as const

/** The arguments of one call, fixed. */
export interface Snapshot {
  /** A deeply frozen copy: what is judged and priced. */
  readonly args: unknown
  /** Whether nothing in it can change: a `Date` can be set, frozen or not. */
  readonly frozen: boolean
  /** The canonical text of the arguments (RFC 8785, with tags for what JSON has no word for): what is hashed. */
  readonly text: string
  /** A fresh, unfrozen copy for the tool. */
  revive(): unknown
}

/** Why arguments were refused: a path such as `items[2].price` and what stands there. Never the value itself. */
export class Hostile {
  readonly what: string
  readonly path: string

  constructor(what: string, path = '') {
    this.what = what
    this.path = path
  }

  get reason(): string {
    return `the arguments hold ${this.what} at \`${this.path || '(root)'}\``
  }
}

/** Takes the snapshot, or says why the arguments can't be trusted. Never throws. */
export function snapshot(args: unknown): Snapshot | Hostile {
  const walk = new Walk()
  try {
    const copy = walk.copy(args, 0)
    const text =
      copy === undefined ? '' : walk.spelled ? canonical(copy) : JSON.stringify(walk.sorted ? copy : ordered(copy))
    if (Buffer.byteLength(text) > LIMITS.bytes) throw new Hostile('more than 1 MB')
    if (!walk.tagged) return { args: copy, frozen: true, text, revive: () => thaw(copy) }
    // A frozen Date can still be set, so the tool's copies are made from one that nobody else ever sees.
    const kept = thaw(copy)
    return { args: copy, frozen: false, text, revive: () => thaw(kept) }
  } catch (error) {
    return new Hostile(error instanceof Hostile ? error.what : 'something that could not be read', walk.path())
  }
}

/** One pass over untrusted values: checks everything, copies what passed, runs nothing. */
class Walk {
  /** Holds dates or URLs. */
  tagged = false
  /**
   * Holds what `JSON.stringify` would not write canonically, even with every key in its place: tagged values, and keys
   * that look like indexes, which every object lists first. A `toJSON` on all objects or arrays would speak for them.
   */
  spelled = 'toJSON' in Array.prototype
  /** The keys of every object stand in canonical order as they came. */
  sorted = true
  #nodes = 0
  #length = 0
  /** The key at each level above where the walk stands; cut back when a level is done. */
  readonly #keys: (string | number)[] = []

  copy(value: unknown, depth: number): unknown {
    if (++this.#nodes > LIMITS.nodes) throw new Hostile('more than 10,000 values')
    switch (typeof value) {
      case 'string':
        this.#text(value)
        return value
      case 'number':
        if (!Number.isFinite(value)) throw new Hostile('a number that is not finite')
        return value === 0 ? 0 : value
      case 'boolean':
      case 'undefined':
        return value
      case 'bigint':
        // A bigint's text grows with it; the bound is checked before the text is made.
        if (value >= MAX_BIGINT || value <= -MAX_BIGINT) throw new Hostile('an integer of more than 4,096 bits')
        this.spelled = true
        return value
      case 'object':
        return value === null ? null : this.#object(value, depth)
      default:
        throw new Hostile(`a ${typeof value}`)
    }
  }

  /** Where the walk stands; after a refusal, where it stopped. */
  path(): string {
    return pathOf(this.#keys)
  }

  #object(value: object, depth: number): unknown {
    if (types.isProxy(value)) throw new Hostile('a Proxy')
    if (depth >= LIMITS.depth) throw new Hostile('more than 64 levels, or a cycle,')
    const prototype = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) return this.#plain(value, depth)
    if (prototype === Array.prototype && Array.isArray(value)) return this.#array(value, depth)
    this.tagged = true
    this.spelled = true
    if (prototype === Date.prototype && types.isDate(value)) return this.#date(value)
    if (prototype === URL.prototype) return this.#url(value)
    throw new Hostile('an object that is not plain data')
  }

  #plain(value: object, depth: number): object {
    const copy: Record<string, unknown> = {}
    let before = ''
    for (const key of namesOf(value)) {
      if (key < before) this.sorted = false
      before = key
      this.#keys[depth] = key
      this.#text(key)
      if (key >= '0' && key < ':') this.spelled = true
      if (key === '__proto__' || key === '$haldir') throw new Hostile('a reserved key')
      const property = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor
      if (!('value' in property)) throw new Hostile('an accessor')
      if (!property.enumerable) throw new Hostile('a hidden property')
      if (key === 'toJSON') throw new Hostile('its own `toJSON`')
      const item = this.copy(property.value, depth + 1)
      if (item !== undefined) copy[key] = item
    }
    this.#keys.length = depth
    return Object.freeze(copy)
  }

  #array(value: readonly unknown[], depth: number): readonly unknown[] {
    const { length } = value
    if (length > LIMITS.nodes) throw new Hostile('more than 10,000 values')
    // Every element and `length`; anything less is a hole, anything more a property no copy would keep.
    const keys = namesOf(value).length
    if (keys !== length + 1) throw new Hostile(keys < length + 1 ? 'an array with holes' : 'an array with properties')
    const copy: unknown[] = []
    for (let index = 0; index < length; index++) {
      this.#keys[depth] = index
      const property = Object.getOwnPropertyDescriptor(value, index)
      if (!property) throw new Hostile('a hole')
      if (!('value' in property)) throw new Hostile('an accessor')
      const item = this.copy(property.value, depth + 1)
      if (item === undefined) throw new Hostile('`undefined` in an array')
      copy.push(item)
    }
    this.#keys.length = depth
    return Object.freeze(copy)
  }

  #date(value: Date): Date {
    if (Reflect.ownKeys(value).length > 0) throw new Hostile('a date with properties')
    const time = Date.prototype.getTime.call(value)
    if (Number.isNaN(time)) throw new Hostile('an invalid date')
    return new Date(time)
  }

  #url(value: object): URL {
    if (Reflect.ownKeys(value).length > 0) throw new Hostile('a URL with properties')
    const href = HREF.call(value) as string
    this.#text(href)
    return new URL(href)
  }

  #text(value: string): void {
    this.#length += value.length
    if (this.#length > LIMITS.bytes) throw new Hostile('more than 1 MB')
    if (!value.isWellFormed()) throw new Hostile('text that is not well-formed')
  }
}

const MAX_BIGINT = 2n ** 4096n
// The getter of the class itself: an own `href` on the object can't stand in for it.
const HREF = Object.getOwnPropertyDescriptor(URL.prototype, 'href')?.get as () => string

/** Every own key, hidden ones too; half the price of `Reflect.ownKeys`. */
function namesOf(value: object): string[] {
  if (Object.getOwnPropertySymbols(value).length > 0) throw new Hostile('a symbol key')
  return Object.getOwnPropertyNames(value)
}

/** Where something stands in a value, such as `items[2].price`, from the outermost key on. */
export function pathOf(keys: readonly (string | number)[]): string {
  let path = ''
  for (const key of keys) {
    if (typeof key === 'number') path += `[${key}]`
    else path += path === '' ? nameable(key) : `.${nameable(key)}`
  }
  return path
}

/** A path names keys of the caller's; odd ones are not repeated in messages. */
function nameable(key: string): string {
  return /^[A-Za-z0-9_$-]{1,64}$/.test(key) ? key : '?'
}

/** A fresh, unfrozen copy of a snapshot. Only ever given what a walk made. */
function thaw(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(thaw)
  if (value instanceof Date) return new Date(value)
  if (value instanceof URL) return new URL(value)
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) copy[key] = thaw((value as Record<string, unknown>)[key])
  return copy
}

/** A copy of plain data whose keys stand in canonical order: `JSON.stringify` then writes what `canonical` does, faster. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(ordered)
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value).sort()) copy[key] = ordered((value as Record<string, unknown>)[key])
  return copy
}

/**
 * The canonical text of a snapshot: keys in order of their UTF-16 units and numbers as ECMAScript writes them, as
 * RFC 8785 has it; dates, URLs and bigints as `{"$haldir":"date","v":…}`, a key no argument may carry.
 */
export function canonical(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'bigint':
      return `{"$haldir":"bigint","v":"${value}"}`
    case 'object':
      break
    default:
      return String(value)
  }
  if (value === null) return 'null'
  if (Array.isArray(value)) {
    let text = '['
    for (const item of value) text += text.length === 1 ? canonical(item) : `,${canonical(item)}`
    return `${text}]`
  }
  if (value instanceof Date) return `{"$haldir":"date","v":"${value.toISOString()}"}`
  if (value instanceof URL) return `{"$haldir":"url","v":${JSON.stringify(value.href)}}`
  let text = '{'
  for (const key of Object.keys(value).sort()) {
    const item = `${JSON.stringify(key)}:${canonical((value as Record<string, unknown>)[key])}`
    text += text.length === 1 ? item : `,${item}`
  }
  return `${text}}`
}
