//! Tokens made with real keys, and what must not pass for one.

use std::path::Path;
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::key::KeySet;
use super::*;
use crate::config::{KeyHolding, KeyPlace};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A folder with an issuer's keys, and the keys.
struct Bench {
    folder: tempfile::TempDir,
    ed: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
}

impl Bench {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
        let ec = |algorithm| {
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
        };
        let (p256, p384) = (ec(&ECDSA_P256_SHA256_FIXED_SIGNING), ec(&ECDSA_P384_SHA384_FIXED_SIGNING));
        let bench = Self { folder: tempfile::tempdir().unwrap(), ed, p256, p384 };
        let point = |key: &EcdsaKeyPair, curve: &str, id: &str| {
            let (x, y) = key.public_key().as_ref()[1..].split_at((key.public_key().as_ref().len() - 1) / 2);
            json!({"kty": "EC", "crv": curve, "kid": id, "x": encoded(x), "y": encoded(y)})
        };
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": encoded(bench.ed.public_key())},
            point(&bench.p256, "P-256", "p256"),
            point(&bench.p384, "P-384", "p384"),
            {"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": encoded(bench.ed.public_key())},
            {"kty": "OKP", "crv": "Ed25519", "kid": "other", "alg": "ES256", "x": encoded(bench.ed.public_key())},
        ]});
        std::fs::write(bench.folder.path().join("keys"), set.to_string()).unwrap();
        bench
    }

    fn issuer(&self) -> Issuer {
        issuer(&self.folder.path().join("keys"))
    }

    fn signed(&self, header: &Value, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims));
        let random = SystemRandom::new();
        let signature = match header["alg"].as_str() {
            Some("ES256") => self.p256.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Some("ES384") => self.p384.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            _ => self.ed.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", encoded(signature))
    }

    async fn ask(&self, header: &Value, claims: &Value) -> Result<Vouched, JwtRefusal> {
        Issuers::new(&[self.issuer()]).verify(self.signed(header, &claims.to_string()).as_bytes(), now()).await
    }

    async fn claiming(&self, claims: &Value) -> Result<Vouched, JwtRefusal> {
        self.ask(&json!({"alg": "EdDSA", "kid": "ed"}), claims).await
    }
}

fn issuer(keys: &Path) -> Issuer {
    Issuer {
        issuer: "https://login.example".to_owned(),
        audiences: vec!["pgusher".to_owned(), "data".to_owned()],
        keys: KeyPlace::File(keys.to_owned()),
        root_certificates: None,
        holding: KeyHolding { refresh: Duration::from_secs(300), max_age: Duration::from_secs(3600) },
        algorithms: SignatureAlgorithm::ALL.to_vec(),
        principal_claims: vec!["email".to_owned(), "sub".to_owned()],
        domains: Vec::new(),
        verified_email: false,
        max_lifetime: Duration::from_secs(3600),
        groups_claim: Some("groups".to_owned()),
        create_principals: false,
        create_domains: Vec::new(),
        clock_skew: Duration::from_secs(30),
    }
}

fn good() -> Value {
    json!({"iss": "https://login.example", "aud": "pgusher", "exp": 1_800_000_100, "email": "ann@example.com", "sub": "4711"})
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = good();
    claims[member] = value;
    claims
}

fn without(member: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(member);
    claims
}

#[tokio::test]
async fn a_good_token_of_each_kind_of_key_vouches_for_its_principal() {
    let bench = Bench::new();
    for (algorithm, key) in [("EdDSA", "ed"), ("ES256", "p256"), ("ES384", "p384")] {
        let vouched = bench.ask(&json!({"alg": algorithm, "kid": key, "typ": "JWT"}), &good()).await.unwrap();
        assert_eq!((&*vouched.name, &*vouched.issuer), ("ann@example.com", "https://login.example"));
        assert_eq!(vouched.expires, now() + Duration::from_secs(130), "the clock's tolerance counts");
        assert!(bench.ask(&json!({"alg": algorithm}), &good()).await.is_ok(), "a token without key id");
    }
}

/// RFC 7515 appendix A.2 and RFC 7520 section 4.2: signatures that somebody else made.
#[test]
fn rsa_signatures_of_the_standards_are_good_and_of_no_other_algorithm() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let keys = KeySet::parse(json!({"keys": [{"kty": "RSA", "n": n, "e": "AQAB"}]}).to_string().as_bytes()).unwrap();
    let message =
        b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = URL_SAFE_NO_PAD.decode("cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw").unwrap();
    for algorithm in SignatureAlgorithm::ALL {
        assert_eq!(keys.signed(None, algorithm, message, &signature), algorithm == SignatureAlgorithm::Rs256, "{algorithm:?}");
    }
    assert!(!keys.signed(Some("no such key"), SignatureAlgorithm::Rs256, message, &signature));
    assert!(!keys.signed(None, SignatureAlgorithm::Rs256, &message[1..], &signature));
}

#[tokio::test]
async fn an_algorithm_is_not_the_tokens_to_choose() {
    let bench = Bench::new();
    let unsigned = |alg: &str| format!("{}.{}.", encoded(json!({"alg": alg}).to_string()), encoded(good().to_string()));
    let issuers = Issuers::new(&[bench.issuer()]);
    for alg in ["none", "None", "", "HS256", "ES512", "RS1"] {
        assert_eq!(issuers.verify(unsigned(alg).as_bytes(), now()).await, Err(JwtRefusal::Algorithm), "{alg}");
    }
    // The public key as a shared secret.
    let message = unsigned("HS256");
    let tag = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, bench.ed.public_key().as_ref()),
        message.trim_end_matches('.').as_bytes(),
    );
    let forged = format!("{message}{}", encoded(tag));
    assert_eq!(issuers.verify(forged.as_bytes(), now()).await, Err(JwtRefusal::Algorithm));
    // A signature by a key of another kind than the algorithm's.
    assert_eq!(bench.ask(&json!({"alg": "RS256", "kid": "ed"}), &good()).await, Err(JwtRefusal::Signature));
    assert_eq!(bench.ask(&json!({"alg": "EdDSA", "kid": "p256"}), &good()).await, Err(JwtRefusal::Signature));
    // An algorithm that the issuer is not to use.
    let narrow = Issuers::new(&[Issuer { algorithms: vec![SignatureAlgorithm::Es256], ..bench.issuer() }]);
    let token = bench.signed(&json!({"alg": "EdDSA", "kid": "ed"}), &good().to_string());
    assert_eq!(narrow.verify(token.as_bytes(), now()).await, Err(JwtRefusal::Algorithm));
}

#[tokio::test]
async fn keys_that_are_not_the_issuers_for_signatures_are_not_used() {
    let (bench, other) = (Bench::new(), Bench::new());
    let header = json!({"alg": "EdDSA", "kid": "ed"});
    let token = other.signed(&header, &good().to_string());
    let issuers = Issuers::new(&[bench.issuer()]);
    assert_eq!(issuers.verify(token.as_bytes(), now()).await, Err(JwtRefusal::Signature));
    for id in ["enc", "other", "missing"] {
        assert_eq!(bench.ask(&json!({"alg": "EdDSA", "kid": id}), &good()).await, Err(JwtRefusal::Signature), "{id}");
    }
    // A key that the token brings along says nothing.
    let brought = json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(other.ed.public_key())});
    let token = other.signed(&json!({"alg": "EdDSA", "jwk": brought, "jku": "https://evil.example/keys"}), &good().to_string());
    assert_eq!(issuers.verify(token.as_bytes(), now()).await, Err(JwtRefusal::Signature));
}

#[test]
fn a_set_with_a_private_key_or_a_secret_is_not_believed() {
    for key in [json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}), json!({"kty": "oct", "k": "AA"})] {
        assert_eq!(KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap_err(), KeySetError::Private);
    }
    for text in ["{}", "[]", r#"{"keys": 1}"#, r#"{"keys": [1]}"#] {
        assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), KeySetError::NoSet, "{text}");
    }
    assert_eq!(KeySet::parse(br#"{"keys": [{"kty": "what"}]}"#).unwrap_err(), KeySetError::Empty);
}

#[tokio::test]
async fn headers_that_change_what_a_signature_means_are_refused() {
    let bench = Bench::new();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("logout+jwt")),
        ("typ", json!(1)),
        ("kid", json!(1)),
    ] {
        let mut header = json!({"alg": "EdDSA"});
        header[name] = value;
        assert_eq!(bench.ask(&header, &good()).await, Err(JwtRefusal::Header), "{name}");
    }
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert!(bench.ask(&json!({"alg": "EdDSA", "typ": kind}), &good()).await.is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn a_token_is_for_us_by_a_known_issuer() {
    let bench = Bench::new();
    for issuer in [json!("https://login.example/"), json!("HTTPS://login.example"), json!(["https://login.example"]), json!(null)] {
        assert_eq!(bench.claiming(&with("iss", issuer.clone())).await, Err(JwtRefusal::Issuer), "{issuer}");
    }
    assert_eq!(bench.claiming(&without("iss")).await, Err(JwtRefusal::Issuer));
    for audience in [json!("pgusher2"), json!([]), json!("PGUSHER"), json!("pgusher data")] {
        assert_eq!(bench.claiming(&with("aud", audience.clone())).await, Err(JwtRefusal::Audience), "{audience}");
    }
    assert_eq!(bench.claiming(&without("aud")).await, Err(JwtRefusal::Audience));
    assert!(bench.claiming(&with("aud", json!(["else", "data"]))).await.is_ok());
    for audience in [json!(1), json!(["pgusher", 1]), json!({"pgusher": true})] {
        assert_eq!(bench.claiming(&with("aud", audience.clone())).await, Err(JwtRefusal::Claim("aud")), "{audience}");
    }
}

#[tokio::test]
async fn a_token_is_good_in_its_time_only() {
    let bench = Bench::new();
    let at = 1_800_000_000_i64;
    assert!(bench.claiming(&with("exp", json!(at - 29))).await.is_ok(), "the clock's tolerance");
    assert_eq!(bench.claiming(&with("exp", json!(at - 30))).await, Err(JwtRefusal::Expired));
    assert!(bench.claiming(&with("nbf", json!(at + 30))).await.is_ok());
    assert_eq!(bench.claiming(&with("nbf", json!(at + 31))).await, Err(JwtRefusal::NotYet));
    assert_eq!(bench.claiming(&with("iat", json!(at + 31))).await, Err(JwtRefusal::NotYet));
    assert_eq!(bench.claiming(&without("exp")).await, Err(JwtRefusal::Claim("exp")), "a token without an end");
    // A time of another type is no time that is always good.
    for wrong in [json!("1900000000"), json!(-1), json!(null), json!([at + 100]), json!(1e300)] {
        for claim in ["exp", "nbf", "iat"] {
            assert_eq!(bench.claiming(&with(claim, wrong.clone())).await, Err(JwtRefusal::Claim(claim)), "{claim} {wrong}");
        }
    }
    assert!(bench.claiming(&with("exp", json!(1_800_000_000.5))).await.is_ok());
}

#[tokio::test]
async fn the_name_is_of_the_first_claim_that_is_there_and_never_of_an_unverified_address() {
    let bench = Bench::new();
    assert_eq!(&*bench.claiming(&without("email")).await.unwrap().name, "4711");
    for verified in [json!(true), json!("true")] {
        assert!(bench.claiming(&with("email_verified", verified)).await.is_ok());
    }
    for verified in [json!(false), json!("false"), json!(null), json!(0)] {
        let refused = bench.claiming(&with("email_verified", verified.clone())).await;
        assert_eq!(refused, Err(JwtRefusal::UnverifiedEmail), "{verified}");
    }
    for name in
        [json!(""), json!("token"), json!(" ann"), json!("ann\n"), json!("a\0b"), json!(7), json!("x".repeat(256)), json!(null)]
    {
        assert_eq!(bench.claiming(&with("email", name.clone())).await, Err(JwtRefusal::NoName), "{name}");
    }
    let mut nameless = without("email");
    nameless.as_object_mut().unwrap().remove("sub");
    assert_eq!(bench.claiming(&nameless).await, Err(JwtRefusal::NoName));
}

#[tokio::test]
async fn an_address_that_is_not_said_to_be_verified_counts_only_where_that_is_set() {
    let bench = Bench::new();
    let strict = || Issuer { verified_email: true, ..bench.issuer() };
    let ask = async |claims: Value| {
        let token = bench.signed(&json!({"alg": "EdDSA"}), &claims.to_string());
        Issuers::new(&[strict()]).verify(token.as_bytes(), now()).await.map(|vouched| vouched.name.to_string())
    };
    assert_eq!(ask(good()).await, Err(JwtRefusal::UnverifiedEmail));
    assert_eq!(ask(with("email_verified", json!(true))).await.as_deref(), Ok("ann@example.com"));
    // Nor does another claim stand in for an address that is said to be unverified.
    let mut other = without("email");
    other["email_verified"] = json!(false);
    assert_eq!(ask(other).await, Err(JwtRefusal::UnverifiedEmail));
}

#[tokio::test]
async fn tokens_of_other_kinds_and_of_long_lives_are_refused() {
    let bench = Bench::new();
    assert_eq!(bench.claiming(&with("cnf", json!({"jkt": "x"}))).await, Err(JwtRefusal::Kind));
    assert_eq!(bench.claiming(&with("events", json!({}))).await, Err(JwtRefusal::Kind));
    assert!(bench.claiming(&with("exp", json!(1_800_003_570))).await.is_ok());
    for late in [json!(1_800_003_571), json!(1e15), json!(9.2e18)] {
        let refused = bench.claiming(&with("exp", late.clone())).await;
        assert!(matches!(refused, Err(JwtRefusal::TooLong | JwtRefusal::Claim("exp"))), "{late}: {refused:?}");
    }
}

#[tokio::test]
async fn a_reload_keeps_the_keys_of_issuers_that_stay_as_they_were() {
    let bench = Bench::new();
    let issuers = Issuers::new(&[bench.issuer()]);
    let token = bench.signed(&json!({"alg": "EdDSA"}), &good().to_string());
    assert!(issuers.verify(token.as_bytes(), now()).await.is_ok());
    std::fs::remove_file(bench.folder.path().join("keys")).unwrap();
    assert!(issuers.renewed(&[bench.issuer()]).verify(token.as_bytes(), now()).await.is_ok());
    let changed = Issuer { clock_skew: Duration::ZERO, ..bench.issuer() };
    assert_eq!(issuers.renewed(&[changed]).verify(token.as_bytes(), now()).await, Err(JwtRefusal::NoKeys));
}

#[tokio::test]
async fn an_issuer_vouches_for_and_creates_names_of_its_domains_only() {
    let bench = Bench::new();
    let ask = async |issuer: Issuer, email: &str| {
        let token = bench.signed(&json!({"alg": "EdDSA"}), &with("email", json!(email)).to_string());
        Issuers::new(&[issuer]).verify(token.as_bytes(), now()).await
    };
    let narrow = || Issuer { domains: vec!["example.com".to_owned()], ..bench.issuer() };
    assert!(!ask(narrow(), "ann@Example.COM").await.unwrap().create);
    for name in ["ann@example.org", "ann@sub.example.com", "ann@example.com@evil.org", "ann", "example.com"] {
        assert_eq!(ask(narrow(), name).await, Err(JwtRefusal::Domain), "{name}");
    }
    let creating = || Issuer { create_principals: true, create_domains: vec!["example.com".to_owned()], ..bench.issuer() };
    assert!(ask(creating(), "ann@example.com").await.unwrap().create);
    assert!(!ask(creating(), "ann@example.org").await.unwrap().create);
    assert!(ask(Issuer { create_domains: Vec::new(), ..creating() }, "ann@example.org").await.unwrap().create);
}

#[tokio::test]
async fn groups_and_actors_are_read_from_their_claims() {
    let bench = Bench::new();
    assert_eq!(bench.claiming(&with("groups", json!(["a", "b"]))).await.unwrap().groups, ["a", "b"]);
    assert_eq!(bench.claiming(&with("groups", json!("a"))).await.unwrap().groups, ["a"]);
    assert!(bench.claiming(&good()).await.unwrap().groups.is_empty());
    for wrong in [json!([1]), json!({"a": 1}), json!(["a\0"]), json!(vec!["g"; 1001])] {
        assert_eq!(bench.claiming(&with("groups", wrong)).await, Err(JwtRefusal::Claim("groups")));
    }
    let nested = Issuer { groups_claim: Some("/realm/access/roles".to_owned()), ..bench.issuer() };
    let token = bench.signed(&json!({"alg": "EdDSA"}), &with("realm", json!({"access": {"roles": ["r"]}})).to_string());
    assert_eq!(Issuers::new(&[nested]).verify(token.as_bytes(), now()).await.unwrap().groups, ["r"]);
    let acted = bench.claiming(&with("act", json!({"sub": "agent", "act": {"sub": "gateway"}}))).await.unwrap();
    assert_eq!(acted.actors, ["agent", "gateway"]);
    for wrong in [json!("agent"), json!({}), json!({"sub": 1}), json!({"sub": "a", "act": {}})] {
        assert_eq!(bench.claiming(&with("act", wrong)).await, Err(JwtRefusal::Claim("act")));
    }
}

#[tokio::test]
async fn what_is_no_jwt_is_refused_without_a_look_at_any_key() {
    let bench = Bench::new();
    let issuers = Issuers::new(&[bench.issuer()]);
    let token = bench.signed(&json!({"alg": "EdDSA"}), &good().to_string());
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for text in [
        format!("{header}.{claims}"),
        format!("{token}."),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims} .{signature}"),
        format!("{}.{claims}.{signature}", encoded("[]")),
        format!("{header}.{}.{signature}", encoded("{\"iss\": \"https://login.example\", \"iss\": \"other\"}")),
        format!("{header}.{}.{signature}", encoded(b"{\"iss\": \"https://login.example\xff\"}")),
    ] {
        assert_eq!(issuers.verify(text.as_bytes(), now()).await, Err(JwtRefusal::Malformed), "{text}");
    }
    assert!(
        issuers.take(token.as_bytes())
            && !issuers.take(b"pgu_abc")
            && !issuers.take(b"eyJ")
            && !Issuers::default().take(token.as_bytes())
    );
    let mut bytes = token.into_bytes();
    let last = bytes.len() - 3;
    bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(issuers.verify(&bytes, now()).await, Err(JwtRefusal::Signature));
}
