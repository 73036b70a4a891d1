//! Class 10, name resolution: search_path, temporary tables, operators and functions that shadow what is meant.

use super::{all_refused, keeps_secrets};
use crate::harness::{both_mechanisms, until};

both_mechanisms! {
    /// A search path that names our schemas, or PostgreSQL's own last, changes nothing about what is read.
    fn search_path_games_lead_nowhere(shop: shared) {
        let ana = shop.ana();
        for path in ["pgusher", "pgusher, public", "pgusher_public, public", "\"pgusher\"", "public, pg_temp, pgusher_public", "pg_catalog, pgusher"] {
            if ana.try_rows(&format!("SET search_path TO {path}")).is_ok() {
                keeps_secrets(shop, &ana, &["SELECT * FROM employees", "SELECT * FROM public.employees", "SELECT * FROM session", "SELECT * FROM key", "SELECT * FROM token"]);
                assert!(ana.try_rows("SELECT key FROM key").is_err() && ana.try_rows("SELECT * FROM token").is_err());
            }
            ana.run("RESET search_path");
        }
        ana.run("SET search_path TO public, pg_catalog");
        keeps_secrets(shop, &ana, &["SELECT current_user, count(*) FROM orders", "SELECT note FROM orders"]);
        ana.run("SET search_path TO ''");
        ana.refused("SELECT * FROM orders", "42P01");
        keeps_secrets(shop, &ana, &["SELECT note FROM public.orders"]);
        ana.run("RESET search_path");
    }

    /// Our own schemas are not for clients, whatever they call them.
    fn our_own_objects_are_out_of_reach(shop: shared) {
        let ana = shop.ana();
        all_refused(&ana, &[
            "SELECT * FROM pgusher.key",
            "SELECT * FROM pgusher.token",
            "SELECT * FROM pgusher.session",
            "SELECT * FROM pgusher.principal",
            "SELECT * FROM pgusher.grants",
            "SELECT * FROM \"pgusher\".\"key\"",
            "SELECT * FROM U&\"p\\0067usher\".key",
            "SELECT last_value FROM pgusher.slot",
            "SELECT nextval('pgusher.slot')",
            "SELECT setval('pgusher.slot', 1)",
            "SELECT currval('pgusher.slot')",
            "SELECT pgusher.attach('{}', 'x')",
            "SELECT pgusher.execute('{}', 'SELECT 1', false, 'x')",
            "SELECT * FROM pgusher.execute('{}', 'SELECT 1', true, 'x')",
            "INSERT INTO pgusher.grants VALUES (1)",
            "UPDATE pgusher.version SET policy = 0",
            "DELETE FROM pgusher.token",
            "COPY pgusher.token TO STDOUT",
            "TABLE pgusher.token",
        ], &["42501", "42P01", "3F000", "0A000", "42883", "42703"]);
    }

    /// The raw columns of the write twin are not readable, by whatever name.
    fn the_write_twin_gives_nothing_away(shop: shared) {
        keeps_secrets(shop, &shop.ana(), &[
            "SELECT * FROM pgusher_public.employees",
            "SELECT * FROM pgusher_public.\"employees$w\"",
            "SELECT \"ssn$raw\" FROM pgusher_public.\"employees$w\"",
            "SELECT \"ssn$raw\" FROM employees",
            "SELECT employees.\"ssn$raw\" FROM employees",
        ]);
    }

    /// A temporary table named like a governed one: whatever is decided, the governed one's rows do not come out.
    fn temporary_tables_named_like_governed_ones(shop: fresh) {
        let ana = shop.ana();
        let made = ana.try_rows("CREATE TEMP TABLE employees (id integer, ssn text, salary integer)");
        if made.is_ok() {
            assert_eq!(ana.one("SELECT count(*) FROM employees"), "0");
        }
        keeps_secrets(shop, &ana, &[
            "SELECT * FROM employees",
            "SELECT * FROM public.employees",
            "SELECT * FROM pg_temp.employees",
            "BEGIN; CREATE TEMP TABLE orders (LIKE public.orders); INSERT INTO orders SELECT * FROM public.orders; SELECT note FROM orders",
            "BEGIN; CREATE TEMP VIEW employees AS SELECT * FROM public.employees; SELECT * FROM employees",
            "BEGIN; SELECT * INTO TEMP regions FROM public.employees; SELECT * FROM regions",
        ]);
        let admin = shop.admin();
        if admin.try_rows("CREATE TEMP TABLE region_desk (principal text, region text)").is_ok() {
            let _ = admin.try_rows("INSERT INTO pg_temp.region_desk VALUES ('admin@example.com', 'AMER')");
        }
        // The filter on invoices reads public.region_desk, not what stands in front of it.
        assert_eq!(shop.ana().column("SELECT DISTINCT region FROM invoices"), ["EMEA"]);
    }

    /// Functions and operators in front of those that filters and masks use: definitions are bound to what they meant.
    fn shadowing_functions_do_not_reach_filters(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE SCHEMA evil");
        admin.run("CREATE FUNCTION evil.is_member(text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$");
        admin.run("CREATE FUNCTION evil.left(text, integer) RETURNS text LANGUAGE sql AS $$ SELECT $1 $$");
        admin.run("CREATE FUNCTION evil.\"right\"(text, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'all of it: ' || $1 $$");
        admin.run("CREATE FUNCTION evil.region_visible(text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$");
        admin.run("CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$");
        shop.truth().run("CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq)");
        admin.run("GRANT EXECUTE ON SCHEMA evil TO users");
        let ana = shop.ana();
        ana.run("SET search_path TO evil, public, pg_catalog");
        keeps_secrets(shop, &ana, &["SELECT ssn, email, salary FROM employees", "SELECT note FROM orders", "SELECT count(*), is_member('hr') FROM orders"]);
        assert_eq!(ana.one("SELECT count(*) FROM orders o WHERE o.region OPERATOR(pg_catalog.<>) 'EMEA'"), "0");
    }

    /// Functions that filters and masks call find what they read by a search_path of their own, or are not taken.
    fn what_a_called_function_reads_is_not_for_its_reader_to_choose(shop: fresh) {
        let admin = shop.admin();
        for sql in [
            "CREATE TABLE public.open_regions (r text)", "INSERT INTO public.open_regions VALUES ('EMEA')",
            "CREATE SCHEMA staging", "CREATE TABLE staging.open_regions (r text)", "INSERT INTO staging.open_regions VALUES ('EMEA'), ('AMER')",
            "CREATE FUNCTION public.is_open(region text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM open_regions WHERE r = region); END $$",
        ] {
            admin.run(sql);
        }
        shop.truth().run("SET ROLE shop_owner; CREATE FUNCTION public.is_open_too(region text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT EXISTS (SELECT FROM open_regions WHERE r = region) $$");
        let set = "ALTER TABLE orders SET ROW FILTER is_open ON (region)";
        admin.refused(set, "42P13");
        admin.refused("ALTER TABLE orders SET ROW FILTER (public.is_open(region))", "42P13");
        until("the new function to be found", || admin.try_rows("ALTER TABLE orders SET ROW FILTER is_open_too ON (region)").err().filter(|r| r.code == "42P13"));
        admin.run("ALTER FUNCTION public.is_open(text) SET search_path = public, pg_temp");
        admin.run(set);
        let ana = shop.ana();
        let regions = "SELECT DISTINCT region FROM public.orders";
        for path in ["public", "staging", "staging, pg_catalog, public"] {
            ana.run(&format!("SET search_path TO {path}"));
            assert_eq!(ana.column(regions), ["EMEA"], "{path}");
        }
        // Undone later, the table closes.
        admin.run("ALTER FUNCTION public.is_open(text) RESET search_path");
        ana.refused(regions, "55000");
    }

    /// The same where an expression calls the function: when it loses its search path later, the table closes.
    fn a_function_in_a_filters_expression_keeps_its_search_path(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE public.open_regions (region text)");
        admin.run("INSERT INTO public.open_regions VALUES ('EMEA')");
        admin.run("CREATE TABLE public.offers (region text)");
        admin.run("INSERT INTO public.offers VALUES ('EMEA'), ('AMER')");
        admin.run("GRANT SELECT ON TABLE public.offers TO analysts");
        let body = "AS $$ BEGIN RETURN EXISTS (SELECT 1 FROM open_regions a WHERE a.region = $1); END $$";
        admin.run(&format!("CREATE FUNCTION public.offered(text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = public, pg_temp {body}"));
        admin.run("ALTER TABLE public.offers SET ROW FILTER (offered(region))");
        let ana = shop.ana();
        assert_eq!(ana.column("SELECT region FROM public.offers"), ["EMEA"]);
        admin.run("ALTER FUNCTION public.offered(text) RESET search_path");
        ana.refused("SELECT region FROM public.offers", "55000");
    }
}
