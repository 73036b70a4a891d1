//! The configuration → what the listener and startups go by.

use std::sync::Arc;

use super::tls::{TlsSettingsError, towards_clients};
use super::{ListenSettings, TlsSettings, UnixSettings};
use crate::authn::Issuers;
use crate::config::{Listen, Settings};
use crate::startup::{Bearer, Rules, TlsDemand};

/// Anybody may knock at a Unix socket, as with PostgreSQL: it is the token that lets one in.
const UNIX_MODE: u32 = 0o777;

impl From<&Listen> for ListenSettings {
    fn from(listen: &Listen) -> Self {
        Self {
            tcp: listen.addresses.clone(),
            unix: listen
                .unix_socket_directory
                .iter()
                .map(|directory| UnixSettings { directory: directory.clone(), port: listen.port, mode: UNIX_MODE })
                .collect(),
            max_connections: listen.connections,
            drain_timeout: listen.drain_timeout,
        }
    }
}

/// The rules of startups; reads certificate and key.
pub fn rules(settings: &Settings) -> Result<Rules, TlsSettingsError> {
    let tls = settings.tls.as_ref().map(|tls| TlsSettings {
        certificate: tls.certificate.clone(),
        key: tls.private_key.clone(),
        clients: tls.clients.clone(),
    });
    Ok(Rules {
        database: Arc::from(settings.upstream.database.as_str()),
        tls: tls.as_ref().map(towards_clients).transpose()?,
        demand: if settings.tls.as_ref().is_some_and(|tls| tls.required) { TlsDemand::Require } else { TlsDemand::Prefer },
        issuers: Arc::new(Issuers::new(&settings.issuers)),
        bearer: bearer(settings),
        scram: settings.identity.scram,
        certificates: settings.tls.as_ref().and_then(|tls| tls.clients.as_ref()).map(|clients| (clients.role, clients.name)),
        timeout: settings.listen.startup_timeout,
    })
}

/// What clients without a good token are told: where the first issuer tells how to get one (OpenID Connect Discovery section 4).
fn bearer(settings: &Settings) -> Bearer {
    let discovery = settings.issuers.first().map(|issuer| {
        let place = format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/'));
        let scope = &settings.identity.oauth_scope;
        serde_json::json!({"status": "invalid_token", "openid-configuration": place, "scope": scope}).to_string()
    });
    Bearer { login: settings.identity.bearer, discovery: discovery.map(Arc::from) }
}
