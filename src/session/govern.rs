//! Governance commands: carried out by the control plane inside the session's own transaction, answered by us.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;

use super::Reply;
use super::ground::Stop;
use super::run::Session;
use super::state::State;
use crate::error::Report;
use crate::error::session::Refusal;
use crate::governance::Command;
use crate::upstream::housekeeping::Housekeeping;
use crate::upstream::{OwnerChannel, OwnerError};
use crate::wire::backend::{self, Status};

/// Replies of which a row limit left rows to be asked for.
#[derive(Debug, Default)]
pub(super) struct Replies {
    left: HashMap<Box<str>, Left>,
}

#[derive(Debug)]
struct Left {
    rows: VecDeque<Vec<Option<String>>>,
    tag: String,
    given: usize,
}

impl Replies {
    /// The portal is closed or bound anew.
    pub(super) fn forget(&mut self, portal: &str) {
        if !self.left.is_empty() {
            self.left.remove(portal);
        }
    }
}

impl Session {
    /// The governance commands of one Query, in one transaction.
    pub(super) async fn govern_query(
        &mut self,
        commands: Vec<(Arc<str>, Command)>,
        started: Instant,
        mut opened: bool,
    ) -> Result<(), Stop> {
        if self.status == Status::Failed {
            return Err(Refusal::Failed.into());
        }
        self.state = State::Simple;
        let mut ok = true;
        for (text, command) in commands {
            self.say_held();
            match self.govern(&command, &text, started, &mut opened).await {
                Ok(reply) => {
                    if !reply.columns.is_empty() {
                        backend::write_text_columns(&mut self.exchange.outbox, reply.columns.iter().map(String::as_str));
                    }
                    reply.rows.iter().for_each(|row| write_row(&mut self.exchange.outbox, row));
                    backend::write_complete(&mut self.held_complete, &complete(&reply.tag, reply.columns.len(), reply.rows.len()));
                }
                Err(Stop::Refused(refusal)) => {
                    self.fail_quietly(&refusal, text.clone(), 0, started);
                    ok = false;
                }
                Err(Stop::Skipped) => ok = false,
                Err(Stop::Over(error)) => return Err(error.into()),
            }
            if !ok {
                break;
            }
        }
        Ok(self.end_query(opened, ok).await?)
    }

    /// Execute of a governance command.
    pub(super) async fn govern_portal(
        &mut self,
        portal: &str,
        command: &Arc<Command>,
        text: &Arc<str>,
        limit: i32,
        started: Instant,
    ) -> Result<(), Stop> {
        self.quiesce_or_skip().await?;
        if !self.replies.left.contains_key(portal) {
            if self.status == Status::Failed {
                return Err(Refusal::Failed.into());
            }
            let mut opened = self.state.batch().is_some_and(|batch| batch.opened);
            let done = self.govern(command, text, started, &mut opened).await;
            let within = self.block;
            if let Some(batch) = self.state.batch() {
                batch.opened = opened;
                batch.sent |= within;
            }
            let reply = done?;
            let tag = complete(&reply.tag, reply.columns.len(), reply.rows.len());
            self.replies.left.insert(portal.into(), Left { rows: reply.rows.into(), tag, given: 0 });
        }
        let Some(left) = self.replies.left.get_mut(portal) else { return Ok(()) };
        let most = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let count = most.min(left.rows.len());
        for row in left.rows.drain(..count) {
            write_row(&mut self.exchange.outbox, &row);
        }
        left.given += count;
        if left.rows.is_empty() && count < most {
            backend::write_complete(&mut self.exchange.outbox, &left.tag);
            left.tag.clone_from(&format!("{} 0", left.tag.split(' ').next().unwrap_or_default()));
        } else {
            backend::write_suspended(&mut self.exchange.outbox);
        }
        Ok(())
    }

    /// Carries out one command in a transaction, begun for it where none is open.
    async fn govern(&mut self, command: &Command, text: &Arc<str>, started: Instant, opened: &mut bool) -> Result<Reply, Stop> {
        if let Command::ShowProxy(view) = command {
            let reply = self.show_proxy(*view, command)?;
            self.record_governance(text, started, &reply);
            return Ok(reply);
        }
        let brief = self.is_brief(command);
        if brief && (self.block || self.joins_batch()) {
            return Err(Refusal::InBlock(command.tag()).into());
        }
        // Even what only looks at policies leaves a row behind: the spent signature. What changes them is held to the client's settings.
        let begin = if command.changes() { Housekeeping::Begin } else { Housekeeping::BeginWriting };
        self.begin_by(begin, opened).await?;
        let (environment, ground) = (self.environment.clone(), self.ground());
        // That tells of the row by which upstream knows who asks, which may be that of a session like it.
        let lent = self.pooling.as_ref().is_some_and(|pooling| !pooling.is_by(&self.who.attachment));
        let own = (matches!(command, Command::ShowSession) && lent).then(|| self.who.attachment.clone());
        let mut known = false;
        // Whose it is then shows only in the answer.
        if let (Some(_), Some(pooling)) = (&own, &mut self.pooling) {
            pooling.in_doubt();
        }
        let reply = self
            .with_owner(async |channel| {
                if let Some(own) = &own {
                    let sql = format!("SELECT pg_catalog.setval('pgusher.slot'::pg_catalog.regclass, {}, true)", own.slot);
                    let told = |error: OwnerError| Report::error(SqlState::from_code(&error.code), error.message);
                    channel.execute(&sql).await.map_err(told)?;
                    known = true;
                }
                environment.governor.govern(command, &ground.subject, &ground.path, channel).await
            })
            .await?;
        if let (Some(own), true, Some(pooling)) = (&own, known, &mut self.pooling) {
            pooling.attached(own);
        }
        let mut reply = reply.map_err(|report| Refusal::Told(Box::new(report)))?;
        if let (Command::ShowSession, Some(row)) = (command, reply.rows.first_mut())
            && let Some(last) = row.last_mut()
        {
            *last = Some(self.has_its_connection());
        }
        self.record_governance(text, started, &reply);
        if reply.changed {
            self.dirty = true;
            if !brief {
                self.stand_within().await?;
            }
        }
        if brief {
            self.end_transaction(true).await?;
            *opened = false;
            if reply.changed && !self.unpublished {
                // It did not commit, and the client was told.
                return Err(Stop::Skipped);
            }
        }
        Ok(reply)
    }

    /// Whether a command ends its own transaction. Everybody may revoke their own tokens and passwords, and who changes policies makes all others
    /// wait that do: a transaction left open would hold up the revocation of its own principal.
    fn is_brief(&self, command: &Command) -> bool {
        matches!(command, Command::RevokeToken { .. } | Command::SetPassword { .. }) && !self.subject.admin
    }
}

fn write_row(out: &mut BytesMut, row: &[Option<String>]) {
    backend::write_row(out, row.iter().map(|value| value.as_deref()));
}

/// The command tag; drivers read the number of rows from that of a command with rows.
fn complete(tag: &str, columns: usize, rows: usize) -> String {
    if columns > 0 && tag == "SELECT" { format!("SELECT {rows}") } else { tag.to_owned() }
}
