//! The decision: total, pure, small. Default deny; a grant allows; nothing forbids.

use std::sync::Arc;

use super::model::{Holder, Level, PrincipalId, Privilege, Requirement, Securable, Subject};
use super::snapshot::PolicySnapshot;

/// What allowed one requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The subject is an administrator.
    Admin,
    /// The subject, or a group it is in, owns the object.
    Owner(PrincipalId),
    /// A grant to this principal on this securable.
    Grant(PrincipalId, Privilege, Securable),
}

/// A requirement that nothing allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The requirement.
    pub requirement: Requirement,
    /// The view whose owner lacks it, or none when it is the session's principal.
    pub view: Option<u32>,
    /// The owner of the object, who could grant it.
    pub owner: Option<Arc<str>>,
}

/// Every requirement that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// At least one.
    pub missing: Vec<Missing>,
}

/// Allow with a reason per requirement, or deny with what is missing.
pub type Decision = Result<Vec<Allowed>, Denied>;

/// Decides whether a subject may do what needs these requirements.
pub fn decide(policies: &PolicySnapshot, subject: &Subject, requirements: &[Requirement]) -> Decision {
    let mut reasons = Vec::with_capacity(requirements.len());
    let mut missing = Vec::new();
    for requirement in requirements {
        let (allowed, view) = match requirement.holder {
            Holder::Session => (meets(policies, subject, requirement), None),
            Holder::OwnerOfView(view) => (view_owner_holds(policies, view, requirement), Some(view)),
        };
        match allowed {
            Some(reason) => reasons.push(reason),
            None => missing.push(Missing {
                requirement: requirement.clone(),
                view,
                owner: policies.owner(requirement.securable).and_then(|o| policies.principal(o)).map(|p| p.name.clone()),
            }),
        }
    }
    if missing.is_empty() { Ok(reasons) } else { Err(Denied { missing }) }
}

/// Whether a subject holds what a requirement asks for, at its level.
fn meets(policies: &PolicySnapshot, subject: &Subject, requirement: &Requirement) -> Option<Allowed> {
    let Requirement { privilege, securable, schema, .. } = requirement;
    match requirement.level {
        Level::Privilege => holds(policies, subject, *privilege, *securable, *schema),
        Level::OrManage => holds(policies, subject, *privilege, *securable, *schema)
            .or_else(|| holds(policies, subject, Privilege::Manage, *securable, *schema)),
        Level::Ownership => owns(policies, subject, *securable),
    }
}

/// Whether a subject owns a securable: by being admin, or by it or one of its groups being the owner.
pub fn owns(policies: &PolicySnapshot, subject: &Subject, securable: Securable) -> Option<Allowed> {
    if subject.admin {
        return Some(Allowed::Admin);
    }
    policies.owner(securable).filter(|owner| is(subject, *owner)).map(Allowed::Owner)
}

/// Whether a subject holds a privilege on a securable inside a schema: by being admin, owner, or by a grant on it or on what contains it.
pub fn holds(
    policies: &PolicySnapshot,
    subject: &Subject,
    privilege: Privilege,
    securable: Securable,
    schema: Option<u32>,
) -> Option<Allowed> {
    if let Some(owned) = owns(policies, subject, securable) {
        return Some(owned);
    }
    let containers = match securable {
        Securable::Relation(_) | Securable::Function(_) | Securable::Type(_) => {
            [schema.map(Securable::Schema), Some(Securable::Catalog)]
        }
        Securable::Schema(_) | Securable::Connection(_) => [Some(Securable::Catalog), None],
        Securable::Catalog | Securable::AnonymousFunction | Securable::AnyFile => [None, None],
    };
    let called = matches!(securable, Securable::Function(_) | Securable::AnonymousFunction) && privilege == Privilege::Execute;
    std::iter::once(securable)
        .chain(containers.into_iter().flatten())
        .find_map(|on| granted(policies, subject, privilege, on))
        // SELECT on a function is another word for EXECUTE on it; on what contains it, it is not.
        .or_else(|| if called { granted(policies, subject, Privilege::Select, securable) } else { None })
}

fn granted(policies: &PolicySnapshot, subject: &Subject, privilege: Privilege, on: Securable) -> Option<Allowed> {
    let granted = policies.granted(on);
    let holders = |held: Privilege| granted.iter().find(|(privilege, _)| *privilege == held).map(|(_, holders)| holders);
    let exact = (privilege, holders(privilege));
    let all = (Privilege::AllPrivileges, holders(Privilege::AllPrivileges).filter(|_| privilege != Privilege::Manage));
    [exact, all].into_iter().find_map(|(held, holders)| {
        let holders = holders?;
        let own = holders.contains(subject.principal).then_some(subject.principal);
        Some(Allowed::Grant(own.or_else(|| holders.any_of(&subject.groups))?, held, on))
    })
}

fn view_owner_holds(policies: &PolicySnapshot, view: u32, requirement: &Requirement) -> Option<Allowed> {
    // A view without a recorded owner was made upstream by the database's own administrators.
    let Some(owner) = policies.owner(Securable::Relation(view)) else { return Some(Allowed::Admin) };
    let subject = policies.subject(owner)?;
    meets(policies, &subject, requirement)
}

fn is(subject: &Subject, principal: PrincipalId) -> bool {
    subject.principal == principal || subject.groups.contains(&principal)
}
