/** What the SQLite store keeps, and every statement it runs. Amounts are micro-units, times milliseconds. */

/** Which layout a file has. A file of a layout named below is brought up to date; any other is refused. */
export const VERSION = 5

/** What watchers are told of: the latest changes, in order. Kept by the file itself, whoever writes to it. */
const CHANGES: string = `
  CREATE TABLE changes (seq INTEGER PRIMARY KEY, about TEXT NOT NULL, id TEXT NOT NULL) STRICT;
  CREATE TRIGGER session_changed AFTER UPDATE OF expires_at, revoked_at, suspended_by, suspended_rule ON sessions
    BEGIN INSERT INTO changes (about, id) VALUES ('sessions', new.id); END;
  CREATE TRIGGER approval_made AFTER INSERT ON approvals
    BEGIN INSERT INTO changes (about, id) VALUES ('approvals', new.id); END;
  CREATE TRIGGER approval_changed AFTER UPDATE OF version, used_by ON approvals
    BEGIN INSERT INTO changes (about, id) VALUES ('approvals', new.id); END;
  -- The newest is never deleted: so numbers are given once, and a gap says that there were more.
  CREATE TRIGGER changes_forgotten AFTER INSERT ON changes
    BEGIN DELETE FROM changes WHERE seq <= new.seq - 4096; END;
`

/** What makes a file of one layout a file of the next. */
export const UPGRADES: Readonly<Record<number, string>> = {
  3: `
    ALTER TABLE sessions ADD COLUMN suspended_by TEXT;
    ALTER TABLE sessions ADD COLUMN suspended_rule TEXT;
    CREATE INDEX sessions_suspended ON sessions (suspended_by) WHERE suspended_by IS NOT NULL;
    PRAGMA user_version = 4;
  `,
  4: `${CHANGES} PRAGMA user_version = 5;`,
}

export const SCHEMA: string = `
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, agent TEXT NOT NULL,
    scopes TEXT NOT NULL, attributes TEXT NOT NULL, chain TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER,
    suspended_by TEXT, suspended_rule TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_suspended ON sessions (suspended_by) WHERE suspended_by IS NOT NULL;
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
  -- Rowids tell which was made first. \`forget_at\`: from when on it may be forgotten; nothing while it is pending.
  CREATE TABLE approvals (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, state TEXT NOT NULL,
    tenant TEXT NOT NULL, session TEXT NOT NULL, agent TEXT NOT NULL, tool TEXT NOT NULL, ref TEXT,
    binding TEXT NOT NULL, grant_binding TEXT, grant_until INTEGER, created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, decided_at INTEGER, used_by TEXT, used_at INTEGER, forget_at INTEGER, data TEXT NOT NULL
  ) STRICT;
  CREATE INDEX approvals_pending ON approvals (expires_at) WHERE state = 'pending';
  CREATE INDEX approvals_of_session ON approvals (session, state, expires_at);
  CREATE INDEX approvals_of_agent ON approvals (tenant, agent, expires_at) WHERE state = 'pending';
  CREATE INDEX approvals_by_ref ON approvals (session, tool, ref) WHERE ref IS NOT NULL;
  CREATE INDEX approvals_by_binding ON approvals (session, binding) WHERE ref IS NULL AND used_by IS NULL;
  CREATE INDEX approvals_by_grant ON approvals (session, grant_binding) WHERE grant_until IS NOT NULL;
  CREATE INDEX approvals_to_forget ON approvals (forget_at) WHERE forget_at IS NOT NULL;
  -- What each channel shows of them. \`due\`: when it has to be told; nothing when it shows the approval as it is.
  CREATE TABLE deliveries (
    approval INTEGER NOT NULL, channel TEXT NOT NULL, due INTEGER, attempt INTEGER NOT NULL DEFAULT 0, note TEXT,
    PRIMARY KEY (approval, channel)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX deliveries_due ON deliveries (channel, due) WHERE due IS NOT NULL;
  CREATE TABLE writers (id TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
  INSERT INTO clock (id, value) VALUES (1, 0);
  ${CHANGES}
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
    (id, token_hash, tenant, agent, scopes, attributes, chain, created_at, expires_at, revoked_at,
    suspended_by, suspended_rule) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  insertLineage: 'INSERT INTO lineage (ancestor, session) VALUES (?, ?)',
  sessionById: 'SELECT * FROM sessions WHERE id = ?',
  sessionByToken: 'SELECT * FROM sessions WHERE token_hash = ?',
  sessionLife: 'SELECT expires_at, revoked_at, suspended_by, suspended_rule FROM sessions WHERE id = ?',
  extendSession: 'UPDATE sessions SET expires_at = ? WHERE id = ?',
  revokeTree: `UPDATE sessions SET revoked_at = ? WHERE revoked_at IS NULL
    AND (id = ? OR id IN (SELECT session FROM lineage WHERE ancestor = ?)) RETURNING id`,
  // Of an ancestor's suspension this one takes over what it is nearer to; then what stands free.
  suspendNearer: `UPDATE sessions SET suspended_by = ?, suspended_rule = ? WHERE suspended_by IN
    (SELECT value FROM json_each(?)) AND (id = ? OR id IN (SELECT session FROM lineage WHERE ancestor = ?))`,
  suspendTree: `UPDATE sessions SET suspended_by = ?, suspended_rule = ? WHERE suspended_by IS NULL
    AND (id = ? OR id IN (SELECT session FROM lineage WHERE ancestor = ?)) RETURNING id`,
  resumeTree: 'UPDATE sessions SET suspended_by = ?, suspended_rule = ? WHERE suspended_by = ? RETURNING id',
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

  insertApproval: `INSERT INTO approvals
    (id, version, state, tenant, session, agent, tool, ref, binding, grant_binding, created_at, expires_at, data)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  readApproval: 'SELECT * FROM approvals WHERE id = ?',
  approvalByRef: 'SELECT * FROM approvals WHERE session = ? AND tool = ? AND ref = ? ORDER BY row DESC LIMIT 1',
  approvalByBinding: `SELECT * FROM approvals WHERE session = ? AND binding = ? AND ref IS NULL AND used_by IS NULL
    AND (state = 'denied' OR (state IN ('pending', 'approved') AND expires_at > ?)) ORDER BY row DESC LIMIT 1`,
  approvalByGrant: `SELECT * FROM approvals WHERE session = ? AND grant_binding = ? AND grant_until > ?
    AND state = 'approved' ORDER BY row DESC LIMIT 1`,
  // `+row`: sorted, so that the few rows are found first; else all there are would be read in their order.
  listApprovals: `SELECT * FROM approvals WHERE (? IS NULL OR tenant = ?) AND (? IS NULL OR agent = ?)
    AND (? IS NULL OR state = ?) ORDER BY row DESC LIMIT ?`,
  listPending: `SELECT * FROM approvals WHERE state = 'pending' AND (? IS NULL OR tenant = ?)
    AND (? IS NULL OR agent = ?) ORDER BY +row DESC LIMIT ?`,
  listOfSession: `SELECT * FROM approvals WHERE session = ? AND (? IS NULL OR tenant = ?) AND (? IS NULL OR agent = ?)
    AND (? IS NULL OR state = ?) ORDER BY +row DESC LIMIT ?`,
  pendingOfSession: `SELECT count(*) AS count FROM approvals WHERE session = ? AND state = 'pending' AND expires_at > ?`,
  pendingOfAgent: `SELECT count(*) AS count FROM approvals
    WHERE tenant = ? AND agent = ? AND state = 'pending' AND expires_at > ?`,
  changeApproval: `UPDATE approvals SET version = ?, state = ?, binding = ?, grant_until = ?, decided_at = ?,
    forget_at = ?, data = ? WHERE row = ?`,
  useApproval: `UPDATE approvals SET used_by = ?, used_at = ? WHERE id = ? AND used_by IS NULL AND state <> 'pending'`,
  approvalsOver: `SELECT * FROM approvals WHERE state = 'pending' AND expires_at <= ? ORDER BY expires_at, row LIMIT ?`,
  forgetApprovals: `DELETE FROM approvals WHERE row IN
    (SELECT row FROM approvals WHERE forget_at < ? ORDER BY forget_at LIMIT ?) RETURNING row`,

  insertDelivery: 'INSERT OR IGNORE INTO deliveries (approval, channel, due) VALUES (?, ?, ?)',
  deliveriesDue: `SELECT approvals.*, due, attempt, note FROM deliveries JOIN approvals ON row = approval
    WHERE channel = ? AND due <= ? ORDER BY due, approval LIMIT ?`,
  handOut: 'UPDATE deliveries SET due = ?, attempt = attempt + 1 WHERE approval = ? AND channel = ?',
  tellAgain: 'UPDATE deliveries SET due = ?, attempt = 0 WHERE approval = ?',
  readDelivery:
    'SELECT row, version, note FROM approvals JOIN deliveries ON approval = row WHERE id = ? AND channel = ?',
  toldOf: 'UPDATE deliveries SET due = ?, note = coalesce(?, note) WHERE approval = ? AND channel = ?',
  // What has changed since it was handed out is not put off: that is another delivery.
  tellLater: 'UPDATE deliveries SET due = ? WHERE approval = ? AND channel = ? AND due IS NOT NULL AND attempt > 0',
  forgetDeliveries: 'DELETE FROM deliveries WHERE approval = ?',

  // Changes when another connection has committed; what changed then is in the list, unless that is of no interest.
  dataVersion: 'PRAGMA data_version',
  lastChange: 'SELECT max(seq) AS seq FROM changes',
  changesSince: 'SELECT seq, about, id FROM changes WHERE seq > ? ORDER BY seq',

  putWriter: 'INSERT INTO writers (id, data) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data',
  listWriters: 'SELECT id, data FROM writers ORDER BY id',
} as const
