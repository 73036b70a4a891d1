-- Views over catalogs bore the catalogs' own names, and tools on a direct connection that look catalogs up by name alone met two.
DO $pgusher$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT c.relname FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'pgusher'::pg_catalog.regnamespace AND c.relkind = 'v' AND c.relname ~ '^(sys_)?(pg_|information_schema\.)'
  LOOP
    EXECUTE pg_catalog.format('ALTER VIEW pgusher.%I RENAME TO %I', one.relname, 'fenced_' || one.relname);
  END LOOP;
END
$pgusher$;
