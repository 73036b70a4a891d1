//! No input takes us down or holds a core: each ends in time, on a worker's stack, in trees that every walk can bear.

use super::*;
use crate::sql::rewrite::guard::prove;
use std::time::{Duration, Instant};

/// A text that is accepted must also be proved, cloned, compared and dropped on the same stack.
fn outcome(text: String) -> Result<usize, ParseError> {
    on_worker(move || {
        let started = Instant::now();
        let result = parse(&text, &Limits::default());
        // A second is the promise; debug builds on a busy machine get more room.
        assert!(started.elapsed() < Duration::from_secs(4), "{}… took {:?}", &text[..40], started.elapsed());
        let statements = result?;
        for statement in &statements {
            prove(&statement.sql, &statement.tree).unwrap();
            assert!(statement.tree == statement.tree.clone());
        }
        Ok(statements.len())
    })
}

fn accepted(text: String) {
    let head = text[..text.len().min(60)].to_owned();
    assert!(outcome(text).is_ok_and(|n| n > 0), "{head}… is refused");
}

fn refused(text: String) {
    let head = text[..text.len().min(60)].to_owned();
    let found = outcome(text);
    assert!(matches!(found, Err(ParseError::TooComplex { .. } | ParseError::TooLong { .. })), "{head}… gives {found:?}");
}

fn chain(item: &str, by: &str, n: usize) -> String {
    vec![item; n].join(by)
}

fn nested(open: &str, inner: &str, close: &str, n: usize) -> String {
    format!("{}{inner}{}", open.repeat(n), close.repeat(n))
}

#[test]
fn what_real_programs_send_is_accepted() {
    accepted(format!("SELECT * FROM t WHERE a IN ({})", chain("1", ",", 100_000)));
    accepted(format!("INSERT INTO t VALUES {}", chain("(1,'abcdefgh',now(),4.5,NULL)", ",", 10_000)));
    accepted(format!("SELECT '{}'", "x".repeat(1_000_000)));
    accepted(chain("SELECT 1", ";", 5_000));
    accepted(chain("SELECT 1", " UNION ALL ", 1_000));
    accepted(format!("SELECT 1 WHERE {}", chain("a = 1", " OR ", 10_000)));
    accepted(format!("SELECT {}", chain("a", "||", 1_000)));
    accepted(format!("SELECT * FROM t{}", " JOIN t ON a = b".repeat(900)));
    accepted(format!("SELECT CASE {} END", "WHEN a = 1 THEN b + 1 ".repeat(5_000)));
    accepted(format!("SELECT {}", nested("(", "1", ")", 300)));
    accepted(format!("SELECT {}", nested("f(", "1", ")", 300)));
    accepted(format!("SELECT {}", nested("(SELECT ", "1", ")", 300)));
    accepted(format!("SELECT * FROM {}", nested("(SELECT * FROM ", "t", ") x", 300)));
    accepted(format!("SELECT {}", nested("CASE WHEN ", "a", " THEN 1 END", 300)));
    accepted(format!("SELECT 1 {}", nested("/*", "", "*/", 32)));
}

#[test]
fn a_long_text_is_refused() {
    assert_eq!(outcome(" ".repeat((1 << 20) + 1)), Err(ParseError::TooLong { bytes: (1 << 20) + 1, limit: 1 << 20 }));
    refused(format!("SELECT {}", chain("1", ",", 200_000)));
    refused(format!("SELECT {}", chain("a=1", ",", 60_000)));
}

#[test]
fn chains_beyond_the_limits_are_refused() {
    refused(chain("SELECT 1", " UNION ALL ", 50_000));
    refused(format!("SELECT 1 WHERE {}", chain("a", " AND ", 100_000)));
    refused(chain("SELECT 1", ";", 50_000));
    refused(";".repeat(1_000_000));
    for n in [1_101, 100_000] {
        refused(format!("SELECT {}", chain("1", "+", n)));
        refused(format!("SELECT 1{}", "::int".repeat(n)));
        refused(format!("SELECT {} a", "NOT ".repeat(n)));
        refused(format!("SELECT {} a", "- ".repeat(n)));
        refused(format!("SELECT a{}", " COLLATE c".repeat(n)));
        refused(format!("SELECT * FROM {}", chain("t", " CROSS JOIN ", n)));
        refused(format!("SELECT * FROM t{}", " JOIN t ON a = b".repeat(n.min(20_000))));
        refused(format!("SELECT 1 {}", "BETWEEN 1 AND NOT 1 ".repeat(n.min(20_000))));
        refused(format!("SELECT a {} b", "IS DISTINCT FROM NOT a ".repeat(n.min(20_000))));
    }
}

#[test]
fn nesting_beyond_the_limits_is_refused() {
    for n in [500, 5_000, 100_000] {
        refused(format!("SELECT {}", nested("(", "1", ")", n)));
        refused(format!("SELECT {}", nested("(SELECT ", "1", ")", n)));
        refused(format!("SELECT {}", nested("f(", "1", ")", n)));
        refused(format!("SELECT * FROM {}", nested("(SELECT * FROM ", "t", ") x", n)));
        refused(format!("SELECT 1 WHERE {}", nested("EXISTS (SELECT 1 WHERE ", "true", ")", n)));
        refused(format!("SELECT {}", nested("CASE WHEN ", "a", " THEN 1 END", n)));
        refused(format!("SELECT {}", nested("CAST(", "a", " AS int)", n)));
        refused(format!("SELECT {}", nested("ARRAY[", "1", "]", n)));
        refused(format!("SELECT {}", nested("ROW(a.b + 1 <= ", "1", ")", n)));
        refused(nested("WITH a AS (", "SELECT 1", ") SELECT 1", n));
        refused(nested("(", "SELECT 1", ")", n));
        refused(format!("SELECT 1 {}", nested("/*", "", "*/", n)));
        refused(format!("SELECT 1 {}", "/*".repeat(n)));
    }
}

#[test]
fn nesting_and_chains_add_up() {
    refused(format!("SELECT {}", nested("(1+1+1+1+1+1+", "1", ")", 250)));
    accepted(format!("SELECT {}", nested("(1+1+", "1", ")", 150)));
}

#[test]
fn lists_of_brackets_are_wide_and_not_deep() {
    accepted(format!("SELECT 1::int{}", "[]".repeat(80_000)));
    accepted(format!("SELECT a{}", "[1]".repeat(50_000)));
    accepted(format!("SELECT a{}", ".a".repeat(80_000)));
}

/// The library can be built so that each parse points the process's standard error elsewhere and reads warnings from there:
/// then two parses at once would leave it lost, and logs with it.
#[test]
fn parsing_leaves_standard_error_alone() {
    let result = pg_query::parse("CREATE GLOBAL TEMP TABLE a ()", pg_query::ParserOptions::DEFAULT).unwrap();
    assert!(result.warnings.is_empty(), "warnings were read back from standard error");
}

#[test]
fn parses_on_many_threads_do_not_disturb_each_other() {
    let threads: Vec<_> = (0..4)
        .map(|n| {
            std::thread::spawn(move || {
                for _ in 0..200 {
                    let parsed = parse(CORPUS[n], &Limits::default()).unwrap();
                    prove(&parsed[0].sql, &parsed[0].tree).unwrap();
                    parse("SELECT )", &Limits::default()).unwrap_err();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
}
