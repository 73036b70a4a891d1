//! The search path of the session, followed through SET, RESET and transactions as PostgreSQL's GUC stack does (`guc.c`).

use std::collections::BTreeMap;

use crate::catalog::SearchPath;
use crate::name::Name;

/// The two values a parameter has: the session's, and SET LOCAL's over it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    session: SearchPath,
    local: Option<SearchPath>,
}

/// Follows `search_path`.
#[derive(Clone, Debug)]
pub(super) struct PathTracker {
    default: SearchPath,
    now: Value,
    /// As it was when the transaction began, implicit ones included.
    base: Value,
    savepoints: Vec<(Name, Value)>,
    /// Something ran that may have changed it unseen.
    uncertain: bool,
    /// The same, in the transaction that is open.
    shaken: bool,
    /// Something was noted since a transaction last ended: its end has something to do.
    stirred: bool,
}

/// The startup settings that a client has given, but for the one that is always the same.
pub(super) fn given(parameters: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut given = parameters.clone();
    given.remove("client_encoding");
    given
}

impl PathTracker {
    /// Starts with the value a new session has.
    pub(super) fn new(path: SearchPath) -> Self {
        let value = Value { session: path.clone(), local: None };
        Self {
            default: path,
            now: value.clone(),
            base: value,
            savepoints: Vec::new(),
            uncertain: false,
            shaken: false,
            stirred: false,
        }
    }

    /// The path in effect.
    pub(super) fn current(&self) -> &SearchPath {
        self.now.local.as_ref().unwrap_or(&self.now.session)
    }

    /// Whether upstream must be asked before [`PathTracker::current`] may be relied on.
    pub(super) fn uncertain(&self) -> bool {
        self.uncertain
    }

    /// Whether the end of the transaction may change it.
    pub(super) fn moved(&self) -> bool {
        self.shaken || self.base != self.now
    }

    /// SET, or SET LOCAL; `None` for DEFAULT.
    pub(super) fn set(&mut self, value: Option<&[String]>, local: bool) {
        self.stirred = true;
        let path = value.map_or_else(|| self.default.clone(), schemas);
        if local {
            self.now.local = Some(path);
        } else {
            self.now = Value { session: path, local: None };
        }
    }

    /// RESET.
    pub(super) fn reset(&mut self) {
        self.stirred = true;
        self.now = Value { session: self.default.clone(), local: None };
    }

    /// Something ran that may have set it.
    pub(super) fn shake(&mut self) {
        self.stirred = true;
        self.uncertain = true;
        self.shaken = true;
    }

    /// It is another where none was set, and upstream must be asked which is in effect.
    pub(super) fn defaults_to(&mut self, path: SearchPath) {
        self.default = path;
        self.shake();
    }

    /// What upstream said it is.
    pub(super) fn told(&mut self, shown: &str) {
        self.now = Value { session: parse(shown), local: None };
        self.uncertain = false;
        if self.stirred {
            // What it was when the transaction began is not known: its end leaves that open.
            self.shaken = true;
        } else {
            self.base = self.now.clone();
        }
    }

    /// SAVEPOINT.
    pub(super) fn savepoint(&mut self, name: Name) {
        self.stirred = true;
        self.savepoints.push((name, self.now.clone()));
    }

    /// RELEASE.
    pub(super) fn release(&mut self, name: &Name) {
        if let Some(at) = self.position(name) {
            self.savepoints.truncate(at);
        }
    }

    /// ROLLBACK TO.
    pub(super) fn rollback_to(&mut self, name: &Name) {
        if let Some(at) = self.position(name) {
            self.savepoints.truncate(at + 1);
            if let Some((_, value)) = self.savepoints.last() {
                self.now = value.clone();
            }
            self.uncertain |= self.shaken;
        }
    }

    /// The transaction, implicit or not, was committed. Whether another path is in effect now.
    pub(super) fn commit(&mut self) -> bool {
        if !self.stirred {
            return false;
        }
        let local = self.now.local.take();
        if self.base != self.now {
            self.base = self.now.clone();
        }
        self.end();
        local.is_some_and(|local| local != self.now.session)
    }

    /// The transaction, implicit or not, was rolled back. Whether another path is in effect now.
    pub(super) fn rollback(&mut self) -> bool {
        if !self.stirred {
            return false;
        }
        let mut other = false;
        if self.base != self.now {
            let before = std::mem::replace(&mut self.now, self.base.clone());
            other = before.local.as_ref().unwrap_or(&before.session) != self.current();
        }
        self.end();
        other
    }

    fn end(&mut self) {
        self.savepoints.clear();
        self.uncertain |= self.shaken;
        (self.shaken, self.stirred) = (false, false);
    }

    fn position(&self, name: &Name) -> Option<usize> {
        self.savepoints.iter().rposition(|(savepoint, _)| savepoint == name)
    }
}

fn schemas(list: &[String]) -> SearchPath {
    SearchPath { schemas: list.iter().filter(|s| !s.is_empty() && *s != "$user").map(|s| Name::exact(s)).collect() }
}

/// Reads what SHOW search_path prints: identifiers, quoted where they must be, with commas between.
pub(super) fn parse(shown: &str) -> SearchPath {
    let mut list = Vec::new();
    let mut rest = shown.trim_start();
    while !rest.is_empty() {
        let mut name = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices().peekable();
            let mut end = quoted.len();
            while let Some((at, c)) = chars.next() {
                if c != '"' {
                    name.push(c);
                } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                    name.push('"');
                } else {
                    end = at + 1;
                    break;
                }
            }
            rest = quoted.get(end..).unwrap_or_default();
        } else {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            name.push_str(&rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
        }
        list.push(name);
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    schemas(&list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(names: &[&str]) -> SearchPath {
        SearchPath { schemas: names.iter().map(|n| Name::exact(n)).collect() }
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn a_shown_path_is_read_as_postgresql_reads_it() {
        assert_eq!(parse("\"$user\", public"), path(&["public"]));
        assert_eq!(parse("\"A \"\"b\"\",c\", x,y"), path(&["A \"b\",c", "x", "y"]));
        assert_eq!(parse("\"\""), path(&[]));
        assert_eq!(parse("\"open"), path(&["open"]));
    }

    #[test]
    fn set_local_ends_with_the_transaction_and_set_stays_only_after_commit() {
        let mut tracker = PathTracker::new(path(&["public"]));
        tracker.set(Some(&list(&["a"])), false);
        tracker.set(Some(&list(&["b"])), true);
        assert_eq!(tracker.current(), &path(&["b"]));
        tracker.commit();
        assert_eq!(tracker.current(), &path(&["a"]));
        tracker.set(Some(&list(&["c"])), false);
        tracker.rollback();
        assert_eq!(tracker.current(), &path(&["a"]));
        tracker.set(None, false);
        assert_eq!(tracker.current(), &path(&["public"]));
    }

    #[test]
    fn rolling_back_to_a_savepoint_brings_back_what_was_set_at_it() {
        let mut tracker = PathTracker::new(path(&["public"]));
        tracker.set(Some(&list(&["a"])), true);
        tracker.savepoint("s".into());
        tracker.set(Some(&list(&["b"])), false);
        tracker.rollback_to(&"s".into());
        assert_eq!(tracker.current(), &path(&["a"]));
        tracker.set(Some(&list(&["c"])), true);
        tracker.release(&"s".into());
        assert_eq!(tracker.current(), &path(&["c"]));
        tracker.rollback_to(&"s".into());
        assert_eq!(tracker.current(), &path(&["c"]));
        tracker.commit();
        assert_eq!(tracker.current(), &path(&["public"]));
    }

    #[test]
    fn what_was_told_between_transactions_is_what_a_failed_one_goes_back_to() {
        let mut tracker = PathTracker::new(path(&["public"]));
        tracker.shake();
        tracker.commit();
        assert!(tracker.uncertain());
        tracker.told("x");
        tracker.rollback();
        assert!(!tracker.uncertain());
        assert_eq!(tracker.current(), &path(&["x"]));
        tracker.set(Some(&list(&["a"])), false);
        tracker.rollback();
        assert_eq!(tracker.current(), &path(&["x"]));
        // Told in a transaction that had set another: what it goes back to was never told.
        tracker.shake();
        tracker.commit();
        tracker.set(Some(&list(&["a"])), false);
        tracker.told("a");
        tracker.rollback();
        assert!(tracker.uncertain());
    }

    #[test]
    fn a_savepoint_of_before_it_was_told_brings_back_nothing_certain() {
        let mut tracker = PathTracker::new(path(&["public"]));
        tracker.shake();
        tracker.commit();
        tracker.savepoint("s".into());
        tracker.told("x");
        tracker.rollback_to(&"s".into());
        assert!(tracker.uncertain());
    }

    #[test]
    fn after_something_unseen_the_path_is_uncertain_until_told_and_again_when_the_transaction_ends() {
        let mut tracker = PathTracker::new(path(&["public"]));
        tracker.shake();
        assert!(tracker.uncertain());
        tracker.told("x");
        assert!(!tracker.uncertain());
        assert_eq!(tracker.current(), &path(&["x"]));
        tracker.rollback();
        assert!(tracker.uncertain());
    }
}
