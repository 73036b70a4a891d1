//! Class 1, an analysis made for one statement and used for another, by way of names: prepared statements, portals and cursors
//! that upstream holds to be others than the ones they seem; class 5, plans.

use crate::harness::{Shop, both_mechanisms, frame};

const ONE: &str = "SELECT 1";
const DESK: &str = "SELECT * FROM region_desk";
const EXPLAIN: &str = "EXPLAIN (ANALYZE, VERBOSE) EXECUTE s";

/// A raw connection of Ivan's, who may read `region_desk` until [`revoke`].
fn ivan(shop: &Shop) -> crate::harness::RawClient {
    shop.admin().run("GRANT SELECT ON TABLE region_desk TO interns");
    shop.raw("ivan@example.com")
}

fn revoke(shop: &Shop) {
    shop.admin().run("REVOKE SELECT ON TABLE region_desk FROM interns");
}

/// Two functions of one name: Ana may call that of `public`, whose path is the default one, and not that of `vault`.
fn two_functions(shop: &Shop) {
    let admin = shop.admin();
    admin.run("CREATE SCHEMA vault");
    admin.run("CREATE FUNCTION public.where_am_i() RETURNS text LANGUAGE sql AS $$ SELECT 'outside' $$");
    admin.run("CREATE FUNCTION vault.where_am_i() RETURNS text LANGUAGE sql AS $$ SELECT 'inside' $$");
    admin.run("GRANT EXECUTE ON FUNCTION public.where_am_i TO analysts");
}

/// Two tables of one name: the group may read that of `vault`, too.
fn two_tables(shop: &Shop, group: &str) {
    let admin = shop.admin();
    admin.run("CREATE SCHEMA vault");
    admin.run("CREATE TABLE vault.regions (code text, name text)");
    admin.run("INSERT INTO vault.regions VALUES ('V', 'inside')");
    admin.run(&format!("GRANT SELECT ON TABLE vault.regions TO {group}"));
}

both_mechanisms! {
    /// A Parse that fails leaves the name to the statement that had it, which is decided anew.
    fn a_failed_parse_does_not_lend_its_name(shop: fresh) {
        for run in [&[frame::bind("", "s", &[], 0)][..], &[frame::parse("", "EXECUTE s"), frame::bind("", "", &[], 0)]] {
            let mut raw = ivan(shop);
            raw.send(&[frame::parse("s", DESK), frame::sync()]);
            assert_eq!(raw.tags(), "1ZI");
            revoke(shop);
            // In one piece: what follows the first Sync is here before upstream has said anything.
            let pipeline = [&[frame::parse("s", ONE), frame::sync()][..], run, &[frame::execute("", 0), frame::sync()]].concat();
            raw.send(&pipeline);
            assert_eq!(raw.until_ready()[0].refusal().code, "42P05");
            assert_eq!(raw.until_ready()[0].refusal().code, "42501");
        }
    }

    /// A Bind that fails leaves the name to the cursor that had it.
    fn a_failed_bind_does_not_lend_its_name(shop: fresh) {
        for at_once in [false, true] {
            let mut raw = ivan(shop);
            for sql in ["BEGIN", "DECLARE c CURSOR FOR SELECT * FROM region_desk", "SAVEPOINT z"] {
                raw.send(&[frame::query(sql)]);
                raw.until_ready();
            }
            raw.send(&[frame::parse("one", ONE), frame::parse("back", "ROLLBACK TO z"), frame::sync()]);
            assert_eq!(raw.tags(), "11ZT");
            revoke(shop);
            let bind = [frame::bind("c", "one", &[], 0), frame::sync()];
            let back = [frame::bind("", "back", &[], 0), frame::execute("", 0)];
            let read = [frame::execute("c", 1), frame::sync()];
            if at_once {
                raw.send(&[&bind[..], &back, &read].concat());
                assert_eq!(raw.until_ready()[0].refusal().code, "42P03");
            } else {
                raw.send(&bind);
                assert_eq!(raw.until_ready()[0].refusal().code, "42P03");
                raw.send(&[&back[..], &read].concat());
            }
            assert_eq!(raw.tags(), "2CEZE");
        }
    }

    /// A portal that went with its savepoint does not stand for the cursor that took its name, nor the other way round.
    fn a_name_is_that_of_one_portal(shop: fresh) {
        let mut raw = ivan(shop);
        for sql in ["BEGIN", "SAVEPOINT z"] {
            raw.send(&[frame::query(sql)]);
            raw.until_ready();
        }
        raw.send(&[frame::parse("one", ONE), frame::bind("c", "one", &[], 0), frame::sync()]);
        assert_eq!(raw.tags(), "12ZT");
        for sql in ["ROLLBACK TO z", "DECLARE c CURSOR FOR SELECT * FROM region_desk"] {
            raw.send(&[frame::query(sql)]);
            raw.until_ready();
        }
        revoke(shop);
        raw.send(&[frame::execute("c", 1), frame::sync()]);
        assert_eq!(raw.until_ready()[0].refusal().code, "42501");

        let mut raw = ivan(shop);
        for sql in ["BEGIN", "SAVEPOINT z", "DECLARE c CURSOR FOR SELECT 1", "ROLLBACK TO z"] {
            raw.send(&[frame::query(sql)]);
            raw.until_ready();
        }
        raw.send(&[frame::parse("desk", DESK), frame::bind("c", "desk", &[], 0), frame::sync()]);
        assert_eq!(raw.tags(), "12ZT");
        revoke(shop);
        raw.send(&[frame::query("FETCH 1 FROM c")]);
        assert_eq!(raw.until_ready()[0].refusal().code, "42501");
    }

    /// A portal that seems to be another one does not hide what it sets.
    fn a_search_path_set_under_a_borrowed_name_is_seen(shop: fresh) {
        two_functions(shop);
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[frame::query("BEGIN")]);
        raw.until_ready();
        raw.send(&[frame::parse("set", "SET search_path = vault"), frame::parse("one", ONE), frame::bind("p", "set", &[], 0), frame::sync()]);
        assert_eq!(raw.tags(), "112ZT");
        raw.send(&[frame::query("SAVEPOINT z")]);
        raw.until_ready();
        raw.send(&[frame::bind("p", "one", &[], 0), frame::sync()]);
        assert_eq!(raw.until_ready()[0].refusal().code, "42P03");
        raw.send(&[frame::query("ROLLBACK TO z")]);
        raw.until_ready();
        raw.send(&[frame::execute("p", 0), frame::sync()]);
        assert_eq!(raw.tags(), "CZT");
        raw.send(&[frame::query("SELECT where_am_i()")]);
        assert_eq!(raw.until_ready()[0].refusal().code, "42501");
    }

    /// EXECUTE by the extended protocol is decided by what it executes now.
    fn execute_is_decided_by_what_it_names_now(shop: fresh) {
        two_functions(shop);
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[frame::query("PREPARE s AS SELECT where_am_i()")]);
        raw.until_ready();
        raw.send(&[frame::parse("u", "EXECUTE s"), frame::bind("", "u", &[], 0), frame::execute("", 0), frame::sync()]);
        assert_eq!(raw.tags(), "12DCZI");
        raw.send(&[frame::query("SET search_path = vault")]);
        raw.until_ready();
        raw.send(&[frame::bind("", "u", &[], 0), frame::execute("", 0), frame::sync()]);
        assert_eq!(raw.until_ready()[0].refusal().code, "42501");
    }

    /// PostgreSQL 18 goes on with the transaction of a batch behind a Query, up to the batch's Sync: what it then sets or takes back is what
    /// the path is.
    fn what_a_query_sets_in_a_batch_is_the_path_that_holds_behind_it(shop: fresh) {
        two_functions(shop);
        let one = frame::run(ONE);
        let fails = frame::run("SELECT 1/0");
        for behind in [&[][..], &one, &fails] {
            let mut raw = shop.raw("ana@example.com");
            for path in ["vault", "public", "vault"] {
                let set = [frame::query(&format!("SET search_path = {path}"))];
                raw.send(&[&one[..], &set, behind, &[frame::sync()]].concat());
                raw.until_ready();
                raw.until_ready();
                raw.send(&[frame::query("SHOW search_path")]);
                let shown = raw.until_ready()[1].values()[0].clone().expect("a path");
                raw.send(&[frame::query("SELECT where_am_i()")]);
                let answer = raw.until_ready();
                match shown == b"vault" {
                    true => assert_eq!(answer[0].refusal().code, "42501"),
                    false => assert_eq!(answer[1].values()[0].as_deref(), Some(&b"outside"[..])),
                }
            }
        }
    }

    /// What upstream said of the path between two transactions is what holds when the next one fails, and not what was known before.
    fn a_path_that_a_function_set_is_the_path_behind_an_error(shop: fresh) {
        two_functions(shop);
        let admin = shop.admin();
        admin.run("CREATE FUNCTION public.set_path(path text, within boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN set_config('search_path', path, within); END $$");
        admin.run("GRANT EXECUTE ON FUNCTION public.set_path TO analysts");
        let fails = [&frame::run("SELECT 1/0")[..], &[frame::sync()]].concat();
        for error in [&[frame::query("SELECT 1/0")][..], &fails] {
            let mut raw = shop.raw("ana@example.com");
            let mut run = |frames: &[Vec<u8>]| {
                raw.send(frames);
                raw.until_ready()
            };
            for (sets, inside) in [
                (&["SELECT public.set_path('vault', false)"][..], true),
                (&["SELECT public.set_path('public', false)"], false),
                (&["BEGIN", "SELECT public.set_path('vault', true)", "COMMIT"], false),
                (&["BEGIN", "SELECT public.set_path('vault', false)", "COMMIT"], true),
                (&["BEGIN", "SELECT public.set_path('public', false)", "ROLLBACK"], true),
                (&["SELECT public.set_path('public', false)", "SELECT public.set_path('vault', false)", "BEGIN", "SET search_path = public", "ROLLBACK"], true),
            ] {
                for sql in sets {
                    run(&[frame::query(sql)]);
                }
                run(error);
                let answer = run(&[frame::query("SELECT where_am_i()")]);
                match inside {
                    true => assert_eq!(answer[0].refusal().code, "42501", "{sets:?}"),
                    false => assert_eq!(answer[1].values()[0].as_deref(), Some(&b"outside"[..]), "{sets:?}"),
                }
            }
        }
    }

    /// An error of the batch before it drops no message of the next one, which is on its way already.
    fn what_comes_behind_a_batch_that_fails_is_carried_out(shop: fresh) {
        two_tables(shop, "analysts");
        let mut raw = shop.raw("ana@example.com");
        let fails = [&frame::run("SELECT 1 / length(pg_sleep(0.2)::text)")[..], &[frame::sync()]].concat();
        let run = [frame::execute("", 0), frame::sync()];
        raw.send(&[frame::parse("mine", "SELECT name FROM regions LIMIT 1"), frame::parse("", ONE), frame::bind("", "", &[], 0), frame::sync()]);
        raw.until_ready();
        for (path, inside) in [("vault", true), ("public", false)] {
            // It means another table now, and is prepared anew while the batch before it fails.
            raw.send(&[frame::query(&format!("SET search_path = {path}"))]);
            raw.until_ready();
            raw.send(&[&fails[..], &[frame::bind("", "mine", &[], 0)], &run].concat());
            assert_eq!(raw.tags(), "12EZI");
            let answer = raw.until_ready();
            assert_eq!(crate::harness::tags(&answer), "2DCZI");
            assert_eq!(answer[1].values()[0].as_deref() == Some(b"inside"), inside);
        }
        raw.send(&[frame::query("SET search_path = vault")]);
        raw.until_ready();
        raw.send(&[&fails[..], &[frame::parse("", "EXECUTE mine"), frame::bind("", "", &[], 0)], &run].concat());
        assert_eq!(raw.tags(), "12EZI");
        assert_eq!(raw.tags(), "12DCZI");
    }

    /// What upstream skipped has not been prepared anew: it stays what it was, and is not taken for more.
    fn a_renewal_that_was_skipped_is_made_up_for(shop: fresh) {
        two_tables(shop, "interns");
        let mut raw = shop.raw("ivan@example.com");
        raw.send(&[frame::parse("r", "SELECT name FROM regions LIMIT 1"), frame::sync()]);
        assert_eq!(raw.tags(), "1ZI");
        raw.send(&[frame::query("SET search_path = vault")]);
        raw.until_ready();
        raw.send(&[frame::bind("", "r", &[], 0), frame::execute("", 0), frame::sync()]);
        assert_eq!(raw.tags(), "2DCZI");
        raw.send(&[frame::query("SET search_path = public")]);
        raw.until_ready();
        shop.admin().run("REVOKE SELECT ON TABLE vault.regions FROM interns");
        let fails = frame::run("SELECT 'x'::integer");
        raw.send(&[&fails[..], &[frame::bind("", "r", &[], 0), frame::execute("", 0), frame::sync()]].concat());
        assert_eq!(raw.until_ready()[0].refusal().code, "22P02");
        raw.send(&[frame::bind("", "r", &[], 0), frame::execute("", 0), frame::sync()]);
        let frames = raw.until_ready();
        assert_ne!(frames[1].values()[0].as_deref(), Some(&b"inside"[..]), "{frames:?}");
    }

    /// A portal that is not yet confirmed does not take the place of a command of the same name.
    fn a_command_of_governance_in_a_pipeline_is_carried_out(shop: fresh) {
        let (mut raw, ivan) = (shop.raw("admin@example.com"), shop.ivan());
        shop.admin().run("CREATE TABLE public.secret (n integer)");
        let (one, fails) = (frame::run("SELECT 1"), frame::run("SELECT 1/0"));
        let command = |verb: &str| frame::run(&format!("{verb} interns"));
        let (grant, revoke) = (command("GRANT SELECT ON TABLE public.secret TO"), command("REVOKE SELECT ON TABLE public.secret FROM"));
        let mut run = |batch: &[&[Vec<u8>]]| {
            raw.send(&[&batch.concat()[..], &[frame::sync()]].concat());
            raw.tags()
        };
        assert_eq!(run(&[&one, &grant, &one]), "12DC12C12DCZI");
        assert_eq!(ivan.one("SELECT count(*) FROM secret"), "0");
        assert_eq!(run(&[&fails, &revoke]), "1EZI");
        assert_eq!(ivan.one("SELECT count(*) FROM secret"), "0");
        assert_eq!(run(&[&one, &one, &revoke, &grant, &revoke]), "12DC12DC12C12C12CZI");
        ivan.refused("SELECT count(*) FROM secret", "42501");
        // The unnamed statement gives way to the next one, whatever it is.
        assert_eq!(run(&[&one, &grant[..1], &one]), "12DC112DCZI");
    }

    /// Class 5: EXPLAIN EXECUTE is decided by what it explains now, however the statement came to its name.
    fn explain_execute_shows_no_plan_of_governed_tables(shop: shared) {
        let prepare = "PREPARE s AS SELECT email FROM employees WHERE salary > 50000";
        // Explained under this text before.
        let ana = shop.ana();
        for sql in ["PREPARE s AS SELECT 1", EXPLAIN, "DEALLOCATE s", prepare] {
            ana.run(sql);
        }
        ana.refused(EXPLAIN, "42501");
        // Prepared behind another statement.
        let ana = shop.ana();
        ana.run(&format!("SELECT 1; {prepare}"));
        ana.refused(EXPLAIN, "42501");
        // Prepared by Parse, when the name was another statement's.
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[frame::query("PREPARE s AS SELECT 1")]);
        raw.until_ready();
        raw.send(&[frame::parse("u", EXPLAIN), frame::bind("", "u", &[], 0), frame::execute("", 0), frame::sync()]);
        assert!(raw.tags().starts_with("12D"));
        for sql in ["DEALLOCATE s", prepare] {
            raw.send(&[frame::query(sql)]);
            raw.until_ready();
        }
        raw.send(&[frame::bind("", "u", &[], 0), frame::execute("", 0), frame::sync()]);
        assert_eq!(raw.until_ready()[0].refusal().code, "42501");
    }
}
