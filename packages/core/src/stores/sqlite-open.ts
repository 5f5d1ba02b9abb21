/** Opening a SQLite file: who may read it, how it is written, which statements are ready. */
import { closeSync, openSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { ConfigError } from '../errors.ts'
import { persist, sqlite } from './sqlite-file.ts'
import { SCHEMA, STATEMENTS, UPGRADES, VERSION } from './sqlite-schema.ts'

/** How long SQLite itself waits for a lock: it blocks the event loop, so it is short. */
const BUSY_MS = 50

/** Opens the file with mode 0600 (its journal inherits that) and makes what is missing in it; `time`: the last it saw. */
export function open(path: string, durable: boolean): { db: DatabaseSync; sql: Statements; time: number } {
  if (typeof path !== 'string' || path === '') throw new ConfigError('invalid-option', 'path', '`path` names a file')
  let db: DatabaseSync | undefined
  try {
    if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600))
    const { DatabaseSync } = sqlite()
    db = new DatabaseSync(path)
    return { db, ...prepared(db, durable) }
  } catch (cause) {
    db?.close()
    if (cause instanceof ConfigError) throw cause
    const error = new ConfigError('invalid-option', 'path', 'the SQLite store at `path` could not be opened')
    error.cause = cause
    throw error
  }
}

function prepared(db: DatabaseSync, durable: boolean): { sql: Statements; time: number } {
  // Several processes may start at once, or after a crash; opening is worth a longer wait than a call is.
  db.exec('PRAGMA busy_timeout = 5000')
  // Changing the journal of a new file needs it alone, and SQLite does not wait for that as it does for other locks.
  persist(() => db.exec('PRAGMA journal_mode = WAL'))
  db.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
  persist(() => lay(db))
  const sql = prepare(db)
  const time = Number(sql.readTime.get()?.value ?? 0)
  db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
  return { sql, time }
}

/** Makes what is kept, in a file that is empty or of an earlier version; throws for any other. */
function lay(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version)
    const objects = Number(db.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count)
    const fresh = version === 0 && objects === 0
    if (!fresh && version !== VERSION && !(version in UPGRADES)) {
      throw new ConfigError('invalid-option', 'path', 'the file at `path` is no store of this version of Haldir')
    }
    if (fresh) db.exec(SCHEMA)
    else for (let from = version; from < VERSION; from++) db.exec(UPGRADES[from] as string)
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

export type Statements = Record<keyof typeof STATEMENTS, StatementSync>

function prepare(db: DatabaseSync): Statements {
  const entries = Object.entries(STATEMENTS).map(([name, text]) => [name, db.prepare(text)] as const)
  const sql = Object.fromEntries(entries) as Statements
  // Amounts are 64-bit; everything else fits a number.
  sql.readMeter.setReadBigInts(true)
  sql.readRate.setReadBigInts(true)
  return sql
}
