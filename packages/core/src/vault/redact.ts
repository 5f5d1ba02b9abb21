/**
 * Removes revealed secrets from what leaves a call. A value in which nothing is found is returned as it is, the same
 * reference; only what holds a secret is copied. Looks for each secret verbatim and in the encodings that tools
 * commonly pass it through.
 */
import { cut, type Match } from './matches.ts'
import { isClean } from './redact-clean.ts'
import { ValueWalk } from './redact-values.ts'
import { Scan } from './scan.ts'
import { NOTHING } from './sought.ts'

export { SHORTEST } from './sought.ts'

/** What came of redacting a value. */
export interface Redacted<T = unknown> {
  readonly value: T
  /** Holds something that can't be looked into, such as a stream, a buffer or an instance of a class. */
  readonly opaque: boolean
}

/** The secrets revealed in one session so far. */
export class Redactor {
  #sought = NOTHING

  /** Every text that is looked for. */
  get needles(): Iterable<string> {
    return this.#sought.texts.needles.texts
  }

  get empty(): boolean {
    return this.#sought.texts.size === 0
  }

  /** Shorter texts hold none. */
  get shortest(): number {
    return this.#sought.texts.needles.shortest
  }

  /** Whether a number may be a secret, or one of its encodings. */
  get numeric(): boolean {
    return this.#sought.numeric
  }

  add(name: string, secret: string): void {
    if (!this.#sought.has(secret)) this.#sought = this.#sought.with(name, secret)
  }

  text(text: string): string {
    return cut(text, this.matches(text))
  }

  /** Where secrets stand in a text, in order; those that overlap count as one. */
  matches(text: string): readonly Match[] {
    return this.#sought.texts.find(text)
  }

  /** For a text that comes in pieces. */
  scan(): Scan {
    return new Scan(() => this.#sought.texts)
  }

  /** For bytes that come in pieces, read as Latin-1; the marks are bytes as well. */
  scanBytes(): Scan {
    return new Scan(() => this.#sought.asBytes())
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
