//! What a client may set when it starts: a fixed list, by name and by value. Pure; nothing is applied here.
//!
//! Source: `process_startup_options` and `pg_split_opts` in `postinit.c`, `SplitIdentifierString` in `varlena.c`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::PoolMode;
use crate::error::edge::{Method, ParameterError};
use crate::name::Name;

/// The settings that a client may give, in PostgreSQL's spelling.
const ALLOWED: [&str; 21] = [
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "DateStyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "IntervalStyle",
    "jit",
    "lock_timeout",
    "plan_cache_mode",
    "search_path",
    "statement_timeout",
    "synchronous_commit",
    "TimeZone",
    "work_mem",
];

/// Settings that decide what a session may do or how its statements are read.
const PROTECTED: [&str; 9] = [
    "is_superuser",
    "local_preload_libraries",
    "role",
    "row_security",
    "session_authorization",
    "session_preload_libraries",
    "session_replication_role",
    "standard_conforming_strings",
    "transform_null_equals",
];

/// Settings in this class are ours.
const OUR_CLASS: &str = "pgusher.";

/// Our schema, and the beginning of the names of all the others of ours.
const OUR_SCHEMA: &str = "pgusher";
const OUR_SCHEMAS: &str = "pgusher_";

/// A service principal names the person it acts for in it, or gives that one's token.
const ON_BEHALF_OF: &str = "pgusher.on_behalf_of";

/// How the client wants to show who it is.
const AUTH: &str = "pgusher.auth";

/// For how long the session wants an upstream connection.
const POOL_MODE: &str = "pgusher.pool_mode";

/// What a startup packet asks for.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Admitted {
    /// Settings, by PostgreSQL's spelling of their names.
    pub settings: BTreeMap<String, String>,
    /// Whom to act for: a name, or a secret.
    pub on_behalf_of: Option<String>,
    /// How it wants to show who it is, if it says so.
    pub auth: Option<Method>,
    /// For how long it wants an upstream connection, if it says so.
    pub pool_mode: Option<PoolMode>,
}

/// Checks the settings of a startup packet: those in `options` first, then the others, which count more.
pub(super) fn admit(options: Option<&str>, settings: &BTreeMap<String, String>) -> Result<Admitted, ParameterError> {
    let mut admitted = Admitted::default();
    for (name, value) in split_options(options.unwrap_or_default())? {
        admit_one(&mut admitted, &name, &value)?;
    }
    for (name, value) in settings {
        admit_one(&mut admitted, name, value)?;
    }
    Ok(admitted)
}

fn admit_one(admitted: &mut Admitted, name: &str, value: &str) -> Result<(), ParameterError> {
    if name.eq_ignore_ascii_case(ON_BEHALF_OF) {
        admitted.on_behalf_of = Some(value.to_owned());
        return Ok(());
    }
    if name.eq_ignore_ascii_case(AUTH) {
        admitted.auth = match value.to_ascii_lowercase().as_str() {
            "oauthbearer" => Some(Method::Bearer),
            "password" => Some(Method::Password),
            "scram-sha-256" => Some(Method::Scram),
            "certificate" => Some(Method::Certificate),
            _ => return Err(ParameterError::Value { name: Arc::from(AUTH), value: Arc::from(value) }),
        };
        return Ok(());
    }
    if name.eq_ignore_ascii_case(POOL_MODE) {
        admitted.pool_mode = match value.to_ascii_lowercase().as_str() {
            "session" => Some(PoolMode::Session),
            "transaction" => Some(PoolMode::Transaction),
            _ => return Err(ParameterError::Value { name: Arc::from(POOL_MODE), value: Arc::from(value) }),
        };
        return Ok(());
    }
    let Some(spelling) = ALLOWED.iter().find(|allowed| allowed.eq_ignore_ascii_case(name)) else {
        return refuse(name, value);
    };
    let value = match *spelling {
        "client_encoding" => utf8(value)?,
        "search_path" => {
            check_search_path(value)?;
            value.to_owned()
        }
        _ => value.to_owned(),
    };
    admitted.settings.insert((*spelling).to_owned(), value);
    Ok(())
}

/// What is not on the list. `standard_conforming_strings = on` says what is so anyway and is let go.
fn refuse(name: &str, value: &str) -> Result<(), ParameterError> {
    let lower = name.to_ascii_lowercase();
    if lower == "standard_conforming_strings" && ["on", "true", "yes", "1"].iter().any(|on| value.eq_ignore_ascii_case(on)) {
        return Ok(());
    }
    if PROTECTED.contains(&lower.as_str()) || lower.starts_with(OUR_CLASS) {
        return Err(ParameterError::Protected(Arc::from(name)));
    }
    Err(ParameterError::Unknown(Arc::from(name)))
}

/// PostgreSQL compares encodings by their letters and digits only, so `'utf-8'` is UTF8 too.
fn utf8(value: &str) -> Result<String, ParameterError> {
    let clean: String = value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    match clean.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        _ => Err(ParameterError::ClientEncoding(Arc::from(value))),
    }
}

fn check_search_path(value: &str) -> Result<(), ParameterError> {
    let invalid = || ParameterError::Value { name: Arc::from("search_path"), value: Arc::from(value) };
    match split_identifiers(value).ok_or_else(invalid)?.into_iter().find(is_ours) {
        Some(schema) => Err(ParameterError::Schema(Arc::from(schema.as_str()))),
        None => Ok(()),
    }
}

fn is_ours(schema: &Name) -> bool {
    schema.as_str() == OUR_SCHEMA || schema.as_str().starts_with(OUR_SCHEMAS)
}

/// Splits a comma-separated list of identifiers, folding the unquoted ones; `None` if it is none.
fn split_identifiers(text: &str) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted)?,
            None => take_unquoted(rest)?,
        };
        names.push(name);
        rest = after.trim_start_matches(is_space);
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(is_space);
    }
}

fn take_quoted(text: &str) -> Option<(Name, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((Name::exact(&name), after)),
        }
    }
}

fn take_unquoted(text: &str) -> Option<(Name, &str)> {
    let end = text.find(|c| c == ',' || is_space(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    if name.is_empty() { None } else { Some((Name::folded(name), rest)) }
}

/// `scanner_isspace`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c' | '\x0b')
}

/// Takes `options` apart: `-c name=value`, `-cname=value` and `--name=value`.
fn split_options(options: &str) -> Result<Vec<(String, String)>, ParameterError> {
    let mut settings = Vec::new();
    let mut arguments = split_arguments(options).into_iter();
    while let Some(argument) = arguments.next() {
        let invalid = || ParameterError::Argument(Arc::from(argument.as_str()));
        let assignment = if argument == "-c" {
            arguments.next().ok_or_else(invalid)?
        } else if let Some(assignment) = argument.strip_prefix("--").or_else(|| argument.strip_prefix("-c")) {
            assignment.to_owned()
        } else {
            return Err(invalid());
        };
        let (name, value) = assignment.split_once('=').ok_or_else(invalid)?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// Splits at white space; a backslash takes the next character as it is.
fn split_arguments(options: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut characters = options.chars();
    while let Some(c) = characters.next() {
        if is_space(c) {
            arguments.extend(current.take());
        } else {
            let c = if c == '\\' { characters.next() } else { Some(c) };
            current.get_or_insert_default().extend(c);
        }
    }
    arguments.extend(current);
    arguments
}

#[cfg(test)]
mod tests;
