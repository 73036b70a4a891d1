//! Attacks on the signed claims that tie a connection to a principal, and on what a connection stays tied to: by a session that has
//! come by a signature, without the proxy. Class 14 and 16 of the published bypasses.

use std::sync::OnceLock;

use pgusher::policy::Mechanism;

use crate::harness::{Bench, Client};

const TABLES: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, dept text);
    INSERT INTO orders SELECT i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END FROM generate_series(1, 10) i;";

const PEOPLE: [&str; 10] = ["ana", "bob", "carl", "dora", "emil", "fay", "gus", "hank", "ida", "jo"];

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let people: Vec<String> = PEOPLE.iter().map(|name| format!("('{name}', 'user')")).collect();
        let policies = format!(
            r#"INSERT INTO pgusher.principal (name, kind) VALUES {}, ('eu', 'group');
            INSERT INTO pgusher.membership SELECT g.id, p.id FROM pgusher.principal g, pgusher.principal p
              WHERE (g.name = 'eu' AND p.kind = 'user') OR (g.name = 'admins' AND p.name = 'jo');
            INSERT INTO pgusher.token (id, hash, principal) SELECT 't-' || p.name, sha256(convert_to(p.name, 'UTF8')), p.id
              FROM pgusher.principal p WHERE p.kind = 'user';
            INSERT INTO pgusher.filter (relation, expression, source)
              VALUES ('public.orders'::regclass, $$(SELECT pgusher.is_member("dept"))$$, '{{"expression": "is_member(dept)"}}');"#,
            people.join(", ")
        );
        Bench::new(Mechanism::Rls, TABLES, &policies)
    })
}

/// A claim, well signed, that differs from a good one in some fields.
pub(super) struct Claim {
    bench: &'static Bench,
    session: Client,
    fields: serde_json::Value,
}

impl Claim {
    fn of(who: &str) -> Self {
        Self::on(bench(), who)
    }

    /// Of a principal of some bench, where its token is called after it.
    pub(super) fn on(bench: &'static Bench, who: &str) -> Self {
        let session = bench.role("pgusher_session");
        let pid: i32 = session.one("SELECT pg_backend_pid()").parse().unwrap();
        let principal = bench.superuser().one(&format!("SELECT id FROM pgusher.principal WHERE name = '{who}'"));
        let principal: i64 = principal.parse().unwrap();
        let fields = serde_json::json!({
            "pid": pid, "nonce": format!("{who} {pid}"), "until": 99_999_999_999i64, "session": null,
            "principal": principal, "token": format!("t-{who}"),
        });
        Self { bench, session, fields }
    }

    pub(super) fn with(mut self, field: &str, value: serde_json::Value) -> Self {
        self.fields[field] = value;
        self
    }

    fn attach(&self) -> String {
        let payload = self.fields.to_string();
        let signature = self.bench.superuser().one(&format!(
            "SELECT encode(sha256(k.opad || sha256(k.ipad || convert_to('attach:' || $p${payload}$p$, 'UTF8'))), 'hex') FROM pgusher.key k"
        ));
        format!("SELECT pgusher.attach($p${payload}$p$, '{signature}')")
    }

    /// The connection stays nobody's.
    fn is_refused(&self) {
        let refusal = self.session.try_rows(&self.attach()).expect_err("the claim is no good");
        assert!(["28000", "28P01"].contains(&refusal.code.as_str()), "{refusal}");
        for read in ["SELECT pgusher.current_user()", "SELECT count(*) FROM orders"] {
            let refusal = self.session.try_rows(read).expect_err(read);
            // Where nobody at all has a session, that is found before the lack of an identity of one's own.
            assert!(["55000", "28000"].contains(&refusal.code.as_str()), "{refusal}");
        }
    }

    pub(super) fn taken(self) -> Client {
        self.session.run(&self.attach());
        self.session
    }

    /// Something that its session says before it is tied.
    pub(super) fn after(self, statement: &str) -> Self {
        self.session.run(statement);
        self
    }
}

#[test]
fn a_claim_is_not_good_after_its_time() {
    let ana = Claim::of("ana").with("nonce", "one".into());
    ana.with("until", 1_000_000_000i64.into()).is_refused();
    let found = Claim::of("ana").taken();
    assert_eq!(found.one("SELECT pgusher.current_user()"), "ana");
}

#[test]
fn a_claim_without_its_fields_is_no_claim() {
    for field in ["pid", "nonce", "until", "principal", "token"] {
        Claim::of("ana").with(field, serde_json::Value::Null).is_refused();
    }
}

#[test]
fn a_revoked_token_ties_no_connection() {
    bench().superuser().run("UPDATE pgusher.token SET revoked_at = now() WHERE id = 't-bob'");
    Claim::of("bob").is_refused();
}

#[test]
fn an_expired_token_ties_no_connection() {
    bench().superuser().run("UPDATE pgusher.token SET expires_at = now() - interval '1 second' WHERE id = 't-carl'");
    Claim::of("carl").is_refused();
}

#[test]
fn a_disabled_principal_ties_no_connection() {
    bench().superuser().run("UPDATE pgusher.principal SET enabled = false WHERE name = 'dora'");
    Claim::of("dora").is_refused();
}

#[test]
fn a_token_is_its_own_principals() {
    Claim::of("ana").with("token", "t-emil".into()).is_refused();
}

/// To go on with a session on another connection is for who it is.
#[test]
fn nobody_goes_on_with_somebody_elses_session() {
    let fay = Claim::of("fay").taken();
    let sid: i64 = bench().superuser().one("SELECT sid FROM pgusher.session WHERE name = 'fay'").parse().unwrap();
    Claim::of("ana").with("session", sid.into()).is_refused();
    assert_eq!(fay.one("SELECT pgusher.current_user()"), "fay");
    let again = Claim::of("fay").with("session", sid.into()).taken();
    assert_eq!(again.one("SELECT pgusher.current_user()"), "fay");
}

#[test]
fn an_identity_ends_with_its_token() {
    let gus = Claim::of("gus").taken();
    assert_eq!(gus.one("SELECT count(*) FROM orders"), "5");
    bench().superuser().run("UPDATE pgusher.session SET expires_at = now() - interval '1 second' WHERE name = 'gus'");
    for function in ["current_user()", "session_user()", "is_member('eu')", "is_member('users')"] {
        gus.refused(&format!("SELECT pgusher.{function}"), "28000");
    }
    gus.refused("SELECT count(*) FROM orders", "28000");
    gus.refused("SELECT count(*) FROM pgusher.fenced_pg_class", "28000");
}

#[test]
fn an_identity_ends_when_its_principal_is_disabled() {
    let hank = Claim::of("hank").taken();
    bench().govern("UPDATE pgusher.principal SET enabled = false WHERE name = 'hank'");
    hank.refused("SELECT pgusher.current_user()", "28000");
    hank.refused("SELECT count(*) FROM orders", "28000");
}

#[test]
fn a_group_that_was_left_is_left_upstream_too() {
    let ida = Claim::of("ida").taken();
    assert_eq!(ida.one("SELECT count(*) FROM orders"), "5");
    bench().govern("DELETE FROM pgusher.membership WHERE member_id = (SELECT id FROM pgusher.principal WHERE name = 'ida')");
    assert_eq!(ida.one("SELECT pgusher.is_member('eu')"), "f");
    assert_eq!(ida.one("SELECT count(*) FROM orders"), "0");
}

#[test]
fn who_was_an_administrator_is_none_upstream_either() {
    let _jo = Claim::of("jo").taken();
    let admin = "SELECT admin FROM pgusher.session WHERE name = 'jo'";
    assert_eq!(bench().superuser().one(admin), "t");
    bench().govern(
        "DELETE FROM pgusher.membership WHERE member_id = (SELECT id FROM pgusher.principal WHERE name = 'jo')
         AND group_id = (SELECT id FROM pgusher.principal WHERE name = 'admins')",
    );
    assert_eq!(bench().superuser().one(admin), "f");
}

/// Whatever ran before, what analysis takes for granted holds again.
#[test]
fn a_look_puts_back_what_the_meaning_of_statements_depends_on() {
    let session = bench().role("pgusher_session");
    for (setting, other, kept) in [
        ("standard_conforming_strings", "off", "on"),
        ("row_security", "off", "on"),
        ("client_encoding", "LATIN1", "UTF8"),
        ("backslash_quote", "on", "safe_encoding"),
        ("transform_null_equals", "on", "off"),
    ] {
        session.run(&format!("SELECT set_config('{setting}', '{other}', false)"));
        session.run("SELECT pgusher.look()");
        assert_eq!(session.one(&format!("SHOW {setting}")), kept, "{setting}");
    }
    let control = bench().role("pgusher_control");
    control.run("SET ROLE pgusher_owner");
    control.run("SELECT pgusher.look()");
    assert_eq!(control.one("SELECT current_user"), "pgusher_control");
}

#[test]
fn our_channels_are_not_notified_by_a_name_that_is_computed() {
    let session = bench().role("pgusher_session");
    for channel in ["pgusher_policy", "pgusher"] {
        session.refused(&format!("SELECT pgusher.pg_notify('{channel}', 'x')"), "42501");
    }
    session.run("SELECT pgusher.pg_notify('mine', 'x')");
}
