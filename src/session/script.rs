//! A client's text after analysis: what is sent for it, and what must be known about it later.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::cache::Pattern;
use super::leaves::{Behind, Leaves};
use crate::catalog::{Footing, SearchPath};
use crate::error::session::Refusal;
use crate::event::Findings;
use crate::governance::{self, Command};
use crate::name::Name;
use crate::policy::{Securable, Subject};
use crate::sql::parse::{Route, route, split_statements};
use crate::sql::{
    self, Analysis, Effect, Limits, Parsed, Remembered, Rewritten, SessionObjects, StatementKind, Touched, Transaction,
};
use crate::upstream::housekeeping::RESERVED;
use crate::upstream::send::JOINT;

/// The statements of one text, analysed.
#[derive(Debug)]
pub(super) struct Script {
    /// The client's whole text.
    pub(super) text: Arc<str>,
    /// In order; at least one.
    pub(super) parts: Vec<Part>,
    /// What is known of its shape, where it was made of that: texts of that come with ever other literals.
    pub(super) pattern: Option<Arc<Pattern>>,
}

/// One statement of a script.
#[derive(Debug)]
pub(super) struct Part {
    /// The client's text of it.
    pub(super) text: Arc<str>,
    /// Where that begins in the client's whole text, in bytes.
    pub(super) offset: usize,
    /// Where what is sent for it begins in the Query, in bytes.
    pub(super) start: usize,
    /// What is sent.
    pub(super) rewritten: Rewritten,
    /// It may change `search_path` in ways that do not show in its effect.
    pub(super) shakes: bool,
    /// What it may leave on its connection.
    pub(super) leaves: Leaves,
    /// What it may run through what it reads and writes.
    pub(super) behind: Arc<Behind>,
    /// What it is called upstream as a prepared statement, once it was asked.
    pub(super) name: OnceLock<Arc<str>>,
    /// What its record says of objects, once it was asked.
    pub(super) objects: OnceLock<Arc<Findings>>,
}

impl Part {
    /// A statement that was not put into a script yet.
    pub(super) fn new(text: Arc<str>, offset: usize, rewritten: Rewritten, shakes: bool, behind: Arc<Behind>) -> Self {
        let leaves = Leaves::of(&rewritten, shakes);
        Self { text, offset, start: 0, rewritten, shakes, leaves, behind, name: OnceLock::new(), objects: OnceLock::new() }
    }
}

impl Script {
    /// A script of statements to be sent together.
    pub(super) fn new(text: Arc<str>, mut parts: Vec<Part>) -> Arc<Self> {
        let mut start = 0;
        for part in &mut parts {
            part.start = start;
            start += part.rewritten.text().len() + JOINT.len();
        }
        Arc::new(Self { text, parts, pattern: None })
    }

    /// A statement that was made of what is known of its shape.
    pub(super) fn filled(text: Arc<str>, part: Part, pattern: Arc<Pattern>) -> Arc<Self> {
        Arc::new(Self { text, parts: vec![part], pattern: Some(pattern) })
    }

    /// What its first statement does: the only one, by the extended protocol.
    pub(super) fn effect(&self) -> Option<&Effect> {
        self.parts.first().map(|part| part.rewritten.effect())
    }

    /// What any statement of it touches.
    pub(super) fn touched(&self) -> Touched {
        self.parts.iter().fold(Touched::default(), |sum, part| {
            let touched = part.rewritten.touched();
            Touched { filtered: sum.filtered || touched.filtered, masked: sum.masked || touched.masked }
        })
    }

    /// Whether its analysis depends on nothing but text, footing and search path, and it is simply sent: then it may be used
    /// again without a further look.
    pub(super) fn repeatable(&self) -> bool {
        self.text.len() <= LONG && self.parts.iter().all(|part| !stands_alone(part.rewritten.effect()))
    }

    /// Whether it is a query that leaves nothing behind, and so cannot be told from one that is the second in its transaction.
    pub(super) fn only_reads(&self) -> bool {
        let reads = |part: &Part| {
            let plain = part.rewritten.kind() == StatementKind::Select && matches!(part.rewritten.effect(), Effect::None);
            plain && part.leaves == Leaves::default()
        };
        self.parts.iter().all(reads)
    }

    /// Whether its analysis looked at the session's prepared statements or cursors: it holds only as long as those do.
    pub(super) fn refers(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.rewritten.effect(), Effect::Execute { .. } | Effect::Fetch { .. }))
    }
}

/// What a statement is analysed on, taken together once.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) footing: Arc<Footing>,
    pub(super) subject: Subject,
    pub(super) path: SearchPath,
}

/// What a text turned out to be.
pub(super) enum Outline {
    /// Nothing: blanks and comments.
    Empty,
    /// Governance commands, each with its text.
    Governance(Vec<(Arc<str>, Command)>),
    /// Statements to be sent together.
    Together(Arc<Script>),
    /// Statements of which one may change what the next means, or is refused: to be analysed and run one by one.
    OneByOne(Vec<Parsed>),
}

/// Analyses a whole text.
pub(super) fn outline(text: &Arc<str>, ground: &Ground, objects: &dyn SessionObjects, limits: &Limits) -> Result<Outline, Refusal> {
    let commands = governance_commands(text)?;
    if !commands.is_empty() {
        return Ok(Outline::Governance(commands));
    }
    let parsed = sql::parse(text, limits)?;
    let count = parsed.len();
    let mut parts = Vec::with_capacity(count);
    for (index, statement) in parsed.into_iter().enumerate() {
        let offset = statement.offset();
        match analyse(statement, ground, objects) {
            Ok(part) if count > 1 && stands_alone(part.rewritten.effect()) => {
                return Ok(Outline::OneByOne(sql::parse(text, limits)?));
            }
            Ok(part) if index + 1 < count && (part.shakes || changes_meaning(part.rewritten.effect())) => {
                return Ok(Outline::OneByOne(sql::parse(text, limits)?));
            }
            Ok(part) => parts.push(part),
            Err(_) if offset > 0 => return Ok(Outline::OneByOne(sql::parse(text, limits)?)),
            Err(refusal) => return Err(refusal),
        }
    }
    if parts.is_empty() { Ok(Outline::Empty) } else { Ok(Outline::Together(Script::new(text.clone(), parts))) }
}

/// Analyses one statement: the chain of witnesses.
pub(super) fn analyse(parsed: Parsed, ground: &Ground, objects: &dyn SessionObjects) -> Result<Part, Refusal> {
    let (text, offset) = (parsed.text().clone(), parsed.offset());
    let resolved = sql::resolve(parsed, &ground.footing, &ground.path, &ground.subject, objects)?;
    let rewritten = decide(Arc::new(sql::analysis(resolved)), &ground.footing, &ground.subject)?;
    reserve(rewritten.effect())?;
    let shakes = shakes(&rewritten) || ground.footing.catalog.temporaries().has_functions();
    Ok(Part::new(text, offset, rewritten, shakes, Behind::new(&ground.footing)))
}

/// Decides on a statement that was analysed on the same footing and path.
pub(super) fn decide(analysis: Arc<Analysis>, footing: &Footing, subject: &Subject) -> Result<Rewritten, Refusal> {
    let permitted = sql::authorize(analysis, footing, subject)?;
    Ok(sql::rewrite(permitted)?)
}

fn governance_commands(text: &str) -> Result<Vec<(Arc<str>, Command)>, Refusal> {
    let governs = |piece: &&str| route(piece) == Route::Governance;
    let pieces: Vec<&str> = split_statements(text).into_iter().filter_map(|range| text.get(range)).collect();
    let count = pieces.iter().filter(|piece| governs(piece)).count();
    if count == 0 {
        return Ok(Vec::new());
    }
    if count < pieces.len() {
        return Err(Refusal::Mixed);
    }
    pieces.into_iter().map(|piece| Ok((Arc::from(piece.trim()), governance::parse(piece)?))).collect()
}

/// Names with our prefix are not the client's to use.
fn reserve(effect: &Effect) -> Result<(), Refusal> {
    let name = match effect {
        Effect::Prepare { name, .. } | Effect::Execute { name } | Effect::Deallocate { name: Some(name) } => name,
        Effect::Declare { cursor, .. } | Effect::Fetch { cursor } | Effect::Close { cursor: Some(cursor) } => cursor,
        Effect::None
        | Effect::Transaction(_)
        | Effect::Set { .. }
        | Effect::Reset { .. }
        | Effect::Show { .. }
        | Effect::Deallocate { name: None }
        | Effect::Close { cursor: None }
        | Effect::CopyOut
        | Effect::CopyIn
        | Effect::CopyInGoverned(_)
        | Effect::Discard(_)
        | Effect::Notification
        | Effect::Temporary
        | Effect::AsOwner(_) => return Ok(()),
    };
    if name.as_str().starts_with(RESERVED) { Err(Refusal::Reserved(name.to_string())) } else { Ok(()) }
}

/// Whether what comes after a statement may mean something else because of it.
pub(super) fn changes_meaning(effect: &Effect) -> bool {
    match effect {
        Effect::Set { parameter, .. } => parameter == SEARCH_PATH,
        Effect::Reset { parameter } => parameter.as_deref().is_none_or(|p| p == SEARCH_PATH),
        // The end of a transaction may bring back another search path.
        Effect::Transaction(Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::RollbackTo(_))
        | Effect::Prepare { .. }
        | Effect::Deallocate { .. }
        | Effect::Declare { .. }
        | Effect::Close { .. }
        | Effect::Discard(_)
        | Effect::CopyInGoverned(_)
        | Effect::Temporary
        | Effect::AsOwner(_) => true,
        Effect::Transaction(Transaction::Begin | Transaction::Savepoint(_) | Transaction::Release(_))
        | Effect::None
        | Effect::Show { .. }
        | Effect::Execute { .. }
        | Effect::Fetch { .. }
        | Effect::CopyOut
        | Effect::CopyIn
        | Effect::Notification => false,
    }
}

/// Whether a statement cannot be sent as a part of a Query.
pub(super) fn stands_alone(effect: &Effect) -> bool {
    match effect {
        // What PREPARE makes is remembered by its script; what DEALLOCATE names is brought to its connection first.
        Effect::CopyInGoverned(_)
        | Effect::AsOwner(_)
        | Effect::Prepare { .. }
        | Effect::Execute { .. }
        | Effect::Fetch { .. }
        | Effect::Deallocate { name: Some(_) }
        | Effect::Discard(_) => true,
        Effect::None
        | Effect::Transaction(_)
        | Effect::Set { .. }
        | Effect::Reset { .. }
        | Effect::Show { .. }
        | Effect::Deallocate { name: None }
        | Effect::Declare { .. }
        | Effect::Close { .. }
        | Effect::CopyOut
        | Effect::CopyIn
        | Effect::Temporary
        | Effect::Notification => false,
    }
}

/// Whether a statement may set `search_path` unseen: by a function that is not PostgreSQL's own, or by set_config. An identifier
/// with Unicode escapes could spell that name.
fn shakes(rewritten: &Rewritten) -> bool {
    let calls = rewritten
        .remembered()
        .requirements
        .iter()
        .any(|r| matches!(r.securable, Securable::Function(_) | Securable::AnonymousFunction));
    let mentions = rewritten.mentions();
    calls || mentions.set_config || mentions.escaped
}

pub(super) fn contains_folded(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// A copy of what statements may refer to, for an analysis elsewhere.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) prepared: HashMap<Box<str>, Remembered>,
    pub(super) cursors: HashMap<Name, Remembered>,
}

impl SessionObjects for Objects {
    fn prepared(&self, name: &str) -> Option<Remembered> {
        self.prepared.get(name).cloned()
    }

    fn cursor(&self, name: &str) -> Option<Remembered> {
        self.cursors.get(name).cloned()
    }
}

/// The parameter that names are looked up by.
pub(super) const SEARCH_PATH: &str = "search_path";

/// Whether what is known of other texts may be asked about one of this length.
pub(super) fn is_short(text: &str, limits: &Limits) -> bool {
    text.len() <= LONG.min(limits.statement_bytes)
}

/// A text longer than this is analysed on a thread of its own and not kept.
pub(super) const LONG: usize = 16 * 1024;
