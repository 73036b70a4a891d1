//! What we send upstream ourselves: a closed list.
//!
//! Every statement here is a constant; what varies travels as a bind parameter. Each runs by the extended protocol under names
//! with a prefix that no client may use, so a client's unnamed prepared statement and portal stay as they were.

use bytes::{BufMut, BytesMut};

use crate::sql::Executor;
use crate::wire::frontend::{Target, write_bind, write_close, write_execute, write_parse, write_sync};

/// The prefix of prepared statements and portals that are ours.
pub const RESERVED: &str = "pgusher$";

/// A statement of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Housekeeping<'a> {
    /// Gives the connection its identity, and says the search path.
    Attach {
        /// What is signed.
        payload: &'a str,
        /// The signature.
        signature: &'a str,
        /// It is given in a transaction block of the client's, and takes that as it is.
        inside: bool,
    },
    /// Passes the connection on to a session that is attached already.
    Take {
        /// What is signed.
        payload: &'a str,
        /// The signature.
        signature: &'a str,
    },
    /// RESET ALL
    ResetAll,
    /// Gives settings their values.
    Restore {
        /// A JSON object of settings and values.
        settings: &'a str,
    },
    /// DISCARD ALL
    DiscardAll,
    /// Has `random()` begin elsewhere.
    Seed {
        /// A number from -1 to 1.
        seed: &'a str,
    },
    /// DISCARD PLANS
    DiscardPlans,
    /// SET default_transaction_read_only = on
    OnlyRead,
    /// Says what the session would leave behind on the connection, beside what [`Housekeeping::Look`] does and says
    Carry,
    /// Runs a statement with the rights of `pgusher_owner`.
    Execute {
        /// What is signed beside the statement.
        payload: &'a str,
        /// The statement.
        statement: &'a str,
        /// Its rows are wanted.
        fetch: bool,
        /// The signature.
        signature: &'a str,
    },
    /// Runs a definition of the client's with the rights of the role that owns what it is about.
    Define {
        /// That role.
        by: Executor,
        /// What is signed beside the statement.
        payload: &'a str,
        /// The statement.
        statement: &'a str,
        /// The signature.
        signature: &'a str,
    },
    /// BEGIN
    Begin,
    /// BEGIN READ WRITE
    BeginWriting,
    /// COMMIT
    Commit,
    /// ROLLBACK
    Rollback,
    /// SET LOCAL ROLE pgusher_owner
    BecomeOwner,
    /// SET ROLE pgusher_owner, for what cannot run in a transaction block
    BecomeOwnerOutside,
    /// RESET ROLE
    ResetRole,
    /// SHOW search_path
    ShowSearchPath,
    /// Puts settings back that analysis relies on, and says the search path and the temporary objects
    Look,
}

impl Housekeeping<'_> {
    /// Its SQL.
    pub fn sql(&self) -> &'static str {
        match self {
            Self::Attach { .. } => "SELECT pgusher.attach($1, $2), pg_catalog.current_setting('search_path')",
            Self::Take { .. } => "SELECT pgusher.take($1, $2)",
            Self::ResetAll => "RESET ALL",
            Self::Restore { .. } => {
                "SELECT pg_catalog.set_config(s.key, s.value, false) FROM pg_catalog.jsonb_each_text($1::pg_catalog.jsonb) AS s"
            }
            Self::DiscardAll => "DISCARD ALL",
            Self::Seed { .. } => "SELECT pg_catalog.setseed($1::pg_catalog.float8)",
            Self::DiscardPlans => "DISCARD PLANS",
            Self::OnlyRead => "SET default_transaction_read_only = on",
            Self::Carry => "SELECT pgusher.carry()",
            Self::Execute { .. } => "SELECT pgusher.execute($1, $2, $3, $4)",
            Self::Define { by: Executor::Ddl, .. } => "SELECT pgusher.define($1, $2, $3)",
            Self::Define { by: Executor::Owner, .. } => "SELECT pgusher.maintain($1, $2, $3)",
            Self::Begin => "BEGIN",
            Self::BeginWriting => "BEGIN READ WRITE",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::BecomeOwner => "SET LOCAL ROLE pgusher_owner",
            Self::BecomeOwnerOutside => "SET ROLE pgusher_owner",
            Self::ResetRole => "RESET ROLE",
            Self::ShowSearchPath => "SHOW search_path",
            Self::Look => "SELECT pgusher.look()",
        }
    }

    /// Writes Close of what the last step left, Parse, Bind and Execute; the caller ends them with Sync or Flush.
    pub(super) fn write(&self, out: &mut BytesMut) {
        let parameters: &[&str] = match self {
            Self::Attach { payload, signature, inside: _ } | Self::Take { payload, signature } => &[payload, signature],
            Self::Restore { settings } => &[settings],
            Self::Seed { seed } => &[seed],
            Self::Execute { payload, statement, fetch, signature } => {
                &[payload, statement, if *fetch { "true" } else { "false" }, signature]
            }
            Self::Define { by: _, payload, statement, signature } => &[payload, statement, signature],
            Self::Begin
            | Self::BeginWriting
            | Self::Commit
            | Self::Rollback
            | Self::BecomeOwner
            | Self::BecomeOwnerOutside
            | Self::ResetRole
            | Self::ShowSearchPath
            | Self::ResetAll
            | Self::DiscardAll
            | Self::DiscardPlans
            | Self::OnlyRead
            | Self::Carry
            | Self::Look => &[],
        };
        if matches!(self, Self::Attach { inside: false, .. }) {
            write_step(out, WRITABLE, &[], &[]);
        }
        write_step(out, self.sql(), &self.types(), parameters);
    }

    fn types(&self) -> Vec<u8> {
        let oids: &[u32] = match self {
            Self::Attach { .. } | Self::Take { .. } => &[TEXT, TEXT],
            Self::Restore { .. } | Self::Seed { .. } => &[TEXT],
            Self::Execute { .. } => &[TEXT, TEXT, BOOLEAN, TEXT],
            Self::Define { .. } => &[TEXT, TEXT, TEXT],
            Self::Begin
            | Self::BeginWriting
            | Self::Commit
            | Self::Rollback
            | Self::BecomeOwner
            | Self::BecomeOwnerOutside
            | Self::ResetRole
            | Self::ShowSearchPath
            | Self::ResetAll
            | Self::DiscardAll
            | Self::DiscardPlans
            | Self::OnlyRead
            | Self::Carry
            | Self::Look => &[],
        };
        let mut types = Vec::with_capacity(2 + 4 * oids.len());
        types.put_u16(u16::try_from(oids.len()).unwrap_or_default());
        oids.iter().for_each(|oid| types.put_u32(*oid));
        types
    }
}

fn write_step(out: &mut BytesMut, sql: &str, types: &[u8], parameters: &[&str]) {
    write_close(out, Target::Statement, STEP);
    write_close(out, Target::Portal, STEP);
    write_parse(out, STEP, sql, types);
    write_bind(out, STEP, STEP, parameters);
    write_execute(out, STEP, 0);
}

/// Writes what begins a session's turn on a connection: the steps in one transaction, and behind its Sync what fails unless they all
/// went well. A statement that is prepared at their end, and closed at their beginning, is bound there: an error skips to the Sync, and
/// so leaves nothing to bind; and then what comes behind is skipped, too.
pub(super) fn write_turn(out: &mut BytesMut, steps: &[Housekeeping<'_>]) {
    write_close(out, Target::Statement, TURN);
    write_step(out, WRITABLE, &[], &[]);
    steps.iter().for_each(|step| step.write(out));
    write_parse(out, TURN, "", &[]);
    write_sync(out);
    write_bind(out, TURN, TURN, &[]);
    write_close(out, Target::Portal, TURN);
}

/// The name of the statement and the portal by which [`write_turn`] tells that all went well.
const TURN: &str = "pgusher$turn";

/// What makes the transaction of an attach one that may write and need not be serialized, whatever the client's defaults say.
const WRITABLE: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE";

/// A text that cannot be parsed: sent in a Parse, it makes the transaction (and the batch) fail as a refused statement must.
pub(super) const FAIL: &str = "refused by pgusher";

/// The name under which [`FAIL`] is (never) prepared.
pub(super) const REFUSED: &str = "pgusher$refused";

/// The name of our one prepared statement and portal. Both are closed before they are made again, not after: nothing may follow
/// an Execute of COPY FROM STDIN.
pub const STEP: &str = "pgusher$step";

const TEXT: u32 = 25;
const BOOLEAN: u32 = 16;
