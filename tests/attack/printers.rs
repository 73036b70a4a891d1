//! Class 9, parser differentials: statements that SQL printers are known to turn into other statements, and that scanners misread.
//! Each is one legal statement; the table named inside a literal or identifier must stay a literal or identifier.

use super::{all_refused, keeps_secrets};
use crate::harness::both_mechanisms;

both_mechanisms! {
    /// Literals and identifiers that end early when they are printed carelessly.
    fn text_inside_quotes_stays_inside(shop: shared) {
        let ivan = shop.ivan();
        assert_eq!(ivan.one(r"SELECT '\'' UNION SELECT ssn FROM employees --'"), r"\' UNION SELECT ssn FROM employees --");
        assert_eq!(ivan.one("SELECT 'a''''b'"), "a''b");
        assert_eq!(ivan.one(r"SELECT '\' || length('\\')"), r"\2");
        assert_eq!(ivan.headings(r#"SELECT 1 AS "a\"" FROM employees --""#), [r#"a\" FROM employees --"#]);
        assert_eq!(ivan.one("SELECT - - 5"), "5");
        assert_eq!(ivan.one("SELECT - - 7 AS \"x\nFROM employees --\""), "7");
        assert_eq!(ivan.one("SELECT code FROM regions WHERE - - 1 = 1 ORDER BY 1 LIMIT 1"), "AMER");
        assert_eq!(ivan.one(r"SELECT E'x\'; DROP TABLE employees; --'"), "x'; DROP TABLE employees; --");
        assert_eq!(ivan.one("SELECT $q$'; SELECT * FROM employees --$q$"), "'; SELECT * FROM employees --");
        assert_eq!(ivan.one("SELECT 'one'\n'two'"), "onetwo");
        assert_eq!(ivan.one(r"SELECT U&'d\0061t\+000061'"), "data");
        assert_eq!(ivan.one("SELECT N'x' || B'101'::text || X'1F'::text"), "x10100011111");
    }

    /// Names that printers leave unquoted: windows, join aliases, argument names, types, EXPLAIN options.
    fn names_that_printers_forget_to_quote_inject_nothing(shop: shared) {
        let ivan = shop.ivan();
        keeps_secrets(shop, &ivan, &[
            r#"SELECT * FROM regions a JOIN regions b USING (code) AS "x, employees""#,
            r#"SELECT 1::pg_catalog."int4, ssn FROM employees --""#,
            r#"SELECT 1::"int4, ssn FROM employees --""#,
            r#"SELECT count(*) OVER w FROM regions WINDOW w AS (PARTITION BY code)"#,
            r#"SELECT count(*) OVER "w AS () UNION SELECT ssn FROM employees --" FROM regions WINDOW "w AS () UNION SELECT ssn FROM employees --" AS ()"#,
            r#"SELECT make_interval("days := 1), (SELECT ssn FROM employees) --" => 1)"#,
            r#"SELECT code AS "x FROM employees --" FROM regions"#,
            r#"SELECT "x FROM employees --".code FROM regions AS "x FROM employees --""#,
            r#"SELECT * FROM regions AS r("a"", ssn FROM employees --")"#,
            r#"WITH "x AS (SELECT ssn FROM employees) SELECT * FROM x --" AS (SELECT 1) SELECT * FROM "x AS (SELECT ssn FROM employees) SELECT * FROM x --""#,
            r#"EXPLAIN ("costs) select 1; drop table regions; --" off) SELECT 1"#,
            r#"SELECT code COLLATE "C" FROM regions"#,
            r#"SELECT code COLLATE "C, ssn FROM employees --" FROM regions"#,
            r#"SELECT extract("year FROM now()), (SELECT max(ssn) FROM employees) --" FROM now())"#,
            r#"PREPARE "p AS SELECT ssn FROM employees --" AS SELECT 1"#,
            r#"EXECUTE "p AS SELECT ssn FROM employees --""#,
            r#"BEGIN; DECLARE "c CURSOR FOR SELECT ssn FROM employees --" CURSOR FOR SELECT 1; FETCH ALL FROM "c CURSOR FOR SELECT ssn FROM employees --""#,
            r#"SAVEPOINT "s; SELECT ssn FROM employees; --""#,
            r#"SET application_name = 'x''; SELECT ssn FROM employees; --'"#,
            r#"SET "application_name" TO 'x', 'y''; SELECT 1'"#,
        ]);
        assert_eq!(ivan.one("SELECT count(*) FROM regions"), "3");
    }

    /// Constructs that a foreign grammar reads differently must mean here what they mean in PostgreSQL.
    fn what_other_grammars_read_differently_means_what_postgres_means(shop: shared) {
        let (ivan, truth) = (shop.ivan(), shop.truth());
        for query in [
            "SELECT code ISNULL FROM regions",
            "SELECT code NOTNULL, code IS DISTINCT FROM 'AMER' FROM regions ORDER BY code",
            "SELECT 2 ^ -1, 7 - -2, @ -5, 5 # 3, 2 * - 3, 1 OPERATOR(pg_catalog.+) 2",
            "SELECT a.code FROM regions a WHERE a.code BETWEEN SYMMETRIC 'Z' AND 'A' ORDER BY 1",
            r#"SELECT '{"a":{"b":1}}'::jsonb -> 'a' ->> 'b' = '1'"#,
            "SELECT 1 AS sample, 2 AS qualify, 3 AS pivot",
            "SELECT r.code FROM ROWS FROM (generate_series(1, 2)) WITH ORDINALITY g(n, o), regions r ORDER BY 1 LIMIT 2",
            "SELECT sum(n) OVER (ORDER BY n RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM generate_series(1, 4) n",
            "SELECT interval(3) '1.23456 s', timestamp '2025-01-01' AT TIME ZONE 'UTC'",
            "SELECT grouping(code), count(*) FROM regions GROUP BY GROUPING SETS (ROLLUP (code), ()) ORDER BY 1, 2",
            "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SEARCH DEPTH FIRST BY n SET o SELECT n FROM t",
            "SELECT (ARRAY[1, 2, 3])[1:2], ARRAY[[1, 2], [3, 4]] @> ARRAY[3]",
            "SELECT count(*) FROM regions WHERE code = SOME (VALUES ('EMEA'), ('X'))",
            "SELECT CAST('7' AS pg_catalog.int4) OPERATOR(pg_catalog.+) 1",
            "SELECT overlay('abcdef' PLACING 'X' FROM 2 FOR 3), trim(BOTH 'x' FROM 'xax'), substring('abc' FROM 2)",
        ] {
            assert_eq!(ivan.rows(query), truth.rows(query), "{query}");
        }
        assert_eq!(ivan.one("SELECT (SELECT code FROM ONLY regions ORDER BY 1 LIMIT 1)"), "AMER");
    }

    /// What is no PostgreSQL is refused, whatever another dialect would make of it.
    fn other_dialects_are_no_way_in(shop: shared) {
        all_refused(&shop.ivan(), &[
            "SELECT TOP 1 * FROM employees",
            "SELECT * FROM employees QUALIFY 1 = 1",
            "SELECT TRY_CAST(ssn AS integer) FROM employees",
            "DESCRIBE employees",
            "USE shop",
            "SHOW CREATE TABLE employees",
            "EXECUTE IMMEDIATE 'SELECT 1'",
            "SELECT 'foo' 'bar'",
            "SELECT [1,2]",
            "INSERT OVERWRITE employees SELECT 1",
            "SELECT 123abc",
            r#"SELECT "" FROM employees"#,
            "SELECT 1 FROM a.b.c.d",
        ], &["42601", "42501", "42P01", "0A000", "42704", "26000"]);
    }

    /// Strings mean one thing only: `standard_conforming_strings` stays on.
    fn the_meaning_of_strings_is_pinned(shop: shared) {
        for client in [shop.ivan(), shop.admin()] {
            for attempt in ["SET standard_conforming_strings = off", "SELECT set_config('standard_conforming_strings', 'off', false)", "SET backslash_quote = on", "SET LOCAL standard_conforming_strings TO off"] {
                let _ = client.try_rows(attempt);
            }
            assert_eq!(client.one("SHOW standard_conforming_strings"), "on");
            assert_eq!(client.one(r"SELECT length('\\')"), "2");
        }
    }
}
