//! Catalogs that are read as they are because their rows are tied to a relation that is seen: nothing else is read that way.

use super::catalogs::{HIDDEN, tells_nothing};
use crate::harness::{Client, both_mechanisms, frame};

/// What hangs on a relation that is seen, and names something that is not.
const HANGING: &[&str] = &[
    "ALTER TABLE public.regions ADD CONSTRAINT qqforeign FOREIGN KEY (seen) REFERENCES public.qqtable NOT VALID",
    "CREATE TABLE public.qqabove ()",
    "ALTER TABLE public.regions INHERIT public.qqabove",
    "ALTER TABLE public.regions ADD COLUMN called integer DEFAULT public.qqfunction(1)",
    "CREATE TABLE public.qqbelow () INHERITS (public.regions)",
    "CREATE TABLE public.qqreferring (name text REFERENCES public.regions (name))",
];

/// The columns of catalogs by which rows may be tied.
const TIES: &[(&str, &str)] = &[
    ("pg_class", "oid"),
    ("pg_attribute", "attrelid"),
    ("pg_index", "indrelid"),
    ("pg_sequence", "seqrelid"),
    ("pg_partitioned_table", "partrelid"),
    ("pg_foreign_table", "ftrelid"),
    ("pg_statistic_ext", "stxrelid"),
    ("pg_rewrite", "ev_class"),
    ("pg_constraint", "conrelid"),
    ("pg_trigger", "tgrelid"),
    ("pg_attrdef", "adrelid"),
    ("pg_inherits", "inhrelid"),
    ("pg_policy", "polrelid"),
];

fn number(truth: &Client, what: &str) -> String {
    truth.one(&format!("SELECT ({what})::oid"))
}

both_mechanisms! {
    fn a_guessed_number_ties_nothing(shop: fresh) {
        let truth = shop.truth();
        for sql in HIDDEN {
            truth.run(sql);
        }
        truth.run("ALTER TABLE public.regions ADD UNIQUE (name)");
        for sql in HANGING {
            truth.run(sql);
        }
        let ivan = shop.ivan();
        let seen = number(&truth, "'public.regions'::regclass");
        let hidden = ["public.qqtable", "public.qqview", "public.qqsequence", "public.qqindex", "public.qqparent", "public.qqbelow", "pgusher.token"];
        for relation in hidden {
            let guess = number(&truth, &format!("'{relation}'::regclass"));
            for (catalog, column) in TIES {
                for sql in [
                    format!("SELECT * FROM pg_catalog.{catalog} x WHERE x.{column} = '{guess}'"),
                    format!("SELECT x.xmin FROM pg_catalog.{catalog} x WHERE {column} = {guess}"),
                    format!("SELECT 1 FROM pg_catalog.{catalog} x WHERE x.{column} = '{guess}'::oid"),
                    format!("SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.{catalog} x ON x.{column} = c.oid WHERE c.oid = '{guess}'"),
                    format!("SELECT 1 FROM pg_catalog.{catalog} x LEFT JOIN pg_catalog.pg_class c ON x.{column} = c.oid WHERE x.{column} = {guess}"),
                    format!("SELECT 1 FROM pg_catalog.pg_attribute a JOIN pg_catalog.{catalog} x ON x.{column} = a.attrelid AND a.attrelid = x.{column} WHERE x.{column} IN ('{guess}')"),
                    format!("SELECT (SELECT 1 FROM (VALUES ({guess}::oid)) a(oid), LATERAL (SELECT 1 FROM pg_catalog.{catalog} x WHERE x.{column} = a.oid LIMIT 1) z) \
                             FROM pg_catalog.pg_class a WHERE a.oid = '{seen}' AND EXISTS (SELECT FROM pg_catalog.{catalog} x WHERE x.{column} = '{guess}')"),
                    format!("WITH pg_class(oid) AS (SELECT {guess}::oid) SELECT 1 FROM pg_class c JOIN pg_catalog.{catalog} x ON x.{column} = c.oid"),
                    format!("SELECT 1 FROM pg_catalog.pg_class c, pg_catalog.{catalog} x WHERE c.oid = '{seen}' AND (x.{column} = c.oid OR x.{column} = '{guess}') AND x.{column} <> c.oid"),
                ] {
                    let rows = ivan.try_rows(&sql).map(|rows| rows.len());
                    assert_eq!(rows.as_ref().ok(), Some(&0), "{sql}: {rows:?}");
                }
            }
        }
    }

    fn what_hangs_on_a_relation_shows_nothing_else(shop: fresh) {
        let truth = shop.truth();
        for sql in HIDDEN {
            truth.run(sql);
        }
        truth.run("ALTER TABLE public.regions ADD UNIQUE (name)");
        for sql in HANGING {
            truth.run(sql);
        }
        let ivan = shop.ivan();
        let seen = number(&truth, "'public.regions'::regclass");
        let mut told = 0;
        for (catalog, column) in TIES {
            for tied in [
                format!("FROM pg_catalog.{catalog} x WHERE x.{column} = '{seen}'"),
                format!("FROM pg_catalog.pg_class c JOIN pg_catalog.{catalog} x ON x.{column} = c.oid WHERE c.oid = '{seen}'"),
                format!("FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.{catalog} x ON x.{column} = c.oid WHERE c.relname = 'regions'"),
            ] {
                // By the columns' names: a star is answered by another view.
                let columns = truth.column(&format!(
                    "SELECT attname FROM pg_attribute WHERE attrelid = 'pg_catalog.{catalog}'::regclass AND attnum > 0 AND atttypid <> 'pg_node_tree'::regtype"
                ));
                tells_nothing(&ivan, &format!("SELECT x.* {tied}"));
                for asked in columns {
                    let sql = format!("SELECT x.{asked} {tied}");
                    tells_nothing(&ivan, &sql);
                    told += ivan.rows(&sql).len();
                }
                let rows = |client: &Client| client.one(&format!("SELECT count(*) {tied}"));
                let expected = match *catalog {
                    "pg_trigger" | "pg_attrdef" | "pg_constraint" | "pg_inherits" | "pg_policy" => continue,
                    _ => rows(&truth),
                };
                assert_eq!(rows(&ivan), expected, "{tied}");
            }
        }
        assert!(told > 100, "only {told} rows");
        for sql in [
            format!("SELECT relowner, relacl, reltuples, relpages FROM pg_catalog.pg_class c WHERE c.oid = '{seen}'"),
            format!("SELECT c.relowner, c.relacl, c.reltuples, c.relpages FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid WHERE a.attrelid = '{seen}' LIMIT 1"),
            format!("SELECT relowner, relacl, reltuples, relpages FROM (SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = '{seen}') x"),
            format!("SELECT (c).relowner, (c).relacl, (c).reltuples, (c).relpages FROM pg_catalog.pg_class c WHERE c.oid = '{seen}'"),
            format!("SELECT j->>'relowner', j->>'relacl', j->>'reltuples', j->>'relpages' FROM (SELECT to_jsonb(c) AS j FROM pg_catalog.pg_class c WHERE c.oid = '{seen}') x"),
        ] {
            if let Ok(rows) = ivan.try_rows(&sql) {
                assert_eq!(rows[0], ["10", "∅", "-1", "0"], "{sql}");
            }
        }
        for (catalog, column, name) in [("pg_constraint", "conrelid", "conname"), ("pg_trigger", "tgrelid", "tgname")] {
            let names = ivan.column(&format!("SELECT {name} FROM pg_catalog.{catalog} x WHERE x.{column} = '{seen}'"));
            assert!(catalog == "pg_trigger" || names.contains(&"regions_name_key".to_owned()), "{names:?}");
        }
        assert!(ivan.column(&format!("SELECT 1 FROM pg_catalog.pg_inherits x WHERE x.inhrelid = '{seen}'")).is_empty());
        let ours = ivan.column("SELECT polname FROM pg_catalog.pg_policy x JOIN pg_catalog.pg_class c ON c.oid = x.polrelid WHERE polname LIKE 'pgusher%'");
        assert!(ours.is_empty());
        let orders = number(&truth, "'public.orders'::regclass");
        assert!(shop.ana().column(&format!("SELECT polname FROM pg_catalog.pg_policy x WHERE x.polrelid = '{orders}'")).is_empty());
    }

    /// What the proxy knew when it analysed a statement is not what it sends later.
    fn a_tie_ends_with_its_grant(shop: fresh) {
        let (admin, truth) = (shop.admin(), shop.truth());
        let oid = number(&truth, "'public.employees'::regclass");
        let sql = format!("SELECT relname FROM pg_catalog.pg_class c WHERE c.oid = '{oid}'");
        let ivan = shop.ivan();
        let prepared = ivan.prepare(&sql);
        let seen = |expected: usize| {
            assert_eq!(ivan.rows(&sql).len(), expected);
            assert_eq!(ivan.try_execute(&prepared, &[]).expect("it answers").len(), expected);
        };
        let mut raw = shop.raw("ivan@example.com");
        seen(0);
        admin.run("GRANT READ_METADATA ON TABLE employees TO interns");
        seen(1);
        raw.send(&[frame::query(&format!("BEGIN; DECLARE k CURSOR FOR {sql}"))]);
        raw.until_ready();
        raw.send(&[frame::parse("s", &sql), frame::bind("p", "s", &[], 0), frame::sync()]);
        assert_eq!(raw.tags(), "12ZT");
        admin.run("REVOKE READ_METADATA ON TABLE employees FROM interns");
        seen(0);
        raw.send(&[frame::execute("p", 0), frame::sync()]);
        assert!(!raw.tags().contains('D'));
        raw.send(&[frame::query("ROLLBACK")]);
        raw.until_ready();
        raw.send(&[frame::query(&format!("BEGIN; DECLARE k CURSOR FOR {sql}; FETCH k"))]);
        assert!(!raw.tags().contains('D'));
    }
}
