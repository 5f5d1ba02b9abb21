/** How far a spool is sent, as it stands on disk. */
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
}

/** `undefined`: there is none, or none that can be read. */
export function readNote(path: string): Note | undefined {
  try {
    const { segment, at, batches } = JSON.parse(readFileSync(path, 'utf8')) as Note
    const whole = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
    const isSpan = (span: Span) => whole(span[0]) && whole(span[1]) && span[0] < span[1] && span[1] <= at
    const sound = whole(segment) && whole(at) && batches.every((spans) => spans.length > 0 && spans.every(isSpan))
    return sound ? { segment, at, batches } : undefined
  } catch {
    return undefined
  }
}

/** Written aside and renamed: a process that dies meanwhile leaves the old note or the new one, never half of one. */
export function writeNote(path: string, note: Note): boolean {
  try {
    writeFileSync(`${path}.new`, JSON.stringify(note), { mode: 0o600 })
    renameSync(`${path}.new`, path)
    return true
  } catch {
    return false
  }
}
