//! EXPLAIN ACCESS: what a statement needs, what gives it or that nothing does, and what filters and masks it would meet.

use std::sync::Arc;

use super::filters::source_text;
use super::show::place;
use super::{Ground, Rows};
use crate::catalog::{Governed, Relation};
use crate::error::{GovernError, Report};
use crate::policy::{Allowed, Holder, Oid, PrincipalId, Requirement, Securable, Subject, decide};
use crate::sql::{self, Limits, Remembered, SessionObjects};

/// A session that holds nothing: EXECUTE and FETCH cannot be explained.
struct Nothing;

impl SessionObjects for Nothing {
    fn prepared(&self, _name: &str) -> Option<Remembered> {
        None
    }

    fn cursor(&self, _name: &str) -> Option<Remembered> {
        None
    }
}

/// Rows of (subject, needs, on, decision, because). Nothing is run.
pub(super) fn explain(ground: &Ground<'_>, principal: Option<&str>, statement: &str) -> Result<Rows, GovernError> {
    let subject = subject(ground, principal)?;
    let refused = |report: Report| GovernError::Refused(Box::new(report.position(None)));
    let parsed = sql::parse(statement, &Limits::default()).map_err(|error| refused(Report::from(&error)))?;
    let [parsed] = <[sql::Parsed; 1]>::try_from(parsed)
        .map_err(|_| GovernError::InvalidValue { what: "EXPLAIN ACCESS takes exactly one statement".to_owned(), hint: None })?;
    let resolved = sql::resolve(parsed, &ground.footing, ground.search_path, &subject, &Nothing)
        .map_err(|error| refused(Report::from(&error)))?;
    let requirements = resolved.requirements().clone();
    let mut rows: Rows = requirements.iter().map(|requirement| decided(ground, &subject, requirement)).collect();
    let mut seen: Vec<Oid> = Vec::new();
    for requirement in requirements.iter() {
        if let Securable::Relation(oid) = requirement.securable
            && !seen.contains(&oid)
        {
            // What is on a table that one may not use is not told.
            let may = decide(&ground.footing.policies, &subject, std::slice::from_ref(requirement)).is_ok();
            if may || ground.subject.admin {
                seen.push(oid);
                applied(ground, &subject, oid, &mut rows);
            }
        }
    }
    // What is sent shows filters' and masks' places, so only administrators see it.
    if ground.subject.admin
        && let Ok(permitted) = sql::authorize(Arc::new(sql::analysis(resolved)), &ground.footing, &subject)
    {
        let sent = sql::rewrite(permitted).map_err(|error| refused(Report::from(&error)))?;
        rows.push(row(&subject.name, "", "", "sent", Some(sent.text().to_string())));
    }
    Ok(rows)
}

fn subject(ground: &Ground<'_>, principal: Option<&str>) -> Result<Subject, GovernError> {
    let Some(name) = principal.filter(|name| *name != &*ground.subject.name) else { return Ok(ground.subject.clone()) };
    ground.admin("explain access of others")?;
    let id = ground.principal(name)?.id;
    ground
        .footing
        .policies
        .subject(id)
        .ok_or_else(|| GovernError::InvalidValue { what: format!("principal \"{name}\" is disabled"), hint: None })
}

fn decided(ground: &Ground<'_>, subject: &Subject, requirement: &Requirement) -> Vec<Option<String>> {
    let decision = decide(&ground.footing.policies, subject, std::slice::from_ref(requirement));
    let who = match requirement.holder {
        Holder::Session => subject.name.to_string(),
        Holder::OwnerOfView(view) => {
            let view = ground.footing.catalog.relation(view).map(|r| r.name.to_string()).unwrap_or_default();
            format!("owner of view {view}")
        }
    };
    let on = format!("{} {}", requirement.noun, requirement.label);
    let (word, because) = match decision {
        Ok(reasons) => ("allowed", reasons.first().map(|reason| because(ground, reason))),
        Err(_) => ("denied", Some("no grant".to_owned())),
    };
    row(&who, &requirement.asked(), &on, word, because)
}

fn because(ground: &Ground<'_>, reason: &Allowed) -> String {
    let name = |id: PrincipalId| ground.footing.policies.principal(id).map(|p| p.name.to_string()).unwrap_or_default();
    match reason {
        Allowed::Admin => "administrator".to_owned(),
        Allowed::Owner(owner) => format!("owned by {}", name(*owner)),
        Allowed::Grant(holder, privilege, securable) => {
            let (kind, key) = place(ground, *securable).unwrap_or_default();
            format!("{privilege} on {} granted to {}", format!("{kind} {key}").trim_end(), name(*holder))
        }
    }
}

/// The filter and masks on a relation, its ancestors' included; as written only for those who manage the table.
fn applied(ground: &Ground<'_>, subject: &Subject, oid: Oid, rows: &mut Rows) {
    let catalog = &ground.footing.catalog;
    let Some(relation) = catalog.relation(oid) else { return };
    if let Some(Governed::Refused(why)) = ground.footing.governed(oid) {
        let why = ground.manages(&ground.relation_target(relation)).then(|| why.to_string());
        rows.push(row(&subject.name, "", &named(relation), "refused", why));
        return;
    }
    let family = std::iter::once(oid).chain(catalog.ancestors(oid));
    for relation in family.filter_map(|oid| catalog.relation(oid)) {
        let shown = ground.manages(&ground.relation_target(relation));
        if let Some(filter) = ground.footing.policies.filter(relation.oid) {
            let text = shown.then(|| source_text(&filter.source, "ON"));
            rows.push(row(&subject.name, "ROW FILTER", &named(relation), "applied", text));
        }
        for mask in ground.footing.policies.masks(relation.oid) {
            let text = shown.then(|| source_text(&mask.source, "USING COLUMNS"));
            rows.push(row(&subject.name, "MASK", &format!("column {}.{}", relation.name, mask.column), "applied", text));
        }
    }
}

fn named(relation: &Relation) -> String {
    format!("{} {}", relation.kind.noun(), relation.name)
}

fn row(subject: &str, needs: &str, on: &str, decision: &str, because: Option<String>) -> Vec<Option<String>> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    vec![text(subject), text(needs), text(on), text(decision), because]
}
