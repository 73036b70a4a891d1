-- Records of the audit trail. Each proxy writes its own chain; `record` is the line as it was chained.
CREATE TABLE pgusher.audit (
  instance text NOT NULL,
  sequence bigint NOT NULL,
  time timestamptz NOT NULL,
  event text NOT NULL,
  principal text,
  outcome text,
  sqlstate text,
  record text NOT NULL,
  PRIMARY KEY (instance, sequence)
);
CREATE INDEX audit_time ON pgusher.audit (time);
CREATE FUNCTION pgusher.audit_only_grows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
  RAISE EXCEPTION 'audit records are neither changed nor removed' USING ERRCODE = '55000';
END
$f$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON pgusher.audit
  FOR EACH STATEMENT EXECUTE FUNCTION pgusher.audit_only_grows();
