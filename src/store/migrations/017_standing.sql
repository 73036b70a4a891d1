-- What principals are and see, as of a version of the policies, so that not every login has to find it out again. Nothing keeps two
-- logins from writing the same down: neither waits for the other.
CREATE UNLOGGED TABLE pgusher.standing (
  principal bigint NOT NULL,
  claimed bigint[] NOT NULL,
  narrowed boolean NOT NULL,
  version bigint NOT NULL,
  made_at timestamptz NOT NULL,
  groups text[] NOT NULL,
  ids bigint[] NOT NULL,
  whole oid[],
  callable oid[],
  schemas oid[]
);
CREATE INDEX standing_principal ON pgusher.standing (principal);
