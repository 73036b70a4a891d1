//! Temporary objects: made, changed and dropped by the session itself, upstream as well, so all that is needed is what their
//! definitions read. `pg_temp` is nobody else's.
//!
//! Which statements those are follows from names alone; what names no temporary object goes the way of definitions.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{CallStmt, CreateFunctionStmt, CreateTableAsStmt, DropStmt, ObjectType, RangeVar, ViewStmt};
use pg_query::{Node, protobuf};

use super::ResolveError;
use super::define::object_strings;
use super::names::{offset, string, strings};
use super::walk::{Purpose, Walk};
use crate::policy::{Holder, Oid, Privilege, Securable};
use crate::sql::{Effect, StatementKind};

/// The schema of temporary objects.
const PG_TEMP: &str = "pg_temp";

impl Walk<'_> {
    /// Whether a statement makes, changes or drops temporary objects.
    pub(super) fn is_temporary(&self, tree: &Node) -> bool {
        let made = |name: Option<&RangeVar>| name.is_some_and(|name| self.is_made_temporary(name));
        let meant = |name: Option<&RangeVar>| name.is_some_and(|name| self.means_temporary(name));
        match tree.node.as_ref() {
            Some(Kind::CreateStmt(inner)) => made(inner.relation.as_ref()),
            Some(Kind::CreateTableAsStmt(inner)) => made(inner.into.as_deref().and_then(|into| into.rel.as_ref())),
            Some(Kind::SelectStmt(inner)) => made(inner.into_clause.as_deref().and_then(|into| into.rel.as_ref())),
            Some(Kind::ViewStmt(inner)) => made(inner.view.as_ref()) || self.reads_temporary(inner),
            Some(Kind::CreateSeqStmt(inner)) => made(inner.sequence.as_ref()),
            Some(Kind::CompositeTypeStmt(inner)) => made(inner.typevar.as_ref()),
            Some(Kind::CreateEnumStmt(inner)) => is_in_temp(&inner.type_name),
            Some(Kind::CreateDomainStmt(inner)) => is_in_temp(&inner.domainname),
            Some(Kind::AlterEnumStmt(inner)) => is_in_temp(&inner.type_name),
            Some(Kind::AlterDomainStmt(inner)) => is_in_temp(&inner.type_name),
            Some(Kind::CreateFunctionStmt(inner)) => is_in_temp(&inner.funcname),
            Some(Kind::AlterFunctionStmt(inner)) => inner.func.as_ref().is_some_and(|f| is_in_temp(&f.objname)),
            Some(Kind::AlterTableStmt(inner)) => meant(inner.relation.as_ref()),
            Some(Kind::IndexStmt(inner)) => meant(inner.relation.as_ref()),
            Some(Kind::AlterSeqStmt(inner)) => meant(inner.sequence.as_ref()),
            Some(Kind::CreateTrigStmt(inner)) => meant(inner.relation.as_ref()),
            Some(Kind::RuleStmt(inner)) => self.ground.admin && meant(inner.relation.as_ref()),
            Some(Kind::ClusterStmt(inner)) => meant(inner.relation.as_ref()),
            Some(Kind::ReindexStmt(inner)) => meant(inner.relation.as_ref()),
            Some(Kind::CreateStatsStmt(inner)) => self.all_temporary(&inner.relations),
            Some(Kind::TruncateStmt(inner)) => self.all_temporary(&inner.relations),
            Some(Kind::LockStmt(inner)) => self.all_temporary(&inner.relations),
            Some(Kind::VacuumStmt(inner)) => self.all_temporary(&inner.rels),
            Some(Kind::RenameStmt(inner)) => match (inner.relation.as_ref(), inner.object.as_deref()) {
                (Some(relation), _) => self.means_temporary(relation),
                (None, Some(object)) => object_strings(object).is_ok_and(|names| self.names_temporary(&names)),
                (None, None) => false,
            },
            Some(Kind::AlterObjectSchemaStmt(inner)) => match (inner.relation.as_ref(), inner.object.as_deref()) {
                (Some(relation), _) => self.means_temporary(relation),
                (None, Some(object)) => object_strings(object).is_ok_and(|names| self.names_temporary(&names)),
                (None, None) => false,
            },
            Some(Kind::DropStmt(inner)) => self.drops_temporary(inner),
            Some(Kind::CommentStmt(inner)) => inner.object.as_deref().is_some_and(|object| {
                let names = object_strings(object).unwrap_or_default();
                match ObjectType::try_from(inner.objtype) {
                    Ok(ObjectType::ObjectColumn | ObjectType::ObjectTabconstraint | ObjectType::ObjectTrigger) => {
                        names.split_last().is_some_and(|(_, relation)| self.names_temporary_relation(relation))
                    }
                    Ok(kind) if is_relation(kind) => self.names_temporary_relation(&names),
                    _ => false,
                }
            }),
            _ => false,
        }
    }

    /// The name of something to be made: in `pg_temp` when it says so, or when that comes first in the search path.
    pub(super) fn is_made_temporary(&self, name: &RangeVar) -> bool {
        let first = self.ground.path.schemas.iter().find(|s| s.as_str() == PG_TEMP || self.is_usable(s.as_str()));
        name.relpersistence == "t"
            || name.schemaname == PG_TEMP
            || (name.schemaname.is_empty() && first.is_some_and(|s| s.as_str() == PG_TEMP))
    }

    /// A view of a bare name that reads something temporary is temporary itself.
    fn reads_temporary(&self, statement: &ViewStmt) -> bool {
        let catalog = &self.ground.footing.catalog;
        let bare = statement.view.as_ref().is_some_and(|view| view.schemaname.is_empty());
        let Some(query) = statement.query.as_deref().filter(|_| bare && catalog.temporaries().has_relations()) else {
            return false;
        };
        let mut scout = Walk::new(self.ground, Purpose::Definition, self.text);
        let temporary = |oid: &Oid| catalog.relation(*oid).is_some_and(|relation| relation.temporary);
        scout.query(&mut query.clone()).is_ok() && scout.log.iter().any(temporary)
    }

    fn is_usable(&self, schema: &str) -> bool {
        self.ground.footing.catalog.schema_named(schema).is_some_and(|s| !s.system && !s.ours)
    }

    fn means_temporary(&self, name: &RangeVar) -> bool {
        name.schemaname == PG_TEMP || self.look_up(name).is_ok_and(|relation| relation.temporary)
    }

    fn all_temporary(&self, names: &[Node]) -> bool {
        !names.is_empty()
            && names.iter().all(|name| match name.node.as_ref() {
                Some(Kind::RangeVar(name)) => self.means_temporary(name),
                Some(Kind::VacuumRelation(inner)) => inner.relation.as_ref().is_some_and(|name| self.means_temporary(name)),
                _ => false,
            })
    }

    fn names_temporary(&self, names: &[String]) -> bool {
        matches!(names, [schema, _] if schema == PG_TEMP)
    }

    fn names_temporary_relation(&self, names: &[String]) -> bool {
        let name = match names {
            [name] => RangeVar { relname: name.clone(), location: -1, ..RangeVar::default() },
            [schema, name] => RangeVar { schemaname: schema.clone(), relname: name.clone(), location: -1, ..RangeVar::default() },
            _ => return false,
        };
        self.means_temporary(&name)
    }

    fn drops_temporary(&self, statement: &DropStmt) -> bool {
        let kind = ObjectType::try_from(statement.remove_type).unwrap_or(ObjectType::Undefined);
        !statement.objects.is_empty()
            && statement.objects.iter().all(|object| {
                let names = object_strings(object).unwrap_or_default();
                match kind {
                    ObjectType::ObjectTrigger | ObjectType::ObjectRule => {
                        names.split_last().is_some_and(|(_, relation)| self.names_temporary_relation(relation))
                    }
                    kind if is_relation(kind) => self.names_temporary_relation(&names),
                    ObjectType::ObjectType | ObjectType::ObjectDomain => {
                        names.first().is_some_and(|name| name.starts_with("pg_temp."))
                    }
                    ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
                        self.names_temporary(&names)
                    }
                    _ => false,
                }
            })
    }

    /// Resolves a statement about temporary objects.
    pub(super) fn define_temporary(&mut self, kind: StatementKind, tree: &mut Node) -> Result<Effect, ResolveError> {
        self.temporary = true;
        self.aliases = false;
        self.bare_identity = true;
        match tree.node.as_mut() {
            Some(Kind::SelectStmt(_)) => self.select_into_temporary(tree)?,
            Some(Kind::CreateTableAsStmt(inner)) => self.temporary_table_as(inner)?,
            Some(Kind::ViewStmt(inner)) => self.temporary_view(inner)?,
            Some(Kind::CreateFunctionStmt(inner)) => self.temporary_function(inner)?,
            Some(Kind::AlterFunctionStmt(_)) => self.need_anonymous_function(),
            Some(Kind::CreateTrigStmt(inner)) => {
                self.trigger_function(&inner.funcname)?;
                self.define_or_maintain(kind, tree)?;
            }
            // Types and functions carry their schema.
            Some(Kind::CreateEnumStmt(_) | Kind::AlterEnumStmt(_)) => {}
            Some(Kind::CreateDomainStmt(inner)) => {
                inner.type_name.as_mut().map_or(Ok(()), |name| self.type_name(name))?;
                self.builtins_only = true;
                self.definitions(&mut inner.constraints)?;
            }
            Some(Kind::DropStmt(inner)) if !is_relation_drop(inner) => {}
            Some(_) | None => {
                self.define_or_maintain(kind, tree)?;
            }
        }
        Ok(Effect::Temporary)
    }

    fn temporary_table_as(&mut self, statement: &mut CreateTableAsStmt) -> Result<(), ResolveError> {
        let CreateTableAsStmt { query, into, objtype: _, is_select_into: _, if_not_exists: _ } = statement;
        let query = query.as_deref_mut().ok_or(ResolveError::misplaced("CREATE TABLE AS"))?;
        if !matches!(query.node, Some(Kind::SelectStmt(_))) {
            return Err(ResolveError::unsupported("CREATE TABLE AS EXECUTE", None));
        }
        self.inner_query(query, Purpose::Statement)?;
        let into = into.as_deref_mut().ok_or(ResolveError::misplaced("CREATE TABLE AS"))?;
        self.create_name(into.rel.as_mut())?;
        self.definitions(&mut into.options)
    }

    fn select_into_temporary(&mut self, tree: &mut Node) -> Result<(), ResolveError> {
        self.into_open = true;
        self.inner_query(tree, Purpose::Statement)?;
        match tree.node.as_mut() {
            Some(Kind::SelectStmt(select)) => {
                self.create_name(select.into_clause.as_deref_mut().and_then(|into| into.rel.as_mut())).map(|_| ())
            }
            _ => Err(ResolveError::misplaced("SELECT INTO")),
        }
    }

    fn temporary_view(&mut self, statement: &mut ViewStmt) -> Result<(), ResolveError> {
        let ViewStmt { view, aliases: _, query, replace: _, options, with_check_option: _ } = statement;
        let query = query.as_deref_mut().ok_or(ResolveError::misplaced("CREATE VIEW"))?;
        self.inner_query(query, Purpose::Definition)?;
        self.create_name(view.as_mut())?;
        self.definitions(options)
    }

    /// Its body is not looked at: it runs as the session's login, where filters and masks hold.
    fn temporary_function(&mut self, statement: &mut CreateFunctionStmt) -> Result<(), ResolveError> {
        self.need_anonymous_function();
        for option in &statement.options {
            if let Some(Kind::DefElem(option)) = option.node.as_ref()
                && option.defname == "language"
                && let Some(language) = option.arg.as_deref().and_then(string)
                && !matches!(language, "sql" | "plpgsql")
            {
                return Err(ResolveError::unsupported(format!("LANGUAGE {language}"), offset(option.location)));
            }
        }
        Ok(())
    }

    /// Whether what is walked runs as the session itself, now.
    pub(super) fn is_plain_statement(&self) -> bool {
        matches!(self.purpose, Purpose::Statement) && !self.defining && !self.temporary
    }

    /// Files and programs of the server.
    pub(super) fn need_any_file(&mut self, privilege: Privilege) {
        self.requirements.need(Holder::Session, privilege, Securable::AnyFile, None, "ANY FILE", "any file");
    }

    /// Running what analysis does not see.
    pub(super) fn need_anonymous_function(&mut self) {
        let (on, label) = (Securable::AnonymousFunction, "ANONYMOUS FUNCTION");
        self.requirements.need(Holder::Session, Privilege::Execute, on, None, label, "anonymous function");
        // What it touches is not known either.
        self.touched = crate::sql::Touched { filtered: true, masked: true };
    }

    /// CALL: it runs as the session itself, so a procedure's reads meet filters and masks. Arguments that it gives back stand among
    /// those of the call, so any procedure of the name may be meant.
    pub(super) fn call_procedure(&mut self, statement: &mut CallStmt) -> Result<Effect, ResolveError> {
        let call = statement.funccall.as_deref_mut().ok_or(ResolveError::misplaced("CALL"))?;
        let (schema, name) = self.object_name(&call.funcname.clone(), call.location)?;
        self.named_function(schema.as_deref(), &name)?;
        self.call_parts(call)?;
        self.touched = crate::sql::Touched { filtered: true, masked: true };
        Ok(Effect::None)
    }

    fn trigger_function(&mut self, names: &[protobuf::Node]) -> Result<(), ResolveError> {
        let names = strings(names)?;
        let (schema, name) = match names.as_slice() {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            _ => return Err(ResolveError::misplaced("function name")),
        };
        self.named_function(schema, name)
    }
}

fn is_in_temp(names: &[Node]) -> bool {
    matches!(names, [schema, _] if string(schema) == Some(PG_TEMP))
}

fn is_relation(kind: ObjectType) -> bool {
    matches!(kind, ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectIndex | ObjectType::ObjectSequence)
}

fn is_relation_drop(statement: &DropStmt) -> bool {
    ObjectType::try_from(statement.remove_type).is_ok_and(is_relation)
}
