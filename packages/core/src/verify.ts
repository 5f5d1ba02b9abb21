/** `@haldir/core/verify`: checks a trail with nothing but its files. Reads only. */
import { readdirSync } from 'node:fs'
import { ConfigError } from './errors.ts'
import { readDirectory } from './sinks/file-directory.ts'
import { type Problem, type Verification, verifyLines } from './watch/verify.ts'

export { exportTrail, openTrail } from './trail-files.ts'
export { type CheckedExport, checkExport, type ExportProblemKind } from './watch/check-export.ts'
export { type Entry, type EntryAmount, type EntryType, entrySchema } from './watch/entry.ts'
export type { Exported, ExportOptions } from './watch/export.ts'
export type { Questions } from './watch/questions.ts'
export type { Orphan, Problem, ProblemKind, Verification, VerifiedWriter } from './watch/verify.ts'

/**
 * Checks every chain in the folder of a file sink: `{ ok, writers, problems, orphans }`. Without the store it can't
 * know of a writer whose file is gone, or of entries cut off behind the last; `haldir.trail.verify()` can.
 */
export async function verifyFiles(directory: string): Promise<Verification> {
  try {
    readdirSync(directory)
  } catch {
    throw new ConfigError('invalid-option', 'directory', '`directory` is not a folder that can be read')
  }
  const found = await verifyLines(readDirectory(directory))
  if (found.writers.length > 0) return found
  const problem: Problem = { kind: 'missing-writer', writer: '', message: 'there is no chain in this folder' }
  return { ...found, ok: false, problems: [problem] }
}
