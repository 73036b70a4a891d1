use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::catalog::{CatalogParts, Column, Schema};
use crate::name::QualifiedName;
use crate::policy::{ColumnMask, PolicyParts, PolicySource, RowFilter};

const PUBLIC: Oid = 10;

/// A world in which relations and policies are added one by one.
#[derive(Default)]
struct World {
    parts: CatalogParts,
    policies: PolicyParts,
    settings: Settings,
    failed: HashMap<Oid, Arc<str>>,
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        let schema = |oid, name: &str, ours| Schema { oid, name: Name::exact(name), system: false, ours };
        world.parts.schemas = vec![schema(PUBLIC, "public", false), schema(11, "pgusher_public", true)];
        world.parts.unalterable_owners = vec![Name::exact("postgres")];
        world
    }

    fn relation(&mut self, oid: Oid, kind: RelationKind, change: impl Fn(&mut Relation)) -> &mut Self {
        let column = |number, name: &str| Column {
            number,
            name: Name::exact(name),
            type_oid: 25,
            type_sql: "text".into(),
            type_modifier: -1,
            generated: false,
            computed_from: Vec::new(),
            identity: ' ',
            default: None,
        };
        let mut relation = Relation {
            oid,
            schema: PUBLIC,
            name: Name::exact(&format!("r{oid}")),
            row_type: 0,
            kind,
            owner: Name::exact("app"),
            columns: vec![column(1, "id"), column(2, "ssn")],
            arbiters: Vec::new(),
            parents: Vec::new(),
            reads: Vec::new(),
            security_invoker: false,
            row_security: false,
            owned_by: None,
            server: None,
            temporary: false,
        };
        change(&mut relation);
        self.parts.relations.push(relation);
        self
    }

    fn table(&mut self, oid: Oid, parents: &[Oid]) -> &mut Self {
        self.relation(oid, RelationKind::Table, |r| r.parents = parents.to_vec())
    }

    fn view(&mut self, oid: Oid, owner: &str, reads: &[Oid]) -> &mut Self {
        self.relation(oid, RelationKind::View, |r| (r.owner, r.reads) = (Name::exact(owner), reads.to_vec()))
    }

    fn filter(&mut self, relation: Oid, expression: &str) -> &mut Self {
        let source = PolicySource::Expression(expression.into());
        self.policies.filters.push(RowFilter { relation, expression: expression.into(), source });
        self
    }

    fn mask(&mut self, relation: Oid, column: &str, expression: &str) -> &mut Self {
        let source = PolicySource::Expression(expression.into());
        self.policies.masks.push(ColumnMask { relation, column: Name::exact(column), expression: expression.into(), source });
        self
    }

    fn governed(&self) -> HashMap<Oid, Governed> {
        let catalog = CatalogSnapshot::new(1, self.parts.clone());
        let policies = PolicySnapshot::new(1, self.policies.clone());
        governed(&catalog, &policies, &self.settings, &self.failed)
    }

    fn refused(&self, oid: Oid) -> String {
        match self.governed().remove(&oid) {
            Some(Governed::Refused(reason)) => reason.to_string(),
            other => panic!("{oid} is {other:?}"),
        }
    }

    fn table_of(&self, oid: Oid) -> GovernedTable {
        match self.governed().remove(&oid) {
            Some(Governed::Table(table)) => table,
            other => panic!("{oid} is {other:?}"),
        }
    }
}

fn name(schema: &str, name: &str) -> QualifiedName {
    QualifiedName::new(schema, name)
}

#[test]
fn a_filtered_table_is_read_and_written_in_place_under_row_security_and_through_its_view_otherwise() {
    let mut world = World::new();
    world.table(100, &[]).filter(100, "x");
    let table = world.table_of(100);
    assert_eq!((table.mechanism, &table.read, &table.write), (Mechanism::Rls, &name("public", "r100"), &name("public", "r100")));
    world.settings.row_filters = Mechanism::View;
    let table = world.table_of(100);
    let view = name("pgusher_public", "r100");
    assert_eq!((table.mechanism, &table.read, &table.write), (Mechanism::View, &view, &view));
    assert_eq!(table.insert, name("pgusher_public", "r100$i"));
    world.policies.mechanisms.push((100, Mechanism::Rls));
    assert_eq!(world.table_of(100).mechanism, Mechanism::Rls);
}

#[test]
fn a_masked_table_is_read_through_its_view_and_written_through_its_twin() {
    let mut world = World::new();
    world.table(100, &[]).mask(100, "ssn", "x");
    let table = world.table_of(100);
    assert_eq!((table.read, table.write), (name("pgusher_public", "r100"), name("pgusher_public", "r100$w")));
    assert!(!table.filtered && table.masked == [Name::exact("ssn")]);
}

#[test]
fn inserts_go_apart_from_other_writes_where_a_view_is_the_filter() {
    let mut world = World::new();
    world.table(100, &[]).mask(100, "ssn", "x");
    world.settings.row_filters = Mechanism::View;
    let table = world.table_of(100);
    assert_eq!(table.insert, table.write, "nothing is hidden");
    world.filter(100, "x");
    let table = world.table_of(100);
    assert_eq!((table.write, table.insert), (name("pgusher_public", "r100$w"), name("pgusher_public", "r100$i")));
    world.policies.mechanisms.push((100, Mechanism::Rls));
    let table = world.table_of(100);
    assert_eq!(table.insert, table.write);
}

#[test]
fn a_generated_column_shows_no_masked_one() {
    let mut world = World::new();
    world.relation(100, RelationKind::Table, |r| {
        let copy = Column { number: 3, name: Name::exact("copy"), generated: true, computed_from: vec![2], ..r.columns[1].clone() };
        r.columns.push(copy);
    });
    world.mask(100, "ssn", "m");
    assert!(world.refused(100).contains("copy"));
    world.mask(100, "copy", "m");
    assert!(world.table_of(100).masks("copy"));
}

#[test]
fn what_cannot_carry_row_security_is_governed_by_views() {
    let mut world = World::new();
    world.relation(100, RelationKind::ForeignTable, |_| ()).filter(100, "x");
    world.relation(101, RelationKind::Table, |r| r.owner = Name::exact("postgres")).filter(101, "x");
    assert_eq!(world.table_of(100).mechanism, Mechanism::View);
    assert_eq!(world.table_of(101).mechanism, Mechanism::View);
    world.policies.mechanisms.push((101, Mechanism::Rls));
    assert!(world.refused(101).contains("cannot carry row security"));
}

#[test]
fn partitions_take_their_ancestors_filter_and_masks() {
    let mut world = World::new();
    world.table(100, &[]).table(101, &[100]).table(102, &[101]).filter(100, "x").mask(100, "ssn", "m");
    let leaf = world.table_of(102);
    assert!(leaf.filtered && leaf.masks("ssn"));
    assert_eq!(leaf.read, name("pgusher_public", "r102"));
}

#[test]
fn different_filters_are_never_combined_and_the_same_one_is_one() {
    let mut world = World::new();
    world.table(100, &[]).table(101, &[100]).filter(100, "x").filter(101, "x");
    assert!(world.table_of(101).filtered);
    let mut world = World::new();
    world.table(100, &[]).table(101, &[100]).filter(100, "x").filter(101, "y");
    assert!(world.refused(101).contains("different row filters"));
}

#[test]
fn a_parent_that_would_pass_by_its_childs_policies_is_refused() {
    let mut world = World::new();
    world.table(100, &[]).table(101, &[100]).view(200, "app", &[100]).filter(101, "x");
    assert!(world.refused(100).contains("r101"));
    assert!(world.refused(200).contains("refused"));
    let mut world = World::new();
    world.table(100, &[]).table(101, &[100]).filter(100, "x").filter(101, "x").mask(101, "ssn", "m");
    world.refused(100);
}

#[test]
fn views_made_outside_get_a_twin_and_so_do_views_of_those() {
    let mut world = World::new();
    world.table(100, &[]).filter(100, "x").view(201, "app", &[200]).view(200, "app", &[100]).view(202, "app", &[]);
    let governed = world.governed();
    assert_eq!(governed.get(&200), Some(&Governed::View { read: name("pgusher_public", "r200") }));
    assert_eq!(governed.get(&201), Some(&Governed::View { read: name("pgusher_public", "r201") }));
    assert_eq!(governed.get(&202), None);
    world.policies.trusted.push(200);
    assert_eq!(world.governed().get(&201), None);
}

#[test]
fn a_view_of_the_viewer_is_derived_only_where_it_meets_the_policies() {
    let mut world = World::new();
    world.table(100, &[]).filter(100, "x").view(200, VIEWER, &[100]);
    assert_eq!(world.governed().get(&200), Some(&Governed::Derived));
    // Made before the mask was set: it reads the raw table with the viewer's rights.
    world.mask(100, "ssn", "m");
    assert!(matches!(world.governed().get(&200), Some(Governed::View { .. })));
    // Made over the governed view.
    world.relation(300, RelationKind::View, |r| (r.schema, r.owner) = (11, Name::exact(VIEWER)));
    world.view(201, VIEWER, &[300]);
    assert_eq!(world.governed().get(&201), Some(&Governed::Derived));
}

#[test]
fn a_view_with_the_readers_rights_meets_row_security_but_no_masks() {
    let mut world = World::new();
    world.table(100, &[]).filter(100, "x");
    world.relation(200, RelationKind::View, |r| (r.reads, r.security_invoker) = (vec![100], true));
    assert_eq!(world.governed().get(&200), Some(&Governed::Derived));
    world.mask(100, "ssn", "m");
    assert!(matches!(world.governed().get(&200), Some(Governed::View { .. })));
}

#[test]
fn a_materialized_view_over_governed_relations_is_refused_until_trusted() {
    let mut world = World::new();
    world.table(100, &[]).filter(100, "x").relation(200, RelationKind::MaterializedView, |r| r.reads = vec![100]);
    assert!(world.refused(200).contains("trusted"));
    world.policies.trusted.push(200);
    assert_eq!(world.governed().get(&200), None);
}

#[test]
fn what_is_broken_or_failed_is_refused_with_all_that_depends_on_it() {
    let mut world = World::new();
    world.table(100, &[]).table(101, &[100]).view(200, "app", &[101]).filter(100, "x");
    world.policies.broken.push((100, "gone".into()));
    assert_eq!((world.refused(100), world.refused(101)), ("gone".to_owned(), "gone".to_owned()));
    world.refused(200);
    world.policies.broken.clear();
    world.failed.insert(101, "no".into());
    assert!(world.table_of(100).filtered);
    assert_eq!(world.refused(101), "no");
    world.refused(200);
}

#[test]
fn a_masked_column_needs_room_for_its_raw_name() {
    let mut world = World::new();
    world.relation(100, RelationKind::Table, |r| {
        let raw = Column { number: 3, name: Name::exact("ssn$raw"), ..r.columns[1].clone() };
        r.columns.push(raw);
    });
    world.mask(100, "ssn", "m");
    assert!(world.refused(100).contains("ssn$raw"));
    let mut world = World::new();
    world.table(100, &[]).mask(100, "missing", "m");
    assert!(world.refused(100).contains("gone"));
}

#[test]
fn a_temporary_view_may_not_read_what_must_be_rewritten() {
    let mut world = World::new();
    world.table(100, &[]).filter(100, "x").mask(100, "ssn", "m");
    world.relation(200, RelationKind::View, |r| (r.reads, r.temporary, r.owner) = (vec![100], true, Name::exact(SESSION)));
    assert!(world.refused(200).contains("temporary"));
}
