//! What the governed views are called.

use sha2::{Digest, Sha256};

use crate::catalog::{CatalogSnapshot, GovernedTable, Relation};
use crate::name::{MAX_BYTES, Name, QualifiedName};
use crate::policy::Oid;

/// The role that owns the schema `pgusher` and acts for the proxy.
pub const OWNER: &str = "pgusher_owner";
/// The role that owns governed views, and views made through pgusher.
pub const VIEWER: &str = "pgusher_viewer";
/// The login of sessions.
pub const SESSION: &str = "pgusher_session";
/// The login of administrators' sessions and of the control connection.
pub const CONTROL: &str = "pgusher_control";

/// The schema of the governed views of a schema's relations.
pub fn views_schema(schema: &str) -> Name {
    fitted(&format!("pgusher_{schema}"), "", schema)
}

/// The governed read view of a relation; `None` if its schema is not in the catalog.
pub fn read_view(catalog: &CatalogSnapshot, relation: &Relation) -> Option<QualifiedName> {
    let schema = catalog.schema(relation.schema)?;
    Some(QualifiedName { schema: views_schema(schema.name.as_str()), name: relation.name.clone() })
}

/// The write twin of a relation: `<name>$w`, or a name with the oid where another relation is called so.
pub fn write_twin(catalog: &CatalogSnapshot, relation: &Relation) -> Option<QualifiedName> {
    let schema = catalog.schema(relation.schema)?;
    let plain = Name::exact(&format!("{}$w", relation.name));
    let free = relation.name.as_str().len() + 2 <= MAX_BYTES && catalog.relation_in(relation.schema, &plain).is_none();
    let name = if free { plain } else { numbered(relation.name.as_str(), relation.oid) };
    Some(QualifiedName { schema: views_schema(schema.name.as_str()), name })
}

/// Whether the write twin can have a raw column for this one: its name must be whole and free.
pub fn raw_column_fits(relation: &Relation, column: &str) -> bool {
    let raw = GovernedTable::raw_column(column);
    raw.len() <= MAX_BYTES && relation.column(&raw).is_none()
}

fn numbered(name: &str, oid: Oid) -> Name {
    fitted(name, &format!("_{oid}$w"), name)
}

/// `text` and `end`, cut in the middle and told apart by a hash of `whole` when longer than a name may be.
fn fitted(text: &str, end: &str, whole: &str) -> Name {
    if text.len() + end.len() <= MAX_BYTES {
        return Name::exact(&format!("{text}{end}"));
    }
    let mark = hex::encode(&Sha256::digest(whole.as_bytes())[..6]);
    let mut room = MAX_BYTES - end.len() - mark.len() - 1;
    while !text.is_char_boundary(room) {
        room -= 1;
    }
    Name::exact(&format!("{}_{mark}{end}", &text[..room]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_schema_names_keep_their_difference() {
        let (a, b) = (format!("{}a", "s".repeat(62)), format!("{}b", "s".repeat(62)));
        assert_eq!(views_schema("sales").as_str(), "pgusher_sales");
        assert_ne!(views_schema(&a), views_schema(&b));
        assert!(views_schema(&a).as_str().len() <= MAX_BYTES);
    }
}
