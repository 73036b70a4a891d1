//! What the analysis of one statement costs by itself: each stage on its first sight, and a decision made again for a statement
//! that is already known. No connection, no server: a hand-made catalog with TPC-H's tables, of which two are governed.
//!
//! `cargo bench --bench analysis`; prints µs, median and lowest of many batches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgusher::catalog::{
    CatalogParts, CatalogSnapshot, Column, Footing, Governed, GovernedTable, Relation, RelationKind, Schema, SearchPath,
};
use pgusher::name::{Name, QualifiedName};
use pgusher::policy::{
    Bearing, Grant, Mechanism, PolicyParts, PolicySnapshot, Principal, PrincipalId, PrincipalKind, Privilege, Securable, Subject,
    decide,
};
use pgusher::sql::{Analysis, Limits, Parsed, Remembered, SessionObjects, analysis, authorize, parse, resolve, rewrite};

const PUBLIC: u32 = 2200;
const USERS: PrincipalId = PrincipalId(1);
const READER: PrincipalId = PrincipalId(2);

const TABLES: [(&str, &[&str]); 8] = [
    ("region", &["r_regionkey", "r_name", "r_comment"]),
    ("nation", &["n_nationkey", "n_name", "n_regionkey", "n_comment"]),
    ("supplier", &["s_suppkey", "s_name", "s_address", "s_nationkey", "s_phone", "s_acctbal", "s_comment"]),
    ("part", &["p_partkey", "p_name", "p_mfgr", "p_brand", "p_type", "p_size", "p_container", "p_retailprice", "p_comment"]),
    ("partsupp", &["ps_partkey", "ps_suppkey", "ps_availqty", "ps_supplycost", "ps_comment"]),
    ("customer", &["c_custkey", "c_name", "c_address", "c_nationkey", "c_phone", "c_acctbal", "c_mktsegment", "c_comment"]),
    (
        "orders",
        &[
            "o_orderkey",
            "o_custkey",
            "o_orderstatus",
            "o_totalprice",
            "o_orderdate",
            "o_orderpriority",
            "o_clerk",
            "o_shippriority",
            "o_comment",
        ],
    ),
    (
        "lineitem",
        &[
            "l_orderkey",
            "l_partkey",
            "l_suppkey",
            "l_linenumber",
            "l_quantity",
            "l_extendedprice",
            "l_discount",
            "l_tax",
            "l_returnflag",
            "l_linestatus",
            "l_shipdate",
            "l_commitdate",
            "l_receiptdate",
            "l_shipinstruct",
            "l_shipmode",
            "l_comment",
        ],
    ),
];
/// Under a row filter, by row security.
const FILTERED: &str = "orders";
/// Under a row filter and a mask: read through its governed view.
const MASKED: &str = "customer";

const STATEMENTS: [(&str, &str); 5] = [
    ("SELECT 1", "SELECT 1"),
    ("point query, filtered", "SELECT o_totalprice FROM orders WHERE o_orderkey = 4711"),
    ("point query, masked", "SELECT c_name, c_phone FROM customer WHERE c_custkey = $1"),
    ("UPDATE, filtered", "UPDATE orders SET o_comment = $1, o_clerk = current_user WHERE o_orderkey = $2 RETURNING o_orderkey"),
    (
        "TPC-H Q5",
        "SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue \
         FROM customer, orders, lineitem, supplier, nation, region \
         WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey \
         AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA' \
         AND o_orderdate >= date '1994-01-01' AND o_orderdate < date '1994-01-01' + interval '1' year \
         GROUP BY n_name ORDER BY revenue DESC",
    ),
];

/// A session that holds nothing.
struct Nothing;

impl SessionObjects for Nothing {
    fn prepared(&self, _name: &str) -> Option<Remembered> {
        None
    }
    fn cursor(&self, _name: &str) -> Option<Remembered> {
        None
    }
}

fn main() {
    // The limits on nesting count on the stack that the program gives its threads.
    std::thread::Builder::new().stack_size(64 << 20).spawn(measure).expect("a thread").join().expect("the measurement ends");
}

fn measure() {
    let (footing, path, limits) = (footing(), SearchPath::default(), Limits::default());
    let groups = Arc::new(HashSet::from([USERS]));
    let reader = Subject { principal: READER, name: "reader".into(), groups, bearing: Bearing::default(), admin: false };
    println!(
        "{:<24}{:>16}{:>16}{:>16}{:>16}{:>16}{:>16}",
        "µs, median (lowest)", "parse", "resolve", "rewrite", "authorize", "all", "decided again"
    );
    for (label, sql) in STATEMENTS {
        let parsed = || parse(sql, &limits).expect("it parses").swap_remove(0);
        let resolved =
            |parsed: Parsed| resolve(parsed, &footing, &path, &reader, &Nothing).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let analysed = |parsed| Arc::new(analysis(resolved(parsed)));
        let permitted = |analysis: Arc<Analysis>| authorize(analysis, &footing, &reader).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let requirements = resolved(parsed()).requirements().clone();
        let figures = [
            time(|| (), |()| parsed()),
            time(parsed, resolved),
            time(|| resolved(parsed()), analysis),
            time(|| analysed(parsed()), permitted),
            time(|| (), |()| rewrite(permitted(analysed(parsed()))).expect("as before")),
            time(|| (), |()| decide(&footing.policies, &reader, black_box(&requirements))),
        ];
        print!("{label:<24}");
        for (median, lowest) in figures {
            print!("{:>16}", format!("{median:.2} ({lowest:.2})"));
        }
        println!();
    }
}

/// Median and lowest µs of one call, its preparation not counted, over batches within about half a second.
fn time<I, O>(prepare: impl Fn() -> I, work: impl Fn(I) -> O) -> (f64, f64) {
    const BATCH: usize = 64;
    let deadline = Instant::now() + Duration::from_millis(500);
    let mut samples = Vec::new();
    while Instant::now() < deadline || samples.len() < 5 {
        let inputs: Vec<I> = (0..BATCH).map(|_| prepare()).collect();
        let mut outputs = Vec::with_capacity(BATCH);
        let began = Instant::now();
        for input in inputs {
            outputs.push(black_box(work(input)));
        }
        samples.push(began.elapsed().as_secs_f64() * 1e6 / BATCH as f64);
        drop(outputs);
    }
    samples.sort_by(f64::total_cmp);
    (samples[samples.len() / 2], samples[0])
}

fn footing() -> Footing {
    let schema = |oid, name: &str, system, ours| Schema { oid, name: Name::exact(name), system, ours };
    let relations: Vec<Relation> = (1000_u32..).zip(TABLES).map(|(oid, (name, columns))| relation(oid, name, columns)).collect();
    let governed = relations.iter().filter_map(|r| Some((r.oid, governed(r.name.as_str())?))).collect::<HashMap<_, _>>();
    let principal = |id, name: &str, kind| Principal { id, name: name.into(), kind, enabled: true };
    let grant = |privilege, oid| Grant { principal: USERS, privilege, securable: Securable::Relation(oid) };
    let grants = relations.iter().flat_map(|r| [grant(Privilege::Select, r.oid), grant(Privilege::Modify, r.oid)]).collect();
    let policies = PolicyParts {
        principals: vec![principal(USERS, "users", PrincipalKind::Group), principal(READER, "reader", PrincipalKind::User)],
        grants,
        ..PolicyParts::default()
    };
    let catalog = CatalogParts {
        database: "tpch".into(),
        server_version: 150_000,
        schemas: vec![
            schema(11, "pg_catalog", true, false),
            schema(PUBLIC, "public", false, false),
            schema(9000, "pgusher", false, true),
            schema(9001, "pgusher_public", false, true),
        ],
        relations,
        ..CatalogParts::default()
    };
    Footing::new(Arc::new(CatalogSnapshot::new(1, catalog)), Arc::new(PolicySnapshot::new(1, policies)), governed)
}

fn relation(oid: u32, name: &str, columns: &[&str]) -> Relation {
    let column = |(number, name): (i16, &&str)| Column {
        number,
        name: Name::exact(name),
        type_oid: 25,
        type_sql: "text".into(),
        type_modifier: -1,
        generated: false,
        computed_from: Vec::new(),
        identity: ' ',
        default: None,
    };
    Relation {
        row_type: 0,
        oid,
        schema: PUBLIC,
        name: Name::exact(name),
        kind: RelationKind::Table,
        owner: Name::exact("app"),
        columns: (1..).zip(columns).map(column).collect(),
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

fn governed(name: &str) -> Option<Governed> {
    let masked = name == MASKED;
    let table = QualifiedName::new("public", name);
    let write = if masked { QualifiedName::new("pgusher_public", format!("{name}$w").as_str()) } else { table.clone() };
    (masked || name == FILTERED).then(|| {
        Governed::Table(GovernedTable {
            filtered: true,
            mechanism: Mechanism::Rls,
            masked: if masked { vec![Name::exact("c_phone"), Name::exact("c_acctbal")] } else { Vec::new() },
            read: if masked { QualifiedName::new("pgusher_public", name) } else { table },
            write: write.clone(),
            insert: write,
        })
    })
}
