-- What calls need. Repeated at every init, after functions.sql.

-- pg_notify with a channel that is known only when the call runs.
CREATE OR REPLACE FUNCTION pgusher.pg_notify(channel text, payload text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF pg_catalog.starts_with(channel, 'pgusher') THEN
    RAISE EXCEPTION 'permission denied to use this channel'
      USING ERRCODE = '42501', DETAIL = 'Channels named pgusher are ours.';
  END IF;
  PERFORM pg_catalog.pg_notify(channel, payload);
END
$pgusher$;
REVOKE ALL ON FUNCTION pgusher.pg_notify(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgusher.pg_notify(text, text) TO pgusher_session, pgusher_control;

-- lastval, which would speak of the store's own sequences in a session that has used no other.
CREATE OR REPLACE FUNCTION pgusher.lastval() RETURNS bigint
LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN pg_catalog.lastval();
EXCEPTION WHEN insufficient_privilege THEN
  IF SQLERRM ~ '\m(slot|sid)\M' THEN
    RAISE EXCEPTION 'lastval is not yet defined in this session' USING ERRCODE = '55000';
  END IF;
  RAISE;
END
$pgusher$;
REVOKE ALL ON FUNCTION pgusher.lastval() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgusher.lastval() TO pgusher_session, pgusher_control;

-- Functions with SECURITY DEFINER that were made upstream ask who is there: with the rights of their owners.
DO $pgusher$
DECLARE
  found record;
BEGIN
  FOR found IN
    SELECT r.rolname FROM pg_catalog.pg_roles AS r
    WHERE NOT r.rolsuper AND r.rolname NOT LIKE 'pgusher\_%' AND r.rolname NOT LIKE 'pg\_%'
      AND r.oid IN (
        SELECT c.relowner FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
          WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
        UNION SELECT p.proowner FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
          WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
        UNION SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema')
  LOOP
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA pgusher TO %I', found.rolname);
    EXECUTE pg_catalog.format(
      'GRANT EXECUTE ON FUNCTION pgusher.current_user(), pgusher.session_user(), pgusher.is_member(text) TO %I', found.rolname);
  END LOOP;
END
$pgusher$;
