//! GRANT, REVOKE, SHOW GRANTS, MSCK, and how securables are written.

use sqlparser::tokenizer::Token;

use super::super::command::{Command, ObjectName, SecurableName};
use super::super::cursor::Cursor;
use super::super::error::GovernanceError;
use super::{Parsed, principals, unsupported};
use crate::name::Name;
use crate::policy::Privilege;

pub(super) fn grant(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let privileges = privileges(cursor, "TO")?;
    let on = securable(cursor)?;
    cursor.expect_words(&["TO"])?;
    let to = principals::names(cursor)?;
    if cursor.sees(0, "WITH") && cursor.sees(1, "GRANT") {
        return Err(unsupported(cursor, "WITH GRANT OPTION", Some("Grant MANAGE to those who may grant.")));
    }
    Ok(Command::Grant { privileges, on, to })
}

pub(super) fn revoke(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.sees(0, "GRANT") && cursor.sees(1, "OPTION") {
        return Err(unsupported(cursor, "GRANT OPTION", Some("Revoke MANAGE from those who may grant.")));
    }
    let privileges = privileges(cursor, "FROM")?;
    let on = securable(cursor)?;
    cursor.expect_words(&["FROM"])?;
    let from = principals::names(cursor)?;
    if cursor.sees(0, "CASCADE") {
        return Err(unsupported(cursor, "REVOKE … CASCADE", Some("A revoke takes exactly the named grants away.")));
    }
    Ok(Command::Revoke { privileges, on, from })
}

pub(super) fn show(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let principal = if cursor.at_end() || cursor.sees(0, "ON") { None } else { Some(principals::name(cursor)?) };
    let on = if cursor.word("ON") { Some(securable(cursor)?) } else { None };
    Ok(Command::ShowGrants { principal, on })
}

pub(super) fn show_effective(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let principal = principals::name(cursor)?;
    cursor.expect_words(&["ON"])?;
    Ok(Command::ShowEffectiveGrants { principal, on: securable(cursor)? })
}

pub(super) fn msck(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.word("REPAIR");
    let on = securable(cursor)?;
    cursor.word("PRIVILEGES");
    Ok(Command::Msck { on })
}

/// The privileges and the ON after them.
fn privileges(cursor: &mut Cursor<'_>, direction: &str) -> Parsed<Vec<Privilege>> {
    let mut found: Vec<Privilege> = Vec::new();
    loop {
        if found.is_empty() && names_a_role(cursor, direction) {
            return Err(unsupported(
                cursor,
                "granting one principal to another",
                Some("Use ALTER GROUP … ADD and ALTER GROUP … DROP."),
            ));
        }
        let privilege = privilege(cursor)?;
        if !found.contains(&privilege) {
            found.push(privilege);
        }
        if *cursor.peek() == Token::LParen {
            return Err(unsupported(
                cursor,
                "a privilege on single columns",
                Some("Set a mask on the column, or grant on a view."),
            ));
        }
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_words(&["ON"])?;
    Ok(found)
}

/// `GRANT a TO b`: PostgreSQL's role membership.
fn names_a_role(cursor: &Cursor<'_>, direction: &str) -> bool {
    matches!(cursor.peek(), Token::Word(_)) && cursor.sees(1, direction)
}

fn privilege(cursor: &mut Cursor<'_>) -> Parsed<Privilege> {
    let position = cursor.position();
    if cursor.word("ALL") {
        cursor.word("PRIVILEGES");
        return Ok(Privilege::AllPrivileges);
    }
    if cursor.words(&["USE", "CONNECTION"]) {
        return Ok(Privilege::UseConnection);
    }
    let name = match cursor.peek() {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        _ => return Err(cursor.unexpected()),
    };
    // ALL PRIVILEGES and USE CONNECTION hold a space, so no single word is taken for them.
    if let Some(privilege) = Privilege::from_text(&name) {
        cursor.next();
        return Ok(privilege);
    }
    let hint = match name.as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" => Some("MODIFY is the privilege to insert, update and delete rows."),
        "USAGE" | "USE" => Some("No privilege on a schema or catalog is needed to use what is granted in it."),
        "OWN" | "OWNERSHIP" => Some("Use ALTER … OWNER TO."),
        "CONNECT" | "TEMPORARY" | "TEMP" => Some("Everybody with a token may connect."),
        _ => None,
    };
    Err(GovernanceError::UnknownPrivilege { name: name.to_ascii_lowercase(), hint, position })
}

/// A securable, its kind word included.
pub(super) fn securable(cursor: &mut Cursor<'_>) -> Parsed<SecurableName> {
    if cursor.word("CATALOG") {
        let unnamed = cursor.at_end() || ["TO", "FROM", "OWNER", "PRIVILEGES"].iter().any(|word| cursor.sees(0, word));
        return Ok(SecurableName::Catalog(if unnamed { None } else { Some(cursor.name()?) }));
    }
    if cursor.one_of(&["SCHEMA", "DATABASE"]).is_some() {
        return schema(cursor);
    }
    if cursor.words(&["ANONYMOUS", "FUNCTION"]) {
        return Ok(SecurableName::AnonymousFunction);
    }
    if cursor.words(&["ANY", "FILE"]) {
        return Ok(SecurableName::AnyFile);
    }
    if cursor.word("CONNECTION") || cursor.words(&["FOREIGN", "SERVER"]) {
        return Ok(SecurableName::Connection(cursor.name()?));
    }
    if cursor.word("FUNCTION") || cursor.word("PROCEDURE") {
        return function(cursor);
    }
    if cursor.word("VIEW") || cursor.words(&["MATERIALIZED", "VIEW"]) {
        return Ok(SecurableName::View(object(cursor)?));
    }
    if cursor.sees(0, "ALL") {
        return Err(unsupported(
            cursor,
            "a grant on all objects at once",
            Some("Grant on the schema: it covers everything in it, now and later."),
        ));
    }
    if !cursor.words(&["FOREIGN", "TABLE"]) {
        cursor.word("TABLE");
    }
    Ok(SecurableName::Table(object(cursor)?))
}

/// A name of one to three parts.
pub(super) fn object(cursor: &mut Cursor<'_>) -> Parsed<ObjectName> {
    let mut parts = parts(cursor)?;
    let name = match parts.pop() {
        Some(name) if parts.len() <= 2 => name,
        _ => return Err(cursor.unexpected()),
    };
    let schema = parts.pop();
    Ok(ObjectName { database: parts.pop(), schema, name })
}

fn schema(cursor: &mut Cursor<'_>) -> Parsed<SecurableName> {
    let mut parts = parts(cursor)?;
    match parts.pop() {
        Some(name) if parts.len() <= 1 => Ok(SecurableName::Schema(ObjectName { database: parts.pop(), schema: None, name })),
        _ => Err(cursor.unexpected()),
    }
}

fn parts(cursor: &mut Cursor<'_>) -> Parsed<Vec<Name>> {
    let mut parts = vec![cursor.name()?];
    while cursor.token(&Token::Period) {
        parts.push(cursor.name()?);
    }
    Ok(parts)
}

fn function(cursor: &mut Cursor<'_>) -> Parsed<SecurableName> {
    let name = object(cursor)?;
    let mut types = Vec::new();
    if *cursor.peek() != Token::LParen {
        return Ok(SecurableName::Function { name, arguments: None });
    }
    cursor.expect(&Token::LParen)?;
    while *cursor.peek() != Token::RParen {
        types.push(type_name(cursor)?);
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    Ok(SecurableName::Function { name, arguments: Some(types) })
}

/// A type's words: `timestamp with time zone`, `numeric(10,2)`, `text[]`, `s.t`.
fn type_name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let mut words: Vec<String> = Vec::new();
    loop {
        let part = cursor.run(|token| matches!(token, Token::Word(_) | Token::Period | Token::LBracket | Token::RBracket));
        if part.is_empty() {
            break;
        }
        words.push(part);
    }
    if *cursor.peek() == Token::LParen {
        // PostgreSQL ignores the modifier of an argument's type.
        cursor.parenthesized()?;
    }
    if words.is_empty() { Err(cursor.unexpected()) } else { Ok(words.join(" ")) }
}
