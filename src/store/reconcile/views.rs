//! Governed views: the read view, write twin and insert view of a table, and the governed twin of a view made outside.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::actual::{Actual, Made, MadeKind};
use super::plan::{Task, fingerprint, note};
use super::privileges;
use crate::catalog::{CatalogSnapshot, Column, Footing, Governed, GovernedTable, Relation, RelationKind, governed_schema};
use crate::name::{Name, QualifiedName, quote_literal};
use crate::policy::Oid;
use crate::sql::rewrite::view::governed_definition;
use crate::store::governed::Effective;
use crate::store::names::{DDL, OWNER, VIEWER, insert_view, read_view, write_twin};

/// Why a governed relation cannot be enforced as upstream is, if so.
pub(super) fn unfit(footing: &Footing, actual: &Actual, relation: &Relation) -> Option<Arc<str>> {
    let governed = footing.governed(relation.oid)?;
    if let Some(reason) = privileges::exposed(footing, actual, relation) {
        return Some(reason.into());
    }
    let adopted = privileges::adoptable(&footing.catalog, actual, relation);
    if matches!(governed, Governed::Table(_)) && !adopted {
        return Some("pgusher has no rights on it upstream; run \"pgusher init\" as its owner or as a superuser".into());
    }
    let schema = footing.catalog.schema(relation.schema)?;
    let views = footing.catalog.schema_named(governed_schema(schema.name.as_str()).as_str())?;
    (!views.ours).then(|| format!("schema \"{}\" is not pgusher's", views.name).into())
}

/// Whether a table that is not governed has a read view that other relations read: it stays, and shows everything.
pub(super) fn still_read(catalog: &CatalogSnapshot, actual: &Actual, relation: Oid) -> bool {
    let Some(view) = actual.made.get(&(relation, MadeKind::Read)).filter(|m| m.now.is_some()) else { return false };
    catalog.relation(relation).is_some_and(|r| r.kind != RelationKind::View)
        && catalog.relations().any(|r| r.reads.contains(&view.object) && catalog.schema(r.schema).is_some_and(|s| !s.ours))
}

/// The schemas that governed views need and that are not there yet.
pub(super) fn schemas(footing: &Footing, relations: &[&Relation], wanted: &HashMap<Oid, Effective>) -> Vec<Task> {
    let needed: BTreeSet<Name> = relations
        .iter()
        .filter(|r| wanted.contains_key(&r.oid) || matches!(footing.governed(r.oid), Some(Governed::View { .. })))
        .filter_map(|r| read_view(&footing.catalog, r))
        .map(|name| name.schema)
        .collect();
    let missing = needed.into_iter().filter(|name| footing.catalog.schema_named(name.as_str()).is_none());
    missing
        .map(|name| {
            let name = name.quoted();
            Task::sql(
                0,
                format!(
                    "CREATE SCHEMA {name} AUTHORIZATION {OWNER};\n\
                     GRANT USAGE ON SCHEMA {name} TO pgusher_session, pgusher_control, {DDL};\nGRANT USAGE, CREATE ON SCHEMA {name} TO {VIEWER}"
                ),
            )
        })
        .collect()
}

/// Views in our schemas that nothing wants any more, those that read others first.
pub(super) fn strays(footing: &Footing, actual: &Actual, wanted: &HashMap<Oid, Effective>) -> Vec<Task> {
    let catalog = &footing.catalog;
    let keeps = |relation: Oid, kind: MadeKind| match footing.governed(relation) {
        Some(Governed::Table(table)) => match kind {
            MadeKind::Read => true,
            MadeKind::Write => table.twin(),
            MadeKind::Insert => table.insert != table.write,
            MadeKind::Filter => false,
        },
        Some(Governed::View { .. }) => kind == MadeKind::Read,
        // A table that is refused now may be mended; nobody is sent there meanwhile.
        Some(Governed::Refused(_)) => catalog.relation(relation).is_some_and(|r| r.kind != RelationKind::View),
        Some(Governed::Derived) | None => kind == MadeKind::Read && wanted.contains_key(&relation),
    };
    let mut tasks = Vec::new();
    let mut kept = HashSet::new();
    let mut rows: Vec<_> = actual.made.iter().filter(|((_, kind), _)| *kind != MadeKind::Filter).collect();
    rows.sort_by_key(|(key, _)| **key);
    for ((relation, kind), made) in rows {
        if keeps(*relation, *kind) && catalog.relation(*relation).is_some() {
            kept.insert(made.object);
        } else {
            let sql = format!("DELETE FROM pgusher.made WHERE relation = {relation} AND kind = '{}'", kind.as_str());
            tasks.push(Task::sql(*relation, sql));
        }
    }
    let mut gone: Vec<&Relation> = catalog
        .relations()
        .filter(|r| matches!(r.kind, RelationKind::View | RelationKind::MaterializedView | RelationKind::Table))
        .filter(|r| catalog.schema(r.schema).is_some_and(|s| s.ours && s.name.as_str() != "pgusher") && !kept.contains(&r.oid))
        .collect();
    // A view is younger than what it reads, unless it was replaced; a failure is tried again after the rest.
    gone.sort_by_key(|r| std::cmp::Reverse(r.oid));
    tasks.extend(gone.into_iter().filter(|r| r.kind == RelationKind::View).filter_map(|view| {
        let name = catalog.qualified(view)?;
        Some(Task::sql(0, format!("DROP VIEW IF EXISTS {}", name.quoted())))
    }));
    tasks
}

/// The read view, the write twin and the insert view of a table.
pub(super) fn table(footing: &Footing, actual: &Actual, relation: &Relation, effective: &Effective) -> Vec<Task> {
    let catalog = &footing.catalog;
    let governed = match footing.governed(relation.oid) {
        Some(Governed::Table(table)) => Some(table),
        Some(Governed::View { .. } | Governed::Derived | Governed::Refused(_)) | None => None,
    };
    let (Some(base), Some(read), Some(write), Some(insert)) =
        (catalog.qualified(relation), read_view(catalog, relation), write_twin(catalog, relation), insert_view(catalog, relation))
    else {
        return Vec::new();
    };
    let by_view = governed.is_some_and(GovernedTable::by_view);
    let twin = governed.is_some_and(GovernedTable::twin);
    let writable = relation.kind != RelationKind::MaterializedView;
    let columns = Columns::new(actual, relation, effective);
    let from = Source { base, filter: effective.filter.as_deref().filter(|_| by_view) };
    let options = format!("security_barrier = {by_view}");
    // A view without a column that can be written takes no CHECK OPTION, and needs none.
    let checked = by_view && writable && columns.plain();
    let view = |kind, name, shown: &[Shown], checked, grant: String| View {
        relation: relation.oid,
        kind,
        name,
        shape: shown.iter().map(|s| s.shape.clone()).collect(),
        options: options.clone(),
        body: select(shown, &from, checked),
        checks: if kind == MadeKind::Read { columns.checks.clone() } else { Vec::new() },
        grants: vec![grant],
    };
    let in_place = by_view && writable && !twin;
    let access = match relation.columns.first() {
        _ if in_place => "SELECT, UPDATE, DELETE".to_owned(),
        // FOR UPDATE asks for UPDATE on any column. What the write twin takes, this may take.
        Some(first) if twin && writable => format!("SELECT, UPDATE ({})", first.name.quoted()),
        Some(_) | None => "SELECT".to_owned(),
    };
    let mut views = vec![view(MadeKind::Read, read, &columns.read, checked, access)];
    if twin && writable {
        let Columns { readable, written, .. } = &columns;
        let inserted = if by_view { String::new() } else { format!("INSERT ({written}), ") };
        let access = format!("SELECT ({readable}), {inserted}UPDATE ({written}), DELETE");
        views.push(view(MadeKind::Write, write, &columns.write, by_view, access));
    }
    if by_view && writable {
        let Columns { readable, written, .. } = &columns;
        let access = if twin { format!("SELECT ({readable}), INSERT ({written})") } else { "SELECT, INSERT".to_owned() };
        views.push(view(MadeKind::Insert, insert, &columns.write, true, access));
    }
    views.into_iter().filter_map(|view| view.task(catalog, actual)).collect()
}

/// A column of a governed view: what it shows, and as what.
struct Shown {
    expression: String,
    shape: Shape,
}

impl Shown {
    fn system((name, type_oid): &(&str, Oid)) -> Self {
        Self { expression: (*name).to_owned(), shape: Shape { name: Name::exact(name), type_oid: *type_oid, type_modifier: -1 } }
    }
}

/// The columns of a table's governed views.
struct Columns {
    read: Vec<Shown>,
    write: Vec<Shown>,
    /// What may be read and what may be written of those in `write`, as lists.
    readable: String,
    written: String,
    /// What must hold before the views are made.
    checks: Vec<String>,
}

impl Columns {
    fn new(actual: &Actual, relation: &Relation, effective: &Effective) -> Self {
        let mask = |column: &Column| {
            let mask = effective.masks.iter().find(|(name, _)| *name == column.name).map(|(_, m)| m);
            mask.map(|m| mask_expression(actual, relation, column, m))
        };
        let masked = |column: &Column| {
            let expression = mask(column)?;
            Some(Shown { expression, shape: Shape::of(column) })
        };
        let plain = |column: &Column| Shown { expression: column.name.quoted(), shape: Shape::of(column) };
        let raw = |column: &Column| {
            if mask(column).is_none() { column.name.clone() } else { Name::exact(&GovernedTable::raw_column(column.name.as_str())) }
        };
        let list = |names: &mut dyn Iterator<Item = Name>| names.map(|n| n.quoted()).collect::<Vec<_>>().join(", ");
        let all = || relation.columns.iter();
        let named_raw = all().map(|c| {
            let Shown { expression, shape } = plain(c);
            Shown { expression, shape: Shape { name: raw(c), ..shape } }
        });
        // A twin shows the system columns, for statements that name them.
        let twin = !effective.masks.is_empty() && relation.has_system_columns();
        let system = if twin { &SYSTEM[..] } else { &[] };
        let check = |(column, mask): &(Name, Arc<str>)| {
            let (column, mask) = (quote_literal(column.as_str()), quote_literal(mask));
            format!("SELECT pgusher.check_mask({}, {column}, {mask})", relation.oid)
        };
        Self {
            read: all().map(|c| masked(c).unwrap_or_else(|| plain(c))).collect(),
            write: named_raw.chain(all().filter_map(masked)).chain(system.iter().map(Shown::system)).collect(),
            readable: list(&mut all().map(|c| c.name.clone()).chain(system.iter().map(|(name, _)| Name::exact(name)))),
            written: list(&mut all().filter(|c| mask(c).is_none() || !c.generated).map(raw)),
            checks: effective.masks.iter().map(check).collect(),
        }
    }

    /// Whether a column is shown as it is.
    fn plain(&self) -> bool {
        self.read.iter().any(|shown| shown.expression == shown.shape.name.quoted())
    }
}

/// The governed twin of a view made outside, if this is one.
pub(super) fn twin(footing: &Footing, actual: &Actual, relation: &Relation) -> Result<Vec<Task>, Arc<str>> {
    let Some(Governed::View { read }) = footing.governed(relation.oid) else { return Ok(Vec::new()) };
    let target = |oid: Oid| match footing.governed(oid) {
        Some(Governed::Table(_)) => footing.catalog.relation(oid).and_then(|r| read_view(&footing.catalog, r)),
        Some(Governed::View { read }) => Some(read.clone()),
        Some(Governed::Derived | Governed::Refused(_)) | None => None,
    };
    let made = actual.made.get(&(relation.oid, MadeKind::Read)).and_then(|m| footing.catalog.relation(m.object));
    if let Some(past) = made.and_then(|view| view.reads.iter().find(|oid| target(**oid).is_some())) {
        return Err(format!("its governed twin still reads relation {past} itself").into());
    }
    let Some(definition) = actual.definitions.get(&relation.oid) else {
        // Somebody is changing what it reads at this moment. The twin that is there reads governed views only, so it may stay.
        let stands = actual.made.get(&(relation.oid, MadeKind::Read)).is_some_and(|m| m.now.as_ref() == Some(&m.found));
        return if stands { Ok(Vec::new()) } else { Err("its definition cannot be read at this moment".into()) };
    };
    let body = governed_definition(definition, footing, &target)
        .map_err(|e| Arc::from(format!("its definition cannot be governed: {e}")))?;
    let view = View {
        relation: relation.oid,
        kind: MadeKind::Read,
        name: read.clone(),
        shape: relation.columns.iter().map(Shape::of).collect(),
        options: "security_barrier = true".to_owned(),
        body: body.trim_end().trim_end_matches(';').to_owned(),
        checks: Vec::new(),
        grants: vec!["SELECT".to_owned()],
    };
    Ok(view.task(&footing.catalog, actual).into_iter().collect())
}

/// Views after the views that they read.
pub(super) fn in_reading_order<'a>(footing: &Footing, relations: &[&'a Relation]) -> Vec<&'a Relation> {
    let mut open: Vec<&Relation> =
        relations.iter().copied().filter(|r| matches!(footing.governed(r.oid), Some(Governed::View { .. }))).collect();
    let mut sorted = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let waiting: HashSet<Oid> = open.iter().map(|r| r.oid).collect();
        let (ready, later): (Vec<&Relation>, Vec<&Relation>) =
            open.into_iter().partition(|r| !r.reads.iter().any(|o| waiting.contains(o)));
        if ready.is_empty() {
            // Views cannot read one another in a circle; if they seem to, upstream says what is wrong.
            sorted.extend(later);
            return sorted;
        }
        sorted.extend(ready);
        open = later;
    }
    sorted
}

/// A column of a view, as far as CREATE OR REPLACE minds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    name: Name,
    type_oid: Oid,
    type_modifier: i32,
}

impl Shape {
    fn of(column: &Column) -> Self {
        Self { name: column.name.clone(), type_oid: column.type_oid, type_modifier: column.type_modifier }
    }
}

/// A governed view as it should be.
struct View {
    relation: Oid,
    kind: MadeKind,
    name: QualifiedName,
    shape: Vec<Shape>,
    options: String,
    body: String,
    checks: Vec<String>,
    grants: Vec<String>,
}

impl View {
    /// What makes it so; `None` when it is.
    fn task(&self, catalog: &CatalogSnapshot, actual: &Actual) -> Option<Task> {
        let name = self.name.quoted();
        let columns: Vec<String> = self.shape.iter().map(|s| s.name.quoted()).collect();
        let create = format!("CREATE OR REPLACE VIEW {name} ({}) WITH ({}) AS {}", columns.join(", "), self.options, self.body);
        let wanted = fingerprint(&[&create, &self.grants.join(", ")]);
        let made = actual.made.get(&(self.relation, self.kind));
        if made.is_some_and(|m| m.holds(&wanted)) {
            return None;
        }
        let mut sql = self.checks.clone();
        sql.extend(self.make_room(catalog, made));
        sql.push(create);
        sql.push(format!("ALTER VIEW {name} OWNER TO {VIEWER}"));
        sql.push(format!("REVOKE ALL ON {name} FROM PUBLIC, pgusher_session, pgusher_control, {OWNER}"));
        for grant in &self.grants {
            sql.push(format!("GRANT {grant} ON {name} TO pgusher_session, pgusher_control"));
        }
        sql.push(note(self.relation, self.kind, &quote_literal(&name), &wanted));
        Some(Task::sql(self.relation, sql.join(";\n")))
    }

    /// What must happen to the view that is there before CREATE OR REPLACE can.
    fn make_room(&self, catalog: &CatalogSnapshot, made: Option<&Made>) -> Vec<String> {
        let place = catalog.schema_named(self.name.schema.as_str()).and_then(|s| catalog.relation_in(s.oid, &self.name.name));
        let ours = made.and_then(|m| catalog.relation(m.object)).filter(|r| catalog.schema(r.schema).is_some_and(|s| s.ours));
        let mut sql = Vec::new();
        let Some(view) = ours else {
            if place.is_some() {
                sql.push(format!("DROP VIEW IF EXISTS {}", self.name.quoted()));
            }
            return sql;
        };
        let Some(now) = catalog.qualified(view) else { return sql };
        let there: Vec<Shape> = view.columns.iter().map(Shape::of).collect();
        let same_types = there.len() <= self.shape.len()
            && there.iter().zip(&self.shape).all(|(a, b)| a.type_oid == b.type_oid && a.type_modifier == b.type_modifier);
        let same_names = there.iter().zip(&self.shape).all(|(a, b)| a.name == b.name);
        let read = catalog.relations().any(|r| r.reads.contains(&view.oid));
        if !same_types || (!same_names && !read) {
            sql.push(format!("DROP VIEW IF EXISTS {}", now.quoted()));
            if now != self.name && place.is_some_and(|p| p.oid != view.oid) {
                sql.push(format!("DROP VIEW IF EXISTS {}", self.name.quoted()));
            }
            return sql;
        }
        if now != self.name {
            sql.extend(self.move_here(view.oid, &now));
        }
        if !same_names {
            sql.extend(self.rename_columns(&there));
        }
        sql
    }

    /// Over a name that nothing else can have, because another view may stand at the new one and move on itself.
    fn move_here(&self, oid: Oid, now: &QualifiedName) -> Vec<String> {
        let passing = Name::exact(&format!("pgusher_moving_{oid}"));
        let (schema, here) = (self.name.schema.quoted(), passing.quoted());
        let mut sql = vec![format!("ALTER VIEW {} RENAME TO {here}", now.quoted())];
        if now.schema != self.name.schema {
            sql.push(format!("ALTER VIEW {}.{here} SET SCHEMA {schema}", now.schema.quoted()));
        }
        sql.push(format!("ALTER VIEW {schema}.{here} RENAME TO {}", self.name.name.quoted()));
        sql
    }

    /// Views that read it keep reading it under the columns' new names.
    fn rename_columns(&self, there: &[Shape]) -> Vec<String> {
        let name = self.name.quoted();
        let changed: Vec<(usize, &Shape, &Shape)> =
            there.iter().zip(&self.shape).enumerate().filter(|(_, (a, b))| a.name != b.name).map(|(i, (a, b))| (i, a, b)).collect();
        let away = changed
            .iter()
            .map(|(i, now, _)| format!("ALTER VIEW {name} RENAME COLUMN {} TO \"pgusher_moving_{i}\"", now.name.quoted()));
        let back = changed
            .iter()
            .map(|(i, _, new)| format!("ALTER VIEW {name} RENAME COLUMN \"pgusher_moving_{i}\" TO {}", new.name.quoted()));
        away.chain(back).collect()
    }
}

/// Where a governed view's rows come from.
struct Source<'a> {
    base: QualifiedName,
    filter: Option<&'a str>,
}

fn select(columns: &[Shown], from: &Source, check: bool) -> String {
    let list: Vec<String> = columns.iter().map(|shown| format!("{} AS {}", shown.expression, shown.shape.name.quoted())).collect();
    let condition = from.filter.map(|f| format!(" WHERE ({f}\n)")).unwrap_or_default();
    let check = if check { " WITH CASCADED CHECK OPTION" } else { "" };
    format!("SELECT {} FROM {}{condition}{check}", list.join(", "), from.base.quoted())
}

/// The mask as a value of the column's type, length and collation.
fn mask_expression(actual: &Actual, relation: &Relation, column: &Column, mask: &str) -> String {
    let limited = matches!(column.type_oid, BPCHAR | VARCHAR) && column.type_modifier > 4;
    let value = if limited {
        let length = column.type_modifier - 4;
        format!("pgusher.fit(({mask}\n)::pg_catalog.text, {length}, {})::{}", quote_literal(&column.type_sql), column.type_sql)
    } else {
        format!("({mask}\n)::{}", column.type_sql)
    };
    match actual.collations.get(&(relation.oid, column.name.as_str().to_owned())) {
        Some(collation) => format!("(({value}) COLLATE {collation})"),
        None => format!("({value})"),
    }
}

const BPCHAR: Oid = 1042;
const VARCHAR: Oid = 1043;
/// The system columns that a write twin shows, with their types.
const SYSTEM: [(&str, Oid); 4] = [("ctid", 27), ("xmin", 28), ("xmax", 28), ("tableoid", 26)];
