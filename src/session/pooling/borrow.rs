//! When a session borrows a connection, and gives it back.

use tokio_postgres::error::SqlState;

use crate::catalog::Temporaries;
use crate::error::session::{Refusal, SessionError};
use crate::error::{Report, Severity};
use crate::session::ground::Stop;
use crate::session::run::{Rest, Session};
use crate::session::settings;
use crate::session::state::State;
use crate::upstream::send::Link;
use crate::upstream::{CancelTarget, Next, Shared, Taker, UpstreamError};
use crate::wire::backend::Status;

impl Session {
    /// Makes sure that there is a connection.
    pub(in crate::session) async fn borrow(&mut self) -> Result<(), Stop> {
        if self.borrow_at_once() {
            return Ok(());
        }
        let done = Box::pin(self.borrow_one()).await;
        self.waited();
        done
    }

    /// The same, unless something has to be waited for: then it says no.
    pub(in crate::session) fn borrow_at_once(&mut self) -> bool {
        let Some(pooling) = self.pooling.as_mut().filter(|pooling| pooling.lease.is_none()) else { return true };
        let taker = Taker { attachment: Some(&self.who.attachment), principal: self.who.principal, profile: &pooling.profile };
        let next = Next { attachment: &self.who.attachment, carried: &pooling.carried };
        let Some(mut shared) = pooling.offered.take().or_else(|| pooling.sharing.acquire_at_once(taker)) else {
            return false;
        };
        if !shared.pass_at_once(next, self.environment.key.load().as_ref()) || pooling.aim.at_once(target(&shared)).is_err() {
            pooling.offered = Some(shared);
            return false;
        }
        self.has_borrowed(*shared);
        true
    }

    /// Waits for a connection, or for what has to be done with the one that is there.
    async fn borrow_one(&mut self) -> Result<(), Stop> {
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        let taker = Taker { attachment: Some(&self.who.attachment), principal: self.who.principal, profile: &pooling.profile };
        let next = Next { attachment: &self.who.attachment, carried: &pooling.carried };
        let key = self.environment.key.load_full();
        let (sharing, mut offered) = (pooling.sharing.clone(), pooling.offered.take());
        let borrowed = pooling.aim.unless_canceled(async {
            loop {
                let mut shared = match offered.take() {
                    Some(shared) => shared,
                    None => sharing.acquire(taker).await?,
                };
                match shared.pass_to(next, &key).await {
                    Ok(()) => return Ok(shared),
                    // It was dead, and is gone now.
                    Err(UpstreamError::Lost(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        });
        let borrowed = tokio::select! {
            biased;
            borrowed = borrowed => borrowed,
            gone = self.exchange.until_gone() => return Err(gone.into()),
        };
        let shared = match borrowed {
            Some(Ok(shared)) => shared,
            Some(Err(UpstreamError::Closed)) => return Err(SessionError::Draining.into()),
            Some(Err(error)) => {
                let report = Report { severity: Severity::Error, ..Report::from(&error) };
                return Err(Refusal::Told(Box::new(report)).into());
            }
            None => {
                let report = Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request");
                return Err(Refusal::Told(Box::new(report)).into());
            }
        };
        pooling.aim.at(target(&shared)).await;
        self.has_borrowed(*shared);
        Ok(())
    }

    fn has_borrowed(&mut self, Shared { link, lease }: Shared) {
        let Some(pooling) = &mut self.pooling else { return };
        self.who.process_id = lease.process_id;
        self.exchange.link = link;
        // An operator has changed it, and connections that are new, or were told, have it already.
        if pooling.path != lease.path {
            pooling.path = lease.path.clone();
            self.path.defaults_to(settings::parse(&lease.path));
        }
        pooling.lease = Some(lease);
        pooling.skipped();
        pooling.pending.clear();
    }

    /// Whether there is a connection to be given back, and this is the moment. One that was never made the session's goes at once.
    pub(in crate::session) fn may_give_back(&mut self) -> bool {
        let Some(pooling) = &mut self.pooling else { return false };
        if let Some(shared) = pooling.offered.take() {
            pooling.sharing.release(shared);
        }
        pooling.lease.is_some() && self.is_between()
    }

    /// Gives the connection back where it may be ([`Session::may_give_back`]), unless something keeps it here. Says yes where upstream had to
    /// be asked first: then it is not given back yet.
    pub(in crate::session) async fn give_back(&mut self) -> Result<bool, SessionError> {
        if let Some(pooling) = &mut self.pooling
            && std::mem::take(&mut pooling.forgetting)
        {
            // It failed, or was never sent.
            pooling.may_have_forgotten();
        }
        let Some(pooling) = &self.pooling else { return Ok(false) };
        if pooling.hasty {
            return Ok(false);
        }
        if pooling.unsettled || self.path.uncertain() {
            Box::pin(self.settle_up()).await?;
            return Ok(true);
        }
        if pooling.lease.as_ref().is_some_and(|lease| lease.trace.is_crowded(pooling.sharing.statements())) {
            Box::pin(self.make_room()).await?;
            return Ok(true);
        }
        // What was set for a transaction went with it, and the rest is known.
        if let Some(pooling) = &mut self.pooling {
            pooling.strange = None;
        }
        let Some(pooling) = &self.pooling else { return Ok(false) };
        if pooling.is_kept() || self.names.keeps_connection() || !self.exchange.link.is_quiet() {
            return Ok(false);
        }
        // There are none any more, but they had a schema here.
        if *self.temporaries != Temporaries::default() {
            self.forget_temporaries();
            self.epoch += 1;
        }
        if self.has_short_limit() && !Box::pin(self.take_limit_off()).await? {
            return Ok(true);
        }
        let Some(pooling) = &mut self.pooling else { return Ok(false) };
        pooling.aim.nowhere().await;
        if let Some(lease) = pooling.lease.take() {
            let link = std::mem::replace(&mut self.exchange.link, Link::parked());
            pooling.sharing.release(Box::new(Shared { link, lease }));
        }
        Ok(false)
    }

    /// Whether its connection may be another session's when this one has ended, after DISCARD ALL.
    pub(in crate::session) fn can_be_followed(&mut self) -> bool {
        // That the client has said so itself does not matter.
        self.detached = false;
        if matches!(self.state, State::Closed) {
            self.state = State::Ready;
        }
        self.is_between() && self.footing.catalog.is_forgetful()
    }

    /// Whether no transaction is open and nothing is under way.
    fn is_between(&self) -> bool {
        matches!(self.state, State::Ready)
            && self.status == Status::Idle
            && !(self.block || self.skipping || self.unsynced || self.detached || self.unpublished || self.dirty || self.private)
            && self.expected.is_empty()
            && self.held_ready.is_none()
            && self.held_complete.is_empty()
            && self.instead.is_none()
            && self.upstream_rest == Rest::None
            && self.client_rest == Rest::None
            && self.exchange.link.is_quiet()
    }
}

/// Where cancels go of who has a connection.
fn target(Shared { link, lease }: &Shared) -> CancelTarget {
    CancelTarget { process_id: lease.process_id, secret: lease.secret_key.clone(), begun: link.begun() }
}
