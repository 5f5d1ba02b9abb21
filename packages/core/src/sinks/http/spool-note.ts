/** How far a spool is sent, as it stands on disk. */
import { hash } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'

/** Where a line stands in its file, its newline included. */
export type Span = readonly [start: number, end: number]

export interface Note {
  /** The file that the next batch is from, and all batches under way. Those before it are sent. */
  readonly segment: number
  /** The byte after the last line that is in a batch, or sent. */
  readonly at: number
  /** Batches that are not settled, the next one first, each with where its lines stand. */
  readonly batches: readonly (readonly Span[])[]
  /** The earlier file that those batches are from, where what stood behind them was given up. */
  readonly held: number | undefined
}

/** `undefined`: there is none, or none that is as it was written: a wrong number would have lines passed over. */
export function readNote(path: string): Note | undefined {
  try {
    const { segment, at, batches, held, sum } = JSON.parse(readFileSync(path, 'utf8')) as Note & { sum: unknown }
    const note = { segment, at, batches, held }
    return sum === sumOf(note) ? note : undefined
  } catch {
    return undefined
  }
}

/** Written aside and renamed: a process that dies meanwhile leaves the old note or the new one, never half of one. */
export function writeNote(path: string, note: Note): boolean {
  try {
    writeFileSync(`${path}.new`, JSON.stringify({ ...note, sum: sumOf(note) }), { mode: 0o600 })
    renameSync(`${path}.new`, path)
    return true
  } catch {
    return false
  }
}

function sumOf({ segment, at, batches, held }: Note): string {
  return hash('sha256', JSON.stringify({ segment, at, batches, held }), 'base64url').slice(0, 16)
}
