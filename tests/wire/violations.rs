//! Messages that nobody should send.

use super::shop;
use crate::harness::frame::{self, query, tagged};

#[test]
fn an_unknown_tag_or_a_message_out_of_place_ends_the_session() {
    let shop = shop();
    for bytes in [tagged('?', b""), tagged('z', b"xyz"), tagged('p', b"late password\0"), tagged('R', b""), tagged('\u{1}', b"")] {
        let mut raw = shop.raw("ana@example.com");
        raw.send(std::slice::from_ref(&bytes));
        let refusal = raw.expect('E').refusal();
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "08P01"), "{bytes:?}");
        assert!(raw.closed());
    }
}

#[test]
fn malformed_bodies_end_the_session_or_the_batch() {
    let shop = shop();
    for bytes in [
        tagged('Q', b"SELECT 1"),
        tagged('P', b"no end"),
        tagged('B', b"\0"),
        tagged('E', b"\0\0"),
        tagged('D', b"X\0"),
        tagged('C', b"S"),
        tagged('Q', b"SELECT 1\0SELECT 2\0"),
        tagged('P', b"\0SELECT 1\0\xff\xff"),
    ] {
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[bytes.clone(), frame::sync()]);
        let first = raw.expect('E').refusal();
        assert_eq!(first.code, "08P01", "{bytes:?}: {first}");
    }
}

#[test]
fn invalid_text_is_refused_and_the_session_goes_on() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[tagged('Q', b"SELECT '\xff\xfe'\0")]);
    let frames = raw.until_ready();
    assert_eq!(frames[0].refusal().code, "22021");
    raw.send(&[query("SELECT 1")]);
    assert_eq!(raw.tags(), "TDCZI");
}

#[test]
fn terminate_closes_quietly() {
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[frame::terminate()]);
    assert_eq!(raw.next(), None);
    let mut raw = shop().raw("ana@example.com");
    raw.send(&[query("SELECT pg_sleep(0.2)"), frame::terminate()]);
    assert!(raw.closed());
}

#[test]
fn a_client_that_goes_away_leaves_no_session_upstream() {
    let shop = crate::harness::Shop::fresh(crate::harness::Mechanism::Rls);
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND usename = 'pgusher_session' AND state = 'active'",
        shop.database
    );
    let mut raw = shop.raw("ana@example.com");
    raw.send(&[query("SELECT pg_sleep(120)")]);
    crate::harness::until("the statement to run", || (shop.truth().one(&sessions) == "1").then_some(()));
    drop(raw);
    crate::harness::until("it to be canceled", || (shop.truth().one(&sessions) == "0").then_some(()));
}
