//! What a client gave, looked up and checked: one way for every door.

use std::sync::Arc;
use std::time::SystemTime;

use super::{ANY_USER, Directory, DirectoryError, Issuers, PREFIX, Proven, Purpose, Refusal, Shown, Vouched, check, hash};

/// What a credential is to prove.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The name that was given beside it.
    pub user: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Whether a principal may be made for a JWT, where its issuer's settings allow it.
    pub create: bool,
    /// Nobody hears that it is good before upstream has attached a session by it, and has looked again whether it is.
    pub attaches: bool,
}

/// Checks what a client gave. Whatever it is, it is hashed, looked up and checked: malformed or unknown, the work is the same.
/// So is a JWT that was not taken; how long its signature took says only what its bearer knows. Nobody is made for a login that fails.
pub async fn prove(
    given: &[u8],
    asked: Asked<'_>,
    directory: &dyn Directory,
    issuers: &Issuers,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let hash = hash(given);
    let decide = |found| check(found, asked.user, asked.purpose, SystemTime::now());
    if !issuers.take(given) {
        // What is refused is looked up: it takes as long as what is unknown.
        if asked.attaches
            && let Some(found) = directory.recent(&hash)
            && let Ok(proven) = decide(Some(found))
        {
            return Ok(Ok(proven));
        }
        return Ok(decide(directory.credential(hash).await?));
    }
    match issuers.verify(given, SystemTime::now()).await {
        Ok(vouched) => {
            let welcome = *asked.user == *vouched.name || asked.user == ANY_USER;
            let vouched = Vouched { create: vouched.create && asked.create && welcome, ..vouched };
            let found = directory.vouched(&vouched).await?;
            let proven = if found.is_none() { Err(Refusal::NoPrincipal) } else { decide(found) };
            Ok(proven.map(|mut proven| {
                proven.may_act = vouched.may_act.map(Arc::from);
                proven
            }))
        }
        Err(refusal) => directory.credential(hash).await.map(|_| Err(Refusal::from(refusal))),
    }
}

/// Checks the credential whose password a client has shown that it knows; `None`: it knows none, and the work is the same.
pub async fn prove_password(
    token: Option<&str>,
    asked: Asked<'_>,
    directory: &dyn Directory,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let found = directory.password(token).await?;
    Ok(if found.is_none() { Err(Refusal::Password) } else { check(found, asked.user, asked.purpose, SystemTime::now()) })
}

/// Checks a certificate that the TLS handshake has found good.
pub async fn prove_certificate(
    shown: &Shown,
    asked: Asked<'_>,
    directory: &dyn Directory,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let Some(name) = shown.name_for(asked.user) else { return Ok(Err(Refusal::Certificate)) };
    let found = directory.vouched(&shown.vouched(name)).await?;
    Ok(if found.is_none() { Err(Refusal::NoPrincipal) } else { check(found, asked.user, asked.purpose, SystemTime::now()) })
}

/// The principal that has shown its token acts for somebody: named, or by that one's own token. It needs the right to, by a grant or by
/// what the token says (RFC 8693 section 4.4). A refusal is for the log: its client would learn who exists, and which tokens are good.
pub async fn act(
    proven: Proven,
    person: &str,
    purpose: Purpose,
    directory: &dyn Directory,
    issuers: &Issuers,
) -> Result<Result<Proven, Refusal>, DirectoryError> {
    let (shown, allowed) = if person.starts_with(PREFIX) || issuers.take(person.as_bytes()) {
        let asked = Asked { user: ANY_USER, purpose, create: false, attaches: false };
        match prove(person.as_bytes(), asked, directory, issuers).await? {
            Ok(shown) => {
                let allowed = shown.may_act.as_deref() == Some(&*proven.name);
                (Some(shown), allowed)
            }
            Err(refusal) => return Ok(Err(refusal)),
        }
    } else {
        (None, false)
    };
    let name = shown.as_ref().map_or_else(|| Arc::from(person), |shown| Arc::clone(&shown.name));
    let consent = shown.as_ref().map(|shown| Arc::clone(&shown.token));
    let found = directory.acts(proven.principal, &name, consent.as_deref(), allowed).await?;
    Ok(found.map(|found| proven.acting_for((found, &name), shown, allowed)).ok_or(Refusal::NotActing))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::authn::{Credential, Found, Knowing, Lookup, TokenHash, scram};
    use crate::policy::PrincipalId;

    /// Knows every token as alice's, of late too, and counts how often it looks one up.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    fn alice() -> Credential {
        Credential::good(7, "alice")
    }

    impl Directory for Counting {
        fn credential<'a>(&'a self, _: TokenHash) -> Lookup<'a> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(Ok(Some(alice()))))
        }

        fn recent(&self, _: &TokenHash) -> Option<Credential> {
            Some(alice())
        }

        fn vouched<'a>(&'a self, _: &'a Vouched) -> Lookup<'a> {
            Box::pin(std::future::ready(Ok(None)))
        }

        fn known<'a>(&'a self, _: &'a str) -> Knowing<'a> {
            Box::pin(std::future::ready(Ok(scram::Known { verifier: None, mock_salt: [7; 16] })))
        }

        fn password<'a>(&'a self, _: Option<&'a str>) -> Lookup<'a> {
            Box::pin(std::future::ready(Ok(None)))
        }

        fn acts<'a>(&'a self, _: PrincipalId, _: &'a str, _: Option<&'a str>, _: bool) -> Found<'a> {
            Box::pin(std::future::ready(Ok(None)))
        }
    }

    /// Whether the token was good for this, and how often it was looked up.
    async fn proved(user: &str, purpose: Purpose, attaches: bool) -> (bool, usize) {
        let directory = Counting::default();
        let asked = Asked { user, purpose, create: false, attaches };
        let proven = prove(b"pgu_x", asked, &directory, &Issuers::default()).await.unwrap();
        (proven.is_ok(), directory.0.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_was_found_of_late_is_good_enough_for_whom_upstream_looks_at_again() {
        assert_eq!(proved("alice", Purpose::Sql, true).await, (true, 0));
        assert_eq!(proved("alice", Purpose::Sql, false).await, (true, 1));
        assert_eq!(proved("alice", Purpose::Administration, false).await, (true, 1));
    }

    #[tokio::test]
    async fn who_is_refused_is_looked_up_like_everybody() {
        assert_eq!(proved("bob", Purpose::Sql, true).await, (false, 1));
    }
}
