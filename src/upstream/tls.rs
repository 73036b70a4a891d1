//! TLS towards upstream.
//!
//! In: how far to trust. Out: an encrypted stream and what SCRAM can bind to. Never: a certificate taken unseen, unless the word
//! `dangerous` stands in the configuration.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{UpstreamError, certificate};

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
        let verifier = VerifiesFully::new(&path, load_roots(&path)?)?;
        // The library calls every verifier of one's own dangerous; this one is stricter than none and no laxer than its own but
        // for certificates that the operator named.
        let config = builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Ok(Self::from_config(config))
    }

    /// Encrypted, but to whoever answers: for tests and for networks where nobody else can.
    pub fn dangerous_no_verify() -> Result<Self, TlsSetupError> {
        let algorithms = provider().signature_verification_algorithms;
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

/// What SCRAM can bind to on this stream.
pub(super) fn server_end_point(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    certificate::end_point(stream.get_ref().1.peer_certificates()?.first()?)
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsSetupError> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn load_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let fail = |cause| TlsSetupError::Roots { path: path.to_owned(), cause };
    CertificateDer::pem_file_iter(path).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)
}

/// Checks chain, name and time. Beside chains to a root, it takes a certificate that is itself in the file of roots: a server with a
/// self-signed certificate, whose clients have been given just that, is PostgreSQL's own first example; the library's verifier
/// refuses such certificates when they are marked as an authority's.
#[derive(Debug)]
struct VerifiesFully {
    chain: Arc<WebPkiServerVerifier>,
    known: Vec<CertificateDer<'static>>,
}

impl VerifiesFully {
    fn new(path: &Path, known: Vec<CertificateDer<'static>>) -> Result<Self, TlsSetupError> {
        let mut roots = RootCertStore::empty();
        for certificate in &known {
            // A system's bundle may hold certificates that cannot be used; one that is needed and missing fails the handshake.
            let _ = roots.add(certificate.clone());
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|_| TlsSetupError::NoRoots(path.to_owned()))?;
        Ok(Self { chain, known })
    }

    /// Whether a certificate is in the file itself, for this name and now.
    fn knows(&self, given: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> bool {
        self.known.contains(given)
            && certificate::valid_at(given, now.as_secs())
            && ParsedCertificate::try_from(given).and_then(|parsed| verify_server_name(&parsed, name)).is_ok()
    }
}

impl ServerCertVerifier for VerifiesFully {
    fn verify_server_cert(
        &self,
        given: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.chain.verify_server_cert(given, intermediates, name, ocsp, now) {
            Err(_) if self.knows(given, name, now) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
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
    fn a_root_file_without_certificates_is_named_in_the_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = UpstreamTls::verify_full(Some(file.path())).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
