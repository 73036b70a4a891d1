//! sqlparser's tokenizer and parser cursor, with a dialect of ours: PostgreSQL's lexical rules, and backticks beside double quotes.

use std::any::TypeId;
use std::ops::Range;

use sqlparser::dialect::{Dialect, PostgreSqlDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::error::GovernanceError;
use crate::name::Name;

/// PostgreSQL's lexical rules, except that a backtick starts a quoted name.
#[derive(Debug)]
struct GovernanceDialect;

const BASE: PostgreSqlDialect = PostgreSqlDialect {};

impl Dialect for GovernanceDialect {
    // The tokenizer asks for dialects by type in places that have no method of their own.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"' || ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }
}

/// A cursor over the tokens of one statement.
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// The byte offset of each character, the end's included.
    offsets: Vec<usize>,
    /// The number of each line's first character.
    lines: Vec<usize>,
    parser: Parser<'static>,
}

impl<'a> Cursor<'a> {
    /// Splits a text into tokens.
    pub(super) fn new(text: &'a str) -> Result<Self, GovernanceError> {
        let offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let breaks = text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(number, _)| number + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        let cursor = Self { text, offsets, lines, parser: Parser::new(&GovernanceDialect) };
        let tokens = Tokenizer::new(&GovernanceDialect, text)
            .tokenize_with_location()
            .map_err(|error| cursor.unterminated(&error.message, error.location))?;
        Ok(Self { parser: cursor.parser.with_tokens_with_locations(tokens), ..cursor })
    }

    /// The next token.
    pub(super) fn peek(&self) -> &Token {
        &self.parser.peek_token_ref().token
    }

    /// Consumes the next token, with where it stands.
    pub(super) fn next(&mut self) -> TokenWithSpan {
        self.parser.next_token()
    }

    /// Whether the token `ahead` from here is this unquoted word.
    pub(super) fn sees(&self, ahead: usize, word: &str) -> bool {
        is_word(&self.parser.peek_nth_token_ref(ahead).token, word)
    }

    /// Consumes these unquoted words if they all follow.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let all = words.iter().enumerate().all(|(ahead, word)| self.sees(ahead, word));
        if all {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        all
    }

    /// Consumes an unquoted word if it follows.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.words(&[word])
    }

    /// Consumes the first of these words that follows.
    pub(super) fn one_of<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        words.iter().copied().find(|word| self.word(word))
    }

    /// Demands these unquoted words.
    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<(), GovernanceError> {
        words.iter().try_for_each(|word| if self.word(word) { Ok(()) } else { Err(self.unexpected()) })
    }

    /// Consumes a token if it follows.
    pub(super) fn token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Demands a token.
    pub(super) fn expect(&mut self, token: &Token) -> Result<(), GovernanceError> {
        if self.token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Whether nothing follows but semicolons.
    pub(super) fn at_end(&self) -> bool {
        matches!(self.peek(), Token::EOF | Token::SemiColon)
    }

    /// Demands that nothing follows but semicolons.
    pub(super) fn finish(mut self) -> Result<(), GovernanceError> {
        while self.token(&Token::SemiColon) {}
        if *self.peek() == Token::EOF { Ok(()) } else { Err(self.unexpected()) }
    }

    /// An identifier: quoted as it is, unquoted folded and no reserved word.
    pub(super) fn name(&mut self) -> Result<Name, GovernanceError> {
        match self.peek() {
            Token::Word(word) => {
                let name = match word.quote_style {
                    Some(_) if word.value.is_empty() => return Err(self.empty_name()),
                    Some(_) => Name::exact(&word.value),
                    None if RESERVED.iter().any(|r| word.value.eq_ignore_ascii_case(r)) => return Err(self.unexpected()),
                    None => Name::folded(&word.value),
                };
                self.parser.advance_token();
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// The text of the tokens that follow one another without a gap, as long as `part` takes them; empty if it takes none.
    pub(super) fn run(&mut self, part: impl Fn(&Token) -> bool) -> String {
        let mut found: Option<Range<usize>> = None;
        loop {
            let next = self.parser.peek_token_ref();
            let range = self.range(next.span);
            let joins = found.as_ref().is_none_or(|f| f.end == range.start);
            if !joins || !part(&next.token) {
                break;
            }
            found = Some(found.map_or(range.start, |f| f.start)..range.end);
            self.parser.advance_token();
        }
        found.and_then(|range| self.text.get(range)).unwrap_or_default().to_owned()
    }

    /// The text between an opening parenthesis that comes next and its partner; both are consumed.
    pub(super) fn parenthesized(&mut self) -> Result<String, GovernanceError> {
        let open = self.parser.peek_token_ref().span;
        self.expect(&Token::LParen)?;
        let start = self.range(open).end;
        let mut depth = 1_usize;
        loop {
            let next = self.next();
            match next.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::EOF => return Err(self.unexpected()),
                _ => {}
            }
            if depth == 0 {
                let end = self.range(next.span).start;
                let inner = self.text.get(start..end).unwrap_or_default().trim();
                // INVARIANT: what is cut out starts after a parenthesis and ends before one, whatever the tokenizer counted.
                let whole = self.text.get(..start).is_some_and(|t| t.ends_with('('))
                    && self.text.get(end..).is_some_and(|t| t.starts_with(')'));
                return if whole && !inner.is_empty() { Ok(inner.to_owned()) } else { Err(self.syntax_at(next.span)) };
            }
        }
    }

    /// The rest of the text, semicolons at its end left out; everything is consumed.
    pub(super) fn rest(&mut self) -> Result<String, GovernanceError> {
        let start = self.range(self.parser.peek_token_ref().span).start;
        if self.at_end() {
            return Err(self.unexpected());
        }
        while *self.peek() != Token::EOF {
            self.parser.advance_token();
        }
        let rest = self.text.get(start..).unwrap_or_default();
        Ok(rest.trim_end_matches(|c: char| c == ';' || c.is_whitespace()).to_owned())
    }

    /// The error of a next token that does not fit.
    pub(super) fn unexpected(&self) -> GovernanceError {
        let next = self.parser.peek_token_ref();
        if next.token == Token::EOF { GovernanceError::End { position: self.offsets.len() } } else { self.syntax_at(next.span) }
    }

    /// Where the next token starts, in characters from 1.
    pub(super) fn position(&self) -> usize {
        let next = self.parser.peek_token_ref();
        if next.token == Token::EOF { self.offsets.len() } else { self.character(next.span.start) }
    }

    /// The error of a name without characters.
    pub(super) fn empty_name(&self) -> GovernanceError {
        GovernanceError::Unterminated { message: "zero-length delimited identifier".to_owned(), position: Some(self.position()) }
    }

    fn syntax_at(&self, span: Span) -> GovernanceError {
        let near = self.text.get(self.range(span)).unwrap_or_default().to_owned();
        GovernanceError::Syntax { near, position: self.character(span.start) }
    }

    fn unterminated(&self, message: &str, at: Location) -> GovernanceError {
        let lower = message.to_ascii_lowercase();
        let message = if lower.contains("comment") {
            "unterminated /* comment"
        } else if lower.contains("delimiter") || lower.contains("close delim") {
            "unterminated quoted identifier"
        } else if lower.contains("dollar") || lower.contains("$") {
            "unterminated dollar-quoted string"
        } else {
            "unterminated or invalid string"
        };
        GovernanceError::Unterminated { message: message.to_owned(), position: Some(self.character(at)) }
    }

    fn range(&self, span: Span) -> Range<usize> {
        if span.start.line == 0 {
            return self.text.len()..self.text.len();
        }
        self.offset(span.start)..self.offset(span.end)
    }

    fn offset(&self, at: Location) -> usize {
        self.offsets.get(self.character(at) - 1).copied().unwrap_or(self.text.len())
    }

    fn character(&self, at: Location) -> usize {
        let line = usize::try_from(at.line).unwrap_or(usize::MAX).saturating_sub(1);
        let column = usize::try_from(at.column).unwrap_or(usize::MAX);
        self.lines.get(line).map_or(self.offsets.len(), |first| first.saturating_add(column).clamp(1, self.offsets.len()))
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// Words that are names only in quotes: those of PostgreSQL's reserved ones (manual, appendix C) that begin a clause here.
const RESERVED: [&str; 40] = [
    "ALL", "AND", "ANY", "AS", "ASC", "CASE", "CHECK", "COLUMN", "CREATE", "DEFAULT", "DESC", "DISTINCT", "DO", "ELSE", "END",
    "FALSE", "FOR", "FROM", "GRANT", "GROUP", "HAVING", "IN", "INTO", "LIMIT", "NOT", "NULL", "ON", "OR", "ORDER", "SELECT",
    "TABLE", "THEN", "TO", "TRUE", "UNION", "USER", "USING", "WHEN", "WHERE", "WITH",
];
