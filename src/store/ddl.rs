//! After an administrator's DDL: the policy store follows what was made and dropped, in the same transaction.

use std::sync::Arc;

use super::directory::Tokens;
use super::names::{OWNER, VIEWER};
use super::reconcile::{self, Settings};
use super::{StoreError, load};
use crate::catalog::load::Scope;
use crate::catalog::{CatalogSnapshot, RelationKind};
use crate::policy::{Oid, Subject};
use crate::upstream::OwnerChannel;

/// Compares the catalog with the one before, records owners, forgets what was dropped, and brings upstream in line.
pub(super) async fn follow(
    channel: &mut dyn OwnerChannel,
    subject: &Subject,
    before: Option<Arc<CatalogSnapshot>>,
    tokens: &Tokens,
    settings: &Settings,
) -> Result<(), StoreError> {
    let now = load::catalog(channel, Scope::Shared, 0).await?;
    let mut statements = views_to_viewer(&now);
    if let Some(before) = &before {
        let gone = gone(before, &now);
        // Dropped by somebody else means dangling, which fails closed; only what this transaction dropped is forgotten.
        let dropped = if gone.is_empty() { gone } else { tokens.still_there(&gone).await? };
        statements.extend(forget(&dropped));
    }
    statements.extend(owners(before.as_deref(), &now, subject));
    if !statements.is_empty() {
        channel.execute(&statements.join(";\n")).await?;
    }
    reconcile::run(channel, settings, &[]).await?;
    reconcile::changed(channel).await?;
    Ok(())
}

/// Views belong to the viewer upstream, so that row security and masks hold in them for whoever asks.
fn views_to_viewer(now: &CatalogSnapshot) -> Vec<String> {
    let views = now.relations().filter(|r| r.kind == RelationKind::View && r.owner.as_str() == OWNER && !r.temporary);
    views
        .filter_map(|view| {
            let schema = now.schema(view.schema).filter(|s| !s.ours && !s.system)?;
            let name = now.qualified(view)?.quoted();
            Some(format!(
                "GRANT USAGE, CREATE ON SCHEMA {} TO {VIEWER};\nALTER VIEW {name} OWNER TO {VIEWER}",
                schema.name.quoted()
            ))
        })
        .collect()
}

fn gone(before: &CatalogSnapshot, now: &CatalogSnapshot) -> Vec<Oid> {
    let relations = before.relations().map(|r| r.oid).filter(|oid| now.relation(*oid).is_none());
    let functions = before.functions().map(|f| f.oid).filter(|oid| now.function(*oid).is_none());
    let schemas = before.schemas().map(|s| s.oid).filter(|oid| now.schema(*oid).is_none());
    relations.chain(functions).chain(schemas).collect()
}

fn forget(dropped: &[Oid]) -> Vec<String> {
    if dropped.is_empty() {
        return Vec::new();
    }
    let list = dropped.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let mut statements: Vec<String> = ["grants", "owner"]
        .iter()
        .map(|table| {
            format!("DELETE FROM pgusher.{table} AS x WHERE x.object IN ({list}) AND x.kind IN ('relation', 'function', 'schema')")
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
            .filter(|r| matches!(r.owner.as_str(), OWNER | VIEWER) && before.is_none_or(|b| b.relation(r.oid).is_none()))
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
    if rows.is_empty() {
        return Vec::new();
    }
    let values: Vec<String> = rows.iter().map(|(kind, oid)| format!("('{kind}', {oid}::pg_catalog.oid)")).collect();
    vec![format!(
        "INSERT INTO pgusher.owner (kind, object, principal) SELECT v.kind, v.object, p.id \
         FROM (VALUES {}) AS v(kind, object), pgusher.principal AS p WHERE p.id = {} AND CASE v.kind \
           WHEN 'function' THEN EXISTS (SELECT FROM pg_catalog.pg_proc AS f WHERE f.oid = v.object AND f.proowner = '{OWNER}'::pg_catalog.regrole) \
           WHEN 'schema' THEN EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.oid = v.object AND n.nspowner = '{OWNER}'::pg_catalog.regrole) \
           ELSE true END \
         ON CONFLICT DO NOTHING",
        values.join(", "),
        subject.principal.0
    )]
}
