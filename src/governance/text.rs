//! A command in one spelling, for events.

use std::fmt::{self, Display};
use std::time::Duration;

use super::command::{
    Argument, Command, Member, MemberChange, NewPassword, ObjectName, PolicyBody, ProxyView, SecurableName, TokensOf,
};
use crate::name::{quote_identifier, quote_literal};
use crate::policy::{Mechanism, PrincipalKind, Privilege};

impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Grant { privileges, on, to } => {
                write!(f, "GRANT {} ON {on} TO {}", words(privileges), principals(to))
            }
            Command::Revoke { privileges, on, from } => {
                write!(f, "REVOKE {} ON {on} FROM {}", words(privileges), principals(from))
            }
            Command::ShowGrants { principal, on } => {
                f.write_str("SHOW GRANTS")?;
                optional(f, " ", principal.as_deref().map(quote_identifier))?;
                optional(f, " ON ", on.as_ref())
            }
            Command::ShowEffectiveGrants { principal, on } => {
                write!(f, "SHOW EFFECTIVE GRANTS {} ON {on}", quote_identifier(principal))
            }
            Command::ShowAccess { on } => write!(f, "SHOW ACCESS ON {on}"),
            Command::Msck { on } => write!(f, "MSCK {on}"),
            Command::AlterOwner { on, owner } => write!(f, "ALTER {on} OWNER TO {}", quote_identifier(owner)),
            Command::CreatePrincipal { kind, name, if_not_exists, members } => {
                let unless = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                write!(f, "CREATE {} {unless}{}", kind_words(*kind), quote_identifier(name))?;
                optional(f, " WITH ", (!members.is_empty()).then(|| member_list(members)))
            }
            Command::DropPrincipal { kind, name, if_exists } => {
                let unless = if *if_exists { "IF EXISTS " } else { "" };
                write!(f, "DROP {} {unless}{}", kind_words(*kind), quote_identifier(name))
            }
            Command::EnablePrincipal { kind, name, enabled } => {
                let word = if *enabled { "ENABLE" } else { "DISABLE" };
                write!(f, "ALTER {} {} {word}", kind_words(*kind), quote_identifier(name))
            }
            Command::SetPassword { kind, name, password, lifetime, scopes } => {
                let password = match password {
                    NewPassword::Verifier(_) => "'…'",
                    NewPassword::Generated => "GENERATE",
                    NewPassword::None => "NULL",
                };
                write!(f, "ALTER {} {} PASSWORD {password}", kind_words(*kind), quote_identifier(name))?;
                terms(f, *lifetime, scopes)
            }
            Command::AlterGroup { group, change, members } => {
                let word = match change {
                    MemberChange::Add => "ADD",
                    MemberChange::Drop => "DROP",
                };
                write!(f, "ALTER GROUP {} {word} {}", quote_identifier(group), member_list(members))
            }
            Command::ShowPrincipals { kind } => write!(f, "SHOW {}S", kind_words(*kind)),
            Command::ShowGroups { with } => {
                f.write_str("SHOW GROUPS")?;
                optional(f, " WITH ", with.as_ref())
            }
            Command::CreateToken { principal, comment, lifetime, scopes } => {
                f.write_str("CREATE TOKEN")?;
                optional(f, " FOR ", principal.as_deref().map(quote_identifier))?;
                optional(f, " COMMENT ", comment.as_deref().map(quote_literal))?;
                terms(f, *lifetime, scopes)
            }
            Command::ShowTokens { whose } => match whose {
                TokensOf::Own => f.write_str("SHOW TOKENS"),
                TokensOf::Principal(name) => write!(f, "SHOW TOKENS FOR {}", quote_identifier(name)),
                TokensOf::All => f.write_str("SHOW TOKENS FOR ALL"),
            },
            Command::RevokeToken { id } => write!(f, "REVOKE TOKEN {}", quote_literal(id).trim_start()),
            Command::SetRowFilter { table, body } => {
                write!(f, "ALTER TABLE {table} SET ROW FILTER ")?;
                policy_body(f, body, "ON")
            }
            Command::DropRowFilter { table } => write!(f, "ALTER TABLE {table} DROP ROW FILTER"),
            Command::SetMask { table, column, body } => {
                write!(f, "ALTER TABLE {table} ALTER COLUMN {} SET MASK ", column.quoted())?;
                policy_body(f, body, "USING COLUMNS")
            }
            Command::DropMask { table, column } => {
                write!(f, "ALTER TABLE {table} ALTER COLUMN {} DROP MASK", column.quoted())
            }
            Command::SetTrusted { view, trusted } => {
                write!(f, "ALTER VIEW {view} {} TRUSTED", if *trusted { "SET" } else { "UNSET" })
            }
            Command::SetMechanism { table, mechanism } => {
                let word = match mechanism {
                    Some(Mechanism::Rls) => "RLS",
                    Some(Mechanism::View) => "VIEW",
                    None => "DEFAULT",
                };
                write!(f, "ALTER TABLE {table} SET FILTER MECHANISM {word}")
            }
            Command::Act { people, actors, granted } => {
                let (verb, word) = if *granted { ("GRANT", "TO") } else { ("REVOKE", "FROM") };
                write!(f, "{verb} ACT FOR {} {word} {}", member_list(people), principals(actors))
            }
            Command::ShowActors { person } => {
                f.write_str("SHOW ACTORS")?;
                optional(f, " FOR ", person.as_deref().map(quote_identifier))
            }
            Command::ShowSession => f.write_str("SHOW SESSION"),
            Command::ShowProxy(ProxyView::Pools) => f.write_str("SHOW POOLS"),
            Command::ShowProxy(ProxyView::Sessions) => f.write_str("SHOW SESSIONS"),
            Command::ShowProxy(ProxyView::Stats) => f.write_str("SHOW STATS"),
            Command::ShowAudit { principal } => {
                f.write_str("SHOW AUDIT")?;
                optional(f, " FOR ", principal.as_deref().map(quote_identifier))
            }
            Command::ShowRowFilters { table } => {
                f.write_str("SHOW ROW FILTERS")?;
                optional(f, " ON TABLE ", table.as_ref())
            }
            Command::ShowMasks { table } => {
                f.write_str("SHOW MASKS")?;
                optional(f, " ON TABLE ", table.as_ref())
            }
            Command::ExplainAccess { principal, statement } => {
                f.write_str("EXPLAIN ACCESS")?;
                optional(f, " FOR ", principal.as_deref().map(quote_identifier))?;
                write!(f, " {statement}")
            }
        }
    }
}

impl Display for SecurableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecurableName::Catalog(None) => f.write_str("CATALOG"),
            SecurableName::Catalog(Some(name)) => write!(f, "CATALOG {}", name.quoted()),
            SecurableName::Schema(name) => write!(f, "SCHEMA {name}"),
            SecurableName::Table(name) => write!(f, "TABLE {name}"),
            SecurableName::View(name) => write!(f, "VIEW {name}"),
            SecurableName::Function { name, arguments: None } => write!(f, "FUNCTION {name}"),
            SecurableName::Function { name, arguments: Some(types) } => write!(f, "FUNCTION {name}({})", types.join(", ")),
            SecurableName::AnonymousFunction => f.write_str("ANONYMOUS FUNCTION"),
            SecurableName::AnyFile => f.write_str("ANY FILE"),
            SecurableName::Connection(name) => write!(f, "CONNECTION {}", name.quoted()),
        }
    }
}

impl Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", kind_words(self.kind), quote_identifier(&self.name))
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Argument::Column(name) => f.write_str(&name.quoted()),
            Argument::DottedColumn(text) | Argument::Literal(text) => f.write_str(text),
        }
    }
}

/// The words for a kind of principal in the dialect.
pub(super) fn kind_words(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "USER",
        PrincipalKind::ServicePrincipal => "SERVICE PRINCIPAL",
        PrincipalKind::Group => "GROUP",
    }
}

fn policy_body(f: &mut fmt::Formatter<'_>, body: &PolicyBody, before: &str) -> fmt::Result {
    match body {
        PolicyBody::Expression(text) => write!(f, "({text})"),
        PolicyBody::Function { function, arguments } => {
            write!(f, "{}", ObjectName::to_string(function))?;
            let listed = arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            write!(f, " {before} ({listed})")
        }
    }
}

/// How long a credential is good, and for what.
fn terms(f: &mut fmt::Formatter<'_>, lifetime: Option<Duration>, scopes: &[String]) -> fmt::Result {
    optional(f, " LIFETIME ", lifetime.map(|l| format!("{} SECONDS", l.as_secs())))?;
    optional(f, " SCOPES ", (!scopes.is_empty()).then(|| format!("({})", scopes.join(", "))))
}

fn optional(f: &mut fmt::Formatter<'_>, before: &str, part: Option<impl Display>) -> fmt::Result {
    part.map_or(Ok(()), |part| write!(f, "{before}{part}"))
}

fn words(privileges: &[Privilege]) -> String {
    privileges.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ")
}

fn principals(names: &[String]) -> String {
    names.iter().map(|n| quote_identifier(n)).collect::<Vec<_>>().join(", ")
}

fn member_list(members: &[Member]) -> String {
    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
