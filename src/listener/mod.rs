//! Accept, limits, TLS, drain.
//!
//! In: settings. Out: sockets handed to `startup`, and what comes out of it to a session. Never: an end because one accept failed or
//! one session panicked.

mod accept;
mod door;
mod limits;
mod settings;
mod threads;
mod tls;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::ClientCertificates;

pub use accept::{Gate, Listener};
pub use door::BindError;
pub use settings::rules;
pub use threads::Threads;
pub use tls::{Protocol, TlsSettingsError, acceptor};
pub use web::{Web, WebError, http_acceptor, is_private};

/// Where to listen, and for how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    /// TCP addresses; port 0 takes a free one.
    pub tcp: Vec<SocketAddr>,
    /// Unix sockets.
    pub unix: Vec<UnixSettings>,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// How long sessions may take to end when we shut down.
    pub drain_timeout: Duration,
}

/// A Unix socket, named as PostgreSQL names them: `.s.PGSQL.<port>` in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSettings {
    /// The directory.
    pub directory: PathBuf,
    /// The port in the socket's name.
    pub port: u16,
    /// The socket's permissions, for example 0o777.
    pub mode: u32,
}

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// The PEM file with its private key.
    pub key: PathBuf,
    /// How clients' certificates are taken; `None`: none is asked for.
    pub clients: Option<ClientCertificates>,
}
