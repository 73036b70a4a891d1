-- The application's schemas and relations: pgusher_owner gets the rights of their owners, by membership where the owner is no
-- superuser, else by grants with grant option. Safe to repeat; what was made since is adopted then.
DO $pgusher$
DECLARE
  found record;
  superuser boolean := (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user);
BEGIN
  IF pg_catalog.current_setting('pgusher.lent', true) = 'on' THEN
    EXECUTE pg_catalog.format('REVOKE pgusher_owner FROM %I', current_user);
  END IF;
  -- The roles that own something, and the owner of the database (whom the predefined role pg_database_owner stands for).
  FOR found IN
    SELECT r.rolname FROM pg_catalog.pg_roles AS r
    WHERE NOT r.rolsuper AND r.rolname NOT LIKE 'pgusher\_%' AND r.rolname NOT LIKE 'pg\_%'
      AND r.oid IN (
        SELECT c.relowner FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
          WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
        UNION SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
        UNION SELECT p.proowner FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
          WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
        UNION SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
      AND NOT pg_catalog.pg_has_role('pgusher_owner', r.oid, 'USAGE')
  LOOP
    BEGIN
      EXECUTE pg_catalog.format('GRANT %I TO pgusher_owner', found.rolname);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING 'role "%" could not be granted to "pgusher_owner": what it owns cannot be governed by row security', found.rolname
        USING HINT = 'Run init as a role that may grant it.';
    END;
  END LOOP;
  FOR found IN
    SELECT n.nspname FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pgusher%'
      AND NOT pg_catalog.pg_has_role('pgusher_owner', n.nspowner, 'USAGE')
  LOOP
    IF superuser OR pg_catalog.has_schema_privilege(found.nspname, 'CREATE WITH GRANT OPTION') THEN
      EXECUTE pg_catalog.format('GRANT USAGE, CREATE ON SCHEMA %I TO pgusher_owner WITH GRANT OPTION', found.nspname);
    ELSE
      RAISE WARNING 'schema "%" could not be adopted', found.nspname
        USING HINT = 'Run init as a superuser or as the owner of the schema.';
    END IF;
  END LOOP;
  FOR found IN
    SELECT n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
      AND n.nspname NOT LIKE 'pgusher%' AND NOT pg_catalog.pg_has_role('pgusher_owner', c.relowner, 'USAGE')
      -- What an extension brought stays the extension's.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
  LOOP
    IF superuser OR (found.relkind <> 'S' AND pg_catalog.has_table_privilege(
         pg_catalog.format('%I.%I', found.nspname, found.relname), 'SELECT WITH GRANT OPTION')) THEN
      IF found.relkind = 'S' THEN
        EXECUTE pg_catalog.format('GRANT USAGE, SELECT, UPDATE ON SEQUENCE %I.%I TO pgusher_owner WITH GRANT OPTION', found.nspname, found.relname);
      ELSE
        EXECUTE pg_catalog.format('GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON %I.%I TO pgusher_owner WITH GRANT OPTION', found.nspname, found.relname);
      END IF;
    ELSE
      RAISE WARNING 'relation "%.%" could not be adopted', found.nspname, found.relname
        USING HINT = 'Run init as a superuser or as the owner of the relation.';
    END IF;
  END LOOP;
  FOR found IN
    SELECT n.nspname FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE 'pgusher%' AND pg_catalog.has_schema_privilege('pgusher_session', n.oid, 'CREATE')
  LOOP
    RAISE WARNING 'everybody may create objects in schema "%"', found.nspname
      USING HINT = pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', found.nspname);
  END LOOP;
END
$pgusher$;
