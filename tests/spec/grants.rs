//! Grants: default deny, what each privilege opens, what a refusal says, and when a change takes effect.

use crate::harness::{every_mechanism, until};

every_mechanism! {
    fn without_a_grant_nothing_is_read(shop: shared) {
        let ivan = shop.ivan();
        let refusal = ivan.refused("SELECT * FROM employees", "42501");
        assert_eq!(refusal.message, "permission denied for table employees");
        let detail = refusal.detail.expect("a DETAIL names what is missing");
        assert!(detail.contains("SELECT") && detail.contains("employees"), "{detail}");
        assert!(refusal.hint.is_some(), "a HINT says who can grant it");
        // What cannot be told apart is not told apart: the same text for any way of reading it.
        ivan.refused("SELECT count(*) FROM employees", "42501");
        ivan.refused("SELECT 1 FROM regions WHERE EXISTS (SELECT FROM employees)", "42501");
        ivan.refused("WITH e AS (SELECT * FROM employees) SELECT 1", "42501");
    }

    fn a_missing_table_is_told_from_a_forbidden_one(shop: shared) {
        let ivan = shop.ivan();
        assert_eq!(ivan.refused("SELECT * FROM emplyees", "42P01").message, "relation \"emplyees\" does not exist");
        ivan.refused("SELECT * FROM employees", "42501");
        ivan.refused("SELECT * FROM nowhere.employees", "42P01");
        assert_eq!(ivan.refused("SELECT nosuch FROM regions", "42703").hint, None, "no near-miss hints");
    }

    fn everybody_may_what_users_may(shop: shared) {
        for person in [shop.ana(), shop.ivan(), shop.connect("bi_tool")] {
            assert_eq!(person.one("SELECT count(*) FROM regions"), "3");
        }
    }

    fn a_grant_through_nested_groups_counts(shop: shared) {
        let truth = shop.truth().one("SELECT count(*) FROM orders WHERE region = 'EMEA'");
        assert_eq!(shop.ana().one("SELECT count(*) FROM orders"), truth);
    }

    fn select_does_not_let_one_write_nor_modify_read(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        let refusal = ivan.refused("UPDATE products SET price = 1", "42501");
        assert!(refusal.detail.expect("a DETAIL").contains("MODIFY"));
        ivan.refused("INSERT INTO products VALUES (1000, 'SKU', 'Stool', 1)", "42501");
        ivan.refused("DELETE FROM products", "42501");
        admin.run("GRANT MODIFY ON TABLE region_desk TO \"ivan@example.com\"");
        ivan.run("INSERT INTO region_desk VALUES ('ivan@example.com', 'APAC')");
        ivan.refused("SELECT * FROM region_desk", "42501");
        ivan.refused("DELETE FROM region_desk WHERE principal = 'ivan@example.com'", "42501");
        ivan.refused("INSERT INTO region_desk VALUES ('x', 'APAC') RETURNING principal", "42501");
        admin.run("GRANT SELECT ON TABLE region_desk TO \"ivan@example.com\"");
        assert_eq!(ivan.affected("DELETE FROM region_desk WHERE principal = 'ivan@example.com'"), 1);
    }

    fn a_grant_works_for_the_next_statement_of_an_open_session(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        ivan.refused("SELECT count(*) FROM employees", "42501");
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
        admin.run("REVOKE SELECT ON TABLE employees FROM \"ivan@example.com\"");
        ivan.refused("SELECT count(*) FROM employees", "42501");
    }

    fn a_grant_that_is_rolled_back_leaves_nothing(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("BEGIN");
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        assert!(!admin.rows("SHOW GRANTS \"ivan@example.com\" ON TABLE employees").is_empty(), "seen in its own transaction");
        ivan.refused("SELECT count(*) FROM employees", "42501");
        admin.run("ROLLBACK");
        ivan.refused("SELECT count(*) FROM employees", "42501");
        assert!(admin.rows("SHOW GRANTS \"ivan@example.com\" ON TABLE employees").is_empty());
        admin.run("BEGIN");
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        admin.run("COMMIT");
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
    }

    fn a_grant_on_a_schema_covers_what_is_in_it_now_and_later(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("GRANT SELECT ON SCHEMA public TO \"ivan@example.com\"");
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
        admin.run("CREATE TABLE public.later (n integer)");
        assert_eq!(ivan.one("SELECT count(*) FROM later"), "0");
        admin.run("REVOKE SELECT ON SCHEMA public FROM \"ivan@example.com\"");
        ivan.refused("SELECT count(*) FROM later", "42501");
    }

    fn a_revoke_is_exact(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("GRANT SELECT ON SCHEMA public TO \"ivan@example.com\"");
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        admin.run("REVOKE SELECT ON SCHEMA public FROM \"ivan@example.com\"");
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
        ivan.refused("SELECT count(*) FROM region_desk", "42501");
    }

    fn all_privileges_are_everything_but_manage(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("GRANT ALL PRIVILEGES ON TABLE products TO \"ivan@example.com\"");
        assert_eq!(ivan.affected("UPDATE products SET price = 2 WHERE id = 1"), 1);
        ivan.refused("GRANT SELECT ON TABLE products TO \"bob@example.com\"", "42501");
        admin.run("GRANT MANAGE ON TABLE products TO \"ivan@example.com\"");
        ivan.run("GRANT MODIFY ON TABLE products TO \"bob@example.com\"");
        assert_eq!(shop.bob().affected("UPDATE products SET price = 3 WHERE id = 1"), 1);
    }

    fn an_owner_may_everything_on_what_he_owns(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("ALTER TABLE region_desk OWNER TO interns");
        ivan.run("GRANT SELECT ON TABLE region_desk TO \"bob@example.com\"");
        assert_eq!(ivan.one("SELECT count(*) FROM region_desk"), "2");
        assert_eq!(shop.bob().one("SELECT count(*) FROM region_desk"), "2");
        admin.run("ALTER TABLE region_desk OWNER TO \"hana@example.com\"");
        ivan.refused("SELECT count(*) FROM region_desk", "42501");
    }

    fn only_who_may_govern_governs(shop: shared) {
        let ana = shop.ana();
        for statement in [
            "GRANT SELECT ON TABLE employees TO \"ana@example.com\"",
            "REVOKE SELECT ON TABLE orders FROM analysts",
            "ALTER TABLE orders DROP ROW FILTER",
            "ALTER TABLE employees ALTER COLUMN ssn DROP MASK",
            "ALTER TABLE orders SET ROW FILTER (true)",
            "ALTER TABLE employees ALTER COLUMN ssn SET MASK (ssn)",
            "ALTER GROUP hr ADD USER \"ana@example.com\"",
            "ALTER GROUP admins ADD USER \"ana@example.com\"",
            "CREATE USER \"eve@example.com\"",
            "DROP USER \"bob@example.com\"",
            "CREATE TOKEN FOR \"hana@example.com\"",
            "ALTER TABLE orders OWNER TO \"ana@example.com\"",
        ] {
            ana.refused(statement, "42501");
        }
    }

    fn leaving_a_group_takes_effect_on_open_sessions(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        ana.one("SELECT count(*) FROM orders");
        admin.run("ALTER GROUP emea_analysts DROP USER \"ana@example.com\"");
        ana.refused("SELECT count(*) FROM orders", "42501");
        admin.run("ALTER GROUP amer_analysts ADD USER \"ana@example.com\"");
        let amer = shop.truth().one("SELECT count(*) FROM orders WHERE region = 'AMER'");
        assert_eq!(ana.one("SELECT count(*) FROM orders"), amer, "grants and filters follow the new group");
    }

    fn a_prepared_statement_is_decided_anew_each_time(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("GRANT SELECT ON TABLE region_desk TO \"ivan@example.com\"");
        let prepared = ivan.prepare("SELECT principal FROM region_desk");
        ivan.run("PREPARE p AS SELECT principal FROM region_desk");
        assert_eq!(ivan.try_execute(&prepared, &[]).expect("granted").len(), 2);
        admin.run("REVOKE SELECT ON TABLE region_desk FROM \"ivan@example.com\"");
        assert_eq!(ivan.try_execute(&prepared, &[]).expect_err("revoked").code, "42501");
        ivan.refused("EXECUTE p", "42501");
        admin.run("GRANT SELECT ON TABLE region_desk TO \"ivan@example.com\"");
        assert_eq!(ivan.try_execute(&prepared, &[]).expect("granted again").len(), 2);
    }

    fn a_cursor_is_decided_anew_at_each_fetch(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("GRANT SELECT ON TABLE region_desk TO \"ivan@example.com\"");
        ivan.run("BEGIN; DECLARE c CURSOR FOR SELECT principal FROM region_desk ORDER BY 1");
        assert_eq!(ivan.column("FETCH 1 FROM c"), ["ana@example.com"]);
        admin.run("REVOKE SELECT ON TABLE region_desk FROM \"ivan@example.com\"");
        ivan.refused("FETCH 1 FROM c", "42501");
        ivan.refused("SELECT 1", "25P02");
        ivan.run("ROLLBACK");
    }

    fn a_change_made_by_another_proxy_is_seen(shop: fresh) {
        use crate::harness::{Client, Proxy, ProxySettings};
        let other = Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism));
        let ivan = Client::try_connect(other.port, &shop.database, "ivan@example.com", shop.token("ivan@example.com")).expect("the same store");
        ivan.refused("SELECT count(*) FROM employees", "42501");
        shop.admin().run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        until("the other proxy to hear of the grant", || ivan.try_rows("SELECT count(*) FROM employees").ok());
    }

    fn an_upstream_table_made_outside_is_found_and_denied(shop: fresh) {
        shop.truth().run("CREATE TABLE public.outside (n integer); INSERT INTO outside VALUES (1); ALTER TABLE outside OWNER TO shop_owner");
        let ivan = shop.ivan();
        until("the catalog watch to find the table", || ivan.try_rows("SELECT * FROM outside").err().filter(|r| r.code == "42501"));
        shop.admin().run("GRANT SELECT ON TABLE outside TO \"ivan@example.com\"");
        assert_eq!(ivan.one("SELECT n FROM outside"), "1");
    }

    fn a_table_made_anew_under_an_old_name_has_no_grants(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("CREATE TABLE public.scratch (n integer)");
        admin.run("GRANT SELECT ON TABLE scratch TO \"ivan@example.com\"");
        assert_eq!(ivan.one("SELECT count(*) FROM scratch"), "0");
        admin.run("ALTER TABLE scratch RENAME TO renamed");
        assert_eq!(ivan.one("SELECT count(*) FROM renamed"), "0", "a renamed table keeps its grants");
        admin.run("DROP TABLE renamed");
        admin.run("CREATE TABLE public.scratch (n integer)");
        ivan.refused("SELECT count(*) FROM scratch", "42501");
    }
}
