/** Cutting off what a dead process left unfinished. */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, releaseLock } from './lock.ts'
import { lockedIn, lockOf, type Segment, segmentsOf } from './segments.ts'
import type { Recovery } from './sink.ts'

const CHUNK = 65_536
const NEWLINE = 10

/**
 * Cuts the unfinished line off the last file of each writer that is dead, and says which. A live writer's files are left
 * alone, and so is every file that another one follows: nothing goes on before a line is whole, so that is damage.
 */
export function cutTornTails(directory: string): Recovery[] {
  const recovered: Recovery[] = []
  const writers = segmentsOf(directory)
  for (const [writer, segments] of writers) {
    const lock = lockOf(directory, writer)
    if (isAlive(lock)) continue
    try {
      const cut = cutLast(directory, segments)
      if (cut) recovered.push(cut)
      releaseLock(lock)
    } catch {
      // A file that can't be mended now is no reason to refuse calls: it stays as it is, for all to see.
    }
  }
  // Of those that died before they had a file.
  for (const writer of lockedIn(directory)) {
    const lock = lockOf(directory, writer)
    if (!writers.has(writer) && !isAlive(lock)) releaseLock(lock)
  }
  return recovered
}

/** A file that was made and never written follows nothing: the one before it may be torn. */
function cutLast(directory: string, segments: readonly Segment[]): Recovery | undefined {
  for (const { name, writer } of segments.toReversed()) {
    const path = join(directory, name)
    const found = tailOf(path)
    if (found.size === 0) continue
    if (found.whole === found.size) return undefined
    const fd = openSync(path, 'r+')
    try {
      ftruncateSync(fd, found.whole)
    } finally {
      closeSync(fd)
    }
    return { writer, file: name, bytes: found.size - found.whole }
  }
  return undefined
}

/** How long a file is, and where its last whole line ends, looked for from the back. */
function tailOf(path: string): { size: number; whole: number } {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    let chunk = Buffer.alloc(1)
    // Most files end in a whole line: the last byte says so.
    for (let end = size; end > 0; chunk = Buffer.alloc(CHUNK)) {
      const start = Math.max(0, end - chunk.length)
      const read = readSync(fd, chunk, 0, end - start, start)
      const newline = chunk.subarray(0, read).lastIndexOf(NEWLINE)
      if (newline >= 0) return { size, whole: start + newline + 1 }
      end = start
    }
    return { size, whole: 0 }
  } finally {
    closeSync(fd)
  }
}
