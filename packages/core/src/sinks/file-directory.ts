/** The folder of a file sink: reading its files back, and cutting off what a dead process left unfinished. */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readdirSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive, releaseLock } from './lock.ts'
import type { Recovery, StoredLine } from './sink.ts'

const FILE = /^audit-(.+)-(\d+)\.jsonl$/
const CHUNK = 65_536
const NEWLINE = 10

interface Segment {
  readonly name: string
  readonly writer: string
  readonly number: number
}

/** Every line of every writer, each writer's in order; writers in the order they began. Reads only. */
export async function* readDirectory(directory: string): AsyncGenerator<StoredLine> {
  // A folder that has vanished holds no line; a verification then names the writers that are missing.
  if (!existsSync(directory)) return
  for (const segment of inOrder(directory)) yield* readSegment(directory, segment)
}

async function* readSegment(directory: string, { name, writer }: Segment): AsyncGenerator<StoredLine> {
  const file = await open(join(directory, name), 'r')
  try {
    const { size } = await file.stat()
    const chunk = Buffer.alloc(CHUNK)
    // Whole lines are decoded, never chunks: a character may span two chunks.
    let rest: Buffer = Buffer.alloc(0)
    let number = 0
    for (let position = 0; position < size; ) {
      const { bytesRead } = await file.read(chunk, 0, Math.min(CHUNK, size - position), position)
      if (bytesRead === 0) break
      position += bytesRead
      const block =
        rest.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([rest, chunk.subarray(0, bytesRead)])
      let start = 0
      for (let end = block.indexOf(NEWLINE); end >= 0; end = block.indexOf(NEWLINE, start)) {
        yield { writer, place: `${name}:${++number}`, line: block.toString('utf8', start, end) }
        start = end + 1
      }
      rest = Buffer.from(block.subarray(start))
    }
    if (rest.length > 0) yield { writer, place: `${name}:${number + 1}`, line: rest.toString('utf8'), torn: true }
  } finally {
    await file.close()
  }
}

/** Cuts unfinished lines off the files of writers that are dead, and says which. A live writer's file is left alone. */
export function cutTornTails(directory: string): Recovery[] {
  const recovered: Recovery[] = []
  for (const { name, writer } of segmentsIn(directory)) {
    const lock = join(directory, `audit-${writer}.lock`)
    if (isAlive(lock)) continue
    const bytes = cutTornTail(join(directory, name))
    if (bytes > 0) recovered.push({ writer, file: name, bytes })
    releaseLock(lock)
  }
  return recovered
}

function cutTornTail(path: string): number {
  const fd = openSync(path, 'r+')
  try {
    const { size } = fstatSync(fd)
    const whole = endOfLastLine(fd, size)
    if (whole < size) ftruncateSync(fd, whole)
    return size - whole
  } finally {
    closeSync(fd)
  }
}

/** Where the last whole line ends, looked for from the back. */
function endOfLastLine(fd: number, size: number): number {
  const chunk = Buffer.alloc(CHUNK)
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - CHUNK)
    const read = readSync(fd, chunk, 0, end - start, start)
    const newline = chunk.subarray(0, read).lastIndexOf(NEWLINE)
    if (newline >= 0) return start + newline + 1
    end = start
  }
  return 0
}

function segmentsIn(directory: string): Segment[] {
  const segments: Segment[] = []
  for (const name of readdirSync(directory)) {
    const [, writer, number] = FILE.exec(name) ?? []
    if (writer !== undefined) segments.push({ name, writer, number: Number(number) })
  }
  return segments
}

function inOrder(directory: string): Segment[] {
  const segments = segmentsIn(directory).map((segment) => ({
    ...segment,
    began: beganAt(join(directory, segment.name)),
  }))
  const began = new Map<string, string>()
  for (const { writer, number, began: at } of segments) if (number === 1) began.set(writer, at)
  const order = (a: Segment, b: Segment) =>
    compare(began.get(a.writer) ?? '', began.get(b.writer) ?? '') || compare(a.writer, b.writer) || a.number - b.number
  return segments.sort(order)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The time in a file's first entry. */
function beganAt(path: string): string {
  const fd = openSync(path, 'r')
  try {
    const head = Buffer.alloc(512)
    const read = readSync(fd, head, 0, head.length, 0)
    return /"at":"([^"]+)"/.exec(head.toString('utf8', 0, read))?.[1] ?? ''
  } finally {
    closeSync(fd)
  }
}
