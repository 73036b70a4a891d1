//! Where result columns come from: a column of a governed view stands for the table's, and its row for one of the table's row type,
//! which has the same columns and is the one that the catalogs show.

use std::collections::HashMap;

use super::footing::{Footing, Governed, GovernedTable};
use super::snapshot::{CatalogSnapshot, Relation};
use crate::name::QualifiedName;
use crate::policy::Oid;

/// Columns of governed views with the table's columns they stand for, on one footing.
#[derive(Debug, Default)]
pub struct Origins {
    columns: HashMap<(Oid, i16), (Oid, i16)>,
    row_types: HashMap<Oid, Oid>,
    /// Views that stand for relations of the catalogs, with the number of those ones' columns: the views have the same, in their order.
    catalogs: HashMap<Oid, (Oid, i16)>,
}

impl Origins {
    pub(super) fn new(footing: &Footing) -> Self {
        let columns = |of: Oid| i16::try_from(footing.catalog.relation(of)?.columns.len()).ok();
        let stand_in = |(view, of): &(Oid, Oid)| Some((*view, (*of, columns(*of)?)));
        let catalogs = footing.catalog.stand_ins().iter().filter_map(stand_in).collect();
        let mut origins = Self { catalogs, ..Self::default() };
        for (oid, governed) in footing.governed.iter() {
            let Some(relation) = footing.catalog.relation(*oid) else { continue };
            match governed {
                Governed::Table(GovernedTable { read, write, insert, .. }) => {
                    for view in [read, write, insert] {
                        origins.add(&footing.catalog, relation, view);
                    }
                }
                Governed::View { read } => origins.add(&footing.catalog, relation, read),
                Governed::Derived | Governed::Refused(_) => {}
            }
        }
        origins
    }

    /// What the rows of a view are told as.
    pub fn row_type(&self, view: Oid) -> Option<Oid> {
        self.row_types.get(&view).copied()
    }

    /// What a column of a view is told as.
    pub fn column(&self, view: Oid, column: i16) -> Option<(Oid, i16)> {
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
