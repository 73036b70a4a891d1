use super::Report;
use crate::catalog::SearchPath;
use crate::sql::fixture::{Held, alice, footing};
use crate::sql::{Limits, analysis, authorize, parse, resolve};

fn report(sql: &str) -> Report {
    let (footing, subject) = (footing(), alice());
    let parsed = parse(sql, &Limits::default()).unwrap().remove(0);
    let resolved = resolve(parsed, &footing, &SearchPath::default(), &subject, &Held).unwrap();
    Report::from(&authorize(std::sync::Arc::new(analysis(resolved)), &footing, &subject).unwrap_err())
}

#[test]
fn a_missing_privilege_is_told_in_postgresqls_words() {
    let report = report("SELECT * FROM employees");
    assert_eq!(report.code.code(), "42501");
    assert_eq!(report.message, "permission denied for table employees");
    assert_eq!(report.detail.as_deref(), Some("SELECT on table public.employees is needed."));
    assert_eq!(
        report.hint.as_deref(),
        Some("olga or an administrator can grant it: GRANT SELECT ON TABLE public.employees TO \"alice\".")
    );
}

#[test]
fn other_objects_are_told_likewise() {
    let other = report("SELECT bonus(1)");
    assert_eq!(other.message, "permission denied for function bonus");
    assert_eq!(other.detail.as_deref(), Some("EXECUTE on function public.bonus is needed."));
    assert_eq!(other.hint.as_deref(), Some("An administrator can grant it: GRANT EXECUTE ON FUNCTION public.bonus TO \"alice\"."));
    let far = report("SELECT * FROM remote");
    assert_eq!(far.message, "permission denied for foreign table remote");
}

#[test]
fn what_a_views_owner_lacks_is_told_without_names_of_principals() {
    let report = report("SELECT * FROM v_customers");
    assert_eq!(report.message, "permission denied for table customers");
    assert_eq!(report.detail.as_deref(), Some("The owner of view v_customers lacks SELECT on table public.customers."));
    assert_eq!(report.hint, None);
}

#[test]
fn a_plan_over_a_governed_table_says_why_it_needs_more() {
    let detail = report("EXPLAIN SELECT * FROM orders").detail.unwrap();
    assert!(detail.contains("READ_METADATA on table public.orders"), "{detail}");
}
