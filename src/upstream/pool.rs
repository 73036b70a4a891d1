//! The only way to get an upstream connection.
//!
//! In: which login. Out: a [`Connection`] of a session's own, or one that others had before and will have after ([`Sharing`]). Never: more
//! connections of a login than the settings allow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::connect::{Account, Connection, Upstream, UpstreamError, connect};
use super::scram::Keys;
use super::shared::{Place, SharedSettings, Sharing};
use crate::config::PoolMode;

/// Which upstream login a connection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Login {
    /// `pgusher_session`: everybody but admins.
    Session,
    /// `pgusher_control`: admins.
    Control,
}

/// The admins' part of the pool.
#[derive(Clone, Debug)]
pub struct LaneSettings {
    /// Who logs in.
    pub account: Account,
    /// How many connections there may be at once.
    pub max_connections: usize,
}

/// What a pool needs to know.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Where upstream is.
    pub upstream: Upstream,
    /// The connections of ordinary sessions.
    pub shared: SharedSettings,
    /// For how long such a session has one, unless it asks for something else.
    pub mode: PoolMode,
    /// The login of admins' sessions.
    pub control: LaneSettings,
    /// How long an admin's session may wait for a connection.
    pub wait: Duration,
}

/// Upstream connections, counted per login.
#[derive(Debug)]
pub struct Pool {
    upstream: Upstream,
    shared: Arc<Sharing>,
    mode: PoolMode,
    control: Lane,
    wait: Duration,
}

#[derive(Debug)]
struct Lane {
    account: Account,
    keys: Keys,
    most: usize,
    places: Arc<Semaphore>,
}

/// A connection's place in the pool; dropping it frees the place.
#[derive(Debug)]
pub struct Permit(#[allow(dead_code, reason = "held for its Drop")] Held);

#[derive(Debug)]
enum Held {
    Own(#[allow(dead_code, reason = "held for its Drop")] OwnedSemaphorePermit),
    Shared(#[allow(dead_code, reason = "held for its Drop")] Place),
}

impl Permit {
    /// Only the pool gives out permits, and without one there is no [`Connection`].
    pub(super) fn of(permit: OwnedSemaphorePermit) -> Self {
        Self(Held::Own(permit))
    }

    /// The same for a connection that sessions take turns on.
    pub(super) fn shared(place: Place) -> Self {
        Self(Held::Shared(place))
    }
}

impl Pool {
    /// A pool without connections yet.
    pub fn new(settings: PoolSettings) -> Self {
        Self {
            shared: Sharing::new(settings.upstream.clone(), settings.shared),
            mode: settings.mode,
            upstream: settings.upstream,
            control: Lane::new(settings.control),
            wait: settings.wait,
        }
    }

    /// A fresh connection of this login, at its first ReadyForQuery. The parameters become its session defaults: they must have
    /// been admitted by startup.
    pub async fn acquire(&self, login: Login, parameters: &BTreeMap<String, String>) -> Result<Connection, UpstreamError> {
        match login {
            Login::Session => self.shared.fresh(parameters).await,
            Login::Control => {
                let permit = self.control.place(self.wait).await?;
                connect(&self.upstream, (&self.control.account, &self.control.keys), parameters, permit).await
            }
        }
    }

    /// The connections of ordinary sessions.
    pub fn shared(&self) -> &Arc<Sharing> {
        &self.shared
    }

    /// For how long such a session has one, unless it asks for something else.
    pub fn mode(&self) -> PoolMode {
        self.mode
    }

    /// How many connections this login may have.
    pub fn most(&self, login: Login) -> usize {
        match login {
            Login::Session => self.shared.most(),
            Login::Control => self.control.most,
        }
    }

    /// How many connections of this login may still be had, for metrics.
    pub fn free(&self, login: Login) -> usize {
        match login {
            Login::Session => self.shared.free(),
            Login::Control => self.control.places.available_permits(),
        }
    }

    /// Gives out no more connections; waiting ones are told so.
    pub fn close(&self) {
        self.control.places.close();
        self.shared.close();
    }
}

impl Lane {
    fn new(settings: LaneSettings) -> Self {
        let most = settings.max_connections;
        Self {
            account: settings.account,
            keys: Keys::default(),
            most,
            places: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
        }
    }

    async fn place(&self, wait: Duration) -> Result<Permit, UpstreamError> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => return Ok(Permit::of(permit)),
            Err(TryAcquireError::Closed) => return Err(UpstreamError::Closed),
            Err(TryAcquireError::NoPermits) => {}
        }
        match tokio::time::timeout(wait, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit::of(permit)),
            Ok(Err(_)) => Err(UpstreamError::Closed),
            Err(_) => Err(UpstreamError::NoneFree),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(max_connections: usize) -> Lane {
        Lane::new(LaneSettings { account: Account { user: "u".into(), password: None }, max_connections })
    }

    #[tokio::test]
    async fn a_full_lane_makes_one_wait_and_then_refuses() {
        let lane = lane(1);
        let held = lane.place(Duration::from_secs(1)).await.unwrap();
        assert!(matches!(lane.place(Duration::from_millis(10)).await, Err(UpstreamError::NoneFree)));
        drop(held);
        assert!(lane.place(Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn a_place_that_comes_back_goes_to_the_one_who_waits() {
        let lane = Arc::new(lane(1));
        let held = lane.place(Duration::ZERO).await.unwrap();
        let waiting = tokio::spawn({
            let lane = Arc::clone(&lane);
            async move { lane.place(Duration::from_secs(60)).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_closed_lane_gives_nothing() {
        let lane = lane(1);
        lane.places.close();
        assert!(matches!(lane.place(Duration::ZERO).await, Err(UpstreamError::Closed)));
    }
}
