//! What there is to do.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::actual::{Actual, MadeKind};
use super::{Settings, privileges, rls, views};
use crate::catalog::{Footing, Governed, Relation};
use crate::policy::Oid;
use crate::store::governed::{Effective, effective};

/// Statements for one relation; each joined to the next by a semicolon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// The relation they are for; 0 for none.
    pub(super) relation: Oid,
    /// The SQL.
    pub(super) sql: String,
}

impl Task {
    pub(super) fn sql(relation: Oid, sql: String) -> Self {
        Self { relation, sql }
    }
}

/// What to do, in order, and which relations cannot be brought in line whatever is done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tasks: Vec<Task>,
    pub(super) failed: HashMap<Oid, Arc<str>>,
}

/// Compares what should be with what is.
pub(super) fn plan(footing: &Footing, actual: &Actual, settings: &Settings) -> Plan {
    let catalog = &footing.catalog;
    let mut plan = Plan::default();
    let mut relations: Vec<&Relation> = catalog.relations().filter(|r| application(footing, r)).collect();
    relations.sort_by_key(|r| r.oid);
    let mut wanted = HashMap::new();
    for relation in &relations {
        if let Some(reason) = views::unfit(footing, actual, relation) {
            plan.failed.insert(relation.oid, reason);
        }
        if let Some(Governed::Table(_)) = footing.governed(relation.oid)
            && let Ok(found) = effective(catalog, &footing.policies, relation)
        {
            wanted.insert(relation.oid, found);
        } else if views::still_read(catalog, actual, relation.oid) {
            wanted.insert(relation.oid, Effective::default());
        }
    }
    plan.tasks.extend(privileges::schemas(catalog, actual));
    plan.tasks.extend(views::schemas(footing, &relations, &wanted));
    for relation in &relations {
        let filter = wanted.get(&relation.oid).and_then(|e| e.filter.as_ref());
        let filter = filter.filter(|_| rls::wanted(footing.governed(relation.oid)));
        let strict = settings.strict && rls::carries_grants(footing, actual, relation);
        if filter.is_some() || strict {
            plan.tasks.extend(rls::policies(catalog, actual, relation, filter, strict));
        }
    }
    plan.tasks.extend(rls::leftovers(footing, actual, settings.strict));
    plan.tasks.extend(views::strays(footing, actual, &wanted));
    for relation in &relations {
        if let Some(effective) = wanted.get(&relation.oid) {
            plan.tasks.extend(views::table(footing, actual, relation, effective));
        }
    }
    for relation in views::in_reading_order(footing, &relations) {
        match views::twin(footing, actual, relation) {
            Ok(tasks) => plan.tasks.extend(tasks),
            Err(reason) => {
                plan.failed.insert(relation.oid, reason);
            }
        }
    }
    if actual.ways_moved {
        plan.tasks.push(Task::sql(0, "SELECT pgusher.follow_heirs(), pgusher.follow_ways()".to_owned()));
    }
    for relation in &relations {
        plan.tasks.extend(privileges::relation(catalog, &footing.governed, actual, relation));
    }
    plan
}

/// A hash of what something is made from.
pub(super) fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// A statement that notes what was made, to end a task with.
pub(super) fn note(relation: Oid, kind: MadeKind, view: &str, wanted: &str) -> String {
    format!(
        "INSERT INTO pgusher.made AS m (relation, kind, object, wanted, found) \
         SELECT {relation}, '{}', v.oid, '{wanted}', pgusher.view_state(v.oid) FROM (SELECT {view}::pg_catalog.regclass::pg_catalog.oid) AS v(oid) \
         ON CONFLICT (relation, kind) DO UPDATE SET object = excluded.object, wanted = excluded.wanted, found = excluded.found",
        kind.as_str()
    )
}

fn application(footing: &Footing, relation: &Relation) -> bool {
    use crate::catalog::RelationKind as Kind;
    let stored = match relation.kind {
        Kind::Table | Kind::PartitionedTable | Kind::View | Kind::MaterializedView | Kind::ForeignTable | Kind::Sequence => true,
        Kind::CompositeType | Kind::Index => false,
    };
    stored && !relation.temporary && footing.catalog.schema(relation.schema).is_some_and(|s| !s.ours && !s.system)
}
