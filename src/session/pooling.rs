//! Sessions that share upstream connections: when one borrows a connection, what keeps it there, and what it takes along.
//!
//! A connection is borrowed for the first message that needs one, and given back when upstream owes nothing, no transaction is open, and
//! nothing is left on it that cannot be carried. What could be left is known by the statements ([`Leaves`]); where one may have left
//! something, upstream is asked at the end of its transaction (`pgusher.carry()`), and answers with the settings to take along and with
//! what keeps the session here: LISTEN, cursors WITH HOLD, prepared statements of SQL, advisory locks, temporary objects.
//!
//! Prepared statements of the protocol are known upstream by a hash of what they are, so that sessions share them, and are prepared on
//! another connection when they are bound there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;

use super::expected::Expected;
use super::ground::Stop;
use super::prepared::{Body, First, Prepared};
use super::run::{Rest, Session};
use super::script::{Part, Script, contains_folded};
use super::state::State;
use crate::catalog::Temporaries;
use crate::catalog::load::Look;
use crate::error::session::{Refusal, SessionError};
use crate::error::{Report, Severity};
use crate::policy::{Privilege, Requirement};
use crate::sql::{Discard, Effect, Rewritten, StatementKind};
use crate::upstream::housekeeping::{Housekeeping, RESERVED};
use crate::upstream::send::Link;
use crate::upstream::{Aim, Carried, Lease, Next, Profile, Shared, Sharing, Taker, UpstreamError};
use crate::wire::backend::Status;

/// What a statement may leave on its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaves {
    /// Upstream is to be asked what is there when its transaction ends.
    asks: bool,
    /// Code that is not PostgreSQL's own may have left anything behind.
    shakes: bool,
    /// It writes: triggers and defaults may have drawn from sequences.
    writes: bool,
    /// It draws from sequences, or asks what was drawn.
    sequences: bool,
}

impl Leaves {
    /// What a statement may leave; `shakes`: it calls what is not PostgreSQL's own.
    pub(super) fn of(rewritten: &Rewritten, shakes: bool) -> Self {
        let text = rewritten.text();
        let says = |word| contains_folded(text, word);
        let shakes = shakes || matches!(rewritten.kind(), StatementKind::Do | StatementKind::Call);
        let requirements = rewritten.remembered().requirements;
        let reads = |need: &Requirement| matches!(need.privilege, Privilege::Select | Privilege::ReadMetadata);
        let (asks, unknown) = match rewritten.effect() {
            Effect::Set { local, .. } => (!local, false),
            Effect::Reset { .. } | Effect::Discard(_) | Effect::Temporary => (true, false),
            Effect::Notification => (rewritten.kind() != StatementKind::Notify, false),
            Effect::Prepare { .. } | Effect::Deallocate { .. } | Effect::Close { .. } => (true, false),
            Effect::Declare { hold, .. } => (*hold, false),
            // What it runs may be anything.
            Effect::Execute { .. } => (true, true),
            Effect::AsOwner(_) => (true, false),
            Effect::None
            | Effect::Transaction(_)
            | Effect::Show { .. }
            | Effect::Fetch { .. }
            | Effect::CopyOut
            | Effect::CopyIn
            | Effect::CopyInGoverned(_) => (false, false),
        };
        Self {
            asks: asks || shakes || unknown || says("advisory") || says("characteristics"),
            shakes: shakes || unknown,
            writes: !requirements.iter().all(reads) || matches!(rewritten.effect(), Effect::AsOwner(_)),
            sequences: ["nextval", "setval", "currval", "lastval", "setseed"].into_iter().any(says),
        }
    }
}

/// A session's part in sharing.
pub(super) struct Pooling {
    sharing: Arc<Sharing>,
    profile: Profile,
    aim: Aim,
    /// The connection in hand but for its bytes, which are the exchange's link.
    lease: Option<Lease>,
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
    /// Prepared statements that upstream has under the client's names.
    direct: HashSet<Box<str>>,
    /// The unnamed prepared statement that upstream has.
    unnamed: Option<Arc<Prepared>>,
    /// Names upstream of statements whose Parse is on its way.
    pending: HashSet<Arc<str>>,
    /// Names upstream of statements that have to go.
    crowded: Vec<Arc<str>>,
}

/// What upstream says is on a connection.
#[derive(Deserialize)]
struct Left {
    settings: BTreeMap<String, String>,
    kept: Vec<String>,
}

/// The startup settings that make a connection, and the name of the application, which is set on it.
pub(super) fn profile(parameters: &BTreeMap<String, String>) -> (Profile, Option<String>) {
    let mut profile = parameters.clone();
    // It is always the same.
    profile.remove("client_encoding");
    let application = profile.remove(APPLICATION_NAME);
    (Arc::new(profile), application)
}

impl Pooling {
    /// A session that has no connection in hand.
    pub(super) fn new(sharing: Arc<Sharing>, aim: Aim, profile: Profile, application: Option<String>) -> Self {
        let carried = application.iter().map(|name| (APPLICATION_NAME.to_owned(), name.clone())).collect();
        Self {
            sharing,
            profile,
            aim,
            lease: None,
            carried: Arc::new(carried),
            application,
            unsettled: false,
            kept: Vec::new(),
            sequences: false,
            direct: HashSet::new(),
            unnamed: None,
            pending: HashSet::new(),
            crowded: Vec::new(),
        }
    }

    fn note(&mut self, leaves: Leaves) {
        self.unsettled |= leaves.asks;
        self.sequences |= leaves.sequences;
        if let Some(lease) = &mut self.lease {
            lease.trace.shaken |= leaves.shakes;
            lease.trace.wrote |= leaves.writes || leaves.sequences || leaves.asks;
        }
    }

    fn is_kept(&self) -> bool {
        self.sequences || !self.kept.is_empty() || !self.direct.is_empty()
    }

    /// Upstream has skipped what was on its way.
    pub(super) fn skipped(&mut self) {
        self.unnamed = None;
        self.pending.clear();
    }

    /// Upstream has forgotten all prepared statements.
    fn forget_statements(&mut self) {
        self.direct.clear();
        self.unnamed = None;
        if let Some(lease) = &mut self.lease {
            lease.trace.forget_statements();
        }
    }

    /// DISCARD has taken something away.
    pub(super) fn discarded(&mut self, discard: Discard) {
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
            None => self.forget_statements(),
        }
    }

    /// The session's identity was given to the connection in hand once more.
    pub(super) fn attached(&mut self, slot: i64) {
        if let Some(lease) = &mut self.lease {
            lease.trace.attached = Some(slot);
        }
    }
}

impl Session {
    /// Takes note of what a script may leave behind, before it is sent.
    pub(super) fn will_leave(&mut self, script: &Script) {
        if let Some(pooling) = &mut self.pooling {
            script.parts.iter().for_each(|part| pooling.note(part.leaves));
        }
    }

    /// A Query is about to be sent, with which upstream drops the unnamed prepared statement.
    pub(super) fn unnamed_gone(&mut self) {
        if let Some(pooling) = &mut self.pooling {
            pooling.unnamed = None;
        }
    }

    /// Makes sure that there is a connection.
    pub(super) async fn borrow(&mut self) -> Result<(), Stop> {
        match &self.pooling {
            Some(pooling) if pooling.lease.is_none() => Box::pin(self.borrow_one()).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn borrow_one(&mut self) -> Result<(), Stop> {
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        let taker = Taker { slot: Some(self.who.slot), principal: self.who.principal, profile: &pooling.profile };
        let next = Next { slot: self.who.slot, principal: self.who.principal, token: &self.who.token, carried: &pooling.carried };
        let key = (**self.environment.key.load()).clone();
        let sharing = pooling.sharing.clone();
        let shared = pooling.aim.unless_canceled(async {
            loop {
                let mut shared = sharing.acquire(taker).await?;
                match shared.pass_to(next, &key).await {
                    Ok(()) => return Ok(shared),
                    // It was dead, and is gone now.
                    Err(UpstreamError::Lost(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        });
        let Shared { link, lease } = match shared.await {
            Some(Ok(shared)) => shared,
            Some(Err(UpstreamError::Closed)) => return Err(SessionError::Draining.into()),
            Some(Err(error)) => {
                let report = Report { severity: Severity::Error, ..Report::from(&error) };
                return Err(Refusal::Told(Box::new(report)).into());
            }
            None => {
                let report = Report::error(SqlState::QUERY_CANCELED, "canceling statement due to user request");
                return Err(Refusal::Told(Box::new(report)).into());
            }
        };
        pooling.aim.at(lease.process_id, lease.secret_key.clone()).await;
        self.who.process_id = lease.process_id;
        self.exchange.link = link;
        pooling.lease = Some(lease);
        pooling.skipped();
        Ok(())
    }

    /// Gives the connection back, if there is one and nothing keeps it here.
    pub(super) async fn give_back(&mut self) -> Result<(), SessionError> {
        let Some(pooling) = &self.pooling else { return Ok(()) };
        if pooling.lease.is_none() || !self.is_between() {
            return Ok(());
        }
        if pooling.unsettled || self.path.uncertain() {
            Box::pin(self.settle_up()).await?;
        } else if !pooling.crowded.is_empty() {
            Box::pin(self.make_room()).await?;
        }
        let Some(pooling) = &self.pooling else { return Ok(()) };
        if pooling.is_kept() || self.names.keeps_connection() || !self.exchange.link.is_quiet() {
            return Ok(());
        }
        // There are none any more, but they had a schema here.
        if *self.temporaries != Temporaries::default() {
            self.forget_temporaries();
            self.epoch += 1;
        }
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        pooling.aim.nowhere().await;
        if let Some(lease) = pooling.lease.take() {
            let link = std::mem::replace(&mut self.exchange.link, Link::parked());
            pooling.sharing.release(Shared { link, lease });
        }
        Ok(())
    }

    /// Whether no transaction is open and nothing is under way.
    fn is_between(&self) -> bool {
        matches!(self.state, State::Ready)
            && self.status == Status::Idle
            && !(self.block || self.skipping || self.unsynced || self.detached || self.unpublished || self.dirty || self.private)
            && self.expected.is_empty()
            && self.held_ready.is_none()
            && self.held_complete.is_empty()
            && self.instead.is_none()
            && self.upstream_rest == Rest::None
            && self.client_rest == Rest::None
            && self.exchange.link.is_quiet()
    }

    /// Asks upstream what is on the connection.
    async fn settle_up(&mut self) -> Result<(), SessionError> {
        let answer = match self.converse(Housekeeping::Carry).await? {
            Ok(answer) => answer.rows.into_iter().flatten().flatten().next().unwrap_or_default(),
            Err(report) => return Err(SessionError::Attach(report.message)),
        };
        let nonsense = |_| SessionError::Broken("pgusher.carry() answers what is not understood");
        let look: Look = crate::catalog::load::look(&answer).map_err(nonsense)?;
        let Left { settings, kept } = serde_json::from_str(&answer).map_err(nonsense)?;
        self.looked(look);
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        pooling.unsettled = false;
        pooling.kept = kept;
        let applied = Arc::new(settings);
        pooling.carried = match &pooling.application {
            Some(name) if !applied.contains_key(APPLICATION_NAME) => {
                let mut carried = (*applied).clone();
                carried.insert(APPLICATION_NAME.to_owned(), name.clone());
                Arc::new(carried)
            }
            Some(_) | None => applied.clone(),
        };
        if let Some(lease) = &mut pooling.lease {
            lease.trace.applied = applied;
        }
        Ok(())
    }

    /// How the session has its connection, for SHOW SESSION.
    pub(super) fn has_its_connection(&self) -> String {
        let Some(pooling) = &self.pooling else { return "session".to_owned() };
        let mut kept: Vec<&str> = pooling.kept.iter().map(String::as_str).collect();
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
        let versions = prepared.first.versions;
        let pooling = self.pooling.as_ref()?;
        if name.is_empty() || pooling.direct.contains(name) {
            return None;
        }
        match &prepared.body {
            Body::Sql(script) => Some(self.hashed(versions, script.parts.first(), &prepared.types)),
            Body::Empty => Some(self.hashed(versions, None, &prepared.types)),
            Body::SqlPrepare(_) | Body::Governance(_) => None,
        }
    }

    /// A name that says what a statement is: sessions that mean the same share it.
    fn hashed(&self, (catalog, policies): (u64, i64), part: Option<&Part>, types: &[u8]) -> Arc<str> {
        let make = || {
            let mut hash = Sha256::new();
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
            Some(part) if types.is_empty() && (catalog, policies) == self.footing.versions() => part.name.get_or_init(make).clone(),
            Some(_) | None => make(),
        }
    }

    /// Whether upstream has, or will have, a statement of this name.
    pub(super) fn has_upstream(&mut self, name: &str) -> bool {
        let Some(pooling) = &mut self.pooling else { return true };
        pooling.pending.contains(name) || pooling.lease.as_mut().is_some_and(|lease| lease.trace.has(name))
    }

    /// The Parse of a statement is on its way under this name; the unnamed one has none.
    pub(super) fn parse_sent(&mut self, name: Option<&Arc<str>>, prepared: &Arc<Prepared>) {
        let Some(pooling) = &mut self.pooling else { return };
        match name {
            Some(name) => {
                pooling.pending.insert(name.clone());
            }
            None => pooling.unnamed = Some(prepared.clone()),
        }
    }

    /// Upstream has prepared a statement under a name of ours.
    pub(super) fn parse_confirmed(&mut self, name: Arc<str>) {
        let Some(pooling) = &mut self.pooling else { return };
        pooling.pending.remove(&name);
        let most = pooling.sharing.statements();
        if let Some(lease) = &mut pooling.lease {
            pooling.crowded.extend(lease.trace.prepared(name, most));
        }
    }

    /// Makes sure that upstream has a statement before it is bound or described; what it is called there. `None`: as the client calls it.
    pub(super) async fn bring_upstream(&mut self, name: &str, prepared: &Arc<Prepared>) -> Result<Option<Arc<str>>, Stop> {
        let Some(pooling) = &self.pooling else { return Ok(None) };
        let known = self.name_upstream(name, prepared);
        let script = prepared.script().cloned();
        let there = match &known {
            Some(known) => self.has_upstream(known),
            None => {
                !name.is_empty()
                    || matches!(prepared.body, Body::Governance(_) | Body::SqlPrepare(_))
                    || pooling.unnamed.as_ref().is_some_and(|unnamed| Arc::ptr_eq(unnamed, prepared))
            }
        };
        if !there {
            let sent = known.as_deref().unwrap_or("");
            match script.as_ref().and_then(|script| script.parts.first()) {
                Some(part) => self.exchange.link.parse(sent, &part.rewritten, &prepared.types),
                None => self.exchange.link.parse_empty(sent, &prepared.types),
            }
            self.parse_sent(known.as_ref(), prepared);
            let script = script.map(|script| (script, 0));
            self.expected.push_back(Expected::Parse { script, shown: false, name: known.clone() });
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
        self.expected.push_back(Expected::Describe { rows_only: true, of: Some(prepared.first.clone()), shown: false });
        if let Some(batch) = self.state.batch() {
            batch.sent = true;
        }
        self.quiesce_or_skip().await?;
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        if let Some(lease) = self.pooling.as_mut().and_then(|pooling| pooling.lease.as_mut()) {
            lease.trace.forget(known);
        }
        self.exchange.link.close(known);
        self.expected.push_back(Expected::Close { shown: false, statement: None });
        let report = Report::error(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type");
        Err(Refusal::Told(Box::new(report)).into())
    }

    /// What is so for a statement that is being prepared.
    pub(super) fn first(&self) -> Arc<First> {
        Arc::new(First { versions: self.footing.versions(), ..First::default() })
    }

    /// Closes statements upstream that are too many.
    async fn make_room(&mut self) -> Result<(), SessionError> {
        let Some(pooling) = &mut self.pooling else { return Ok(()) };
        for name in std::mem::take(&mut pooling.crowded) {
            self.exchange.link.close(&name);
            self.expected.push_back(Expected::Close { shown: false, statement: None });
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

const APPLICATION_NAME: &str = "application_name";
