//! What only some versions of PostgreSQL have: it works where the upstream has it, and under policies like everything else.

use crate::harness::{Client, Shop, both_mechanisms, until};

const ANA: &str = "\"ana@example.com\"";

/// The statement works from a version on; before, PostgreSQL's own refusal comes back.
fn since(shop: &Shop, client: &Client, major: u32, sql: &str, answer: &str) {
    if shop.upstream.major() >= major {
        assert_eq!(client.one(sql), answer, "{sql}");
    } else {
        let refusal = client.try_rows(sql).expect_err(sql);
        assert!(matches!(refusal.code.as_str(), "42601" | "42883" | "42P01" | "42703" | "42704"), "{sql}: {refusal}");
    }
}

both_mechanisms! {
    fn functions_of_each_version_can_be_called(shop: shared) {
        let ana = shop.ana();
        for (major, sql, answer) in [
            (14, "SELECT date_bin('15 minutes', timestamp '2020-02-11 15:44:17', timestamp '2001-01-01')", "2020-02-11 15:30:00"),
            (14, "SELECT unnest('{[1,2]}'::int4multirange)", "[1,3)"),
            (15, "SELECT regexp_count('aXbX', 'X')", "2"),
            (16, "SELECT any_value(1)", "1"),
            (16, "SELECT pg_input_is_valid('x', 'integer')", "f"),
            (16, "SELECT random_normal() IS NOT NULL", "t"),
            (16, "SELECT json_array(1, 2)", "[1, 2]"),
            (17, "SELECT to_bin(5)", "101"),
            (17, "SELECT random(3, 3)", "3"),
            (17, "SELECT json_value('{\"a\": 7}', '$.a')", "7"),
            (17, "SELECT x FROM json_table('[1,2]', '$[*]' COLUMNS (x int PATH '$')) ORDER BY x DESC LIMIT 1", "2"),
            (18, "SELECT uuid_extract_version(uuidv7())", "7"),
            (18, "SELECT casefold('ABC')", "abc"),
            (18, "SELECT array_reverse(ARRAY[1, 2])", "{2,1}"),
        ] {
            since(shop, &ana, major, sql, answer);
        }
    }

    /// OLD and NEW in RETURNING read the target, so they need SELECT on it.
    fn old_and_new_in_returning_read(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE public.drafts (id integer PRIMARY KEY, word text)");
        admin.run("INSERT INTO public.drafts VALUES (1, 'first')");
        admin.run(&format!("GRANT MODIFY ON TABLE drafts TO {ANA}"));
        let ana = shop.ana();
        for sql in [
            "UPDATE drafts SET word = 'x' RETURNING old.word", "UPDATE drafts SET word = 'x' RETURNING old.*", "UPDATE drafts SET word = 'x' RETURNING new",
            "DELETE FROM drafts RETURNING old.word", "INSERT INTO drafts VALUES (2, 'x') RETURNING new.word",
            "UPDATE drafts SET word = 'x' RETURNING WITH (OLD AS before) before.word",
        ] {
            ana.refused(sql, "42501");
        }
        admin.run(&format!("GRANT SELECT ON TABLE drafts TO {ANA}"));
        since(shop, &ana, 18, "UPDATE drafts SET word = 'second' RETURNING old.word || '>' || new.word", "first>second");
        since(shop, &ana, 18, "UPDATE drafts SET word = 'third' RETURNING WITH (OLD AS before) before.word", "second");
    }

    /// A generated column that is computed when it is read tells no more than those it is computed from.
    fn a_virtual_column_over_a_masked_one_is_masked(shop: fresh) {
        if shop.upstream.major() < 18 {
            return;
        }
        let (truth, admin, ana) = (shop.truth(), shop.admin(), shop.ana());
        truth.run("SET ROLE shop_owner; CREATE TABLE public.badges (id int, code text, shown text GENERATED ALWAYS AS (upper(code)) VIRTUAL, kept text GENERATED ALWAYS AS (upper(code)) STORED); INSERT INTO public.badges VALUES (1, 'secret'); RESET ROLE");
        until("the table to be found", || admin.try_rows("GRANT SELECT ON TABLE badges TO analysts").ok());
        admin.refused("ALTER TABLE badges ALTER COLUMN code SET MASK ('***')", "0A000");
        for column in ["shown", "kept", "code"] {
            admin.run(&format!("ALTER TABLE badges ALTER COLUMN {column} SET MASK ('***')"));
        }
        for sql in ["SELECT * FROM badges", "SELECT shown FROM badges", "SELECT kept FROM badges", "SELECT id FROM badges WHERE shown = 'SECRET'", "SELECT b FROM badges b"] {
            if let Ok(rows) = ana.try_rows(sql) {
                assert!(!format!("{rows:?}").to_lowercase().contains("secret") && !sql.contains("WHERE") | rows.is_empty(), "{sql}: {rows:?}");
            }
        }
        assert_eq!(ana.one("SELECT code FROM badges"), "***");
    }

    fn merge_returns_rows_since_17(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE public.stock (id integer PRIMARY KEY, n integer)");
        admin.run(&format!("GRANT SELECT, MODIFY ON TABLE stock TO {ANA}"));
        since(shop, &shop.ana(), 17, "MERGE INTO stock s USING (VALUES (1, 5)) v(id, n) ON s.id = v.id WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.n) RETURNING merge_action()", "INSERT");
    }
}
