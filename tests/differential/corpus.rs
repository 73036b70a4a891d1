//! Written statements: TPC-H's queries, and what people have thought of to get at hidden rows.

use super::compare::Verdict;
use super::figures::Figures;
use super::run::{SHOP, file, knob, long, mechanisms, statements};
use super::side::Step;
use super::tpch::TPCH;
use super::world::{PEOPLE, Person, Policies, World};
use crate::harness::Mechanism;

/// Policies of (table, filter) and (table, column, mask).
pub fn policies(functions: &[&str], filters: &[(&str, &str)], masks: &[(&str, &str, &str)]) -> Policies {
    Policies {
        functions: functions.iter().map(|f| (*f).to_owned()).collect(),
        filters: filters.iter().map(|(t, f)| ((*t).to_owned(), (*f).to_owned())).collect(),
        masks: masks.iter().map(|(t, c, m)| (((*t).to_owned(), (*c).to_owned()), (*m).to_owned())).collect(),
    }
}

/// Compares each statement of a file, by the simple and the extended protocol, in text and in binary; in a bounded run by one of
/// the three in turn. A script of several steps has `;;` between them.
fn compare(world: &World, person: Person, texts: &[String], ordered: bool, figures: &mut Figures) {
    let mut pair = world.pair(person);
    for (n, text) in texts.iter().enumerate() {
        let parts: Vec<&str> = text.split(";;").map(str::trim).collect();
        let simple: Vec<Step> = parts.iter().map(|p| Step::Simple((*p).to_owned())).collect();
        let extended = |binary| parts.iter().map(|p| Step::Extended { sql: (*p).to_owned(), values: Vec::new(), binary }).collect();
        for (way, steps) in [simple, extended(false), extended(true)].into_iter().enumerate() {
            if !long() && way != n % 3 {
                continue;
            }
            let verdict = pair.compare(&steps, ordered || text.contains("/*ordered*/"));
            figures.count(&verdict, text, pair.rows);
            if let Verdict::Different(why) = verdict {
                figures.differences.push(format!("{} ({:?}):\n{text}\n  {why}", person.0, world.mechanism()));
                break;
            }
        }
    }
}

/// Everybody; in a bounded run one for each mechanism.
fn people(mechanism: Mechanism) -> Vec<Person> {
    match mechanism {
        _ if long() => PEOPLE.to_vec(),
        Mechanism::Rls => vec![PEOPLE[0]],
        Mechanism::View => vec![PEOPLE[1]],
        Mechanism::Strict => vec![PEOPLE[2]],
    }
}

/// The oracle would notice: without a filter or a mask, answers differ.
fn notices(world: &World) {
    let mut pair = world.pair(PEOPLE[0]);
    for (opening, statement) in [
        ("ALTER TABLE orders DROP ROW FILTER", "SELECT count(*) FROM orders"),
        ("ALTER TABLE employees ALTER COLUMN ssn DROP MASK", "SELECT count(*) FROM employees WHERE ssn LIKE '*%'"),
        ("ALTER TABLE things DROP ROW FILTER", "SELECT 1 / (CASE region WHEN 'APAC' THEN 0 ELSE 1 END) FROM things"),
    ] {
        let step = [Step::Simple(statement.to_owned())];
        assert!(matches!(pair.compare(&step, false), Verdict::Same), "{statement}");
        world.admin().run(opening);
        assert!(matches!(pair.compare(&step, false), Verdict::Different(_)), "{opening}: nothing differs in {statement}");
    }
}

/// Prints the figures; fails when answers differed or too much was refused.
pub fn finish(figures: &Figures, name: &str, refused_of_a_hundred: usize) {
    let report = figures.report(name);
    println!("{report}");
    let most = knob("PGUSHER_DIFFERENCES").unwrap_or(5) as usize;
    assert!(
        figures.differences.is_empty(),
        "{} differences\n{}",
        figures.differences.len(),
        figures.differences.iter().take(most).cloned().collect::<Vec<_>>().join("\n\n")
    );
    assert!(figures.refused() * 100 <= figures.statements * refused_of_a_hundred, "too much is refused: {report}");
}

#[test]
fn tpch_queries_answer_as_on_a_database_of_permitted_rows() {
    let set = policies(
        &[],
        &[
            ("orders", "o_custkey % 2 = 1 OR is_member('g2')"),
            (
                "customer",
                "c_nationkey IN (SELECT n.n_nationkey FROM public.nation AS n WHERE n.n_regionkey IN (1, 2, 3)) OR is_member('g1')",
            ),
            ("lineitem", "l_shipmode <> 'RAIL' OR is_member('g2')"),
            ("supplier", "s_nationkey <> 8"),
        ],
        &[
            ("customer", "c_phone", "left(c_phone, 2) || '-xxx-xxx'"),
            ("customer", "c_acctbal", "round(c_acctbal, -2)"),
            ("supplier", "s_comment", "'withheld'"),
            ("partsupp", "ps_supplycost", "CASE WHEN is_member('g2') THEN ps_supplycost ELSE round(ps_supplycost) END"),
            ("lineitem", "l_discount", "CASE WHEN l_returnflag = 'R' THEN 0.05 ELSE l_discount END"),
        ],
    );
    let queries = statements(&file("corpus/tpch.sql"));
    assert_eq!(queries.len(), 22);
    let mut figures = Figures::default();
    for mechanism in mechanisms() {
        let mut world = World::new(TPCH, mechanism);
        world.govern(&set);
        figures.worlds += 1;
        for person in people(mechanism) {
            compare(&world, person, &queries, true, &mut figures);
        }
    }
    finish(&figures, "TPC-H", 0);
}

#[test]
fn adversarial_statements_answer_as_on_a_database_of_permitted_rows() {
    let set = policies(
        &[
            "CREATE OR REPLACE FUNCTION public.o_visible(region text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT region = 'EMEA' AND is_member('g1') OR region = 'AMER' AND is_member('g2') $$",
        ],
        &[
            ("orders", "o_visible(region)"),
            ("order_items", "o_visible(region)"),
            ("shipments", "o_visible(region)"),
            ("customers", "o_visible(region)"),
            ("invoices", "region IN (SELECT d.region FROM public.region_desk AS d WHERE d.principal = current_user())"),
            ("things", "region <> 'APAC' AND flag IS NOT FALSE"),
        ],
        &[
            (
                "employees",
                "email",
                "CASE WHEN is_member('g2') THEN email ELSE left(email, 1) || '***@' || split_part(email, '@', 2) END",
            ),
            ("employees", "salary", "CASE WHEN is_member('g2') THEN salary ELSE 0 END"),
            ("employees", "ssn", "'***-**-' || right(ssn, 4)"),
            ("employees", "phone", "NULL"),
            ("customers", "email", "'hidden'"),
            ("things", "secret", "'***'"),
            ("things", "cost", "round(cost, -2)"),
            ("things", "nums", "nums[1:1]"),
        ],
    );
    let mut figures = Figures::default();
    for mechanism in mechanisms() {
        let mut world = World::new(SHOP, mechanism);
        world.govern(&set);
        figures.worlds += 1;
        for person in people(mechanism) {
            for name in ["corpus/predicates.sql", "corpus/shapes.sql", "corpus/scripts.sql"] {
                compare(&world, person, &statements(&file(name)), false, &mut figures);
            }
        }
        notices(&world);
    }
    finish(&figures, "adversarial statements", 6);
}
