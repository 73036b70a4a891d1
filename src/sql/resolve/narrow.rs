//! Whether a statement over the catalogs is about a few objects or about many: which of our views answer it sooner.

use serde_json::Value;

use super::harmless::{constant, names, variant};

/// Whether a statement asks about a few objects: it compares a number or a name with a constant or parameter.
pub(super) fn is_narrow(tree: &Value) -> bool {
    match tree {
        Value::Array(items) => items.iter().any(is_narrow),
        Value::Object(fields) => {
            let single = variant(tree).is_some_and(|(kind, inner)| match kind {
                "AExpr" => singles_out(inner),
                "SubLink" => is_among_given(inner),
                _ => false,
            });
            single || fields.values().any(is_narrow)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn singles_out(node: &Value) -> bool {
    let (left, right) = (node.get("lexpr"), node.get("rexpr"));
    let symbol = names(node.get("name")).last().copied().unwrap_or_default().to_owned();
    let named = |side: Option<&Value>| side.and_then(variant).and_then(column).is_some_and(is_identifying);
    let one = [left, right].into_iter().any(named);
    let given = [left, right].into_iter().any(|side| side.is_some_and(is_given));
    match symbol.as_str() {
        "=" => one && given,
        "~" => one && constant(right).is_some_and(|p| p.starts_with("^(") && !p.contains(".*")),
        "~~" => one && constant(right).is_some_and(|p| !p.contains('%')),
        _ => false,
    }
}

/// Whether a sub-select that reads nothing says which objects: psql asks so for what refers to a table or its parents.
fn is_among_given(node: &Value) -> bool {
    let any = node.get("sub_link_type").and_then(Value::as_i64) == Some(pg_query::protobuf::SubLinkType::AnySublink as i64);
    let one = node.get("testexpr").and_then(variant).and_then(column).is_some_and(is_identifying);
    any && one && node.get("subselect").is_some_and(|select| !reads_something(select))
}

fn reads_something(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(reads_something),
        Value::Object(fields) => {
            variant(value).is_some_and(|(kind, _)| matches!(kind, "RangeVar" | "ColumnRef")) || fields.values().any(reads_something)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The last name of a column reference.
fn column<'v>((kind, inner): (&'v str, &'v Value)) -> Option<&'v str> {
    (kind == "ColumnRef").then(|| names(inner.get("fields")).last().copied()).flatten()
}

fn is_identifying(column: &str) -> bool {
    column == "oid"
        || matches!(
            column,
            "relname"
                | "proname"
                | "typname"
                | "table_name"
                | "tablename"
                | "viewname"
                | "objoid"
                | "ev_class"
                | "classid"
                | "objid"
                | "refobjid"
                | "inhparent"
        )
        || column.ends_with("relid")
        || column.ends_with("typid")
}

/// A constant or parameter, casts and single-row sub-selects of them looked through.
pub(super) fn is_given(value: &Value) -> bool {
    match variant(value) {
        Some(("AConst" | "ParamRef", _)) => true,
        Some(("TypeCast" | "CollateClause", inner)) => inner.get("arg").is_some_and(is_given),
        Some(("FuncCall", inner)) => inner.get("args").and_then(Value::as_array).is_some_and(|args| args.iter().all(is_given)),
        _ => false,
    }
}
