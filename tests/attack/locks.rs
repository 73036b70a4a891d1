//! Locks 2 and 3 alone: no analysis, the session login talks to PostgreSQL directly and runs what it likes.
//!
//! Classes 4, 5, 16, 17, 18 and 19 of the published bypasses: predicates on masks, settings and roles, writes as a read channel,
//! error texts, side doors.

use pgusher::policy::{Mechanism, PrincipalId};
use pgusher::upstream::owner::SigningKey;

use crate::harness::{Bench, NULL, block};

/// Tables of an application, views and a copy among them.
pub(crate) const TABLES: &str = "
    CREATE TABLE emp (id int PRIMARY KEY, name varchar(20), dept text, salary int, ssn text UNIQUE, code varchar(8));
    INSERT INTO emp SELECT i, 'n' || i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, 1000 * i, 'ssn' || i, 'c' || i FROM generate_series(1, 10) i;
    CREATE TABLE orders (id int PRIMARY KEY, dept text, amount numeric) PARTITION BY RANGE (id);
    CREATE TABLE orders_low PARTITION OF orders FOR VALUES FROM (0) TO (100);
    CREATE TABLE orders_high PARTITION OF orders FOR VALUES FROM (100) TO (200);
    INSERT INTO orders SELECT i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, i FROM generate_series(1, 199) i;
    CREATE TABLE depts (name text PRIMARY KEY, members text);
    INSERT INTO depts VALUES ('eu', 'eu_people'), ('us', 'us_people');
    CREATE TABLE free (id serial PRIMARY KEY, note text);
    CREATE VIEW emp_names AS SELECT id, name, ssn FROM emp;
    CREATE VIEW emp_names_again AS SELECT * FROM emp_names;
    CREATE MATERIALIZED VIEW emp_copy AS SELECT * FROM emp;
    CREATE VIEW free_notes AS SELECT note FROM free;
    GRANT SELECT ON emp, orders TO other;";

/// ana is in eu_people, hank in hr and us_people.
pub(crate) const POLICIES: &str = r#"
    INSERT INTO pgusher.principal (name, kind) VALUES ('ana', 'user'), ('hank', 'user'), ('hr', 'group'), ('eu_people', 'group'), ('us_people', 'group');
    INSERT INTO pgusher.membership SELECT g.id, p.id FROM pgusher.principal g, pgusher.principal p
      WHERE (g.name, p.name) IN (('hr', 'hank'), ('us_people', 'hank'), ('eu_people', 'ana'));
    INSERT INTO pgusher.token (id, hash, principal) SELECT 't' || p.id, sha256(convert_to(p.name, 'UTF8')), p.id FROM pgusher.principal p WHERE p.kind = 'user';
    INSERT INTO pgusher.filter (relation, expression, source)
      SELECT r::regclass, $$(SELECT pgusher.is_member("dept" || '_people'))$$, '{"expression": "is_member(dept || ''_people'')"}'
      FROM (VALUES ('public.orders')) v(r);
    INSERT INTO pgusher.filter (relation, expression, source) VALUES ('public.emp'::regclass,
      $$"dept" IN (SELECT d.name FROM public.depts AS d WHERE pgusher.is_member(d.members))$$, '{"expression": "by depts"}');
    INSERT INTO pgusher.mask (relation, "column", expression, source) VALUES
      ('public.emp'::regclass, 'salary', $$CASE WHEN (SELECT pgusher.is_member('hr')) THEN "salary" END$$, '{"expression": "hr"}'),
      ('public.emp'::regclass, 'ssn', $$CASE WHEN (SELECT pgusher.is_member('hr')) THEN "ssn" ELSE '***' END$$, '{"expression": "hr"}'),
      ('public.emp'::regclass, 'code', $$CASE WHEN (SELECT pgusher.is_member('hr')) THEN "code" ELSE 'x' || pg_catalog.left("code", 1) END$$, '{"expression": "hr"}');"#;

fn both(test: impl Fn(&Bench, bool)) {
    for mechanism in [Mechanism::Rls, Mechanism::View] {
        test(&Bench::new(mechanism, TABLES, POLICIES), mechanism == Mechanism::Rls);
    }
}

/// Class 4: masks stand below every clause.
#[test]
fn the_read_view_shows_permitted_rows_with_masks() {
    both(|bench, _| {
        let ana = bench.session("ana");
        assert_eq!(ana.column("SELECT id FROM pgusher_public.emp ORDER BY id"), ["2", "4", "6", "8", "10"]);
        assert_eq!(ana.rows("SELECT salary, ssn, code FROM pgusher_public.emp LIMIT 1"), [[NULL, "***", "xc"]]);
        assert!(ana.rows("SELECT id FROM pgusher_public.emp WHERE ssn = 'ssn2' OR salary > 0").is_empty());
        let hank = bench.session("hank");
        assert_eq!(hank.rows("SELECT id, salary, ssn, code FROM pgusher_public.emp WHERE id = 3"), [["3", "3000", "ssn3", "c3"]]);
        assert_eq!(hank.one("SELECT count(*) FROM pgusher_public.emp"), "5");
    });
}

/// Class 19: the tables themselves, partitions, views made outside, copies.
#[test]
fn no_relation_gives_a_hidden_row_or_a_masked_value() {
    both(|bench, rls| {
        let ana = bench.session("ana");
        for column in ["ssn", "salary", "code"] {
            ana.refused(&format!("SELECT {column} FROM public.emp"), "42501");
            ana.refused(&format!("SELECT id FROM public.emp WHERE {column} IS NOT NULL"), "42501");
        }
        ana.refused("SELECT * FROM public.emp", "42501");
        ana.refused("SELECT emp FROM public.emp", "42501");
        ana.refused("COPY public.emp TO STDOUT", "42501");
        ana.refused("UPDATE public.emp SET salary = 1", "42501");
        ana.refused("INSERT INTO public.emp (id) VALUES (77)", "42501");
        ana.refused("DELETE FROM public.emp", "42501");
        ana.refused("TRUNCATE public.emp", "42501");
        for view in ["emp_names", "emp_names_again", "emp_copy"] {
            ana.refused(&format!("SELECT 1 FROM public.{view}"), "42501");
        }
        if rls {
            assert_eq!(ana.one("SELECT count(*) FROM public.emp"), "5");
            assert_eq!(ana.one("SELECT count(*) FROM public.orders"), "99");
            assert_eq!(ana.one("SELECT count(*) FROM public.orders_low"), "49");
            assert_eq!(ana.one("SELECT count(*) FROM ONLY public.orders_high"), "50");
        } else {
            for table in ["emp", "orders", "orders_low", "orders_high"] {
                ana.refused(&format!("SELECT count(*) FROM public.{table}"), "42501");
            }
        }
        assert_eq!(ana.one("SELECT count(*) FROM pgusher_public.orders"), "99");
        assert_eq!(ana.one("SELECT count(*) FROM pgusher_public.orders_low"), "49");
        assert_eq!(ana.rows("SELECT * FROM pgusher_public.emp_names_again ORDER BY id LIMIT 1"), [["2", "n2", "***"]]);
        // What is not governed is as it was.
        ana.run("INSERT INTO public.free (note) VALUES ('hello')");
        assert_eq!(ana.column("SELECT note FROM public.free_notes"), ["hello"]);
    });
}

/// Class 17: writes through the twin.
#[test]
fn the_write_twin_takes_raw_values_and_shows_masks() {
    both(|bench, rls| {
        let ana = bench.session("ana");
        let outside = if rls { "42501" } else { "44000" };
        assert_eq!(ana.affected(r#"UPDATE pgusher_public."emp$w" SET "salary$raw" = 5 WHERE ssn = 'ssn2'"#), 0);
        assert_eq!(
            ana.rows(r#"UPDATE pgusher_public."emp$w" SET "salary$raw" = 5 WHERE id = 2 RETURNING id, ssn"#),
            [["2", "***"]]
        );
        ana.refused(r#"UPDATE pgusher_public."emp$w" SET "salary$raw" = "salary$raw" + 1 WHERE id = 2"#, "42501");
        ana.refused(r#"SELECT "ssn$raw" FROM pgusher_public."emp$w""#, "42501");
        ana.refused(r#"UPDATE pgusher_public."emp$w" SET name = 'x' WHERE id = 2 RETURNING "ssn$raw""#, "42501");
        ana.run(r#"INSERT INTO pgusher_public."emp$w" (id, name, dept, "salary$raw", "ssn$raw") VALUES (20, 'x', 'eu', 1, 'new')"#);
        ana.refused(r#"INSERT INTO pgusher_public."emp$w" (id, dept, "ssn$raw") VALUES (21, 'us', 'new2')"#, outside);
        ana.refused(r#"UPDATE pgusher_public."emp$w" SET dept = 'us' WHERE id = 20"#, outside);
        assert_eq!(ana.affected(r#"DELETE FROM pgusher_public."emp$w" WHERE id IN (20, 3)"#), 1);
        let twice = ana.refused(r#"INSERT INTO pgusher_public."emp$w" (id, dept) VALUES (3, 'eu')"#, "23505");
        assert_eq!(twice.detail, None);
        ana.refused(
            r#"INSERT INTO pgusher_public."emp$w" (id, dept, "ssn$raw") VALUES (31, 'eu', 'ssn4') ON CONFLICT ("ssn$raw") DO UPDATE SET name = 'y'"#,
            "42501",
        );
        if rls {
            let stolen =
                r#"INSERT INTO pgusher_public."emp$w" (id, dept) VALUES (3, 'eu') ON CONFLICT (id) DO UPDATE SET name = 'stolen'"#;
            ana.refused(stolen, "42501");
            let own = r#"INSERT INTO pgusher_public."emp$w" (id, dept) VALUES (4, 'eu') ON CONFLICT (id) DO UPDATE SET name = 'mine' RETURNING name, ssn"#;
            assert_eq!(ana.rows(own), [["mine", "***"]]);
            assert_eq!(ana.copy_out("COPY public.emp (id, name) TO STDOUT").lines().count(), 5);
            ana.refused("COPY public.emp (id, ssn) TO STDOUT", "42501");
            ana.run("MERGE INTO public.orders t USING (VALUES (2, 9), (3, 9)) v(id, n) ON t.id = v.id WHEN MATCHED THEN UPDATE SET amount = v.n");
            ana.run("BEGIN; DECLARE c CURSOR FOR SELECT id FROM public.orders_low WHERE id = 8 FOR UPDATE; FETCH c; UPDATE public.orders_low SET amount = 0 WHERE CURRENT OF c; COMMIT");
            assert_eq!(ana.copy_out("COPY (SELECT count(*) FROM public.orders TABLESAMPLE BERNOULLI (100)) TO STDOUT"), "99\n");
        }
        let root = bench.superuser();
        assert_eq!(root.one("SELECT salary FROM emp WHERE id = 2"), "5");
        assert_eq!(root.one("SELECT amount FROM orders WHERE id = 3"), "3");
        assert_eq!(root.one("SELECT name FROM emp WHERE id = 3"), "n3");
    });
}

/// Class 16: identity cannot be had by settings, roles, sequences, replay or forgery.
#[test]
fn nobody_becomes_somebody_else() {
    both(|bench, _| {
        let ana = bench.session("ana");
        for attack in [
            "SELECT setval('pgusher.slot', 1)",
            "SELECT nextval('pgusher.slot')",
            "SELECT * FROM pgusher.session",
            "SELECT * FROM pgusher.key",
            "SELECT * FROM pgusher.token",
            "UPDATE pgusher.session SET name = 'hank'",
            "SET ROLE pgusher_owner",
            "SET ROLE pgusher_viewer",
            "SET SESSION AUTHORIZATION pgusher_control",
            "SELECT pgusher.signed('', '')",
            "SELECT pgusher.attempt('SELECT 1')",
            "SELECT pgusher.changed()",
            "SELECT pg_terminate_backend(1)",
            "SELECT lo_create(0)",
            "ALTER TABLE public.emp DISABLE ROW LEVEL SECURITY",
            "CREATE POLICY mine ON public.orders USING (true)",
            "CREATE TABLE public.t ()",
        ] {
            ana.refused(attack, "42501");
        }
        ana.refused(
            r#"SELECT pgusher.attach('{"pid":1,"nonce":"n","until":9999999999,"principal":1,"token":"t"}', 'abc')"#,
            "28000",
        );
        ana.refused(r#"SELECT pgusher.execute('{"pid":1,"nonce":"n","until":9999999999}', 'SELECT 1', false, 'abc')"#, "28000");
        ana.run("SET search_path = pg_temp, public; CREATE TEMP TABLE session (sid bigint, name text); CREATE TEMP TABLE principal (id int)");
        ana.run("SET row_security = on; SELECT set_config('pgusher.user', 'hank', false)");
        assert_eq!(ana.one("SELECT pgusher.current_user()"), "ana");
        assert_eq!(ana.one("SELECT pgusher.is_member('hr')"), "f");
        assert_eq!(ana.one("SELECT pgusher.is_member('users')"), "t");
        ana.run("BEGIN READ ONLY; SELECT count(*) FROM pgusher_public.emp; COMMIT");
        ana.run("DISCARD ALL");
        ana.refused("SELECT count(*) FROM pgusher_public.emp", "55000");
        let nobody = bench.role("pgusher_session");
        nobody.refused("SELECT count(*) FROM pgusher_public.orders", "55000");
    });
}

/// Class 16: a claim is good once, on one backend, and not after it was revoked.
#[test]
fn a_claim_cannot_be_replayed() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let root = bench.superuser();
    let secret = root.query("SELECT secret FROM pgusher.key", &[])[0].get::<_, Vec<u8>>(0);
    let id: i64 = root.one("SELECT id FROM pgusher.principal WHERE name = 'hank'").parse().unwrap();
    let session = bench.role("pgusher_session");
    let pid: i32 = session.one("SELECT pg_backend_pid()").parse().unwrap();
    let (payload, signature) = SigningKey::new(&secret).attach(pid, None, PrincipalId(id), &format!("t{id}"));
    session.query("SELECT pgusher.attach($1, $2)", &[&payload, &signature]);
    let again = format!("SELECT pgusher.attach('{payload}', '{signature}')");
    session.refused(&again, "28000");
    bench.role("pgusher_session").refused(&again, "28000");
    assert_eq!(session.one("SELECT pgusher.current_user()"), "hank");
    bench.govern("UPDATE pgusher.token SET revoked_at = now()");
    session.refused("SELECT pgusher.current_user()", "28000");
    session.refused("SELECT count(*) FROM public.orders", "28000");
}

/// Class 23 and what follows from a change behind our back.
#[test]
fn upstream_is_brought_back_in_line() {
    both(|bench, rls| {
        let root = bench.superuser();
        let before = root.one("SELECT pg_catalog.string_agg(m::text, ',' ORDER BY relation, kind) FROM pgusher.made m");
        bench.govern("SELECT 1");
        assert_eq!(root.one("SELECT pg_catalog.string_agg(m::text, ',' ORDER BY relation, kind) FROM pgusher.made m"), before);
        if rls {
            root.run("DROP POLICY pgusher_filter ON orders; ALTER TABLE orders_low DISABLE ROW LEVEL SECURITY");
        }
        root.run("GRANT SELECT ON emp TO pgusher_session; GRANT SELECT (ssn) ON emp TO pgusher_session");
        root.run("CREATE OR REPLACE VIEW pgusher_public.emp AS SELECT * FROM emp");
        bench.govern("SELECT 1");
        let ana = bench.session("ana");
        assert_eq!(ana.one("SELECT count(*) FROM pgusher_public.orders"), "99");
        ana.refused("SELECT ssn FROM emp", "42501");
        assert_eq!(ana.rows("SELECT ssn FROM pgusher_public.emp LIMIT 1"), [["***"]]);
        // Renamed, widened, and back to ungoverned.
        root.run("ALTER TABLE emp RENAME TO staff; ALTER TABLE staff RENAME COLUMN name TO called; ALTER TABLE staff ADD extra int DEFAULT 7");
        bench.govern("SELECT 1");
        assert_eq!(ana.rows("SELECT called, ssn, extra FROM pgusher_public.staff ORDER BY id LIMIT 1"), [["n2", "***", "7"]]);
        bench.govern("DELETE FROM pgusher.mask; DELETE FROM pgusher.filter");
        assert_eq!(ana.one("SELECT count(*) FROM staff WHERE ssn LIKE 'ssn%'"), "10");
        assert_eq!(ana.one("SELECT count(*) FROM emp_names"), "10");
        assert_eq!(root.one("SELECT count(*) FROM pgusher.made"), "0");
        assert_eq!(root.one("SELECT count(*) FROM pg_policy"), "0");
        assert_eq!(root.one("SELECT count(*) FROM pg_class WHERE relrowsecurity"), "0");
        assert_eq!(root.one("SELECT count(*) FROM pg_views WHERE schemaname = 'pgusher_public'"), "0");
    });
}

/// The application's own roles notice nothing.
#[test]
fn other_logins_are_unaffected() {
    both(|bench, _| {
        let other = bench.role("other");
        assert_eq!(other.one("SELECT count(*) FROM emp WHERE ssn LIKE 'ssn%'"), "10");
        assert_eq!(other.one("SELECT count(*) FROM orders"), "199");
        block(bench.init("postgres").run()).unwrap();
        assert_eq!(other.one("SELECT count(*) FROM orders"), "199");
    });
}

/// An administrator's own reads meet filters and masks as everybody's.
#[test]
fn the_control_login_is_no_way_round() {
    both(|bench, rls| {
        let control = bench.role("pgusher_control");
        bench.attach(&control, "ana");
        control.refused("SELECT ssn FROM public.emp", "42501");
        control.refused("SELECT * FROM pgusher.token", "42501");
        assert_eq!(control.rows("SELECT id, ssn FROM pgusher_public.emp ORDER BY id LIMIT 1"), [["2", "***"]]);
        if rls {
            assert_eq!(control.one("SELECT count(*) FROM public.orders"), "99");
        } else {
            control.refused("SELECT count(*) FROM public.orders", "42501");
        }
        // Only in a transaction of the proxy's own making does it act as the owner.
        control.run("BEGIN; SET LOCAL ROLE pgusher_owner; SELECT * FROM pgusher.token; COMMIT");
        control.refused("SET ROLE postgres", "42501");
    });
}
