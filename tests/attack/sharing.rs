//! Sessions share what was found out about texts: nobody meets what holds for somebody else only.

use crate::harness::{ADMIN, both_mechanisms};
use crate::spec::acting::acting;

/// The same text by everybody.
const NOTES: &str = "SELECT DISTINCT region FROM orders ORDER BY 1";

both_mechanisms! {
    fn temporary_tables_are_met_by_their_session_only(shop: shared) {
        let (ana, twin, bob) = (shop.ana(), shop.ana(), shop.bob());
        let theirs = bob.column(NOTES);
        ana.run("CREATE TEMP TABLE orders AS SELECT 'mine'::text AS region");
        for _ in 0..2 {
            assert_eq!(ana.column(NOTES), ["mine"]);
            assert_eq!(twin.column(NOTES), ["EMEA"]);
            assert_eq!(bob.column(NOTES), theirs);
            assert_eq!(shop.ana().column(NOTES), ["EMEA"], "a new session");
        }
        ana.run("DROP TABLE pg_temp.orders");
        assert_eq!(ana.column(NOTES), ["EMEA"]);
    }

    fn what_is_not_committed_is_met_by_nobody_else(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        let text = "SELECT secret FROM public.uncommitted";
        admin.run("BEGIN");
        admin.run("CREATE TABLE public.uncommitted AS SELECT 'x'::text AS secret");
        admin.run("GRANT SELECT ON TABLE public.uncommitted TO users");
        assert_eq!(admin.column(text), ["x"]);
        ana.refused(text, "42P01");
        admin.run("ROLLBACK");
        admin.refused(text, "42P01");
        ana.refused(text, "42P01");
    }

    fn a_grant_that_is_not_committed_is_nobodys(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        let text = "SELECT count(*) FROM employees";
        ivan.refused(text, "42501");
        admin.run("BEGIN");
        admin.run("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"");
        admin.run(text);
        ivan.refused(text, "42501");
        admin.run("COMMIT");
        ivan.run(text);
        admin.run("REVOKE SELECT ON TABLE employees FROM \"ivan@example.com\"");
        ivan.refused(text, "42501");
    }

    fn a_name_means_what_the_sessions_own_path_says(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE SCHEMA side");
        admin.run("CREATE TABLE side.orders AS SELECT 'side'::text AS region");
        admin.run("GRANT SELECT ON SCHEMA side TO analysts");
        let (ana, aside, bob) = (shop.ana(), shop.ana(), shop.bob());
        aside.run("SET search_path = side, public");
        for _ in 0..2 {
            assert_eq!(aside.column(NOTES), ["side"]);
            assert_eq!(ana.column(NOTES), ["EMEA"]);
            assert_ne!(bob.column(NOTES), ["side"]);
        }
        aside.run("RESET search_path");
        assert_eq!(aside.column(NOTES), ["EMEA"]);
    }

    fn a_narrowed_token_has_nothing_of_what_its_owners_other_sessions_were_told(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE public.kept (id integer)");
        admin.run("ALTER TABLE public.kept OWNER TO \"hana@example.com\"");
        let narrowed = shop.try_connect(ADMIN, &shop.make_token(ADMIN, "SCOPES (sql)")).expect("a good token");
        let number = shop.truth().one("SELECT 'public.kept'::regclass::oid");
        for text in [
            "SELECT count(*) FROM public.kept".to_owned(),
            "INSERT INTO public.kept VALUES (1)".to_owned(),
            "LOCK TABLE public.kept IN SHARE MODE NOWAIT".to_owned(),
        ] {
            let _ = admin.try_rows(&text);
            narrowed.refused(&text, "42501");
        }
        let name = format!("SELECT relname FROM pg_catalog.pg_class c WHERE c.oid = '{number}'");
        assert_eq!(admin.column(&name), ["kept"]);
        assert_eq!(narrowed.column(&name), Vec::<String>::new());
        assert_eq!(admin.column(&format!("SELECT {number}::regclass::text")), ["kept"]);
        assert_ne!(narrowed.try_rows(&format!("SELECT {number}::regclass::text")), Ok(vec![vec!["kept".to_owned()]]));
    }

    fn a_token_that_only_reads_writes_nothing_that_others_were_allowed(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE TABLE public.kept (id integer)");
        admin.run("GRANT SELECT, MODIFY ON TABLE public.kept TO \"ana@example.com\"");
        let (ana, reading) = (shop.ana(), shop.make_token("ana@example.com", "SCOPES (\"sql:read\")"));
        let reading = shop.try_connect("ana@example.com", &reading).expect("a good token");
        for _ in 0..2 {
            ana.run("INSERT INTO public.kept VALUES (1)");
            reading.refused("INSERT INTO public.kept VALUES (1)", "42501");
            reading.run("SELECT count(*) FROM public.kept");
        }
    }

    fn whoever_acts_is_decided_on_as_whom_it_acts_for(shop: fresh) {
        let admin = shop.admin();
        for person in ["ana@example.com", "ivan@example.com", "bob@example.com"] {
            admin.run(&format!("GRANT ACT FOR USER \"{person}\" TO bi_tool"));
        }
        let by = |person: &str| acting(shop, "bi_tool", shop.token("bi_tool"), person).expect("granted");
        let (ana, ivan, bob) = (by("ana@example.com"), by("ivan@example.com"), by("bob@example.com"));
        let theirs = shop.bob().column(NOTES);
        for _ in 0..2 {
            assert_eq!(ana.column(NOTES), ["EMEA"]);
            ivan.refused(NOTES, "42501");
            assert_eq!(bob.column(NOTES), theirs);
            assert_eq!((ana.one("SELECT current_user"), bob.one("SELECT current_user")), ("ana@example.com".into(), "bob@example.com".into()));
        }
    }

    /// What is seen needs no asking, and who sees it differs.
    fn a_number_that_one_sees_shows_another_nothing(shop: shared) {
        let (ana, ivan) = (shop.ana(), shop.ivan());
        let number = shop.truth().one("SELECT 'public.employees'::regclass::oid");
        for text in [
            format!("SELECT attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = '{number}' AND a.attnum > 0"),
            format!("SELECT relname FROM pg_catalog.pg_class c WHERE c.oid = {number}"),
        ] {
            for _ in 0..2 {
                assert!(!ana.column(&text).is_empty(), "{text}");
                assert_eq!(ivan.column(&text), Vec::<String>::new(), "{text}");
            }
        }
    }
}
