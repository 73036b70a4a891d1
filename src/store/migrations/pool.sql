-- Sessions that take turns on one backend. Repeated at every init, after functions.sql and look.sql.

-- Setting a sequence that is logged takes a transaction id, and its end waits for the disk. What these say does not outlive a backend.
DO $pgusher$
DECLARE
  found record;
BEGIN
  IF pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 150000 THEN
    FOR found IN SELECT c.oid FROM pg_catalog.pg_class AS c
      WHERE c.oid IN ('pgusher.slot'::pg_catalog.regclass, 'pgusher.turn'::pg_catalog.regclass) AND c.relpersistence = 'p'
    LOOP
      EXECUTE pg_catalog.format('ALTER SEQUENCE %s SET UNLOGGED', found.oid::pg_catalog.regclass);
    END LOOP;
  END IF;
END
$pgusher$;

-- Passes this backend on to a session that is attached already. Each claim is good once: the first on a backend is written down, those
-- after it count on from there. Nothing is written otherwise, so no transaction id is taken. With `seed`, what the session before
-- has drawn from sequences is forgotten, its advisory locks are released, and random() begins elsewhere.
CREATE OR REPLACE FUNCTION pgusher.take(payload text, signature text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  claim jsonb;
  number bigint;
BEGIN
  IF pgusher.signed('take:' || payload, signature) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the claim is not signed' USING ERRCODE = '28000';
  END IF;
  claim := payload::jsonb;
  IF claim ? 'nonce' THEN
    PERFORM pgusher.spend(claim);
  ELSIF ((claim ->> 'pid')::int4 = pg_backend_pid() AND to_timestamp((claim ->> 'until')::float8) >= clock_timestamp()
         AND (claim ->> 'turn')::int8 > currval('pgusher.turn'::regclass)) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the claim is not for this session' USING ERRCODE = '28000';
  END IF;
  IF claim ? 'seed' THEN
    EXECUTE 'DISCARD SEQUENCES';
    PERFORM pg_advisory_unlock_all();
    PERFORM setseed((claim ->> 'seed')::float8);
  END IF;
  PERFORM setval('pgusher.turn'::regclass, (claim ->> 'turn')::int8, true);
  SELECT s.sid INTO number FROM pgusher.session AS s
    WHERE s.sid = (claim ->> 'session')::int8 AND s.principal = (claim ->> 'principal')::int8 AND s.token = claim ->> 'token';
  IF number IS NULL THEN
    RAISE EXCEPTION 'pgusher: the session has ended' USING ERRCODE = '28000';
  END IF;
  RETURN setval('pgusher.slot'::regclass, number, true);
END
$pgusher$;

-- What a session would leave behind on this backend: beside what pgusher.look() says, the settings to take along, and what cannot be
-- taken along. No SET clause: it would hide the search path.
CREATE OR REPLACE FUNCTION pgusher.carry() RETURNS jsonb LANGUAGE plpgsql AS $pgusher$
BEGIN
  RETURN pgusher.look() OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object(
    'settings', (
      SELECT COALESCE(pg_catalog.jsonb_object_agg(s.name, s.setting), '{}') FROM pg_catalog.pg_settings AS s
      WHERE s.source OPERATOR(pg_catalog.=) 'session' AND s.context OPERATOR(pg_catalog.=) 'user'
        AND s.name OPERATOR(pg_catalog.<>) ALL (ARRAY['transaction_isolation', 'transaction_read_only', 'transaction_deferrable', 'role',
          'session_authorization', 'client_encoding', 'standard_conforming_strings', 'row_security', 'backslash_quote', 'transform_null_equals'])),
    'kept', pg_catalog.to_jsonb(pg_catalog.array_remove(ARRAY[
      CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_listening_channels()) THEN 'LISTEN' END,
      CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_cursors AS c WHERE c.is_holdable) THEN 'a cursor WITH HOLD' END,
      CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_statements AS p
                        WHERE NOT pg_catalog.starts_with(p.name, 'pgusher$')) THEN 'a prepared statement' END,
      CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'
                        AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()) THEN 'an advisory lock' END,
      CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_settings AS s WHERE s.source OPERATOR(pg_catalog.=) 'session'
                        AND s.context OPERATOR(pg_catalog.<>) 'user') THEN 'a setting of an administrator' END,
      CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
             OR EXISTS (SELECT FROM pg_catalog.pg_proc AS f WHERE f.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
             OR EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
           THEN 'a temporary object' END]::pg_catalog.text[], NULL)));
END
$pgusher$;

REVOKE ALL ON FUNCTION pgusher.take(text, text), pgusher.carry() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgusher.take(text, text), pgusher.carry() TO pgusher_session, pgusher_control;
