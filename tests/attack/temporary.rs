//! Temporary objects are the session's own, and PostgreSQL finds them first: nothing that protects may be found by a bare name.

use super::{all_refused, keeps_secrets};
use crate::harness::both_mechanisms;

both_mechanisms! {
    /// Tables and types named like everything that filters, masks, governed views and identity functions use.
    fn temporary_names_in_front_of_what_protects(shop: fresh) {
        let admin = shop.admin();
        for sql in [
            "CREATE TABLE public.open_regions (r text)", "INSERT INTO public.open_regions VALUES ('EMEA')",
            "CREATE FUNCTION public.is_open(region text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$ BEGIN RETURN EXISTS (SELECT FROM open_regions AS o WHERE o.r = region::text); END $$",
            "ALTER TABLE orders DROP ROW FILTER",
            "ALTER TABLE orders SET ROW FILTER is_open ON (region)",
        ] {
            admin.run(sql);
        }
        let ana = shop.ana();
        ana.run("CREATE TEMP TABLE open_regions AS SELECT r FROM (VALUES ('EMEA'), ('AMER'), ('APAC')) AS v (r)");
        for name in ["session", "principal", "membership", "token", "key", "slot", "made", "filter", "mask", "pg_class", "pg_authid", "employees", "region_desk"] {
            ana.run(&format!("CREATE TEMP TABLE {name} (sid bigint, name text, groups text[], expires_at timestamptz, ssn text)"));
            let _ = ana.try_rows(&format!("INSERT INTO {name} VALUES (1, 'hana@example.com', '{{hr,admins}}', 'infinity', 'x')"));
        }
        for name in ["text", "bool", "numeric", "jsonb", "oid", "regclass", "timestamptz"] {
            let _ = ana.try_rows(&format!("CREATE DOMAIN pg_temp.{name} AS pg_catalog.varchar(1)"));
        }
        keeps_secrets(shop, &ana, &[
            "SELECT * FROM public.employees", "SELECT * FROM public.orders", "SELECT note, region FROM public.orders",
            "SELECT ssn, salary FROM public.employees ORDER BY 1", "SELECT is_member('hr'), current_user",
        ]);
        assert_eq!(ana.column("SELECT DISTINCT region FROM public.orders"), ["EMEA"]);
        assert_eq!(ana.one("SELECT is_member('hr')"), "f");
        assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
    }

    /// A function without pg_temp at the end of its search path would look into temporary tables first.
    fn a_filters_function_does_not_look_into_pg_temp_first(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE public.open_regions (r text)");
        for path in ["public", "pg_temp, public", "''"] {
            admin.run(&format!("CREATE OR REPLACE FUNCTION public.is_open(region text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = {path} AS $$ BEGIN RETURN EXISTS (SELECT FROM open_regions); END $$"));
            admin.refused("ALTER TABLE orders SET ROW FILTER is_open ON (region)", "42P13");
        }
        admin.run("ALTER FUNCTION public.is_open(text) SET search_path = public, pg_temp");
        admin.run("ALTER TABLE orders SET ROW FILTER is_open ON (region)");
        assert_eq!(shop.ana().one("SELECT count(*) FROM public.orders"), "0");
        admin.run("ALTER FUNCTION public.is_open(text) SET search_path = public");
        shop.ana().refused("SELECT count(*) FROM public.orders", "55000");
    }

    /// A temporary view is no way round a grant that was taken, nor round a filter that was set after it was made.
    fn temporary_views_do_not_outlive_what_they_were_made_with(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE TABLE public.plain (region text)");
        admin.run("INSERT INTO public.plain VALUES ('EMEA'), ('AMER')");
        admin.run("GRANT SELECT ON TABLE public.plain TO analysts");
        ana.run("CREATE TEMP VIEW old AS SELECT * FROM plain");
        ana.run("CREATE TEMP VIEW older AS SELECT * FROM old");
        assert_eq!(ana.one("SELECT count(*) FROM older"), "2");
        admin.run("ALTER TABLE public.plain SET ROW FILTER region_visible ON (region)");
        let seen = ana.try_rows("SELECT region FROM older");
        assert!(seen.is_err() || seen == Ok(vec![vec!["EMEA".to_string()]]), "{seen:?}");
        admin.run("REVOKE SELECT ON TABLE public.plain FROM analysts");
        all_refused(&ana, &["SELECT * FROM older", "UPDATE old SET region = 'x'"], &["42501", "55000"]);
    }

    /// Definitions that run with others' rights take nothing from pg_temp.
    fn what_is_defined_for_all_takes_nothing_temporary(shop: fresh) {
        let admin = shop.admin();
        admin.run("GRANT CREATE ON SCHEMA public TO analysts");
        let ana = shop.ana();
        ana.run("CREATE TEMP TABLE shape (x int); CREATE DOMAIN pg_temp.dom AS text CHECK (VALUE <> '')");
        all_refused(&ana, &[
            "CREATE TABLE public.t (a dom)", "CREATE TABLE public.t (a pg_temp.dom)", "CREATE TABLE public.t (a shape)", "CREATE TABLE public.t (a dom[])",
            "CREATE TABLE public.t (a text CHECK (a::dom <> ''))", "CREATE VIEW public.v AS SELECT 'a'::pg_temp.dom AS a",
            "CREATE VIEW public.v AS SELECT * FROM shape", "CREATE TABLE public.t (LIKE shape)", "CREATE TYPE public.c AS (a dom)",
        ], &["0A000", "42501"]);
    }
}
