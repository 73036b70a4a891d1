//! The one table: every stage's error → severity, SQLSTATE and texts.
//!
//! In: the closed error enums of the stages. Out: [`Report`], what the client may see. Never in a report: grant ids, filter text,
//! reasons about tokens, upstream addresses, names the principal may not see. One file per group of stages, one exhaustive match
//! per enum, no wildcard arm.

pub mod edge;
mod govern;
mod governance;
pub mod session;
mod sql;
mod store;
mod upstream;

pub use govern::{GovernError, Object, kind_noun};
pub use store::StoreError;

use bytes::BytesMut;
use tokio_postgres::error::SqlState;

use crate::wire::backend::write_error;

/// How bad it is. FATAL always means that the connection closes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
}

/// What a client is told of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// ERROR or FATAL.
    pub severity: Severity,
    /// The code.
    pub code: SqlState,
    /// The message, in PostgreSQL's wording where it has one.
    pub message: String,
    /// More, where it helps.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the client's statement, in characters from 1.
    pub position: Option<usize>,
}

impl Report {
    /// An ERROR with a code and message.
    pub fn error(code: SqlState, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), detail: None, hint: None, position: None }
    }

    /// A FATAL with a code and message.
    pub fn fatal(code: SqlState, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fatal, ..Self::error(code, message) }
    }

    /// The same with a DETAIL.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a HINT.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a position in characters from 1.
    pub fn position(mut self, position: Option<usize>) -> Self {
        self.position = position;
        self
    }

    /// Writes it as an ErrorResponse.
    pub fn write(&self, out: &mut BytesMut) {
        let severity = match self.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        let position = self.position.map(|p| p.to_string());
        let fields = [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(self.code.code())),
            (b'M', Some(self.message.as_str())),
            (b'D', self.detail.as_deref()),
            (b'H', self.hint.as_deref()),
            (b'P', position.as_deref()),
        ];
        write_error(out, fields.into_iter().filter_map(|(kind, text)| text.map(|text| (kind, text))));
    }
}
