//! ON CONFLICT.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{ColumnRef, InferClause, Node, OnConflictAction, OnConflictClause};

use super::ResolveError;
use super::copy::template;
use super::names::{offset, string_node};
use super::scope::{Item, Twin};
use super::walk::Walk;
use super::write::Target;
use crate::catalog::GovernedTable;
use crate::name::quote_identifier;

impl Walk<'_> {
    /// ON CONFLICT. Gives back whether it reads the target. `given` are the columns for which the statement itself has values.
    pub(super) fn on_conflict(
        &mut self,
        target: &Target,
        clause: &mut OnConflictClause,
        given: Vec<String>,
    ) -> Result<bool, ResolveError> {
        let OnConflictClause { action, infer, target_list, where_clause, location } = clause;
        let position = offset(*location);
        let mut reads = false;
        if let Some(infer) = infer.as_deref_mut() {
            reads = true;
            self.inference(target, infer, position)?;
        }
        match OnConflictAction::try_from(*action) {
            Ok(OnConflictAction::OnconflictNothing) => return Ok(reads),
            Ok(OnConflictAction::OnconflictUpdate) => {}
            Ok(OnConflictAction::Undefined | OnConflictAction::OnconflictNone) | Err(_) => {
                return Err(ResolveError::misplaced("ON CONFLICT action"));
            }
        }
        if target.by_view() {
            return Err(ResolveError::unsupported("ON CONFLICT DO UPDATE here", position)
                .because(format!("The row filter of \"{}\" is enforced by a view.", target.found.relation.name)));
        }
        let mut excluded = Item::plain("excluded", Some(target.found.columns()), 0..0);
        excluded.twin = target.twin().map(|table| Twin::excluded(table, given));
        self.scopes.top().items.push(excluded);
        self.note_target_columns(target, target_list);
        self.assignments(target, target_list)?;
        self.optional(where_clause)?;
        // RETURNING does not see `excluded`.
        self.scopes.top().items.pop();
        Ok(true)
    }

    fn inference(&mut self, target: &Target, infer: &mut InferClause, position: Option<usize>) -> Result<(), ResolveError> {
        if !infer.conname.is_empty() && !target.in_place {
            self.spell_constraint(target, infer)?;
        }
        let InferClause { index_elems, where_clause, conname: _, location: _ } = infer;
        for element in index_elems.iter_mut() {
            let Some(Kind::IndexElem(index)) = element.node.as_ref() else { return Err(ResolveError::misplaced("ON CONFLICT")) };
            if target.masks(&index.name) || (target.twin().is_some() && index.expr.is_some()) {
                return Err(ResolveError::unsupported(format!("ON CONFLICT on \"{}\"", target.found.relation.name), position)
                    .because("It would compare the values under a column mask."));
            }
            self.expression(element)?;
        }
        if where_clause.is_some() && target.twin().is_some() {
            return Err(ResolveError::unsupported("ON CONFLICT with WHERE here", position).because("The table has column masks."));
        }
        self.optional(where_clause)
    }

    /// A view has no constraints: the columns of the table's stand for it.
    fn spell_constraint(&mut self, target: &Target, infer: &mut InferClause) -> Result<(), ResolveError> {
        let relation = target.found.relation;
        let (position, constraint) = (offset(infer.location), infer.conname.clone());
        let found = relation.arbiters.iter().find(|arbiter| arbiter.name.as_str() == constraint);
        let Some(arbiter) = found else {
            return Err(ResolveError::UndefinedConstraint { constraint, relation: relation.name.to_string() });
        };
        let Some(numbers) = &arbiter.columns else {
            return Err(ResolveError::unsupported("ON CONFLICT ON CONSTRAINT with an exclusion constraint here", position)
                .because("The table has column masks, or a row filter that is enforced by a view."));
        };
        let names: Option<Vec<&str>> =
            numbers.iter().map(|number| relation.columns.iter().find(|c| c.number == *number).map(|c| c.name.as_str())).collect();
        let names = names.ok_or(ResolveError::misplaced("constraint"))?;
        let range = self
            .tokens()
            .at(infer.location)
            .filter(|at| self.tokens().is_word(*at, "on") && self.tokens().is_word(at + 1, "constraint"))
            .and_then(|at| self.tokens().range(at, self.tokens().after_token(at + 2)))
            .ok_or(ResolveError::misplaced("location"))?;
        let quoted: Vec<String> = names.iter().map(|name| quote_identifier(name)).collect();
        self.edit(range, format!("({})", quoted.join(", ")));
        infer.conname.clear();
        infer.index_elems = elements(&names)?;
        Ok(())
    }

    /// `excluded.c` of a masked column: what the statement itself proposes. What a default or the like proposes stays hidden.
    pub(super) fn excluded_reference(&mut self, column: &mut ColumnRef, field: &str, given: bool) -> Result<(), ResolveError> {
        let position = offset(column.location);
        if !given {
            return Err(ResolveError::unsupported(format!("excluded.{field}"), position)
                .because("The column has a mask, and the statement gives no value for it."));
        }
        let raw = GovernedTable::raw_column(field);
        let tokens = self.tokens();
        let range = tokens
            .at(column.location)
            .and_then(|at| {
                let ends = tokens.name_ends(at, 2)?;
                tokens.range(ends.first()? + 1, *ends.last()?)
            })
            .ok_or(ResolveError::misplaced("location"))?;
        self.edit(range, quote_identifier(&raw));
        if let Some(last) = column.fields.last_mut() {
            *last = string_node(&raw);
        }
        Ok(())
    }
}

/// Columns as ON CONFLICT lists them.
fn elements(names: &[&str]) -> Result<Vec<Node>, ResolveError> {
    let mut tree = template("INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING")?;
    let element = match tree.node.as_mut() {
        Some(Kind::InsertStmt(insert)) => insert.on_conflict_clause.as_deref_mut().and_then(|c| c.infer.as_deref_mut()),
        _ => None,
    };
    let element = element.and_then(|infer| infer.index_elems.pop()).ok_or(ResolveError::misplaced("template"))?;
    names
        .iter()
        .map(|name| {
            let mut element = element.clone();
            match element.node.as_mut() {
                Some(Kind::IndexElem(inner)) => inner.name = (*name).to_owned(),
                _ => return Err(ResolveError::misplaced("template")),
            }
            Ok(element)
        })
        .collect()
}
