//! What can be read: relations with their columns and types.

use crate::harness::Client;

/// The types that the generator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ty {
    Int,
    Text,
    Bool,
    Big,
    Num,
    Date,
    Stamp,
    Float,
    Texts,
    Ints,
    Json,
}

impl Ty {
    /// All of them, the ordinary ones first.
    pub const ALL: [Ty; 11] =
        [Ty::Int, Ty::Text, Ty::Bool, Ty::Big, Ty::Num, Ty::Date, Ty::Stamp, Ty::Float, Ty::Texts, Ty::Ints, Ty::Json];

    /// Its name in PostgreSQL.
    pub fn sql(self) -> &'static str {
        match self {
            Ty::Int => "integer",
            Ty::Text => "text",
            Ty::Bool => "boolean",
            Ty::Big => "bigint",
            Ty::Num => "numeric",
            Ty::Date => "date",
            Ty::Stamp => "timestamp",
            Ty::Float => "double precision",
            Ty::Texts => "text[]",
            Ty::Ints => "integer[]",
            Ty::Json => "jsonb",
        }
    }

    fn of(name: &str) -> Option<Ty> {
        Some(match name {
            "int4" | "int2" => Ty::Int,
            "text" | "varchar" | "bpchar" => Ty::Text,
            "bool" => Ty::Bool,
            "int8" => Ty::Big,
            "numeric" => Ty::Num,
            "date" => Ty::Date,
            "timestamp" => Ty::Stamp,
            "float8" => Ty::Float,
            "_text" => Ty::Texts,
            "_int4" => Ty::Ints,
            "jsonb" => Ty::Json,
            _ => return None,
        })
    }
}

/// A column that expressions can use as it is (`exact`), or by a cast to the type it is known under.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub ty: Ty,
    pub exact: bool,
}

/// A relation.
#[derive(Clone, Debug)]
pub struct Relation {
    pub name: String,
    pub columns: Vec<Column>,
    /// Whether it is a table of the database.
    pub table: bool,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether the reference checks new rows by the same filter.
    pub filled: bool,
}

/// A relation under an alias.
#[derive(Clone, Debug)]
pub struct Source {
    pub alias: String,
    pub columns: Vec<Column>,
}

/// The relations that there are.
pub struct Catalog {
    pub relations: Vec<Relation>,
}

impl Catalog {
    /// Of a database, as far as relations are listed.
    /// Rows are put only into those of `filled`.
    pub fn of(client: &Client, readable: &[&str], writable: &[&str], filled: &[&str]) -> Catalog {
        let relations = readable.iter().map(|name| {
            let rows = client.rows(&format!(
                "SELECT attname, (SELECT typname FROM pg_type t WHERE t.oid = atttypid) FROM pg_attribute
                 WHERE attrelid = '{name}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ));
            let columns = rows.into_iter().filter_map(|row| {
                let exact = !matches!(row[1].as_str(), "int2" | "varchar" | "bpchar");
                Some(Column { name: row[0].clone(), ty: Ty::of(&row[1])?, exact })
            });
            Relation {
                name: (*name).to_owned(),
                columns: columns.collect(),
                table: client.one(&format!("SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = '{name}'::regclass")) == "t",
                writable: writable.contains(name),
                filled: filled.contains(name),
            }
        });
        Catalog { relations: relations.collect() }
    }
}

/// A relation that a statement makes.
pub(super) fn relation(name: &str, columns: &[&str], tys: &[Ty]) -> Relation {
    let columns = columns.iter().zip(tys).map(|(c, ty)| Column { name: (*c).to_owned(), ty: *ty, exact: true }).collect();
    Relation { name: name.to_owned(), columns, table: false, writable: false, filled: false }
}
