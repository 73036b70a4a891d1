-- Catalog relations as sessions see them. Made from the catalogs' own columns, so they fit every version of PostgreSQL.
--
-- Of each there are three: `narrow_x` and `wide_x`, which the planner joins freely, for statements in which nothing could tell of a row
-- before it is left out: one asks for each row, for statements about a few, the other makes the set first; and `fenced_x`, which is wide
-- behind a security barrier. Each is there again with the system columns that some tools ask for, `narrow_sys_x`. Of some there is
-- `near_x`, for rows that are tied to a relation which is seen: it asks what else there is to ask. None bears a catalog's own name, for
-- tools on a direct connection look catalogs up by name alone.

-- What relations a session sees, as a condition on a row `x` of pg_class: those of schemas seen whole, those it has any right on, and
-- what belongs to these.
CREATE OR REPLACE FUNCTION pgusher.sight(wide boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $pgusher$ SELECT CASE WHEN wide THEN $condition$
  x.relnamespace = {ALL}
    OR x.oid IN (SELECT g.object FROM pgusher.rights AS g WHERE g.principal = {ME} AND g.kind = 'relation')
    OR (x.relkind IN ('i', 'I') AND x.oid IN (
          SELECT i.indexrelid FROM pg_catalog.pg_index AS i
          WHERE i.indrelid IN (SELECT g.object FROM pgusher.rights AS g WHERE g.kind = 'relation' AND g.principal = {ME})))
    OR (x.relkind = 'S' AND x.oid IN (
          SELECT d.objid FROM pg_catalog.pg_depend AS d
          WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
            AND d.refobjid IN (SELECT g.object FROM pgusher.rights AS g WHERE g.kind = 'relation' AND g.principal = {ME})))
    OR (x.relkind = 'c' AND x.relnamespace = {NAMES})
$condition$ ELSE $condition$
  x.relnamespace = {ALL} OR pgusher.sees_relation(x.oid)
$condition$ END $pgusher$;

-- Makes or renews a view; one that has other columns now is made anew.
CREATE OR REPLACE FUNCTION pgusher.put_view(name text, options text, body text) RETURNS void
LANGUAGE plpgsql AS $pgusher$
BEGIN
  BEGIN
    EXECUTE pg_catalog.format('CREATE OR REPLACE VIEW pgusher.%I %s AS %s', name, options, body);
  EXCEPTION WHEN invalid_table_definition THEN
    EXECUTE pg_catalog.format('DROP VIEW IF EXISTS pgusher.%I CASCADE', name);
    EXECUTE pg_catalog.format('CREATE VIEW pgusher.%I %s AS %s', name, options, body);
  END;
END
$pgusher$;

-- Writes out what stands in braces: {ALL} schemas seen whole, {CALLS} schemas whose functions are seen, {NAMES} schemas whose names are
-- seen, {ADMIN} an administrator, {ME} the numbers of principal and groups, {SEES column} a relation that is seen, {TYPE column} and
-- {CALL column} the same of types and functions, {IN catalog column} of others, {RIGHT kind column} an object that there is any right on,
-- {MINE kind column} one that is owned, {OWNER kind column owner} who owns it here. Narrow views call functions for their few rows, for
-- every sub-select is planned with every statement.
CREATE OR REPLACE FUNCTION pgusher.spell(text, wide boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  said text := $1;
  named CONSTANT text[] := CASE WHEN wide THEN ARRAY[
      '\{SEES ([a-z_.]+)\}', '(\1 IN (SELECT k.oid FROM pgusher.wide_seen AS k))',
      '\{TYPE ([a-z_.]+)\}', '(\1 IN (SELECT k.oid FROM pgusher.wide_pg_type AS k))',
      '\{CALL ([a-z_.]+)\}', '(\1 IN (SELECT k.oid FROM pgusher.wide_pg_proc AS k))',
      '\{IN ([a-z_]+) ([a-z_.]+)\}', '(\2 IN (SELECT k.oid FROM pgusher.wide_\1 AS k))',
      '\{RIGHT ([a-z]+) ([a-z_.]+)\}', '(\2 IN (SELECT g.object FROM pgusher.rights AS g WHERE g.principal = {ME} AND g.kind = ''\1''))',
      '\{MINE ([a-z]+) ([a-z_.]+)\}',
        '({ADMIN} OR EXISTS (SELECT FROM pgusher.owner AS o WHERE o.principal = {ME} AND o.kind = ''\1'' AND o.object = \2))',
      '\{OWNER ([a-z]+) ([a-z_.]+) ([a-z_.]+)\}', 'coalesce((SELECT (4000000000 + o.principal)::oid FROM pgusher.owner AS o'
        || ' WHERE o.kind = ''\1'' AND o.object = \2 AND (o.principal = {ME} OR {ADMIN})),'
        || ' CASE WHEN {ADMIN} THEN pgusher.role_shown(\3) ELSE 10::oid END)',
      '\{CALLS\}', 'ANY ((SELECT pgusher.callable())::oid[])',
      '\{ME\}', 'ANY ((SELECT pgusher.ids())::bigint[])',
      '\{ADMIN\}', '(SELECT pgusher.administers())']
    ELSE ARRAY[
      '\{SEES ([a-z_.]+)\}', 'pgusher.sees_relation(\1)',
      '\{TYPE ([a-z_.]+)\}', '(\1 < 16384 OR pgusher.sees_type(\1))',
      '\{CALL ([a-z_.]+)\}', '(\1 < 16384 OR pgusher.sees_function(\1))',
      '\{IN ([a-z_]+) ([a-z_.]+)\}', 'pgusher.sees(''pg_catalog.\1''::regclass, \2)',
      '\{RIGHT ([a-z]+) ([a-z_.]+)\}',
        'EXISTS (SELECT FROM pgusher.rights AS g WHERE g.principal = {ME} AND g.kind = ''\1'' AND g.object = \2)',
      '\{MINE ([a-z]+) ([a-z_.]+)\}', 'pgusher.owns(''\1'', \2)',
      '\{OWNER ([a-z]+) ([a-z_.]+) ([a-z_.]+)\}', 'pgusher.owner_shown(''\1'', \2, \3)',
      '\{CALLS\}', 'ANY (pgusher.callable())',
      '\{ME\}', 'ANY (pgusher.ids())',
      '\{ADMIN\}', 'pgusher.administers()'] END
    -- Once for many rows, whatever joins a planner chooses.
    || ARRAY['\{ALL\}', 'ANY ((SELECT pgusher.whole())::oid[])', '\{NAMES\}', 'ANY ((SELECT pgusher.schemas())::oid[])'];
BEGIN
  FOR i IN 1 .. array_length(named, 1) BY 2 LOOP
    said := regexp_replace(said, named[i], named[i + 1], 'g');
  END LOOP;
  RETURN said;
END
$pgusher$;

-- The views of one catalog relation: its columns, some of them replaced, and the rows that meet a condition on `x`, written otherwise
-- for wide views where `widely` says so, and for the narrow one on what is joined to it; `nearly` is what there is to ask of rows that
-- are tied to a relation which is seen.
DROP FUNCTION IF EXISTS pgusher.forge(text, text, jsonb, text);
DROP FUNCTION IF EXISTS pgusher.forge(text, text, jsonb, text, text);
CREATE OR REPLACE FUNCTION pgusher.forge(name text, condition text, replaced jsonb DEFAULT '{}', widely text DEFAULT NULL, beside text DEFAULT '',
  nearly text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  source CONSTANT oid := (SELECT c.oid FROM pg_class AS c WHERE c.relname = name AND c.relnamespace = 'pg_catalog'::regnamespace);
  columns text;
  shown text;
  said text;
  one record;
BEGIN
  IF source IS NULL THEN
    RETURN;
  END IF;
  SELECT string_agg(CASE WHEN replaced ? a.attname::text THEN format('(%s)::%s', replaced ->> a.attname,
                             CASE a.atttypid WHEN 'anyarray'::regtype THEN 'text[]' ELSE format_type(a.atttypid, a.atttypmod) END)
                         ELSE 'x.' || quote_ident(a.attname) END || ' AS ' || quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
    FROM pg_attribute AS a WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped;
  FOR one IN SELECT * FROM (VALUES
    ('narrow_', false, '', beside, condition),
    ('wide_', true, '', '', coalesce(widely, condition)),
    ('fenced_', true, 'WITH (security_barrier)', '', coalesce(widely, condition)),
    ('near_', false, '', '', nearly)) AS v(form, wide, options, joined, said)
  LOOP
    CONTINUE WHEN one.said IS NULL;
    said := format('FROM pg_catalog.%I AS x %s WHERE %s', name, one.joined, pgusher.spell(one.said, one.wide));
    shown := 'SELECT ' || pgusher.spell(columns, one.wide);
    PERFORM pgusher.put_view(one.form || name, one.options, shown || ' ' || said);
    IF one.form <> 'near_' AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = source AND c.relkind = 'r') THEN
      PERFORM pgusher.put_view(one.form || 'sys_' || name, one.options, shown || ', x.tableoid, x.xmin, x.ctid ' || said);
    END IF;
  END LOOP;
END
$pgusher$;

-- An object of any catalog that is seen; of catalogs without a rule, what PostgreSQL itself brought.
CREATE OR REPLACE FUNCTION pgusher.seen_of_any(class text, object text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  one text;
  said text := format('CASE %1$s WHEN ''pg_catalog.pg_class''::regclass THEN {SEES %2$s}'
    ' WHEN ''pg_catalog.pg_proc''::regclass THEN {CALL %2$s} WHEN ''pg_catalog.pg_type''::regclass THEN {TYPE %2$s}'
    ' WHEN ''pg_catalog.pg_namespace''::regclass THEN %2$s = {NAMES} WHEN ''pg_catalog.pg_extension''::regclass THEN true', class, object);
BEGIN
  FOREACH one IN ARRAY '{pg_constraint,pg_attrdef,pg_trigger,pg_rewrite,pg_policy,pg_statistic_ext,pg_operator,pg_foreign_server}'::text[] LOOP
    said := said || format(' WHEN ''pg_catalog.%1$s''::regclass THEN {IN %1$s %2$s}', one, object);
  END LOOP;
  RETURN said || format(' WHEN ''pg_catalog.pg_authid''::regclass THEN false ELSE %s < 16384 OR {ADMIN} END', object);
END
$pgusher$;

DO $pgusher$
DECLARE
  one record;
  hidden CONSTANT text := '{"reltuples": "CASE WHEN {ADMIN} THEN x.reltuples ELSE -1 END",
    "relpages": "CASE WHEN {ADMIN} THEN x.relpages ELSE 0 END", "relallvisible": "CASE WHEN {ADMIN} THEN x.relallvisible ELSE 0 END",
    "relallfrozen": "CASE WHEN {ADMIN} THEN x.relallfrozen ELSE 0 END",
    "relowner": "CASE WHEN x.relkind IN (''i'', ''I'') THEN (SELECT {OWNER relation i.indrelid x.relowner} FROM pg_catalog.pg_index AS i WHERE i.indexrelid = x.oid) ELSE {OWNER relation x.oid x.relowner} END", "relacl": "NULL"}';
  tables text;
BEGIN
  PERFORM pgusher.put_view('rights', '', 'SELECT g.principal, g.kind, g.object FROM pgusher.grants AS g
    UNION ALL SELECT o.principal, o.kind, o.object FROM pgusher.owner AS o');
  PERFORM pgusher.put_view('seen', '', 'SELECT x.oid, x.reltype FROM pg_catalog.pg_class AS x WHERE ' || pgusher.spell(pgusher.sight(false), false));
  PERFORM pgusher.put_view('wide_seen', '', 'SELECT x.oid, x.reltype FROM pg_catalog.pg_class AS x WHERE ' || pgusher.spell(pgusher.sight(true), true));
  PERFORM pgusher.forge('pg_class', pgusher.sight(false), hidden::jsonb, pgusher.sight(true));
  -- Tables and views alone, for the information schema: what belongs to others need not be looked for.
  SELECT pg_catalog.string_agg(CASE WHEN hidden::jsonb ? a.attname::text THEN pg_catalog.format('NULL::%s', pg_catalog.format_type(a.atttypid, NULL))
      ELSE 'x.' || pg_catalog.quote_ident(a.attname) END || ' AS ' || pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO tables
    FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = 'pg_catalog.pg_class'::regclass AND a.attnum > 0;
  PERFORM pgusher.put_view('wide_tables', '', pgusher.spell('SELECT ' || tables || ' FROM pg_catalog.pg_class AS x
    WHERE x.relkind IN (''r'', ''v'', ''f'', ''p'') AND (x.relnamespace = {ALL} OR {RIGHT relation x.oid})', true));
  PERFORM pgusher.forge('pg_type', 'x.oid < 16384 OR pgusher.sees_type(x.oid)',
    '{"typowner": "{OWNER type x.oid x.typowner}", "typacl": "NULL"}',
    'x.typnamespace = {ALL}
      OR x.typrelid IN (SELECT k.oid FROM pgusher.wide_seen AS k)
      OR x.typelem IN (SELECT k.reltype FROM pgusher.wide_seen AS k WHERE k.reltype <> 0)
      OR (x.typrelid = 0 AND x.typelem NOT IN (SELECT c.reltype FROM pg_catalog.pg_class AS c WHERE c.reltype <> 0)
          AND (x.typnamespace = {NAMES} OR x.oid IN (SELECT d.objid FROM pg_catalog.pg_depend AS d
                 WHERE d.classid = ''pg_catalog.pg_type''::regclass AND d.refclassid = ''pg_catalog.pg_extension''::regclass)))');
  PERFORM pgusher.forge('pg_proc', 'x.oid < 16384 OR pgusher.sees_function(x.oid)',
    '{"proowner": "{OWNER function x.oid x.proowner}", "proacl": "NULL",
      "prosrc": "CASE WHEN x.oid < 16384 OR {MINE function x.oid} THEN x.prosrc END",
      "prosqlbody": "CASE WHEN x.oid < 16384 OR {MINE function x.oid} THEN x.prosqlbody END"}',
    'x.pronamespace = {CALLS} OR {RIGHT function x.oid}');
  FOR one IN SELECT * FROM (VALUES
    -- Schemas, relations, columns.
    ('pg_namespace', 'x.oid = {NAMES}', '{"nspowner": "{OWNER schema x.oid x.nspowner}", "nspacl": "NULL"}'),
    ('pg_attribute', '{SEES x.attrelid}', '{"attacl": "NULL", "attmissingval": "NULL"}'),
    ('pg_index', '{SEES x.indrelid}', '{}'),
    ('pg_partitioned_table', '{SEES x.partrelid}', '{}'),
    ('pg_sequence', '{SEES x.seqrelid}', '{}'),
    ('pg_foreign_table', '{SEES x.ftrelid}', '{"ftoptions": "CASE WHEN {ADMIN} THEN x.ftoptions END"}'),
    ('pg_statistic_ext', '{SEES x.stxrelid}', '{"stxowner": "{OWNER relation x.stxrelid x.stxowner}"}'),
    -- Functions and types.
    ('pg_enum', '{TYPE x.enumtypid}', '{}'),
    ('pg_range', '{TYPE x.rngtypid}', '{}'),
    ('pg_aggregate', '{CALL x.aggfnoid}', '{}'),
    ('pg_cast', '{TYPE x.castsource} AND {TYPE x.casttarget}', '{}'),
    -- What belongs to relations.
    ('pg_rewrite', '{SEES x.ev_class}', '{"ev_qual": "NULL", "ev_action": "NULL"}'),
    ('pg_publication_rel', '{SEES x.prrelid} AND {ADMIN}', '{"prqual": "NULL"}'),
    -- Kinds of objects that nobody is granted: by their schema.
    ('pg_operator', 'x.oprnamespace = {NAMES}', '{"oprowner": "10"}'),
    ('pg_opclass', 'x.opcnamespace = {NAMES}', '{"opcowner": "10"}'),
    ('pg_opfamily', 'x.opfnamespace = {NAMES}', '{"opfowner": "10"}'),
    ('pg_collation', 'x.collnamespace = {NAMES}', '{"collowner": "10"}'),
    ('pg_conversion', 'x.connamespace = {NAMES}', '{"conowner": "10"}'),
    ('pg_ts_config', 'x.cfgnamespace = {NAMES}', '{"cfgowner": "10"}'),
    ('pg_ts_dict', 'x.dictnamespace = {NAMES}', '{"dictowner": "10", "dictinitoption": "CASE WHEN x.oid < 16384 OR {ADMIN} THEN x.dictinitoption END"}'),
    ('pg_ts_parser', 'x.prsnamespace = {NAMES}', '{}'),
    ('pg_ts_template', 'x.tmplnamespace = {NAMES}', '{}'),
    ('pg_foreign_server', '{ADMIN} OR EXISTS (SELECT FROM pgusher.grants AS g WHERE g.principal = {ME}
        AND (g.kind = ''catalog'' OR (g.kind = ''connection'' AND g.object = x.oid)))
        OR EXISTS (SELECT FROM pgusher.owner AS o WHERE o.principal = {ME} AND o.kind = ''connection'' AND o.object = x.oid)',
      '{"srvowner": "{OWNER connection x.oid x.srvowner}", "srvacl": "NULL", "srvoptions": "NULL"}'),
    ('pg_foreign_data_wrapper', 'true', '{"fdwowner": "10", "fdwacl": "NULL", "fdwoptions": "NULL"}'),
    ('pg_language', 'true', '{"lanowner": "10", "lanacl": "NULL"}'),
    ('pg_extension', 'true', '{"extowner": "10"}'),
    ('pg_tablespace', 'true', '{"spcowner": "10", "spcacl": "NULL", "spcoptions": "NULL"}'),
    ('pg_database', 'x.datname = pg_catalog.current_database()', '{"datdba": "10", "datacl": "NULL"}'),
    -- The operator's business.
    ('pg_event_trigger', '{ADMIN}', '{"evtowner": "10"}'),
    ('pg_publication', '{ADMIN}', '{"pubowner": "10"}'),
    ('pg_publication_namespace', '{ADMIN}', '{}'),
    ('pg_default_acl', 'false', '{}'),
    ('pg_db_role_setting', 'false', '{}'),
    ('pg_parameter_acl', 'false', '{}'),
    ('pg_init_privs', 'false', '{}'),
    ('pg_seclabel', 'false', '{}'),
    ('pg_shseclabel', 'false', '{}'),
    ('pg_seclabels', 'false', '{}'),
    ('pg_shdepend', 'false', '{}'),
    ('pg_auth_members', 'false', '{}'),
    ('pg_shdescription', 'x.classoid = ''pg_catalog.pg_database''::regclass
        AND x.objoid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())', '{}'),
    ('pg_locks', 'x.pid = pg_catalog.pg_backend_pid()', '{}'),
    ('pg_cursors', 'x.name NOT LIKE ''pgusher$%''', '{}'),
    ('pg_prepared_statements', 'x.name NOT LIKE ''pgusher$%''', '{}'),
    ('pg_stat_ssl', 'x.pid = pg_catalog.pg_backend_pid()', '{}'),
    ('pg_stat_gssapi', 'x.pid = pg_catalog.pg_backend_pid()', '{}'),
    ('pg_stat_activity', 'x.pid = pg_catalog.pg_backend_pid()',
      '{"usesysid": "NULL", "usename": "pgusher.current_user()"}')
  ) AS v(name, condition, replaced)
  LOOP
    PERFORM pgusher.forge(one.name, one.condition, one.replaced::jsonb);
  END LOOP;
  -- Who asks which constraints refer to a table has no index to find them by: the join lets what they refer to be looked for first.
  PERFORM pgusher.forge('pg_constraint', '(x.connamespace = {ALL} AND (f.oid IS NULL OR f.relnamespace = {ALL}))
      OR pgusher.sees_constraint(x.conrelid, x.contypid, f.oid)', '{}',
    '({SEES x.conrelid} OR (x.conrelid = 0 AND {TYPE x.contypid})) AND (x.confrelid = 0 OR {SEES x.confrelid})',
    'LEFT JOIN pg_catalog.pg_class AS f ON f.oid = x.confrelid',
    'x.confrelid = 0 OR {SEES x.confrelid}');
  -- A trigger, like a constraint or default, is seen only with what else it names.
  PERFORM pgusher.forge('pg_trigger', '{SEES x.tgrelid} AND {CALL x.tgfoid} AND (x.tgconstrrelid = 0 OR {SEES x.tgconstrrelid})',
    nearly => '{CALL x.tgfoid} AND (x.tgconstrrelid = 0 OR {SEES x.tgconstrrelid})');
  PERFORM pgusher.forge('pg_attrdef', 'pgusher.sees_default(x.oid, x.adrelid)', '{}',
    '{SEES x.adrelid} AND x.oid NOT IN (
      SELECT d.objid FROM pg_catalog.pg_depend AS d WHERE d.classid = ''pg_catalog.pg_attrdef''::regclass AND d.objsubid = 0
        AND ((d.refclassid = ''pg_catalog.pg_class''::regclass AND NOT {SEES d.refobjid})
          OR (d.refclassid = ''pg_catalog.pg_proc''::regclass AND NOT {CALL d.refobjid})))',
    nearly => 'NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend AS d
      WHERE d.classid = ''pg_catalog.pg_attrdef''::regclass AND d.objid = x.oid AND d.objsubid = 0 AND d.refobjid <> x.adrelid
        AND ((d.refclassid = ''pg_catalog.pg_class''::regclass AND NOT {SEES d.refobjid})
          OR (d.refclassid = ''pg_catalog.pg_proc''::regclass AND NOT {CALL d.refobjid})))');
  PERFORM pgusher.forge('pg_inherits', '{SEES x.inhrelid} AND {SEES x.inhparent}', nearly => '{SEES x.inhparent}');
  PERFORM pgusher.forge('pg_policy', 'x.polname NOT LIKE ''pgusher\_%'' AND {SEES x.polrelid}',
    '{"polqual": "CASE WHEN {ADMIN} AND NOT EXISTS (SELECT FROM pgusher.made AS m WHERE m.relation = x.polrelid) THEN x.polqual END",
      "polwithcheck": "CASE WHEN {ADMIN} AND NOT EXISTS (SELECT FROM pgusher.made AS m WHERE m.relation = x.polrelid) THEN x.polwithcheck END",
      "polroles": "''{0}''::oid[]"}',
    nearly => 'x.polname NOT LIKE ''pgusher\_%''');
  -- Comments and dependencies are about objects of any catalog.
  PERFORM pgusher.forge('pg_description', pgusher.seen_of_any('x.classoid', 'x.objoid'));
  PERFORM pgusher.forge('pg_depend', pgusher.seen_of_any('x.classid', 'x.objid') || ' AND ' || pgusher.seen_of_any('x.refclassid', 'x.refobjid'));
END
$pgusher$;
