//! A token of the scope `sql:read` reads, whatever its principal may do: by the analysis, and by PostgreSQL for what that cannot see.

use crate::harness::{ADMIN, Client, Shop, both_mechanisms, until};

const LACKS: &str = "permission denied: the token lacks the scope \"sql\"";

/// Somebody who may do everything, with a token that may only read.
fn reader(shop: &Shop) -> Client {
    shop.try_connect(ADMIN, &shop.make_token(ADMIN, "SCOPES (sql:read, admin)")).expect("good for reading")
}

fn lacks(reader: &Client, sql: &str) {
    let refusal = reader.refused(sql, "42501");
    assert_eq!(refusal.message, LACKS, "{sql}");
    assert!(refusal.detail.is_some_and(|detail| detail.contains("\"sql:read\"")), "{sql}");
}

both_mechanisms! {
    fn whatever_writes_is_refused_to_a_token_for_reading(shop: fresh) {
        let (admin, reader) = (shop.admin(), reader(shop));
        for sql in [
            "CREATE SEQUENCE public.counter",
            "CREATE TABLE public.plain (n integer)",
            "CREATE FUNCTION public.puts(n integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS 'BEGIN INSERT INTO public.plain VALUES (n); RETURN n; END'",
            "CREATE FUNCTION public.adds(s integer, n integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS 'BEGIN INSERT INTO public.plain VALUES (n); RETURN n; END'",
            "CREATE FUNCTION public.harmless() RETURNS integer LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END'",
        ] {
            admin.run(sql);
        }
        shop.truth().run("CREATE AGGREGATE public.puts_all(integer) (SFUNC = public.adds, STYPE = integer)");
        until("the aggregate to be known", || admin.try_rows("SELECT puts_all(1)").ok());
        admin.run("DELETE FROM plain");
        // Somebody who may write has had the same texts analysed before.
        for sql in ["UPDATE plain SET n = 2", "SELECT puts(1)", "NOTIFY somebody", "DELETE FROM plain"] {
            admin.run(sql);
            lacks(&reader, sql);
        }
        for sql in [
            "INSERT INTO plain VALUES (1)",
            "UPDATE plain SET n = 2",
            "DELETE FROM plain",
            "MERGE INTO plain AS p USING (VALUES (1)) AS v (n) ON p.n = v.n WHEN NOT MATCHED THEN INSERT VALUES (v.n)",
            "WITH put AS (INSERT INTO plain VALUES (1) RETURNING n) SELECT n FROM put",
            "TRUNCATE plain",
            "SELECT * FROM plain FOR UPDATE",
            "SELECT * FROM plain FOR KEY SHARE",
            "LOCK TABLE plain",
            "COPY plain FROM STDIN",
            "COPY (DELETE FROM plain RETURNING n) TO STDOUT",
            "EXPLAIN ANALYZE DELETE FROM plain",
            "PREPARE put AS INSERT INTO plain VALUES (1)",
            "SELECT * INTO made FROM plain",
            "CREATE TABLE made AS SELECT 1",
            "CREATE TEMPORARY TABLE made (n integer)",
            "CREATE TEMPORARY SEQUENCE made",
            "CREATE VIEW made AS SELECT 1",
            "CREATE INDEX ON plain (n)",
            "CREATE FUNCTION made() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "ALTER TABLE plain ADD COLUMN o integer",
            "DROP TABLE plain",
            "COMMENT ON TABLE plain IS 'x'",
            "ANALYZE plain",
            "VACUUM plain",
            "DO $$ BEGIN INSERT INTO public.plain VALUES (1); END $$",
            "SELECT puts(1)",
            "SELECT harmless()",
            "SELECT puts_all(id) FROM orders",
            "SELECT nextval('counter')",
            "SELECT setval('counter', 9)",
            "NOTIFY somebody",
            "SELECT pg_notify('somebody', 'x')",
            "SELECT pg_read_file('PG_VERSION')",
            "SET TRANSACTION READ WRITE",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET default_transaction_read_only = off",
            "SET LOCAL transaction_read_only = 'false'",
            "RESET default_transaction_read_only",
            "SET transaction_read_only TO DEFAULT",
            "BEGIN READ WRITE",
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
            "SELECT set_config('default_transaction_read_only', 'off', false)",
            "SELECT set_config('transaction_read_only', 'off', true), 1",
            "GRANT SELECT ON TABLE plain TO users",
            "CREATE USER \"new@example.com\"",
            "CREATE TOKEN SCOPES (sql:read)",
            "REVOKE TOKEN 'none'",
            "ALTER TABLE plain SET ROW FILTER (n > 0)",
            "ALTER TABLE plain OWNER TO \"ana@example.com\"",
        ] {
            lacks(&reader, sql);
        }
        assert_eq!(shop.truth().one("SELECT count(*) FROM plain"), "0");
        assert_eq!(shop.truth().one("SELECT is_called FROM counter"), "f");
    }

    fn whatever_reads_is_as_ever(shop: fresh) {
        shop.admin().run("CREATE FUNCTION public.twice(n integer) RETURNS integer LANGUAGE sql STABLE AS 'SELECT 2 * n'");
        let reader = reader(shop);
        for sql in [
            "SELECT count(*) FROM orders",
            "SELECT twice(21)",
            "TABLE products",
            "VALUES (1)",
            "EXPLAIN SELECT 1",
            "BEGIN READ ONLY",
            "DECLARE c CURSOR FOR SELECT id FROM orders",
            "FETCH 2 FROM c",
            "CLOSE c",
            "SAVEPOINT s",
            "ROLLBACK TO s",
            "COMMIT",
            "PREPARE p AS SELECT count(*) FROM orders",
            "EXECUTE p",
            "DEALLOCATE p",
            "SET work_mem = '8MB'",
            "SET default_transaction_read_only = on",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SHOW work_mem",
            "RESET ALL",
            "LISTEN somebody",
            "UNLISTEN *",
            "DISCARD ALL",
            "SELECT relname FROM pg_class",
            "SHOW GRANTS ON TABLE orders",
            "SHOW TOKENS",
            "EXPLAIN ACCESS SELECT * FROM orders",
        ] {
            reader.run(sql);
        }
        assert_eq!(reader.rows("SHOW SESSION")[0][3], "sql:read, admin");
        assert_eq!(reader.one("SHOW transaction_read_only"), "on");
        // Beside the whole scope it means nothing.
        let whole = shop.try_connect(ADMIN, &shop.make_token(ADMIN, "SCOPES (sql:read, sql, admin)")).expect("good");
        whole.run("CREATE TABLE public.made (n integer)");
    }

    /// A function that says it changes nothing, and calls one that does: the analysis cannot see it, PostgreSQL can.
    fn what_a_function_hides_from_the_analysis_meets_a_transaction_that_is_read_only(shop: fresh) {
        let admin = shop.admin();
        for sql in [
            "CREATE TABLE public.plain (n integer)",
            "CREATE FUNCTION public.puts() RETURNS integer LANGUAGE plpgsql VOLATILE AS 'BEGIN INSERT INTO public.plain VALUES (1); RETURN 1; END'",
            "CREATE FUNCTION public.lies() RETURNS integer LANGUAGE plpgsql STABLE AS 'BEGIN RETURN public.puts(); END'",
            "CREATE FUNCTION public.turns() RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN set_config(''transaction_read_only'', ''off'', true) || public.puts(); END'",
            "SELECT lies()",
        ] {
            admin.run(sql);
        }
        let reader = reader(shop);
        for options in ["SELECT 1", "SET default_transaction_read_only = on", "RESET ALL", "DISCARD ALL"] {
            reader.run(options);
            reader.refused("SELECT lies()", "25006");
            reader.refused("SELECT turns()", "25001");
        }
        let mut config = tokio_postgres::Config::new();
        let token = shop.make_token(ADMIN, "SCOPES (sql:read, admin)");
        config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user(ADMIN).password(&token);
        config.options("-c default_transaction_read_only=off");
        Client::with(&config).expect("a login").refused("SELECT lies()", "25006");
        assert_eq!(shop.truth().one("SELECT count(*) FROM plain"), "1");
    }

    fn whoever_acts_for_somebody_by_a_token_for_reading_reads_too(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE SERVICE PRINCIPAL reader; GRANT ACT FOR USER \"ana@example.com\" TO reader; GRANT MODIFY ON TABLE orders TO \"ana@example.com\"");
        let (whole, part) = (shop.make_token("reader", ""), shop.make_token("reader", "SCOPES (sql:read)"));
        let anas = shop.make_token("ana@example.com", "SCOPES (sql:read)");
        for (token, person, reads) in [(&part, "ana@example.com", true), (&whole, anas.as_str(), true), (&whole, "ana@example.com", false)] {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user("reader").password(token);
            config.options(format!("-c pgusher.on_behalf_of={person}"));
            let ana = Client::with(&config).expect("a login");
            assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
            let sql = "UPDATE orders SET note = note WHERE id = 0";
            if reads { lacks(&ana, sql) } else { ana.run(sql) }
            assert_eq!(ana.rows("SHOW SESSION")[0][3], if reads { "sql:read" } else { "sql" });
        }
    }

    fn there_is_no_scope_of_another_name(shop: shared) {
        let admin = shop.admin();
        let refusal = admin.refused("CREATE TOKEN SCOPES (data)", "0A000");
        assert!(refusal.hint.is_some_and(|hint| hint.contains("HTTP API of rows")));
        admin.refused("CREATE TOKEN SCOPES (sql:write)", "0A000");
        // Nor does a token for reading make one that is for more.
        let narrow = shop.make_token("ana@example.com", "SCOPES (sql)");
        shop.try_connect("ana@example.com", &narrow).expect("good").refused("CREATE TOKEN", "42501");
    }
}
