//! Statements that define or maintain objects, with the rights of the role that owns those upstream.
//!
//! An administrator's login takes the role of `pgusher_owner` for the one statement. Everybody else's never may: theirs is run by a
//! function that checks our signature, in the session's own transaction, and the client sees what it would see of the statement itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_postgres::error::SqlState;

use super::expected::Completion;
use super::ground::Stop;
use super::run::Session;
use super::script::{Part, Script, analyse};
use crate::error::session::{Refusal, SessionError};
use crate::error::{Report, Severity};
use crate::name::Name;
use crate::policy::{Level, Oid, Requirement};
use crate::sql::{Effect, Executor, Fill, Owned, ResolveError, StatementKind};
use crate::upstream::housekeeping::Housekeeping;
use crate::upstream::send::Link;
use crate::upstream::{CancelTarget, Connection, Login, OwnerChannel, OwnerError};
use crate::wire::backend::write_complete;

impl Session {
    /// Runs a statement with an owner's rights inside the open transaction. Whether it went well.
    pub(super) async fn as_owner(
        &mut self,
        script: &Arc<Script>,
        owned: &Owned,
        describe: bool,
        started: Instant,
    ) -> Result<bool, Stop> {
        if owned.ddl {
            self.precede_ddl(script, owned.tag).await?;
        }
        let done = if self.who.admin {
            self.become_owner(script, owned, describe, started).await?
        } else {
            self.define(script, owned, started).await?
        };
        if !done {
            return Ok(false);
        }
        if owned.ddl {
            self.follow_ddl().await?;
            self.dirty = true;
        }
        let filled = match &owned.fill {
            Some(Fill::Insert(_)) => self.fill(script, started).await?,
            Some(Fill::Refresh { view, text }) => self.refresh(script, view, text, started).await?,
            Some(Fill::Schema { name, statements }) => Box::pin(self.furnish(script, name, statements, started)).await?,
            None => true,
        };
        if !filled {
            return Ok(false);
        }
        if owned.ddl {
            // Whatever comes next in the transaction, if anything does, stands on what it sees then.
            self.private = true;
            self.outdated = true;
        }
        Ok(true)
    }

    async fn become_owner(&mut self, script: &Arc<Script>, owned: &Owned, describe: bool, started: Instant) -> Result<bool, Stop> {
        self.must(Housekeeping::BecomeOwner).await?;
        let ending = if replaced(owned) { Completion::Prelude } else { Completion::Held };
        if !self.step(script, describe, ending, started).await? {
            return Ok(false);
        }
        self.must(Housekeeping::ResetRole).await?;
        Ok(true)
    }

    /// The signed way.
    async fn define(&mut self, script: &Arc<Script>, owned: &Owned, started: Instant) -> Result<bool, Stop> {
        let Some(part) = script.parts.first() else { return Ok(true) };
        let on = self.defined(part);
        self.send_signed(owned.by, part.rewritten.text(), settled(part), &on);
        let ending = if replaced(owned) { Completion::Prelude } else { Completion::StoodIn };
        self.executed(script, ending, started).await
    }

    /// Sends a statement that a function of ours runs as `by`, where a step is expected.
    fn send_signed(&mut self, by: Executor, statement: &str, settled: bool, on: &[(Oid, String)]) {
        let key = (**self.environment.key.load()).clone();
        let (payload, signature) = key.define(self.who.process_id, by, statement, settled, on);
        self.exchange.link.stand_in(&Housekeeping::Define { by, payload: &payload, statement, signature: &signature });
        self.expect_step(None, None);
    }

    /// The relations that a statement defines or maintains, by their names.
    fn defined(&self, part: &Part) -> Vec<(Oid, String)> {
        let catalog = &self.footing.catalog;
        let named = |requirement: &Requirement| {
            let oid = requirement.securable.relation().filter(|_| requirement.level != Level::Privilege)?;
            let relation = catalog.relation(oid).filter(|relation| relation.kind.has_rows())?;
            Some((oid, catalog.qualified(relation)?.quoted()))
        };
        part.rewritten.remembered().requirements.iter().filter_map(named).collect()
    }

    /// Fills the materialized view that a statement made, and says how many rows it got.
    async fn refresh(&mut self, script: &Arc<Script>, view: &str, text: &str, started: Instant) -> Result<bool, Stop> {
        self.send_signed(Executor::Owner, text, true, &[]);
        if !self.executed(script, Completion::StoodIn, started).await? {
            return Ok(false);
        }
        let count = format!("SELECT pg_catalog.count(*) AS rows FROM {view}");
        let found = self.with_owner(async |channel| channel.fetch(&count).await.map_err(|e| told(&e))).await?;
        let rows = found.map_err(|report| Refusal::Told(Box::new(report)))?;
        let rows = rows.pointer("/0/rows").and_then(serde_json::Value::as_i64).unwrap_or_default();
        self.held_complete.clear();
        write_complete(&mut self.held_complete, &format!("SELECT {rows}"));
        Ok(true)
    }

    /// Makes what a new schema is to hold.
    async fn furnish(
        &mut self,
        script: &Arc<Script>,
        schema: &Name,
        statements: &[Arc<str>],
        started: Instant,
    ) -> Result<bool, Stop> {
        let Some(whole) = script.parts.first() else { return Ok(true) };
        for text in statements {
            (self.private, self.outdated) = (true, true);
            self.stand().await?;
            let mut ground = self.ground();
            ground.path.schemas.insert(0, schema.clone());
            let parsed = crate::sql::parse(text, &self.environment.limits).map_err(Refusal::from)?;
            let Some(parsed) = parsed.into_iter().next() else { continue };
            let part = Part { offset: whole.offset, ..analyse(parsed, &ground, &self.names)? };
            let element = Script::new(script.text.clone(), vec![part]);
            let Some(Effect::AsOwner(owned)) = element.parts.first().map(|part| part.rewritten.effect()) else {
                let what = "something temporary in CREATE SCHEMA".to_owned();
                return Err(ResolveError::Unsupported { what, detail: None, hint: None, position: None }.into());
            };
            if let Some(name) = owned.alone {
                return Err(Refusal::InBlock(name).into());
            }
            self.touch(&element);
            self.held_complete.clear();
            if !Box::pin(self.as_owner(&element, owned, false, started)).await? {
                return Ok(false);
            }
        }
        self.held_complete.clear();
        write_complete(&mut self.held_complete, "CREATE SCHEMA");
        Ok(true)
    }

    /// Fills the table that a statement made, as the session itself.
    async fn fill(&mut self, script: &Arc<Script>, started: Instant) -> Result<bool, Stop> {
        let Some(part) = script.parts.first() else { return Ok(true) };
        if !self.exchange.link.fill_step(&part.rewritten) {
            return Err(SessionError::Broken("nothing to fill a table with").into());
        }
        self.expect_step(None, None);
        self.executed(script, Completion::Filled, started).await
    }

    /// Runs a statement with an owner's rights that no transaction may hold.
    pub(super) async fn as_owner_outside(
        &mut self,
        script: &Arc<Script>,
        describe: bool,
        ddl: bool,
        started: Instant,
    ) -> Result<bool, Stop> {
        if self.who.admin {
            return self.become_owner_outside(script, describe, ddl, started).await;
        }
        // Nothing of ours may be open that the statement waits for.
        if self.implicit() {
            self.send_sync(false);
            self.quiesce_or_skip().await?;
        }
        let ok = self.run_beside(script, describe, started).await?;
        if ok && ddl {
            self.follow_done().await?;
        }
        self.unpublished |= ddl;
        Ok(ok)
    }

    /// Runs it over a connection beside the session's own, whose login may take an owner's role. It holds no identity, and ends with the
    /// statement.
    async fn run_beside(&mut self, script: &Arc<Script>, describe: bool, started: Instant) -> Result<bool, Stop> {
        let environment = self.environment.clone();
        let path = BTreeMap::from([("search_path".to_owned(), "pg_catalog".to_owned())]);
        let beside = environment.pool.acquire(Login::Control, &path).await.map_err(|error| {
            let report = Report { severity: Severity::Error, ..Report::from(&error) };
            Refusal::Told(Box::new(report))
        })?;
        let Connection { stream, read_ahead, parameters: _, process_id, secret_key, permit } = beside;
        let aimed = CancelTarget { process_id, secret: secret_key, begun: None };
        let own_aim = environment.registry.aim(self.who.shown_process_id, Some(aimed)).await;
        let own = std::mem::replace(&mut self.exchange.link, Link::new(stream, read_ahead));
        let done = self.run_as_owner(script, describe, started).await;
        let beside = std::mem::replace(&mut self.exchange.link, own);
        environment.registry.aim(self.who.shown_process_id, own_aim).await;
        self.waited();
        // It is of no more use; that it does not end in order is nobody's trouble.
        let _ = beside.close_stream().await;
        drop(permit);
        done
    }

    async fn run_as_owner(&mut self, script: &Arc<Script>, describe: bool, started: Instant) -> Result<bool, Stop> {
        self.must(Housekeeping::BecomeOwnerOutside).await?;
        let ok = self.step(script, describe, Completion::Held, started).await?;
        self.send_sync(false);
        self.quiesce().await?;
        Ok(ok)
    }

    async fn become_owner_outside(
        &mut self,
        script: &Arc<Script>,
        describe: bool,
        ddl: bool,
        started: Instant,
    ) -> Result<bool, Stop> {
        self.must(Housekeeping::BecomeOwnerOutside).await?;
        let ok = self.step(script, describe, Completion::Held, started).await?;
        if !ok {
            self.send_sync(false);
            self.quiesce().await?;
        }
        self.lay_down_ownership().await?;
        if ok && ddl {
            self.follow_done().await?;
        }
        self.unpublished |= ddl;
        Ok(ok)
    }

    /// No transaction ends the owner's rights here. A cancel or a timeout that was meant for the statement may hit this instead: then
    /// it is tried again, and a session that keeps those rights does not go on.
    async fn lay_down_ownership(&mut self) -> Result<(), SessionError> {
        for _ in 0..RESETS {
            if self.converse(Housekeeping::ResetRole).await?.is_ok() {
                return Ok(());
            }
        }
        Err(SessionError::Broken("the owner's rights could not be laid down"))
    }

    /// Before an ALTER or DROP, governed views that stand on its relations make way.
    async fn precede_ddl(&mut self, script: &Script, tag: &str) -> Result<(), Stop> {
        let Some(part) = script.parts.first() else { return Ok(()) };
        let label = part.rewritten.kind().label();
        if !(label.starts_with("ALTER") || label.starts_with("DROP")) {
            return Ok(());
        }
        let requirements = part.rewritten.remembered().requirements;
        let relations: Vec<_> = requirements.iter().filter_map(|requirement| requirement.securable.relation()).collect();
        if relations.is_empty() {
            return Ok(());
        }
        let (environment, subject) = (self.environment.clone(), self.subject.clone());
        let done = self.with_owner(async |channel| environment.governor.precede_ddl(&subject, &relations, channel).await).await?;
        let told = |report: Report| match report.code == SqlState::READ_ONLY_SQL_TRANSACTION {
            true => Report { message: format!("cannot execute {tag} in a read-only transaction"), ..report },
            false => report,
        };
        Ok(done.map_err(|report| Refusal::Told(Box::new(told(report))))?)
    }

    /// Follows a statement that no transaction holds. It is done, so a timeout that was meant for it is no answer any more: what is not
    /// followed here is when the change is noticed.
    async fn follow_done(&mut self) -> Result<(), Stop> {
        for _ in 0..RESETS {
            match self.follow_ddl().await {
                Err(Stop::Refused(Refusal::Told(report))) if report.code == SqlState::QUERY_CANCELED => {}
                followed => return followed,
            }
        }
        Ok(())
    }

    async fn follow_ddl(&mut self) -> Result<(), Stop> {
        let (environment, subject) = (self.environment.clone(), self.subject.clone());
        let done = self.with_owner(async |channel| environment.governor.follow_ddl(&subject, channel).await).await?;
        Ok(done.map_err(|report| Refusal::Told(Box::new(report)))?)
    }
}

/// Whether what fills it ends a statement in its place.
fn replaced(owned: &Owned) -> bool {
    match owned.fill {
        Some(Fill::Insert(_) | Fill::Refresh { .. }) => true,
        Some(Fill::Schema { .. }) | None => false,
    }
}

/// Whether a statement may run functions of the application's by itself: triggers, checks, indexes.
fn settled(part: &Part) -> bool {
    matches!(
        part.rewritten.kind(),
        StatementKind::Truncate
            | StatementKind::AlterTable
            | StatementKind::CreateIndex
            | StatementKind::Cluster
            | StatementKind::Reindex
            | StatementKind::Vacuum
            | StatementKind::RefreshMaterializedView
            | StatementKind::AlterDomain
            | StatementKind::CreateTable
    )
}

fn told(error: &OwnerError) -> Report {
    Report::error(SqlState::from_code(&error.code), error.message.clone())
}

/// How often the owner's rights are tried to be laid down.
const RESETS: usize = 3;
