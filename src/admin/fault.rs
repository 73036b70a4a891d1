//! What a call is told that fails: status, code and text, in the JSON of the API that was called.
//!
//! One text for every credential that is not accepted; to those who may not know, nothing tells what exists.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::authn::Purpose;
use crate::error::Report;

/// Whose JSON an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `error_code` and `message`.
    Databricks,
    /// RFC 7644 section 3.12.
    Scim,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// No such path.
    NoPath,
    /// The path takes other methods.
    NoMethod {
        /// Those.
        allowed: &'static str,
    },
    /// A token over a network that others can read.
    Cleartext,
    /// The body is too long.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The body is no JSON by its own account.
    NoJson,
    /// The request makes no sense.
    Invalid(String),
    /// SCIM's word for what exactly makes no sense, and what it is.
    InvalidScim(&'static str, String),
    /// No credential, or none that is accepted.
    Unauthenticated,
    /// A good token that was made for something else.
    Scope(Purpose),
    /// Something that only administrators may do.
    AdminOnly,
    /// What is asked about is not there.
    Missing(String),
    /// It cannot be told now.
    Unavailable(Box<Report>),
    /// Governance refused it, or could not do it.
    Governed(Box<Report>),
}

impl From<Report> for Fault {
    fn from(report: Report) -> Self {
        Self::Governed(Box::new(report))
    }
}

impl Fault {
    /// It cannot be told now, and why.
    pub(super) fn unavailable(report: Report) -> Self {
        Self::Unavailable(Box::new(report))
    }

    /// The SQLSTATE of the same fault, for the audit.
    pub(super) fn sqlstate(&self) -> SqlState {
        match self {
            Fault::NoPath | Fault::NoMethod { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Fault::Cleartext | Fault::Unauthenticated => SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            Fault::TooLarge => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Fault::TooSlow => SqlState::QUERY_CANCELED,
            Fault::NoJson | Fault::Invalid(_) | Fault::InvalidScim(..) => SqlState::INVALID_PARAMETER_VALUE,
            Fault::Scope(_) | Fault::AdminOnly => SqlState::INSUFFICIENT_PRIVILEGE,
            Fault::Missing(_) => SqlState::UNDEFINED_OBJECT,
            Fault::Unavailable(report) | Fault::Governed(report) => report.code.clone(),
        }
    }

    /// The answer.
    pub(super) fn response(&self, dialect: Dialect) -> Response {
        let (status, code) = self.status(dialect);
        let body = match dialect {
            Dialect::Databricks => json!({"error_code": code, "message": self.message()}),
            Dialect::Scim => {
                let mut body = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                    "status": status.as_u16().to_string(),
                    "detail": self.message(),
                });
                if let Some(kind) = self.scim_type(status) {
                    body["scimType"] = Value::from(kind);
                }
                body
            }
        };
        let mut response = answer(status, dialect, &body);
        let headers = response.headers_mut();
        match self {
            Fault::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pgusher\""));
            }
            Fault::NoMethod { allowed } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            Fault::TooLarge | Fault::TooSlow => {
                // What is left of the body is not read.
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Fault::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Fault::NoPath
            | Fault::Cleartext
            | Fault::NoJson
            | Fault::Invalid(_)
            | Fault::InvalidScim(..)
            | Fault::Scope(_)
            | Fault::AdminOnly
            | Fault::Missing(_)
            | Fault::Governed(_) => {}
        }
        response
    }

    fn status(&self, dialect: Dialect) -> (StatusCode, &'static str) {
        match self {
            Fault::NoPath => (StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND"),
            Fault::NoMethod { .. } => (StatusCode::METHOD_NOT_ALLOWED, "BAD_REQUEST"),
            Fault::Cleartext | Fault::Scope(_) | Fault::AdminOnly => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Fault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "MAX_REQUEST_SIZE_EXCEEDED"),
            Fault::TooSlow => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            Fault::NoJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "MALFORMED_REQUEST"),
            Fault::Invalid(_) | Fault::InvalidScim(..) => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            Fault::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Fault::Missing(_) => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            Fault::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
            Fault::Governed(report) => governed(&report.code, dialect),
        }
    }

    fn message(&self) -> String {
        match self {
            Fault::NoPath => "there is no such endpoint".to_owned(),
            Fault::NoMethod { allowed } => format!("this endpoint takes {allowed}"),
            Fault::Cleartext => "TLS is required: a token would cross the network unencrypted".to_owned(),
            Fault::TooLarge => "the request's body is too long".to_owned(),
            Fault::TooSlow => "the request took too long to come".to_owned(),
            Fault::NoJson => "the request's body must be JSON, and its Content-Type must say so".to_owned(),
            Fault::Invalid(what) | Fault::InvalidScim(_, what) | Fault::Missing(what) => what.clone(),
            Fault::Unauthenticated => "authentication failed: give a token as \"Authorization: Bearer …\"".to_owned(),
            Fault::Scope(purpose) => format!("permission denied: the token lacks the scope \"{}\"", purpose.scope()),
            Fault::AdminOnly => "permission denied: only administrators may do that".to_owned(),
            Fault::Governed(_) if self.is_internal() => "internal error: the log tells more".to_owned(),
            Fault::Unavailable(report) | Fault::Governed(report) => {
                let more = [&report.detail, &report.hint].into_iter().flatten().map(|text| format!(" {text}"));
                let end = if report.detail.is_some() || report.hint.is_some() { "." } else { "" };
                format!("{}{end}{}", report.message, more.collect::<String>())
            }
        }
    }

    fn is_internal(&self) -> bool {
        self.status(Dialect::Databricks).0 == StatusCode::INTERNAL_SERVER_ERROR
    }

    fn scim_type(&self, status: StatusCode) -> Option<&'static str> {
        match self {
            Fault::InvalidScim(kind, _) => Some(kind),
            _ if status == StatusCode::BAD_REQUEST => Some("invalidValue"),
            _ if status == StatusCode::CONFLICT => Some("uniqueness"),
            _ => None,
        }
    }
}

/// How governance's refusals are called.
fn governed(code: &SqlState, dialect: Dialect) -> (StatusCode, &'static str) {
    // What is told of upstream's own errors is as little as can be.
    match code.code() {
        "42501" => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        "28000" => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        "42704" => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        "42710" => match dialect {
            Dialect::Databricks => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
            Dialect::Scim => (StatusCode::CONFLICT, "RESOURCE_ALREADY_EXISTS"),
        },
        "42939" | "22023" | "42809" | "0LP01" => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
        "55000" | "2BP01" => (StatusCode::BAD_REQUEST, "INVALID_STATE"),
        "0A000" => (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED"),
        "08001" | "08006" | "57014" | "57P01" | "57P03" | "53300" | "40001" | "40P01" | "58030" => {
            (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    }
}

/// An answer of JSON; it is nobody's to keep.
pub(super) fn answer(status: StatusCode, dialect: Dialect, body: &Value) -> Response {
    let kind = match dialect {
        Dialect::Databricks => "application/json",
        Dialect::Scim => "application/scim+json",
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}
