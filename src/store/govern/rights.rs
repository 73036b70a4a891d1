//! Who may govern what.

use super::Ground;
use super::names::Target;
use crate::error::GovernError;
use crate::policy::{Allowed, PrincipalId, Privilege, Securable, holds};

impl Ground<'_> {
    /// Demands an administrator; `what` completes "permission denied to …".
    pub(super) fn admin(&self, what: &str) -> Result<(), GovernError> {
        if self.subject.admin { Ok(()) } else { Err(GovernError::AdminOnly { what: what.to_owned() }) }
    }

    /// Whether the subject owns the target, holds MANAGE on it or on what contains it, or is an administrator.
    pub(super) fn manages(&self, target: &Target) -> bool {
        holds(&self.footing.policies, &self.subject, Privilege::Manage, target.securable, target.schema).is_some()
    }

    /// Demands that the subject manages the target.
    pub(super) fn manager(&self, target: &Target) -> Result<(), GovernError> {
        if self.manages(target) {
            return Ok(());
        }
        let owner = self.footing.policies.owner(target.securable).and_then(|id| self.footing.policies.principal(id));
        Err(GovernError::NotManager {
            noun: target.noun,
            label: target.label.clone(),
            owner: owner.map(|principal| principal.name.to_string()),
        })
    }

    /// Whether a principal is the subject or a group it is in.
    pub(super) fn is_own(&self, principal: PrincipalId) -> bool {
        self.subject.principal == principal || self.subject.groups.contains(&principal)
    }

    /// Demands that the subject may execute a function.
    pub(super) fn executes(&self, function: u32, schema: u32, label: String) -> Result<(), GovernError> {
        let may = |privilege| holds(&self.footing.policies, &self.subject, privilege, Securable::Function(function), Some(schema));
        if may(Privilege::Execute).is_some() || may(Privilege::Select).is_some_and(|by| on_function(&by)) {
            Ok(())
        } else {
            Err(GovernError::NotExecutable { label })
        }
    }
}

/// SELECT lets one call a function when it is granted on the function itself; on a schema it is about the tables.
fn on_function(by: &Allowed) -> bool {
    match by {
        Allowed::Grant(_, _, securable) => matches!(securable, Securable::Function(_)),
        Allowed::Admin | Allowed::Owner(_) => true,
    }
}

/// The privileges that make sense on a kind of securable, in the order they are listed.
pub(super) fn sensible(securable: Securable) -> &'static [Privilege] {
    use Privilege::{AllPrivileges, Create, CreateNamedFunction, Execute, Manage, Modify, ReadMetadata, Select, UseConnection};
    match securable {
        Securable::Catalog => &Privilege::ALL,
        Securable::Schema(_) => &[Select, Modify, Create, ReadMetadata, CreateNamedFunction, Execute, Manage, AllPrivileges],
        Securable::Relation(_) => &[Select, Modify, ReadMetadata, Manage, AllPrivileges],
        Securable::Function(_) => &[Select, ReadMetadata, Execute, Manage, AllPrivileges],
        Securable::Type(_) => &[],
        Securable::AnonymousFunction => &[Select, Execute, AllPrivileges],
        Securable::AnyFile => &[Select, Modify, AllPrivileges],
        Securable::Connection(_) => &[ReadMetadata, UseConnection, Manage, AllPrivileges],
    }
}
