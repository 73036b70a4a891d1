//! What definitions need, and who runs them upstream.

use std::collections::HashSet;

use crate::catalog::{Function, Governed, Relation, RelationKind, UserType};
use crate::policy::{Holder, Level, Oid, Privilege, Securable};
use crate::sql::Executor;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::walk::Walk;

/// The upstream role that owns what non-administrators make.
const DDL: &str = "pgusher_ddl";

/// What a statement does to an object that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Changes or drops it: MODIFY, MANAGE or ownership. A table under a filter or mask needs MANAGE or ownership: a change can
    /// show, lose or let loose what is hidden.
    Change,
    /// Says something about it: MODIFY, MANAGE or ownership.
    Describe,
    /// Brings it under other people's grants, or takes other people's objects with it: MANAGE or ownership.
    Manage,
    /// Maintains it: ownership.
    Own,
    /// Makes a foreign key to it, which tells what is in it and holds its rows: MODIFY; ownership where rows or values are hidden.
    Reference,
    /// Copies its definition: SELECT.
    Copy,
}

impl<'a> Walk<'a> {
    /// Whose rights run the statement depends on who owns the object upstream.
    pub(super) fn is_of(&mut self, relation: &Relation) {
        if relation.owner.as_str() != DDL {
            self.by = Executor::Owner;
        }
    }

    /// What is done to a relation, and to whom it belongs. An index goes with its table, and so does a sequence that a column owns.
    pub(super) fn need_on(&mut self, relation: &'a Relation, need: Need) -> Result<(), ResolveError> {
        if relation.temporary {
            return Ok(());
        }
        let catalog = &self.ground.footing.catalog;
        let table = match relation.kind {
            RelationKind::Index | RelationKind::Sequence => relation.owned_by.and_then(|oid| catalog.relation(oid)),
            RelationKind::CompositeType => return self.need_on_composite(relation, need),
            RelationKind::Table
            | RelationKind::PartitionedTable
            | RelationKind::View
            | RelationKind::MaterializedView
            | RelationKind::ForeignTable => None,
        };
        let on = table.unwrap_or(relation);
        let hidden = matches!(self.ground.footing.governed(on.oid), Some(Governed::Table(_) | Governed::Refused(_)));
        let (privilege, level) = match (need, hidden) {
            (Need::Change, false) | (Need::Describe, _) => (Privilege::Modify, Level::OrManage),
            (Need::Change, true) | (Need::Manage, _) => (Privilege::Manage, Level::OrManage),
            (Need::Own, _) | (Need::Reference, true) => (Privilege::Manage, Level::Ownership),
            (Need::Reference, false) => (Privilege::Modify, Level::Privilege),
            (Need::Copy, _) => (Privilege::Select, Level::Privilege),
        };
        match need {
            // Upstream asks for SELECT on what is copied.
            Need::Change | Need::Describe | Need::Manage | Need::Own | Need::Copy => self.is_of(relation),
            Need::Reference => {}
        }
        let (label, noun) = (on.name.as_str(), on.kind.noun());
        self.requirements.need_at(level, privilege, Securable::Relation(on.oid), Some(on.schema), label, noun);
        Ok(())
    }

    fn need_on_composite(&mut self, relation: &Relation, need: Need) -> Result<(), ResolveError> {
        self.is_of(relation);
        let found = self.ground.footing.catalog.user_type_in(relation.schema, &relation.name);
        found.map_or(Ok(()), |found| self.need_on_type(found, need))
    }

    /// The same for a relation and everything that inherits from it.
    pub(super) fn need_on_tree(&mut self, relation: &'a Relation, need: Need) -> Result<(), ResolveError> {
        self.need_on(relation, need)?;
        let catalog = &self.ground.footing.catalog;
        let mut open = catalog.children(relation.oid).to_vec();
        let mut seen: HashSet<Oid> = HashSet::from([relation.oid]);
        while let Some(oid) = open.pop() {
            if seen.insert(oid)
                && let Some(child) = catalog.relation(oid)
            {
                self.need_on(child, need)?;
                open.extend_from_slice(catalog.children(oid));
            }
        }
        Ok(())
    }

    /// Rows are read to make what is defined.
    pub(super) fn need_reading(&mut self, relation: &'a Relation) {
        self.need_relation(relation, Holder::Session, Privilege::Select);
    }

    /// What is done to a type: MANAGE or ownership, since nothing else is granted on types.
    pub(super) fn need_on_type(&mut self, found: &UserType, need: Need) -> Result<(), ResolveError> {
        let level = match need {
            Need::Own => Level::Ownership,
            Need::Change | Need::Describe | Need::Manage | Need::Reference | Need::Copy => Level::OrManage,
        };
        if found.owner.as_str() != DDL {
            self.by = Executor::Owner;
        }
        let label = found.name.as_str();
        self.requirements.need_at(level, Privilege::Manage, Securable::Type(found.oid), Some(found.schema), label, "type");
        Ok(())
    }

    /// What is done to a function: MANAGE or ownership; what others rely on in it, ownership.
    pub(super) fn need_on_function(&mut self, function: &Function, level: Level) {
        if !self.ground.footing.catalog.is_of_ddl(function.oid) {
            self.by = Executor::Owner;
        }
        let (securable, label) = (Securable::Function(function.oid), function.name.as_str());
        self.requirements.need_at(level, Privilege::Manage, securable, Some(function.schema), label, "function");
    }

    /// What is done to a schema.
    pub(super) fn need_on_schema(&mut self, name: &str, privilege: Privilege) -> Result<(), ResolveError> {
        self.own_schema(name)?;
        let Some(schema) = self.ground.footing.catalog.schema_named(name) else { return self.unknown("schema", name) };
        if !self.ground.footing.catalog.is_of_ddl(schema.oid) {
            self.by = Executor::Owner;
        }
        let on = Securable::Schema(schema.oid);
        self.requirements.need_at(Level::OrManage, privilege, on, None, schema.name.as_str(), "schema");
        Ok(())
    }

    /// A schema is maintained as a whole.
    pub(super) fn need_own_schema(&mut self, name: &str) -> Result<(), ResolveError> {
        self.own_schema(name)?;
        let Some(schema) = self.ground.footing.catalog.schema_named(name) else { return self.unknown("schema", name) };
        self.by = Executor::Owner;
        let on = Securable::Schema(schema.oid);
        self.requirements.need_at(Level::Ownership, Privilege::Manage, on, None, schema.name.as_str(), "schema");
        Ok(())
    }

    /// Something is made in a schema.
    pub(super) fn need_create(&mut self, schema: &str, privilege: Privilege) -> Result<(), ResolveError> {
        self.own_schema(schema)?;
        match self.ground.footing.catalog.schema_named(schema) {
            Some(found) => {
                let (on, label) = (Securable::Schema(found.oid), found.name.as_str());
                self.requirements.need_at(Level::Privilege, privilege, on, None, label, "schema");
                Ok(())
            }
            None => Err(ResolveError::UndefinedSchema { name: schema.to_owned(), position: None }),
        }
    }

    /// Something is made in the database itself.
    pub(super) fn need_create_in_catalog(&mut self) {
        let label = self.ground.footing.catalog.database.clone();
        self.requirements.need_at(Level::Privilege, Privilege::Create, Securable::Catalog, None, &label, "database");
    }

    /// An object that the catalog does not have. Administrators may know of it before we do; for everybody else nothing is done with
    /// an owner's rights to what no right was asked for.
    pub(super) fn unknown(&mut self, noun: &'static str, name: &str) -> Result<(), ResolveError> {
        if self.ground.admin {
            return Ok(());
        }
        Err(ResolveError::missing(noun, name))
    }

    /// Administrators only: `what` is the statement.
    pub(super) fn admins_only(&self, what: &'static str, reason: &'static str) -> Result<(), ResolveError> {
        if self.ground.admin { Ok(()) } else { Err(ResolveError::AdministratorsOnly { statement: what, reason }) }
    }
}
