use crate::catalog::{Relation, SearchPath, TypeKind, UserType};
use crate::sql::fixture::{Analysed, CUSTOMERS, ORDERS, PUBLIC, Refused, admin, alice, analyse_as, footing, footing_with};
use crate::sql::{Effect, Executor, Fill, Owned, ResolveError};

fn run(sql: &str) -> Result<Analysed, Refused> {
    analyse_as(sql, &admin(), &footing(), &SearchPath::default())
}

fn sent(sql: &str) -> String {
    run(sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}")).text
}

#[test]
fn queries_inside_definitions_read_governed_views() {
    for (client, upstream) in [
        (
            "CREATE VIEW v AS SELECT ssn FROM employees WHERE name = current_user()",
            "CREATE VIEW \"public\".\"v\" AS SELECT ssn FROM \"pgusher_public\".\"employees\" WHERE name = (SELECT pgusher.current_user() AS \"current_user\")  ",
        ),
        ("CREATE OR REPLACE VIEW hr.v (a) AS TABLE orders", "CREATE OR REPLACE VIEW hr.v (a) AS TABLE \"public\".\"orders\""),
        (
            "CREATE MATERIALIZED VIEW m AS SELECT * FROM employees, orders",
            "CREATE MATERIALIZED VIEW \"public\".\"m\" AS SELECT * FROM \"pgusher_public\".\"employees\", \"pgusher_public\".\"orders\"",
        ),
        (
            "CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM employees WHERE name = a AND is_member(''x'')'",
            "CREATE FUNCTION \"public\".f(a text) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM \"pgusher_public\".\"employees\" WHERE name = a AND (SELECT pgusher.is_member(''x'') AS is_member);'",
        ),
        (
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$ SELECT region FROM orders; SELECT 'a\\b' $$",
            "CREATE FUNCTION \"public\".f() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS  E'SELECT region FROM \"pgusher_public\".\"orders\";\nSELECT ''a\\\\b'' ;'",
        ),
        (
            "CREATE FUNCTION f() RETURNS text RETURN (SELECT ssn FROM employees)",
            "CREATE FUNCTION \"public\".f() RETURNS text RETURN (SELECT ssn FROM \"pgusher_public\".\"employees\")",
        ),
        (
            "CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT ssn FROM employees; SELECT 1; END",
            "CREATE FUNCTION \"public\".f() RETURNS text BEGIN ATOMIC SELECT ssn FROM \"pgusher_public\".\"employees\"; SELECT 1; END",
        ),
        ("CREATE PROCEDURE hr.p() LANGUAGE plpgsql AS 'begin end'", "CREATE PROCEDURE hr.p() LANGUAGE plpgsql AS 'begin end'"),
    ] {
        assert_eq!(sent(client).trim(), upstream.trim(), "{client}");
    }
}

#[test]
fn names_of_objects_are_written_in_full() {
    for (client, upstream) in [
        (
            "CREATE TABLE t (id int REFERENCES customers, who text DEFAULT current_user, CHECK (is_member('x')), LIKE orders)",
            "CREATE TABLE \"public\".\"t\" (id int REFERENCES \"public\".\"customers\", who text DEFAULT pgusher.current_user(), CHECK (pgusher.is_member('x')), LIKE \"public\".\"orders\")",
        ),
        (
            "CREATE TABLE p PARTITION OF events FOR VALUES IN (1)",
            "CREATE TABLE \"public\".\"p\" PARTITION OF \"public\".\"events\" FOR VALUES IN (1)",
        ),
        ("CREATE TABLE c () INHERITS (orders)", "CREATE TABLE \"public\".\"c\" () INHERITS (\"public\".\"orders\")"),
        ("ALTER TABLE employees ADD COLUMN x int DEFAULT 1", "ALTER TABLE \"public\".\"employees\" ADD COLUMN x int DEFAULT 1"),
        ("ALTER TABLE ONLY orders DROP COLUMN id", "ALTER TABLE ONLY \"public\".\"orders\" DROP COLUMN id"),
        ("ALTER TABLE employees RENAME TO staff", "ALTER TABLE \"public\".\"employees\" RENAME TO staff"),
        ("ALTER TABLE orders SET SCHEMA hr", "ALTER TABLE \"public\".\"orders\" SET SCHEMA hr"),
        ("CREATE INDEX i ON orders (lower(region))", "CREATE INDEX i ON \"public\".\"orders\" (lower(region))"),
        ("CREATE SEQUENCE s OWNED BY orders.id", "CREATE SEQUENCE \"public\".\"s\" OWNED BY \"public\".orders.id"),
        ("CREATE TYPE mood AS ENUM ('a')", "CREATE TYPE \"public\".mood AS ENUM ('a')"),
        ("CREATE DOMAIN d AS text CHECK (value <> '')", "CREATE DOMAIN \"public\".d AS text CHECK (value <> '')"),
        (
            "CREATE OPERATOR hr.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hr.eq, COMMUTATOR = OPERATOR(hr.=))",
            "CREATE OPERATOR hr.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hr.eq, COMMUTATOR = OPERATOR(hr.=))",
        ),
        (
            "CREATE AGGREGATE agg (text) (SFUNC = textcat, STYPE = text)",
            "CREATE AGGREGATE agg (text) (SFUNC = textcat, STYPE = text)",
        ),
        ("DROP OPERATOR === (text, text)", "DROP OPERATOR === (text, text)"),
        ("DROP FUNCTION bonus", "DROP FUNCTION bonus"),
        ("CREATE INDEX ON orders (id)", "CREATE INDEX ON \"public\".\"orders\" (id)"),
        ("CREATE SCHEMA fresh", "CREATE SCHEMA fresh"),
        (
            "DROP TABLE orders, hr.people, customers CASCADE",
            "DROP TABLE \"public\".orders, hr.people, \"public\".customers CASCADE",
        ),
        ("DROP VIEW IF EXISTS v_orders", "DROP VIEW IF EXISTS \"public\".v_orders"),
        ("DROP TABLE IF EXISTS nowhere", "DROP TABLE IF EXISTS nowhere"),
        ("DROP FUNCTION bonus(int)", "DROP FUNCTION bonus(int)"),
        ("COMMENT ON TABLE orders IS 'x'", "COMMENT ON TABLE \"public\".orders IS 'x'"),
        ("COMMENT ON COLUMN orders.id IS 'x'", "COMMENT ON COLUMN \"public\".orders.id IS 'x'"),
        ("TRUNCATE orders, ONLY customers", "TRUNCATE \"public\".\"orders\", ONLY \"public\".\"customers\""),
        ("LOCK TABLE orders IN SHARE MODE", "LOCK TABLE \"public\".\"orders\" IN SHARE MODE"),
        ("VACUUM (ANALYZE) orders", "VACUUM (ANALYZE) \"public\".\"orders\""),
        ("REINDEX TABLE orders", "REINDEX TABLE \"public\".\"orders\""),
        (
            "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()",
            "CREATE TRIGGER t BEFORE INSERT ON \"public\".\"orders\" FOR EACH ROW EXECUTE FUNCTION f()",
        ),
    ] {
        assert_eq!(sent(client), upstream, "{client}");
    }
}

#[test]
fn effects_tell_how_to_run_them() {
    let effect = |sql: &str| run(sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}")).effect;
    let as_owner = |alone, ddl, tag| Effect::AsOwner(Owned { alone, ddl, by: Executor::Owner, tag, fill: None });
    let by = |sql: &str| match effect(sql) {
        Effect::AsOwner(owned) => owned.by,
        other => panic!("{sql}: {other:?}"),
    };
    for sql in ["CREATE TABLE t (a int)", "CREATE TABLE t AS SELECT 1", "CREATE SEQUENCE s", "CREATE VIEW fresh AS SELECT 1"] {
        assert_eq!(by(sql), Executor::Ddl, "{sql}");
    }
    for sql in [
        "CREATE TABLE t () INHERITS (orders)",
        "CREATE TABLE t (LIKE orders)",
        "ALTER TABLE orders ADD COLUMN c int",
        "CREATE OR REPLACE VIEW v_orders AS SELECT 1",
        "DROP TABLE orders",
        "CREATE SCHEMA s",
    ] {
        assert_eq!(by(sql), Executor::Owner, "{sql}");
    }
    assert_eq!(
        effect("CREATE INDEX CONCURRENTLY i ON orders (id)"),
        as_owner(Some("CREATE INDEX CONCURRENTLY"), true, "CREATE INDEX")
    );
    assert_eq!(effect("DROP INDEX CONCURRENTLY orders_pkey"), as_owner(Some("DROP INDEX CONCURRENTLY"), true, "DROP INDEX"));
    assert_eq!(effect("VACUUM orders"), as_owner(Some("VACUUM"), false, "VACUUM"));
    assert_eq!(effect("ANALYZE orders"), as_owner(None, false, "ANALYZE"));
    assert_eq!(effect("TRUNCATE orders"), as_owner(None, false, "TRUNCATE TABLE"));
    assert_eq!(effect("CALL bonus(1)"), Effect::None);
    assert_eq!(run("CALL bonus(1)").unwrap().needs, ["EXECUTE bonus"]);
}

#[test]
fn a_query_fills_its_table_as_the_session_itself() {
    let fill = |sql: &str| match run(sql).unwrap_or_else(|refused| panic!("{sql}: {refused:?}")).effect {
        Effect::AsOwner(Owned { fill, .. }) => fill,
        other => panic!("{sql}: {other:?}"),
    };
    for (client, upstream, filled) in [
        (
            "CREATE TABLE x AS SELECT ssn FROM employees",
            "CREATE TABLE \"public\".\"x\" AS SELECT ssn FROM \"pgusher_public\".\"employees\" WITH NO DATA",
            "INSERT INTO \"public\".\"x\" SELECT ssn FROM \"pgusher_public\".\"employees\"",
        ),
        (
            "CREATE TABLE IF NOT EXISTS hr.x (a) AS (WITH o AS (TABLE orders) SELECT id FROM o ORDER BY 1) WITH DATA -- so",
            "CREATE TABLE  hr.x (a) AS (WITH o AS (TABLE \"public\".\"orders\") SELECT id FROM o ORDER BY 1) WITH NO DATA -- so",
            "INSERT INTO \"hr\".\"x\" (WITH o AS (TABLE \"public\".\"orders\") SELECT id FROM o ORDER BY 1)",
        ),
        (
            "SELECT id, region INTO UNLOGGED TABLE x FROM orders WHERE id < 3",
            "CREATE UNLOGGED TABLE \"public\".\"x\" AS SELECT id, region  FROM \"public\".\"orders\" WHERE id < 3 WITH NO DATA",
            "INSERT INTO \"public\".\"x\" SELECT id, region  FROM \"public\".\"orders\" WHERE id < 3",
        ),
    ] {
        assert_eq!(sent(client), upstream, "{client}");
        assert_eq!(fill(client), Some(Fill::Insert(filled.into())), "{client}");
    }
    assert_eq!(fill("CREATE TABLE x AS SELECT id FROM orders WITH NO DATA"), None);
    assert_eq!(fill("CREATE TABLE IF NOT EXISTS orders AS SELECT 1"), None, "it is there, and stays as it is");
}

#[test]
fn what_would_pass_by_protection_is_refused_to_administrators_too() {
    for sql in [
        "SELECT * FROM pgusher.token",
        "DROP SCHEMA pgusher CASCADE",
        "DROP TABLE pgusher.token",
        "DROP VIEW pgusher_public.employees",
        "DROP FUNCTION pgusher.attach(text, text)",
        "CREATE SCHEMA pgusher_x",
        "ALTER SCHEMA hr RENAME TO pgusher_hr",
        "ALTER TABLE orders SET SCHEMA pgusher",
        "CREATE TABLE pgusher.x (a int)",
        "CREATE VIEW pgusher_public.x AS SELECT 1",
        "CREATE VIEW x AS SELECT * FROM pgusher.token",
        "CREATE FUNCTION pgusher.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT hash FROM pgusher.token'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'DROP TABLE orders'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'DELETE FROM orders'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE c AS 'lib', 'x'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE plpgsql SET role = 'postgres' AS ''",
        "ALTER FUNCTION bonus(int) SECURITY DEFINER",
        "CREATE FUNCTION x() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN 1; END'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS 'BEGIN RETURN 1; END'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_temp, public AS 'BEGIN RETURN 1; END'",
        "CREATE FUNCTION x() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS 'BEGIN RETURN 1; END'",
        "COMMENT ON TABLE pgusher.token IS 'x'",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE orders NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE orders OWNER TO postgres",
        "ALTER TABLE pg_class ADD COLUMN x int",
        "DROP POLICY pgusher_filter ON orders",
        "CREATE POLICY p ON orders USING (true)",
        "DROP ROLE pgusher_session",
        "ALTER ROLE pgusher_session SUPERUSER",
        "GRANT SELECT ON orders TO PUBLIC",
        "CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT * FROM pgusher.token",
        "CREATE EXTENSION dblink",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SET ROLE pgusher_owner",
        "CREATE INDEX i ON orders (bonus(id))",
        "ALTER TABLE orders ADD CHECK (bonus(id) > 0)",
        "ALTER TABLE orders ALTER id TYPE int USING bonus(id)",
        "CREATE MATERIALIZED VIEW m AS SELECT bonus(1)",
        "CREATE TABLE x AS SELECT pg_read_file('x')",
        "CREATE TABLE x AS EXECUTE held",
        "CREATE OPERATOR pgusher.= (LEFTARG = text, RIGHTARG = text, FUNCTION = eq)",
        "CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = pgusher.attach)",
        "CREATE TEMP TABLE x (LIKE pgusher.token)",
        "CREATE TEMP TABLE x AS SELECT * FROM pgusher.token",
        "CREATE TEMP TABLE x () INHERITS (orders)",
        "CREATE TEMP VIEW x AS SELECT * FROM pgusher_public.employees",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
    ] {
        assert!(matches!(run(sql), Err(Refused::Resolve(_))), "{sql}: {:?}", run(sql));
    }
    assert!(matches!(run("SELECT * FROM broken"), Err(Refused::Resolve(ResolveError::Broken { reason: Some(_), .. }))));
}

/// What a statement of alice's needs, and who runs it upstream.
fn needs(sql: &str) -> (Vec<String>, Option<Executor>) {
    let analysed = analyse_as(sql, &alice(), &definitions(), &SearchPath::default());
    let analysed = analysed.unwrap_or_else(|refused| panic!("{sql}: {refused:?}"));
    let by = match analysed.effect {
        Effect::AsOwner(owned) => Some(owned.by),
        _ => None,
    };
    (analysed.needs, by)
}

/// The usual footing, with a table, a type and a function that others than administrators made.
fn definitions() -> crate::catalog::Footing {
    footing_with(|parts| {
        let customers = parts.relations.iter().find(|r| r.oid == CUSTOMERS).cloned().unwrap();
        let made = |oid, name: &str| Relation { oid, name: name.into(), owner: "pgusher_ddl".into(), ..customers.clone() };
        parts.relations.push(made(140, "made"));
        parts.relations.push(made(142, "referring"));
        for one in &mut parts.relations {
            match one.oid {
                131 => one.owned_by = Some(ORDERS),
                142 => one.columns[0].type_oid = 600,
                _ => {}
            }
        }
        parts.references.push((142, CUSTOMERS));
        let made = |oid, name: &str, kind| UserType {
            oid,
            schema: PUBLIC,
            name: name.into(),
            kind,
            owner: "pgusher_ddl".into(),
            relation: None,
            made_of: Vec::new(),
            calls: Vec::new(),
        };
        parts.types.push(made(600, "positive", TypeKind::Domain));
        parts.types.push(UserType { calls: vec![300], ..made(601, "checked", TypeKind::Domain) });
        parts.types.push(UserType { made_of: vec![601], ..made(602, "over", TypeKind::Domain) });
        parts.of_ddl.push(301);
    })
}

#[test]
fn every_definition_says_what_it_needs_and_who_runs_it() {
    use Executor::{Ddl, Owner};
    for (sql, expected, by) in [
        ("CREATE TABLE t (id int)", &["CREATE public"][..], Ddl),
        ("CREATE TABLE hr.t (id int REFERENCES customers)", &["CREATE hr", "MODIFY customers"], Ddl),
        ("CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t)", &["CREATE public"], Ddl),
        ("CREATE TABLE t (id int REFERENCES orders)", &["CREATE public", "OWN orders"], Ddl),
        ("CREATE TABLE t (LIKE customers)", &["CREATE public", "SELECT customers"], Owner),
        ("CREATE TABLE t () INHERITS (customers)", &["CREATE public", "MODIFY or MANAGE customers"], Owner),
        ("CREATE TABLE t PARTITION OF made FOR VALUES IN (1)", &["CREATE public", "MODIFY or MANAGE made"], Ddl),
        ("CREATE TABLE t AS SELECT id FROM customers", &["SELECT customers", "CREATE public"], Ddl),
        ("CREATE VIEW v AS SELECT id FROM customers", &["SELECT customers", "CREATE public"], Ddl),
        ("CREATE OR REPLACE VIEW v_customers AS SELECT 1 AS id", &["CREATE public", "OWN v_customers"], Owner),
        ("CREATE MATERIALIZED VIEW m AS SELECT id FROM customers", &["SELECT customers", "CREATE public"], Ddl),
        ("CREATE SEQUENCE s OWNED BY customers.id", &["CREATE public", "MODIFY or MANAGE customers"], Owner),
        ("CREATE TYPE t AS ENUM ('a')", &["CREATE public"], Ddl),
        ("CREATE DOMAIN d AS positive", &["CREATE public"], Ddl),
        ("CREATE SCHEMA s", &["CREATE shop"], Owner),
        ("CREATE INDEX ON customers (id)", &["MODIFY or MANAGE customers", "SELECT customers"], Owner),
        ("CREATE INDEX ON customers (lower(name))", &["MODIFY or MANAGE customers", "SELECT customers"], Owner),
        ("CREATE INDEX ON made (id)", &["MODIFY or MANAGE made", "SELECT made"], Ddl),
        ("CREATE UNIQUE INDEX ON employees (ssn)", &["MANAGE employees", "SELECT employees"], Owner),
        ("CREATE STATISTICS st ON id, name FROM customers", &["CREATE public", "MODIFY or MANAGE customers"], Owner),
        ("ALTER TABLE customers ADD COLUMN x int", &["MODIFY or MANAGE customers"], Owner),
        ("ALTER TABLE made ADD COLUMN x int", &["MODIFY or MANAGE made"], Ddl),
        ("ALTER TABLE customers ADD CHECK (id <> '')", &["MODIFY or MANAGE customers", "SELECT customers"], Owner),
        ("ALTER TABLE customers ALTER id TYPE int USING length(name)", &["MODIFY or MANAGE customers", "SELECT customers"], Owner),
        ("ALTER TABLE employees DROP COLUMN salary", &["MANAGE employees"], Owner),
        ("ALTER TABLE made INHERIT customers", &["MODIFY or MANAGE made", "MANAGE made", "MODIFY or MANAGE customers"], Owner),
        (
            "ALTER TABLE events ATTACH PARTITION made FOR VALUES IN (1)",
            &["MODIFY or MANAGE events", "SELECT events", "MANAGE made"],
            Owner,
        ),
        ("ALTER VIEW v_customers SET (security_invoker = off)", &["MODIFY or MANAGE v_customers", "OWN v_customers"], Owner),
        ("ALTER TABLE customers SET SCHEMA hr", &["MANAGE customers", "CREATE hr"], Owner),
        ("ALTER TABLE customers RENAME TO clients", &["MODIFY or MANAGE customers", "SELECT customers"], Owner),
        ("ALTER TABLE employees RENAME COLUMN ssn TO x", &["MANAGE employees"], Owner),
        ("DROP TABLE customers", &["MODIFY or MANAGE customers"], Owner),
        ("DROP TABLE customers CASCADE", &["MANAGE customers"], Owner),
        ("DROP TABLE orders", &["MANAGE orders"], Owner),
        ("DROP VIEW v_customers", &["MODIFY or MANAGE v_customers"], Owner),
        ("DROP INDEX orders_pkey", &["MANAGE orders"], Owner),
        ("DROP SEQUENCE orders_id_seq", &["MANAGE orders"], Owner),
        ("DROP SEQUENCE free_seq", &["MODIFY or MANAGE free_seq"], Owner),
        ("DROP SCHEMA hr", &["MODIFY or MANAGE hr"], Owner),
        ("DROP SCHEMA hr CASCADE", &["MANAGE hr"], Owner),
        ("DROP TYPE positive", &["MANAGE positive"], Ddl),
        ("DROP FUNCTION bonus(text)", &["MANAGE bonus"], Owner),
        ("DROP FUNCTION initials", &["MANAGE initials"], Ddl),
        ("DROP TRIGGER t ON customers", &["MODIFY or MANAGE customers"], Owner),
        (
            "ALTER DOMAIN positive ADD CHECK (value <> '')",
            &["MANAGE positive", "MODIFY or MANAGE referring", "SELECT referring"],
            Ddl,
        ),
        ("ALTER SCHEMA hr RENAME TO people", &["MANAGE hr", "OWN people", "OWN lower", "CREATE shop"], Owner),
        ("ALTER FUNCTION bonus(text) STABLE", &["OWN bonus"], Owner),
        ("ALTER FUNCTION initials(text) SET SCHEMA hr", &["OWN initials", "CREATE_NAMED_FUNCTION hr"], Ddl),
        ("COMMENT ON TABLE employees IS 'x'", &["MODIFY or MANAGE employees"], Owner),
        ("COMMENT ON COLUMN employees.ssn IS 'x'", &["MODIFY or MANAGE employees"], Owner),
        ("TRUNCATE customers", &["MODIFY customers"], Owner),
        ("TRUNCATE customers CASCADE", &["MODIFY customers", "MODIFY referring"], Owner),
        ("TRUNCATE orders", &["OWN orders"], Owner),
        ("TRUNCATE events", &["MODIFY events"], Owner),
        ("LOCK TABLE customers", &["MODIFY customers"], Owner),
        ("LOCK TABLE customers IN ACCESS SHARE MODE", &["SELECT customers"], Owner),
        ("LOCK TABLE v_customers", &["MODIFY v_customers", "owner of 104: MODIFY customers"], Owner),
        ("ANALYZE customers", &["OWN customers"], Owner),
        ("VACUUM made", &["OWN made"], Ddl),
        ("CLUSTER made", &["OWN made"], Ddl),
        ("REINDEX INDEX orders_pkey", &["OWN orders"], Owner),
        ("REINDEX SCHEMA hr", &["OWN hr"], Owner),
        (
            "CREATE FUNCTION f(a text) RETURNS text LANGUAGE sql AS 'SELECT name FROM customers WHERE id = bonus(a)'",
            &["CREATE_NAMED_FUNCTION public", "SELECT customers", "EXECUTE bonus"],
            Ddl,
        ),
        ("CREATE FUNCTION bonus(a int) RETURNS int RETURN 1", &["CREATE_NAMED_FUNCTION public", "OWN bonus"], Owner),
    ] {
        let (found, ran) = needs(sql);
        assert_eq!(found, expected, "{sql}");
        assert_eq!(ran, Some(by), "{sql}");
    }
}

#[test]
fn what_is_missing_is_dropped_without_an_owners_rights() {
    for sql in [
        "DROP TABLE IF EXISTS nowhere",
        "DROP TYPE IF EXISTS nowhere",
        "DROP SCHEMA IF EXISTS nowhere",
        "ALTER TABLE IF EXISTS nowhere ADD x int",
    ] {
        assert_eq!(needs(sql), (Vec::new(), None), "{sql}");
    }
}

#[test]
fn what_others_would_pay_for_is_refused_to_all_but_administrators() {
    let run = |sql: &str| analyse_as(sql, &alice(), &definitions(), &SearchPath::default());
    for sql in [
        // Functions of the database's own that an owner's rights would run.
        "CREATE TABLE t (id int DEFAULT bonus(1))",
        "CREATE TABLE t (id int CHECK (bonus(id) > 0))",
        "CREATE TABLE t (id int GENERATED ALWAYS AS (bonus(1)) STORED)",
        "CREATE TABLE t (id int) PARTITION BY RANGE (bonus(id))",
        "CREATE TABLE t (id rating)",
        "CREATE TABLE t (id checked)",
        "CREATE TABLE t (id \"over\"[])",
        "ALTER TABLE made ALTER id TYPE checked",
        "ALTER TABLE made ADD CHECK (id === name)",
        "ALTER TABLE made ALTER id TYPE text USING id::rating",
        "CREATE INDEX ON made (bonus(id))",
        "CREATE INDEX ON made (id) WHERE bonus(id) IS NULL",
        "CREATE STATISTICS s ON (bonus(id)), name FROM made",
        "CREATE DOMAIN d AS text CHECK (bonus(value) IS NULL)",
        "CREATE DOMAIN d AS \"over\"",
        "CREATE TYPE r AS RANGE (subtype = float8, subtype_diff = bonus)",
        "CREATE MATERIALIZED VIEW m AS SELECT bonus(id) FROM made",
        "CREATE TRIGGER t BEFORE INSERT ON made FOR EACH ROW EXECUTE FUNCTION bonus()",
        "CREATE TRIGGER t BEFORE INSERT ON made FOR EACH ROW WHEN (bonus(new.id) IS NULL) EXECUTE FUNCTION nowhere()",
        // Rows for everybody.
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM orders",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM derived",
        // Bodies that are not seen, rights that are not one's own.
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'begin return 1; end'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET role = 'postgres' AS 'SELECT 1'",
        // Everybody's objects.
        "VACUUM",
        "ANALYZE",
        "CLUSTER",
        "REINDEX DATABASE shop",
        "CREATE OPERATOR + (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat)",
        "CREATE AGGREGATE a (text) (SFUNC = textcat, STYPE = text)",
        "CREATE CAST (text AS int) WITH INOUT",
        "CREATE COLLATION c (locale = 'C')",
        "DROP OPERATOR === (text, text)",
        "DROP CAST (text AS int)",
        "COMMENT ON OPERATOR === (text, text) IS 'x'",
        "CREATE TYPE base (INPUT = textin, OUTPUT = textout)",
        "CREATE EXTENSION citext",
        "CREATE ROLE r",
        "DROP TABLE IF EXISTS customers, nowhere",
        "DROP FUNCTION pg_sleep(float8)",
        "CREATE TABLE pg_catalog.t (id int)",
        "CREATE TABLE nowhere.t (id int)",
        "CREATE TABLE pgusher.t (id int)",
        "ALTER TABLE made SET SCHEMA pgusher_public",
    ] {
        assert!(matches!(run(sql), Err(Refused::Resolve(_))), "{sql}: {:?}", run(sql));
    }
}
