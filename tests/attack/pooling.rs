//! Shared upstream connections: what a session leaves behind, or prepares, must reach nobody else; and no statement may run as whoever
//! had the connection before.
use crate::harness::{Mechanism as Enforced, Shop, until};
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
    // A look at the catalog, should one be due just now, finds that the rows are gone and ends the sessions before they ask.
    assert!(["28000", ""].contains(&refusal.code.as_str()), "{refusal}");
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
fn nothing_that_is_pipelined_behind_a_turn_that_is_refused_runs() {
    use crate::harness::frame::{bind, execute, parse, sync};
    let shop = sharing(Enforced::Rls, 1, "");
    let (hana, mut batches) = (shop.hana(), shop.raw("ana@example.com"));
    shop.truth().run("CREATE TABLE public.seen (who text); ALTER TABLE public.seen OWNER TO shop_owner");
    shop.admin().run("GRANT SELECT, MODIFY ON TABLE seen TO users");
    until("the new table to be known", || hana.try_rows("SELECT * FROM seen").ok());
    assert_ne!(hana.one("SELECT max(salary) FROM employees"), "0");
    // An error makes upstream skip what comes up to a Sync, and no further.
    let insert =
        |who: &str| [parse("", &format!("INSERT INTO seen VALUES ('{who}')")), bind("", "", &[], 0), execute("", 0), sync()];
    let three = [insert("p"), insert("q"), insert("r")].concat();
    shop.truth().run("DELETE FROM pgusher.session WHERE name = 'ana@example.com'");
    batches.send(&three);
    let refusal = batches.expect('E').refusal();
    assert_eq!(refusal.code, "28000", "{refusal}");
    assert!(batches.closed());
    assert_eq!(hana.one("SELECT count(*) FROM seen"), "0");
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

/// What the application made upstream: a function that leaves things behind, and one that says it is immutable and asks who is there,
/// both behind views.
const BEHIND_VIEWS: &str = "
    CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC;
    CREATE FUNCTION app.leave() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
      CREATE TEMP TABLE IF NOT EXISTS regions (code text);
      PERFORM pg_advisory_lock(99);
      PERFORM set_config('app.tenant', pgusher.current_user(), false);
      PERFORM set_config('search_path', 'app, public', false);
      RETURN 'left'; END $$;
    CREATE VIEW app.leaves AS SELECT app.leave() AS said;
    CREATE FUNCTION app.who() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN pgusher.current_user(); END $$;
    CREATE VIEW app.seen AS SELECT app.who() AS who;
    CREATE FUNCTION app.within() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN app.who(); END $$;
    CREATE VIEW app.seen_within AS SELECT app.within() AS who;
    GRANT SELECT ON app.leaves, app.seen, app.seen_within TO pgusher_session;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA app TO PUBLIC";

#[test]
fn code_behind_a_view_leaves_nothing_to_the_next_session() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.truth().run(BEHIND_VIEWS);
    let (hana, ana) = (shop.hana(), shop.ana());
    until("the schema to be known", || shop.admin().try_rows("GRANT SELECT ON SCHEMA app TO users").ok());
    until("the views to be known", || hana.try_rows("SELECT who FROM app.seen").ok());
    for view in ["app.seen", "app.seen_within"] {
        let sql = format!("SELECT who FROM {view}");
        let (hers, anas) = (hana.prepare(&sql), ana.prepare(&sql));
        for _ in 0..3 {
            for (client, statement, name) in [(&hana, &hers, "hana@example.com"), (&ana, &anas, "ana@example.com")] {
                assert_eq!(client.try_execute(statement, &[]).unwrap()[0].get::<_, String>(0), name, "{view}");
                assert_eq!(client.one(&sql), name, "{view}");
            }
        }
    }
    hana.run("SELECT * FROM app.leaves");
    // Its lock and its temporary table are hana's, and keep her where they are.
    ana.refused("SELECT 1", "53300");
    hana.run("DISCARD ALL");
    assert_eq!(ana.one("SHOW search_path"), "\"$user\", public");
    assert_eq!(ana.one("SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'nobody')"), "nobody");
    assert_ne!(ana.one("SELECT count(*) FROM regions"), "0");
}

#[test]
fn constants_are_read_by_the_settings_of_whoever_prepares() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (ana, bob, hana) = (shop.ana(), shop.bob(), shop.hana());
    ana.run("SET DateStyle = 'ISO, DMY'");
    bob.run("SET DateStyle = 'ISO, MDY'; SET TimeZone = 'Asia/Tokyo'");
    let sql = "SELECT date '01/02/2020', extract(epoch FROM timestamptz '2020-01-01 00:00:00')::bigint";
    let read = |client: &crate::harness::Client| {
        let row = &client.query(sql, &[])[0];
        (row.get::<_, i64>(1), client.one("SELECT date '01/02/2020'"))
    };
    let midnight = 1_577_836_800;
    assert_eq!(read(&ana), (midnight, "2020-02-01".to_owned()));
    assert_eq!(read(&bob), (midnight - 9 * 3600, "2020-01-02".to_owned()));
    let days = "SELECT (date '01/02/2020' - date '2020-01-01')";
    let prepared = [&ana, &bob, &hana].map(|client| client.prepare(days));
    for ((client, statement), apart) in [&ana, &bob, &hana].iter().zip(&prepared).zip([31, 1, 1]) {
        assert_eq!(client.try_execute(statement, &[]).unwrap()[0].get::<_, i32>(0), apart);
    }
    // In a transaction, by SET LOCAL.
    hana.run("BEGIN; SET LOCAL DateStyle = 'ISO, DMY'");
    assert_eq!(hana.query(days, &[])[0].get::<_, i32>(0), 31);
    hana.run("COMMIT");
    assert_eq!(hana.query(days, &[])[0].get::<_, i32>(0), 1);
}

#[test]
fn more_statements_than_a_connection_keeps_and_batches_that_fail_are_nobody_s_trouble() {
    use crate::harness::frame::{bind, execute, parse, query, sync};
    let shop = sharing(Enforced::Rls, 1, "prepared_statements = 3");
    let (mut raw, bob) = (shop.raw("ana@example.com"), shop.bob());
    raw.send(&[query("BEGIN")]);
    assert_eq!(raw.tags(), "CZT");
    for n in (0..8).chain(0..8) {
        let name = format!("s{n}");
        let first = parse(&name, &format!("SELECT {n} AS n"));
        let frames = [bind("", &name, &[], 0), execute("", 0), sync()];
        let known = raw_knows(&mut raw, &first, &frames);
        assert!(known, "statement {n}");
    }
    raw.send(&[query("COMMIT")]);
    assert_eq!(raw.tags(), "CZI");
    assert_eq!(bob.one("SELECT count(*) <= 4 FROM pg_prepared_statements"), "t");
    // A batch that fails before its Parse, and the next that prepares the same text.
    let fails = [parse("", "SELECT 1/0"), bind("", "", &[], 0), execute("", 0), parse("z1", "SELECT 77"), sync()];
    let goes = [parse("z2", "SELECT 77"), bind("", "z2", &[], 0), execute("", 0), sync()];
    let again = [parse("z3", "SELECT 77"), bind("", "z3", &[], 0), execute("", 0), sync()];
    raw.send(&[&fails[..], &goes[..], &again[..]].concat());
    assert_eq!([raw.tags(), raw.tags(), raw.tags()], ["1EZI", "12DCZI", "12DCZI"]);
}

/// Prepares unless that was done before, and runs; whether it went well.
fn raw_knows(raw: &mut crate::harness::RawClient, first: &[u8], frames: &[Vec<u8>]) -> bool {
    raw.send(&[first.to_vec(), crate::harness::frame::sync()]);
    let prepared = raw.tags();
    if prepared.starts_with('E') {
        // The second time round the name is taken, which fails the transaction.
        raw.send(&[crate::harness::frame::query("ROLLBACK")]);
        raw.tags();
        raw.send(&[crate::harness::frame::query("BEGIN")]);
        raw.tags();
    }
    raw.send(frames);
    raw.tags() == "2DCZT"
}

#[test]
fn what_postgresql_s_own_functions_leave_through_a_view_is_gone_before_the_next_session() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.truth().run(
        "CREATE SCHEMA lab; GRANT USAGE ON SCHEMA lab TO PUBLIC; CREATE SEQUENCE lab.s;
         CREATE VIEW lab.locks AS SELECT pg_try_advisory_lock(5) AS held; CREATE VIEW lab.draws AS SELECT nextval('lab.s') AS n;
         CREATE VIEW lab.sets AS SELECT set_config('app.tenant', 'hana', false) AS t;
         GRANT SELECT ON lab.locks, lab.draws, lab.sets TO pgusher_session; GRANT USAGE ON SEQUENCE lab.s TO PUBLIC",
    );
    let (hana, ana) = (shop.hana(), shop.ana());
    until("the schema to be known", || shop.admin().try_rows("GRANT SELECT ON SCHEMA lab TO users").ok());
    until("the views to be known", || hana.try_rows("SELECT held FROM lab.locks").ok());
    hana.run("SELECT t FROM lab.sets");
    hana.run("SELECT n FROM lab.draws");
    ana.run("SET work_mem = '5MB'");
    // Nothing of hana's keeps ana.
    assert_eq!(hana.one("SELECT 1"), "1");
    assert_eq!(ana.one("SELECT coalesce(nullif(current_setting('app.tenant', true), ''), 'nobody')"), "nobody");
    ana.refused("SELECT lastval()", "55000");
    ana.run("DISCARD ALL");
    hana.run("SELECT setseed(0.5)");
    hana.run("DISCARD ALL");
    let first = ana.one("SELECT random()");
    hana.run("SELECT setseed(0.5)");
    hana.run("DISCARD ALL");
    assert_ne!(ana.one("SELECT random()"), first);
}

#[test]
fn a_search_path_that_an_operator_changes_leads_nobody_to_functions_they_may_not_call() {
    for mode in ["session", "transaction"] {
        let pooled = format!("pool_mode = \"{mode}\"\nsession_connections = 2\nacquire_timeout_ms = 5000");
        let shop = Shop::alone(Enforced::Rls, |settings| settings.pooled(&pooled));
        let (admin, truth) = (shop.admin(), shop.truth());
        admin.run("CREATE SCHEMA vault");
        for (schema, answer) in [("public", "outside"), ("vault", "inside")] {
            admin.run(&format!("CREATE FUNCTION {schema}.where_am_i() RETURNS text LANGUAGE sql AS $$ SELECT '{answer}' $$"));
        }
        admin.run("CREATE FUNCTION vault.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'inside' $$");
        admin.run("GRANT EXECUTE ON FUNCTION public.where_am_i TO analysts");
        let session = shop.ana();
        calls_nothing_inside(&session);
        truth.run("ALTER SYSTEM SET search_path = vault, public, pg_catalog");
        if mode == "session" {
            // From 18 on sessions that are open hear of it, with the answer to the statement that they then ask.
            let open = (shop.upstream.major() >= 18).then(|| shop.ana());
            // The next session is on its connection.
            drop(session);
            truth.run("SELECT pg_reload_conf()");
            until("new sessions to follow", || shop.truth().one("SHOW search_path").starts_with("vault").then_some(()));
            if let Some(open) = open {
                until("it to hear", || open.one("SHOW search_path").starts_with("vault").then_some(()));
                calls_nothing_inside(&open);
            }
            calls_nothing_inside(&shop.ana());
        } else {
            let old = truth.one("SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE usename = 'pgusher_session'");
            truth.run(&format!("SELECT pg_reload_conf(), count(pg_terminate_backend(pid)) FROM unnest(ARRAY[{old}]) AS pid"));
            let left = format!("SELECT count(*) FROM pg_stat_activity WHERE pid IN ({old})");
            until("its connections to end", || (truth.one(&left) == "0").then_some(()));
            until("new sessions to follow", || shop.truth().one("SHOW search_path").starts_with("vault").then_some(()));
            calls_nothing_inside(&session);
            calls_nothing_inside(&shop.ana());
        }
    }
}

fn calls_nothing_inside(session: &crate::harness::Client) {
    for text in ["SELECT where_am_i()", "SELECT lower('A')"] {
        match session.try_rows(text) {
            Ok(rows) => assert_ne!(rows[0][0], "inside", "{text}"),
            Err(refusal) => assert_eq!(refusal.code, "42501", "{text}"),
        }
    }
}

#[test]
fn a_time_limit_of_one_session_does_not_close_the_connection_under_the_next() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (ana, bob) = (shop.ana(), shop.bob());
    ana.run("SET idle_session_timeout = '200ms'");
    let backends = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'pgusher_session' AND datname = current_database()";
    until("PostgreSQL to end ana's session", || (shop.truth().one(backends) == "0").then_some(()));
    until("ana to be told", || ana.try_rows("SELECT 1").is_err().then_some(()));
    assert_eq!(bob.one("SELECT current_user"), "bob@example.com");
}

#[test]
fn a_client_that_goes_in_the_midst_of_a_batch_gives_the_connection_back_at_once() {
    use crate::harness::frame::{bind, execute, parse};
    let shop = sharing(Enforced::Rls, 1, "");
    let bob = shop.bob();
    for _ in 0..3 {
        let mut raw = shop.raw("ana@example.com");
        raw.send(&[parse("", "SELECT 1"), bind("", "", &[], 0), execute("", 0)]);
        raw.hang_up();
        drop(raw);
        // It may wait for 0.4 s, and not for the 5 s that a statement is given to come to its end.
        let started = std::time::Instant::now();
        until("the connection to come back", || bob.try_rows("SELECT 1").ok());
        assert!(started.elapsed() < std::time::Duration::from_secs(4));
    }
}

/// A mask and a filter by functions that say they are immutable and ask who is there.
const FOLDED: &str = "
    CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC; ALTER SCHEMA app OWNER TO shop_owner;
    CREATE FUNCTION app.is_hr() RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
      AS $$ BEGIN RETURN pgusher.is_member('hr'); END $$;
    CREATE TABLE app.pay (id integer, ssn text); INSERT INTO app.pay VALUES (1, 'SECRET');
    CREATE TABLE app.rows (id integer); INSERT INTO app.rows VALUES (1);
    ALTER FUNCTION app.is_hr() OWNER TO shop_owner; ALTER TABLE app.pay OWNER TO shop_owner; ALTER TABLE app.rows OWNER TO shop_owner";

const FOLDED_POLICIES: [&str; 5] = [
    "GRANT SELECT ON TABLE app.pay TO users",
    "GRANT SELECT ON TABLE app.rows TO users",
    "GRANT EXECUTE ON FUNCTION app.is_hr TO users",
    "ALTER TABLE app.pay ALTER COLUMN ssn SET MASK (CASE WHEN app.is_hr() THEN ssn ELSE 'XXX' END)",
    "ALTER TABLE app.rows SET ROW FILTER (app.is_hr())",
];

#[test]
fn a_filter_or_mask_that_was_evaluated_for_one_is_not_shown_to_another() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.truth().run(FOLDED);
    let admin = shop.admin();
    until("the tables to be known", || admin.try_rows(FOLDED_POLICIES[0]).ok());
    FOLDED_POLICIES[1..].iter().for_each(|sql| admin.run(sql));
    let (hana, ana) = (shop.hana(), shop.ana());
    for (sql, hers, anas) in [("SELECT max(ssn) FROM app.pay", "SECRET", "XXX"), ("SELECT count(*)::text FROM app.rows", "1", "0")]
    {
        let (one, other) = (hana.prepare(sql), ana.prepare(sql));
        for _ in 0..3 {
            assert_eq!(hana.try_execute(&one, &[]).unwrap()[0].get::<_, String>(0), hers);
            assert_eq!(ana.try_execute(&other, &[]).unwrap()[0].get::<_, String>(0), anas);
        }
    }
}

#[test]
fn a_plan_that_was_made_for_a_member_ends_with_the_membership() {
    for shop in [sharing(Enforced::Rls, 1, ""), crate::harness::Shop::fresh(Enforced::Rls)] {
        shop.truth().run(FOLDED);
        let (admin, ivan) = (shop.admin(), shop.ivan());
        until("the tables to be known", || admin.try_rows(FOLDED_POLICIES[0]).ok());
        FOLDED_POLICIES[1..].iter().for_each(|sql| admin.run(sql));
        admin.run("ALTER GROUP hr ADD USER \"ivan@example.com\"");
        let statement = ivan.prepare("SELECT max(ssn) FROM app.pay");
        let seen = || ivan.try_execute(&statement, &[]).unwrap()[0].get::<_, String>(0);
        assert_eq!(seen(), "SECRET");
        admin.run("ALTER GROUP hr DROP USER \"ivan@example.com\"");
        assert_eq!(seen(), "XXX");
        admin.run("ALTER GROUP hr ADD USER \"ivan@example.com\"");
        assert_eq!(seen(), "SECRET");
    }
}

#[test]
fn a_function_that_loosens_a_session_for_reading_does_not_make_it_write() {
    for shop in [sharing(Enforced::Rls, 1, ""), crate::harness::Shop::fresh(Enforced::Rls)] {
        shop.truth().run(
            "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC;
             CREATE TABLE app.written (who text); GRANT ALL ON app.written TO pgusher_session;
             CREATE FUNCTION app.loosen() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
               RETURN set_config('default_transaction_read_only', 'off', false); END $$;
             CREATE FUNCTION app.write() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO app.written VALUES ('x'); RETURN 1; END $$;
             CREATE VIEW app.loosens AS SELECT app.loosen() AS t; CREATE VIEW app.writes AS SELECT app.write() AS n;
             GRANT SELECT ON app.loosens, app.writes TO pgusher_session; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA app TO PUBLIC",
        );
        until("the schema to be known", || shop.admin().try_rows("GRANT SELECT ON SCHEMA app TO users").ok());
        let reader = shop
            .try_connect("ana@example.com", &shop.make_token("ana@example.com", "SCOPES (sql:read)"))
            .expect("good for reading");
        until("the views to be known", || reader.try_rows("SELECT t FROM app.loosens").ok());
        reader.refused("SELECT n FROM app.writes", "25006");
        reader.run("SELECT t FROM app.loosens");
        for _ in 0..3 {
            assert_eq!(reader.one("SELECT 1"), "1");
            assert_eq!(shop.hana().one("SELECT 1"), "1");
            reader.refused("SELECT n FROM app.writes", "25006");
        }
        assert_eq!(shop.truth().one("SELECT count(*) FROM app.written"), "0");
    }
}

#[test]
fn a_type_of_one_session_is_not_in_the_statements_of_others() {
    let shop = sharing(Enforced::Rls, 1, "");
    let (ana, bob) = (shop.ana(), shop.bob());
    // A temporary table's row type is found before PostgreSQL's own type of that name, where it is not called by its schema.
    ana.run("CREATE TEMP TABLE regions (a integer)");
    let of_row = ana.try_prepare("SELECT $1::regions IS NULL AS gone");
    assert!(of_row.is_ok(), "{:?}", of_row.err());
    ana.run("DROP TABLE regions");
    let his = bob.prepare("SELECT $1::regions IS NULL AS gone");
    assert_eq!(his.params()[0].name(), "regions");
    assert_ne!(his.params()[0].oid(), of_row.unwrap().params()[0].oid());
    assert_eq!(bob.one("SELECT 1"), "1");
}

#[test]
fn what_discard_all_does_not_take_away_ends_with_its_connection() {
    for mode in ["transaction", "session"] {
        let toml = format!("pool_mode = \"{mode}\"\nsession_connections = 1\nacquire_timeout_ms = 20000");
        let shop = Shop::set_up(Enforced::Rls, |settings| settings.pooled(&toml));
        shop.truth().run("CREATE EXTENSION dblink");
        // Whoever made the connection of dblink gave the password for it.
        shop.truth().run(&format!(
            "CREATE FUNCTION public.call_home() RETURNS text LANGUAGE sql SECURITY DEFINER
               AS $$SELECT public.dblink_connect_u('home', 'host=127.0.0.1 port={} dbname=''{}'' user=postgres password=postgres')$$",
            shop.upstream.port, shop.database
        ));
        let grant = "GRANT EXECUTE ON FUNCTION call_home() TO users; GRANT EXECUTE ON FUNCTION dblink_get_connections() TO users";
        until("the functions to be known", || shop.admin().try_run(grant).ok());
        let ana = shop.ana();
        let called = ana.try_rows("SELECT call_home()");
        assert!(called.is_ok(), "{called:?}");
        drop(ana);
        let bob = shop.bob();
        assert_eq!(bob.one("SELECT coalesce(array_length(dblink_get_connections(), 1), 0)"), "0", "{mode}");
    }
}

/// Code that no text of a statement or policy calls by its name as it is: by an operator, an implicit cast, a name with a quote in it.
const UNNAMED: &str = r#"
    CREATE FUNCTION public.spoil() RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN
      PERFORM pg_catalog.set_config('work_mem', '6MB', false); RETURN true; END $$;
    CREATE FUNCTION public.by_operator(a text, b text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.spoil(); END $$;
    CREATE OPERATOR public.=== (leftarg = text, rightarg = text, function = public.by_operator);
    CREATE FUNCTION public.by_cast(a macaddr) RETURNS date LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN
      PERFORM public.spoil(); RETURN date '2020-01-01'; END $$;
    CREATE CAST (macaddr AS date) WITH FUNCTION public.by_cast(macaddr) AS IMPLICIT;
    CREATE FUNCTION public."by ""name"(a text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN public.spoil(); END $$;
    CREATE FUNCTION public.is_ana(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN
      RETURN pgusher.current_user() = 'ana@example.com'; END $$;
    CREATE OPERATOR public.==~ (leftarg = text, rightarg = text, function = public.is_ana);
    CREATE TABLE public.t1 (a text); CREATE TABLE public.t2 (a macaddr); CREATE TABLE public.t3 (a text); CREATE TABLE public.t4 (a text);
    CREATE VIEW public.spoiling AS SELECT public.spoil() AS s;
    CREATE TABLE public.t5 (a text);
    INSERT INTO t1 VALUES ('x'); INSERT INTO t2 VALUES ('08:00:2b:01:02:03'); INSERT INTO t3 VALUES ('x'); INSERT INTO t4 VALUES ('x');
    INSERT INTO t5 VALUES ('x');
    DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['t1', 't2', 't3', 't4', 't5'] LOOP
      EXECUTE format('ALTER TABLE public.%I OWNER TO shop_owner', t); END LOOP; END $$;
    GRANT SELECT ON public.spoiling TO PUBLIC; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC"#;

#[test]
fn code_that_nothing_calls_by_its_name_is_noticed_all_the_same() {
    let shop = sharing(Enforced::Rls, 1, "");
    shop.truth().run(UNNAMED);
    let admin = shop.admin();
    until("the tables to be known", || admin.try_rows("GRANT SELECT ON TABLE t5 TO users").ok());
    admin.run("ALTER TABLE t1 SET ROW FILTER (a OPERATOR(public.===) 'x')");
    admin.run(r#"ALTER TABLE t3 SET ROW FILTER (public."by ""name"(a))"#);
    admin.run("ALTER TABLE t4 SET ROW FILTER ('x' OPERATOR(public.==~) 'y')");
    admin.run("ALTER TABLE t5 SET ROW FILTER ((SELECT bool_and(s) FROM public.spoiling))");
    for table in ["t1", "t2", "t3", "t4", "t5"] {
        admin.run(&format!("GRANT SELECT ON TABLE {table} TO users"));
    }
    let (ana, bob) = (shop.ana(), shop.bob());
    let usual = bob.one("SHOW work_mem");
    for sql in ["SELECT count(*) FROM t1", "SELECT isfinite(a) FROM t2", "SELECT count(*) FROM t3", "SELECT count(*) FROM t5"] {
        ana.run(sql);
        assert_eq!(bob.one("SHOW work_mem"), usual, "{sql}");
        ana.run("DISCARD ALL");
    }
    let [hers, his] = [&ana, &bob].map(|client| client.prepare("SELECT count(*) FROM t4"));
    for _ in 0..2 {
        assert_eq!(ana.try_execute(&hers, &[]).unwrap()[0].get::<_, i64>(0), 1);
        assert_eq!(bob.try_execute(&his, &[]).unwrap()[0].get::<_, i64>(0), 0);
    }
}
