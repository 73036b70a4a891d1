//! SCRAM-SHA-256: passwords that are kept as verifiers, whose they are, when they are asked for, and what a client without one learns.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password::scram_sha_256;

use super::acting::acting;
use crate::harness::{
    ADMIN, Audited, Client, Frame, Issuer, Mechanism, Pki, Proxy, ProxySettings, RawClient, Refusal, Shop, frame, until, within,
};

const ANA: &str = "ana@example.com";
const BOB: &str = "bob@example.com";
const ASKED: &str = "-c pgusher.auth=scram-sha-256";

/// Ending open sessions must take less than a second; the margin is the machine's.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A session by SCRAM, as the driver speaks it.
pub fn by_scram(shop: &Shop, user: &str, password: &str) -> Result<Client, Refusal> {
    by(shop.proxy.port, &shop.database, user, password)
}

fn by(port: u16, database: &str, user: &str, password: &str) -> Result<Client, Refusal> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).dbname(database).user(user).password(password).options(ASKED);
    Client::with(&config)
}

/// A password for a principal, made by itself.
pub fn generated(client: &Client, user: &str, clauses: &str) -> (String, String) {
    let rows = client.rows(&format!("ALTER USER \"{user}\" PASSWORD GENERATE {clauses}"));
    (rows[0][0].clone(), rows[0][1].clone())
}

/// What every refusal reads like.
fn failed(user: &str) -> Refusal {
    let message = format!("password authentication failed for user \"{user}\"");
    Refusal { severity: "FATAL".into(), code: "28P01".into(), message, ..Refusal::default() }
}

/// A connection that was asked for SCRAM.
fn asked(port: u16, database: &str, user: &str) -> RawClient {
    let mut raw = RawClient::connect(port);
    raw.send(&[frame::startup(3, 0, &[("user", user), ("database", database), ("options", ASKED)])]);
    assert_eq!(raw.expect('R').body, b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    raw
}

fn initial(mechanism: &str, message: &[u8]) -> Vec<u8> {
    let length = i32::try_from(message.len()).expect("short").to_be_bytes();
    frame::tagged('p', &[mechanism.as_bytes(), &[0], &length, message].concat())
}

/// The salt and number of iterations that a name is challenged with.
fn challenged(port: u16, database: &str, user: &str) -> (Vec<u8>, String) {
    let mut raw = asked(port, database, user);
    raw.send(&[initial("SCRAM-SHA-256", b"n,,n=,r=abc")]);
    let body = raw.expect('R').body;
    assert_eq!(body[..4], 11_i32.to_be_bytes());
    let text = String::from_utf8(body[4..].to_vec()).expect("text");
    let parts: Vec<&str> = text.split(',').collect();
    assert!(parts[0].starts_with("r=abc") && parts[0].len() == "r=abc".len() + 24, "{text}");
    (STANDARD.decode(&parts[1][2..]).expect("base64"), parts[2].to_owned())
}

#[test]
fn whoever_set_a_password_logs_in_by_it() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (id, password) = generated(&shop.ana(), ANA, "");
    assert!(id.starts_with("scram-") && password.starts_with("pgu_"));
    let ana = by_scram(&shop, ANA, &password).expect("her password");
    assert_eq!(ana.one("SELECT current_user"), ANA);
    assert_eq!(ana.rows("SHOW SESSION")[0][2], id);
    // It is a token, too.
    shop.try_connect(ANA, &password).expect("a token");
    // One that only she knows, by its verifier; the one before is gone.
    shop.ana().run(&format!("ALTER USER \"{ANA}\" PASSWORD '{}'", scram_sha_256(b"correct horse")));
    within(AT_ONCE, "the session by the old password to end", || ana.try_rows("SELECT 1").err());
    assert_eq!(by_scram(&shop, ANA, &password).err(), Some(failed(ANA)));
    assert_eq!(shop.try_connect(ANA, &password).err(), Some(failed(ANA)));
    assert_eq!(by_scram(&shop, ANA, "correct horse").expect("the new one").one("SELECT current_user"), ANA);
    // A password is no token.
    assert_eq!(shop.try_connect(ANA, "correct horse").err(), Some(failed(ANA)));
    // An administrator sets a service principal's.
    let rows = shop.admin().rows("ALTER SERVICE PRINCIPAL bi_tool PASSWORD GENERATE SCOPES (sql:read) LIFETIME 1 DAY");
    let bi = by_scram(&shop, "bi_tool", &rows[0][1]).expect("its password");
    assert_eq!(bi.rows("SHOW SESSION")[0][3], "sql:read");
    assert_eq!(acting(&shop, "bi_tool", &rows[0][1], ANA).err().expect("nothing was granted").code, "28000");
}

#[test]
fn a_session_ends_with_its_password_and_every_refusal_reads_the_same() {
    let shop = Shop::fresh(Mechanism::Rls);
    let admin = shop.admin();
    let session = |password: &str| by_scram(&shop, ANA, password).expect("a good password");
    let ended = |client: Client| within(AT_ONCE, "the session to end", || client.try_rows("SELECT 1").err());
    // Taken away, revoked like a token, the principal disabled, expired.
    let (_, password) = generated(&admin, ANA, "");
    let ana = session(&password);
    admin.run(&format!("ALTER USER \"{ANA}\" PASSWORD NULL"));
    let refusal = ended(ana);
    assert!(["28000", ""].contains(&refusal.code.as_str()), "{refusal}");
    assert_eq!(by_scram(&shop, ANA, &password).err(), Some(failed(ANA)));
    let (id, password) = generated(&admin, ANA, "");
    let ana = session(&password);
    assert!(admin.rows(&format!("SHOW TOKENS FOR \"{ANA}\"")).iter().any(|row| row[0] == id && row[2].contains("SCRAM-SHA-256")));
    admin.run(&format!("REVOKE TOKEN '{id}'"));
    ended(ana);
    assert_eq!(by_scram(&shop, ANA, &password).err(), Some(failed(ANA)));
    let (_, password) = generated(&admin, ANA, "");
    let ana = session(&password);
    admin.run(&format!("ALTER USER \"{ANA}\" DISABLE"));
    ended(ana);
    assert_eq!(by_scram(&shop, ANA, &password).err(), Some(failed(ANA)));
    admin.run(&format!("ALTER USER \"{ANA}\" ENABLE"));
    drop(session(&password));
    let (_, short) = generated(&admin, ANA, "LIFETIME 3 SECONDS");
    let ana = by_scram(&shop, ANA, &short).ok();
    until("the password to expire", || by_scram(&shop, ANA, &short).err().filter(|refusal| *refusal == failed(ANA)));
    // That one may have expired between its proof and the attach, which tells another reason.
    assert_eq!(by_scram(&shop, ANA, &short).err(), Some(failed(ANA)));
    ana.into_iter().for_each(|ana| drop(ended(ana)));
    // Wrong, somebody else's, nobody's.
    let (_, password) = generated(&admin, ANA, "");
    let (_, bobs) = generated(&shop.bob(), BOB, "");
    for (user, password) in [
        (ANA, "wrong"),
        (ANA, bobs.as_str()),
        (ANA, shop.token(ANA)),
        ("token", password.as_str()),
        ("hana@example.com", password.as_str()),
        ("nobody@example.com", password.as_str()),
        ("emea_analysts", password.as_str()),
        ("pgusher_session", "session-secret"),
    ] {
        assert_eq!(by_scram(&shop, user, password).err(), Some(failed(user)), "{user}");
    }
    let log = shop.proxy.log();
    for reason in ["the SCRAM proof is wrong, or there is no verifier", "the token has expired", "the principal is disabled"] {
        assert!(log.contains(reason), "{reason}:\n{log}");
    }
    assert!(!log.contains(&password[4..]) && !log.contains(&bobs[4..]), "no password is in the log");
}

#[test]
fn a_name_without_a_password_is_challenged_like_one_that_has_one() {
    let shop = Shop::fresh(Mechanism::Rls);
    let (_, password) = generated(&shop.ana(), ANA, "");
    let other = Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism));
    let mut salts = Vec::new();
    for user in [ANA, BOB, "nobody@example.com", "token", "emea_analysts", "users", "é"] {
        let (salt, iterations) = challenged(shop.proxy.port, &shop.database, user);
        assert_eq!((salt.len(), iterations.as_str()), (16, "i=4096"), "{user}");
        // The same for a name whenever and wherever it is asked for, as a true one is.
        for port in [shop.proxy.port, other.port] {
            assert_eq!(challenged(port, &shop.database, user).0, salt, "{user}");
        }
        assert!(!salts.contains(&salt));
        salts.push(salt);
    }
    // And whoever has one keeps its salt when it may not log in.
    shop.admin().run(&format!("ALTER USER \"{ANA}\" DISABLE"));
    assert_eq!(challenged(shop.proxy.port, &shop.database, ANA).0, salts[0]);
    assert_eq!(by_scram(&shop, ANA, &password).err(), Some(failed(ANA)));
    // Nor is it told by what is said last that the password was right.
    let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let mut raw = asked(shop.proxy.port, &shop.database, ANA);
    raw.send(&[initial("SCRAM-SHA-256", client.message())]);
    client.update(&raw.expect('R').body[4..]).expect("a challenge");
    raw.send(&[frame::tagged('p', client.message())]);
    assert_eq!(raw.expect('E').refusal(), failed(ANA));
}

#[test]
fn whose_password_it_is_decides_who_sets_it() {
    let issuer = Issuer::start();
    let shop = Shop::configured(Mechanism::Rls, &issuer.settings(""));
    let (admin, ana) = (shop.admin(), shop.ana());
    for sql in [
        format!("ALTER USER \"{BOB}\" PASSWORD GENERATE"),
        format!("ALTER USER \"{BOB}\" PASSWORD NULL"),
        format!("ALTER USER \"{BOB}\" PASSWORD '{}'", scram_sha_256(b"x")),
    ] {
        assert_eq!(ana.refused(&sql, "42501").message, "permission denied to set passwords of others");
    }
    ana.refused("ALTER SERVICE PRINCIPAL bi_tool PASSWORD NULL", "42501");
    admin.refused("ALTER SERVICE PRINCIPAL \"ana@example.com\" PASSWORD GENERATE", "42809");
    admin.refused("ALTER USER emea_analysts PASSWORD GENERATE", "42809");
    admin.refused("ALTER USER \"nobody@example.com\" PASSWORD GENERATE", "42704");
    let own = format!("ALTER USER \"{ANA}\" PASSWORD GENERATE");
    // Whoever revokes their own credential holds nobody up: it ends its own transaction.
    ana.run("BEGIN");
    assert_eq!(ana.refused(&own, "25001").message, "ALTER USER cannot run inside a transaction block");
    ana.run("ROLLBACK");
    // A credential makes none that outlives it or is wider.
    shop.try_connect(ANA, &issuer.token(ANA)).expect("a JWT").refused(&own, "42501");
    admin.run(&format!("GRANT ACT FOR USER \"{ANA}\" TO bi_tool"));
    let actor = acting(&shop, "bi_tool", shop.token("bi_tool"), ANA).expect("granted");
    actor.refused(&own, "42501");
    actor.refused(&format!("ALTER USER \"{ANA}\" PASSWORD NULL"), "42501");
    let narrow = shop.try_connect(ANA, &shop.make_token(ANA, "SCOPES (sql)")).expect("good");
    narrow.refused(&own, "42501");
    let (_, whole) = generated(&ana, ANA, "");
    narrow.refused(&format!("{own} SCOPES (sql)"), "42501");
    narrow.refused(&format!("ALTER USER \"{ANA}\" PASSWORD NULL"), "42501");
    by_scram(&shop, ANA, &whole).expect("it is still hers");
    ana.run(&format!("ALTER USER \"{ANA}\" PASSWORD NULL"));
    let (_, part) = generated(&narrow, ANA, "SCOPES (sql)");
    assert_eq!(by_scram(&shop, ANA, &part).expect("as narrow").rows("SHOW SESSION")[0][3], "sql");
    ana.refused(&format!("{own} LIFETIME 9999 DAYS"), "22023");
    ana.refused(&format!("{own} SCOPES (data)"), "0A000");
}

#[test]
fn a_password_itself_is_not_taken_and_is_on_no_record() {
    let audited = Audited::shop(Mechanism::Rls, "");
    let ana = audited.shop.ana();
    let good = scram_sha_256(b"x");
    for wrong in ["s3cr3t", "md5e8a48653851e28c69d0506508fb27fc5", &good.replace("4096", "10000"), &good[..good.len() - 1]] {
        let refusal = ana.refused(&format!("ALTER USER \"{ANA}\" PASSWORD '{wrong}'"), "22023");
        assert!(refusal.message.contains("\\password") && !refusal.message.contains(wrong), "{refusal}");
    }
    ana.run(&format!("ALTER USER \"{ANA}\" WITH ENCRYPTED PASSWORD '{good}'"));
    let (_, password) = generated(&ana, ANA, "");
    drop(by_scram(&audited.shop, ANA, &password).expect("good"));
    until("the login to be on record", || {
        audited.events("login").iter().any(|r| r["token"].as_str().is_some_and(|t| t.starts_with("scram-"))).then_some(())
    });
    let records = format!("{:?}", audited.records());
    let kept = audited.shop.truth().one("SELECT string_agg(t::text, ' ') FROM pgusher.token t");
    for text in [&records, &audited.shop.proxy.log()] {
        for secret in ["s3cr3t", "e8a48653851e28c69d0506508fb27fc5", &good[20..], &password[4..]] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
    assert!(!kept.contains(&password[4..]));
}

#[test]
fn the_configuration_says_of_whom_it_is_asked() {
    let (shop, always) = (Shop::fresh(Mechanism::Rls), Pki::new());
    let (_, password) = generated(&shop.ana(), ANA, "");
    let more = |toml: &str| Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism).with(toml));
    let forced = more(&format!("[identity]\nscram = \"always\"\n{}", always.settings("")));
    // A driver that can answers as it is asked; a token is no password, and nothing is asked in the clear.
    let ana = Client::try_connect(forced.port, &shop.database, ANA, &password).expect("by SCRAM");
    assert_eq!(ana.one("SELECT current_user"), ANA);
    for (user, password) in [(ANA, shop.token(ANA)), (ADMIN, shop.token(ADMIN)), ("token", shop.token(ANA))] {
        assert_eq!(Client::try_connect(forced.port, &shop.database, user, password).err(), Some(failed(user)));
    }
    for options in ["-c pgusher.auth=password", "-c pgusher.auth=certificate"] {
        let mut raw = RawClient::connect(forced.port);
        raw.send(&[frame::startup(3, 0, &[("user", ANA), ("database", &shop.database), ("options", options)])]);
        assert_eq!(raw.expect('R').body, b"\0\0\0\x0aSCRAM-SHA-256\0\0", "{options}");
    }
    let off = more("[identity]\nscram = \"off\"");
    let refusal = by(off.port, &shop.database, ANA, &password).err().expect("off");
    assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("0A000", "SCRAM-SHA-256 authentication is not offered here"));
}

#[test]
fn what_is_malformed_is_a_violation_of_the_protocol() {
    let shop = Shop::shared(Mechanism::Rls);
    let refused = |raw: &mut RawClient| {
        let refusal = raw.expect('E').refusal();
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "08P01"), "{refusal}");
        assert!(raw.closed());
    };
    for message in [
        frame::password("token"),
        initial("OAUTHBEARER", b"n,,\x01auth=Bearer x\x01\x01"),
        initial("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"),
        initial("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=abc"),
        initial("SCRAM-SHA-256", b"n,a=root,n=,r=abc"),
        initial("SCRAM-SHA-256", b""),
        frame::query("SELECT 1"),
    ] {
        let mut raw = asked(shop.proxy.port, &shop.database, ANA);
        raw.send(std::slice::from_ref(&message));
        refused(&mut raw);
    }
    for message in ["c=biws,r=abc,p=AAAA", "c=biws,r=other,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ""] {
        let mut raw = asked(shop.proxy.port, &shop.database, ANA);
        raw.send(&[initial("SCRAM-SHA-256", b"n,,n=,r=abc")]);
        raw.expect('R');
        raw.send(&[frame::tagged('p', message.as_bytes())]);
        refused(&mut raw);
    }
}

/// The last of a whole exchange over TLS: Ok(AuthenticationOk) or what it ended with.
fn bound(raw: &mut RawClient, database: &str, password: &str, mechanism: &str, binding: ChannelBinding) -> Frame {
    raw.send(&[frame::startup(3, 0, &[("user", ANA), ("database", database), ("options", ASKED)])]);
    assert_eq!(raw.expect('R').body, b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
    let mut client = ScramSha256::new(password.as_bytes(), binding);
    raw.send(&[initial(mechanism, client.message())]);
    let challenge = raw.next().expect("an answer");
    if challenge.tag != 'R' {
        return challenge;
    }
    client.update(&challenge.body[4..]).expect("a challenge");
    raw.send(&[frame::tagged('p', client.message())]);
    let last = raw.next().expect("an answer");
    if last.tag == 'R' {
        assert_eq!(last.body[..4], 12_i32.to_be_bytes());
        client.finish(&last.body[4..]).expect("the proxy knows the verifier");
        return raw.expect('R');
    }
    last
}

#[test]
fn inside_tls_it_is_bound_to_the_channel() {
    use sha2::Digest;
    let shop = Shop::fresh(Mechanism::Rls);
    let (_, password) = generated(&shop.ana(), ANA, "");
    let pki = Pki::new();
    let proxy = Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism).with(&pki.settings("")));
    let hash = sha2::Sha256::digest(&pki.server).to_vec();
    let to = |hash: &[u8]| ChannelBinding::tls_server_end_point(hash.to_vec());
    let login = |mechanism: &str, binding| {
        bound(&mut pki.raw(proxy.port, None).expect("TLS"), &shop.database, &password, mechanism, binding)
    };
    for (mechanism, binding) in [("SCRAM-SHA-256-PLUS", to(&hash)), ("SCRAM-SHA-256", ChannelBinding::unsupported())] {
        assert_eq!(login(mechanism, binding).body, 0_i32.to_be_bytes(), "{mechanism}");
    }
    // The certificate of somebody in between, and the offer taken out by somebody in between.
    for (mechanism, binding, message) in [
        ("SCRAM-SHA-256-PLUS", to(&[1; 32]), "SCRAM channel binding check failed"),
        ("SCRAM-SHA-256", ChannelBinding::unrequested(), "SCRAM channel binding negotiation error"),
    ] {
        let refusal = login(mechanism, binding).refusal();
        assert_eq!((refusal.severity.as_str(), refusal.code.as_str(), refusal.message.as_str()), ("FATAL", "28000", message));
    }
}
