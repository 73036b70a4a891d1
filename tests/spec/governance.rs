//! Governance SQL: users, groups, owners, what SHOW shows, and that it is parsed apart from PostgreSQL's grammar.

use crate::harness::both_mechanisms;

both_mechanisms! {
    fn show_grants_lists_what_was_granted(shop: shared) {
        let admin = shop.admin();
        assert_eq!(admin.headings("SHOW GRANTS ON TABLE orders"), ["principal", "actionType", "objectType", "objectKey"]);
        let rows = admin.rows("SHOW GRANTS ON TABLE orders");
        for (principal, privilege) in [("analysts", "SELECT"), ("analysts", "MODIFY"), ("analysts", "READ_METADATA"), ("hr", "SELECT"), ("bi_tool", "SELECT")] {
            assert!(rows.iter().any(|r| r[0] == principal && r[1] == privilege), "{principal} {privilege}: {rows:?}");
        }
        assert!(admin.rows("SHOW GRANTS \"ivan@example.com\" ON TABLE orders").is_empty());
        let own = shop.ana().rows("SHOW GRANTS");
        assert!(own.iter().any(|r| r[0] == "analysts" && r[3].contains("orders")), "one's own, through groups: {own:?}");
        assert!(!own.iter().any(|r| r[0] == "hr"), "{own:?}");
        shop.ana().refused("SHOW GRANTS \"bob@example.com\"", "42501");
    }

    fn show_effective_grants_says_where_they_come_from(shop: shared) {
        let rows = shop.admin().rows("SHOW EFFECTIVE GRANTS \"ana@example.com\" ON TABLE orders");
        let select = rows.iter().find(|r| r[1] == "SELECT").unwrap_or_else(|| panic!("{rows:?}"));
        assert!(select.concat().contains("analysts"), "through the group: {select:?}");
    }

    fn principals_are_quoted_by_double_quotes_or_backticks(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("GRANT SELECT ON TABLE `employees` TO `ivan@example.com`");
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
        admin.run("REVOKE SELECT ON TABLE \"public\".\"employees\" FROM \"ivan@example.com\"");
        ivan.refused("SELECT count(*) FROM employees", "42501");
        admin.run("/* a comment */ GRANT -- another\n SELECT ON public.employees TO interns;");
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
    }

    fn groups_nest_and_refuse_cycles(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE GROUP a; ".trim_end_matches("; "));
        admin.run("CREATE GROUP b WITH GROUP a");
        admin.run("CREATE GROUP c WITH GROUP b");
        assert!(admin.try_rows("ALTER GROUP a ADD GROUP c").is_err(), "a cycle");
        assert!(admin.try_rows("ALTER GROUP a ADD GROUP a").is_err(), "the shortest cycle");
        admin.run("ALTER GROUP a ADD USER \"ivan@example.com\"");
        assert_eq!(shop.ivan().rows("SELECT is_member('a'), is_member('c')"), [["t", "t"]]);
        admin.run("ALTER GROUP b DROP GROUP a");
        assert_eq!(shop.ivan().rows("SELECT is_member('a'), is_member('c')"), [["t", "f"]]);
        assert!(admin.rows("SHOW GROUPS WITH USER \"ivan@example.com\"").iter().any(|r| r[0] == "a"));
        assert!(admin.column("SHOW USERS").contains(&"ana@example.com".to_string()));
        assert!(admin.column("SHOW SERVICE PRINCIPALS").contains(&"bi_tool".to_string()));
    }

    fn names_that_do_not_exist_are_told(shop: shared) {
        let admin = shop.admin();
        admin.refused("GRANT SELECT ON TABLE nosuch TO analysts", "42P01");
        admin.refused("GRANT SELECT ON SCHEMA nosuch TO analysts", "3F000");
        admin.refused("GRANT SELECT ON TABLE orders TO \"nobody@example.com\"", "42704");
        admin.refused("ALTER TABLE orders SET ROW FILTER nosuch ON (region)", "42883");
        admin.refused("ALTER TABLE orders SET ROW FILTER region_visible ON (nosuch)", "42703");
        admin.refused("CREATE USER \"ana@example.com\"", "42710");
        admin.refused("DROP GROUP nosuch", "42704");
        admin.refused("GRANT NONSENSE ON TABLE orders TO analysts", "42601");
    }

    fn a_governance_statement_stands_alone(shop: shared) {
        let admin = shop.admin();
        assert!(admin.try_rows("SELECT 1; GRANT SELECT ON TABLE employees TO interns").is_err());
        assert!(admin.try_rows("GRANT SELECT ON TABLE employees TO interns; SELECT 1").is_err());
        shop.ivan().refused("SELECT 1 FROM employees", "42501");
    }

    fn a_governance_statement_may_be_prepared(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        assert!(admin.query("GRANT SELECT ON TABLE employees TO interns", &[]).is_empty());
        assert_eq!(ivan.one("SELECT count(*) FROM employees"), "200");
        let rows = admin.query("SHOW GRANTS interns ON TABLE employees", &[]);
        assert_eq!(rows[0].get::<_, String>(1), "SELECT");
    }

    fn msck_drops_every_grant(shop: fresh) {
        let admin = shop.admin();
        admin.run("MSCK REPAIR TABLE orders PRIVILEGES");
        assert!(admin.rows("SHOW GRANTS ON TABLE orders").is_empty());
        shop.ana().refused("SELECT 1 FROM orders", "42501");
    }

    fn filters_and_masks_are_listed(shop: shared) {
        let admin = shop.admin();
        assert!(admin.rows("SHOW ROW FILTERS ON TABLE orders")[0].concat().contains("region_visible"));
        assert_eq!(admin.column("SHOW ROW FILTERS").len(), 5);
        let masks = admin.rows("SHOW MASKS ON TABLE employees");
        assert_eq!(masks.len(), 4, "{masks:?}");
        assert!(shop.ana().try_rows("SHOW MASKS").map_or(true, |rows| rows.is_empty()), "not for those who may not govern");
    }

    fn explain_access_names_every_requirement(shop: shared) {
        let admin = shop.admin();
        let rows = admin.rows("EXPLAIN ACCESS FOR \"ivan@example.com\" SELECT * FROM employees JOIN regions ON code = region");
        let text = format!("{rows:?}");
        assert!(text.contains("employees") && text.contains("regions"), "{text}");
        shop.ana().refused("EXPLAIN ACCESS FOR \"bob@example.com\" SELECT 1", "42501");
    }

    fn dropping_a_principal_drops_its_grants_and_sessions(shop: fresh) {
        let admin = shop.admin();
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        let ivan = shop.ivan();
        admin.run("DROP USER \"ivan@example.com\"");
        crate::harness::within(std::time::Duration::from_secs(5), "the session to end", || ivan.try_rows("SELECT 1").err());
        assert!(!admin.rows("SHOW GRANTS ON TABLE employees").iter().any(|r| r[0].contains("ivan")));
        admin.run("CREATE USER \"ivan@example.com\"");
        let token = shop.make_token("ivan@example.com", "");
        shop.try_connect("ivan@example.com", &token).expect("a new user").refused("SELECT 1 FROM employees", "42501");
    }

    fn the_mechanism_may_be_chosen_per_table(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        let before = ana.rows("SELECT id, amount FROM orders ORDER BY id");
        for mechanism in ["VIEW", "RLS", "DEFAULT"] {
            admin.run(&format!("ALTER TABLE orders SET FILTER MECHANISM {mechanism}"));
            assert_eq!(ana.rows("SELECT id, amount FROM orders ORDER BY id"), before, "{mechanism}");
        }
    }

    fn a_dangling_filter_closes_the_table(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        assert!(admin.try_rows("DROP FUNCTION region_visible").is_err() || ana.try_rows("SELECT count(*) FROM orders").is_err());
        shop.truth().try_rows("DROP FUNCTION public.region_visible(text) CASCADE").ok();
        let seen = ana.try_rows("SELECT count(*) FROM orders WHERE region <> 'EMEA'");
        assert!(seen.as_ref().map_or(true, |rows| rows[0][0] == "0"), "{seen:?}");
    }
}
