//! The extended protocol: batches of Parse, Bind, Describe, Execute and Close up to Sync, pipelined as they come.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio_postgres::error::SqlState;

use super::expected::{Completion, Expected, Running};
use super::ground::Stop;
use super::prepared::{Body, Prepared};
use super::run::Session;
use super::script::{Outline, Script, changes_meaning};
use super::simple::is_performed;
use super::state::{Batch, State};
use super::turns::wants_no_block;
use crate::error::Report;
use crate::error::session::{Refusal, SessionError};
use crate::event::Parameters;
use crate::governance;
use crate::sql::{Effect, Transaction, check_declared};
use crate::upstream::housekeeping::RESERVED;
use crate::upstream::send::Passing;
use crate::wire::backend::{self, write_ready};
use crate::wire::frontend::{self, Target};

impl Session {
    /// Parse.
    pub(super) async fn on_parse(&mut self, body: &[u8]) -> Result<(), SessionError> {
        let started = self.moment();
        self.enter_batch();
        let parse = match frontend::parse(body) {
            Ok(parse) => parse,
            Err(error) => {
                self.refuse_message(Refusal::Frame(error), Arc::from(""), started);
                return Ok(());
            }
        };
        match self.prepare(&parse).await {
            Ok(()) => Ok(()),
            Err(stop) => self.stopped(stop, parse.text, started),
        }
    }

    async fn prepare(&mut self, parse: &frontend::Parse<'_>) -> Result<(), Stop> {
        if parse.name.starts_with(RESERVED) {
            return Err(Refusal::Reserved(parse.name.to_owned()).into());
        }
        self.borrow().await?;
        if parse.name.is_empty() {
            self.names.forget("");
        }
        self.stand().await?;
        let types = match parse.types {
            [0, 0] => Bytes::new(),
            types => Bytes::copy_from_slice(types),
        };
        if !self.subject.admin {
            check_declared(parse.types, &self.footing.catalog)?;
        }
        if let Some(script) = self.known(parse.text) {
            return self.prepare_script(parse.name, script, types).await;
        }
        let text: Arc<str> = Arc::from(parse.text);
        let epoch = self.epoch;
        match Box::pin(self.outline(&text)).await? {
            Outline::Empty => {
                self.prepare_as(parse.name, Prepared { text, types, body: Body::Empty, epoch, first: self.first() }).await
            }
            Outline::Together(script) => self.prepare_script(parse.name, script, types).await,
            Outline::Governance(mut commands) => match (commands.pop(), commands.is_empty()) {
                (Some((_, command)), true) => {
                    if !parse.name.is_empty() && self.names.prepared(parse.name).is_some() {
                        return Err(Refusal::TakenStatement(parse.name.to_owned()).into());
                    }
                    let body = Body::Governance(Arc::new(command));
                    self.names.expect(parse.name, Arc::new(Prepared { text, types, body, epoch, first: Arc::default() }));
                    self.say(true, backend::write_parse_complete);
                    Ok(())
                }
                (Some(_) | None, _) => Err(Refusal::Several.into()),
            },
            Outline::OneByOne(_) => Err(Refusal::Several.into()),
        }
    }

    async fn prepare_script(&mut self, name: &str, script: Arc<Script>, types: Bytes) -> Result<(), Stop> {
        let [_] = &script.parts[..] else { return Err(Refusal::Several.into()) };
        // Upstream knows the names it holds; governance commands are only held here.
        if !name.is_empty()
            && let Some(Body::Governance(_)) = self.names.prepared(name).map(|prepared| &prepared.body)
        {
            return Err(Refusal::TakenStatement(name.to_owned()).into());
        }
        self.touch(&script);
        let text = script.text.clone();
        self.prepare_as(name, Prepared { text, types, body: Body::Sql(script), epoch: self.epoch, first: self.first() }).await
    }

    /// Prepares a statement of the client, under its name or under one of ours.
    async fn prepare_as(&mut self, name: &str, prepared: Prepared) -> Result<(), Stop> {
        if self.renames() && !name.is_empty() {
            if self.names.is_open(name) {
                self.quiesce_or_skip().await?;
            }
            // Its Close may be on its way.
            if self.names.prepared(name).is_some() && !self.expected.is_empty() {
                self.quiesce_or_skip().await?;
            }
            // Upstream, which would say so, does not know it by this name.
            if self.names.prepared(name).is_some() {
                return Err(Refusal::TakenStatement(name.to_owned()).into());
            }
        }
        let known = self.name_upstream(name, &prepared);
        let prepared = Arc::new(prepared);
        if let Some(known) = &known {
            self.await_pending(known).await?;
        }
        self.names.expect(name, prepared.clone());
        if let Some(known) = &known
            && self.has_upstream(known)
        {
            self.say(true, backend::write_parse_complete);
            return Ok(());
        }
        let expected = self.send_parse(name, known, &prepared, true);
        self.sent(expected);
        Ok(())
    }

    /// Bind, of which the beginning is here. Whether it was passed on.
    pub(super) async fn on_bind(&mut self, body: &[u8], length: usize) -> Result<bool, SessionError> {
        let started = self.moment();
        self.enter_batch();
        match self.bind(body, length).await {
            Ok(passed) => Ok(passed),
            Err(stop) => self.stopped(stop, "", started).map(|()| false),
        }
    }

    async fn bind(&mut self, body: &[u8], length: usize) -> Result<bool, Stop> {
        let names = frontend::bind_names(body).and_then(|names| names.ok_or(crate::wire::FrameError::Format));
        let (portal, statement, rest) = names.map_err(Refusal::Frame)?;
        if portal.starts_with(RESERVED) {
            return Err(Refusal::Reserved(portal.to_owned()).into());
        }
        self.borrow().await?;
        self.stand().await?;
        if self.names.is_open(statement) {
            self.quiesce_or_skip().await?;
        }
        let Some(prepared) = self.names.prepared(statement) else {
            return Err(Refusal::UnknownStatement(statement.to_owned()).into());
        };
        let mut prepared = prepared.clone();
        match &prepared.body {
            Body::Governance(_) => {
                // What was bound by the name before is confirmed first: it would take the place of this.
                if self.names.is_portal_waiting(portal) {
                    self.quiesce_or_skip().await?;
                }
                self.replies.forget(portal);
                self.names.bind(portal, prepared);
                self.say(false, backend::write_bind_complete);
                return Ok(false);
            }
            Body::Empty => {}
            Body::Sql(_) | Body::SqlPrepare(_) => {
                if prepared.epoch != self.epoch || prepared.refers() {
                    prepared = Box::pin(self.renew(statement, &prepared)).await?;
                }
                if let Some(script) = prepared.script() {
                    let script = script.clone();
                    self.touch(&script);
                }
            }
        }
        let known = self.bring_upstream(statement, &prepared).await?;
        self.pass_bind(body, length, rest, portal, prepared, known.as_deref());
        Ok(true)
    }

    /// Passes on a Bind; `known`: what its statement is called upstream, if not as the client calls it.
    pub(super) fn pass_bind(
        &mut self,
        body: &[u8],
        length: usize,
        rest: usize,
        portal: &str,
        prepared: Arc<Prepared>,
        known: Option<&str>,
    ) {
        let script = prepared.script().cloned();
        let parameters = self.environment.events.want_parameters().then(|| frontend::bind_values(body)).flatten();
        match known {
            Some(known) => self.exchange.link.bind_renamed(length, body, rest, portal, known),
            None => self.exchange.link.pass(Passing::Bind, length, body),
        }
        self.names.expect_portal(portal, prepared, parameters);
        self.sent(Expected::Bind { script, shown: true });
    }

    /// Describe.
    pub(super) async fn on_describe(&mut self, body: &[u8]) -> Result<(), SessionError> {
        let started = self.moment();
        self.enter_batch();
        match self.describe(body).await {
            Ok(()) => Ok(()),
            Err(stop) => self.stopped(stop, "", started),
        }
    }

    async fn describe(&mut self, body: &[u8]) -> Result<(), Stop> {
        let (target, name) = frontend::target(body).map_err(Refusal::Frame)?;
        self.borrow().await?;
        self.stand().await?;
        let open = match target {
            Target::Statement => self.names.is_open(name),
            Target::Portal => self.names.is_portal_open(name),
        };
        if open {
            self.quiesce_or_skip().await?;
        }
        let prepared = match target {
            Target::Statement => match self.names.prepared(name).cloned() {
                Some(prepared) if prepared.script().is_some() && prepared.epoch != self.epoch => {
                    Some(Box::pin(self.renew(name, &prepared)).await?)
                }
                Some(prepared) => Some(prepared),
                None => return Err(Refusal::UnknownStatement(name.to_owned()).into()),
            },
            Target::Portal => match self.names.portal(name) {
                Some(portal) => Some(portal.prepared.clone()),
                None if self.names.declared(name).is_some() => None,
                None => return Err(Refusal::UnknownPortal(name.to_owned()).into()),
            },
        };
        if let Some(Body::Governance(command)) = prepared.as_ref().map(|prepared| &prepared.body) {
            let columns = governance::columns(command);
            self.say(false, |out| {
                if target == Target::Statement {
                    backend::write_no_parameters(out);
                }
                if columns.is_empty() {
                    backend::write_no_data(out);
                } else {
                    backend::write_text_columns(out, columns.iter().copied());
                }
            });
            return Ok(());
        }
        if let Some(script) = prepared.as_ref().and_then(|prepared| prepared.script()).cloned() {
            self.touch(&script);
        }
        let known = match (target, &prepared) {
            (Target::Statement, Some(prepared)) => self.bring_upstream(name, prepared).await?,
            (Target::Statement, None) | (Target::Portal, _) => None,
        };
        self.pass_describe(body, prepared.as_ref(), known.as_deref());
        Ok(())
    }

    /// Passes on a Describe; `known`: what the statement is called upstream, if not as the client calls it.
    pub(super) fn pass_describe(&mut self, body: &[u8], prepared: Option<&Arc<Prepared>>, known: Option<&str>) {
        match known {
            Some(known) => self.exchange.link.describe(known),
            None => self.exchange.link.pass(Passing::Describe, body.len(), body),
        }
        let of = prepared.filter(|_| self.renames()).map(|prepared| prepared.first.clone());
        self.sent(Expected::Describe { rows_only: false, of, shown: true });
    }

    /// Execute.
    pub(super) async fn on_execute(&mut self, body: &[u8]) -> Result<(), SessionError> {
        let started = self.moment();
        self.enter_batch();
        match self.execute(body, started).await {
            Ok(()) => Ok(()),
            Err(stop) => self.stopped(stop, "", started),
        }
    }

    async fn execute(&mut self, body: &[u8], started: Instant) -> Result<(), Stop> {
        let (name, rows) = frontend::execute(body).map_err(Refusal::Frame)?;
        self.borrow().await?;
        self.stand().await?;
        if self.names.is_portal_open(name) {
            self.quiesce_or_skip().await?;
        }
        let portal = self.names.portal(name).map(|portal| (portal.prepared.clone(), portal.parameters.clone()));
        let Some((prepared, parameters)) = portal else {
            return Box::pin(self.execute_cursor(name, body, started)).await;
        };
        let script = match &prepared.body {
            Body::Governance(command) => return Box::pin(self.govern_portal(name, command, &prepared.text, rows, started)).await,
            Body::Empty => None,
            Body::Sql(script) | Body::SqlPrepare(script) => Some(script.clone()),
        };
        if prepared.epoch != self.epoch || prepared.refers() {
            Box::pin(self.portal_still(name, &prepared)).await?;
        }
        if self.state.batch().is_some_and(|batch| batch.opened)
            && let Some(Effect::Transaction(command)) = script.as_ref().and_then(|script| script.effect())
        {
            wants_no_block(command)?;
        }
        let inner = matches!(prepared.body, Body::SqlPrepare(_));
        let ending = if inner { Completion::Inner } else { Completion::Plain };
        if let Some(script) = &script
            && !inner
            && is_performed(script)
        {
            return Box::pin(self.perform_portal(name, script, started)).await;
        }
        if self.pass_execute(body, script, parameters, started, ending) {
            Box::pin(self.quiesce()).await?;
        }
        Ok(())
    }

    /// Passes on an Execute; whether the client now feeds a COPY.
    pub(super) fn pass_execute(
        &mut self,
        body: &[u8],
        script: Option<Arc<Script>>,
        parameters: Option<Parameters>,
        started: Instant,
        ending: Completion,
    ) -> bool {
        let inner = matches!(ending, Completion::Inner);
        let effect = script.as_ref().and_then(|script| script.effect());
        let feeds = !inner && matches!(effect, Some(Effect::CopyIn));
        let shakes = script.as_ref().is_some_and(|script| script.parts.iter().any(|part| part.shakes));
        self.barrier |= shakes || (!inner && effect.is_some_and(|effect| self.is_barrier(effect)));
        if !inner && script.as_ref().is_some_and(|script| script.only_reads()) {
            self.exchange.link.join_turn();
        }
        self.exchange.link.pass(Passing::Execute, body.len(), body);
        self.sent(Expected::Execute(Running { parameters, ..Running::new(script, started, ending) }));
        feeds
    }

    /// Whether what comes after an effect in a pipeline must wait for it.
    fn is_barrier(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Transaction(Transaction::Begin | Transaction::Savepoint(_) | Transaction::Release(_)) => false,
            Effect::Transaction(Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::RollbackTo(_)) => {
                self.path.moved() || self.dirty
            }
            effect => changes_meaning(effect),
        }
    }

    /// A portal that DECLARE made.
    async fn execute_cursor(&mut self, name: &str, body: &[u8], started: Instant) -> Result<(), Stop> {
        let Some(cursor) = self.names.declared(name).cloned() else {
            return Err(Refusal::UnknownPortal(name.to_owned()).into());
        };
        self.freshen(&Effect::Fetch { cursor: name.into() }).await?;
        self.touch(&cursor.script);
        self.exchange.link.pass(Passing::Execute, body.len(), body);
        let running = Running { part: cursor.part, ..Running::new(Some(cursor.script), started, Completion::Inner) };
        self.sent(Expected::Execute(running));
        Ok(())
    }

    async fn perform_portal(&mut self, name: &str, script: &Arc<Script>, started: Instant) -> Result<(), Stop> {
        self.quiesce_or_skip().await?;
        if self.names.runs_once(name) {
            let report = Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("portal \"{name}\" cannot be run"));
            return Err(Refusal::Told(Box::new(report)).into());
        }
        let mut opened = self.state.batch().is_some_and(|batch| batch.opened);
        let done = self.perform(script, false, true, started, &mut opened).await;
        if let Some(batch) = self.state.batch() {
            batch.opened = opened;
            batch.sent = true;
        }
        if done.is_err() {
            // Its error is its answer.
            self.held_complete.clear();
        }
        self.say_held();
        done.map(|_| ())
    }

    /// Close.
    pub(super) async fn on_close(&mut self, body: &[u8]) -> Result<(), SessionError> {
        self.enter_batch();
        let (target, name) = match frontend::target(body) {
            Ok(found) => found,
            Err(error) => {
                let now = self.moment();
                self.refuse_message(Refusal::Frame(error), Arc::from(""), now);
                return Ok(());
            }
        };
        if self.owes_identity() {
            self.quiesce().await?;
            if matches!(self.state, State::Discarding(_) | State::Closed) {
                return Ok(());
            }
        }
        let ours = name.starts_with(RESERVED);
        let governs = |prepared: Option<&Arc<Prepared>>| matches!(prepared.map(|p| &p.body), Some(Body::Governance(_)));
        let local = match target {
            Target::Statement => governs(self.names.prepared(name)),
            Target::Portal => governs(self.names.portal(name).map(|portal| &portal.prepared)),
        };
        if local && target == Target::Statement {
            self.names.forget(name);
        }
        if target == Target::Portal {
            self.replies.forget(name);
        }
        // Without a connection there is no portal, and no statement by that name.
        let nowhere = target == Target::Portal && self.is_parked();
        if ours || local || nowhere {
            if target == Target::Portal {
                self.names.close_portal(name);
            }
            self.say(false, backend::write_close_complete);
            return Ok(());
        }
        if target == Target::Statement {
            let prepared = self.names.prepared(name).cloned();
            if !self.closes_upstream(name, prepared.as_deref()) {
                self.say_closed(name);
                return Ok(());
            }
        }
        self.exchange.link.pass(Passing::Close, body.len(), body);
        self.sent(Expected::Close { shown: true, of: Some((target, Box::from(name))) });
        Ok(())
    }

    /// Flush.
    pub(super) fn on_flush(&mut self) {
        self.enter_batch();
        if !self.expected.is_empty() {
            self.exchange.link.flush();
        }
    }

    /// Sync.
    pub(super) async fn on_sync(&mut self) -> Result<(), SessionError> {
        let failed = matches!(self.state, State::Discarding(_));
        if self.sync_at_once() { Ok(()) } else { Box::pin(self.end_batch(failed)).await }
    }

    /// The same, unless a transaction of ours is to be ended: then it says no.
    pub(super) fn sync_at_once(&mut self) -> bool {
        let batch = match self.state {
            State::Extended(batch) | State::Discarding(batch) => batch,
            State::Ready | State::Simple | State::CopyIn(_) | State::Closed => Batch::default(),
        };
        if batch.opened {
            return false;
        }
        self.state = State::Ready;
        if !batch.sent && self.expected.is_empty() && !self.lingering {
            write_ready(&mut self.exchange.outbox, self.status);
            return true;
        }
        self.send_sync(true);
        self.names.next_batch();
        true
    }

    /// Ends a batch for which we began a transaction.
    async fn end_batch(&mut self, failed: bool) -> Result<(), SessionError> {
        let failures = self.failures;
        self.quiesce().await?;
        let still = self.state.batch().is_some_and(|batch| batch.opened);
        if !still {
            // The client's own COMMIT, ROLLBACK or BEGIN came meanwhile.
            self.state = State::Ready;
            self.send_sync(true);
            self.names.next_batch();
            return Ok(());
        }
        self.end_transaction(!failed && self.failures == failures).await?;
        self.state = State::Ready;
        self.names.next_batch();
        self.before_ready(self.status).await
    }

    pub(super) fn enter_batch(&mut self) {
        if matches!(self.state, State::Ready) {
            self.state = State::Extended(Batch::default());
        }
    }

    /// Something went upstream, of the batch if there is one.
    pub(super) fn sent(&mut self, expected: Expected) {
        if let Some(batch) = self.state.batch() {
            batch.sent |= !matches!(expected, Expected::Close { .. });
        }
        self.expected.push_back(expected);
    }

    /// A message of a batch was not carried out.
    fn stopped(&mut self, stop: Stop, text: &str, started: Instant) -> Result<(), SessionError> {
        match stop {
            Stop::Refused(refusal) => self.refuse_message(refusal, Arc::from(text), started),
            Stop::Skipped if matches!(self.state, State::Extended(_)) => {
                return Err(SessionError::Broken("a message was skipped behind no error"));
            }
            Stop::Skipped => {}
            Stop::Over(error) => return Err(error),
        }
        Ok(())
    }
}
