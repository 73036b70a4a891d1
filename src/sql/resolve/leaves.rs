//! The parameters and columns that an expression over nothing else uses.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::Node;

use super::ResolveError;
use super::children::{Part, children};
use super::names::string;

/// A parameter or column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sql) enum Leaf {
    /// `$n`
    Parameter {
        /// Its number, from 1.
        number: i32,
        /// Where.
        location: i32,
    },
    /// A column reference.
    Column {
        /// Its parts.
        names: Vec<String>,
        /// Where.
        location: i32,
    },
}

/// Every parameter and column of an expression; `None` when it holds a query (but for our own identity calls), or anything
/// that is not walked here.
pub(in crate::sql) fn leaves(node: &Node) -> Option<Vec<Leaf>> {
    let mut found = Vec::new();
    walk(&mut node.clone(), &mut found).ok()?;
    Some(found)
}

fn walk(node: &mut Node, found: &mut Vec<Leaf>) -> Result<(), ResolveError> {
    const OTHER: ResolveError = ResolveError::Unexpected { what: "part of an expression" };
    let Some(kind) = node.node.as_mut() else { return Ok(()) };
    let mut some = |nodes: &mut [Node]| nodes.iter_mut().try_for_each(|node| walk(node, found));
    match kind {
        Kind::ParamRef(inner) => found.push(Leaf::Parameter { number: inner.number, location: inner.location }),
        Kind::ColumnRef(inner) => {
            let names = inner.fields.iter().map(|f| string(f).map(str::to_owned)).collect::<Option<_>>().ok_or(OTHER)?;
            found.push(Leaf::Column { names, location: inner.location });
        }
        Kind::AExpr(inner) => {
            for side in [&mut inner.lexpr, &mut inner.rexpr] {
                side.as_deref_mut().map_or(Ok(()), |node| walk(node, found))?;
            }
        }
        Kind::TypeCast(inner) => inner.arg.as_deref_mut().map_or(Ok(()), |node| walk(node, found))?,
        Kind::AIndirection(inner) => {
            inner.arg.as_deref_mut().map_or(Ok(()), |node| walk(node, found))?;
            return inner.indirection.iter_mut().try_for_each(|node| walk(node, found));
        }
        Kind::FuncCall(inner) => {
            if !inner.agg_order.is_empty() || inner.agg_filter.is_some() || inner.over.is_some() {
                return Err(OTHER);
            }
            some(&mut inner.args)?;
        }
        Kind::SqlvalueFunction(_) => {}
        Kind::SubLink(inner) => match inner.subselect.as_deref().and_then(|n| n.node.as_ref()) {
            Some(Kind::SelectStmt(select)) if is_identity(select) => {}
            _ => return Err(OTHER),
        },
        kind => children(kind, &mut |part| match part {
            Part::Node(node) => walk(node, found),
            Part::Type(_) => Ok(()),
            Part::Relation(_) => Err(OTHER),
        })?,
    }
    Ok(())
}

/// `SELECT pgusher.is_member('g')` and its like, as we write them.
pub(super) fn is_identity(select: &pg_query::protobuf::SelectStmt) -> bool {
    let bare = pg_query::protobuf::SelectStmt {
        target_list: select.target_list.clone(),
        limit_option: select.limit_option,
        op: select.op,
        ..Default::default()
    };
    let call = match select.target_list.as_slice() {
        [target] => match target.node.as_ref() {
            Some(Kind::ResTarget(target)) => target.val.as_deref().and_then(|n| n.node.as_ref()),
            _ => None,
        },
        _ => None,
    };
    let ours = match call {
        Some(Kind::FuncCall(call)) => {
            call.funcname.first().and_then(string) == Some("pgusher")
                && call.args.iter().all(|arg| leaves(arg).is_some_and(|found| found.is_empty()))
        }
        _ => false,
    };
    *select == bare && ours
}
