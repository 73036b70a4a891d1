//! `pgusher init`: as a superuser, as a role without that, again and again, and printed.

use pgusher::policy::Mechanism;
use pgusher::store::StoreError;
use pgusher::store::init::Init;

use crate::harness::{Bench, Upstream, block, connect_upstream};

#[test]
fn an_owner_with_createrole_is_enough() {
    let upstream = Upstream::shared();
    let root = upstream.superuser("postgres");
    root.run("DO $$BEGIN CREATE ROLE dba LOGIN CREATEROLE; EXCEPTION WHEN duplicate_object THEN END$$");
    root.run("CREATE DATABASE init_plain OWNER dba");
    // Since 16 CREATEROLE reaches the roles that one made or administers, and nobody administers oneself: the tables are another's.
    let administers = upstream.major() >= 16;
    if administers {
        Bench::new(Mechanism::Rls, "SELECT 1", "SELECT 1");
        root.run("GRANT pgusher_owner, pgusher_viewer, pgusher_ddl, pgusher_session, pgusher_control, app TO dba WITH ADMIN TRUE, SET FALSE");
        root.run("ALTER DATABASE init_plain OWNER TO app; GRANT CREATE, CONNECT, TEMPORARY ON DATABASE init_plain TO dba WITH GRANT OPTION");
    }
    let owner = if administers { "app" } else { "dba" };
    let dba = connect_upstream(upstream, "init_plain", owner);
    dba.run("CREATE TABLE t (id int, secret text); INSERT INTO t VALUES (1, 'raw'); CREATE SCHEMA s; CREATE TABLE s.u (id serial)");
    let bench = Bench::existing("init_plain", Mechanism::Rls);
    for _ in 0..2 {
        let done = block(Init { admin: Some("root@example.com".to_owned()), harden: false, ..bench.init("dba") }.run()).unwrap();
        assert!(done.token.unwrap().expose().starts_with("pgu_"));
    }
    assert_eq!(dba.one(&format!("SELECT pg_has_role('pgusher_owner', '{owner}', 'USAGE')")), "t");
    let acting = if administers { "SET" } else { "MEMBER" };
    assert_eq!(dba.one(&format!("SELECT pg_has_role('dba', 'pgusher_owner', '{acting}')")), "f");
    let kept = upstream.superuser("init_plain");
    assert_eq!(kept.one("SELECT count(*) FROM pgusher.token"), "2");
    bench.govern(
        "INSERT INTO pgusher.filter (relation, expression, source) VALUES ('public.t'::regclass, 'id > 0', '{\"expression\": \"id > 0\"}'); \
         INSERT INTO pgusher.mask (relation, \"column\", expression, source) VALUES ('public.t'::regclass, 'secret', '''x''', '{\"expression\": \"x\"}')",
    );
    let session = bench.role("pgusher_session");
    assert_eq!(session.rows("SELECT * FROM pgusher_public.t"), [["1", "x"]]);
    session.refused("SELECT secret FROM t", "42501");
    session.run("INSERT INTO s.u DEFAULT VALUES");
}

#[test]
fn tables_of_a_superuser_are_governed_by_views() {
    let bench = Bench::new(Mechanism::Rls, "SELECT 1", "SELECT 1");
    let root = bench.superuser();
    root.run("CREATE TABLE t (id int, secret text); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    let policy = "INSERT INTO pgusher.filter (relation, expression, source) VALUES ('public.t'::regclass, 'id = 1', '{\"expression\": \"id = 1\"}')";
    let session = bench.role("pgusher_session");
    // Not adopted yet: nothing to see at all.
    bench.govern(policy);
    session.refused("SELECT * FROM t", "42501");
    block(bench.init("postgres").run()).unwrap();
    session.refused("SELECT * FROM t", "42501");
    assert_eq!(session.column("SELECT secret FROM pgusher_public.t"), ["a"]);
    session.refused("INSERT INTO pgusher_public.\"t$i\" VALUES (3, 'c')", "44000");
    assert_eq!(root.one("SELECT count(*) FROM pg_policy"), "0");
}

#[test]
fn privileges_of_everybody_on_a_governed_table_make_it_refused() {
    let bench = Bench::new(
        Mechanism::Rls,
        "CREATE TABLE t (id int, secret text); GRANT SELECT ON t TO PUBLIC",
        "INSERT INTO pgusher.mask (relation, \"column\", expression, source) VALUES ('public.t'::regclass, 'secret', '''x''', '{\"expression\": \"x\"}')",
    );
    let table = bench.superuser().one("SELECT 't'::regclass::oid").parse().unwrap();
    let error = bench.try_govern("SELECT 1", &[table]).unwrap_err();
    assert!(matches!(&error, StoreError::Ungovernable { reason, .. } if reason.contains("PUBLIC")), "{error}");
}

#[test]
fn a_mask_of_another_type_is_an_error() {
    let bench = Bench::new(Mechanism::Rls, "CREATE TABLE t (n int, s varchar(3), d date, j jsonb)", "SELECT 1");
    let table: u32 = bench.superuser().one("SELECT 't'::regclass::oid").parse().unwrap();
    let mask = |column: &str, expression: &str| {
        let sql = format!(
            "INSERT INTO pgusher.mask (relation, \"column\", expression, source) VALUES ({table}, '{column}', $m${expression}$m$, '{{\"expression\": \"\"}}')"
        );
        match bench.try_govern(&sql, &[table]) {
            Ok(()) => {
                bench.govern("DELETE FROM pgusher.mask");
                "ok".to_owned()
            }
            Err(StoreError::Upstream(error)) => error.code,
            Err(error) => panic!("{column} {expression}: {error}"),
        }
    };
    let cases = [
        ("n", "NULL", "ok"),
        ("n", "0", "ok"),
        ("n", "'***'::text", "42804"),
        ("n", "'***'", "22P02"),
        ("n", "1.5", "42804"),
        ("s", "'*'", "ok"),
        ("s", "'*'::text", "ok"),
        ("s", "1", "42804"),
        ("d", "now()", "42804"),
        ("d", "'2020-01-01'", "ok"),
        ("j", "'{}'", "ok"),
        ("s", "no_such", "42703"),
    ];
    for (column, expression, outcome) in cases {
        assert_eq!(mask(column, expression), outcome, "{column} {expression}");
    }
    // A text that does not fit is an error, never cut.
    bench.superuser().run("INSERT INTO t (s) VALUES ('abc')");
    bench.govern(&format!("INSERT INTO pgusher.mask (relation, \"column\", expression, source) VALUES ({table}, 's', '''****''', '{{\"expression\": \"\"}}')"));
    bench.role("pgusher_session").refused("SELECT s FROM pgusher_public.t", "22001");
}

#[test]
fn the_printed_script_is_all_a_dba_needs() {
    let bench = Bench::new(Mechanism::Rls, "CREATE TABLE t (id int)", "SELECT 1");
    let mut init = bench.init("postgres");
    init.session.password = Some(pgusher::config::Password::new("hunter2"));
    let script = init.print();
    assert!(script.contains("SCRAM-SHA-256$") && !script.contains("hunter2"));
    let script = bench.init("postgres").print();
    bench.superuser().run(&script);
    bench.superuser().run(&script);
    block(bench.init("postgres").finish()).unwrap();
    assert_eq!(bench.role("pgusher_session").one("SELECT count(*) FROM t"), "0");
}

#[test]
#[ignore = "takes a while; run by hand when loading or reconciling changes"]
fn five_thousand_tables_are_adopted_and_looked_at_in_seconds() {
    let bench = Bench::new(Mechanism::Rls, "SELECT 1", "SELECT 1");
    let app = bench.role("app");
    for part in 0..10 {
        app.run(&format!(
            "DO $$BEGIN FOR i IN 1..500 LOOP EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, a text, b numeric(10, 2), c timestamptz)', {part} * 500 + i); END LOOP; END$$"
        ));
    }
    let begun = std::time::Instant::now();
    block(bench.init("postgres").run()).unwrap();
    println!("adopted in {:?}", begun.elapsed());
    for what in ["nothing to do", "a filter"] {
        let begun = std::time::Instant::now();
        bench.govern(if what == "a filter" {
            "INSERT INTO pgusher.filter (relation, expression, source) VALUES ('public.t7'::regclass, 'id > 0', '{\"expression\": \"id > 0\"}')"
        } else {
            "SELECT 1"
        });
        println!("{what}: {:?}", begun.elapsed());
    }
}
