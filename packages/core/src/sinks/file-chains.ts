/** The chains in the folder of a file sink, each to be read by itself. Reads only. */
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { type Segment, segmentsOf } from './segments.ts'
import type { StoredChain } from './sink.ts'

const CHUNK = 131_072
const NEWLINE = 10

/** The files of each writer, by their numbers. A folder that has vanished holds none. */
export function segmentsByWriter(directory: string): Map<string, Segment[]> {
  return existsSync(directory) ? segmentsOf(directory) : new Map()
}

export async function fileChains(directory: string): Promise<StoredChain[]> {
  const chains: StoredChain[] = []
  for (const [writer, segments] of segmentsByWriter(directory)) {
    const paths = segments.map(({ name }) => join(directory, name))
    const first = await firstIn(paths)
    // One that has only been opened has no chain yet.
    if (first !== undefined) chains.push({ writer, first, read: () => linesOf(paths) })
  }
  return chains
}

/** The first line that there is. */
async function firstIn(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    for await (const { text } of blocksOf(path, 0, FIRST)) return text.slice(0, text.indexOf('\n'))
  }
  return undefined
}

// Nearly every first line is shorter than this.
const FIRST = 1_024

async function* linesOf(paths: readonly string[]): AsyncGenerator<{ line: string }[]> {
  for (const path of paths) {
    for await (const { text } of blocksOf(path)) yield linesIn(text).map((line) => ({ line }))
  }
}

/** The lines of a text in which each ends in a newline. */
export function linesIn(text: string): string[] {
  const lines = text.split('\n')
  lines.pop()
  return lines
}

/** Whole lines, each ending in a newline, and where in the file they stand. */
export interface Block {
  readonly text: string
  readonly start: number
  readonly end: number
}

/**
 * Whole lines of a file from one place on, block by block, as far as it reaches now. What is not finished at its end is
 * left out. A file that is gone by now holds nothing: a folder is read while others write into it and clear it up.
 */
export async function* blocksOf(path: string, from = 0, chunk: number = CHUNK): AsyncGenerator<Block> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  if (!file) return
  try {
    const { size } = await file.stat()
    const buffer = Buffer.alloc(chunk)
    let pieces: Buffer[] = []
    let start = from
    for (let position = from; position < size; ) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(chunk, size - position), position)
      if (bytesRead === 0) break
      const read = buffer.subarray(0, bytesRead)
      const whole = read.lastIndexOf(NEWLINE) + 1
      if (whole > 0) {
        // Whole lines are decoded, never chunks: a character may span two chunks.
        const last = read.subarray(0, whole)
        const text = pieces.length === 0 ? last.toString('utf8') : Buffer.concat([...pieces, last]).toString('utf8')
        yield { text, start, end: position + whole }
        pieces = []
        start = position + whole
      }
      if (whole < bytesRead) pieces.push(Buffer.from(read.subarray(whole)))
      position += bytesRead
    }
  } finally {
    await file.close()
  }
}
