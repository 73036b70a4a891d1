//! Statements that take more than sending them: as the owner, and COPY into governed tables.
//!
//! Each runs by the extended protocol under our own names; the client sees only what it would see of the statement itself.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;

use super::expected::{Completion, Expected, Running};
use super::ground::Stop;
use super::relay::HIDDEN_PARAMETERS;
use super::run::Session;
use super::script::{SEARCH_PATH, Script};
use super::settings;
use crate::catalog::SearchPath;
use crate::error::Report;
use crate::error::session::{Refusal, SessionError};
use crate::event::Outcome;
use crate::sql::Effect;
use crate::upstream::housekeeping::Housekeeping;
use crate::upstream::owner::{Answer, ConverseError, SessionOwner, converse};
use crate::upstream::send::{CopyStep, End};
use crate::wire::BackendTag;
use crate::wire::backend::{Status, parameter_status};
use crate::wire::frame::HEADER;

impl Session {
    /// Carries out a script of one statement, up to its end; its CommandComplete may then be held. `alone`: nothing else is in
    /// its Query or batch. Where a transaction must be begun for it, `opened` says so, and the caller ends it. Whether it went well.
    pub(super) async fn perform(
        &mut self,
        script: &Arc<Script>,
        describe: bool,
        alone: bool,
        started: Instant,
        opened: &mut bool,
    ) -> Result<bool, Stop> {
        let Some(part) = script.parts.first() else { return Ok(true) };
        self.touch(script);
        let effect = part.rewritten.effect();
        if let Effect::CopyInGoverned(_) = effect {
            self.begin(opened).await?;
            return self.copy_governed(script, started).await;
        }
        let Effect::AsOwner(owned) = effect else {
            return Err(SessionError::Broken("a statement that is only sent was to be performed").into());
        };
        let Some(name) = owned.alone else {
            self.begin(opened).await?;
            return self.as_owner(script, owned, describe, started).await;
        };
        if !alone || *opened || self.block || self.joins_batch() {
            return Err(Refusal::InBlock(name).into());
        }
        self.as_owner_outside(script, describe, owned.ddl, started).await
    }

    /// Begins a transaction unless one is open.
    pub(super) async fn begin(&mut self, opened: &mut bool) -> Result<(), Stop> {
        self.begin_by(Housekeeping::Begin, opened).await
    }

    /// The same, by one of the statements that begin one.
    pub(super) async fn begin_by(&mut self, statement: Housekeeping<'_>, opened: &mut bool) -> Result<(), Stop> {
        if self.block {
            return if self.status == Status::Failed { Err(Refusal::Failed.into()) } else { Ok(()) };
        }
        self.must(statement).await?;
        self.block = true;
        *opened = true;
        Ok(())
    }

    /// Stands on the catalog and policies as the open transaction sees them.
    pub(super) async fn stand_within(&mut self) -> Result<(), Stop> {
        let environment = self.environment.clone();
        self.beneath = self.published()?;
        let within = self.with_owner(async |channel| environment.governor.footing_within(channel).await).await?;
        let footing = within.map_err(|report| Refusal::Told(Box::new(report)))?;
        self.private = true;
        self.adopt(footing)?;
        Ok(())
    }

    async fn copy_governed(&mut self, script: &Arc<Script>, started: Instant) -> Result<bool, Stop> {
        let steps = [
            (CopyStep::Create, Completion::Swallowed),
            (CopyStep::Copy, Completion::Held),
            (CopyStep::Insert, Completion::Swallowed),
            (CopyStep::Drop, Completion::Swallowed),
        ];
        for (step, ending) in steps {
            let Some(part) = script.parts.first() else { return Ok(false) };
            if !self.exchange.link.copy_step(&part.rewritten, step) {
                return Err(SessionError::Broken("no COPY into a governed table").into());
            }
            // The texts of the other steps are ours.
            self.expect_step((step == CopyStep::Copy).then(|| (script.clone(), 0)), None);
            if !self.executed(script, ending, started).await? {
                return Ok(false);
            }
        }
        self.record(&Running::new(Some(script.clone()), started, Completion::Held), None, Outcome::Allowed, "00000", None);
        Ok(true)
    }

    /// Runs one statement under our name; whether it went well.
    pub(super) async fn step(
        &mut self,
        script: &Arc<Script>,
        describe: bool,
        ending: Completion,
        started: Instant,
    ) -> Result<bool, Stop> {
        let Some(part) = script.parts.first() else { return Ok(true) };
        self.exchange.link.step(&part.rewritten, describe);
        self.expect_step(Some((script.clone(), 0)), describe.then_some(true));
        self.executed(script, ending, started).await
    }

    /// Waits for the end of a step that was sent. Whether it went well.
    pub(super) async fn executed(&mut self, script: &Arc<Script>, ending: Completion, started: Instant) -> Result<bool, Stop> {
        let failures = self.failures;
        self.expected.push_back(Expected::Execute(Running::new(Some(script.clone()), started, ending)));
        self.quiesce().await?;
        Ok(self.failures == failures)
    }

    /// Expects what comes before a step's own answers. `script`: where positions point.
    pub(super) fn expect_step(&mut self, script: Option<(Arc<Script>, usize)>, describe: Option<bool>) {
        self.expected.push_back(Expected::Close { shown: false, of: None });
        self.expected.push_back(Expected::Close { shown: false, of: None });
        self.expected.push_back(Expected::Parse { script, shown: false, name: None });
        self.sent(Expected::Bind { script: None, shown: false });
        if let Some(rows_only) = describe {
            self.expected.push_back(Expected::Describe { rows_only, of: None, shown: true });
        }
    }

    /// Sends a statement of ours and waits for its answer; its error is the client's.
    pub(super) async fn must(&mut self, statement: Housekeeping<'_>) -> Result<(), Stop> {
        match self.converse(statement).await? {
            Ok(_) => Ok(()),
            Err(report) => Err(Refusal::Told(Box::new(report)).into()),
        }
    }

    /// Sends a statement of ours and waits for its answer. The queue is empty.
    pub(super) async fn converse(&mut self, statement: Housekeeping<'_>) -> Result<Result<Answer, Report>, SessionError> {
        // Sync would end an implicit transaction; those that begin or end one are ended by it all the same.
        let stays = match statement {
            Housekeeping::ShowSearchPath | Housekeeping::Look => !self.block && self.implicit(),
            Housekeeping::Attach { .. } => self.lingering,
            _ => false,
        };
        let end = if stays { End::Flush } else { End::Sync };
        let (outbox, told_path) = (&mut self.exchange.outbox, &mut self.told_path);
        let mut aside = |tag: BackendTag, frame: &[u8]| set_aside(outbox, told_path, tag, frame);
        let done = converse(&mut self.exchange.link, &statement, end, self.status, &mut aside).await;
        self.waited();
        match done {
            Ok(answer) => {
                if end == End::Sync {
                    self.status = answer.status;
                    self.block = answer.status != Status::Idle;
                    self.unsynced = false;
                    self.lingering = false;
                }
                Ok(Ok(answer))
            }
            Err(ConverseError::Refused { error, status }) => {
                self.lingering = false;
                match end {
                    End::Sync => {
                        self.status = status;
                        self.block = status != Status::Idle;
                        self.unsynced = false;
                    }
                    End::Flush => self.skipping = true,
                }
                Ok(Err(Report::error(SqlState::from_code(&error.code), error.message)))
            }
            Err(ConverseError::Lost(cause)) if statement == Housekeeping::Commit => Err(SessionError::CommitUnknown(cause)),
            Err(ConverseError::Lost(cause)) => Err(SessionError::UpstreamLost(cause)),
        }
    }

    /// Whether a batch or a Query in steps may stand in an implicit transaction.
    pub(super) fn implicit(&mut self) -> bool {
        match self.state.batch() {
            Some(batch) => batch.sent || self.lingering,
            None => self.joins_batch() || matches!(self.state, super::state::State::Simple),
        }
    }

    /// Whether a Query stands in the transaction of the batch before it.
    pub(super) fn joins_batch(&self) -> bool {
        self.unsynced || self.lingering
    }

    /// Runs something with the rights of `pgusher_owner` on our connection.
    pub(super) async fn with_owner<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut SessionOwner<'_>) -> Result<T, Report>,
    ) -> Result<Result<T, Report>, SessionError> {
        let (outbox, told_path) = (&mut self.exchange.outbox, &mut self.told_path);
        let mut aside = |tag: BackendTag, frame: &[u8]| set_aside(outbox, told_path, tag, frame);
        let mut lost = None;
        let mut channel = SessionOwner {
            link: &mut self.exchange.link,
            process_id: self.who.process_id,
            key: (**self.environment.key.load()).clone(),
            aside: &mut aside,
            lost: &mut lost,
        };
        let done = work(&mut channel).await;
        self.waited();
        match lost {
            Some(cause) => Err(SessionError::UpstreamLost(cause)),
            None => Ok(done),
        }
    }
}

/// What comes while we talk with upstream ourselves.
fn set_aside(outbox: &mut BytesMut, told_path: &mut Option<SearchPath>, tag: BackendTag, frame: &[u8]) {
    if tag == BackendTag::ParameterStatus {
        match parameter_status(frame.get(HEADER..).unwrap_or_default()) {
            Ok((name, _)) if HIDDEN_PARAMETERS.contains(&name) => return,
            Ok((SEARCH_PATH, value)) => *told_path = Some(settings::parse(value)),
            Ok(_) => {}
            Err(_) => return,
        }
    }
    outbox.extend_from_slice(frame);
}
