//! Tokens that were good of late.
//!
//! In: what a look-up found, and the version of the policies that were published before it. Out: the same, while those policies are. Never: an
//! answer that is final. Revoking a token, disabling a principal, leaving a group all move the version; until that is published, what is
//! kept here may be wrong, and `pgusher.attach` is asked before anybody hears of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::authn::{Credential, TokenHash};

/// So many tokens are kept; one more, and it begins anew.
const MOST: usize = 10_000;

/// Good tokens by their hashes.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    version: i64,
    credentials: HashMap<TokenHash, Credential>,
}

impl Recent {
    /// What was found while the policies had this version.
    pub(super) fn find(&self, hash: &TokenHash, version: i64) -> Option<Credential> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.credentials.get(hash).filter(|_| kept.version == version).cloned()
    }

    /// Keeps what was found, if it is good. `version`: that of the policies from before the look-up.
    pub(super) fn keep(&self, hash: TokenHash, version: i64, found: &Credential) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.version < version || kept.credentials.len() >= MOST {
            *kept = Kept { version, credentials: HashMap::new() };
        }
        if kept.version == version && found.enabled && found.revoked.is_none() {
            kept.credentials.insert(hash, found.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn good() -> Credential {
        Credential::good(7, "alice")
    }

    #[test]
    fn what_was_found_holds_while_the_policies_do() {
        let (recent, hash) = (Recent::default(), [1; 32]);
        recent.keep(hash, 5, &good());
        assert_eq!(recent.find(&hash, 5), Some(good()));
        assert!(recent.find(&hash, 6).is_none() && recent.find(&hash, 4).is_none() && recent.find(&[2; 32], 5).is_none());
        recent.keep([2; 32], 6, &good());
        assert!(recent.find(&hash, 5).is_none() && recent.find(&hash, 6).is_none());
        // A look-up that began before the policies changed says nothing of them.
        recent.keep(hash, 5, &good());
        assert!(recent.find(&hash, 5).is_none() && recent.find(&hash, 6).is_none());
    }

    #[test]
    fn what_is_not_good_is_not_kept() {
        let recent = Recent::default();
        recent.keep([1; 32], 5, &Credential { enabled: false, ..good() });
        recent.keep([2; 32], 5, &Credential { revoked: Some(SystemTime::now()), ..good() });
        assert!(recent.find(&[1; 32], 5).is_none() && recent.find(&[2; 32], 5).is_none());
    }

    #[test]
    fn the_number_of_tokens_has_an_end() {
        let recent = Recent::default();
        for number in 0..=MOST {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            recent.keep(hash, 5, &good());
        }
        assert_eq!(recent.0.lock().unwrap().credentials.len(), 1);
    }
}
