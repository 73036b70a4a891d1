-- JWTs that issuers vouched for are kept as tokens: listed, revoked, and refused when they come again.
ALTER TABLE pgusher.token
  ADD COLUMN issuer text,
  ADD COLUMN actors text[] NOT NULL DEFAULT '{}';
ALTER TABLE pgusher.session
  -- Groups that its token names count for the session only.
  ADD COLUMN claimed bigint[] NOT NULL DEFAULT '{}',
  -- Its token leaves its principal's admin rights aside.
  ADD COLUMN narrowed boolean NOT NULL DEFAULT false;
-- What was revoked stays refused when its principal is dropped and made again.
CREATE TABLE pgusher.denied (
  hash bytea PRIMARY KEY,
  until timestamptz
);
DROP FUNCTION IF EXISTS pgusher.ids_of(bigint);
DROP FUNCTION IF EXISTS pgusher.groups_of(bigint);
DROP FUNCTION IF EXISTS pgusher.outlook(bigint);
