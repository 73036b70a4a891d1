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

-- The bodies, in SQL and without a search path of their own, of functions that filters and masks call. They were looked at when the
-- filter or mask was set, and are again each time policies are loaded: somebody may have replaced them.
CREATE OR REPLACE VIEW pgusher.called_body AS
  SELECT DISTINCT used.relation, n.nspname || '.' || f.proname AS function, f.prosrc AS source
  FROM (
    SELECT p.polrelid AS relation, p.oid AS object, 'pg_catalog.pg_policy'::pg_catalog.regclass AS class
      FROM pg_catalog.pg_policy AS p WHERE p.polname = 'pgusher_filter'
    UNION
    SELECT m.relation, w.oid, 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      FROM pgusher.made AS m
      JOIN pg_catalog.pg_class AS c ON c.oid = m.relation AND c.relkind NOT IN ('v', 'm')
      JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = m.object
      WHERE m.object <> 0
  ) AS used
  JOIN pg_catalog.pg_depend AS d
    ON d.classid = used.class AND d.objid = used.object AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
  JOIN pg_catalog.pg_proc AS f ON f.oid = d.refobjid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
  JOIN pg_catalog.pg_language AS l ON l.oid = f.prolang
  WHERE n.nspname NOT IN ('pg_catalog', 'pgusher') AND l.lanname = 'sql' AND f.prosqlbody IS NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.unnest(f.proconfig) AS s(setting) WHERE s.setting LIKE 'search\_path=%, pg\_temp');
REVOKE ALL ON pgusher.called_body FROM PUBLIC;
