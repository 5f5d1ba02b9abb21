/** What the SQLite store keeps, and every statement it runs. Amounts are micro-units, times milliseconds. */

/** Which layout a file has. A file of another layout is refused when it is opened. */
export const VERSION = 2

export const SCHEMA: string = `
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, agent TEXT NOT NULL,
    scopes TEXT NOT NULL, attributes TEXT NOT NULL, chain TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_of_tenant ON sessions (tenant, expires_at, agent) WHERE revoked_at IS NULL;
  CREATE INDEX sessions_of_agent ON sessions (tenant, agent, expires_at) WHERE revoked_at IS NULL;
  CREATE TABLE lineage (
    ancestor TEXT NOT NULL, session TEXT NOT NULL, PRIMARY KEY (ancestor, session)
  ) STRICT, WITHOUT ROWID;
  -- One row for each window: its name, '|', the key of its meter. The row of a total has no name before the '|'.
  CREATE TABLE meters (
    key TEXT PRIMARY KEY, cap INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE rates (key TEXT PRIMARY KEY, level INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE holds (
    call TEXT NOT NULL UNIQUE, session TEXT NOT NULL, state TEXT NOT NULL, lease INTEGER NOT NULL, parts TEXT NOT NULL,
    once TEXT, memo TEXT
  ) STRICT;
  CREATE INDEX holds_due ON holds (lease) WHERE state IN ('reserved', 'running');
  CREATE INDEX holds_once ON holds (once) WHERE once IS NOT NULL;
  CREATE TABLE secrets (
    tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, key_id TEXT NOT NULL, wrapped TEXT NOT NULL,
    data TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (tenant, name, version)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE secret_uses (
    tenant TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (tenant, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE writers (id TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
  INSERT INTO clock (id, value) VALUES (1, 0);
  PRAGMA user_version = ${VERSION};
`

// Parameters are plain `?`: Node 22.13 fails on one that is used twice.
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
  extendSession: 'UPDATE sessions SET expires_at = ? WHERE id = ?',
  revokeTree: `UPDATE sessions SET revoked_at = ? WHERE revoked_at IS NULL
    AND (id = ? OR id IN (SELECT session FROM lineage WHERE ancestor = ?)) RETURNING id`,
  // The live sessions of a tenant, and of one agent in it; no more are counted than the limit and one.
  sessionsOfTenant: `SELECT count(*) AS count FROM
    (SELECT 1 FROM sessions WHERE tenant = ? AND revoked_at IS NULL AND expires_at > ? LIMIT ?)`,
  sessionsOfAgent: `SELECT count(*) AS count FROM
    (SELECT 1 FROM sessions WHERE tenant = ? AND agent = ? AND revoked_at IS NULL AND expires_at > ? LIMIT ?)`,
  agentsOfTenant: `SELECT count(*) AS count FROM
    (SELECT DISTINCT agent FROM sessions WHERE tenant = ? AND revoked_at IS NULL AND expires_at > ? LIMIT ?)`,

  insertMeter: 'INSERT INTO meters (key, cap) VALUES (?, ?)',
  readMeter: 'SELECT cap, used, held FROM meters WHERE key = ?',
  holdWithin: 'UPDATE meters SET held = held + ? WHERE key = ? AND used + held + ? <= cap',
  openWindow: 'INSERT INTO meters (key, cap) SELECT ?, cap FROM meters WHERE key = ?',
  moveMeter: 'UPDATE meters SET held = held + ?, used = used + ? WHERE key = ? RETURNING used + held > cap AS over',
  // A standing meter: its row is made on first use, and keeps the limit it was last used with.
  holdStanding: `INSERT INTO meters (key, cap, held) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET held = held + excluded.held, cap = excluded.cap WHERE used + held + excluded.held <= excluded.cap`,
  moveStanding: `INSERT INTO meters (key, cap, held, used) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET held = held + excluded.held, used = used + excluded.used, cap = excluded.cap RETURNING used + held > cap AS over`,

  readRate: 'SELECT level, at FROM rates WHERE key = ?',
  writeRate:
    'INSERT INTO rates (key, level, at) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET level = excluded.level, at = excluded.at',

  // While a hold lives, `lease` is when its lease is over; once it has ended or is orphaned, since when that is so.
  insertHold: 'INSERT INTO holds (call, session, state, lease, parts, once, memo) VALUES (?, ?, ?, ?, ?, ?, ?)',
  readHold: 'SELECT session, state, lease, parts FROM holds WHERE call = ?',
  getHold: 'SELECT session, state, memo FROM holds WHERE call = ?',
  onceTaken: `SELECT 1 FROM holds WHERE once = ? AND (state = 'running'
    OR (state = 'reserved' AND lease > ?) OR (state IN ('settled', 'orphaned') AND lease > ?)) LIMIT 1`,
  endHold: 'UPDATE holds SET state = ?, lease = ? WHERE call = ?',
  renew: `UPDATE holds SET lease = max(lease, ?) WHERE call = ? AND state = 'running'`,
  due: `SELECT call, state, lease, parts FROM holds WHERE state IN ('reserved', 'running') AND lease <= ? ORDER BY lease LIMIT ?`,
  // A look at the next rows, so that the cost does not grow with the table; the look after that goes on
  // behind them, so that holds which are never forgotten (orphans) do not hide the ones after them.
  lookEnd:
    'SELECT count(*) AS rows, max(rowid) AS last FROM (SELECT rowid FROM holds WHERE rowid > ? ORDER BY rowid LIMIT ?)',
  forget: `DELETE FROM holds WHERE rowid > ? AND rowid <= ? AND state IN ('settled', 'released') AND lease < ?`,

  insertSecret: `INSERT OR IGNORE INTO secrets (tenant, name, version, key_id, wrapped, data, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)`,
  readSecret: 'SELECT * FROM secrets WHERE tenant = ? AND name = ? ORDER BY version DESC LIMIT 1',
  listSecrets: `SELECT secrets.*, at AS used_at FROM secrets LEFT JOIN secret_uses USING (tenant, name)
    WHERE ? IS NULL OR tenant = ? ORDER BY tenant, name, version`,
  rewrapSecret: `UPDATE secrets SET key_id = ?, wrapped = ?
    WHERE tenant = ? AND name = ? AND version = ? AND key_id = ? AND wrapped = ?`,
  noteUse: `INSERT INTO secret_uses (tenant, name, at) SELECT tenant, name, ? FROM secrets WHERE tenant = ? AND name = ?
    LIMIT 1 ON CONFLICT (tenant, name) DO UPDATE SET at = max(at, excluded.at)`,
  deleteSecret: 'DELETE FROM secrets WHERE tenant = ? AND name = ?',
  forgetUse: 'DELETE FROM secret_uses WHERE tenant = ? AND name = ?',

  putWriter: 'INSERT INTO writers (id, data) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data',
  listWriters: 'SELECT id, data FROM writers ORDER BY id',
} as const
