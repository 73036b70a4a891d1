//! What is upstream: privileges, policies and governed views, as one query finds them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Deserialize;

use crate::catalog::Governed;
use crate::policy::Oid;
use crate::store::StoreError;
use crate::store::load::malformed;
use crate::upstream::OwnerChannel;

/// Who holds a privilege upstream, of those that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grantee {
    /// `pgusher_session`
    Session,
    /// `pgusher_control`
    Control,
    /// `pgusher_viewer`
    Viewer,
    /// PUBLIC
    Public,
    /// `pgusher_ddl`
    Ddl,
    /// `pgusher_owner`, with grant option only.
    Owner,
}

impl Grantee {
    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "pgusher_session" => Self::Session,
            "pgusher_control" => Self::Control,
            "pgusher_viewer" => Self::Viewer,
            "" => Self::Public,
            "pgusher_ddl" => Self::Ddl,
            "pgusher_owner" => Self::Owner,
            _ => return None,
        })
    }
}

/// Privileges by grantee.
pub(super) type Acl = BTreeMap<Grantee, BTreeSet<String>>;

/// Row security of ours on a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RowSecurity {
    pub(super) filter: bool,
    pub(super) pass: bool,
    /// The pass policy is for everybody, so there was no row security before.
    pub(super) pass_public: bool,
    /// Policies of strict mode are there.
    pub(super) strict: bool,
}

/// One row of `pgusher.made` with the state now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// The governed view; 0 for policies.
    pub(super) object: Oid,
    pub(super) wanted: Arc<str>,
    pub(super) found: Arc<str>,
    /// What upstream reports now; `None` when it is gone.
    pub(super) now: Option<Arc<str>>,
}

impl Made {
    /// It is what was made, from what is wanted.
    pub(super) fn holds(&self, wanted: &str) -> bool {
        &*self.wanted == wanted && self.now.as_deref() == Some(&*self.found)
    }
}

/// Kinds of things made for a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum MadeKind {
    Read,
    Write,
    Insert,
    Filter,
}

impl MadeKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Insert => "insert",
            Self::Filter => "filter",
        }
    }
}

/// What is upstream.
#[derive(Debug, Default)]
pub(super) struct Actual {
    /// Privileges on relations; one without an entry has none.
    pub(super) relations: HashMap<Oid, Arc<Acl>>,
    /// Privileges on columns.
    pub(super) columns: HashMap<Oid, BTreeMap<String, Acl>>,
    /// Privileges on schemas.
    pub(super) schemas: HashMap<Oid, Acl>,
    pub(super) row_security: HashMap<Oid, RowSecurity>,
    pub(super) made: HashMap<(Oid, MadeKind), Made>,
    /// Definitions of the views made outside that need a governed twin.
    pub(super) definitions: HashMap<Oid, Arc<str>>,
    /// Collations of columns that are masked, as SQL.
    pub(super) collations: HashMap<(Oid, String), String>,
    /// Relations of extensions, and what the store has no business with.
    pub(super) extensions: BTreeSet<Oid>,
    /// Schemas that `pgusher_owner` can give privileges on.
    pub(super) schemas_open: BTreeSet<Oid>,
    /// Strict mode's ways, or what inherits, are others than those noted.
    pub(super) ways_moved: bool,
    /// Functions of filters or masks were replaced.
    pub(super) replaced: bool,
    /// What is wrong with the roles of ours; nothing may be served then.
    pub(super) roles: Option<String>,
}

/// Asks upstream.
pub(super) async fn load(channel: &mut dyn OwnerChannel, governed: &HashMap<Oid, Governed>) -> Result<Actual, StoreError> {
    let twins: Vec<String> = governed
        .iter()
        .filter(|(_, g)| matches!(g, Governed::View { .. }))
        .map(|(oid, _)| format!("({oid}::pg_catalog.oid)"))
        .collect();
    let twins = if twins.is_empty() { "(NULL::pg_catalog.oid)".to_owned() } else { twins.join(", ") };
    let sql = ACTUAL.replace("{twins}", &twins);
    let rows: Vec<ActualRow> = serde_json::from_value(channel.fetch(&sql).await?).map_err(malformed)?;
    rows.into_iter().next().map(ActualRow::actual).ok_or(StoreError::NotInitialized)
}

/// Relation, kind, object, wanted, found, now.
type MadeRow = (Oid, String, Oid, Arc<str>, Arc<str>, Option<Arc<str>>);

#[derive(Deserialize)]
struct ActualRow {
    relations: Vec<(String, Vec<Oid>)>,
    columns: Vec<(Oid, String, String)>,
    schemas: Vec<(Oid, String)>,
    policies: Vec<(Oid, bool, bool, bool, bool)>,
    made: Vec<MadeRow>,
    definitions: Vec<(Oid, Option<Arc<str>>)>,
    collations: Vec<(Oid, String, String)>,
    extensions: Vec<Oid>,
    schemas_open: Vec<Oid>,
    ways_moved: bool,
    replaced: bool,
    roles: Option<String>,
}

impl ActualRow {
    fn actual(self) -> Actual {
        let mut actual = Actual {
            roles: self.roles,
            extensions: self.extensions.into_iter().collect(),
            schemas_open: self.schemas_open.into_iter().collect(),
            ways_moved: self.ways_moved,
            replaced: self.replaced,
            ..Actual::default()
        };
        for (acl, oids) in self.relations {
            let acl = Arc::new(acl_from_text(&acl));
            actual.relations.extend(oids.into_iter().map(|oid| (oid, acl.clone())));
        }
        for (oid, column, acl) in self.columns {
            actual.columns.entry(oid).or_default().insert(column, acl_from_text(&acl));
        }
        actual.schemas = self.schemas.into_iter().map(|(oid, acl)| (oid, acl_from_text(&acl))).collect();
        for (oid, filter, pass, pass_public, strict) in self.policies {
            actual.row_security.insert(oid, RowSecurity { filter, pass, pass_public, strict });
        }
        for (oid, kind, object, wanted, found, now) in self.made {
            let kind = match kind.as_str() {
                "read" => MadeKind::Read,
                "write" => MadeKind::Write,
                "insert" => MadeKind::Insert,
                _ => MadeKind::Filter,
            };
            actual.made.insert((oid, kind), Made { object, wanted, found, now });
        }
        actual.collations = self.collations.into_iter().map(|(oid, column, text)| ((oid, column), text)).collect();
        actual.definitions = self.definitions.into_iter().filter_map(|(oid, text)| text.map(|t| (oid, t))).collect();
        actual
    }
}

/// `grantee:PRIVILEGE,PRIVILEGE;…`
fn acl_from_text(text: &str) -> Acl {
    let mut acl = Acl::new();
    for entry in text.split(';') {
        if let Some((grantee, privileges)) = entry.split_once(':')
            && let Some(grantee) = Grantee::from_text(grantee)
        {
            acl.entry(grantee).or_default().extend(privileges.split(',').map(str::to_owned));
        }
    }
    acl
}

/// Relations are grouped by their privileges, of which there are few different sets.
const ACTUAL: &str = r#"WITH roles AS MATERIALIZED (
  SELECT r.oid, r.rolname FROM pg_catalog.pg_roles AS r
  WHERE r.rolname IN ('pgusher_session', 'pgusher_control', 'pgusher_viewer', 'pgusher_ddl', 'pgusher_owner')
  UNION ALL SELECT 0, ''
), relations AS MATERIALIZED (
  SELECT c.oid, c.relacl FROM pg_catalog.pg_class AS c
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND c.oid >= 16384
    AND c.relnamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname LIKE 'pgusher%' OR n.nspname LIKE 'pg\_toast%')
)
SELECT
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(g.acl, g.oids)), '[]'::pg_catalog.jsonb) FROM (
    SELECT a.acl, pg_catalog.jsonb_agg(a.oid::pg_catalog.int8) AS oids FROM (
      SELECT c.oid, (SELECT pg_catalog.string_agg(x.entry, ';') FROM (
          SELECT r.rolname || ':' || pg_catalog.string_agg(e.privilege_type, ',' ORDER BY e.privilege_type) AS entry
          FROM pg_catalog.aclexplode(c.relacl) AS e JOIN roles AS r ON r.oid = e.grantee
          WHERE r.rolname <> 'pgusher_owner' OR e.is_grantable GROUP BY r.rolname ORDER BY r.rolname) AS x) AS acl
      FROM relations AS c WHERE c.relacl IS NOT NULL) AS a
    WHERE a.acl IS NOT NULL GROUP BY a.acl) AS g) AS relations,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(x.attrelid::pg_catalog.int8, x.attname, x.acl)), '[]'::pg_catalog.jsonb) FROM (
    SELECT a.attrelid, a.attname, (SELECT pg_catalog.string_agg(x.entry, ';') FROM (
        SELECT r.rolname || ':' || pg_catalog.string_agg(e.privilege_type, ',' ORDER BY e.privilege_type) AS entry
        FROM pg_catalog.aclexplode(a.attacl) AS e JOIN roles AS r ON r.oid = e.grantee
        WHERE r.rolname <> 'pgusher_owner' GROUP BY r.rolname ORDER BY r.rolname) AS x) AS acl
    FROM pg_catalog.pg_attribute AS a JOIN relations AS c ON c.oid = a.attrelid
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped) AS x WHERE x.acl IS NOT NULL) AS columns,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(x.oid::pg_catalog.int8, x.acl)), '[]'::pg_catalog.jsonb) FROM (
    SELECT n.oid, (SELECT pg_catalog.string_agg(x.entry, ';') FROM (
        SELECT r.rolname || ':' || pg_catalog.string_agg(e.privilege_type, ',' ORDER BY e.privilege_type) AS entry
        FROM pg_catalog.aclexplode(n.nspacl) AS e JOIN roles AS r ON r.oid = e.grantee
        WHERE r.rolname <> 'pgusher_owner' OR e.is_grantable GROUP BY r.rolname ORDER BY r.rolname) AS x) AS acl
    FROM pg_catalog.pg_namespace AS n) AS x WHERE x.acl IS NOT NULL) AS schemas,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(x.polrelid::pg_catalog.int8, x.filter, x.pass, x.public, x.strict)), '[]'::pg_catalog.jsonb) FROM (
    SELECT p.polrelid, pg_catalog.bool_or(p.polname = 'pgusher_filter') AS filter, pg_catalog.bool_or(p.polname = 'pgusher_pass') AS pass,
      pg_catalog.bool_or(p.polname = 'pgusher_pass' AND p.polroles = '{0}'::pg_catalog.oid[]) AS public,
      pg_catalog.bool_or(p.polname LIKE 'pgusher\_may\_%') AS strict
    FROM pg_catalog.pg_policy AS p WHERE p.polname LIKE 'pgusher\_%' GROUP BY p.polrelid) AS x) AS policies,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(m.relation::pg_catalog.int8, m.kind, m.object::pg_catalog.int8, m.wanted, m.found,
      CASE m.kind WHEN 'filter' THEN pgusher.filter_state(m.relation) ELSE pgusher.view_state(m.object) END)), '[]'::pg_catalog.jsonb)
   FROM pgusher.made AS m) AS made,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.oid::pg_catalog.int8, pgusher.definition(t.oid))), '[]'::pg_catalog.jsonb)
   FROM (VALUES {twins}) AS t(oid) WHERE t.oid IS NOT NULL) AS definitions,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.attrelid::pg_catalog.int8, a.attname,
      pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(l.collname))), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
   JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace
   WHERE a.attrelid >= 16384 AND NOT a.attisdropped AND a.attname IN (SELECT m."column"::pg_catalog.name FROM pgusher.mask AS m)) AS collations,
  (SELECT coalesce(pg_catalog.jsonb_agg(d.objid::pg_catalog.int8), '[]'::pg_catalog.jsonb) FROM pg_catalog.pg_depend AS d
   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e' AND d.objid >= 16384) AS extensions,
  (SELECT coalesce(pg_catalog.jsonb_agg(n.oid::pg_catalog.int8), '[]'::pg_catalog.jsonb) FROM pg_catalog.pg_namespace AS n
   WHERE pg_catalog.pg_has_role('pgusher_owner', n.nspowner, 'USAGE')
      OR pg_catalog.has_schema_privilege('pgusher_owner', n.oid, 'CREATE WITH GRANT OPTION')) AS schemas_open,
  pgusher.ways_moved() OR EXISTS (SELECT FROM pgusher.inherits AS i WHERE NOT EXISTS (
    SELECT FROM pgusher.heir AS h WHERE h.relation = i.relation AND h.ancestor = i.ancestor)) AS ways_moved,
  EXISTS (SELECT FROM pgusher.replaced) AS replaced,
  (SELECT pg_catalog.string_agg(x.wrong, '; ') FROM (
    SELECT 'role ' || r.rolname || ' is superuser or has BYPASSRLS, CREATEROLE or REPLICATION' AS wrong FROM pg_catalog.pg_roles AS r
    WHERE r.rolname IN ('pgusher_session', 'pgusher_control', 'pgusher_viewer', 'pgusher_ddl', 'pgusher_owner')
      AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication)
    UNION ALL
    SELECT 'role ' || r.rolname || ' is a member of role ' || g.rolname FROM pg_catalog.pg_auth_members AS m
    JOIN pg_catalog.pg_roles AS r ON r.oid = m.member JOIN pg_catalog.pg_roles AS g ON g.oid = m.roleid
    WHERE r.rolname IN ('pgusher_session', 'pgusher_viewer', 'pgusher_ddl') OR (r.rolname = 'pgusher_control' AND g.rolname <> 'pgusher_owner')
    UNION ALL
    SELECT 'role ' || r.rolname || ' inherits' FROM pg_catalog.pg_roles AS r
    WHERE r.rolname = 'pgusher_control' AND r.rolinherit
    UNION ALL
    SELECT 'role ' || r.rolname || ' starts with ' || s.setting FROM pg_catalog.pg_db_role_setting AS d
    JOIN pg_catalog.pg_roles AS r ON r.oid = d.setrole CROSS JOIN LATERAL pg_catalog.unnest(d.setconfig) AS s(setting)
    WHERE r.rolname IN ('pgusher_session', 'pgusher_control') AND s.setting ~ '^(row_security|standard_conforming_strings|role|session_authorization)='
      AND s.setting NOT IN ('row_security=on', 'standard_conforming_strings=on')) AS x) AS roles"#;
