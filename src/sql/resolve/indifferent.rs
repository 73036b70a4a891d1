//! Literals of a statement that its analysis does not look at.
//!
//! They are found by where they stand, and the places are a list: operands, assigned values, values of rows, arguments of a few functions.
//! Elsewhere a constant may be a name (`nextval('s')`, `'t'::regclass`), a setting, a position (ORDER BY 1), a modifier of a type, a pattern
//! that the catalogs are searched by; whatever is not listed counts as looked at. What analysis does ask of a constant in a listed place
//! is whether it is one, whether it is a number ([`Class`](crate::sql::parse::shape::Class)), and for numbers of relations whether those are
//! seen ([`Seen`](super::asked::Seen)).

use pg_query::protobuf::AExprKind;
use serde_json::Value;

use super::harmless::{is_empty, names, variant};
use super::naming;

/// Where such literals stand, and whether they must be numbers there.
#[derive(Debug, Default)]
pub(in crate::sql) struct Indifferent {
    /// The statement may be about the catalogs.
    catalogs: bool,
    any: Vec<i64>,
    numbers: Vec<i64>,
}

impl Indifferent {
    /// Looks a statement through. `catalogs`: its text names catalogs.
    pub(in crate::sql) fn of(tree: &Value, catalogs: bool) -> Self {
        let mut found = Self { catalogs, ..Self::default() };
        found.statement(tree);
        found
    }

    /// Whether a text that stands at a place is one of them.
    pub(in crate::sql) fn takes(&self, at: usize, is_number: bool) -> bool {
        let at = i64::try_from(at).unwrap_or(-1);
        self.any.contains(&at) || (is_number && self.numbers.contains(&at))
    }

    fn statement(&mut self, tree: &Value) {
        let Some((kind, inner)) = variant(tree) else { return };
        match kind {
            "SelectStmt" => return self.select(inner),
            "InsertStmt" => {
                self.field(inner, "select_stmt", Self::statement);
                if let Some(conflict) = inner.get("on_conflict_clause") {
                    self.field(conflict, "target_list", Self::target);
                    self.field(conflict, "where_clause", Self::expression);
                }
            }
            "UpdateStmt" => {
                self.field(inner, "target_list", Self::target);
                self.field(inner, "from_clause", Self::from);
                self.field(inner, "where_clause", Self::expression);
            }
            "DeleteStmt" => {
                self.field(inner, "using_clause", Self::from);
                self.field(inner, "where_clause", Self::expression);
            }
            _ => return,
        }
        self.field(inner, "returning_list", Self::target);
        self.with(inner);
    }

    fn select(&mut self, select: &Value) {
        self.field(select, "target_list", Self::target);
        self.field(select, "from_clause", Self::from);
        self.field(select, "where_clause", Self::expression);
        self.field(select, "having_clause", Self::expression);
        self.field(select, "values_lists", Self::expression);
        self.field(select, "larg", Self::select);
        self.field(select, "rarg", Self::select);
        self.with(select);
    }

    fn with(&mut self, inner: &Value) {
        for table in inner.get("with_clause").and_then(|with| with.get("ctes")).and_then(Value::as_array).into_iter().flatten() {
            if let Some((_, table)) = variant(table) {
                self.field(table, "ctequery", Self::statement);
            }
        }
    }

    fn field(&mut self, inner: &Value, name: &str, walk: fn(&mut Self, &Value)) {
        match inner.get(name) {
            Some(Value::Array(items)) => items.iter().for_each(|item| walk(self, item)),
            Some(value) if !value.is_null() => walk(self, value),
            Some(_) | None => {}
        }
    }

    fn target(&mut self, target: &Value) {
        if let Some(("ResTarget", inner)) = variant(target) {
            self.field(inner, "val", Self::expression);
        }
    }

    fn from(&mut self, item: &Value) {
        match variant(item) {
            Some(("RangeSubselect", inner)) => self.field(inner, "subquery", Self::statement),
            Some(("JoinExpr", inner)) => {
                self.field(inner, "larg", Self::from);
                self.field(inner, "rarg", Self::from);
                self.field(inner, "quals", Self::expression);
            }
            Some(("RangeFunction", inner)) => {
                for call in inner.get("functions").and_then(Value::as_array).into_iter().flatten() {
                    if let Some(("List", list)) = variant(call)
                        && let Some(call) = list.get("items").and_then(Value::as_array).and_then(|items| items.first())
                    {
                        self.expression(call);
                    }
                }
            }
            Some(_) | None => {}
        }
    }

    fn expression(&mut self, node: &Value) {
        let Some((kind, inner)) = variant(node) else { return };
        match kind {
            "AConst" => self.any.extend(place(inner)),
            "AExpr" => self.operation(inner),
            "BoolExpr" | "CoalesceExpr" | "MinMaxExpr" | "RowExpr" => self.field(inner, "args", Self::expression),
            "NullTest" | "BooleanTest" | "CollateClause" | "AIndirection" => self.field(inner, "arg", Self::expression),
            "AArrayExpr" => self.field(inner, "elements", Self::expression),
            "List" => self.field(inner, "items", Self::expression),
            "CaseExpr" => {
                self.field(inner, "arg", Self::expression);
                self.field(inner, "args", Self::expression);
                self.field(inner, "defresult", Self::expression);
            }
            "CaseWhen" => {
                self.field(inner, "expr", Self::expression);
                self.field(inner, "result", Self::expression);
            }
            "SubLink" => {
                self.field(inner, "testexpr", Self::expression);
                self.field(inner, "subselect", Self::statement);
            }
            "TypeCast" => self.cast(inner),
            "FuncCall" => self.call(inner),
            _ => {}
        }
    }

    fn operation(&mut self, inner: &Value) {
        self.field(inner, "lexpr", Self::expression);
        // The catalogs are searched by what a pattern says.
        let pattern = !names(inner.get("name")).last().is_some_and(|name| COMPARED.contains(name));
        let between = inner.get("kind").and_then(Value::as_i64).is_some_and(|kind| kind >= AExprKind::AexprBetween as i64);
        if !self.catalogs || !pattern || between {
            self.field(inner, "rexpr", Self::expression);
        }
    }

    fn cast(&mut self, inner: &Value) {
        let Some(target) = inner.get("type_name").filter(|target| is_empty(target.get("array_bounds"))) else { return };
        let named = names(target.get("names"));
        let ([name] | ["pg_catalog", name]) = named.as_slice() else { return };
        if PLAIN_TYPES.contains(name) {
            self.field(inner, "arg", Self::expression);
        } else if OBJECT_TYPES.contains(name) {
            // A name is looked up; a number is one.
            self.number(inner.get("arg"));
        }
    }

    fn call(&mut self, inner: &Value) {
        let named = names(inner.get("funcname"));
        let ([name] | ["pg_catalog", name]) = named.as_slice() else { return };
        if PLAIN_FUNCTIONS.contains(name) {
            self.field(inner, "args", Self::expression);
        } else if *name == "pg_partition_ancestors" {
            self.number(inner.get("args").and_then(Value::as_array).and_then(|args| args.first()));
        }
    }

    fn number(&mut self, node: Option<&Value>) {
        if let Some(("AConst", inner)) = node.and_then(variant) {
            self.numbers.extend(place(inner));
        }
    }
}

fn place(constant: &Value) -> Option<i64> {
    let is_word = constant.get("val")?.get("Sval").and_then(|text| text.get("sval")).and_then(Value::as_str);
    constant.get("location").and_then(Value::as_i64).filter(|_| !is_word.is_some_and(naming::is_known_word))
}

/// Operators that compare or put together; others may match patterns.
const COMPARED: &[&str] = &["=", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||"];

/// Types that a constant becomes by its own text alone.
const PLAIN_TYPES: &[&str] = &[
    "bool",
    "bpchar",
    "date",
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "interval",
    "numeric",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "varchar",
];

/// Types whose values are numbers of objects.
const OBJECT_TYPES: &[&str] = &["oid", "regclass"];

/// Functions that compute with their arguments and look nothing up by them.
const PLAIN_FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "btrim",
    "ceil",
    "concat",
    "count",
    "date_part",
    "date_trunc",
    "extract",
    "floor",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "min",
    "mod",
    "position",
    "replace",
    "right",
    "round",
    "rpad",
    "rtrim",
    "strpos",
    "substr",
    "substring",
    "sum",
    "timezone",
    "to_char",
    "to_date",
    "to_number",
    "to_timestamp",
    "trunc",
    "upper",
];
