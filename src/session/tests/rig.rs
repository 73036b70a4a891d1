//! A session between two ends that a test holds: a client, and an upstream that answers what the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use crate::catalog::{Footing, Governed, SearchPath};
use crate::config::PoolMode;
use crate::error::Report;
use crate::error::session::SessionError;
use crate::event::{Event, Events, Identity, Interpreter, Receipts, SessionId};
use crate::governance::Command;
use crate::name::QualifiedName;
use crate::policy::{Bearing, PolicyParts, PolicySnapshot, PrincipalId, Subject};
use crate::session::exchange::{Clock, Exchange};
use crate::session::run::{Session, Start, Who};
use crate::session::settings::PathTracker;
use crate::session::{Bounds, Environment, Governor, IdleLimits, Readings, Reply};
use crate::sql::{Limits, fixture};
use crate::upstream::owner::SigningKey;
use crate::upstream::send::Link;
use crate::upstream::tls::UpstreamTls;
use crate::upstream::{
    Account, Attachment, Attachments, BoxFuture, Claim, Host, LaneSettings, OwnerChannel, Pool, PoolSettings, Registry,
    SharedSettings, Upstream,
};
use crate::wire::frame::{HEADER, Header, put_text, write};
use crate::wire::{ClientStream, UpstreamStream, backend};

/// The control plane of a test.
pub(super) struct Fake {
    pub(super) footing: ArcSwap<Footing>,
    pub(super) told: std::sync::Mutex<Vec<String>>,
    /// How often it was asked for the footing.
    pub(super) asked: AtomicUsize,
}

impl Fake {
    fn note(&self, what: impl Into<String>) {
        self.told.lock().unwrap().push(what.into());
    }

    pub(super) fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl Interpreter for Fake {
    fn interpret(&self, event: &Event) {
        if let Event::Statement(ended) = event {
            self.note(format!("{:?} {} {}", ended.outcome, ended.sqlstate, ended.text));
        }
    }
}

struct Telling(Arc<Fake>);

impl Interpreter for Telling {
    fn interpret(&self, event: &Event) {
        self.0.interpret(event);
    }
}

impl Governor for Fake {
    fn footing(&self) -> Result<Arc<Footing>, Report> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.footing.load_full())
    }

    fn govern<'a>(
        &'a self,
        command: &'a Command,
        _: &'a Subject,
        _: &'a SearchPath,
        channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<Reply, Report>> {
        Box::pin(async move {
            let columns: Vec<String> = crate::governance::columns(command).into_iter().map(str::to_owned).collect();
            if columns.is_empty() {
                channel
                    .execute("INSERT INTO pgusher.x")
                    .await
                    .map_err(|e| Report::error(tokio_postgres::error::SqlState::from_code(&e.code), e.message))?;
            }
            let rows = if columns.is_empty() { Vec::new() } else { vec![vec![Some("v".to_owned()); columns.len()]; 3] };
            Ok(Reply { changed: columns.is_empty(), rows, tag: command.tag().to_owned(), columns })
        })
    }

    fn footing_within<'a>(&'a self, _: &'a mut dyn OwnerChannel) -> BoxFuture<'a, Result<Arc<Footing>, Report>> {
        self.note("within");
        Box::pin(async move { Ok(Arc::new(fixture::footing())) })
    }

    fn follow_ddl<'a>(&'a self, _: &'a Subject, channel: &'a mut dyn OwnerChannel) -> BoxFuture<'a, Result<(), Report>> {
        self.note("follow");
        Box::pin(async move {
            let _ = channel.execute("follow").await;
            Ok(())
        })
    }

    fn refresh(&self) -> BoxFuture<'_, Result<(), Report>> {
        self.note("refresh");
        Box::pin(async { Ok(()) })
    }
}

/// Both ends of a session.
pub(super) struct Scene {
    client: DuplexStream,
    upstream: DuplexStream,
    pub(super) fake: Arc<Fake>,
    pub(super) session: JoinHandle<Result<(), SessionError>>,
}

/// A session of somebody who is no administrator.
pub(super) fn scene() -> Scene {
    scene_of(fixture::alice())
}

/// A session of a subject.
pub(super) fn scene_of(subject: Subject) -> Scene {
    scene_until(subject, None, IdleLimits::default())
}

/// A session that ends at some time, or when it idles for too long.
pub(super) fn scene_until(subject: Subject, expires: Option<tokio::time::Instant>, idle: IdleLimits) -> Scene {
    let upstream = Upstream {
        host: Host::Tcp("127.0.0.1".to_owned()),
        port: 1,
        database: "shop".to_owned(),
        tls: UpstreamTls::Disabled,
        connect_timeout: Duration::from_secs(1),
    };
    let account = |user: &str| Account { user: user.to_owned(), password: None };
    let footing = Arc::new(fixture::footing());
    let fake =
        Arc::new(Fake { footing: ArcSwap::new(footing.clone()), told: std::sync::Mutex::default(), asked: AtomicUsize::new(0) });
    let environment = Arc::new(Environment {
        governor: fake.clone(),
        pool: Arc::new(Pool::new(PoolSettings {
            upstream: upstream.clone(),
            shared: SharedSettings::plain(account("s"), 1),
            mode: PoolMode::Session,
            control: LaneSettings { account: account("c"), max_connections: 1 },
            wait: Duration::from_secs(1),
        })),
        registry: Registry::new(upstream),
        events: Events::new(vec![Box::new(Telling(fake.clone()))]),
        key: Arc::new(ArcSwap::from_pointee(SigningKey::new(b"key"))),
        readings: Arc::new(Readings::new(Bounds { entries: 1000, bytes: 1 << 20 })),
        limits: Limits::default(),
        idle,
        analyses: Arc::new(tokio::sync::Semaphore::new(2)),
    });
    let (client, ours) = tokio::io::duplex(1 << 20);
    let (upstream, theirs) = tokio::io::duplex(1 << 20);
    let link = Link::new(UpstreamStream::Memory(theirs), BytesMut::new());
    let exchange = Exchange::new(
        ClientStream::Memory(ours),
        BytesMut::new(),
        link,
        Clock::new(expires, environment.idle),
        Receipts::default(),
    );
    let who = Who {
        principal: subject.principal,
        name: subject.name.clone(),
        token: "t".into(),
        bearing: Bearing::default(),
        admin: subject.admin,
        process_id: 7,
        shown_process_id: 70,
        attachment: attachment(subject.principal),
    };
    let identity = Arc::new(Identity {
        session: SessionId(1),
        principal: who.name.clone(),
        actors: Vec::new(),
        token: who.token.clone(),
        address: None,
        application: "".into(),
        database: "shop".into(),
    });
    let start = Start {
        environment,
        who,
        identity,
        exchange,
        path: PathTracker::new(SearchPath::default()),
        footing,
        subject,
        pooling: None,
    };
    let session = tokio::spawn(async move {
        let mut session = Session::new(start);
        let served = session.serve().await;
        session.exchange.farewell().await;
        served
    });
    Scene { client, upstream, fake, session }
}

impl Scene {
    /// The client sends bytes.
    pub(super) async fn send(&mut self, frames: impl IntoIterator<Item = BytesMut>) {
        for frame in frames {
            self.client.write_all(&frame).await.unwrap();
        }
    }

    /// Upstream answers.
    pub(super) async fn answer(&mut self, frames: impl IntoIterator<Item = BytesMut>) {
        for frame in frames {
            self.upstream.write_all(&frame).await.unwrap();
        }
    }

    /// The next frames that upstream gets, in words.
    pub(super) async fn upstream_gets(&mut self, expected: &[&str]) {
        let mut got = Vec::new();
        for wanted in expected {
            let (tag, body) = frame(&mut self.upstream, &got, wanted).await;
            got.push(frontend_words(tag, &body));
        }
        assert_eq!(got, expected);
    }

    /// The next frames that the client gets, in words.
    pub(super) async fn client_gets(&mut self, expected: &[&str]) {
        let mut got = Vec::new();
        for wanted in expected {
            let (tag, body) = frame(&mut self.client, &got, wanted).await;
            got.push(backend_words(tag, &body));
        }
        assert_eq!(got, expected);
    }

    /// The next frame that upstream gets, in words.
    pub(super) async fn upstream_word(&mut self) -> String {
        let (tag, body) = frame(&mut self.upstream, &[], "a frame").await;
        frontend_words(tag, &body)
    }

    /// So many frames that upstream gets, whatever they are.
    pub(super) async fn upstream_words(&mut self, count: usize) -> Vec<String> {
        let mut words = Vec::new();
        for _ in 0..count {
            words.push(self.upstream_word().await);
        }
        words
    }

    /// The next frame that the client gets, in words.
    pub(super) async fn client_word(&mut self) -> String {
        let (tag, body) = frame(&mut self.client, &[], "a frame").await;
        backend_words(tag, &body)
    }

    /// Upstream gets a housekeeping statement with this SQL, and answers with nothing and a status, or rows.
    pub(super) async fn housekeeping(&mut self, sql: &str, row: Option<&str>, status: char) {
        let step = "pgusher$step";
        let frames = async |scene: &mut Self, sql: &str| {
            scene
                .upstream_gets(&[
                    &format!("C S{step}"),
                    &format!("C P{step}"),
                    &format!("P {step} {sql}"),
                    &format!("B {step} {step}"),
                    &format!("E {step} 0"),
                ])
                .await;
        };
        if sql.contains("pgusher.attach") {
            frames(self, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE").await;
            self.answer([closed(), closed(), parsed(), bound(), complete("SET")]).await;
        }
        frames(self, sql).await;
        self.upstream_gets(&["S"]).await;
        let rows = row.map(|row| data(&[row]));
        let frames = [closed(), closed(), parsed(), bound()].into_iter().chain(rows).chain([complete("X"), ready(status)]);
        self.answer(frames).await;
    }

    /// Nothing is on its way to upstream.
    pub(super) async fn upstream_gets_nothing(&mut self) {
        nothing(&mut self.upstream).await;
    }

    /// Nothing is on its way to the client.
    pub(super) async fn client_gets_nothing(&mut self) {
        nothing(&mut self.client).await;
    }

    /// Reads raw bytes at the client's end.
    pub(super) async fn client_reads(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.client.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// How the session ended by itself.
    pub(super) async fn ended(self) -> Result<(), SessionError> {
        let Scene { client: _client, upstream: _upstream, session, .. } = self;
        tokio::time::timeout(Duration::from_secs(5), session).await.unwrap().unwrap()
    }
}

async fn frame(stream: &mut DuplexStream, got: &[String], wanted: &str) -> (u8, Bytes) {
    let read = async {
        let mut head = [0; HEADER];
        stream.read_exact(&mut head).await.unwrap();
        let header = Header::peek(&head).unwrap().unwrap();
        let mut body = vec![0; header.body];
        stream.read_exact(&mut body).await.unwrap();
        (header.tag, Bytes::from(body))
    };
    match tokio::time::timeout(Duration::from_secs(5), read).await {
        Ok(frame) => frame,
        Err(_) => panic!("waited for {wanted:?} after {got:?}"),
    }
}

async fn nothing(stream: &mut DuplexStream) {
    let mut byte = [0];
    // The session has had its turn when a round of the scheduler brought nothing.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let read = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut byte)).await;
    assert!(read.is_err(), "unexpected {:?}", char::from(byte[0]));
}

fn frontend_words(tag: u8, body: &[u8]) -> String {
    let texts: Vec<String> = body.split(|b| *b == 0).map(|t| String::from_utf8_lossy(t).into_owned()).collect();
    match tag {
        b'Q' => format!("Q {}", texts[0]),
        b'P' => format!("P {} {}", texts[0], texts[1]),
        b'B' => format!("B {} {}", texts[0], texts[1]),
        b'E' => format!("E {} {}", texts[0], i32::from_be_bytes(body[body.len() - 4..].try_into().unwrap())),
        b'C' | b'D' => format!("{} {}", char::from(tag), texts[0]),
        b'd' => format!("d {}", String::from_utf8_lossy(body)),
        _ => char::from(tag).to_string(),
    }
}

fn backend_words(tag: u8, body: &[u8]) -> String {
    match tag {
        b'C' => format!("C {}", backend::command_tag(body).unwrap()),
        b'Z' => format!("Z {}", char::from(body[0])),
        b'E' | b'N' => {
            let fields = backend::fields(body).unwrap();
            let of = |kind| fields.iter().find(|(k, _)| *k == kind).map_or("", |(_, text)| text);
            let position = of(b'P');
            let detail = of(b'D');
            let mut words = format!("{} {} {}", char::from(tag), of(b'C'), of(b'M'));
            if !position.is_empty() {
                words += &format!(" @{position}");
            }
            if !detail.is_empty() && detail.starts_with("Key") {
                words += &format!(" ({detail})");
            }
            words
        }
        b'S' => {
            let (name, value) = backend::parameter_status(body).unwrap();
            format!("S {name}={value}")
        }
        _ => char::from(tag).to_string(),
    }
}

// What clients send.

pub(super) fn query(text: &str) -> BytesMut {
    made(|out| crate::wire::frontend::write_query(out, text))
}

pub(super) fn parse(name: &str, text: &str) -> BytesMut {
    made(|out| crate::wire::frontend::write_parse(out, name, text, &[]))
}

pub(super) fn bind(portal: &str, statement: &str) -> BytesMut {
    made(|out| crate::wire::frontend::write_bind(out, portal, statement, std::iter::empty()))
}

pub(super) fn describe(kind: char, name: &str) -> BytesMut {
    made(|out| {
        write(out, b'D', |b| {
            b.put_u8(kind as u8);
            put_text(b, name);
        })
    })
}

pub(super) fn close(kind: char, name: &str) -> BytesMut {
    made(|out| {
        write(out, b'C', |b| {
            b.put_u8(kind as u8);
            put_text(b, name);
        })
    })
}

pub(super) fn execute(portal: &str, rows: i32) -> BytesMut {
    made(|out| crate::wire::frontend::write_execute(out, portal, rows))
}

pub(super) fn sync() -> BytesMut {
    made(crate::wire::frontend::write_sync)
}

pub(super) fn flush() -> BytesMut {
    made(crate::wire::frontend::write_flush)
}

pub(super) fn raw(tag: u8, body: &[u8]) -> BytesMut {
    made(|out| write(out, tag, |b| b.put_slice(body)))
}

// What upstream answers.

pub(super) fn parsed() -> BytesMut {
    raw(b'1', b"")
}

pub(super) fn bound() -> BytesMut {
    raw(b'2', b"")
}

pub(super) fn closed() -> BytesMut {
    raw(b'3', b"")
}

pub(super) fn columns() -> BytesMut {
    made(|out| backend::write_text_columns(out, ["a"].into_iter()))
}

pub(super) fn data(values: &[&str]) -> BytesMut {
    made(|out| backend::write_row(out, values.iter().map(|v| Some(*v))))
}

pub(super) fn complete(tag: &str) -> BytesMut {
    made(|out| backend::write_complete(out, tag))
}

pub(super) fn empty() -> BytesMut {
    raw(b'I', b"")
}

pub(super) fn ready(status: char) -> BytesMut {
    raw(b'Z', &[status as u8])
}

pub(super) fn error(code: &str, message: &str) -> BytesMut {
    error_with(&[(b'S', "ERROR"), (b'V', "ERROR"), (b'C', code), (b'M', message)])
}

pub(super) fn error_with(fields: &[(u8, &str)]) -> BytesMut {
    made(|out| backend::write_error(out, fields.iter().copied()))
}

fn made(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out);
    out
}

/// Another footing; the orders may now carry a mask.
pub(super) fn moved(masked: bool) -> Arc<Footing> {
    let mut footing = fixture::footing_with(|catalog| catalog.server_version += 1);
    if masked && let Some(Governed::Table(table)) = Arc::make_mut(&mut footing.governed).get_mut(&fixture::ORDERS) {
        table.masked = vec!["amount".into()];
        table.read = QualifiedName::new("pgusher_public", "orders");
        table.write = QualifiedName::new("pgusher_public", "orders$w");
        table.insert = table.write.clone();
    }
    Arc::new(footing)
}

/// A footing in which nobody is anybody.
pub(super) fn without_alice() -> Arc<Footing> {
    let footing = fixture::footing();
    let policies = Arc::new(PolicySnapshot::new(2, PolicyParts::default()));
    Arc::new(Footing::new(footing.catalog, policies, (*footing.governed).clone()))
}

fn attachment(principal: PrincipalId) -> Arc<Attachment> {
    let claim = Claim { principal, token: "t".into(), bearing: Bearing::default(), actors: Vec::new() };
    Attachments::default().made(9, claim, 0)
}
