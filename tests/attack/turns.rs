//! How a shared connection passes from one session to the next: nobody takes a turn that is not theirs, and nobody spoils the next one's.

use pgusher::policy::{Mechanism, PrincipalId};
use pgusher::upstream::owner::SigningKey;

use super::locks::{POLICIES, TABLES};
use crate::harness::{Bench, Mechanism as Enforced, until};
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
    let claim = |of: &(i64, PrincipalId, String)| key.take(pid, of.0, of.1, &of.2, "");
    let number = |statement: &str| match shared.try_rows(statement) {
        Ok(rows) => Ok(rows[0][0].clone()),
        Err(refusal) => Err(refusal.code),
    };
    let take = |(payload, signature): &(String, String)| number(&format!("SELECT pgusher.take('{payload}', '{signature}')"));
    let with = |coupon: &str, (sid, principal, token): &(i64, PrincipalId, String)| {
        format!("SELECT pgusher.take_next({coupon}, {sid}, {}, '{token}', '')", principal.0)
    };
    let next = |coupon: &str, of: &(i64, PrincipalId, String)| number(&with(coupon, of));
    // Without a turn that is known there is no coupon.
    assert_eq!(next("0", &anas), Err("55000".to_owned()));
    let first = claim(&anas);
    let one = take(&first).unwrap();
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "ana");
    let two = next(&one, &hanks).unwrap();
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    // Neither a second time, nor by no number at all, nor after what is remembered of turns was thrown away.
    assert_eq!(take(&first), Err("28000".to_owned()));
    for coupon in [&*one, "0", "NULL", "9223372036854775807"] {
        assert_eq!(next(coupon, &anas), Err("28000".to_owned()));
        assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    }
    assert_eq!(ana.try_rows(&with(&two, &hanks)).unwrap_err().code, "55000", "a coupon of another backend");
    // One that was refused is spent.
    assert_eq!(next(&two, &(anas.0, hanks.1, hanks.2.clone())), Err("28000".to_owned()));
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    let three = take(&claim(&anas)).unwrap();
    shared.run("DISCARD SEQUENCES");
    assert_eq!(take(&first), Err("28000".to_owned()));
    assert_eq!(next(&three, &hanks), Err("55000".to_owned()));
    shared.refused("SELECT pgusher.current_user()", "55000");
    // Not elsewhere, not for another session, not changed.
    let third = claim(&anas);
    assert_eq!(ana.try_rows(&format!("SELECT pgusher.take('{}', '{}')", third.0, third.1)).unwrap_err().code, "28000");
    let forged = third.0.replace(&format!("\"session\":{}", anas.0), &format!("\"session\":{}", hanks.0));
    assert_ne!(forged, third.0);
    assert_eq!(take(&(forged, third.1.clone())), Err("28000".to_owned()));
    let crossed = claim(&(anas.0, hanks.1, hanks.2.clone()));
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
    // Two turns in a row are taken by numbers that have nothing to do with each other.
    let drawn = "SELECT count(DISTINCT uuid_hash_extended(gen_random_uuid(), 0)) FROM generate_series(1, 1000)";
    assert_eq!(ana.one(drawn), "1000");
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
