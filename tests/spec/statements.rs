//! Statement kinds: what is open to everybody, what to administrators, what to nobody; EXPLAIN; errors and their positions.

use crate::harness::both_mechanisms;

both_mechanisms! {
    fn other_kinds_are_refused_by_name(shop: shared) {
        let ivan = shop.ivan();
        // What is open to whoever has the rights: PostgreSQL's words.
        for (statement, message) in [
            ("CREATE TABLE t (n integer)", "permission denied for schema public"),
            ("CREATE TABLE t AS SELECT 1 AS n", "permission denied for schema public"),
            ("SELECT 1 AS n INTO t", "permission denied for schema public"),
            ("CREATE VIEW t AS SELECT 1 AS n", "permission denied for schema public"),
            ("CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'", "permission denied for schema public"),
            ("CREATE SEQUENCE s", "permission denied for schema public"),
            ("CREATE TYPE t AS ENUM ('a')", "permission denied for schema public"),
            ("CREATE SCHEMA s", &format!("permission denied for database {}", shop.database)),
            ("CREATE INDEX ON orders (note)", "must be owner of table orders"),
            ("DROP TABLE orders", "must be owner of table orders"),
            ("DROP VIEW my_orders", "must be owner of view my_orders"),
            ("DROP SCHEMA public", "must be owner of schema public"),
            ("DROP FUNCTION region_visible", "must be owner of function region_visible"),
            ("ALTER TABLE orders ADD COLUMN x integer", "must be owner of table orders"),
            ("ALTER TABLE orders RENAME TO x", "must be owner of table orders"),
            ("ALTER TABLE orders SET SCHEMA public", "must be owner of table orders"),
            ("COMMENT ON TABLE orders IS 'x'", "must be owner of table orders"),
            ("TRUNCATE products", "permission denied for table products"),
            ("TRUNCATE orders", "must be owner of table orders"),
            ("LOCK TABLE orders", "permission denied for table orders"),
            ("VACUUM orders", "must be owner of table orders"),
            ("ANALYZE orders", "must be owner of table orders"),
            ("CLUSTER orders", "must be owner of table orders"),
            ("REINDEX TABLE orders", "must be owner of table orders"),
            ("VACUUM", "must be administrator to run VACUUM"),
            ("ANALYZE", "must be administrator to run ANALYZE"),
            ("CREATE CAST (text AS integer) WITH INOUT", "must be administrator to run CREATE CAST"),
            ("DROP AGGREGATE a (integer)", "must be administrator to run DROP AGGREGATE"),
            ("CREATE RULE r AS ON INSERT TO orders DO NOTHING", "must be administrator to run CREATE RULE"),
            ("CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS 'begin return 1; end'", "must be administrator to run CREATE FUNCTION"),
        ] {
            assert_eq!(ivan.refused(statement, "42501").message, message, "{statement}");
        }
        // What is open to nobody.
        for (statement, name) in [
            ("CREATE ROLE eve", "CREATE ROLE"),
            ("ALTER ROLE pgusher_session PASSWORD 'x'", "ALTER ROLE"),
            ("DROP ROLE pgusher_session", "DROP ROLE"),
            ("ALTER SYSTEM SET work_mem = '1MB'", "ALTER SYSTEM"),
            ("CREATE EXTENSION dblink", "CREATE EXTENSION"),
            ("DROP EXTENSION plpgsql", "DROP EXTENSION"),
            ("COMMENT ON ROLE pgusher_session IS 'x'", "ALTER ROLE"),
            ("CHECKPOINT", "CHECKPOINT"),
            ("LOAD 'x'", "LOAD"),
            ("REASSIGN OWNED BY pgusher_session TO postgres", "REASSIGN OWNED"),
            ("SECURITY LABEL ON TABLE orders IS 'x'", "SECURITY LABEL"),
            ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
            ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", "CREATE EVENT TRIGGER"),
            ("CREATE PUBLICATION p FOR ALL TABLES", "CREATE PUBLICATION"),
            ("DROP PUBLICATION p", "DROP PUBLICATION"),
            ("CREATE DATABASE d", "CREATE DATABASE"),
            ("CREATE LANGUAGE l HANDLER h", "CREATE LANGUAGE"),
        ] {
            for person in [&ivan, &shop.admin()] {
                assert_eq!(person.refused(statement, "0A000").message, format!("{name} is not supported"), "{statement}");
            }
        }
        // Missing is missing.
        ivan.refused("DROP TABLE nosuch", "42P01");
        ivan.refused("REFRESH MATERIALIZED VIEW x", "42P01");
        ivan.refused("DROP TYPE nosuch", "42704");
        ivan.refused("CREATE TABLE nosuch.t (n integer)", "3F000");
        ivan.run("DROP TABLE IF EXISTS nosuch");
    }

    fn administrators_run_ddl(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE public.things (id integer PRIMARY KEY, label text)");
        admin.run("INSERT INTO things VALUES (1, 'one')");
        admin.run("CREATE INDEX ON things (label)");
        admin.run("ALTER TABLE things ADD COLUMN extra integer DEFAULT 5");
        assert_eq!(admin.rows("SELECT * FROM things"), [["1", "one", "5"]]);
        admin.run("ANALYZE things");
        admin.run("VACUUM things");
        admin.run("TRUNCATE things");
        admin.run("COMMENT ON TABLE things IS 'x'");
        admin.run("CREATE TABLE public.copied AS SELECT id, ssn FROM employees");
        assert!(admin.one("SELECT min(ssn) FROM copied").starts_with("***"), "reads inside DDL meet masks: the administrator is not HR");
        admin.run("DROP TABLE things, copied");
        admin.refused("SELECT * FROM things", "42P01");
        admin.run("BEGIN; CREATE TABLE public.undone (n integer); ROLLBACK");
        admin.refused("SELECT * FROM undone", "42P01");
    }

    fn for_update_needs_modify(shop: shared) {
        shop.ivan().refused("SELECT * FROM customers FOR UPDATE", "42501");
        let ana = shop.ana();
        ana.run("BEGIN");
        assert_eq!(ana.rows("SELECT region FROM orders ORDER BY id LIMIT 1 FOR UPDATE"), [["EMEA"]]);
        ana.rows("SELECT region FROM orders ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED");
        ana.run("ROLLBACK");
    }

    fn explain_needs_read_metadata_and_over_a_governed_table_manage(shop: fresh) {
        let (admin, ana, ivan) = (shop.admin(), shop.ana(), shop.ivan());
        let detail = ivan.refused("EXPLAIN SELECT * FROM products", "42501").detail.expect("a DETAIL");
        assert!(detail.contains("READ_METADATA"), "{detail}");
        admin.run("GRANT READ_METADATA ON TABLE products TO users");
        assert!(ivan.column("EXPLAIN (COSTS OFF) SELECT * FROM products WHERE id = 1").join("\n").contains("products"));
        ivan.refused("EXPLAIN ANALYZE DELETE FROM products", "42501");
        for option in ["", "ANALYZE ", "VERBOSE ", "(ANALYZE, VERBOSE, COSTS OFF, TIMING OFF) ", "(FORMAT json) "] {
            ivan.refused(&format!("EXPLAIN {option} SELECT * FROM employees"), "42501");
            // Analysts hold READ_METADATA on orders; the plan would show its filter.
            let refusal = ana.refused(&format!("EXPLAIN {option} SELECT * FROM orders"), "42501");
            assert!(refusal.detail.as_ref().is_some_and(|d| d.contains("MANAGE")), "{refusal}");
        }
        for made in ["CREATE TABLE", "CREATE TEMP TABLE", "CREATE MATERIALIZED VIEW"] {
            ivan.refused(&format!("EXPLAIN {made} fresh AS SELECT * FROM employees"), "42501");
        }
        ivan.refused("EXPLAIN CREATE TABLE fresh AS SELECT * FROM products", "42501");
        assert!(ivan.column("EXPLAIN CREATE TEMP TABLE fresh AS SELECT * FROM products").join("\n").contains("products"));
        assert!(admin.column("EXPLAIN CREATE TABLE fresh AS SELECT * FROM products").join("\n").contains("products"));
        admin.refused("EXPLAIN ANALYZE CREATE TABLE fresh AS SELECT * FROM products", "0A000");
        admin.refused("SELECT * FROM fresh", "42P01");
        admin.run("GRANT MANAGE ON TABLE orders TO analysts");
        assert!(ana.column("EXPLAIN SELECT * FROM orders").join("\n").contains("orders"));
    }

    fn positions_are_those_of_the_client_s_text(shop: shared) {
        let ana = shop.ana();
        assert_eq!(ana.refused("SELECT * FROM employees WHERE nosuch = 1", "42703").position, Some(31));
        assert_eq!(ana.refused("SELECT id FROM employees ORDER BY 1/0, no_col", "42703").position, Some(40));
        assert_eq!(ana.refused("SELECT 'é', * FROM nosuch", "42P01").position, Some(20));
        assert_eq!(ana.refused("SELECT * FROM employees, orders, ORDER", "42601").position, Some(34));
        assert_eq!(ana.refused("SELECT current_user, name FROM employees JOIN orders ON id = 1", "42702").position, Some(57));
    }

    fn a_missing_relation_has_a_position_where_postgresql_tells_one(shop: shared) {
        let (ana, admin) = (shop.ana(), shop.admin());
        for statement in ["ALTER TABLE nosuch RENAME TO x", "TRUNCATE nosuch", "CREATE INDEX ON nosuch (id)", "REFRESH MATERIALIZED VIEW nosuch"] {
            assert_eq!(admin.refused(statement, "42P01").position, None, "{statement}");
        }
        assert_eq!(ana.refused("CREATE TEMP TABLE t (LIKE nosuch)", "42P01").position, Some(27));
        assert_eq!(admin.refused("CREATE TABLE t (LIKE nosuch)", "42P01").position, Some(22));
    }

    fn an_error_of_upstream_keeps_its_code_and_message(shop: shared) {
        let ana = shop.ana();
        // What stands for PostgreSQL's own function is not told of.
        assert_eq!(ana.refused("SELECT pg_notify('', 'x')", "22023").context, None);
        assert_eq!(ana.refused("SELECT 1/0", "22012").message, "division by zero");
        assert_eq!(ana.refused("SELECT 'x'::integer", "22P02").message, "invalid input syntax for type integer: \"x\"");
        assert_eq!(ana.refused("SELECT nosuch(1)", "42883").message, "function nosuch does not exist");
        ana.refused("SELECT * FROM orders o WHERE o.id = 'x'::text", "42883");
    }

    fn common_functions_and_types_work(shop: shared) {
        let ana = shop.ana();
        assert_eq!(ana.one("SELECT jsonb_build_object('n', count(*)) ->> 'n' FROM regions"), "3");
        assert_eq!(ana.one("SELECT string_agg(code, ',' ORDER BY code) FROM regions"), "AMER,APAC,EMEA");
        assert_eq!(ana.one("SELECT to_char(date '2025-03-01', 'DD Mon YYYY')"), "01 Mar 2025");
        assert_eq!(ana.one("SELECT count(*) FROM generate_series(1, 10) g WHERE g BETWEEN 3 AND 5"), "3");
        assert_eq!(ana.one("SELECT (ARRAY[1,2,3])[2] + greatest(1, 5) + length('abc') + extract(year FROM date '2020-01-01')"), "2030");
        assert_eq!(ana.one("SELECT regexp_replace('abc', 'b', 'x') || md5('') || coalesce(NULL, 'z')"), "axcd41d8cd98f00b204e9800998ecf8427ez");
        assert_eq!(ana.one("SELECT x FROM (VALUES (1), (2)) v(x) ORDER BY x DESC LIMIT 1"), "2");
        assert_eq!(ana.one("SELECT version()"), shop.truth().one("SELECT version()"));
        assert_eq!(ana.one("SELECT now() IS NOT NULL"), "t");
        assert_eq!(ana.rows(""), Vec::<Vec<String>>::new());
        assert_eq!(ana.rows(" ; ; -- nothing\n"), Vec::<Vec<String>>::new());
    }

    fn a_function_made_by_an_administrator_needs_execute(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE FUNCTION public.twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT n * 2 $$");
        let refusal = ana.refused("SELECT twice(21)", "42501");
        assert!(refusal.detail.expect("a DETAIL").contains("EXECUTE"));
        admin.run("GRANT EXECUTE ON FUNCTION twice TO analysts");
        assert_eq!(ana.one("SELECT twice(21)"), "42");
    }

    fn a_sequence_needs_modify_on_its_table(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        ana.refused("SELECT nextval('invoice_number')", "42501");
        admin.run("GRANT MODIFY ON TABLE invoices TO analysts");
        ana.one("SELECT nextval('invoice_number')");
        let id = shop.truth().one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        assert_eq!(ana.affected(&format!("INSERT INTO invoices (order_id, region, total) VALUES ({id}, 'EMEA', 5)")), 1);
    }

    fn huge_and_deep_statements_are_refused_at_once(shop: shared) {
        let ana = shop.ana();
        let started = std::time::Instant::now();
        for (statement, codes) in [
            (format!("SELECT '{}'", "x".repeat(1_100_000)), ["54000", "54000"]),
            (format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000)), ["54000", "54001"]),
            (format!("SELECT 1{}", " UNION SELECT 1".repeat(50_000)), ["54000", "54001"]),
            (format!("SELECT 1 WHERE true{}", " AND true".repeat(100_000)), ["54000", "54001"]),
            (format!("SELECT {}1", "-".to_string() + &" -".repeat(100_000)), ["54000", "54001"]),
            (format!("{}SELECT 1", "/*".repeat(200_000)), ["54000", "42601"]),
        ] {
            let refusal = ana.try_rows(&statement).expect_err("beyond the limits");
            assert!(codes.contains(&refusal.code.as_str()) || refusal.code == "54001", "{}: {refusal}", &statement[..40]);
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?} for six statements in a debug build", started.elapsed());
        assert_eq!(ana.one("SELECT 1"), "1");
    }

    fn a_statement_of_ordinary_size_is_never_too_deep(shop: shared) {
        let ana = shop.ana();
        assert_eq!(ana.one(&format!("SELECT 1 WHERE true{}", " AND true".repeat(400))), "1");
        assert_eq!(ana.one(&format!("SELECT count(*) FROM (SELECT 1{}) x", " UNION ALL SELECT 1".repeat(200))), "201");
        let joins: String = (0..60).map(|n| format!(" JOIN regions r{n} ON r{n}.code = r.code")).collect();
        assert_eq!(ana.one(&format!("SET join_collapse_limit = 1; SET geqo = on; SELECT count(*) FROM regions r{joins}")), "3");
        let list = (0..5000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        ana.one(&format!("SELECT count(*) FROM orders WHERE id IN ({list})"));
    }
}
