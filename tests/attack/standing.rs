//! What was found out about a principal for one login, and what others make of it: who has left a group, shows a narrower token or
//! claims other groups must not meet what was written down before.

use std::sync::OnceLock;

use pgusher::policy::Mechanism;

use super::claims::Claim;
use crate::harness::{Bench, Client};

const PEOPLE: [&str; 6] = ["kim", "lea", "max", "ned", "oda", "pia"];

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let people: Vec<String> = PEOPLE.iter().map(|name| format!("('{name}', 'user')")).collect();
        let policies = format!(
            "INSERT INTO pgusher.principal (name, kind) VALUES {}, ('eu', 'group');
            INSERT INTO pgusher.membership SELECT g.id, p.id FROM pgusher.principal g, pgusher.principal p
              WHERE (g.name = 'eu' AND p.name = 'kim') OR (g.name = 'admins' AND p.name = 'lea');
            INSERT INTO pgusher.token (id, hash, principal) SELECT 't-' || p.name, sha256(convert_to(p.name, 'UTF8')), p.id
              FROM pgusher.principal p WHERE p.kind = 'user';
            INSERT INTO pgusher.token (id, hash, principal, scopes) SELECT 'narrow', sha256('narrow'), p.id, '{{sql}}'
              FROM pgusher.principal p WHERE p.name = 'lea';",
            people.join(", ")
        );
        Bench::new(Mechanism::Rls, "CREATE TABLE orders (id int PRIMARY KEY);", &policies)
    })
}

fn id_of(name: &str) -> i64 {
    bench().superuser().one(&format!("SELECT id FROM pgusher.principal WHERE name = '{name}'")).parse().unwrap()
}

/// What its row says of a session.
fn row_of(session: &Client, what: &str) -> String {
    let pid = session.one("SELECT pg_backend_pid()");
    bench().superuser().one(&format!("SELECT {what} FROM pgusher.session WHERE pid = {pid} ORDER BY sid DESC LIMIT 1"))
}

#[test]
fn a_login_finds_the_groups_of_now_whatever_the_one_before_it_found() {
    let change = |how: &str| {
        bench().govern(&how.replace("(eu, kim)", &format!("({}, {})", id_of("eu"), id_of("kim"))));
    };
    let member = |session: &Client| session.one("SELECT pgusher.is_member('eu')");
    for _ in 0..2 {
        assert_eq!(member(&Claim::on(bench(), "kim").taken()), "t");
        assert_eq!(member(&Claim::on(bench(), "kim").taken()), "t");
        change("DELETE FROM pgusher.membership WHERE (group_id, member_id) = (eu, kim)");
        let left = Claim::on(bench(), "kim").taken();
        assert_eq!(member(&left), "f");
        assert_eq!(row_of(&left, &format!("{} = ANY (ids)", id_of("eu"))), "f");
        change("INSERT INTO pgusher.membership (group_id, member_id) VALUES (eu, kim)");
    }
}

#[test]
fn a_token_that_leaves_admin_rights_aside_finds_none_that_another_has_brought() {
    let admins = format!("admin, {} = ANY (ids), schemas IS NULL", id_of("admins"));
    let seen = |session: &Client| row_of(session, &format!("ROW({admins})::text"));
    for _ in 0..2 {
        assert_eq!(seen(&Claim::on(bench(), "lea").taken()), "(t,t,t)");
        assert_eq!(seen(&Claim::on(bench(), "lea").with("token", "narrow".into()).taken()), "(f,f,f)");
    }
}

#[test]
fn groups_that_one_token_claims_are_not_anothers() {
    let member = |session: &Client| session.one("SELECT pgusher.is_member('eu')");
    for _ in 0..2 {
        assert_eq!(member(&Claim::on(bench(), "max").with("claimed", serde_json::json!([id_of("eu")])).taken()), "t");
        assert_eq!(member(&Claim::on(bench(), "max").taken()), "f");
        assert_eq!(member(&Claim::on(bench(), "max").with("claimed", serde_json::json!([])).taken()), "f");
    }
}

#[test]
fn what_was_found_out_is_one_principals() {
    for (who, groups) in [("ned", "{users}"), ("lea", "{admins,users}"), ("ned", "{users}"), ("lea", "{admins,users}")] {
        let session = Claim::on(bench(), who).taken();
        assert_eq!(row_of(&session, "groups"), groups, "{who}");
        assert_eq!(row_of(&session, "principal = ANY (ids)"), "t", "{who}");
    }
}

/// A login may take long to commit, and so may whoever tidies up.
#[test]
fn a_login_waits_for_nobody_who_finds_out_the_same() {
    let first = Claim::on(bench(), "oda").after("BEGIN").taken();
    let second = Claim::on(bench(), "oda").taken();
    assert_eq!(second.one("SELECT pgusher.current_user()"), "oda");
    first.run("COMMIT");
    let tidies = bench().superuser();
    let passed = "UPDATE pgusher.standing SET version = 0 WHERE principal = (SELECT id FROM pgusher.principal WHERE name = 'oda')";
    tidies.run(passed);
    tidies.run("BEGIN");
    tidies.run("SELECT FROM pgusher.standing FOR UPDATE");
    let third = Claim::on(bench(), "oda").taken();
    assert_eq!(third.one("SELECT pgusher.current_user()"), "oda");
    tidies.run("COMMIT");
    tidies.run(passed);
    assert_eq!(Claim::on(bench(), "oda").taken().one("SELECT pgusher.current_user()"), "oda");
    let count = "SELECT count(*) FROM pgusher.standing AS s JOIN pgusher.principal AS p ON p.id = s.principal WHERE p.name = 'oda' AND s.version = 0";
    assert_eq!(bench().superuser().one(count), "0", "what has passed is tidied away");
}

/// A login's own transaction does not wait for the disk; the client's do.
#[test]
fn to_go_on_with_a_session_leaves_the_clients_commit_as_durable_as_it_was() {
    let durable = "SET synchronous_commit = local";
    let session = Claim::on(bench(), "pia").after(durable).taken();
    assert_eq!(session.one("SHOW synchronous_commit"), "local");
    let sid: i64 = row_of(&session, "sid").parse().unwrap();
    let again = Claim::on(bench(), "pia").with("session", sid.into()).after(durable).after("BEGIN").taken();
    assert_eq!(again.one("SHOW synchronous_commit"), "local");
    again.run("COMMIT");
}

/// Whoever logs in again and again leaves rows for a while: a change of policies must not take longer for it, or nobody can take a right away.
#[test]
fn a_change_costs_by_principals_and_not_by_sessions() {
    let session = Claim::on(bench(), "ned").taken();
    let sid = row_of(&session, "sid");
    let root = bench().superuser();
    root.run("BEGIN");
    root.run(&format!(
        "INSERT INTO pgusher.session SELECT (jsonb_populate_record(s, jsonb_build_object('sid', -g))).* FROM pgusher.session AS s, generate_series(1, 300) AS g WHERE s.sid = {sid}"
    ));
    root.run("SET LOCAL track_functions = 'pl'");
    root.run("INSERT INTO pgusher.membership SELECT g.id, p.id FROM pgusher.principal g, pgusher.principal p WHERE g.name = 'eu' AND p.name = 'ned'");
    root.run("SELECT pgusher.changed()");
    root.run("SELECT pgusher.settle()");
    let all = format!("SELECT count(*) FROM pgusher.session WHERE 'eu' = ANY (groups) AND {} = ANY (ids) AND sid < 0", id_of("eu"));
    assert_eq!(root.one(&all), "300", "all of them follow");
    let calls = |function: &str| -> i64 {
        root.one(&format!("SELECT coalesce(pg_stat_get_xact_function_calls('pgusher.{function}'::regprocedure), 0)"))
            .parse()
            .unwrap()
    };
    for function in ["outlook(bigint, bigint[], boolean)", "groups_of(bigint, bigint[])"] {
        assert!((1..60).contains(&calls(function)), "{function}: {}", calls(function));
    }
    root.run("ROLLBACK");
}
