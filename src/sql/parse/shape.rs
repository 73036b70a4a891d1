//! The shape of a text: what is left of it without the values of its plain literals.
//!
//! Two texts of one shape are the same tokens but for those values, byte for byte, so the grammar gives them the same tree but for the
//! constants that they become: it looks at what kind a token is, and the kinds of a shape are the kinds of its texts. What counts as a
//! plain literal is therefore narrow:
//!
//! * `'…'` without escapes (a doubled quote is none), without continuation on another line, not empty, with no letter before it (`N'…'`).
//!   One that is a number (`'16389'`) is of another kind than one that is not, for analysis tells them apart; one that is nothing but
//!   digits and yet no number of 32 bits is no literal here.
//! * a whole number of up to nine digits, which is an `integer` whatever it is, with nothing before or after it that it could melt into.
//!
//! Everything else is of the shape: other numbers, `E''`, `U&''`, `B''`, `$$`. A text with several statements has none.

use std::ops::Range;

use super::lexer::{Lexer, Token, TokenKind};

/// What a literal is, for the grammar and for the analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sql) enum Class {
    /// `1`
    Number,
    /// `'16389'`
    Digits,
    /// `'a'`
    Text,
}

impl Class {
    fn mark(self) -> char {
        match self {
            Self::Number => 'n',
            Self::Digits => 'd',
            Self::Text => 't',
        }
    }
}

/// A literal of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sql) struct Literal {
    /// Where it stands.
    pub(in crate::sql) range: Range<usize>,
    pub(in crate::sql) class: Class,
}

/// A text's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    skeleton: String,
    pub(in crate::sql) literals: Vec<Literal>,
}

impl Shape {
    /// The shape of a text that is one query or write with plain literals in it.
    pub fn of(text: &str) -> Option<Self> {
        // The skeleton marks literals with it.
        if text.as_bytes().contains(&MARK) {
            return None;
        }
        let mut tokens = Lexer::new(text).significant();
        let first = tokens.next()?;
        if !STARTS.iter().any(|word| first.is_word(text, word)) {
            return None;
        }
        let mut literals = Vec::new();
        let mut ended = false;
        for token in tokens {
            match token.kind {
                _ if ended => return None,
                TokenKind::Symbol if token.is_symbol(text, ";") => ended = true,
                // What `UESCAPE '!'` says belongs to it.
                TokenKind::Unterminated | TokenKind::Unknown | TokenKind::UnicodeName | TokenKind::UnicodeText => return None,
                TokenKind::Text | TokenKind::Number => literals.extend(literal(text, &token)),
                TokenKind::Whitespace
                | TokenKind::LineComment
                | TokenKind::BlockComment { .. }
                | TokenKind::Word
                | TokenKind::QuotedName
                | TokenKind::BacktickName
                | TokenKind::EscapeText
                | TokenKind::BitText
                | TokenKind::DollarText
                | TokenKind::Parameter
                | TokenKind::Operator
                | TokenKind::Symbol => {}
            }
        }
        (!literals.is_empty()).then(|| Self { skeleton: skeleton(text, &literals), literals })
    }

    /// Equal for texts of one shape.
    pub fn skeleton(&self) -> &str {
        &self.skeleton
    }
}

/// The literals of a text that has the shape with this skeleton; what [`Shape::of`] would say, without reading the text by tokens.
///
/// Up to its first literal such a text is the one that the skeleton was made of, byte for byte, so the scanner would come to the literal in the same
/// state. There it would read a token of the same kind, which ends where the one of the skeleton did: the byte behind is the same, and is none that
/// melts into it. So it goes on with what stands behind.
pub(in crate::sql) fn literals_as_in(skeleton: &str, text: &str) -> Option<Vec<Literal>> {
    let (skeleton, bytes) = (skeleton.as_bytes(), text.as_bytes());
    let mut literals = Vec::new();
    let (mut from, mut start) = (0, 0);
    loop {
        let (left, given) = (&skeleton[from..], &bytes[start..]);
        let alike = left.iter().zip(given).take_while(|(one, other)| one == other && **one != MARK).count();
        (from, start) = (from + alike, start + alike);
        if from == skeleton.len() && start == bytes.len() {
            return (!literals.is_empty()).then_some(literals);
        }
        let [MARK, mark, ..] = skeleton[from..] else { return None };
        let end = start + token_length(&bytes[start..], mark)?;
        let (kind, spelling) = (if mark == NUMBER { TokenKind::Number } else { TokenKind::Text }, text.get(start..end)?);
        // What holds a mark has no shape.
        let class =
            class(kind, spelling).filter(|class| class.mark() == char::from(mark) && !spelling.as_bytes().contains(&MARK))?;
        literals.push(Literal { range: start..end, class });
        (from, start) = (from + 2, end);
    }
}

/// How long the token is that such a literal would be.
fn token_length(bytes: &[u8], mark: u8) -> Option<usize> {
    if mark == NUMBER {
        return Some(bytes.iter().take_while(|byte| byte.is_ascii_digit()).count());
    }
    // A quote, up to the next one that is not doubled.
    let mut at = bytes.starts_with(b"'").then_some(1)?;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == b'\'')? + 1;
        if bytes.get(at) != Some(&b'\'') {
            return Some(at);
        }
        at += 1;
    }
}

fn skeleton(text: &str, literals: &[Literal]) -> String {
    let mut skeleton = String::with_capacity(text.len() + 2 * literals.len());
    let mut from = 0;
    for Literal { range, class } in literals {
        skeleton.push_str(&text[from..range.start]);
        skeleton.push(char::from(MARK));
        skeleton.push(class.mark());
        from = range.end;
    }
    skeleton.push_str(&text[from..]);
    skeleton
}

fn literal(text: &str, token: &Token) -> Option<Literal> {
    let byte = |at: usize| text.as_bytes().get(at).copied().unwrap_or(b' ');
    let melts = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.' | b'\'' | b'"') || byte >= 0x80;
    if (token.start > 0 && melts(byte(token.start - 1))) || melts(byte(token.end)) {
        return None;
    }
    Some(Literal { range: token.range(), class: class(token.kind, token.spelling(text))? })
}

/// What a token is that nothing melts into.
fn class(kind: TokenKind, spelling: &str) -> Option<Class> {
    if kind == TokenKind::Number {
        let whole = (1..=9).contains(&spelling.len()) && spelling.bytes().all(|b| b.is_ascii_digit());
        return whole.then_some(Class::Number);
    }
    let inner = within(spelling)?;
    match inner.bytes().all(|b| b.is_ascii_digit()) {
        true => (!inner.starts_with('0') && inner.parse::<u32>().is_ok()).then_some(Class::Digits),
        false => Some(Class::Text),
    }
}

/// What stands between the quotes, where every quote in it is doubled.
fn within(spelling: &str) -> Option<&str> {
    let inner = spelling.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        if byte == 0 || (byte == b'\'' && bytes.next() != Some(b'\'')) {
            return None;
        }
    }
    (!inner.is_empty()).then_some(inner)
}

/// The value of a plain literal.
pub(in crate::sql) fn value(spelling: &str) -> String {
    within(spelling).map_or_else(|| spelling.to_owned(), |inner| inner.replace("''", "'"))
}

/// How statements begin that have shapes.
const STARTS: [&str; 5] = ["select", "insert", "update", "delete", "with"];

const MARK: u8 = 1;

/// The mark of a [`Class::Number`].
const NUMBER: u8 = b'n';

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::tests::mutation::Dice;

    fn literals(text: &str) -> Vec<&str> {
        Shape::of(text).map(|shape| shape.literals.iter().map(|l| &text[l.range.clone()]).collect()).unwrap_or_default()
    }

    #[test]
    fn plain_literals_are_what_shapes_leave_out() {
        assert_eq!(
            literals("SELECT 1, 'a', 'O''Neil', '16389' FROM t WHERE a=5 AND b>'x'"),
            ["1", "'a'", "'O''Neil'", "'16389'", "5", "'x'"]
        );
        assert_eq!(literals("SELECT -5, (7), a[1], 3::int; -- 4"), ["5", "7", "1", "3"]);
        let of = |text: &str| Shape::of(text).unwrap().skeleton().to_owned();
        assert_eq!(of("SELECT 1, 'a'"), of("SELECT 999999999, 'b c'"));
        for (one, other) in
            [("SELECT 1", "SELECT '1'"), ("SELECT '1'", "SELECT 'a'"), ("SELECT 1", "SELECT  1"), ("SELECT 1", "SELECT 1;")]
        {
            assert_ne!(of(one), of(other));
        }
    }

    #[test]
    fn a_text_has_a_skeleton_just_where_it_is_read_to_have_it() {
        let pieces = "SELECT ~select~ ~\n~1~12~9999999999~'a'~'16389'~''~'it''s'~'~\"~--~/*~*/~-~.~,~;~$~$$~$1~E~e5~n~d~t~\u{1}~\u{1}n~\u{1}t~x~_~é~'é'\
                      ~::int~0~'007'~U&~(~)~\\~=";
        let pieces: Vec<&str> = pieces.split('~').collect();
        let mut dice = Dice(0x2545_F491_4F6C_DD1D);
        let mut random = |below| dice.roll(below);
        let mut texts: Vec<String> = (0..4_000)
            .map(|_| std::iter::once("SELECT ").chain((0..random(9)).map(|_| pieces[random(pieces.len())])).collect())
            .collect();
        // Such texts with something else in the place of their literals, and in the place of anything.
        for _ in 0..6_000 {
            let text = &texts[random(texts.len())];
            let mut changed = String::new();
            let mut from = 0;
            for Literal { range, .. } in Shape::of(text).map(|shape| shape.literals).unwrap_or_default() {
                changed.push_str(&text[from..range.start]);
                (0..=random(2)).for_each(|_| changed.push_str(pieces[random(pieces.len())]));
                from = range.end;
            }
            changed.push_str(&text[from..]);
            texts.push(changed);
        }
        for _ in 0..4_000 {
            let text = &texts[random(texts.len())];
            let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (one, other) = (cuts[random(cuts.len())], cuts[random(cuts.len())]);
            texts.push([&text[..one.min(other)], pieces[random(pieces.len())], &text[one.max(other)..]].concat());
        }
        let shapes: Vec<Option<Shape>> = texts.iter().map(|text| Shape::of(text)).collect();
        let (mut same, mut different) = (0, 0);
        for shape in shapes.iter().flatten() {
            for (text, other) in texts.iter().zip(&shapes) {
                let read = other.as_ref().filter(|found| found.skeleton() == shape.skeleton()).map(|found| found.literals.clone());
                let found = literals_as_in(shape.skeleton(), text);
                assert_eq!(found, read, "{text:?} by {:?}", shape.skeleton());
                if found.is_some() { same += 1 } else { different += 1 }
            }
        }
        assert!(same > 2_000 && different > 1_000_000, "{same} {different}");
    }

    #[test]
    fn what_is_not_plain_is_of_the_shape() {
        for text in [
            "SELECT 1.5, 1e5, .5, 0x1F, 1_000, 1., 2147483648, 1234567890, $1, a1, \"1\", 1a, 1'a'",
            "SELECT E'a', B'1', X'1F', N'a', $$a$$, $x$1$x$, '', '007', '99999999999'",
            "SELECT 'a'\n'b', 'a' -- c\n 'b'",
            "SELECT U&'a', 1",
            "SELECT U&\"a\" UESCAPE '!'",
            "SELECT 1; SELECT 2",
            "SELECT 'a",
            "SELECT \u{1}, 1",
            "SET x = 1",
            "GRANT SELECT ON t TO 'a'",
            "",
        ] {
            assert_eq!(literals(text), Vec::<&str>::new(), "{text}");
        }
    }
}
