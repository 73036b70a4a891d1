//! TLS towards upstream.
//!
//! In: how far to trust. Out: an encrypted stream and what SCRAM can bind to. Never: a certificate taken unseen, unless the word
//! `dangerous` stands in the configuration.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::UpstreamError;

/// The protocol's name in ALPN.
const ALPN: &[u8] = b"postgresql";

/// Where the system keeps the certificates it trusts, where it is Debian's or Red Hat's kind.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// Why TLS towards upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The root certificate file cannot be read.
    #[error("root certificate file \"{path}\": {cause}")]
    Roots {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: rustls_pki_types::pem::Error,
    },
    /// The file holds no usable certificate.
    #[error("root certificate file \"{0}\" holds no usable certificate")]
    NoRoots(PathBuf),
    /// No file was named, and the system has none in the usual places.
    #[error("no root certificate file is configured and the system has none")]
    NoSystemRoots,
    /// The TLS library refused the settings.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// Whether and how upstream connections over TCP are encrypted. Unix sockets never are, as in PostgreSQL.
#[derive(Clone)]
pub enum UpstreamTls {
    /// Not at all: `sslmode = "disable"`.
    Disabled,
    /// Always, by these rules.
    Required(TlsRules),
}

/// Rules made by [`UpstreamTls::verify_full`] or [`UpstreamTls::dangerous_no_verify`].
#[derive(Clone)]
pub struct TlsRules(TlsConnector);

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            UpstreamTls::Disabled => "Disabled",
            UpstreamTls::Required(_) => "Required",
        })
    }
}

impl UpstreamTls {
    /// Encrypted, the certificate checked against the roots in the PEM file (or the system's) and against the host's name.
    pub fn verify_full(roots: Option<&Path>) -> Result<Self, TlsSetupError> {
        let path = match roots {
            Some(path) => path.to_owned(),
            None => SYSTEM_ROOTS.iter().map(PathBuf::from).find(|p| p.exists()).ok_or(TlsSetupError::NoSystemRoots)?,
        };
        let config = builder()?.with_root_certificates(load_roots(&path)?).with_no_client_auth();
        Ok(Self::from_config(config))
    }

    /// Encrypted, but to whoever answers: for tests and for networks where nobody else can.
    pub fn dangerous_no_verify() -> Result<Self, TlsSetupError> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let config =
            builder()?.dangerous().with_custom_certificate_verifier(Arc::new(TakesAnyone(algorithms))).with_no_client_auth();
        Ok(Self::from_config(config))
    }

    fn from_config(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self::Required(TlsRules(TlsConnector::from(Arc::new(config))))
    }
}

impl TlsRules {
    /// Encrypts a connection to `host`.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, UpstreamError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            UpstreamError::Tls(io::Error::new(io::ErrorKind::InvalidInput, "the host is no DNS name or IP address"))
        })?;
        self.0.connect(name, stream).await.map_err(UpstreamError::Tls)
    }
}

/// What `tls-server-end-point` channel binding binds to: the hash of upstream's certificate, by the hash function of the
/// certificate's own signature (RFC 5929 section 4.1). `None` where the RFC leaves it undefined.
pub(super) fn server_end_point(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    end_point_hash(certificate)
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsSetupError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?)
}

fn load_roots(path: &Path) -> Result<RootCertStore, TlsSetupError> {
    let fail = |cause| TlsSetupError::Roots { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(fail)? {
        // A system's bundle may hold certificates that webpki cannot use; one that is needed and missing fails the handshake.
        let _ = roots.add(certificate.map_err(fail)?);
    }
    if roots.is_empty() { Err(TlsSetupError::NoRoots(path.to_owned())) } else { Ok(roots) }
}

fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    match signature_hash(certificate)? {
        SignatureHash::Sha256 => Some(Sha256::digest(certificate).to_vec()),
        SignatureHash::Sha384 => Some(Sha384::digest(certificate).to_vec()),
        SignatureHash::Sha512 => Some(Sha512::digest(certificate).to_vec()),
    }
}

/// The hash to bind with.
#[derive(Debug, PartialEq, Eq)]
enum SignatureHash {
    Sha256,
    Sha384,
    Sha512,
}

/// Reads `signatureAlgorithm` of a certificate: SEQUENCE { tbsCertificate SEQUENCE, SEQUENCE { OID, … }, … }.
fn signature_hash(certificate: &[u8]) -> Option<SignatureHash> {
    let (outer, _) = der(certificate, 0x30)?;
    let (_, rest) = der(outer, 0x30)?;
    let (algorithm, _) = der(rest, 0x30)?;
    let (oid, _) = der(algorithm, 0x06)?;
    match oid {
        // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1: the RFC says SHA-256 for these.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04" | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05" | b"\x2a\x86\x48\xce\x3d\x04\x01" => {
            Some(SignatureHash::Sha256)
        }
        // sha{256,384,512}WithRSAEncryption and ecdsa-with-SHA{256,384,512}.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" | b"\x2a\x86\x48\xce\x3d\x04\x03\x02" => Some(SignatureHash::Sha256),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" | b"\x2a\x86\x48\xce\x3d\x04\x03\x03" => Some(SignatureHash::Sha384),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" | b"\x2a\x86\x48\xce\x3d\x04\x03\x04" => Some(SignatureHash::Sha512),
        _ => None,
    }
}

/// One DER element with this tag: its contents and what follows it.
fn der(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
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

/// Takes any certificate, checking only that the peer holds its key.
#[derive(Debug)]
struct TakesAnyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for TakesAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_point_hash_follows_the_certificates_signature() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["db".to_owned()]).unwrap().self_signed(&key).unwrap();
        assert_eq!(signature_hash(certificate.der()), Some(SignatureHash::Sha384));
        assert_eq!(end_point_hash(certificate.der()).unwrap().len(), 48);
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["db".to_owned()]).unwrap().self_signed(&key).unwrap();
        assert_eq!(end_point_hash(certificate.der()), None);
    }

    #[test]
    fn a_broken_certificate_has_no_end_point_hash() {
        for broken in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", b"\x30\x02\x30\x05", b"\x31\x00"] {
            assert_eq!(end_point_hash(broken), None);
        }
    }

    #[test]
    fn a_root_file_without_certificates_is_named_in_the_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = UpstreamTls::verify_full(Some(file.path())).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
