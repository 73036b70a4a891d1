//! Public keys of issuers (JWK sets) and signatures checked with them; the mathematics is `ring`'s.
//!
//! Which kind of key it is decides which algorithms it can be used for, never the token: an RSA key is no shared secret.
//!
//! Source: RFC 7517 (JWK), RFC 7518 section 6 (parameters of keys), RFC 8037 (Ed25519).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

use super::json;
use crate::config::SignatureAlgorithm as Algorithm;

/// The public keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

/// Why a JWK set was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The text is no JWK set.
    #[error("no JWK set")]
    NoSet,
    /// It holds a private key: whoever reads it can sign, so none of it is believed.
    #[error("a private key among the keys")]
    Private,
    /// None of its keys can be used.
    #[error("no key that can be used for signatures")]
    Empty,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The one algorithm that it says it is for.
    only: Option<String>,
    public: Public,
}

enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl std::fmt::Debug for Public {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Public::Rsa { .. } => "RSA",
            Public::P256(_) => "P-256",
            Public::P384(_) => "P-384",
            Public::Ed25519(_) => "Ed25519",
        })
    }
}

/// How many keys a token without key id is tried with.
const MOST_TRIED: usize = 8;

impl KeySet {
    /// Reads a JWK set. Keys that are for something else or of a kind that is not known are left out.
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        let set = json::object(text).ok_or(KeySetError::NoSet)?;
        let Some(Value::Array(keys)) = set.get("keys") else { return Err(KeySetError::NoSet) };
        let mut found = Vec::new();
        for key in keys {
            let Value::Object(key) = key else { return Err(KeySetError::NoSet) };
            // "d" is the private part of every kind, "k" a shared secret.
            if key.contains_key("d") || key.contains_key("k") {
                return Err(KeySetError::Private);
            }
            found.extend(Key::read(key));
        }
        if found.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(found)) }
    }

    /// Whether a key has this id. Without an id any may be it.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.0.iter().any(|key| key.id.as_deref() == Some(id)))
    }

    /// Whether one of the keys with this id (of all, without an id) made the signature.
    pub(super) fn signed(&self, id: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let of_that_id = self.0.iter().filter(|key| id.is_none() || key.id.as_deref() == id);
        of_that_id.filter(|key| key.fits(algorithm)).take(MOST_TRIED).any(|key| key.public.made(algorithm, message, signature))
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops")
            && !operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
        {
            return None;
        }
        let public = match (text("kty")?, text("crv")) {
            ("RSA", _) => Public::Rsa { n: unsigned(bytes("n")?), e: unsigned(bytes("e")?) },
            ("EC", Some("P-256")) => Public::P256(point(bytes("x")?, bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Public::P384(point(bytes("x")?, bytes("y")?, 48)?),
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        Some(Self { id: text("kid").map(str::to_owned), only: text("alg").map(str::to_owned), public })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.only.as_deref().is_none_or(|only| only == algorithm.as_str())
    }
}

impl Public {
    fn made(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Public::Rsa { n, e } => {
                let Some(parameters) = rsa(algorithm) else { return false };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            Public::P256(point) if algorithm == Algorithm::Es256 => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Public::P384(point) if algorithm == Algorithm::Es384 => {
                UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            Public::Ed25519(key) if algorithm == Algorithm::EdDsa => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature).is_ok()
            }
            Public::P256(_) | Public::P384(_) | Public::Ed25519(_) => false,
        }
    }
}

/// RSA of 2,048 bits and more; shorter keys are refused.
fn rsa(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

/// A number without leading zero bytes, as `ring` wants it; some issuers write them.
fn unsigned(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.into_iter().skip(zeros).collect()
}

/// An uncompressed point (SEC 1 section 2.3.3).
fn point(x: Vec<u8>, y: Vec<u8>, size: usize) -> Option<Vec<u8>> {
    (x.len() == size && y.len() == size).then(|| [vec![4], x, y].concat())
}
