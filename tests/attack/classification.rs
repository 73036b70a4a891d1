//! Class 8, statement classification: what a read-only glance takes for harmless.

use super::all_refused;
use crate::harness::both_mechanisms;

both_mechanisms! {
    /// A write inside something that looks like a read needs the right to write.
    fn hidden_writes_are_found(shop: shared) {
        let ivan = shop.ivan();
        all_refused(&ivan, &[
            "WITH d AS (DELETE FROM regions RETURNING *) SELECT * FROM d",
            "WITH a AS (WITH d AS (DELETE FROM regions RETURNING *) SELECT 1) SELECT * FROM a",
            "WITH i AS (INSERT INTO regions VALUES ('X', 'x') RETURNING code) SELECT * FROM regions",
            "SELECT * FROM regions; DELETE FROM regions",
            "EXPLAIN ANALYZE DELETE FROM regions",
            "EXPLAIN (ANALYZE true) UPDATE regions SET name = 'x'",
            "PREPARE p AS DELETE FROM regions",
            "COPY (DELETE FROM regions RETURNING *) TO STDOUT",
            "COPY regions FROM STDIN",
            "MERGE INTO regions USING products ON false WHEN NOT MATCHED THEN INSERT VALUES ('X', 'x')",
            "SELECT * INTO x FROM regions",
            "CREATE TABLE x AS SELECT * FROM regions",
            "CREATE VIEW x AS SELECT * FROM regions",
            "SELECT * FROM regions FOR UPDATE",
            "SELECT nextval('invoice_number')",
            "SELECT setval('invoice_number', 1)",
            "TRUNCATE regions",
            "/* SELECT 1 */ DELETE FROM regions -- SELECT",
            "DELETE /* SELECT */ FROM regions",
            ";;DELETE FROM regions",
            "(WITH d AS (DELETE FROM regions RETURNING *) SELECT * FROM d)",
            "LOCK TABLE regions IN ACCESS EXCLUSIVE MODE",
            "COMMENT ON TABLE regions IS 'x'",
            "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO public",
        ], &["42501", "0A000", "42601"]);
        assert_eq!(shop.truth().one("SELECT count(*) FROM regions"), "3");
    }

    /// The names of channels that we use are ours.
    fn our_channels_are_ours(shop: shared) {
        all_refused(&shop.ana(), &["NOTIFY pgusher_policy", "LISTEN pgusher_policy", "LISTEN \"pgusher_policy\"", "NOTIFY U&\"pgusher\\005fpolicy\", '1'", "SELECT pg_notify('pgusher' || '_policy', '1')"], &["42501", "0A000"]);
    }
}
