//! Queries: which relations a statement means, and what stands in their places.

use super::table;
use crate::sql::ResolveError;
use crate::sql::fixture::{analyse, refusal, sent};

#[test]
fn relations_are_qualified_and_reads_of_masked_tables_go_to_their_governed_view() {
    table(&[
        ("SELECT * FROM customers", "SELECT * FROM \"public\".\"customers\""),
        ("SELECT id FROM public.customers c", "SELECT id FROM public.customers c"),
        ("SELECT * FROM orders", "SELECT * FROM \"public\".\"orders\""),
        ("SELECT ssn FROM employees", "SELECT ssn FROM \"pgusher_public\".\"employees\""),
        ("SELECT ssn FROM public.employees AS e", "SELECT ssn FROM \"pgusher_public\".\"employees\" AS e"),
        ("SELECT ssn FROM ONLY employees", "SELECT ssn FROM ONLY \"pgusher_public\".\"employees\""),
        ("SELECT ssn FROM ONLY (employees) e", "SELECT ssn FROM ONLY (\"pgusher_public\".\"employees\") e"),
        ("SELECT ssn FROM employees *", "SELECT ssn FROM \"pgusher_public\".\"employees\" *"),
        ("TABLE employees", "TABLE \"pgusher_public\".\"employees\""),
        ("TABLE shop.public.employees", "TABLE \"pgusher_public\".\"employees\""),
        ("SELECT 1 UNION ALL TABLE employees", "SELECT 1 UNION ALL TABLE \"pgusher_public\".\"employees\""),
        ("SELECT e FROM employees e", "SELECT e FROM \"pgusher_public\".\"employees\" e"),
        ("SELECT employees.*::text FROM employees", "SELECT employees.*::text FROM \"pgusher_public\".\"employees\""),
        ("SELECT (SELECT e).ssn FROM employees e", "SELECT (SELECT e).ssn FROM \"pgusher_public\".\"employees\" e"),
        ("SELECT ssn(employees) FROM employees", "SELECT ssn(employees) FROM \"pgusher_public\".\"employees\""),
        ("SELECT body FROM notes", "SELECT body FROM \"pgusher_public\".\"notes\""),
        ("SELECT id FROM v_orders", "SELECT id FROM \"pgusher_public\".\"v_orders\""),
        ("SELECT id FROM derived", "SELECT id FROM \"public\".\"derived\""),
        ("SELECT relname FROM pg_class", "SELECT relname FROM \"pgusher\".\"wide_pg_class\" AS \"pg_class\""),
        ("SELECT polname FROM pg_policy", "SELECT polname FROM \"pgusher\".\"wide_pg_policy\" AS \"pg_policy\""),
        ("SELECT * FROM \"Odd Name\"", "SELECT * FROM \"public\".\"Odd Name\""),
        ("SELECT * FROM U&\"e\\006dployees\"", "SELECT * FROM \"pgusher_public\".\"employees\""),
        ("SELECT * FROM U&\"e!006dployees\" UESCAPE '!' x", "SELECT * FROM \"pgusher_public\".\"employees\" x"),
        ("SELECT * FROM public /* a */ . -- b\n employees", "SELECT * FROM \"pgusher_public\".\"employees\""),
        ("/* a /* b */ */ SELECT E'\\'' FROM employees", "/* a /* b */ */ SELECT E'\\'' FROM \"pgusher_public\".\"employees\""),
        ("SELECT $$ employees $$ FROM employees", "SELECT $$ employees $$ FROM \"pgusher_public\".\"employees\""),
    ]);
}

#[test]
fn a_column_that_is_qualified_by_schema_follows_its_relation() {
    table(&[
        (
            "SELECT public.employees.ssn FROM employees",
            "SELECT \"pgusher_public\".\"employees\".ssn FROM \"pgusher_public\".\"employees\"",
        ),
        (
            "SELECT public.employees.* FROM public.employees",
            "SELECT \"pgusher_public\".\"employees\".* FROM \"pgusher_public\".\"employees\"",
        ),
        ("SELECT shop.public.orders.id FROM orders", "SELECT shop.public.orders.id FROM \"public\".\"orders\""),
        (
            "SELECT public.orders.id, archive.orders.id FROM public.orders, archive.orders",
            "SELECT public.orders.id, archive.orders.id FROM public.orders, archive.orders",
        ),
        (
            "UPDATE employees SET name = 'x' WHERE public.employees.id = 1",
            "UPDATE \"pgusher_public\".\"employees$w\" AS \"employees\" SET name = 'x' WHERE \"employees\".id = 1",
        ),
    ]);
}

#[test]
fn every_place_of_a_query_is_walked() {
    let masked = "SELECT ssn FROM employees";
    for sql in [
        "WITH x AS (Q) SELECT 1",
        "WITH RECURSIVE x AS (Q UNION ALL SELECT 1 FROM x) SELECT 1",
        "SELECT 1 WHERE EXISTS (Q)",
        "SELECT (Q)",
        "SELECT ARRAY(Q)",
        "SELECT 1 = ANY (Q)",
        "SELECT * FROM (Q) q",
        "SELECT * FROM customers, LATERAL (Q) q",
        "SELECT * FROM customers JOIN (Q) q ON true",
        "SELECT * FROM customers c JOIN customers d ON EXISTS (Q)",
        "SELECT 1 ORDER BY (Q)",
        "SELECT 1 LIMIT (SELECT 1 FROM employees)",
        "SELECT 1 OFFSET (SELECT 1 FROM employees)",
        "SELECT count(*) FILTER (WHERE EXISTS (Q))",
        "SELECT sum(1) OVER (PARTITION BY (Q))",
        "SELECT sum(1) OVER w FROM customers WINDOW w AS (ORDER BY (Q))",
        "SELECT 1 GROUP BY GROUPING SETS (((Q)))",
        "SELECT 1 GROUP BY ROLLUP ((Q))",
        "SELECT 1 HAVING EXISTS (Q)",
        "SELECT DISTINCT ON ((Q)) 1",
        "VALUES ((Q))",
        "SELECT * FROM generate_series(1, (SELECT 1 FROM employees))",
        "SELECT * FROM ROWS FROM (generate_series(1, (SELECT 1 FROM employees)), generate_series(1, 2))",
        "SELECT * FROM customers TABLESAMPLE bernoulli ((SELECT 1 FROM employees))",
        "SELECT * FROM xmltable('/a' PASSING (SELECT ssn::xml FROM employees) COLUMNS a text)",
        "SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS a text DEFAULT (SELECT ssn FROM employees))",
        "SELECT * FROM json_table((SELECT ssn FROM employees), '$' COLUMNS (a text PATH '$'))",
        "SELECT json_array(Q)",
        "SELECT json_object('a' : (Q))",
        "SELECT CASE WHEN true THEN (Q) END",
        "SELECT coalesce((Q), '1')",
        "SELECT greatest((Q))",
        "SELECT xmlelement(name x, (Q))",
        "SELECT row((Q))",
        "SELECT ARRAY[(Q)]",
        "SELECT ('{1}'::int[])[(SELECT 1 FROM employees)]",
        "SELECT 1 WHERE 1 BETWEEN 0 AND (SELECT 1 FROM employees)",
        "SELECT 'a' COLLATE \"C\" || (Q)",
        "SELECT 1 FROM customers WHERE (id, name) = (SELECT id, ssn FROM employees)",
        "INSERT INTO customers SELECT 1, (Q)",
        "INSERT INTO customers VALUES (1, (Q))",
        "INSERT INTO customers VALUES (1) ON CONFLICT (id) DO UPDATE SET name = (Q)",
        "INSERT INTO customers VALUES (1) RETURNING (Q)",
        "UPDATE customers SET name = (Q)",
        "UPDATE customers SET (name, region) = (SELECT ssn, ssn FROM employees)",
        "UPDATE customers SET name = 'x' FROM (Q) q WHERE EXISTS (Q)",
        "UPDATE customers SET name = 'x' RETURNING (Q)",
        "DELETE FROM customers USING employees WHERE true",
        "DELETE FROM customers WHERE id = (SELECT 1 FROM employees)",
        "DELETE FROM customers RETURNING (Q)",
        "WITH d AS (DELETE FROM customers RETURNING (Q)) SELECT 1",
        "MERGE INTO customers c USING employees e ON c.id = e.id WHEN MATCHED THEN DELETE",
        "MERGE INTO customers c USING customers e ON EXISTS (Q) WHEN MATCHED AND EXISTS (Q) THEN UPDATE SET name = (Q)",
        "MERGE INTO customers c USING customers e ON true WHEN NOT MATCHED THEN INSERT VALUES (1, (Q))",
        "DECLARE c CURSOR FOR Q",
        "PREPARE p AS Q",
        "EXECUTE held((Q))",
        "EXPLAIN Q",
    ] {
        let sql = sql.replace('Q', masked);
        let done = analyse(&sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}"));
        assert!(
            !done.text.contains("FROM employees") && done.text.contains("\"pgusher_public\".\"employees\""),
            "{sql}: {}",
            done.text
        );
        assert!(done.needs.iter().any(|n| n.ends_with(" employees")), "{sql}: {:?}", done.needs);
        assert!(done.touched.masked, "{sql}");
    }
}

#[test]
fn cte_names_hide_relations_where_postgresql_says_so() {
    table(&[
        ("WITH employees AS (SELECT 1) SELECT * FROM employees", "WITH employees AS (SELECT 1) SELECT * FROM employees"),
        (
            "WITH employees AS (SELECT * FROM employees) SELECT * FROM employees",
            "WITH employees AS (SELECT * FROM \"pgusher_public\".\"employees\") SELECT * FROM employees",
        ),
        (
            "WITH a AS (SELECT * FROM employees), employees AS (SELECT 1) SELECT * FROM a",
            "WITH a AS (SELECT * FROM \"pgusher_public\".\"employees\"), employees AS (SELECT 1) SELECT * FROM a",
        ),
        (
            "WITH RECURSIVE a AS (SELECT * FROM employees), employees AS (SELECT 1) SELECT * FROM a",
            "WITH RECURSIVE a AS (SELECT * FROM employees), employees AS (SELECT 1) SELECT * FROM a",
        ),
        (
            "WITH employees AS (SELECT 1) SELECT * FROM public.employees",
            "WITH employees AS (SELECT 1) SELECT * FROM \"pgusher_public\".\"employees\"",
        ),
        (
            "SELECT * FROM (WITH employees AS (SELECT 1) SELECT * FROM employees) x, employees",
            "SELECT * FROM (WITH employees AS (SELECT 1) SELECT * FROM employees) x, \"pgusher_public\".\"employees\"",
        ),
        ("WITH customers AS (SELECT 1) DELETE FROM customers", "WITH customers AS (SELECT 1) DELETE FROM \"public\".\"customers\""),
        (
            "WITH employees AS (SELECT 1) SELECT (SELECT 1 FROM employees)",
            "WITH employees AS (SELECT 1) SELECT (SELECT 1 FROM employees)",
        ),
        (
            "WITH employees AS (SELECT 1) SELECT 1 UNION TABLE employees",
            "WITH employees AS (SELECT 1) SELECT 1 UNION TABLE employees",
        ),
    ]);
    assert!(analyse("WITH a AS (SELECT 1) SELECT * FROM a").unwrap().needs.is_empty());
    assert!(matches!(refusal("SELECT * FROM a, (WITH a AS (SELECT 1) SELECT 1) x"), ResolveError::UndefinedRelation { .. }));
}

#[test]
fn identity_calls_become_ours() {
    let hoisted = "(SELECT pgusher.current_user() AS \"current_user\")";
    table(&[
        ("SELECT current_user", &format!("SELECT {hoisted}")),
        ("SELECT CURRENT_USER /* x */", &format!("SELECT {hoisted} /* x */")),
        ("SELECT session_user AS me", "SELECT (SELECT pgusher.session_user() AS \"session_user\") AS me"),
        ("SELECT user", "SELECT (SELECT pgusher.current_user() AS \"user\")"),
        ("SELECT current_role", "SELECT (SELECT pgusher.current_user() AS \"current_role\")"),
        ("SELECT current_date, current_schema, current_catalog", "SELECT current_date, current_schema, current_catalog"),
        ("SELECT is_member('g')", "SELECT (SELECT pgusher.is_member('g') AS is_member)"),
        (
            "SELECT 1 WHERE is_member ( 'g' ) OR is_member($1)",
            "SELECT 1 WHERE (SELECT pgusher.is_member ( 'g' ) AS is_member) OR (SELECT pgusher.is_member($1) AS is_member)",
        ),
        ("SELECT is_member(name) FROM customers", "SELECT pgusher.is_member(name) FROM \"public\".\"customers\""),
        ("SELECT * FROM current_user u", "SELECT * FROM pgusher.current_user() u"),
        ("SELECT * FROM is_member('g')", "SELECT * FROM pgusher.is_member('g')"),
    ]);
    assert!(sent("SELECT current_user() = owner FROM orders").starts_with(&format!("SELECT {hoisted}")));
    for sql in [
        "SELECT system_user",
        "SELECT pg_catalog.\"current_user\"()",
        "SELECT \"session_user\"()",
        "SELECT getpgusername()",
        "SELECT pgusher.current_user()",
        "SELECT \"pgusher\".is_member('g')",
        "SELECT U&\"pgu\\0073her\".attach('', '')",
        "SELECT shop.pgusher.attach('', '')",
        "SELECT * FROM pgusher.attach('', '')",
    ] {
        assert!(
            matches!(refusal(sql), ResolveError::ProtectedFunction { .. } | ResolveError::ProtectedSchema { .. }),
            "{sql}: {:?}",
            refusal(sql)
        );
    }
}

#[test]
fn the_search_path_decides_as_in_postgresql() {
    use crate::catalog::{Relation, SearchPath};
    use crate::sql::fixture::{alice, analyse_as, footing, footing_with};
    let path = |names: &[&str]| SearchPath { schemas: names.iter().map(|n| (*n).into()).collect() };
    let text = |sql: &str, names: &[&str]| analyse_as(sql, &alice(), &footing(), &path(names)).unwrap().text;
    assert_eq!(text("SELECT * FROM orders", &["archive", "public"]), "SELECT * FROM \"archive\".\"orders\"");
    assert_eq!(text("SELECT * FROM orders", &["nowhere", "public", "archive"]), "SELECT * FROM \"public\".\"orders\"");
    assert_eq!(text("SELECT * FROM employees", &["pgusher_public", "public"]), "SELECT * FROM \"pgusher_public\".\"employees\"");
    let shadowed = footing_with(|parts| {
        let class = parts.relations.iter().find(|r| r.oid == 102).unwrap().clone();
        parts.relations.push(Relation { oid: 7000, name: "pg_class".into(), ..class.clone() });
        parts.schemas.push(crate::catalog::Schema { oid: 8000, name: "pg_temp".into(), system: false, ours: false });
        parts.relations.push(Relation { oid: 7001, schema: 8000, name: "employees".into(), temporary: true, ..class });
    });
    let sent = |sql: &str, names: &[&str]| analyse_as(sql, &alice(), &shadowed, &path(names)).unwrap();
    assert_eq!(sent("SELECT * FROM pg_class", &["public"]).text, "SELECT * FROM \"pgusher\".\"wide_pg_class\" AS \"pg_class\"");
    assert_eq!(sent("SELECT * FROM pg_class", &["public", "pg_catalog"]).text, "SELECT * FROM \"public\".\"pg_class\"");
    let temporary = sent("SELECT * FROM employees", &["public"]);
    assert_eq!((temporary.text.as_str(), temporary.needs.len()), ("SELECT * FROM \"pg_temp\".\"employees\"", 0));
    assert!(sent("SELECT * FROM public.employees", &["public"]).touched.masked);
}

/// Runs on a stack like that of the threads that serve sessions.
fn on_a_large_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn the_deepest_statements_that_parse_are_walked_without_running_out_of_stack() {
    use crate::sql::{Limits, parse};
    on_a_large_stack(|| {
        let shapes: &[fn(usize) -> String] = &[
            |n| format!("SELECT {}1", "1 + ".repeat(n)),
            |n| format!("SELECT {}1{}", "abs(".repeat(n), ")".repeat(n)),
            |n| format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
            |n| format!("SELECT * FROM {}customers{}", "(SELECT * FROM ".repeat(n), ") x".repeat(n)),
            |n| format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(n), " END".repeat(n)),
            |n| format!("SELECT 1{}", "::text".repeat(n)),
            |n| format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(n)),
            |n| {
                format!(
                    "SELECT * FROM customers c0 {}",
                    (1..n).map(|i| format!("JOIN customers c{i} ON true ")).collect::<String>()
                )
            },
            |n| format!("SELECT {}1{}", "ARRAY[".repeat(n), "]".repeat(n)),
            |n| format!("SELECT {}true{}", "NOT (".repeat(n), ")".repeat(n)),
        ];
        for shape in shapes {
            let (mut low, mut high) = (1, 6000);
            while high - low > 20 {
                let middle = usize::midpoint(low, high);
                if parse(&shape(middle), &Limits::default()).is_ok() { low = middle } else { high = middle }
            }
            let deepest = shape(low);
            assert!(low > 100 && analyse(&deepest).is_ok(), "{low}: {}", &deepest[..60.min(deepest.len())]);
        }
    });
}

#[test]
fn columns_that_hang_on_a_primary_key_are_grouped_where_a_view_stands_for_the_table() {
    table(&[
        (
            "SELECT e.id, e.ssn, count(*) FROM employees e GROUP BY e.id",
            "SELECT e.id, e.ssn, count(*) FROM \"pgusher_public\".\"employees\" e GROUP BY \"e\".\"ssn\", e.id",
        ),
        (
            "SELECT id, ssn AS s FROM employees GROUP BY 1 HAVING max(salary) > 0 ORDER BY name",
            "SELECT id, ssn AS s FROM \"pgusher_public\".\"employees\" GROUP BY \"employees\".\"name\", \"employees\".\"ssn\", \"employees\".\"salary\", 1 HAVING max(salary) > 0 ORDER BY name",
        ),
        (
            "SELECT e.id AS key, e.ssn FROM employees e GROUP BY key",
            "SELECT e.id AS key, e.ssn FROM \"pgusher_public\".\"employees\" e GROUP BY \"e\".\"ssn\", key",
        ),
        (
            "SELECT o.region, (SELECT max(x) FROM (VALUES (e.name)) v(x)) FROM orders o JOIN employees e USING (id) GROUP BY o.region, e.id",
            "SELECT o.region, (SELECT max(x) FROM (VALUES (e.name)) v(x)) FROM \"public\".\"orders\" o JOIN \"pgusher_public\".\"employees\" e USING (id) GROUP BY \"e\".\"name\", o.region, e.id",
        ),
        // Not where PostgreSQL would not either, and not where the table itself is read.
        ("SELECT ssn FROM employees GROUP BY name", "SELECT ssn FROM \"pgusher_public\".\"employees\" GROUP BY name"),
        ("SELECT ssn FROM employees GROUP BY ROLLUP (id)", "SELECT ssn FROM \"pgusher_public\".\"employees\" GROUP BY ROLLUP (id)"),
        ("SELECT amount FROM orders GROUP BY id", "SELECT amount FROM \"public\".\"orders\" GROUP BY id"),
        (
            "SELECT f.b FROM employees f (a, b) GROUP BY f.a",
            "SELECT f.b FROM \"pgusher_public\".\"employees\" f (a, b) GROUP BY \"f\".\"b\", f.a",
        ),
    ]);
}

#[test]
fn a_type_called_as_a_function_is_a_cast() {
    table(&[("SELECT tsquery('a & b'), jsonb('{}')", "SELECT tsquery('a & b'), jsonb('{}')")]);
    assert!(matches!(refusal("SELECT tsquery('a', 'b')"), ResolveError::UndefinedFunction { .. }));
}
