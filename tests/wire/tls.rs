//! TLS towards clients: SSLRequest, direct TLS, and what is refused in between.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};

use super::shop;
use crate::harness::{Pki, Proxy, ProxySettings, RawClient, Shop, Shown, frame};

struct Secured {
    proxy: Proxy,
    pki: Pki,
}

/// A proxy of the shared shop's database that has a certificate.
fn secured(shop: &Shop, more: impl FnOnce(&Pki) -> String) -> Secured {
    let pki = Pki::new();
    let toml = pki.settings(&more(&pki));
    let proxy = Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism).with(&toml));
    Secured { proxy, pki }
}

fn handshake(secured: &Secured, socket: TcpStream, alpn: &[&[u8]]) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    secured.pki.handshake(socket, alpn, None)
}

/// Logs in over any stream and asks who is there.
fn who(stream: &mut (impl Read + Write), shop: &Shop) -> String {
    let token = shop.token("ana@example.com");
    let hello = frame::startup(3, 0, &[("user", "ana@example.com"), ("database", &shop.database)]);
    stream
        .write_all(&[hello, frame::password(token), frame::query("SELECT current_user"), frame::terminate()].concat())
        .expect("the proxy reads");
    stream.flush().expect("the proxy reads");
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn an_ssl_request_leads_to_tls() {
    let shop = shop();
    let secured = secured(shop, |_| String::new());
    let mut socket = RawClient::socket(secured.proxy.port);
    socket.write_all(&frame::ssl_request()).expect("the proxy reads");
    let mut answer = [0];
    socket.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"S");
    let mut stream = handshake(&secured, socket, &[]).expect("TLS");
    assert!(who(&mut stream, shop).contains("ana@example.com"));
}

#[test]
fn tls_may_come_first_with_its_protocol_named() {
    let shop = shop();
    let secured = secured(shop, |_| String::new());
    let mut stream = handshake(&secured, RawClient::socket(secured.proxy.port), &[b"postgresql"]).expect("direct TLS");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"postgresql"[..]));
    assert!(who(&mut stream, shop).contains("ana@example.com"));
    for alpn in [&[&b"h2"[..]][..], &[]] {
        let refused = handshake(&secured, RawClient::socket(secured.proxy.port), alpn).map(|mut stream| who(&mut stream, shop));
        assert!(
            refused.as_ref().map_or(true, |answer| !answer.contains("ana@example.com")),
            "direct TLS without its protocol: {refused:?}"
        );
    }
}

/// Bypass class 12: bytes that came in clear together with SSLRequest must not be read as the start of the secured session.
#[test]
fn bytes_before_the_handshake_are_refused() {
    let shop = shop();
    let secured = secured(shop, |_| String::new());
    let mut socket = RawClient::socket(secured.proxy.port);
    let injected = frame::startup(3, 0, &[("user", "bob@example.com"), ("database", &shop.database)]);
    socket.write_all(&[frame::ssl_request(), injected].concat()).expect("the proxy reads");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(!answer.contains(&b'R'), "no authentication is asked for: {answer:?}");
    let text = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer == b"S" || text.contains("08P01"), "{text}");
}

#[test]
fn without_tls_nobody_comes_in_where_it_is_required() {
    let shop = shop();
    let secured = secured(shop, |_| "required = true".to_owned());
    let refusal =
        crate::harness::Client::try_connect(secured.proxy.port, &shop.database, "ana@example.com", shop.token("ana@example.com"))
            .err()
            .expect("refused");
    assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28000"));
}

#[test]
fn a_client_without_a_certificate_of_the_authority_gets_nowhere_with_a_good_token() {
    let shop = shop();
    let secured = secured(shop, |pki| format!("required = true\n{}", pki.client_ca()));
    let (good, strangers) = (secured.pki.client("somebody", |_| {}), Pki::new().client("somebody", |_| {}));
    let asks = |shown: Option<&Shown>| {
        let mut socket = RawClient::socket(secured.proxy.port);
        socket.write_all(&frame::ssl_request()).expect("the proxy reads");
        socket.read_exact(&mut [0]).expect("an answer");
        // By TLS 1.3 the client hears of it with the first answer only.
        secured.pki.handshake(socket, &[], shown).map(|mut stream| {
            let hello = frame::startup(3, 0, &[("user", "ana@example.com"), ("database", &shop.database)]);
            let _ = stream.write_all(
                &[hello, frame::password(shop.token("ana@example.com")), frame::query("SELECT current_user"), frame::terminate()]
                    .concat(),
            );
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
            String::from_utf8_lossy(&all).into_owned()
        })
    };
    assert!(asks(Some(&good)).expect("TLS").contains("ana@example.com"));
    for shown in [None, Some(&strangers)] {
        assert_eq!(asks(shown).unwrap_or_default(), "", "nothing at all is said to it");
    }
    let mut plain = RawClient::connect(secured.proxy.port);
    plain.send(&[frame::startup(3, 0, &[("user", "ana@example.com"), ("database", &shop.database)])]);
    assert_eq!(plain.expect('E').refusal().code, "28000");
}
