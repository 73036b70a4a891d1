//! What is told of statements: one event each, when it ends, and before its client hears so.

use std::sync::Arc;
use std::time::Instant;

use super::Reply;
use super::expected::{Completion, Expected, Running};
use super::run::{Rest, Session};
use super::script::{Part, contains_folded};
use crate::catalog::{Footing, Governed};
use crate::error::Report;
use crate::error::session::{Refusal, SessionError};
use crate::event::{Applied, Event, Findings, Object, Outcome, Statement};
use crate::policy::{Allowed, Oid, PolicySnapshot, PolicySource, Privilege, Requirement};
use crate::sql::authorize::named;
use crate::sql::{AuthorizeError, StatementKind};
use crate::wire::frame;

/// Rows and their bytes that went to the client since the last record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    rows: u64,
    bytes: u64,
}

impl Tally {
    /// A frame with a row.
    pub(super) fn add(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes as u64;
    }

    /// Rows that a COPY brought.
    pub(super) fn copied(&mut self, tag: &str) {
        self.rows = rows_of(tag).unwrap_or_default();
    }
}

impl Session {
    /// Tells of a statement that ended; `tag`: of its CommandComplete. What the client is told from now on waits for the record.
    pub(super) fn record(
        &mut self,
        running: &Running,
        tag: Option<&str>,
        outcome: Outcome,
        sqlstate: &str,
        reason: Option<Arc<str>>,
    ) {
        let Some(part) = running.current() else { return };
        let objects = self.environment.events.are_recorded().then(|| self.objects(part));
        let text = if holds_secrets(part.rewritten.kind()) { without_options(&part.text) } else { part.text.clone() };
        let statement = self.statement(text, outcome, sqlstate, tag, running.started);
        let (kind, parameters) = (part.rewritten.kind().label(), running.parameters.clone());
        self.tell(Statement { kind, parameters, reason, objects, ..statement });
    }

    /// Tells of a statement that was refused.
    pub(super) fn record_refusal(&mut self, refusal: &Refusal, report: &Report, text: Arc<str>, started: Instant) {
        let text = if contains_folded(&text, "mapping") { without_options(&text) } else { text };
        let outcome = if refusal.is_denial() { Outcome::Denied } else { Outcome::Refused };
        let statement = Statement {
            reason: Some(refusal.to_string().into()),
            objects: self.environment.events.are_recorded().then(|| denied(refusal)).flatten().map(Arc::new),
            ..self.statement(text, outcome, report.code.code(), None, started)
        };
        if matches!(refusal, Refusal::Unrecorded) {
            // Nobody can wait for that record.
            self.environment.events.emit(Event::Statement(Box::new(statement)));
        } else {
            self.tell(statement);
        }
    }

    /// Tells of a governance command that ran.
    pub(super) fn record_governance(&mut self, text: &Arc<str>, started: Instant, reply: &Reply) {
        self.tally.rows = reply.rows.len() as u64;
        if reply.changed {
            let event = Event::Governed { who: self.identity.clone(), command: text.clone() };
            self.environment.events.emit_for(event, &self.exchange.receipts);
        }
        let statement = Statement { kind: "governance", ..self.statement(text.clone(), Outcome::Allowed, "00000", None, started) };
        self.tell(statement);
    }

    /// Tells that a transaction which we began for the client's statements could not be committed.
    pub(super) fn record_lost_commit(&mut self, report: &Report) {
        let reason = format!("what this transaction did is rolled back: {}", report.message);
        let statement = self.statement(Arc::from("COMMIT"), Outcome::Failed, report.code.code(), None, Instant::now());
        self.tell(Statement { kind: "COMMIT", reason: Some(reason.into()), ..statement });
    }

    /// Tells of what still ran when the session ended: it may have taken effect, and its client does not hear.
    pub(super) fn record_unfinished(&mut self, error: Option<&SessionError>) {
        let unfinished: Vec<Running> = self.expected.iter().filter_map(Expected::running).cloned().collect();
        let (code, reason) = match error {
            Some(error) => (Report::from(error).code.code().to_owned(), error.to_string()),
            None => ("08006".to_owned(), "the client went away".to_owned()),
        };
        for running in unfinished {
            let reason = format!("the session ended before it did, and whether it took effect is not known: {reason}");
            self.record(&running, None, Outcome::Failed, &code, Some(reason.into()));
        }
    }

    /// What an error of upstream's is about: the first statement that waits for an answer. Our own steps are not.
    pub(super) fn failing(&self) -> Option<Running> {
        for expected in &self.expected {
            let script = match expected {
                Expected::Execute(running) | Expected::Query(running) => {
                    let ours = running.ending == Completion::Swallowed && !running.copies();
                    return (!ours).then(|| running.clone());
                }
                Expected::Parse { script: Some((script, part)), shown: true, .. } => Some((script, *part)),
                Expected::Bind { script: Some(script), shown: true } => Some((script, 0)),
                Expected::Parse { .. }
                | Expected::Bind { .. }
                | Expected::Describe { .. }
                | Expected::Close { .. }
                | Expected::Local { .. } => None,
                Expected::Sync { .. } | Expected::Refused(_) => return None,
            };
            if let Some((script, part)) = script {
                return Some(Running { part, ..Running::new(Some(script.clone()), Instant::now(), Completion::Plain) });
            }
        }
        None
    }

    fn statement(&mut self, text: Arc<str>, outcome: Outcome, sqlstate: &str, tag: Option<&str>, started: Instant) -> Statement {
        let Tally { rows, bytes } = std::mem::take(&mut self.tally);
        Statement {
            who: self.identity.clone(),
            text,
            parameters: None,
            kind: "",
            outcome,
            sqlstate: if sqlstate == SUCCESS { SUCCESS.into() } else { sqlstate.to_owned().into() },
            reason: None,
            objects: None,
            versions: self.footing.versions(),
            rows: tag.and_then(rows_of).unwrap_or(rows),
            bytes,
            duration: self.moment().saturating_duration_since(started),
        }
    }

    fn tell(&mut self, statement: Statement) {
        self.environment.events.emit_for(Event::Statement(Box::new(statement)), &self.exchange.receipts);
        self.hold();
    }

    /// What the client is told from now on waits for the records.
    pub(super) fn hold(&mut self) {
        self.exchange.hold(self.upstream_rest == Rest::None);
        self.say_copy_done();
    }

    /// The end of a COPY's data is the end of the statement to some clients: it is said when that is on record.
    pub(super) fn say_copy_done(&mut self) {
        if std::mem::take(&mut self.copy_done) {
            frame::write(&mut self.exchange.outbox, b'c', |_| {});
        }
    }

    fn objects(&self, part: &Part) -> Arc<Findings> {
        let found = || {
            let remembered = part.rewritten.remembered();
            Arc::new(objects(&remembered.requirements, part.rewritten.reasons(), &self.footing))
        };
        part.objects.get_or_init(found).clone()
    }
}

/// The number of rows that a command tag ends in.
fn rows_of(tag: &str) -> Option<u64> {
    tag.rsplit(' ').next()?.parse().ok()
}

fn objects(requirements: &[Requirement], reasons: &[Allowed], footing: &Footing) -> Findings {
    let mut found = Findings::default();
    for requirement in requirements {
        let object = Object {
            name: named(requirement.securable, &footing.catalog).unwrap_or_else(|| requirement.label.to_string()),
            privilege: requirement.asked(),
            columns: requirement.columns.clone(),
        };
        let list = match requirement.privilege {
            Privilege::Select | Privilege::ReadMetadata => &mut found.reads,
            Privilege::Modify | Privilege::Create | Privilege::CreateNamedFunction | Privilege::Manage => &mut found.writes,
            Privilege::Execute | Privilege::UseConnection | Privilege::AllPrivileges => &mut found.uses,
        };
        if !list.contains(&object) {
            list.push(object);
        }
        if let Some(relation) = requirement.securable.relation() {
            applied(relation, requirement, footing, &mut found);
        }
    }
    for reason in reasons {
        let reason = told(reason, footing);
        if !found.reasons.contains(&reason) {
            found.reasons.push(reason);
        }
    }
    found
}

/// The filters and masks of a relation, its ancestors' among them.
fn applied(relation: Oid, requirement: &Requirement, footing: &Footing, found: &mut Findings) {
    let Some(Governed::Table(table)) = footing.governed(relation) else { return };
    let policies: &PolicySnapshot = &footing.policies;
    let name = named(requirement.securable, &footing.catalog).unwrap_or_else(|| requirement.label.to_string());
    let lineage: Vec<Oid> = std::iter::once(relation).chain(footing.catalog.ancestors(relation)).collect();
    if table.filtered {
        for filter in lineage.iter().filter_map(|oid| policies.filter(*oid)) {
            let filter = Applied { on: name.clone(), by: source(&filter.source) };
            if !found.filters.contains(&filter) {
                found.filters.push(filter);
            }
        }
    }
    let reads = matches!(requirement.privilege, Privilege::Select);
    for mask in lineage.iter().flat_map(|oid| policies.masks(*oid)).filter(|_| reads) {
        let column = mask.column.as_str();
        let touched = requirement.columns.is_empty() || requirement.columns.iter().any(|c| &**c == column || &**c == "*");
        let mask = Applied { on: format!("{name}.{column}"), by: source(&mask.source) };
        if touched && !found.masks.contains(&mask) {
            found.masks.push(mask);
        }
    }
}

fn source(of: &PolicySource) -> String {
    match of {
        PolicySource::Function { name, .. } => name.to_string(),
        PolicySource::Expression(text) => text.to_string(),
    }
}

fn told(reason: &Allowed, footing: &Footing) -> String {
    let name = |id| footing.policies.principal(id).map_or_else(|| "?".to_owned(), |principal| principal.name.to_string());
    match reason {
        Allowed::Admin => "administrator".to_owned(),
        Allowed::Owner(owner) => format!("owner {}", name(*owner)),
        Allowed::Grant(to, privilege, securable) => {
            let on = named(*securable, &footing.catalog).unwrap_or_else(|| "?".to_owned());
            format!("grant {privilege} ON {on} TO {}", name(*to))
        }
    }
}

/// What was asked for, and is missing.
fn denied(refusal: &Refusal) -> Option<Findings> {
    let lacks = match refusal {
        Refusal::Authorize(AuthorizeError::Denied { lacks, .. }) => lacks,
        Refusal::Authorize(AuthorizeError::Scope) => {
            return Some(Findings { reasons: vec![AuthorizeError::Scope.to_string()], ..Findings::default() });
        }
        Refusal::Elsewhere { refusal, .. } => return denied(refusal),
        _ => return None,
    };
    let mut found = Findings::default();
    for lack in lacks {
        let object = Object { name: lack.securable.clone(), privilege: lack.privilege.to_string(), columns: Vec::new() };
        match lack.privilege {
            Privilege::Select | Privilege::ReadMetadata => found.reads.push(object),
            Privilege::Modify | Privilege::Create | Privilege::CreateNamedFunction | Privilege::Manage => found.writes.push(object),
            Privilege::Execute | Privilege::UseConnection | Privilege::AllPrivileges => found.uses.push(object),
        }
        let holder = match (&lack.view, &lack.grantee) {
            (Some(view), _) => format!("the owner of view {view}"),
            (None, Some(grantee)) => grantee.clone(),
            (None, None) => "the principal".to_owned(),
        };
        found.reasons.push(format!("{holder} lacks {} ON {} {}", lack.privilege, lack.keyword, lack.securable));
    }
    Some(found)
}

/// The SQLSTATE of success.
const SUCCESS: &str = "00000";

/// Statements whose options are credentials.
fn holds_secrets(kind: StatementKind) -> bool {
    matches!(kind, StatementKind::CreateUserMapping | StatementKind::AlterUserMapping)
}

/// What stands before the options of a statement.
fn without_options(text: &Arc<str>) -> Arc<str> {
    let at = text.to_ascii_lowercase().find("options").filter(|at| text.is_char_boundary(*at));
    at.map_or_else(|| text.clone(), |at| Arc::from(format!("{}OPTIONS (...)", &text[..at])))
}
