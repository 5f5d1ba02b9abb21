/** Opening a SQLite file: who may read it, how it is written, which statements are ready. */
import { closeSync, openSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { ConfigError } from '../errors.ts'
import { SCHEMA, STATEMENTS } from './sqlite-schema.ts'

/** How long SQLite itself waits for a lock: it blocks the event loop, so it is short. */
const BUSY_MS = 50

/** Opens the file with mode 0600 (its journal inherits that) and makes what is missing in it; `time`: the last it saw. */
export function open(path: string, durable: boolean): { db: DatabaseSync; sql: Statements; time: number } {
  if (typeof path !== 'string' || path === '') throw new ConfigError('invalid-option', 'path', '`path` names a file')
  try {
    if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600))
    const { DatabaseSync } = sqlite()
    const db = new DatabaseSync(path)
    // Several processes may start at once, or after a crash; opening is worth a longer wait than a call is.
    db.exec('PRAGMA busy_timeout = 5000')
    // Changing the journal of a new file needs it alone, and SQLite does not wait for that as it does for other locks.
    persist(() => db.exec('PRAGMA journal_mode = WAL'))
    db.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`)
    persist(() => db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`))
    const sql = prepare(db)
    const time = Number(sql.readTime.get()?.value ?? 0)
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    return { db, sql, time }
  } catch (cause) {
    const error = new ConfigError('invalid-option', 'path', 'the SQLite store at `path` could not be opened')
    error.cause = cause
    throw error
  }
}

/** Tries again while another connection is in the way, for about five seconds. Blocks: a store is opened once. */
function persist(work: () => void): void {
  for (let tries = 0; ; tries++) {
    try {
      work()
      return
    } catch (error) {
      if (!isBusy(error) || tries === OPEN_TRIES) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_PAUSE_MS)
    }
  }
}

const OPEN_PAUSE_MS = 10
const OPEN_TRIES = 500

export type Statements = Record<keyof typeof STATEMENTS, StatementSync>

function prepare(db: DatabaseSync): Statements {
  const entries = Object.entries(STATEMENTS).map(([name, text]) => [name, db.prepare(text)] as const)
  const sql = Object.fromEntries(entries) as Statements
  // Amounts are 64-bit; everything else fits a number.
  sql.readMeter.setReadBigInts(true)
  return sql
}

/** Loads `node:sqlite` without the warning that Node 22 prints for it. */
function sqlite(): typeof import('node:sqlite') {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:sqlite')
  } finally {
    process.emitWarning = emitWarning
  }
}

/** Whether another connection is in the way; nothing was done then, and the same may succeed a little later. */
export function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: number } | null)?.errcode
  return typeof code === 'number' && ((code & 0xff) === 5 || (code & 0xff) === 6)
}
