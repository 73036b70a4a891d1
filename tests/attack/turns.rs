//! How a shared connection passes from one session to the next: nobody takes a turn that is not theirs, and nobody spoils the next one's.

use pgusher::policy::{Mechanism, PrincipalId};
use pgusher::upstream::owner::SigningKey;

use super::locks::{POLICIES, TABLES};
use crate::harness::{ADMIN, Bench, Mechanism as Enforced, RawClient, Shop, frame, tags, until};
use crate::spec::pooling::sharing;

#[test]
fn a_claim_or_coupon_to_a_turn_is_good_once_and_for_its_backend_and_session() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let root = bench.superuser();
    let secret = root.query("SELECT secret FROM pgusher.key", &[])[0].get::<_, Vec<u8>>(0);
    let key = SigningKey::new(&secret);
    let (ana, hank) = (bench.session("ana"), bench.session("hank"));
    let row = |name: &str| {
        let rows = root.rows(&format!("SELECT sid, principal, token FROM pgusher.session WHERE name = '{name}'"));
        (rows[0][0].parse::<i64>().unwrap(), PrincipalId(rows[0][1].parse().unwrap()), rows[0][2].clone())
    };
    let (anas, hanks) = (row("ana"), row("hank"));
    let shared = bench.role("pgusher_session");
    let pid: i32 = shared.one("SELECT pg_backend_pid()").parse().unwrap();
    // Each turn leaves the next number for the one after it.
    let claim = |coupon: i64, of: &(i64, PrincipalId, String)| key.take(pid, coupon, of.0, of.1, &of.2, "");
    let afresh = |coupon: i64, of: &(i64, PrincipalId, String)| key.take(pid, coupon, of.0, of.1, &of.2, "0.5");
    let number = |statement: &str| match shared.try_rows(statement) {
        Ok(rows) => Ok(rows[0][0].clone()),
        Err(refusal) => Err(refusal.code),
    };
    let take = |(payload, signature): &(String, String)| number(&format!("SELECT pgusher.take('{payload}', '{signature}')"));
    let with = |coupon: &str, coming: &str, (sid, principal, token): &(i64, PrincipalId, String)| {
        format!("SELECT pgusher.take_next({coupon}, {coming}, {sid}, {}, '{token}')", principal.0)
    };
    let next = |coupon: &str, coming: &str, of: &(i64, PrincipalId, String)| number(&with(coupon, coming, of));
    let refused = || Err("28000".to_owned());
    // Without a turn that is known there is no coupon.
    assert_eq!(next("0", "1", &anas), Err("55000".to_owned()));
    let first = claim(-11, &anas);
    assert_eq!(take(&first), Ok(anas.0.to_string()));
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "ana");
    assert_eq!(next("-11", "22", &hanks), Ok(hanks.0.to_string()));
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    // Neither a second time, nor by no number at all, nor for none.
    assert_eq!(take(&first), refused());
    for (coupon, coming) in [("-11", "22"), ("0", "22"), ("NULL", "22"), ("9223372036854775807", "22"), ("22", "NULL")] {
        assert_eq!(next(coupon, coming, &anas), refused());
        let (sid, principal, token) = &anas;
        let afresh = format!("SELECT pgusher.take_afresh({coupon}, {coming}, {sid}, {}, '{token}', '0.5')", principal.0);
        if coming != "NULL" {
            assert_eq!(number(&afresh), refused());
        }
        assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    }
    assert_eq!(ana.try_rows(&with("22", "33", &hanks)).unwrap_err().code, "55000", "a coupon of another backend");
    // One that was refused is spent, and leaves no number of anybody's choice.
    assert_eq!(next("22", "33", &(anas.0, hanks.1, hanks.2.clone())), refused());
    assert_eq!((next("22", "33", &hanks), next("33", "33", &hanks)), (refused(), refused()));
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    // Nor after what is remembered of turns was thrown away.
    take(&afresh(44, &anas)).unwrap();
    shared.run("DISCARD SEQUENCES");
    assert_eq!(take(&first), refused());
    assert_eq!(next("44", "55", &hanks), Err("55000".to_owned()));
    shared.refused("SELECT pgusher.current_user()", "55000");
    let unsaid = first.0.replace("\"coupon\":-11,", "");
    assert_ne!(unsaid, first.0);
    assert_eq!(take(&(unsaid, first.1.clone())), refused());
    // Not elsewhere, not for another session, not changed.
    let third = claim(66, &anas);
    assert_eq!(ana.try_rows(&format!("SELECT pgusher.take('{}', '{}')", third.0, third.1)).unwrap_err().code, "28000");
    let forged = third.0.replace(&format!("\"session\":{}", anas.0), &format!("\"session\":{}", hanks.0));
    assert_ne!(forged, third.0);
    assert_eq!(take(&(forged, third.1.clone())), Err("28000".to_owned()));
    let crossed = claim(77, &(anas.0, hanks.1, hanks.2.clone()));
    assert_eq!(take(&crossed), Err("28000".to_owned()));
    assert_eq!(hank.one("SELECT pgusher.current_user()"), "hank");
}

#[test]
fn no_session_can_read_or_set_what_the_next_turn_is_taken_by() {
    let bench = Bench::new(Mechanism::Rls, TABLES, POLICIES);
    let ana = bench.session("ana");
    for statement in [
        "SELECT currval('pgusher.coupon')",
        "SELECT nextval('pgusher.coupon')",
        "SELECT setval('pgusher.coupon', 7)",
        "SELECT last_value FROM pgusher.coupon",
        "SELECT pgusher.signed('take:{}', '')",
    ] {
        ana.refused(statement, "42501");
    }
    let known = "SELECT last_value IS NULL FROM pg_sequences WHERE schemaname = 'pgusher' AND sequencename = 'coupon'";
    assert_eq!(ana.rows(known).concat(), ["t"]);
}

/// A statement fails when its transaction is committed.
const FAILS_LATE: &str = "CREATE TEMP TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)";

#[test]
fn who_has_upstream_forget_and_fails_ends_nobody_s_session() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (ana, hana) = (shop.ana(), shop.hana());
    let both = || {
        for _ in 0..3 {
            assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
            assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
        }
    };
    both();
    for forgets in ["DEALLOCATE ALL", "DISCARD SEQUENCES"] {
        for _ in 0..2 {
            ana.run(FAILS_LATE);
            ana.refused(&format!("INSERT INTO late VALUES (1), (1); {forgets}"), "23505");
            assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
            ana.run("DROP TABLE late");
            both();
        }
    }
    // In a block that fails, and that is ended then.
    ana.run(FAILS_LATE);
    ana.run("BEGIN; INSERT INTO late VALUES (1), (1); DEALLOCATE ALL");
    ana.run("DISCARD SEQUENCES");
    ana.refused("SELECT 1/0", "22012");
    ana.refused("DISCARD SEQUENCES", "25P02");
    ana.run("ROLLBACK");
    assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
    ana.run("DROP TABLE late");
    both();
}

#[test]
fn a_batch_that_has_upstream_forget_and_fails_ends_nobody_s_session() {
    use crate::harness::frame::{bind, execute, parse, query, sync};
    let shop = sharing(Enforced::Rls, 1, "");
    let (hana, mut raw) = (shop.hana(), shop.raw("ana@example.com"));
    assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
    raw.send(&[query(FAILS_LATE)]);
    raw.until_ready();
    raw.send(&[parse("", "INSERT INTO late VALUES (1), (1)"), bind("", "", &[], 0), execute("", 0), query("DISCARD SEQUENCES")]);
    let mut refused = raw.until_ready();
    if shop.upstream.major() >= 18 {
        // The batch's transaction goes on behind the Query.
        raw.send(&[sync()]);
        refused = raw.until_ready();
    }
    assert_eq!(refused.iter().find(|frame| frame.tag == 'E').expect("an error").refusal().code, "23505");
    raw.send(&[query("SELECT current_user()")]);
    assert_eq!(raw.tags(), "TDCZI");
    raw.send(&[query("DROP TABLE late")]);
    assert_eq!(raw.tags(), "CZI");
    assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
}

#[test]
fn a_query_in_a_batch_leaves_the_next_session_a_connection_that_works() {
    use crate::harness::frame::{bind, flush, parse, query, run, sync};
    let shop = sharing(Enforced::Rls, 1, "");
    let (hana, mut raw) = (shop.hana(), shop.raw("ana@example.com"));
    let one = run("SELECT 1");
    // PostgreSQL 18 ends the batch's transaction at Sync only if that does not follow the Query at once.
    for asked in
        ["SELECT 2", "SET LOCAL work_mem = '1MB'", "SELECT 2; SELECT 3", "SELECT 1/0", "", "COMMIT; SELECT 2", "DISCARD SEQUENCES"]
    {
        for behind in [&[][..], &[query("SELECT 4")], &one] {
            raw.send(&[&one[..], &[query(asked)], behind, &[sync()]].concat());
            raw.until_ready();
            if !behind.is_empty() && behind != one {
                raw.until_ready();
            }
            raw.until_ready();
            assert_eq!(hana.one("SELECT current_user"), "hana@example.com", "{asked}");
            raw.send(&[query("SELECT current_user()")]);
            assert_eq!(raw.tags(), "TDCZI", "{asked}");
        }
    }
    // An error that was read before the Sync is sent.
    raw.send(&[&one[..], &[query("SELECT 2"), parse("", "SELECT 1/0"), bind("", "", &[], 0), flush()]].concat());
    raw.until_ready();
    raw.expect('1');
    raw.expect('E');
    raw.send(&[sync()]);
    assert_eq!(raw.tags(), "ZI");
    assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
}

#[test]
fn statements_that_upstream_forgot_in_a_transaction_that_failed_are_prepared_again() {
    use crate::harness::frame::{bind, execute, parse, query, sync};
    let shop = sharing(Enforced::Rls, 1, "");
    let (mut raw, mut other) = (shop.raw("ana@example.com"), shop.raw("ana@example.com"));
    other.send(&[parse("s", "SELECT 41"), bind("", "s", &[], 0), execute("", 0), sync()]);
    assert_eq!(other.tags(), "12DCZI");
    raw.send(&[query(FAILS_LATE)]);
    raw.until_ready();
    for poison in ["INSERT INTO late VALUES (1), (1); DEALLOCATE ALL", "SELECT 1/0; DEALLOCATE ALL"] {
        raw.send(&[query(poison)]);
        raw.until_ready();
        raw.send(&[parse("", "SELECT 41"), bind("", "", &[], 0), execute("", 0), sync()]);
        assert_eq!(raw.tags(), "12DCZI", "{poison}");
        raw.send(&[parse("mine", "SELECT 41"), bind("", "mine", &[], 0), execute("", 0), sync()]);
        assert_eq!(raw.tags(), "12DCZI", "{poison}");
        raw.send(&[query("DEALLOCATE mine")]);
        assert_eq!(raw.tags(), "CZI");
    }
    raw.send(&[query("DROP TABLE late")]);
    assert_eq!(raw.tags(), "CZI");
    other.send(&[bind("", "s", &[], 0), execute("", 0), sync()]);
    assert_eq!(other.tags(), "2DCZI");
}

#[test]
fn a_discard_all_that_is_canceled_half_way_ends_nobody_s_session() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (ana, hana) = (shop.ana(), shop.hana());
    for _ in 0..2 {
        assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
        ana.run("CREATE TEMP TABLE held (a int)");
        // Prepared statements are forgotten before temporary tables, which wait here for who looks at them.
        let truth = shop.truth();
        let schema = truth.one("SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 'held'");
        truth.run(&format!("BEGIN; LOCK TABLE {schema}.held IN ACCESS SHARE MODE"));
        let stopper = ana.canceller();
        std::thread::scope(|scope| {
            let discarding = scope.spawn(|| ana.try_rows("DISCARD ALL"));
            let waits =
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = (SELECT oid FROM pg_class WHERE relname = 'held')";
            until("DISCARD ALL to wait", || (shop.truth().one(waits) == "1").then_some(()));
            stopper();
            assert_eq!(discarding.join().unwrap().unwrap_err().code, "57014");
        });
        truth.run("ROLLBACK");
        assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
        ana.run("DROP TABLE held");
        assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
    }
}

/// What a statement by the extended protocol has for an answer: one value, or a SQLSTATE.
fn asked(raw: &mut RawClient, statement: &str) -> Result<String, String> {
    raw.send(&[&frame::run(statement)[..], &[frame::sync()]].concat());
    answer(raw)
}

fn answer(raw: &mut RawClient) -> Result<String, String> {
    let frames = raw.until_ready();
    match frames.iter().find(|frame| frame.tag == 'E') {
        Some(error) => Err(error.refusal().code),
        None => {
            let row = frames.iter().find(|frame| frame.tag == 'D').map(|row| row.values()[0].clone().unwrap_or_default());
            Ok(String::from_utf8(row.unwrap_or_default()).expect("text"))
        }
    }
}

const WHO: &str = "SELECT current_user()";

/// How many sessions wait for what says whose turn it is.
const HELD_UP: &str = "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid \
    WHERE a.datname = current_database() AND a.usename = 'pgusher_session' AND l.relation = 'pgusher.session'::regclass AND NOT l.granted";

fn until_held_up(shop: &Shop) {
    until("the turn to be held up", || (shop.truth().one(HELD_UP) == "1").then_some(()));
}

#[test]
fn a_turn_that_is_taken_in_the_transaction_of_a_query_is_the_same_as_any_other() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (mut ana, mut bob) = (shop.raw("ana@example.com"), shop.raw("bob@example.com"));
    let seen = "SELECT string_agg(DISTINCT region, ',') || ' ' || current_user FROM orders";
    for _ in 0..5 {
        assert_eq!(asked(&mut ana, seen).unwrap(), "EMEA ana@example.com");
        assert_eq!(asked(&mut bob, seen).unwrap(), "AMER bob@example.com");
        // An error of the query leaves the turn taken.
        assert_eq!(asked(&mut ana, "SELECT 1 / 0"), Err("22012".to_owned()));
        assert_eq!(asked(&mut ana, WHO).unwrap(), "ana@example.com");
        // What is pipelined behind it, too.
        bob.send(&[&frame::run(WHO)[..], &[frame::sync()], &frame::run(seen), &[frame::sync()]].concat());
        assert_eq!(
            (answer(&mut bob).unwrap(), answer(&mut bob).unwrap()),
            ("bob@example.com".into(), "AMER bob@example.com".into())
        );
    }
}

#[test]
fn what_the_first_statement_of_a_transaction_may_do_it_may_after_a_turn() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (mut ana, mut bob) = (shop.raw("ana@example.com"), shop.raw("bob@example.com"));
    let mut others = || assert_eq!(asked(&mut bob, WHO).unwrap(), "bob@example.com");
    for level in ["serializable", "repeatable read"] {
        others();
        assert_eq!(asked(&mut ana, &format!("BEGIN ISOLATION LEVEL {level}")), Ok(String::new()));
        assert_eq!(asked(&mut ana, "SHOW transaction_isolation"), Ok(level.to_owned()));
        assert_eq!(asked(&mut ana, "COMMIT"), Ok(String::new()));
    }
    for outside in ["DECLARE c CURSOR FOR SELECT 1", "SAVEPOINT s", "FETCH c"] {
        others();
        let refused = asked(&mut ana, outside);
        let code = refused.clone().expect_err(outside);
        assert!(["25P01", "34000"].contains(&&*code), "{outside}: {code}");
        others();
        ana.send(
            &[&[frame::parse("", "SELECT 1"), frame::bind("", "", &[], 0)], &frame::run(outside)[..], &[frame::sync()]].concat(),
        );
        assert_eq!(answer(&mut ana), refused, "{outside}, behind a query that was bound");
    }
}

#[test]
fn a_query_whose_turn_is_refused_never_runs() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (mut ana, mut bob) = (shop.raw("ana@example.com"), shop.raw("bob@example.com"));
    assert_eq!(
        (asked(&mut ana, WHO).unwrap(), asked(&mut bob, WHO).unwrap()),
        ("ana@example.com".into(), "bob@example.com".into())
    );
    let truth = shop.truth();
    truth.run("BEGIN; LOCK TABLE pgusher.session");
    ana.send(&[&frame::run(WHO)[..], &[frame::sync()]].concat());
    until_held_up(&shop);
    truth.run("DELETE FROM pgusher.session WHERE name = 'ana@example.com'; COMMIT");
    let frame = ana.next().expect("an error");
    assert_eq!((frame.tag, frame.refusal().severity, frame.refusal().code), ('E', "FATAL".to_owned(), "28000".to_owned()));
    assert!(ana.next().is_none());
    assert_eq!(asked(&mut bob, WHO).unwrap(), "bob@example.com");
}

#[test]
fn a_session_whose_row_is_gone_reads_nothing_in_its_next_turn() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (truth, mut bob) = (shop.truth(), shop.raw("bob@example.com"));
    for read in ["SELECT region FROM orders", "SELECT count(*) FROM orders", "SELECT name FROM products", "SELECT 1"] {
        let mut ana = shop.raw("ana@example.com");
        for _ in 0..2 {
            assert!(asked(&mut ana, read).is_ok());
            assert!(asked(&mut bob, read).is_ok());
        }
        truth.run("DELETE FROM pgusher.session WHERE name = 'ana@example.com'");
        ana.send(&[&frame::run(read)[..], &[frame::sync()]].concat());
        let error = loop {
            let frame = ana.next().expect("an answer");
            assert_ne!(frame.tag, 'D', "{read}");
            if frame.tag == 'E' {
                break frame.refusal();
            }
        };
        assert_eq!(error.code, "28000", "{read}: {error:?}");
        assert!(asked(&mut bob, read).is_ok());
    }
    assert_eq!(asked(&mut bob, WHO).unwrap(), "bob@example.com");
}

#[test]
fn a_query_that_is_canceled_while_its_turn_is_taken_ends_nobody_s_session() {
    let shop = sharing(Enforced::Rls, 1, "");
    let mut ana = shop.raw("ana@example.com");
    let mut bob = RawClient::connect(shop.proxy.port);
    let greeting = bob.login(&shop.database, "bob@example.com", shop.token("bob@example.com"), &[]);
    let key = greeting.iter().find(|frame| frame.tag == 'K').expect("a cancel key").body.clone();
    let process = i32::from_be_bytes(key[..4].try_into().expect("four bytes"));
    let cancel = || {
        let mut canceler = RawClient::connect(shop.proxy.port);
        canceler.send(&[frame::cancel(process, &key[4..])]);
        assert!(canceler.closed());
    };
    let both = |ana: &mut RawClient, bob: &mut RawClient| {
        for _ in 0..2 {
            assert_eq!(asked(bob, WHO).unwrap(), "bob@example.com");
            assert_eq!(asked(ana, WHO).unwrap(), "ana@example.com");
        }
    };
    both(&mut ana, &mut bob);
    // One that runs says nothing of its turn until it is done.
    bob.send(&[&frame::run("SELECT pg_sleep(60), 'canceled'")[..], &[frame::sync()]].concat());
    let runs = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%''canceled''%' AND wait_event = 'PgSleep'";
    until("it to run", || (shop.truth().one(runs) == "1").then_some(()));
    cancel();
    assert_eq!(answer(&mut bob), Err("57014".to_owned()));
    both(&mut ana, &mut bob);
    // Upstream cannot tell now whose turn it is.
    let truth = shop.truth();
    truth.run("BEGIN; LOCK TABLE pgusher.session");
    bob.send(&[&frame::run(WHO)[..], &[frame::sync()]].concat());
    until_held_up(&shop);
    cancel();
    assert_eq!(answer(&mut bob), Err("57014".to_owned()));
    truth.run("ROLLBACK");
    both(&mut ana, &mut bob);
    // What was pipelined behind it does not run as whoever had the connection before.
    truth.run("BEGIN; LOCK TABLE pgusher.session");
    bob.send(&[&frame::run(WHO)[..], &[frame::sync()], &frame::run(WHO), &[frame::sync()]].concat());
    until_held_up(&shop);
    cancel();
    assert_eq!(bob.expect('E').refusal().code, "57014");
    truth.run("ROLLBACK");
    while let Some(frame) = bob.next() {
        assert_ne!(frame.tag, 'D', "{frame:?}");
    }
    assert_eq!(asked(&mut ana, WHO).unwrap(), "ana@example.com");
}

#[test]
fn a_time_limit_that_is_over_while_a_turn_is_taken_is_the_query_s() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (mut ana, mut bob) = (shop.raw("ana@example.com"), shop.raw("bob@example.com"));
    let both = |ana: &mut RawClient, bob: &mut RawClient| {
        assert_eq!(asked(bob, WHO).unwrap(), "bob@example.com");
        assert_eq!(asked(ana, WHO).unwrap(), "ana@example.com");
    };
    for (limit, code) in [("statement_timeout", "57014"), ("lock_timeout", "55P03")] {
        for raw in [&mut ana, &mut bob] {
            raw.send(&[frame::query(&format!("RESET ALL; SET {limit} = 300"))]);
            raw.until_ready();
        }
        both(&mut ana, &mut bob);
        let truth = shop.truth();
        truth.run("BEGIN; LOCK TABLE pgusher.session");
        assert_eq!(asked(&mut bob, WHO), Err(code.to_owned()), "{limit}");
        truth.run("ROLLBACK");
        both(&mut ana, &mut bob);
    }
}

/// What took the turn is in the transaction of the session's statement: no session may run it, and take that for a statement of its own.
#[test]
fn what_took_a_turn_is_gone_before_the_query_runs() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.truth().run(
        "CREATE SCHEMA near; CREATE FUNCTION near.f() RETURNS text LANGUAGE sql AS $$ SELECT 'near' $$; \
         CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$ SELECT 'far' $$",
    );
    let admin = shop.admin();
    until("the functions", || admin.try_rows("GRANT EXECUTE ON FUNCTION near.f TO \"ana@example.com\"").ok());
    let (mut ana, mut bob) = (shop.raw("ana@example.com"), shop.raw("bob@example.com"));
    let mut others = || assert_eq!(asked(&mut bob, WHO).unwrap(), "bob@example.com");
    let (one, last) = (frame::parse("n", "SELECT 1"), frame::execute("", 0));
    ana.send(&[one, frame::sync()]);
    ana.until_ready();
    for (again, code) in [(last.clone(), "34000"), (frame::describe('P', ""), "34000")] {
        others();
        ana.send(&[&frame::run("SET LOCAL search_path = near")[..], &[frame::sync()]].concat());
        ana.until_ready();
        others();
        let batch = [frame::bind("p", "n", &[], 0), frame::execute("p", 0), again, frame::parse("", "SELECT f()")];
        ana.send(&[&batch[..], &[frame::bind("", "", &[], 0), last.clone(), frame::sync()]].concat());
        assert_eq!(answer(&mut ana), Err(code.to_owned()));
    }
    others();
    let portals = "SELECT string_agg(quote_literal(name), ', ') FROM pg_cursors";
    ana.send(&[frame::parse("", portals), frame::bind("p", "", &[], 0), frame::execute("p", 0), frame::sync()]);
    assert_eq!(answer(&mut ana), Ok("'p'".to_owned()));
}

/// Found by random messages: the first answer came before the ReadyForQuery of DISCARD, and what followed did not know who asked.
#[test]
fn what_is_pipelined_behind_a_sync_that_waits_is_answered_in_its_order_by_the_same_principal() {
    let alone = Shop::alone(Enforced::Rls, |settings| settings);
    let shared = sharing(Enforced::Rls, 1, "");
    for shop in [&alone, &shared] {
        for discard in ["DISCARD ALL", "DISCARD SEQUENCES"] {
            for close in [frame::close('P', "none"), frame::close('S', "none"), frame::close('S', "kept")] {
                let mut ana = shop.raw("ana@example.com");
                ana.send(&[frame::parse("kept", "SELECT 1"), frame::sync()]);
                ana.until_ready();
                ana.send(&[&frame::run(discard)[..], &[frame::sync(), close], &frame::run(WHO), &[frame::sync()]].concat());
                let first: String = ana.until_ready().iter().map(|frame| frame.tag).filter(|tag| *tag != 'S').collect();
                assert!(["12nCZ", "12CZ"].contains(&&*first), "{discard}: {first}");
                let second = ana.until_ready();
                assert_eq!(second[0].tag, '3', "{discard}: {second:?}");
                let row = second.iter().find(|frame| frame.tag == 'D').expect("who it is");
                assert_eq!(row.values()[0].as_deref(), Some(&b"ana@example.com"[..]));
                // In the same batch nobody can be told any more; in the next one, that is there already, they can.
                ana.send(
                    &[&frame::run(discard)[..], &frame::run(WHO), &[frame::sync()], &frame::run(WHO), &[frame::sync()]].concat(),
                );
                let unknown = answer(&mut ana);
                assert!(unknown.is_err_and(|code| code == "55000") || discard == "DISCARD SEQUENCES", "{discard}");
                assert_eq!(answer(&mut ana).unwrap(), "ana@example.com", "{discard}");
            }
        }
        // A ReadyForQuery that waits for what was committed to be published.
        let mut admin = shop.raw(ADMIN);
        admin.send(&[frame::parse("kept", "SELECT 1"), frame::sync()]);
        admin.until_ready();
        for statement in ["BEGIN", "CREATE TABLE public.fresh (a int)"] {
            assert_eq!(asked(&mut admin, statement), Ok(String::new()));
        }
        admin.send(&[&frame::run("COMMIT")[..], &[frame::sync(), frame::close('S', "kept"), frame::sync()]].concat());
        assert_eq!((tags(&admin.until_ready()), tags(&admin.until_ready())), ("12CZI".to_owned(), "3ZI".to_owned()));
    }
}

/// The cancel came too late for DISCARD ALL, and hits what gives the connection its identity again.
#[test]
fn a_cancel_behind_discard_all_ends_nobody_s_session() {
    let alone = Shop::alone(Enforced::Rls, |settings| settings);
    let shared = sharing(Enforced::Rls, 1, "");
    for shop in [&alone, &shared] {
        let ana = shop.ana();
        let truth = shop.truth();
        truth.run("BEGIN; LOCK TABLE pgusher.session");
        let stopper = ana.canceller();
        std::thread::scope(|scope| {
            let discarding = scope.spawn(|| ana.try_rows("DISCARD ALL"));
            for _ in 0..3 {
                until_held_up(shop);
                let waiter = HELD_UP.replace("count(*)", "l.pid || ' ' || l.waitstart");
                let before = shop.truth().column(&waiter);
                stopper();
                until("it to be canceled", || (shop.truth().column(&waiter) != before).then_some(()));
            }
            truth.run("ROLLBACK");
            assert!(discarding.join().unwrap().is_ok());
        });
        assert_eq!(ana.one(WHO), "ana@example.com");
    }
}

#[test]
fn discard_sequences_where_nothing_may_be_written_fails_the_transaction_and_not_the_session() {
    let alone = Shop::alone(Enforced::Rls, |settings| settings);
    let shared = sharing(Enforced::Rls, 1, "");
    for shop in [&alone, &shared] {
        let ana = shop.ana();
        for (first, begin) in
            [("", "BEGIN READ ONLY"), ("SET default_transaction_read_only = on", "BEGIN"), ("", "BEGIN; SET TRANSACTION READ ONLY")]
        {
            ana.run(first);
            ana.run(begin);
            let refusal = ana.refused("DISCARD SEQUENCES", "25006");
            assert_eq!(refusal.message, "cannot execute DISCARD SEQUENCES in a read-only transaction");
            ana.refused(WHO, "25P02");
            ana.run("ROLLBACK; SET default_transaction_read_only = off");
            assert_eq!(ana.one(WHO), "ana@example.com", "{begin}");
            ana.run(first);
            ana.refused(&format!("{begin}; DISCARD SEQUENCES; {WHO}; COMMIT"), "25006");
            ana.run("ROLLBACK; SET default_transaction_read_only = off");
            assert_eq!(ana.one(WHO), "ana@example.com", "{begin}");
        }
        let mut raw = shop.raw("ana@example.com");
        assert_eq!(asked(&mut raw, "BEGIN READ ONLY"), Ok(String::new()));
        assert_eq!(asked(&mut raw, "DISCARD SEQUENCES"), Err("25006".to_owned()));
        assert_eq!(asked(&mut raw, WHO), Err("25P02".to_owned()));
        assert_eq!(asked(&mut raw, "ROLLBACK"), Ok(String::new()));
        assert_eq!(asked(&mut raw, WHO).unwrap(), "ana@example.com");
        // PostgreSQL 18 goes on with a batch's transaction behind a Query.
        assert_eq!(asked(&mut raw, "SET default_transaction_read_only = on"), Ok(String::new()));
        raw.send(&[&frame::run("DISCARD SEQUENCES")[..], &[frame::query("SET work_mem = '5MB'")]].concat());
        assert!(answer(&mut raw).is_ok_and(|row| row.is_empty()) || shop.upstream.major() >= 18);
        assert_eq!(asked(&mut raw, WHO).unwrap(), "ana@example.com");
        ana.run("BEGIN; DISCARD SEQUENCES");
        assert_eq!(ana.one(WHO), "ana@example.com");
        ana.run("COMMIT");
    }
}
