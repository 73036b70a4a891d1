-- The policy store.
CREATE TABLE pgusher.principal (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name <> ''),
  kind text NOT NULL CHECK (kind IN ('user', 'service_principal', 'group')),
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Direct memberships; everybody is in `users` without a row.
CREATE TABLE pgusher.membership (
  group_id bigint NOT NULL REFERENCES pgusher.principal ON DELETE CASCADE,
  member_id bigint NOT NULL REFERENCES pgusher.principal ON DELETE CASCADE,
  PRIMARY KEY (group_id, member_id)
);
CREATE INDEX membership_member ON pgusher.membership (member_id);

-- (kind, object) is a securable: object is 0 for catalog, anonymous_function and any_file.
CREATE TABLE pgusher.grants (
  kind text NOT NULL CHECK (kind IN ('catalog', 'schema', 'relation', 'function', 'anonymous_function', 'any_file', 'connection')),
  object oid NOT NULL DEFAULT 0,
  privilege text NOT NULL,
  principal bigint NOT NULL REFERENCES pgusher.principal ON DELETE CASCADE,
  granted_by bigint,
  granted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (kind, object, privilege, principal)
);
CREATE INDEX grants_principal ON pgusher.grants (principal);

CREATE TABLE pgusher.owner (
  kind text NOT NULL CHECK (kind IN ('catalog', 'schema', 'relation', 'function', 'connection')),
  object oid NOT NULL DEFAULT 0,
  principal bigint NOT NULL REFERENCES pgusher.principal,
  PRIMARY KEY (kind, object)
);

-- One row filter per table. `name` is filled by a trigger: what the table was called when the filter was set.
CREATE TABLE pgusher.filter (
  relation oid PRIMARY KEY,
  name text NOT NULL,
  expression text NOT NULL,
  source jsonb NOT NULL,
  set_by bigint,
  set_at timestamptz NOT NULL DEFAULT now()
);

-- One mask per column. `name` and `number` are filled by a trigger: the table's name and the column's number when it was set.
CREATE TABLE pgusher.mask (
  relation oid NOT NULL,
  "column" text NOT NULL,
  name text NOT NULL,
  number smallint NOT NULL,
  expression text NOT NULL,
  source jsonb NOT NULL,
  set_by bigint,
  set_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (relation, "column")
);

-- Filter mechanisms chosen by hand.
CREATE TABLE pgusher.mechanism (
  relation oid PRIMARY KEY,
  mechanism text NOT NULL CHECK (mechanism IN ('rls', 'view'))
);

-- Views and materialized views that an administrator vouches for.
CREATE TABLE pgusher.trusted (
  relation oid PRIMARY KEY
);

CREATE TABLE pgusher.token (
  id text PRIMARY KEY,
  hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  principal bigint NOT NULL REFERENCES pgusher.principal ON DELETE CASCADE,
  comment text,
  scopes text[] NOT NULL DEFAULT '{}',
  created_by bigint,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX token_principal ON pgusher.token (principal);

-- Who is at the other end of an upstream session: the row that the sequence slot of the session points to.
CREATE UNLOGGED TABLE pgusher.session (
  sid bigint PRIMARY KEY,
  principal bigint NOT NULL,
  name text NOT NULL,
  token text NOT NULL,
  groups text[] NOT NULL,
  admin boolean NOT NULL,
  expires_at timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  pid integer NOT NULL
);
CREATE INDEX session_principal ON pgusher.session (principal);

-- Keys that sign attach and execute. The pads are the key as HMAC wants it.
CREATE TABLE pgusher.key (
  kid integer PRIMARY KEY,
  secret bytea NOT NULL CHECK (octet_length(secret) = 32),
  ipad bytea NOT NULL,
  opad bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Nonces that were used.
CREATE UNLOGGED TABLE pgusher.execution (
  nonce text PRIMARY KEY,
  until timestamptz NOT NULL
);
CREATE INDEX execution_until ON pgusher.execution (until);

CREATE TABLE pgusher.version (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  policy bigint NOT NULL
);
INSERT INTO pgusher.version (policy) VALUES (1);

-- What was made upstream for a relation: `object` is the governed view (0 for policies), `wanted` a hash of what it was made
-- from, `found` what upstream reported right after.
CREATE TABLE pgusher.made (
  relation oid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('read', 'write', 'filter')),
  object oid NOT NULL DEFAULT 0,
  wanted text NOT NULL,
  found text NOT NULL,
  PRIMARY KEY (relation, kind)
);

-- Numbers of sessions, and the slot: its value in a backend is the session attached to that backend.
CREATE SEQUENCE pgusher.sid;
CREATE SEQUENCE pgusher.slot;

INSERT INTO pgusher.principal (name, kind) VALUES ('users', 'group'), ('admins', 'group');
