//! What tools ask of the catalogs to draw their trees (pgAdmin, DBeaver, Metabase): everything answers, and nothing hidden is in an answer.

use super::catalogs::{HIDDEN, tells_nothing};
use crate::harness::{Client, both_mechanisms};

/// The questions, each with its name.
fn questions(schema: &str, table: &str) -> Vec<(String, String)> {
    let text = include_str!("tools.sql").replace("{schema}", schema).replace("{table}", table);
    let mut found = Vec::new();
    for block in text.split("\n\n") {
        let (name, sql) = block.split_once('\n').unwrap();
        if sql.starts_with("--") {
            continue;
        }
        found.push((name.trim_start_matches("-- ").to_owned(), sql.trim().to_owned()));
    }
    assert!(found.len() > 25, "{}", found.len());
    found
}

fn number(truth: &Client, what: &str) -> String {
    truth.one(&format!("SELECT ({what})::oid"))
}

/// The questions whose answers an administrator gets as the superuser does, but for what is ours.
const COMPARED: &[&str] = &[
    "pgAdmin: columns",
    "pgAdmin: triggers",
    "pgAdmin: sequences",
    "pgAdmin: foreign keys",
    "Metabase: foreign keys",
    "Metabase: enums",
];

both_mechanisms! {
    fn tools_are_told_of_permitted_objects_only(shop: fresh) {
        let truth = shop.truth();
        for sql in HIDDEN {
            truth.run(sql);
        }
        // The upstream's own rights are no part of this.
        truth.run("GRANT USAGE ON SCHEMA qqschema TO PUBLIC");
        let schema = number(&truth, "'public'::regnamespace");
        let (regions, hidden) = (number(&truth, "'public.regions'::regclass"), number(&truth, "'public.qqtable'::regclass"));
        let (ivan, admin) = (shop.ivan(), shop.admin());
        let mut failed = Vec::new();
        for (name, sql) in questions(&schema, &regions) {
            match ivan.try_rows(&sql) {
                Ok(rows) => {
                    let text = rows.iter().flatten().cloned().collect::<Vec<_>>().join("|");
                    let empty = ["pgAdmin: triggers", "pgAdmin: rules", "pgAdmin: sequences", "pgAdmin: functions", "pgAdmin: types", "pgAdmin: views", "DBeaver: functions", "Metabase: enums"];
                    assert!(!rows.is_empty() || empty.contains(&name.as_str()) || name.ends_with("foreign keys"), "{name} shows something");
                    assert!(!text.contains("employees") && !text.contains("pgusher"), "{name}: {text}");
                }
                Err(refusal) => failed.push(format!("{name}: {refusal}")),
            }
            tells_nothing(&ivan, &sql);
            if let Err(refusal) = admin.try_rows(&sql) {
                failed.push(format!("{name}, by the administrator: {refusal}"));
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        for (name, sql) in questions(&schema, &hidden) {
            tells_nothing(&ivan, &sql);
            if COMPARED.contains(&name.as_str()) {
                let without_ours = |client: &Client| -> Vec<_> {
                    let mut rows = client.rows(&sql);
                    rows.retain(|row| !row.iter().any(|cell| cell.contains("pgusher")));
                    rows.sort();
                    rows
                };
                assert_eq!(without_ours(&admin), without_ours(&truth), "{name}");
            }
        }
        let tables = admin.column("SELECT relname FROM pg_stat_user_tables");
        assert!(tables.contains(&"qqtable".to_owned()), "an administrator sees all of it");
    }

    fn a_partition_is_named_to_who_reads_its_parent(shop: fresh) {
        let (admin, ivan, truth) = (shop.admin(), shop.ivan(), shop.truth());
        for sql in [
            "CREATE TABLE parcels (id integer, kind text) PARTITION BY LIST (kind)",
            "CREATE TABLE parcels_small PARTITION OF parcels FOR VALUES IN ('small') PARTITION BY RANGE (id)",
            "CREATE TABLE parcels_small_1 PARTITION OF parcels_small FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE crates (id integer, kind text) PARTITION BY LIST (kind)",
            "CREATE TABLE crates_qq PARTITION OF crates FOR VALUES IN ('qq')",
            "INSERT INTO parcels VALUES (1, 'small')",
            "GRANT SELECT ON TABLE parcels TO \"ivan@example.com\"",
            "GRANT READ_METADATA ON TABLE crates TO \"ivan@example.com\"",
        ] {
            admin.run(sql);
        }
        for sql in ["SELECT tableoid::regclass FROM parcels", "SELECT tableoid::regclass::text, count(*) FROM parcels GROUP BY 1"] {
            assert_eq!(ivan.rows(sql)[0][0], "parcels_small_1", "{sql}");
        }
        // It is no object of its own in the catalogs, and others' partitions stay unnamed.
        assert_eq!(ivan.column("SELECT relname FROM pg_class WHERE relname LIKE 'parcels%'"), ["parcels"]);
        for partition in ["crates_qq", "employees"] {
            let oid = number(&truth, &format!("'{partition}'::regclass"));
            assert!(!ivan.refused(&format!("SELECT {oid}::oid::regclass"), "42P01").to_string().contains(partition));
        }
        admin.run("REVOKE SELECT ON TABLE parcels FROM \"ivan@example.com\"");
        let oid = number(&truth, "'parcels_small_1'::regclass");
        ivan.refused(&format!("SELECT {oid}::oid::regclass"), "42P01");
    }
}
