//! ANONYMOUS FUNCTION: whoever holds it runs any SQL as the restricted role. Filters, masks and identity hold there too, and nothing that
//! such code sets makes analysis and upstream understand a later statement differently.

use super::{all_refused, everything, keeps_secrets};
use crate::harness::{Mechanism, Shop, both_mechanisms};

fn holder(shop: &Shop) -> crate::harness::Client {
    shop.admin().run("GRANT EXECUTE ON ANONYMOUS FUNCTION TO analysts");
    shop.ana()
}

fn block(body: &str) -> String {
    format!("DO $do$ DECLARE r record; t text; BEGIN {body} END $do$")
}

both_mechanisms! {
    fn anonymous_code_needs_the_grant(shop: fresh) {
        let ana = shop.ana();
        let statements = [
            "DO $$ BEGIN END $$", "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE PROCEDURE pg_temp.p() LANGUAGE plpgsql AS 'BEGIN END'",
        ];
        all_refused(&ana, &statements, &["42501"]);
        let refusal = ana.refused(statements[0], "42501");
        assert!(refusal.to_string().contains("ANONYMOUS FUNCTION"), "{refusal}");
        let ana = holder(shop);
        for statement in statements {
            ana.run(statement);
        }
        assert_eq!(ana.one("SELECT pg_temp.f()"), "1");
        ana.run("CALL pg_temp.p()");
        shop.admin().run("REVOKE EXECUTE ON ANONYMOUS FUNCTION FROM analysts");
        all_refused(&ana, &["SELECT pg_temp.f()", "CALL pg_temp.p()", "DO $$ BEGIN END $$"], &["42501"]);
        shop.ivan().refused("DO $$ BEGIN END $$", "42501");
    }

    /// What code that analysis does not see can read.
    fn filters_and_masks_hold_inside(shop: fresh) {
        let ana = holder(shop);
        let raise = |query: &str| block(&format!("FOR r IN {query} LOOP RAISE NOTICE '%', r; END LOOP;"));
        let attacks: Vec<String> = [
            "SELECT * FROM public.orders", "SELECT * FROM public.employees", "SELECT ssn FROM public.employees", "SELECT * FROM employees",
            "SELECT * FROM pgusher_public.employees", "SELECT * FROM pgusher_public.\"employees$w\"", "TABLE orders",
            "SELECT * FROM pgusher.key", "SELECT * FROM pgusher.token", "SELECT * FROM pgusher.session", "SELECT * FROM pgusher.filter",
            "SELECT rolpassword FROM pg_catalog.pg_authid", "SELECT * FROM pg_catalog.pg_stats WHERE tablename = 'employees'",
            "SELECT query_to_xml('SELECT * FROM public.employees', true, true, '')",
            "SELECT pgusher.execute('{}', 'SELECT 1', true, '')", "SELECT pgusher.attach('{}', '')",
            "SELECT pgusher.maintain('{}', 'SELECT 1', '')", "SELECT pgusher.define('{}', 'SELECT 1', '')",
            "SELECT pgusher.attempt('SELECT 1', '1s')", "SELECT pg_catalog.setval('pgusher.slot', 1)",
            "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        ].into_iter().map(raise).collect();
        keeps_secrets(shop, &ana, &attacks.iter().map(String::as_str).collect::<Vec<_>>());
        for attack in &attacks[7..11] {
            ana.refused(attack, "42501");
        }
        let ana = shop.ana();
        let readable = if shop.mechanism == Mechanism::Rls { "public.orders" } else { "pgusher_public.orders" };
        let answer = everything(&ana, &raise(&format!("SELECT region FROM {readable}")));
        assert!(answer.contains("EMEA") && !answer.contains("AMER"), "{answer}");
        assert!(everything(&ana, &raise("SELECT pgusher.current_user() AS u")).contains("ana@example.com"));
    }

    /// Nobody becomes anybody else.
    fn identity_and_role_stay(shop: fresh) {
        let ana = holder(shop);
        for body in [
            "SET ROLE pgusher_owner;", "SET ROLE postgres;", "SET SESSION AUTHORIZATION postgres;", "SET SESSION AUTHORIZATION pgusher_control;",
            "PERFORM set_config('role', 'pgusher_viewer', false);", "RESET ROLE;", "RESET SESSION AUTHORIZATION;",
            "EXECUTE 'DISCARD SEQUENCES';", "EXECUTE 'DISCARD TEMP';", "EXECUTE 'DISCARD ALL';",
            "CREATE TEMP TABLE session AS SELECT 1 AS sid; CREATE TEMP SEQUENCE slot;", "EXECUTE 'ALTER ROLE pgusher_session SUPERUSER';",
            "EXECUTE 'GRANT pgusher_owner TO pgusher_session';", "ALTER TABLE public.orders DISABLE ROW LEVEL SECURITY;",
            "DROP POLICY pgusher_filter ON public.orders;", "GRANT SELECT ON public.employees TO PUBLIC;", "CREATE TABLE public.mine (n int);",
            "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        ] {
            let session = shop.ana();
            let _ = session.try_rows(&block(body));
            let seen = session.try_rows("SELECT DISTINCT region FROM public.orders");
            assert!(seen == Ok(vec![vec!["EMEA".into()]]) || seen.as_ref().is_err_and(|r| ["28000", "55000"].contains(&r.code.as_str())), "after {body}: {seen:?}");
            let _ = session.try_rows("DISCARD ALL");
            assert_eq!(session.column("SELECT DISTINCT region FROM public.orders"), ["EMEA"], "after {body}");
            assert_eq!(session.one("SELECT current_user"), "ana@example.com", "after {body}");
        }
        drop(ana);
    }

    /// Settings that change what a text means are put back before the next statement is understood.
    fn settings_do_not_poison_what_comes_later(shop: fresh) {
        let ana = holder(shop);
        shop.truth().run("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.orders (region text, note text); INSERT INTO elsewhere.orders VALUES ('elsewhere', 'AMER-note-0'); GRANT USAGE ON SCHEMA elsewhere TO pgusher_session; GRANT SELECT ON elsewhere.orders TO pgusher_session");
        let smuggled = r"SELECT 'a\'' || (SELECT note FROM public.customers LIMIT 1) --' AS a";
        let plain = ana.try_rows(smuggled);
        for (setting, value) in [
            ("standard_conforming_strings", "off"), ("backslash_quote", "on"), ("row_security", "off"), ("client_encoding", "SJIS"),
            ("transform_null_equals", "on"), ("search_path", "elsewhere"), ("search_path", "pgusher_public, elsewhere"), ("search_path", "pg_temp"),
        ] {
            for set in [
                block(&format!("PERFORM set_config('{setting}', '{value}', false);")),
                block(&format!("SET {setting} = {value};")),
                format!("BEGIN; {}; COMMIT", block(&format!("PERFORM set_config('{setting}', '{value}', false);"))),
                format!("BEGIN; SAVEPOINT s; {}; ROLLBACK TO s; COMMIT", block(&format!("PERFORM set_config('{setting}', '{value}', false);"))),
            ] {
                let session = shop.ana();
                let _ = session.try_rows(&set);
                assert_eq!(session.try_rows(smuggled), plain, "after {set}");
                if setting != "search_path" {
                    assert_ne!(session.one(&format!("SHOW {setting}")), value, "after {set}");
                }
                keeps_secrets(shop, &session, &["SELECT note FROM orders", "SELECT * FROM employees", "SELECT note FROM public.orders"]);
                assert_eq!(session.column("SELECT DISTINCT region FROM public.orders"), ["EMEA"], "after {set}");
            }
        }
        // In one Query, and by functions that a trigger, a default or a view calls.
        ana.run("CREATE FUNCTION pg_temp.poison() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); RETURN 1; END $$");
        ana.run("CREATE FUNCTION pg_temp.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); RETURN NEW; END $$");
        ana.run("CREATE TEMP TABLE armed (n int DEFAULT pg_temp.poison())");
        ana.run("CREATE TRIGGER fire BEFORE UPDATE ON armed FOR EACH ROW EXECUTE FUNCTION pg_temp.fire()");
        ana.run("CREATE TEMP VIEW shown AS SELECT pg_temp.poison() AS n");
        for poison in ["SELECT pg_temp.poison()", "INSERT INTO armed DEFAULT VALUES", "UPDATE armed SET n = 2", "SELECT * FROM shown", "TABLE shown"] {
            ana.run(poison);
            assert_eq!(ana.try_rows(smuggled), plain, "after {poison}");
            assert_eq!(ana.one("SHOW standard_conforming_strings"), "on", "after {poison}");
            let together = ana.try_rows(&format!("{poison}; {smuggled}"));
            assert_eq!(together.is_err(), plain.is_err(), "{poison} in one Query: {together:?}");
        }
    }

    /// A procedure that commits before it fails leaves nothing behind that is not looked at.
    fn a_failed_procedure_does_not_poison_either(shop: fresh) {
        let ana = holder(shop);
        ana.run("CREATE PROCEDURE pg_temp.p() LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); COMMIT; RAISE 'failed'; END $$");
        ana.refused("CALL pg_temp.p()", "P0001");
        assert_eq!(ana.one("SHOW standard_conforming_strings"), "on");
    }
}
