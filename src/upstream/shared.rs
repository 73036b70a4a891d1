//! Upstream connections that sessions take turns on.
//!
//! In: who wants a turn. Out: a [`Shared`] connection, whose last turn may have been anybody's. Never: more connections than the
//! settings allow, one session before another that asked earlier for the same, a connection given out that is known to be dead.
//!
//! A session that comes back gets the connection of its last turn while nobody else has had it: then nothing needs to be passed on.
//! Otherwise the one that was left alone the longest is taken, so that others' last connections stay theirs. Connections are made with a
//! client's startup settings, and are shared by sessions that gave the same ones (but for `application_name`): RESET goes back to those.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::attachment::Attachment;
use super::connect::{Account, Connection, Upstream, UpstreamError, connect};
use super::housekeeping::Housekeeping;
use super::owner::{self, ConverseError};
use super::pool::Permit;
use super::scram::Keys;
use super::send::{End, Link};
use super::trace::Trace;
use crate::policy::PrincipalId;
use crate::wire::backend::Status;

/// Startup settings of connections that may be shared.
pub type Profile = Arc<BTreeMap<String, String>>;

/// How connections are shared.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    /// Who logs in.
    pub account: Account,
    /// How many connections there may be at once.
    pub most: usize,
    /// How many are kept open although nobody wants them.
    pub least: usize,
    /// How many one principal's sessions may hold at once; 0: as many as there are.
    pub most_per_principal: usize,
    /// How many sessions may wait at once.
    pub queue: usize,
    /// How long a session may wait.
    pub wait: Duration,
    /// How long a connection that nobody wants is kept.
    pub idle: Duration,
    /// How many prepared statements a connection keeps.
    pub statements: usize,
}

#[cfg(test)]
impl SharedSettings {
    /// With so many connections, and what tests do not care about.
    pub(crate) fn plain(account: Account, most: usize) -> Self {
        let (wait, idle) = (Duration::from_secs(1), Duration::from_secs(60));
        Self { account, most, least: 0, most_per_principal: 0, queue: 100, wait, idle, statements: 100 }
    }
}

/// A connection that sessions share, in somebody's hand.
#[derive(Debug)]
pub struct Shared {
    /// The connection.
    pub link: Link,
    /// All about it but the bytes.
    pub lease: Box<Lease>,
}

/// A connection but for its bytes.
#[derive(Debug)]
pub struct Lease {
    /// Its backend's process id.
    pub process_id: i32,
    /// Its backend's cancel key.
    pub secret_key: Bytes,
    /// Every ParameterStatus of its login.
    pub parameters: Arc<BTreeMap<String, String>>,
    /// The search path that it has where no session has set one, as upstream said last.
    pub path: Arc<str>,
    /// Its transactions write, and see what others commit, unless a session has set that they do not.
    pub(super) writes: Arc<AtomicBool>,
    /// What the sessions before have left on it.
    pub trace: Trace,
    profile: Profile,
    /// A session had it before.
    pub used: bool,
    holding: Option<Holding>,
    left_at: Instant,
    #[allow(dead_code, reason = "held for its Drop")]
    permit: Permit,
}

impl Lease {
    /// Takes note of the path that upstream has just said.
    pub fn has_path(&mut self, path: &str) {
        if *self.path != *path {
            self.path = path.into();
        }
    }
}

/// Connections in nobody's hand. Whoever takes one takes its box along.
#[allow(clippy::vec_box, reason = "they pass from hand to hand with every turn, and are large")]
type Idle = Vec<Box<Shared>>;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections there are, also those being made.
    pub open: usize,
    /// Of them, nobody's at the moment.
    pub idle: usize,
    /// Sessions that wait for one.
    pub waiting: usize,
    /// Turns so far.
    pub turns: u64,
    /// Of them, on a connection that was taken as it is: of the session itself, or of one like it.
    pub again: u64,
    /// How long sessions have waited in all.
    pub waited: Duration,
    /// Sessions that waited in vain.
    pub vain: u64,
}

/// The connections of one login.
#[derive(Debug)]
pub struct Sharing {
    upstream: Upstream,
    settings: SharedSettings,
    keys: Keys,
    /// Transactions of connections that were opened as such which write still do: an operator may change that.
    writes: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The one left last is the last.
    idle: Idle,
    /// In the order in which they came, which is that of their numbers.
    waiting: VecDeque<Waiting>,
    /// The number of who comes next.
    next: u64,
    /// How many connections each principal's sessions hold.
    held: HashMap<PrincipalId, usize>,
    figures: Figures,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    principal: PrincipalId,
    profile: Profile,
    grant: oneshot::Sender<Grant>,
}

/// What one gets who waits.
#[derive(Debug)]
enum Grant {
    Connection(Box<Shared>),
    /// The right to make one.
    Place(Place, Holding),
}

/// A connection's place; dropping it frees the place. Not to be dropped where the lock is held.
#[derive(Debug)]
pub struct Place(Option<Arc<Sharing>>);

/// A principal's hold of one connection. Not to be dropped where the lock is held.
#[derive(Debug)]
struct Holding(Option<Arc<Sharing>>, PrincipalId);

/// Who wants a turn.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a> {
    /// What the session is attached by, if it is already.
    pub attachment: Option<&'a Attachment>,
    /// Its principal.
    pub principal: PrincipalId,
    /// Its startup settings.
    pub profile: &'a Profile,
}

impl Sharing {
    /// Without connections yet.
    pub fn new(upstream: Upstream, settings: SharedSettings) -> Arc<Self> {
        Arc::new(Self { upstream, settings, keys: Keys::default(), writes: Arc::new(true.into()), state: Mutex::default() })
    }

    /// A connection for a turn, if one is there and nobody waits.
    pub fn acquire_at_once(self: &Arc<Self>, taker: Taker<'_>) -> Option<Box<Shared>> {
        // Dropped after the lock.
        let mut gone = Vec::new();
        let mut state = self.lock();
        let free = !state.closed && state.waiting.is_empty();
        let shared = if free { self.take(&mut state, taker, &mut gone) } else { None };
        drop(state);
        // What cannot be moved to this thread is as good as dead.
        shared?.here().ok()
    }

    /// A connection for a turn, as soon as there is one.
    pub async fn acquire(self: &Arc<Self>, taker: Taker<'_>) -> Result<Box<Shared>, UpstreamError> {
        // Dropped after the lock.
        let mut gone = Vec::new();
        let mut queued = {
            let mut state = self.lock();
            if state.closed {
                return Err(UpstreamError::Closed);
            }
            if state.waiting.is_empty()
                && let Some(shared) = self.take(&mut state, taker, &mut gone)
            {
                drop(state);
                return shared.here();
            }
            if state.waiting.len() >= self.settings.queue {
                state.figures.vain += 1;
                return Err(UpstreamError::QueueFull);
            }
            let (number, (grant, granted)) = (state.next, oneshot::channel());
            state.next += 1;
            state.waiting.push_back(Waiting { number, principal: taker.principal, profile: taker.profile.clone(), grant });
            self.grant(&mut state, &mut gone);
            Queued { sharing: self.clone(), number, granted, since: Instant::now(), in_vain: false }
        };
        drop(gone);
        let waited = tokio::time::timeout(self.settings.wait, &mut queued.granted).await;
        queued.in_vain = waited.is_err();
        drop(queued);
        match waited {
            Ok(Ok(Grant::Connection(shared))) => shared.here(),
            // Boxed: who waits for a connection that is there carries no room for making one.
            Ok(Ok(Grant::Place(place, holding))) => Box::pin(self.open(place, Some(holding), taker.profile)).await.map(Box::new),
            Ok(Err(_)) => Err(UpstreamError::Closed),
            Err(_) => Err(UpstreamError::NoneFree),
        }
    }

    /// Gives a connection back after a turn, for the next who wants one. It must stand outside any transaction, and nothing may be on
    /// its way to or from it.
    pub fn release(self: &Arc<Self>, mut shared: Box<Shared>) {
        let holding = shared.lease.holding.take();
        if !shared.link.is_quiet() || shared.link.has_canceled_turn() {
            return;
        }
        shared.lease.left_at = Instant::now();
        shared.lease.used = true;
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if let Some(holding) = holding {
            holding.let_go(&mut state);
        }
        state.idle.push(shared);
        let mut gone = Vec::new();
        self.grant(&mut state, &mut gone);
        drop(state);
        drop(gone);
    }

    /// A connection with these startup settings that nobody had before, nor has after.
    pub async fn fresh(self: &Arc<Self>, parameters: &BTreeMap<String, String>) -> Result<Connection, UpstreamError> {
        let place = self.place().ok_or(UpstreamError::NoneFree)?;
        connect(&self.upstream, (&self.settings.account, &self.keys), parameters, Permit::shared(place)).await
    }

    /// What is counted now.
    pub fn figures(&self) -> Figures {
        let state = self.lock();
        Figures { idle: state.idle.len(), waiting: state.waiting.len(), ..state.figures }
    }

    /// How many connections may still be had.
    pub fn free(&self) -> usize {
        let state = self.lock();
        (self.settings.most + state.idle.len()).saturating_sub(state.figures.open)
    }

    /// How many prepared statements a connection keeps.
    pub fn statements(&self) -> usize {
        self.settings.statements
    }

    /// How many connections there may be at once.
    pub fn most(&self) -> usize {
        self.settings.most
    }

    /// Gives out no more connections; waiting ones are told so.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let gone = (std::mem::take(&mut state.idle), std::mem::take(&mut state.waiting));
        drop(state);
        drop(gone);
    }

    /// Closes what nobody wants and what is dead, and keeps as many open as are to be, until the pool is closed.
    pub async fn tend(self: Arc<Self>) {
        let mut tick = tokio::time::interval(TEND_EVERY);
        let plain = Profile::default();
        loop {
            tick.tick().await;
            let (gone, wanted) = {
                let mut state = self.lock();
                if state.closed {
                    return;
                }
                let mut spare = state.figures.open.saturating_sub(self.settings.least);
                let mut gone = Vec::new();
                let mut kept = Vec::with_capacity(state.idle.len());
                for mut shared in std::mem::take(&mut state.idle) {
                    let old = shared.lease.left_at.elapsed() > self.settings.idle && spare > 0;
                    spare -= usize::from(old);
                    if old || shared.link.is_disturbed() { gone.push(shared) } else { kept.push(shared) }
                }
                state.idle = kept;
                let wanted = self.settings.least.saturating_sub(state.figures.open - gone.len());
                (gone, wanted)
            };
            for shared in gone {
                shared.part().await;
            }
            for _ in 0..wanted {
                let Some(place) = self.place() else { break };
                // Whoever needs one is told why there is none.
                let Ok(shared) = self.open(place, None, &plain).await else { break };
                self.release(Box::new(shared));
            }
        }
    }

    /// A connection that is there. What turns out to be dead is to be dropped when the lock is free.
    fn take(self: &Arc<Self>, state: &mut State, taker: Taker<'_>, gone: &mut Idle) -> Option<Box<Shared>> {
        if self.is_full_for(state, taker.principal) {
            return None;
        }
        loop {
            // Other startup settings are another connection's, whoever's it was.
            let fits = |shared: &Shared| shared.lease.profile == *taker.profile;
            let found = |is: fn(&Trace, &Attachment) -> bool| {
                taker.attachment.and_then(|by| state.idle.iter().rposition(|shared| is(&shared.lease.trace, by) && fits(shared)))
            };
            let own = found(Trace::is_of);
            let ready = own.or_else(|| found(Trace::serves));
            let at = ready.or_else(|| state.idle.iter().position(|shared| fits(shared)))?;
            let mut shared = state.idle.remove(at);
            if shared.link.is_disturbed() || (shared.lease.trace.spoiled && own.is_none()) {
                gone.push(shared);
                continue;
            }
            shared.lease.holding = Some(Holding::of(self, state, taker.principal));
            state.figures.turns += 1;
            state.figures.again += u64::from(ready.is_some());
            return Some(shared);
        }
    }

    fn is_full_for(&self, state: &State, principal: PrincipalId) -> bool {
        let most = self.settings.most_per_principal;
        most > 0 && state.held.get(&principal).is_some_and(|held| *held >= most)
    }

    /// Serves those who wait, in their order, as far as can be; what had to give way is to be dropped when the lock is free.
    fn grant(self: &Arc<Self>, state: &mut State, gone: &mut Idle) {
        let mut at = 0;
        while let Some(waiting) = state.waiting.get(at) {
            let principal = waiting.principal;
            if self.is_full_for(state, principal) {
                // Others need not wait for somebody's own limit.
                at += 1;
                continue;
            }
            let profile = waiting.profile.clone();
            let taken = self.take(state, Taker { attachment: None, principal, profile: &profile }, gone);
            if taken.is_none() && state.figures.open >= self.settings.most {
                if state.idle.is_empty() {
                    return;
                }
                // One with other settings gives way.
                gone.push(state.idle.remove(0));
            }
            let grant = match taken {
                Some(shared) => Grant::Connection(shared),
                None => {
                    state.figures.open += 1;
                    Grant::Place(Place(Some(self.clone())), Holding::of(self, state, principal))
                }
            };
            let refused = state.waiting.remove(at).and_then(|waiting| waiting.grant.send(grant).err());
            match refused {
                // Somebody stopped waiting just now.
                Some(Grant::Connection(mut shared)) => {
                    if let Some(holding) = shared.lease.holding.take() {
                        holding.let_go(state);
                    }
                    gone.push(shared);
                }
                Some(Grant::Place(mut place, holding)) => {
                    holding.let_go(state);
                    place.0 = None;
                    state.figures.open -= 1;
                }
                None => {}
            }
        }
    }

    fn place(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.lock();
        if state.closed || state.figures.open >= self.settings.most {
            return None;
        }
        state.figures.open += 1;
        Some(Place(Some(self.clone())))
    }

    async fn open(self: &Arc<Self>, place: Place, holding: Option<Holding>, profile: &Profile) -> Result<Shared, UpstreamError> {
        let made = connect(&self.upstream, (&self.settings.account, &self.keys), profile, Permit::shared(place)).await?;
        let mut link = Link::new(made.stream, made.read_ahead);
        let mut parameters = made.parameters;
        let shown = owner::converse(&mut link, &Housekeeping::Defaults, End::Sync, Status::Idle, &mut |_, _| {}).await;
        let (path, writes) = match shown {
            Ok(answer) => {
                let mut values = answer.rows.into_iter().flatten().flatten();
                (values.next().unwrap_or_default(), values.next().is_some_and(|writes| writes == "t"))
            }
            Err(ConverseError::Lost(cause)) => return Err(UpstreamError::Lost(cause)),
            Err(ConverseError::Refused { error, .. }) => {
                return Err(UpstreamError::Refused { code: error.code, message: error.message });
            }
        };
        parameters.remove("application_name");
        self.lock().figures.turns += u64::from(holding.is_some());
        let lease = Box::new(Lease {
            process_id: made.process_id,
            secret_key: made.secret_key,
            parameters: Arc::new(parameters),
            path: path.into(),
            writes: if writes { self.writes.clone() } else { Arc::default() },
            trace: Trace::default(),
            profile: profile.clone(),
            used: false,
            holding,
            left_at: Instant::now(),
            permit: made.permit,
        });
        Ok(Shared { link, lease })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Shared {
    /// A connection that there is none of.
    pub(super) fn nobodys() -> Self {
        let lease = Lease {
            process_id: 1,
            secret_key: Bytes::new(),
            parameters: Arc::default(),
            path: "".into(),
            writes: Arc::new(true.into()),
            trace: Trace::default(),
            profile: Profile::default(),
            used: false,
            holding: None,
            left_at: Instant::now(),
            permit: Permit::shared(Place(None)),
        };
        Self { link: Link::parked(), lease: Box::new(lease) }
    }
}

impl Shared {
    /// For the thread of whoever has it now.
    fn here(mut self: Box<Self>) -> Result<Box<Self>, UpstreamError> {
        self.link.move_here().map_err(UpstreamError::Lost)?;
        Ok(self)
    }

    /// Says goodbye and closes.
    async fn part(self: Box<Self>) {
        let Self { link, lease } = *self;
        let _ = tokio::time::timeout(FAREWELL, link.close_stream()).await;
        drop(lease);
    }
}

impl Holding {
    fn of(sharing: &Arc<Sharing>, state: &mut State, principal: PrincipalId) -> Self {
        *state.held.entry(principal).or_default() += 1;
        Self(Some(sharing.clone()), principal)
    }

    /// The same as dropping it, where the lock is held.
    fn let_go(mut self, state: &mut State) {
        self.0 = None;
        state.let_go(self.1);
    }
}

/// Somebody's place in the queue, which is left when this is dropped.
struct Queued {
    sharing: Arc<Sharing>,
    number: u64,
    granted: oneshot::Receiver<Grant>,
    since: Instant,
    in_vain: bool,
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut state = self.sharing.lock();
        state.figures.waited += self.since.elapsed();
        state.figures.vain += u64::from(self.in_vain);
        if let Ok(at) = state.waiting.binary_search_by_key(&self.number, |waiting| waiting.number) {
            let waiting = state.waiting.remove(at);
            drop(state);
            drop(waiting);
            return;
        }
        drop(state);
        // Granted just now, and not wanted any more.
        if let Ok(Grant::Connection(shared)) = self.granted.try_recv() {
            self.sharing.release(shared);
        }
    }
}

impl State {
    fn let_go(&mut self, principal: PrincipalId) {
        if let Some(held) = self.held.get_mut(&principal) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&principal);
            }
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let Some(sharing) = self.0.take() else { return };
        let mut gone = Vec::new();
        let mut state = sharing.lock();
        state.let_go(self.1);
        sharing.grant(&mut state, &mut gone);
        drop(state);
        drop(gone);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(sharing) = self.0.take() else { return };
        let mut gone = Vec::new();
        let mut state = sharing.lock();
        state.figures.open -= 1;
        sharing.grant(&mut state, &mut gone);
        drop(state);
        drop(gone);
    }
}

/// How often idle connections are looked after.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);
