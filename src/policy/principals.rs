//! Sets of principals.

use std::collections::HashSet;
use std::sync::Arc;

use super::model::PrincipalId;
use super::shards::Shards;

/// Principals in order, each once. Eight bytes for each of what may be a million grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals(Arc<[PrincipalId]>);

impl Principals {
    /// Whether somebody is among them.
    pub fn contains(&self, principal: PrincipalId) -> bool {
        self.0.binary_search(&principal).is_ok()
    }

    /// All of them, in order.
    pub fn as_slice(&self) -> &[PrincipalId] {
        &self.0
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = PrincipalId> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of a group of principals, if any is among them.
    pub fn any_of(&self, groups: &HashSet<PrincipalId>) -> Option<PrincipalId> {
        // Whichever are fewer are looked up among the others.
        if self.0.len() <= groups.len() {
            self.iter().find(|holder| groups.contains(holder))
        } else {
            groups.iter().copied().find(|group| self.contains(*group))
        }
    }

    /// The same where one principal is among them, or is not.
    #[must_use]
    pub fn with(&self, principal: PrincipalId, there: bool) -> Self {
        match (self.0.binary_search(&principal), there) {
            (Ok(_), true) | (Err(_), false) => self.clone(),
            (Ok(place), false) => Self(self.iter().take(place).chain(self.iter().skip(place + 1)).collect()),
            (Err(place), true) => Self(self.iter().take(place).chain([principal]).chain(self.iter().skip(place)).collect()),
        }
    }
}

impl FromIterator<PrincipalId> for Principals {
    fn from_iter<I: IntoIterator<Item = PrincipalId>>(principals: I) -> Self {
        let mut sorted: Vec<PrincipalId> = principals.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self(sorted.into())
    }
}

/// Whether one principal is among those that another one stands for.
pub(super) fn set(map: &mut Shards<PrincipalId, Principals>, key: PrincipalId, principal: PrincipalId, there: bool) {
    let before = map.get(&key).cloned().unwrap_or_default();
    let now = before.with(principal, there);
    if now.is_empty() {
        map.remove(&key);
    } else {
        map.insert(key, now);
    }
}
