//! Sessions of one token take a shared connection from each other as it is: nobody else does, and none of them depends on another.

use std::time::Duration;

use crate::harness::{Mechanism, RawClient, Shop, frame, until, within};
use crate::spec::pooling::sharing;

/// How many turns were taken on the connections of sessions, and how many of them on one that was left as it was.
fn turns(shop: &Shop) -> (u32, u32) {
    let rows = shop.admin().rows("SHOW POOLS");
    let of = rows.iter().find(|row| row[0] == "pgusher_session").expect("the sessions' login");
    (of[6].parse().expect("a number"), of[7].parse().expect("a number"))
}

const MINE: &str = "SELECT string_agg(DISTINCT region, ',' ORDER BY region) || ' ' || current_user FROM orders";
const ANAS: &str = "EMEA ana@example.com";

#[test]
fn sessions_of_one_token_take_a_connection_as_it_is() {
    for mechanism in [Mechanism::Rls, Mechanism::View] {
        let shop = sharing(mechanism, 1, "");
        let (one, other) = (shop.ana(), shop.ana());
        assert_eq!((one.one(MINE), other.one(MINE)), (ANAS.to_owned(), ANAS.to_owned()));
        let before = turns(&shop);
        for _ in 0..5 {
            assert_eq!((one.one(MINE), other.one(MINE)), (ANAS.to_owned(), ANAS.to_owned()));
        }
        let after = turns(&shop);
        assert_eq!((after.0 - before.0, after.1 - before.1), (10, 10));
        // Whoever is somebody else gets an identity of their own.
        assert_eq!(shop.bob().one(MINE), "AMER bob@example.com");
        assert_eq!(one.one(MINE), ANAS);
    }
}

#[test]
fn a_session_of_another_token_does_not_live_by_this_one() {
    for mechanism in [Mechanism::Rls, Mechanism::View] {
        let shop = sharing(mechanism, 1, "");
        let (first, second) = (shop.make_token("ana@example.com", ""), shop.make_token("ana@example.com", ""));
        let log_in = |token: &str| shop.try_connect("ana@example.com", token).unwrap();
        let (one, other) = (log_in(&first), log_in(&second));
        let id = one.rows("SHOW SESSION")[0][2].clone();
        assert_eq!((one.one(MINE), other.one(MINE)), (ANAS.to_owned(), ANAS.to_owned()));
        assert_eq!(one.one(MINE), ANAS);
        // The connection has the identity of the first one, whose row goes.
        other.run("BEGIN");
        shop.admin().run(&format!("REVOKE TOKEN \"{id}\""));
        assert_eq!(other.one(MINE), ANAS);
        other.run("COMMIT");
        assert_eq!(other.one(MINE), ANAS);
        until("the session of the token to end", || one.try_rows(MINE).err());
    }
}

#[test]
fn a_session_that_ends_takes_nothing_from_one_like_it() {
    let shop = sharing(Mechanism::Rls, 2, "");
    let one = shop.ana();
    one.run("BEGIN");
    // The login of this one has the other connection, which then is somebody else's.
    let other = shop.ana();
    one.run("COMMIT");
    let bob = shop.bob();
    bob.run("BEGIN");
    assert_eq!((one.one(MINE), other.one(MINE)), (ANAS.to_owned(), ANAS.to_owned()));
    drop((one, bob));
    // Rows of sessions that have ended are taken away twice a minute; this one has somebody yet who lives by it.
    let rows = |name: &str| shop.truth().one(&format!("SELECT count(*) FROM pgusher.session WHERE name = '{name}@example.com'"));
    within(Duration::from_secs(90), "the row of a session that has ended to go", || (rows("bob") == "0").then_some(()));
    assert_eq!((rows("ana"), other.one(MINE)), ("2".to_owned(), ANAS.to_owned()));
}

#[test]
fn who_was_shut_out_and_let_in_again_finds_no_identity_of_before() {
    for mechanism in [Mechanism::Rls, Mechanism::View] {
        let shop = sharing(mechanism, 2, "");
        let (before, admin, truth) = ([shop.ana(), shop.ana()], shop.admin(), shop.truth());
        // Both connections are known by them.
        before.iter().for_each(|session| session.run("BEGIN"));
        before.iter().for_each(|session| assert_eq!(session.one(MINE), ANAS));
        before.iter().for_each(|session| session.run("COMMIT"));
        admin.run("ALTER USER \"ana@example.com\" DISABLE");
        before.iter().for_each(|session| drop(until("the session to end", || session.try_rows("SELECT 1").err())));
        admin.run("ALTER USER \"ana@example.com\" ENABLE");
        let after = until("a session to be let in", || {
            let client = shop.try_connect("ana@example.com", shop.token("ana@example.com")).ok()?;
            client.try_rows("SELECT 1").is_ok().then_some(client)
        });
        // The one that its login was on goes away.
        let process = after.one("SELECT pg_backend_pid()");
        truth.run(&format!("SELECT pg_terminate_backend({process})"));
        let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {process}");
        until("the connection to end", || (truth.one(&gone) == "0").then_some(()));
        assert_eq!(after.one(MINE), ANAS);
    }
}

#[test]
fn what_one_session_leaves_is_not_there_for_one_like_it() {
    let shop = sharing(Mechanism::Rls, 1, "");
    let admin = shop.admin();
    admin.run("CREATE TABLE public.tickets (id serial)");
    admin.run("GRANT MODIFY ON TABLE public.tickets TO analysts");
    let (one, other) = (shop.ana(), shop.ana());
    one.run("INSERT INTO tickets DEFAULT VALUES");
    other.refused("SELECT lastval()", "55000");
    other.run("DISCARD SEQUENCES");
    one.run("SET work_mem = '5MB'; SET application_name = 'mine'");
    assert_eq!(other.one("SELECT current_setting('work_mem') || current_setting('application_name')"), "4MBpgusher");
    assert_eq!(one.one("SELECT current_setting('work_mem') || current_setting('application_name')"), "5MBmine");
    // A lock of the session that is hidden from us ends with its turn.
    admin.run("CREATE FUNCTION public.holds() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(77)'");
    admin.run("GRANT EXECUTE ON FUNCTION public.holds TO analysts");
    one.run("RESET ALL; SELECT holds(); SELECT pg_advisory_unlock_all()");
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77";
    assert_eq!(other.one("SELECT 1"), "1");
    assert_eq!(shop.truth().one(held), "0");
}

#[test]
fn show_session_tells_of_the_session_that_asks() {
    let shop = sharing(Mechanism::Rls, 1, "");
    let (one, other) = (shop.ana(), shop.ana());
    assert_eq!((one.one(MINE), other.one(MINE)), (ANAS.to_owned(), ANAS.to_owned()));
    let first = "(SELECT min(sid) FROM pgusher.session WHERE name = 'ana@example.com')";
    shop.truth().run(&format!("UPDATE pgusher.session SET started_at = '2001-02-03' WHERE sid = {first}"));
    let is_old = |client: &crate::harness::Client| client.rows("SHOW SESSION")[0][6].starts_with("2001-02-03");
    for _ in 0..2 {
        assert_eq!((is_old(&one), is_old(&other)), (true, false));
        assert_eq!((one.one(MINE), other.one(MINE)), (ANAS.to_owned(), ANAS.to_owned()));
    }
    // Where its identity cannot be had, the statement fails as it would if the session had it.
    other.run("BEGIN READ ONLY");
    other.refused("SHOW SESSION", "25006");
    other.refused("SELECT 1", "25P02");
    other.run("ROLLBACK");
    assert_eq!(other.one(MINE), ANAS);
}

#[test]
fn a_connection_with_other_startup_settings_is_not_taken_as_it_is() {
    let shop = sharing(Mechanism::Rls, 1, "");
    let plain = shop.ana();
    let told = |options: &[(&str, &str)]| {
        let mut raw = RawClient::connect(shop.proxy.port);
        raw.login(&shop.database, "ana@example.com", shop.token("ana@example.com"), options);
        // Whoever has it between leaves it as it is.
        assert_eq!(plain.one("SELECT '01/02/2020'::date::text"), "2020-01-02");
        raw.send(&[frame::query("SELECT '01/02/2020'::date::text")]);
        let day = raw.until_ready().into_iter().find(|answer| answer.tag == 'D').expect("a row");
        String::from_utf8_lossy(&day.body[6..]).into_owned()
    };
    assert_eq!(told(&[("options", "-c DateStyle=ISO,DMY")]), "2020-02-01");
    assert_eq!(told(&[]), "2020-01-02");
}

#[test]
fn a_session_that_begins_after_a_change_of_groups_is_not_known_by_one_that_has_missed_it() {
    let shop = sharing(Mechanism::Rls, 2, "");
    let (one, bob) = (shop.admin(), shop.bob());
    one.run("GRANT SELECT ON TABLE orders TO \"ana@example.com\"");
    // The login of the first is on the other connection, while its groups change.
    bob.run("BEGIN; SELECT 1");
    one.run("BEGIN");
    one.run("ALTER GROUP emea_analysts DROP USER \"ana@example.com\"");
    let first = shop.ana();
    first.run("BEGIN; SELECT 1");
    bob.run("COMMIT");
    // Its row cannot follow: somebody else who changes policies has it, for instance.
    let truth = shop.truth();
    truth.run("BEGIN; SELECT FROM pgusher.session WHERE name = 'ana@example.com' FOR UPDATE");
    one.run("COMMIT");
    let (later, keeps) = (shop.ana(), shop.ana());
    keeps.run("BEGIN; SELECT 1");
    until("the first to give its connection back", || first.try_rows("ROLLBACK").ok());
    for _ in 0..200 {
        assert_eq!(later.one("SELECT count(*) FROM orders"), "0");
    }
    truth.run("COMMIT");
    keeps.run("COMMIT");
    until("the first to follow", || (first.try_rows("SELECT count(*) FROM orders").ok()?.concat() == ["0"]).then_some(()));
    // Where all have followed, they take connections from each other as before.
    until("a connection to be taken as it is", || {
        let before = turns(&shop);
        assert_eq!((first.one("SELECT 1"), later.one("SELECT 1"), keeps.one("SELECT 1")), ("1".into(), "1".into(), "1".into()));
        let after = turns(&shop);
        (after.0 - before.0 == 3 && after.1 - before.1 == 3).then_some(())
    });
}

#[test]
fn a_show_session_that_is_canceled_leaves_nobody_without_identity() {
    let shop = sharing(Mechanism::Rls, 1, "");
    let one = shop.ana();
    let mut other = RawClient::connect(shop.proxy.port);
    let greeting = other.login(&shop.database, "ana@example.com", shop.token("ana@example.com"), &[]);
    let key = greeting.iter().find(|frame| frame.tag == 'K').expect("a cancel key").body.clone();
    let process = i32::from_be_bytes(key[..4].try_into().expect("four bytes"));
    other.send(&[frame::query("SELECT 1")]);
    other.until_ready();
    assert_eq!(one.one(MINE), ANAS);
    // What it is asked comes to its row, and no further.
    let truth = shop.truth();
    truth.run("BEGIN; LOCK TABLE pgusher.execution");
    other.send(&[frame::query("SHOW SESSION")]);
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'pgusher.execution'::regclass AND NOT granted";
    until("it to wait", || (shop.truth().one(waits) == "1").then_some(()));
    let mut canceler = RawClient::connect(shop.proxy.port);
    canceler.send(&[frame::cancel(process, &key[4..])]);
    assert!(canceler.closed());
    assert!(other.until_ready().iter().any(|frame| frame.tag == 'E'));
    truth.run("ROLLBACK");
    // The next to come takes a turn, whoever the connection is known by.
    let before = turns(&shop);
    assert_eq!(one.one(MINE), ANAS);
    let after = turns(&shop);
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 0));
}
