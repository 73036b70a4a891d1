//! The extended protocol: pipelining, skipping to Sync, Flush, Describe, portals.

use super::shop;
use crate::harness::frame::{bind, close, describe, execute, flush, parse, query, sync};

#[test]
fn a_batch_is_answered_message_by_message() {
    let mut raw = shop().raw("ana@example.com");
    for (frames, tags) in [
        (vec![parse("", "SELECT 1"), bind("", "", &[], 0), describe('P', ""), execute("", 0), sync()], "12TDCZI"),
        (vec![parse("s", "SELECT $1::integer"), describe('S', "s"), sync()], "1tTZI"),
        (vec![bind("", "s", &[Some("7")], 1), execute("", 0), sync()], "2DCZI"),
        (vec![bind("", "s", &[None], 0), execute("", 0), sync()], "2DCZI"),
        (vec![close('S', "s"), sync()], "3ZI"),
        (vec![close('S', "nosuch"), close('P', "nosuch"), sync()], "33ZI"),
        (vec![parse("", ""), bind("", "", &[], 0), describe('P', ""), execute("", 0), sync()], "12nIZI"),
        (vec![parse("", "SET application_name = 'y'"), describe('S', ""), bind("", "", &[], 0), execute("", 0), sync()], "1tn2CZI"),
        (vec![sync()], "ZI"),
        (
            vec![
                parse("", "SELECT code FROM regions"),
                bind("", "", &[], 0),
                execute("", 0),
                parse("", "SELECT 2"),
                bind("", "", &[], 0),
                execute("", 0),
                sync(),
            ],
            "12DDDC12DCZI",
        ),
    ] {
        raw.send(&frames);
        assert_eq!(raw.tags(), tags);
    }
}

#[test]
fn after_an_error_everything_up_to_sync_is_skipped() {
    let mut raw = shop().raw("ana@example.com");
    for (broken, code) in [
        (vec![parse("", "SELECT nosuch")], "42703"),
        (vec![parse("", "SELEC")], "42601"),
        (vec![parse("", "SELECT * FROM region_desk")], "42501"),
        (vec![parse("", "SELECT 1; SELECT 2")], "42601"),
        (vec![parse("", "CREATE TABLE x (n integer)")], "42501"),
        (vec![bind("", "nosuch", &[], 0)], "26000"),
        (vec![describe('S', "nosuch")], "26000"),
        (vec![describe('P', "nosuch")], "34000"),
        (vec![execute("nosuch", 0)], "34000"),
        (vec![parse("", "SELECT $1::integer"), bind("", "", &[Some("x")], 0)], "22P02"),
        (vec![parse("", "SELECT $1::integer"), bind("", "", &[], 0)], "08P01"),
        (vec![parse("", "SELECT 1/0"), bind("", "", &[], 0), execute("", 0)], "22012"),
    ] {
        let mut frames = broken;
        frames.extend([
            parse("later", "SELECT 1"),
            bind("", "later", &[], 0),
            execute("", 0),
            close('S', "later"),
            flush(),
            sync(),
        ]);
        raw.send(&frames);
        let answer = raw.until_ready();
        let at = answer.iter().position(|f| f.tag == 'E').expect("an error");
        assert_eq!(answer[at].refusal().code, code);
        assert_eq!(answer.len(), at + 2, "nothing but ReadyForQuery follows the error: {answer:?}");
        raw.send(&[describe('S', "later"), sync()]);
        assert_eq!(raw.until_ready()[0].refusal().code, "26000", "the skipped Parse did not happen");
    }
}

#[test]
fn an_error_in_a_pipeline_ends_its_implicit_transaction_only() {
    let shop = crate::harness::Shop::fresh(crate::harness::Mechanism::Rls);
    let mut raw = shop.raw("hana@example.com");
    let update = |text: &str| {
        vec![parse("", &format!("UPDATE employees SET title = '{text}' WHERE id = 9")), bind("", "", &[], 0), execute("", 0)]
    };
    let mut frames = update("one");
    frames.push(sync());
    frames.extend(update("two"));
    frames.extend([parse("", "SELECT * FROM region_desk"), sync()]);
    frames.extend([query("SELECT title FROM employees WHERE id = 9")]);
    raw.send(&frames);
    assert_eq!(raw.tags(), "12CZI");
    assert_eq!(raw.tags(), "12CEZI");
    let last = raw.until_ready();
    assert_eq!(last[1].values()[0].as_deref(), Some(&b"one"[..]), "what stood before the refused statement in its batch is undone");
}

#[test]
fn flush_gives_what_is_ready_without_ending_the_batch() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[parse("", "SELECT 5"), flush()]);
    raw.expect('1');
    raw.send(&[bind("", "", &[], 0), describe('P', ""), flush()]);
    raw.expect('2');
    raw.expect('T');
    raw.send(&[execute("", 0), flush()]);
    raw.expect('D');
    raw.expect('C');
    raw.send(&[parse("", "SELECT * FROM region_desk"), flush()]);
    assert_eq!(raw.expect('E').refusal().code, "42501");
    raw.send(&[sync()]);
    assert_eq!(raw.tags(), "ZI");
}

#[test]
fn a_row_limit_suspends_the_portal() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[query("BEGIN")]);
    raw.until_ready();
    raw.send(&[
        parse("", "SELECT code FROM regions ORDER BY 1"),
        bind("p", "", &[], 0),
        execute("p", 2),
        execute("p", 2),
        execute("p", 2),
        sync(),
    ]);
    assert_eq!(raw.tags(), "12DDsDCCZT");
    raw.send(&[bind("q", "", &[], 0), execute("q", 1), sync()]);
    assert_eq!(raw.tags(), "2DsZT");
    raw.send(&[parse("", "SELECT 1"), execute("q", 1), close('P', "q"), execute("q", 1), sync()]);
    let frames = raw.until_ready();
    assert_eq!(crate::harness::tags(&frames), "1Ds3EZE");
    assert_eq!(frames[4].refusal().code, "34000");
    raw.send(&[query("ROLLBACK")]);
    raw.until_ready();
}

#[test]
fn a_name_is_taken_until_it_is_closed() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[parse("s", "SELECT 1"), parse("s", "SELECT 2"), sync()]);
    let frames = raw.until_ready();
    assert_eq!((frames[0].tag, frames[1].refusal().code.as_str()), ('1', "42P05"));
    raw.send(&[close('S', "s"), parse("s", "SELECT 2"), bind("", "s", &[], 0), execute("", 0), sync()]);
    assert_eq!(raw.tags(), "312DCZI");
    raw.send(&[query("DEALLOCATE s")]);
    assert_eq!(raw.tags(), "CZI");
    raw.send(&[bind("", "s", &[], 0), sync()]);
    assert_eq!(raw.until_ready()[0].refusal().code, "26000");
    raw.send(&[query("PREPARE t AS SELECT 3"), bind("", "t", &[], 0), execute("", 0), sync()]);
    raw.until_ready();
    assert_eq!(raw.tags(), "2DCZI", "one name space with SQL's PREPARE");
}

#[test]
fn a_long_pipeline_is_answered_in_order() {
    let mut raw = shop().raw("ana@example.com");
    let mut frames = vec![parse("s", "SELECT $1::integer, repeat('z', 2000)")];
    for n in 0..3000 {
        frames.extend([bind("", "s", &[Some(&n.to_string())], 0), execute("", 0)]);
    }
    frames.push(sync());
    // Sent in one go while nobody reads: neither side may block the other for good.
    raw.send(&frames);
    let rows: Vec<_> = raw.until_ready().into_iter().filter(|f| f.tag == 'D').map(|f| f.values()[0].clone()).collect();
    assert_eq!(rows.len(), 3000);
    assert!(rows.iter().enumerate().all(|(n, v)| v.as_deref() == Some(n.to_string().as_bytes())));
}

#[test]
fn governance_answers_by_the_extended_protocol() {
    let mut raw = shop().raw("admin@example.com");
    raw.send(&[parse("g", "SHOW USERS"), describe('S', "g"), bind("", "g", &[], 0), describe('P', ""), execute("", 0), sync()]);
    let frames = raw.until_ready();
    let tags = crate::harness::tags(&frames);
    assert!(tags.starts_with("1tT2TD") && tags.ends_with("DCZI"), "{tags}");
}

#[test]
fn a_close_that_is_skipped_closes_nothing() {
    let mut raw = shop().raw("ana@example.com");
    let mut tags = |frames: &[Vec<u8>]| {
        raw.send(frames);
        raw.tags()
    };
    assert_eq!(tags(&[query("BEGIN")]), "CZT");
    assert_eq!(
        tags(&[parse("two", "SELECT code FROM regions"), bind("rows", "two", &[], 0), execute("rows", 1), sync()]),
        "12DsZT"
    );
    assert_eq!(tags(&[query("SAVEPOINT s")]), "CZT");
    assert_eq!(tags(&[execute("nosuch", 0), close('P', "rows"), close('S', "two"), sync()]), "EZE");
    assert_eq!(tags(&[query("ROLLBACK TO s")]), "CZT");
    assert_eq!(
        tags(&[parse("", "SELECT 1/0"), bind("", "", &[], 0), execute("", 0), close('P', "rows"), close('S', "two"), sync()]),
        "1EZE"
    );
    assert_eq!(tags(&[query("ROLLBACK TO s")]), "CZT");
    assert_eq!(tags(&[execute("rows", 1), close('P', "rows"), execute("rows", 1), sync()]), "Ds3EZE");
    assert_eq!(tags(&[query("ROLLBACK"), bind("", "two", &[], 0), sync()]), "CZI");
    assert_eq!(tags(&[]), "2ZI");
}
