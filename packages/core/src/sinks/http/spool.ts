/**
 * A queue on disk: lines in numbered files, `<n>.jsonl`, and a note, `note.json`, of how far they are sent and of the
 * batches under way. The note is written before a batch is sent, so whoever sends it again after a crash cuts it the
 * same way and sends it under the same id; and after it is settled, so it is not sent again.
 */
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readdirSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type Batch, type BatchSize, batchOf, type Queue } from './queue.ts'
import { type LineAt, linesAt, readLines, tailOf } from './spool-lines.ts'
import { type Note, readNote, type Span, writeNote } from './spool-note.ts'

/** A file is finished at this size, and removed when all of it is sent. */
const SEGMENT = 8 * 1024 ** 2

export interface SpoolOptions {
  /** When a file is finished; 8 MB unless given. */
  readonly segment?: number
}

export class Spool implements Queue {
  readonly folder: string
  readonly #segmentBytes: number
  entries = 0
  bytes = 0
  /** Where the next batch begins: in which file, at which byte. */
  #segment: number
  #at: number
  #batches: Span[][]
  /** The file that those batches are from, if it is not that one: what stood behind them was given up. */
  #held: number | undefined
  /** The file that is written, and where its whole lines end. */
  #last: number
  #size = 0
  #fd: number | undefined
  #current: Batch | undefined

  /** Opens what is in the folder, which is there: nothing, or what a process has left. */
  constructor(folder: string, { segment = SEGMENT }: SpoolOptions = {}) {
    this.folder = folder
    this.#segmentBytes = segment
    const found = segmentsIn(folder)
    const note = readNote(join(folder, 'note.json'))
    // Without a readable note everything that is here counts as not sent: better twice than never.
    const { segment: from, at, batches, held } = note ?? { segment: found[0] ?? 1, at: 0, batches: [], held: undefined }
    this.#segment = from
    this.#at = at
    this.#batches = batches.map((spans) => [...spans])
    this.#held = held
    // Finished with, but the process died before it had removed it.
    for (const number of found) if (number < from && number !== held) this.#remove(number)
    const left = found.filter((number) => number >= from)
    // A file of its own, whose number no note has named: what the note says of another would be taken for this one's.
    this.#last = note || left.length > 0 ? Math.max(left.at(-1) ?? 0, from) + 1 : 1
    for (const number of left) this.#count(number, number === from ? at : 0)
    for (const [start, end] of this.#batches.flat()) {
      this.entries++
      this.bytes += end - start
    }
  }

  /** Invariant: when it has answered, the lines are with the operating system, whole; when it throws, none is. */
  append(lines: string): void {
    if (this.#fd !== undefined && this.#size >= this.#segmentBytes) this.#finish()
    this.#fd ??= this.#begin()
    const bytes = Buffer.from(lines)
    try {
      if (writeSync(this.#fd, bytes) !== bytes.length) throw new Error('the write was cut short')
    } catch (error) {
      this.#takeBack(this.#fd)
      if (!this.#clear()) throw error
      this.append(lines)
      return
    }
    this.#size += bytes.length
    this.bytes += bytes.length
    for (let end = lines.indexOf('\n'); end >= 0; end = lines.indexOf('\n', end + 1)) this.entries++
  }

  next(size: BatchSize): Batch | undefined {
    const [pending] = this.#batches
    if (pending) {
      this.#current ??= this.#whole(pending)
      if (this.#current.lines.length > 0) return this.#current
      // Somebody has taken the file away.
      this.settle([])
      return this.next(size)
    }
    const lines = this.#ahead(size)
    if (lines.length === 0) {
      // Nothing is left to be read. If there should be, somebody has taken files away, and what is written from now on
      // must not go where nobody finds it.
      if (this.entries > 0) this.#finish()
      this.entries = 0
      this.bytes = 0
      return undefined
    }
    this.#batches = [lines.map(({ start, end }): Span => [start, end])]
    this.#at = (lines.at(-1) as LineAt).end
    // Invariant: what a batch is made of is on record before it is sent. Where there is no room for the note it is sent
    // all the same, or a full disk would never get empty; a crash then may cut it another way.
    this.#note()
    this.#current = batchOf(lines.map(({ text }) => text))
    return this.#current
  }

  settle(rest: readonly (readonly number[])[]): void {
    const done = this.#batches.shift() ?? []
    const again = rest.map((group) => group.map((index) => done[index] as Span))
    this.#batches.unshift(...again)
    this.#current = undefined
    const kept = again.flat()
    this.entries -= done.length - kept.length
    this.bytes -= bytesOf(done) - bytesOf(kept)
    const over = this.#batches.length === 0 ? this.#held : undefined
    if (over !== undefined) this.#held = undefined
    this.#note()
    if (over !== undefined) this.#remove(over)
  }

  dropOldest(bytes: number): number {
    let freed = 0
    let count = 0
    while (freed < bytes) {
      const lines = this.#ahead({ entries: 100, bytes: bytes - freed })
      if (lines.length === 0) break
      for (const { start, end } of lines) freed += end - start
      count += lines.length
      this.#at = (lines.at(-1) as LineAt).end
    }
    this.entries -= count
    this.bytes -= freed
    if (count > 0) this.#note()
    return count
  }

  /** Lets go of the files. Answers whether anything in them is still to be sent. */
  close(): boolean {
    this.#note()
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    this.#last++
    return this.entries > 0
  }

  /** The lines after those in batches. Goes on to the next file at the end of one, which is kept while batches are of it. */
  #ahead(size: BatchSize): LineAt[] {
    for (;;) {
      const writing = this.#segment === this.#last
      const lines = readLines(this.#path(this.#segment), this.#at, size, writing ? this.#size : undefined)
      if (lines.length > 0) return lines
      if (this.#segment >= this.#last) {
        // All of it is sent: the next line begins a file of its own, and this one need not be kept.
        if (this.#at > 0 && this.#at === this.#size && this.#size >= this.#segmentBytes) this.#finish()
        else return lines
      }
      const over = this.#segment
      if (this.#batches.length > 0) this.#held ??= over
      this.#segment = over + 1
      this.#at = 0
      // The note first: a file that is gone must not be the one to begin with.
      this.#note()
      if (over !== this.#held) this.#remove(over)
    }
  }

  /** The lines of a batch that was cut before, those that are still there: a damaged file must not be sent as half lines. */
  #whole(pending: readonly Span[]): Batch {
    const lines = linesAt(this.#path(this.#held ?? this.#segment), pending)
    const kept = lines.map(({ start, end }): Span => [start, end])
    this.entries -= pending.length - kept.length
    this.bytes -= bytesOf(pending) - bytesOf(kept)
    this.#batches[0] = kept
    return batchOf(lines.map(({ text }) => text))
  }

  #begin(): number {
    const path = this.#path(this.#last)
    try {
      return openSync(path, 'ax', 0o600)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      // Somebody has taken the folder away.
      mkdirSync(this.folder, { recursive: true, mode: 0o700 })
      return openSync(path, 'ax', 0o600)
    }
  }

  #finish(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
    this.#last++
    this.#size = 0
  }

  /** Where there is no room any more, the file that is written makes some, once all of it is sent. */
  #clear(): boolean {
    if (this.#segment !== this.#last || this.#size === 0 || this.#at < this.#size || this.#batches.length > 0)
      return false
    this.#finish()
    this.#ahead({ entries: 1, bytes: 1 })
    return true
  }

  /** A failed write may have left part of a line. If it can't be taken back, what follows goes to another file. */
  #takeBack(fd: number): void {
    try {
      if (fstatSync(fd).size !== this.#size) ftruncateSync(fd, this.#size)
    } catch {
      this.#finish()
    }
  }

  /** What a dead process has written: up to the end of its last whole line. */
  #count(number: number, from: number): void {
    const { entries, bytes } = tailOf(this.#path(number), from)
    this.entries += entries
    this.bytes += bytes
  }

  #note(): void {
    const note: Note = { segment: this.#segment, at: this.#at, batches: this.#batches, held: this.#held }
    writeNote(join(this.folder, 'note.json'), note)
  }

  #path(number: number): string {
    return join(this.folder, `${number}.jsonl`)
  }

  #remove(number: number): void {
    try {
      unlinkSync(this.#path(number))
    } catch {
      // There was nothing to send in it, or it goes when the folder is opened next.
    }
  }
}

function segmentsIn(folder: string): number[] {
  const numbers = readdirSync(folder).flatMap((name) => {
    const number = /^(\d{1,15})\.jsonl$/.exec(name)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
  return numbers.sort((a, b) => a - b)
}

function bytesOf(spans: readonly Span[]): number {
  return spans.reduce((sum, [start, end]) => sum + end - start, 0)
}
