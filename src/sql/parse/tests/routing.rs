use super::super::route::{Route, route, split_statements};

#[test]
fn governance_is_known_by_its_first_words() {
    for text in [
        "GRANT SELECT ON TABLE t TO `ann@example.com`",
        "/* x */ grant select on t to public",
        "REVOKE ALL ON t FROM u",
        "REVOKE TOKEN 'x'",
        "DENY SELECT ON t TO u",
        "MSCK REPAIR DATABASE s PRIVILEGES",
        "SHOW GRANTS",
        "show grants `a` on table t",
        "SHOW EFFECTIVE GRANTS u ON t",
        "SHOW USERS",
        "SHOW ACTORS FOR a",
        "SHOW AUDIT",
        "SHOW SESSION",
        "SHOW SESSIONS",
        "SHOW POOLS",
        "show stats",
        "GRANT ACT FOR USER a TO b",
        "SHOW SERVICE PRINCIPALS",
        "SHOW ROW FILTERS",
        "SHOW ACCESS ON TABLE t",
        "CREATE USER \"ann@example.com\"",
        "CREATE GROUP g",
        "CREATE SERVICE PRINCIPAL p",
        "CREATE TOKEN FOR u LIFETIME '1 day'",
        "CREATE POLICY p ON TABLE t ROW FILTER f TO g FOR TABLES",
        "DROP USER u",
        "DESCRIBE POLICY p",
        "ALTER GROUP g ADD USER u",
        "ALTER USER u DISABLE",
        "ALTER SCHEMA s OWNER TO u",
        "ALTER TABLE `my table`.`x` OWNER TO `ann`",
        "ALTER FUNCTION s.f(int, numeric(3, 2)) OWNER TO u",
        "ALTER TABLE s.t SET ROW FILTER f ON (a)",
        "ALTER TABLE ONLY t DROP ROW FILTER",
        "ALTER TABLE t SET FILTER MECHANISM VIEW",
        "ALTER TABLE t ALTER COLUMN c SET MASK (NULL)",
        "ALTER TABLE t ALTER c DROP MASK",
        "SET TAG ON COLUMN t.c pii = 'x'",
        "UNSET TAG ON TABLE t pii",
        "EXPLAIN ACCESS FOR u SELECT 1",
    ] {
        assert_eq!(route(text), Route::Governance, "{text}");
    }
}

#[test]
fn everything_else_is_postgresqls() {
    for text in [
        "",
        "SELECT 1",
        "SHOW search_path",
        "SHOW ALL",
        "SHOW grants.x",
        "SHOW role",
        "SHOW SESSION AUTHORIZATION",
        "SHOW session.x",
        "CREATE USER MAPPING FOR u SERVER s",
        "DROP USER MAPPING FOR u SERVER s",
        "CREATE ROLE r",
        "CREATE TABLE t ()",
        "CREATE OR REPLACE VIEW v AS SELECT 1",
        "ALTER TABLE t ADD COLUMN c int",
        "ALTER TABLE t ALTER COLUMN c SET DEFAULT 1",
        "ALTER TABLE t ALTER c DROP NOT NULL",
        "ALTER TABLE t DROP tag",
        "ALTER TABLE t SET (fillfactor = 10)",
        "ALTER SEQUENCE s OWNED BY t.c",
        "ALTER FUNCTION f() SET search_path = a",
        "SET tag = 1",
        "SET search_path TO grants",
        "EXPLAIN SELECT 1",
        "\"grant\" x",
        "'GRANT'",
    ] {
        assert_eq!(route(text), Route::Sql, "{text}");
    }
}

#[test]
fn a_mixed_text_is_cut_at_top_level_semicolons() {
    let text = "BEGIN; GRANT SELECT ON t TO `a;b`;; SELECT ';' /* ; */ ; -- ;\n COMMIT;";
    let pieces: Vec<_> = split_statements(text).into_iter().map(|r| text[r].trim()).collect();
    assert_eq!(pieces, ["BEGIN", "GRANT SELECT ON t TO `a;b`", "SELECT ';' /* ; */", "-- ;\n COMMIT"]);
}

#[test]
fn bodies_of_functions_and_rules_stay_whole() {
    let text = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END; SHOW GRANTS";
    assert_eq!(split_statements(text).len(), 2);
    let text = "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 1";
    assert_eq!(split_statements(text).len(), 2);
}

#[test]
fn a_text_without_statements_has_no_pieces() {
    assert_eq!(split_statements(" ; /* x */ ;; -- y"), Vec::<std::ops::Range<usize>>::new());
}
