//! What only administrators define: operators, aggregates, collations, casts, text search.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{AlterOperatorStmt, AlterTsConfigurationStmt, AlterTsDictionaryStmt, CreateCastStmt, DefineStmt, Node};

use super::DEFINES;
use crate::sql::Effect;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::walk::Walk;

impl Walk<'_> {
    /// CREATE OPERATOR, AGGREGATE, COLLATION, TEXT SEARCH …, and CREATE TYPE of a base type.
    pub(super) fn define_other(&mut self, statement: &mut DefineStmt) -> Result<Effect, ResolveError> {
        let DefineStmt { kind: _, oldstyle: _, defnames, args, definition, if_not_exists: _, replace: _ } = statement;
        self.dotted_name(defnames)?;
        self.definitions(args)?;
        self.definitions(definition)?;
        Ok(DEFINES)
    }

    pub(super) fn create_cast(&mut self, statement: &mut CreateCastStmt) -> Result<Effect, ResolveError> {
        let CreateCastStmt { sourcetype, targettype, func, context: _, inout: _ } = statement;
        for name in [sourcetype, targettype].into_iter().flatten() {
            self.type_name(name)?;
        }
        func.as_ref().map_or(Ok(()), |function| self.dotted_name(&function.objname))?;
        Ok(DEFINES)
    }

    pub(super) fn alter_operator(&mut self, statement: &mut AlterOperatorStmt) -> Result<Effect, ResolveError> {
        let AlterOperatorStmt { opername, options } = statement;
        opername.as_ref().map_or(Ok(()), |operator| self.dotted_name(&operator.objname))?;
        self.definitions(options)?;
        Ok(DEFINES)
    }

    pub(super) fn alter_dictionary(&mut self, statement: &mut AlterTsDictionaryStmt) -> Result<Effect, ResolveError> {
        self.dotted_name(&statement.dictname)?;
        self.definitions(&mut statement.options)?;
        Ok(DEFINES)
    }

    pub(super) fn alter_configuration(&mut self, statement: &mut AlterTsConfigurationStmt) -> Result<Effect, ResolveError> {
        self.dotted_name(&statement.cfgname)?;
        statement.dicts.iter().try_for_each(|node| self.listed_name(node))?;
        Ok(DEFINES)
    }

    fn listed_name(&self, node: &Node) -> Result<(), ResolveError> {
        match node.node.as_ref() {
            Some(Kind::List(list)) => self.dotted_name(&list.items),
            _ => Err(ResolveError::misplaced("name")),
        }
    }
}
