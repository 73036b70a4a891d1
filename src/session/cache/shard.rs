//! A part of the shared cache: what is kept, on what it holds, and what is thrown out when there is no more room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::Bounds;
use super::reading::{Pattern, Reading};
use crate::catalog::{Basis, Footing, SearchPath};
use crate::session::script::Ground;

/// A part of the texts, by their hash.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// What they were analysed on. It is not kept alive by that.
    pub(super) basis: Weak<Basis>,
    pub(super) slots: HashMap<u64, Slot>,
    /// Whose turn it is to be thrown out.
    pub(super) order: VecDeque<u64>,
    pub(super) bytes: usize,
    pub(super) working: Vec<(Key, watch::Receiver<()>)>,
}

/// What tells analyses on one footing apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) text: Arc<str>,
    pub(super) path: SearchPath,
    pub(super) admin: bool,
}

impl Key {
    pub(super) fn is(&self, text: &str, ground: &Ground) -> bool {
        *self.text == *text && self.admin == ground.subject.admin && self.path == ground.path
    }
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// Each for those whom it suits.
    pub(super) readings: Vec<Arc<Reading>>,
    /// Of a shape: each for those whom it suits, or with other literals that may be no others.
    pub(super) patterns: Vec<Arc<Pattern>>,
    /// How often no literal of it might be another.
    pub(super) vain: u8,
    pub(super) bytes: usize,
    pub(super) used: bool,
}

impl Slot {
    pub(super) fn new(key: Key) -> Self {
        Self { key, readings: Vec::new(), patterns: Vec::new(), vain: 0, bytes: 0, used: false }
    }
}

impl Shard {
    /// Whether it is about this footing, or one that differs in grants only.
    pub(super) fn is_of(&self, footing: &Arc<Footing>) -> bool {
        std::ptr::eq(self.basis.as_ptr(), Arc::as_ptr(footing.basis()))
    }

    /// What is known of a text on this very ground.
    pub(super) fn slot(&mut self, hash: u64, text: &str, ground: &Ground) -> Option<&mut Slot> {
        // Somebody with another footing may have come in between.
        if !self.is_of(&ground.footing) {
            return None;
        }
        self.slots.get_mut(&hash).filter(|slot| slot.key.is(text, ground))
    }

    /// The reading of a text that suits somebody.
    pub(super) fn known(&mut self, hash: u64, text: &str, ground: &Ground) -> Option<Arc<Reading>> {
        let slot = self.slot(hash, text, ground)?;
        let reading = slot.readings.iter().find(|reading| reading.suits(&ground.footing, &ground.subject))?;
        slot.used = true;
        Some(reading.clone())
    }

    /// Throws out what was not asked for since its last turn, until there is room for one more.
    pub(super) fn make_room(&mut self, bytes: usize, bounds: Bounds) -> u64 {
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

    /// Takes out a slot; its turn stays.
    pub(super) fn remove(&mut self, hash: u64) -> Option<Slot> {
        let slot = self.slots.remove(&hash)?;
        self.bytes -= slot.bytes;
        Some(slot)
    }
}
