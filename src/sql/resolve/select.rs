//! Queries: SELECT in all its forms, VALUES, TABLE, WITH, set operations.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    CommonTableExpr, LockClauseStrength, LockingClause, Node, SelectStmt, SetOperation, WindowDef, WithClause,
};

use super::ResolveError;
use super::error::Mistake;
use super::names::{offset, string};
use super::scope::Cte;
use super::walk::Walk;
use crate::catalog::Governed;
use crate::policy::Privilege;

/// The columns of a query's result, where they are known.
pub(in crate::sql) type Columns = Option<Vec<String>>;

impl Walk<'_> {
    /// Any statement that a CTE, a cursor, PREPARE, EXPLAIN or COPY can hold.
    pub(super) fn query(&mut self, node: &mut Node) -> Result<Columns, ResolveError> {
        match node.node.as_mut() {
            Some(Kind::SelectStmt(inner)) => self.select(inner),
            Some(Kind::InsertStmt(inner)) => self.insert(inner),
            Some(Kind::UpdateStmt(inner)) => self.update(inner),
            Some(Kind::DeleteStmt(inner)) => self.delete(inner),
            Some(Kind::MergeStmt(inner)) => self.merge(inner),
            _ => Err(ResolveError::misplaced("query")),
        }
    }

    /// A SELECT, VALUES, TABLE or set operation.
    pub(in crate::sql) fn select(&mut self, select: &mut SelectStmt) -> Result<Columns, ResolveError> {
        let SelectStmt {
            distinct_clause,
            into_clause,
            target_list,
            from_clause,
            where_clause,
            group_clause,
            group_distinct: _,
            having_clause,
            window_clause,
            values_lists,
            sort_clause,
            limit_offset,
            limit_count,
            limit_option: _,
            locking_clause,
            with_clause,
            op,
            all: _,
            larg,
            rarg,
        } = select;
        let into_open = std::mem::take(&mut self.into_open);
        if let Some(into) = into_clause.as_deref().filter(|_| !into_open) {
            return Err(ResolveError::Refused {
                message: "SELECT ... INTO is not allowed here".to_owned(),
                mistake: Mistake::Syntax,
                position: into.rel.as_ref().and_then(|name| offset(name.location)),
            });
        }
        self.scopes.push();
        self.with(with_clause.as_mut())?;
        let columns = match SetOperation::try_from(*op) {
            Ok(SetOperation::SetopNone) => {
                self.expressions(values_lists)?;
                from_clause.iter_mut().try_for_each(|item| self.source_item(item))?;
                self.locking(locking_clause)?;
                let keyed = self.keyed_groups(group_clause, target_list);
                self.expressions(target_list)?;
                self.optional(where_clause)?;
                self.expressions(group_clause)?;
                self.optional(having_clause)?;
                self.expressions(window_clause)?;
                self.expressions(distinct_clause)?;
                let columns = output_columns(target_list, values_lists);
                self.expressions(sort_clause)?;
                self.complete_groups(keyed, group_clause)?;
                columns
            }
            Ok(SetOperation::SetopUnion | SetOperation::SetopIntersect | SetOperation::SetopExcept) => {
                if let Some(strength) = locking_clause.first().and_then(strength) {
                    let message = format!("{strength} is not allowed with UNION/INTERSECT/EXCEPT");
                    return Err(ResolveError::Refused { message, mistake: Mistake::Feature, position: None });
                }
                let left = match larg.as_deref_mut() {
                    Some(left) => {
                        self.into_open = into_open;
                        self.select(left)?
                    }
                    None => return Err(ResolveError::misplaced("set operation")),
                };
                self.into_open = false;
                match rarg.as_deref_mut() {
                    Some(right) => self.select(right)?,
                    None => return Err(ResolveError::misplaced("set operation")),
                };
                self.expressions(sort_clause)?;
                left
            }
            Ok(SetOperation::Undefined) | Err(_) => return Err(ResolveError::misplaced("set operation")),
        };
        self.optional(limit_offset)?;
        self.optional(limit_count)?;
        self.scopes.pop();
        Ok(columns)
    }

    /// WITH: a plain one sees earlier siblings only, a recursive one sees all.
    pub(super) fn with(&mut self, with: Option<&mut WithClause>) -> Result<(), ResolveError> {
        let Some(WithClause { ctes, recursive, location: _ }) = with else { return Ok(()) };
        if *recursive {
            for cte in ctes.iter() {
                let Some(Kind::CommonTableExpr(cte)) = cte.node.as_ref() else { return Err(ResolveError::misplaced("CTE")) };
                let known = Cte { name: cte.ctename.clone(), columns: None };
                self.scopes.top().ctes.push(known);
            }
        }
        let names: Vec<String> = ctes.iter().map(cte_name).collect();
        for (at, cte) in ctes.iter_mut().enumerate() {
            let Some(Kind::CommonTableExpr(cte)) = cte.node.as_mut() else { return Err(ResolveError::misplaced("CTE")) };
            if *recursive && locks_recursion(cte) {
                return Err(ResolveError::Refused {
                    message: "FOR UPDATE/SHARE in a recursive query is not implemented".to_owned(),
                    mistake: Mistake::Feature,
                    position: None,
                });
            }
            let known = self.cte(cte).map_err(|error| if *recursive { error } else { error.before(&names[at..]) })?;
            if !*recursive {
                self.scopes.top().ctes.push(known);
            }
        }
        Ok(())
    }

    fn cte(&mut self, cte: &mut CommonTableExpr) -> Result<Cte, ResolveError> {
        let CommonTableExpr {
            ctename,
            aliascolnames,
            ctematerialized: _,
            ctequery,
            search_clause,
            cycle_clause,
            location: _,
            cterecursive: _,
            cterefcount: _,
            ctecolnames: _,
            ctecoltypes: _,
            ctecoltypmods: _,
            ctecolcollations: _,
        } = cte;
        let columns = match ctequery.as_deref_mut() {
            Some(query) => self.query(query)?,
            None => return Err(ResolveError::misplaced("CTE")),
        };
        let extended = search_clause.is_some() || cycle_clause.is_some();
        if let Some(cycle) = cycle_clause.as_deref_mut() {
            self.optional(&mut cycle.cycle_mark_value)?;
            self.optional(&mut cycle.cycle_mark_default)?;
        }
        let columns = if extended { None } else { renamed(columns, aliascolnames) };
        Ok(Cte { name: ctename.clone(), columns })
    }

    /// FOR UPDATE and its like: what is locked needs MODIFY.
    fn locking(&mut self, clauses: &mut [Node]) -> Result<(), ResolveError> {
        for clause in clauses {
            let Some(Kind::LockingClause(LockingClause { locked_rels, strength: _, wait_policy: _ })) = clause.node.as_ref() else {
                return Err(ResolveError::misplaced("locking clause"));
            };
            let names: Vec<&str> = locked_rels
                .iter()
                .map(|n| match n.node.as_ref() {
                    Some(Kind::RangeVar(name)) => Ok(name.relname.as_str()),
                    _ => Err(ResolveError::misplaced("locking clause")),
                })
                .collect::<Result<_, _>>()?;
            let ranges: Vec<_> = self
                .scopes
                .top()
                .items
                .iter()
                .filter(|item| names.is_empty() || names.contains(&item.alias.as_str()))
                .map(|item| item.read.clone())
                .collect();
            let locked: Vec<_> = ranges.into_iter().flat_map(|range| self.log.get(range).unwrap_or_default().to_vec()).collect();
            for oid in locked {
                if matches!(self.ground.footing.governed(oid), Some(Governed::View { .. })) {
                    return Err(ResolveError::unsupported("FOR UPDATE and its like here", None)
                        .because("A view in FROM reads tables under a row filter or mask."));
                }
                if let Some(relation) = self.ground.footing.catalog.relation(oid) {
                    self.need_relation(relation, self.holder(), Privilege::Modify);
                }
            }
        }
        Ok(())
    }

    /// OVER (…).
    pub(super) fn window(&mut self, window: &mut WindowDef) -> Result<(), ResolveError> {
        let WindowDef {
            name: _,
            refname: _,
            partition_clause,
            order_clause,
            frame_options: _,
            start_offset,
            end_offset,
            location: _,
        } = window;
        self.expressions(partition_clause)?;
        self.expressions(order_clause)?;
        self.optional(start_offset)?;
        self.optional(end_offset)
    }
}

/// Column names after an alias's column list: the list may be shorter than the columns.
pub(super) fn renamed(columns: Columns, names: &[Node]) -> Columns {
    let names: Vec<String> = names.iter().filter_map(string).map(str::to_owned).collect();
    match columns {
        None if names.is_empty() => None,
        // How many columns there are is not known, so that others may follow the named ones.
        None => None,
        Some(mut columns) => {
            for (column, name) in columns.iter_mut().zip(names) {
                *column = name;
            }
            Some(columns)
        }
    }
}

fn output_columns(targets: &[Node], values: &[Node]) -> Columns {
    if let Some(first) = values.first() {
        let Some(Kind::List(row)) = first.node.as_ref() else { return None };
        return Some((1..=row.items.len()).map(|n| format!("column{n}")).collect());
    }
    targets
        .iter()
        .map(|target| match target.node.as_ref() {
            Some(Kind::ResTarget(target)) if !target.name.is_empty() => Some(target.name.clone()),
            Some(Kind::ResTarget(target)) => match target.val.as_deref().and_then(|n| n.node.as_ref()) {
                Some(Kind::ColumnRef(column)) => column.fields.last().and_then(string).map(str::to_owned),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

fn cte_name(cte: &Node) -> String {
    match cte.node.as_ref() {
        Some(Kind::CommonTableExpr(cte)) => cte.ctename.clone(),
        _ => String::new(),
    }
}

fn locks_recursion(cte: &CommonTableExpr) -> bool {
    match cte.ctequery.as_deref().and_then(|query| query.node.as_ref()) {
        Some(Kind::SelectStmt(query)) => !query.locking_clause.is_empty() && query.larg.is_some(),
        _ => false,
    }
}

/// How a locking clause is called.
fn strength(clause: &Node) -> Option<&'static str> {
    let Some(Kind::LockingClause(clause)) = clause.node.as_ref() else { return None };
    Some(match LockClauseStrength::try_from(clause.strength) {
        Ok(LockClauseStrength::LcsForkeyshare) => "FOR KEY SHARE",
        Ok(LockClauseStrength::LcsForshare) => "FOR SHARE",
        Ok(LockClauseStrength::LcsFornokeyupdate) => "FOR NO KEY UPDATE",
        Ok(LockClauseStrength::LcsForupdate | LockClauseStrength::LcsNone | LockClauseStrength::Undefined) | Err(_) => "FOR UPDATE",
    })
}
