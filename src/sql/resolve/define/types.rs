//! Types and domains.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    AlterDomainStmt, AlterEnumStmt, AlterTypeStmt, CompositeTypeStmt, CreateDomainStmt, CreateEnumStmt, CreateRangeStmt, Node,
    TypeName,
};

use super::DEFINES;
use super::needs::Need;
use crate::catalog::UserType;
use crate::policy::Privilege;
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::names::strings;
use crate::sql::resolve::walk::Walk;

/// CREATE TYPE name, ALTER DOMAIN name: the name is the third token.
const NAME: usize = 2;

impl<'a> Walk<'a> {
    pub(super) fn create_composite(&mut self, statement: &mut CompositeTypeStmt) -> Result<Effect, ResolveError> {
        self.create_name(statement.typevar.as_mut())?;
        self.definitions(&mut statement.coldeflist)?;
        Ok(DEFINES)
    }

    pub(super) fn create_enum(&mut self, statement: &mut CreateEnumStmt) -> Result<Effect, ResolveError> {
        self.new_name_at(NAME, &mut statement.type_name, Privilege::Create)?;
        Ok(DEFINES)
    }

    pub(super) fn create_range(&mut self, statement: &mut CreateRangeStmt) -> Result<Effect, ResolveError> {
        self.new_name_at(NAME, &mut statement.type_name, Privilege::Create)?;
        for option in &mut statement.params {
            let Some(Kind::DefElem(element)) = option.node.as_ref() else { return Err(ResolveError::misplaced("option")) };
            let named = match element.arg.as_deref().and_then(|n| n.node.as_ref()) {
                Some(Kind::TypeName(name)) => strings(&name.names)?,
                _ => Vec::new(),
            };
            match (element.defname.as_str(), named.as_slice()) {
                ("subtype", _) => self.definition(option)?,
                ("canonical" | "subtype_diff", [.., name]) if !self.ground.admin => {
                    let known: Vec<_> = self.ground.footing.catalog.functions_named(name).map(|f| f.oid).collect();
                    known.into_iter().try_for_each(|function| self.need_support_function(function))?;
                }
                ("multirange_type_name", [schema, _]) => self.need_create(&schema.clone(), Privilege::Create)?,
                _ => named.iter().rev().skip(1).try_for_each(|schema| self.may_name(schema, None))?,
            }
        }
        Ok(DEFINES)
    }

    pub(super) fn alter_enum(&mut self, statement: &mut AlterEnumStmt) -> Result<Effect, ResolveError> {
        self.type_at(NAME, &mut statement.type_name, Need::Change)?;
        Ok(DEFINES)
    }

    pub(super) fn alter_type(&mut self, statement: &mut AlterTypeStmt) -> Result<Effect, ResolveError> {
        self.admins_only("ALTER TYPE", "Properties of base types name functions that run whatever is done with the type.")?;
        self.dotted_name(&statement.type_name)?;
        self.builtins_only = true;
        self.definitions(&mut statement.options)?;
        Ok(DEFINES)
    }

    pub(super) fn create_domain(&mut self, statement: &mut CreateDomainStmt) -> Result<Effect, ResolveError> {
        self.new_name_at(NAME, &mut statement.domainname, Privilege::Create)?;
        statement.type_name.as_mut().map_or(Ok(()), |name| self.defined_type(name))?;
        self.definitions(&mut statement.constraints)?;
        Ok(DEFINES)
    }

    /// What is demanded of a domain's values is tried on every column that has it, whoever's table that is in.
    pub(super) fn alter_domain(&mut self, statement: &mut AlterDomainStmt) -> Result<Effect, ResolveError> {
        let found = self.type_at(NAME, &mut statement.type_name, Need::Change)?;
        if let Some(found) = found
            && matches!(statement.subtype.as_str(), "O" | "C" | "V")
        {
            self.need_on_columns_of(found)?;
        }
        // "T" is SET DEFAULT, which computes nothing yet.
        self.builtins_only = !self.ground.admin || statement.subtype != "T";
        statement.def.as_deref_mut().map_or(Ok(()), |node| self.definition(node))?;
        Ok(DEFINES)
    }

    fn need_on_columns_of(&mut self, domain: &UserType) -> Result<(), ResolveError> {
        let catalog = &self.ground.footing.catalog;
        let mut made_of = vec![domain.oid];
        loop {
            let more: Vec<_> = catalog
                .user_types()
                .filter(|t| !made_of.contains(&t.oid) && t.made_of.iter().any(|oid| made_of.contains(oid)))
                .map(|t| t.oid)
                .collect();
            if more.is_empty() {
                break;
            }
            made_of.extend(more);
        }
        let stored = |kind| {
            use crate::catalog::RelationKind as Kind;
            matches!(kind, Kind::Table | Kind::PartitionedTable | Kind::MaterializedView | Kind::ForeignTable)
        };
        let mut holding: Vec<_> = catalog
            .relations()
            .filter(|r| stored(r.kind) && !r.temporary && r.columns.iter().any(|c| made_of.contains(&c.type_oid)))
            .collect();
        holding.sort_by_key(|r| r.oid);
        for relation in holding {
            self.need_on(relation, Need::Change)?;
            self.need_reading(relation);
        }
        Ok(())
    }

    /// A type's dotted name that stands at a token, written in full. Nothing for one that administrators know better than we do.
    pub(super) fn type_at(
        &mut self,
        token: usize,
        nodes: &mut Vec<Node>,
        need: Need,
    ) -> Result<Option<&'a UserType>, ResolveError> {
        self.dotted_name(nodes)?;
        let names = strings(nodes)?;
        let Some(found) = self.user_type(&names) else {
            self.unknown("type", &names.join("."))?;
            return Ok(None);
        };
        if let [_] = names.as_slice()
            && let Some(schema) = self.ground.footing.catalog.schema(found.schema)
        {
            self.qualify_at(token, nodes, &schema.name)?;
        }
        self.need_on_type(found, need)?;
        Ok(Some(found))
    }

    /// The same of a type's name with a location of its own; whether it is known.
    pub(super) fn named_type(&mut self, name: &mut TypeName, need: Need) -> Result<bool, ResolveError> {
        let names = strings(&name.names)?;
        self.dotted_name(&name.names)?;
        let Some(found) = self.user_type(&names) else { return Ok(false) };
        if let [_] = names.as_slice()
            && let Some(schema) = self.ground.footing.catalog.schema(found.schema)
            && let Some(token) = self.tokens().at(name.location)
        {
            self.qualify_at(token, &mut name.names, &schema.name)?;
        }
        self.need_on_type(found, need)?;
        Ok(true)
    }
}
