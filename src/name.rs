//! Identifiers and literals by PostgreSQL's rules.
//!
//! In: spelled text. Out: folded names and correctly quoted text. Never: a printer of whole statements.
//! Source: PostgreSQL manual 4.1.1 (identifiers) and 4.1.2 (constants).

use std::fmt;
use std::sync::Arc;

/// The number of bytes PostgreSQL keeps of an identifier (`NAMEDATALEN - 1`).
pub const MAX_BYTES: usize = 63;

/// An identifier as the catalog stores it: folded unless it was quoted, cut to 63 bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

impl Name {
    /// An identifier that was written without quotes: ASCII letters fold to lower case.
    pub fn folded(written: &str) -> Self {
        Self::exact(&written.to_ascii_lowercase())
    }

    /// An identifier taken as it is (quoted, or read from the catalog or a parse tree), cut to 63 bytes.
    pub fn exact(text: &str) -> Self {
        Self(Arc::from(truncate(text)))
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identifier in double quotes, safe to place in SQL text.
    pub fn quoted(&self) -> String {
        quote_identifier(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::exact(text)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A schema-qualified name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QualifiedName {
    /// The schema.
    pub schema: Name,
    /// The object in it.
    pub name: Name,
}

impl QualifiedName {
    /// A name from its two parts.
    pub fn new(schema: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// Both parts in double quotes, joined by a dot, safe to place in SQL text.
    pub fn quoted(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.name.quoted())
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// An identifier in double quotes, inner quotes doubled.
pub fn quote_identifier(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A string constant: plain when it holds no backslash, else an `E''` constant, so that its meaning does not
/// depend on `standard_conforming_strings`.
pub fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') { format!(" E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

fn truncate(text: &str) -> &str {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unquoted_name_folds_ascii_only() {
        assert_eq!(Name::folded("OrDÉrs").as_str(), "ordÉrs");
    }

    #[test]
    fn a_long_name_is_cut_at_a_character_boundary() {
        let name = Name::exact(&format!("{}é", "a".repeat(62)));
        assert_eq!(name.as_str(), "a".repeat(62));
    }

    #[test]
    fn quotes_inside_identifiers_and_literals_are_doubled() {
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\'b"), " E'a\\\\''b'");
    }
}
