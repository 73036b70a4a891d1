//! A hand-built footing for tests of the pipeline.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{
    Effect, Limits, Permitted, Remembered, ResolveError, RewriteError, Rewritten, SessionObjects, Touched, analysis, parse,
    resolve, rewrite,
};
use crate::catalog::{
    Arbiter, CatalogParts, CatalogSnapshot, Column, Footing, Function, FunctionKind, Governed, GovernedTable, Operator, PrimaryKey,
    Relation, RelationKind, Schema, SearchPath, Server,
};
use crate::name::{Name, QualifiedName};
use crate::policy::{
    Bearing, Grant, Holder, Mechanism, Oid, PolicyParts, PolicySnapshot, PolicySource, Principal, PrincipalId, PrincipalKind,
    Privilege, RowFilter, Securable, Subject,
};

pub(crate) const PUBLIC: Oid = 2200;
pub(crate) const ORDERS: Oid = 100;
pub(crate) const EMPLOYEES: Oid = 101;
pub(crate) const CUSTOMERS: Oid = 102;
pub(crate) const ALICE: PrincipalId = PrincipalId(3);
pub(crate) const ADMIN: PrincipalId = PrincipalId(4);

fn schema(oid: Oid, name: &str, system: bool, ours: bool) -> Schema {
    Schema { oid, name: Name::exact(name), system, ours }
}

fn relation(oid: Oid, schema: Oid, name: &str, kind: RelationKind, columns: &[&str]) -> Relation {
    let columns = columns
        .iter()
        .zip(1i16..)
        .map(|(column, number)| Column {
            number,
            name: Name::exact(column),
            type_oid: 25,
            type_sql: "text".into(),
            type_modifier: -1,
            generated: false,
            computed_from: Vec::new(),
            identity: ' ',
            default: None,
        })
        .collect();
    Relation {
        oid,
        schema,
        name: Name::exact(name),
        row_type: oid + 10_000,
        kind,
        owner: Name::exact("app"),
        columns,
        arbiters: Vec::new(),
        parents: Vec::new(),
        reads: Vec::new(),
        security_invoker: false,
        row_security: false,
        owned_by: None,
        server: None,
        temporary: false,
    }
}

fn function(oid: Oid, schema: Oid, name: &str, args: &[&str], language: &str) -> Function {
    let count = i16::try_from(args.len()).unwrap();
    Function {
        oid,
        schema,
        name: Name::exact(name),
        kind: FunctionKind::Function,
        min_args: count,
        max_args: count,
        arg_names: args.iter().map(|a| Arc::from(*a)).collect(),
        arg_types: args.iter().map(|_| Arc::from("text")).collect(),
        security_definer: false,
        language: Name::exact(language),
        volatile: true,
        result_type: "text".into(),
        returns_set: false,
    }
}

/// Constraints and defaults.
fn give_constraints(employees: &mut Relation) {
    let arbiter = |name: &str, columns: Option<Vec<i16>>| Arbiter { name: Name::exact(name), columns };
    employees.arbiters = vec![
        arbiter("employees_pkey", Some(vec![1])),
        arbiter("employees_ssn_key", Some(vec![3])),
        arbiter("employees_excl", None),
    ];
    for (column, default) in [(2, "'none'::text"), (3, "0")] {
        employees.columns[column].default = Some(default.into());
    }
}

fn relations() -> Vec<Relation> {
    use RelationKind::{CompositeType, ForeignTable, Index, PartitionedTable, Sequence, Table, View};
    let mut all = vec![
        relation(1259, 11, "pg_class", Table, &["oid", "relname"]),
        relation(1260, 11, "pg_authid", Table, &["rolname"]),
        relation(3256, 11, "pg_policy", Table, &["polname"]),
        relation(201, 11, "pg_stats", View, &["attname"]),
        relation(ORDERS, PUBLIC, "orders", Table, &["id", "owner", "region", "amount"]),
        relation(EMPLOYEES, PUBLIC, "employees", Table, &["id", "name", "ssn", "salary", "region"]),
        relation(CUSTOMERS, PUBLIC, "customers", Table, &["id", "name", "region"]),
        relation(103, PUBLIC, "notes", Table, &["id", "body"]),
        relation(104, PUBLIC, "v_customers", View, &["id", "name"]),
        relation(105, PUBLIC, "v_orders", View, &["id"]),
        relation(106, PUBLIC, "derived", View, &["id"]),
        relation(107, PUBLIC, "broken", Table, &["id"]),
        relation(108, 3000, "people", Table, &["id"]),
        relation(109, 3001, "orders", Table, &["id", "old"]),
        relation(110, PUBLIC, "orders_id_seq", Sequence, &["last_value"]),
        relation(111, PUBLIC, "free_seq", Sequence, &["last_value"]),
        relation(112, PUBLIC, "remote", ForeignTable, &["id"]),
        relation(113, PUBLIC, "v_on_v", View, &["id"]),
        relation(120, PUBLIC, "events", PartitionedTable, &["id"]),
        relation(121, PUBLIC, "events_eu", Table, &["id"]),
        relation(130, PUBLIC, "pair", CompositeType, &["a"]),
        relation(131, PUBLIC, "orders_pkey", Index, &["id"]),
        relation(132, PUBLIC, "Odd Name", Table, &["id"]),
        relation(900, 9000, "token", Table, &["hash"]),
        relation(901, 9001, "employees", View, &["id", "name", "ssn", "salary", "region"]),
        relation(902, 9000, "slot", Sequence, &["last_value"]),
    ];
    for one in &mut all {
        match one.oid {
            EMPLOYEES => give_constraints(one),
            104 => one.reads = vec![CUSTOMERS],
            105 => one.reads = vec![ORDERS],
            113 => one.reads = vec![104],
            110 => one.owned_by = Some(ORDERS),
            112 => one.server = Some(500),
            121 => one.parents = vec![120],
            _ => {}
        }
    }
    all
}

fn parts() -> CatalogParts {
    CatalogParts {
        database: "shop".into(),
        server_version: 150018,
        schemas: vec![
            schema(11, "pg_catalog", true, false),
            schema(12, "information_schema", true, false),
            schema(PUBLIC, "public", false, false),
            schema(3000, "hr", false, false),
            schema(3001, "archive", false, false),
            schema(9000, "pgusher", false, true),
            schema(9001, "pgusher_public", false, true),
        ],
        relations: relations(),
        functions: vec![
            function(300, PUBLIC, "bonus", &["x"], "plpgsql"),
            function(301, PUBLIC, "initials", &["e"], "sql"),
            function(302, PUBLIC, "same_op", &["", ""], "sql"),
            function(303, PUBLIC, "to_rating", &[""], "plpgsql"),
            function(304, 3000, "lower", &[""], "sql"),
            function(305, PUBLIC, "upper", &["", ""], "sql"),
            function(306, PUBLIC, "citext_eq", &["", ""], "c"),
        ],
        operators: vec![
            Operator { schema: PUBLIC, name: Name::exact("==="), function: 302 },
            Operator { schema: PUBLIC, name: Name::exact("="), function: 306 },
        ],
        casts: vec![(Name::exact("rating"), 303)],
        servers: vec![Server { oid: 500, name: Name::exact("far") }],
        keys: [EMPLOYEES, ORDERS].map(|relation| PrimaryKey { relation, columns: vec![1], groupable: vec![1, 2, 3, 4] }).to_vec(),
        ..CatalogParts::default()
    }
}

fn qualified(schema: &str, name: &str) -> QualifiedName {
    QualifiedName::new(schema, name)
}

fn table(masked: &[&str], mechanism: Mechanism, read: QualifiedName, write: QualifiedName) -> Governed {
    let apart = || qualified(write.schema.as_str(), &format!("{}$i", read.name));
    let insert = if mechanism == Mechanism::View { apart() } else { write.clone() };
    Governed::Table(GovernedTable {
        filtered: true,
        mechanism,
        masked: masked.iter().map(|m| Name::exact(m)).collect(),
        read,
        write,
        insert,
    })
}

/// The footing.
pub(crate) fn footing() -> Footing {
    footing_with(|_| {})
}

/// The footing with more in its catalog.
pub(crate) fn footing_with(change: impl FnOnce(&mut CatalogParts)) -> Footing {
    let own = || qualified("public", "orders");
    let mut catalog = parts();
    change(&mut catalog);
    let principal = |id: i64, name: &str, kind| Principal { id: PrincipalId(id), name: name.into(), kind, enabled: true };
    let policies = PolicyParts {
        principals: vec![
            principal(1, "users", PrincipalKind::Group),
            principal(2, "admins", PrincipalKind::Group),
            principal(ALICE.0, "alice", PrincipalKind::User),
            principal(ADMIN.0, "root", PrincipalKind::User),
            principal(5, "olga", PrincipalKind::User),
        ],
        memberships: vec![(PrincipalId(2), ADMIN)],
        grants: vec![
            Grant { principal: ALICE, privilege: Privilege::Select, securable: Securable::Relation(ORDERS) },
            Grant { principal: ALICE, privilege: Privilege::Select, securable: Securable::Relation(104) },
        ],
        owners: vec![(Securable::Relation(EMPLOYEES), PrincipalId(5)), (Securable::Relation(104), PrincipalId(5))],
        filters: vec![RowFilter { relation: 121, expression: "true".into(), source: PolicySource::Expression("true".into()) }],
        ..PolicyParts::default()
    };
    Footing::new(
        Arc::new(CatalogSnapshot::new(1, catalog)),
        Arc::new(PolicySnapshot::new(1, policies)),
        HashMap::from([
            (ORDERS, table(&[], Mechanism::Rls, own(), own())),
            (
                EMPLOYEES,
                table(
                    &["ssn", "salary"],
                    Mechanism::Rls,
                    qualified("pgusher_public", "employees"),
                    qualified("pgusher_public", "employees$w"),
                ),
            ),
            (103, table(&[], Mechanism::View, qualified("pgusher_public", "notes"), qualified("pgusher_public", "notes"))),
            (105, Governed::View { read: qualified("pgusher_public", "v_orders") }),
            (106, Governed::Derived),
            (107, Governed::Refused("its filter names a column that is gone".into())),
        ]),
    )
}

/// Somebody who is no administrator.
pub(crate) fn alice() -> Subject {
    Subject {
        principal: ALICE,
        name: "alice".into(),
        groups: Arc::new(HashSet::from([PrincipalId(1)])),
        bearing: Bearing::default(),
        admin: false,
    }
}

/// An administrator.
pub(crate) fn admin() -> Subject {
    Subject {
        principal: ADMIN,
        name: "root".into(),
        groups: Arc::new(HashSet::from([PrincipalId(1), PrincipalId(2)])),
        bearing: Bearing::default(),
        admin: true,
    }
}

/// A session with one prepared statement and one cursor, both called `held`, over the orders.
pub(crate) struct Held;

impl SessionObjects for Held {
    fn prepared(&self, name: &str) -> Option<Remembered> {
        (name == "held").then(|| Remembered {
            requirements: analyse("SELECT * FROM orders").unwrap().requirements,
            touched: Touched { filtered: true, masked: false },
        })
    }

    fn cursor(&self, name: &str) -> Option<Remembered> {
        self.prepared(name)
    }
}

/// What became of a statement.
#[derive(Debug)]
pub(crate) struct Analysed {
    pub(crate) text: String,
    /// `PRIVILEGE label`, with `owner of OID: ` before it where it is not the session's.
    pub(crate) needs: Vec<String>,
    pub(crate) requirements: Arc<[crate::policy::Requirement]>,
    pub(crate) effect: Effect,
    pub(crate) touched: Touched,
}

/// Why not.
#[derive(Debug)]
pub(crate) enum Refused {
    Resolve(ResolveError),
    Rewrite(RewriteError),
}

/// Runs a statement of alice's through parse, resolve and rewrite; it must be one statement that parses.
pub(crate) fn analyse(sql: &str) -> Result<Analysed, Refused> {
    analyse_as(sql, &alice(), &footing(), &SearchPath::default())
}

/// The same for anybody, on any footing.
pub(crate) fn analyse_as(sql: &str, subject: &Subject, footing: &Footing, path: &SearchPath) -> Result<Analysed, Refused> {
    let mut statements = parse(sql, &Limits::default()).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(statements.len(), 1, "{sql}");
    let resolved = resolve(statements.remove(0), footing, path, subject, &Held).map_err(Refused::Resolve)?;
    let rewritten: Rewritten =
        rewrite(Permitted { analysis: Arc::new(analysis(resolved)), reasons: Vec::new() }).map_err(Refused::Rewrite)?;
    let requirements = rewritten.remembered().requirements;
    let needs = requirements
        .iter()
        .map(|r| match r.holder {
            Holder::Session => format!("{} {}", r.asked(), r.label),
            Holder::OwnerOfView(view) => format!("owner of {view}: {} {}", r.asked(), r.label),
        })
        .collect();
    Ok(Analysed {
        text: rewritten.text().to_string(),
        needs,
        requirements,
        effect: rewritten.effect().clone(),
        touched: rewritten.touched(),
    })
}

/// The text that is sent for a statement of alice's.
pub(crate) fn sent(sql: &str) -> String {
    analyse(sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}")).text
}

/// Why a statement of alice's is refused.
pub(crate) fn refusal(sql: &str) -> ResolveError {
    match analyse(sql) {
        Err(Refused::Resolve(error)) => error,
        other => panic!("{sql}: {other:?}"),
    }
}
