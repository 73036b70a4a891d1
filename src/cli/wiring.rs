//! Settings as meant → the settings of the parts, and what of them fails on the way.

use super::Failure;
use crate::config::{self, Settings};
use crate::policy::Mechanism;
use crate::session::IdleLimits;
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

fn setup(key: &str, error: &dyn std::error::Error) -> Failure {
    Failure::Setup(format!("configuration:\n{key}: {error}"))
}
