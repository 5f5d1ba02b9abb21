/** Where the floors write: to memory, or to a file. */
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Write } from './floor.ts'

/** How many lines a memory trail keeps, by hand and in Haldir's. */
export const KEEP = 1_000

export function toMemory(): Write {
  let lines: string[] = []
  return (line) => {
    lines.push(line)
    if (lines.length > KEEP * 2) lines = lines.slice(-KEEP)
  }
}

export function toFile(path: string): { write: Write; close(): void } {
  const fd = openSync(path, 'ax', 0o600)
  return {
    write: (line) => {
      writeSync(fd, line)
    },
    close: () => closeSync(fd),
  }
}
