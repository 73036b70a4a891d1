//! Views: definer's rights on grants, the reader's identity in filters and masks.

use crate::harness::{Mechanism, ProxySettings, Shop, every_mechanism, until};

every_mechanism! {
    fn a_view_made_upstream_outside_shows_permitted_rows_only(shop: shared) {
        let truth = shop.truth();
        for (person, region) in [(shop.ana(), "EMEA"), (shop.bob(), "AMER")] {
            assert_eq!(
                person.rows("SELECT id FROM recent_orders ORDER BY id"),
                truth.rows(&format!("SELECT id FROM recent_orders WHERE region = '{region}' ORDER BY id"))
            );
            assert_eq!(
                person.rows("SELECT * FROM order_totals ORDER BY 1, 2"),
                truth.rows(&format!("SELECT * FROM order_totals WHERE region = '{region}' ORDER BY 1, 2"))
            );
        }
    }

    fn a_view_made_upstream_outside_shows_masks(shop: shared) {
        let truth = shop.truth();
        assert_eq!(
            shop.ana().rows("SELECT name, email, manager FROM staff_directory ORDER BY id"),
            truth.rows("SELECT name, left(email, 1) || '***@example.com', manager FROM staff_directory ORDER BY id")
        );
        assert_eq!(shop.hana().rows("SELECT * FROM staff_directory ORDER BY id"), truth.rows("SELECT * FROM staff_directory ORDER BY id"));
    }

    fn a_view_needs_a_grant_of_its_own(shop: shared) {
        shop.ivan().refused("SELECT * FROM recent_orders", "42501");
        shop.hana().refused("SELECT * FROM recent_orders", "42501");
    }

    fn a_derived_view_answers_for_the_reader(shop: shared) {
        let truth = shop.truth();
        for (person, name) in [(shop.ana(), "ana@example.com"), (shop.bob(), "bob@example.com")] {
            let expected = truth.one(&format!("SELECT count(*) FROM orders WHERE sales_rep = '{name}'"));
            assert_ne!(expected, "0");
            assert_eq!(person.one("SELECT count(*) FROM my_orders"), expected);
        }
        assert_eq!(shop.admin().one("SELECT count(*) FROM my_orders"), "0");
    }

    fn who_may_read_a_view_need_not_read_its_table(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("CREATE VIEW public.headcount AS SELECT region, count(*) AS people, max(salary) AS top FROM employees GROUP BY region");
        ivan.refused("SELECT * FROM headcount", "42501");
        admin.run("GRANT SELECT ON VIEW headcount TO interns");
        assert_eq!(ivan.one("SELECT sum(people) FROM headcount"), "200");
        assert_eq!(ivan.column("SELECT DISTINCT top FROM headcount"), ["0"], "the mask of the one who asks");
        assert_ne!({ admin.run("GRANT SELECT ON VIEW headcount TO hr"); shop.hana().one("SELECT max(top) FROM headcount") }, "0");
        ivan.refused("SELECT * FROM employees", "42501");
    }

    fn the_owner_of_a_view_must_still_hold_what_it_reads(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("CREATE VIEW public.desks AS SELECT * FROM region_desk");
        admin.run("GRANT SELECT ON TABLE region_desk TO \"hana@example.com\"");
        admin.run("ALTER VIEW desks OWNER TO \"hana@example.com\"");
        admin.run("GRANT SELECT ON VIEW desks TO interns");
        assert_eq!(ivan.one("SELECT count(*) FROM desks"), "2");
        admin.run("REVOKE SELECT ON TABLE region_desk FROM \"hana@example.com\"");
        ivan.refused("SELECT count(*) FROM desks", "42501");
    }

    fn views_on_views_keep_filters_and_masks(shop: fresh) {
        let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
        admin.run("CREATE VIEW public.v1 AS SELECT o.id, o.region, e.ssn, e.salary FROM orders o JOIN employees e ON e.id = o.customer_id % 200");
        admin.run("CREATE VIEW public.v2 AS SELECT * FROM v1 WHERE salary >= 0");
        admin.run("GRANT SELECT ON VIEW v2 TO analysts");
        let count = truth.one("SELECT count(*) FROM orders o WHERE region = 'EMEA' AND customer_id % 200 > 0");
        assert_eq!(ana.one("SELECT count(*) FROM v2"), count);
        assert_eq!(ana.one("SELECT count(*) FROM v2 WHERE salary > 0 OR ssn NOT LIKE '***%'"), "0");
    }

    fn a_view_added_upstream_is_governed_when_it_is_found(shop: fresh) {
        let truth = shop.truth();
        truth.run("SET ROLE shop_owner; CREATE VIEW public.peek AS SELECT * FROM public.employees; RESET ROLE");
        let (admin, ivan) = (shop.admin(), shop.ivan());
        until("the view to be found", || admin.try_rows("GRANT SELECT ON VIEW peek TO interns").ok());
        if let Ok(rows) = ivan.try_rows("SELECT ssn FROM peek") {
            assert!(rows.iter().all(|r| r[0].starts_with("***")), "{rows:?}");
        }
    }

    fn a_materialized_view_over_governed_tables_is_refused(shop: fresh) {
        shop.truth().run("SET ROLE shop_owner; CREATE MATERIALIZED VIEW public.frozen AS SELECT * FROM public.employees; RESET ROLE");
        let (admin, ivan) = (shop.admin(), shop.ivan());
        until("the view to be found", || admin.try_rows("GRANT SELECT ON VIEW frozen TO interns").ok());
        assert!(ivan.try_rows("SELECT ssn FROM frozen").is_err());
    }
}

/// Strict mode is on where a test says so, and `pgusher check` sees it.
#[test]
fn check_tells_what_strict_mode_reaches() {
    let shop = Shop::fresh(Mechanism::Strict);
    let settings = ProxySettings::new(&shop.database, Mechanism::Strict);
    let text = settings.run_check(shop.upstream);
    assert!(text.contains("ok    every table that can ask for grants does"), "{text}");
    assert!(text.contains("the analysis alone keeps: nothing"), "{text}");
    shop.truth()
        .run("CREATE TABLE public.roots (id int); SET ROLE shop_owner; CREATE MATERIALIZED VIEW public.kept AS SELECT 1 AS one");
    let text = settings.run_check(shop.upstream);
    assert!(text.contains("kept") && text.contains("roots"), "{text}");
}

/// Its function's own statements need a table that is written in place: mechanism `rls`.
#[test]
fn an_instead_of_trigger_writes_what_the_writer_could() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (admin, ana, truth) = (shop.admin(), shop.ana(), shop.truth());
    admin.run("CREATE TABLE public.told (id integer, ssn text)");
    admin.run("CREATE VIEW public.desk AS SELECT o.id, o.note, e.ssn FROM orders o JOIN employees e ON e.id = 1 + o.id % 5");
    admin.run(
        "CREATE FUNCTION public.desk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE orders SET note = NEW.note WHERE id = NEW.id;
        IF NOT FOUND THEN RETURN NULL; END IF;
        INSERT INTO told VALUES (NEW.id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.ssn END);
        RETURN NEW; END $$",
    );
    admin.run("CREATE TRIGGER desk INSTEAD OF INSERT OR UPDATE ON desk FOR EACH ROW EXECUTE FUNCTION desk()");
    admin.run("GRANT SELECT ON VIEW desk TO analysts");
    let one = |region: &str| truth.one(&format!("SELECT min(id) FROM orders WHERE region = '{region}'"));
    let (own, hidden) = (one("EMEA"), one("AMER"));
    ana.refused(&format!("UPDATE desk SET note = 'by trigger' WHERE id = {own}"), "42501");
    admin.run("GRANT MODIFY ON VIEW desk TO analysts");
    assert_eq!(ana.affected(&format!("UPDATE desk SET note = 'by trigger' WHERE id = {own}")), 1);
    assert_eq!(ana.affected(&format!("UPDATE desk SET note = 'by trigger' WHERE id = {hidden}")), 0);
    assert_eq!(ana.affected(&format!("INSERT INTO desk VALUES ({hidden}, 'by trigger')")), 0);
    assert_eq!(ana.affected(&format!("INSERT INTO desk VALUES ({own}, 'by trigger')")), 1);
    assert_eq!(truth.column("SELECT id FROM orders WHERE note = 'by trigger'"), [own.as_str()]);
    assert!(truth.column("SELECT coalesce(ssn, '***') FROM told").iter().all(|ssn| ssn.starts_with("***")));
    ana.refused("CREATE TRIGGER more INSTEAD OF DELETE ON desk FOR EACH ROW EXECUTE FUNCTION desk()", "0A000");
    admin.run("ALTER TRIGGER desk ON desk RENAME TO counter");
    admin.run("DROP TRIGGER counter ON desk");
    ana.refused(&format!("UPDATE desk SET note = 'x' WHERE id = {own}"), "55000");
}
