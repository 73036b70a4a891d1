//! Texts that differ in literals only, of one session: each is decided on like one that never came before.

use crate::harness::{Client, Mechanism, both_mechanisms, until};

/// Asks until texts of this shape are filled in by the session itself.
fn warmed(ana: &Client) {
    for id in 0..4 {
        assert_eq!(ana.one(&of_orders(1_000_000 + id)), "0");
    }
}

fn of_orders(below: u32) -> String {
    format!("SELECT count(*) FROM orders WHERE id >= {below} AND status <> 'nothing'")
}

both_mechanisms! {
    fn what_is_revoked_is_refused_whatever_its_shape(shop: fresh) {
        let (admin, ana) = (shop.admin(), shop.ana());
        warmed(&ana);
        assert_ne!(ana.one(&of_orders(1)), "0");
        admin.run("REVOKE SELECT ON TABLE orders FROM analysts");
        ana.refused(&of_orders(2), "42501");
        admin.run("GRANT SELECT ON TABLE orders TO analysts");
        assert_ne!(ana.one(&of_orders(3)), "0");
        warmed(&ana);
        admin.run("ALTER TABLE orders SET ROW FILTER (false)");
        assert_eq!(ana.one(&of_orders(4)), "0");
    }

    fn a_shape_means_what_its_names_mean_now(shop: fresh) {
        let ana = shop.ana();
        warmed(&ana);
        let orders = ana.one(&of_orders(1));
        ana.run("CREATE TEMPORARY TABLE orders (id integer, status text)");
        assert_eq!(ana.one(&of_orders(2)), "0");
        warmed(&ana);
        ana.run("INSERT INTO orders VALUES (7, 'open')");
        assert_eq!(ana.one(&of_orders(3)), "1");
        ana.run("DROP TABLE pg_temp.orders");
        assert_eq!(ana.one(&of_orders(1)), orders);
        warmed(&ana);
        ana.run("SET search_path = pg_catalog");
        ana.refused(&of_orders(5), "42P01");
        ana.run("RESET search_path");
        assert_eq!(ana.one(&of_orders(1)), orders);
        ana.run("BEGIN");
        ana.refused("SELECT 1 / 0", "22012");
        ana.refused(&of_orders(6), "25P02");
        ana.run("ROLLBACK");
        assert_eq!(ana.one(&of_orders(1)), orders);
    }

    fn a_literal_of_a_shape_that_is_known_names_nothing_that_is_not_seen(shop: shared) {
        let (ana, truth) = (shop.ana(), shop.truth());
        let number = |name: &str| truth.one(&format!("SELECT '{name}'::regclass::oid"));
        let name = |number: &str| ana.one(&format!("SELECT count(*) FROM pg_class WHERE oid = '{number}'"));
        let (seen, hidden) = (number("public.orders"), number("pgusher.token"));
        for _ in 0..4 {
            assert_eq!((name(&seen), name(&hidden)), ("1".into(), "0".into()));
            assert_eq!(name("999999"), "0");
        }
        for _ in 0..4 {
            assert_eq!(ana.one("SELECT 'orders'::regclass"), "orders");
            let _ = ana.try_rows("SELECT 'pgusher.token'::regclass").expect_err("it is not seen");
            assert_eq!(ana.one("SELECT has_table_privilege('orders', 'SELECT')"), "t");
            let _ = ana.try_rows("SELECT has_table_privilege('pgusher.token', 'SELECT')").expect_err("it is not seen");
        }
    }
}

#[test]
fn a_text_of_a_known_shape_may_be_too_long_all_the_same() {
    let shop = crate::harness::Shop::configured(Mechanism::Rls, "[limits]\nstatement_bytes = 4096\n");
    let (admin, ana) = (shop.admin(), shop.ana());
    let of_note = |length| format!("SELECT count(*) FROM orders WHERE note = '{}'", "x".repeat(length));
    let ask = |length| ana.try_rows(&of_note(length));
    let filled = || {
        let rows = admin.rows("SHOW STATS");
        let row = rows.into_iter().find(|row| row[0] == "texts_filled").expect("it is shown");
        row[1].parse::<u64>().expect("a number")
    };
    for length in 1..20 {
        ask(length).expect("it is allowed");
    }
    until("texts to be filled in", || (filled() >= 10).then_some(()));
    // One byte more than is allowed, in messages that may be longer than that and in those that may not; and far more.
    for length in [4097 - of_note(0).len(), 8192] {
        let refusal = ask(length).expect_err("it is too long");
        assert_eq!(refusal.code, "54000", "{refusal}");
        let refusal = ana.try_prepare(&of_note(length)).expect_err("it is too long");
        assert_eq!(refusal.code, "54000", "{refusal}");
        ask(length.min(4096 - of_note(0).len())).expect("it is allowed");
    }
}
