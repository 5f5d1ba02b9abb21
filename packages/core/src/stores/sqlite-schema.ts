/** What the SQLite store keeps, and every statement it runs. Amounts are micro-units, times milliseconds. */

export const SCHEMA: string = `
  CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, agent TEXT NOT NULL,
    scopes TEXT NOT NULL, attributes TEXT NOT NULL, chain TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS lineage (
    ancestor TEXT NOT NULL, session TEXT NOT NULL, PRIMARY KEY (ancestor, session)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS meters (
    key TEXT PRIMARY KEY, cap INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holds (
    call TEXT NOT NULL UNIQUE, session TEXT NOT NULL, state TEXT NOT NULL, lease INTEGER NOT NULL, parts TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS holds_due ON holds (lease) WHERE state IN ('reserved', 'running');
  CREATE TABLE IF NOT EXISTS secrets (
    tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (tenant, name, version)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS writers (id TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO clock (id, value) VALUES (1, 0);
`

export const STATEMENTS = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',

  readTime: 'SELECT value FROM clock',
  writeTime: 'UPDATE clock SET value = max(value, ?)',

  insertSession: `INSERT INTO sessions
    (id, token_hash, tenant, agent, scopes, attributes, chain, created_at, expires_at, revoked_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  insertLineage: 'INSERT INTO lineage (ancestor, session) VALUES (?, ?)',
  sessionById: 'SELECT * FROM sessions WHERE id = ?',
  sessionByToken: 'SELECT * FROM sessions WHERE token_hash = ?',
  sessionLife: 'SELECT expires_at, revoked_at FROM sessions WHERE id = ?',
  revokeTree: `UPDATE sessions SET revoked_at = ? WHERE revoked_at IS NULL
    AND (id = ? OR id IN (SELECT session FROM lineage WHERE ancestor = ?)) RETURNING id`,

  insertMeter: 'INSERT INTO meters (key, cap) VALUES (?, ?)',
  readMeter: 'SELECT cap, used, held FROM meters WHERE key = ?',
  holdWithin: 'UPDATE meters SET held = held + ? WHERE key = ? AND used + held + ? <= cap',
  holdMeter: 'UPDATE meters SET held = held + ? WHERE key = ?',
  useMeter: 'UPDATE meters SET used = used + ? WHERE key = ?',
  openWindow: 'INSERT INTO meters (key, cap) SELECT ?, cap FROM meters WHERE key = ?',
  isOver: 'SELECT 1 FROM meters WHERE key = ? AND used + held > cap',

  // While a hold lives, `lease` is when its lease is over; once it has ended, when it ended.
  insertHold: 'INSERT INTO holds (call, session, state, lease, parts) VALUES (?, ?, ?, ?, ?)',
  readHold: 'SELECT state, lease, parts FROM holds WHERE call = ?',
  endHold: 'UPDATE holds SET state = ?, lease = ? WHERE call = ?',
  renew: `UPDATE holds SET lease = max(lease, ?) WHERE call = ? AND state = 'running'`,
  due: `SELECT call, state, lease, parts FROM holds WHERE state IN ('reserved', 'running') AND lease <= ? ORDER BY lease LIMIT ?`,
  // A look at the next rows, so that the cost does not grow with the table; the look after that goes on
  // behind them, so that holds which are never forgotten (orphans) do not hide the ones after them.
  lookEnd:
    'SELECT count(*) AS rows, max(rowid) AS last FROM (SELECT rowid FROM holds WHERE rowid > ? ORDER BY rowid LIMIT ?)',
  forget: `DELETE FROM holds WHERE rowid > ? AND rowid <= ? AND state IN ('settled', 'released') AND lease < ?`,

  insertSecret: 'INSERT OR IGNORE INTO secrets (tenant, name, version, data) VALUES (?, ?, ?, ?)',
  readSecret: 'SELECT * FROM secrets WHERE tenant = ? AND name = ? ORDER BY version DESC LIMIT 1',
  listSecrets: 'SELECT * FROM secrets WHERE tenant = ? ORDER BY name, version',
  deleteSecret: 'DELETE FROM secrets WHERE tenant = ? AND name = ?',

  putWriter: 'INSERT INTO writers (id, data) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data',
  listWriters: 'SELECT id, data FROM writers ORDER BY id',
} as const
