//! Errors of the store as a client sees them.

use tokio_postgres::error::SqlState;

use super::Report;
use crate::store::StoreError;

impl From<&StoreError> for Report {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Connect(_) => Report::error(SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, "could not connect to upstream"),
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
            StoreError::MaskType { .. } => Report::error(SqlState::DATATYPE_MISMATCH, error.to_string())
                .hint("Cast the mask to the column's type."),
            StoreError::Stale { .. } => Report::error(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the policies could not be confirmed for too long",
            )
            .detail(error.to_string())
            .hint("Statements are refused until the policy store can be reached again."),
            StoreError::NotLoaded => Report::error(SqlState::CANNOT_CONNECT_NOW, "the policies have not been loaded yet"),
        }
    }
}
