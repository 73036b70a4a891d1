//! What all kinds of objects have in common: DROP, RENAME, SET SCHEMA, COMMENT.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{AlterObjectSchemaStmt, CommentStmt, DropBehavior, DropStmt, Node, ObjectType, RenameStmt};

use super::names::object_strings;
use super::needs::Need;
use super::{DEFINES, MAINTAINS, owned};
use crate::policy::{Level, Privilege};
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::names::{string, strings};
use crate::sql::resolve::walk::Walk;

/// What can be dropped, renamed, moved or commented on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Object {
    /// A relation: how many tokens its keywords take after DROP or COMMENT ON.
    Relation(usize),
    /// A column or attribute: its name follows that of its relation.
    Column,
    /// A constraint, trigger or rule: ON and the relation's name follow its own.
    OnRelation,
    /// A schema.
    Schema,
    /// A type or domain.
    Type,
    /// A constraint of a domain.
    OnDomain,
    /// A function, procedure or aggregate.
    Function,
    /// Extended statistics.
    Statistics,
    /// What only administrators deal with.
    Other,
}

fn object(kind: i32) -> Object {
    use ObjectType as O;
    match ObjectType::try_from(kind).unwrap_or(O::Undefined) {
        O::ObjectTable | O::ObjectView | O::ObjectIndex | O::ObjectSequence => Object::Relation(1),
        O::ObjectMatview | O::ObjectForeignTable => Object::Relation(2),
        O::ObjectColumn | O::ObjectAttribute => Object::Column,
        O::ObjectTabconstraint | O::ObjectTrigger | O::ObjectRule | O::ObjectPolicy => Object::OnRelation,
        O::ObjectSchema => Object::Schema,
        O::ObjectType | O::ObjectDomain => Object::Type,
        O::ObjectDomconstraint => Object::OnDomain,
        O::ObjectFunction | O::ObjectProcedure | O::ObjectRoutine | O::ObjectAggregate => Object::Function,
        O::ObjectStatisticExt => Object::Statistics,
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
        | O::ObjectOperator
        | O::ObjectOpfamily
        | O::ObjectParameterAcl
        | O::ObjectPublication
        | O::ObjectPublicationNamespace
        | O::ObjectPublicationRel
        | O::ObjectRole
        | O::ObjectSubscription
        | O::ObjectTablespace
        | O::ObjectTransform
        | O::ObjectTsconfiguration
        | O::ObjectTsdictionary
        | O::ObjectTsparser
        | O::ObjectTstemplate
        | O::ObjectUserMapping => Object::Other,
    }
}

/// Why an object is for administrators.
const OTHER: &str = "Objects of this kind change what other people's statements mean.";

impl Walk<'_> {
    /// CASCADE takes what belongs to others too: that is for owners, as in PostgreSQL, and for those who manage.
    pub(super) fn drop(&mut self, statement: &mut DropStmt) -> Result<Effect, ResolveError> {
        let DropStmt { objects, remove_type, behavior, missing_ok, concurrent } = statement;
        let kind = object(*remove_type);
        let cascades = DropBehavior::try_from(*behavior) == Ok(DropBehavior::DropCascade);
        let need = if cascades { Need::Manage } else { Need::Change };
        let mut token = match kind {
            Object::Relation(keywords) => self.after_if_exists(1 + keywords + usize::from(*concurrent)),
            _ => self.after_if_exists(2),
        };
        let (mut known, mut missing) = (0usize, None);
        for item in objects.iter_mut() {
            let found = match (kind, item.node.as_mut()) {
                (Object::Relation(_), Some(Kind::List(list))) => {
                    let parts = list.items.len();
                    let (relation, after) = self.existing_at(token, &mut list.items, parts)?;
                    token = after + 1;
                    relation.map_or(Ok(false), |relation| self.need_on(relation, need).map(|()| true))?
                }
                (Object::OnRelation, Some(Kind::List(list))) => {
                    let parts = list.items.len().saturating_sub(1);
                    let on = self.tokens().find_word(token, "on").ok_or(ResolveError::misplaced("location"))?;
                    let (relation, _) = self.existing_at(on + 1, &mut list.items, parts)?;
                    relation.map_or(Ok(false), |relation| self.need_on(relation, need).map(|()| true))?
                }
                (Object::Schema, _) => {
                    let name = string(item).ok_or(ResolveError::misplaced("schema"))?.to_owned();
                    self.own_schema(&name)?;
                    let there = self.ground.footing.catalog.schema_named(&name).is_some();
                    if there {
                        self.need_on_schema(&name, if cascades { Privilege::Manage } else { Privilege::Modify })?;
                    }
                    there
                }
                (Object::Type, Some(Kind::TypeName(name))) => self.named_type(name, need)?,
                (Object::Function, _) => self.functions_meant(item, Level::OrManage)?,
                (Object::Statistics, Some(Kind::List(list))) => self.need_on_schema_of(&list.items).map(|()| true)?,
                (Object::Other, _) => {
                    self.admins_only("DROP", OTHER)?;
                    self.object(item).map(|()| true)?
                }
                _ => return Err(ResolveError::misplaced("name")),
            };
            if found {
                known += 1;
            } else {
                missing = missing.or(Some(object_strings(item)?.join(".")));
            }
        }
        if let Some(name) = missing.filter(|_| !self.ground.admin) {
            return match (*missing_ok, known) {
                (true, 0) => Ok(Effect::None),
                (true, _) => Err(ResolveError::unsupported("DROP of several objects of which some are missing", None)
                    .instead("Drop them one by one.")),
                (false, _) => Err(ResolveError::missing(noun(*remove_type), &name)),
            };
        }
        Ok(owned(concurrent.then_some("DROP INDEX CONCURRENTLY"), true))
    }

    /// An object's name: none of its schemas may be ours.
    fn object(&self, node: &Node) -> Result<(), ResolveError> {
        let names = object_strings(node)?;
        match names.split_last() {
            Some((_, schemas)) => schemas.iter().try_for_each(|name| self.may_name(name, None)),
            None => Err(ResolveError::misplaced("name")),
        }
    }

    /// What is named in a schema, or bare, is for whoever manages the schema.
    pub(super) fn need_on_schema_of(&mut self, nodes: &[Node]) -> Result<(), ResolveError> {
        let names = strings(nodes)?;
        self.dotted_name(nodes)?;
        match names.as_slice() {
            [.., schema, _] => self.need_on_schema(schema, Privilege::Manage),
            _ if self.ground.admin => Ok(()),
            _ => Err(ResolveError::unsupported("a name without schema here", None).instead("Write its schema before it.")),
        }
    }

    pub(super) fn rename(&mut self, statement: &mut RenameStmt) -> Result<Effect, ResolveError> {
        let RenameStmt { rename_type, relation_type: _, relation, object: named, subname, newname, behavior: _, missing_ok } =
            statement;
        let kind = object(*rename_type);
        if let Some(relation) = relation.as_mut() {
            let Some(there) = self.existing(relation, *missing_ok, Need::Change)? else { return Ok(self.nothing_there()) };
            // Statements that wait for a lock by now find by its new name what they were not permitted to read.
            if subname.is_empty() && there.kind.has_rows() && !there.temporary {
                self.need_reading(there);
            }
            return Ok(DEFINES);
        }
        match (kind, named.as_deref_mut().and_then(|n| n.node.as_mut())) {
            (Object::Schema, _) => {
                self.need_on_schema(subname, Privilege::Manage)?;
                self.need_all_within(subname)?;
                self.own_schema(newname)?;
                self.need_create_in_catalog();
            }
            (Object::Type | Object::OnDomain, Some(Kind::List(list))) => {
                self.type_at(2, &mut list.items, Need::Change)?;
            }
            (Object::Statistics, Some(Kind::List(list))) => self.need_on_schema_of(&list.items)?,
            (Object::Function, Some(_)) => {
                if let Some(named) = named.as_deref()
                    && self.function_there(named, Level::Ownership)?
                {
                    let schemas = self.schemas_of_functions(named)?;
                    schemas.into_iter().try_for_each(|schema| self.need_free_function_name(schema, newname))?;
                }
            }
            (Object::Other, Some(_)) => {
                self.admins_only("ALTER ... RENAME", OTHER)?;
                named.as_deref().map_or(Err(ResolveError::misplaced("RENAME")), |named| self.object(named))?;
            }
            _ => return Err(ResolveError::misplaced("RENAME")),
        }
        Ok(DEFINES)
    }

    /// What is in a schema changes its name with it: everything must be one's own, as where a relation is renamed.
    fn need_all_within(&mut self, schema: &str) -> Result<(), ResolveError> {
        let catalog = &self.ground.footing.catalog;
        let Some(schema) = catalog.schema_named(schema) else { return Ok(()) };
        for relation in catalog.relations().filter(|r| r.schema == schema.oid && r.kind.has_rows()) {
            self.need_on(relation, Need::Own)?;
        }
        for function in catalog.functions().filter(|f| f.schema == schema.oid) {
            self.need_on_function(function, Level::Ownership);
        }
        Ok(())
    }

    /// In another schema it stands under other people's grants.
    pub(super) fn set_schema(&mut self, statement: &mut AlterObjectSchemaStmt) -> Result<Effect, ResolveError> {
        let AlterObjectSchemaStmt { object_type, relation, object: named, newschema, missing_ok } = statement;
        self.own_schema(newschema)?;
        if let Some(relation) = relation.as_mut() {
            if self.existing(relation, *missing_ok, Need::Manage)?.is_none() {
                return Ok(self.nothing_there());
            }
            self.need_create(newschema, Privilege::Create)?;
            return Ok(DEFINES);
        }
        match (object(*object_type), named.as_deref_mut().and_then(|n| n.node.as_mut())) {
            (Object::Type, Some(Kind::List(list))) => {
                self.type_at(2, &mut list.items, Need::Manage)?;
                self.need_create(newschema, Privilege::Create)?;
            }
            (Object::Statistics, Some(Kind::List(list))) => {
                self.need_on_schema_of(&list.items)?;
                self.need_create(newschema, Privilege::Create)?;
            }
            (Object::Function, Some(_)) => {
                let named = named.as_deref().ok_or(ResolveError::misplaced("SET SCHEMA"))?;
                self.function_there(named, Level::Ownership)?;
                self.need_create(newschema, Privilege::CreateNamedFunction)?;
                let schema = self.ground.footing.catalog.schema_named(newschema).map(|s| s.oid);
                if let (Some(schema), Some(name)) = (schema, object_strings(named)?.pop()) {
                    self.need_free_function_name(schema, &name)?;
                }
            }
            (Object::Other, Some(_)) => {
                self.admins_only("ALTER ... SET SCHEMA", OTHER)?;
                named.as_deref().map_or(Err(ResolveError::misplaced("SET SCHEMA")), |named| self.object(named))?;
            }
            _ => return Err(ResolveError::misplaced("SET SCHEMA")),
        }
        Ok(DEFINES)
    }

    pub(super) fn comment(&mut self, statement: &mut CommentStmt) -> Result<Effect, ResolveError> {
        let kind = object(statement.objtype);
        let item = statement.object.as_deref_mut().ok_or(ResolveError::misplaced("COMMENT"))?;
        match (kind, item.node.as_mut()) {
            (Object::Relation(keywords), Some(Kind::List(list))) => {
                let parts = list.items.len();
                self.part_of(2 + keywords, &mut list.items, parts, Need::Describe)?;
            }
            (Object::Column, Some(Kind::List(list))) => {
                let parts = list.items.len().saturating_sub(1);
                self.part_of(3, &mut list.items, parts, Need::Describe)?;
            }
            (Object::OnRelation, Some(Kind::List(list))) => {
                let parts = list.items.len().saturating_sub(1);
                let on = self.tokens().find_word(3, "on").ok_or(ResolveError::misplaced("location"))?;
                self.part_of(on + 1, &mut list.items, parts, Need::Describe)?;
            }
            (Object::Schema, _) => {
                let name = string(item).ok_or(ResolveError::misplaced("schema"))?.to_owned();
                self.need_on_schema(&name, Privilege::Modify)?;
            }
            (Object::Type, Some(Kind::TypeName(name))) => self.known_type(name)?,
            (Object::OnDomain, Some(Kind::List(list))) => match list.items.first_mut().and_then(|n| n.node.as_mut()) {
                Some(Kind::TypeName(name)) => self.known_type(name)?,
                _ => return Err(ResolveError::misplaced("COMMENT")),
            },
            (Object::Function, _) => {
                self.function_there(item, Level::OrManage)?;
            }
            (Object::Statistics, Some(Kind::List(list))) => self.need_on_schema_of(&list.items)?,
            (Object::Other, _) => {
                self.admins_only("COMMENT", OTHER)?;
                self.object(item)?;
            }
            _ => return Err(ResolveError::misplaced("COMMENT")),
        }
        Ok(MAINTAINS)
    }

    fn known_type(&mut self, name: &mut pg_query::protobuf::TypeName) -> Result<(), ResolveError> {
        if self.named_type(name, Need::Describe)? {
            return Ok(());
        }
        self.unknown("type", &strings(&name.names)?.join("."))
    }

    /// Functions that must be there.
    fn function_there(&mut self, named: &Node, level: Level) -> Result<bool, ResolveError> {
        let found = self.functions_meant(named, level)?;
        if !found && !self.ground.admin {
            return Err(ResolveError::missing("function", &object_strings(named)?.join(".")));
        }
        Ok(found)
    }
}

fn noun(kind: i32) -> &'static str {
    match object(kind) {
        Object::Relation(_) | Object::Column | Object::OnRelation => "relation",
        Object::Schema => "schema",
        Object::Type | Object::OnDomain => "type",
        Object::Function => "function",
        Object::Statistics => "statistics object",
        Object::Other => "object",
    }
}
