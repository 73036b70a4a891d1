//! Row filters, and the grants of strict mode, as row-security policies.

use std::sync::Arc;

use super::actual::{Actual, MadeKind, RowSecurity};
use super::plan::{Task, fingerprint};
use crate::catalog::{CatalogSnapshot, Footing, Governed, Relation, RelationKind};
use crate::name::quote_literal;
use crate::policy::{Mechanism, Oid};

/// Whether a table's filter is enforced by row security.
pub(super) fn wanted(governed: Option<&Governed>) -> bool {
    matches!(governed, Some(Governed::Table(t)) if t.filtered && t.mechanism == Mechanism::Rls)
}

/// Whether a table can be made to ask for grants. One that is refused keeps what it has.
pub(super) fn carries_grants(footing: &Footing, actual: &Actual, relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
        && footing.catalog.alterable(relation)
        && !actual.extensions.contains(&relation.oid)
        && !matches!(footing.governed(relation.oid), Some(Governed::Refused(_)))
}

/// Row security for one table that should have it: for its row filter, for strict mode, or for both.
pub(super) fn policies(
    catalog: &CatalogSnapshot,
    actual: &Actual,
    relation: &Relation,
    filter: Option<&Arc<str>>,
    strict: bool,
) -> Vec<Task> {
    let Some(name) = catalog.qualified(relation).map(|n| n.quoted()) else { return Vec::new() };
    let now = actual.row_security.get(&relation.oid).copied().unwrap_or_default();
    let made = actual.made.get(&(relation.oid, MadeKind::Filter));
    // Once decided, who passes stays so: our own ENABLE must not be taken for the application's.
    let public = match made {
        Some(made) => made.wanted.starts_with(PUBLIC),
        None if now.pass => now.pass_public,
        None => !relation.row_security,
    };
    let parts: Vec<&str> = filter.map(|f| &**f).into_iter().chain(strict.then_some(STRICT)).collect();
    let mark = format!("{}{}", if public { PUBLIC } else { ROLES }, fingerprint(&parts));
    let there = now.pass && now.filter == filter.is_some() && now.strict == strict;
    if relation.row_security && there && made.is_some_and(|m| m.holds(&mark)) {
        return Vec::new();
    }
    let mut sql = drop_policies(now, &name);
    let pass = if public { "PUBLIC" } else { OURS };
    sql.push(format!("CREATE POLICY pgusher_pass ON {name} AS PERMISSIVE FOR ALL TO {pass} USING (true) WITH CHECK (true)"));
    if let Some(expression) = filter {
        sql.push(format!(
            "CREATE POLICY pgusher_filter ON {name} AS RESTRICTIVE FOR ALL TO {OURS} USING ({expression}\n) WITH CHECK ({expression}\n)"
        ));
    }
    if strict {
        sql.extend(ask_for_grants(relation.oid, &name));
    }
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

/// Each is asked once per statement, and only where the statement does what it is about: UPDATE with WHERE needs both.
fn ask_for_grants(oid: Oid, name: &str) -> Vec<String> {
    let mut sql = Vec::new();
    for (end, function, roles) in ASKED {
        for (command, privilege, clause) in [
            ("select", "SELECT", "USING"),
            ("insert", "MODIFY", "WITH CHECK"),
            ("update", "MODIFY", "USING"),
            ("delete", "MODIFY", "USING"),
        ] {
            // What an UPDATE makes is not asked again.
            let more = if command == "update" { " WITH CHECK (true)" } else { "" };
            sql.push(format!(
                "CREATE POLICY pgusher_may_{command}{end} ON {name} AS RESTRICTIVE FOR {command} TO {roles} \
                 {clause} ((SELECT pgusher.{function}({oid}::pg_catalog.oid, '{privilege}'))){more}"
            ));
        }
    }
    sql
}

/// Takes our policies from tables that no longer have a filter. A refused table keeps what it has.
pub(super) fn leftovers(footing: &Footing, actual: &Actual, strict: bool) -> Vec<Task> {
    let (catalog, governed) = (&footing.catalog, &footing.governed);
    let mut found: Vec<Oid> = actual.row_security.keys().copied().collect();
    found.extend(actual.made.keys().filter(|(_, kind)| *kind == MadeKind::Filter).map(|(oid, _)| *oid));
    found.sort_unstable();
    found.dedup();
    let mut tasks = Vec::new();
    for oid in found {
        if wanted(governed.get(&oid)) || matches!(governed.get(&oid), Some(Governed::Refused(_))) {
            continue;
        }
        if strict && catalog.relation(oid).is_some_and(|relation| carries_grants(footing, actual, relation)) {
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
    if now.strict {
        let commands = ["select", "insert", "update", "delete"];
        let each = ASKED.iter().flat_map(|(end, _, _)| commands.map(|command| format!("pgusher_may_{command}{end}")));
        sql.extend(each.map(|policy| format!("DROP POLICY IF EXISTS {policy} ON {name}")));
    }
    sql
}

/// Who is asked what: ends of the policies' names, the function, the roles. What is read through a view is asked for as its owner.
const ASKED: [(&str, &str, &str); 2] =
    [("", "may", "pgusher_session, pgusher_control"), ("_through", "may_through", "pgusher_viewer")];
/// Moves when the policies of strict mode become others.
const STRICT: &str = "strict 1";
const OURS: &str = "pgusher_session, pgusher_control, pgusher_viewer";
/// Marks of who passes, at the head of what was wanted.
const PUBLIC: &str = "public ";
const ROLES: &str = "roles ";
