//! What of a statement's text may be on record: everything but secrets, or nothing that is a literal. And its fingerprint.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::sql::parse::lexer::{Lexer, Token, TokenKind};

/// A text without what could be a secret: tokens wherever they stand, and every literal of a statement that speaks of passwords.
pub(super) fn scrub(text: &str) -> Cow<'_, str> {
    let text = if speaks_of_secrets(text) {
        Cow::Owned(without_literals(text.get(..end_of_commands(text)).unwrap_or_default(), HIDDEN))
    } else {
        Cow::Borrowed(text)
    };
    match without_tokens(&text) {
        Some(scrubbed) => Cow::Owned(scrubbed),
        None => text,
    }
}

/// A text with `?` for every literal, and without comments.
pub(super) fn redacted(text: &str) -> String {
    without_literals(text, "?")
}

/// The same for all texts that differ in literals, blanks, comments and the case of words only.
pub(super) fn fingerprint(text: &str) -> String {
    let mut hash = Sha256::new();
    for token in Lexer::new(text).significant() {
        let spelling = token.spelling(text);
        match token.kind {
            kind if is_literal(kind) => hash.update(b"?"),
            TokenKind::Word => hash.update(spelling.to_ascii_lowercase()),
            _ => hash.update(spelling),
        }
        hash.update(b" ");
    }
    hex::encode(hash.finalize().get(..8).unwrap_or_default())
}

/// Whether values are bound to a text.
pub(super) fn is_parameterized(text: &str) -> bool {
    Lexer::new(text).any(|token| token.kind == TokenKind::Parameter)
}

/// A message without what stands in quotes, from the first to the last of them, and without words that have a digit in them.
pub(super) fn without_values(message: &str) -> String {
    let unquoted = match (message.find(QUOTES), message.rfind(QUOTES)) {
        (Some(first), Some(last)) if first < last => {
            let (before, after) = (message.get(..=first).unwrap_or_default(), message.get(last..).unwrap_or_default());
            Cow::Owned(format!("{before}…{after}"))
        }
        _ => Cow::Borrowed(message),
    };
    let shown = |word: &str| if word.contains(|c: char| c.is_numeric()) { "?".to_owned() } else { word.to_owned() };
    unquoted.split(' ').map(shown).collect::<Vec<_>>().join(" ")
}

const QUOTES: [char; 2] = ['"', '\''];

fn is_literal(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Text
        | TokenKind::EscapeText
        | TokenKind::UnicodeText
        | TokenKind::BitText
        | TokenKind::DollarText
        | TokenKind::Number
        | TokenKind::Unterminated => true,
        TokenKind::Whitespace
        | TokenKind::LineComment
        | TokenKind::BlockComment { .. }
        | TokenKind::Word
        | TokenKind::QuotedName
        | TokenKind::UnicodeName
        | TokenKind::BacktickName
        | TokenKind::Parameter
        | TokenKind::Operator
        | TokenKind::Symbol
        | TokenKind::Unknown => false,
    }
}

/// Comments may hold what was a literal before.
fn without_literals(text: &str, instead: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in Lexer::new(text) {
        match token.kind {
            kind if is_literal(kind) => out.push_str(instead),
            TokenKind::LineComment => out.push('\n'),
            TokenKind::BlockComment { .. } => out.push(' '),
            _ => out.push_str(token.spelling(text)),
        }
    }
    out
}

/// Passwords, keys of servers and of encryption have one of these words beside them, in the statement or in a connection string.
fn speaks_of_secrets(text: &str) -> bool {
    let bytes = text.as_bytes();
    SECRETS.iter().any(|word| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes())))
}

/// Where a text ends that may be shown: in a command that is no query, behind the first word that speaks of secrets. What comes there
/// is one, though the quotes may have been forgotten.
fn end_of_commands(text: &str) -> usize {
    let mut tokens = Lexer::new(text).significant();
    let queries = tokens.next().is_some_and(|first| QUERIES.iter().any(|word| first.is_word(text, word)));
    let secret = |token: &Token| token.kind.is_name() && speaks_of_secrets(token.spelling(text));
    if queries { text.len() } else { tokens.find(secret).map_or(text.len(), |token| token.end) }
}

/// A text with `…` for each token in it; `None` where there is none.
fn without_tokens(text: &str) -> Option<String> {
    let starts = |rest: &str| TOKENS.iter().any(|prefix| rest.starts_with(prefix));
    if !TOKENS.iter().any(|prefix| text.contains(prefix)) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if starts(rest) {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.=".contains(c))).unwrap_or(rest.len());
            if end >= SHORTEST {
                out.push_str(rest.get(..4).unwrap_or_default());
                out.push_str(HIDDEN);
                rest = rest.get(end..).unwrap_or_default();
                continue;
            }
        }
        out.push(first);
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    Some(out)
}

const HIDDEN: &str = "'…'";

/// How words begin that speak of secrets.
const SECRETS: [&str; 7] = ["passw", "passfile", "passphrase", "passcode", "secret", "pwd", "private_key"];

/// How queries and writes begin, in which such words are names of columns.
const QUERIES: [&str; 8] = ["select", "insert", "update", "delete", "merge", "with", "table", "values"];

/// How our tokens and JWTs begin.
const TOKENS: [&str; 2] = ["pgu_", "eyJ"];

/// What begins so and is shorter is no token.
const SHORTEST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_that_of_the_text_without_literals() {
        let of = fingerprint("SELECT * FROM orders WHERE id = 5 AND name = 'x'");
        assert_eq!(of, fingerprint("select *  from ORDERS /* hint */ where id=99 and name = E'it''s' -- end"));
        assert_ne!(of, fingerprint("SELECT * FROM \"ORDERS\" WHERE id = 5 AND name = 'x'"));
        assert_ne!(of, fingerprint("SELECT * FROM orders WHERE id = 5 OR name = 'x'"));
        assert_eq!(of.len(), 16);
    }

    #[test]
    fn a_message_without_values_has_no_number_and_no_quoted_part() {
        for (message, expected) in [
            ("value 4711 is out of range", "value ? is out of range"),
            ("invalid input syntax for type integer: \"hun\"ter2\"", "invalid input syntax for type integer: \"…\""),
            ("cannot do that with 2.5e3, or -17", "cannot do that with ? or ?"),
            ("division by zero", "division by zero"),
        ] {
            assert_eq!(without_values(message), expected);
        }
    }

    #[test]
    fn redaction_leaves_no_literal() {
        let text = "SELECT 'a', $$b$$, 1.5e3, B'1', $1, c -- 'd'\n FROM t WHERE x = 'unterminated";
        assert_eq!(redacted(text), "SELECT ?, ?, ?, ?, $1, c \n\n FROM t WHERE x = ?");
    }

    #[test]
    fn secrets_are_taken_out_and_nothing_else() {
        for secret in [
            "ALTER ROLE x PASSWORD 'hunter2'",
            "alter role x Password E'hunter2'",
            "SELECT dblink_connect('host=h password=hunter2')",
            "DO $$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''hunter2'''; END $$",
            "ALTER ROLE x PASSWORD 'hunter2",
            "ALTER ROLE x PASSWORD hunter2",
            "CREATE SUBSCRIPTION s CONNECTION 'host=h passfile=hunter2'",
            "SELECT 1 /* password hunter2 */",
            "SELECT 'pgu_hunter2hunter2hunter2hunter2'",
            "SELECT 'xeyJhbGciOi-hunter2.eyJzdWIi_hunter2.hunter2'",
        ] {
            assert!(!scrub(secret).contains("hunter2"), "{}", scrub(secret));
        }
        for plain in ["SELECT 'hunter2'", "SELECT * FROM pgu_table", "SELECT 'eyJ'"] {
            assert_eq!(scrub(plain), plain);
        }
    }
}
