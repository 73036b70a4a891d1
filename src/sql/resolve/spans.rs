//! Where in the text the parts of a tree's node stand.
//!
//! In: a text and locations of its tree. Out: byte ranges. A location that does not start the token it should gives nothing,
//! and the statement is refused; what is spliced is proved by the guard all the same.

use std::ops::Range;

use crate::sql::parse::lexer::{Lexer, Token, TokenKind};

/// The tokens of one statement, blanks and comments left out.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    list: Vec<Token>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, list: Lexer::new(text).significant().collect() }
    }

    /// The index of the token that starts at a location of the tree.
    pub(super) fn at(&self, location: i32) -> Option<usize> {
        let location = usize::try_from(location).ok()?;
        self.list.binary_search_by_key(&location, |t| t.start).ok()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Token> {
        self.list.get(index)
    }

    pub(super) fn is_word(&self, index: usize, keyword: &str) -> bool {
        self.get(index).is_some_and(|t| t.is_word(self.text, keyword))
    }

    /// Whether any of these names, which hold nothing but small letters, stands anywhere.
    pub(super) fn any_name(&self, names: &[&str]) -> bool {
        let quotes: &[char] = &['"'];
        (0..self.list.len()).any(|index| {
            names.iter().any(|name| self.is_word(index, name))
                || self
                    .list
                    .get(index)
                    .is_some_and(|t| t.kind.is_name() && names.contains(&t.spelling(self.text).trim_matches(quotes)))
        })
    }

    pub(super) fn is_symbol(&self, index: usize, symbol: &str) -> bool {
        self.get(index).is_some_and(|t| t.spelling(self.text) == symbol && !t.kind.is_name())
    }

    /// The index after the name or string token at `index`, its UESCAPE included.
    pub(super) fn after_token(&self, index: usize) -> usize {
        let unicode = self.get(index).is_some_and(|t| matches!(t.kind, TokenKind::UnicodeName | TokenKind::UnicodeText));
        if unicode && self.is_word(index + 1, "uescape") { index + 3 } else { index + 1 }
    }

    /// From the start of one token to the end of the one before `after`.
    pub(super) fn range(&self, from: usize, after: usize) -> Option<Range<usize>> {
        Some(self.get(from)?.start..self.get(after.checked_sub(1)?)?.end)
    }

    /// The index after each part of the dotted name at `index`; at most `parts` of them.
    pub(super) fn name_ends(&self, index: usize, parts: usize) -> Option<Vec<usize>> {
        let mut ends = Vec::with_capacity(parts);
        let mut at = index;
        loop {
            self.get(at).filter(|t| t.kind.is_name())?;
            at = self.after_token(at);
            ends.push(at);
            if ends.len() == parts {
                return Some(ends);
            }
            if !self.is_symbol(at, ".") {
                return None;
            }
            at += 1;
        }
    }

    /// The index after the parenthesis that closes the one at `index`.
    pub(super) fn after_parenthesis(&self, index: usize) -> Option<usize> {
        if !self.is_symbol(index, "(") {
            return None;
        }
        let mut depth = 0usize;
        let mut at = index;
        while self.get(at).is_some() {
            if self.is_symbol(at, "(") {
                depth += 1;
            } else if self.is_symbol(at, ")") {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            at += 1;
        }
        None
    }

    /// The index of the first of these words outside parentheses, from `index` on.
    pub(super) fn find_word(&self, index: usize, word: &str) -> Option<usize> {
        let mut depth = 0usize;
        let mut at = index;
        while self.get(at).is_some() {
            if self.is_symbol(at, "(") {
                depth += 1;
            } else if self.is_symbol(at, ")") {
                depth = depth.checked_sub(1)?;
            } else if depth == 0 && self.is_word(at, word) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// How many tokens there are.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// The byte after the last token.
    pub(super) fn end(&self) -> usize {
        self.list.last().map_or(0, |t| t.end)
    }
}
