//! Settings: an allow-list, nothing that could change who one is or what a statement means.

use crate::harness::{Client, both_mechanisms};

both_mechanisms! {
    /// Without hash joins a look at the catalog takes minutes: what is asked for a session is planned as usual, whatever it set.
    fn a_sessions_planner_settings_do_not_reach_what_is_asked_for_it(shop: shared) {
        let truth = shop.truth();
        let fixed = truth.column(
            "SELECT split_part(c, '=', 1) FROM pg_proc, unnest(proconfig) AS c WHERE oid = 'pgusher.execute(text,text,boolean,text)'::regprocedure",
        );
        let planner = truth.column("SELECT name FROM pg_settings WHERE name ~ '^enable_.*(scan|sort|hashagg|nestloop|join|material|memoize)$' AND name !~ 'wise'");
        assert!(planner.len() >= 12, "{planner:?}");
        for name in planner {
            assert!(fixed.contains(&name), "{name} is the session's in what is asked for it: {fixed:?}");
        }
    }

    fn harmless_settings_are_set_shown_and_reset(shop: shared) {
        let ana = shop.ana();
        ana.run("SET application_name = 'tests'");
        assert_eq!(ana.one("SHOW application_name"), "tests");
        ana.run("SET TIME ZONE 'Europe/Paris'");
        assert_eq!(ana.one("SHOW TimeZone"), "Europe/Paris");
        ana.run("SET DateStyle = 'German'");
        assert_eq!(ana.one("SELECT date '2025-12-31'"), "31.12.2025");
        ana.run("RESET DateStyle");
        assert_eq!(ana.one("SELECT date '2025-12-31'"), "2025-12-31");
        ana.run("SET statement_timeout = '5s'; SET work_mem = '8MB'; SET extra_float_digits = 3");
        ana.run("BEGIN; SET LOCAL TimeZone = 'UTC'");
        assert_eq!(ana.one("SHOW TimeZone"), "UTC");
        ana.run("COMMIT");
        assert_eq!(ana.one("SHOW TimeZone"), "Europe/Paris");
        ana.run("BEGIN; SET TimeZone = 'UTC'; ROLLBACK");
        assert_eq!(ana.one("SHOW TimeZone"), "Europe/Paris");
        ana.run("RESET ALL");
        assert_eq!(ana.one("SHOW application_name"), ana.one("SELECT current_setting('application_name')"));
    }

    fn a_statement_timeout_cancels(shop: shared) {
        let ana = shop.ana();
        ana.run("SET statement_timeout = '50ms'");
        ana.refused("SELECT pg_sleep(10)", "57014");
        ana.run("SET statement_timeout = 0");
        assert_eq!(ana.one("SELECT 1"), "1");
    }

    fn protected_settings_are_refused(shop: shared) {
        for client in [shop.ana(), shop.admin()] {
            for setting in ["role", "session_authorization", "row_security", "standard_conforming_strings", "pgusher.anything", "session_replication_role", "search_path = pgusher, public"] {
                let assignment = if setting.contains('=') { setting.to_string() } else { format!("{setting} = 'off'") };
                let refusal = client.try_rows(&format!("SET {assignment}")).expect_err(setting);
                assert!(["42501", "0A000", "22023", "42704"].contains(&refusal.code.as_str()), "SET {assignment}: {refusal}");
                client.try_rows(&format!("BEGIN; SET LOCAL {assignment}")).expect_err(setting);
                client.run("ROLLBACK");
            }
            client.refused("SET ROLE postgres", "42501");
            client.refused("SET SESSION AUTHORIZATION postgres", "42501");
            assert_eq!(client.one("SHOW standard_conforming_strings"), "on");
        }
    }

    fn the_search_path_is_the_client_s_to_set(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE SCHEMA sales");
        admin.run("CREATE TABLE sales.leads (n integer)");
        admin.run("GRANT SELECT ON SCHEMA sales TO analysts");
        ana.refused("SELECT * FROM leads", "42P01");
        ana.run("SET search_path TO sales, public");
        assert_eq!(ana.one("SELECT count(*) FROM leads"), "0");
        assert_eq!(ana.one("SELECT count(*) > 0 FROM orders"), "t");
        assert_eq!(ana.one("SHOW search_path"), "sales, public");
        ana.run("RESET search_path");
        ana.refused("SELECT * FROM leads", "42P01");
        ana.run("BEGIN; SET LOCAL search_path = sales");
        ana.refused("SELECT count(*) FROM orders", "42P01");
        ana.run("ROLLBACK");
        assert_eq!(ana.one("SELECT count(*) > 0 FROM orders"), "t");
    }

    fn set_config_takes_what_set_takes(shop: shared) {
        let ana = shop.ana();
        assert_eq!(ana.one("SELECT set_config('TimeZone', 'Asia/Tokyo', false)"), "Asia/Tokyo");
        for call in [
            "set_config('role', 'postgres', false)",
            "set_config('session_authorization', 'postgres', true)",
            "set_config('row_security', 'off', false)",
            "set_config('ro' || 'le', 'postgres', false)",
            "pg_catalog.set_config(E'\\x72ole', 'postgres', false)",
            "set_config(setting_name => 'role', new_value => 'postgres', is_local => false)",
        ] {
            let refusal = ana.try_rows(&format!("SELECT {call}")).expect_err(call);
            assert!(["42501", "0A000"].contains(&refusal.code.as_str()), "{call}: {refusal}");
        }
    }

    fn startup_parameters_follow_the_same_list(shop: shared) {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user("ana@example.com").password(shop.token("ana@example.com"));
        config.application_name("from startup").options("-c TimeZone=Asia/Tokyo -c statement_timeout=4s");
        let ana = Client::with(&config).expect("harmless parameters");
        assert_eq!(ana.rows("SELECT current_setting('application_name'), current_setting('TimeZone'), current_setting('statement_timeout')"), [["from startup", "Asia/Tokyo", "4s"]]);
        ana.run("SET TimeZone = 'UTC'; RESET TimeZone");
        assert_eq!(ana.one("SHOW TimeZone"), "Asia/Tokyo", "RESET returns to what startup gave");
        for options in ["-c role=postgres", "-c session_authorization=postgres", "-c row_security=off", "--role=postgres", "-c search_path=pgusher", "-c standard_conforming_strings=off", "-c session_replication_role=replica"] {
            config.options(options);
            match Client::with(&config) {
                Err(_) => {}
                Ok(client) => {
                    assert_eq!(client.one("SELECT current_user"), "ana@example.com", "{options}");
                    assert_eq!(client.column("SELECT DISTINCT region FROM orders"), ["EMEA"], "{options}");
                    assert_eq!(client.one("SHOW standard_conforming_strings"), "on");
                }
            }
        }
    }

    fn a_session_whose_transactions_are_read_only_or_serializable_has_an_identity_all_the_same(shop: shared) {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user("ana@example.com").password(shop.token("ana@example.com"));
        for (options, setting, value) in [
            ("-c default_transaction_read_only=on", "transaction_read_only", "on"),
            ("-c default_transaction_isolation=serializable", "transaction_isolation", "serializable"),
        ] {
            config.options(options);
            let ana = Client::with(&config).expect(options);
            for text in ["SELECT 1", "DISCARD ALL", "DISCARD SEQUENCES"] {
                ana.run(text);
                assert_eq!(ana.one("SELECT current_user"), "ana@example.com", "{options}: {text}");
                assert_eq!(ana.column("SELECT DISTINCT region FROM orders"), ["EMEA"], "{options}: {text}");
                assert_eq!(ana.one(&format!("SHOW {setting}")), value, "{text}");
            }
        }
    }

    fn what_is_ours_is_planned_by_settings_of_ours(shop: fresh) {
        let (admin, truth) = (shop.admin(), shop.truth());
        truth.run("CREATE TABLE public.planned (by text);
            CREATE FUNCTION public.plan() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN
                INSERT INTO public.planned VALUES (current_setting('enable_hashjoin') || current_setting('max_parallel_workers_per_gather')); END $$;
            CREATE EVENT TRIGGER plan ON ddl_command_end EXECUTE FUNCTION public.plan()");
        admin.run("SET enable_hashjoin = off; SET max_parallel_workers_per_gather = 4; SET parallel_setup_cost = 0");
        admin.run("ALTER TABLE products SET ROW FILTER (id > 0)");
        assert_eq!(truth.column("SELECT DISTINCT by FROM planned"), ["on0"]);
        assert_eq!(admin.one("SHOW enable_hashjoin"), "off");
    }

    fn discard_all_keeps_the_identity(shop: shared) {
        let ana = shop.ana();
        ana.run("SET TimeZone = 'Asia/Tokyo'; PREPARE p AS SELECT 1");
        for discard in ["DISCARD ALL", "DISCARD SEQUENCES", "DISCARD TEMP", "DISCARD PLANS"] {
            ana.run(discard);
            assert_eq!(ana.one("SELECT current_user"), "ana@example.com", "{discard}");
            assert_eq!(ana.column("SELECT DISTINCT region FROM orders"), ["EMEA"], "{discard}");
        }
        ana.refused("EXECUTE p", "26000");
        assert_ne!(ana.one("SHOW TimeZone"), "Asia/Tokyo");
    }
}
