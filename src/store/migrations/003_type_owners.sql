-- Types have owners, too.
ALTER TABLE pgusher.owner DROP CONSTRAINT owner_kind_check;
ALTER TABLE pgusher.owner ADD CONSTRAINT owner_kind_check CHECK (kind IN ('catalog', 'schema', 'relation', 'function', 'type', 'connection'));
