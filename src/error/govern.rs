//! Governance commands that were understood and cannot be carried out.
//!
//! The enum lives here because `store` stands below this module.

use tokio_postgres::error::SqlState;

use super::{Report, StoreError};
use crate::authn::SQL_SCOPE;
use crate::policy::{PrincipalKind, Privilege};

/// Why a governance command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum GovernError {
    /// Something that only administrators may do.
    #[error("permission denied to {what}")]
    AdminOnly {
        /// What, as a verb phrase.
        what: String,
    },
    /// The subject does not manage the object.
    #[error("must be owner of {noun} {label}")]
    NotManager {
        /// The object's kind.
        noun: &'static str,
        /// Its name.
        label: String,
        /// Its owner, if one is registered.
        owner: Option<String>,
    },
    /// The subject may not use a function in a filter or mask.
    #[error("permission denied for function {label}")]
    NotExecutable {
        /// The function.
        label: String,
    },
    /// The subject may not read a relation that a filter or mask would read for everybody.
    #[error("permission denied for {noun} {label}")]
    NotReadable {
        /// The relation's kind.
        noun: &'static str,
        /// The relation.
        label: String,
    },
    /// A function that a filter or mask would call finds what it reads by its caller's search_path.
    #[error("function {label} cannot be used in a row filter or mask")]
    UnsettledFunction {
        /// The function.
        label: String,
    },
    /// A filter or mask of somebody who is no administrator would call a function that is none of an administrator's.
    #[error("function {label} cannot be called by a row filter or mask")]
    OthersFunction {
        /// The function.
        label: String,
    },
    /// A view or function would get a new owner whom the subject does not belong to.
    #[error("permission denied to give {noun} {label} to \"{owner}\"")]
    NotGivable {
        /// The object's kind.
        noun: &'static str,
        /// Its name.
        label: String,
        /// The owner to be.
        owner: String,
    },
    /// A session by an issuer's JWT asked for a token, which would outlive it.
    #[error("permission denied to create token")]
    VouchedToken,
    /// A session on behalf of somebody asked about that one's tokens.
    #[error("permission denied for tokens")]
    OthersTokens,
    /// A session with a narrowed token is to revoke a wider one.
    #[error("permission denied to revoke token")]
    WiderToken,
    /// A session with a narrowed token asked for a wider one.
    #[error("permission denied to create token")]
    NarrowedToken,
    /// A session whose token is for reading asked for a change.
    #[error("permission denied: the token lacks the scope \"{SQL_SCOPE}\"")]
    Scope,
    /// The subject was dropped or disabled meanwhile.
    #[error("the session's principal may no longer act")]
    SubjectGone,
    /// No such principal.
    #[error("{} \"{name}\" does not exist", kind.map_or("principal", kind_noun))]
    UndefinedPrincipal {
        /// The kind that was asked for, if one was.
        kind: Option<PrincipalKind>,
        /// Its name.
        name: String,
    },
    /// The name is taken.
    #[error("principal \"{name}\" already exists")]
    DuplicatePrincipal {
        /// The name.
        name: String,
        /// What has it.
        kind: PrincipalKind,
    },
    /// The name is reserved.
    #[error("principal name \"{name}\" is reserved")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A principal of another kind.
    #[error("\"{name}\" is not a {}", kind_noun(*wanted))]
    WrongPrincipalKind {
        /// Its name.
        name: String,
        /// What was wanted.
        wanted: PrincipalKind,
        /// What it is.
        found: PrincipalKind,
    },
    /// A built-in group cannot be changed like that.
    #[error("group \"{name}\" {what}")]
    BuiltInGroup {
        /// The group.
        name: String,
        /// What cannot be.
        what: &'static str,
    },
    /// Two groups would contain each other.
    #[error("group \"{member}\" already contains group \"{group}\"")]
    Cycle {
        /// The group to add to.
        group: String,
        /// The member to add.
        member: String,
    },
    /// No administrator would be left.
    #[error("the last administrator cannot be removed")]
    LastAdmin,
    /// A principal still owns objects.
    #[error("{} \"{name}\" cannot be dropped because some objects depend on it", kind_noun(*kind))]
    OwnsObjects {
        /// Its kind.
        kind: PrincipalKind,
        /// Its name.
        name: String,
        /// What it owns.
        owns: Vec<String>,
    },
    /// No such object.
    #[error("{what}")]
    Undefined {
        /// The kind, which decides the code.
        object: Object,
        /// PostgreSQL's sentence.
        what: String,
    },
    /// More than one function fits.
    #[error("function name \"{name}\" is not unique")]
    AmbiguousFunction {
        /// As written.
        name: String,
    },
    /// More than one function fits the columns and constants of a filter or mask.
    #[error("function name \"{name}\" is not unique")]
    AmbiguousPolicyFunction {
        /// As written.
        name: String,
    },
    /// An object of another kind.
    #[error("\"{label}\" is not a {wanted}")]
    WrongObjectKind {
        /// The object.
        label: String,
        /// What was wanted.
        wanted: &'static str,
        /// What to do.
        hint: Option<&'static str>,
    },
    /// Another database.
    #[error("cross-database references are not implemented: \"{name}\"")]
    OtherDatabase {
        /// As written.
        name: String,
    },
    /// System catalogs and pgusher's own schemas are not governed.
    #[error("permission denied: \"{label}\" is a system catalog")]
    SystemObject {
        /// The object.
        label: String,
    },
    /// A privilege that makes no sense on the securable.
    #[error("invalid privilege type {privilege} for {noun}")]
    InvalidGrant {
        /// The privilege.
        privilege: Privilege,
        /// The securable's kind.
        noun: &'static str,
    },
    /// A revoke from the owner, whose rights are no grants.
    #[error("cannot revoke the rights of \"{owner}\" on {noun} {label}")]
    OwnerRights {
        /// The owner.
        owner: String,
        /// The object's kind.
        noun: &'static str,
        /// Its name.
        label: String,
    },
    /// A column is named twice.
    #[error("column \"{column}\" specified more than once")]
    DuplicateColumn {
        /// The column.
        column: String,
    },
    /// A function is given too many or too few arguments.
    #[error("function {label} takes {takes}, but {given} would be given")]
    WrongNumberOfArguments {
        /// The function.
        label: String,
        /// How many it takes, in words.
        takes: String,
        /// How many it would get.
        given: usize,
    },
    /// A filter's function does not return boolean.
    #[error("row filter function {label} must return type boolean, not type {found}")]
    NotBoolean {
        /// The function.
        label: String,
        /// What it returns.
        found: String,
    },
    /// There is no filter or mask to drop.
    #[error("{what}")]
    NothingToDrop {
        /// PostgreSQL's sentence.
        what: String,
    },
    /// The filter or mask of another table reads the table that was to be governed.
    #[error("\"{table}\" cannot be under a row filter or mask, because the {what} of \"{other}\" reads it")]
    ReadByPolicy {
        /// The table.
        table: String,
        /// Row filter or column mask.
        what: &'static str,
        /// The other table.
        other: String,
    },
    /// Something that cannot be enforced, or not yet.
    #[error("{what}")]
    Unsupported {
        /// What.
        what: String,
        /// What to do instead.
        hint: Option<&'static str>,
    },
    /// A value outside its bounds.
    #[error("{what}")]
    InvalidValue {
        /// What is wrong with it.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The analysis of an expression or statement refused it.
    #[error("{}", .0.message)]
    Refused(Box<Report>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The kinds of object that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A schema.
    Schema,
    /// A relation.
    Relation,
    /// A column.
    Column,
    /// A function.
    Function,
    /// A database.
    Database,
    /// Anything else.
    Other,
}

impl From<crate::upstream::OwnerError> for GovernError {
    fn from(error: crate::upstream::OwnerError) -> Self {
        Self::Store(StoreError::Upstream(error))
    }
}

impl From<&GovernError> for Report {
    fn from(error: &GovernError) -> Self {
        let report = Report::error(code(error), error.to_string());
        match error {
            GovernError::Refused(report) => (**report).clone(),
            GovernError::Store(error) => Report::from(error),
            GovernError::AdminOnly { .. } => report.detail("Only administrators, the members of the group admins, may do that."),
            GovernError::NotManager { noun, label, owner } => {
                let who = owner.as_ref().map_or_else(String::new, |owner| format!("\"{owner}\", who owns it, or "));
                report
                    .detail(format!("Neither ownership of {noun} {label} nor MANAGE on it is held."))
                    .hint(format!("Ask {who}an administrator."))
            }
            GovernError::NotExecutable { label } => report
                .detail(format!(
                    "A filter or mask may use only functions that its author may execute: EXECUTE on function {label} is missing."
                ))
                .hint("Ask the function's owner or an administrator."),
            GovernError::NotReadable { noun, label } => report
                .detail(format!("A filter or mask may read only what its author may: SELECT on {noun} {label} is missing."))
                .hint("Ask its owner or an administrator."),
            GovernError::UnsettledFunction { label } => report
                .detail("Whoever reads the table could change what it reads by setting search_path.")
                .hint(format!("Give it a search path of its own: ALTER FUNCTION {label} SET search_path = …, pg_temp.")),
            GovernError::OthersFunction { .. } => report
                .detail("It would run as whoever reads the table, and may do what they may.")
                .hint("Write its expression itself, or ask an administrator to make the function or to set the filter or mask."),
            GovernError::NotGivable { noun, .. } => report
                .detail(format!("A {noun} runs with its owner's rights, so only administrators may give it to just anybody."))
                .hint("Give it to yourself or to a group you are in."),
            GovernError::VouchedToken => report
                .detail("A session by a JWT makes no tokens: they would outlive it.")
                .hint("Log in with a token of pgusher's own."),
            GovernError::OthersTokens => report
                .detail("Whoever acts for somebody has nothing to do with that one's tokens.")
                .hint("Log in as the principal itself."),
            GovernError::WiderToken => report.detail("The token of this session is narrowed, and that one is not."),
            GovernError::Scope => super::sql::lacks_scope(report.message),
            GovernError::NarrowedToken => {
                report.detail("The token of this session is narrowed, and the new one would not be.").hint("Name the same SCOPES.")
            }
            GovernError::DuplicatePrincipal { kind, name } => report.detail(format!("\"{name}\" is a {}.", kind_noun(*kind))),
            GovernError::ReservedName { name } => {
                report.detail(format!("Clients that do not know their name log in as \"{name}\"."))
            }
            GovernError::WrongPrincipalKind { found, name, .. } => report.detail(format!("\"{name}\" is a {}.", kind_noun(*found))),
            GovernError::LastAdmin => report.hint("Make somebody else an administrator first: ALTER GROUP admins ADD USER …"),
            GovernError::OwnsObjects { owns, .. } => {
                report.detail(owns.join("\n")).hint("Give them to another principal: ALTER … OWNER TO …")
            }
            GovernError::AmbiguousFunction { .. } => report.hint("Specify the argument list to select the function unambiguously."),
            GovernError::AmbiguousPolicyFunction { .. } => {
                report.hint("Make a function with a name of its own, whose arguments are of the columns' types.")
            }
            GovernError::WrongObjectKind { hint, .. } | GovernError::Unsupported { hint, .. } => {
                hint.iter().fold(report, |report, hint| report.hint(*hint))
            }
            GovernError::InvalidValue { hint, .. } => hint.iter().fold(report, |report, hint| report.hint(hint.clone())),
            GovernError::OwnerRights { .. } => {
                report.detail("They come from ownership, not from a grant.").hint("Change the owner: ALTER … OWNER TO …")
            }
            GovernError::UndefinedPrincipal { name, .. } if name == "public" => {
                report.hint("Everybody is in the group \"users\": grant to that.")
            }
            GovernError::SubjectGone
            | GovernError::UndefinedPrincipal { .. }
            | GovernError::BuiltInGroup { .. }
            | GovernError::Cycle { .. }
            | GovernError::Undefined { .. }
            | GovernError::OtherDatabase { .. }
            | GovernError::SystemObject { .. }
            | GovernError::InvalidGrant { .. }
            | GovernError::DuplicateColumn { .. }
            | GovernError::WrongNumberOfArguments { .. }
            | GovernError::NotBoolean { .. }
            | GovernError::ReadByPolicy { .. }
            | GovernError::NothingToDrop { .. } => report,
        }
    }
}

fn code(error: &GovernError) -> SqlState {
    match error {
        GovernError::AdminOnly { .. }
        | GovernError::NotManager { .. }
        | GovernError::NotExecutable { .. }
        | GovernError::NotReadable { .. }
        | GovernError::NotGivable { .. }
        | GovernError::OthersFunction { .. }
        | GovernError::VouchedToken
        | GovernError::NarrowedToken
        | GovernError::Scope
        | GovernError::OthersTokens
        | GovernError::WiderToken
        | GovernError::SystemObject { .. }
        | GovernError::OwnerRights { .. } => SqlState::INSUFFICIENT_PRIVILEGE,
        GovernError::UnsettledFunction { .. } => SqlState::INVALID_FUNCTION_DEFINITION,
        GovernError::SubjectGone => SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        GovernError::UndefinedPrincipal { .. } | GovernError::NothingToDrop { .. } => SqlState::UNDEFINED_OBJECT,
        GovernError::DuplicatePrincipal { .. } => SqlState::DUPLICATE_OBJECT,
        GovernError::ReservedName { .. } => SqlState::RESERVED_NAME,
        GovernError::WrongPrincipalKind { .. } | GovernError::WrongObjectKind { .. } => SqlState::WRONG_OBJECT_TYPE,
        GovernError::BuiltInGroup { .. } | GovernError::LastAdmin => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        GovernError::Cycle { .. } | GovernError::InvalidGrant { .. } => SqlState::INVALID_GRANT_OPERATION,
        GovernError::OwnsObjects { .. } => SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        GovernError::Undefined { object, .. } => match object {
            Object::Schema => SqlState::INVALID_SCHEMA_NAME,
            Object::Relation => SqlState::UNDEFINED_TABLE,
            Object::Column => SqlState::UNDEFINED_COLUMN,
            Object::Function => SqlState::UNDEFINED_FUNCTION,
            Object::Database => SqlState::INVALID_CATALOG_NAME,
            Object::Other => SqlState::UNDEFINED_OBJECT,
        },
        GovernError::AmbiguousFunction { .. } | GovernError::AmbiguousPolicyFunction { .. } => SqlState::AMBIGUOUS_FUNCTION,
        GovernError::OtherDatabase { .. } | GovernError::ReadByPolicy { .. } | GovernError::Unsupported { .. } => {
            SqlState::FEATURE_NOT_SUPPORTED
        }
        GovernError::DuplicateColumn { .. } => SqlState::DUPLICATE_COLUMN,
        GovernError::WrongNumberOfArguments { .. } => SqlState::UNDEFINED_FUNCTION,
        GovernError::NotBoolean { .. } => SqlState::DATATYPE_MISMATCH,
        GovernError::InvalidValue { .. } => SqlState::INVALID_PARAMETER_VALUE,
        GovernError::Refused(report) => report.code.clone(),
        GovernError::Store(error) => Report::from(error).code,
    }
}

/// The word for a kind of principal in messages.
pub fn kind_noun(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "user",
        PrincipalKind::ServicePrincipal => "service principal",
        PrincipalKind::Group => "group",
    }
}
