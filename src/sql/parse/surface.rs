//! The SQL surface: for every statement, who may run it and what it needs. The names are those of messages; `docs/sql-surface.md` is made
//! from this list.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{ObjectType as Object, TransactionStmtKind};

use super::tag::{altered, dropped};
use super::{StatementKind, command_tag};

/// Who may run a statement at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Everybody who meets its requirement.
    Everyone,
    /// Administrators: why not others, a full sentence.
    Admins(&'static str),
    /// Nobody: why, a full sentence.
    Nobody(&'static str),
}

/// One statement of the surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// What messages call it: its command tag, where that tells it from others.
    pub statement: &'static str,
    /// Who may run it.
    pub support: Support,
    /// What it needs; the object's owner and administrators always pass.
    pub needs: &'static str,
}

/// What a statement needs, and who may run it; `None` for what the list does not know, which is refused.
pub fn surface(node: &Kind) -> Option<&'static Surface> {
    let named = |name: &str| SURFACE.iter().find(|one| one.statement == name);
    let own = named(statement(node))?;
    match node {
        // What is said about an object is as open as a change of the object.
        Kind::CommentStmt(inner) => match named(altered(inner.objtype)).or_else(|| named(dropped(inner.objtype))) {
            Some(of) if of.support != Support::Everyone => Some(of),
            Some(_) => Some(own),
            None => None,
        },
        _ => Some(own),
    }
}

/// What messages call a statement.
pub fn statement(node: &Kind) -> &'static str {
    match node {
        Kind::SelectStmt(_)
        | Kind::DropStmt(_)
        | Kind::AlterTableStmt(_)
        | Kind::AlterObjectSchemaStmt(_)
        | Kind::AlterFunctionStmt(_)
        | Kind::RenameStmt(_)
        | Kind::CreateTableAsStmt(_)
        | Kind::CreateFunctionStmt(_)
        | Kind::VacuumStmt(_) => command_tag(node),
        Kind::DefineStmt(inner) if inner.kind == Object::ObjectType as i32 => "CREATE TYPE of a base type",
        Kind::DefineStmt(_) => command_tag(node),
        Kind::TransactionStmt(inner) => match TransactionStmtKind::try_from(inner.kind) {
            Ok(
                TransactionStmtKind::TransStmtPrepare
                | TransactionStmtKind::TransStmtCommitPrepared
                | TransactionStmtKind::TransStmtRollbackPrepared,
            ) => "PREPARE TRANSACTION",
            _ => "BEGIN, COMMIT, ROLLBACK, SAVEPOINT",
        },
        Kind::AlterOwnerStmt(_) => "ALTER ... OWNER TO",
        Kind::AlterObjectDependsStmt(_) => "ALTER ... DEPENDS ON EXTENSION",
        _ => StatementKind::of(node).map_or("", StatementKind::label),
    }
}

const fn everyone(statement: &'static str, needs: &'static str) -> Surface {
    Surface { statement, support: Support::Everyone, needs }
}

const fn admins(statement: &'static str, reason: &'static str) -> Surface {
    Surface { statement, support: Support::Admins(reason), needs: "" }
}

const fn nobody(statement: &'static str, reason: &'static str) -> Surface {
    Surface { statement, support: Support::Nobody(reason), needs: "" }
}

const CHANGE: &str =
    "MODIFY, MANAGE or ownership; of a table under a row filter or mask MANAGE or ownership. With CASCADE, MANAGE or ownership";
const OF_TYPE: &str = "ownership, or MANAGE on its schema";
const OF_FUNCTION: &str = "ownership";
const MEANING: &str = "It changes what other people's statements mean.";
const CALLED: &str = "It names functions that run within other people's statements.";
const FOREIGN: &str = "Other servers are made known by administrators.";
const SERVER: &str = "The server is operated at the upstream.";
const ROLES: &str = "Roles of the upstream are no principals; use CREATE USER, CREATE SERVICE PRINCIPAL or CREATE GROUP.";
const REPLICATION: &str = "Replication copies rows past every filter and mask.";
const SUPERUSER: &str = "Only a superuser of the upstream may.";
const DATABASES: &str = "Databases are managed at the upstream.";
const TABLESPACES: &str = "Tablespaces are managed at the upstream.";
const EVENTS: &str = "Event triggers run with the rights of whoever issues a command.";
const EXTENSIONS: &str = "Extensions are installed at the upstream.";
const FILTERS: &str = "Row security is set with ALTER TABLE ... SET ROW FILTER.";
const NONE: &str = "It is no statement by itself.";

/// Every statement, in the order in which the document lists them.
pub const SURFACE: &[Surface] = &[
    everyone(
        "SELECT",
        "SELECT on every relation read, EXECUTE on every function outside the list of built-ins; FOR UPDATE and FOR SHARE: MODIFY. Of what a view reads, its owner needs SELECT",
    ),
    everyone("INSERT", "MODIFY on the table; SELECT where its columns are read (RETURNING, ON CONFLICT DO UPDATE)"),
    everyone("UPDATE", "MODIFY on the table; SELECT where its columns are read"),
    everyone("DELETE", "MODIFY on the table; SELECT where its columns are read"),
    everyone("MERGE", "MODIFY on the table; SELECT where its columns are read"),
    everyone("COPY", "TO: SELECT; FROM: MODIFY; of files and programs of the server: ANY FILE too"),
    everyone(
        "EXPLAIN",
        "READ_METADATA on every relation; MANAGE where it is under a row filter or mask; with ANALYZE what the statement needs",
    ),
    everyone("DECLARE CURSOR", "what its query needs"),
    everyone("FETCH", "what the cursor's query needs; of a cursor that a function opened nothing more"),
    everyone("CLOSE CURSOR", "nothing"),
    everyone("PREPARE", "what the statement in it needs"),
    everyone("EXECUTE", "what the prepared statement needs"),
    everyone("DEALLOCATE", "nothing"),
    everyone("BEGIN, COMMIT, ROLLBACK, SAVEPOINT", "nothing"),
    nobody("PREPARE TRANSACTION", "A prepared transaction would outlive its session, and with it the principal."),
    everyone("SET", "nothing, for the parameters that may be set"),
    everyone("SHOW", "nothing"),
    everyone("SET CONSTRAINTS", "nothing"),
    everyone("DISCARD", "nothing"),
    everyone("LISTEN", "nothing; channels named pgusher are closed"),
    everyone("NOTIFY", "nothing; channels named pgusher are closed"),
    everyone("UNLISTEN", "nothing"),
    everyone("CALL", "EXECUTE on the procedure"),
    everyone("DO", "ANONYMOUS FUNCTION"),
    everyone(
        "CREATE SCHEMA",
        "CREATE on the catalog; what is made in it, as by statements of its own. AUTHORIZATION: oneself only",
    ),
    everyone(
        "ALTER SCHEMA",
        "RENAME: MANAGE or ownership, ownership of everything in it, and CREATE on the catalog; OWNER TO: governance",
    ),
    everyone("DROP SCHEMA", "MODIFY, MANAGE or ownership; with CASCADE, MANAGE or ownership"),
    everyone(
        "CREATE TABLE",
        "CREATE on the schema; LIKE: SELECT on the other table, whose defaults, checks and indexes (where included) call built-in functions only; INHERITS and PARTITION OF: as ALTER TABLE on the parent; REFERENCES: MODIFY on the other table, ownership where it is under a row filter or mask",
    ),
    everyone("CREATE TABLE AS", "CREATE on the schema, and what the query needs"),
    everyone("SELECT INTO", "CREATE on the schema, and what the query needs"),
    everyone(
        "ALTER TABLE",
        "MODIFY, MANAGE or ownership; of a table under a row filter or mask, and to SET SCHEMA, INHERIT, ATTACH or DETACH PARTITION, MANAGE or ownership. RENAME, constraints, column types, NOT NULL, expressions over rows: SELECT too. SET SCHEMA: CREATE on the new schema. OWNER TO, row filters, masks: governance",
    ),
    everyone("DROP TABLE", CHANGE),
    everyone("TRUNCATE TABLE", "MODIFY; of a table under a row filter, ownership. With CASCADE, on every table that refers to it"),
    everyone("LOCK TABLE", "MODIFY; for ACCESS SHARE, SELECT. Of what a view reads, its owner"),
    everyone("CREATE INDEX", "as ALTER TABLE, and SELECT"),
    everyone("ALTER INDEX", "as ALTER TABLE of its table"),
    everyone("DROP INDEX", "as DROP TABLE of its table"),
    everyone("CREATE VIEW", "CREATE on the schema, and what the query needs; OR REPLACE: ownership of the view that is there"),
    everyone(
        "ALTER VIEW",
        "MODIFY, MANAGE or ownership; SET and RESET of options: ownership; SET SCHEMA: MANAGE or ownership, and CREATE on the new schema",
    ),
    everyone("DROP VIEW", CHANGE),
    everyone(
        "CREATE MATERIALIZED VIEW",
        "CREATE on the schema, SELECT on every relation read; none of them under a row filter or mask, but for administrators",
    ),
    everyone("ALTER MATERIALIZED VIEW", "as ALTER VIEW"),
    everyone("DROP MATERIALIZED VIEW", CHANGE),
    everyone(
        "REFRESH MATERIALIZED VIEW",
        "ownership; its owner needs SELECT on what it reads; views below it that are no administrator's call built-in functions only",
    ),
    everyone("CREATE SEQUENCE", "CREATE on the schema; OWNED BY: as ALTER TABLE"),
    everyone("ALTER SEQUENCE", "MODIFY, MANAGE or ownership, of the table whose column owns it if one does"),
    everyone("DROP SEQUENCE", CHANGE),
    everyone("CREATE TYPE", "CREATE on the schema"),
    admins("CREATE TYPE of a base type", CALLED),
    everyone("ALTER TYPE", OF_TYPE),
    everyone("DROP TYPE", OF_TYPE),
    everyone("CREATE DOMAIN", "CREATE on the schema"),
    everyone(
        "ALTER DOMAIN",
        "ownership, or MANAGE on its schema; new constraints: ALTER TABLE and SELECT on every table with a column of it",
    ),
    everyone("DROP DOMAIN", OF_TYPE),
    everyone(
        "CREATE FUNCTION",
        "CREATE_NAMED_FUNCTION on the schema, LANGUAGE sql, and what the statements in the body need, whose names are looked up then (no polymorphic arguments); OR REPLACE, and a name that other functions in the schema have: ownership of those. Other languages and SECURITY DEFINER: administrators",
    ),
    everyone("CREATE PROCEDURE", "as CREATE FUNCTION"),
    everyone("ALTER FUNCTION", OF_FUNCTION),
    everyone("ALTER PROCEDURE", OF_FUNCTION),
    everyone("ALTER ROUTINE", OF_FUNCTION),
    everyone("DROP FUNCTION", "ownership or MANAGE"),
    everyone("DROP PROCEDURE", "ownership or MANAGE"),
    everyone("DROP ROUTINE", "ownership or MANAGE"),
    everyone("CREATE TRIGGER", "as ALTER TABLE; the trigger function is a built-in one, but for administrators"),
    everyone("ALTER TRIGGER", "as ALTER TABLE"),
    everyone("DROP TRIGGER", "as ALTER TABLE"),
    everyone("CREATE STATISTICS", "CREATE on the schema, and as ALTER TABLE"),
    everyone("ALTER STATISTICS", "MANAGE or ownership of the schema"),
    everyone("DROP STATISTICS", "MANAGE or ownership of the schema"),
    everyone("COMMENT", "MODIFY, MANAGE or ownership of the object; of types and functions MANAGE or ownership"),
    everyone("ANALYZE", "ownership; without a table: administrators"),
    everyone("VACUUM", "ownership; without a table: administrators"),
    everyone("CLUSTER", "ownership; without a table: administrators"),
    everyone("REINDEX", "ownership of the table or schema; of a database: nobody"),
    admins("CREATE AGGREGATE", CALLED),
    admins("ALTER AGGREGATE", CALLED),
    admins("DROP AGGREGATE", CALLED),
    admins("CREATE OPERATOR", MEANING),
    admins("ALTER OPERATOR", MEANING),
    admins("DROP OPERATOR", MEANING),
    admins("CREATE CAST", MEANING),
    admins("DROP CAST", MEANING),
    admins("CREATE COLLATION", MEANING),
    admins("ALTER COLLATION", MEANING),
    admins("DROP COLLATION", MEANING),
    admins("CREATE TEXT SEARCH CONFIGURATION", MEANING),
    admins("ALTER TEXT SEARCH CONFIGURATION", MEANING),
    admins("DROP TEXT SEARCH CONFIGURATION", MEANING),
    admins("CREATE TEXT SEARCH DICTIONARY", MEANING),
    admins("ALTER TEXT SEARCH DICTIONARY", MEANING),
    admins("DROP TEXT SEARCH DICTIONARY", MEANING),
    admins("DROP CONVERSION", MEANING),
    admins("ALTER CONVERSION", MEANING),
    nobody("CREATE CONVERSION", "Conversions are made at the upstream."),
    nobody("CREATE TEXT SEARCH PARSER", SUPERUSER),
    nobody("ALTER TEXT SEARCH PARSER", SUPERUSER),
    nobody("DROP TEXT SEARCH PARSER", SUPERUSER),
    nobody("CREATE TEXT SEARCH TEMPLATE", SUPERUSER),
    nobody("ALTER TEXT SEARCH TEMPLATE", SUPERUSER),
    nobody("DROP TEXT SEARCH TEMPLATE", SUPERUSER),
    nobody("CREATE OPERATOR CLASS", SUPERUSER),
    nobody("ALTER OPERATOR CLASS", SUPERUSER),
    nobody("DROP OPERATOR CLASS", SUPERUSER),
    nobody("CREATE OPERATOR FAMILY", SUPERUSER),
    nobody("ALTER OPERATOR FAMILY", SUPERUSER),
    nobody("DROP OPERATOR FAMILY", SUPERUSER),
    nobody("CREATE ACCESS METHOD", SUPERUSER),
    nobody("DROP ACCESS METHOD", SUPERUSER),
    nobody("CREATE LANGUAGE", SUPERUSER),
    nobody("ALTER LANGUAGE", SUPERUSER),
    nobody("DROP LANGUAGE", SUPERUSER),
    nobody("CREATE TRANSFORM", SUPERUSER),
    nobody("DROP TRANSFORM", SUPERUSER),
    admins("CREATE FOREIGN TABLE", FOREIGN),
    admins("ALTER FOREIGN TABLE", FOREIGN),
    admins("DROP FOREIGN TABLE", FOREIGN),
    admins("CREATE SERVER", FOREIGN),
    admins("ALTER SERVER", FOREIGN),
    admins("DROP SERVER", FOREIGN),
    admins("CREATE USER MAPPING", FOREIGN),
    admins("ALTER USER MAPPING", FOREIGN),
    admins("DROP USER MAPPING", FOREIGN),
    admins("IMPORT FOREIGN SCHEMA", FOREIGN),
    nobody("CREATE FOREIGN DATA WRAPPER", SUPERUSER),
    nobody("ALTER FOREIGN DATA WRAPPER", SUPERUSER),
    nobody("DROP FOREIGN DATA WRAPPER", SUPERUSER),
    nobody("GRANT", "Privileges are granted by pgusher's own GRANT and REVOKE."),
    nobody("GRANT ROLE", "Roles of the upstream are no principals; groups are changed with ALTER GROUP."),
    nobody("ALTER DEFAULT PRIVILEGES", "A grant on a schema covers what will be made in it."),
    nobody(
        "ALTER ... OWNER TO",
        "Only schemas, tables, views and functions have owners that can be changed here, with a principal as the new owner.",
    ),
    nobody("ALTER ... DEPENDS ON EXTENSION", EXTENSIONS),
    nobody("CREATE ROLE", ROLES),
    nobody("ALTER ROLE", ROLES),
    nobody("ALTER ROLE SET", ROLES),
    nobody("DROP ROLE", ROLES),
    nobody("DROP OWNED", "All objects of the upstream belong to few roles."),
    nobody("REASSIGN OWNED", "All objects of the upstream belong to few roles."),
    nobody("CREATE POLICY", FILTERS),
    nobody("ALTER POLICY", FILTERS),
    nobody("DROP POLICY", FILTERS),
    admins("CREATE RULE", MEANING),
    admins("ALTER RULE", MEANING),
    admins("DROP RULE", MEANING),
    nobody("CREATE EVENT TRIGGER", EVENTS),
    nobody("ALTER EVENT TRIGGER", EVENTS),
    nobody("DROP EVENT TRIGGER", EVENTS),
    nobody("CREATE EXTENSION", EXTENSIONS),
    nobody("ALTER EXTENSION", EXTENSIONS),
    nobody("ALTER EXTENSION ADD", EXTENSIONS),
    nobody("DROP EXTENSION", EXTENSIONS),
    nobody("CREATE PUBLICATION", REPLICATION),
    nobody("ALTER PUBLICATION", REPLICATION),
    nobody("DROP PUBLICATION", REPLICATION),
    nobody("CREATE SUBSCRIPTION", REPLICATION),
    nobody("ALTER SUBSCRIPTION", REPLICATION),
    nobody("DROP SUBSCRIPTION", REPLICATION),
    nobody("ALTER SYSTEM", "The server is configured at the upstream."),
    nobody("CHECKPOINT", SERVER),
    nobody("LOAD", "Libraries are loaded at the upstream."),
    nobody("CREATE DATABASE", DATABASES),
    nobody("ALTER DATABASE", DATABASES),
    nobody("ALTER DATABASE SET", DATABASES),
    nobody("ALTER DATABASE REFRESH COLLATION VERSION", DATABASES),
    nobody("DROP DATABASE", DATABASES),
    nobody("CREATE TABLESPACE", TABLESPACES),
    nobody("ALTER TABLESPACE", TABLESPACES),
    nobody("DROP TABLESPACE", TABLESPACES),
    nobody("ALTER TABLE ALL IN TABLESPACE", TABLESPACES),
    nobody("ALTER LARGE OBJECT", "Large objects are not governed."),
    nobody("SECURITY LABEL", "Security labels are set at the upstream."),
    nobody("RAW", NONE),
    nobody("SET OPERATION", NONE),
    nobody("RETURN", NONE),
    nobody("ASSIGNMENT", NONE),
    nobody("REPLICA IDENTITY", NONE),
];
