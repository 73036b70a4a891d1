//! The session: a loop over one enum of states.
//!
//! In: [`Authenticated`](crate::startup::Authenticated) and the [`Environment`]. Out: a client that was served. Never: a statement
//! sent that has not passed analysis, an answer understood beyond its header where that is not needed.
//!
//! ```text
//!                      Query                              Parse, Bind, Describe, Execute, Close, Flush
//!            ┌───────────────────────── Ready ─────────────────────────┐
//!            │                        ▲  ▲  ▲ │ Terminate              │        ┌─┐
//!            ▼        ReadyForQuery   │  │  │ └────────► Closed        ▼        ▼ │ the same
//!          Simple ────────────────────┘  │  └───────────────────── Extended ─────┘
//!            │ ▲                         │         Sync              │ │ ▲
//!   CopyIn-  │ │ CopyDone, CopyFail,     │                 an error, │ │ │ CopyDone, CopyFail, an error
//!  Response  ▼ │ an error                │ Sync          a refusal   │ ▼ │
//!           CopyIn                       └────────── Discarding ◄────┘ CopyIn
//! ```
//!
//! Client frames are taken in Ready, Extended, Discarding and CopyIn; in Simple they wait. What upstream owes stands in a queue
//! (`expected`), so frames of a pipeline go up without waiting for answers, and each answer is known to be the client's, ours, or
//! the error that a refused statement must become. Statements that need a conversation of our own (governance, owner rights, COPY
//! into governed tables, an unsure search path) first wait until the queue is empty.

mod at_once;
mod cache;
mod client_names;
mod copy;
mod define;
mod dispatch;
mod environment;
mod errors;
mod exchange;
mod expected;
mod extended;
mod govern;
mod greet;
mod ground;
mod leaves;
mod origins;
mod perform;
mod pooling;
mod prepared;
mod record;
mod relay;
mod run;
mod script;
mod settings;
mod shown;
mod simple;
mod state;
mod transaction;
mod turns;

#[cfg(test)]
mod tests;

pub use cache::{Bounds, Figures, Readings};
pub use environment::{Environment, IdleLimits};
pub use greet::run;

use std::sync::Arc;
use std::time::Instant;

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

    /// The latest published footing, unless it is this one; or why there is none that may be used at a time that is no more than a
    /// moment ago.
    fn newer(&self, than: &Arc<Footing>, now: Instant) -> Result<Option<Arc<Footing>>, crate::error::Report> {
        let _ = now;
        self.footing().map(|latest| Some(latest).filter(|latest| !Arc::ptr_eq(latest, than)))
    }

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

    /// Before an ALTER or DROP of these relations: takes away the governed views that PostgreSQL would refuse it for;
    /// [`Governor::follow_ddl`] makes them anew. Not before statements that read, such as CREATE VIEW.
    fn precede_ddl<'a>(
        &'a self,
        subject: &'a Subject,
        relations: &'a [crate::policy::Oid],
        channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<(), crate::error::Report>> {
        let _ = (subject, relations, channel);
        Box::pin(async { Ok(()) })
    }

    /// After DDL: records owners, gives privileges, rebuilds governed views, in the channel's transaction.
    fn follow_ddl<'a>(
        &'a self,
        subject: &'a Subject,
        channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<(), crate::error::Report>>;

    /// Loads and publishes what was committed; returns when it is published.
    fn refresh(&self) -> BoxFuture<'_, Result<(), crate::error::Report>>;
}
