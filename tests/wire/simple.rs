//! The simple protocol.

use super::shop;
use crate::harness::frame;

#[test]
fn each_statement_of_a_message_is_answered_in_turn() {
    let mut raw = shop().raw("ana@example.com");
    for (sql, tags) in [
        ("SELECT 1", "TDCZI"),
        ("SELECT 1; SELECT 2, 3", "TDCTDCZI"),
        ("", "IZI"),
        (" ; ", "IZI"),
        ("-- nothing", "IZI"),
        ("SELECT 1 WHERE false", "TCZI"),
        ("BEGIN", "CZT"),
        ("SELECT 1", "TDCZT"),
        ("SELECT nosuch", "EZE"),
        ("SELECT 1", "EZE"),
        ("ROLLBACK", "CZI"),
        ("SELECT 1; SELECT nosuch; SELECT 2", "TDCEZI"),
        ("SELECT * FROM region_desk", "EZI"),
        ("SELECT 1; SELECT * FROM region_desk; SELECT 2", "TDCEZI"),
        ("BEGIN; SELECT 1; COMMIT", "CTDCCZI"),
        ("BEGIN; SELECT * FROM region_desk", "CEZE"),
        ("COMMIT", "CZI"),
        ("SET application_name = 'x'", "CZI"),
        ("SHOW application_name", "TDCZI"),
        ("SELECT 'syntax", "EZI"),
        ("EXPLAIN SELECT 1", "TDCZI"),
    ] {
        raw.send(&[frame::query(sql)]);
        assert_eq!(raw.tags(), tags, "{sql}");
    }
}

#[test]
fn command_tags_are_postgresql_s() {
    let shop = crate::harness::Shop::fresh(crate::harness::Mechanism::Rls);
    let mut raw = shop.raw("admin@example.com");
    for (sql, tag) in [
        ("SELECT * FROM regions", "SELECT 3"),
        ("CREATE TABLE public.t (n integer)", "CREATE TABLE"),
        ("INSERT INTO t VALUES (1), (2)", "INSERT 0 2"),
        ("UPDATE t SET n = n + 1", "UPDATE 2"),
        ("DELETE FROM t WHERE n = 2", "DELETE 1"),
        ("SELECT n FROM t", "SELECT 1"),
        ("BEGIN", "BEGIN"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("ROLLBACK TO a", "ROLLBACK"),
        ("RELEASE a", "RELEASE"),
        ("COMMIT", "COMMIT"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXECUTE p", "SELECT 1"),
        ("DEALLOCATE p", "DEALLOCATE"),
        ("SET work_mem = '4MB'", "SET"),
        ("RESET work_mem", "RESET"),
        ("SHOW work_mem", "SHOW"),
        ("DISCARD ALL", "DISCARD ALL"),
        ("GRANT SELECT ON TABLE t TO analysts", "GRANT"),
        ("REVOKE SELECT ON TABLE t FROM analysts", "REVOKE"),
        ("ALTER TABLE t SET ROW FILTER (true)", "ALTER TABLE"),
        ("CREATE USER \"carl@example.com\"", "CREATE USER"),
        ("DROP TABLE t", "DROP TABLE"),
    ] {
        raw.send(&[frame::query(sql)]);
        let frames = raw.until_ready();
        let complete = frames.iter().find(|f| f.tag == 'C').unwrap_or_else(|| panic!("{sql}: {:?}", frames[0].refusal()));
        assert_eq!(complete.command(), tag, "{sql}");
    }
}

#[test]
fn several_queries_sent_at_once_are_answered_in_order() {
    let mut raw = shop().raw("ana@example.com");
    let frames: Vec<Vec<u8>> = (0..50).map(|n| frame::query(&format!("SELECT {n}"))).collect();
    raw.send(&frames);
    for n in 0..50 {
        let frames = raw.until_ready();
        assert_eq!(frames[1].values()[0].as_deref(), Some(n.to_string().as_bytes()));
    }
}

#[test]
fn large_rows_and_many_rows_pass() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[frame::query("SELECT repeat('x', 20000000)")]);
    let frames = raw.until_ready();
    assert_eq!(frames[1].values()[0].as_ref().map(Vec::len), Some(20_000_000));
    raw.send(&[frame::query("SELECT g, repeat('y', 100) FROM generate_series(1, 100000) g")]);
    assert_eq!(raw.until_ready().iter().filter(|f| f.tag == 'D').count(), 100_000);
}

/// More of a message than 256 KiB is not kept; what is kept is the message's, and whole characters of it.
#[test]
fn the_message_of_an_error_is_shortened_and_not_lost() {
    let mut raw = shop().raw("ana@example.com");
    let said = "invalid input syntax for type integer: \"";
    for (text, size) in [
        ("x", 200_000),
        ("x", 262_132),
        ("x", 400_000),
        ("\u{e9}", 131_000),
        ("\u{e9}", 200_000),
        ("\u{20ac}", 100_001),
        ("\u{1f600}", 70_000),
    ] {
        raw.send(&[frame::query(&format!("SELECT repeat('{text}', {size})::int"))]);
        let refusal = raw.until_ready()[0].refusal();
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("ERROR", "22P02"));
        let (before, quoted) = refusal.message.split_at(said.len());
        assert_eq!(before, said);
        let kept = quoted.trim_end_matches('"').chars();
        assert!(kept.clone().all(|c| text.contains(c)), "{:?}", quoted.chars().rev().take(3).collect::<Vec<_>>());
        assert!(kept.count() >= size.min(260_000 / text.len()), "{text} {size}");
    }
}

#[test]
fn a_changed_parameter_is_reported() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[frame::query("SET TimeZone = 'Asia/Tokyo'")]);
    let mut seen = Vec::new();
    loop {
        let next = raw.next().expect("an answer");
        if next.tag == 'Z' {
            break;
        }
        seen.push(next);
    }
    assert!(seen.iter().any(|f| f.tag == 'S' && f.body == b"TimeZone\0Asia/Tokyo\0"), "{seen:?}");
}
