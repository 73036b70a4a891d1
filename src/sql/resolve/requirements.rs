//! The requirements of a statement as they are collected: each once, in the order they were found.

use std::collections::HashSet;
use std::sync::Arc;

use crate::policy::{Holder, Level, Oid, Privilege, Requirement, Securable};

/// Requirements without repetitions.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    found: Vec<Requirement>,
    seen: HashSet<(Holder, Privilege, Level, Securable)>,
}

impl Requirements {
    pub(super) fn add(&mut self, requirement: Requirement) {
        if self.seen.insert((requirement.holder, requirement.privilege, requirement.level, requirement.securable)) {
            self.found.push(requirement);
        }
    }

    pub(super) fn need(
        &mut self,
        holder: Holder,
        privilege: Privilege,
        securable: Securable,
        schema: Option<Oid>,
        label: &str,
        noun: &'static str,
    ) {
        let level = Level::Privilege;
        self.add(Requirement { holder, privilege, level, securable, schema, label: Arc::from(label), noun, columns: Vec::new() });
    }

    /// The session's own, at a level.
    pub(super) fn need_at(
        &mut self,
        level: Level,
        privilege: Privilege,
        securable: Securable,
        schema: Option<Oid>,
        label: &str,
        noun: &'static str,
    ) {
        let (holder, label) = (Holder::Session, Arc::from(label));
        self.add(Requirement { holder, privilege, level, securable, schema, label, noun, columns: Vec::new() });
    }

    /// Adds the columns of a relation that a requirement is about, for the audit.
    pub(super) fn note_columns(&mut self, privilege: Privilege, securable: Securable, columns: &[String]) {
        for requirement in &mut self.found {
            if requirement.privilege == privilege && requirement.securable == securable {
                for column in columns {
                    if !requirement.columns.iter().any(|c| **c == **column) {
                        requirement.columns.push(Arc::from(column.as_str()));
                    }
                }
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<Requirement> {
        self.seen.clear();
        std::mem::take(&mut self.found)
    }
}
