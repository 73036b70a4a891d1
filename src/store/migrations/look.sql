-- What a session looks at when something ran that may have changed what statements mean. Repeated at every init.

-- The temporary objects of this backend, in the form in which the catalog is loaded, and its cursors: those that end with their transaction.
CREATE OR REPLACE FUNCTION pgusher.temporaries(path text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  own oid := pg_my_temp_schema();
  cursors jsonb := (SELECT coalesce(jsonb_agg(c.name), '[]') FROM pg_cursors AS c WHERE NOT c.is_holdable AND c.name NOT LIKE 'pgusher$%');
BEGIN
  IF own = 0 THEN
    RETURN jsonb_build_object('path', path, 'cursors', cursors);
  END IF;
  RETURN jsonb_build_object(
    'path', path,
    'cursors', cursors,
    'schema', own::int8,
    'relations', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
        'o', c.oid::int8, 's', c.relnamespace::int8, 'n', c.relname, 'k', c.relkind, 'w', pg_get_userbyid(c.relowner),
        'c', (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname, a.atttypid::int8, format_type(a.atttypid, a.atttypmod),
                  a.atttypmod, a.attgenerated <> '', a.attidentity, NULL, NULL) ORDER BY a.attnum)
              FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
        'p', (SELECT jsonb_agg(i.inhparent::int8 ORDER BY i.inhseqno) FROM pg_inherits AS i WHERE i.inhrelid = c.oid),
        'r', (SELECT jsonb_agg(DISTINCT d.refobjid::int8)
              FROM pg_rewrite AS w JOIN pg_depend AS d
                ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
              WHERE w.ev_class = c.oid AND d.refobjid <> c.oid AND c.relkind = 'v'),
        'i', false, 'l', c.relrowsecurity, 'b', NULL, 'f', NULL, 't', true, 'y', c.reltype::int8)), '[]')
      FROM pg_class AS c WHERE c.relnamespace = own AND c.relkind IN ('r', 'p', 'v', 'S', 'c', 'i', 'I')),
    'functions', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
        'o', p.oid::int8, 's', p.pronamespace::int8, 'n', p.proname, 'k', p.prokind,
        'a', jsonb_build_array(p.pronargs - p.pronargdefaults - CASE WHEN p.provariadic <> 0 THEN 1 ELSE 0 END,
                               CASE WHEN p.provariadic <> 0 THEN 32767 ELSE p.pronargs END),
        'm', '[]'::jsonb, 't', '[]'::jsonb, 'd', p.prosecdef, 'l', l.lanname, 'r', NULL, 'e', p.proretset)), '[]')
      FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang WHERE p.pronamespace = own),
    'types', (SELECT coalesce(jsonb_agg(t.typname), '[]') FROM pg_type AS t WHERE t.typnamespace = own),
    -- Functions outside pg_catalog that definitions, defaults, constraints, indexes and triggers call.
    'calls', (
      SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(u.relation::int8, d.refobjid::int8)), '[]')
      FROM (
        SELECT w.ev_class AS relation, 'pg_rewrite'::regclass AS class, w.oid AS object FROM pg_rewrite AS w
        UNION ALL SELECT e.adrelid, 'pg_attrdef'::regclass, e.oid FROM pg_attrdef AS e
        UNION ALL SELECT k.conrelid, 'pg_constraint'::regclass, k.oid FROM pg_constraint AS k
        UNION ALL SELECT g.tgrelid, 'pg_trigger'::regclass, g.oid FROM pg_trigger AS g
        UNION ALL SELECT x.indrelid, 'pg_class'::regclass, x.indexrelid FROM pg_index AS x
      ) AS u
      JOIN pg_class AS c ON c.oid = u.relation AND c.relnamespace = own
      JOIN pg_depend AS d ON d.classid = u.class AND d.objid = u.object AND d.refclassid = 'pg_proc'::regclass
      JOIN pg_proc AS f ON f.oid = d.refobjid
      JOIN pg_namespace AS n ON n.oid = f.pronamespace AND n.nspname NOT IN ('pg_catalog', 'pgusher')));
END
$pgusher$;

-- Puts the settings on which the meaning of statements depends back to what analysis takes them for, and says what it follows: the search
-- path, the temporary objects and the cursors. It has no SET clause, for that would hide the search path.
CREATE OR REPLACE FUNCTION pgusher.look() RETURNS jsonb LANGUAGE plpgsql AS $pgusher$
BEGIN
  PERFORM pg_catalog.set_config('standard_conforming_strings', 'on', false);
  PERFORM pg_catalog.set_config('client_encoding', 'UTF8', false);
  PERFORM pg_catalog.set_config('row_security', 'on', false);
  PERFORM pg_catalog.set_config('backslash_quote', 'safe_encoding', false);
  PERFORM pg_catalog.set_config('transform_null_equals', 'off', false);
  PERFORM pg_catalog.set_config('role', 'none', false);
  RETURN pgusher.temporaries(pg_catalog.current_setting('search_path'));
END
$pgusher$;

REVOKE ALL ON FUNCTION pgusher.temporaries(text), pgusher.look() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgusher.temporaries(text), pgusher.look() TO pgusher_session, pgusher_control;
