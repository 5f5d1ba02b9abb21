/** The entries of the trail. */
export const ENTRIES: string = `
  CREATE TABLE haldir.entries (
    writer text COLLATE "C" NOT NULL, seq bigint NOT NULL, at timestamptz, type text COLLATE "C", tenant text COLLATE "C",
    agent text COLLATE "C", session text COLLATE "C", tool text COLLATE "C", line text NOT NULL,
    PRIMARY KEY (writer, seq)
  );
  CREATE INDEX entries_by_time ON haldir.entries (at);
  CREATE INDEX entries_of_session ON haldir.entries (session, at) WHERE session IS NOT NULL;
  CREATE INDEX entries_of_agent ON haldir.entries (tenant, agent, at);
  CREATE INDEX entries_of_tool ON haldir.entries (tool, at) WHERE tool IS NOT NULL;
  CREATE INDEX entries_of_type ON haldir.entries (type, at);

  -- Takes all of these lines or none. Lines that are there already, as they are, were stored by a write whose answer was
  -- lost; another line at the place of one is an error.
  CREATE FUNCTION haldir.append(body jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
  DECLARE
    _n bigint;
  BEGIN
    INSERT INTO haldir.entries (writer, seq, at, type, tenant, agent, session, tool, line)
      SELECT e ->> 'writer', (e ->> 'seq')::bigint, (e ->> 'at')::timestamptz, e ->> 'type', e ->> 'tenant',
        e ->> 'agent', e ->> 'session', e ->> 'tool', e ->> 'line'
      FROM jsonb_array_elements(body -> 'lines') WITH ORDINALITY l (e, k) ORDER BY k ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS _n = ROW_COUNT;
    IF _n < jsonb_array_length(body -> 'lines') AND EXISTS (
      SELECT FROM jsonb_array_elements(body -> 'lines') e LEFT JOIN haldir.entries s
        ON s.writer = e ->> 'writer' AND s.seq = (e ->> 'seq')::bigint
      WHERE s.line IS DISTINCT FROM e ->> 'line') THEN
      RAISE EXCEPTION 'haldir: another line is at the place of this one' USING ERRCODE = 'HAL05';
    END IF;
    RETURN '{}';
  END $$;
`
