//! What `pgusher.attach` made of a session: the number by which upstream knows who asks. Connections that sessions share may go from one
//! to another that differs in nothing but that number as they are.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::policy::{Bearing, PrincipalId};

/// A row of `pgusher.session`. It stays as long as anybody holds this: a session, or a connection that has its identity.
#[derive(Debug)]
pub struct Attachment {
    /// Its number.
    pub slot: i64,
    claim: Claim,
    // The row is gone: its token was revoked, or its principal disabled, and be it for a moment.
    gone: AtomicBool,
    // The version of the policies that the row is known to have followed, and the one that holds for everybody.
    followed: AtomicI64,
    published: Arc<AtomicI64>,
}

/// What a session was attached for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its principal.
    pub principal: PrincipalId,
    /// The id of its token.
    pub token: Arc<str>,
    /// What the token makes of the principal.
    pub bearing: Bearing,
    /// Who acts for it.
    pub actors: Vec<Arc<str>>,
}

impl Attachment {
    /// What it was made for.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Whether what runs by this one runs by the other one as it should: it is there, and upstream would say of neither what it does not
    /// say of the other. One that was made while groups were changing may not know of that for as long as somebody else changes policies: it
    /// serves nobody until it has followed, and none serves who was there before.
    pub fn serves(&self, other: &Self) -> bool {
        self.is_current() && self.slot <= other.slot && self.claim == other.claim
    }

    /// Whether there is such a row, and it says what the policies say that hold for everybody.
    pub fn is_current(&self) -> bool {
        !self.is_gone() && self.followed.load(Ordering::Acquire) >= self.published.load(Ordering::Acquire)
    }

    /// Its row has followed the policies of this version.
    pub fn has_followed(&self, version: i64) {
        self.followed.fetch_max(version, Ordering::AcqRel);
    }

    /// Whether there was no such row any more when that was last looked at.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// Every attachment of a proxy that somebody holds.
#[derive(Debug, Default)]
pub struct Attachments {
    all: Mutex<Vec<Weak<Attachment>>>,
    /// The version of the policies that hold for everybody.
    published: Arc<AtomicI64>,
}

impl Attachments {
    /// The version of the policies that hold for everybody. To be asked *before* upstream makes a row, which knows as much at least.
    pub fn version(&self) -> i64 {
        self.published.load(Ordering::Acquire)
    }

    /// From now on policies of this version hold for everybody.
    pub fn publish(&self, version: i64) {
        self.published.store(version, Ordering::Release);
    }

    /// Upstream has made one, when this was the version of the policies.
    pub fn made(&self, slot: i64, claim: Claim, version: i64) -> Arc<Attachment> {
        let published = self.published.clone();
        let attachment = Arc::new(Attachment { slot, claim, gone: false.into(), followed: version.into(), published });
        self.lock().push(Arc::downgrade(&attachment));
        attachment
    }

    /// Those that are held, for whose rows somebody has to be asked. To be taken *before* the rows are read.
    pub fn held(&self) -> Vec<Arc<Attachment>> {
        // Dropped after the lock.
        let mut held = Vec::new();
        self.lock().retain(|attachment| match attachment.upgrade() {
            Some(attachment) => {
                held.push(attachment);
                true
            }
            None => false,
        });
        held
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Attachment>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody's connection is passed on by one whose row is not there any more.
pub fn follow(held: &[Arc<Attachment>], live: impl Fn(i64) -> bool) {
    for attachment in held.iter().filter(|attachment| !live(attachment.slot)) {
        attachment.gone.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(token: &str) -> Claim {
        Claim { principal: PrincipalId(1), token: token.into(), bearing: Bearing::default(), actors: Vec::new() }
    }

    #[test]
    fn an_attachment_serves_who_differs_in_nothing_but_the_number() {
        let all = Attachments::default();
        let one = all.made(1, claim("t"), 0);
        let told: [fn(&mut Claim); 8] = [
            |claim| claim.principal = PrincipalId(2),
            |claim| claim.token = "u".into(),
            |claim| claim.bearing.claimed = [PrincipalId(3)].into(),
            |claim| claim.bearing.narrowed = true,
            |claim| claim.bearing.reading = true,
            |claim| claim.bearing.vouched = true,
            |claim| claim.bearing.acted = true,
            |claim| claim.actors = vec!["bi_tool".into()],
        ];
        let other = all.made(2, claim("t"), 0);
        assert!(one.serves(&other) && !other.serves(&one), "nor one that was there before");
        for tell in told {
            let mut other = claim("t");
            tell(&mut other);
            assert!(!one.serves(&all.made(2, other, 0)));
        }
    }

    #[test]
    fn an_attachment_whose_row_is_gone_serves_nobody() {
        let all = Attachments::default();
        let [one, two, three] = [1, 2, 3].map(|slot| all.made(slot, claim("t"), 0));
        follow(&all.held(), |slot| slot != 1);
        assert!(one.is_gone() && !one.serves(&two) && two.serves(&three));
    }

    #[test]
    fn an_attachment_serves_nobody_until_its_row_has_followed_the_policies() {
        let all = Attachments::default();
        all.publish(7);
        let (before, version) = (all.made(1, claim("t"), all.version()), all.version());
        assert!(before.is_current());
        all.publish(8);
        let after = all.made(2, claim("t"), all.version());
        let late = all.made(3, claim("t"), version);
        assert!(!before.serves(&after) && after.serves(&late) && !late.is_current());
        before.has_followed(7);
        assert!(!before.is_current());
        before.has_followed(8);
        assert!(before.serves(&after));
    }

    #[test]
    fn an_attachment_is_held_as_long_as_anybody_holds_it() {
        let all = Attachments::default();
        let one = all.made(1, claim("t"), 0);
        let slots = || all.held().iter().map(|attachment| attachment.slot).collect::<Vec<_>>();
        let again = one.clone();
        drop(one);
        assert_eq!(slots(), [1]);
        drop(again);
        assert!(slots().is_empty());
    }
}
