-- What filters and masks were set on, and by: the numbers of the columns they name, a hash of the function's body, the search path.
ALTER TABLE pgusher.filter ADD COLUMN columns jsonb NOT NULL DEFAULT '{}', ADD COLUMN body text, ADD COLUMN search_path text[];
ALTER TABLE pgusher.mask ADD COLUMN columns jsonb NOT NULL DEFAULT '{}', ADD COLUMN body text, ADD COLUMN search_path text[];
-- What inherits from tables with filters or masks, or did.
CREATE TABLE pgusher.heir (
  relation oid NOT NULL,
  ancestor oid NOT NULL,
  PRIMARY KEY (relation, ancestor)
);
