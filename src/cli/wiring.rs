//! Settings as meant → the settings of the parts, and what of them fails on the way.

use std::path::PathBuf;

use super::Failure;
use crate::audit::{self, Durability, Key, OnFailure, Sinks, TableSettings, TrailSettings};
use crate::config::{self, Settings};
use crate::policy::Mechanism;
use crate::session::{Bounds, IdleLimits};
use crate::sql::Limits;
use crate::startup::Rules;
use crate::store::{StoreSettings, govern, reconcile};
use crate::upstream::{Account, PoolSettings, Upstream};

/// Where upstream is; reads the root certificates.
pub(super) fn upstream(settings: &Settings) -> Result<Upstream, Failure> {
    Upstream::from_settings(&settings.upstream).map_err(|error| setup("upstream.tls", &error))
}

/// The login of the control plane and of administrators' sessions.
pub(super) fn control_account(settings: &Settings) -> Account {
    Account { user: settings.upstream.control_user.clone(), password: settings.upstream.control_password.clone() }
}

/// The login of ordinary sessions.
pub(super) fn session_account(settings: &Settings) -> Account {
    Account { user: settings.upstream.session_user.clone(), password: settings.upstream.session_password.clone() }
}

/// The pool of upstream connections.
pub(super) fn pool(settings: &Settings) -> Result<PoolSettings, Failure> {
    Ok(PoolSettings::from_settings(&settings.upstream, upstream(settings)?))
}

/// What startups go by; reads the certificate.
pub(super) fn rules(settings: &Settings) -> Result<Rules, Failure> {
    crate::listener::rules(settings).map_err(|error| setup("tls", &error))
}

/// The limits of analysis.
pub(super) fn limits(settings: &Settings) -> Limits {
    Limits { statement_bytes: settings.limits.statement_bytes, ..Limits::default() }
}

/// How much is kept of texts that were analysed.
pub(super) fn readings(settings: &Settings) -> Bounds {
    Bounds { entries: settings.limits.cached_statements, bytes: settings.limits.cached_statement_bytes }
}

/// How long sessions may idle.
pub(super) fn idle(settings: &Settings) -> IdleLimits {
    IdleLimits { session: settings.limits.idle_timeout, transaction: settings.limits.idle_in_transaction_timeout }
}

/// How policies are enforced.
pub(super) fn enforcement(settings: &Settings) -> reconcile::Settings {
    let row_filters = match settings.policies.row_filters {
        config::RowFilters::Rls => Mechanism::Rls,
        config::RowFilters::View => Mechanism::View,
    };
    reconcile::Settings { row_filters, strict: settings.policies.strict }
}

/// What governance goes by.
pub(super) fn terms(settings: &Settings) -> govern::Terms {
    govern::Terms {
        enforcement: enforcement(settings),
        default_lifetime: settings.tokens.default_lifetime,
        max_lifetime: settings.tokens.max_lifetime,
    }
}

/// What the policy store goes by.
pub(super) fn store(settings: &Settings) -> Result<StoreSettings, Failure> {
    Ok(StoreSettings {
        upstream: upstream(settings)?,
        control: control_account(settings),
        terms: terms(settings),
        poll_interval: settings.policies.poll_interval,
        max_age: settings.policies.max_age,
    })
}

/// What the audit trail goes by; `None` where there is none. Reads the key.
pub(super) fn trail(of: &Settings) -> Result<Option<TrailSettings>, Failure> {
    let settings = &of.audit;
    if !settings.is_on() {
        return Ok(None);
    }
    Ok(Some(TrailSettings {
        sinks: Sinks {
            file: settings.file.clone(),
            rotate_bytes: settings.rotate_bytes,
            rotate_keep: settings.rotate_keep,
            stdout: settings.stdout,
            table: match settings.table {
                true => Some(TableSettings { upstream: upstream(of)?, account: control_account(of) }),
                false => None,
            },
        },
        durability: match settings.durability {
            config::AuditDurability::Buffered => Durability::Buffered,
            config::AuditDurability::Written => Durability::Written,
            config::AuditDurability::Synced => Durability::Synced,
        },
        on_failure: match settings.on_failure {
            config::AuditFailure::Refuse => OnFailure::Refuse,
            config::AuditFailure::Continue => OnFailure::Continue,
        },
        literals: settings.literals,
        parameters: settings.parameters,
        key: audit_key(settings)?,
        queue: AUDIT_QUEUE,
        instance: audit::instance(),
    }))
}

/// The key of the audit's hash chain.
pub(super) fn audit_key(settings: &config::Audit) -> Result<Option<Key>, Failure> {
    let read = |path: &PathBuf| Key::read(path).map_err(|why| Failure::Setup(format!("configuration:\naudit.key_file: {why}")));
    settings.key_file.as_ref().map(read).transpose()
}

/// So many records may wait before clients do.
const AUDIT_QUEUE: usize = 10_000;

fn setup(key: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Setup(format!("configuration:\n{key}: {error}"))
}
