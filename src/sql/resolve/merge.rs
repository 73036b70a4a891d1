//! MERGE: into tables themselves, and into views where PostgreSQL can.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{CmdType, MergeStmt, MergeWhenClause, Node};

use super::ResolveError;
use super::names::offset;
use super::relations::Access;
use super::select::Columns;
use super::walk::Walk;
use super::write::Target;

impl Walk<'_> {
    /// MERGE.
    pub(super) fn merge(&mut self, statement: &mut MergeStmt) -> Result<Columns, ResolveError> {
        let MergeStmt { relation, source_relation, join_condition, merge_when_clauses, returning_clause, with_clause } = statement;
        let position = relation.as_ref().and_then(|r| offset(r.location));
        self.scopes.push();
        self.with(with_clause.as_mut())?;
        let target = self.target(relation.as_mut(), Access::Write)?;
        self.may_merge(&target, merge_when_clauses, position)?;
        match source_relation.as_deref_mut() {
            Some(source) => self.source_item(source)?,
            None => return Err(ResolveError::misplaced("MERGE without a source")),
        }
        self.optional(join_condition)?;
        for clause in merge_when_clauses.iter_mut() {
            let Some(Kind::MergeWhenClause(clause)) = clause.node.as_mut() else {
                return Err(ResolveError::misplaced("MERGE clause"));
            };
            let MergeWhenClause { match_kind: _, command_type: _, r#override: _, condition, target_list, values } = &mut **clause;
            self.optional(condition)?;
            self.note_target_columns(&target, target_list);
            self.assignments(&target, target_list)?;
            self.expressions(values)?;
        }
        self.need_select(&target);
        let sources: Vec<Node> = source_relation.as_deref().cloned().into_iter().collect();
        let columns = self.returning(&target, returning_clause.as_mut(), &sources)?;
        self.scopes.pop();
        Ok(columns)
    }

    fn may_merge(&self, target: &Target, clauses: &[Node], position: Option<usize>) -> Result<(), ResolveError> {
        if target.in_place && !target.by_view() {
            return Ok(());
        }
        let refused =
            |what: String, why: &str| Err(ResolveError::unsupported(what, position).because(why).instead("Use INSERT and UPDATE."));
        let name = &target.found.relation.name;
        if self.ground.footing.catalog.server_version < MERGES_INTO_VIEWS {
            return refused(
                format!("MERGE into \"{name}\""),
                "The table has column masks, or a row filter that is enforced by a view.",
            );
        }
        let inserts = clauses.iter().any(|clause| match clause.node.as_ref() {
            Some(Kind::MergeWhenClause(clause)) => {
                !matches!(CmdType::try_from(clause.command_type), Ok(CmdType::CmdUpdate | CmdType::CmdDelete | CmdType::CmdNothing))
            }
            _ => true,
        });
        // What may both insert into and update such a view takes over the rows that it hides.
        if target.by_view() && inserts {
            return refused(format!("MERGE with INSERT into \"{name}\""), "The table's row filter is enforced by a view.");
        }
        Ok(())
    }
}

/// From this version on, MERGE takes views.
const MERGES_INTO_VIEWS: i32 = 170_000;
