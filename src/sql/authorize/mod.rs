//! [`Resolved`] → [`Permitted`], or the reasons why not.

use super::Resolved;
use crate::catalog::Footing;
use crate::policy::{Allowed, Denied, Subject, decide};

/// Why a statement is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    /// Privileges are missing.
    #[error("permission denied")]
    Denied(Denied),
}

/// The proof that a decision allowed this statement.
#[derive(Debug)]
pub struct Permitted {
    pub(in crate::sql) resolved: Resolved,
    pub(in crate::sql) reasons: Vec<Allowed>,
}

/// Decides on a statement's requirements.
pub fn authorize(resolved: Resolved, footing: &Footing, subject: &Subject) -> Result<Permitted, AuthorizeError> {
    let reasons = decide(&footing.policies, subject, &resolved.requirements).map_err(AuthorizeError::Denied)?;
    Ok(Permitted { resolved, reasons })
}
