//! `[http]`: health, metrics, and the API of principals and tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::meant::pair;
use super::written::Written;

/// Where HTTP comes in, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The address.
    pub address: SocketAddr,
    /// The certificate chain and its private key, PEM; `None` for no TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The most connections at a time.
    pub connections: usize,
    /// The most bytes of a request's body.
    pub body_bytes: usize,
    /// How long a request may take, and how long it may take to come.
    pub request_timeout: Duration,
}

/// Reads it; the inner `None` is for HTTP turned off.
pub(super) fn http(written: &mut Written, base: &Path) -> Option<Option<Http>> {
    let text = written.text("http.address")?;
    let certificate = written.path("http.certificate", base);
    let private_key = written.path("http.private_key", base);
    let tls = pair(written, ("http.certificate", certificate), ("http.private_key", private_key));
    let connections = written.count("http.connections", 2..=100_000);
    let body_bytes = written.count("http.body_bytes", 1024..=64 << 20);
    let request_timeout = written.milliseconds("http.request_timeout_ms", 100..=600_000);
    if text.is_empty() {
        return Some(None);
    }
    let Ok(address) = text.parse() else {
        written.mistake("http.address", format!("\"{text}\" is no address and port, for example \"127.0.0.1:6480\""));
        return None;
    };
    Some(Some(Http { address, tls, connections: connections?, body_bytes: body_bytes?, request_timeout: request_timeout? }))
}
