/**
 * A file that checkpoints are appended to, elsewhere than the trail: on another disk, another machine's share, storage
 * that keeps what was written. It holds one signed note after another, with an empty line between.
 */
import { open, readFile } from 'node:fs/promises'
import { ConfigError } from '../errors.ts'
import { splitNote } from '../watch/note.ts'
import type { Witness } from '../watch/witness.ts'

/** Made, for the owner alone (mode 0600), with the first checkpoint; its folder must be there. */
export function fileWitness(path: string): Witness {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new ConfigError('invalid-option', 'path', '`path` names a file')
  }
  return {
    name: `file ${path}`,
    async add({ note }) {
      const file = await open(path, 'a', 0o600)
      try {
        // One write: several processes may share the file.
        await file.write(`${note}\n`)
        await file.datasync()
      } finally {
        await file.close()
      }
      return undefined
    },
    async kept() {
      try {
        return notesIn(await readFile(path, 'utf8'))
      } catch (error) {
        // Nothing was witnessed yet, or what was is gone: verifying tells by what the store knows.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw error
      }
    },
  }
}

/** The notes in such a file, in order. What is no note, such as the end of one that was cut short, is left out. */
export function notesIn(text: string): string[] {
  // A signature line ends a note, and an empty line follows; the text of a checkpoint holds no empty line.
  return text.split(/(?<=\n— [^\n]+\n)\n/).filter((note) => splitNote(note) !== undefined)
}
