/** How holds end, by what their process says or by time, and what can be read of amounts. */
export const ENDING: string = `
  -- Replaces what a hold counts for by what was spent. Part of act, which has locked everything by then.
  CREATE FUNCTION haldir.settle(_op jsonb, _charged text[], _at bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _h haldir.holds%ROWTYPE := haldir.held(_op ->> 'call');
    _known boolean := _h.call IS NOT NULL;
    _spent jsonb := _op -> 'charges';
    _over boolean := false;
    _moved boolean;
  BEGIN
    IF NOT _known AND cardinality(_charged) = 0 THEN RETURN '{"state":"unknown"}'; END IF;
    -- What has not begun to run has spent nothing.
    IF _h.state IN ('reserved', 'settled', 'released') THEN RETURN jsonb_build_object('state', _h.state); END IF;
    -- What was admitted has been counted by its rates.
    IF NOT _known THEN
      FOR _i IN 1 .. cardinality(_charged) LOOP
        IF _spent -> _i - 1 ? 'rate' THEN
          PERFORM haldir.charge(_spent -> _i - 1, _charged[_i], _at);
          SELECT used > cap INTO _moved FROM haldir.meters WHERE slot = _charged[_i];
          _over := _over OR coalesce(_moved, true);
        END IF;
      END LOOP;
    END IF;
    WITH parts AS (
      SELECT slot, micros, n FROM unnest(_h.slots, _h.amounts) WITH ORDINALITY p (slot, micros, n)
    ), spent AS (
      -- A hold settles in the window it was admitted in.
      SELECT coalesce((SELECT slot FROM parts WHERE substr(slot, strpos(slot, '|')) = c ->> 's' ORDER BY n LIMIT 1),
        _charged[k]) AS slot, (c ->> 'm')::numeric AS micros, c, k
      FROM jsonb_array_elements(_spent) WITH ORDINALITY s (c, k) WHERE NOT c ? 'rate'
    ), moves AS (
      SELECT slot, sum(held) AS held, sum(used) AS used,
        (array_agg(c ->> 'limit' ORDER BY k DESC) FILTER (WHERE c IS NOT NULL))[1]::numeric AS cap
      FROM (
        SELECT slot, CASE WHEN _h.state = 'orphaned' THEN 0 ELSE -micros END AS held,
          CASE WHEN _h.state = 'orphaned' THEN -micros ELSE 0 END + CASE WHEN _spent IS NULL THEN micros ELSE 0 END AS used,
          NULL::jsonb AS c, 0 AS k FROM parts
        UNION ALL SELECT slot, 0, micros, c, k FROM spent
      ) each GROUP BY slot
    ), moved AS (
      UPDATE haldir.meters m SET held = (m.held + v.held)::bigint, used = (m.used + v.used)::bigint,
        cap = CASE WHEN v.cap IS NULL THEN m.cap ELSE least(v.cap, 9223372036854775807)::bigint END
      FROM moves v WHERE m.slot = v.slot AND coalesce(v.cap, m.cap) IS NOT NULL
      RETURNING m.slot, m.used::numeric + m.held > m.cap AS over
    )
    -- What a missing meter can't count is beyond it.
    SELECT coalesce(bool_or(CASE WHEN moved.slot IS NULL THEN moves.used > 0 ELSE moved.over END), false) INTO _moved
      FROM moves LEFT JOIN moved USING (slot);
    IF _known THEN
      UPDATE haldir.holds SET state = 'settled', lease = _at WHERE call = _h.call;
    ELSE
      PERFORM haldir.bury(_op ->> 'call', 'settled', _at);
    END IF;
    RETURN jsonb_build_object('state', 'settled', 'overrun', _over OR _moved);
  END $$;

  -- Notes that a call which nobody knew has ended.
  CREATE FUNCTION haldir.bury(_call text, _state text, _at bigint) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO haldir.holds (call, session, state, lease, slots, amounts) VALUES (_call, '', _state, _at, '{}', '{}')
      ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'haldir: the same call at once' USING ERRCODE = 'serialization_failure';
    END IF;
  END $$;

  CREATE FUNCTION haldir.cancel(_call text, _at bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _h haldir.holds%ROWTYPE := haldir.held(_call);
  BEGIN
    IF _h.call IS NULL THEN
      PERFORM haldir.bury(_call, 'released', _at);
      RETURN '{"state":"unknown"}';
    END IF;
    -- Invariant: an orphan stays counted; only a late settle may change it.
    IF _h.state IN ('orphaned', 'settled', 'released') THEN RETURN jsonb_build_object('state', _h.state); END IF;
    PERFORM haldir.let_go(_h.slots, _h.amounts, false);
    UPDATE haldir.holds SET state = 'released', lease = _at WHERE call = _call;
    RETURN '{"state":"released"}';
  END $$;

  -- Takes a hold's amounts off its rows: given back, or counted as spent.
  CREATE FUNCTION haldir.let_go(_slots text[], _amounts bigint[], _spent boolean) RETURNS void LANGUAGE sql AS $$
    UPDATE haldir.meters m SET held = (m.held - p.micros)::bigint,
      used = (m.used + CASE WHEN _spent THEN p.micros ELSE 0 END)::bigint
    FROM (SELECT slot, sum(micros) AS micros FROM unnest(_slots, _amounts) p (slot, micros) GROUP BY slot) p
    WHERE m.slot = p.slot
  $$;

  CREATE FUNCTION haldir.renew(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _calls text[] := ARRAY(SELECT jsonb_array_elements_text(body -> 'calls'));
  BEGIN
    PERFORM 1 FROM haldir.holds WHERE call = ANY (_calls) ORDER BY call FOR UPDATE;
    UPDATE haldir.holds SET lease = greatest(lease, _at + (body ->> 'lease')::bigint)
      WHERE call = ANY (_calls) AND state = 'running';
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at);
  END $$;

  CREATE FUNCTION haldir.expire(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _h record;
    _calls text[];
    _released text[] := '{}';
    _orphaned text[] := '{}';
  BEGIN
    -- What somebody is ending at this moment is left to him.
    SELECT array_agg(call) INTO _calls FROM (SELECT call FROM haldir.holds
      WHERE state IN ('reserved', 'running') AND lease <= _at ORDER BY lease LIMIT (body ->> 'limit')::bigint
      FOR UPDATE SKIP LOCKED) due;
    IF _calls IS NOT NULL THEN
      PERFORM 1 FROM haldir.meters WHERE slot IN (SELECT unnest(slots) FROM haldir.holds WHERE call = ANY (_calls))
        ORDER BY slot FOR NO KEY UPDATE;
      FOR _h IN SELECT call, state, slots, amounts FROM haldir.holds WHERE call = ANY (_calls) ORDER BY lease LOOP
        -- Invariant: time never gives a running hold back. It may have been spent, so it is counted as spent.
        PERFORM haldir.let_go(_h.slots, _h.amounts, _h.state = 'running');
        IF _h.state = 'running' THEN _orphaned := _orphaned || _h.call; ELSE _released := _released || _h.call; END IF;
      END LOOP;
      UPDATE haldir.holds SET state = CASE state WHEN 'running' THEN 'orphaned' ELSE 'released' END, lease = _at
        WHERE call = ANY (_calls);
    END IF;
    PERFORM haldir.forget(_at);
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'released', _released, 'orphaned', _orphaned);
  END $$;

  -- Forgets what is over for long, some rows at a time: holds after a day, sessions after thirty.
  CREATE FUNCTION haldir.forget(_at bigint) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    _ids text[];
    _keys text[];
  BEGIN
    DELETE FROM haldir.holds WHERE call IN (SELECT call FROM haldir.holds
      WHERE state IN ('settled', 'released') AND lease < _at - 86400000 ORDER BY lease LIMIT 1024 FOR UPDATE SKIP LOCKED);
    DELETE FROM haldir.meters WHERE slot IN (SELECT slot FROM haldir.meters
      WHERE forget_at < _at AND held = 0 ORDER BY forget_at LIMIT 512 FOR UPDATE SKIP LOCKED);
    -- A child ends no later than what it was made from, so it goes first.
    WITH gone AS (
      DELETE FROM haldir.sessions WHERE id IN (SELECT id FROM haldir.sessions WHERE expires_at < _at - 2592000000
        ORDER BY expires_at, cardinality(chain) DESC LIMIT 256 FOR UPDATE SKIP LOCKED) RETURNING id, meters
    ) SELECT array_agg(id), array_agg(k) INTO _ids, _keys FROM gone LEFT JOIN unnest(meters) k ON true;
    IF _ids IS NULL THEN RETURN; END IF;
    DELETE FROM haldir.lineage WHERE session = ANY (_ids);
    DELETE FROM haldir.meters WHERE slot IN (SELECT '|' || k FROM unnest(_keys) k) AND held = 0;
  END $$;

  CREATE FUNCTION haldir.read_meters(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _meters jsonb;
  BEGIN
    -- One statement: meters that a call charges together are never seen half charged.
    SELECT coalesce(jsonb_agg(CASE
      WHEN c ? 'rate' THEN jsonb_build_object('used', coalesce(haldir.leaked(m.used, m.at,
        (c #>> '{rate,limit}')::numeric, (c #>> '{rate,period}')::numeric, _at), 0)::text)
      WHEN m.cap IS NOT NULL THEN
        jsonb_build_object('limit', m.cap::text, 'used', m.used::text, 'held', m.held::text)
      WHEN b.cap IS NOT NULL THEN jsonb_build_object('limit', b.cap::text, 'used', '0', 'held', '0') END
      ORDER BY n), '[]') INTO _meters
    FROM jsonb_array_elements(body -> 'meters') WITH ORDINALITY w (c, n)
      LEFT JOIN haldir.meters m ON m.slot =
        CASE WHEN c ? 'w' THEN haldir.window_name(c ->> 'w', c ->> 'z', _at) ELSE '' END || (c ->> 's')
      LEFT JOIN haldir.meters b ON b.slot = c ->> 's' AND c ? 'w';
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'meters', _meters);
  END $$;

  CREATE FUNCTION haldir.get_hold(body jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('hold', (SELECT jsonb_build_object('session', session, 'state', state, 'memo', memo)
      FROM haldir.holds WHERE call = body ->> 'call'))
  $$;
`
