/** The file of an index: what it keeps, and how it is opened. */
import { closeSync, openSync } from 'node:fs'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { ConfigError } from '../errors.ts'
import { persist, sqlite } from '../stores/sqlite-file.ts'
import { MEMBERS } from '../watch/filter.ts'

/** Marks the file as an index: one that is something else is refused, not written over. */
const APPLICATION = 0x48_49_44_58
/** An index of another layout is emptied: its files are still there. */
const VERSION = 1
/** How long SQLite itself waits for a lock: it blocks the event loop, so it is short. */
const BUSY_MS = 50

const columns = MEMBERS.map((member) => `"${member}" TEXT`).join(', ')

const SCHEMA = `
  -- How far each file has been read. \`size\`: up to where; \`tail\`: hash of what stands right before that. \`changed\`: when
  -- the file was last written to, if it was no longer then; else empty. \`first\`: its first line. \`next\`, \`time\`: the
  -- position that follows, and the latest time reached.
  CREATE TABLE files (
    name TEXT PRIMARY KEY, writer TEXT NOT NULL, number INTEGER NOT NULL, inode TEXT NOT NULL, changed TEXT NOT NULL,
    size INTEGER NOT NULL, tail TEXT NOT NULL, first TEXT NOT NULL, next INTEGER NOT NULL, time TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX files_of_writer ON files (writer, number);
  CREATE TABLE entries (
    row INTEGER PRIMARY KEY, writer TEXT NOT NULL, position INTEGER NOT NULL, time TEXT NOT NULL, at TEXT,
    enforced INTEGER, held INTEGER NOT NULL, spent INTEGER NOT NULL, ${columns}, line TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX by_position ON entries (writer, position);
  -- Entries of one time are few: they are sorted when they are asked for.
  CREATE INDEX by_time ON entries (time);
  CREATE INDEX by_agent ON entries (agent, time);
  CREATE INDEX by_tool ON entries (tool, time) WHERE tool IS NOT NULL;
  CREATE INDEX by_session ON entries (session, time);
  CREATE INDEX by_type ON entries (type, time);
  CREATE INDEX by_call ON entries (call) WHERE call IS NOT NULL;
  CREATE INDEX by_digest ON entries (digest) WHERE digest IS NOT NULL;
  CREATE INDEX by_code ON entries (code, time) WHERE code IS NOT NULL;
  CREATE INDEX by_approval ON entries (approval) WHERE approval IS NOT NULL;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${VERSION};
`

/** A database, and its statements: each text is prepared once. */
export interface Database {
  all(sql: string, ...values: SQLInputValue[]): Record<string, SQLInputValue>[]
  get(sql: string, ...values: SQLInputValue[]): Record<string, SQLInputValue> | undefined
  run(sql: string, ...values: SQLInputValue[]): void
  close(): void
}

/** Opens the file with mode 0600 (its journal inherits that) and makes what is missing in it. */
export function openDatabase(path: string): Database {
  let db: DatabaseSync | undefined
  try {
    if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600))
    const { DatabaseSync } = sqlite()
    const opened = new DatabaseSync(path)
    db = opened
    opened.exec('PRAGMA busy_timeout = 5000')
    persist(() => opened.exec('PRAGMA journal_mode = WAL'))
    // What a power cut takes is read again from the files.
    opened.exec('PRAGMA synchronous = NORMAL')
    // Entries go to many places of many indexes: with less memory, most of the time would go to fetching these.
    opened.exec('PRAGMA cache_size = -65536')
    persist(() => lay(opened))
    opened.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    return withStatements(opened)
  } catch (cause) {
    db?.close()
    if (cause instanceof ConfigError) throw cause
    const error = new ConfigError('invalid-option', 'database', 'the index at `database` could not be opened')
    error.cause = cause
    throw error
  }
}

function lay(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    const number = (pragma: string) => Number(Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0])
    const objects = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").all()
    const ours = number('application_id') === APPLICATION
    if (!ours && objects.length > 0) {
      throw new ConfigError('invalid-option', 'database', 'the file at `database` is no index of a trail')
    }
    if (!ours || number('user_version') !== VERSION) {
      for (const { name } of objects) db.exec(`DROP TABLE "${name}"`)
      db.exec(SCHEMA)
    }
    db.exec('COMMIT')
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** No more statements are kept ready than this: filters make ever new ones. */
const READY = 100

function withStatements(db: DatabaseSync): Database {
  const ready = new Map<string, StatementSync>()
  const prepared = (sql: string): StatementSync => {
    const found = ready.get(sql)
    if (found) return found
    if (ready.size >= READY) ready.clear()
    const statement = db.prepare(sql)
    ready.set(sql, statement)
    return statement
  }
  return {
    all: (sql, ...values) => prepared(sql).all(...values) as Record<string, SQLInputValue>[],
    get: (sql, ...values) => prepared(sql).get(...values) as Record<string, SQLInputValue> | undefined,
    run: (sql, ...values) => void prepared(sql).run(...values),
    close: () => db.close(),
  }
}
