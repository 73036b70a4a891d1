//! The neighbours of pgusher as objects: [`Upstream`] is a PostgreSQL cluster, [`Proxy`] a running pgusher, [`Client`] a driver,
//! [`RawClient`] a socket that speaks frames. [`Shop`] puts them together: the demo's shop, its policies, its people.
//!
//! Nothing here sleeps for a condition: [`until`] asks again for a bounded time.

mod audit;
mod bench;
mod client;
mod document;
mod http;
mod issuer;
mod keeper;
mod proxy;
mod raw;
mod shop;
mod tls;
mod upstream;

pub use audit::{Audited, records, settings as audit_settings};
pub use bench::{Bench, account, block};
pub use client::{Client, NULL, Refusal, connect_upstream};
pub use document::table_of;
pub use http::{Http, HttpAnswer, patch};
pub use issuer::{Issuer, seconds};
pub use proxy::{Proxy, ProxySettings};
pub use raw::{Frame, RawClient, frame, tags};
pub use shop::{ADMIN, Mechanism, Shop};
pub(crate) use shop::{both_mechanisms, every_mechanism};
pub use tls::{Pki, Shown};
pub use upstream::{Halted, Passing, Upstream, program, scratch};

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a condition may take to come true before the test fails: generous, because the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until there is an answer, for at most [`PATIENCE`].
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

/// Asks until there is an answer, for at most `limit`.
pub fn within<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A TCP port on the loopback that nobody listened on a moment ago, and that this run of the tests gives out once only.
/// It lies below the ports that Linux gives to outgoing connections (ip(7), `ip_local_port_range`: from 32768), so that
/// none of the tests' own connections takes it before it is listened on.
pub fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Runs beside each other begin at different places.
    let begin = std::process::id().wrapping_mul(977);
    (0..COUNT)
        .map(|_| FIRST + begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port")
}
