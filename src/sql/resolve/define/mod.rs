//! Statements that define or maintain objects: what they need, and who runs them upstream.
//!
//! They run with an owner's rights, so every query inside them reads governed views, every name is written in full, and for others
//! than administrators whatever they would evaluate calls built-in functions only. What is not listed is refused.

mod body;
mod fill;
mod foreign;
mod maintain;
mod names;
mod needs;
mod objects;
mod others;
mod rules;
mod schemas;
mod tables;
mod types;
mod views;

#[cfg(test)]
mod tests;

pub(super) use names::object_strings;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::Node;

use super::ResolveError;
use super::select::Columns;
use super::walk::{Purpose, Walk};
use crate::sql::parse::command_tag;
use crate::sql::{Effect, Executor, Owned, StatementKind};

const DEFINES: Effect = owned(None, true);
const MAINTAINS: Effect = owned(None, false);

/// Who runs it and its tag are said at the end, for all kinds alike.
const fn owned(alone: Option<&'static str>, ddl: bool) -> Effect {
    Effect::AsOwner(Owned { alone, ddl, by: Executor::Ddl, tag: "", fill: None })
}

impl<'a> Walk<'a> {
    /// Resolves a statement that defines or maintains objects.
    pub(super) fn define_or_maintain(&mut self, kind: StatementKind, tree: &mut Node) -> Result<Effect, ResolveError> {
        self.by = Executor::Ddl;
        self.aliases = false;
        self.bare_identity = true;
        self.defining = !self.temporary;
        self.builtins_only = self.defining && !self.ground.admin;
        let tag = tree.node.as_ref().map_or("", command_tag);
        let mut effect = self.defined(kind, tree)?;
        if let Effect::AsOwner(owned) = &mut effect {
            owned.by = self.by;
            if owned.tag.is_empty() {
                owned.tag = tag;
            }
        }
        Ok(effect)
    }

    fn defined(&mut self, kind: StatementKind, tree: &mut Node) -> Result<Effect, ResolveError> {
        match tree.node.as_mut() {
            Some(Kind::SelectStmt(_)) => self.select_into(tree),
            Some(Kind::CreateTableAsStmt(inner)) => self.create_table_as(inner),
            Some(Kind::ViewStmt(inner)) => self.create_view(inner),
            Some(Kind::CreateStmt(inner)) => self.create_table(inner),
            Some(Kind::AlterTableStmt(inner)) => self.alter_table(inner),
            Some(Kind::IndexStmt(inner)) => self.create_index(inner),
            Some(Kind::CreateSeqStmt(inner)) => self.create_sequence(inner),
            Some(Kind::AlterSeqStmt(inner)) => self.alter_sequence(inner),
            Some(Kind::CreateTrigStmt(inner)) => self.create_trigger(inner),
            Some(Kind::RuleStmt(inner)) => self.create_rule(inner),
            Some(Kind::CreateStatsStmt(inner)) => self.create_statistics(inner),
            Some(Kind::AlterStatsStmt(inner)) => self.alter_statistics(inner),
            Some(Kind::CreateFunctionStmt(inner)) => self.create_function(inner),
            Some(Kind::AlterFunctionStmt(inner)) => self.alter_function(inner),
            Some(Kind::CreateSchemaStmt(inner)) => self.create_schema(inner),
            Some(Kind::CompositeTypeStmt(inner)) => self.create_composite(inner),
            Some(Kind::CreateEnumStmt(inner)) => self.create_enum(inner),
            Some(Kind::CreateRangeStmt(inner)) => self.create_range(inner),
            Some(Kind::AlterEnumStmt(inner)) => self.alter_enum(inner),
            Some(Kind::AlterTypeStmt(inner)) => self.alter_type(inner),
            Some(Kind::CreateDomainStmt(inner)) => self.create_domain(inner),
            Some(Kind::AlterDomainStmt(inner)) => self.alter_domain(inner),
            Some(Kind::DropStmt(inner)) => self.drop(inner),
            Some(Kind::RenameStmt(inner)) => self.rename(inner),
            Some(Kind::AlterObjectSchemaStmt(inner)) => self.set_schema(inner),
            Some(Kind::CommentStmt(inner)) => self.comment(inner),
            Some(Kind::TruncateStmt(inner)) => self.truncate(inner),
            Some(Kind::LockStmt(inner)) => self.lock(inner),
            Some(Kind::VacuumStmt(inner)) => self.vacuum(inner),
            Some(Kind::ClusterStmt(inner)) => self.cluster(inner),
            Some(Kind::ReindexStmt(inner)) => self.reindex(inner),
            Some(Kind::RefreshMatViewStmt(inner)) => self.refresh(inner),
            Some(Kind::DefineStmt(inner)) => self.define_other(inner),
            Some(Kind::CreateCastStmt(inner)) => self.create_cast(inner),
            Some(Kind::AlterOperatorStmt(inner)) => self.alter_operator(inner),
            Some(Kind::AlterCollationStmt(inner)) => self.dotted_name(&inner.collname).map(|()| DEFINES),
            Some(Kind::AlterTsdictionaryStmt(inner)) => self.alter_dictionary(inner),
            Some(Kind::AlterTsconfigurationStmt(inner)) => self.alter_configuration(inner),
            Some(Kind::CreateForeignServerStmt(inner)) => self.create_server(inner),
            Some(Kind::AlterForeignServerStmt(inner)) => self.alter_server(inner),
            Some(Kind::CreateUserMappingStmt(inner)) => self.user_mapping(inner.user.as_ref(), &inner.options),
            Some(Kind::AlterUserMappingStmt(inner)) => self.user_mapping(inner.user.as_ref(), &inner.options),
            Some(Kind::DropUserMappingStmt(inner)) => self.user_mapping(inner.user.as_ref(), &[]),
            Some(Kind::CreateForeignTableStmt(inner)) => self.create_foreign_table(inner),
            Some(Kind::ImportForeignSchemaStmt(inner)) => self.import_foreign_schema(inner),
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

    /// Functions outside pg_catalog may be called in what `within` walks: it runs with the rights of whoever asks later on.
    fn with_functions<T>(&mut self, within: impl FnOnce(&mut Self) -> Result<T, ResolveError>) -> Result<T, ResolveError> {
        let outer = std::mem::replace(&mut self.builtins_only, false);
        let done = within(self);
        self.builtins_only = outer;
        done
    }
}
