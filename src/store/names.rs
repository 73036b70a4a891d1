//! What the governed views are called.

use sha2::{Digest, Sha256};

use crate::catalog::{CatalogSnapshot, GovernedTable, Relation, governed_schema};
use crate::name::{MAX_BYTES, Name, QualifiedName};
use crate::policy::Oid;

/// The role that owns the schema `pgusher` and acts for the proxy.
pub const OWNER: &str = "pgusher_owner";
/// The role that owns governed views, and views made through pgusher.
pub const VIEWER: &str = "pgusher_viewer";
/// The role that owns what others than administrators make.
pub const DDL: &str = "pgusher_ddl";
/// The login of sessions.
pub const SESSION: &str = "pgusher_session";
/// The login of administrators' sessions and of the control connection.
pub const CONTROL: &str = "pgusher_control";

/// The governed read view of a relation; `None` if its schema is not in the catalog.
pub fn read_view(catalog: &CatalogSnapshot, relation: &Relation) -> Option<QualifiedName> {
    let schema = catalog.schema(relation.schema)?;
    Some(QualifiedName { schema: governed_schema(schema.name.as_str()), name: relation.name.clone() })
}

/// The write twin of a relation: `<name>$w`, or a name with the oid where another relation is called so.
pub fn write_twin(catalog: &CatalogSnapshot, relation: &Relation) -> Option<QualifiedName> {
    companion(catalog, relation, "$w")
}

/// The insert view of a relation: `<name>$i`, or as for the write twin.
pub fn insert_view(catalog: &CatalogSnapshot, relation: &Relation) -> Option<QualifiedName> {
    companion(catalog, relation, "$i")
}

fn companion(catalog: &CatalogSnapshot, relation: &Relation, end: &str) -> Option<QualifiedName> {
    let schema = catalog.schema(relation.schema)?;
    let plain = Name::exact(&format!("{}{end}", relation.name));
    let free = relation.name.as_str().len() + end.len() <= MAX_BYTES && catalog.relation_in(relation.schema, &plain).is_none();
    let name = if free { plain } else { numbered(relation.name.as_str(), relation.oid, end) };
    Some(QualifiedName { schema: governed_schema(schema.name.as_str()), name })
}

/// Whether the write twin can have a raw column for this one: its name must be whole and free.
pub fn raw_column_fits(relation: &Relation, column: &str) -> bool {
    let raw = GovernedTable::raw_column(column);
    raw.len() <= MAX_BYTES && relation.column(&raw).is_none()
}

/// Cut, and told apart by a hash, when longer than a name may be.
fn numbered(name: &str, oid: Oid, end: &str) -> Name {
    let end = format!("_{oid}{end}");
    if name.len() + end.len() <= MAX_BYTES {
        return Name::exact(&format!("{name}{end}"));
    }
    let mark = hex::encode(&Sha256::digest(name.as_bytes())[..6]);
    let mut room = MAX_BYTES - end.len() - mark.len() - 1;
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    Name::exact(&format!("{}_{mark}{end}", &name[..room]))
}

/// Oids as SQL.
pub(super) fn oids_sql(oids: &[Oid]) -> String {
    let oids: Vec<String> = oids.iter().map(Oid::to_string).collect();
    format!("'{{{}}}'::pg_catalog.oid[]", oids.join(","))
}
