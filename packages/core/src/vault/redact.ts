/**
 * Removes revealed secrets from what leaves a call. A value in which nothing is found is returned as it is, the same
 * reference; only what holds a secret is copied. Looks for each secret verbatim and in the encodings that tools
 * commonly pass it through.
 */
import { types } from 'node:util'

/** Shorter secrets are not looked for: they would occur by chance. */
export const SHORTEST = 8

/** What came of redacting a value. */
export interface Redacted<T = unknown> {
  readonly value: T
  /** Holds something that can't be looked into, such as a stream, a buffer or an instance of a class. */
  readonly opaque: boolean
}

/** The secrets revealed in one session so far. */
export class Redactor {
  readonly #names = new Map<string, string>()
  #found: RegExp | undefined

  /** Every text that is looked for. */
  get needles(): Iterable<string> {
    return this.#names.keys()
  }

  get empty(): boolean {
    return this.#found === undefined
  }

  add(name: string, secret: string): void {
    if (Buffer.byteLength(secret) < SHORTEST || this.#names.has(secret)) return
    for (const form of formsOf(secret)) if (!this.#names.has(form)) this.#names.set(form, name)
    // Longest first: where one form contains another, the whole of it goes.
    const longest = [...this.#names.keys()].sort((a, b) => b.length - a.length)
    this.#found = new RegExp(longest.map(escapeRegExp).join('|'), 'g')
  }

  text(text: string): string {
    if (!this.#found || text.length < SHORTEST) return text
    return text.replace(this.#found, (form) => this.mark(form))
  }

  /** What stands in a secret's place. */
  mark(form: string): string {
    return `[redacted:${this.#names.get(form)}]`
  }

  /** Where secrets stand in a text. */
  *matches(text: string): Generator<{ start: number; end: number; mark: string }> {
    if (!this.#found) return
    for (const { index, 0: form } of text.matchAll(this.#found)) {
      yield { start: index, end: index + form.length, mark: this.mark(form) }
    }
  }

  value<T>(value: T): Redacted<T> {
    if (!this.#found) return { value, opaque: false }
    const pass = new Pass(this)
    try {
      return { value: pass.value(value) as T, opaque: pass.opaque }
    } catch {
      // Too deep to walk, or it threw while it was looked at: nothing can be said about it.
      return { value, opaque: true }
    }
  }
}

/** One walk over one value. */
class Pass {
  opaque = false
  readonly #redactor: Redactor
  /** Where each object went; an object that is being walked is met again as itself, so a cycle ends. */
  readonly #seen = new Map<object, unknown>()

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  value(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        return this.#redactor.text(value)
      case 'object':
        return value === null ? null : this.#object(value)
      case 'function':
        this.opaque = true
        return value
      default:
        return value
    }
  }

  #object(value: object): unknown {
    if (this.#seen.has(value)) return this.#seen.get(value)
    this.#seen.set(value, value)
    const copy = this.#copy(value)
    this.#seen.set(value, copy)
    return copy
  }

  #copy(value: object): unknown {
    if (types.isProxy(value)) return this.#pass(value)
    if (types.isNativeError(value)) return this.#error(value)
    const prototype = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null)
      return this.#members(value, () => Object.create(prototype))
    if (Array.isArray(value) && prototype === Array.prototype)
      return this.#members(value, () => new Array(value.length))
    if (types.isDate(value)) return value
    if (value instanceof URL) {
      const href = this.#redactor.text(value.href)
      return href === value.href ? value : href
    }
    return this.#pass(value)
  }

  #pass(value: object): object {
    this.opaque = true
    return value
  }

  /** Redacts own members, keys too; copies only when one of them changed. */
  #members(value: object, empty: () => object): object {
    let copy: object | undefined
    const done: [PropertyKey, PropertyDescriptor][] = []
    for (const key of Reflect.ownKeys(value)) {
      const property = Object.getOwnPropertyDescriptor(value, key) as PropertyDescriptor
      if (!('value' in property)) this.opaque = true
      const member = 'value' in property ? this.value(property.value) : undefined
      const name = typeof key === 'string' ? this.#redactor.text(key) : key
      if ('value' in property && (member !== property.value || name !== key)) {
        copy ??= empty()
        done.push([name, { ...property, value: member }])
      } else done.push([key, property])
    }
    if (!copy) return value
    for (const [key, property] of done) Object.defineProperty(copy, key, property)
    return copy
  }

  /** An error is copied only when a secret stands in it; the copy leaves out what can't be looked into. */
  #error(error: Error): Error {
    const before = this.opaque
    const parts: [PropertyKey, PropertyDescriptor, changed: boolean, opaque: boolean][] = []
    for (const key of new Set<PropertyKey>(['message', 'stack', 'name', ...Reflect.ownKeys(error)])) {
      const own = Object.getOwnPropertyDescriptor(error, key)
      const value = own && !('value' in own) && key !== 'stack' ? undefined : Reflect.get(error, key)
      this.opaque = own !== undefined && !('value' in own) && key !== 'stack'
      const redacted = this.value(value)
      const property = { value: redacted, writable: true, configurable: true, enumerable: own?.enumerable ?? false }
      parts.push([key, property, redacted !== value, this.opaque])
    }
    this.opaque = before
    if (!parts.some(([, , changed]) => changed)) return error
    const copy = new Error()
    Object.setPrototypeOf(copy, Object.getPrototypeOf(error))
    for (const [key, property, , opaque] of parts) if (!opaque) Object.defineProperty(copy, key, property)
    return copy
  }
}

/** Every text a secret is looked for as. */
function formsOf(secret: string): Set<string> {
  const bytes = Buffer.from(secret, 'utf8')
  const json = JSON.stringify(secret).slice(1, -1)
  const ascii = json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const percent = encodeURIComponent(secret.toWellFormed())
  const everyByte = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  const hex = bytes.toString('hex')
  const forms = new Set([
    secret,
    json,
    JSON.stringify(json).slice(1, -1),
    json.replaceAll('/', '\\/'),
    ascii,
    hex,
    hex.toUpperCase(),
    percent,
    lowerEscapes(percent),
    percent.replaceAll('%20', '+'),
    lowerEscapes(percent).replaceAll('%20', '+'),
    everyByte,
    everyByte.toUpperCase(),
  ])
  for (const offset of [0, 1, 2]) {
    const core = base64Core(bytes, offset)
    forms.add(core)
    forms.add(core.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return forms
}

function lowerEscapes(text: string): string {
  return text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
}

/**
 * The characters of base64 that depend on the secret alone when it starts at a position in the encoded bytes that is
 * `offset` modulo 3; the characters at both ends also depend on the neighbours and are left out (RFC 4648, section 4).
 */
function base64Core(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
  return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
