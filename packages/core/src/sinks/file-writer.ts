/**
 * The files that one writer writes, one after the other. Between writes a file that is large, or of another day, is
 * followed by the next; no line and no batch of lines ever spans two.
 */
import { closeSync, existsSync, fdatasync, fstatSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { releaseLock, takeLock } from './lock.ts'
import { lockOf, segmentName, syncDirectory } from './segments.ts'
import { type Recovery, WriterEnded } from './sink.ts'

export interface WritingOptions {
  /** What was accepted outlives a power cut. */
  readonly durable: boolean
  /** A file is followed by the next before it is larger than this. Bytes. */
  readonly size: number
  /** A file is followed by the next when a day begins, UTC, by the time in the lines. */
  readonly daily: boolean
}

/** After a next file could not be made, so much is written before that is tried again. Bytes. */
const PATIENCE = 65_536

export class FileWriter {
  readonly writer: string
  readonly #directory: string
  readonly #options: WritingOptions
  #number: number
  #fd: number
  /** How long the file is as far as it was accepted: whole lines. */
  #size = 0
  #day = ''
  #patience = 0
  /** Nobody knows what is stored behind `#size`: nothing may follow it, and nothing is believed of this file any more. */
  #broken = false
  #gone = false
  #committing: Promise<void> | undefined
  /** Told of the first line of each file, once it is accepted. */
  readonly #begun: (line: string) => void

  /** Makes the lock and the first file, or the one after a file that broke. Throws, and leaves nothing, if it can't. */
  constructor(
    directory: string,
    writer: string,
    options: WritingOptions,
    begun: (line: string) => void = () => {},
    number = 1,
  ) {
    this.writer = writer
    this.#directory = directory
    this.#options = options
    this.#begun = begun
    this.#number = number
    // Before the lock is touched: it belongs to whoever writes that file.
    if (existsSync(join(directory, segmentName(writer, number)))) {
      throw new Error('another writer of this name has a file here')
    }
    takeLock(lockOf(directory, writer))
    try {
      this.#fd = this.#make(number)
    } catch (error) {
      releaseLock(lockOf(directory, writer))
      throw error
    }
  }

  get broken(): boolean {
    return this.#broken
  }

  get number(): number {
    return this.#number
  }

  /** Resolves when no commit is under way. */
  get idle(): Promise<void> | undefined {
    return this.#committing
  }

  /** Appends whole lines or none. Throws `WriterEnded` when it can't say which. */
  append(lines: string): Promise<void> | undefined {
    if (this.#broken) throw new WriterEnded('the file of this writer can not be trusted any more')
    const bytes = Buffer.byteLength(lines)
    if (this.#size > 0 && this.#isDue(lines, bytes)) this.#rotate()
    try {
      if (writeSync(this.#fd, lines) !== bytes) throw new CutShort()
    } catch (error) {
      this.#takeBack(error)
    }
    if (this.#options.durable) return this.#commit(lines, bytes)
    this.#accepted(lines, bytes)
    return undefined
  }

  /** The number of the file that follows when this one has ended. */
  get next(): number {
    return this.#gone ? this.#number : this.#number + 1
  }

  /**
   * Lets the file go, and answers what of unaccepted lines was cut off it. A file of which nothing was accepted is removed:
   * a disk that confirms nothing would else be left one for each attempt.
   */
  end(): Recovery[] {
    const cut = this.#broken ? this.#cut() : []
    closeQuietly(this.#fd)
    if (this.#size === 0 && !this.#gone)
      this.#gone = unlinkQuietly(join(this.#directory, segmentName(this.writer, this.#number)))
    releaseLock(lockOf(this.#directory, this.writer))
    return this.#gone && this.#number === 1 ? [] : cut
  }

  #accepted(lines: string, bytes: number): void {
    const first = this.#size === 0
    this.#size += bytes
    if (!first) return
    this.#day = dayOf(lines)
    this.#begun(lines)
  }

  /** One `fdatasync` for all lines of a write: lines that come meanwhile wait, and are the next write. */
  #commit(lines: string, bytes: number): Promise<void> {
    const committed = new Promise<void>((resolve, reject) => {
      fdatasync(this.#fd, (cause) => {
        this.#committing = undefined
        if (cause) {
          // Invariant: never synced again and believed. The kernel may have dropped the pages that it could not write,
          // and would answer the next time that all is well.
          this.#broken = true
          return reject(new WriterEnded('the disk did not confirm what was written', { cause }))
        }
        this.#accepted(lines, bytes)
        resolve()
      })
    })
    this.#committing = committed.catch(() => {})
    return committed
  }

  #isDue(lines: string, bytes: number): boolean {
    if (this.#size < this.#patience) return false
    if (this.#size + bytes > this.#options.size) return true
    if (!this.#options.daily) return false
    const at = lines.indexOf(AT) + AT.length
    // A clock that was set back does not bring an old day back.
    return !lines.startsWith(this.#day, at) && dayOf(lines) > this.#day
  }

  /**
   * Goes on in the next file. When that can't be made, for want of room or of descriptors, the old one goes on: a file
   * that is too large does less harm than a call that is refused for it.
   */
  #rotate(): void {
    let next: number
    try {
      next = this.#make(this.#number + 1)
    } catch {
      this.#patience = this.#size + PATIENCE
      return
    }
    const before = this.#fd
    this.#fd = next
    this.#number++
    this.#size = 0
    this.#patience = 0
    try {
      closeSync(before)
    } catch (cause) {
      // Some file systems say only now that they could not store what they had accepted.
      this.#broken = true
      throw new WriterEnded('a file could not be closed', { cause })
    }
  }

  /** Makes a file. `ax`: it must not exist, so two writers can never share one. */
  #make(number: number): number {
    const path = join(this.#directory, segmentName(this.writer, number))
    const fd = openSync(path, 'ax', 0o600)
    try {
      if (this.#options.durable) syncDirectory(this.#directory)
    } catch (error) {
      closeQuietly(fd)
      try {
        unlinkSync(path)
      } catch (cause) {
        // Its name is taken now.
        if (number === 1) throw new WriterEnded('a file could not be made', { cause })
      }
      throw error
    }
    return fd
  }

  /** A failed write may have left part of a line. The file is cut back to what was accepted, or nothing follows it. */
  #takeBack(error: unknown): never {
    try {
      if (fstatSync(this.#fd).size !== this.#size) ftruncateSync(this.#fd, this.#size)
    } catch {
      this.#broken = true
      throw new WriterEnded('a line that was cut short could not be taken back', { cause: error })
    }
    // There was no room, and not a byte has stayed: the same file takes the line when there is room again.
    if (error instanceof CutShort || NO_ROOM.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    this.#broken = true
    throw new WriterEnded('the file could not be written', { cause: error })
  }

  /** Cuts what was not accepted off a file that broke: its lines are said again elsewhere. */
  #cut(): Recovery[] {
    try {
      const bytes = fstatSync(this.#fd).size - this.#size
      if (bytes <= 0) return []
      ftruncateSync(this.#fd, this.#size)
      return [{ writer: this.writer, file: segmentName(this.writer, this.#number), bytes }]
    } catch {
      // Whoever opens the folder next tries again, line by line.
      return []
    }
  }
}

class CutShort extends Error {
  constructor() {
    super('the write was cut short')
  }
}

/** Full disk, quota, largest size of a file: what can pass, and leaves no doubt about what is stored. */
const NO_ROOM: readonly string[] = ['ENOSPC', 'EDQUOT', 'EFBIG']
const AT = '"at":"'

/** The day of the first entry in a text of lines. */
function dayOf(lines: string): string {
  const at = lines.indexOf(AT)
  return at < 0 ? '' : lines.slice(at + AT.length, at + AT.length + 10)
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // Nothing that was accepted hangs on it.
  }
}

/** Whether it is gone now. */
function unlinkQuietly(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch {
    return false
  }
}
