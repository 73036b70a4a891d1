//! (catalog, policies) → what is governed, and how. Pure.
//!
//! A table under a filter or mask is governed, and so are its partitions and children. Two different filters, or two masks of a column,
//! are never combined and never picked from: the relation is refused. A parent through which a child's own filter would be passed by is
//! refused too. Views that read governed relations follow from what they read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::names::{CONTROL, SESSION, VIEWER, insert_view, raw_column_fits, read_view, write_twin};
use super::reconcile::Settings;
use crate::catalog::{CatalogSnapshot, Governed, GovernedTable, Relation, RelationKind};
use crate::name::Name;
use crate::policy::{Mechanism, Oid, PolicySnapshot};

/// The filter and masks that hold for a table, its own or its ancestors'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// The filter's expression.
    pub filter: Option<Arc<str>>,
    /// The masked columns with their expressions, in table order.
    pub masks: Vec<(Name, Arc<str>)>,
}

/// What is governed. `failed` names relations that upstream could not be brought in line for, and why.
pub fn governed(
    catalog: &CatalogSnapshot,
    policies: &PolicySnapshot,
    settings: &Settings,
    failed: &HashMap<Oid, Arc<str>>,
) -> HashMap<Oid, Governed> {
    let mut found = tables(catalog, policies, settings, failed);
    exposed_parents(catalog, policies, &mut found);
    views(catalog, policies, settings, failed, &mut found);
    found
}

/// The filter and masks that hold for a table, or why they contradict each other.
pub fn effective(catalog: &CatalogSnapshot, policies: &PolicySnapshot, relation: &Relation) -> Result<Effective, Arc<str>> {
    let mut sources = vec![relation.oid];
    sources.extend(catalog.ancestors(relation.oid));
    let filters = sources.iter().filter_map(|oid| policies.filter(*oid).map(|f| (*oid, f.expression.clone())));
    let filter = only(filters, catalog, || "row filters".to_owned())?;
    let mut masks = Vec::new();
    for column in &relation.columns {
        let of_column = sources
            .iter()
            .flat_map(|oid| policies.masks(*oid).iter().filter(|m| m.column == column.name).map(|m| (*oid, m.expression.clone())));
        if let Some(mask) = only(of_column, catalog, || format!("masks of column \"{}\"", column.name))? {
            masks.push((column.name.clone(), mask));
        }
    }
    Ok(Effective { filter, masks })
}

fn only(
    given: impl Iterator<Item = (Oid, Arc<str>)>,
    catalog: &CatalogSnapshot,
    what: impl Fn() -> String,
) -> Result<Option<Arc<str>>, Arc<str>> {
    let mut kept: Option<(Oid, Arc<str>)> = None;
    for (oid, expression) in given {
        match &kept {
            Some((other, first)) if *first != expression => {
                return Err(
                    format!("it has different {}: of {} and of {}", what(), label(catalog, *other), label(catalog, oid)).into()
                );
            }
            Some(_) => {}
            None => kept = Some((oid, expression)),
        }
    }
    Ok(kept.map(|(_, expression)| expression))
}

fn tables(
    catalog: &CatalogSnapshot,
    policies: &PolicySnapshot,
    settings: &Settings,
    failed: &HashMap<Oid, Arc<str>>,
) -> HashMap<Oid, Governed> {
    let mut open: Vec<Oid> = policies.governed().into_iter().collect();
    let mut seen: HashSet<Oid> = open.iter().copied().collect();
    let mut found = HashMap::new();
    while let Some(oid) = open.pop() {
        open.extend(catalog.children(oid).iter().filter(|child| seen.insert(**child)));
        let Some(relation) = catalog.relation(oid) else { continue };
        // Partitions of an index are its children as well.
        if relation.kind == RelationKind::Index {
            continue;
        }
        found.insert(oid, table(catalog, policies, settings, failed, relation).unwrap_or_else(Governed::Refused));
    }
    // A table that is called as one with policies was, and that has none itself.
    for relation in catalog.relations() {
        if let Some(reason) = policies.broken(relation.oid) {
            found.insert(relation.oid, Governed::Refused(reason.clone()));
        }
    }
    found
}

fn table(
    catalog: &CatalogSnapshot,
    policies: &PolicySnapshot,
    settings: &Settings,
    failed: &HashMap<Oid, Arc<str>>,
    relation: &Relation,
) -> Result<Governed, Arc<str>> {
    let oid = relation.oid;
    let broken = std::iter::once(oid).chain(catalog.ancestors(oid)).find_map(|o| policies.broken(o));
    if let Some(reason) = broken.or_else(|| failed.get(&oid)) {
        return Err(reason.clone());
    }
    match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable | RelationKind::MaterializedView => {}
        RelationKind::View | RelationKind::Sequence | RelationKind::CompositeType | RelationKind::Index => {
            return Err("row filters and masks are set on tables".into());
        }
    }
    let effective = effective(catalog, policies, relation)?;
    if let Some(mask) = policies.masks(oid).iter().find(|m| relation.column(m.column.as_str()).is_none()) {
        return Err(format!("its masked column \"{}\" is gone", mask.column).into());
    }
    let (filtered, masked) = (effective.filter.is_some(), effective.masks.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
    let mechanism = mechanism(catalog, policies, settings, relation)?;
    if let Some(column) = masked.iter().find(|c| !raw_column_fits(relation, c.as_str())) {
        return Err(format!(
            "its masked column \"{column}\" leaves no room for \"{}\"",
            GovernedTable::raw_column(column.as_str())
        )
        .into());
    }
    if let Some((shown, hidden)) = computed_from_masked(relation, &masked) {
        return Err(format!("its generated column \"{shown}\" is computed from masked column \"{hidden}\" and has no mask").into());
    }
    let nameless = || Arc::from("its schema is unknown");
    let base = catalog.qualified(relation).ok_or_else(nameless)?;
    let view = read_view(catalog, relation).ok_or_else(nameless)?;
    let by_view = filtered && mechanism == Mechanism::View;
    let read = if masked.is_empty() && !by_view { base.clone() } else { view };
    let write = if !masked.is_empty() { write_twin(catalog, relation).ok_or_else(nameless)? } else { read.clone() };
    let apart = by_view && relation.kind != RelationKind::MaterializedView;
    let insert = if apart { insert_view(catalog, relation).ok_or_else(nameless)? } else { write.clone() };
    Ok(Governed::Table(GovernedTable { filtered, mechanism, masked, read, write, insert }))
}

/// An unmasked generated column that shows a masked one.
fn computed_from_masked<'a>(relation: &'a Relation, masked: &'a [Name]) -> Option<(&'a Name, &'a Name)> {
    let hidden: Vec<_> = relation.columns.iter().filter(|c| masked.contains(&c.name)).collect();
    relation.columns.iter().filter(|c| !masked.contains(&c.name)).find_map(|shown| {
        let from = hidden.iter().find(|c| shown.computed_from.contains(&c.number))?;
        Some((&shown.name, &from.name))
    })
}

fn mechanism(
    catalog: &CatalogSnapshot,
    policies: &PolicySnapshot,
    settings: &Settings,
    relation: &Relation,
) -> Result<Mechanism, Arc<str>> {
    let carries = matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable) && catalog.alterable(relation);
    match policies.mechanism(relation.oid) {
        Some(Mechanism::Rls) if !carries => Err("row security was chosen for it, and it cannot carry row security".into()),
        Some(chosen) => Ok(chosen),
        None if carries => Ok(settings.row_filters),
        None => Ok(Mechanism::View),
    }
}

/// A relation's own filter or masks must hold for whatever it can be read through.
fn exposed_parents(catalog: &CatalogSnapshot, policies: &PolicySnapshot, found: &mut HashMap<Oid, Governed>) {
    for oid in policies.governed() {
        let Some(relation) = catalog.relation(oid) else { continue };
        let Ok(own) = effective(catalog, policies, relation) else { continue };
        for ancestor in catalog.ancestors(oid) {
            let Some(parent) = catalog.relation(ancestor) else { continue };
            let above = effective(catalog, policies, parent).unwrap_or_default();
            let masks_hold = own.masks.iter().all(|(column, mask)| {
                parent.column(column.as_str()).is_none() || above.masks.iter().any(|(c, m)| c == column && m == mask)
            });
            if own.filter != above.filter || !masks_hold {
                let reason = format!("{} below it has a row filter or masks of its own", label(catalog, oid));
                found.insert(ancestor, Governed::Refused(reason.into()));
            }
        }
    }
}

/// To a fixed point, because views read views.
fn views(
    catalog: &CatalogSnapshot,
    policies: &PolicySnapshot,
    settings: &Settings,
    failed: &HashMap<Oid, Arc<str>>,
    found: &mut HashMap<Oid, Governed>,
) {
    let views: Vec<&Relation> = catalog
        .relations()
        .filter(|r| matches!(r.kind, RelationKind::View | RelationKind::MaterializedView))
        .filter(|r| catalog.schema(r.schema).is_some_and(|s| !s.ours && !s.system))
        .filter(|r| !policies.trusted(r.oid))
        .collect();
    loop {
        let mut moved = false;
        for view in &views {
            let Some(now) = view_governed(catalog, settings, failed, view, found) else { continue };
            if found.get(&view.oid) != Some(&now) && !matches!(found.get(&view.oid), Some(Governed::Refused(_))) {
                found.insert(view.oid, now);
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

fn view_governed(
    catalog: &CatalogSnapshot,
    settings: &Settings,
    failed: &HashMap<Oid, Arc<str>>,
    view: &Relation,
    found: &HashMap<Oid, Governed>,
) -> Option<Governed> {
    let mut governed = Vec::new();
    let mut ours = false;
    for read in &view.reads {
        match found.get(read) {
            Some(Governed::Refused(_)) => {
                return Some(Governed::Refused(format!("it reads {}, which is refused", label(catalog, *read)).into()));
            }
            Some(g) => governed.push(g),
            None => ours |= catalog.relation(*read).and_then(|r| catalog.schema(r.schema)).is_some_and(|s| s.ours),
        }
    }
    // Reading the table itself with the viewer's or the reader's rights, row security sees to the rest.
    let restricted = view.security_invoker || matches!(view.owner.as_str(), VIEWER | SESSION | CONTROL);
    let unasked = settings.strict && !restricted && asks_nobody(catalog, view);
    if governed.is_empty() && !ours && !unasked {
        return None;
    }
    if let Some(reason) = failed.get(&view.oid) {
        return Some(Governed::Refused(reason.clone()));
    }
    if view.kind == RelationKind::MaterializedView {
        return Some(Governed::Refused("it keeps rows of governed relations; an administrator may mark it trusted".into()));
    }
    let safe = |g: &&Governed| match g {
        Governed::Derived => true,
        Governed::Table(t) => restricted && t.masked.is_empty() && t.mechanism == Mechanism::Rls,
        Governed::View { .. } | Governed::Refused(_) => false,
    };
    if !unasked && governed.iter().all(safe) {
        return Some(Governed::Derived);
    }
    if view.temporary {
        return Some(Governed::Refused("a temporary view cannot read governed relations themselves".into()));
    }
    read_view(catalog, view).map(|read| Governed::View { read })
}

/// Whether a view reads tables that in strict mode ask for grants, with the rights of an owner whom they do not ask.
fn asks_nobody(catalog: &CatalogSnapshot, view: &Relation) -> bool {
    let application = |read: &Oid| {
        let schema = catalog.relation(*read).and_then(|r| catalog.schema(r.schema));
        schema.is_some_and(|s| !s.ours && !s.system)
    };
    view.kind == RelationKind::View && !view.temporary && view.reads.iter().any(application)
}

fn label(catalog: &CatalogSnapshot, oid: Oid) -> String {
    let name = catalog.relation(oid).and_then(|r| catalog.qualified(r));
    name.map_or_else(|| format!("relation {oid}"), |n| format!("\"{n}\""))
}

#[cfg(test)]
mod tests;
