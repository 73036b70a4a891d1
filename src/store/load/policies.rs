//! All of the policies.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{malformed, securable};
use crate::name::Name;
use crate::policy::{
    ColumnMask, Grant, Mechanism, Oid, PolicyParts, PolicySnapshot, PolicySource, Principal, PrincipalId, PrincipalKind, Privilege,
    RowFilter, Rules, Securable,
};
use crate::sql::rewrite::settled::is_settled;
use crate::store::StoreError;
use crate::upstream::OwnerChannel;

pub(super) async fn whole(channel: &mut dyn OwnerChannel) -> Result<PolicySnapshot, StoreError> {
    let value = channel.fetch(&format!("SELECT {HEAD}, {POLICIES}, {RULES}")).await?;
    let rows: Vec<PoliciesRow> = serde_json::from_value(value).map_err(malformed)?;
    let row = rows.into_iter().next().ok_or(StoreError::NotInitialized)?;
    row.snapshot()
}

#[derive(Deserialize)]
struct PoliciesRow {
    version: Option<i64>,
    seen: Option<Arc<str>>,
    principals: Vec<(PrincipalKind, bool, Vec<Named>)>,
    memberships: Vec<(PrincipalId, Numbers)>,
    grants: Vec<(String, Oid, String, Numbers)>,
    owners: Vec<(String, Oid, PrincipalId)>,
    rules: RulesRow,
}

/// A number and a name, with a space between them.
struct Named(PrincipalId, Arc<str>);

/// Numbers, with spaces between them: much less to read than an array of a million.
struct Numbers(Vec<PrincipalId>);

fn number(text: &str) -> Option<PrincipalId> {
    text.parse().ok().map(PrincipalId)
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let (id, name) = text.split_once(' ').ok_or_else(|| D::Error::custom("a principal without a name"))?;
        let id = number(id).ok_or_else(|| D::Error::custom("a principal without a number"))?;
        Ok(Self(id, name.into()))
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let numbers: Option<Vec<PrincipalId>> = text.split(' ').map(number).collect();
        numbers.map(Self).ok_or_else(|| D::Error::custom("principals that are no numbers"))
    }
}

#[derive(Deserialize)]
pub(super) struct RulesRow {
    filters: Vec<(Oid, Arc<str>, PolicySource)>,
    masks: Vec<(Oid, Name, Arc<str>, PolicySource)>,
    mechanisms: Vec<(Oid, Mechanism)>,
    trusted: Vec<Oid>,
    broken: Vec<(Oid, Arc<str>)>,
    /// Relation, function, and its body where that is in SQL.
    swayed: Vec<(Oid, String, Option<String>)>,
}

impl RulesRow {
    fn parts(mut self) -> PolicyParts {
        let swayed = self.swayed.iter().filter(|(_, _, source)| !source.as_deref().is_some_and(is_settled));
        self.broken.extend(swayed.map(|(relation, function, _)| {
            (*relation, format!("what the function {function} reads depends on search_path").into())
        }));
        let filters = self.filters.into_iter().map(|(relation, expression, source)| RowFilter { relation, expression, source });
        let masks = self.masks.into_iter().map(|(relation, column, expression, source)| ColumnMask {
            relation,
            column,
            expression,
            source,
        });
        PolicyParts {
            filters: filters.collect(),
            masks: masks.collect(),
            mechanisms: self.mechanisms,
            trusted: self.trusted,
            broken: self.broken,
            ..PolicyParts::default()
        }
    }

    pub(super) fn rules(self) -> Rules {
        Rules::new(&mut self.parts())
    }
}

fn unknown(what: &str) -> StoreError {
    StoreError::Malformed(format!("unknown securable or privilege \"{what}\""))
}

pub(super) fn securable_and_privilege(kind: &str, object: Oid, privilege: &str) -> Result<(Securable, Privilege), StoreError> {
    let securable = securable(kind, object).ok_or_else(|| unknown(kind))?;
    Ok((securable, Privilege::from_text(privilege).ok_or_else(|| unknown(privilege))?))
}

impl PoliciesRow {
    fn snapshot(self) -> Result<PolicySnapshot, StoreError> {
        let version = self.version.ok_or(StoreError::NotInitialized)?;
        let mut parts = self.rules.parts();
        for (kind, enabled, named) in self.principals {
            parts.principals.extend(named.into_iter().map(|Named(id, name)| Principal { id, name, kind, enabled }));
        }
        for (group, Numbers(members)) in self.memberships {
            parts.memberships.extend(members.into_iter().map(|member| (group, member)));
        }
        parts.grants.reserve_exact(self.grants.iter().map(|(_, _, _, Numbers(holders))| holders.len()).sum());
        for (kind, object, privilege, Numbers(holders)) in self.grants {
            let (securable, privilege) = securable_and_privilege(&kind, object, &privilege)?;
            parts.grants.extend(holders.into_iter().map(|principal| Grant { principal, privilege, securable }));
        }
        for (kind, object, principal) in self.owners {
            parts.owners.push((securable(&kind, object).ok_or_else(|| unknown(&kind))?, principal));
        }
        Ok(PolicySnapshot::new(version, parts).showing(self.seen))
    }
}

/// What a transaction that has written something itself sees is told by no snapshot of transactions: nobody goes on from that.
pub(super) const HEAD: &str = "(SELECT v.policy FROM pgusher.version AS v) AS version, \
  CASE WHEN pg_catalog.pg_current_xact_id_if_assigned() IS NULL THEN pg_catalog.pg_current_snapshot()::pg_catalog.text END AS seen";

/// One statement, so one snapshot.
const POLICIES: &str = r#"
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(p.kind, p.enabled, p.named)), '[]')
   FROM (SELECT p.kind, p.enabled, pg_catalog.jsonb_agg(p.id || ' ' || p.name) AS named FROM pgusher.principal AS p GROUP BY p.kind, p.enabled) AS p) AS principals,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.group_id, m.members)), '[]')
   FROM (SELECT m.group_id, pg_catalog.string_agg(m.member_id::text, ' ') AS members FROM pgusher.membership AS m GROUP BY m.group_id) AS m) AS memberships,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(g.kind, g.object::int8, g.privilege, g.holders)), '[]')
   FROM (SELECT g.kind, g.object, g.privilege, pg_catalog.string_agg(g.principal::text, ' ') AS holders
         FROM pgusher.grants AS g GROUP BY g.kind, g.object, g.privilege) AS g) AS grants,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(o.kind, o.object::int8, o.principal)), '[]') FROM pgusher.owner AS o) AS owners"#;

/// Broken are: what is not what its name, columns and functions say (`pgusher.lost`); a table whose masked column is gone or another one;
/// and what names a function that is gone. So are those that are swayed.
pub(super) const RULES: &str = r#"pg_catalog.jsonb_build_object(
  'filters', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(f.relation::pg_catalog.int8, f.expression, f.source)), '[]'::pg_catalog.jsonb) FROM pgusher.filter AS f),
  'masks', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.relation::pg_catalog.int8, m."column", m.expression, m.source) ORDER BY m.relation, m.number), '[]'::pg_catalog.jsonb)
   FROM pgusher.mask AS m),
  'mechanisms', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.relation::pg_catalog.int8, m.mechanism)), '[]'::pg_catalog.jsonb) FROM pgusher.mechanism AS m),
  'trusted', (SELECT coalesce(pg_catalog.jsonb_agg(t.relation::pg_catalog.int8), '[]'::pg_catalog.jsonb) FROM pgusher.trusted AS t
   WHERE t.definition = pgusher.vouched(t.relation)),
  'broken', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(b.relation::pg_catalog.int8, b.reason)), '[]'::pg_catalog.jsonb) FROM (
    SELECT l.relation, l.reason FROM pgusher.lost AS l
    UNION ALL
    SELECT m.relation, 'its masked column "' || m."column" || '" is gone or another one'
    FROM pgusher.mask AS m LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = m.relation AND a.attnum = m.number AND NOT a.attisdropped
    WHERE a.attname IS DISTINCT FROM m."column"::pg_catalog.name
    UNION ALL
    SELECT s.relation, 'the function ' || (s.source #>> '{function,name}') || ' is gone'
    FROM (SELECT f.relation, f.source FROM pgusher.filter AS f UNION ALL SELECT m.relation, m.source FROM pgusher.mask AS m) AS s
    WHERE s.source ? 'function' AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_proc AS p WHERE p.oid = (s.source #>> '{function,oid}')::pg_catalog.oid)) AS b),
  'swayed', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(w.relation::pg_catalog.int8, w.function, w.source)), '[]'::pg_catalog.jsonb)
   FROM pgusher.swayed AS w)) AS rules"#;
