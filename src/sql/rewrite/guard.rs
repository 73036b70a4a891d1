//! The guard: no printer and no splice is trusted. Text that is about to go upstream is parsed again, and must be exactly one
//! statement whose tree equals the authorized one.

use pg_query::Node;

use super::RewriteError;
use crate::sql::parse::{only, tree};

/// Proves that a text says exactly what a tree says.
pub fn prove(outgoing: &str, expected: &Node) -> Result<(), RewriteError> {
    match only(outgoing) {
        Ok(Some(found)) if tree::equal(expected, &found) => Ok(()),
        Ok(_) | Err(_) => Err(RewriteError::Guard),
    }
}

#[cfg(test)]
mod tests;
