use crate::sql::fixture::{analyse, refusal, sent};
use crate::sql::{Effect, ResolveError};

/// (client's text, what is sent)
fn table(cases: &[(&str, &str)]) {
    for (client, upstream) in cases {
        assert_eq!(&sent(client), upstream, "{client}");
    }
}

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
        ("SELECT relname FROM pg_class", "SELECT relname FROM \"pg_catalog\".\"pg_class\""),
        ("SELECT polname FROM pg_policy", "SELECT polname FROM \"pgusher\".\"pg_policy\""),
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
        ("SELECT nextval('public.free_seq'::regclass)", &["MODIFY public"]),
        ("SELECT setval('free_seq', 1)", &["MODIFY public"]),
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

#[test]
fn what_cannot_be_enforced_or_named_is_refused() {
    use ResolveError as E;
    let cases: &[(&str, fn(&E) -> bool)] = &[
        ("SELECT * FROM nowhere", |e| matches!(e, E::UndefinedRelation { .. })),
        ("SELECT * FROM nowhere.t", |e| matches!(e, E::UndefinedRelation { .. })),
        ("SELECT * FROM hr.orders", |e| matches!(e, E::UndefinedRelation { .. })),
        ("SELECT * FROM other.public.orders", |e| matches!(e, E::CrossDatabase { .. })),
        ("SELECT other.public.orders.id FROM orders", |e| matches!(e, E::CrossDatabase { .. })),
        ("SELECT * FROM pgusher.token", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pgusher_public.employees", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM \"pgusher_public\".\"employees$w\"", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pgusher_elsewhere.x", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pg_toast.pg_toast_1", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pg_temp_3.x", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT NULL::pgusher.token", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT pgusher.token.hash FROM orders", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT 1 OPERATOR(pgusher.=) 1", |e| matches!(e, E::ProtectedSchema { .. })),
        ("INSERT INTO pgusher.token VALUES (1)", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pg_authid", |e| matches!(e, E::ProtectedRelation { .. })),
        ("SELECT * FROM pg_catalog.pg_stats", |e| matches!(e, E::ProtectedRelation { .. })),
        ("UPDATE pg_class SET relname = 'x'", |e| matches!(e, E::ProtectedRelation { .. })),
        ("SELECT * FROM pair", |e| matches!(e, E::NotATable { .. })),
        ("SELECT * FROM orders_pkey", |e| matches!(e, E::NotATable { .. })),
        ("SELECT * FROM broken", |e| matches!(e, E::Broken { reason: None, .. })),
        ("SELECT * FROM events", |e| matches!(e, E::Unsupported { .. })),
        ("SELECT * INTO x FROM orders", |e| matches!(e, E::Unsupported { .. })),
        ("SELECT * FROM employees TABLESAMPLE system (10)", |e| matches!(e, E::Unsupported { .. })),
        ("SELECT * FROM orders TABLESAMPLE evil (10)", |e| matches!(e, E::Unsupported { .. })),
        ("SELECT query_to_xml('SELECT * FROM employees', true, true, '')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT pg_catalog.query_to_xml('', true, true, '')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT \"pg_catalog\".\"table_to_xml\"('employees', true, true, '')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT 1 ORDER BY ts_stat('select 1')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT * FROM pg_read_file('/etc/passwd')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT x.pg_terminate_backend FROM generate_series(1,2) x", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT dblink('', '')", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT nothing(1)", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT nothing(x) FROM generate_series(1,2) x", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT public.nothing(1)", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT nowhere.nothing(1)", |e| matches!(e, E::UndefinedSchema { .. })),
        ("SELECT bonus()", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT set_config('a', 'b' || 'c', false)", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config('role', 'postgres', false)", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SELECT set_config('row_security', 'off', false)", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SELECT 1 WHERE set_config('work_mem', '1MB', false) = ''", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config('work_mem', '1MB', false), 1", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT current_setting('pgusher.key')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT current_setting('pgush' || 'er.key')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("CREATE TABLE x (a int)", |e| matches!(e, E::AdministratorsOnly { .. })),
        ("DROP TABLE orders", |e| matches!(e, E::AdministratorsOnly { .. })),
        ("TRUNCATE orders", |e| matches!(e, E::AdministratorsOnly { .. })),
        ("LOCK TABLE orders", |e| matches!(e, E::AdministratorsOnly { .. })),
        ("DO 'begin end'", |e| matches!(e, E::AdministratorsOnly { .. })),
        ("CALL p()", |e| matches!(e, E::AdministratorsOnly { .. })),
        ("ALTER ROLE pgusher_session SUPERUSER", |e| matches!(e, E::Unsupported { .. })),
        ("PREPARE TRANSACTION 'x'", |e| matches!(e, E::Unsupported { .. })),
        ("EXECUTE missing", |e| matches!(e, E::UndefinedStatement { .. })),
        ("FETCH missing", |e| matches!(e, E::UndefinedCursor { .. })),
        ("EXPLAIN CREATE TABLE x AS SELECT 1", |e| matches!(e, E::Unsupported { .. })),
        ("LISTEN pgusher_policy", |e| matches!(e, E::ProtectedCommand { .. })),
        ("NOTIFY pgusher_policy, 'x'", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET ROLE postgres", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET SESSION AUTHORIZATION postgres", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET \"role\" = 'postgres'", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET row_security = off", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SET session_replication_role = replica", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SET STANDARD_CONFORMING_STRINGS = off", |e| matches!(e, E::ParameterValue { .. })),
        ("SET client_encoding = 'SJIS'", |e| matches!(e, E::ParameterValue { .. })),
        ("SET NAMES 'latin1'", |e| matches!(e, E::ParameterValue { .. })),
        ("SET search_path = public, pgusher", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT set_config('search_path', 'a, \"pgusher_public\"', false)", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SET pgusher.who = 'root'", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SET app.who = 'root'", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SHOW pgusher.key", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SELECT 1 LIMIT pg_sleep_until_never(1)", |e| matches!(e, E::UndefinedFunction { .. })),
    ];
    for (sql, expected) in cases {
        let found = refusal(sql);
        assert!(expected(&found), "{sql}: {found:?}");
    }
}

#[test]
fn writes_to_masked_tables_go_to_the_twin() {
    let twin = "\"pgusher_public\".\"employees$w\" AS \"employees\"";
    let all =
        "\"employees\".\"id\", \"employees\".\"name\", \"employees\".\"ssn\", \"employees\".\"salary\", \"employees\".\"region\"";
    table(&[
        ("INSERT INTO employees VALUES (1, 'n')", &format!("INSERT INTO {twin} VALUES (1, 'n')")),
        ("INSERT INTO employees (id, ssn) VALUES (1, '2')", &format!("INSERT INTO {twin} (id, \"ssn$raw\") VALUES (1, '2')")),
        (
            "INSERT INTO employees AS e (\"ssn\") VALUES (1)",
            "INSERT INTO \"pgusher_public\".\"employees$w\" AS e (\"ssn$raw\") VALUES (1)",
        ),
        (
            "UPDATE employees SET salary = salary + 1 WHERE ssn = 'x'",
            &format!("UPDATE {twin} SET \"salary$raw\" = salary + 1 WHERE ssn = 'x'"),
        ),
        ("UPDATE employees SET (name, ssn) = ('a', 'b')", &format!("UPDATE {twin} SET (name, \"ssn$raw\") = ('a', 'b')")),
        (
            "UPDATE employees e SET ssn = 1 WHERE e.id = 2",
            "UPDATE \"pgusher_public\".\"employees$w\" e SET \"ssn$raw\" = 1 WHERE e.id = 2",
        ),
        ("UPDATE ONLY employees SET name = 1", "UPDATE ONLY \"pgusher_public\".\"employees$w\" AS \"employees\" SET name = 1"),
        ("UPDATE ONLY (employees) SET name = 1", "UPDATE ONLY (\"pgusher_public\".\"employees$w\") AS \"employees\" SET name = 1"),
        ("UPDATE employees * SET name = 1", "UPDATE \"pgusher_public\".\"employees$w\" * AS \"employees\" SET name = 1"),
        ("DELETE FROM employees WHERE id = 1 RETURNING *", &format!("DELETE FROM {twin} WHERE id = 1 RETURNING {all}")),
        ("DELETE FROM employees RETURNING employees.*, 1", &format!("DELETE FROM {twin} RETURNING {all}, 1")),
        (
            "UPDATE employees SET name = o.id FROM orders o RETURNING *",
            &format!("UPDATE {twin} SET name = o.id FROM \"public\".\"orders\" o RETURNING {all}, \"o\".*"),
        ),
        (
            "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = excluded.name, name = excluded.name",
            &format!(
                "INSERT INTO {twin} (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET \"ssn$raw\" = excluded.name, name = excluded.name"
            ),
        ),
        ("INSERT INTO notes VALUES (1)", "INSERT INTO \"pgusher_public\".\"notes\" VALUES (1)"),
        ("UPDATE orders SET amount = 1 RETURNING *", "UPDATE \"public\".\"orders\" SET amount = 1 RETURNING *"),
        (
            "MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN DELETE",
            "MERGE INTO \"public\".\"orders\" o USING \"public\".\"customers\" c ON o.id = c.id WHEN MATCHED THEN DELETE",
        ),
        (
            "WITH d AS (DELETE FROM employees RETURNING *) SELECT * FROM d",
            &format!("WITH d AS (DELETE FROM {twin} RETURNING {all}) SELECT * FROM d"),
        ),
    ]);
}

#[test]
fn writes_that_a_view_cannot_carry_are_refused() {
    for sql in [
        "UPDATE employees SET ssn[1] = 'x'",
        "INSERT INTO employees (ssn[1]) VALUES (1)",
        "INSERT INTO employees (salary.x) VALUES (1)",
        "UPDATE employees SET name = employees::text",
        "UPDATE employees SET name = 'x' WHERE row_to_json(employees) IS NULL",
        "UPDATE employees SET name = 'x' WHERE (employees.*) IS NULL",
        "UPDATE employees SET name = 'x' WHERE public.employees.* IS NULL",
        "UPDATE employees e SET name = 'x' RETURNING e",
        "UPDATE employees e SET name = 'x' RETURNING (e).ssn",
        "UPDATE employees e SET name = 'x' RETURNING (SELECT e).ssn",
        "UPDATE employees e SET name = (SELECT count(e) FROM orders)",
        "UPDATE employees SET name = 'x' RETURNING old.ssn",
        "UPDATE employees SET name = 'x' RETURNING new.*",
        "UPDATE employees SET name = 'x' RETURNING WITH (OLD AS o) o.ssn",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (ssn) DO NOTHING",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT ((ssn || '')) DO NOTHING",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) WHERE ssn = 'x' DO NOTHING",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT ON CONSTRAINT employees_pkey DO NOTHING",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded::text",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = (excluded.*)::text",
        "INSERT INTO notes VALUES (1) ON CONFLICT (id) DO UPDATE SET body = 'x'",
        "INSERT INTO derived VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 1",
        "INSERT INTO v_orders VALUES (1)",
        "MERGE INTO employees e USING orders o ON true WHEN MATCHED THEN DELETE",
        "MERGE INTO notes e USING orders o ON true WHEN MATCHED THEN DELETE",
        "DELETE FROM employees WHERE CURRENT OF c",
        "UPDATE notes SET body = 'x' WHERE CURRENT OF c",
        "UPDATE employees SET name = 'x' FROM orders o JOIN customers c ON true RETURNING *",
    ] {
        assert!(matches!(refusal(sql), ResolveError::Unsupported { .. }), "{sql}: {:?}", refusal(sql));
    }
}

#[test]
fn effects_tell_the_session_what_it_must_know() {
    let effect = |sql: &str| analyse(sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}")).effect;
    let set = |parameter: &str, value: &[&str], local| Effect::Set {
        parameter: parameter.into(),
        value: Some(value.iter().map(|v| (*v).to_owned()).collect()),
        local,
    };
    assert_eq!(effect("SET search_path TO hr, \"Odd\""), set("search_path", &["hr", "Odd"], false));
    assert_eq!(effect("SET LOCAL Work_Mem = '1MB'"), set("work_mem", &["1MB"], true));
    assert_eq!(effect("SET TIME ZONE 'UTC'"), set("timezone", &["UTC"], false));
    assert_eq!(effect("SET extra_float_digits = 3"), set("extra_float_digits", &["3"], false));
    assert_eq!(effect("SET client_encoding TO 'utf-8'"), set("client_encoding", &["utf-8"], false));
    assert_eq!(effect("SET standard_conforming_strings = on"), set("standard_conforming_strings", &["on"], false));
    assert_eq!(effect("SELECT set_config('search_path', 'A, \"B\"', true)"), set("search_path", &["a", "B"], true));
    assert_eq!(effect("SELECT pg_catalog.set_config('search_path', '', false)"), set("search_path", &[], false));
    assert_eq!(effect("RESET ALL"), Effect::Reset { parameter: None });
    assert_eq!(effect("SHOW Search_Path"), Effect::Show { parameter: "search_path".into() });
    assert_eq!(
        effect("PREPARE p (int, text) AS  SELECT $1 FROM orders AS o -- end"),
        Effect::Prepare { name: "p".into(), inner: "SELECT $1 FROM orders AS o".into() }
    );
    assert_eq!(effect("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), Effect::Declare { cursor: "c".into(), hold: true });
    assert_eq!(effect("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), Effect::None);
    assert_eq!(effect("DEALLOCATE ALL"), Effect::Deallocate { name: None });
    assert_eq!(effect("CLOSE c"), Effect::Close { cursor: Some("c".into()) });
}

#[test]
fn copy_of_a_masked_table_is_a_query_over_its_governed_view() {
    table(&[
        ("COPY customers TO STDOUT", "COPY \"public\".\"customers\" TO STDOUT"),
        ("COPY orders (id) TO STDOUT", "COPY \"public\".\"orders\" (id) TO STDOUT"),
        (
            "COPY employees TO STDOUT WITH (FORMAT csv)",
            "COPY (SELECT \"id\", \"name\", \"ssn\", \"salary\", \"region\" FROM \"pgusher_public\".\"employees\") TO STDOUT WITH (FORMAT csv)",
        ),
        (
            "COPY public.employees (ssn, id) TO STDOUT CSV HEADER",
            "COPY (SELECT \"ssn\", \"id\" FROM \"pgusher_public\".\"employees\") TO STDOUT CSV HEADER",
        ),
        ("COPY (SELECT ssn FROM employees) TO STDOUT", "COPY (SELECT ssn FROM \"pgusher_public\".\"employees\") TO STDOUT"),
        (
            "COPY (DELETE FROM employees RETURNING ssn) TO STDOUT",
            "COPY (DELETE FROM \"pgusher_public\".\"employees$w\" AS \"employees\" RETURNING ssn) TO STDOUT",
        ),
        ("COPY customers FROM STDIN", "COPY \"public\".\"customers\" FROM STDIN"),
        ("COPY customers FROM STDIN WHERE id = '1'", "COPY \"public\".\"customers\" FROM STDIN WHERE id = '1'"),
    ]);
    for sql in [
        "COPY employees TO '/tmp/x'",
        "COPY employees FROM PROGRAM 'id'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY BINARY employees TO STDOUT",
        "COPY orders FROM STDIN WHERE id = '1'",
        "COPY orders FROM STDIN WITH (FREEZE)",
        "COPY v_orders FROM STDIN",
    ] {
        assert!(matches!(refusal(sql), ResolveError::Unsupported { .. }), "{sql}");
    }
    assert!(matches!(refusal("COPY employees (nothing) TO STDOUT"), ResolveError::UndefinedColumn { .. }));
    assert!(matches!(refusal("COPY pgusher.token TO STDOUT"), ResolveError::ProtectedSchema { .. }));
    assert!(matches!(refusal("COPY pg_authid TO STDOUT"), ResolveError::ProtectedRelation { .. }));
}

#[test]
fn copy_into_a_governed_table_goes_through_a_temporary_one() {
    let done = analyse("COPY employees (id, ssn) FROM STDIN WITH (FORMAT csv)").unwrap();
    let Effect::CopyInGoverned(steps) = done.effect else { panic!("{:?}", done.effect) };
    assert_eq!(
        &*steps.create,
        "CREATE TEMPORARY TABLE \"pgusher_copy\" ON COMMIT DROP AS SELECT \"id\", \"ssn\" FROM \"pgusher_public\".\"employees\" WITH NO DATA"
    );
    assert_eq!(&*steps.copy, "COPY \"pg_temp\".\"pgusher_copy\" (id, ssn) FROM STDIN WITH (FORMAT csv)");
    assert_eq!(
        &*steps.insert,
        "INSERT INTO \"pgusher_public\".\"employees$w\" (\"id\", \"ssn$raw\") SELECT \"id\", \"ssn\" FROM \"pg_temp\".\"pgusher_copy\""
    );
    assert_eq!(&*steps.drop, "DROP TABLE pg_temp.pgusher_copy");
    assert_eq!(done.needs, ["MODIFY employees"]);
    let all = analyse("COPY orders FROM STDIN").unwrap();
    assert!(
        matches!(all.effect, Effect::CopyInGoverned(ref s) if s.insert.starts_with("INSERT INTO \"public\".\"orders\" (\"id\", \"owner\","))
    );
}

#[test]
fn raw_columns_of_a_twin_cannot_be_named() {
    for sql in [
        "UPDATE employees SET name = \"ssn$raw\"",
        "UPDATE employees SET \"ssn$raw\" = 'x'",
        "INSERT INTO employees (\"ssn$raw\") VALUES (1)",
        "UPDATE employees e SET name = e.\"salary$raw\"",
        "DELETE FROM employees WHERE public.employees.\"ssn$raw\" = 'x'",
        "DELETE FROM employees RETURNING \"ssn$raw\"",
        "DELETE FROM employees WHERE EXISTS (SELECT 1 FROM orders WHERE \"ssn$raw\" = id)",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.\"ssn$raw\"",
        "INSERT INTO employees (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = \"ssn$raw\"",
    ] {
        assert!(matches!(refusal(sql), ResolveError::UndefinedColumn { .. }), "{sql}: {:?}", refusal(sql));
    }
}

#[test]
fn set_config_stands_alone_or_not_at_all() {
    for sql in [
        "SELECT DISTINCT ON (set_config('work_mem', '1', true)) set_config('work_mem', '1', true)",
        "SELECT set_config('work_mem', '1', true) OVER (ORDER BY set_config('role', 'x', true))",
        "SELECT set_config('work_mem', '1', true) FILTER (WHERE set_config('role', 'x', true) = '')",
        "SELECT set_config('work_mem', '1', true) WINDOW w AS (ORDER BY set_config('role', 'x', true))",
        "SELECT set_config('work_mem', '1', true) FROM generate_series(1, 2)",
        "SELECT set_config('work_mem', '1', true) UNION SELECT ''",
        "WITH x AS (SELECT set_config('work_mem', '1', true)) SELECT 1",
        "SELECT (SELECT set_config('work_mem', '1', true))",
    ] {
        assert!(matches!(refusal(sql), ResolveError::ProtectedFunction { .. }), "{sql}: {:?}", refusal(sql));
    }
}

#[test]
fn drivers_may_call_helpers_of_information_schema_and_not_read_statistics() {
    assert!(analyse("SELECT information_schema._pg_expandarray(ARRAY[1])").is_ok());
    for view in ["pg_stat_all_tables", "pg_statio_user_tables", "pg_catalog.pg_stats", "pg_statistic"] {
        let refused = crate::sql::fixture::analyse_as(
            &format!("SELECT * FROM {view}"),
            &crate::sql::fixture::alice(),
            &crate::sql::fixture::footing_with(|parts| {
                let class = parts.relations.iter().find(|r| r.oid == 1259).unwrap().clone();
                for (oid, name) in [(5000, "pg_stat_all_tables"), (5001, "pg_statio_user_tables"), (5002, "pg_statistic")] {
                    parts.relations.push(crate::catalog::Relation { oid, name: name.into(), ..class.clone() });
                }
            }),
            &crate::catalog::SearchPath::default(),
        );
        assert!(
            matches!(refused, Err(crate::sql::fixture::Refused::Resolve(ResolveError::ProtectedRelation { .. }))),
            "{view}: {refused:?}"
        );
    }
}

#[test]
fn a_view_that_the_footing_overlooked_is_refused() {
    let footing = crate::sql::fixture::footing_with(|parts| {
        let view = parts.relations.iter().find(|r| r.oid == 104).unwrap().clone();
        parts.relations.push(crate::catalog::Relation { oid: 140, name: "sly".into(), reads: vec![106], ..view });
    });
    let refused = crate::sql::fixture::analyse_as(
        "SELECT * FROM sly",
        &crate::sql::fixture::alice(),
        &footing,
        &crate::catalog::SearchPath::default(),
    );
    assert!(matches!(refused, Err(crate::sql::fixture::Refused::Resolve(ResolveError::Broken { .. }))), "{refused:?}");
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
    assert_eq!(sent("SELECT * FROM pg_class", &["public"]).text, "SELECT * FROM \"pg_catalog\".\"pg_class\"");
    assert_eq!(sent("SELECT * FROM pg_class", &["public", "pg_catalog"]).text, "SELECT * FROM \"public\".\"pg_class\"");
    let temporary = sent("SELECT * FROM employees", &["public"]);
    assert_eq!((temporary.text.as_str(), temporary.needs.len()), ("SELECT * FROM \"pg_temp\".\"employees\"", 0));
    assert!(sent("SELECT * FROM public.employees", &["public"]).touched.masked);
}
