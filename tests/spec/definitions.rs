//! Who may define and maintain: every statement by somebody without rights, a holder of the privilege, the owner, a holder of MANAGE and
//! an administrator.

use crate::harness::{Client, Shop, both_mechanisms};

/// `+` for yes, `-` for 42501: nobody, holder, owner, manager, administrator.
const MATRIX: &[(&str, &str)] = &[
    ("CREATE TABLE lab.t (n integer)", "-++-+"),
    ("CREATE TABLE lab.t AS SELECT 1 AS n", "-++-+"),
    ("SELECT 1 AS n INTO lab.t", "-++-+"),
    ("CREATE VIEW lab.t AS SELECT 1 AS n", "-++-+"),
    ("CREATE MATERIALIZED VIEW lab.t AS SELECT 1 AS n", "-++-+"),
    ("CREATE SEQUENCE lab.t", "-++-+"),
    ("CREATE TYPE lab.t AS (n integer)", "-++-+"),
    ("CREATE TYPE lab.t AS ENUM ('a')", "-++-+"),
    ("CREATE TYPE lab.t AS RANGE (subtype = integer)", "-++-+"),
    ("CREATE DOMAIN lab.t AS integer CHECK (value > 0)", "-++-+"),
    ("CREATE FUNCTION lab.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'", "-++-+"),
    ("CREATE FUNCTION lab.f(n integer) RETURNS integer RETURN n + 1", "-++-+"),
    ("CREATE PROCEDURE lab.p() LANGUAGE sql AS 'SELECT 1'", "-++-+"),
    ("CREATE FUNCTION lab.f() RETURNS integer LANGUAGE plpgsql AS 'begin return 1; end'", "----+"),
    ("CREATE OR REPLACE FUNCTION lab.twice(x integer) RETURNS integer LANGUAGE sql AS 'SELECT x'", "--+-+"),
    ("CREATE FUNCTION lab.twice(x text) RETURNS text LANGUAGE sql AS 'SELECT x'", "--+-+"),
    ("CREATE OR REPLACE VIEW lab.look AS SELECT id FROM lab.plain", "--+-+"),
    ("CREATE TABLE lab.t (LIKE lab.plain)", "--+-+"),
    ("CREATE TABLE lab.t () INHERITS (lab.plain)", "-++-+"),
    ("CREATE TABLE lab.t (id integer REFERENCES lab.plain)", "-++-+"),
    ("CREATE TABLE lab.t (id integer REFERENCES lab.hidden)", "--+-+"),
    ("CREATE SCHEMA fresh", "----+"),
    ("ALTER SCHEMA lab RENAME TO other", "----+"),
    ("DROP SCHEMA lab CASCADE", "--+++"),
    ("ALTER TABLE lab.plain ADD COLUMN x integer", "-++++"),
    ("ALTER TABLE lab.plain ADD CHECK (n > 0)", "--+-+"),
    ("ALTER TABLE lab.plain ALTER n TYPE text USING n::text", "--+-+"),
    ("ALTER TABLE lab.plain RENAME TO other", "--+-+"),
    ("ALTER TABLE lab.plain RENAME COLUMN n TO m", "-++++"),
    ("ALTER TABLE lab.plain SET SCHEMA elsewhere", "--+++"),
    ("ALTER TABLE lab.loose INHERIT lab.plain", "--+++"),
    ("CREATE INDEX ON lab.plain (who)", "--+-+"),
    ("CREATE INDEX ON lab.plain (lower(who))", "--+-+"),
    ("CREATE STATISTICS lab.st ON id, n FROM lab.plain", "-++-+"),
    ("CREATE TRIGGER t BEFORE UPDATE ON lab.plain FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()", "-++++"),
    ("ALTER INDEX lab.plain_n RENAME TO other", "-++++"),
    ("ALTER SEQUENCE lab.counter RESTART", "-++++"),
    ("ALTER VIEW lab.look RENAME TO other", "--+-+"),
    ("ALTER TYPE lab.mood ADD VALUE 'b'", "--+++"),
    ("ALTER DOMAIN lab.positive DROP NOT NULL", "--+++"),
    ("ALTER DOMAIN lab.positive ADD CHECK (value > 0)", "--+++"),
    ("ALTER FUNCTION lab.twice(integer) IMMUTABLE", "--+-+"),
    ("ALTER FUNCTION lab.twice(integer) RENAME TO other", "--+-+"),
    ("COMMENT ON TABLE lab.plain IS 'x'", "-++++"),
    ("COMMENT ON COLUMN lab.plain.n IS 'x'", "-++++"),
    ("COMMENT ON FUNCTION lab.twice(integer) IS 'x'", "--+++"),
    ("COMMENT ON TYPE lab.mood IS 'x'", "--+++"),
    ("COMMENT ON TABLE lab.hidden IS 'x'", "-++++"),
    ("DROP TABLE lab.loose", "-++++"),
    ("DROP TABLE lab.plain CASCADE", "--+++"),
    ("DROP VIEW lab.look", "-++++"),
    ("DROP MATERIALIZED VIEW lab.kept", "-++++"),
    ("DROP INDEX lab.plain_n", "-++++"),
    ("DROP SEQUENCE lab.counter", "-++++"),
    ("DROP TYPE lab.mood", "--+++"),
    ("DROP DOMAIN lab.positive", "--+++"),
    ("DROP FUNCTION lab.twice(integer)", "--+++"),
    ("TRUNCATE lab.plain", "-++-+"),
    ("LOCK TABLE lab.plain", "-++-+"),
    ("LOCK TABLE lab.plain IN ACCESS SHARE MODE", "--+-+"),
    ("ANALYZE lab.plain", "--+-+"),
    ("CLUSTER lab.plain USING plain_pkey", "--+-+"),
    ("REINDEX TABLE lab.plain", "--+-+"),
    ("REFRESH MATERIALIZED VIEW lab.kept", "--+-+"),
    ("ALTER TABLE lab.hidden ADD COLUMN x integer", "--+++"),
    ("ALTER TABLE lab.hidden RENAME TO other", "--+-+"),
    ("CREATE INDEX ON lab.hidden (n)", "--+-+"),
    ("DROP TABLE lab.hidden", "--+++"),
    ("TRUNCATE lab.hidden", "--+-+"),
    ("CREATE CAST (lab.mood AS integer) WITH INOUT AS ASSIGNMENT", "----+"),
    ("CREATE AGGREGATE lab.total (integer) (SFUNC = int4pl, STYPE = integer)", "----+"),
    ("ANALYZE", "----+"),
];

/// Those that stand alone.
const ALONE: &[(&str, &str)] =
    &[("VACUUM lab.plain", "--+-+"), ("REINDEX SCHEMA lab", "--+-+"), ("CREATE INDEX CONCURRENTLY ON lab.plain (who)", "--+-+")];

both_mechanisms! {
    fn every_statement_is_for_those_whom_the_table_of_privileges_names(shop: fresh) {
        let people = lab(shop);
        let mut wrong = Vec::new();
        for (statement, expected) in MATRIX {
            let found = people.each_ref().map(|person| {
                person.run("BEGIN");
                let outcome = person.try_rows(statement);
                person.run("ROLLBACK");
                outcome
            });
            compare(statement, expected, &found, &mut wrong);
        }
        for (statement, expected) in ALONE {
            let found = people.each_ref().map(|person| person.try_rows(statement));
            compare(statement, expected, &found, &mut wrong);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn who_makes_something_owns_it_and_may_drop_it(shop: fresh) {
        let [nobody, holder, ..] = lab(shop);
        for (make, use_it, drop) in [
            ("CREATE TABLE lab.mine AS SELECT 7 AS n", "SELECT n FROM lab.mine", "DROP TABLE lab.mine"),
            ("CREATE VIEW lab.mine AS SELECT 7 AS n", "SELECT n FROM lab.mine", "DROP VIEW lab.mine"),
            ("CREATE MATERIALIZED VIEW lab.mine AS SELECT 7 AS n", "SELECT n FROM lab.mine", "DROP MATERIALIZED VIEW lab.mine"),
            ("CREATE SEQUENCE lab.mine START 7", "SELECT nextval('lab.mine')", "DROP SEQUENCE lab.mine"),
            ("CREATE TYPE lab.mine AS ENUM ('7')", "SELECT '7'::lab.mine", "DROP TYPE lab.mine"),
            ("CREATE DOMAIN lab.mine AS integer", "SELECT 7::lab.mine", "DROP DOMAIN lab.mine"),
            ("CREATE FUNCTION lab.mine() RETURNS integer LANGUAGE sql AS 'SELECT 7'", "SELECT lab.mine()", "DROP FUNCTION lab.mine()"),
        ] {
            holder.run(make);
            let outcome = holder.try_rows(use_it).map(|rows| rows[0][0].clone());
            assert_eq!(outcome.as_deref().ok(), Some("7"), "{make}: {outcome:?}");
            assert_eq!(nobody.try_rows(drop).expect_err(drop).code, "42501", "{drop}");
            holder.run(drop);
        }
    }
}

/// A schema to play in, and those who play: nobody, holder, owner, manager, administrator.
fn lab(shop: &Shop) -> [Client; 5] {
    let admin = shop.admin();
    for statement in [
        "CREATE SCHEMA lab",
        "CREATE SCHEMA elsewhere",
        "ALTER SCHEMA lab OWNER TO \"hana@example.com\"",
        "GRANT CREATE ON SCHEMA elsewhere TO users",
        "GRANT CREATE ON SCHEMA lab TO \"bob@example.com\"",
        "GRANT CREATE_NAMED_FUNCTION ON SCHEMA lab TO \"bob@example.com\"",
        "GRANT MANAGE ON SCHEMA lab TO bi_tool",
    ] {
        admin.run(statement);
    }
    let owner = shop.hana();
    for statement in [
        "CREATE TABLE lab.plain (id integer PRIMARY KEY, n integer, who text)",
        "INSERT INTO lab.plain VALUES (1, 10, 'a'), (2, 20, 'b')",
        "CREATE INDEX plain_n ON lab.plain (n)",
        "CREATE TABLE lab.loose (LIKE lab.plain)",
        "CREATE TABLE lab.hidden (id integer PRIMARY KEY, n integer)",
        "INSERT INTO lab.hidden VALUES (1, 10), (2, 20)",
        "ALTER TABLE lab.hidden SET ROW FILTER (n > 10)",
        "CREATE VIEW lab.look AS SELECT id FROM lab.plain",
        "CREATE MATERIALIZED VIEW lab.kept AS SELECT 1 AS one",
        "CREATE SEQUENCE lab.counter",
        "CREATE TYPE lab.mood AS ENUM ('a')",
        "CREATE DOMAIN lab.positive AS integer",
        "CREATE FUNCTION lab.twice(x integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * x'",
    ] {
        owner.run(statement);
    }
    for table in ["TABLE lab.plain", "TABLE lab.loose", "TABLE lab.hidden", "VIEW lab.look", "VIEW lab.kept", "TABLE lab.counter"] {
        admin.run(&format!("GRANT MODIFY ON {table} TO \"bob@example.com\""));
    }
    [shop.ivan(), shop.bob(), owner, shop.connect("bi_tool"), admin]
}

fn compare(
    statement: &str,
    expected: &str,
    found: &[Result<Vec<Vec<String>>, crate::harness::Refusal>; 5],
    wrong: &mut Vec<String>,
) {
    for ((who, wanted), outcome) in ["nobody", "holder", "owner", "manager", "admin"].iter().zip(expected.chars()).zip(found) {
        match (wanted, outcome) {
            ('+', Ok(_)) => {}
            ('-', Err(refusal)) if refusal.code == "42501" => {}
            (_, outcome) => wrong.push(format!("{statement} by {who}: {wanted} wanted, {outcome:?}")),
        }
    }
}
