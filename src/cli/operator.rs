//! Governance by the operator: subcommands → governance commands, over the control connection.

use std::time::Duration;

use super::arguments::{Action, GroupAction, Members, PrincipalAction, TokenAction};
use super::control::Operator;
use super::{Failure, table};
use crate::config::Settings;
use crate::error::Report;
use crate::governance::{self, Command, Member, MemberChange, TokensOf};
use crate::policy::PrincipalKind;

/// The governance command of a subcommand.
pub(super) fn command(action: Action) -> Result<Command, Failure> {
    match action {
        Action::User(action) => Ok(principal(PrincipalKind::User, action)),
        Action::ServicePrincipal(action) => Ok(principal(PrincipalKind::ServicePrincipal, action)),
        Action::Group(action) => group(action),
        Action::Token(action) => Ok(token(action)),
        Action::Sql { statement } => {
            governance::parse(&statement).map_err(|error| Failure::Refused(Box::new(Report::from(&error))))
        }
        Action::Serve | Action::Init(_) | Action::Check | Action::Audit(_) | Action::Demo(_) => {
            Err(Failure::Usage("not a governance command".to_owned()))
        }
    }
}

/// Carries it out and prints the answer.
pub(super) async fn run(settings: Settings, command: Command) -> Result<(), Failure> {
    let mut operator = Operator::connect(&settings).await?;
    let reply = operator.govern(&command).await?;
    match &command {
        Command::CreateToken { .. } => table::list(&reply),
        _ if reply.columns.is_empty() => println!("{}", reply.tag),
        _ => table::print(&reply),
    }
    Ok(())
}

fn principal(kind: PrincipalKind, action: PrincipalAction) -> Command {
    match action {
        PrincipalAction::Create { name } => Command::CreatePrincipal { kind, name, if_not_exists: false, members: Vec::new() },
        PrincipalAction::List => Command::ShowPrincipals { kind },
        PrincipalAction::Enable { name } => Command::EnablePrincipal { kind, name, enabled: true },
        PrincipalAction::Disable { name } => Command::EnablePrincipal { kind, name, enabled: false },
        PrincipalAction::Drop { name } => Command::DropPrincipal { kind, name, if_exists: false },
    }
}

fn group(action: GroupAction) -> Result<Command, Failure> {
    let kind = PrincipalKind::Group;
    Ok(match action {
        GroupAction::Create { name } => Command::CreatePrincipal { kind, name, if_not_exists: false, members: Vec::new() },
        GroupAction::List => Command::ShowGroups { with: None },
        GroupAction::Drop { name } => Command::DropPrincipal { kind, name, if_exists: false },
        GroupAction::Add(members) => altered(members, MemberChange::Add)?,
        GroupAction::Remove(members) => altered(members, MemberChange::Drop)?,
    })
}

fn altered(members: Members, change: MemberChange) -> Result<Command, Failure> {
    let Members { group, users, service_principals, groups } = members;
    let of = |kind: PrincipalKind, names: Vec<String>| names.into_iter().map(move |name| Member { kind, name });
    let members: Vec<Member> = of(PrincipalKind::User, users)
        .chain(of(PrincipalKind::ServicePrincipal, service_principals))
        .chain(of(PrincipalKind::Group, groups))
        .collect();
    if members.is_empty() {
        return Err(Failure::Usage("name at least one member: --user, --service-principal or --group".to_owned()));
    }
    Ok(Command::AlterGroup { group, change, members })
}

fn token(action: TokenAction) -> Command {
    match action {
        TokenAction::Create { principal, comment, lifetime_days, scopes } => Command::CreateToken {
            principal: Some(principal),
            comment,
            lifetime: lifetime_days.map(|days| Duration::from_secs(days * 24 * 3600)),
            scopes,
        },
        TokenAction::List { principal } => Command::ShowTokens { whose: principal.map_or(TokensOf::Own, TokensOf::Principal) },
        TokenAction::Revoke { id } => Command::RevokeToken { id },
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::super::arguments::Arguments;
    use super::*;

    fn given(line: &str) -> Result<Command, Failure> {
        command(Arguments::try_parse_from(line.split(' ')).unwrap().action)
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn subcommands_are_governance_commands() {
        for (line, expected) in [
            ("pgusher user create Ann@X.com", "CREATE USER \"Ann@X.com\""),
            ("pgusher user disable ann", "ALTER USER \"ann\" DISABLE"),
            ("pgusher service-principal list", "SHOW SERVICE PRINCIPALS"),
            ("pgusher group create g", "CREATE GROUP \"g\""),
            ("pgusher group add g --user a --group h --user b", "ALTER GROUP \"g\" ADD USER \"a\", USER \"b\", GROUP \"h\""),
            (
                "pgusher token create ann --lifetime-days 2 --scope sql",
                "CREATE TOKEN FOR \"ann\" LIFETIME 172800 SECONDS SCOPES (sql)",
            ),
            ("pgusher token list", "SHOW TOKENS"),
            ("pgusher token revoke abc", "REVOKE TOKEN 'abc'"),
        ] {
            assert_eq!(given(line).unwrap().redacted(), expected, "{line}");
        }
    }

    #[test]
    fn a_group_is_changed_by_at_least_one_member() {
        assert!(matches!(given("pgusher group add g"), Err(Failure::Usage(_))));
    }
}
