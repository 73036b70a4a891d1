//! Catalog and policies taken together, and what follows from both: which relations are governed, and how.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use super::origins::Origins;
use super::snapshot::CatalogSnapshot;
use super::temporary::Temporaries;
use crate::name::{Name, QualifiedName};
use crate::policy::{Mechanism, Oid, PolicySnapshot};

/// How a governed table is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GovernedTable {
    /// The table under a row filter (its own or an ancestor's).
    pub filtered: bool,
    /// How the filter is enforced.
    pub mechanism: Mechanism,
    /// The masked columns (its own masks or an ancestor's), in table order.
    pub masked: Vec<Name>,
    /// What reads go to: the table itself (filter by `rls`, no mask), else its governed view with the table's columns in order.
    pub read: QualifiedName,
    /// What writes go to: the table itself, its governed view (mechanism `view`, no mask), or its write twin (masks).
    /// A write twin has the table's columns in order, where a masked column `c` is called `c$raw` (writable, not readable),
    /// and after them one column `c` per masked column (readable as the mask, not writable).
    pub write: QualifiedName,
    /// What INSERT goes to: `write`, but where a filter is enforced by a view. There it is a view of its own with the same columns:
    /// who may both insert into and update a view takes over the rows that it hides, by ON CONFLICT DO UPDATE.
    pub insert: QualifiedName,
}

impl GovernedTable {
    /// A table without filter and masks: read and written in place.
    pub fn plain(name: &QualifiedName) -> Self {
        let (read, write, insert) = (name.clone(), name.clone(), name.clone());
        Self { filtered: false, mechanism: Mechanism::Rls, masked: Vec::new(), read, write, insert }
    }

    /// The write twin's name for the raw values of a masked column.
    pub fn raw_column(column: &str) -> String {
        format!("{column}$raw")
    }

    /// Whether a column is masked.
    pub fn masks(&self, column: &str) -> bool {
        self.masked.iter().any(|m| m.as_str() == column)
    }

    /// Whether its filter is enforced by a view.
    pub fn by_view(&self) -> bool {
        self.filtered && self.mechanism == Mechanism::View
    }

    /// Whether writes go to a write twin.
    pub fn twin(&self) -> bool {
        !self.masked.is_empty()
    }
}

/// The schema of the governed views that stand for the tables of a schema: `pgusher_<schema>`, cut with a hash when too long.
pub fn governed_schema(schema: &str) -> Name {
    let plain = format!("pgusher_{schema}");
    if plain.len() <= crate::name::MAX_BYTES {
        return Name::exact(&plain);
    }
    use sha2::{Digest, Sha256};
    let hash = hex::encode(&Sha256::digest(schema.as_bytes())[..6]);
    let room = crate::name::MAX_BYTES - hash.len() - 1;
    let mut end = room.min(plain.len());
    while !plain.is_char_boundary(end) {
        end -= 1;
    }
    Name::exact(&format!("{}_{hash}", &plain[..end]))
}

/// What stands between a statement and a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Governed {
    /// A table under a filter or mask.
    Table(GovernedTable),
    /// A view made upstream that reads governed relations: reads go to its governed twin; it cannot be written.
    View {
        /// The twin.
        read: QualifiedName,
    },
    /// A view made through pgusher (owned upstream by `pgusher_viewer`) that reads governed relations: used as it is, and
    /// what upstream says about it may concern governed rows.
    Derived,
    /// Refused to everybody but administrators until mended: why.
    Refused(Arc<str>),
}

/// Whether a view reads, directly or through others, a table whose filter is enforced by a view.
pub fn reads_by_view(catalog: &CatalogSnapshot, governed: &HashMap<Oid, Governed>, view: Oid) -> bool {
    let mut open = vec![view];
    let mut seen = HashSet::from([view]);
    while let Some(oid) = open.pop() {
        let Some(relation) = catalog.relation(oid) else { continue };
        if matches!(governed.get(&oid), Some(Governed::Table(table)) if table.by_view()) {
            return true;
        }
        open.extend(relation.reads.iter().copied().filter(|oid| seen.insert(*oid)));
    }
    false
}

/// Everything that a statement is analysed and decided on, taken together once.
#[derive(Debug)]
pub struct Footing {
    /// What exists.
    pub catalog: Arc<CatalogSnapshot>,
    /// Who may do what.
    pub policies: Arc<PolicySnapshot>,
    /// What is governed, by relation; a relation that is missing here is not governed.
    pub governed: Arc<HashMap<Oid, Governed>>,
    /// The same of the session's temporary relations.
    pub temporary: HashMap<Oid, Governed>,
    origins: Arc<OnceLock<Origins>>,
    /// The same for footings that differ in nothing but grants.
    basis: Arc<Basis>,
}

/// What analysis stands on, told apart by identity.
#[derive(Debug, Default)]
pub struct Basis(());

impl Footing {
    /// Of what all sessions share.
    pub fn new(catalog: Arc<CatalogSnapshot>, policies: Arc<PolicySnapshot>, governed: HashMap<Oid, Governed>) -> Self {
        Self {
            catalog,
            policies,
            governed: Arc::new(governed),
            temporary: HashMap::new(),
            origins: Arc::default(),
            basis: Arc::default(),
        }
    }

    /// The same with a session's temporary objects.
    pub fn with_temporaries(&self, own: &Arc<Temporaries>) -> Self {
        let catalog = Arc::new(self.catalog.with_temporaries(own.clone()));
        let temporary = own.governed(&catalog, &self.governed);
        Self {
            catalog,
            policies: self.policies.clone(),
            governed: self.governed.clone(),
            temporary,
            origins: Arc::default(),
            basis: Arc::default(),
        }
    }

    /// The same catalog under other policies; none where more follows from those than who may do what.
    pub fn regranted(&self, catalog: Arc<CatalogSnapshot>, policies: Arc<PolicySnapshot>) -> Option<Self> {
        let same = self.catalog.same_objects(&catalog) && self.temporary.is_empty() && self.policies.same_rules(&policies);
        same.then(|| Self {
            catalog,
            policies,
            governed: self.governed.clone(),
            temporary: HashMap::new(),
            origins: self.origins.clone(),
            basis: Arc::default(),
        })
    }

    /// The same as what follows another one: where only grants differ, on the same basis.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        let same = Arc::ptr_eq(&self.catalog, &before.catalog)
            && self.governed == before.governed
            && self.temporary.is_empty()
            && before.temporary.is_empty()
            && self.policies.differs_in_grants_only(&before.policies);
        if same {
            self.basis = before.basis.clone();
        }
        self
    }

    /// What analyses hold on that ask for grants only through what they keep.
    pub fn basis(&self) -> &Arc<Basis> {
        &self.basis
    }

    /// (catalog version, policy version): equal pairs mean equal footing within one process.
    pub fn versions(&self) -> (u64, i64) {
        (self.catalog.version, self.policies.version)
    }

    /// Where columns of governed views come from: found out once for all sessions.
    pub fn origins(&self) -> &Origins {
        self.origins.get_or_init(|| Origins::new(self))
    }

    /// How a relation is governed, if it is.
    pub fn governed(&self, relation: Oid) -> Option<&Governed> {
        self.governed.get(&relation).or_else(|| self.temporary.get(&relation))
    }
}

/// A session's search path, as PostgreSQL resolves names with it: `pg_catalog` first unless it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchPath {
    /// The schemas as set, `"$user"` left out, in order.
    pub schemas: Vec<Name>,
}

impl Default for SearchPath {
    fn default() -> Self {
        Self { schemas: vec![Name::exact("public")] }
    }
}

impl SearchPath {
    /// The schemas to look into for a relation, function or type, in order: `pg_catalog` comes first unless listed.
    /// Functions and operators in `pg_temp` are found by their full names only.
    pub fn lookup(&self) -> impl Iterator<Item = &str> {
        let catalog = (!self.lists("pg_catalog")).then_some("pg_catalog");
        catalog.into_iter().chain(self.schemas.iter().map(Name::as_str).filter(|s| *s != "pg_temp"))
    }

    /// The same for relations and types: `pg_temp` goes before all unless listed.
    pub fn relations(&self) -> impl Iterator<Item = &str> {
        let temporary = (!self.lists("pg_temp")).then_some("pg_temp");
        let catalog = (!self.lists("pg_catalog")).then_some("pg_catalog");
        temporary.into_iter().chain(catalog).chain(self.schemas.iter().map(Name::as_str))
    }

    fn lists(&self, schema: &str) -> bool {
        self.schemas.iter().any(|s| s.as_str() == schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::MAX_BYTES;

    #[test]
    fn long_schema_names_keep_their_difference() {
        let (a, b) = (format!("{}a", "s".repeat(62)), format!("{}b", "s".repeat(62)));
        assert_eq!(governed_schema("sales").as_str(), "pgusher_sales");
        assert_ne!(governed_schema(&a), governed_schema(&b));
        assert!(governed_schema(&a).as_str().len() <= MAX_BYTES);
    }
}
