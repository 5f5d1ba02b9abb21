/** Reading whole lines out of a spool's file, from some byte on. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import type { BatchSize } from './queue.ts'
import type { Span } from './spool-note.ts'

export interface LineAt {
  /** Without its newline. */
  readonly text: string
  readonly start: number
  /** The byte after its newline. */
  readonly end: number
}

const NEWLINE = 10
const CHUNK = 65_536

/** As many whole lines as fit, at least one if there is one. `end`: the file is being written, and is whole up to here. */
export function readLines(path: string, from: number, size: BatchSize, end?: number): LineAt[] {
  return reading(path, [], (fd) => {
    const stop = end ?? fstatSync(fd).size
    const lines: LineAt[] = []
    let block = bytesOf(fd, from, Math.min(stop, from + CHUNK))
    for (let start = 0; lines.length < size.entries; ) {
      let newline = block.indexOf(NEWLINE, start)
      // A line that is larger than a batch is read to its end, nothing else beyond what fits.
      const more = () => from + block.length < stop && (lines.length === 0 || block.length < size.bytes)
      while (newline < 0 && more()) {
        block = bytesOf(fd, from, Math.min(stop, from + block.length * 2))
        newline = block.indexOf(NEWLINE, start)
      }
      if (newline < 0 || (lines.length > 0 && newline + 1 > size.bytes)) break
      lines.push({ text: block.toString('utf8', start, newline), start: from + start, end: from + newline + 1 })
      start = newline + 1
    }
    return lines
  })
}

/** The lines that stand in these places; without those of which the file has no whole line there any more. */
export function linesAt(path: string, spans: readonly Span[]): LineAt[] {
  return reading(path, [], (fd) =>
    spans.flatMap(([start, end]) => {
      const bytes = bytesOf(fd, start, end)
      const whole = bytes.length === end - start && bytes.indexOf(NEWLINE) === bytes.length - 1
      return whole ? [{ text: bytes.toString('utf8', 0, bytes.length - 1), start, end }] : []
    }),
  )
}

/** How many whole lines stand from a byte on, and how long they are together. */
export function tailOf(path: string, from: number): { readonly entries: number; readonly bytes: number } {
  return reading(path, { entries: 0, bytes: 0 }, (fd) => {
    const { size } = fstatSync(fd)
    let entries = 0
    let bytes = 0
    for (let at = from; at < size; at += CHUNK) {
      const block = bytesOf(fd, at, Math.min(size, at + CHUNK))
      for (let newline = block.indexOf(NEWLINE); newline >= 0; newline = block.indexOf(NEWLINE, newline + 1)) {
        entries++
        bytes = at + newline + 1 - from
      }
    }
    return { entries, bytes }
  })
}

function bytesOf(fd: number, from: number, to: number): Buffer {
  const buffer = Buffer.alloc(Math.max(0, to - from))
  let filled = 0
  while (filled < buffer.length) {
    const read = readSync(fd, buffer, filled, buffer.length - filled, from + filled)
    if (read === 0) break
    filled += read
  }
  return buffer.subarray(0, filled)
}

/** A file that is not there has nothing in it. */
function reading<T>(path: string, empty: T, work: (fd: number) => T): T {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return empty
    throw error
  }
  try {
    return work(fd)
  } finally {
    closeSync(fd)
  }
}
