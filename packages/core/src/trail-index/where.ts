/** What a filter says, in SQL. It may find a little too much, where texts are no sound Unicode, and never too little. */
import type { SQLInputValue } from 'node:sqlite'
import type { Compiled } from '../watch/filter.ts'

export interface Where {
  /** Conditions, joined by AND; never empty. */
  readonly sql: string
  readonly values: readonly SQLInputValue[]
}

export function whereOf({ conditions, writers, enforced, fingerprint, since, until }: Compiled): Where {
  const parts: string[] = ['true']
  const values: SQLInputValue[] = []
  const one = (column: string, wanted: readonly (string | null)[]) => {
    const texts = wanted.filter((value) => value !== null)
    const either: string[] = []
    if (texts.length === 1) either.push(`"${column}" = ?`)
    // A list of any length is one value.
    else if (texts.length > 1) either.push(`"${column}" IN (SELECT value FROM json_each(?))`)
    if (texts.length < wanted.length) either.push(`"${column}" IS NULL`)
    parts.push(either.length === 0 ? 'false' : `(${either.join(' OR ')})`)
    // As they are stored: SQLite keeps no half of a surrogate pair.
    const stored = texts.map((value) => value.toWellFormed())
    if (stored.length > 0) values.push(stored.length === 1 ? (stored[0] as string) : JSON.stringify(stored))
  }
  for (const { member, values: wanted } of conditions) one(member, wanted)
  if (writers) one('writer', [...writers])
  const also = (sql: string, value: SQLInputValue) => {
    parts.push(sql)
    values.push(value)
  }
  if (enforced !== undefined) also('enforced = ?', Number(enforced))
  // Where it stands in the line is for the entry to say.
  if (fingerprint !== undefined) also('instr(line, ?) > 0', fingerprint)
  if (since !== undefined) {
    also('at >= ?', since)
    // Follows from the one before, and is what entries are sorted by.
    also('time >= ?', since)
  }
  if (until !== undefined) also('at < ?', until)
  return { sql: parts.join(' AND '), values }
}
