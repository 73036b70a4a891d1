//! INSERT, UPDATE, DELETE.
//!
//! A table filtered by row security is written in place. A table with masks is written through its write twin, where a masked column `c` is
//! writable as `c$raw` and readable, as the mask, under its own name.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{DeleteStmt, InsertStmt, Node, RangeVar, ResTarget, UpdateStmt};

use super::ResolveError;
use super::names::offset;
use super::relations::{Access, Found};
use super::scope::{Bare, Item, Proposed, Twin};
use super::select::Columns;
use super::walk::Walk;
use crate::catalog::GovernedTable;
use crate::name::quote_identifier;
use crate::policy::{Privilege, Securable};

/// The target of a write.
pub(super) struct Target<'a> {
    pub(super) found: Found<'a>,
    /// The name by which the statement calls it.
    pub(super) alias: String,
    /// It stands in the text itself, not a view for it.
    pub(super) in_place: bool,
}

impl<'a> Target<'a> {
    /// The governed table, when writes go to its write twin.
    pub(super) fn twin(&self) -> Option<&'a GovernedTable> {
        self.found.table.filter(|table| table.twin())
    }

    pub(super) fn masks(&self, column: &str) -> bool {
        self.twin().is_some_and(|table| table.masks(column))
    }

    pub(super) fn by_view(&self) -> bool {
        self.found.table.is_some_and(GovernedTable::by_view) || self.found.derived
    }
}

impl<'a> Walk<'a> {
    /// Resolves the target and puts it into the innermost scope. A target is never a CTE.
    pub(super) fn target(&mut self, relation: Option<&mut RangeVar>, access: Access) -> Result<Target<'a>, ResolveError> {
        let name = relation.ok_or(ResolveError::misplaced("statement without a target"))?;
        let (original, client_alias) = (name.relname.clone(), name.alias.clone());
        let start = self.log.len();
        let found = self.relation(name, access)?;
        let alias = client_alias.as_ref().map_or(original, |alias| alias.aliasname.clone());
        let target = Target { in_place: found.in_place(self.ground.footing), found, alias };
        let mut item = Item::plain(&target.alias, Some(target.found.columns()), start..self.log.len());
        item.twin = target.twin().map(Twin::written);
        item.viewed = item.twin.is_none() && target.found.table.is_some() && !target.in_place;
        if client_alias.is_none() {
            let now = target.found.now.clone();
            item.bare = Some(Bare { oid: target.found.relation.oid, aliased: name.alias.is_some(), now });
        }
        self.scopes.top().items.push(item);
        Ok(target)
    }

    pub(super) fn need_select(&mut self, target: &Target<'a>) {
        self.need_relation(target.found.relation, self.holder(), Privilege::Select);
    }

    /// INSERT.
    pub(super) fn insert(&mut self, statement: &mut InsertStmt) -> Result<Columns, ResolveError> {
        let InsertStmt { relation, cols, select_stmt, on_conflict_clause, returning_clause, with_clause, r#override: _ } =
            statement;
        self.scopes.push();
        self.with(with_clause.as_mut())?;
        if let Some(rows) = select_stmt.as_deref_mut() {
            self.query(rows)?;
        }
        let target = self.target(relation.as_mut(), Access::Insert)?;
        self.note_target_columns(&target, cols);
        let given = given(&target, cols, select_stmt.as_deref());
        self.assignments(&target, cols)?;
        if let Some(conflict) = on_conflict_clause.as_deref_mut()
            && self.on_conflict(&target, conflict, given)?
        {
            self.need_select(&target);
        }
        if returning_clause.is_some() {
            self.need_select(&target);
        }
        let columns = self.returning(&target, returning_clause.as_mut(), &[])?;
        self.scopes.pop();
        Ok(columns)
    }

    /// UPDATE.
    pub(super) fn update(&mut self, statement: &mut UpdateStmt) -> Result<Columns, ResolveError> {
        let UpdateStmt { relation, target_list, where_clause, from_clause, returning_clause, with_clause } = statement;
        self.scopes.push();
        self.with(with_clause.as_mut())?;
        let target = self.target(relation.as_mut(), Access::Write)?;
        self.targets.push((target.alias.clone(), false));
        from_clause.iter_mut().try_for_each(|item| self.source_item(item))?;
        self.note_target_columns(&target, target_list);
        self.assignments(&target, target_list)?;
        self.condition(&target, where_clause)?;
        let columns = self.returning(&target, returning_clause.as_mut(), from_clause)?;
        if self.targets.pop().is_some_and(|(_, read)| read) || returning_clause.is_some() {
            self.need_select(&target);
        }
        self.scopes.pop();
        Ok(columns)
    }

    /// DELETE.
    pub(super) fn delete(&mut self, statement: &mut DeleteStmt) -> Result<Columns, ResolveError> {
        let DeleteStmt { relation, using_clause, where_clause, returning_clause, with_clause } = statement;
        self.scopes.push();
        self.with(with_clause.as_mut())?;
        let target = self.target(relation.as_mut(), Access::Write)?;
        self.targets.push((target.alias.clone(), false));
        using_clause.iter_mut().try_for_each(|item| self.source_item(item))?;
        self.condition(&target, where_clause)?;
        let columns = self.returning(&target, returning_clause.as_mut(), using_clause)?;
        if self.targets.pop().is_some_and(|(_, read)| read) || returning_clause.is_some() {
            self.need_select(&target);
        }
        self.scopes.pop();
        Ok(columns)
    }

    pub(super) fn note_target_columns(&mut self, target: &Target, columns: &[Node]) {
        let names: Vec<String> = columns.iter().filter_map(named).map(str::to_owned).collect();
        self.requirements.note_columns(Privilege::Modify, Securable::Relation(target.found.relation.oid), &names);
    }

    /// The column list of INSERT and the SET list of UPDATE: masked columns become their raw ones.
    pub(super) fn assignments(&mut self, target: &Target, columns: &mut [Node]) -> Result<(), ResolveError> {
        let mut shared = None;
        let names: Vec<String> = columns.iter().filter_map(named).map(str::to_owned).collect();
        for (index, column) in columns.iter_mut().enumerate() {
            let Some(Kind::ResTarget(column)) = column.node.as_mut() else { return Err(ResolveError::misplaced("assignment")) };
            let ResTarget { name, indirection, val, location } = &mut **column;
            if target.twin().is_some() && target.found.relation.column(name).is_none() {
                return Err(ResolveError::UndefinedColumn {
                    column: name.clone(),
                    relation: target.found.relation.name.to_string(),
                    position: offset(*location),
                });
            }
            if target.masks(name) {
                if !indirection.is_empty() {
                    return Err(ResolveError::unsupported(format!("assigning to a part of column \"{name}\""), offset(*location))
                        .because("The column has a mask."));
                }
                let raw = GovernedTable::raw_column(name);
                self.replace_name_token(*location, &raw)?;
                *name = raw;
            }
            for step in indirection.iter_mut() {
                self.expression(step)?;
            }
            match val.as_deref_mut().and_then(|node| node.node.as_mut()) {
                // `(a, b) = source`: the text has the source once, the tree has it once for each column.
                Some(Kind::MultiAssignRef(part)) if part.colno > 1 => part.source.clone_from(&shared),
                Some(Kind::MultiAssignRef(part)) => {
                    self.optional(&mut part.source)?;
                    if let Some(Kind::RowExpr(row)) = part.source.as_deref_mut().and_then(|node| node.node.as_mut()) {
                        for (value, column) in row.args.iter_mut().zip(names.iter().skip(index)) {
                            self.spell_default(target, column, value)?;
                        }
                    }
                    shared.clone_from(&part.source);
                }
                _ => {
                    self.optional(val)?;
                    if let (Some(value), Some(column)) = (val.as_deref_mut(), names.get(index)) {
                        self.spell_default(target, column, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a quoted identifier in the place of the one at a location.
    pub(super) fn replace_name_token(&mut self, location: i32, by: &str) -> Result<(), ResolveError> {
        let tokens = self.tokens();
        let range = tokens
            .at(location)
            .filter(|index| tokens.get(*index).is_some_and(|t| t.kind.is_name()))
            .and_then(|index| tokens.range(index, tokens.after_token(index)))
            .ok_or(ResolveError::misplaced("location"))?;
        self.edit(range, quote_identifier(by));
        Ok(())
    }

    fn condition(&mut self, target: &Target, condition: &mut Option<Box<Node>>) -> Result<(), ResolveError> {
        if let Some(Kind::CurrentOfExpr(_)) = condition.as_deref().and_then(|n| n.node.as_ref())
            && !target.in_place
        {
            return Err(ResolveError::unsupported(format!("WHERE CURRENT OF on \"{}\"", target.found.relation.name), None)
                .because("The table has column masks, or a row filter that is enforced by a view."));
        }
        self.optional(condition)
    }
}

/// The column of an assignment.
fn named(node: &Node) -> Option<&str> {
    match node.node.as_ref() {
        Some(Kind::ResTarget(column)) => Some(&column.name),
        _ => None,
    }
}

/// The constants and parameters that an INSERT of a single row brings, by column.
fn given(target: &Target, columns: &[Node], source: Option<&Node>) -> Vec<Proposed> {
    let rows = match source.and_then(|node| node.node.as_ref()) {
        Some(Kind::SelectStmt(select)) => select.values_lists.as_slice(),
        _ => &[],
    };
    let [only] = rows else { return Vec::new() };
    let Some(Kind::List(row)) = only.node.as_ref() else { return Vec::new() };
    let listed: Vec<String> =
        if columns.is_empty() { target.found.columns() } else { columns.iter().filter_map(named).map(str::to_owned).collect() };
    let proposed = |(name, value): (String, &Node)| {
        let type_sql = target.found.relation.column(&name)?.type_sql.clone();
        let plain = matches!(value.node.as_ref(), Some(Kind::AConst(_) | Kind::ParamRef(_)));
        plain.then(|| Proposed { column: name, type_sql, value: value.clone() })
    };
    listed.into_iter().zip(&row.items).filter_map(proposed).collect()
}
