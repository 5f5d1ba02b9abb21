/** The two transactions of a call, bare: the tables and the statements of the SQLite store, and nothing around them. */
import { DatabaseSync } from 'node:sqlite'
import type { Transactions } from './floor.ts'

const SESSION = 'ses_bench'
const METER = 'default|session:ses_bench|USD|total|budget'
const LEASE_MS = 900_000

export function bareTransactions(path: string): Transactions & { close(): void } {
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 50;
    CREATE TABLE sessions (id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL,
      agent TEXT NOT NULL, scopes TEXT NOT NULL, attributes TEXT NOT NULL, chain TEXT NOT NULL,
      created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER) STRICT, WITHOUT ROWID;
    CREATE TABLE meters (key TEXT PRIMARY KEY, cap INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0,
      held INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
    CREATE TABLE holds (call TEXT NOT NULL UNIQUE, session TEXT NOT NULL, state TEXT NOT NULL,
      lease INTEGER NOT NULL, parts TEXT NOT NULL) STRICT;
    CREATE INDEX holds_due ON holds (lease) WHERE state IN ('reserved', 'running');`)
  db.prepare(`INSERT INTO sessions VALUES (?, 'hash', 'default', 'bench', '[]', '{}', '[]', 0, ?, NULL)`).run(
    SESSION,
    Number.MAX_SAFE_INTEGER,
  )
  db.prepare('INSERT INTO meters (key, cap) VALUES (?, ?)').run(METER, Number.MAX_SAFE_INTEGER)

  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const life = db.prepare('SELECT expires_at, revoked_at FROM sessions WHERE id = ?')
  const hold = db.prepare('UPDATE meters SET held = held + ? WHERE key = ? AND used + held + ? <= cap')
  const insert = db.prepare(`INSERT INTO holds (call, session, state, lease, parts) VALUES (?, ?, 'running', ?, ?)`)
  const read = db.prepare('SELECT state, parts FROM holds WHERE call = ?')
  const use = db.prepare('UPDATE meters SET held = held - ?, used = used + ? WHERE key = ?')
  const end = db.prepare(`UPDATE holds SET state = 'settled', lease = ? WHERE call = ?`)

  return {
    admit(call, amount) {
      const micros = Math.round(amount * 1e6)
      begin.run()
      const row = life.get(SESSION) as { expires_at: number; revoked_at: number | null }
      if (row.revoked_at !== null || row.expires_at < Date.now()) throw new Error('the session is over')
      if (hold.run(micros, METER, micros).changes !== 1) throw new Error('over the limit')
      insert.run(call, SESSION, Date.now() + LEASE_MS, JSON.stringify([[METER, METER, String(micros)]]))
      commit.run()
    },
    settle(call) {
      begin.run()
      const { state, parts } = read.get(call) as { state: string; parts: string }
      if (state !== 'running') throw new Error('this hold has ended')
      for (const [, row, micros] of JSON.parse(parts) as [string, string, string][]) {
        use.run(Number(micros), Number(micros), row)
      }
      end.run(Date.now(), call)
      commit.run()
    },
    close: () => db.close(),
  }
}
