//! What an analysis asked of the session that it was made for: all else in it follows from text, footing, search path, and whether the
//! session is an administrator's, and holds for everybody alike.

use std::cell::{Cell, RefCell};

use crate::catalog::Footing;
use crate::policy::{Oid, Privilege, Securable, Subject, holds};
use crate::sql::{Remembered, SessionObjects};

/// Whether the principal sees a relation, as an analysis was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sql) struct Seen {
    relation: Oid,
    /// Where the constant stands that says so.
    at: i64,
    seen: bool,
}

impl Seen {
    /// Whether it is the same for another principal.
    pub(in crate::sql) fn holds_for(self, footing: &Footing, subject: &Subject) -> bool {
        sees(footing, subject, self.relation) == self.seen
    }

    /// Where the number stands that it is about.
    pub(in crate::sql) fn at(self) -> i64 {
        self.at
    }

    /// The same at another place.
    pub(in crate::sql) fn at_place(self, at: i64) -> Self {
        Self { at, ..self }
    }

    /// The same of another number.
    pub(in crate::sql) fn of(self, relation: Oid) -> Self {
        Self { relation, ..self }
    }
}

/// The principal as an analysis may know it: what it asks is kept.
pub(in crate::sql) struct Onlooker<'a> {
    answers: Answers<'a>,
    told: RefCell<Vec<Seen>>,
}

enum Answers<'a> {
    Of(&'a Subject),
    /// What was told before, by place.
    Again(&'a [Seen]),
}

impl<'a> Onlooker<'a> {
    pub(in crate::sql) fn new(subject: &'a Subject) -> Self {
        Self { answers: Answers::Of(subject), told: RefCell::default() }
    }

    /// Tells what was told before of what stands at the same places.
    pub(in crate::sql) fn again(told: &'a [Seen]) -> Self {
        Self { answers: Answers::Again(told), told: RefCell::default() }
    }

    /// Whether the principal sees the relation of a number, as far as catalog and policies say.
    pub(super) fn sees(&self, footing: &Footing, relation: Oid, at: i64) -> bool {
        let seen = match self.answers {
            Answers::Of(subject) => sees(footing, subject, relation),
            Answers::Again(told) => told.iter().any(|seen| seen.at == at && seen.seen),
        };
        let answer = Seen { relation, at, seen };
        let mut told = self.told.borrow_mut();
        if !told.contains(&answer) {
            told.push(answer);
        }
        answer.seen
    }

    /// Everything that was asked.
    pub(in crate::sql) fn told(self) -> Vec<Seen> {
        self.told.into_inner()
    }
}

fn sees(footing: &Footing, subject: &Subject, relation: Oid) -> bool {
    let owned = footing.catalog.relation(relation).and_then(|relation| relation.owned_by);
    [Some(relation), owned].into_iter().flatten().filter_map(|oid| footing.catalog.relation(oid)).any(|relation| {
        footing.catalog.schema(relation.schema).is_some_and(|schema| match (schema.ours, schema.system) {
            (true, _) => false,
            (false, true) => matches!(schema.name.as_str(), "pg_catalog" | "information_schema"),
            (false, false) => {
                [Privilege::Select, Privilege::Modify, Privilege::ReadMetadata, Privilege::Manage].iter().any(|held| {
                    holds(&footing.policies, subject, *held, Securable::Relation(relation.oid), Some(schema.oid)).is_some()
                })
            }
        })
    })
}

/// A session's prepared statements and cursors; whether one was asked for is kept.
pub(super) struct Watched<'a> {
    objects: &'a dyn SessionObjects,
    asked: Cell<bool>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(objects: &'a dyn SessionObjects) -> Self {
        Self { objects, asked: Cell::new(false) }
    }

    /// Whether one was asked for.
    pub(super) fn asked(&self) -> bool {
        self.asked.get()
    }
}

impl SessionObjects for Watched<'_> {
    fn prepared(&self, name: &str) -> Option<Remembered> {
        self.asked.set(true);
        self.objects.prepared(name)
    }

    fn cursor(&self, name: &str) -> Option<Remembered> {
        self.asked.set(true);
        self.objects.cursor(name)
    }
}
