//! Prepared statements, by protocol and by SQL.

use crate::harness::both_mechanisms;

both_mechanisms! {
    fn parameters_and_binary_results_pass(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let rows = ana.query("SELECT id, region, ordered_on::text, amount::float8, note FROM orders WHERE customer_id = $1 AND id > $2 ORDER BY id", &[&7_i32, &0_i64]);
        let expected = truth.rows("SELECT id FROM orders WHERE customer_id = 7 AND region = 'EMEA' ORDER BY id");
        assert_eq!(rows.iter().map(|r| vec![r.get::<_, i64>(0).to_string()]).collect::<Vec<_>>(), expected);
        assert!(ana.query("SELECT current_user, is_member($1), $2::int[]", &[&"analysts", &vec![1, 2]])[0].get::<_, bool>(1));
        let types: Vec<String> = ana.prepare("SELECT * FROM orders WHERE region = $1 AND amount > $2").params().iter().map(ToString::to_string).collect();
        assert_eq!(types, ["text", "numeric"]);
    }

    fn a_statement_prepared_before_a_policy_change_meets_the_new_policy(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE TABLE public.plain (id integer, secret text)");
        admin.run("GRANT SELECT ON TABLE plain TO analysts");
        admin.run("INSERT INTO plain VALUES (1, 'mine'), (2, 'theirs')");
        let by_protocol = ana.prepare("SELECT id, secret FROM plain ORDER BY id");
        ana.run("PREPARE by_sql AS SELECT secret FROM plain ORDER BY id");
        for _ in 0..7 {
            assert_eq!(ana.column("EXECUTE by_sql"), ["mine", "theirs"]);
        }
        assert_eq!(ana.try_execute(&by_protocol, &[]).expect("granted").len(), 2);
        admin.run("ALTER TABLE plain ALTER COLUMN secret SET MASK ('masked')");
        assert_eq!(ana.column("EXECUTE by_sql"), ["masked", "masked"]);
        let rows = ana.try_execute(&by_protocol, &[]).expect("the columns are the same");
        assert_eq!(rows.iter().map(|r| r.get::<_, String>(1)).collect::<Vec<_>>(), ["masked", "masked"]);
        admin.run("ALTER TABLE plain SET ROW FILTER (id = 1)");
        assert_eq!(ana.column("EXECUTE by_sql"), ["masked"]);
        assert_eq!(ana.try_execute(&by_protocol, &[]).expect("still granted").len(), 1);
        admin.run("ALTER TABLE plain ALTER COLUMN secret DROP MASK");
        assert_eq!(ana.column("EXECUTE by_sql"), ["mine"]);
    }

    fn sql_prepare_execute_and_deallocate(shop: shared) {
        let ana = shop.ana();
        ana.run("PREPARE by_region (text) AS SELECT count(*) FROM orders WHERE region = $1");
        assert_eq!(ana.one("EXECUTE by_region ('AMER')"), "0");
        assert_eq!(ana.one("EXECUTE by_region ('EMEA')"), shop.truth().one("SELECT count(*) FROM orders WHERE region = 'EMEA'"));
        ana.refused("PREPARE by_region AS SELECT 1", "42P05");
        ana.run("DEALLOCATE by_region");
        ana.refused("EXECUTE by_region ('EMEA')", "26000");
        ana.refused("DEALLOCATE by_region", "26000");
        ana.refused("PREPARE no AS SELECT * FROM region_desk", "42501");
        ana.run("PREPARE a AS SELECT 1; PREPARE b AS SELECT 2; DEALLOCATE ALL");
        ana.refused("EXECUTE a", "26000");
        ana.refused("PREPARE c AS DELETE FROM products", "42501");
    }

    fn the_identity_in_a_generic_plan_is_that_of_the_session(shop: shared) {
        let people = [(shop.ana(), "EMEA"), (shop.bob(), "AMER")];
        for (person, _) in &people {
            person.run("SET plan_cache_mode = force_generic_plan; PREPARE p AS SELECT DISTINCT region FROM orders");
        }
        for _ in 0..3 {
            for (person, region) in &people {
                assert_eq!(person.column("EXECUTE p"), [*region]);
            }
        }
    }

    fn a_prepared_statement_survives_a_change_of_search_path_by_meaning(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("CREATE SCHEMA other");
        admin.run("CREATE TABLE other.orders (id integer, region text)");
        ana.run("PREPARE p AS SELECT count(*) FROM orders");
        let before = ana.one("EXECUTE p");
        ana.run("SET search_path = other, public");
        // PostgreSQL plans anew under the new path; the other table is not granted.
        match ana.try_rows("EXECUTE p") {
            Ok(rows) => assert_eq!(rows[0][0], before),
            Err(refusal) => assert_eq!(refusal.code, "42501"),
        }
    }
}
