//! SASL OAUTHBEARER message by message: when it is asked for, what a client without a token is told, what is refused.

use crate::harness::{Issuer, Mechanism, RawClient, Shop, frame};

const ANA: &str = "ana@example.com";
const ASKED: &[(&str, &str)] = &[("options", "-c pgusher.auth=oauthbearer")];

fn shop(more: &str) -> (Shop, Issuer) {
    let issuer = Issuer::start();
    let shop = Shop::configured(Mechanism::Rls, &format!("{more}\n{}", issuer.settings("")));
    (shop, issuer)
}

/// A connection that was asked for a bearer token.
fn asked(shop: &Shop, user: &str, more: &[(&str, &str)]) -> RawClient {
    let mut raw = RawClient::connect(shop.proxy.port);
    let mut parameters = vec![("user", user), ("database", &*shop.database)];
    parameters.extend(more);
    raw.send(&[frame::startup(3, 0, &parameters)]);
    assert_eq!(raw.expect('R').body, b"\0\0\0\x0aOAUTHBEARER\0\0", "AuthenticationSASL");
    raw
}

/// A session whose token was shown this way.
pub fn logged_in(shop: &Shop, user: &str, token: &str) -> RawClient {
    let mut raw = asked(shop, user, ASKED);
    raw.send(&[initial(&bearer(token))]);
    assert_eq!(raw.expect('R').body, 0_i32.to_be_bytes());
    raw.until_ready();
    raw
}

fn initial(message: &[u8]) -> Vec<u8> {
    let length = i32::try_from(message.len()).expect("a short message");
    frame::tagged('p', &[b"OAUTHBEARER\0", &length.to_be_bytes()[..], message].concat())
}

fn bearer(token: &str) -> Vec<u8> {
    format!("n,,\x01auth=Bearer {token}\x01\x01").into_bytes()
}

/// What a client without a good token is told, and that it is turned away then.
fn told(raw: &mut RawClient, issuer: &Issuer) {
    let challenge = raw.expect('R').body;
    assert_eq!(challenge[..4], 11_i32.to_be_bytes());
    let said: serde_json::Value = serde_json::from_slice(&challenge[4..]).expect("JSON");
    assert_eq!(said["status"], "invalid_token");
    assert_eq!(said["openid-configuration"], format!("{}/.well-known/openid-configuration", issuer.url));
    assert_eq!(said["scope"], "openid email");
    raw.send(&[frame::tagged('p', b"\x01")]);
    let refusal = raw.expect('E').refusal();
    assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28000"));
    assert_eq!(refusal.message, format!("OAuth bearer authentication failed for user \"{ANA}\""));
    assert_eq!((refusal.detail, refusal.hint), (None, None));
    assert!(raw.closed());
}

#[test]
fn a_bearer_token_logs_in_by_the_first_message_or_by_a_second() {
    let (shop, issuer) = shop("");
    let token = issuer.token(ANA);
    let mut raw = logged_in(&shop, ANA, &token);
    raw.send(&[frame::query("SELECT current_user")]);
    assert_eq!(raw.until_ready()[1].values()[0].as_deref(), Some(ANA.as_bytes()));
    // Without an initial response there is an empty challenge first.
    let mut raw = asked(&shop, ANA, ASKED);
    raw.send(&[frame::tagged('p', b"OAUTHBEARER\0\xff\xff\xff\xff")]);
    assert_eq!(raw.expect('R').body, 11_i32.to_be_bytes());
    raw.send(&[frame::tagged('p', &bearer(&token))]);
    assert_eq!(raw.expect('R').body, 0_i32.to_be_bytes());
    assert!(!shop.proxy.log().contains(&token));
}

#[test]
fn whoever_has_no_good_token_is_told_where_to_get_one() {
    let (shop, issuer) = shop("");
    let expired = issuer.claiming(ANA, serde_json::json!({"exp": crate::harness::seconds(-3600)}));
    let bobs = issuer.token("bob@example.com");
    for message in
        [b"n,,\x01auth=\x01\x01".to_vec(), bearer("x"), bearer(&expired), bearer(&bobs), bearer(shop.token("bob@example.com"))]
    {
        let mut raw = asked(&shop, ANA, ASKED);
        raw.send(&[initial(&message)]);
        told(&mut raw, &issuer);
    }
    let log = shop.proxy.log();
    for reason in ["no bearer token", "the JWT has expired", "the token belongs to another principal"] {
        assert!(log.contains(reason), "{reason}");
    }
}

#[test]
fn what_is_malformed_is_a_violation_of_the_protocol() {
    let (shop, _issuer) = shop("");
    for message in [
        frame::password("token"),
        frame::tagged('p', b""),
        frame::tagged('p', b"SCRAM-SHA-256\0\0\0\0\x01x"),
        frame::tagged('p', b"OAUTHBEARER\0\0\0\0\x09n,,"),
        initial(b"n,,\x01auth=Bearer x"),
        initial(b"n,a=bob,\x01auth=Bearer x\x01\x01"),
        initial(b"p=tls-exporter,,\x01auth=Bearer x\x01\x01"),
        frame::query("SELECT 1"),
    ] {
        let mut raw = asked(&shop, ANA, ASKED);
        raw.send(std::slice::from_ref(&message));
        let refusal = raw.expect('E').refusal();
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "08P01"), "{message:?}");
        assert!(raw.closed());
    }
    // Nor does anything come in behind a refusal.
    let mut raw = asked(&shop, ANA, ASKED);
    raw.send(&[initial(&bearer("x"))]);
    raw.expect('R');
    raw.send(&[frame::tagged('p', &bearer(shop.token(ANA)))]);
    assert_eq!(raw.expect('E').refusal().code, "08P01");
    assert!(raw.closed());
}

#[test]
fn the_configuration_says_of_whom_it_is_asked() {
    let (shop, issuer) = shop("[identity]\noauthbearer = \"always\"");
    let mut raw = asked(&shop, ANA, &[]);
    raw.send(&[initial(&bearer(&issuer.token(ANA)))]);
    assert_eq!(raw.expect('R').body, 0_i32.to_be_bytes());
    let off = Shop::configured(Mechanism::Rls, &format!("[identity]\noauthbearer = \"off\"\n{}", issuer.settings("")));
    for shop in [&off, Shop::shared(Mechanism::Rls)] {
        let mut raw = RawClient::connect(shop.proxy.port);
        raw.send(&[frame::startup(3, 0, &[("user", ANA), ("database", &shop.database), ASKED[0]])]);
        let refusal = raw.expect('E').refusal();
        assert_eq!((refusal.code.as_str(), &*refusal.message), ("0A000", "OAuth bearer authentication is not offered here"));
    }
    let mut raw = RawClient::connect(off.proxy.port);
    raw.login(&off.database, ANA, off.token(ANA), &[("options", "-c pgusher.auth=password")]);
}
