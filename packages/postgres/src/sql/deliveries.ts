/** Which channel has to be told of which approval; sealed secrets; the writers of the trail. */
export const DELIVERIES: string = `
  CREATE FUNCTION haldir.due(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _d record;
    _told jsonb := '[]';
  BEGIN
    -- What is being handed out at this moment is left to who does that.
    FOR _d IN SELECT approval, channel, attempt, note FROM haldir.deliveries
      WHERE channel IN (SELECT jsonb_array_elements_text(body -> 'channels')) AND due <= _at
      ORDER BY due, approval LIMIT (body ->> 'limit')::bigint FOR UPDATE SKIP LOCKED LOOP
      UPDATE haldir.deliveries SET due = _at + (body ->> 'lease')::bigint, attempt = attempt + 1
        WHERE approval = _d.approval AND channel = _d.channel;
      _told := _told || jsonb_build_object('channel', _d.channel, 'attempt', _d.attempt + 1, 'note', _d.note,
        'row', (SELECT haldir.approval_row(a) FROM haldir.approvals a WHERE n = _d.approval));
    END LOOP;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'told', _told);
  END $$;

  CREATE FUNCTION haldir.shown(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
  BEGIN
    -- The approval is held still, so that a change comes before or after this as a whole.
    PERFORM 1 FROM haldir.approvals WHERE id = body ->> 'id' FOR SHARE;
    UPDATE haldir.deliveries d SET note = coalesce(body ->> 'note', d.note),
      due = CASE WHEN a.version = (body ->> 'version')::bigint THEN NULL ELSE _at END
    FROM haldir.approvals a WHERE a.id = body ->> 'id' AND d.approval = a.n AND d.channel = body ->> 'channel';
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at);
  END $$;

  CREATE FUNCTION haldir.later(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
  BEGIN
    -- What has changed since it was handed out is not put off: that is another delivery.
    UPDATE haldir.deliveries d SET due = _at + (body ->> 'delay')::bigint FROM haldir.approvals a
      WHERE a.id = body ->> 'id' AND d.approval = a.n AND d.channel = body ->> 'channel'
      AND d.due IS NOT NULL AND d.attempt > 0;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at);
  END $$;

  CREATE FUNCTION haldir.note(body jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('note', (SELECT note FROM haldir.deliveries d JOIN haldir.approvals a ON a.n = d.approval
      WHERE a.id = body ->> 'id' AND d.channel = body ->> 'channel'))
  $$;

  CREATE FUNCTION haldir.secret_row(_s haldir.secrets) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN _s.tenant IS NOT NULL THEN jsonb_build_object('tenant', _s.tenant, 'name', _s.name,
      'version', _s.version, 'keyId', _s.key_id, 'wrapped', _s.wrapped, 'sealed', _s.sealed, 'data', _s.data) END
  $$;

  CREATE FUNCTION haldir.put_secret(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
    _r jsonb := body -> 'secret';
    _newest haldir.secrets%ROWTYPE;
    _put boolean := false;
  BEGIN
    PERFORM haldir.lock_names(5, ARRAY[(_r ->> 'tenant') || ' ' || (_r ->> 'name')]);
    IF body ? 'after' THEN
      SELECT * INTO _newest FROM haldir.secrets WHERE tenant = _r ->> 'tenant' AND name = _r ->> 'name'
        ORDER BY version DESC LIMIT 1;
    END IF;
    IF NOT body ? 'after' OR (_newest.version IS NOT DISTINCT FROM (body #>> '{after,version}')::bigint
      AND _newest.sealed IS NOT DISTINCT FROM body #>> '{after,sealed}') THEN
      INSERT INTO haldir.secrets (tenant, name, version, key_id, wrapped, sealed, data, created_at)
        VALUES (_r ->> 'tenant', _r ->> 'name', (_r ->> 'version')::bigint, _r ->> 'keyId', _r ->> 'wrapped',
          _r ->> 'sealed', _r ->> 'data', _at) ON CONFLICT DO NOTHING;
      _put := FOUND;
    END IF;
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at, 'put', _put);
  END $$;

  CREATE FUNCTION haldir.get_secret(body jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('row', (SELECT haldir.secret_row(s) FROM haldir.secrets s
      WHERE tenant = body ->> 'tenant' AND name = body ->> 'name' ORDER BY version DESC LIMIT 1))
  $$;

  CREATE FUNCTION haldir.list_secrets(body jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('rows', coalesce(jsonb_agg(haldir.secret_row(s)
      || jsonb_build_object('createdAt', s.created_at, 'usedAt', u.at) ORDER BY s.tenant, s.name, s.version), '[]'))
    FROM haldir.secrets s LEFT JOIN haldir.secret_uses u USING (tenant, name)
    WHERE NOT body ? 'tenant' OR s.tenant = body ->> 'tenant'
  $$;

  CREATE FUNCTION haldir.rewrap_secret(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  BEGIN
    UPDATE haldir.secrets SET key_id = body ->> 'keyId', wrapped = body ->> 'wrapped'
      WHERE tenant = body ->> 'tenant' AND name = body ->> 'name' AND version = (body ->> 'version')::bigint
      AND key_id = body ->> 'wasKeyId' AND wrapped = body ->> 'wasWrapped';
    RETURN jsonb_build_object('rewrapped', FOUND);
  END $$;

  CREATE FUNCTION haldir.note_use(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _at bigint := haldir.now_at(body);
  BEGIN
    INSERT INTO haldir.secret_uses AS u (tenant, name, at) SELECT tenant, name, _at FROM haldir.secrets
      WHERE tenant = body ->> 'tenant' AND name = body ->> 'name' LIMIT 1
      ON CONFLICT (tenant, name) DO UPDATE SET at = greatest(u.at, excluded.at);
    PERFORM haldir.mark(_at);
    RETURN jsonb_build_object('at', _at);
  END $$;

  CREATE FUNCTION haldir.delete_secret(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM haldir.lock_names(5, ARRAY[(body ->> 'tenant') || ' ' || (body ->> 'name')]);
    DELETE FROM haldir.secret_uses WHERE tenant = body ->> 'tenant' AND name = body ->> 'name';
    DELETE FROM haldir.secrets WHERE tenant = body ->> 'tenant' AND name = body ->> 'name';
    RETURN jsonb_build_object('deleted', FOUND);
  END $$;

  CREATE FUNCTION haldir.put_writer(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO haldir.writers (id, data) VALUES (body ->> 'id', body ->> 'data')
      ON CONFLICT (id) DO UPDATE SET data = excluded.data;
    RETURN '{}';
  END $$;

  CREATE FUNCTION haldir.list_writers(body jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('rows', coalesce(jsonb_agg(jsonb_build_object('id', id, 'data', data) ORDER BY id), '[]'))
    FROM haldir.writers
  $$;
`
