-- What changed in the policies: the keys of rows that were written, and by which transaction. Proxies read what is new to them.
CREATE TABLE pgusher.change (
  writer xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at timestamptz NOT NULL DEFAULT now(),
  kind text NOT NULL,
  securable text,
  object oid,
  privilege text,
  one bigint,
  other bigint
);
CREATE INDEX change_writer ON pgusher.change (writer);
-- Changes of transactions up to this one may be forgotten.
CREATE TABLE pgusher.trimmed (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  through xid8 NOT NULL
);
INSERT INTO pgusher.trimmed (through) VALUES ('0');
