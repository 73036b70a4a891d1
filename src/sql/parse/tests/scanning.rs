use super::super::lexer::{Lexer, Token, TokenKind, relation_span, token_at, trimmed};
use super::CORPUS;

pub(super) fn assert_tiled(text: &str) {
    let mut at = 0;
    for token in Lexer::new(text) {
        assert_eq!(token.start, at, "gap in {text:?}");
        assert!(token.end > token.start, "empty token in {text:?}");
        assert!(text.is_char_boundary(token.start) && text.is_char_boundary(token.end), "cut character in {text:?}");
        at = token.end;
    }
    assert_eq!(at, text.len(), "{text:?} is not read to its end");
}

/// PostgreSQL's own scanner has the same tokens at the same places.
pub(super) fn assert_as_postgresql(text: &str) {
    let Ok(scanned) = pg_query::scan(text) else { return };
    let theirs: Vec<_> = scanned.tokens.iter().map(|t| (t.start.unsigned_abs() as usize, t.end.unsigned_abs() as usize)).collect();
    let ours: Vec<_> = Lexer::new(text).filter(|t| t.kind != TokenKind::Whitespace).map(|t| (t.start, t.end)).collect();
    assert_eq!(ours, theirs, "{text:?}");
}

fn kinds(text: &str) -> Vec<TokenKind> {
    Lexer::new(text).significant().map(|t| t.kind).collect()
}

fn spellings(text: &str) -> Vec<&str> {
    Lexer::new(text).significant().map(|t: Token| &text[t.range()]).collect()
}

#[test]
fn tokens_tile_the_corpus_and_stand_where_postgresql_has_them() {
    for text in CORPUS {
        assert_tiled(text);
        assert_as_postgresql(text);
    }
}

#[test]
fn constants_are_one_token_each() {
    use TokenKind::*;
    assert_eq!(
        kinds("'it''s' E'it\\'s' U&'x' B'01' x'f' $$a$$ $t$ $$ $t$"),
        [Text, EscapeText, UnicodeText, BitText, BitText, DollarText, DollarText]
    );
    assert_eq!(spellings("'a\\' 'b'"), ["'a\\'", "'b'"]);
    assert_eq!(spellings("'a'\n'b'"), ["'a'\n'b'"]);
    assert_eq!(spellings("'a' -- x\n -- y\n 'b'"), ["'a' -- x\n -- y\n 'b'"]);
    assert_eq!(spellings("'a' 'b'"), ["'a'", "'b'"]);
    assert_eq!(spellings("'a' /* x */ \n 'b'"), ["'a'", "'b'"]);
}

#[test]
fn comments_nest_and_hide_in_nothing_else() {
    assert_eq!(kinds("/* a /* b */ ' */"), []);
    assert_eq!(kinds("'/*' -- '"), [TokenKind::Text]);
    assert_eq!(Lexer::new("/*/**/*/").next().unwrap().kind, TokenKind::BlockComment { depth: 2 });
    assert_eq!(kinds("/* a /* b */"), [TokenKind::Unterminated]);
}

#[test]
fn operators_end_as_postgresql_ends_them() {
    assert_eq!(spellings("a*-1"), ["a", "*", "-", "1"]);
    assert_eq!(spellings("2^-1"), ["2", "^-", "1"]);
    assert_eq!(spellings("a<-1"), ["a", "<", "-", "1"]);
    assert_eq!(spellings("a->>'k'"), ["a", "->>", "'k'"]);
    assert_eq!(spellings("a=--x\nb"), ["a", "=", "b"]);
    assert_eq!(spellings("a+/**/b"), ["a", "+", "b"]);
    assert_eq!(spellings("1..2 a:=b c=>d e::f"), ["1", "..", "2", "a", ":=", "b", "c", "=>", "d", "e", "::", "f"]);
}

#[test]
fn backticks_quote_only_in_the_governance_dialect() {
    let text = "GRANT `a``b;c`";
    let quoted: Vec<_> = Lexer::new(text).with_backticks().significant().map(|t| t.kind).collect();
    assert_eq!(quoted, [TokenKind::Word, TokenKind::BacktickName]);
    assert_eq!(spellings("a ` b"), ["a", "`", "b"]);
}

#[test]
fn a_qualified_name_is_found_from_its_location() {
    let text = "SELECT * FROM \"a\" . /* x */ U&\"b!0061\" UESCAPE '!' .c x";
    assert_eq!(&text[relation_span(text, 14).unwrap()], "\"a\" . /* x */ U&\"b!0061\" UESCAPE '!' .c");
    assert_eq!(relation_span("FROM t x", 5), Some(5..6));
    assert_eq!(relation_span("FROM (t)", 5), None);
    assert_eq!(relation_span("t.", 0), None);
}

#[test]
fn a_token_is_found_from_any_place_before_it() {
    assert_eq!(token_at("  /* x */ foo", 1).unwrap().range(), 10..13);
    assert_eq!(token_at("  ", 0), None);
    assert_eq!(trimmed(" /* a */ SELECT 1 -- b"), 9..17);
    assert_eq!(trimmed(" -- nothing"), 0..0);
}
