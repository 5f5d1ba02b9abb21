/** `@haldir/core/verify`: checks a trail with nothing but its files. Reads only. */
import { readdirSync } from 'node:fs'
import { ConfigError } from './errors.ts'
import { readBlocks } from './sinks/file-blocks.ts'
import type { Problem, Verification, VerifyOptions } from './watch/verification.ts'
import { verifyTrail } from './watch/verify.ts'

export { exportTrail, openTrail } from './trail-files.ts'
export { type CheckedExport, checkExport, type ExportProblemKind } from './watch/check-export.ts'
export { type Entry, type EntryAmount, type EntryType, entrySchema } from './watch/entry.ts'
export type { Exported, ExportOptions } from './watch/export.ts'
export type { Questions } from './watch/questions.ts'
export type {
  Orphan,
  Problem,
  ProblemKind,
  Verification,
  VerifiedWriter,
  VerifyOptions,
} from './watch/verification.ts'

/**
 * Checks every chain in the folder of a file sink: `{ ok, writers, problems, orphans }`. Without the store, a trusted
 * checkpoint or what `writers` tells, it can't know of a writer whose files are gone, nor of entries cut off behind the
 * last checkpoint. Throws `ConfigError` for a folder that can't be read, and for options that it does not understand.
 */
export async function verifyFiles(directory: string, options: VerifyOptions = {}): Promise<Verification> {
  try {
    readdirSync(directory)
  } catch {
    throw new ConfigError('invalid-option', 'directory', '`directory` is not a folder that can be read')
  }
  const found = await verifyTrail({ readBlocks: (only) => readBlocks(directory, only) }, options)
  if (found.problems.length > 0 || found.writers.some(({ entries }) => entries > 0)) return found
  const problem: Problem = { kind: 'missing-writer', writer: '', message: 'there is no chain in this folder' }
  return { ...found, ok: false, problems: [problem] }
}
