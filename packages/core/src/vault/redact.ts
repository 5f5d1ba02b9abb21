/**
 * Removes revealed secrets from what leaves a call. A value in which nothing is found is returned as it is, the same
 * reference; only what holds a secret is copied. Looks for each secret verbatim and in the encodings that tools
 * commonly pass it through.
 */
import { formsOf } from './forms.ts'
import { ValueWalk } from './redact-values.ts'

/** Shorter secrets are not looked for: they would occur by chance. */
export const SHORTEST = 8

/** What came of redacting a value. */
export interface Redacted<T = unknown> {
  readonly value: T
  /** Holds something that can't be looked into, such as a stream, a buffer or an instance of a class. */
  readonly opaque: boolean
}

/** Where a secret stands in a text, and what stands there instead. */
export interface Match {
  readonly start: number
  readonly end: number
  readonly mark: string
}

/** The secrets revealed in one session so far. */
export class Redactor {
  readonly #secrets = new Set<string>()
  /** Every text that is looked for, and its mark. */
  readonly #marks = new Map<string, string>()
  #shortest = Number.POSITIVE_INFINITY
  #numeric = false

  /** Every text that is looked for. */
  get needles(): Iterable<string> {
    return this.#marks.keys()
  }

  get empty(): boolean {
    return this.#marks.size === 0
  }

  /** Whether a number may be a secret, or one of its encodings. */
  get numeric(): boolean {
    return this.#numeric
  }

  add(name: string, secret: string): void {
    if (this.#secrets.has(secret)) return
    this.#secrets.add(secret)
    // A secret read from a file may end with a line break that the tool takes off.
    for (const text of [secret, secret.trim()]) {
      if (Buffer.byteLength(text) < SHORTEST) continue
      for (const form of formsOf(text)) {
        if (this.#marks.has(form)) continue
        this.#marks.set(form, `[redacted:${name}]`)
        this.#shortest = Math.min(this.#shortest, form.length)
        this.#numeric ||= /^[\d.e+-]+$/.test(form)
      }
    }
  }

  text(text: string): string {
    return cut(text, this.matches(text))
  }

  /** Where secrets stand in a text, in order; those that overlap count as one. */
  matches(text: string): Match[] {
    const found: Match[] = []
    if (text.length < this.#shortest) return found
    // One search for each: a pattern of all of them is too large for the engine when a secret is a few kilobytes.
    for (const [needle, mark] of this.#marks) {
      for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at + needle.length)) {
        found.push({ start: at, end: at + needle.length, mark })
      }
    }
    return found.length > 1 ? merged(found) : found
  }

  /**
   * Never throws, and runs none of the value's own code: no accessor of its own, no `toJSON`, no Proxy trap. `strict`:
   * an error loses what can't be looked into, even when no secret was found in it.
   */
  value<T>(value: T, strict = false): Redacted<T> {
    return this.empty ? { value, opaque: false } : (new ValueWalk(this, strict).value(value) as Redacted<T>)
  }
}

/** Puts marks in a text. */
export function cut(text: string, matches: readonly Match[]): string {
  if (matches.length === 0) return text
  let shown = ''
  let from = 0
  for (const { start, end, mark } of matches) {
    shown += text.slice(from, start) + mark
    from = end
  }
  return shown + text.slice(from)
}

/** Matches in order, overlapping ones as one; its mark is that of the first, the longest where several begin. */
export function merged(matches: Match[]): Match[] {
  const inOrder: Match[] = []
  for (const match of matches.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = inOrder.at(-1)
    if (!last || match.start >= last.end) inOrder.push(match)
    else if (match.end > last.end) inOrder[inOrder.length - 1] = { ...last, end: match.end }
  }
  return inOrder
}
