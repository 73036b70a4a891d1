-- What filters and masks read besides their own table, and whether that is for whoever set them to answer for (or an administrator).
ALTER TABLE pgusher.filter ADD COLUMN reads oid[] NOT NULL DEFAULT '{}', ADD COLUMN free boolean NOT NULL DEFAULT true;
ALTER TABLE pgusher.mask ADD COLUMN reads oid[] NOT NULL DEFAULT '{}', ADD COLUMN free boolean NOT NULL DEFAULT true;
