//! SCRAM-SHA-256, the server's side: verifiers, and the exchange as PostgreSQL speaks it. Pure; the primitives are crates'.
//!
//! In: the client's messages, the verifier of whom it names, what its channel can be bound to. Out: our messages, and whether the client knows
//! the password. Never: the password; another length of message, or other work, for who has no verifier than for who has one.
//!
//! Source: RFC 5802, RFC 7677, RFC 5929 section 4; PostgreSQL manual 54.3.1 and `auth-scram.c`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The mechanism without and with channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The latter.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// PostgreSQL's own number. Verifiers of another one are not taken: by it an account would be told from a name that does not exist.
const ITERATIONS: u32 = 4096;

/// The bytes of a salt, PostgreSQL's, for the same reason.
const SALT: usize = 16;

/// The random bytes of our part of the nonce, as in PostgreSQL.
const NONCE: usize = 18;

/// The one channel binding that there is.
const BINDING: &str = "tls-server-end-point";

type Hash = [u8; 32];

/// What is kept of a password: enough to check it, not to guess it fast, nor to log in elsewhere with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    salt: [u8; SALT],
    stored_key: Hash,
    server_key: Hash,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(SCRAM-SHA-256$…)")
    }
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the way PostgreSQL writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(SCRAM_SHA_256)?.strip_prefix('$')?;
        let (salted, keys) = rest.split_once('$')?;
        let (iterations, salt) = salted.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        if iterations != ITERATIONS.to_string() {
            return None;
        }
        Some(Self { salt: exact(salt)?, stored_key: exact(stored_key)?, server_key: exact(server_key)? })
    }

    /// The verifier of a password made by us: plain ASCII, which SASLprep leaves as it is.
    pub fn of(password: &str) -> Option<Self> {
        Self::parse(&postgres_protocol::password::scram_sha_256(password.as_bytes()))
    }

    /// What to store.
    pub fn text(&self) -> String {
        let Self { salt, stored_key, server_key } = self;
        let [salt, stored_key, server_key] = [&salt[..], stored_key, server_key].map(|bytes| STANDARD.encode(bytes));
        format!("{SCRAM_SHA_256}${ITERATIONS}:{salt}${stored_key}:{server_key}")
    }

    /// What stands in for the verifier of who has none; no password is its.
    fn mock(salt: [u8; SALT]) -> Self {
        Self { salt, stored_key: [0; 32], server_key: [0; 32] }
    }
}

fn exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// What is known of the one that a client names.
#[derive(Clone, Debug)]
pub struct Known {
    /// The credential's id and its verifier, where there is one.
    pub verifier: Option<(std::sync::Arc<str>, Verifier)>,
    /// The salt to give where there is none: always the same for a name, on every proxy of the store.
    pub mock_salt: [u8; SALT],
}

/// Why an exchange has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// A message that makes no sense here.
    #[error("malformed SCRAM message")]
    Malformed,
    /// The client believes that there is no channel binding here, and there is: somebody in between took it out.
    #[error("SCRAM channel binding negotiation error")]
    Downgrade,
    /// The client is bound to another channel than ours: somebody stands in between.
    #[error("SCRAM channel binding check failed")]
    Binding,
}

/// The client's first message, by which it is known what it binds to.
#[derive(Debug)]
pub struct First<'a> {
    header: String,
    bare: String,
    nonce: String,
    bound: Option<&'a [u8]>,
}

impl<'a> First<'a> {
    /// Reads it. `plus`: the mechanism that the client chose binds; `end_point`: what it can bind to here, and then that mechanism was offered.
    pub fn read(message: &[u8], plus: bool, end_point: Option<&'a [u8]>) -> Result<Self, ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let (flag, rest) = message.split_once(',').ok_or(ScramError::Malformed)?;
        let (authorization, bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
        // Who is meant is said by the startup packet.
        if !authorization.is_empty() {
            return Err(ScramError::Malformed);
        }
        let bound = match (flag, plus, end_point) {
            ("n", false, _) | ("y", false, None) => None,
            ("y", false, Some(_)) => return Err(ScramError::Downgrade),
            (_, true, Some(end_point)) if flag.strip_prefix("p=") == Some(BINDING) => Some(end_point),
            _ => return Err(ScramError::Malformed),
        };
        // A name is there and is not looked at; an extension that must be understood (`m=`) stands before it and is not.
        let mut parts = bare.split(',');
        let named = parts.next().is_some_and(|part| part.starts_with("n="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).filter(|nonce| is_nonce(nonce));
        match nonce {
            Some(nonce) if named => Ok(Self { header: format!("{flag},,"), bare: bare.to_owned(), nonce: nonce.to_owned(), bound }),
            Some(_) | None => Err(ScramError::Malformed),
        }
    }

    /// The challenge for it, by what is known of the one that the startup packet names.
    pub fn challenge(self, known: Known) -> Challenge<'a> {
        let random: [u8; NONCE] = rand::random();
        self.challenge_by(known, &STANDARD.encode(random))
    }

    fn challenge_by(self, known: Known, ours: &str) -> Challenge<'a> {
        let Known { verifier, mock_salt } = known;
        let (token, verifier) = match verifier {
            Some((token, verifier)) => (Some(token), verifier),
            None => (None, Verifier::mock(mock_salt)),
        };
        let nonce = format!("{}{ours}", self.nonce);
        let message = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(verifier.salt));
        Challenge { first: self, nonce, message, token, verifier }
    }
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What the client is asked to prove.
#[derive(Debug)]
pub struct Challenge<'a> {
    first: First<'a>,
    nonce: String,
    message: String,
    token: Option<std::sync::Arc<str>>,
    verifier: Verifier,
}

/// What a client has shown that answered a challenge.
#[derive(Debug)]
pub struct Answered {
    /// The credential whose password it knows, if it knows one.
    pub token: Option<std::sync::Arc<str>>,
    /// The message that shows it that we know the verifier; to be sent only where it is let in.
    pub message: String,
}

impl Challenge<'_> {
    /// Our message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Checks the client's answer. A wrong password is no error here: who has none is answered in the same way.
    pub fn answered(self, message: &[u8]) -> Result<Answered, ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let proof: Hash = exact(proof).ok_or(ScramError::Malformed)?;
        let mut parts = without_proof.split(',');
        let bound = parts.next().and_then(|part| part.strip_prefix("c=")).ok_or(ScramError::Malformed)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(ScramError::Malformed)?;
        if nonce != self.nonce {
            return Err(ScramError::Malformed);
        }
        let expected = [self.first.header.as_bytes(), self.first.bound.unwrap_or_default()].concat();
        if bound != STANDARD.encode(expected) {
            return Err(ScramError::Binding);
        }
        let said = format!("{},{},{without_proof}", self.first.bare, self.message);
        let signature = signed(&self.verifier.stored_key, said.as_bytes()).ok_or(ScramError::Malformed)?;
        let mut client_key: Hash = [0; 32];
        for ((byte, proved), masked) in client_key.iter_mut().zip(proof).zip(signature) {
            *byte = proved ^ masked;
        }
        let knows = bool::from(Sha256::digest(client_key).ct_eq(&self.verifier.stored_key));
        let ours = signed(&self.verifier.server_key, said.as_bytes()).ok_or(ScramError::Malformed)?;
        Ok(Answered { token: self.token.filter(|_| knows), message: format!("v={}", STANDARD.encode(ours)) })
    }
}

fn signed(key: &Hash, text: &[u8]) -> Option<Hash> {
    // Any length of key is taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests;
