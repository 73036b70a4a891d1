-- Strict mode: table grants, asked for by policies of the tables. Repeated at every init, after functions.sql.

-- Whether the session's principal holds a privilege on a relation: as administrator, as owner, by a grant on it, its schema or the
-- catalog; or by holding what one of the ways to it needs. `may` is asked by statements that name the relation, `may_through` for what is
-- read through views that pgusher_viewer owns: there the ways by views count, too. Both from one text, for a function that calls
-- another costs twice. No SET clause: it would cost more than the rest. Without attach currval raises 55000.
DO $pgusher$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN SELECT * FROM (VALUES ('may', 'NOT w.by_view'), ('may_through', 'true')) AS functions(name, counts) LOOP
    EXECUTE pg_catalog.format($make$
CREATE OR REPLACE FUNCTION pgusher.%1$I(relation oid, privilege text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED AS $body$
DECLARE
  answer pg_catalog.bool;
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.admin
      OR EXISTS (SELECT FROM pgusher.grants AS g WHERE g.kind OPERATOR(pg_catalog.=) 'relation'
                 AND g.object OPERATOR(pg_catalog.=) %1$I.relation
                 AND g.privilege OPERATOR(pg_catalog.=) ANY (ARRAY[%1$I.privilege, 'ALL PRIVILEGES'])
                 AND g.principal OPERATOR(pg_catalog.=) ANY (s.ids))
      OR EXISTS (SELECT FROM pgusher.grants AS g WHERE g.kind OPERATOR(pg_catalog.=) 'schema'
                 AND g.object OPERATOR(pg_catalog.=)
                   (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) %1$I.relation)
                 AND g.privilege OPERATOR(pg_catalog.=) ANY (ARRAY[%1$I.privilege, 'ALL PRIVILEGES'])
                 AND g.principal OPERATOR(pg_catalog.=) ANY (s.ids))
      OR EXISTS (SELECT FROM pgusher.grants AS g WHERE g.kind OPERATOR(pg_catalog.=) 'catalog' AND g.object OPERATOR(pg_catalog.=) 0
                 AND g.privilege OPERATOR(pg_catalog.=) ANY (ARRAY[%1$I.privilege, 'ALL PRIVILEGES'])
                 AND g.principal OPERATOR(pg_catalog.=) ANY (s.ids))
      OR EXISTS (SELECT FROM pgusher.owner AS o WHERE o.kind OPERATOR(pg_catalog.=) 'relation'
                 AND o.object OPERATOR(pg_catalog.=) %1$I.relation AND o.principal OPERATOR(pg_catalog.=) ANY (s.ids))
    INTO answer FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
  IF answer THEN
    RETURN true;
  END IF;
  IF answer IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  RETURN EXISTS (
    SELECT FROM pgusher.session AS s, pgusher.way AS w
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND w.relation OPERATOR(pg_catalog.=) %1$I.relation AND w.privilege OPERATOR(pg_catalog.=) %1$I.privilege AND %2$s
      AND (EXISTS (SELECT FROM pgusher.grants AS g WHERE g.kind OPERATOR(pg_catalog.=) 'relation' AND g.object OPERATOR(pg_catalog.=) w.via
                   AND g.privilege OPERATOR(pg_catalog.=) ANY (ARRAY[w.needs, 'ALL PRIVILEGES'])
                   AND g.principal OPERATOR(pg_catalog.=) ANY (s.ids))
        OR EXISTS (SELECT FROM pgusher.grants AS g WHERE g.kind OPERATOR(pg_catalog.=) 'schema'
                   AND g.object OPERATOR(pg_catalog.=)
                     (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) w.via)
                   AND g.privilege OPERATOR(pg_catalog.=) ANY (ARRAY[w.needs, 'ALL PRIVILEGES'])
                   AND g.principal OPERATOR(pg_catalog.=) ANY (s.ids))
        OR EXISTS (SELECT FROM pgusher.grants AS g WHERE g.kind OPERATOR(pg_catalog.=) 'catalog' AND g.object OPERATOR(pg_catalog.=) 0
                   AND g.privilege OPERATOR(pg_catalog.=) ANY (ARRAY[w.needs, 'ALL PRIVILEGES'])
                   AND g.principal OPERATOR(pg_catalog.=) ANY (s.ids))
        OR EXISTS (SELECT FROM pgusher.owner AS o WHERE o.kind OPERATOR(pg_catalog.=) 'relation'
                   AND o.object OPERATOR(pg_catalog.=) w.via AND o.principal OPERATOR(pg_catalog.=) ANY (s.ids))));
END
$body$$make$, wanted.name, wanted.counts);
  END LOOP;
END
$pgusher$;

-- The ways as they are now. A view leads to what it reads if its owner in the policy store holds that (one without an owner was made by
-- the database's own administrators); a security_invoker view leads nowhere. A table leads to what its row filter and masks read.
CREATE OR REPLACE FUNCTION pgusher.ways_now() RETURNS SETOF pgusher.way
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN QUERY
  WITH RECURSIVE reads AS MATERIALIZED (
    SELECT DISTINCT w.ev_class AS reader, d.refobjid AS object
    FROM pg_catalog.pg_rewrite AS w
    JOIN pg_catalog.pg_class AS v ON v.oid = w.ev_class AND v.relkind = 'v'
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> w.ev_class
    WHERE v.oid >= 16384
  ), steps AS MATERIALIZED (
    -- Views of the application; governed views stand for their relations.
    SELECT r.reader AS via, p.privilege AS needs, coalesce(m.relation, r.object) AS relation, p.privilege, true AS by_view
    FROM reads AS r
    JOIN pg_catalog.pg_class AS v ON v.oid = r.reader
    CROSS JOIN (VALUES ('SELECT'), ('MODIFY')) AS p(privilege)
    LEFT JOIN pgusher.made AS m ON m.object = r.object
    LEFT JOIN pgusher.owner AS o ON o.kind = 'relation' AND o.object = r.reader
    WHERE NOT EXISTS (SELECT FROM pgusher.made AS g WHERE g.object = r.reader)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_options_to_table(v.reloptions) AS x WHERE x.option_name = 'security_invoker' AND x.option_value::bool)
      AND (o.principal IS NULL OR pgusher.holds(o.principal, p.privilege, coalesce(m.relation, r.object)))
    UNION
    -- Row filters by row security.
    SELECT t.polrelid, p.privilege, d.refobjid, 'SELECT', false
    FROM pg_catalog.pg_policy AS t
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = t.oid
      AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> t.polrelid
    CROSS JOIN (VALUES ('SELECT'), ('MODIFY')) AS p(privilege)
    WHERE t.polname = 'pgusher_filter'
    UNION
    -- Row filters and masks by governed views.
    SELECT m.relation, p.privilege, r.object, 'SELECT', false
    FROM pgusher.made AS m
    JOIN pg_catalog.pg_class AS c ON c.oid = m.relation AND c.relkind <> 'v'
    JOIN reads AS r ON r.reader = m.object AND r.object <> m.relation
    CROSS JOIN (VALUES ('SELECT'), ('MODIFY')) AS p(privilege)
    WHERE m.object <> 0
  ), walk AS (
    SELECT s.relation, s.privilege, s.via, s.needs, s.by_view FROM steps AS s
    UNION
    SELECT s.relation, s.privilege, w.via, w.needs, w.by_view OR s.by_view
    FROM walk AS w JOIN steps AS s ON s.via = w.relation AND s.needs = w.privilege
  )
  SELECT w.relation, w.privilege, w.via, w.needs, w.by_view FROM walk AS w;
END
$pgusher$;

-- Whether the ways are others than those noted. Where no table asks for grants there are none.
CREATE OR REPLACE FUNCTION pgusher.ways_moved() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polname = 'pgusher_may_select') THEN
    RETURN EXISTS (SELECT FROM pgusher.way);
  END IF;
  RETURN EXISTS (
    WITH now AS MATERIALIZED (SELECT * FROM pgusher.ways_now())
    (SELECT * FROM now EXCEPT SELECT * FROM pgusher.way) UNION ALL (SELECT * FROM pgusher.way EXCEPT SELECT * FROM now));
END
$pgusher$;

-- Notes the ways as they are now. Called whenever policies or what is upstream changed, in the same transaction.
CREATE OR REPLACE FUNCTION pgusher.follow_ways() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF pgusher.ways_moved() THEN
    DELETE FROM pgusher.way;
    IF EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polname = 'pgusher_may_select') THEN
      INSERT INTO pgusher.way SELECT * FROM pgusher.ways_now();
    END IF;
  END IF;
END
$pgusher$;

-- What an administrator vouches for: a view's definition, as a hash.
CREATE OR REPLACE FUNCTION pgusher.vouched(view oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', w.rulename, w.ev_type, w.is_instead, w.ev_qual::text, w.ev_action::text), ',' ORDER BY w.rulename))
    FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = vouched.view);
END
$pgusher$;

REVOKE ALL ON pgusher.way FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
REVOKE ALL ON FUNCTION pgusher.vouched(oid), pgusher.may(oid, text), pgusher.may_through(oid, text),
  pgusher.holds(bigint, text, oid), pgusher.ways_now(), pgusher.ways_moved(), pgusher.follow_ways()
  FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
GRANT EXECUTE ON FUNCTION pgusher.may(oid, text), pgusher.may_through(oid, text) TO pgusher_session, pgusher_control, pgusher_viewer;
