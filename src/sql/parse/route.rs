//! Which of the two dialects a statement is in: decided by its leading keywords, never by a parse failure.
//!
//! The governance dialect quotes names with backticks too, which PostgreSQL's scanner takes for operators. So a statement is
//! read with backticks until its words have said that it is PostgreSQL's.

use std::ops::Range;

use super::lexer::{Lexer, Significant, Token};

/// Where a statement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the governance dialect.
    Governance,
    /// To PostgreSQL's grammar.
    Sql,
}

/// Routes one statement (the first of a text).
pub fn route(text: &str) -> Route {
    let mut words = Words::new(text);
    if words.governs() { Route::Governance } else { Route::Sql }
}

/// The statements of a text, cut at top-level semicolons; empty ones are left out. Each piece can be routed and parsed for
/// itself. Where all are PostgreSQL's, [`super::parse`] takes the whole text and splits it by the grammar.
pub fn split_statements(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let (end, empty) = statement_end(text, start);
        if !empty {
            pieces.push(start..end);
        }
        start = end + 1;
    }
    pieces
}

/// The byte of the semicolon that ends the statement at `start`, or the end of the text; whether there is no statement.
fn statement_end(text: &str, start: usize) -> (usize, bool) {
    let governance = text.get(start..).is_some_and(|rest| route(rest) == Route::Governance);
    let lexer = Lexer::starting_at(text, start);
    let lexer = if governance { lexer.with_backticks() } else { lexer };
    let (mut brackets, mut body, mut words) = (0usize, Body::default(), 0usize);
    for token in lexer.significant() {
        match token.spelling(text) {
            ";" if brackets == 0 && body.depth == 0 => return (token.start, words == 0),
            "(" => brackets += 1,
            ")" => brackets = brackets.saturating_sub(1),
            _ if brackets == 0 => body.follow(text, token),
            _ => {}
        }
        words += 1;
    }
    (text.len(), words == 0)
}

/// The body of a function in SQL, `BEGIN ATOMIC … END`: semicolons in it end no statement.
#[derive(Default)]
struct Body {
    create: bool,
    begun: bool,
    depth: usize,
}

impl Body {
    fn follow(&mut self, text: &str, token: Token) {
        let is = |keyword| token.is_word(text, keyword);
        if is("create") {
            self.create = true;
        } else if self.create && is("begin") {
            self.begun = true;
        } else if std::mem::take(&mut self.begun) && is("atomic") || self.depth > 0 && is("case") {
            self.depth += 1;
        } else if self.depth > 0 && is("end") {
            self.depth -= 1;
        }
    }
}

/// The words of a statement, one after the other.
struct Words<'a> {
    text: &'a str,
    tokens: std::iter::Peekable<Significant<'a>>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, tokens: Lexer::new(text).with_backticks().significant().peekable() }
    }

    /// Takes the next token if it is one of these words; gives which.
    fn word(&mut self, keywords: &[&'static str]) -> Option<&'static str> {
        let token = self.tokens.peek()?;
        let found = keywords.iter().find(|k| token.is_word(self.text, k)).copied()?;
        self.tokens.next();
        Some(found)
    }

    fn two(&mut self, first: &'static str, second: &'static str) -> bool {
        self.word(&[first]).is_some() && self.word(&[second]).is_some()
    }

    /// Takes a name, possibly qualified.
    fn name(&mut self) -> bool {
        loop {
            if self.tokens.next_if(|t| t.kind.is_name()).is_none() {
                return false;
            }
            let text = self.text;
            if self.tokens.next_if(|t| t.is_symbol(text, ".")).is_none() {
                return true;
            }
        }
    }

    fn governs(&mut self) -> bool {
        match self.word(&[
            "grant", "revoke", "msck", "show", "create", "drop", "alter", "set", "unset", "describe", "desc", "explain", "deny",
        ]) {
            // PostgreSQL's own GRANT and REVOKE have no meaning here.
            Some("grant" | "revoke" | "msck" | "unset" | "deny") => true,
            Some("show") => self.shows(),
            Some("create") => self.creates(),
            Some("drop") => self.drops(),
            Some("alter") => self.alters(),
            Some("set") => self.sets(),
            Some("describe" | "desc") => self.word(&["policy"]).is_some(),
            Some("explain") => self.explains_access(),
            _ => false,
        }
    }

    /// Every SHOW of PostgreSQL is a parameter's name and nothing more, or starts with one of TIME, TRANSACTION, SESSION, ALL.
    fn shows(&mut self) -> bool {
        let text = self.text;
        if self.word(&["session"]).is_some() {
            return self.word(&["authorization", "characteristics"]).is_none()
                && self.tokens.next_if(|t| t.is_symbol(text, ".")).is_none();
        }
        self.word(&SHOWN).is_some() && self.tokens.next_if(|t| t.is_symbol(text, ".")).is_none()
    }

    fn creates(&mut self) -> bool {
        if self.two("or", "replace") {
            return self.word(&["policy"]).is_some();
        }
        match self.word(&["user", "group", "service", "token", "policy"]) {
            // CREATE USER MAPPING is PostgreSQL's.
            Some("user") => self.word(&["mapping"]).is_none(),
            Some("service") => self.word(&["principal"]).is_some(),
            Some(_) => true,
            None => false,
        }
    }

    fn drops(&mut self) -> bool {
        match self.word(&["user", "group", "service", "token", "policy"]) {
            Some("user") => self.word(&["mapping"]).is_none(),
            Some("service") => self.word(&["principal"]).is_some(),
            Some(_) => true,
            None => false,
        }
    }

    fn alters(&mut self) -> bool {
        match self.word(&ALTERED) {
            Some("user") => self.word(&["mapping"]).is_none(),
            Some("service") => self.word(&["principal"]).is_some(),
            Some("group" | "token" | "policy" | "catalog") => true,
            Some("foreign") => self.word(&["table"]).is_some() && self.alters_named(),
            Some("materialized") => self.word(&["view"]).is_some() && self.alters_named(),
            Some(_) => self.alters_named(),
            None => false,
        }
    }

    /// After ALTER and the kind of thing: `[IF EXISTS] [ONLY] name [(arguments)]`, then what is changed.
    fn alters_named(&mut self) -> bool {
        if self.word(&["if"]).is_some() && self.word(&["exists"]).is_none() {
            return false;
        }
        let _ = self.word(&["only"]);
        if !self.name() {
            return false;
        }
        let text = self.text;
        let _ = self.tokens.next_if(|t| t.spelling(text) == "*");
        self.skip_brackets();
        match self.word(&["owner", "set", "unset", "drop", "alter"]) {
            Some("owner" | "unset") => true,
            Some("set") => self.filter_or_mechanism(true),
            Some("drop") => self.filter_or_mechanism(false),
            Some("alter") => self.alters_column(),
            _ => false,
        }
    }

    /// `… SET {ROW FILTER | FILTER MECHANISM | MECHANISM | TAG(S) | TRUSTED}`, `… DROP {ROW FILTER | FILTER MECHANISM}`. After
    /// DROP, PostgreSQL takes most words for a column.
    fn filter_or_mechanism(&mut self, setting: bool) -> bool {
        match self.word(&["row", "filter", "mechanism", "tag", "tags", "trusted"]) {
            Some("row") => self.word(&["filter"]).is_some(),
            Some("filter") => self.word(&["mechanism"]).is_some(),
            Some(_) => setting,
            None => false,
        }
    }

    /// `… ALTER [COLUMN] c {SET|DROP|UNSET} {MASK | TAG(S)}`
    fn alters_column(&mut self) -> bool {
        let _ = self.word(&["column"]);
        self.name() && self.word(&["set", "drop", "unset"]).is_some() && self.word(&["mask", "tag", "tags"]).is_some()
    }

    /// `SET TAG ON …`, `SET TAGS ON …`, `SET MECHANISM …`, `SET ROW FILTER …`; `SET tag = …` is PostgreSQL's.
    fn sets(&mut self) -> bool {
        match self.word(&["tag", "tags", "mechanism", "row"]) {
            Some("row") => self.word(&["filter"]).is_some(),
            Some("tag" | "tags") => self.word(&["on"]).is_some(),
            Some(_) => self.word(&["on", "for"]).is_some(),
            None => false,
        }
    }

    /// `EXPLAIN ACCESS [FOR principal] statement`
    fn explains_access(&mut self) -> bool {
        self.word(&["access"]).is_some()
    }

    fn skip_brackets(&mut self) {
        let mut depth = 0usize;
        while let Some(token) = self.tokens.peek() {
            match token.spelling(self.text) {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ if depth == 0 => return,
                _ => {}
            }
            self.tokens.next();
        }
    }
}

/// What SHOW shows of governance.
const SHOWN: [&str; 22] = [
    "pools",
    "sessions",
    "stats",
    "audit",
    "actors",
    "grants",
    "grant",
    "effective",
    "users",
    "groups",
    "service",
    "tokens",
    "policies",
    "access",
    "row",
    "masks",
    "column",
    "tags",
    "mechanism",
    "mechanisms",
    "owners",
    "owner",
];

/// What ALTER can be about governance of.
const ALTERED: [&str; 16] = [
    "user",
    "group",
    "service",
    "token",
    "policy",
    "catalog",
    "schema",
    "database",
    "table",
    "view",
    "foreign",
    "materialized",
    "function",
    "procedure",
    "routine",
    "sequence",
];
