//! [`Analysis`] → [`Permitted`], or the reasons why not.
//!
//! In: a statement's requirements, the policies, the principal. Out: the proof, or what is missing in words that a person can act
//! on. Never: SQL.

use std::sync::Arc;

use super::Analysis;
use crate::authn::SQL_SCOPE;
use crate::catalog::{CatalogSnapshot, Footing};
use crate::name::Name;
use crate::policy::{Allowed, Denied, Level, Missing, Privilege, Securable, Subject, decide};

/// Why a statement is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// Privileges are missing.
    #[error("permission denied")]
    Denied {
        /// What the decision said.
        denied: Denied,
        /// The same in words, in the same order.
        lacks: Vec<Lack>,
    },
    /// The session's token is for reading, and the statement does more.
    #[error("permission denied: the token lacks the scope \"{SQL_SCOPE}\"")]
    Scope,
}

/// A privilege that is missing, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The privilege.
    pub privilege: Privilege,
    /// What else would allow it.
    pub level: Level,
    /// `table`, `view`, `function` …
    pub noun: &'static str,
    /// How the message calls the object: its name without schema.
    pub label: String,
    /// The object with its schema, as it would be written in GRANT.
    pub securable: String,
    /// The keyword of GRANT: TABLE, VIEW, FUNCTION …
    pub keyword: &'static str,
    /// The view whose owner lacks it; `None` when the principal does.
    pub view: Option<String>,
    /// Who owns the object.
    pub owner: Option<String>,
    /// Who would be granted it; `None` for a view's owner, whose name is nobody's business.
    pub grantee: Option<String>,
}

/// The proof that a decision allowed this statement.
#[derive(Debug)]
pub struct Permitted {
    pub(in crate::sql) analysis: Arc<Analysis>,
    pub(in crate::sql) reasons: Vec<Allowed>,
}

/// Decides on a statement's requirements, after the scope of the session's token: a grant does not widen that.
pub fn authorize(analysis: Arc<Analysis>, footing: &Footing, subject: &Subject) -> Result<Permitted, AuthorizeError> {
    if subject.bearing.reading && analysis.active() {
        return Err(AuthorizeError::Scope);
    }
    match decide(&footing.policies, subject, analysis.requirements()) {
        Ok(reasons) => Ok(Permitted { analysis, reasons }),
        Err(denied) => {
            let lacks = denied.missing.iter().map(|missing| lack(missing, footing, subject)).collect();
            Err(AuthorizeError::Denied { denied, lacks })
        }
    }
}

fn lack(missing: &Missing, footing: &Footing, subject: &Subject) -> Lack {
    let requirement = &missing.requirement;
    let (keyword, securable) = written(requirement.securable, &footing.catalog);
    let view = missing.view.and_then(|oid| footing.catalog.relation(oid)).map(|relation| relation.name.to_string());
    Lack {
        privilege: requirement.privilege,
        level: requirement.level,
        noun: requirement.noun,
        label: requirement.label.to_string(),
        securable: securable.unwrap_or_else(|| requirement.label.to_string()),
        keyword,
        grantee: missing.view.is_none().then(|| subject.name.to_string()),
        view,
        owner: missing.owner.as_ref().map(|owner| owner.to_string()),
    }
}

/// A securable as GRANT would name it, without the keyword where it has a name.
pub fn named(securable: Securable, catalog: &CatalogSnapshot) -> Option<String> {
    let (keyword, name) = written(securable, catalog);
    name.map(|name| if name.is_empty() { keyword.to_owned() } else { name })
}

/// A securable as GRANT would name it.
fn written(securable: Securable, catalog: &CatalogSnapshot) -> (&'static str, Option<String>) {
    let dotted = |schema, name: &Name| catalog.schema(schema).map(|schema| format!("{}.{}", spelled(&schema.name), spelled(name)));
    match securable {
        Securable::Catalog => ("CATALOG", Some(spelled(&Name::exact(&catalog.database)))),
        Securable::Schema(oid) => ("SCHEMA", catalog.schema(oid).map(|s| spelled(&s.name))),
        Securable::Relation(oid) => match catalog.relation(oid) {
            Some(relation) => {
                use crate::catalog::RelationKind as Kind;
                let keyword = match relation.kind {
                    Kind::View | Kind::MaterializedView => "VIEW",
                    Kind::Table
                    | Kind::PartitionedTable
                    | Kind::ForeignTable
                    | Kind::Sequence
                    | Kind::CompositeType
                    | Kind::Index => "TABLE",
                };
                (keyword, dotted(relation.schema, &relation.name))
            }
            None => ("TABLE", None),
        },
        Securable::Function(oid) => ("FUNCTION", catalog.function(oid).and_then(|f| dotted(f.schema, &f.name))),
        Securable::Type(oid) => ("TYPE", catalog.user_type(oid).and_then(|t| dotted(t.schema, &t.name))),
        Securable::AnonymousFunction => ("ANONYMOUS FUNCTION", Some(String::new())),
        Securable::AnyFile => ("ANY FILE", Some(String::new())),
        Securable::Connection(oid) => ("CONNECTION", catalog.server(oid).map(|s| spelled(&s.name))),
    }
}

/// A name, quoted only where it must be.
fn spelled(name: &Name) -> String {
    let text = name.as_str();
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { text.to_owned() } else { name.quoted() }
}
