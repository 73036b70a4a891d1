//! Certificates of clients: who signs them, what they are good for, and whom they name.

use std::path::{Path, PathBuf};

use super::written::Written;

/// How clients' certificates are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities one of which must have signed them; PEM.
    pub authorities: PathBuf,
    /// Lists of those that were revoked; PEM.
    pub revoked: Option<PathBuf>,
    /// What they are good for.
    pub role: CertificateRole,
    /// Where in them the principal's name is.
    pub name: CertificateName,
}

/// What a client's certificate is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateRole {
    /// It is asked for beside a token.
    #[default]
    Beside,
    /// It is the credential, and there is no other over TCP.
    Credential,
    /// Who shows one that names them needs no token; who shows none needs one.
    Either,
}

/// Where in a certificate the principal's name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateName {
    /// The subject's common name.
    #[default]
    Common,
    /// A DNS name among the subject's alternative names.
    Dns,
    /// An e-mail address among them.
    Email,
    /// A URI among them.
    Uri,
}

/// Reads `tls.client_…`; `None` where no authority is named.
pub(super) fn certificates(written: &mut Written, required: Option<bool>, base: &Path) -> Option<ClientCertificates> {
    let authorities = written.path("tls.client_ca", base);
    let revoked = written.path("tls.client_crl", base);
    let role = written.choice(
        "tls.client_certificates",
        &[("beside", CertificateRole::Beside), ("credential", CertificateRole::Credential), ("either", CertificateRole::Either)],
    );
    let name = written.choice(
        "tls.client_name",
        &[
            ("cn", CertificateName::Common),
            ("dns", CertificateName::Dns),
            ("email", CertificateName::Email),
            ("uri", CertificateName::Uri),
        ],
    );
    let demanded = matches!(role, Some(CertificateRole::Beside | CertificateRole::Credential));
    if authorities.is_some() && demanded && required == Some(false) {
        written.mistake("tls.client_ca", "needs tls.required: a client without TLS shows no certificate");
    }
    if authorities.is_none() && revoked.is_some() {
        written.mistake("tls.client_crl", "needs tls.client_ca");
    }
    if authorities.is_none() && matches!(role, Some(CertificateRole::Credential | CertificateRole::Either)) {
        written.mistake("tls.client_certificates", "needs tls.client_ca");
    }
    Some(ClientCertificates { authorities: authorities?, revoked, role: role?, name: name? })
}
