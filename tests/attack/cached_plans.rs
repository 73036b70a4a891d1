//! Class 1, a plan or an analysis made for one and used for another; class 14, a credential that outlives its time.

use crate::harness::{both_mechanisms, frame};

both_mechanisms! {
    /// The same text from two people, many times, interleaved: each gets their own rows, whatever is cached.
    fn the_same_text_means_each_one_s_own_rows(shop: shared) {
        let people = [(shop.ana(), "EMEA"), (shop.bob(), "AMER")];
        let prepared: Vec<_> = people.iter().map(|(p, _)| p.prepare("SELECT DISTINCT region, current_user FROM orders WHERE id > $1")).collect();
        for round in 0..12_i64 {
            for ((person, region), statement) in people.iter().zip(&prepared) {
                let rows = person.try_execute(statement, &[&round]).expect("granted");
                assert_eq!(rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>(), [*region]);
                assert_eq!(person.column("SELECT DISTINCT region FROM orders"), [*region]);
            }
        }
    }

    /// A decision remembered for one person is not another's.
    fn a_remembered_decision_is_personal(shop: shared) {
        let (hana, ana, ivan) = (shop.hana(), shop.ana(), shop.ivan());
        let text = "SELECT ssn FROM employees WHERE id = 12";
        let real = hana.one(text);
        for _ in 0..5 {
            assert_eq!(hana.one(text), real);
            assert!(ana.one(text).starts_with("***"));
            ivan.refused(text, "42501");
        }
    }

    /// A statement parsed, bound and described before a revoke is refused when it is executed after it.
    fn parse_and_bind_do_not_carry_a_right_over(shop: fresh) {
        let admin = shop.admin();
        admin.run("GRANT SELECT ON TABLE region_desk TO interns");
        let mut raw = shop.raw("ivan@example.com");
        raw.send(&[frame::query("BEGIN")]);
        raw.until_ready();
        raw.send(&[frame::parse("s", "SELECT * FROM region_desk"), frame::bind("p", "s", &[], 0), frame::describe('P', "p"), frame::sync()]);
        assert_eq!(raw.tags(), "12TZT");
        admin.run("REVOKE SELECT ON TABLE region_desk FROM interns");
        raw.send(&[frame::execute("p", 0), frame::sync()]);
        let frames = raw.until_ready();
        assert_eq!(frames[0].refusal().code, "42501", "{frames:?}");
        raw.send(&[frame::query("ROLLBACK")]);
        raw.until_ready();
        raw.send(&[frame::bind("", "s", &[], 0), frame::execute("", 0), frame::sync()]);
        assert_eq!(raw.until_ready()[0].refusal().code, "42501");
    }

    /// A portal suspended half way is decided anew before it gives more rows.
    fn a_suspended_portal_does_not_outlive_a_grant(shop: fresh) {
        let admin = shop.admin();
        admin.run("GRANT SELECT ON TABLE region_desk TO interns");
        let mut raw = shop.raw("ivan@example.com");
        raw.send(&[frame::query("BEGIN")]);
        raw.until_ready();
        raw.send(&[frame::parse("", "SELECT * FROM region_desk"), frame::bind("p", "", &[], 0), frame::execute("p", 1), frame::sync()]);
        assert_eq!(raw.tags(), "12DsZT");
        admin.run("REVOKE SELECT ON TABLE region_desk FROM interns");
        raw.send(&[frame::execute("p", 1), frame::sync()]);
        let frames = raw.until_ready();
        assert!(frames.iter().all(|f| f.tag != 'D'), "{frames:?}");
    }

    /// Class 14: whose rights are to go cannot hold that up by a transaction of their own that is left open.
    fn nobody_holds_up_a_revocation(shop: fresh) {
        let admin = shop.admin();
        admin.run("SET lock_timeout = '5s'");
        let ivan = shop.ivan();
        let token = || ivan.rows("CREATE TOKEN")[0][0].clone();
        ivan.run("BEGIN");
        ivan.refused(&format!("REVOKE TOKEN '{}'", token()), "25001");
        admin.run("REVOKE SELECT ON TABLE regions FROM users");
        ivan.run("ROLLBACK");
        // A batch that is never synced leaves its transaction open, but not this one.
        let (mut raw, own) = (shop.raw("ivan@example.com"), token());
        raw.send(&[frame::parse("", &format!("REVOKE TOKEN '{own}'")), frame::bind("", "", &[], 0), frame::execute("", 0), frame::flush()]);
        raw.expect('1');
        raw.expect('2');
        assert_eq!(raw.expect('C').command(), "REVOKE TOKEN");
        admin.run("GRANT SELECT ON TABLE regions TO users");
        raw.send(&[frame::sync()]);
        assert_eq!(raw.tags(), "ZI");
        let states = ivan.rows("SHOW TOKENS").into_iter().filter(|row| row[0] == own).map(|row| row[7].clone()).collect::<Vec<_>>();
        assert_eq!(states, ["revoked"]);
        // Two in one Query are two transactions.
        ivan.run(&format!("REVOKE TOKEN '{}'; REVOKE TOKEN '{}'", token(), token()));
    }

    /// A membership that was taken away is gone in transactions that began before, too, whose snapshot still shows it.
    fn a_group_that_was_left_does_not_live_on_in_a_snapshot(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        ana.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        assert_ne!(ana.one("SELECT count(*) FROM orders"), "0");
        admin.run("ALTER GROUP emea_analysts DROP USER \"ana@example.com\"");
        ana.refused("SELECT count(*) FROM orders", "40001");
        ana.refused("SELECT 1", "25P02");
        ana.run("ROLLBACK");
        ana.refused("SELECT count(*) FROM orders", "42501");
    }

    /// It can be ended, and nothing else.
    fn a_transaction_that_outlives_a_group_is_rolled_back_at_once(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        let change = |how: &str| admin.run(&format!("ALTER GROUP emea_analysts {how} USER \"ana@example.com\""));
        for (ends, refused) in [
            ("ROLLBACK", false),
            (" rollback work", false),
            ("ABORT", false),
            ("COMMIT", true),
            ("ROLLBACK AND CHAIN", true),
            ("ROLLBACK; SELECT 1", true),
            ("ROLLBACK TO s", true),
        ] {
            ana.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SAVEPOINT s");
            assert_ne!(ana.one("SELECT count(*) FROM orders"), "0");
            change("DROP");
            match ana.try_rows(ends) {
                Ok(_) => assert!(!refused, "{ends}"),
                Err(refusal) => assert!(refused && refusal.code == "40001", "{ends}: {refusal}"),
            }
            if refused {
                ana.run("ROLLBACK");
            }
            ana.refused("SELECT count(*) FROM orders", "42501");
            change("ADD");
        }
    }

    /// Nor after going back to a savepoint, in a batch without Sync, or in a cursor that outlives its transaction.
    fn a_group_that_was_left_lives_on_nowhere(shop: fresh) {
        let admin = shop.admin();
        admin.run("GRANT SELECT ON TABLE orders TO \"ana@example.com\"");
        let (back, held, mut raw) = (shop.ana(), shop.ana(), shop.raw("ana@example.com"));
        back.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        assert_ne!(back.one("SELECT count(*) FROM orders"), "0");
        back.run("SAVEPOINT s");
        held.run("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT region FROM orders; COMMIT");
        held.run("FETCH 1 FROM c");
        let read = || [frame::parse("", "SELECT region FROM orders"), frame::bind("", "", &[], 0), frame::execute("", 1), frame::flush()];
        raw.send(&[frame::parse("", "BEGIN ISOLATION LEVEL REPEATABLE READ"), frame::bind("", "", &[], 0), frame::execute("", 0)]);
        raw.send(&read());
        for tag in ['1', '2', 'C', '1', '2', 'D', 's'] {
            raw.expect(tag);
        }
        admin.run("ALTER GROUP emea_analysts DROP USER \"ana@example.com\"");
        back.refused("SELECT count(*) FROM orders", "40001");
        back.run("ROLLBACK TO s");
        back.refused("SELECT count(*) FROM orders", "40001");
        held.refused("FETCH 1 FROM c", "34000");
        raw.send(&read());
        raw.expect('E');
        back.run("ROLLBACK");
        for client in [&back, &held] {
            assert_eq!(client.one("SELECT count(*) FROM orders"), "0");
        }
    }
}
