//! Startup packets: the untagged ones that come before everything else. Pure.
//!
//! Source: PostgreSQL manual 54.2.1 and 54.7; `ProcessStartupPacket` in `backend_startup.c`.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::edge::{Malformed, StartupError};
use crate::wire::frame::{self, FrameError, put_text, take_text};

/// The bytes of the length in front of a packet, which counts itself.
pub(super) const LENGTH: usize = 4;

/// The most bytes behind the length (`MAX_STARTUP_PACKET_LENGTH`).
pub(super) const MAX_BODY: usize = 10_000;

/// The newest minor of protocol 3 that we speak.
pub(super) const NEWEST_MINOR: u16 = 2;

/// The first byte of a TLS record with a handshake: no startup packet's length begins so.
pub(super) const TLS_HANDSHAKE: u8 = 0x16;

/// The code that stands where a version would: major 1234 and these minors.
const REQUEST_MAJOR: u16 = 1234;
const CANCEL: u16 = 5678;
const TLS: u16 = 5679;
const GSS: u16 = 5680;

/// A secret has at least the 4 bytes of protocol 3.0, and at most what PostgreSQL takes (`MAX_CANCEL_KEY_LENGTH`).
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 4..=256;

/// The prefix of protocol options, which are no settings.
const PROTOCOL_OPTION: &str = "_pq_.";

/// A startup packet, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// SSLRequest.
    Tls,
    /// GSSENCRequest.
    Gss,
    /// CancelRequest.
    Cancel {
        /// Our process id.
        process_id: i32,
        /// The secret that goes with it.
        secret: Bytes,
    },
    /// StartupMessage.
    Startup(Startup),
}

/// A StartupMessage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Startup {
    /// The minor to speak: the client's, or ours if that is older.
    pub minor: u16,
    /// What NegotiateProtocolVersion must say, if it must be sent.
    pub negotiate: Option<Negotiate>,
    /// The parameters in their order.
    pub parameters: Vec<(String, String)>,
}

/// The parts of a NegotiateProtocolVersion message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Negotiate {
    minor: u16,
    unknown: Vec<String>,
}

/// Checks a packet's length as declared and gives the bytes of its body.
pub(super) fn body_length(declared: [u8; LENGTH]) -> Result<usize, Malformed> {
    let declared = u32::from_be_bytes(declared) as usize;
    declared.checked_sub(LENGTH).filter(|body| (4..=MAX_BODY).contains(body)).ok_or(Malformed::Length)
}

/// Decodes a packet's body.
pub(super) fn decode(body: &[u8]) -> Result<Packet, StartupError> {
    let [a, b, c, d, rest @ ..] = body else { return Err(StartupError::Malformed(Malformed::Length)) };
    let (major, minor) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    match (major, minor) {
        (REQUEST_MAJOR, TLS) => without_body(rest, Packet::Tls),
        (REQUEST_MAJOR, GSS) => without_body(rest, Packet::Gss),
        (REQUEST_MAJOR, CANCEL) => decode_cancel(rest).map_err(StartupError::Malformed),
        (3, minor) => decode_startup(minor, rest).map(Packet::Startup).map_err(StartupError::Malformed),
        (major, minor) => Err(StartupError::Version { major, minor }),
    }
}

fn without_body(rest: &[u8], packet: Packet) -> Result<Packet, StartupError> {
    if rest.is_empty() { Ok(packet) } else { Err(StartupError::Malformed(Malformed::Length)) }
}

fn decode_cancel(rest: &[u8]) -> Result<Packet, Malformed> {
    let (process_id, secret) = rest.split_first_chunk::<4>().ok_or(Malformed::CancelLength)?;
    if SECRET_LENGTHS.contains(&secret.len()) {
        Ok(Packet::Cancel { process_id: i32::from_be_bytes(*process_id), secret: Bytes::copy_from_slice(secret) })
    } else {
        Err(Malformed::CancelLength)
    }
}

fn decode_startup(asked: u16, mut rest: &[u8]) -> Result<Startup, Malformed> {
    let mut parameters = Vec::new();
    let mut unknown = Vec::new();
    loop {
        let name = take_text(&mut rest).map_err(malformed)?;
        if name.is_empty() {
            break;
        }
        let value = take_text(&mut rest).map_err(malformed)?;
        if name.starts_with(PROTOCOL_OPTION) {
            unknown.push(name.to_owned());
        } else {
            parameters.push((name.to_owned(), value.to_owned()));
        }
    }
    if !rest.is_empty() {
        return Err(Malformed::Layout);
    }
    let minor = asked.min(NEWEST_MINOR);
    let negotiate = (asked > NEWEST_MINOR || !unknown.is_empty()).then_some(Negotiate { minor, unknown });
    Ok(Startup { minor, negotiate, parameters })
}

fn malformed(error: FrameError) -> Malformed {
    match error {
        FrameError::Length | FrameError::Format => Malformed::Layout,
        FrameError::Encoding => Malformed::Encoding,
    }
}

impl Negotiate {
    /// Writes NegotiateProtocolVersion.
    pub(super) fn write(&self, out: &mut BytesMut) {
        frame::write(out, b'v', |b| {
            b.put_u16(3);
            b.put_u16(self.minor);
            b.put_u32(u32::try_from(self.unknown.len()).unwrap_or(u32::MAX));
            for option in &self.unknown {
                put_text(b, option);
            }
        });
    }
}

/// The parameters that are not settings, taken out of the rest. Of two with one name the later counts, as in PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub user: Option<String>,
    pub database: Option<String>,
    pub options: Option<String>,
    pub replication: Option<String>,
    pub settings: BTreeMap<String, String>,
}

impl Startup {
    /// Sorts the parameters.
    pub(super) fn named(self) -> Named {
        let mut named = Named::default();
        for (name, value) in self.parameters {
            match name.as_str() {
                "user" => named.user = Some(value),
                "database" => named.database = Some(value),
                "options" => named.options = Some(value),
                "replication" => named.replication = Some(value),
                _ => {
                    named.settings.insert(name, value);
                }
            }
        }
        named
    }
}

impl Named {
    /// Whether a replication connection is asked for. What is no plain "no" counts as a yes.
    pub(super) fn wants_replication(&self) -> bool {
        let no = |value: &str| ["false", "off", "no", "0", "f", "n"].iter().any(|no| value.eq_ignore_ascii_case(no));
        self.replication.as_deref().is_some_and(|value| !no(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(version: u32, parameters: &[u8]) -> Result<Packet, StartupError> {
        decode(&[&version.to_be_bytes(), parameters].concat())
    }

    fn good(version: u32, parameters: &[u8]) -> Startup {
        match startup(version, parameters) {
            Ok(Packet::Startup(startup)) => startup,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_anything_is_read() {
        for declared in [0u32, 3, 4, 7, 10_005, 0x7fff_ffff, 0xffff_ffff] {
            assert_eq!(body_length(declared.to_be_bytes()), Err(Malformed::Length), "{declared}");
        }
        assert_eq!(body_length(8u32.to_be_bytes()), Ok(4));
        assert_eq!(body_length(10_004u32.to_be_bytes()), Ok(10_000));
    }

    #[test]
    fn parameters_come_out_in_their_order_and_sorted() {
        let packet = good(196_608, b"user\0a\0database\0d\0TimeZone\0UTC\0user\0b\0\0");
        assert_eq!(packet.negotiate, None);
        let named = packet.named();
        assert_eq!((named.user.as_deref(), named.database.as_deref()), (Some("b"), Some("d")));
        assert_eq!(named.settings.get("TimeZone").map(String::as_str), Some("UTC"));
    }

    #[test]
    fn a_packet_must_end_with_its_terminator() {
        for broken in [&b""[..], b"user", b"user\0", b"user\0a", b"user\0a\0", b"user\0a\0\0x", b"user\0a\0\0\0"] {
            assert!(matches!(startup(196_608, broken), Err(StartupError::Malformed(Malformed::Layout))), "{broken:?}");
        }
    }

    #[test]
    fn parameters_must_be_utf_8() {
        assert!(matches!(startup(196_608, b"user\0\xff\0\0"), Err(StartupError::Malformed(Malformed::Encoding))));
    }

    #[test]
    fn higher_minors_and_protocol_options_are_negotiated_and_not_refused() {
        assert_eq!(good(196_609, b"user\0a\0\0").negotiate, None);
        assert_eq!(good(196_610, b"user\0a\0\0").minor, 2);
        let packet = good(196_608 + 9999, b"user\0a\0_pq_.x\0on\0\0");
        assert_eq!(packet.minor, 2);
        assert_eq!(packet.parameters.len(), 1);
        let mut out = BytesMut::new();
        packet.negotiate.unwrap().write(&mut out);
        assert_eq!(&out[..], b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
        let packet = good(196_608, b"_pq_.y\0on\0\0");
        assert_eq!(packet.negotiate, Some(Negotiate { minor: 0, unknown: vec!["_pq_.y".into()] }));
    }

    #[test]
    fn other_majors_are_named_in_the_refusal() {
        assert!(matches!(startup(0x0002_0000, b""), Err(StartupError::Version { major: 2, minor: 0 })));
        assert!(matches!(startup(0x04d2_1631, b""), Err(StartupError::Version { major: 1234, minor: 5681 })));
    }

    #[test]
    fn a_cancel_request_has_a_secret_of_4_to_256_bytes() {
        let cancel = |secret: &[u8]| startup(80_877_102, &[&7i32.to_be_bytes(), secret].concat());
        for length in [4, 32, 256] {
            assert!(matches!(cancel(&vec![1; length]), Ok(Packet::Cancel { process_id: 7, secret }) if secret.len() == length));
        }
        for length in [0, 3, 257] {
            assert!(matches!(cancel(&vec![1; length]), Err(StartupError::Malformed(Malformed::CancelLength))));
        }
        assert!(matches!(startup(80_877_102, b"abc"), Err(StartupError::Malformed(Malformed::CancelLength))));
    }

    #[test]
    fn requests_for_encryption_carry_nothing() {
        assert!(matches!(startup(80_877_103, b""), Ok(Packet::Tls)));
        assert!(matches!(startup(80_877_104, b""), Ok(Packet::Gss)));
        assert!(matches!(startup(80_877_103, b"x"), Err(StartupError::Malformed(Malformed::Length))));
    }

    #[test]
    fn only_a_plain_no_means_no_replication() {
        let replication = |value: &str| Named { replication: Some(value.into()), ..Named::default() }.wants_replication();
        assert!(!Named::default().wants_replication());
        assert!(!replication("false") && !replication("OFF") && !replication("0"));
        assert!(replication("true") && replication("database") && replication("") && replication("nonsense"));
    }
}
