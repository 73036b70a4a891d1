//! CREATE TOKEN, SHOW TOKENS, REVOKE TOKEN.

use std::time::Duration;

use sqlparser::tokenizer::Token;

use super::super::command::{Command, TokensOf};
use super::super::cursor::Cursor;
use super::super::error::GovernanceError;
use super::{Parsed, once_each, principals};

/// The longest lifetime that is taken: longer ones are typing mistakes.
const MAX_LIFETIME: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let (mut principal, mut comment, mut lifetime, mut scopes) = (None, None, None, None);
    while !cursor.at_end() {
        if principal.is_none() && cursor.word("FOR") {
            principal = Some(principals::name(cursor)?);
        } else if comment.is_none() && cursor.word("COMMENT") {
            comment = Some(string(cursor)?);
        } else if lifetime.is_none() && cursor.word("LIFETIME") {
            lifetime = Some(duration(cursor)?);
        } else if scopes.is_none() && cursor.word("SCOPES") {
            scopes = Some(scope_list(cursor)?);
        } else {
            return Err(cursor.unexpected());
        }
    }
    Ok(Command::CreateToken { principal, comment, lifetime, scopes: scopes.unwrap_or_default() })
}

pub(super) fn show(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let whose = if !cursor.word("FOR") {
        TokensOf::Own
    } else if cursor.word("ALL") {
        TokensOf::All
    } else {
        TokensOf::Principal(principals::name(cursor)?)
    };
    Ok(Command::ShowTokens { whose })
}

pub(super) fn revoke(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.expect_words(&["TOKEN"])?;
    let id = match cursor.peek() {
        Token::Word(word) if word.quote_style.is_some() => {
            let id = word.value.clone();
            cursor.next();
            id
        }
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::DollarQuotedString(_) => string(cursor)?,
        // A bare id of hexadecimal digits may be read as a number and a word, with an exponent between them.
        _ => cursor.run(|token| matches!(token, Token::Word(_) | Token::Number(..) | Token::Minus)),
    };
    if id.is_empty() { Err(cursor.unexpected()) } else { Ok(Command::RevokeToken { id }) }
}

/// A string constant's value.
pub(super) fn string(cursor: &mut Cursor<'_>) -> Parsed<String> {
    match string_value(cursor.peek()) {
        Some(value) => {
            cursor.next();
            Ok(value)
        }
        None => Err(cursor.unexpected()),
    }
}

/// The value of a string token.
pub(super) fn string_value(token: &Token) -> Option<String> {
    match token {
        Token::SingleQuotedString(value) | Token::EscapedStringLiteral(value) | Token::UnicodeStringLiteral(value) => {
            Some(value.clone())
        }
        Token::DollarQuotedString(quoted) => Some(quoted.value.clone()),
        _ => None,
    }
}

/// `'90 days'`, or `90 DAYS`.
pub(super) fn duration(cursor: &mut Cursor<'_>) -> Parsed<Duration> {
    let position = cursor.position();
    let invalid = |text: &str| GovernanceError::InvalidValue { message: format!("invalid lifetime: \"{text}\""), position };
    let (text, amount, unit) = match cursor.peek() {
        Token::Number(number, _) => {
            let number = number.clone();
            cursor.next();
            let unit = cursor.run(|token| matches!(token, Token::Word(w) if w.quote_style.is_none()));
            if unit.is_empty() {
                return Err(cursor.unexpected());
            }
            (format!("{number} {unit}"), number, unit)
        }
        _ => {
            let text = string(cursor)?;
            let trimmed = text.trim();
            let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
            let (amount, unit) = trimmed.split_at(digits);
            (text.clone(), amount.to_owned(), unit.trim().to_owned())
        }
    };
    let seconds = seconds_in(&unit).ok_or_else(|| invalid(&text))?;
    let amount: u64 = amount.parse().map_err(|_| invalid(&text))?;
    let lifetime = amount.checked_mul(seconds).map(Duration::from_secs);
    lifetime.filter(|l| !l.is_zero() && *l <= MAX_LIFETIME).ok_or_else(|| invalid(&text))
}

fn seconds_in(unit: &str) -> Option<u64> {
    let lower = unit.to_ascii_lowercase();
    Some(match lower.strip_suffix('s').unwrap_or(&lower) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 24 * 3600,
        "week" => 7 * 24 * 3600,
        "year" => 365 * 24 * 3600,
        _ => return None,
    })
}

pub(super) fn scope_list(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.expect(&Token::LParen)?;
    let mut scopes: Vec<String> = Vec::new();
    loop {
        let scope = match string_value(cursor.peek()) {
            Some(_) => string(cursor)?,
            None => cursor.run(|token| matches!(token, Token::Word(_) | Token::Colon)).replace(['"', '`'], ""),
        };
        if scope.is_empty() {
            return Err(cursor.unexpected());
        }
        scopes.push(scope);
        if !cursor.token(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    Ok(once_each(scopes))
}
