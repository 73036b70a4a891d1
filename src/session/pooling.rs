//! Sessions that share upstream connections: when one borrows a connection, what keeps it there, and what it takes along.
//!
//! A connection is borrowed for the first message that needs one, and given back when upstream owes nothing, no transaction is open, and
//! nothing is left on it that cannot be carried. What could be left is known by the statements ([`super::leaves`]); where one may have left
//! something, upstream is asked at the end of its transaction (`pgusher.carry()`), and answers with the settings to take along and with
//! what keeps the session here: LISTEN, cursors WITH HOLD, prepared statements of SQL, advisory locks, temporary objects.
//!
//! Prepared statements of the protocol are known upstream by a hash of what they are, so that sessions share them, and are prepared on
//! another connection when they are bound there.

mod alone;
mod borrow;
mod settle;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;

use self::alone::{LIMITS, cannot_be_followed};
use super::expected::Expected;
use super::ground::Stop;
use super::leaves::Leaves;
use super::prepared::{Body, First, Prepared};
use super::run::Session;
use super::script::{Part, Script};
use crate::catalog::Temporaries;
use crate::error::Report;
use crate::error::session::{Refusal, SessionError};
use crate::sql::{Discard, Effect};
use crate::upstream::housekeeping::RESERVED;
use crate::upstream::{Aim, Attachment, Carried, Lease, Profile, Shared, Sharing};

/// A session's part in sharing.
pub(super) struct Pooling {
    sharing: Arc<Sharing>,
    profile: Profile,
    aim: Aim,
    /// The connection in hand but for its bytes, which are the exchange's link.
    lease: Option<Box<Lease>>,
    /// One that is there, and has yet to be made the session's.
    offered: Option<Box<Shared>>,
    /// The settings that the session has set.
    carried: Carried,
    /// `application_name` as it was given at startup.
    application: Option<String>,
    /// Upstream is to be asked what is on the connection before that is given back.
    unsettled: bool,
    /// What keeps the session on its connection, as upstream said.
    kept: Vec<String>,
    /// The session goes by what it has drawn from sequences.
    sequences: bool,
    /// A statement was sent that has upstream forget, and has not said that it did.
    forgetting: bool,
    /// What the session asked for at startup that cannot be shared.
    alone: Option<&'static str>,
    /// The last statement's time limit leaves no time to ask upstream what is on its connection.
    hasty: bool,
    /// The search path that the last connection had of itself.
    path: Arc<str>,
    /// Prepared statements that upstream has under the client's names.
    direct: HashSet<Box<str>>,
    /// The unnamed prepared statement that upstream has.
    unnamed: Option<Arc<Prepared>>,
    /// Names upstream of statements whose Parse is on its way, and the batch that it is of.
    pending: HashMap<Arc<str>, u64>,
    /// What the carried settings are, but for the application's name; nothing: those of the startup.
    settings: Option<[u8; 32]>,
    /// The session's settings may be others than are known: its statements are nobody else's for now. A number that is used once.
    strange: Option<u64>,
    /// How often they were.
    strangeness: u64,
}

/// The startup settings that make a connection, and the name of the application, which is set on it.
pub(super) fn profile(parameters: &BTreeMap<String, String>) -> (Profile, Option<String>) {
    let mut profile = super::settings::given(parameters);
    let application = profile.remove(APPLICATION_NAME);
    (Arc::new(profile), application)
}

impl Pooling {
    /// A session that has no connection in hand.
    pub(super) fn new(sharing: Arc<Sharing>, aim: Aim, profile: Profile, application: Option<String>) -> Self {
        let alone = LIMITS.into_iter().find(|name| profile.get(*name).is_some_and(|value| cannot_be_followed(name, value)));
        let carried = application.iter().map(|name| (APPLICATION_NAME.to_owned(), name.clone())).collect();
        Self {
            sharing,
            profile,
            aim,
            lease: None,
            offered: None,
            carried: Arc::new(carried),
            application,
            unsettled: false,
            kept: Vec::new(),
            sequences: false,
            forgetting: false,
            alone,
            hasty: false,
            path: Arc::default(),
            direct: HashSet::new(),
            unnamed: None,
            pending: HashMap::new(),
            settings: None,
            strange: None,
            strangeness: 0,
        }
    }

    /// The settings that go with the session.
    pub(super) fn carried(&self) -> &Carried {
        &self.carried
    }

    fn note(&mut self, leaves: Leaves, forgetful: bool) {
        self.unsettled |= leaves.asks;
        if leaves.asks || leaves.sets {
            self.strangeness += 1;
            self.strange = Some(self.strangeness);
        }
        self.sequences |= leaves.sequences;
        if let Some(lease) = &mut self.lease {
            lease.trace.shaken |= leaves.shakes;
            lease.trace.spoiled |= leaves.shakes && !forgetful;
            lease.trace.wrote |= leaves.writes || leaves.sequences || leaves.asks;
        }
    }

    /// The session's first connection has this search path of itself.
    pub(super) fn begins_by(&mut self, path: Arc<str>) {
        self.path = path;
    }

    fn is_kept(&self) -> bool {
        self.alone.is_some() || self.sequences || !self.kept.is_empty() || !self.direct.is_empty()
    }

    /// Upstream has skipped what was on its way.
    pub(super) fn skipped(&mut self) {
        self.unnamed = None;
    }

    /// Upstream has forgotten all prepared statements.
    fn forget_statements(&mut self) {
        self.direct.clear();
        self.unnamed = None;
        if let Some(lease) = &mut self.lease {
            lease.trace.forget_statements();
        }
    }

    /// Upstream may have forgotten statements, or what was drawn from sequences.
    fn may_have_forgotten(&mut self) {
        self.unnamed = None;
        if let Some(lease) = &mut self.lease {
            lease.trace.may_forget();
        }
    }

    /// DISCARD has taken something away.
    pub(super) fn discarded(&mut self, discard: Discard) {
        self.forgetting &= !matches!(discard, Discard::All | Discard::Sequences);
        match discard {
            Discard::All => {
                self.forget_statements();
                self.sequences = false;
                if let Some(lease) = &mut self.lease {
                    lease.trace.discarded();
                }
            }
            Discard::Sequences => {
                self.sequences = false;
                if let Some(lease) = &mut self.lease {
                    lease.trace.discarded_sequences();
                }
            }
            Discard::Temporary | Discard::Plans => {}
        }
    }

    /// DEALLOCATE.
    pub(super) fn deallocated(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.direct.remove(name);
            }
            None => {
                self.forgetting = false;
                self.forget_statements();
            }
        }
    }

    /// Whether the connection in hand has the session's very identity.
    pub(super) fn is_by(&self, own: &Attachment) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.trace.is_by(own))
    }

    /// The connection in hand is about to be given another identity.
    pub(super) fn in_doubt(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.trace.detach();
        }
    }

    /// The session's identity was given to the connection in hand once more.
    pub(super) fn attached(&mut self, by: &Arc<Attachment>) {
        if let Some(lease) = &mut self.lease {
            lease.trace.attach(by);
        }
    }
}

impl Session {
    /// Takes note of what a script may leave behind, before it is sent.
    pub(super) fn will_leave(&mut self, script: &Script) {
        let Some(pooling) = &mut self.pooling else { return };
        pooling.hasty = false;
        for part in &script.parts {
            let (code, indirect) = part.behind.found(&part.rewritten, &self.footing);
            let Leaves { asks, shakes, writes, sequences, sets } = part.leaves;
            let leaves = Leaves { asks: asks || code, shakes: shakes || code, writes: writes || indirect, sequences, sets };
            pooling.note(leaves, self.footing.catalog.is_forgetful());
            if has_upstream_forget(part.rewritten.effect()) {
                pooling.forgetting = true;
                pooling.may_have_forgotten();
            }
        }
    }

    /// A Query is about to be sent, with which upstream drops the unnamed prepared statement.
    pub(super) fn unnamed_gone(&mut self) {
        if let Some(pooling) = &mut self.pooling {
            pooling.unnamed = None;
        }
    }

    /// How the session has its connection, for SHOW SESSION.
    pub(super) fn has_its_connection(&self) -> String {
        let Some(pooling) = &self.pooling else { return "session".to_owned() };
        let mut kept: Vec<&str> = pooling.kept.iter().map(String::as_str).collect();
        kept.extend(pooling.alone);
        kept.extend(pooling.sequences.then_some("a sequence"));
        kept.extend((!pooling.direct.is_empty()).then_some("a prepared statement"));
        if kept.is_empty() { "transaction".to_owned() } else { format!("transaction, kept by {}", kept.join(", ")) }
    }

    /// Whether it has no connection at the moment.
    pub(super) fn is_parked(&self) -> bool {
        self.pooling.as_ref().is_some_and(|pooling| pooling.lease.is_none())
    }

    /// Whether prepared statements have other names upstream than the client gave them.
    pub(super) fn renames(&self) -> bool {
        self.pooling.is_some()
    }

    /// What a prepared statement of the client is called upstream, where it is called otherwise; `None`: as the client calls it.
    pub(super) fn name_upstream(&self, name: &str, prepared: &Prepared) -> Option<Arc<str>> {
        let first = &prepared.first;
        let pooling = self.pooling.as_ref()?;
        if name.is_empty() || pooling.direct.contains(name) {
            return None;
        }
        match &prepared.body {
            Body::Sql(script) => Some(self.hashed(first, script.parts.first(), &prepared.types)),
            Body::Empty => Some(self.hashed(first, None, &prepared.types)),
            Body::SqlPrepare(_) | Body::Governance(_) => None,
        }
    }

    /// What the client calls a prepared statement that is called so upstream: the one that is being bound, if it is that.
    pub(super) fn called_by_client(&self, known: &str) -> Option<String> {
        let called =
            |name: &str, prepared: &Arc<Prepared>| self.name_upstream(name, prepared).is_some_and(|called| &*called == known);
        self.names.name_of(called).map(str::to_owned)
    }

    /// A name that says what a statement is: sessions that mean the same share it.
    fn hashed(&self, first: &First, part: Option<&Part>, types: &[u8]) -> Arc<str> {
        let (catalog, policies) = first.versions;
        let make = || {
            let mut hash = Sha256::new();
            hash.update(first.settings.unwrap_or_default());
            hash.update(catalog.to_be_bytes());
            hash.update(policies.to_be_bytes());
            for schema in &self.path.current().schemas {
                hash.update(schema.as_str());
                hash.update([0]);
            }
            hash.update([0]);
            hash.update((types.len() as u64).to_be_bytes());
            hash.update(types);
            hash.update(part.map_or("", |part| part.rewritten.text()));
            let digest = hex::encode(hash.finalize().get(..20).unwrap_or_default());
            Arc::from(format!("{RESERVED}{digest}"))
        };
        match part {
            Some(part) if types.is_empty() && first.settings.is_none() && first.versions == self.footing.versions() => {
                part.name.get_or_init(make).clone()
            }
            Some(_) | None => make(),
        }
    }

    /// Whether upstream has, or will have, a statement of this name.
    pub(super) fn has_upstream(&mut self, name: &str) -> bool {
        let Some(pooling) = &mut self.pooling else { return true };
        pooling.pending.contains_key(name) || pooling.lease.as_mut().is_some_and(|lease| lease.trace.has(name))
    }

    /// Sends the Parse of a statement, under the name that it is known by upstream or else the client's; what is then expected. `shown`: it
    /// is the client's own.
    pub(super) fn send_parse(&mut self, name: &str, known: Option<Arc<str>>, prepared: &Arc<Prepared>, shown: bool) -> Expected {
        let script = prepared.script().cloned();
        let sent = known.as_deref().unwrap_or(name);
        let doubtful =
            self.pooling.as_ref().and_then(|pooling| pooling.lease.as_ref()).is_some_and(|lease| lease.trace.is_doubtful());
        if doubtful && known.is_some() {
            self.exchange.link.close(sent);
            self.expected.push_back(Expected::Close { shown: false, of: None });
        }
        match script.as_ref().and_then(|script| script.parts.first()) {
            Some(part) => self.exchange.link.parse(sent, &part.rewritten, &prepared.types),
            None => self.exchange.link.parse_empty(sent, &prepared.types),
        }
        match (&mut self.pooling, &known) {
            (Some(pooling), Some(known)) => {
                pooling.pending.insert(known.clone(), self.names.batch());
            }
            (Some(pooling), None) => pooling.unnamed = Some(prepared.clone()),
            (None, _) => {}
        }
        Expected::Parse { script: script.map(|script| (script, 0)), shown, name: known }
    }

    /// Upstream has prepared a statement under a name of ours.
    pub(super) fn parse_confirmed(&mut self, name: Arc<str>) {
        let Some(pooling) = &mut self.pooling else { return };
        pooling.pending.remove(&name);
        if let Some(lease) = &mut pooling.lease {
            lease.trace.prepared(name);
        }
    }

    /// Upstream has skipped a Parse.
    pub(super) fn parse_skipped(&mut self, name: Option<&Arc<str>>) {
        if let (Some(pooling), Some(name)) = (&mut self.pooling, name) {
            pooling.pending.remove(name);
        }
    }

    /// Waits for a statement that an earlier batch prepares: whether that goes well is open. In the same batch it need not be known, for
    /// upstream skips the rest of a batch that failed.
    pub(super) async fn await_pending(&mut self, name: &str) -> Result<(), Stop> {
        let batch = self.pooling.as_ref().and_then(|pooling| pooling.pending.get(name).copied());
        if batch.is_some_and(|batch| batch != self.names.batch()) {
            self.quiesce_or_skip().await?;
        }
        Ok(())
    }

    /// Makes sure that upstream has a statement before it is bound or described; what it is called there. `None`: as the client calls it.
    pub(super) async fn bring_upstream(&mut self, name: &str, prepared: &Arc<Prepared>) -> Result<Option<Arc<str>>, Stop> {
        let known = self.name_upstream(name, prepared);
        if let Some(known) = &known {
            self.await_pending(known).await?;
        }
        let Some(pooling) = &self.pooling else { return Ok(None) };
        let unnamed = pooling.unnamed.as_ref().is_some_and(|unnamed| Arc::ptr_eq(unnamed, prepared));
        let there = match &known {
            Some(known) => self.has_upstream(known),
            None => !name.is_empty() || matches!(prepared.body, Body::Governance(_) | Body::SqlPrepare(_)) || unnamed,
        };
        if !there {
            let expected = self.send_parse("", known.clone(), prepared, false);
            self.expected.push_back(expected);
            if let Some(known) = &known
                && prepared.first.columns.get().is_some()
                && prepared.first.versions.0 != self.footing.versions().0
            {
                Box::pin(self.compare(known, prepared)).await?;
            }
        }
        Ok(known)
    }

    /// A statement that was prepared before the catalog changed, and is prepared on another connection now: PostgreSQL, which refuses one
    /// whose columns have become others, has no memory of it there.
    async fn compare(&mut self, known: &str, prepared: &Prepared) -> Result<(), Stop> {
        self.exchange.link.describe(known);
        self.sent(Expected::Describe { rows_only: true, of: Some(prepared.first.clone()), shown: false });
        self.quiesce_or_skip().await?;
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        if let Some(lease) = self.pooling.as_mut().and_then(|pooling| pooling.lease.as_mut()) {
            lease.trace.forget(known);
        }
        self.exchange.link.close(known);
        self.expected.push_back(Expected::Close { shown: false, of: None });
        let report = Report::error(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type");
        Err(Refusal::Told(Box::new(report)).into())
    }

    /// What a prepared statement is called upstream, if it is there and nothing is open about that; `None` inside: as the client calls it.
    pub(super) fn known_at_once(&mut self, name: &str, prepared: &Arc<Prepared>) -> Option<Option<Arc<str>>> {
        let known = self.name_upstream(name, prepared);
        let Some(pooling) = &mut self.pooling else { return Some(None) };
        let there = match &known {
            Some(known) => {
                let pending = pooling.pending.get(known).is_some_and(|batch| *batch == self.names.batch());
                pending
                    || (!pooling.pending.contains_key(known) && pooling.lease.as_mut().is_some_and(|lease| lease.trace.has(known)))
            }
            None => !name.is_empty() || pooling.unnamed.as_ref().is_some_and(|unnamed| Arc::ptr_eq(unnamed, prepared)),
        };
        there.then_some(known)
    }

    /// What is so for a statement that is being prepared.
    pub(super) fn first(&self) -> Arc<First> {
        // A type may be the session's own, too: that of a temporary table's rows.
        let own = (*self.temporaries != Temporaries::default()).then_some(0);
        let settings = self.pooling.as_ref().and_then(|pooling| match pooling.strange.or(own) {
            Some(number) => {
                let mut hash = Sha256::new();
                hash.update(self.who.attachment.slot.to_be_bytes());
                hash.update(number.to_be_bytes());
                Some(hash.finalize().into())
            }
            None => pooling.settings,
        });
        Arc::new(First { versions: self.footing.versions(), settings, ..First::default() })
    }

    /// Closes statements upstream that are too many.
    async fn make_room(&mut self) -> Result<(), SessionError> {
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        let most = pooling.sharing.statements();
        let surplus = pooling.lease.as_mut().map(|lease| lease.trace.surplus(most)).unwrap_or_default();
        for name in surplus {
            self.exchange.link.close(&name);
            self.expected.push_back(Expected::Close { shown: false, of: None });
        }
        self.send_sync(false);
        self.quiesce().await
    }

    /// Has upstream know a statement by the client's name, for SQL that names it; it then keeps the session on its connection.
    pub(super) async fn bring_by_name(&mut self, name: &str) -> Result<(), Stop> {
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        if pooling.direct.contains(name) {
            return Ok(());
        }
        let Some(prepared) = self.names.prepared(name).cloned() else { return Ok(()) };
        let Body::Sql(script) = &prepared.body else { return Ok(()) };
        pooling.direct.insert(name.into());
        self.prepare_again(name, &prepared, script).await
    }

    /// Whether upstream knows a statement by the client's name, so that its Close must go there.
    pub(super) fn closes_upstream(&mut self, name: &str, prepared: Option<&Prepared>) -> bool {
        let Some(pooling) = &mut self.pooling else { return true };
        let own = matches!(prepared.map(|prepared| &prepared.body), Some(Body::SqlPrepare(_)));
        let there = pooling.direct.remove(name) || own;
        pooling.unsettled |= there;
        there
    }
}

/// Whether a statement has upstream forget prepared statements, or what was drawn from sequences (and with that who is there): at once, and
/// whatever becomes of its transaction.
pub(super) fn has_upstream_forget(effect: &Effect) -> bool {
    matches!(effect, Effect::Deallocate { name: None } | Effect::Discard(Discard::All | Discard::Sequences))
}

/// What settings are, but for the application's name, by which nothing is read.
fn digest(settings: &BTreeMap<String, String>) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut any = false;
    for (name, value) in settings.iter().filter(|(name, _)| *name != APPLICATION_NAME) {
        any = true;
        for text in [name, value] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
    }
    any.then(|| hash.finalize().into())
}

const READ_ONLY: &str = "default_transaction_read_only";

const STATEMENT_TIMEOUT: &str = "statement_timeout";

pub(super) const APPLICATION_NAME: &str = "application_name";
