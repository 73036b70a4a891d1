//! Certificates as credentials: whom they name, what they are good for by the configuration, and when they are good no more.

use std::process::Command;
use std::time::Duration;

use rcgen::{CertificateParams, SanType};

use crate::harness::{ADMIN, Frame, Mechanism, Pki, Proxy, ProxySettings, RawClient, Refusal, Shop, Shown, frame, until, within};

const ANA: &str = "ana@example.com";
const BOB: &str = "bob@example.com";

const AT_ONCE: Duration = Duration::from_secs(5);

/// A proxy of a shop that takes clients' certificates.
pub fn proxy(shop: &Shop, pki: &Pki, more: &str) -> Proxy {
    let toml = pki.settings(&format!("{}{more}", pki.client_ca()));
    Proxy::start(shop.upstream, ProxySettings::new(&shop.database, shop.mechanism).with(&toml))
}

/// What comes first when somebody starts inside TLS: AuthenticationOk, a question, a refusal; `None`: nothing at all.
fn started(
    pki: &Pki,
    port: u16,
    (shop, user): (&Shop, &str),
    shown: Option<&Shown>,
    more: &[(&str, &str)],
) -> Option<(RawClient, Frame)> {
    let mut raw = pki.raw(port, shown).ok()?;
    let mut parameters = vec![("user", user), ("database", &*shop.database)];
    parameters.extend(more);
    raw.try_send(&[frame::startup(3, 0, &parameters)]).ok()?;
    let first = raw.next()?;
    Some((raw, first))
}

/// A session by a certificate alone.
pub fn by_certificate(shop: &Shop, pki: &Pki, port: u16, user: &str, shown: &Shown) -> RawClient {
    let (mut raw, first) = started(pki, port, (shop, user), Some(shown), &[]).expect("the handshake");
    assert_eq!((first.tag, first.body.as_slice()), ('R', &0_i32.to_be_bytes()[..]), "{:?}", first.refusal());
    raw.until_ready();
    raw
}

fn one(raw: &mut RawClient, sql: &str) -> String {
    raw.send(&[frame::query(sql)]);
    let rows = raw.until_ready();
    let row = rows.iter().find(|frame| frame.tag == 'D').unwrap_or_else(|| panic!("{sql}: {:?}", rows[0].refusal()));
    row.values()
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned())
        .collect::<Vec<_>>()
        .join("|")
}

fn failed(user: &str) -> Refusal {
    let message = format!("certificate authentication failed for user \"{user}\"");
    Refusal { severity: "FATAL".into(), code: "28000".into(), message, ..Refusal::default() }
}

fn is_over(mut raw: RawClient) {
    within(AT_ONCE, "the session to end", || {
        if raw.try_send(&[frame::query("SELECT 1")]).is_err() {
            return Some(());
        }
        match raw.next() {
            None => Some(()),
            Some(frame) if frame.tag == 'E' => {
                assert_eq!(frame.refusal().code, "28000");
                Some(())
            }
            Some(_) => None,
        }
    });
}

const ALONE: &str = "required = true\nclient_certificates = \"credential\"\n";

#[test]
fn a_certificate_that_names_the_user_is_all_that_it_takes() {
    let (shop, pki) = (Shop::fresh(Mechanism::Rls), Pki::new());
    let proxy = proxy(&shop, &pki, ALONE);
    let anas = pki.client(ANA, |_| {});
    for user in [ANA, "token"] {
        let mut raw = by_certificate(&shop, &pki, proxy.port, user, &anas);
        assert_eq!(one(&mut raw, "SELECT current_user"), ANA);
        assert_eq!(one(&mut raw, "SELECT string_agg(DISTINCT region, ' ') FROM orders"), "EMEA");
        let shown = one(&mut raw, "SHOW SESSION");
        assert!(shown.contains("|cert-"), "{shown}");
    }
    // It is listed as what it is, once.
    let listed = shop.admin().rows(&format!("SHOW TOKENS FOR \"{ANA}\""));
    let row = listed.iter().filter(|row| row[0].starts_with("cert-")).collect::<Vec<_>>();
    assert_eq!(row.len(), 1);
    assert_eq!(
        row[0][2],
        format!("certificate {:x} of CN=clients of the test", anas.serial).replace("certificate ", "certificate 0")
    );
    // An administrator by a certificate is one; no credential is made by it that outlives it.
    let mut admin = by_certificate(&shop, &pki, proxy.port, ADMIN, &pki.client(ADMIN, |_| {}));
    assert!(one(&mut admin, "SHOW SESSION").contains("|true|"));
    admin.send(&[frame::query("CREATE TOKEN")]);
    assert_eq!(admin.until_ready()[0].refusal().code, "42501");
}

#[test]
fn every_reason_of_refusal_has_the_same_text_and_no_token_does_instead() {
    let (shop, pki) = (Shop::fresh(Mechanism::Rls), Pki::new());
    let proxy = proxy(&shop, &pki, ALONE);
    let admin = shop.admin();
    admin.run("CREATE USER \"gone@example.com\"");
    admin.run("ALTER USER \"gone@example.com\" DISABLE");
    let revoked = pki.client(ANA, |parameters| parameters.subject_alt_names.clear());
    let raw = by_certificate(&shop, &pki, proxy.port, ANA, &revoked);
    let id = admin.rows(&format!("SHOW TOKENS FOR \"{ANA}\"")).into_iter().find(|row| row[0].starts_with("cert-")).expect("listed")
        [0]
    .clone();
    admin.run(&format!("REVOKE TOKEN '{id}'"));
    is_over(raw);
    let two = |parameters: &mut CertificateParams| parameters.distinguished_name.push(rcgen::DnType::CommonName, BOB);
    let email = |parameters: &mut CertificateParams| {
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.subject_alt_names = vec![SanType::Rfc822Name(ANA.try_into().expect("ASCII"))];
    };
    for (user, shown) in [
        (ANA, &revoked),
        (ANA, &pki.client(BOB, |_| {})),
        (ANA, &pki.client("ANA@example.com", |_| {})),
        (ANA, &pki.client("", |_| {})),
        (ANA, &pki.client(ANA, two)),
        (ANA, &pki.client(ANA, email)),
        ("nobody@example.com", &pki.client("nobody@example.com", |_| {})),
        ("gone@example.com", &pki.client("gone@example.com", |_| {})),
        ("emea_analysts", &pki.client("emea_analysts", |_| {})),
        ("token", &pki.client("token", |_| {})),
    ] {
        let (mut raw, first) = started(&pki, proxy.port, (&shop, user), Some(shown), &[]).expect("the handshake");
        assert_eq!((first.tag, first.refusal()), ('E', failed(user)), "{user}");
        assert!(raw.closed());
    }
    let log = proxy.log();
    for reason in ["the token was revoked", "has no name of the kind", "names nobody who is known", "the principal is disabled"] {
        assert!(log.contains(reason), "{reason}");
    }
    // Whoever drops the principal and makes it anew does not forgive the certificate.
    admin.run("CREATE USER \"back@example.com\"");
    let back = pki.client("back@example.com", |_| {});
    let raw = by_certificate(&shop, &pki, proxy.port, "back@example.com", &back);
    let id = admin.rows("SHOW TOKENS FOR \"back@example.com\"")[0][0].clone();
    admin.run(&format!("REVOKE TOKEN '{id}'"));
    is_over(raw);
    admin.run("DROP USER \"back@example.com\"");
    admin.run("CREATE USER \"back@example.com\"");
    let (_, first) = started(&pki, proxy.port, (&shop, "back@example.com"), Some(&back), &[]).expect("the handshake");
    assert_eq!(first.refusal(), failed("back@example.com"));
    // Nobody comes so far without one; not by a token either, nor past TLS.
    let strangers = Pki::new().client(ANA, |_| {});
    let late = pki.client(ANA, |parameters| parameters.not_after = rcgen::date_time_ymd(2024, 1, 1));
    for shown in [None, Some(&strangers), Some(&late)] {
        assert!(started(&pki, proxy.port, (&shop, ANA), shown, &[("options", "-c pgusher.auth=password")]).is_none());
    }
    assert_eq!(
        crate::harness::Client::try_connect(proxy.port, &shop.database, ANA, shop.token(ANA)).err().expect("no TLS").code,
        "28000"
    );
}

#[test]
fn where_the_name_is_and_whether_a_token_does_as_well_is_the_configurations_choice() {
    let (shop, pki) = (Shop::fresh(Mechanism::Rls), Pki::new());
    let proxy = proxy(&shop, &pki, "client_certificates = \"either\"\nclient_name = \"email\"\n");
    let named = |names: &'static [&'static str]| {
        pki.client(BOB, |parameters| {
            parameters.subject_alt_names =
                names.iter().map(|name| SanType::Rfc822Name((*name).try_into().expect("ASCII"))).collect();
        })
    };
    let (anas, both) = (named(&[ANA]), named(&["other@example.com", ANA]));
    for shown in [&anas, &both] {
        assert_eq!(one(&mut by_certificate(&shop, &pki, proxy.port, ANA, shown), "SELECT current_user"), ANA);
    }
    let asked = |user: &str, shown: Option<&Shown>, options: &str| {
        let (_, first) = started(&pki, proxy.port, (&shop, user), shown, &[("options", options)]).expect("TLS");
        (first.tag, first.body.clone(), first.refusal())
    };
    let password = ('R', 3_i32.to_be_bytes().to_vec());
    // Whoever shows none, or one that names somebody else, or wants it so, is asked for a token.
    for (user, shown, options) in
        [(ANA, None, ""), (BOB, Some(&anas), ""), ("token", Some(&both), ""), (ANA, Some(&anas), "-c pgusher.auth=password")]
    {
        let (tag, body, refusal) = asked(user, shown, options);
        assert_eq!((tag, body), password, "{user} {options}: {refusal}");
    }
    assert!(asked(ANA, Some(&anas), "-c pgusher.auth=scram-sha-256").1.starts_with(&10_i32.to_be_bytes()));
    let refused = |user: &str, shown: Option<&Shown>| asked(user, shown, "-c pgusher.auth=certificate").2;
    assert_eq!(refused(BOB, Some(&anas)), failed(BOB));
    let missing = refused(ANA, None);
    assert_eq!((missing.code.as_str(), missing.message.as_str()), ("28000", "connection requires a valid client certificate"));
    // Somebody else's authority is none, whatever follows.
    assert!(started(&pki, proxy.port, (&shop, ANA), Some(&Pki::new().client(ANA, |_| {})), &[]).is_none());
    // Without TLS, from this machine, a token is as good as ever.
    crate::harness::Client::try_connect(proxy.port, &shop.database, ANA, shop.token(ANA)).expect("a token");
    let beside = super::certificates::proxy(&shop, &pki, "required = true\n");
    let (_, first) = started(&pki, beside.port, (&shop, BOB), Some(&anas), &[]).expect("TLS");
    assert_eq!((first.tag, first.body), password);
    let (_, first) =
        started(&pki, beside.port, (&shop, BOB), Some(&anas), &[("options", "-c pgusher.auth=certificate")]).expect("TLS");
    assert_eq!(first.refusal().code, "0A000");
}

#[test]
fn a_session_ends_with_its_certificate() {
    let (shop, pki) = (Shop::fresh(Mechanism::Rls), Pki::new());
    let proxy = proxy(&shop, &pki, ALONE);
    let raw = [4, 12, 40].into_iter().find_map(|seconds| {
        let short = pki
            .client(ANA, |parameters| parameters.not_after = (std::time::SystemTime::now() + Duration::from_secs(seconds)).into());
        let (mut raw, first) = started(&pki, proxy.port, (&shop, ANA), Some(&short), &[])?;
        (first.tag == 'R').then(|| raw.until_ready()).map(|_| raw)
    });
    let mut raw = raw.expect("a login in time");
    raw.send(&[frame::query("SELECT pg_sleep(100)")]);
    let refusal = until("the session to end", || raw.next().filter(|frame| frame.tag == 'E')).refusal();
    assert_eq!((refusal.severity.as_str(), refusal.code.as_str()), ("FATAL", "28000"), "{refusal}");
}

#[test]
fn what_its_authority_has_revoked_is_refused_from_the_next_reload_on() {
    let (shop, pki) = (Shop::fresh(Mechanism::Rls), Pki::new());
    let proxy = proxy(&shop, &pki, &format!("{ALONE}{}", pki.client_crl()));
    let (anas, bobs) = (pki.client(ANA, |_| {}), pki.client(BOB, |_| {}));
    drop(by_certificate(&shop, &pki, proxy.port, ANA, &anas));
    pki.revoke(&[anas.serial]);
    let hangup = Command::new("kill").args(["-HUP", &proxy.process()]).status().expect("kill of coreutils");
    assert!(hangup.success());
    until("the list to be read anew", || started(&pki, proxy.port, (&shop, ANA), Some(&anas), &[]).is_none().then_some(()));
    drop(by_certificate(&shop, &pki, proxy.port, BOB, &bobs));
}
