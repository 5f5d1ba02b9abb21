/**
 * Redacting what a streaming tool yields. Each yield is redacted on its own. A text yield whose end may be the
 * beginning of a secret waits for the next one, so that a secret split over yields is found too; when it was not one,
 * the yields come out as they were.
 */
import { cut, type Match, merged, type Redactor, SHORTEST } from './redact.ts'

export class YieldRedactor {
  readonly #redactor: Redactor
  /** The end of the text that is out already, when a secret begins with it. */
  #out = ''
  /** Text yields that wait. */
  #waiting: string[] = []

  constructor(redactor: Redactor) {
    this.#redactor = redactor
  }

  /** Takes one yield; answers those that may go out now, and whether one of them can't be looked into. */
  push(item: unknown, strict = false): { items: unknown[]; opaque: boolean } {
    if (typeof item !== 'string') {
      const { value, opaque } = this.#redactor.value(item, strict)
      return { items: [...this.#release(), value], opaque }
    }
    const pieces = [...this.#waiting, item]
    const before = this.#out + this.#waiting.join('')
    const text = before + item
    const matches = this.#redactor.matches(text)
    let { start } = this.#tail(text)
    let kept = pieces.length
    let border = text.length
    const keep = () => {
      while (kept > 0 && border > start) border -= (pieces[--kept] as string).length
    }
    keep()
    // What waits is whole yields, unchanged: no secret may lie across the border to those that go.
    for (const match of matches.toReversed()) {
      if (match.start >= border || match.end <= border) continue
      start = match.start
      keep()
    }
    const found = matches.filter(({ end }) => end <= border)
    // A tool may yield the whole text so far each time instead of what is new: then the text before ended there.
    if (border >= before.length && item.startsWith(before)) found.push(...this.#telling(before))
    const items = this.#cut(pieces.slice(0, kept), merged(found))
    this.#out = this.#out.slice(kept > 0 ? this.#out.length : start)
    this.#waiting = pieces.slice(kept)
    return { items, opaque: false }
  }

  /** No more yields follow these: answers what waited. Most of a secret is not let out either. */
  end(): string[] {
    const pieces = this.#release()
    this.#out = ''
    return pieces
  }

  /** Lets out what waits, but keeps in mind how it ended: the rest of a secret may still come. */
  #release(): string[] {
    const text = this.#out + this.#waiting.join('')
    const pieces = this.#cut(this.#waiting, merged([...this.#redactor.matches(text), ...this.#telling(text)]))
    this.#out = text.slice(this.#tail(text).start)
    this.#waiting = []
    return pieces
  }

  /** Redacts consecutive texts, also across their borders; the mark stands where the secret began. */
  #cut(pieces: readonly string[], matches: readonly Match[]): string[] {
    let end = this.#out.length
    return pieces.map((piece, index) => {
      const start = end
      end += piece.length
      const own = matches.filter((match) => match.end > start && match.start < end)
      return cut(
        piece,
        own.map((match) => ({
          start: Math.max(0, match.start - start),
          end: Math.min(piece.length, match.end - start),
          mark: match.start >= start || index === 0 ? match.mark : '',
        })),
      )
    })
  }

  /** The end of a text that tells too much of a secret, if it has one. */
  #telling(text: string): Match[] {
    const start = this.#tail(text).telling
    return start < text.length ? [{ start, end: text.length, mark: '[redacted]' }] : []
  }

  /** Where the longest end of a text begins that a secret begins with, and where one that tells too much of it. */
  #tail(text: string): { start: number; telling: number } {
    let start = text.length
    let telling = text.length
    for (const needle of this.#redactor.needles) {
      const first = needle.charAt(0)
      let at = text.indexOf(first, Math.max(0, text.length - needle.length + 1))
      while (at !== -1 && !needle.startsWith(text.slice(at))) at = text.indexOf(first, at + 1)
      if (at === -1) continue
      start = Math.min(start, at)
      if (text.length - at >= Math.max(SHORTEST, needle.length / 2)) telling = Math.min(telling, at)
    }
    return { start, telling }
  }
}
