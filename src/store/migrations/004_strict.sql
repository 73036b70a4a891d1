-- Trust in a view is trust in what it was when it was given.
ALTER TABLE pgusher.trusted ADD COLUMN definition text NOT NULL DEFAULT '';
-- Strict mode: the ids of a session's principal and of its groups, filled by a trigger.
ALTER TABLE pgusher.session ADD COLUMN holders bigint[] NOT NULL DEFAULT '{}';
-- Strict mode: who holds `needs` on `via` may use `privilege` of `relation` through it: by views (`by_view`) whose owners hold it, or
-- as a mapping table that a row filter or mask reads.
CREATE TABLE pgusher.way (
  relation oid NOT NULL,
  privilege text NOT NULL,
  via oid NOT NULL,
  needs text NOT NULL,
  by_view boolean NOT NULL,
  PRIMARY KEY (relation, privilege, via, needs, by_view)
);
