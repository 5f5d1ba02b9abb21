/**
 * Redacting what a streaming tool yields. Each yield is redacted on its own. A text yield whose end may be the
 * beginning of a secret waits for the next one, so that a secret split over yields is found too; when it was not one,
 * the yields come out as they were.
 */
import type { Redactor } from './redact.ts'

export class YieldRedactor {
  readonly #redactor: Redactor
  /** Text yields that wait; what they end with, joined, is the beginning of a secret. */
  #waiting: string[] = []

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  /** Takes one yield; answers those that may go out now, and whether one of them can't be looked into. */
  push(item: unknown): { items: unknown[]; opaque: boolean } {
    if (typeof item !== 'string') {
      const { value, opaque } = this.#redactor.value(item)
      return { items: [...this.end(), value], opaque }
    }
    const before = this.#waiting.join('')
    // A tool may yield the whole text so far each time instead of what is new: then nothing is joined.
    const whole = before !== '' && item.startsWith(before)
    const items: unknown[] = whole ? this.end() : []
    const pieces = this.#cut([...this.#waiting, item])
    const tail = this.#tail(pieces.at(-1) === undefined ? '' : pieces.join(''))
    let first = pieces.length
    for (let left = tail.length; left > 0; ) left -= (pieces[--first] as string).length
    this.#waiting = pieces.slice(first)
    items.push(...pieces.slice(0, first))
    return { items, opaque: false }
  }

  /** No more yields follow these: answers what waited. Most of a secret is not let out either. */
  end(): string[] {
    const pieces = this.#waiting
    this.#waiting = []
    const tail = this.#tail(pieces.join(''))
    if (tail.length < tail.telling) return pieces
    let left = tail.length
    for (let index = pieces.length - 1; left > 0; index--) {
      const piece = pieces[index] as string
      const kept = Math.max(0, piece.length - left)
      left -= piece.length - kept
      pieces[index] = piece.slice(0, kept) + (left <= 0 ? '[redacted]' : '')
    }
    return pieces
  }

  /** Redacts secrets in consecutive texts, also across their borders; the mark stands where the secret began. */
  #cut(pieces: string[]): string[] {
    const matches = [...this.#redactor.matches(pieces.join(''))]
    if (matches.length === 0) return pieces
    let position = 0
    return pieces.map((piece) => {
      const start = position
      position += piece.length
      let text = ''
      let from = 0
      for (const match of matches) {
        if (match.end <= start || match.start >= position) continue
        text += piece.slice(from, Math.max(from, match.start - start))
        if (match.start >= start) text += match.mark
        from = Math.min(piece.length, match.end - start)
      }
      return text + piece.slice(from)
    })
  }

  /** The longest end of a text that a secret begins with, and from which length on it tells too much of it. */
  #tail(text: string): { length: number; telling: number } {
    let length = 0
    let telling = Number.POSITIVE_INFINITY
    for (const needle of this.#redactor.needles) {
      for (let size = Math.min(needle.length - 1, text.length); size > length; size--) {
        if (!text.endsWith(needle.slice(0, size))) continue
        length = size
        telling = Math.max(8, Math.ceil(needle.length / 2))
        break
      }
    }
    return { length, telling }
  }
}
