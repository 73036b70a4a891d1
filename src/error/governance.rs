//! Governance texts that are no command.

use tokio_postgres::error::SqlState;

use super::Report;
use crate::governance::GovernanceError;

impl From<&GovernanceError> for Report {
    fn from(error: &GovernanceError) -> Self {
        let text = error.to_string();
        match error {
            GovernanceError::Syntax { position, .. } | GovernanceError::End { position } => {
                Report::error(SqlState::SYNTAX_ERROR, text).position(Some(*position))
            }
            GovernanceError::Unterminated { position, .. } => Report::error(SqlState::SYNTAX_ERROR, text).position(*position),
            GovernanceError::UnknownPrivilege { hint, position, .. } => {
                let report = Report::error(SqlState::SYNTAX_ERROR, text).position(Some(*position));
                hint.iter().fold(report, |report, hint| report.hint(*hint))
            }
            GovernanceError::InvalidValue { position, .. } => {
                Report::error(SqlState::INVALID_PARAMETER_VALUE, text).position(Some(*position))
            }
            GovernanceError::Unsupported { hint, position, .. } => {
                let report = Report::error(SqlState::FEATURE_NOT_SUPPORTED, text).position(*position);
                hint.iter().fold(report, |report, hint| report.hint(*hint))
            }
        }
    }
}
