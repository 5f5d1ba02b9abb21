/**
 * Some secrets, ready to be looked for. Making that takes time and memory, and thousands of sessions are given the same
 * secrets: those that have the same ones share one of these, for as long as any of them lives.
 */
import { hash } from 'node:crypto'
import { formsOf } from './forms.ts'
import { Wanted } from './scan.ts'

/** Shorter secrets are not looked for: they would occur by chance. */
export const SHORTEST = 8

export class Sought {
  readonly texts: Wanted = new Wanted()
  /** Whether a number may be a secret, or one of its encodings. */
  numeric = false
  /** The same as bytes, written as Latin-1: as far as somebody asked for it, and only when it is something else. */
  readonly #bytes = new Wanted()
  #encoded = 0
  #ascii = true
  readonly #secrets = new Map<string, string>()
  /** What tells these secrets, in this order, from all others. Apart, for what is told of the end of this. */
  readonly #place: Place = { key: '' }
  /** Others have it as well: it does not change any more. */
  #shared: boolean

  constructor(shared = false) {
    this.#shared = shared
  }

  has(secret: string): boolean {
    return this.#secrets.has(secret)
  }

  /** These and one more: another one, if somebody has it already or this one is not alone any more. */
  with(name: string, secret: string): Sought {
    const key = hash('sha256', `${this.#place.key}\0${name}\0${secret}`, 'hex')
    const known = places.get(key)?.deref()
    if (known) {
      known.#shared = true
      return known
    }
    const own = this.#shared ? this.#copy() : this
    own.#add(name, secret)
    own.#move(key)
    return own
  }

  asBytes(): Wanted {
    if (this.#ascii) return this.texts
    const { size } = this.texts
    for (; this.#encoded < size; this.#encoded++) {
      this.#bytes.add(bytesOf(this.texts.text(this.#encoded)), bytesOf(this.texts.mark(this.#encoded)))
    }
    return this.#bytes
  }

  #copy(): Sought {
    const copy = new Sought()
    for (const [secret, name] of this.#secrets) copy.#add(name, secret)
    return copy
  }

  #add(name: string, secret: string): void {
    this.#secrets.set(secret, name)
    const mark = `[redacted:${name}]`
    // A secret read from a file may end with a line break that the tool takes off.
    for (const text of [secret, secret.trim()]) {
      if (Buffer.byteLength(text) < SHORTEST) continue
      for (const form of formsOf(text)) {
        if (!this.texts.add(form, mark)) continue
        this.numeric ||= /^[\d.e+-]+$/.test(form)
        this.#ascii &&= /^[\0-\x7f]*$/.test(form + mark)
      }
    }
  }

  #move(key: string): void {
    if (this.#place.key === '') forgotten.register(this, this.#place)
    else places.delete(this.#place.key)
    this.#place.key = key
    places.set(key, new WeakRef(this))
  }
}

/** Nothing is looked for. */
export const NOTHING: Sought = new Sought(true)

interface Place {
  key: string
}

/** Held weakly: nobody's secrets are kept for others who might come. */
const places = new Map<string, WeakRef<Sought>>()
const forgotten = new FinalizationRegistry<Place>(({ key }) => {
  if (!places.get(key)?.deref()) places.delete(key)
})

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
