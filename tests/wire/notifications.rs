//! NOTIFY delivery for administrators, notices for everybody.

use super::shop;
use crate::harness::frame::query;

#[test]
fn a_notification_reaches_the_listener() {
    let shop = shop();
    let mut raw = shop.raw("admin@example.com");
    raw.send(&[query("LISTEN news")]);
    assert_eq!(raw.tags(), "CZI");
    shop.truth().run("NOTIFY news, 'hello'");
    let mut next = raw.next().expect("a notification, though the session is idle");
    while next.tag != 'A' {
        next = raw.next().expect("a notification");
    }
    assert!(next.body.ends_with(b"news\0hello\0"), "{next:?}");
    raw.send(&[query("NOTIFY news, 'again'")]);
    let frames = raw.until_ready();
    assert!(frames.iter().any(|f| f.tag == 'A' && f.body.ends_with(b"news\0again\0")), "{frames:?}");
    raw.send(&[query("UNLISTEN *")]);
    raw.until_ready();
}

#[test]
fn notices_of_upstream_are_relayed() {
    let shop = shop();
    let mut raw = shop.raw("admin@example.com");
    raw.send(&[query("DROP TABLE IF EXISTS public.nosuch")]);
    let notice = raw.expect('N').refusal();
    assert!(notice.message.contains("nosuch"), "{notice}");
    assert_eq!(raw.tags(), "CZI");
    let mut raw = shop.raw("ana@example.com");
    raw.send(&[query("ROLLBACK")]);
    assert_eq!(raw.expect('N').refusal().code, "25P01");
    assert_eq!(raw.tags(), "CZI");
}
