/** A quick look at a value before it is walked with notes on everything in it: most values hold no secret. */
import { types } from 'node:util'
import type { Redactor } from './redact.ts'

/** How an object can be looked into. */
export type Kind = 'plain' | 'array' | 'error' | 'url' | 'closed'

/**
 * Whether there is surely nothing to redact in a value, and nothing in it that can't be looked into. Runs none of the
 * value's own code, so that looking once more sees the same.
 */
export function isClean(value: unknown, redactor: Redactor): boolean {
  try {
    return new Look(redactor).clean(value)
  } catch {
    // It threw while it was looked at.
    return false
  }
}

class Look {
  readonly #redactor: Redactor
  readonly #met = new Set<object>()
  /** Long enough to be looked into, and looked into. */
  readonly #keys = new Set<string>()

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  clean(value: unknown): boolean {
    if (!this.#admits(value)) return false
    // The loop goes on while it meets new objects.
    for (const object of this.#met) if (!this.#looks(object)) return false
    return true
  }

  /** False: something was found, or may be. */
  #admits(value: unknown): boolean {
    switch (typeof value) {
      case 'object':
        if (value !== null) this.#met.add(value)
        return true
      case 'string':
        return this.#redactor.matches(value).length === 0
      case 'number':
      case 'bigint':
        return !this.#redactor.numeric || this.#redactor.matches(String(value)).length === 0
      case 'symbol':
      case 'function':
        return false
      default:
        return true
    }
  }

  #looks(object: object): boolean {
    const kind = kindOf(object)
    if (kind === 'closed') return isDate(object)
    if (kind === 'url') return this.#redactor.matches(hrefOf(object)).length === 0
    // What an error inherits may be code.
    if (kind === 'error') return false
    for (const key of Reflect.ownKeys(object)) {
      const own = Object.getOwnPropertyDescriptor(object, key) as PropertyDescriptor
      if (!('value' in own) || !this.#admits(own.value)) return false
      if (typeof key === 'symbol') return false
      if (key.length < this.#redactor.shortest || this.#keys.has(key)) continue
      if (!this.#admits(key)) return false
      this.#keys.add(key)
    }
    return true
  }
}

export function kindOf(value: object): Kind {
  if (types.isProxy(value)) return 'closed'
  const prototype = Object.getPrototypeOf(value)
  if (types.isNativeError(value) || prototype === DOMException.prototype) return 'error'
  if (prototype === Object.prototype || prototype === null) return 'plain'
  if (prototype === Array.prototype && Array.isArray(value)) return 'array'
  return prototype === URL.prototype && Reflect.ownKeys(value).length === 0 ? 'url' : 'closed'
}

/** A date holds nothing but its time. */
export function isDate(value: object): boolean {
  if (types.isProxy(value) || !types.isDate(value)) return false
  return Object.getPrototypeOf(value) === Date.prototype && Reflect.ownKeys(value).length === 0
}

export function hrefOf(url: object): string {
  return HREF.call(url)
}

// Of the class: an own accessor of the same name can't stand in for it.
const HREF = Object.getOwnPropertyDescriptor(URL.prototype, 'href')?.get as () => string
