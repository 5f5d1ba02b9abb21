/** Entries as CSV (RFC 4180): one a row, CRLF, the first row names the columns. */
import type { Entry, EntryAmount } from './entry.ts'

const COLUMNS = [
  'id',
  'writer',
  'seq',
  'at',
  'type',
  'haldir',
  'tenant',
  'agent',
  'session',
  'chain',
  'call',
  'ref',
  'tool',
  'toolHash',
  'digest',
  'digestKey',
  'verdict',
  'rule',
  'policyHash',
  'code',
  'held',
  'spent',
  'enforced',
  'durationMs',
  'data',
  'prev',
  'hash',
  'v',
] as const

/** What entries have that these columns do not know, as JSON, stands in a last one. */
export const CSV_HEADER: string = `${[...COLUMNS, 'more'].join(',')}\r\n`

/** One row. Amounts are exact decimals with their unit, `29.99 USD;900 tokens`; what is nested is JSON. */
export function csvRow(entry: Entry): string {
  const { held, spent, ...rest } = entry as unknown as Record<string, unknown>
  const cells: string[] = []
  for (const column of COLUMNS) {
    if (column === 'held' || column === 'spent') cells.push(cell(amounts(column === 'held' ? held : spent)))
    else cells.push(cell(rest[column]))
    delete rest[column]
  }
  cells.push(Object.keys(rest).length === 0 ? '' : cell(rest))
  return `${cells.join(',')}\r\n`
}

// Spreadsheets take what begins so for a formula and run it (OWASP, CSV Injection), the wide forms of the signs too.
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20']/

/**
 * Nothing for what is absent or `null`. A text that a spreadsheet would run gets a `'` in front; so does one that has
 * one, so that taking one `'` from the front of every cell that begins with it gives back what was written.
 */
function cell(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const safe = FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function amounts(list: unknown): unknown {
  const plain = (one: EntryAmount | null) => typeof one?.unit === 'string' && typeof one.amount === 'string'
  // What is no list of amounts, in an entry that was tampered with, stays as it is.
  if (!Array.isArray(list) || !list.every(plain)) return list
  return list.map(({ amount, unit }) => `${amount} ${unit}`).join(';')
}
