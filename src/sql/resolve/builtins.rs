//! The reviewed functions of `pg_catalog` (and `information_schema`) of PostgreSQL 14 to 18: `builtins.tsv`, one name a line, with
//! a reason for every refusal. All overloads of a name share one verdict, but for those told apart by their number of arguments
//! (`name/3`). `tests/builtins/signatures.txt` has every signature that the review has seen.
//!
//! A name that is not in the list is refused: a newer PostgreSQL may bring functions that nobody has looked at.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What the review says about a function's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be called by everybody.
    Allow,
    /// It may not be called: why.
    Refuse(&'static str),
    /// It depends on the arguments or on the session: what about.
    Special(&'static str),
    /// Nobody has looked at it.
    Unknown,
}

/// The verdict on a name as the catalog has it.
pub fn lookup(name: &str) -> Verdict {
    REVIEWED.get(name).copied().unwrap_or(Verdict::Unknown)
}

/// The verdict on a call with so many arguments.
pub fn lookup_call(name: &str, arguments: usize) -> Verdict {
    REVIEWED.get(format!("{name}/{arguments}").as_str()).copied().unwrap_or_else(|| lookup(name))
}

/// Every reviewed name with its verdict, in no order.
pub fn reviewed() -> impl Iterator<Item = (&'static str, Verdict)> {
    REVIEWED.iter().map(|(name, verdict)| (*name, *verdict))
}

static REVIEWED: LazyLock<HashMap<&'static str, Verdict>> = LazyLock::new(|| LIST.lines().filter_map(entry).collect());

const LIST: &str = include_str!("builtins.tsv");

/// A line that does not read as an entry leaves its name unknown, which refuses it.
fn entry(line: &'static str) -> Option<(&'static str, Verdict)> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let verdict = match (fields.next()?, fields.next()) {
        ("allow", None) => Verdict::Allow,
        ("refuse", Some(reason)) => Verdict::Refuse(reason),
        ("special", Some(about)) => Verdict::Special(about),
        _ => return None,
    };
    Some((name, verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_an_entry_and_every_refusal_has_a_reason() {
        for line in LIST.lines() {
            let (name, verdict) = entry(line).unwrap_or_else(|| panic!("not an entry: {line:?}"));
            assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'/'), "{line:?}");
            assert!(!matches!(verdict, Verdict::Refuse("") | Verdict::Special("")), "{line:?}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_names_each_function_once() {
        let names: Vec<_> = LIST.lines().filter_map(entry).map(|(name, _)| name).collect();
        assert!(names.is_sorted() && names.windows(2).all(|w| w[0] != w[1]));
        assert_eq!(names.len(), REVIEWED.len());
    }

    #[test]
    fn functions_that_run_sql_in_a_text_are_refused() {
        for name in
            ["query_to_xml", "table_to_xmlschema", "database_to_xml_and_xmlschema", "cursor_to_xml", "ts_stat", "ts_rewrite"]
        {
            assert!(matches!(lookup(name), Verdict::Refuse(_)), "{name}");
        }
        assert!(matches!(lookup_call("ts_rewrite", 2), Verdict::Refuse(_)));
        assert_eq!(lookup_call("ts_rewrite", 3), Verdict::Allow, "it takes no text");
    }

    #[test]
    fn what_reaches_past_the_session_is_refused() {
        for name in ["lo_import", "lo_export", "pg_terminate_backend", "pg_stat_get_activity", "pg_get_viewdef", "inet_server_addr"]
        {
            assert!(matches!(lookup(name), Verdict::Refuse(_)), "{name}");
        }
        assert_eq!(lookup("dblink"), Verdict::Unknown);
        assert!(matches!(lookup("set_config"), Verdict::Special(_)));
        assert_eq!(lookup("count"), Verdict::Allow);
    }
}
