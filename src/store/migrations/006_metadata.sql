-- What a session may see of the catalogs: its principal and groups by number, the schemas of which it sees every relation (or every
-- function), and those whose names it sees. NULL means all. Kept by triggers, in the transaction of whoever changes grants.
ALTER TABLE pgusher.session
  ADD COLUMN ids bigint[] NOT NULL DEFAULT '{}',
  ADD COLUMN whole oid[] DEFAULT '{}',
  ADD COLUMN callable oid[] DEFAULT '{}',
  ADD COLUMN schemas oid[] DEFAULT '{}';
CREATE INDEX grants_sight ON pgusher.grants (principal, kind, object);
CREATE INDEX owner_sight ON pgusher.owner (principal, kind, object);
-- Views over catalogs were written out once; now they are made from the catalogs' own columns.
DROP VIEW IF EXISTS pgusher.pg_policy, pgusher.pg_policies, pgusher.pg_views, pgusher.pg_matviews, pgusher.pg_rewrite;
