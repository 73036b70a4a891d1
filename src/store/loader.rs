//! What is committed → the footing that is served.
//!
//! Policies and catalog are each loaded anew only when they moved: the policies' version says so, and a fingerprint of the catalog.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Notify;
use tokio_postgres::IsolationLevel;
use tracing::{info, warn};

use super::channel::Control;
use super::load::{self, Known, malformed};
use super::migrations::SCHEMA_VERSION;
use super::reconcile::{self, Examined, Settings};
use super::{StoreError, StoreSettings, Versions};
use crate::catalog::load::Scope;
use crate::catalog::{CatalogParts, CatalogSnapshot, Footing, Governed};
use crate::policy::PolicySnapshot;
use crate::upstream::OwnerChannel;
use crate::upstream::owner::SigningKey;

/// The control connection that loads, and what it loaded last.
pub(super) struct Loader {
    control: Control,
    /// The connection did not answer, and counts as lost.
    silent: bool,
    settings: Arc<StoreSettings>,
    versions: Arc<Versions>,
    noticed: Arc<Notify>,
    last: Option<Last>,
    /// The connection is another one: policies where it leads to may be others of the same version, and so may transactions be.
    anew: bool,
}

struct Last {
    fingerprint: String,
    parts: Arc<CatalogParts>,
    footing: Arc<Footing>,
    /// Upstream was not in line and could not be brought so at this time.
    restless: Option<Instant>,
}

/// What one look at the store found.
pub(super) struct Look {
    /// When it began: everything committed before is in it.
    pub(super) began: Instant,
    /// A footing to publish, if it is another than before.
    pub(super) footing: Option<Arc<Footing>>,
    /// Live sessions' numbers; when asked for, and when policies moved.
    pub(super) sessions: Option<HashSet<i64>>,
    /// How long PostgreSQL took to say whether anything moved; not what came of it.
    pub(super) asked: Duration,
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Only the policies' version.
    Policies,
    /// The catalog's fingerprint too.
    Everything,
}

impl Loader {
    /// Connects, checks the schema's version, and listens.
    pub(super) async fn connect(
        settings: Arc<StoreSettings>,
        versions: Arc<Versions>,
        noticed: Arc<Notify>,
    ) -> Result<(Self, SigningKey), StoreError> {
        let control = Control::connect_listening(&settings.upstream, &settings.control, noticed.clone()).await?;
        let mut loader = Self { control, silent: false, settings, versions, noticed, last: None, anew: false };
        let key = loader.examine_schema().await?;
        loader.control.client().batch_execute("LISTEN pgusher_policy").await.map_err(|e| super::channel::owner_error(&e))?;
        Ok((loader, key))
    }

    /// Takes a new connection if the old one is lost, keeping what was loaded.
    pub(super) async fn revive(&mut self) -> Result<Option<SigningKey>, StoreError> {
        if !self.silent && !self.control.lost() {
            return Ok(None);
        }
        let (fresh, key) = Self::connect(self.settings.clone(), self.versions.clone(), self.noticed.clone()).await?;
        self.control = fresh.control;
        self.silent = false;
        self.anew = true;
        info!("the control connection is back");
        Ok(Some(key))
    }

    /// The catalog that was loaded last.
    pub(super) fn known(&self) -> Option<Known> {
        let last = self.last.as_ref()?;
        Some(Known {
            fingerprint: last.fingerprint.clone(),
            catalog: last.footing.catalog.clone(),
            policies: last.footing.policies.clone(),
        })
    }

    /// The connection is not to be asked again.
    pub(super) fn give_up(&mut self) {
        self.silent = true;
    }

    /// Looks whether anything moved, loads what did, and repairs upstream where it is not in line.
    pub(super) async fn look(&mut self, depth: Depth, sessions: bool) -> Result<Look, StoreError> {
        let began = Instant::now();
        let settings = self.settings.enforcement();
        let (loaded, examined, live, asked) = {
            let mut owned = self.control.begin_at(IsolationLevel::RepeatableRead).await?;
            let mut pulse = pulse(&mut owned, depth, sessions).await?;
            let asked = began.elapsed();
            let governed = self.last.as_ref().is_some_and(|last| last.footing.policies.version != pulse.version);
            if governed && !sessions {
                pulse.sessions = self::pulse(&mut owned, Depth::Policies, true).await?.sessions;
            }
            let live = (sessions || governed).then(|| std::mem::take(&mut pulse.sessions).into_iter().collect());
            let moved = self.last.as_ref().is_none_or(|last| {
                self.anew
                    || last.footing.policies.version != pulse.version
                    || pulse.catalog.as_ref().is_some_and(|now| *now != last.fingerprint)
                    || last.restless.is_some_and(|since| since.elapsed() > RETRY)
            });
            if !moved {
                owned.commit().await?;
                return Ok(Look { began, footing: None, sessions: live, asked });
            }
            let ground = Ground { last: self.last.as_ref(), anew: self.anew };
            let loaded = Loaded::load(&mut owned, ground, &self.versions, Some(pulse)).await?;
            if let Some(footing) = loaded.regranted(ground.last, &settings) {
                owned.commit().await?;
                return Ok(Look { began, footing: self.keep(loaded, footing, None), sessions: live, asked });
            }
            let examined = loaded.examine(&mut owned, &settings, HashMap::new()).await?;
            owned.commit().await?;
            (loaded, examined, live, asked)
        };
        let footing =
            if examined.in_line() { self.keep(loaded, examined.served(&settings), None) } else { self.mend(&settings).await? };
        Ok(Look { began, footing, sessions: live, asked })
    }

    /// Brings upstream in line in a transaction of its own, then loads again. What is still not in line is refused.
    async fn mend(&mut self, settings: &Settings) -> Result<Option<Arc<Footing>>, StoreError> {
        let failed = match self.repair(settings).await {
            Ok(failed) => failed,
            Err(error) if super::channel::lost(&error) => return Err(error),
            // Somebody governs at this moment, or holds a lock: it is for the next look.
            Err(error) => {
                warn!("upstream could not be brought in line: {error}");
                HashMap::new()
            }
        };
        let mut owned = self.control.begin_at(IsolationLevel::RepeatableRead).await?;
        let loaded = Loaded::load(&mut owned, Ground { last: self.last.as_ref(), anew: self.anew }, &self.versions, None).await?;
        let examined = loaded.examine(&mut owned, settings, failed.clone()).await?;
        owned.commit().await?;
        let restless = (!examined.in_line() || !failed.is_empty()).then(Instant::now);
        let served = examined.served(settings);
        Ok(self.keep(loaded, served, restless))
    }

    async fn repair(&mut self, settings: &Settings) -> Result<HashMap<u32, Arc<str>>, StoreError> {
        let known = self.known();
        let mut owned = self.control.begin().await?;
        owned.execute("SET LOCAL lock_timeout = '2s'; SELECT v.policy FROM pgusher.version AS v FOR UPDATE NOWAIT").await?;
        if reconcile::renew(&mut owned, settings, known.as_ref()).await? {
            reconcile::changed(&mut owned).await?;
        }
        let loaded = Loaded::load(&mut owned, Ground { last: None, anew: true }, &self.versions, None).await?;
        let examined = loaded.examine(&mut owned, settings, HashMap::new()).await?;
        let failed = reconcile::repair(&mut owned, &examined).await?;
        owned.commit().await?;
        info!(relations = failed.len(), "upstream was brought in line; what could not be is refused");
        Ok(failed)
    }

    /// Remembers what was loaded; gives the footing if it is another than the last one.
    fn keep(&mut self, loaded: Loaded, mut footing: Footing, restless: Option<Instant>) -> Option<Arc<Footing>> {
        let Loaded { fingerprint, parts, .. } = loaded;
        let anew = std::mem::take(&mut self.anew);
        if let Some(last) = &mut self.last {
            let same_catalog = Arc::ptr_eq(&last.parts, &parts) && last.footing.governed == footing.governed;
            if same_catalog {
                footing.catalog = last.footing.catalog.clone();
            }
            if same_catalog && !anew && last.footing.policies.version == footing.policies.version {
                (last.fingerprint, last.restless) = (fingerprint, restless);
                return None;
            }
        }
        if let Some(last) = &self.last
            && Arc::ptr_eq(&last.footing.catalog, &footing.catalog)
            && last.footing.policies.version == footing.policies.version
        {
            // The same catalog means something else now, so it needs another version.
            footing.catalog = Arc::new(footing.catalog.renumbered(self.versions.next()));
        }
        for (oid, governed) in footing.governed.iter() {
            if let Governed::Refused(reason) = governed {
                let name = footing.catalog.relation(*oid).and_then(|r| footing.catalog.qualified(r));
                warn!("{} is refused: {reason}", name.map_or_else(|| oid.to_string(), |n| n.to_string()));
            }
        }
        if let Some(last) = &self.last {
            footing = footing.following(&last.footing);
        }
        let footing = Arc::new(footing);
        self.last = Some(Last { fingerprint, parts, footing: footing.clone(), restless });
        Some(footing)
    }

    /// Mends the rows of sessions that began while a change was not yet committed; whether that could be done.
    pub(super) async fn settle(&mut self) -> Result<bool, StoreError> {
        let settled = self.control.client().query_one("SELECT pgusher.settle()", &[]).await;
        Ok(settled.map_err(|e| super::channel::owner_error(&e))?.get(0))
    }

    /// Housekeeping of the store's own tables.
    pub(super) async fn sweep(&mut self, proxy: i64, open: &[i64]) -> Result<(), StoreError> {
        let mut owned = self.control.begin().await?;
        owned.execute(&sweep(proxy, open)).await?;
        owned.commit().await
    }

    async fn examine_schema(&mut self) -> Result<SigningKey, StoreError> {
        let client = self.control.client();
        let version = client.query_one("SELECT pg_catalog.max(v.version) FROM pgusher.schema_version AS v", &[]).await;
        let row = version.map_err(|e| match super::channel::owner_error(&e) {
            error if matches!(error.code.as_str(), "42P01" | "3F000") => StoreError::NotInitialized,
            error => StoreError::Upstream(error),
        })?;
        let found: Option<i32> = row.get(0);
        match found {
            Some(SCHEMA_VERSION) => {}
            Some(found) => return Err(StoreError::SchemaVersion { found, needed: SCHEMA_VERSION }),
            None => return Err(StoreError::NotInitialized),
        }
        let key = client.query_opt("SELECT k.secret FROM pgusher.key AS k ORDER BY k.kid DESC LIMIT 1", &[]).await;
        let key = key.map_err(|e| super::channel::owner_error(&e))?.ok_or(StoreError::NotInitialized)?;
        Ok(SigningKey::new(key.get(0)))
    }
}

/// What may still be the same; `anew`: the policies may not.
#[derive(Clone, Copy)]
struct Ground<'a> {
    last: Option<&'a Last>,
    anew: bool,
}

/// Catalog and policies of one transaction.
struct Loaded {
    fingerprint: String,
    parts: Arc<CatalogParts>,
    catalog: Arc<CatalogSnapshot>,
    policies: Arc<PolicySnapshot>,
}

impl Loaded {
    /// `taken` is the pulse that the channel's transaction took, if it did.
    async fn load(
        channel: &mut dyn OwnerChannel,
        Ground { last, anew }: Ground<'_>,
        versions: &Versions,
        taken: Option<Pulse>,
    ) -> Result<Self, StoreError> {
        let Pulse { version, catalog, .. } = match taken {
            Some(pulse) if pulse.catalog.is_some() => pulse,
            Some(_) | None => pulse(channel, Depth::Everything, false).await?,
        };
        let fingerprint = catalog.unwrap_or_default();
        let (parts, catalog) = match last.filter(|l| l.fingerprint == fingerprint) {
            Some(last) => (last.parts.clone(), last.footing.catalog.clone()),
            None => {
                let parts = crate::catalog::load::load(channel, Scope::Shared).await?;
                match last.filter(|l| *l.parts == parts) {
                    Some(last) => (last.parts.clone(), last.footing.catalog.clone()),
                    None => (Arc::new(parts.clone()), Arc::new(CatalogSnapshot::new(versions.next(), parts))),
                }
            }
        };
        let policies = match last
            .filter(|l| !anew && l.footing.policies.version == version && l.restless.is_none() && l.fingerprint == fingerprint)
        {
            Some(last) => last.footing.policies.clone(),
            // What is broken in them follows from the catalog, too.
            None => Arc::new(load::policies_after(channel, last.filter(|_| !anew).map(|l| &*l.footing.policies)).await?),
        };
        Ok(Self { fingerprint, parts, catalog, policies })
    }

    /// The footing, where nothing moved since the last one but who may do what: then upstream is as much in line as it was. In strict
    /// mode the ways to tables follow from that, too.
    fn regranted(&self, last: Option<&Last>, settings: &Settings) -> Option<Footing> {
        let last = last.filter(|last| last.restless.is_none() && last.fingerprint == self.fingerprint && !settings.strict)?;
        last.footing.regranted(self.catalog.clone(), self.policies.clone())
    }

    async fn examine(
        &self,
        channel: &mut dyn OwnerChannel,
        settings: &Settings,
        failed: HashMap<u32, Arc<str>>,
    ) -> Result<Examined, StoreError> {
        reconcile::examine(channel, self.catalog.clone(), self.policies.clone(), settings, failed).await
    }
}

#[derive(Deserialize)]
struct Pulse {
    version: i64,
    catalog: Option<String>,
    sessions: Vec<i64>,
}

async fn pulse(channel: &mut dyn OwnerChannel, depth: Depth, sessions: bool) -> Result<Pulse, StoreError> {
    let catalog = match depth {
        Depth::Policies => "NULL::pg_catalog.text",
        Depth::Everything => &load::FINGERPRINT,
    };
    let live = if sessions {
        "(SELECT coalesce(pg_catalog.jsonb_agg(s.sid), '[]') FROM pgusher.session AS s WHERE s.expires_at > pg_catalog.clock_timestamp())"
    } else {
        "'[]'::pg_catalog.jsonb"
    };
    let sql = format!("SELECT v.policy AS version, {catalog} AS catalog, {live} AS sessions FROM pgusher.version AS v");
    let rows: Vec<Pulse> = serde_json::from_value(channel.fetch(&sql).await?).map_err(malformed)?;
    rows.into_iter().next().ok_or(StoreError::NotInitialized)
}

/// Says that this proxy is there, and takes away rows of sessions that have ended: ours that are not open, those of proxies that were not
/// seen for long, and those of neither whose backend is gone; and claims that are no longer good anyway.
fn sweep(proxy: i64, open: &[i64]) -> String {
    let open = open.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    format!(
        "INSERT INTO pgusher.proxy (id) VALUES ({proxy}) ON CONFLICT (id) DO UPDATE SET seen_at = pg_catalog.now(); \
         DELETE FROM pgusher.proxy AS p WHERE p.seen_at < pg_catalog.now() - interval '2 minutes'; \
         DELETE FROM pgusher.session AS s WHERE s.started_at < pg_catalog.now() - interval '5 seconds' \
           AND CASE s.proxy WHEN {proxy} THEN s.sid <> ALL ('{{{open}}}'::pg_catalog.int8[]) \
               WHEN 0 THEN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = s.pid) \
               ELSE NOT EXISTS (SELECT FROM pgusher.proxy AS p WHERE p.id = s.proxy) END; \
         DELETE FROM pgusher.execution AS e WHERE e.until < pg_catalog.now() - interval '1 minute'; \
         DELETE FROM pgusher.standing AS s WHERE s.made_at < pg_catalog.now() - interval '1 minute'; \
         SELECT pgusher.trim_changes()"
    )
}

/// How long until a relation that could not be mended is tried again.
const RETRY: Duration = Duration::from_secs(15);
