-- Statements that define or maintain objects, run for those who are no administrators, in the transaction of the session. Repeated at
-- every init, after functions.sql. What is run and how is signed by the proxy; signatures travel as bind parameters only.

-- What a claim permits: it is signed for this purpose and statement, for this backend, still good, and spent now.
CREATE OR REPLACE FUNCTION pgusher.permit(purpose text, payload text, statement text, signature text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  wanted record;
BEGIN
  IF pgusher.signed(purpose || ':' || payload || ':' || statement, signature) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the claim is not signed' USING ERRCODE = '28000';
  END IF;
  PERFORM pgusher.spend(payload::jsonb);
  -- What is defined must be what was permitted: the statement may wait for locks, and names come to mean something else meanwhile. Where
  -- the lock is not to be had, the statement itself is refused.
  FOR wanted IN SELECT (e ->> 0)::oid AS object, e ->> 1 AS name FROM jsonb_array_elements(payload::jsonb -> 'on') AS e LOOP
    IF (SELECT c.relkind IN ('r', 'p') FROM pg_class AS c WHERE c.oid = to_regclass(wanted.name)) THEN
      BEGIN
        EXECUTE format('LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE', wanted.name);
      EXCEPTION WHEN insufficient_privilege THEN
        NULL;
      END;
    END IF;
    IF to_regclass(wanted.name) IS DISTINCT FROM wanted.object THEN
      RAISE EXCEPTION 'relation "%" is another one now', wanted.name USING ERRCODE = '40001', HINT = 'Try again.';
    END IF;
  END LOOP;
  RETURN payload::jsonb;
END
$pgusher$;

-- Runs a definition as pgusher_ddl, with the settings of the session: names in it are looked up as the session would. Made anew: the
-- privileges of its owner were revoked above, and only who may execute a function may replace it.
DROP FUNCTION IF EXISTS pgusher.define(text, text, text);
CREATE FUNCTION pgusher.define(payload text, statement text, signature text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $pgusher$
BEGIN
  PERFORM pgusher.permit('define', payload, statement, signature);
  EXECUTE statement;
END
$pgusher$;

-- What the application's functions call by bare names is theirs, not the session's.
CREATE OR REPLACE FUNCTION pgusher.run_settled(statement text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  EXECUTE statement;
END
$pgusher$;

-- Runs a statement as pgusher_owner: what it is about belongs to the application's roles or to pgusher_viewer. Where it may run functions of
-- the application (triggers, checks, indexes; event triggers with any statement), the session's search path must not lead them astray.
CREATE OR REPLACE FUNCTION pgusher.maintain(payload text, statement text, signature text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $pgusher$
DECLARE
  claim pg_catalog.jsonb := pgusher.permit('maintain', payload, statement, signature);
BEGIN
  IF (claim OPERATOR(pg_catalog.->>) 'settled') IS NULL OR (claim OPERATOR(pg_catalog.->>) 'settled') OPERATOR(pg_catalog.<>) 'false'
     OR EXISTS (SELECT FROM pg_catalog.pg_event_trigger AS t WHERE t.evtenabled OPERATOR(pg_catalog.<>) 'D') THEN
    PERFORM pgusher.run_settled(statement);
  ELSE
    EXECUTE statement;
  END IF;
END
$pgusher$;

REVOKE ALL ON FUNCTION pgusher.permit(text, text, text, text), pgusher.define(text, text, text), pgusher.run_settled(text),
  pgusher.maintain(text, text, text) FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
-- define runs with the rights of its owner, who must not be pgusher_owner and may call permit, and nothing else here.
GRANT USAGE, CREATE ON SCHEMA pgusher TO pgusher_ddl;
ALTER FUNCTION pgusher.define(text, text, text) OWNER TO pgusher_ddl;
REVOKE CREATE ON SCHEMA pgusher FROM pgusher_ddl;
GRANT EXECUTE ON FUNCTION pgusher.permit(text, text, text, text) TO pgusher_ddl;
GRANT EXECUTE ON FUNCTION pgusher.define(text, text, text), pgusher.maintain(text, text, text) TO pgusher_session;

-- Definitions name governed views; what those show is not for pgusher_ddl.
DO $pgusher$
DECLARE
  found record;
BEGIN
  FOR found IN
    SELECT n.nspname FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname LIKE 'pgusher\_%' AND n.nspowner = 'pgusher_owner'::pg_catalog.regrole
  LOOP
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO pgusher_ddl', found.nspname);
  END LOOP;
END
$pgusher$;
