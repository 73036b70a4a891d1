use super::*;
use crate::policy::Subject;
use crate::sql::fixture::{admin, alice, footing};
use crate::sql::resolve;

fn whole(sql: &str, subject: &Subject) -> Option<Analysis> {
    let [parsed] = <[_; 1]>::try_from(parse(sql, &Limits::default()).ok()?).ok()?;
    resolve(parsed, &footing(), &SearchPath::default(), subject, &NoObjects).ok().map(analysis)
}

fn template(sql: &str, subject: &Subject) -> Option<Template> {
    let proven = Arc::new(whole(sql, subject).unwrap_or_else(|| panic!("{sql} is refused")));
    Template::of(sql, &proven, &footing(), &SearchPath::default(), subject.admin, &Limits::default())
}

/// Fills the second text in for the first one's; whether that could be done. It must be what the whole analysis says.
fn fills(first: &str, second: &str) -> bool {
    let mut filled = false;
    for subject in [alice(), admin()] {
        let found = template(first, &subject).and_then(|template| template.fill(second, &Shape::of(second)?));
        if let Some(found) = found.filter(|found| found.suits(&footing(), &subject)) {
            assert_eq!(whole(second, &subject).as_ref(), Some(&found), "{first}\n{second}");
            filled = true;
        }
    }
    filled
}

#[test]
fn literals_that_nothing_looks_at_may_be_others() {
    for (first, second) in [
        ("SELECT id FROM orders WHERE id = 1", "SELECT id FROM orders WHERE id = 999999999"),
        ("SELECT id FROM orders WHERE id=1 AND owner='a'", "SELECT id FROM orders WHERE id=22 AND owner='it''s; -- \\ \"x\"'"),
        ("SELECT 1, 'a', current_user() FROM orders", "SELECT 23, 'béé', current_user() FROM orders"),
        ("SELECT id FROM orders WHERE region LIKE 'a%'", "SELECT id FROM orders WHERE region LIKE '(['"),
        ("SELECT id FROM orders WHERE id IN (1, 2, 3)", "SELECT id FROM orders WHERE id IN (4, 55, 666)"),
        (
            "SELECT id FROM orders WHERE d >= date '1994-01-01' AND d < date '1994-01-01' + interval '1' year",
            "SELECT id FROM orders WHERE d >= date '1995-02-02' AND d < date 'x' + interval '7' year",
        ),
        ("SELECT ssn, name FROM employees WHERE id = 1 ORDER BY 1", "SELECT ssn, name FROM employees WHERE id = 12345 ORDER BY 1"),
        (
            "INSERT INTO orders (id, owner) VALUES (1, 'a'), (2, 'b')",
            "INSERT INTO orders (id, owner) VALUES (11, 'aa'), (22, 'bb')",
        ),
        (
            "UPDATE employees SET name = 'a' WHERE ssn = 'b' RETURNING ssn",
            "UPDATE employees SET name = 'x y' WHERE ssn = 'zz' RETURNING ssn",
        ),
        ("DELETE FROM orders WHERE id BETWEEN 1 AND 2;", "DELETE FROM orders WHERE id BETWEEN 3 AND 44;"),
        (
            "WITH x AS (SELECT 1 AS a) SELECT a, $1 FROM x, orders WHERE id = 1 OR owner = current_user",
            "WITH x AS (SELECT 2 AS a) SELECT a, $1 FROM x, orders WHERE id = 3 OR owner = current_user",
        ),
        (
            "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = '100'",
            "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = '104'",
        ),
        (
            "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = 100",
            "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = 104",
        ),
        (
            "SELECT relname FROM pg_catalog.pg_class WHERE oid = '100'::pg_catalog.regclass",
            "SELECT relname FROM pg_catalog.pg_class WHERE oid = '104'::pg_catalog.regclass",
        ),
        (
            "SELECT CASE WHEN id = 1 THEN 'a' ELSE lower('B') END FROM orders",
            "SELECT CASE WHEN id = 2 THEN 'aaa' ELSE lower('BBB') END FROM orders",
        ),
    ] {
        assert!(fills(first, second), "{first}\n{second}");
    }
}

/// The first text has a template or has none; the second is not filled in for it.
#[test]
fn literals_that_matter_are_never_others() {
    for (first, second) in [
        // Another kind of token.
        ("SELECT id FROM orders WHERE id = 1", "SELECT id FROM orders WHERE id = 2147483648"),
        ("SELECT id FROM orders WHERE id = 1", "SELECT id FROM orders WHERE id = 1.5"),
        ("SELECT id FROM orders WHERE id = 1", "SELECT id FROM orders WHERE id = '1'"),
        ("SELECT id FROM orders WHERE id = 1", "SELECT id FROM orders WHERE id = 1 OR true"),
        ("SELECT id FROM orders WHERE id = 1", "SELECT id FROM orders WHERE id = -1"),
        ("SELECT id FROM orders WHERE id = 1", "SELECT id FROM orders WHERE id = 1; DELETE FROM orders"),
        ("SELECT id FROM orders WHERE owner = 'a'", "SELECT id FROM orders WHERE owner = E'a\\'' OR true --'"),
        ("SELECT id FROM orders WHERE owner = 'a'", "SELECT id FROM orders WHERE owner = 'a'\n'b'"),
        ("SELECT id FROM orders WHERE owner = 'a'", "SELECT id FROM orders WHERE owner = 'a' OR owner = 'b'"),
        ("SELECT id FROM orders WHERE owner = 'a'", "SELECT id FROM orders WHERE owner = '7'"),
        // What the grammar looks at.
        ("SELECT -5 FROM orders", "SELECT -6 FROM orders"),
        ("SELECT id::varchar(10) FROM orders", "SELECT id::varchar(11) FROM orders"),
        ("SELECT interval(3) '1 day' FROM orders", "SELECT interval(4) '1 day' FROM orders"),
        ("SELECT U&'a' UESCAPE '!' FROM orders", "SELECT U&'a' UESCAPE '?' FROM orders"),
        // Positions, limits.
        ("SELECT id, owner FROM orders ORDER BY 1", "SELECT id, owner FROM orders ORDER BY 2"),
        ("SELECT id FROM orders GROUP BY 1", "SELECT id FROM orders GROUP BY 2"),
        ("SELECT id FROM orders LIMIT 1", "SELECT id FROM orders LIMIT 2"),
        // Names.
        ("SELECT nextval('orders_id_seq')", "SELECT nextval('free_seq')"),
        ("SELECT set_config('work_mem', '1MB', false)", "SELECT set_config('work_mem', '2MB', false)"),
        ("SELECT current_setting('work_mem')", "SELECT current_setting('search_path')"),
        ("SELECT 'orders'::regclass::text", "SELECT 'employees'::regclass::text"),
        (
            "SELECT relname FROM pg_catalog.pg_class WHERE oid = '100'::regclass",
            "SELECT relname FROM pg_catalog.pg_class WHERE oid = 'orders'::regclass",
        ),
        (
            "SELECT relname FROM pg_catalog.pg_class WHERE relname ~ '^(a)$'",
            "SELECT relname FROM pg_catalog.pg_class WHERE relname ~ '('",
        ),
        (
            "SELECT relname FROM pg_catalog.pg_class WHERE relname LIKE 'a%'",
            "SELECT relname FROM pg_catalog.pg_class WHERE relname LIKE 'a\\'",
        ),
        (
            "SELECT obj_description(oid, 'pg_class') FROM pg_catalog.pg_class",
            "SELECT obj_description(oid, 'pg_authid') FROM pg_catalog.pg_class",
        ),
        ("SELECT relname FROM pg_catalog.pg_class WHERE oid = '100'", "SELECT relname FROM pg_catalog.pg_class WHERE oid = '0100'"),
        // Words that analysis looks for.
        ("SELECT id FROM orders WHERE owner = 'a'", "SELECT id FROM orders WHERE owner = 'pg_class'"),
        ("SELECT id FROM orders WHERE owner = 'a'", "SELECT id FROM orders WHERE owner = 'set_config'"),
        ("SELECT id FROM orders WHERE owner = 'a'", "SELECT id FROM orders WHERE owner = '-'"),
        // Nobody's business.
        ("SET work_mem = '1MB'", "SET work_mem = '2MB'"),
        ("EXPLAIN SELECT 1", "EXPLAIN SELECT 2"),
        ("VALUES (1)", "VALUES (2)"),
    ] {
        if let Some(template) = template(first, &admin()) {
            let filled = Shape::of(second).and_then(|shape| template.fill(second, &shape));
            assert_eq!(filled, None, "{first}\n{second}");
        }
    }
}

/// `excluded.ssn` becomes a second copy of the value.
#[test]
fn a_literal_that_is_copied_is_no_other() {
    let insert = |name: &str, ssn: &str| {
        format!(
            "INSERT INTO employees (id, name, ssn) VALUES (1, '{name}', '{ssn}') ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn, name = 'n'"
        )
    };
    let first = insert("a", "b");
    let sent = whole(&first, &admin()).unwrap().sent.unwrap().text;
    assert_eq!(sent.matches("'b'").count(), 2, "{sent}");
    assert!(!fills(&first, &insert("a", "c")));
}

#[test]
fn the_guard_finds_nothing_in_what_was_filled_in() {
    let first = "SELECT ssn, current_user() FROM employees, orders WHERE employees.id = 1 AND name <> 'x' AND orders.owner = 'y'";
    let second =
        "SELECT ssn, current_user() FROM employees, orders WHERE employees.id = 123456 AND name <> 'it''s' AND orders.owner = 'Ω'";
    let template = template(first, &admin()).unwrap();
    let filled = template.fill(second, &Shape::of(second).unwrap()).unwrap();
    let sent = filled.sent.as_ref().unwrap();
    let offset = |sent_at: &str| super::super::splice::original(&sent.shifts, sent.text.find(sent_at).unwrap());
    for place in ["123456", "'it''s'", "'Ω'", "orders.owner"] {
        assert_eq!(offset(place), second.find(place).unwrap(), "errors are told in their places: {place}");
    }
    assert_eq!(Some(&filled), whole(second, &admin()).as_ref());
}
