//! What the client's statements refer to by name: prepared statements, portals, cursors.
//!
//! Prepared statements made by Parse and by SQL PREPARE share one name space, as in PostgreSQL, and are entered when upstream
//! confirms them; until then they wait in the order of their Parse messages, where the rest of a pipeline already finds them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::script::{Objects, Script};
use crate::event::Parameters;
use crate::governance::Command;
use crate::name::Name;
use crate::policy::Oid;
use crate::sql::{Remembered, SessionObjects, Touched};

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The client's text: of the statement, or of the PREPARE.
    pub(super) text: Arc<str>,
    /// The count and oids of its Parse.
    pub(super) types: Bytes,
    /// What it is.
    pub(super) body: Body,
    /// The epoch it was analysed in.
    pub(super) epoch: u64,
    /// What was so when the client prepared it.
    pub(super) first: Arc<First>,
}

/// What was so when the client prepared a statement; it stays when the statement is analysed again.
#[derive(Debug, Default)]
pub(super) struct First {
    /// The versions of catalog and policies.
    pub(super) versions: (u64, i64),
    /// The settings by which constants in it were read, in a hash; nothing: those of the startup.
    pub(super) settings: Option<[u8; 32]>,
    /// The result's columns that the client was told, in a hash.
    pub(super) columns: OnceLock<[u8; 32]>,
}

/// What a prepared statement is.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A statement that upstream holds under the same name.
    Sql(Arc<Script>),
    /// The same, made by SQL PREPARE: the script is that of the PREPARE, and what is executed is the query inside.
    SqlPrepare(Arc<Script>),
    /// Nothing.
    Empty,
    /// A governance command, which upstream does not hold.
    Governance(Arc<Command>),
}

/// A portal.
#[derive(Clone, Debug)]
pub(super) struct Portal {
    /// The statement bound.
    pub(super) prepared: Arc<Prepared>,
    /// The values of its parameters, where records hold them.
    pub(super) parameters: Option<Parameters>,
    /// Which batch made it.
    batch: u64,
    /// It was executed by way of statements of ours.
    run: bool,
}

/// A cursor made by DECLARE.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    /// Its DECLARE.
    pub(super) script: Arc<Script>,
    /// Which of the script's statements that is.
    pub(super) part: usize,
    /// The epoch it was analysed in.
    pub(super) epoch: u64,
    hold: bool,
}

/// Something that upstream has yet to confirm.
#[derive(Debug)]
struct Waiting<T> {
    name: Box<str>,
    what: T,
    /// Which batch made it.
    batch: u64,
}

/// What waits under a name, the latest if several do.
fn waiting<'a, T>(pending: &'a VecDeque<Waiting<T>>, name: &str) -> Option<&'a Waiting<T>> {
    // Comparing empty texts is a hundred nanoseconds on some CPUs: a masked load at an address that is none.
    pending.iter().rev().find(|waiting| waiting.name.len() == name.len() && (name.is_empty() || &*waiting.name == name))
}

/// Everything with a name.
#[derive(Debug, Default)]
pub(super) struct Names {
    unnamed: Option<Arc<Prepared>>,
    named: HashMap<Box<str>, Arc<Prepared>>,
    pending: VecDeque<Waiting<Arc<Prepared>>>,
    unnamed_portal: Option<Portal>,
    portals: HashMap<Box<str>, Portal>,
    pending_portals: VecDeque<Waiting<Portal>>,
    cursors: HashMap<Name, Cursor>,
    /// Cursors that upstream holds and that end with the transaction: what the client did not make, a function did. What such a
    /// cursor reads is the function's doing, as rows that it returns would be.
    opened: HashSet<Name>,
    /// The policies have moved on since the transaction began.
    overtaken: bool,
    /// Counts Syncs.
    batch: u64,
}

impl Names {
    /// A prepared statement, confirmed or on its way.
    pub(super) fn prepared(&self, name: &str) -> Option<&Arc<Prepared>> {
        match waiting(&self.pending, name) {
            Some(waiting) => Some(&waiting.what),
            None if name.is_empty() => self.unnamed.as_ref(),
            None => self.named.get(name),
        }
    }

    /// The name of a prepared statement of this kind; that of the next portal to be confirmed, if it is of this kind.
    pub(super) fn name_of(&self, kind: impl Fn(&str, &Arc<Prepared>) -> bool) -> Option<&str> {
        let bound = self.pending_portals.front().map(|portal| &portal.what.prepared);
        let waiting = self.pending.iter().map(|waiting| (&*waiting.name, &waiting.what));
        let named = self.named.iter().map(|(name, prepared)| (&**name, prepared));
        let of_kind = waiting.chain(named).filter(|(name, prepared)| kind(name, prepared));
        of_kind.max_by_key(|(_, prepared)| bound.is_some_and(|bound| Arc::ptr_eq(bound, prepared))).map(|(name, _)| name)
    }

    /// Whether upstream has yet to confirm the statement of this name.
    pub(super) fn is_waiting(&self, name: &str) -> bool {
        waiting(&self.pending, name).is_some()
    }

    /// Whether what a name means is open: an earlier batch gave it away, and upstream has not said whether that went well. In
    /// the same batch it need not be known, for upstream skips the rest of a batch that failed.
    pub(super) fn is_open(&self, name: &str) -> bool {
        let earlier = waiting(&self.pending, name).is_some_and(|waiting| waiting.batch != self.batch);
        // A name that nothing else has means what was given away, or nothing.
        let contested = || {
            name.is_empty()
                || self.named.contains_key(name)
                || self.pending.iter().filter(|waiting| &*waiting.name == name).count() > 1
        };
        earlier && contested()
    }

    /// The same of the name of a portal.
    pub(super) fn is_portal_open(&self, name: &str) -> bool {
        waiting(&self.pending_portals, name).is_some_and(|waiting| waiting.batch != self.batch)
    }

    /// Whether upstream has yet to confirm a portal of this name.
    pub(super) fn is_portal_waiting(&self, name: &str) -> bool {
        waiting(&self.pending_portals, name).is_some()
    }

    /// A Parse went upstream: its statement waits for ParseComplete.
    pub(super) fn expect(&mut self, name: &str, prepared: Arc<Prepared>) {
        if name.is_empty() {
            self.unnamed = None;
        }
        self.pending.push_back(Waiting { name: name.into(), what: prepared, batch: self.batch });
    }

    /// The oldest statement that waits was confirmed.
    pub(super) fn confirm(&mut self) {
        if let Some(Waiting { name, what, batch: _ }) = self.pending.pop_front() {
            self.enter(name, what);
        }
    }

    /// The oldest statement that waits will never be confirmed.
    pub(super) fn give_up(&mut self) {
        self.pending.pop_front();
    }

    /// Enters or replaces a prepared statement that upstream holds.
    pub(super) fn enter(&mut self, name: Box<str>, prepared: Arc<Prepared>) {
        if name.is_empty() {
            self.unnamed = Some(prepared);
        } else {
            self.named.insert(name, prepared);
        }
    }

    /// Close, DEALLOCATE.
    pub(super) fn forget(&mut self, name: &str) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(name);
        }
    }

    /// DEALLOCATE ALL: the unnamed statement goes with the named ones; governance commands are ours to forget.
    pub(super) fn forget_all(&mut self) {
        self.unnamed = None;
        self.named.clear();
    }

    /// Bind, which went upstream: its portal waits for BindComplete. Until then the name may be that of another one.
    pub(super) fn expect_portal(&mut self, portal: &str, prepared: Arc<Prepared>, parameters: Option<Parameters>) {
        let bound = Portal { prepared, parameters, batch: self.batch, run: false };
        self.pending_portals.push_back(Waiting { name: portal.into(), what: bound, batch: self.batch });
    }

    /// The oldest portal that waits was confirmed.
    pub(super) fn confirm_portal(&mut self) {
        if let Some(Waiting { name, what, batch: _ }) = self.pending_portals.pop_front() {
            self.enter_portal(&name, what);
        }
    }

    /// The oldest portal that waits will never be confirmed.
    pub(super) fn give_up_portal(&mut self) {
        self.pending_portals.pop_front();
    }

    /// Bind, of what upstream does not hold.
    pub(super) fn bind(&mut self, portal: &str, prepared: Arc<Prepared>) {
        let batch = self.batch;
        self.enter_portal(portal, Portal { prepared, parameters: None, batch, run: false });
    }

    /// A name is that of one portal: a cursor that had it is gone.
    fn enter_portal(&mut self, name: &str, portal: Portal) {
        if name.is_empty() {
            self.unnamed_portal = Some(portal);
        } else {
            self.cursors.remove(name);
            self.portals.insert(name.into(), portal);
        }
    }

    /// A portal made by Bind.
    pub(super) fn portal(&self, name: &str) -> Option<&Portal> {
        match waiting(&self.pending_portals, name) {
            Some(waiting) => Some(&waiting.what),
            None if name.is_empty() => self.unnamed_portal.as_ref(),
            None => self.portals.get(name),
        }
    }

    /// A portal is run by way of statements of ours, which is done once; whether it was before.
    pub(super) fn runs_once(&mut self, name: &str) -> bool {
        let portal = if name.is_empty() { self.unnamed_portal.as_mut() } else { self.portals.get_mut(name) };
        portal.is_some_and(|portal| std::mem::replace(&mut portal.run, true))
    }

    /// Close of a portal; also a cursor's.
    pub(super) fn close_portal(&mut self, name: &str) {
        if name.is_empty() {
            self.unnamed_portal = None;
        } else {
            self.portals.remove(name);
            self.cursors.remove(name);
            self.opened.remove(name);
        }
    }

    /// The cursors that upstream holds and that end with the transaction. What was declared and is not among them has ended before it.
    pub(super) fn found(&mut self, cursors: Vec<Name>) {
        self.opened = cursors.into_iter().collect();
        self.cursors.retain(|name, cursor| cursor.hold || self.opened.contains(name));
    }

    /// Whether a cursor is declared that ends with the transaction, if not before.
    pub(super) fn has_cursors(&self) -> bool {
        self.cursors.values().any(|cursor| !cursor.hold)
    }

    /// The policies moved on while a transaction is open.
    pub(super) fn overtake(&mut self) {
        self.overtaken = true;
    }

    /// Whether a function opened a cursor of this name, and what it may read may have been decided anew: its statement is not known.
    pub(super) fn is_overtaken(&self, name: &str) -> bool {
        self.overtaken && self.opened.contains(name)
    }

    /// DECLARE. A portal that had the name is gone.
    pub(super) fn declare(&mut self, name: Name, script: Arc<Script>, part: usize, epoch: u64, hold: bool) {
        self.portals.remove(name.as_str());
        self.cursors.insert(name, Cursor { script, part, epoch, hold });
    }

    /// A cursor made by DECLARE.
    pub(super) fn declared(&self, name: &str) -> Option<&Cursor> {
        self.cursors.get(name)
    }

    /// The statement behind a cursor was analysed again and is the same.
    pub(super) fn renew_cursor(&mut self, name: &str, epoch: u64) {
        if let Some(cursor) = self.cursors.get_mut(name) {
            cursor.epoch = epoch;
        }
    }

    /// CLOSE ALL.
    pub(super) fn close_cursors(&mut self) {
        self.cursors.clear();
        self.portals.clear();
        self.opened.clear();
    }

    /// Cursors with hold keep the rows that they were filled with: those over these relations are not read any more.
    pub(super) fn close_held(&mut self, over: &HashSet<Oid>) {
        let reads = |cursor: &Cursor| {
            let part = cursor.script.parts.get(cursor.part);
            part.is_none_or(|part| {
                let needed = part.rewritten.remembered().requirements;
                needed.iter().filter_map(|need| need.securable.relation()).any(|oid| over.contains(&oid))
            })
        };
        self.cursors.retain(|_, cursor| !cursor.hold || !reads(cursor));
    }

    /// The number of the batch that is being taken.
    pub(super) fn batch(&self) -> u64 {
        self.batch
    }

    /// A Sync was sent.
    pub(super) fn next_batch(&mut self) {
        self.batch += 1;
    }

    /// A transaction ended at the Sync of a batch; a later batch of the pipeline may already have bound portals of its own.
    pub(super) fn transaction_ended(&mut self, batches_in_flight: u64) {
        let ended = self.batch.saturating_sub(batches_in_flight);
        self.unnamed_portal.take_if(|portal| portal.batch < ended);
        if !self.portals.is_empty() {
            self.portals.retain(|_, portal| portal.batch >= ended);
        }
        if !self.cursors.is_empty() {
            self.cursors.retain(|_, cursor| cursor.hold);
        }
        self.opened.clear();
        self.overtaken = false;
    }

    /// Whether something here is upstream on the session's own connection, and lasts beyond a transaction.
    pub(super) fn keeps_connection(&self) -> bool {
        let by_sql = |prepared: &Arc<Prepared>| matches!(prepared.body, Body::SqlPrepare(_));
        self.cursors.values().any(|cursor| cursor.hold) || self.named.values().any(by_sql)
    }

    /// A copy for an analysis elsewhere.
    pub(super) fn objects(&self) -> Objects {
        let names = self.named.keys().map(|name| &**name).chain([""]);
        Objects {
            prepared: names.filter_map(|name| Some((Box::from(name), SessionObjects::prepared(self, name)?))).collect(),
            cursors: self
                .cursors
                .keys()
                .cloned()
                .chain(self.portals.keys().map(|name| Name::exact(name)))
                .chain(self.opened.iter().cloned())
                .filter_map(|name| SessionObjects::cursor(self, name.as_str()).map(|found| (name, found)))
                .collect(),
        }
    }
}

impl Prepared {
    /// Whether it runs or explains another prepared statement, or reads a cursor: what it needs changes with those.
    pub(super) fn refers(&self) -> bool {
        match &self.body {
            Body::Sql(script) => script.refers(),
            Body::SqlPrepare(_) | Body::Empty | Body::Governance(_) => false,
        }
    }

    fn remembered(&self) -> Option<Remembered> {
        match &self.body {
            Body::Sql(script) | Body::SqlPrepare(script) => script.parts.first().map(|part| part.rewritten.remembered()),
            Body::Empty | Body::Governance(_) => None,
        }
    }

    /// What upstream runs for it, when that is SQL.
    pub(super) fn script(&self) -> Option<&Arc<Script>> {
        match &self.body {
            Body::Sql(script) | Body::SqlPrepare(script) => Some(script),
            Body::Empty | Body::Governance(_) => None,
        }
    }
}

impl SessionObjects for Names {
    fn prepared(&self, name: &str) -> Option<Remembered> {
        Names::prepared(self, name)?.remembered()
    }

    fn cursor(&self, name: &str) -> Option<Remembered> {
        match self.cursors.get(name) {
            Some(cursor) => cursor.script.parts.get(cursor.part).map(|part| part.rewritten.remembered()),
            None => match self.portal(name) {
                Some(portal) => portal.prepared.remembered(),
                None => self.opened.contains(name).then(|| Remembered { requirements: Arc::from([]), touched: EVERYTHING }),
            },
        }
    }
}

/// A function may read what it likes.
const EVERYTHING: Touched = Touched { filtered: true, masked: true };

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Arc<Prepared> {
        Arc::new(Prepared { text: Arc::from(""), types: Bytes::new(), body: Body::Empty, epoch: 0, first: Arc::default() })
    }

    #[test]
    fn a_statement_is_found_while_it_waits_and_entered_when_confirmed() {
        let mut names = Names::default();
        names.expect("s", empty());
        assert!(names.prepared("s").is_some());
        names.give_up();
        assert!(names.prepared("s").is_none());
        names.expect("s", empty());
        names.confirm();
        assert!(names.prepared("s").is_some());
        names.forget("s");
        assert!(names.prepared("s").is_none());
    }

    #[test]
    fn a_new_unnamed_statement_drops_the_old_one_even_when_it_fails() {
        let mut names = Names::default();
        names.enter("".into(), empty());
        names.expect("", empty());
        names.give_up();
        assert!(names.prepared("").is_none());
    }

    #[test]
    fn portals_of_a_later_batch_survive_the_end_of_an_earlier_one() {
        let mut names = Names::default();
        for name in ["a", ""] {
            names.bind(name, empty());
        }
        names.next_batch();
        names.bind("b", empty());
        names.transaction_ended(0);
        assert!(names.portal("a").is_none() && names.portal("").is_none());
        assert!(names.portal("b").is_some());
        names.bind("", empty());
        names.transaction_ended(0);
        assert!(names.portal("").is_some());
    }
}
