//! Class 6, functions that run SQL in a string; class 7, code bodies.

use super::{all_refused, keeps_secrets};
use crate::harness::{both_mechanisms, until};

const REFUSED: &[&str] = &["42501", "0A000", "42883", "42P01", "42704"];

both_mechanisms! {
    /// What a definition computes, it computes with an owner's rights: of the database's functions, an administrator's may call libraries'.
    fn only_a_library_s_functions_run_with_an_owner_s_rights_and_for_administrators(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        truth.run("CREATE FUNCTION public.plus(int, int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'int4pl'");
        truth.run("CREATE AGGREGATE public.total(int) (SFUNC = public.plus, STYPE = int)");
        truth.run("CREATE FUNCTION public.sly(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS 'BEGIN RETURN $1; END'");
        truth.run("CREATE AGGREGATE public.slyly(int) (SFUNC = public.sly, STYPE = int)");
        until("the functions to be known", || admin.try_rows("GRANT EXECUTE ON FUNCTION sly TO users; GRANT EXECUTE ON FUNCTION plus TO users").ok());
        admin.run("CREATE SCHEMA lab");
        admin.run("GRANT CREATE ON SCHEMA lab TO \"ana@example.com\"");
        ana.run("CREATE TABLE lab.t AS SELECT 1 AS n");
        for (person, may) in [(&ana, false), (&admin, true)] {
            for statement in [
                "ALTER TABLE lab.t ADD COLUMN p int DEFAULT plus(1, 2)",
                "CREATE INDEX ON lab.t (plus(n, 1))",
                "ALTER TABLE lab.t ADD CHECK (plus(n, 1) > 0)",
                "CREATE MATERIALIZED VIEW lab.m AS SELECT total(n) AS n, max(plus(n, 1)) AS more FROM lab.t",
            ] {
                if may {
                    person.run(statement);
                } else {
                    person.refused(statement, "0A000");
                }
                person.refused(&statement.replace("plus(", "sly(").replace("lab.m ", "lab.o "), "0A000");
            }
        }
        // A default is computed by whoever writes the row.
        ana.refused("ALTER TABLE lab.t ALTER COLUMN n SET DEFAULT sly(5, 0)", "0A000");
        admin.run("ALTER TABLE lab.t ALTER COLUMN n SET DEFAULT sly(5, 0), ADD COLUMN q int DEFAULT 1");
        admin.refused("ALTER TABLE lab.t ALTER COLUMN n SET DEFAULT sly(5, 0), ADD COLUMN r int DEFAULT sly(5, 0)", "0A000");
        admin.run("CREATE DOMAIN lab.d AS int; ALTER DOMAIN lab.d SET DEFAULT sly(5, 0)");
        admin.refused("ALTER DOMAIN lab.d ADD CHECK (sly(value, 0) > 0)", "0A000");
        admin.refused("CREATE MATERIALIZED VIEW lab.o AS SELECT slyly(n) FROM lab.t", "0A000");
        assert_eq!(admin.rows("SELECT p, (SELECT n FROM lab.m) FROM lab.t"), [["3", "1"]]);
    }

    /// Class 6: SQL that hides in a string is SQL.
    fn functions_that_run_sql_are_refused(shop: shared) {
        for client in [shop.ana(), shop.ivan()] {
            all_refused(&client, &[
                "SELECT query_to_xml('SELECT * FROM employees', true, true, '')",
                "SELECT pg_catalog.query_to_xml('SELECT 1', true, true, '')",
                "SELECT \"query_to_xml\"('SELECT 1', true, true, '')",
                "SELECT U&\"query\\005fto_xml\"('SELECT 1', true, true, '')",
                "SELECT query_to_xmlschema('SELECT 1', true, true, '')",
                "SELECT query_to_xml_and_xmlschema('SELECT 1', true, true, '')",
                "SELECT table_to_xml('employees', true, true, '')",
                "SELECT schema_to_xml('public', true, true, '')",
                "SELECT database_to_xml(true, true, '')",
                "SELECT cursor_to_xml('c', 1, true, true, '')",
                "SELECT * FROM ts_stat('SELECT ssn::tsvector FROM employees')",
                "SELECT ts_rewrite('a'::tsquery, 'SELECT ssn::tsquery, ssn::tsquery FROM employees')",
                "SELECT 1 FROM regions ORDER BY query_to_xml('SELECT 1', true, true, '')::text",
                "SELECT 1 LIMIT length(query_to_xml('SELECT 1', true, true, '')::text)",
                "SELECT count(*) FILTER (WHERE query_to_xml('SELECT 1', true, true, '') IS NULL) FROM regions",
                "SELECT * FROM regions, LATERAL query_to_xml('SELECT 1', true, true, '') x",
                "SELECT * FROM ROWS FROM (query_to_xml('SELECT 1', true, true, ''))",
                "SELECT dblink('dbname=shop', 'SELECT 1')",
                "SELECT pg_read_file('/etc/passwd')", "SELECT pg_read_binary_file('/etc/passwd')", "SELECT pg_ls_dir('/')", "SELECT pg_stat_file('/etc/passwd')",
                "SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/x')", "SELECT lo_create(0)", "SELECT lo_get(1)", "SELECT lo_from_bytea(0, 'x')",
                "SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)", "SELECT pg_reload_conf()", "SELECT pg_rotate_logfile()",
                "SELECT pg_create_logical_replication_slot('s', 'test_decoding')", "SELECT pg_logical_emit_message(true, 'a', 'b')", "SELECT * FROM pg_logical_slot_get_changes('s', NULL, NULL)",
                "SELECT pg_export_snapshot()", "SELECT pg_switch_wal()", "SELECT pg_sleep_for('0') FROM pg_read_file('x')",
                "SELECT pg_notify('pgusher_policy', '999')",
            ], REFUSED);
        }
    }

    /// Class 7: bodies of code are not for non-administrators.
    fn code_bodies_are_refused(shop: shared) {
        all_refused(&shop.ana(), &[
            "DO $$ BEGIN PERFORM * FROM employees; END $$",
            "DO LANGUAGE plpgsql $$ BEGIN EXECUTE 'SELECT 1'; END $$",
            "CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS $$ SELECT ssn FROM employees $$",
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT ssn FROM employees $$",
            "CREATE PROCEDURE p() LANGUAGE sql AS $$ DELETE FROM orders $$",
            "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT 1",
            "CREATE POLICY p ON orders USING (true)",
            "CREATE AGGREGATE a (text) (SFUNC = textcat, STYPE = text)",
            "CREATE CAST (text AS integer) WITH INOUT",
            "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()",
            "ALTER FUNCTION region_visible(text) COST 1",
            "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        ], &["42501", "0A000", "42601"]);
    }

    /// Class 9: what this grammar has keywords for is an ordinary call to an older upstream, and needs EXECUTE as one.
    fn keywords_of_newer_versions_are_calls(shop: fresh) {
        let admin = shop.admin();
        for function in [
            "json_value(jsonb, text)", "json_query(jsonb, text)", "json_exists(jsonb, text)", "json_scalar(text)", "json_serialize(text)", "json(text)",
            "json_array(text, text)", "json_array()", "json_object()", "merge_action()",
        ] {
            admin.run(&format!("CREATE FUNCTION public.{function} RETURNS text LANGUAGE sql AS $$ SELECT 'called' $$"));
        }
        admin.run("CREATE AGGREGATE public.json_arrayagg(text) (SFUNC = textcat, STYPE = text, INITCOND = 'called')");
        all_refused(&shop.ana(), &[
            "SELECT json_value('{}'::jsonb, '$')", "SELECT json_query('{}'::jsonb, '$')", "SELECT json_exists('{}'::jsonb, '$')", "SELECT json_scalar('a'::text)",
            "SELECT json_serialize('a'::text)", "SELECT json('a'::text)", "SELECT json_array('a'::text, 'b'::text)", "SELECT json_array()", "SELECT json_object()",
            "SELECT json_arrayagg(name) FROM regions", "SELECT merge_action()", "SELECT 1 FROM regions ORDER BY json_scalar(name)",
        ], &["42501"]);
    }

    /// Class 7: a function whose body reads governed tables meets their filters and masks, whoever made it.
    fn bodies_of_functions_meet_filters_and_masks(shop: fresh) {
        let admin = shop.admin();
        for sql in [
            "CREATE FUNCTION public.all_notes() RETURNS SETOF text LANGUAGE sql AS $$ SELECT note FROM public.orders $$",
            "CREATE FUNCTION public.all_notes_pl() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT string_agg(note, ',') FROM public.orders); END $$",
            "CREATE FUNCTION public.all_ssn() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT ssn FROM public.employees; END $$",
            "CREATE FUNCTION public.all_ssn_unqualified() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT ssn FROM employees; END $$",
            "CREATE FUNCTION public.any_sql(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE q; END $$",
        ] {
            let _ = admin.try_rows(sql);
        }
        admin.run("GRANT EXECUTE ON SCHEMA public TO analysts");
        keeps_secrets(shop, &shop.ana(), &[
            "SELECT * FROM all_notes()", "SELECT all_notes_pl()", "SELECT * FROM all_ssn()", "SELECT * FROM all_ssn_unqualified()",
            "SELECT * FROM any_sql('SELECT ssn FROM employees')", "SELECT * FROM any_sql('SELECT ssn FROM public.employees')",
            "SELECT * FROM any_sql('SELECT note FROM public.orders')", "SELECT * FROM any_sql('SELECT \"ssn$raw\" FROM pgusher_public.\"employees$w\"')",
            "SELECT * FROM any_sql('SELECT salary::text FROM public.employees')", "SELECT * FROM any_sql('TABLE pgusher.key')",
            "SELECT * FROM any_sql('SELECT most_common_vals::text FROM pg_stats')",
            "SELECT * FROM any_sql('SELECT set_config(''role'', ''pgusher_owner'', false)'); SELECT note FROM orders",
            "SELECT * FROM any_sql('SELECT setval(''pgusher.slot'', 1)::text'); SELECT note FROM orders",
            "SELECT * FROM any_sql('SET ROLE postgres'); SELECT note FROM orders",
        ]);
        assert_eq!(shop.ana().one("SELECT current_user"), "ana@example.com");
    }
}
