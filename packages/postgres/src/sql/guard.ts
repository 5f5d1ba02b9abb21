/** What is set for functions that are called from outside. It comes last, when all of them are there. */

/**
 * Plans are kept by connections, and one made while a table was small must not read all of it when it has grown: so none
 * reads whole tables or joins otherwise than row by row. Before version 18 that makes plans look dear, and dear ones would
 * be compiled at every call. What is not done for each call is planned each time: a partial index that is empty at first
 * looks like the shortest way to whatever it could answer, and may hold every row later. The functions of each call read
 * rows by their keys alone, and ask about what such an index is of only where it is the way meant.
 */
export const GUARD: string = `
  DO $$
  DECLARE
    _function pg_catalog.regprocedure;
    _often boolean;
    _alone boolean;
  BEGIN
    FOR _function, _often, _alone IN SELECT oid, proname IN ('act', 'admit_many', 'create_session', 'get_session', 'append'),
      proname = 'admit_one' FROM pg_catalog.pg_proc WHERE pronamespace = '@schema@'::regnamespace
      AND (proname = 'admit_one' OR (proargnames[1] = 'body' AND proname <> 'now_at')) LOOP
      -- What others have made in a schema on the caller's search path, such as an operator that fits better than those of
      -- the database, is not found. It holds for whatever these functions call. And the server does not notice that whoever
      -- asked has gone, as long as a statement waits for a lock: so it gives up itself.
      EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp SET lock_timeout = ''5s''
        SET enable_seqscan = off', _function);
      -- Each of these costs. In that of one call alone every row is read by its key, also the one of the clock: nothing there
      -- looks dear.
      CONTINUE WHEN _alone;
      EXECUTE pg_catalog.format('ALTER FUNCTION %s SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
        SET plan_cache_mode = %s', _function, CASE WHEN _often THEN 'force_generic_plan' ELSE 'force_custom_plan' END);
    END LOOP;
  END $$;
`
