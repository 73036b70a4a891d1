//! What `pgusher.attach` made of a session: the number by which upstream knows who asks. Connections that sessions share may go from one
//! to another that differs in nothing but that number as they are.

use std::sync::atomic::{AtomicBool, Ordering};
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
    /// say of the other. One that was made while groups were changing may not know of that for a moment, so none serves who was there before.
    pub fn serves(&self, other: &Self) -> bool {
        !self.is_gone() && self.slot <= other.slot && self.claim == other.claim
    }

    /// Whether there was no such row any more when that was last looked at.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// Every attachment of a proxy that somebody holds.
#[derive(Debug, Default)]
pub struct Attachments(Mutex<Vec<Weak<Attachment>>>);

impl Attachments {
    /// Upstream has made one, or made it again.
    pub fn made(&self, slot: i64, claim: Claim) -> Arc<Attachment> {
        let attachment = Arc::new(Attachment { slot, claim, gone: false.into() });
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let one = all.made(1, claim("t"));
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
        let other = all.made(2, claim("t"));
        assert!(one.serves(&other) && !other.serves(&one), "nor one that was there before");
        for tell in told {
            let mut other = claim("t");
            tell(&mut other);
            assert!(!one.serves(&all.made(2, other)));
        }
    }

    #[test]
    fn an_attachment_whose_row_is_gone_serves_nobody() {
        let all = Attachments::default();
        let [one, two, three] = [1, 2, 3].map(|slot| all.made(slot, claim("t")));
        follow(&all.held(), |slot| slot != 1);
        assert!(one.is_gone() && !one.serves(&two) && two.serves(&three));
    }

    #[test]
    fn an_attachment_is_held_as_long_as_anybody_holds_it() {
        let all = Attachments::default();
        let one = all.made(1, claim("t"));
        let slots = || all.held().iter().map(|attachment| attachment.slot).collect::<Vec<_>>();
        let again = one.clone();
        drop(one);
        assert_eq!(slots(), [1]);
        drop(again);
        assert!(slots().is_empty());
    }
}
