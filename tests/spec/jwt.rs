//! JWTs of an issuer as passwords: by drivers as they are, principals made at login, groups for the session, keys that change.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::drivers::psql::Psql;
use crate::harness::{Issuer, Mechanism, ProxySettings, Shop, seconds, until, within};

const ANA: &str = "ana@example.com";

/// A shop that takes an issuer's tokens.
fn shop(mechanism: Mechanism, more: &str) -> (Shop, Issuer) {
    let issuer = Issuer::start();
    (Shop::configured(mechanism, &issuer.settings(more)), issuer)
}

fn refused(shop: &Shop, user: &str, token: &str) {
    let refusal = shop.try_connect(user, token).err().unwrap_or_else(|| panic!("{user} was let in"));
    let text = format!("password authentication failed for user \"{user}\"");
    assert_eq!((refusal.code.as_str(), refusal.message, refusal.detail), ("28P01", text, None));
}

#[test]
fn a_jwt_is_a_password_and_its_bearer_sees_own_rows_only() {
    for mechanism in [Mechanism::Rls, Mechanism::View, Mechanism::Strict] {
        let (shop, issuer) = shop(mechanism, "");
        let token = issuer.token(ANA);
        for user in [ANA, "token"] {
            let client = shop.try_connect(user, &token).expect("a good JWT");
            assert_eq!(client.one("SELECT current_user || is_member('analysts')"), format!("{ANA}true"));
            assert_eq!(client.column("SELECT DISTINCT region FROM orders"), ["EMEA"]);
            assert_eq!(client.one("SELECT max(salary) FROM employees"), "0");
        }
        let said = Psql::at(shop.proxy.port, &shop.database, ANA, &token)
            .with(&["-c", "SELECT current_user, count(DISTINCT region) FROM orders"])
            .run();
        assert_eq!((said.out.trim(), said.code), (&*format!("{ANA}|1"), 0), "{said:?}");
    }
}

#[test]
fn a_jwt_is_listed_and_revoked_like_a_token_and_does_not_come_back() {
    let (shop, issuer) = shop(Mechanism::Rls, "create_principals = true");
    let admin = shop.admin();
    let token = issuer.token(ANA);
    let client = shop.try_connect(ANA, &token).expect("a good JWT");
    let listed = admin.rows(&format!("SHOW TOKENS FOR \"{ANA}\""));
    let row = listed.iter().find(|row| row[0].starts_with("jwt-")).unwrap_or_else(|| panic!("{listed:?}"));
    assert_eq!(row[2], format!("JWT of {}", issuer.url));
    admin.run(&format!("REVOKE TOKEN '{}'", row[0]));
    within(Duration::from_secs(5), "the session to end", || client.try_rows("SELECT 1").err());
    refused(&shop, ANA, &token);
    assert!(shop.try_connect(ANA, &issuer.token(ANA)).is_ok(), "another one of the same principal is good");
    // Nor does it when its principal is dropped and made again.
    let eve = issuer.token("eve@example.com");
    assert!(shop.try_connect("eve@example.com", &eve).is_ok());
    let id = admin.rows("SHOW TOKENS FOR \"eve@example.com\"")[0][0].clone();
    admin.run(&format!("REVOKE TOKEN '{id}'"));
    admin.run("DROP USER \"eve@example.com\"");
    refused(&shop, "eve@example.com", &eve);
    assert!(shop.try_connect("eve@example.com", &issuer.token("eve@example.com")).is_ok(), "made again");
    refused(&shop, "eve@example.com", &eve);
    assert!(!shop.proxy.log().contains(token.rsplit('.').next().expect("a signature")), "nowhere in the log");
    assert!(!shop.truth().one("SELECT string_agg(t::text, ' ') FROM pgusher.token t").contains(&token));
}

/// An ECDSA signature (r, s) has a twin (r, n - s) that anybody can compute.
#[test]
fn a_revoked_jwt_does_not_come_back_with_the_twin_of_its_signature() {
    let (shop, issuer) = shop(Mechanism::Rls, "");
    let token = issuer.token(ANA);
    assert!(shop.try_connect(ANA, &token).is_ok());
    let admin = shop.admin();
    let id = admin.rows(&format!("SHOW TOKENS FOR \"{ANA}\"")).into_iter().find(|r| r[0].starts_with("jwt-")).expect("listed")[0]
        .clone();
    admin.run(&format!("REVOKE TOKEN '{id}'"));
    let twin = twin(&token);
    assert_ne!(twin, token);
    refused(&shop, ANA, &twin);
    // The twin of one that was not revoked is as good as it.
    let other = issuer.token(ANA);
    assert!(shop.try_connect(ANA, &self::twin(&other)).is_ok());
}

fn twin(token: &str) -> String {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let order = hex::decode(ORDER).expect("a number");
    let mut borrow = 0;
    for (digit, of) in signature[32..].iter_mut().zip(&order).rev() {
        let difference = i32::from(*of) - i32::from(*digit) - borrow;
        borrow = i32::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).expect("a byte");
    }
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_session_by_jwt_ends_with_the_jwt() {
    let (shop, issuer) = shop(Mechanism::Rls, "clock_skew_ms = 0");
    let login = |lifetime| shop.try_connect(ANA, &issuer.claiming(ANA, json!({"exp": seconds(lifetime)}))).ok();
    let client = [3, 9, 27].into_iter().find_map(login).expect("a login in time");
    let refusal = within(Duration::from_secs(40), "the session to end", || client.try_rows("SELECT count(*) FROM orders").err());
    assert!(["28000", ""].contains(&refusal.code.as_str()), "{refusal}");
}

#[test]
fn every_wrong_jwt_is_refused_with_the_one_text_and_the_reason_is_in_the_log() {
    let (shop, issuer) = shop(Mechanism::Rls, "domains = [\"example.com\"]\nclock_skew_ms = 1000");
    let stranger = Issuer::start();
    shop.admin().run("CREATE USER \"ann@else.org\"");
    let good = issuer.token(ANA);
    let (message, signature) = good.rsplit_once('.').expect("three parts");
    let other_signature =
        if signature.starts_with('A') { signature.replacen('A', "B", 1) } else { format!("A{}", &signature[1..]) };
    for (user, token, reason) in [
        (ANA, stranger.token(ANA), "unknown issuer"),
        (ANA, stranger.claiming(ANA, json!({"iss": issuer.url})), "signature is wrong"),
        (ANA, format!("{message}.{other_signature}"), "signature is wrong"),
        (ANA, issuer.claiming(ANA, json!({"aud": "other"})), "another audience"),
        (ANA, issuer.claiming(ANA, json!({"aud": null})), "another audience"),
        (ANA, issuer.claiming(ANA, json!({"exp": seconds(-2)})), "has expired"),
        (ANA, issuer.claiming(ANA, json!({"exp": null})), "claim \\\"exp\\\""),
        (ANA, issuer.claiming(ANA, json!({"nbf": seconds(60)})), "not valid yet"),
        (ANA, issuer.claiming(ANA, json!({"email_verified": false})), "not verified"),
        ("bob@example.com", good.clone(), "another principal"),
        ("nobody@example.com", issuer.token("nobody@example.com"), "nobody who is known"),
        ("emea_analysts", issuer.claiming("", json!({"email": "emea_analysts"})), "of that domain"),
        ("ann@else.org", issuer.token("ann@else.org"), "of that domain"),
    ] {
        refused(&shop, user, &token);
        let log = shop.proxy.log();
        let line = log.lines().rfind(|line| line.contains("login_refused")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains(&reason.replace('\\', "")) || line.contains(reason), "{reason}: {line}");
    }
}

#[test]
fn a_principal_is_made_at_its_first_login_where_that_is_on() {
    let (shop, issuer) = shop(Mechanism::Rls, "create_principals = true\ncreate_domains = [\"example.com\"]");
    let admin = shop.admin();
    refused(&shop, "new@else.org", &issuer.token("new@else.org"));
    let client = shop.try_connect("new@example.com", &issuer.token("new@example.com")).expect("made");
    assert_eq!(client.one("SELECT current_user || is_member('users')"), "new@example.comtrue");
    client.refused("SELECT count(*) FROM orders", "42501");
    admin.run("ALTER GROUP analysts ADD USER \"new@example.com\"");
    assert_eq!(client.one("SELECT count(*) FROM orders"), "0", "an analyst of no region");
    admin.run("ALTER USER \"new@example.com\" DISABLE");
    refused(&shop, "new@example.com", &issuer.token("new@example.com"));
    // Nobody is made for a login that fails, nor beside somebody of nearly the same name.
    refused(&shop, "ana@example.com", &issuer.token("later@example.com"));
    let elsewhere =
        crate::harness::Client::try_connect(shop.proxy.port, "postgres", "later@example.com", &issuer.token("later@example.com"));
    assert!(elsewhere.is_err());
    for name in ["Ana@example.com", "an\u{430}@example.com", "ana\u{200b}@example.com"] {
        assert!(shop.try_connect("token", &issuer.token(name)).is_err(), "{name}");
    }
    let made = "SELECT count(*) FROM pgusher.principal WHERE name ~ 'later' OR name ~ '^A' OR name !~ '^[ -~]*$'";
    assert_eq!(shop.truth().one(made), "0");
    // A name that a group has is nobody's.
    refused(&shop, "hr", &issuer.token("hr"));
    assert_eq!(admin.rows("SHOW USERS").iter().filter(|row| row[0].starts_with("new@")).count(), 1);
}

#[test]
fn groups_of_the_token_count_for_its_session_and_lead_to_no_admin_rights() {
    let (shop, issuer) = shop(Mechanism::Rls, "groups_claim = \"groups\"");
    let admin = shop.admin();
    admin.run("CREATE GROUP leads");
    admin.run("ALTER GROUP admins ADD GROUP leads");
    let by = |groups: serde_json::Value| {
        let token = issuer.claiming("ivan@example.com", json!({"groups": groups}));
        shop.try_connect("ivan@example.com", &token).expect("a good JWT")
    };
    let (plain, analyst) = (by(json!([])), by(json!(["emea_analysts", "nonesuch"])));
    plain.refused("SELECT count(*) FROM orders", "42501");
    let mut regions = analyst.column("SELECT DISTINCT region FROM orders");
    regions.sort();
    assert!(regions.contains(&"EMEA".to_owned()) && !regions.contains(&"AMER".to_owned()), "{regions:?}");
    assert_eq!(analyst.one("SELECT is_member('analysts') AND is_member('emea_analysts') AND NOT is_member('nonesuch')"), "t");
    assert_eq!(analyst.one("SELECT has_table_privilege('orders', 'SELECT')"), "t", "the catalogs agree");
    assert_eq!(plain.one("SELECT count(*) FROM pg_class WHERE relname = 'orders'"), "0");
    let owned = shop.try_connect("ivan@example.com", shop.token("ivan@example.com")).expect("his own token");
    owned.refused("SELECT count(*) FROM orders", "42501");
    // A grant that goes, goes for it too.
    admin.run("CREATE TABLE board (id int)");
    admin.run("GRANT SELECT ON TABLE board TO analysts");
    assert_eq!(analyst.one("SELECT count(*) FROM board"), "0");
    admin.run("REVOKE SELECT ON TABLE board FROM analysts");
    analyst.refused("SELECT count(*) FROM board", "42501");
    for groups in [json!(["admins"]), json!(["leads"]), json!(["users", "admins", "leads"])] {
        let client = by(groups);
        assert_eq!(client.one("SELECT is_member('admins') OR is_member('leads')"), "f");
        client.refused("SELECT count(*) FROM orders", "42501");
        client.refused("GRANT SELECT ON TABLE orders TO interns", "42501");
    }
    // A group that leads there from now on counts no more.
    admin.run("ALTER GROUP admins ADD GROUP analysts");
    until("the session to lose its groups", || analyst.try_rows("SELECT count(*) FROM orders").err().filter(|e| e.code != "40001"));
}

#[test]
fn a_rotated_key_is_found_and_the_old_one_given_up() {
    let (shop, issuer) = shop(Mechanism::Rls, "jwks_refresh_ms = 1000");
    let old = issuer.token(ANA);
    assert!(shop.try_connect(ANA, &old).is_ok());
    issuer.rotate("second");
    let new = issuer.token(ANA);
    until("the new key", || shop.try_connect(ANA, &new).ok());
    refused(&shop, ANA, &old);
    let asked = issuer.asked();
    for number in 0..20 {
        issuer.rotate(&format!("unknown {number}"));
        let _ = shop.try_connect(ANA, &issuer.token(ANA));
    }
    assert!(issuer.asked() - asked <= 2, "strangers do not set the pace: {} fetches", issuer.asked() - asked);
}

#[test]
fn the_tokens_actors_are_told_to_the_log() {
    let (shop, issuer) = shop(Mechanism::Rls, "");
    let token = issuer.claiming(ANA, json!({"act": {"sub": "agent-7", "act": {"sub": "gateway"}}}));
    let client = shop.try_connect(ANA, &token).expect("a good JWT");
    assert_eq!(client.one("SELECT current_user || session_user"), format!("{ANA}{ANA}"), "the principal is the human");
    until("the login to be logged", || shop.proxy.log().contains("agent-7 for gateway").then_some(()));
}

#[test]
fn a_kept_jwt_is_no_token_where_its_issuer_is_not_taken_any_more() {
    let (shop, issuer) = shop(Mechanism::Rls, "");
    let token = issuer.token(ANA);
    assert!(shop.try_connect(ANA, &token).is_ok());
    for more in [String::new(), Issuer::start().settings("")] {
        let other = crate::harness::Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism).with(&more));
        let refusal = crate::harness::Client::try_connect(other.port, &shop.database, ANA, &token).err().expect("refused");
        assert_eq!(refusal.code, "28P01");
    }
}
