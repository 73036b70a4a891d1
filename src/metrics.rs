//! Events → counters, shown in Prometheus' text format.
//!
//! In: every [`Event`]. Out: [`Metrics::text`]. Never: a label with a client's text in it, so the number of series is fixed.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::event::{Event, Interpreter, Outcome, SessionId};
use crate::session::Figures;

/// Upper bounds of the statement duration's buckets, in microseconds.
const BUCKETS: [u64; 12] = [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 1_000_000, 10_000_000, 60_000_000];

const OUTCOMES: [Outcome; 4] = [Outcome::Allowed, Outcome::Denied, Outcome::Refused, Outcome::Failed];

/// Counters since the process began.
#[derive(Debug, Default)]
pub struct Metrics {
    accepted: AtomicU64,
    logins: AtomicU64,
    logins_refused: AtomicU64,
    /// Sessions that logged in and have not ended; clients that never logged in end too.
    sessions: Mutex<HashSet<SessionId>>,
    revoked: AtomicU64,
    statements: [Statements; PLACES],
    governed: AtomicU64,
    published: AtomicU64,
    catalog_version: AtomicU64,
    policy_version: AtomicI64,
    troubles: AtomicU64,
}

/// What is counted of statements: in several places, so that threads seldom write to the same one.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Statements {
    outcomes: [AtomicU64; 4],
    durations: [AtomicU64; BUCKETS.len()],
    micros: AtomicU64,
}

/// In how many places.
const PLACES: usize = 16;

impl Metrics {
    /// Everything, in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut out = String::new();
        counter(&mut out, "pgusher_connections_total", "Connections accepted.", &self.accepted);
        counter(&mut out, "pgusher_logins_total", "Principals logged in.", &self.logins);
        counter(&mut out, "pgusher_logins_refused_total", "Logins refused.", &self.logins_refused);
        counter(
            &mut out,
            "pgusher_sessions_revoked_total",
            "Sessions ended because token or principal were revoked.",
            &self.revoked,
        );
        let open = i64::try_from(self.sessions().len()).unwrap_or(i64::MAX);
        gauge(&mut out, "pgusher_sessions", "Open sessions.", open);
        self.statements(&mut out);
        counter(&mut out, "pgusher_governance_changes_total", "Changes of policies.", &self.governed);
        counter(&mut out, "pgusher_footings_published_total", "Snapshots of catalog and policies published.", &self.published);
        let catalog = i64::try_from(self.catalog_version.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        gauge(&mut out, "pgusher_catalog_version", "Version of the published catalog.", catalog);
        let policies = self.policy_version.load(Ordering::Relaxed);
        gauge(&mut out, "pgusher_policy_version", "Version of the published policies.", policies);
        counter(&mut out, "pgusher_troubles_total", "Times the store or upstream were not as they should be.", &self.troubles);
        out
    }

    /// A panic elsewhere leaves the set as good as it was.
    fn sessions(&self) -> MutexGuard<'_, HashSet<SessionId>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn statements(&self, out: &mut String) {
        head(out, "pgusher_statements_total", "Statements ended, by outcome.", "counter");
        let sum = |of: &dyn Fn(&Statements) -> &AtomicU64| -> u64 {
            self.statements.iter().map(|place| of(place).load(Ordering::Relaxed)).sum()
        };
        let outcomes: [u64; 4] = std::array::from_fn(|index| sum(&|place| &place.outcomes[index]));
        for (outcome, count) in OUTCOMES.into_iter().zip(outcomes) {
            line(out, &format!("pgusher_statements_total{{outcome=\"{}\"}}", outcome.as_str()), &count);
        }
        let name = "pgusher_statement_duration_seconds";
        head(out, name, "From receiving a statement to its end.", "histogram");
        let mut below = 0;
        for (index, bound) in BUCKETS.iter().enumerate() {
            below += sum(&|place| &place.durations[index]);
            line(out, &format!("{name}_bucket{{le=\"{}\"}}", Duration::from_micros(*bound).as_secs_f64()), &below);
        }
        let all: u64 = outcomes.iter().sum();
        line(out, &format!("{name}_bucket{{le=\"+Inf\"}}"), &all.max(below));
        line(out, &format!("{name}_sum"), &Duration::from_micros(sum(&|place| &place.micros)).as_secs_f64());
        line(out, &format!("{name}_count"), &all.max(below));
    }

    fn statement(&self, session: SessionId, outcome: Outcome, duration: Duration) {
        let place = &self.statements[usize::try_from(session.0 % PLACES as u64).unwrap_or_default()];
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some((_, count)) = OUTCOMES.into_iter().zip(&place.outcomes).find(|(o, _)| *o == outcome) {
            add(count);
        }
        if let Some((_, count)) = BUCKETS.iter().zip(&place.durations).find(|(bound, _)| micros <= **bound) {
            add(count);
        }
        place.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Interpreter for Arc<Metrics> {
    fn interpret(&self, event: &Event) {
        match event {
            Event::Accepted { .. } => add(&self.accepted),
            Event::LoginRefused { .. } => add(&self.logins_refused),
            Event::LoggedIn { who, .. } => {
                if self.sessions().insert(who.session) {
                    add(&self.logins);
                }
            }
            Event::Statement(ended) => self.statement(ended.who.session, ended.outcome, ended.duration),
            Event::Governed { .. } => add(&self.governed),
            Event::Revoked { .. } => add(&self.revoked),
            Event::Closed { session, .. } => {
                self.sessions().remove(session);
            }
            Event::Published { catalog, policies } => {
                add(&self.published);
                self.catalog_version.store(*catalog, Ordering::Relaxed);
                self.policy_version.store(*policies, Ordering::Relaxed);
            }
            Event::Trouble { .. } => add(&self.troubles),
        }
    }
}

/// A gauge in Prometheus' text format.
pub fn gauge(out: &mut String, name: &str, help: &str, value: i64) {
    head(out, name, help, "gauge");
    line(out, name, &value);
}

fn counter(out: &mut String, name: &str, help: &str, value: &AtomicU64) {
    head(out, name, help, "counter");
    line(out, name, &value.load(Ordering::Relaxed));
}

/// What the cache of analysed statements did, and what it holds.
pub fn statement_cache(out: &mut String, figures: &Figures) {
    let name = "pgusher_statement_lookups_total";
    head(out, name, "Texts of statements, by where their analysis came from.", "counter");
    for (found, count) in
        [("session", figures.remembered), ("shared", figures.hits), ("shape", figures.filled), ("analysed", figures.misses)]
    {
        line(out, &format!("{name}{{from=\"{found}\"}}"), &count);
    }
    let name = "pgusher_statement_cache_evicted_total";
    head(out, name, "Texts thrown out of the shared cache to make room.", "counter");
    line(out, name, &figures.evicted);
    let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
    gauge(out, "pgusher_statement_cache_entries", "Texts in the shared cache.", number(figures.entries));
    gauge(out, "pgusher_statement_cache_bytes", "About how many bytes they take.", number(figures.bytes));
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, value: &dyn std::fmt::Display) {
    let _ = writeln!(out, "{name} {value}");
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Identity, Statement};

    fn identity() -> Arc<Identity> {
        let name = || Arc::from("ann");
        let (session, address, actors) = (SessionId(1), None, Vec::new());
        Arc::new(Identity { session, principal: name(), actors, token: name(), address, application: name(), database: name() })
    }

    fn ended(outcome: Outcome, micros: u64) -> Event {
        Event::Statement(Box::new(Statement {
            who: identity(),
            text: Arc::from("SELECT 1"),
            parameters: None,
            kind: "SELECT",
            outcome,
            sqlstate: "00000".into(),
            reason: None,
            objects: None,
            versions: (1, 1),
            rows: 1,
            bytes: 1,
            duration: Duration::from_micros(micros),
        }))
    }

    #[test]
    fn statements_are_counted_by_outcome_and_by_duration() {
        let metrics = Arc::new(Metrics::default());
        for event in [ended(Outcome::Allowed, 100), ended(Outcome::Allowed, 300), ended(Outcome::Denied, 100_000_000)] {
            metrics.interpret(&event);
        }
        let text = metrics.text();
        for expected in [
            "pgusher_statements_total{outcome=\"allowed\"} 2",
            "pgusher_statements_total{outcome=\"denied\"} 1",
            "pgusher_statement_duration_seconds_bucket{le=\"0.00025\"} 1",
            "pgusher_statement_duration_seconds_bucket{le=\"0.0005\"} 2",
            "pgusher_statement_duration_seconds_bucket{le=\"60\"} 2",
            "pgusher_statement_duration_seconds_bucket{le=\"+Inf\"} 3",
            "pgusher_statement_duration_seconds_sum 100.0004",
            "pgusher_statement_duration_seconds_count 3",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn the_open_sessions_are_those_logged_in_and_not_closed() {
        let metrics = Arc::new(Metrics::default());
        metrics.interpret(&Event::LoggedIn { who: identity(), created: false });
        assert!(metrics.text().contains("\npgusher_sessions 1\n"));
        metrics.interpret(&Event::Closed { session: SessionId(1), duration: Duration::ZERO });
        assert!(metrics.text().contains("\npgusher_sessions 0\n"));
    }
}
