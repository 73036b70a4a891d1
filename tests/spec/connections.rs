//! Foreign tables: SELECT or MODIFY on the table and USE CONNECTION on its server; filters and masks hold over them. Files of the server:
//! ANY FILE, and upstream's own right to them.

use crate::harness::{Shop, both_mechanisms, until};

/// Another database with parcels, and what a superuser must do for it once.
fn far(shop: &Shop) -> String {
    let far = format!("{}_far", shop.database);
    let postgres = shop.upstream.superuser("postgres");
    postgres.run(&format!("CREATE DATABASE {far}"));
    let role = format!("{far}_reader");
    postgres.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'far away'"));
    let there = shop.upstream.superuser(&far);
    there.run("CREATE TABLE public.parcels (id integer PRIMARY KEY, region text, label text)");
    there.run("INSERT INTO public.parcels VALUES (1, 'EMEA', 'one-label'), (2, 'AMER', 'two-label')");
    there.run("CREATE TABLE public.boxes AS SELECT 7 AS size");
    there.run(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"));
    let here = shop.truth();
    here.run("CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO pgusher_owner");
    let admin = shop.admin();
    admin.run(&format!(
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}', dbname '{far}')",
        shop.upstream.port
    ));
    admin.run(&format!("CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user '{role}', password 'far away')"));
    admin.run("CREATE FOREIGN TABLE public.parcels (id integer, region text, label text) SERVER far");
    role
}

both_mechanisms! {
    fn foreign_tables_need_the_connection_and_carry_filters_and_masks(shop: fresh) {
        far(shop);
        let (admin, ana, ivan) = (shop.admin(), shop.ana(), shop.ivan());
        ana.refused("SELECT * FROM parcels", "42501");
        admin.run("GRANT SELECT, MODIFY ON TABLE parcels TO analysts");
        let refusal = ana.refused("SELECT * FROM parcels", "42501");
        assert!(refusal.to_string().contains("USE CONNECTION"), "{refusal}");
        admin.run("GRANT USE CONNECTION ON CONNECTION far TO analysts");
        assert_eq!(ana.rows("SELECT * FROM parcels ORDER BY id"), [["1", "EMEA", "one-label"], ["2", "AMER", "two-label"]]);
        ivan.refused("SELECT * FROM parcels", "42501");
        admin.run("ALTER TABLE parcels SET ROW FILTER region_visible ON (region)");
        assert_eq!(ana.rows("SELECT * FROM parcels"), [["1", "EMEA", "one-label"]]);
        ana.run("UPDATE parcels SET label = 'mine'");
        ana.refused("INSERT INTO parcels VALUES (3, 'AMER', 'x')", "42501");
        ana.run("INSERT INTO parcels VALUES (4, 'EMEA', 'four')");
        assert_eq!(shop.bob().rows("SELECT id, label FROM parcels"), [["2", "two-label"]]);
        admin.run("ALTER TABLE parcels ALTER COLUMN label SET MASK (left(label, 1))");
        assert_eq!(ana.rows("SELECT id, label FROM parcels ORDER BY id"), [["1", "m"], ["4", "f"]]);
        assert_eq!(ana.one("SELECT count(*) FROM parcels WHERE label = 'four'"), "0");
        assert_eq!(ana.rows("SELECT p.label FROM parcels p JOIN orders o ON o.id = p.id"), [["m"]]);
        admin.run("REVOKE USE CONNECTION ON CONNECTION far FROM analysts");
        ana.refused("SELECT * FROM parcels", "42501");
        ana.refused("CREATE TEMP TABLE t AS SELECT * FROM parcels", "42501");
    }

    fn servers_and_mappings_are_for_administrators(shop: fresh) {
        let role = far(shop);
        let (admin, ana) = (shop.admin(), shop.ana());
        for statement in [
            "CREATE SERVER near FOREIGN DATA WRAPPER postgres_fdw", "ALTER SERVER far OPTIONS (SET host 'x')", "DROP SERVER far CASCADE",
            "CREATE USER MAPPING FOR PUBLIC SERVER far", "DROP USER MAPPING FOR PUBLIC SERVER far",
            "CREATE FOREIGN TABLE public.mine (n int) SERVER far", "IMPORT FOREIGN SCHEMA public FROM SERVER far INTO public",
            "SELECT umoptions FROM pg_user_mapping", "SELECT * FROM pg_user_mappings",
        ] {
            let refusal = ana.try_rows(statement).expect_err(statement);
            assert!(["42501", "0A000"].contains(&refusal.code.as_str()), "{statement}: {refusal}");
        }
        let logged = |text: &str| shop.proxy.log().contains(text);
        until("the mapping in the audit", || logged("CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (...)").then_some(()));
        assert!(!logged("far away"), "no password is written down");
        admin.run("IMPORT FOREIGN SCHEMA public LIMIT TO (boxes) FROM SERVER far INTO public");
        assert_eq!(admin.one("SELECT size FROM boxes"), "7");
        ana.refused("SELECT size FROM boxes", "42501");
        admin.refused(&format!("CREATE USER MAPPING FOR {role} SERVER far"), "0A000");
        admin.refused("CREATE USER MAPPING FOR pgusher_session SERVER far", "0A000");
        admin.run("ALTER SERVER far OPTIONS (ADD fetch_size '10')");
        admin.run("DROP FOREIGN TABLE boxes");
        admin.run("DROP USER MAPPING FOR PUBLIC SERVER far");
        let refusal = admin.refused("CREATE EXTENSION postgres_fdw", "0A000");
        assert!(refusal.message.contains("CREATE EXTENSION"), "{refusal}");
    }

    fn files_of_the_server_need_any_file_and_upstreams_right(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        let file = std::env::temp_dir().join(format!("{}.txt", shop.database));
        let file = file.to_string_lossy();
        let statements = [
            format!("COPY orders TO '{file}'"), format!("COPY (SELECT ssn FROM employees) TO '{file}'"), format!("COPY orders FROM '{file}'"),
            "COPY orders TO PROGRAM 'cat'".to_owned(), "COPY orders FROM PROGRAM 'ls'".to_owned(),
            "SELECT pg_read_file('PG_VERSION')".to_owned(), "SELECT pg_ls_dir('.')".to_owned(), "SELECT pg_stat_file('PG_VERSION')".to_owned(),
        ];
        for statement in &statements {
            let refusal = ana.refused(statement, "42501");
            assert_eq!(refusal.message, "permission denied for any file", "{statement}");
            assert!(refusal.detail.as_ref().is_some_and(|detail| detail.ends_with(" on ANY FILE is needed.")), "{refusal}");
        }
        admin.run("GRANT SELECT, MODIFY ON ANY FILE TO analysts");
        for statement in &statements {
            let refusal = ana.refused(statement, "42501");
            assert!(!refusal.to_string().contains("ANY FILE"), "{statement}: {refusal}");
        }
        shop.truth().run("GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO pgusher_session");
        assert!(ana.one("SELECT pg_read_file('PG_VERSION')").starts_with(char::is_numeric));
        shop.ivan().refused("SELECT pg_read_file('PG_VERSION')", "42501");
        for statement in ["SELECT lo_import('x')", "SELECT lo_export(1, 'x')", "SELECT lo_create(0)", "SELECT lo_get(1)"] {
            ana.refused(statement, "42501");
        }
    }

    fn an_administrators_copy_of_server_files_runs_as_the_owner_where_nothing_is_governed(shop: fresh) {
        let admin = shop.admin();
        shop.truth().run("GRANT pg_read_server_files, pg_write_server_files TO pgusher_owner");
        let file = std::env::temp_dir().join(format!("{}.copy", shop.database));
        let file = file.to_string_lossy();
        admin.run("CREATE TABLE public.parcels AS SELECT 1 AS id, 'one' AS label");
        admin.run(&format!("COPY parcels TO '{file}'"));
        admin.run(&format!("BEGIN; COPY parcels FROM '{file}' WHERE id > 0; COMMIT"));
        assert_eq!(admin.rows("SELECT * FROM parcels"), [["1", "one"], ["1", "one"]]);
        admin.run("CREATE VIEW public.open_orders AS SELECT id FROM orders");
        for statement in [
            format!("COPY orders TO '{file}'"), format!("COPY (SELECT ssn FROM employees) TO '{file}'"), format!("COPY orders FROM '{file}'"),
            format!("COPY (SELECT * FROM open_orders) TO '{file}'"), format!("COPY (SELECT id FROM parcels UNION SELECT id FROM orders) TO '{file}'"),
        ] {
            admin.refused(&statement, "42501");
        }
        admin.refused(&format!("COPY (SELECT region_visible(label) FROM parcels) TO '{file}'"), "0A000");
        admin.refused(&format!("COPY parcels FROM '{file}' WHERE region_visible(label)"), "0A000");
        let ana = shop.ana();
        admin.run("GRANT SELECT, MODIFY ON ANY FILE TO analysts");
        admin.run("GRANT SELECT, MODIFY ON TABLE parcels TO analysts");
        ana.refused(&format!("COPY parcels TO '{file}'"), "42501");
        ana.refused(&format!("COPY parcels FROM '{file}'"), "42501");
    }

    fn locks_and_channels(shop: shared) {
        let ana = shop.ana();
        assert_eq!(ana.one("SELECT pg_try_advisory_lock(4242)"), "t");
        assert_eq!(shop.bob().one("SELECT pg_try_advisory_lock(4242)"), "f");
        assert_eq!(ana.one("SELECT pg_advisory_unlock(4242)"), "t");
        ana.run("LISTEN news; NOTIFY news, 'x'; UNLISTEN *");
        for statement in ["LISTEN pgusher_policy", "NOTIFY pgusher_policy, '1'", "SELECT pg_notify('pgusher_policy', '1')", "UNLISTEN pgusher_policy"] {
            ana.refused(statement, "42501");
        }
    }
}
