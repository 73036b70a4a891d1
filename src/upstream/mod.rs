//! The PostgreSQL we connect to.
//!
//! In: `Rewritten` statements and [`housekeeping::Housekeeping`]. Out: raw frames, headers only read. Never: SQL text from anywhere else.

mod attachment;
mod cancel;
pub(crate) mod certificate;
pub mod connect;
pub mod housekeeping;
mod login;
pub mod owner;
mod pool;
mod scram;
pub mod send;
mod settings;
pub mod shared;
pub mod tls;
mod trace;
mod turn;

use std::future::Future;
use std::pin::Pin;

pub use attachment::{Attachment, Attachments, Claim, follow};
pub use cancel::{Aim, CancelKey, CancelTarget, Ending, Enlisted, OpenSession, Registry};
pub use connect::{Account, Connection, Host, Upstream, UpstreamError};
pub use pool::{LaneSettings, Login, Permit, Pool, PoolSettings};
pub use shared::{Lease, Profile, Shared, SharedSettings, Sharing, Taker};
pub use trace::{Carried, Next, Opens, Trace, written};
pub use turn::TurnRefused;

/// A boxed future, for the traits that are used through `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An error of upstream as one of our own statements met it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct OwnerError {
    /// Its SQLSTATE.
    pub code: String,
    /// Its message.
    pub message: String,
}

/// Runs statements with the rights of `pgusher_owner`, in the transaction that is open or in one of its own.
/// Two implementations: a session's own upstream connection (through `pgusher.execute`, signed) and the control connection.
pub trait OwnerChannel: Send {
    /// Runs one statement, its result thrown away.
    fn execute<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), OwnerError>>;

    /// Runs one SELECT (or WITH … RETURNING … SELECT) and gives its rows as a JSON array of objects.
    fn fetch<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<serde_json::Value, OwnerError>>;
}
