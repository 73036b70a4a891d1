//! Column masks: what a reader may not see, no clause sees; what one may write, one may still write.

use crate::harness::{Client, NULL, every_mechanism};

every_mechanism! {
    fn an_analyst_reads_masks_and_hr_reads_values(shop: shared) {
        let truth = shop.truth();
        assert_eq!(
            shop.ana().rows("SELECT name, email, ssn, salary, phone FROM employees ORDER BY id LIMIT 3"),
            truth.rows("SELECT name, left(email, 1) || '***@' || split_part(email, '@', 2), '***-**-' || right(ssn, 4), 0, NULL FROM employees ORDER BY id LIMIT 3")
        );
        let everything = "SELECT * FROM employees ORDER BY id";
        assert_eq!(shop.hana().rows(everything), truth.rows(everything));
    }

    fn columns_keep_their_names_types_tables_and_order(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        for query in ["SELECT * FROM employees", "SELECT * FROM customers", "TABLE employees", "SELECT e.* FROM employees e"] {
            let columns = |client: &Client| {
                let statement = client.prepare(query);
                let described = statement.columns().iter();
                described.map(|c| (c.name().to_string(), c.type_().clone(), c.table_oid(), c.column_id())).collect::<Vec<_>>()
            };
            assert_eq!(columns(&ana), columns(&truth), "{query}");
        }
    }

    fn no_clause_sees_under_the_mask(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let real = truth.rows("SELECT ssn, email, salary FROM employees WHERE id = 7").swap_remove(0);
        assert!(ana.rows(&format!("SELECT * FROM employees WHERE ssn = '{}'", real[0])).is_empty());
        assert!(ana.rows(&format!("SELECT * FROM employees WHERE email = '{}'", real[1])).is_empty());
        assert!(ana.rows(&format!("SELECT * FROM employees WHERE salary = {}", real[2])).is_empty());
        assert!(ana.rows("SELECT * FROM employees WHERE salary > 0 OR phone IS NOT NULL").is_empty());
        assert_eq!(ana.one("SELECT max(salary) FROM employees"), "0");
        assert_eq!(ana.one("SELECT count(DISTINCT salary) FROM employees"), "1");
        assert_eq!(ana.one("SELECT array_agg(DISTINCT salary) FROM employees"), "{0}");
        assert_eq!(ana.column("SELECT email FROM employees GROUP BY email HAVING count(*) = 1 AND email NOT LIKE '%***@example.com'"), Vec::<String>::new());
        assert_eq!(ana.column("SELECT id FROM employees ORDER BY salary, id LIMIT 5"), ["1", "2", "3", "4", "5"], "sorted by the mask, then by id");
        assert_eq!(ana.column("SELECT first_value(id) OVER (ORDER BY salary DESC, id) FROM employees LIMIT 1"), ["1"]);
        assert!(ana.rows("SELECT e.id FROM employees e JOIN orders o ON o.sales_rep = e.email").is_empty(), "a join meets the mask");
        assert_eq!(ana.one("SELECT count(*) FROM employees WHERE (ssn, salary) IN (SELECT ssn, salary FROM employees)"), "200");
        assert_eq!(ana.one("SELECT coalesce(phone, 'none') FROM employees LIMIT 1"), "none");
    }

    fn a_table_may_have_a_filter_and_masks(shop: shared) {
        let truth = shop.truth();
        let ivan = shop.ivan();
        assert_eq!(ivan.one("SELECT count(*) FROM customers"), truth.one("SELECT count(*) FROM customers WHERE region = 'APAC'"));
        assert_eq!(ivan.column("SELECT DISTINCT email FROM customers"), ["hidden"]);
        assert_eq!(shop.ana().one("SELECT count(DISTINCT email) FROM customers"), truth.one("SELECT count(*) FROM customers WHERE region = 'EMEA'"));
    }

    fn who_sees_a_mask_may_write_the_column_all_the_same(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        admin.run("GRANT SELECT, MODIFY ON TABLE employees TO analysts");
        assert_eq!(ana.affected("UPDATE employees SET salary = 61000, phone = '+1 555 0000000' WHERE id = 7"), 1);
        assert_eq!(truth.rows("SELECT salary, phone FROM employees WHERE id = 7"), [["61000", "+1 555 0000000"]]);
        assert_eq!(ana.rows("SELECT salary, phone FROM employees WHERE id = 7"), [["0", NULL]]);
        // What a write reads of a masked column is the mask.
        ana.refused("UPDATE employees SET salary = salary WHERE id = 8", "23514");
        assert_eq!(ana.affected("UPDATE employees SET salary = salary + 5 WHERE id = 8"), 1);
        assert_eq!(truth.one("SELECT salary FROM employees WHERE id = 8"), "5");
        assert_eq!(ana.rows("UPDATE employees SET salary = 62000 WHERE id = 9 RETURNING id, salary, ssn = (SELECT ssn FROM employees WHERE id = 9)"), [["9", "0", "t"]]);
        let ssn = truth.one("SELECT ssn FROM employees WHERE id = 10");
        assert_eq!(ana.affected(&format!("UPDATE employees SET title = 'found' WHERE ssn = '{ssn}'")), 0);
        assert_eq!(ana.affected(&format!("DELETE FROM employees WHERE ssn = '{ssn}'")), 0);
        ana.run("INSERT INTO employees VALUES (1001, 'New Person', 'new@example.com', '+1', 'Clerk', 'EMEA', NULL, '2025-01-01', 50000, '111-11-1111')");
        ana.run("INSERT INTO employees (id, ssn, salary, email, name, title, region, hired_on) VALUES (1002, '111-11-1112', 51000, 'n2@example.com', 'N', 'Clerk', 'EMEA', '2025-01-01')");
        assert_eq!(truth.rows("SELECT id, salary, ssn FROM employees WHERE id > 1000 ORDER BY 1"), [["1001", "50000", "111-11-1111"], ["1002", "51000", "111-11-1112"]]);
        assert_eq!(ana.rows("INSERT INTO employees (id, name, email, title, region, hired_on, salary, ssn) SELECT 1003, 'x', 'n3@example.com', 'Clerk', 'EMEA', '2025-01-01', 1 + salary, '111-11-1113' FROM employees WHERE id = 1 RETURNING *")[0][8], "0");
        assert_eq!(truth.one("SELECT salary FROM employees WHERE id = 1003"), "1");
        assert_eq!(ana.affected("DELETE FROM employees WHERE id > 1000"), 3);
    }

    fn an_upsert_reads_masks(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        admin.run("GRANT MODIFY ON TABLE employees TO analysts");
        let upsert = "INSERT INTO employees AS e (id, name, email, title, region, hired_on, salary, ssn) VALUES (7, 'x', 'x@example.com', 'Clerk', 'EMEA', '2025-01-01', 1, '1')
                      ON CONFLICT (id) DO UPDATE SET title = e.ssn || '/' || excluded.name RETURNING title";
        let title = ana.one(upsert);
        assert!(title.starts_with("***-**-") && title.ends_with("/x"), "{title}");
        assert!(!truth.one("SELECT title FROM employees WHERE id = 7").contains(&truth.one("SELECT ssn FROM employees WHERE id = 7")));
    }

    fn a_mask_by_function_takes_further_columns(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        admin.run("CREATE FUNCTION public.near(salary integer, region text, step integer) RETURNS integer LANGUAGE sql STABLE AS $$ SELECT CASE WHEN region = 'EMEA' THEN salary / step * step ELSE -1 END $$");
        admin.run("ALTER TABLE employees ALTER COLUMN salary SET MASK near USING COLUMNS (region, 10000)");
        assert_eq!(
            ana.rows("SELECT id, salary FROM employees ORDER BY id"),
            truth.rows("SELECT id, CASE WHEN region = 'EMEA' THEN salary / 10000 * 10000 ELSE -1 END FROM employees ORDER BY id")
        );
        admin.run("ALTER TABLE employees ALTER COLUMN salary DROP MASK");
        assert_eq!(ana.one("SELECT sum(salary) FROM employees"), truth.one("SELECT sum(salary) FROM employees"));
        assert!(ana.one("SELECT ssn FROM employees WHERE id = 1").starts_with("***"), "the other masks stay");
    }

    fn a_mask_that_does_not_fit_is_refused_when_it_is_set(shop: fresh) {
        let admin = shop.admin();
        assert!(admin.try_rows("ALTER TABLE employees ALTER COLUMN salary SET MASK ('not a number at all'::text)").is_err() || {
            // Accepted only if reading then fails instead of showing NULL.
            shop.ana().try_rows("SELECT salary FROM employees").is_err()
        });
        admin.refused("ALTER TABLE employees ALTER COLUMN nosuch SET MASK (NULL)", "42703");
        admin.refused("ALTER TABLE nosuch ALTER COLUMN x SET MASK (NULL)", "42P01");
        admin.refused("ALTER TABLE employees ALTER COLUMN salary SET MASK nosuch", "42883");
    }

    fn a_masked_column_may_be_renamed_or_dropped_only_without_opening_it(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        let ssn = truth.one("SELECT ssn FROM employees WHERE id = 1");
        let _ = admin.try_rows("ALTER TABLE employees RENAME COLUMN ssn TO social");
        for query in ["SELECT social FROM employees WHERE id = 1", "SELECT ssn FROM employees WHERE id = 1", "SELECT * FROM employees WHERE id = 1", "SELECT employees::text FROM employees WHERE id = 1"] {
            if let Ok(rows) = ana.try_rows(query) {
                assert!(!rows.concat().iter().any(|v| v.contains(&ssn)), "{query}: {rows:?}");
            }
        }
    }

    /// PostgreSQL takes a table's other columns for granted where GROUP BY names its primary key, and Django, Rails and others count
    /// on that. A view has no key.
    fn a_masked_table_is_grouped_by_its_primary_key_alone(shop: shared) {
        let (hana, truth) = (shop.hana(), shop.truth());
        for query in [
            "SELECT e.id, e.name, e.salary, count(o.id) FROM employees e LEFT JOIN orders o ON o.sales_rep = e.email GROUP BY e.id ORDER BY e.hired_on, e.id",
            "SELECT e.*, count(*) FROM employees e GROUP BY e.id ORDER BY 1",
            "SELECT id AS key, upper(title) FROM employees GROUP BY key HAVING max(ssn) > '5' ORDER BY 1",
            "SELECT id, (SELECT r.name FROM regions r WHERE r.code = employees.region) FROM employees GROUP BY 1 ORDER BY 1",
        ] {
            assert_eq!(hana.rows(query), truth.rows(query), "{query}");
        }
        let (ana, query) = (shop.ana(), "SELECT id, salary FROM employees GROUP BY id ORDER BY id");
        assert_eq!(ana.rows(query), truth.rows("SELECT id, 0 FROM employees ORDER BY id"));
        ana.refused("SELECT name, salary FROM employees GROUP BY name", "42803");
        ana.refused("SELECT id, salary FROM employees GROUP BY ROLLUP (id)", "42803");
        let query = "SELECT o.id, o.region, sum(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id ORDER BY 1";
        assert_eq!(ana.rows(query), truth.rows(&query.replace("GROUP BY", "WHERE o.region = 'EMEA' GROUP BY")));
    }

    /// What drivers ask for: the whole row of a masked table, and what a write returns, come from the table too.
    fn whole_rows_and_returned_columns_come_from_the_table(shop: fresh) {
        let truth = shop.truth();
        let origin = |sql: &str| {
            let mut raw = shop.raw("ana@example.com");
            raw.send(&[crate::harness::frame::query(sql)]);
            let described = raw.until_ready().into_iter().find(|f| f.tag == 'T').expect("a RowDescription");
            let name = 2 + described.body[2..].iter().position(|b| *b == 0).expect("a name ends");
            u32::from_be_bytes(described.body[name + 1..name + 5].try_into().expect("four bytes")).to_string()
        };
        assert_eq!(origin("SELECT e FROM employees e LIMIT 1"), truth.one("SELECT 'employees'::regclass::oid"));
        assert_eq!(
            origin("INSERT INTO orders (customer_id, region, sales_rep, status, ordered_on) VALUES (1, 'EMEA', 'ana@example.com', 'open', '2025-01-01') RETURNING id"),
            truth.one("SELECT 'orders'::regclass::oid")
        );
    }
}
