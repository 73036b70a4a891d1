use std::collections::HashSet;
use std::fmt::Write;

use pg_query::NodeEnum as Kind;
use pg_query::protobuf::{
    AlterObjectSchemaStmt, AlterTableStmt, CommentStmt, CreateFunctionStmt, CreateTableAsStmt, DefineStmt, DropStmt, ObjectType,
    RenameStmt, VacuumStmt,
};

use crate::sql::parse::{SURFACE, StatementKind, Support, statement, surface};

/// Every object that the grammar knows.
fn objects() -> impl Iterator<Item = i32> {
    (0..200).filter(|kind| ObjectType::try_from(*kind).is_ok_and(|kind| kind != ObjectType::Undefined))
}

#[test]
fn every_kind_of_statement_is_on_the_list() {
    let listed: HashSet<&str> = SURFACE.iter().map(|one| one.statement).collect();
    assert_eq!(listed.len(), SURFACE.len(), "each once");
    for kind in StatementKind::ALL {
        let varies = matches!(
            kind,
            StatementKind::Drop
                | StatementKind::Rename
                | StatementKind::AlterObjectSchema
                | StatementKind::AlterObjectDepends
                | StatementKind::AlterOwner
                | StatementKind::Transaction
                | StatementKind::Define
        );
        assert!(varies || listed.contains(kind.label()), "{kind}");
    }
}

#[test]
fn every_object_of_a_statement_is_on_the_list() {
    for kind in objects() {
        for node in [
            Kind::DropStmt(DropStmt { remove_type: kind, ..DropStmt::default() }),
            Kind::RenameStmt(Box::new(RenameStmt { rename_type: kind, ..RenameStmt::default() })),
            Kind::AlterObjectSchemaStmt(Box::new(AlterObjectSchemaStmt { object_type: kind, ..AlterObjectSchemaStmt::default() })),
            Kind::AlterTableStmt(AlterTableStmt { objtype: kind, ..AlterTableStmt::default() }),
            Kind::DefineStmt(DefineStmt { kind, ..DefineStmt::default() }),
        ] {
            // The grammar has no such statement.
            let none = matches!(statement(&node), "" | "ALTER CAST");
            assert!(none || surface(&node).is_some(), "{}: {node:?}", statement(&node));
        }
        let comment = Kind::CommentStmt(Box::new(CommentStmt { objtype: kind, ..CommentStmt::default() }));
        // Nobody can comment on these.
        let inner = matches!(
            ObjectType::try_from(kind),
            Ok(ObjectType::ObjectAmop
                | ObjectType::ObjectAmproc
                | ObjectType::ObjectDefault
                | ObjectType::ObjectDefacl
                | ObjectType::ObjectParameterAcl
                | ObjectType::ObjectPublicationNamespace
                | ObjectType::ObjectPublicationRel
                | ObjectType::ObjectUserMapping)
        );
        assert_eq!(surface(&comment).is_none(), inner, "{comment:?}");
    }
    for node in [
        Kind::CreateTableAsStmt(Box::new(CreateTableAsStmt {
            objtype: ObjectType::ObjectMatview.into(),
            ..CreateTableAsStmt::default()
        })),
        Kind::CreateTableAsStmt(Box::default()),
        Kind::CreateFunctionStmt(Box::new(CreateFunctionStmt { is_procedure: true, ..CreateFunctionStmt::default() })),
        Kind::VacuumStmt(VacuumStmt { is_vacuumcmd: true, ..VacuumStmt::default() }),
        Kind::VacuumStmt(VacuumStmt::default()),
    ] {
        assert!(surface(&node).is_some(), "{node:?}");
    }
}

#[test]
fn a_comment_is_as_open_as_a_change_of_its_object() {
    let support = |objtype: ObjectType| {
        let comment = CommentStmt { objtype: objtype.into(), ..CommentStmt::default() };
        surface(&Kind::CommentStmt(Box::new(comment))).unwrap().support
    };
    assert_eq!(support(ObjectType::ObjectTable), Support::Everyone);
    assert!(matches!(support(ObjectType::ObjectCast), Support::Admins(_)));
    assert!(matches!(support(ObjectType::ObjectRole), Support::Nobody(_)));
}

/// `PGUSHER_WRITE_DOCS=1 cargo test --lib the_document` writes it anew.
#[test]
fn the_document_of_the_surface_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sql-surface.md");
    if std::env::var_os("PGUSHER_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        std::fs::write(path, document()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == document(), "docs/sql-surface.md is not as the code: PGUSHER_WRITE_DOCS=1 cargo test --lib the_document");
}

fn document() -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("| statement | needs |\n|---|---|\n");
    for one in SURFACE.iter().filter(|one| one.support == Support::Everyone) {
        writeln!(text, "| {} | {} |", one.statement, one.needs).unwrap();
    }
    text.push_str("\n\n## Administrators only\n\nOthers get 42501.\n\n| statement | why |\n|---|---|\n");
    for one in SURFACE {
        if let Support::Admins(reason) = one.support {
            writeln!(text, "| {} | {reason} |", one.statement).unwrap();
        }
    }
    text.push_str(
        "\n\n## Refused to everybody\n\nThey get 0A000, with the reason as the detail.\n\n| statement | why |\n|---|---|\n",
    );
    for one in SURFACE.iter().filter(|one| !INNER.contains(&one.statement)) {
        if let Support::Nobody(reason) = one.support {
            writeln!(text, "| {} | {reason} |", one.statement).unwrap();
        }
    }
    text
}

/// Nodes that stand inside statements only.
const INNER: [&str; 5] = ["RAW", "SET OPERATION", "RETURN", "ASSIGNMENT", "REPLICA IDENTITY"];

const INTRODUCTION: &str = "\
# The SQL surface

Every kind of statement, what it needs, and what is refused. This file is made from the list that the analysis itself uses
(`src/sql/parse/surface.rs`); a test holds it to that.

The owner of an object and administrators always pass; a group may own. A privilege on a schema or on the catalog covers what is in it.
Whoever creates something owns it. What is missing is told with 42501: `permission denied for …`, or `must be owner of …` where ownership
(or MANAGE, or MODIFY) would do; the detail names what.

For everybody but administrators, what a definition computes with the rights of an owner (defaults, checks, generated columns, index and
partition expressions, conditions of triggers, queries of materialized views) calls built-in functions only.
Administrators' may call what a superuser upstream made known (functions in C), too, and where nothing is computed at once, any.
Temporary tables, views and sequences need nothing but what their definitions read; temporary functions need ANONYMOUS FUNCTION.


## Open to whoever has the rights

";
