//! Rows of the policy store → [`PolicySnapshot`], of upstream's catalog → [`CatalogSnapshot`].

mod changes;
mod policies;

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::StoreError;
use crate::catalog::CatalogSnapshot;
use crate::catalog::load::{LoadError, Scope};
use crate::policy::{Oid, PolicySnapshot, Securable};
use crate::upstream::{OwnerChannel, OwnerError};

pub use changes::increment;

/// Catalog and policies that were loaded together, and what tells whether the catalog is still the same.
#[derive(Debug)]
pub struct Known {
    pub(super) fingerprint: String,
    pub(super) catalog: Arc<CatalogSnapshot>,
    pub(super) policies: Arc<PolicySnapshot>,
}

/// The policies as the channel's transaction sees them: what changed since the `known` ones, where that can be told, else all of them.
pub async fn policies(channel: &mut dyn OwnerChannel, known: Option<&Known>) -> Result<PolicySnapshot, StoreError> {
    policies_after(channel, known.map(|known| &*known.policies)).await
}

pub(super) async fn policies_after(
    channel: &mut dyn OwnerChannel,
    before: Option<&PolicySnapshot>,
) -> Result<PolicySnapshot, StoreError> {
    if let Some(before) = before
        && let Some(after) = increment(channel, before).await?
    {
        return Ok(after);
    }
    policies::whole(channel).await
}

/// The catalog as the channel's transaction sees it, loaded unless it is the `known` one; `version` must be one that no other snapshot
/// of this process has.
pub async fn catalog(channel: &mut dyn OwnerChannel, known: Option<&Known>, version: u64) -> Result<CatalogSnapshot, StoreError> {
    if let Some(known) = known
        && fingerprint(channel).await? == known.fingerprint
    {
        return Ok(known.catalog.renumbered(version));
    }
    let parts = crate::catalog::load::load(channel, Scope::Shared).await?;
    Ok(CatalogSnapshot::new(version, parts))
}

async fn fingerprint(channel: &mut dyn OwnerChannel) -> Result<String, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        fingerprint: String,
    }
    let value = channel.fetch(&format!("SELECT {} AS fingerprint", &*FINGERPRINT)).await?;
    let rows: Vec<Row> = serde_json::from_value(value).map_err(malformed)?;
    Ok(rows.into_iter().next().ok_or(StoreError::NotInitialized)?.fingerprint)
}

/// How many rows each catalog has and the sum of the transactions that wrote them, relative to a fixed one: moves with every change that
/// the transaction sees, since a row that replaces another one is younger; costs a few milliseconds for thousands of tables. Rows that
/// came with the server have no age. Temporary relations come and go without notice.
pub static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
    let parts: Vec<String> = WATCHED
        .iter()
        .map(|(catalog, condition)| {
            format!(
                "SELECT pg_catalog.concat_ws(',', pg_catalog.count(*), pg_catalog.sum(CASE WHEN age(x.xmin) < 2147483647 \
                 THEN age('3'::xid)::int8 - age(x.xmin) END)) AS part FROM pg_catalog.{catalog} AS x{condition}"
            )
        })
        .collect();
    format!(
        "(SELECT pg_catalog.md5(pg_catalog.string_agg(f.part, ';')) FROM ({} UNION ALL {ROLES}) AS f)",
        parts.join(" UNION ALL ")
    )
});

const WATCHED: [(&str, &str); 16] = [
    ("pg_class", " WHERE x.relpersistence <> 't'"),
    ("pg_attribute", " WHERE x.attrelid NOT IN (SELECT t.oid FROM pg_catalog.pg_class AS t WHERE t.relpersistence = 't')"),
    ("pg_proc", ""),
    ("pg_type", " WHERE x.typrelid = 0 AND x.typelem = 0"),
    ("pg_constraint", " WHERE x.conrelid NOT IN (SELECT t.oid FROM pg_catalog.pg_class AS t WHERE t.relpersistence = 't')"),
    ("pg_statistic_ext", ""),
    ("pg_policy", ""),
    ("pg_namespace", " WHERE x.nspname NOT LIKE 'pg\\_temp\\_%' AND x.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'"),
    ("pg_inherits", ""),
    ("pg_rewrite", ""),
    ("pg_operator", ""),
    ("pg_cast", ""),
    ("pg_foreign_server", ""),
    ("pg_auth_members", ""),
    ("pg_db_role_setting", ""),
    ("pg_trigger", " WHERE NOT x.tgisinternal"),
];

const ROLES: &str = "SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', r.rolname, r.rolsuper, r.rolbypassrls, r.rolinherit, \
  r.rolcreaterole, r.rolreplication), ';' ORDER BY r.oid) FROM pg_catalog.pg_roles AS r";

impl From<LoadError<OwnerError>> for StoreError {
    fn from(error: LoadError<OwnerError>) -> Self {
        match error {
            LoadError::Source(error) => Self::Upstream(error),
            LoadError::Malformed(error) => malformed(error),
        }
    }
}

/// A securable from the store's (kind, object); the inverse of [`securable_key`].
pub fn securable(kind: &str, object: Oid) -> Option<Securable> {
    Some(match kind {
        "catalog" => Securable::Catalog,
        "schema" => Securable::Schema(object),
        "relation" => Securable::Relation(object),
        "function" => Securable::Function(object),
        "anonymous_function" => Securable::AnonymousFunction,
        "type" => Securable::Type(object),
        "any_file" => Securable::AnyFile,
        "connection" => Securable::Connection(object),
        _ => return None,
    })
}

/// The store's (kind, object) of a securable.
pub fn securable_key(securable: Securable) -> (&'static str, Oid) {
    match securable {
        Securable::Catalog => ("catalog", 0),
        Securable::Schema(oid) => ("schema", oid),
        Securable::Relation(oid) => ("relation", oid),
        Securable::Function(oid) => ("function", oid),
        Securable::AnonymousFunction => ("anonymous_function", 0),
        Securable::Type(oid) => ("type", oid),
        Securable::AnyFile => ("any_file", 0),
        Securable::Connection(oid) => ("connection", oid),
    }
}

pub(super) fn malformed(error: serde_json::Error) -> StoreError {
    StoreError::Malformed(error.to_string())
}
