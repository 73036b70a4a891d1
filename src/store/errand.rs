//! Governance outside of sessions: in a transaction of its own, on a connection of ours.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::channel::{Control, Owned};
use super::{Store, StoreError, govern, load};
use crate::catalog::SearchPath;
use crate::error::Report;
use crate::governance::Command;
use crate::policy::{PolicySnapshot, Subject};
use crate::session::Reply;
use crate::upstream::{BoxFuture, OwnerChannel};

/// What is to be carried out.
pub enum Errand {
    /// One command.
    One(Command),
    /// Commands that depend on what the policies are: nobody changes those between the look and the commands.
    Planned(Plan),
}

/// What to do, by the policies.
pub type Plan = Box<dyn FnOnce(&PolicySnapshot) -> Result<Vec<Command>, Report> + Send>;

/// What was done.
pub type Done = Vec<(Command, Reply)>;

/// Puts on record what is about to be committed; where that fails, it is not.
pub type Record = Box<dyn FnOnce(&Done) -> BoxFuture<'static, Result<(), Report>> + Send>;

/// The connections.
pub(super) struct Errands {
    /// Administrators have places of their own: others may have to wait for somebody, and an administrator may be about to end that.
    administrators: Semaphore,
    others: Semaphore,
    idle: Mutex<Vec<Control>>,
}

/// So many at once, of each; nearly all of them wait for one another anyway.
const AT_ONCE: usize = 4;

impl Default for Errands {
    fn default() -> Self {
        Self { administrators: Semaphore::new(AT_ONCE), others: Semaphore::new(AT_ONCE), idle: Mutex::default() }
    }
}

impl Store {
    /// Carries out an errand for a subject and publishes what it changed. It is done as a whole or not at all: given up when it takes
    /// longer than `patience` until it can be committed. What was done is told even where publishing failed: the watch makes up for that.
    pub async fn run_errand(&self, errand: Errand, subject: &Subject, patience: Duration, record: Record) -> Result<Done, Report> {
        let done = self.errand(errand, subject, patience, record).await.map_err(|refusal| *refusal)?;
        if done.iter().any(|(_, reply)| reply.changed)
            && let Err(error) = self.reload().await
        {
            tracing::warn!(%error, "a change is not published yet");
        }
        Ok(done)
    }

    async fn errand(&self, errand: Errand, subject: &Subject, patience: Duration, record: Record) -> Result<Done, Box<Report>> {
        let until = tokio::time::Instant::now() + patience;
        let places = if subject.admin { &self.errands.administrators } else { &self.errands.others };
        let place = tokio::time::timeout_at(until, places.acquire()).await;
        let _place = place.map_err(|_| late(patience))?.map_err(|_| told(StoreError::NotLoaded))?;
        let line = tokio::time::timeout_at(until, self.errand_line()).await;
        let mut control = line.map_err(|_| late(patience))?.map_err(told)?;
        let mut transaction = control.begin().await.map_err(told)?;
        let work = self.carry_out(errand, subject, patience, &mut transaction);
        let done = tokio::time::timeout_at(until, work).await.map_err(|_| late(patience))??;
        record(&done).await.map_err(Box::new)?;
        transaction.commit().await.map_err(told)?;
        self.errands.idle.lock().unwrap_or_else(PoisonError::into_inner).push(control);
        Ok(done)
    }

    async fn errand_line(&self) -> Result<Control, StoreError> {
        let idle = self.errands.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle.filter(|control| !control.lost()) {
            Some(control) => Ok(control),
            None => Control::connect(&self.settings.upstream, &self.settings.control).await,
        }
    }

    async fn carry_out(
        &self,
        errand: Errand,
        subject: &Subject,
        patience: Duration,
        transaction: &mut Owned<'_>,
    ) -> Result<Done, Box<Report>> {
        // Upstream gives up, too: a connection that we drop may stand in the queue for long.
        let bound = format!("SET LOCAL statement_timeout = {}", patience.as_millis());
        transaction.execute(&bound).await.map_err(|e| told(e.into()))?;
        let known = self.known.load_full();
        let commands = match errand {
            Errand::One(command) => vec![command],
            Errand::Planned(plan) => {
                let queue = format!("SELECT pgusher.queue({})", subject.admin);
                transaction.execute(&queue).await.map_err(|e| told(e.into()))?;
                plan(&load::policies(transaction, known.as_deref()).await.map_err(told)?)?
            }
        };
        let (path, terms) = (SearchPath::default(), &self.settings.terms);
        let mut done = Vec::with_capacity(commands.len());
        for command in commands {
            let reply = govern::carry_out(&command, subject, &path, terms, known.as_deref(), transaction).await;
            done.push((command, reply.map_err(|e| Box::new(Report::from(&e)))?));
        }
        Ok(done)
    }
}

fn told(error: StoreError) -> Box<Report> {
    Box::new(Report::from(&error))
}

fn late(patience: Duration) -> Box<Report> {
    told(StoreError::Lost(format!("no answer in {} seconds", patience.as_secs_f32())))
}
