//! GROUP BY a primary key: PostgreSQL then takes the table's other columns as they are. A view that stands for the table has no
//! key, so those columns are put into GROUP BY, which makes the same groups.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, a_const};

use super::ResolveError;
use super::identity::fragment;
use super::names::{offset, string};
use super::walk::Walk;
use crate::catalog::PrimaryKey;
use crate::name::quote_identifier;

/// A query's items that are grouped by their table's primary key.
pub(super) struct Keyed {
    items: Vec<KeyedItem>,
    /// Which of the keys in GROUP BY the columns go before, and where it stands.
    before: (usize, usize),
}

struct KeyedItem {
    alias: String,
    /// Columns that GROUP BY may name and does not yet.
    columns: Vec<String>,
}

impl Walk<'_> {
    /// The innermost items that views stand for and that GROUP BY names by their whole primary key. From here on, references to
    /// columns are kept until [`Walk::complete_groups`].
    pub(super) fn keyed_groups(&mut self, group: &[Node], targets: &[Node]) -> Option<Keyed> {
        if group.is_empty() || self.scopes.top().items.iter().all(|item| item.stands_for.is_none()) {
            return None;
        }
        let mut names = Vec::new();
        let mut before = None;
        for (index, key) in group.iter().enumerate() {
            let (key, position) = match key.node.as_ref() {
                Some(Kind::GroupingSet(_)) => return None,
                Some(Kind::ColumnRef(column)) => {
                    let named = column.fields.iter().filter_map(string).map(str::to_owned).collect::<Vec<_>>();
                    (self.grouped_by(named, targets), offset(column.location))
                }
                Some(Kind::AConst(number)) => match number.val {
                    Some(a_const::Val::Ival(ref n)) => (
                        usize::try_from(n.ival).ok().and_then(|n| target_column(targets.get(n.checked_sub(1)?)?)),
                        offset(number.location),
                    ),
                    _ => (None, None),
                },
                _ => (None, None),
            };
            if let Some(at) = position.filter(|_| before.is_none()) {
                before = Some((index, at));
            }
            names.extend(key);
        }
        let before = before?;
        let items: Vec<KeyedItem> = self.keyed_items(&names);
        if items.is_empty() {
            return None;
        }
        self.grouped.push(Vec::new());
        Some(Keyed { items, before })
    }

    /// A lone name in GROUP BY is a column of FROM if there is one, else a column of the result.
    fn grouped_by(&mut self, named: Vec<String>, targets: &[Node]) -> Option<Vec<String>> {
        let [name] = named.as_slice() else { return Some(named) };
        if self.scopes.top().items.iter().any(|item| item.columns.as_ref().is_none_or(|all| all.contains(name))) {
            return Some(named);
        }
        targets.iter().find(|t| matches!(t.node.as_ref(), Some(Kind::ResTarget(t)) if t.name == *name)).and_then(target_column)
    }

    fn keyed_items(&mut self, names: &[Vec<String>]) -> Vec<KeyedItem> {
        let footing = self.ground.footing;
        let catalog = &footing.catalog;
        let items = &self.scopes.top().items;
        let mut keyed = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let Some(relation) = item.stands_for.and_then(|oid| catalog.relation(oid)) else { continue };
            let (Some(columns), Some(key)) = (item.columns.as_ref(), catalog.primary_key(relation.oid)) else { continue };
            let named = |column: &String| {
                names.iter().any(|name| match name.as_slice() {
                    [alias, field] => *alias == item.alias && field == column,
                    // The first that has it: further ones can only have it by USING.
                    [field] => {
                        field == column
                            && !items[..at].iter().any(|other| other.columns.as_ref().is_none_or(|all| all.contains(field)))
                    }
                    _ => false,
                })
            };
            let numbered = || relation.columns.iter().map(|c| c.number).zip(columns);
            if numbered().filter(|(number, _)| key.columns.contains(number)).all(|(_, column)| named(column)) {
                let of = |key: &PrimaryKey| {
                    numbered().filter(|(n, _)| key.groupable.contains(n)).map(|(_, c)| c.clone()).collect::<Vec<_>>()
                };
                let columns = of(key).into_iter().filter(|column| !named(column)).collect();
                keyed.push(KeyedItem { alias: item.alias.clone(), columns });
            }
        }
        keyed
    }

    /// Puts the columns that were referred to into GROUP BY.
    pub(super) fn complete_groups(&mut self, keyed: Option<Keyed>, group: &mut Vec<Node>) -> Result<(), ResolveError> {
        let Some(Keyed { items, before: (index, at) }) = keyed else { return Ok(()) };
        let references = self.grouped.pop().unwrap_or_default();
        let mut text = String::new();
        let mut nodes = Vec::new();
        for KeyedItem { alias, columns } in items {
            for column in columns {
                let meant = references.iter().any(|(names, star)| match (names.as_slice(), star) {
                    ([], true) => true,
                    ([name], true) => *name == alias,
                    ([name], false) => *name == column,
                    ([name, field], false) => *name == alias && *field == column,
                    _ => false,
                });
                if meant {
                    let sql = format!("{}.{}", quote_identifier(&alias), quote_identifier(&column));
                    nodes.push(fragment(&sql)?);
                    text.push_str(&sql);
                    text.push_str(", ");
                }
            }
        }
        if !nodes.is_empty() {
            self.insert_text(at, text);
            group.splice(index..index, nodes);
        }
        Ok(())
    }
}

/// The column that an item of the result is, if it is one.
fn target_column(target: &Node) -> Option<Vec<String>> {
    let Some(Kind::ResTarget(target)) = target.node.as_ref() else { return None };
    match target.val.as_deref().and_then(|value| value.node.as_ref()) {
        Some(Kind::ColumnRef(column)) => Some(column.fields.iter().filter_map(string).map(str::to_owned).collect()),
        _ => None,
    }
}
