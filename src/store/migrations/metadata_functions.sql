-- Functions of pg_catalog that tell of objects, as sessions call them: analysis puts these in their place. Repeated at every init.
-- Of an object that is not seen they tell what PostgreSQL tells of one that is not there.

-- A relation by name, found as the caller finds it; in a schema that is named, whatever rights the session's role has there.
CREATE OR REPLACE FUNCTION pgusher.relation_found(text) RETURNS oid
LANGUAGE plpgsql STABLE AS $pgusher$
DECLARE
  parts pg_catalog.text[];
BEGIN
  IF pg_catalog.strpos($1, '.') OPERATOR(pg_catalog.>) 0 THEN
    parts := pg_catalog.parse_ident($1);
  END IF;
  IF pg_catalog.cardinality(parts) OPERATOR(pg_catalog.=) 3 AND parts[1] OPERATOR(pg_catalog.=) pg_catalog.current_database()::pg_catalog.text THEN
    parts := parts[2:3];
  END IF;
  IF pg_catalog.cardinality(parts) OPERATOR(pg_catalog.=) 2 THEN
    RETURN (SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
      WHERE c.relname OPERATOR(pg_catalog.=) parts[2]::pg_catalog.name
        AND CASE parts[1] WHEN 'pg_temp' THEN n.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
              ELSE n.nspname OPERATOR(pg_catalog.=) parts[1]::pg_catalog.name END);
  END IF;
  RETURN pg_catalog.to_regclass($1)::pg_catalog.oid;
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.relation_named(text) RETURNS oid
LANGUAGE plpgsql STABLE AS $pgusher$
DECLARE
  found pg_catalog.oid := pgusher.relation_found($1);
BEGIN
  IF found IS NULL OR NOT pgusher.sees_relation(found) THEN
    RAISE EXCEPTION 'relation "%" does not exist', $1 USING ERRCODE = '42P01';
  END IF;
  RETURN found;
END
$pgusher$;

-- Whether a relation is read by who reads what it is a partition or child of: `tableoid::regclass` of its rows is its name.
CREATE OR REPLACE FUNCTION pgusher.is_read_through(object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN EXISTS (
    WITH RECURSIVE above AS (
      SELECT i.inhparent AS relation FROM pg_inherits AS i WHERE i.inhrelid = object
      UNION SELECT i.inhparent FROM above AS a JOIN pg_inherits AS i ON i.inhrelid = a.relation)
    SELECT FROM above AS a JOIN pg_class AS c ON c.oid = a.relation
    WHERE c.relkind IN ('r', 'p') AND pgusher.held('relation', c.oid, c.relnamespace, 'SELECT'));
END
$pgusher$;

-- Values of these types are names of what is seen, or an error: their text would tell the name of anything whose number is guessed.
CREATE OR REPLACE FUNCTION pgusher.is_seen(class oid, object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF object <> 0 AND NOT pgusher.sees(class, object) AND NOT (class = 'pg_class'::regclass AND pgusher.is_read_through(object)) THEN
    RAISE EXCEPTION '% with OID % does not exist',
      CASE class WHEN 'pg_class'::regclass THEN 'relation' WHEN 'pg_proc'::regclass THEN 'function' WHEN 'pg_type'::regclass THEN 'type'
        WHEN 'pg_namespace'::regclass THEN 'schema' ELSE 'object' END, object
      USING ERRCODE = CASE class WHEN 'pg_class'::regclass THEN '42P01' WHEN 'pg_proc'::regclass THEN '42883'
        WHEN 'pg_namespace'::regclass THEN '3F000' ELSE '42704' END;
  END IF;
  RETURN true;
END
$pgusher$;
DO $pgusher$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT * FROM (VALUES ('regclass', 'pg_class'), ('regtype', 'pg_type'), ('regproc', 'pg_proc'), ('regprocedure', 'pg_proc'),
                                   ('regnamespace', 'pg_namespace'), ('regoper', 'pg_operator'), ('regoperator', 'pg_operator')) AS v(name, class)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.typname = one.name AND t.typnamespace = 'pgusher'::pg_catalog.regnamespace) THEN
      EXECUTE pg_catalog.format('CREATE DOMAIN pgusher.%1$I AS pg_catalog.%1$I CHECK (VALUE IS NULL OR pgusher.is_seen(%2$L::pg_catalog.regclass, VALUE::pg_catalog.oid))',
        one.name, 'pg_catalog.' || one.class);
    END IF;
  END LOOP;
END
$pgusher$;

-- Whether somebody who owns it, manages it, or was granted its metadata asks.
CREATE OR REPLACE FUNCTION pgusher.may_read_definition(relation oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  schema oid := (SELECT c.relnamespace FROM pg_class AS c WHERE c.oid = relation);
BEGIN
  RETURN pgusher.sees_relation(relation) AND (schema IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    OR pgusher.held('relation', relation, schema, 'READ_METADATA') OR pgusher.held('relation', relation, schema, 'MANAGE'));
END
$pgusher$;

-- A definition in the client's words: governed views bear their tables' names, and what we call is what was written.
CREATE OR REPLACE FUNCTION pgusher.unveiled(definition text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  said text := definition;
  written CONSTANT text[] := ARRAY[
    '\( SELECT pgusher\."(current_user|session_user)"\(\) AS "\1"\)', '\1',
    'pgusher\."(current_user|session_user)"\(\)', '\1',
    'pgusher\."fenced_information_schema\.([a-z_]+)"', 'information_schema.\1',
    '\mpgusher\.(fenced_(sys_)?(?=pg_))?', '',
    '\mpgusher_([a-z0-9_]+)\.', '\1.'];
BEGIN
  FOR i IN 1 .. array_length(written, 1) BY 2 LOOP
    said := regexp_replace(said, written[i], written[i + 1], 'g');
  END LOOP;
  RETURN said;
END
$pgusher$;

-- One wrapper per overload of a function: `checked` is a condition on its arguments, `said` what it answers. Wrappers run with the
-- caller's search_path, by which names in arguments are found: everything in them is qualified.
CREATE OR REPLACE FUNCTION pgusher.wrap(wanted text, checked text, said text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  one record;
  given text;
  object text;
  answer text;
  outs text;
BEGIN
  FOR one IN
    SELECT p.oid, p.pronargs, p.proargtypes::oid[] AS types, format_type(p.prorettype, NULL) AS result, p.proisstrict,
           p.proargmodes, p.proargnames
    FROM pg_proc AS p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = wanted AND NOT p.proretset
  LOOP
    SELECT string_agg('$' || n, ', ' ORDER BY n) INTO given FROM generate_series(1, one.pronargs) AS n;
    -- A relation by name becomes its number.
    object := CASE WHEN one.types[0] = 'text'::regtype THEN 'pgusher.relation_named($1)' ELSE '$1::pg_catalog.oid' END;
    IF one.types[0] = 'text'::regtype AND checked LIKE '%{FIRST}%' THEN
      given := replace(given, '$1', object);
    END IF;
    answer := coalesce(replace(replace(said, '{GIVEN}', given), '{FIRST}', object), format('pg_catalog.%I(%s)', wanted, given));
    SELECT string_agg(quote_ident(t.name), ', ' ORDER BY t.n) INTO outs
      FROM unnest(one.proargnames, one.proargmodes) WITH ORDINALITY AS t(name, mode, n) WHERE t.mode = 'o';
    EXECUTE format('CREATE OR REPLACE FUNCTION pgusher.%I(%s) %s LANGUAGE plpgsql STABLE %s AS $wrapper$ BEGIN IF %s THEN %s END IF; %s END $wrapper$',
      wanted,
      CASE WHEN outs IS NULL THEN (SELECT string_agg(format_type(t.type, NULL), ', ' ORDER BY t.n) FROM unnest(one.types) WITH ORDINALITY AS t(type, n))
        ELSE pg_get_function_arguments(one.oid) END,
      CASE WHEN outs IS NULL THEN 'RETURNS ' || one.result ELSE '' END,
      CASE WHEN one.proisstrict THEN 'STRICT' ELSE '' END,
      replace(checked, '{FIRST}', object),
      CASE WHEN outs IS NULL THEN 'RETURN ' || answer || ';' ELSE 'SELECT * INTO ' || outs || ' FROM ' || answer || ';' END,
      CASE WHEN outs IS NULL THEN 'RETURN NULL;' ELSE '' END);
  END LOOP;
END
$pgusher$;

DO $pgusher$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT * FROM (VALUES
    ('pg_get_viewdef', 'pgusher.may_read_definition({FIRST})', 'pgusher.unveiled(pg_catalog.pg_get_viewdef({GIVEN}))'),
    ('pg_get_ruledef', 'pgusher.administers()', 'pgusher.unveiled(pg_catalog.pg_get_ruledef({GIVEN}))'),
    ('pg_get_indexdef', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_get_partkeydef', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_get_partition_constraintdef', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_get_replica_identity_index', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_relation_is_publishable', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_relation_is_updatable', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_column_is_updatable', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_sequence_parameters', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_get_serial_sequence', 'pgusher.sees_relation({FIRST})', 'pg_catalog.pg_get_serial_sequence($1, $2)'),
    ('col_description', 'pgusher.sees_relation({FIRST})', NULL),
    ('pg_get_constraintdef', 'pgusher.sees(2606, $1)', NULL),
    ('pg_get_triggerdef', 'pgusher.sees(2620, $1)', NULL),
    ('pg_get_statisticsobjdef', 'pgusher.sees(3381, $1)', NULL),
    ('pg_get_statisticsobjdef_columns', 'pgusher.sees(3381, $1)', NULL),
    ('pg_get_statisticsobjdef_expressions', 'pgusher.sees(3381, $1)', NULL),
    ('pg_get_functiondef', '$1 OPERATOR(pg_catalog.<) 16384::pg_catalog.oid OR (pgusher.sees_function($1) AND pgusher.owns(''function'', $1))', NULL),
    ('pg_get_function_sqlbody', '$1 OPERATOR(pg_catalog.<) 16384::pg_catalog.oid OR (pgusher.sees_function($1) AND pgusher.owns(''function'', $1))', NULL),
    ('pg_get_function_arguments', '$1 OPERATOR(pg_catalog.<) 16384::pg_catalog.oid OR pgusher.sees_function($1)', NULL),
    ('pg_get_function_identity_arguments', '$1 OPERATOR(pg_catalog.<) 16384::pg_catalog.oid OR pgusher.sees_function($1)', NULL),
    ('pg_get_function_result', '$1 OPERATOR(pg_catalog.<) 16384::pg_catalog.oid OR pgusher.sees_function($1)', NULL),
    ('pg_get_function_arg_default', '$1 OPERATOR(pg_catalog.<) 16384::pg_catalog.oid OR pgusher.sees_function($1)', NULL),
    ('format_type', '$1 OPERATOR(pg_catalog.<) 16384::pg_catalog.oid OR $1 IS NULL OR pgusher.sees_type($1)', NULL),
    ('pg_get_expr', '$2 OPERATOR(pg_catalog.=) 0::pg_catalog.oid OR pgusher.sees_relation($2)', NULL),
    ('obj_description', 'true', 'pgusher.comment_on({GIVEN})'),
    ('shobj_description', '$2 OPERATOR(pg_catalog.=) ''pg_database''::pg_catalog.name', NULL),
    ('pg_describe_object', 'pgusher.sees($1, $2)', NULL),
    ('pg_identify_object', 'pgusher.sees($1, $2)', NULL),
    ('pg_identify_object_as_address', 'pgusher.sees($1, $2)', NULL),
    -- How much is stored tells of rows that a filter hides: owners and administrators are told.
    ('pg_relation_size', 'pgusher.sees_relation($1::pg_catalog.oid) AND pgusher.owns(''relation'', $1::pg_catalog.oid)', NULL),
    ('pg_table_size', 'pgusher.sees_relation($1::pg_catalog.oid) AND pgusher.owns(''relation'', $1::pg_catalog.oid)', NULL),
    ('pg_indexes_size', 'pgusher.sees_relation($1::pg_catalog.oid) AND pgusher.owns(''relation'', $1::pg_catalog.oid)', NULL),
    ('pg_total_relation_size', 'pgusher.sees_relation($1::pg_catalog.oid) AND pgusher.owns(''relation'', $1::pg_catalog.oid)', NULL),
    ('pg_database_size', 'pgusher.administers()', NULL),
    ('pg_tablespace_size', 'pgusher.administers()', NULL)
  ) AS v(name, checked, said)
  LOOP
    PERFORM pgusher.wrap(one.name, one.checked, one.said);
  END LOOP;
  -- Names to numbers: of what is not seen, as of what is not there.
  FOR one IN SELECT * FROM (VALUES ('to_regtype', 'pg_type'), ('to_regproc', 'pg_proc'),
      ('to_regprocedure', 'pg_proc'), ('to_regnamespace', 'pg_namespace'), ('to_regoper', 'pg_operator'), ('to_regoperator', 'pg_operator')) AS v(name, class)
  LOOP
    EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION pgusher.%1$I(text) RETURNS pg_catalog.%2$I LANGUAGE plpgsql STABLE STRICT AS $wrapper$
      BEGIN IF pgusher.sees(%3$L::pg_catalog.regclass, pg_catalog.%1$I($1)::pg_catalog.oid) THEN RETURN pg_catalog.%1$I($1); END IF; RETURN NULL; END $wrapper$',
      one.name, pg_catalog.substr(one.name, 4), 'pg_catalog.' || one.class);
  END LOOP;
  CREATE OR REPLACE FUNCTION pgusher.to_regclass(text) RETURNS pg_catalog.regclass LANGUAGE plpgsql STABLE STRICT AS $wrapper$
    DECLARE
      found pg_catalog.oid := pgusher.relation_found($1);
    BEGIN
      IF pgusher.sees_relation(found) THEN
        RETURN found::pg_catalog.regclass;
      END IF;
      RETURN NULL;
    END $wrapper$;
END
$pgusher$;

CREATE OR REPLACE FUNCTION pgusher.comment_on(object oid, catalog name) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT d.description FROM pgusher.narrow_pg_description AS d
          WHERE d.objoid = object AND d.objsubid = 0
            AND d.classoid = (SELECT c.oid FROM pg_class AS c WHERE c.relname = catalog AND c.relnamespace = 'pg_catalog'::regnamespace));
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.comment_on(object oid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT d.description FROM pgusher.narrow_pg_description AS d WHERE d.objoid = object AND d.objsubid = 0 LIMIT 1);
END
$pgusher$;

-- A partition's kin, as far as it is seen; numbers, not names.
CREATE OR REPLACE FUNCTION pgusher.pg_partition_ancestors(regclass, OUT relid oid) RETURNS SETOF oid
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 10 SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN QUERY SELECT a.relid::oid FROM pg_catalog.pg_partition_ancestors($1) AS a WHERE pgusher.sees_relation($1) AND pgusher.sees_relation(a.relid);
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.pg_partition_tree(regclass, OUT relid oid, OUT parentrelid oid, OUT isleaf boolean, OUT level integer) RETURNS SETOF record
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN QUERY SELECT a.relid::oid, a.parentrelid::oid, a.isleaf, a.level FROM pg_catalog.pg_partition_tree($1) AS a
    WHERE pgusher.sees_relation($1) AND pgusher.sees_relation(a.relid);
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.pg_partition_root(regclass) RETURNS oid
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT a.relid::oid FROM pg_catalog.pg_partition_root($1) AS a(relid) WHERE pgusher.sees_relation($1) AND pgusher.sees_relation(a.relid));
END
$pgusher$;

-- Who owns: principals bear numbers from 4000000000 on; everything else belongs to the database's first role.
CREATE OR REPLACE FUNCTION pgusher.pg_get_userbyid(oid) RETURNS name
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER AS $pgusher$
BEGIN
  -- Listings ask for each of their rows.
  IF $1 OPERATOR(pg_catalog.=) 10::pg_catalog.oid THEN
    RETURN pg_catalog.pg_get_userbyid($1);
  END IF;
  RETURN coalesce((SELECT r.rolname FROM pgusher.fenced_pg_roles AS r WHERE r.oid OPERATOR(pg_catalog.=) $1),
    pg_catalog.concat('unknown (OID=', $1, ')')::pg_catalog.name);
END
$pgusher$;

-- In the information schema's definitions: what is seen may be listed, and only administrators are shown what PostgreSQL shows owners.
CREATE OR REPLACE FUNCTION pgusher.always(oid, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OR REPLACE FUNCTION pgusher.always(oid, smallint, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OR REPLACE FUNCTION pgusher.owns_it(oid, text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT (SELECT pgusher.administers())';
CREATE OR REPLACE FUNCTION pgusher.owns_it(name, text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT (SELECT pgusher.administers())';
