//! Identity calls: `current_user` and its like, `is_member('g')`.
//!
//! PostgreSQL's own answer would be the upstream login. They become calls of `pgusher.current_user()` and
//! `pgusher.is_member()`, hoisted into scalar sub-selects so that they run once per statement.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{FuncCall, Node, SqlValueFunction, SqlValueFunctionOp};

use super::ResolveError;
use super::names::{offset, string_node};
use super::walk::{Purpose, Walk};
use crate::name::quote_identifier;

/// What to put in the place of a call that asks for the identity.
pub(super) enum Hoist {
    /// Nothing: the call was changed where it stands.
    Bare,
    /// The call as a scalar sub-select, with the column name that PostgreSQL gives the call.
    Scalar(&'static str),
}

/// The SQL of an expression as the node that the grammar makes of it.
pub(in crate::sql) fn fragment(sql: &str) -> Result<Node, ResolveError> {
    let tree = crate::sql::parse::only(&format!("SELECT {sql}")).ok().flatten();
    match tree.and_then(|node| node.node) {
        Some(Kind::SelectStmt(mut select)) => match select.target_list.pop().and_then(|node| node.node) {
            Some(Kind::ResTarget(target)) => target.val.map(|val| *val),
            _ => None,
        },
        _ => None,
    }
    .ok_or(ResolveError::misplaced("fragment"))
}

/// The function and the column name that PostgreSQL would give, for those value functions that tell who one is.
fn identity(call: &SqlValueFunction) -> Result<Option<(&'static str, &'static str)>, ResolveError> {
    Ok(match SqlValueFunctionOp::try_from(call.op) {
        Ok(SqlValueFunctionOp::SvfopCurrentUser) => Some(("current_user", "current_user")),
        Ok(SqlValueFunctionOp::SvfopCurrentRole) => Some(("current_user", "current_role")),
        Ok(SqlValueFunctionOp::SvfopUser) => Some(("current_user", "user")),
        Ok(SqlValueFunctionOp::SvfopSessionUser) => Some(("session_user", "session_user")),
        Ok(
            SqlValueFunctionOp::SvfopCurrentDate
            | SqlValueFunctionOp::SvfopCurrentTime
            | SqlValueFunctionOp::SvfopCurrentTimeN
            | SqlValueFunctionOp::SvfopCurrentTimestamp
            | SqlValueFunctionOp::SvfopCurrentTimestampN
            | SqlValueFunctionOp::SvfopLocaltime
            | SqlValueFunctionOp::SvfopLocaltimeN
            | SqlValueFunctionOp::SvfopLocaltimestamp
            | SqlValueFunctionOp::SvfopLocaltimestampN
            | SqlValueFunctionOp::SvfopCurrentCatalog
            | SqlValueFunctionOp::SvfopCurrentSchema,
        ) => None,
        Ok(SqlValueFunctionOp::SqlvalueFunctionOpUndefined) | Err(_) => return Err(ResolveError::misplaced("value function")),
    })
}

impl Walk<'_> {
    /// `current_user` in an expression.
    pub(super) fn value_function(&mut self, call: &SqlValueFunction, node: &mut Node) -> Result<(), ResolveError> {
        let Some((function, column)) = identity(call)? else { return Ok(()) };
        let sql = if self.bare_identity {
            format!("pgusher.{function}()")
        } else {
            format!("(SELECT pgusher.{function}() AS {})", quote_identifier(column))
        };
        self.replace_token(call.location, &sql)?;
        *node = fragment(&sql)?;
        Ok(())
    }

    /// `current_user` as an item of FROM, if it is one. Gives back the column name that it loses by that, if any.
    pub(super) fn value_function_in_from(&mut self, node: &mut Node) -> Result<Option<Option<&'static str>>, ResolveError> {
        let Some(Kind::SqlvalueFunction(call)) = node.node.as_ref() else { return Ok(None) };
        let Some((function, column)) = identity(call)? else { return Ok(None) };
        let sql = format!("pgusher.{function}()");
        self.replace_token(call.location, &sql)?;
        *node = fragment(&sql)?;
        Ok(Some((function != column).then_some(column)))
    }

    fn replace_token(&mut self, location: i32, sql: &str) -> Result<(), ResolveError> {
        let range = self
            .tokens()
            .at(location)
            .and_then(|index| self.tokens().range(index, index + 1))
            .ok_or(ResolveError::misplaced("location"))?;
        self.edit(range, sql);
        Ok(())
    }

    /// `is_member(…)`: the call becomes ours where it stands; says whether to hoist it as well.
    pub(super) fn membership(&mut self, call: &mut FuncCall) -> Result<Hoist, ResolveError> {
        let position = offset(call.location);
        let plain = call.args.len() == 1
            && call.agg_order.is_empty()
            && call.agg_filter.is_none()
            && call.over.is_none()
            && !(call.agg_star || call.agg_distinct || call.agg_within_group || call.func_variadic);
        if !plain {
            return Err(ResolveError::UndefinedFunction { name: "is_member".to_owned(), position });
        }
        let constant = call.args.iter().all(is_constant) && !self.bare_identity;
        self.expressions(&mut call.args)?;
        let at = position.ok_or(ResolveError::misplaced("location"))?;
        if constant {
            let end = self.after_call(call.location, 1)?;
            self.insert_text(at, "(SELECT pgusher.");
            self.insert_text(end, " AS is_member)");
        } else {
            self.insert_text(at, "pgusher.");
        }
        call.funcname.insert(0, string_node("pgusher"));
        Ok(if constant { Hoist::Scalar("is_member") } else { Hoist::Bare })
    }

    /// `pgusher.current_user()`, `pgusher.is_member('g')` in a row filter or mask, as they stand in functions' bodies: asked once per
    /// statement too.
    pub(super) fn own_identity_call(&mut self, call: &mut FuncCall, function: &str) -> Result<Hoist, ResolveError> {
        self.call_parts(call)?;
        let once = matches!(self.purpose, Purpose::Policy) && !self.bare_identity && call.args.iter().all(is_constant);
        let column = match function {
            "current_user" => "current_user",
            "session_user" => "session_user",
            "is_member" => "is_member",
            _ => return Ok(Hoist::Bare),
        };
        if !once {
            return Ok(Hoist::Bare);
        }
        let at = offset(call.location).ok_or(ResolveError::misplaced("location"))?;
        let end = self.after_call(call.location, 2)?;
        self.insert_text(at, "(SELECT ");
        self.insert_text(
            end,
            if column == "is_member" { " AS is_member)".to_owned() } else { format!(" AS {})", quote_identifier(column)) },
        );
        Ok(Hoist::Scalar(column))
    }

    /// The byte after the closing parenthesis of a call by a name of so many parts.
    fn after_call(&self, location: i32, parts: usize) -> Result<usize, ResolveError> {
        let tokens = self.tokens();
        tokens
            .at(location)
            .and_then(|name| tokens.after_parenthesis(*tokens.name_ends(name, parts)?.last()?))
            .and_then(|after| tokens.get(after.checked_sub(1)?))
            .map(|token| token.end)
            .ok_or(ResolveError::misplaced("location"))
    }

    /// Puts the call that [`Walk::membership`] changed into its sub-select.
    pub(super) fn hoist_membership(&mut self, hoist: Hoist, node: &mut Node) -> Result<(), ResolveError> {
        match hoist {
            Hoist::Bare => Ok(()),
            Hoist::Scalar(column) => {
                let mut scalar = fragment(&format!("(SELECT NULL AS {})", quote_identifier(column)))?;
                let place = match scalar.node.as_mut() {
                    Some(Kind::SubLink(link)) => match link.subselect.as_deref_mut().and_then(|n| n.node.as_mut()) {
                        Some(Kind::SelectStmt(select)) => match select.target_list.first_mut().and_then(|n| n.node.as_mut()) {
                            Some(Kind::ResTarget(target)) => target.val.as_deref_mut(),
                            _ => None,
                        },
                        _ => None,
                    },
                    _ => None,
                };
                *place.ok_or(ResolveError::misplaced("fragment"))? = std::mem::take(node);
                *node = scalar;
                Ok(())
            }
        }
    }
}

/// A literal, a parameter, or a cast of one.
fn is_constant(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(Kind::AConst(_) | Kind::ParamRef(_)) => true,
        Some(Kind::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_constant),
        _ => false,
    }
}
