//! Definitions that would turn one right into another, or make somebody else's rights run what is one's own.

use crate::harness::both_mechanisms;

both_mechanisms! {
    fn a_right_to_change_is_no_right_to_read(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        for statement in [
            "CREATE SCHEMA own",
            "GRANT CREATE ON SCHEMA own TO \"ivan@example.com\"",
            "GRANT SELECT ON SCHEMA own TO \"ivan@example.com\"",
            "GRANT CREATE_NAMED_FUNCTION ON SCHEMA own TO \"ivan@example.com\"",
            "CREATE TABLE public.secret (id integer, note text)",
            "INSERT INTO public.secret VALUES (1, 'very secret')",
            "GRANT MODIFY ON TABLE public.secret TO \"ivan@example.com\"",
        ] {
            admin.run(statement);
        }
        ivan.run("CREATE TABLE own.parent (id integer, note text)");
        ivan.run("CREATE TABLE own.parts (id integer, note text) PARTITION BY LIST (id)");
        for statement in [
            "SELECT * FROM secret",
            // Whoever reads the parent would read it.
            "ALTER TABLE secret INHERIT own.parent",
            "ALTER TABLE own.parts ATTACH PARTITION secret FOR VALUES IN (1)",
            // It would stand under his grant on the schema.
            "ALTER TABLE secret SET SCHEMA own",
            // Errors would tell.
            "ALTER TABLE secret ADD CHECK (note <> 'very secret')",
            "ALTER TABLE secret ALTER note TYPE integer USING 1 / (length(note) - 11)",
            "ALTER TABLE secret ADD COLUMN x integer GENERATED ALWAYS AS (1 / (length(note) - 11)) STORED",
            "CREATE INDEX ON secret ((1 / (length(note) - 11)))",
            "CREATE UNIQUE INDEX ON secret (id) WHERE 1 / (length(note) - 11) > 0",
            "CREATE TABLE own.copy (LIKE secret)",
            "CREATE TABLE own.copy AS SELECT * FROM secret",
            "SELECT * INTO own.copy FROM secret",
            "CREATE VIEW own.look AS SELECT * FROM secret",
            "CREATE MATERIALIZED VIEW own.kept AS SELECT * FROM secret",
            "CREATE FUNCTION own.f() RETURNS text LANGUAGE sql AS 'SELECT note FROM secret'",
            "CREATE FUNCTION own.f() RETURNS text RETURN (SELECT note FROM secret)",
        ] {
            ivan.refused(statement, "42501");
        }
    }

    fn changes_of_a_governed_table_do_not_bring_out_what_is_hidden(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        for statement in [
            "CREATE SCHEMA own",
            "GRANT CREATE ON SCHEMA own TO \"ivan@example.com\"",
            "GRANT SELECT, MODIFY ON TABLE employees TO \"ivan@example.com\"",
            "GRANT SELECT, MODIFY ON TABLE orders TO \"ivan@example.com\"",
            "CREATE TABLE public.log (id integer, region text) PARTITION BY LIST (region)",
            "CREATE TABLE public.log_eu PARTITION OF public.log FOR VALUES IN ('EMEA')",
            "INSERT INTO public.log VALUES (1, 'EMEA')",
            "ALTER TABLE public.log SET ROW FILTER (is_member('hr'))",
            "GRANT SELECT, MODIFY ON TABLE public.log TO \"ivan@example.com\"",
            "GRANT SELECT, MODIFY ON TABLE public.log_eu TO \"ivan@example.com\"",
        ] {
            admin.run(statement);
        }
        for statement in [
            "ALTER TABLE employees ALTER name TYPE text USING ssn",
            "ALTER TABLE employees RENAME COLUMN ssn TO other",
            "ALTER TABLE employees DROP COLUMN ssn",
            "ALTER TABLE employees ADD CHECK (ssn <> '885-41-1001')",
            "ALTER TABLE employees ADD COLUMN x text GENERATED ALWAYS AS (ssn) STORED",
            "CREATE UNIQUE INDEX ON employees (ssn)",
            "CREATE TABLE own.probe (ssn text REFERENCES employees (ssn))",
            "ALTER TABLE orders ADD CHECK (region <> 'EMEA')",
            "TRUNCATE orders",
            "TRUNCATE orders CASCADE",
            "DROP TABLE orders",
            "ALTER TABLE orders SET SCHEMA own",
            "ALTER TABLE log DETACH PARTITION log_eu",
        ] {
            ivan.refused(statement, "42501");
        }
        ivan.refused("CREATE MATERIALIZED VIEW own.kept AS SELECT * FROM employees", "0A000");
        ivan.run("CREATE TABLE own.copy AS SELECT region, count(*) AS n FROM orders GROUP BY region");
        assert_eq!(ivan.column("SELECT DISTINCT region FROM own.copy"), ["APAC"], "a copy holds what its maker saw");
        ivan.run("CREATE TABLE own.staff AS SELECT ssn FROM employees");
        assert!(ivan.column("SELECT ssn FROM own.staff").iter().all(|ssn| ssn.starts_with("***")));
    }

    fn nobody_gets_into_what_others_made(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        for statement in [
            "GRANT CREATE ON SCHEMA public TO \"ivan@example.com\"",
            "GRANT CREATE_NAMED_FUNCTION ON SCHEMA public TO \"ivan@example.com\"",
            "GRANT MANAGE ON VIEW my_orders TO \"ivan@example.com\"",
            "GRANT SELECT, MODIFY ON TABLE products TO \"ivan@example.com\"",
            "CREATE DOMAIN public.odd AS integer",
            "CREATE TABLE public.odds (n public.odd)",
            "INSERT INTO odds VALUES (5)",
        ] {
            admin.run(statement);
        }
        for statement in [
            // A view reads with its owner's grants.
            "CREATE OR REPLACE VIEW my_orders AS SELECT * FROM employees",
            // A filter's function, or one that its calls could come to mean.
            "CREATE OR REPLACE FUNCTION region_visible(region text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "CREATE FUNCTION region_visible(region varchar) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            "ALTER FUNCTION region_visible(text) IMMUTABLE",
            "ALTER FUNCTION region_visible(text) RENAME TO other",
            "DROP FUNCTION region_visible",
            "ALTER DOMAIN odd ADD CHECK (1 / (value - 5) > 0)",
            "DROP DOMAIN odd CASCADE",
            "DROP TABLE products CASCADE",
            "DROP SCHEMA public CASCADE",
            "COMMENT ON SCHEMA public IS 'x'",
        ] {
            ivan.refused(statement, "42501");
        }
        // Together with one that is missing it must not go unasked.
        ivan.refused("DROP TABLE IF EXISTS nosuch, products", "0A000");
        ivan.refused("DROP TABLE IF EXISTS products, employees", "42501");
    }

    fn an_owners_rights_run_nothing_of_anybodys_own(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        for statement in [
            "GRANT CREATE ON SCHEMA public TO \"ivan@example.com\"",
            "GRANT CREATE_NAMED_FUNCTION ON SCHEMA public TO \"ivan@example.com\"",
        ] {
            admin.run(statement);
        }
        ivan.run("CREATE FUNCTION spy(x integer) RETURNS integer LANGUAGE sql AS 'SELECT x'");
        ivan.run("CREATE TABLE mine (n integer)");
        for statement in [
            "ALTER TABLE mine ADD CHECK (spy(n) > 0)",
            "ALTER TABLE mine ADD COLUMN m integer DEFAULT spy(1)",
            "ALTER TABLE mine ALTER n TYPE text USING spy(n)::text",
            "CREATE INDEX ON mine (spy(n))",
            "CREATE TABLE mine2 (n integer DEFAULT spy(1))",
            "CREATE TABLE mine2 (n integer) PARTITION BY RANGE (spy(n))",
            "CREATE DOMAIN d AS integer CHECK (spy(value) > 0)",
            "CREATE MATERIALIZED VIEW kept AS SELECT spy(1)",
            "CREATE STATISTICS st ON (spy(n)), n FROM mine",
            "CREATE TYPE r AS RANGE (subtype = integer, subtype_diff = spy)",
            "CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW WHEN (spy(new.n) > 0) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ] {
            ivan.refused(statement, "0A000");
        }
        ivan.run("CREATE VIEW look AS SELECT spy(1) AS n");
        ivan.refused("CREATE MATERIALIZED VIEW kept AS SELECT n FROM look", "0A000");
        ivan.run("CREATE TABLE copy AS SELECT spy(7) AS n");
        assert_eq!(ivan.one("SELECT n FROM copy"), "7", "what fills it runs as he himself");
    }
}
