//! Users, service principals, groups, and how principals are written.

use sqlparser::tokenizer::Token;

use super::super::command::{Command, Member, MemberChange, NewPassword};
use super::super::cursor::Cursor;
use super::super::error::GovernanceError;
use super::{Parsed, once_each, tokens, unsupported};
use crate::authn::scram::Verifier;
use crate::policy::PrincipalKind;

/// The most bytes of a principal's name.
const MAX_NAME: usize = 256;

/// A principal: in double quotes or backticks as it is; bare (`ann@example.com`) folded to lower case.
pub(super) fn name(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let position = cursor.position();
    let name = match cursor.peek() {
        Token::Word(word) if word.quote_style.is_some() => {
            let name = word.value.clone();
            if name.is_empty() {
                return Err(cursor.empty_name());
            }
            cursor.next();
            name
        }
        Token::Word(_) | Token::Number(..) => bare(cursor)?,
        _ => return Err(cursor.unexpected()),
    };
    match unfit(&name) {
        Some(message) => Err(GovernanceError::InvalidValue { message, position }),
        None => Ok(name),
    }
}

/// Why a principal cannot be called that, if it cannot.
pub fn unfit(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("principal name is empty".to_owned())
    } else if name.len() > MAX_NAME {
        Some(format!("principal name is longer than {MAX_NAME} bytes"))
    } else if name.chars().any(char::is_control) || name.trim() != name {
        Some("principal name holds control characters or spaces at its ends".to_owned())
    } else {
        None
    }
}

fn bare(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let reserved = ["ON", "TO", "FROM", "FOR", "WITH", "NULL", "ALL", "TABLE", "SELECT"];
    if reserved.iter().any(|word| cursor.sees(0, word)) {
        return Err(cursor.unexpected());
    }
    let text = cursor.run(|token| match token {
        Token::Word(word) => word.quote_style.is_none(),
        Token::Number(..) | Token::Period | Token::AtSign | Token::Minus | Token::Plus => true,
        _ => false,
    });
    Ok(text.to_ascii_lowercase())
}

/// Several principals.
pub(super) fn names(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let mut found = vec![name(cursor)?];
    while cursor.token(&Token::Comma) {
        found.push(name(cursor)?);
    }
    Ok(once_each(found))
}

pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let kind = kind(cursor)?;
    let if_not_exists = cursor.words(&["IF", "NOT", "EXISTS"]);
    let name = name(cursor)?;
    let members = match kind {
        PrincipalKind::Group if cursor.word("WITH") => members(cursor)?,
        PrincipalKind::User if cursor.sees(0, "WITH") || cursor.sees(0, "PASSWORD") => {
            let hint = "Principals log in with tokens: use CREATE TOKEN FOR …, or ALTER USER … PASSWORD GENERATE for SCRAM.";
            return Err(unsupported(cursor, "an option of CREATE USER", Some(hint)));
        }
        PrincipalKind::User | PrincipalKind::ServicePrincipal | PrincipalKind::Group => Vec::new(),
    };
    Ok(Command::CreatePrincipal { kind, name, if_not_exists, members })
}

pub(super) fn drop(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let kind = kind(cursor)?;
    let if_exists = cursor.words(&["IF", "EXISTS"]);
    Ok(Command::DropPrincipal { kind, name: name(cursor)?, if_exists })
}

pub(super) fn alter(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let kind = kind(cursor)?;
    let name = name(cursor)?;
    match kind {
        PrincipalKind::User | PrincipalKind::ServicePrincipal => match cursor.one_of(&["ENABLE", "DISABLE"]) {
            Some(word) => Ok(Command::EnablePrincipal { kind, name, enabled: word == "ENABLE" }),
            None => password(cursor, kind, name),
        },
        PrincipalKind::Group => {
            let change = match cursor.one_of(&["ADD", "DROP"]) {
                Some("ADD") => MemberChange::Add,
                Some(_) => MemberChange::Drop,
                None => return Err(cursor.unexpected()),
            };
            Ok(Command::AlterGroup { group: name, change, members: members(cursor)? })
        }
    }
}

/// As PostgreSQL writes it, for psql's `\password`; PostgreSQL's other attributes are not ours.
fn password(cursor: &mut Cursor<'_>, kind: PrincipalKind, name: String) -> Parsed<Command> {
    cursor.word("WITH");
    cursor.word("ENCRYPTED");
    cursor.expect_words(&["PASSWORD"])?;
    let position = cursor.position();
    let password = if cursor.word("NULL") {
        NewPassword::None
    } else if cursor.word("GENERATE") {
        NewPassword::Generated
    } else {
        match Verifier::parse(&tokens::string(cursor)?) {
            Some(verifier) => NewPassword::Verifier(verifier),
            None => return Err(GovernanceError::InvalidValue { message: NO_VERIFIER.to_owned(), position }),
        }
    };
    let (mut lifetime, mut scopes) = (None, None);
    while !cursor.at_end() && password != NewPassword::None {
        if lifetime.is_none() && cursor.word("LIFETIME") {
            lifetime = Some(tokens::duration(cursor)?);
        } else if scopes.is_none() && cursor.word("SCOPES") {
            scopes = Some(tokens::scope_list(cursor)?);
        } else {
            return Err(cursor.unexpected());
        }
    }
    Ok(Command::SetPassword { kind, name, password, lifetime, scopes: scopes.unwrap_or_default() })
}

/// A password that travels is known to whoever reads along, logs included.
const NO_VERIFIER: &str = "only a SCRAM-SHA-256 verifier is taken (4096 iterations, a salt of 16 bytes), never a password: use psql's \\password, or PASSWORD GENERATE";

pub(super) fn show(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.word("USERS") {
        return Ok(Command::ShowPrincipals { kind: PrincipalKind::User });
    }
    if cursor.words(&["SERVICE", "PRINCIPALS"]) {
        return Ok(Command::ShowPrincipals { kind: PrincipalKind::ServicePrincipal });
    }
    cursor.expect_words(&["GROUPS"])?;
    let with = if cursor.word("WITH") {
        let kind = kind(cursor)?;
        Some(Member { kind, name: name(cursor)? })
    } else {
        None
    };
    Ok(Command::ShowGroups { with })
}

/// What comes after GRANT ACT FOR and REVOKE ACT FOR.
pub(super) fn act(cursor: &mut Cursor<'_>, granted: bool) -> Parsed<Command> {
    let people = members(cursor)?;
    cursor.expect_words(&[if granted { "TO" } else { "FROM" }])?;
    Ok(Command::Act { people, actors: names(cursor)?, granted })
}

/// `USER a, b, GROUP c`: a kind word holds until the next one; commas before kind words may be left out.
fn members(cursor: &mut Cursor<'_>) -> Parsed<Vec<Member>> {
    let mut kind = kind(cursor)?;
    let mut found = vec![Member { kind, name: name(cursor)? }];
    loop {
        let comma = cursor.token(&Token::Comma);
        if let Some(next) = maybe_kind(cursor) {
            kind = next;
        } else if !comma {
            return Ok(once_each(found));
        }
        found.push(Member { kind, name: name(cursor)? });
    }
}

fn kind(cursor: &mut Cursor<'_>) -> Parsed<PrincipalKind> {
    maybe_kind(cursor).ok_or_else(|| cursor.unexpected())
}

fn maybe_kind(cursor: &mut Cursor<'_>) -> Option<PrincipalKind> {
    if cursor.word("USER") {
        Some(PrincipalKind::User)
    } else if cursor.words(&["SERVICE", "PRINCIPAL"]) {
        Some(PrincipalKind::ServicePrincipal)
    } else if cursor.word("GROUP") {
        Some(PrincipalKind::Group)
    } else {
        None
    }
}
