//! Cursors: DECLARE, FETCH, MOVE, CLOSE, WITH HOLD, WHERE CURRENT OF.

use crate::harness::{Client, Mechanism, Shop, both_mechanisms};

both_mechanisms! {
    fn a_cursor_shows_permitted_rows_and_masks(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        ana.run("BEGIN");
        ana.run("DECLARE c SCROLL CURSOR FOR SELECT id FROM orders ORDER BY id");
        assert_eq!(ana.rows("FETCH 5 FROM c"), truth.rows("SELECT id FROM orders WHERE region = 'EMEA' ORDER BY id LIMIT 5"));
        assert_eq!(ana.rows("FETCH LAST FROM c"), truth.rows("SELECT max(id) FROM orders WHERE region = 'EMEA'"));
        assert_eq!(ana.affected("MOVE ABSOLUTE 0 IN c"), 0);
        assert_eq!(ana.rows("FETCH ALL FROM c").len().to_string(), truth.one("SELECT count(*) FROM orders WHERE region = 'EMEA'"));
        ana.run("CLOSE c");
        ana.run("DECLARE m CURSOR FOR SELECT ssn, salary FROM employees");
        assert!(ana.rows("FETCH ALL FROM m").iter().all(|r| r[0].starts_with("***") && r[1] == "0"));
        ana.run("COMMIT");
    }

    fn a_held_cursor_stays_after_commit(shop: shared) {
        let ana = shop.ana();
        ana.run("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT DISTINCT region FROM orders; COMMIT");
        assert_eq!(ana.column("FETCH ALL FROM h"), ["EMEA"]);
        ana.run("CLOSE h");
        ana.refused("FETCH 1 FROM h", "34000");
    }

    fn a_held_cursor_ends_with_the_filter_that_filled_it(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        ana.run("BEGIN; DECLARE p CURSOR WITH HOLD FOR SELECT id FROM products; DECLARE o CURSOR WITH HOLD FOR SELECT id FROM orders; COMMIT");
        ana.run("BEGIN; DECLARE v CURSOR WITH HOLD FOR SELECT id FROM my_orders; DECLARE s CURSOR WITH HOLD FOR SELECT id FROM shipments; COMMIT");
        ana.run("FETCH 1 FROM p; FETCH 1 FROM o; FETCH 1 FROM v; FETCH 1 FROM s");
        admin.run("ALTER TABLE products SET ROW FILTER (id < 0)");
        ana.refused("FETCH 1 FROM p", "34000");
        ana.run("FETCH 1 FROM o; FETCH 1 FROM v; FETCH 1 FROM s");
        admin.run("ALTER TABLE orders SET ROW FILTER (false)");
        ana.refused("FETCH 1 FROM o", "34000");
        ana.refused("FETCH 1 FROM v", "34000");
        ana.run("FETCH 1 FROM s");
    }

    fn a_cursor_ends_with_the_savepoint_that_it_was_declared_after(shop: shared) {
        let ana = shop.ana();
        ana.run("BEGIN; DECLARE a CURSOR FOR SELECT 1; SAVEPOINT s; CREATE TEMPORARY TABLE scratch (id integer); DECLARE b CURSOR FOR TABLE scratch");
        assert_eq!(ana.column("SELECT name FROM pg_cursors ORDER BY name"), ["a", "b"]);
        ana.run("ROLLBACK TO s");
        assert_eq!(ana.one("FETCH 1 FROM a"), "1");
        assert_eq!(ana.refused("FETCH 1 FROM b", "34000").message, "cursor \"b\" does not exist");
        ana.run("ROLLBACK");
    }

    fn a_session_is_shown_its_own_cursors_and_prepared_statements(shop: shared) {
        let (ana, bob) = (shop.ana(), shop.bob());
        bob.run("PREPARE his AS SELECT 1");
        ana.run("PREPARE hers (integer) AS SELECT $1");
        ana.run("BEGIN; DECLARE c CURSOR FOR SELECT 1; DECLARE h CURSOR WITH HOLD FOR SELECT 2; COMMIT");
        let hers = "SELECT name, parameter_types FROM pg_prepared_statements WHERE from_sql";
        assert_eq!(ana.rows(hers), [["hers", "{integer}"]]);
        assert_eq!(ana.rows("SELECT name, statement, is_holdable FROM pg_cursors"), [["h", "DECLARE h CURSOR WITH HOLD FOR SELECT 2", "t"]]);
        assert_eq!(ana.one("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'pgusher%'"), "0");
    }

    fn a_cursor_over_what_is_not_granted_is_refused(shop: shared) {
        let ivan = shop.ivan();
        ivan.run("BEGIN");
        ivan.refused("DECLARE c CURSOR FOR SELECT * FROM employees", "42501");
        ivan.run("ROLLBACK");
        ivan.refused("FETCH 1 FROM nosuch", "34000");
        ivan.refused("DECLARE c CURSOR FOR SELECT 1", "25P01");
    }

    fn a_cursor_that_a_function_opened_is_fetched_from(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        admin.run("CREATE VIEW seen AS SELECT id, region FROM orders");
        admin.run("CREATE VIEW staff AS SELECT ssn, salary FROM employees");
        opens(&admin, "open_orders", "OPEN c FOR SELECT id, region FROM seen ORDER BY id");
        opens(&admin, "open_staff", "OPEN c FOR SELECT ssn, salary FROM staff");
        ana.run("BEGIN");
        assert_eq!(ana.one("SELECT open_orders('o')"), "o");
        assert_eq!(ana.rows("FETCH 3 FROM o"), truth.rows("SELECT id, region FROM orders WHERE region = 'EMEA' ORDER BY id LIMIT 3"));
        assert_eq!(ana.affected("MOVE ALL IN o").to_string(), truth.one("SELECT count(*) - 3 FROM orders WHERE region = 'EMEA'"));
        ana.run("SELECT open_staff('s')");
        assert!(ana.rows("FETCH ALL FROM s").iter().all(|r| r[0].starts_with("***") && r[1] == "0"));
        // A name that PostgreSQL gives, by the extended protocol.
        let unnamed = ana.one("SELECT open_orders(NULL)");
        let fetch = ana.prepare(&format!("FETCH 2 FROM \"{unnamed}\""));
        assert_eq!(ana.try_execute(&fetch, &[]).map(|rows| rows.len()).unwrap(), 2);
        ana.run("CLOSE o");
        ana.refused("FETCH 1 FROM o", "34000");
        ana.run("ROLLBACK");
        assert_eq!(ana.column("BEGIN; SELECT open_orders('o'); FETCH 1 FROM o; COMMIT").last(), truth.column("SELECT id FROM orders WHERE region = 'EMEA' ORDER BY id LIMIT 1").last());
        ana.refused("FETCH 1 FROM o", "34000");
    }

    fn a_cursor_that_a_function_opened_ends_when_policies_change(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        opens(&admin, "open_products", "OPEN c FOR SELECT id FROM products ORDER BY id");
        for change in ["ALTER TABLE products ALTER COLUMN name SET MASK ('x')", "REVOKE EXECUTE ON FUNCTION open_products FROM analysts"] {
            ana.run("BEGIN");
            ana.run("SELECT open_products('p')");
            assert_eq!(ana.one("FETCH 1 FROM p"), "1");
            admin.run(change);
            ana.refused("FETCH 1 FROM p", "55000");
            ana.run("ROLLBACK");
        }
    }

    fn a_cursor_with_hold_that_a_function_made_is_not_read(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        opens(&admin, "hold", "EXECUTE 'DECLARE h CURSOR WITH HOLD FOR SELECT id FROM products'");
        ana.run("BEGIN");
        ana.run("SELECT hold('h')");
        ana.run("SAVEPOINT s");
        ana.refused("FETCH 1 FROM h", "34000");
        ana.run("ROLLBACK TO s");
        ana.run("COMMIT");
        ana.refused("FETCH 1 FROM h", "34000");
    }
}

/// A function for analysts that opens a cursor.
fn opens(admin: &Client, name: &str, statement: &str) {
    admin.run(&format!(
        "CREATE FUNCTION public.{name}(c refcursor) RETURNS refcursor LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN c; END $$"
    ));
    admin.run(&format!("GRANT EXECUTE ON FUNCTION {name} TO analysts"));
}

/// WHERE CURRENT OF needs a table, not a view: mechanism `rls`.
#[test]
fn where_current_of_meets_the_filter() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (ana, truth) = (shop.ana(), shop.truth());
    ana.run("BEGIN");
    ana.run("DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id FOR UPDATE");
    let id = ana.one("FETCH 1 FROM c");
    assert_eq!(ana.affected("UPDATE orders SET note = 'current' WHERE CURRENT OF c"), 1);
    ana.run("COMMIT");
    assert_eq!(truth.rows("SELECT id, region FROM orders WHERE note = 'current'"), [[id.as_str(), "EMEA"]]);
}
