//! Where the names of objects may come out of numbers: values of types like regclass, whose type must not be lent to others.

use serde_json::{Map, Value};

use super::ResolveError;
use super::harmless::{is_empty, names, variant};
use crate::catalog::CatalogSnapshot;

/// Where in a statement names of objects may come out as values of types like regclass: compared, made text, given to a function
/// that takes them, or shown as they are. Elsewhere such a value would lend its type to others (`COALESCE`, `UNION`, arrays), whose
/// text would then be the name of anything whose number is guessed. By the places of casts and calls.
pub(super) fn safe_names(tree: &Value) -> Vec<i64> {
    let mut found = Vec::new();
    places(tree, &mut found);
    found
}

fn places(tree: &Value, found: &mut Vec<i64>) {
    let query = match variant(tree) {
        Some(("CopyStmt" | "DeclareCursorStmt" | "ExplainStmt", inner)) => inner.get("query"),
        _ => Some(tree),
    };
    if let Some(("SelectStmt", select)) = query.and_then(variant) {
        shown(select, found);
    }
    gather(tree, found);
}

/// Entries of the statement's own target list, when nothing is united with them and no table keeps them.
fn shown(select: &Value, found: &mut Vec<i64>) {
    let alone = ["larg", "into_clause"].iter().all(|part| select.get(*part).is_none_or(Value::is_null));
    for target in select.get("target_list").and_then(Value::as_array).into_iter().flatten().filter(|_| alone) {
        note(variant(target).and_then(|(_, inner)| inner.get("val")), found);
    }
}

fn note(value: Option<&Value>, found: &mut Vec<i64>) {
    if let Some(("TypeCast" | "FuncCall" | "ColumnRef", inner)) = value.and_then(variant)
        && let Some(at) = inner.get("location").and_then(Value::as_i64)
    {
        found.push(at);
    }
}

fn gather(value: &Value, found: &mut Vec<i64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Value::Object(fields) => {
            if let Some((kind, inner)) = variant(value).and_then(|(kind, inner)| Some((kind, inner.as_object()?))) {
                takes(kind, inner, found);
            }
            fields.values().for_each(|field| gather(field, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn takes(kind: &str, inner: &Map<String, Value>, found: &mut Vec<i64>) {
    let mut each = |fields: &[&str]| {
        for field in fields {
            match inner.get(*field) {
                Some(Value::Array(items)) => items.iter().for_each(|item| note(Some(item), found)),
                other => note(other, found),
            }
        }
    };
    match kind {
        "AExpr" => {
            let symbol = names(inner.get("name"));
            // NULLIF gives back what it compares.
            let nullif = inner.get("kind").and_then(Value::as_i64) == Some(pg_query::protobuf::AExprKind::AexprNullif as i64);
            let items =
                inner.get("rexpr").and_then(variant).filter(|(kind, _)| *kind == "List").and_then(|(_, list)| list.get("items"));
            let items = items.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let taught = ["lexpr", "rexpr"].iter().filter_map(|side| inner.get(*side)).chain(items).any(learns);
            if !nullif && !taught && matches!(symbol.last(), Some(&("=" | "<>" | "!=" | "<" | ">" | "<=" | ">="))) {
                each(&["lexpr", "rexpr"]);
                items.iter().for_each(|item| note(Some(item), found));
            }
        }
        "TypeCast" => {
            let target = names(inner.get("type_name").and_then(|t| t.get("names")));
            let array = !is_empty(inner.get("type_name").and_then(|t| t.get("array_bounds")));
            if !array
                && matches!(
                    target.last(),
                    Some(&("text" | "varchar" | "name" | "oid" | "int8" | "int4" | "regproc" | "regprocedure" | "regtype"))
                )
            {
                each(&["arg"]);
            }
        }
        "NullTest" => each(&["arg"]),
        "SortBy" => each(&["node"]),
        "SelectStmt" => each(&["group_clause", "distinct_clause"]),
        "SubLink" => {
            let exists =
                inner.get("sub_link_type").and_then(Value::as_i64) == Some(pg_query::protobuf::SubLinkType::ExistsSublink as i64);
            if let Some(("SelectStmt", select)) = inner.get("subselect").and_then(variant).filter(|_| exists) {
                shown(select, found);
            }
        }
        "FuncCall" => {
            let name = names(inner.get("funcname"));
            let free = matches!(name.as_slice(), [_] | ["pg_catalog", _]);
            if free && name.last().is_some_and(|name| TAKING.contains(name)) {
                each(&["args"]);
            }
        }
        _ => {}
    }
}

/// Whether an operand takes its type from the other one: a parameter, which may be shown elsewhere, or a name, which is looked up.
fn learns(operand: &Value) -> bool {
    match variant(operand) {
        Some(("ParamRef", _)) => true,
        Some(("AConst", inner)) => {
            let text = inner.get("val").and_then(|v| v.get("Sval")).and_then(|v| v.get("sval")).and_then(Value::as_str);
            text.is_some_and(|text| {
                let number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                !number && !is_known_word(text)
            })
        }
        _ => false,
    }
}

/// Whether a text is what drivers compare functions with.
pub(in crate::sql) fn is_known_word(text: &str) -> bool {
    let known = ["-", "array_in", "array_recv", "record_in", "enum_in", "domain_in", "range_in", "multirange_in"];
    known.contains(&text.strip_prefix("pg_catalog.").unwrap_or(text))
}

/// Parameters that stand somewhere without a cast of their own: their type, made by one cast, is lent there.
pub(super) fn loose_parameters(tree: &Value) -> Vec<i64> {
    let mut found = Vec::new();
    loose(tree, &mut found);
    found
}

fn loose(value: &Value, found: &mut Vec<i64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| loose(item, found)),
        Value::Object(fields) => match variant(value) {
            Some(("ParamRef", inner)) => found.extend(inner.get("number").and_then(Value::as_i64)),
            Some(("TypeCast", inner)) if matches!(inner.get("arg").and_then(variant), Some(("ParamRef", _))) => {}
            Some(_) | None => fields.values().for_each(|field| loose(field, found)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The catalog relations with columns of types like regproc, and those columns.
const BEARING: &[(&str, &[&str])] = &[
    (
        "pg_aggregate",
        &[
            "aggfnoid",
            "aggtransfn",
            "aggfinalfn",
            "aggcombinefn",
            "aggserialfn",
            "aggdeserialfn",
            "aggmtransfn",
            "aggminvtransfn",
            "aggmfinalfn",
        ],
    ),
    ("pg_am", &["amhandler"]),
    ("pg_amproc", &["amproc"]),
    ("pg_conversion", &["conproc"]),
    ("pg_operator", &["oprcode", "oprrest", "oprjoin"]),
    ("pg_prepared_statements", &["parameter_types", "result_types"]),
    ("pg_proc", &["prosupport"]),
    ("pg_range", &["rngcanonical", "rngsubdiff"]),
    ("pg_sequences", &["data_type"]),
    ("pg_transform", &["trffromsql", "trftosql"]),
    ("pg_ts_parser", &["prsstart", "prstoken", "prsend", "prsheadline", "prslextype"]),
    ("pg_ts_template", &["tmplinit", "tmpllexize"]),
    ("pg_type", &["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout", "typanalyze", "typsubscript"]),
];

/// Whether a catalog relation has such columns.
pub(super) fn is_bearing(relation: &str) -> bool {
    BEARING.iter().any(|(name, _)| *name == relation)
}

/// What a statement does with such columns where they are not safe, and where: it puts them, a row with them, or all columns at once in
/// a place where their type would be lent.
pub(super) fn lent(tree: &Value) -> Option<(String, Option<i64>)> {
    let mut lending = Lending::default();
    lending.meet(tree);
    if lending.rows.is_empty() {
        return None;
    }
    places(tree, &mut lending.safe);
    lending.look(tree);
    lending.found
}

#[derive(Default)]
struct Lending {
    /// Names that stand for a row of such a relation.
    rows: Vec<String>,
    columns: Vec<&'static str>,
    safe: Vec<i64>,
    found: Option<(String, Option<i64>)>,
}

impl Lending {
    fn meet(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.meet(item)),
            Value::Object(fields) => {
                if let Some((name, columns)) = bearing(value) {
                    self.columns.extend(columns);
                    self.rows.push(name.to_owned());
                    self.rows.extend(alias(value).map(str::to_owned));
                }
                fields.values().for_each(|field| self.meet(field));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn look(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(fields) => {
                if let Some((kind, inner)) = variant(value) {
                    self.node(kind, inner);
                }
                // All columns of what such a query reads.
                if let (Some(targets), Some(from)) = (fields.get("target_list"), fields.get("from_clause")) {
                    self.stars(targets, reads(from));
                }
                let renamed = fields.get("alias").and_then(|a| a.get("colnames"));
                if bearing(value).is_some() && !is_empty(renamed) {
                    self.lend("renamed columns of a catalog", value);
                }
                fields.values().for_each(|field| self.look(field));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn stars(&mut self, targets: &Value, read: bool) {
        for target in targets.as_array().into_iter().flatten() {
            let Some(("ColumnRef", column)) = variant(target).and_then(|(_, inner)| inner.get("val")).and_then(variant) else {
                continue;
            };
            if read && is_star(column) && names(column.get("fields")).is_empty() {
                self.unless_safe("* of a catalog", column);
            }
        }
    }

    fn node(&mut self, kind: &str, inner: &Value) {
        match kind {
            "ColumnRef" => {
                let named = names(inner.get("fields"));
                let Some(last) = named.last() else { return };
                let row = self.rows.iter().any(|row| row == last);
                if row || (!is_star(inner) && self.columns.contains(last)) {
                    self.unless_safe(last, inner);
                }
            }
            "JoinExpr" if ["larg", "rarg"].iter().filter_map(|side| inner.get(*side)).any(reads) => {
                let natural = inner.get("is_natural").and_then(Value::as_bool) == Some(true);
                let merged = names(inner.get("using_clause")).iter().any(|name| self.columns.contains(name));
                if natural || merged || inner.get("alias").is_some_and(|a| !a.is_null()) {
                    self.lend("a join of a catalog", inner);
                }
            }
            "TableLikeClause" if inner.get("relation").is_some_and(|relation| bearing(relation).is_some()) => {
                self.lend("LIKE of a catalog", inner);
            }
            _ => {}
        }
    }

    fn unless_safe(&mut self, what: &str, node: &Value) {
        if !node.get("location").and_then(Value::as_i64).is_some_and(|at| self.safe.contains(&at)) {
            self.lend(what, node);
        }
    }

    fn lend(&mut self, what: &str, node: &Value) {
        let at = node.get("location").and_then(Value::as_i64);
        self.found.get_or_insert_with(|| (what.to_owned(), at));
    }
}

/// The name of such a relation where one is named, and its columns.
fn bearing(value: &Value) -> Option<(&'static str, &'static [&'static str])> {
    let name = value.get("relname")?.as_str()?;
    BEARING.iter().find(|(bearing, _)| *bearing == name).copied()
}

fn alias(relation: &Value) -> Option<&str> {
    relation.get("alias")?.get("aliasname")?.as_str()
}

fn is_star(column: &Value) -> bool {
    let last = column.get("fields").and_then(Value::as_array).and_then(|fields| fields.last());
    matches!(last.and_then(variant), Some(("AStar", _)))
}

/// Whether such a relation is among those of a FROM, those of sub-selects left out.
fn reads(from: &Value) -> bool {
    match from {
        Value::Array(items) => items.iter().any(reads),
        Value::Object(_) => match variant(from) {
            Some(("RangeVar", inner)) => bearing(inner).is_some(),
            Some(("JoinExpr", inner)) => ["larg", "rarg"].iter().filter_map(|side| inner.get(*side)).any(reads),
            Some(("RangeTableSample", inner)) => inner.get("relation").is_some_and(reads),
            Some(_) | None => false,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Types of pg_catalog, by number, whose values bear names: those like regclass, their arrays, rows of catalogs.
const NUMBERS: &[u32] = &[
    24, 71, 75, 81, 83, 210, 270, 272, 273, 1008, 2202, 2203, 2204, 2205, 2206, 2207, 2208, 2209, 2210, 2211, 3734, 3735, 3769,
    3770, 4089, 4090, 4096, 4097, 4191, 4192,
];

/// Refuses a Parse that gives a parameter a type whose values bear names: it would tell the name of any number. A type that is not
/// known may be made of such (arrays and rows of ours).
pub fn check_declared(types: &[u8], catalog: &CatalogSnapshot) -> Result<(), ResolveError> {
    let bears = |number: u32| match number {
        0 => false,
        1..10_000 => NUMBERS.contains(&number),
        10_000..16_384 => true,
        _ => catalog.user_type(number).is_none_or(|known| {
            catalog.schema(known.schema).is_none_or(|schema| schema.ours) || known.made_of.iter().any(|of| NUMBERS.contains(of))
        }),
    };
    let declared = types.get(2..).unwrap_or_default().chunks_exact(4);
    match declared.filter_map(|four| four.try_into().ok().map(u32::from_be_bytes)).find(|number| bears(*number)) {
        None => Ok(()),
        Some(number) => Err(ResolveError::unsupported(format!("a parameter of type {number}"), None)
            .because("Its values would bear the names of objects.")
            .instead("Declare it as text and cast it where it is used: $1::regclass.")),
    }
}

/// Functions that take such values and answer with other types.
const TAKING: &[&str] = &[
    "col_description",
    "concat",
    "concat_ws",
    "count",
    "currval",
    "format",
    "format_type",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_table_privilege",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "nextval",
    "obj_description",
    "pg_column_is_updatable",
    "pg_describe_object",
    "pg_function_is_visible",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "pg_identify_object",
    "pg_indexes_size",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_relation_is_updatable",
    "pg_relation_size",
    "pg_sequence_parameters",
    "pg_table_is_visible",
    "pg_table_size",
    "pg_total_relation_size",
    "pg_type_is_visible",
    "row_security_active",
    "row_to_json",
    "setval",
    "to_json",
    "to_jsonb",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::only;

    #[test]
    fn values_that_bear_names_may_be_shown_compared_or_made_text() {
        let safe = |sql: &str| safe_names(&serde_json::to_value(only(sql).unwrap().unwrap()).unwrap()).len();
        for sql in [
            "SELECT 1::regclass",
            "SELECT 1 WHERE 1::regclass = 2",
            "SELECT 1 WHERE 1::regclass IN (1)",
            "SELECT format('%s', 1::regclass) WHERE false",
        ] {
            assert!(safe(sql) > 0, "{sql}");
        }
        for sql in [
            "SELECT 1 FROM t WHERE f(1::regclass)",
            "SELECT ARRAY[1::regclass]",
            "SELECT 1 FROM (SELECT 1::regclass) s",
            "SELECT 1::regclass UNION SELECT 2",
            "VALUES (1::regclass)",
        ] {
            let allowed = safe_names(&serde_json::to_value(only(sql).unwrap().unwrap()).unwrap());
            let at = i64::try_from(sql.find("::").unwrap()).unwrap();
            assert!(!allowed.contains(&at), "{sql}");
        }
    }

    #[test]
    fn columns_that_bear_names_are_shown_or_compared_and_nothing_else() {
        let lends = |sql: &str| lent(&serde_json::to_value(only(sql).unwrap().unwrap()).unwrap()).is_some();
        for sql in [
            "SELECT t.typinput, * FROM pg_type t",
            "SELECT typinput = 'array_in'::regproc AS is_array, typname FROM pg_catalog.pg_type",
            "SELECT CASE WHEN t.typinput = 'array_in' THEN 1 END FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace",
            "SELECT 1 FROM pg_type t JOIN pg_proc p ON p.oid = t.typreceive WHERE EXISTS (SELECT * FROM pg_type)",
            "SELECT typname FROM pg_type WHERE typanalyze::oid <> 0 ORDER BY typinput",
            "SELECT x.* FROM (SELECT t.typname FROM pg_type t) x",
            "SELECT coalesce('1', relname) FROM pg_class",
            "SELECT count(*) FROM pg_proc",
        ] {
            assert!(!lends(sql), "{sql}");
        }
        for sql in [
            "SELECT coalesce('1', t.typinput) FROM pg_type t",
            "SELECT typinput FROM pg_type UNION SELECT '1'",
            "SELECT * FROM pg_type UNION ALL SELECT * FROM pg_type",
            "SELECT x.* FROM (SELECT * FROM pg_type) x",
            "SELECT typinput = $1, $1 FROM pg_type",
            "SELECT typinput = 'hidden' FROM pg_type",
            "SELECT jsonb_populate_record(t, '{}') FROM pg_type t",
            "SELECT (t).typinput FROM pg_type t",
            "SELECT lag(typinput, 1, '1') OVER () FROM pg_type",
            "SELECT a FROM pg_type t(a)",
            "SELECT * FROM pg_type NATURAL JOIN x",
            "SELECT * FROM pg_type RIGHT JOIN x USING (typinput)",
            "SELECT * FROM pg_type t, LATERAL (SELECT t.*) y",
            "SELECT typinput INTO TEMP t FROM pg_type",
            "CREATE TEMP TABLE x (LIKE pg_type)",
        ] {
            assert!(lends(sql), "{sql}");
        }
    }
}
