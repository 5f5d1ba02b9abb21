/** What waits to be sent: lines in order, cut into batches that stay the same however often they are sent. */
import { hash } from 'node:crypto'

/** Lines that are sent in one request. */
export interface Batch {
  /** Made of what is in it, so whoever sends the same lines again, in whatever process, sends them under the same id. */
  readonly id: string
  /** Without the newlines. */
  readonly lines: readonly string[]
}

/** How much goes into one batch. A line that is larger than `bytes` goes alone. */
export interface BatchSize {
  readonly entries: number
  /** Of the lines as they are, before encoding and compression. */
  readonly bytes: number
}

export interface Queue {
  /** Lines that are neither sent nor given up, those under way among them. */
  readonly entries: number
  readonly bytes: number
  /** Takes whole lines, all of them or, by throwing, none. */
  append(lines: string): void
  /** The batch whose turn it is: the same one until it is settled. `undefined`: there is nothing, and `entries` is 0. */
  next(size: BatchSize): Batch | undefined
  /** The batch of `next` is over. Those of its lines that are named here are not: they come next, as batches of their own. */
  settle(rest: readonly (readonly number[])[]): void
  /** Gives up the oldest lines that are in no batch yet, at least so many bytes if there are; answers how many lines. */
  dropOldest(bytes: number): number
}

export function batchOf(lines: readonly string[]): Batch {
  return { id: `batch_${hash('sha256', lines.join('\n'), 'base64url')}`, lines }
}

/** Each line without its newline. */
export function linesIn(text: string): string[] {
  const lines: string[] = []
  let start = 0
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
    lines.push(text.slice(start, end))
    start = end + 1
  }
  return lines
}

/** Ends with its process. */
export class MemoryQueue implements Queue {
  #bytes = 0
  #batched = 0
  /** Each with its length, newline included. Those before `#from` are gone; they are cleared away now and then. */
  #waiting: { readonly line: string; readonly bytes: number }[] = []
  #from = 0
  readonly #batches: Batch[] = []

  get entries(): number {
    return this.#batched + this.#waiting.length - this.#from
  }

  get bytes(): number {
    return this.#bytes
  }

  append(lines: string): void {
    for (const line of linesIn(lines)) {
      const bytes = Buffer.byteLength(line) + 1
      this.#waiting.push({ line, bytes })
      this.#bytes += bytes
    }
  }

  next(size: BatchSize): Batch | undefined {
    const [first] = this.#batches
    if (first) return first
    const lines: string[] = []
    let bytes = 0
    for (let at = this.#from; at < this.#waiting.length && lines.length < size.entries; at++) {
      const one = this.#waiting[at] as { line: string; bytes: number }
      if (lines.length > 0 && bytes + one.bytes > size.bytes) break
      bytes += one.bytes
      lines.push(one.line)
    }
    if (lines.length === 0) return undefined
    this.#skip(lines.length)
    this.#batched += lines.length
    const batch = batchOf(lines)
    this.#batches.push(batch)
    return batch
  }

  settle(rest: readonly (readonly number[])[]): void {
    const done = this.#batches.shift()
    if (!done) return
    const again = rest.map((group) => batchOf(group.map((index) => done.lines[index] as string)))
    this.#batches.unshift(...again)
    const size = (batches: readonly Batch[]) => {
      let bytes = 0
      for (const { lines } of batches) for (const line of lines) bytes += Buffer.byteLength(line) + 1
      return bytes
    }
    this.#bytes -= size([done]) - size(again)
    this.#batched -= done.lines.length - again.reduce((sum, { lines }) => sum + lines.length, 0)
  }

  dropOldest(bytes: number): number {
    let count = 0
    let freed = 0
    for (let at = this.#from; at < this.#waiting.length && freed < bytes; at++) {
      freed += (this.#waiting[at] as { bytes: number }).bytes
      count++
    }
    this.#skip(count)
    this.#bytes -= freed
    return count
  }

  /** Shifting an array at every batch would cost more than the batch. */
  #skip(count: number): void {
    this.#from += count
    if (this.#from * 2 < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#from)
    this.#from = 0
  }
}
