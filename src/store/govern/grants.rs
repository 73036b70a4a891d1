//! GRANT, REVOKE, MSCK.

use super::Ground;
use super::names::Target;
use super::rights::sensible;
use crate::error::GovernError;
use crate::governance::SecurableName;
use crate::name::quote_literal;
use crate::policy::{Principal, Privilege};
use crate::store::load::securable_key;
use crate::upstream::OwnerChannel;

pub(super) async fn grant(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    privileges: &[Privilege],
    on: &SecurableName,
    to: &[String],
) -> Result<(), GovernError> {
    let (target, principals) = check(ground, privileges, on, to)?;
    let (kind, object) = securable_key(target.securable);
    let author = ground.author();
    let rows = principals.iter().flat_map(|principal| {
        let author = &author;
        privileges.iter().map(move |privilege| {
            format!("('{kind}', {object}, {}, {}, {author})", quote_literal(privilege.as_str()), principal.id.0)
        })
    });
    let values = rows.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "INSERT INTO pgusher.grants (kind, object, privilege, principal, granted_by) VALUES {values} ON CONFLICT DO NOTHING"
    );
    Ok(channel.execute(&sql).await?)
}

/// Takes exactly the named grants away. What is inherited or comes through a group stays, as in PostgreSQL.
pub(super) async fn revoke(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    privileges: &[Privilege],
    on: &SecurableName,
    from: &[String],
) -> Result<(), GovernError> {
    let (target, principals) = check(ground, privileges, on, from)?;
    let held = |principal: &Principal, privilege: Privilege| {
        ground.footing.policies.holders(target.securable, privilege).is_some_and(|holders| holders.contains(principal.id))
    };
    let owner = ground.footing.policies.owner(target.securable);
    if let Some(owner) =
        principals.iter().find(|p| Some(p.id) == owner && !Privilege::ALL.iter().any(|privilege| held(p, *privilege)))
    {
        return Err(GovernError::OwnerRights { owner: owner.name.to_string(), noun: target.noun, label: target.label });
    }
    let all = privileges.contains(&Privilege::AllPrivileges);
    let taken: Vec<Privilege> = match all {
        // ALL PRIVILEGES stands for every privilege but MANAGE, and takes them away even where they were granted singly.
        true => Privilege::ALL.into_iter().filter(|p| *p != Privilege::Manage || privileges.contains(p)).collect(),
        false => privileges.to_vec(),
    };
    let (kind, object) = securable_key(target.securable);
    let names = taken.iter().map(|privilege| quote_literal(privilege.as_str())).collect::<Vec<_>>().join(", ");
    let ids = principals.iter().map(|principal| principal.id.0.to_string()).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "DELETE FROM pgusher.grants WHERE kind = '{kind}' AND object = {object} AND privilege IN ({names}) AND principal IN ({ids})"
    );
    Ok(channel.execute(&sql).await?)
}

/// Drops every grant on exactly this securable.
pub(super) async fn msck(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, on: &SecurableName) -> Result<(), GovernError> {
    let target = ground.target(on)?;
    ground.manager(&target)?;
    let (kind, object) = securable_key(target.securable);
    Ok(channel.execute(&format!("DELETE FROM pgusher.grants WHERE kind = '{kind}' AND object = {object}")).await?)
}

fn check<'a>(
    ground: &'a Ground<'_>,
    privileges: &[Privilege],
    on: &SecurableName,
    names: &[String],
) -> Result<(Target, Vec<&'a Principal>), GovernError> {
    let target = ground.target(on)?;
    ground.manager(&target)?;
    if let Some(privilege) = privileges.iter().find(|privilege| !sensible(target.securable).contains(privilege)) {
        return Err(GovernError::InvalidGrant { privilege: *privilege, noun: target.noun });
    }
    let principals = names.iter().map(|name| ground.principal(name)).collect::<Result<Vec<_>, _>>()?;
    Ok((target, principals))
}
