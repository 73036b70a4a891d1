//! Transactions: what statements leave behind when they complete, when their transaction ends, and how a refusal fails it.

use std::sync::Arc;
use std::time::Instant;

use super::errors::characters_before;
use super::expected::{Completion, Expected, Running};
use super::prepared::{Body, Prepared};
use super::run::Session;
use super::script::{SEARCH_PATH, Script};
use super::state::State;
use crate::error::Report;
use crate::error::session::{Refusal, SessionError};
use crate::event::{Event, Outcome};
use crate::sql::{Discard, Effect, StatementKind, Touched, Transaction};
use crate::wire::backend::{Status, write_ready};

impl Session {
    /// A statement of the client completed: its effects are taken note of.
    pub(super) fn completed(&mut self, running: &Running, tag: &str) {
        if matches!(running.ending, Completion::Swallowed | Completion::Prelude) {
            return;
        }
        if running.copies() {
            // Its rows are not yet where they belong.
            self.tally.copied(tag);
        } else {
            self.record(running, Some(tag), Outcome::Allowed, "00000", None);
        }
        let (Some(script), Some(part)) = (&running.script, running.current()) else { return };
        if part.shakes {
            self.path.shake();
        }
        // Code of administrators may have made objects, which what comes next is to find.
        self.dirty |= self.who.admin && matches!(part.rewritten.kind(), StatementKind::Do | StatementKind::Call);
        if running.ending != Completion::Inner {
            self.take_effect(script, running.part, part.rewritten.effect(), tag);
        }
    }

    fn take_effect(&mut self, script: &Arc<Script>, part: usize, effect: &Effect, tag: &str) {
        match effect {
            Effect::None
            | Effect::Show { .. }
            | Effect::Execute { .. }
            | Effect::Fetch { .. }
            | Effect::CopyOut
            | Effect::CopyIn
            | Effect::CopyInGoverned(_)
            | Effect::Notification
            | Effect::AsOwner(_) => {}
            Effect::Transaction(transaction) => self.transaction_command(transaction, tag),
            Effect::Set { parameter, value, local } if parameter == SEARCH_PATH => {
                self.path.set(value.as_deref(), *local);
                self.epoch += 1;
            }
            Effect::Set { .. } => {}
            Effect::Temporary => self.path.shake(),
            Effect::Reset { parameter } => {
                if parameter.as_deref().is_none_or(|p| p == SEARCH_PATH) {
                    self.path.reset();
                    self.epoch += 1;
                }
            }
            Effect::Prepare { name, .. } => {
                let prepared = Prepared {
                    text: script.parts.get(part).map_or_else(|| script.text.clone(), |part| part.text.clone()),
                    types: bytes::Bytes::new(),
                    // It stands alone, see `stands_alone`.
                    body: Body::SqlPrepare(script.clone()),
                    epoch: self.epoch,
                    first: Arc::default(),
                };
                self.names.enter(name.as_str().into(), Arc::new(prepared));
            }
            Effect::Deallocate { name } => {
                if let Some(pooling) = &mut self.pooling {
                    pooling.deallocated(name.as_ref().map(|name| name.as_str()));
                }
                match name {
                    Some(name) => self.names.forget(name.as_str()),
                    None => self.names.forget_all(),
                }
            }
            Effect::Declare { cursor, hold } => self.names.declare(cursor.clone(), script.clone(), part, self.epoch, *hold),
            Effect::Close { cursor: Some(cursor) } => self.names.close_portal(cursor.as_str()),
            Effect::Close { cursor: None } => self.names.close_cursors(),
            Effect::Discard(discard) => self.discarded(*discard),
        }
    }

    fn discarded(&mut self, discard: Discard) {
        if let Some(pooling) = &mut self.pooling {
            pooling.discarded(discard);
        }
        match discard {
            Discard::All => {
                self.names.forget_all();
                self.names.close_cursors();
                // It runs in no transaction block, and nothing behind it in a batch can undo it.
                self.path.reset();
                self.path.commit();
                self.forget_temporaries();
                self.epoch += 1;
                self.detached = true;
            }
            Discard::Sequences => self.detached = true,
            Discard::Temporary => self.path.shake(),
            Discard::Plans => {}
        }
    }

    fn transaction_command(&mut self, command: &Transaction, tag: &str) {
        let before = self.path.current().clone();
        match command {
            Transaction::Begin => {
                self.block = true;
                self.lingering = false;
                self.client_took_over();
            }
            // A COMMIT of a failed transaction is told as a ROLLBACK.
            Transaction::Commit { chain } if tag != "ROLLBACK" => {
                self.block = *chain;
                self.path.commit();
                self.ended(true);
            }
            Transaction::Commit { chain } | Transaction::Rollback { chain } => {
                self.block = *chain;
                self.mended(if *chain { Status::Transaction } else { Status::Idle });
                self.path.rollback();
                self.ended(false);
            }
            Transaction::Savepoint(name) => self.path.savepoint(name.clone()),
            Transaction::Release(name) => self.path.release(name),
            Transaction::RollbackTo(name) => {
                self.mended(Status::Transaction);
                self.path.rollback_to(name);
                // Cursors that were declared since the savepoint are gone.
                if self.names.has_cursors() {
                    self.path.shake();
                }
                self.outdated |= self.dirty;
            }
        }
        if *self.path.current() != before {
            self.epoch += 1;
        }
    }

    /// A failed transaction is none any more; ReadyForQuery will say so, too.
    fn mended(&mut self, now: Status) {
        if self.status == Status::Failed {
            self.status = now;
        }
    }

    /// The client's own BEGIN makes the transaction we began its own, to be ended by it.
    fn client_took_over(&mut self) {
        if let Some(batch) = self.state.batch() {
            batch.opened = false;
        }
    }

    /// The transaction ended.
    fn ended(&mut self, committed: bool) {
        if let Some(batch) = self.state.batch() {
            batch.opened = false;
        }
        if self.dirty {
            self.dirty = false;
            self.unpublished |= committed;
            self.private = false;
            self.stood = false;
            self.outdated = false;
            self.epoch += 1;
        }
    }

    /// What a ReadyForQuery of upstream says.
    pub(super) fn transaction_status(&mut self, status: Status) {
        self.skipping = false;
        self.status = status;
        let open = self.block;
        self.lingering = status == Status::Transaction && !open;
        self.block = status != Status::Idle && !self.lingering;
        if status == Status::Idle {
            self.transaction_over(open);
        }
        self.compare_path();
    }

    /// Where upstream told of another search path than the one that was followed, it is asked which it is.
    fn compare_path(&mut self) {
        if self.told_path.take().is_some_and(|told| told != *self.path.current()) {
            self.path.shake();
        }
    }

    /// `open`: nothing ended the block that there was.
    fn transaction_over(&mut self, open: bool) {
        self.outlived = false;
        // A block that nothing ended is one whose COMMIT failed. An implicit transaction that failed was rolled back when it
        // failed, see `failed_upstream`.
        self.path_ended(!open);
        self.ended(!open);
        let in_flight = self.expected.iter().filter(|expected| expected.ready()).count();
        self.names.transaction_ended(in_flight as u64);
        if self.expected.is_empty() {
            self.touched = Touched::default();
        }
    }

    /// A transaction that we began and ended is over.
    pub(super) fn transaction_ended(&mut self, committed: bool) {
        self.outlived = false;
        self.path_ended(committed);
        self.ended(committed);
        self.names.transaction_ended(0);
        self.touched = Touched::default();
        self.compare_path();
    }

    /// Upstream failed outside a transaction block: what the implicit transaction set is gone.
    pub(super) fn implicit_rollback(&mut self) {
        if !self.block {
            self.path_ended(false);
        }
    }

    /// What the transaction set of the search path stays or is gone.
    fn path_ended(&mut self, committed: bool) {
        let other = if committed { self.path.commit() } else { self.path.rollback() };
        self.epoch += u64::from(other);
    }

    /// Does our part between the end of a transaction and the client's ReadyForQuery.
    pub(super) async fn before_ready(&mut self, mut status: Status) -> Result<(), SessionError> {
        if std::mem::take(&mut self.unpublished) {
            self.publish().await;
        }
        if self.detached
            && self.expected.iter().all(|expected| matches!(expected, Expected::Local { .. }))
            && status != Status::Failed
            && let Err(report) = self.attach_again().await?
        {
            report.write(&mut self.exchange.outbox);
            status = self.status;
        }
        write_ready(&mut self.exchange.outbox, status);
        if matches!(self.state, State::Simple) {
            self.state = State::Ready;
        }
        self.say_what_is_due();
        Ok(())
    }

    /// Has what was committed loaded and published. That it is not yet seen is no fault of the client's statement.
    pub(super) async fn publish(&mut self) {
        self.unpublished = false;
        let done = self.environment.governor.refresh().await;
        self.waited();
        if let Err(report) = done {
            self.environment.events.emit(Event::Trouble { part: "refresh", message: report.message.into() });
        }
    }

    /// Whether the transaction has failed, and nothing in flight mends that.
    fn failed(&self) -> bool {
        self.status == Status::Failed && !self.expected.iter().any(Expected::ends_failure)
    }

    /// The report of a refusal: positions in characters of the client's text, and 25P02 where PostgreSQL would not have looked.
    pub(super) fn report(&self, refusal: &Refusal, text: &str) -> Report {
        let report = Report::from(refusal);
        match refusal {
            Refusal::Elsewhere { text, refusal } => self.report(refusal, text),
            Refusal::Parse(_) => in_characters(report, text),
            Refusal::Governance(_) | Refusal::Several | Refusal::UnknownStatement(_) | Refusal::UnknownPortal(_) => report,
            Refusal::Unrecorded => report,
            _ if self.failed() => Report::from(&Refusal::Failed),
            Refusal::Resolve(_) | Refusal::Authorize(_) | Refusal::Rewrite(_) => in_characters(report, text),
            Refusal::Told(_)
            | Refusal::Frame(_)
            | Refusal::Mixed
            | Refusal::TakenStatement(_)
            | Refusal::OldPortal(_)
            | Refusal::GroupsLeft
            | Refusal::PoliciesMoved
            | Refusal::Reserved(_)
            | Refusal::ExecuteUtility
            | Refusal::Parameters(_)
            | Refusal::InBlock(_)
            | Refusal::NoBlock(_)
            | Refusal::FunctionCall
            | Refusal::Failed
            | Refusal::DuringCopy(_) => report,
        }
    }

    /// Refuses a Query as a whole. The queue is empty.
    pub(super) fn refuse_query(&mut self, refusal: Refusal, text: Arc<str>, started: Instant) {
        let report = self.report(&refusal, &text);
        self.record_refusal(&refusal, &report, text, started);
        let joins = self.unsynced || self.state.batch().is_some_and(|batch| batch.sent);
        if self.expected.is_empty() && self.status != Status::Transaction && !joins {
            report.write(&mut self.exchange.outbox);
            write_ready(&mut self.exchange.outbox, self.status);
            self.state = State::Ready;
            return;
        }
        self.fail_with(report);
        self.send_sync(true);
        self.names.next_batch();
        self.state = State::Simple;
    }

    /// Refuses a message of the extended protocol: its batch is skipped up to Sync, here and upstream.
    pub(super) fn refuse_message(&mut self, refusal: Refusal, text: Arc<str>, started: Instant) {
        let report = self.report(&refusal, &text);
        self.record_refusal(&refusal, &report, text, started);
        let batch = self.state.batch().copied().unwrap_or_default();
        // Where nothing is open that must fail, nobody needs to be asked.
        let local = self.expected.is_empty() && !batch.sent && self.status != Status::Transaction;
        if local {
            report.write(&mut self.exchange.outbox);
        } else {
            self.fail_with(report);
        }
        self.state = State::Discarding(self.state.batch().copied().unwrap_or_default());
    }
}

/// Analysis counts positions in bytes.
fn in_characters(report: Report, text: &str) -> Report {
    let position = report.position.map(|p| characters_before(text, p.saturating_sub(1)) + 1);
    report.position(position)
}
