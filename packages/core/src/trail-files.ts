/** Asking the files of a trail, without the application that wrote them. Reads only, and may run while others write. */
import { readdirSync } from 'node:fs'
import { type Clock, systemClock } from './clock.ts'
import { ConfigError } from './errors.ts'
import { checkKeys } from './options.ts'
import { fileChains } from './sinks/file-chains.ts'
import type { Exported, ExportOptions } from './watch/export.ts'
import { type Questions, questionsOf } from './watch/questions.ts'

/** The trail in the folder of a file sink, to be asked as `haldir.trail` is. Throws `ConfigError` for no folder. */
export function openTrail(directory: string, options: { readonly clock?: Clock } = {}): Questions {
  checkKeys(options, ['clock'], 'options of `openTrail`')
  try {
    readdirSync(directory)
  } catch {
    throw new ConfigError('invalid-option', 'directory', '`directory` is not a folder that can be read')
  }
  return Object.freeze(questionsOf(() => fileChains(directory), options.clock ?? systemClock))
}

/** Exports from a folder of files, as `haldir.trail.export` does. */
export async function exportTrail(
  directory: string,
  { clock, ...options }: ExportOptions & { readonly clock?: Clock },
): Promise<Exported> {
  return openTrail(directory, clock ? { clock } : {}).export(options)
}
