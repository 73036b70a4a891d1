//! On behalf of somebody: a service principal with its own token, and the right to act, works with the person's rights.

use serde_json::json;

use crate::harness::{Client, Issuer, Mechanism, NULL, Refusal, Shop, both_mechanisms, until};

const ANA: &str = "ana@example.com";
const BI: &str = "bi_tool";

/// A session of the service principal's, acting for somebody.
pub fn acting(shop: &Shop, user: &str, token: &str, person: &str) -> Result<Client, Refusal> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(shop.proxy.port).dbname(&shop.database).user(user).password(token);
    config.options(format!("-c pgusher.on_behalf_of={person}"));
    Client::with(&config)
}

both_mechanisms! {
    fn whoever_may_act_for_a_person_sees_what_the_person_sees(shop: fresh) {
        let admin = shop.admin();
        admin.run("GRANT ACT FOR USER \"ana@example.com\" TO bi_tool");
        let client = acting(shop, BI, shop.token(BI), ANA).expect("the right to act");
        assert_eq!(client.one("SELECT current_user || ' ' || is_member('analysts')"), format!("{ANA} true"));
        assert_eq!(client.one("SELECT session_user"), ANA);
        assert_eq!(client.column("SELECT DISTINCT region FROM orders"), ["EMEA"]);
        assert_eq!(client.one("SELECT max(salary) FROM employees"), "0");
        assert_eq!(client.one("SELECT count(*) FROM my_orders"), shop.ana().one("SELECT count(*) FROM my_orders"));
        // Prepared, in a function, after DISCARD: it stays the person.
        assert_eq!(client.query("SELECT current_user::text", &[])[0].get::<_, String>(0), ANA);
        client.run("DISCARD ALL");
        assert_eq!(client.one("SELECT current_user"), ANA);
        let mine = Shop::connect(shop, BI);
        assert_eq!(mine.one("SELECT current_user"), BI, "without the option it is itself");
    }

    fn the_end_of_the_right_ends_the_sessions_that_rest_on_it(shop: fresh) {
        let admin = shop.admin();
        let ends = |what: &str, statement: &str| {
            let client = acting(shop, BI, shop.token(BI), ANA).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
            assert_eq!(client.one("SELECT current_user"), ANA);
            admin.run(statement);
            until(what, || client.try_rows("SELECT 1").err());
            assert!(acting(shop, BI, shop.token(BI), ANA).is_err(), "{what}");
        };
        let grant = "GRANT ACT FOR USER \"ana@example.com\" TO bi_tool";
        admin.run(grant);
        ends("the right revoked", "REVOKE ACT FOR USER \"ana@example.com\" FROM bi_tool");
        admin.run(grant);
        ends("the person disabled", "ALTER USER \"ana@example.com\" DISABLE");
        admin.run("ALTER USER \"ana@example.com\" ENABLE");
        ends("the actor disabled", "ALTER SERVICE PRINCIPAL bi_tool DISABLE");
        admin.run("ALTER SERVICE PRINCIPAL bi_tool ENABLE");
        ends("the actor dropped", "DROP SERVICE PRINCIPAL bi_tool");
    }
}

#[test]
fn groups_act_and_are_acted_for() {
    let shop = Shop::fresh(Mechanism::Rls);
    let admin = shop.admin();
    admin.run("CREATE GROUP services WITH SERVICE PRINCIPAL bi_tool");
    admin.run("GRANT ACT FOR GROUP analysts TO services");
    for person in [ANA, "bob@example.com"] {
        let client = acting(&shop, BI, shop.token(BI), person).expect("a member of the group");
        assert_eq!(client.one("SELECT current_user"), person);
    }
    for nobody in ["ivan@example.com", "analysts", "nobody@example.com", BI, "", "pgu_x"] {
        let refusal = acting(&shop, BI, shop.token(BI), nobody).err().unwrap_or_else(|| panic!("acts for {nobody}"));
        assert_eq!(
            (refusal.code.as_str(), &*refusal.message),
            ("28000", "\"bi_tool\" may not act on behalf of that user"),
            "{nobody}"
        );
    }
    let client = acting(&shop, BI, shop.token(BI), "bob@example.com").expect("a member");
    admin.run("ALTER GROUP amer_analysts DROP USER \"bob@example.com\"");
    until("the end of the session", || client.try_rows("SELECT 1").err());
    assert_eq!(admin.rows("SHOW ACTORS")[0][..3], ["services", "analysts", "admin@example.com"]);
    assert_eq!(shop.ana().rows("SHOW ACTORS")[0][..2], ["services", "analysts"], "everybody hears who may act for oneself");
    assert!(shop.ivan().rows("SHOW ACTORS").is_empty());
    shop.ivan().refused("SHOW ACTORS FOR \"ana@example.com\"", "42501");
    admin.run("REVOKE ACT FOR GROUP analysts FROM services");
    assert!(admin.rows("SHOW ACTORS").is_empty());
}

#[test]
fn a_persons_token_allows_it_where_it_says_so_or_where_it_is_granted() {
    let issuer = Issuer::start();
    let shop = Shop::configured(Mechanism::Rls, &issuer.settings("groups_claim = \"groups\""));
    let admin = shop.admin();
    let plain = issuer.token(ANA);
    assert!(acting(&shop, BI, shop.token(BI), &plain).is_err(), "having a person's token is no right to act");
    for other in [
        json!({"may_act": {"sub": "other"}}),
        json!({"may_act": {"sub": BI, "iss": "https://elsewhere.example"}}),
        json!({"may_act": BI}),
    ] {
        let token = issuer.claiming(ANA, other.clone());
        assert!(acting(&shop, BI, shop.token(BI), &token).is_err(), "{other}");
    }
    let token = issuer.claiming(ANA, json!({"may_act": {"sub": BI}, "groups": ["hr"]}));
    let client = acting(&shop, BI, shop.token(BI), &token).expect("the token says so");
    assert_eq!(client.one("SELECT current_user || ' ' || is_member('hr')"), format!("{ANA} true"), "the token's groups count");
    let id =
        admin.rows(&format!("SHOW TOKENS FOR \"{ANA}\"")).into_iter().map(|row| row[0].clone()).filter(|id| id.starts_with("jwt-"));
    for id in id.collect::<Vec<_>>() {
        admin.run(&format!("REVOKE TOKEN '{id}'"));
    }
    until("the end of the session", || client.try_rows("SELECT 1").err());
    assert!(acting(&shop, BI, shop.token(BI), &token).is_err(), "the person's token is revoked");
    // By a grant, with a token of either kind.
    admin.run("GRANT ACT FOR USER \"ana@example.com\" TO bi_tool");
    for token in [issuer.token(ANA), shop.token(ANA).to_owned()] {
        let client = acting(&shop, BI, shop.token(BI), &token).expect("granted");
        assert_eq!(client.one("SELECT current_user"), ANA);
    }
    assert!(acting(&shop, BI, shop.token(BI), &issuer.claiming(ANA, json!({"exp": crate::harness::seconds(-3600)}))).is_err());
    let log = shop.proxy.log();
    assert!(log.contains("actors=bi_tool") || log.contains("actors=\"bi_tool\""), "{log}");
    for secret in [&token, shop.token(ANA), shop.token(BI)] {
        assert!(!log.contains(secret), "a token in the log");
    }
}

#[test]
fn a_session_tells_what_it_is() {
    let issuer = Issuer::start();
    let shop = Shop::configured(Mechanism::Rls, &issuer.settings(""));
    let admin = shop.admin();
    let told = |client: &Client| client.rows("SHOW SESSION").swap_remove(0);
    assert_eq!(
        admin.headings("SHOW SESSION"),
        ["principal", "actors", "token_id", "scopes", "groups", "admin", "started_at", "expires_at", "pool"]
    );
    let own = told(&admin);
    assert_eq!((&*own[0], &*own[1], &*own[3], &*own[5], &*own[8]), ("admin@example.com", "", "", "true", "session"));
    assert!(own[4].split(", ").any(|group| group == "admins") && own[4].contains("users"), "{own:?}");
    let narrowed = shop.make_token(ANA, "SCOPES (sql) LIFETIME 1 DAYS");
    let own = told(&shop.try_connect(ANA, &narrowed).expect("a good token"));
    let listed = admin.rows("SHOW TOKENS FOR \"ana@example.com\"");
    assert!(listed.iter().any(|row| row[0] == own[2] && row[5] == own[7]), "{own:?} {listed:?}");
    assert_eq!((&*own[3], &*own[5]), ("sql", "false"));
    // Everybody who acts, the latest first.
    admin.run("GRANT ACT FOR USER \"ana@example.com\" TO \"bob@example.com\"");
    assert!(shop.try_connect(ANA, &issuer.claiming(ANA, json!({"act": {"sub": "a\nb"}}))).is_err(), "no name of an actor");
    let bobs = issuer.claiming("bob@example.com", json!({"act": {"sub": "CN=agent, O=x", "act": {"sub": "gateway"}}}));
    let client = acting(&shop, "bob@example.com", &bobs, ANA).expect("granted");
    let own = told(&client);
    assert_eq!((&*own[0], &*own[1], &*own[3], &*own[5]), (ANA, "\"CN=agent, O=x\", gateway, bob@example.com", "sql", "false"));
    assert_ne!(own[7], NULL, "it ends with the token");
    assert_eq!(client.one("SHOW search_path"), "\"$user\", public", "other SHOWs are PostgreSQL's");
    assert_eq!(client.one("SHOW SESSION AUTHORIZATION"), ANA);
}
