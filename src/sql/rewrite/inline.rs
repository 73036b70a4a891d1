//! A filter or mask given as a function: its body in place where that is the same, else a call.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, SelectStmt};

use super::policy::{DefinitionError, PolicyExpression, alone, policy_expression};
use super::splice::Edits;
use crate::catalog::{Footing, Function, Relation, SearchPath};
use crate::name::quote_identifier;
use crate::sql::parse::lexer::{Lexer, relation_span, token_at};
use crate::sql::resolve::leaves::{Leaf, leaves};
use crate::sql::resolve::names::offset;

/// What is known of a function's body (`pg_proc.prosrc`, `proisstrict`, `proconfig`).
#[derive(Clone, Copy, Debug)]
pub struct FunctionBody<'a> {
    /// `prosrc`; empty for a body of the SQL-standard form.
    pub source: &'a str,
    /// Returns NULL on NULL input.
    pub strict: bool,
    /// It has settings of its own.
    pub configured: bool,
}

/// The expression for `function(arguments…)`. The arguments are SQL: a quoted column name of the table or a literal each, the
/// masked column first for a mask. The body's names are looked up in pg_catalog and `path`.
pub fn inline_call(
    function: &Function,
    body: Option<FunctionBody>,
    arguments: &[String],
    relation: &Relation,
    footing: &Footing,
    path: &SearchPath,
) -> Result<PolicyExpression, DefinitionError> {
    let arguments = typed(function, arguments, relation);
    let inlined = body
        .filter(|body| is_plain(function, body) && arguments.len() == function.arg_types.len())
        .and_then(|body| substituted(function, body.source, &arguments))
        .and_then(|text| policy_expression(&text, relation, footing, path).ok());
    let mut expression = match inlined {
        Some(expression) => expression,
        None => {
            let schema = footing.catalog.schema(function.schema).ok_or(DefinitionError::Shape("the function has no schema"))?;
            let call = format!("{}.{}({})", schema.name.quoted(), function.name.quoted(), arguments.join(", "));
            PolicyExpression {
                functions: Vec::new(),
                called: vec![function.oid],
                ..policy_expression(&call, relation, footing, path)?
            }
        }
    };
    if !expression.functions.contains(&function.oid) {
        expression.functions.push(function.oid);
    }
    Ok(expression)
}

/// Whether the body says the same in another place: PostgreSQL inlines under the same conditions.
fn is_plain(function: &Function, body: &FunctionBody) -> bool {
    function.language.as_str() == "sql"
        && !(function.security_definer || function.returns_set || body.strict || body.configured || body.source.is_empty())
}

/// Arguments cast to the parameters' types, but for columns that have them already.
fn typed(function: &Function, arguments: &[String], relation: &Relation) -> Vec<String> {
    arguments
        .iter()
        .enumerate()
        .map(|(index, argument)| match function.arg_types.get(index) {
            Some(wanted) => {
                let column = relation.columns.iter().find(|c| quote_identifier(c.name.as_str()) == *argument);
                if column.is_some_and(|c| c.type_sql == *wanted) { argument.clone() } else { format!("({argument})::{wanted}") }
            }
            None => argument.clone(),
        })
        .collect()
}

/// The body's expression with the arguments in the parameters' places, when it is one expression over nothing else.
fn substituted(function: &Function, source: &str, arguments: &[String]) -> Option<String> {
    let parsed = alone(source, DefinitionError::Shape("")).ok()?;
    let Some(Kind::SelectStmt(select)) = parsed.tree.node.as_ref() else { return None };
    let [target] = select.target_list.as_slice() else { return None };
    let Some(Kind::ResTarget(target)) = target.node.as_ref() else { return None };
    let value = target.val.as_deref()?;
    let bare = SelectStmt {
        target_list: select.target_list.clone(),
        limit_option: select.limit_option,
        op: select.op,
        ..SelectStmt::default()
    };
    if **select != bare || !target.indirection.is_empty() {
        return None;
    }
    let mut edits = Edits::new();
    for part in parameters(value, function)? {
        let index = part.number.checked_sub(1)?;
        edits.replace(part.range(&parsed.sql)?, format!("({})", arguments.get(index)?));
    }
    let text = edits.apply(&parsed.sql).ok()?.text;
    let keyword = Lexer::new(&text).significant().next()?;
    let mut expression = text.get(keyword.end..)?.trim().to_owned();
    if !target.name.is_empty() {
        // `SELECT expression AS name`: the name is not part of it.
        let end = Lexer::new(&expression).significant().collect::<Vec<_>>();
        let [.., keyword, _] = end.as_slice() else { return None };
        if !keyword.is_word(&expression, "as") {
            return None;
        }
        expression.truncate(expression[..keyword.start].trim_end().len());
    }
    Some(match &*function.result_type {
        "boolean" => expression,
        wanted => format!("({expression}\n)::{wanted}"),
    })
}

/// A parameter's place in the body.
struct Part {
    number: usize,
    location: i32,
    names: usize,
}

impl Part {
    fn range(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let first = token_at(text, offset(self.location)?)?;
        if self.names < 2 { Some(first.range()) } else { relation_span(text, first.start) }
    }
}

/// Every use of a parameter; `None` when something is used that is no parameter, or that reads relations.
fn parameters(value: &Node, function: &Function) -> Option<Vec<Part>> {
    leaves(value)?
        .into_iter()
        .map(|leaf| match leaf {
            Leaf::Parameter { number, location } => Some(Part { number: usize::try_from(number).ok()?, location, names: 0 }),
            Leaf::Column { names, location } => {
                let name = match names.as_slice() {
                    [name] => name,
                    [qualifier, name] if *qualifier == function.name.as_str() => name,
                    _ => return None,
                };
                let index = function.arg_names.iter().position(|known| **known == **name)?;
                Some(Part { number: index + 1, location, names: names.len() })
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture::{CUSTOMERS, footing};

    fn inlined(source: &str, arguments: &[&str]) -> String {
        let footing = footing();
        let relation = footing.catalog.relation(CUSTOMERS).unwrap();
        let mut function = footing.catalog.function(305).unwrap().clone();
        (function.name, function.arg_names) = ("seen".into(), vec!["region".into(), "other".into()]);
        let body = FunctionBody { source, strict: false, configured: false };
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let path = SearchPath::default();
        inline_call(&function, Some(body), &arguments, relation, &footing, &path).map_or_else(|e| format!("{e:?}"), |e| e.sql)
    }

    #[test]
    fn a_body_of_one_expression_stands_in_place_of_the_call() {
        let args = ["\"name\"", "'EU'"];
        assert_eq!(inlined("SELECT $1 = $2", &args), "((\"name\") = (('EU')::text)\n)::text");
        assert_eq!(inlined("select region || seen.other;", &args), "((\"name\") || (('EU')::text)\n)::text");
        assert_eq!(
            inlined("SELECT CASE WHEN is_member('hr') THEN region END AS x", &args),
            "(CASE WHEN (SELECT pgusher.is_member('hr') AS is_member) THEN (\"name\") END\n)::text"
        );
        assert_eq!(
            inlined("SELECT pgusher.is_member('hr') OR pgusher.current_user() = $1 OR pgusher . is_member($1)", &args),
            "((SELECT pgusher.is_member('hr') AS is_member) OR (SELECT pgusher.current_user() AS \"current_user\") = (\"name\") OR pgusher . is_member((\"name\"))\n)::text"
        );
        assert_eq!(
            inlined("SELECT (SELECT pgusher.is_member('hr') AS is_member) OR $1 = ''", &args),
            "((SELECT pgusher.is_member('hr') AS is_member) OR (\"name\") = ''\n)::text"
        );
    }

    #[test]
    fn any_other_body_is_called() {
        let call = "\"public\".\"seen\"(\"name\", ('EU')::text)";
        for source in [
            "SELECT $1 FROM customers",
            "SELECT EXISTS (SELECT 1 FROM customers WHERE region = $1)",
            "SELECT $3",
            "SELECT 1; SELECT 2",
            "SELECT name",
            "",
            "VALUES (1)",
            "DELETE FROM customers RETURNING true",
            "SELECT $1 LIMIT 1",
        ] {
            let made = inlined(source, &["\"name\"", "'EU'"]);
            assert!(made == call || made.contains("UndefinedFunction"), "{source}: {made}");
        }
    }
}
