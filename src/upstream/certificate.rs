//! The few things we read in a certificate ourselves: what the TLS library's verifier does not tell. Pure.
//!
//! Source: RFC 5280 section 4.1 (structure), RFC 5929 section 4.1 (`tls-server-end-point`).

use sha2::{Digest, Sha256, Sha384, Sha512};

/// DER tags.
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// What `tls-server-end-point` channel binding binds to: the certificate's hash, by the hash function of its own signature.
/// `None` where the RFC leaves it undefined.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    match signature_algorithm(certificate)? {
        // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1: the RFC says SHA-256 for these.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04" | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05" | b"\x2a\x86\x48\xce\x3d\x04\x01" => {
            Some(Sha256::digest(certificate).to_vec())
        }
        // sha{256,384,512}WithRSAEncryption and ecdsa-with-SHA{256,384,512}.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" | b"\x2a\x86\x48\xce\x3d\x04\x03\x02" => Some(Sha256::digest(certificate).to_vec()),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" | b"\x2a\x86\x48\xce\x3d\x04\x03\x03" => Some(Sha384::digest(certificate).to_vec()),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" | b"\x2a\x86\x48\xce\x3d\x04\x03\x04" => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// Whether a time, in seconds since 1970, lies within the certificate's validity.
pub(super) fn valid_at(certificate: &[u8], now: u64) -> bool {
    validity(certificate).is_some_and(|(from, until)| (from..=until).contains(&now))
}

fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(outer, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    element(algorithm, OID).map(|(oid, _)| oid)
}

fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (tbs, _) = element(outer, SEQUENCE)?;
    let rest = element(tbs, VERSION).map_or(tbs, |(_, rest)| rest);
    let (_serial, rest) = element(rest, INTEGER)?;
    let (_signature, rest) = element(rest, SEQUENCE)?;
    let (_issuer, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some((from, until))
}

/// One element with this tag: its contents and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0usize, |length, digit| (length << 8) | usize::from(*digit)), rest)
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`, the only forms that certificates may have; years before 1970 count as 1970.
fn time(input: &[u8]) -> Option<(u64, &[u8])> {
    let (text, century, rest) = match element(input, GENERALIZED_TIME) {
        Some((text, rest)) => (text.get(2..)?, number(text.get(..2)?)?, rest),
        None => {
            let (text, rest) = element(input, UTC_TIME)?;
            (text, if number(text.get(..2)?)? < 50 { 20 } else { 19 }, rest)
        }
    };
    let [y1, y2, m1, m2, d1, d2, h1, h2, n1, n2, s1, s2, b'Z'] = text else { return None };
    let pair = |a: &u8, b: &u8| number(&[*a, *b]);
    let (year, month, day) = (century * 100 + pair(y1, y2)?, pair(m1, m2)?, pair(d1, d2)?);
    let (hour, minute, second) = (pair(h1, h2)?, pair(n1, n2)?, pair(s1, s2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some((days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second, rest))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// Days from 1970-01-01, by the Gregorian calendar: years counted from March, so that the leap day comes last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(key: &rcgen::KeyPair) -> rcgen::Certificate {
        let mut parameters = rcgen::CertificateParams::new(vec!["db".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2024, 2, 29);
        parameters.not_after = rcgen::date_time_ymd(2051, 1, 1);
        parameters.self_signed(key).unwrap()
    }

    #[test]
    fn the_end_point_hash_follows_the_certificates_signature() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(end_point(made(&key).der()).unwrap().len(), 48);
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        assert_eq!(end_point(made(&key).der()).unwrap().len(), 32);
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert_eq!(end_point(made(&key).der()), None);
    }

    #[test]
    fn validity_is_read_in_both_forms_of_time() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = made(&key);
        // 2024-02-29 and 2051-01-01, midnight.
        assert_eq!(validity(certificate.der()), Some((1_709_164_800, 2_556_144_000)));
        assert!(valid_at(certificate.der(), 1_709_164_800) && !valid_at(certificate.der(), 1_709_164_799));
        assert!(!valid_at(certificate.der(), 2_556_144_001));
    }

    #[test]
    fn a_broken_certificate_says_nothing_and_is_never_valid() {
        for broken in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x02\x30\x05", b"\x31\x00"] {
            assert_eq!(end_point(broken), None);
            assert!(!valid_at(broken, 0));
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let whole = made(&key).der().to_vec();
        for cut in 0..whole.len() {
            assert_eq!(end_point(&whole[..cut]), None);
            assert!(!valid_at(&whole[..cut], 1_800_000_000));
        }
    }

    #[test]
    fn times_that_are_none_are_not_read() {
        for text in [&b"\x17\x0d991332000000Z"[..], b"\x17\x0c99123100000Z", b"\x17\x0d9912310000000", b"\x17\x0d99123a000000Z"] {
            assert_eq!(time(text), None);
        }
        assert_eq!(time(b"\x17\x0d700101000001Zx"), Some((1, &b"x"[..])));
    }
}
