//! Open sessions as others may reach them: to cancel a statement, or to end them.
//!
//! In: our own cancel keys and the reasons to end sessions. Out: a CancelRequest on exactly the upstream connection of one session,
//! and a signal that its loop waits for. Never: upstream's keys shown to a client, or a cancel that reaches somebody else's statement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, Notify};

use super::attachment::Attachments;
use super::connect::{Upstream, UpstreamError, dial};
use super::turn::Begun;
use crate::event::SessionId;
use crate::policy::PrincipalId;

/// The code of a CancelRequest.
const CANCEL_CODE: i32 = 80_877_102;

/// The length of a secret in protocol 3.2 and in older ones.
const LONG_SECRET: usize = 32;
const SHORT_SECRET: usize = 4;

/// The protocol's minor from which secrets are long.
const LONG_SECRET_MINOR: u16 = 2;

/// How long upstream may take to close after a CancelRequest.
const CANCEL_TIME: Duration = Duration::from_secs(10);

/// What a client must show to cancel: our own numbers, unrelated to upstream's.
#[derive(Clone, PartialEq, Eq)]
pub struct CancelKey {
    /// The process id.
    pub process_id: i32,
    /// The secret: 32 bytes from protocol 3.2 on, else 4.
    pub secret: Arc<[u8]>,
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelKey({})", self.process_id)
    }
}

/// Where a CancelRequest for a session must go: its upstream backend.
#[derive(Clone)]
pub struct CancelTarget {
    /// The backend's process id.
    pub process_id: i32,
    /// The backend's secret.
    pub secret: Bytes,
    /// Tells when it runs the session's own statements; nothing: it always does.
    pub begun: Option<Arc<Begun>>,
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its token was revoked or its principal disabled: 28000.
    Revoked,
    /// We are shutting down: 57P01.
    Draining,
}

/// An open session as the store sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Our number of it.
    pub session: SessionId,
    /// The number that `pgusher.attach` gave it.
    pub slot: i64,
    /// Whose it is.
    pub principal: PrincipalId,
}

/// Every open session.
pub struct Registry {
    upstream: Upstream,
    /// This proxy among those that share a policy store.
    proxy: i64,
    sessions: DashMap<i32, Arc<Seat>>,
    draining: AtomicBool,
    /// What sessions are attached by.
    pub attachments: Attachments,
}

struct Seat {
    session: SessionId,
    principal: PrincipalId,
    token: Arc<str>,
    secret: Arc<[u8]>,
    slot: std::sync::Mutex<Option<i64>>,
    // Held while a CancelRequest is under way, so that the target cannot pass to another session before upstream has acted on it.
    target: Mutex<Target>,
    // Told of a cancel that came while there was no target.
    missed: Notify,
    ending: OnceLock<Ending>,
    // Told of that.
    over: Notify,
}

/// Where a session's cancels go.
#[derive(Default)]
struct Target {
    now: Option<CancelTarget>,
    /// Counts the connections it has been on.
    moves: u64,
}

/// A session's place in the [`Registry`]; it leaves when this is dropped.
pub struct Enlisted {
    registry: Arc<Registry>,
    seat: Arc<Seat>,
    key: CancelKey,
}

impl Registry {
    /// A registry whose cancels go to this upstream.
    pub fn new(upstream: Upstream) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            proxy: rand::random_range(1..=i64::MAX),
            sessions: DashMap::new(),
            draining: AtomicBool::new(false),
            attachments: Attachments::default(),
        })
    }

    /// The number of this proxy, by which the policy store tells its sessions from others'.
    pub fn proxy(&self) -> i64 {
        self.proxy
    }

    /// Takes a session in and issues its cancel key, of the length that protocol 3.`minor` has.
    pub fn enlist(self: &Arc<Self>, minor: u16, session: SessionId, principal: PrincipalId, token: Arc<str>) -> Enlisted {
        let secret: Arc<[u8]> = if minor >= LONG_SECRET_MINOR {
            Arc::from(rand::random::<[u8; LONG_SECRET]>())
        } else {
            Arc::from(rand::random::<[u8; SHORT_SECRET]>())
        };
        let seat = Arc::new(Seat {
            session,
            principal,
            token,
            secret: secret.clone(),
            slot: std::sync::Mutex::new(None),
            target: Mutex::default(),
            missed: Notify::new(),
            ending: OnceLock::new(),
            over: Notify::new(),
        });
        let process_id = self.seat(&seat);
        // Read after the seat is in the map: a drain that begins now either sees the seat there or is seen here.
        if self.draining.load(Ordering::SeqCst) {
            seat.end(Ending::Draining);
        }
        Enlisted { registry: Arc::clone(self), seat, key: CancelKey { process_id, secret } }
    }

    /// Cancels what the session with this key runs upstream. Whether there is such a session cannot be told from the outcome;
    /// the error is for the log.
    pub async fn cancel(&self, process_id: i32, secret: &[u8]) -> Result<(), UpstreamError> {
        // The clone lets go of the map before anything is awaited.
        let Some(seat) = self.sessions.get(&process_id).map(|seat| Arc::clone(&seat)) else { return Ok(()) };
        if same(&seat.secret, secret) { seat.cancel(&self.upstream).await } else { Ok(()) }
    }

    /// Has cancels for the session with this key go to another backend from now on; gives where they went before. Returns when none
    /// is under way to that.
    pub async fn aim(&self, process_id: i32, target: Option<CancelTarget>) -> Option<CancelTarget> {
        let seat = self.sessions.get(&process_id).map(|seat| Arc::clone(&seat))?;
        std::mem::replace(&mut seat.target.lock().await.now, target)
    }

    /// The sessions that are attached upstream. To compare them with the rows of `pgusher.session`, take this list *before*
    /// reading the rows: a session that attaches in between would else look like one whose row is gone.
    pub fn open(&self) -> Vec<OpenSession> {
        self.sessions
            .iter()
            .filter_map(|seat| {
                let slot = seat.slot()?;
                Some(OpenSession { session: seat.session, slot, principal: seat.principal })
            })
            .collect()
    }

    /// Every session: its number, principal and token, and whether it has a connection at the moment.
    pub fn list(&self) -> Vec<(SessionId, PrincipalId, Arc<str>, bool)> {
        let mut list: Vec<_> = self
            .sessions
            .iter()
            .map(|seat| {
                let here = seat.target.try_lock().is_ok_and(|target| target.now.is_some());
                (seat.session, seat.principal, seat.token.clone(), here)
            })
            .collect();
        list.sort_by_key(|(session, ..)| session.0);
        list
    }

    /// How many sessions there are, attached or not.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Ends the session that is attached as `slot`.
    pub fn terminate(&self, slot: i64, ending: Ending) {
        self.end_where(ending, |seat| seat.slot() == Some(slot));
    }

    /// Ends every session of a principal.
    pub fn terminate_principal(&self, principal: PrincipalId, ending: Ending) {
        self.end_where(ending, |seat| seat.principal == principal);
    }

    /// Ends every session that logged in with a token.
    pub fn terminate_token(&self, token: &str, ending: Ending) {
        self.end_where(ending, |seat| &*seat.token == token);
    }

    /// Ends every session, and every one that enlists from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.end_where(Ending::Draining, |_| true);
    }

    /// Whether [`Registry::drain`] has been called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn end_where(&self, ending: Ending, matches: impl Fn(&Seat) -> bool) {
        for seat in self.sessions.iter().filter(|seat| matches(seat)) {
            seat.end(ending);
        }
    }

    /// Puts a seat under a process id that nobody has.
    fn seat(&self, seat: &Arc<Seat>) -> i32 {
        loop {
            let process_id = rand::random_range(1..=i32::MAX);
            if let Entry::Vacant(vacant) = self.sessions.entry(process_id) {
                vacant.insert(Arc::clone(seat));
                return process_id;
            }
        }
    }
}

impl Seat {
    fn slot(&self) -> Option<i64> {
        *self.slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The first reason stands.
    fn end(&self, ending: Ending) {
        if self.ending.set(ending).is_ok() {
            self.over.notify_waiters();
        }
    }

    /// Cancels the session's statement, which may have yet to begin: what gives a backend the session's identity is none.
    async fn cancel(&self, upstream: &Upstream) -> Result<(), UpstreamError> {
        let mut target = self.target.lock().await;
        let moves = target.moves;
        let Some(now) = &target.now else {
            self.missed.notify_waiters();
            return Ok(());
        };
        if let Some(begun) = now.begun.clone().filter(|begun| !begun.is()) {
            drop(target);
            if !matches!(tokio::time::timeout(CANCEL_TIME, begun.wait()).await, Ok(true)) {
                return Ok(());
            }
            target = self.target.lock().await;
        }
        match &target.now {
            Some(now) if target.moves == moves => send_cancel(upstream, now).await,
            // What it was for is over.
            Some(_) | None => Ok(()),
        }
    }

    /// The same, whatever the backend does.
    async fn cancel_now(&self, upstream: &Upstream) -> Result<(), UpstreamError> {
        match &self.target.lock().await.now {
            Some(target) => send_cancel(upstream, target).await,
            None => Ok(()),
        }
    }
}

/// Where cancels for a session go, as the session itself says.
#[derive(Clone)]
pub struct Aim(Arc<Seat>);

impl Aim {
    /// To this backend from now on.
    pub async fn at(&self, target: CancelTarget) {
        let mut aimed = self.0.target.lock().await;
        aimed.now = Some(target);
        aimed.moves += 1;
    }

    /// The same, unless one is under way: then it gives the target back.
    pub fn at_once(&self, target: CancelTarget) -> Result<(), CancelTarget> {
        let Ok(mut aimed) = self.0.target.try_lock() else { return Err(target) };
        aimed.now = Some(target);
        aimed.moves += 1;
        Ok(())
    }

    /// Nowhere from now on. Returns when none is under way, so that the connection may be given away.
    pub async fn nowhere(&self) {
        if let Ok(mut aimed) = self.0.target.try_lock() {
            aimed.now = None;
            return;
        }
        self.0.target.lock().await.now = None;
    }

    /// Does this, unless a cancel comes while it has nowhere to go.
    pub async fn unless_canceled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let missed = self.0.missed.notified();
        tokio::pin!(missed);
        missed.as_mut().enable();
        tokio::select! {
            biased;
            done = work => Some(done),
            () = missed => None,
        }
    }
}

impl Enlisted {
    /// For whoever moves the session from one connection to another.
    pub fn aim_of(&self) -> Aim {
        Aim(Arc::clone(&self.seat))
    }

    /// What the client is told in BackendKeyData.
    pub fn key(&self) -> &CancelKey {
        &self.key
    }

    /// Cancels for this session go to this backend from now on.
    pub async fn aim(&self, process_id: i32, secret: Bytes) {
        self.seat.target.lock().await.now = Some(CancelTarget { process_id, secret, begun: None });
    }

    /// Cancels for this session go nowhere from now on. Returns when none is under way, so that the connection may be given away.
    pub async fn disarm(&self) {
        self.seat.target.lock().await.now = None;
    }

    /// The session is attached upstream under this number.
    pub fn attached(&self, slot: i64) {
        *self.seat.slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(slot);
    }

    /// Cancels what this session itself runs upstream, and be it the beginning of its turn: for a session that has to end while a
    /// statement is in flight.
    pub async fn cancel(&self) -> Result<(), UpstreamError> {
        self.seat.cancel_now(&self.registry.upstream).await
    }

    /// Returns when the session has to end. May be dropped and called again.
    pub async fn ended(&self) -> Ending {
        loop {
            let over = self.seat.over.notified();
            tokio::pin!(over);
            // Told of what comes between the look and the wait.
            over.as_mut().enable();
            if let Some(ending) = self.ending() {
                return ending;
            }
            over.await;
        }
    }

    /// Why the session has to end, if it has to.
    pub fn ending(&self) -> Option<Ending> {
        self.seat.ending.get().copied()
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        self.registry.sessions.remove(&self.key.process_id);
    }
}

/// Opens a connection by the same rules as for a session, sends the request and waits until upstream has closed: only then has it
/// signaled the backend.
async fn send_cancel(upstream: &Upstream, target: &CancelTarget) -> Result<(), UpstreamError> {
    let attempt = async {
        let mut stream = dial(upstream).await?.stream;
        stream.write_all(&cancel_request(target)).await.map_err(UpstreamError::Lost)?;
        stream.flush().await.map_err(UpstreamError::Lost)?;
        let mut end = [0u8; 16];
        while matches!(stream.read(&mut end).await, Ok(count) if count > 0) {}
        Ok(())
    };
    tokio::time::timeout(CANCEL_TIME, attempt).await.unwrap_or(Err(UpstreamError::TooSlow))
}

fn cancel_request(target: &CancelTarget) -> BytesMut {
    let mut request = BytesMut::with_capacity(12 + target.secret.len());
    request.put_u32(u32::try_from(12 + target.secret.len()).unwrap_or(u32::MAX));
    request.put_i32(CANCEL_CODE);
    request.put_i32(target.process_id);
    request.put_slice(&target.secret);
    request
}

/// Equality in a time that depends on the lengths only.
fn same(ours: &[u8], given: &[u8]) -> bool {
    let difference = ours.iter().zip(given).fold(0u8, |difference, (a, b)| std::hint::black_box(difference | (a ^ b)));
    (ours.len() == given.len()) & (difference == 0)
}

#[cfg(test)]
mod tests;
