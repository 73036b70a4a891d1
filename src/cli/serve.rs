//! `pgusher serve`: the parts put together, and what signals do to them.
//!
//! SIGTERM and SIGINT end it once sessions have, the second one at once; SIGHUP reads configuration and certificates anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::available_parallelism;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::log::Level;
use super::{Failure, log, wiring};
use crate::admin::{self, Api, Pages};
use crate::audit::{self, Trail};
use crate::authn::Throttle;
use crate::config::{self, Settings};
use crate::event::Events;
use crate::listener::{Gate, ListenSettings, Listener, Threads, Web};
use crate::metrics::Metrics;
use crate::session::{self, Environment, Readings};
use crate::store::Store;
use crate::upstream::{Pool, Registry};

/// How often the signing key is looked at again; it changes when an operator rotates it.
const KEY_INTERVAL: Duration = Duration::from_secs(1);

/// How long calls over HTTP may take to end when the sessions have.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// What a reload goes by.
struct Origin {
    /// The settings of the start.
    settings: Settings,
    file: Option<PathBuf>,
    web: Option<Arc<Web>>,
}

/// Everything that runs.
struct Served {
    store: Arc<Store>,
    gate: Arc<Gate>,
    pool: Arc<Pool>,
    /// What sessions that begin now share.
    environment: Arc<ArcSwap<Environment>>,
}

/// Serves until a signal ends it.
pub(super) async fn run(settings: Settings, file: Option<PathBuf>) -> Result<(), Failure> {
    let level = log::start(&settings.log)?;
    let metrics = Arc::new(Metrics::default());
    let trail = trail(&settings)?;
    let log = audit::Log { beside_trail: trail.is_some() };
    let events = Events::new(vec![Box::new(Arc::clone(&metrics)), Box::new(log)]);
    let events = match &trail {
        Some(trail) => events.recorded(trail.clone()),
        None => events,
    };
    let served = Served::start(&settings, events).await?;
    let threads = Threads::start(threads(&settings), super::STACK_BYTES)
        .map_err(|error| Failure::Setup(format!("cannot start the threads of sessions: {error}")))?;
    let listener = {
        let _inside = threads.accepting().enter();
        Listener::bind(&ListenSettings::from(&settings.listen)).map_err(|error| Failure::Setup(error.to_string()))?
    };
    let (stop, stopped) = watch::channel(false);
    let pages = http(&settings, &served, metrics, listener.numbers(), stopped.clone())?;
    let web = pages.as_ref().map(|(web, _)| Arc::clone(web));
    tracing::info!(addresses = ?listener.addresses(), "serving database \"{}\"", settings.upstream.database);
    let origin = Origin { settings, file, web };
    served.until_stopped((listener, Arc::new(threads)), Signals::new()?, &origin, &level, stop, stopped).await;
    if let Some((_, pages)) = pages {
        // What has begun ends in a moment; the task is over by itself then.
        let _ = tokio::time::timeout(LAST_CALLS, pages).await;
    }
    served.pool.close();
    if let Some(trail) = trail {
        trail.end().await;
    }
    tracing::info!("ended");
    Ok(())
}

/// How many threads serve sessions: one for every two CPUs, where nothing else is asked for.
fn threads(settings: &Settings) -> usize {
    match settings.listen.threads {
        0 => available_parallelism().map_or(1, |cpus| cpus.get().div_ceil(2)),
        threads => threads,
    }
}

fn trail(settings: &Settings) -> Result<Option<Arc<Trail>>, Failure> {
    let Some(trail) = wiring::trail(settings)? else {
        tracing::info!("no audit trail is configured: the log tells of statements");
        return Ok(None);
    };
    let started = Trail::start(trail).map_err(|error| Failure::Setup(format!("configuration:\naudit.file: {error}")))?;
    Ok(Some(started))
}

impl Served {
    async fn start(settings: &Settings, events: Events) -> Result<Self, Failure> {
        let rules = ArcSwap::from_pointee(wiring::rules(settings)?);
        let registry = Registry::new(wiring::upstream(settings)?);
        let store = Store::start(wiring::store(settings)?, Arc::clone(&registry), events.clone()).await?;
        let pool = Arc::new(Pool::new(wiring::pool(settings)?));
        tokio::spawn(Arc::clone(pool.shared()).tend());
        let environment = Environment {
            governor: store.clone(),
            pool: Arc::clone(&pool),
            registry: Arc::clone(&registry),
            events: events.clone(),
            key: Arc::new(ArcSwap::from_pointee(store.signing_key())),
            readings: Arc::new(Readings::new(wiring::readings(settings))),
            limits: wiring::limits(settings),
            idle: wiring::idle(settings),
            analyses: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))),
        };
        let gate = Arc::new(Gate { rules, registry, directory: store.clone(), throttle: Throttle::default(), events });
        Ok(Self { store, gate, pool, environment: Arc::new(ArcSwap::from_pointee(environment)) })
    }

    async fn until_stopped(
        &self,
        (listener, threads): (Listener, Arc<Threads>),
        mut signals: Signals,
        origin: &Origin,
        level: &Level,
        stop: watch::Sender<bool>,
        stopped: watch::Receiver<bool>,
    ) {
        let environment = Arc::clone(&self.environment);
        // In a box of its own: a connection's task would else hold the place of it twice.
        let session = move |authenticated| Box::pin(session::run(authenticated, environment.load_full()));
        let mut serving = JoinSet::new();
        serving.spawn_on(listener.serve(Arc::clone(&self.gate), session, Arc::clone(&threads), stopped), threads.accepting());
        let mut keys = tokio::time::interval(KEY_INTERVAL);
        loop {
            tokio::select! {
                ended = serving.join_next() => {
                    if let Some(Err(error)) = ended {
                        tracing::error!(%error, "the listener ended");
                    }
                    return;
                }
                _ = keys.tick() => self.environment.load().key.store(Arc::new(self.store.signing_key())),
                asked = signals.next() => match asked {
                    Asked::Reload => self.reload(origin, level),
                    Asked::Stop if *stop.borrow() => {
                        tracing::warn!("ended by a second signal, sessions cut off");
                        return;
                    }
                    Asked::Stop => {
                        tracing::info!("ending: open sessions are told, new ones turned away");
                        stop.send_replace(true);
                    }
                },
            }
        }
    }

    /// Takes over what can be of new settings; a mistake changes nothing.
    fn reload(&self, origin: &Origin, level: &Level) {
        let found = origin.file.clone().or_else(super::usual_path);
        let new = match config::load(found.as_deref(), std::env::vars()) {
            Ok(new) => new,
            Err(mistakes) => {
                for mistake in mistakes.0 {
                    tracing::error!(key = mistake.key, message = mistake.message, "configuration not reloaded");
                }
                return;
            }
        };
        match wiring::rules(&new) {
            Ok(rules) => {
                if let (Some(web), Some(http)) = (&origin.web, &new.http)
                    && let Err(error) = web.renew(http)
                {
                    tracing::error!(%error, "configuration not reloaded");
                    return;
                }
                // The database is one of the things that only a restart changes.
                let old = self.gate.rules.load_full();
                let (database, issuers) = (old.database.clone(), Arc::new(old.issuers.renewed(&new.issuers)));
                self.gate.rules.store(Arc::new(crate::startup::Rules { database, issuers, ..rules }));
            }
            Err(error) => {
                tracing::error!(%error, "configuration not reloaded");
                return;
            }
        }
        level.follow(&new.log);
        let old = self.environment.load();
        self.environment.store(Arc::new(Environment {
            governor: Arc::clone(&old.governor),
            pool: Arc::clone(&old.pool),
            registry: Arc::clone(&old.registry),
            events: old.events.clone(),
            key: Arc::clone(&old.key),
            readings: Arc::clone(&old.readings),
            limits: wiring::limits(&new),
            idle: wiring::idle(&new),
            analyses: Arc::clone(&old.analyses),
        }));
        for key in origin.settings.needing_restart(&new) {
            tracing::warn!(key, "a change that only a restart applies");
        }
        tracing::info!("configuration reloaded");
    }
}

/// HTTP that is served, and the task that does.
type Serving = (Arc<Web>, JoinHandle<()>);

/// Serves HTTP, where an address is set.
fn http(
    settings: &Settings,
    served: &Served,
    metrics: Arc<Metrics>,
    numbers: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
) -> Result<Option<Serving>, Failure> {
    let Some(http) = &settings.http else { return Ok(None) };
    let web = Arc::new(Web::bind(http).map_err(|error| Failure::Setup(format!("http: {error}")))?);
    let api = Api {
        gate: Arc::clone(&served.gate),
        store: Arc::clone(&served.store),
        numbers,
        body_bytes: http.body_bytes,
        timeout: http.request_timeout,
    };
    let readings = Arc::clone(&served.environment.load().readings);
    let pages = Pages {
        metrics,
        governor: served.store.clone(),
        pool: Arc::clone(&served.pool),
        readings: Some(readings),
        api: Some(Arc::new(api)),
    };
    let (serving, events) = (Arc::clone(&web), served.gate.events.clone());
    let task = tokio::spawn(async move { admin::serve(&serving, pages, &events, stopped).await });
    Ok(Some((web, task)))
}

/// What a signal asks for.
enum Asked {
    Reload,
    Stop,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::Setup(format!("cannot take signals: {error}")));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
