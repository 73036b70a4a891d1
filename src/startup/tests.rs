use std::net::Ipv4Addr;
use std::sync::Mutex;

use bytes::{Buf, BufMut};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::*;
use crate::authn::{Credential, DirectoryError, Lookup, TokenHash};
use crate::event::Interpreter;
use crate::upstream::connect::{Host, Upstream};
use crate::upstream::tls::UpstreamTls;
use crate::wire::backend;

const TOKEN: &str = "pgu_0123456789012345678901234567890123456789012";
const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSS_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
const ASK: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const V3_0: u32 = 196_608;
const V3_2: u32 = 196_610;

/// Knows one token, alice's.
struct Book {
    broken: bool,
    asked: Mutex<usize>,
}

impl Directory for Book {
    fn credential<'a>(&'a self, hash: TokenHash) -> Lookup<'a> {
        *self.asked.lock().unwrap() += 1;
        let alice = Credential { token: Arc::from("t1"), ..Credential::good(1, "alice") };
        let found = (hash == crate::authn::hash(TOKEN.as_bytes())).then_some(alice);
        let answer = if self.broken { Err(DirectoryError("10.0.0.7: refused".into())) } else { Ok(found) };
        Box::pin(std::future::ready(answer))
    }

    fn vouched<'a>(&'a self, _: &'a crate::authn::Vouched) -> Lookup<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn known<'a>(&'a self, _: &'a str) -> crate::authn::Knowing<'a> {
        Box::pin(std::future::ready(Ok(crate::authn::scram::Known { verifier: None, mock_salt: [7; 16] })))
    }

    fn password<'a>(&'a self, _: Option<&'a str>) -> Lookup<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn acts<'a>(&'a self, _: PrincipalId, _: &'a str, _: Option<&'a str>, _: bool) -> crate::authn::Found<'a> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Interpreter for Notes {
    fn interpret(&self, event: &Event) {
        self.0.lock().unwrap().push(match event {
            Event::LoginRefused { user, reason, .. } => format!("refused {user}: {reason}"),
            Event::LoggedIn { who, .. } => format!("in {} by {}", who.principal, who.token),
            other => format!("{other:?}"),
        });
    }
}

/// A startup to be played against.
struct Scene {
    rules: Rules,
    address: IpAddr,
    admission: Admission,
    book: Arc<Book>,
    notes: Notes,
}

impl Scene {
    fn new() -> Self {
        Self {
            rules: Rules {
                database: Arc::from("shop"),
                tls: None,
                demand: TlsDemand::Prefer,
                bearer: crate::startup::Bearer::default(),
                scram: crate::config::SaslLogin::Asked,
                certificates: None,
                timeout: Duration::from_secs(20),
                issuers: Arc::default(),
            },
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            admission: Admission::Open,
            book: Arc::new(Book { broken: false, asked: Mutex::new(0) }),
            notes: Notes::default(),
        }
    }

    fn with_tls(mut self) -> (Self, TlsConnector, TlsConnector) {
        let (acceptor, connectors) = tls();
        self.rules.tls = Some(Tls { acceptor, end_point: None });
        let [with_alpn, without] = connectors;
        (self, with_alpn, without)
    }

    /// Starts it; gives the client's socket and what will come of the server's side.
    async fn play(&self) -> (TcpStream, tokio::task::JoinHandle<Option<Authenticated>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let accepted = Accepted {
            stream: ClientStream::Tcp(server),
            address: Some(self.address),
            session: SessionId(1),
            admission: self.admission,
        };
        let (rules, book, events) = (self.rules.clone(), Arc::clone(&self.book), Events::new(vec![Box::new(self.notes.clone())]));
        let served = tokio::spawn(async move { run(accepted, &rules, &registry(), (&*book, &Throttle::default()), &events).await });
        (client, served)
    }

    /// Sends bytes, says no more, and gives everything that came back.
    async fn answer(&self, sent: &[u8]) -> Vec<u8> {
        let (mut client, served) = self.play().await;
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(served.await.unwrap().is_none());
        answer
    }

    /// The error that some bytes meet, with what came before it.
    async fn refusal(&self, sent: &[u8]) -> (Vec<u8>, Refusal) {
        let answer = self.answer(sent).await;
        split_error(&answer).unwrap_or_else(|| panic!("no error in {answer:?}"))
    }

    fn noted(&self) -> Vec<String> {
        self.notes.0.lock().unwrap().clone()
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    severity: String,
    code: String,
    message: String,
    hint: Option<String>,
}

fn registry() -> Arc<Registry> {
    Registry::new(Upstream {
        host: Host::Tcp("127.0.0.1".into()),
        port: 1,
        database: "shop".into(),
        tls: UpstreamTls::Disabled,
        connect_timeout: Duration::from_secs(1),
    })
}

fn tls() -> (TlsAcceptor, [TlsConnector; 2]) {
    let provider = || Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"postgresql".to_vec()];
    let connector = |alpn: &[&[u8]]| {
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = alpn.iter().map(|a| a.to_vec()).collect();
        TlsConnector::from(Arc::new(client))
    };
    (TlsAcceptor::from(Arc::new(server)), [connector(&[b"postgresql"]), connector(&[])])
}

fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u32(version);
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.put_u8(0);
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
}

fn alice() -> Vec<u8> {
    startup(V3_0, &[("user", "alice"), ("database", "shop")])
}

fn password(text: &[u8]) -> Vec<u8> {
    [&b"p"[..], &u32::try_from(text.len() + 5).unwrap().to_be_bytes(), text, b"\0"].concat()
}

fn split_error(answer: &[u8]) -> Option<(Vec<u8>, Refusal)> {
    let at = answer.iter().position(|b| *b == b'E')?;
    let mut rest = answer.get(at + 1..)?;
    assert_eq!(rest.get_u32() as usize, answer.len() - at - 1, "the error is the last frame");
    let fields = backend::fields(rest).unwrap();
    let field = |kind: u8| fields.iter().find(|(k, _)| *k == kind).map(|(_, text)| text.clone());
    let refusal = Refusal { severity: field(b'V')?, code: field(b'C')?, message: field(b'M')?, hint: field(b'H') };
    Some((answer.get(..at)?.to_vec(), refusal))
}

async fn expect(client: &mut (impl AsyncRead + Unpin), bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!(read, bytes);
}

async fn log_in(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    client.write_all(&alice()).await.unwrap();
    expect(client, ASK).await;
    client.write_all(&password(TOKEN.as_bytes())).await.unwrap();
}

#[tokio::test]
async fn a_good_token_over_loopback_is_authenticated_with_its_parameters() {
    let scene = Scene::new();
    let (mut client, served) = scene.play().await;
    let parameters = [
        ("user", "token"),
        ("database", "shop"),
        ("application_name", "psql"),
        ("client_encoding", "UTF8"),
        ("options", "-c statement_timeout=5s"),
    ];
    client.write_all(&startup(V3_2, &parameters)).await.unwrap();
    expect(&mut client, ASK).await;
    client.write_all(&[&password(TOKEN.as_bytes())[..], b"Q\0\0"].concat()).await.unwrap();
    let authenticated = served.await.unwrap().unwrap();
    assert_eq!((&*authenticated.name, authenticated.principal, &*authenticated.token), ("alice", PrincipalId(1), "t1"));
    assert_eq!((authenticated.minor, &*authenticated.database), (2, "shop"));
    assert_eq!(&authenticated.read_ahead[..], b"Q\0\0");
    let parameters: Vec<_> = authenticated.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(parameters, [("application_name", "psql"), ("client_encoding", "UTF8"), ("statement_timeout", "5s")]);
    assert_eq!(scene.noted(), ["in alice by t1"]);
}

#[tokio::test]
async fn a_client_that_sends_byte_by_byte_gets_in_too() {
    let scene = Scene::new();
    let (mut client, served) = scene.play().await;
    client.set_nodelay(true).unwrap();
    for byte in [alice(), password(TOKEN.as_bytes())].concat() {
        client.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(served.await.unwrap().is_some());
}

#[tokio::test]
async fn every_bad_credential_gets_the_same_words_and_a_reason_in_the_log() {
    let scene = Scene::new();
    let bob = startup(V3_0, &[("user", "bob"), ("database", "elsewhere"), ("role", "x")]);
    for given in [&b"pgu_wrong"[..], TOKEN.as_bytes(), b"\xff\xfe", &[b'x'; 16_000]] {
        let (before, refusal) = scene.refusal(&[&bob[..], &password(given)].concat()).await;
        assert_eq!(before, ASK);
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28P01"));
        assert_eq!((refusal.message.as_str(), refusal.hint), ("password authentication failed for user \"bob\"", None));
    }
    assert_eq!(*scene.book.asked.lock().unwrap(), 4, "the directory is asked every time");
    assert_eq!(scene.noted()[0], "refused bob: unknown token");
    assert_eq!(scene.noted()[1], "refused bob: the token belongs to another principal");
}

#[tokio::test]
async fn nothing_is_said_about_databases_and_parameters_before_a_good_token() {
    let scene = Scene::new();
    for (parameters, code) in [
        (&[("user", "alice"), ("database", "nope")][..], "3D000"),
        (&[("user", "alice")], "3D000"),
        (&[("user", "alice"), ("database", "shop"), ("role", "postgres")], "42501"),
        (&[("user", "alice"), ("database", "shop"), ("session_authorization", "postgres")], "42501"),
        (&[("user", "alice"), ("database", "shop"), ("options", "-c row_security=off")], "42501"),
        (&[("user", "alice"), ("database", "shop"), ("search_path", "pgusher")], "42501"),
        (&[("user", "alice"), ("database", "shop"), ("no_such_thing", "1")], "42704"),
        (&[("user", "alice"), ("database", "shop"), ("options", "-d 5")], "42601"),
        (&[("user", "alice"), ("database", "shop"), ("client_encoding", "LATIN1")], "0A000"),
    ] {
        let (_, refusal) = scene.refusal(&[startup(V3_0, parameters), password(b"pgu_wrong")].concat()).await;
        assert_eq!(refusal.code, "28P01", "{parameters:?}");
        let (_, refusal) = scene.refusal(&[startup(V3_0, parameters), password(TOKEN.as_bytes())].concat()).await;
        assert_eq!(refusal.code, code, "{parameters:?}");
        assert_eq!(refusal.severity, "FATAL");
    }
}

#[tokio::test]
async fn packets_that_make_no_sense_are_violations() {
    let scene = Scene::new();
    for sent in [
        &b"\0\0\0\0"[..],
        b"\0\0\0\x07abc",
        b"\0\0\x27\x15",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\x0e\0\x03\0\0user\0a",
        b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\x01",
    ] {
        let (before, refusal) = scene.refusal(sent).await;
        assert!(before.is_empty());
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "08P01"), "{sent:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_or_trickles_is_no_news() {
    let scene = Scene::new();
    for sent in [&b""[..], b"\0", b"\0\0\0\x30\0\x03\0\0us", &alice()] {
        let answer = scene.answer(sent).await;
        assert!(answer.is_empty() || answer == ASK);
    }
    assert!(scene.noted().is_empty());
}

#[tokio::test]
async fn other_versions_and_replication_and_no_user_are_refused() {
    let scene = Scene::new();
    for (sent, code) in [
        (startup(0x0002_0000, &[]), "0A000"),
        (startup(0x0004_0000, &[("user", "alice")]), "0A000"),
        (startup(V3_0, &[("user", "alice"), ("replication", "true")]), "0A000"),
        (startup(V3_0, &[("user", "alice"), ("replication", "database")]), "0A000"),
        (startup(V3_0, &[("database", "shop")]), "28000"),
        (startup(V3_0, &[("user", "")]), "28000"),
    ] {
        let (before, refusal) = scene.refusal(&sent).await;
        assert_eq!((refusal.code.as_str(), before.is_empty()), (code, true));
    }
    assert_eq!(*scene.book.asked.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_newer_minor_is_negotiated_before_the_token_is_asked_for() {
    let scene = Scene::new();
    let (mut client, served) = scene.play().await;
    let packet = startup(V3_0 + 9999, &[("user", "alice"), ("database", "shop"), ("_pq_.shiny", "on")]);
    client.write_all(&packet).await.unwrap();
    expect(&mut client, b"v\0\0\0\x17\0\x03\0\x02\0\0\0\x01_pq_.shiny\0").await;
    expect(&mut client, ASK).await;
    client.write_all(&password(TOKEN.as_bytes())).await.unwrap();
    assert_eq!(served.await.unwrap().unwrap().minor, 2);
}

#[tokio::test]
async fn what_is_no_password_message_is_a_violation() {
    let scene = Scene::new();
    for (sent, message) in [
        (&b"Q\0\0\0\x0dSELECT 1\0"[..], "expected password response, got message type 81"),
        (b"p\0\0\0\x03", "invalid password packet size"),
        (b"p\0\0\0\x04", "invalid password packet size"),
        (b"p\0\0\0\x07abc", "invalid password packet size"),
        (b"p\0\0\0\x09ab\0c\0", "invalid password packet size"),
        (b"p\x7f\xff\xff\xffabc\0", "invalid password packet size"),
        (b"p\0\0\x40\x05", "invalid password packet size"),
    ] {
        let (_, refusal) = scene.refusal(&[&alice()[..], sent].concat()).await;
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("08P01", message));
    }
    let (_, refusal) = scene.refusal(&[alice(), password(b"")].concat()).await;
    assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("28P01", "empty password returned by client"));
}

#[tokio::test]
async fn a_token_never_crosses_a_network_in_the_clear() {
    let mut scene = Scene::new();
    scene.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    let (before, refusal) = scene.refusal(&alice()).await;
    assert!(before.is_empty(), "the token is not even asked for");
    assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28000"));
    assert!(refusal.message.starts_with("TLS is required") && refusal.hint.is_some());
    scene.address = "::ffff:127.0.0.1".parse().unwrap();
    assert_eq!(scene.answer(&alice()).await, ASK);
    scene.rules.demand = TlsDemand::Require;
    assert_eq!(scene.refusal(&alice()).await.1.code, "28000");
}

#[tokio::test]
async fn no_room_and_a_drain_are_said_after_the_startup_packet() {
    let mut scene = Scene::new();
    scene.admission = Admission::Full;
    let (before, refusal) = scene.refusal(&alice()).await;
    assert_eq!((before.as_slice(), refusal.code.as_str()), (&b""[..], "53300"));
    assert_eq!(refusal.message, "sorry, too many clients already");
    scene.admission = Admission::Draining;
    assert_eq!(scene.refusal(&alice()).await.1.code, "57P03");
}

#[tokio::test]
async fn a_directory_that_fails_says_nothing_of_itself_to_the_client() {
    let mut scene = Scene::new();
    scene.book = Arc::new(Book { broken: true, asked: Mutex::new(0) });
    let (_, refusal) = scene.refusal(&[alice(), password(TOKEN.as_bytes())].concat()).await;
    assert_eq!(refusal.code, "57P03");
    assert!(!format!("{refusal:?}").contains("10.0.0.7"));
    assert_eq!(scene.noted(), ["refused alice: the directory of tokens: 10.0.0.7: refused"]);
}

#[tokio::test]
async fn a_silent_client_is_cut_off_without_a_word() {
    let mut scene = Scene::new();
    scene.rules.timeout = Duration::from_millis(30);
    let (mut client, served) = scene.play().await;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty() && served.await.unwrap().is_none());
    assert_eq!(scene.noted(), ["refused : startup took longer than allowed"]);
}

#[tokio::test]
async fn without_a_certificate_both_encryptions_are_declined_once_each() {
    let scene = Scene::new();
    let (mut client, served) = scene.play().await;
    client.write_all(SSL_REQUEST).await.unwrap();
    expect(&mut client, b"N").await;
    client.write_all(GSS_REQUEST).await.unwrap();
    expect(&mut client, b"N").await;
    log_in(&mut client).await;
    assert!(served.await.unwrap().is_some());
    for request in [SSL_REQUEST, GSS_REQUEST] {
        let (mut client, served) = scene.play().await;
        client.write_all(request).await.unwrap();
        expect(&mut client, b"N").await;
        client.write_all(request).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(split_error(&answer).unwrap().1.code, "0A000");
        assert!(served.await.unwrap().is_none());
    }
}

#[tokio::test]
async fn bytes_behind_a_request_for_encryption_are_taken_for_an_attack() {
    let (with_tls, ..) = Scene::new().with_tls();
    for scene in [Scene::new(), with_tls] {
        for request in [SSL_REQUEST, GSS_REQUEST] {
            let (before, refusal) = scene.refusal(&[request, &alice()].concat()).await;
            assert!(before.is_empty());
            assert_eq!(refusal.code, "08P01");
            assert!(refusal.message.starts_with("received unencrypted data after"), "{refusal:?}");
        }
    }
}

#[tokio::test]
async fn a_token_crosses_a_network_inside_tls() {
    let (mut scene, connector, without_alpn) = Scene::new().with_tls();
    scene.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    scene.rules.demand = TlsDemand::Require;
    for connector in [connector, without_alpn] {
        let (mut client, served) = scene.play().await;
        client.write_all(GSS_REQUEST).await.unwrap();
        expect(&mut client, b"N").await;
        client.write_all(SSL_REQUEST).await.unwrap();
        expect(&mut client, b"S").await;
        let mut client = connector.connect(ServerName::try_from("localhost").unwrap(), client).await.unwrap();
        log_in(&mut client).await;
        assert!(matches!(served.await.unwrap().unwrap().stream, ClientStream::Tls(_)));
    }
}

#[tokio::test]
async fn inside_tls_neither_encryption_can_be_asked_for_again() {
    let (scene, connector, _) = Scene::new().with_tls();
    for request in [SSL_REQUEST, GSS_REQUEST] {
        let (client, served) = scene.play().await;
        let mut client = connector.connect(ServerName::try_from("localhost").unwrap(), client).await.unwrap();
        client.write_all(request).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(split_error(&answer).unwrap().1.code, "0A000");
        assert!(served.await.unwrap().is_none());
    }
}

#[tokio::test]
async fn direct_tls_needs_the_protocols_name() {
    let (scene, connector, without_alpn) = Scene::new().with_tls();
    let (client, served) = scene.play().await;
    let mut client = connector.connect(ServerName::try_from("localhost").unwrap(), client).await.unwrap();
    log_in(&mut client).await;
    assert!(served.await.unwrap().is_some());

    let (client, served) = scene.play().await;
    let mut client = without_alpn.connect(ServerName::try_from("localhost").unwrap(), client).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(split_error(&answer).unwrap().1.code, "08P01");
    drop(client);
    assert!(served.await.unwrap().is_none());
}

#[tokio::test]
async fn broken_tls_and_tls_that_is_not_offered_end_without_plain_text() {
    let (with_tls, ..) = Scene::new().with_tls();
    let answer = with_tls.answer(b"\x16\x03\x01\x00\x05hello").await;
    assert!(answer.is_empty() || answer[0] == 0x15, "nothing but a TLS alert: {answer:?}");
    let (mut client, served) = with_tls.play().await;
    client.write_all(SSL_REQUEST).await.unwrap();
    expect(&mut client, b"S").await;
    client.write_all(&alice()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // The socket may be reset, since the server closes with bytes unread; what matters is what it said.
    let _ = client.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer[0] == 0x15, "nothing but a TLS alert: {answer:?}");
    assert!(served.await.unwrap().is_none());
    assert!(Scene::new().answer(b"\x16\x03\x01\x00\x05").await.is_empty());
}

#[tokio::test]
async fn a_cancel_request_is_answered_by_closing_whether_or_not_it_fits() {
    let mut scene = Scene::new();
    scene.admission = Admission::Full;
    let mut request = Vec::new();
    request.put_slice(b"\0\0\0\x10\x04\xd2\x16\x2e");
    request.put_i32(42);
    request.put_i32(4242);
    assert!(scene.answer(&request).await.is_empty());
    assert!(scene.noted().is_empty());
}

/// Numbers that look random and are the same every time.
fn noise(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[tokio::test]
async fn no_bytes_at_all_bring_it_down_or_let_one_in() {
    let scene = Scene::new();
    let good = [alice(), password(b"pgu_wrong")].concat();
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..400 {
        let mut bytes = good.clone();
        for _ in 0..noise(&mut seed) % 4 + 1 {
            let at = noise(&mut seed) as usize % bytes.len();
            match noise(&mut seed) % 3 {
                0 => bytes[at] = noise(&mut seed) as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, noise(&mut seed) as u8),
            }
        }
        let answer = scene.answer(&bytes).await;
        assert!(!answer.windows(9).any(|w| w == b"R\0\0\0\x08\0\0\0\0"), "{bytes:?}");
    }
    assert!(scene.noted().iter().all(|note| note.starts_with("refused")));
}
