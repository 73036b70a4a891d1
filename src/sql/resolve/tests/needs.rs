//! What statements need.

use super::table;
use crate::sql::ResolveError;
use crate::sql::fixture::{analyse, refusal};

#[test]
fn what_a_statement_needs_is_collected() {
    let cases: &[(&str, &[&str])] = &[
        ("SELECT 1", &[]),
        ("SELECT * FROM orders", &["SELECT orders"]),
        ("SELECT * FROM orders o, orders p, hr.people", &["SELECT orders", "SELECT people"]),
        ("SELECT * FROM orders FOR UPDATE", &["SELECT orders", "MODIFY orders"]),
        ("SELECT * FROM orders o, customers c FOR SHARE OF c", &["SELECT orders", "SELECT customers", "MODIFY customers"]),
        ("SELECT * FROM (SELECT * FROM orders) o FOR UPDATE", &["SELECT orders", "MODIFY orders"]),
        (
            "SELECT * FROM (SELECT * FROM orders) o, customers c FOR UPDATE OF o",
            &["SELECT orders", "SELECT customers", "MODIFY orders"],
        ),
        ("INSERT INTO customers VALUES (1)", &["MODIFY customers"]),
        ("INSERT INTO customers VALUES (1) RETURNING id", &["MODIFY customers", "SELECT customers"]),
        ("INSERT INTO customers VALUES (1) ON CONFLICT DO NOTHING", &["MODIFY customers"]),
        ("INSERT INTO customers VALUES (1) ON CONFLICT (id) DO NOTHING", &["MODIFY customers", "SELECT customers"]),
        ("INSERT INTO customers SELECT id FROM orders", &["SELECT orders", "MODIFY customers"]),
        ("UPDATE customers SET name = 'x'", &["MODIFY customers"]),
        ("UPDATE customers SET name = region", &["MODIFY customers", "SELECT customers"]),
        ("UPDATE customers SET name = 'x' WHERE id = 1", &["MODIFY customers", "SELECT customers"]),
        ("UPDATE customers SET name = o.id FROM orders o", &["MODIFY customers", "SELECT orders"]),
        ("UPDATE customers SET name = 'x' RETURNING 1", &["MODIFY customers", "SELECT customers"]),
        ("DELETE FROM customers", &["MODIFY customers"]),
        ("DELETE FROM customers WHERE name LIKE 'x'", &["MODIFY customers", "SELECT customers"]),
        (
            "MERGE INTO customers c USING orders o ON true WHEN MATCHED THEN DELETE",
            &["MODIFY customers", "SELECT orders", "SELECT customers"],
        ),
        ("SELECT * FROM v_customers", &["SELECT v_customers", "owner of 104: SELECT customers"]),
        ("SELECT * FROM v_on_v", &["SELECT v_on_v", "owner of 113: SELECT v_customers", "owner of 104: SELECT customers"]),
        ("UPDATE v_customers SET name = 'x'", &["MODIFY v_customers", "owner of 104: MODIFY customers"]),
        ("SELECT * FROM remote", &["SELECT remote", "USE CONNECTION far"]),
        ("SELECT * FROM free_seq", &["SELECT free_seq"]),
        ("SELECT nextval('orders_id_seq')", &["MODIFY orders"]),
        ("SELECT nextval('public.free_seq'::regclass)", &["MODIFY free_seq"]),
        ("SELECT setval('free_seq', 1)", &["MODIFY free_seq"]),
        ("SELECT nextval('110')", &["MODIFY orders"]),
        ("SELECT bonus(1)", &["EXECUTE bonus"]),
        ("SELECT public.bonus(1)", &["EXECUTE bonus"]),
        ("SELECT bonus(x => 1)", &["EXECUTE bonus"]),
        ("SELECT lower('x')", &[]),
        ("SELECT hr.lower('x')", &["EXECUTE lower"]),
        ("SELECT upper('x')", &[]),
        ("SELECT upper('x', 'y')", &["EXECUTE upper"]),
        ("SELECT * FROM bonus(1)", &["EXECUTE bonus"]),
        ("SELECT e.initials FROM employees e", &["SELECT employees", "EXECUTE initials"]),
        ("SELECT (e).initials FROM employees e", &["SELECT employees", "EXECUTE initials"]),
        ("SELECT (SELECT e).initials FROM employees e", &["SELECT employees", "EXECUTE initials"]),
        ("SELECT initials(e) FROM employees e", &["SELECT employees", "EXECUTE initials"]),
        ("SELECT q.initials FROM (SELECT 1 AS initials) q", &[]),
        ("SELECT q.initials FROM (SELECT employees FROM employees) q", &["SELECT employees", "EXECUTE initials"]),
        ("SELECT public.employees.initials FROM employees", &["SELECT employees", "EXECUTE initials"]),
        ("SELECT 1 === 2", &["EXECUTE same_op"]),
        ("SELECT 1 OPERATOR(public.===) 2", &["EXECUTE same_op"]),
        ("SELECT 1 === ANY (ARRAY[1])", &["EXECUTE same_op"]),
        ("SELECT 1 ORDER BY 1 USING OPERATOR(public.===)", &["EXECUTE same_op"]),
        ("SELECT 1 = 2", &[]),
        ("SELECT 'a'::rating", &["EXECUTE to_rating"]),
        ("SELECT CAST(x AS public.rating) FROM customers x", &["SELECT customers", "EXECUTE to_rating"]),
        ("SELECT relname FROM pg_class", &[]),
        ("EXECUTE held", &["SELECT orders"]),
        ("FETCH held", &["SELECT orders"]),
        ("EXPLAIN SELECT * FROM customers", &["READ_METADATA customers"]),
        ("EXPLAIN ANALYZE SELECT * FROM customers", &["READ_METADATA customers", "SELECT customers"]),
        ("EXPLAIN (ANALYZE false) SELECT * FROM customers", &["READ_METADATA customers"]),
        ("EXPLAIN SELECT * FROM orders", &["READ_METADATA orders", "MANAGE orders"]),
        ("EXPLAIN EXECUTE held", &["READ_METADATA orders", "MANAGE orders"]),
        (
            "EXPLAIN (ANALYZE) DELETE FROM orders WHERE bonus(1) = 1",
            &["READ_METADATA orders", "MANAGE orders", "MODIFY orders", "EXECUTE bonus"],
        ),
    ];
    for (sql, needs) in cases {
        let mut found = analyse(sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}")).needs;
        let mut needs: Vec<String> = needs.iter().map(|n| (*n).to_owned()).collect();
        found.sort();
        needs.sort();
        assert_eq!(found, needs, "{sql}");
    }
}

#[test]
fn sequences_are_named_in_full() {
    table(&[
        ("SELECT nextval('orders_id_seq')", "SELECT nextval('\"public\".\"orders_id_seq\"')"),
        ("SELECT nextval('Free_Seq'::regclass)", "SELECT nextval('\"public\".\"free_seq\"'::regclass)"),
        ("SELECT nextval(E'free\\x5fseq')", "SELECT nextval('\"public\".\"free_seq\"')"),
    ]);
    for sql in [
        "SELECT nextval('pgusher.slot')",
        "SELECT setval('pgusher.slot', 7)",
        "SELECT nextval('902')",
        "SELECT currval('\"pgusher\".\"slot\"')",
        "SELECT nextval(name) FROM customers",
        "SELECT nextval('orders_id' || '_seq')",
        "SELECT nextval($1)",
        "SELECT nextval('customers')",
        "SELECT setval(regclass, 1) FROM customers",
    ] {
        assert!(matches!(refusal(sql), ResolveError::ProtectedFunction { .. } | ResolveError::ProtectedSchema { .. }), "{sql}");
    }
}
