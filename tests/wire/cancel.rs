//! Cancel requests.

use std::time::{Duration, Instant};

use super::shop;
use crate::harness::frame::{cancel, query};
use crate::harness::{Frame, RawClient, Shop, until};

fn logged_in(shop: &Shop) -> (RawClient, i32, Vec<u8>) {
    let mut raw = RawClient::connect(shop.proxy.port);
    let frames = raw.login(&shop.database, "ana@example.com", shop.token("ana@example.com"), &[]);
    let key: &Frame = frames.iter().find(|f| f.tag == 'K').expect("BackendKeyData");
    (raw, i32::from_be_bytes(key.body[..4].try_into().expect("four bytes")), key.body[4..].to_vec())
}

fn running(shop: &Shop, mark: &str) {
    until("the statement to run upstream", || {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{mark}%' AND state = 'active' AND pid <> pg_backend_pid()"
        );
        (shop.truth().one(&sql) != "0").then_some(())
    });
}

#[test]
fn a_cancel_request_ends_the_statement_and_not_the_session() {
    let shop = shop();
    let (mut raw, process, key) = logged_in(shop);
    let started = Instant::now();
    raw.send(&[query("SELECT pg_sleep(60), 'cancel-one'")]);
    running(shop, "cancel-one");
    let mut canceler = RawClient::connect(shop.proxy.port);
    canceler.send(&[cancel(process, &key)]);
    assert!(canceler.closed(), "a cancel request gets no answer");
    let frames = raw.until_ready();
    assert_eq!(frames[frames.len() - 2].refusal().code, "57014");
    assert!(started.elapsed() < Duration::from_secs(50));
    raw.send(&[query("SELECT 1")]);
    assert_eq!(raw.tags(), "TDCZI");
}

#[test]
fn a_wrong_key_cancels_nothing() {
    let shop = shop();
    let (mut raw, process, key) = logged_in(shop);
    raw.send(&[query("SELECT pg_sleep(1.5), 'cancel-two'")]);
    running(shop, "cancel-two");
    let mut wrong = key.clone();
    wrong[0] ^= 1;
    for (process, key) in [(process, wrong.as_slice()), (process.wrapping_add(1), &key), (process, &[]), (0, &[0, 0, 0, 0])] {
        let mut canceler = RawClient::connect(shop.proxy.port);
        canceler.send(&[cancel(process, key)]);
        assert!(canceler.closed());
    }
    assert_eq!(raw.tags(), "TDCZI");
}

#[test]
fn the_key_is_our_own_and_reaches_no_other_session() {
    let shop = shop();
    let (_, process, key) = logged_in(shop);
    let backends = shop.truth().column("SELECT pid FROM pg_stat_activity");
    let (mut other, other_process, other_key) = logged_in(shop);
    assert!((process, &key) != (other_process, &other_key));
    assert!(!backends.contains(&process.to_string()) || key != other_key);
    other.send(&[query("SELECT pg_sleep(1.5), 'cancel-three'")]);
    running(shop, "cancel-three");
    RawClient::connect(shop.proxy.port).send(&[cancel(process, &key)]);
    assert_eq!(other.tags(), "TDCZI", "the key of a session that is gone cancels nobody");
}
