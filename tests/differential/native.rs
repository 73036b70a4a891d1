//! The second oracle: grants, ownership of views and row filters, expressed by PostgreSQL's own GRANT and row security. Both must
//! decide alike: the same SQLSTATE, the same rows.

use std::time::{Duration, Instant};

use super::compare::{Pair, UNREAD, Verdict};
use super::figures::Figures;
use super::grammar::{Catalog, Grammar, Tape};
use super::run::{SHOP, extent, knob, long, mechanisms};
use super::side::{Side, Step};
use super::world::{Data, PEOPLE, World, identify};
use crate::harness::{Mechanism, Passing, Upstream};

/// Tables that grants are drawn for. Nothing is granted to begin with.
const TABLES: [&str; 8] = ["things", "orders", "customers", "employees", "regions", "products", "order_items", "shipments"];

/// Those with a column `id`, and those with a column `region`.
const NUMBERED: [&str; 6] = ["things", "orders", "customers", "employees", "products", "shipments"];
const REGIONAL: [&str; 6] = ["things", "orders", "customers", "employees", "order_items", "shipments"];

/// Those that are written.
const WRITTEN: [&str; 3] = ["things", "order_items", "shipments"];

/// The same shop, with nothing granted.
const CLOSED: Data = Data { readable: &[], writable: &[], ..SHOP };

/// Filters in both spellings: `{user}` and `{in:g1}` are filled in.
const FILTERS: [(&str, &str); 8] = [
    ("things", "region = 'EMEA' OR {in:g2}"),
    ("things", "flag IS NOT FALSE"),
    ("orders", "{in:g1} AND region <> 'APAC'"),
    ("orders", "sales_rep = {user} OR id % 3 = 0"),
    ("customers", "region IN (SELECT d.region FROM public.region_desk AS d WHERE d.principal = {user}) OR id % 2 = 0"),
    ("order_items", "region = 'EMEA'"),
    ("shipments", "carrier <> 'Heron' AND NOT {in:g3}"),
    ("employees", "region = 'AMER' OR manager_id IS NULL"),
];

fn fill(text: &str, user: &str, member: impl Fn(&str) -> String) -> String {
    ["g1", "g2", "g3"]
        .iter()
        .fold(text.replace("{user}", user), |text, group| text.replace(&format!("{{in:{group}}}"), &member(group)))
}

/// A view over two tables, with an owner who may lose what it reads.
const VIEW: &str = "CREATE VIEW public.seen AS SELECT t.id, t.region, t.cost, o.status, o.amount FROM public.things AS t JOIN public.orders AS o ON o.id = t.id";

struct Scene {
    world: World,
    native: Passing,
    catalog: Catalog,
}

impl Scene {
    fn new(mechanism: Mechanism) -> Scene {
        let upstream = Upstream::shared();
        let mut world = World::new(CLOSED, mechanism);
        world.govern(&Default::default());
        let native = world.beside("native");
        let root = upstream.superuser(&native.0);
        root.run("DO $$BEGIN CREATE ROLE g3 NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$");
        root.run("DO $$BEGIN CREATE ROLE \"vera@example.com\" NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$");
        let admin = world.admin();
        admin.run("CREATE USER \"vera@example.com\"");
        for (side, owner) in
            [(admin, "ALTER VIEW seen OWNER TO \"vera@example.com\""), (&root, "ALTER VIEW seen OWNER TO \"vera@example.com\"")]
        {
            side.run(VIEW);
            side.run(owner);
        }
        root.run("GRANT USAGE ON SCHEMA public TO PUBLIC; GRANT SELECT ON region_desk TO PUBLIC");
        let mut names = TABLES.to_vec();
        names.push("seen");
        let catalog = Catalog::of(&root, &names, &WRITTEN, &WRITTEN);
        Scene { world, native, catalog }
    }

    /// Draws filters and grants, and makes them on both sides.
    fn arrange(&mut self, tape: &mut Tape) -> Vec<String> {
        let root = Upstream::shared().superuser(&self.native.0);
        let admin = self.world.admin();
        let mut told = Vec::new();
        for table in TABLES {
            if admin.try_rows(&format!("ALTER TABLE {table} DROP ROW FILTER")).is_ok() {
                root.run(&format!("DROP POLICY IF EXISTS f ON {table}; ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"));
            }
        }
        let mut filtered: Vec<&str> = Vec::new();
        for (table, filter) in FILTERS {
            if !filtered.contains(&table) && tape.chance(45) {
                filtered.push(table);
                let ours = fill(filter, "current_user()", |g| format!("is_member('{g}')"));
                let native = fill(filter, "current_user", |g| format!("pg_has_role(current_user, '{g}', 'member')"));
                admin.run(&format!("ALTER TABLE {table} SET ROW FILTER ({ours})"));
                root.run(&format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; CREATE POLICY f ON {table} USING ({native})"));
                told.push(format!("filter on {table}: {filter}"));
            }
        }
        let who: Vec<&str> = PEOPLE.iter().map(|(p, _)| *p).chain(["g1", "g2", "vera@example.com"]).collect();
        for table in TABLES.iter().chain(&["seen"]) {
            let view = *table == "seen";
            let kind = if view { "VIEW" } else { "TABLE" };
            let quoted = |names: &[&str]| names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
            // The view's owner holds what it holds by owning it.
            let who: Vec<&str> = who.iter().copied().filter(|w| !view || *w != "vera@example.com").collect();
            let privileges: &[(&str, &str, usize)] = if view {
                &[("SELECT", "SELECT", 60)]
            } else {
                &[("SELECT", "SELECT", 45), ("MODIFY", "INSERT, UPDATE, DELETE", 30)]
            };
            admin.run(&format!(
                "REVOKE {} ON {kind} {table} FROM {}",
                if view { "SELECT" } else { "SELECT, MODIFY" },
                quoted(&who)
            ));
            root.run(&format!("REVOKE SELECT, INSERT, UPDATE, DELETE ON {table} FROM {}", quoted(&who)));
            for (privilege, native, percent) in privileges {
                let chosen: Vec<&str> = who.iter().copied().filter(|_| tape.chance(*percent)).collect();
                if !chosen.is_empty() {
                    admin.run(&format!("GRANT {privilege} ON {kind} {table} TO {}", quoted(&chosen)));
                    root.run(&format!("GRANT {native} ON {table} TO {}", quoted(&chosen)));
                    told.push(format!("{privilege} on {table} to {}", chosen.join(", ")));
                }
            }
        }
        told
    }
}

/// Statements whose privileges are what is asked about.
fn script(grammar: &mut Grammar, tape: &mut Tape) -> Vec<Step> {
    let (table, other) = (*tape.one(&TABLES), *tape.one(&TABLES));
    let (numbered, regional) = (*tape.one(&NUMBERED), *tape.one(&REGIONAL));
    let written = *tape.one(&WRITTEN);
    let sql = match tape.below(16) {
        0 => format!("SELECT count(*) FROM {table}"),
        1 => format!("SELECT * FROM {table}"),
        2 => format!("SELECT count(*) FROM {regional} AS a, things AS b WHERE a.region = b.region"),
        3 => format!("SELECT 1 FROM {table} WHERE EXISTS (SELECT FROM {other})"),
        4 => "SELECT * FROM seen".to_owned(),
        5 => format!("SELECT s.id FROM seen AS s JOIN {numbered} AS t ON t.id = s.id"),
        6 => format!("DELETE FROM {written}"),
        7 => format!("DELETE FROM {written} WHERE region = 'EMEA'"),
        8 => "UPDATE things SET day = NULL".to_owned(),
        9 => "UPDATE things SET day = day + 1 WHERE id < 30 RETURNING id".to_owned(),
        10 => "INSERT INTO things (id, code, region, secret) VALUES (2000, 'x', 'EMEA', 's')".to_owned(),
        11 => "INSERT INTO things (id, code, region, secret) VALUES (2001, 'x', 'APAC', 's') RETURNING region".to_owned(),
        12 => format!(
            "INSERT INTO things (id, code, region, secret) SELECT 3000 + row_number() OVER (), 'x', 'EMEA', 's' FROM {other}"
        ),
        13 => {
            format!(
                "UPDATE shipments SET tracking = 'x' FROM {regional} AS o WHERE o.region = shipments.region AND shipments.id < 10"
            )
        }
        14 => format!(
            "WITH d AS (DELETE FROM order_items RETURNING region) SELECT count(*) FROM d, {regional} AS o WHERE o.region = d.region"
        ),
        _ => return grammar.script().steps,
    };
    ["BEGIN".to_owned(), sql, "ROLLBACK".to_owned()].map(Step::Simple).to_vec()
}

/// Compares statements under random grants and filters.
fn run(seed: u64, rounds: u64, statements: u64, limit: Duration) -> Figures {
    let upstream = Upstream::shared();
    let (mut figures, mut spent) = (Figures::default(), Duration::ZERO);
    let mut scenes: Vec<Scene> = mechanisms().into_iter().map(Scene::new).collect();
    for round in 0..rounds {
        let seed = seed.wrapping_add(round);
        let mut tape = Tape::random(seed);
        let among = scenes.len() as u64;
        let scene = &mut scenes[(seed % among) as usize];
        let told = scene.arrange(&mut tape);
        figures.worlds += 1;
        let started = Instant::now();
        for person in PEOPLE {
            identify(&upstream.superuser(&scene.native.0), person);
            let direct = Side::direct(&upstream.directory, upstream.port, &scene.native.0, person.0);
            // The view was made on each side for itself.
            let mut pair = Pair { direct, origins: false, ..scene.world.pair(person) };
            for n in 0..statements {
                if spent + started.elapsed() > limit {
                    return figures;
                }
                let mut grammar = Grammar::new(&scene.catalog, Tape::random((seed << 20) ^ (n << 2)));
                let steps = script(&mut grammar, &mut tape);
                let text = steps.iter().map(Step::sql).collect::<Vec<_>>().join("; ");
                let verdict = pair.compare(&steps, false);
                figures.count(&verdict, &text, pair.rows);
                if let Verdict::Different(why) = verdict {
                    figures.differences.push(format!(
                        "seed {seed}, {} ({:?}):\n{text}\n  {why}\n  {}",
                        person.0,
                        scene.world.mechanism(),
                        told.join("\n  ")
                    ));
                    if figures.differences.len() >= knob("PGUSHER_DIFFERENCES").unwrap_or(5) as usize {
                        return figures;
                    }
                }
            }
        }
        spent += started.elapsed();
        if long() {
            println!("native, seed {seed} ({:?}): {} statements so far", scene.world.mechanism(), figures.statements);
        }
    }
    figures
}

#[test]
fn grants_and_filters_decide_as_postgresqls_own_do() {
    let figures = run(
        knob("PGUSHER_SEED").unwrap_or(1),
        extent("PGUSHER_ROUNDS", 3, 24),
        extent("PGUSHER_STATEMENTS", 30, 80),
        Duration::from_secs(extent("PGUSHER_SECONDS", 40, 3600)),
    );
    let beyond: usize = figures.refusals.iter().filter(|(reason, _)| reason.starts_with(UNREAD)).map(|(_, (n, _))| n).sum();
    assert!(beyond * 50 <= figures.statements, "too much is denied: {}", figures.report("native"));
    assert!(figures.statements > 50, "nothing was compared: {}", figures.report("native"));
    super::corpus::finish(&figures, "native GRANT and row security", 5);
}
