//! The closed enum of facts. Stages emit; `audit` and `metrics` interpret. Nothing else logs what happened to a statement.

mod receipts;

pub use receipts::{Receipts, Unwritten};

use std::borrow::Cow;
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

/// Whose session it is: what every record of it says.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The session.
    pub session: SessionId,
    /// The principal.
    pub principal: Arc<str>,
    /// Who acts for the principal, the latest first.
    pub actors: Vec<Arc<str>>,
    /// The token's id.
    pub token: Arc<str>,
    /// Where from; absent on a Unix socket.
    pub address: Option<IpAddr>,
    /// `application_name`.
    pub application: Arc<str>,
    /// The database.
    pub database: Arc<str>,
}

/// Something that a statement needs or asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// As GRANT would name it: `public.orders`.
    pub name: String,
    /// The privilege.
    pub privilege: String,
    /// The columns, where they are known.
    pub columns: Vec<Arc<str>>,
}

/// A row filter or column mask that applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The table, or the column with its table.
    pub on: String,
    /// The function or expression.
    pub by: String,
}

/// What the analysis of a statement found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is read.
    pub reads: Vec<Object>,
    /// What is written, made or changed.
    pub writes: Vec<Object>,
    /// What is called or otherwise used.
    pub uses: Vec<Object>,
    /// Row filters on what is read and written.
    pub filters: Vec<Applied>,
    /// Column masks on what is read.
    pub masks: Vec<Applied>,
    /// What allowed it, or what was missing.
    pub reasons: Vec<String>,
}

/// The values of a statement's parameters, as text; binary ones in hexadecimal.
pub type Parameters = Arc<[Option<String>]>;

/// A statement that ended.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Whose.
    pub who: Arc<Identity>,
    /// The client's text.
    pub text: Arc<str>,
    /// The values of its parameters, where they are asked for.
    pub parameters: Option<Parameters>,
    /// Its kind.
    pub kind: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// The SQLSTATE, `00000` for success.
    pub sqlstate: Cow<'static, str>,
    /// What was missing or why, in words, never for the client.
    pub reason: Option<Arc<str>>,
    /// What analysis found.
    pub objects: Option<Arc<Findings>>,
    /// (catalog version, policy version).
    pub versions: (u64, i64),
    /// Rows returned or written.
    pub rows: u64,
    /// Bytes of rows and of COPY data that the client was sent.
    pub bytes: u64,
    /// From receiving it to its end.
    pub duration: Duration,
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
        /// Where from; absent on a Unix socket.
        address: Option<IpAddr>,
        /// The user name it gave.
        user: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// A principal logged in.
    LoggedIn {
        /// Who.
        who: Arc<Identity>,
        /// The principal was made at this login.
        created: bool,
    },
    /// A statement ended.
    Statement(Box<Statement>),
    /// An administrator or owner changed the policies.
    Governed {
        /// Who, and from where.
        who: Arc<Identity>,
        /// The command's text, secrets left out.
        command: Arc<str>,
    },
    /// A session was ended because its token or principal is no longer good.
    Revoked {
        /// Whose.
        who: Arc<Identity>,
        /// Why.
        reason: Arc<str>,
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

/// Something that keeps records of what happened, and may have a client wait for them.
pub trait Recorder: Send + Sync {
    /// Keeps a record; must not block. Whoever waits on the receipts goes on when it is as durable as is asked for.
    fn record(&self, event: Event, receipts: Option<&Receipts>);

    /// Whether a statement may begin: not while records cannot be kept.
    fn admits(&self) -> bool;

    /// Whether records hold the values of parameters.
    fn wants_parameters(&self) -> bool;
}

/// Where stages put their events.
#[derive(Clone)]
pub struct Events {
    interpreters: Arc<[Box<dyn Interpreter>]>,
    recorder: Option<Arc<dyn Recorder>>,
}

impl Events {
    /// Events go to each interpreter in order.
    pub fn new(interpreters: Vec<Box<dyn Interpreter>>) -> Self {
        Self { interpreters: Arc::from(interpreters), recorder: None }
    }

    /// The same, and a record of them is kept.
    pub fn recorded(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Events go nowhere.
    pub fn none() -> Self {
        Self::new(Vec::new())
    }

    /// Tells of something that no client waits for.
    pub fn emit(&self, event: Event) {
        self.tell(event, None);
    }

    /// Tells of something of which the client hears when the record is durable.
    pub fn emit_for(&self, event: Event, receipts: &Receipts) {
        self.tell(event, Some(receipts));
    }

    /// Whether records are kept.
    pub fn are_recorded(&self) -> bool {
        self.recorder.is_some()
    }

    /// Whether a statement may begin.
    pub fn admit(&self) -> bool {
        self.recorder.as_ref().is_none_or(|recorder| recorder.admits())
    }

    /// Whether the values of parameters are asked for.
    pub fn want_parameters(&self) -> bool {
        self.recorder.as_ref().is_some_and(|recorder| recorder.wants_parameters())
    }

    fn tell(&self, event: Event, receipts: Option<&Receipts>) {
        for interpreter in self.interpreters.iter() {
            interpreter.interpret(&event);
        }
        if let Some(recorder) = &self.recorder {
            recorder.record(event, receipts);
        }
    }
}
