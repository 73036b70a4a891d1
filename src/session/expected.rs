//! What upstream still owes, in order: each entry stands for one message that was sent, or for something of our own that must be
//! said between two answers.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::prepared::First;
use super::script::{Part, Script};
use crate::error::Report;
use crate::event::Parameters;
use crate::name::Name;
use crate::sql::{Effect, Transaction};
use crate::wire::frontend::Target;

/// One entry of the queue.
#[derive(Debug)]
pub(super) enum Expected {
    /// ParseComplete.
    Parse {
        /// The statement prepared, for positions in errors.
        script: Option<(Arc<Script>, usize)>,
        /// The client's: it is shown, and confirms the statement that waits.
        shown: bool,
        /// What it is called upstream, where sessions share it.
        name: Option<Arc<str>>,
    },
    /// BindComplete.
    Bind {
        /// The statement bound, which upstream may look at again.
        script: Option<Arc<Script>>,
        /// The client's: it is shown, and confirms the portal that waits.
        shown: bool,
    },
    /// ParameterDescription, then RowDescription or NoData.
    Describe {
        /// NoData is swallowed: it has no place in the simple protocol.
        rows_only: bool,
        /// The statement whose columns are to be remembered, or compared.
        of: Option<Arc<First>>,
        /// The client's.
        shown: bool,
    },
    /// CloseComplete.
    Close {
        /// The client's.
        shown: bool,
        /// What is then gone of the client's.
        of: Option<(Target, Box<str>)>,
    },
    /// Rows, then CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute(Running),
    /// The same for each statement of a script, then ReadyForQuery.
    Query(Running),
    /// ReadyForQuery.
    Sync {
        /// The client's.
        shown: bool,
    },
    /// Nothing: what we answer ourselves when everything before it is answered.
    Local {
        /// Whole frames.
        bytes: Bytes,
        /// It confirms the prepared statement that waits.
        confirms: bool,
        /// The prepared statement that is then gone.
        closes: Option<Box<str>>,
    },
    /// An error that we provoked: this is what the client is told instead.
    Refused(Box<Report>),
}

impl Expected {
    /// The statement whose end is waited for.
    pub(super) fn running(&self) -> Option<&Running> {
        match self {
            Self::Execute(running) | Self::Query(running) => Some(running),
            Self::Parse { .. }
            | Self::Bind { .. }
            | Self::Describe { .. }
            | Self::Close { .. }
            | Self::Sync { .. }
            | Self::Local { .. }
            | Self::Refused(_) => None,
        }
    }
}

/// A statement, or several, in flight.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// What runs; nothing for an empty statement.
    pub(super) script: Option<Arc<Script>>,
    /// Which part is next to complete.
    pub(super) part: usize,
    /// When it came.
    pub(super) started: Instant,
    /// How its end is taken.
    pub(super) ending: Completion,
    /// The values of its parameters, where records hold them.
    pub(super) parameters: Option<Parameters>,
}

/// What happens with a CommandComplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// It is shown, and the statement's effects are taken note of.
    Plain,
    /// The same; what ran is the query inside a SQL PREPARE, which has no effects.
    Inner,
    /// It is kept until we say.
    Held,
    /// As `Plain`, of one of several statements of a Query: what ends it is not the end of the client's Query.
    Turn,
    /// It is ours: swallowed.
    Swallowed,
    /// It is that of a function of ours which runs the statement: the statement's own is kept instead.
    StoodIn,
    /// The statement is done when what fills its table is: swallowed, its errors and notices are the client's.
    Prelude,
    /// That of what fills a table: kept as the tag of the query that it was filled from.
    Filled,
}

impl Completion {
    /// Whether the rows before it are the client's.
    pub(super) fn shows(self) -> bool {
        match self {
            Self::Plain | Self::Inner | Self::Held | Self::Turn => true,
            Self::Swallowed | Self::StoodIn | Self::Prelude | Self::Filled => false,
        }
    }
}

impl Running {
    /// A script that begins with its first part.
    pub(super) fn new(script: Option<Arc<Script>>, started: Instant, ending: Completion) -> Self {
        Self { script, part: 0, started, ending, parameters: None }
    }

    /// The command tag of what runs, where that is known beforehand.
    pub(super) fn tag(&self) -> &'static str {
        match self.current().map(|part| part.rewritten.effect()) {
            Some(Effect::AsOwner(owned)) => owned.tag,
            Some(_) | None => "",
        }
    }

    /// The part that runs.
    pub(super) fn current(&self) -> Option<&Part> {
        self.script.as_ref().and_then(|script| script.parts.get(self.part))
    }

    /// Whether it is a step of a COPY into a governed table.
    pub(super) fn copies(&self) -> bool {
        self.current().is_some_and(|part| matches!(part.rewritten.effect(), Effect::CopyInGoverned(_)))
    }

    /// Whether it ends a transaction, or what failed in one.
    pub(super) fn ends_failure(&self) -> bool {
        let ends = |part: &Part| {
            matches!(
                part.rewritten.effect(),
                Effect::Transaction(Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::RollbackTo(_))
            )
        };
        self.script.as_ref().is_some_and(|script| script.parts.iter().skip(self.part).any(ends))
    }
}

impl Expected {
    /// Where positions in an error on this entry point: a script, and its part when that was sent alone.
    pub(super) fn sent(&self) -> Option<(&Script, Option<usize>)> {
        match self {
            Self::Parse { script, .. } => script.as_ref().map(|(script, part)| (&**script, Some(*part))),
            // What fills a table is another text.
            Self::Execute(Running { ending: Completion::Filled, .. }) => None,
            Self::Execute(running) => running.script.as_deref().map(|script| (script, Some(running.part))),
            Self::Query(running) => running.script.as_deref().map(|script| (script, None)),
            Self::Bind { script, .. } => script.as_deref().map(|script| (script, Some(0))),
            Self::Describe { .. } | Self::Close { .. } | Self::Sync { .. } | Self::Local { .. } | Self::Refused(_) => None,
        }
    }

    /// The prepared statement that it executes by SQL, without parameters: upstream may look at that one's text again.
    pub(super) fn executes(&self) -> Option<&Name> {
        let (Self::Execute(running) | Self::Query(running)) = self else { return None };
        let part = running.current()?;
        match part.rewritten.effect() {
            Effect::Execute { name } if !part.text.contains('(') => Some(name),
            _ => None,
        }
    }

    /// The text that a function of ours runs in the client's stead.
    pub(super) fn stands_in(&self) -> Option<&str> {
        match self {
            Self::Execute(running @ Running { ending: Completion::StoodIn | Completion::Prelude, .. }) => {
                running.current().map(|part| &**part.rewritten.text())
            }
            Self::Execute(_)
            | Self::Query(_)
            | Self::Parse { .. }
            | Self::Bind { .. }
            | Self::Describe { .. }
            | Self::Close { .. }
            | Self::Sync { .. }
            | Self::Local { .. }
            | Self::Refused(_) => None,
        }
    }

    /// Whether what comes after it may run although the transaction has failed now.
    pub(super) fn ends_failure(&self) -> bool {
        matches!(self, Self::Execute(running) | Self::Query(running) if running.ends_failure())
    }

    /// Whether ReadyForQuery ends it.
    pub(super) fn ready(&self) -> bool {
        matches!(self, Self::Sync { .. } | Self::Query(_))
    }
}
