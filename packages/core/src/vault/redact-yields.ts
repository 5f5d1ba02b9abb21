/**
 * Redacting what a streaming tool yields. Each yield is redacted on its own. A text yield whose end may be the
 * beginning of a secret waits for the next one, so that a secret split over yields is found too; when it was not one,
 * the yields come out as they were. Every letter is read once, however long the yields wait.
 */
import { cut, insert, type Match } from './matches.ts'
import { Queue } from './queue.ts'
import { type Redactor, SHORTEST } from './redact.ts'
import type { Scan } from './scan.ts'

/** Between two yields, where those before may go without those after. */
interface Border {
  readonly at: number
  /** Of the yield after it, counted from the first of all. */
  readonly yield: number
}

export class YieldRedactor {
  readonly #redactor: Redactor
  #scan: Scan
  /** The end of the text that is out already, when a secret begins with it, and where it ends. */
  #out = ''
  #outEnd = 0
  /** Text yields that wait. */
  readonly #waiting = new Queue<string>()
  /** Where what waits may be parted, at first where it begins. */
  readonly #borders = new Queue<Border>()
  /** How many text yields are out. */
  #gone = 0

  constructor(redactor: Redactor) {
    this.#redactor = redactor
    this.#scan = redactor.scan()
  }

  /** Takes one yield; answers those that may go out now, and whether one of them can't be looked into. */
  push(item: unknown, strict = false): { items: unknown[]; opaque: boolean } {
    if (typeof item !== 'string') {
      const { value, opaque } = this.#redactor.value(item, strict)
      const items: unknown[] = this.#release()
      items.push(value)
      return { items, opaque }
    }
    this.#refresh()
    const before = this.#scan.end
    // A tool may yield the whole text so far each time instead of what is new: then the text before ended there.
    const telling = this.#repeats(item) ? this.#scan.telling(SHORTEST) : undefined
    this.#wait(item)
    const tail = this.#scan.tail()
    const border = this.#border(tail)
    const found = this.#scan.take(border.at)
    const items = this.#give(border.yield - this.#gone, telling && border.at >= before ? insert(found, telling) : found)
    this.#keep(Math.min(tail, this.#scan.matches[0]?.start ?? tail))
    return { items, opaque: false }
  }

  /** No more yields follow these: answers what waited. Most of a secret is not let out either. */
  end(): string[] {
    const items = this.#release()
    this.#out = ''
    this.#outEnd = 0
    this.#scan = this.#redactor.scan()
    return items
  }

  /** Lets out what waits, but keeps in mind how it ended: the rest of a secret may still come. */
  #release(): string[] {
    this.#refresh()
    if (this.#waiting.length === 0) return []
    const { end } = this.#scan
    const tail = this.#scan.tail()
    const text = this.#out + [...this.#waiting].join('')
    const found = this.#scan.take(end)
    const telling = this.#scan.telling(SHORTEST)
    const items = this.#give(this.#waiting.length, telling ? insert(found, telling) : found)
    this.#out = text.slice(text.length - (end - tail))
    return items
  }

  #wait(item: string): void {
    const at = this.#scan.end
    this.#borders.push({ at, yield: this.#gone + this.#waiting.length })
    this.#waiting.push(item)
    this.#scan.read(item)
    const { matches } = this.#scan
    let first = matches.length
    while (first > 0 && (matches[first - 1] as Match).end > at) first--
    const start = matches[first]?.start ?? at
    // What waits is whole yields, unchanged: no secret may lie across a border between those that go and those that stay.
    while (this.#borders.length > 1 && (this.#borders.last as Border).at > start) this.#borders.pop()
  }

  /** Up to where what waits may go: to the last border before `tail`. */
  #border(tail: number): Border {
    const { end } = this.#scan
    if (tail === end) return { at: end, yield: this.#gone + this.#waiting.length }
    while ((this.#borders.at(1)?.at ?? end) <= tail) this.#borders.take(1)
    return this.#borders.at(0) as Border
  }

  /** Takes out the next yields, redacted, also across their borders; the mark stands where the secret began. */
  #give(count: number, matches: readonly Match[]): string[] {
    const texts = this.#waiting.take(count)
    this.#gone += texts.length
    if (this.#waiting.length === 0) this.#borders.take(this.#borders.length)
    if (texts.length > 0) this.#out = ''
    let end = this.#outEnd
    let next = 0
    const items = texts.map((text, index) => {
      const start = end
      end += text.length
      const own: Match[] = []
      while (next < matches.length && (matches[next] as Match).end <= start) next++
      for (let at = next; at < matches.length && (matches[at] as Match).start < end; at++) {
        const match = matches[at] as Match
        own.push({
          start: Math.max(0, match.start - start),
          end: Math.min(text.length, match.end - start),
          mark: match.start >= start || index === 0 ? match.mark : '',
        })
      }
      return cut(text, own)
    })
    this.#outEnd = end
    return items
  }

  /** Forgets what is out before a place. */
  #keep(from: number): void {
    const length = this.#outEnd - from
    if (length < this.#out.length) this.#out = length > 0 ? this.#out.slice(-length) : ''
  }

  /** Whether a yield begins with all that is kept in mind of the text before it. */
  #repeats(item: string): boolean {
    let at = this.#out.length
    if (item.length < at + this.#scan.end - this.#outEnd || !item.startsWith(this.#out)) return false
    for (const text of this.#waiting) {
      if (!item.startsWith(text, at)) return false
      at += text.length
    }
    return true
  }

  /** A secret that was revealed since may have begun in what is still there. */
  #refresh(): void {
    if (!this.#scan.stale) return
    const waiting = this.#waiting.take(this.#waiting.length)
    this.#borders.take(this.#borders.length)
    this.#scan = this.#redactor.scan()
    this.#scan.read(this.#out)
    this.#outEnd = this.#scan.end
    // What is all out is past mending.
    this.#scan.take(this.#outEnd)
    for (const item of waiting) this.#wait(item)
  }
}
