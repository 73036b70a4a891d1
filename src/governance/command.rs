//! What a governance statement asks for, names still as written.

use std::fmt;
use std::time::Duration;

use crate::authn::scram::Verifier;
use crate::name::Name;
use crate::policy::{Mechanism, PrincipalKind, Privilege};

/// The name of an object as written: up to `database.schema.name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The database, if given.
    pub database: Option<Name>,
    /// The schema, if given; else the search path decides.
    pub schema: Option<Name>,
    /// The object.
    pub name: Name,
}

/// A securable as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurableName {
    /// `CATALOG`, with the database's name or without.
    Catalog(Option<Name>),
    /// `SCHEMA s`, also `DATABASE s`.
    Schema(ObjectName),
    /// `TABLE t`, or the bare name: any kind of relation.
    Table(ObjectName),
    /// `VIEW v`: a view or materialized view.
    View(ObjectName),
    /// `FUNCTION f` or `FUNCTION f(type, …)`.
    Function {
        /// The function.
        name: ObjectName,
        /// The argument types as written, where a parenthesis was given.
        arguments: Option<Vec<String>>,
    },
    /// `ANONYMOUS FUNCTION`.
    AnonymousFunction,
    /// `ANY FILE`.
    AnyFile,
    /// `CONNECTION c`: a foreign server.
    Connection(Name),
}

/// A member in CREATE GROUP and ALTER GROUP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The kind that was written before the name.
    pub kind: PrincipalKind,
    /// The principal's name.
    pub name: String,
}

/// ADD or DROP in ALTER GROUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// ADD
    Add,
    /// DROP
    Drop,
}

/// An argument in `ON (…)` and `USING COLUMNS (…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A column.
    Column(Name),
    /// A column written with more than one part (refused, with its own message).
    DottedColumn(String),
    /// A constant: its SQL text, safe to place in a statement.
    Literal(String),
}

/// Whose tokens are to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokensOf {
    /// One's own.
    Own,
    /// A principal's.
    Principal(String),
    /// Everybody's.
    All,
}

/// A principal's password to be. The password itself is never given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewPassword {
    /// One that only the principal knows: its verifier.
    Verifier(Verifier),
    /// One that is made, and shown once.
    Generated,
    /// None any more.
    None,
}

/// What a row filter or mask computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyBody {
    /// A function with the columns and constants it is given; for a mask the masked column comes before them.
    Function {
        /// The function.
        function: ObjectName,
        /// The arguments, in order.
        arguments: Vec<Argument>,
    },
    /// An expression over the table's columns: the text between the parentheses, as written.
    Expression(String),
}

/// A governance command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `GRANT p, … ON s TO principal, …`
    Grant {
        /// The privileges.
        privileges: Vec<Privilege>,
        /// The securable.
        on: SecurableName,
        /// Who gets them.
        to: Vec<String>,
    },
    /// `REVOKE p, … ON s FROM principal, …`
    Revoke {
        /// The privileges.
        privileges: Vec<Privilege>,
        /// The securable.
        on: SecurableName,
        /// Who loses them.
        from: Vec<String>,
    },
    /// `SHOW GRANTS [principal] [ON s]`
    ShowGrants {
        /// Whose; everybody's when absent and a securable is given, else one's own.
        principal: Option<String>,
        /// On what.
        on: Option<SecurableName>,
    },
    /// `SHOW EFFECTIVE GRANTS principal ON s`
    ShowEffectiveGrants {
        /// Whose.
        principal: String,
        /// On what.
        on: SecurableName,
    },
    /// `SHOW ACCESS ON s`
    ShowAccess {
        /// On what.
        on: SecurableName,
    },
    /// `MSCK [REPAIR] s [PRIVILEGES]`: drops every grant on exactly this securable.
    Msck {
        /// On what.
        on: SecurableName,
    },
    /// `ALTER {SCHEMA|TABLE|VIEW|FUNCTION} x OWNER TO p`
    AlterOwner {
        /// The object.
        on: SecurableName,
        /// The new owner.
        owner: String,
    },
    /// `CREATE {USER|SERVICE PRINCIPAL|GROUP} [IF NOT EXISTS] p [WITH member, …]`
    CreatePrincipal {
        /// Its kind.
        kind: PrincipalKind,
        /// Its name.
        name: String,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// A group's first members.
        members: Vec<Member>,
    },
    /// `DROP {USER|SERVICE PRINCIPAL|GROUP} [IF EXISTS] p`
    DropPrincipal {
        /// Its kind.
        kind: PrincipalKind,
        /// Its name.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// `ALTER {USER|SERVICE PRINCIPAL} p {ENABLE|DISABLE}`
    EnablePrincipal {
        /// Its kind.
        kind: PrincipalKind,
        /// Its name.
        name: String,
        /// ENABLE.
        enabled: bool,
    },
    /// `ALTER {USER|SERVICE PRINCIPAL} p PASSWORD {'verifier'|GENERATE|NULL} [LIFETIME …] [SCOPES (…)]`
    SetPassword {
        /// Its kind.
        kind: PrincipalKind,
        /// Its name.
        name: String,
        /// The new one.
        password: NewPassword,
        /// How long it is good.
        lifetime: Option<Duration>,
        /// What it is narrowed to.
        scopes: Vec<String>,
    },
    /// `ALTER GROUP g {ADD|DROP} member, …`
    AlterGroup {
        /// The group.
        group: String,
        /// Which way.
        change: MemberChange,
        /// The members.
        members: Vec<Member>,
    },
    /// `SHOW USERS`, `SHOW SERVICE PRINCIPALS`
    ShowPrincipals {
        /// Which kind.
        kind: PrincipalKind,
    },
    /// `SHOW GROUPS [WITH {USER|SERVICE PRINCIPAL|GROUP} p]`
    ShowGroups {
        /// Only the groups that this principal is in, directly or not.
        with: Option<Member>,
    },
    /// `CREATE TOKEN [FOR p] [COMMENT '…'] [LIFETIME …] [SCOPES (…)]`
    CreateToken {
        /// Whose; one's own when absent.
        principal: Option<String>,
        /// A remark.
        comment: Option<String>,
        /// How long it is good; the configured default when absent.
        lifetime: Option<Duration>,
        /// What it is good for; everything when empty.
        scopes: Vec<String>,
    },
    /// `SHOW TOKENS [FOR {p|ALL}]`
    ShowTokens {
        /// Whose.
        whose: TokensOf,
    },
    /// `REVOKE TOKEN id`
    RevokeToken {
        /// The token's id.
        id: String,
    },
    /// `ALTER TABLE t SET ROW FILTER …`
    SetRowFilter {
        /// The table.
        table: ObjectName,
        /// The filter.
        body: PolicyBody,
    },
    /// `ALTER TABLE t DROP ROW FILTER`
    DropRowFilter {
        /// The table.
        table: ObjectName,
    },
    /// `ALTER TABLE t ALTER [COLUMN] c SET MASK …`
    SetMask {
        /// The table.
        table: ObjectName,
        /// The column.
        column: Name,
        /// The mask.
        body: PolicyBody,
    },
    /// `ALTER TABLE t ALTER [COLUMN] c DROP MASK`
    DropMask {
        /// The table.
        table: ObjectName,
        /// The column.
        column: Name,
    },
    /// `ALTER TABLE t SET FILTER MECHANISM {RLS|VIEW|DEFAULT}`
    SetMechanism {
        /// The table.
        table: ObjectName,
        /// The mechanism; `None` for the configured default.
        mechanism: Option<Mechanism>,
    },
    /// `ALTER [MATERIALIZED] VIEW v {SET|UNSET} TRUSTED`
    SetTrusted {
        /// The view.
        view: ObjectName,
        /// Whether it is trusted from now on.
        trusted: bool,
    },
    /// `GRANT ACT FOR {USER|SERVICE PRINCIPAL|GROUP} p, … TO actor, …`, and `REVOKE ACT FOR … FROM …`
    Act {
        /// For whom; for a group: for everybody in it.
        people: Vec<Member>,
        /// Who may act for them; a group's members.
        actors: Vec<String>,
        /// GRANT.
        granted: bool,
    },
    /// `SHOW ACTORS [FOR p]`
    ShowActors {
        /// Those who may act for this principal; all for an administrator, one's own for others when absent.
        person: Option<String>,
    },
    /// `SHOW SESSION`
    ShowSession,
    /// `SHOW POOLS`, `SHOW SESSIONS`, `SHOW STATS`: of the proxy that is asked
    ShowProxy(ProxyView),
    /// `SHOW AUDIT [FOR p]`
    ShowAudit {
        /// Only this principal's.
        principal: Option<String>,
    },
    /// `SHOW ROW FILTERS [ON [TABLE] t]`
    ShowRowFilters {
        /// Only this table's.
        table: Option<ObjectName>,
    },
    /// `SHOW MASKS [ON [TABLE] t]`
    ShowMasks {
        /// Only this table's.
        table: Option<ObjectName>,
    },
    /// `EXPLAIN ACCESS [FOR p] statement`
    ExplainAccess {
        /// For whom; oneself when absent.
        principal: Option<String>,
        /// The statement's text, as written.
        statement: String,
    },
}

/// What is shown of the proxy that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyView {
    /// Its upstream connections.
    Pools,
    /// Its open sessions.
    Sessions,
    /// What it counts.
    Stats,
}

/// The reply's columns, all of type text; empty for a command that answers without rows.
pub fn columns(command: &Command) -> Vec<&'static str> {
    match command {
        Command::ShowGrants { .. } => vec!["principal", "actionType", "objectType", "objectKey"],
        Command::ShowEffectiveGrants { .. } => {
            vec!["principal", "actionType", "objectType", "objectKey", "inherited_from", "via"]
        }
        Command::ShowAccess { .. } => vec!["principal", "actionType", "inherited_from", "via"],
        Command::ShowPrincipals { .. } => vec!["name", "enabled", "groups"],
        Command::ShowGroups { .. } => vec!["name", "members"],
        Command::CreateToken { .. } | Command::SetPassword { password: NewPassword::Generated, .. } => {
            vec!["token_id", "token", "expires_at"]
        }
        Command::ShowTokens { .. } => {
            vec!["token_id", "principal", "comment", "scopes", "created_at", "expires_at", "last_used_at", "state"]
        }
        Command::ShowActors { .. } => vec!["actor", "on_behalf_of", "granted_by", "granted_at"],
        Command::ShowSession => {
            vec!["principal", "actors", "token_id", "scopes", "groups", "admin", "started_at", "expires_at", "pool"]
        }
        Command::ShowProxy(ProxyView::Pools) => {
            vec!["login", "pool_mode", "connections", "idle", "waiting", "most", "turns", "turns_again", "waited_ms", "turned_away"]
        }
        Command::ShowProxy(ProxyView::Sessions) => vec!["session", "principal", "token_id", "connection"],
        Command::ShowProxy(ProxyView::Stats) => vec!["name", "value"],
        Command::ShowAudit { .. } => vec!["time", "instance", "sequence", "event", "principal", "outcome", "sqlstate", "record"],
        Command::ShowRowFilters { .. } => vec!["schema", "table", "filter", "mechanism", "state"],
        Command::ShowMasks { .. } => vec!["schema", "table", "column", "mask", "state"],
        Command::ExplainAccess { .. } => vec!["subject", "needs", "on", "decision", "because"],
        Command::Grant { .. }
        | Command::Revoke { .. }
        | Command::Msck { .. }
        | Command::AlterOwner { .. }
        | Command::CreatePrincipal { .. }
        | Command::DropPrincipal { .. }
        | Command::EnablePrincipal { .. }
        | Command::SetPassword { password: NewPassword::Verifier(_) | NewPassword::None, .. }
        | Command::AlterGroup { .. }
        | Command::RevokeToken { .. }
        | Command::SetRowFilter { .. }
        | Command::DropRowFilter { .. }
        | Command::SetMask { .. }
        | Command::DropMask { .. }
        | Command::SetMechanism { .. }
        | Command::Act { .. }
        | Command::SetTrusted { .. } => Vec::new(),
    }
}

impl Command {
    /// The command tag that ends its answer.
    pub fn tag(&self) -> &'static str {
        match self {
            Command::Grant { .. } | Command::Act { granted: true, .. } => "GRANT",
            Command::Revoke { .. } | Command::Act { granted: false, .. } => "REVOKE",
            Command::ShowGrants { .. }
            | Command::ShowEffectiveGrants { .. }
            | Command::ShowAccess { .. }
            | Command::ShowPrincipals { .. }
            | Command::ShowGroups { .. }
            | Command::ShowTokens { .. }
            | Command::ShowActors { .. }
            | Command::ShowSession
            | Command::ShowProxy(_)
            | Command::ShowAudit { .. }
            | Command::ShowRowFilters { .. }
            | Command::ShowMasks { .. } => "SHOW",
            Command::Msck { .. } => "MSCK",
            Command::AlterOwner { on, .. } => match on {
                SecurableName::Schema(_) => "ALTER SCHEMA",
                SecurableName::Table(_) => "ALTER TABLE",
                SecurableName::View(_) => "ALTER VIEW",
                SecurableName::Function { .. } => "ALTER FUNCTION",
                SecurableName::Catalog(_)
                | SecurableName::AnonymousFunction
                | SecurableName::AnyFile
                | SecurableName::Connection(_) => "ALTER",
            },
            Command::CreatePrincipal { kind, .. } => match kind {
                PrincipalKind::User => "CREATE USER",
                PrincipalKind::ServicePrincipal => "CREATE SERVICE PRINCIPAL",
                PrincipalKind::Group => "CREATE GROUP",
            },
            Command::DropPrincipal { kind, .. } => match kind {
                PrincipalKind::User => "DROP USER",
                PrincipalKind::ServicePrincipal => "DROP SERVICE PRINCIPAL",
                PrincipalKind::Group => "DROP GROUP",
            },
            Command::EnablePrincipal { kind, .. } | Command::SetPassword { kind, .. } => match kind {
                PrincipalKind::User => "ALTER USER",
                PrincipalKind::ServicePrincipal => "ALTER SERVICE PRINCIPAL",
                PrincipalKind::Group => "ALTER GROUP",
            },
            Command::AlterGroup { .. } => "ALTER GROUP",
            Command::CreateToken { .. } => "CREATE TOKEN",
            Command::RevokeToken { .. } => "REVOKE TOKEN",
            Command::SetRowFilter { .. }
            | Command::DropRowFilter { .. }
            | Command::SetMask { .. }
            | Command::DropMask { .. }
            | Command::SetMechanism { .. } => "ALTER TABLE",
            Command::SetTrusted { .. } => "ALTER VIEW",
            Command::ExplainAccess { .. } => "EXPLAIN",
        }
    }

    /// Whether it changes the policy store.
    pub fn changes(&self) -> bool {
        match self {
            Command::Grant { .. }
            | Command::Revoke { .. }
            | Command::Msck { .. }
            | Command::AlterOwner { .. }
            | Command::CreatePrincipal { .. }
            | Command::DropPrincipal { .. }
            | Command::EnablePrincipal { .. }
            | Command::SetPassword { .. }
            | Command::AlterGroup { .. }
            | Command::CreateToken { .. }
            | Command::RevokeToken { .. }
            | Command::SetRowFilter { .. }
            | Command::DropRowFilter { .. }
            | Command::SetMask { .. }
            | Command::DropMask { .. }
            | Command::SetMechanism { .. }
            | Command::Act { .. }
            | Command::SetTrusted { .. } => true,
            Command::ShowGrants { .. }
            | Command::ShowEffectiveGrants { .. }
            | Command::ShowAccess { .. }
            | Command::ShowPrincipals { .. }
            | Command::ShowGroups { .. }
            | Command::ShowTokens { .. }
            | Command::ShowActors { .. }
            | Command::ShowSession
            | Command::ShowProxy(_)
            | Command::ShowAudit { .. }
            | Command::ShowRowFilters { .. }
            | Command::ShowMasks { .. }
            | Command::ExplainAccess { .. } => false,
        }
    }

    /// The command's text for events: in one spelling, without comments and without secrets (no command holds a token's text).
    pub fn redacted(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.database, &self.schema].into_iter().flatten() {
            write!(f, "{}.", part.quoted())?;
        }
        f.write_str(&self.name.quoted())
    }
}

impl ObjectName {
    /// The name as messages show it: parts joined by dots, without quotes.
    pub fn plain(&self) -> String {
        let parts = [self.database.as_ref(), self.schema.as_ref(), Some(&self.name)];
        parts.into_iter().flatten().map(Name::as_str).collect::<Vec<_>>().join(".")
    }
}
