//! Class 3 without the proxy: where views enforce row filters, a function of the session's own sees no row before the filter does.

use pgusher::policy::Mechanism;

use super::locks::{POLICIES, TABLES};
use crate::harness::Bench;

const LEAK: &str = "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
    $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$";

#[test]
fn a_function_of_ones_own_sees_no_row_that_a_view_leaves_out() {
    let bench = Bench::new(Mechanism::View, TABLES, POLICIES);
    let (root, ana) = (bench.superuser(), bench.session("ana"));
    ana.run(LEAK);
    let seen = |relation: &str| {
        let before = ana.notices().len();
        ana.rows(&format!("SELECT 1 FROM {relation} WHERE pg_temp.leak(dept::text)"));
        let seen = ana.notices().split_off(before);
        assert!(seen.iter().any(|notice| notice.contains("seen eu")), "{relation}: {seen:?}");
        seen.iter().filter(|notice| notice.contains("seen us")).count()
    };
    let views = ["orders", "orders_low", "orders$i", "emp", "emp$w", "emp$i"].map(|view| format!("pgusher_public.\"{view}\""));
    let readable: Vec<&String> =
        views.iter().filter(|view| root.one(&format!("SELECT to_regclass('{view}')")) != crate::harness::NULL).collect();
    assert!(readable.len() >= 4, "{readable:?}");
    for view in readable {
        assert_eq!(seen(view), 0, "{view}");
        // The attack is a real one: without the barrier it works, until upstream is brought back in line.
        root.run(&format!("ALTER VIEW {view} SET (security_barrier = false)"));
        assert!(seen(view) > 0, "{view}");
        bench.govern("SELECT 1");
        assert_eq!(seen(view), 0, "{view}");
    }
}
