//! The policy model and the decision.
//!
//! In: principals, memberships, grants, owners, row filters and column masks, as the store loaded them.
//! Out: [`decide`]: allow or deny, with reasons. Never: SQL text to run, I/O, clocks.

mod decide;
mod model;
mod principals;
mod shards;
mod snapshot;

#[cfg(test)]
mod tests;

pub use decide::{Allowed, Decision, Denied, Missing, decide, holds, owns};
pub use model::{
    Acting, Bearing, ColumnMask, Grant, Holder, Level, Mechanism, Oid, PolicySource, Principal, PrincipalId, PrincipalKind,
    Privilege, Requirement, RowFilter, Securable, SecurableKind, Subject,
};
pub use principals::Principals;
pub use snapshot::{PolicyChanges, PolicyParts, PolicySnapshot, Rules};
