//! An issuer's keys: fetched, held, fetched again.
//!
//! Keys are believed for a bounded time. One that is not known makes a fetch come sooner, but not at any stranger's pace.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::key::{KeySet, KeySetError};
use crate::config::{Issuer, KeyHolding, KeyPlace};

/// Why there are no keys. For the log.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read \"{path}\": {cause}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The address gave no keys.
    #[error("cannot fetch {url}: {cause}")]
    Fetch {
        /// The address.
        url: String,
        /// Why.
        cause: String,
    },
    /// What was read is of no use.
    #[error("{place}: {cause}")]
    Keys {
        /// Where it was read.
        place: String,
        /// Why.
        cause: KeySetError,
    },
    /// It was tried a moment ago.
    #[error("keys could not be had a moment ago")]
    Waiting,
}

/// Where the keys come from and what was there last.
pub(super) struct Source {
    place: KeyPlace,
    roots: Option<PathBuf>,
    holding: KeyHolding,
    held: ArcSwapOption<Held>,
    /// When it was last tried; held while it is.
    tried: Mutex<Option<Instant>>,
}

struct Held {
    keys: Arc<KeySet>,
    at: Instant,
}

/// How long a fetch may take, how much may come, and how long to wait before the next.
const FETCH_TIME: Duration = Duration::from_secs(5);
const MOST_BYTES: u64 = 1024 * 1024;
const PAUSE: Duration = Duration::from_secs(10);
/// A file costs less.
const FILE_PAUSE: Duration = Duration::from_millis(200);

impl Source {
    pub(super) fn new(issuer: &Issuer) -> Self {
        Self {
            place: issuer.keys.clone(),
            roots: issuer.root_certificates.clone(),
            holding: issuer.holding,
            held: ArcSwapOption::empty(),
            tried: Mutex::new(None),
        }
    }

    /// The keys to look in for one with this id. Those that are held and have it are given at once, unless it is time to look for them
    /// again: a key that was withdrawn is not used for longer. When that fails they are believed for a while.
    pub(super) async fn keys(&self, id: Option<&str>) -> Result<Arc<KeySet>, SourceError> {
        let usable = |held: &Arc<Held>| held.at.elapsed() <= self.holding.max_age;
        let renewed = self.renew(id).await;
        match self.held.load_full().filter(usable) {
            Some(held) => Ok(Arc::clone(&held.keys)),
            None => Err(renewed.err().unwrap_or(SourceError::Waiting)),
        }
    }

    /// Looks for the keys again, unless they are fresh and have this id, or somebody just did.
    async fn renew(&self, id: Option<&str>) -> Result<(), SourceError> {
        let fresh = || self.held.load().as_ref().is_some_and(|held| held.at.elapsed() <= self.holding.refresh && held.keys.has(id));
        if fresh() {
            return Ok(());
        }
        let mut tried = self.tried.lock().await;
        if fresh() {
            return Ok(());
        }
        if tried.is_some_and(|at| at.elapsed() < self.pause()) {
            return Err(SourceError::Waiting);
        }
        *tried = Some(Instant::now());
        let fetched = self.fetch().await;
        if let Err(error) = &fetched {
            tracing::warn!("keys of an issuer: {error}");
        }
        self.held.store(Some(Arc::new(Held { keys: Arc::new(fetched?), at: Instant::now() })));
        Ok(())
    }

    fn pause(&self) -> Duration {
        match self.place {
            KeyPlace::File(_) => FILE_PAUSE,
            KeyPlace::Url(_) => PAUSE,
        }
    }

    async fn fetch(&self) -> Result<KeySet, SourceError> {
        let (place, text) = match &self.place {
            KeyPlace::File(path) => {
                let name = path.display().to_string();
                let text = tokio::fs::read(path).await.map_err(|cause| SourceError::File { path: name.clone(), cause })?;
                (name, text)
            }
            KeyPlace::Url(url) => {
                let (address, roots) = (url.clone(), self.roots.clone());
                let got = tokio::task::spawn_blocking(move || get(&address, roots)).await;
                let text = got.map_err(|error| error.to_string()).and_then(|got| got);
                (url.clone(), text.map_err(|cause| SourceError::Fetch { url: url.clone(), cause })?)
            }
        };
        KeySet::parse(&text).map_err(|cause| SourceError::Keys { place, cause })
    }
}

/// GET, without following redirects: the configured address is the one that is trusted.
fn get(url: &str, roots: Option<PathBuf>) -> Result<Vec<u8>, String> {
    let roots = match roots {
        None => RootCerts::WebPki,
        Some(path) => RootCerts::from(certificates(&path)?),
    };
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(FETCH_TIME))
        .max_redirects(0)
        // A proxy of the environment would see, and could change, what is fetched from this machine without TLS.
        .proxy(None)
        .http_status_as_error(false)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    let asked = ureq::Agent::new_with_config(config).get(url).header("accept", "application/jwk-set+json, application/json");
    let response = asked.call().map_err(|error| error.to_string())?;
    if response.status() != 200 {
        return Err(format!("answered {}", response.status().as_u16()));
    }
    let mut text = Vec::new();
    let mut body = response.into_body().into_reader().take(MOST_BYTES + 1);
    body.read_to_end(&mut text).map_err(|error| error.to_string())?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MOST_BYTES { Err("answered too much".to_owned()) } else { Ok(text) }
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let found = parse_pem(&text).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() { Err(format!("{}: no certificate", path.display())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn source(path: &std::path::Path, refresh: Duration, max_age: Duration) -> Arc<Source> {
        let (place, holding) = (KeyPlace::File(path.to_owned()), KeyHolding { refresh, max_age });
        Arc::new(Source { place, roots: None, holding, held: ArcSwapOption::empty(), tried: Mutex::new(None) })
    }

    async fn past(pause: Duration) {
        tokio::time::advance(pause).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_known_is_looked_for_but_not_at_once_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, ONE).unwrap();
        let source = source(&path, Duration::from_secs(300), Duration::from_secs(3600));
        assert!(source.keys(Some("one")).await.unwrap().has(Some("one")));
        std::fs::write(&path, ONE.replace("one", "two")).unwrap();
        assert!(!source.keys(Some("two")).await.unwrap().has(Some("two")), "it was tried a moment ago");
        past(FILE_PAUSE).await;
        assert!(source.keys(Some("two")).await.unwrap().has(Some("two")));
        assert!(!source.keys(Some("one")).await.unwrap().has(Some("one")), "what was withdrawn is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_cannot_be_had_again_are_believed_until_they_are_too_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, ONE).unwrap();
        let source = source(&path, Duration::from_secs(10), Duration::from_secs(60));
        assert!(source.keys(Some("one")).await.is_ok());
        std::fs::remove_file(&path).unwrap();
        past(Duration::from_secs(60)).await;
        assert!(source.keys(Some("one")).await.is_ok());
        past(Duration::from_secs(1)).await;
        assert!(matches!(source.keys(Some("one")).await, Err(SourceError::File { .. } | SourceError::Waiting)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_withdrawn_is_not_used_after_the_time_of_a_refresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, ONE).unwrap();
        let source = source(&path, Duration::from_secs(10), Duration::from_secs(60));
        assert!(source.keys(Some("one")).await.is_ok());
        std::fs::write(&path, ONE.replace("one", "two")).unwrap();
        past(Duration::from_secs(11)).await;
        assert!(!source.keys(Some("one")).await.unwrap().has(Some("one")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_key_set_gives_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "<html>").unwrap();
        let source = source(&path, Duration::from_secs(10), Duration::from_secs(60));
        assert!(matches!(source.keys(None).await, Err(SourceError::Keys { cause: KeySetError::NoSet, .. })));
    }
}
