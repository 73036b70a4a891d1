-- Catalog views and the information schema over the views of metadata_views.sql, made from PostgreSQL's own definitions.

-- Roles are principals: one's own, one's groups, and the database's first role, which owns what no principal does. An administrator sees all
-- principals, and the roles that are not ours.
DO $pgusher$
DECLARE
  one record;
  body text;
  form text;
  said text;
  made text := (SELECT pg_catalog.string_agg(pg_catalog.substr(c.relname, 6), '|') FROM pg_catalog.pg_class AS c
                WHERE c.relnamespace = 'pgusher'::pg_catalog.regnamespace AND c.relname LIKE 'wide\_pg\_%');
BEGIN
  PERFORM pgusher.put_view('fenced_pg_roles', 'WITH (security_barrier)', 'SELECT p.name::name AS rolname, false AS rolsuper, true AS rolinherit, false AS rolcreaterole,
      false AS rolcreatedb, p.kind <> ''group'' AS rolcanlogin, false AS rolreplication, -1 AS rolconnlimit, ''********''::text AS rolpassword,
      NULL::timestamptz AS rolvaliduntil, false AS rolbypassrls, NULL::text[] AS rolconfig, (4000000000 + p.id)::oid AS oid
    FROM pgusher.principal AS p WHERE p.id = ANY ((SELECT pgusher.ids())::bigint[]) OR (SELECT pgusher.administers())
    UNION ALL SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolconnlimit,
      r.rolpassword, r.rolvaliduntil, r.rolbypassrls, NULL::text[], r.oid
    FROM pg_catalog.pg_roles AS r WHERE r.oid = 10 OR ((SELECT pgusher.administers()) AND r.rolname NOT LIKE ''pgusher\_%'')');
  PERFORM pgusher.put_view('fenced_pg_user', 'WITH (security_barrier)', 'SELECT r.rolname AS usename, r.oid AS usesysid, r.rolcreatedb AS usecreatedb, r.rolsuper AS usesuper,
      r.rolreplication AS userepl, r.rolbypassrls AS usebypassrls, ''********''::text AS passwd, r.rolvaliduntil AS valuntil, r.rolconfig AS useconfig
    FROM pgusher.fenced_pg_roles AS r WHERE r.rolcanlogin');
  PERFORM pgusher.put_view('fenced_pg_group', 'WITH (security_barrier)', 'SELECT r.rolname AS groname, r.oid AS grosysid, ''{}''::oid[] AS grolist FROM pgusher.fenced_pg_roles AS r WHERE NOT r.rolcanlogin');
  FOR one IN
    SELECT c.relname, n.nspname, pg_catalog.pg_get_viewdef(c.oid) AS body
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v' AND (n.nspname = 'information_schema'
        OR (n.nspname = 'pg_catalog' AND c.relname IN ('pg_tables', 'pg_views', 'pg_matviews', 'pg_indexes', 'pg_rules', 'pg_policies', 'pg_publication_tables')))
      AND NOT (n.nspname = 'information_schema' AND c.relname ~ '^(_pg_foreign|column_options|_pg_user|foreign_|user_mapping|element_types|data_type_pri|applicable_roles|administrable|enabled_roles)|_(privileges|grants)$')
    ORDER BY c.oid
  LOOP
    body := pg_catalog.regexp_replace(one.body, '\m(pg_get_userbyid|pg_get_viewdef|pg_get_ruledef)\(', 'pgusher.\1(', 'g');
    IF one.nspname = 'information_schema' THEN
      -- What is seen is what there are privileges on; only owners are shown definitions.
      body := pg_catalog.regexp_replace(body, 'information_schema\._pg_truetypid\((\w+)\.\*, (\w+)\.\*\)',
        'CASE WHEN \2.typtype = ''d'' THEN \2.typbasetype ELSE \1.atttypid END', 'g');
      body := pg_catalog.regexp_replace(body, 'information_schema\._pg_truetypmod\((\w+)\.\*, (\w+)\.\*\)',
        'CASE WHEN \2.typtype = ''d'' THEN \2.typtypmod ELSE \1.atttypmod END', 'g');
      body := pg_catalog.regexp_replace(body, '\mhas_[a-z_]+_privilege\(', 'pgusher.always(', 'g');
      body := pg_catalog.regexp_replace(body, '\mpg_has_role\(', 'pgusher.owns_it(', 'g');
      body := pg_catalog.regexp_replace(body, '([\s(])pg_authid(?= [a-z]+)',
        '\1(SELECT r.oid, pgusher.pg_get_userbyid(r.oid) AS rolname FROM pg_catalog.pg_roles AS r)', 'g');
      body := pg_catalog.regexp_replace(body, '\minformation_schema\.(?!_pg_(?:truetyp|char|num|dat|int|ind|exp))([a-z_]+)(?= [a-z_"]+[,)\n; ]|[,)\n;])',
        'pgusher."information_schema.\1"', 'g');
      body := pg_catalog.regexp_replace(body, 'pgusher\."information_schema\.(sql_identifier|character_data|cardinal_number|yes_or_no|time_stamp)"', 'information_schema.\1', 'g');
    END IF;
    FOREACH form IN ARRAY ARRAY['narrow_', 'wide_', 'fenced_'] LOOP
      said := pg_catalog.regexp_replace(body, '([\s(])(' || made || ')(?= [a-z_0-9]+)', '\1pgusher.' || CASE form WHEN 'fenced_' THEN 'wide_' ELSE form END || '\2', 'g');
      IF one.nspname = 'information_schema' AND one.relname IN ('tables', 'columns') THEN
        -- What these join to a table by its number is seen with it: its schema, its columns, the sequences of its identities, and the type
        -- that it is made of. So only tables are asked of, and what defaults name.
        said := pg_catalog.regexp_replace(said, 'pgusher\.(narrow|wide)_(pg_namespace nc|pg_attribute a|pg_depend dep|pg_sequence seq)\M', 'pg_catalog.\2', 'g');
        said := pg_catalog.replace(pg_catalog.replace(said, 'pgusher.wide_pg_class', 'pgusher.wide_tables'), 'pgusher.narrow_pg_attrdef', 'pgusher.near_pg_attrdef');
        IF one.relname = 'tables' THEN
          said := pg_catalog.regexp_replace(said, 'pgusher\.(narrow|wide)_pg_type\M', 'pg_catalog.pg_type', 'g');
        END IF;
      END IF;
      said := pg_catalog.replace(said, 'pgusher."information_schema.', 'pgusher."' || CASE form WHEN 'fenced_' THEN 'wide_' ELSE form END || 'information_schema.');
      BEGIN
        PERFORM pgusher.put_view(form || CASE one.nspname WHEN 'pg_catalog' THEN '' ELSE 'information_schema.' END || one.relname,
          CASE form WHEN 'fenced_' THEN 'WITH (security_barrier)' ELSE '' END, said);
      EXCEPTION WHEN undefined_table OR undefined_function OR undefined_column OR datatype_mismatch THEN
        RAISE WARNING 'catalog view %.% is not offered: %', one.nspname, one.relname, SQLERRM;
      END;
    END LOOP;
  END LOOP;
  -- Tables as the statistics list them, without the figures: those tell of rows that a filter hides, and of what others do.
  FOR one IN SELECT c.oid, c.relname FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relname IN ('pg_stat_all_tables', 'pg_stat_user_tables')
  LOOP
    SELECT pg_catalog.string_agg(CASE a.attname WHEN 'relid' THEN 'c.oid' WHEN 'schemaname' THEN 'n.nspname' WHEN 'relname' THEN 'c.relname'
        ELSE 'NULL::' || pg_catalog.format_type(a.atttypid, a.atttypmod) END || ' AS ' || a.attname, ', ' ORDER BY a.attnum) INTO body
      FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = one.oid AND a.attnum > 0;
    FOREACH form IN ARRAY ARRAY['narrow_', 'wide_', 'fenced_'] LOOP
      said := pg_catalog.format('SELECT %s FROM pgusher.%I AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace'
        ' WHERE c.relkind IN (''r'', ''t'', ''m'', ''p'')', body, CASE form WHEN 'fenced_' THEN 'wide_' ELSE form END || 'pg_class');
      IF one.relname = 'pg_stat_user_tables' THEN
        said := said || ' AND n.nspname NOT IN (''pg_catalog'', ''information_schema'') AND n.nspname NOT LIKE ''pg\_toast%''';
      END IF;
      PERFORM pgusher.put_view(form || one.relname, CASE form WHEN 'fenced_' THEN 'WITH (security_barrier)' ELSE '' END, said);
    END LOOP;
  END LOOP;
  -- Privileges are those of our grants, and one's own.
  FOR one IN SELECT * FROM (VALUES ('table_privileges'), ('role_table_grants')) AS v(name) LOOP
    PERFORM pgusher.put_view('fenced_information_schema.' || one.name, 'WITH (security_barrier)',
      'SELECT ''pgusher''::information_schema.sql_identifier AS grantor, pgusher.current_user()::information_schema.sql_identifier AS grantee,
         current_database()::information_schema.sql_identifier AS table_catalog, n.nspname::information_schema.sql_identifier AS table_schema,
         c.relname::information_schema.sql_identifier AS table_name, p.name::information_schema.character_data AS privilege_type,
         ''NO''::information_schema.yes_or_no AS is_grantable, CASE p.name WHEN ''SELECT'' THEN ''YES'' ELSE ''NO'' END::information_schema.yes_or_no AS with_hierarchy
       FROM pgusher.narrow_pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
       CROSS JOIN (VALUES (''SELECT''), (''INSERT''), (''UPDATE''), (''DELETE'')) AS p(name)
       WHERE c.relkind IN (''r'', ''v'', ''f'', ''p'') AND pgusher.any_held(''relation'', c.oid, p.name)');
  END LOOP;
  FOR one IN SELECT * FROM (VALUES ('column_privileges'), ('role_column_grants')) AS v(name) LOOP
    PERFORM pgusher.put_view('fenced_information_schema.' || one.name, 'WITH (security_barrier)',
      'SELECT t.grantor, t.grantee, t.table_catalog, t.table_schema, t.table_name, a.attname::information_schema.sql_identifier AS column_name,
         t.privilege_type, t.is_grantable
       FROM pgusher."fenced_information_schema.table_privileges" AS t
       JOIN pg_catalog.pg_namespace AS n ON n.nspname = t.table_schema::name
       JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.table_name::name
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       WHERE t.privilege_type::text <> ''DELETE''');
  END LOOP;
  PERFORM pgusher.put_view('fenced_information_schema.enabled_roles', 'WITH (security_barrier)',
    'SELECT r.rolname::information_schema.sql_identifier AS role_name FROM pgusher.fenced_pg_roles AS r WHERE r.oid::bigint - 4000000000 = ANY ((SELECT pgusher.ids())::bigint[])');
  PERFORM pgusher.put_view('fenced_information_schema.applicable_roles', 'WITH (security_barrier)',
    'SELECT pgusher.current_user()::information_schema.sql_identifier AS grantee, r.rolname::information_schema.sql_identifier AS role_name,
       ''NO''::information_schema.yes_or_no AS is_grantable
     FROM pgusher.fenced_pg_roles AS r WHERE NOT r.rolcanlogin AND r.oid::bigint - 4000000000 = ANY ((SELECT pgusher.ids())::bigint[])');
END
$pgusher$;

-- Sessions read the views and call the functions; views of principals' own over catalogs do so as pgusher_viewer.
DO $pgusher$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT c.relname FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'pgusher'::pg_catalog.regnamespace AND c.relkind = 'v'
      AND c.relname ~ '^(narrow|wide|fenced|near)_(sys_)?(pg_|information_schema\.)'
  LOOP
    EXECUTE pg_catalog.format('GRANT SELECT ON pgusher.%I TO pgusher_session, pgusher_control, pgusher_viewer', one.relname);
  END LOOP;
  FOR one IN SELECT p.oid::pg_catalog.regprocedure AS function FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = 'pgusher'::pg_catalog.regnamespace
      AND (p.proname ~ '^(pg_|has_|to_reg|is_self|is_member_of|sees|relation_named|relation_found|schema_named|function_named|server_named|here$)'
        OR p.proname IN ('format_type', 'col_description', 'obj_description', 'shobj_description', 'comment_on', 'row_security_active', 'any_held',
          'held', 'owns', 'owns_it', 'always', 'may_read_definition', 'unveiled', 'is_seen', 'is_read_through', 'role_shown', 'owner_shown', 'ids', 'whole', 'callable', 'schemas', 'administers'))
  LOOP
    EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO pgusher_session, pgusher_control, pgusher_viewer', one.function);
  END LOOP;
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgusher FROM PUBLIC;
END
$pgusher$;
