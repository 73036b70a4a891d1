//! Reaching upstream: a socket, encrypted where it must be, and a login on it.
//!
//! In: [`Upstream`] and an [`Account`]. Out: a [`Connection`] that stands at its first ReadyForQuery. Never: a password in the clear
//! over a network, and never a connection made by anyone but the [`Pool`](super::Pool).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::login::login;
use super::pool::Permit;
use super::scram::Keys;
use super::tls::{UpstreamTls, server_end_point};
use crate::config::Password;
use crate::wire::UpstreamStream;

/// How long a silent TCP connection may stay silent before the kernel asks whether the other side still lives.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Where upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A DNS name or an IP address.
    Tcp(String),
    /// The directory of its Unix socket.
    Unix(PathBuf),
}

/// Where upstream is and how to reach it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its host.
    pub host: Host,
    /// Its port (of a Unix socket: the number in the socket's name).
    pub port: u16,
    /// The database.
    pub database: String,
    /// Encryption, for TCP.
    pub tls: UpstreamTls,
    /// How long connecting and logging in may take together.
    pub connect_timeout: Duration,
}

/// An upstream login.
#[derive(Clone, Debug)]
pub struct Account {
    /// The upstream role.
    pub user: String,
    /// Its password, unless upstream asks for none.
    pub password: Option<Password>,
}

impl Account {
    /// The SCRAM-SHA-256 verifier of its password, for ALTER ROLE: the password itself never travels in a statement.
    pub fn verifier(&self) -> Option<String> {
        self.password.as_ref().map(|p| postgres_protocol::password::scram_sha_256(p.reveal().as_bytes()))
    }
}

/// A logged-in upstream connection at its first ReadyForQuery. Dropping its permit lets the pool open another.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: UpstreamStream,
    /// Bytes already read past the ReadyForQuery.
    pub read_ahead: BytesMut,
    /// Every ParameterStatus that upstream reported.
    pub parameters: BTreeMap<String, String>,
    /// Its backend's process id, for cancel.
    pub process_id: i32,
    /// Its backend's cancel key.
    pub secret_key: Bytes,
    /// Its place in the pool; must live as long as the connection is used.
    pub permit: Permit,
}

/// Why there is no upstream connection, or no longer one.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No socket could be opened.
    #[error("cannot reach upstream: {0}")]
    Unreachable(io::Error),
    /// Connecting or logging in took too long.
    #[error("connecting to upstream took too long")]
    TooSlow,
    /// Upstream answered that it has no TLS.
    #[error("upstream does not offer TLS, and the configuration demands it")]
    TlsRefused,
    /// The TLS handshake failed, or the certificate is not to be trusted.
    #[error("TLS with upstream: {0}")]
    Tls(io::Error),
    /// Unencrypted bytes behind upstream's answer to the TLS request.
    #[error("unencrypted data came with upstream's answer to the TLS request; possibly an attack")]
    Injected,
    /// Upstream asks for a password and the configuration has none.
    #[error("upstream asks for a password and none is configured")]
    NoPassword,
    /// Upstream asks for the password in the clear over an unencrypted network.
    #[error("upstream asks for a cleartext password over an unencrypted network connection")]
    Cleartext,
    /// Upstream asks for a way to authenticate that we do not have.
    #[error("upstream asks for an authentication method that is not supported: {0}")]
    Method(String),
    /// The SCRAM exchange failed: upstream may not be who it says.
    #[error("SCRAM with upstream: {0}")]
    Scram(io::Error),
    /// Upstream sent an error while we logged in.
    #[error("upstream refused the connection: {message} ({code})")]
    Refused {
        /// Its SQLSTATE.
        code: String,
        /// Its message.
        message: String,
    },
    /// Upstream sent something that the protocol does not allow here.
    #[error("upstream violates the protocol: {0}")]
    Violation(&'static str),
    /// The connection broke.
    #[error("connection to upstream lost: {0}")]
    Lost(io::Error),
    /// Every connection of this login is taken, and none came back in time.
    #[error("no upstream connection became free in time")]
    NoneFree,
    /// More sessions wait for a connection than may.
    #[error("too many sessions wait for an upstream connection")]
    QueueFull,
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
}

/// A socket to upstream on which nobody has logged in yet.
pub struct Dialed {
    /// The socket.
    pub stream: UpstreamStream,
    /// Whether nobody on a network can read along: TLS, a Unix socket or loopback.
    pub private: bool,
    /// What SCRAM can bind to: the hash of upstream's certificate.
    pub end_point: Option<Vec<u8>>,
}

/// Opens a socket to upstream and encrypts it where the settings say so.
pub async fn dial(upstream: &Upstream) -> Result<Dialed, UpstreamError> {
    match &upstream.host {
        Host::Unix(directory) => {
            let path = directory.join(format!(".s.PGSQL.{}", upstream.port));
            let stream = UnixStream::connect(path).await.map_err(UpstreamError::Unreachable)?;
            Ok(Dialed { stream: UpstreamStream::Unix(stream), private: true, end_point: None })
        }
        Host::Tcp(host) => {
            let stream = TcpStream::connect((host.as_str(), upstream.port)).await.map_err(UpstreamError::Unreachable)?;
            let loopback = stream.peer_addr().is_ok_and(|peer| is_loopback(peer.ip()));
            tune(SockRef::from(&stream)).map_err(UpstreamError::Unreachable)?;
            match &upstream.tls {
                UpstreamTls::Disabled => Ok(Dialed { stream: UpstreamStream::Tcp(stream), private: loopback, end_point: None }),
                UpstreamTls::Required(rules) => {
                    let stream = rules.connect(host, request_tls(stream).await?).await?;
                    let end_point = server_end_point(&stream);
                    Ok(Dialed { stream: UpstreamStream::Tls(Box::new(stream)), private: true, end_point })
                }
            }
        }
    }
}

/// Connects and logs in, within the time the settings give.
pub(super) async fn connect(
    upstream: &Upstream,
    by: (&Account, &Keys),
    parameters: &BTreeMap<String, String>,
    permit: Permit,
) -> Result<Connection, UpstreamError> {
    let attempt = async { login(dial(upstream).await?, &upstream.database, by, parameters, permit).await };
    tokio::time::timeout(upstream.connect_timeout, attempt).await.unwrap_or(Err(UpstreamError::TooSlow))
}

/// Whether an address is this machine's own, IPv4 inside IPv6 included.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Small frames must leave at once, and a dead peer must be noticed.
pub fn tune(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4))
}

async fn request_tls(mut stream: TcpStream) -> Result<TcpStream, UpstreamError> {
    let mut request = BytesMut::with_capacity(8);
    postgres_protocol::message::frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(UpstreamError::Lost)?;
    // More room than the answer needs: what else arrives with it was not encrypted, and must not be taken for something that was.
    let mut answer = [0u8; 16];
    let count = stream.read(&mut answer).await.map_err(UpstreamError::Lost)?;
    match answer.get(..count) {
        Some(b"S") => Ok(stream),
        Some(b"N") => Err(UpstreamError::TlsRefused),
        Some([]) | None => Err(UpstreamError::Lost(io::ErrorKind::UnexpectedEof.into())),
        Some([b'S' | b'N', ..]) => Err(UpstreamError::Injected),
        Some([_, ..]) => Err(UpstreamError::Violation("neither S nor N in answer to the TLS request")),
    }
}
