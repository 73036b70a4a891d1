//! SHOW GRANTS, SHOW EFFECTIVE GRANTS, SHOW ACCESS.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::names::Target;
use super::rights::sensible;
use super::{Ground, Rows};
use crate::catalog::RelationKind;
use crate::error::GovernError;
use crate::governance::SecurableName;
use crate::policy::{Bearing, Grant, Principal, PrincipalId, PrincipalKind, Principals, Privilege, Securable, Subject};

/// `actionType` of an owner.
const OWN: &str = "OWN";

/// Explicit grants and ownerships. With a securable, those on what contains it too, since they cover it.
pub(super) fn grants(ground: &Ground<'_>, principal: Option<&str>, on: Option<&SecurableName>) -> Result<Rows, GovernError> {
    let target = on.map(|on| ground.target(on)).transpose()?;
    let manages = target.as_ref().map_or(ground.subject.admin, |target| ground.manages(target));
    let whose: Option<HashSet<PrincipalId>> = match principal {
        Some(name) => {
            let principal = ground.principal(name)?;
            if !manages && !ground.is_own(principal.id) {
                match &target {
                    Some(target) => ground.manager(target)?,
                    None => ground.admin("list grants of others")?,
                }
            }
            Some(HashSet::from([principal.id]))
        }
        None if target.is_some() && manages => None,
        None => Some(own(ground)),
    };
    let places = target.as_ref().map(covering);
    let wanted = |securable: Securable, holder: PrincipalId| {
        places.as_ref().is_none_or(|places| places.contains(&securable)) && whose.as_ref().is_none_or(|ids| ids.contains(&holder))
    };
    let policies = &ground.footing.policies;
    let owners = policies.owners().filter(|(securable, owner)| wanted(*securable, *owner));
    let owned = owners.filter_map(|(securable, owner)| row(ground, owner, OWN, securable));
    let granted = policies.grants().filter(|grant| wanted(grant.securable, grant.principal));
    let granted =
        granted.filter_map(|Grant { principal, privilege, securable }| row(ground, principal, privilege.as_str(), securable));
    Ok(sorted(owned.chain(granted)))
}

/// What a principal may do with a securable, and by what: a row per privilege and source.
pub(super) fn effective_grants(ground: &Ground<'_>, principal: &str, on: &SecurableName) -> Result<Rows, GovernError> {
    let target = ground.target(on)?;
    let principal = ground.principal(principal)?;
    if !ground.is_own(principal.id) {
        ground.manager(&target)?;
    }
    let (kind, key) = place(ground, target.securable).unwrap_or_default();
    let rows = sources(ground, principal, &target).into_iter().map(|source| {
        let [name, action, kind, key] = [principal.name.to_string(), source.action, kind.clone(), key.clone()].map(Some);
        vec![name, action, kind, key, source.inherited_from, source.via]
    });
    Ok(sorted(rows))
}

/// Who can do what with a securable, groups left out: a row per privilege and source.
pub(super) fn access(ground: &Ground<'_>, on: &SecurableName) -> Result<Rows, GovernError> {
    let target = ground.target(on)?;
    ground.manager(&target)?;
    let policies = &ground.footing.policies;
    let people = policies.principals().filter(|p| p.kind != PrincipalKind::Group && p.enabled);
    let rows = people.flat_map(|principal| {
        sources(ground, principal, &target)
            .into_iter()
            .map(|source| vec![Some(principal.name.to_string()), Some(source.action), source.inherited_from, source.via])
    });
    Ok(sorted(rows))
}

#[derive(Debug, PartialEq, Eq)]
struct Source {
    action: String,
    inherited_from: Option<String>,
    via: Option<String>,
}

/// Everything that gives a principal a privilege on the target, as `policy::decide` would find it.
fn sources(ground: &Ground<'_>, principal: &Principal, target: &Target) -> Vec<Source> {
    let policies = &ground.footing.policies;
    let groups = policies.groups_of(principal.id);
    let admin = policies.admins().is_some_and(|admins| groups.contains(&admins) || principal.id == admins);
    let subject = Subject {
        principal: principal.id,
        name: Arc::clone(&principal.name),
        groups: Arc::new(groups),
        bearing: Bearing::default(),
        admin,
    };
    let privileges = sensible(target.securable).iter().copied().filter(|privilege| *privilege != Privilege::AllPrivileges);
    let mut found = Vec::new();
    for privilege in privileges {
        let action = privilege.as_str().to_owned();
        let through = |holder: PrincipalId| {
            let name = policies.principal(holder).filter(|p| p.id != principal.id)?;
            Some(name.name.to_string())
        };
        if subject.admin {
            let via = policies.admins().and_then(through);
            found.push(Source { action: action.clone(), inherited_from: None, via });
        }
        if let Some(owner) = policies.owner(target.securable).filter(|o| *o == subject.principal || subject.groups.contains(o)) {
            found.push(Source { action: action.clone(), inherited_from: Some("ownership".to_owned()), via: through(owner) });
        }
        for securable in covering(target) {
            let inherited_from = (securable != target.securable).then(|| place(ground, securable)).flatten();
            let inherited_from = inherited_from.map(|(kind, key)| format!("{kind} {key}"));
            for held in [privilege, Privilege::AllPrivileges] {
                if held == Privilege::AllPrivileges && privilege == Privilege::Manage {
                    continue;
                }
                let holders = policies.holders(securable, held).into_iter().flat_map(Principals::iter);
                let own = holders.filter(|h| *h == subject.principal || subject.groups.contains(h));
                found.extend(own.map(|holder| Source {
                    action: action.clone(),
                    inherited_from: inherited_from.clone(),
                    via: through(holder),
                }));
            }
        }
    }
    found
}

/// The securable and what contains it.
fn covering(target: &Target) -> Vec<Securable> {
    let containers = match target.securable {
        Securable::Relation(_) | Securable::Function(_) | Securable::Type(_) => {
            vec![target.schema.map(Securable::Schema), Some(Securable::Catalog)]
        }
        Securable::Schema(_) | Securable::Connection(_) => vec![Some(Securable::Catalog)],
        Securable::Catalog | Securable::AnonymousFunction | Securable::AnyFile => Vec::new(),
    };
    std::iter::once(target.securable).chain(containers.into_iter().flatten()).collect()
}

fn own(ground: &Ground<'_>) -> HashSet<PrincipalId> {
    ground.subject.groups.iter().copied().chain([ground.subject.principal]).collect()
}

fn row(ground: &Ground<'_>, holder: PrincipalId, action: &str, securable: Securable) -> Option<Vec<Option<String>>> {
    let principal = ground.footing.policies.principal(holder)?;
    let (kind, key) = place(ground, securable)?;
    Some([principal.name.to_string(), action.to_owned(), kind, key].map(Some).to_vec())
}

/// objectType and objectKey; `None` for an object that is gone.
pub(super) fn place(ground: &Ground<'_>, securable: Securable) -> Option<(String, String)> {
    let catalog = &ground.footing.catalog;
    let (kind, key) = match securable {
        Securable::Catalog => ("CATALOG", catalog.database.to_string()),
        Securable::Schema(oid) => ("SCHEMA", catalog.schema(oid)?.name.to_string()),
        Securable::Relation(oid) => {
            let relation = catalog.relation(oid)?;
            let kind = match relation.kind {
                RelationKind::View | RelationKind::MaterializedView => "VIEW",
                RelationKind::Table
                | RelationKind::PartitionedTable
                | RelationKind::ForeignTable
                | RelationKind::Sequence
                | RelationKind::CompositeType
                | RelationKind::Index => "TABLE",
            };
            (kind, catalog.qualified(relation)?.to_string())
        }
        Securable::Function(oid) => ("FUNCTION", ground.function_label(catalog.function(oid)?)),
        Securable::Type(oid) => {
            let one = catalog.user_type(oid)?;
            ("TYPE", format!("{}.{}", catalog.schema(one.schema)?.name, one.name))
        }
        Securable::AnonymousFunction => ("ANONYMOUS FUNCTION", String::new()),
        Securable::AnyFile => ("ANY FILE", String::new()),
        Securable::Connection(oid) => ("CONNECTION", catalog.server(oid)?.name.to_string()),
    };
    Some((kind.to_owned(), key))
}

fn sorted(rows: impl Iterator<Item = Vec<Option<String>>>) -> Rows {
    rows.collect::<BTreeSet<_>>().into_iter().collect()
}
