use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::thread::ThreadId;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::*;
use crate::authn::{Credential, Lookup, TokenHash};
use crate::listener::UnixSettings;
use crate::policy::PrincipalId;
use crate::startup::TlsDemand;
use crate::upstream::connect::{Host, Upstream};
use crate::upstream::tls::UpstreamTls;

/// Knows every token, as alice's.
struct Trusting {
    admin: bool,
}

impl Directory for Trusting {
    fn credential<'a>(&'a self, _: TokenHash) -> Lookup<'a> {
        let alice = Credential { token: Arc::from("t1"), admin: self.admin, ..Credential::good(1, "alice") };
        Box::pin(std::future::ready(Ok(Some(alice))))
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

/// What a login takes is given back when the session begins.
#[test]
fn the_task_of_a_connection_is_hardly_larger_than_its_session() {
    type Session = fn(Authenticated) -> std::future::Ready<()>;
    fn room<T>(_: fn(Accepted, (Place, Berth), Arc<Gate>, Session) -> T) -> usize {
        size_of::<T>()
    }
    assert!(room(attend) <= 512, "{}", room(attend));
}

struct Stage {
    address: SocketAddr,
    folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
    gate: Arc<Gate>,
    /// The threads on which sessions began.
    seen: Arc<Mutex<Vec<ThreadId>>>,
}

/// Sessions greet with a byte and last until the client closes or the registry ends them.
fn stage(max_connections: usize, drain_timeout: Duration) -> Stage {
    stage_on(Threads::none(), false, max_connections, drain_timeout)
}

fn stage_on(threads: Threads, admin: bool, max_connections: usize, drain_timeout: Duration) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let unix = UnixSettings { directory: folder.path().to_owned(), port: 5432, mode: 0o700 };
    let settings =
        ListenSettings { tcp: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], unix: vec![unix], max_connections, drain_timeout };
    let listener = {
        let _inside = threads.accepting().enter();
        Listener::bind(&settings).unwrap()
    };
    let address = listener.addresses()[0];
    let upstream = Upstream {
        host: Host::Tcp("127.0.0.1".into()),
        port: 1,
        database: "shop".into(),
        tls: UpstreamTls::Disabled,
        connect_timeout: Duration::from_secs(1),
    };
    let rules = Rules {
        database: Arc::from("shop"),
        tls: None,
        demand: TlsDemand::Prefer,
        bearer: crate::startup::Bearer::default(),
        scram: crate::config::SaslLogin::Asked,
        certificates: None,
        timeout: Duration::from_secs(20),
        issuers: Arc::default(),
    };
    let gate = Arc::new(Gate {
        rules: ArcSwap::from_pointee(rules),
        registry: Registry::new(upstream),
        directory: Arc::new(Trusting { admin }),
        throttle: crate::authn::Throttle::default(),
        events: Events::none(),
    });
    let (stop, stopped) = watch::channel(false);
    let registry = Arc::clone(&gate.registry);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let session = move |mut client: Authenticated| {
        let registry = Arc::clone(&registry);
        let noted = Arc::clone(&noted);
        async move {
            noted.lock().unwrap().push(std::thread::current().id());
            let seat = registry.enlist(client.minor, client.session, client.principal, Arc::clone(&client.token));
            client
                .stream
                .write_all(if client.address == Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) { b"T" } else { b"U" })
                .await
                .unwrap();
            let mut byte = [0];
            tokio::select! {
                read = client.stream.read(&mut byte) => assert_ne!(byte, *b"!", "panics when told to: {read:?}"),
                ending = seat.ended() => client.stream.write_all(format!("{ending:?}").as_bytes()).await.unwrap(),
            }
        }
    };
    let accepting = threads.accepting().clone();
    let served = accepting.spawn(listener.serve(Arc::clone(&gate), session, Arc::new(threads), stopped));
    Stage { address, folder, stop, served, gate, seen }
}

const STARTUP: &[u8] = b"\0\0\0\x22\0\x03\0\0user\0alice\0database\0shop\0\0p\0\0\0\x06x\0";
const ASK: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

async fn read(client: &mut (impl tokio::io::AsyncRead + Unpin), count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).await.unwrap();
    bytes
}

async fn enter(stage: &Stage) -> TcpStream {
    let mut client = TcpStream::connect(stage.address).await.unwrap();
    client.write_all(STARTUP).await.unwrap();
    assert_eq!(read(&mut client, 10).await, [ASK, b"T"].concat());
    client
}

async fn turned_away(stage: &Stage, code: &str) {
    let mut client = TcpStream::connect(stage.address).await.unwrap();
    client.write_all(&STARTUP[..34]).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains(code), "{answer:?}");
}

#[tokio::test]
async fn clients_come_in_by_tcp_and_by_unix_socket() {
    let stage = stage(10, Duration::from_secs(5));
    enter(&stage).await;
    let mut client = UnixStream::connect(stage.folder.path().join(".s.PGSQL.5432")).await.unwrap();
    client.write_all(STARTUP).await.unwrap();
    assert_eq!(read(&mut client, 10).await, [ASK, b"U"].concat());
}

#[tokio::test]
async fn one_more_than_the_limit_is_told_so_and_a_place_comes_free_when_a_session_ends() {
    let stage = stage(1, Duration::from_secs(5));
    let first = enter(&stage).await;
    turned_away(&stage, "53300").await;
    drop(first);
    while !stage.gate.registry.is_empty() {
        tokio::task::yield_now().await;
    }
    // The place is freed just after the session has left the registry.
    loop {
        let mut client = TcpStream::connect(stage.address).await.unwrap();
        client.write_all(STARTUP).await.unwrap();
        if read(&mut client, 1).await == b"R" {
            break;
        }
    }
}

#[tokio::test]
async fn a_session_that_panics_takes_nobody_with_it() {
    let stage = stage(2, Duration::from_secs(5));
    let mut other = enter(&stage).await;
    let mut client = enter(&stage).await;
    client.write_all(b"!").await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
    other.write_all(b"x").await.unwrap();
    assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    enter(&stage).await;
}

#[tokio::test]
async fn a_drain_tells_every_session_and_waits_for_the_last() {
    let stage = stage(10, Duration::from_secs(30));
    let mut client = enter(&stage).await;
    stage.stop.send(true).unwrap();
    assert_eq!(read(&mut client, 8).await, b"Draining");
    stage.served.await.unwrap();
    assert!(TcpStream::connect(stage.address).await.is_err());
    assert!(!stage.folder.path().join(".s.PGSQL.5432").exists());
}

#[tokio::test]
async fn while_sessions_end_new_clients_are_told_that_we_shut_down() {
    let stage = stage(10, Duration::from_millis(300));
    // In the middle of its startup, so that the drain has to wait for it.
    let mut slow = TcpStream::connect(stage.address).await.unwrap();
    slow.write_all(&STARTUP[..34]).await.unwrap();
    assert_eq!(read(&mut slow, 9).await, ASK);
    stage.stop.send(true).unwrap();
    while !stage.gate.registry.is_draining() {
        tokio::task::yield_now().await;
    }
    turned_away(&stage, "57P03").await;
    // It does not end by itself; the drain's time does.
    stage.served.await.unwrap();
}

/// The stacks of threads here.
const STACK: usize = 4 << 20;

#[tokio::test]
async fn sessions_are_spread_over_the_threads_and_none_is_served_by_the_runtime_of_everything_else() {
    let stage = stage_on(Threads::start(2, STACK).unwrap(), false, 10, Duration::from_secs(5));
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(enter(&stage).await);
    }
    let mut seen = stage.seen.lock().unwrap().clone();
    seen.sort_by_key(|id| format!("{id:?}"));
    assert!(seen[0] == seen[1] && seen[1] != seen[2] && seen[2] == seen[3], "{seen:?}");
    assert!(!seen.contains(&std::thread::current().id()));
    for client in &mut clients {
        client.write_all(b"x").await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_administrators_session_keeps_no_thread_of_sessions_busy() {
    let stage = stage_on(Threads::start(2, STACK).unwrap(), true, 10, Duration::from_secs(5));
    let mut client = enter(&stage).await;
    assert_eq!(*stage.seen.lock().unwrap(), [std::thread::current().id()]);
    client.write_all(b"!").await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
    enter(&stage).await;
}

#[tokio::test]
async fn a_drain_waits_for_the_sessions_of_all_threads() {
    for admin in [false, true] {
        let stage = stage_on(Threads::start(2, STACK).unwrap(), admin, 10, Duration::from_secs(30));
        let mut clients = [enter(&stage).await, enter(&stage).await];
        stage.stop.send(true).unwrap();
        for client in &mut clients {
            assert_eq!(read(client, 8).await, b"Draining");
        }
        stage.served.await.unwrap();
    }
}
