/** Files that hold a key: read only when nobody else can. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { ConfigError } from './errors.ts'

/**
 * The first `most` bytes of a file that nobody but its owner may read. What is checked is what is read: the open file,
 * whatever the path leads to meanwhile. `refuse` throws `ConfigError`. On Windows, who may read it is not checked.
 */
export function readKeyFile(path: string, most: number, refuse: (what: string) => never): Buffer {
  let file: number
  try {
    // Not blocked by what is no file, such as a pipe that nobody writes to.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch {
    return refuse('can not be read')
  }
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return refuse('is not a file')
    if (process.getuid) checkPrivate(stats, process.getuid(), refuse)
    const bytes = Buffer.alloc(most)
    return bytes.subarray(0, readSync(file, bytes, 0, most, 0))
  } catch (error) {
    if (ConfigError.isInstance(error)) throw error
    return refuse('can not be read')
  } finally {
    closeSync(file)
  }
}

function checkPrivate({ mode, uid }: Stats, user: number, refuse: (what: string) => never): void {
  if ((mode & 0o077) !== 0) {
    refuse(`is open to others (mode ${(mode & 0o777).toString(8).padStart(4, '0')}); give it mode 0600`)
  }
  if (uid !== user && uid !== 0) refuse('belongs to another user')
}
