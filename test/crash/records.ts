/** Reads audit files as anyone could, with nothing of Haldir's own: whole lines, parsed. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Recorded {
  readonly type: string
  readonly writer: string
  readonly call?: string
  readonly code?: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Names of the files of a trail. */
export function auditFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.jsonl'))
}

/** Every finished line of every writer, but for those of a file that is not to be looked at. */
export function recorded(directory: string, except?: string): Recorded[] {
  const names = auditFiles(directory).filter((name) => name !== except)
  return names.flatMap((name) =>
    readFileSync(join(directory, name), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Recorded),
  )
}

/** The calls that have an entry of this type. */
export function callsWith(entries: readonly Recorded[], type: string): Set<string> {
  return new Set(entries.filter((entry) => entry.type === type).map(({ call }) => call as string))
}

/** What is in one set and not in the other. */
export function missing(expected: Iterable<string>, found: ReadonlySet<string>): string[] {
  return [...expected].filter((one) => !found.has(one))
}
