//! Deterministic mutations of a small corpus: whatever the text, nothing panics, tokens are PostgreSQL's, and what is accepted
//! goes through splice and guard unharmed.

use super::scanning::{assert_as_postgresql, assert_tiled};
use super::*;
use crate::sql::rewrite::guard::prove;
use crate::sql::rewrite::splice::Edits;

/// A small generator of numbers, the same in every run.
pub(in crate::sql::parse) struct Dice(pub(in crate::sql::parse) u64);

impl Dice {
    pub(in crate::sql::parse) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (sides.max(1) as u64)).unwrap()
    }
}

const FRAGMENTS: &[&str] = &[
    "'",
    "''",
    "\"",
    "\"\"",
    "--",
    "--\n",
    "/*",
    "*/",
    "/*/",
    "$$",
    "$a$",
    "$1",
    "\\",
    "E'",
    "e'\\'",
    "U&'",
    "u&\"",
    "B'",
    "x'",
    "N'",
    "`",
    ";",
    ",",
    "(",
    ")",
    "[",
    "]",
    "::",
    ":=",
    "=>",
    "..",
    ".",
    "1.",
    ".5",
    "1e",
    "1e5",
    "0x",
    "0x1F",
    "1_0",
    "\n",
    "\r",
    "\t",
    "\u{b}",
    "\u{a0}",
    "é",
    "user()",
    "current_user ( )",
    "AND",
    "NOT",
    "UNION",
    "BETWEEN",
    "CASE",
    "END",
    "AS",
    "SELECT",
    "FROM",
    "JOIN",
    "+",
    "-",
    "- -",
    "@-",
    "<>-",
    "!=",
    "->>",
    "UESCAPE '!'",
    "OVER",
    "WITH",
    "NULL",
];

fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut mutated = text.to_owned();
    for _ in 0..=dice.roll(3) {
        let mut at = dice.roll(mutated.len() + 1);
        while !mutated.is_char_boundary(at) {
            at -= 1;
        }
        let tokens: Vec<_> = Lexer::new(&mutated).collect();
        let token = tokens.get(dice.roll(tokens.len())).copied();
        match (dice.roll(4), token) {
            (0, Some(token)) => mutated.replace_range(token.range(), ""),
            (1, Some(token)) => mutated.replace_range(token.range(), FRAGMENTS[dice.roll(FRAGMENTS.len())]),
            (2, Some(token)) => {
                let copy = mutated[token.range()].to_owned();
                mutated.insert_str(at, &copy);
            }
            _ => mutated.insert_str(at, FRAGMENTS[dice.roll(FRAGMENTS.len())]),
        }
    }
    mutated
}

fn goes_through(statement: &Parsed) {
    let sql = &statement.sql;
    assert!(prove(sql, &statement.tree).is_ok(), "{sql:?}");
    let mut edits = Edits::new();
    for token in Lexer::new(sql).filter(|t| matches!(t.kind, TokenKind::LineComment | TokenKind::BlockComment { .. })) {
        edits.replace(token.range(), if token.kind == TokenKind::LineComment { "--x" } else { "/*x*/" });
    }
    edits.insert(0, "/*y*/ ");
    let spliced = edits.apply(sql).unwrap();
    assert!(prove(&spliced.text, &statement.tree).is_ok(), "{:?}", spliced.text);
}

fn run(seed: u64, rounds: usize) {
    let mut dice = Dice(seed);
    let mut accepted = 0;
    for round in 0..rounds {
        let text = mutate(CORPUS[round % CORPUS.len()], &mut dice);
        assert_tiled(&text);
        assert_as_postgresql(&text);
        let _ = (route(&text), split_statements(&text));
        if let Ok(statements) = parse(&text, &Limits::default()) {
            accepted += statements.len();
            statements.iter().for_each(goes_through);
        }
    }
    assert!(accepted > rounds / 20, "too few of the mutated texts are SQL: {accepted} of {rounds}");
}

#[test]
fn mutated_texts_do_no_harm() {
    on_worker(|| run(0x2545_F491_4F6C_DD1D, 3_000));
}

#[test]
fn mutated_texts_do_no_harm_with_another_seed() {
    on_worker(|| run(0x9E37_79B9_7F4A_7C15, 3_000));
}
