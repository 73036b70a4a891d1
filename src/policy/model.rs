//! The nouns: who, what, which privilege.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A PostgreSQL object identifier.
pub type Oid = u32;

/// A principal's number in the policy store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(pub i64);

/// What kind of principal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program.
    ServicePrincipal,
    /// A group of principals.
    Group,
}

/// A user, service principal or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Its number.
    pub id: PrincipalId,
    /// Its name, compared exactly.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: PrincipalKind,
    /// False: it may not log in, and its sessions end.
    pub enabled: bool,
}

/// A privilege of DESIGN section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Privilege {
    /// Read rows.
    Select,
    /// Write rows.
    Modify,
    /// Make objects inside.
    Create,
    /// See the definition and plans.
    ReadMetadata,
    /// Make functions inside.
    CreateNamedFunction,
    /// Call.
    Execute,
    /// Use a foreign server.
    UseConnection,
    /// Grant, revoke, govern.
    Manage,
    /// Every privilege but MANAGE; expanded when checked.
    AllPrivileges,
}

impl Privilege {
    /// Every privilege, in the order they are listed to people.
    pub const ALL: [Privilege; 9] = [
        Privilege::Select,
        Privilege::Modify,
        Privilege::Create,
        Privilege::ReadMetadata,
        Privilege::CreateNamedFunction,
        Privilege::Execute,
        Privilege::UseConnection,
        Privilege::Manage,
        Privilege::AllPrivileges,
    ];

    /// As written in GRANT and shown by SHOW GRANTS.
    pub fn as_str(self) -> &'static str {
        match self {
            Privilege::Select => "SELECT",
            Privilege::Modify => "MODIFY",
            Privilege::Create => "CREATE",
            Privilege::ReadMetadata => "READ_METADATA",
            Privilege::CreateNamedFunction => "CREATE_NAMED_FUNCTION",
            Privilege::Execute => "EXECUTE",
            Privilege::UseConnection => "USE CONNECTION",
            Privilege::Manage => "MANAGE",
            Privilege::AllPrivileges => "ALL PRIVILEGES",
        }
    }

    /// The inverse of [`Privilege::as_str`].
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a privilege is granted on. Objects are known by oid, so a renamed one keeps its grants and a re-created one has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Securable {
    /// The connected database.
    Catalog,
    /// A PostgreSQL schema.
    Schema(Oid),
    /// A table, view, materialized view, foreign table or sequence.
    Relation(Oid),
    /// A function, procedure or aggregate.
    Function(Oid),
    /// A type or domain that stands alone. Nothing is granted on it: it has an owner, and MANAGE on its schema covers it.
    Type(Oid),
    /// Running any SQL: DO and temporary functions.
    AnonymousFunction,
    /// Server files and programs.
    AnyFile,
    /// A foreign server.
    Connection(Oid),
}

impl Securable {
    /// The relation that it is, if it is one.
    #[must_use]
    pub fn relation(self) -> Option<Oid> {
        match self {
            Self::Relation(oid) => Some(oid),
            Self::Catalog
            | Self::Schema(_)
            | Self::Function(_)
            | Self::Type(_)
            | Self::AnonymousFunction
            | Self::AnyFile
            | Self::Connection(_) => None,
        }
    }
}

/// The kind word of a securable, as written in GRANT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecurableKind {
    /// CATALOG
    Catalog,
    /// SCHEMA, also written DATABASE
    Schema,
    /// TABLE
    Table,
    /// VIEW
    View,
    /// FUNCTION
    Function,
    /// ANONYMOUS FUNCTION
    AnonymousFunction,
    /// ANY FILE
    AnyFile,
    /// CONNECTION
    Connection,
}

/// One (principal, privilege, securable) row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Who holds it.
    pub principal: PrincipalId,
    /// What it allows.
    pub privilege: Privilege,
    /// On what.
    pub securable: Securable,
}

/// Whose privileges a requirement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// The principal of the session.
    Session,
    /// Whoever owns the view with this oid (definer's rights on grants).
    OwnerOfView(Oid),
}

/// What stands in for the privilege of a requirement. The object's owner and administrators always pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The privilege, on the object or on what contains it.
    Privilege,
    /// The privilege or MANAGE, likewise.
    OrManage,
    /// Nothing: ownership alone.
    Ownership,
}

/// Something a statement needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    /// Who must hold it.
    pub holder: Holder,
    /// The privilege; where `level` is ownership, no more than a word for it.
    pub privilege: Privilege,
    /// What else allows it.
    pub level: Level,
    /// The object.
    pub securable: Securable,
    /// The schema that contains the object; `None` for what no schema contains.
    pub schema: Option<Oid>,
    /// How messages call the object, for example `orders`; the client's spelling of the relation, without schema.
    pub label: Arc<str>,
    /// The word PostgreSQL uses for its kind in messages: `table`, `view`, `function`, `schema`, `sequence`, `foreign server` …
    pub noun: &'static str,
    /// The columns touched, where known (for audit).
    pub columns: Vec<Arc<str>>,
}

impl Requirement {
    /// What would meet it, in the words of GRANT: `MODIFY`, `MODIFY or MANAGE`, `OWN`.
    pub fn asked(&self) -> String {
        match self.level {
            Level::Privilege => self.privilege.to_string(),
            Level::OrManage if self.privilege == Privilege::Manage => self.privilege.to_string(),
            Level::OrManage => format!("{} or {}", self.privilege, Privilege::Manage),
            Level::Ownership => "OWN".to_owned(),
        }
    }
}

/// The principal of a session, with its groups, at one policy version.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The principal.
    pub principal: PrincipalId,
    /// Its name.
    pub name: Arc<str>,
    /// Every group it is in, directly or not, `users` included.
    pub groups: Arc<HashSet<PrincipalId>>,
    /// What its token adds and leaves out.
    pub bearing: Bearing,
    /// Member of `admins`.
    pub admin: bool,
}

/// What a session's token makes of its principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearing {
    /// Groups that count as its own in this session only.
    pub claimed: Arc<[PrincipalId]>,
    /// Its principal's admin rights are left aside.
    pub narrowed: bool,
    /// The token is for reading only (the scope `sql:read`).
    pub reading: bool,
    /// The token is an issuer's: nothing may outlive it that only it gives.
    pub vouched: bool,
    /// Somebody acts for the principal: by its own token's word, or by a token of that one's.
    pub acted: bool,
    /// The token is somebody else's, who acts for the principal.
    pub acting: Option<Arc<Acting>>,
}

/// How somebody came to act for a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting {
    /// Whose token it is.
    pub actor: PrincipalId,
    /// The principal's own token, where one was shown.
    pub consent: Option<Arc<str>>,
    /// That token says by itself that the actor may (RFC 8693 section 4.4, `may_act`).
    pub allowed: bool,
}

/// How a row filter is enforced upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// Row security on the table.
    Rls,
    /// A security-barrier governed view.
    View,
}

/// Where a filter or mask came from, as SHOW and EXPLAIN ACCESS print it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicySource {
    /// `SET ROW FILTER f ON (…)` / `SET MASK f USING COLUMNS (…)`: the function's qualified name and the arguments' SQL text.
    Function {
        /// The function's oid.
        oid: Oid,
        /// `schema.name`.
        name: Arc<str>,
        /// Each argument, as SQL: a quoted column name or a literal.
        arguments: Vec<Arc<str>>,
    },
    /// An inline expression, as the administrator wrote it.
    Expression(Arc<str>),
}

/// A row filter of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFilter {
    /// The table it is set on.
    pub relation: Oid,
    /// The SQL boolean expression to enforce: every name qualified, identity calls hoisted, columns unqualified and quoted.
    pub expression: Arc<str>,
    /// How it was given.
    pub source: PolicySource,
}

/// A column mask of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMask {
    /// The table it is set on.
    pub relation: Oid,
    /// The column, by name.
    pub column: crate::name::Name,
    /// The SQL expression to show instead, of the column's type: names qualified, identity calls hoisted, columns quoted.
    pub expression: Arc<str>,
    /// How it was given.
    pub source: PolicySource,
}
