//! The edges: what can go wrong between accept and the first ReadyForQuery.
//!
//! These enums live here, not beside their code, because `startup` and `listener` stand below this module.

use std::sync::Arc;

use tokio_postgres::error::SqlState;

use super::Report;
use crate::authn::scram::ScramError;
use crate::authn::{DirectoryError, Refusal};

/// Why a startup came to its end without a session.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The client closed, or its socket failed; nobody is there to be told.
    #[error("the client went away: {0}")]
    Gone(#[from] std::io::Error),
    /// It took too long; as in PostgreSQL, nothing is sent.
    #[error("startup took longer than allowed")]
    TooSlow,
    /// A packet whose bytes make no sense.
    #[error("{0}")]
    Malformed(Malformed),
    /// Bytes came behind a request for encryption, before its answer.
    #[error("unencrypted data after {0} request")]
    Injected(Encryption),
    /// The first byte was a TLS record's, and TLS is not offered here; the client could read no answer.
    #[error("direct TLS where TLS is not offered")]
    DirectTls,
    /// The TLS handshake failed; the client has its alert.
    #[error("TLS handshake failed: {0}")]
    Handshake(std::io::Error),
    /// Direct TLS without ALPN `postgresql`.
    #[error("direct TLS without ALPN protocol negotiation")]
    NoAlpn,
    /// A major version that is not 3.
    #[error("unsupported protocol {major}.{minor}")]
    Version {
        /// The major asked for.
        major: u16,
        /// The minor asked for.
        minor: u16,
    },
    /// The startup packet asks for replication.
    #[error("replication requested")]
    Replication,
    /// The startup packet names no user.
    #[error("no user named")]
    NoUser,
    /// A token would cross the network in the clear.
    #[error("a cleartext token over unencrypted TCP")]
    TlsRequired {
        /// Whether the client could use TLS here.
        offered: bool,
    },
    /// The password message was empty.
    #[error("an empty token")]
    NoToken,
    /// The credential was not accepted. Only the log hears why.
    #[error("{refusal}")]
    Refused {
        /// The user name as given.
        user: Arc<str>,
        /// Why, for the log.
        refusal: Refusal,
        /// How it was shown.
        by: Method,
    },
    /// The client came for a token's address, or wants OAUTHBEARER where it is not offered.
    #[error("no bearer token")]
    NoBearer {
        /// The user name as given.
        user: Arc<str>,
        /// It was told where to get one.
        told: bool,
    },
    /// The client wants another way to log in than there is.
    #[error("{} is not offered", .0.noun())]
    NotOffered(Method),
    /// The client wants to log in by a certificate, and shows none.
    #[error("no client certificate")]
    NoCertificate,
    /// An exchange of SCRAM that came to no end, whoever it was about.
    #[error("{0}")]
    Scram(#[from] ScramError),
    /// The principal may not act for the one it asked for. Only the log hears why.
    #[error("\"{actor}\" acts for somebody: {refusal}")]
    NotActing {
        /// The principal whose token was good.
        actor: Arc<str>,
        /// Why, for the log.
        refusal: Refusal,
    },
    /// The directory could not answer.
    #[error("the directory of tokens: {0}")]
    Directory(#[from] DirectoryError),
    /// Not the database that is served here.
    #[error("database \"{0}\" does not exist")]
    Database(Arc<str>),
    /// A startup parameter that cannot be taken.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// All connections are taken.
    #[error("too many clients")]
    Full,
    /// We are shutting down.
    #[error("draining")]
    Draining,
}

/// How a client shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A token as the cleartext password.
    Password,
    /// A token by SASL OAUTHBEARER.
    Bearer,
    /// A password by SASL SCRAM-SHA-256.
    Scram,
    /// The certificate of the TLS handshake.
    Certificate,
}

impl Method {
    /// What messages call it.
    fn noun(self) -> &'static str {
        match self {
            Method::Password => "password authentication",
            Method::Bearer => "OAuth bearer authentication",
            Method::Scram => "SCRAM-SHA-256 authentication",
            Method::Certificate => "certificate authentication",
        }
    }
}

/// What exactly is wrong with the bytes of a startup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A startup packet's length is out of bounds.
    #[error("invalid length of startup packet")]
    Length,
    /// The parameters of a startup packet do not end where it ends.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
    /// A parameter is not UTF-8.
    #[error("invalid byte sequence for encoding \"UTF8\" in startup packet")]
    Encoding,
    /// A cancel request of the wrong length.
    #[error("invalid length of query cancel packet")]
    CancelLength,
    /// Something else than a password message where one was due.
    #[error("expected password response, got message type {0}")]
    NotPassword(u8),
    /// A SASL message that makes no sense.
    #[error("malformed SASL message")]
    Sasl,
    /// Another mechanism than the one that was offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// A password message of a wrong length.
    #[error("invalid password packet size")]
    PasswordLength,
}

/// The two ways to ask for encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// SSLRequest.
    Tls,
    /// GSSENCRequest.
    Gss,
}

impl std::fmt::Display for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Encryption::Tls => "SSL",
            Encryption::Gss => "GSSAPI encryption",
        })
    }
}

/// Why a startup parameter cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// Not on the list of those a client may set at startup.
    #[error("parameter \"{0}\" is not on the list")]
    Unknown(Arc<str>),
    /// Set by pgusher alone.
    #[error("parameter \"{0}\" is protected")]
    Protected(Arc<str>),
    /// A client encoding that we do not read.
    #[error("client encoding \"{0}\"")]
    ClientEncoding(Arc<str>),
    /// A value that the parameter cannot have.
    #[error("invalid value for parameter \"{name}\": \"{value}\"")]
    Value {
        /// The parameter.
        name: Arc<str>,
        /// The value given.
        value: Arc<str>,
    },
    /// An `options` argument that is no `-c name=value`.
    #[error("invalid command-line argument: {0}")]
    Argument(Arc<str>),
    /// A `search_path` that names a schema of ours.
    #[error("search_path names schema \"{0}\"")]
    Schema(Arc<str>),
}

impl From<&StartupError> for Report {
    fn from(error: &StartupError) -> Self {
        match error {
            StartupError::Gone(_) => Report::fatal(SqlState::CONNECTION_FAILURE, "connection to client lost"),
            StartupError::TooSlow => Report::fatal(SqlState::QUERY_CANCELED, "canceling authentication due to timeout"),
            StartupError::Malformed(malformed) => Report::fatal(SqlState::PROTOCOL_VIOLATION, malformed.to_string()),
            StartupError::Injected(encryption) => {
                Report::fatal(SqlState::PROTOCOL_VIOLATION, format!("received unencrypted data after {encryption} request"))
                    .detail("This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.")
            }
            StartupError::DirectTls => {
                Report::fatal(SqlState::PROTOCOL_VIOLATION, "received direct SSL connection request where SSL is not offered")
            }
            StartupError::Handshake(_) => Report::fatal(SqlState::PROTOCOL_VIOLATION, "could not accept SSL connection"),
            StartupError::NoAlpn => Report::fatal(
                SqlState::PROTOCOL_VIOLATION,
                "received direct SSL connection request without ALPN protocol negotiation extension",
            ),
            StartupError::Version { major, minor } => Report::fatal(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"),
            ),
            StartupError::Replication => {
                Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, "replication connections are not supported")
                    .detail("A replication stream bypasses row filters and column masks.")
            }
            StartupError::NoUser => {
                Report::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "no PostgreSQL user name specified in startup packet")
                    .hint("Give the principal's name, or the word token, as the user.")
            }
            StartupError::TlsRequired { offered } => tls_required(*offered),
            StartupError::NoToken => {
                Report::fatal(SqlState::INVALID_PASSWORD, "empty password returned by client").hint("Give a token as the password.")
            }
            StartupError::Refused { user, refusal: _, by } => failed(user, *by),
            StartupError::NoBearer { user, told: true } => failed(user, Method::Bearer),
            StartupError::NotOffered(method) => {
                Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, format!("{} is not offered here", method.noun()))
            }
            StartupError::NoCertificate => {
                Report::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "connection requires a valid client certificate")
            }
            StartupError::Scram(error) => Report::fatal(
                match error {
                    ScramError::Malformed => SqlState::PROTOCOL_VIOLATION,
                    ScramError::Downgrade | ScramError::Binding => SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                },
                error.to_string(),
            ),
            StartupError::NoBearer { told: false, .. } => {
                Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, "OAuth bearer authentication is not offered here")
                    .hint("Give a token as the password.")
            }
            StartupError::NotActing { actor, refusal: _ } => Report::fatal(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("\"{actor}\" may not act on behalf of that user"),
            )
            .hint(format!("An administrator may allow it: GRANT ACT FOR USER … TO {}.", crate::name::quote_identifier(actor))),
            StartupError::Directory(_) => {
                Report::fatal(SqlState::CANNOT_CONNECT_NOW, "the database system is not yet accepting connections")
                    .detail("Tokens cannot be checked at the moment.")
            }
            StartupError::Database(name) => {
                Report::fatal(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
            }
            StartupError::Parameter(parameter) => Report::from(parameter),
            StartupError::Full => Report::fatal(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already"),
            StartupError::Draining => Report::fatal(SqlState::CANNOT_CONNECT_NOW, "the database system is shutting down"),
        }
    }
}

impl From<&ParameterError> for Report {
    fn from(error: &ParameterError) -> Self {
        match error {
            ParameterError::Unknown(name) => {
                Report::fatal(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
                    .detail("Only parameters on a fixed list may be set when a session starts.")
            }
            ParameterError::Protected(name) => {
                Report::fatal(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to set parameter \"{name}\""))
                    .detail("This parameter is set by pgusher alone.")
            }
            ParameterError::ClientEncoding(value) => {
                Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, format!("client encoding \"{value}\" is not supported"))
                    .hint("Use UTF8.")
            }
            ParameterError::Value { name, value } => {
                Report::fatal(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{name}\": \"{value}\""))
            }
            ParameterError::Argument(argument) => {
                Report::fatal(SqlState::SYNTAX_ERROR, format!("invalid command-line argument for server process: {argument}"))
                    .hint("Only -c name=value and --name=value are accepted.")
            }
            ParameterError::Schema(schema) => {
                Report::fatal(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for schema {schema}"))
                    .detail("The schema belongs to pgusher and cannot be on the search path.")
            }
        }
    }
}

/// The one text for every reason. Whether a password was a token or not is nobody's business either.
fn failed(user: &str, by: Method) -> Report {
    let (code, by) = match by {
        Method::Password | Method::Scram => (SqlState::INVALID_PASSWORD, Method::Password),
        Method::Bearer | Method::Certificate => (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, by),
    };
    Report::fatal(code, format!("{} failed for user \"{user}\"", by.noun()))
}

fn tls_required(offered: bool) -> Report {
    let report = Report::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "TLS is required for connections over the network")
        .detail("A token would cross the network unencrypted.");
    if offered {
        report.hint("Connect with sslmode=verify-full.")
    } else {
        report.hint("The server has no certificate configured; ask its administrator for one.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_credential_reads_the_same() {
        use crate::authn::JwtRefusal;
        let shown = |refusal, by| Report::from(&StartupError::Refused { user: Arc::from("alice"), refusal, by });
        let report = |refusal| shown(refusal, Method::Password);
        let expected = report(Refusal::Unknown);
        assert_eq!(expected.message, "password authentication failed for user \"alice\"");
        assert_eq!(expected.code, SqlState::INVALID_PASSWORD);
        let of_jwt = [Refusal::Jwt(JwtRefusal::Signature), Refusal::Jwt(JwtRefusal::Issuer), Refusal::NoPrincipal];
        let of_scope = [Refusal::Scope(crate::authn::Purpose::Sql)];
        let of_any = [Refusal::Revoked, Refusal::Expired, Refusal::Disabled, Refusal::OtherPrincipal, Refusal::Password];
        for refusal in of_any.into_iter().chain(of_jwt).chain(of_scope) {
            assert_eq!(report(refusal), expected);
            assert_eq!(shown(refusal, Method::Scram), expected);
            assert_eq!(shown(refusal, Method::Certificate), shown(Refusal::Certificate, Method::Certificate));
        }
    }

    #[test]
    fn the_cause_of_a_failing_directory_stays_inside() {
        let report = Report::from(&StartupError::Directory(DirectoryError("10.0.0.7 refused".into())));
        assert!(!format!("{report:?}").contains("10.0.0.7"));
    }
}
