//! Rows of the policy store → [`PolicySnapshot`].

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::StoreError;
use crate::catalog::CatalogSnapshot;
use crate::catalog::load::{LoadError, Scope};
use crate::name::Name;
use crate::policy::{
    ColumnMask, Grant, Mechanism, Oid, PolicyParts, PolicySnapshot, PolicySource, Principal, PrincipalId, Privilege, RowFilter,
    Securable,
};
use crate::sql::rewrite::settled::is_settled;
use crate::upstream::{OwnerChannel, OwnerError};

/// Loads the policies as the channel's transaction sees them.
pub async fn policies(channel: &mut dyn OwnerChannel) -> Result<PolicySnapshot, StoreError> {
    let value = channel.fetch(POLICIES).await?;
    let rows: Vec<PoliciesRow> = serde_json::from_value(value).map_err(malformed)?;
    let row = rows.into_iter().next().ok_or(StoreError::NotInitialized)?;
    row.snapshot()
}

/// A catalog that was loaded, and what tells whether it is still the same.
#[derive(Debug)]
pub struct Known {
    pub(super) fingerprint: String,
    pub(super) catalog: Arc<CatalogSnapshot>,
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

#[derive(Deserialize)]
struct PoliciesRow {
    version: Option<i64>,
    principals: Vec<Principal>,
    memberships: Vec<(PrincipalId, PrincipalId)>,
    grants: Vec<(String, Oid, String, Vec<PrincipalId>)>,
    owners: Vec<(String, Oid, PrincipalId)>,
    filters: Vec<(Oid, Arc<str>, PolicySource)>,
    masks: Vec<(Oid, Name, Arc<str>, PolicySource)>,
    mechanisms: Vec<(Oid, Mechanism)>,
    trusted: Vec<Oid>,
    broken: Vec<(Oid, Arc<str>)>,
    /// Relation, function, and its body where that is in SQL.
    swayed: Vec<(Oid, String, Option<String>)>,
}

impl PoliciesRow {
    fn snapshot(mut self) -> Result<PolicySnapshot, StoreError> {
        let swayed = self.swayed.iter().filter(|(_, _, source)| !source.as_deref().is_some_and(is_settled));
        self.broken.extend(swayed.map(|(relation, function, _)| {
            (*relation, format!("what the function {function} reads depends on search_path").into())
        }));
        let version = self.version.ok_or(StoreError::NotInitialized)?;
        let unknown = |what: &str| StoreError::Malformed(format!("unknown securable or privilege \"{what}\""));
        let mut grants = Vec::with_capacity(self.grants.iter().map(|g| g.3.len()).sum());
        for (kind, object, privilege, holders) in self.grants {
            let securable = securable(&kind, object).ok_or_else(|| unknown(&kind))?;
            let privilege = Privilege::from_text(&privilege).ok_or_else(|| unknown(&privilege))?;
            grants.extend(holders.into_iter().map(|principal| Grant { principal, privilege, securable }));
        }
        let mut owners = Vec::with_capacity(self.owners.len());
        for (kind, object, principal) in self.owners {
            owners.push((securable(&kind, object).ok_or_else(|| unknown(&kind))?, principal));
        }
        let filters = self.filters.into_iter().map(|(relation, expression, source)| RowFilter { relation, expression, source });
        let masks = self.masks.into_iter().map(|(relation, column, expression, source)| ColumnMask {
            relation,
            column,
            expression,
            source,
        });
        Ok(PolicySnapshot::new(
            version,
            PolicyParts {
                principals: self.principals,
                memberships: self.memberships,
                grants,
                owners,
                filters: filters.collect(),
                masks: masks.collect(),
                mechanisms: self.mechanisms,
                trusted: self.trusted,
                broken: self.broken,
            },
        ))
    }
}

pub(super) fn malformed(error: serde_json::Error) -> StoreError {
    StoreError::Malformed(error.to_string())
}

/// One statement, so one snapshot. Broken are: what is not what its name, columns and functions say (`pgusher.lost`); a table
/// whose masked column is gone or another one; and what names a function that is gone. So are those that are swayed.
const POLICIES: &str = r#"SELECT (SELECT v.policy FROM pgusher.version AS v) AS version,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', p.id, 'name', p.name, 'kind', p.kind, 'enabled', p.enabled)), '[]'::pg_catalog.jsonb)
   FROM pgusher.principal AS p) AS principals,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.group_id, m.member_id)), '[]'::pg_catalog.jsonb) FROM pgusher.membership AS m) AS memberships,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(g.kind, g.object::pg_catalog.int8, g.privilege, g.holders)), '[]'::pg_catalog.jsonb)
   FROM (SELECT g.kind, g.object, g.privilege, pg_catalog.array_agg(g.principal) AS holders FROM pgusher.grants AS g GROUP BY g.kind, g.object, g.privilege) AS g) AS grants,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(o.kind, o.object::pg_catalog.int8, o.principal)), '[]'::pg_catalog.jsonb) FROM pgusher.owner AS o) AS owners,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(f.relation::pg_catalog.int8, f.expression, f.source)), '[]'::pg_catalog.jsonb) FROM pgusher.filter AS f) AS filters,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.relation::pg_catalog.int8, m."column", m.expression, m.source) ORDER BY m.relation, m.number), '[]'::pg_catalog.jsonb)
   FROM pgusher.mask AS m) AS masks,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.relation::pg_catalog.int8, m.mechanism)), '[]'::pg_catalog.jsonb) FROM pgusher.mechanism AS m) AS mechanisms,
  (SELECT coalesce(pg_catalog.jsonb_agg(t.relation::pg_catalog.int8), '[]'::pg_catalog.jsonb) FROM pgusher.trusted AS t
   WHERE t.definition = pgusher.vouched(t.relation)) AS trusted,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(b.relation::pg_catalog.int8, b.reason)), '[]'::pg_catalog.jsonb) FROM (
    SELECT l.relation, l.reason FROM pgusher.lost AS l
    UNION ALL
    SELECT m.relation, 'its masked column "' || m."column" || '" is gone or another one'
    FROM pgusher.mask AS m LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = m.relation AND a.attnum = m.number AND NOT a.attisdropped
    WHERE a.attname IS DISTINCT FROM m."column"::pg_catalog.name
    UNION ALL
    SELECT s.relation, 'the function ' || (s.source #>> '{function,name}') || ' is gone'
    FROM (SELECT f.relation, f.source FROM pgusher.filter AS f UNION ALL SELECT m.relation, m.source FROM pgusher.mask AS m) AS s
    WHERE s.source ? 'function' AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_proc AS p WHERE p.oid = (s.source #>> '{function,oid}')::pg_catalog.oid)) AS b) AS broken,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(w.relation::pg_catalog.int8, w.function, w.source)), '[]'::pg_catalog.jsonb)
   FROM pgusher.swayed AS w) AS swayed"#;
