//! What one session has in `pg_temp`: laid over the catalog that all sessions share.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::footing::Governed;
use super::snapshot::{CatalogSnapshot, Function, Relation, RelationKind, Schema};
use crate::name::Name;
use crate::policy::{Mechanism, Oid};

/// The temporary objects of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Temporaries {
    /// `pg_temp`, once the session has made something in it.
    pub(super) schema: Option<Schema>,
    pub(super) relations: Vec<Relation>,
    pub(super) functions: Vec<Function>,
    /// Types and domains, those of relations left out.
    pub(super) types: Vec<Name>,
    /// Functions outside pg_catalog that something of a relation calls: its definition, defaults, constraints, triggers.
    pub(super) calls: Vec<(Oid, Oid)>,
}

impl Temporaries {
    /// Those of a session that has none: the same for all of them.
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<Temporaries>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    pub(super) fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.relations.iter().find(|r| r.oid == oid)
    }

    /// Whether there are relations.
    pub fn has_relations(&self) -> bool {
        !self.relations.is_empty()
    }

    /// Whether there are functions: whatever runs may then call one of them, by a trigger, a default, a domain.
    pub fn has_functions(&self) -> bool {
        !self.functions.is_empty()
    }

    /// Whether a function is one of them.
    pub fn has_function(&self, oid: Oid) -> bool {
        self.functions.iter().any(|f| f.oid == oid)
    }

    /// Whether a bare name can mean one of their types.
    pub fn has_type(&self, name: &str) -> bool {
        self.types.iter().any(|t| t.as_str() == name) || self.relations.iter().any(|r| r.name.as_str() == name)
    }

    /// The functions outside pg_catalog that using a relation may call.
    pub fn called_by(&self, relation: Oid) -> impl Iterator<Item = Oid> + '_ {
        self.calls.iter().filter(move |(by, _)| *by == relation).map(|(_, function)| *function)
    }

    /// Which of the views read governed relations. They belong to the session's own login, for which row security holds, and which
    /// reads masked tables by their governed views only.
    pub(super) fn governed(&self, catalog: &CatalogSnapshot, shared: &HashMap<Oid, Governed>) -> HashMap<Oid, Governed> {
        let mut found = HashMap::new();
        loop {
            let before = found.len();
            for view in self.relations.iter().filter(|r| r.kind == RelationKind::View) {
                if found.contains_key(&view.oid) {
                    continue;
                }
                let reads = || view.reads.iter();
                let of = |oid: &Oid| shared.get(oid).or_else(|| found.get(oid));
                let unsafe_read = reads().any(|oid| match of(oid) {
                    Some(Governed::Table(table)) => !table.masked.is_empty() || table.mechanism == Mechanism::View,
                    Some(Governed::View { .. } | Governed::Refused(_)) => true,
                    Some(Governed::Derived) | None => false,
                });
                let ours = |oid: &Oid| catalog.relation(*oid).and_then(|r| catalog.schema(r.schema)).is_some_and(|s| s.ours);
                if unsafe_read {
                    found.insert(view.oid, Governed::Refused("what it reads was governed after it was made".into()));
                } else if reads().any(|oid| of(oid).is_some() || ours(oid)) {
                    found.insert(view.oid, Governed::Derived);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }
}
