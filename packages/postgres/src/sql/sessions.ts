/** Sessions: made, extended, revoked, suspended. */
export const SESSIONS: string = `
  CREATE FUNCTION haldir.session_row(_s haldir.sessions) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN _s.id IS NOT NULL THEN jsonb_build_object('id', _s.id, 'tokenHash', _s.token_hash,
      'tenant', _s.tenant, 'agent', _s.agent, 'scopes', _s.scopes, 'attributes', _s.attributes, 'chain', _s.chain,
      'createdAt', _s.created_at, 'expiresAt', _s.expires_at, 'revokedAt', _s.revoked_at,
      'by', _s.suspended_by, 'rule', _s.suspended_rule) END
  $$;

  CREATE FUNCTION haldir.create_session(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _r jsonb := body -> 'row';
    _s haldir.sessions%ROWTYPE;
    _chain text[] := ARRAY(SELECT jsonb_array_elements_text(body #> '{row,chain}'));
    _a record;
    _cap jsonb;
  BEGIN
    _s.id := _r ->> 'id';
    _s.token_hash := _r ->> 'tokenHash';
    _s.tenant := _r ->> 'tenant';
    _s.agent := _r ->> 'agent';
    _s.scopes := _r ->> 'scopes';
    _s.attributes := _r ->> 'attributes';
    _s.chain := _chain;
    _s.meters := ARRAY(SELECT m ->> 'key' FROM jsonb_array_elements(body -> 'meters') m);
    _s.created_at := _at;
    _s.expires_at := _at + (_r ->> 'ttl')::bigint;
    -- Those who count make their sessions one after the other.
    IF jsonb_array_length(body -> 'caps') > 0 THEN PERFORM haldir.lock_names(2, ARRAY[_s.tenant]); END IF;
    -- Nobody revokes or suspends what it comes from at this moment.
    PERFORM haldir.share(_chain);
    -- Invariant: it ends no later than those it comes from, and is revoked or suspended from the start when one is.
    FOR _a IN SELECT s.id, s.expires_at, s.revoked_at, s.suspended_by, s.suspended_rule
      FROM unnest(_chain) WITH ORDINALITY c (id, n) LEFT JOIN haldir.sessions s USING (id) ORDER BY n LOOP
      IF _a.id IS NULL THEN RAISE EXCEPTION 'haldir knows no such ancestor' USING ERRCODE = 'HAL04'; END IF;
      _s.expires_at := least(_s.expires_at, _a.expires_at);
      _s.revoked_at := coalesce(_s.revoked_at, _a.revoked_at);
      IF _a.suspended_by IS NOT NULL THEN
        _s.suspended_by := _a.suspended_by;
        _s.suspended_rule := _a.suspended_rule;
      END IF;
    END LOOP;
    FOR _cap IN SELECT jsonb_array_elements(body -> 'caps') LOOP
      IF haldir.counted(_s, _cap, _at) > (_cap ->> 'limit')::bigint THEN
        PERFORM haldir.mark(_at);
        RETURN jsonb_build_object('at', _at, 'cap', _cap -> 'n');
      END IF;
    END LOOP;
    INSERT INTO haldir.sessions SELECT _s.*;
    INSERT INTO haldir.lineage (ancestor, session) SELECT a, _s.id FROM unnest(_chain) a;
    INSERT INTO haldir.meters (slot, cap)
      SELECT '|' || (m ->> 'key'), (m ->> 'limit')::bigint FROM jsonb_array_elements(body -> 'meters') m ORDER BY 1;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'row', haldir.session_row(_s));
  END $$;

  -- How many there would be of what a cap counts; no more are counted than the limit and one.
  CREATE FUNCTION haldir.counted(_s haldir.sessions, _cap jsonb, _at bigint) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    _most bigint := greatest(0, (_cap ->> 'limit')::bigint) + 1;
    _lives boolean := _s.revoked_at IS NULL AND _s.expires_at > _at;
    _count bigint;
  BEGIN
    IF _cap ->> 'per' = 'agent' THEN
      SELECT count(*) INTO _count FROM (SELECT FROM haldir.sessions WHERE tenant = _s.tenant AND agent = _s.agent
        AND revoked_at IS NULL AND expires_at > _at LIMIT _most) found;
      _count := _count + _lives::int;
      RETURN CASE WHEN _cap ->> 'count' = 'agents' THEN least(1, _count) ELSE _count END;
    END IF;
    IF _cap ->> 'count' = 'agents' THEN
      SELECT count(*) INTO _count FROM (SELECT DISTINCT agent FROM haldir.sessions WHERE tenant = _s.tenant
        AND agent <> _s.agent AND revoked_at IS NULL AND expires_at > _at LIMIT _most) found;
      RETURN _count + (_lives OR EXISTS (SELECT FROM haldir.sessions WHERE tenant = _s.tenant AND agent = _s.agent
        AND revoked_at IS NULL AND expires_at > _at))::int;
    END IF;
    SELECT count(*) INTO _count FROM (SELECT FROM haldir.sessions WHERE tenant = _s.tenant
      AND revoked_at IS NULL AND expires_at > _at LIMIT _most) found;
    RETURN _count + _lives::int;
  END $$;

  CREATE FUNCTION haldir.get_session(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  BEGIN
    IF body ? 'id' THEN
      RETURN jsonb_build_object('row', (SELECT haldir.session_row(s) FROM haldir.sessions s WHERE id = body ->> 'id'));
    END IF;
    RETURN jsonb_build_object('row',
      (SELECT haldir.session_row(s) FROM haldir.sessions s WHERE token_hash = body ->> 'tokenHash'));
  END $$;

  CREATE FUNCTION haldir.extend(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _s haldir.sessions%ROWTYPE;
    _end bigint;
  BEGIN
    SELECT * INTO _s FROM haldir.sessions WHERE id = body ->> 'id' FOR UPDATE;
    IF FOUND AND _s.revoked_at IS NULL AND _at < _s.expires_at THEN
      -- Invariant: a session ends no later than those it was made from. One that is not known allows nothing.
      SELECT least(_at + (body ->> 'ttl')::bigint, min(coalesce(s.expires_at, 0))) INTO _end
        FROM unnest(_s.chain) c (id) LEFT JOIN haldir.sessions s USING (id);
      IF _end > _s.expires_at THEN
        UPDATE haldir.sessions SET expires_at = _end WHERE id = _s.id;
        _s.expires_at := _end;
        PERFORM haldir.tell('sessions', ARRAY[_s.id]);
      END IF;
    END IF;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'row', haldir.session_row(_s));
  END $$;

  -- A session and all that was made from it. As one value: nothing tells how many there are before they are read.
  CREATE FUNCTION haldir.tree(_id text) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY[_id] || ARRAY(SELECT session FROM haldir.lineage WHERE ancestor = _id)
  $$;

  CREATE FUNCTION haldir.revoke_tree(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _id text := body ->> 'id';
    _tree text[];
    _ids text[];
  BEGIN
    PERFORM haldir.seize(_id);
    _tree := haldir.tree(_id);
    WITH ended AS (
      UPDATE haldir.sessions SET revoked_at = _at WHERE id = ANY (_tree) AND revoked_at IS NULL RETURNING id
    ) SELECT coalesce(array_agg(id), '{}') INTO _ids FROM ended;
    PERFORM haldir.tell('sessions', _ids);
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'ids', _ids);
  END $$;

  CREATE FUNCTION haldir.suspend_tree(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _id text := body ->> 'id';
    _rule text := body ->> 'rule';
    _chain text[];
    _tree text[];
    _ids text[] := '{}';
  BEGIN
    PERFORM haldir.seize(_id);
    _tree := haldir.tree(_id);
    SELECT chain INTO _chain FROM haldir.sessions WHERE id = _id;
    IF FOUND THEN
      -- Invariant: a session stands still for the nearest of itself and its ancestors that was suspended, so lifting one
      -- suspension never lifts another. Of an ancestor's suspension this one takes over what it is nearer to.
      UPDATE haldir.sessions SET suspended_by = _id, suspended_rule = _rule
        WHERE id = ANY (_tree) AND suspended_by = ANY (_chain);
      WITH still AS (
        UPDATE haldir.sessions SET suspended_by = _id, suspended_rule = _rule
        WHERE id = ANY (_tree) AND suspended_by IS NULL RETURNING id
      ) SELECT coalesce(array_agg(id), '{}') INTO _ids FROM still;
    END IF;
    PERFORM haldir.tell('sessions', _ids);
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'ids', _ids);
  END $$;

  CREATE FUNCTION haldir.resume_tree(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _id text := body ->> 'id';
    _by text;
    _rule text;
    _ids text[];
  BEGIN
    PERFORM haldir.seize(_id);
    -- The parent speaks for all ancestors; what it says holds for everything that was suspended with this session.
    SELECT p.suspended_by, p.suspended_rule INTO _by, _rule
      FROM haldir.sessions s JOIN haldir.sessions p ON p.id = s.chain[cardinality(s.chain)] WHERE s.id = _id;
    WITH lifted AS (
      UPDATE haldir.sessions SET suspended_by = _by, suspended_rule = _rule WHERE suspended_by = _id RETURNING id
    ) SELECT coalesce(array_agg(id), '{}') INTO _ids FROM lifted;
    IF _by IS NOT NULL THEN _ids := '{}'; END IF;
    PERFORM haldir.tell('sessions', _ids);
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'ids', _ids);
  END $$;
`
