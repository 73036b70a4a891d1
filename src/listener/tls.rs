//! TLS towards clients: version 1.2 or newer, our certificate, and the protocol's name.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;

use super::TlsSettings;
use crate::config::{CertificateRole, ClientCertificates};
use crate::startup::Tls;
use crate::upstream::certificate::end_point;

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
    /// The authorities of clients' certificates, or their lists of revoked ones, cannot be used.
    #[error("client authority or revocation file \"{path}\": {cause}")]
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

/// Reads certificate and key, and whose certificates are taken of clients.
pub fn acceptor(settings: &TlsSettings, protocol: Protocol) -> Result<TlsAcceptor, TlsSettingsError> {
    built(settings, protocol).map(|(acceptor, _)| acceptor)
}

/// The same for PostgreSQL's protocol, with what SCRAM can bind to: the hash of the certificate that clients see.
pub(super) fn towards_clients(settings: &TlsSettings) -> Result<Tls, TlsSettingsError> {
    let (acceptor, own) = built(settings, Protocol::PostgreSql)?;
    Ok(Tls { acceptor, end_point: end_point(&own).map(Arc::from) })
}

fn built(settings: &TlsSettings, protocol: Protocol) -> Result<(TlsAcceptor, CertificateDer<'static>), TlsSettingsError> {
    let chain = read_chain(&settings.certificate)?;
    let own = chain.first().cloned().ok_or_else(|| TlsSettingsError::NoCertificate(settings.certificate.clone()))?;
    let key = read_key(&settings.key)?;
    let fail = |cause| TlsSettingsError::Pair { certificate: settings.certificate.clone(), cause };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(fail)?;
    let builder = match &settings.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(client_verifier(clients, provider)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(fail)?;
    config.alpn_protocols = vec![protocol.name().to_vec()];
    if settings.clients.is_some() {
        // A session of TLS that is resumed brings a certificate along that nobody looks at again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((TlsAcceptor::from(Arc::new(config)), own))
}

/// Nobody with a certificate of other authorities than these, or with one that was revoked, is let through the handshake; nor is anybody
/// with none, unless a token does instead. Lists of revoked ones that are out of date, or that say nothing of a certificate, let nobody through.
fn client_verifier(
    clients: &ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsSettingsError> {
    let fail = |path: &Path, cause: String| TlsSettingsError::ClientAuthority { path: path.to_owned(), cause };
    let mut roots = RootCertStore::empty();
    for authority in read_chain(&clients.authorities)? {
        roots.add(authority).map_err(|cause| fail(&clients.authorities, cause.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(path) = &clients.revoked {
        let lists = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let lists = lists.map_err(|cause| fail(path, cause.to_string()))?;
        if lists.is_empty() {
            return Err(fail(path, "holds no list of revoked certificates".to_owned()));
        }
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let builder = match clients.role {
        CertificateRole::Beside | CertificateRole::Credential => builder,
        CertificateRole::Either => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|cause| fail(clients.revoked.as_ref().unwrap_or(&clients.authorities), cause.to_string()))
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
        let settings = TlsSettings { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem"), clients: None };
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
    fn no_session_of_tls_is_resumed_where_certificates_are_asked_for() {
        let (certificate, key) = pair();
        let (_folder, mut settings) = files(&certificate, &key, 0o600);
        assert!(acceptor(&settings, Protocol::PostgreSql).unwrap().config().session_storage.can_cache());
        for role in [CertificateRole::Beside, CertificateRole::Credential, CertificateRole::Either] {
            let authorities = settings.certificate.clone();
            settings.clients =
                Some(ClientCertificates { authorities, revoked: None, role, name: crate::config::CertificateName::Common });
            let config = acceptor(&settings, Protocol::PostgreSql).unwrap();
            assert!(!config.config().session_storage.can_cache() && config.config().send_tls13_tickets == 0);
        }
        // A list that holds nothing is a mistake, not a list of nobody.
        if let Some(clients) = &mut settings.clients {
            clients.revoked = Some(settings.certificate.clone());
        }
        let refused = acceptor(&settings, Protocol::PostgreSql).err().unwrap();
        assert!(matches!(refused, TlsSettingsError::ClientAuthority { .. }), "{refused}");
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
        let missing = TlsSettings { certificate: "/nonexistent/c".into(), key: "/nonexistent/k".into(), clients: None };
        assert!(acceptor(&missing, Protocol::PostgreSql).err().unwrap().to_string().contains("/nonexistent/c"));
    }
}
