//! Hard limits, checked in one pass over the tokens before PostgreSQL's grammar sees a text.
//!
//! In: text and [`Limits`]. Out: [`Survey`], or which limit it passes. The depths are estimates from tokens; the tree's true
//! depth is measured after parsing (`depth.rs`), so that every recursive walk over a [`super::Parsed`] is safe on a 64 MiB stack.

use super::ParseError;
use super::lexer::{Lexer, Token, TokenKind};

/// Hard limits, checked before and while parsing.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most bytes of one client text.
    pub statement_bytes: usize,
    /// The most tokens of one client text.
    pub tokens: usize,
    /// The most nodes that the tokens can become, roughly: bounds memory, for a node takes 608 bytes in each copy of a tree.
    pub nodes: usize,
    /// The most statements in one client text.
    pub statements: usize,
    /// How deep comments nest: PostgreSQL's scanner takes quadratic time.
    pub comment_nesting: u32,
    /// How deep parentheses, brackets and CASE nest.
    pub nesting: usize,
    /// The most UNION, INTERSECT and EXCEPT in one chain.
    pub set_operations: usize,
    /// The most JOINs in one chain.
    pub joins: usize,
    /// The most operators in one chain (`1 + 1 + …`, `x::a::b…`, NOT NOT …).
    pub operators: usize,
    /// The most AND and OR in one chain.
    pub terms: usize,
    /// The deepest path by nesting (three a level) and chains (one a link) together: an estimate of nodes above one another.
    pub depth: usize,
    /// The deepest nesting of messages in the tree that the grammar gives (an expression is two or three).
    pub tree_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_bytes: 1 << 20,
            tokens: 250_000,
            nodes: 200_000,
            statements: 10_000,
            comment_nesting: 32,
            nesting: 300,
            set_operations: 1_000,
            joins: 1_000,
            operators: 1_000,
            terms: 20_000,
            depth: 1_100,
            tree_depth: 2_600,
        }
    }
}

/// What the pass found besides.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// How many tokens the grammar will see.
    pub(super) tokens: usize,
    /// The parentheses of `current_user()`, `session_user()` and `user()`.
    pub(super) blanks: Vec<usize>,
}

/// Checks a text against the limits.
pub(super) fn survey(text: &str, limits: &Limits) -> Result<Survey, ParseError> {
    if text.len() > limits.statement_bytes {
        return Err(ParseError::TooLong { bytes: text.len(), limit: limits.statement_bytes });
    }
    if let Some(position) = text.as_bytes().iter().position(|b| *b == 0) {
        return Err(ParseError::NulByte { position });
    }
    let mut pass = Pass { text: text.as_bytes(), limits, survey: Survey::default(), frames: vec![Frame::default()], statements: 1 };
    let mut calls = IdentityCalls::default();
    let mut before = None;
    let mut nodes = 0;
    for token in Lexer::new(text) {
        if let TokenKind::BlockComment { depth } = token.kind {
            within(depth as usize, limits.comment_nesting as usize, "comments are nested too deeply")?;
        }
        if token.kind == TokenKind::Unterminated && text[token.start..].starts_with("/*") {
            let opened = text[token.start..].matches("/*").count();
            within(opened, limits.comment_nesting as usize, "comments are nested too deeply")?;
        }
        if token.kind.is_trivia() {
            continue;
        }
        pass.survey.tokens += 1;
        within(pass.survey.tokens, limits.tokens, "too many tokens")?;
        nodes += nodes_of(token.kind, pass.bytes(token));
        within(nodes, limits.nodes, "too many expressions")?;
        let keyword = pass.keyword(token, before);
        calls.follow(token, keyword, pass.bytes(token), &mut pass.survey.blanks);
        pass.take(token, keyword)?;
        before = Some(token);
    }
    Ok(pass.survey)
}

/// A name becomes a ColumnRef and a String, an operator an A_Expr and a String, a constant one A_Const.
fn nodes_of(kind: TokenKind, spelling: &[u8]) -> usize {
    match kind {
        TokenKind::Word | TokenKind::QuotedName | TokenKind::UnicodeName | TokenKind::BacktickName | TokenKind::Operator => 2,
        TokenKind::Text
        | TokenKind::EscapeText
        | TokenKind::UnicodeText
        | TokenKind::BitText
        | TokenKind::DollarText
        | TokenKind::Parameter
        | TokenKind::Number => 1,
        TokenKind::Symbol => match spelling {
            b"," | b"(" | b")" | b"]" | b"." | b";" | b":" => 0,
            b"[" => 1,
            _ => 2,
        },
        TokenKind::Whitespace
        | TokenKind::LineComment
        | TokenKind::BlockComment { .. }
        | TokenKind::Unterminated
        | TokenKind::Unknown => 0,
    }
}

fn within(found: usize, limit: usize, what: &'static str) -> Result<(), ParseError> {
    if found > limit { Err(ParseError::TooComplex { what }) } else { Ok(()) }
}

/// The most nodes that a bracket or CASE puts above what is in it: `(SELECT (SELECT …` gives SubLink, SelectStmt, ResTarget.
const NODES_A_FRAME: usize = 3;

/// A bracket or CASE that is open.
#[derive(Default)]
struct Frame {
    case: bool,
    /// Depth of everything around it.
    around: usize,
    set_operations: usize,
    joins: usize,
    operators: usize,
    terms: usize,
    /// A BETWEEN waits for its AND.
    between: bool,
}

struct Pass<'a> {
    text: &'a [u8],
    limits: &'a Limits,
    survey: Survey,
    frames: Vec<Frame>,
    statements: usize,
}

impl<'a> Pass<'a> {
    fn bytes(&self, token: Token) -> &'a [u8] {
        &self.text[token.range()]
    }

    /// What a word means where it stands. In IS DISTINCT FROM the same expression goes on.
    fn keyword(&self, token: Token, before: Option<Token>) -> Keyword {
        if token.kind != TokenKind::Word || before.is_some_and(|b| self.makes_label(b)) {
            return Keyword::Other;
        }
        match keyword(self.bytes(token)) {
            Keyword::Clause if before.is_some_and(|b| self.bytes(b).eq_ignore_ascii_case(b"distinct")) => Keyword::Other,
            found => found,
        }
    }

    /// After a dot or AS, any keyword is a name.
    fn makes_label(&self, before: Token) -> bool {
        match before.kind {
            TokenKind::Symbol => self.bytes(before) == b".",
            TokenKind::Word => self.bytes(before).eq_ignore_ascii_case(b"as"),
            _ => false,
        }
    }

    fn take(&mut self, token: Token, keyword: Keyword) -> Result<(), ParseError> {
        match token.kind {
            TokenKind::Symbol => match self.bytes(token) {
                b"(" | b"[" => self.open(false),
                b")" | b"]" => {
                    self.close();
                    Ok(())
                }
                b"," => {
                    self.here().operators = 0;
                    self.here().joins = 0;
                    self.here().terms = 0;
                    Ok(())
                }
                b";" => self.end_of_statement(),
                b"." | b":" | b".." | b":=" | b"=>" => Ok(()),
                _ => self.chain(|f| &mut f.operators, self.limits.operators, "too many operators in a row"),
            },
            TokenKind::Operator => self.chain(|f| &mut f.operators, self.limits.operators, "too many operators in a row"),
            TokenKind::Word => self.word(keyword),
            _ => Ok(()),
        }
    }

    fn word(&mut self, keyword: Keyword) -> Result<(), ParseError> {
        match keyword {
            Keyword::Other | Keyword::Identity => Ok(()),
            Keyword::Case => self.open(true),
            Keyword::End => {
                if self.frames.len() > 1 && self.here().case {
                    self.frames.pop();
                }
                Ok(())
            }
            Keyword::Clause => {
                let here = self.here();
                (here.operators, here.terms) = (0, 0);
                Ok(())
            }
            Keyword::SetOperation => {
                let here = self.here();
                (here.operators, here.joins, here.terms) = (0, 0, 0);
                self.chain(|f| &mut f.set_operations, self.limits.set_operations, "too many set operations")
            }
            Keyword::Join => {
                let here = self.here();
                (here.operators, here.terms) = (0, 0);
                self.chain(|f| &mut f.joins, self.limits.joins, "too many joins")
            }
            Keyword::Between => {
                self.here().between = true;
                Ok(())
            }
            Keyword::Term => {
                let here = self.here();
                if std::mem::take(&mut here.between) {
                    return Ok(());
                }
                here.operators = 0;
                here.terms += 1;
                within(here.terms, self.limits.terms, "too many AND and OR in a row")
            }
            Keyword::Operator => self.chain(|f| &mut f.operators, self.limits.operators, "too many operators in a row"),
        }
    }

    fn here(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn chain(&mut self, count: impl Fn(&mut Frame) -> &mut usize, limit: usize, what: &'static str) -> Result<(), ParseError> {
        let here = self.here();
        *count(here) += 1;
        let (counted, depth) = (*count(here), here.around + here.set_operations + here.joins + here.operators);
        within(counted, limit, what)?;
        within(depth, self.limits.depth, "nested too deeply")
    }

    fn open(&mut self, case: bool) -> Result<(), ParseError> {
        let here = self.here();
        let around = here.around + here.set_operations + here.joins + here.operators + NODES_A_FRAME;
        self.frames.push(Frame { case, around, ..Frame::default() });
        within(self.frames.len() - 1, self.limits.nesting, "nested too deeply")?;
        within(around, self.limits.depth, "nested too deeply")
    }

    /// A closing bracket also ends every CASE that was left open inside.
    fn close(&mut self) {
        while self.frames.len() > 1 && self.here().case {
            self.frames.pop();
        }
        if self.frames.len() > 1 {
            self.frames.pop();
        }
    }

    fn end_of_statement(&mut self) -> Result<(), ParseError> {
        self.frames.truncate(1);
        *self.here() = Frame::default();
        self.statements += 1;
        within(self.statements, self.limits.statements, "too many statements in one text")
    }
}

/// Finds `current_user ( )` and its like; PostgreSQL knows these words only without parentheses.
#[derive(Default)]
struct IdentityCalls {
    open: Option<usize>,
    word: bool,
}

impl IdentityCalls {
    fn follow(&mut self, token: Token, keyword: Keyword, spelling: &[u8], blanks: &mut Vec<usize>) {
        match (self.word, self.open, spelling) {
            (true, None, b"(") => self.open = Some(token.start),
            (true, Some(open), b")") => {
                blanks.extend([open, token.start]);
                *self = Self::default();
            }
            _ => *self = Self { word: keyword == Keyword::Identity, open: None },
        }
    }
}

/// What a keyword means to the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    Case,
    End,
    /// Starts another expression at the same depth.
    Clause,
    SetOperation,
    Join,
    Between,
    /// AND, OR
    Term,
    Operator,
    /// current_user, session_user, user
    Identity,
    Other,
}

fn keyword(word: &[u8]) -> Keyword {
    const KEYWORDS: &[(&[u8], Keyword)] = &[
        (b"and", Keyword::Term),
        (b"at", Keyword::Operator),
        (b"between", Keyword::Between),
        (b"case", Keyword::Case),
        (b"collate", Keyword::Operator),
        (b"current_user", Keyword::Identity),
        (b"else", Keyword::Clause),
        (b"end", Keyword::End),
        (b"except", Keyword::SetOperation),
        (b"from", Keyword::Clause),
        (b"intersect", Keyword::SetOperation),
        (b"join", Keyword::Join),
        (b"not", Keyword::Operator),
        (b"operator", Keyword::Operator),
        (b"or", Keyword::Term),
        (b"select", Keyword::Clause),
        (b"session_user", Keyword::Identity),
        (b"then", Keyword::Clause),
        (b"union", Keyword::SetOperation),
        (b"user", Keyword::Identity),
        (b"when", Keyword::Clause),
        (b"where", Keyword::Clause),
    ];
    if !matches!(word.len(), 2..=9 | 12) {
        return Keyword::Other;
    }
    KEYWORDS.iter().find(|(k, _)| k.len() == word.len() && k.eq_ignore_ascii_case(word)).map_or(Keyword::Other, |(_, k)| *k)
}
