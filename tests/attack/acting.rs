//! Whoever acts for somebody has no more than that one, and nobody gets to act by what a client can say.

use crate::harness::{ADMIN, Mechanism, Shop};
use crate::spec::acting::acting;

const BI: &str = "bi_tool";

/// Acting for an administrator gives what the administrator may read as a person, and none of the office.
#[test]
fn whoever_acts_for_an_administrator_administers_nothing() {
    let shop = Shop::fresh(Mechanism::Rls);
    let admin = shop.admin();
    admin.run("GRANT ACT FOR USER \"admin@example.com\" TO bi_tool");
    let client = acting(&shop, BI, shop.token(BI), ADMIN).expect("granted");
    assert_eq!(client.one("SELECT current_user"), ADMIN);
    for statement in [
        "GRANT SELECT ON TABLE employees TO bi_tool",
        "CREATE USER eve",
        "ALTER GROUP admins ADD SERVICE PRINCIPAL bi_tool",
        "GRANT ACT FOR USER \"ana@example.com\" TO bi_tool",
        "CREATE TOKEN",
        "CREATE TOKEN FOR bi_tool",
        "ALTER TABLE orders DROP ROW FILTER",
        "SHOW TOKENS FOR \"ana@example.com\"",
        "SHOW TOKENS",
        &format!("REVOKE TOKEN '{}'", admin.rows("SHOW TOKENS")[0][0]),
    ] {
        assert!(client.try_rows(statement).is_err(), "{statement}");
    }
    assert!(
        client.try_rows("SELECT ssn FROM employees").is_err()
            || client.column("SELECT ssn FROM employees").iter().all(|ssn| ssn.starts_with("***"))
    );
}

/// Nobody lets anybody act but an administrator, not even for oneself.
#[test]
fn only_administrators_let_somebody_act() {
    let shop = Shop::fresh(Mechanism::Rls);
    let ana = shop.ana();
    ana.refused("GRANT ACT FOR USER \"ana@example.com\" TO bi_tool", "42501");
    ana.refused("GRANT ACT FOR USER \"bob@example.com\" TO \"ana@example.com\"", "42501");
    ana.refused("REVOKE ACT FOR GROUP users FROM bi_tool", "42501");
    assert!(acting(&shop, BI, shop.token(BI), "ana@example.com").is_err());
    // A narrowed token of an administrator's is none.
    let narrowed = shop.make_token(ADMIN, "SCOPES (sql)");
    let client = shop.try_connect(ADMIN, &narrowed).expect("a good token");
    client.refused("GRANT ACT FOR USER \"ana@example.com\" TO bi_tool", "42501");
}

/// The identity is made at login, of what was signed: no setting, no second attach changes it.
#[test]
fn nothing_that_a_session_says_makes_it_act() {
    let shop = Shop::fresh(Mechanism::Rls);
    shop.admin().run("GRANT ACT FOR USER \"ana@example.com\" TO bi_tool");
    let client = shop.connect(BI);
    for statement in [
        "SET pgusher.on_behalf_of = 'ana@example.com'",
        "SELECT set_config('pgusher.on_behalf_of', 'ana@example.com', false)",
        "SET SESSION AUTHORIZATION 'ana@example.com'",
        "SELECT pgusher.acts(1, 2, NULL, true)",
        "INSERT INTO pgusher.acting VALUES (1, 2)",
        "ALTER ROLE pgusher_session SET pgusher.on_behalf_of = 'ana@example.com'",
    ] {
        assert!(client.try_rows(statement).is_err(), "{statement}");
    }
    client.run("DISCARD ALL");
    assert_eq!(client.one("SELECT current_user"), BI);
    let session = crate::harness::connect_upstream(shop.upstream, &shop.database, "pgusher_session");
    session.refused("SELECT pgusher.acts(1, 2, NULL, true)", "42501");
    session.refused("SELECT * FROM pgusher.acting", "42501");
}

/// The upstream half by itself: a signed claim to act is asked for its right all the same.
#[test]
fn a_signed_claim_to_act_needs_the_right_upstream() {
    use pgusher::policy::{Acting, Bearing, PrincipalId};
    use pgusher::upstream::owner::SigningKey;
    use std::sync::Arc;

    let shop = Shop::fresh(Mechanism::Rls);
    let root = shop.truth();
    let id = |name: &str| root.one(&format!("SELECT id FROM pgusher.principal WHERE name = '{name}'")).parse::<i64>().unwrap();
    let (bi, ana) = (id(BI), id("ana@example.com"));
    let token_of = |who: i64| root.one(&format!("SELECT id FROM pgusher.token WHERE principal = {who} LIMIT 1"));
    let (token, anas) = (token_of(bi), token_of(ana));
    let secret = root.query("SELECT secret FROM pgusher.key", &[])[0].get::<_, Vec<u8>>(0);
    let attach = |actor: i64, consent: Option<&str>, allowed: bool| {
        let session = crate::harness::connect_upstream(shop.upstream, &shop.database, "pgusher_session");
        let pid = session.one("SELECT pg_backend_pid()").parse().unwrap();
        let acting = Acting { actor: PrincipalId(actor), consent: consent.map(Arc::from), allowed };
        let bearing = Bearing { acting: Some(Arc::new(acting)), ..Bearing::default() };
        let (payload, signature) = SigningKey::new(&secret).attach(0, pid, None, PrincipalId(ana), &token, &bearing, &[]);
        session.try_rows(&format!("SELECT pgusher.attach('{payload}', '{signature}')")).map(|_| session)
    };
    assert!(attach(bi, None, false).is_err(), "no grant");
    assert!(attach(bi, None, true).is_err(), "no token that says so");
    assert!(attach(bi, Some(&token), true).is_err(), "somebody else's token");
    assert!(attach(ana, Some(&anas), true).is_err(), "the token is another one's");
    let session = attach(bi, Some(&anas), true).expect("the person's token");
    assert_eq!(session.one("SELECT pgusher.current_user()"), "ana@example.com");
    root.run(&format!("UPDATE pgusher.token SET revoked_at = now() WHERE id = '{anas}'"));
    assert!(attach(bi, Some(&anas), true).is_err(), "a revoked one");
    assert!(attach(bi, Some(&anas), false).is_err());
    root.run(&format!("INSERT INTO pgusher.acting (actor, person) VALUES ({bi}, {ana})"));
    let session = attach(bi, None, false).expect("a grant");
    root.run("DELETE FROM pgusher.acting; SELECT pgusher.changed()");
    session.refused("SELECT pgusher.current_user()", "28000");
}
