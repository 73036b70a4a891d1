//! Class 16: settings, roles and replays that would make one somebody else. Class 15: administrators' commands without being one.

use super::{all_refused, keeps_secrets};
use crate::harness::both_mechanisms;

both_mechanisms! {
    /// Nothing that a session can say changes who it is.
    fn one_stays_who_one_is(shop: shared) {
        let ana = shop.ana();
        for statement in [
            "SET ROLE postgres", "SET ROLE pgusher_owner", "SET ROLE 'pgusher_control'", "SET LOCAL ROLE shop_owner", "SET ROLE NONE", "RESET ROLE",
            "SET SESSION AUTHORIZATION postgres", "SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION",
            "SET \"role\" = 'postgres'", "SET U&\"r\\006fle\" = 'postgres'", "SET session_authorization TO 'postgres'",
            "SELECT set_config('role', 'postgres', false)", "SELECT pg_catalog.set_config('session_authorization', 'postgres', false)",
            "SELECT set_config(x, 'postgres', false) FROM (VALUES ('role')) v(x)",
            "UPDATE pg_settings SET setting = 'postgres' WHERE name = 'role'",
            "UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'row_security'",
            "ALTER ROLE pgusher_session SET role = 'postgres'", "ALTER USER CURRENT_USER SUPERUSER", "ALTER ROLE CURRENT_ROLE NOINHERIT",
            "SET pgusher.session = '1'", "SET app.user = 'hana@example.com'", "SELECT set_config('app.user', 'hana@example.com', false)",
            "DISCARD ALL", "DISCARD SEQUENCES", "RESET ALL", "SET row_security = off", "SET TRANSACTION READ ONLY",
            "SELECT pgusher.attach('{\"principal\":1}', 'x')", "SELECT setval('pgusher.slot', 1, true)",
            "CREATE TEMP SEQUENCE slot", "CREATE FUNCTION pg_temp.current_user() RETURNS text LANGUAGE sql AS $$ SELECT 'hana@example.com' $$",
            "LOAD 'auto_explain'", "SET session_preload_libraries = 'x'", "SET local_preload_libraries = 'x'",
        ] {
            let _ = ana.try_rows(statement);
            let _ = ana.try_rows("ROLLBACK");
            assert_eq!(ana.one("SELECT current_user"), "ana@example.com", "after {statement}");
            assert_eq!(ana.column("SELECT DISTINCT region FROM orders"), ["EMEA"], "after {statement}");
            assert_eq!(ana.one("SELECT is_member('hr')"), "f", "after {statement}");
            assert_eq!(ana.one("SELECT max(salary) FROM employees"), "0", "after {statement}");
        }
    }

    /// Statements that name upstream roles or make one an administrator are refused, not merely without effect.
    fn becoming_another_role_is_refused(shop: shared) {
        for client in [shop.ana(), shop.ivan(), shop.connect("bi_tool")] {
            all_refused(&client, &[
                "SET ROLE postgres",
                "SET SESSION AUTHORIZATION postgres",
                "SET LOCAL SESSION AUTHORIZATION postgres",
                "SELECT set_config('role', 'postgres', false)",
                "CREATE ROLE eve SUPERUSER",
                "GRANT pg_read_all_data TO pgusher_session",
                "GRANT postgres TO pgusher_session",
                "ALTER ROLE pgusher_session SUPERUSER",
                "CREATE USER MAPPING FOR CURRENT_USER SERVER x",
            ], &["42501", "0A000", "42601", "42704"]);
        }
    }

    /// Class 15: each governance command by somebody who may not govern.
    fn governance_needs_the_right_to_govern(shop: shared) {
        for client in [shop.ivan(), shop.connect("bi_tool")] {
            all_refused(&client, &[
                "GRANT SELECT ON TABLE employees TO interns", "GRANT ALL PRIVILEGES ON CATALOG TO interns", "GRANT MANAGE ON SCHEMA public TO interns",
                "REVOKE SELECT ON TABLE orders FROM analysts", "MSCK REPAIR TABLE orders PRIVILEGES",
                "ALTER TABLE employees OWNER TO interns", "ALTER SCHEMA public OWNER TO interns", "ALTER VIEW recent_orders OWNER TO interns",
                "CREATE USER eve", "DROP USER \"bob@example.com\"", "ALTER USER \"bob@example.com\" DISABLE",
                "CREATE SERVICE PRINCIPAL eve", "DROP SERVICE PRINCIPAL bi_tool",
                "CREATE GROUP eves", "DROP GROUP hr", "ALTER GROUP admins ADD USER \"ivan@example.com\"", "ALTER GROUP hr ADD GROUP interns", "ALTER GROUP hr DROP USER \"hana@example.com\"",
                "CREATE TOKEN FOR \"admin@example.com\"", "SHOW TOKENS FOR \"admin@example.com\"",
                "ALTER TABLE orders SET ROW FILTER (true)", "ALTER TABLE orders DROP ROW FILTER",
                "ALTER TABLE employees ALTER COLUMN ssn SET MASK (ssn)", "ALTER TABLE employees ALTER COLUMN ssn DROP MASK",
                "ALTER TABLE orders SET FILTER MECHANISM VIEW", "SHOW GRANTS \"bob@example.com\"", "SHOW ACCESS ON TABLE employees",
                "EXPLAIN ACCESS FOR \"bob@example.com\" SELECT * FROM employees",
            ], &["42501"]);
            keeps_secrets(shop, &client, &["SELECT * FROM employees"]);
        }
    }

    /// Two people one after the other, many times: an identity never sticks to a connection.
    fn connections_carry_nobody_over(shop: shared) {
        for _ in 0..10 {
            for (user, regions) in [("ana@example.com", "{EMEA}"), ("bob@example.com", "{AMER}"), ("hana@example.com", "{AMER,APAC,EMEA}")] {
                let client = shop.connect(user);
                assert_eq!(client.rows("SELECT current_user, array_agg(DISTINCT region ORDER BY region) FROM orders"), [[user, regions]]);
            }
        }
    }
}
