//! The accept loop, and its end.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use futures_util::future::Either;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ListenSettings;
use super::door::is_there;
use super::door::{Arrival, BindError, Door};
use super::limits::{After, Failures, Place, Places};
use super::threads::{Berth, Threads};
use crate::authn::{Directory, Throttle};
use crate::error::Report;
use crate::error::edge::StartupError;
use crate::event::{Event, Events, SessionId};
use crate::startup::{self, Accepted, Authenticated, Rules};
use crate::upstream::Registry;
use crate::wire::ClientStream;

/// What every client passes.
pub struct Gate {
    /// What startups go by; replaced as a whole when the configuration or the certificate is read again.
    pub rules: ArcSwap<Rules>,
    /// The open sessions.
    pub registry: Arc<Registry>,
    /// Where credentials are.
    pub directory: Arc<dyn Directory>,
    /// Logins that failed of late.
    pub throttle: Throttle,
    /// Where events go.
    pub events: Events,
}

/// The bound sockets, before and while they are served.
#[derive(Debug)]
pub struct Listener {
    doors: Vec<Door>,
    places: Places,
    drain_timeout: Duration,
    next_door: usize,
    next_session: Arc<AtomicU64>,
    failures: Failures,
}

impl Listener {
    /// Binds everything in the settings, or nothing. Must be called inside the runtime.
    pub fn bind(settings: &ListenSettings) -> Result<Self, BindError> {
        let tcp = settings.tcp.iter().filter(|address| is_there(**address, &settings.tcp)).map(|address| Door::tcp(*address));
        let unix = settings.unix.iter().map(Door::unix);
        Ok(Self {
            doors: tcp.chain(unix).collect::<Result<_, _>>()?,
            places: Places::new(settings.max_connections),
            drain_timeout: settings.drain_timeout,
            next_door: 0,
            next_session: Arc::new(AtomicU64::new(1)),
            failures: Failures::default(),
        })
    }

    /// The TCP addresses that were bound, with the ports that were free.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(Door::address).collect()
    }

    /// Where sessions' numbers come from, so that nobody else's are the same.
    pub fn numbers(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.next_session)
    }

    /// Serves until `shutdown` becomes true (or its sender is gone): then tells every session to end, turns new clients away, and
    /// returns when the last session has ended or the drain's time is over.
    pub async fn serve<S, F>(mut self, gate: Arc<Gate>, session: S, threads: Arc<Threads>, mut shutdown: watch::Receiver<bool>)
    where
        S: Fn(Authenticated) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                arrival = self.arrival(&gate.events) => self.receive(arrival, false, &gate, &session, &threads, &mut sessions),
                Some(ended) = sessions.join_next() => note_panic(ended, &gate.events),
                _ = shutdown.wait_for(|stop| *stop) => break,
            }
        }
        gate.registry.drain();
        // The sessions that are to be waited for; clients turned away from now on are not among them.
        let mut turned_away = JoinSet::new();
        let deadline = tokio::time::sleep(self.drain_timeout);
        tokio::pin!(deadline);
        while !sessions.is_empty() {
            tokio::select! {
                arrival = self.arrival(&gate.events) => self.receive(arrival, true, &gate, &session, &threads, &mut turned_away),
                Some(ended) = sessions.join_next() => note_panic(ended, &gate.events),
                Some(_) = turned_away.join_next() => {}
                () = &mut deadline => break,
            }
        }
    }

    /// The next socket at any door. Nothing is lost if this is dropped.
    async fn arrival(&mut self, events: &Events) -> Arrival {
        loop {
            let accepted = poll_fn(|cx| {
                // Begins behind the door that was last, so that a busy one does not keep the others waiting.
                for step in 0..self.doors.len() {
                    let at = (self.next_door + step) % self.doors.len();
                    if let Some(Poll::Ready(accepted)) = self.doors.get(at).map(|door| door.poll_accept(cx)) {
                        self.next_door = at + 1;
                        return Poll::Ready(accepted);
                    }
                }
                Poll::Pending
            })
            .await;
            match accepted {
                Ok(arrival) => {
                    self.failures.success();
                    return arrival;
                }
                Err(error) => match self.failures.failure(&error) {
                    After::GoOn => {}
                    After::Pause { time, report } => {
                        if report {
                            events.emit(Event::Trouble { part: "listener", message: Arc::from(format!("accept: {error}")) });
                        }
                        tokio::time::sleep(time).await;
                    }
                },
            }
        }
    }

    fn receive<S, F>(
        &self,
        arrival: Arrival,
        draining: bool,
        gate: &Arc<Gate>,
        session: &S,
        threads: &Threads,
        tasks: &mut JoinSet<()>,
    ) where
        S: Fn(Authenticated) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stream, address) = arrival;
        match self.places.take(draining) {
            Some((place, admission)) => {
                let id = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
                let accepted = Accepted { stream, address, session: id, admission };
                let berth = threads.berth();
                let handle = berth.handle.clone();
                tasks.spawn_on(attend(accepted, (place, berth), Arc::clone(gate), session.clone()), &handle);
            }
            None => drop_politely(&stream),
        }
    }
}

/// One client, from accept to close.
async fn attend<S, F>(mut accepted: Accepted, (place, berth): (Place, Berth), gate: Arc<Gate>, session: S)
where
    S: Fn(Authenticated) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (id, began) = (accepted.session, Instant::now());
    if berth.elsewhere && accepted.stream.move_here().is_err() {
        return;
    }
    gate.events.emit(Event::Accepted { session: id, address: accepted.address });
    let login = async {
        let rules = gate.rules.load_full();
        let by = (&*gate.directory, &gate.throttle);
        let authenticated = startup::run(accepted, &rules, &gate.registry, by, &gate.events).await?;
        Some(match authenticated.admin {
            true => Either::Left(Box::pin(apart(authenticated, session, &berth.home, &gate.events))),
            false => Either::Right(session(authenticated)),
        })
    };
    // A login takes more memory than a session, and for a moment only.
    if let Some(serving) = Box::pin(login).await {
        serving.await;
    }
    gate.events.emit(Event::Closed { session: id, duration: began.elapsed() });
    drop((place, berth));
}

/// Administrators change policies, and loading those can take long: nobody else's session is to wait on their thread.
async fn apart<S, F>(mut authenticated: Authenticated, session: S, home: &Handle, events: &Events)
where
    S: Fn(Authenticated) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // It ends when this is dropped.
    let mut task = JoinSet::new();
    let served = async move {
        if authenticated.stream.move_here().is_ok() {
            session(authenticated).await;
        }
    };
    task.spawn_on(served, home);
    while let Some(ended) = task.join_next().await {
        note_panic(ended, events);
    }
}

/// For those beyond even the overflow: what fits into the socket at once, and goodbye.
fn drop_politely(stream: &ClientStream) {
    let mut out = BytesMut::new();
    Report::from(&StartupError::Full).write(&mut out);
    // Best effort: under such a flood nobody waits for anyone.
    let _ = match stream {
        ClientStream::Tcp(stream) => stream.try_write(&out),
        ClientStream::Unix(stream) => stream.try_write(&out),
        ClientStream::Tls(_) => Ok(0),
        #[cfg(test)]
        ClientStream::Memory(_) => Ok(0),
    };
}

fn note_panic(ended: Result<(), tokio::task::JoinError>, events: &Events) {
    if let Err(error) = ended
        && error.is_panic()
    {
        events.emit(Event::Trouble { part: "session", message: Arc::from(format!("a session panicked: {error}")) });
    }
}

#[cfg(test)]
mod tests;
