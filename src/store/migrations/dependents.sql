-- What depends on tables with filters and masks, and what they depend on. Repeated at every init, after functions.sql.

-- What a function does, as a hash.
CREATE OR REPLACE FUNCTION pgusher.body_of(function oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  RETURN (SELECT pg_catalog.md5(pg_catalog.concat_ws('|', p.prolang, p.prosrc, p.prosqlbody::text, p.proisstrict, p.proconfig::text))
    FROM pg_catalog.pg_proc AS p WHERE p.oid = body_of.function);
END
$pgusher$;

-- Fills what a filter or mask was set on, so that another table or column of the same name is not mistaken for it. An update that leaves
-- the time at which it was set leaves that, too.
CREATE OR REPLACE FUNCTION pgusher.fill_target() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.set_at = OLD.set_at THEN
    RETURN NEW;
  END IF;
  SELECT n.nspname || '.' || c.relname INTO NEW.name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = NEW.relation;
  IF NEW.name IS NULL THEN
    RAISE EXCEPTION 'relation with OID % does not exist', NEW.relation USING ERRCODE = '42P01';
  END IF;
  IF TG_TABLE_NAME = 'mask' THEN
    SELECT a.attnum INTO NEW.number FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid = NEW.relation AND a.attname = NEW."column" AND a.attnum > 0 AND NOT a.attisdropped;
    IF NEW.number IS NULL THEN
      RAISE EXCEPTION 'column "%" of relation "%" does not exist', NEW."column", NEW.name USING ERRCODE = '42703';
    END IF;
  END IF;
  NEW.columns := (SELECT coalesce(pg_catalog.jsonb_object_agg(a.attname, a.attnum), '{}') FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = NEW.relation AND a.attnum > 0 AND NOT a.attisdropped
      AND pg_catalog.strpos(NEW.expression, '"' || pg_catalog.replace(a.attname, '"', '""') || '"') > 0);
  NEW.body := CASE WHEN NEW.source ? 'function' THEN pgusher.body_of((NEW.source #>> '{function,oid}')::oid) END;
  RETURN NEW;
END
$pgusher$;

REVOKE ALL ON FUNCTION pgusher.fill_target() FROM PUBLIC;
CREATE OR REPLACE TRIGGER fill_target BEFORE INSERT OR UPDATE ON pgusher.filter FOR EACH ROW EXECUTE FUNCTION pgusher.fill_target();
CREATE OR REPLACE TRIGGER fill_target BEFORE INSERT OR UPDATE ON pgusher.mask FOR EACH ROW EXECUTE FUNCTION pgusher.fill_target();

-- Filters and masks whose function is another now than when they were set.
CREATE OR REPLACE VIEW pgusher.replaced AS
  SELECT s.relation, s."column", s.source, s.search_path
  FROM (SELECT f.relation, NULL::text AS "column", f.source, f.search_path, f.body FROM pgusher.filter AS f
        UNION ALL SELECT m.relation, m."column", m.source, m.search_path, m.body FROM pgusher.mask AS m) AS s
  WHERE s.body IS NOT NULL AND s.body <> pgusher.body_of((s.source #>> '{function,oid}')::oid);

-- What inherits from a table with a filter or masks.
CREATE OR REPLACE VIEW pgusher.inherits AS
  WITH RECURSIVE below(relation, ancestor) AS (
    SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits AS i
      WHERE i.inhparent IN (SELECT f.relation FROM pgusher.filter AS f UNION SELECT m.relation FROM pgusher.mask AS m)
    UNION SELECT i.inhrelid, b.ancestor FROM below AS b JOIN pg_catalog.pg_inherits AS i ON i.inhparent = b.relation
  )
  SELECT b.relation, b.ancestor FROM below AS b JOIN pg_catalog.pg_class AS c ON c.oid = b.relation AND c.relkind IN ('r', 'p', 'f');

-- Tables that are not what their names, columns and functions say, and why. They are refused until their policies are set again or dropped.
CREATE OR REPLACE VIEW pgusher.lost AS
  SELECT c.oid AS relation, 'a row filter or column mask was set on another table of this name' AS reason
  FROM (SELECT f.relation, f.name, NULL::text AS "column" FROM pgusher.filter AS f
        UNION ALL SELECT m.relation, m.name, m."column" FROM pgusher.mask AS m) AS lost
  JOIN pg_catalog.pg_class AS c ON c.oid <> lost.relation AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND (c.relname = pg_catalog.substr(lost.name, pg_catalog.strpos(lost.name, '.') + 1)
      OR pg_catalog.strpos(pg_catalog.substr(lost.name, pg_catalog.strpos(lost.name, '.') + 1), '.') > 0)
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname || '.' || c.relname = lost.name
  WHERE CASE
    WHEN lost."column" IS NULL THEN NOT EXISTS (SELECT FROM pgusher.filter AS f WHERE f.relation = c.oid)
    WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = lost."column"::name AND NOT a.attisdropped)
      THEN NOT EXISTS (SELECT FROM pgusher.mask AS m WHERE m.relation = c.oid AND m."column" = lost."column")
    ELSE NOT EXISTS (SELECT FROM pgusher.filter AS f WHERE f.relation = c.oid) AND NOT EXISTS (SELECT FROM pgusher.mask AS m WHERE m.relation = c.oid)
  END
  UNION ALL
  SELECT s.relation, 'its column "' || k.key || '", which its row filter or a mask reads, is another one'
  FROM (SELECT f.relation, f.columns FROM pgusher.filter AS f UNION ALL SELECT m.relation, m.columns FROM pgusher.mask AS m) AS s
  CROSS JOIN LATERAL pg_catalog.jsonb_each_text(s.columns) AS k(key, value)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = s.relation AND a.attname = k.key::name AND NOT a.attisdropped AND a.attnum::text <> k.value
  UNION ALL
  SELECT r.relation, 'the function ' || (r.source #>> '{function,name}') || ' was replaced, and cannot be taken over' FROM pgusher.replaced AS r
  UNION ALL
  SELECT s.relation, CASE WHEN g.governed THEN 'its row filter or a mask reads "' || n.nspname || '.' || c.relname || '", which has some itself'
    ELSE 'whoever set its row filter or a mask may not read "' || n.nspname || '.' || c.relname || '" any more' END
  FROM (SELECT f.relation, f.reads, f.set_by FROM pgusher.filter AS f WHERE NOT f.free
        UNION ALL SELECT m.relation, m.reads, m.set_by FROM pgusher.mask AS m WHERE NOT m.free) AS s
  CROSS JOIN LATERAL pg_catalog.unnest(s.reads) AS r(oid)
  JOIN pg_catalog.pg_class AS c ON c.oid = r.oid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pgusher.filter AS f WHERE f.relation = r.oid)
    OR EXISTS (SELECT FROM pgusher.mask AS m WHERE m.relation = r.oid) AS governed) AS g
  WHERE g.governed OR NOT pgusher.holds(s.set_by, 'SELECT', r.oid)
  UNION ALL
  SELECT c.relation, 'its row filter or a mask calls ' || c.name || ', which is no administrator''s'
  FROM pgusher.policy_calls AS c JOIN pg_catalog.pg_roles AS o ON o.oid = c.owner AND o.rolname = 'pgusher_ddl'
  WHERE EXISTS (SELECT FROM pgusher.filter AS f WHERE f.relation = c.relation AND NOT f.free)
     OR EXISTS (SELECT FROM pgusher.mask AS m WHERE m.relation = c.relation AND NOT m.free)
  UNION ALL
  SELECT h.relation, 'it was a part of a table with a row filter or masks'
  FROM pgusher.heir AS h JOIN pg_catalog.pg_class AS c ON c.oid = h.relation
  WHERE (EXISTS (SELECT FROM pgusher.filter AS f WHERE f.relation = h.ancestor) OR EXISTS (SELECT FROM pgusher.mask AS m WHERE m.relation = h.ancestor))
    AND NOT EXISTS (SELECT FROM pgusher.filter AS f WHERE f.relation = h.relation)
    AND NOT EXISTS (SELECT FROM pgusher.mask AS m WHERE m.relation = h.relation)
    AND NOT EXISTS (SELECT FROM pgusher.inherits AS i WHERE i.relation = h.relation);

-- Notes what inherits now. What inherited from a table without policies by now, or is gone, is forgotten.
CREATE OR REPLACE FUNCTION pgusher.follow_heirs() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  INSERT INTO pgusher.heir (relation, ancestor) SELECT i.relation, i.ancestor FROM pgusher.inherits AS i ON CONFLICT DO NOTHING;
  DELETE FROM pgusher.heir AS h
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = h.relation)
       OR NOT EXISTS (SELECT FROM pgusher.filter AS f WHERE f.relation = h.ancestor UNION ALL SELECT FROM pgusher.mask AS m WHERE m.relation = h.ancestor);
END
$pgusher$;

-- Whoever governs a table says that the filter (or the mask of a column) of another table of its name, or of one that it was a part of, is none
-- of its own. Returns how much was forgotten.
CREATE OR REPLACE FUNCTION pgusher.forget_lost(table_oid oid, mask_column text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  called text := (SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                  WHERE c.oid = table_oid);
  forgotten integer := 0;
  found_now integer;
BEGIN
  DELETE FROM pgusher.heir AS h WHERE h.relation = table_oid AND NOT EXISTS (SELECT FROM pgusher.inherits AS i WHERE i.relation = h.relation);
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  IF mask_column IS NULL THEN
    DELETE FROM pgusher.filter AS f WHERE f.name = called AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = f.relation);
    GET DIAGNOSTICS found_now = ROW_COUNT;
    forgotten := forgotten + found_now;
    UPDATE pgusher.filter AS f SET name = f.relation::text WHERE f.name = called AND f.relation <> table_oid;
  ELSE
    DELETE FROM pgusher.mask AS m WHERE m.name = called AND m."column" = mask_column
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = m.relation);
    GET DIAGNOSTICS found_now = ROW_COUNT;
    forgotten := forgotten + found_now;
    UPDATE pgusher.mask AS m SET name = m.relation::text WHERE m.name = called AND m."column" = mask_column AND m.relation <> table_oid;
  END IF;
  GET DIAGNOSTICS found_now = ROW_COUNT;
  RETURN forgotten + found_now;
END
$pgusher$;

-- Tables that were renamed through pgusher have their policies under their new names.
CREATE OR REPLACE FUNCTION pgusher.follow_name(table_oid oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  called text := (SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                  WHERE c.oid = table_oid);
BEGIN
  UPDATE pgusher.filter AS f SET name = called WHERE f.relation = table_oid AND called IS NOT NULL;
  UPDATE pgusher.mask AS m SET name = called WHERE m.relation = table_oid AND called IS NOT NULL;
END
$pgusher$;

REVOKE ALL ON pgusher.heir, pgusher.replaced, pgusher.inherits, pgusher.lost FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
REVOKE ALL ON FUNCTION pgusher.body_of(oid), pgusher.follow_heirs(), pgusher.forget_lost(oid, text), pgusher.follow_name(oid)
  FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
