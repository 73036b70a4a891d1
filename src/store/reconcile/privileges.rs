//! The privileges that sessions and governed views need upstream, and those they must not have.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::actual::{Acl, Actual, Grantee};
use super::plan::Task;
use crate::catalog::{CatalogSnapshot, Footing, Governed, GovernedTable, Relation, RelationKind, Schema, reads_by_view};
use crate::name::{Name, quote_identifier};
use crate::policy::Oid;
use crate::store::names::{DDL, VIEWER};

/// What one role should hold on a relation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Access {
    /// On the whole relation.
    table: BTreeSet<&'static str>,
    /// SELECT on these columns only.
    columns: Vec<Name>,
}

/// USAGE for every login, and CREATE for the owners of what is made here, on every schema of the application that `pgusher_owner`
/// may give them on.
pub(super) fn schemas(catalog: &CatalogSnapshot, actual: &Actual) -> Vec<Task> {
    let none = Acl::new();
    let application = |s: &&Schema| !s.system && !s.ours && s.name.as_str() != "pg_temp";
    let mut sorted: Vec<&Schema> = catalog.schemas().filter(application).filter(|s| actual.schemas_open.contains(&s.oid)).collect();
    sorted.sort_by_key(|s| s.oid);
    let mut tasks = Vec::new();
    for schema in sorted {
        let acl = actual.schemas.get(&schema.oid).unwrap_or(&none);
        for (role, grantee, wanted) in [
            ("pgusher_session", Grantee::Session, &["USAGE"][..]),
            ("pgusher_control", Grantee::Control, &["USAGE"][..]),
            (VIEWER, Grantee::Viewer, &["CREATE", "USAGE"][..]),
            (DDL, Grantee::Ddl, &["CREATE", "USAGE"][..]),
        ] {
            let missing: Vec<&str> =
                wanted.iter().filter(|p| !acl.get(&grantee).is_some_and(|held| held.contains(**p))).copied().collect();
            if !missing.is_empty() {
                tasks.push(Task::sql(0, format!("GRANT {} ON SCHEMA {} TO {role}", missing.join(", "), schema.name.quoted())));
            }
        }
    }
    tasks
}

/// GRANT and REVOKE for one relation.
pub(super) fn relation(
    catalog: &CatalogSnapshot,
    governed: &HashMap<Oid, Governed>,
    actual: &Actual,
    relation: &Relation,
) -> Vec<Task> {
    let Some(name) = catalog.qualified(relation) else { return Vec::new() };
    if !adoptable(catalog, actual, relation) {
        return Vec::new();
    }
    let object = if relation.kind == RelationKind::Sequence { format!("SEQUENCE {}", name.quoted()) } else { name.quoted() };
    let login = login_access(catalog, governed, relation);
    let mut viewer = viewer_access(governed, relation);
    if relation.kind == RelationKind::MaterializedView && relation.owner.as_str() == VIEWER {
        // REFRESH CONCURRENTLY writes what differs, with its owner's rights; nothing else can write to it.
        viewer.table.extend(["INSERT", "DELETE"]);
        // Since 17 REFRESH asks for this, of the owner too.
        if catalog.server_version >= 170_000 {
            viewer.table.insert("MAINTAIN");
        }
    }
    // An INSTEAD OF trigger is made on it with its owner's rights.
    if relation.kind == RelationKind::View && relation.owner.as_str() == VIEWER {
        viewer.table.insert("TRIGGER");
    }
    let definer = definer_access(catalog, governed, actual, relation);
    let mut tasks = Vec::new();
    for (role, grantee, wanted) in [
        ("pgusher_session", Grantee::Session, &login),
        ("pgusher_control", Grantee::Control, &login),
        (VIEWER, Grantee::Viewer, &viewer),
        (DDL, Grantee::Ddl, &definer),
    ] {
        // An owner's rights are its own.
        if role == DDL && relation.owner.as_str() == DDL {
            continue;
        }
        let statements = difference(actual, relation, &object, role, grantee, wanted);
        tasks.extend(statements.into_iter().map(|sql| Task::sql(relation.oid, sql)));
    }
    tasks
}

/// Why what everybody holds on a governed relation passes by its filter or masks, if it does.
pub(super) fn exposed(footing: &Footing, actual: &Actual, relation: &Relation) -> Option<String> {
    footing.governed(relation.oid)?;
    let wanted = login_access(&footing.catalog, &footing.governed, relation);
    let table = actual.relations.get(&relation.oid).and_then(|acl| acl.get(&Grantee::Public));
    let too_much = table.into_iter().flatten().find(|p| DATA.contains(&p.as_str()) && !wanted.table.contains(p.as_str()));
    if let Some(privilege) = too_much {
        return Some(format!("PUBLIC holds {privilege} on it upstream; revoke that"));
    }
    let columns = actual.columns.get(&relation.oid)?;
    let wide = wanted.table.contains("SELECT");
    columns.iter().find_map(|(column, acl)| {
        let held = acl.get(&Grantee::Public)?;
        let read = held.contains("SELECT") && !wide && !wanted.columns.iter().any(|c| c.as_str() == column);
        let write = ["INSERT", "UPDATE"].into_iter().any(|p| held.contains(p) && !wanted.table.contains(p));
        (read || write).then(|| format!("PUBLIC holds privileges on its column \"{column}\" upstream; revoke them"))
    })
}

/// Whether `pgusher_owner` can give privileges on it: by the owner's rights, or by grant option from init.
pub(super) fn adoptable(catalog: &CatalogSnapshot, actual: &Actual, relation: &Relation) -> bool {
    !actual.extensions.contains(&relation.oid)
        && (catalog.alterable(relation)
            || actual
                .relations
                .get(&relation.oid)
                .and_then(|acl| acl.get(&Grantee::Owner))
                .is_some_and(|held| held.contains("SELECT")))
}

fn login_access(catalog: &CatalogSnapshot, governed: &HashMap<Oid, Governed>, relation: &Relation) -> Access {
    match governed.get(&relation.oid) {
        None => whole(relation.kind),
        Some(Governed::Derived) => {
            let mut access = whole(relation.kind);
            // With UPDATE beside it, ON CONFLICT DO UPDATE would take over rows that the views below hide.
            if reads_by_view(catalog, governed, relation.oid) {
                access.table.remove("INSERT");
            }
            access
        }
        Some(Governed::Table(table)) => table_access(table, relation),
        Some(Governed::View { .. } | Governed::Refused(_)) => Access::default(),
    }
}

fn table_access(table: &GovernedTable, relation: &Relation) -> Access {
    if table.by_view() {
        return Access::default();
    }
    if table.masked.is_empty() {
        return whole(relation.kind);
    }
    let columns = relation.columns.iter().map(|c| c.name.clone()).filter(|c| !table.masks(c.as_str())).collect();
    Access { table: BTreeSet::new(), columns }
}

/// The viewer reads tables raw, under row security; views made outside it reads only where nothing is passed by.
fn viewer_access(governed: &HashMap<Oid, Governed>, relation: &Relation) -> Access {
    match (relation.kind, governed.get(&relation.oid)) {
        (RelationKind::Sequence, _) => Access::default(),
        (RelationKind::View | RelationKind::MaterializedView, Some(Governed::View { .. } | Governed::Refused(_))) => {
            Access::default()
        }
        _ => whole(relation.kind),
    }
}

/// A foreign key may point to it, unless it would tell of rows that are hidden. No row is read by that.
fn definer_access(catalog: &CatalogSnapshot, governed: &HashMap<Oid, Governed>, actual: &Actual, relation: &Relation) -> Access {
    let held = actual.relations.get(&relation.oid).and_then(|acl| acl.get(&Grantee::Owner));
    let givable = catalog.alterable(relation) || held.is_some_and(|held| held.contains("REFERENCES"));
    let open =
        matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable) && !governed.contains_key(&relation.oid);
    let table = if givable && open { BTreeSet::from(["REFERENCES"]) } else { BTreeSet::new() };
    Access { table, columns: Vec::new() }
}

fn whole(kind: RelationKind) -> Access {
    let table: &[&str] = match kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::View | RelationKind::ForeignTable => {
            &["SELECT", "INSERT", "UPDATE", "DELETE"]
        }
        RelationKind::MaterializedView => &["SELECT"],
        RelationKind::Sequence => &["USAGE", "SELECT", "UPDATE"],
        RelationKind::CompositeType | RelationKind::Index => &[],
    };
    Access { table: table.iter().copied().collect(), columns: Vec::new() }
}

/// REVOKE comes first: revoking on the whole table takes the same from its columns.
fn difference(actual: &Actual, relation: &Relation, object: &str, role: &str, grantee: Grantee, wanted: &Access) -> Vec<String> {
    let empty = BTreeSet::new();
    let held = actual.relations.get(&relation.oid).and_then(|acl| acl.get(&grantee)).unwrap_or(&empty);
    let extra: Vec<&str> = held.iter().map(String::as_str).filter(|p| !wanted.table.contains(p)).collect();
    let missing: Vec<&str> = wanted.table.iter().copied().filter(|p| !held.contains(*p)).collect();
    let mut statements = Vec::new();
    if !extra.is_empty() {
        statements.push(format!("REVOKE {} ON {object} FROM {role}", extra.join(", ")));
    }
    let revoked_select = extra.contains(&"SELECT");
    let mut grant_columns = Vec::new();
    let mut revoke_columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let columns = actual.columns.get(&relation.oid);
    for column in &relation.columns {
        let held = columns.and_then(|c| c.get(column.name.as_str())).and_then(|acl| acl.get(&grantee)).unwrap_or(&empty);
        let wants = wanted.columns.contains(&column.name);
        if wants && (revoked_select || !held.contains("SELECT")) {
            grant_columns.push(column.name.quoted());
        }
        for privilege in held {
            let (right, gone_anyway) = (wants && privilege == "SELECT", extra.contains(&privilege.as_str()));
            if !right && !gone_anyway {
                revoke_columns.entry(privilege.clone()).or_default().push(quote_identifier(column.name.as_str()));
            }
        }
    }
    for (privilege, columns) in revoke_columns {
        statements.push(format!("REVOKE {privilege} ({}) ON {object} FROM {role}", columns.join(", ")));
    }
    if !missing.is_empty() {
        statements.push(format!("GRANT {} ON {object} TO {role}", missing.join(", ")));
    }
    if !grant_columns.is_empty() {
        statements.push(format!("GRANT SELECT ({}) ON {object} TO {role}", grant_columns.join(", ")));
    }
    statements
}

const DATA: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
