//! Governance commands carried out.
//!
//! In: a [`Command`], the [`Subject`] who gave it, and an [`OwnerChannel`] whose transaction it stands in. Out: rows of the policy store
//! written, upstream brought in line, the version moved; a [`Reply`]. Never: a commit, a cascade, a right taken from the session's cached
//! view: catalog and policies are loaded in the same transaction, after the lock that puts writers in a row.
//!
//! INVARIANT: when a command fails after it wrote something, the caller must roll the transaction back.

mod acting;
mod arguments;
mod audit;
mod explain;
mod filters;
mod grants;
mod masks;
mod names;
mod owners;
mod passwords;
mod principals;
mod rights;
mod settled;
mod show;
mod tokens;
mod trusted;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::governed::governed;
use super::load::{self, Known};
use super::reconcile;
use crate::catalog::{Footing, SearchPath};
use crate::error::{GovernError, StoreError};
use crate::governance::{Command, columns};
use crate::policy::{Bearing, Oid, PrincipalId, Subject};
use crate::session::Reply;
use crate::upstream::OwnerChannel;

/// What the configuration says about governance.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How policies are enforced upstream.
    pub enforcement: reconcile::Settings,
    /// The lifetime of a token made without one.
    pub default_lifetime: Duration,
    /// The longest lifetime of a token.
    pub max_lifetime: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { enforcement: reconcile::Settings::default(), default_lifetime: 90 * day, max_lifetime: 730 * day }
    }
}

/// The operator at the command line: an administrator who is no principal.
pub fn operator() -> Subject {
    Subject {
        principal: OPERATOR,
        name: Arc::from("operator"),
        groups: Arc::new(HashSet::new()),
        bearing: Bearing::default(),
        admin: true,
    }
}

const OPERATOR: PrincipalId = PrincipalId(0);

/// What a command is carried out on.
struct Ground<'a> {
    subject: Subject,
    /// The session's rights are narrower than its principal's.
    narrowed: bool,
    footing: Footing,
    search_path: &'a SearchPath,
    terms: &'a Terms,
    known: Option<&'a Known>,
}

type Rows = Vec<Vec<Option<String>>>;

/// Carries out a command for a subject, in the channel's transaction. `known` is a catalog that may still be the same.
pub async fn carry_out(
    command: &Command,
    subject: &Subject,
    search_path: &SearchPath,
    terms: &Terms,
    known: Option<&Known>,
    channel: &mut dyn OwnerChannel,
) -> Result<Reply, GovernError> {
    if command.changes() && subject.bearing.reading {
        return Err(GovernError::Scope);
    }
    // A new token changes nothing for anybody else, so it waits for nobody and nobody is told.
    let shakes = command.changes() && !matches!(command, Command::CreateToken { .. });
    if shakes {
        channel.execute(&format!("SELECT pgusher.queue({})", subject.admin)).await?;
    }
    let catalog = load::catalog(channel, known, 0).await?;
    let policies = load::policies(channel, known).await?;
    // What a token claims is for its session: what governance made of it would stay.
    let bearing = Bearing { claimed: Arc::default(), ..subject.bearing.clone() };
    let fresh =
        if subject.principal == OPERATOR { Some(subject.clone()) } else { policies.subject_bearing(subject.principal, &bearing) };
    let fresh = fresh.ok_or(GovernError::SubjectGone)?;
    let narrowed = fresh.bearing.narrowed;
    let subject = Subject { admin: fresh.admin && subject.admin, ..fresh };
    let governed = governed(&catalog, &policies, &terms.enforcement, &HashMap::new());
    let footing = Footing::new(Arc::new(catalog), Arc::new(policies), governed);
    let ground = Ground { subject, narrowed, footing, search_path, terms, known };
    let rows = run(command, &ground, channel).await?;
    if shakes {
        reconcile::changed(channel).await?;
    }
    Ok(Reply {
        columns: columns(command).into_iter().map(str::to_owned).collect(),
        rows,
        tag: command.tag().to_owned(),
        changed: command.changes(),
    })
}

async fn run(command: &Command, ground: &Ground<'_>, channel: &mut dyn OwnerChannel) -> Result<Rows, GovernError> {
    let done = match command {
        Command::Grant { privileges, on, to } => grants::grant(ground, channel, privileges, on, to).await,
        Command::Revoke { privileges, on, from } => grants::revoke(ground, channel, privileges, on, from).await,
        Command::Msck { on } => grants::msck(ground, channel, on).await,
        Command::AlterOwner { on, owner } => owners::alter(ground, channel, on, owner).await,
        Command::CreatePrincipal { kind, name, if_not_exists, members } => {
            principals::create(ground, channel, *kind, name, *if_not_exists, members).await
        }
        Command::DropPrincipal { kind, name, if_exists } => principals::drop(ground, channel, *kind, name, *if_exists).await,
        Command::EnablePrincipal { kind, name, enabled } => principals::enable(ground, channel, *kind, name, *enabled).await,
        Command::AlterGroup { group, change, members } => principals::alter_group(ground, channel, group, *change, members).await,
        Command::RevokeToken { id } => tokens::revoke(ground, channel, id).await,
        Command::SetRowFilter { table, body } => filters::set(ground, channel, table, body).await,
        Command::DropRowFilter { table } => filters::drop(ground, channel, table).await,
        Command::SetMechanism { table, mechanism } => filters::set_mechanism(ground, channel, table, *mechanism).await,
        Command::SetTrusted { view, trusted } => trusted::set(ground, channel, view, *trusted).await,
        Command::SetMask { table, column, body } => masks::set(ground, channel, table, column, body).await,
        Command::DropMask { table, column } => masks::drop(ground, channel, table, column).await,
        Command::Act { people, actors, granted } => acting::set(ground, channel, people, actors, *granted).await,
        Command::ShowActors { person } => return acting::show(ground, channel, person.as_deref()).await,
        Command::ShowAudit { principal } => return audit::show(ground, channel, principal.as_deref()).await,
        Command::ShowSession => return acting::session(ground, channel).await,
        // A session answers it itself.
        Command::ShowProxy(_) => {
            let what = format!("{command} is answered by a proxy, and this is none");
            return Err(GovernError::Unsupported { what, hint: Some("Ask it in a session of an administrator.") });
        }
        Command::CreateToken { principal, comment, lifetime, scopes } => {
            let wanted =
                tokens::Wanted { principal: principal.as_deref(), comment: comment.as_deref(), lifetime: *lifetime, scopes };
            return tokens::create(ground, channel, wanted).await;
        }
        Command::SetPassword { kind, name, password, lifetime, scopes } => {
            let wanted = tokens::Wanted { principal: Some(name), comment: None, lifetime: *lifetime, scopes };
            return passwords::set(ground, channel, (*kind, password), wanted).await;
        }
        Command::ShowTokens { whose } => return tokens::show(ground, channel, whose).await,
        Command::ShowGrants { principal, on } => return show::grants(ground, principal.as_deref(), on.as_ref()),
        Command::ShowEffectiveGrants { principal, on } => return show::effective_grants(ground, principal, on),
        Command::ShowAccess { on } => return show::access(ground, on),
        Command::ShowPrincipals { kind } => return principals::show(ground, *kind),
        Command::ShowGroups { with } => return principals::show_groups(ground, with.as_ref()),
        Command::ShowRowFilters { table } => return filters::show(ground, table.as_ref()),
        Command::ShowMasks { table } => return masks::show(ground, table.as_ref()),
        Command::ExplainAccess { principal, statement } => return explain::explain(ground, principal.as_deref(), statement),
    };
    done.map(|()| Rows::new())
}

/// Brings upstream in line after a change that concerns these relations.
async fn follow(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, relations: &[Oid]) -> Result<(), GovernError> {
    reconcile::lock_version(channel).await?;
    let catalog = Arc::new(load::catalog(channel, ground.known, 0).await?);
    reconcile::run(channel, &ground.terms.enforcement, relations, ground.known, Some(catalog)).await.map_err(GovernError::Store)
}

/// Rows of one SELECT.
async fn fetch<T: DeserializeOwned>(channel: &mut dyn OwnerChannel, sql: &str) -> Result<Vec<T>, GovernError> {
    let value = channel.fetch(sql).await?;
    serde_json::from_value(value).map_err(|error| GovernError::Store(StoreError::Malformed(error.to_string())))
}

/// A moment as texts show it.
fn moment(column: &str) -> String {
    format!("pg_catalog.to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
}

impl Ground<'_> {
    /// Who did it, as SQL: the operator is nobody.
    fn author(&self) -> String {
        if self.subject.principal == OPERATOR { "NULL".to_owned() } else { self.subject.principal.0.to_string() }
    }
}
