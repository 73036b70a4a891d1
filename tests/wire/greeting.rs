//! From the first byte to the first ReadyForQuery.

use super::shop;
use crate::harness::{Frame, RawClient, frame};

fn parameters(frames: &[Frame]) -> std::collections::HashMap<String, String> {
    let statuses = frames.iter().filter(|f| f.tag == 'S');
    statuses
        .map(|f| {
            let text = String::from_utf8_lossy(&f.body).into_owned();
            let mut parts = text.split('\0');
            (parts.next().unwrap_or_default().to_string(), parts.next().unwrap_or_default().to_string())
        })
        .collect()
}

#[test]
fn the_greeting_is_postgresql_s() {
    let shop = shop();
    let mut raw = RawClient::connect(shop.proxy.port);
    let frames = raw.login(&shop.database, "ana@example.com", shop.token("ana@example.com"), &[("application_name", "raw")]);
    let statuses = parameters(&frames);
    let version = shop.truth().one("SHOW server_version");
    for (name, value) in [
        ("server_version", version.as_str()),
        ("client_encoding", "UTF8"),
        ("server_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("integer_datetimes", "on"),
        ("application_name", "raw"),
        ("is_superuser", "off"),
        ("session_authorization", "ana@example.com"),
    ] {
        assert_eq!(statuses.get(name).map(String::as_str), Some(value), "{name}");
    }
    for name in ["DateStyle", "IntervalStyle", "TimeZone"] {
        assert!(statuses.contains_key(name), "{name}: {statuses:?}");
    }
    let keys: Vec<&Frame> = frames.iter().filter(|f| f.tag == 'K').collect();
    assert!(keys.len() == 1 && keys[0].body.len() == 8, "one BackendKeyData of protocol 3.0");
    assert_eq!(frames.last().map(|f| f.body.as_slice()), Some(&b"I"[..]));
}

#[test]
fn ssl_and_gss_requests_are_answered_n_without_tls() {
    let shop = shop();
    let mut raw = RawClient::connect(shop.proxy.port);
    raw.send(&[frame::gss_request()]);
    assert_eq!(raw.byte(), Some(b'N'));
    raw.send(&[frame::ssl_request()]);
    assert_eq!(raw.byte(), Some(b'N'));
    raw.login(&shop.database, "ana@example.com", shop.token("ana@example.com"), &[]);
    raw.send(&[frame::query("SELECT 1")]);
    assert_eq!(raw.tags(), "TDCZI");
}

#[test]
fn a_newer_minor_version_is_negotiated() {
    let shop = shop();
    for minor in [2, 9] {
        let mut raw = RawClient::connect(shop.proxy.port);
        raw.send(&[frame::startup(3, minor, &[("user", "ana@example.com"), ("database", &shop.database), ("_pq_.nonsense", "1")])]);
        let mut first = raw.next().expect("an answer");
        if first.tag == 'v' {
            let version = i32::from_be_bytes(first.body[..4].try_into().expect("four bytes"));
            assert!(version & 0xffff <= 2 && version >> 16 == 3, "{version:x}");
            assert!(String::from_utf8_lossy(&first.body).contains("_pq_.nonsense"));
            first = raw.next().expect("an answer");
        } else {
            panic!("an unknown protocol option must be reported: {first:?}");
        }
        assert_eq!(first.tag, 'R');
        raw.send(&[frame::password(shop.token("ana@example.com"))]);
        assert_eq!(raw.expect('R').body, [0, 0, 0, 0]);
        assert_eq!(raw.until_ready().last().expect("ready").tag, 'Z');
    }
}

#[test]
fn other_major_versions_and_missing_users_are_refused() {
    let shop = shop();
    for (major, parameters, code) in [
        (2, &[("user", "ana@example.com")][..], "0A000"),
        (4, &[("user", "ana@example.com")], "0A000"),
        (3, &[("database", "x")], "28000"),
        (3, &[], "28000"),
    ] {
        let mut raw = RawClient::connect(shop.proxy.port);
        raw.send(&[frame::startup(major, 0, parameters)]);
        let refusal = raw.expect('E').refusal();
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", code), "{major} {parameters:?}");
        assert!(raw.closed());
    }
}

#[test]
fn a_password_of_the_wrong_kind_of_message_is_a_violation() {
    let shop = shop();
    let mut raw = RawClient::connect(shop.proxy.port);
    raw.send(&[frame::startup(3, 0, &[("user", "ana@example.com"), ("database", &shop.database)])]);
    raw.expect('R');
    raw.send(&[frame::query("SELECT 1")]);
    assert_eq!(raw.expect('E').refusal().severity, "FATAL");
    assert!(raw.closed());
}

#[test]
fn the_database_defaults_to_the_user_s_name_and_is_then_unknown() {
    let shop = shop();
    let mut raw = RawClient::connect(shop.proxy.port);
    raw.send(&[frame::startup(3, 0, &[("user", "ana@example.com")]), frame::password(shop.token("ana@example.com"))]);
    let mut last = raw.next().expect("an answer");
    while last.tag == 'R' {
        last = raw.next().expect("an answer");
    }
    assert_eq!(last.refusal().code, "3D000");
}
