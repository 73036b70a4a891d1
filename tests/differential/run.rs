//! Runs of the generator: worlds of random policies, and in each of them random statements.

use std::time::{Duration, Instant};

use super::compare::{Pair, Verdict};
use super::figures::Figures;
use super::grammar::{Catalog, Grammar, Script, Tape, shrink};
use super::policies;
use super::world::{Data, PEOPLE, World};
use crate::harness::{Client, Mechanism, Upstream};

/// The demo's shop, small, with a table of every type.
pub const SHOP: Data = Data {
    name: "small",
    load: |root: &Client| {
        root.run(&format!("SET shop.orders = 90; {}", include_str!("../../config/demo/shop.sql")));
        root.run("RESET ROLE");
        for statement in statements(&file("small.sql")) {
            root.run(&statement);
        }
    },
    readable: &[
        "things",
        "orders",
        "employees",
        "customers",
        "regions",
        "products",
        "order_items",
        "shipments",
        "invoices",
        "recent_orders",
        "order_totals",
        "staff_directory",
        "thing_notes",
    ],
    writable: &["order_items", "shipments", "things"],
};

/// A file of this folder. Read when it is needed: these are data.
pub fn file(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The statements of a script in which each ends with a semicolon at the end of a line.
pub fn statements(script: &str) -> Vec<String> {
    let lines: Vec<&str> = script.lines().filter(|l| !l.trim_start().starts_with("--")).collect();
    lines.join("\n").split(";\n").map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect()
}

/// What a run is to do.
pub struct Plan {
    pub seed: u64,
    pub worlds: u64,
    /// Statements for each of the principals of a world.
    pub statements: u64,
    /// When to stop in any case.
    pub limit: Duration,
}

/// A number of the environment.
pub fn knob(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Whether this is the run of `make differential`.
pub fn long() -> bool {
    knob("PGUSHER_LONG").is_some()
}

/// The mechanisms of a run; strict mode in the long one only.
pub fn mechanisms() -> Vec<Mechanism> {
    let mut all = vec![Mechanism::Rls, Mechanism::View];
    if long() {
        all.push(Mechanism::Strict);
    }
    all
}

/// A knob with a value for the bounded run and one for the long run.
pub fn extent(name: &str, bounded: u64, far: u64) -> u64 {
    knob(name).unwrap_or(if long() { far } else { bounded })
}

/// Compares random statements under random policies.
pub fn run(plan: &Plan) -> Figures {
    let (mut figures, mut spent) = (Figures::default(), Duration::ZERO);
    let mut made: Vec<World> = Vec::new();
    for n in 0..plan.worlds {
        let seed = plan.seed.wrapping_add(n);
        let mechanism = [Mechanism::Rls, Mechanism::View, Mechanism::Strict][(seed % 3) as usize];
        let at = made.iter().position(|w| w.mechanism() == mechanism).unwrap_or_else(|| {
            made.push(World::new(SHOP, mechanism));
            made.len() - 1
        });
        let world = &mut made[at];
        let set = policies::random(seed);
        world.govern(&set);
        figures.worlds += 1;
        let filled: Vec<&str> = SHOP.writable.iter().copied().filter(|table| !set.filter_reads_masks(table)).collect();
        let catalog = Catalog::of(&world.truth(), SHOP.readable, SHOP.writable, &filled);
        let started = Instant::now();
        for (index, person) in PEOPLE.into_iter().enumerate() {
            let mut pair = world.pair(person);
            for k in 0..plan.statements {
                if spent + started.elapsed() > plan.limit {
                    return figures;
                }
                let statement_seed = (seed << 24) ^ ((index as u64) << 20) ^ k;
                let mut grammar = Grammar::new(&catalog, Tape::random(statement_seed));
                let script = grammar.script();
                let verdict = pair.compare(&script.steps, script.ordered);
                figures.count(&verdict, &script.text(), pair.rows);
                figures.share(&script.text(), &set, &catalog, verdict == Verdict::Same && pair.rows > 0);
                if let Verdict::Different(_) = &verdict {
                    let (small, why) = smaller(&mut pair, &catalog, &grammar.choices(), script);
                    let policies = set.statements()[set.functions.len()..].join(";\n    ");
                    figures.differences.push(format!(
                        "seed {seed} ({mechanism:?}), {}, statement {k}:\n{}\n  {why}\n  policies:\n    {policies}",
                        person.0,
                        small.text()
                    ));
                    if long()
                        && let Some(found) = figures.differences.last()
                    {
                        println!("difference: {found}");
                    }
                    if figures.differences.len() >= knob("PGUSHER_DIFFERENCES").unwrap_or(5) as usize {
                        return figures;
                    }
                }
            }
        }
        spent += started.elapsed();
        if long() {
            println!(
                "seed {seed} ({mechanism:?}): {} statements so far, {} refused, {} s",
                figures.statements,
                figures.refused(),
                spent.as_secs()
            );
        }
    }
    figures
}

/// The smallest script found that still gives different answers, and what they are.
fn smaller(pair: &mut Pair, catalog: &Catalog, choices: &[u32], script: Script) -> (Script, String) {
    let mut best = (script, String::new());
    let found = shrink(choices, 400, |choices| {
        let script = Grammar::new(catalog, Tape::of(choices)).script();
        matches!(pair.compare(&script.steps, script.ordered), Verdict::Different(_))
    });
    let script = Grammar::new(catalog, Tape::of(&found)).script();
    if let Verdict::Different(why) = pair.compare(&script.steps, script.ordered) {
        best = (script, why);
    } else if let Verdict::Different(why) = pair.compare(&best.0.steps.clone(), best.0.ordered) {
        best.1 = why;
    }
    best
}

/// A seed of one's own by PGUSHER_SEED.
#[test]
fn random_statements_answer_as_on_a_database_of_permitted_rows() {
    Upstream::shared();
    let plan = Plan {
        seed: knob("PGUSHER_SEED").unwrap_or(1),
        worlds: extent("PGUSHER_WORLDS", 3, 15),
        statements: extent("PGUSHER_STATEMENTS", 60, 480),
        limit: Duration::from_secs(extent("PGUSHER_SECONDS", 45, 7200)),
    };
    let figures = run(&plan);
    println!("{}", figures.report("random statements"));
    assert!(figures.differences.is_empty(), "{}", figures.differences.join("\n\n"));
    assert!(figures.statements > 100, "nothing was compared: {}", figures.report("random statements"));
    assert!(figures.refused() * 20 <= figures.statements, "too much is refused: {}", figures.report("random statements"));
    assert!(figures.with_rows * 10 >= figures.statements * 6, "too few give rows: {}", figures.report("random statements"));
}
