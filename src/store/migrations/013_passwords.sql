-- Passwords for SCRAM are tokens with a verifier; one that is live for each principal.
ALTER TABLE pgusher.token ADD COLUMN verifier text;
CREATE UNIQUE INDEX token_verifier ON pgusher.token (principal) WHERE verifier IS NOT NULL AND revoked_at IS NULL;
-- What salts are made of for names that have no password: the same on every proxy, and told to nobody.
CREATE TABLE pgusher.mock (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  secret bytea NOT NULL
);
INSERT INTO pgusher.mock (secret) VALUES (sha256((gen_random_uuid()::text || gen_random_uuid()::text)::bytea));
