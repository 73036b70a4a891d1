//! Row filters as row-security policies.

use std::collections::HashMap;
use std::sync::Arc;

use super::actual::{Actual, MadeKind, RowSecurity};
use super::plan::{Task, fingerprint};
use crate::catalog::{CatalogSnapshot, Governed, Relation};
use crate::name::quote_literal;
use crate::policy::{Mechanism, Oid};

/// Whether a table's filter is enforced by row security.
pub(super) fn wanted(governed: Option<&Governed>) -> bool {
    matches!(governed, Some(Governed::Table(t)) if t.filtered && t.mechanism == Mechanism::Rls)
}

/// Policies for one table that should have them.
pub(super) fn filter(catalog: &CatalogSnapshot, actual: &Actual, relation: &Relation, expression: &Arc<str>) -> Vec<Task> {
    let Some(name) = catalog.qualified(relation).map(|n| n.quoted()) else { return Vec::new() };
    let now = actual.row_security.get(&relation.oid).copied().unwrap_or_default();
    let made = actual.made.get(&(relation.oid, MadeKind::Filter));
    // Once decided, who passes stays so: our own ENABLE must not be taken for the application's.
    let public = match made {
        Some(made) => made.wanted.starts_with(PUBLIC),
        None if now.pass => now.pass_public,
        None => !relation.row_security,
    };
    let mark = format!("{}{}", if public { PUBLIC } else { ROLES }, fingerprint(&[expression]));
    if relation.row_security && now.filter && now.pass && made.is_some_and(|m| m.holds(&mark)) {
        return Vec::new();
    }
    let mut sql = Vec::new();
    if now.filter {
        sql.push(format!("DROP POLICY pgusher_filter ON {name}"));
    }
    if now.pass {
        sql.push(format!("DROP POLICY pgusher_pass ON {name}"));
    }
    let pass = if public { "PUBLIC" } else { OURS };
    sql.push(format!("CREATE POLICY pgusher_pass ON {name} AS PERMISSIVE FOR ALL TO {pass} USING (true) WITH CHECK (true)"));
    sql.push(format!(
        "CREATE POLICY pgusher_filter ON {name} AS RESTRICTIVE FOR ALL TO {OURS} USING ({expression}\n) WITH CHECK ({expression}\n)"
    ));
    if !relation.row_security {
        sql.push(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"));
    }
    sql.push(format!(
        "INSERT INTO pgusher.made AS m (relation, kind, wanted, found) \
         VALUES ({oid}, 'filter', {mark}, pgusher.filter_state({oid})) \
         ON CONFLICT (relation, kind) DO UPDATE SET wanted = excluded.wanted, found = excluded.found",
        oid = relation.oid,
        mark = quote_literal(&mark),
    ));
    vec![Task::sql(relation.oid, sql.join(";\n"))]
}

/// Takes our policies from tables that no longer have a filter. A refused table keeps what it has.
pub(super) fn leftovers(catalog: &CatalogSnapshot, governed: &HashMap<Oid, Governed>, actual: &Actual) -> Vec<Task> {
    let mut found: Vec<Oid> = actual.row_security.keys().copied().collect();
    found.extend(actual.made.keys().filter(|(_, kind)| *kind == MadeKind::Filter).map(|(oid, _)| *oid));
    found.sort_unstable();
    found.dedup();
    let mut tasks = Vec::new();
    for oid in found {
        if wanted(governed.get(&oid)) || matches!(governed.get(&oid), Some(Governed::Refused(_))) {
            continue;
        }
        let forget = format!("DELETE FROM pgusher.made WHERE relation = {oid} AND kind = 'filter'");
        let Some(relation) = catalog.relation(oid) else {
            tasks.push(Task::sql(oid, forget));
            continue;
        };
        let Some(name) = catalog.qualified(relation).map(|n| n.quoted()) else { continue };
        let now = actual.row_security.get(&oid).copied().unwrap_or_default();
        let mut sql = drop_policies(now, &name);
        let public = actual.made.get(&(oid, MadeKind::Filter)).map_or(now.pass_public, |m| m.wanted.starts_with(PUBLIC));
        if public && relation.row_security {
            sql.push(format!("ALTER TABLE {name} DISABLE ROW LEVEL SECURITY"));
        }
        sql.push(forget);
        tasks.push(Task::sql(oid, sql.join(";\n")));
    }
    tasks
}

fn drop_policies(now: RowSecurity, name: &str) -> Vec<String> {
    let mut sql = Vec::new();
    if now.filter {
        sql.push(format!("DROP POLICY pgusher_filter ON {name}"));
    }
    if now.pass {
        sql.push(format!("DROP POLICY pgusher_pass ON {name}"));
    }
    sql
}

const OURS: &str = "pgusher_session, pgusher_control, pgusher_viewer";
/// Marks of who passes, at the head of what was wanted.
const PUBLIC: &str = "public ";
const ROLES: &str = "roles ";
