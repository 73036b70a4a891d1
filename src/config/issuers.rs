//! Issuers of JWTs: whose signatures are taken, under which conditions, and for whom.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::written::Written;

/// Somebody whose JWTs are taken as passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The claim `iss`, compared exactly.
    pub issuer: String,
    /// The claim `aud` must name one of these.
    pub audiences: Vec<String>,
    /// Where its keys are.
    pub keys: KeyPlace,
    /// PEM file of the certificates to trust when its keys are fetched; the usual public ones when absent.
    pub root_certificates: Option<PathBuf>,
    /// How keys may be held.
    pub holding: KeyHolding,
    /// The algorithms that are taken.
    pub algorithms: Vec<SignatureAlgorithm>,
    /// The claims that may hold the principal's name; the first that is there does.
    pub principal_claims: Vec<String>,
    /// The domains of the names that it may vouch for; none: any name.
    pub domains: Vec<String>,
    /// Whether an address counts only when the issuer says that it is verified.
    pub verified_email: bool,
    /// The longest that a token may still be good.
    pub max_lifetime: Duration,
    /// The claim that lists groups.
    pub groups_claim: Option<String>,
    /// Whether a principal that does not exist is made.
    pub create_principals: bool,
    /// The domains of those that are made; none: any that it may vouch for.
    pub create_domains: Vec<String>,
    /// How far its clock may be off ours.
    pub clock_skew: Duration,
}

/// When a SASL mechanism is asked for instead of a cleartext password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaslLogin {
    /// Never.
    Off,
    /// Where a client's startup packet asks for it.
    #[default]
    Asked,
    /// Of everybody.
    Always,
}

/// What the configuration says about logins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// SASL OAUTHBEARER: tokens.
    pub bearer: SaslLogin,
    /// SASL SCRAM-SHA-256: passwords that are kept as verifiers.
    pub scram: SaslLogin,
    /// The scope that OAUTHBEARER's clients are told to ask their issuer for.
    pub oauth_scope: String,
}

/// Where an issuer's keys are, as a JWK set (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file.
    File(PathBuf),
    /// Behind an address.
    Url(String),
}

/// How long keys are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHolding {
    /// When they are looked for again.
    pub refresh: Duration,
    /// When they are not believed any more, if they could not be.
    pub max_age: Duration,
}

/// A signature algorithm of RFC 7518 and RFC 8037. There is no `none` and nothing with shared secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SignatureAlgorithm {
    /// Every one.
    pub const ALL: [Self; 9] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512, Self::Es256, Self::Es384, Self::EdDsa];

    /// Its name in the header `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Reads `[identity]` but for the issuers.
pub(super) fn identity(written: &mut Written) -> Option<Identity> {
    let choices = [("off", SaslLogin::Off), ("asked", SaslLogin::Asked), ("always", SaslLogin::Always)];
    let bearer = written.choice("identity.oauthbearer", &choices);
    let scram = written.choice("identity.scram", &choices);
    if bearer == Some(SaslLogin::Always) && scram == bearer {
        written.mistake("identity.scram", "must not be \"always\" where identity.oauthbearer is");
    }
    let oauth_scope = written.text("identity.oauth_scope");
    Some(Identity { bearer: bearer?, scram: scram?, oauth_scope: oauth_scope? })
}

/// How the issuer of a client's certificate is written where issuers of JWTs are, too.
pub const CERTIFICATE: &str = "certificate ";

/// The table of issuers.
pub(super) const TABLE: &str = "identity.issuers";

/// Reads every `[[identity.issuers]]`; what is wrong with one is a mistake, and leaves it out.
pub(super) fn issuers(written: &mut Written, base: &Path) -> Vec<Issuer> {
    let found: Vec<Issuer> =
        written.tables(TABLE).into_iter().filter_map(|one| written.within(TABLE, one, |w| issuer(w, base))).collect();
    for (number, issuer) in found.iter().enumerate() {
        // What certificates are kept as has names of that kind.
        if issuer.issuer.starts_with(CERTIFICATE) {
            written.mistake("identity.issuers.issuer", format!("must not begin with \"{CERTIFICATE}\""));
        }
        if found.iter().take(number).any(|other| other.issuer == issuer.issuer) {
            written.mistake("identity.issuers.issuer", format!("\"{}\" stands there twice", issuer.issuer));
        }
    }
    found
}

const DAY_MS: i64 = 24 * 3600 * 1000;

fn issuer(written: &mut Written, base: &Path) -> Option<Issuer> {
    let issuer = filled(written, "identity.issuers.issuer");
    let audiences = written.list("identity.issuers.audiences").unwrap_or_default();
    if audiences.is_empty() {
        written.missing("identity.issuers.audiences");
    }
    let keys = keys(written, base);
    let root_certificates = written.path("identity.issuers.root_certificates", base);
    let refresh = written.milliseconds("identity.issuers.jwks_refresh_ms", 1000..=DAY_MS);
    let max_age = written.milliseconds("identity.issuers.jwks_max_age_ms", 1000..=30 * DAY_MS);
    if let (Some(refresh), Some(max_age)) = (refresh, max_age)
        && max_age < refresh
    {
        written.mistake("identity.issuers.jwks_max_age_ms", "must not be less than jwks_refresh_ms");
    }
    let algorithms = algorithms(written);
    let principal_claims = written.list("identity.issuers.principal_claims");
    if principal_claims.as_ref().is_some_and(Vec::is_empty) {
        written.mistake("identity.issuers.principal_claims", "must name a claim");
    }
    let vouched = domains(written, "identity.issuers.domains");
    let verified_email = written.flag("identity.issuers.verified_email");
    let max_lifetime = written.milliseconds("identity.issuers.max_lifetime_ms", 1000..=3650 * DAY_MS);
    let groups_claim = written.text("identity.issuers.groups_claim").filter(|claim| !claim.is_empty());
    let create_principals = written.flag("identity.issuers.create_principals");
    let create_domains = domains(written, "identity.issuers.create_domains");
    let clock_skew = written.milliseconds("identity.issuers.clock_skew_ms", 0..=300_000);
    Some(Issuer {
        issuer: issuer?,
        audiences,
        keys: keys?,
        root_certificates,
        holding: KeyHolding { refresh: refresh?, max_age: max_age? },
        algorithms: algorithms?,
        principal_claims: principal_claims?,
        domains: vouched,
        verified_email: verified_email?,
        max_lifetime: max_lifetime?,
        groups_claim,
        create_principals: create_principals?,
        create_domains,
        clock_skew: clock_skew?,
    })
}

/// A text that must be there.
fn filled(written: &mut Written, key: &'static str) -> Option<String> {
    let text = written.text(key).filter(|text| !text.is_empty());
    if text.is_none() {
        written.missing(key);
    }
    text
}

fn keys(written: &mut Written, base: &Path) -> Option<KeyPlace> {
    let file = written.path("identity.issuers.jwks_file", base);
    let url = written.text("identity.issuers.jwks_url").filter(|url| !url.is_empty());
    match (file, url) {
        (Some(file), None) => Some(KeyPlace::File(file)),
        (None, Some(url)) if is_private(&url) => Some(KeyPlace::Url(url)),
        (None, Some(_)) => {
            written.mistake("identity.issuers.jwks_url", "must begin with https:// (http:// for this machine only)");
            None
        }
        (Some(_), Some(_)) => {
            written.mistake("identity.issuers.jwks_url", "must not stand beside jwks_file");
            None
        }
        (None, None) => {
            written.mistake("identity.issuers.jwks_url", "is missing (or jwks_file)");
            None
        }
    }
}

/// Whoever can change the keys on their way can be anybody.
fn is_private(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|port| {
            port.is_empty() || port.strip_prefix(':').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
        })
    })
}

fn algorithms(written: &mut Written) -> Option<Vec<SignatureAlgorithm>> {
    let key = "identity.issuers.algorithms";
    let names = written.list(key)?;
    let mut found = Vec::new();
    for name in &names {
        match SignatureAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name) {
            Some(algorithm) => found.push(algorithm),
            None => written.mistake(key, format!("\"{name}\" is no signature algorithm that is taken")),
        }
    }
    if names.is_empty() {
        written.mistake(key, "must name an algorithm");
    }
    Some(found)
}

fn domains(written: &mut Written, key: &'static str) -> Vec<String> {
    let domains = written.list(key).unwrap_or_default();
    if let Some(wrong) = domains.iter().find(|domain| domain.is_empty() || domain.contains('@')) {
        let message = format!("\"{wrong}\" is no domain (write \"example.com\")");
        written.mistake(key, message);
    }
    domains
}
