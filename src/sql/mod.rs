//! From a client's text to text that may be sent upstream.
//!
//! parse → resolve → analysis → authorize → rewrite, each a plain function from the previous stage's type to the next:
//! text → [`Parsed`] → [`Resolved`] → [`Analysis`] → [`Permitted`] → [`Rewritten`]. Pure and synchronous: text in, text out, no I/O.
//! An [`Analysis`] is of nobody in particular and may be used again; a decision is somebody's.
//! The witnesses have private fields and one constructor each; `upstream::send` takes only [`Rewritten`] or `Housekeeping`.

pub mod authorize;
#[cfg(test)]
pub(crate) mod fixture;
pub mod parse;
pub mod resolve;
pub mod rewrite;

pub use authorize::{AuthorizeError, Permitted, authorize};
pub use parse::{Limits, ParseError, Parsed, Shape, StatementKind, parse};
pub use resolve::{Mistake, ResolveError, Resolved, check_declared, resolve};
pub use rewrite::{Analysis, RewriteError, Rewritten, analysis, rewrite, template::Template};

use std::sync::Arc;

use crate::name::Name;
use crate::policy::Requirement;

/// What a statement touches of governed relations: decides what may be shown of upstream's error details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// A relation under a row filter.
    pub filtered: bool,
    /// A relation under a column mask.
    pub masked: bool,
}

/// The requirements of a statement that was analysed before, kept by the session for EXECUTE and FETCH.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What it needs.
    pub requirements: Arc<[Requirement]>,
    /// What it touches.
    pub touched: Touched,
}

/// What a session holds that statements refer to by name.
pub trait SessionObjects {
    /// A prepared statement (protocol-level or SQL PREPARE: one name space, as in PostgreSQL).
    fn prepared(&self, name: &str) -> Option<Remembered>;
    /// A cursor or named portal.
    fn cursor(&self, name: &str) -> Option<Remembered>;
}

/// What the session must know about a statement besides its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: a query or a write.
    None,
    /// A transaction command.
    Transaction(Transaction),
    /// SET of a permitted parameter; `value` is `None` for DEFAULT. Values as PostgreSQL would store the list items.
    Set {
        /// The parameter, lower case.
        parameter: String,
        /// The list of values.
        value: Option<Vec<String>>,
        /// SET LOCAL.
        local: bool,
    },
    /// RESET of one parameter, or of all.
    Reset {
        /// The parameter; `None` for ALL.
        parameter: Option<String>,
    },
    /// SHOW.
    Show {
        /// The parameter, lower case; `all` for ALL.
        parameter: String,
    },
    /// SQL PREPARE: `inner` is the client's text of the statement inside.
    Prepare {
        /// The name.
        name: Name,
        /// The client's text of the statement inside.
        inner: Arc<str>,
    },
    /// SQL EXECUTE.
    Execute {
        /// The name.
        name: Name,
    },
    /// DEALLOCATE of one, or of all.
    Deallocate {
        /// The name; `None` for ALL.
        name: Option<Name>,
    },
    /// DECLARE CURSOR.
    Declare {
        /// The cursor.
        cursor: Name,
        /// WITH HOLD.
        hold: bool,
    },
    /// FETCH or MOVE.
    Fetch {
        /// The cursor.
        cursor: Name,
    },
    /// CLOSE of one, or of all.
    Close {
        /// The cursor; `None` for ALL.
        cursor: Option<Name>,
    },
    /// COPY … TO STDOUT.
    CopyOut,
    /// COPY … FROM STDIN straight into the target.
    CopyIn,
    /// COPY … FROM STDIN into a governed table: through a temporary table and an INSERT, in one transaction.
    CopyInGoverned(CopyInGoverned),
    /// DISCARD.
    Discard(Discard),
    /// LISTEN, NOTIFY, UNLISTEN.
    Notification,
    /// Makes, changes or drops temporary objects, as the session itself.
    Temporary,
    /// A statement that defines or maintains objects, to be run with the rights of the role that owns them upstream.
    AsOwner(Owned),
}

/// How a statement that takes an owner's rights upstream is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Where it may not run inside a transaction block: what PostgreSQL calls it when it says so.
    pub alone: Option<&'static str>,
    /// It may have changed the catalog.
    pub ddl: bool,
    /// Who runs it, when the session is no administrator's.
    pub by: Executor,
    /// The command tag that PostgreSQL gives it.
    pub tag: &'static str,
    /// What fills the new table or materialized view: the statement proper makes it WITH NO DATA. The tag is then that of a SELECT.
    /// What fills a new schema.
    pub fill: Option<Fill>,
}

/// What fills something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// INSERT of the query of CREATE TABLE AS or SELECT INTO, run as the session itself. It has passed the guard.
    Insert(Arc<str>),
    /// REFRESH of a materialized view, which PostgreSQL runs as the view's owner.
    Refresh {
        /// Its quoted name.
        view: Arc<str>,
        /// The statement, which has passed the guard.
        text: Arc<str>,
    },
    /// The statements of the client within CREATE SCHEMA, each to be analysed when those before it ran.
    Schema {
        /// The schema, in which they look for bare names first.
        name: Name,
        /// In their order, as long as the whole statement, with blanks for what is not of them.
        statements: Vec<Arc<str>>,
    },
}

/// The role that runs a statement for those who are no administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    /// `pgusher_ddl`: what is new, and what it owns.
    Ddl,
    /// `pgusher_owner`: what the application's roles or `pgusher_viewer` own.
    Owner,
}

/// Transaction commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(Name),
    /// RELEASE.
    Release(Name),
    /// ROLLBACK TO.
    RollbackTo(Name),
}

/// DISCARD's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// ALL
    All,
    /// PLANS
    Plans,
    /// SEQUENCES
    Sequences,
    /// TEMP
    Temporary,
}

/// The steps of COPY FROM STDIN into a governed table. Each text has passed the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyInGoverned {
    /// What the target is called.
    pub table: Arc<str>,
    /// CREATE TEMPORARY TABLE … ON COMMIT DROP for the incoming rows.
    pub create: Arc<str>,
    /// COPY into the temporary table, with the client's options.
    pub copy: Arc<str>,
    /// INSERT INTO the target SELECT FROM the temporary table.
    pub insert: Arc<str>,
    /// DROP of the temporary table.
    pub drop: Arc<str>,
}
