/**
 * The folder of a file sink as verifying reads it: many lines at a time, as bytes, and nothing left out. What can't be read
 * is said, not thrown. Reads only.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { type Segment, segmentName, segmentsOf } from './segments.ts'
import type { StoredBlock } from './sink.ts'

const BLOCK = 2 ** 20
/** No entry is as long as this: arguments have at most 1 MB. */
const LONGEST = 2 ** 25
const NEWLINE = 10

/** Every file of every writer, or of those in `only`; writers in the order they began. */
export function* readBlocks(directory: string, only?: ReadonlySet<string>): Generator<StoredBlock> {
  const buffer = new LineBuffer()
  for (const segments of inOrder(directory)) {
    for (const segment of segments) {
      if (!only || only.has(segment.writer)) yield* blocksOf(directory, segment, buffer)
    }
  }
}

function* blocksOf(directory: string, segment: Segment, buffer: LineBuffer): Generator<StoredBlock> {
  const { name: file, writer, number } = segment
  const about = { writer, file, number, bytes: NOTHING, line: 1 }
  if (file !== segmentName(writer, number) || number < 1) {
    yield { ...about, unreadable: 'is not the name of a file of the trail' }
    return
  }
  const path = join(directory, file)
  const fd = openToRead(path)
  if (typeof fd === 'string') {
    const gone = lstatSync(path, { throwIfNoEntry: false }) === undefined
    yield { ...about, unreadable: fd, ...(gone && { gone }) }
    return
  }
  try {
    // What is appended while this is read is not looked at: it may not be whole.
    const { size } = fstatSync(fd)
    buffer.clear()
    yield about
    for (let position = 0; position < size; ) {
      const read = buffer.fill(fd, position, size)
      if (read === 0) break
      position += read
      if (buffer.skipped()) yield { ...about, oversized: true }
      const bytes = buffer.lines()
      if (bytes.length > 0) yield { ...about, bytes }
    }
    const rest = buffer.rest()
    // A line that has grown since is being written.
    if (rest && fstatSync(fd).size === size) yield { ...about, bytes: rest, torn: true }
  } catch (error) {
    yield { ...about, unreadable: reasonOf(error) }
  } finally {
    closeSync(fd)
  }
}

const NOTHING = Buffer.alloc(0)

/** Bytes of a file, cut after whole lines. One for all files: a block holds until the next is asked for. */
class LineBuffer {
  #bytes = Buffer.allocUnsafeSlow(BLOCK)
  #used = 0
  /** Up to here lines were handed out. */
  #given = 0
  /** What is read belongs to a line that is longer than is kept. */
  #skipping = false
  #skipped = false

  clear(): void {
    this.#used = 0
    this.#given = 0
    this.#skipping = false
    this.#skipped = false
  }

  /** Reads on. Answers how many bytes. */
  fill(fd: number, position: number, size: number): number {
    this.#bytes.copyWithin(0, this.#given, this.#used)
    this.#used -= this.#given
    this.#given = 0
    if (this.#used === this.#bytes.length) this.#grow()
    const room = Math.min(this.#bytes.length - this.#used, size - position)
    const read = readSync(fd, this.#bytes, this.#used, room, position)
    this.#used += read
    if (this.#skipping) this.#skip()
    return read
  }

  /** Whether a line was passed over just now. */
  skipped(): boolean {
    const skipped = this.#skipped
    this.#skipped = false
    return skipped
  }

  /** The whole lines that there are now. */
  lines(): Buffer {
    const from = this.#given
    const read = this.#bytes.subarray(0, this.#used)
    this.#given = Math.max(from, read.lastIndexOf(NEWLINE) + 1)
    return read.subarray(from, this.#given)
  }

  /** A line without its end. */
  rest(): Buffer | undefined {
    return this.#skipping || this.#given < this.#used ? this.#bytes.subarray(this.#given, this.#used) : undefined
  }

  #grow(): void {
    if (this.#bytes.length < LONGEST) {
      const larger = Buffer.allocUnsafeSlow(this.#bytes.length * 4)
      this.#bytes.copy(larger, 0, 0, this.#used)
      this.#bytes = larger
    } else {
      this.#skipping = true
      this.#used = 0
    }
  }

  #skip(): void {
    const end = this.#bytes.subarray(0, this.#used).indexOf(NEWLINE)
    this.#given = end < 0 ? this.#used : end + 1
    this.#skipping = end < 0
    this.#skipped = end >= 0
  }
}

/** The file, or why it can't be read. Never waits: what is no file, such as a pipe, is not opened for long. */
function openToRead(path: string): number | string {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    return reasonOf(error)
  }
  try {
    if (fstatSync(fd).isFile()) return fd
    closeSync(fd)
    return 'is not a file'
  } catch (error) {
    closeSync(fd)
    return reasonOf(error)
  }
}

function reasonOf(error: unknown): string {
  return `can't be read (${(error as NodeJS.ErrnoException).code ?? 'no code'})`
}

/** The files of each writer, by the time in the first entry that is still there. */
function inOrder(directory: string): Segment[][] {
  const writers = [...segmentsOf(directory).values()].map((segments) => {
    return { segments, began: beganAt(join(directory, (segments[0] as Segment).name)) }
  })
  return writers
    .sort((a, b) => compare(a.began, b.began) || compare(a.segments[0]?.writer ?? '', b.segments[0]?.writer ?? ''))
    .map(({ segments }) => segments)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Behind every time: what has no entries comes last. */
const UNKNOWN = '~'

function beganAt(path: string): string {
  const fd = openToRead(path)
  if (typeof fd === 'string') return UNKNOWN
  try {
    const head = Buffer.alloc(512)
    return /"at":"([^"]+)"/.exec(head.toString('latin1', 0, readSync(fd, head, 0, head.length, 0)))?.[1] ?? UNKNOWN
  } catch {
    return UNKNOWN
  } finally {
    closeSync(fd)
  }
}
