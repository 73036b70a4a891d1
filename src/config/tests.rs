//! The settings and their mistakes.

use std::path::Path;
use std::time::Duration;

use super::keys::KEYS;
use super::*;

fn none() -> std::iter::Empty<(String, String)> {
    std::iter::empty()
}

fn meant(text: &str) -> Settings {
    read(text, Path::new("/base"), none()).unwrap()
}

fn mistakes(text: &str) -> Vec<String> {
    read(text, Path::new(""), none()).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_database_is_all_that_must_be_set() {
    let settings = meant("[upstream]\ndatabase = \"shop\"");
    assert_eq!(settings.upstream.database, "shop");
    assert_eq!(settings.upstream.tls, UpstreamEncryption::Disabled);
    assert_eq!(settings.listen.addresses, ["127.0.0.1:6432".parse().unwrap()]);
    assert_eq!(settings.tokens.default_lifetime, Duration::from_secs(90 * 24 * 3600));
    assert_eq!(mistakes(""), ["upstream.database: is missing"]);
}

#[test]
fn a_remote_upstream_is_encrypted_and_verified_by_default() {
    assert_eq!(meant("upstream = {host = \"db.example.com\", database = \"d\"}").upstream.tls, UpstreamEncryption::VerifyFull);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_key() {
    let found = mistakes(
        "[listen]\nport = 70000\naddresses = [\"nowhere\"]\nconections = 5\n[upstream]\ntls = \"maybe\"\nhost = 5\n\
         [tls]\ncertificate = \"c.pem\"\n[policies]\nmax_age_ms = \"soon\"\n[log]\nlevel = \"=,=\"",
    );
    let expected = [
        "listen.port: must be from 1 to 65535, not 70000",
        "tls.private_key: is missing beside tls.certificate",
        "upstream.host: must be a string, not integer",
        "upstream.database: is missing",
        "upstream.tls: must be one of \"disabled\", \"verify-full\", \"dangerous-no-verify\", not \"maybe\"",
        "policies.max_age_ms: must be a whole number, not string",
        "log.level: \"=,=\" is no log level",
        "listen.conections: unknown key",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_variable_overrides_the_file() {
    let variables = [
        ("PGUSHER_LISTEN_PORT", "7000"),
        ("PGUSHER_LISTEN_ADDRESSES", "127.0.0.1, ::1"),
        ("PGUSHER_UPSTREAM_SESSION_PASSWORD", "secret"),
        ("PGUSHER_ADMIN_TOKEN", "not ours"),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = read("listen.port = 6000\nupstream.database = \"d\"", Path::new(""), variables).unwrap();
    assert_eq!(settings.listen.addresses.len(), 2);
    assert_eq!(settings.listen.port, 7000);
    assert_eq!(settings.upstream.session_password, Some(Password::new("secret")));
    assert!(!format!("{settings:?}").contains("secret"));
}

#[test]
fn a_password_file_is_read_without_its_line_break_and_must_exist() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("pw"), "s3cret\n").unwrap();
    let text = "upstream.database = \"d\"\nupstream.control_password_file = \"pw\"";
    let settings = read(text, directory.path(), none()).unwrap();
    assert_eq!(settings.upstream.control_password, Some(Password::new("s3cret")));
    let error = read(text, Path::new("/nowhere"), none()).unwrap_err();
    assert!(error.to_string().starts_with("upstream.control_password_file: cannot read the file"), "{error}");
}

#[test]
fn a_file_that_is_no_toml_is_one_mistake_with_its_place() {
    assert!(mistakes("[listen\nport = 1")[0].contains("line 1"));
}

#[test]
fn a_reload_names_what_only_a_restart_applies() {
    let old = meant("upstream.database = \"d\"");
    let new = meant("upstream = {database = \"e\", port = 5432}\nlog.level = \"debug\"\nlisten.port = 6433");
    assert_eq!(old.needing_restart(&new), ["listen.port", "upstream.database"]);
}

#[test]
fn the_reference_file_has_every_key_with_its_default_and_says_whether_a_reload_applies_it() {
    let reference = include_str!("../../config/pgusher.toml");
    let mut section = String::new();
    let mut found = Vec::new();
    for line in reference.lines() {
        let line = line.trim_start_matches("#:").trim();
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')).map(|name| name.trim_matches(['[', ']'])) {
            section = name.to_owned();
        } else if !line.starts_with('#')
            && let Some((name, rest)) = line.split_once('=')
        {
            found.push((format!("{section}.{}", name.trim()), rest.trim().to_owned()));
        }
    }
    for key in KEYS {
        let (_, rest) =
            found.iter().find(|(path, _)| path == key.path).unwrap_or_else(|| panic!("{} is not in the reference", key.path));
        let (value, note) = rest.rsplit_once('#').unwrap_or_else(|| panic!("{}: no note", key.path));
        let word = match key.reload {
            Reload::Applies => "reload",
            Reload::Restart => "restart",
        };
        assert_eq!(note.trim(), word, "{}", key.path);
        if let Some(default) = key.default {
            assert_eq!(value.trim(), default, "{}", key.path);
        }
    }
    assert_eq!(found.len(), KEYS.len(), "a key of the reference file does not exist");
    let uncommented: String = reference.lines().filter(|line| !line.starts_with("#:")).map(|line| format!("{line}\n")).collect();
    assert_eq!(meant(&uncommented), meant("upstream.database = \"shop\""));
}

#[test]
fn what_does_not_go_together_about_logins_is_told() {
    let database = "upstream.database = \"d\"\n";
    let told = |more: &str| mistakes(&format!("{database}{more}"));
    let tls = |more: &str| format!("tls = {{certificate = \"c\", private_key = \"k\", {more}}}");
    for role in ["beside", "credential"] {
        let found = told(&tls(&format!("client_ca = \"a\", client_certificates = \"{role}\"")));
        assert_eq!(found, ["tls.client_ca: needs tls.required: a client without TLS shows no certificate"]);
    }
    let either =
        meant(&format!("{database}{}", tls("client_ca = \"a\", client_certificates = \"either\", client_name = \"email\"")));
    let clients = either.tls.and_then(|tls| tls.clients).unwrap();
    assert_eq!((clients.role, clients.name), (CertificateRole::Either, CertificateName::Email));
    assert_eq!(told(&tls("client_crl = \"l\"")), ["tls.client_crl: needs tls.client_ca"]);
    assert_eq!(told(&tls("client_certificates = \"either\"")), ["tls.client_certificates: needs tls.client_ca"]);
    let open = "tls = {client_ca = \"a\", client_certificates = \"either\"}";
    assert_eq!(told(open), ["tls.client_ca: needs tls.certificate and tls.private_key"]);
    let both = told("identity = {oauthbearer = \"always\", scram = \"always\"}");
    assert_eq!(both, ["identity.scram: must not be \"always\" where identity.oauthbearer is"]);
    let issuer = "[[identity.issuers]]\nissuer = \"certificate 7\"\naudiences = [\"x\"]\njwks_file = \"f\"";
    assert_eq!(told(issuer), ["identity.issuers.issuer: must not begin with \"certificate \""]);
}

#[test]
fn an_issuer_is_a_table_that_may_stand_there_many_times() {
    let text = "upstream.database = \"d\"\n\
        [[identity.issuers]]\nissuer = \"https://one\"\naudiences = [\"pgusher\"]\njwks_url = \"https://one/keys\"\n\
        [[identity.issuers]]\nissuer = \"two\"\naudiences = [\"a\", \"b\"]\njwks_file = \"keys.json\"\nalgorithms = [\"EdDSA\"]\n\
        groups_claim = \"groups\"\ncreate_principals = true\ncreate_domains = [\"example.com\"]\nclock_skew_ms = 0";
    let settings = read(text, Path::new("/etc/pgusher"), none()).unwrap();
    let [one, two] = &settings.issuers[..] else { panic!("{:?}", settings.issuers) };
    assert_eq!(
        (one.keys.clone(), one.algorithms.len()),
        (KeyPlace::Url("https://one/keys".to_owned()), SignatureAlgorithm::ALL.len())
    );
    assert_eq!((one.principal_claims.as_slice(), one.create_principals), (&["email".to_owned()][..], false));
    assert_eq!(two.keys, KeyPlace::File("/etc/pgusher/keys.json".into()));
    assert_eq!((two.algorithms.as_slice(), two.clock_skew), (&[SignatureAlgorithm::EdDsa][..], Duration::ZERO));
    assert_eq!(settings.needing_restart(&meant("upstream.database = \"d\"")), Vec::<&str>::new());
}

#[test]
fn every_mistake_of_an_issuer_is_told() {
    let found = mistakes(
        "upstream.database = \"d\"\n\
        [[identity.issuers]]\naudiences = []\njwks_url = \"http://example.com/keys\"\nalgorithms = [\"none\", \"HS256\"]\nalgoritms = []\n\
        [[identity.issuers]]\nissuer = \"a\"\naudiences = [\"x\"]\njwks_url = \"http://127.0.0.1.example.com/\"\ndomains = [\"@a.b\"]\n\
        [[identity.issuers]]\nissuer = \"a\"\naudiences = [\"x\"]\njwks_file = \"f\"\njwks_url = \"https://a\"\nprincipal_claims = []\n\
        [[identity.issuers]]\nissuer = \"b\"\naudiences = [\"x\"]\njwks_file = \"f\"\njwks_max_age_ms = 1000\n\
        [[identity.issuers]]\nissuer = \"b\"\naudiences = [\"x\"]\njwks_file = \"f\"\n[[identity.issuer]]\nissuer = \"c\"",
    );
    let expected = [
        "identity.issuers.issuer: is missing",
        "identity.issuers.audiences: is missing",
        "identity.issuers.jwks_url: must begin with https:// (http:// for this machine only)",
        "identity.issuers.algorithms: \"none\" is no signature algorithm that is taken",
        "identity.issuers.algorithms: \"HS256\" is no signature algorithm that is taken",
        "identity.issuers.algoritms: unknown key",
        "identity.issuers.jwks_url: must begin with https:// (http:// for this machine only)",
        "identity.issuers.domains: \"@a.b\" is no domain (write \"example.com\")",
        "identity.issuers.jwks_url: must not stand beside jwks_file",
        "identity.issuers.principal_claims: must name a claim",
        "identity.issuers.jwks_max_age_ms: must not be less than jwks_refresh_ms",
        "identity.issuers.issuer: \"b\" stands there twice",
        "identity.issuer: unknown key",
    ];
    assert_eq!(found, expected);
}
