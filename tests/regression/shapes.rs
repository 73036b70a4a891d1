//! Texts that differ in literals: what is filled in for one of another's is what its own analysis says.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use pgusher::catalog::{Footing, Governed, GovernedTable, RelationKind, SearchPath};
use pgusher::name::{Name, QualifiedName};
use pgusher::policy::{
    Grant, Mechanism as Enforced, Oid, PolicyParts, PolicySnapshot, Principal, PrincipalId, PrincipalKind, Privilege, Securable,
    Subject,
};
use pgusher::sql::parse::Limits;
use pgusher::sql::parse::lexer::{Lexer, TokenKind};
use pgusher::sql::{Analysis, Shape, Template, analysis, parse, resolve};

use super::Everything;
use crate::drivers::psql::Psql;
use crate::harness::{Mechanism, ProxySettings, Upstream};

/// What came of filling in.
#[derive(Default)]
pub struct Filled {
    /// Statements.
    pub statements: u32,
    /// Those of which literals may be others.
    pub templates: u32,
    /// Texts filled in, and found to be as analysed.
    pub same: u32,
    /// Those that were not.
    pub different: Vec<String>,
}

const NUMBERS: &[&str] = &["0", "1", "2", "7", "007", "16389", "999999999", "2147483648", "1.5"];

const TEXTS: &[&str] = &[
    "'a'",
    "'it''s'",
    "'pg_class'",
    "'-'",
    "'region'",
    "'1'",
    "'16389'",
    "'0100'",
    "''",
    "'^(x)$'",
    "'('",
    "'a\\'",
    "'orders'",
    "'set_config'",
    "'array_in'",
    "E'a'",
    "'2001-02-03'",
    "'v'",
];

impl Filled {
    /// Tries a statement with other literals in it.
    pub fn check(&mut self, text: &str, footing: &Footing, path: &SearchPath, subject: &Subject) {
        self.statements += 1;
        let Some(proven) = whole(text, footing, path, subject) else { return };
        let limits = Limits::default();
        let Some(template) = Template::of(text, &Arc::new(proven), footing, path, subject.admin, &limits) else { return };
        self.templates += 1;
        for round in 0..ROUNDS {
            let other = varied(text, round);
            let filled = Shape::of(&other).and_then(|shape| template.fill(&other, &shape));
            assert_eq!(template.fill_if_alike(&other), filled, "{text}\n{other}");
            let Some(filled) = filled else { continue };
            if !filled.suits(footing, subject) {
                continue;
            }
            if whole(&other, footing, path, subject).as_ref() == Some(&filled) {
                self.same += 1;
            } else {
                self.different.push(format!("{text}\n{other}"));
            }
        }
    }

    fn print(&self, what: &str) {
        let Self { statements, templates, same, .. } = self;
        println!("{what}: {statements} statements, {templates} with literals that may be others, {same} texts filled in");
    }
}

const ROUNDS: usize = 6;

fn whole(text: &str, footing: &Footing, path: &SearchPath, subject: &Subject) -> Option<Analysis> {
    let [parsed] = <[_; 1]>::try_from(parse(text, &Limits::default()).ok()?).ok()?;
    resolve(parsed, footing, path, subject, &Everything).ok().map(analysis)
}

/// The text with other literals: in even rounds mostly such as they are, in odd ones some that should not fit.
fn varied(text: &str, round: usize) -> String {
    let mut other = String::with_capacity(text.len());
    for (index, token) in Lexer::new(text).enumerate() {
        let spelling = token.spelling(text);
        let next = (index * 7 + round * 5) % 64;
        let tame = round.is_multiple_of(2);
        match token.kind {
            TokenKind::Number if tame => other.push_str(&(next + 3).to_string()),
            TokenKind::Number if next.is_multiple_of(3) => other.push_str(NUMBERS[next % NUMBERS.len()]),
            TokenKind::Text if tame && spelling.bytes().skip(1).all(|b| b.is_ascii_digit() || b == b'\'') => {
                other.push_str(&format!("'{}'", 16000 + next));
            }
            TokenKind::Text if tame => other.push_str(&format!("'w{next}'")),
            TokenKind::Text if next.is_multiple_of(3) => other.push_str(TEXTS[next % TEXTS.len()]),
            _ => other.push_str(spelling),
        }
    }
    other
}

const SOMEBODY: PrincipalId = PrincipalId(1);

/// The catalog with every second relation granted to somebody, and tables under filters and masks of every kind in turn.
fn footing(upstream: &Upstream, database: &str) -> Footing {
    ProxySettings::new(database, Mechanism::Rls).init(upstream, "admin@example.com");
    let catalog = super::footing(&upstream.superuser(database)).catalog;
    let own = |oid: Oid| catalog.schema(oid).is_some_and(|schema| !schema.system && !schema.ours);
    let relations: Vec<_> = catalog.relations().filter(|relation| own(relation.schema)).collect();
    let grant = |oid| Grant { principal: SOMEBODY, privilege: Privilege::Select, securable: Securable::Relation(oid) };
    let policies = PolicyParts {
        principals: vec![Principal { id: SOMEBODY, name: "somebody".into(), kind: PrincipalKind::User, enabled: true }],
        grants: relations.iter().step_by(2).map(|relation| grant(relation.oid)).collect(),
        ..PolicyParts::default()
    };
    let mut governed = HashMap::new();
    for (turn, relation) in relations.iter().filter(|r| r.kind == RelationKind::Table).enumerate() {
        let Some(name) = catalog.qualified(relation) else { continue };
        let view = |suffix: &str| QualifiedName::new("pgusher_public", format!("{}{suffix}", relation.name).as_str());
        let masked: Vec<Name> = relation.columns.get(1).map(|column| column.name.clone()).into_iter().collect();
        let plain = GovernedTable::plain(&name);
        let table = match turn % 4 {
            0 => continue,
            1 => GovernedTable { filtered: true, ..plain },
            2 => GovernedTable {
                filtered: true,
                mechanism: Enforced::View,
                read: view(""),
                write: view(""),
                insert: view("$i"),
                ..plain
            },
            _ => GovernedTable { masked, read: view(""), write: view("$w"), insert: view("$w"), ..plain },
        };
        governed.insert(relation.oid, Governed::Table(table));
    }
    Footing::new(catalog.clone(), Arc::new(PolicySnapshot::new(1, policies)), governed)
}

fn corpus(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/corpus").join(name);
    let text = std::fs::read_to_string(path).expect("the corpus is here");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    lines.join("\n").replace(";;", ";\n").split(";\n").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()
}

/// What psql asks to describe things.
fn described(upstream: &Upstream, database: &str) -> Vec<String> {
    let mut found = Vec::new();
    for command in [
        "\\d",
        "\\dt",
        "\\dv",
        "\\dn",
        "\\df",
        "\\dT",
        "\\d orders",
        "\\d employees",
        "\\d+ things",
        "\\d shipments",
        "\\d recent_orders",
        "\\d orders_pkey",
    ] {
        let said = Psql::at(upstream.port, database, "postgres", "postgres").with(&["-E", "-c", command]).run().well();
        let blocks = said.split("********* QUERY **********\n").skip(1);
        found.extend(blocks.filter_map(|block| block.split("\n**************************").next()).map(str::to_owned));
    }
    assert!(found.len() > 40, "psql shows what it asks: {}", found.len());
    found
}

#[test]
fn texts_of_one_shape_are_analysed_alike() {
    let upstream = Upstream::shared();
    let make = |database: &str, load: &[String]| {
        upstream.superuser("postgres").run(&format!("CREATE DATABASE {database} TEMPLATE template0"));
        let client = upstream.superuser(database);
        load.iter().for_each(|sql| client.run(sql));
        footing(upstream, database)
    };
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of ours");
    let shop = [
        format!("SET shop.orders = 30; {}; RESET ROLE", read("config/demo/shop.sql")),
        read("tests/differential/small.sql").replace("VACUUM ANALYZE;", ""),
    ];
    let shop = (make("shapes_shop", &shop), ["predicates.sql", "shapes.sql", "scripts.sql"].map(corpus).concat());
    let tpch = (make("shapes_tpch", &[read("tests/differential/tpch/schema.sql")]), corpus("tpch.sql"));
    let psql = described(upstream, "shapes_shop");
    let path = SearchPath::default();
    for admin in [false, true] {
        let subject = Subject { principal: SOMEBODY, ..super::subject(admin) };
        let mut all = [(); 3].map(|()| Filled::default());
        for (filled, (footing, texts)) in all.iter_mut().zip([(&shop.0, &shop.1), (&tpch.0, &tpch.1), (&shop.0, &psql)]) {
            texts.iter().for_each(|text| filled.check(text, footing, &path, &subject));
        }
        for (filled, (what, least)) in all.iter().zip([("written statements", 300), ("TPC-H", 20), ("psql", 20)]) {
            filled.print(what);
            assert!(
                filled.different.is_empty(),
                "{} texts are analysed otherwise:\n{}",
                filled.different.len(),
                filled.different[0]
            );
            assert!(filled.same >= least, "{what}: {} texts were filled in", filled.same);
        }
    }
}
