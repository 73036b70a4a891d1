//! Events → records: one JSON object a line, with the field names of `docs/audit.md`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::chain::{Key, Link};
use super::file::HeadTrouble;
use super::redact::{fingerprint, is_parameterized, redacted, scrub, without_values};
use crate::event::{Applied, Event, Findings, Identity, Object, Outcome, Statement};

/// What the trail says of itself.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// The proxy began to write.
    Started {
        /// What is wrong with the file that says where the chain ended.
        head: Option<HeadTrouble>,
    },
    /// A file was full, and another follows.
    Rotated,
    /// Records could not be written for a while, and so many were not kept.
    Recovered {
        /// How many.
        lost: u64,
        /// Since when.
        since: SystemTime,
    },
    /// The proxy ends, and so many records could not be written.
    Stopped {
        /// How many.
        lost: u64,
    },
}

/// What a record is made of.
pub(super) enum Matter {
    /// Something that happened.
    Event(Event),
    /// Something about the trail.
    Note(Note),
}

/// Makes records, each behind the one before.
pub(super) struct Scribe {
    pub(super) instance: String,
    pub(super) literals: bool,
    /// Whether the values of parameters are recorded.
    pub(super) parameters: bool,
    pub(super) key: Option<Key>,
    pub(super) link: Link,
    texts: HashMap<Arc<str>, Arc<Shown>>,
}

/// What of a text is recorded.
struct Shown {
    fingerprint: String,
    /// Where that is another than the client's.
    text: Option<String>,
    /// The client's speaks of secrets, or literals are left out: values from it are not recorded either.
    withheld: bool,
    /// Values are bound to it that are not recorded.
    bound: bool,
}

impl Shown {
    fn of(text: &str, literals: bool, parameters: bool) -> Self {
        let scrubbed = scrub(text);
        let withheld = !literals || matches!(scrubbed, Cow::Owned(_));
        let shown = if literals { scrubbed } else { Cow::Owned(redacted(&scrubbed)) };
        let text_shown = if let Cow::Owned(shown) = shown { Some(shown) } else { None };
        Self { fingerprint: fingerprint(text), text: text_shown, withheld, bound: !parameters && is_parameterized(text) }
    }
}

impl Scribe {
    /// `shown`: whether literals are, and the values of parameters.
    pub(super) fn new(instance: String, shown: (bool, bool), key: Option<Key>, link: Link) -> Self {
        Self { instance, literals: shown.0, parameters: shown.1, key, link, texts: HashMap::new() }
    }

    /// Writes the record of something; of what is no matter of the audit, none.
    pub(super) fn write(&mut self, lines: &mut Vec<u8>, at: SystemTime, matter: &Matter) {
        let shown = match matter {
            Matter::Event(Event::Statement(statement)) => Some(self.shown(&statement.text)),
            Matter::Event(Event::Governed { command, .. }) => Some(self.shown(command)),
            Matter::Event(_) | Matter::Note(_) => None,
        };
        let previous = hex::encode(self.link.hash);
        let instance = self.instance.clone();
        let blank = || Record { sequence: self.link.sequence + 1, time: moment(at), instance: &instance, ..Record::default() };
        let record = match matter {
            Matter::Note(note) => Record { previous: Some(&previous), ..note_record(blank(), note) },
            Matter::Event(event) => match event_record(blank(), event, shown.as_deref()) {
                Some(record) => record,
                None => return,
            },
        };
        let start = lines.len();
        // Strings, numbers and lists of them: nothing that could fail to be JSON.
        if serde_json::to_writer(&mut *lines, &record).is_err() {
            lines.truncate(start);
            return;
        }
        lines.pop();
        self.link.sequence += 1;
        self.link.seal(self.key.as_ref(), lines, start);
    }

    fn shown(&mut self, text: &Arc<str>) -> Arc<Shown> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shown = Arc::new(Shown::of(text, self.literals, self.parameters));
        if text.len() <= LONG {
            if self.texts.len() >= MOST {
                self.texts.clear();
            }
            self.texts.insert(Arc::clone(text), Arc::clone(&shown));
        }
        shown
    }
}

/// A record. What does not apply is left out.
#[derive(Default, Serialize)]
struct Record<'a> {
    sequence: u64,
    time: String,
    instance: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actors: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Vec<Option<Cow<'a, str>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    decision: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<Touched<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writes: Vec<Touched<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uses: Vec<Touched<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Policy<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    masks: Vec<Policy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
}

#[derive(Serialize)]
struct Touched<'a> {
    securable: &'a str,
    privilege: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    columns: &'a [Arc<str>],
}

#[derive(Serialize)]
struct Policy<'a> {
    on: &'a str,
    by: &'a str,
}

fn note_record<'a>(blank: Record<'a>, note: &Note) -> Record<'a> {
    match note {
        Note::Started { head } => {
            Record { event: "started", version: Some(env!("CARGO_PKG_VERSION")), head: head.map(HeadTrouble::as_str), ..blank }
        }
        Note::Rotated => Record { event: "rotated", ..blank },
        Note::Stopped { lost } => Record { event: "stopped", lost: Some(*lost).filter(|lost| *lost > 0), ..blank },
        Note::Recovered { lost, since } => Record { event: "recovered", lost: Some(*lost), since: Some(moment(*since)), ..blank },
    }
}

fn event_record<'a>(blank: Record<'a>, event: &'a Event, shown: Option<&'a Shown>) -> Option<Record<'a>> {
    Some(match event {
        Event::Statement(statement) => statement_record(of(blank, &statement.who), statement, shown?),
        Event::LoggedIn { who, created } => {
            Record { event: "login", outcome: Some("allowed"), created: created.then_some(true), ..of(blank, who) }
        }
        Event::LoginRefused { session, address, user, reason } => Record {
            event: "login",
            outcome: Some("denied"),
            session: Some(session.0),
            address: *address,
            user: Some(scrub(user)),
            reason: Some(scrub(reason)),
            ..blank
        },
        Event::Governed { who, command } => {
            let text = shown?.text.as_deref().unwrap_or(command);
            Record { event: "change", statement: Some(Cow::Borrowed(text)), ..of(blank, who) }
        }
        Event::Revoked { who, reason } => Record { event: "revocation", reason: Some(scrub(reason)), ..of(blank, who) },
        Event::Accepted { .. } | Event::Closed { .. } | Event::Published { .. } | Event::Trouble { .. } => return None,
    })
}

fn of<'a>(blank: Record<'a>, who: &'a Identity) -> Record<'a> {
    Record {
        session: Some(who.session.0),
        principal: Some(&who.principal),
        actors: who.actors.iter().map(|actor| scrub(actor)).collect(),
        token: Some(&who.token),
        address: who.address,
        application: Some(scrub(&who.application)),
        database: Some(&who.database),
        ..blank
    }
}

fn statement_record<'a>(base: Record<'a>, of: &'a Statement, shown: &'a Shown) -> Record<'a> {
    let objects = of.objects.as_deref().unwrap_or(&NOTHING);
    let parameters = of.parameters.as_deref().filter(|_| !shown.withheld);
    Record {
        event: "statement",
        kind: Some(of.kind).filter(|kind| !kind.is_empty()),
        statement: Some(Cow::Borrowed(shown.text.as_deref().unwrap_or(&of.text))),
        parameters: parameters.map(|values| values.iter().map(|value| value.as_deref().map(scrub)).collect()),
        fingerprint: Some(&shown.fingerprint),
        outcome: Some(of.outcome.as_str()),
        sqlstate: Some(&of.sqlstate),
        reason: of.reason.as_deref().and_then(|reason| reason_shown(reason, of, shown)),
        decision: &objects.reasons,
        reads: touched(&objects.reads),
        writes: touched(&objects.writes),
        uses: touched(&objects.uses),
        filters: policies(&objects.filters),
        masks: policies(&objects.masks),
        rows: Some(of.rows),
        bytes: Some(of.bytes),
        duration_us: Some(u64::try_from(of.duration.as_micros()).unwrap_or(u64::MAX)),
        catalog_version: Some(of.versions.0),
        policy_version: Some(of.versions.1),
        ..base
    }
}

fn touched(objects: &[Object]) -> Vec<Touched<'_>> {
    objects.iter().map(|o| Touched { securable: &o.name, privilege: &o.privilege, columns: &o.columns }).collect()
}

fn policies(applied: &[Applied]) -> Vec<Policy<'_>> {
    applied.iter().map(|a| Policy { on: &a.on, by: &a.by }).collect()
}

/// Upstream's message may quote a literal or a value.
fn reason_shown<'a>(reason: &'a str, of: &Statement, shown: &Shown) -> Option<Cow<'a, str>> {
    let failed = of.outcome == Outcome::Failed;
    if !(shown.withheld || (shown.bound && failed)) {
        return Some(scrub(reason));
    }
    // What a function raises may hold values anywhere.
    let raised = failed && !(of.sqlstate.starts_with(['0', '2', '3', '4', '5']) || of.sqlstate.starts_with("XX"));
    (!raised).then(|| without_values(reason).into())
}

/// A moment: RFC 3339 in UTC, with microseconds.
pub fn moment(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", since.subsec_micros())
}

/// Days since 1970 → year, month, day. The year is counted from March, so that a leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month, day)
}

static NOTHING: Findings = Findings {
    reads: Vec::new(),
    writes: Vec::new(),
    uses: Vec::new(),
    filters: Vec::new(),
    masks: Vec::new(),
    reasons: Vec::new(),
};

/// Texts that are remembered: so many, and so long at most.
const MOST: usize = 1024;
const LONG: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_with_microseconds() {
        let at = |seconds: u64, micros: u32| moment(UNIX_EPOCH + Duration::new(seconds, micros * 1000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_827_696, 5), "2000-02-29T12:34:56.000005Z");
        assert_eq!(at(1_709_251_199, 999_999), "2024-02-29T23:59:59.999999Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }
}
