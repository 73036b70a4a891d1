//! A scanner by PostgreSQL's lexical rules (`src/backend/parser/scan.l`, `standard_conforming_strings` on).
//!
//! In: text. Out: tokens with byte ranges that tile the text. Never: errors; what PostgreSQL would refuse is a token of kind
//! [`TokenKind::Unterminated`] or [`TokenKind::Unknown`], and the grammar says no. It backs limits, routing, blanking and
//! splicing; what a statement means is only ever read from the grammar's tree.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and line ends.
    Whitespace,
    /// `-- …` up to the end of the line.
    LineComment,
    /// `/* … */`, nested; how deep.
    BlockComment {
        /// The deepest nesting, 1 for a plain comment.
        depth: u32,
    },
    /// A keyword or an unquoted identifier.
    Word,
    /// `"…"`
    QuotedName,
    /// `U&"…"`
    UnicodeName,
    /// `` `…` ``: only when the lexer was told to read the governance dialect; PostgreSQL has a backtick as operator character.
    BacktickName,
    /// `'…'`, continuation over line ends included.
    Text,
    /// `E'…'`
    EscapeText,
    /// `U&'…'`
    UnicodeText,
    /// `B'…'`, `X'…'`
    BitText,
    /// `$tag$…$tag$`
    DollarText,
    /// `$1`
    Parameter,
    /// A number, with or without fraction and exponent.
    Number,
    /// An operator of more than one character, or of one that is no [`TokenKind::Symbol`].
    Operator,
    /// One of `, ( ) [ ] . ; : + - * / % ^ < > =`, or `::`, `..`, `:=`, `=>`.
    Symbol,
    /// A quote, comment or dollar quote that never ends; reaches to the end of the text.
    Unterminated,
    /// A character that starts no token.
    Unknown,
}

impl TokenKind {
    /// Blanks and comments: what the grammar never sees.
    pub fn is_trivia(self) -> bool {
        matches!(self, Self::Whitespace | Self::LineComment | Self::BlockComment { .. })
    }

    /// An identifier, quoted or not (keywords are words too).
    pub fn is_name(self) -> bool {
        matches!(self, Self::Word | Self::QuotedName | Self::UnicodeName | Self::BacktickName)
    }
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

impl Token {
    /// Its range in the text.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its spelling.
    pub fn spelling<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.range()).unwrap_or_default()
    }

    /// Whether it is this keyword (given in any case; PostgreSQL folds ASCII only).
    pub fn is_word(&self, text: &str, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.spelling(text).eq_ignore_ascii_case(keyword)
    }

    /// Whether it is this symbol.
    pub fn is_symbol(&self, text: &str, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.spelling(text) == symbol
    }
}

/// The tokens that the grammar sees.
pub type Significant<'a> = std::iter::Filter<Lexer<'a>, fn(&Token) -> bool>;

/// Scans a text from any byte on.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    backticks: bool,
}

impl<'a> Lexer<'a> {
    /// All tokens, blanks and comments included.
    pub fn new(text: &'a str) -> Self {
        Self::starting_at(text, 0)
    }

    /// The same from a byte that starts a token.
    pub fn starting_at(text: &'a str, at: usize) -> Self {
        Self { bytes: text.as_bytes(), at: at.min(text.len()), backticks: false }
    }

    /// The same with backtick-quoted names, as the governance dialect has them.
    pub fn with_backticks(mut self) -> Self {
        self.backticks = true;
        self
    }

    /// Only what the grammar sees.
    pub fn significant(self) -> Significant<'a> {
        self.filter(|t| !t.kind.is_trivia())
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn skip_while(&self, mut at: usize, accept: impl Fn(u8) -> bool) -> usize {
        while self.bytes.get(at).is_some_and(|b| accept(*b)) {
            at += 1;
        }
        at
    }

    fn find(&self, byte: u8, from: usize) -> Option<usize> {
        self.bytes.get(from..)?.iter().position(|b| *b == byte).map(|p| p + from)
    }

    fn token(&self) -> (TokenKind, usize) {
        let start = self.at;
        let (first, second) = (self.byte(start), self.byte(start + 1));
        match first {
            b if is_space(b) => (TokenKind::Whitespace, self.skip_while(start, is_space)),
            b'-' if second == b'-' => (TokenKind::LineComment, self.skip_while(start, |b| !is_newline(b))),
            b'/' if second == b'*' => self.block_comment(start),
            b'\'' => self.quoted(TokenKind::Text, start),
            b'"' => self.delimited(TokenKind::QuotedName, start, b'"'),
            b'`' if self.backticks => self.delimited(TokenKind::BacktickName, start, b'`'),
            b'e' | b'E' if second == b'\'' => self.quoted(TokenKind::EscapeText, start + 1),
            b'b' | b'B' | b'x' | b'X' if second == b'\'' => self.quoted(TokenKind::BitText, start + 1),
            b'u' | b'U' if second == b'&' && self.byte(start + 2) == b'\'' => self.quoted(TokenKind::UnicodeText, start + 2),
            b'u' | b'U' if second == b'&' && self.byte(start + 2) == b'"' => {
                self.delimited(TokenKind::UnicodeName, start + 2, b'"')
            }
            b if is_word_start(b) => (TokenKind::Word, self.skip_while(start, is_word_part)),
            b'$' => self.dollar(start),
            b if b.is_ascii_digit() => (TokenKind::Number, self.number(start)),
            b'.' if second.is_ascii_digit() => (TokenKind::Number, self.number(start)),
            b'.' if second == b'.' => (TokenKind::Symbol, start + 2),
            b':' if second == b':' || second == b'=' => (TokenKind::Symbol, start + 2),
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => (TokenKind::Symbol, start + 1),
            b if is_operator(b) => self.operator(start),
            _ => (TokenKind::Unknown, start + 1),
        }
    }

    fn block_comment(&self, start: usize) -> (TokenKind, usize) {
        let (mut depth, mut deepest, mut at) = (1u32, 1u32, start + 2);
        while at < self.bytes.len() {
            match (self.byte(at), self.byte(at + 1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return (TokenKind::BlockComment { depth: deepest }, at);
                    }
                }
                (b'/', b'*') => {
                    depth += 1;
                    deepest = deepest.max(depth);
                    at += 2;
                }
                _ => at += 1,
            }
        }
        (TokenKind::Unterminated, self.bytes.len())
    }

    /// A constant whose opening quote is at `quote`; goes on where another quote follows after a line end.
    fn quoted(&self, kind: TokenKind, quote: usize) -> (TokenKind, usize) {
        let mut at = quote + 1;
        while at < self.bytes.len() {
            match self.byte(at) {
                b'\\' if kind == TokenKind::EscapeText => at += 2,
                b'\'' if self.byte(at + 1) == b'\'' && kind != TokenKind::BitText => at += 2,
                b'\'' => match self.continuation(at + 1) {
                    Some(next) => at = next,
                    None => return (kind, at + 1),
                },
                _ => at += 1,
            }
        }
        (TokenKind::Unterminated, self.bytes.len())
    }

    /// `quotecontinue`: blanks and line comments with at least one line end, then a quote; gives the byte after that quote.
    fn continuation(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at = self.skip_while(at, |b| is_space(b) && !is_newline(b));
            if self.byte(at) == b'-' && self.byte(at + 1) == b'-' {
                at = self.skip_while(at, |b| !is_newline(b));
            } else {
                break;
            }
        }
        if !is_newline(self.byte(at)) {
            return None;
        }
        loop {
            at = self.skip_while(at, is_space);
            if self.byte(at) == b'-' && self.byte(at + 1) == b'-' {
                at = self.skip_while(at, |b| !is_newline(b));
                if !is_newline(self.byte(at)) {
                    return None;
                }
            } else {
                return (self.byte(at) == b'\'').then_some(at + 1);
            }
        }
    }

    /// A name between quotes, inner quotes doubled; the opening one is at `quote`.
    fn delimited(&self, kind: TokenKind, quote: usize, with: u8) -> (TokenKind, usize) {
        let mut at = quote + 1;
        while let Some(end) = self.find(with, at) {
            if self.byte(end + 1) == with {
                at = end + 2;
            } else {
                return (kind, end + 1);
            }
        }
        (TokenKind::Unterminated, self.bytes.len())
    }

    fn dollar(&self, start: usize) -> (TokenKind, usize) {
        let next = self.byte(start + 1);
        if next.is_ascii_digit() {
            return (TokenKind::Parameter, self.skip_while(start + 1, |b| b.is_ascii_digit()));
        }
        let tag = if is_word_start(next) { self.skip_while(start + 1, |b| is_word_part(b) && b != b'$') } else { start + 1 };
        if self.byte(tag) != b'$' {
            return (TokenKind::Unknown, start + 1);
        }
        let delimiter = &self.bytes[start..=tag];
        let mut at = tag + 1;
        while let Some(found) = self.find(b'$', at) {
            if self.bytes[found..].starts_with(delimiter) {
                return (TokenKind::DollarText, found + delimiter.len());
            }
            at = found + 1;
        }
        (TokenKind::Unterminated, self.bytes.len())
    }

    fn digits(&self, from: usize, digit: impl Fn(u8) -> bool) -> usize {
        let mut at = from;
        loop {
            if digit(self.byte(at)) {
                at += 1;
            } else if self.byte(at) == b'_' && digit(self.byte(at + 1)) {
                at += 2;
            } else {
                return at;
            }
        }
    }

    fn number(&self, start: usize) -> usize {
        if self.byte(start) == b'0' {
            let digit: Option<fn(u8) -> bool> = match self.byte(start + 1) {
                b'x' | b'X' => Some(|b| b.is_ascii_hexdigit()),
                b'o' | b'O' => Some(|b| matches!(b, b'0'..=b'7')),
                b'b' | b'B' => Some(|b| matches!(b, b'0' | b'1')),
                _ => None,
            };
            if let Some(digit) = digit {
                let end = self.digits(start + 2, digit);
                if end > start + 2 {
                    return end;
                }
            }
        }
        let decimal = |b: u8| b.is_ascii_digit();
        let mut at = if self.byte(start) == b'.' { start } else { self.whole(start) };
        if self.byte(at) == b'.' && self.byte(at + 1) != b'.' {
            at = if decimal(self.byte(at + 1)) { self.whole(at + 1) } else { at + 1 };
        }
        if matches!(self.byte(at), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
            if decimal(self.byte(at + 1 + sign)) {
                at = self.whole(at + 1 + sign);
            }
        }
        at
    }

    fn whole(&self, from: usize) -> usize {
        self.digits(from + 1, |b| b.is_ascii_digit())
    }

    /// The longest run of operator characters that holds no comment start, by scan.l's rule about a trailing `+` or `-`.
    fn operator(&self, start: usize) -> (TokenKind, usize) {
        let run = self.skip_while(start, is_operator);
        let comment = (start..run).find(|at| matches!((self.byte(*at), self.byte(at + 1)), (b'/', b'*') | (b'-', b'-')));
        let mut end = comment.unwrap_or(run);
        let rare = |b: &u8| matches!(b, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        if !self.bytes[start..end].iter().any(rare) {
            while end > start + 1 && matches!(self.byte(end - 1), b'+' | b'-') {
                end -= 1;
            }
        }
        let symbol = match &self.bytes[start..end] {
            b"=>" => true,
            [one] => matches!(one, b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'='),
            _ => false,
        };
        (if symbol { TokenKind::Symbol } else { TokenKind::Operator }, end)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let (kind, end) = self.token();
        let token = Token { kind, start: self.at, end: end.min(self.bytes.len()) };
        self.at = token.end;
        Some(token)
    }
}

/// The token that starts at this byte, blanks and comments before it skipped.
pub fn token_at(text: &str, location: usize) -> Option<Token> {
    Lexer::starting_at(text, location).significant().next()
}

/// The text without blanks and comments at its start and end.
pub fn trimmed(text: &str) -> Range<usize> {
    let mut tokens = Lexer::new(text).significant();
    match tokens.next() {
        Some(first) => first.start..tokens.last().map_or(first.end, |last| last.end),
        None => 0..0,
    }
}

/// The range of the possibly qualified name that starts at a location of the tree (`a`, `a.b`, `U&"x" . "y"`), blanks and
/// comments between its parts included.
pub fn relation_span(text: &str, location: usize) -> Option<Range<usize>> {
    let mut tokens = Lexer::starting_at(text, location).significant().peekable();
    let first = tokens.next().filter(|t| t.kind.is_name())?;
    let mut last = unicode_escape(text, first, &mut tokens);
    while tokens.next_if(|t| t.is_symbol(text, ".")).is_some() {
        let part = tokens.next().filter(|t| t.kind.is_name())?;
        last = unicode_escape(text, part, &mut tokens);
    }
    Some(first.start..last.end)
}

/// A `UESCAPE 'c'` after a `U&"…"` belongs to it.
fn unicode_escape(text: &str, name: Token, tokens: &mut std::iter::Peekable<Significant<'_>>) -> Token {
    if name.kind == TokenKind::UnicodeName && tokens.next_if(|t| t.is_word(text, "uescape")).is_some() {
        return tokens.next().unwrap_or(name);
    }
    name
}

fn is_newline(b: u8) -> bool {
    matches!(b, b'\n' | b'\r')
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_word_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn is_word_part(b: u8) -> bool {
    is_word_start(b) || b.is_ascii_digit() || b == b'$'
}

fn is_operator(b: u8) -> bool {
    matches!(
        b,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'='
    )
}
