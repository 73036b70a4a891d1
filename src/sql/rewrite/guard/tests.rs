//! Injection through printers (class "statement smuggled by our own rewriting"): legal single statements whose printed form says
//! something else. The guard catches each printed form; splicing leaves each statement as it was.

use pg_query::{DeparseOptions, NodeEnum, protobuf};

use super::*;
use crate::sql::parse::lexer::relation_span;
use crate::sql::rewrite::splice::Edits;

/// Legal statements that pg_query's own printer turns into something else.
const MISPRINTED: &[&str] = &[
    r#"SELECT * FROM o a JOIN o b USING (id) AS "x, secret""#,
    r#"SELECT 1::pg_catalog."int4, pw FROM secret --""#,
    r#"SELECT count(*) OVER w FROM o WINDOW "w AS () UNION SELECT pw FROM secret --" AS ()"#,
    r#"SELECT sum(a) OVER "w UNION SELECT pw FROM secret --" FROM o"#,
    r#"SELECT f("x := 1), (SELECT pw FROM secret) --" => 1) FROM o"#,
    r#"EXPLAIN ("costs) select 1; drop table v; --" off) SELECT 1"#,
    r#"VACUUM ("full) o; drop table v; --" off) o"#,
    r#"CREATE FUNCTION f("a int) RETURNS int LANGUAGE sql AS 'select 1'; drop table v; --" int) RETURNS int LANGUAGE sql AS 'select 1'"#,
    r#"DROP TABLESPACE "x; drop table v""#,
    r#"DROP SUBSCRIPTION "x; drop table v""#,
    r#"CREATE DATABASE d "owner x; drop table v; --" = 1"#,
];

fn tree(text: &str) -> Node {
    only(text).unwrap().unwrap()
}

fn printed(node: &Node) -> Option<String> {
    let statement = protobuf::RawStmt { stmt: Some(Box::new(node.clone())), stmt_location: 0, stmt_len: 0 };
    pg_query::deparse(&protobuf::ParseResult { version: 180000, stmts: vec![statement] }, DeparseOptions::default()).ok()
}

#[test]
fn misprinted_statements_do_not_pass_the_guard() {
    for text in MISPRINTED {
        let authorized = tree(text);
        if let Some(printed) = printed(&authorized) {
            assert_eq!(prove(&printed, &authorized), Err(RewriteError::Guard), "{printed}");
        }
    }
}

#[test]
fn what_other_printers_make_of_legal_statements_does_not_pass_either() {
    let pairs = [
        (r"SELECT '\'' UNION SELECT pw FROM secret --'", r"SELECT '\' UNION SELECT pw FROM secret --'"),
        (r#"SELECT 1 AS "a\"" FROM secret --""#, r#"SELECT 1 AS "a\" FROM secret --""#),
        ("SELECT - - '\n pw FROM secret --'", "SELECT --'\n pw FROM secret --'"),
        ("COMMENT ON TABLE t IS 'x''; DROP TABLE v; --'", "COMMENT ON TABLE t IS 'x'; DROP TABLE v; --'"),
        (r"NOTIFY c, E'x\'; DROP TABLE v; --'", r"NOTIFY c, 'x'; DROP TABLE v; --'"),
        (
            r#"CREATE TABLE x TABLESPACE "a AS SELECT * FROM secret --" AS SELECT 1"#,
            "CREATE TABLE x TABLESPACE a AS SELECT * FROM secret -- AS SELECT 1",
        ),
        ("SELECT 'a''''b'", "SELECT 'a''b'"),
        ("SELECT a ISNULL", "SELECT a AS ISNULL"),
        ("SELECT 0x1F", "SELECT X'1F'"),
        ("SELECT a ?@ b", "SELECT a ? @b"),
        ("SELECT interval(3) '1s'", "SELECT interval '1s'"),
        (r#"SELECT U&"p\0061ss""#, r#"SELECT U & "p\0061ss""#),
    ];
    for (legal, printed) in pairs {
        let authorized = tree(legal);
        assert_eq!(prove(legal, &authorized), Ok(()), "{legal}");
        assert_eq!(prove(printed, &authorized), Err(RewriteError::Guard), "{printed}");
    }
}

/// The first relation of FROM, found in the tree and named otherwise there.
fn redirect_first_relation(node: &mut Node) -> Option<usize> {
    let NodeEnum::SelectStmt(select) = node.node.as_mut()? else { return None };
    let mut from = select.from_clause.first_mut()?;
    while let Some(NodeEnum::JoinExpr(_)) = &from.node {
        let Some(NodeEnum::JoinExpr(join)) = &mut from.node else { return None };
        from = join.larg.as_mut()?;
    }
    let NodeEnum::RangeVar(relation) = from.node.as_mut()? else { return None };
    relation.schemaname = "pgusher_public".to_owned();
    usize::try_from(relation.location).ok()
}

#[test]
fn splicing_leaves_misprinted_statements_as_they_were() {
    let mut redirected = 0;
    for text in MISPRINTED {
        let mut edits = Edits::new();
        edits.insert(0, "/* ours */ ");
        let mut authorized = tree(text);
        if let Some(location) = redirect_first_relation(&mut authorized) {
            edits.replace(relation_span(text, location).unwrap(), "\"pgusher_public\".\"o\"");
            redirected += 1;
        }
        let spliced = edits.apply(text).unwrap();
        assert_eq!(prove(&spliced.text, &authorized), Ok(()), "{}", spliced.text);
        assert_eq!(prove(text, &authorized).is_ok(), redirect_first_relation(&mut tree(text)).is_none(), "{text}");
    }
    assert_eq!(redirected, 4);
}

#[test]
fn only_one_statement_passes() {
    let authorized = tree("SELECT 1");
    assert_eq!(prove("SELECT 1;", &authorized), Ok(()));
    assert_eq!(prove(";;SELECT 1;;", &authorized), Ok(()));
    for text in ["SELECT 1; SELECT 1", "SELECT 1; DROP TABLE v", "", ";", "SELECT", "SELECT 1 SELECT", "SELECT '"] {
        assert_eq!(prove(text, &authorized), Err(RewriteError::Guard), "{text}");
    }
}

#[test]
fn whatever_differs_is_caught() {
    let authorized = tree("SELECT id, name FROM s.orders AS o WHERE region = 'EU' ORDER BY id LIMIT 10");
    for text in [
        "SELECT id, name FROM orders AS o WHERE region = 'EU' ORDER BY id LIMIT 10",
        "SELECT id, name FROM s.orders AS o WHERE region = 'US' ORDER BY id LIMIT 10",
        "SELECT id, name FROM s.orders AS o WHERE region = 'EU' ORDER BY id LIMIT 11",
        "SELECT id, name FROM ONLY s.orders AS o WHERE region = 'EU' ORDER BY id LIMIT 10",
        "SELECT id, name FROM s.orders AS o WHERE region = 'EU' ORDER BY id DESC LIMIT 10",
        "SELECT id, name FROM s.orders AS o WHERE region = 'EU' OR true ORDER BY id LIMIT 10",
        "SELECT id, name FROM s.orders AS o, s.secret WHERE region = 'EU' ORDER BY id LIMIT 10",
        "SELECT id, name INTO x FROM s.orders AS o WHERE region = 'EU' ORDER BY id LIMIT 10",
        "SELECT id, name FROM s.orders AS o WHERE region = 'EU' ORDER BY id LIMIT 10 FOR UPDATE",
    ] {
        assert_eq!(prove(text, &authorized), Err(RewriteError::Guard), "{text}");
    }
}

/// Where nothing is edited the guard goes by what the grammar made of the client's whole text, in which more may stand behind the statement.
#[test]
fn what_ends_a_single_statement_changes_nothing_in_it() {
    use crate::sql::{Limits, parse};
    for text in [
        "SELECT 'a'",
        "SELECT 1 + 2 FROM t",
        "DELETE FROM t",
        "SELECT U&'a'",
        "SELECT a FROM t ORDER BY a NULLS FIRST",
        "VALUES (1) -- x",
    ] {
        for end in ["", ";", " ;", "\n; ", ";;", "; -- 'x", ";/* a */\n;", "--\n;"] {
            let statement = parse(&format!("{text}{end}"), &Limits::default()).unwrap().remove(0);
            assert_eq!(prove(&statement.sql, &statement.tree), Ok(()), "{text}{end}");
            assert!(statement.says(&statement.sql.clone()), "{text}{end}");
            assert!(!statement.says(&format!("{} ", statement.sql)), "{text}{end}");
        }
    }
}

/// The guard stands before everything that goes upstream, texts of ours that go with a statement included.
#[test]
fn nothing_is_rewritten_without_the_guard() {
    use crate::catalog::SearchPath;
    use crate::sql::fixture::{alice, footing};
    use crate::sql::resolve::walk::NoObjects;
    use crate::sql::{Limits, Permitted, Resolved, analysis, parse, resolve, rewrite};
    let resolved = |sql: &str| {
        let statement = parse(sql, &Limits::default()).unwrap().remove(0);
        resolve(statement, &footing(), &SearchPath::default(), &alice(), &NoObjects).unwrap()
    };
    let done = |resolved: Resolved| {
        let permitted = Permitted { analysis: std::sync::Arc::new(analysis(resolved)), reasons: Vec::new() };
        rewrite(permitted).map(|rewritten| rewritten.text().to_string())
    };
    assert!(done(resolved("SELECT 1 FROM orders")).is_ok());
    let mut smuggled = resolved("SELECT 1 FROM orders");
    smuggled.edits.replace(7..8, "pw FROM secret --");
    assert_eq!(done(smuggled), Err(RewriteError::Guard));
    // The text stayed as it was, and the tree did not.
    let mut other = resolved("SELECT 1 FROM orders");
    other.parsed.tree = tree("SELECT 2 FROM orders");
    assert_eq!(done(other), Err(RewriteError::Guard));
    assert!(done(resolved("COPY orders FROM STDIN")).is_ok());
    let mut smuggled = resolved("COPY orders FROM STDIN");
    smuggled.companions[0].0 = "DROP TABLE v".into();
    assert_eq!(done(smuggled), Err(RewriteError::Guard));
}
