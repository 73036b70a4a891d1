//! SASL OAUTHBEARER, as PostgreSQL 18 and its libpq speak it: the messages. Pure.
//!
//! Source: RFC 7628 sections 3.1 and 3.2, RFC 5801 section 4 (the header in front), PostgreSQL manual 54.3.2.

use std::ops::Range;

use crate::error::edge::Malformed;

/// The mechanism.
pub(super) const MECHANISM: &str = "OAUTHBEARER";

/// What ends each pair of the client's message, and the message.
const END: u8 = 1;

/// All that a client says after it was told why its token was not taken.
const NOTHING_MORE: [u8; 1] = [END];

/// Where in the client's message its token is; `None`: it has none and asks where to get one.
pub(super) fn token(message: &[u8]) -> Result<Option<Range<usize>>, Malformed> {
    // No channel binding ("p="), and no other name than the startup packet's ("a=").
    let header: &[u8] = match message {
        [b'n' | b'y', b',', b',', END, ..] => b"n,,\x01",
        _ => return Err(Malformed::Sasl),
    };
    let mut at = header.len();
    let mut found = None;
    loop {
        let rest = message.get(at..).unwrap_or_default();
        if rest == NOTHING_MORE {
            return found.ok_or(Malformed::Sasl);
        }
        let length = rest.iter().position(|byte| *byte == END).ok_or(Malformed::Sasl)?;
        let pair = rest.get(..length).unwrap_or_default();
        let split = pair.iter().position(|byte| *byte == b'=').filter(|split| *split > 0).ok_or(Malformed::Sasl)?;
        let (key, value) = (pair.get(..split).unwrap_or_default(), pair.get(split + 1..).unwrap_or_default());
        if !key.iter().all(u8::is_ascii_alphabetic) || !value.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
        {
            return Err(Malformed::Sasl);
        }
        if key == b"auth" {
            if found.is_some() {
                return Err(Malformed::Sasl);
            }
            found = Some(bearer(value)?.map(|within| at + split + 1 + within.start..at + split + 1 + within.end));
        }
        at += length + 1;
    }
}

/// Whether that is all that a client may say after a refusal.
pub(super) fn is_nothing_more(message: &[u8]) -> bool {
    message == NOTHING_MORE
}

/// `Bearer` in any case, spaces, and a token (RFC 6750 section 2.1); nothing at all for no token.
fn bearer(value: &[u8]) -> Result<Option<Range<usize>>, Malformed> {
    if value.is_empty() {
        return Ok(None);
    }
    let scheme = value.get(..SCHEME.len()).filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME)).ok_or(Malformed::Sasl)?.len();
    let spaces = value.iter().skip(scheme).take_while(|byte| **byte == b' ').count();
    let token = value.get(scheme + spaces..).unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if token.is_empty() || !token.iter().all(plain) { Err(Malformed::Sasl) } else { Ok(Some(scheme + spaces..value.len())) }
}

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> Result<Option<&str>, Malformed> {
        token(message.as_bytes()).map(|found| found.and_then(|range| message.get(range)))
    }

    #[test]
    fn the_token_is_found_among_the_pairs() {
        assert_eq!(of("n,,\x01auth=Bearer abc.d-e_f~+/=\x01\x01"), Ok(Some("abc.d-e_f~+/=")));
        assert_eq!(of("y,,\x01host=h\x01auth=bEARER   x\x01port=5432\x01\x01"), Ok(Some("x")));
        assert_eq!(of("n,,\x01auth=\x01\x01"), Ok(None), "where is a token to be had?");
    }

    #[test]
    fn whatever_else_is_malformed() {
        for message in [
            "",
            "n,,",
            "n,,\x01",
            "n,,\x01\x01",
            "p=tls-unique,,\x01auth=Bearer x\x01\x01",
            "n,a=bob,\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Bearer x\x01",
            "n,,\x01auth=Bearer x\x01\x01more",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Basic x\x01\x01",
            "n,,\x01auth=Bearerx\x01\x01",
            "n,,\x01auth=Bearer x y\x01\x01",
            "n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            "n,,\x01host=h\x01\x01",
            "n,,\x01=x\x01auth=Bearer x\x01\x01",
            "n,,\x01a1=x\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Bearer \u{e9}\x01\x01",
        ] {
            assert_eq!(of(message), Err(Malformed::Sasl), "{message:?}");
        }
    }
}
