//! The configuration's upstream → what the pool and cancels go by.

use std::path::PathBuf;

use super::connect::{Account, Host, Upstream};
use super::pool::{LaneSettings, PoolSettings};
use super::shared::SharedSettings;
use super::tls::{TlsSetupError, UpstreamTls};
use crate::config::{self, UpstreamEncryption};

impl Upstream {
    /// Reads the root certificates.
    pub fn from_settings(settings: &config::Upstream) -> Result<Self, TlsSetupError> {
        Ok(Self {
            host: if settings.host.starts_with('/') {
                Host::Unix(PathBuf::from(&settings.host))
            } else {
                Host::Tcp(settings.host.clone())
            },
            port: settings.port,
            database: settings.database.clone(),
            tls: match settings.tls {
                UpstreamEncryption::Disabled => UpstreamTls::Disabled,
                UpstreamEncryption::VerifyFull => UpstreamTls::verify_full(settings.root_certificates.as_deref())?,
                UpstreamEncryption::DangerousNoVerify => UpstreamTls::dangerous_no_verify()?,
            },
            connect_timeout: settings.connect_timeout,
        })
    }
}

impl PoolSettings {
    /// Both logins of the configuration, to the upstream already read from it.
    pub fn from_settings(settings: &config::Upstream, upstream: Upstream) -> Self {
        let shared = SharedSettings {
            account: Account { user: settings.session_user.clone(), password: settings.session_password.clone() },
            most: settings.session_connections,
            least: settings.pooling.least,
            most_per_principal: settings.pooling.most_per_principal,
            queue: settings.pooling.queue,
            wait: settings.acquire_timeout,
            idle: settings.pooling.idle,
            statements: settings.pooling.statements,
        };
        Self {
            shared,
            mode: settings.pooling.mode,
            upstream,
            control: LaneSettings {
                account: Account { user: settings.control_user.clone(), password: settings.control_password.clone() },
                max_connections: settings.control_connections,
            },
            wait: settings.acquire_timeout,
        }
    }
}
