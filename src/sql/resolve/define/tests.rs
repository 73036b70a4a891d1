use crate::catalog::SearchPath;
use crate::sql::fixture::{Analysed, Refused, admin, analyse_as, footing};
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
        ("CREATE SEQUENCE s OWNED BY orders.id", "CREATE SEQUENCE \"public\".\"s\" OWNED BY orders.id"),
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
        ("COMMENT ON COLUMN orders.id IS 'x'", "COMMENT ON COLUMN orders.id IS 'x'"),
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
    let as_owner = |transactional, ddl, tag| Effect::AsOwner(Owned { transactional, ddl, by: Executor::Owner, tag, fill: None });
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
    assert_eq!(effect("CREATE INDEX CONCURRENTLY i ON orders (id)"), as_owner(false, true, "CREATE INDEX"));
    assert_eq!(effect("DROP INDEX CONCURRENTLY orders_pkey"), as_owner(false, true, "DROP INDEX"));
    assert_eq!(effect("VACUUM orders"), as_owner(false, false, "VACUUM"));
    assert_eq!(effect("ANALYZE orders"), as_owner(true, false, "ANALYZE"));
    assert_eq!(effect("TRUNCATE orders"), as_owner(true, false, "TRUNCATE TABLE"));
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
        "COPY orders TO PROGRAM 'id'",
        "CREATE INDEX i ON orders (bonus(id))",
        "ALTER TABLE orders ADD CHECK (bonus(id) > 0)",
        "ALTER TABLE orders ALTER id TYPE int USING bonus(id)",
        "CREATE MATERIALIZED VIEW m AS SELECT bonus(1)",
        "CREATE TABLE x AS SELECT pg_read_file('x')",
        "CREATE TABLE x AS EXECUTE held",
        "CREATE OPERATOR pgusher.= (LEFTARG = text, RIGHTARG = text, FUNCTION = eq)",
        "CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = pgusher.attach)",
        "CREATE COLLATION c (locale = 'C')",
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
