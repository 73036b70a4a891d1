//! SCRAM-SHA-256, the client's side, towards upstream.
//!
//! In: upstream's messages, the password of our login, what the channel can be bound to. Out: our messages, and whether upstream knows the
//! password's verifier, too. Never: a login taken for good before upstream has shown that.
//!
//! Thousands of rounds of hashing make the keys of a password. They stay the same while upstream names the same salt, so they are
//! [kept](Keys), as RFC 5802 section 3 allows: with them one can log in to this upstream as this login, which its password, in memory anyway, is good for, too.
//!
//! Source: RFC 5802, RFC 7677, RFC 5929 section 4; PostgreSQL manual 54.3.1 and `fe-auth-scram.c`.

use std::io;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::pbkdf2;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::config::Password;

/// Upstream names the number of rounds; more than that would let one that is not ours keep us busy.
const MOST_ITERATIONS: u32 = 100_000;

/// The random bytes of our part of the nonce, as in PostgreSQL.
const NONCE: usize = 18;

type Key = Zeroizing<[u8; 32]>;

/// What the channel is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// Nothing: there is no TLS.
    Unsupported,
    /// Nothing, though we could: upstream did not offer to.
    Unrequested,
    /// The hash of upstream's certificate.
    EndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Binding::Unsupported => "n,,",
            Binding::Unrequested => "y,,",
            Binding::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    fn encoded(&self) -> String {
        let bound: &[u8] = match self {
            Binding::Unsupported | Binding::Unrequested => &[],
            Binding::EndPoint(hash) => hash,
        };
        STANDARD.encode([self.header().as_bytes(), bound].concat())
    }
}

/// The keys of one login's password, by the salt that upstream named last. Overwritten when others take their place.
#[derive(Default)]
pub(super) struct Keys(Mutex<Option<Derived>>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    fn of(&self, salt: &[u8], iterations: NonZeroU32) -> Option<Derived> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|kept| kept.salt == salt && kept.iterations == iterations).cloned()
    }

    fn keep(&self, keys: Derived) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
    }
}

#[derive(Clone)]
struct Derived {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    client: Key,
    server: Key,
}

impl Derived {
    fn of(password: &Password, salt: &[u8], iterations: NonZeroU32) -> Option<Self> {
        // As PostgreSQL does: what SASLprep does not take is taken as it is.
        let prepared = stringprep::saslprep(password.reveal()).map(|text| Zeroizing::new(text.into_owned()));
        let text = prepared.as_ref().map_or(password.reveal(), |text| text.as_str());
        let mut salted = Key::default();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, text.as_bytes(), &mut salted[..]);
        let client = sign(&salted[..], b"Client Key")?;
        let server = sign(&salted[..], b"Server Key")?;
        salted.zeroize();
        Some(Self { salt: salt.to_owned(), iterations, client, server })
    }

    /// What shows upstream that we know the password.
    fn proof(&self, said: &str) -> Option<[u8; 32]> {
        let signature = sign(&Sha256::digest(&self.client[..]), said.as_bytes())?;
        let mut proof = [0; 32];
        for ((byte, key), masked) in proof.iter_mut().zip(self.client.iter()).zip(signature.iter()) {
            *byte = key ^ masked;
        }
        Some(proof)
    }
}

/// An exchange that has begun.
pub(super) struct Opened {
    binding: Binding,
    nonce: String,
}

impl Opened {
    /// With a nonce of the operating system's randomness.
    pub(super) fn new(binding: Binding) -> Self {
        Self { binding, nonce: STANDARD.encode(rand::random::<[u8; NONCE]>()) }
    }

    /// Our first message. Who logs in is said by the startup packet.
    pub(super) fn message(&self) -> String {
        format!("{}{}", self.binding.header(), self.bare())
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Answers upstream's challenge.
    pub(super) fn answer(&self, challenge: &[u8], password: &Password, keys: &Keys) -> io::Result<Answered> {
        let challenge = text(challenge)?;
        let mut parts = challenge.split(',');
        let mut part =
            |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(|| wrong("malformed challenge"));
        let (nonce, salt, iterations) = (part("r=")?, part("s=")?, part("i=")?);
        if nonce.strip_prefix(&*self.nonce).is_none_or(str::is_empty) {
            return Err(wrong("another nonce than ours"));
        }
        let salt = STANDARD.decode(salt).map_err(|_| wrong("malformed salt"))?;
        let iterations = iterations.parse().ok().filter(|count: &NonZeroU32| count.get() <= MOST_ITERATIONS);
        let iterations = iterations.ok_or_else(|| wrong("a number of iterations that is not taken"))?;
        let derived = match keys.of(&salt, iterations) {
            Some(derived) => derived,
            None => Derived::of(password, &salt, iterations).ok_or_else(|| wrong("no key"))?,
        };
        let without_proof = format!("c={},r={nonce}", self.binding.encoded());
        let said = format!("{},{challenge},{without_proof}", self.bare());
        let proof = derived.proof(&said).ok_or_else(|| wrong("no key"))?;
        Ok(Answered { message: format!("{without_proof},p={}", STANDARD.encode(proof)), said, derived })
    }
}

/// An exchange in which upstream has yet to show that it knows us.
pub(super) struct Answered {
    message: String,
    said: String,
    derived: Derived,
}

impl Answered {
    /// Our second message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Checks upstream's last word. Keys are kept only if it is good: what another names as its salt takes the place of nothing.
    pub(super) fn finish(self, last: &[u8], keys: &Keys) -> io::Result<()> {
        let last = text(last)?;
        if let Some(error) = last.strip_prefix("e=") {
            return Err(io::Error::other(format!("upstream refused: {error}")));
        }
        let shown = last.split(',').next().and_then(|part| part.strip_prefix("v=")).and_then(|part| STANDARD.decode(part).ok());
        let expected = sign(&self.derived.server[..], self.said.as_bytes());
        let (Some(shown), Some(expected)) = (shown, expected) else { return Err(wrong("malformed last message")) };
        if !bool::from(shown.ct_eq(&expected[..])) {
            return Err(wrong("upstream does not know the password's verifier"));
        }
        keys.keep(self.derived);
        Ok(())
    }
}

fn sign(key: &[u8], message: &[u8]) -> Option<Key> {
    // Any length of key is taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(Key::new(mac.finalize().into_bytes().into()))
}

fn text(message: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(message).map_err(|_| wrong("a message that is no text"))
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::scram::{First, Known, Verifier};

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    /// Logs in to a server that has this verifier; what either side makes of the other.
    fn meet(verifier: &Verifier, password: &str, keys: &Keys, binding: Binding) -> (bool, io::Result<()>) {
        let end_point = match &binding {
            Binding::EndPoint(hash) => Some(hash.clone()),
            Binding::Unsupported | Binding::Unrequested => None,
        };
        let opened = Opened::new(binding);
        let first = First::read(opened.message().as_bytes(), end_point.is_some(), end_point.as_deref()).unwrap();
        let challenge = first.challenge(Known { verifier: Some(("7".into(), verifier.clone())), mock_salt: [0; 16] });
        let answered = opened.answer(challenge.message().as_bytes(), &Password::new(password), keys).unwrap();
        let theirs = challenge.answered(answered.message().as_bytes()).unwrap();
        (theirs.token.is_some(), answered.finish(theirs.message.as_bytes(), keys))
    }

    #[test]
    fn the_proof_and_the_answer_to_it_are_those_of_rfc_7677() {
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let iterations = NonZeroU32::new(4096).unwrap();
        let derived = Derived::of(&Password::new("pencil"), &STANDARD.decode(SALT).unwrap(), iterations).unwrap();
        assert_eq!(STANDARD.encode(derived.proof(said).unwrap()), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let last = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        let answered = || Answered { message: String::new(), said: said.to_owned(), derived: derived.clone() };
        assert!(answered().finish(last, &Keys::default()).is_ok());
        assert!(answered().finish(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", &Keys::default()).is_err());
        assert!(answered().finish(b"e=invalid-proof", &Keys::default()).is_err());
        assert!(answered().finish(b"v=", &Keys::default()).is_err());
    }

    #[test]
    fn our_own_server_takes_it_with_each_binding_and_whatever_is_in_the_password() {
        for binding in [Binding::Unsupported, Binding::Unrequested, Binding::EndPoint(vec![7; 32])] {
            for password in ["pencil", "ﬁrst\u{ad} höhe", "\u{7}bell"] {
                let verifier = Verifier::of(password).unwrap();
                let (known, knows) = meet(&verifier, password, &Keys::default(), binding.clone());
                assert!(known && knows.is_ok(), "{binding:?} {password:?}");
            }
        }
    }

    #[test]
    fn keys_are_derived_once_for_a_salt() {
        let (verifier, keys) = (Verifier::of("pencil").unwrap(), Keys::default());
        assert!(meet(&verifier, "pencil", &keys, Binding::Unsupported).0);
        // Nothing is derived of this one, or it would not be taken.
        let (known, knows) = meet(&verifier, "another", &keys, Binding::Unsupported);
        assert!(known && knows.is_ok());
        let salted_anew = Verifier::of("pencil").unwrap();
        assert!(meet(&salted_anew, "pencil", &keys, Binding::Unsupported).0);
        assert!(!meet(&verifier, "another", &keys, Binding::Unsupported).0, "the keys of one salt are kept");
    }

    #[test]
    fn keys_are_not_kept_for_an_upstream_that_does_not_know_the_password() {
        let (verifier, keys) = (Verifier::of("pencil").unwrap(), Keys::default());
        let (known, knows) = meet(&verifier, "another", &keys, Binding::Unsupported);
        assert!(!known && knows.is_err());
        assert!(keys.0.lock().unwrap().is_none());
    }

    #[test]
    fn a_challenge_that_is_none_is_refused_before_anything_is_derived() {
        let opened = Opened { binding: Binding::Unsupported, nonce: "abc".to_owned() };
        let answer = |challenge: &str| opened.answer(challenge.as_bytes(), &Password::new("pencil"), &Keys::default());
        assert!(answer(&format!("r=abcd,s={SALT},i=4096")).is_ok());
        for challenge in [
            "",
            "r=abc,s=AAAA,i=4096",
            "r=xabcd,s=AAAA,i=4096",
            "r=abcd,s=?,i=4096",
            "r=abcd,s=AAAA,i=0",
            "r=abcd,s=AAAA,i=100001",
            "r=abcd,s=AAAA,i=-1",
            "r=abcd,s=AAAA",
            "m=x,r=abcd,s=AAAA,i=4096",
        ] {
            assert!(answer(challenge).is_err(), "{challenge}");
        }
    }
}
