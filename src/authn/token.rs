//! Personal access tokens: how they are made, and the only form in which they are kept.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What every token begins with, so that scanners of logs and repositories can find leaked ones.
pub const PREFIX: &str = "pgu_";

/// Random bytes in a token.
const RANDOM_BYTES: usize = 32;

/// The SHA-256 of a token's text: what is stored and looked up. A token has 256 random bits, so no slow hash is needed.
pub type TokenHash = [u8; 32];

/// The hash of whatever a client gave as its token, well-formed or not.
pub fn hash(given: &[u8]) -> TokenHash {
    Sha256::digest(given).into()
}

/// A fresh token. It is shown once; only [`Token::hash`] is kept.
pub struct Token(String);

impl Token {
    /// Makes a token from the operating system's randomness.
    pub fn mint() -> Self {
        let random: [u8; RANDOM_BYTES] = rand::random();
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)))
    }

    /// The text to show to the person who asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What to store.
    pub fn hash(&self) -> TokenHash {
        hash(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(pgu_…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_prefix_and_43_url_safe_characters() {
        let token = Token::mint();
        let random = token.expose().strip_prefix("pgu_").unwrap();
        assert_eq!(random.len(), 43);
        assert!(random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn no_two_tokens_are_alike() {
        assert_ne!(Token::mint().expose(), Token::mint().expose());
    }

    #[test]
    fn the_stored_hash_is_the_sha_256_of_the_text() {
        assert_eq!(hex::encode(hash(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let token = Token::mint();
        assert_eq!(token.hash(), hash(token.expose().as_bytes()));
    }

    #[test]
    fn a_token_does_not_print_itself() {
        let token = Token::mint();
        assert!(!format!("{token:?}").contains(&token.expose()[4..]));
    }
}
