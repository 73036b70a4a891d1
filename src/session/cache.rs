//! Texts that were analysed before: what each session was told of them, and what is the same for all sessions.
//!
//! An analysis follows from the text, the footing (catalog and policies), the search path, whether the session is an administrator's, and
//! from what `sql::resolve` keeps in it: whether the principal sees the relations that the text gives by their numbers, and whether
//! prepared statements or cursors of the session were looked at. [`Readings`] shares it with whoever is alike in all of that:
//!
//! * Footings are told apart by identity, never by version: those of an open transaction and those with a session's temporary objects
//!   bear versions like any other. Only the published one is shared on; a newer one throws out everything.
//! * Scope, token, groups and who acts for whom are the decision's business, and a decision is never shared: each session makes its
//!   own, and remembers it until its footing, subject or search path changes.
//! * Types that a Parse message declares are checked for each Parse; analysis does not look at them.
//! * What looked at the session's own objects, or is run in steps, is not kept.
//!
//! Two sessions that ask for the same new text at the same time wait for one analysis.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::script::{Ground, LONG, Outline, Part, Script, decide, outline};
use crate::catalog::{Footing, SearchPath};
use crate::error::session::Refusal;
use crate::policy::Subject;
use crate::sql::{self, Analysis, Limits, SessionObjects};

/// What a session was told: scripts by their client's text.
#[derive(Debug, Default)]
pub(super) struct Cache {
    scripts: HashMap<Arc<str>, Arc<Script>>,
}

impl Cache {
    /// The analysis of a text, if it is known.
    pub(super) fn find(&self, text: &str) -> Option<&Arc<Script>> {
        self.scripts.get(text)
    }

    /// Keeps an analysis that may be used again.
    pub(super) fn keep(&mut self, script: &Arc<Script>) {
        if !script.repeatable() {
            return;
        }
        // Texts that differ only in literals would fill it without end; starting over costs one decision each.
        if self.scripts.len() >= MOST {
            self.scripts.clear();
        }
        self.scripts.insert(script.text.clone(), script.clone());
    }

    /// The ground has changed.
    pub(super) fn clear(&mut self) {
        self.scripts.clear();
    }
}

const MOST: usize = 256;

/// A text that was analysed, as far as that is the same for everybody.
#[derive(Debug)]
pub(super) struct Reading {
    text: Arc<str>,
    parts: Vec<Read>,
}

/// One statement of it.
#[derive(Debug)]
struct Read {
    text: Arc<str>,
    offset: usize,
    shakes: bool,
    analysis: Arc<Analysis>,
}

impl Reading {
    /// What of a script others may use.
    fn of(script: &Script) -> Option<Self> {
        if !script.repeatable() || script.parts.iter().any(|part| part.rewritten.analysis().refers()) {
            return None;
        }
        let read = |part: &Part| Read {
            text: part.text.clone(),
            offset: part.offset,
            shakes: part.shakes,
            analysis: part.rewritten.analysis().clone(),
        };
        Some(Self { text: script.text.clone(), parts: script.parts.iter().map(read).collect() })
    }

    fn suits(&self, footing: &Footing, subject: &Subject) -> bool {
        self.parts.iter().all(|part| part.analysis.suits(footing, subject))
    }

    fn bytes(&self) -> usize {
        let part = |part: &Read| part.text.len() + size_of::<Read>() + part.analysis.bytes();
        OVERHEAD + self.text.len() + self.parts.iter().map(part).sum::<usize>()
    }

    /// The same for one session: what [`outline`] would say.
    fn outline(&self, ground: &Ground, limits: &Limits) -> Result<Outline, Refusal> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for Read { text, offset, shakes, analysis } in &self.parts {
            match decide(analysis.clone(), ground) {
                Ok(rewritten) => parts.push(Part::new(text.clone(), *offset, rewritten, *shakes)),
                Err(_) if *offset > 0 => return Ok(Outline::OneByOne(sql::parse(&self.text, limits)?)),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(Outline::Together(Script::new(self.text.clone(), parts)))
    }
}

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
    /// Texts that were not, and were analysed.
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
    misses: AtomicU64,
    evicted: AtomicU64,
    entries: AtomicUsize,
    bytes: AtomicUsize,
}

/// A part of the texts, by their hash.
#[derive(Debug, Default)]
struct Shard {
    /// What they were analysed on. It is not kept alive by that.
    footing: Weak<Footing>,
    slots: HashMap<u64, Slot>,
    /// Whose turn it is to be thrown out.
    order: VecDeque<u64>,
    bytes: usize,
    working: Vec<(Key, watch::Receiver<()>)>,
}

/// What tells analyses on one footing apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    text: Arc<str>,
    path: SearchPath,
    admin: bool,
}

impl Key {
    fn is(&self, text: &str, ground: &Ground) -> bool {
        *self.text == *text && self.admin == ground.subject.admin && self.path == ground.path
    }
}

#[derive(Debug)]
struct Slot {
    key: Key,
    /// Each for those whom it suits.
    readings: Vec<Arc<Reading>>,
    bytes: usize,
    used: bool,
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
        if !shared || text.len() > LONG.min(limits.statement_bytes) {
            return outline(text, ground, objects, limits);
        }
        let mut found = self.find(text, ground);
        if let Found::Busy(mut done) = found {
            // Closed when the other one is done, whatever came of it.
            let _ = done.changed().await;
            found = self.find(text, ground);
        }
        match found {
            Found::Reading(reading) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                reading.outline(ground, limits)
            }
            Found::Busy(_) => self.analyse(text, ground, objects, limits, None),
            Found::Claim(claim) => self.analyse(text, ground, objects, limits, Some(claim)),
        }
    }

    fn analyse(
        &self,
        text: &Arc<str>,
        ground: &Ground,
        objects: &dyn SessionObjects,
        limits: &Limits,
        claim: Option<Claim<'_>>,
    ) -> Result<Outline, Refusal> {
        self.misses.fetch_add(1, Ordering::Relaxed);
        let found = outline(text, ground, objects, limits)?;
        if let (Some(claim), Outline::Together(script)) = (claim, &found)
            && let Some(reading) = Reading::of(script)
        {
            claim.keep(Arc::new(reading));
        }
        Ok(found)
    }

    fn find(&self, text: &Arc<str>, ground: &Ground) -> Found<'_> {
        let hash = self.hash(text, ground);
        let mut shard = self.shard(hash);
        if !std::ptr::eq(shard.footing.as_ptr(), Arc::as_ptr(&ground.footing)) {
            drop(shard);
            self.begin_anew(&ground.footing);
            shard = self.shard(hash);
        }
        if let Some(slot) = shard.slots.get_mut(&hash).filter(|slot| slot.key.is(text, ground))
            && let Some(reading) = slot.readings.iter().find(|reading| reading.suits(&ground.footing, &ground.subject))
        {
            slot.used = true;
            return Found::Reading(reading.clone());
        }
        if let Some((_, done)) = shard.working.iter().find(|(key, _)| key.is(text, ground)) {
            return Found::Busy(done.clone());
        }
        let key = Key { text: text.clone(), path: ground.path.clone(), admin: ground.subject.admin };
        let (told, done) = watch::channel(());
        shard.working.push((key.clone(), done));
        Found::Claim(Claim { readings: self, hash, key, footing: ground.footing.clone(), told: Some(told) })
    }

    /// Everything is of an older footing.
    fn begin_anew(&self, footing: &Arc<Footing>) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            self.entries.fetch_sub(shard.slots.len(), Ordering::Relaxed);
            self.bytes.fetch_sub(shard.bytes, Ordering::Relaxed);
            // Whoever is at work tells its own waiters.
            *shard = Shard { footing: Arc::downgrade(footing), ..Shard::default() };
        }
    }

    fn hash(&self, text: &str, ground: &Ground) -> u64 {
        self.hashes.hash_one((text, &ground.path, ground.subject.admin))
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)])
    }
}

impl Claim<'_> {
    fn keep(&self, reading: Arc<Reading>) {
        let (readings, bounds) = (self.readings, self.readings.bounds);
        let bytes = reading.bytes();
        let mut shard = readings.shard(self.hash);
        let moved = !std::ptr::eq(shard.footing.as_ptr(), Arc::as_ptr(&self.footing));
        if moved || bytes > bounds.bytes || bounds.entries == 0 {
            return;
        }
        let (count, size) = (shard.slots.len(), shard.bytes);
        let known = shard.remove(self.hash);
        if known.is_some() {
            shard.order.retain(|other| *other != self.hash);
        }
        let mut slot = match known {
            Some(slot) if slot.key == self.key => slot,
            // Another text of the same hash makes way.
            Some(_) | None => Slot { key: self.key.clone(), readings: Vec::new(), bytes: 0, used: false },
        };
        if slot.readings.len() >= VARIANTS {
            slot.bytes -= slot.readings.remove(0).bytes();
        }
        slot.readings.push(reading);
        slot.bytes += bytes;
        let evicted = shard.make_room(slot.bytes, bounds);
        shard.bytes += slot.bytes;
        shard.slots.insert(self.hash, slot);
        shard.order.push_back(self.hash);
        readings.evicted.fetch_add(evicted, Ordering::Relaxed);
        readings.entries.fetch_add(shard.slots.len().wrapping_sub(count), Ordering::Relaxed);
        readings.bytes.fetch_add(shard.bytes.wrapping_sub(size), Ordering::Relaxed);
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

impl Shard {
    /// Throws out what was not asked for since its last turn, until there is room for one more.
    fn make_room(&mut self, bytes: usize, bounds: Bounds) -> u64 {
        let mut evicted = 0;
        while self.slots.len() >= bounds.entries || (self.bytes + bytes > bounds.bytes && !self.slots.is_empty()) {
            let Some(next) = self.order.pop_front() else { break };
            match self.slots.get_mut(&next) {
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.order.push_back(next);
                }
                Some(_) => {
                    self.remove(next);
                    evicted += 1;
                }
                None => {}
            }
        }
        evicted
    }

    fn remove(&mut self, hash: u64) -> Option<Slot> {
        let slot = self.slots.remove(&hash)?;
        self.bytes -= slot.bytes;
        Some(slot)
    }
}

/// A panic elsewhere leaves what was inserted whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 16;

/// So many readings of one text for people who see different relations.
const VARIANTS: usize = 4;

/// What an entry takes besides what it holds.
const OVERHEAD: usize = 256;

#[cfg(test)]
mod tests;
