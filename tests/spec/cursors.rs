//! Cursors: DECLARE, FETCH, MOVE, CLOSE, WITH HOLD, WHERE CURRENT OF.

use crate::harness::{Mechanism, Shop, both_mechanisms};

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

    fn a_cursor_over_what_is_not_granted_is_refused(shop: shared) {
        let ivan = shop.ivan();
        ivan.run("BEGIN");
        ivan.refused("DECLARE c CURSOR FOR SELECT * FROM employees", "42501");
        ivan.run("ROLLBACK");
        ivan.refused("FETCH 1 FROM nosuch", "34000");
        ivan.refused("DECLARE c CURSOR FOR SELECT 1", "25P01");
    }
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
