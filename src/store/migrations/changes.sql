-- What changed in the policies is noted by its keys, for proxies to read no more than that. Repeated at every init, after functions.sql.

-- Of a statement that writes very many rows no more is noted than that it did: everything is read again.
CREATE OR REPLACE FUNCTION pgusher.note_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO pgusher.change (kind) VALUES ('everything');
  ELSIF (SELECT count(*) FROM (SELECT FROM touched LIMIT 1001) AS t) > 1000 THEN
    INSERT INTO pgusher.change (kind) VALUES ('everything');
  ELSIF TG_TABLE_NAME = 'principal' THEN
    INSERT INTO pgusher.change (kind, one) SELECT 'principal', t.id FROM touched AS t;
  ELSIF TG_TABLE_NAME = 'membership' THEN
    INSERT INTO pgusher.change (kind, one, other) SELECT 'membership', t.group_id, t.member_id FROM touched AS t;
  ELSIF TG_TABLE_NAME = 'grants' THEN
    INSERT INTO pgusher.change (kind, securable, object, privilege, one) SELECT 'grants', t.kind, t.object, t.privilege, t.principal FROM touched AS t;
  ELSIF TG_TABLE_NAME = 'owner' THEN
    INSERT INTO pgusher.change (kind, securable, object) SELECT 'owner', t.kind, t.object FROM touched AS t;
  ELSE
    INSERT INTO pgusher.change (kind) VALUES ('everything');
  END IF;
  RETURN NULL;
END
$pgusher$;

-- Rows as they were and as they are: a key may change.
DO $pgusher$
DECLARE
  noted text;
BEGIN
  FOREACH noted IN ARRAY ARRAY['principal', 'membership', 'grants', 'owner'] LOOP
    EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER note_insert AFTER INSERT ON pgusher.%I REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION pgusher.note_change()', noted);
    EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER note_old AFTER UPDATE ON pgusher.%I REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION pgusher.note_change()', noted);
    EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER note_new AFTER UPDATE ON pgusher.%I REFERENCING NEW TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION pgusher.note_change()', noted);
    EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER note_delete AFTER DELETE ON pgusher.%I REFERENCING OLD TABLE AS touched FOR EACH STATEMENT EXECUTE FUNCTION pgusher.note_change()', noted);
    EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER note_truncate AFTER TRUNCATE ON pgusher.%I FOR EACH STATEMENT EXECUTE FUNCTION pgusher.note_change()', noted);
  END LOOP;
END
$pgusher$;

-- Forgets changes that every proxy has read by now; or all of them where there are too many, and proxies that have not read them load
-- everything. None is forgotten that a transaction before it, still running, makes look new to those who read while it ran.
CREATE OR REPLACE FUNCTION pgusher.trim_changes() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgusher$
DECLARE
  newest xid8;
  following xid8 := pg_snapshot_xmax(pg_current_snapshot());
BEGIN
  -- Numbers of transactions that are still to come are those of another cluster, from which this database was brought.
  DELETE FROM pgusher.change AS c WHERE c.writer >= following AND c.writer <> pg_current_xact_id();
  UPDATE pgusher.trimmed AS t SET through = pg_snapshot_xmin(pg_current_snapshot()) WHERE t.through >= following;
  IF (SELECT count(*) FROM pgusher.change) > 100000 THEN
    newest := (SELECT c.writer FROM pgusher.change AS c ORDER BY c.writer DESC LIMIT 1);
  ELSE
    newest := (SELECT c.writer FROM pgusher.change AS c
      WHERE c.at < now() - interval '10 minutes' AND c.writer < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY c.writer DESC LIMIT 1);
  END IF;
  IF newest IS NOT NULL THEN
    UPDATE pgusher.trimmed AS t SET through = greatest(t.through, newest);
    DELETE FROM pgusher.change AS c WHERE c.writer <= newest;
  END IF;
END
$pgusher$;

REVOKE ALL ON pgusher.change, pgusher.trimmed FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
REVOKE ALL ON FUNCTION pgusher.note_change(), pgusher.trim_changes() FROM PUBLIC, pgusher_session, pgusher_control, pgusher_viewer, pgusher_ddl;
