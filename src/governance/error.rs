//! Why a text is no governance command.

/// Why a text is no governance command. Positions are in characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GovernanceError {
    /// Something else was expected at a token.
    #[error("syntax error at or near \"{near}\"")]
    Syntax {
        /// The token, as written.
        near: String,
        /// Where it starts.
        position: usize,
    },
    /// More was expected.
    #[error("syntax error at end of input")]
    End {
        /// One past the last character.
        position: usize,
    },
    /// A string, quoted name or comment does not end.
    #[error("{message}")]
    Unterminated {
        /// PostgreSQL's words for it.
        message: String,
        /// Where.
        position: Option<usize>,
    },
    /// A word that is no privilege.
    #[error("unrecognized privilege type \"{name}\"")]
    UnknownPrivilege {
        /// The word, folded.
        name: String,
        /// What to write instead, where PostgreSQL's privilege has a counterpart.
        hint: Option<&'static str>,
        /// Where.
        position: usize,
    },
    /// A value that cannot be meant.
    #[error("{message}")]
    InvalidValue {
        /// What is wrong with it.
        message: String,
        /// Where.
        position: usize,
    },
    /// Part of the dialect, or of PostgreSQL's, that is not supported.
    #[error("{what} is not supported")]
    Unsupported {
        /// What.
        what: String,
        /// What to do instead.
        hint: Option<&'static str>,
        /// Where.
        position: Option<usize>,
    },
}
