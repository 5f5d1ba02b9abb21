/** What moves amounts: admit, reserve, settle and cancel, several of a process in one statement. */

/**
 * Runs operations one after the other, as if each were alone. Everything they will touch is locked first, in one order for
 * all, so that nobody waits in a circle. A refused one changes nothing: all of it is looked at before anything is changed.
 */
export const ACT: string = `
  CREATE FUNCTION haldir.act(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _ops jsonb := body -> 'ops';
    _last int := jsonb_array_length(body -> 'ops') - 1;
    _op jsonb;
    _c jsonb;
    _calls text[] := '{}';
    _sessions text[] := '{}';
    _onces text[] := '{}';
    _consents text[] := '{}';
    _slots text[] := '{}';
    _bases text[] := '{}';
    _standing boolean[] := '{}';
    _keep bigint[] := '{}';
    _held text[];
    _made text[];
    _fresh boolean := false;
    _from int := 1;
    _n int;
    _answers jsonb := '[]';
  BEGIN
    FOR _i IN 0 .. _last LOOP
      _op := _ops -> _i;
      _calls := _calls || (_op ->> 'call');
      IF _op ? 'session' THEN _sessions := _sessions || (_op ->> 'session'); END IF;
      IF _op ? 'once' THEN _onces := _onces || (_op ->> 'once'); END IF;
      IF _op ? 'consent' THEN _consents := _consents || (_op #>> '{consent,id}'); END IF;
      FOR _j IN 0 .. coalesce(jsonb_array_length(_op -> 'charges'), 0) - 1 LOOP
        _c := _op -> 'charges' -> _j;
        _bases := _bases || (_c ->> 's');
        IF _c ? 'w' THEN
          _slots := _slots || (haldir.window_name(_c ->> 'w', _c ->> 'z', _at) || (_c ->> 's'));
          _fresh := true;
        ELSE
          _slots := _slots || (_c ->> 's');
          _fresh := _fresh OR _c ? 'limit' OR _c ? 'rate';
        END IF;
        _standing := _standing || (_c ? 'limit' OR _c ? 'rate');
        -- A past window is kept for two months after it was begun, for what was held in it and settles late.
        _keep := _keep || CASE WHEN _c ? 'w' THEN _at + 5356800000 END;
      END LOOP;
    END LOOP;

    IF cardinality(_onces) > 0 THEN PERFORM haldir.lock_names(3, _onces); END IF;
    -- Invariant: after a revoke has returned nothing is admitted: it waits for those that share this lock.
    IF cardinality(_sessions) = 1 THEN
      PERFORM pg_advisory_xact_lock_shared(@lock@ + 1, hashtext(_sessions[1]) & 1023);
    ELSIF cardinality(_sessions) > 1 THEN
      PERFORM haldir.share(_sessions);
    END IF;
    SELECT array_agg(s) INTO _held FROM
      (SELECT slots FROM haldir.holds WHERE call = ANY (_calls) ORDER BY call FOR UPDATE) h, unnest(h.slots) s;
    IF cardinality(_consents) > 0 THEN
      PERFORM 1 FROM haldir.approvals WHERE id = ANY (_consents) ORDER BY id FOR UPDATE;
    END IF;
    IF _fresh THEN
      -- The first use of a window makes its row from the meter's.
      WITH wanted AS (
        SELECT DISTINCT ON (slot) slot, base, standing, keep
        FROM unnest(_slots, _bases, _standing, _keep) w (slot, base, standing, keep) ORDER BY slot, standing DESC
      ), made AS (
        INSERT INTO haldir.meters (slot, cap, forget_at)
        SELECT w.slot, b.cap, w.keep FROM wanted w LEFT JOIN haldir.meters b ON b.slot = w.base AND NOT w.standing
        WHERE (w.standing OR b.cap IS NOT NULL) AND NOT EXISTS (SELECT FROM haldir.meters m WHERE m.slot = w.slot)
        ORDER BY w.slot ON CONFLICT DO NOTHING RETURNING slot
      ) SELECT array_agg(slot) INTO _made FROM made;
    END IF;
    IF _last > 0 OR _held IS NOT NULL OR cardinality(_slots) > 1 THEN
      PERFORM 1 FROM haldir.meters WHERE slot = ANY (_slots || _held) ORDER BY slot FOR NO KEY UPDATE;
    END IF;

    _at := haldir.now_again(_at, body);
    FOR _i IN 0 .. _last LOOP
      _op := _ops -> _i;
      _n := coalesce(jsonb_array_length(_op -> 'charges'), 0);
      _answers := _answers || CASE _op ->> 'do'
        WHEN 'settle' THEN haldir.settle(_op, _slots[_from : _from + _n - 1], _at)
        WHEN 'cancel' THEN haldir.cancel(_op ->> 'call', _at)
        ELSE haldir.take(_op, _slots[_from : _from + _n - 1], _at) END;
      _from := _from + _n;
    END LOOP;
    IF _made IS NOT NULL THEN DELETE FROM haldir.meters WHERE slot = ANY (_made) AND cap IS NULL; END IF;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'answers', _answers);
  END $$;

  -- Why an approval does not let a call of a session pass, if so.
  CREATE FUNCTION haldir.consent_refusal(_op jsonb, _at bigint) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE
    _a haldir.approvals%ROWTYPE;
    _binding text := _op #>> '{consent,binding}';
    _grant boolean := coalesce((_op #>> '{consent,grant}')::boolean, false);
  BEGIN
    SELECT * INTO _a FROM haldir.approvals WHERE id = _op #>> '{consent,id}';
    -- Invariant: an approval is for one session and exactly one binding: digest, tool definition and asking rules.
    IF NOT FOUND OR _a.session <> _op ->> 'session' THEN RETURN 'approval-denied'; END IF;
    IF (CASE WHEN _grant THEN _a.grant_binding ELSE _a.binding END) IS DISTINCT FROM _binding THEN
      RETURN 'approval-denied';
    END IF;
    IF _a.state IN ('denied', 'withdrawn') THEN RETURN 'approval-denied'; END IF;
    IF _a.state = 'expired' THEN RETURN 'approval-expired'; END IF;
    IF _a.state = 'pending' THEN
      RETURN CASE WHEN _at >= _a.expires_at THEN 'approval-expired' ELSE 'approval-pending' END;
    END IF;
    IF _grant THEN RETURN CASE WHEN _at < _a.grant_until THEN NULL ELSE 'approval-expired' END; END IF;
    IF _a.used_by IS NOT NULL THEN
      RETURN CASE WHEN _a.used_by = _op ->> 'call' THEN NULL ELSE 'approval-used' END;
    END IF;
    RETURN CASE WHEN _at >= _a.expires_at THEN 'approval-expired' END;
  END $$;

  -- Why a session admits nothing, if so.
  CREATE FUNCTION haldir.session_refusal(_id text, _at bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _ends bigint;
    _revoked bigint;
    _by text;
    _rule text;
  BEGIN
    SELECT expires_at, revoked_at, suspended_by, suspended_rule INTO _ends, _revoked, _by, _rule
      FROM haldir.sessions WHERE id = _id;
    IF NOT FOUND THEN RETURN '{"refused":"no-session"}'; END IF;
    -- Invariant: a revoked session admits nothing. Revoking marks the whole tree at once, and a child ends no later than
    -- its parent, so a session's own row speaks for its ancestors; suspending marks the whole tree, too.
    IF _revoked IS NOT NULL THEN RETURN '{"refused":"session-revoked"}'; END IF;
    IF _at >= _ends THEN RETURN '{"refused":"session-expired"}'; END IF;
    IF _by IS NOT NULL THEN RETURN jsonb_build_object('refused', 'session-suspended', 'rule', _rule); END IF;
    RETURN NULL;
  END $$;
`
