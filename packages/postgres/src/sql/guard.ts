/** What is set for functions that are called from outside. It comes last, when all of them are there. */
export const GUARD: string = `
  -- What others have made in a schema on the caller's search path, such as an operator that fits better than those of the
  -- database, is not found. It holds for whatever these functions call.
  DO $$
  DECLARE
    _function pg_catalog.regprocedure;
  BEGIN
    FOR _function IN SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace = '@schema@'::regnamespace
      AND (proname = 'admit_one' OR (proargnames[1] = 'body' AND proname <> 'now_at')) LOOP
      EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', _function);
      -- The server does not notice that whoever asked has gone, as long as a statement waits for a lock: so it gives up itself.
      EXECUTE pg_catalog.format('ALTER FUNCTION %s SET lock_timeout = ''5s''', _function);
    END LOOP;
  END $$;
`
