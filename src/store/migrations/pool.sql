-- Sessions that take turns on one backend. Repeated at every init, after functions.sql and look.sql.

-- Setting a sequence that is logged takes a transaction id, and its end waits for the disk. What these say does not outlive a backend.
DO $pgusher$
DECLARE
  found record;
BEGIN
  IF pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 150000 THEN
    FOR found IN SELECT c.oid FROM pg_catalog.pg_class AS c
      WHERE c.oid IN ('pgusher.slot'::pg_catalog.regclass, 'pgusher.coupon'::pg_catalog.regclass) AND c.relpersistence = 'p'
    LOOP
      EXECUTE pg_catalog.format('ALTER SEQUENCE %s SET UNLOGGED', found.oid::pg_catalog.regclass);
    END LOOP;
  END IF;
END
$pgusher$;

-- Passes this backend on to a session that is attached already: to whoever knows the number that the turn before was told, which is good
-- once. `coming` is the one for the next turn. Nothing is written, so no transaction id is taken. Nearly every turn runs this, and what it
-- says is what a turn costs: names and operators are qualified, for a SET clause takes time, nothing is signed or drawn, and what is
-- assigned is evaluated without a plan, as PERFORM is not.
CREATE OR REPLACE FUNCTION pgusher.take_next(coupon bigint, coming bigint, session bigint, principal bigint, token text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $pgusher$
DECLARE
  number pg_catalog.int8;
BEGIN
  IF (coupon OPERATOR(pg_catalog.=) pg_catalog.currval('pgusher.coupon'::pg_catalog.regclass)) IS NOT TRUE OR coming IS NULL THEN
    RAISE EXCEPTION 'pgusher: the turn is not this session''s' USING ERRCODE = '28000';
  END IF;
  SELECT s.sid INTO number FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) session AND s.principal OPERATOR(pg_catalog.=) take_next.principal
      AND s.token OPERATOR(pg_catalog.=) take_next.token;
  IF number IS NULL THEN
    -- Nobody tries another one by it.
    number := pg_catalog.setval('pgusher.coupon'::pg_catalog.regclass,
      pg_catalog.uuid_hash_extended(pg_catalog.gen_random_uuid(), 0), true);
    RAISE EXCEPTION 'pgusher: the session has ended' USING ERRCODE = '28000';
  END IF;
  coming := pg_catalog.setval('pgusher.coupon'::pg_catalog.regclass, coming, true);
  RETURN pg_catalog.setval('pgusher.slot'::pg_catalog.regclass, number, true);
END
$pgusher$;

-- The same, where the session before may have left what no setting is: what it has drawn from sequences is forgotten, its advisory locks are
-- released, and random() begins elsewhere.
CREATE OR REPLACE FUNCTION pgusher.take_afresh(coupon bigint, coming bigint, session bigint, principal bigint, token text, seed text)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF (coupon = currval('pgusher.coupon'::regclass)) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the turn is not this session''s' USING ERRCODE = '28000';
  END IF;
  EXECUTE 'DISCARD SEQUENCES';
  PERFORM pg_advisory_unlock_all();
  PERFORM setseed(seed::float8);
  PERFORM setval('pgusher.coupon'::regclass, coupon, true);
  RETURN pgusher.take_next(coupon, coming, session, principal, token);
END
$pgusher$;

-- The same where no such number is known: by a signed claim, which is good once.
CREATE OR REPLACE FUNCTION pgusher.take(payload text, signature text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  claim jsonb;
  coupon bigint := uuid_hash_extended(gen_random_uuid(), 0);
BEGIN
  IF pgusher.signed('take:' || payload, signature) IS NOT TRUE THEN
    RAISE EXCEPTION 'pgusher: the claim is not signed' USING ERRCODE = '28000';
  END IF;
  claim := payload::jsonb;
  PERFORM pgusher.spend(claim);
  PERFORM setval('pgusher.coupon'::regclass, coupon, true);
  IF claim ->> 'seed' <> '' THEN
    RETURN pgusher.take_afresh(coupon, (claim ->> 'coupon')::int8, (claim ->> 'session')::int8, (claim ->> 'principal')::int8,
                               claim ->> 'token', claim ->> 'seed');
  END IF;
  RETURN pgusher.take_next(coupon, (claim ->> 'coupon')::int8, (claim ->> 'session')::int8, (claim ->> 'principal')::int8, claim ->> 'token');
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

REVOKE ALL ON FUNCTION pgusher.take(text, text), pgusher.take_next(bigint, bigint, bigint, bigint, text),
  pgusher.take_afresh(bigint, bigint, bigint, bigint, text, text), pgusher.carry() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgusher.take(text, text), pgusher.take_next(bigint, bigint, bigint, bigint, text),
  pgusher.take_afresh(bigint, bigint, bigint, bigint, text, text), pgusher.carry() TO pgusher_session, pgusher_control;
