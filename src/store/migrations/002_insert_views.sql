-- Views of their own for INSERT.
ALTER TABLE pgusher.made DROP CONSTRAINT made_kind_check;
ALTER TABLE pgusher.made ADD CONSTRAINT made_kind_check CHECK (kind IN ('read', 'write', 'insert', 'filter'));
