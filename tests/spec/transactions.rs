//! Transactions behave as on a direct connection, and a statement that we refuse fails one as an error of PostgreSQL's would.

use crate::harness::both_mechanisms;
use crate::harness::frame::{close, execute, query, run, sync};

both_mechanisms! {
    fn commit_keeps_and_rollback_undoes(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let mine = truth.one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        ana.run(&format!("BEGIN; UPDATE orders SET note = 'kept' WHERE id = {mine}; COMMIT"));
        ana.run(&format!("BEGIN; UPDATE orders SET note = 'gone' WHERE id = {mine}; ROLLBACK"));
        assert_eq!(truth.one(&format!("SELECT note FROM orders WHERE id = {mine}")), "kept");
    }

    fn savepoints_nest(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let mine = truth.one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        ana.run("BEGIN");
        ana.run(&format!("UPDATE orders SET note = 'one' WHERE id = {mine}"));
        ana.run("SAVEPOINT a");
        ana.run(&format!("UPDATE orders SET note = 'two' WHERE id = {mine}"));
        ana.refused("SELECT * FROM region_desk", "42501");
        ana.refused("SELECT 1", "25P02");
        ana.run("ROLLBACK TO SAVEPOINT a");
        assert_eq!(ana.one(&format!("SELECT note FROM orders WHERE id = {mine}")), "one");
        ana.run("RELEASE a");
        ana.run("COMMIT");
        assert_eq!(truth.one(&format!("SELECT note FROM orders WHERE id = {mine}")), "one");
    }

    fn a_statement_that_we_refuse_fails_the_transaction(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let mine = truth.one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        for (refused, code) in [
            ("SELECT * FROM region_desk", "42501"),
            ("SELECT * FROM nosuch", "42P01"),
            ("SELEC 1", "42601"),
            ("CREATE TABLE t (n integer)", "42501"),
            ("CREATE EXTENSION hstore", "0A000"),
            ("SET ROLE postgres", "42501"),
            ("GRANT SELECT ON TABLE employees TO \"ivan@example.com\"", "42501"),
        ] {
            ana.run("BEGIN");
            ana.run(&format!("UPDATE orders SET note = 'never' WHERE id = {mine}"));
            ana.refused(refused, code);
            assert_eq!(ana.refused("SELECT 1", "25P02").message, "current transaction is aborted, commands ignored until end of transaction block");
            ana.run("COMMIT");
            assert_ne!(truth.one(&format!("SELECT note FROM orders WHERE id = {mine}")), "never", "{refused}: COMMIT of a failed transaction rolls back");
            assert_eq!(ana.one("SELECT 1"), "1");
        }
    }

    fn several_statements_in_one_message_are_one_transaction(shop: fresh) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let mine = truth.one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        let note = format!("SELECT coalesce(note, 'none') FROM orders WHERE id = {mine}");
        let before = truth.one(&note);
        let update = format!("UPDATE orders SET note = 'implicit' WHERE id = {mine}");
        ana.refused(&format!("{update}; SELECT * FROM region_desk"), "42501");
        assert_eq!(truth.one(&note), before, "refused by us: nothing of it stays");
        ana.refused(&format!("{update}; SELECT 1/0"), "22012");
        assert_eq!(truth.one(&note), before, "refused by upstream: nothing of it stays");
        assert_eq!(ana.rows(&format!("{update}; SELECT 7; SELECT 8")), [["7"], ["8"]]);
        assert_eq!(truth.one(&note), "implicit");
    }

    fn isolation_levels_and_read_only_work(shop: fresh) {
        let ana = shop.ana();
        ana.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        assert_eq!(ana.one("SHOW transaction_isolation"), "repeatable read");
        let before = ana.one("SELECT count(*) FROM orders");
        shop.truth().run("DELETE FROM order_items; DELETE FROM invoices; DELETE FROM orders WHERE region = 'EMEA' AND id % 2 = 0");
        assert_eq!(ana.one("SELECT count(*) FROM orders"), before);
        ana.run("COMMIT");
        assert_ne!(ana.one("SELECT count(*) FROM orders"), before);
        ana.run("BEGIN READ ONLY");
        assert_ne!(ana.one("SELECT count(*) FROM orders"), "0", "identity works in a read-only transaction");
        ana.refused("UPDATE orders SET note = 'x'", "25006");
        ana.run("ROLLBACK");
        ana.run("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE");
        ana.run("COMMIT AND CHAIN");
        ana.run("ROLLBACK AND NO CHAIN");
    }

    fn governance_stands_in_the_session_s_own_transaction(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        admin.run("BEGIN");
        admin.run("CREATE TABLE public.notes (body text)");
        admin.run("GRANT SELECT ON TABLE notes TO analysts");
        admin.run("INSERT INTO notes VALUES ('hello')");
        assert_eq!(admin.one("SELECT body FROM notes"), "hello");
        ana.refused("SELECT body FROM notes", "42P01");
        admin.run("COMMIT");
        assert_eq!(ana.one("SELECT body FROM notes"), "hello");
        admin.run("BEGIN");
        admin.run("REVOKE SELECT ON TABLE notes FROM analysts");
        admin.refused("SELECT 1/0", "22012");
        admin.run("COMMIT");
        assert_eq!(ana.one("SELECT body FROM notes"), "hello", "a failed transaction revokes nothing");
    }

    fn rolling_back_to_a_savepoint_undoes_governance_too(shop: fresh) {
        let (admin, ivan) = (shop.admin(), shop.ivan());
        admin.run("BEGIN; SAVEPOINT s");
        admin.run("GRANT SELECT ON TABLE employees TO interns");
        admin.run("ROLLBACK TO s");
        admin.run("GRANT SELECT ON TABLE region_desk TO interns");
        admin.run("COMMIT");
        ivan.refused("SELECT 1 FROM employees", "42501");
        assert_eq!(ivan.one("SELECT count(*) FROM region_desk"), "2");
    }

    fn a_crash_of_the_client_inside_a_transaction_rolls_back(shop: fresh) {
        let truth = shop.truth();
        let mine = truth.one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        let ana = shop.ana();
        ana.run(&format!("BEGIN; UPDATE orders SET note = 'lost' WHERE id = {mine}"));
        drop(ana);
        crate::harness::until("the row to be free again", || {
            truth.try_rows(&format!("BEGIN; SET LOCAL lock_timeout = '20ms'; UPDATE orders SET note = 'free' WHERE id = {mine}; COMMIT")).map_err(|_| truth.run("ROLLBACK")).ok()
        });
        assert_eq!(truth.one(&format!("SELECT note FROM orders WHERE id = {mine}")), "free");
    }

    /// Up to PostgreSQL 17 a Query ends the transaction of the batch it stands in; from 18 on the transaction goes on to Sync.
    fn a_query_in_a_batch_ends_its_transaction_or_goes_on_with_it_as_upstream_does(shop: fresh) {
        let (truth, goes_on) = (shop.truth(), shop.upstream.major() >= 18);
        let mine = truth.one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        let noted = || truth.one(&format!("SELECT coalesce(note, 'none') FROM orders WHERE id = {mine}"));
        let note = |note: &str| run(&format!("UPDATE orders SET note = '{note}' WHERE id = {mine}"));
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[&note("one")[..], &[query("SELECT 1")]].concat());
        assert_eq!(raw.tags(), if goes_on { "12CTDCZT" } else { "12CTDCZI" });
        assert_eq!(noted() == "one", !goes_on);
        raw.send(&[sync()]);
        assert_eq!(raw.tags(), "ZI");
        assert_eq!(noted(), "one");
        let undone = [
            (&run("SELECT 1/0")[..], &["1EZI"][..]),
            (&run("SELECT * FROM region_desk"), &["EZI"]),
            (&[query("SELECT * FROM region_desk")], &["EZI", "ZI"]),
            (&[query("SELECT 1/0")], &["EZI", "ZI"]),
            (&[query("BEGIN"), query("ROLLBACK")], &["CZT", "CZI", "ZI"]),
        ];
        for (number, (behind, answers)) in undone.into_iter().enumerate() {
            let said = format!("undone {number}");
            raw.send(&[&note(&said)[..], &[query("SELECT 1")], behind, &[sync()]].concat());
            raw.until_ready();
            for answer in answers {
                assert_eq!(raw.tags(), *answer, "{said}");
            }
            assert_eq!(noted() == said, !goes_on, "{said}");
        }
        // What wants no transaction is refused in the batch's, and undoes it.
        let wants_none = query("CREATE INDEX CONCURRENTLY ON orders (note)");
        let mut admin = shop.raw("admin@example.com");
        admin.send(&[&note("refused")[..], &[wants_none.clone(), sync()]].concat());
        assert_eq!(admin.tags(), "12CEZI");
        assert_eq!(admin.tags(), "ZI");
        assert_ne!(noted(), "refused");
        admin.send(&[&note("before")[..], &[query("SELECT 1"), wants_none, sync()]].concat());
        admin.until_ready();
        assert_eq!(admin.tags(), if goes_on { "EZI" } else { "CZI" });
        assert_eq!(admin.tags(), "ZI");
        assert_eq!(noted() == "before", !goes_on);
        for (number, ours) in ["CREATE TABLE made (n integer)", "SHOW GRANTS ON TABLE made", "DROP TABLE made"].into_iter().enumerate() {
            let said = format!("kept {number}");
            admin.send(&[&note(&said)[..], &[query("SELECT 1"), query(ours), sync()]].concat());
            admin.until_ready();
            assert!(!admin.tags().contains('E'), "{ours}");
            assert_eq!(admin.tags(), "ZI");
            assert_eq!(noted(), said);
        }
    }

    fn a_query_behind_what_is_done_by_the_owner_undoes_it_with_itself(shop: fresh) {
        let (admin, mut raw) = (shop.admin(), shop.raw("admin@example.com"));
        admin.run("CREATE TABLE made (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)");
        let count = || admin.one("SELECT count(*) FROM made");
        let truncate = run("TRUNCATE made");
        for (behind, tags, left) in [
            (query("SELECT 1/0"), "12CEZI", "1"),
            (query("SELECT * FROM nosuch"), "12CEZI", "1"),
            (query("VACUUM made"), "12CEZI", "1"),
            (query("SELECT 1; SELECT 1/0"), "12CTDCEZI", "1"),
            (query("CREATE TABLE made (n integer)"), "12CEZI", "1"),
            (query("GRANT SELECT ON TABLE nosuch TO analysts"), "12CEZI", "1"),
            (query(""), "12CIZI", "0"),
            (query("SELECT 1"), "12CTDCZI", "0"),
            (query("SHOW GRANTS ON TABLE made"), "12C", "0"),
        ] {
            admin.run("TRUNCATE made");
            admin.run("INSERT INTO made VALUES (1)");
            raw.send(&[&truncate[..], &[behind]].concat());
            let answered = raw.tags();
            assert!(answered.starts_with(tags) && answered.ends_with("ZI"), "{answered} is not {tags}");
            raw.send(&[sync()]);
            assert_eq!(raw.tags(), "ZI");
            assert_eq!(count(), left, "{tags}");
        }
        admin.run("TRUNCATE made");
        admin.run("INSERT INTO made VALUES (1)");
        // What wants a block of the client's own finds none, and a portal runs once.
        for (behind, code) in [
            (&run("COMMIT AND CHAIN")[..], "25P01"),
            (&run("SAVEPOINT s"), "25P01"),
            (&[execute("", 0)], "55000"),
        ] {
            raw.send(&[&truncate[..], behind, &[sync()]].concat());
            let refused = raw.until_ready().into_iter().find(|frame| frame.tag == 'E').expect("an error");
            assert_eq!(refused.refusal().code, code);
            assert_eq!(count(), "1", "{code}");
        }
        // The last statement's tag waits for the commit.
        raw.send(&[query("COMMIT; INSERT INTO made VALUES (1)")]);
        assert_eq!(raw.tags(), "CEZI");
        raw.send(&[query("COMMIT; INSERT INTO made VALUES (2)")]);
        assert_eq!(raw.tags(), "CCZI");
        assert_eq!(count(), "2");
    }

    /// What pgusher asks itself does not end the transaction of a batch, and begins none.
    fn questions_of_ours_leave_the_transaction_of_a_batch_as_it_is(shop: fresh) {
        let admin = shop.admin();
        admin.run("CREATE FUNCTION public.asks() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_setting('search_path'); END $$");
        admin.run("GRANT EXECUTE ON FUNCTION public.asks TO analysts");
        let (truth, goes_on) = (shop.truth(), shop.upstream.major() >= 18);
        let mine = truth.one("SELECT min(id) FROM orders WHERE region = 'EMEA'");
        let noted = || truth.one(&format!("SELECT coalesce(note, 'none') FROM orders WHERE id = {mine}"));
        let note = |note: &str| format!("UPDATE orders SET note = '{note}' WHERE id = {mine} RETURNING public.asks()");
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[&run("SELECT 1")[..], &[query(&note("undone"))], &run("SELECT 1/0"), &[sync()]].concat());
        raw.until_ready();
        assert_eq!(raw.tags(), "1EZI");
        assert_eq!(noted() == "undone", !goes_on);
        // A Close begins no transaction.
        raw.send(&[query("SELECT public.asks()"), close('S', "none"), query(&note("kept"))]);
        raw.send(&[&run("SELECT 1/0")[..], &[sync()]].concat());
        raw.until_ready();
        assert_eq!(raw.tags(), "3TDCZI");
        assert_eq!(raw.tags(), "1EZI");
        assert_eq!(noted(), "kept");
        // An empty Query does with it what any does.
        raw.send(&[&run(&note("empty"))[..], &[query("")], &run("SELECT 1/0"), &[sync()]].concat());
        assert_eq!(raw.tags(), if goes_on { "12DCIZT" } else { "12DCIZI" });
        assert_eq!(raw.tags(), "1EZI");
        assert_eq!(noted() == "empty", !goes_on);
    }

    fn what_stands_behind_discard_sequences_in_a_query_knows_who_asks(shop: fresh) {
        let ana = shop.ana();
        assert_eq!(ana.rows("DISCARD SEQUENCES; SELECT current_user()").concat(), ["ana@example.com"]);
        ana.refused("DISCARD SEQUENCES; SELECT 1/0", "22012");
        assert_eq!(ana.one("SELECT current_user()"), "ana@example.com");
    }
}
