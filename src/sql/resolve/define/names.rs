//! Names of objects that are made, changed or dropped: checked, and written in full.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{Node, RangeVar};

use crate::catalog::Relation;
use crate::name::{Name, QualifiedName};
use crate::policy::{Holder, Privilege, Securable};
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

    /// The name of a relation to be made.
    pub(in crate::sql::resolve) fn create_name(&mut self, name: Option<&mut RangeVar>) -> Result<(), ResolveError> {
        let name = name.ok_or(ResolveError::misplaced("name"))?;
        let position = offset(name.location);
        if !name.catalogname.is_empty() && name.catalogname != *self.ground.footing.catalog.database {
            return Err(ResolveError::CrossDatabase { name: name.relname.clone(), position });
        }
        if !name.schemaname.is_empty() {
            return self.may_name(&name.schemaname, position);
        }
        if self.temporary {
            return Ok(());
        }
        let now = QualifiedName { schema: self.creation_schema()?, name: Name::exact(&name.relname) };
        self.replace_name(name, &now)
    }

    /// The name of a relation that exists; with `missing_ok` it may be missing.
    pub(super) fn existing(&mut self, name: &mut RangeVar, missing_ok: bool) -> Result<Option<&'a Relation>, ResolveError> {
        let position = offset(name.location);
        let relation = match self.look_up(name) {
            Ok(relation) => relation,
            Err(ResolveError::UndefinedRelation { .. }) if missing_ok => return Ok(None),
            Err(error) => return Err(error),
        };
        let catalog = &self.ground.footing.catalog;
        if catalog.schema(relation.schema).is_none_or(|s| s.system || s.ours) {
            return Err(ResolveError::ProtectedRelation {
                name: relation.name.to_string(),
                noun: relation.kind.noun(),
                reason: "It belongs to the system.",
                position,
            });
        }
        self.is_alike(relation, position)?;
        let own = catalog.qualified(relation).ok_or(ResolveError::misplaced("relation without schema"))?;
        self.replace_name(name, &own)?;
        self.changes(relation);
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

    /// What is done to a relation needs MANAGE on it, which every administrator has: so the audit, and who prepares the change
    /// upstream, know what it is done to.
    fn changes(&mut self, relation: &Relation) {
        if relation.temporary {
            return;
        }
        let (securable, schema) = (Securable::Relation(relation.oid), Some(relation.schema));
        self.requirements.need(Holder::Session, Privilege::Manage, securable, schema, relation.name.as_str(), relation.kind.noun());
    }

    /// The same for each of a list.
    pub(super) fn existing_all(&mut self, names: &mut [Node]) -> Result<(), ResolveError> {
        for name in names {
            match name.node.as_mut() {
                Some(Kind::RangeVar(inner)) => {
                    self.existing(inner, false)?;
                }
                _ => return Err(ResolveError::misplaced("relation")),
            }
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

    /// A dotted name that stands at a token, written in full when it is bare.
    pub(super) fn new_name_at(&mut self, token: usize, nodes: &mut Vec<Node>) -> Result<(), ResolveError> {
        self.dotted_name(nodes)?;
        if nodes.len() == 1 {
            let schema = self.creation_schema()?;
            self.qualify_at(token, nodes, &schema)?;
        }
        Ok(())
    }

    /// A relation's dotted name that stands at a token, written in full. Gives back the token after it.
    pub(super) fn existing_at(&mut self, token: usize, nodes: &mut Vec<Node>) -> Result<usize, ResolveError> {
        let names = strings(nodes)?;
        let after = self
            .tokens()
            .name_ends(token, names.len())
            .and_then(|ends| ends.last().copied())
            .ok_or(ResolveError::misplaced("location"))?;
        self.dotted_name(nodes)?;
        if let [schema, name] = names.as_slice() {
            let wanted = RangeVar { schemaname: schema.clone(), relname: name.clone(), location: -1, ..RangeVar::default() };
            if let Ok(relation) = self.look_up(&wanted) {
                self.is_alike(relation, None)?;
                self.changes(relation);
            }
        }
        if let [name] = names.as_slice() {
            let wanted = RangeVar { relname: name.clone(), location: -1, ..RangeVar::default() };
            if let Ok(relation) = self.look_up(&wanted)
                && let Some(own) = self.ground.footing.catalog.qualified(relation)
            {
                self.is_alike(relation, None)?;
                let (schema, _) = (own.schema, own.name);
                if self.ground.footing.catalog.schema(relation.schema).is_none_or(|s| s.system || s.ours) {
                    return Err(ResolveError::ProtectedSchema { name: schema.to_string(), position: None });
                }
                self.qualify_at(token, nodes, &schema)?;
                self.changes(relation);
            }
        }
        Ok(after)
    }

    fn qualify_at(&mut self, token: usize, nodes: &mut Vec<Node>, schema: &Name) -> Result<(), ResolveError> {
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
            Some(Kind::RangeVar(name)) => self.existing(name, false).map(|_| ()),
            Some(Kind::TableLikeClause(inner)) if self.temporary => match inner.relation.as_mut() {
                Some(name) => self.relation(name, Access::Read).map(|_| ()),
                None => Err(ResolveError::misplaced("LIKE")),
            },
            Some(
                kind @ (Kind::List(_)
                | Kind::ColumnDef(_)
                | Kind::Constraint(_)
                | Kind::DefElem(_)
                | Kind::AlterTableCmd(_)
                | Kind::PartitionCmd(_)
                | Kind::PartitionBoundSpec(_)
                | Kind::PartitionSpec(_)
                | Kind::PartitionElem(_)
                | Kind::PartitionRangeDatum(_)
                | Kind::TableLikeClause(_)
                | Kind::IndexElem(_)
                | Kind::StatsElem(_)
                | Kind::FunctionParameter(_)),
            ) => children(kind, &mut |part| self.definition_part(part)),
            Some(Kind::RoleSpec(_)) => Err(ResolveError::unsupported("a role of the upstream here", None)),
            Some(_) => self.expression(node),
        }
    }

    fn definition_part(&mut self, part: Part) -> Result<(), ResolveError> {
        match part {
            Part::Node(node) => self.definition(node),
            Part::Relation(name) => self.existing(name, false).map(|_| ()),
            Part::Type(name) => self.type_name(name),
        }
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
