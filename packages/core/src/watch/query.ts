/** Reading the trail back. */
import { ConfigError } from '../errors.ts'
import type { StoredLine } from '../sinks/sink.ts'
import { ENTRY_TYPES, type Entry, type EntryType } from './entry.ts'
import { hasFingerprint } from './privacy.ts'

/** Which entries to answer; every member given must match. Times are `Date`s or RFC 3339 text, `until` exclusive. */
export interface Filter {
  readonly tenant?: string
  readonly agent?: string
  readonly session?: string
  readonly call?: string
  readonly tool?: string
  readonly code?: string
  readonly type?: EntryType | readonly EntryType[]
  readonly since?: Date | string
  readonly until?: Date | string
  /** How many entries at most. */
  readonly limit?: number
  /** What `trail.fingerprint` has told of a value: entries that hold it among arguments, or are about that subject. */
  readonly fingerprint?: string
}

const MEMBERS = ['tenant', 'agent', 'session', 'call', 'tool', 'code'] as const
const KEYS = new Set<string>([...MEMBERS, 'type', 'since', 'until', 'limit', 'fingerprint'])

/** Throws `ConfigError` for a filter it does not understand: a misspelt one would answer everything. */
export async function* query(lines: AsyncIterable<StoredLine>, filter: Filter): AsyncGenerator<Entry> {
  const matches = compile(filter)
  let left = filter.limit ?? Number.POSITIVE_INFINITY
  if (left <= 0) return
  for await (const { line, torn } of lines) {
    if (torn) continue
    const entry = parse(line)
    if (!entry || !matches(entry)) continue
    yield entry
    if (--left <= 0) return
  }
}

function compile(filter: Filter): (entry: Entry) => boolean {
  for (const key of Object.keys(filter)) {
    if (!KEYS.has(key)) throw invalid(key, 'is not something a query can ask for')
  }
  if (filter.limit !== undefined && !(Number.isInteger(filter.limit) && filter.limit >= 0)) {
    throw invalid('limit', 'is a whole number')
  }
  const types = filter.type === undefined ? undefined : new Set<string>([filter.type].flat())
  for (const type of types ?? []) {
    if (!ENTRY_TYPES.includes(type as EntryType)) throw invalid('type', 'is not a kind of entry')
  }
  const { fingerprint } = filter
  if (fingerprint !== undefined && !/^[0-9a-f]{64}$/.test(String(fingerprint))) {
    throw invalid('fingerprint', 'is what `trail.fingerprint` answers')
  }
  const since = timeOf(filter.since, 'since')
  const until = timeOf(filter.until, 'until')
  return (entry) =>
    MEMBERS.every((member) => filter[member] === undefined || entry[member] === filter[member]) &&
    (types === undefined || types.has(entry.type)) &&
    (fingerprint === undefined || hasFingerprint(entry, fingerprint)) &&
    (since === undefined || entry.at >= since) &&
    (until === undefined || entry.at < until)
}

/** Entries carry their time as UTC text of fixed width, so text compares as time does. */
function timeOf(value: Date | string | undefined, key: string): string | undefined {
  if (value === undefined) return undefined
  const time = new Date(value)
  if (Number.isNaN(time.getTime())) throw invalid(key, 'is a `Date` or RFC 3339 text')
  return time.toISOString()
}

function parse(line: string): Entry | undefined {
  try {
    return JSON.parse(line) as Entry
  } catch {
    return undefined
  }
}

function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
