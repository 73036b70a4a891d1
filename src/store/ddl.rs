//! Around DDL, in its transaction: governed views make way before it; after it the policy store follows what was
//! made and dropped, and upstream is brought in line.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde::Deserialize;

use super::directory::Tokens;
use super::load::Known;
use super::names::{DDL, OWNER, VIEWER};
use super::reconcile::{self, Settings};
use super::{StoreError, load};
use crate::catalog::{CatalogSnapshot, RelationKind};
use crate::policy::{Oid, Subject};
use crate::upstream::OwnerChannel;

/// Compares the catalog with the one before, records owners, forgets what was dropped, and brings upstream in line.
pub(super) async fn follow(
    channel: &mut dyn OwnerChannel,
    subject: &Subject,
    before: Option<Arc<CatalogSnapshot>>,
    known: Option<&Known>,
    tokens: &Tokens,
    settings: &Settings,
) -> Result<(), StoreError> {
    // Whoever changes policies stands in one row until the end of the transaction. Others than administrators do not: nobody's
    // revocation waits for them. Their DDL moves the catalog, and with that policies are loaded anew; what a governance command
    // at the same time has missed is found then, and refused until it is mended.
    if subject.admin {
        reconcile::lock_version(channel).await?;
    }
    let now = Arc::new(load::catalog(channel, known, 0).await?);
    let mut statements = views_to_viewer(&now);
    let unchanged = statements.is_empty().then(|| now.clone());
    if let Some(before) = &before {
        let gone = gone(before, &now);
        // Dropped by somebody else means dangling, which fails closed; only what this transaction dropped is forgotten.
        let dropped = if gone.is_empty() { gone } else { tokens.still_there(&gone).await? };
        statements.extend(forget(&dropped));
        statements.extend(renamed(before, &now));
    }
    statements.extend(owners(before.as_deref(), &now, subject));
    if !statements.is_empty() {
        channel.execute(&statements.join(";\n")).await?;
    }
    if subject.admin {
        reconcile::run(channel, settings, &[], known, unchanged).await?;
        reconcile::changed(channel).await?;
    } else {
        reconcile::line_up(channel, settings, &[], known, unchanged).await?;
    }
    Ok(())
}

/// Drops the governed views of these relations and of what inherits from them, unless views that people made read them. PostgreSQL would refuse to drop a table or to change a column's type for their sake.
pub(super) async fn make_way(
    channel: &mut dyn OwnerChannel,
    subject: &Subject,
    relations: &[Oid],
    known: Option<&Known>,
) -> Result<(), StoreError> {
    #[derive(Deserialize)]
    struct Row {
        relation: Oid,
        object: Oid,
    }
    if relations.is_empty() {
        return Ok(());
    }
    if subject.admin {
        reconcile::lock_version(channel).await?;
    }
    let made = "SELECT m.relation::pg_catalog.int8 AS relation, m.object::pg_catalog.int8 AS object FROM pgusher.made AS m WHERE m.object <> 0";
    let made: Vec<Row> = serde_json::from_value(channel.fetch(made).await?).map_err(load::malformed)?;
    if made.is_empty() {
        return Ok(());
    }
    let catalog = load::catalog(channel, known, 0).await?;
    let concerned =
        |relation: Oid| relations.contains(&relation) || catalog.ancestors(relation).iter().any(|a| relations.contains(a));
    let ours: HashSet<Oid> = made.iter().map(|row| row.object).collect();
    let mut doomed = BTreeSet::new();
    for row in made.iter().filter(|row| concerned(row.relation)) {
        let readers = readers(&catalog, row.object);
        if readers.iter().all(|reader| ours.contains(reader)) {
            doomed.insert(row.object);
            doomed.extend(readers);
        }
    }
    // One statement, so that the order among them does not matter.
    let names: Vec<String> =
        doomed.iter().filter_map(|oid| catalog.relation(*oid)).filter_map(|view| Some(catalog.qualified(view)?.quoted())).collect();
    if !names.is_empty() {
        let list = doomed.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let sql = format!("DROP VIEW {};\nDELETE FROM pgusher.made AS m WHERE m.object IN ({list})", names.join(", "));
        channel.execute(&sql).await?;
    }
    Ok(())
}

/// Everything that reads a view, directly or not.
fn readers(catalog: &CatalogSnapshot, view: Oid) -> Vec<Oid> {
    let mut found: Vec<Oid> = Vec::new();
    let mut open = vec![view];
    while let Some(next) = open.pop() {
        for reader in catalog.relations().filter(|r| r.reads.contains(&next)) {
            if !found.contains(&reader.oid) {
                found.push(reader.oid);
                open.push(reader.oid);
            }
        }
    }
    found
}

/// Views belong to the viewer upstream, so that row security and masks hold in them for whoever asks.
fn views_to_viewer(now: &CatalogSnapshot) -> Vec<String> {
    let moves = |kind: RelationKind, owner: &str| match kind {
        RelationKind::View => matches!(owner, OWNER | DDL),
        // What fills it then is what everybody may see; an administrator's is filled with owner's rights.
        RelationKind::MaterializedView => owner == DDL,
        RelationKind::Table
        | RelationKind::PartitionedTable
        | RelationKind::ForeignTable
        | RelationKind::Sequence
        | RelationKind::CompositeType
        | RelationKind::Index => false,
    };
    now.relations()
        .filter(|r| moves(r.kind, r.owner.as_str()) && !r.temporary)
        .filter_map(|view| {
            let schema = now.schema(view.schema).filter(|s| !s.ours && !s.system)?;
            let name = now.qualified(view)?.quoted();
            let noun = if view.kind == RelationKind::View { "VIEW" } else { "MATERIALIZED VIEW" };
            Some(format!("{};\nALTER {noun} {name} OWNER TO {VIEWER}", opened(schema.name.as_str())))
        })
        .collect()
}

/// What was called otherwise before keeps its policies under its new name.
fn renamed(before: &CatalogSnapshot, now: &CatalogSnapshot) -> Vec<String> {
    let names = before.relations().filter_map(|old| Some((old, now.relation(old.oid)?)));
    let moved = names.filter(|(old, new)| before.qualified(old) != now.qualified(new) && new.kind != RelationKind::Index);
    moved.map(|(old, _)| format!("SELECT pgusher.follow_name({})", old.oid)).collect()
}

/// The viewer may make views in a schema. Granted once: two who grant the same at a time are in each other's way.
fn opened(schema: &str) -> String {
    let (name, text) = (crate::name::quote_identifier(schema), crate::name::quote_literal(schema));
    let lacks = format!("NOT pg_catalog.has_schema_privilege('{VIEWER}', {text}, 'CREATE')");
    format!(
        "DO $opened$ BEGIN IF {lacks} THEN \
         PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgusher ' || {text}, 0)); \
         IF {lacks} THEN GRANT USAGE, CREATE ON SCHEMA {name} TO {VIEWER}; END IF; END IF; END $opened$"
    )
}

fn gone(before: &CatalogSnapshot, now: &CatalogSnapshot) -> Vec<Oid> {
    let relations = before.relations().map(|r| r.oid).filter(|oid| now.relation(*oid).is_none());
    let functions = before.functions().map(|f| f.oid).filter(|oid| now.function(*oid).is_none());
    let schemas = before.schemas().map(|s| s.oid).filter(|oid| now.schema(*oid).is_none());
    let types = before.user_types().map(|t| t.oid).filter(|oid| now.user_type(*oid).is_none());
    relations.chain(functions).chain(schemas).chain(types).collect()
}

fn forget(dropped: &[Oid]) -> Vec<String> {
    if dropped.is_empty() {
        return Vec::new();
    }
    let list = dropped.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let mut statements: Vec<String> = ["grants", "owner"]
        .iter()
        .map(|table| {
            format!("DELETE FROM pgusher.{table} AS x WHERE x.object IN ({list}) AND x.kind IN ('relation', 'function', 'schema', 'type')")
        })
        .collect();
    statements.extend(
        ["filter", "mask", "mechanism", "trusted", "made"]
            .iter()
            .map(|table| format!("DELETE FROM pgusher.{table} AS x WHERE x.relation IN ({list})")),
    );
    statements
}

/// Who creates, owns.
fn owners(before: Option<&CatalogSnapshot>, now: &CatalogSnapshot, subject: &Subject) -> Vec<String> {
    let application = |schema: Oid| now.schema(schema).is_some_and(|s| !s.ours && !s.system && s.name.as_str() != "pg_temp");
    let mut rows: Vec<(&str, Oid)> = Vec::new();
    rows.extend(
        now.relations()
            .filter(|r| {
                !matches!(r.kind, RelationKind::Index | RelationKind::CompositeType) && !r.temporary && application(r.schema)
            })
            .filter(|r| matches!(r.owner.as_str(), OWNER | VIEWER | DDL) && before.is_none_or(|b| b.relation(r.oid).is_none()))
            .map(|r| ("relation", r.oid)),
    );
    // Of functions and schemas the catalog does not say who owns them upstream; the store does below.
    rows.extend(
        now.functions()
            .filter(|f| application(f.schema) && before.is_some_and(|b| b.function(f.oid).is_none()))
            .map(|f| ("function", f.oid)),
    );
    rows.extend(
        now.schemas()
            .filter(|s| application(s.oid) && before.is_some_and(|b| b.schema(s.oid).is_none()))
            .map(|s| ("schema", s.oid)),
    );
    rows.extend(
        now.user_types()
            .filter(|t| matches!(t.owner.as_str(), OWNER | DDL) && application(t.schema))
            .filter(|t| before.is_none_or(|b| b.user_type(t.oid).is_none()))
            .map(|t| ("type", t.oid)),
    );
    if rows.is_empty() {
        return Vec::new();
    }
    let values: Vec<String> = rows.iter().map(|(kind, oid)| format!("('{kind}', {oid}::pg_catalog.oid)")).collect();
    vec![format!(
        "INSERT INTO pgusher.owner (kind, object, principal) SELECT v.kind, v.object, p.id \
         FROM (VALUES {}) AS v(kind, object), pgusher.principal AS p WHERE p.id = {} AND CASE v.kind \
           WHEN 'function' THEN EXISTS (SELECT FROM pg_catalog.pg_proc AS f WHERE f.oid = v.object AND f.proowner IN ('{OWNER}'::pg_catalog.regrole, '{DDL}'::pg_catalog.regrole)) \
           WHEN 'schema' THEN EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.oid = v.object AND n.nspowner IN ('{OWNER}'::pg_catalog.regrole, '{DDL}'::pg_catalog.regrole)) \
           ELSE true END \
         ON CONFLICT DO NOTHING",
        values.join(", "),
        subject.principal.0
    )]
}
