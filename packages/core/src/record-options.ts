/** `record`: what an auditor may see of a tool's arguments. Read once per tool, checked strictly. */

import { ANY_ITEM } from './gate/policy/reads.ts'
import { locate } from './gate/policy/schema-paths.ts'
import { checkKeys } from './options.ts'
import { addMark, invalid, leadsTo, type Marks, newMarks, parseRecordPath, type RecordPath } from './record-paths.ts'

/**
 * What of its arguments the entries about a tool's calls hold; nothing, unless it is named here. Paths are
 * `order.id`, `items.*.sku`, `items[0]` or `["odd key"]`; one that leads to an object or a list means all that is in it.
 */
export interface RecordOptions<Args = any> {
  /** Shown as it is, short: every value up to 256 characters, all of them up to 4 KB. `all`: whatever is named nowhere else. */
  readonly show?: readonly string[] | 'all'
  /** With `show: 'all'`, or within a path that is shown: left out. */
  readonly redact?: readonly string[]
  /** Recorded as a keyed hash, which `haldir.trail.fingerprint` tells for a value that is known. */
  readonly fingerprint?: readonly string[]
  /** Recorded as ciphertext, which `haldir.trail.reveal` opens until `haldir.trail.erase` has destroyed the key. */
  readonly seal?: readonly string[]
  /**
   * Whose data it is: the path of an id among the arguments, or a function of them. Its fingerprint is recorded, and what
   * is sealed has a key of its own, for that subject alone. Without this, the tenant's.
   */
  readonly subject?: string | ((args: Args) => string | number | undefined)
}

/** What was worked out of it. */
export interface Recording {
  readonly marks: Marks
  readonly all: boolean
  readonly subject: RecordPath | ((args: unknown) => unknown) | undefined
}

const LISTS = ['show', 'redact', 'fingerprint', 'seal'] as const

/** Throws `ConfigError`, naming the path; also for one that the tool's schema does not know. */
export function compileRecord(options: RecordOptions | undefined, schema: unknown): Recording | undefined {
  if (options === undefined) return undefined
  checkKeys(options, [...LISTS, 'subject'], 'options of `record`', 'record')
  const { show, subject } = options
  const all = show === 'all'
  const named = LISTS.flatMap((list) => (list === 'show' && all ? [] : pathsOf(options[list], list, schema)))
  if (!all && named.length === 0 && subject === undefined) throw invalid('record', 'names no path; leave it out')
  if (options.redact && !all && !options.show)
    throw invalid('record.redact', 'takes something out of what `show` names')
  checkOverlaps(named)
  const marks = newMarks()
  for (const { list, path } of named) addMark(marks, path, list === 'redact' ? 'hide' : list)
  if (all) marks.here.add('show')
  if (typeof subject === 'function' || subject === undefined) return { marks, all, subject }
  const whose = pathOf(subject, 'record.subject', schema)
  if (whose.some((key) => typeof key === 'object')) throw invalid('record.subject', 'leads to one value, without `*`')
  return { marks, all, subject: whose }
}

interface Named {
  readonly list: (typeof LISTS)[number]
  readonly at: string
  readonly path: RecordPath
}

function pathsOf(given: unknown, list: Named['list'], schema: unknown): Named[] {
  if (given === undefined) return []
  const or = list === 'show' ? ', or `all`' : ''
  if (!Array.isArray(given)) throw invalid(`record.${list}`, `is a list of paths${or}`)
  return given.map((text, index) => {
    const at = `record.${list}.${index}`
    return { list, at, path: pathOf(text, at, schema) }
  })
}

function pathOf(text: unknown, at: string, schema: unknown): RecordPath {
  const path = parseRecordPath(text, at)
  if (schema === undefined) return path
  const located = locate(
    schema,
    path.map((key) => (typeof key === 'object' ? ANY_ITEM : key)),
  )
  if (located.kind !== 'unknown') return path
  const hint = located.near === undefined ? '' : `; did you mean \`${located.near}\`?`
  throw invalid(at, `names \`${located.at}\`, which the tool's schema does not have${hint}`)
}

/** What is to be hidden wins over what is to be shown; who writes the two the other way round means something else. */
function checkOverlaps(named: readonly Named[]): void {
  for (const one of named) {
    for (const other of named) {
      if (one === other || !leadsTo(other.path, one.path)) continue
      const same = one.path.length === other.path.length
      if (one.list === other.list && (one.list === 'seal' || same)) {
        throw invalid(one.at, `is named twice, also by \`${other.at}\``)
      }
      if (one.list === 'show') {
        if (other.list !== 'show') throw invalid(one.at, `can't be shown: \`${other.at}\` hides it`)
      } else if (other.list === 'redact') {
        throw invalid(one.at, `can't be recorded: \`${other.at}\` leaves it out`)
      }
    }
  }
}
