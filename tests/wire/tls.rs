//! TLS towards clients: SSLRequest, direct TLS, and what is refused in between.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
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

fn handshake(secured: &Secured, socket: TcpStream, alpn: &[&[u8]]) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    handshake_as(secured, socket, alpn, None)
}

/// A certificate of a client's, and its key.
type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn handshake_as(
    secured: &Secured,
    mut socket: TcpStream,
    alpn: &[&[u8]],
    shown: Option<&Shown>,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(secured.certificate.clone()).expect("our own certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let versions = versions.with_root_certificates(roots);
    let mut config = match shown {
        None => versions.with_no_client_auth(),
        Some((certificate, key)) => {
            versions.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).expect("a certificate and its key")
        }
    };
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

/// An authority: its certificate, and one for a client that it has signed.
fn authority() -> (String, Shown) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    let issuer = rcgen::Issuer::new(parameters, key);
    let own = rcgen::KeyPair::generate().expect("a key");
    let signed = rcgen::CertificateParams::new(vec!["client".to_owned()])
        .expect("parameters")
        .signed_by(&own, &issuer)
        .expect("a certificate");
    (certificate.pem(), (signed.der().clone(), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()))))
}

#[test]
fn a_client_without_a_certificate_of_the_authority_gets_nowhere_with_a_good_token() {
    let shop = shop();
    let (ours, good) = authority();
    let (_, strangers) = authority();
    let folder = tempfile::tempdir().expect("a scratch directory");
    let file = folder.path().join("clients.crt");
    std::fs::write(&file, ours).expect("writable");
    let secured = secured(shop, &format!("required = true\nclient_ca = \"{}\"", file.display()));
    let asks = |shown: Option<&Shown>| {
        let mut socket = socket(secured.proxy.port);
        socket.write_all(&frame::ssl_request()).expect("the proxy reads");
        socket.read_exact(&mut [0]).expect("an answer");
        // By TLS 1.3 the client hears of it with the first answer only.
        handshake_as(&secured, socket, &[], shown).map(|mut stream| {
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
    let mut plain = crate::harness::RawClient::connect(secured.proxy.port);
    plain.send(&[frame::startup(3, 0, &[("user", "ana@example.com"), ("database", &shop.database)])]);
    assert_eq!(plain.expect('E').refusal().code, "28000");
}
