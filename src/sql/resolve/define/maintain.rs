//! TRUNCATE, LOCK, and maintenance by owners.

use std::collections::HashSet;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{ClusterStmt, DropBehavior, LockStmt, ReindexObjectType, ReindexStmt, TruncateStmt, VacuumStmt};

use super::needs::Need;
use super::{MAINTAINS, owned};
use crate::catalog::{Governed, Relation, RelationKind};
use crate::policy::{Holder, Level, Oid, Privilege, Securable};
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::walk::Walk;

/// ACCESS SHARE of `lockdefs.h`: what SELECT takes.
const ACCESS_SHARE: i32 = 1;

impl<'a> Walk<'a> {
    /// MODIFY; ownership where rows are hidden, which would go too. CASCADE needs the same of every table that refers to it.
    pub(super) fn truncate(&mut self, statement: &mut TruncateStmt) -> Result<Effect, ResolveError> {
        let cascades = DropBehavior::try_from(statement.behavior) == Ok(DropBehavior::DropCascade);
        let catalog = &self.ground.footing.catalog;
        let mut seen: HashSet<(Oid, bool)> = HashSet::new();
        for item in &mut statement.relations {
            let Some(Kind::RangeVar(name)) = item.node.as_mut() else { return Err(ResolveError::misplaced("TRUNCATE")) };
            let Some(relation) = self.written_in_full(name, false)? else { continue };
            // PostgreSQL asks for no rights on children; here those are asked about that hide rows.
            let mut open = vec![(relation.oid, name.inh, true)];
            while let Some((oid, inherits, asked)) = open.pop() {
                let Some(relation) = catalog.relation(oid).filter(|_| seen.insert((oid, asked))) else { continue };
                if asked || self.hides(oid) {
                    self.need_truncating(relation)?;
                }
                if inherits {
                    open.extend(catalog.children(oid).iter().map(|child| (*child, true, false)));
                }
                if cascades {
                    open.extend(catalog.referencing(oid).iter().map(|referring| (*referring, true, true)));
                }
            }
        }
        Ok(MAINTAINS)
    }

    fn hides(&self, oid: Oid) -> bool {
        match self.ground.footing.governed(oid) {
            Some(Governed::Table(table)) => table.filtered,
            Some(Governed::Refused(_)) => true,
            Some(Governed::View { .. } | Governed::Derived) | None => false,
        }
    }

    fn need_truncating(&mut self, relation: &'a Relation) -> Result<(), ResolveError> {
        if relation.temporary {
            return self.need_on(relation, Need::Own);
        }
        self.is_of(relation);
        let level = if self.hides(relation.oid) { Level::Ownership } else { Level::Privilege };
        let (on, label) = (Securable::Relation(relation.oid), relation.name.as_str());
        self.requirements.need_at(level, Privilege::Modify, on, Some(relation.schema), label, relation.kind.noun());
        Ok(())
    }

    /// SELECT for the lock that reading takes, MODIFY for the others; of what a view reads, its owner.
    pub(super) fn lock(&mut self, statement: &mut LockStmt) -> Result<Effect, ResolveError> {
        let privilege = if statement.mode == ACCESS_SHARE { Privilege::Select } else { Privilege::Modify };
        for item in &mut statement.relations {
            let Some(Kind::RangeVar(name)) = item.node.as_mut() else { return Err(ResolveError::misplaced("LOCK")) };
            if let Some(relation) = self.written_in_full(name, false)? {
                if relation.temporary {
                    self.need_on(relation, Need::Own)?;
                }
                self.is_of(relation);
                self.need_relation(relation, Holder::Session, privilege);
            }
        }
        Ok(MAINTAINS)
    }

    /// VACUUM stands alone; ANALYZE may stand in a transaction.
    pub(super) fn vacuum(&mut self, statement: &mut VacuumStmt) -> Result<Effect, ResolveError> {
        if statement.rels.is_empty() {
            let what = if statement.is_vacuumcmd { "VACUUM" } else { "ANALYZE" };
            self.admins_only(what, "Without a table it is about everybody's tables: name your own.")?;
        }
        for relation in &mut statement.rels {
            match relation.node.as_mut() {
                Some(Kind::VacuumRelation(inner)) => match inner.relation.as_mut() {
                    Some(name) => {
                        self.existing(name, false, Need::Own)?;
                    }
                    None => return Err(ResolveError::misplaced("VACUUM")),
                },
                _ => return Err(ResolveError::misplaced("VACUUM")),
            }
        }
        Ok(owned(statement.is_vacuumcmd.then_some("VACUUM"), false))
    }

    pub(super) fn cluster(&mut self, statement: &mut ClusterStmt) -> Result<Effect, ResolveError> {
        match statement.relation.as_mut() {
            Some(name) => {
                let relation = self.existing(name, false, Need::Own)?;
                let partitioned = relation.is_some_and(|relation| self.in_parts(relation));
                Ok(owned(partitioned.then_some("CLUSTER"), false))
            }
            None => {
                self.admins_only("CLUSTER", "Without a table it is about everybody's tables: name your own.")?;
                Ok(owned(Some("CLUSTER"), false))
            }
        }
    }

    pub(super) fn reindex(&mut self, statement: &mut ReindexStmt) -> Result<Effect, ResolveError> {
        let concurrent = statement
            .params
            .iter()
            .any(|p| matches!(p.node.as_ref(), Some(Kind::DefElem(option)) if option.defname == "concurrently"));
        let kind = ReindexObjectType::try_from(statement.kind);
        match (kind, statement.relation.as_mut()) {
            (Ok(ReindexObjectType::ReindexObjectIndex | ReindexObjectType::ReindexObjectTable), Some(name)) => {
                let relation = self.existing(name, false, Need::Own)?;
                let alone = match kind {
                    _ if concurrent => Some("REINDEX CONCURRENTLY"),
                    _ if !relation.is_some_and(|relation| self.in_parts(relation)) => None,
                    Ok(ReindexObjectType::ReindexObjectIndex) => Some("REINDEX INDEX"),
                    _ => Some("REINDEX TABLE"),
                };
                Ok(owned(alone, false))
            }
            (Ok(ReindexObjectType::ReindexObjectSchema), None) => {
                self.need_own_schema(&statement.name)?;
                Ok(owned(Some("REINDEX SCHEMA"), false))
            }
            _ => Err(ResolveError::unsupported("REINDEX of a database", None)),
        }
    }

    /// A partitioned table or an index of one.
    fn in_parts(&self, relation: &Relation) -> bool {
        let table = relation.owned_by.and_then(|oid| self.ground.footing.catalog.relation(oid));
        table.unwrap_or(relation).kind == RelationKind::PartitionedTable
    }
}
