//! Whether a statement over the catalogs could tell of rows before they are left out, and what it is about.
//!
//! The views that stand for catalog relations leave out what a principal does not see. The planner may evaluate the statement's own
//! conditions first, so an open view is read only where none of them can fail, run somebody's code, or say anything but true or false:
//! every node, function, operator and cast of the statement is one of a list. What follows the leaving out (the target list and the
//! order of the statement itself) may be anything. Whatever is not understood is not harmless.

use serde_json::Value;

use super::catalog_relations::Sight;
use super::narrow::{is_given, is_narrow};
use super::plain::{Plain, is_counting};
use crate::catalog::{CatalogSnapshot, SearchPath};

/// How the catalogs may be read for a statement.
pub(super) fn sight(tree: &Value, catalog: &CatalogSnapshot, path: &SearchPath) -> Sight {
    let judge = Judge { catalog, plain_path: is_plain(path), plain: Plain::of(tree) };
    if judge.plain_path && judge.is_harmless(tree) { sight_of_admin(tree) } else { Sight::Fenced }
}

/// Whether names mean what pg_catalog has before anything else.
pub(super) fn is_plain(path: &SearchPath) -> bool {
    path.schemas.iter().all(|s| s.as_str() != "pg_catalog")
}

/// How an administrator's statement reads them: nothing is kept from it but what is ours.
pub(super) fn sight_of_admin(tree: &Value) -> Sight {
    if is_narrow(tree) { Sight::Narrow } else { Sight::Wide }
}

struct Judge<'a> {
    catalog: &'a CatalogSnapshot,
    plain_path: bool,
    plain: Plain<'a>,
}

/// Nodes that evaluate nothing by themselves, or nothing that can fail.
const NODES: &[&str] = &[
    "AArrayExpr",
    "AConst",
    "AStar",
    "BitString",
    "BoolExpr",
    "Boolean",
    "BooleanTest",
    "CaseExpr",
    "CaseWhen",
    "CoalesceExpr",
    "CollateClause",
    "ColumnRef",
    "CommonTableExpr",
    "DeclareCursorStmt",
    "Float",
    "GroupingSet",
    "Integer",
    "JoinExpr",
    "List",
    "MinMaxExpr",
    "NullTest",
    "ParamRef",
    "RangeFunction",
    "RangeSubselect",
    "RangeVar",
    "ResTarget",
    "RowExpr",
    "SelectStmt",
    "SortBy",
    "SqlvalueFunction",
    "String",
    "SubLink",
    "TypeName",
    "WindowDef",
];

/// Functions that answer for every argument, and whose answer tells no more than a comparison.
const FUNCTIONS: &[&str] = &[
    "array_agg",
    "array_length",
    "array_lower",
    "array_position",
    "array_to_string",
    "array_upper",
    "bool_and",
    "bool_or",
    "cardinality",
    "coalesce",
    "col_description",
    "concat",
    "count",
    "current_database",
    "current_schema",
    "current_schemas",
    "every",
    "format_type",
    "generate_subscripts",
    "left",
    "length",
    "lower",
    "max",
    "min",
    "obj_description",
    "pg_backend_pid",
    "pg_collation_is_visible",
    "pg_encoding_to_char",
    "pg_function_is_visible",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_indexdef",
    "pg_get_userbyid",
    "pg_is_other_temp_schema",
    "pg_my_temp_schema",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_table_is_visible",
    "pg_type_is_visible",
    "quote_ident",
    "rank",
    "replace",
    "right",
    "row_number",
    "row_to_json",
    "shobj_description",
    "string_agg",
    "string_to_array",
    "btrim",
    "unnest",
    "upper",
    "version",
    "_pg_expandarray",
    "json_agg",
    "aclexplode",
    "pg_options_to_table",
];

/// Functions of one relation, whose number (or, as a constant, name) they take.
const OF_RELATIONS: &[&str] = &["pg_partition_ancestors", "pg_relation_is_publishable"];

/// Operators that compare or put together.
const OPERATORS: &[&str] = &["=", "<>", "!=", "<", "<=", ">", ">=", "||", "&", "|", "@>", "<@", "&&"];

/// Operators that match a pattern: their right side must be one that is well formed.
const PATTERNS: &[&str] = &["~", "!~", "~*", "!~*"];
const LIKES: &[&str] = &["~~", "!~~", "~~*", "!~~*"];

/// Types that everything can be made of.
const TOTAL: &[&str] = &["text", "name", "varchar"];

impl Judge<'_> {
    fn is_harmless(&self, tree: &Value) -> bool {
        match variant(tree) {
            Some(("SelectStmt", select)) => self.top(select),
            Some(("DeclareCursorStmt", inner)) => inner.get("query").is_some_and(|query| self.is_harmless(query)),
            _ => false,
        }
    }

    /// The statement itself, or an arm of its set operation: its target list and order come after everything else.
    fn top(&self, select: &Value) -> bool {
        let Some(fields) = select.as_object() else { return false };
        let settled = fields.get("into_clause").is_none_or(Value::is_null) && is_empty(fields.get("locking_clause"));
        settled
            && fields.iter().all(|(name, value)| match name.as_str() {
                "target_list" | "sort_clause" => self.after(value),
                "larg" | "rarg" => value.is_null() || self.top(value),
                _ => self.part(value),
            })
    }

    /// What is evaluated after rows were left out; of a query in it, by itself, the same comes after the same.
    fn after(&self, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().all(|item| self.after(item)),
            Value::Object(fields) => {
                if let Some(("SelectStmt", inner)) = variant(value) {
                    return self.top(inner);
                }
                fields.values().all(|field| self.after(field))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }

    fn part(&self, value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().all(|item| self.part(item)),
            Value::Object(fields) => match variant(value) {
                Some((kind, inner)) => self.node(kind, inner),
                None => fields.values().all(|field| self.part(field)),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }

    fn node(&self, kind: &str, inner: &Value) -> bool {
        let parts = || inner.as_object().is_some_and(|fields| fields.values().all(|field| self.part(field)));
        match kind {
            "FuncCall" => self.function(inner) && parts(),
            "AExpr" => self.operator(inner) && parts(),
            "TypeCast" => self.cast(inner) && parts(),
            "SelectStmt" => is_empty(inner.get("locking_clause")) && parts(),
            // An element of an array, by a number that nothing but counting makes.
            "AIndirection" => {
                let by = inner.get("indirection").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let counted = |index: &Value| {
                    let Some(("AIndices", index)) = variant(index) else { return false };
                    index.get("is_slice").and_then(Value::as_bool) != Some(true)
                        && index.get("uidx").is_some_and(|at| self.plain.counts(at))
                };
                !by.is_empty() && by.iter().all(counted) && inner.get("arg").is_some_and(|arg| self.part(arg))
            }
            "SubLink" => inner.get("oper_name").is_none_or(|name| is_empty(Some(name)) || self.is_comparison(name)) && parts(),
            _ => NODES.contains(&kind) && parts(),
        }
    }

    fn function(&self, call: &Value) -> bool {
        let name = names(call.get("funcname"));
        // What takes a relation by number would look up a text, and say so.
        if name.last().is_some_and(|name| OF_RELATIONS.contains(name)) {
            let args = call.get("args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            return args.iter().all(|arg| is_given(arg) || self.plain.is_relation(arg));
        }
        if name.last() == Some(&"generate_series") {
            return name.first() == Some(&"pg_catalog") && is_counting(call);
        }
        match name.as_slice() {
            [name] => FUNCTIONS.contains(name) && !self.is_shadowed(name),
            ["pg_catalog" | "information_schema", name] => FUNCTIONS.contains(name),
            _ => false,
        }
    }

    fn is_shadowed(&self, function: &str) -> bool {
        self.catalog.functions_named(function).any(|f| self.catalog.schema(f.schema).is_some_and(|s| !s.system && !s.ours))
    }

    fn operator(&self, node: &Value) -> bool {
        let name = names(node.get("name"));
        let symbol = match name.as_slice() {
            [symbol] if !self.is_overloaded(symbol) => *symbol,
            ["pg_catalog", symbol] => *symbol,
            ["BETWEEN" | "NOT BETWEEN" | "BETWEEN SYMMETRIC" | "NOT BETWEEN SYMMETRIC"] => return true,
            _ => return false,
        };
        if PATTERNS.contains(&symbol) {
            return constant(node.get("rexpr")).is_some_and(is_plain_pattern);
        }
        if LIKES.contains(&symbol) {
            return constant(node.get("rexpr")).is_some_and(|pattern| !pattern.ends_with('\\'));
        }
        OPERATORS.contains(&symbol)
    }

    /// Whether the database has an operator of this name that runs more than compiled code.
    fn is_overloaded(&self, symbol: &str) -> bool {
        self.catalog
            .operators_named(symbol)
            .iter()
            .any(|operator| self.catalog.function(operator.function).is_none_or(|f| !f.is_native()))
    }

    fn is_comparison(&self, name: &Value) -> bool {
        match names(Some(name)).as_slice() {
            [symbol] => !self.is_overloaded(symbol) && OPERATORS.contains(symbol),
            ["pg_catalog", symbol] => OPERATORS.contains(symbol),
            _ => false,
        }
    }

    /// Of a constant the cast is done before anything is read; of anything else only casts that cannot fail are harmless.
    fn cast(&self, node: &Value) -> bool {
        let name = names(node.get("type_name").and_then(|t| t.get("names")));
        let target = match name.as_slice() {
            [name] | ["pg_catalog", name] => *name,
            _ => return false,
        };
        if !self.catalog.cast_functions(target).is_empty() {
            return false;
        }
        let arg = node.get("arg").and_then(variant);
        let constant = matches!(arg, Some(("AConst" | "ParamRef", _)));
        let array = !is_empty(node.get("type_name").and_then(|t| t.get("array_bounds")));
        let as_relation = target == "regclass" && !array && node.get("arg").is_some_and(|arg| self.plain.is_relation(arg));
        let as_numbers = target == "int2" && array && node.get("arg").is_some_and(|arg| self.plain.is_vector(arg));
        constant || (TOTAL.contains(&target) && !array) || as_relation || as_numbers
    }
}

/// The kind of a node and what is in it.
pub(super) fn variant(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object()?;
    let node = fields.get("node").filter(|_| fields.len() == 1)?.as_object()?;
    let (kind, inner) = node.iter().next()?;
    Some((kind, inner))
}

pub(super) fn is_empty(value: Option<&Value>) -> bool {
    value.is_none_or(|v| v.is_null() || v.as_array().is_some_and(Vec::is_empty))
}

/// The strings of a list of names.
pub(super) fn names(list: Option<&Value>) -> Vec<&str> {
    let items = list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(|item| variant(item).and_then(|(_, inner)| inner.get("sval")).and_then(Value::as_str)).collect()
}

/// The text of a string constant, collations and casts to text looked through.
pub(super) fn constant(value: Option<&Value>) -> Option<&str> {
    match variant(value?)? {
        ("AConst", inner) => inner.get("val")?.get("Sval")?.get("sval")?.as_str(),
        ("CollateClause", inner) => constant(inner.get("arg")),
        ("TypeCast", inner) => constant(inner.get("arg")),
        _ => None,
    }
}

/// A regular expression that is certainly well formed, as psql and drivers make them of names.
fn is_plain_pattern(pattern: &str) -> bool {
    let (mut depth, mut before) = (0usize, '(');
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => depth += 1,
            ')' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            '*' if before != '.' => return false,
            '\\' => match letters.next() {
                Some(next) if next.is_ascii_punctuation() => {}
                _ => return false,
            },
            '^' | '$' | '.' | '|' | '*' => {}
            plain if plain.is_alphanumeric() || matches!(plain, '_' | ' ' | '-' | ',' | '/' | ':' | '@' | '%') => {}
            _ => return false,
        }
        before = letter;
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture;
    use crate::sql::parse::only;

    fn judged(sql: &str) -> Sight {
        let footing = fixture::footing_with(|parts| parts.operators.clear());
        sight(&serde_json::to_value(only(sql).unwrap().unwrap()).unwrap(), &footing.catalog, &SearchPath::default())
    }

    #[test]
    fn what_could_tell_of_a_row_before_it_is_left_out_is_fenced() {
        for sql in [
            "SELECT 1 FROM pg_class WHERE 1 / (relname = 'x')::int > 0",
            "SELECT 1 FROM pg_class WHERE relname::int = 1",
            "SELECT 1 FROM pg_class WHERE relname::regclass IS NULL",
            "SELECT 1 FROM pg_class WHERE leak(relname)",
            "SELECT 1 FROM pg_class WHERE relname ~ $1",
            "SELECT 1 FROM pg_class WHERE relname ~ '('",
            "SELECT 1 FROM pg_class WHERE relname LIKE 'sal\\'",
            "SELECT 1 FROM pg_class WHERE CASE WHEN relname = 'x' THEN relname ~ '[' ELSE true END",
            "SELECT x FROM (SELECT relname::int AS x FROM pg_class) s WHERE x = 1",
            "SELECT 1 WHERE (SELECT relname::int FROM pg_class LIMIT 1) = 1",
            "SELECT (SELECT 1 FROM pg_catalog.pg_class WHERE relname::int = 1)",
            "SELECT 1 FROM pg_catalog.pg_class c, pg_catalog.pg_partition_ancestors(c.relname::text)",
            "SELECT 1 FROM (SELECT relname::text AS tgrelid FROM pg_catalog.pg_class) t WHERE t.tgrelid::regclass IS NULL",
            "SELECT 1 FROM (SELECT indkey::text FROM pg_catalog.pg_index) t WHERE indkey::int2[] IS NULL",
            "SELECT 1 FROM mine.t WHERE tgrelid::regclass IS NULL",
            "WITH pg_trigger(tgrelid) AS (SELECT relname::text FROM pg_catalog.pg_class) SELECT 1 FROM pg_trigger WHERE tgrelid::regclass IS NULL",
            "SELECT 1 FROM pg_catalog.pg_class, pg_catalog.generate_series(1, 2, relpages)",
            "SELECT 1 FROM pg_catalog.pg_index WHERE indkey[CASE WHEN indrelid = 1 THEN 1e30 ELSE 1 END] = 1",
            "SELECT 1 FROM pg_catalog.pg_index, (SELECT 1e30 AS s) t WHERE indkey[s] = 1",
            "SELECT count(*) FROM pg_class GROUP BY relname HAVING relname::int = 1",
            "SELECT 1 FROM pg_class WHERE relpages + 1 = 2",
            "SELECT 1 FROM pg_class WHERE lower(relname)::date = '2000-01-01'",
            "WITH c AS (SELECT relname::int AS x FROM pg_class) SELECT x FROM c",
            "SELECT 1 FROM pg_class JOIN pg_namespace n ON (relname::int = 1)",
            "SELECT 1 FROM pg_class WHERE relname = 'x' FOR UPDATE",
            "SELECT * INTO t FROM pg_class",
        ] {
            assert_eq!(judged(sql), Sight::Fenced, "{sql}");
        }
    }

    #[test]
    fn what_clients_ask_is_open() {
        for (sql, expected) in [
            ("SELECT c.oid::regclass, 1 / c.relpages FROM pg_catalog.pg_class c WHERE c.oid = '16389' ORDER BY 1", Sight::Narrow),
            (
                "SELECT c.relname FROM pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(orders)$' COLLATE pg_catalog.default",
                Sight::Narrow,
            ),
            (
                "SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid)",
                Sight::Wide,
            ),
            ("SELECT a.attname FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0", Sight::Narrow),
            (
                "SELECT (SELECT u.tgrelid::regclass::text FROM pg_catalog.pg_trigger u, pg_catalog.pg_partition_ancestors(t.tgrelid) WITH ORDINALITY AS a(relid, depth) \
                 WHERE u.tgrelid = a.relid ORDER BY a.depth LIMIT 1), (SELECT relname::int FROM pg_catalog.pg_class LIMIT 1) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = '16389'",
                Sight::Narrow,
            ),
            (
                "SELECT conname FROM pg_catalog.pg_constraint c WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('16389') UNION ALL VALUES ('16389'::pg_catalog.regclass))",
                Sight::Narrow,
            ),
            (
                "SELECT (SELECT string_agg(attname, ', ') FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s, pg_catalog.pg_attribute \
                 WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) FROM pg_catalog.pg_publication_rel pr WHERE pr.prrelid = '16389'",
                Sight::Narrow,
            ),
            ("SELECT * FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog') ORDER BY table_name", Sight::Wide),
        ] {
            assert_eq!(judged(sql), expected, "{sql}");
        }
    }
}
