/** What is kept. Amounts are micro-units as `bigint`, times are milliseconds since the epoch, free text is JSON text. */
export const TABLES: string = `
  -- The highest time that was told, but for the last moments: see now_at.
  CREATE TABLE haldir.clock (one boolean PRIMARY KEY DEFAULT true CHECK (one), value bigint NOT NULL) WITH (fillfactor = 20);
  INSERT INTO haldir.clock (value) VALUES (0);

  CREATE TABLE haldir.sessions (
    id text COLLATE "C" PRIMARY KEY, token_hash text COLLATE "C" NOT NULL UNIQUE, tenant text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL, scopes text NOT NULL, attributes text NOT NULL, chain text[] NOT NULL,
    meters text[] NOT NULL, created_at bigint NOT NULL, expires_at bigint NOT NULL, revoked_at bigint,
    suspended_by text COLLATE "C", suspended_rule text
  );
  CREATE INDEX sessions_suspended ON haldir.sessions (suspended_by) WHERE suspended_by IS NOT NULL;
  CREATE INDEX sessions_of_tenant ON haldir.sessions (tenant, expires_at, agent) WHERE revoked_at IS NULL;
  CREATE INDEX sessions_of_agent ON haldir.sessions (tenant, agent, expires_at) WHERE revoked_at IS NULL;
  CREATE INDEX sessions_to_forget ON haldir.sessions (expires_at);
  CREATE TABLE haldir.lineage (
    ancestor text COLLATE "C" NOT NULL, session text COLLATE "C" NOT NULL, PRIMARY KEY (ancestor, session)
  );
  CREATE INDEX lineage_of_session ON haldir.lineage (session);

  -- One row for each window: its name, '|', the key of its meter. The row of a total has no name before the '|'; that
  -- of a rate has '~' there, its level in 'used' and when it stood there in 'at'. A row without a 'cap' does not count:
  -- a statement that is under way has made it, to have it locked, and removes it when nothing was charged there.
  CREATE TABLE haldir.meters (
    slot text COLLATE "C" PRIMARY KEY, cap bigint, used bigint NOT NULL DEFAULT 0, held bigint NOT NULL DEFAULT 0,
    at bigint NOT NULL DEFAULT 0, forget_at bigint
  ) WITH (fillfactor = 70);
  CREATE INDEX meters_to_forget ON haldir.meters (forget_at) WHERE forget_at IS NOT NULL;

  -- While a hold lives, 'lease' is when its lease is over; once it has ended or is orphaned, since when that is so.
  CREATE TABLE haldir.holds (
    call text COLLATE "C" PRIMARY KEY, session text COLLATE "C" NOT NULL, state text COLLATE "C" NOT NULL,
    lease bigint NOT NULL, slots text[] NOT NULL, amounts bigint[] NOT NULL, once text COLLATE "C", memo text
  );
  CREATE INDEX holds_due ON haldir.holds (lease) WHERE state IN ('reserved', 'running');
  CREATE INDEX holds_once ON haldir.holds (once) WHERE once IS NOT NULL;
  CREATE INDEX holds_to_forget ON haldir.holds (lease) WHERE state IN ('settled', 'released');

  -- 'n' tells which was made first. 'forget_at': from when on it may be forgotten; nothing while it is pending.
  CREATE TABLE haldir.approvals (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, version bigint NOT NULL,
    state text COLLATE "C" NOT NULL, tenant text COLLATE "C" NOT NULL, session text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL, tool text COLLATE "C" NOT NULL, ref text COLLATE "C",
    binding text COLLATE "C" NOT NULL, grant_binding text COLLATE "C", grant_until bigint, created_at bigint NOT NULL,
    expires_at bigint NOT NULL, decided_at bigint, used_by text COLLATE "C", used_at bigint, forget_at bigint,
    data text NOT NULL
  );
  CREATE INDEX approvals_pending ON haldir.approvals (expires_at) WHERE state = 'pending';
  CREATE INDEX approvals_of_session ON haldir.approvals (session, n);
  CREATE INDEX approvals_of_agent ON haldir.approvals (tenant, agent, expires_at) WHERE state = 'pending';
  CREATE INDEX approvals_by_ref ON haldir.approvals (session, tool, ref, n) WHERE ref IS NOT NULL;
  CREATE INDEX approvals_to_forget ON haldir.approvals (forget_at) WHERE forget_at IS NOT NULL;
  -- What each channel shows of them. 'due': when it has to be told; nothing when it shows the approval as it is.
  CREATE TABLE haldir.deliveries (
    approval bigint NOT NULL REFERENCES haldir.approvals ON DELETE CASCADE, channel text COLLATE "C" NOT NULL,
    due bigint, attempt bigint NOT NULL DEFAULT 0, note text, PRIMARY KEY (approval, channel)
  );
  CREATE INDEX deliveries_due ON haldir.deliveries (channel, due) WHERE due IS NOT NULL;

  CREATE TABLE haldir.secrets (
    tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, version bigint NOT NULL, key_id text NOT NULL,
    wrapped text NOT NULL, sealed text NOT NULL, data text NOT NULL, created_at bigint NOT NULL,
    PRIMARY KEY (tenant, name, version)
  );
  CREATE TABLE haldir.secret_uses (
    tenant text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, at bigint NOT NULL, PRIMARY KEY (tenant, name)
  );
  CREATE TABLE haldir.writers (id text COLLATE "C" PRIMARY KEY, data text NOT NULL);
`
