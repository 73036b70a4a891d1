//! Names of objects that are made, changed or dropped: checked, and written in full.

use std::collections::HashSet;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Constraint, Node, PartitionBoundSpec, RangeVar, TypeName};

use super::needs::Need;
use crate::catalog::{Relation, UserType};
use crate::name::{Name, QualifiedName};
use crate::policy::{Privilege, Securable};
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::children::{Part, children};
use crate::sql::resolve::names::{is_hidden, is_ours, offset, string, string_node, strings};
use crate::sql::resolve::relations::Access;
use crate::sql::resolve::walk::Walk;

impl<'a> Walk<'a> {
    /// The schema in which new objects are made.
    fn creation_schema(&self) -> Result<Name, ResolveError> {
        let catalog = &self.ground.footing.catalog;
        let usable =
            |name: &&Name| name.as_str() != "pg_temp" && catalog.schema_named(name.as_str()).is_some_and(|s| !s.system && !s.ours);
        self.ground.path.schemas.iter().find(usable).cloned().ok_or(ResolveError::NoSchema)
    }

    /// The name of a relation to be made, with the right to make it there.
    pub(in crate::sql::resolve) fn create_name(&mut self, name: Option<&mut RangeVar>) -> Result<QualifiedName, ResolveError> {
        let name = name.ok_or(ResolveError::misplaced("name"))?;
        let position = offset(name.location);
        if !name.catalogname.is_empty() && name.catalogname != *self.ground.footing.catalog.database {
            return Err(ResolveError::CrossDatabase { name: name.relname.clone(), position });
        }
        let bare = name.schemaname.is_empty();
        if self.temporary {
            let schema = if bare { "pg_temp" } else { &name.schemaname };
            self.may_name(schema, position)?;
            return Ok(QualifiedName { schema: Name::exact(schema), name: Name::exact(&name.relname) });
        }
        let schema = if bare { self.creation_schema()? } else { Name::exact(&name.schemaname) };
        self.may_name(schema.as_str(), position)?;
        self.need_create(schema.as_str(), Privilege::Create).map_err(|error| error.at(position))?;
        let now = QualifiedName { schema, name: Name::exact(&name.relname) };
        if bare {
            self.replace_name(name, &now)?;
        }
        Ok(now)
    }

    /// The relation of this name, when it is there already.
    pub(super) fn already(&self, name: &QualifiedName) -> Option<&'a Relation> {
        let catalog = &self.ground.footing.catalog;
        catalog.schema_named(name.schema.as_str()).and_then(|schema| catalog.relation_in(schema.oid, &name.name))
    }

    /// The name of a relation that exists, and what is done to it; with `missing_ok` it may be missing.
    pub(super) fn existing(
        &mut self,
        name: &mut RangeVar,
        missing_ok: bool,
        need: Need,
    ) -> Result<Option<&'a Relation>, ResolveError> {
        let Some(relation) = self.written_in_full(name, missing_ok)? else { return Ok(None) };
        if name.inh && need == Need::Change {
            self.need_on_tree(relation, need)?;
        } else {
            self.need_on(relation, need)?;
        }
        Ok(Some(relation))
    }

    /// The same without asking for anything.
    pub(super) fn written_in_full(&mut self, name: &mut RangeVar, missing_ok: bool) -> Result<Option<&'a Relation>, ResolveError> {
        let position = offset(name.location);
        let relation = match self.look_up(name) {
            Ok(relation) => relation,
            Err(ResolveError::UndefinedRelation { .. }) if missing_ok => return Ok(None),
            // PostgreSQL tells no position of what a definition changes.
            Err(error) => return Err(error.nowhere()),
        };
        self.changeable(relation, position)?;
        self.is_alike(relation, position)?;
        let own = self.ground.footing.catalog.qualified(relation).ok_or(ResolveError::misplaced("relation without schema"))?;
        self.replace_name(name, &own)?;
        Ok(Some(relation))
    }

    /// Temporary relations stand in statements about temporary ones, and only there.
    fn is_alike(&self, relation: &Relation, position: Option<usize>) -> Result<(), ResolveError> {
        if self.temporary != relation.temporary {
            return Err(ResolveError::unsupported(format!("\"{}\" here", relation.name), position)
                .because("A temporary relation and one that is not cannot be brought together in one definition."));
        }
        Ok(())
    }

    fn changeable(&self, relation: &Relation, position: Option<usize>) -> Result<(), ResolveError> {
        if self.ground.footing.catalog.schema(relation.schema).is_none_or(|s| s.system || s.ours) {
            return Err(ResolveError::ProtectedRelation {
                name: relation.name.to_string(),
                noun: relation.kind.noun(),
                reason: "It belongs to the system.",
                position,
            });
        }
        Ok(())
    }

    /// A schema that may be made, renamed or dropped.
    pub(super) fn own_schema(&self, name: &str) -> Result<(), ResolveError> {
        if is_ours(name) || is_hidden(name) || name.starts_with("pg_") || name == "information_schema" {
            return Err(ResolveError::ProtectedSchema { name: name.to_owned(), position: None });
        }
        Ok(())
    }

    /// A dotted name without a location of its own: checked, and left as it is.
    pub(super) fn dotted_name(&self, nodes: &[Node]) -> Result<(), ResolveError> {
        let names = strings(nodes)?;
        let schemas = names.len().saturating_sub(1);
        names.iter().take(schemas).try_for_each(|name| self.may_name(name, None))
    }

    /// A dotted name that stands at a token, written in full when it is bare, with the right to make it there.
    pub(super) fn new_name_at(&mut self, token: usize, nodes: &mut Vec<Node>, privilege: Privilege) -> Result<(), ResolveError> {
        self.dotted_name(nodes)?;
        let schema = match strings(nodes)?.as_slice() {
            [_] => {
                let schema = self.creation_schema()?;
                self.qualify_at(token, nodes, &schema)?;
                schema
            }
            [.., schema, _] => Name::exact(schema),
            [] => return Err(ResolveError::misplaced("name")),
        };
        self.need_create(schema.as_str(), privilege)
    }

    /// A relation's dotted name that stands at a token, written in full; the rest of `nodes` after `parts` is not of the name. Gives
    /// back the relation, unless it is missing, and the token after the name.
    pub(super) fn existing_at(
        &mut self,
        token: usize,
        nodes: &mut Vec<Node>,
        parts: usize,
    ) -> Result<(Option<&'a Relation>, usize), ResolveError> {
        let names = strings(nodes.get(..parts).ok_or(ResolveError::misplaced("name"))?)?;
        let after = self
            .tokens()
            .name_ends(token, parts)
            .and_then(|ends| ends.last().copied())
            .ok_or(ResolveError::misplaced("location"))?;
        let (schemaname, relname) = match names.as_slice() {
            [name] => (String::new(), name.clone()),
            [schema, name] => (schema.clone(), name.clone()),
            [database, schema, name] if *database == *self.ground.footing.catalog.database => (schema.clone(), name.clone()),
            _ => return Err(ResolveError::CrossDatabase { name: names.join("."), position: None }),
        };
        self.may_name(&schemaname, None)?;
        let bare = schemaname.is_empty();
        let location = self.tokens().get(token).and_then(|t| i32::try_from(t.start).ok()).unwrap_or(-1);
        let relation = match self.look_up(&RangeVar { schemaname, relname, location, ..RangeVar::default() }) {
            Ok(relation) => relation,
            Err(ResolveError::UndefinedRelation { .. }) => return Ok((None, after)),
            Err(error) => return Err(error),
        };
        self.changeable(relation, offset(location))?;
        self.is_alike(relation, offset(location))?;
        if bare && let Some(schema) = self.ground.footing.catalog.schema(relation.schema) {
            self.qualify_at(token, nodes, &schema.name)?;
        }
        Ok((Some(relation), after))
    }

    /// The type that a dotted name means, if it is one outside pg_catalog that we know.
    pub(super) fn user_type(&self, names: &[String]) -> Option<&'a UserType> {
        let catalog = &self.ground.footing.catalog;
        let (schema, name) = match names {
            [name] => (None, name),
            [schema, name] | [_, schema, name] => (Some(schema), name),
            _ => return None,
        };
        let name = Name::exact(name);
        let within = |schema: &str| catalog.schema_named(schema).and_then(|s| catalog.user_type_in(s.oid, &name));
        match schema {
            Some(schema) => within(schema),
            None => self.ground.path.lookup().find_map(within),
        }
    }

    pub(super) fn qualify_at(&mut self, token: usize, nodes: &mut Vec<Node>, schema: &Name) -> Result<(), ResolveError> {
        let start =
            self.tokens().get(token).filter(|t| t.kind.is_name()).map(|t| t.start).ok_or(ResolveError::misplaced("location"))?;
        self.insert_text(start, format!("{}.", schema.quoted()));
        nodes.insert(0, string_node(schema.as_str()));
        Ok(())
    }

    /// Parts of definitions: relations in them exist, everything else is an expression.
    pub(super) fn definition(&mut self, node: &mut Node) -> Result<(), ResolveError> {
        match node.node.as_mut() {
            None => Ok(()),
            Some(Kind::RangeVar(name)) => self.existing(name, false, Need::Change).map(|_| ()),
            Some(Kind::TableLikeClause(like)) => match like.relation.as_mut() {
                Some(name) if self.temporary => self.relation(name, Access::Read).map(|_| ()),
                Some(name) => match self.copied(name)? {
                    Some(copied) => self.copies_free_parts(copied, like.options != 0),
                    None => Ok(()),
                },
                None => Err(ResolveError::misplaced("LIKE")),
            },
            Some(Kind::Constraint(constraint)) => {
                if let Some(referenced) = constraint.pktable.as_mut() {
                    self.referenced(referenced)?;
                }
                self.constraint(constraint)
            }
            // What is attached is read and written by whoever may read and write the parent.
            Some(Kind::PartitionCmd(cmd)) => {
                if let Some(name) = cmd.name.as_mut() {
                    self.existing(name, false, Need::Manage)?;
                }
                match cmd.bound.as_mut() {
                    Some(bound) => self.bound(bound),
                    None => Ok(()),
                }
            }
            Some(
                kind @ (Kind::List(_)
                | Kind::ColumnDef(_)
                | Kind::DefElem(_)
                | Kind::AlterTableCmd(_)
                | Kind::PartitionBoundSpec(_)
                | Kind::PartitionSpec(_)
                | Kind::PartitionElem(_)
                | Kind::PartitionRangeDatum(_)
                | Kind::IndexElem(_)
                | Kind::StatsElem(_)
                | Kind::FunctionParameter(_)),
            ) => children(kind, &mut |part| self.definition_part(part)),
            Some(Kind::RoleSpec(_)) => Err(ResolveError::unsupported("a role of the upstream here", None)),
            Some(_) => self.expression(node),
        }
    }

    /// The table in LIKE, of which PostgreSQL tells the position.
    fn copied(&mut self, name: &mut RangeVar) -> Result<Option<&'a Relation>, ResolveError> {
        let position = offset(name.location);
        self.existing(name, false, Need::Copy).map_err(|error| error.at(position))
    }

    fn definition_part(&mut self, part: Part) -> Result<(), ResolveError> {
        match part {
            Part::Node(node) => self.definition(node),
            Part::Relation(name) => self.existing(name, false, Need::Change).map(|_| ()),
            Part::Type(name) => self.defined_type(name),
        }
    }

    /// A foreign key to another table, or to the one that is being made.
    fn referenced(&mut self, name: &mut RangeVar) -> Result<(), ResolveError> {
        let own = self.making.clone().filter(|own| {
            own.name.as_str() == name.relname && (name.schemaname.is_empty() || own.schema.as_str() == name.schemaname)
        });
        match own {
            Some(own) => self.replace_name(name, &own),
            None => self.existing(name, false, Need::Reference).map(|_| ()),
        }
    }

    fn constraint(&mut self, constraint: &mut Constraint) -> Result<(), ResolveError> {
        // The referenced table has been seen to.
        let referenced = constraint.pktable.take();
        let mut node = Kind::Constraint(Box::new(std::mem::take(constraint)));
        let done = children(&mut node, &mut |part| self.definition_part(part));
        if let Kind::Constraint(back) = node {
            *constraint = *back;
        }
        constraint.pktable = referenced;
        done
    }

    pub(super) fn bound(&mut self, bound: &mut PartitionBoundSpec) -> Result<(), ResolveError> {
        self.definitions(&mut bound.listdatums)?;
        self.definitions(&mut bound.lowerdatums)?;
        self.definitions(&mut bound.upperdatums)
    }

    /// A type in a definition, written in full: who runs the definition has a search path of its own.
    pub(super) fn defined_type(&mut self, name: &mut TypeName) -> Result<(), ResolveError> {
        self.type_name(name)?;
        if name.pct_type {
            return Ok(());
        }
        let names = strings(&name.names)?;
        let Some(found) = self.user_type(&names) else {
            return self.free_casts(&names);
        };
        if let [_] = names.as_slice()
            && let Some(schema) = self.ground.footing.catalog.schema(found.schema)
            && let Some(mut token) = self.tokens().at(name.location)
        {
            token += usize::from(self.tokens().is_word(token, "setof"));
            self.qualify_at(token, &mut name.names, &schema.name)?;
        }
        self.calls_nothing(found)?;
        self.free_casts(&names)
    }

    /// For others than administrators, values of a type are made without functions of the database's own: they would run with an
    /// owner's rights.
    fn calls_nothing(&mut self, found: &UserType) -> Result<(), ResolveError> {
        if self.ground.admin || !self.builtins_only {
            return Ok(());
        }
        let catalog = &self.ground.footing.catalog;
        let mut open = vec![found.oid];
        let mut seen = HashSet::new();
        while let Some(oid) = open.pop() {
            let Some(next) = catalog.user_type(oid).filter(|_| seen.insert(oid)) else { continue };
            next.calls.iter().try_for_each(|function| self.need_support_function(*function))?;
            open.extend_from_slice(&next.made_of);
            let columns = next.relation.and_then(|oid| catalog.relation(oid)).map_or(&[][..], |r| &r.columns);
            open.extend(columns.iter().map(|c| c.type_oid));
        }
        Ok(())
    }

    /// The same of what a table's columns are copied with: their types, and where `included` their defaults, checks and indexes.
    fn copies_free_parts(&mut self, copied: &Relation, included: bool) -> Result<(), ResolveError> {
        let catalog = &self.ground.footing.catalog;
        if self.ground.admin {
            return Ok(());
        }
        for found in copied.columns.iter().filter_map(|column| catalog.user_type(column.type_oid)) {
            self.calls_nothing(found)?;
        }
        // Defaults that take numbers from a sequence would move it for whoever may only read the table.
        let counts =
            copied.columns.iter().any(|column| column.default.as_deref().is_some_and(|default| default.contains("nextval(")));
        if included && counts {
            let (on, schema, noun) = (Securable::Relation(copied.oid), Some(copied.schema), copied.kind.noun());
            self.requirements.need(self.holder(), Privilege::Modify, on, schema, copied.name.as_str(), noun);
        }
        let called = if included { catalog.called_by_parts(copied.oid) } else { &[] };
        called.iter().try_for_each(|function| self.need_support_function(*function))
    }

    /// The same of casts to it.
    fn free_casts(&mut self, names: &[String]) -> Result<(), ResolveError> {
        if self.ground.admin || !self.builtins_only {
            return Ok(());
        }
        let functions = names.last().map_or(&[][..], |last| self.ground.footing.catalog.cast_functions(last)).to_vec();
        functions.into_iter().try_for_each(|function| self.need_support_function(function))
    }

    /// Parts of definitions, in order.
    pub(in crate::sql::resolve) fn definitions(&mut self, nodes: &mut [Node]) -> Result<(), ResolveError> {
        nodes.iter_mut().try_for_each(|node| self.definition(node))
    }

    /// The index of the token after `IF EXISTS`, when it stands at `token`.
    pub(super) fn after_if_exists(&self, token: usize) -> usize {
        let tokens = self.tokens();
        if tokens.is_word(token, "if") && tokens.is_word(token + 1, "exists") { token + 2 } else { token }
    }
}

/// The strings of an object's name, which may be a List, a String, a TypeName or a function with arguments.
pub(in crate::sql::resolve) fn object_strings(node: &Node) -> Result<Vec<String>, ResolveError> {
    match node.node.as_ref() {
        Some(Kind::List(list)) => list
            .items
            .iter()
            .map(|item| match item.node.as_ref() {
                Some(Kind::TypeName(name)) => strings(&name.names).map(|names| names.join(".")),
                _ => string(item).map(str::to_owned).ok_or(ResolveError::misplaced("name")),
            })
            .collect(),
        Some(Kind::String(name)) => Ok(vec![name.sval.clone()]),
        Some(Kind::TypeName(name)) => strings(&name.names),
        Some(Kind::ObjectWithArgs(object)) => strings(&object.objname),
        _ => Err(ResolveError::misplaced("name")),
    }
}
