//! Row filters and masks as administrators write them → expressions that can stand in a policy or governed view.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{RangeVar, SelectStmt};

use super::guard;
use crate::catalog::{Footing, Relation, SearchPath};
use crate::policy::Oid;
use crate::sql::parse::lexer::{Lexer, TokenKind};
use crate::sql::resolve::walk::{Ground, NoObjects, Purpose, Walk};
use crate::sql::{Limits, ParseError, Parsed, ResolveError, RewriteError, parse};

/// An expression that is ready to be enforced upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyExpression {
    /// The SQL: every name qualified, identity calls hoisted, the table's columns quoted and unqualified, no comments.
    pub sql: String,
    /// The other relations that it reads.
    pub reads: Vec<Oid>,
    /// The functions outside pg_catalog that it calls, and the one whose body it is.
    pub functions: Vec<Oid>,
    /// Those of them that are called upstream.
    pub called: Vec<Oid>,
}

/// Why an expression or definition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// It does not parse.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// A name in it does not resolve, or may not be used.
    #[error("{0}")]
    Resolve(ResolveError),
    /// It is no single expression, or no single query.
    #[error("{0}")]
    Shape(&'static str),
    /// A column that the table does not have.
    #[error("column \"{column}\" of relation \"{relation}\" does not exist")]
    UndefinedColumn {
        /// The column.
        column: String,
        /// The table.
        relation: String,
    },
    /// It reads a relation that is itself governed.
    #[error("row filters and masks cannot read \"{relation}\", which is itself under a row filter or mask")]
    Governed {
        /// The relation.
        relation: String,
    },
    /// A column of the table that is hidden by a column of a relation in a sub-select.
    #[error("column \"{column}\" means another column inside the sub-select")]
    Hidden {
        /// The column.
        column: String,
    },
    /// The text that was made is not what was meant.
    #[error("{0}")]
    Rewrite(#[from] RewriteError),
}

impl From<ResolveError> for DefinitionError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::UndefinedColumn { column, relation, .. } => Self::UndefinedColumn { column, relation },
            ResolveError::GovernedInPolicy { relation, .. } => Self::Governed { relation },
            ResolveError::HiddenColumn { column, .. } => Self::Hidden { column },
            other => Self::Resolve(other),
        }
    }
}

const SHAPE: DefinitionError = DefinitionError::Shape("a row filter or mask must be a single expression");

/// Turns the text of an inline filter or mask over a table's own columns into the expression to enforce.
pub fn policy_expression(
    text: &str,
    relation: &Relation,
    footing: &Footing,
    path: &SearchPath,
) -> Result<PolicyExpression, DefinitionError> {
    let mut hidden = Vec::new();
    loop {
        match analysed(text, relation, footing, path, &hidden) {
            Err(DefinitionError::Hidden { column }) if !hidden.contains(&column) => hidden.push(column),
            done => return done,
        }
    }
}

/// One attempt, with other names for the columns in sub-selects that would hide these of the table.
fn analysed(
    text: &str,
    relation: &Relation,
    footing: &Footing,
    path: &SearchPath,
    hidden: &[String],
) -> Result<PolicyExpression, DefinitionError> {
    let table = footing.catalog.qualified(relation).ok_or(SHAPE)?;
    let (before, after) = ("SELECT (", format!("\n) FROM {}", table.quoted()));
    let Parsed { mut tree, sql, .. } = alone(&format!("{before}{text}{after}"), SHAPE)?;
    let ground = Ground { footing, path, admin: true, onlooker: None, objects: &NoObjects };
    let mut walk = Walk::new(ground, Purpose::Policy, &sql);
    walk.over_table(relation);
    walk.hidden = hidden.to_vec();
    let value = match tree.node.as_mut() {
        Some(Kind::SelectStmt(select)) => value(select, table.schema.as_str(), table.name.as_str()),
        _ => None,
    };
    walk.expression(value.ok_or(SHAPE)?)?;
    let (reads, functions) = (walk.read(), walk.called_functions());
    let spliced = walk.take_edits().apply(&sql)?.text;
    let inner = spliced.strip_prefix(before).and_then(|rest| rest.strip_suffix(&after)).ok_or(SHAPE)?;
    let inner = without_comments(inner);
    guard::prove(&format!("{before}{inner}{after}"), &tree)?;
    Ok(PolicyExpression { sql: inner, reads, called: functions.clone(), functions })
}

/// The only statement of a text.
pub(super) fn alone(text: &str, otherwise: DefinitionError) -> Result<Parsed, DefinitionError> {
    let mut statements = parse(text, &Limits::default())?;
    match (statements.pop(), statements.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(otherwise),
    }
}

/// The expression of `SELECT (expression) FROM table` and of nothing else.
fn value<'a>(select: &'a mut SelectStmt, schema: &str, table: &str) -> Option<&'a mut pg_query::Node> {
    let mut rest = select.clone();
    let (mut targets, mut from) = (std::mem::take(&mut rest.target_list), std::mem::take(&mut rest.from_clause));
    let plain = SelectStmt { limit_option: rest.limit_option, op: rest.op, ..SelectStmt::default() };
    let single = rest.op == i32::from(pg_query::protobuf::SetOperation::SetopNone)
        && rest.limit_option == i32::from(pg_query::protobuf::LimitOption::Default);
    let own = match from.pop()?.node? {
        Kind::RangeVar(RangeVar { catalogname, schemaname, relname, inh: true, alias: None, .. }) => {
            catalogname.is_empty() && schemaname == schema && relname == table
        }
        _ => false,
    };
    let unnamed = match targets.pop()?.node? {
        Kind::ResTarget(target) => target.name.is_empty() && target.indirection.is_empty(),
        _ => false,
    };
    if !(single && rest == plain && own && unnamed && targets.is_empty() && from.is_empty()) {
        return None;
    }
    match select.target_list.first_mut()?.node.as_mut()? {
        Kind::ResTarget(target) => target.val.as_deref_mut(),
        _ => None,
    }
}

/// The text with a blank in the place of each comment.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for token in Lexer::new(text) {
        match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment { .. } => plain.push(' '),
            _ => plain.push_str(token.spelling(text)),
        }
    }
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;
    use crate::sql::fixture::{ORDERS, PUBLIC, footing};

    fn on_orders(text: &str) -> Result<PolicyExpression, DefinitionError> {
        let footing = footing();
        let relation = footing.catalog.relation(ORDERS).unwrap();
        policy_expression(text, relation, &footing, &SearchPath::default())
    }

    fn sql(text: &str) -> String {
        on_orders(text).unwrap_or_else(|error| panic!("{text}: {error:?}")).sql
    }

    #[test]
    fn columns_are_quoted_and_identity_is_hoisted() {
        for (text, expected) in [
            ("owner = current_user", "\"owner\" = (SELECT pgusher.current_user() AS \"current_user\")"),
            ("orders.owner = current_user()", "\"owner\" = (SELECT pgusher.current_user() AS \"current_user\")  "),
            ("public.orders.region = 'EU' -- why", "\"region\" = 'EU'"),
            ("is_member('hr') OR Region /* x */ = 'EU'", "(SELECT pgusher.is_member('hr') AS is_member) OR \"region\"   = 'EU'"),
            ("bonus(amount) > 1", "\"public\".bonus(\"amount\") > 1"),
            ("public.bonus(amount) > 1", "public.bonus(\"amount\") > 1"),
            (
                "region IN (SELECT region FROM customers WHERE name = current_user)",
                "\"region\" IN (SELECT \"customers\".\"region\" FROM \"public\".\"customers\" WHERE \"customers\".\"name\" = (SELECT pgusher.current_user() AS \"current_user\"))",
            ),
            (
                "EXISTS (SELECT 1 FROM customers c WHERE c.name = owner)",
                "EXISTS (SELECT 1 FROM \"public\".\"customers\" c WHERE \"c\".\"name\" = \"owner\")",
            ),
        ] {
            assert_eq!(sql(text), expected.trim(), "{text}");
        }
        for (text, expected) in [
            (
                "EXISTS (SELECT 1 FROM customers c WHERE c.region = orders.region AND region <> name)",
                "EXISTS (SELECT 1 FROM \"public\".\"customers\" c (\"id\", \"name\", \"inner $region\") WHERE \"c\".\"inner $region\" = \"region\" AND \"c\".\"inner $region\" <> \"c\".\"name\")",
            ),
            (
                "EXISTS (SELECT FROM public.customers WHERE customers.region = orders.region AND customers.id = orders.id)",
                "EXISTS (SELECT FROM public.customers AS \"customers\" (\"inner $id\", \"name\", \"inner $region\") WHERE \"customers\".\"inner $region\" = \"region\" AND \"customers\".\"inner $id\" = \"id\")",
            ),
        ] {
            assert_eq!(sql(text), expected, "{text}");
        }
        let found = on_orders("bonus(amount) IN (SELECT id FROM customers)").unwrap();
        assert_eq!((found.reads, found.functions), (vec![102], vec![300]));
    }

    #[test]
    fn what_is_more_or_other_than_an_expression_is_refused() {
        for text in [
            "",
            "1) FROM customers --",
            "true), (false",
            "true) UNION SELECT (true",
            "true) AS x, (y",
            "true; DROP TABLE orders",
            "nothing = 1",
            "customers.id = 1",
            "orders IS NULL",
            "orders.* IS NULL",
            "(orders.*)::text = ''",
            "count(*) OVER () > (SELECT 1 FROM employees)",
            "id IN (SELECT id FROM orders)",
            "id IN (SELECT id FROM derived)",
            "EXISTS (SELECT 1 FROM (SELECT * FROM customers) c WHERE c.region = orders.region)",
            "EXISTS (SELECT 1 FROM customers c JOIN customers d USING (id) WHERE c.region = orders.region)",
            "EXISTS (SELECT 1 FROM generate_series(1, 2) g WHERE id = 1)",
            "pg_read_file('x') = ''",
            "id = $1",
            "pgusher.attach('', '') = 1",
            "nextval('orders_id_seq') = 1",
            "upper(region, 'x') = 'x'",
            "id IN (SELECT hash FROM pgusher.token)",
        ] {
            assert!(on_orders(text).is_err(), "{text}: {:?}", on_orders(text));
        }
    }

    #[test]
    fn odd_names_stay_what_they_are() {
        let footing = crate::sql::fixture::footing_with(|parts| {
            let mut odd = parts.relations.iter().find(|r| r.oid == ORDERS).unwrap().clone();
            (odd.oid, odd.schema, odd.name) = (990, PUBLIC, Name::exact("a\" b"));
            odd.columns[0].name = Name::exact("x) --");
            parts.relations.push(odd);
        });
        let odd = footing.catalog.relation(990).unwrap();
        let found = policy_expression("\"x) --\" = 1", odd, &footing, &SearchPath::default()).unwrap();
        assert_eq!(found.sql, "\"x) --\" = 1");
    }
}
