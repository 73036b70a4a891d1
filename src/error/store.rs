//! The store: what can go wrong in it, and what a client sees of that.
//!
//! The enum lives here because `store` stands below this module.

use std::sync::Arc;

use tokio_postgres::error::SqlState;

use super::Report;
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
    /// Upstream is not fit for init, or the one who runs it.
    #[error("{0}")]
    Preflight(String),
    /// The script of init failed.
    #[error("init failed upstream: {0}")]
    Init(OwnerError),
    /// The roles of ours upstream are not as they must be.
    #[error("upstream is not safe to serve: {0}")]
    Roles(String),
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
impl From<&StoreError> for Report {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Connect(_) => {
                Report::error(SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, "could not connect to upstream")
            }
            StoreError::Lost(_) => Report::error(SqlState::CONNECTION_FAILURE, "connection to upstream was lost"),
            StoreError::Upstream(error) => Report::error(SqlState::from_code(&error.code), error.message.clone()),
            StoreError::Malformed(_) => Report::error(SqlState::INTERNAL_ERROR, "the policy store cannot be read")
                .hint("The log says what is wrong with it."),
            StoreError::NotInitialized => {
                Report::error(SqlState::CANNOT_CONNECT_NOW, "upstream is not initialized").hint("Run \"pgusher init\".")
            }
            StoreError::SchemaVersion { .. } => {
                Report::error(SqlState::CANNOT_CONNECT_NOW, error.to_string()).hint("Run \"pgusher init\" of this version.")
            }
            StoreError::Ungovernable { .. } => Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, error.to_string()),
            StoreError::Preflight(_) => Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, error.to_string()),
            StoreError::Init(error) => Report::error(SqlState::from_code(&error.code), error.message.clone()),
            StoreError::Roles(_) => {
                Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "upstream's roles are not as pgusher needs them")
                    .hint("The log says what is wrong; \"pgusher init\" checks and mends it.")
            }
            StoreError::Stale { .. } => {
                Report::error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "the policies could not be confirmed for too long")
                    .detail(error.to_string())
                    .hint("Statements are refused until the policy store can be reached again.")
            }
            StoreError::NotLoaded => Report::error(SqlState::CANNOT_CONNECT_NOW, "the policies have not been loaded yet"),
        }
    }
}
