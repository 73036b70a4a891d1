//! JWTs as passwords: issuer, signature and claims checked.
//!
//! In: what a client gave. Out: [`Vouched`], whom an issuer vouches for; or a [`JwtRefusal`] for the log. Never: an algorithm that the
//! token chooses against its key, keys that the token brings or points to, a claim of another type than its own.
//!
//! Source: RFC 7515 (compact serialization), RFC 7519, RFC 8725 (best practice), RFC 9068 (access tokens).

mod claims;
mod json;
mod key;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

pub use claims::Vouched;
pub use key::KeySetError;
pub use source::SourceError;

use crate::config::{Issuer, SignatureAlgorithm};
use source::Source;

/// Why a JWT was not taken: for the log and the audit, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JwtRefusal {
    /// It is none.
    #[error("no well-formed JWT")]
    Malformed,
    /// Its header asks for what is not understood.
    #[error("the JWT's header is not understood")]
    Header,
    /// Its issuer is not configured.
    #[error("the JWT is of an unknown issuer")]
    Issuer,
    /// Its algorithm is not one that is taken.
    #[error("the JWT's algorithm is not taken")]
    Algorithm,
    /// The issuer's keys could not be had.
    #[error("the keys of the JWT's issuer could not be had")]
    NoKeys,
    /// No key of the issuer's made the signature.
    #[error("the JWT's signature is wrong")]
    Signature,
    /// It is for somebody else.
    #[error("the JWT is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the JWT has expired")]
    Expired,
    /// Its time is longer than its issuer may give.
    #[error("the JWT is good for longer than its issuer's may be")]
    TooLong,
    /// It is for something else than logging in with it alone.
    #[error("the JWT is bound to a key, or a notice of a logout")]
    Kind,
    /// Its time has not begun.
    #[error("the JWT is not valid yet")]
    NotYet,
    /// A claim is missing or not of its type.
    #[error("the JWT's claim \"{0}\" is missing or makes no sense")]
    Claim(&'static str),
    /// It names nobody.
    #[error("the JWT names no principal")]
    NoName,
    /// The address it names was not verified.
    #[error("the JWT's e-mail address is not verified")]
    UnverifiedEmail,
    /// The issuer may not vouch for that name.
    #[error("the JWT's issuer may not vouch for names of that domain")]
    Domain,
}

/// Everybody whose JWTs are taken.
#[derive(Default)]
pub struct Issuers(Vec<One>);

struct One {
    issuer: Issuer,
    source: Arc<Source>,
}

impl Issuers {
    /// Of the settings. Keys are fetched when the first token needs them.
    pub fn new(issuers: &[Issuer]) -> Self {
        Self::default().renewed(issuers)
    }

    /// The same, with the keys that are held of issuers that stay as they were.
    pub fn renewed(&self, issuers: &[Issuer]) -> Self {
        let held = |issuer: &Issuer| self.0.iter().find(|one| one.issuer == *issuer).map(|one| Arc::clone(&one.source));
        let one =
            |issuer: &Issuer| One { source: held(issuer).unwrap_or_else(|| Arc::new(Source::new(issuer))), issuer: issuer.clone() };
        Self(issuers.iter().map(one).collect())
    }

    /// Whether what a client gave is to be read as a JWT.
    pub fn take(&self, given: &[u8]) -> bool {
        !self.0.is_empty() && given.starts_with(BEGINNING) && given.iter().filter(|byte| **byte == b'.').count() == 2
    }

    /// Whom the token vouches for at the time `now`.
    pub async fn verify(&self, given: &[u8], now: SystemTime) -> Result<Vouched, JwtRefusal> {
        let token = Compact::parse(given)?;
        let header = Header::read(&token.header)?;
        let Some(Value::String(named)) = token.claims.get("iss") else { return Err(JwtRefusal::Issuer) };
        let one = self.0.iter().find(|one| one.issuer.issuer == *named).ok_or(JwtRefusal::Issuer)?;
        let taken = one.issuer.algorithms.iter().copied().find(|algorithm| *algorithm == header.algorithm);
        let algorithm = taken.ok_or(JwtRefusal::Algorithm)?;
        let keys = one.source.keys(header.key).await.map_err(|_| JwtRefusal::NoKeys)?;
        if !keys.signed(header.key, algorithm, token.signed, &token.signature) {
            return Err(JwtRefusal::Signature);
        }
        claims::vouched(&one.issuer, &token.claims, super::hash(token.signed), now)
    }
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|one| &one.issuer.issuer)).finish()
    }
}

/// `{"` in base64url: how every JWT begins.
const BEGINNING: &[u8] = b"eyJ";

/// The three parts of a JWS in compact serialization.
struct Compact<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    fn parse(given: &'a [u8]) -> Result<Self, JwtRefusal> {
        let parts: Vec<&[u8]> = given.split(|byte| *byte == b'.').collect();
        let [header, claims, signature] = parts[..] else { return Err(JwtRefusal::Malformed) };
        let decoded = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtRefusal::Malformed);
        let object = |part: &[u8]| json::object(&decoded(part)?).ok_or(JwtRefusal::Malformed);
        let signed = given.get(..header.len() + 1 + claims.len()).ok_or(JwtRefusal::Malformed)?;
        Ok(Self { header: object(header)?, claims: object(claims)?, signed, signature: decoded(signature)? })
    }
}

/// What the header says that is of use. Keys that it brings (`jwk`, `x5c`) or points to (`jku`, `x5u`) are not looked at.
struct Header<'a> {
    algorithm: SignatureAlgorithm,
    key: Option<&'a str>,
}

impl<'a> Header<'a> {
    fn read(header: &'a Map<String, Value>) -> Result<Self, JwtRefusal> {
        // What must be understood is not; `b64` and `zip` would change what was signed.
        if ["crit", "b64", "zip", "enc"].iter().any(|name| header.contains_key(*name)) {
            return Err(JwtRefusal::Header);
        }
        match header.get("typ") {
            None => {}
            Some(Value::String(kind)) => {
                let kind = kind.to_ascii_lowercase();
                if !matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt") {
                    return Err(JwtRefusal::Header);
                }
            }
            Some(_) => return Err(JwtRefusal::Header),
        }
        let named = header.get("alg").and_then(Value::as_str).ok_or(JwtRefusal::Algorithm)?;
        let algorithm = SignatureAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == named);
        let key = match header.get("kid") {
            None => None,
            Some(Value::String(key)) => Some(key.as_str()),
            Some(_) => return Err(JwtRefusal::Header),
        };
        Ok(Self { algorithm: algorithm.ok_or(JwtRefusal::Algorithm)?, key })
    }
}
