//! The chain: each record carries its number and a hash over the hash before it and its own bytes.
//!
//! A record is one line of JSON that ends in `,"hash":"<64 hex digits>"}`. What is hashed is the hash before it, as 32 bytes, and the
//! line up to that ending. With a key the hash is an HMAC: who can write the file but has not the key cannot make the chain anew.

use std::fmt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What a record hashes to.
pub type Hash = [u8; 32];

/// The key of a chain; it does not print.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Reads a key file: its bytes, without the line break at the end.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let bytes = bytes.trim_ascii_end();
        if bytes.len() < LEAST_KEY {
            return Err(format!("{}: a key has at least {LEAST_KEY} bytes", path.display()));
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// The hash of a record behind another.
pub fn hash(key: Option<&Key>, before: &Hash, body: &[u8]) -> Hash {
    match key {
        Some(Key(mac)) => mac.clone().chain_update(before).chain_update(body).finalize().into_bytes().into(),
        None => Sha256::new().chain_update(before).chain_update(body).finalize().into(),
    }
}

/// Where a chain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The number of the last record; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Link {
    /// Ends a record that begins at a byte of the lines: what is there is a JSON object without its closing brace.
    pub fn seal(&mut self, key: Option<&Key>, lines: &mut Vec<u8>, start: usize) {
        self.hash = hash(key, &self.hash, lines.get(start..).unwrap_or_default());
        let mut digits = [0; 64];
        let _ = hex::encode_to_slice(self.hash, &mut digits);
        lines.extend_from_slice(BEFORE_HASH);
        lines.extend_from_slice(&digits);
        lines.extend_from_slice(b"\"}\n");
    }

    /// The end of the chain in words, for the file beside the records.
    pub(super) fn head(&self, key: Option<&Key>) -> String {
        let (sequence, at) = (self.sequence, hex::encode(self.hash));
        let proof = hex::encode(hash(key, &self.hash, format!("head {sequence:020}").as_bytes()));
        format!("{{\"sequence\":\"{sequence:020}\",\"at\":\"{at}\",\"hash\":\"{proof}\"}}\n")
    }

    /// The same read back; `None` if it was not made with this key.
    pub(super) fn from_head(text: &str, key: Option<&Key>) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let field = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
        let mut hash = Hash::default();
        hex::decode_to_slice(field("at")?, &mut hash).ok()?;
        let head = Self { sequence: field("sequence")?.parse().ok()?, hash };
        (head.head(key).trim_end() == text.trim_end()).then_some(head)
    }
}

/// A line taken apart: what was hashed, and the hash it carries.
pub fn parts(line: &[u8]) -> Option<(&[u8], Hash)> {
    let body = line.len().checked_sub(BEFORE_HASH.len() + 64 + 2)?;
    let digits = line.get(body..)?.strip_prefix(BEFORE_HASH)?.strip_suffix(b"\"}")?;
    let mut hash = Hash::default();
    hex::decode_to_slice(digits, &mut hash).ok()?;
    Some((line.get(..body)?, hash))
}

const BEFORE_HASH: &[u8] = b",\"hash\":\"";

const LEAST_KEY: usize = 16;
