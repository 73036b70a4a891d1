//! Rows of the upstream's catalog → [`CatalogParts`].
//!
//! One query per kind of object, each answering with one JSON array, so that it works over the control connection and inside a
//! session's own transaction alike, whatever it has done to its catalog there.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::kinds::TypeKind;
use super::snapshot::{
    Arbiter, CatalogParts, Column, Function, FunctionKind, Operator, PrimaryKey, Relation, RelationKind, Schema, Server, UserType,
};
use super::temporary::Temporaries;
use crate::name::Name;
use crate::policy::Oid;

/// Something that answers SELECTs with JSON arrays of objects, under `search_path = pg_catalog, pg_temp`.
pub trait Source: Send {
    /// What goes wrong.
    type Error: Send;

    /// Runs one SELECT.
    fn rows<'a>(&'a mut self, sql: &'a str) -> Pin<Box<dyn Future<Output = Result<serde_json::Value, Self::Error>> + Send + 'a>>;
}

/// Why the catalog could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// A query failed.
    #[error("a catalog query failed")]
    Source(E),
    /// A row is not as it was asked for.
    #[error("a catalog row is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// What to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything but temporary objects.
    Shared,
    /// The session's temporary objects too, as a schema named `pg_temp`.
    Session,
}

/// Loads the catalog.
pub async fn load<S: Source + ?Sized>(source: &mut S, scope: Scope) -> Result<CatalogParts, LoadError<S::Error>> {
    let schemas: Vec<SchemaRow> = rows(source, SCHEMAS).await?;
    let temporary = match scope {
        Scope::Shared => None,
        Scope::Session => rows::<_, TemporaryRow>(source, TEMPORARY).await?.into_iter().find_map(|r| r.oid).filter(|oid| *oid != 0),
    };
    let mut relations = system_relations(source).await?;
    relations.extend(rows::<_, RelationRow>(source, &OWN_RELATIONS).await?.into_iter().filter_map(|r| r.relation(temporary)));
    let functions: Vec<FunctionRow> = rows(source, FUNCTIONS).await?;
    let rest = rows::<_, RestRow>(source, REST).await?.into_iter().next().unwrap_or_default();
    Ok(CatalogParts {
        database: rest.database.into(),
        server_version: rest.version,
        schemas: schemas.into_iter().filter_map(|s| s.schema(temporary)).collect(),
        relations,
        functions: functions.into_iter().filter_map(FunctionRow::function).collect(),
        operators: rest.operators.into_iter().map(|(schema, name, function)| Operator { schema, name, function }).collect(),
        casts: rest.casts,
        servers: rest.servers.into_iter().map(|(oid, name)| Server { oid, name }).collect(),
        types: rest.types.into_iter().filter_map(user_type).collect(),
        references: rest.references,
        of_ddl: rest.of_ddl,
        view_calls: rest.view_calls,
        part_calls: rest.part_calls,
        unalterable_owners: rest.unalterable,
        stand_ins: rest.stand_ins,
        forgetful: rest.forgetful,
        leaving: rest.leaving,
        keys: rest.keys.into_iter().map(|(relation, columns, groupable)| PrimaryKey { relation, columns, groupable }).collect(),
    })
}

/// What a session has that others have not: the answer of `pgusher.look()`.
pub struct Look {
    /// Its search path, as it is shown.
    pub path: String,
    /// Its temporary objects.
    pub temporaries: Temporaries,
    /// The cursors that end with its transaction.
    pub cursors: Vec<Name>,
}

/// Reads the answer of `pgusher.look()`.
pub fn look(answer: &str) -> Result<Look, serde_json::Error> {
    let row: LookRow = serde_json::from_str(answer)?;
    let Some(oid) = row.schema.filter(|oid| *oid != 0) else {
        return Ok(Look { path: row.path, temporaries: Temporaries::default(), cursors: row.cursors });
    };
    let schema = Schema { oid, name: Name::exact("pg_temp"), system: false, ours: false };
    let temporaries = Temporaries {
        schema: Some(schema),
        relations: row.relations.into_iter().filter_map(|r| r.relation(Some(oid))).collect(),
        functions: row.functions.into_iter().filter_map(FunctionRow::function).collect(),
        types: row.types,
        calls: row.calls,
    };
    Ok(Look { path: row.path, temporaries, cursors: row.cursors })
}

#[derive(Deserialize)]
struct LookRow {
    path: String,
    #[serde(default)]
    cursors: Vec<Name>,
    schema: Option<Oid>,
    #[serde(default)]
    relations: Vec<RelationRow>,
    #[serde(default)]
    functions: Vec<FunctionRow>,
    #[serde(default)]
    types: Vec<Name>,
    #[serde(default)]
    calls: Vec<(Oid, Oid)>,
}

/// The relations that came with the server, of which there are more than of most applications. They are loaded again only when
/// anything about them changed: DDL loads the catalog several times.
async fn system_relations<S: Source + ?Sized>(source: &mut S) -> Result<Vec<Relation>, LoadError<S::Error>> {
    static KNOWN: Mutex<Option<(StateRow, Arc<[Relation]>)>> = Mutex::new(None);
    let state = rows::<_, StateRow>(source, SYSTEM_STATE).await?.into_iter().next().unwrap_or_default();
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((at, relations)) = known
        && at == state
    {
        return Ok(relations.to_vec());
    }
    let loaded: Vec<RelationRow> = rows(source, &SYSTEM_RELATIONS).await?;
    let relations: Vec<Relation> = loaded.into_iter().filter_map(|r| r.relation(None)).collect();
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some((state, relations.as_slice().into()));
    Ok(relations)
}

/// What changes whenever a system relation does: server version, number of rows, and which transactions wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct StateRow {
    version: i32,
    cluster: String,
    relations: i64,
    written: Option<i64>,
}

async fn rows<S: Source + ?Sized, T: DeserializeOwned>(source: &mut S, sql: &str) -> Result<Vec<T>, LoadError<S::Error>> {
    let value = source.rows(sql).await.map_err(LoadError::Source)?;
    Ok(serde_json::from_value(value)?)
}

#[derive(Deserialize)]
struct SchemaRow {
    oid: Oid,
    name: Name,
    system: bool,
    ours: bool,
    temp: bool,
}

impl SchemaRow {
    fn schema(self, temporary: Option<Oid>) -> Option<Schema> {
        if self.temp {
            return (temporary == Some(self.oid)).then(|| Schema {
                oid: self.oid,
                name: Name::exact("pg_temp"),
                system: false,
                ours: false,
            });
        }
        Some(Schema { oid: self.oid, name: self.name, system: self.system, ours: self.ours })
    }
}

#[derive(Deserialize)]
struct TemporaryRow {
    oid: Option<Oid>,
}

/// Number, name, type, type as SQL, modifier, generated, identity, for a generated one the columns it is computed from, default.
type ColumnRow = (i16, Name, Oid, Arc<str>, i32, bool, String, Option<Vec<i16>>, Option<Arc<str>>);

/// Keys are short: this is by far the largest answer.
#[derive(Deserialize)]
struct RelationRow {
    o: Oid,
    s: Oid,
    n: Name,
    k: char,
    w: Name,
    c: Option<Vec<ColumnRow>>,
    /// Constraints that ON CONFLICT may name, with their columns.
    u: Option<Vec<(Name, Option<Vec<i16>>)>>,
    p: Option<Vec<Oid>>,
    r: Option<Vec<Oid>>,
    i: bool,
    l: bool,
    b: Option<Oid>,
    f: Option<Oid>,
    t: bool,
    y: Oid,
}

impl RelationRow {
    fn relation(self, temporary: Option<Oid>) -> Option<Relation> {
        if self.t && temporary != Some(self.s) {
            return None;
        }
        let columns = self.c.unwrap_or_default().into_iter().map(
            |(number, name, type_oid, type_sql, type_modifier, generated, identity, computed_from, default)| Column {
                number,
                name,
                type_oid,
                type_sql,
                type_modifier,
                generated,
                computed_from: computed_from.unwrap_or_default(),
                identity: identity.chars().next().unwrap_or(' '),
                default,
            },
        );
        Some(Relation {
            oid: self.o,
            schema: self.s,
            name: self.n,
            row_type: self.y,
            kind: RelationKind::from_code(self.k)?,
            owner: self.w,
            columns: columns.collect(),
            arbiters: self.u.unwrap_or_default().into_iter().map(|(name, columns)| Arbiter { name, columns }).collect(),
            parents: self.p.unwrap_or_default(),
            reads: self.r.unwrap_or_default(),
            security_invoker: self.i,
            row_security: self.l,
            owned_by: self.b,
            server: self.f,
            temporary: self.t,
        })
    }
}

#[derive(Deserialize)]
struct FunctionRow {
    o: Oid,
    s: Oid,
    n: Name,
    k: char,
    /// Fewest and most arguments.
    a: (i16, i16),
    /// Names of the input arguments.
    m: Vec<Arc<str>>,
    /// Types of the input arguments.
    t: Vec<Arc<str>>,
    d: bool,
    l: Name,
    /// Temporary functions are not looked at: they may do anything.
    #[serde(default = "volatile")]
    v: bool,
    r: Option<Arc<str>>,
    e: bool,
}

fn volatile() -> bool {
    true
}

impl FunctionRow {
    fn function(self) -> Option<Function> {
        let kind = match self.k {
            'f' => FunctionKind::Function,
            'p' => FunctionKind::Procedure,
            'a' => FunctionKind::Aggregate,
            'w' => FunctionKind::Window,
            _ => return None,
        };
        Some(Function {
            oid: self.o,
            schema: self.s,
            name: self.n,
            kind,
            min_args: self.a.0,
            max_args: self.a.1,
            arg_names: self.m,
            arg_types: self.t,
            security_definer: self.d,
            language: self.l,
            volatile: self.v,
            result_type: self.r.unwrap_or_else(|| Arc::from("void")),
            returns_set: self.e,
        })
    }
}

#[derive(Deserialize, Default)]
struct RestRow {
    database: String,
    version: i32,
    operators: Vec<(Oid, Name, Oid)>,
    casts: Vec<(Name, Oid)>,
    servers: Vec<(Oid, Name)>,
    types: Vec<TypeRow>,
    references: Vec<(Oid, Oid)>,
    of_ddl: Vec<Oid>,
    view_calls: Vec<(Oid, Oid)>,
    part_calls: Vec<(Oid, Oid)>,
    unalterable: Vec<Name>,
    keys: Vec<(Oid, Vec<i16>, Vec<i16>)>,
    stand_ins: Vec<(Oid, Oid)>,
    forgetful: bool,
    leaving: Vec<Oid>,
}

/// Oid, schema, name, kind, owner, relation, types it is made of, functions it calls.
type TypeRow = (Oid, Oid, Name, String, Name, Option<Oid>, Vec<Oid>, Vec<Oid>);

fn user_type((oid, schema, name, kind, owner, relation, made_of, calls): TypeRow) -> Option<UserType> {
    let kind = TypeKind::from_code(kind.chars().next()?)?;
    Some(UserType { oid, schema, name, kind, owner, relation, made_of, calls })
}

/// In the names of PostgreSQL's own functions that leave something behind on a connection.
pub const LEAVING: [&str; 7] = ["advisory", "nextval", "setval", "currval", "lastval", "setseed", "set_config"];

const SCHEMAS: &str = r"SELECT n.oid::pg_catalog.int8 AS oid, n.nspname AS name,
  n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname LIKE 'pg\_toast%' AS system,
  n.nspname = 'pgusher' OR (n.nspname LIKE 'pgusher\_%' AND r.rolname = 'pgusher_owner') AS ours,
  n.nspname LIKE 'pg\_temp\_%' OR n.nspname LIKE 'pg\_toast\_temp\_%' AS temp
FROM pg_catalog.pg_namespace AS n LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = n.nspowner
ORDER BY n.oid";

const TEMPORARY: &str = "SELECT pg_catalog.pg_my_temp_schema()::pg_catalog.int8 AS oid";

/// Nothing of toast. Operators are found in pg_catalog: every [`Source`] runs with `search_path = pg_catalog, pg_temp`.
const RELATIONS: &str = r"SELECT c.oid::pg_catalog.int8 AS o, c.relnamespace::pg_catalog.int8 AS s, c.relname AS n, c.relkind AS k,
  pg_catalog.pg_get_userbyid(c.relowner) AS w, a.columns AS c, u.arbiters AS u, p.parents AS p, v.reads AS r,
  CASE WHEN c.relkind = 'v' AND c.reloptions IS NOT NULL THEN coalesce((
    SELECT o.option_value::pg_catalog.bool FROM pg_catalog.pg_options_to_table(c.reloptions) AS o WHERE o.option_name = 'security_invoker'), false)
  ELSE false END AS i,
  c.relrowsecurity AS l, coalesce(q.owned_by, x.indrelid::pg_catalog.int8) AS b, f.ftserver::pg_catalog.int8 AS f, c.relpersistence = 't' AS t,
  c.reltype::pg_catalog.int8 AS y
FROM pg_catalog.pg_class AS c
LEFT JOIN (
  SELECT a.attrelid, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.attnum, a.attname, a.atttypid::pg_catalog.int8,
      CASE WHEN a.atttypmod = -1 AND t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typelem = 0
           THEN CASE t.typname WHEN 'int4' THEN 'integer' WHEN 'int8' THEN 'bigint' WHEN 'text' THEN 'text' ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END
           ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END,
      a.atttypmod, a.attgenerated <> '', a.attidentity, CASE WHEN a.attgenerated <> '' THEN (
        SELECT pg_catalog.jsonb_agg(DISTINCT d.refobjsubid) FROM pg_catalog.pg_attrdef AS e, pg_catalog.pg_depend AS d
        WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum
          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid AND d.refobjsubid NOT IN (0, a.attnum)
          AND ((d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = e.oid)
            OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum))) END,
      CASE WHEN a.atthasdef AND a.attgenerated = '' THEN (
        SELECT pg_catalog.pg_get_expr(e.adbin, e.adrelid) FROM pg_catalog.pg_attrdef AS e
        WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum) END)
      ORDER BY a.attnum) AS columns
  FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid $range
    AND a.attrelid IN (SELECT k.oid FROM pg_catalog.pg_class AS k WHERE k.relkind IN ('r', 'p', 'v', 'm', 'f', 'c'))
  GROUP BY a.attrelid) AS a ON a.attrelid = c.oid
LEFT JOIN (
  SELECT t.conrelid, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.conname, CASE WHEN t.contype <> 'x' THEN t.conkey END) ORDER BY t.oid) AS arbiters
  FROM pg_catalog.pg_constraint AS t WHERE t.contype IN ('p', 'u', 'x') GROUP BY t.conrelid) AS u ON u.conrelid = c.oid
LEFT JOIN (
  SELECT i.inhrelid, pg_catalog.jsonb_agg(i.inhparent::pg_catalog.int8 ORDER BY i.inhseqno) AS parents
  FROM pg_catalog.pg_inherits AS i GROUP BY i.inhrelid) AS p ON p.inhrelid = c.oid AND c.relkind IN ('r', 'p', 'f')
LEFT JOIN (
  SELECT w.ev_class, pg_catalog.jsonb_agg(DISTINCT d.refobjid::pg_catalog.int8) AS reads
  FROM pg_catalog.pg_rewrite AS w JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  WHERE (d.refobjid <> w.ev_class OR w.ev_class IN (SELECT k.oid FROM pg_catalog.pg_class AS k WHERE k.relkind IN ('r', 'p', 'f')))
    AND w.ev_class $range GROUP BY w.ev_class) AS v ON v.ev_class = c.oid AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
LEFT JOIN (
  SELECT d.objid, min(d.refobjid::pg_catalog.int8) AS owned_by FROM pg_catalog.pg_depend AS d
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 GROUP BY d.objid) AS q ON q.objid = c.oid AND c.relkind = 'S'
LEFT JOIN pg_catalog.pg_index AS x ON x.indexrelid = c.oid
LEFT JOIN pg_catalog.pg_foreign_table AS f ON f.ftrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c', 'i', 'I') AND c.oid $range
  AND c.relnamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname LIKE 'pg\_toast%')
ORDER BY c.oid";

/// Oids below 16384 are given out by initdb alone (PostgreSQL's access/transam.h: FirstNormalObjectId).
static SYSTEM_RELATIONS: LazyLock<String> = LazyLock::new(|| RELATIONS.replace("$range", "< 16384"));
static OWN_RELATIONS: LazyLock<String> = LazyLock::new(|| {
    let within = |column: &str| format!("{column} >= 16384 AND {column} NOT IN ({OUR_VIEWS})");
    ["a.attrelid", "w.ev_class", "c.oid"]
        .iter()
        .fold(RELATIONS.to_owned(), |sql, column| sql.replace(&format!("{column} $range"), &within(column)))
});

/// The views of schema pgusher stand for catalog relations. There are hundreds, and nothing but the redirection names them.
const OUR_VIEWS: &str = "SELECT u.oid FROM pg_catalog.pg_class AS u JOIN pg_catalog.pg_namespace AS h ON h.oid = u.relnamespace \
     WHERE h.nspname = 'pgusher' AND u.relkind = 'v'";

const SYSTEM_STATE: &str = "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version,
  pg_catalog.current_setting('cluster_name') || ' ' || pg_catalog.current_database() AS cluster,
  count(*) AS relations, sum(pg_catalog.hashtextextended(c.xmin::pg_catalog.text || ' ' || c.oid::pg_catalog.text, 0) >> 8)::pg_catalog.int8 AS written
FROM pg_catalog.pg_class AS c WHERE c.oid < 16384";

const FUNCTIONS: &str = r"SELECT p.oid::pg_catalog.int8 AS o, p.pronamespace::pg_catalog.int8 AS s, p.proname AS n, p.prokind AS k,
  pg_catalog.jsonb_build_array(p.pronargs - p.pronargdefaults - CASE WHEN p.provariadic <> 0 THEN 1 ELSE 0 END,
    CASE WHEN p.provariadic <> 0 THEN 32767 ELSE p.pronargs END) AS a,
  coalesce((SELECT pg_catalog.jsonb_agg(x.name ORDER BY x.number) FROM (
      SELECT u.number, coalesce(u.name, '') AS name
      FROM ROWS FROM (pg_catalog.unnest(p.proargnames), pg_catalog.unnest(p.proargmodes)) WITH ORDINALITY AS u(name, mode, number)
      WHERE u.mode IS NULL OR u.mode IN ('i', 'b', 'v')) AS x WHERE p.proargnames IS NOT NULL), '[]'::pg_catalog.jsonb) AS m,
  coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.format_type(u.type, NULL) ORDER BY u.number)
      FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY AS u(type, number)), '[]'::pg_catalog.jsonb) AS t,
  p.prosecdef AS d, coalesce(CASE WHEN p.prokind = 'a' THEN (SELECT min(b.lanname)
      FROM pg_catalog.pg_aggregate AS g JOIN pg_catalog.pg_proc AS f ON f.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn,
        g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn) JOIN pg_catalog.pg_language AS b ON b.oid = f.prolang
      WHERE g.aggfnoid = p.oid AND b.lanname NOT IN ('c', 'internal')) END, l.lanname) AS l,
  p.provolatile = 'v' OR p.prokind = 'a' AND EXISTS (SELECT FROM pg_catalog.pg_aggregate AS g JOIN pg_catalog.pg_proc AS f ON f.oid IN (g.aggtransfn, g.aggfinalfn,
      g.aggcombinefn, g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn)
    WHERE g.aggfnoid = p.oid AND f.provolatile = 'v') AS v, pg_catalog.pg_get_function_result(p.oid) AS r, p.proretset AS e
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
  AND p.pronamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname LIKE 'pg\_temp\_%')
ORDER BY p.oid";

const REST: &str = r"SELECT pg_catalog.current_database() AS database, pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(o.oprnamespace::pg_catalog.int8, o.oprname, o.oprcode::pg_catalog.oid::pg_catalog.int8) ORDER BY o.oid), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_operator AS o WHERE o.oprnamespace <> 'pg_catalog'::pg_catalog.regnamespace) AS operators,
  (WITH RECURSIVE target(name, type, function) AS (
     SELECT t.typname, t.oid, p.oid
       FROM pg_catalog.pg_cast AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.casttarget JOIN pg_catalog.pg_proc AS p ON p.oid = c.castfunc
       WHERE p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
     UNION SELECT d.typname, d.oid, g.function FROM target AS g
       JOIN pg_catalog.pg_type AS d ON (d.typtype = 'd' AND d.typbasetype = g.type)
         OR (d.typtype <> 'd' AND EXISTS (SELECT FROM pg_catalog.pg_type AS a WHERE a.oid = g.type AND a.typcategory = 'A' AND a.typelem = d.oid)))
   SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(g.name, g.function::pg_catalog.int8)), '[]'::pg_catalog.jsonb)
   FROM target AS g) AS casts,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(f.oid::pg_catalog.int8, f.srvname) ORDER BY f.oid), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_foreign_server AS f) AS servers,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(t.oid::pg_catalog.int8, t.typnamespace::pg_catalog.int8, t.typname, t.typtype,
      pg_catalog.pg_get_userbyid(t.typowner), k.oid::pg_catalog.int8,
      coalesce((SELECT pg_catalog.jsonb_agg(DISTINCT CASE e.typcategory WHEN 'A' THEN e.typelem ELSE e.oid END::pg_catalog.int8)
        FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_type AS e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
          AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid <> t.oid), '[]'::pg_catalog.jsonb),
      coalesce((SELECT pg_catalog.jsonb_agg(DISTINCT p.oid::pg_catalog.int8)
        FROM (
          SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid
          UNION ALL SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_depend AS d
            ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = c.oid WHERE c.contypid = t.oid) AS d
        LEFT JOIN pg_catalog.pg_operator AS o ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid
        JOIN pg_catalog.pg_proc AS p ON p.oid = CASE d.refclassid WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN d.refobjid ELSE o.oprcode::pg_catalog.oid END
        WHERE p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace), '[]'::pg_catalog.jsonb)
      ) ORDER BY t.oid), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_type AS t LEFT JOIN pg_catalog.pg_class AS k ON k.oid = t.typrelid
   WHERE t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace AND t.typtype IN ('b', 'c', 'd', 'e', 'r', 'm')
     AND coalesce(k.relkind, 'c') = 'c' AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e WHERE e.oid = t.typelem AND e.typarray = t.oid)
     AND t.typnamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname LIKE 'pg\_%' OR n.nspname = 'information_schema')) AS types,
  (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(c.conrelid::pg_catalog.int8, c.confrelid::pg_catalog.int8)), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_constraint AS c WHERE c.contype = 'f') AS references,
  (SELECT coalesce(pg_catalog.jsonb_agg(o.oid::pg_catalog.int8), '[]'::pg_catalog.jsonb)
   FROM (SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.proowner = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'pgusher_ddl')
         UNION ALL
         SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspowner = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = 'pgusher_ddl')) AS o) AS of_ddl,
  (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(w.ev_class::pg_catalog.int8, p.oid::pg_catalog.int8)), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid
   LEFT JOIN pg_catalog.pg_operator AS o ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid
   JOIN pg_catalog.pg_proc AS p ON p.oid = CASE d.refclassid WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN d.refobjid ELSE o.oprcode::pg_catalog.oid END
   WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace) AS view_calls,
  (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(u.relation::pg_catalog.int8, p.oid::pg_catalog.int8)), '[]'::pg_catalog.jsonb)
   FROM (
     SELECT e.adrelid AS relation, 'pg_catalog.pg_attrdef'::pg_catalog.regclass AS class, e.oid AS object FROM pg_catalog.pg_attrdef AS e
     UNION ALL SELECT k.conrelid, 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid FROM pg_catalog.pg_constraint AS k WHERE k.contype = 'c' AND k.conrelid <> 0
     UNION ALL SELECT x.indrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, x.indexrelid FROM pg_catalog.pg_index AS x WHERE x.indexprs IS NOT NULL OR x.indpred IS NOT NULL
     UNION ALL SELECT y.polrelid, 'pg_catalog.pg_policy'::pg_catalog.regclass, y.oid FROM pg_catalog.pg_policy AS y WHERE y.polname NOT LIKE 'pgusher\_%'
     UNION ALL SELECT t.stxrelid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, t.oid FROM pg_catalog.pg_statistic_ext AS t
   ) AS u
   JOIN pg_catalog.pg_depend AS d ON d.classid = u.class AND d.objid = u.object
   LEFT JOIN pg_catalog.pg_operator AS o ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid
   JOIN pg_catalog.pg_proc AS p ON p.oid = CASE d.refclassid WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN d.refobjid ELSE o.oprcode::pg_catalog.oid END
   WHERE u.relation >= 16384 AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace) AS part_calls,
  (SELECT coalesce(pg_catalog.jsonb_agg(r.rolname ORDER BY r.oid), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_roles AS r WHERE r.rolsuper OR NOT pg_catalog.pg_has_role('pgusher_owner', r.oid, 'USAGE')) AS unalterable,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(v.oid::pg_catalog.int8, c.oid::pg_catalog.int8) ORDER BY v.oid), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_class AS v JOIN pg_catalog.pg_namespace AS h ON h.oid = v.relnamespace AND h.nspname = 'pgusher'
   JOIN pg_catalog.pg_class AS c ON c.oid < 16384
     AND c.relname = pg_catalog.regexp_replace(v.relname, '^(narrow|wide|fenced|near)_(sys_)?(information_schema\.)?', '')
   JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     AND n.nspname = CASE WHEN v.relname LIKE '%\_information\_schema.%' THEN 'information_schema' ELSE 'pg_catalog' END
   WHERE v.relkind = 'v') AS stand_ins,
  (SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_language AS l WHERE l.lanname NOT IN ('internal', 'c', 'sql', 'plpgsql'))
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.oid >= 16384 AND p.probin IS NOT NULL
       AND pg_catalog.regexp_replace(p.probin, '^.*/', '') NOT IN (
      '_int', 'adminpack', 'amcheck', 'autoinc', 'bloom', 'btree_gin', 'btree_gist', 'citext', 'cube', 'dict_int',
      'dict_xsyn', 'earthdistance', 'file_fdw', 'fuzzystrmatch', 'hstore', 'insert_username', 'lo', 'ltree', 'moddatetime',
      'pageinspect', 'pg_buffercache', 'pg_freespacemap', 'pg_prewarm', 'pg_stat_statements', 'pg_trgm', 'pg_visibility',
      'pg_walinspect', 'pgcrypto', 'pgrowlocks', 'pgstattuple', 'pgxml', 'plpgsql', 'postgis-3', 'postgres_fdw', 'seg',
      'sslinfo', 'tablefunc', 'tcn', 'tsm_system_rows', 'tsm_system_time', 'unaccent', 'uuid-ossp', 'vector'))) AS forgetful,
  (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT u.relation::pg_catalog.int8), '[]'::pg_catalog.jsonb)
   FROM (
     SELECT y.polrelid AS relation, pg_catalog.concat(y.polqual::pg_catalog.text, y.polwithcheck::pg_catalog.text) AS tree
       FROM pg_catalog.pg_policy AS y WHERE y.polname NOT LIKE 'pgusher\_%'
     UNION ALL SELECT 0, k.conbin::pg_catalog.text FROM pg_catalog.pg_constraint AS k WHERE k.contypid <> 0
     UNION ALL SELECT 0, t.typdefaultbin::pg_catalog.text FROM pg_catalog.pg_type AS t WHERE t.typdefaultbin IS NOT NULL
   ) AS u
   JOIN pg_catalog.pg_proc AS p ON p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
     AND p.proname ~ 'advisory|nextval|setval|currval|lastval|setseed|set_config'
     AND pg_catalog.strpos(u.tree, pg_catalog.concat('funcid ', p.oid, ' ')) > 0) AS leaving,
  (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(c.conrelid::pg_catalog.int8, pg_catalog.to_jsonb(c.conkey),
      (SELECT coalesce(pg_catalog.jsonb_agg(a.attnum ORDER BY a.attnum), '[]'::pg_catalog.jsonb)
       FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem
       WHERE a.attrelid = c.conrelid AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype IN ('b', 'e') AND coalesce(e.typtype, 'b') IN ('b', 'e')
         AND coalesce(e.typname, t.typname) NOT IN ('json', 'xml', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle')
         AND t.typname NOT IN ('point', 'line', 'lseg', 'box'))) ORDER BY c.conrelid), '[]'::pg_catalog.jsonb)
   FROM pg_catalog.pg_constraint AS c WHERE c.contype = 'p' AND NOT c.condeferrable) AS keys";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_asked_for_all_functions_that_leave_something_behind() {
        assert!(REST.contains(&format!("p.proname ~ '{}'", LEAVING.join("|"))));
    }
}
