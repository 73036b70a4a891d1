//! Speed by shape: under mechanism `rls` a filtered query uses the indexes that the hand-written SQL uses.

use crate::harness::{Client, Mechanism, Shop, until};

/// The nodes of a plan from top to bottom, each with its relation and index; filters and costs left out.
fn shape(client: &Client, query: &str) -> Vec<String> {
    let lines = client.column(&format!("EXPLAIN (COSTS OFF) {query}"));
    let node = |line: &String| {
        let text = line.trim_start().trim_start_matches("->").trim();
        let keep = ["Scan", "Loop", "Join", "Limit", "Sort", "Aggregate", "Append", "Hash", "Memoize", "Gather"];
        keep.iter().any(|k| text.contains(k)) && !text.contains(": ") && !text.starts_with("InitPlan")
    };
    // The identity is asked once per statement, in InitPlans: one-row results beside the query proper.
    lines.iter().filter(|l| node(l)).map(|l| l.trim_start().trim_start_matches("->").trim().to_string()).collect()
}

/// The whole plan of a query as the upstream login, which row security holds for.
fn plan(truth: &Client, query: &str) -> String {
    truth.run("SET ROLE pgusher_session");
    let plan = truth.column(&format!("EXPLAIN (COSTS OFF) {query}")).join("\n");
    truth.run("RESET ROLE");
    plan
}

#[test]
fn a_filter_by_function_asks_for_the_identity_once_per_statement() {
    let shop = Shop::fresh(Mechanism::Rls);
    let truth = shop.truth();
    for query in ["SELECT * FROM orders WHERE id = 77", "SELECT name, email FROM pgusher_public.customers WHERE id = 77"] {
        let plan = plan(&truth, query);
        // Rows are tested against the answers ($n), never by a call.
        let tests: Vec<&str> = plan.lines().filter(|line| line.contains("Filter:") || line.contains("Cond:")).collect();
        assert!(plan.contains("InitPlan") && plan.contains("Index Scan"), "{plan}");
        assert!(tests.iter().all(|line| !line.contains("pgusher.") && !line.contains("region_visible")), "{plan}");
    }
}

#[test]
fn who_is_there_is_looked_up_by_an_index_with_a_hundred_sessions_as_well() {
    let shop = Shop::fresh(Mechanism::Rls);
    let truth = shop.truth();
    truth.run(
        "INSERT INTO pgusher.session (sid, principal, name, token, groups, admin, expires_at, pid)
           SELECT -n, p.id, p.name, 'none', ARRAY['users'], false, 'infinity', 1 FROM generate_series(1, 100) AS n, pgusher.principal AS p
           WHERE p.name = 'users'",
    );
    truth.run("VACUUM ANALYZE pgusher.session");
    let lookup = "SELECT s.name FROM pgusher.session AS s WHERE s.sid = -5 AND s.expires_at > clock_timestamp()";
    let plan = truth.column(&format!("EXPLAIN (COSTS OFF) {lookup}")).join("\n");
    assert!(plan.contains("Index Scan"), "{plan}");
}

#[test]
fn a_filtered_query_uses_the_indexes_of_the_hand_written_one() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (admin, truth) = (shop.admin(), shop.truth());
    truth.run("INSERT INTO orders (customer_id, region, sales_rep, status, ordered_on, amount) SELECT customer_id, region, sales_rep, status, ordered_on, amount FROM orders, generate_series(1, 20); ANALYZE");
    for grant in ["orders", "customers", "order_items", "products"] {
        admin.run(&format!("GRANT READ_METADATA, MANAGE ON TABLE {grant} TO analysts"));
    }
    let ana = shop.ana();
    for (query, by_hand) in [
        ("SELECT * FROM orders WHERE id = 77", "SELECT * FROM orders WHERE id = 77 AND region = 'EMEA'"),
        (
            "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id BETWEEN 100 AND 105",
            "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id AND c.region = 'EMEA' WHERE o.id BETWEEN 100 AND 105 AND o.region = 'EMEA'",
        ),
        (
            "SELECT id, ordered_on FROM orders ORDER BY ordered_on DESC LIMIT 10",
            "SELECT id, ordered_on FROM orders WHERE region = 'EMEA' ORDER BY ordered_on DESC LIMIT 10",
        ),
        ("SELECT * FROM orders WHERE customer_id = 42", "SELECT * FROM orders WHERE customer_id = 42 AND region = 'EMEA'"),
    ] {
        let (ours, theirs) = (shape(&ana, query), shape(&truth, by_hand));
        // A masked table is read through its view, where the client's alias for it is not known.
        let nameless = |node: &String| node.split(" on ").next().map_or(String::new(), str::to_string);
        let indexes = |shape: &[String]| {
            let scans = shape.iter().filter(|n| n.contains("Index") || n.contains("Bitmap"));
            scans.map(nameless).collect::<Vec<_>>()
        };
        assert!(!indexes(&theirs).is_empty(), "the hand-written query uses an index: {theirs:?}");
        assert_eq!(indexes(&ours), indexes(&theirs), "{query}\nours: {ours:#?}\nby hand: {theirs:#?}");
        assert!(!ours.iter().any(|n| n.starts_with("Seq Scan")), "{query}: {ours:#?}");
    }
}

#[test]
fn the_identity_is_found_by_an_index_however_many_sessions_there_are() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (ana, truth) = (shop.ana(), shop.truth());
    let searches = || {
        let counted = "SELECT coalesce(idx_scan, 0) FROM pg_stat_all_tables WHERE relid = 'pgusher.session'::regclass";
        truth.one(counted).parse::<u64>().expect("a count")
    };
    let before = searches();
    (0..100).for_each(|_| assert_eq!(ana.one("SELECT current_user()"), "ana@example.com"));
    // Before PostgreSQL 15 a backend tells what it has counted when it has something to do.
    until("what was counted to be told", || (ana.one("SELECT 1") == "1" && searches() >= before + 100).then_some(()));
}
