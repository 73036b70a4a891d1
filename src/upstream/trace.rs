//! What sessions leave on a connection that they share, and what makes it the next one's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;

use super::attachment::{Attachment, Claim};
use super::connect::UpstreamError;
use super::housekeeping::{Handover, Housekeeping, Kept, write_turn};
use super::owner::{ConverseError, SigningKey, converse};
use super::send::End;
use super::shared::Shared;
use super::turn::Opening;
use crate::wire::backend::Status;

/// Settings that a session has set, to be set again wherever it goes: names and values as `pg_settings` has them.
pub type Carried = Arc<BTreeMap<String, String>>;

/// Settings as [`Housekeeping::Restore`] takes them.
pub fn written(settings: &Carried) -> String {
    serde_json::to_string(&**settings).unwrap_or_default()
}

/// What is on a connection.
#[derive(Debug, Default)]
pub struct Trace {
    attached: Option<Attached>,
    /// Its backend has let somebody have a turn, and was told by what the next one is taken.
    taken: bool,
    /// Statements of turns that are prepared on it.
    kept: Kept,
    /// Something was written, or read through a view: what PostgreSQL's own functions leave behind may be there, such as locks, settings,
    /// and what was drawn from sequences.
    pub wrote: bool,
    /// Code ran that may have left anything behind.
    pub shaken: bool,
    /// The same, and DISCARD ALL would not take all of it away: the connection is nobody else's any more.
    pub spoiled: bool,
    /// The settings that were set on it.
    pub applied: Carried,
    statements: HashMap<Arc<str>, u64>,
    /// Others than those may be prepared as well.
    doubtful: bool,
    uses: u64,
}

/// Whose a connection is.
#[derive(Debug)]
struct Attached {
    /// The session that had it last: what is left there is its own.
    session: i64,
    /// By which upstream knows who asks: the session's own, or one that serves it.
    by: Arc<Attachment>,
}

impl Attached {
    fn new(by: &Arc<Attachment>) -> Self {
        Self { session: by.slot, by: by.clone() }
    }
}

/// Whose turn is next.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// What the session is attached by.
    pub attachment: &'a Arc<Attachment>,
    /// Its settings.
    pub carried: &'a Carried,
}

impl Trace {
    /// Whether this statement is prepared, which is then a use of it.
    pub fn has(&mut self, name: &str) -> bool {
        self.uses += 1;
        match self.statements.get_mut(name) {
            Some(used) => {
                *used = self.uses;
                true
            }
            None => false,
        }
    }

    /// A statement was prepared.
    pub fn prepared(&mut self, name: Arc<str>) {
        self.uses += 1;
        self.statements.insert(name, self.uses);
    }

    /// Whether more statements are prepared than may be.
    pub fn is_crowded(&self, most: usize) -> bool {
        self.statements.len() > most
    }

    /// Takes out those that were not used for the longest time, as many as are too many; they are to be closed.
    pub fn surplus(&mut self, most: usize) -> Vec<Arc<str>> {
        let mut all: Vec<(u64, Arc<str>)> = self.statements.iter().map(|(name, used)| (*used, name.clone())).collect();
        all.sort_unstable_by_key(|(used, _)| *used);
        all.truncate(all.len().saturating_sub(most));
        all.into_iter().map(|(_, name)| name).inspect(|name| self.forget(name)).collect::<Vec<_>>()
    }

    /// A statement is being closed.
    pub fn forget(&mut self, name: &str) {
        self.statements.remove(name);
    }

    /// Upstream has forgotten all prepared statements.
    pub fn forget_statements(&mut self) {
        self.statements.clear();
        self.kept = Kept::default();
    }

    /// Upstream is about to forget prepared statements, or what was drawn from sequences. An error would not say whether it has: it forgets
    /// at once, and a transaction that fails brings nothing back.
    pub fn may_forget(&mut self) {
        self.forget_statements();
        (self.doubtful, self.shaken) = (true, true);
    }

    /// Whether statements may be prepared that it is not known of.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// It has this session's identity.
    pub fn attach(&mut self, by: &Arc<Attachment>) {
        self.attached = Some(Attached::new(by));
    }

    /// It is another session's that its identity serves.
    fn lend(&mut self, to: &Attachment) {
        if let Some(attached) = &mut self.attached {
            attached.session = to.slot;
        }
    }

    /// It has nobody's.
    pub fn detach(&mut self) {
        self.attached = None;
    }

    /// Whether a session had it last, of those that take turns.
    pub fn is_of(&self, attachment: &Attachment) -> bool {
        self.attached.as_ref().is_some_and(|attached| attached.session == attachment.slot)
    }

    /// Whether it has the very identity of a session, not that of one like it.
    pub fn is_by(&self, attachment: &Attachment) -> bool {
        self.attached.as_ref().is_some_and(|attached| attached.by.slot == attachment.slot)
    }

    /// Whether upstream knows a session that had it last by its own identity, or by one that is as good yet.
    fn stands_for(&self, attachment: &Attachment) -> bool {
        self.is_by(attachment) || self.attached.as_ref().is_some_and(|attached| attached.by.is_current())
    }

    /// Whether upstream would answer a session by what it has now, and nobody has left anything that is not known.
    pub fn serves(&self, attachment: &Attachment) -> bool {
        let Self { attached, taken: _, kept: _, wrote, shaken, spoiled, applied: _, statements: _, doubtful, uses: _ } = self;
        !(*wrote || *shaken || *spoiled || *doubtful) && attached.as_ref().is_some_and(|attached| attached.by.serves(attachment))
    }

    /// Whether no session has left anything.
    fn is_clean(&self) -> bool {
        let Self { attached, taken, kept, wrote, shaken, spoiled: _, applied, statements, doubtful, uses: _ } = self;
        let prepared = *doubtful || *kept != Kept::default() || !statements.is_empty();
        !(attached.is_some() || *taken || prepared || *wrote || *shaken) && applied.is_empty()
    }

    /// A session that keeps it has it now, and may leave anything.
    pub fn kept(&mut self) {
        self.shaken = true;
    }

    /// Upstream has forgotten everything.
    pub fn discarded(&mut self) {
        // It does not take back setseed().
        *self = Self { wrote: true, spoiled: self.spoiled, ..Self::default() };
    }

    /// Upstream has forgotten what was drawn from sequences, and with it whose turn it is.
    pub fn discarded_sequences(&mut self) {
        self.detach();
        self.taken = false;
    }
}

/// What a session that begins finds on a connection.
#[derive(Clone, Debug, Default)]
pub struct Opens {
    /// Settings of another, which are to be reset first.
    pub reset: bool,
    /// Its own settings are not those that are set there.
    pub restore: bool,
    /// Nothing but such settings: it is the session's when its own are set.
    pub bare: bool,
    /// Transactions write and see what others commit, as far as is known; to be corrected where they do not. `None`: they may not.
    pub writes: Option<Arc<AtomicBool>>,
}

impl Shared {
    /// Takes away whatever sessions have left on it, unless nothing is left.
    pub async fn clean(&mut self) -> Result<(), UpstreamError> {
        if !self.lease.trace.is_clean() {
            self.link.forget_turn();
            // It ends its transaction by itself; where it fails, what is behind it is skipped.
            self.link.stand_in(&Housekeeping::DiscardAll);
            let seed = rand::random_range(-1.0..1.0).to_string();
            self.ask(Housekeeping::Seed { seed: &seed }).await?;
            self.lease.trace = Trace { spoiled: self.lease.trace.spoiled, ..Trace::default() };
        }
        Ok(())
    }

    async fn ask(&mut self, statement: Housekeeping<'_>) -> Result<(), UpstreamError> {
        match converse(&mut self.link, &statement, End::Sync, Status::Idle, &mut |_, _| {}).await {
            Ok(_) => Ok(()),
            Err(ConverseError::Lost(cause)) => Err(UpstreamError::Lost(cause)),
            Err(ConverseError::Refused { error, .. }) => Err(UpstreamError::Refused { code: error.code, message: error.message }),
        }
    }

    /// Before a session is attached that was not there yet, which has these settings. A turn that was prepared and never began is forgotten.
    pub fn opens(&mut self, carried: &Carried) -> Opens {
        let trace = &mut self.lease.trace;
        let unknown = self.link.forget_turn();
        if unknown {
            // What it was to clean is there still.
            (trace.taken, trace.kept, trace.wrote) = (false, Kept::default(), true);
        }
        let bare = !trace.wrote && !trace.shaken;
        let same = bare && trace.applied == *carried;
        let as_usual = bare && self.lease.writes.load(Ordering::Relaxed) && has_usual_transactions(&trace.applied);
        Opens {
            reset: unknown || !(same || trace.applied.is_empty()),
            restore: bare && !same && !carried.is_empty(),
            bare,
            writes: as_usual.then(|| self.lease.writes.clone()),
        }
    }

    /// A session was attached, and its settings set where the connection was bare; else it has yet to take its turn.
    pub fn opened(&mut self, by: &Arc<Attachment>, found: &Opens, carried: &Carried) {
        let trace = &mut self.lease.trace;
        (trace.attached, trace.applied) =
            if found.bare { (Some(Attached::new(by)), carried.clone()) } else { (None, Carried::default()) };
    }

    /// Makes it the next session's. What is to be sent for that goes out with the session's first statement, which fails unless it went
    /// well; only where code ran that may have left anything behind is upstream asked before.
    pub async fn pass_to(&mut self, next: Next<'_>, key: &SigningKey) -> Result<(), UpstreamError> {
        if !self.pass_at_once(next, key) {
            Box::pin(self.ask(Housekeeping::DiscardAll)).await?;
            self.lease.trace.discarded();
            self.prepare_turn(next, key);
        }
        Ok(())
    }

    /// The same, unless upstream has to be asked before: then it says no.
    pub fn pass_at_once(&mut self, next: Next<'_>, key: &SigningKey) -> bool {
        let trace = &mut self.lease.trace;
        let same = trace.is_of(next.attachment);
        // A turn that is not yet begun is prepared again: what it is signed with is not good for long.
        let as_it_is = trace.applied == *next.carried && !self.link.has_turn_to_begin();
        if as_it_is && same && trace.stands_for(next.attachment) {
            return true;
        }
        if as_it_is && trace.serves(next.attachment) {
            trace.lend(next.attachment);
            return true;
        }
        if trace.shaken && !same {
            return false;
        }
        self.prepare_turn(next, key);
        true
    }

    fn prepare_turn(&mut self, next: Next<'_>, key: &SigningKey) {
        // A turn that was prepared and never began: upstream knows nothing of it.
        let unknown = self.link.has_turn_to_begin();
        let trace = &mut self.lease.trace;
        let same = trace.is_of(next.attachment);
        if unknown {
            (trace.taken, trace.kept) = (false, Kept::default());
        }
        let dirty = unknown || (trace.wrote && !same);
        let seed = if dirty { rand::random_range(-1.0..1.0).to_string() } else { String::new() };
        let reset = unknown || trace.wrote || trace.applied != *next.carried;
        let settings = if reset { written(next.carried) } else { String::new() };
        let Attachment { slot, .. } = **next.attachment;
        let Claim { principal: who, token, .. } = next.attachment.claim();
        let (session, principal) = (slot.to_string(), who.0.to_string());
        // What it is, only the proxy knows until then.
        let coming = rand::random::<i64>();
        let (first, second);
        let take = match self.link.coupon().filter(|_| trace.taken) {
            Some(coupon) => {
                (first, second) = (coupon.to_string(), coming.to_string());
                let turn = Handover { coupon: &first, coming: &second, session: &session, principal: &principal, token };
                if dirty { Housekeeping::TakeAfresh { turn, seed: &seed } } else { Housekeeping::TakeNext(turn) }
            }
            None => {
                (first, second) = key.take(self.lease.process_id, coming, slot, *who, token, &seed);
                Housekeeping::Take { payload: &first, signature: &second }
            }
        };
        let taking = matches!(take, Housekeeping::TakeNext(_));
        let mut steps = Vec::with_capacity(4);
        let writes = !reset && self.lease.writes.load(Ordering::Relaxed) && has_usual_transactions(next.carried);
        if !writes {
            steps.push(Housekeeping::Writable);
        }
        if reset {
            steps.push(Housekeeping::ResetAll);
        }
        steps.push(take);
        if reset && !next.carried.is_empty() {
            steps.push(Housekeeping::Restore { settings: &settings });
        }
        let mut frames = BytesMut::with_capacity(TURN_BYTES);
        write_turn(&mut frames, &steps, &mut trace.kept);
        let joins = taking && steps.len() == 1;
        self.link.begin_turn(Opening { frames, coming, joins, writes: writes.then(|| self.lease.writes.clone()) });
        trace.taken = true;
        trace.attach(next.attachment);
        trace.applied = next.carried.clone();
        trace.wrote &= same;
    }
}

/// What begins a turn is seldom longer.
const TURN_BYTES: usize = 512;

/// Whether such settings leave transactions as they are by default.
fn has_usual_transactions(settings: &Carried) -> bool {
    !ONLY_OTHERWISE.iter().any(|name| settings.contains_key(*name))
}

/// With these set, transactions may not write, or not see what others commit.
const ONLY_OTHERWISE: [&str; 2] = ["default_transaction_read_only", "default_transaction_isolation"];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::policy::{Bearing, PrincipalId};
    use crate::upstream::attachment::{Attachments, follow};

    fn attachment(slot: i64, token: &str) -> Arc<Attachment> {
        let claim = Claim { principal: PrincipalId(1), token: token.into(), bearing: Bearing::default(), actors: Vec::new() };
        Attachments::default().made(slot, claim, 0)
    }

    /// A connection that a session has had, whose turn has begun.
    fn had_by(session: &Arc<Attachment>, carried: &Carried) -> Box<Shared> {
        let mut shared = Box::new(Shared::nobodys());
        let found = shared.opens(carried);
        shared.opened(session, &found, carried);
        shared
    }

    #[test]
    fn who_is_known_by_the_same_claim_takes_a_connection_as_it_is() {
        let (key, carried) = (SigningKey::new(b"key"), Carried::default());
        let (one, like, other) = (attachment(7, "t"), attachment(8, "t"), attachment(9, "u"));
        let passed = |to: &Arc<Attachment>, carried: &Carried, leave: fn(&mut Trace)| {
            let mut shared = had_by(&one, &Carried::default());
            leave(&mut shared.lease.trace);
            shared.pass_at_once(Next { attachment: to, carried }, &key) && !shared.link.has_turn_to_begin()
        };
        let nothing = |_: &mut Trace| {};
        assert!(passed(&one, &carried, nothing) && passed(&like, &carried, nothing));
        assert!(!passed(&other, &carried, nothing));
        let set = Carried::new([("work_mem".to_owned(), "5MB".to_owned())].into());
        assert!(!passed(&like, &set, nothing));
        let left: [fn(&mut Trace); 6] = [
            |trace| trace.wrote = true,
            |trace| trace.shaken = true,
            |trace| trace.spoiled = true,
            |trace| trace.doubtful = true,
            Trace::detach,
            Trace::discarded_sequences,
        ];
        for leave in left {
            assert!(!passed(&like, &carried, leave));
        }
    }

    #[test]
    fn who_was_known_by_another_that_is_gone_takes_a_turn() {
        let (key, carried, all) = (SigningKey::new(b"key"), Carried::default(), Attachments::default());
        let claim = attachment(7, "t").claim().clone();
        let (one, like) = (all.made(7, claim.clone(), 0), all.made(8, claim, 0));
        let mut shared = had_by(&one, &carried);
        let mut passes = |to: &Arc<Attachment>| {
            shared.pass_at_once(Next { attachment: to, carried: &carried }, &key) && !shared.link.has_turn_to_begin()
        };
        assert!(passes(&like) && passes(&like));
        follow(&all.held(), |slot| slot == 8);
        assert!(!passes(&like));
    }

    #[test]
    fn what_a_session_leaves_is_not_the_next_ones_own() {
        let (key, carried) = (SigningKey::new(b"key"), Carried::default());
        let (one, like) = (attachment(7, "t"), attachment(8, "t"));
        let mut shared = had_by(&one, &carried);
        assert!(shared.pass_at_once(Next { attachment: &like, carried: &carried }, &key));
        assert!(shared.lease.trace.is_of(&like) && !shared.lease.trace.is_of(&one));
        assert!(shared.lease.trace.is_by(&one) && !shared.lease.trace.is_by(&like));
        shared.lease.trace.wrote = true;
        // It goes back to whom upstream knows it by, and is cleaned for that.
        assert!(shared.pass_at_once(Next { attachment: &one, carried: &carried }, &key) && shared.link.has_turn_to_begin());
    }

    #[test]
    fn a_turn_that_waits_to_begin_is_signed_anew_when_it_is_asked_for_again() {
        let mut shared = Shared::nobodys();
        let (key, carried) = (SigningKey::new(b"key"), Carried::default());
        let attachment = attachment(7, "t");
        let next = Next { attachment: &attachment, carried: &carried };
        assert!(shared.pass_at_once(next, &key));
        let first = shared.link.turn_to_begin().to_vec();
        assert!(shared.pass_at_once(next, &key));
        let second = shared.link.turn_to_begin();
        assert!(!first.is_empty() && !second.is_empty() && first != second);
    }

    #[test]
    fn what_the_next_turn_is_taken_by_is_drawn_for_each() {
        let (key, carried) = (SigningKey::new(b"key"), Carried::default());
        let drawn = |slot| {
            let mut shared = Shared::nobodys();
            shared.pass_at_once(Next { attachment: &attachment(slot, "t"), carried: &carried }, &key);
            let frames = String::from_utf8_lossy(shared.link.turn_to_begin()).into_owned();
            frames.split_once("\"coupon\":").and_then(|(_, rest)| rest.split_once(',')).map(|(coupon, _)| coupon.to_owned())
        };
        let coupons: HashSet<String> = (0..100).filter_map(drawn).collect();
        assert_eq!(coupons.len(), 100);
    }

    #[test]
    fn what_upstream_may_have_forgotten_is_not_counted_on() {
        let mut trace = Trace::default();
        trace.prepared("a".into());
        trace.may_forget();
        assert!(!trace.has("a") && trace.is_doubtful() && trace.shaken && !trace.is_clean());
        trace.discarded();
        assert!(!trace.is_doubtful() && !trace.shaken);
    }

    #[test]
    fn the_statement_that_was_not_used_for_the_longest_time_gives_way() {
        let mut trace = Trace::default();
        assert!(!trace.has("a"));
        trace.prepared("a".into());
        trace.prepared("b".into());
        assert!(trace.has("a") && !trace.is_crowded(2));
        trace.prepared("c".into());
        assert!(trace.is_crowded(2) && trace.has("b") && trace.has("a"));
        assert_eq!(trace.surplus(2), [Arc::from("c")]);
        trace.prepared("c".into());
        assert!(trace.has("a"));
        assert_eq!(trace.surplus(2), [Arc::from("b")]);
        assert!(trace.has("a") && trace.has("c") && !trace.has("b"));
    }
}
