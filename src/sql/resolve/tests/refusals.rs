//! What is refused, and with which error.

use crate::sql::ResolveError;
use crate::sql::fixture::{analyse, refusal};

#[test]
fn what_cannot_be_enforced_or_named_is_refused() {
    use ResolveError as E;
    type Expected = fn(&E) -> bool;
    let cases: &[(&str, Expected)] = &[
        ("SELECT * FROM nowhere", |e| matches!(e, E::UndefinedRelation { .. })),
        ("SELECT * FROM nowhere.t", |e| matches!(e, E::UndefinedRelation { .. })),
        ("SELECT * FROM hr.orders", |e| matches!(e, E::UndefinedRelation { .. })),
        ("SELECT * FROM other.public.orders", |e| matches!(e, E::CrossDatabase { .. })),
        ("SELECT other.public.orders.id FROM orders", |e| matches!(e, E::CrossDatabase { .. })),
        ("SELECT * FROM pgusher.token", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pgusher_public.employees", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM \"pgusher_public\".\"employees$w\"", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pgusher_elsewhere.x", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pg_toast.pg_toast_1", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pg_temp_3.x", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT NULL::pgusher.token", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT pgusher.token.hash FROM orders", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT 1 OPERATOR(pgusher.=) 1", |e| matches!(e, E::ProtectedSchema { .. })),
        ("INSERT INTO pgusher.token VALUES (1)", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT * FROM pg_authid", |e| matches!(e, E::ProtectedRelation { .. })),
        ("SELECT * FROM pg_catalog.pg_stats", |e| matches!(e, E::ProtectedRelation { .. })),
        ("UPDATE pg_class SET relname = 'x'", |e| matches!(e, E::ProtectedRelation { .. })),
        ("SELECT * FROM pair", |e| matches!(e, E::NotATable { .. })),
        ("SELECT * FROM orders_pkey", |e| matches!(e, E::NotATable { .. })),
        ("SELECT * FROM broken", |e| matches!(e, E::Broken { reason: None, .. })),
        ("SELECT * FROM events", |e| matches!(e, E::Unsupported { .. })),
        ("SELECT * FROM employees TABLESAMPLE system (10)", |e| matches!(e, E::Unsupported { .. })),
        ("SELECT * FROM orders TABLESAMPLE evil (10)", |e| matches!(e, E::Refused { .. })),
        ("SELECT * FROM (SELECT 1 INTO made) AS x", |e| matches!(e, E::Refused { .. })),
        ("CREATE VIEW v AS SELECT 1 INTO made", |e| matches!(e, E::Refused { .. })),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", |e| matches!(e, E::LaterItem { .. })),
        ("WITH RECURSIVE a AS (SELECT 1 UNION SELECT * FROM a FOR SHARE) SELECT * FROM a", |e| matches!(e, E::Refused { .. })),
        ("SELECT 1 UNION SELECT 2 FOR UPDATE", |e| matches!(e, E::Refused { .. })),
        ("SELECT query_to_xml('SELECT * FROM employees', true, true, '')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT pg_catalog.query_to_xml('', true, true, '')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT \"pg_catalog\".\"table_to_xml\"('employees', true, true, '')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT 1 ORDER BY ts_stat('select 1')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT * FROM lo_import('/etc/passwd')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT x.pg_terminate_backend FROM generate_series(1,2) x", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT dblink('', '')", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT nothing(1)", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT nothing(x) FROM generate_series(1,2) x", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT public.nothing(1)", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT nowhere.nothing(1)", |e| matches!(e, E::UndefinedSchema { .. })),
        ("SELECT bonus()", |e| matches!(e, E::UndefinedFunction { .. })),
        ("SELECT set_config('a', 'b' || 'c', false)", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config('role', 'postgres', false)", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SELECT set_config('row_security', 'off', false)", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SELECT 1 WHERE set_config('work_mem', '1MB', false) = ''", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config('search_path', 'public', false), 1", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config('search_path', $1, false)", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config('client_encoding', $1, false)", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config($1, 'off', false)", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT set_config('work_mem', set_config('role', 'x', true), true)", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT current_setting('pgusher.key')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("SELECT current_setting('pgush' || 'er.key')", |e| matches!(e, E::ProtectedFunction { .. })),
        ("CREATE CAST (text AS int) WITH INOUT", |e| matches!(e, E::AdministratorsOnly { statement: "CREATE CAST", .. })),
        ("DROP AGGREGATE a (int)", |e| matches!(e, E::AdministratorsOnly { statement: "DROP AGGREGATE", .. })),
        ("VACUUM", |e| matches!(e, E::AdministratorsOnly { statement: "VACUUM", .. })),
        ("ANALYZE", |e| matches!(e, E::AdministratorsOnly { statement: "ANALYZE", .. })),
        ("CALL p()", |e| matches!(e, E::UndefinedFunction { .. })),
        ("ALTER ROLE pgusher_session SUPERUSER", |e| matches!(e, E::Unsupported { .. })),
        ("PREPARE TRANSACTION 'x'", |e| matches!(e, E::Unsupported { .. })),
        ("EXECUTE missing", |e| matches!(e, E::UndefinedStatement { .. })),
        ("FETCH missing", |e| matches!(e, E::UndefinedCursor { .. })),
        ("EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1", |e| matches!(e, E::Unsupported { .. })),
        ("LISTEN pgusher_policy", |e| matches!(e, E::ProtectedCommand { .. })),
        ("NOTIFY pgusher_policy, 'x'", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET ROLE postgres", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET SESSION AUTHORIZATION postgres", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET \"role\" = 'postgres'", |e| matches!(e, E::ProtectedCommand { .. })),
        ("SET row_security = off", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SET session_replication_role = replica", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SET STANDARD_CONFORMING_STRINGS = off", |e| matches!(e, E::ParameterValue { .. })),
        ("SET client_encoding = 'SJIS'", |e| matches!(e, E::ParameterValue { .. })),
        ("SET NAMES 'latin1'", |e| matches!(e, E::ParameterValue { .. })),
        ("SET search_path = public, pgusher", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SELECT set_config('search_path', 'a, \"pgusher_public\"', false)", |e| matches!(e, E::ProtectedSchema { .. })),
        ("SET pgusher.who = 'root'", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SET app.who = 'root'", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SHOW pgusher.key", |e| matches!(e, E::ProtectedParameter { .. })),
        ("SELECT 1 LIMIT pg_sleep_until_never(1)", |e| matches!(e, E::UndefinedFunction { .. })),
    ];
    for (sql, expected) in cases {
        let found = refusal(sql);
        assert!(expected(&found), "{sql}: {found:?}");
    }
}

#[test]
fn set_config_stands_in_a_target_list_without_from_or_not_at_all() {
    for sql in [
        "SELECT DISTINCT ON (set_config('work_mem', '1', true)) set_config('work_mem', '1', true)",
        "SELECT set_config('work_mem', '1', true) OVER (ORDER BY set_config('role', 'x', true))",
        "SELECT set_config('work_mem', '1', true) FILTER (WHERE set_config('role', 'x', true) = '')",
        "SELECT set_config('work_mem', '1', true) WINDOW w AS (ORDER BY set_config('role', 'x', true))",
        "SELECT set_config('work_mem', '1', true) FROM generate_series(1, 2)",
        "SELECT set_config('work_mem', '1', true) UNION SELECT ''",
        "WITH x AS (SELECT set_config('work_mem', '1', true)) SELECT 1",
        "SELECT (SELECT set_config('work_mem', '1', true))",
    ] {
        assert!(matches!(refusal(sql), ResolveError::ProtectedFunction { .. }), "{sql}: {:?}", refusal(sql));
    }
}

#[test]
fn drivers_may_set_a_parameter_of_any_value_beside_other_targets() {
    for sql in [
        "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new",
        "SELECT set_config('jit', $1, false)",
        "SELECT set_config('timezone', 'U' || 'TC', $1), set_config('work_mem', $2, true)",
    ] {
        assert_eq!(analyse(sql).unwrap().effect, crate::sql::Effect::None, "{sql}");
    }
}

#[test]
fn drivers_may_call_helpers_of_information_schema_and_not_read_statistics() {
    assert!(analyse("SELECT information_schema._pg_expandarray(ARRAY[1])").is_ok());
    for view in ["pg_stat_all_indexes", "pg_statio_user_tables", "pg_catalog.pg_stats", "pg_statistic"] {
        let refused = crate::sql::fixture::analyse_as(
            &format!("SELECT * FROM {view}"),
            &crate::sql::fixture::alice(),
            &crate::sql::fixture::footing_with(|parts| {
                let class = parts.relations.iter().find(|r| r.oid == 1259).unwrap().clone();
                for (oid, name) in [(5000, "pg_stat_all_indexes"), (5001, "pg_statio_user_tables"), (5002, "pg_statistic")] {
                    parts.relations.push(crate::catalog::Relation { oid, name: name.into(), ..class.clone() });
                }
            }),
            &crate::catalog::SearchPath::default(),
        );
        assert!(
            matches!(refused, Err(crate::sql::fixture::Refused::Resolve(ResolveError::ProtectedRelation { .. }))),
            "{view}: {refused:?}"
        );
    }
}

#[test]
fn a_view_that_the_footing_overlooked_is_refused() {
    let footing = crate::sql::fixture::footing_with(|parts| {
        let view = parts.relations.iter().find(|r| r.oid == 104).unwrap().clone();
        parts.relations.push(crate::catalog::Relation { oid: 140, name: "sly".into(), reads: vec![106], ..view });
    });
    let refused = crate::sql::fixture::analyse_as(
        "SELECT * FROM sly",
        &crate::sql::fixture::alice(),
        &footing,
        &crate::catalog::SearchPath::default(),
    );
    assert!(matches!(refused, Err(crate::sql::fixture::Refused::Resolve(ResolveError::Broken { .. }))), "{refused:?}");
}

#[test]
fn only_on_a_masked_parent_is_refused_for_its_view_shows_the_children() {
    let footing = crate::sql::fixture::footing_with(|parts| {
        let mut child = parts.relations.iter().find(|r| r.oid == 101).unwrap().clone();
        (child.oid, child.name, child.parents) = (150, "employees_eu".into(), vec![101]);
        parts.relations.push(child);
    });
    let run = |sql: &str| {
        crate::sql::fixture::analyse_as(sql, &crate::sql::fixture::alice(), &footing, &crate::catalog::SearchPath::default())
    };
    for sql in ["SELECT 1 FROM ONLY employees", "UPDATE ONLY employees SET name = 'x'"] {
        let refused = run(sql);
        assert!(
            matches!(refused, Err(crate::sql::fixture::Refused::Resolve(ResolveError::Unsupported { .. }))),
            "{sql}: {refused:?}"
        );
    }
    assert!(run("SELECT 1 FROM employees").is_ok());
}
