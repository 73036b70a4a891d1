use super::*;

mod extremes;
pub(super) mod mutation;
mod reading;
mod routing;
mod scanning;
mod surface;
mod trees;

/// On a stack as large as the workers' (main gives them 64 MiB).
fn on_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap()
}

/// Statements of many shapes: what mutations start from.
const CORPUS: &[&str] = &[
    "SELECT a, b.c AS \"D e\", count(*) FILTER (WHERE x > 1.5e-3) OVER (PARTITION BY y ORDER BY z ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM s.t AS b",
    "SELECT /*+ hint */ n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue FROM customer, orders o -- tail\nWHERE o.d >= date '1994-01-01' AND o.d < date '1994-01-01' + interval '1' year GROUP BY n_name ORDER BY revenue DESC",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r WHERE n < 10) SEARCH DEPTH FIRST BY n SET o SELECT * FROM r",
    "INSERT INTO t (a, b) VALUES (1, E'it\\'s'), ($1, U&'d\\0061t') ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b WHERE t.a <> 0 RETURNING *",
    "UPDATE ONLY t SET (a, b) = (SELECT 1, 2), c[1:2] = '{}' FROM u WHERE t.id = u.id AND u.x IS NOT DISTINCT FROM NULL",
    "DELETE FROM t USING u WHERE t.a = u.a AND NOT EXISTS (SELECT FROM v WHERE v.b BETWEEN SYMMETRIC 1 AND 2)",
    "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED AND u.x THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
    "SELECT $$it's$$ || $tag$a $$ b$tag$, B'01', x'1F', N'n', 0x1F, 1_000, .5, 5., 1e10, $1, a::int[][3], (r).f, (f(x)).*",
    "SELECT 'a'\n  'b' -- c\n 'd', U&\"d\\0061ta\", U&'!0061' UESCAPE '!', a->>'k', b #>> '{x}', c @> d, -1 - -2, 2^-1, @-5, !=-1",
    "SELECT current_user(), session_user ( ), user /* who */ ( -- is\n ), \"user\"(), x.user(), is_member('g')",
    "COPY (SELECT * FROM employees) TO STDOUT WITH (FORMAT csv, HEADER)",
    "EXPLAIN (ANALYZE, COSTS off) SELECT CASE WHEN a THEN b ELSE CASE c WHEN 1 THEN 2 END END FROM t TABLESAMPLE system (10)",
    "BEGIN ISOLATION LEVEL SERIALIZABLE; SAVEPOINT a; ROLLBACK TO a;; COMMIT AND CHAIN",
    "SET LOCAL work_mem = '4MB'; SHOW search_path; RESET ALL; PREPARE p (int) AS SELECT $1; EXECUTE p (1); DEALLOCATE p",
    "DECLARE c CURSOR WITH HOLD FOR TABLE t; FETCH FORWARD 10 FROM c; MOVE c; CLOSE c; LISTEN x; NOTIFY x, 'y'; DISCARD ALL",
    "SELECT * FROM ROWS FROM (f(1), g(2) AS (a int, b text)) WITH ORDINALITY x, LATERAL (VALUES (1)) v, XMLTABLE('/r' PASSING d COLUMNS a int PATH 'a') q",
    "SELECT GROUPING(a), b FROM t GROUP BY GROUPING SETS ((a), ROLLUP (b, c), ()) HAVING sum(d) > ANY (ARRAY[1, 2]) WINDOW w AS () LIMIT 5 OFFSET 1 FOR NO KEY UPDATE OF t SKIP LOCKED",
    "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a; SELECT CASE WHEN a > 0 THEN 1 END; END; SELECT 1",
    "CREATE VIEW v AS SELECT * FROM t JOIN u USING (id) AS j WHERE owner = current_user() WITH CASCADED CHECK OPTION",
    "CREATE TABLE naïve (\"Ünï\" text DEFAULT 'é', b bigint GENERATED ALWAYS AS IDENTITY, CHECK (b > 0))",
    "SELECT JSON_VALUE(j, '$.a' RETURNING int DEFAULT 0 ON EMPTY), JSON_OBJECT('a': 1), j IS JSON, xmlelement(name a, b), extract(year FROM d), a AT TIME ZONE 'UTC' COLLATE \"C\"",
];
