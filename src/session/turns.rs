//! Statements of one Query that are run one after the other. PostgreSQL runs such a Query in an implicit transaction block: cursors may
//! be declared in it, an error undoes what came before, and BEGIN, COMMIT and ROLLBACK have their effects. Here that is a block of ours,
//! in which the client's transaction commands are given those effects.

use std::sync::Arc;
use std::time::Instant;

use super::expected::{Completion, Expected, Running};
use super::ground::Stop;
use super::run::Session;
use super::script::Script;
use crate::error::session::Refusal;
use crate::sql::{Discard, Effect, Transaction};
use crate::wire::backend;

impl Session {
    /// Runs one of the statements; `opened` says whether the block is ours. Whether it went well. `last`: behind it that block is committed,
    /// and its CommandComplete waits for that.
    pub(super) async fn take_turn(
        &mut self,
        script: &Arc<Script>,
        started: Instant,
        opened: &mut bool,
        last: bool,
    ) -> Result<bool, Stop> {
        let Some(part) = script.parts.first() else { return Ok(true) };
        match part.rewritten.effect() {
            Effect::Transaction(command) if *opened => {
                self.end_implicit_block(command)?;
                let begins = matches!(command, Transaction::Begin);
                self.quiet = begins;
                let ok = self.turn(script, started, Completion::Turn).await?;
                // A BEGIN that fails leaves no block behind.
                *opened = begins && !ok;
                Ok(ok)
            }
            // The client's own block, or its beginning.
            Effect::Transaction(_) => self.turn(script, started, Completion::Turn).await,
            // Upstream would not know: it sees no Query of several statements.
            Effect::Discard(Discard::All) => Err(Refusal::InBlock("DISCARD ALL").into()),
            Effect::AsOwner(_) | Effect::CopyInGoverned(_) => {
                self.begin(opened).await?;
                self.perform(script, true, false, started, opened).await
            }
            Effect::None
            | Effect::Set { .. }
            | Effect::Reset { .. }
            | Effect::Show { .. }
            | Effect::Prepare { .. }
            | Effect::Execute { .. }
            | Effect::Deallocate { .. }
            | Effect::Declare { .. }
            | Effect::Fetch { .. }
            | Effect::Close { .. }
            | Effect::CopyOut
            | Effect::CopyIn
            | Effect::Discard(Discard::Plans | Discard::Sequences | Discard::Temporary)
            | Effect::Temporary
            | Effect::Notification => {
                self.begin(opened).await?;
                self.turn(script, started, if last && *opened { Completion::Held } else { Completion::Turn }).await
            }
        }
    }

    /// A transaction command in an implicit block (`xact.c`, TBLOCK_IMPLICIT_INPROGRESS): BEGIN makes it the client's own; COMMIT and
    /// ROLLBACK end it with a warning; the others want a block of the client's.
    fn end_implicit_block(&mut self, command: &Transaction) -> Result<(), Refusal> {
        wants_no_block(command)?;
        if let Transaction::Commit { .. } | Transaction::Rollback { .. } = command {
            backend::write_notice(&mut self.exchange.outbox, NO_TRANSACTION);
        }
        Ok(())
    }

    /// Sends the statement as a Query of its own, whose ReadyForQuery is not the client's.
    async fn turn(&mut self, script: &Arc<Script>, started: Instant, ending: Completion) -> Result<bool, Stop> {
        self.touch(script);
        let failures = self.failures;
        self.unnamed_gone();
        self.exchange.link.query(script.parts.iter().map(|part| &part.rewritten));
        self.expected.push_back(Expected::Query(Running::new(Some(script.clone()), started, ending)));
        self.unsynced = false;
        self.quiesce().await?;
        self.quiet = false;
        let ok = self.failures == failures;
        // What comes behind DISCARD SEQUENCES asks who is there.
        if ok
            && self.detached
            && let Err(report) = self.attach_again().await?
        {
            report.write(&mut self.exchange.outbox);
            return Ok(false);
        }
        Ok(ok)
    }
}

/// Refuses what PostgreSQL takes in a block of the client's only.
pub(super) fn wants_no_block(command: &Transaction) -> Result<(), Refusal> {
    match command {
        Transaction::Begin | Transaction::Commit { chain: false } | Transaction::Rollback { chain: false } => Ok(()),
        Transaction::Commit { chain: true } => Err(Refusal::NoBlock("COMMIT AND CHAIN")),
        Transaction::Rollback { chain: true } => Err(Refusal::NoBlock("ROLLBACK AND CHAIN")),
        Transaction::Savepoint(_) => Err(Refusal::NoBlock("SAVEPOINT")),
        Transaction::Release(_) => Err(Refusal::NoBlock("RELEASE SAVEPOINT")),
        Transaction::RollbackTo(_) => Err(Refusal::NoBlock("ROLLBACK TO SAVEPOINT")),
    }
}

/// What PostgreSQL says of COMMIT and ROLLBACK without BEGIN.
const NO_TRANSACTION: [(u8, &str); 4] =
    [(b'S', "WARNING"), (b'V', "WARNING"), (b'C', "25P01"), (b'M', "there is no transaction in progress")];
