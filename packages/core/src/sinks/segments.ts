/** The names of a writer's files, `audit-<writer>-<n>.jsonl`, and what stands in a folder of them. */
import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface Segment {
  readonly name: string
  readonly writer: string
  /** From 1, without holes. */
  readonly number: number
}

const FILE = /^audit-(.+)-(\d+)\.jsonl$/
const LOCK = /^audit-(.+)\.lock$/

export function segmentName(writer: string, number: number): string {
  return `audit-${writer}-${number}.jsonl`
}

export function lockOf(directory: string, writer: string): string {
  return join(directory, `audit-${writer}.lock`)
}

/** The files of every writer, each writer's in order. */
export function segmentsOf(directory: string): Map<string, Segment[]> {
  const writers = new Map<string, Segment[]>()
  for (const name of readdirSync(directory)) {
    const [, writer, number] = FILE.exec(name) ?? []
    if (writer === undefined) continue
    const segments = writers.get(writer)
    const segment = { name, writer, number: Number(number) }
    if (segments) segments.push(segment)
    else writers.set(writer, [segment])
  }
  for (const segments of writers.values()) segments.sort((a, b) => a.number - b.number)
  return writers
}

/** The writers that have a lock in a folder. */
export function lockedIn(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => LOCK.exec(name)?.[1] ?? [])
}

/** Makes names that were added to a folder outlive a power cut. */
export function syncDirectory(directory: string): void {
  // There a folder can't be opened, and needs no such thing.
  if (process.platform === 'win32') return
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
