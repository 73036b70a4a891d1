//! What the session is told; COPY.

use super::table;
use crate::catalog::SearchPath;
use crate::sql::fixture::{admin, analyse, analyse_as, footing, refusal};
use crate::sql::{Effect, ResolveError};

#[test]
fn effects_tell_the_session_what_it_must_know() {
    let effect = |sql: &str| analyse(sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}")).effect;
    let set = |parameter: &str, value: &[&str], local| Effect::Set {
        parameter: parameter.into(),
        value: Some(value.iter().map(|v| (*v).to_owned()).collect()),
        local,
    };
    assert_eq!(effect("SET search_path TO hr, \"Odd\""), set("search_path", &["hr", "Odd"], false));
    assert_eq!(effect("SET LOCAL Work_Mem = '1MB'"), set("work_mem", &["1MB"], true));
    assert_eq!(effect("SET TIME ZONE 'UTC'"), set("timezone", &["UTC"], false));
    assert_eq!(effect("SET extra_float_digits = 3"), set("extra_float_digits", &["3"], false));
    assert_eq!(effect("SET client_encoding TO 'utf-8'"), set("client_encoding", &["utf-8"], false));
    assert_eq!(effect("SET standard_conforming_strings = on"), set("standard_conforming_strings", &["on"], false));
    assert_eq!(effect("SELECT set_config('search_path', 'A, \"B\"', true)"), set("search_path", &["a", "B"], true));
    assert_eq!(effect("SELECT pg_catalog.set_config('search_path', '', false)"), set("search_path", &[], false));
    assert_eq!(effect("RESET ALL"), Effect::Reset { parameter: None });
    assert_eq!(effect("SHOW Search_Path"), Effect::Show { parameter: "search_path".into() });
    assert_eq!(
        effect("PREPARE p (int, text) AS  SELECT $1 FROM orders AS o -- end"),
        Effect::Prepare { name: "p".into(), inner: "SELECT $1 FROM orders AS o".into() }
    );
    assert_eq!(effect("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), Effect::Declare { cursor: "c".into(), hold: true });
    assert_eq!(effect("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), Effect::None);
    assert_eq!(effect("DEALLOCATE ALL"), Effect::Deallocate { name: None });
    assert_eq!(effect("CLOSE c"), Effect::Close { cursor: Some("c".into()) });
}

#[test]
fn copy_of_a_masked_table_is_a_query_over_its_governed_view() {
    table(&[
        ("COPY customers TO STDOUT", "COPY \"public\".\"customers\" TO STDOUT"),
        ("COPY orders (id) TO STDOUT", "COPY \"public\".\"orders\" (id) TO STDOUT"),
        (
            "COPY employees TO STDOUT WITH (FORMAT csv)",
            "COPY (SELECT \"id\", \"name\", \"ssn\", \"salary\", \"region\" FROM \"pgusher_public\".\"employees\") TO STDOUT WITH (FORMAT csv)",
        ),
        (
            "COPY public.employees (ssn, id) TO STDOUT CSV HEADER",
            "COPY (SELECT \"ssn\", \"id\" FROM \"pgusher_public\".\"employees\") TO STDOUT CSV HEADER",
        ),
        ("COPY (SELECT ssn FROM employees) TO STDOUT", "COPY (SELECT ssn FROM \"pgusher_public\".\"employees\") TO STDOUT"),
        (
            "COPY (DELETE FROM employees RETURNING ssn) TO STDOUT",
            "COPY (DELETE FROM \"pgusher_public\".\"employees$w\" AS \"employees\" RETURNING ssn) TO STDOUT",
        ),
        ("COPY customers FROM STDIN", "COPY \"public\".\"customers\" FROM STDIN"),
        ("COPY customers FROM STDIN WHERE id = '1'", "COPY \"public\".\"customers\" FROM STDIN WHERE id = '1'"),
    ]);
    for sql in [
        "COPY BINARY employees TO STDOUT",
        "COPY orders (id) FROM STDIN WHERE region = '1'",
        "COPY orders FROM STDIN WHERE orders.region = '1'",
        "COPY orders FROM STDIN WHERE tableoid = 1",
        "COPY orders FROM STDIN WITH (FREEZE)",
        "COPY v_orders FROM STDIN",
    ] {
        assert!(matches!(refusal(sql), ResolveError::Unsupported { .. }), "{sql}");
    }
    assert!(matches!(refusal("COPY employees (nothing) TO STDOUT"), ResolveError::UndefinedColumn { .. }));
    assert!(matches!(refusal("COPY pgusher.token TO STDOUT"), ResolveError::ProtectedSchema { .. }));
    assert!(matches!(refusal("COPY pg_authid TO STDOUT"), ResolveError::ProtectedRelation { .. }));
}

#[test]
fn files_and_programs_need_any_file_beside_what_is_copied() {
    for (sql, needs) in [
        ("COPY orders TO '/tmp/x'", ["MODIFY ANY FILE", "SELECT orders"]),
        ("COPY orders FROM '/tmp/x'", ["SELECT ANY FILE", "MODIFY orders"]),
        ("COPY orders FROM PROGRAM 'id'", ["MODIFY ANY FILE", "MODIFY orders"]),
        ("SELECT pg_read_file('x') FROM orders", ["SELECT orders", "SELECT ANY FILE"]),
    ] {
        let found = analyse_as(sql, &admin(), &footing(), &SearchPath::default()).unwrap();
        assert_eq!(found.needs, needs, "{sql}");
    }
}

#[test]
fn copy_into_a_governed_table_goes_through_a_temporary_one() {
    let done = analyse("COPY employees (id, ssn) FROM STDIN WITH (FORMAT csv)").unwrap();
    let Effect::CopyInGoverned(steps) = done.effect else { panic!("{:?}", done.effect) };
    assert_eq!(
        &*steps.create,
        "CREATE TEMPORARY TABLE \"pgusher_copy\" ON COMMIT DROP AS SELECT \"id\", \"ssn\" FROM \"pgusher_public\".\"employees\" WITH NO DATA"
    );
    assert_eq!(&*steps.copy, "COPY \"pg_temp\".\"pgusher_copy\" (id, ssn) FROM STDIN WITH (FORMAT csv)");
    assert_eq!(
        &*steps.insert,
        "INSERT INTO \"pgusher_public\".\"employees$w\" (\"id\", \"ssn$raw\") SELECT \"id\", \"ssn\" FROM \"pg_temp\".\"pgusher_copy\""
    );
    assert_eq!(&*steps.drop, "DROP TABLE pg_temp.pgusher_copy");
    assert_eq!(done.needs, ["MODIFY employees"]);
    let some = analyse("COPY orders FROM STDIN WHERE id = '1'").unwrap();
    assert_eq!(some.text, "COPY \"pg_temp\".\"pgusher_copy\" FROM STDIN WHERE id = '1'");
    let all = analyse("COPY orders FROM STDIN").unwrap();
    assert!(
        matches!(all.effect, Effect::CopyInGoverned(ref s) if s.insert.starts_with("INSERT INTO \"public\".\"orders\" (\"id\", \"owner\","))
    );
}
