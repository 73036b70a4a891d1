//! What is the same for everybody: of one text, and of texts that differ in literals only.

use std::sync::Arc;

use crate::catalog::Footing;
use crate::error::session::Refusal;
use crate::policy::Subject;
use crate::session::leaves::Behind;
use crate::session::script::{Ground, Outline, Part, Script, decide};
use crate::sql::{self, Analysis, Limits, Shape, Template};

/// A text that was analysed, as far as that is the same for everybody.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) text: Arc<str>,
    parts: Vec<Read>,
}

/// One statement of it.
#[derive(Debug)]
struct Read {
    pub(super) text: Arc<str>,
    offset: usize,
    shakes: bool,
    analysis: Arc<Analysis>,
    behind: Arc<Behind>,
}

impl Reading {
    /// What of a script others may use.
    pub(super) fn of(script: &Script) -> Option<Self> {
        if !script.repeatable() || script.parts.iter().any(|part| part.rewritten.analysis().refers()) {
            return None;
        }
        let read = |part: &Part| Read {
            text: part.text.clone(),
            offset: part.offset,
            shakes: part.shakes,
            analysis: part.rewritten.analysis().clone(),
            behind: part.behind.clone(),
        };
        Some(Self { text: script.text.clone(), parts: script.parts.iter().map(read).collect() })
    }

    pub(super) fn suits(&self, footing: &Footing, subject: &Subject) -> bool {
        self.parts.iter().all(|part| part.analysis.suits(footing, subject))
    }

    pub(super) fn bytes(&self) -> usize {
        let part = |part: &Read| part.text.len() + size_of::<Read>() + size_of::<Behind>() + part.analysis.bytes();
        OVERHEAD + self.text.len() + self.parts.iter().map(part).sum::<usize>()
    }

    /// Texts of its shape, where it is one statement.
    pub(super) fn pattern(&self, ground: &Ground, limits: &Limits) -> Option<Pattern> {
        let [part] = self.parts.as_slice() else { return None };
        let template = Template::of(&self.text, &part.analysis, &ground.footing, &ground.path, ground.subject.admin, limits)?;
        let tail = self.text.len().checked_sub(part.text.len())?;
        Some(Pattern { template, tail, shakes: part.shakes, behind: part.behind.clone() })
    }

    /// The same for one session: what [`outline`] would say.
    pub(super) fn outline(&self, ground: &Ground, limits: &Limits) -> Result<Outline, Refusal> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for Read { text, offset, shakes, analysis, behind } in &self.parts {
            match decide(analysis.clone(), &ground.footing, &ground.subject) {
                Ok(rewritten) => parts.push(Part::new(text.clone(), *offset, rewritten, *shakes, behind.clone())),
                Err(_) if *offset > 0 => return Ok(Outline::OneByOne(sql::parse(&self.text, limits)?)),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(Outline::Together(Script::new(self.text.clone(), parts)))
    }
}

/// Texts of one shape.
#[derive(Debug)]
pub(in crate::session) struct Pattern {
    pub(super) template: Template,
    /// So many bytes stand behind the statement.
    tail: usize,
    shakes: bool,
    behind: Arc<Behind>,
}

impl Pattern {
    /// What [`outline`] would say of a text, where this is of its shape and suits the session.
    pub(super) fn outline(self: &Arc<Self>, text: &Arc<str>, shape: &Shape, ground: &Ground) -> Option<Result<Outline, Refusal>> {
        let filled = self.decide(self.template.fill(text, shape)?, text, &ground.footing, &ground.subject)?;
        Some(filled.map(Outline::Together))
    }

    /// The script of a text, where this is of its shape, suits the session, and the text is permitted.
    pub(in crate::session) fn script(self: &Arc<Self>, text: &str, footing: &Footing, subject: &Subject) -> Option<Arc<Script>> {
        self.decide(self.template.fill_if_alike(text)?, &Arc::from(text), footing, subject)?.ok()
    }

    fn decide(
        self: &Arc<Self>,
        analysis: Analysis,
        text: &Arc<str>,
        footing: &Footing,
        subject: &Subject,
    ) -> Option<Result<Arc<Script>, Refusal>> {
        if !analysis.suits(footing, subject) {
            return None;
        }
        let statement = text.get(..text.len().checked_sub(self.tail)?)?;
        let statement = if self.tail == 0 { text.clone() } else { Arc::from(statement) };
        let part = |rewritten| Part::new(statement, 0, rewritten, self.shakes, self.behind.clone());
        let decided = decide(Arc::new(analysis), footing, subject);
        Some(decided.map(|rewritten| Script::filled(text.clone(), part(rewritten), self.clone())))
    }
}

/// What an entry takes besides what it holds.
pub(super) const OVERHEAD: usize = 256;
