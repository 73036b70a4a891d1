//! Clients' certificates as credentials: whom they name. That one of the authorities has signed them is the TLS handshake's part.
//!
//! Source: RFC 5280 sections 4.1.2.6 and 4.2.1.6.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{ANY_USER, TokenHash, Vouched, hash};
use crate::config::{CERTIFICATE, CertificateName};

/// A certificate that a client has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    hash: TokenHash,
    described: Arc<str>,
    expires: SystemTime,
    names: Vec<Arc<str>>,
}

impl Shown {
    /// Reads one, and in it the names of that kind; `None` for what is no certificate.
    pub fn read(der: &[u8], kind: CertificateName) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let expires = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
        let serial = certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Some(Self {
            // Of what was signed: an ECDSA signature has a twin, and the certificate with that one would be another.
            hash: hash(certificate.tbs_certificate.as_ref()),
            described: Arc::from(format!("{CERTIFICATE}{serial} of {}", certificate.issuer())),
            expires: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(expires))?,
            names: names(&certificate, kind)?.into_iter().map(Arc::from).collect(),
        })
    }

    /// Whether it names this one, or, for the word that stands for anybody, whom it names.
    pub fn name_for(&self, user: &str) -> Option<&Arc<str>> {
        match self.names.as_slice() {
            [name] if user == ANY_USER => Some(name),
            names => names.iter().find(|name| ***name == *user && user != ANY_USER),
        }
    }

    /// What it vouches for.
    pub(super) fn vouched(&self, name: &Arc<str>) -> Vouched {
        Vouched {
            hash: self.hash,
            issuer: Arc::clone(&self.described),
            name: Arc::clone(name),
            groups: Vec::new(),
            actors: Vec::new(),
            may_act: None,
            expires: self.expires,
            create: false,
        }
    }
}

/// The names of a kind. A subject with several common names has none: which one is meant?
fn names<'a>(certificate: &'a X509Certificate<'_>, kind: CertificateName) -> Option<Vec<&'a str>> {
    if kind == CertificateName::Common {
        let found: Vec<&str> = certificate.subject().iter_common_name().map(|name| name.as_str()).collect::<Result<_, _>>().ok()?;
        return Some(if found.len() == 1 { found } else { Vec::new() });
    }
    let Some(alternatives) = certificate.subject_alternative_name().ok()? else { return Some(Vec::new()) };
    let names = alternatives.value.general_names.iter().filter_map(|name| match (kind, name) {
        (CertificateName::Dns, GeneralName::DNSName(name))
        | (CertificateName::Email, GeneralName::RFC822Name(name))
        | (CertificateName::Uri, GeneralName::URI(name)) => Some(*name),
        _ => None,
    });
    Some(names.collect())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn made(common: &[&str], alternatives: Vec<SanType>) -> Vec<u8> {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        common.iter().for_each(|name| parameters.distinguished_name.push(DnType::CommonName, *name));
        parameters.subject_alt_names = alternatives;
        parameters.not_after = rcgen::date_time_ymd(2040, 1, 1);
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn names(der: &[u8], kind: CertificateName) -> Vec<String> {
        Shown::read(der, kind).unwrap().names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_taken_of_the_one_kind_that_is_asked_for() {
        let email = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
        let der = made(
            &["ana"],
            vec![
                email("ana@example.com"),
                SanType::DnsName("ana.example.com".try_into().unwrap()),
                SanType::URI("spiffe://example.com/ana".try_into().unwrap()),
                email("a@example.com"),
            ],
        );
        assert_eq!(names(&der, CertificateName::Common), ["ana"]);
        assert_eq!(names(&der, CertificateName::Dns), ["ana.example.com"]);
        assert_eq!(names(&der, CertificateName::Email), ["ana@example.com", "a@example.com"]);
        assert_eq!(names(&der, CertificateName::Uri), ["spiffe://example.com/ana"]);
        let plain = made(&[], Vec::new());
        assert!([CertificateName::Common, CertificateName::Email].into_iter().all(|kind| names(&plain, kind).is_empty()));
        assert_eq!(Shown::read(&[der.as_slice(), b"x"].concat(), CertificateName::Common), None);
        assert_eq!(Shown::read(b"no certificate", CertificateName::Common), None);
    }

    #[test]
    fn it_is_good_for_the_user_that_it_names_and_for_the_word_token_where_it_names_one() {
        let one = Shown::read(&made(&["ana"], Vec::new()), CertificateName::Common).unwrap();
        let name = |shown: &Shown, user: &str| shown.name_for(user).map(ToString::to_string);
        assert_eq!(name(&one, "ana").as_deref(), Some("ana"));
        assert_eq!(name(&one, "token").as_deref(), Some("ana"));
        for user in ["Ana", "ana ", "an", "bob", ""] {
            assert_eq!(name(&one, user), None, "{user}");
        }
        let two = Shown { names: vec![Arc::from("ana"), Arc::from("bob")], ..one.clone() };
        assert_eq!(name(&two, "bob").as_deref(), Some("bob"));
        assert_eq!(name(&two, "token"), None);
        let odd = Shown { names: vec![Arc::from("token"), Arc::from("bob")], ..one };
        assert_eq!(name(&odd, "token"), None, "nobody is called that");
    }

    #[test]
    fn what_it_is_known_by_does_not_depend_on_its_signature() {
        let der = made(&["ana"], Vec::new());
        let shown = Shown::read(&der, CertificateName::Common).unwrap();
        let vouched = shown.vouched(&Arc::from("ana"));
        assert!(vouched.issuer.starts_with("certificate ") && !vouched.create);
        assert_eq!(vouched.expires, SystemTime::UNIX_EPOCH + Duration::from_secs(2_208_988_800));
        let mut twin = der;
        if let Some(last) = twin.last_mut() {
            *last ^= 1;
        }
        assert_eq!(Shown::read(&twin, CertificateName::Common).unwrap().hash, shown.hash);
    }
}
