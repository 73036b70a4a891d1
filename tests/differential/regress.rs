//! The SELECTs of PostgreSQL's own regression suite, on its own tables, some of them under filters and masks.
//!
//! The suite comes with PostgreSQL's sources, which `scripts/postgres-sources` brings; without them there is nothing to do.

use std::path::PathBuf;
use std::process::Command;

use super::compare::Verdict;
use super::corpus::{finish, policies};
use super::figures::Figures;
use super::run::{extent, mechanisms};
use super::side::Step;
use super::world::{Data, PEOPLE, World};
use crate::harness::{Client, Upstream, program};

/// Files whose queries read the tables that `test_setup.sql` makes.
const FILES: [&str; 34] = [
    "select",
    "select_distinct",
    "select_distinct_on",
    "select_implicit",
    "select_having",
    "subselect",
    "union",
    "case",
    "join",
    "aggregates",
    "arrays",
    "random",
    "portals",
    "window",
    "groupingsets",
    "limit",
    "with",
    "rowtypes",
    "tsrf",
    "rangefuncs",
    "int4",
    "int8",
    "float8",
    "numeric",
    "text",
    "strings",
    "boolean",
    "date",
    "timestamp",
    "interval",
    "jsonb",
    "json",
    "regex",
    "tablesample",
];

/// Statements whose answers are different each time, or depend on where rows lie.
const LEFT_OUT: [&str; 15] = [
    "pg_views",
    "random(",
    "now()",
    "current_timestamp",
    "clock_timestamp",
    "pg_backend_pid",
    "ctid",
    "'now'",
    "pg_stat",
    "transaction_timestamp",
    "explain",
    "current_schemas",
    "current_user",
    "'today'",
    "'tomorrow'",
];

const DATA: Data = Data { name: "regress", load, readable: &TABLES, writable: &[] };

const TABLES: [&str; 21] = [
    "onek",
    "onek2",
    "tenk1",
    "tenk2",
    "int2_tbl",
    "int4_tbl",
    "int8_tbl",
    "float8_tbl",
    "text_tbl",
    "char_tbl",
    "varchar_tbl",
    "point_tbl",
    "person",
    "emp",
    "student",
    "stud_emp",
    "road",
    "ihighway",
    "shighway",
    "box_tbl_f",
    "empsalary",
];

fn suite() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/postgres-sources/src/test/regress")
}

/// Runs the suite's own set-up. What needs its C library fails, and is not needed.
fn load(root: &Client) {
    let suite = suite();
    let database = root.one("SELECT current_database()");
    let upstream = Upstream::shared();
    let output = Command::new(program("psql"))
        .args(["-q", "-X", "-h", "127.0.0.1", "-p", &upstream.port.to_string(), "-U", "postgres", "-d", &database])
        .arg("-f")
        .arg(suite.join("sql/test_setup.sql"))
        .env("PGPASSWORD", "postgres")
        .env("PG_ABS_SRCDIR", &suite)
        .env("PG_LIBDIR", "/nonexistent")
        .env("PG_DLSUFFIX", ".so")
        .output()
        .expect("psql starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    root.run("CREATE TABLE box_tbl_f (f1 box); INSERT INTO box_tbl_f VALUES ('(2,2,0,0)'), ('(1,1,3,3)')");
    root.run(
        "CREATE TABLE empsalary (depname varchar, empno bigint, salary int, enroll_date date);
         INSERT INTO empsalary VALUES ('develop', 10, 5200, '2007-08-01'), ('sales', 1, 5000, '2006-10-01'), ('personnel', 5, 3500, '2007-12-10'),
         ('sales', 4, 4800, '2007-08-08'), ('personnel', 2, 3900, '2006-12-23'), ('develop', 7, 4200, '2008-01-01'), ('develop', 9, 4500, '2008-01-01'),
         ('sales', 3, 4800, '2007-08-01'), ('develop', 8, 6000, '2006-10-01'), ('develop', 11, 5200, '2007-08-15')",
    );
    root.run("CREATE INDEX onek_unique1 ON onek (unique1); CREATE INDEX tenk1_unique1 ON tenk1 (unique1); CREATE INDEX tenk1_hundred ON tenk1 (hundred)");
    root.run("VACUUM ANALYZE");
}

/// The reading statements of a file of psql's.
fn queries(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with('\\') && !l.contains("\\g")).collect();
    let text = lines.join("\n");
    let pieces = pg_query::split_with_scanner(&text).unwrap_or_default();
    let reads = |q: &str| {
        let body: String = q.lines().filter(|l| !l.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
        let body = body.trim().to_lowercase();
        ["select", "with", "values", "table", "("].iter().any(|word| body.starts_with(word))
            && !LEFT_OUT.iter().any(|word| body.contains(word))
            && !body.contains(" into ")
            && !body.contains(':') | body.contains("::")
    };
    pieces.into_iter().map(str::trim).filter(|q| reads(q)).map(str::to_owned).collect()
}

/// LIMIT without a total order may give any rows.
fn partial(query: &str) -> bool {
    let query = query.to_lowercase();
    query.contains("limit") || query.contains("fetch") || query.contains("offset") || query.contains("distinct on")
}

#[test]
fn the_regression_suites_queries_answer_as_on_a_database_of_permitted_rows() {
    if !suite().join("sql/test_setup.sql").exists() {
        println!("PostgreSQL's sources are not here: scripts/postgres-sources brings them");
        return;
    }
    let set = policies(
        &[],
        &[
            ("tenk1", "unique1 % 5 <> 0"),
            ("onek", "is_member('g2') OR ten <> 3"),
            ("int8_tbl", "q1 < 1000000"),
            ("empsalary", "depname <> 'sales'"),
        ],
        &[
            ("onek", "stringu1", "left(stringu1::text, 2)::name"),
            ("int4_tbl", "f1", "f1 / 2"),
            ("text_tbl", "f1", "upper(f1)"),
            ("empsalary", "salary", "salary / 1000 * 1000"),
        ],
    );
    let share = extent("PGUSHER_REGRESS_SHARE", 12, 1);
    let mut figures = Figures::default();
    for mechanism in mechanisms() {
        let mut world = World::new(DATA, mechanism);
        world.govern(&set);
        figures.worlds += 1;
        let mut pair = world.pair(PEOPLE[0]);
        for file in FILES {
            let text = std::fs::read_to_string(suite().join(format!("sql/{file}.sql"))).unwrap_or_default();
            for (n, query) in queries(&text).into_iter().enumerate() {
                if !(n as u64).is_multiple_of(share) {
                    continue;
                }
                let verdict = pair.compare(&[Step::Simple(query.clone())], false);
                match verdict {
                    Verdict::Different(why) if partial(&query) && why.starts_with("rows differ") => {
                        figures.count(&Verdict::Inconclusive, &query, 0)
                    }
                    Verdict::Different(why) => {
                        figures.count(&Verdict::Different(String::new()), &query, 0);
                        figures.differences.push(format!("{} ({mechanism:?}), {file}.sql:\n{query}\n  {why}", PEOPLE[0].0));
                    }
                    verdict => figures.count(&verdict, &query, pair.rows),
                }
            }
        }
    }
    finish(&figures, "regression suite", 4);
}
