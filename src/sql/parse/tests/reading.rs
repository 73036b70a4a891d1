use super::*;

fn read(text: &str) -> Vec<Parsed> {
    parse(text, &Limits::default()).unwrap()
}

fn mistake(text: &str) -> (String, Option<usize>) {
    match parse(text, &Limits::default()) {
        Err(ParseError::Syntax { message, position }) => (message, position),
        other => panic!("{text:?} gives {other:?}"),
    }
}

#[test]
fn an_empty_text_gives_no_statement() {
    for text in ["", "  ", ";", " ; ;; ", "-- x", "/* x */ ;"] {
        assert_eq!(read(text).len(), 0, "{text:?}");
    }
}

#[test]
fn a_single_statement_keeps_its_comments() {
    let parsed = read("/*+ hint */ SELECT 1 -- tail\n;");
    assert_eq!(&**parsed[0].text(), "/*+ hint */ SELECT 1 -- tail\n");
    assert_eq!(parsed[0].offset(), 0);
    assert_eq!(parsed[0].kind(), StatementKind::Select);
}

#[test]
fn several_statements_are_cut_by_the_grammar() {
    let text = "BEGIN; /* a;b */ SELECT ';' ; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; ;COMMIT";
    let parsed = read(text);
    let kinds: Vec<_> = parsed.iter().map(|p| p.kind().label()).collect();
    assert_eq!(kinds, ["TRANSACTION", "SELECT", "CREATE FUNCTION", "TRANSACTION"]);
    for statement in &parsed {
        assert_eq!(&text[statement.offset()..statement.offset() + statement.text().len()], &**statement.text());
        assert!(tree::equal(&only(&statement.sql).unwrap().unwrap(), &statement.tree));
    }
}

#[test]
fn locations_are_relative_to_the_statement() {
    let parsed = read("SELECT 1; SELECT * FROM /* é */ orders");
    let Some(pg_query::NodeEnum::SelectStmt(select)) = &parsed[1].tree.node else { panic!() };
    let Some(pg_query::NodeEnum::RangeVar(relation)) = &select.from_clause[0].node else { panic!() };
    let span = lexer::relation_span(&parsed[1].sql, usize::try_from(relation.location).unwrap()).unwrap();
    assert_eq!(&parsed[1].sql[span], "orders");
}

#[test]
fn parentheses_after_identity_words_are_blanked() {
    let text = "SELECT current_user(), Session_User ( /* x */ ), USER(\n), \"user\"(), x.user(), current_user";
    let parsed = read(text);
    assert_eq!(&*parsed[0].sql, "SELECT current_user  , Session_User   /* x */  , USER \n , \"user\"(), x.user(), current_user");
    assert_eq!(&**parsed[0].text(), text);
    let plain = read("SELECT current_user");
    assert!(Arc::ptr_eq(plain[0].text(), &plain[0].sql));
    mistake("SELECT current_user(1)");
    mistake("SELECT current_user()()");
}

#[test]
fn a_mistake_is_found_where_postgresql_finds_it() {
    assert_eq!(mistake("SELEC 1"), ("syntax error at or near \"SELEC\"".to_owned(), Some(0)));
    assert_eq!(mistake("SELECT 1 FROM a FROM b").1, Some(16));
    assert_eq!(mistake("SELECT (1"), ("syntax error at end of input".to_owned(), Some(9)));
    assert_eq!(mistake("SELECT a, b, , c").1, Some(13));
    assert_eq!(mistake("SELECT 1; SELECT ) FROM (a").1, Some(17));
    assert_eq!(mistake("SELECT 'x").1, Some(7));
    assert_eq!(mistake("SELECT 1 /* x").1, Some(9));
    assert_eq!(mistake("SELECT \"\"").1, Some(7));
}

#[test]
fn a_mistake_that_quotes_nothing_is_found_too() {
    let missing = "drop function f(int); drop operator === (numeric(3))";
    assert_eq!(mistake(missing), ("missing argument".to_owned(), Some(missing.len() - 1)));
    assert!(hint("missing argument").is_some());
    let elements = "CREATE SCHEMA IF NOT EXISTS s\n CREATE TABLE t () CREATE VIEW v AS SELECT 1";
    assert_eq!(mistake(elements).1, Some(31));
    let option = "SELECT * FROM XMLTABLE (ROW () PASSING null COLUMNS v1 timestamp __pg__is_not_null 1) AS t (v2)";
    assert_eq!(mistake(option).1, option.find("__pg"));
}

#[test]
fn one_mistake_refuses_the_whole_text() {
    mistake("SELECT 1; SELECT 2; SELEC 3");
}

#[test]
fn a_zero_byte_is_refused() {
    assert_eq!(parse("SELECT '\0'", &Limits::default()).unwrap_err(), ParseError::NulByte { position: 8 });
}

#[test]
fn the_library_answers_every_kind_of_drop_without_taking_us_down() {
    for text in [
        "DROP FUNCTION f",
        "DROP FUNCTION f(int), g",
        "DROP TRIGGER t ON a.b",
        "DROP TABLE a.b.c, d",
        "DROP RULE r ON t",
        "ALTER FUNCTION f RENAME TO g",
    ] {
        let _ = parse(text, &Limits::default());
    }
}

#[test]
fn every_label_is_in_capitals() {
    for kind in StatementKind::ALL {
        assert_eq!(kind.label(), kind.label().to_ascii_uppercase());
    }
}

#[test]
fn the_scanner_says_where_a_number_goes_wrong() {
    assert_eq!(mistake("SELECT 12, 123abc").1, Some(11));
    assert_eq!(mistake("SELECT 0.0e1a").1, Some(7));
    assert_eq!(mistake("SELECT '123a', 123abc").1, Some(15));
}
