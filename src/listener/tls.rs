//! TLS towards clients: version 1.2 or newer, our certificate, and the protocol's name.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;

use super::TlsSettings;

/// The protocol's name in ALPN. A client that names others and not this one is refused by the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// PostgreSQL's.
    PostgreSql,
    /// HTTP/1.1.
    Http,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Protocol::PostgreSql => b"postgresql",
            Protocol::Http => b"http/1.1",
        }
    }
}

/// Why TLS towards clients cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSettingsError {
    /// The certificate file cannot be read.
    #[error("certificate file \"{path}\": {cause}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: pem::Error,
    },
    /// It holds no certificate.
    #[error("certificate file \"{0}\" holds no certificate")]
    NoCertificate(PathBuf),
    /// The key file cannot be read.
    #[error("private key file \"{path}\": {cause}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: pem::Error,
    },
    /// The key file's owner or permissions cannot be looked up.
    #[error("private key file \"{path}\": {cause}")]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// Others could read the key.
    #[error(
        "private key file \"{0}\" has group or world access; it must have permissions u=rw (0600) or less if owned by the user that \
         runs pgusher, or u=rw,g=r (0640) or less if owned by root"
    )]
    KeyExposed(PathBuf),
    /// The authorities of clients' certificates cannot be used.
    #[error("client authority file \"{path}\": {cause}")]
    ClientAuthority {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// Certificate and key do not fit, or cannot be used.
    #[error("certificate file \"{certificate}\" and its key: {cause}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why not.
        cause: rustls::Error,
    },
}

/// Reads certificate and key, and whose certificates clients must show.
pub fn acceptor(settings: &TlsSettings, protocol: Protocol) -> Result<TlsAcceptor, TlsSettingsError> {
    let chain = read_chain(&settings.certificate)?;
    let key = read_key(&settings.key)?;
    let fail = |cause| TlsSettingsError::Pair { certificate: settings.certificate.clone(), cause };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(fail)?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(fail)?;
    config.alpn_protocols = vec![protocol.name().to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Nobody without a certificate of one of these authorities is let through the handshake.
fn client_verifier(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsSettingsError> {
    let fail = |cause: String| TlsSettingsError::ClientAuthority { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for authority in read_chain(path)? {
        roots.add(authority).map_err(|cause| fail(cause.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|cause| fail(cause.to_string()))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSettingsError> {
    let fail = |cause| TlsSettingsError::Certificate { path: path.to_owned(), cause };
    let chain = CertificateDer::pem_file_iter(path).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    if chain.is_empty() { Err(TlsSettingsError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

/// PostgreSQL's rule for its own key (`check_ssl_key_file_permissions`).
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsSettingsError> {
    let file = std::fs::metadata(path).map_err(|cause| TlsSettingsError::KeyFile { path: path.to_owned(), cause })?;
    let forbidden = if file.uid() == 0 { 0o037 } else { 0o077 };
    if file.mode() & forbidden != 0 {
        return Err(TlsSettingsError::KeyExposed(path.to_owned()));
    }
    PrivateKeyDer::from_pem_file(path).map_err(|cause| TlsSettingsError::Key { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn files(certificate: &str, key: &str, mode: u32) -> (tempfile::TempDir, TlsSettings) {
        let folder = tempfile::tempdir().unwrap();
        let settings = TlsSettings { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem"), client_ca: None };
        write(&settings.certificate, certificate).unwrap();
        write(&settings.key, key).unwrap();
        set_permissions(&settings.key, Permissions::from_mode(mode)).unwrap();
        (folder, settings)
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn error(certificate: &str, key: &str, mode: u32) -> TlsSettingsError {
        let (_folder, settings) = files(certificate, key, mode);
        acceptor(&settings, Protocol::PostgreSql).err().unwrap()
    }

    #[test]
    fn a_certificate_and_its_key_make_an_acceptor_that_names_the_protocol() {
        let (certificate, key) = pair();
        let (_folder, settings) = files(&certificate, &key, 0o600);
        for (protocol, name) in [(Protocol::PostgreSql, "postgresql"), (Protocol::Http, "http/1.1")] {
            assert_eq!(acceptor(&settings, protocol).unwrap().config().alpn_protocols, [name.as_bytes().to_vec()]);
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let (certificate, key) = pair();
        for mode in [0o644, 0o660, 0o601] {
            assert!(matches!(error(&certificate, &key, mode), TlsSettingsError::KeyExposed(_)), "{mode:o}");
        }
    }

    #[test]
    fn files_that_do_not_fit_or_hold_nothing_are_named() {
        let (certificate, key) = pair();
        let (_, other_key) = pair();
        assert!(matches!(error("", &key, 0o600), TlsSettingsError::NoCertificate(_)));
        assert!(matches!(error(&certificate, "", 0o600), TlsSettingsError::Key { .. }));
        assert!(matches!(error(&certificate, &other_key, 0o600), TlsSettingsError::Pair { .. }));
        let missing = TlsSettings { certificate: "/nonexistent/c".into(), key: "/nonexistent/k".into(), client_ca: None };
        assert!(acceptor(&missing, Protocol::PostgreSql).err().unwrap().to_string().contains("/nonexistent/c"));
    }
}
