//! Sessions that keep their upstream connection until they end (`pool_mode = "session"`): it then is the next session's, and nothing of the
//! one before is on it.

use crate::harness::{Client, Mechanism, Shop, until};

/// A shop whose ordinary sessions have so many connections among them, each for as long as it lasts.
pub(crate) fn keeping(mechanism: Mechanism, connections: usize) -> Shop {
    let toml = format!("pool_mode = \"session\"\nsession_connections = {connections}\nacquire_timeout_ms = 20000");
    Shop::set_up(mechanism, |settings| settings.pooled(&toml))
}

macro_rules! keeping_tests {
    ($($(#[$meta:meta])* fn $name:ident($shop:ident: $connections:literal) $body:block)*) => { $(
        $(#[$meta])*
        mod $name {
            use super::*;
            fn proven($shop: &Shop) $body
            #[test]
            fn rls() { proven(&keeping(Mechanism::Rls, $connections)); }
            #[test]
            fn view() { proven(&keeping(Mechanism::View, $connections)); }
        }
    )* };
}

keeping_tests! {
    fn the_next_session_has_the_connection_and_its_own_rows(shop: 1) {
        let regions = "SELECT string_agg(DISTINCT region, ',' ORDER BY region) FROM orders";
        let mut backends = Vec::new();
        for (user, seen, pay) in [("ana", "EMEA", "0"), ("bob", "AMER", "0"), ("ana", "EMEA", "0"), ("hana", "AMER,APAC,EMEA", "")] {
            let client = shop.connect(&format!("{user}@example.com"));
            backends.push(shop.truth().one(BACKENDS));
            let statement = client.prepare(regions);
            assert_eq!(client.try_execute(&statement, &[]).unwrap()[0].get::<_, String>(0), seen);
            assert_eq!(client.one(regions), seen);
            assert_eq!(client.one("SELECT current_user"), format!("{user}@example.com"));
            if !pay.is_empty() {
                assert_eq!(client.one("SELECT max(salary) FROM employees"), pay);
            }
        }
        backends.dedup();
        assert_eq!(backends.len(), 1, "{backends:?}");
    }

    fn nothing_that_a_session_leaves_reaches_the_next(shop: 1) {
        let ana = shop.ana();
        let before = shop.truth().one(BACKENDS);
        ana.run("SET DateStyle = 'German'; SET search_path = pg_catalog; SET statement_timeout = '77s'");
        ana.run("RESET search_path; SELECT set_config('TimeZone', 'Asia/Tokyo', false)");
        ana.run("CREATE TEMP TABLE orders AS SELECT 1 AS id; LISTEN news; PREPARE kept AS SELECT 'of ana'");
        ana.run("DECLARE held CURSOR WITH HOLD FOR SELECT 'of ana'; SELECT pg_advisory_lock(7); SELECT setseed(0.5)");
        assert_eq!(ana.one("SELECT count(*) FROM orders"), "1");
        let truth = shop.truth();
        truth.run("SELECT setseed(0.5)");
        drop(ana);
        let bob = shop.bob();
        assert_eq!(shop.truth().one(BACKENDS), before);
        assert_ne!(bob.one("SELECT random()"), truth.one("SELECT random()"));
        assert_eq!(bob.rows("SELECT current_setting('DateStyle'), current_setting('statement_timeout')"), [["ISO, MDY", "0"]]);
        assert_ne!(bob.one("SHOW TimeZone"), "Asia/Tokyo");
        assert_ne!(bob.one("SELECT count(*) FROM orders"), "1");
        bob.refused("EXECUTE kept", "26000");
        bob.refused("FETCH held", "34000");
        assert_eq!(shop.truth().one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"), "0");
        assert_eq!(bob.one("SELECT count(*) FROM pg_listening_channels()"), "0");
        bob.run("CREATE TEMP TABLE orders AS SELECT 2 AS id; PREPARE kept AS SELECT 'of bob'");
        assert_eq!(bob.one("EXECUTE kept"), "of bob");
    }

    fn a_session_that_ends_in_a_transaction_leaves_no_connection(shop: 1) {
        let ana = shop.ana();
        let before = shop.truth().one(BACKENDS);
        ana.run("BEGIN; CREATE TEMP TABLE t AS SELECT 1");
        drop(ana);
        let bob = shop.bob();
        assert_eq!(bob.one("SELECT current_user"), "bob@example.com");
        assert_ne!(shop.truth().one(BACKENDS), before);
    }

    fn a_session_that_discards_everything_itself_can_be_followed(shop: 1) {
        let ana = shop.ana();
        let before = shop.truth().one(BACKENDS);
        ana.run("CREATE TEMP TABLE t AS SELECT 1");
        ana.run("DISCARD ALL");
        drop(ana);
        assert_eq!(shop.bob().one("SELECT current_user"), "bob@example.com");
        assert_eq!(shop.truth().one(BACKENDS), before);
    }
}

#[test]
fn a_connection_that_died_meanwhile_is_noticed_at_the_login() {
    let shop = keeping(Mechanism::Rls, 2);
    drop((shop.ana(), shop.bob()));
    let idle = || shop.admin().rows("SHOW POOLS").into_iter().find(|row| row[0] == "pgusher_session").map(|row| row[3].clone());
    until("both to be given back", || (idle().as_deref() == Some("2")).then_some(()));
    shop.truth().run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pgusher_session' AND datname = current_database()",
    );
    assert_eq!(shop.hana().one("SELECT current_user"), "hana@example.com");
}

#[test]
fn sessions_that_start_with_other_settings_have_other_connections() {
    let shop = keeping(Mechanism::Rls, 1);
    let with = |options: &str| {
        let mut config = tokio_postgres::Config::new();
        let (user, token) = ("ana@example.com", shop.token("ana@example.com"));
        config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user(user).password(token).options(options);
        Client::with(&config).expect("a session")
    };
    let first = with("-c TimeZone=Asia/Tokyo");
    let before = shop.truth().one(BACKENDS);
    assert_eq!(first.one("SHOW TimeZone"), "Asia/Tokyo");
    drop(first);
    // The idle one gives way: there may be one only.
    let second = with("-c TimeZone=Europe/Rome");
    assert_eq!(second.one("SHOW TimeZone"), "Europe/Rome");
    second.run("SET TimeZone = 'UTC'; RESET TimeZone");
    assert_eq!(second.one("SHOW TimeZone"), "Europe/Rome");
    assert_ne!(shop.truth().one(BACKENDS), before);
}

#[test]
fn a_client_says_for_how_long_it_wants_a_connection() {
    for (mode, asked, kept) in [("transaction", "session", true), ("session", "transaction", false)] {
        let toml = format!("pool_mode = \"{mode}\"\nsession_connections = 1\nacquire_timeout_ms = 300");
        let shop = Shop::set_up(Mechanism::Rls, |settings| settings.pooled(&toml));
        let with = |user: &str, options: &str| {
            let mut config = tokio_postgres::Config::new();
            config
                .host("127.0.0.1")
                .port(shop.proxy.port)
                .dbname(&shop.database)
                .user(user)
                .password(shop.token(user))
                .options(options);
            Client::with(&config)
        };
        let option = format!("-c pgusher.pool_mode={asked}");
        let ana = with("ana@example.com", &option).expect("a session");
        assert_eq!(ana.one("SELECT current_user"), "ana@example.com");
        assert_eq!(ana.rows("SHOW SESSION")[0].iter().any(|value| value.starts_with("transaction")), !kept);
        let bob = with("bob@example.com", "-c pgusher.pool_mode=transaction");
        assert_eq!(bob.is_err(), kept, "{mode}");
        drop(ana);
        let hana = until("its connection to be free", || with("hana@example.com", "-c pgusher.pool_mode=transaction").ok());
        assert_eq!(hana.one("SELECT current_user"), "hana@example.com");
        let refusal = with("bob@example.com", "-c pgusher.pool_mode=statement").err().expect("no such mode");
        assert_eq!(refusal.code, "22023");
    }
}

const BACKENDS: &str = "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity
    WHERE usename = 'pgusher_session' AND datname = current_database()";
