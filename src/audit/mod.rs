//! The audit trail: events → records that nobody can take back unseen.
//!
//! In: every [`Event`](crate::event::Event). Out: lines of the log ([`Log`]), and where the configuration names a sink, a [`Trail`] of
//! records: numbered, chained by hashes, written before the client hears of what they tell. Never: a token, a password, anything a
//! client gave as one.

pub mod chain;
mod file;
mod log;
pub mod read;
mod record;
mod redact;
mod table;
mod trail;
pub mod verify;

pub use chain::Key;
pub use log::Log;
pub use table::TableSettings;
pub use trail::{Durability, OnFailure, Sinks, Trail, TrailError, TrailSettings, instance};

/// How a moment is written: RFC 3339 in UTC, with microseconds.
pub use record::moment;
