//! Where errors point, and what a refusal in the midst of a pipeline is: as PostgreSQL has it, whatever was sent in the text's place.

use crate::harness::{Client, Refusal, Shop, both_mechanisms, frame};

/// Everything that ana may write, and a truth that sees the same names.
fn open(shop: &Shop) -> (Client, Client) {
    shop.admin().run("GRANT SELECT, MODIFY ON TABLE employees TO analysts");
    (shop.ana(), shop.truth())
}

fn told(refusal: &Refusal) -> (String, String, Option<u32>) {
    (refusal.code.clone(), refusal.message.clone(), refusal.position)
}

const WRONG: &[&str] = &[
    "SELECT 'é', (SELECT max(salary) FROM employees), nosuch FROM orders",
    "SELECT e.*, f.id FROM employees e JOIN orders ON true",
    "SELECT nosuch FROM employees, public.orders, shop.public.customers",
    "SELECT id /* é */ || salary + name FROM public.employees",
    "SELECT * FROM employees e JOIN customers c ON e.id = c.id WHERE e.salary = 'abc'",
    "SELECT public.employees.nosuch FROM public.employees",
    "SELECT count(*) FROM employees GROUP BY ssn HAVING max(nosuch) > 1 ORDER BY 1",
    "SELECT * FROM employees, nosuch",
    "SELECT * FROM employees WHERE salary > (SELECT nosuch FROM customers)",
    "UPDATE employees SET salary = salary + 1, nosuch = 2",
    "UPDATE employees SET ssn = 'é', salary = DEFAULT, name = nosuch WHERE id = 1",
    "UPDATE employees SET name = 'x' WHERE id = 1 RETURNING *, nosuch",
    "UPDATE employees SET (salary, ssn) = (SELECT 1, nosuch)",
    "INSERT INTO employees (id, ssn, salary) VALUES (1, 'é', 'abc')",
    "INSERT INTO employees (id, ssn) VALUES (1, '2') ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn, name = nosuch",
    "INSERT INTO employees (id, ssn) SELECT id, ssn, nosuch FROM employees",
    "DELETE FROM employees USING orders WHERE nosuch = 1 RETURNING employees.*",
    "WITH x AS (DELETE FROM employees RETURNING *) SELECT nosuch FROM x",
    "COPY (SELECT ssn, nosuch FROM employees) TO STDOUT",
    "PREPARE p AS SELECT ssn, nosuch FROM employees WHERE id = $1",
];

both_mechanisms! {
    fn an_error_points_to_where_it_does_without_a_proxy(shop: fresh) {
        let (ana, truth) = open(shop);
        for sql in WRONG {
            let expected = truth.try_rows(sql).expect_err(sql);
            assert!(expected.position.is_some(), "{sql}: {expected}");
            assert_eq!(told(&ana.try_rows(sql).expect_err(sql)), told(&expected), "{sql}");
            // After others in one Query, sent together and one by one.
            for before in ["SELECT 'é', ssn FROM employees LIMIT 1; ", "SET search_path = public; SELECT ssn FROM employees; ", "/* é */ DEALLOCATE ALL; "] {
                let sql = format!("{before}{sql}");
                assert_eq!(told(&ana.try_rows(&sql).expect_err(&sql)), told(&truth.try_rows(&sql).expect_err(&sql)), "{sql}");
            }
            if !sql.starts_with("PREPARE") && !sql.starts_with("COPY") {
                assert_eq!(told(&ana.try_prepare(sql).expect_err("wrong")), told(&expected), "Parse of {sql}");
            }
        }
    }

    /// What was prepared is looked at again when something moved: the error points into that text, not into the one of the moment.
    fn an_error_in_what_was_prepared_points_into_that(shop: fresh) {
        let (ana, truth) = open(shop);
        let admin = shop.admin();
        let text = "SELECT 'é', employees.ssn FROM employees JOIN passing AS p ON true WHERE p.kind = 1";
        for spoil in ["ALTER TABLE passing RENAME COLUMN kind TO sort", "ALTER TABLE passing RENAME TO gone"] {
            admin.run("CREATE TABLE public.passing (id integer, kind integer)");
            admin.run("GRANT SELECT ON TABLE passing TO analysts");
            let prepared = [ana.prepare(text), truth.prepare(text)];
            for client in [&ana, &truth] {
                client.run(&format!("PREPARE held AS {text}"));
            }
            admin.run(spoil);
            let expected = told(&truth.try_execute(&prepared[1], &[]).expect_err("gone"));
            assert!(expected.2.is_some());
            assert_eq!(told(&ana.try_execute(&prepared[0], &[]).expect_err("gone")), expected, "{spoil}");
            for execute in ["EXECUTE held", "SELECT 'a longer text than nothing'; EXECUTE held"] {
                let expected = told(&truth.try_rows(execute).expect_err("gone"));
                assert_eq!(told(&ana.try_rows(execute).expect_err("gone")), expected, "{spoil}: {execute}");
            }
            for client in [&ana, &truth] {
                client.run("DEALLOCATE ALL");
            }
            admin.run(if spoil.ends_with("gone") { "DROP TABLE gone" } else { "DROP TABLE passing" });
        }
    }

    /// A transaction that a ROLLBACK TO mends is no failed one for what follows in the pipeline.
    fn a_refusal_after_a_rollback_to_is_told_as_what_it_is(shop: shared) {
        for mend in ["ROLLBACK TO z", "ROLLBACK", "ROLLBACK AND CHAIN", "COMMIT"] {
            for at_once in [true, false] {
                let mut raw = shop.raw("ivan@example.com");
                for sql in ["BEGIN", "SAVEPOINT z", "SELECT 1/0"] {
                    raw.send(&[frame::query(sql)]);
                    raw.until_ready();
                }
                let mending = [frame::parse("", mend), frame::bind("", "", &[], 0), frame::execute("", 0)];
                raw.send(&mending);
                if !at_once {
                    raw.send(&[frame::flush()]);
                    for tag in ['1', '2', 'C'] {
                        raw.expect(tag);
                    }
                }
                raw.send(&[frame::parse("", "SELECT * FROM employees"), frame::sync()]);
                let frames = raw.until_ready();
                let error = frames.iter().find(|f| f.tag == 'E').expect("a refusal");
                assert_eq!(error.refusal().code, "42501", "{mend}");
            }
        }
        let mut raw = shop.raw("ivan@example.com");
        for sql in ["BEGIN", "SELECT 1/0"] {
            raw.send(&[frame::query(sql)]);
            raw.until_ready();
        }
        raw.send(&[frame::parse("", "SELECT * FROM employees"), frame::sync()]);
        assert_eq!(raw.until_ready()[0].refusal().code, "25P02", "nothing mended it");
    }

    /// An error of ours fails the transaction that it happens in.
    fn a_refusal_fails_its_transaction(shop: fresh) {
        let (ana, _) = open(shop);
        for sql in [
            "SELECT * FROM region_desk",
            "SELECT * FROM nosuch",
            "INSERT INTO employees (id) VALUES (1) ON CONFLICT (ssn) DO NOTHING",
            "SELECT id FROM employees TABLESAMPLE SYSTEM (10)",
            "SELECT 1; SELECT * FROM region_desk",
        ] {
            ana.run("BEGIN");
            ana.run("UPDATE orders SET note = 'lost' WHERE id = (SELECT min(id) FROM orders)");
            ana.try_rows(sql).expect_err(sql);
            ana.refused("SELECT 1", "25P02");
            ana.run("COMMIT");
            assert_eq!(ana.one("SELECT count(*) FROM orders WHERE note = 'lost'"), "0", "{sql}");
        }
    }
}
