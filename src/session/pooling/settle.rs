//! What is on a connection before it is given back: asked of upstream where a session may have left something that is not known.
//!
//! In: the connection in hand, and nothing under way on it. Out: what the session takes along, what keeps it here. Never: a time limit of
//! one session's in another's turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use tokio_postgres::error::SqlState;

use super::alone::{LIMITS, TEMP_BUFFERS, cannot_be_followed, is_short_limit};
use super::{APPLICATION_NAME, READ_ONLY, STATEMENT_TIMEOUT, digest};
use crate::catalog::load::Look;
use crate::error::session::SessionError;
use crate::session::run::Session;
use crate::upstream::housekeeping::Housekeeping;
use crate::upstream::{Carried, written};

/// What upstream says is on a connection.
#[derive(Deserialize)]
struct Left {
    settings: BTreeMap<String, String>,
    kept: Vec<String>,
}

impl Session {
    /// Asks upstream what is on the connection, if its statements have the time for that.
    pub(super) async fn settle_up(&mut self) -> Result<(), SessionError> {
        let (mut asked, mut limit) = (None, None);
        for attempt in 0..ASKING {
            // A cancel meets it once; what goes on is the session's own statement_timeout.
            if attempt > 1 && limit.is_none() {
                limit = self.unlimit().await?;
            }
            asked = self.ask_once(Housekeeping::Carry).await?;
            if asked.is_some() {
                break;
            }
        }
        let Some(answer) = asked else {
            return self.keep_limited(limit).await;
        };
        let nonsense = |_| SessionError::Broken("pgusher.carry() answers what is not understood");
        let look: Look = crate::catalog::load::look(&answer).map_err(nonsense)?;
        let Left { mut settings, mut kept } = serde_json::from_str(&answer).map_err(nonsense)?;
        self.looked(look);
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        pooling.unsettled = false;
        // What loosened a session that only reads goes nowhere with it, and does not stay here.
        let loosened = self.who.bearing.reading && settings.remove(READ_ONLY).is_some();
        pooling.settings = digest(&settings);
        let set = |name: &&str| settings.get(*name).is_some_and(|value| cannot_be_followed(name, value));
        kept.extend(LIMITS.iter().chain([&TEMP_BUFFERS]).filter(|name| set(name)).map(|name| (*name).to_owned()));
        pooling.kept = kept;
        let applied = Arc::new(settings);
        pooling.carried = applied.clone();
        if let Some(name) = pooling.application.as_ref().filter(|_| !applied.contains_key(APPLICATION_NAME)) {
            Arc::make_mut(&mut pooling.carried).insert(APPLICATION_NAME.to_owned(), name.clone());
        }
        if let Some(limit) = &limit {
            Arc::make_mut(&mut pooling.carried).insert(STATEMENT_TIMEOUT.to_owned(), limit.clone());
        }
        // It stays here, without the application's name of its startup: no turn will set that again. Nor its own limit.
        let missing = ((pooling.is_kept() || limit.is_some()) && applied != pooling.carried).then(|| pooling.carried.clone());
        if let Some(lease) = &mut pooling.lease {
            lease.trace.applied = applied;
            if loosened {
                lease.trace.detach();
                lease.trace.wrote = true;
            }
        }
        match missing {
            Some(carried) => self.restore(carried).await,
            None => Ok(()),
        }
    }

    /// The first value of the answer; none if the statement was canceled.
    async fn ask_once(&mut self, statement: Housekeeping<'_>) -> Result<Option<String>, SessionError> {
        match self.converse(statement).await? {
            Ok(answer) => Ok(Some(answer.rows.into_iter().flatten().flatten().next().unwrap_or_default())),
            Err(report) if report.code == SqlState::QUERY_CANCELED => Ok(None),
            Err(report) => Err(SessionError::Attach(report.message)),
        }
    }

    /// Takes the session's own `statement_timeout` off the connection in hand, and says what it was; none if there never was the time.
    async fn unlimit(&mut self) -> Result<Option<String>, SessionError> {
        for _ in 0..UNLIMITING {
            if let Some(limit) = self.ask_once(Housekeeping::Unlimit).await? {
                if let Some(lease) = self.pooling.as_mut().and_then(|pooling| pooling.lease.as_mut()) {
                    Arc::make_mut(&mut lease.trace.applied).insert(STATEMENT_TIMEOUT.to_owned(), "0".to_owned());
                }
                return Ok(Some(limit));
            }
        }
        Ok(None)
    }

    /// Whether a statement has so little time on the connection in hand that whoever comes next might lose the turn.
    pub(super) fn has_short_limit(&self) -> bool {
        let lease = self.pooling.as_ref().and_then(|pooling| pooling.lease.as_ref());
        lease.and_then(|lease| lease.trace.applied.get(STATEMENT_TIMEOUT)).is_some_and(|limit| is_short_limit(limit))
    }

    /// Takes that limit away before the connection is given back; it comes back with the session's next turn. Whether the connection may go.
    pub(super) async fn take_limit_off(&mut self) -> Result<bool, SessionError> {
        let limit = self.unlimit().await?;
        if limit.is_some() && self.exchange.link.is_quiet() {
            return Ok(true);
        }
        self.keep_limited(limit).await?;
        Ok(false)
    }

    /// The session keeps its connection until its next statement, and the limit that may have been taken off.
    async fn keep_limited(&mut self, limit: Option<String>) -> Result<(), SessionError> {
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        pooling.hasty = true;
        let applied = pooling.lease.as_ref().map(|lease| lease.trace.applied.clone());
        let (Some(limit), Some(mut settings)) = (limit, applied) else { return Ok(()) };
        Arc::make_mut(&mut settings).insert(STATEMENT_TIMEOUT.to_owned(), limit);
        self.restore(settings).await
    }

    /// Sets the name that the application had at startup, where DISCARD ALL took it off the connection in hand.
    pub(in crate::session) async fn restore_name(&mut self) -> Result<(), SessionError> {
        let Some(pooling) = &self.pooling else { return Ok(()) };
        let gone = pooling.lease.as_ref().is_some_and(|lease| !lease.trace.applied.contains_key(APPLICATION_NAME));
        match pooling.application.as_ref().filter(|_| gone) {
            Some(name) => self.restore(Arc::new([(APPLICATION_NAME.to_owned(), name.clone())].into())).await,
            None => Ok(()),
        }
    }

    /// Sets the session's settings on the connection in hand.
    async fn restore(&mut self, carried: Carried) -> Result<(), SessionError> {
        let set = self.converse(Housekeeping::Restore { settings: &written(&carried) }).await?;
        if let (Ok(_), Some(lease)) = (set, self.pooling.as_mut().and_then(|pooling| pooling.lease.as_mut())) {
            lease.trace.applied = carried;
        }
        Ok(())
    }
}

/// How often upstream is asked, if that is canceled.
const ASKING: usize = 4;

/// How often it is tried to take away a limit that cancels what takes it away.
const UNLIMITING: usize = 8;
