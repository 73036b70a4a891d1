-- has_table_privilege and its kin, from our grants. Repeated at every init. Asked for the session's own principal and groups; of others
-- an administrator gets no answer either: SHOW EFFECTIVE GRANTS is for that.

CREATE OR REPLACE FUNCTION pgusher.is_self(name) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF NOT EXISTS (SELECT FROM pgusher.principal AS p WHERE p.id = ANY (pgusher.ids()) AND p.name = $1::text) THEN
    RAISE EXCEPTION 'role "%" does not exist', $1 USING ERRCODE = '42704';
  END IF;
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.is_self(oid) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF NOT ($1::bigint - 4000000000 = ANY (pgusher.ids())) THEN
    RAISE EXCEPTION 'role with OID % does not exist', $1 USING ERRCODE = '42704';
  END IF;
END
$pgusher$;

-- Whether any privilege of a list as PostgreSQL writes it is held. NULL for an object that is not seen.
CREATE OR REPLACE FUNCTION pgusher.any_held(kind text, object oid, wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  one text;
  bare text;
  inside oid;
  stored text := CASE kind WHEN 'column' THEN 'relation' WHEN 'sequence' THEN 'relation' ELSE kind END;
  owning oid := object;
  needed text;
  found boolean := false;
BEGIN
  CASE stored
    WHEN 'relation' THEN
      inside := (SELECT c.relnamespace FROM pg_class AS c WHERE c.oid = object);
      IF NOT pgusher.sees_relation(object) THEN
        RETURN NULL;
      END IF;
      owning := coalesce((SELECT d.refobjid FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.objid = object AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1), object);
    WHEN 'function' THEN
      inside := (SELECT p.pronamespace FROM pg_proc AS p WHERE p.oid = object);
      IF NOT pgusher.sees_function(object) THEN
        RETURN NULL;
      END IF;
    WHEN 'schema' THEN
      IF NOT pgusher.sees_schema(object) THEN
        RETURN NULL;
      END IF;
    ELSE
      inside := NULL;
  END CASE;
  FOREACH one IN ARRAY string_to_array(wanted, ',') LOOP
    one := upper(btrim(one));
    bare := regexp_replace(one, ' WITH (GRANT|ADMIN) OPTION$', '');
    IF NOT bare = ANY (CASE kind
        WHEN 'relation' THEN '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER,MAINTAIN,RULE}'
        WHEN 'column' THEN '{SELECT,INSERT,UPDATE,REFERENCES}' WHEN 'sequence' THEN '{USAGE,SELECT,UPDATE}'
        WHEN 'schema' THEN '{CREATE,USAGE}' WHEN 'function' THEN '{EXECUTE}'
        WHEN 'catalog' THEN '{CREATE,CONNECT,TEMPORARY,TEMP}' ELSE '{USAGE,CREATE}' END::text[]) THEN
      RAISE EXCEPTION 'unrecognized privilege type: "%"', btrim(one) USING ERRCODE = '22023';
    END IF;
    needed := CASE WHEN one <> bare THEN 'MANAGE'
      WHEN kind = 'sequence' AND bare <> 'SELECT' THEN 'MODIFY'
      WHEN bare IN ('INSERT', 'UPDATE', 'DELETE') THEN 'MODIFY'
      WHEN bare IN ('TRUNCATE') THEN 'MODIFY'
      WHEN bare IN ('REFERENCES', 'TRIGGER', 'MAINTAIN', 'RULE') THEN 'OWN'
      WHEN kind = 'connection' THEN 'USE CONNECTION'
      ELSE bare END;
    found := found OR CASE
      -- What belongs to PostgreSQL may be read and called, and that is all.
      WHEN inside IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN one IN ('SELECT', 'EXECUTE', 'USAGE')
      WHEN stored = 'schema' AND object IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN one = 'USAGE'
      -- To name a schema takes no grant of its own.
      WHEN one = 'USAGE' AND kind = 'schema' THEN true
      WHEN one IN ('CONNECT', 'TEMPORARY', 'TEMP') THEN true
      WHEN stored IN ('type', 'language') THEN one = 'USAGE'
      ELSE pgusher.held(stored, owning, inside, needed) END;
  END LOOP;
  RETURN found;
END
$pgusher$;

CREATE OR REPLACE FUNCTION pgusher.schema_named(text) RETURNS oid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  found oid := (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = $1);
BEGIN
  IF found IS NULL OR NOT pgusher.sees_schema(found) THEN
    RAISE EXCEPTION 'schema "%" does not exist', $1 USING ERRCODE = '3F000';
  END IF;
  RETURN found;
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.function_named(text) RETURNS oid
LANGUAGE plpgsql STABLE AS $pgusher$
DECLARE
  found pg_catalog.oid := pg_catalog.to_regprocedure($1)::pg_catalog.oid;
BEGIN
  IF found IS NULL OR NOT pgusher.sees_function(found) THEN
    RAISE EXCEPTION 'function "%" does not exist', $1 USING ERRCODE = '42883';
  END IF;
  RETURN found;
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.here(text) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF $1 <> current_database() THEN
    RAISE EXCEPTION 'database "%" does not exist', $1 USING ERRCODE = '3D000';
  END IF;
  RETURN 0;
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.here(oid) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT 0::oid FROM pg_database AS d WHERE d.oid = $1 AND d.datname = current_database());
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.server_named(text) RETURNS oid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  found oid := (SELECT s.oid FROM pgusher.narrow_pg_foreign_server AS s WHERE s.srvname = $1);
BEGIN
  IF found IS NULL THEN
    RAISE EXCEPTION 'server "%" does not exist', $1 USING ERRCODE = '42704';
  END IF;
  RETURN found;
END
$pgusher$;
-- A column that is there; NULL for a number that is not, an error for a name that is not.
CREATE OR REPLACE FUNCTION pgusher.has_column(relation oid, wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = relation AND a.attname = wanted AND NOT a.attisdropped) THEN
    RETURN true;
  END IF;
  IF pgusher.sees_relation(relation) THEN
    RAISE EXCEPTION 'column "%" of relation "%" does not exist', wanted, (SELECT c.relname FROM pg_class AS c WHERE c.oid = relation) USING ERRCODE = '42703';
  END IF;
  RETURN NULL;
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.has_column(relation oid, wanted smallint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT true FROM pg_attribute AS a WHERE a.attrelid = relation AND a.attnum = wanted AND NOT a.attisdropped);
END
$pgusher$;

DO $pgusher$
DECLARE
  one record;
  whose record;
  what record;
  col record;
  body text;
BEGIN
  -- name of the function, kind, how a name is found
  FOR one IN SELECT * FROM (VALUES
      ('has_table_privilege', 'relation', 'pgusher.relation_named'), ('has_any_column_privilege', 'column', 'pgusher.relation_named'),
      ('has_sequence_privilege', 'sequence', 'pgusher.relation_named'), ('has_schema_privilege', 'schema', 'pgusher.schema_named'),
      ('has_function_privilege', 'function', 'pgusher.function_named'), ('has_database_privilege', 'catalog', 'pgusher.here'),
      ('has_server_privilege', 'connection', 'pgusher.server_named')) AS v(name, kind, finder)
  LOOP
    FOR whose IN SELECT * FROM (VALUES ('', '', 1), ('name, ', 'PERFORM pgusher.is_self($1);', 2), ('oid, ', 'PERFORM pgusher.is_self($1);', 2)) AS v(type, checked, at) LOOP
      FOREACH body IN ARRAY '{text,oid}'::text[] LOOP
        EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION pgusher.%I(%s%s, text) RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $wrapper$ BEGIN %s RETURN pgusher.any_held(%L, %s, $%s); END $wrapper$',
          one.name, whose.type, body, whose.checked, one.kind,
          CASE WHEN body = 'text' OR one.kind = 'catalog' THEN pg_catalog.format('%s($%s)', one.finder, whose.at) ELSE '$' || whose.at END, whose.at + 1);
      END LOOP;
    END LOOP;
  END LOOP;
  FOR whose IN SELECT * FROM (VALUES ('', '', 1), ('name, ', 'PERFORM pgusher.is_self($1);', 2), ('oid, ', 'PERFORM pgusher.is_self($1);', 2)) AS v(type, checked, at) LOOP
    FOREACH body IN ARRAY '{text,oid}'::text[] LOOP
      FOR col IN SELECT * FROM (VALUES ('text'), ('smallint')) AS v(type) LOOP
        EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION pgusher.has_column_privilege(%1$s%2$s, %3$s, text) RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $wrapper$ BEGIN %4$s
          RETURN CASE WHEN pgusher.has_column(%5$s, $%6$s) THEN pgusher.any_held(''column'', %5$s, $%7$s) END; END $wrapper$',
          whose.type, body, col.type, whose.checked,
          CASE WHEN body = 'text' THEN pg_catalog.format('pgusher.relation_named($%s)', whose.at) ELSE '$' || whose.at END, whose.at + 1, whose.at + 2);
      END LOOP;
    END LOOP;
    -- Roles: the principal itself and its groups.
    FOREACH body IN ARRAY '{name,oid}'::text[] LOOP
      EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION pgusher.pg_has_role(%s%s, text) RETURNS boolean LANGUAGE plpgsql STABLE STRICT AS $wrapper$ BEGIN %s RETURN pgusher.is_member_of($%s); END $wrapper$',
        whose.type, body, whose.checked, whose.at);
    END LOOP;
  END LOOP;
END
$pgusher$;

CREATE OR REPLACE FUNCTION pgusher.is_member_of(name) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN pgusher.administers() OR EXISTS (SELECT FROM pgusher.principal AS p WHERE p.id = ANY (pgusher.ids()) AND p.name = $1::text);
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.is_member_of(oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN pgusher.administers() OR $1::bigint - 4000000000 = ANY (pgusher.ids());
END
$pgusher$;

-- Whether a row filter holds for whoever asks: it holds for everybody.
CREATE OR REPLACE FUNCTION pgusher.row_security_active(oid) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN CASE WHEN pgusher.sees_relation($1) THEN EXISTS (SELECT FROM pgusher.made AS m WHERE m.relation = $1) END;
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.row_security_active(text) RETURNS boolean
LANGUAGE plpgsql STABLE STRICT AS $pgusher$
BEGIN
  RETURN pgusher.row_security_active(pgusher.relation_named($1));
END
$pgusher$;
