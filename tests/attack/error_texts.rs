//! Class 17, writes as a read channel; class 18, error texts and notices that carry data.

use super::{Secrets, everything};
use crate::harness::both_mechanisms;

both_mechanisms! {
    /// A violation is reported; what it collided with is not.
    fn a_violation_does_not_quote_hidden_rows(shop: fresh) {
        shop.admin().run("GRANT SELECT, MODIFY ON TABLE employees TO analysts");
        shop.truth().run("CREATE UNIQUE INDEX orders_note ON orders (note); ALTER TABLE orders ADD CONSTRAINT note_checked CHECK (note <> 'bad')");
        let (ana, truth) = (shop.ana(), shop.truth());
        let hidden = truth.one("SELECT min(id) FROM orders WHERE region = 'AMER'");
        let real = truth.rows("SELECT ssn, email FROM employees WHERE id = 12").swap_remove(0);
        let secrets = Secrets::of(shop);
        for (sql, codes) in [
            (format!("INSERT INTO orders (id, customer_id, region, sales_rep, status, ordered_on) VALUES ({hidden}, 1, 'EMEA', 'ana@example.com', 'open', '2025-01-01')"), vec!["23505"]),
            ("UPDATE employees SET ssn = 'x' WHERE id IN (5, 6)".to_string(), vec!["23505"]),
            ("UPDATE employees SET salary = -1 WHERE id = 12".to_string(), vec!["23514"]),
            ("UPDATE employees SET salary = NULL WHERE id = 12".to_string(), vec!["23502"]),
            ("UPDATE employees SET name = NULL WHERE id = 12".to_string(), vec!["23502"]),
            ("UPDATE employees SET region = 'NONE' WHERE id = 12".to_string(), vec!["23503"]),
            ("DELETE FROM employees WHERE id = 12".to_string(), vec!["23503"]),
            ("UPDATE employees SET salary = salary WHERE id = 12".to_string(), vec!["23514"]),
        ] {
            let refusal = ana.try_rows(&sql).expect_err(&sql);
            assert!(codes.contains(&refusal.code.as_str()), "{sql}: {refusal}");
            assert_eq!(secrets.first_in(&refusal.to_string()), None, "{sql}: {refusal}");
            assert_eq!(refusal.detail, None, "{sql}: {refusal}");
            assert!(!refusal.to_string().contains("pgusher_") && !refusal.to_string().contains("$w") && !refusal.to_string().contains("$raw"), "names are the table's: {refusal}");
        }
        let _ = real;
    }

    /// A value that would appear in the text of a failed cast or check is the mask's.
    fn a_failed_expression_quotes_masks_only(shop: shared) {
        let (ana, secrets) = (shop.ana(), Secrets::of(shop));
        for sql in [
            "SELECT ssn::integer FROM employees WHERE id = 12",
            "SELECT (employees::text)::integer FROM employees",
            "SELECT note::integer FROM orders",
            "SELECT to_number(note, 'x') FROM orders",
            "SELECT json_build_object('a', ssn)::text::integer FROM employees",
            "SELECT note::json FROM orders WHERE region <> 'EMEA'",
            "SELECT format('%z', ssn) FROM employees",
            "SELECT chr(salary - 100000) FROM employees",
        ] {
            assert_eq!(secrets.first_in(&everything(&ana, sql)), None, "{sql}");
        }
    }

    /// A refusal of ours names what was asked for, and nothing of ours.
    fn refusals_show_no_internals(shop: shared) {
        let ivan = shop.ivan();
        for sql in ["SELECT * FROM employees", "UPDATE customers SET email = 'x'", "SELECT * FROM recent_orders", "INSERT INTO shipments SELECT * FROM shipments"] {
            let text = ivan.refused(sql, "42501").to_string();
            for inner in ["pgusher_", "pgusher.", "127.0.0.1", "CASE WHEN", "emea_analysts", "region_visible"] {
                assert!(!text.contains(inner), "{sql}: {text}");
            }
        }
        let ana = shop.ana();
        let text = ana.try_rows("UPDATE orders SET region = 'AMER'").expect_err("outside the filter").to_string();
        assert!(!text.contains("is_member") && !text.contains("pgusher_public") && !text.contains("EMEA-note"), "{text}");
    }
}
