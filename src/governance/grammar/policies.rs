//! ALTER TABLE … OWNER, ROW FILTER, MASK, FILTER MECHANISM; ALTER VIEW … TRUSTED.

use sqlparser::tokenizer::Token;

use super::super::command::{Argument, Command, ObjectName, PolicyBody, SecurableName};
use super::super::cursor::Cursor;
use super::{Parsed, grants, principals, tokens, unsupported};
use crate::name::{Name, quote_literal};
use crate::policy::Mechanism;

/// What follows ALTER TABLE or ALTER VIEW.
pub(super) fn alter_relation(cursor: &mut Cursor<'_>, view: bool) -> Parsed<Command> {
    let table = grants::object(cursor)?;
    if cursor.words(&["OWNER", "TO"]) {
        let on = if view { SecurableName::View(table) } else { SecurableName::Table(table) };
        Ok(Command::AlterOwner { on, owner: principals::name(cursor)? })
    } else if cursor.words(&["SET", "ROW", "FILTER"]) {
        Ok(Command::SetRowFilter { table, body: body(cursor, &["ON"])? })
    } else if cursor.words(&["DROP", "ROW", "FILTER"]) {
        Ok(Command::DropRowFilter { table })
    } else if cursor.words(&["SET", "FILTER", "MECHANISM"]) {
        let mechanism = match cursor.one_of(&["RLS", "VIEW", "DEFAULT"]) {
            Some("RLS") => Some(Mechanism::Rls),
            Some("VIEW") => Some(Mechanism::View),
            Some(_) => None,
            None => return Err(cursor.unexpected()),
        };
        Ok(Command::SetMechanism { table, mechanism })
    } else if view && cursor.words(&["SET", "TRUSTED"]) {
        Ok(Command::SetTrusted { view: table, trusted: true })
    } else if view && cursor.words(&["UNSET", "TRUSTED"]) {
        Ok(Command::SetTrusted { view: table, trusted: false })
    } else if cursor.word("ALTER") {
        cursor.word("COLUMN");
        let column = cursor.name()?;
        mask(cursor, table, column)
    } else if cursor.sees(0, "SET") && cursor.sees(1, "TAGS") || cursor.sees(0, "UNSET") {
        Err(unsupported(cursor, "governance by tags", Some("Use row filters and column masks on the tables.")))
    } else {
        Err(cursor.unexpected())
    }
}

/// `[ON [TABLE] t]`.
pub(super) fn shown_table(cursor: &mut Cursor<'_>) -> Parsed<Option<ObjectName>> {
    if !cursor.word("ON") {
        return Ok(None);
    }
    cursor.word("TABLE");
    grants::object(cursor).map(Some)
}

fn mask(cursor: &mut Cursor<'_>, table: ObjectName, column: Name) -> Parsed<Command> {
    if cursor.words(&["DROP", "MASK"]) {
        return Ok(Command::DropMask { table, column });
    }
    cursor.expect_words(&["SET", "MASK"])?;
    Ok(Command::SetMask { table, column, body: body(cursor, &["USING", "COLUMNS"])? })
}

/// `(expression)`, or a function and its arguments; a filter's `ON ()` is demanded, a mask's `USING COLUMNS ()` is not.
fn body(cursor: &mut Cursor<'_>, before: &[&str]) -> Parsed<PolicyBody> {
    if *cursor.peek() == Token::LParen {
        return cursor.parenthesized().map(PolicyBody::Expression);
    }
    let function = grants::object(cursor)?;
    let arguments = if before.len() > 1 && cursor.at_end() {
        Vec::new()
    } else {
        cursor.expect_words(before)?;
        arguments(cursor)?
    };
    Ok(PolicyBody::Function { function, arguments })
}

fn arguments(cursor: &mut Cursor<'_>) -> Parsed<Vec<Argument>> {
    let mut found = Vec::new();
    cursor.expect(&Token::LParen)?;
    if cursor.token(&Token::RParen) {
        return Ok(found);
    }
    loop {
        found.push(argument(cursor)?);
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    Ok(found)
}

/// A column, or a constant: string, number, TRUE, FALSE, NULL, INTERVAL '…'.
fn argument(cursor: &mut Cursor<'_>) -> Parsed<Argument> {
    if let Some(word) = cursor.one_of(&["TRUE", "FALSE", "NULL"]) {
        return Ok(Argument::Literal(word.to_owned()));
    }
    if cursor.sees(0, "INTERVAL") {
        return interval(cursor);
    }
    if let Some(value) = tokens::string_value(cursor.peek()) {
        cursor.next();
        return Ok(Argument::Literal(quote_literal(&value).trim_start().to_owned()));
    }
    match cursor.peek() {
        Token::Minus | Token::Plus | Token::Number(..) => number(cursor),
        _ => column(cursor),
    }
}

fn interval(cursor: &mut Cursor<'_>) -> Parsed<Argument> {
    cursor.next();
    match tokens::string_value(cursor.peek()) {
        Some(value) => {
            cursor.next();
            Ok(Argument::Literal(format!("INTERVAL {}", quote_literal(&value).trim_start())))
        }
        // A column called interval.
        None => Ok(Argument::Column(Name::exact("interval"))),
    }
}

fn number(cursor: &mut Cursor<'_>) -> Parsed<Argument> {
    let sign = if cursor.token(&Token::Minus) {
        "-"
    } else {
        cursor.token(&Token::Plus);
        ""
    };
    let digits = match cursor.peek() {
        Token::Number(digits, _) => digits.clone(),
        _ => return Err(cursor.unexpected()),
    };
    let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !plain {
        return Err(cursor.unexpected());
    }
    cursor.next();
    Ok(Argument::Literal(format!("{sign}{digits}")))
}

fn column(cursor: &mut Cursor<'_>) -> Parsed<Argument> {
    let name = cursor.name()?;
    if *cursor.peek() != Token::Period {
        return Ok(Argument::Column(name));
    }
    let mut dotted = name.as_str().to_owned();
    while cursor.token(&Token::Period) {
        dotted.push('.');
        dotted.push_str(cursor.name()?.as_str());
    }
    Ok(Argument::DottedColumn(dotted))
}
