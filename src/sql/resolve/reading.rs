//! Whether a statement only reads: what a token of the scope `sql:read` is good for. It goes by kinds, effects and requirements that are listed;
//! whatever is not, does more. Pure.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, a_const};

use crate::catalog::CatalogSnapshot;
use crate::policy::{Privilege, Requirement, Securable};
use crate::sql::{Effect, StatementKind};

/// Whether a statement of this kind, with this effect and these needs, changes nothing and tells nobody else anything.
pub(super) fn only_reads(kind: StatementKind, effect: &Effect, requirements: &[Requirement], catalog: &CatalogSnapshot) -> bool {
    is_of_reading(kind)
        && is_private(effect)
        && requirements.iter().all(|one| match one.privilege {
            Privilege::Select | Privilege::ReadMetadata | Privilege::UseConnection => is_stored(one.securable),
            // What it takes to see a plan.
            Privilege::Manage => kind == StatementKind::Explain,
            Privilege::Execute => is_quiet(one.securable, catalog),
            Privilege::Modify | Privilege::Create | Privilege::CreateNamedFunction | Privilege::AllPrivileges => false,
        })
}

/// Kinds that can only read, as far as their requirements and their effects do not say otherwise.
fn is_of_reading(kind: StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Select
            | StatementKind::Copy
            | StatementKind::Explain
            | StatementKind::Transaction
            | StatementKind::Set
            | StatementKind::Show
            | StatementKind::SetConstraints
            | StatementKind::Prepare
            | StatementKind::Execute
            | StatementKind::Deallocate
            | StatementKind::DeclareCursor
            | StatementKind::Fetch
            | StatementKind::ClosePortal
            | StatementKind::Discard
            | StatementKind::Listen
            | StatementKind::Unlisten
    )
}

/// Whether an effect is the session's own business.
fn is_private(effect: &Effect) -> bool {
    match effect {
        Effect::None
        | Effect::Transaction(_)
        | Effect::Set { .. }
        | Effect::Reset { .. }
        | Effect::Show { .. }
        | Effect::Prepare { .. }
        | Effect::Execute { .. }
        | Effect::Deallocate { .. }
        | Effect::Declare { .. }
        | Effect::Fetch { .. }
        | Effect::Close { .. }
        | Effect::CopyOut
        | Effect::Discard(_)
        | Effect::Notification => true,
        Effect::CopyIn | Effect::CopyInGoverned(_) | Effect::Temporary | Effect::AsOwner(_) => false,
    }
}

/// Whether it is in the database: files and programs of the server are not.
fn is_stored(securable: Securable) -> bool {
    match securable {
        Securable::Catalog
        | Securable::Schema(_)
        | Securable::Relation(_)
        | Securable::Function(_)
        | Securable::Type(_)
        | Securable::Connection(_) => true,
        Securable::AnonymousFunction | Securable::AnyFile => false,
    }
}

/// Whether a function says of itself that it changes nothing. PostgreSQL holds it to that as far as its own statements go.
fn is_quiet(securable: Securable, catalog: &CatalogSnapshot) -> bool {
    match securable {
        Securable::Function(oid) => catalog.function(oid).is_some_and(|function| !function.volatile),
        Securable::Catalog
        | Securable::Schema(_)
        | Securable::Relation(_)
        | Securable::Type(_)
        | Securable::AnonymousFunction
        | Securable::AnyFile
        | Securable::Connection(_) => false,
    }
}

/// Parameters by which a transaction may write that could not.
pub(super) fn lets_write(parameter: &str) -> bool {
    matches!(parameter, "transaction_read_only" | "default_transaction_read_only")
}

/// Whether the modes of a transaction have READ WRITE among them.
pub(super) fn asks_to_write(modes: &[Node]) -> bool {
    modes.iter().any(|mode| match mode.node.as_ref() {
        Some(Kind::DefElem(mode)) if mode.defname == "transaction_read_only" => {
            let value = mode.arg.as_deref().and_then(|arg| arg.node.as_ref());
            // READ ONLY is the number 1.
            !matches!(value, Some(Kind::AConst(one)) if matches!(&one.val, Some(a_const::Val::Ival(number)) if number.ival == 1))
        }
        _ => false,
    })
}
