//! What the client calls the things that upstream calls otherwise: governed views, their columns and schemas.

use std::sync::Arc;

use crate::catalog::{Footing, Governed, GovernedTable, governed_schema};

/// The names on one footing.
#[derive(Default)]
pub(super) struct ClientNames {
    of: Option<Arc<Footing>>,
    /// (upstream's, the client's), the longest first.
    pairs: Vec<(String, String)>,
}

impl ClientNames {
    /// Follows the footing.
    pub(super) fn follow(&mut self, footing: &Arc<Footing>) {
        if self.of.as_ref().is_some_and(|known| Arc::ptr_eq(known, footing)) {
            return;
        }
        self.pairs = pairs(footing);
        self.of = Some(footing.clone());
    }

    /// A text in the client's names; `None` when nothing changes.
    pub(super) fn translate(&self, text: &str) -> Option<String> {
        if !text.contains("pgusher") && !text.contains('$') {
            return None;
        }
        let mut out = unqualified(text);
        for (from, to) in &self.pairs {
            if out.contains(from.as_str()) {
                out = replace_word(&out, from, to);
            }
        }
        (out != text).then_some(out)
    }

    /// Whether a table that stands in a message is governed.
    pub(super) fn is_governed(&self, schema: &str, table: &str) -> bool {
        let Some(footing) = &self.of else { return false };
        let relation = footing
            .catalog
            .schema_named(schema)
            .and_then(|schema| footing.catalog.relation_in(schema.oid, &crate::name::Name::exact(table)));
        relation.is_some_and(|relation| footing.governed(relation.oid).is_some())
    }

    /// Whether any governed table that a view stands for has this name.
    pub(super) fn is_viewed(&self, name: &str) -> bool {
        let Some(footing) = &self.of else { return false };
        footing.governed.iter().any(|(oid, governed)| {
            matches!(governed, Governed::Table(table) if table.by_view() || table.twin())
                && footing.catalog.relation(*oid).is_some_and(|relation| relation.name.as_str() == name)
        })
    }
}

fn pairs(footing: &Footing) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (oid, governed) in footing.governed.iter() {
        let Governed::Table(table) = governed else { continue };
        let Some(relation) = footing.catalog.relation(*oid) else { continue };
        let views = [&table.read, &table.write, &table.insert].into_iter().filter(|view| view.name != relation.name);
        pairs.extend(views.map(|view| (view.name.to_string(), relation.name.to_string())));
        pairs.extend(table.masked.iter().map(|column| (GovernedTable::raw_column(column.as_str()), column.to_string())));
    }
    let schemas = footing.catalog.schemas().filter(|schema| !schema.system && !schema.ours);
    pairs.extend(schemas.map(|schema| (governed_schema(schema.name.as_str()).to_string(), schema.name.to_string())));
    pairs.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    pairs.dedup();
    pairs
}

/// Without the schemas of ours before names: `pgusher_s.t`, `"pgusher_s".t` and `pgusher.is_member` are t and is_member.
fn unqualified(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("pgusher") {
        let (before, from) = rest.split_at(at);
        let inside = before.chars().next_back().or_else(|| out.chars().next_back()).is_some_and(is_word);
        out.push_str(before);
        let word = from.find(|c: char| !is_word(c)).unwrap_or(from.len());
        let (schema, after) = from.split_at(word);
        let quoted = out.ends_with('"') && after.starts_with("\".");
        if inside || !(schema == "pgusher" || schema.starts_with("pgusher_")) || !(quoted || after.starts_with('.')) {
            out.push_str(schema);
            rest = after;
            continue;
        }
        if quoted {
            out.pop();
        }
        rest = &after[if quoted { 2 } else { 1 }..];
    }
    out.push_str(rest);
    out
}

/// One whole word in the place of another.
pub(super) fn replace_word(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, found) = rest.split_at(at);
        let after = &found[from.len()..];
        let whole = !before.chars().next_back().or_else(|| out.chars().next_back()).is_some_and(is_word)
            && !after.chars().next().is_some_and(is_word);
        out.push_str(before);
        out.push_str(if whole { to } else { from });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture;

    fn names() -> ClientNames {
        let mut names = ClientNames::default();
        names.follow(&Arc::new(fixture::footing()));
        names
    }

    #[test]
    fn what_is_ours_is_called_as_the_client_calls_it() {
        let names = names();
        for (text, told) in [
            ("relation \"pgusher_public.employees$w\"", Some("relation \"employees\"")),
            ("column \"ssn$raw\" of relation \"employees$w\"", Some("column \"ssn\" of relation \"employees\"")),
            ("\"pgusher_public\".\"employees\" and pgusher_public.employees", Some("\"employees\" and employees")),
            ("permission denied for schema pgusher_public", Some("permission denied for schema public")),
            ("function pgusher.is_member(integer) does not exist", Some("function is_member(integer) does not exist")),
            ("employees$w", Some("employees")),
            ("permission denied for view notes$i", Some("permission denied for view notes")),
            ("relation \"cost$w\" does not exist", None),
            ("my_employees$w is another", None),
            ("plain", None),
        ] {
            assert_eq!(names.translate(text).as_deref(), told, "{text}");
        }
    }

    #[test]
    fn a_governed_table_is_known_by_its_name() {
        let names = names();
        assert!(names.is_governed("public", "employees") && names.is_governed("public", "orders"));
        assert!(!names.is_governed("public", "customers") && !names.is_governed("nosuch", "employees"));
        assert!(names.is_viewed("employees") && names.is_viewed("notes") && !names.is_viewed("orders"));
    }
}
