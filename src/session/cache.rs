//! Texts that were analysed before: what each session was told of them, and what is the same for all sessions.
//!
//! An analysis follows from the text, the footing (catalog and policies), the search path, whether the session is an administrator's, and
//! from what `sql::resolve` keeps in it: whether the principal sees the relations that the text gives by their numbers, and whether
//! prepared statements or cursors of the session were looked at. [`Readings`] shares it with whoever is alike in all of that:
//!
//! * Footings are told apart by identity, never by version: those of an open transaction and those with a session's temporary objects
//!   bear versions like any other. Only the published one is shared on; a newer one throws out everything, unless it differs in grants
//!   only ([`Footing::following`]): those are asked for by decisions, and by what is kept.
//! * Scope, token, groups and who acts for whom are the decision's business, and a decision is never shared: each session makes its
//!   own, and remembers it until its footing, subject or search path changes.
//! * Types that a Parse message declares are checked for each Parse; analysis does not look at them.
//! * What looked at the session's own objects, or is run in steps, is not kept.
//!
//! Two sessions that ask for the same new text at the same time wait for one analysis.
//!
//! Texts that differ in literals share one analysis where that is provably safe; a template of it is made when the second text of a shape comes, and
//! is found by that shape.

mod reading;
mod shard;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub(super) use reading::Pattern;
use reading::{OVERHEAD, Reading};
use shard::{Key, Shard, Slot};

use super::script::{Ground, Outline, Script, is_short, outline};
use crate::catalog::Footing;
use crate::error::session::Refusal;
use crate::policy::Subject;
use crate::sql::{Limits, SessionObjects, Shape};

/// What a session was told: scripts by their client's text.
#[derive(Debug, Default)]
pub(super) struct Cache {
    scripts: HashMap<Arc<str>, Arc<Script>>,
    /// A bit for each text that was met, by its hash: what comes once need not be kept. Where two share a bit, one is kept too early.
    met: u64,
    /// What is known of the shapes that came last, in any order.
    patterns: Vec<Arc<Pattern>>,
}

impl Cache {
    /// The analysis of a text, if it is known.
    pub(super) fn find(&self, text: &str) -> Option<&Arc<Script>> {
        self.scripts.get(text)
    }

    /// The analysis of a text of a shape that came of late, decided on anew.
    pub(super) fn fill(&self, text: &str, footing: &Footing, subject: &Subject) -> Option<Arc<Script>> {
        self.patterns.iter().find_map(|pattern| pattern.script(text, footing, subject))
    }

    /// Keeps an analysis that may be used again, if its text came again; until then it is found among those of all sessions.
    pub(super) fn keep(&mut self, script: &Arc<Script>) {
        if let Some(pattern) = &script.pattern {
            self.keep_pattern(pattern);
            return;
        }
        if !script.repeatable() {
            return;
        }
        let bit = 1 << (self.scripts.hasher().hash_one(&*script.text) % u64::from(u64::BITS));
        if self.met & bit == 0 {
            self.met |= bit;
            return;
        }
        // Starting over costs one decision each.
        if self.scripts.len() >= MOST {
            self.scripts.clear();
        }
        self.scripts.insert(script.text.clone(), script.clone());
    }

    fn keep_pattern(&mut self, pattern: &Arc<Pattern>) {
        if self.patterns.iter().any(|known| Arc::ptr_eq(known, pattern)) {
            return;
        }
        if self.patterns.len() >= RECENT {
            self.patterns.remove(0);
        }
        self.patterns.push(pattern.clone());
    }

    /// The ground has changed.
    pub(super) fn clear(&mut self) {
        self.scripts.clear();
        self.patterns = Vec::new();
    }
}

const MOST: usize = 256;

/// So many shapes: each is compared with a text that comes, up to where they differ.
const RECENT: usize = 8;

/// How much may be kept for all sessions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Texts.
    pub entries: usize,
    /// About how many bytes.
    pub bytes: usize,
}

/// What the shared cache did, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Texts that the asking session itself knew.
    pub remembered: u64,
    /// Texts that were found among those of all sessions.
    pub hits: u64,
    /// Texts that were filled in for another one of their shape.
    pub filled: u64,
    /// Texts that were not known, and were analysed.
    pub misses: u64,
    /// Texts thrown out to make room.
    pub evicted: u64,
    /// Texts that are kept.
    pub entries: usize,
    /// About how many bytes they take.
    pub bytes: usize,
}

/// What all sessions know of texts.
#[derive(Debug)]
pub struct Readings {
    shards: Vec<Mutex<Shard>>,
    hashes: RandomState,
    bounds: Bounds,
    remembered: AtomicU64,
    hits: AtomicU64,
    filled: AtomicU64,
    misses: AtomicU64,
    evicted: AtomicU64,
    entries: AtomicUsize,
    bytes: AtomicUsize,
}

/// What came of asking.
enum Found<'a> {
    Reading(Arc<Reading>),
    /// Somebody else is at it.
    Busy(watch::Receiver<()>),
    /// It is for the asker to analyse.
    Claim(Claim<'a>),
}

/// The right, and the duty, to analyse a text. While it lives, others wait.
struct Claim<'a> {
    readings: &'a Readings,
    hash: u64,
    key: Key,
    footing: Arc<Footing>,
    told: Option<watch::Sender<()>>,
}

impl Readings {
    /// An empty one.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hashes: RandomState::new(),
            bounds: Bounds { entries: bounds.entries / SHARDS, bytes: bounds.bytes / SHARDS },
            remembered: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            filled: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// What it did, and what it holds.
    pub fn figures(&self) -> Figures {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Figures {
            remembered: count(&self.remembered),
            hits: count(&self.hits),
            filled: count(&self.filled),
            misses: count(&self.misses),
            evicted: count(&self.evicted),
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// A session knew a text itself.
    pub(super) fn remembered(&self) {
        self.remembered.fetch_add(1, Ordering::Relaxed);
    }

    /// A session knew a text's shape itself.
    pub(super) fn filled(&self) {
        self.filled.fetch_add(1, Ordering::Relaxed);
    }

    /// Analyses a text, or finds it analysed. `published`: the footing that holds for everybody, where there is one.
    pub(super) async fn outline(
        &self,
        text: &Arc<str>,
        ground: &Ground,
        published: Option<&Arc<Footing>>,
        objects: &(dyn SessionObjects + Sync),
        limits: &Limits,
    ) -> Result<Outline, Refusal> {
        let shared = published.is_some_and(|published| Arc::ptr_eq(published, &ground.footing));
        if !shared || !is_short(text, limits) {
            return outline(text, ground, objects, limits);
        }
        let hash = self.hash(text, ground);
        if let Some(reading) = self.known(hash, text, ground) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return reading.outline(ground, limits);
        }
        let shape = Shape::of(text);
        if let Some(outline) = shape.as_ref().and_then(|shape| self.fill(text, shape, ground)) {
            self.filled.fetch_add(1, Ordering::Relaxed);
            return outline;
        }
        let mut found = self.find(hash, text, ground);
        if let Found::Busy(mut done) = found {
            // Closed when the other one is done, whatever came of it.
            let _ = done.changed().await;
            found = self.find(hash, text, ground);
        }
        let claim = match found {
            Found::Reading(reading) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return reading.outline(ground, limits);
            }
            Found::Busy(_) => None,
            Found::Claim(claim) => Some(claim),
        };
        self.misses.fetch_add(1, Ordering::Relaxed);
        let found = outline(text, ground, objects, limits)?;
        if let (Some(claim), Outline::Together(script)) = (claim, &found)
            && let Some(reading) = Reading::of(script)
        {
            if let Some(shape) = shape {
                self.learn(&shape, &reading, ground, limits);
            }
            claim.keep(Arc::new(reading));
        }
        Ok(found)
    }

    /// What is known of a text's shape, put to use.
    fn fill(&self, text: &Arc<str>, shape: &Shape, ground: &Ground) -> Option<Result<Outline, Refusal>> {
        let hash = self.hash(shape.skeleton(), ground);
        let patterns = {
            let mut shard = self.shard_of(hash, &ground.footing);
            let slot = shard.slot(hash, shape.skeleton(), ground)?;
            slot.used = true;
            slot.patterns.clone()
        };
        patterns.iter().find_map(|pattern| pattern.outline(text, shape, ground))
    }

    /// Notes a shape; of one that comes again it finds out which literals may be others.
    fn learn(&self, shape: &Shape, reading: &Reading, ground: &Ground, limits: &Limits) {
        let key = Key { text: shape.skeleton().into(), path: ground.path.clone(), admin: ground.subject.admin };
        let hash = self.hash(&key.text, ground);
        let open = {
            let shard = self.shard_of(hash, &ground.footing);
            let slot = shard.slots.get(&hash).filter(|slot| slot.key == key);
            slot.map(|slot| slot.vain < VAIN && slot.patterns.len() < PATTERNS)
        };
        match open {
            None => self.put(hash, key, &ground.footing, OVERHEAD + shape.skeleton().len(), |_| {}),
            Some(false) => {}
            Some(true) => match reading.pattern(ground, limits).map(Arc::new) {
                Some(pattern) => {
                    let bytes = size_of::<Pattern>() + pattern.template.bytes() + reading.bytes();
                    self.put(hash, key, &ground.footing, bytes, |slot| slot.patterns.push(pattern));
                }
                None => self.put(hash, key, &ground.footing, 0, |slot| slot.vain += 1),
            },
        }
    }

    fn known(&self, hash: u64, text: &str, ground: &Ground) -> Option<Arc<Reading>> {
        self.shard_of(hash, &ground.footing).known(hash, text, ground)
    }

    fn find(&self, hash: u64, text: &Arc<str>, ground: &Ground) -> Found<'_> {
        let mut shard = self.shard_of(hash, &ground.footing);
        if let Some(reading) = shard.known(hash, text, ground) {
            return Found::Reading(reading);
        }
        if let Some((_, done)) = shard.working.iter().find(|(key, _)| key.is(text, ground)) {
            return Found::Busy(done.clone());
        }
        let key = Key { text: text.clone(), path: ground.path.clone(), admin: ground.subject.admin };
        let (told, done) = watch::channel(());
        shard.working.push((key.clone(), done));
        Found::Claim(Claim { readings: self, hash, key, footing: ground.footing.clone(), told: Some(told) })
    }

    /// Puts something more into the slot of a key, unless the footing is an older one by now.
    fn put(&self, hash: u64, key: Key, footing: &Arc<Footing>, bytes: usize, add: impl FnOnce(&mut Slot)) {
        let bounds = self.bounds;
        let mut shard = self.shard(hash);
        if !shard.is_of(footing) || bytes > bounds.bytes || bounds.entries == 0 {
            return;
        }
        let (count, size) = (shard.slots.len(), shard.bytes);
        let known = shard.remove(hash);
        if known.is_some() {
            shard.order.retain(|other| *other != hash);
        }
        // Another text of the same hash makes way.
        let mut slot = known.filter(|slot| slot.key == key).unwrap_or_else(|| Slot::new(key));
        add(&mut slot);
        slot.bytes += bytes;
        let evicted = shard.make_room(slot.bytes, bounds);
        if slot.bytes <= bounds.bytes {
            shard.bytes += slot.bytes;
            shard.slots.insert(hash, slot);
            shard.order.push_back(hash);
        }
        self.evicted.fetch_add(evicted, Ordering::Relaxed);
        self.entries.fetch_add(shard.slots.len().wrapping_sub(count), Ordering::Relaxed);
        self.bytes.fetch_add(shard.bytes.wrapping_sub(size), Ordering::Relaxed);
    }

    /// Everything is of an older footing.
    fn begin_anew(&self, footing: &Arc<Footing>) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            self.entries.fetch_sub(shard.slots.len(), Ordering::Relaxed);
            self.bytes.fetch_sub(shard.bytes, Ordering::Relaxed);
            // Whoever is at work tells its own waiters.
            *shard = Shard { basis: Arc::downgrade(footing.basis()), ..Shard::default() };
        }
    }

    fn hash(&self, text: &str, ground: &Ground) -> u64 {
        self.hashes.hash_one((text, &ground.path, ground.subject.admin))
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)])
    }

    /// The same, of a footing.
    fn shard_of(&self, hash: u64, footing: &Arc<Footing>) -> MutexGuard<'_, Shard> {
        let shard = self.shard(hash);
        if shard.is_of(footing) {
            return shard;
        }
        drop(shard);
        self.begin_anew(footing);
        self.shard(hash)
    }
}

impl Claim<'_> {
    fn keep(self, reading: Arc<Reading>) {
        let bytes = reading.bytes();
        self.readings.put(self.hash, self.key.clone(), &self.footing, bytes, |slot| {
            if slot.readings.len() >= VARIANTS {
                slot.bytes -= slot.readings.remove(0).bytes();
            }
            slot.readings.push(reading);
        });
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let told = self.told.take();
        let mut shard = self.readings.shard(self.hash);
        let ours = |done: &watch::Receiver<()>| told.as_ref().is_some_and(|told| told.subscribe().same_channel(done));
        shard.working.retain(|(_, done)| !ours(done));
    }
}

/// A panic elsewhere leaves what was inserted whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 16;

/// So many readings of one text for people who see different relations.
const VARIANTS: usize = 4;

/// So many patterns of one shape.
const PATTERNS: usize = 8;

/// After so many texts of a shape none of whose literals might be another, no more are tried.
const VAIN: u8 = 3;

#[cfg(test)]
mod tests;
