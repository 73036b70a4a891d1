//! Catalog relations of a statement whose rows are tied to something that is seen: by `c.oid = '16389'`, where the proxy knows that the
//! principal sees relation 16389, or by `a.attrelid = c.oid`, where `c` shows only what is seen. Nothing has to be asked of such rows.
//!
//! The tie must hold for every row that comes out: a condition of WHERE, of an inner join for what it joins, of an outer join for the
//! side that may be missing. Leaving out other rows of the tied relation would then change nothing. What a condition could tell of a
//! row before it is dropped is the business of [`super::harmless`]; only statements that pass it are looked at. Two relations are never
//! tied to each other: one of them stays a view of ours. What is not understood ties nothing.

use std::collections::BTreeSet;

use pg_query::protobuf::{AExprKind, JoinType};
use serde_json::Value;

use super::catalog_relations::{Key, holds, tied_by};
use super::harmless::{is_empty, names, variant};
use crate::catalog::CatalogSnapshot;
use crate::name::Name;

/// The relations that are tied: where each stands, and what it goes by.
/// `seen`: of a relation's number and the place of the constant that it is.
pub(super) fn tied(tree: &Value, catalog: &CatalogSnapshot, seen: &dyn Fn(u32, i64) -> bool) -> Vec<(i64, String)> {
    let mut search = Search { catalog, seen, levels: Vec::new(), found: Vec::new() };
    let query = match variant(tree) {
        Some(("DeclareCursorStmt", inner)) => inner.get("query").and_then(variant),
        other => other,
    };
    if let Some(("SelectStmt", select)) = query {
        search.select(select);
    }
    search.found
}

/// What stands in a statement by which a row of a catalog could show more than the columns that are named.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Every name in it.
    words: BTreeSet<String>,
    /// The last names of references: an alias among them is a whole row.
    references: BTreeSet<String>,
    /// It asks for all columns.
    all: bool,
}

impl Named {
    /// Looks a statement through.
    pub(super) fn of(tree: &Value) -> Self {
        let mut named = Self::default();
        named.look(tree);
        named
    }

    fn look(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => {
                match variant(value) {
                    Some(("AStar", _)) => self.all = true,
                    Some(("String", inner)) => self.words.extend(inner.get("sval").and_then(Value::as_str).map(str::to_owned)),
                    Some(("ColumnRef", inner)) => {
                        self.references.extend(names(inner.get("fields")).last().map(|name| (*name).to_owned()));
                    }
                    Some(("JoinExpr", inner)) => self.all |= inner.get("is_natural").and_then(Value::as_bool) == Some(true),
                    Some(_) | None => {}
                }
                fields.values().for_each(|field| self.look(field));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Whether none of these columns can come out of a relation that goes by this name.
    pub(super) fn leaves_out(&self, columns: &[&str], alias: &str) -> bool {
        columns.is_empty()
            || (!self.all && !self.references.contains(alias) && !columns.iter().any(|column| self.words.contains(*column)))
    }
}

/// Something in FROM.
#[derive(Clone)]
struct Item<'v> {
    alias: &'v str,
    /// The catalog relation that it is, under its own columns' names.
    catalog: Option<&'v str>,
    at: i64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Tied,
    /// A view of ours shows it: something else is tied to it.
    Kept,
}

/// What a query reads, and what must hold for its rows.
#[derive(Clone, Default)]
struct Level<'v> {
    items: Vec<Item<'v>>,
    /// Names may mean what is not known here.
    opaque: bool,
}

/// A condition: the items that it may tie, and those that it may name.
struct Condition<'v> {
    holds: &'v Value,
    tie: Vec<usize>,
    name: Vec<usize>,
}

/// Where a column was found.
enum Place<'v> {
    Here(usize, &'v str),
    Around(&'v str, &'v str),
}

struct Search<'a, 'v> {
    catalog: &'a CatalogSnapshot,
    seen: &'a dyn Fn(u32, i64) -> bool,
    /// Of the queries around, innermost last.
    levels: Vec<Level<'v>>,
    found: Vec<(i64, String)>,
}

impl<'v> Search<'_, 'v> {
    fn select(&mut self, select: &'v Value) {
        let Some(fields) = select.as_object() else { return };
        let mut level = Level::default();
        let mut conditions = Vec::new();
        let mut within = Vec::new();
        for item in select.get("from_clause").and_then(Value::as_array).into_iter().flatten() {
            from_item(item, &mut level, &mut conditions, &mut within);
        }
        let all: Vec<usize> = (0..level.items.len()).collect();
        if let Some(condition) = select.get("where_clause") {
            conditions.push(Condition { holds: condition, tie: all.clone(), name: all });
        }
        if !level.opaque {
            self.tie(&mut level, &conditions);
        }
        let tied = level.items.iter().filter(|item| item.state == State::Tied);
        self.found.extend(tied.map(|item| (item.at, item.alias.to_owned())));
        // What stands in FROM may name what stands before it.
        self.look_with(level.shadowed(&[]), &within);
        for condition in &conditions {
            self.look_with(level.shadowed(&condition.name), &[condition.holds]);
        }
        for (name, value) in fields {
            match name.as_str() {
                "from_clause" | "where_clause" => {}
                "larg" | "rarg" => self.select(value),
                "with_clause" => self.look(value),
                _ => self.look_with(level.clone(), &[value]),
            }
        }
    }

    fn look_with(&mut self, level: Level<'v>, values: &[&'v Value]) {
        self.levels.push(level);
        for value in values {
            self.look(value);
        }
        self.levels.pop();
    }

    /// Looks for queries in an expression.
    fn look(&mut self, value: &'v Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => match variant(value) {
                Some(("SelectStmt", select)) => self.select(select),
                Some(_) | None => fields.values().for_each(|field| self.look(field)),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn tie(&self, level: &mut Level<'v>, conditions: &[Condition<'v>]) {
        let mut pairs = Vec::new();
        for condition in conditions {
            self.gather(level, condition.holds, condition, &mut pairs);
        }
        loop {
            self.follow(level, &pairs);
            // What nothing ties by itself stays a view of ours, and others may hang on it: pg_class before others, for it is asked soonest.
            let Some((target, source)) = choose(level, &pairs) else { return };
            level.items[source].state = State::Kept;
            level.items[target].state = State::Tied;
        }
    }

    /// Ties to constants, to what is around, and to what is settled here.
    fn follow(&self, level: &mut Level<'v>, pairs: &[(usize, Option<usize>)]) {
        loop {
            let next = pairs.iter().find(|(target, source)| {
                level.items[*target].state == State::Open && source.is_none_or(|s| level.items[s].state != State::Open)
            });
            let Some((target, _)) = next else { return };
            level.items[*target].state = State::Tied;
        }
    }

    /// Pairs of what is tied and what it is tied to, of an expression that is true for every row: none for what is seen anyway.
    fn gather(&self, level: &Level<'v>, holds: &'v Value, condition: &Condition<'v>, pairs: &mut Vec<(usize, Option<usize>)>) {
        match variant(holds) {
            Some(("BoolExpr", inner)) if is(inner, "boolop", pg_query::protobuf::BoolExprType::AndExpr as i64) => {
                for arg in inner.get("args").and_then(Value::as_array).into_iter().flatten() {
                    self.gather(level, arg, condition, pairs);
                }
            }
            Some(("AExpr", inner)) if is(inner, "kind", AExprKind::AexprOp as i64) => {
                if !matches!(names(inner.get("name")).as_slice(), ["="] | ["pg_catalog", "="]) {
                    return;
                }
                let (Some(left), Some(right)) = (inner.get("lexpr"), inner.get("rexpr")) else { return };
                for (one, other) in [(left, right), (right, left)] {
                    pairs.extend(self.pair(level, condition, one, other));
                }
            }
            Some(_) | None => {}
        }
    }

    fn pair(
        &self,
        level: &Level<'v>,
        condition: &Condition<'v>,
        one: &'v Value,
        other: &'v Value,
    ) -> Option<(usize, Option<usize>)> {
        let Place::Here(target, column) = self.place(level, condition, one)? else { return None };
        let key = tied_by(level.items[target].catalog?, column).filter(|_| condition.tie.contains(&target))?;
        if let Some((number, at)) = self.number(other) {
            return (key == Key::Relation && (self.seen)(number, at)).then_some((target, None));
        }
        match self.place(level, condition, other)? {
            Place::Here(source, column) => {
                (source != target && holds(level.items[source].catalog?, column, key)).then_some((target, Some(source)))
            }
            Place::Around(catalog, column) => holds(catalog, column, key).then_some((target, None)),
        }
    }

    /// What a reference to a column means.
    fn place(&self, level: &Level<'v>, condition: &Condition<'v>, reference: &'v Value) -> Option<Place<'v>> {
        let ("ColumnRef", inner) = variant(reference)? else { return None };
        let fields = inner.get("fields").and_then(Value::as_array)?;
        let named = names(inner.get("fields"));
        match named.as_slice() {
            [alias, column] if fields.len() == 2 => {
                if let Some(at) = level.find(alias)? {
                    return condition.name.contains(&at).then_some(Place::Here(at, column));
                }
                for around in self.levels.iter().rev() {
                    if let Some(at) = around.find(alias)? {
                        return Some(Place::Around(around.items[at].catalog?, column));
                    }
                }
                None
            }
            [column] if fields.len() == 1 => {
                let mut having = None;
                for (at, item) in level.items.iter().enumerate() {
                    if self.has_column(item.catalog?, column)? && having.replace(at).is_some() {
                        return None;
                    }
                }
                having.filter(|at| condition.name.contains(at)).map(|at| Place::Here(at, column))
            }
            _ => None,
        }
    }

    fn has_column(&self, relation: &str, column: &str) -> Option<bool> {
        let schema = self.catalog.schema_named("pg_catalog")?;
        Some(self.catalog.relation_in(schema.oid, &Name::exact(relation))?.column(column).is_some())
    }

    /// The number that a constant is, and the constant's place.
    fn number(&self, value: &Value) -> Option<(u32, i64)> {
        match variant(value)? {
            ("AConst", inner) => {
                let (val, at) = (inner.get("val")?, inner.get("location").and_then(Value::as_i64)?);
                let number = match val.get("Sval").and_then(|text| text.get("sval")).and_then(Value::as_str) {
                    Some(text) => number_of(text),
                    // An operator of the database's own may fit a number better.
                    None if self.catalog.operators_named("=").is_empty() => {
                        val.get("Ival")?.get("ival").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
                    }
                    None => None,
                };
                number.map(|number| (number, at))
            }
            ("TypeCast", inner) => {
                let target = inner.get("type_name")?;
                let whole = is_empty(target.get("array_bounds"));
                let oid =
                    matches!(names(target.get("names")).as_slice(), ["oid" | "regclass"] | ["pg_catalog", "oid" | "regclass"]);
                inner.get("arg").filter(|_| whole && oid).and_then(|arg| self.number(arg))
            }
            _ => None,
        }
    }
}

/// The number that a text is. Newer versions read a leading zero as octal.
pub(in crate::sql) fn number_of(text: &str) -> Option<u32> {
    (text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0')).then(|| text.parse().ok()).flatten()
}

impl<'v> Level<'v> {
    /// The item that goes by a name, if one does; nothing when that is not certain.
    fn find(&self, alias: &str) -> Option<Option<usize>> {
        if self.opaque {
            return None;
        }
        let mut having = self.items.iter().enumerate().filter(|(_, item)| item.alias == alias);
        match (having.next(), having.next()) {
            (None, _) => Some(None),
            (Some((at, _)), None) => Some(Some(at)),
            (Some(_), Some(_)) => None,
        }
    }

    /// The same names, of which only some mean what they say.
    fn shadowed(&self, known: &[usize]) -> Self {
        let mut level = self.clone();
        for (at, item) in level.items.iter_mut().enumerate() {
            item.catalog = item.catalog.filter(|_| known.contains(&at));
        }
        level
    }
}

/// An item to keep as a view, and one to tie to it.
fn choose(level: &Level, pairs: &[(usize, Option<usize>)]) -> Option<(usize, usize)> {
    let open = |at: usize| level.items[at].state == State::Open;
    let mut found = pairs.iter().filter_map(|(target, source)| Some((*target, (*source)?))).filter(|(t, s)| open(*t) && open(*s));
    let first = found.clone().next();
    found.find(|(_, source)| level.items[*source].catalog == Some("pg_class")).or(first)
}

/// Puts an item of FROM into a level, with the conditions of its joins. `within`: where queries may stand that see none of it for sure.
fn from_item<'v>(node: &'v Value, level: &mut Level<'v>, conditions: &mut Vec<Condition<'v>>, within: &mut Vec<&'v Value>) {
    let Some((kind, inner)) = variant(node) else {
        level.opaque = true;
        return;
    };
    match kind {
        "RangeVar" => {
            let alias = inner.get("alias").and_then(|alias| alias.get("aliasname")).and_then(Value::as_str);
            let text = |field: &str| inner.get(field).and_then(Value::as_str).unwrap_or_default();
            let renamed = inner.get("alias").is_some_and(|alias| !is_empty(alias.get("colnames")));
            let own = text("catalogname").is_empty() && text("schemaname") == "pg_catalog" && !renamed;
            level.items.push(Item {
                alias: alias.unwrap_or(text("relname")),
                catalog: own.then(|| text("relname")),
                at: inner.get("location").and_then(Value::as_i64).unwrap_or(-1),
                state: State::Open,
            });
        }
        "RangeSubselect" | "RangeFunction" => {
            within.push(inner);
            match inner.get("alias").and_then(|alias| alias.get("aliasname")).and_then(Value::as_str) {
                Some(alias) => level.items.push(Item { alias, catalog: None, at: -1, state: State::Open }),
                None => level.opaque = true,
            }
        }
        "JoinExpr" => join(inner, level, conditions, within),
        _ => {
            within.push(inner);
            level.opaque = true;
        }
    }
}

fn join<'v>(inner: &'v Value, level: &mut Level<'v>, conditions: &mut Vec<Condition<'v>>, within: &mut Vec<&'v Value>) {
    let start = level.items.len();
    let mut side = |name: &str, level: &mut Level<'v>| {
        let first = level.items.len();
        match inner.get(name) {
            Some(item) => from_item(item, level, conditions, within),
            None => level.opaque = true,
        }
        (first..level.items.len()).collect::<Vec<_>>()
    };
    let (left, right) = (side("larg", level), side("rarg", level));
    let given = |field: &str| inner.get(field).is_some_and(|alias| !alias.is_null());
    let merged = inner.get("is_natural").and_then(Value::as_bool) == Some(true);
    level.opaque |= merged || !is_empty(inner.get("using_clause")) || given("alias") || given("join_using_alias");
    let all: Vec<usize> = (start..level.items.len()).collect();
    let tie = [(JoinType::JoinInner as i64, all.clone()), (JoinType::JoinLeft as i64, right), (JoinType::JoinRight as i64, left)];
    let tie = tie.into_iter().find(|(kind, _)| is(inner, "jointype", *kind)).map(|(_, items)| items).unwrap_or_default();
    if let Some(quals) = inner.get("quals").filter(|quals| !quals.is_null()) {
        conditions.push(Condition { holds: quals, tie, name: all });
    }
}

fn is(node: &Value, field: &str, value: i64) -> bool {
    node.get(field).and_then(Value::as_i64) == Some(value)
}
