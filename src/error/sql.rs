//! The errors of the pipeline.
//!
//! Positions are in bytes from 1 of the statement's text; the session turns them into characters.

#[cfg(test)]
mod tests;

use tokio_postgres::error::SqlState;

use super::Report;
use crate::authn::READING_SCOPE;
use crate::policy::{Level, Privilege};
use crate::sql::authorize::Lack;
use crate::sql::parse::hint;
use crate::sql::rewrite::policy::DefinitionError;
use crate::sql::{AuthorizeError, Mistake, ParseError, ResolveError, RewriteError};

impl From<&ParseError> for Report {
    fn from(error: &ParseError) -> Self {
        let message = error.to_string();
        match error {
            ParseError::Syntax { position, .. } => {
                let hint = hint(&message);
                let report = Self::error(SqlState::SYNTAX_ERROR, message).position(from_one(*position));
                match hint {
                    Some(hint) => report.hint(hint),
                    None => report,
                }
            }
            ParseError::TooLong { .. } => Self::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message),
            ParseError::TooComplex { .. } => Self::error(SqlState::STATEMENT_TOO_COMPLEX, message),
            ParseError::NulByte { position } => {
                Self::error(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message).position(from_one(Some(*position)))
            }
            ParseError::Unreadable => Self::error(SqlState::FEATURE_NOT_SUPPORTED, message),
        }
    }
}

impl From<&ResolveError> for Report {
    fn from(error: &ResolveError) -> Self {
        let message = error.to_string();
        let report = match error {
            ResolveError::UndefinedRelation { .. } => Self::error(SqlState::UNDEFINED_TABLE, message),
            ResolveError::ElsewhereThan { .. } => Self::error(SqlState::INVALID_SCHEMA_DEFINITION, message),
            ResolveError::LaterItem { name, .. } => Self::error(SqlState::UNDEFINED_TABLE, message)
                .detail(format!("There is a WITH item named \"{name}\", but it cannot be referenced from this part of the query."))
                .hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references."),
            ResolveError::UndefinedSchema { .. } => Self::error(SqlState::INVALID_SCHEMA_NAME, message),
            ResolveError::NoSchema => Self::error(SqlState::INVALID_SCHEMA_NAME, message),
            ResolveError::UndefinedFunction { .. } => Self::error(SqlState::UNDEFINED_FUNCTION, message),
            ResolveError::UndefinedColumn { .. } => Self::error(SqlState::UNDEFINED_COLUMN, message),
            ResolveError::UndefinedConstraint { .. } => Self::error(SqlState::UNDEFINED_OBJECT, message),
            ResolveError::HiddenColumn { .. } => Self::error(SqlState::AMBIGUOUS_COLUMN, message).hint(HIDDEN),
            ResolveError::GovernedInPolicy { .. } => Self::error(SqlState::FEATURE_NOT_SUPPORTED, message),
            ResolveError::CrossDatabase { .. } => Self::error(SqlState::FEATURE_NOT_SUPPORTED, message),
            ResolveError::NotATable { kind, .. } => {
                Self::error(SqlState::WRONG_OBJECT_TYPE, message).detail(format!("This operation is not supported for {kind}."))
            }
            ResolveError::Unsupported { detail, hint, .. } => {
                let mut report = Self::error(SqlState::FEATURE_NOT_SUPPORTED, message);
                report.detail.clone_from(detail);
                report.hint.clone_from(hint);
                report
            }
            ResolveError::Refused { mistake, .. } => Self::error(
                match mistake {
                    Mistake::Syntax => SqlState::SYNTAX_ERROR,
                    Mistake::Feature => SqlState::FEATURE_NOT_SUPPORTED,
                    Mistake::Missing => SqlState::UNDEFINED_OBJECT,
                },
                message,
            ),
            ResolveError::AdministratorsOnly { reason, .. } => Self::error(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail(*reason)
                .hint("Ask an administrator, a member of the group admins."),
            ResolveError::UndefinedObject { .. } => Self::error(SqlState::UNDEFINED_OBJECT, message),
            ResolveError::ProtectedSchema { .. } => Self::error(SqlState::INSUFFICIENT_PRIVILEGE, message),
            ResolveError::ProtectedRelation { reason, .. }
            | ResolveError::ProtectedParameter { reason, .. }
            | ResolveError::ProtectedCommand { reason, .. } => {
                Self::error(SqlState::INSUFFICIENT_PRIVILEGE, message).detail(*reason)
            }
            ResolveError::ProtectedFunction { reason, .. } => {
                Self::error(SqlState::INSUFFICIENT_PRIVILEGE, message).detail(reason.as_str())
            }
            ResolveError::ParameterValue { reason, .. } => Self::error(SqlState::INVALID_PARAMETER_VALUE, message).detail(*reason),
            ResolveError::Broken { reason, .. } => {
                let report = Self::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
                match reason {
                    Some(reason) => report.detail(format!("{reason}.")),
                    None => report
                        .detail("What protects it cannot be enforced at the moment.")
                        .hint("Ask an administrator to look at its row filter and masks."),
                }
            }
            ResolveError::UndefinedStatement { .. } => Self::error(SqlState::INVALID_SQL_STATEMENT_NAME, message),
            ResolveError::UndefinedCursor { .. } => Self::error(SqlState::INVALID_CURSOR_NAME, message),
            ResolveError::Unexpected { .. } => Self::error(SqlState::FEATURE_NOT_SUPPORTED, message),
        };
        report.position(from_one(error.position()))
    }
}

impl From<&AuthorizeError> for Report {
    fn from(error: &AuthorizeError) -> Self {
        match error {
            AuthorizeError::Denied { lacks, .. } => denied(lacks),
            AuthorizeError::Scope => lacks_scope(error.to_string()),
        }
    }
}

/// A statement or command that a token for reading is too narrow for.
pub(super) fn lacks_scope(message: String) -> Report {
    Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message).detail(format!(
        "It has \"{READING_SCOPE}\", which is for statements that only read and for functions that are not VOLATILE."
    ))
}

/// The first thing that is missing makes the message; all of them make the detail.
fn denied(lacks: &[Lack]) -> Report {
    let Some(first) = lacks.first() else {
        return Report::error(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied");
    };
    // What there is one of has no name beside what it is called.
    let object = if first.securable.is_empty() { first.noun.to_owned() } else { format!("{} {}", first.noun, first.label) };
    let message = match first.level {
        Level::Privilege => format!("permission denied for {object}"),
        Level::OrManage | Level::Ownership => format!("must be owner of {object}"),
    };
    let detail = lacks.iter().map(needed).collect::<Vec<_>>().join(" ");
    let report = Report::error(SqlState::INSUFFICIENT_PRIVILEGE, message).detail(detail);
    let Some(grantee) = &first.grantee else { return report };
    let who = first.owner.as_ref().map_or_else(|| "An administrator".to_owned(), |o| format!("{o} or an administrator"));
    let grantee = crate::name::quote_identifier(grantee);
    let on = format!("{} {}", first.keyword, first.securable);
    let on = on.trim_end();
    report.hint(match first.level {
        _ if first.keyword == "TYPE" => format!("{who} can do it."),
        Level::Ownership => format!("{who} can give it away: ALTER {on} OWNER TO {grantee}."),
        Level::Privilege | Level::OrManage => format!("{who} can grant it: GRANT {} ON {on} TO {grantee}.", first.privilege),
    })
}

fn needed(lack: &Lack) -> String {
    let object = if lack.securable.is_empty() { lack.keyword.to_owned() } else { format!("{} {}", lack.noun, lack.securable) };
    let on = format!("{} on {object}", lack.privilege);
    let what = match lack.level {
        Level::Privilege => on,
        Level::OrManage if lack.privilege == Privilege::Manage => format!("Ownership of {object} or MANAGE on it"),
        Level::OrManage => format!("Ownership of {object}, or {} or MANAGE on it,", lack.privilege),
        Level::Ownership => format!("Ownership of {object}"),
    };
    match (&lack.view, lack.level, lack.privilege) {
        (Some(view), _, _) => format!("The owner of view {view} lacks {what}."),
        (None, Level::Privilege, Privilege::Manage) => {
            format!("{what} is needed, because the plan would show the row filter or masks.")
        }
        (None, _, _) => format!("{what} is needed."),
    }
}

impl From<&RewriteError> for Report {
    fn from(error: &RewriteError) -> Self {
        match error {
            RewriteError::Guard => Self::error(SqlState::FEATURE_NOT_SUPPORTED, "statement cannot be rewritten safely")
                .detail("The text that would be sent does not say exactly what was authorized."),
        }
    }
}

impl From<&DefinitionError> for Report {
    fn from(error: &DefinitionError) -> Self {
        match error {
            DefinitionError::Parse(inner) => Self { position: None, ..inner.into() },
            DefinitionError::Resolve(inner) => Self { position: None, ..inner.into() },
            DefinitionError::Rewrite(inner) => inner.into(),
            DefinitionError::Shape(_) => Self::error(SqlState::SYNTAX_ERROR, error.to_string()),
            DefinitionError::UndefinedColumn { .. } => Self::error(SqlState::UNDEFINED_COLUMN, error.to_string()),
            DefinitionError::Governed { .. } => Self::error(SqlState::FEATURE_NOT_SUPPORTED, error.to_string()),
            DefinitionError::Hidden { .. } => Self::error(SqlState::AMBIGUOUS_COLUMN, error.to_string()).hint(HIDDEN),
        }
    }
}

fn from_one(position: Option<usize>) -> Option<usize> {
    position.map(|bytes| bytes + 1)
}

const HIDDEN: &str = "Give the relation in the sub-select an alias with other column names, or use IN.";
