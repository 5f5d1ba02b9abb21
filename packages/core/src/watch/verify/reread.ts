/** Looks up single entries, in a second reading that hashes nothing. */
import type { Sink } from '../../sinks/sink.ts'
import type { Stand } from './told.ts'

const HASH_MEMBER = /,"hash":"([0-9a-f]{64})"\}$/

/** The hash of the last entry of each stand, by the entry's id, for those that are there; of several the first. */
export async function hashesAt(
  { readBlocks, read }: Pick<Sink, 'read' | 'readBlocks'>,
  stands: readonly Stand[],
): Promise<Map<string, string>> {
  const hashes = new Map<string, string>()
  const wanted = new Map<string, string[]>()
  for (const { writer, entries } of stands) {
    wanted.set(writer, [...(wanted.get(writer) ?? []), `${writer}:${entries - 1}`])
  }
  const take = (id: string, line: string): void => {
    const hash = HASH_MEMBER.exec(line)?.[1]
    if (hash !== undefined && !hashes.has(id)) hashes.set(id, hash)
  }
  if (readBlocks) {
    for await (const { writer, bytes, torn } of readBlocks(new Set(wanted.keys()))) {
      for (const id of torn ? [] : (wanted.get(writer) ?? [])) {
        // Where a line begins: what is recorded of arguments may look like an entry.
        const begin = `{"v":1,"id":"${id}",`
        const inner = bytes.indexOf(`\n${begin}`, 0, 'latin1')
        const start = bytes.indexOf(begin, 0, 'latin1') === 0 ? 0 : inner < 0 ? -1 : inner + 1
        if (start >= 0) take(id, bytes.toString('utf8', start, bytes.indexOf('\n', start)))
      }
    }
  } else if (read) {
    for await (const { writer, line, torn } of read()) {
      for (const id of torn ? [] : (wanted.get(writer) ?? [])) {
        if (line.startsWith(`{"v":1,"id":"${id}",`)) take(id, line)
      }
    }
  }
  return hashes
}
