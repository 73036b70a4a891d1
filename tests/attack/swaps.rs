//! What a definition meant when it was looked at must be what it means when it runs: names that come to mean something else, views that
//! are replaced under others, grants that are gone, and what copies of tables bring along.

use super::all_refused;
use crate::harness::{Shop, both_mechanisms};

/// A schema for Ana to make things in, a table that is nobody's but administrators', and a function that runs any text.
fn laboratory(shop: &Shop) {
    let admin = shop.admin();
    for sql in [
        "CREATE SCHEMA lab",
        "GRANT CREATE, CREATE_NAMED_FUNCTION ON SCHEMA lab TO \"ana@example.com\"",
        "CREATE SCHEMA other",
        "GRANT CREATE ON SCHEMA other TO \"ana@example.com\"",
        "CREATE TABLE public.plans (id integer, plan text)",
        "INSERT INTO public.plans VALUES (1, 'topsecret')",
        "CREATE FUNCTION public.dyn(q text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END $$",
    ] {
        admin.run(sql);
    }
}

both_mechanisms! {
    /// What is materialized is filled with the rights of the role that owns views: a view below it that calls functions by now is refused.
    fn a_materialized_view_is_not_filled_through_functions_that_came_later(shop: fresh) {
        laboratory(shop);
        let (ana, admin) = (shop.ana(), shop.admin());
        admin.run("CREATE FUNCTION public.raw_ssn(i integer) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM public.employees WHERE id = i'");
        admin.run("GRANT EXECUTE ON FUNCTION public.raw_ssn TO \"ana@example.com\"");
        ana.run("CREATE VIEW lab.v AS SELECT code, upper('x') AS w FROM public.regions");
        ana.run("CREATE MATERIALIZED VIEW lab.m AS SELECT * FROM lab.v");
        ana.run("REFRESH MATERIALIZED VIEW lab.m");
        ana.run("CREATE OR REPLACE VIEW lab.v AS SELECT code, public.raw_ssn(6) AS w FROM public.regions");
        ana.refused("REFRESH MATERIALIZED VIEW lab.m", "0A000");
        admin.refused("REFRESH MATERIALIZED VIEW lab.m", "0A000");
        assert_eq!(ana.one("SELECT DISTINCT w FROM lab.m"), "X");
        // A view of an administrator's may call what it likes.
        admin.run("CREATE VIEW public.shouting AS SELECT length(public.dyn('SELECT 1')) AS n");
        admin.run("CREATE MATERIALIZED VIEW public.kept AS SELECT n FROM public.shouting");
        admin.run("REFRESH MATERIALIZED VIEW public.kept");
    }

    /// The names in a body mean what they meant when the function was made, whatever its callers have on the search path.
    fn a_body_calls_no_function_that_its_caller_puts_before_another(shop: fresh) {
        laboratory(shop);
        let ana = shop.ana();
        ana.run("CREATE FUNCTION lab.dyn(q text) RETURNS text LANGUAGE sql AS 'SELECT q'");
        ana.run("SET search_path = lab");
        ana.run("CREATE FUNCTION lab.outer_one() RETURNS text LANGUAGE sql AS $$ SELECT dyn('SELECT plan FROM public.plans') $$");
        ana.run("CREATE FUNCTION lab.outer_two(a text) RETURNS text AS 'SELECT a || dyn(a) -- the end' LANGUAGE sql IMMUTABLE");
        ana.run("SET search_path = public");
        assert_eq!(ana.one("SELECT lab.outer_one()"), "SELECT plan FROM public.plans");
        assert_eq!(ana.one("SELECT lab.outer_two('x')"), "xx");
        ana.refused("SELECT public.dyn('SELECT 1')", "42501");
    }

    /// Another table of the name is another table.
    fn a_body_reads_no_table_that_took_the_name_of_its_own(shop: fresh) {
        laboratory(shop);
        let (ana, bob, admin) = (shop.ana(), shop.bob(), shop.admin());
        admin.run("GRANT CREATE ON SCHEMA lab TO \"bob@example.com\"");
        ana.run("CREATE TABLE lab.swap (v text)");
        ana.run("CREATE FUNCTION lab.fswap() RETURNS SETOF text LANGUAGE sql AS 'SELECT v FROM lab.swap'");
        ana.refused("DROP TABLE lab.swap", "2BP01");
        ana.run("ALTER TABLE lab.swap RENAME TO gone");
        bob.run("CREATE TABLE lab.swap (v text)");
        bob.run("INSERT INTO lab.swap VALUES ('private')");
        assert!(ana.rows("SELECT lab.fswap()").is_empty());
        ana.refused("SELECT v FROM lab.swap", "42501");
        ana.run("DROP TABLE lab.gone CASCADE");
        ana.refused("SELECT lab.fswap()", "42883");
    }

    /// Without EXECUTE, a copy of a table is no way to call what the table calls.
    fn a_copy_of_a_table_brings_no_functions_along(shop: fresh) {
        laboratory(shop);
        let (ana, admin) = (shop.ana(), shop.admin());
        for sql in [
            "CREATE FUNCTION public.shout(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(x)'",
            "CREATE DOMAIN public.checked AS text CHECK (public.shout(value) <> 'X')",
            "CREATE TABLE public.generated (x text, y text GENERATED ALWAYS AS (public.shout(x)) STORED)",
            "CREATE TABLE public.defaulted (x text DEFAULT public.shout('q'))",
            "CREATE TABLE public.constrained (x text CHECK (public.shout(x) <> 'X'))",
            "CREATE TABLE public.indexed (x text)",
            "CREATE TABLE public.domained (x public.checked)",
            "CREATE TABLE public.plain (x text DEFAULT lower('Q') CHECK (x <> 'z'))",
        ] {
            admin.run(sql);
        }
        shop.truth().run("CREATE INDEX ON public.indexed (public.shout(x))");
        admin.run("CREATE TABLE public.counted (id serial)");
        for table in ["generated", "defaulted", "constrained", "indexed", "domained", "plain", "counted"] {
            admin.run(&format!("GRANT SELECT ON TABLE public.{table} TO \"ana@example.com\""));
        }
        for table in ["generated", "defaulted", "constrained", "indexed", "domained"] {
            ana.refused(&format!("CREATE TABLE lab.copy (LIKE public.{table} INCLUDING ALL)"), "0A000");
        }
        ana.refused("CREATE TABLE lab.copy (LIKE public.counted INCLUDING DEFAULTS)", "42501");
        ana.run("CREATE TABLE lab.copy (LIKE public.plain INCLUDING ALL)");
        ana.run("CREATE TABLE lab.names_only (LIKE public.defaulted)");
        admin.run("CREATE TABLE public.copy (LIKE public.generated INCLUDING ALL)");
    }

    /// The type of a table's rows names its columns.
    fn the_rows_of_a_table_without_a_grant_are_no_type(shop: fresh) {
        laboratory(shop);
        let ana = shop.ana();
        all_refused(&ana, &[
            "SELECT * FROM json_populate_record(NULL::public.plans, '{}')",
            "SELECT * FROM jsonb_populate_recordset(NULL::plans, '[]')",
            "SELECT (NULL::public.plans).*",
            "SELECT NULL::public.plans[]",
            "SELECT NULL::public._plans",
            "CREATE TYPE lab.ct AS (a public.plans)",
            "CREATE TABLE lab.ct (a public.plans)",
            "CREATE FUNCTION lab.f(a public.plans) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION lab.f(a public.plans.plan%TYPE) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        ], &["42501"]);
        assert_eq!(ana.rows("SELECT (json_populate_record(NULL::regions, '{\"code\": \"X\"}')).code"), [["X"]]);
    }

    /// A filter or mask that is not an administrator's reads with the grants of whoever set it.
    fn a_mask_reads_nothing_that_its_author_may_not_read_any_more(shop: fresh) {
        laboratory(shop);
        let (ana, admin) = (shop.ana(), shop.admin());
        admin.run("GRANT SELECT ON TABLE public.plans TO \"ana@example.com\"");
        for (table, policy) in [
            ("masked", "ALTER TABLE lab.masked ALTER COLUMN v SET MASK ((SELECT string_agg(p.plan, ',') FROM public.plans AS p))"),
            ("filtered", "ALTER TABLE lab.filtered SET ROW FILTER (EXISTS (SELECT FROM public.plans AS p WHERE p.plan LIKE 't%'))"),
        ] {
            ana.run(&format!("CREATE TABLE lab.{table} (v text)"));
            ana.run(&format!("INSERT INTO lab.{table} VALUES ('x')"));
            ana.run(policy);
            assert_eq!(ana.rows(&format!("SELECT v FROM lab.{table}")).len(), 1);
        }
        admin.run("REVOKE SELECT ON TABLE public.plans FROM \"ana@example.com\"");
        ana.refused("SELECT v FROM lab.masked", "55000");
        ana.refused("SELECT v FROM lab.filtered", "55000");
        admin.run("GRANT SELECT ON TABLE public.plans TO \"ana@example.com\"");
        assert_eq!(ana.one("SELECT v FROM lab.masked"), "topsecret");
        // Nor does it keep the table that it reads from being governed.
        admin.run("ALTER TABLE public.plans SET ROW FILTER (id = 1)");
        ana.refused("SELECT v FROM lab.masked", "55000");
        admin.run("ALTER TABLE public.plans DROP ROW FILTER");
        assert_eq!(ana.one("SELECT v FROM lab.masked"), "topsecret");
    }

    /// MODIFY is not SELECT: errors of definitions tell nobody values that they may not read.
    fn a_definition_over_rows_asks_for_reading_them(shop: fresh) {
        laboratory(shop);
        let (ana, admin) = (shop.ana(), shop.admin());
        admin.run("INSERT INTO public.plans VALUES (1, 'topsecret')");
        admin.run("GRANT MODIFY ON TABLE public.plans TO \"ana@example.com\"");
        ana.run("CREATE TABLE lab.ref (v text PRIMARY KEY)");
        ana.run("CREATE DOMAIN lab.guess AS text CHECK (value <> 'topsecret')");
        all_refused(&ana, &[
            "CREATE UNIQUE INDEX ON public.plans (plan)",
            "CREATE INDEX ON public.plans (plan)",
            "ALTER TABLE public.plans ADD UNIQUE (plan)",
            "ALTER TABLE public.plans ADD PRIMARY KEY (plan)",
            "ALTER TABLE public.plans ADD FOREIGN KEY (plan) REFERENCES lab.ref",
            "ALTER TABLE public.plans ALTER plan TYPE lab.guess",
            "ALTER TABLE public.plans ALTER plan SET NOT NULL",
            "ALTER TABLE public.plans RENAME TO plans_of_others",
        ], &["42501"]);
        ana.run("ALTER TABLE public.plans ADD COLUMN extra integer");
    }

    /// Whoever reads a table would run the functions of its filter and masks.
    fn a_filter_runs_no_functions_of_those_who_are_no_administrators(shop: fresh) {
        laboratory(shop);
        let (ana, hana, admin) = (shop.ana(), shop.hana(), shop.admin());
        ana.run("CREATE TABLE lab.sink (who text, what text)");
        ana.run("CREATE TABLE lab.bait (v text)");
        ana.run("INSERT INTO lab.bait VALUES ('x')");
        ana.run("GRANT SELECT ON TABLE lab.bait TO users");
        ana.run(
            "CREATE FUNCTION lab.trojan(v text) RETURNS boolean LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp \
             AS $$ INSERT INTO lab.sink SELECT current_user, ssn FROM public.employees; SELECT true $$",
        );
        ana.refused("ALTER TABLE lab.bait SET ROW FILTER lab.trojan ON (v)", "42501");
        ana.refused("ALTER TABLE lab.bait SET ROW FILTER (lab.trojan(v))", "42501");
        ana.refused("ALTER TABLE lab.bait ALTER COLUMN v SET MASK (CASE WHEN lab.trojan(v) THEN v END)", "42501");
        // A function of an administrator's is called.
        admin.run("CREATE FUNCTION public.tame(v text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN v <> 'y'; END $$");
        admin.run("GRANT EXECUTE ON FUNCTION public.tame TO \"ana@example.com\"");
        ana.run("ALTER TABLE lab.bait SET ROW FILTER public.tame ON (v)");
        assert_eq!(hana.rows("SELECT v FROM lab.bait"), [["x"]]);
        // A policy that somebody else sets beside an administrator's takes its function for its own.
        ana.run("ALTER TABLE lab.bait DROP ROW FILTER");
        admin.run("ALTER TABLE lab.bait SET ROW FILTER lab.trojan ON (v)");
        ana.run("ALTER TABLE lab.bait ALTER COLUMN v SET MASK ('y')");
        hana.refused("SELECT v FROM lab.bait", "55000");
        assert!(admin.rows("SELECT * FROM lab.sink").is_empty());
    }

    /// Everybody's calls of a built-in function would ask for a grant on one of its name.
    fn functions_of_others_take_no_name_of_a_built_in(shop: fresh) {
        laboratory(shop);
        let (ana, admin) = (shop.ana(), shop.admin());
        ana.refused("CREATE FUNCTION lab.upper(x varchar) RETURNS text LANGUAGE sql AS 'SELECT x'", "0A000");
        ana.run("CREATE FUNCTION lab.shouted(x varchar) RETURNS text LANGUAGE sql AS 'SELECT x'");
        ana.refused("ALTER FUNCTION lab.shouted RENAME TO upper", "0A000");
        admin.run("CREATE FUNCTION lab.upper(x varchar) RETURNS text LANGUAGE sql AS 'SELECT x'");
    }

    /// Whoever waits for a lock finds what has the name then.
    fn a_schema_with_the_tables_of_others_is_not_renamed(shop: fresh) {
        laboratory(shop);
        let (ana, admin) = (shop.ana(), shop.admin());
        admin.run("GRANT CREATE ON CATALOG TO \"ana@example.com\"");
        ana.run("CREATE SCHEMA mine");
        ana.run("CREATE TABLE mine.own (n integer)");
        ana.run("ALTER SCHEMA mine RENAME TO still_mine");
        admin.run("CREATE TABLE still_mine.theirs (n integer)");
        ana.refused("ALTER SCHEMA still_mine RENAME TO mine", "42501");
    }

    /// Revocation waits for nobody's open transaction.
    fn an_open_transaction_holds_up_no_administrator(shop: fresh) {
        laboratory(shop);
        let (ana, bob, admin) = (shop.ana(), shop.bob(), shop.admin());
        ana.run("CREATE TABLE lab.own (n integer)");
        ana.run("BEGIN");
        ana.run("GRANT SELECT ON TABLE lab.own TO \"bob@example.com\"");
        admin.run("REVOKE CREATE ON SCHEMA lab FROM \"ana@example.com\"");
        assert!(ana.try_rows("SELECT 1").is_err());
        bob.refused("SELECT * FROM lab.own", "42501");
        bob.run("BEGIN");
        bob.run("DISCARD SEQUENCES");
        admin.run("ALTER USER \"bob@example.com\" DISABLE");
        assert!(bob.try_rows("SELECT count(*) FROM regions").is_err());
        // An administrator's transaction is left alone.
        let other = shop.admin();
        other.run("BEGIN");
        other.run("GRANT SELECT ON TABLE lab.own TO \"hana@example.com\"");
        admin.run("SET lock_timeout = '1s'");
        admin.run("SET statement_timeout = '1s'");
        admin.refused("REVOKE SELECT ON TABLE lab.own FROM \"hana@example.com\"", "57014");
        other.run("COMMIT");
    }

    fn what_is_on_a_table_is_explained_to_those_who_may_use_it(shop: fresh) {
        let (ana, ivan) = (shop.ana(), shop.ivan());
        let text = |rows: Vec<Vec<String>>| rows.concat().join(" ");
        let told = text(ivan.rows("EXPLAIN ACCESS SELECT * FROM employees"));
        assert!(told.contains("denied") && !told.contains("MASK") && !told.contains("ROW FILTER"), "{told}");
        assert!(text(ana.rows("EXPLAIN ACCESS SELECT * FROM employees")).contains("MASK"));
    }
}
