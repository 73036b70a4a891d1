//! Temporary objects: PostgreSQL's semantics, for everybody; what they are made from is read as the principal may read it.

use crate::harness::both_mechanisms;

both_mechanisms! {
    fn everybody_makes_changes_and_drops_temporary_tables(shop: shared) {
        for session in [shop.ana(), shop.ivan(), shop.admin()] {
            session.run("CREATE TEMP TABLE mine (id serial PRIMARY KEY, note text DEFAULT 'x', CHECK (id > 0))");
            session.run("INSERT INTO mine (note) VALUES ('a'), (DEFAULT)");
            assert_eq!(session.rows("SELECT id, note FROM mine ORDER BY id"), [["1", "a"], ["2", "x"]]);
            assert_eq!(session.rows("SELECT note FROM pg_temp.mine WHERE id = 2 FOR UPDATE"), [["x"]]);
            session.run("CREATE INDEX ON mine (note)");
            session.run("ALTER TABLE mine ADD COLUMN extra int DEFAULT 5");
            session.run("ALTER TABLE mine RENAME COLUMN note TO remark");
            session.run("COMMENT ON TABLE mine IS 'mine'; COMMENT ON COLUMN mine.id IS 'its'");
            session.run("ANALYZE mine");
            session.run("UPDATE mine SET extra = 6 WHERE id = 1");
            assert_eq!(session.rows("DELETE FROM mine WHERE id = 1 RETURNING remark, extra"), [["a", "6"]]);
            assert_eq!(session.one("SELECT nextval('mine_id_seq')"), "3");
            session.run("TRUNCATE mine");
            session.run("ALTER TABLE mine RENAME TO ours");
            assert_eq!(session.one("SELECT count(*) FROM ours"), "0");
            session.refused("SELECT * FROM mine", "42P01");
            session.run("CREATE TEMP SEQUENCE counter START 7; SELECT 1");
            assert_eq!(session.one("SELECT nextval('counter')"), "7");
            session.run("DROP TABLE ours");
            session.refused("SELECT * FROM ours", "42P01");
            session.run("DROP SEQUENCE counter");
        }
    }

    fn a_view_over_something_temporary_is_temporary_itself(shop: shared) {
        for session in [shop.ana(), shop.admin()] {
            session.run("CREATE TEMP TABLE held AS SELECT 1 AS n");
            session.run("CREATE VIEW seen AS WITH h AS (SELECT n FROM held) SELECT n + 1 AS n FROM h");
            assert!(session.notices().iter().any(|n| n == "view \"seen\" will be a temporary view"), "{:?}", session.notices());
            assert_eq!(session.one("SELECT n FROM pg_temp.seen"), "2");
            session.refused("CREATE VIEW public.kept AS SELECT n FROM held", "0A000");
        }
        let (ana, ivan) = (shop.ana(), shop.ivan());
        ana.run("CREATE TEMP TABLE held AS SELECT 1 AS n; SELECT 1");
        ana.run("CREATE VIEW joined AS SELECT region FROM orders, held");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM joined"), [["EMEA"]]);
        ivan.run("CREATE TEMP TABLE held AS SELECT 1 AS n; SELECT 1");
        ivan.refused("CREATE VIEW stolen AS SELECT ssn FROM employees, held", "42501");
        ivan.refused("SELECT * FROM joined", "42P01");
    }

    fn what_is_copied_is_what_the_principal_sees(shop: shared) {
        let ana = shop.ana();
        ana.run("CREATE TEMPORARY TABLE copied AS SELECT * FROM orders");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM copied"), [["EMEA"]]);
        assert_eq!(ana.one("SELECT count(*) FROM copied"), ana.one("SELECT count(*) FROM orders"));
        ana.run("SELECT name, ssn INTO TEMP people FROM employees");
        assert_eq!(ana.one("SELECT count(*) FROM people WHERE ssn NOT LIKE '***%'"), "0");
        ana.refused("CREATE TEMP TABLE stolen AS SELECT * FROM customers_secret", "42P01");
        shop.ivan().refused("CREATE TEMP TABLE stolen AS SELECT * FROM employees", "42501");
        shop.ivan().refused("CREATE TEMP VIEW stolen AS SELECT * FROM employees", "42501");
        shop.ivan().refused("SELECT * INTO TEMP stolen FROM employees", "42501");
        shop.ivan().refused("CREATE TEMP TABLE stolen (LIKE employees)", "42501");
    }

    fn a_temporary_table_hides_one_of_its_name_and_the_governed_one_stays_governed(shop: shared) {
        let ana = shop.ana();
        ana.run("CREATE TEMP TABLE orders (id int, region text)");
        ana.run("INSERT INTO orders VALUES (1, 'mine')");
        assert_eq!(ana.rows("SELECT region FROM orders"), [["mine"]]);
        assert_eq!(ana.rows("SELECT DISTINCT region FROM public.orders"), [["EMEA"]]);
        ana.run("SET search_path = public, pg_temp");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
        ana.run("RESET search_path");
        assert_eq!(ana.rows("SELECT region FROM orders"), [["mine"]]);
        ana.run("CREATE TEMP TABLE pg_class (relname text)");
        assert_eq!(ana.one("SELECT count(*) FROM pg_class"), "0");
        assert_ne!(ana.one("SELECT count(*) FROM pg_catalog.pg_class"), "0");
        ana.run("DROP TABLE orders, pg_class");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
        // Another session knows nothing of it.
        ana.run("CREATE TEMP TABLE employees (ssn text)");
        assert_eq!(shop.ana().one("SELECT count(*) > 0 FROM employees WHERE ssn LIKE '***%'"), "t");
    }

    fn prepared_statements_and_cursors_follow_what_a_name_means(shop: shared) {
        let ana = shop.ana();
        ana.run("PREPARE mine AS SELECT min(region) FROM orders");
        assert_eq!(ana.rows("EXECUTE mine"), [["EMEA"]]);
        ana.run("CREATE TEMP TABLE orders (region text)");
        ana.run("INSERT INTO orders VALUES ('temporary')");
        assert_eq!(ana.rows("EXECUTE mine"), [["temporary"]]);
        ana.run("DROP TABLE orders");
        assert_eq!(ana.rows("EXECUTE mine"), [["EMEA"]]);
    }

    fn temporary_tables_live_as_long_as_postgresql_says(shop: shared) {
        let ana = shop.ana();
        ana.run("BEGIN; CREATE TEMP TABLE orders (region text) ON COMMIT DROP; INSERT INTO orders VALUES ('temporary')");
        assert_eq!(ana.rows("SELECT region FROM orders"), [["temporary"]]);
        ana.run("COMMIT");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
        ana.run("BEGIN; CREATE TEMP TABLE orders (region text); ROLLBACK");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
        ana.run("BEGIN; SAVEPOINT s; CREATE TEMP TABLE orders (region text)");
        assert_eq!(ana.one("SELECT count(*) FROM orders"), "0");
        ana.run("ROLLBACK TO s");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
        ana.run("COMMIT");
        ana.run("CREATE TEMP TABLE kept (n int) ON COMMIT DELETE ROWS");
        ana.run("BEGIN; INSERT INTO kept VALUES (1)");
        assert_eq!(ana.one("SELECT count(*) FROM kept"), "1");
        ana.run("COMMIT");
        assert_eq!(ana.one("SELECT count(*) FROM kept"), "0");
        ana.run("BEGIN; DROP TABLE kept");
        ana.refused("SELECT * FROM kept", "42P01");
        ana.run("ROLLBACK");
        assert_eq!(ana.one("SELECT count(*) FROM kept"), "0");
        ana.run("CREATE TEMP TABLE orders (region text)");
        ana.run("DISCARD TEMP");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
        ana.run("CREATE TEMP TABLE orders (region text)");
        ana.run("DISCARD ALL");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
        ana.run("CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT 1 AS n");
        ana.refused("SELECT * FROM gone", "42P01");
    }

    fn temporary_views_show_what_their_reader_may_see_at_the_time(shop: fresh) {
        let (admin, hana) = (shop.admin(), shop.hana());
        hana.run("CREATE TEMP VIEW people AS SELECT name, ssn FROM employees");
        hana.run("CREATE TEMP VIEW more AS SELECT * FROM people");
        let truth = shop.truth().one("SELECT min(ssn) FROM employees");
        assert_eq!(hana.one("SELECT min(ssn) FROM more"), truth);
        let ana = shop.ana();
        ana.run("CREATE TEMP VIEW people AS SELECT e.name, e.ssn, o.region FROM employees e, orders o");
        assert_eq!(ana.one("SELECT count(*) FROM people WHERE ssn NOT LIKE '***%' OR region <> 'EMEA'"), "0");
        admin.run("REVOKE SELECT ON TABLE employees FROM hr");
        hana.refused("SELECT * FROM employees", "42501");
        hana.refused("SELECT * FROM more", "42501");
    }

    fn pg_temp_may_come_first_in_the_search_path(shop: shared) {
        let ana = shop.ana();
        ana.run("SET search_path = pg_temp, public");
        ana.run("CREATE TABLE scratch (n int)");
        ana.run("INSERT INTO scratch VALUES (1)");
        assert_eq!(ana.one("SELECT n FROM pg_temp.scratch"), "1");
        assert_eq!(ana.rows("SELECT DISTINCT region FROM orders"), [["EMEA"]]);
    }

    fn copy_goes_into_and_out_of_temporary_tables(shop: shared) {
        let ana = shop.ana();
        ana.run("CREATE TEMP TABLE copied (LIKE orders INCLUDING DEFAULTS)");
        ana.run("INSERT INTO copied SELECT * FROM orders WHERE id < 50");
        assert_eq!(ana.one("SELECT count(*) > 0 FROM copied"), "t");
        assert!(!ana.copy_out("COPY copied (id) TO STDOUT").is_empty());
    }

    fn rules_on_temporary_tables_read_what_the_session_may(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE TEMP TABLE box (id int); CREATE TEMP TABLE told (what text)");
        admin.run("CREATE RULE staff AS ON INSERT TO box DO ALSO INSERT INTO told SELECT ssn FROM employees WHERE id = NEW.id");
        admin.run("CREATE RULE goods AS ON DELETE TO box DO ALSO INSERT INTO told SELECT name FROM products WHERE id = OLD.id");
        admin.run("CREATE RULE kept AS ON UPDATE TO box DO INSTEAD NOTHING");
        admin.run("INSERT INTO box VALUES (1)");
        assert_eq!(admin.affected("UPDATE box SET id = 2"), 0);
        assert!(admin.one("SELECT what FROM told").starts_with("***"));
        // What it reads is not looked up again: raw, it is not readable any more.
        admin.run("ALTER TABLE products ALTER COLUMN name SET MASK ('masked')");
        admin.refused("DELETE FROM box", "42501");
        admin.run("ALTER RULE goods ON box RENAME TO wares; DROP RULE wares ON box");
        assert_eq!(admin.affected("DELETE FROM box"), 1);
        ana.run("CREATE TEMP TABLE box (id int)");
        ana.refused("CREATE RULE kept AS ON INSERT TO box DO INSTEAD NOTHING", "42501");
    }

    fn temporary_and_permanent_objects_are_not_mixed(shop: shared) {
        let admin = shop.admin();
        admin.run("CREATE TEMP TABLE t (n int PRIMARY KEY)");
        for statement in [
            "DROP TABLE t, orders",
            "TRUNCATE t, orders",
            "CREATE TABLE public.child () INHERITS (t)",
            "CREATE TEMP TABLE child () INHERITS (orders)",
            "CREATE TEMP TABLE child (n int REFERENCES orders)",
            "ALTER TABLE orders INHERIT t",
            "CREATE VIEW public.v AS SELECT * FROM t",
            "CREATE TABLE public.typed (x t)",
            "CREATE TABLE public.typed OF t",
        ] {
            admin.refused(statement, "0A000");
        }
    }
}
