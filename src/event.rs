//! The closed enum of facts. Stages emit; `audit` and `metrics` interpret. Nothing else logs what happened to a statement.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A session's number: shown in logs and in messages that ask to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// How a statement ended, in the four words of the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It ran.
    Allowed,
    /// A privilege was missing.
    Denied,
    /// We do not support it, or could not parse or resolve it.
    Refused,
    /// Upstream reported an error.
    Failed,
}

impl Outcome {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        }
    }
}

/// Something worth noticing.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client connected; the address is absent on a Unix socket.
    Accepted {
        /// Its session number.
        session: SessionId,
        /// Where from.
        address: Option<IpAddr>,
    },
    /// A client was turned away before it had a session; the reason never reaches it.
    LoginRefused {
        /// Its session number.
        session: SessionId,
        /// The user name it gave.
        user: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// A principal logged in.
    LoggedIn {
        /// The session.
        session: SessionId,
        /// Who.
        principal: Arc<str>,
        /// The token's id.
        token: Arc<str>,
        /// Who acts for the principal, the latest first.
        actors: Vec<Arc<str>>,
        /// The principal was made at this login.
        created: bool,
        /// `application_name`.
        application: Arc<str>,
    },
    /// A statement ended.
    Statement {
        /// The session.
        session: SessionId,
        /// Who.
        principal: Arc<str>,
        /// The client's text.
        text: Arc<str>,
        /// Its kind.
        kind: &'static str,
        /// How it ended.
        outcome: Outcome,
        /// The SQLSTATE, `00000` for success.
        sqlstate: Arc<str>,
        /// What was missing or why, in words, for the log only.
        reason: Option<Arc<str>>,
        /// (catalog version, policy version).
        versions: (u64, i64),
        /// From receiving it to its end.
        duration: Duration,
    },
    /// An administrator or owner changed the policies.
    Governed {
        /// The session.
        session: SessionId,
        /// Who.
        principal: Arc<str>,
        /// The command's text, secrets left out.
        command: Arc<str>,
    },
    /// A session was ended because its token or principal is no longer good.
    Revoked {
        /// The session.
        session: SessionId,
        /// Who.
        principal: Arc<str>,
    },
    /// A session ended.
    Closed {
        /// The session.
        session: SessionId,
        /// How long it lasted.
        duration: Duration,
    },
    /// A new footing was published.
    Published {
        /// Catalog version.
        catalog: u64,
        /// Policy version.
        policies: i64,
    },
    /// The store or the upstream cannot be reached or is not as it should be.
    Trouble {
        /// Which part.
        part: &'static str,
        /// What.
        message: Arc<str>,
    },
}

/// Something that wants to know.
pub trait Interpreter: Send + Sync {
    /// Takes one event; must not block.
    fn interpret(&self, event: &Event);
}

/// Where stages put their events.
#[derive(Clone)]
pub struct Events(Arc<[Box<dyn Interpreter>]>);

impl Events {
    /// Events go to each interpreter in order.
    pub fn new(interpreters: Vec<Box<dyn Interpreter>>) -> Self {
        Self(Arc::from(interpreters))
    }

    /// Events go nowhere.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Tells every interpreter.
    pub fn emit(&self, event: Event) {
        for interpreter in self.0.iter() {
            interpreter.interpret(&event);
        }
    }
}
