/** What verifying reads of an entry that it has to parse. */
import { type Entry, entrySchema } from '../entry.ts'

export interface Told {
  readonly id: string
  readonly writer: string
  readonly seq: number
  readonly at: string
  readonly type: string
  readonly prev: string
  readonly call?: string
  readonly tool?: string
  readonly session: string | null
  readonly data?: Readonly<Record<string, unknown>>
}

/** `undefined` for a line that is no entry. */
export function parseTold(line: string): Told | undefined {
  try {
    const entry = JSON.parse(line) as Told & { v: number }
    const { v, id, writer, seq, prev, type } = entry
    const whole = v === 1 && Number.isSafeInteger(seq) && [id, writer, prev, type].every((t) => typeof t === 'string')
    return whole ? entry : undefined
  } catch {
    return undefined
  }
}

/**
 * Whether a line is an entry by the schema and says everything once: its text is what its value is written as. A second
 * `type` behind the first, or space between members, is read differently by different readers.
 */
export function isExact(line: string): boolean {
  try {
    const entry = JSON.parse(line) as Entry
    return JSON.stringify(entry) === line && entrySchema.safeParse(entry).success
  } catch {
    return false
  }
}

/** Where a chain stands, or stood: what `writer-opened`, `retention`, the store and checkpoints say of it. */
export interface Stand {
  readonly writer: string
  /** How many entries. */
  readonly entries: number
  /** Hash of the last of them. */
  readonly head: string
}

/** `undefined` for what does not say where a chain stands. */
export function standOf(value: unknown): Stand | undefined {
  const { writer, entries, head } = (value ?? {}) as Partial<Stand>
  if (typeof writer !== 'string' || typeof head !== 'string') return undefined
  return Number.isSafeInteger(entries) && Number(entries) > 0 ? { writer, entries: Number(entries), head } : undefined
}
