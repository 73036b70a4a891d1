//! Row filters: everybody's own rows, on every path of reading and writing.

use crate::harness::{Mechanism, Shop, every_mechanism};

/// A row that violates a filter is reported as PostgreSQL reports it for row security, whatever the mechanism.
const VIOLATION: &str = "42501";

const INSERT: &str = "INSERT INTO orders (customer_id, region, sales_rep, status, ordered_on) ";

every_mechanism! {
    fn each_analyst_counts_the_rows_of_the_filter_written_by_hand(shop: shared) {
        let truth = shop.truth();
        for (person, region) in [(shop.ana(), "EMEA"), (shop.bob(), "AMER")] {
            for table in ["orders", "order_items", "customers", "shipments"] {
                let expected = truth.one(&format!("SELECT count(*) FROM {table} WHERE region = '{region}'"));
                assert_eq!(person.one(&format!("SELECT count(*) FROM {table}")), expected, "{table} in {region}");
                assert_eq!(person.column(&format!("SELECT DISTINCT region FROM {table}")), [region]);
            }
        }
        for person in [shop.hana(), shop.admin(), shop.connect("bi_tool")] {
            assert_eq!(person.one("SELECT count(*) FROM orders"), truth.one("SELECT count(*) FROM orders"));
        }
    }

    fn joins_aggregates_and_windows_see_permitted_rows_only(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        for (query, by_hand) in [
            ("SELECT sum(amount) FROM orders", "SELECT sum(amount) FROM orders WHERE region = 'EMEA'"),
            (
                "SELECT count(*), sum(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE p.price > 100",
                "SELECT count(*), sum(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE p.price > 100 AND o.region = 'EMEA'",
            ),
            (
                "SELECT r.code, count(o.id) FROM regions r LEFT JOIN orders o ON o.region = r.code GROUP BY 1 ORDER BY 1",
                "SELECT r.code, count(o.id) FROM regions r LEFT JOIN (SELECT * FROM orders WHERE region = 'EMEA') o ON o.region = r.code GROUP BY 1 ORDER BY 1",
            ),
            (
                "SELECT id, rank() OVER (ORDER BY amount DESC, id) FROM orders ORDER BY 2 LIMIT 7",
                "SELECT id, rank() OVER (ORDER BY amount DESC, id) FROM orders WHERE region = 'EMEA' ORDER BY 2 LIMIT 7",
            ),
            (
                "SELECT c.id, n.k FROM customers c, LATERAL (SELECT count(*) AS k FROM orders o WHERE o.customer_id = c.id) n ORDER BY n.k DESC, c.id LIMIT 5",
                "SELECT c.id, n.k FROM customers c, LATERAL (SELECT count(*) AS k FROM orders o WHERE o.customer_id = c.id) n WHERE c.region = 'EMEA' ORDER BY n.k DESC, c.id LIMIT 5",
            ),
            (
                "SELECT region, status, count(*) FROM orders GROUP BY GROUPING SETS ((region), (status), ()) ORDER BY 1, 2",
                "SELECT region, status, count(*) FROM (SELECT * FROM orders WHERE region = 'EMEA' OFFSET 0) o GROUP BY GROUPING SETS ((region), (status), ()) ORDER BY 1, 2",
            ),
            (
                "WITH RECURSIVE t(n) AS (SELECT min(id) FROM orders UNION ALL SELECT (SELECT min(id) FROM orders o WHERE o.id > t.n) FROM t WHERE t.n IS NOT NULL) SELECT count(n) FROM (SELECT n FROM t LIMIT 20) x",
                "SELECT 20",
            ),
            (
                "SELECT id FROM orders UNION SELECT order_id FROM shipments EXCEPT SELECT order_id FROM invoices ORDER BY 1 LIMIT 9",
                "SELECT id FROM orders WHERE region = 'EMEA' EXCEPT SELECT order_id FROM invoices ORDER BY 1 LIMIT 9",
            ),
        ] {
            assert_eq!(ana.rows(query), truth.rows(by_hand), "{query}");
        }
    }

    fn partitions_are_filtered_like_their_parent(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        ana.refused("SELECT count(*) FROM shipments_2024", "42501");
        for table in ["shipments_2024", "shipments_2025", "shipments_2025_rest", "shipments_2025_emea"] {
            admin.run(&format!("GRANT SELECT ON TABLE {table} TO analysts"));
            let expected = truth.one(&format!("SELECT count(*) FROM {table} WHERE region = 'EMEA'"));
            assert_eq!(ana.one(&format!("SELECT count(*) FROM {table}")), expected, "{table}");
        }
    }

    fn a_partition_added_later_is_filtered_too(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE TABLE public.shipments_2026 PARTITION OF public.shipments FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')");
        shop.truth().run("INSERT INTO shipments VALUES (900001, 1, 'AMER', 'x', 'y', '2027-02-02'), (900002, 1, 'EMEA', 'x', 'y', '2027-02-02')");
        assert_eq!(ana.column("SELECT id FROM shipments WHERE shipped_on > '2027-01-01'"), ["900002"]);
        admin.run("GRANT SELECT ON TABLE shipments_2026 TO analysts");
        assert_eq!(ana.column("SELECT id FROM shipments_2026"), ["900002"]);
    }

    fn a_filter_reads_a_mapping_table_that_its_reader_cannot(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        assert_eq!(ana.one("SELECT count(*) FROM invoices"), truth.one("SELECT count(*) FROM invoices WHERE region = 'EMEA'"));
        ana.refused("SELECT * FROM region_desk", "42501");
    }

    fn a_row_outside_the_filter_cannot_be_inserted(shop: fresh) {
        let ana = shop.ana();
        let before = shop.truth().one("SELECT count(*) FROM orders");
        ana.run(&format!("{INSERT} VALUES (1, 'EMEA', 'ana@example.com', 'open', '2025-01-01')"));
        ana.refused(&format!("{INSERT} VALUES (1, 'AMER', 'ana@example.com', 'open', '2025-01-01')"), VIOLATION);
        ana.refused(&format!("{INSERT} SELECT 1, code, 'ana@example.com', 'open', '2025-01-01' FROM regions"), VIOLATION);
        ana.refused("UPDATE orders SET region = 'AMER'", VIOLATION);
        let after: i64 = shop.truth().one("SELECT count(*) FROM orders").parse().expect("a number");
        assert_eq!(after, before.parse::<i64>().expect("a number") + 1);
    }

    fn updates_and_deletes_touch_visible_rows_only(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let sum = "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o WHERE region <> 'EMEA'";
        let others = truth.one(sum);
        let mine: u64 = truth.one("SELECT count(*) FROM orders WHERE region = 'EMEA'").parse().expect("a number");
        assert_eq!(ana.affected("UPDATE orders SET note = 'touched'"), mine);
        assert_eq!(ana.affected("UPDATE orders SET note = 'from' FROM regions r WHERE r.code = 'AMER' AND orders.region = r.code"), 0);
        let hidden = truth.one("SELECT min(id) FROM orders WHERE region = 'AMER'");
        assert_eq!(ana.affected(&format!("DELETE FROM orders WHERE id = {hidden}")), 0);
        assert_eq!(ana.affected(&format!("UPDATE orders SET status = 'open' WHERE id = {hidden}")), 0);
        assert!(ana.rows(&format!("UPDATE orders SET status = 'open' WHERE id = {hidden} RETURNING *")).is_empty());
        assert_eq!(truth.one(sum), others, "nobody else's rows were touched");
    }

    fn a_changed_filter_holds_from_the_next_statement_on(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        let count = "SELECT count(*) FROM orders";
        let prepared = ana.prepare(count);
        ana.one(count);
        admin.run("ALTER TABLE orders SET ROW FILTER (region = 'APAC')");
        let apac = truth.one("SELECT count(*) FROM orders WHERE region = 'APAC'");
        assert_eq!(ana.one(count), apac);
        assert_eq!(ana.try_execute(&prepared, &[]).expect("still granted")[0].get::<_, i64>(0).to_string(), apac);
        admin.run("ALTER TABLE orders DROP ROW FILTER");
        assert_eq!(ana.one(count), truth.one(count));
        admin.run("ALTER TABLE orders SET ROW FILTER (false)");
        assert_eq!(ana.one(count), "0");
        assert_eq!(admin.one(count), "0", "filters apply to administrators too");
    }

    fn a_filter_that_says_null_shows_nothing(shop: fresh) {
        let admin = shop.admin();
        admin.run("ALTER TABLE orders SET ROW FILTER (CASE WHEN is_member('nobody at all') THEN true END)");
        assert_eq!(shop.ana().one("SELECT count(*) FROM orders"), "0");
    }

    fn a_filter_set_in_a_transaction_rolls_back_with_it(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        let before = ana.one("SELECT count(*) FROM orders");
        admin.run("BEGIN");
        admin.run("ALTER TABLE orders SET ROW FILTER (false)");
        assert_eq!(admin.one("SELECT count(*) FROM orders"), "0", "seen in its own transaction");
        admin.run("ROLLBACK");
        assert_eq!(ana.one("SELECT count(*) FROM orders"), before);
    }

    fn the_identity_is_that_of_the_person_in_every_spelling(shop: shared) {
        let ana = shop.ana();
        for spelling in ["current_user", "current_user()", "session_user", "session_user()", "user", "CURRENT_USER ( )", "current_user /* no */ ()"] {
            assert_eq!(ana.one(&format!("SELECT {spelling}")), "ana@example.com", "{spelling}");
        }
        assert_eq!(ana.headings("SELECT current_user, session_user, user"), ["current_user", "session_user", "user"]);
        assert_eq!(ana.rows("SELECT is_member('emea_analysts'), is_member('analysts'), is_member('hr'), is_member('users'), is_member('nobody')"),
            [["t", "t", "f", "t", "f"]]);
        assert_eq!(ana.one("SELECT count(*) FROM employees WHERE email LIKE 'a%' AND current_user = 'ana@example.com'"),
            shop.truth().one("SELECT count(*) FROM employees WHERE email LIKE 'a%'"));
    }

    fn an_unfiltered_table_is_read_whole(shop: shared) {
        assert_eq!(shop.ana().one("SELECT count(*) FROM products"), "300");
    }

    fn on_conflict_does_not_steal_a_hidden_row(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let hidden = truth.one("SELECT min(id) FROM orders WHERE region = 'AMER'");
        let before = truth.rows(&format!("SELECT * FROM orders WHERE id = {hidden}"));
        let steal = format!(
            "INSERT INTO orders (id, customer_id, region, sales_rep, status, ordered_on) VALUES ({hidden}, 1, 'EMEA', 'ana@example.com', 'open', '2025-01-01')
             ON CONFLICT (id) DO UPDATE SET region = 'EMEA', note = 'mine' RETURNING *"
        );
        let refusal = ana.try_rows(&steal).expect_err("a hidden row is not given away");
        assert!(["42501", "0A000"].contains(&refusal.code.as_str()), "{refusal}");
        assert_eq!(truth.rows(&format!("SELECT * FROM orders WHERE id = {hidden}")), before);
    }

    fn inserts_into_a_filtered_table_work_in_every_form(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let row = "(1, 'EMEA', 'ana@example.com', 'open', '2025-01-01')";
        assert_eq!(ana.affected(&format!("{INSERT} VALUES {row}, {row}")), 2);
        assert_eq!(ana.rows(&format!("{INSERT} VALUES {row} RETURNING region, orders.status, id > 0")), [["EMEA", "open", "t"]]);
        assert_eq!(ana.rows("INSERT INTO public.orders AS o (customer_id, region, sales_rep, status, ordered_on) VALUES (1, 'EMEA', 'ana@example.com', 'open', '2025-01-01') RETURNING o.*").len(), 1);
        assert_eq!(ana.affected(&format!("{INSERT} SELECT customer_id, region, sales_rep, status, ordered_on FROM orders ORDER BY id LIMIT 3")), 3);
        assert_eq!(ana.one(&format!("WITH new AS ({INSERT} VALUES {row} RETURNING *) SELECT count(*) FROM new")), "1");
        let hidden = truth.one("SELECT min(id) FROM orders WHERE region = 'AMER'");
        let with_id = |id: &str| format!("INSERT INTO orders (id, customer_id, region, sales_rep, status, ordered_on) VALUES ({id}, 1, 'EMEA', 'ana@example.com', 'open', '2025-01-01')");
        for conflict in ["ON CONFLICT DO NOTHING", "ON CONFLICT (id) DO NOTHING"] {
            assert!(ana.rows(&format!("{} {conflict} RETURNING *", with_id(&hidden))).is_empty(), "a row is there, hidden or not");
            assert_eq!(ana.rows(&format!("{} {conflict} RETURNING id", with_id("800001"))), [["800001"]]);
            assert_eq!(ana.affected("DELETE FROM orders WHERE id = 800001"), 1);
        }
        let refusals = [
            ana.refused(&with_id(&hidden), "23505"),
            ana.refused(&format!("{INSERT} VALUES (1, 'AMER', 'ana@example.com', 'open', '2025-01-01')"), "42501"),
            ana.refused("INSERT INTO orders (id, nosuch) VALUES (1, 2)", "42703"),
            ana.refused("INSERT INTO orders (id) VALUES (800002)", if shop.mechanism != Mechanism::View { "42501" } else { "23502" }),
        ];
        for refusal in refusals {
            assert!(!refusal.to_string().contains('$') && !refusal.to_string().contains("pgusher"), "{refusal}");
        }
    }

    fn inserts_into_a_filtered_and_masked_table_work_in_every_form(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        admin.run("ALTER TABLE customers ALTER COLUMN email SET MASK ('hidden')");
        admin.run("GRANT MODIFY ON TABLE customers TO analysts");
        ana.run("INSERT INTO customers VALUES (9001, 'New', 'new@customer.example', NULL, 'Oslo', 'EMEA', '2025-01-01')");
        assert_eq!(
            ana.rows("INSERT INTO customers AS c (id, email, name, city, region, since) VALUES (9002, 'two@customer.example', 'Two', 'Oslo', 'EMEA', '2025-01-01') RETURNING id, c.email, name"),
            [["9002", "hidden", "Two"]]
        );
        assert_eq!(ana.rows("INSERT INTO customers VALUES (9003, 'x', 'y', NULL, 'Oslo', 'EMEA', '2025-01-01') ON CONFLICT (id) DO NOTHING RETURNING *")[0][2], "hidden");
        let hidden = truth.one("SELECT min(id) FROM customers WHERE region = 'AMER'");
        assert!(ana.rows(&format!("INSERT INTO customers VALUES ({hidden}, 'x', 'y', NULL, 'Oslo', 'EMEA', '2025-01-01') ON CONFLICT (id) DO NOTHING RETURNING *")).is_empty());
        assert_eq!(ana.copy_in("COPY customers (id, name, email, city, region, since) FROM STDIN", "9004\tFour\tfour@customer.example\tOslo\tEMEA\t2025-01-01\n").expect("her own region"), 1);
        let refusal = ana.copy_in("COPY customers (id, name, email, city, region, since) FROM STDIN", "9005\tFive\tf\tLima\tAMER\t2025-01-01\n").expect_err("another region");
        assert!(refusal.code == "42501" && !refusal.to_string().contains('$'), "{refusal}");
        let steal = format!("INSERT INTO customers VALUES ({hidden}, 'x', 'y', NULL, 'Oslo', 'EMEA', '2025-01-01') ON CONFLICT (id) DO UPDATE SET region = 'EMEA' RETURNING *");
        let refusal = ana.try_rows(&steal).expect_err("a hidden row is not given away");
        assert!(["42501", "0A000"].contains(&refusal.code.as_str()), "{refusal}");
        assert_eq!(truth.column("SELECT email FROM customers WHERE id > 9000 ORDER BY id"), ["new@customer.example", "two@customer.example", "y", "four@customer.example"]);
        assert_eq!(truth.one(&format!("SELECT region FROM customers WHERE id = {hidden}")), "AMER");
    }

    fn a_view_over_a_filtered_table_takes_what_its_mechanism_can_check(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE VIEW public.desk AS SELECT id, customer_id, region, sales_rep, status, ordered_on FROM orders");
        admin.run("GRANT SELECT, MODIFY ON VIEW desk TO analysts");
        let insert = "INSERT INTO desk VALUES (800001, 1, 'EMEA', 'ana@example.com', 'open', '2025-01-01')";
        match shop.mechanism {
            Mechanism::Rls | Mechanism::Strict => assert_eq!(ana.affected(insert), 1),
            Mechanism::View => { ana.refused(insert, "0A000"); }
        }
        assert_ne!(ana.affected("UPDATE desk SET status = 'paid' WHERE id < 100"), 0);
        ana.refused("UPDATE desk SET region = 'AMER' WHERE id < 100", "42501");
    }

    fn other_roles_of_the_application_see_what_they_saw_before(shop: fresh) {
        let truth = shop.truth();
        truth.run("DROP ROLE IF EXISTS application; CREATE ROLE application; GRANT SELECT ON orders, employees TO application; SET ROLE application");
        assert_eq!(truth.one("SELECT count(*) FROM orders"), "3000");
        assert_eq!(truth.one("SELECT count(*) FROM employees WHERE ssn LIKE '%-1001'"), "1");
        truth.run("RESET ROLE; DROP OWNED BY application; DROP ROLE application; SET ROLE shop_owner");
        assert_eq!(truth.one("SELECT count(*) FROM orders"), "3000");
    }
}

/// MERGE works in place where the filter is row security (PostgreSQL refuses it on views).
#[test]
fn merge_meets_the_filter() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (ana, truth) = (shop.ana(), shop.truth());
    if shop.upstream.major() < 15 {
        ana.refused("MERGE INTO orders o USING regions r ON false WHEN NOT MATCHED THEN DO NOTHING", "42601");
        return;
    }
    let amer = truth.one("SELECT count(*) FROM orders WHERE region = 'AMER' AND note = 'merged'");
    let merge = "MERGE INTO orders o USING (SELECT id FROM orders) s ON s.id = o.id WHEN MATCHED THEN UPDATE SET note = 'merged'";
    assert_eq!(
        ana.affected(merge),
        truth.one("SELECT count(*) FROM orders WHERE region = 'EMEA'").parse::<u64>().expect("a number")
    );
    assert_eq!(truth.one("SELECT count(*) FROM orders WHERE region = 'AMER' AND note = 'merged'"), amer);
    let hidden = truth.one("SELECT min(id) FROM orders WHERE region = 'AMER'");
    assert_eq!(
        ana.affected(&format!(
            "MERGE INTO orders o USING (VALUES ({hidden}::bigint)) s(id) ON s.id = o.id WHEN MATCHED THEN DELETE"
        )),
        0
    );
    ana.refused("MERGE INTO orders o USING regions r ON false WHEN NOT MATCHED THEN INSERT (customer_id, region, sales_rep, status, ordered_on) VALUES (1, r.code, 'ana@example.com', 'open', '2025-01-01')", "42501");
}
