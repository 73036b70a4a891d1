//! The immutable view of the policies that a statement is decided on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::model::{
    Bearing, ColumnMask, Grant, Mechanism, Oid, Principal, PrincipalId, PrincipalKind, Privilege, RowFilter, Securable, Subject,
};

/// What the store loads; [`PolicySnapshot::new`] indexes it.
#[derive(Clone, Debug, Default)]
pub struct PolicyParts {
    /// Every principal.
    pub principals: Vec<Principal>,
    /// (group, member) rows, direct memberships only.
    pub memberships: Vec<(PrincipalId, PrincipalId)>,
    /// Every grant.
    pub grants: Vec<Grant>,
    /// Owners of securables.
    pub owners: Vec<(Securable, PrincipalId)>,
    /// Row filters.
    pub filters: Vec<RowFilter>,
    /// Column masks.
    pub masks: Vec<ColumnMask>,
    /// Relations whose filter mechanism was chosen by hand.
    pub mechanisms: Vec<(Oid, Mechanism)>,
    /// Relations an administrator marked trusted although they read governed tables.
    pub trusted: Vec<Oid>,
    /// What is wrong with the policies of a relation (dangling function, re-created table): such a relation is refused.
    pub broken: Vec<(Oid, Arc<str>)>,
}

/// Who holds a privilege on a securable: in order, each once. Eight bytes for each of what may be a million grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders(Box<[PrincipalId]>);

impl Holders {
    /// Whether somebody is among them.
    pub fn contains(&self, principal: PrincipalId) -> bool {
        self.0.binary_search(&principal).is_ok()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = PrincipalId> + '_ {
        self.0.iter().copied()
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
}

/// Sorts grants into who holds what.
fn holders(mut grants: Vec<Grant>) -> HashMap<(Securable, Privilege), Holders> {
    grants.sort_unstable_by_key(|grant| (grant.securable, grant.privilege, grant.principal));
    grants.dedup();
    let same = |one: &Grant, other: &Grant| (one.securable, one.privilege) == (other.securable, other.privilege);
    let of = |group: &[Grant]| group.iter().map(|grant| grant.principal).collect();
    grants
        .chunk_by(same)
        .filter_map(|group| Some(((group.first()?.securable, group.first()?.privilege), Holders(of(group)))))
        .collect()
}

/// An immutable view of the policies, with its version.
#[derive(Debug, Default)]
pub struct PolicySnapshot {
    /// The store's policy version that this snapshot shows.
    pub version: i64,
    principals: HashMap<PrincipalId, Principal>,
    by_name: HashMap<Arc<str>, PrincipalId>,
    parents: HashMap<PrincipalId, Vec<PrincipalId>>,
    members: HashMap<PrincipalId, Vec<PrincipalId>>,
    grants: HashMap<(Securable, Privilege), Holders>,
    owners: HashMap<Securable, PrincipalId>,
    filters: HashMap<Oid, RowFilter>,
    masks: HashMap<Oid, Vec<ColumnMask>>,
    mechanisms: HashMap<Oid, Mechanism>,
    trusted: HashSet<Oid>,
    broken: HashMap<Oid, Arc<str>>,
    users: Option<PrincipalId>,
    admins: Option<PrincipalId>,
}

impl PolicySnapshot {
    /// Indexes the parts.
    pub fn new(version: i64, parts: PolicyParts) -> Self {
        let mut snapshot = Self { version, ..Self::default() };
        for principal in parts.principals {
            snapshot.by_name.insert(principal.name.clone(), principal.id);
            if principal.kind == PrincipalKind::Group && &*principal.name == "users" {
                snapshot.users = Some(principal.id);
            }
            if principal.kind == PrincipalKind::Group && &*principal.name == "admins" {
                snapshot.admins = Some(principal.id);
            }
            snapshot.principals.insert(principal.id, principal);
        }
        for (group, member) in parts.memberships {
            snapshot.parents.entry(member).or_default().push(group);
            snapshot.members.entry(group).or_default().push(member);
        }
        snapshot.grants = holders(parts.grants);
        snapshot.owners.extend(parts.owners);
        snapshot.filters.extend(parts.filters.into_iter().map(|f| (f.relation, f)));
        for mask in parts.masks {
            snapshot.masks.entry(mask.relation).or_default().push(mask);
        }
        snapshot.mechanisms.extend(parts.mechanisms);
        snapshot.trusted.extend(parts.trusted);
        snapshot.broken.extend(parts.broken);
        snapshot
    }

    /// Whether another one says the same of everything but grants.
    pub fn differs_in_grants_only(&self, other: &Self) -> bool {
        let Self { version: _, grants: _, principals, by_name, parents, members, .. } = self;
        let Self { owners, filters, masks, mechanisms, trusted, broken, users, admins, .. } = self;
        (principals, by_name, parents, members) == (&other.principals, &other.by_name, &other.parents, &other.members)
            && (owners, filters, masks, mechanisms) == (&other.owners, &other.filters, &other.masks, &other.mechanisms)
            && (trusted, broken, users, admins) == (&other.trusted, &other.broken, &other.users, &other.admins)
    }

    /// A principal by number.
    pub fn principal(&self, id: PrincipalId) -> Option<&Principal> {
        self.principals.get(&id)
    }

    /// A principal by name, compared exactly.
    pub fn principal_named(&self, name: &str) -> Option<&Principal> {
        self.by_name.get(name).and_then(|id| self.principals.get(id))
    }

    /// Every principal, in no order.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.principals.values()
    }

    /// The direct members of a group.
    pub fn members(&self, group: PrincipalId) -> &[PrincipalId] {
        self.members.get(&group).map_or(&[], Vec::as_slice)
    }

    /// The groups a principal is in directly (`users` left out).
    pub fn parents(&self, member: PrincipalId) -> &[PrincipalId] {
        self.parents.get(&member).map_or(&[], Vec::as_slice)
    }

    /// The group that everybody is in.
    pub fn users(&self) -> Option<PrincipalId> {
        self.users
    }

    /// The group of administrators.
    pub fn admins(&self) -> Option<PrincipalId> {
        self.admins
    }

    /// Every group a principal is in, directly or through groups, `users` included. Cycles do no harm.
    pub fn groups_of(&self, principal: PrincipalId) -> HashSet<PrincipalId> {
        let mut found: HashSet<PrincipalId> = self.users.into_iter().collect();
        self.climb(&mut found, principal);
        found
    }

    /// Adds every group above.
    fn climb(&self, found: &mut HashSet<PrincipalId>, from: PrincipalId) {
        let mut open = vec![from];
        open.extend(self.users);
        while let Some(next) = open.pop() {
            for parent in self.parents(next) {
                if found.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
    }

    /// The subject that decisions are made for; `None` for a principal that is missing or disabled.
    pub fn subject(&self, principal: PrincipalId) -> Option<Subject> {
        self.subject_bearing(principal, &Bearing::default())
    }

    /// The same for a session whose token adds groups or leaves admin rights aside. A group that leads to the administrators is not taken from a token, nor is one
    /// that is not there any more.
    pub fn subject_bearing(&self, principal: PrincipalId, bearing: &Bearing) -> Option<Subject> {
        let found = self.principals.get(&principal).filter(|p| p.enabled)?;
        let mut groups = self.groups_of(principal);
        let admin = self.admins.is_some_and(|a| groups.contains(&a)) && !bearing.narrowed;
        if bearing.narrowed {
            groups.retain(|group| Some(*group) != self.admins);
        }
        for group in bearing.claimed.iter().filter(|group| self.is_group(**group)) {
            let mut above = HashSet::from([*group]);
            self.climb(&mut above, *group);
            if !self.admins.is_some_and(|a| above.contains(&a)) {
                groups.extend(above);
            }
        }
        Some(Subject { principal, name: found.name.clone(), groups: Arc::new(groups), bearing: bearing.clone(), admin })
    }

    fn is_group(&self, id: PrincipalId) -> bool {
        self.principals.get(&id).is_some_and(|p| p.kind == PrincipalKind::Group)
    }

    /// Who holds a privilege on exactly this securable.
    pub fn holders(&self, securable: Securable, privilege: Privilege) -> Option<&Holders> {
        self.grants.get(&(securable, privilege))
    }

    /// Every grant, in no order.
    pub fn grants(&self) -> impl Iterator<Item = Grant> + '_ {
        self.grants.iter().flat_map(|((securable, privilege), holders)| {
            holders.iter().map(|principal| Grant { principal, privilege: *privilege, securable: *securable })
        })
    }

    /// The owner of a securable.
    pub fn owner(&self, securable: Securable) -> Option<PrincipalId> {
        self.owners.get(&securable).copied()
    }

    /// Every owner row, in no order.
    pub fn owners(&self) -> impl Iterator<Item = (Securable, PrincipalId)> + '_ {
        self.owners.iter().map(|(s, p)| (*s, *p))
    }

    /// The row filter set on a relation itself.
    pub fn filter(&self, relation: Oid) -> Option<&RowFilter> {
        self.filters.get(&relation)
    }

    /// The masks set on a relation itself.
    pub fn masks(&self, relation: Oid) -> &[ColumnMask] {
        self.masks.get(&relation).map_or(&[], Vec::as_slice)
    }

    /// Every relation with a filter or mask of its own.
    pub fn governed(&self) -> HashSet<Oid> {
        self.filters.keys().chain(self.masks.keys()).copied().collect()
    }

    /// The mechanism chosen by hand for a relation.
    pub fn mechanism(&self, relation: Oid) -> Option<Mechanism> {
        self.mechanisms.get(&relation).copied()
    }

    /// Whether an administrator marked a relation trusted.
    pub fn trusted(&self, relation: Oid) -> bool {
        self.trusted.contains(&relation)
    }

    /// Why a relation's policies cannot be enforced.
    pub fn broken(&self, relation: Oid) -> Option<&Arc<str>> {
        self.broken.get(&relation)
    }
}
