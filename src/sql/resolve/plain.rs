//! Column references of a statement over the catalogs that are certainly columns of catalogs, and so of known types.
//!
//! A cast or a function that cannot fail on a number of an object can on a text: a reference is plain only where every relation of the
//! statement is written with `pg_catalog`, and nothing in it gives the column's name to something else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::catalog_relations::bears_relations;
use super::harmless::{names, variant};

/// What a statement calls things.
#[derive(Default)]
pub(super) struct Plain<'v> {
    /// A relation is named that may be of no catalog.
    others: bool,
    /// Names of results, and of the columns and results of functions and sub-selects.
    given: BTreeSet<&'v str>,
    /// Names of what counts.
    counters: BTreeSet<&'v str>,
}

impl<'v> Plain<'v> {
    /// Looks a statement through.
    pub(super) fn of(tree: &'v Value) -> Plain<'v> {
        let mut plain = Plain::default();
        plain.look(tree, false);
        plain
    }

    /// Results have names for what stands around them: in FROM and WITH.
    fn look(&mut self, value: &'v Value, within: bool) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item, within)),
            Value::Object(fields) => {
                let mut within = within;
                match variant(value) {
                    Some(("RangeVar", inner)) => {
                        self.others |= inner.get("schemaname").and_then(Value::as_str) != Some("pg_catalog");
                        self.given.extend(column_names(inner));
                        return;
                    }
                    Some(("RangeFunction", inner)) => self.look_at_function(inner),
                    Some(("ResTarget", inner)) if within => self.look_at_target(inner),
                    Some(("ResTarget", _)) => {}
                    Some((kind, inner)) => {
                        within |= matches!(kind, "RangeSubselect" | "CommonTableExpr");
                        self.given.extend(alias(inner).into_iter().chain(column_names(inner)));
                    }
                    None => {}
                }
                fields.values().for_each(|field| self.look(field, within));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// What is made of a column goes by the column's name where it is given no other.
    fn look_at_target(&mut self, inner: &'v Value) {
        let name = inner.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        match inner.get("val").and_then(variant) {
            _ if name.is_some() => self.given.extend(name),
            Some(("ColumnRef", _)) | None => {}
            Some((_, made)) => self.name_all(made),
        }
    }

    fn name_all(&mut self, value: &'v Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.name_all(item)),
            Value::Object(fields) => match variant(value) {
                Some(("ColumnRef", inner)) => self.given.extend(names(inner.get("fields"))),
                Some(("SubLink", _)) => {}
                Some(_) | None => fields.values().for_each(|field| self.name_all(field)),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The result of a function of one column bears the function's alias, or its name.
    fn look_at_function(&mut self, inner: &'v Value) {
        let mut columns = column_names(inner).peekable();
        match (counting(inner), alias(inner)) {
            (true, Some(name)) if columns.peek().is_none() && !self.counters.contains(name) => {
                self.counters.insert(name);
            }
            (_, name) => self.given.extend(name),
        }
        self.given.extend(columns);
    }

    /// The name of a column that can be nothing but a catalog's.
    fn column<'n>(&self, node: &'n Value) -> Option<&'n str> {
        let ("ColumnRef", inner) = variant(node)? else { return None };
        let fields = inner.get("fields").and_then(Value::as_array)?;
        let named = names(inner.get("fields"));
        let last = *named.last().filter(|_| named.len() == fields.len())?;
        (!self.others && !self.given.contains(last) && !self.counters.contains(last)).then_some(last)
    }

    /// Whether it is a number of a relation.
    pub(super) fn is_relation(&self, node: &Value) -> bool {
        self.column(node).is_some_and(bears_relations)
    }

    /// Whether it is a list of column numbers.
    pub(super) fn is_vector(&self, node: &Value) -> bool {
        self.column(node).is_some_and(|name| matches!(name, "prattrs" | "indkey" | "conkey" | "confkey" | "tgattr"))
    }

    /// Whether it is what a counting function counts to.
    pub(super) fn counts(&self, node: &Value) -> bool {
        let Some(("ColumnRef", inner)) = variant(node) else { return false };
        match names(inner.get("fields")).as_slice() {
            [name] => !self.others && self.counters.contains(name) && !self.given.contains(name),
            _ => false,
        }
    }
}

fn counting(function: &Value) -> bool {
    let calls = function.get("functions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [call] = calls else { return false };
    let Some(("List", list)) = variant(call) else { return false };
    let first = list.get("items").and_then(Value::as_array).and_then(|items| items.first()).and_then(variant);
    let Some(("FuncCall", call)) = first else { return false };
    names(call.get("funcname")) == ["pg_catalog", "generate_series"] && is_counting(call)
}

/// Whether a call of generate_series counts from a number to the end of an array.
pub(super) fn is_counting(call: &Value) -> bool {
    let args = call.get("args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let [from, to] = args else { return false };
    let number = match variant(from) {
        Some(("AConst", inner)) => inner.get("val").and_then(|val| val.get("Ival")).is_some(),
        _ => false,
    };
    let end = match variant(to) {
        Some(("FuncCall", inner)) => names(inner.get("funcname")) == ["pg_catalog", "array_upper"],
        _ => false,
    };
    number && end
}

fn alias(node: &Value) -> Option<&str> {
    node.get("alias")?.get("aliasname")?.as_str()
}

fn column_names(node: &Value) -> impl Iterator<Item = &str> {
    names(node.get("alias").and_then(|alias| alias.get("colnames")))
        .into_iter()
        .chain(names(node.get("aliascolnames")))
        .chain(node.get("ctename").and_then(Value::as_str))
}
