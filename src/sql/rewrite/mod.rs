//! [`Resolved`] → [`Analysis`]: the edits are made, and the guard proves that the text says what was resolved. [`Permitted`] →
//! [`Rewritten`]: that text, for somebody who may have it sent.

pub mod guard;
pub mod inline;
pub mod mentions;
pub mod policy;
pub mod settled;
pub mod splice;
pub mod template;
pub mod view;

use std::sync::Arc;

use pg_query::Node;

use mentions::Mentions;

use super::resolve::asked::Seen;
use super::{Effect, Parsed, Permitted, Remembered, Resolved, StatementKind, Touched};
use crate::catalog::Footing;
use crate::policy::{Allowed, Requirement, Subject};

/// Why a permitted statement could not be rewritten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The outgoing text does not parse to the authorized tree.
    #[error("the rewritten statement differs from the authorized one")]
    Guard,
}

/// A statement as far as it is the same for everybody: what would be sent for it, and what it needs. Whoever it is sent for, a decision
/// comes first.
///
/// It holds for the footing and the search path that it was made on, for an administrator's session or for one that is none, and for whom
/// it [suits](Analysis::suits).
#[derive(Debug, PartialEq, Eq)]
pub struct Analysis {
    kind: StatementKind,
    effect: Effect,
    touched: Touched,
    active: bool,
    requirements: Arc<[Requirement]>,
    seen: Box<[Seen]>,
    refers: bool,
    sent: Result<Sent, RewriteError>,
}

/// What has passed the guard.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    text: Arc<str>,
    /// Where offsets into `text` lead back to.
    shifts: Vec<splice::Shift>,
    mentions: Mentions,
}

/// Makes the edits and runs the guard.
pub fn analysis(resolved: Resolved) -> Analysis {
    let Resolved { parsed, requirements, touched, effect, edits, active, companions, seen, refers } = resolved;
    let sent = prove(&parsed, edits, &companions);
    Analysis { kind: parsed.kind(), effect, touched, active, requirements, seen: seen.into(), refers, sent }
}

fn prove(parsed: &Parsed, edits: splice::Edits, companions: &[(Arc<str>, Node)]) -> Result<Sent, RewriteError> {
    let spliced = edits.apply(&parsed.sql)?;
    // Where nothing was edited, what the grammar says of the text was asked already.
    if !parsed.says(&spliced.text) {
        guard::prove(&spliced.text, &parsed.tree)?;
    }
    for (text, tree) in companions {
        guard::prove(text, tree)?;
    }
    let mentions = Mentions::of(&spliced.text);
    Ok(Sent { text: spliced.text.into(), shifts: spliced.shifts, mentions })
}

impl Analysis {
    /// What it needs.
    pub fn requirements(&self) -> &Arc<[Requirement]> {
        &self.requirements
    }

    /// What the session must know about it.
    pub fn effect(&self) -> &Effect {
        &self.effect
    }

    /// Whether it does more than read.
    pub fn active(&self) -> bool {
        self.active
    }

    /// Whether it is the same for somebody else on the same footing.
    pub fn suits(&self, footing: &Footing, subject: &Subject) -> bool {
        self.seen.iter().all(|seen| seen.holds_for(footing, subject))
    }

    /// Whether it looked at prepared statements or cursors, which each session has its own of.
    pub fn refers(&self) -> bool {
        self.refers
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let sent = self.sent.as_ref().map_or(0, |sent| sent.text.len() + size_of_val(sent.shifts.as_slice()));
        let columns = |r: &Requirement| r.label.len() + r.columns.iter().map(|c| c.len() + size_of::<Arc<str>>()).sum::<usize>();
        let requirements: usize = self.requirements.iter().map(|r| size_of::<Requirement>() + columns(r)).sum();
        size_of::<Self>() + sent + requirements + size_of_val(&*self.seen)
    }
}

/// Text that may be sent upstream.
#[derive(Debug)]
pub struct Rewritten {
    analysis: Arc<Analysis>,
    text: Arc<str>,
    reasons: Vec<Allowed>,
}

impl Rewritten {
    /// The SQL to send.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Its kind.
    pub fn kind(&self) -> StatementKind {
        self.analysis.kind
    }

    /// What the session must know about it.
    pub fn effect(&self) -> &Effect {
        &self.analysis.effect
    }

    /// What it touches.
    pub fn touched(&self) -> Touched {
        self.analysis.touched
    }

    /// What the SQL to send has words for.
    pub fn mentions(&self) -> Mentions {
        self.analysis.sent.as_ref().map_or_else(|_| Mentions::default(), |sent| sent.mentions)
    }

    /// What to keep for EXECUTE and FETCH.
    pub fn remembered(&self) -> Remembered {
        Remembered { requirements: self.analysis.requirements.clone(), touched: self.analysis.touched }
    }

    /// What of it is the same for everybody.
    pub fn analysis(&self) -> &Arc<Analysis> {
        &self.analysis
    }

    /// What allowed it, a reason per requirement.
    pub fn reasons(&self) -> &[Allowed] {
        &self.reasons
    }

    /// What is sent in the place of something in the client's statement, with that.
    pub fn replaced<'a>(&'a self, client: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        splice::replaced(self.shifts(), &self.text, client)
    }

    /// Turns a byte offset into the sent text into one into the client's statement.
    pub fn client_offset(&self, sent: usize) -> usize {
        splice::original(self.shifts(), sent)
    }

    fn shifts(&self) -> &[splice::Shift] {
        self.analysis.sent.as_ref().map_or(&[], |sent| &sent.shifts)
    }
}

/// The text, for whom the decision allowed it.
pub fn rewrite(permitted: Permitted) -> Result<Rewritten, RewriteError> {
    let Permitted { analysis, reasons } = permitted;
    let text = analysis.sent.as_ref().map_err(Clone::clone)?.text.clone();
    Ok(Rewritten { analysis, text, reasons })
}
