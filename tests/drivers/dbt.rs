//! dbt builds a project as an analyst who holds CREATE on one schema and SELECT on others: seeds, tables, views, an incremental model, a
//! snapshot, tests. What it builds from filtered and masked tables holds what the analyst sees. Run by `make dbt`.

use std::path::Path;
use std::process::Command;

use super::program::{home, source, surroundings};
use crate::harness::{Mechanism, Shop};

const SCHEMA: [&str; 2] = ["CREATE SCHEMA marts", "GRANT CREATE ON SCHEMA marts TO \"ana@example.com\""];

/// Runs dbt on the project; its output, which must end well.
fn dbt(shop: &Shop, scratch: &Path, arguments: &[&str]) -> String {
    let program = home().join(".venv-dbt/bin/dbt");
    assert!(program.is_file(), "dbt is not installed: run `make dbt`");
    let output = Command::new("timeout")
        .args(["--kill-after=5", "300"])
        .arg(program)
        .args(arguments)
        .args(["--project-dir", &source("dbt"), "--profiles-dir", &source("dbt")])
        .args(["--target-path".as_ref(), scratch.join("target").as_os_str()])
        .args(["--log-path".as_ref(), scratch.join("logs").as_os_str()])
        .env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        .envs(surroundings(shop))
        .output()
        .expect("`timeout` of coreutils starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "dbt {arguments:?}:\n{said}\nthe proxy's log:\n{}", shop.proxy.log());
    said
}

fn builds(mechanism: Mechanism) {
    let shop = Shop::fresh(mechanism);
    let admin = shop.admin();
    for statement in SCHEMA {
        admin.run(statement);
    }
    let scratch = std::env::temp_dir().join(format!("{}-dbt", shop.database));
    dbt(&shop, &scratch, &["build"]);
    let (ana, truth) = (shop.ana(), shop.truth());
    let own = ana.one("SELECT count(*) FROM orders");
    assert_ne!(own, truth.one("SELECT count(*) FROM public.orders"));
    for model in ["own_orders", "order_log"] {
        assert_eq!(truth.one(&format!("SELECT count(*) FROM marts.{model}")), own, "{model}");
        assert_eq!(truth.column(&format!("SELECT DISTINCT region FROM marts.{model}")), ["EMEA"], "{model}");
    }
    assert_eq!(truth.one("SELECT count(*) FROM marts.people_kept WHERE ssn NOT LIKE '***%' OR salary <> 0"), "0");
    assert_eq!(truth.column("SELECT DISTINCT region FROM marts.orders_snapshot"), ["EMEA"]);
    assert_eq!(ana.one("SELECT count(*) FROM marts.by_region"), "1");
    assert_eq!(ana.one("SELECT count(*) FROM marts.quotas"), "3");
    // A view is its reader's: whoever may read it sees own rows and masks through it.
    admin.run("GRANT SELECT ON VIEW marts.people TO hr");
    assert_ne!(shop.hana().one("SELECT max(salary) FROM marts.people"), "0");
    shop.ivan().refused("SELECT * FROM marts.own_orders", "42501");
    // Again, with more orders and others: increments, renames, a second snapshot.
    truth.run("UPDATE public.orders SET amount = amount + 1 WHERE id < 50");
    truth.run("INSERT INTO public.orders (customer_id, region, sales_rep, status, ordered_on, amount) SELECT customer_id, region, sales_rep, status, ordered_on, 5 FROM public.orders WHERE id < 20");
    dbt(&shop, &scratch, &["build"]);
    let own = ana.one("SELECT count(*) FROM orders");
    for model in ["own_orders", "order_log"] {
        assert_eq!(truth.one(&format!("SELECT count(*) FROM marts.{model}")), own, "{model}");
        assert_eq!(truth.column(&format!("SELECT DISTINCT region FROM marts.{model}")), ["EMEA"], "{model}");
    }
    assert_ne!(truth.one("SELECT count(*) FROM marts.orders_snapshot WHERE dbt_valid_to IS NOT NULL"), "0");
    dbt(&shop, &scratch, &["run", "--full-refresh"]);
    dbt(&shop, &scratch, &["docs", "generate"]);
    assert_eq!(truth.column("SELECT DISTINCT region FROM marts.own_orders"), ["EMEA"]);
    let _ = std::fs::remove_dir_all(scratch);
}

#[test]
#[ignore = "dbt is large: make dbt"]
fn a_project_builds_under_rls() {
    builds(Mechanism::Rls);
}

#[test]
#[ignore = "dbt is large: make dbt"]
fn a_project_builds_under_views() {
    builds(Mechanism::View);
}
