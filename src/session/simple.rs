//! The simple protocol: a Query of one statement or several.

use std::sync::Arc;
use std::time::Instant;

use super::errors::characters_before;
use super::expected::{Completion, Expected, Running};
use super::ground::Stop;
use super::run::Session;
use super::script::{Outline, Script};
use super::state::State;
use crate::error::Report;
use crate::error::session::{Refusal, SessionError};
use crate::sql::{Discard, Effect, Parsed, Transaction};
use crate::upstream::housekeeping::Housekeeping;
use crate::wire::backend::{Status, write_empty_query, write_ready};
use crate::wire::frontend;

impl Session {
    /// Query.
    pub(super) async fn on_query(&mut self, body: &[u8]) -> Result<(), SessionError> {
        let started = self.moment();
        self.names.forget("");
        let text = match frontend::query(body) {
            Ok(text) => text,
            Err(error) => {
                self.quiesce().await?;
                self.refuse_query(Refusal::Frame(error), Arc::from(""), started);
                return Ok(());
            }
        };
        // Where nothing had to be waited for, it was asked already whether the text is known.
        let asked = self.is_ready();
        if let Err(stop) = self.borrow().await {
            return self.stopped_query(stop, Arc::from(text), started);
        }
        if !asked && self.expected.is_empty() && matches!(self.state, State::Ready) && !self.barrier {
            match self.stand().await {
                Ok(()) => {
                    if let Some(script) = self.known(text) {
                        self.send_together(script, started);
                        return Ok(());
                    }
                }
                // It may be what ends that.
                Err(Stop::Refused(Refusal::GroupsLeft)) => {}
                Err(stop) => return self.stopped_query(stop, Arc::from(text), started),
            }
        }
        let text: Arc<str> = Arc::from(text);
        match Box::pin(self.new_query(&text, started)).await {
            Ok(()) => Ok(()),
            Err(stop) => self.stopped_query(stop, text, started),
        }
    }

    fn stopped_query(&mut self, stop: Stop, text: Arc<str>, started: Instant) -> Result<(), SessionError> {
        match stop {
            Stop::Refused(refusal) => self.refuse_query(refusal, text, started),
            Stop::Skipped => {
                // The error was told; a Query ends in ReadyForQuery, unless a batch is open that ends by its Sync.
                if !matches!(self.state, State::Discarding(_) | State::Closed) {
                    write_ready(&mut self.exchange.outbox, self.status);
                    self.state = State::Ready;
                }
            }
            Stop::Over(error) => return Err(error),
        }
        Ok(())
    }

    async fn new_query(&mut self, text: &Arc<str>, started: Instant) -> Result<(), Stop> {
        self.quiesce_or_skip().await?;
        let batch = self.state.batch().copied().unwrap_or_default();
        self.state = State::Ready;
        self.unsynced = batch.sent && !batch.opened;
        match self.carry_out(text, started, batch.opened).await {
            // What the batch did before it is undone with it.
            Err(Stop::Refused(refusal)) if batch.opened && self.block => {
                self.fail_quietly(&refusal, text.clone(), 0, started);
                Ok(self.end_query(true, false).await?)
            }
            done => done,
        }
    }

    /// `opened`: in a transaction that we began for the batch before it, and that it ends.
    async fn carry_out(&mut self, text: &Arc<str>, started: Instant, opened: bool) -> Result<(), Stop> {
        if let Err(stop) = self.stand().await {
            return match self.ends_transaction(&stop, text).await {
                Some(script) => {
                    self.send_together(script, started);
                    Ok(())
                }
                None => Err(stop),
            };
        }
        match self.outline(text).await? {
            Outline::Empty if opened => {
                write_empty_query(&mut self.exchange.outbox);
                Ok(self.end_query(true, true).await?)
            }
            Outline::Empty if self.unsynced => {
                // Whether that ends the batch's transaction is for upstream to say.
                self.send_query(None, started);
                Ok(())
            }
            Outline::Empty => {
                write_empty_query(&mut self.exchange.outbox);
                write_ready(&mut self.exchange.outbox, self.status);
                Ok(())
            }
            Outline::Governance(commands) => self.govern_query(commands, started, opened).await,
            Outline::Together(script) if is_performed(&script) => self.perform_query(script, started, opened).await,
            Outline::Together(_) if opened => {
                let statements = crate::sql::parse(text, &self.environment.limits).map_err(Refusal::from)?;
                self.one_by_one(text, statements, started, opened).await
            }
            Outline::Together(script) => {
                self.send_together(script, started);
                Ok(())
            }
            Outline::OneByOne(statements) => self.one_by_one(text, statements, started, opened).await,
        }
    }

    /// A ROLLBACK of a transaction that does nothing more because the principal has left a group.
    async fn ends_transaction(&mut self, stop: &Stop, text: &Arc<str>) -> Option<Arc<Script>> {
        let named = |word: &str| text.trim_start().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if !matches!(stop, Stop::Refused(Refusal::GroupsLeft)) || !(named("ROLLBACK") || named("ABORT")) {
            return None;
        }
        let Ok(Outline::Together(script)) = self.outline(text).await else { return None };
        let alone = script.parts.len() == 1;
        let rolls_back = matches!(script.effect(), Some(Effect::Transaction(Transaction::Rollback { chain: false })));
        (alone && rolls_back).then_some(script)
    }

    pub(super) fn send_together(&mut self, script: Arc<Script>, started: Instant) {
        self.touch(&script);
        self.send_query(Some(script), started);
    }

    /// Sends a Query; without a script an empty one.
    fn send_query(&mut self, script: Option<Arc<Script>>, started: Instant) {
        self.unnamed_gone();
        let parts = script.as_ref().map_or(&[][..], |script| &script.parts);
        self.exchange.link.query(parts.iter().map(|part| &part.rewritten));
        self.expected.push_back(Expected::Query(Running::new(script, started, Completion::Plain)));
        self.names.next_batch();
        self.unsynced = false;
        self.state = State::Simple;
    }

    async fn perform_query(&mut self, script: Arc<Script>, started: Instant, mut opened: bool) -> Result<(), Stop> {
        self.state = State::Simple;
        let ok = match self.perform(&script, true, true, started, &mut opened).await {
            Ok(ok) => ok,
            Err(Stop::Refused(refusal)) => {
                self.fail_quietly(&refusal, script.text.clone(), 0, started);
                false
            }
            Err(Stop::Skipped) => false,
            Err(Stop::Over(error)) => return Err(error.into()),
        };
        Ok(self.end_query(opened, ok).await?)
    }

    /// Runs statements one after the other in the implicit transaction of one Query, each analysed when those before it ran.
    async fn one_by_one(
        &mut self,
        text: &Arc<str>,
        statements: Vec<Parsed>,
        started: Instant,
        mut opened: bool,
    ) -> Result<(), Stop> {
        self.state = State::Simple;
        let mut ok = true;
        let count = statements.len();
        for (index, parsed) in statements.into_iter().enumerate() {
            self.say_held();
            let last = index + 1 == count;
            let (statement, offset) = (parsed.text().clone(), parsed.offset());
            let analysed = match self.analyse_fresh(text, parsed).await {
                Ok(part) => self.take_turn(&Script::new(text.clone(), vec![part]), started, &mut opened, last).await,
                Err(stop) => Err(stop),
            };
            ok = match analysed {
                Ok(ok) => ok,
                Err(Stop::Refused(refusal)) => {
                    self.fail_quietly(&refusal, statement, characters_before(text, offset), started);
                    false
                }
                Err(Stop::Skipped) => false,
                Err(Stop::Over(error)) => return Err(error.into()),
            };
            if !ok {
                break;
            }
        }
        Ok(self.end_query(opened, ok).await?)
    }

    async fn analyse_fresh(&mut self, text: &Arc<str>, parsed: Parsed) -> Result<super::script::Part, Stop> {
        let offset = parsed.offset();
        let part = self.analyse(parsed).await?;
        if !self.freshen(part.rewritten.effect()).await? {
            return Ok(part);
        }
        // What it refers to was prepared anew: its requirements are others now.
        let again = crate::sql::parse(&part.text, &self.environment.limits).map_err(Refusal::from)?;
        let Some(parsed) = again.into_iter().next() else { return Ok(part) };
        let mut part = self.analyse(parsed).await?;
        part.offset = offset.min(text.len());
        Ok(part)
    }

    /// Tells of a refusal in the midst of a Query, and makes its transaction fail. The queue is empty; so many characters stand
    /// before the statement.
    pub(super) fn fail_quietly(&mut self, refusal: &Refusal, statement: Arc<str>, before: usize, started: Instant) {
        let report = self.report(refusal, &statement);
        // What stands before the statement in its Query stands in no other text.
        let before = if matches!(refusal, Refusal::Elsewhere { .. }) { 0 } else { before };
        let position = report.position.map(|position| position + before);
        let report = report.position(position);
        self.record_refusal(refusal, &report, statement, started);
        self.fail_with(report);
    }

    /// Makes upstream fail and has the client told why; where it skips what is sent, it has failed.
    pub(super) fn fail_with(&mut self, report: Report) {
        if self.skipping {
            report.write(&mut self.exchange.outbox);
        } else {
            self.exchange.link.fail();
            self.sent(Expected::Refused(Box::new(report)));
        }
    }

    /// Ends a Query that was answered in steps.
    pub(super) async fn end_query(&mut self, opened: bool, ok: bool) -> Result<(), SessionError> {
        if !opened {
            if !ok {
                // Its error is its answer.
                self.held_complete.clear();
            }
            self.say_held();
            self.send_sync(true);
            self.names.next_batch();
            self.state = State::Simple;
            return Ok(());
        }
        self.end_transaction(ok).await?;
        self.before_ready(self.status).await?;
        self.state = State::Ready;
        Ok(())
    }

    /// Ends a transaction that we began. What the client is told of its end is told; ReadyForQuery is the caller's.
    pub(super) async fn end_transaction(&mut self, ok: bool) -> Result<(), SessionError> {
        let failures = self.failures;
        if self.skipping || !self.expected.is_empty() {
            self.send_sync(false);
            self.quiesce().await?;
        }
        let ok = ok && self.failures == failures && self.status != Status::Failed;
        let end = if ok { Housekeeping::Commit } else { Housekeeping::Rollback };
        let answer = self.converse(end).await?;
        let committed = ok && answer.is_ok();
        match answer {
            Ok(_) => self.say_held(),
            Err(report) => {
                self.held_complete.clear();
                self.record_lost_commit(&report);
                report.write(&mut self.exchange.outbox);
            }
        }
        self.transaction_ended(committed);
        Ok(())
    }

    /// Says a CommandComplete that was held back.
    pub(super) fn say_held(&mut self) {
        if !self.held_complete.is_empty() {
            let held = std::mem::take(&mut self.held_complete);
            self.exchange.outbox.extend_from_slice(&held);
        }
    }

    /// Notes what is about to be touched.
    pub(super) fn touch(&mut self, script: &Script) {
        self.will_leave(script);
        // An error of it would not say whether the connection still knows who is there.
        self.detached |=
            script.parts.iter().any(|part| matches!(part.rewritten.effect(), Effect::Discard(Discard::All | Discard::Sequences)));
        let touched = script.touched();
        self.touched.filtered |= touched.filtered;
        self.touched.masked |= touched.masked;
    }
}

/// Whether a script is one statement that takes more than sending it.
pub(super) fn is_performed(script: &Script) -> bool {
    script.parts.iter().any(|part| matches!(part.rewritten.effect(), Effect::AsOwner(_) | Effect::CopyInGoverned(_)))
}
