//! Attacks on the way in which definitions of others than administrators run, from a session that could say anything.

use pgusher::policy::Mechanism;
use pgusher::sql::Executor;
use pgusher::store::reconcile::Settings;
use pgusher::upstream::owner::SigningKey;

use crate::harness::{Bench, Client, Upstream};

const TABLES: &str = "
    CREATE SCHEMA s AUTHORIZATION app;
    CREATE TABLE s.plain (id int PRIMARY KEY, word text);
    CREATE TABLE s.secret (id int PRIMARY KEY, region text, ssn text);
    INSERT INTO s.plain VALUES (1, 'a');
    INSERT INTO s.secret VALUES (1, 'EMEA', '123');";

const POLICIES: &str = r#"
    INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user');
    INSERT INTO pgusher.token (id, hash, principal) SELECT 't-ana', decode(repeat('01', 32), 'hex'), id FROM pgusher.principal WHERE name = 'ana';
    INSERT INTO pgusher.filter (relation, expression, source) VALUES ('s.secret'::regclass, 'region = pgusher.current_user()', '{"expression": "own"}');"#;

struct Signer {
    key: SigningKey,
}

impl Signer {
    fn of(bench: &Bench) -> Self {
        let secret = bench.superuser().query("SELECT secret FROM pgusher.key", &[])[0].get::<_, Vec<u8>>(0);
        Self { key: SigningKey::new(&secret) }
    }

    /// What the proxy would send in a session for a statement, as (payload, signature).
    fn sign(&self, session: &Client, by: Executor, statement: &str) -> (String, String) {
        let pid: i32 = session.one("SELECT pg_backend_pid()").parse().unwrap();
        self.key.define(pid, by, statement, true, &[])
    }
}

fn call(function: &str, payload: &str, statement: &str, signature: &str) -> String {
    format!("SELECT pgusher.{function}($p${payload}$p$, $p${statement}$p$, '{signature}')")
}

#[test]
fn a_definition_that_was_signed_runs_once_in_one_session_and_as_it_is() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let signer = Signer::of(&bench);
    let (ana, other) = (bench.session("ana"), bench.session("ana"));
    let statement = "CREATE TABLE s.made (id int)";
    let (payload, signature) = signer.sign(&ana, Executor::Ddl, statement);
    let signed = call("define", &payload, statement, &signature);
    ana.refused(&call("define", &payload, "CREATE TABLE s.other (id int)", &signature), "28000");
    ana.refused(&call("define", &payload.replace("true", "false"), statement, &signature), "28000");
    ana.refused(&call("maintain", &payload, statement, &signature), "28000");
    ana.refused(&format!("SELECT pgusher.execute($p${payload}$p$, $p${statement}$p$, false, '{signature}')"), "28000");
    other.refused(&signed, "28000");
    ana.run(&signed);
    ana.refused(&signed, "28000");
    ana.run("DISCARD SEQUENCES");
    ana.refused(&signed, "28000");
    ana.run("DISCARD ALL");
    ana.refused(&signed, "28000");
    assert_eq!(bench.superuser().one("SELECT relowner::regrole FROM pg_class WHERE oid = 's.made'::regclass"), "pgusher_ddl");
}

#[test]
fn a_definition_runs_on_the_relation_that_it_was_permitted_on() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (signer, root) = (Signer::of(&bench), bench.superuser());
    let (ana, other) = (bench.session("ana"), bench.session("ana"));
    let made = "CREATE TABLE s.made (id int)";
    let (payload, signature) = signer.sign(&ana, Executor::Ddl, made);
    ana.run(&call("define", &payload, made, &signature));
    let oid: u32 = root.one("SELECT 's.made'::regclass::oid").parse().unwrap();
    let on = [(oid, "s.made".to_owned())];
    // Another table has the name by now.
    root.run("ALTER TABLE s.made RENAME TO old; CREATE TABLE s.made (id int); ALTER TABLE s.made OWNER TO pgusher_ddl; INSERT INTO s.made VALUES (1)");
    let pid: i32 = other.one("SELECT pg_backend_pid()").parse().unwrap();
    for statement in ["TRUNCATE s.made", "DROP TABLE s.made"] {
        let (payload, signature) = signer.key.define(pid, Executor::Ddl, statement, false, &on);
        other.refused(&call("define", &payload, statement, &signature), "40001");
    }
    assert_eq!(root.one("SELECT count(*) FROM s.made"), "1");
    let old: u32 = root.one("SELECT 's.made'::regclass::oid").parse().unwrap();
    let (payload, signature) = signer.key.define(pid, Executor::Ddl, "TRUNCATE s.made", false, &[(old, "s.made".to_owned())]);
    other.run(&call("define", &payload, "TRUNCATE s.made", &signature));
    assert_eq!(root.one("SELECT count(*) FROM s.made"), "0");
}

#[test]
fn a_definition_cannot_be_forged_nor_its_functions_called_otherwise() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let ana = bench.session("ana");
    for function in ["define", "maintain"] {
        ana.refused(&call(function, "{}", "CREATE TABLE s.made (id int)", "00"), "28000");
        ana.refused(&format!("SELECT pgusher.{function}(NULL, 'CREATE TABLE s.made (id int)', NULL)"), "28000");
        ana.refused(&format!("SELECT pgusher.{function}('{{}}', NULL, NULL)"), "28000");
    }
    ana.refused("SELECT pgusher.permit('define', '{}', 'SELECT 1', '00')", "42501");
    ana.refused("SELECT pgusher.queue(true)", "42501");
    ana.refused("SELECT pgusher.run_settled('SELECT 1')", "42501");
    for role in ["pgusher_ddl", "pgusher_owner", "pgusher_viewer", "app"] {
        ana.refused(&format!("SET ROLE {role}"), "42501");
    }
}

#[test]
fn names_of_the_session_do_not_stand_in_for_those_of_the_signed_way() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let root = bench.superuser();
    // The session may put what it likes before pg_catalog.
    root.run("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO pgusher_session");
    let ana = bench.session("ana");
    ana.run("CREATE FUNCTION evil.concat_true(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$");
    ana.run("CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.concat_true)");
    ana.run("CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$");
    ana.run("CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes)");
    ana.run("CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes)");
    ana.run("SET search_path = evil, pg_catalog");
    for function in ["define", "maintain"] {
        ana.refused(&call(function, "{}", "CREATE TABLE s.made (id int)", "00"), "28000");
    }
}

#[test]
fn pgusher_ddl_holds_nothing_but_the_right_to_make_objects() {
    // Memberships of roles are the cluster's.
    let settings = Settings { row_filters: Mechanism::Rls, strict: false };
    let bench = Bench::on(Upstream::alone(), settings, TABLES, POLICIES);
    let root = bench.superuser();
    let held = |privileges: &str, schema: &str| {
        root.column(&format!(
            "SELECT c.relname || ' ' || p FROM pg_class c, unnest(ARRAY[{privileges}]) p WHERE c.relnamespace = '{schema}'::regnamespace
             AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND has_table_privilege('pgusher_ddl', c.oid, p) ORDER BY 1"
        ))
    };
    let all = "'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'";
    assert_eq!(held(all, "s"), ["plain REFERENCES"], "a foreign key to a filtered table would tell of hidden rows");
    assert!(held(all, "pgusher").is_empty());
    assert!(held(all, "pgusher_s").is_empty());
    let functions = "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'pgusher'::regnamespace AND has_function_privilege('pgusher_ddl', p.oid, 'EXECUTE') ORDER BY 1";
    assert_eq!(root.column(functions), ["define", "permit"]);
    assert_eq!(root.one("SELECT has_schema_privilege('pgusher_ddl', 'pgusher', 'CREATE')"), "f");
    assert_eq!(root.one("SELECT count(*) FROM pg_auth_members WHERE member = 'pgusher_ddl'::regrole"), "0");
    assert_eq!(
        root.one("SELECT rolsuper OR rolcreaterole OR rolbypassrls OR rolcanlogin FROM pg_roles WHERE rolname = 'pgusher_ddl'"),
        "f"
    );
    root.run("GRANT app TO pgusher_ddl");
    let refused = bench.try_govern("SELECT 1", &[]).expect_err("a role that could read everything");
    root.run("REVOKE app FROM pgusher_ddl");
    assert!(refused.to_string().contains("pgusher_ddl is a member of role app"), "{refused}");
}

#[test]
fn what_a_session_signs_away_to_the_owner_finds_no_function_of_its_own() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let (root, signer) = (bench.superuser(), Signer::of(&bench));
    root.run("CREATE FUNCTION s.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM helper(); RETURN NULL; END $$");
    root.run("CREATE TRIGGER told BEFORE TRUNCATE ON s.plain FOR EACH STATEMENT EXECUTE FUNCTION s.told()");
    root.run("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO pgusher_session; CREATE TABLE evil.seen (who text); GRANT ALL ON evil.seen TO PUBLIC");
    let ana = bench.session("ana");
    ana.run("CREATE FUNCTION evil.helper() RETURNS void LANGUAGE sql AS 'INSERT INTO evil.seen VALUES (current_user)'");
    ana.run("SET search_path = evil, s");
    let statement = "TRUNCATE s.plain";
    let (payload, signature) = signer.sign(&ana, Executor::Owner, statement);
    ana.refused(&call("maintain", &payload, statement, &signature), "42883");
    assert_eq!(root.one("SELECT count(*) FROM evil.seen"), "0");
    assert_eq!(ana.one("SHOW search_path"), "evil, s");
    // Event triggers run with every statement.
    root.run("CREATE FUNCTION s.noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM helper(); END $$");
    root.run("CREATE EVENT TRIGGER noted ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION s.noted()");
    let statement = "COMMENT ON TABLE s.plain IS 'x'";
    let pid: i32 = ana.one("SELECT pg_backend_pid()").parse().unwrap();
    let (payload, signature) = signer.key.define(pid, Executor::Owner, statement, false, &[]);
    ana.refused(&call("maintain", &payload, statement, &signature), "42883");
    assert_eq!(root.one("SELECT count(*) FROM evil.seen"), "0");
}
