//! What changed in the policies since a snapshot of them.
//!
//! Triggers note the keys of what is written (`changes.sql`), each with its transaction. A snapshot knows which transactions it shows, so
//! what is not among those and is visible now is what changed: nothing is missed, in whatever order transactions commit. The rows
//! themselves are read anew by their keys. Filters, masks and what is wrong with them follow from the catalog, too, and are read as a whole.

use std::sync::Arc;

use serde::Deserialize;

use super::policies::{HEAD, RULES, RulesRow, securable_and_privilege};
use super::{malformed, securable};
use crate::name::quote_literal;
use crate::policy::{Grant, Oid, PolicyChanges, PolicySnapshot, Principal, PrincipalId, PrincipalKind};
use crate::store::StoreError;
use crate::upstream::OwnerChannel;

/// The policies as the channel's transaction sees them, made of those before; none where what changed cannot be told.
pub async fn increment(channel: &mut dyn OwnerChannel, before: &PolicySnapshot) -> Result<Option<PolicySnapshot>, StoreError> {
    let Some(seen) = before.seen() else { return Ok(None) };
    let value = channel.fetch(&changes(seen)).await?;
    let rows: Vec<ChangesRow> = serde_json::from_value(value).map_err(malformed)?;
    let row = rows.into_iter().next().ok_or(StoreError::NotInitialized)?;
    row.after(before)
}

#[derive(Deserialize)]
struct ChangesRow {
    version: Option<i64>,
    seen: Option<Arc<str>>,
    /// Everything that changed is among the changes, and nothing of what was seen is hidden now.
    follows: Option<bool>,
    /// How many changes there are, and how many of a kind that is not followed.
    changes: usize,
    others: usize,
    versions: Vec<i64>,
    principals: Vec<PrincipalRow>,
    memberships: Vec<(PrincipalId, PrincipalId, bool)>,
    grants: Vec<(String, Oid, String, PrincipalId, bool)>,
    owners: Vec<(String, Oid, Option<PrincipalId>)>,
    rules: RulesRow,
}

/// The id of one that changed, and what it is now: name, kind, enabled.
type PrincipalRow = (PrincipalId, Option<Arc<str>>, Option<PrincipalKind>, Option<bool>);

impl ChangesRow {
    fn after(self, before: &PolicySnapshot) -> Result<Option<PolicySnapshot>, StoreError> {
        let version = self.version.ok_or(StoreError::NotInitialized)?;
        // Whoever moves the version says so, unless that was by hand: then nobody can tell what else was.
        let accounted = version >= before.version && (before.version + 1..=version).all(|moved| self.versions.contains(&moved));
        if self.follows != Some(true) || self.changes > MOST || self.others > 0 || !accounted {
            return Ok(None);
        }
        let principal = |(id, name, kind, enabled)| {
            let now = match (name, kind, enabled) {
                (Some(name), Some(kind), Some(enabled)) => Some(Principal { id, name, kind, enabled }),
                (None, _, _) | (_, None, _) | (_, _, None) => None,
            };
            (id, now)
        };
        let mut changes = PolicyChanges {
            principals: self.principals.into_iter().map(principal).collect(),
            memberships: self.memberships.into_iter().map(|(group, member, there)| ((group, member), there)).collect(),
            rules: self.rules.rules(),
            ..PolicyChanges::default()
        };
        for (kind, object, privilege, principal, there) in self.grants {
            let Ok((securable, privilege)) = securable_and_privilege(&kind, object, &privilege) else { return Ok(None) };
            changes.grants.push((Grant { principal, privilege, securable }, there));
        }
        for (kind, object, principal) in self.owners {
            let Some(securable) = securable(&kind, object) else { return Ok(None) };
            changes.owners.push((securable, principal));
        }
        Ok(Some(before.after(version, changes).showing(self.seen)))
    }
}

/// One statement, so one snapshot. Transactions are asked about by their number alone first, for which there is an index.
fn changes(seen: &str) -> String {
    let seen = format!("{}::pg_catalog.pg_snapshot", quote_literal(seen));
    format!(
        r#"WITH changed AS MATERIALIZED (
    SELECT DISTINCT c.kind, c.securable, c.object, c.privilege, c.one, c.other FROM pgusher.change AS c
    WHERE c.writer >= pg_catalog.pg_snapshot_xmin({seen}) AND NOT pg_catalog.pg_visible_in_snapshot(c.writer, {seen})
    LIMIT {MOST} + 1)
  SELECT {HEAD},
  (SELECT t.through < pg_catalog.pg_snapshot_xmin({seen}) FROM pgusher.trimmed AS t)
    AND pg_catalog.pg_snapshot_xmax({seen}) <= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) AS x(running)
                    WHERE pg_catalog.pg_visible_in_snapshot(x.running, {seen})) AS follows,
  (SELECT pg_catalog.count(*) FROM changed AS c) AS changes,
  (SELECT pg_catalog.count(*) FROM changed AS c WHERE c.kind NOT IN ('version', 'principal', 'membership', 'grants', 'owner')) AS others,
  (SELECT coalesce(pg_catalog.jsonb_agg(c.one), '[]') FROM changed AS c WHERE c.kind = 'version') AS versions,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.one, p.name, p.kind, p.enabled)), '[]')
   FROM changed AS c LEFT JOIN pgusher.principal AS p ON p.id = c.one WHERE c.kind = 'principal') AS principals,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.one, c.other, m.group_id IS NOT NULL)), '[]')
   FROM changed AS c LEFT JOIN pgusher.membership AS m ON m.group_id = c.one AND m.member_id = c.other WHERE c.kind = 'membership') AS memberships,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.securable, c.object::int8, c.privilege, c.one, g.principal IS NOT NULL)), '[]')
   FROM changed AS c LEFT JOIN pgusher.grants AS g
     ON g.kind = c.securable AND g.object = c.object AND g.privilege = c.privilege AND g.principal = c.one
   WHERE c.kind = 'grants') AS grants,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.securable, c.object::int8, o.principal)), '[]')
   FROM changed AS c LEFT JOIN pgusher.owner AS o ON o.kind = c.securable AND o.object = c.object WHERE c.kind = 'owner') AS owners,
  {RULES}"#
    )
}

/// With more changes than this the policies are loaded anew.
const MOST: usize = 10_000;
