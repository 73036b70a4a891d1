//! Schemas, types, and what all kinds of objects have in common: DROP, RENAME, SET SCHEMA, COMMENT, maintenance.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    AlterDomainStmt, AlterObjectSchemaStmt, ClusterStmt, CommentStmt, CompositeTypeStmt, CreateDomainStmt, CreateSchemaStmt,
    DefineStmt, DropStmt, Node, ObjectType, ReindexObjectType, ReindexStmt, RenameStmt, VacuumStmt,
};

use super::names::object_strings;
use super::{ALONE, DEFINES, MAINTAINS, owned};
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::names::string;
use crate::sql::resolve::walk::Walk;

/// What can be dropped, renamed, moved or commented on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Object {
    /// A relation: how many tokens its keywords take after DROP or COMMENT ON.
    Relation(usize),
    /// A column, constraint or trigger of a relation.
    OfRelation,
    /// A schema.
    Schema,
    /// A type or function.
    Named,
}

fn object(kind: i32) -> Result<Object, ResolveError> {
    use ObjectType as O;
    match ObjectType::try_from(kind).unwrap_or(O::Undefined) {
        O::ObjectTable | O::ObjectView | O::ObjectIndex | O::ObjectSequence => Ok(Object::Relation(1)),
        O::ObjectMatview | O::ObjectForeignTable => Ok(Object::Relation(2)),
        O::ObjectColumn | O::ObjectAttribute | O::ObjectTabconstraint | O::ObjectTrigger => Ok(Object::OfRelation),
        O::ObjectSchema => Ok(Object::Schema),
        O::ObjectType
        | O::ObjectDomain
        | O::ObjectDomconstraint
        | O::ObjectFunction
        | O::ObjectProcedure
        | O::ObjectRoutine
        | O::ObjectAggregate
        | O::ObjectOperator
        | O::ObjectStatisticExt => Ok(Object::Named),
        O::Undefined
        | O::ObjectAccessMethod
        | O::ObjectAmop
        | O::ObjectAmproc
        | O::ObjectCast
        | O::ObjectCollation
        | O::ObjectConversion
        | O::ObjectDatabase
        | O::ObjectDefault
        | O::ObjectDefacl
        | O::ObjectEventTrigger
        | O::ObjectExtension
        | O::ObjectFdw
        | O::ObjectForeignServer
        | O::ObjectLanguage
        | O::ObjectLargeobject
        | O::ObjectOpclass
        | O::ObjectOpfamily
        | O::ObjectParameterAcl
        | O::ObjectPolicy
        | O::ObjectPublication
        | O::ObjectPublicationNamespace
        | O::ObjectPublicationRel
        | O::ObjectRole
        | O::ObjectRule
        | O::ObjectSubscription
        | O::ObjectTablespace
        | O::ObjectTransform
        | O::ObjectTsconfiguration
        | O::ObjectTsdictionary
        | O::ObjectTsparser
        | O::ObjectTstemplate
        | O::ObjectUserMapping => {
            Err(ResolveError::unsupported("this kind of object", None).instead("Run the statement on the upstream itself."))
        }
    }
}

impl Walk<'_> {
    pub(super) fn create_schema(&mut self, statement: &mut CreateSchemaStmt) -> Result<Effect, ResolveError> {
        if statement.authrole.is_some() || !statement.schema_elts.is_empty() {
            return Err(ResolveError::unsupported("CREATE SCHEMA with AUTHORIZATION or elements", None));
        }
        self.own_schema(&statement.schemaname)?;
        Ok(DEFINES)
    }

    pub(super) fn create_composite(&mut self, statement: &mut CompositeTypeStmt) -> Result<Effect, ResolveError> {
        self.create_name(statement.typevar.as_mut())?;
        self.definitions(&mut statement.coldeflist)?;
        Ok(DEFINES)
    }

    /// CREATE TYPE, ALTER TYPE: the name is the third token.
    pub(super) fn named_type(&mut self, name: &mut Vec<Node>, options: &mut [Node]) -> Result<Effect, ResolveError> {
        if self.tokens().is_word(0, "create") {
            self.new_name_at(2, name)?;
        } else {
            self.dotted_name(name)?;
        }
        self.builtins_only = true;
        self.definitions(options)?;
        Ok(DEFINES)
    }

    /// CREATE OPERATOR, CREATE AGGREGATE.
    pub(super) fn define(&mut self, statement: &mut DefineStmt) -> Result<Effect, ResolveError> {
        let DefineStmt { kind, oldstyle: _, defnames, args, definition, if_not_exists: _, replace: _ } = statement;
        match ObjectType::try_from(*kind) {
            Ok(ObjectType::ObjectOperator | ObjectType::ObjectAggregate) => {}
            _ => {
                return Err(
                    ResolveError::unsupported("this kind of object", None).instead("Run the statement on the upstream itself.")
                );
            }
        }
        self.dotted_name(defnames)?;
        self.definitions(args)?;
        self.definitions(definition)?;
        Ok(DEFINES)
    }

    pub(super) fn create_domain(&mut self, statement: &mut CreateDomainStmt) -> Result<Effect, ResolveError> {
        self.new_name_at(2, &mut statement.domainname)?;
        statement.type_name.as_mut().map_or(Ok(()), |name| self.type_name(name))?;
        self.definitions(&mut statement.constraints)?;
        Ok(DEFINES)
    }

    pub(super) fn alter_domain(&mut self, statement: &mut AlterDomainStmt) -> Result<Effect, ResolveError> {
        self.dotted_name(&statement.type_name)?;
        self.builtins_only = true;
        statement.def.as_deref_mut().map_or(Ok(()), |node| self.definition(node))?;
        Ok(DEFINES)
    }

    pub(super) fn drop(&mut self, statement: &mut DropStmt) -> Result<Effect, ResolveError> {
        let DropStmt { objects, remove_type, behavior: _, missing_ok: _, concurrent } = statement;
        let kind = object(*remove_type)?;
        let mut token = match kind {
            Object::Relation(keywords) => self.after_if_exists(1 + keywords + usize::from(*concurrent)),
            Object::OfRelation | Object::Schema | Object::Named => 0,
        };
        for item in objects.iter_mut() {
            match (kind, item.node.as_mut()) {
                (Object::Relation(_), Some(Kind::List(list))) => token = self.existing_at(token, &mut list.items)? + 1,
                (Object::Schema, _) => string(item).map_or(Err(ResolveError::misplaced("schema")), |name| self.own_schema(name))?,
                (Object::OfRelation | Object::Named, _) => self.object(item)?,
                (Object::Relation(_), _) => return Err(ResolveError::misplaced("relation")),
            }
        }
        Ok(if *concurrent { ALONE } else { DEFINES })
    }

    /// An object's name: none of its schemas may be ours.
    fn object(&self, node: &Node) -> Result<(), ResolveError> {
        let names = object_strings(node)?;
        match names.split_last() {
            Some((_, schemas)) => schemas.iter().try_for_each(|name| self.may_name(name, None)),
            None => Err(ResolveError::misplaced("name")),
        }
    }

    pub(super) fn rename(&mut self, statement: &mut RenameStmt) -> Result<Effect, ResolveError> {
        let RenameStmt { rename_type, relation_type: _, relation, object: named, subname, newname, behavior: _, missing_ok } =
            statement;
        match object(*rename_type)? {
            Object::Schema => {
                self.own_schema(subname)?;
                self.own_schema(newname)?;
            }
            Object::Relation(_) | Object::OfRelation | Object::Named => match (relation.as_mut(), named.as_deref()) {
                (Some(relation), None) => {
                    self.existing(relation, *missing_ok)?;
                }
                (None, Some(named)) => self.object(named)?,
                _ => return Err(ResolveError::misplaced("RENAME")),
            },
        }
        Ok(DEFINES)
    }

    pub(super) fn set_schema(&mut self, statement: &mut AlterObjectSchemaStmt) -> Result<Effect, ResolveError> {
        let AlterObjectSchemaStmt { object_type, relation, object: named, newschema, missing_ok } = statement;
        object(*object_type)?;
        self.own_schema(newschema)?;
        match (relation.as_mut(), named.as_deref()) {
            (Some(relation), None) => {
                self.existing(relation, *missing_ok)?;
            }
            (None, Some(named)) => self.object(named)?,
            _ => return Err(ResolveError::misplaced("SET SCHEMA")),
        }
        Ok(DEFINES)
    }

    pub(super) fn comment(&mut self, statement: &mut CommentStmt) -> Result<Effect, ResolveError> {
        let kind = object(statement.objtype)?;
        let named = statement.object.as_deref_mut().ok_or(ResolveError::misplaced("COMMENT"))?;
        match (kind, named.node.as_mut()) {
            (Object::Relation(keywords), Some(Kind::List(list))) => {
                self.existing_at(2 + keywords, &mut list.items)?;
            }
            (Object::Schema, _) => string(named).map_or(Err(ResolveError::misplaced("schema")), |name| self.own_schema(name))?,
            _ => self.object(named)?,
        }
        Ok(MAINTAINS)
    }

    /// VACUUM stands alone; ANALYZE may stand in a transaction.
    pub(super) fn vacuum(&mut self, statement: &mut VacuumStmt) -> Result<Effect, ResolveError> {
        for relation in &mut statement.rels {
            match relation.node.as_mut() {
                Some(Kind::VacuumRelation(inner)) => match inner.relation.as_mut() {
                    Some(name) => {
                        self.existing(name, false)?;
                    }
                    None => return Err(ResolveError::misplaced("VACUUM")),
                },
                _ => return Err(ResolveError::misplaced("VACUUM")),
            }
        }
        Ok(owned(!statement.is_vacuumcmd, false))
    }

    pub(super) fn cluster(&mut self, statement: &mut ClusterStmt) -> Result<Effect, ResolveError> {
        match statement.relation.as_mut() {
            Some(name) => {
                self.existing(name, false)?;
                Ok(MAINTAINS)
            }
            None => Ok(owned(false, false)),
        }
    }

    pub(super) fn reindex(&mut self, statement: &mut ReindexStmt) -> Result<Effect, ResolveError> {
        let concurrent = statement
            .params
            .iter()
            .any(|p| matches!(p.node.as_ref(), Some(Kind::DefElem(option)) if option.defname == "concurrently"));
        match (ReindexObjectType::try_from(statement.kind), statement.relation.as_mut()) {
            (Ok(ReindexObjectType::ReindexObjectIndex | ReindexObjectType::ReindexObjectTable), Some(name)) => {
                self.existing(name, false)?;
                Ok(owned(!concurrent, false))
            }
            (Ok(ReindexObjectType::ReindexObjectSchema), None) => {
                self.own_schema(&statement.name)?;
                Ok(owned(false, false))
            }
            _ => Err(ResolveError::unsupported("REINDEX of a database", None)),
        }
    }
}
