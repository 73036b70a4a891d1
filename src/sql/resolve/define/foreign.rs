//! Foreign servers, user mappings, foreign tables: made by administrators, with what rights `pgusher_owner` has on the wrapper. Sessions
//! share their upstream logins, so a mapping is for all of them.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    AlterForeignServerStmt, CreateForeignServerStmt, CreateForeignTableStmt, ImportForeignSchemaStmt, Node, RoleSpec, RoleSpecType,
};

use super::DEFINES;
use crate::policy::Privilege;
use crate::sql::resolve::ResolveError;
use crate::sql::resolve::walk::Walk;
use crate::sql::{Effect, Executor};

impl Walk<'_> {
    pub(super) fn create_server(&mut self, statement: &CreateForeignServerStmt) -> Result<Effect, ResolveError> {
        self.need_create_in_catalog();
        self.foreign(&statement.options)
    }

    pub(super) fn alter_server(&mut self, statement: &AlterForeignServerStmt) -> Result<Effect, ResolveError> {
        self.foreign(&statement.options)
    }

    /// CREATE, ALTER and DROP USER MAPPING.
    pub(super) fn user_mapping(&mut self, user: Option<&RoleSpec>, options: &[Node]) -> Result<Effect, ResolveError> {
        let public = user.is_some_and(|user| RoleSpecType::try_from(user.roletype) == Ok(RoleSpecType::RolespecPublic));
        if !public {
            return Err(ResolveError::unsupported("a user mapping for a role", None)
                .because("Roles of the upstream are no principals; sessions share few of them.")
                .instead("Use FOR PUBLIC, and grant USE CONNECTION."));
        }
        self.foreign(options)
    }

    pub(super) fn create_foreign_table(&mut self, statement: &mut CreateForeignTableStmt) -> Result<Effect, ResolveError> {
        let CreateForeignTableStmt { base_stmt, servername: _, options } = statement;
        let base = base_stmt.as_mut().ok_or(ResolveError::misplaced("CREATE FOREIGN TABLE"))?;
        self.create_table(base)?;
        self.foreign(options)
    }

    pub(super) fn import_foreign_schema(&mut self, statement: &ImportForeignSchemaStmt) -> Result<Effect, ResolveError> {
        self.need_create(&statement.local_schema, Privilege::Create)?;
        self.foreign(&statement.options)
    }

    /// Options are literals.
    fn foreign(&mut self, options: &[Node]) -> Result<Effect, ResolveError> {
        self.by = Executor::Owner;
        let literal = |option: &Node| match option.node.as_ref() {
            Some(Kind::DefElem(option)) => {
                matches!(option.arg.as_deref().and_then(|arg| arg.node.as_ref()), None | Some(Kind::String(_)))
            }
            _ => false,
        };
        if options.iter().all(literal) { Ok(DEFINES) } else { Err(ResolveError::misplaced("option")) }
    }
}
