//! The session: what ends it, and what refuses one statement.
//!
//! These enums live here, not beside their code, because `session` stands below this module.

use std::sync::Arc;

use tokio_postgres::error::SqlState;

use super::edge::{Method, StartupError};
use super::{Report, Severity};
use crate::authn;
use crate::governance::GovernanceError;
use crate::sql::{AuthorizeError, ParseError, ResolveError, RewriteError};
use crate::upstream::{TurnRefused, UpstreamError};
use crate::wire::FrameError;

/// What ends a session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The client closed, or its socket failed; nobody is there to be told.
    #[error("the client went away: {0}")]
    ClientGone(std::io::Error),
    /// A frame that makes no sense.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A tag that PostgreSQL does not know, or not after startup.
    #[error("invalid frontend message type {0}")]
    UnknownTag(u8),
    /// There is no upstream connection to be had.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Upstream closed or broke.
    #[error("upstream connection: {0}")]
    UpstreamLost(std::io::Error),
    /// Upstream closed or broke while a COMMIT was outstanding.
    #[error("upstream connection lost during COMMIT: {0}")]
    CommitUnknown(std::io::Error),
    /// Upstream speaks nonsense.
    #[error("upstream sent a message out of place: {0:#04x}")]
    Nonsense(u8),
    /// The identity could not be given to the upstream connection.
    #[error("attach: {0}")]
    Attach(String),
    /// Upstream found that the token is good no more when a session was to begin.
    #[error("the token is not good any more")]
    NotGood {
        /// The user name that the client gave.
        user: Arc<str>,
        /// How it was asked for its token.
        by: Method,
    },
    /// There are no snapshots that may be used.
    #[error("no footing: {0:?}")]
    Footing(Box<Report>),
    /// The token was revoked, or the principal disabled or dropped.
    #[error("revoked")]
    Revoked,
    /// The token's time is over.
    #[error("token expired")]
    Expired,
    /// We are shutting down.
    #[error("draining")]
    Draining,
    /// Idle for too long.
    #[error("idle too long")]
    Idle,
    /// Idle in a transaction for too long.
    #[error("idle in a transaction for too long")]
    IdleInTransaction,
    /// What it did cannot be recorded.
    #[error("no audit record could be written")]
    Unrecorded,
    /// Something that cannot be.
    #[error("broken invariant: {0}")]
    Broken(&'static str),
}

impl SessionError {
    /// What it is that a lost connection was lost to.
    pub fn refine(self) -> Self {
        let Self::UpstreamLost(cause) = self else { return self };
        match cause.get_ref().and_then(|inner| inner.downcast_ref::<TurnRefused>()) {
            Some(refused) if refused.code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION.code() => Self::Revoked,
            Some(refused) => Self::Attach(refused.to_string()),
            None => Self::UpstreamLost(cause),
        }
    }
}

impl From<&SessionError> for Report {
    fn from(error: &SessionError) -> Self {
        match error {
            SessionError::ClientGone(_) => Report::fatal(SqlState::CONNECTION_FAILURE, "connection to client lost"),
            SessionError::Frame(frame) => Report::fatal(SqlState::PROTOCOL_VIOLATION, frame.to_string()),
            SessionError::UnknownTag(tag) => {
                Report::fatal(SqlState::PROTOCOL_VIOLATION, format!("invalid frontend message type {tag}"))
            }
            SessionError::Upstream(upstream) => Report { severity: Severity::Fatal, ..Report::from(upstream) },
            SessionError::UpstreamLost(_) | SessionError::Nonsense(_) => {
                Report::fatal(SqlState::CONNECTION_FAILURE, "connection to the upstream server was lost")
            }
            SessionError::CommitUnknown(_) => {
                Report::fatal(SqlState::TRANSACTION_RESOLUTION_UNKNOWN, "connection to the upstream server was lost during COMMIT")
                    .detail("It is not known whether the transaction was committed.")
            }
            SessionError::Attach(_) => {
                Report::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "session could not be given its identity")
                    .detail("The cause is in pgusher's log.")
            }
            SessionError::NotGood { user, by } => {
                Report::from(&StartupError::Refused { user: Arc::clone(user), refusal: authn::Refusal::Revoked, by: *by })
            }
            SessionError::Footing(report) => Report { severity: Severity::Fatal, ..(**report).clone() },
            SessionError::Revoked => Report::fatal(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                "session ended: the token or principal is no longer valid",
            ),
            SessionError::Expired => {
                Report::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "session ended: the token has expired")
            }
            SessionError::Draining => {
                Report::fatal(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
            }
            SessionError::Idle => {
                Report::fatal(SqlState::IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout")
            }
            SessionError::IdleInTransaction => Report::fatal(
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            ),
            SessionError::Unrecorded => Report { severity: Severity::Fatal, ..unrecorded() }
                .detail("Whether the last statements took effect is not told, because they could not be recorded."),
            SessionError::Broken(_) => Report::fatal(SqlState::INTERNAL_ERROR, "internal error"),
        }
    }
}

/// What refuses one statement or message; the session goes on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It does not parse.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It could not be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// It is not allowed.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// It could not be rewritten.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// The statement that a message refers to is refused: positions are in that one's text.
    #[error("{refusal}")]
    Elsewhere {
        /// That text.
        text: std::sync::Arc<str>,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// No governance command.
    #[error(transparent)]
    Governance(#[from] GovernanceError),
    /// The control plane says no.
    #[error("{0:?}")]
    Told(Box<Report>),
    /// A message that does not have the shape of its kind.
    #[error("{0}")]
    Frame(FrameError),
    /// Several statements in one Parse.
    #[error("several statements in a prepared statement")]
    Several,
    /// Governance commands beside other statements in one Query.
    #[error("governance beside other statements")]
    Mixed,
    /// No prepared statement of this name.
    #[error("no prepared statement \"{0}\"")]
    UnknownStatement(String),
    /// A prepared statement of this name exists.
    #[error("prepared statement \"{0}\" exists")]
    TakenStatement(String),
    /// No portal of this name.
    #[error("no portal \"{0}\"")]
    UnknownPortal(String),
    /// The policies moved, and the statement of this portal or cursor would now be another.
    #[error("portal \"{0}\" is older than the policies")]
    OldPortal(String),
    /// The principal left a group while its transaction, whose snapshot still shows the membership, was open.
    #[error("groups changed in a transaction")]
    GroupsLeft,
    /// Policies were changed by others, and the snapshot of the transaction, which changed objects, cannot see it.
    #[error("policies were changed since the transaction's snapshot")]
    PoliciesMoved,
    /// A name that is ours.
    #[error("reserved name \"{0}\"")]
    Reserved(String),
    /// EXECUTE of something else than a query.
    #[error("EXECUTE of a utility statement")]
    ExecuteUtility,
    /// Parameters for a statement that has none.
    #[error("{0} parameters for a statement without any")]
    Parameters(u16),
    /// A command that takes a transaction of its own, inside another.
    #[error("{0} in a transaction block")]
    InBlock(&'static str),
    /// A command that needs a transaction block, outside one.
    #[error("{0} outside a transaction block")]
    NoBlock(&'static str),
    /// FunctionCall.
    #[error("function call message")]
    FunctionCall,
    /// The transaction has failed.
    #[error("in a failed transaction")]
    Failed,
    /// No record of it could be kept.
    #[error("no audit record can be written")]
    Unrecorded,
    /// A message that does not belong into a COPY FROM STDIN.
    #[error("message {0:#04x} during COPY")]
    DuringCopy(u8),
}

impl Refusal {
    /// The same, of a text that is not the one being answered.
    pub fn of(self, text: &std::sync::Arc<str>) -> Self {
        match self {
            located @ (Self::Parse(_) | Self::Resolve(_) | Self::Authorize(_) | Self::Rewrite(_)) => {
                Self::Elsewhere { text: text.clone(), refusal: Box::new(located) }
            }
            other => other,
        }
    }

    /// Whether a privilege is missing.
    pub fn is_denial(&self) -> bool {
        match self {
            Self::Authorize(_) => true,
            Self::Elsewhere { refusal, .. } => refusal.is_denial(),
            _ => false,
        }
    }
}

impl From<&Refusal> for Report {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Parse(error) => Report::from(error),
            Refusal::Resolve(error) => Report::from(error),
            Refusal::Authorize(error) => Report::from(error),
            Refusal::Rewrite(error) => Report::from(error),
            Refusal::Elsewhere { text: _, refusal } => Report::from(&**refusal),
            Refusal::Governance(error) => Report::from(error),
            Refusal::Told(report) => (**report).clone(),
            Refusal::Frame(error) => {
                let code = match error {
                    FrameError::Encoding => SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                    FrameError::Length | FrameError::Format => SqlState::PROTOCOL_VIOLATION,
                };
                Report::error(code, error.to_string())
            }
            Refusal::Several => Report::error(SqlState::SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement"),
            Refusal::Mixed => {
                Report::error(SqlState::FEATURE_NOT_SUPPORTED, "governance commands cannot be sent together with other statements")
                    .hint("Send them one by one, in a transaction block if they belong together.")
            }
            Refusal::UnknownStatement(name) if name.is_empty() => {
                Report::error(SqlState::INVALID_SQL_STATEMENT_NAME, "unnamed prepared statement does not exist")
            }
            Refusal::UnknownStatement(name) => {
                Report::error(SqlState::INVALID_SQL_STATEMENT_NAME, format!("prepared statement \"{name}\" does not exist"))
            }
            Refusal::TakenStatement(name) => {
                Report::error(SqlState::DUPLICATE_PSTATEMENT, format!("prepared statement \"{name}\" already exists"))
            }
            Refusal::UnknownPortal(name) => {
                Report::error(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
            }
            Refusal::OldPortal(name) => {
                Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("portal \"{name}\" is older than the policies"))
                    .detail("A row filter, a column mask or a table it reads has changed since it was opened.")
                    .hint("Open it again.")
            }
            Refusal::GroupsLeft => Report::error(
                SqlState::T_R_SERIALIZATION_FAILURE,
                "could not serialize access due to a change of the principal's groups",
            )
            .hint("The transaction might succeed if retried."),
            Refusal::PoliciesMoved => {
                Report::error(SqlState::T_R_SERIALIZATION_FAILURE, "could not serialize access due to a change of policies")
                    .hint("The transaction might succeed if retried.")
            }
            Refusal::Reserved(name) => Report::error(SqlState::RESERVED_NAME, format!("unacceptable name \"{name}\""))
                .detail("The prefix \"pgusher$\" is reserved."),
            Refusal::ExecuteUtility => {
                Report::error(SqlState::FEATURE_NOT_SUPPORTED, "EXECUTE of a utility statement is not supported")
                    .hint("Execute it by the extended protocol, or send its text.")
            }
            Refusal::Parameters(given) => Report::error(
                SqlState::PROTOCOL_VIOLATION,
                format!("bind message supplies {given} parameters, but prepared statement requires 0"),
            ),
            Refusal::InBlock(kind) => {
                Report::error(SqlState::ACTIVE_SQL_TRANSACTION, format!("{kind} cannot run inside a transaction block"))
            }
            Refusal::NoBlock(command) => {
                Report::error(SqlState::NO_ACTIVE_SQL_TRANSACTION, format!("{command} can only be used in transaction blocks"))
            }
            Refusal::FunctionCall => Report::error(SqlState::FEATURE_NOT_SUPPORTED, "function call messages are not supported")
                .hint("Call the function in a SELECT."),
            Refusal::Failed => Report::error(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ),
            Refusal::Unrecorded => unrecorded(),
            Refusal::DuringCopy(tag) => {
                Report::error(SqlState::PROTOCOL_VIOLATION, format!("unexpected message type 0x{tag:02X} during COPY from stdin"))
            }
        }
    }
}

/// No audit, no statement.
fn unrecorded() -> Report {
    Report::error(SqlState::IO_ERROR, "could not write the audit record").hint("The cause is in pgusher's log.")
}
