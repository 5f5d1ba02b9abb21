/** Functions about time, and about who has to wait for whom. */

/**
 * The store's now is the server's, or the one that was sent, but never less than the mark in `clock` nor than what the
 * process has seen, moved on by the time that has passed there since. Whoever is more than 200 ms past the mark moves it, but
 * waits for nobody who is doing that: so no row is written by every call.
 */
export const TIME: string = `
  CREATE FUNCTION haldir.now_at(body jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    _mark bigint;
  BEGIN
    -- A snapshot that is older than the locks would show what others have changed meanwhile as it was.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
      RAISE EXCEPTION 'haldir needs transactions that are read committed' USING ERRCODE = 'HAL02';
    END IF;
    SELECT value INTO _mark FROM haldir.clock WHERE one;
    -- Invariant: a clock going backwards never extends or refills anything.
    RETURN greatest(
      coalesce((body ->> 'sent')::bigint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint),
      (body ->> 'seen')::bigint, _mark);
  END $$;

  -- The same once the locks are there: who has waited for them is judged by the time at which he goes on, so that a session
  -- whose end came meanwhile admits nothing. Less than a tenth of a second is no wait.
  CREATE FUNCTION haldir.now_again(_at bigint, body jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
  BEGIN
    IF clock_timestamp() < statement_timestamp() + interval '100 milliseconds' THEN RETURN _at; END IF;
    RETURN greatest(_at, haldir.now_at(body));
  END $$;

  CREATE FUNCTION haldir.mark(_at bigint) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    IF _at <= (SELECT value FROM haldir.clock WHERE one) + 200 THEN RETURN; END IF;
    PERFORM 1 FROM haldir.clock WHERE one AND value < _at FOR UPDATE SKIP LOCKED;
    IF FOUND THEN UPDATE haldir.clock SET value = _at WHERE one AND value < _at; END IF;
  END $$;

  -- Names the window that a moment falls into. The same names as core has.
  CREATE FUNCTION haldir.window_name(_window text, _zone text, _at bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
  DECLARE
    _utc timestamp := timestamp '1970-01-01' + _at * interval '1 millisecond';
    _local timestamp := CASE WHEN _zone IS NULL THEN _utc ELSE (_utc AT TIME ZONE 'UTC') AT TIME ZONE _zone END;
    _ahead interval := _local - _utc;
    _name text := CASE _window
      WHEN 'hour' THEN to_char(_local, 'YYYY-MM-DD"T"HH24')
      WHEN 'day' THEN to_char(_local, 'YYYY-MM-DD')
      WHEN 'week' THEN to_char(_local, 'IYYY"-W"IW')
      WHEN 'month' THEN to_char(_local, 'YYYY-MM') END;
  BEGIN
    IF _name IS NULL THEN RAISE EXCEPTION 'haldir knows no such window' USING ERRCODE = 'HAL03'; END IF;
    IF _zone IS NULL THEN RETURN _name; END IF;
    -- When the clock is put back, an hour comes twice by its name: the offset tells the two apart.
    IF _window = 'hour' THEN
      _name := _name || CASE WHEN _ahead < interval '0' THEN '-' ELSE '+' END
        || to_char(greatest(_ahead, -_ahead), 'HH24:MI');
    END IF;
    RETURN _name || '@' || _zone;
  END $$;

  -- Tells who listens that sessions or approvals have changed. It is sent when the statement is committed.
  CREATE FUNCTION haldir.tell(_about text, _ids text[]) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    _hint text := jsonb_build_object('about', _about, 'ids', _ids)::text;
  BEGIN
    IF cardinality(_ids) = 0 THEN RETURN; END IF;
    IF octet_length(_hint) > 7900 THEN _hint := '{"about":"everything"}'; END IF;
    PERFORM pg_notify('@schema@_hints', _hint);
  END $$;

  -- Locks are taken in this order, each kind sorted, so that nobody waits in a circle: tenant, once keys, sessions,
  -- holds, approvals, meters.
  CREATE FUNCTION haldir.bucket(_session text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtext(_session) & 1023
  $$;

  -- Whoever admits shares the lock of the session, and whoever revokes or suspends has it alone. There are 1,024 locks.
  CREATE FUNCTION haldir.share(_sessions text[]) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    _bucket int;
  BEGIN
    FOR _bucket IN SELECT DISTINCT haldir.bucket(s) FROM unnest(_sessions) s ORDER BY 1 LOOP
      PERFORM pg_advisory_xact_lock_shared(@lock@ + 1, _bucket);
    END LOOP;
  END $$;

  CREATE FUNCTION haldir.seize(_session text) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    _bucket int;
    _buckets int[];
  BEGIN
    SELECT array_agg(DISTINCT haldir.bucket(s)) INTO _buckets
      FROM (SELECT _session UNION ALL SELECT session FROM haldir.lineage WHERE ancestor = _session) tree (s);
    FOR _bucket IN SELECT b FROM unnest(_buckets) b ORDER BY b LOOP
      PERFORM pg_advisory_xact_lock(@lock@ + 1, _bucket);
    END LOOP;
    -- From now on nothing is made from this session. What was made while we waited has to be locked, too: once more.
    IF EXISTS (SELECT FROM haldir.lineage WHERE ancestor = _session AND haldir.bucket(session) <> ALL (_buckets)) THEN
      RAISE EXCEPTION 'haldir: a session was made meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
  END $$;

  CREATE FUNCTION haldir.lock_names(_kind int, _names text[]) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    _hash int;
  BEGIN
    FOR _hash IN SELECT DISTINCT hashtext(s) FROM unnest(_names) s ORDER BY 1 LOOP
      PERFORM pg_advisory_xact_lock(@lock@ + _kind, _hash);
    END LOOP;
  END $$;
`
