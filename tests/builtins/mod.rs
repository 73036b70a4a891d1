//! The reviewed list of functions against the catalog of a real PostgreSQL.

use pgusher::sql::resolve::builtins::{Verdict, lookup};

use crate::harness::{Upstream, connect_upstream};

fn names(where_clause: &str) -> Vec<String> {
    let client = connect_upstream(Upstream::shared(), "postgres", "postgres");
    client.column(&format!(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \
         AND ({where_clause}) ORDER BY 1"
    ))
}

/// An overload that a later version brings is no less new than a name.
#[test]
fn every_signature_of_the_catalog_was_seen_by_the_review() {
    let seen: std::collections::HashSet<&str> = include_str!("signatures.txt").lines().collect();
    let client = connect_upstream(Upstream::shared(), "postgres", "postgres");
    let found = client.column(
        "SELECT p.proname::text || '(' || coalesce((SELECT string_agg(t.typname::text, ',' ORDER BY u.n) \
           FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u(type, n) JOIN pg_type AS t ON t.oid = u.type), '') || ')' \
         FROM pg_proc AS p WHERE p.pronamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1",
    );
    let new: Vec<&String> = found.iter().filter(|signature| !seen.contains(signature.as_str())).collect();
    assert!(new.is_empty(), "nobody has looked at {new:?}");
}

/// Operators and casts of pg_catalog ask for nothing, so what they call must be free to everybody.
#[test]
fn operators_and_casts_of_the_catalog_lead_to_allowed_functions() {
    let client = connect_upstream(Upstream::shared(), "postgres", "postgres");
    let behind = client.column(
        "SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND (\
           p.oid IN (SELECT o.oprcode FROM pg_operator AS o WHERE o.oprnamespace = 'pg_catalog'::regnamespace) \
           OR p.oid IN (SELECT c.castfunc FROM pg_cast AS c WHERE c.oid < 16384)) ORDER BY 1",
    );
    let refused: Vec<String> = behind.into_iter().filter(|name| lookup(name) != Verdict::Allow).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn every_function_of_the_catalog_is_reviewed() {
    let unknown: Vec<String> = names("true").into_iter().filter(|name| lookup(name) == Verdict::Unknown).collect();
    assert!(unknown.is_empty(), "nobody has looked at {unknown:?}");
}

/// PostgreSQL itself keeps these from the public; a session role that lost them must not get them from us.
#[test]
fn what_postgresql_keeps_from_the_public_is_refused() {
    let withheld = names("proacl IS NOT NULL AND NOT has_function_privilege('public', oid, 'EXECUTE')");
    let allowed: Vec<String> = withheld.into_iter().filter(|name| lookup(name) == Verdict::Allow).collect();
    assert!(allowed.is_empty(), "allowed here and not to the public: {allowed:?}");
}

/// A text is run as SQL only by functions whose arguments say so.
#[test]
fn functions_that_take_a_query_or_cursor_are_refused() {
    let taking = names("proargnames && ARRAY['query', 'cursor', 'sql'] AND provolatile = 'v'");
    let allowed: Vec<String> = taking.into_iter().filter(|name| lookup(name) == Verdict::Allow).collect();
    assert!(allowed.is_empty(), "{allowed:?}");
}

#[test]
fn the_upstream_is_of_a_version_that_was_reviewed() {
    let major = Upstream::shared().major();
    assert!((14..=18).contains(&major), "nobody has looked at the functions of PostgreSQL {major}");
}
