//! Events → lines of the log, target `pgusher::audit`.

use std::net::IpAddr;

use super::redact::scrub;
use crate::event::{Event, Interpreter, Statement};

/// Writes events to the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log {
    /// A trail keeps records of statements, logins and changes: the log then has them at level debug only.
    pub beside_trail: bool,
}

impl Interpreter for Log {
    fn interpret(&self, event: &Event) {
        let kept = matches!(
            event,
            Event::LoginRefused { .. }
                | Event::LoggedIn { .. }
                | Event::Statement(_)
                | Event::Governed { .. }
                | Event::Revoked { .. }
                | Event::Closed { .. }
        );
        if !(kept && self.beside_trail && !tracing::enabled!(target: TARGET, tracing::Level::DEBUG)) {
            tell(event);
        }
    }
}

fn tell(event: &Event) {
    match event {
        Event::Accepted { session, address } => {
            tracing::debug!(target: TARGET, event = "accepted", session = session.0, address = %place(*address));
        }
        Event::LoginRefused { session, address, user, reason } => {
            let (address, user, reason) = (place(*address), scrub(user), scrub(reason));
            tracing::info!(target: TARGET, event = "login_refused", session = session.0, user = &*user, address, reason = &*reason);
        }
        Event::LoggedIn { who, created } => {
            let (principal, token, application) = (&*who.principal, &*who.token, scrub(&who.application));
            let actors = who.actors.iter().map(|actor| scrub(actor)).collect::<Vec<_>>().join(" for ");
            let (session, application) = (who.session.0, &*application);
            tracing::info!(target: TARGET, event = "logged_in", session, principal, actors, token, created, application);
        }
        Event::Statement(ended) => statement(ended),
        Event::Governed { who, command } => {
            let (principal, command) = (&*who.principal, scrub(command));
            tracing::info!(target: TARGET, event = "governed", session = who.session.0, principal, command = &*command);
        }
        Event::Revoked { who, reason } => {
            let (principal, reason) = (&*who.principal, &**reason);
            tracing::info!(target: TARGET, event = "revoked", session = who.session.0, principal, reason);
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

fn statement(ended: &Statement) {
    if !tracing::enabled!(target: TARGET, tracing::Level::INFO) {
        return;
    }
    tracing::info!(
        target: TARGET,
        event = "statement",
        session = ended.who.session.0,
        principal = &*ended.who.principal,
        kind = ended.kind,
        outcome = ended.outcome.as_str(),
        sqlstate = &*ended.sqlstate,
        reason = ended.reason.as_deref().map(scrub).as_deref(),
        catalog_version = ended.versions.0,
        policy_version = ended.versions.1,
        rows = ended.rows,
        micros = u64::try_from(ended.duration.as_micros()).unwrap_or(u64::MAX),
        statement = &*scrub(&ended.text),
    );
}

const TARGET: &str = "pgusher::audit";

fn place(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "unix".to_owned(), |address| address.to_string())
}
