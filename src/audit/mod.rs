//! Events → lines of the log, target `pgusher::audit`.
//!
//! In: every [`Event`]. Out: structured log lines, JSON where the log is. Never: a token, a password, anything a client gave as one.

use std::net::IpAddr;

use crate::event::{Event, Interpreter};

/// Writes every event to the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Interpreter for Log {
    fn interpret(&self, event: &Event) {
        match event {
            Event::Accepted { session, address } => {
                tracing::debug!(target: TARGET, event = "accepted", session = session.0, address = %place(*address));
            }
            Event::LoginRefused { session, user, reason } => {
                tracing::info!(target: TARGET, event = "login_refused", session = session.0, user = &**user, reason = &**reason);
            }
            Event::LoggedIn { session, principal, token, actors, created, application } => {
                let (principal, token, application) = (&**principal, &**token, &**application);
                let actors = actors.join(" for ");
                tracing::info!(target: TARGET, event = "logged_in", session = session.0, principal, actors, token, created, application);
            }
            Event::Statement { session, principal, text, kind, outcome, sqlstate, reason, versions, duration } => {
                tracing::info!(
                    target: TARGET,
                    event = "statement",
                    session = session.0,
                    principal = &**principal,
                    kind,
                    outcome = outcome.as_str(),
                    sqlstate = &**sqlstate,
                    reason = reason.as_deref(),
                    catalog_version = versions.0,
                    policy_version = versions.1,
                    micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                    statement = &**text,
                );
            }
            Event::Governed { session, principal, command } => {
                let (principal, command) = (&**principal, &**command);
                tracing::info!(target: TARGET, event = "governed", session = session.0, principal, command);
            }
            Event::Revoked { session, principal } => {
                tracing::info!(target: TARGET, event = "revoked", session = session.0, principal = &**principal);
            }
            Event::Closed { session, duration } => {
                let seconds = duration.as_secs_f64();
                tracing::info!(target: TARGET, event = "closed", session = session.0, seconds);
            }
            Event::Published { catalog, policies } => {
                tracing::info!(target: TARGET, event = "published", catalog_version = catalog, policy_version = policies);
            }
            Event::Trouble { part, message } => {
                tracing::warn!(target: TARGET, event = "trouble", part, message = &**message);
            }
        }
    }
}

const TARGET: &str = "pgusher::audit";

fn place(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "unix".to_owned(), |address| address.to_string())
}
