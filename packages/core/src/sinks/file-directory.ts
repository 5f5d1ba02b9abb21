/** The folder of a file sink, read back. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type Segment, segmentsOf } from './segments.ts'
import type { StoredLine } from './sink.ts'

const CHUNK = 65_536
const NEWLINE = 10

/** Every line of every writer, each writer's in order; writers in the order they began. Reads only. */
export async function* readDirectory(directory: string): AsyncGenerator<StoredLine> {
  // A folder that has vanished holds no line; a verification then names the writers that are missing.
  if (!existsSync(directory)) return
  for (const segment of inOrder(directory)) yield* readSegment(directory, segment)
}

/** Every line of one file. None, if it was let go of meanwhile. */
export async function* readSegment(directory: string, { name, writer }: Segment): AsyncGenerator<StoredLine> {
  const file = await openIfThere(join(directory, name))
  if (!file) return
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

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Writers in the order they began: by the first entry that is still there. */
function inOrder(directory: string): Segment[] {
  const writers = [...segmentsOf(directory)].map(([writer, segments]) => {
    return { writer, segments, began: beganAt(directory, segments[0] as Segment) }
  })
  return writers
    .sort((a, b) => compare(a.began, b.began) || compare(a.writer, b.writer))
    .flatMap(({ segments }) => segments)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The time in a file's first entry. */
function beganAt(directory: string, segment: Segment): string {
  return /"at":"([^"]+)"/.exec(startOf(directory, segment, 512))?.[1] ?? ''
}

/** A file's first line, if it is whole and no larger than entries are. */
export function firstLine(directory: string, segment: Segment): string | undefined {
  const text = startOf(directory, segment, CHUNK)
  const end = text.indexOf('\n')
  return end < 0 ? undefined : text.slice(0, end)
}

function startOf(directory: string, { name }: Segment, bytes: number): string {
  let fd: number
  try {
    fd = openSync(join(directory, name), 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
  try {
    const head = Buffer.alloc(bytes)
    return head.toString('utf8', 0, readSync(fd, head, 0, bytes, 0))
  } finally {
    closeSync(fd)
  }
}
