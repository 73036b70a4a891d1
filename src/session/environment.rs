//! What all sessions share.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::{Governor, Readings};
use crate::event::Events;
use crate::sql::Limits;
use crate::upstream::owner::SigningKey;
use crate::upstream::{Pool, Registry};

/// How long a session may do nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleLimits {
    /// Outside a transaction; `None` for ever.
    pub session: Option<Duration>,
    /// Inside one; `None` for ever.
    pub transaction: Option<Duration>,
}

/// What all sessions share.
pub struct Environment {
    /// The control plane.
    pub governor: Arc<dyn Governor>,
    /// The only source of upstream connections.
    pub pool: Arc<Pool>,
    /// Every open session.
    pub registry: Arc<Registry>,
    /// Where events go.
    pub events: Events,
    /// The key that identities are signed with; may be replaced while we run.
    pub key: Arc<ArcSwap<SigningKey>>,
    /// Texts that were analysed before.
    pub readings: Arc<Readings>,
    /// The limits of analysis.
    pub limits: Limits,
    /// How long a session may do nothing.
    pub idle: IdleLimits,
    /// How many long texts are analysed at once; short ones are not counted.
    pub analyses: Arc<Semaphore>,
}
