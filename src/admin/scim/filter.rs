//! Filters of lists: comparisons of a principal's attributes joined by `and`.
//!
//! Source: RFC 7644 section 3.4.2.2. A value may stand without quotes, as Databricks' clients write it. Names are compared exactly.

use super::super::fault::Fault;
use crate::policy::Principal;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<Comparison>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    attribute: Attribute,
    operator: Operator,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Name,
    Id,
    Active,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
}

impl Filter {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = || Fault::InvalidScim("invalidFilter", "the filter is not understood: write attribute eq \"value\"".to_owned());
        let mut rest = text.trim();
        let mut comparisons = Vec::new();
        loop {
            let (attribute, more) = word(rest);
            let (operator, more) = word(more);
            let (value, more) = value(more).ok_or_else(wrong)?;
            let attribute = Attribute::named(attribute).ok_or_else(wrong)?;
            let operator = Operator::named(operator).ok_or_else(wrong)?;
            comparisons.push(Comparison { attribute, operator, value });
            if more.is_empty() {
                return Ok(Self(comparisons));
            }
            let (and, more) = word(more);
            if !and.eq_ignore_ascii_case("and") || comparisons.len() == MOST {
                return Err(wrong());
            }
            rest = more;
        }
    }

    /// Whether a principal is among those.
    pub(super) fn lets_through(&self, principal: &Principal) -> bool {
        self.0.iter().all(|comparison| {
            let (given, value) = match comparison.attribute {
                Attribute::Name => (principal.name.to_string(), comparison.value.clone()),
                Attribute::Id => (principal.id.0.to_string(), comparison.value.clone()),
                Attribute::Active => (principal.enabled.to_string(), comparison.value.to_ascii_lowercase()),
            };
            match comparison.operator {
                Operator::Equal => given == value,
                Operator::NotEqual => given != value,
                Operator::Contains => given.contains(&value),
                Operator::StartsWith => given.starts_with(&value),
                Operator::EndsWith => given.ends_with(&value),
            }
        })
    }
}

/// The most comparisons.
const MOST: usize = 20;

impl Attribute {
    fn named(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "username" | "displayname" | "applicationid" => Some(Self::Name),
            "id" => Some(Self::Id),
            "active" => Some(Self::Active),
            _ => None,
        }
    }
}

impl Operator {
    fn named(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "eq" => Some(Self::Equal),
            "ne" => Some(Self::NotEqual),
            "co" => Some(Self::Contains),
            "sw" => Some(Self::StartsWith),
            "ew" => Some(Self::EndsWith),
            _ => None,
        }
    }
}

/// The first word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim_start())
}

/// A string in quotes as JSON writes it, or a word; and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        let (first, rest) = word(text);
        return (!first.is_empty()).then(|| (first.to_owned(), rest));
    }
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = strings.next()?.ok()?;
    let rest = text.get(strings.byte_offset()..)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| (value, rest.trim()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::{PrincipalId, PrincipalKind};

    fn found(filter: &str) -> bool {
        let ana = Principal { id: PrincipalId(7), name: Arc::from("ana \"x\""), kind: PrincipalKind::User, enabled: true };
        Filter::parse(filter).unwrap().lets_through(&ana)
    }

    #[test]
    fn comparisons_hold_or_do_not() {
        for filter in [
            r#"userName eq "ana \"x\"""#,
            "userName sw ana",
            "displayName co na and active eq True",
            "ID EQ 7",
            r#"userName ew "\"" and id ne 8 AND active ne "false""#,
        ] {
            assert!(found(filter), "{filter}");
        }
        for filter in ["userName eq ana", "userName eq Ana", "active eq false", "id eq 7 and id eq 8"] {
            assert!(!found(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for filter in [
            "",
            "userName",
            "userName eq",
            "userName gt a",
            "password eq a",
            "id eq 1 or id eq 2",
            "id eq \"1",
            "id eq \"1\"x",
            "id eq 1 and",
        ] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
        assert!(Filter::parse(&vec!["id eq 1"; 100].join(" and ")).is_err());
    }
}
