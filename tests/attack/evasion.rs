//! Ways of writing a read that a careless proxy does not recognize.

use super::{all_refused, keeps_secrets};
use crate::harness::both_mechanisms;

both_mechanisms! {
    /// Class 8, statement classification; class 19, side doors: every spelling of reading a masked or filtered table.
    fn no_spelling_of_a_read_leaks(shop: shared) {
        keeps_secrets(shop, &shop.ana(), &[
            "SELECT * FROM ONLY employees",
            "SELECT * FROM ONLY (employees)",
            "SELECT * FROM employees *",
            "TABLE employees",
            "TABLE ONLY employees",
            "SELECT e FROM employees e",
            "SELECT employees FROM employees",
            "SELECT employees.*::text FROM employees",
            "SELECT employees::text FROM employees",
            "SELECT (employees).ssn FROM employees",
            "SELECT (SELECT e).ssn FROM employees e",
            "SELECT (e).* FROM employees e",
            "SELECT ssn(e) FROM employees e",
            "SELECT ssn(employees) FROM employees",
            "SELECT to_jsonb(e), row_to_json(e), e::text, hstore(e) FROM employees e",
            "SELECT to_jsonb(e) FROM employees e",
            "SELECT json_agg(e) FROM employees e",
            "SELECT array_agg(e) FROM employees e",
            "SELECT row(e.*) FROM employees e",
            "SELECT x.ssn FROM employees AS x(id, name, ssn)",
            "SELECT x.* FROM employees AS x(a, b, c, d, e, f, g, h, i, j)",
            "SELECT j FROM employees AS x(a, b, c, d, e, f, g, h, i, j)",
            "SELECT * FROM (employees JOIN regions ON code = region) AS j",
            "SELECT * FROM (employees CROSS JOIN regions)",
            "SELECT * FROM employees NATURAL JOIN regions",
            "SELECT * FROM employees TABLESAMPLE SYSTEM (100)",
            "SELECT * FROM public.employees, LATERAL (SELECT employees.ssn) s",
            "WITH e AS (SELECT * FROM employees) SELECT * FROM e",
            "WITH employees AS (SELECT * FROM employees) SELECT * FROM employees",
            "WITH e AS MATERIALIZED (TABLE employees) TABLE e",
            "WITH RECURSIVE e AS (SELECT ssn FROM employees UNION SELECT ssn FROM e) SELECT * FROM e",
            "SELECT * FROM regions WHERE code = ANY (SELECT ssn FROM employees) OR EXISTS (SELECT 1/(salary - 44500) FROM employees)",
            "SELECT (SELECT string_agg(ssn, ',') FROM employees)",
            "SELECT ARRAY(SELECT ssn FROM employees)",
            "SELECT CASE WHEN true THEN (SELECT max(ssn) FROM employees) END",
            "SELECT * FROM regions ORDER BY (SELECT max(ssn) FROM employees)",
            "SELECT 1 LIMIT (SELECT max(salary) FROM employees)",
            "VALUES ((SELECT max(ssn) FROM employees))",
            "SELECT ssn FROM employees UNION ALL SELECT phone FROM employees",
            "SELECT * FROM ROWS FROM (unnest(ARRAY(SELECT ssn FROM employees))) r",
            "SELECT max(ssn) OVER w FROM employees WINDOW w AS (PARTITION BY (SELECT max(salary) FROM employees))",
            "SELECT max(salary) FILTER (WHERE salary > 0) FROM employees",
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY salary) FROM employees",
            "SELECT DISTINCT ON (salary) ssn, salary FROM employees",
            "SELECT ssn, salary FROM employees GROUP BY ROLLUP (ssn, salary)",
            "SELECT * FROM \"employees\"",
            "SELECT * FROM U&\"employee\\0073\"",
            "SELECT * FROM U&\"employee!0073\" UESCAPE '!'",
            "SELECT U&\"ss\\006e\" FROM employees",
            "SELECT * FROM \"public\".\"employees\"",
            "SELECT * FROM shop_rls.public.employees",
            "SELECT * FROM EMPLOYEES",
            "SELECT/**/*/**/FROM/**/employees",
            "SELECT /* /* nested */ FROM nothing */ * FROM employees",
            "SELECT * -- FROM nothing\nFROM employees",
            "SELECT E'\\'' , ssn FROM employees --'",
            "SELECT $$'$$, ssn FROM employees --'",
            "SELECT $a$ $b$ $a$, ssn FROM employees",
            "SELECT '' '' FROM employees",
            "SELECT ssn FROM employees WHERE name LIKE '%' ESCAPE ''",
            "SELECT xmlelement(name x, ssn) FROM employees",
            "SELECT xmlforest(ssn, salary) FROM employees",
            "SELECT format('%s', e) FROM employees e",
            "SELECT concat(e) FROM employees e",
            "SELECT quote_literal(ssn) FROM employees",
            "SELECT count(*) FROM employees HAVING max(salary) > 0 OR max(ssn) NOT LIKE '***%'",
            "SELECT note FROM orders",
            "SELECT note FROM ONLY orders",
            "SELECT o FROM orders o",
            "SELECT o.note FROM orders o RIGHT JOIN regions r ON true",
            "SELECT o.note FROM regions r FULL JOIN orders o ON o.region = r.code",
            "SELECT note FROM orders FOR UPDATE",
            "SELECT note FROM orders TABLESAMPLE BERNOULLI (100)",
            "SELECT note FROM orders WHERE ctid = '(0,1)'",
            "SELECT note FROM orders OFFSET 0",
        ]);
    }

    /// Class 8: data-modifying CTEs and RETURNING are reads too; class 17, writes as a read channel.
    fn writes_do_not_read_for_their_writer(shop: fresh) {
        shop.admin().run("GRANT SELECT, MODIFY ON TABLE employees TO analysts");
        shop.admin().run("GRANT SELECT, MODIFY ON TABLE products TO analysts");
        keeps_secrets(shop, &shop.ana(), &[
            "BEGIN; UPDATE employees SET title = title RETURNING *",
            "BEGIN; WITH u AS (UPDATE employees SET title = 'x' RETURNING *) SELECT * FROM u",
            "BEGIN; WITH d AS (DELETE FROM orders RETURNING note) SELECT * FROM d",
            "BEGIN; WITH u AS (UPDATE orders SET status = 'open' RETURNING orders.*) SELECT note FROM u",
            "BEGIN; WITH i AS (INSERT INTO products SELECT 1000 + id, ssn, email, 1 FROM employees RETURNING *) SELECT * FROM i",
            "BEGIN; INSERT INTO products SELECT 1000 + id, ssn, email, 1 + salary FROM employees RETURNING *",
            "BEGIN; UPDATE products SET name = (SELECT string_agg(ssn, ',') FROM employees) RETURNING name",
            "BEGIN; UPDATE products SET name = e.ssn FROM employees e WHERE e.id = products.id RETURNING name, e.salary, e",
            "BEGIN; DELETE FROM products USING employees e WHERE e.id = products.id RETURNING e.*",
            "BEGIN; UPDATE employees SET name = ssn RETURNING name",
            "BEGIN; UPDATE employees SET name = (SELECT employees.ssn) RETURNING name",
            "BEGIN; UPDATE employees e SET name = e.ssn || e.salary RETURNING e.name",
            "BEGIN; UPDATE employees SET (name, title) = (SELECT ssn, phone) RETURNING name, title",
            "BEGIN; UPDATE employees SET (name, title) = ROW(ssn, phone) RETURNING name, title",
            "BEGIN; UPDATE employees SET name = \"ssn$raw\" RETURNING name",
            "BEGIN; UPDATE employees SET title = 'x' RETURNING \"ssn$raw\"",
            "BEGIN; UPDATE employees SET title = 'x' RETURNING employees",
            "BEGIN; UPDATE employees SET title = 'x' RETURNING employees::text",
            "BEGIN; UPDATE employees SET title = 'x' RETURNING (SELECT employees).ssn",
            "BEGIN; UPDATE employees e SET title = 'x' RETURNING e.*, to_jsonb(e)",
            "BEGIN; DELETE FROM employees WHERE ssn NOT LIKE '***%' RETURNING *",
            "BEGIN; INSERT INTO employees (id, name, email, title, region, hired_on, salary, ssn) SELECT 900 + id, ssn, id::text, phone, region, hired_on, 1, id::text FROM employees RETURNING *",
            "BEGIN; INSERT INTO employees AS e (id, name, email, title, region, hired_on, salary, ssn) VALUES (7, 'x', 'x', 'x', 'EMEA', '2025-01-01', 1, '1') ON CONFLICT (id) DO UPDATE SET name = e.ssn, title = e.email RETURNING *",
            "BEGIN; INSERT INTO employees AS e (id, name, email, title, region, hired_on, salary, ssn) VALUES (7, 'x', 'x', 'x', 'EMEA', '2025-01-01', 1, '1') ON CONFLICT (id) DO UPDATE SET name = e.\"ssn$raw\" RETURNING *",
            "BEGIN; MERGE INTO employees t USING (SELECT 7 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = t.ssn",
            "BEGIN; MERGE INTO products t USING employees s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.ssn; SELECT name FROM products",
        ]);
    }

    /// Class 8: COPY, SELECT INTO, EXPLAIN ANALYZE and cursors read what SELECT reads.
    fn other_statements_that_read_leak_nothing(shop: shared) {
        let ana = shop.ana();
        let secrets = crate::attack::Secrets::of(shop);
        for copy in [
            "COPY employees TO STDOUT",
            "COPY employees (ssn, salary) TO STDOUT",
            "COPY ONLY employees TO STDOUT",
            "COPY (SELECT * FROM employees) TO STDOUT",
            "COPY (TABLE employees) TO STDOUT WITH (FORMAT csv)",
            "COPY (WITH e AS (TABLE employees) SELECT e::text FROM e) TO STDOUT",
            "COPY (UPDATE orders SET status = status WHERE false RETURNING note) TO STDOUT",
            "COPY public.\"employees\" TO STDOUT CSV",
            "COPY orders TO STDOUT",
            "COPY orders (note) TO STDOUT",
        ] {
            let text = ana.try_copy_out(copy).unwrap_or_else(|refusal| refusal.to_string());
            assert_eq!(secrets.first_in(&text), None, "{copy}");
        }
        keeps_secrets(shop, &ana, &[
            "SELECT * INTO stolen FROM employees",
            "SELECT * INTO TEMP stolen FROM employees",
            "BEGIN; CREATE TEMP TABLE stolen AS SELECT * FROM employees; SELECT * FROM stolen",
            "BEGIN; DECLARE c CURSOR FOR SELECT * FROM employees; FETCH ALL FROM c",
            "BEGIN; DECLARE c CURSOR FOR TABLE ONLY employees; FETCH ALL FROM c",
            "BEGIN; DECLARE c BINARY CURSOR FOR SELECT ssn FROM employees; FETCH ALL FROM c",
            "PREPARE p1 AS SELECT * FROM employees; EXECUTE p1",
            "BEGIN; PREPARE p2 AS UPDATE orders SET status = 'open' RETURNING note; EXECUTE p2",
            "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM employees WHERE ssn > '5'",
            "DECLARE c CURSOR WITH HOLD FOR SELECT note FROM orders; FETCH ALL FROM c",
        ]);
    }

    /// Class 10: names that look like governed ones but are not, and governed ones that do not look like it.
    fn look_alike_names_are_told_apart(shop: fresh) {
        let admin = shop.admin();
        for sql in [
            "CREATE TABLE public.\"Employees\" (id integer, ssn text)",
            "CREATE TABLE public.\"employees \" (id integer, ssn text)",
            "CREATE TABLE public.\"public.employees\" (id integer, ssn text)",
            "CREATE SCHEMA \"Public\"",
            "CREATE TABLE \"Public\".employees (id integer, ssn text)",
        ] {
            admin.run(sql);
        }
        let (ana, ivan) = (shop.ana(), shop.ivan());
        all_refused(&ana, &["SELECT * FROM \"Employees\"", "SELECT * FROM \"employees \"", "SELECT * FROM \"public.employees\"", "SELECT * FROM \"Public\".employees"], &["42501"]);
        admin.run("GRANT SELECT ON TABLE \"Employees\" TO interns");
        admin.run("GRANT SELECT ON TABLE \"Public\".employees TO interns");
        assert_eq!(ivan.one("SELECT count(*) FROM \"Employees\""), "0");
        assert_eq!(ivan.one("SELECT count(*) FROM \"Public\".employees"), "0");
        all_refused(&ivan, &["SELECT * FROM Employees", "SELECT * FROM Public.employees", "SELECT * FROM U&\"\\0065mployees\""], &["42501"]);
    }
}
