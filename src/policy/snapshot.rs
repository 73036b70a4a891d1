//! The immutable view of the policies that a statement is decided on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::model::{
    Bearing, ColumnMask, Grant, Mechanism, Oid, Principal, PrincipalId, PrincipalKind, Privilege, RowFilter, Securable, Subject,
};
use super::principals::{Principals, set};
use super::shards::Shards;

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

/// What changed since another view of the policies: rows as they are now, by their keys.
#[derive(Clone, Debug, Default)]
pub struct PolicyChanges {
    /// Principals, or that they are gone.
    pub principals: Vec<(PrincipalId, Option<Principal>)>,
    /// (group, member) rows, and whether they are there.
    pub memberships: Vec<((PrincipalId, PrincipalId), bool)>,
    /// Grants, and whether they are there.
    pub grants: Vec<(Grant, bool)>,
    /// Owners, or that there is none any more.
    pub owners: Vec<(Securable, Option<PrincipalId>)>,
    /// What is not followed by keys, as a whole.
    pub rules: Rules,
}

/// What is done with the rows and columns of relations, by relation. There is little of it beside grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    filters: HashMap<Oid, RowFilter>,
    masks: HashMap<Oid, Vec<ColumnMask>>,
    mechanisms: HashMap<Oid, Mechanism>,
    trusted: HashSet<Oid>,
    broken: HashMap<Oid, Arc<str>>,
}

impl Rules {
    /// Takes them out of the parts.
    pub fn new(parts: &mut PolicyParts) -> Self {
        let mut masks: HashMap<Oid, Vec<ColumnMask>> = HashMap::new();
        for mask in parts.masks.drain(..) {
            masks.entry(mask.relation).or_default().push(mask);
        }
        Self {
            filters: parts.filters.drain(..).map(|f| (f.relation, f)).collect(),
            masks,
            mechanisms: parts.mechanisms.drain(..).collect(),
            trusted: parts.trusted.drain(..).collect(),
            broken: parts.broken.drain(..).collect(),
        }
    }
}

/// Who holds a privilege on each securable.
type Grants = Shards<Securable, Arc<[(Privilege, Principals)]>>;

fn grants(mut rows: Vec<Grant>) -> Grants {
    rows.sort_unstable_by_key(|grant| (grant.securable, grant.privilege, grant.principal));
    let holders = |of: &[Grant]| Some((of.first()?.privilege, of.iter().map(|grant| grant.principal).collect()));
    let on = |of: &[Grant]| {
        let by_privilege = of.chunk_by(|one, other| one.privilege == other.privilege).filter_map(holders);
        Some((of.first()?.securable, by_privilege.collect()))
    };
    rows.chunk_by(|one, other| one.securable == other.securable).filter_map(on).collect()
}

/// The second of each pair, by the first.
fn grouped(mut pairs: Vec<(PrincipalId, PrincipalId)>) -> Shards<PrincipalId, Principals> {
    pairs.sort_unstable();
    let group = |of: &[(PrincipalId, PrincipalId)]| Some((of.first()?.0, of.iter().map(|pair| pair.1).collect()));
    pairs.chunk_by(|one, other| one.0 == other.0).filter_map(group).collect()
}

/// An immutable view of the policies, with its version. What is the same in the next one is shared with it.
#[derive(Clone, Debug, Default)]
pub struct PolicySnapshot {
    /// The store's policy version that this snapshot shows.
    pub version: i64,
    seen: Option<Arc<str>>,
    principals: Shards<PrincipalId, Principal>,
    by_name: Shards<Arc<str>, PrincipalId>,
    parents: Shards<PrincipalId, Principals>,
    members: Shards<PrincipalId, Principals>,
    grants: Grants,
    owners: Shards<Securable, PrincipalId>,
    rules: Arc<Rules>,
    users: Option<PrincipalId>,
    admins: Option<PrincipalId>,
}

impl PolicySnapshot {
    /// Indexes the parts.
    pub fn new(version: i64, mut parts: PolicyParts) -> Self {
        let rules = Arc::new(Rules::new(&mut parts));
        let above = parts.memberships.iter().map(|(group, member)| (*member, *group)).collect();
        Self {
            version,
            by_name: parts.principals.iter().map(|principal| (principal.name.clone(), principal.id)).collect(),
            principals: parts.principals.into_iter().map(|principal| (principal.id, principal)).collect(),
            parents: grouped(above),
            members: grouped(parts.memberships),
            grants: grants(parts.grants),
            owners: parts.owners.into_iter().collect(),
            rules,
            ..Self::default()
        }
        .with_built_in()
    }

    /// The view after some changes.
    #[must_use]
    pub fn after(&self, version: i64, changes: PolicyChanges) -> Self {
        let mut next = Self { version, seen: None, ..self.clone() };
        for old in changes.principals.iter().filter_map(|(id, _)| self.principals.get(id)) {
            next.by_name.remove(&old.name);
            next.principals.remove(&old.id);
        }
        for principal in changes.principals.into_iter().filter_map(|(_, now)| now) {
            next.by_name.insert(principal.name.clone(), principal.id);
            next.principals.insert(principal.id, principal);
        }
        for ((group, member), there) in changes.memberships {
            set(&mut next.members, group, member, there);
            set(&mut next.parents, member, group, there);
        }
        for (grant, there) in changes.grants {
            next.set_grant(grant, there);
        }
        for (securable, owner) in changes.owners {
            match owner {
                Some(owner) => next.owners.insert(securable, owner),
                None => next.owners.remove(&securable),
            }
        }
        if *next.rules != changes.rules {
            next.rules = Arc::new(changes.rules);
        }
        next.with_built_in()
    }

    /// The same, which shows these transactions.
    #[must_use]
    pub fn showing(self, seen: Option<Arc<str>>) -> Self {
        Self { seen, ..self }
    }

    /// The transactions that it shows, in the store's words, where what came after them can be told by that.
    pub fn seen(&self) -> Option<&str> {
        self.seen.as_deref()
    }

    fn set_grant(&mut self, grant: Grant, there: bool) {
        let mut on: Vec<(Privilege, Principals)> = self.granted(grant.securable).to_vec();
        let place = on.binary_search_by_key(&grant.privilege, |(privilege, _)| *privilege);
        match (place, there) {
            (Ok(place), _) => {
                if let Some((_, holders)) = on.get_mut(place) {
                    *holders = holders.with(grant.principal, there);
                }
            }
            (Err(place), true) => on.insert(place, (grant.privilege, [grant.principal].into_iter().collect())),
            (Err(_), false) => {}
        }
        on.retain(|(_, holders)| !holders.is_empty());
        if on.is_empty() {
            self.grants.remove(&grant.securable);
        } else {
            self.grants.insert(grant.securable, on.into());
        }
    }

    fn with_built_in(mut self) -> Self {
        let group = |name| self.principal_named(name).filter(|p| p.kind == PrincipalKind::Group).map(|p| p.id);
        (self.users, self.admins) = (group("users"), group("admins"));
        self
    }

    /// Whether another one says the same of everything but grants.
    pub fn differs_in_grants_only(&self, other: &Self) -> bool {
        let Self { version: _, seen: _, grants: _, principals, by_name, parents, members, .. } = self;
        let Self { owners, rules, users, admins, .. } = self;
        (principals, by_name, parents, members) == (&other.principals, &other.by_name, &other.parents, &other.members)
            && (owners, rules, users, admins) == (&other.owners, &other.rules, &other.users, &other.admins)
    }

    /// Whether another one says the same, whatever their versions are.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.grants == other.grants && self.differs_in_grants_only(other)
    }

    /// Whether filters, masks and what goes with them are the same in another one.
    pub fn same_rules(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules) || self.rules == other.rules
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
        self.principals.iter().map(|(_, principal)| principal)
    }

    /// The direct members of a group.
    pub fn members(&self, group: PrincipalId) -> &[PrincipalId] {
        self.members.get(&group).map_or(&[], Principals::as_slice)
    }

    /// The groups a principal is in directly (`users` left out).
    pub fn parents(&self, member: PrincipalId) -> &[PrincipalId] {
        self.parents.get(&member).map_or(&[], Principals::as_slice)
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

    /// Who holds which privilege on exactly this securable, in the privileges' order.
    pub fn granted(&self, on: Securable) -> &[(Privilege, Principals)] {
        self.grants.get(&on).map_or(&[], |granted| granted)
    }

    /// Who holds a privilege on exactly this securable.
    pub fn holders(&self, securable: Securable, privilege: Privilege) -> Option<&Principals> {
        self.granted(securable).iter().find(|(held, _)| *held == privilege).map(|(_, holders)| holders)
    }

    /// Every grant, in no order.
    pub fn grants(&self) -> impl Iterator<Item = Grant> + '_ {
        self.grants.iter().flat_map(|(securable, granted)| {
            granted.iter().flat_map(|(privilege, holders)| {
                holders.iter().map(|principal| Grant { principal, privilege: *privilege, securable: *securable })
            })
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
        self.rules.filters.get(&relation)
    }

    /// The masks set on a relation itself.
    pub fn masks(&self, relation: Oid) -> &[ColumnMask] {
        self.rules.masks.get(&relation).map_or(&[], Vec::as_slice)
    }

    /// Every relation with a filter or mask of its own.
    pub fn governed(&self) -> HashSet<Oid> {
        self.rules.filters.keys().chain(self.rules.masks.keys()).copied().collect()
    }

    /// The mechanism chosen by hand for a relation.
    pub fn mechanism(&self, relation: Oid) -> Option<Mechanism> {
        self.rules.mechanisms.get(&relation).copied()
    }

    /// Whether an administrator marked a relation trusted.
    pub fn trusted(&self, relation: Oid) -> bool {
        self.rules.trusted.contains(&relation)
    }

    /// Why a relation's policies cannot be enforced.
    pub fn broken(&self, relation: Oid) -> Option<&Arc<str>> {
        self.rules.broken.get(&relation)
    }
}
