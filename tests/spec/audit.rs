//! The audit trail: each thing that happens has its record before the client hears of its end, and the record says what happened.

use serde_json::{Value, json};

use crate::harness::frame::{bind, cancel, copy_data, copy_done, execute, parse, query, sync};
use crate::harness::{Audited, Mechanism, RawClient, until};

/// Both mechanisms of row filters.
fn both(more: &str, proven: impl Fn(&Audited)) {
    for mechanism in [Mechanism::Rls, Mechanism::View] {
        proven(&Audited::shop(mechanism, more));
    }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(|object| object["securable"].as_str()).collect()
}

#[test]
fn a_record_says_who_did_what_to_which_columns_under_which_policies() {
    both("", |audited| {
        let shop = &audited.shop;
        let ana = shop.ana();
        let rows = ana.rows("SELECT id, note FROM orders WHERE id < 1000").len();
        let record = audited.of("SELECT id, note FROM orders");
        for (field, expected) in [
            ("event", json!("statement")),
            ("principal", json!("ana@example.com")),
            ("database", json!(shop.database)),
            ("address", json!("127.0.0.1")),
            ("kind", json!("SELECT")),
            ("statement", json!("SELECT id, note FROM orders WHERE id < 1000")),
            ("outcome", json!("allowed")),
            ("sqlstate", json!("00000")),
            ("rows", json!(rows)),
        ] {
            assert_eq!(record[field], expected, "{field} of {record:#}");
        }
        assert!(rows > 0 && record["bytes"].as_u64().is_some_and(|bytes| bytes > 10 * rows as u64), "{record:#}");
        let read = &record["reads"][0];
        assert_eq!((&read["securable"], &read["privilege"]), (&json!("public.orders"), &json!("SELECT")), "{record:#}");
        let columns = read["columns"].as_array().expect("columns");
        assert!(
            columns.contains(&json!("id")) && columns.contains(&json!("note")) && !columns.contains(&json!("amount")),
            "{record:#}"
        );
        assert_eq!(record["filters"][0]["on"], "public.orders", "{record:#}");
        assert!(
            record["decision"]
                .as_array()
                .is_some_and(|reasons| reasons.iter().any(|r| r.as_str().is_some_and(|r| r.starts_with("grant ")))),
            "{record:#}"
        );
        for field in ["session", "duration_us", "catalog_version", "policy_version", "sequence"] {
            assert!(record[field].is_number(), "{field} of {record:#}");
        }
        assert!(["fingerprint", "token", "instance", "time", "hash"].iter().all(|field| record[field].is_string()), "{record:#}");
        ana.rows("SELECT ssn FROM employees LIMIT 1");
        let masked = audited.of("SELECT ssn");
        assert_eq!(masked["masks"][0]["on"], "public.employees.ssn", "{masked:#}");
    });
}

#[test]
fn each_way_to_run_a_statement_leaves_one_record() {
    both("", |audited| {
        let shop = &audited.shop;
        let mut ana = shop.raw("ana@example.com");
        // Several in one Query.
        ana.send(&[query("SELECT 'one'; SELECT 'two' FROM orders LIMIT 2")]);
        assert_eq!(ana.tags(), "TDCTDDCZI");
        assert_eq!((audited.of("'one'")["rows"].clone(), audited.of("'two'")["rows"].clone()), (json!(1), json!(2)));
        // A pipeline, with a portal that is suspended in it.
        ana.send(&[
            parse("a", "SELECT id, 'three' FROM orders ORDER BY id"),
            bind("p", "a", &[], 0),
            execute("p", 3),
            execute("p", 4),
            parse("", "SELECT 'four'"),
            bind("", "", &[], 0),
            execute("", 0),
            sync(),
        ]);
        assert_eq!(ana.tags(), "12DDDsDDDDs12DCZI");
        let three: Vec<Value> = audited.all("'three'").iter().map(|record| record["rows"].clone()).collect();
        assert_eq!(three, [json!(3), json!(4)]);
        assert_eq!(audited.of("'four'")["rows"], 1);
        // COPY in both directions.
        let copy = "COPY orders (id, customer_id, region, sales_rep, status, ordered_on) FROM STDIN";
        ana.send(&[query(copy), copy_data("900001\t1\tEMEA\tana@example.com\topen\t2025-01-01\n"), copy_done()]);
        assert_eq!(ana.tags(), "GCZI");
        let copied = audited.of(copy);
        assert_eq!((&copied["rows"], names(&copied["writes"])), (&json!(1), vec!["public.orders"]), "{copied:#}");
        assert_eq!(shop.ana().copy_out("COPY (SELECT id, 'five' FROM orders ORDER BY id LIMIT 5) TO STDOUT").lines().count(), 5);
        assert_eq!(audited.of("'five'")["rows"], 5);
        // A cursor.
        ana.send(&[query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM orders; FETCH 6 FROM c; COMMIT")]);
        ana.until_ready();
        assert_eq!((&audited.of("FETCH 6")["rows"], &audited.of("DECLARE c")["kind"]), (&json!(6), &json!("DECLARE CURSOR")));
        // By SQL's own EXECUTE.
        let (rows, _) = shop.ana().try_run("SELECT 7").expect("a query by the extended protocol");
        assert_eq!(rows.len(), 1);
        assert_eq!(audited.of("SELECT 7")["rows"], 1);
    });
}

#[test]
fn what_went_wrong_leaves_a_record_with_its_sqlstate() {
    both("", |audited| {
        let shop = &audited.shop;
        let (ana, ivan) = (shop.ana(), shop.ivan());
        ana.refused("SELECT 1/0 AS by_zero", "22012");
        ana.refused("SELECT refused FROM", "42601");
        ana.refused("SELECT refused FROM nowhere", "42P01");
        ivan.refused("SELECT * FROM employees", "42501");
        ana.try_prepare("SELECT 'not a number'::int, $1::int AS failed_when_parsed").expect_err("it does not parse upstream");
        let brief = |text: &str| {
            let record = audited.of(text);
            (record["outcome"].as_str().unwrap_or_default().to_owned(), record["sqlstate"].as_str().unwrap_or_default().to_owned())
        };
        let is = |outcome: &str, code: &str| (outcome.to_owned(), code.to_owned());
        assert_eq!(brief("by_zero"), is("failed", "22012"));
        assert_eq!(brief("failed_when_parsed"), is("failed", "22P02"));
        assert_eq!(brief("FROM nowhere"), is("refused", "42P01"));
        let denied = audited.of("FROM employees");
        assert_eq!(
            (&denied["outcome"], &denied["sqlstate"], names(&denied["reads"])),
            (&json!("denied"), &json!("42501"), vec!["public.employees"]),
            "{denied:#}"
        );
        assert!(
            denied["decision"][0].as_str().is_some_and(|reason| reason.contains("ivan@example.com lacks SELECT")),
            "{denied:#}"
        );

        // Cancelled.
        let mut raw = RawClient::connect(shop.proxy.port);
        let greeting =
            raw.login(&shop.database, "ana@example.com", shop.token("ana@example.com"), &[("application_name", "sleeper")]);
        let key = greeting.iter().find(|frame| frame.tag == 'K').expect("a key");
        let process = i32::from_be_bytes(key.body[..4].try_into().expect("four bytes"));
        raw.send(&[query("SELECT pg_sleep(60), 'cancelled'")]);
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()";
        until("the statement to run", || (shop.truth().one(running) != "0").then_some(()));
        RawClient::connect(shop.proxy.port).send(&[cancel(process, &key.body[4..])]);
        assert_eq!(raw.tags(), "TEZI");
        let cancelled = audited.of("'cancelled'");
        assert_eq!((&cancelled["sqlstate"], &cancelled["application"]), (&json!("57014"), &json!("sleeper")), "{cancelled:#}");

        // Revoked while it ran.
        raw.send(&[query("SELECT pg_sleep(60), 'revoked'")]);
        until("the statement to run", || (shop.truth().one(running) != "0").then_some(()));
        shop.admin().run("ALTER USER \"ana@example.com\" DISABLE");
        assert!(raw.closed());
        assert_eq!(brief("'revoked'"), is("failed", "28000"));
        let revoked = audited.events("revocation");
        assert!(revoked.iter().any(|record| record["session"] == cancelled["session"]), "{revoked:#?}");
    });
}

#[test]
fn logins_and_changes_leave_records() {
    both("", |audited| {
        let shop = &audited.shop;
        shop.try_connect("ana@example.com", "wrong").err().expect("refused");
        let logins = audited.events("login");
        let refused = logins.last().expect("a record");
        assert_eq!(
            (&refused["outcome"], &refused["user"], &refused["address"]),
            (&json!("denied"), &json!("ana@example.com"), &json!("127.0.0.1")),
            "{refused:#}"
        );
        assert!(refused["reason"].is_string());
        let admin = shop.admin();
        let logins = audited.events("login");
        let login = logins.last().expect("a record");
        assert_eq!((&login["outcome"], &login["principal"]), (&json!("allowed"), &json!("admin@example.com")), "{login:#}");
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        let changes = audited.events("change");
        let change = changes.last().expect("a record");
        assert!(change["statement"].as_str().is_some_and(|text| text.starts_with("GRANT SELECT")), "{change:#}");
        assert_eq!(change["principal"], "admin@example.com");
        assert_eq!(audited.of("GRANT SELECT ON TABLE employees")["kind"], "governance");
        // The application tells its name later.
        admin.run("SET application_name = 'renamed'");
        admin.rows("SELECT 'by the new name'");
        assert_eq!(audited.of("by the new name")["application"], "renamed");
    });
}

#[test]
fn parameters_are_recorded_where_they_are_asked_for() {
    both("parameters = true", |audited| {
        let mut ana = audited.shop.raw("ana@example.com");
        ana.send(&[parse("", "SELECT $1::text, $2::int"), bind("", "", &[Some("x"), None], 0), execute("", 0), sync()]);
        assert_eq!(ana.tags(), "12DCZI");
        assert_eq!(audited.of("$1::text")["parameters"], json!(["x", null]));
    });
    both("", |audited| {
        audited.shop.ana().try_run("SELECT 1, 'plain'").expect("a query by the extended protocol");
        assert!(audited.records().iter().all(|record| record.get("parameters").is_none()));
    });
}

#[test]
fn literals_are_left_out_where_that_is_asked_for() {
    both("literals = false", |audited| {
        let ana = audited.shop.ana();
        ana.rows("SELECT 'hunter2', 4711000000004711 -- hunter2");
        ana.rows("SELECT 'other', 4712");
        ana.refused("SELECT 'hunter2'::int", "22P02");
        let records = audited.all("SELECT ?, ?");
        assert_eq!(records.len(), 2, "{records:#?}");
        assert_eq!(records[0]["fingerprint"], records[1]["fingerprint"]);
        let text = std::fs::read_to_string(&audited.file).expect("a readable file");
        assert!(!text.contains("hunter2") && !text.contains("4711000000004711"), "{text}");
    });
}
