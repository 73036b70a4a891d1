//! Command tags, as PostgreSQL gives them for what was parsed.

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::ObjectType as Object;

use super::StatementKind;

/// The command tag of a statement; of one that counts rows, the tag without its numbers. Empty for what is no statement.
pub fn command_tag(node: &Kind) -> &'static str {
    match node {
        Kind::DropStmt(inner) => object(inner.remove_type).1,
        Kind::AlterTableStmt(inner) => object(inner.objtype).0,
        Kind::AlterObjectSchemaStmt(inner) => object(inner.object_type).0,
        Kind::AlterObjectDependsStmt(inner) => object(inner.object_type).0,
        Kind::AlterOwnerStmt(inner) => object(inner.object_type).0,
        Kind::AlterFunctionStmt(inner) => object(inner.objtype).0,
        Kind::RenameStmt(inner) if inner.rename_type == Object::ObjectColumn as i32 => object(inner.relation_type).0,
        Kind::RenameStmt(inner) => object(inner.rename_type).0,
        Kind::CreateTableAsStmt(inner) if inner.objtype == Object::ObjectMatview as i32 => "CREATE MATERIALIZED VIEW",
        Kind::CreateTableAsStmt(inner) if inner.is_select_into => "SELECT INTO",
        Kind::CreateTableAsStmt(_) => "CREATE TABLE AS",
        Kind::SelectStmt(inner) if inner.into_clause.is_some() => "SELECT INTO",
        Kind::CreateFunctionStmt(inner) if inner.is_procedure => "CREATE PROCEDURE",
        Kind::DefineStmt(inner) => created(inner.kind),
        Kind::VacuumStmt(inner) if !inner.is_vacuumcmd => "ANALYZE",
        _ => StatementKind::of(node).map_or("", StatementKind::tag),
    }
}

fn created(kind: i32) -> &'static str {
    match Object::try_from(kind) {
        Ok(Object::ObjectAggregate) => "CREATE AGGREGATE",
        Ok(Object::ObjectOperator) => "CREATE OPERATOR",
        Ok(Object::ObjectType) => "CREATE TYPE",
        Ok(Object::ObjectTsparser) => "CREATE TEXT SEARCH PARSER",
        Ok(Object::ObjectTsdictionary) => "CREATE TEXT SEARCH DICTIONARY",
        Ok(Object::ObjectTstemplate) => "CREATE TEXT SEARCH TEMPLATE",
        Ok(Object::ObjectTsconfiguration) => "CREATE TEXT SEARCH CONFIGURATION",
        Ok(Object::ObjectCollation) => "CREATE COLLATION",
        Ok(Object::ObjectAccessMethod) => "CREATE ACCESS METHOD",
        _ => "",
    }
}

/// The tag of an object's ALTER; empty where there is none.
pub(super) fn altered(kind: i32) -> &'static str {
    object(kind).0
}

/// The tag of an object's DROP; empty where there is none.
pub(super) fn dropped(kind: i32) -> &'static str {
    object(kind).1
}

/// The tags of an object's ALTER and DROP.
fn object(kind: i32) -> (&'static str, &'static str) {
    match Object::try_from(kind).unwrap_or(Object::Undefined) {
        Object::ObjectAccessMethod => ("", "DROP ACCESS METHOD"),
        Object::ObjectAggregate => ("ALTER AGGREGATE", "DROP AGGREGATE"),
        Object::ObjectAttribute | Object::ObjectType => ("ALTER TYPE", "DROP TYPE"),
        Object::ObjectCast => ("ALTER CAST", "DROP CAST"),
        Object::ObjectColumn | Object::ObjectTabconstraint | Object::ObjectTable => ("ALTER TABLE", "DROP TABLE"),
        Object::ObjectCollation => ("ALTER COLLATION", "DROP COLLATION"),
        Object::ObjectConversion => ("ALTER CONVERSION", "DROP CONVERSION"),
        Object::ObjectDatabase => ("ALTER DATABASE", "DROP DATABASE"),
        Object::ObjectDomain | Object::ObjectDomconstraint => ("ALTER DOMAIN", "DROP DOMAIN"),
        Object::ObjectEventTrigger => ("ALTER EVENT TRIGGER", "DROP EVENT TRIGGER"),
        Object::ObjectExtension => ("ALTER EXTENSION", "DROP EXTENSION"),
        Object::ObjectFdw => ("ALTER FOREIGN DATA WRAPPER", "DROP FOREIGN DATA WRAPPER"),
        Object::ObjectForeignServer => ("ALTER SERVER", "DROP SERVER"),
        Object::ObjectForeignTable => ("ALTER FOREIGN TABLE", "DROP FOREIGN TABLE"),
        Object::ObjectFunction => ("ALTER FUNCTION", "DROP FUNCTION"),
        Object::ObjectIndex => ("ALTER INDEX", "DROP INDEX"),
        Object::ObjectLanguage => ("ALTER LANGUAGE", "DROP LANGUAGE"),
        Object::ObjectLargeobject => ("ALTER LARGE OBJECT", ""),
        Object::ObjectMatview => ("ALTER MATERIALIZED VIEW", "DROP MATERIALIZED VIEW"),
        Object::ObjectOpclass => ("ALTER OPERATOR CLASS", "DROP OPERATOR CLASS"),
        Object::ObjectOperator => ("ALTER OPERATOR", "DROP OPERATOR"),
        Object::ObjectOpfamily => ("ALTER OPERATOR FAMILY", "DROP OPERATOR FAMILY"),
        Object::ObjectPolicy => ("ALTER POLICY", "DROP POLICY"),
        Object::ObjectProcedure => ("ALTER PROCEDURE", "DROP PROCEDURE"),
        Object::ObjectPublication => ("ALTER PUBLICATION", "DROP PUBLICATION"),
        Object::ObjectRole => ("ALTER ROLE", "DROP ROLE"),
        Object::ObjectRoutine => ("ALTER ROUTINE", "DROP ROUTINE"),
        Object::ObjectRule => ("ALTER RULE", "DROP RULE"),
        Object::ObjectSchema => ("ALTER SCHEMA", "DROP SCHEMA"),
        Object::ObjectSequence => ("ALTER SEQUENCE", "DROP SEQUENCE"),
        Object::ObjectSubscription => ("ALTER SUBSCRIPTION", "DROP SUBSCRIPTION"),
        Object::ObjectStatisticExt => ("ALTER STATISTICS", "DROP STATISTICS"),
        Object::ObjectTablespace => ("ALTER TABLESPACE", "DROP TABLESPACE"),
        Object::ObjectTransform => ("", "DROP TRANSFORM"),
        Object::ObjectTrigger => ("ALTER TRIGGER", "DROP TRIGGER"),
        Object::ObjectTsconfiguration => ("ALTER TEXT SEARCH CONFIGURATION", "DROP TEXT SEARCH CONFIGURATION"),
        Object::ObjectTsdictionary => ("ALTER TEXT SEARCH DICTIONARY", "DROP TEXT SEARCH DICTIONARY"),
        Object::ObjectTsparser => ("ALTER TEXT SEARCH PARSER", "DROP TEXT SEARCH PARSER"),
        Object::ObjectTstemplate => ("ALTER TEXT SEARCH TEMPLATE", "DROP TEXT SEARCH TEMPLATE"),
        Object::ObjectView => ("ALTER VIEW", "DROP VIEW"),
        Object::Undefined
        | Object::ObjectAmop
        | Object::ObjectAmproc
        | Object::ObjectDefault
        | Object::ObjectDefacl
        | Object::ObjectParameterAcl
        | Object::ObjectPublicationNamespace
        | Object::ObjectPublicationRel
        | Object::ObjectUserMapping => ("", ""),
    }
}
