//! Which role runs a statement upstream when the session is no administrator's.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, RangeVar};

use crate::catalog::Relation;
use crate::sql::Executor;
use crate::sql::resolve::names::strings;
use crate::sql::resolve::walk::Walk;

impl Walk<'_> {
    /// `pgusher_ddl` makes what is new and changes what it owns; everything else is `pgusher_owner`'s.
    pub(super) fn executor(&self, statement: &Kind) -> Executor {
        let ours = match statement {
            Kind::CreateStmt(inner) => {
                let copied = inner.table_elts.iter().filter_map(|element| match element.node.as_ref() {
                    Some(Kind::TableLikeClause(like)) => Some(like.relation.as_ref()),
                    Some(_) | None => None,
                });
                copied.chain(inner.inh_relations.iter().map(range)).all(|name| self.definers(name))
            }
            Kind::CreateTableAsStmt(_)
            | Kind::CreateSeqStmt(_)
            | Kind::CompositeTypeStmt(_)
            | Kind::CreateEnumStmt(_)
            | Kind::CreateRangeStmt(_)
            | Kind::CreateDomainStmt(_)
            | Kind::CreateFunctionStmt(_)
            | Kind::DefineStmt(_) => true,
            Kind::ViewStmt(inner) => inner.view.as_ref().is_none_or(|name| self.look_up(name).is_err()),
            Kind::IndexStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::AlterTableStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::AlterSeqStmt(inner) => self.definers(inner.sequence.as_ref()),
            Kind::CreateTrigStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::CreateStatsStmt(inner) => inner.relations.iter().map(range).all(|name| self.definers(name)),
            Kind::TruncateStmt(inner) => inner.relations.iter().map(range).all(|name| self.definers(name)),
            Kind::LockStmt(inner) => inner.relations.iter().map(range).all(|name| self.definers(name)),
            Kind::ClusterStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::ReindexStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::RefreshMatViewStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::RenameStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::AlterObjectSchemaStmt(inner) => self.definers(inner.relation.as_ref()),
            Kind::VacuumStmt(inner) => inner.rels.iter().all(|named| match named.node.as_ref() {
                Some(Kind::VacuumRelation(inner)) => self.definers(inner.relation.as_ref()),
                Some(_) | None => false,
            }),
            Kind::DropStmt(inner) => inner.objects.iter().all(|object| self.named_definers(object)),
            Kind::CommentStmt(inner) => inner.object.as_deref().is_some_and(|object| self.named_definers(object)),
            _ => false,
        };
        if ours { Executor::Ddl } else { Executor::Owner }
    }

    fn definers(&self, name: Option<&RangeVar>) -> bool {
        name.and_then(|name| self.look_up(name).ok()).is_some_and(owned)
    }

    /// The same of a relation in a list of names; everything else is not looked up.
    fn named_definers(&self, object: &Node) -> bool {
        let Some(Kind::List(list)) = object.node.as_ref() else { return false };
        let Ok(names) = strings(&list.items) else { return false };
        let [schema, name] = &names[..] else { return false };
        let wanted = RangeVar { schemaname: schema.clone(), relname: name.clone(), location: -1, ..RangeVar::default() };
        self.definers(Some(&wanted))
    }
}

fn range(node: &Node) -> Option<&RangeVar> {
    match node.node.as_ref() {
        Some(Kind::RangeVar(name)) => Some(name),
        Some(_) | None => None,
    }
}

fn owned(relation: &Relation) -> bool {
    relation.owner.as_str() == DEFINER
}

/// The upstream role that owns what others than administrators make.
const DEFINER: &str = "pgusher_ddl";
