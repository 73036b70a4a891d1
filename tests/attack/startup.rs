//! Class 11, parameters before authentication; class 12, bytes before TLS; class 13, malformed lengths.

use crate::harness::{Mechanism, RawClient, Shop, frame};

fn shop() -> &'static Shop {
    Shop::shared(Mechanism::Rls)
}

/// Class 11: nothing of the startup packet reaches upstream unexamined, and nothing is said before the token is good.
#[test]
fn startup_parameters_change_nobody() {
    let shop = shop();
    for parameters in [
        &[("search_path", "pgusher")][..],
        &[("role", "postgres")],
        &[("session_authorization", "postgres")],
        &[("options", "-c role=postgres")],
        &[("options", "-crole=postgres -c search_path=pgusher")],
        &[("options", "--session_authorization=postgres")],
        &[("row_security", "off")],
        &[("is_superuser", "on")],
        &[("standard_conforming_strings", "off")],
        &[("client_encoding", "SJIS")],
        &[("pgusher.session", "1")],
    ] {
        let mut all = vec![("user", "ana@example.com"), ("database", shop.database.as_str())];
        all.extend(parameters);
        let mut raw = RawClient::connect(shop.proxy.port);
        raw.send(&[frame::startup(3, 0, &all), frame::password(shop.token("ana@example.com"))]);
        while let Some(next) = raw.next() {
            if next.tag == 'E' {
                assert_eq!(next.refusal().severity, "FATAL");
                break;
            }
            if next.tag == 'Z' {
                raw.send(&[frame::query("SELECT string_agg(DISTINCT region, ',') || current_user || current_setting('standard_conforming_strings') FROM orders")]);
                let frames = raw.until_ready();
                let row = frames.iter().find(|f| f.tag == 'D').unwrap_or_else(|| panic!("{parameters:?}: {frames:?}"));
                assert_eq!(row.values()[0].as_deref(), Some(&b"EMEAana@example.comon"[..]), "{parameters:?}");
                break;
            }
        }
    }
}

/// Class 12: bytes that were sent in clear before the answer to SSLRequest are never taken for the session's.
#[test]
fn plaintext_before_tls_is_dropped_with_the_connection() {
    let shop = shop();
    let mut raw = RawClient::connect(shop.proxy.port);
    let injected = frame::startup(3, 0, &[("user", "ana@example.com"), ("database", &shop.database)]);
    raw.send(&[frame::ssl_request(), injected]);
    let answer = raw.byte();
    // No TLS is configured here, so the answer is N or the connection is closed; the startup packet may be read only after N.
    if answer == Some(b'N') {
        let next = raw.next();
        assert!(next.as_ref().is_none_or(|f| f.tag == 'E' || f.tag == 'R'), "{next:?}");
    }
}

/// Class 13: lengths that lie, before and after login.
#[test]
fn malformed_lengths_close_the_connection_only() {
    let shop = shop();
    for bytes in [
        &b"\0\0\0\0"[..],
        b"\0\0\0\x04",
        b"\0\0\0\x07\0\x03\0",
        b"\x7f\xff\xff\xff\0\x03\0\0",
        b"\xff\xff\xff\xff\0\x03\0\0",
        b"\x80\0\0\0",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\0\0\0\0",
        b"\0\0\0\x0a\0\x03\0\0us",
        b"\0\0\0\x09\0\x03\0\0u",
        b"\0\0\0\x08\0\x02\0\0",
        b"\0\0\0\x08\0\x04\0\0",
    ] {
        let mut raw = RawClient::connect(shop.proxy.port);
        let _ = raw.try_send(&[bytes.to_vec()]);
        raw.hang_up();
        assert!(raw.closed(), "{bytes:?}");
    }
    for bytes in [
        &b"Q\0\0\0\0"[..],
        b"Q\0\0\0\x03",
        b"Q\xff\xff\xff\xff",
        b"Q\x7f\xff\xff\xff",
        b"P\0\0\0\x04",
        b"B\0\0\0\x06\0\0",
        b"E\0\0\0\x05\0",
        b"Q\0\0\0\x09SELEC",
        b"D\0\0\0\x06X\0",
        b"\x01\0\0\0\x04",
    ] {
        let mut raw = shop.raw("ana@example.com");
        let _ = raw.try_send(&[bytes.to_vec()]);
        raw.hang_up();
        assert!(raw.closed(), "{bytes:?}");
    }
    assert_eq!(shop.ana().one("SELECT 1"), "1", "others never noticed");
}
