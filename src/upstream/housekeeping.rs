//! What we send upstream ourselves: a closed list.
//!
//! Every statement here is a constant; what varies travels as a bind parameter. Each runs by the extended protocol under names
//! with a prefix that no client may use, so a client's unnamed prepared statement and portal stay as they were.

use std::sync::LazyLock;

use bytes::{BufMut, BytesMut};

use crate::sql::Executor;
use crate::wire::frontend::{Target, write_bind, write_close, write_describe, write_execute, write_parse, write_sync};

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
        /// It takes its transaction as that is: a block of the client's, or one that is known to write.
        as_it_is: bool,
    },
    /// Passes the connection on to a session that is attached already.
    Take {
        /// What is signed.
        payload: &'a str,
        /// The signature.
        signature: &'a str,
    },
    /// The same, by the number that the turn before has left for that.
    TakeNext(Handover<'a>),
    /// The same, where the session before may have left what no setting is: that is taken away.
    TakeAfresh {
        /// Who takes it.
        turn: Handover<'a>,
        /// Where `random()` is to begin.
        seed: &'a str,
    },
    /// Has a transaction write and see what others commit, whatever the session's defaults say.
    Writable,
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
    /// Says how long a statement may take, and takes that limit away
    Unlimit,
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
    /// Says the search path, and whether transactions write and see what others commit by default
    Defaults,
    /// Puts settings back that analysis relies on, and says the search path and the temporary objects
    Look,
}

/// A session that takes its turn on a backend of which a turn is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover<'a> {
    /// By what this turn is taken.
    pub coupon: &'a str,
    /// By what the next one is.
    pub coming: &'a str,
    /// The number that `pgusher.attach` gave the session.
    pub session: &'a str,
    /// The id of its principal.
    pub principal: &'a str,
    /// The id of its token.
    pub token: &'a str,
}

impl<'a> Handover<'a> {
    fn parameters(&self) -> [(u32, &'a str); 5] {
        let Self { coupon, coming, session, principal, token } = *self;
        [(BIGINT, coupon), (BIGINT, coming), (BIGINT, session), (BIGINT, principal), (TEXT, token)]
    }
}

impl Housekeeping<'_> {
    /// Its SQL.
    pub fn sql(&self) -> &'static str {
        match self {
            Self::Attach { .. } => "SELECT pgusher.attach($1, $2), pg_catalog.current_setting('search_path')",
            Self::Take { .. } => "SELECT pgusher.take($1, $2)",
            Self::TakeNext(_) => "SELECT pgusher.take_next($1, $2, $3, $4, $5)",
            Self::TakeAfresh { .. } => "SELECT pgusher.take_afresh($1, $2, $3, $4, $5, $6)",
            Self::Writable => "SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE",
            Self::ResetAll => "RESET ALL",
            Self::Restore { .. } => {
                "SELECT pg_catalog.set_config(s.key, s.value, false) FROM pg_catalog.jsonb_each_text($1::pg_catalog.jsonb) AS s"
            }
            Self::DiscardAll => "DISCARD ALL",
            Self::Seed { .. } => "SELECT pg_catalog.setseed($1::pg_catalog.float8)",
            Self::DiscardPlans => "DISCARD PLANS",
            Self::OnlyRead => "SET default_transaction_read_only = on",
            Self::Carry => "SELECT pgusher.carry()",
            Self::Unlimit => {
                "SELECT pg_catalog.current_setting('statement_timeout'), pg_catalog.set_config('statement_timeout', '0', false)"
            }
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
            Self::Defaults => {
                "SELECT pg_catalog.current_setting('search_path'), \
                 pg_catalog.current_setting('default_transaction_read_only') OPERATOR(pg_catalog.=) 'off' \
                 AND pg_catalog.current_setting('default_transaction_isolation') OPERATOR(pg_catalog.=) 'read committed'"
            }
            Self::Look => "SELECT pgusher.look()",
        }
    }

    /// Writes Close of what the last step left, Parse, Bind and Execute; the caller ends them with Sync or Flush.
    pub(super) fn write(&self, out: &mut BytesMut) {
        if matches!(self, Self::Attach { as_it_is: false, .. }) {
            Self::Writable.write(out);
        }
        write_close(out, Target::Statement, STEP);
        write_close(out, Target::Portal, STEP);
        self.with_parameters(|parameters| {
            write_parse(out, STEP, self.sql(), &types(parameters));
            write_bind(out, STEP, STEP, parameters.iter().map(|(_, value)| *value));
        });
        write_execute(out, STEP, 0);
    }

    /// Bind and Execute of a statement that stays prepared under a name of its own; before them what prepares it, unless it is there. Its
    /// portal is closed: in the transaction of a session's statement that session could run it, and take it for one of its own.
    fn write_kept(&self, out: &mut BytesMut, name: &str, there: bool) {
        self.with_parameters(|parameters| {
            if !there {
                write_close(out, Target::Statement, name);
                write_parse(out, name, self.sql(), &types(parameters));
            }
            write_bind(out, "", name, parameters.iter().map(|(_, value)| *value));
        });
        write_execute(out, "", 0);
        write_close(out, Target::Portal, "");
    }

    /// Its parameters: their types and values.
    fn with_parameters(&self, write: impl FnOnce(&[(u32, &str)])) {
        match self {
            Self::Attach { payload, signature, as_it_is: _ } | Self::Take { payload, signature } => {
                write(&[(TEXT, payload), (TEXT, signature)]);
            }
            Self::TakeNext(turn) => write(&turn.parameters()),
            Self::TakeAfresh { turn, seed } => {
                let [coupon, coming, session, principal, token] = turn.parameters();
                write(&[coupon, coming, session, principal, token, (TEXT, seed)]);
            }
            Self::Restore { settings } => write(&[(TEXT, settings)]),
            Self::Seed { seed } => write(&[(TEXT, seed)]),
            Self::Execute { payload, statement, fetch, signature } => {
                let fetch = if *fetch { "true" } else { "false" };
                write(&[(TEXT, payload), (TEXT, statement), (BOOLEAN, fetch), (TEXT, signature)]);
            }
            Self::Define { by: _, payload, statement, signature } => {
                write(&[(TEXT, payload), (TEXT, statement), (TEXT, signature)])
            }
            Self::Begin
            | Self::BeginWriting
            | Self::Commit
            | Self::Rollback
            | Self::BecomeOwner
            | Self::BecomeOwnerOutside
            | Self::ResetRole
            | Self::ShowSearchPath
            | Self::Writable
            | Self::ResetAll
            | Self::DiscardAll
            | Self::DiscardPlans
            | Self::OnlyRead
            | Self::Carry
            | Self::Unlimit
            | Self::Defaults
            | Self::Look => write(&[]),
        }
    }
}

/// The types of parameters as Parse has them: how many, and the oid of each.
fn types(parameters: &[(u32, &str)]) -> Vec<u8> {
    let mut types = Vec::with_capacity(2 + 4 * parameters.len());
    types.put_u16(u16::try_from(parameters.len()).unwrap_or_default());
    parameters.iter().for_each(|(oid, _)| types.put_u32(*oid));
    types
}

/// Statements of turns that stay prepared on a connection. Those of its sessions may not have such names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    writable: bool,
    reset: bool,
    take: bool,
    afresh: bool,
    restore: bool,
}

impl Kept {
    /// The name under which a statement stays prepared, and whether it is; none for the others.
    fn of(&mut self, statement: &Housekeeping<'_>) -> Option<(&'static str, &mut bool)> {
        match statement {
            Housekeeping::Writable => Some(("pgusher$writable", &mut self.writable)),
            Housekeeping::ResetAll => Some(("pgusher$reset", &mut self.reset)),
            Housekeeping::TakeNext(_) => Some(("pgusher$take", &mut self.take)),
            Housekeeping::TakeAfresh { .. } => Some(("pgusher$afresh", &mut self.afresh)),
            Housekeeping::Restore { .. } => Some(("pgusher$restore", &mut self.restore)),
            _ => None,
        }
    }
}

/// Writes what begins a session's turn on a connection: the steps in one transaction, and behind its Sync what fails unless they all
/// went well. A statement that is prepared at their end, and closed at their beginning, is described there: an error skips to the Sync, and
/// so leaves nothing to describe; and then what comes behind is skipped, too. (That the transaction is committed is not told by that; nothing is
/// written in it that could fail then.) `kept`: what is prepared already, and then what will be.
pub(super) fn write_turn(out: &mut BytesMut, steps: &[Housekeeping<'_>], kept: &mut Kept) {
    out.put_slice(&FRAME.0);
    for step in steps {
        match kept.of(step) {
            Some((name, there)) => step.write_kept(out, name, std::mem::replace(there, true)),
            None => step.write(out),
        }
    }
    out.put_slice(&FRAME.1);
}

/// How long what stands before the steps of a turn is, and what behind them.
pub(super) fn framed() -> (usize, usize) {
    (FRAME.0.len(), FRAME.1.len())
}

/// What stands before the steps of a turn, and what behind them.
static FRAME: LazyLock<(BytesMut, BytesMut)> = LazyLock::new(|| {
    let (mut before, mut behind) = (BytesMut::new(), BytesMut::new());
    write_close(&mut before, Target::Statement, TURN);
    write_parse(&mut behind, TURN, "", &[]);
    write_sync(&mut behind);
    write_describe(&mut behind, Target::Statement, TURN);
    (before, behind)
});

/// The name of the statement by which [`write_turn`] tells that all went well.
const TURN: &str = "pgusher$turn";

/// A text that cannot be parsed: sent in a Parse, it makes the transaction (and the batch) fail as a refused statement must.
pub(super) const FAIL: &str = "refused by pgusher";

/// The name under which [`FAIL`] is (never) prepared.
pub(super) const REFUSED: &str = "pgusher$refused";

/// The name of our one prepared statement and portal. Both are closed before they are made again, not after: nothing may follow
/// an Execute of COPY FROM STDIN.
pub const STEP: &str = "pgusher$step";

const TEXT: u32 = 25;
const BOOLEAN: u32 = 16;
const BIGINT: u32 = 20;
