//! The grammar: which statement it is.

mod grants;
mod policies;
mod principals;
mod tokens;

use std::collections::HashSet;
use std::hash::Hash;

use super::command::{Command, ProxyView};
use super::cursor::Cursor;
use super::error::GovernanceError;

pub use principals::unfit;

type Parsed<T> = Result<T, GovernanceError>;

/// Parses one statement.
pub(super) fn statement(text: &str) -> Parsed<Command> {
    let mut cursor = Cursor::new(text)?;
    let command = any(&mut cursor)?;
    cursor.finish()?;
    Ok(command)
}

fn any(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let Some(first) = cursor.one_of(&[
        "GRANT", "REVOKE", "SHOW", "ALTER", "CREATE", "DROP", "MSCK", "EXPLAIN", "DENY", "SET", "UNSET", "DESCRIBE", "DESC",
    ]) else {
        return Err(cursor.unexpected());
    };
    match first {
        "GRANT" if cursor.words(&["ACT", "FOR"]) => principals::act(cursor, true),
        "REVOKE" if cursor.words(&["ACT", "FOR"]) => principals::act(cursor, false),
        "GRANT" => grants::grant(cursor),
        "REVOKE" if cursor.sees(0, "TOKEN") => tokens::revoke(cursor),
        "REVOKE" => grants::revoke(cursor),
        "SHOW" => show(cursor),
        "ALTER" => alter(cursor),
        "CREATE" => create(cursor),
        "DROP" => drop(cursor),
        "MSCK" => grants::msck(cursor),
        "EXPLAIN" => explain(cursor),
        "DENY" => Err(unsupported(cursor, "DENY", Some("Revoke the grants instead: what is not granted is denied."))),
        _ => later(cursor),
    }
}

fn proxy_view(cursor: &mut Cursor<'_>) -> Option<ProxyView> {
    let views = [("POOLS", ProxyView::Pools), ("SESSIONS", ProxyView::Sessions), ("STATS", ProxyView::Stats)];
    views.into_iter().find(|(word, _)| cursor.word(word)).map(|(_, view)| view)
}

fn show(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.word("GRANTS") || cursor.word("GRANT") {
        grants::show(cursor)
    } else if cursor.words(&["EFFECTIVE", "GRANTS"]) || cursor.words(&["EFFECTIVE", "GRANT"]) {
        grants::show_effective(cursor)
    } else if cursor.word("ACCESS") {
        cursor.expect_words(&["ON"])?;
        Ok(Command::ShowAccess { on: grants::securable(cursor)? })
    } else if cursor.word("TOKENS") {
        tokens::show(cursor)
    } else if cursor.word("ACTORS") {
        let person = if cursor.word("FOR") { Some(principals::name(cursor)?) } else { None };
        Ok(Command::ShowActors { person })
    } else if let Some(view) = proxy_view(cursor) {
        Ok(Command::ShowProxy(view))
    } else if cursor.word("SESSION") {
        Ok(Command::ShowSession)
    } else if cursor.word("AUDIT") {
        let principal = if cursor.word("FOR") { Some(principals::name(cursor)?) } else { None };
        Ok(Command::ShowAudit { principal })
    } else if cursor.words(&["ROW", "FILTERS"]) {
        Ok(Command::ShowRowFilters { table: policies::shown_table(cursor)? })
    } else if cursor.word("MASKS") || cursor.words(&["COLUMN", "MASKS"]) {
        Ok(Command::ShowMasks { table: policies::shown_table(cursor)? })
    } else if cursor.sees(0, "EFFECTIVE") || cursor.sees(0, "POLICIES") || cursor.sees(0, "TAGS") {
        later(cursor)
    } else {
        principals::show(cursor)
    }
}

fn alter(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    for words in [&["TABLE"][..], &["FOREIGN", "TABLE"], &["VIEW"], &["MATERIALIZED", "VIEW"]] {
        if cursor.words(words) {
            return policies::alter_relation(cursor, words.contains(&"VIEW"));
        }
    }
    if ["SCHEMA", "DATABASE", "FUNCTION", "PROCEDURE"].iter().any(|word| cursor.sees(0, word)) {
        let on = grants::securable(cursor)?;
        cursor.expect_words(&["OWNER", "TO"])?;
        return Ok(Command::AlterOwner { on, owner: principals::name(cursor)? });
    }
    principals::alter(cursor)
}

fn create(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.word("TOKEN") {
        tokens::create(cursor)
    } else if cursor.sees(0, "POLICY") || (cursor.sees(0, "OR") && cursor.sees(1, "REPLACE")) {
        later(cursor)
    } else {
        principals::create(cursor)
    }
}

fn drop(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    if cursor.sees(0, "POLICY") { later(cursor) } else { principals::drop(cursor) }
}

fn explain(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.expect_words(&["ACCESS"])?;
    let principal = if cursor.word("FOR") { Some(principals::name(cursor)?) } else { None };
    Ok(Command::ExplainAccess { principal, statement: cursor.rest()? })
}

/// Tags and policies: part of the dialect's plan, not of this version.
fn later(cursor: &Cursor<'_>) -> Parsed<Command> {
    let what = if ["TAG", "TAGS"].iter().any(|word| cursor.sees(0, word)) {
        "governance by tags"
    } else if ["POLICY", "POLICIES", "OR", "EFFECTIVE"].iter().any(|word| cursor.sees(0, word)) {
        "governance by policies"
    } else {
        return Err(cursor.unexpected());
    };
    Err(GovernanceError::Unsupported {
        what: what.to_owned(),
        hint: Some("Use row filters and column masks on the tables."),
        position: None,
    })
}

fn unsupported(cursor: &Cursor<'_>, what: impl Into<String>, hint: Option<&'static str>) -> GovernanceError {
    GovernanceError::Unsupported { what: what.into(), hint, position: Some(cursor.position()) }
}

/// What was named twice counts once. A text may name a hundred thousand.
fn once_each<T: Clone + Eq + Hash>(named: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(named.len());
    named.into_iter().filter(|item| seen.insert(item.clone())).collect()
}
