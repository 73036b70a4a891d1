//! Class 3, a user's predicate that runs before the filter; class 4, probing a masked column.

use super::{Secrets, everything, keeps_secrets};
use crate::harness::both_mechanisms;

both_mechanisms! {
    /// Class 3: an error that only a hidden row can raise must not be raised.
    fn hidden_rows_raise_no_errors(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let hidden = truth.rows("SELECT id, amount FROM orders WHERE region = 'AMER' AND amount > 10 ORDER BY id LIMIT 1").swap_remove(0);
        let count = truth.one("SELECT count(*) FROM orders WHERE region = 'EMEA'");
        for predicate in [
            format!("1 / (id - {}) IS NOT NULL", hidden[0]),
            format!("1 / (amount - {}) IS NOT NULL OR true", hidden[1]),
            format!("CASE WHEN id = {} THEN 1 / (id - id) = 1 ELSE true END", hidden[0]),
            "(CASE WHEN region = 'AMER' THEN note ELSE '1' END)::integer = 1".to_string(),
            format!("NOT (id = {} AND note::integer = 1)", hidden[0]),
            "(region = 'EMEA' OR note::xml IS NOT NULL)".to_string(),
            "sqrt(CASE WHEN region = 'EMEA' THEN 1 ELSE -1 END) = 1".to_string(),
        ] {
            assert_eq!(ana.one(&format!("SELECT count(*) FROM orders WHERE {predicate}")), count, "{predicate}");
        }
        assert_eq!(ana.one(&format!("SELECT count(*) FROM orders WHERE id = {} AND 1 / (id - {}) = 1", hidden[0], hidden[0])), "0");
    }

    /// Class 3: PostgreSQL's own leaking function (rowsecurity.sql, f_leak): cheap, and it tells what it is shown.
    fn a_cheap_function_is_shown_permitted_rows_only(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE FUNCTION public.f_leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'f_leak => %', $1; RETURN true; END $$");
        admin.run("CREATE FUNCTION public.op_leak(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'op_leak => % %', $1, $2; RETURN true; END $$");
        admin.run("GRANT EXECUTE ON FUNCTION f_leak TO users");
        admin.run("GRANT EXECUTE ON FUNCTION op_leak TO users");
        let ana = shop.ana();
        keeps_secrets(shop, &ana, &[
            "SELECT count(*) FROM orders WHERE f_leak(note)",
            "SELECT count(*) FROM orders WHERE f_leak(note) AND id < 100",
            "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE f_leak(o.note) AND f_leak(c.email)",
            "SELECT count(*) FROM orders o LEFT JOIN regions r ON f_leak(o.note) WHERE r.code IS NULL",
            "SELECT count(*) FROM regions r JOIN orders o ON o.region = r.code AND f_leak(o.note)",
            "SELECT count(*) FROM employees WHERE f_leak(ssn) AND f_leak(email) AND f_leak(salary::text)",
            "SELECT count(*) FROM (SELECT * FROM employees OFFSET 0) e WHERE f_leak(ssn)",
            "SELECT max(note) FROM orders GROUP BY f_leak(note)",
            "SELECT count(*) FILTER (WHERE f_leak(note)) FROM orders",
            "SELECT 1 FROM orders ORDER BY f_leak(note)",
            "SELECT count(*) FROM recent_orders WHERE f_leak(region || id::text)",
            "SELECT count(*) FROM staff_directory WHERE f_leak(email)",
            "SELECT count(*) FROM my_orders WHERE f_leak(status)",
            "BEGIN; UPDATE orders SET status = 'open' WHERE f_leak(note)",
            "BEGIN; DELETE FROM orders WHERE f_leak(note)",
            "SELECT count(*) FROM customers WHERE f_leak(email)",
            "SELECT count(*) FROM shipments s JOIN orders o ON o.id = s.order_id WHERE op_leak(s.tracking, o.note)",
        ]);
        assert!(ana.notices().iter().any(|n| n.contains("f_leak => EMEA-note-")), "the function did run");
        let shown: Vec<String> = ana.notices().into_iter().filter(|n| n.contains("APAC") || n.contains("AMER")).collect();
        assert!(shown.is_empty(), "{:?}", &shown[..shown.len().min(3)]);
    }

    /// Class 4: asking for a real value, sorting, bounding, grouping, counting: all meet the mask.
    fn a_masked_value_cannot_be_guessed(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let real = truth.rows("SELECT ssn, salary, email, phone FROM employees WHERE id = 12").swap_remove(0);
        for predicate in [
            format!("ssn = '{}'", real[0]),
            format!("ssn IN ('{}', 'x')", real[0]),
            format!("ssn LIKE '{}%'", &real[0][..6]),
            format!("ssn >= '{}' AND ssn <= '{}'", real[0], real[0]),
            format!("salary = {}", real[1]),
            format!("salary BETWEEN {} - 1 AND {} + 1", real[1], real[1]),
            "salary > 0".to_string(),
            format!("email = '{}'", real[2]),
            format!("(id, ssn) = (12, '{}')", real[0]),
            format!("ROW(ssn) = ROW('{}'::text)", real[0]),
            format!("employees::text LIKE '%{}%'", real[0]),
            format!("to_jsonb(employees) @> '{{\"ssn\": \"{}\"}}'", real[0]),
            format!("ssn = ANY (ARRAY['{}'])", real[0]),
            format!("EXISTS (SELECT FROM employees e WHERE e.id = employees.id AND e.ssn = '{}')", real[0]),
            format!("starts_with(ssn, '{}')", real[0]),
            format!("position('{}' IN ssn) > 0", real[0]),
            format!("ssn ~ '^{}$'", real[0]),
            format!("md5(ssn) = '{}'", truth.one("SELECT md5(ssn) FROM employees WHERE id = 12")),
            "ssn !~ '^[*]'".to_string(),
        ] {
            assert_eq!(ana.one(&format!("SELECT count(*) FROM employees WHERE {predicate}")), "0", "{predicate}");
        }
        let order = "SELECT id FROM employees ORDER BY salary DESC, ssn DESC, phone, id";
        assert_eq!(ana.rows(order), truth.rows("SELECT id FROM employees ORDER BY right(ssn, 4) DESC, id"), "the order is that of the masks");
        for aggregate in ["max(salary)", "min(salary)", "sum(salary)", "stddev(salary)::integer", "count(phone)", "bit_or(salary)", "max(salary) FILTER (WHERE id = 12)"] {
            assert_eq!(ana.one(&format!("SELECT {aggregate} FROM employees")), "0", "{aggregate}");
        }
        assert_eq!(Secrets::of(shop).first_in(&everything(&ana, "SELECT email, count(*) FROM employees GROUP BY email ORDER BY email")), None);
        assert_eq!(ana.one("SELECT count(*) FROM employees a JOIN employees b ON a.salary = b.salary"), "40000", "every mask equals every other");
    }

    /// Class 3 on masks: an expression on a masked column that would fail on the value must see the mask.
    fn expressions_on_masked_columns_see_masks(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let salary = truth.one("SELECT salary FROM employees WHERE id = 12");
        assert_eq!(ana.one(&format!("SELECT count(*) FROM employees WHERE 1 / (salary - {salary}) IS NOT NULL")), "200");
        keeps_secrets(shop, &ana, &[
            "SELECT ssn::integer FROM employees",
            "SELECT salary / 0 FROM employees",
            "SELECT 1 / (salary - 0) FROM employees",
            "SELECT ssn::date FROM employees",
            "SELECT email::inet FROM employees",
            "SELECT (ssn || 'x')::numeric FROM employees WHERE id = 12",
            "SELECT employees::text::integer FROM employees",
            "SELECT jsonb_object_agg(ssn, salary)::text::integer FROM employees",
        ]);
    }
}
