-- Who may act for whom: an actor (its groups count) for a person (so do that one's groups).
CREATE TABLE pgusher.acting (
  actor bigint NOT NULL REFERENCES pgusher.principal ON DELETE CASCADE,
  person bigint NOT NULL REFERENCES pgusher.principal ON DELETE CASCADE,
  granted_by bigint,
  granted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (actor, person)
);
CREATE INDEX acting_person ON pgusher.acting (person);
ALTER TABLE pgusher.session
  -- Whose token it is, where that is not its principal: the one who acts.
  ADD COLUMN actor bigint,
  -- The person's own token, where one was shown, and whether that allows it by itself.
  ADD COLUMN consent text,
  ADD COLUMN allowed boolean NOT NULL DEFAULT false,
  -- Everybody who acts, the latest first.
  ADD COLUMN actors text[] NOT NULL DEFAULT '{}';
