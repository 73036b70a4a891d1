//! RETURNING: a write twin has more columns than its table, so `*` is spelled out.

use std::ops::Range;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{AStar, ColumnRef, Node, ResTarget, ReturningClause};

use super::ResolveError;
use super::names::{offset, string, string_node};
use super::select::Columns;
use super::walk::Walk;
use super::write::Target;
use crate::name::quote_identifier;

impl Walk<'_> {
    /// Walks RETURNING. `others` are the items of FROM or USING.
    pub(super) fn returning(
        &mut self,
        target: &Target,
        clause: Option<&mut ReturningClause>,
        others: &[Node],
    ) -> Result<Columns, ResolveError> {
        let Some(ReturningClause { options, exprs }) = clause else { return Ok(Some(Vec::new())) };
        let columns = target.found.columns();
        if target.twin().is_none() {
            self.expressions(exprs)?;
            return Ok(None);
        }
        if !options.is_empty() {
            return Err(ResolveError::unsupported("RETURNING WITH here", None).because("The table has column masks."));
        }
        let mut expanded = Vec::with_capacity(exprs.len());
        for mut expr in std::mem::take(exprs) {
            match star(&expr) {
                Some((location, None)) => {
                    let mut items = self.own_columns(&target.alias, &columns);
                    items.extend(self.rest(others, offset(location))?);
                    let range = self.tokens().at(location).and_then(|at| self.tokens().range(at, at + 1));
                    self.expand(range, items, &mut expanded)?;
                }
                Some((location, Some(alias))) if alias == target.alias => {
                    let range = self.tokens().at(location).and_then(|at| {
                        let after = *self.tokens().name_ends(at, 1)?.last()?;
                        self.tokens().range(at, after + 2)
                    });
                    let items = self.own_columns(&target.alias, &columns);
                    self.expand(range, items, &mut expanded)?;
                }
                _ => {
                    self.expression(&mut expr)?;
                    expanded.push(expr);
                }
            }
        }
        *exprs = expanded;
        Ok(None)
    }

    fn own_columns(&self, alias: &str, columns: &[String]) -> Vec<(String, Node)> {
        columns
            .iter()
            .map(|column| {
                let sql = format!("{}.{}", quote_identifier(alias), quote_identifier(column));
                (sql, result(vec![string_node(alias), string_node(column)]))
            })
            .collect()
    }

    /// `alias.*` for each other item.
    fn rest(&self, others: &[Node], position: Option<usize>) -> Result<Vec<(String, Node)>, ResolveError> {
        let mut items = Vec::new();
        for other in others {
            let alias = match other.node.as_ref() {
                Some(Kind::RangeVar(name)) => Some(name.alias.as_ref().map_or(&name.relname, |alias| &alias.aliasname)),
                Some(Kind::RangeSubselect(inner)) => inner.alias.as_ref().map(|alias| &alias.aliasname),
                Some(Kind::RangeFunction(inner)) => inner.alias.as_ref().map(|alias| &alias.aliasname),
                Some(Kind::JoinExpr(join)) if join.alias.is_none() && join.using_clause.is_empty() && !join.is_natural => {
                    for side in [&join.larg, &join.rarg].into_iter().flatten() {
                        items.extend(self.rest(std::slice::from_ref(side), position)?);
                    }
                    continue;
                }
                Some(Kind::JoinExpr(join)) => join.alias.as_ref().map(|alias| &alias.aliasname),
                _ => None,
            };
            let alias = alias.ok_or_else(|| {
                ResolveError::unsupported("RETURNING * here", position)
                    .because("The table has column masks, and FROM holds a join with USING or an item without a name.")
                    .instead("Name the columns.")
            })?;
            let star = Node { node: Some(Kind::AStar(AStar {})) };
            items.push((format!("{}.*", quote_identifier(alias)), result(vec![string_node(alias), star])));
        }
        Ok(items)
    }

    fn expand(
        &mut self,
        range: Option<Range<usize>>,
        items: Vec<(String, Node)>,
        into: &mut Vec<Node>,
    ) -> Result<(), ResolveError> {
        let range = range.ok_or(ResolveError::misplaced("location"))?;
        let (texts, nodes): (Vec<String>, Vec<Node>) = items.into_iter().unzip();
        self.edit(range, texts.join(", "));
        into.extend(nodes);
        Ok(())
    }
}

/// The location and qualifier of `*` or `alias.*`.
fn star(expr: &Node) -> Option<(i32, Option<String>)> {
    let Some(Kind::ResTarget(target)) = expr.node.as_ref() else { return None };
    let Some(Kind::ColumnRef(column)) = target.val.as_deref().and_then(|n| n.node.as_ref()) else { return None };
    match column.fields.as_slice() {
        [only] if matches!(only.node, Some(Kind::AStar(_))) => Some((column.location, None)),
        [alias, last] if matches!(last.node, Some(Kind::AStar(_))) => string(alias).map(|a| (column.location, Some(a.to_owned()))),
        _ => None,
    }
}

fn result(fields: Vec<Node>) -> Node {
    let column = ColumnRef { fields, location: 0 };
    let val = Some(Box::new(Node { node: Some(Kind::ColumnRef(column)) }));
    Node { node: Some(Kind::ResTarget(Box::new(ResTarget { name: String::new(), indirection: Vec::new(), val, location: 0 }))) }
}
