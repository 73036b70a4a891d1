//! The upstream's catalog as a statement sees it.
//!
//! In: rows of pg_class, pg_attribute, pg_proc … (`load`, over any [`load::Source`]). Out: [`CatalogSnapshot`], immutable, and
//! [`Footing`]: catalog, policies and what is governed, taken together. Never: decisions, SQL text of clients.

mod footing;
mod kinds;
pub mod load;
mod origins;
mod snapshot;
mod temporary;

pub use footing::{Basis, Footing, Governed, GovernedTable, SearchPath, governed_schema, reads_by_view};
pub use kinds::TypeKind;
pub use origins::Origins;
pub use snapshot::{
    Arbiter, CatalogParts, CatalogSnapshot, Column, Function, FunctionKind, Operator, PrimaryKey, Relation, RelationKind, Schema,
    Server, UserType,
};
pub use temporary::Temporaries;
