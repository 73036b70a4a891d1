//! Settings: as written (a TOML file, then `PGUSHER_…` variables), then as meant.
//!
//! In: the file's text and the environment. Out: [`Settings`], or every [`Mistake`] at once, each with its key. Never: a password in
//! the file or in an error, a global, policy (that is governance SQL's).
//!
//! `config/pgusher.toml` is the reference; a test holds it against [`KEYS`].

mod audit;
mod certificates;
mod http;
mod issuers;
mod keys;
mod meant;
#[cfg(test)]
mod tests;
mod written;

use std::fmt;
use std::path::{Path, PathBuf};

pub use audit::{Audit, AuditDurability, AuditFailure};
pub use certificates::{CertificateName, CertificateRole, ClientCertificates};
pub use http::Http;
pub use issuers::{CERTIFICATE, Identity, Issuer, KeyHolding, KeyPlace, SaslLogin, SignatureAlgorithm};
pub use keys::{KEYS, Key, Reload};
pub use meant::{
    ClientTls, Limits, Listen, Log, LogFormat, Password, Policies, PoolMode, Pooling, RowFilters, Settings, Tokens, Upstream,
    UpstreamEncryption,
};

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key, for example `upstream.port`; empty when it is about the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

/// Everything that is wrong with the settings; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

/// Reads the settings from a file (if one is given) and the variables of the environment.
pub fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Settings, Mistakes> {
    let text = match file {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot read configuration file \"{}\": {error}", path.display());
            Mistakes(vec![Mistake { key: String::new(), message }])
        })?,
    };
    let base = file.and_then(Path::parent).map(PathBuf::from).unwrap_or_default();
    read(&text, &base, variables)
}

/// Reads the settings from text; relative paths in it start at `base`.
pub fn read(text: &str, base: &Path, variables: impl Iterator<Item = (String, String)>) -> Result<Settings, Mistakes> {
    let mut written = written::Written::new(text, variables)?;
    let settings = meant::settings(&mut written, base);
    written.finish()?;
    settings.ok_or_else(|| Mistakes(vec![Mistake { key: String::new(), message: "settings are incomplete".to_owned() }]))
}
