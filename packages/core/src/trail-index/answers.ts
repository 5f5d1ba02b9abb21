/** Answering from an index what is answered from the files, word for word. */

import type { SQLInputValue } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { type Chained, ranked } from '../watch/chains.ts'
import { type Positions, writeCursor } from '../watch/cursor.ts'
import type { Entry } from '../watch/entry.ts'
import { type Compiled, compileFilter, type Filter, parseEntry } from '../watch/filter.ts'
import { compilePage, kept, type Page, type PageFilter } from '../watch/query.ts'
import { compileSpend, type SpendOptions, saidAgain } from '../watch/spend.ts'
import type { SpendRow } from '../watch/sums.ts'
import type { Database } from './database.ts'
import type { Transactions } from './transactions.ts'
import { type Where, whereOf } from './where.ts'

/** Where an entry stands among all. */
interface Key {
  readonly time: string
  readonly writer: string
  readonly position: number
}

/** Before all. Said also when nothing has been read: it tells SQLite to follow the time. */
const START: Key = { time: '', writer: '', position: -1 }

type Row = Key & { readonly line: string }

const COLUMNS = 'time, writer, position, line'
const ORDER = 'ORDER BY time, writer, position'
/** How many rows are asked for at once: nothing stays open in between, and others get their turn. */
const BATCH = 500

export class Answers {
  readonly #db: Database
  readonly #transactions: Transactions

  constructor(db: Database, transactions: Transactions) {
    this.#db = db
    this.#transactions = transactions
  }

  async *query(filter: Filter): AsyncGenerator<Entry> {
    const compiled = compileFilter(filter)
    const { order, after, writers } = compiled
    let left = compiled.limit
    if (left <= 0) return
    for await (const { entry } of order === 'time'
      ? this.#inTime(compiled, after)
      : this.#byWriter(compiled, writers)) {
      yield entry
      if (--left <= 0) return
    }
  }

  async page(filter: PageFilter): Promise<Page> {
    const compiled = compilePage(filter)
    const where = whereOf(compiled)
    return this.#transactions.read(() => {
      const all = this.#chains()
      const asked = compiled.writers ? all.filter(({ writer }) => compiled.writers?.has(writer)) : all
      const positions = kept(compiled.after, all)
      const entries: Entry[] = []
      let last: Key | undefined
      for (const { entry, row } of this.#from(where, compiled, asked, positions)) {
        if (entries.push(entry) < compiled.limit) continue
        last = row
        break
      }
      for (const { writer, name } of asked) {
        const read = this.#readUpTo(writer, last)
        if (read > (positions.get(name) ?? 0)) positions.set(name, read)
      }
      return { entries, next: writeCursor(positions), more: last !== undefined }
    })
  }

  async spend(options: SpendOptions): Promise<readonly SpendRow[]> {
    const { compiled, since, until, sums } = compileSpend(options)
    const again = saidAgain(this.#chains().map(({ writer, first }) => ({ writer, entry: parseEntry(first) })))
    const timed = { ...compiled, since, until }
    const matches = ({ entry, row }: Found) => compiled.matches(entry) && !again(row.writer, row.position)
    const spent = and(whereOf(timed), "type = 'outcome' AND spent = 1 AND at IS NOT NULL")
    for await (const found of this.#batches(spent)) if (matches(found)) sums.spent(found.entry)
    const closed = "SELECT 1 FROM entries AS other WHERE other.call = entries.call AND other.type = 'outcome'"
    const unsettled = `type = 'intent' AND held = 1 AND at IS NOT NULL AND call IS NOT NULL AND NOT EXISTS (${closed})`
    const open = new Map<string, Entry>()
    for await (const found of this.#batches(and(whereOf(timed), unsettled))) {
      if (matches(found)) open.set(found.entry.call as string, found.entry)
    }
    for (const entry of open.values()) sums.open(entry)
    return sums.rows()
  }

  async *#inTime(compiled: Compiled, after: Positions | undefined): AsyncGenerator<Found> {
    const where = whereOf(compiled)
    if (!after) {
      for await (const found of this.#batches(where)) if (compiled.matches(found.entry)) yield found
      return
    }
    const chains = this.#chains()
    const late = this.#late(where, chains, after)
    for (const found of late.rows) if (compiled.matches(found.entry)) yield found
    for await (const found of this.#batches(where, late.mark)) if (compiled.matches(found.entry)) yield found
  }

  async *#byWriter(compiled: Compiled & { after: Positions | undefined }, asked?: ReadonlySet<string>) {
    for (const { writer, name } of this.#chains()) {
      if (asked && !asked.has(writer)) continue
      const where = and(whereOf(compiled), 'writer = ? AND position >= ?', writer, compiled.after?.get(name) ?? 0)
      for await (const found of this.#batches(where)) if (compiled.matches(found.entry)) yield found
    }
  }

  *#from(where: Where, compiled: Compiled, asked: readonly Chained[], after: Positions): Generator<Found> {
    const { mark, rows } = this.#late(where, asked, after)
    for (const found of rows) if (compiled.matches(found.entry)) yield found
    for (let rest = this.#batch(where, mark); rest.length > 0; rest = this.#batch(where, rest.at(-1)?.row)) {
      for (const found of rest) if (compiled.matches(found.entry)) yield found
    }
  }

  /**
   * A reader has come to `mark` by the order of time, and in each chain to its place. Mostly the one says all of the
   * other: only what was written late stands before the mark and has not been read.
   */
  #late(where: Where, chains: readonly Chained[], after: Positions): { mark: Key | undefined; rows: Iterable<Found> } {
    let mark: Key | undefined
    const last = `SELECT time, writer, position FROM entries WHERE writer = ? AND position < ? ORDER BY position DESC LIMIT 1`
    for (const { writer, name } of chains) {
      const read = this.#db.get(last, writer, after.get(name) ?? 0) as Key | undefined
      if (read && (!mark || before(mark, read))) mark = read
    }
    if (!mark) return { mark, rows: [] }
    const next = `SELECT time, writer, position FROM entries WHERE writer = ? AND position >= ? ORDER BY position LIMIT 1`
    const late: Record<string, number> = {}
    for (const { writer, name } of chains) {
      const from = after.get(name) ?? 0
      const first = this.#db.get(next, writer, from) as Key | undefined
      if (first && before(first, mark)) late[writer] = from
    }
    if (Object.keys(late).length === 0) return { mark, rows: [] }
    const places = 'SELECT 1 FROM json_each(?) WHERE key = writer AND position >= value'
    const sql = `EXISTS (${places}) AND (time, writer, position) <= (?, ?, ?)`
    const limited = and(where, sql, JSON.stringify(late), mark.time, mark.writer, mark.position)
    return { mark, rows: this.#all(limited) }
  }

  *#all(where: Where): Generator<Found> {
    for (let rows = this.#batch(where); rows.length > 0; rows = this.#batch(where, rows.at(-1)?.row)) yield* rows
  }

  async *#batches(where: Where, mark?: Key): AsyncGenerator<Found> {
    for (let rows = this.#batch(where, mark); rows.length > 0; rows = this.#batch(where, rows.at(-1)?.row)) {
      yield* rows
      if (rows.length < BATCH) return
      await setImmediate()
    }
  }

  #batch(where: Where, { time, writer, position } = START): Found[] {
    const { sql, values } = and(where, '(time, writer, position) > (?, ?, ?)', time, writer, position)
    const rows = this.#db.all(`SELECT ${COLUMNS} FROM entries WHERE ${sql} ${ORDER} LIMIT ${BATCH}`, ...values)
    return (rows as unknown as Row[]).map((row) => ({ row, entry: parseEntry(row.line) as Entry }))
  }

  /**
   * How far the chain of a writer was read by one who has come to `last`: to its end, when there is no more. Along a
   * chain the time never falls, so the place is found by halving.
   */
  #readUpTo(writer: string, last: Key | undefined): number {
    const sql = 'SELECT min(position) AS low, max(position) AS high FROM entries WHERE writer = ?'
    const { low, high } = this.#db.get(sql, writer) as { low: number | null; high: number | null }
    if (low === null || high === null) return 0
    if (!last) return high + 1
    const next =
      'SELECT time, writer, position FROM entries WHERE writer = ? AND position >= ? ORDER BY position LIMIT 1'
    let [from, to] = [low, high + 1]
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      const key = this.#db.get(next, writer, middle) as unknown as Key
      if (before(last, key)) to = middle
      else from = key.position + 1
    }
    // Of one that begins later than at 0, as retention leaves it, nothing has been read.
    return from === low ? 0 : from
  }

  #chains(): Chained[] {
    const rows = this.#db.all('SELECT writer, first, min(number) FROM files GROUP BY writer')
    const read = () => {
      throw new TypeError('an index has no files to read')
    }
    return ranked(rows.map(({ writer, first }) => ({ writer: String(writer), first: String(first), read })))
  }
}

interface Found {
  readonly row: Row
  readonly entry: Entry
}

function and({ sql, values }: Where, more: string, ...its: readonly SQLInputValue[]): Where {
  return { sql: `${sql} AND ${more}`, values: [...values, ...its] }
}

/** As SQLite compares them. Only where the times are the same does it matter how text is compared. */
function before(a: Key, b: Key): boolean {
  if (a.time !== b.time) return a.time < b.time
  if (a.writer !== b.writer) return Buffer.compare(Buffer.from(a.writer), Buffer.from(b.writer)) < 0
  return a.position < b.position
}
