/**
 * Redacting bytes that come in chunks, such as the body of a response. Finds what a text would be searched for, written
 * as UTF-8, also across the borders of chunks; every other byte comes out as it was. Each byte is read once.
 */
import { cut, insert, type Match } from './matches.ts'
import { type Redactor, SHORTEST } from './redact.ts'
import type { Scan } from './scan.ts'

export class ByteRedactor {
  readonly #redactor: Redactor
  #scan: Scan
  /** What is not out yet, one letter a byte. */
  #held = ''

  constructor(redactor: Redactor) {
    this.#redactor = redactor
    this.#scan = redactor.scanBytes()
  }

  /** Takes a chunk; answers the bytes that may go out now. They may be the chunk itself, not a copy. */
  push(chunk: Uint8Array): Uint8Array {
    this.#refresh()
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    this.#scan.read(text)
    const { end, matches } = this.#scan
    const tail = this.#scan.tail()
    if (this.#held === '' && tail === end && matches.length === 0) return chunk
    this.#held += text
    // What was found and is not over before the tail may be the beginning of more.
    const last = matches.findLast(({ start }) => start < tail)
    return this.#give(last && last.end > tail ? last.start : tail)
  }

  /** No more chunks follow: answers what was held back. Most of a secret is not let out either. */
  end(): Uint8Array {
    this.#refresh()
    const rest = this.#give(this.#scan.end, this.#scan.telling(SHORTEST))
    this.#scan = this.#redactor.scanBytes()
    return rest
  }

  /** Takes out what is held before a place, redacted. */
  #give(border: number, telling?: Match): Uint8Array {
    const begin = this.#scan.end - this.#held.length
    const found = this.#scan.take(border)
    const matches = (telling ? insert(found, telling) : found).map(({ start, end, mark }) => {
      return { start: start - begin, end: end - begin, mark }
    })
    const shown = cut(this.#held.slice(0, border - begin), matches)
    this.#held = this.#held.slice(border - begin)
    return Buffer.from(shown, 'latin1')
  }

  /** A secret that was revealed since may have begun in what is held. */
  #refresh(): void {
    if (!this.#scan.stale) return
    this.#scan = this.#redactor.scanBytes()
    this.#scan.read(this.#held)
  }
}
