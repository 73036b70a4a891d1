//! Text → [`Parsed`]: PostgreSQL's own grammar under hard limits; a closed list of statement kinds; the router.
//!
//! In: a client's text. Out: its statements, each with the grammar's tree and its kind. Never: names resolved, anything sent.

mod kinds;
pub mod lexer;
mod limits;
mod route;
pub(in crate::sql) mod shape;
mod surface;
mod tag;
pub(in crate::sql) mod tree;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pg_query::{Node, protobuf};

pub use kinds::StatementKind;
pub use limits::Limits;
pub use route::{Route, route, split_statements};
pub use shape::Shape;
pub use surface::{SURFACE, Support, Surface, statement, surface};
pub use tag::command_tag;

use lexer::{Lexer, Token, TokenKind};

/// Why a text was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not parse.
    #[error("{message}")]
    Syntax {
        /// PostgreSQL's message.
        message: String,
        /// Where in the client's text, in bytes from 0.
        position: Option<usize>,
    },
    /// More bytes than the limit.
    #[error("statement is {bytes} bytes long, at most {limit} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Nested or chained deeper than the limit.
    #[error("statement is too complex: {what}")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
    },
    /// A zero byte, which no text of PostgreSQL may hold (22021).
    #[error("invalid byte sequence for encoding \"UTF8\": 0x00")]
    NulByte {
        /// Where, in bytes from 0.
        position: usize,
    },
    /// It is valid SQL that the parser's library cannot hand over (0A000).
    #[error("statement cannot be analyzed")]
    Unreadable,
}

/// One statement of a client's text.
#[derive(Debug)]
pub struct Parsed {
    /// The client's text of this statement.
    text: Arc<str>,
    /// The text that was parsed: `text`, with blanks for the parentheses of `current_user()` and its like. Same length.
    pub(in crate::sql) sql: Arc<str>,
    /// Where `text` begins in the client's whole text.
    pub(in crate::sql) offset: usize,
    /// The grammar's tree of `sql`; its locations are byte offsets into `sql`.
    pub(in crate::sql) tree: Node,
    /// What the grammar made of `sql`, whatever was made of the tree since; not kept of long texts.
    written: Option<tree::Encoded>,
    kind: StatementKind,
}

impl Parsed {
    /// The client's text of this statement.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Where it begins in the client's whole text, in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Its kind.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    /// Whether it is certain that the tree is still what the grammar made of a text: of this one, byte for byte.
    pub(in crate::sql) fn says(&self, text: &str) -> bool {
        *text == *self.sql && self.written.as_ref().is_some_and(|written| written.is_of(&self.tree))
    }

    /// What it needs, and who may run it; `None` for what the list does not know.
    pub fn classified(&self) -> Option<&'static Surface> {
        self.tree.node.as_ref().and_then(surface)
    }
}

/// Splits and parses a client's text; an empty text gives no statement. As in PostgreSQL, one mistake anywhere refuses all.
pub fn parse(text: &str, limits: &Limits) -> Result<Vec<Parsed>, ParseError> {
    let survey = limits::survey(text, limits)?;
    if survey.tokens == 0 {
        return Ok(Vec::new());
    }
    let blanked = blank(text, &survey.blanks);
    let sql = blanked.as_deref().unwrap_or(text);
    let statements = raw(sql).map_err(|error| error.into_parse_error(sql))?;
    let alone = statements.len() == 1;
    let mut parsed = Vec::with_capacity(statements.len());
    for statement in statements {
        let start = usize::try_from(statement.stmt_location).unwrap_or(0);
        let length = usize::try_from(statement.stmt_len).unwrap_or(0);
        let end = if length == 0 { sql.len() } else { start + length };
        // A single statement keeps the comments before it, and its tree's locations are right as they are.
        let (range, tree) = if alone {
            (0..end, statement.stmt.map(|node| *node))
        } else {
            let slice = sql.get(start..end).ok_or(ParseError::Unreadable)?;
            (start..end, only(slice).map_err(|error| error.into_parse_error(slice))?)
        };
        let (Some(text), Some(slice)) = (text.get(range.clone()), sql.get(range.clone())) else {
            return Err(ParseError::Unreadable);
        };
        let tree = tree.ok_or(ParseError::Unreadable)?;
        if survey.tokens > SHALLOW && !tree::depth_within(&tree, limits.tree_depth) {
            return Err(ParseError::TooComplex { what: "nested too deeply" });
        }
        let kind = tree.node.as_ref().and_then(StatementKind::of).ok_or(ParseError::Unreadable)?;
        let text: Arc<str> = Arc::from(text);
        let sql = if blanked.is_some() { Arc::from(slice) } else { text.clone() };
        // What ends a single statement, a semicolon and what the scanner skips, is of no statement.
        let written = (survey.tokens <= SHALLOW).then(|| tree::Encoded::of(&tree));
        parsed.push(Parsed { text, sql, offset: range.start, tree, written, kind });
    }
    Ok(parsed)
}

/// So few tokens cannot make a tree deeper than any limit of use, nor one that is large.
const SHALLOW: usize = 300;

fn blank(text: &str, blanks: &[usize]) -> Option<String> {
    if blanks.is_empty() {
        return None;
    }
    let mut blanked = String::with_capacity(text.len());
    let mut from = 0;
    for at in blanks {
        blanked.push_str(&text[from..*at]);
        blanked.push(' ');
        from = at + 1;
    }
    blanked.push_str(&text[from..]);
    Some(blanked)
}

/// What went wrong in the grammar.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sql) enum Fault {
    /// PostgreSQL's message.
    Message(String),
    /// The grammar ran out of stack or memory.
    Exhausted,
    /// The library failed.
    Broken,
}

impl Fault {
    fn into_parse_error(self, text: &str) -> ParseError {
        match self {
            Self::Message(message) => {
                let position = position(text, &message);
                ParseError::Syntax { message, position }
            }
            Self::Exhausted => ParseError::TooComplex { what: "nested too deeply" },
            Self::Broken => ParseError::Unreadable,
        }
    }
}

/// PostgreSQL's grammar on a text, without limits.
fn raw(text: &str) -> Result<Vec<protobuf::RawStmt>, Fault> {
    // The library panics on a few statements while it collects what we never ask it for.
    let parsed =
        catch_unwind(AssertUnwindSafe(|| pg_query::parse(text, pg_query::ParserOptions::DEFAULT))).map_err(|_| Fault::Broken)?;
    match parsed {
        Ok(result) => Ok(result.protobuf.stmts),
        Err(pg_query::Error::Parse(message)) if exhausted(&message) => Err(Fault::Exhausted),
        Err(pg_query::Error::Parse(message)) => Err(Fault::Message(message)),
        Err(pg_query::Error::Decode(_)) => Err(Fault::Exhausted),
        Err(
            pg_query::Error::Conversion(_)
            | pg_query::Error::InvalidJson(_)
            | pg_query::Error::InvalidPointer
            | pg_query::Error::Scan(_)
            | pg_query::Error::IsUtility(_)
            | pg_query::Error::Split(_),
        ) => Err(Fault::Broken),
    }
}

/// The tree of a text that is exactly one statement; `None` when it is none or several.
pub(in crate::sql) fn only(text: &str) -> Result<Option<Node>, Fault> {
    let mut statements = raw(text)?;
    let last = statements.pop();
    if !statements.is_empty() {
        return Ok(None);
    }
    Ok(last.and_then(|statement| statement.stmt).map(|node| *node))
}

fn exhausted(message: &str) -> bool {
    message.starts_with("stack depth limit exceeded")
        || message.starts_with("memory exhausted")
        || message.starts_with("out of memory")
}

/// PostgreSQL's hint to a message of its grammar.
pub fn hint(message: &str) -> Option<&'static str> {
    (message == MISSING_ARGUMENT).then_some("Use NONE to denote the missing argument of a unary operator.")
}

/// Where the token is that PostgreSQL's message quotes, or means where it quotes none. Among several that look alike it is the first that a text cut off
/// behind it is refused for.
fn position(text: &str, message: &str) -> Option<usize> {
    if message.ends_with(" at end of input") {
        return Some(text.len());
    }
    let refused_up_to = |end: usize| raw(&text[..end]).is_err_and(|fault| fault == Fault::Message(message.to_owned()));
    let spelled = |words: &'static [&str]| {
        let meant = |t: &Token| words.iter().any(|word| t.spelling(text).eq_ignore_ascii_case(word));
        Lexer::new(text).significant().filter(meant).take(if text.len() > SEARCHED_BYTES { 0 } else { SEARCHED_PLACES })
    };
    match message {
        MISSING_ARGUMENT => return spelled(&[")"]).find(|t| refused_up_to(t.end)).map(|t| t.start),
        NO_ELEMENTS => return spelled(&["create", "grant"]).nth(1).map(|t| t.start),
        _ => {}
    }
    let option = message.strip_prefix("option name \"").and_then(|rest| rest.strip_suffix("\" cannot be used in XMLTABLE"));
    let quoted = option.or_else(|| message.split_once(" at or near \"")?.1.strip_suffix('"'))?;
    let alike: Vec<Token> = Lexer::new(text)
        .significant()
        .filter(|t| match t.kind {
            TokenKind::Unterminated => text[t.start..].starts_with(quoted),
            _ => t.spelling(text) == quoted,
        })
        .collect();
    if alike.len() > 1 && text.len() > SEARCHED_BYTES {
        return None;
    }
    if alike.is_empty() && text.len() <= SEARCHED_BYTES {
        // The scanner itself complains, and quotes what is no token: `123a` of `123abc`.
        return text.match_indices(quoted).take(SEARCHED_PLACES).find(|(at, _)| refused_up_to(at + quoted.len())).map(|(at, _)| at);
    }
    let refused = |t: &Token| refused_up_to(t.end);
    let first = if alike.len() > 1 { alike.partition_point(|t| !refused(t)) } else { 0 };
    alike.get(first).map(|t| t.start)
}

/// Of an operator that is named with one type.
const MISSING_ARGUMENT: &str = "missing argument";

/// Of what stands after the schema's name.
const NO_ELEMENTS: &str = "CREATE SCHEMA IF NOT EXISTS cannot include schema elements";

/// Longer texts are not searched for the place of a mistake: it takes several parses.
const SEARCHED_BYTES: usize = 16 << 10;

/// In how many places what the scanner quotes is looked for.
const SEARCHED_PLACES: usize = 16;

#[cfg(test)]
mod tests;
