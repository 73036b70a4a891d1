//! Whether the names in the body of a LANGUAGE sql function mean the same to everybody who calls it.

use serde_json::Value;

use crate::sql::resolve::builtins::{Verdict, lookup};
use crate::sql::{Limits, parse};

/// Whether a body names relations, types and functions of the database by schema and name only: then its caller's search_path does not
/// decide what it reads. What is not understood does not.
pub fn is_settled(source: &str) -> bool {
    let Ok(statements) = parse(source, &Limits::default()) else { return false };
    statements.iter().all(|statement| serde_json::to_value(&statement.tree).is_ok_and(|tree| is_full(&tree)))
}

fn is_full(tree: &Value) -> bool {
    match tree {
        Value::Object(fields) => {
            let relation = fields.contains_key("relname") && fields.contains_key("relpersistence");
            let bare = relation && fields.get("schemaname").and_then(Value::as_str).is_none_or(str::is_empty);
            let called = fields.get("funcname").and_then(Value::as_array);
            let is_type = fields.contains_key("typemod") && fields.contains_key("pct_type");
            let named = fields.get("names").and_then(Value::as_array);
            // A bare type may be a temporary one.
            let bare_type = is_type && named.is_some_and(|name| name.len() < 2);
            !bare && !bare_type && called.is_none_or(|name| is_known(name)) && fields.values().all(is_full)
        }
        Value::Array(items) => items.iter().all(is_full),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// A name with its schema, or one of pg_catalog.
fn is_known(name: &[Value]) -> bool {
    match name {
        [only] => first_text(only).is_some_and(|name| lookup(name) != Verdict::Unknown),
        _ => true,
    }
}

fn first_text(node: &Value) -> Option<&str> {
    match node {
        Value::String(text) => Some(text),
        Value::Object(fields) => fields.values().find_map(first_text),
        Value::Array(items) => items.iter().find_map(first_text),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_names_and_built_in_functions_are_settled() {
        for settled in [
            "SELECT EXISTS (SELECT 1 FROM public.allowed a WHERE a.r = $1)",
            "SELECT lower($1) = 'x'",
            "SELECT $1::int = 1 AND $1::pg_catalog.text = 'x'",
            "SELECT public.helper($1); SELECT pg_catalog.count(*) FROM pg_catalog.pg_class",
        ] {
            assert!(is_settled(settled), "{settled}");
        }
        for open in [
            "SELECT EXISTS (SELECT 1 FROM allowed WHERE r = $1)",
            "SELECT $1 IN (SELECT r FROM public.a JOIN b ON true)",
            "SELECT helper($1)",
            "SELECT $1::text = 'x'",
            "SELECT public.helper((TABLE allowed))",
            "INSERT INTO seen VALUES ($1)",
            "WITH allowed AS (SELECT * FROM allowed) SELECT 1 FROM public.x",
            "no sql",
        ] {
            assert!(!is_settled(open), "{open}");
        }
    }
}
