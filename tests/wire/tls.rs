//! TLS towards clients: SSLRequest, direct TLS, and what is refused in between.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::shop;
use crate::harness::{PATIENCE, Proxy, ProxySettings, Shop, frame};

struct Secured {
    proxy: Proxy,
    certificate: CertificateDer<'static>,
    _files: tempfile::TempDir,
}

/// A proxy of the shared shop's database that has a certificate.
fn secured(shop: &Shop, more: &str) -> Secured {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).expect("a certificate");
    let files = tempfile::tempdir().expect("a scratch directory");
    let (certificate, key) = (files.path().join("server.crt"), files.path().join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("writable");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("writable");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
    let toml = format!("[tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n{more}\n", certificate.display(), key.display());
    let proxy = Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism).with(&toml));
    Secured { proxy, certificate: made.cert.der().clone(), _files: files }
}

fn handshake(
    secured: &Secured,
    mut socket: TcpStream,
    alpn: &[&[u8]],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(secured.certificate.clone()).expect("our own certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    let mut connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").expect("a name")).expect("a connection");
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

fn socket(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    socket
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
    let secured = secured(shop, "");
    let mut socket = socket(secured.proxy.port);
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
    let secured = secured(shop, "");
    let mut stream = handshake(&secured, socket(secured.proxy.port), &[b"postgresql"]).expect("direct TLS");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"postgresql"[..]));
    assert!(who(&mut stream, shop).contains("ana@example.com"));
    for alpn in [&[&b"h2"[..]][..], &[]] {
        let refused = handshake(&secured, socket(secured.proxy.port), alpn).map(|mut stream| who(&mut stream, shop));
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
    let secured = secured(shop, "");
    let mut socket = socket(secured.proxy.port);
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
    let secured = secured(shop, "required = true");
    let refusal =
        crate::harness::Client::try_connect(secured.proxy.port, &shop.database, "ana@example.com", shop.token("ana@example.com"))
            .err()
            .expect("refused");
    assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28000"));
}
