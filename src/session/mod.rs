//! The session: a loop over one enum of states.

use std::sync::Arc;

use crate::catalog::{Footing, SearchPath};
use crate::governance::Command;
use crate::policy::Subject;
use crate::upstream::{BoxFuture, OwnerChannel};

/// What a governance command answers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reply {
    /// The columns, all of type text; empty for a command without rows.
    pub columns: Vec<String>,
    /// The rows, in order.
    pub rows: Vec<Vec<Option<String>>>,
    /// The command tag.
    pub tag: String,
    /// Whether policies were changed (so footing must be loaded anew when the transaction ends).
    pub changed: bool,
}

/// The control plane as a session sees it; the store implements it.
pub trait Governor: Send + Sync {
    /// The latest published footing, or why there is none that may be used.
    fn footing(&self) -> Result<Arc<Footing>, crate::error::Report>;

    /// Carries out a governance command for a subject, inside the transaction of the channel. Names without a schema are found
    /// by the session's search path.
    fn govern<'a>(
        &'a self,
        command: &'a Command,
        subject: &'a Subject,
        search_path: &'a SearchPath,
        channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<Reply, crate::error::Report>>;

    /// Loads catalog and policies as the channel's open transaction sees them.
    fn footing_within<'a>(&'a self, channel: &'a mut dyn OwnerChannel)
    -> BoxFuture<'a, Result<Arc<Footing>, crate::error::Report>>;

    /// After an administrator's DDL: records owners, gives privileges, rebuilds governed views, in the channel's transaction.
    fn follow_ddl<'a>(
        &'a self,
        subject: &'a Subject,
        channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<(), crate::error::Report>>;

    /// Loads and publishes what was committed; returns when it is published.
    fn refresh(&self) -> BoxFuture<'_, Result<(), crate::error::Report>>;
}
