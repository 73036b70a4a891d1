//! Writes into governed tables: what is stored, what is told, and what is refused, where a shadow would not know.

use crate::harness::{Client, Mechanism, NULL, Shop, both_mechanisms};

/// A table with a filter (owner) and masks (pay, code), ten rows, five of them ana's.
fn governed(shop: &Shop, masked: bool) -> Client {
    let admin = shop.admin();
    shop.truth().run(
        "SET ROLE shop_owner; CREATE TABLE public.g (id integer PRIMARY KEY, owner text NOT NULL, name text, pay integer DEFAULT 7, code text UNIQUE, badge integer UNIQUE);
         INSERT INTO public.g SELECT n, CASE WHEN n % 2 = 1 THEN 'ana' ELSE 'bob' END, 'name' || n, 1000 + n, 'real' || n, 100 + n FROM generate_series(1, 10) n",
    );
    admin.run("ALTER TABLE g SET ROW FILTER (owner = split_part(current_user(), '@', 1))");
    if masked {
        admin.run("ALTER TABLE g ALTER COLUMN pay SET MASK (1)");
        admin.run("ALTER TABLE g ALTER COLUMN code SET MASK ('c' || id)");
    }
    admin.run("GRANT SELECT, MODIFY ON TABLE g TO \"ana@example.com\"");
    shop.ana()
}

const VIOLATION: &str = "new row violates row-level security policy for table \"g\"";

both_mechanisms! {
    fn what_is_written_is_stored_and_told_as_the_mask(shop: fresh) {
        let (ana, truth) = (governed(shop, true), shop.truth());
        let raw = |id: i32| truth.rows(&format!("SELECT pay, code, name FROM g WHERE id = {id}")).swap_remove(0);
        assert_eq!(ana.rows("INSERT INTO g VALUES (11, 'ana', 'n', 50, 'x11', 1) RETURNING *"), [["11", "ana", "n", "1", "c11", "1"]]);
        assert_eq!(raw(11), ["50", "x11", "n"]);
        assert_eq!(ana.rows("UPDATE g SET pay = 60, code = 'x' || code WHERE id = 11 RETURNING pay, code, (SELECT g.code)"), [["1", "c11", "c11"]]);
        assert_eq!(raw(11), ["60", "xc11", "n"]);
        assert_eq!(ana.rows("UPDATE g SET pay = DEFAULT, (code, name) = (DEFAULT, DEFAULT) WHERE id = 11 RETURNING pay, name"), [["1", NULL]]);
        assert_eq!(raw(11), ["7", NULL, NULL]);
        assert_eq!(ana.rows("DELETE FROM g WHERE id = 11 RETURNING g.*, pay + 1"), [["11", "ana", NULL, "1", "c11", "1", "2"]]);
        assert_eq!(ana.copy_out("COPY (UPDATE g SET name = code WHERE id = 1 RETURNING *) TO STDOUT (FORMAT csv)"), "1,ana,c1,1,c1,101\n");
        assert_eq!(ana.copy_out("COPY (INSERT INTO g VALUES (12, 'ana', 'n', 50, 'x12', 2) RETURNING pay, code) TO STDOUT"), "1\tc12\n");
        assert_eq!(raw(12), ["50", "x12", "n"]);
    }

    fn rows_outside_the_filter_are_refused_as_row_security_refuses_them(shop: fresh) {
        for masked in [false, true] {
            let shop = &Shop::fresh(shop.mechanism);
            let (ana, truth) = (governed(shop, masked), shop.truth());
            let before = truth.one("SELECT md5(string_agg(g::text, ',' ORDER BY id)) FROM g");
            for sql in [
                "INSERT INTO g VALUES (21, 'bob', 'n')",
                "INSERT INTO g SELECT 20 + n, CASE WHEN n = 3 THEN 'bob' ELSE 'ana' END FROM generate_series(1, 3) n",
                "UPDATE g SET owner = 'bob' WHERE id = 1",
                "UPDATE g SET (owner, name) = (SELECT 'bob', 'x')",
                "WITH n AS (INSERT INTO g VALUES (21, 'bob', 'n') RETURNING *) SELECT * FROM n",
                "INSERT INTO g VALUES (21, 'bob', 'n') ON CONFLICT (id) DO NOTHING",
            ] {
                let refusal = ana.refused(sql, "42501");
                assert_eq!((refusal.message.as_str(), refusal.detail, refusal.hint, refusal.position), (VIOLATION, None, None, None), "{sql}");
            }
            // Row 1 is there. Row security looks at all that is proposed, a view's CHECK OPTION at what goes in.
            let met = ana.try_rows("INSERT INTO g VALUES (1, 'bob', 'n') ON CONFLICT (id) DO NOTHING").map_err(|r| r.message);
            match shop.mechanism {
                Mechanism::View => assert_eq!(met, Ok(Vec::new())),
                Mechanism::Rls | Mechanism::Strict => assert_eq!(met, Err(VIOLATION.to_owned())),
            }
            let merge = "MERGE INTO g USING (VALUES (1)) s (v) ON g.id = s.v WHEN MATCHED THEN UPDATE SET owner = 'bob'";
            let refusal = ana.try_rows(merge).expect_err("a row of bob's");
            let told = (refusal.code.as_str(), refusal.message.as_str());
            assert!(told == ("42501", VIOLATION) || (refusal.code == "0A000" && (masked || shop.mechanism == Mechanism::View)), "{refusal}");
            for copy in ["COPY g (id, owner) FROM STDIN", "COPY g (id, owner) FROM STDIN WHERE id > 0"] {
                let refusal = ana.copy_in(copy, "31\tana\n32\tbob\n").expect_err("a row of bob's");
                assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("42501", VIOLATION));
            }
            assert_eq!(ana.affected("UPDATE g SET name = 'mine' WHERE owner = 'bob' OR id % 2 = 0"), 0);
            assert_eq!(ana.affected("DELETE FROM g WHERE id % 2 = 0"), 0);
            assert_eq!(truth.one("SELECT md5(string_agg(g::text, ',' ORDER BY id)) FROM g"), before);
        }
    }

    fn a_hidden_row_is_neither_taken_over_nor_told(shop: fresh) {
        let (ana, truth) = (governed(shop, true), shop.truth());
        assert!(ana.rows("INSERT INTO g (id, owner) VALUES (2, 'ana') ON CONFLICT (id) DO NOTHING RETURNING *").is_empty());
        for sql in ["INSERT INTO g (id, owner) VALUES (2, 'ana')", "INSERT INTO g (id, owner, badge) VALUES (41, 'ana', 102)", "UPDATE g SET badge = 104 WHERE id = 1", "UPDATE g SET code = 'real4' WHERE id = 1"] {
            let refusal = ana.refused(sql, "23505");
            assert_eq!((refusal.detail, refusal.context), (None, None), "{sql}");
        }
        for sql in [
            "INSERT INTO g (id, owner) VALUES (2, 'ana') ON CONFLICT (id) DO UPDATE SET owner = 'ana' RETURNING *",
            "INSERT INTO g (id, owner, badge) VALUES (41, 'ana', 102) ON CONFLICT ON CONSTRAINT g_badge_key DO UPDATE SET owner = 'ana', id = 77",
        ] {
            let refusal = ana.try_rows(sql).expect_err("a hidden row is not given away");
            assert_eq!(refusal.code, if shop.mechanism == Mechanism::Rls { "42501" } else { "0A000" }, "{refusal}");
        }
        assert_eq!(truth.rows("SELECT owner, badge FROM g WHERE id = 2"), [["bob", "102"]]);
    }

    fn a_masked_column_says_nothing_about_the_values_that_are_there(shop: fresh) {
        let ana = governed(shop, true);
        for sql in [
            "INSERT INTO g (id, owner, code) VALUES (51, 'ana', 'real1') ON CONFLICT (code) DO NOTHING",
            "INSERT INTO g (id, owner, code) VALUES (51, 'ana', 'real1') ON CONFLICT ON CONSTRAINT g_code_key DO NOTHING",
            "INSERT INTO g (id, owner) VALUES (1, 'ana') ON CONFLICT (id) WHERE code = 'real1' DO NOTHING",
        ] {
            ana.refused(sql, "0A000");
        }
        if shop.mechanism == Mechanism::Rls {
            // What a default, and no value of the statement's, proposes stays hidden.
            ana.refused("INSERT INTO g (id, owner) VALUES (1, 'ana') ON CONFLICT (id) DO UPDATE SET name = excluded.pay", "0A000");
            assert_eq!(
                ana.rows("INSERT INTO g (id, owner, pay, code) VALUES (1, 'ana', 5, 'mine') ON CONFLICT (id) DO UPDATE SET pay = excluded.pay, code = excluded.code, name = excluded.code RETURNING *"),
                [["1", "ana", "mine", "1", "c1", "101"]]
            );
            assert_eq!(shop.truth().rows("SELECT pay, code FROM g WHERE id = 1"), [["5", "mine"]]);
        }
        assert_eq!(ana.affected("UPDATE g SET name = 'found' WHERE code = 'real1' OR pay > 900"), 0);
    }

    fn copy_takes_every_format_into_a_governed_table(shop: fresh) {
        let (ana, truth) = (governed(shop, true), shop.truth());
        assert_eq!(ana.copy_in("COPY g FROM STDIN", "61\tana\tn\t5\tx61\t61\n").expect("text"), 1);
        assert_eq!(ana.copy_in("COPY g (code, owner, id) FROM STDIN WITH (FORMAT csv, HEADER match, NULL 'nil')", "code,owner,id\nx62,ana,62\nnil,ana,63\n").expect("CSV"), 2);
        assert_eq!(ana.copy_in("COPY g (id, owner, pay) FROM STDIN WHERE pay > 5 AND id < 100", "64\tana\t9\n65\tbob\t3\n").expect("WHERE"), 1);
        assert_eq!(truth.rows("SELECT id, pay, code FROM g WHERE id > 60 ORDER BY id"), [["61", "5", "x61"], ["62", "7", "x62"], ["63", "7", NULL], ["64", "9", NULL]]);
        let refusal = ana.copy_in("COPY g (id, owner, pay) FROM STDIN", "66\tana\t1\n67\tana\tmany\n").expect_err("no number");
        assert_eq!((refusal.code.as_str(), refusal.context.as_deref()), ("22P02", Some("COPY g, line 2, column pay: \"many\"")), "{refusal}");
        assert_eq!(ana.copy_in("COPY g (id, nosuch) FROM STDIN", "1\t1\n").expect_err("no column").code, "42703");
        assert_eq!(ana.copy_in("COPY g (id) FROM STDIN WHERE pay > 5", "1\n").expect_err("not copied").code, "0A000");
        let refusal = ana.copy_in("COPY g (id, owner) FROM STDIN", "2\tana\n").expect_err("a hidden row is there");
        assert_eq!((refusal.code.as_str(), refusal.detail, refusal.context), ("23505", None, None));
        assert_eq!(truth.one("SELECT count(*) FROM g WHERE id > 60"), "4");
    }

    fn an_array_or_a_field_of_a_masked_column_is_not_written_in_part(shop: fresh) {
        let (admin, ana) = (shop.admin(), governed(shop, false));
        admin.run("ALTER TABLE g ADD COLUMN list integer[]");
        admin.run("ALTER TABLE g ALTER COLUMN list SET MASK (NULL)");
        ana.refused("UPDATE g SET list[1] = 2", "0A000");
        assert_eq!(ana.affected("UPDATE g SET list = '{2}' WHERE id = 1"), 1);
        ana.refused("UPDATE g SET name = 'x' WHERE id = 1 RETURNING g", "0A000");
    }

    fn columns_of_what_is_returned_are_the_tables(shop: fresh) {
        let (ana, truth) = (governed(shop, true), shop.truth());
        for sql in ["UPDATE g SET name = 'x' WHERE id = 1 RETURNING *", "DELETE FROM g WHERE false RETURNING id, code", "INSERT INTO g VALUES (9, 'ana') ON CONFLICT DO NOTHING RETURNING g.*, pay AS p", "SELECT id, tableoid FROM g FOR UPDATE"] {
            let columns = |client: &Client| {
                let statement = client.prepare(sql);
                statement.columns().iter().map(|c| (c.name().to_string(), c.type_().clone(), c.table_oid(), c.column_id())).collect::<Vec<_>>()
            };
            assert_eq!(columns(&ana), columns(&truth), "{sql}");
        }
    }

    fn a_lock_on_a_masked_table_needs_modify_and_holds(shop: fresh) {
        let ana = governed(shop, true);
        shop.admin().run("GRANT SELECT ON TABLE g TO \"ivan@example.com\"");
        shop.ivan().refused("SELECT * FROM g FOR SHARE", "42501");
        ana.run("BEGIN");
        assert_eq!(ana.rows("SELECT pay, code FROM g WHERE id = 1 FOR UPDATE"), [["1", "c1"]]);
        shop.truth().refused("SELECT 1 FROM g WHERE id = 1 FOR UPDATE NOWAIT", "55P03");
        shop.truth().run("SELECT 1 FROM g WHERE id = 2 FOR UPDATE NOWAIT");
        ana.run("ROLLBACK");
    }
}
