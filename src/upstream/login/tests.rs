use std::time::Duration;

use bytes::BufMut;
use tokio::io::DuplexStream;

use super::*;
use crate::config::PoolMode;
use crate::upstream::connect::{Host, Upstream};
use crate::upstream::pool::{LaneSettings, Login, Pool, PoolSettings};
use crate::upstream::shared::SharedSettings;
use crate::upstream::tls::UpstreamTls;
use tokio::net::{TcpListener, TcpStream};

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const GREETING: &[u8] = b"S\0\0\0\x16server_version\x0016\0K\0\0\0\x0c\0\0\0\x07abcdZ\0\0\0\x05I";

fn account(password: Option<&str>) -> Account {
    Account { user: "pgusher_session".into(), password: password.map(Password::new) }
}

/// A pool whose upstream plays a part on a loopback port.
async fn stage<F>(password: Option<&str>, tls: UpstreamTls, part: impl FnOnce(TcpStream) -> F) -> Result<Connection, UpstreamError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shared = SharedSettings::plain(account(password), 1);
    let control = LaneSettings { account: account(password), max_connections: 1 };
    let upstream = Upstream {
        host: Host::Tcp("127.0.0.1".into()),
        port,
        database: "shop".into(),
        tls,
        connect_timeout: Duration::from_secs(10),
    };
    let pool = Pool::new(PoolSettings { upstream, shared, mode: PoolMode::Session, control, wait: Duration::from_secs(1) });
    let acquiring = tokio::spawn(async move { pool.acquire(Login::Session, &BTreeMap::new()).await });
    let (stream, _) = listener.accept().await.unwrap();
    let played = tokio::spawn(part(stream));
    let outcome = acquiring.await.unwrap();
    if outcome.is_ok() {
        played.await.unwrap();
    }
    outcome
}

/// An upstream that reads one message and then says this.
async fn scripted(password: Option<&str>, says: Vec<Vec<u8>>) -> Result<Connection, UpstreamError> {
    stage(password, UpstreamTls::Disabled, |mut stream| async move {
        for say in says {
            let _ = hear(&mut stream).await;
            let _ = stream.write_all(&say).await;
        }
    })
    .await
}

/// Whatever has come.
async fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = BytesMut::with_capacity(4096);
    let _ = stream.read_buf(&mut bytes).await;
    bytes.to_vec()
}

fn ask(code: i32, rest: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    crate::wire::frame::write(&mut out, b'R', |b| {
        b.put_i32(code);
        b.put_slice(rest);
    });
    out.to_vec()
}

#[tokio::test]
async fn an_upstream_that_trusts_us_gives_a_connection_with_all_it_said() {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = std::sync::Arc::clone(&heard);
    let connection = stage(None, UpstreamTls::Disabled, |mut stream| async move {
        *ear.lock().unwrap() = hear(&mut stream).await;
        let notice = b"N\0\0\0\x09SLOG\0";
        stream.write_all(&[OK, notice, GREETING, b"rest"].concat()).await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(connection.parameters.get("server_version").map(String::as_str), Some("16"));
    assert_eq!((connection.process_id, &connection.secret_key[..], &connection.read_ahead[..]), (7, &b"abcd"[..], &b"rest"[..]));
    let heard = heard.lock().unwrap();
    let text = String::from_utf8_lossy(&heard);
    assert_eq!(&heard[4..8], &[0, 3, 0, 0], "protocol 3.0");
    for pair in ["user\0pgusher_session\0", "database\0shop\0", "client_encoding\0UTF8\0", "standard_conforming_strings\0on\0"] {
        assert!(text.contains(pair), "{text:?}");
    }
}

#[tokio::test]
async fn a_password_is_given_in_the_clear_only_where_nobody_can_read_along() {
    let connection = scripted(Some("secret"), vec![ask(3, b""), [OK, GREETING].concat()]).await;
    assert!(connection.is_ok(), "loopback: {connection:?}");
    let (ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(4096);
    let dialed = Dialed { stream: UpstreamStream::Memory(ours), private: false, end_point: None };
    theirs.write_all(&ask(3, b"")).await.unwrap();
    let pool = tokio::sync::Semaphore::new(1);
    let permit = Permit::of(std::sync::Arc::new(pool).try_acquire_owned().unwrap());
    let refused = login(dialed, "shop", (&account(Some("secret")), &Keys::default()), &BTreeMap::new(), permit).await;
    assert!(matches!(refused, Err(UpstreamError::Cleartext)));
}

#[tokio::test]
async fn a_missing_password_and_unknown_methods_are_named() {
    assert!(matches!(scripted(None, vec![ask(5, b"salt")]).await, Err(UpstreamError::NoPassword)));
    assert!(matches!(scripted(Some("x"), vec![ask(7, b"")]).await, Err(UpstreamError::Method(m)) if m == "GSSAPI"));
    assert!(matches!(scripted(Some("x"), vec![ask(10, b"OAUTHBEARER\0\0")]).await, Err(UpstreamError::Method(_))));
    assert!(matches!(scripted(Some("x"), vec![ask(99, b"")]).await, Err(UpstreamError::Method(_))));
}

#[tokio::test]
async fn md5_is_answered_with_the_salted_hash() {
    let (password, part) = (Some("password"), |mut stream: TcpStream| async move {
        hear(&mut stream).await;
        stream.write_all(&ask(5, &[0x2a, 0x3d, 0x8f, 0xe0])).await.unwrap();
        let answer = hear(&mut stream).await;
        let expected = md5_hash(b"pgusher_session", b"password", [0x2a, 0x3d, 0x8f, 0xe0]);
        assert_eq!(&answer[5..answer.len() - 1], expected.as_bytes());
        stream.write_all(&[OK, GREETING].concat()).await.unwrap();
    });
    assert!(stage(password, UpstreamTls::Disabled, part).await.is_ok());
}

#[tokio::test]
async fn an_upstream_that_skips_the_end_of_scram_is_not_believed() {
    let early = scripted(Some("x"), vec![ask(10, b"SCRAM-SHA-256\0\0"), [OK, GREETING].concat()]).await;
    assert!(matches!(early, Err(UpstreamError::Violation(_))), "{early:?}");
    let nonce = scripted(Some("x"), vec![ask(10, b"SCRAM-SHA-256\0\0"), ask(11, b"r=other,s=c2FsdA==,i=4096")]).await;
    assert!(matches!(nonce, Err(UpstreamError::Scram(_))), "{nonce:?}");
}

#[tokio::test]
async fn upstreams_own_refusal_keeps_its_code_and_message() {
    let refused = scripted(None, vec![b"E\0\0\0\x1dSFATAL\0C53300\0Mtoo many\0\0".to_vec()]).await;
    assert!(matches!(refused, Err(UpstreamError::Refused { code, message }) if code == "53300" && message == "too many"));
}

#[tokio::test]
async fn nonsense_from_upstream_is_a_violation_and_takes_no_memory() {
    for says in [
        b"R\0\0\0\x03".to_vec(),
        b"R\x7f\xff\xff\xff".to_vec(),
        b"R\0\0\0\x04".to_vec(),
        b"Z\0\0\0\x05I".to_vec(),
        b"HTTP/1.1 400".to_vec(),
        [OK, b"Z\0\0\0\x05I"].concat(),
        [OK, b"S\0\0\0\x08name"].concat(),
        [OK, b"D\0\0\0\x04"].concat(),
        [OK, OK].concat(),
        [OK, &b"N\0\0\0\x04".repeat(2000)].concat(),
    ] {
        let refused = scripted(Some("x"), vec![says.clone()]).await;
        assert!(matches!(refused, Err(UpstreamError::Violation(_))), "{says:?}: {refused:?}");
    }
    assert!(matches!(scripted(Some("x"), vec![OK.to_vec()]).await, Err(UpstreamError::Lost(_))));
}

#[tokio::test]
async fn the_answer_to_the_tls_request_is_one_byte_and_yes() {
    let tls = || UpstreamTls::dangerous_no_verify().unwrap();
    let answered = async |answer: &'static [u8]| {
        stage(None, tls(), |mut stream| async move {
            assert_eq!(hear(&mut stream).await, b"\0\0\0\x08\x04\xd2\x16\x2f");
            let _ = stream.write_all(answer).await;
        })
        .await
    };
    assert!(matches!(answered(b"N").await, Err(UpstreamError::TlsRefused)));
    assert!(matches!(answered(b"SR\0\0\0\x08\0\0\0\0").await, Err(UpstreamError::Injected)));
    assert!(matches!(answered(b"E").await, Err(UpstreamError::Violation(_))));
    assert!(matches!(answered(b"").await, Err(UpstreamError::Lost(_))));
    assert!(matches!(answered(b"S").await, Err(UpstreamError::Tls(_))));
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_another_root_is_not_believed() {
    let made = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let authority = |name: &str, until: i32| {
        let signing_key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        rcgen::CertifiedKey { cert: parameters.self_signed(&signing_key).unwrap(), signing_key }
    };
    let (right, wrong_name, other) = (made("127.0.0.1"), made("db.example"), made("127.0.0.1"));
    // What `openssl req -x509` makes: self-signed and marked as an authority's.
    let (own, own_wrong_name, own_old) =
        (authority("127.0.0.1", 2100), authority("db.example", 2100), authority("127.0.0.1", 2020));
    for (serving, trusted, good) in [
        (&right, &right, true),
        (&wrong_name, &wrong_name, false),
        (&other, &right, false),
        (&own, &own, true),
        (&own_wrong_name, &own_wrong_name, false),
        (&own_old, &own_old, false),
        (&own, &right, false),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), trusted.cert.pem()).unwrap();
        let acceptor = server(serving);
        let outcome = stage(None, UpstreamTls::verify_full(Some(file.path())).unwrap(), |mut stream| async move {
            hear(&mut stream).await;
            stream.write_all(b"S").await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut bytes = BytesMut::with_capacity(4096);
                stream.read_buf(&mut bytes).await.unwrap();
                stream.write_all(&[OK, GREETING].concat()).await.unwrap();
            }
        })
        .await;
        match outcome {
            Ok(connection) => assert!(good && matches!(connection.stream, UpstreamStream::Tls(_))),
            Err(error) => assert!(!good && matches!(error, UpstreamError::Tls(_)), "{error:?}"),
        }
    }
}

fn server(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> tokio_rustls::TlsAcceptor {
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config))
}

#[tokio::test]
async fn a_clients_parameters_become_those_of_the_connection_but_for_the_pinned() {
    let (ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(4096);
    let dialed = Dialed { stream: UpstreamStream::Memory(ours), private: true, end_point: None };
    theirs.write_all(&[OK, GREETING].concat()).await.unwrap();
    let pool = tokio::sync::Semaphore::new(1);
    let permit = Permit::of(std::sync::Arc::new(pool).try_acquire_owned().unwrap());
    let given = [("application_name", "psql"), ("client_encoding", "LATIN1"), ("TimeZone", "UTC")];
    let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    login(dialed, "shop", (&account(None), &Keys::default()), &given, permit).await.unwrap();
    let mut sent = vec![0; 4096];
    let count = theirs.read(&mut sent).await.unwrap();
    let sent = String::from_utf8_lossy(&sent[8..count]).into_owned();
    assert!(sent.ends_with("application_name\0pgusher\0TimeZone\0UTC\0application_name\0psql\0\0"), "{sent:?}");
    assert!(!sent.contains("LATIN1"));
}
