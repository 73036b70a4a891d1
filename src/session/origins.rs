//! Where result columns come from: a column of a governed view is told as the table's, so that drivers find its metadata, and its row as
//! of the table's row type, which has the same columns and is the one that the catalogs show.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use crate::catalog::{CatalogSnapshot, Footing, Governed, GovernedTable, Relation};
use crate::name::QualifiedName;
use crate::policy::Oid;

/// Columns of governed views with the table's columns they stand for, on one footing.
#[derive(Default)]
pub(super) struct Origins {
    of: Option<Arc<Footing>>,
    columns: HashMap<(Oid, i16), (Oid, i16)>,
    row_types: HashMap<Oid, Oid>,
    /// Views that stand for relations of the catalogs, with the number of those ones' columns: the views have the same, in their order.
    catalogs: HashMap<Oid, (Oid, i16)>,
}

impl Origins {
    /// Follows the footing.
    pub(super) fn follow(&mut self, footing: &Arc<Footing>) {
        if self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, footing)) {
            return;
        }
        (self.columns, self.row_types) = Default::default();
        let columns = |of: Oid| i16::try_from(footing.catalog.relation(of)?.columns.len()).ok();
        let stand_in = |(view, of): &(Oid, Oid)| Some((*view, (*of, columns(*of)?)));
        self.catalogs = footing.catalog.stand_ins().iter().filter_map(stand_in).collect();
        for (oid, governed) in footing.governed.iter() {
            let Some(relation) = footing.catalog.relation(*oid) else { continue };
            match governed {
                Governed::Table(GovernedTable { read, write, insert, .. }) => {
                    for view in [read, write, insert] {
                        self.add(&footing.catalog, relation, view);
                    }
                }
                Governed::View { read } => self.add(&footing.catalog, relation, read),
                Governed::Derived | Governed::Refused(_) => {}
            }
        }
        self.of = Some(footing.clone());
    }

    /// Writes the body of a RowDescription with the tables' columns in it; one that makes no sense is left as it is.
    pub(super) fn translate(&self, body: &[u8], out: &mut BytesMut) {
        let start = out.len();
        out.put_slice(body);
        let anything = !self.columns.is_empty() || !self.catalogs.is_empty();
        let Some(mut rest) = out.get_mut(start + 2..).filter(|_| anything) else { return };
        while let Some(end) = rest.iter().position(|b| *b == 0) {
            let Some((field, after)) = rest.get_mut(end + 1..).and_then(|field| field.split_at_mut_checked(FIELD)) else { return };
            if let [a, b, c, d, e, f, g, h, i, j, ..] = field {
                if let Some((table, column)) = self.origin(u32::from_be_bytes([*a, *b, *c, *d]), i16::from_be_bytes([*e, *f])) {
                    ([*a, *b, *c, *d], [*e, *f]) = (table.to_be_bytes(), column.to_be_bytes());
                }
                if let Some(row) = self.row_types.get(&u32::from_be_bytes([*g, *h, *i, *j])) {
                    [*g, *h, *i, *j] = row.to_be_bytes();
                }
            }
            rest = after;
        }
    }

    /// What a column of a view is told as.
    fn origin(&self, view: Oid, column: i16) -> Option<(Oid, i16)> {
        if let Some(found) = self.columns.get(&(view, column)) {
            return Some(*found);
        }
        let (of, columns) = *self.catalogs.get(&view)?;
        // Behind the catalog's own columns come those that every table has.
        let behind = usize::try_from(column.checked_sub(columns)?.checked_sub(1)?).ok();
        let system = behind.and_then(|place| BEHIND.get(place)).and_then(|name| system_column(name));
        if behind.is_none() { Some((of, column)) } else { Some(system.map_or((0, 0), |number| (of, number))) }
    }

    fn add(&mut self, catalog: &CatalogSnapshot, of: &Relation, view: &QualifiedName) {
        let view = catalog.schema_named(view.schema.as_str()).and_then(|schema| catalog.relation_in(schema.oid, &view.name));
        let Some(view) = view.filter(|view| view.oid != of.oid) else { return };
        // Column 0 is the whole row.
        self.columns.insert((view.oid, 0), (of.oid, 0));
        for column in &view.columns {
            let own = of.column(column.name.as_str()).map(|own| own.number).or_else(|| system_column(column.name.as_str()));
            self.columns.insert((view.oid, column.number), own.map_or((0, 0), |number| (of.oid, number)));
        }
        // Only where a row of the one is a row of the other, column by column.
        let shape = |relation: &Relation| relation.columns.iter().map(|c| (c.name.clone(), c.type_oid)).collect::<Vec<_>>();
        if view.row_type != 0 && of.row_type != 0 && shape(view) == shape(of) {
            self.row_types.insert(view.row_type, of.row_type);
        }
    }
}

/// The system columns at the end of a view that stands for a catalog, in their order.
const BEHIND: [&str; 3] = ["tableoid", "xmin", "ctid"];

/// The number of a system column.
fn system_column(name: &str) -> Option<i16> {
    Some(match name {
        "ctid" => -1,
        "xmin" => -2,
        "xmax" => -4,
        "tableoid" => -6,
        _ => return None,
    })
}

/// What follows a column's name: table, column, type, length, modifier, format.
const FIELD: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture;

    fn described(table: u32, column: i16) -> BytesMut {
        typed(table, column, 0x0909_0909)
    }

    fn typed(table: u32, column: i16, of_type: u32) -> BytesMut {
        let mut body = BytesMut::new();
        body.put_u16(1);
        body.put_slice(b"ssn\0");
        body.put_u32(table);
        body.put_i16(column);
        body.put_u32(of_type);
        body.put_slice(&[9; 8]);
        body
    }

    #[test]
    fn a_column_of_a_governed_view_is_told_as_the_tables() {
        let mut origins = Origins::default();
        origins.follow(&Arc::new(fixture::footing()));
        for column in [3, 0] {
            let mut out = BytesMut::new();
            origins.translate(&described(901, column), &mut out);
            assert_eq!(out, described(fixture::EMPLOYEES, column));
        }
        let mut out = BytesMut::new();
        origins.translate(&typed(0, 0, 901 + 10_000), &mut out);
        assert_eq!(out, typed(0, 0, fixture::EMPLOYEES + 10_000), "the row as a whole");
        for untouched in [described(fixture::ORDERS, 1), BytesMut::from(&b"\0\x01cut"[..]), BytesMut::from(&b"\0"[..])] {
            let mut out = BytesMut::new();
            origins.translate(&untouched, &mut out);
            assert_eq!(out, untouched);
        }
    }
}
