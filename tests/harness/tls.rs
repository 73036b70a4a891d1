//! Certificates of a proxy's and of its clients', and TLS as a client speaks it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, DnType, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{RawClient, frame};

/// A certificate of a client's, its key, and its number.
pub struct Shown {
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
    pub serial: u64,
}

/// What TLS needs on both sides: a certificate of the proxy's, and an authority that signs clients'.
pub struct Pki {
    /// The proxy's certificate.
    pub server: CertificateDer<'static>,
    folder: tempfile::TempDir,
    authority: rcgen::Issuer<'static, KeyPair>,
    serial: AtomicU64,
}

impl Pki {
    /// Makes both, and an empty list of revoked certificates.
    pub fn new() -> Pki {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.distinguished_name.push(DnType::CommonName, "clients of the test");
        let authority = parameters.self_signed(&key).expect("a certificate").pem();
        let pki = Pki {
            server: made.cert.der().clone(),
            folder: tempfile::tempdir().expect("a scratch directory"),
            authority: rcgen::Issuer::new(parameters, key),
            serial: AtomicU64::new(1000),
        };
        pki.write("server.crt", &made.cert.pem());
        pki.write("server.key", &made.signing_key.serialize_pem());
        pki.write("clients.crt", &authority);
        pki.revoke(&[]);
        pki
    }

    /// The configuration's section `[tls]`, with more lines in it.
    pub fn settings(&self, more: &str) -> String {
        let [certificate, key] = ["server.crt", "server.key"].map(|name| self.path(name));
        format!("[tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n{more}\n", certificate.display(), key.display())
    }

    /// The line of it that names the authority.
    pub fn client_ca(&self) -> String {
        format!("client_ca = \"{}\"\n", self.path("clients.crt").display())
    }

    /// The line that names the list of revoked certificates.
    pub fn client_crl(&self) -> String {
        format!("client_crl = \"{}\"\n", self.path("clients.crl").display())
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).expect("writable");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
    }

    /// A certificate for a client of that common name, after a change.
    pub fn client(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let own = KeyPair::generate().expect("a key");
        let serial = self.serial.fetch_add(1, Ordering::SeqCst);
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.serial_number = Some(SerialNumber::from(serial));
        change(&mut parameters);
        let signed = parameters.signed_by(&own, &self.authority).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
        Shown { certificate: signed.der().clone(), key, serial }
    }

    /// Writes the list of revoked certificates anew.
    pub fn revoke(&self, serials: &[u64]) {
        let now = std::time::SystemTime::now();
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: (now - std::time::Duration::from_secs(60)).into(),
            next_update: (now + std::time::Duration::from_secs(86_400)).into(),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let text = list.signed_by(&self.authority).expect("a list").pem().expect("its text");
        self.write("clients.crl", &text);
    }

    /// TLS on a socket, by these names of protocols, with a certificate or none.
    pub fn handshake(
        &self,
        mut socket: TcpStream,
        alpn: &[&[u8]],
        shown: Option<&Shown>,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.clone()).expect("our own certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let versions = versions.with_root_certificates(roots);
        let mut config = match shown {
            None => versions.with_no_client_auth(),
            Some(Shown { certificate, key, .. }) => {
                versions.with_client_auth_cert(vec![certificate.clone()], key.clone_key()).expect("a certificate and its key")
            }
        };
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        let mut connection =
            ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").expect("a name")).expect("a connection");
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(connection, socket))
    }

    /// A raw connection inside TLS. Whoever is not let through hears of it with the first answer only.
    pub fn raw(&self, port: u16, shown: Option<&Shown>) -> std::io::Result<RawClient> {
        let mut socket = RawClient::socket(port);
        socket.write_all(&frame::ssl_request())?;
        let mut answer = [0];
        socket.read_exact(&mut answer)?;
        assert_eq!(&answer, b"S");
        Ok(RawClient::over(self.handshake(socket, &[], shown)?))
    }

    /// The files of a client's certificate and key.
    pub fn files(&self, shown: &Shown) -> (PathBuf, PathBuf) {
        let (certificate, key) = (format!("{}.crt", shown.serial), format!("{}.key", shown.serial));
        let pem = |label: &str, der: &[u8]| {
            use base64::Engine;
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64")).collect();
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
        };
        self.write(&certificate, &pem("CERTIFICATE", &shown.certificate));
        self.write(&key, &pem("PRIVATE KEY", shown.key.secret_der()));
        assert!(CertificateDer::from_pem_file(self.path(&certificate)).is_ok());
        (self.path(&certificate), self.path(&key))
    }
}
