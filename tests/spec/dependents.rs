//! What depends on tables with filters and masks: governed or refused.

use crate::harness::{Client, Shop, every_mechanism, until};

/// As the role that owns the application's tables, behind pgusher's back.
fn behind(shop: &Shop, sql: &str) {
    shop.truth().run(&format!("SET ROLE shop_owner; {sql}"));
}

/// What everybody may read in the schema, found or not.
fn schema_reader(shop: &Shop) -> Client {
    shop.admin().run("GRANT SELECT ON SCHEMA public TO interns");
    shop.ivan()
}

/// Asks until the refusal comes; meanwhile nothing that `shown` forbids may come.
fn until_refused(client: &Client, sql: &str, code: &str) {
    until(&format!("{sql} to be refused with {code}"), || client.try_rows(sql).err().filter(|r| r.code == code));
}

every_mechanism! {
    fn every_owner_of_a_chain_of_views_must_hold_what_its_view_reads(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        for statement in [
            "CREATE VIEW public.v1 AS SELECT * FROM region_desk",
            "CREATE VIEW public.v2 AS SELECT * FROM v1",
            "CREATE VIEW public.v3 AS SELECT count(*) AS n FROM v2",
            "GRANT SELECT ON TABLE region_desk TO \"hana@example.com\"",
            "ALTER VIEW v1 OWNER TO \"hana@example.com\"",
            "GRANT SELECT ON VIEW v1 TO \"bob@example.com\"",
            "ALTER VIEW v2 OWNER TO \"bob@example.com\"",
            "GRANT SELECT ON VIEW v2 TO \"ana@example.com\"",
            "ALTER VIEW v3 OWNER TO \"ana@example.com\"",
            "GRANT SELECT ON VIEW v3 TO interns",
        ] {
            admin.run(statement);
        }
        let count = "SELECT n FROM v3";
        assert_eq!(ivan.one(count), "2");
        for (lost, back) in [
            ("REVOKE SELECT ON TABLE region_desk FROM \"hana@example.com\"", "GRANT SELECT ON TABLE region_desk TO \"hana@example.com\""),
            ("REVOKE SELECT ON VIEW v1 FROM \"bob@example.com\"", "GRANT SELECT ON VIEW v1 TO \"bob@example.com\""),
            ("ALTER USER \"ana@example.com\" DISABLE", "ALTER USER \"ana@example.com\" ENABLE"),
            ("ALTER USER \"hana@example.com\" DISABLE", "ALTER USER \"hana@example.com\" ENABLE"),
            ("ALTER VIEW v2 OWNER TO interns", "ALTER VIEW v2 OWNER TO \"bob@example.com\""),
        ] {
            admin.run(lost);
            ivan.refused(count, "42501");
            admin.run(back);
            assert_eq!(ivan.one(count), "2", "{back}");
        }
        admin.refused("DROP USER \"hana@example.com\"", "2BP01");
        ivan.refused("SELECT * FROM v2", "42501");
    }

    fn an_owner_that_is_a_group_holds_what_the_group_holds(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("CREATE VIEW public.desks AS SELECT * FROM region_desk");
        admin.run("ALTER VIEW desks OWNER TO hr");
        admin.run("GRANT SELECT ON VIEW desks TO interns");
        ivan.refused("SELECT * FROM desks", "42501");
        admin.run("GRANT SELECT ON TABLE region_desk TO hr");
        assert_eq!(ivan.one("SELECT count(*) FROM desks"), "2");
    }

    fn views_made_behind_our_back_over_views_partitions_and_recursion_are_governed(shop: fresh) {
        behind(shop, "CREATE VIEW public.b1 AS SELECT * FROM orders; CREATE VIEW public.b2 AS SELECT b1.id, b1.region, e.ssn FROM b1 JOIN employees e ON e.id = b1.customer_id % 200 + 1");
        behind(shop, "CREATE VIEW public.b3 AS SELECT * FROM shipments_2024; CREATE VIEW public.b5 AS WITH x AS MATERIALIZED (SELECT region, note FROM orders) SELECT * FROM x");
        behind(shop, "CREATE RECURSIVE VIEW public.b4 (id, manager_id, ssn) AS SELECT id, manager_id, ssn FROM employees WHERE manager_id IS NULL UNION ALL SELECT e.id, e.manager_id, e.ssn FROM employees e JOIN b4 ON b4.id = e.manager_id");
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        for view in ["b1", "b2", "b3", "b4", "b5"] {
            until("the view to be found", || admin.try_rows(&format!("GRANT SELECT ON VIEW {view} TO analysts")).ok());
        }
        assert_eq!(ana.column("SELECT DISTINCT region FROM b1"), ["EMEA"]);
        assert_eq!(ana.one("SELECT count(*) FROM b2"), truth.one("SELECT count(*) FROM b2 WHERE region = 'EMEA'"));
        assert_eq!(ana.one("SELECT count(*) FROM b2 WHERE ssn NOT LIKE '***%'"), "0");
        assert_eq!(ana.one("SELECT count(*) FROM b3"), truth.one("SELECT count(*) FROM b3 WHERE region = 'EMEA'"));
        assert_eq!(ana.rows("SELECT count(*), count(*) FILTER (WHERE ssn LIKE '***%') FROM b4"), [["200", "200"]]);
        assert_eq!(ana.column("SELECT DISTINCT region FROM b5"), ["EMEA"]);
        for write in ["UPDATE b1 SET note = 'x'", "DELETE FROM b1", "INSERT INTO b1 (id) VALUES (1)"] {
            admin.run("GRANT MODIFY ON VIEW b1 TO analysts");
            ana.refused(write, "0A000");
        }
    }

    fn a_view_that_is_replaced_behind_our_back_is_governed_when_it_is_found(shop: fresh) {
        behind(shop, "CREATE VIEW public.turn AS SELECT id, sku AS what FROM products");
        let (admin, ivan) = (shop.admin(), shop.ivan());
        until("the view to be found", || admin.try_rows("GRANT SELECT ON VIEW turn TO interns").ok());
        assert_eq!(ivan.one("SELECT count(*) FROM turn"), "300");
        behind(shop, "CREATE OR REPLACE VIEW public.turn AS SELECT id, ssn AS what FROM employees");
        until("the masks", || ivan.try_rows("SELECT what FROM turn").ok().filter(|rows| rows.len() == 200 && rows.iter().all(|r| r[0].starts_with("***"))));
    }

    fn security_invoker_views_ask_their_reader(shop: fresh) {
        if shop.upstream.major() < 15 {
            return;
        }
        behind(shop, "CREATE VIEW public.i1 WITH (security_invoker) AS SELECT region, note FROM orders; CREATE VIEW public.i2 WITH (security_invoker = 'TRUE') AS SELECT name, ssn FROM employees; CREATE VIEW public.i3 WITH (security_invoker = 'y') AS SELECT * FROM region_desk");
        let (admin, ana, ivan) = (shop.admin(), shop.ana(), shop.ivan());
        for view in ["i1", "i2", "i3"] {
            until("the view to be found", || admin.try_rows(&format!("GRANT SELECT ON VIEW {view} TO users")).ok());
        }
        assert_eq!(ana.column("SELECT DISTINCT region FROM i1"), ["EMEA"]);
        assert_eq!(ana.one("SELECT count(*) FROM i2 WHERE ssn LIKE '***%'"), "200");
        for view in ["i1", "i2", "i3"] {
            ivan.refused(&format!("SELECT * FROM {view}"), "42501");
        }
        admin.run("CREATE VIEW public.i4 WITH (security_invoker = on) AS SELECT region, note FROM orders");
        admin.run("GRANT SELECT ON VIEW i4 TO users");
        assert_eq!(ana.column("SELECT DISTINCT region FROM i4"), ["EMEA"]);
        ivan.refused("SELECT * FROM i4", "42501");
        admin.run("GRANT SELECT ON TABLE orders TO interns");
        assert_eq!(ivan.column("SELECT DISTINCT region FROM i4"), ["APAC"]);
    }

    fn an_updatable_view_writes_what_its_reader_may_see(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        admin.run("CREATE VIEW public.remarks AS SELECT id, region, note FROM orders");
        admin.run("GRANT SELECT, MODIFY ON VIEW remarks TO analysts");
        let others = "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o WHERE region <> 'EMEA'";
        let before = truth.one(others);
        let mine: u64 = truth.one("SELECT count(*) FROM orders WHERE region = 'EMEA'").parse().expect("a number");
        assert_eq!(ana.affected("UPDATE remarks SET note = 'seen'"), mine);
        ana.refused("UPDATE remarks SET region = 'AMER'", "42501");
        let hidden = truth.one("SELECT min(id) FROM orders WHERE region = 'AMER'");
        assert_eq!(ana.affected(&format!("DELETE FROM remarks WHERE id = {hidden}")), 0);
        assert_eq!(truth.one(others), before);
        admin.run("CREATE VIEW public.staff AS SELECT id, name, ssn FROM employees");
        admin.run("GRANT SELECT, MODIFY ON VIEW staff TO hr");
        let hana = shop.hana();
        assert_eq!(hana.affected("UPDATE staff SET name = 'New' WHERE id = 9"), 1);
        assert!(hana.try_rows("UPDATE staff SET ssn = '1' WHERE id = 9").is_err());
        ana.refused("UPDATE remarks SET note = (SELECT secret FROM pgusher.key)", "42501");
    }

    fn what_rules_write_and_read_is_refused(shop: fresh) {
        behind(shop, "CREATE TABLE public.box (id int, note text); CREATE RULE peek AS ON INSERT TO public.box DO INSTEAD SELECT id, ssn FROM public.employees");
        behind(shop, "CREATE TABLE public.log (what text); CREATE RULE log AS ON UPDATE TO public.orders DO ALSO INSERT INTO log VALUES (OLD.note)");
        behind(shop, "CREATE VIEW public.door AS SELECT id FROM public.products; CREATE RULE door AS ON INSERT TO public.door DO INSTEAD UPDATE public.orders SET note = 'gone'");
        let (admin, ana) = (shop.admin(), shop.ana());
        for (kind, name) in [("TABLE", "box"), ("VIEW", "door")] {
            until("it to be found", || admin.try_rows(&format!("GRANT SELECT, MODIFY ON {kind} {name} TO analysts")).ok());
        }
        ana.refused("INSERT INTO box VALUES (1, 'x')", "55000");
        let refusal = ana.try_rows("INSERT INTO door VALUES (1)").expect_err("it would write what she cannot see");
        assert!(["0A000", "55000"].contains(&refusal.code.as_str()), "{refusal}");
        ana.refused("UPDATE orders SET note = 'x'", "0A000");
        assert_eq!(ana.column("SELECT DISTINCT region FROM orders"), ["EMEA"]);
        assert_eq!(shop.truth().one("SELECT count(*) FROM log"), "0");
    }

    fn an_administrators_rule_writes_to_nothing_governed(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE TABLE public.box (id int, note text)");
        admin.run("CREATE TABLE public.log (what text)");
        admin.run("CREATE RULE keep AS ON INSERT TO box WHERE NEW.id > 0 DO ALSO (INSERT INTO log VALUES (NEW.note); UPDATE log SET what = upper(what))");
        admin.run("CREATE RULE told AS ON DELETE TO box DO ALSO NOTIFY boxes");
        admin.run("GRANT SELECT, MODIFY ON TABLE box TO analysts");
        ana.run("INSERT INTO box VALUES (1, 'one'), (0, 'none')");
        assert_eq!(admin.column("SELECT what FROM log"), ["ONE"]);
        ana.refused("SELECT * FROM log", "42501");
        ana.refused("CREATE RULE mine AS ON INSERT TO box DO INSTEAD NOTHING", "42501");
        for (rule, code) in [
            ("ON SELECT TO box DO INSTEAD SELECT 1, 'x'", "0A000"),
            ("ON UPDATE TO box DO ALSO UPDATE orders SET note = NEW.note", "0A000"),
            ("ON UPDATE TO box DO ALSO INSERT INTO log SELECT secret FROM pgusher.key", "42501"),
            ("ON UPDATE TO box DO ALSO NOTIFY pgusher_policy", "42501"),
            ("ON UPDATE TO box WHERE EXISTS (SELECT FROM pgusher.token) DO INSTEAD NOTHING", "42501"),
        ] {
            admin.refused(&format!("CREATE RULE other AS {rule}"), code);
        }
        admin.run("DROP RULE keep ON box");
        admin.run("CREATE RULE keep AS ON UPDATE TO box DO ALSO INSERT INTO log SELECT note FROM orders");
        ana.refused("UPDATE box SET note = 'two' WHERE id = 1", "55000");
    }

    fn a_view_with_an_instead_of_trigger_over_governed_tables_is_not_written(shop: fresh) {
        behind(shop, "CREATE VIEW public.desk AS SELECT id, region, note FROM orders;
            CREATE FUNCTION public.desk() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN UPDATE public.orders SET note = NEW.note WHERE id = NEW.id; RETURN NEW; END $$;
            CREATE TRIGGER desk INSTEAD OF UPDATE ON public.desk FOR EACH ROW EXECUTE FUNCTION public.desk()");
        let (admin, ana) = (shop.admin(), shop.ana());
        until("the view to be found", || admin.try_rows("GRANT SELECT, MODIFY ON VIEW desk TO analysts").ok());
        assert_eq!(ana.column("SELECT DISTINCT region FROM desk"), ["EMEA"]);
        ana.refused("UPDATE desk SET note = 'x'", "0A000");
    }

    fn a_materialized_view_is_refused_until_an_administrator_trusts_it(shop: fresh) {
        behind(shop, "CREATE MATERIALIZED VIEW public.totals AS SELECT region, count(*) AS n FROM orders GROUP BY 1; CREATE VIEW public.above AS SELECT * FROM totals");
        let (admin, ivan) = (shop.admin(), shop.ivan());
        until("the view to be found", || admin.try_rows("GRANT SELECT ON VIEW above TO interns").ok());
        admin.run("GRANT SELECT ON VIEW totals TO interns");
        ivan.refused("SELECT * FROM totals", "55000");
        ivan.refused("SELECT * FROM above", "55000");
        admin.run("GRANT MANAGE ON VIEW totals TO interns");
        ivan.refused("ALTER MATERIALIZED VIEW totals SET TRUSTED", "42501");
        admin.run("BEGIN");
        admin.run("ALTER MATERIALIZED VIEW totals SET TRUSTED");
        admin.run("ROLLBACK");
        ivan.refused("SELECT * FROM totals", "55000");
        admin.run("ALTER MATERIALIZED VIEW totals SET TRUSTED");
        assert_eq!(ivan.one("SELECT count(*) FROM totals"), "3");
        assert_eq!(ivan.one("SELECT count(*) FROM above"), "3");
        shop.truth().run("REFRESH MATERIALIZED VIEW public.totals");
        assert_eq!(ivan.one("SELECT count(*) FROM totals"), "3");
        admin.run("ALTER VIEW totals UNSET TRUSTED");
        ivan.refused("SELECT * FROM totals", "55000");
        admin.refused("ALTER VIEW orders SET TRUSTED", "42809");
        assert!(shop.proxy.log().contains("ALTER MATERIALIZED VIEW totals SET TRUSTED"), "it is in the audit");
    }

    fn trust_in_a_view_ends_with_its_definition(shop: fresh) {
        behind(shop, "CREATE VIEW public.open AS SELECT id, region AS what FROM orders");
        let (admin, ivan, truth) = (shop.admin(), shop.ivan(), shop.truth());
        until("the view to be found", || admin.try_rows("GRANT SELECT ON VIEW open TO interns").ok());
        assert_eq!(ivan.column("SELECT DISTINCT what FROM open"), ["APAC"]);
        admin.run("ALTER VIEW open SET TRUSTED");
        assert_eq!(ivan.one("SELECT count(*) FROM open"), truth.one("SELECT count(*) FROM orders"));
        behind(shop, "CREATE OR REPLACE VIEW public.open AS SELECT id::bigint, ssn AS what FROM employees");
        until("the masks", || ivan.try_rows("SELECT what FROM open").ok().filter(|rows| rows.iter().all(|r| r[0].starts_with("***"))));
    }

    fn partitions_are_governed_when_they_come_and_closed_when_they_leave(shop: fresh) {
        let (ivan, admin, truth) = (schema_reader(shop), shop.admin(), shop.truth());
        behind(shop, "CREATE TABLE public.shipments_late PARTITION OF public.shipments FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')");
        truth.run("INSERT INTO shipments VALUES (900001, 1, 'AMER', 'x', 'y', '2030-02-02'), (900002, 1, 'APAC', 'x', 'y', '2030-02-02')");
        assert_eq!(ivan.column("SELECT id FROM shipments WHERE shipped_on > '2030-01-01'"), ["900002"]);
        until("the partition", || ivan.try_rows("SELECT id FROM shipments_late").ok().filter(|rows| rows.len() == 1 && rows[0][0] == "900002"));
        behind(shop, "ALTER TABLE public.shipments DETACH PARTITION public.shipments_late");
        until_refused(&ivan, "SELECT id FROM shipments_late", "55000");
        behind(shop, "ALTER TABLE public.shipments ATTACH PARTITION public.shipments_late FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')");
        until("the partition", || ivan.try_rows("SELECT id FROM shipments_late").ok().filter(|rows| rows.len() == 1));
        admin.run("ALTER TABLE public.shipments DETACH PARTITION public.shipments_late");
        ivan.refused("SELECT id FROM shipments_late", "55000");
        admin.run("ALTER TABLE shipments_late SET ROW FILTER (region = 'AMER')");
        assert_eq!(ivan.column("SELECT id FROM shipments_late"), ["900001"]);
        // With a filter of its own it fits under no other.
        admin.run("ALTER TABLE public.shipments ATTACH PARTITION public.shipments_late FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')");
        for table in ["shipments", "shipments_late"] {
            assert!(ivan.try_rows(&format!("SELECT id FROM {table}")).is_err(), "{table}");
        }
        admin.run("ALTER TABLE public.shipments DETACH PARTITION public.shipments_late");
        admin.run("ALTER TABLE shipments_late DROP ROW FILTER");
        assert_eq!(ivan.one("SELECT count(*) FROM shipments_late"), "2", "who governs it has said so");
        assert_eq!(ivan.column("SELECT DISTINCT region FROM shipments"), ["APAC"]);
    }

    fn inheritance_children_are_governed_like_their_parent(shop: fresh) {
        let ivan = schema_reader(shop);
        let truth = shop.truth();
        behind(shop, "CREATE TABLE public.old_customers (more text) INHERITS (public.customers)");
        truth.run("INSERT INTO old_customers VALUES (90001, 'A', 'a@x', NULL, 'Oslo', 'EMEA', '2020-01-01', 'm'), (90002, 'B', 'b@x', NULL, 'Osaka', 'APAC', '2020-01-01', 'm')");
        until("the child", || ivan.try_rows("SELECT email FROM old_customers").ok().filter(|rows| rows.len() == 1 && rows[0][0] == "hidden"));
        assert_eq!(ivan.column("SELECT id FROM customers WHERE id > 90000"), ["90002"]);
        behind(shop, "ALTER TABLE public.old_customers NO INHERIT public.customers");
        until_refused(&ivan, "SELECT email FROM old_customers", "55000");
    }

    fn a_table_that_takes_anothers_name_is_closed_until_its_policies_are_set(shop: fresh) {
        let (ivan, admin, truth) = (schema_reader(shop), shop.admin(), shop.truth());
        // Swapped behind our back: the old one keeps its filter under its new name.
        behind(shop, "BEGIN; CREATE TABLE public.orders_new AS SELECT * FROM public.orders; ALTER TABLE public.orders RENAME TO orders_old; ALTER TABLE public.orders_new RENAME TO orders; COMMIT");
        until_refused(&ivan, "SELECT count(*) FROM orders", "55000");
        assert_eq!(ivan.column("SELECT DISTINCT region FROM orders_old"), ["APAC"]);
        admin.run("ALTER TABLE orders SET ROW FILTER (region = 'EMEA')");
        assert_eq!(ivan.column("SELECT DISTINCT region FROM orders"), ["EMEA"]);
        // Dropped and made anew, with masks.
        truth.run("SET ROLE shop_owner; BEGIN; CREATE TABLE public.e2 AS SELECT id, name, email, phone, salary, ssn FROM public.employees; DROP TABLE public.employees CASCADE; ALTER TABLE public.e2 RENAME TO employees; COMMIT");
        until_refused(&ivan, "SELECT name FROM employees", "55000");
        for column in ["email", "phone", "ssn"] {
            admin.run(&format!("ALTER TABLE employees ALTER COLUMN {column} SET MASK ('x')"));
        }
        ivan.refused("SELECT name FROM employees", "55000");
        admin.run("ALTER TABLE employees ALTER COLUMN salary DROP MASK");
        assert_eq!(ivan.rows("SELECT DISTINCT email, phone, ssn FROM employees"), [["x", "x", "x"]]);
        assert_ne!(ivan.one("SELECT max(salary) FROM employees"), "0");
        admin.refused("ALTER TABLE products DROP ROW FILTER", "42704");
    }

    fn a_table_renamed_through_pgusher_keeps_its_policies_and_leaves_its_name(shop: fresh) {
        let (ivan, admin) = (schema_reader(shop), shop.admin());
        admin.run("ALTER TABLE public.orders RENAME TO sales");
        assert_eq!(ivan.column("SELECT DISTINCT region FROM sales"), ["APAC"]);
        admin.run("CREATE TABLE public.orders (id int)");
        assert_eq!(ivan.one("SELECT count(*) FROM orders"), "0");
        admin.run("CREATE SCHEMA wares");
        admin.run("CREATE TABLE wares.lots AS SELECT region, ssn FROM public.employees");
        admin.run("ALTER TABLE wares.lots SET ROW FILTER (region = 'APAC')");
        admin.run("ALTER TABLE wares.lots ALTER COLUMN ssn SET MASK ('hidden')");
        admin.run("ALTER SCHEMA wares RENAME TO market");
        admin.run("GRANT SELECT ON SCHEMA market TO interns");
        assert_eq!(ivan.rows("SELECT DISTINCT region, ssn FROM market.lots"), [["APAC", "hidden"]]);
    }

    fn columns_changed_behind_our_back_open_nothing(shop: fresh) {
        let (ivan, admin) = (schema_reader(shop), shop.admin());
        admin.run("ALTER TABLE orders SET ROW FILTER (status <> 'returned' AND region = 'APAC')");
        shop.truth().run("SET ROLE shop_owner; BEGIN; ALTER TABLE public.orders DROP COLUMN status CASCADE; ALTER TABLE public.orders ADD COLUMN status text DEFAULT 'open'; COMMIT");
        until_refused(&ivan, "SELECT count(*) FROM orders", "55000");
        assert!(ivan.try_rows("SELECT count(*) FROM orders").is_err());
        admin.run("ALTER TABLE orders SET ROW FILTER (region = 'APAC')");
        assert_eq!(ivan.column("SELECT DISTINCT region FROM orders"), ["APAC"]);
        assert!(shop.truth().try_rows("ALTER TABLE public.employees ALTER COLUMN ssn TYPE varchar(11)").is_err());
        admin.run("ALTER TABLE public.employees ALTER COLUMN ssn TYPE varchar(11)");
        assert_eq!(ivan.one("SELECT count(*) FROM employees WHERE ssn NOT LIKE '***%'"), "0");
    }

    fn a_filter_follows_its_function(shop: fresh) {
        let (ana, admin) = (shop.ana(), shop.admin());
        let regions = "SELECT DISTINCT region FROM orders ORDER BY 1";
        assert_eq!(ana.column(regions), ["EMEA"]);
        admin.run("BEGIN");
        admin.run("CREATE OR REPLACE FUNCTION public.region_visible(region text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT region = 'APAC' $$");
        assert_eq!(admin.column(regions), ["APAC"]);
        admin.run("ROLLBACK");
        assert_eq!(ana.column(regions), ["EMEA"]);
        admin.run("CREATE OR REPLACE FUNCTION public.region_visible(region text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT region = 'APAC' $$");
        assert_eq!(ana.column(regions), ["APAC"]);
        assert_eq!(ana.column("SELECT DISTINCT region FROM customers"), ["APAC"]);
        shop.truth().run("CREATE OR REPLACE FUNCTION public.region_visible(region text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT region = 'AMER' $$");
        until("the new body", || (ana.try_rows(regions).ok()? == [["AMER"]]).then_some(()));
        // What cannot be inlined is called, and what fails there fails.
        shop.truth().run("CREATE OR REPLACE FUNCTION public.region_visible(region text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT region IN (SELECT code FROM nowhere.regions) $$ SET check_function_bodies = off");
        until("an error", || ana.try_rows(regions).err());
        shop.truth().run("DROP FUNCTION public.region_visible(text) CASCADE");
        until_refused(&ana, regions, "55000");
    }

    fn a_mask_follows_its_function(shop: fresh) {
        let (ana, admin) = (shop.ana(), shop.admin());
        admin.run("CREATE FUNCTION public.hide(v text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'a'::text $$");
        admin.run("ALTER TABLE employees ALTER COLUMN ssn SET MASK hide");
        assert_eq!(ana.column("SELECT DISTINCT ssn FROM employees"), ["a"]);
        admin.run("CREATE OR REPLACE FUNCTION public.hide(v text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'b'::text $$");
        assert_eq!(ana.column("SELECT DISTINCT ssn FROM employees"), ["b"]);
        let _ = admin.try_rows("DROP FUNCTION public.hide(text) CASCADE");
        ana.refused("SELECT ssn FROM employees", "55000");
    }

    fn functions_made_outside_need_execute_and_cannot_hide_in_policies(shop: fresh) {
        behind(shop, "CREATE FUNCTION public.all_ssn() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER STABLE AS $$ SELECT ssn FROM public.employees $$;
            CREATE FUNCTION public.my_ssn() RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT ssn FROM public.employees $$");
        let (admin, ana) = (shop.admin(), shop.ana());
        until("the functions", || admin.try_rows("GRANT EXECUTE ON FUNCTION public.my_ssn() TO analysts").ok());
        ana.refused("SELECT * FROM all_ssn()", "42501");
        if let Ok(rows) = ana.try_rows("SELECT * FROM my_ssn()") {
            assert!(rows.iter().all(|r| r[0].starts_with("***")), "{rows:?}");
        }
        admin.run("GRANT EXECUTE ON FUNCTION public.all_ssn() TO analysts");
        assert_eq!(ana.one("SELECT count(*) FROM all_ssn() s WHERE s NOT LIKE '***%'"), "200", "a definer's function is a decision of whoever grants it");
    }

    /// It cannot carry row security: a view is its filter, whatever the mechanism.
    fn a_foreign_table_is_filtered_and_masked_by_views(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        truth.run("CREATE EXTENSION postgres_fdw");
        truth.run(&format!("CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}', dbname '{}')", shop.upstream.port, shop.database));
        truth.run("CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'postgres', password 'postgres')");
        truth.run("CREATE FOREIGN TABLE public.away (id bigint, region text, note text) SERVER far OPTIONS (table_name 'orders'); ALTER FOREIGN TABLE public.away OWNER TO shop_owner");
        truth.run("SET ROLE shop_owner; CREATE VIEW public.away_too AS SELECT * FROM public.away; RESET ROLE");
        until("the view to be found", || admin.try_rows("GRANT SELECT ON VIEW away_too TO analysts").ok());
        admin.run("GRANT SELECT, MODIFY ON TABLE away TO analysts");
        admin.run("ALTER TABLE away SET ROW FILTER (region = 'EMEA')");
        admin.run("ALTER TABLE away ALTER COLUMN note SET MASK ('hidden')");
        ana.refused("SELECT count(*) FROM away", "42501");
        admin.run("GRANT USE CONNECTION ON CONNECTION far TO analysts");
        for table in ["away", "away_too"] {
            assert_eq!(ana.rows(&format!("SELECT DISTINCT region, note FROM {table}")), [["EMEA", "hidden"]]);
        }
        assert_eq!(ana.affected("UPDATE away SET note = 'x' WHERE region = 'AMER'"), 0);
    }
}
