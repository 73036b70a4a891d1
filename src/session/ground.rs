//! What statements are analysed on, kept up to date; and the analysis of texts, new ones and those analysed before.

use std::collections::HashSet;
use std::sync::Arc;

use super::expected::{Completion, Expected, Running};
use super::prepared::{Body, Prepared};
use super::run::Session;
use super::script::{Ground, LONG, Outline, Part, Script, analyse, is_short, outline};
use super::state::State;
use crate::catalog::load::{self, Look};
use crate::catalog::{Footing, Temporaries};
use crate::error::session::{Refusal, SessionError};
use crate::policy::Oid;
use crate::sql::{Effect, Parsed};
use crate::upstream::housekeeping::Housekeeping;
use crate::wire::backend::Status;

/// Why a message is not carried out.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// Something before it failed, and it is skipped.
    Skipped,
    /// The session is over.
    Over(SessionError),
}

impl Stop {
    /// The same, of a text that is not the one being answered.
    fn of(self, text: &Arc<str>) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.of(text)),
            other @ (Self::Skipped | Self::Over(_)) => other,
        }
    }
}

impl<R: Into<Refusal>> From<R> for Stop {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<SessionError> for Stop {
    fn from(error: SessionError) -> Self {
        Self::Over(error)
    }
}

impl Session {
    /// Takes the latest footing, and makes sure of the search path.
    pub(super) async fn stand(&mut self) -> Result<(), Stop> {
        // No record, no statement.
        if !self.environment.events.admit() {
            return Err(Refusal::Unrecorded.into());
        }
        if self.stands()? { Ok(()) } else { Box::pin(self.stand_anew()).await }
    }

    /// Whether nothing has changed that the next message stands on, and nothing is in doubt.
    pub(super) fn stands(&mut self) -> Result<bool, Stop> {
        let doubtful = self.barrier
            || self.owes_identity()
            || self.private
            || self.outlived
            || self.loosened
            || self.stale_plans
            || self.path.uncertain();
        if doubtful || self.stood {
            return Ok(!doubtful);
        }
        self.stood = self.newer()?.is_none();
        Ok(self.stood)
    }

    /// Whether upstream has yet to end a batch behind which it is told again who is there, when nothing is on its way.
    pub(super) fn owes_identity(&self) -> bool {
        self.detached && self.expected.iter().any(Expected::ready)
    }

    async fn stand_anew(&mut self) -> Result<(), Stop> {
        if self.barrier || self.owes_identity() {
            self.barrier = false;
            self.quiesce_or_skip().await?;
        }
        if self.private && (self.outdated || self.published()? != self.beneath) {
            self.quiesce_or_skip().await?;
            if self.status == Status::Transaction {
                Box::pin(self.stand_within_anew()).await?;
            }
        }
        if !self.stood {
            let left = self.renew_footing()?;
            // A transaction's own is asked about for each message.
            self.stood = !self.private;
            if left {
                Box::pin(self.leave_group()).await?;
            }
        }
        if self.outlived && self.status != Status::Failed {
            return Err(Refusal::GroupsLeft.into());
        }
        let between = self.status == Status::Idle && !self.block && !self.implicit() && self.expected.is_empty();
        if self.loosened && between {
            self.loosened = false;
            Box::pin(self.must(Housekeeping::OnlyRead)).await?;
        }
        if self.stale_plans && between {
            // A function that says it is immutable and asks who is there was evaluated when its plan was made.
            self.stale_plans = false;
            Box::pin(self.must(Housekeeping::DiscardPlans)).await?;
        }
        if self.path.uncertain() && self.status != Status::Failed {
            Box::pin(self.look()).await?;
        }
        Ok(())
    }

    /// The open transaction's own footing follows what others changed meanwhile. A snapshot that cannot see that is of no more use.
    async fn stand_within_anew(&mut self) -> Result<(), Stop> {
        self.outdated = false;
        let (published, groups) = (self.published()?, self.subject.groups.clone());
        self.stand_within().await?;
        if self.shared.policies.version < published {
            self.outdated = true;
            return Err(Refusal::PoliciesMoved.into());
        }
        if !groups.is_subset(&self.subject.groups) {
            self.leave_group().await?;
        }
        Ok(())
    }

    /// The version of the policies that hold for everybody.
    pub(super) fn published(&self) -> Result<i64, Stop> {
        let latest = self.environment.governor.footing().map_err(|report| Refusal::Told(Box::new(report)))?;
        Ok(latest.policies.version)
    }

    /// Waits until upstream owes nothing; what failed meanwhile makes this message one to skip.
    pub(super) async fn quiesce_or_skip(&mut self) -> Result<(), Stop> {
        self.quiesce().await?;
        match self.state {
            State::Discarding(_) | State::Closed => Err(Stop::Skipped),
            State::Ready | State::Simple | State::Extended(_) | State::CopyIn(_) => Ok(()),
        }
    }

    /// Takes the latest footing; whether the principal is in a group less than before.
    fn renew_footing(&mut self) -> Result<bool, Stop> {
        if self.private {
            return Ok(false);
        }
        let Some(latest) = self.newer()? else { return Ok(false) };
        let before = self.subject.groups.clone();
        self.adopt(latest)?;
        self.stale_plans |= before != self.subject.groups;
        Ok(!before.is_subset(&self.subject.groups))
    }

    /// The latest footing, unless the session stands on it.
    fn newer(&mut self) -> Result<Option<Arc<Footing>>, Stop> {
        let now = self.moment();
        Ok(self.environment.governor.newer(&self.shared, now).map_err(|report| Refusal::Told(Box::new(report)))?)
    }

    /// Upstream, the snapshot of a transaction and open cursors go on showing the memberships that they began with: such a
    /// transaction does nothing more, whatever it is rolled back to, and such a cursor is not read.
    async fn leave_group(&mut self) -> Result<(), Stop> {
        self.outlived = true;
        self.quiesce_or_skip().await?;
        self.names.close_cursors();
        self.outlived = self.status != Status::Idle || self.block || self.implicit();
        Ok(())
    }

    /// Stands on another footing from now on.
    pub(super) fn adopt(&mut self, footing: Arc<Footing>) -> Result<(), SessionError> {
        // An administrator's upstream login is not for those who are none any more.
        self.subject = self.who.subject(&footing.policies).ok_or(SessionError::Revoked)?;
        let open = self.status != Status::Idle || self.block || self.implicit() || !self.expected.is_empty();
        if open && footing.policies.version != self.shared.policies.version {
            self.names.overtake();
        }
        let moved = moved_filters(&self.shared, &footing);
        if !moved.is_empty() {
            self.names.close_held(&moved);
        }
        self.epoch += 1;
        self.shared = footing;
        self.lay_over();
        Ok(())
    }

    /// The footing is what all share with the session's own temporary objects.
    fn lay_over(&mut self) {
        self.footing = if *self.temporaries == Temporaries::default() {
            self.shared.clone()
        } else {
            Arc::new(self.shared.with_temporaries(&self.temporaries))
        };
    }

    /// The session has no temporary objects any more.
    pub(super) fn forget_temporaries(&mut self) {
        self.temporaries = Temporaries::none();
        self.lay_over();
    }

    /// Something ran that may have changed what names and texts mean: settings that analysis relies on are put back, and the search
    /// path, the temporary objects and the cursors are asked for.
    async fn look(&mut self) -> Result<(), Stop> {
        self.quiesce_or_skip().await?;
        let answer = match self.converse(Housekeeping::Look).await? {
            Ok(answer) => answer.rows.into_iter().flatten().flatten().next().unwrap_or_default(),
            Err(report) => return Err(Refusal::Told(Box::new(report)).into()),
        };
        self.looked(load::look(&answer).map_err(|_| SessionError::Broken("pgusher.look() answers what is not understood"))?);
        Ok(())
    }

    /// Takes over what upstream said.
    pub(super) fn looked(&mut self, look: Look) {
        let Look { path, temporaries, cursors } = look;
        let before = self.path.current().clone();
        self.path.told(&path);
        self.names.found(cursors);
        if *self.path.current() != before {
            self.epoch += 1;
        }
        if temporaries != *self.temporaries {
            self.temporaries = Arc::new(temporaries);
            self.lay_over();
            self.epoch += 1;
        }
    }

    pub(super) fn ground(&self) -> Ground {
        Ground { footing: self.footing.clone(), subject: self.subject.clone(), path: self.path.current().clone() }
    }

    /// A text that was analysed on this ground before, or one that differs in literals only. Nothing in flight may change it.
    pub(super) fn known(&mut self, text: &str) -> Option<Arc<Script>> {
        if self.cache_epoch != self.epoch {
            self.cache.clear();
            self.cache_epoch = self.epoch;
        }
        if let Some(known) = self.cache.find(text) {
            self.environment.readings.remembered();
            return Some(known.clone());
        }
        if !is_short(text, &self.environment.limits) {
            return None;
        }
        let filled = self.cache.fill(text, &self.footing, &self.subject)?;
        self.environment.readings.filled();
        Some(filled)
    }

    /// Analyses a text; [`Session::stand`] comes first.
    pub(super) async fn outline(&mut self, text: &Arc<str>) -> Result<Outline, Stop> {
        let found = self.outline_once(text).await?;
        if let Outline::Together(script) = &found
            && let [part] = &script.parts[..]
            && self.freshen(part.rewritten.effect()).await?
        {
            return self.outline_once(text).await;
        }
        if let Outline::Together(script) = &found {
            self.cache.keep(script);
        }
        Ok(found)
    }

    async fn outline_once(&mut self, text: &Arc<str>) -> Result<Outline, Stop> {
        let ground = self.ground();
        if text.len() <= LONG {
            let published = (!self.private).then_some(&self.shared);
            let (readings, limits) = (&self.environment.readings, &self.environment.limits);
            let found = readings.outline(text, &ground, published, &self.names, limits).await;
            self.waited();
            return Ok(found?);
        }
        let (text, objects, limits) = (text.clone(), self.names.objects(), self.environment.limits.clone());
        self.elsewhere(move || outline(&text, &ground, &objects, &limits)).await
    }

    /// Analyses one statement of a text that is run one by one.
    pub(super) async fn analyse(&mut self, parsed: Parsed) -> Result<Part, Stop> {
        self.stand().await?;
        let ground = self.ground();
        if parsed.text().len() <= LONG {
            return Ok(analyse(parsed, &ground, &self.names)?);
        }
        let objects = self.names.objects();
        self.elsewhere(move || analyse(parsed, &ground, &objects)).await
    }

    /// Long texts are analysed on threads of their own, not too many at once.
    async fn elsewhere<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Stop> {
        let environment = self.environment.clone();
        let _permit = environment.analyses.acquire().await.map_err(|_| SessionError::Draining)?;
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| SessionError::Broken("an analysis panicked"))?;
        self.waited();
        Ok(done?)
    }

    /// Brings what a statement refers to up to date; whether something was.
    pub(super) async fn freshen(&mut self, effect: &Effect) -> Result<bool, Stop> {
        match effect {
            Effect::Execute { name } => {
                let settled = !self.names.is_open(name.as_str());
                if !settled {
                    self.quiesce_or_skip().await?;
                }
                let Some(prepared) = self.names.prepared(name.as_str()).cloned() else { return Ok(!settled) };
                if let Body::Sql(script) = &prepared.body
                    && script.parts.iter().any(|part| *part.rewritten.effect() != Effect::None)
                {
                    return Err(Refusal::ExecuteUtility.into());
                }
                if prepared.epoch == self.epoch {
                    self.bring_by_name(name.as_str()).await?;
                    return Ok(!settled);
                }
                Box::pin(self.renew(name.as_str(), &prepared)).await?;
                self.bring_by_name(name.as_str()).await?;
                Ok(true)
            }
            Effect::Prepare { name, .. } | Effect::Deallocate { name: Some(name) } if self.renames() => {
                if self.names.is_open(name.as_str()) {
                    self.quiesce_or_skip().await?;
                }
                self.bring_by_name(name.as_str()).await?;
                Ok(false)
            }
            Effect::Fetch { cursor } => {
                let settled = !self.names.is_portal_open(cursor.as_str());
                if !settled {
                    self.quiesce_or_skip().await?;
                }
                if let Some(declared) = self.names.declared(cursor.as_str()).cloned() {
                    let text = declared.script.parts.get(declared.part).map(|part| part.text.clone());
                    let before = declared.script.parts.get(declared.part).map(|part| part.rewritten.text().clone());
                    if declared.epoch != self.epoch
                        && let (Some(text), Some(before)) = (text, before)
                    {
                        self.same_still(cursor.as_str(), &text, &before).await?;
                        self.names.renew_cursor(cursor.as_str(), self.epoch);
                    }
                } else if let Some(portal) = self.names.portal(cursor.as_str()).cloned() {
                    // It could lead back to itself.
                    if portal.prepared.refers() {
                        return Err(Refusal::UnknownPortal(cursor.to_string()).into());
                    }
                    self.portal_still(cursor.as_str(), &portal.prepared).await?;
                } else if self.names.is_overtaken(cursor.as_str()) {
                    return Err(Refusal::OldPortal(cursor.to_string()).into());
                }
                Ok(!settled)
            }
            Effect::None
            | Effect::Transaction(_)
            | Effect::Set { .. }
            | Effect::Reset { .. }
            | Effect::Show { .. }
            | Effect::Prepare { .. }
            | Effect::Deallocate { .. }
            | Effect::Declare { .. }
            | Effect::Close { .. }
            | Effect::CopyOut
            | Effect::CopyIn
            | Effect::CopyInGoverned(_)
            | Effect::Discard(_)
            | Effect::Notification
            | Effect::Temporary
            | Effect::AsOwner(_) => Ok(false),
        }
    }

    /// Refuses a portal whose statement is no longer permitted, or would now be another.
    pub(super) async fn portal_still(&mut self, name: &str, prepared: &Arc<Prepared>) -> Result<(), Stop> {
        if prepared.epoch == self.epoch && !prepared.refers() {
            return Ok(());
        }
        let Some(before) = prepared.script().and_then(|script| script.parts.first()).map(|part| part.rewritten.text().clone())
        else {
            return Ok(());
        };
        self.same_still(name, &prepared.text, &before).await
    }

    async fn same_still(&mut self, name: &str, text: &Arc<str>, before: &Arc<str>) -> Result<(), Stop> {
        match Box::pin(self.outline(text)).await.map_err(|stop| stop.of(text))? {
            Outline::Together(script) if script.parts.first().is_some_and(|part| part.rewritten.text() == before) => Ok(()),
            Outline::Together(_) | Outline::Empty | Outline::Governance(_) | Outline::OneByOne(_) => {
                Err(Refusal::OldPortal(name.to_owned()).into())
            }
        }
    }

    /// Analyses a prepared statement anew, and prepares it anew upstream under its name when something else is now to be sent.
    pub(super) async fn renew(&mut self, name: &str, old: &Arc<Prepared>) -> Result<Arc<Prepared>, Stop> {
        if self.names.is_waiting(name) {
            // Its name may be that of another one, which must not be taken for it.
            self.quiesce_or_skip().await?;
        }
        let Outline::Together(script) = Box::pin(self.outline(&old.text)).await.map_err(|stop| stop.of(&old.text))? else {
            return Err(Refusal::UnknownStatement(name.to_owned()).into());
        };
        let body = match &old.body {
            Body::SqlPrepare(_) => Body::SqlPrepare(script.clone()),
            Body::Sql(_) | Body::Empty | Body::Governance(_) => Body::Sql(script.clone()),
        };
        let (text, types, first) = (old.text.clone(), old.types.clone(), old.first.clone());
        let new = Arc::new(Prepared { text, types, body, epoch: self.epoch, first });
        let sent = |prepared: &Prepared| prepared.script().and_then(|s| s.parts.first()).map(|part| part.rewritten.text().clone());
        // One that is called otherwise upstream is another one there, and is brought when it is bound.
        let brought = self.renames() && (name.is_empty() || self.name_upstream(name, &new).is_some());
        if sent(old) != sent(&new) && !brought {
            self.prepare_again(name, &new, &script).await?;
        }
        self.names.enter(name.into(), new.clone());
        Ok(new)
    }

    pub(super) async fn prepare_again(&mut self, name: &str, new: &Prepared, script: &Arc<Script>) -> Result<(), Stop> {
        let Some(part) = script.parts.first() else { return Ok(()) };
        self.exchange.link.close(name);
        self.expected.push_back(Expected::Close { shown: false, of: None });
        if matches!(new.body, Body::SqlPrepare(_)) {
            self.exchange.link.step(&part.rewritten, false);
            let running = Running::new(Some(script.clone()), self.moment(), Completion::Swallowed);
            self.expect_step(Some((script.clone(), 0)), None);
            self.expected.push_back(Expected::Execute(running));
        } else {
            self.exchange.link.parse(name, &part.rewritten, &new.types);
            self.sent(Expected::Parse { script: Some((script.clone(), 0)), shown: false, name: None });
        }
        if self.state.batch().is_some() {
            // Where something before it in its batch fails, upstream skips it and keeps what it had.
            return self.quiesce_or_skip().await;
        }
        // A Query comes next: upstream must not be left skipping to a Sync.
        let failures = self.failures;
        self.send_sync(false);
        self.quiesce().await?;
        if self.failures == failures { Ok(()) } else { Err(Stop::Skipped) }
    }
}

/// The relations whose row filter is another one, by their own or by what they inherit from.
fn moved_filters(before: &Footing, now: &Footing) -> HashSet<Oid> {
    if before.policies.version == now.policies.version {
        return HashSet::new();
    }
    let filter = |footing: &Footing, oid| footing.policies.filter(oid).map(|f| f.expression.clone());
    let known = before.policies.governed().into_iter().chain(now.policies.governed());
    let mut open: Vec<Oid> = known.filter(|oid| filter(before, *oid) != filter(now, *oid)).collect();
    let mut moved = HashSet::new();
    while let Some(oid) = open.pop() {
        if moved.insert(oid) {
            open.extend_from_slice(now.catalog.children(oid));
        }
    }
    moved
}
