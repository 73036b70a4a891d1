-- What every login may do by default and the shared one should not: signal other sessions of its role, and make large objects.
-- Needs a superuser; every other role keeps the right. Safe to repeat.
DO $pgusher$
DECLARE
  found record;
  others text;
BEGIN
  IF NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user) THEN
    RETURN;
  END IF;
  SELECT pg_catalog.string_agg(pg_catalog.quote_ident(r.rolname), ', ') INTO others FROM pg_catalog.pg_roles AS r
    WHERE r.rolname NOT LIKE 'pgusher\_%' AND r.rolname NOT LIKE 'pg\_%';
  FOR found IN
    SELECT p.oid::pg_catalog.regprocedure AS function FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
      AND p.proname IN ('pg_terminate_backend', 'pg_cancel_backend', 'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lo_unlink')
      AND pg_catalog.has_function_privilege('pgusher_session', p.oid, 'EXECUTE')
  LOOP
    EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found.function);
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %s', found.function, others);
  END LOOP;
END
$pgusher$;
