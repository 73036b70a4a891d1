//! Administrators' statements that define or maintain objects: run upstream with owner's rights, so every query inside them
//! reads governed views, and every name is written in full. What is not listed is refused.

mod body;
mod executor;
mod fill;
mod names;
mod objects;
mod tables;

#[cfg(test)]
mod tests;

pub(super) use names::object_strings;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, ViewStmt};

use super::ResolveError;
use super::select::Columns;
use super::walk::{Purpose, Walk};
use crate::sql::parse::command_tag;
use crate::sql::{Effect, Executor, Owned, StatementKind};

const DEFINES: Effect = owned(true, true);
const MAINTAINS: Effect = owned(true, false);
const ALONE: Effect = owned(false, true);

/// Who runs it and its tag are said at the end, for all kinds alike.
const fn owned(transactional: bool, ddl: bool) -> Effect {
    Effect::AsOwner(Owned { transactional, ddl, by: Executor::Owner, tag: "", fill: None })
}

impl<'a> Walk<'a> {
    /// Resolves an administrator's statement.
    pub(super) fn define_or_maintain(&mut self, kind: StatementKind, tree: &mut Node) -> Result<Effect, ResolveError> {
        let mut effect = self.defined(kind, tree)?;
        if let Effect::AsOwner(owned) = &mut effect {
            if owned.tag.is_empty() {
                owned.tag = tree.node.as_ref().map_or("", command_tag);
            }
            owned.by = tree.node.as_ref().map_or(Executor::Owner, |node| self.executor(node));
        }
        Ok(effect)
    }

    fn defined(&mut self, kind: StatementKind, tree: &mut Node) -> Result<Effect, ResolveError> {
        self.aliases = false;
        self.bare_identity = true;
        self.defining = !self.temporary;
        match tree.node.as_mut() {
            Some(Kind::CreateTableAsStmt(inner)) => self.create_table_as(inner),
            Some(Kind::ViewStmt(inner)) => self.create_view(inner),
            Some(Kind::CreateStmt(inner)) => self.create_table(inner),
            Some(Kind::AlterTableStmt(inner)) => self.alter_table(inner),
            Some(Kind::IndexStmt(inner)) => self.create_index(inner),
            Some(Kind::CreateSeqStmt(inner)) => self.create_sequence(inner),
            Some(Kind::AlterSeqStmt(inner)) => self.alter_sequence(inner),
            Some(Kind::CreateTrigStmt(inner)) => self.create_trigger(inner),
            Some(Kind::CreateStatsStmt(inner)) => self.create_statistics(inner),
            Some(Kind::CreateFunctionStmt(inner)) => self.create_function(inner),
            Some(Kind::AlterFunctionStmt(inner)) => self.alter_function(inner),
            Some(Kind::CreateSchemaStmt(inner)) => self.create_schema(inner),
            Some(Kind::CompositeTypeStmt(inner)) => self.create_composite(inner),
            Some(Kind::CreateEnumStmt(inner)) => self.named_type(&mut inner.type_name, &mut []),
            Some(Kind::CreateRangeStmt(inner)) => self.named_type(&mut inner.type_name, &mut inner.params),
            Some(Kind::AlterEnumStmt(inner)) => self.named_type(&mut inner.type_name, &mut []),
            Some(Kind::AlterTypeStmt(inner)) => self.named_type(&mut inner.type_name, &mut inner.options),
            Some(Kind::DefineStmt(inner)) => self.define(inner),
            Some(Kind::CreateDomainStmt(inner)) => self.create_domain(inner),
            Some(Kind::AlterDomainStmt(inner)) => self.alter_domain(inner),
            Some(Kind::DropStmt(inner)) => self.drop(inner),
            Some(Kind::RenameStmt(inner)) => self.rename(inner),
            Some(Kind::AlterObjectSchemaStmt(inner)) => self.set_schema(inner),
            Some(Kind::CommentStmt(inner)) => self.comment(inner),
            Some(Kind::TruncateStmt(inner)) => self.existing_all(&mut inner.relations).map(|()| MAINTAINS),
            Some(Kind::LockStmt(inner)) => self.existing_all(&mut inner.relations).map(|()| MAINTAINS),
            Some(Kind::VacuumStmt(inner)) => self.vacuum(inner),
            Some(Kind::ClusterStmt(inner)) => self.cluster(inner),
            Some(Kind::ReindexStmt(inner)) => self.reindex(inner),
            Some(Kind::RefreshMatViewStmt(inner)) => {
                let relation = inner.relation.as_mut().ok_or(ResolveError::misplaced("REFRESH"))?;
                self.existing(relation, false)?;
                Ok(MAINTAINS)
            }
            _ => Err(ResolveError::unsupported(kind.label(), None).instead("Run it on the upstream itself.")),
        }
    }

    /// A query inside the statement.
    pub(super) fn inner_query(&mut self, query: &mut Node, purpose: Purpose<'a>) -> Result<Columns, ResolveError> {
        let outer = (self.purpose, self.aliases, self.bare_identity);
        (self.purpose, self.aliases, self.bare_identity) = (purpose, true, false);
        let columns = self.query(query);
        (self.purpose, self.aliases, self.bare_identity) = outer;
        columns
    }

    /// CREATE VIEW: upstream it will belong to a role for which row security holds.
    fn create_view(&mut self, statement: &mut ViewStmt) -> Result<Effect, ResolveError> {
        let ViewStmt { view, aliases: _, query, replace: _, options, with_check_option: _ } = statement;
        let query = query.as_deref_mut().ok_or(ResolveError::misplaced("CREATE VIEW"))?;
        if !matches!(query.node, Some(Kind::SelectStmt(_))) {
            return Err(ResolveError::misplaced("CREATE VIEW"));
        }
        self.inner_query(query, Purpose::Definition)?;
        let temporary = |oid: &crate::policy::Oid| self.ground.footing.catalog.relation(*oid).is_some_and(|r| r.temporary);
        if self.log.iter().any(temporary) {
            return Err(ResolveError::unsupported("a view over a temporary table", None));
        }
        self.create_name(view.as_mut())?;
        self.definitions(options)?;
        Ok(DEFINES)
    }
}
