/**
 * Removes revealed secrets from what leaves a call. A value in which nothing is found is returned as it is, the same
 * reference; only what holds a secret is copied. Looks for each secret verbatim and in the encodings that tools
 * commonly pass it through.
 */
import { formsOf } from './forms.ts'
import { cut, type Match } from './matches.ts'
import { isClean } from './redact-clean.ts'
import { ValueWalk } from './redact-values.ts'
import { Scan, Wanted } from './scan.ts'

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
  readonly #secrets = new Set<string>()
  readonly #texts = new Wanted()
  /** The same as bytes, written as Latin-1: as far as somebody asked for it, and only when it is something else. */
  readonly #bytes = new Wanted()
  #encoded = 0
  #ascii = true
  #numeric = false

  /** Every text that is looked for. */
  get needles(): Iterable<string> {
    return this.#texts.needles.texts
  }

  get empty(): boolean {
    return this.#texts.size === 0
  }

  /** Shorter texts hold none. */
  get shortest(): number {
    return this.#texts.needles.shortest
  }

  /** Whether a number may be a secret, or one of its encodings. */
  get numeric(): boolean {
    return this.#numeric
  }

  add(name: string, secret: string): void {
    if (this.#secrets.has(secret)) return
    this.#secrets.add(secret)
    const mark = `[redacted:${name}]`
    // A secret read from a file may end with a line break that the tool takes off.
    for (const text of [secret, secret.trim()]) {
      if (Buffer.byteLength(text) < SHORTEST) continue
      for (const form of formsOf(text)) {
        if (!this.#texts.add(form, mark)) continue
        this.#numeric ||= /^[\d.e+-]+$/.test(form)
        this.#ascii &&= /^[\0-\x7f]*$/.test(form + mark)
      }
    }
  }

  text(text: string): string {
    return cut(text, this.matches(text))
  }

  /** Where secrets stand in a text, in order; those that overlap count as one. */
  matches(text: string): readonly Match[] {
    return this.#texts.find(text)
  }

  /** For a text that comes in pieces. */
  scan(): Scan {
    return new Scan(() => this.#texts)
  }

  /** For bytes that come in pieces, read as Latin-1; the marks are bytes as well. */
  scanBytes(): Scan {
    return new Scan(() => this.#asBytes())
  }

  #asBytes(): Wanted {
    if (this.#ascii) return this.#texts
    const { size } = this.#texts
    for (; this.#encoded < size; this.#encoded++) {
      this.#bytes.add(bytesOf(this.#texts.text(this.#encoded)), bytesOf(this.#texts.mark(this.#encoded)))
    }
    return this.#bytes
  }

  /**
   * Never throws, and runs none of the value's own code: no accessor of its own, no `toJSON`, no Proxy trap. `strict`:
   * an error loses what can't be looked into, even when no secret was found in it.
   */
  value<T>(value: T, strict = false): Redacted<T> {
    if (this.empty || isClean(value, this)) return { value, opaque: false }
    return new ValueWalk(this, strict).value(value) as Redacted<T>
  }
}

function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
