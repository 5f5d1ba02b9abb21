/** Approvals: asked for, changed, found, ended. */
export const APPROVALS: string = `
  CREATE FUNCTION haldir.approval_row(_a haldir.approvals) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN _a.id IS NOT NULL THEN jsonb_build_object('id', _a.id, 'version', _a.version, 'state', _a.state,
      'tenant', _a.tenant, 'session', _a.session, 'agent', _a.agent, 'tool', _a.tool, 'ref', _a.ref,
      'binding', _a.binding, 'grantBinding', _a.grant_binding, 'grantUntil', _a.grant_until,
      'createdAt', _a.created_at, 'expiresAt', _a.expires_at, 'decidedAt', _a.decided_at,
      'usedBy', _a.used_by, 'usedAt', _a.used_at, 'data', _a.data) END
  $$;

  CREATE FUNCTION haldir.request_approval(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _r jsonb := body -> 'approval';
    _a haldir.approvals%ROWTYPE;
    _ends bigint;
    _refusal jsonb;
    _n bigint;
  BEGIN
    -- Those who count what is pending of one session or one agent ask one after the other.
    PERFORM haldir.lock_names(4, ARRAY['session ' || (_r ->> 'session'),
      'agent ' || (_r ->> 'tenant') || ' ' || (_r ->> 'agent')]);
    PERFORM haldir.share(ARRAY[_r ->> 'session']);
    _refusal := haldir.session_refusal(_r ->> 'session', _at);
    IF _refusal IS NULL THEN
      SELECT * INTO _a FROM haldir.approvals WHERE id = _r ->> 'id';
      IF NOT FOUND THEN
        IF (SELECT count(*) FROM (SELECT FROM haldir.approvals WHERE session = _r ->> 'session' AND state = 'pending'
          AND expires_at > _at LIMIT (body ->> 'perSession')::bigint) p) >= (body ->> 'perSession')::bigint THEN
          _refusal := '{"refused":"too-many","per":"session"}';
        ELSIF (SELECT count(*) FROM (SELECT FROM haldir.approvals WHERE tenant = _r ->> 'tenant'
          AND agent = _r ->> 'agent' AND state = 'pending' AND expires_at > _at LIMIT (body ->> 'perAgent')::bigint) p)
          >= (body ->> 'perAgent')::bigint THEN
          _refusal := '{"refused":"too-many","per":"agent"}';
        ELSE
          SELECT expires_at INTO _ends FROM haldir.sessions WHERE id = _r ->> 'session';
          -- Invariant: an approval ends no later than its session, so the session's end need not be looked up again.
          INSERT INTO haldir.approvals (id, version, state, tenant, session, agent, tool, ref, binding, grant_binding,
            created_at, expires_at, data)
          VALUES (_r ->> 'id', 1, 'pending', _r ->> 'tenant', _r ->> 'session', _r ->> 'agent', _r ->> 'tool',
            _r ->> 'ref', _r ->> 'binding', _r ->> 'grant', _at, least(_at + (_r ->> 'ttl')::bigint, _ends), _r ->> 'data')
          RETURNING * INTO _a;
          INSERT INTO haldir.deliveries (approval, channel, due)
            SELECT DISTINCT _a.n, c, _at FROM jsonb_array_elements_text(body -> 'channels') c;
          PERFORM haldir.tell('approvals', ARRAY[_a.id]);
        END IF;
      END IF;
    END IF;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'refusal', _refusal, 'row', haldir.approval_row(_a));
  END $$;

  CREATE FUNCTION haldir.get_approval(body jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('row', (SELECT haldir.approval_row(a) FROM haldir.approvals a WHERE id = body ->> 'id'))
  $$;

  CREATE FUNCTION haldir.find_approval(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _session text := body ->> 'session';
    _a haldir.approvals%ROWTYPE;
  BEGIN
    IF body ? 'ref' THEN
      SELECT * INTO _a FROM haldir.approvals WHERE session = _session AND tool = body ->> 'tool'
        AND ref = body ->> 'ref' ORDER BY n DESC LIMIT 1;
    ELSIF body ? 'grant' THEN
      SELECT * INTO _a FROM haldir.approvals WHERE session = _session AND grant_binding = body ->> 'grant'
        AND grant_until > _at AND state = 'approved' ORDER BY n DESC LIMIT 1;
    ELSE
      SELECT * INTO _a FROM haldir.approvals WHERE session = _session AND binding = body ->> 'binding'
        AND ref IS NULL AND used_by IS NULL
        AND (state = 'denied' OR (state IN ('pending', 'approved') AND expires_at > _at)) ORDER BY n DESC LIMIT 1;
    END IF;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'row', haldir.approval_row(_a));
  END $$;

  CREATE FUNCTION haldir.list_approvals(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _rows jsonb;
  BEGIN
    SELECT coalesce(jsonb_agg(haldir.approval_row(a) ORDER BY n DESC), '[]') INTO _rows FROM (
      SELECT * FROM haldir.approvals WHERE (NOT body ? 'tenant' OR tenant = body ->> 'tenant')
        AND (NOT body ? 'session' OR session = body ->> 'session') AND (NOT body ? 'agent' OR agent = body ->> 'agent')
        AND (NOT body ? 'state' OR state = body ->> 'state') ORDER BY n DESC LIMIT (body ->> 'limit')::bigint) a;
    RETURN jsonb_build_object('rows', _rows);
  END $$;

  -- What a change makes of an approval; nothing when it can't be changed like that, now.
  CREATE FUNCTION haldir.alter_approval(_id text, _change jsonb, _at bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _a haldir.approvals%ROWTYPE;
    _state text := _change ->> 'state';
  BEGIN
    -- Invariant: what was decided stays, and of two who decide at once the second comes too late. A vote or a decision
    -- only while there is time; expired only when there is none; withdrawn always.
    UPDATE haldir.approvals SET version = version + 1, state = coalesce(_state, state),
      decided_at = CASE WHEN _state IS NULL THEN decided_at ELSE _at END,
      binding = coalesce(_change ->> 'binding', binding),
      grant_until = CASE WHEN _change ? 'grantMs' AND grant_binding IS NOT NULL
        THEN _at + (_change ->> 'grantMs')::bigint ELSE grant_until END,
      data = coalesce(_change ->> 'data', data)
    WHERE id = _id AND state = 'pending' AND version = (_change ->> 'version')::bigint
      AND (coalesce(_state = 'withdrawn', false) OR coalesce(_state = 'expired', false) = (_at >= expires_at))
    RETURNING * INTO _a;
    IF NOT FOUND THEN RETURN NULL; END IF;
    -- Somebody may still present one that was approved.
    UPDATE haldir.approvals SET forget_at = 2592000000 + CASE WHEN state = 'approved'
      THEN greatest(expires_at, decided_at, grant_until) ELSE decided_at END WHERE n = _a.n AND state <> 'pending';
    UPDATE haldir.deliveries SET due = _at, attempt = 0 WHERE approval = _a.n;
    PERFORM haldir.tell('approvals', ARRAY[_a.id]);
    RETURN haldir.approval_row(_a);
  END $$;

  CREATE FUNCTION haldir.change_approval(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _row jsonb := haldir.alter_approval(body ->> 'id', body -> 'change', _at);
  BEGIN
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'row', _row);
  END $$;

  CREATE FUNCTION haldir.use_approval(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _used boolean;
  BEGIN
    UPDATE haldir.approvals SET used_by = body ->> 'call', used_at = _at
      WHERE id = body ->> 'id' AND used_by IS NULL AND state <> 'pending';
    _used := FOUND;
    IF _used THEN PERFORM haldir.tell('approvals', ARRAY[body ->> 'id']); END IF;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'used', _used);
  END $$;

  CREATE FUNCTION haldir.expire_approvals(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _a record;
    _row jsonb;
    _rows jsonb := '[]';
  BEGIN
    FOR _a IN SELECT id, version FROM haldir.approvals WHERE state = 'pending' AND expires_at <= _at
      ORDER BY expires_at, n LIMIT (body ->> 'limit')::bigint FOR UPDATE SKIP LOCKED LOOP
      _row := haldir.alter_approval(_a.id, jsonb_build_object('state', 'expired', 'version', _a.version), _at);
      IF _row IS NOT NULL THEN _rows := _rows || jsonb_build_array(_row); END IF;
    END LOOP;
    DELETE FROM haldir.approvals WHERE n IN (SELECT n FROM haldir.approvals
      WHERE forget_at < _at ORDER BY forget_at LIMIT 256 FOR UPDATE SKIP LOCKED);
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'rows', _rows);
  END $$;
`
