//! The policy store in PostgreSQL, and what it makes of policies upstream.
//!
//! In: rows of the schema `pgusher` and of the upstream's catalog. Out: published [`Footing`]s; roles, governed views and row-security
//! policies upstream that agree with them. Never: client SQL, sockets of clients, a footing that could not be confirmed in time.
//!
//! A footing is published whole. What upstream is not in line with is refused in it, and mended by the watch when it can be.

pub mod channel;
mod ddl;
mod directory;
mod errand;
pub mod govern;
mod governed;
pub mod init;
pub mod load;
mod loader;
pub mod migrations;
pub mod names;
mod recent;
pub mod reconcile;
pub mod records;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Mutex, Notify};

pub use crate::error::StoreError;

use crate::catalog::{Footing, SearchPath};
use crate::error::Report;
use crate::event::{Event, Events};
use crate::governance::Command;
use crate::policy::{Oid, Subject};
use crate::session::{Governor, Reply};
use crate::upstream::owner::SigningKey;
use crate::upstream::{Account, BoxFuture, OwnerChannel, Registry, Upstream, follow};
use directory::Tokens;
use errand::Errands;
pub use errand::{Done, Errand, Plan, Record};
use loader::{Depth, Loader};
use reconcile::Settings;

/// What the store needs to know.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where upstream is.
    pub upstream: Upstream,
    /// The control login, `pgusher_control`.
    pub control: Account,
    /// How governance is carried out and enforced.
    pub terms: govern::Terms,
    /// How often to ask for the policies' version; the catalog is looked at half as often.
    pub poll_interval: Duration,
    /// How old a confirmation may be before statements are refused.
    pub max_age: Duration,
}

impl StoreSettings {
    fn enforcement(&self) -> Settings {
        self.terms.enforcement.clone()
    }
}

/// The policy store.
pub struct Store {
    settings: Arc<StoreSettings>,
    registry: Arc<Registry>,
    events: Events,
    versions: Arc<Versions>,
    published: ArcSwapOption<Footing>,
    /// The catalog of what was published, to be taken again where it is the same.
    known: ArcSwapOption<load::Known>,
    /// Why nothing may be served although something was published.
    halted: ArcSwapOption<String>,
    key: ArcSwap<SigningKey>,
    started: Instant,
    /// Milliseconds from `started` to the begin of the last look that succeeded.
    confirmed: AtomicU64,
    /// Looks asked for; a look covers every ticket that was drawn before it began.
    tickets: AtomicU64,
    loader: Mutex<Line>,
    tokens: Tokens,
    errands: Errands,
}

struct Line {
    loader: Loader,
    covered: u64,
}

/// Numbers for catalog snapshots, each used once in this process.
#[derive(Debug, Default)]
pub(crate) struct Versions(AtomicU64);

impl Versions {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Store {
    /// Connects, brings upstream in line, publishes the first footing, and watches from then on until it is dropped.
    pub async fn start(settings: StoreSettings, registry: Arc<Registry>, events: Events) -> Result<Arc<Self>, StoreError> {
        let settings = Arc::new(settings);
        let versions = Arc::new(Versions::default());
        let noticed = Arc::new(Notify::new());
        let (loader, key) = Loader::connect(settings.clone(), versions.clone(), noticed.clone()).await?;
        let interval = settings.poll_interval;
        let store = Arc::new(Self {
            tokens: Tokens::new(settings.clone()),
            errands: Errands::default(),
            settings,
            registry,
            events,
            versions,
            published: ArcSwapOption::empty(),
            known: ArcSwapOption::empty(),
            halted: ArcSwapOption::empty(),
            key: ArcSwap::from_pointee(key),
            started: Instant::now(),
            confirmed: AtomicU64::new(0),
            tickets: AtomicU64::new(0),
            loader: Mutex::new(Line { loader, covered: 0 }),
        });
        store.sweep().await?;
        store.look(Depth::Everything, false).await?;
        tokio::spawn(watch::watch(Arc::downgrade(&store), noticed, interval));
        Ok(store)
    }

    /// The key that signs `pgusher.attach` and `pgusher.execute`.
    pub fn signing_key(&self) -> SigningKey {
        self.key.load().as_ref().clone()
    }

    /// The latest footing, unless it could not be confirmed for too long.
    pub fn published(&self) -> Result<Arc<Footing>, StoreError> {
        let footing = self.published.load_full().ok_or(StoreError::NotLoaded)?;
        self.serves(Instant::now())?;
        Ok(footing)
    }

    /// Whether what is published may be used at a time.
    fn serves(&self, now: Instant) -> Result<(), StoreError> {
        if let Some(wrong) = self.halted.load().as_deref() {
            return Err(StoreError::Roles(wrong.clone()));
        }
        let confirmed = self.started + Duration::from_millis(self.confirmed.load(Ordering::Acquire));
        let age = now.saturating_duration_since(confirmed);
        if age > self.settings.max_age { Err(StoreError::Stale { seconds: age.as_secs() }) } else { Ok(()) }
    }

    /// Publishes what was committed before the call.
    pub async fn reload(&self) -> Result<(), StoreError> {
        self.look(Depth::Everything, true).await.map(drop)
    }

    /// Looks at the store and the catalog, publishes what moved, ends sessions whose rows are gone. Returns how long PostgreSQL took to say
    /// whether anything moved.
    async fn look(&self, depth: Depth, sessions: bool) -> Result<Duration, StoreError> {
        let ticket = self.tickets.fetch_add(1, Ordering::SeqCst) + 1;
        let mut line = self.loader.lock().await;
        // A look that began after this one was asked for has seen everything this one would.
        if line.covered >= ticket && depth == Depth::Everything {
            return Ok(Duration::ZERO);
        }
        if let Some(key) = line.loader.revive().await? {
            self.key.store(Arc::new(key));
        }
        let covers = self.tickets.load(Ordering::SeqCst);
        let (open, held) = (self.registry.open(), self.registry.attachments.held());
        let look =
            self.answered(&mut line.loader, async |loader| loader.look(depth, sessions).await).await.inspect_err(|error| {
                if let StoreError::Roles(wrong) = error {
                    self.halted.store(Some(Arc::new(wrong.clone())));
                }
            })?;
        if depth == Depth::Everything {
            line.covered = covers;
            self.halted.store(None);
        }
        self.known.store(line.loader.known().map(Arc::new));
        if let Some(footing) = look.footing {
            let (catalog, policies) = footing.versions();
            self.registry.attachments.publish(policies);
            self.published.store(Some(footing));
            self.events.emit(Event::Published { catalog, policies });
        }
        let confirmed = u64::try_from(look.began.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX);
        self.confirmed.fetch_max(confirmed, Ordering::Release);
        if let Some(live) = look.sessions {
            // Before whoever comes next could be passed on by one that is gone.
            follow(&held, |slot| live.contains(&slot));
            watch::end_revoked(self, &open, &live);
        }
        Ok(look.asked)
    }

    async fn settle(&self) -> Result<bool, StoreError> {
        let mut line = self.loader.lock().await;
        self.answered(&mut line.loader, async |loader| loader.settle().await).await
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let mut line = self.loader.lock().await;
        // Taken before the rows are read, which a session that is just beginning is spared in any case.
        let open: Vec<i64> = self.registry.attachments.held().iter().map(|attachment| attachment.slot).collect();
        let proxy = self.registry.proxy();
        self.answered(&mut line.loader, async |loader| loader.sweep(proxy, &open).await).await
    }

    /// A control connection that says nothing for long is given up: a network that drops packets closes none.
    async fn answered<T>(
        &self,
        loader: &mut Loader,
        ask: impl AsyncFnOnce(&mut Loader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let patience = self.settings.max_age.saturating_mul(AGES).max(LEAST_PATIENCE);
        match tokio::time::timeout(patience, ask(loader)).await {
            Ok(answer) => answer,
            Err(_) => {
                loader.give_up();
                Err(StoreError::Lost(format!("no answer in {} seconds", patience.as_secs())))
            }
        }
    }

    fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    fn events(&self) -> &Events {
        &self.events
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    async fn within(&self, channel: &mut dyn OwnerChannel) -> Result<Footing, StoreError> {
        let settings = self.settings.enforcement();
        let known = self.known.load_full();
        let catalog = Arc::new(load::catalog(channel, known.as_deref(), self.versions.next()).await?);
        let policies = Arc::new(load::policies(channel, known.as_deref()).await?);
        let published = self.published.load_full().filter(|_| !settings.strict);
        if let Some(footing) = published.and_then(|published| published.regranted(catalog.clone(), policies.clone())) {
            return Ok(footing);
        }
        let examined = reconcile::examine(channel, catalog, policies, &settings, HashMap::new()).await?;
        Ok(examined.served(&settings))
    }
}

/// How many times the age at which statements are refused a look may take, and what it may take in any case.
const AGES: u32 = 4;
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

impl Governor for Store {
    fn footing(&self) -> Result<Arc<Footing>, Report> {
        self.published().map_err(|e| Report::from(&e))
    }

    fn newer(&self, than: &Arc<Footing>, now: Instant) -> Result<Option<Arc<Footing>>, Report> {
        let footing = self.published.load();
        let footing = footing.as_ref().ok_or_else(|| Report::from(&StoreError::NotLoaded))?;
        self.serves(now).map_err(|e| Report::from(&e))?;
        // Counting who holds it would have all threads write to one place for every statement.
        Ok((!Arc::ptr_eq(footing, than)).then(|| footing.clone()))
    }

    fn govern<'a>(
        &'a self,
        command: &'a Command,
        subject: &'a Subject,
        search_path: &'a SearchPath,
        channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<Reply, Report>> {
        Box::pin(async move {
            let known = self.known.load_full();
            let done = govern::carry_out(command, subject, search_path, &self.settings.terms, known.as_deref(), channel).await;
            done.map_err(|e| Report::from(&e))
        })
    }

    fn footing_within<'a>(&'a self, channel: &'a mut dyn OwnerChannel) -> BoxFuture<'a, Result<Arc<Footing>, Report>> {
        Box::pin(async move { self.within(channel).await.map(Arc::new).map_err(|e| Report::from(&e)) })
    }

    fn precede_ddl<'a>(
        &'a self,
        subject: &'a Subject,
        relations: &'a [Oid],
        channel: &'a mut dyn OwnerChannel,
    ) -> BoxFuture<'a, Result<(), Report>> {
        Box::pin(async move {
            ddl::make_way(channel, subject, relations, self.known.load().as_deref()).await.map_err(|e| Report::from(&e))
        })
    }

    fn follow_ddl<'a>(&'a self, subject: &'a Subject, channel: &'a mut dyn OwnerChannel) -> BoxFuture<'a, Result<(), Report>> {
        Box::pin(async move {
            let before = self.published.load_full().map(|f| f.catalog.clone());
            let known = self.known.load_full();
            let settings = self.settings.enforcement();
            ddl::follow(channel, subject, before, known.as_deref(), &self.tokens, &settings).await.map_err(|e| Report::from(&e))
        })
    }

    fn refresh(&self) -> BoxFuture<'_, Result<(), Report>> {
        Box::pin(async move { self.reload().await.map_err(|e| Report::from(&e)) })
    }
}
