//! What can go wrong in the store.

use std::sync::Arc;

use crate::upstream::OwnerError;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The control connection could not be made.
    #[error("the control connection to upstream could not be made: {0}")]
    Connect(String),
    /// The control connection was lost.
    #[error("the control connection to upstream was lost: {0}")]
    Lost(String),
    /// A statement of ours failed upstream.
    #[error("{0}")]
    Upstream(#[from] OwnerError),
    /// A row of the store or the catalog is not as it should be.
    #[error("the policy store holds something that cannot be read: {0}")]
    Malformed(String),
    /// The schema `pgusher` is missing upstream.
    #[error("upstream is not initialized")]
    NotInitialized,
    /// The schema `pgusher` is of another version.
    #[error("the policy store has schema version {found}, this program needs {needed}")]
    SchemaVersion {
        /// What is there.
        found: i32,
        /// What is needed.
        needed: i32,
    },
    /// The relation that was to be governed cannot be.
    #[error("{relation} cannot be governed: {reason}")]
    Ungovernable {
        /// The relation.
        relation: String,
        /// Why.
        reason: Arc<str>,
    },
    /// A mask's expression is of a type that does not become the column's without loss.
    #[error("mask of column \"{column}\" is of type {found}, the column of type {wanted}")]
    MaskType {
        /// The column.
        column: String,
        /// The expression's type.
        found: String,
        /// The column's type.
        wanted: String,
    },
    /// The published footing is older than may be.
    #[error("the policies could not be confirmed for {seconds} seconds")]
    Stale {
        /// How long.
        seconds: u64,
    },
    /// Nothing was published yet.
    #[error("the policies have not been loaded yet")]
    NotLoaded,
}
