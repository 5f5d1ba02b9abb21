/** Taking what one call needs, or nothing. Part of `act`, which has locked all but the row of a charge that is alone. */
export const TAKE: string = `
  CREATE FUNCTION haldir.take(_op jsonb, _slots text[], _at bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _call text := _op ->> 'call';
    _runs boolean := _op ->> 'do' = 'admit';
    _until bigint := _at + (_op ->> 'lease')::bigint;
    _charges jsonb := _op -> 'charges';
    _n int := cardinality(_slots);
    _refusal jsonb;
    _why text;
    _hold haldir.holds%ROWTYPE;
    _c jsonb;
    _micros numeric;
    _kept_slots text[] := '{}';
    _kept bigint[] := '{}';
  BEGIN
    _refusal := haldir.session_refusal(_op ->> 'session', _at);
    IF _refusal IS NOT NULL THEN RETURN _refusal; END IF;
    IF _runs AND _op ? 'consent' THEN
      _why := haldir.consent_refusal(_op, _at);
      IF _why IS NOT NULL THEN RETURN jsonb_build_object('refused', _why); END IF;
    END IF;

    _hold := haldir.held(_call);
    IF _hold.call IS NOT NULL THEN
      -- The same call again: a repeated verb is the same hold, and an admit lets a reserved one run.
      IF _hold.session <> _op ->> 'session'
        OR NOT (_hold.state = 'running' OR (_hold.state = 'reserved' AND _hold.lease > _at)) THEN
        RETURN '{"refused":"unavailable"}';
      END IF;
      IF _runs AND _hold.state = 'reserved' THEN
        UPDATE haldir.holds SET state = 'running', lease = _until WHERE call = _call;
      END IF;
    ELSE
      IF _op ? 'once' AND EXISTS (SELECT FROM haldir.holds WHERE once = _op ->> 'once' AND (state = 'running'
        OR (state = 'reserved' AND lease > _at) OR (state IN ('settled', 'orphaned') AND lease > _at - 86400000))) THEN
        RETURN '{"refused":"duplicate-call"}';
      END IF;
      IF _n > 0 THEN
        -- Invariant: held + used never exceeds the limit, and a call takes from all its meters or from none.
        IF _n > 1 OR NOT haldir.hold_one(_charges -> 0, _slots[1]) THEN
          -- The only row of an operation alone is not locked so far, and what is looked at must not change any more.
          IF _n = 1 THEN PERFORM 1 FROM haldir.meters WHERE slot = _slots[1] FOR NO KEY UPDATE; END IF;
          _refusal := haldir.too_much(_charges, _slots, _at);
          IF _refusal IS NOT NULL THEN RETURN _refusal; END IF;
          FOR _i IN 1 .. _n LOOP PERFORM haldir.charge(_charges -> _i - 1, _slots[_i], _at); END LOOP;
        END IF;
        FOR _i IN 1 .. _n LOOP
          _c := _charges -> _i - 1;
          IF NOT _c ? 'rate' THEN
            _kept_slots := _kept_slots || _slots[_i];
            _kept := _kept || (_c ->> 'm')::bigint;
          END IF;
        END LOOP;
      END IF;
      IF NOT _runs OR _n > 0 OR _op ? 'once' THEN
        INSERT INTO haldir.holds (call, session, state, lease, slots, amounts, once, memo)
          VALUES (_call, _op ->> 'session', CASE WHEN _runs THEN 'running' ELSE 'reserved' END, _until, _kept_slots,
            _kept, _op ->> 'once', _op ->> 'memo')
          ON CONFLICT DO NOTHING;
        -- Somebody has made it since we looked.
        IF NOT FOUND THEN
          RAISE EXCEPTION 'haldir: the same call at once' USING ERRCODE = 'serialization_failure';
        END IF;
      END IF;
    END IF;
    -- Invariant: an approval is used by one call, and only by one that is admitted.
    IF _runs AND _op ? 'consent' AND NOT coalesce((_op #>> '{consent,grant}')::boolean, false) THEN
      UPDATE haldir.approvals SET used_by = _call, used_at = _at WHERE id = _op #>> '{consent,id}' AND used_by IS NULL;
      IF FOUND THEN PERFORM haldir.tell('approvals', ARRAY[_op #>> '{consent,id}']); END IF;
    END IF;
    RETURN '{"ok":true}';
  END $$;

  -- The hold of a call. Locked already, but for one that was made while we waited for meters: then nobody else may be at it,
  -- since waiting for holds comes before waiting for meters.
  CREATE FUNCTION haldir.held(_call text) RETURNS haldir.holds LANGUAGE plpgsql AS $$
  DECLARE
    _h haldir.holds%ROWTYPE;
  BEGIN
    SELECT * INTO _h FROM haldir.holds WHERE call = _call FOR UPDATE SKIP LOCKED;
    IF NOT FOUND AND EXISTS (SELECT FROM haldir.holds WHERE call = _call) THEN
      RAISE EXCEPTION 'haldir: the same call at once' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN _h;
  END $$;

  -- The only charge of a call, if it fits: the check and the change are one statement. False also when it is a rate.
  CREATE FUNCTION haldir.hold_one(_c jsonb, _slot text) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    _micros numeric := (_c ->> 'm')::numeric;
    _limit bigint := CASE WHEN _c ? 'limit' THEN least((_c ->> 'limit')::numeric, 9223372036854775807) END;
  BEGIN
    -- What 64 bits do not hold fits no meter.
    IF _c ? 'rate' OR _micros > 9223372036854775807 THEN RETURN false; END IF;
    UPDATE haldir.meters SET held = held + _micros::bigint, cap = coalesce(_limit, cap)
      WHERE slot = _slot AND used::numeric + held + _micros <= coalesce(_limit, cap);
    RETURN FOUND;
  END $$;

  -- Why these charges do not fit, if so: the first of them, counted with those before it on the same row.
  CREATE FUNCTION haldir.too_much(_charges jsonb, _slots text[], _at bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _c jsonb;
    _m record;
    _found boolean;
    _wanted numeric;
    _all numeric;
    _rate_limit numeric;
    _period numeric;
    _burst numeric;
  BEGIN
    FOR _i IN 1 .. cardinality(_slots) LOOP
      _c := _charges -> _i - 1;
      SELECT cap, used, held, at INTO _m FROM haldir.meters WHERE slot = _slots[_i];
      _found := FOUND;
      -- It was there when it was looked for, and has been forgotten since.
      IF NOT _found AND (_c ? 'limit' OR _c ? 'rate') THEN
        RAISE EXCEPTION 'haldir: a row went away' USING ERRCODE = 'serialization_failure';
      END IF;
      _wanted := 0;
      _all := 0;
      FOR _j IN 1 .. cardinality(_slots) LOOP
        IF _slots[_j] = _slots[_i] THEN
          _all := _all + (_charges -> _j - 1 ->> 'm')::numeric;
          IF _j <= _i THEN _wanted := _all; END IF;
        END IF;
      END LOOP;
      IF _c ? 'rate' THEN
        _rate_limit := (_c #>> '{rate,limit}')::numeric;
        _period := (_c #>> '{rate,period}')::numeric;
        _burst := (_c #>> '{rate,burst}')::numeric;
        IF haldir.leaked(_m.used, _m.at, _rate_limit, _period, _at) + _wanted > _burst THEN
          IF _all > _burst OR _rate_limit <= 0 THEN
            RETURN jsonb_build_object('refused', 'rate-exceeded', 'charge', _i - 1);
          END IF;
          -- The least whole time in which the excess leaks out, counted from the moment the level is of.
          RETURN jsonb_build_object('refused', 'rate-exceeded', 'charge', _i - 1, 'retryMs',
            _m.at - _at + div((_m.used + _all - _burst) * _period + _rate_limit - 1, _rate_limit));
        END IF;
      ELSIF NOT _found OR coalesce((_c ->> 'limit')::numeric, _m.cap) IS NULL THEN
        RETURN jsonb_build_object('refused', 'unavailable', 'charge', _i - 1);
      ELSIF _m.used::numeric + _m.held + _wanted
        > least(coalesce((_c ->> 'limit')::numeric, _m.cap), 9223372036854775807) THEN
        RETURN jsonb_build_object('refused', 'budget-exceeded', 'charge', _i - 1);
      END IF;
    END LOOP;
    RETURN NULL;
  END $$;

  -- What is left of a level that stood there at _since, rounded as core rounds it.
  CREATE FUNCTION haldir.leaked(_level bigint, _since bigint, _limit numeric, _period numeric, _at bigint)
    RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    -- Invariant: a clock going backwards never refills anything. What another process saw later stays.
    SELECT CASE WHEN _at <= _since THEN _level ELSE greatest(0, _level - div(_limit * (_at - _since), _period)) END
  $$;

  -- Counts one charge that was found to fit, or, of a rate, was spent.
  CREATE FUNCTION haldir.charge(_c jsonb, _slot text, _at bigint) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    _micros bigint := (_c ->> 'm')::numeric;
    _rate_limit numeric := (_c #>> '{rate,limit}')::numeric;
    _period numeric := (_c #>> '{rate,period}')::numeric;
    _dry bigint;
  BEGIN
    IF _c ? 'rate' THEN
      UPDATE haldir.meters SET used = (haldir.leaked(used, at, _rate_limit, _period, _at) + _micros)::bigint,
        at = greatest(at, _at), cap = least((_c #>> '{rate,burst}')::numeric, 9223372036854775807)::bigint
        WHERE slot = _slot
        RETURNING CASE WHEN _rate_limit > 0 THEN least(at + div(used * _period, _rate_limit), 9000000000000000) END
        INTO _dry;
      -- A day after it has run dry it may be forgotten. Written now and then: the column has an index.
      UPDATE haldir.meters SET forget_at = _dry + 86400000 WHERE slot = _slot
        AND coalesce(forget_at, 0) < coalesce(_dry, 9000000000000000) + 43200000;
    ELSE
      UPDATE haldir.meters SET held = held + _micros,
        cap = CASE WHEN _c ? 'limit' THEN least((_c ->> 'limit')::numeric, 9223372036854775807)::bigint ELSE cap END
        WHERE slot = _slot;
    END IF;
  END $$;
`
