//! Class 9, calls that do not look like calls: operators, casts, aggregates and constructors that a user function stands behind.

use super::all_refused;
use crate::harness::{both_mechanisms, until};

both_mechanisms! {
    /// An operator runs a function: EXECUTE on it is needed wherever the operator may be meant.
    fn operators_need_execute_on_their_functions(shop: fresh) {
        let (truth, admin, ana) = (shop.truth(), shop.admin(), shop.ana());
        truth.run("CREATE SCHEMA aside AUTHORIZATION shop_owner");
        truth.run(
            "SET ROLE shop_owner; CREATE TYPE public.pair AS (a int); \
             CREATE FUNCTION public.leak(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$; \
             CREATE OPERATOR public.<<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = public.leak); \
             CREATE OPERATOR public.~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = public.leak); \
             CREATE FUNCTION public.same(public.pair, public.pair) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$; \
             CREATE OPERATOR aside.= (LEFTARG = public.pair, RIGHTARG = public.pair, FUNCTION = public.same); RESET ROLE",
        );
        until("the operators to be found", || admin.try_rows("GRANT EXECUTE ON FUNCTION leak TO hr").ok());
        all_refused(&ana, &[
            "SELECT name <<<< 'x' FROM regions", "SELECT name OPERATOR(public.<<<<) 'x' FROM regions", "SELECT name <<<< ANY (ARRAY['x']) FROM regions",
            "SELECT name <<<< ALL (SELECT 'x') FROM regions", "SELECT 1 FROM regions ORDER BY name <<<< 'x'", "SELECT 1 FROM regions WHERE name LIKE 'E%'",
            "SELECT 1 FROM regions a JOIN regions b ON a.name ~~ b.name",
        ], &["42501"]);
        // Off the search path it cannot be meant; on it, every = may be it.
        assert_eq!(ana.one("SELECT count(*) FROM regions WHERE code = 'EMEA'"), "1");
        ana.run("SET search_path = public, aside");
        all_refused(&ana, &[
            "SELECT count(*) FROM regions WHERE code = 'EMEA'", "SELECT 1 FROM regions a JOIN regions b USING (code)", "SELECT 1 FROM regions a NATURAL JOIN regions b",
            "SELECT CASE code WHEN 'EMEA' THEN 1 END FROM regions", "SELECT 1 FROM regions WHERE code IN ('EMEA')", "SELECT 1 FROM regions WHERE code IN (SELECT code FROM regions)",
            "SELECT nullif(code, 'x') FROM regions", "SELECT 1 FROM regions WHERE code IS DISTINCT FROM 'x'", "SELECT 1 FROM regions WHERE (code, name) = ('a', 'b')",
        ], &["42501"]);
        assert_eq!(ana.one("SELECT count(*) FROM regions WHERE code OPERATOR(pg_catalog.=) 'EMEA'"), "1");
        ana.run("RESET search_path");
        admin.run("GRANT EXECUTE ON FUNCTION leak TO analysts");
        assert_eq!(ana.one("SELECT count(*) FROM regions WHERE code <<<< 'x'"), "3");
    }

    /// So does a cast that is written out, to the type, to a domain over it, and to an array of it.
    fn casts_need_execute_on_their_functions(shop: fresh) {
        let (truth, admin, ana) = (shop.truth(), shop.admin(), shop.ana());
        truth.run(
            "SET ROLE shop_owner; CREATE TYPE public.pair AS (a int); \
             CREATE FUNCTION public.to_pair(text) RETURNS public.pair LANGUAGE plpgsql AS $$ BEGIN RETURN ROW(1)::public.pair; END $$; \
             CREATE FUNCTION public.to_pairs(int) RETURNS public.pair[] LANGUAGE plpgsql AS $$ BEGIN RETURN ARRAY[ROW(1)::public.pair]; END $$; \
             CREATE DOMAIN public.two AS public.pair; CREATE DOMAIN public.three AS public.two; RESET ROLE; \
             CREATE CAST (text AS public.pair) WITH FUNCTION public.to_pair(text); CREATE CAST (int AS public.pair[]) WITH FUNCTION public.to_pairs(int)",
        );
        until("the casts to be found", || admin.try_rows("GRANT EXECUTE ON FUNCTION to_pairs TO analysts").ok());
        all_refused(&ana, &[
            "SELECT name::pair FROM regions", "SELECT CAST(name AS public.pair) FROM regions", "SELECT name::two FROM regions", "SELECT name::three FROM regions",
            "SELECT ARRAY[name]::pair[] FROM regions", "SELECT xmlserialize(content '<a/>'::xml AS pair)",
        ], &["42501"]);
        admin.run("REVOKE EXECUTE ON FUNCTION to_pairs FROM analysts");
        admin.run("GRANT EXECUTE ON FUNCTION to_pair TO analysts");
        all_refused(&ana, &["SELECT 1::pair[]", "SELECT 1::_pair"], &["42501"]);
        admin.run("GRANT EXECUTE ON FUNCTION to_pairs TO analysts");
        assert_eq!(ana.one("SELECT count(name::three) FROM regions"), "3");
    }

    /// Aggregates and window functions are functions; every overload that could be meant needs EXECUTE.
    fn aggregates_and_overloads_need_execute(shop: fresh) {
        let (truth, admin, ana) = (shop.truth(), shop.admin(), shop.ana());
        truth.run(
            "SET ROLE shop_owner; CREATE AGGREGATE public.glue (text) (SFUNC = textcat, STYPE = text, INITCOND = ''); \
             CREATE FUNCTION public.pick(int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; CREATE FUNCTION public.pick(text) RETURNS int LANGUAGE sql AS $$ SELECT 2 $$; \
             CREATE FUNCTION public.upper(public.regions) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$; RESET ROLE",
        );
        until("the functions to be found", || admin.try_rows("GRANT EXECUTE ON FUNCTION pick(int) TO analysts").ok());
        all_refused(&ana, &[
            "SELECT glue(name) FROM regions", "SELECT glue(name) OVER () FROM regions", "SELECT glue(DISTINCT name) FROM regions",
            "SELECT glue(name ORDER BY name) FILTER (WHERE true) FROM regions", "SELECT pick(1)", "SELECT upper(code) FROM regions", "SELECT (r).upper FROM regions r",
        ], &["42501"]);
        admin.run("GRANT EXECUTE ON SCHEMA public TO analysts");
        assert_eq!(ana.one("SELECT glue(name ORDER BY code) FROM regions WHERE code = 'AMER'"), "The Americas");
        assert_eq!(ana.one("SELECT pick(1)"), "1");
        assert_eq!(ana.one("SELECT pg_catalog.upper('a')"), "A");
    }

    /// PostgreSQL leaves parameters of type void out of a call, however they came to that type.
    fn a_parameter_that_is_no_argument_leads_to_no_other_function(shop: fresh) {
        let (truth, admin, ana) = (shop.truth(), shop.admin(), shop.ana());
        truth.run(
            "SET ROLE shop_owner; CREATE FUNCTION public.door() RETURNS text LANGUAGE sql AS $$ SELECT 'open' $$; \
             CREATE FUNCTION public.door(int) RETURNS text LANGUAGE sql AS $$ SELECT 'closed' $$; RESET ROLE",
        );
        until("the functions to be found", || admin.try_rows("GRANT EXECUTE ON FUNCTION door(int) TO analysts").ok());
        assert_eq!(ana.one("SELECT door(1)"), "closed");
        all_refused(&ana, &[
            "SELECT door()", "PREPARE p (void) AS SELECT door($1)", "PREPARE p (void) AS SELECT public.door($1)",
            "PREPARE p AS SELECT CASE WHEN false THEN pg_sleep(0) ELSE $1 END, door($1)",
            "PREPARE p AS WITH x AS (SELECT pg_sleep(0) UNION ALL SELECT $1) SELECT door($1)",
            "PREPARE p (void) AS SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery', $1)",
        ], &["42501"]);
        admin.run("GRANT EXECUTE ON FUNCTION door() TO analysts");
        ana.run("PREPARE p (void) AS SELECT door($1)");
        assert_eq!(ana.one("EXECUTE p (NULL)"), "open");
    }

    /// A function in SQL that a filter calls is looked at again when somebody replaces it.
    fn a_replaced_function_of_a_filter_closes_the_table(shop: fresh) {
        let (truth, admin, ana) = (shop.truth(), shop.admin(), shop.ana());
        admin.run("CREATE TABLE public.open_regions (region text)");
        admin.run("INSERT INTO public.open_regions VALUES ('EMEA')");
        admin.run("CREATE TABLE public.offers (region text)");
        admin.run("INSERT INTO public.offers VALUES ('EMEA'), ('AMER')");
        admin.run("GRANT SELECT ON TABLE public.offers TO analysts");
        admin.run("CREATE FUNCTION public.offered(text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT count(*) > 0 FROM public.open_regions a WHERE a.region = $1 $$");
        admin.run("GRANT SELECT ON TABLE public.open_regions TO analysts");
        admin.run("ALTER TABLE public.offers SET ROW FILTER (offered(region))");
        assert_eq!(ana.column("SELECT region FROM public.offers"), ["EMEA"]);
        truth.run("CREATE OR REPLACE FUNCTION public.offered(text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT count(*) > 0 FROM open_regions a WHERE a.region = $1 $$");
        until("the table to be closed", || ana.try_rows("SELECT region FROM public.offers").err().filter(|refusal| refusal.code == "55000"));
        truth.run("CREATE OR REPLACE FUNCTION public.offered(text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT count(*) > 0 FROM public.open_regions a WHERE a.region = $1 $$");
        until("the table to be open again", || ana.try_rows("SELECT region FROM public.offers").ok());
    }
}
