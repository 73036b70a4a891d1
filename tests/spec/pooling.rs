//! Sessions that share upstream connections (`pool_mode = "transaction"`): nobody sees another's rows, settings or statements, and a
//! session is what it is on a connection of its own.

use crate::harness::frame::{bind, close, execute, parse, query, sync};
use crate::harness::{Client, Halted, Mechanism, RawClient, Refusal, Shop, table_of, until};

/// A shop whose ordinary sessions share so many connections.
pub(crate) fn sharing(mechanism: Mechanism, connections: usize, more: &str) -> Shop {
    Shop::set_up(mechanism, |settings| settings.pooled(&shared_by(connections, more)))
}

fn shared_by(connections: usize, more: &str) -> String {
    format!("pool_mode = \"transaction\"\nsession_connections = {connections}\nacquire_timeout_ms = {PATIENCE_MS}\n{more}")
}

/// How long a session waits for a connection here.
const PATIENCE_MS: u64 = 400;

const TOO_MANY: &str = "53300";

macro_rules! sharing_tests {
    ($($(#[$meta:meta])* fn $name:ident($shop:ident: $connections:literal) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            fn proven($shop: &Shop) $body
            #[test]
            fn rls() { proven(&sharing(Mechanism::Rls, $connections, "")); }
            #[test]
            fn view() { proven(&sharing(Mechanism::View, $connections, "")); }
        }
    )* };
}

sharing_tests! {
    fn everybody_sees_their_own_rows_on_one_connection(shop: 1) {
        let (ana, bob, hana) = (shop.ana(), shop.bob(), shop.hana());
        let regions = "SELECT string_agg(DISTINCT region, ',' ORDER BY region) FROM orders";
        let prepared = [&ana, &bob, &hana].map(|client| client.prepare(regions));
        for _ in 0..5 {
            for (client, statement, seen) in
                [(&ana, &prepared[0], "EMEA"), (&bob, &prepared[1], "AMER"), (&hana, &prepared[2], "AMER,APAC,EMEA")]
            {
                assert_eq!(client.one(regions), seen);
                assert_eq!(client.try_execute(statement, &[]).unwrap()[0].get::<_, String>(0), seen);
                assert_eq!(client.query(regions, &[])[0].get::<_, String>(0), seen);
            }
            assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
            assert_eq!(ana.one("SELECT max(salary) FROM employees"), "0");
        }
        assert_eq!(shop.truth().one(BACKENDS), "1");
    }

    fn settings_go_with_the_session(shop: 1) {
        let (ana, bob) = (shop.ana(), shop.bob());
        ana.run("SET DateStyle = 'SQL, DMY'; SET statement_timeout = '77s'; SET search_path = pg_catalog, public");
        ana.run("SELECT set_config('TimeZone', 'Asia/Tokyo', false)");
        ana.run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        ana.run("BEGIN; SET LOCAL work_mem = '7MB'; SET lock_timeout = '3s'; ROLLBACK");
        for _ in 0..3 {
            assert_eq!(bob.one("SHOW statement_timeout"), "0");
            assert_eq!(bob.one("SHOW transaction_isolation"), "read committed");
            assert_eq!(bob.one("SHOW search_path"), "\"$user\", public");
            assert_eq!(ana.one("SELECT to_date('2026-03-04', 'YYYY-MM-DD')"), "04/03/2026");
            assert_eq!(ana.one("SHOW statement_timeout"), "77s");
            assert_eq!(ana.one("SHOW TimeZone"), "Asia/Tokyo");
            assert_eq!(ana.one("SHOW search_path"), "pg_catalog, public");
            assert_eq!(ana.one("SHOW transaction_isolation"), "repeatable read");
            assert_eq!(ana.one("SHOW lock_timeout"), "0");
        }
        ana.run("RESET statement_timeout");
        assert_eq!(bob.one("SELECT 1"), "1");
        assert_eq!(ana.one("SHOW statement_timeout"), "0");
        assert_eq!(ana.one("SHOW TimeZone"), "Asia/Tokyo");
        ana.run("DISCARD ALL");
        assert_eq!(bob.one("SELECT 1"), "1");
        assert_eq!(ana.one("SHOW search_path"), "\"$user\", public");
        assert_eq!(ana.one("SHOW transaction_isolation"), "read committed");
        assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
    }

    fn prepared_statements_go_with_the_session(shop: 1) {
        let (ana, bob) = (shop.ana(), shop.bob());
        let count = ana.prepare("SELECT count(*) FROM orders WHERE region = $1");
        let other = bob.prepare("SELECT $1::int + 1");
        for n in 0..3 {
            assert_eq!(bob.try_execute(&other, &[&n]).unwrap()[0].get::<_, i32>(0), n + 1);
            assert!(ana.try_execute(&count, &[&"EMEA"]).unwrap()[0].get::<_, i64>(0) > 0);
            assert_eq!(ana.try_execute(&count, &[&"AMER"]).unwrap()[0].get::<_, i64>(0), 0);
        }
        // A name means what its session gave it.
        let (mut a, mut b) = (shop.raw("ana@example.com"), shop.raw("bob@example.com"));
        for (raw, sql) in [(&mut a, "SELECT 'a'"), (&mut b, "SELECT 'b'")] {
            assert_eq!(tags(raw, &[parse("s", sql), sync()]), "1ZI");
        }
        for says in ["a", "b", "a"] {
            let raw = if says == "a" { &mut a } else { &mut b };
            raw.send(&[bind("", "s", &[], 0), execute("", 0), sync()]);
            let frames = raw.until_ready();
            assert!(frames.iter().any(|frame| frame.tag == 'D' && frame.body.ends_with(says.as_bytes())), "{frames:?}");
        }
        // Parse of a name that is there already, Close, and Parse again.
        assert_eq!(tags(&mut a, &[parse("s", "SELECT 2"), sync()]), "EZI");
        assert_eq!(tags(&mut a, &[close('S', "s"), parse("s", "SELECT 'c'"), bind("", "s", &[], 0), execute("", 0), sync()]), "312DCZI");
    }

    fn sql_finds_the_statements_of_the_protocol(shop: 1) {
        let (mut raw, bob) = (shop.raw("ana@example.com"), shop.bob());
        assert_eq!(tags(&mut raw, &[parse("s", "SELECT count(*) FROM orders WHERE region <> 'EMEA'"), sync()]), "1ZI");
        assert_eq!(bob.one("SELECT 1"), "1");
        assert_eq!(tags(&mut raw, &[query("EXECUTE s")]), "TDCZI");
        // While SQL names it, the session keeps its connection.
        bob.refused("SELECT 1", TOO_MANY);
        assert_eq!(tags(&mut raw, &[query("DEALLOCATE s")]), "CZI");
        assert_eq!(bob.one("SELECT 1"), "1");
        assert_eq!(tags(&mut raw, &[query("EXECUTE s")]), "EZI");
        assert_eq!(tags(&mut raw, &[parse("s", "SELECT 1"), sync()]), "1ZI");
        assert_eq!(tags(&mut raw, &[query("PREPARE s AS SELECT 2")]), "EZI");
        assert_eq!(tags(&mut raw, &[close('S', "s"), sync()]), "3ZI");
        assert_eq!(bob.one("SELECT 1"), "1");
    }

    fn sql_gives_up_statements_of_the_protocol_again_and_again(shop: 1) {
        let (mut raw, bob) = (shop.raw("ana@example.com"), shop.bob());
        for text in ["DEALLOCATE s", "SELECT 1; DEALLOCATE s"] {
            for _ in 0..4 {
                assert_eq!(tags(&mut raw, &[parse("s", "SELECT 1"), sync()]), "1ZI");
                assert_eq!(bob.one("SELECT 1"), "1");
                let answer = tags(&mut raw, &[query(text)]);
                assert!(matches!(answer.as_str(), "CZI" | "TDCCZI"), "{text}: {answer}");
                assert_eq!(bob.one("SELECT 1"), "1");
            }
        }
    }

    fn a_login_finds_its_own_settings_whoever_was_there_before(shop: 1) {
        let login = |called: &str| ana_called(shop, called);
        let settings = "SELECT concat_ws(' ', current_setting('application_name'), current_setting('work_mem'), \
                        current_setting('default_transaction_read_only'), current_setting('default_transaction_isolation'))";
        let usual = shop.ana().one("SHOW work_mem");
        for _ in 0..2 {
            for called in ["a", "a", "b", "b"] {
                let session = login(called);
                assert_eq!(session.one(settings), format!("{called} {usual} off read committed"));
                assert_eq!(login(called).one(settings), format!("{called} {usual} off read committed"));
                session.run("SET default_transaction_read_only = on; SET default_transaction_isolation = 'serializable'; SET work_mem = '5MB'");
                assert_eq!(login(called).one(settings), format!("{called} {usual} off read committed"));
                assert_eq!(session.one(settings), format!("{called} 5MB on serializable"));
                login(called).run("CREATE TEMPORARY TABLE mine (id integer); DROP TABLE mine");
                assert_eq!(session.one("SHOW transaction_isolation"), "serializable");
            }
        }
    }

    fn a_time_limit_too_short_for_anything_ends_no_session(shop: 1) {
        let (ana, bob) = (shop.ana(), shop.bob());
        ana.run("SET statement_timeout = 1");
        for _ in 0..20 {
            if let Err(refusal) = ana.try_rows("SELECT 1") {
                assert_eq!(refusal.code, "57014");
            }
        }
        until("the limit to be gone", || ana.try_rows("SET statement_timeout = 0").is_ok().then_some(()));
        assert_eq!(bob.one("SHOW statement_timeout"), "0");
    }

    fn a_short_time_limit_goes_with_its_session_and_is_nobody_elses(shop: 1) {
        let (ana, bob) = (shop.ana(), shop.bob());
        ana.run("SET statement_timeout = 60");
        let last = "SELECT query FROM pg_stat_activity WHERE usename = 'pgusher_session' AND datname = current_database()";
        for _ in 0..3 {
            // It would cancel what begins bob's turn, if that took so long.
            until("the limit to be off", || shop.truth().one(last).contains("set_config('statement_timeout', '0'").then_some(()));
            assert_eq!(bob.one("SELECT current_setting('statement_timeout') || pg_sleep(0.1)"), "0");
            assert_eq!(ana.one("SHOW statement_timeout"), "60ms");
            ana.refused("SELECT pg_sleep(10)", "57014");
        }
        ana.run("CREATE TEMPORARY TABLE mine (id integer)");
        assert_eq!(ana.one("SHOW statement_timeout"), "60ms");
        ana.refused("SELECT pg_sleep(10)", "57014");
    }

    fn reset_leads_back_to_the_name_that_the_application_had_at_startup(shop: 1) {
        let ana = ana_called(shop, "mine");
        for keeps in ["SELECT 1", "CREATE TEMPORARY TABLE mine (id integer)", "SET statement_timeout = 50"] {
            ana.run(keeps);
            for resets in ["RESET ALL", "SET application_name = 'other'; RESET application_name", "SET application_name TO DEFAULT"] {
                ana.run(resets);
                assert_eq!(ana.one("SHOW application_name"), "mine", "{keeps} {resets}");
            }
        }
    }

    fn discard_all_leads_back_to_that_name_in_the_same_breath(shop: 1) {
        let mut raw = RawClient::connect(shop.proxy.port);
        raw.login(&shop.database, "ana@example.com", shop.token("ana@example.com"), &[("application_name", "mine")]);
        raw.send(&[query("DISCARD ALL"), query("SHOW application_name")]);
        raw.until_ready();
        assert_eq!(raw.until_ready()[1].values()[0].as_deref(), Some(&b"mine"[..]));
    }

    fn a_statement_that_was_closed_in_the_same_batch_is_gone(shop: 1) {
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[parse("s", "SELECT 1"), sync()]);
        assert_eq!(raw.tags(), "1ZI");
        raw.send(&[parse("", "SELECT 2"), close('S', "s"), bind("", "s", &[], 0), execute("", 0), sync()]);
        assert_eq!(raw.tags(), "13EZI");
        raw.send(&[bind("", "s", &[], 0), sync()]);
        assert_eq!(raw.tags(), "EZI");
    }

    fn a_turn_after_deallocate_all_prepares_anew(shop: 1) {
        let ana = ana_called(shop, "mine");
        let bob = shop.bob();
        for _ in 0..3 {
            // Turns of both kinds, so that what takes one is prepared.
            assert_eq!(bob.one("SHOW application_name"), "pgusher");
            assert_eq!(ana.one("SHOW application_name"), "mine");
            ana.run("DEALLOCATE ALL");
            ana.run("RESET ALL");
            assert_eq!(ana.one("SHOW application_name"), "mine");
        }
    }

    fn what_is_pipelined_takes_one_turn(shop: 1) {
        let (mut raw, bob) = (shop.raw("ana@example.com"), shop.bob());
        let one = [parse("", "SELECT 1"), bind("", "", &[], 0), execute("", 0), sync()];
        let two = [parse("n", "SELECT 2"), bind("", "n", &[], 0), execute("", 0), sync()];
        raw.send(&[one, two].concat());
        assert_eq!(raw.tags(), "12DCZI");
        assert_eq!(raw.tags(), "12DCZI");
        assert_eq!(bob.one("SELECT 1"), "1");
        // The unnamed statement is still there, on whatever connection.
        assert_eq!(tags(&mut raw, &[parse("", "SELECT 3"), sync()]), "1ZI");
        assert_eq!(bob.one("SELECT 1"), "1");
        assert_eq!(tags(&mut raw, &[bind("", "", &[], 0), execute("", 0), sync()]), "2DCZI");
        // Portals and closed names, without a connection in hand.
        assert_eq!(tags(&mut raw, &[close('P', "nosuch"), close('S', "nosuch"), sync()]), "33ZI");
    }

    fn a_cancel_reaches_the_statement_of_its_own_session(shop: 2) {
        let (ana, bob) = (shop.ana(), shop.bob());
        for _ in 0..3 {
            // Whatever connection each has now, ana's key cancels ana only.
            let stopper = ana.canceller();
            std::thread::scope(|scope| {
                let slow = scope.spawn(|| ana.try_rows("SELECT pg_sleep(20)"));
                let other = scope.spawn(|| bob.try_rows("SELECT pg_sleep(0.4)"));
                until("both to run", || (shop.truth().one(RUNNING) == "2").then_some(()));
                stopper();
                assert_eq!(slow.join().unwrap().unwrap_err().code, "57014");
                assert!(other.join().unwrap().is_ok());
            });
            assert_eq!(ana.one("SELECT 1"), "1");
        }
    }
}

/// A session of Ana's whose application has this name at startup.
fn ana_called(shop: &Shop, application: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user("ana@example.com");
    config.password(shop.token("ana@example.com")).application_name(application);
    Client::with(&config).expect("a login")
}

fn tags(raw: &mut RawClient, frames: &[Vec<u8>]) -> String {
    raw.send(frames);
    raw.tags()
}

const BACKENDS: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgusher_session' AND datname = current_database()";
const RUNNING: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgusher_session' AND datname = current_database() \
                       AND state = 'active' AND query LIKE '%pg_sleep%'";

#[test]
fn who_waits_too_long_or_in_too_long_a_queue_is_told_so_and_the_session_goes_on() {
    let shop = sharing(Mechanism::Rls, 1, "queue = 1");
    let (ana, bob, hana) = (shop.ana(), shop.bob(), shop.hana());
    ana.run("BEGIN");
    // Whichever comes second finds the queue full.
    until("the two to wait at once", || {
        std::thread::scope(|scope| {
            let both = [&bob, &hana].map(|client| scope.spawn(|| client.try_rows("SELECT 1")));
            let told = both.map(|one| one.join().unwrap().expect_err("the only connection is ana's"));
            assert!(told.iter().all(|refusal| refusal.code == TOO_MANY), "{told:?}");
            told.iter().any(|refusal| refusal.message.contains("too many sessions wait")).then_some(())
        })
    });
    ana.run("COMMIT");
    assert_eq!(bob.one("SELECT current_user"), "bob@example.com");
    // In an extended batch, too.
    ana.run("BEGIN");
    assert_eq!(bob.try_prepare("SELECT 1").err().map(|refusal| refusal.code).as_deref(), Some(TOO_MANY));
    ana.run("COMMIT");
    assert_eq!(bob.query("SELECT 5", &[])[0].get::<_, i32>(0), 5);
}

#[test]
fn a_cancel_ends_the_waiting_for_a_connection() {
    let shop = Shop::set_up(Mechanism::Rls, |settings| {
        settings.pooled("pool_mode = \"transaction\"\nsession_connections = 1\nacquire_timeout_ms = 60000")
    });
    let (ana, bob) = (shop.ana(), shop.bob());
    ana.run("BEGIN");
    let stopper = bob.canceller();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bob.try_rows("SELECT 1"));
        until("the cancel to find it waiting", || {
            stopper();
            waiting.is_finished().then_some(())
        });
        assert_eq!(waiting.join().unwrap().unwrap_err().code, "57014");
    });
    ana.run("COMMIT");
    assert_eq!(bob.one("SELECT 1"), "1");
}

/// One connection, for which one waits as long as it takes.
fn patient() -> Shop {
    Shop::set_up(Mechanism::Rls, |settings| {
        settings.pooled("pool_mode = \"transaction\"\nsession_connections = 1\nacquire_timeout_ms = 60000")
    })
}

#[test]
fn who_hangs_up_leaves_the_queue_at_once() {
    let shop = patient();
    let (admin, ana, mut bob) = (shop.admin(), shop.ana(), shop.raw("bob@example.com"));
    let waiting = || admin.rows("SHOW POOLS")[0][4].clone();
    ana.run("BEGIN");
    bob.send(&[query("SELECT 1")]);
    until("bob to wait", || (waiting() == "1").then_some(()));
    bob.hang_up();
    until("bob to leave", || (waiting() == "0").then_some(()));
    assert_eq!(shop.truth().one(BACKENDS), "1");
    ana.run("COMMIT");
    assert_eq!(shop.bob().one("SELECT current_user"), "bob@example.com");
}

#[test]
fn a_cancel_that_comes_before_the_turn_has_begun_cancels_the_statement() {
    let shop = patient();
    let (ana, bob, truth) = (shop.ana(), shop.bob(), shop.truth());
    assert_eq!(ana.one("SELECT 1"), "1");
    let stopper = bob.canceller();
    // Upstream cannot tell now whose turn it is.
    truth.run("BEGIN; LOCK TABLE pgusher.session");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| bob.try_rows("SELECT pg_sleep(20)"));
        until("the turn to be held up", || (shop.truth().one(HELD_UP) == "1").then_some(()));
        (0..20).for_each(|_| stopper());
        truth.run("ROLLBACK");
        assert_eq!(slow.join().unwrap().unwrap_err().code, "57014");
    });
    assert_eq!(bob.one("SELECT current_user"), "bob@example.com");
    assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
}

const HELD_UP: &str = "SELECT count(*) FROM pg_locks WHERE relation = 'pgusher.session'::regclass AND NOT granted";

#[test]
fn an_operator_who_makes_transactions_read_only_ends_one_session_at_most() {
    let shop = Shop::alone(Mechanism::Rls, |settings| settings.pooled(&shared_by(2, "")));
    let everybody = || [shop.ana(), shop.bob(), shop.hana(), shop.ana(), shop.bob(), shop.hana()];
    let sessions = everybody();
    // Both connections are there, and have had turns.
    sessions[0].run("BEGIN; SELECT 1");
    sessions[1..].iter().for_each(|session| session.run("SELECT 1"));
    sessions[0].run("COMMIT");
    let truth = shop.truth();
    truth.run("ALTER SYSTEM SET default_transaction_read_only = on");
    truth.run("SELECT pg_reload_conf()");
    until("new sessions to only read", || (shop.truth().one("SHOW transaction_read_only") == "on").then_some(()));
    let told: Vec<_> =
        (0..3).flat_map(|_| &sessions).filter_map(|session| session.try_rows("SHOW transaction_read_only").ok()).collect();
    assert!(told.len() >= 3 * (sessions.len() - 1), "{told:?}");
    assert!(told.iter().all(|rows| rows.concat() == ["on"]), "{told:?}");
    for session in everybody() {
        assert_eq!(session.one("SELECT current_user() IS NOT NULL"), "t");
    }
    truth.run("ALTER SYSTEM RESET default_transaction_read_only");
    truth.run("SELECT pg_reload_conf()");
    until("new sessions to write", || (shop.truth().one("SHOW transaction_read_only") == "off").then_some(()));
    for session in everybody() {
        assert_eq!(session.one("SHOW transaction_read_only"), "off");
    }
}

#[test]
fn logins_go_on_when_an_operator_makes_transactions_read_only() {
    for mode in ["transaction", "session"] {
        let pooled = format!("pool_mode = \"{mode}\"\nsession_connections = 1\nacquire_timeout_ms = 20000");
        let shop = Shop::alone(Mechanism::Rls, |settings| settings.pooled(&pooled));
        assert_eq!(shop.ana().one("SHOW transaction_read_only"), "off");
        let truth = shop.truth();
        for value in ["on", "off", "on"] {
            truth.run(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
            truth.run("SELECT pg_reload_conf()");
            until("new sessions to follow", || (shop.truth().one("SHOW transaction_read_only") == value).then_some(()));
            for user in ["ana@example.com", "bob@example.com"] {
                let session =
                    shop.try_connect(user, shop.token(user)).unwrap_or_else(|refusal| panic!("{mode} {value}: {refusal}"));
                assert_eq!(session.one("SELECT current_user"), user, "{mode} {value}");
            }
        }
    }
}

#[test]
fn a_login_goes_on_when_the_connection_it_was_given_dies() {
    let shop = patient();
    let (admin, ana) = (shop.admin(), shop.ana());
    assert_eq!(ana.one("SELECT 1"), "1");
    let backend = shop.truth().one(&BACKENDS.replace("count(*)", "min(pid)"));
    std::thread::scope(|scope| {
        // It hears nothing, and then that it is to end.
        let halted = Halted::new(backend.clone());
        let bob = scope.spawn(|| {
            let bob = shop.try_connect("bob@example.com", shop.token("bob@example.com"))?;
            Ok::<_, Refusal>(bob.one("SELECT current_user"))
        });
        until("bob to be given it", || (admin.rows("SHOW POOLS")[0][3] == "0").then_some(()));
        assert_eq!(shop.truth().one(&format!("SELECT pg_terminate_backend({backend})")), "t");
        drop(halted);
        assert_eq!(bob.join().unwrap().expect("bob is let in"), "bob@example.com");
    });
}

#[test]
fn errors_of_the_protocol_call_statements_and_portals_as_the_client_does() {
    let shop = sharing(Mechanism::Rls, 1, "");
    let mut raw = shop.raw("ana@example.com");
    let said = |raw: &mut RawClient, frames: &[Vec<u8>]| {
        raw.send(frames);
        let error = raw.until_ready().into_iter().find(|frame| frame.tag == 'E').expect("an error").refusal();
        format!("{} {}", error.code, error.message)
    };
    // Two of the same text are one upstream.
    assert_eq!(tags(&mut raw, &[parse("mine", "SELECT $1::int"), parse("yours", "SELECT $1::int"), sync()]), "11ZI");
    for name in ["mine", "yours"] {
        assert_eq!(
            said(&mut raw, &[bind("", name, &[], 0), sync()]),
            format!("08P01 bind message supplies 0 parameters, but prepared statement \"{name}\" requires 1")
        );
    }
    assert_eq!(said(&mut raw, &[execute("nosuch", 0), sync()]), "34000 portal \"nosuch\" does not exist");
    assert_eq!(said(&mut raw, &[bind("", "nosuch", &[], 0), sync()]), "26000 prepared statement \"nosuch\" does not exist");
}

#[test]
fn one_principal_cannot_take_all_connections() {
    let shop = sharing(Mechanism::Rls, 3, "session_connections_per_principal = 1");
    let (one, two, bob) = (shop.ana(), shop.ana(), shop.bob());
    one.run("BEGIN");
    two.refused("SELECT 1", TOO_MANY);
    assert_eq!(bob.one("SELECT 1"), "1");
    one.run("COMMIT");
    assert_eq!(two.one("SELECT 1"), "1");
}

#[test]
fn idle_sessions_survive_the_end_of_their_connections() {
    let shop = sharing(Mechanism::Rls, 2, "");
    let (ana, bob) = (shop.ana(), shop.bob());
    let statement = ana.prepare("SELECT current_user()::text");
    ana.run("SET DateStyle = 'German'");
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'pgusher_session' AND datname = current_database()";
    for _ in 0..2 {
        assert_ne!(shop.truth().one(end), "0");
        until("the backends to be gone", || (shop.truth().one(BACKENDS) == "0").then_some(()));
        assert_eq!(ana.try_execute(&statement, &[]).unwrap()[0].get::<_, String>(0), "ana@example.com");
        assert_eq!(ana.one("SHOW DateStyle"), "German, DMY");
        assert_eq!(bob.one("SELECT current_user"), "bob@example.com");
    }
}

#[test]
fn connections_that_nobody_wants_are_closed_down_to_the_least() {
    let shop = Shop::set_up(Mechanism::Rls, |settings| {
        settings.pooled("pool_mode = \"transaction\"\nsession_connections = 5\nsession_connections_min = 1\nidle_timeout_ms = 1000")
    });
    let (ana, bob, hana) = (shop.ana(), shop.bob(), shop.hana());
    for client in [&ana, &bob, &hana] {
        client.run("BEGIN");
    }
    assert_eq!(shop.truth().one(BACKENDS), "3");
    for client in [&ana, &bob, &hana] {
        client.run("COMMIT");
    }
    until("the others to be closed", || (shop.truth().one(BACKENDS) == "1").then_some(()));
    assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
}

/// What keeps a session on its connection: what begins it, whether it does, and what ends it.
const KEEPING: [(&str, &str, bool, &str); 19] = [
    ("an open transaction", "BEGIN", true, "COMMIT"),
    ("a failed one", "BEGIN; SELECT 1/0", true, "ROLLBACK"),
    ("a temporary table", "CREATE TEMP TABLE kept (a int)", true, "DROP TABLE kept"),
    ("LISTEN", "LISTEN news", true, "UNLISTEN news"),
    ("a cursor WITH HOLD", "DECLARE kept CURSOR WITH HOLD FOR SELECT 1", true, "CLOSE kept"),
    ("PREPARE", "PREPARE kept AS SELECT 1", true, "DEALLOCATE kept"),
    ("an advisory lock of the session", "SELECT pg_advisory_lock(7)", true, "SELECT pg_advisory_unlock(7)"),
    ("`setseed`, `nextval`, `currval`, `lastval`", "SELECT setseed(0.5)", true, "DISCARD ALL"),
    ("a name with Unicode escapes, which may be any of these", r#"SELECT U&"setse\0065d"(0.5)"#, true, "DISCARD ALL"),
    ("anything of these", "CREATE TEMP TABLE kept (a int); LISTEN news; PREPARE kept AS SELECT 1", true, "DISCARD ALL"),
    ("a statement by itself", "SELECT count(*) FROM orders", false, ""),
    ("SET, set_config", "SET statement_timeout = '1min'; SELECT set_config('work_mem', '5MB', false)", false, ""),
    ("SET LOCAL", "BEGIN; SET LOCAL search_path = pg_catalog; COMMIT", false, ""),
    ("a cursor of a transaction", "BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c; COMMIT", false, ""),
    ("an advisory lock of a transaction", "SELECT pg_advisory_xact_lock(7)", false, ""),
    ("NOTIFY", "NOTIFY news", false, ""),
    ("a temporary table that is dropped at COMMIT", "BEGIN; CREATE TEMP TABLE gone (a int) ON COMMIT DROP; COMMIT", false, ""),
    ("PREPARE that is undone by DEALLOCATE", "PREPARE gone AS SELECT 1; DEALLOCATE gone", false, ""),
    ("an error", "SELECT 1/0", false, ""),
];

#[test]
fn a_session_keeps_its_connection_exactly_while_it_must() {
    let shop = sharing(Mechanism::Rls, 1, "");
    let (ana, bob) = (shop.ana(), shop.bob());
    let mut table = String::from("| after | the connection is | until |\n|---|---|---|\n");
    for (what, begins, keeps, ends) in KEEPING {
        for statement in begins.split("; ") {
            let _ = ana.try_rows(statement);
        }
        let taken = bob.try_rows("SELECT 1");
        if keeps {
            assert_eq!(taken.expect_err(what).code, TOO_MANY, "{what}");
            ana.run(ends);
        } else {
            taken.expect(what);
        }
        bob.try_rows("SELECT 1").expect(what);
        let until = if keeps { format!("`{ends}`") } else { String::new() };
        table.push_str(&format!("| {what}: `{begins}` | {} | {until} |\n", if keeps { "kept" } else { "given back" }));
    }
    table_of("pooling", "keeps_its_connection", &table);
}

#[test]
fn administrators_see_the_pools_and_everybody_how_they_have_their_connection() {
    let shop = sharing(Mechanism::Rls, 3, "");
    let (admin, ana, bob) = (shop.admin(), shop.ana(), shop.bob());
    ana.run("BEGIN");
    let pools = admin.rows("SHOW POOLS");
    assert_eq!(
        pools.iter().map(|row| row[..2].join(" ")).collect::<Vec<_>>(),
        ["pgusher_session transaction", "pgusher_control session"]
    );
    let (open, idle, most) = (&pools[0][2], &pools[0][3], &pools[0][5]);
    assert_eq!(most, "3");
    assert_eq!(open.parse::<i32>().unwrap() - idle.parse::<i32>().unwrap(), 1, "{pools:?}");
    let sessions = admin.rows("SHOW SESSIONS");
    let having = |name: &str| sessions.iter().find(|row| row[1] == name).map(|row| row[3].clone());
    assert_eq!(having("ana@example.com").as_deref(), Some("yes"));
    assert_eq!(having("bob@example.com").as_deref(), Some("no"));
    let stats = admin.rows("SHOW STATS");
    assert!(stats.iter().any(|row| row[0] == "sessions" && row[1] == "3"), "{stats:?}");
    for command in ["SHOW POOLS", "SHOW SESSIONS", "SHOW STATS"] {
        bob.refused(command, "42501");
    }
    let pool = |client: &Client| client.rows("SHOW SESSION")[0][8].clone();
    assert_eq!(pool(&bob), "transaction");
    bob.run("LISTEN news");
    assert_eq!(bob.one("SELECT 1"), "1");
    assert_eq!(pool(&bob), "transaction, kept by LISTEN");
    assert_eq!(pool(&admin), "session");
}
