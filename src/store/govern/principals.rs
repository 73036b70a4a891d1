//! Users, service principals and groups.

use std::collections::HashSet;

use super::{Ground, Rows};
use crate::authn::ANY_USER;
use crate::catalog::CatalogSnapshot;
use crate::error::{GovernError, kind_noun};
use crate::governance::{Member, MemberChange};
use crate::name::quote_literal;
use crate::policy::{PolicySnapshot, Principal, PrincipalId, PrincipalKind, Securable};
use crate::store::load;
use crate::upstream::OwnerChannel;

pub(super) async fn create(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    kind: PrincipalKind,
    name: &str,
    if_not_exists: bool,
    members: &[Member],
) -> Result<(), GovernError> {
    ground.admin(&format!("create {}", kind_noun(kind)))?;
    if let Some(found) = ground.footing.policies.principal_named(name) {
        return if if_not_exists && found.kind == kind {
            Ok(())
        } else {
            Err(GovernError::DuplicatePrincipal { name: name.to_owned(), kind: found.kind })
        };
    }
    if name == ANY_USER {
        return Err(GovernError::ReservedName { name: name.to_owned() });
    }
    let members = members.iter().map(|member| ground.member(member)).collect::<Result<Vec<_>, _>>()?;
    let kind_text = match kind {
        PrincipalKind::User => "user",
        PrincipalKind::ServicePrincipal => "service_principal",
        PrincipalKind::Group => "group",
    };
    let name = quote_literal(name);
    channel.execute(&format!("INSERT INTO pgusher.principal (name, kind) VALUES ({name}, '{kind_text}')")).await?;
    for member in members {
        let sql = format!(
            "INSERT INTO pgusher.membership (group_id, member_id) SELECT p.id, {} FROM pgusher.principal AS p WHERE p.name = {name}",
            member.id.0
        );
        channel.execute(&sql).await?;
    }
    Ok(())
}

pub(super) async fn drop(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    kind: PrincipalKind,
    name: &str,
    if_exists: bool,
) -> Result<(), GovernError> {
    ground.admin(&format!("drop {}", kind_noun(kind)))?;
    if if_exists && ground.footing.policies.principal_named(name).is_none() {
        return Ok(());
    }
    let principal = ground.principal_of(kind, name)?;
    if built_in(ground, principal.id) {
        return Err(GovernError::BuiltInGroup { name: name.to_owned(), what: "cannot be dropped" });
    }
    let mut owns: Vec<String> = ground
        .footing
        .policies
        .owners()
        .filter(|(_, owner)| *owner == principal.id)
        .filter_map(|(securable, _)| describe(&ground.footing.catalog, securable))
        .map(|object| format!("owner of {object}"))
        .collect();
    if !owns.is_empty() {
        owns.sort();
        return Err(GovernError::OwnsObjects { kind, name: name.to_owned(), owns });
    }
    let id = principal.id.0;
    // What it owned of objects that are gone; grants, memberships and tokens go with the row.
    channel.execute(&format!("DELETE FROM pgusher.owner WHERE principal = {id}")).await?;
    channel.execute(&format!("DELETE FROM pgusher.principal WHERE id = {id}")).await?;
    an_admin_is_left(ground, channel).await
}

pub(super) async fn enable(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    kind: PrincipalKind,
    name: &str,
    enabled: bool,
) -> Result<(), GovernError> {
    ground.admin(&format!("alter {}", kind_noun(kind)))?;
    let principal = ground.principal_of(kind, name)?;
    channel.execute(&format!("UPDATE pgusher.principal SET enabled = {enabled} WHERE id = {}", principal.id.0)).await?;
    an_admin_is_left(ground, channel).await
}

pub(super) async fn alter_group(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    group: &str,
    change: MemberChange,
    members: &[Member],
) -> Result<(), GovernError> {
    ground.admin("alter group")?;
    let group = ground.principal_of(PrincipalKind::Group, group)?;
    if Some(group.id) == ground.footing.policies.users() {
        return Err(GovernError::BuiltInGroup { name: group.name.to_string(), what: "holds everybody, always" });
    }
    for member in members {
        let member = ground.member(member)?;
        let sql = match change {
            MemberChange::Add => {
                may_contain(ground, group, member)?;
                format!(
                    "INSERT INTO pgusher.membership (group_id, member_id) VALUES ({}, {}) ON CONFLICT DO NOTHING",
                    group.id.0, member.id.0
                )
            }
            MemberChange::Drop => {
                format!("DELETE FROM pgusher.membership WHERE group_id = {} AND member_id = {}", group.id.0, member.id.0)
            }
        };
        channel.execute(&sql).await?;
    }
    an_admin_is_left(ground, channel).await
}

pub(super) fn show(ground: &Ground<'_>, kind: PrincipalKind) -> Result<Rows, GovernError> {
    ground.admin(&format!("list {}s", kind_noun(kind)))?;
    let mut found: Vec<&Principal> = ground.footing.policies.principals().filter(|p| p.kind == kind).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let row = |principal: &Principal| {
        let groups = names(&ground.footing.policies, ground.footing.policies.parents(principal.id));
        vec![Some(principal.name.to_string()), Some(principal.enabled.to_string()), Some(groups)]
    };
    Ok(found.into_iter().map(row).collect())
}

/// Administrators see every group and its members; others the groups that they are in.
pub(super) fn show_groups(ground: &Ground<'_>, with: Option<&Member>) -> Result<Rows, GovernError> {
    let within: Option<HashSet<PrincipalId>> = match with {
        Some(member) => {
            let own = member.name == *ground.subject.name;
            if !own {
                ground.admin("list groups of others")?;
            }
            Some(ground.footing.policies.groups_of(ground.member(member)?.id))
        }
        None if ground.subject.admin => None,
        None => Some(ground.subject.groups.as_ref().clone()),
    };
    let mut found: Vec<&Principal> = ground
        .footing
        .policies
        .principals()
        .filter(|p| p.kind == PrincipalKind::Group && within.as_ref().is_none_or(|ids| ids.contains(&p.id)))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let row = |group: &Principal| {
        let members = ground.subject.admin.then(|| names(&ground.footing.policies, ground.footing.policies.members(group.id)));
        vec![Some(group.name.to_string()), members]
    };
    Ok(found.into_iter().map(row).collect())
}

/// `table "shop.orders"`, or nothing for an object that is gone.
pub(super) fn describe(catalog: &CatalogSnapshot, securable: Securable) -> Option<String> {
    match securable {
        Securable::Catalog => Some(format!("catalog {}", catalog.database)),
        Securable::Schema(oid) => catalog.schema(oid).map(|schema| format!("schema {}", schema.name)),
        Securable::Relation(oid) => {
            let relation = catalog.relation(oid)?;
            let name = catalog.qualified(relation)?;
            Some(format!("{} {name}", relation.kind.noun()))
        }
        Securable::Function(oid) => catalog.function(oid).map(|function| format!("function {}", function.name)),
        Securable::Type(oid) => catalog.user_type(oid).map(|one| format!("type {}", one.name)),
        Securable::AnonymousFunction => Some("ANONYMOUS FUNCTION".to_owned()),
        Securable::AnyFile => Some("ANY FILE".to_owned()),
        Securable::Connection(oid) => catalog.server(oid).map(|server| format!("foreign server {}", server.name)),
    }
}

fn built_in(ground: &Ground<'_>, id: PrincipalId) -> bool {
    Some(id) == ground.footing.policies.users() || Some(id) == ground.footing.policies.admins()
}

fn may_contain(ground: &Ground<'_>, group: &Principal, member: &Principal) -> Result<(), GovernError> {
    let everybody = Some(member.id) == ground.footing.policies.users();
    let above = ground.footing.policies.groups_of(group.id);
    if everybody
        && (Some(group.id) == ground.footing.policies.admins()
            || ground.footing.policies.admins().is_some_and(|a| above.contains(&a)))
    {
        return Err(GovernError::BuiltInGroup { name: member.name.to_string(), what: "cannot be made administrators" });
    }
    // Everybody, groups included, is in `users` without a row; that makes no cycle of its own.
    let cycle = member.id == group.id || contains(&ground.footing.policies, member.id, group.id);
    if cycle {
        return Err(GovernError::Cycle { group: group.name.to_string(), member: member.name.to_string() });
    }
    Ok(())
}

/// Whether a group contains a principal by recorded memberships.
fn contains(policies: &PolicySnapshot, group: PrincipalId, wanted: PrincipalId) -> bool {
    let mut seen = HashSet::from([group]);
    let mut open = vec![group];
    while let Some(next) = open.pop() {
        for member in policies.members(next) {
            if *member == wanted {
                return true;
            }
            if seen.insert(*member) {
                open.push(*member);
            }
        }
    }
    false
}

/// After the write: if somebody could administrate before, somebody still can.
async fn an_admin_is_left(ground: &Ground<'_>, channel: &mut dyn OwnerChannel) -> Result<(), GovernError> {
    if !has_admin(&ground.footing.policies) {
        return Ok(());
    }
    let now = load::policies(channel, ground.known).await?;
    if has_admin(&now) { Ok(()) } else { Err(GovernError::LastAdmin) }
}

fn has_admin(policies: &PolicySnapshot) -> bool {
    policies
        .principals()
        .filter(|p| p.kind != PrincipalKind::Group)
        .any(|p| policies.subject(p.id).is_some_and(|subject| subject.admin))
}

fn names(policies: &PolicySnapshot, ids: &[PrincipalId]) -> String {
    let mut names: Vec<&str> = ids.iter().filter_map(|id| policies.principal(*id)).map(|p| &*p.name).collect();
    names.sort_unstable();
    names.join(", ")
}
