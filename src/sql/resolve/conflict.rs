//! ON CONFLICT.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{ColumnRef, InferClause, Node, OnConflictAction, OnConflictClause};

use super::ResolveError;
use super::copy::template;
use super::names::{offset, string};
use super::scope::{Item, Proposed, Twin, TwinRole};
use super::walk::Walk;
use super::write::Target;
use crate::name::quote_identifier;

impl Walk<'_> {
    /// ON CONFLICT. Gives back whether it reads the target. `given` are the values that the statement itself proposes.
    pub(super) fn on_conflict(
        &mut self,
        target: &Target,
        clause: &mut OnConflictClause,
        given: Vec<Proposed>,
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

    /// `excluded.c` of a masked column. Upstream, reading it takes the right to read the column raw; so what the statement proposes
    /// for it is spelled out again, where that is a constant or a parameter.
    pub(super) fn proposed(&mut self, column: &ColumnRef) -> Result<Option<Node>, ResolveError> {
        let [alias, field] = column.fields.as_slice() else { return Ok(None) };
        let (Some("excluded"), Some(field)) = (string(alias), string(field)) else { return Ok(None) };
        let Some((_, Twin { masked, role: TwinRole::Excluded(given) })) = self.scopes.twin("excluded") else { return Ok(None) };
        if !masked.iter().any(|masked| masked == field) {
            return Ok(None);
        }
        let found = given.iter().find(|proposed| proposed.column == field);
        let Some(Proposed { type_sql, value, .. }) = found.cloned() else {
            return Err(ResolveError::unsupported(format!("excluded.{field}"), offset(column.location))
                .because("The column has a mask, and no single row of VALUES gives a constant or parameter for it."));
        };
        let (text, tree) = self.as_type(&value, &type_sql).ok_or(ResolveError::misplaced("location"))?;
        let tokens = self.tokens();
        let range = tokens
            .at(column.location)
            .and_then(|at| tokens.range(at, *tokens.name_ends(at, 2)?.last()?))
            .ok_or(ResolveError::misplaced("location"))?;
        self.edit(range, text);
        Ok(Some(tree))
    }

    /// A constant or parameter of the text as a value of a type: as SQL and as tree.
    fn as_type(&self, value: &Node, type_sql: &str) -> Option<(String, Node)> {
        let location = match value.node.as_ref()? {
            Kind::AConst(constant) => constant.location,
            Kind::ParamRef(parameter) => parameter.location,
            _ => return None,
        };
        let tokens = self.tokens();
        let at = tokens.at(location)?;
        let last = if tokens.is_symbol(at, "-") { at + 1 } else { at };
        let given = self.text.get(tokens.range(at, tokens.after_token(last))?)?;
        let Some(Kind::SelectStmt(select)) = template(&format!("SELECT (NULL)::{type_sql}")).ok()?.node else { return None };
        let Some(Kind::ResTarget(target)) = select.target_list.into_iter().next()?.node else { return None };
        let mut tree = *target.val?;
        let Some(Kind::TypeCast(cast)) = tree.node.as_mut() else { return None };
        cast.arg = Some(Box::new(value.clone()));
        Some((format!("({given})::{type_sql}"), tree))
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
