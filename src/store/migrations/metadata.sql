-- What a principal may see of the catalogs. Repeated at every init, after functions.sql.
--
-- A session's row holds what decides: numbers and schemas, kept right by triggers in the transaction that changes a grant, so the
-- same session sees its own changes at once, others after commit, and a rollback takes them back. The views of metadata_views.sql
-- ask these functions once per statement; without an identity they raise 28000.

-- The schemas that are not ours, temporary ones left out; or of one whether it is among them.
DROP FUNCTION IF EXISTS pgusher.theirs();
CREATE OR REPLACE FUNCTION pgusher.theirs(asked oid DEFAULT NULL) RETURNS oid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN ARRAY(
    SELECT n.oid FROM pg_namespace AS n JOIN pg_roles AS r ON r.oid = n.nspowner
    WHERE n.nspname <> 'pgusher' AND NOT (n.nspname LIKE 'pgusher\_%' AND r.rolname = 'pgusher_owner')
      AND n.nspname NOT LIKE 'pg\_temp\_%' AND n.nspname NOT LIKE 'pg\_toast\_temp\_%' AND (asked IS NULL OR n.oid = asked));
END
$pgusher$;

-- What a principal sees by its grants and ownership, and by those of the groups that its token claims; without its admin rights if the
-- token leaves them aside.
CREATE OR REPLACE FUNCTION pgusher.outlook(who bigint, claimed bigint[], narrowed boolean, OUT ids bigint[], OUT whole oid[], OUT callable oid[], OUT schemas oid[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  relations CONSTANT text[] := '{SELECT,MODIFY,READ_METADATA,MANAGE,ALL PRIVILEGES}';
  functions CONSTANT text[] := '{EXECUTE,READ_METADATA,MANAGE,ALL PRIVILEGES}';
  mine bigint[] := ARRAY(
    SELECT i.id FROM unnest(pgusher.ids_of(who, claimed)) AS i (id)
    WHERE NOT narrowed OR i.id NOT IN (SELECT p.id FROM pgusher.principal AS p WHERE p.name = 'admins' AND p.kind = 'group'));
  ours oid[];
BEGIN
  ids := mine;
  IF EXISTS (SELECT FROM pgusher.principal AS p WHERE p.id = ANY (mine) AND p.name = 'admins' AND p.kind = 'group') THEN
    RETURN;
  END IF;
  ours := pgusher.theirs();
  IF NOT EXISTS (SELECT FROM pgusher.grants AS g WHERE g.principal = ANY (mine) AND g.kind = 'catalog' AND g.privilege = ANY (relations)) THEN
    whole := ARRAY(
      SELECT n.oid FROM pg_namespace AS n WHERE n.nspname IN ('pg_catalog', 'information_schema')
      UNION
      SELECT g.object FROM pgusher.grants AS g
        WHERE g.principal = ANY (mine) AND g.kind = 'schema' AND g.privilege = ANY (relations) AND g.object = ANY (ours) ORDER BY 1);
  END IF;
  IF NOT EXISTS (SELECT FROM pgusher.grants AS g WHERE g.principal = ANY (mine) AND g.kind = 'catalog' AND g.privilege = ANY (functions)) THEN
    callable := ARRAY(
      SELECT n.oid FROM pg_namespace AS n WHERE n.nspname IN ('pg_catalog', 'information_schema')
      UNION
      SELECT g.object FROM pgusher.grants AS g
        WHERE g.principal = ANY (mine) AND g.kind = 'schema' AND g.privilege = ANY (functions) AND g.object = ANY (ours) ORDER BY 1);
  END IF;
  IF NOT EXISTS (SELECT FROM pgusher.grants AS g WHERE g.principal = ANY (mine) AND g.kind = 'catalog') THEN
    schemas := ARRAY(
      SELECT n.oid FROM pg_namespace AS n WHERE n.nspname IN ('pg_catalog', 'information_schema')
      UNION SELECT g.object FROM pgusher.grants AS g WHERE g.principal = ANY (mine) AND g.kind = 'schema' AND g.object = ANY (ours)
      UNION SELECT o.object FROM pgusher.owner AS o WHERE o.principal = ANY (mine) AND o.kind = 'schema' AND o.object = ANY (ours)
      UNION SELECT c.relnamespace FROM (
          SELECT g.object FROM pgusher.grants AS g WHERE g.principal = ANY (mine) AND g.kind = 'relation'
          UNION SELECT o.object FROM pgusher.owner AS o WHERE o.principal = ANY (mine) AND o.kind = 'relation') AS s
        JOIN pg_class AS c ON c.oid = s.object WHERE c.relnamespace = ANY (ours)
      UNION SELECT p.pronamespace FROM (
          SELECT g.object FROM pgusher.grants AS g WHERE g.principal = ANY (mine) AND g.kind = 'function'
          UNION SELECT o.object FROM pgusher.owner AS o WHERE o.principal = ANY (mine) AND o.kind = 'function') AS s
        JOIN pg_proc AS p ON p.oid = s.object WHERE p.pronamespace = ANY (ours)
      ORDER BY 1);
  END IF;
END
$pgusher$;

-- A principal's groups and outlook when a session of it begins. What was found out for another one holds while the version of the
-- policies is the same; but catalogs may change without it, so not for long. The version is read first: what changes meanwhile is
-- written down under a version that has passed.
CREATE OR REPLACE FUNCTION pgusher.standing_of(who bigint, claims bigint[], narrow boolean) RETURNS pgusher.standing
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  found_out pgusher.standing;
  at bigint := (SELECT v.policy FROM pgusher.version AS v);
BEGIN
  SELECT s.* INTO found_out FROM pgusher.standing AS s
    WHERE s.principal = who AND s.claimed = claims AND s.narrowed = narrow AND s.version = at
      AND s.made_at > clock_timestamp() - interval '10 seconds' LIMIT 1;
  IF FOUND THEN
    RETURN found_out;
  END IF;
  SELECT who, claims, narrow, at, clock_timestamp(), pgusher.groups_of(who, claims), o.ids, o.whole, o.callable, o.schemas INTO found_out
    FROM pgusher.outlook(who, claims, narrow) AS o;
  DELETE FROM pgusher.standing AS s WHERE s.ctid = ANY (ARRAY(
    SELECT old.ctid FROM pgusher.standing AS old WHERE old.principal = who
      AND (old.version <> at OR old.made_at < found_out.made_at - interval '10 seconds') FOR UPDATE SKIP LOCKED));
  INSERT INTO pgusher.standing SELECT found_out.*;
  RETURN found_out;
END
$pgusher$;
-- What an earlier program wrote may be of another kind.
DELETE FROM pgusher.standing;

-- The outlooks of open sessions whenever the policies change: each found out once, however many sessions have it.
DROP TRIGGER IF EXISTS begin_outlook ON pgusher.session;
DROP FUNCTION IF EXISTS pgusher.begin_outlook();
CREATE OR REPLACE FUNCTION pgusher.renew_outlooks() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  WITH who AS MATERIALIZED (
    SELECT DISTINCT q.principal, q.claimed, q.narrowed FROM pgusher.session AS q
  ), found AS MATERIALIZED (
    SELECT who.*, o.* FROM who CROSS JOIN LATERAL pgusher.outlook(who.principal, who.claimed, who.narrowed) AS o
  )
  UPDATE pgusher.session AS s
    SET ids = found.ids, whole = found.whole, callable = found.callable, schemas = found.schemas
    FROM found
    WHERE s.principal = found.principal AND s.claimed = found.claimed AND s.narrowed = found.narrowed
      AND (s.ids, s.whole, s.callable, s.schemas) IS DISTINCT FROM (found.ids, found.whole, found.callable, found.schemas);
END
$pgusher$;
-- Sessions that began before the columns were there.
DO $pgusher$ BEGIN PERFORM pgusher.renew_outlooks(); END $pgusher$;
CREATE OR REPLACE FUNCTION pgusher.follow_outlook() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  PERFORM pgusher.renew_outlooks();
  RETURN NULL;
END
$pgusher$;
-- A session that began while a change was not yet committed is not among those that followed it, and has seen nothing of it. Says whether
-- that is mended: whoever holds such a row is not waited for.
CREATE OR REPLACE FUNCTION pgusher.settle() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $pgusher$
BEGIN
  PERFORM pgusher.follow_sessions();
  PERFORM pgusher.renew_outlooks();
  RETURN true;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
  RETURN false;
END
$pgusher$;
CREATE OR REPLACE TRIGGER follow_outlook AFTER UPDATE ON pgusher.version FOR EACH STATEMENT EXECUTE FUNCTION pgusher.follow_outlook();

-- The session's principal and its groups.
CREATE OR REPLACE FUNCTION pgusher.ids() RETURNS bigint[]
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED AS $pgusher$
DECLARE
  answer pg_catalog.int8[];
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.ids INTO answer FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
  IF answer IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  RETURN answer;
END
$pgusher$;

-- The schemas of which the session sees every relation, every function, and those whose names it sees; its own temporary one is among
-- them. From one text, for a function that calls another costs twice.
DO $pgusher$
DECLARE
  part text;
BEGIN
  FOREACH part IN ARRAY ARRAY['whole', 'callable', 'schemas'] LOOP
    EXECUTE pg_catalog.format($make$
CREATE OR REPLACE FUNCTION pgusher.%1$I() RETURNS oid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED AS $body$
DECLARE
  one pg_catalog.record;
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.sid, s.%1$I AS seen INTO one FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
  IF one.sid IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  RETURN pg_catalog.array_append(coalesce(one.seen, pgusher.theirs()), pg_catalog.pg_my_temp_schema());
END
$body$$make$, part);
  END LOOP;
END
$pgusher$;

-- Whether it is an administrator's.
CREATE OR REPLACE FUNCTION pgusher.administers() RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED AS $pgusher$
DECLARE
  answer pg_catalog.bool;
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.admin INTO answer FROM pgusher.session AS s
    WHERE s.sid OPERATOR(pg_catalog.=) mine
      AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
  IF answer IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  RETURN answer;
END
$pgusher$;

-- The role that an administrator is told to own something that no principal owns: not one of ours.
CREATE OR REPLACE FUNCTION pgusher.role_shown(role oid) RETURNS oid
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $pgusher$
BEGIN
  RETURN CASE WHEN pg_catalog.starts_with(pg_catalog.pg_get_userbyid(role)::pg_catalog.text, 'pgusher_') THEN 10::pg_catalog.oid ELSE role END;
END
$pgusher$;

-- Who is told to own an object: a principal that is the session's own, or that an administrator asks for.
CREATE OR REPLACE FUNCTION pgusher.owner_shown(asked text, object oid, role oid) RETURNS oid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  told boolean := pgusher.administers();
BEGIN
  RETURN coalesce((SELECT (4000000000 + o.principal)::oid FROM pgusher.owner AS o
      WHERE o.kind = asked AND o.object = owner_shown.object AND (told OR o.principal = ANY (pgusher.ids()))),
    CASE WHEN told THEN pgusher.role_shown(role) ELSE 10::oid END);
END
$pgusher$;

-- Single objects: what the wide views say of many at once.
-- Asked of many rows, so a schema that is seen whole comes first. It sets its search path, for a plan is kept for one path only.
CREATE OR REPLACE FUNCTION pgusher.sees_relation(object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  one record;
  owning oid;
  mine pg_catalog.int8 := pg_catalog.currval('pgusher.slot'::pg_catalog.regclass);
BEGIN
  SELECT s.ids, c.relkind AS kind, c.relnamespace AS inside,
      (c.relnamespace = ANY (coalesce(s.whole, pgusher.theirs(c.relnamespace)))
        OR c.relnamespace = pg_my_temp_schema()) AS whole
    INTO one
    FROM pgusher.session AS s LEFT JOIN pg_class AS c ON c.oid = sees_relation.object
    WHERE s.sid = mine
      AND s.expires_at > clock_timestamp();
  IF one.ids IS NULL THEN
    RAISE EXCEPTION 'session has no identity' USING ERRCODE = '28000';
  END IF;
  IF one.whole OR one.kind IS NULL THEN
    RETURN one.kind IS NOT NULL;
  END IF;
  PERFORM FROM pgusher.rights AS g
    WHERE g.principal = ANY (one.ids) AND g.kind = 'relation' AND g.object = sees_relation.object;
  IF FOUND THEN
    RETURN true;
  END IF;
  -- What belongs to a relation is seen with it.
  IF one.kind = 'i' OR one.kind = 'I' THEN
    owning := (SELECT i.indrelid FROM pg_index AS i WHERE i.indexrelid = sees_relation.object);
  ELSIF one.kind = 'S' THEN
    owning := (SELECT d.refobjid FROM pg_depend AS d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = sees_relation.object
        AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass
        AND (d.deptype = 'a' OR d.deptype = 'i') LIMIT 1);
  END IF;
  IF owning IS NOT NULL THEN
    RETURN pgusher.sees_relation(owning);
  END IF;
  RETURN one.kind = 'c' AND one.inside = ANY (pgusher.schemas());
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.sees_function(object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  inside oid := (SELECT p.pronamespace FROM pg_proc AS p WHERE p.oid = object);
BEGIN
  RETURN inside IS NOT NULL AND (inside = ANY (pgusher.callable())
    OR EXISTS (SELECT FROM pgusher.grants AS g WHERE g.principal = ANY (pgusher.ids()) AND g.kind = 'function' AND g.object = sees_function.object)
    OR EXISTS (SELECT FROM pgusher.owner AS o WHERE o.principal = ANY (pgusher.ids()) AND o.kind = 'function' AND o.object = sees_function.object));
END
$pgusher$;
-- A type of rows is seen with its relation, another one with its schema, or where an extension brought it.
CREATE OR REPLACE FUNCTION pgusher.sees_type(object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  one record;
BEGIN
  SELECT t.typnamespace AS inside, t.typrelid AS relation, e.typrelid AS element INTO one
    FROM pg_type AS t LEFT JOIN pg_type AS e ON e.oid = t.typelem AND e.typarray = t.oid AND e.typrelid <> 0 WHERE t.oid = object;
  IF one.inside IS NULL THEN
    RETURN false;
  END IF;
  IF one.inside = ANY (pgusher.whole()) THEN
    RETURN true;
  END IF;
  IF one.relation <> 0 OR one.element IS NOT NULL THEN
    RETURN pgusher.sees_relation(coalesce(one.element, one.relation));
  END IF;
  RETURN one.inside = ANY (pgusher.schemas())
    OR EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = object AND d.refclassid = 'pg_extension'::regclass);
END
$pgusher$;
-- A constraint is seen with the table (or domain) that has it and the one that it refers to.
CREATE OR REPLACE FUNCTION pgusher.sees_constraint(relation oid, domain oid, refers oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (refers IS NULL OR pgusher.sees_relation(refers))
    AND CASE relation WHEN 0 THEN pgusher.sees_type(domain) ELSE pgusher.sees_relation(relation) END;
END
$pgusher$;
-- A default is seen with its table and with what it names.
CREATE OR REPLACE FUNCTION pgusher.sees_default(object oid, relation oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN pgusher.sees_relation(relation) AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_attrdef'::regclass AND d.objid = object AND d.objsubid = 0 AND d.refobjid <> relation
      AND ((d.refclassid = 'pg_class'::regclass AND NOT pgusher.sees_relation(d.refobjid))
        OR (d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384 AND NOT pgusher.sees_function(d.refobjid))));
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.sees_schema(object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN object = ANY (pgusher.schemas());
END
$pgusher$;

-- An object of any catalog; of catalogs without a rule only what PostgreSQL itself brought.
CREATE OR REPLACE FUNCTION pgusher.sees(class oid, object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN CASE class
    WHEN 'pg_class'::regclass THEN pgusher.sees_relation(object)
    WHEN 'pg_proc'::regclass THEN pgusher.sees_function(object)
    WHEN 'pg_type'::regclass THEN pgusher.sees_type(object)
    WHEN 'pg_namespace'::regclass THEN pgusher.sees_schema(object)
    WHEN 'pg_constraint'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_constraint AS s WHERE s.oid = object)
    WHEN 'pg_trigger'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_trigger AS s WHERE s.oid = object)
    WHEN 'pg_attrdef'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_attrdef AS s WHERE s.oid = object)
    WHEN 'pg_rewrite'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_rewrite AS s WHERE s.oid = object)
    WHEN 'pg_policy'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_policy AS s WHERE s.oid = object)
    WHEN 'pg_statistic_ext'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_statistic_ext AS s WHERE s.oid = object)
    WHEN 'pg_operator'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_operator AS s WHERE s.oid = object)
    WHEN 'pg_extension'::regclass THEN true
    WHEN 'pg_foreign_server'::regclass THEN EXISTS (SELECT FROM pgusher.narrow_pg_foreign_server AS s WHERE s.oid = object)
    WHEN 'pg_authid'::regclass THEN false
    ELSE object < 16384 OR pgusher.administers() END;
END
$pgusher$;

-- Whether the session's principal holds a privilege on an object: as an administrator, as its owner, or by a grant.
CREATE OR REPLACE FUNCTION pgusher.held(kind text, object oid, schema oid, wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF pgusher.administers() THEN
    RETURN schema IS NULL OR schema = ANY (pgusher.theirs(schema)) OR schema = pg_my_temp_schema();
  END IF;
  RETURN pgusher.granted(pgusher.ids(), kind, object, schema, wanted);
END
$pgusher$;
CREATE OR REPLACE FUNCTION pgusher.owns(kind text, object oid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN pgusher.held(kind, object, NULL, 'OWN');
END
$pgusher$;
