//! The frames of SASL, whatever the mechanism. Pure.
//!
//! Source: PostgreSQL manual 54.2.2 and 54.3.

use std::ops::Range;

use bytes::{Buf, BufMut, BytesMut};

use crate::error::edge::Malformed;
use crate::wire::frame::{self, take_text};

/// Writes AuthenticationSASL with these mechanisms alone, the preferred one first.
pub(super) fn write_ask(out: &mut BytesMut, mechanisms: &[&str]) {
    frame::write(out, b'R', |b| {
        b.put_i32(10);
        for mechanism in mechanisms {
            b.put_slice(mechanism.as_bytes());
            b.put_u8(0);
        }
        b.put_u8(0);
    });
}

/// Writes AuthenticationSASLContinue.
pub(super) fn write_challenge(out: &mut BytesMut, data: &[u8]) {
    write(out, 11, data);
}

/// Writes AuthenticationSASLFinal.
pub(super) fn write_final(out: &mut BytesMut, data: &[u8]) {
    write(out, 12, data);
}

fn write(out: &mut BytesMut, code: i32, data: &[u8]) {
    frame::write(out, b'R', |b| {
        b.put_i32(code);
        b.put_slice(data);
    });
}

/// Which of the mechanisms that were offered a SASLInitialResponse is of, and where in its body the client's first message is; `None`: it
/// waits for a challenge.
pub(super) fn initial(body: &[u8], offered: &[&str]) -> Result<(usize, Option<Range<usize>>), Malformed> {
    let mut rest = body;
    let named = take_text(&mut rest).map_err(|_| Malformed::Sasl)?;
    let mechanism = offered.iter().position(|mechanism| *mechanism == named).ok_or(Malformed::Mechanism)?;
    if rest.len() < 4 {
        return Err(Malformed::Sasl);
    }
    let length = rest.get_i32();
    let at = body.len() - rest.len();
    match usize::try_from(length) {
        Ok(length) if length == rest.len() => Ok((mechanism, Some(at..body.len()))),
        Err(_) if length == -1 && rest.is_empty() => Ok((mechanism, None)),
        Ok(_) | Err(_) => Err(Malformed::Sasl),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &[u8]) -> Result<(usize, Option<Range<usize>>), Malformed> {
        initial(body, &["OAUTHBEARER", "SCRAM-SHA-256"])
    }

    #[test]
    fn the_first_message_names_the_mechanism_and_its_own_length() {
        let body = |name: &str, length: i32, data: &str| [name.as_bytes(), &[0], &length.to_be_bytes(), data.as_bytes()].concat();
        assert_eq!(found(&body("OAUTHBEARER", 3, "abc")), Ok((0, Some(16..19))));
        assert_eq!(found(&body("OAUTHBEARER", -1, "")), Ok((0, None)));
        assert_eq!(found(&body("SCRAM-SHA-256", 3, "abc")), Ok((1, Some(18..21))));
        assert_eq!(found(&body("SCRAM-SHA-1", 3, "abc")), Err(Malformed::Mechanism));
        for wrong in [
            body("OAUTHBEARER", 4, "abc"),
            body("OAUTHBEARER", 2, "abc"),
            body("OAUTHBEARER", -1, "abc"),
            body("OAUTHBEARER", -2, ""),
        ] {
            assert_eq!(found(&wrong), Err(Malformed::Sasl));
        }
        assert_eq!(found(b"OAUTHBEARER\0\0"), Err(Malformed::Sasl));
        assert_eq!(found(b"OAUTHBEARER"), Err(Malformed::Sasl));
    }
}
