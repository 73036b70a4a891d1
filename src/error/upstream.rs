//! Upstream: reaching it and logging in. The real cause is for the log; a client learns neither addresses nor roles.

use tokio_postgres::error::SqlState;

use super::Report;
use crate::upstream::UpstreamError;

impl From<&UpstreamError> for Report {
    fn from(error: &UpstreamError) -> Self {
        match error {
            UpstreamError::Unreachable(_)
            | UpstreamError::TooSlow
            | UpstreamError::TlsRefused
            | UpstreamError::Tls(_)
            | UpstreamError::Injected
            | UpstreamError::NoPassword
            | UpstreamError::Cleartext
            | UpstreamError::Method(_)
            | UpstreamError::Scram(_) => unreachable(),
            // The client's own startup parameters: their values are checked upstream.
            UpstreamError::Refused { code, message } if code.starts_with("22") => Report::fatal(SqlState::from_code(code), message),
            UpstreamError::Refused { code, message: _ } => refused(code),
            UpstreamError::Violation(_) | UpstreamError::Lost(_) => {
                Report::fatal(SqlState::CONNECTION_FAILURE, "connection to the upstream server was lost")
            }
            UpstreamError::NoneFree => Report::fatal(SqlState::TOO_MANY_CONNECTIONS, "no upstream connection became free in time")
                .hint("Try again, or ask the administrator to raise the number of upstream connections."),
            UpstreamError::QueueFull => {
                Report::fatal(SqlState::TOO_MANY_CONNECTIONS, "too many sessions wait for an upstream connection")
                    .hint("Try again, or ask the administrator to raise the number of upstream connections.")
            }
            UpstreamError::Closed => Report::fatal(SqlState::CANNOT_CONNECT_NOW, "the database system is shutting down"),
        }
    }
}

fn unreachable() -> Report {
    Report::fatal(SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, "could not connect to the upstream server")
        .detail("The cause is in pgusher's log.")
}

/// Upstream's own refusal: passing states are passed on, so that drivers retry; everything else is our trouble, not the client's.
fn refused(code: &str) -> Report {
    if code == SqlState::TOO_MANY_CONNECTIONS.code() {
        Report::fatal(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
    } else if code == SqlState::CANNOT_CONNECT_NOW.code() {
        Report::fatal(SqlState::CANNOT_CONNECT_NOW, "the database system is not accepting connections")
    } else {
        unreachable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_learns_neither_addresses_nor_roles() {
        for error in [
            UpstreamError::Refused {
                code: "28P01".into(),
                message: "password authentication failed for user \"pgusher_session\"".into(),
            },
            UpstreamError::Unreachable(std::io::Error::other("10.1.2.3:5432 refused")),
        ] {
            let report = Report::from(&error);
            assert_eq!(report.code, SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION);
            assert!(!format!("{report:?}").contains("pgusher_session") && !format!("{report:?}").contains("10.1.2.3"));
        }
    }

    #[test]
    fn a_full_or_starting_upstream_keeps_its_code() {
        for code in ["53300", "57P03"] {
            let report = Report::from(&UpstreamError::Refused { code: code.into(), message: String::new() });
            assert_eq!(report.code.code(), code);
        }
    }
}
