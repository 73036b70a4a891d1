//! Shared upstream connections: what a session leaves behind, or prepares, must reach nobody else; and no statement may run as whoever
//! had the connection before.

use pgusher::policy::{Mechanism, PrincipalId};
use pgusher::upstream::owner::{NextTurn, SigningKey};

use super::locks::{POLICIES, TABLES};
use crate::harness::{Bench, Mechanism as Enforced, until};
use crate::spec::pooling::sharing;

/// An administrator lets analysts run code, and makes functions that leave things behind.
const FURNISH: &str = "
    GRANT SELECT ON ANONYMOUS FUNCTION TO analysts;
    GRANT SELECT ON SCHEMA public TO analysts;
    GRANT CREATE ON SCHEMA public TO analysts";

#[test]
fn a_statement_that_somebody_prepared_under_another_s_name_is_never_run() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.admin().run(FURNISH);
    shop.truth().run("CREATE TABLE stolen (who text, salary integer); GRANT ALL ON stolen TO pgusher_session");
    let (ana, hana) = (shop.ana(), shop.hana());
    // What hana's statement is called upstream can be worked out by whoever sees it prepared once.
    let victim = hana.prepare("SELECT max(salary) FROM employees");
    let named = ana.try_rows("DO $$ BEGIN PERFORM 1 FROM pg_prepared_statements; END $$");
    assert!(named.is_ok(), "{named:?}");
    let poison = "DO $$ DECLARE n text; BEGIN
        FOR n IN SELECT name FROM pg_prepared_statements LOOP
          EXECUTE format('DEALLOCATE %I', n);
          EXECUTE format('PREPARE %I AS INSERT INTO stolen SELECT current_user, salary FROM employees RETURNING salary', n);
        END LOOP; END $$";
    let _ = hana.try_execute(&victim, &[]);
    let _ = ana.try_rows(poison);
    let honest = hana.one("SELECT max(salary) FROM employees");
    let answer = hana.try_execute(&victim, &[]).expect("hana's own statement")[0].get::<_, i32>(0);
    assert_eq!(answer.to_string(), honest);
    assert_eq!(shop.truth().one("SELECT count(*) FROM stolen"), "0");
}

#[test]
fn what_code_leaves_behind_is_gone_before_the_next_session() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.admin().run(FURNISH);
    let (ana, bob) = (shop.ana(), shop.bob());
    ana.run(
        "DO $$ BEGIN
           PERFORM set_config('app.secret', 'of ana', false);
           PERFORM set_config('DateStyle', 'German', false);
         END $$",
    );
    assert_eq!(bob.one("SELECT coalesce(nullif(current_setting('app.secret', true), ''), 'nothing')"), "nothing");
    assert_eq!(bob.one("SHOW DateStyle"), "ISO, MDY");
    assert_eq!(ana.one("SHOW DateStyle"), "German, DMY");
    // A temporary table or a lock that code made keeps the connection, so nobody else comes near it.
    ana.run("DO $$ BEGIN CREATE TEMP TABLE orders (id int); END $$");
    bob.refused("SELECT count(*) FROM orders", "53300");
    ana.run("DISCARD ALL");
    assert_ne!(bob.one("SELECT count(*) FROM orders"), "0");
}

#[test]
fn what_one_draws_from_a_sequence_is_not_told_to_the_next() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.truth().run("CREATE TABLE public.notes (id serial PRIMARY KEY, note text)");
    shop.truth().run("ALTER TABLE public.notes OWNER TO shop_owner");
    shop.admin().run("GRANT SELECT, MODIFY ON TABLE notes TO users");
    let (ana, bob) = (shop.ana(), shop.bob());
    until("the new table to be known", || ana.try_rows("INSERT INTO notes (note) VALUES ('a')").ok());
    bob.refused("SELECT lastval()", "55000");
    bob.refused("SELECT currval('notes_id_seq')", "55000");
    // Who asks keeps the connection from then on, and so what was drawn.
    bob.run("DISCARD ALL");
    ana.run("SELECT nextval('notes_id_seq')");
    ana.run("INSERT INTO notes (note) VALUES ('b')");
    bob.refused("SELECT 1", "53300");
    assert_eq!(ana.one("SELECT lastval() = currval('notes_id_seq')"), "t");
}

#[test]
fn a_session_that_is_not_let_on_runs_nothing_as_its_predecessor() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (ana, hana) = (shop.ana(), shop.hana());
    let mut pipelined = shop.raw("ana@example.com");
    shop.truth().run("CREATE TABLE public.seen (who text); ALTER TABLE public.seen OWNER TO shop_owner");
    shop.admin().run("GRANT SELECT, MODIFY ON TABLE seen TO users");
    until("the new table to be known", || hana.try_rows("SELECT * FROM seen").ok());
    assert_ne!(hana.one("SELECT max(salary) FROM employees"), "0");
    // The rows of ana's sessions are gone, and nobody was told: as after a crash of upstream.
    shop.truth().run("DELETE FROM pgusher.session WHERE name = 'ana@example.com'");
    use crate::harness::frame::{bind, execute, parse, query, sync};
    let refusal = ana.try_rows("INSERT INTO seen SELECT current_user() || max(salary) FROM employees").expect_err("no identity");
    assert_eq!(refusal.code, "28000", "{refusal}");
    pipelined.send(&[
        parse("", "INSERT INTO seen VALUES ('p')"),
        bind("", "", &[], 0),
        execute("", 0),
        sync(),
        query("INSERT INTO seen VALUES ('q')"),
    ]);
    assert!(pipelined.closed());
    assert_eq!(hana.one("SELECT count(*) FROM seen"), "0");
    assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
}

#[test]
fn settings_of_one_session_do_not_hold_up_the_next() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (ana, bob) = (shop.ana(), shop.bob());
    for _ in 0..5 {
        let _ = ana.try_rows("SET statement_timeout = 1");
        let _ = ana.try_rows("SET default_transaction_read_only = on; SET default_transaction_isolation = 'serializable'");
        assert_eq!(bob.one("SELECT pg_sleep(0.01)::text || current_user()"), "bob@example.com");
        assert_eq!(bob.one("SHOW transaction_read_only"), "off");
    }
    assert_eq!(shop.bob().one("SELECT current_user"), "bob@example.com");
}

#[test]
fn a_claim_to_a_turn_is_good_once_and_for_its_backend_and_session() {
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
    let claim = |of: &(i64, PrincipalId, String), number, first| {
        let turn = NextTurn { number, first, sequences: false };
        key.take(pid, of.0, of.1, &of.2, &turn)
    };
    let take = |(payload, signature): &(String, String)| {
        shared.try_rows(&format!("SELECT pgusher.take('{payload}', '{signature}')")).map_err(|refusal| refusal.code)
    };
    // Without a turn that is known, the claim must be one that is written down.
    assert_eq!(take(&claim(&anas, 1, false)), Err("55000".to_owned()));
    let (first, second) = (claim(&anas, 1, true), claim(&hanks, 2, false));
    take(&first).unwrap();
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "ana");
    take(&second).unwrap();
    assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    // Neither a second time, nor after what is remembered of turns was thrown away.
    for again in [&first, &second] {
        assert_eq!(take(again), Err("28000".to_owned()));
        assert_eq!(shared.one("SELECT pgusher.current_user()"), "hank");
    }
    shared.run("DISCARD SEQUENCES");
    assert_eq!(take(&first), Err("28000".to_owned()));
    assert_eq!(take(&second), Err("55000".to_owned()));
    shared.refused("SELECT pgusher.current_user()", "55000");
    // Not elsewhere, not for another session, not changed.
    let third = claim(&anas, 3, true);
    assert_eq!(ana.try_rows(&format!("SELECT pgusher.take('{}', '{}')", third.0, third.1)).unwrap_err().code, "28000");
    let forged = third.0.replace(&format!("\"session\":{}", anas.0), &format!("\"session\":{}", hanks.0));
    assert_ne!(forged, third.0);
    assert_eq!(take(&(forged, third.1.clone())), Err("28000".to_owned()));
    let crossed = claim(&(anas.0, hanks.1, hanks.2.clone()), 4, true);
    assert_eq!(take(&crossed), Err("28000".to_owned()));
    assert_eq!(hank.one("SELECT pgusher.current_user()"), "hank");
}
