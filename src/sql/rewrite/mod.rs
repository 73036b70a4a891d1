//! [`Permitted`] → [`Rewritten`]: the edits are made, and the guard proves that the text says what was authorized.

pub mod guard;
pub mod inline;
pub mod policy;
pub mod settled;
pub mod splice;
pub mod view;

use std::sync::Arc;

use super::{Effect, Permitted, Remembered, Resolved, StatementKind, Touched};
use crate::policy::{Allowed, Requirement};

/// Why a permitted statement could not be rewritten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// The outgoing text does not parse to the authorized tree.
    #[error("the rewritten statement differs from the authorized one")]
    Guard,
}

/// Text that may be sent upstream.
#[derive(Debug)]
pub struct Rewritten {
    text: Arc<str>,
    kind: StatementKind,
    effect: Effect,
    touched: Touched,
    requirements: Arc<[Requirement]>,
    reasons: Vec<Allowed>,
    /// Where offsets into `text` lead back to.
    shifts: Vec<splice::Shift>,
}

impl Rewritten {
    /// The SQL to send.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Its kind.
    pub fn kind(&self) -> StatementKind {
        self.kind
    }

    /// What the session must know about it.
    pub fn effect(&self) -> &Effect {
        &self.effect
    }

    /// What it touches.
    pub fn touched(&self) -> Touched {
        self.touched
    }

    /// What to keep for EXECUTE and FETCH.
    pub fn remembered(&self) -> Remembered {
        Remembered { requirements: self.requirements.clone(), touched: self.touched }
    }

    /// What allowed it, a reason per requirement.
    pub fn reasons(&self) -> &[Allowed] {
        &self.reasons
    }

    /// What is sent in the place of something in the client's statement, with that.
    pub fn replaced<'a>(&'a self, client: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        splice::replaced(&self.shifts, &self.text, client)
    }

    /// Turns a byte offset into the sent text into one into the client's statement.
    pub fn client_offset(&self, sent: usize) -> usize {
        splice::original(&self.shifts, sent)
    }
}

/// Makes the edits and runs the guard.
pub fn rewrite(permitted: Permitted) -> Result<Rewritten, RewriteError> {
    let Permitted { resolved, reasons } = permitted;
    let Resolved { parsed, requirements, touched, effect, edits, active: _, companions } = resolved;
    let spliced = edits.apply(&parsed.sql)?;
    guard::prove(&spliced.text, &parsed.tree)?;
    for (text, tree) in &companions {
        guard::prove(text, tree)?;
    }
    Ok(Rewritten { kind: parsed.kind(), text: spliced.text.into(), effect, touched, requirements, reasons, shifts: spliced.shifts })
}
