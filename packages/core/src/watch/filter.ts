/** Which entries a question is about. Compiled once, for files and for the index alike. */
import { ConfigError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { soundTime } from '../sinks/sink.ts'
import { type Positions, readCursor } from './cursor.ts'
import { ENTRY_TYPES, type Entry, type EntryType } from './entry.ts'
import { hasFingerprint } from './privacy.ts'

/** One text or several, any of which will do. */
type Text = string | readonly string[]
/** `null` finds the entries that have none: those that are nobody's doing, of no call, of no tool. */
type Perhaps = string | null | readonly (string | null)[]

/**
 * What entries are asked for; every member given must match, of a list any one. Times are `Date`s or RFC 3339 text,
 * `until` exclusive.
 */
export interface Conditions {
  readonly tenant?: Perhaps
  readonly agent?: Perhaps
  readonly session?: Perhaps
  readonly call?: Perhaps
  /** The framework's own id of a call: it may have been given twice. */
  readonly ref?: Perhaps
  readonly tool?: Perhaps
  readonly toolHash?: Perhaps
  /** Equal for equal calls of one tenant. */
  readonly digest?: Perhaps
  readonly code?: Perhaps
  readonly rule?: Perhaps
  readonly policyHash?: Perhaps
  readonly verdict?: Entry['verdict'] | null | readonly (Entry['verdict'] | null)[]
  /** Name of the haldir that wrote it. */
  readonly haldir?: Text
  readonly type?: EntryType | readonly EntryType[]
  /** Whose chain: a process that writes. */
  readonly writer?: Text
  /** What entries about approvals, secrets and outcomes name in their `data`. */
  readonly approval?: Perhaps
  readonly secret?: Perhaps
  readonly ended?: Perhaps
  /** What `trail.fingerprint` answers of a value: entries that hold it among arguments, or are about that subject. */
  readonly fingerprint?: string
  /** `false`: of shadow mode alone. */
  readonly enforced?: boolean
  readonly since?: Date | string
  readonly until?: Date | string
}

/** Which entries to answer, and in which order. */
export interface Filter extends Conditions {
  /** A cursor that `page` has answered: only what stands behind it. */
  readonly after?: string
  /** How many entries at most. */
  readonly limit?: number
  /**
   * `time`, which is the default: by their time over all writers, those of one writer in the order it wrote them.
   * `writer`: one writer's after another's.
   */
  readonly order?: 'time' | 'writer'
}

const OF_ENTRY = [
  'tenant',
  'agent',
  'session',
  'call',
  'ref',
  'tool',
  'toolHash',
  'digest',
  'code',
  'rule',
  'policyHash',
  'verdict',
  'haldir',
  'type',
] as const
const OF_DATA = ['approval', 'secret', 'ended'] as const
/** What entries can be asked for by text. */
export type Member = (typeof OF_ENTRY)[number] | (typeof OF_DATA)[number]
export const MEMBERS: readonly Member[] = [...OF_ENTRY, ...OF_DATA]
export const CONDITIONS: readonly (keyof Conditions)[] = [
  ...MEMBERS,
  'writer',
  'fingerprint',
  'enforced',
  'since',
  'until',
]

export interface Compiled {
  readonly conditions: readonly { readonly member: Member; readonly values: readonly (string | null)[] }[]
  /** Whose chains are looked at; all unless given. */
  readonly writers: ReadonlySet<string> | undefined
  readonly enforced: boolean | undefined
  readonly fingerprint: string | undefined
  readonly since: string | undefined
  readonly until: string | undefined
  /** All of it but `writers`, which is about chains. */
  readonly matches: (entry: Entry) => boolean
}

export interface CompiledFilter extends Compiled {
  readonly after: Positions | undefined
  readonly limit: number
  readonly order: 'time' | 'writer'
}

/** Throws `ConfigError` for a filter it does not understand: a misspelt one would answer everything. */
export function compileFilter(filter: Filter): CompiledFilter {
  known(filter, [...CONDITIONS, 'after', 'limit', 'order'])
  const { limit, order = 'time', after } = filter
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0)) throw invalid('limit', 'is a whole number')
  if (order !== 'time' && order !== 'writer') throw invalid('order', 'is `time` or `writer`')
  return {
    ...compileConditions(filter),
    after: after === undefined ? undefined : readCursor(after),
    limit: limit ?? Number.POSITIVE_INFINITY,
    order,
  }
}

export function compileConditions(filter: Conditions): Compiled {
  const conditions = MEMBERS.flatMap((member) => {
    const value = filter[member]
    return value === undefined ? [] : [{ member, values: valuesOf(value, member) }]
  })
  for (const type of conditions.find(({ member }) => member === 'type')?.values ?? []) {
    if (!ENTRY_TYPES.includes(type as EntryType)) throw invalid('type', 'is not a kind of entry')
  }
  const { enforced, writer, fingerprint } = filter
  if (fingerprint !== undefined && !/^[0-9a-f]{64}$/.test(String(fingerprint))) {
    throw invalid('fingerprint', 'is what `trail.fingerprint` answers')
  }
  if (enforced !== undefined && typeof enforced !== 'boolean') throw invalid('enforced', 'is `true` or `false`')
  const writers = writer === undefined ? undefined : new Set(valuesOf(writer, 'writer') as string[])
  const since = timeOf(filter.since, 'since')
  const until = timeOf(filter.until, 'until')
  const tests = conditions.map(({ member, values }) => ({ member, values: new Set(values) }))
  const matches = (entry: Entry): boolean => {
    for (const { member, values } of tests) if (!values.has(textOf(entry, member))) return false
    if (enforced !== undefined && entry.enforced !== enforced) return false
    if (fingerprint !== undefined && !hasFingerprint(entry, fingerprint)) return false
    if (since === undefined && until === undefined) return true
    const at = soundTime(entry.at)
    return at !== '' && (since === undefined || at >= since) && (until === undefined || at < until)
  }
  return { conditions, writers, enforced, fingerprint, since, until, matches }
}

/** What an entry says there; `null` when it says nothing, or no text. */
export function textOf(entry: Entry, member: Member): string | null {
  const { data } = entry
  const value = OF_DATA.includes(member as never) ? data?.[member] : entry[member as (typeof OF_ENTRY)[number]]
  return typeof value === 'string' ? value : null
}

/** A line as an entry; `undefined` when it is none. Whether it is a sound one is for verifying to say. */
export function parseEntry(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Entry | null
    return typeof entry === 'object' && typeof entry?.type === 'string' ? entry : undefined
  } catch {
    return undefined
  }
}

/** Throws `ConfigError` for a key that is not among these. */
export function known(filter: object, keys: readonly string[], what = 'things a query can ask for'): void {
  checkKeys(filter, keys, what)
}

const NULLABLE = new Set<string>(MEMBERS.filter((member) => member !== 'haldir' && member !== 'type'))

function valuesOf(value: unknown, key: string): (string | null)[] {
  const values = [value].flat()
  const fits = (one: unknown) => typeof one === 'string' || (one === null && NULLABLE.has(key))
  if (!values.every(fits)) throw invalid(key, 'is a text, or a list of texts')
  return values as (string | null)[]
}

export function timeOf(value: Date | string | undefined, key: string): string | undefined {
  if (value === undefined) return undefined
  const time = new Date(value)
  if (Number.isNaN(time.getTime())) throw invalid(key, 'is a `Date` or RFC 3339 text')
  return time.toISOString()
}

export function invalid(path: string, what: string): ConfigError {
  return new ConfigError('invalid-option', path, `\`${path}\` ${what}`)
}
