//! Rules that nothing else in these tests would miss, each by itself.

use std::sync::Arc;

use serde_json::json;

use crate::catalog::load::look;
use crate::catalog::{CatalogParts, Footing, Function, Governed, Operator, Relation, Schema, SearchPath};
use crate::name::Name;
use crate::policy::{Oid, Securable};
use crate::sql::fixture::{
    Analysed, CUSTOMERS, EMPLOYEES, ORDERS, PUBLIC, Refused, admin, alice, analyse_as, footing, footing_with,
};
use crate::sql::{ResolveError as E, Touched, check_declared};

fn on(footing: &Footing, sql: &str) -> Result<Analysed, Refused> {
    analyse_as(sql, &alice(), footing, &SearchPath::default())
}

fn told(footing: &Footing, sql: &str) -> Analysed {
    on(footing, sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}"))
}

fn unsupported(footing: &Footing, statements: &[&str]) {
    for sql in statements {
        assert!(matches!(on(footing, sql), Err(Refused::Resolve(E::Unsupported { .. }))), "{sql}: {:?}", on(footing, sql));
    }
}

fn protected_schema(statements: &[&str]) {
    let footing = footing();
    for sql in statements {
        let found = on(&footing, sql);
        assert!(matches!(found, Err(Refused::Resolve(E::ProtectedSchema { .. }))), "{sql}: {found:?}");
    }
}

fn asks(footing: &Footing, cases: &[(&str, &[&str])]) {
    for (sql, needs) in cases {
        let mut found = told(footing, sql).needs;
        found.sort();
        assert_eq!(found, *needs, "{sql}");
    }
}

fn relation(parts: &mut CatalogParts, oid: Oid) -> &mut Relation {
    parts.relations.iter_mut().find(|relation| relation.oid == oid).unwrap()
}

fn function(parts: &CatalogParts, of: Oid, oid: Oid, name: &str) -> Function {
    let like = parts.functions.iter().find(|function| function.oid == of).unwrap();
    Function { oid, name: Name::exact(name), ..like.clone() }
}

/// The usual footing under a session's own table `tt`, view `tv` over customers, function `tf` and types.
fn with_temporaries() -> Footing {
    let row = |oid: Oid, name: &str, kind: char, reads: &[Oid]| {
        json!({"o": oid, "s": 7000, "n": name, "k": kind, "w": "pgusher_session", "c": [[1, "id", 25, "text", -1, false, "", null, null]],
               "u": null, "p": null, "r": reads, "i": false, "l": false, "b": null, "f": null, "t": true, "y": 0})
    };
    let answer = json!({
        "path": "public", "schema": 7000,
        "relations": [row(7001, "tv", 'v', &[CUSTOMERS]), row(7003, "tt", 'r', &[])],
        "functions": [{"o": 7002, "s": 7000, "n": "tf", "k": 'f', "a": [0, 0], "m": [], "t": [], "d": false, "l": "sql", "r": null, "e": false}],
        "types": ["mood"],
        "calls": [[7003, 300], [7003, 7002]],
    });
    let own = look(&answer.to_string()).unwrap().temporaries;
    footing().with_temporaries(&Arc::new(own))
}

#[test]
fn views_and_rules_lead_on_with_the_rights_that_upstream_uses() {
    let invoker = footing_with(|parts| relation(parts, 104).security_invoker = true);
    asks(&invoker, &[("SELECT * FROM v_customers", &["SELECT customers", "SELECT v_customers"])]);
    // A rule writes elsewhere.
    unsupported(&footing_with(|parts| relation(parts, ORDERS).reads = vec![CUSTOMERS]), &["INSERT INTO orders VALUES (1)"]);
    // ON CONFLICT DO UPDATE would take over rows that the view below hides.
    unsupported(&footing_with(|parts| relation(parts, 106).reads = vec![103]), &["INSERT INTO derived VALUES (1)"]);
    let kept = footing_with(|parts| {
        let copy = Relation { oid: 150, kind: crate::catalog::RelationKind::MaterializedView, ..relation(parts, 104).clone() };
        parts.relations.push(Relation { name: Name::exact("kept"), ..copy });
    });
    asks(&kept, &[("REFRESH MATERIALIZED VIEW kept", &["OWN kept", "owner of 150: SELECT customers"])]);
    let calling = footing_with(|parts| parts.view_calls.push((104, 300)));
    unsupported(&calling, &["CREATE MATERIALIZED VIEW m AS SELECT * FROM v_customers"]);
}

#[test]
fn our_schemas_are_none_of_a_search_path_or_of_any_name() {
    let path = SearchPath { schemas: ["pgusher", "pgusher_public", "public"].map(Name::exact).to_vec() };
    let found = analyse_as("SELECT * FROM employees", &alice(), &footing(), &path).unwrap();
    assert!(found.requirements.iter().all(|needed| needed.securable == Securable::Relation(EMPLOYEES)), "{:?}", found.needs);
    let found = analyse_as("SELECT * FROM token", &alice(), &footing(), &path);
    assert!(matches!(found, Err(Refused::Resolve(E::UndefinedRelation { .. }))), "{found:?}");
    // Ours by owner, whatever its name.
    let elsewhere = footing_with(|parts| {
        parts.schemas.push(Schema { oid: 9100, name: Name::exact("elsewhere"), system: false, ours: true });
        let token = Relation { oid: 950, schema: 9100, ..relation(parts, 900).clone() };
        parts.relations.push(token);
    });
    let found = on(&elsewhere, "SELECT * FROM elsewhere.token");
    assert!(matches!(found, Err(Refused::Resolve(E::ProtectedSchema { .. }))), "{found:?}");
    protected_schema(&[
        "SET search_path = pg_temp_3",
        "SET search_path = public, pg_toast",
        "SET CONSTRAINTS pgusher.x DEFERRED",
        "SELECT 'a' COLLATE pgusher.c",
        "CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION pgusher.attach()",
    ]);
}

#[test]
fn what_tells_of_objects_is_asked_of_ours_or_refused() {
    let footing = footing();
    for (sql, sent) in [
        ("SELECT pg_get_viewdef(1)", "SELECT pgusher.pg_get_viewdef(1)"),
        ("SELECT pg_catalog.pg_get_expr('x', 1)", "SELECT \"pgusher\".pg_get_expr('x', 1)"),
        ("SELECT obj_description(1, 'pg_class')", "SELECT pgusher.obj_description(1, 'pg_class')"),
        ("SELECT 5::regclass", "SELECT 5::pgusher.regclass"),
        (
            "SELECT ARRAY[id::regclass] FROM customers",
            "SELECT ARRAY[id::pgusher.regclass::pg_catalog.text] FROM \"public\".\"customers\"",
        ),
        ("SELECT pg_notify('pgush' || 'er', 'x')", "SELECT pgusher.pg_notify('pgush' || 'er', 'x')"),
        ("SHOW session_authorization", "SELECT pgusher.session_user() AS session_authorization"),
    ] {
        let found = told(&footing, sql).text;
        assert_eq!(found.replace("\"pgusher\"", "pgusher"), sent.replace("\"pgusher\"", "pgusher"), "{sql}");
    }
    for sql in
        ["SELECT to_regrole('x')", "SELECT has_type_privilege('text', 'USAGE')", "SELECT pg_get_object_address('a', '{}', '{}')"]
    {
        assert!(matches!(on(&footing, sql), Err(Refused::Resolve(E::ProtectedFunction { .. }))), "{sql}");
    }
    unsupported(
        &footing,
        &[
            "SELECT coalesce(to_regclass('x'), '1')",
            "SELECT ARRAY[pg_typeof(id)] FROM customers",
            "SELECT 5::regrole",
            "SELECT '{5}'::regclass[]",
            "SELECT $1::regclass, $1",
            "SELECT NULL::pg_type",
            "SELECT NULL::pg_catalog._pg_proc",
            "CREATE TEMP TABLE x (a regclass)",
            "SELECT * FROM json_to_record('{}') AS x (a regclass)",
            "EXPLAIN SELECT * FROM pg_class",
            "EXPLAIN SELECT relname FROM pg_class, customers",
        ],
    );
    let bearing = footing_with(|parts| {
        let class = Relation { oid: 1247, name: Name::exact("pg_type"), ..relation(parts, 1259).clone() };
        parts.relations.push(class);
    });
    unsupported(&bearing, &["SELECT coalesce('1', t.typinput) FROM pg_type t"]);
    // What upstream says of our views is not for the client.
    assert!(told(&footing, "SELECT relname FROM pg_class").touched.filtered);
}

#[test]
fn no_parameter_is_declared_of_a_type_that_bears_names() {
    let catalog = footing().catalog;
    let declared = |oid: u32| check_declared(&[&1u16.to_be_bytes()[..], &oid.to_be_bytes()].concat(), &catalog);
    for oid in [0, 25, 23, 1043] {
        assert!(declared(oid).is_ok(), "{oid}");
    }
    for oid in [24, 2205, 2206, 4089, 2210, 71, 12_000, 16_385, 70_000] {
        assert!(declared(oid).is_err(), "{oid}");
    }
}

#[test]
fn catalogs_are_read_behind_a_barrier_where_somebodys_code_could_look_on() {
    let plain = |footing: &Footing, path: &[&str], sql: &str| {
        let path = SearchPath { schemas: path.iter().map(|name| Name::exact(name)).collect() };
        let text = analyse_as(sql, &alice(), footing, &path).unwrap().text;
        assert!(text.contains("\"pgusher\".\""), "{text}");
        text.contains("\"pgusher\".\"fenced_pg_class\"")
    };
    let harmless = footing_with(|parts| parts.operators.clear());
    for sql in ["SELECT 1 FROM pg_class WHERE relname = 'x'", "SELECT 1 FROM pg_class WHERE oid::text = 'x'"] {
        assert!(!plain(&harmless, &["public"], sql), "{sql}");
    }
    assert!(plain(&harmless, &["public", "pg_catalog"], "SELECT 1 FROM pg_class WHERE relname = 'x'"));
    assert!(plain(&harmless, &["public"], "SELECT 1 FROM pg_class WHERE lower(relname) = 'x'"), "hr has a function lower");
    let overloaded = footing_with(|parts| parts.operators.push(Operator { schema: PUBLIC, name: Name::exact("="), function: 302 }));
    assert!(plain(&overloaded, &["public"], "SELECT 1 FROM pg_class WHERE relname = 'x'"));
    let cast = footing_with(|parts| parts.casts.push((Name::exact("text"), 303)));
    assert!(plain(&cast, &["public"], "SELECT 1 FROM pg_class WHERE oid::text = 'x'"));
    assert!(plain(&harmless, &["public"], "CREATE TABLE x AS SELECT relname FROM pg_class"));
}

#[test]
fn a_catalog_is_read_as_it_is_where_its_rows_are_tied_to_what_is_seen() {
    let footing = footing_with(|parts| parts.operators.clear());
    let sent = |sql: &str| on(&footing, sql).unwrap().text;
    let of = |oid: Oid, asked: &str| format!("SELECT {asked} FROM pg_catalog.pg_class c WHERE c.oid = '{oid}'");
    let narrow = |oid: Oid, asked: &str| of(oid, asked).replace("pg_catalog.pg_class", "\"pgusher\".\"narrow_pg_class\"");
    assert_eq!(sent(&of(ORDERS, "relname")), of(ORDERS, "relname"));
    assert_eq!(sent(&of(ORDERS, "xmin, tableoid")), of(ORDERS, "xmin, tableoid"));
    assert_eq!(sent(&of(1259, "relname")), of(1259, "relname"));
    for (oid, asked) in [(EMPLOYEES, "relname"), (ORDERS, "relacl"), (ORDERS, "c"), (9_999_999, "relname")] {
        assert_eq!(sent(&of(oid, asked)), narrow(oid, asked));
    }
    assert!(told(&footing, &of(ORDERS, "relname")).touched.filtered);
    // A name may mean what the path has first, and somebody's code could look on.
    let fenced = of(ORDERS, "relname").replace("pg_catalog.pg_class", "\"pgusher\".\"fenced_pg_class\"");
    let path = SearchPath { schemas: ["public", "pg_catalog"].map(Name::exact).into() };
    assert_eq!(analyse_as(&of(ORDERS, "relname"), &alice(), &footing, &path).unwrap().text, fenced);
    assert_eq!(sent(&format!("{} AND lower(relname) = 'x'", of(ORDERS, "relname"))), format!("{fenced} AND lower(relname) = 'x'"));
}

#[test]
fn whatever_calls_a_function_needs_execute_on_it() {
    let operators = footing_with(|parts| {
        for name in ["=", ">=", "<=", "<", ">"] {
            parts.operators.push(Operator { schema: PUBLIC, name: Name::exact(name), function: 302 });
        }
    });
    for sql in [
        "SELECT CASE 1 WHEN 2 THEN 3 END",
        "SELECT 1 FROM (SELECT 1 AS a) x JOIN (SELECT 1 AS a) y USING (a)",
        "SELECT 1 FROM (SELECT 1 AS a) x NATURAL JOIN (SELECT 1 AS a) y",
        "SELECT 1 IN (SELECT 1)",
        "SELECT 1 BETWEEN 2 AND 3",
        "SELECT 1 NOT BETWEEN 2 AND 3",
        "SELECT NULLIF(1, 2)",
        "SELECT 1 IS DISTINCT FROM 2",
        "SELECT 1 IN (2, 3)",
    ] {
        assert_eq!(told(&operators, sql).needs, ["EXECUTE same_op"], "{sql}");
    }
    for (name, sql) in [
        (">=", "SELECT 1 BETWEEN 2 AND 3"),
        ("<=", "SELECT 1 BETWEEN SYMMETRIC 2 AND 3"),
        ("<", "SELECT 1 NOT BETWEEN 2 AND 3"),
        (">", "SELECT 1 NOT BETWEEN SYMMETRIC 2 AND 3"),
    ] {
        let only = footing_with(|parts| parts.operators.push(Operator { schema: PUBLIC, name: Name::exact(name), function: 302 }));
        asks(&only, &[(sql, &["EXECUTE same_op"])]);
    }
    let definer = footing_with(|parts| {
        parts.functions.iter_mut().filter(|f| f.oid == 306).for_each(|f| f.security_definer = true);
    });
    asks(&definer, &[("SELECT 1 = 2", &["EXECUTE citext_eq"])]);
    let named = footing_with(|parts| {
        // A function like the constructor of a range type, but for its code.
        let span = Function { result_type: "public.span".into(), ..function(parts, 306, 311, "span") };
        let made = [function(parts, 300, 310, "json_object"), Function { language: Name::exact("sql"), ..span }];
        parts.functions.extend(made);
    });
    asks(&named, &[("SELECT json_object('a': 1)", &["EXECUTE json_object"]), ("SELECT span('a', 'b')", &["EXECUTE span"])]);
    let refused = on(&footing(), "SELECT ts_rewrite('a', 'b', VARIADIC ARRAY['c'])");
    assert!(matches!(refused, Err(Refused::Resolve(E::ProtectedFunction { .. }))), "{refused:?}");
}

#[test]
fn what_analysis_does_not_see_needs_its_grant_and_may_have_touched_anything() {
    let footing = with_temporaries();
    let anonymous = &["EXECUTE ANONYMOUS FUNCTION"][..];
    asks(
        &footing,
        &[
            ("DO 'begin end'", anonymous),
            ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", anonymous),
            ("ALTER FUNCTION pg_temp.tf() STABLE", anonymous),
            ("SELECT pg_temp.tf()", anonymous),
            ("SELECT * FROM tv", &["SELECT customers"]),
            ("SELECT * FROM tt", &["EXECUTE ANONYMOUS FUNCTION", "EXECUTE bonus"]),
            ("INSERT INTO tt VALUES ('x')", &["EXECUTE ANONYMOUS FUNCTION", "EXECUTE bonus"]),
            ("CREATE TRIGGER t BEFORE INSERT ON tt FOR EACH ROW EXECUTE FUNCTION bonus()", &["EXECUTE bonus"]),
            ("CREATE TRIGGER t BEFORE INSERT ON tt FOR EACH ROW EXECUTE FUNCTION citext_eq()", &["EXECUTE citext_eq"]),
        ],
    );
    for sql in ["DO 'begin end'", "SELECT pg_temp.tf()", "CALL bonus(1)"] {
        assert_eq!(told(&footing, sql).touched, Touched { filtered: true, masked: true }, "{sql}");
    }
    unsupported(
        &footing,
        &[
            "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE plpython3u AS 'return 1'",
            "CREATE DOMAIN pg_temp.d AS text CHECK (bonus(value) <> '')",
            "CREATE TABLE x (a mood)",
            "CREATE TABLE x (a pg_temp.mood)",
            "CREATE TABLE x (a tt)",
            "CREATE VIEW public.v AS SELECT * FROM tv",
            "CREATE TABLE x (LIKE tt)",
        ],
    );
}

#[test]
fn definitions_that_reach_further_ask_for_more() {
    let footing = footing_with(|parts| {
        let more = [function(parts, 304, 312, "lower"), function(parts, 304, 313, "initials")];
        parts.functions.extend(more.map(|f| Function { schema: PUBLIC, ..f }));
    });
    asks(
        &footing,
        &[
            ("ALTER TABLE events ADD COLUMN x int", &["MODIFY or MANAGE events", "MODIFY or MANAGE events_eu"]),
            (
                "ALTER TABLE events RENAME TO happenings",
                &["MODIFY or MANAGE events", "MODIFY or MANAGE events_eu", "SELECT events"],
            ),
            ("CREATE INDEX ON customers (id) WHERE name = 'x'", &["MODIFY or MANAGE customers", "SELECT customers"]),
            (
                "CREATE STATISTICS st ON (length(name)) FROM customers",
                &["CREATE public", "MODIFY or MANAGE customers", "SELECT customers"],
            ),
            ("ALTER STATISTICS public.st SET STATISTICS 100", &["MANAGE public"]),
            ("ALTER FUNCTION bonus(text) RENAME TO citext_eq", &["OWN bonus", "OWN citext_eq"]),
            (
                "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON customers FROM orders FOR EACH ROW EXECUTE FUNCTION tg()",
                &["MODIFY or MANAGE customers", "OWN orders"],
            ),
        ],
    );
    for sql in ["COMMENT ON TABLE nowhere IS 'x'", "DROP TYPE nowhere", "ALTER TYPE nowhere ADD VALUE 'x'"] {
        assert!(matches!(on(&footing, sql), Err(Refused::Resolve(_))), "{sql}: {:?}", on(&footing, sql));
    }
    unsupported(&footing, &["CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql SUPPORT bonus AS 'SELECT a'"]);
    let definer = footing_with(|parts| parts.functions.iter_mut().for_each(|f| f.security_definer = f.oid == 300));
    for sql in [
        "ALTER FUNCTION bonus(text) RESET search_path",
        "ALTER FUNCTION bonus(text) SET search_path = public",
        "ALTER FUNCTION bonus(text) RESET ALL",
    ] {
        let found = analyse_as(sql, &admin(), &definer, &SearchPath::default());
        assert!(matches!(found, Err(Refused::Resolve(E::Unsupported { .. }))), "{sql}: {found:?}");
    }
}

/// Whoever truncates the parent empties the child that hides rows.
#[test]
fn truncate_reaches_children_that_hide_rows() {
    let plain = footing();
    let governed: std::collections::HashMap<Oid, Governed> = plain
        .governed
        .iter()
        .map(|(oid, governed)| (*oid, governed.clone()))
        .chain([(121, Governed::Refused("x".into()))])
        .collect();
    let footing = Footing::new(plain.catalog.clone(), plain.policies.clone(), governed);
    asks(&footing, &[("TRUNCATE events", &["MODIFY events", "OWN events_eu"]), ("TRUNCATE ONLY events", &["MODIFY events"])]);
}

#[test]
fn parameters_that_are_kept_stay_kept_on_every_way() {
    for sql in [
        "RESET row_security",
        "SET row_security TO DEFAULT",
        "RESET standard_conforming_strings",
        "SET standard_conforming_strings TO DEFAULT",
        "RESET pgusher.key",
    ] {
        let found = on(&footing(), sql);
        assert!(matches!(found, Err(Refused::Resolve(E::ProtectedParameter { .. }))), "{sql}: {found:?}");
    }
}
