/**
 * The most frequent of all by a shorter way: calls with one charge each on a total of their session, and nothing else. Both
 * answer the time alone when all are admitted, and leave everything else to `act`. Where `admit_one` must let go of its locks
 * for that, it answers that the call is known, leaves everything as it was, and `act` has to be asked by who called it.
 */
export const PLAIN: string = `
  -- One call alone: as few statements as can be, since each costs.
  CREATE FUNCTION haldir.admit_one(_call text, _session text, _slot text, _micros bigint, _lease bigint, _memo text,
    _sent bigint, _seen bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint;
    _mark bigint;
    _ends bigint;
  BEGIN
    PERFORM pg_advisory_xact_lock_shared(@lock@ + 1, hashtext(_session) & 1023);
    SELECT value, greatest(coalesce(_sent, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), _seen, value),
      CASE WHEN revoked_at IS NULL AND suspended_by IS NULL THEN expires_at END
      INTO _mark, _at, _ends FROM haldir.clock, haldir.sessions
      WHERE one AND id = _session
        AND current_setting('transaction_isolation') = 'read committed';
    IF _at < _ends THEN
      -- Invariant: held + used never exceeds the limit: the check and the change are one statement.
      UPDATE haldir.meters SET held = held + _micros WHERE slot = _slot AND _micros <= cap - used - held;
      IF FOUND THEN
        -- Unless its session has ended while we waited for the meter: then act says so.
        IF _sent IS NOT NULL OR extract(epoch FROM clock_timestamp()) * 1000 < _ends THEN
          INSERT INTO haldir.holds (call, session, state, lease, slots, amounts, memo)
            VALUES (_call, _session, 'running', _at + _lease, ARRAY[_slot], ARRAY[_micros], _memo) ON CONFLICT DO NOTHING;
          IF FOUND THEN
            IF _at > _mark + 200 THEN PERFORM haldir.mark(_at); END IF;
            RETURN to_jsonb(_at);
          END IF;
        END IF;
        UPDATE haldir.meters SET held = held - _micros WHERE slot = _slot;
      END IF;
      -- A call that has a hold already is looked at by act, which waits for holds. That has to be another statement: we have
      -- the meter locked, also where we waited for it and nothing fits any more, and who ends the call waits for the meter.
      IF EXISTS (SELECT FROM haldir.holds WHERE call = _call) THEN RETURN '{"known":true}'; END IF;
    END IF;
    RETURN haldir.act(jsonb_strip_nulls(jsonb_build_object('sent', _sent, 'seen', _seen, 'ops', jsonb_build_array(
      jsonb_build_object('do', 'admit', 'call', _call, 'session', _session, 'lease', _lease, 'memo', _memo,
        'charges', jsonb_build_array(jsonb_build_object('s', _slot, 'm', _micros::text)))))));
  END $$;

  -- Several, as one set: looked at together, and either all of them fit or act looks at each.
  CREATE FUNCTION haldir.admit_many(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _calls text[];
    _sessions text[];
    _slots text[];
    _micros bigint[];
    _leases bigint[];
    _memos text[];
    _n bigint;
  BEGIN
    SELECT array_agg(o ->> 'call' ORDER BY k), array_agg(o ->> 'session' ORDER BY k),
      array_agg(o #>> '{charges,0,s}' ORDER BY k), array_agg((o #>> '{charges,0,m}')::bigint ORDER BY k),
      array_agg((o ->> 'lease')::bigint ORDER BY k), array_agg(o ->> 'memo' ORDER BY k)
      INTO _calls, _sessions, _slots, _micros, _leases, _memos
      FROM jsonb_array_elements(body -> 'ops') WITH ORDINALITY e (o, k);
    PERFORM haldir.share(_sessions);
    -- Before meters are locked: act locks holds first.
    IF EXISTS (SELECT FROM haldir.holds WHERE call = ANY (_calls)) THEN RETURN haldir.act(body); END IF;
    PERFORM 1 FROM haldir.meters WHERE slot = ANY (_slots) ORDER BY slot FOR NO KEY UPDATE;
    _at := haldir.now_again(_at, body);
    IF EXISTS (SELECT FROM (SELECT DISTINCT i FROM unnest(_sessions) i) w LEFT JOIN haldir.sessions s ON s.id = w.i
        WHERE s.expires_at IS NULL OR s.expires_at <= _at OR s.revoked_at IS NOT NULL OR s.suspended_by IS NOT NULL)
      OR EXISTS (SELECT FROM unnest(_calls) c GROUP BY c HAVING count(*) > 1)
      -- Invariant: held + used never exceeds the limit: what all of them take together fits, and the rows are locked.
      OR EXISTS (SELECT FROM (SELECT i, sum(m) AS m FROM unnest(_slots, _micros) p (i, m) GROUP BY i) w
        LEFT JOIN haldir.meters x ON x.slot = w.i WHERE x.cap IS NULL OR w.m > x.cap - x.used - x.held) THEN
      -- Made while we waited for the meters: act waits for holds before it has meters.
      IF EXISTS (SELECT FROM haldir.holds WHERE call = ANY (_calls)) THEN
        RAISE EXCEPTION 'haldir: the same call at once' USING ERRCODE = 'serialization_failure';
      END IF;
      RETURN haldir.act(body);
    END IF;
    UPDATE haldir.meters x SET held = x.held + w.m::bigint
      FROM (SELECT i, sum(m) AS m FROM unnest(_slots, _micros) p (i, m) GROUP BY i) w WHERE x.slot = w.i;
    INSERT INTO haldir.holds (call, session, state, lease, slots, amounts, memo)
      SELECT c, s, 'running', _at + l, ARRAY[i], ARRAY[m], t
      FROM unnest(_calls, _sessions, _leases, _slots, _micros, _memos) p (c, s, l, i, m, t) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS _n = ROW_COUNT;
    IF _n < cardinality(_calls) THEN
      RAISE EXCEPTION 'haldir: the same call at once' USING ERRCODE = 'serialization_failure';
    END IF;
    PERFORM haldir.mark(_at);
    RETURN to_jsonb(_at);
  END $$;
`
